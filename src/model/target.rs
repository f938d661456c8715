//! The target file: one per product, safe to commit, because secrets are named and not written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::level::{Level, Role};
pub use super::target_app::*;
pub use super::target_lifecycle::*;

/// A whole target file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Target {
    /// What the product is and claims.
    pub target: About,
    /// How to reach it.
    pub network: Network,
    /// Where the suite's own endpoints stand.
    pub counterpart: CounterpartAt,
    /// The identity service, where the target is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idp: Option<Idp>,
    /// The application, where the target is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<App>,
    /// Where commands are sent to or come from, SL2.
    pub commands: Commands,
    /// SCIM, AL1 to AL3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scim: Option<Scim>,
    /// As `scim`, for the identity service of a target that plays both roles; else `scim` stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioning: Option<Scim>,
    /// Accounts, groups and roles, AL1 to AL3.
    pub lifecycle: Lifecycle,
    /// What an application's own pages show and offer about accounts, AL1 to AL3.
    pub accounts: AppAccounts,
    /// Actions only the operator's side can do, by name.
    pub hooks: BTreeMap<String, Hook>,
    /// Statements of the operator, by clause id.
    pub attest: BTreeMap<String, Attestation>,
    /// Flags of `run` that shall hold without being typed.
    pub run: RunFlags,
}

impl Target {
    /// How the identity service calls the suite's SCIM server.
    pub fn provisioning(&self) -> Option<&Scim> {
        self.provisioning.as_ref().or(self.scim.as_ref())
    }

    /// Groups and roles can travel this way to the application: what carries them is declared and configured.
    pub fn offers(&self, way: Way) -> bool {
        let declares = |binding: &str| self.target.bindings.iter().any(|known| known == binding);
        match way {
            Way::Scim => self.scim.as_ref().is_some_and(|scim| !scim.base_url.is_empty()) && !self.accounts_by_commands(),
            Way::Claims => true,
            Way::Commands => declares("op-commands") && !self.commands.command_endpoint.is_empty(),
        }
    }

    /// The accounts of the application are driven by OpenID Provider Commands alone: SCIM is not configured, or not declared.
    pub fn accounts_by_commands(&self) -> bool {
        let declares = |binding: &str| self.target.bindings.iter().any(|known| known == binding);
        let scim = self.scim.as_ref().is_some_and(|scim| !scim.base_url.is_empty()) && declares("scim");
        !scim && declares("op-commands") && !self.commands.command_endpoint.is_empty()
    }
}

/// What the product is and claims.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct About {
    /// Shown in reports.
    pub name: String,
    /// The roles it plays; a run without `--role` tests these.
    pub roles: Vec<Role>,
    /// The levels it claims; a run without `--level` tests these.
    pub levels: Vec<Level>,
    /// The bindings it declares: of SL2 `op-commands`, `backchannel-logout`, `token-revocation`, `ssf-caep`; of AL1 to AL3 `scim` and
    /// `op-commands`. Clauses of one that is not declared are not applicable.
    pub bindings: Vec<String>,
    /// A development instance on loopback: plain-http findings become "not certifiable" instead of pass.
    pub loopback_development: bool,
}

impl Default for About {
    fn default() -> Self {
        About {
            name: "unnamed target".into(),
            roles: vec![Role::Idp],
            levels: vec![Level::Sl1],
            bindings: Vec::new(),
            loopback_development: false,
        }
    }
}

/// How to reach the target.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// PEM file of certificate authorities to trust besides the public ones; relative to the target file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// `"host"` or `"host:port"` -> `"address:port"`, instead of asking DNS.
    pub resolve: BTreeMap<String, String>,
    /// Seconds one HTTP exchange may take.
    pub timeout_s: u64,
    /// Seconds one login may take.
    pub login_timeout_s: u64,
    /// Requests per second the suite sends at most, 0 for no limit. The browser's visits at an application keep to it as well, so that
    /// an application which limits the rate of logins is not overrun.
    pub rate: u32,
    /// `"address:port"` of a validating DNS resolver; empty takes the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolver: Option<String>,
    /// TCP port of clear-text HTTP at the target's hosts.
    pub http_port: u16,
}

