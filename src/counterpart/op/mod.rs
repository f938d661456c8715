//! The reference identity service: an OpenID Provider that conforms to IPSIE SL2, with login pages, password, one-time code, and the
//! code of a second authenticator for those who ask for the higher class.
//!
//! ```text
//! TLS front ──> route ──> metadata | authorize + login | token | userinfo | logout | portal | operator
//! clear text ─> route::clear (redirects GET, refuses the rest)          UDP ─> dns
//! ```
//!
//! Every handler is a function from a request and the state to a reply. Nothing is global, so that many
//! instances can run in one process, each with its own [`Twist`]s.

mod access;
mod authorize;
mod classes;
mod client_auth;
mod commands;
pub(crate) mod dns;
mod dpop;
pub(super) mod hello;
pub(crate) mod http;
mod id_token;
mod login;
mod metadata;
mod operator;
mod pages;
mod portal;
mod provision;
mod request;
mod route;
mod state;
mod token;
pub mod totp;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::Algorithm;
use serde_json::Value;
use url::Url;
use wiremock::Request;

use super::twist::Twist;
use crate::model::target::ClientAuth;
use crate::stage::listener::{ClearServer, ListenFault, TestCa, TlsFront, TlsShape};
use crate::wire::jose::{SigningKey, random};
use state::{Account, State};

/// The class that every login of the service meets; also in `acr_values_supported`.
pub const ACR: &str = "urn:ipsie-conform:acr:mfa";
/// The higher class: the code of a second authenticator besides.
pub const ACR_HARDWARE: &str = "urn:ipsie-conform:acr:hardware";
/// The tenant its users belong to.
pub const TENANT: &str = "organization-1";

/// How a reference identity service starts.
#[derive(Clone, Debug)]
pub struct OpConfig {
    /// Address and port of the TLS endpoint; port 0 takes a free one. The other endpoints take free ports of the same address.
    pub listen: String,
    /// Issuer identifier: an https URL without path. UserInfo stands at `api.` before its host name.
    pub issuer: String,
    /// Clients that are registered from the start.
    pub clients: Vec<RegisteredClient>,
    /// Its users.
    pub users: Vec<OpUser>,
    /// Its defects; none for a conforming service.
    pub twists: Vec<Twist>,
    /// Who signs its certificates.
    pub ca: Arc<TestCa>,
    /// Bearer token of the operator hooks.
    pub hook_token: String,
}

/// A client that the service knows.
#[derive(Clone, Debug, Default)]
pub struct RegisteredClient {
    /// `client_id`.
    pub id: String,
    /// Complete redirect URIs, compared as strings.
    pub redirect_uris: Vec<String>,
    /// How it authenticates.
    pub auth: ClientAuth,
    /// Public keys as a JWK Set: `use` `sig` for assertions, `enc` for encrypted ID tokens.
    pub jwks: Value,
    /// Its secret, for the secret methods.
    pub secret: Option<String>,
    /// Sector of its pairwise subject identifiers; `None` gives public ones.
    pub pairwise_sector: Option<String>,
    /// Encrypt its ID tokens for the `enc` key of `jwks`.
    pub encrypt_id_token: bool,
    /// Where the portal's tile leads (OIDC Core 4).
    pub initiate_login_uri: Option<String>,
    /// Origin of its endpoints for commands, logout tokens and revocation requests.
    pub receiver: Option<String>,
}

/// A user of the service.
#[derive(Clone, Debug, Default)]
pub struct OpUser {
    /// What is typed as user name.
    pub name: String,
    /// The password.
    pub password: String,
    /// Base32 secret of the one-time codes.
    pub totp: String,
    /// As `totp`, of the second authenticator; empty for users who have none.
    pub hardware: String,
    /// May a one-time code be used again in another login within its time step? RFC 6238 5.2 wants it refused, and `false` does
    /// that. Test runs sign in several times within seconds, and would wait up to 30 s for a new code each time; no clause of
    /// SL1 looks at it, so the embedded users have `true`: a code then works once per login, not once per user.
    pub reusable_codes: bool,
}

/// A clock that tests can move forward.
#[derive(Debug, Default)]
struct Clock {
    skew_s: AtomicI64,
}

impl Clock {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX) + self.skew_s.load(Ordering::Relaxed) * 1000
    }
}

/// What all handlers share.
#[derive(Debug)]
struct Op {
    issuer: String,
    /// Origin of UserInfo.
    api: String,
    twists: Vec<Twist>,
    /// Signs ID tokens and is published.
    key: SigningKey,
    /// Under some defects: signs ID tokens instead.
    other_key: Option<SigningKey>,
    /// Makes pairwise subject identifiers unguessable.
    salt: String,
    hook_token: String,
    clock: Clock,
    /// Sends commands; the handlers themselves run elsewhere.
    runtime: tokio::runtime::Handle,
    state: Mutex<State>,
    /// Where the groups and roles of ID tokens come from, when it provisions.
    claims: OnceLock<provision::Claims>,
}

impl Op {
    /// Is it started with this defect?
    fn twist(&self, twist: Twist) -> bool {
        self.twists.contains(&twist)
    }

