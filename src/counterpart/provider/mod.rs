//! The OpenID Provider that the suite plays for an application under test.
//!
//! ```text
//! front    issuer, authorization endpoint, end session    what the browser sees; discovery
//! back     token endpoint, PAR, JWK Set                   the application's back channel
//! resource UserInfo                                       an origin of its own, so that DPoP nonces are kept apart
//! ```
//!
//! It conforms unless a [`Twist`] tells it otherwise. Twists belong to one authorization request of one browser context: a context is
//! known by a cookie, its next requests are answered as its [`Answer`]s say, and a request that nobody answers is left open. So logins
//! run in parallel at an application that knows only one issuer. It records what arrives and judges nothing.

mod authorize;
mod callback;
mod client;
mod forge;
pub mod forgery;
mod handle;
mod id_token;
pub mod log;
mod metadata;
mod proof;
mod refresh;
pub mod script;
mod state;
mod token;
mod userinfo;
mod weak_key;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jsonwebtoken::Algorithm;
use serde_json::Value;
use tokio::sync::RwLock;

use crate::model::target::App;
use crate::stage::front::Front;
use crate::stage::listener::{ClearServer, ListenFault, TestCa};
use crate::stage::recorder::Recorder;
use crate::wire::jose::{SigningKey, sha256_b64, thumbprint};
pub use callback::Callback;
pub use forgery::Forgery;
pub use log::{Authorization, Fetch, Fetched, Log, TokenRequest, UserInfoRequest};
pub use script::{Answer, Script, Subject, Twist};
use state::State;

/// `sub` of the stranger whom UserInfo presents under a twist.
pub const FOREIGN_SUB: &str = "suite-stranger";
/// That stranger's name.
pub const FOREIGN_NAME: &str = "Stranger of the Suite";
/// That stranger's email address.
pub const FOREIGN_EMAIL: &str = "stranger@ipsie-conform.test";

/// Last path segment of the issuer that no application is configured with.
const FOREIGN: &str = "elsewhere";
/// Last path segment of another such issuer, whose keys can be fetched.
const STRANGER: &str = "stranger";

/// Names a browser context at the provider.
pub type ContextId = String;

/// How the provider starts.
pub struct ProviderConfig {
    /// Issuer identifier, as the application is configured with it.
    pub issuer: String,
    /// Address and port of the front; the other two take the next ports, or free ones where it is 0.
    pub listen: String,
    /// Signs its certificates; the application trusts it.
    pub ca: Arc<TestCa>,
    /// Its signing keys; the first one is for ID tokens.
    pub keys: ProviderKeys,
    /// Where exchanges are recorded.
    pub recorder: Arc<Recorder>,
    /// The application's client secret, to see whether it authenticates with it.
    pub client_secret: Option<String>,
    /// The application, for its client identifiers and expectations.
    pub app: App,
    /// The application's public keys (JWK Set); `null` where none are known.
    pub client_jwks: Value,
}

/// The signing keys of the provider.
#[derive(Clone, Debug)]
pub struct ProviderKeys {
    /// Signs ID tokens with the algorithm the application expects.
    pub main: SigningKey,
    /// RSA, for RS256: what IPSIE does not allow.
    pub rs256: SigningKey,
    /// Added to the JWK Set during the run.
    pub rotated: SigningKey,
    /// Never published.
    pub foreign: SigningKey,
}

impl ProviderKeys {
    /// Keys for this algorithm. `es256` and `rsa` (PKCS#8) live as long as the keys file, so that an application which caches the
    /// JWK Set knows them in the next run as well.
    ///
    /// # Errors
    /// A key cannot be made, or the algorithm is unknown.
    pub fn new(alg: &str, es256: &SigningKey, rsa: &SigningKey) -> Result<Self, crate::wire::jose::JoseError> {
        let kid = |key: &SigningKey, what: &str| format!("{what}-{}", &thumbprint(key.jwk())[..8]);
        let named = |what: &str, alg, der: &[u8], like: &SigningKey| SigningKey::from_pkcs8(&kid(like, what), alg, der);
        let main = match alg {
            "ES256" => named("op", Algorithm::ES256, es256.pkcs8(), es256)?,
            "PS256" => named("op-ps", Algorithm::PS256, rsa.pkcs8(), rsa)?,
            "RS256" => named("op-rs", Algorithm::RS256, rsa.pkcs8(), rsa)?,
            "EdDSA" | "Ed25519" => {
                let key = SigningKey::generate("op-ed", Algorithm::EdDSA)?;
                named("op-ed", Algorithm::EdDSA, key.pkcs8(), &key)?
            }
            other => {
                return Err(crate::wire::jose::JoseError(format!(
                    "app.id_token_alg `{other}` is not ES256, PS256, EdDSA or RS256"
                )));
            }
        };
        // With the algorithm the application takes: what is tried with them shall not be refused for the algorithm.
        let fresh = |what: &str| {
            let key = SigningKey::generate(what, main.alg)?;
            named(what, main.alg, key.pkcs8(), &key)
        };
        Ok(ProviderKeys {
            rs256: named("rs256", Algorithm::RS256, rsa.pkcs8(), rsa)?,
            rotated: fresh("rotated")?,
            foreign: fresh("foreign")?,
            main,
        })
    }
}

