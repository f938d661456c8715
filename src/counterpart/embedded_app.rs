//! The application of a run without `--target`: the reference application, and the part of a target file that describes it.

#[path = "embedded_lifecycle.rs"]
mod lifecycle;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;

use super::app::{API_HOST, AppConfig, AppKeys, Defect, HOST, Provisioning, ReferenceApp};
use super::op::{ACR, TENANT};
use super::scim_server::{Layout, Quirk};
use crate::model::target::{
    About, ApiProbe, App, AppTokens, Attestation, ClientAuth, Commands, Hook, HookCall, Identity, Marker, Network,
    RevocationAuth, SecondConnection, Target, WriteProbe,
};
use crate::model::{Level, Role};
use crate::stage::listener::{ListenFault, TestCa};
use crate::wire::jose::random;

/// Its `client_id` at the first issuer.
pub const CLIENT_ID: &str = "reference-application";
/// Its `client_id` at the second issuer.
pub const SECOND_CLIENT_ID: &str = "reference-application-second";
/// The bindings it supports: of session commands, and of accounts.
pub const BINDINGS: [&str; 4] = ["op-commands", "backchannel-logout", "token-revocation", "scim"];

/// Users that are there from the start: lists have several pages.
pub const INHABITANTS: usize = 6;

/// The provider an embedded application is configured with.
#[derive(Clone, Debug)]
pub struct ProviderFor {
    /// First issuer.
    pub issuer: String,
    /// Second issuer.
    pub second_issuer: Option<String>,
    /// DER certificates of the authorities its certificates come from; the application trusts no others. None
    /// takes the public ones.
    pub roots: Vec<Vec<u8>>,
    /// Where its host names are found, as [`crate::stage::resolve::Resolve`] reads them.
    pub resolve: Vec<(String, SocketAddr)>,
    /// The class the application asks for and demands; `None` asks for none.
    pub required_acr: Option<String>,
    /// The value of `tenant` in ID tokens and commands; empty for none.
    pub tenant: String,
    /// Where the tokens of the provisioning clients come from.
    pub layout: Layout,
    /// Public keys of the provisioning clients (JWK Set); `null` where they sign nothing.
    pub provisioning_keys: Value,
    /// Deliberate departures of its SCIM interface.
    pub quirks: Vec<Quirk>,
}

impl ProviderFor {
    /// A provider with the usual class and tenant, whose provisioning clients have tokens without end.
    pub fn new(issuer: &str, second_issuer: Option<&str>) -> Self {
        ProviderFor {
            issuer: issuer.into(),
            second_issuer: second_issuer.map(Into::into),
            roots: Vec::new(),
            resolve: Vec::new(),
            required_acr: Some(ACR.into()),
            tenant: TENANT.into(),
            layout: Layout::Static,
            provisioning_keys: Value::Null,
            quirks: Vec::new(),
        }
    }
}

/// A running embedded application. Dropping it stops the application.
#[derive(Debug)]
pub struct EmbeddedApp {
    /// What a target file would say about it: all tables but `[counterpart]`.
    pub target: Target,
    /// The application.
    pub app: ReferenceApp,
    /// The values of the secrets that `target` refers to as `embedded:NAME`, by that reference.
    pub secrets: BTreeMap<String, String>,
}

/// Starts the embedded application with these defects, with its TLS endpoint at `listen`. `ca` signs its certificates.
///
/// # Errors
/// An address cannot be bound.
pub async fn embedded_app(
    listen: &str,
    ca: Arc<TestCa>,
    keys: &AppKeys,
    provider: &ProviderFor,
    defects: &[Defect],
) -> Result<EmbeddedApp, ListenFault> {
    let (hook_token, tokens, scim_tokens) = (random(24), [random(24), random(24)], [random(24), random(24)]);
    let secrets = BTreeMap::from([
        ("embedded:app-hook-token".to_owned(), hook_token.clone()),
        ("embedded:revocation-token".to_owned(), tokens[0].clone()),
        ("embedded:second-revocation-token".to_owned(), tokens[1].clone()),
        ("embedded:scim-token".to_owned(), scim_tokens[0].clone()),
        ("embedded:second-scim-token".to_owned(), scim_tokens[1].clone()),
    ]);
    let app = ReferenceApp::start(AppConfig {
        listen: listen.into(),
        issuer: provider.issuer.clone(),
        second_issuer: provider.second_issuer.clone(),
        client_id: CLIENT_ID.into(),
        second_client_id: SECOND_CLIENT_ID.into(),
        keys: keys.clone(),
        required_acr: provider.required_acr.clone(),
        refresh: true,
        roots: provider.roots.clone(),
        ca,
        defects: defects.to_vec(),
        hook_token,
        revocation_tokens: tokens,
        tenant: provider.tenant.clone(),
        admin: lifecycle::ADMIN.into(),
        provisioning: Provisioning {
            layout: provider.layout,
            keys: provider.provisioning_keys.clone(),
            tokens: scim_tokens,
            quirks: provider.quirks.clone(),
        },
        resolve: provider.resolve.clone(),
    })
    .await?;
    app.populate(INHABITANTS);
    let target = Target {
        target: About {
            name: "embedded reference application".into(),
            roles: vec![Role::App],
            levels: vec![Level::Sl2, Level::Al3],
            bindings: BINDINGS.map(str::to_owned).into(),
            ..About::default()
        },
        network: network(&app),
        app: Some(application(provider)),
        commands: commands(provider),
        scim: Some(lifecycle::scim(provider)),
        lifecycle: lifecycle::lifecycle(),
        accounts: lifecycle::accounts(),
        hooks: BTreeMap::from([
            ("reload-metadata".to_owned(), hook("reload-metadata", None)),
            ("create-role".to_owned(), hook("create-role", Some("{\"role\": \"{role}\"}"))),
            ("delete-role".to_owned(), hook("delete-role", Some("{\"role\": \"{role}\"}"))),
        ]),
        attest: attestations(),
        ..Target::default()
    };
    Ok(EmbeddedApp { target, app, secrets })
}