    /// Seconds since 1970.
    fn now(&self) -> i64 {
        self.clock.now_ms() / 1000
    }

    /// URL of a path at the issuer.
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }
}

/// A running reference identity service. Dropping it stops everything it started.
pub struct ReferenceOp {
    /// Its TLS endpoint; it serves every host name of the service.
    pub addr: SocketAddr,
    /// Its clear-text endpoint.
    pub http_addr: SocketAddr,
    /// Its DNS responder (UDP).
    pub dns_addr: SocketAddr,
    op: Arc<Op>,
    _front: TlsFront,
    _servers: [ClearServer; 2],
    _dns: dns::Responder,
}

impl std::fmt::Debug for ReferenceOp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReferenceOp({} at {})", self.op.issuer, self.addr)
    }
}

impl ReferenceOp {
    /// Starts a service. Fails when an address cannot be bound or `issuer` is no https URL with a host name.
    pub async fn start(config: OpConfig) -> Result<Self, ListenFault> {
        let bind = |address: &str, text: &str| ListenFault::Bind {
            address: address.into(),
            source: std::io::Error::other(text.to_owned()),
        };
        let (host, api_host, api) =
            hosts(&config.issuer).ok_or_else(|| bind(&config.issuer, "the issuer is not an https URL without path"))?;
        let unsigned = |error: crate::wire::jose::JoseError| bind(&config.listen, &error.to_string());
        let wrong_key = |twist| config.twists.contains(&twist);
        // The same key id in both cases: what is wrong is the key or the algorithm, not the reference to it.
        let other_key = if wrong_key(Twist::IdTokenAlg) {
            Some(SigningKey::generate("op-rs256", Algorithm::RS256).map_err(unsigned)?)
        } else if wrong_key(Twist::IdTokenSigned) {
            Some(SigningKey::generate("op-es256", Algorithm::ES256).map_err(unsigned)?)
        } else {
            None
        };
        let state = State {
            clients: config.clients.into_iter().map(|client| (client.id.clone(), client)).collect(),
            accounts: config.users.into_iter().map(|user| (user.name.clone(), Account::new(user))).collect(),
            session_lifetime_s: 3600,
            ..State::default()
        };
        let op = Arc::new(Op {
            issuer: config.issuer,
            api,
            twists: config.twists,
            key: SigningKey::generate("op-es256", Algorithm::ES256).map_err(unsigned)?,
            other_key,
            salt: random(16),
            hook_token: config.hook_token,
            clock: Clock::default(),
            runtime: tokio::runtime::Handle::current(),
            state: Mutex::new(state),
            claims: OnceLock::new(),
        });

        let ip = config.listen.rsplit_once(':').map_or("127.0.0.1", |(ip, _)| ip);
        let any_port = format!("{ip}:0");
        let tls = serve("127.0.0.1:0", op.clone(), route::tls).await?;
        let clear = serve(&any_port, op.clone(), route::clear).await?;
        let mut shape = TlsShape::default();
        if op.twist(Twist::TlsCertificateValid) {
            shape.instead = HashMap::from([(api_host.clone(), "another-host.test".to_owned())]);
        }
        let first = hello::obsolete_server(&op.twists, &host, &api_host);
        let front = TlsFront::start(config.ca, &config.listen, tls.addr, shape, first).await?;
        let dns = dns::Responder::start(&any_port, vec![host, api_host], !op.twist(Twist::Dnssec)).await?;
        Ok(ReferenceOp {
            addr: front.addr,
            http_addr: clear.addr,
            dns_addr: dns.addr,
            op,
            _front: front,
            _servers: [tls, clear],
            _dns: dns,
        })
    }

    /// Its issuer identifier.
    pub fn issuer(&self) -> &str {
        &self.op.issuer
    }

    /// The host names it serves: the issuer's, and the one of UserInfo.
    pub fn hosts(&self) -> [String; 2] {
        hosts(&self.op.issuer).map_or_else(Default::default, |(host, api, _)| [host, api])
    }

    /// Moves its clock forward, so that tests need not wait.
    pub fn advance(&self, seconds: i64) {
        self.op.clock.skew_s.fetch_add(seconds, Ordering::Relaxed);
    }
}

/// Host of the issuer, host of UserInfo, origin of UserInfo.
fn hosts(issuer: &str) -> Option<(String, String, String)> {
    let url = Url::parse(issuer).ok().filter(|url| url.scheme() == "https" && url.path() == "/" && !issuer.ends_with('/'))?;
    let host = url.host_str()?.to_owned();
    // An address has no names below it.
    let api_host = if url.domain().is_some() { format!("api.{host}") } else { host.clone() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let api = format!("https://{api_host}{port}");
    Some((host, api_host, api))
}

async fn serve(
    listen: &str,
    op: Arc<Op>,
    handler: fn(&Op, &mut State, &http::In<'_>) -> http::Reply,
) -> Result<ClearServer, ListenFault> {
    let respond = move |raw: &Request| {
        let mut state = op.state.lock().unwrap_or_else(PoisonError::into_inner);
        handler(&op, &mut state, &http::In::read(raw)).template()
    };
    ClearServer::start(listen, respond).await
}

#[cfg(test)]
mod tests;