/// What all handlers share.
pub(crate) struct Shared {
    issuer: String,
    /// Path of the issuer, without a slash at its end.
    base: String,
    back: String,
    resource: String,
    /// Path segment that no application can guess: endpoints stand below it, so that only the metadata leads there.
    secret_path: String,
    keys: ProviderKeys,
    app: App,
    client_secret: Option<String>,
    client_jwks: Mutex<Arc<Value>>,
    recorder: Mutex<Arc<Recorder>>,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The application's registered keys; `null` where none are known.
    fn client_jwks(&self) -> Arc<Value> {
        Arc::clone(&self.client_jwks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn recorder(&self) -> Arc<Recorder> {
        Arc::clone(&self.recorder.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Issuer 0 is the main one, 1 the second one.
    fn issuer(&self, which: usize) -> String {
        if which == 0 { self.issuer.clone() } else { format!("{}/second", self.issuer) }
    }

    /// An issuer that a response of this one must not name. Where the application has two connections it is that of the other one: an
    /// application that takes any issuer it knows is open to a mix-up (RFC 9207), and one that takes every issuer takes this one too.
    fn wrong_issuer(&self, which: usize) -> String {
        if self.app.second.is_some() { self.issuer(1 - which.min(1)) } else { "https://another-issuer.example".to_owned() }
    }

    /// `client_id` at this issuer.
    fn client_id(&self, which: usize) -> &str {
        match (&self.app.second, which) {
            (Some(second), 1) => &second.client_id,
            _ => &self.app.client_id,
        }
    }

    fn authorization_path(&self, which: usize) -> String {
        format!("{}/{}{which}/sign-in", self.base, self.secret_path)
    }

    /// The authorization endpoint in metadata with a pretended issuer: who comes here has used them.
    fn pretended_path(&self, which: usize) -> String {
        format!("{}-again", self.authorization_path(which))
    }

    fn bait(&self) -> String {
        format!("{}{}", self.back, self.back_path(0, "bait"))
    }

    fn foreign_issuer(&self) -> String {
        format!("{}/{}/{FOREIGN}", self.issuer.trim_end_matches('/'), self.secret_path)
    }

    fn stranger_issuer(&self) -> String {
        format!("{}/{}/{STRANGER}", self.issuer.trim_end_matches('/'), self.secret_path)
    }

    fn back_path(&self, which: usize, what: &str) -> String {
        format!("/{}{which}/{what}", self.secret_path)
    }
}

/// A running provider. Dropping it stops it.
pub struct Provider {
    shared: Arc<Shared>,
    /// Issuer, authorization endpoint, discovery.
    pub front: Front,
    /// Token endpoint, PAR, JWK Set.
    pub back: Front,
    /// UserInfo.
    pub resource: Front,
    gate: RwLock<()>,
    _servers: [ClearServer; 3],
}

impl Provider {
    /// Starts it.
    ///
    /// # Errors
    /// An address cannot be bound, or the issuer is no https URL.
    pub async fn start(config: ProviderConfig) -> Result<Self, ListenFault> {
        let wrong =
            |text: &str| ListenFault::Bind { address: config.issuer.clone(), source: std::io::Error::other(text.to_owned()) };
        let url = url::Url::parse(&config.issuer).ok().filter(|url| url.scheme() == "https");
        let url = url.ok_or_else(|| wrong("the issuer is not an https URL"))?;
        let host = url.host_str().ok_or_else(|| wrong("the issuer has no host"))?.to_owned();
        let (ip, port) = config.listen.rsplit_once(':').unwrap_or(("127.0.0.1", "0"));
        let port: u16 = port.parse().map_err(|_| wrong("counterpart.op_listen is not address:port"))?;
        let at = |offset: u16| format!("{ip}:{}", if port == 0 { 0 } else { port.saturating_add(offset) });

        // The three addresses stand in the metadata, so the endpoints come before the state that names them.
        let slot: Arc<std::sync::OnceLock<Arc<Shared>>> = Arc::default();
        let serve = |part: handle::Part| {
            let slot = Arc::clone(&slot);
            ClearServer::start("127.0.0.1:0", move |raw: &wiremock::Request| handle::respond(slot.get(), part, raw))
        };
        let servers = [serve(handle::Part::Front).await?, serve(handle::Part::Back).await?, serve(handle::Part::Resource).await?];
        let front = Front::start(config.ca.clone(), &at(0), host.clone(), servers[0].addr).await?;
        let back = Front::start(config.ca.clone(), &at(1), host.clone(), servers[1].addr).await?;
        let resource = Front::start(config.ca.clone(), &at(2), host.clone(), servers[2].addr).await?;
        let origin = |addr: SocketAddr| format!("https://{}:{}", url.host_str().unwrap_or_default(), addr.port());
        // The same in every run against this application: what it has cached stays valid.
        let seed =
            format!("{}\n{}\n{}", config.issuer, config.app.client_id, config.client_secret.as_deref().unwrap_or_default());
        let shared = Arc::new(Shared {
            base: url.path().trim_end_matches('/').to_owned(),
            issuer: config.issuer,
            back: origin(back.addr),
            resource: origin(resource.addr),
            secret_path: sha256_b64(seed).replace(['-', '_'], "x")[..12].to_owned(),
            keys: config.keys,
            app: config.app,
            client_secret: config.client_secret,
            client_jwks: Mutex::new(Arc::new(config.client_jwks)),
            recorder: Mutex::new(config.recorder),
            state: Mutex::default(),
        });
        let _ = slot.set(Arc::clone(&shared));
        Ok(Provider { shared, front, back, resource, gate: RwLock::new(()), _servers: servers })
    }

    /// What arrives from now on is recorded here.
    pub fn record_to(&self, recorder: &Arc<Recorder>) {
        *self.shared.recorder.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(recorder);
    }

    /// Its issuer identifier.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// The issuer identifier of the second connection.
    pub fn second_issuer(&self) -> String {
        self.shared.issuer(1)
    }

    /// The keys it signs with.
    pub fn keys(&self) -> &ProviderKeys {
        &self.shared.keys
    }

    /// `host:port` of its three endpoints and where they listen: for whoever must reach them by name.
    pub fn places(&self) -> Vec<(String, SocketAddr)> {
        let place = |text: &str, addr: SocketAddr| {
            let url = url::Url::parse(text).ok();
            url.and_then(|url| Some((format!("{}:{}", url.host_str()?, url.port_or_known_default()?), addr)))
        };
        [(&self.shared.issuer, self.front.addr), (&self.shared.back, self.back.addr), (&self.shared.resource, self.resource.addr)]
            .into_iter()
            .filter_map(|(text, addr)| place(text, addr))
            .collect()
    }

    /// Held while a browser talks to the application, unless the provider shows a departure that everybody would see.
    pub async fn shared(&self) -> tokio::sync::RwLockReadGuard<'_, ()> {
        self.gate.read().await
    }

    /// Held while the provider shows a departure that everybody would see: a certificate, metadata.
    pub async fn exclusive(&self) -> tokio::sync::RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// Makes a browser context known; what it causes is recorded under this scenario and step. Visiting the URL plants the cookie.
    pub fn admit(&self, scenario: &'static str, label: &str) -> (ContextId, String) {
        let id = crate::wire::jose::random(12);
        self.shared.state().contexts.insert(id.clone(), state::ContextState::new(scenario, label));
        let url = format!("{}/context/{id}", self.shared.issuer);
        (id, url)
    }

    /// How the next unanswered authorization request of a context is answered, after those that were told before.
    pub fn tell(&self, context: &str, answer: Answer) {
        if let Some(known) = self.shared.state().contexts.get_mut(context) {
            known.answers.push_back(answer);
        }
    }

    /// What a context was told and did not use yet is forgotten: its next requests are left open.
    pub fn silence(&self, context: &str) {
        if let Some(known) = self.shared.state().contexts.get_mut(context) {
            known.answers.clear();
        }
    }

    /// Words for what a context is doing now, written on what it causes.
    pub fn step(&self, context: &str, step: &str) {
        if let Some(known) = self.shared.state().contexts.get_mut(context) {
            step.clone_into(&mut known.step);
        }
    }

    /// The URL of an authorization response to this (held) request, answered by this script, without any browser: what an attacker
    /// or a test feeds to a browser of its choice.
    pub fn response(&self, request: &Authorization, script: Script) -> Option<String> {
        authorize::response_url(&self.shared, request, script)
    }

    /// A code that no authorization request asked for, which the token endpoint accepts with any verifier.
    pub fn unsolicited_code(&self, context: &str, script: Script) -> String {
        authorize::unsolicited(&self.shared, context, script)
    }

    /// An ID token for this subject that nobody asked for, with this nonce.
    pub fn unsolicited_id_token(&self, script: &Script, nonce: Option<&str>) -> String {
        id_token::make(&self.shared, 0, script, nonce, None)
    }

    /// How refresh tokens of this context are answered from now on; `None` for the conforming answer.
    pub fn refresh_answer(&self, context: &str, twist: Option<Twist>) {
        if let Some(known) = self.shared.state().contexts.get_mut(context) {
            known.refresh = twist;
        }
    }

    /// The session identifiers (`sid`) it has put into ID tokens for this context, oldest first.
    pub fn sids(&self, context: &str) -> Vec<String> {
        self.shared.state().contexts.get(context).map(|known| known.sids.clone()).unwrap_or_default()
    }

    /// Publishes one more key, or a JWK that is no key of ours, in the JWK Set.
    pub fn publish(&self, jwk: Value) {
        self.shared.state().more_keys.push(jwk);
    }

    /// Takes a key that was published back.
    pub fn withdraw(&self, jwk: &Value) {
        self.shared.state().more_keys.retain(|known| known["kid"] != jwk["kid"]);
    }

    /// The public half of the key of [`Forgery::StrongKey`], to be published.
    pub fn strong_jwk(&self) -> Option<Value> {
        forge::strong_key(&self.shared).map(|key| key.jwk().clone())
    }

    /// The public half of the key of [`Forgery::WeakKey`], to be published.
    pub fn weak_jwk(&self) -> Value {
        weak_key::jwk(forge::weak_alg(&self.shared))
    }

    /// The key of the application that ID tokens can be encrypted for; `None` where it registered none that the suite can use.
    pub fn encryption_key(&self) -> Option<Value> {
        forge::encryption_key(&self.shared.client_jwks()).cloned()
    }

    /// The algorithm that conforming ID tokens are signed with (RFC 7518 name).
    pub fn id_token_alg(&self) -> &'static str {
        crate::wire::jose::alg_name(self.shared.keys.main.alg)
    }

    /// Can this forgery be made at this application, and would it be one?
    pub fn can(&self, forgery: Forgery) -> bool {
        forge::possible(&self.shared, forgery)
    }

    /// What the metadata of an issuer (0 main, 1 second) says as `issuer`; `None` for the truth. Only under [`Provider::exclusive`].
    pub fn pretend(&self, which: usize, issuer: Option<String>) {
        let mut state = self.shared.state();
        match issuer {
            Some(issuer) => drop(state.pretended.insert(which, issuer)),
            None => drop(state.pretended.remove(&which)),
        }
    }

    /// Every token that the back channel handed out, with what it is.
    pub fn issued(&self) -> Vec<(String, String)> {
        let state = self.shared.state();
        let named = |what: &'static str| move |token: &String| (token.clone(), what.to_owned());
        let mut out: Vec<(String, String)> = state.access.keys().map(named("an access token")).collect();
        out.extend(state.refresh.keys().map(named("a refresh token")));
        out.extend(state.id_tokens.iter().map(named("an ID token")));
        out
    }

    /// Registers the application's public keys (a JWK Set).
    pub fn register_keys(&self, jwks: Value) {
        *self.shared.client_jwks.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(jwks);
    }

    /// The application's registered public keys.
    pub fn client_keys(&self) -> Vec<Value> {
        self.shared.client_jwks()["keys"].as_array().cloned().unwrap_or_default()
    }

    /// What has arrived so far.
    pub fn log(&self) -> Arc<Log> {
        self.shared.state().log.clone()
    }

    /// The DPoP nonces that the token endpoint, or UserInfo (`resource`), has handed out, oldest first; the last one is in force.
    pub fn nonces(&self, resource: bool) -> Vec<String> {
        self.shared.state().nonces.get(&resource).cloned().unwrap_or_default()
    }

    /// An issuer that no application is configured with. It has metadata, whose authorization endpoint is at the host of the open
    /// redirector probes; whoever reads them shows as [`Fetched::Foreign`] in the log. It begins like the main issuer.
    pub fn foreign_issuer(&self) -> String {
        self.shared.foreign_issuer()
    }

    /// An issuer that no application is configured with, with metadata and a JWK Set of its own, whose key is [`ProviderKeys::foreign`].
    /// Whoever reads either shows as [`Fetched::Stranger`] in the log.
    pub fn stranger_issuer(&self) -> String {
        self.shared.stranger_issuer()
    }

    /// A URL that nobody has reason to fetch; [`Fetched::Bait`] in the log when somebody does.
    pub fn bait(&self) -> String {
        self.shared.bait()
    }
}
