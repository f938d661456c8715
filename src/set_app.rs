//! The part of the stage that belongs to an application: the provider that the suite plays for it, and how a signed-in page is told
//! from a signed-out one.

use std::sync::Arc;

use jsonwebtoken::Algorithm;
use serde_json::Value;

use crate::counterpart::keys::SuiteKeys;
use crate::counterpart::provider::{Provider, ProviderConfig, ProviderKeys, Script, Twist};
use crate::error::Error;
use crate::event::{Event, Sink};
use crate::model::target::{App, Target};
use crate::set_stage::Setting;
use crate::stage::app_world::{AppWorld, users};
use crate::stage::http::{Ask, Http};
use crate::stage::listener::{ListenFault, TestCa};
use crate::stage::oracle::Rule;
use crate::stage::recorder::Recorder;
use crate::stage::visitor::Visitor;
use crate::stage::{Stage, World};
use crate::suite::Obstacle;
use crate::wire::jose::SigningKey;

/// What is there before the browser.
pub struct Prepared {
    /// The provider.
    pub provider: Provider,
    /// DER certificate of the authority that signed its certificates; none where the caller trusts it already.
    pub authority: Option<Vec<u8>>,
    app: App,
    client_secret: Option<String>,
}

impl Prepared {
    /// The URLs that the browser and the suite's client will open.
    pub fn pages<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = &'a str> {
        let app = &self.app;
        let own = [app.start(), &app.protected_url, &app.initiate_login_uri, &app.logout_url];
        let commands = &target.commands;
        let back = [&commands.command_endpoint, &commands.backchannel_logout_uri, &commands.revocation_endpoint];
        let probes = [app.api.as_ref().map(|api| api.url.as_str()), app.tokens.as_ref().map(|tokens| tokens.api_url.as_str())];
        own.into_iter()
            .chain(back.into_iter().map(String::as_str))
            .chain(app.redirect_uris.iter().map(String::as_str))
            .chain(probes.into_iter().flatten())
    }

    /// Registers the keys that the application publishes, where the target file names a URL of them.
    pub async fn fetch_keys(&self, http: &Http, events: &Sink) {
        let Some(url) = self.app.jwks.as_ref().filter(|reference| reference.starts_with("https://")) else { return };
        let ask = Ask::get(url).header("accept", "application/json");
        let why = match http.send("app-login", "JWK Set of the application", ask).await {
            Ok(reply) => match reply.json().filter(|jwks| reply.status == 200 && jwks["keys"].is_array()) {
                Some(jwks) => return self.provider.register_keys(jwks),
                None => format!("status {} and no JWK Set", reply.status),
            },
            Err(fault) => fault.to_string(),
        };
        events(Event::Note { text: format!("app.jwks cannot be read: {why}; its signatures are not verified") });
    }

    /// The application's part of the world.
    pub fn world(self, run_id: &str) -> AppWorld {
        let users = users(&self.app, run_id);
        AppWorld::new(self.app, self.provider, users, self.client_secret)
    }
}

/// Starts the provider, unless it was started before.
///
/// # Errors
/// The target file lacks something, or an address is in use.
pub async fn prepare(
    setting: &Setting,
    started: Option<Provider>,
    keys: &SuiteKeys,
    recorder: &Arc<Recorder>,
) -> Result<Prepared, Error> {
    recorder.overhear();
    let target = &setting.target;
    let missing = |what: &str, help: &str| Error::usage(format!("{what} is not configured"), help.to_owned());
    let app = target.app.clone().ok_or_else(|| missing("[app]", "Add [app], or test another role."))?;
    let client_secret = app
        .client_secret
        .as_ref()
        .map(|reference| {
            setting.secrets.get(reference).map_err(|fault| Error::usage(format!("app.client_secret: {fault}"), "Set it."))
        })
        .transpose()?;
    if let Some(secret) = &client_secret {
        recorder.redactor.hide(secret, "client secret");
    }
    if let Some(provider) = started {
        provider.record_to(recorder);
        return Ok(Prepared { provider, authority: None, app, client_secret });
    }
    let at = &target.counterpart;
    let help = "`ipsie-conform init --role app` makes the two files; the application must trust the certificate.";
    let read = |name: &str, reference: &Option<String>| {
        let reference = reference.as_ref().ok_or_else(|| missing(&format!("counterpart.{name}"), help))?;
        setting.secrets.get(reference).map_err(|fault| Error::usage(format!("counterpart.{name}: {fault}"), help))
    };
    let ca = TestCa::from_pem(&read("ca", &at.ca)?, &read("ca_key", &at.ca_key)?)
        .map_err(|error| Error::usage(format!("counterpart.ca and counterpart.ca_key cannot be used: {error}"), help))?;
    let ca = Arc::new(ca);
    let authority = Some(ca.der().to_vec());
    let provider = provider(target, ca, keys, client_secret.clone(), client_jwks(setting, &app)?, recorder.clone()).await?;
    Ok(Prepared { provider, authority, app, client_secret })
}

/// The application's own keys, where the target file names a file of them.
fn client_jwks(setting: &Setting, app: &App) -> Result<Value, Error> {
    let help = "Write \"file:PATH\" of a JWK Set, relative to the target file.";
    match &app.jwks {
        Some(reference) if reference.starts_with("file:") || reference.starts_with("embedded:") => {
            let text = setting.secrets.get(reference).map_err(|fault| Error::usage(format!("app.jwks: {fault}"), help))?;
            serde_json::from_str(&text).map_err(|error| Error::usage(format!("app.jwks is not JSON: {error}"), help))
        }
        _ => Ok(Value::Null),
    }
}