impl Default for Network {
    fn default() -> Self {
        Network {
            ca_file: None,
            resolve: BTreeMap::new(),
            timeout_s: 15,
            login_timeout_s: 60,
            rate: 0,
            resolver: None,
            http_port: 80,
        }
    }
}

/// Where the suite's own endpoints stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CounterpartAt {
    /// Address and port the callback endpoint binds to; port 0 takes a free one.
    pub listen: String,
    /// Origin of the redirect URIs, as the browser of this run sees it. It needs no DNS entry: the run's browser resolves it itself.
    pub public_url: String,
    /// Origin of a second sector, for the second pairwise client.
    pub sector_url: String,
    /// The suite's private keys, `file:` of the JSON that `init` wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// Certificate of the authority that signs the provider's certificates, `file:` of a PEM file that `init` wrote; the application must
    /// trust it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Private key of that authority, `file:` of a PEM file (PKCS#8).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_key: Option<String>,
    /// Issuer identifier of the OpenID Provider that the suite plays for an application, as the application is configured with it.
    pub issuer: String,
    /// Address and port that provider binds to; token endpoint and JWK Set take the next port, UserInfo the one after. Port 0 takes
    /// free ones. The ports stand in the issuer and the metadata, so an application that runs longer than this run needs fixed ones.
    pub op_listen: String,
    /// Address and port of the SCIM server that the suite plays for an identity service.
    pub scim_listen: String,
    /// URL of that server as the identity service calls it, without a slash at its end; `http` is allowed on loopback. Empty: no such
    /// server. With `https` its certificate comes from `counterpart.ca`.
    pub scim_url: String,
    /// URL of the command endpoint that the suite plays for an identity service, on the same listener.
    pub commands_url: String,
}

impl Default for CounterpartAt {
    fn default() -> Self {
        CounterpartAt {
            listen: "127.0.0.1:0".into(),
            scim_listen: "127.0.0.1:0".into(),
            scim_url: String::new(),
            commands_url: String::new(),
            public_url: "https://rp.ipsie-conform.test".into(),
            sector_url: "https://rp.second-sector.test".into(),
            keys: None,
            ca: None,
            ca_key: None,
            issuer: "https://op.ipsie-conform.test".into(),
            op_listen: "127.0.0.1:0".into(),
        }
    }
}

/// The identity service under test.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Idp {
    /// Issuer identifier, exactly as clients are given it.
    pub issuer: String,
    /// Clients registered beforehand.
    pub clients: Clients,
    /// Test users; the first one signs in, the second (or the first) stops at its first factor.
    pub users: Vec<User>,
    /// How the browser signs in.
    pub login: Login,
    /// `acr` values that mean a multi-factor class.
    pub acr_mfa: Vec<String>,
    /// Classes that applications may request, weakest first; SL2 looks at the first and the last.
    pub classes: Vec<AcrClass>,
    /// How a class is requested.
    pub classes_by: ClassesBy,
    /// How it authenticates the global token revocation requests that it sends.
    pub revocation_auth: RevocationAuth,
    /// `env:NAME` or `file:PATH` of the bearer token of those requests, for `bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_token: Option<String>,
    /// Scope to add for refresh tokens; empty asks for none.
    pub offline_scope: String,
    /// Does the product want `prompt=consent` before it gives refresh tokens?
    pub offline_consent: bool,
    /// Seconds a used refresh token may go on to work, as the product is configured.
    pub refresh_leeway_s: u64,
    /// Claims that the agreement with the client lists, although it asks for scope `openid` only.
    pub attribute_contract: Vec<String>,
    /// A tenant value that requests may name; empty where the product has no support.
    pub tenant: String,
    /// A tenant the user does not belong to.
    pub foreign_tenant: String,
    /// Paths below the issuer where dynamic registration might stand, besides the well-known ones.
    pub registration_paths: Vec<String>,
}

/// A class of authentication that can be requested.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AcrClass {
    /// Its name in `acr`.
    pub acr: String,
    /// The RFC 8176 values that `amr` then holds at least; empty where the product says nothing of them.
    pub factors: Vec<String>,
}

/// How a class is requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassesBy {
    /// By the `acr_values` parameter.
    #[default]
    AcrValues,
    /// By an essential `acr` in the `claims` parameter.
    Claims,
}