fn at(path: &str) -> String {
    format!("https://{HOST}{path}")
}

fn at_api(path: &str) -> String {
    format!("https://{API_HOST}{path}")
}

fn network(app: &ReferenceApp) -> Network {
    let mut resolve = BTreeMap::new();
    for host in [HOST, API_HOST] {
        resolve.insert(format!("{host}:443"), app.addr.to_string());
        resolve.insert(format!("{host}:80"), app.http_addr.to_string());
    }
    Network { resolve, resolver: Some(app.dns_addr.to_string()), ..Network::default() }
}

/// What a target file says of the application.
pub fn application(provider: &ProviderFor) -> App {
    App {
        start_url: at("/login"),
        protected_url: at("/protected"),
        client_id: CLIENT_ID.into(),
        auth: ClientAuth::PrivateKeyJwt,
        jwks: Some(at("/jwks.json")),
        redirect_uris: vec![at("/callback")],
        initiate_login_uri: at("/initiate"),
        logout_url: at("/logout"),
        return_parameters: vec!["returnTo".into()],
        logged_in: Marker { selector: Some("#signed-in".into()), ..Marker::default() },
        identity: Some(Identity { url: String::new(), selector: "#account".into() }),
        api: Some(ApiProbe { url: at("/api/me"), text: "\"account\"".into() }),
        write: Some(WriteProbe { url: at("/profile"), field: "#nickname".into(), read_url: String::new() }),
        tokens: Some(AppTokens {
            url: at("/tokens"),
            api_url: at_api("/api/data"),
            token_endpoint: at_api("/token"),
            client_id: String::new(),
        }),
        session_cookie: "__Host-session".into(),
        required_acr: provider.required_acr.clone().unwrap_or_default(),
        tenant: provider.tenant.clone(),
        second: provider.second_issuer.as_ref().map(|_| SecondConnection {
            start_url: at("/login?connection=second"),
            client_id: SECOND_CLIENT_ID.into(),
            client_secret: None,
        }),
        ..App::default()
    }
}

fn commands(provider: &ProviderFor) -> Commands {
    Commands {
        command_endpoint: at_api("/commands"),
        backchannel_logout_uri: at_api("/backchannel-logout"),
        revocation_endpoint: at_api("/global-token-revocation"),
        revocation_auth: RevocationAuth::Bearer,
        revocation_token: Some("embedded:revocation-token".into()),
        second_revocation_token: provider.second_issuer.as_ref().map(|_| "embedded:second-revocation-token".into()),
        ..Commands::default()
    }
}

fn hook(name: &str, body: Option<&str>) -> Hook {
    let call = HookCall {
        method: Some("POST".into()),
        url: at(&format!("/operator/{name}")),
        bearer: Some("embedded:app-hook-token".into()),
        body: body.map(str::to_owned),
    };
    Hook { http: Some(call), ..Hook::default() }
}

fn attestations() -> BTreeMap<String, Attestation> {
    let date = jiff::Timestamp::now().strftime("%F").to_string();
    let statements = [
        ("sl1.app.issuer-authoritative", "Issuers are configured at the start; no request and no user can name another."),
        ("sl1.app.account-linking-off", "There is no account linking: an account belongs to one issuer, tenant and subject."),
        ("sl1.app.break-glass-off", "There is no way to sign in but by the configured identity services."),
        ("sl1.app.break-glass-mfa", "There are no bypass accounts."),
        (
            "sl1.app.attribute-minimisation",
            "openid signs in, profile and email are shown on the pages, offline_access renews sessions.",
        ),
        ("sl2.app.unsolicited-saml-refused", "The application speaks no SAML."),
        ("sl2.app.revoke-third-party-grants", "Users cannot authorise third-party applications."),
        (
            "sl2.app.delivery-binding-declared",
            "Provider Commands, Back-Channel Logout and Global Token Revocation are all served.",
        ),
        (
            "al1.app.access-mechanisms",
            "There are no personal access tokens, no SSH keys and no device credentials: sessions and tokens are all there is.",
        ),
        ("al1.app.rate-limit-all-endpoints", "Beyond a number of requests in a second the whole SCIM interface answers 429."),
        ("al1.app.audit-log", "Every change that SCIM asks for is logged with its outcome, at /admin/log."),
        ("al3.app.roles-complete", "The role operator exists, and nobody can assign it: commands do not name it."),
        ("al3.app.privileged-role-guarded", "No role makes an administrator; who is one is configured at the start."),
    ];
    let attest = |(id, statement): (&str, &str)| {
        let by = "embedded reference peer".to_owned();
        (id.to_owned(), Attestation { holds: true, statement: statement.into(), by, date: date.clone() })
    };
    statements.into_iter().map(attest).collect()
}

#[cfg(test)]
#[path = "embedded_app_tests.rs"]
mod tests;