/// Starts the provider for the application of this target.
///
/// # Errors
/// A key cannot be made, or an address is in use.
pub async fn provider(
    target: &Target,
    ca: Arc<TestCa>,
    keys: &SuiteKeys,
    client_secret: Option<String>,
    client_jwks: Value,
    recorder: Arc<Recorder>,
) -> Result<Provider, Error> {
    let at = &target.counterpart;
    let app = target.app.clone().unwrap_or_default();
    let unusable = |error: crate::wire::jose::JoseError| Error::usage(error.to_string(), "Mend app.id_token_alg.");
    let rsa = SigningKey::from_pkcs8("rsa", Algorithm::RS256, keys.rs256.pkcs8()).map_err(unusable)?;
    let keys = ProviderKeys::new(&app.id_token_alg, &keys.es256, &rsa).map_err(unusable)?;
    let config = ProviderConfig {
        issuer: at.issuer.clone(),
        listen: at.op_listen.clone(),
        ca,
        keys,
        recorder,
        client_secret,
        app,
        client_jwks,
    };
    Provider::start(config).await.map_err(|fault: ListenFault| {
        let help = "Another run may be testing this application: wait until it has ended. Otherwise free the address, or set \
                    counterpart.op_listen to another one; the two next ports are used as well.";
        Error::prerequisite(fault.to_string(), help)
    })
}

/// Scheme, host and port of a URL.
pub fn origin(url: &str) -> String {
    url::Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

/// Finds out how a signed-in page is told from a signed-out one, or tries what the operator declared: one visit of nobody, one of a
/// signed-in user, and where nothing was declared one of a user whose login must fail.
///
/// # Errors
/// The application cannot be reached, no login arrives at the provider, or the two visits look alike.
pub async fn calibrate(world: &Arc<World>) -> Result<(), Error> {
    let stage = Stage::new(world.clone(), "app-login");
    let failed = |obstacle: Obstacle| Error::prerequisite(obstacle.message, obstacle.hint);
    let app = stage.app().map_err(failed)?;
    let protected = app.app.protected_url.as_str();

    let nobody = Visitor::new(&stage, "nobody").await.map_err(failed)?;
    let anonymous = nobody.open(&stage, protected, "protected page, nobody signed in").await.map_err(failed)?;
    if let Some(error) = anonymous.error.as_ref().filter(|_| anonymous.status == 0) {
        return Err(Error::prerequisite(
            format!("the application could not be reached at {protected}: {error}"),
            "Check app.protected_url, [network.resolve], network.ca_file and that the application is up; `ipsie-conform doctor` looks at each part.",
        ));
    }
    let declared = Rule::declared(&app.app.logged_in);
    if let Some(rule) = &declared
        && rule.holds(&anonymous)
    {
        return Err(Error::prerequisite(
            format!("app.logged_in does not tell who is signed in: {protected} shows {} to nobody as well", rule.describe()),
            "Declare a selector or text that only the page of a signed-in user has.",
        ));
    }

    let user = Visitor::new(&stage, "calibration").await.map_err(failed)?;
    let script = Script::of(&app.users[0]);
    user.start(&stage, script.clone().answer(), "first login").await.map_err(failed)?;
    app.provider.silence(&user.id);
    let signed_in = user.open(&stage, protected, "protected page, signed in").await.map_err(failed)?;
    let log = app.provider.log();
    if log.authorizations_of(&user.id).is_empty() {
        let contact = log.fetches.iter().any(|fetch| matches!(fetch.what, crate::counterpart::provider::Fetched::Metadata(_)));
        let why = if contact { "it did fetch the metadata" } else { "it did not fetch the metadata either" };
        return Err(Error::prerequisite(
            format!(
                "{} leads to no authorization request at the suite's provider {}; {why}",
                app.app.start(),
                app.provider.issuer()
            ),
            format!(
                "Configure the application with this issuer; it must be able to reach {} and trust counterpart.ca. Check app.start_url.",
                app.provider.places().iter().map(|(place, _)| format!("https://{place}")).collect::<Vec<_>>().join(", ")
            ),
        ));
    }
    let redeemed = log.tokens_of(&user.id).iter().any(|token| token.status == 200);
    match declared {
        Some(rule) => {
            let state = if rule.holds(&signed_in) { "is" } else { "is NOT" };
            let text =
                format!("the page of a signed-in user is told by {}; after the first login it {state} shown", rule.describe());
            (world.events)(Event::Note { text });
        }
        None => {
            let unlike = || {
                Error::prerequisite(
                    format!("nothing tells a signed-in user's page from anybody's at {protected}"),
                    "Declare [app.logged_in] with a selector or text that only a signed-in user's page has.",
                )
            };
            if !redeemed || signed_in.status >= 400 || signed_in.error.is_some() {
                return Err(Error::prerequisite(
                    format!(
                        "the first login did not succeed ({}; {protected} then answers with status {}), so the suite cannot learn what a signed-in page looks like",
                        if redeemed { "the code was redeemed" } else { "no token request succeeded" },
                        signed_in.status
                    ),
                    "Check client_id, client secret, app.id_token_alg and that the application trusts counterpart.ca; or declare [app.logged_in].",
                ));
            }
            let rule = Rule::calibrate(&anonymous, &signed_in).ok_or_else(unlike)?;
            let refused = Visitor::new(&stage, "calibration, refused").await.map_err(failed)?;
            refused
                .start(&stage, script.with(Twist::GarbageIdToken).answer(), "login with a broken ID token")
                .await
                .map_err(failed)?;
            app.provider.silence(&refused.id);
            let shown = refused.open(&stage, protected, "protected page after a broken login").await.map_err(failed)?;
            if rule.holds(&shown) {
                return Err(unlike());
            }
            (world.events)(Event::Note { text: format!("a signed-in page will be told by: {}", rule.describe()) });
            app.settle(rule);
        }
    }
    Ok(())
}