/// Clients registered at the identity service.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clients {
    /// A: confidential, redirect URIs `/cb/a` and `/cb/b`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub main: Option<Client>,
    /// B: a second confidential client, redirect URIs `/cb/a` and `/cb/second`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<Client>,
    /// P: public client, redirect URI `/cb/public`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<Client>,
    /// Pairwise client in the sector of `public_url`, redirect URI `/cb/pairwise`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairwise: Option<Client>,
    /// C: pairwise client in the sector of `sector_url`, redirect URI `/cb/pairwise`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairwise_other: Option<Client>,
    /// E: client with an encryption key, redirect URI `/cb/encrypted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<Client>,
}

/// One registered client.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// How it authenticates at the token endpoint.
    pub auth: ClientAuth,
    /// `env:NAME` or `file:PATH`, for the secret methods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// `kid` of the suite key that signs its assertions; default `es256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `kid` of a second, RSA key registered for it; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rsa_key: Option<String>,
}

/// `token_endpoint_auth_method` of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ClientAuth {
    #[default]
    PrivateKeyJwt,
    ClientSecretBasic,
    ClientSecretPost,
    None,
}

/// A test user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct User {
    /// What is typed as user name.
    pub name: String,
    /// `env:NAME` or `file:PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// `env:NAME` or `file:PATH` of the base32 secret of a TOTP authenticator (SHA-1, 6 digits, 30 s).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totp: Option<String>,
    /// As `totp`, of a second authenticator: typed where the page's field says `hardware`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware_totp: Option<String>,
    /// This user cannot reach the highest of `idp.classes`. Such a user stands behind all others.
    pub lacks_highest: bool,
    /// The product takes a one-time code once per login instead of once per user, so that logins need not wait for the next code.
    pub reusable_codes: bool,
    /// `env:NAME` or `file:PATH` of a passkey (JSON with credential id, private key, rp id, user handle); Chrome only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passkey: Option<String>,
}

/// How the browser signs in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Login {
    /// Explicit steps; empty lets the suite find user name, password, one-time code and consent by the page itself.
    pub steps: Vec<Step>,
}

/// One explicit step of a login recipe.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Step {
    /// Type a value into the element a CSS selector names. `{username}`, `{password}` and `{totp}` are filled in.
    Fill {
        /// CSS selector.
        at: String,
        /// What to type.
        with: String,
    },
    /// Click the element a CSS selector names, and wait until the page has settled.
    Click {
        /// CSS selector.
        at: String,
    },
    /// Wait until a CSS selector matches.
    WaitFor {
        /// CSS selector.
        at: String,
    },
    /// Click if it is there: consent pages, stay-signed-in prompts.
    ClickIfThere {
        /// CSS selector.
        at: String,
    },
    /// Everything before this step is the first factor.
    SecondFactor {},
}

/// An action only the operator's side can do at the target. Exactly one of `exec`, `http` and `prompt` is given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hook {
    /// A command with its arguments. `{placeholders}` are filled in; its standard output is the hook's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<Vec<String>>,
    /// An HTTP call; the response body is the hook's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HookCall>,
    /// A text shown to the operator, who presses enter when it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Seconds it may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
}

/// The HTTP call of a hook.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HookCall {
    /// Request method; default POST.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// URL with `{placeholders}`.
    pub url: String,
    /// `env:NAME` or `file:PATH` of a bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<String>,
    /// JSON body with `{placeholders}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// A statement of the operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// Does the demand hold? `false` makes the clause fail.
    #[serde(default = "yes")]
    pub holds: bool,
    /// What the operator states.
    pub statement: String,
    /// Who states it.
    pub by: String,
    /// When, `YYYY-MM-DD`.
    pub date: String,
}

fn yes() -> bool {
    true
}

/// Flags of `run` in the target file; the command line wins.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunFlags {
    /// As `--fast`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fast: Option<bool>,
    /// As `--jobs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<usize>,
    /// As `--browser`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
    /// As `--edition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// As `--allow-incomplete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_incomplete: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_files_to_copy_are_read() {
        let target: Target = toml::from_str(include_str!("../../profiles/targets/keycloak.toml")).unwrap();
        assert!(target.idp.is_some_and(|idp| idp.users.len() == 2));
    }
}
