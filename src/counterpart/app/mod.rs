//! The reference application: a relying party that conforms to IPSIE SL1 and SL2, with pages, an API, own tokens and the three ways to
//! receive session commands.
//!
//! ```text
//! TLS front ──> route ──> site | login, callback | own tokens | commands, logout token, revocation | operator
//! clear text ─> route::clear (redirects GET, refuses the rest)          UDP ─> dns
//!                 login, callback, session (renewal) ──> provider, tokens, jws, id_token ──> outgoing ──> the provider
//! ```
//!
//! Handlers wait for the provider, so the state is locked for moments only and never across a wait. Nothing is global: many instances run
//! in one process, each with its own [`Defect`]s.

mod accounts;
mod callback;
mod commands;
mod defect;
mod http;
mod id_token;
mod jws;
mod lifecycle;
mod local_user;
mod login;
mod logout_token;
mod outgoing;
mod own_tokens;
mod pages;
mod people;
mod provider;
mod revocation;
mod revoke;
mod roles;
mod route;
mod scim;
mod session;
mod site;
mod state;
mod surface;
mod tenant_commands;
mod tokens;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use hyper::body::Bytes;
use hyper::{Request, Response};
use jiff::Timestamp;
use url::Url;

use super::op::{dns, hello};
use super::scim_server::{Authority, Engine, Quirk};
use super::twist::Twist;
use crate::stage::async_server::AsyncServer;
use crate::stage::listener::{ListenFault, TestCa, TlsFront, TlsShape};
use crate::stage::resolve::Resolve;
use crate::wire::jose::{SigningKey, random};
use crate::wire::jwe::DecryptionKey;
pub use defect::Defect;
pub use local_user::{EMAIL as LOCAL_EMAIL, PASSWORD as LOCAL_PASSWORD, SUB as LOCAL_SUB};
pub use roles::{MAPPING as ROLE_MAPPING, catalogue as role_catalogue};
pub use scim::{BASE as SCIM_BASE, CLIENTS as SCIM_CLIENTS, ISSUER as SCIM_ISSUER, Provisioning, TOKEN as SCIM_TOKEN};

/// Host name of pages, redirect URI and login initiation. `.test` is never in the DNS (RFC 6761).
pub const HOST: &str = "app.ipsie-conform-target.test";
/// Host name of the endpoints that no browser visits.
pub const API_HOST: &str = "api.app.ipsie-conform-target.test";

/// The application's private keys; the public halves stand at `/jwks.json`.
#[derive(Clone, Debug)]
pub struct AppKeys {
    /// Signs client assertions; ES256.
    pub signing: SigningKey,
    /// Decrypts ID tokens.
    pub encryption: DecryptionKey,
}

impl AppKeys {
    /// Fresh keys; takes some tenths of a second (one RSA key).
    ///
    /// # Errors
    /// The crypto library gave no key.
    pub fn generate() -> Result<Self, crate::wire::jose::JoseError> {
        Ok(AppKeys {
            signing: SigningKey::generate("app-es256", jsonwebtoken::Algorithm::ES256)?,
            encryption: DecryptionKey::generate("app-enc")?,
        })
    }
}

/// How a reference application starts.
#[derive(Clone, Debug)]
pub struct AppConfig {
    /// Address and port of the TLS endpoint; port 0 takes a free one. The other endpoints take free ports of the same address.
    pub listen: String,
    /// Issuer identifier of its provider.
    pub issuer: String,
    /// Issuer identifier of a second provider, reached by `/login?connection=second`.
    pub second_issuer: Option<String>,
    /// Its `client_id`.
    pub client_id: String,
    /// Its `client_id` at the second provider.
    pub second_client_id: String,
    /// Its keys, for both providers.
    pub keys: AppKeys,
    /// The authentication class it asks for and demands.
    pub required_acr: Option<String>,
    /// Does it ask for refresh tokens, and renew sessions with them at `session_expiry`?
    pub refresh: bool,
    /// DER certificates of the only authorities it trusts; none takes the public ones.
    pub roots: Vec<Vec<u8>>,
    /// Who signs its own certificates.
    pub ca: Arc<TestCa>,
    /// Its defects; none for a conforming application.
    pub defects: Vec<Defect>,
    /// Bearer token of the operator hook.
    pub hook_token: String,
    /// Bearer tokens of global token revocation, for the users of the first and of the second issuer; empty ones are never accepted.
    pub revocation_tokens: [String; 2],
    /// The value of `tenant` in ID tokens of users who are provisioned; empty for none.
    pub tenant: String,
    /// `sub` of its administrator, at the first issuer and in that tenant.
    pub admin: String,
    /// Who provisions, and how.
    pub provisioning: scim::Provisioning,
    /// `host:port` (or as [`Resolve`] says) and the address it is found at, for its own calls.
    pub resolve: Vec<(String, SocketAddr)>,
}

/// What all handlers share.
struct App {
    config: AppConfig,
    origin: String,
    api_origin: String,
    outgoing: Arc<outgoing::Outgoing>,
    credentials: tokens::Credentials,
    encryption: Option<DecryptionKey>,
    constant_verifier: String,
    providers: Mutex<HashMap<usize, provider::Provider>>,
    keys: tokio::sync::Mutex<HashMap<usize, provider::Keys>>,
    renewing: tokio::sync::Mutex<()>,
    scim: Engine,
    authority: Authority,
    joining: Mutex<()>,
    skew_s: Arc<AtomicI64>,
    state: Mutex<state::State>,
}

impl App {
    fn new(config: AppConfig) -> Result<Self, String> {
        let more = config.resolve.iter().map(|(host, address)| (host.as_str(), *address));
        let resolve = Resolve::new(&BTreeMap::new(), more)?;
        let api_origin = format!("https://{API_HOST}");
        let skew_s = Arc::new(AtomicI64::new(0));
        let skew = skew_s.clone();
        let clock = Arc::new(move || Timestamp::now().as_second() + skew.load(Ordering::Relaxed));
        let local = local_user::account(&config);
        Ok(App {
            origin: format!("https://{HOST}"),
            scim: scim::engine(&config, format!("{api_origin}{}", scim::BASE)),
            authority: scim::authority(&config, &api_origin, clock),
            joining: Mutex::default(),
            api_origin,
            outgoing: Arc::new(outgoing::Outgoing::new(&config.roots, resolve, &config.defects)?),
            credentials: tokens::Credentials::new(&config.keys.signing, &config.defects).map_err(|error| error.to_string())?,
            encryption: Some(config.keys.encryption.clone()),
            constant_verifier: random(32),
            providers: Mutex::default(),
            keys: tokio::sync::Mutex::default(),
            renewing: tokio::sync::Mutex::default(),
            skew_s,
            state: Mutex::new(state::State {
                catalogue: roles::catalogue(),
                accounts: HashMap::from([(local.id.clone(), local)]),
                ..state::State::default()
            }),
            config,
        })
    }

    /// Is it started with this defect?
    fn has(&self, defect: Defect) -> bool {
        self.config.defects.contains(&defect)
    }

    /// Seconds since 1970.
    fn now(&self) -> i64 {
        Timestamp::now().as_second() + self.skew_s.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, state::State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_providers(&self) -> MutexGuard<'_, HashMap<usize, provider::Provider>> {
        self.providers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    fn api_url(&self, path: &str) -> String {
        format!("{}{path}", self.api_origin)
    }

    fn redirect_uri(&self) -> String {
        let scheme = if self.has(Defect::RedirectUriHttps) { "http" } else { "https" };
        format!("{scheme}://{HOST}/callback")
    }

    fn command_endpoint(&self) -> String {
        self.api_url("/commands")
    }

    fn connections(&self) -> usize {
        1 + usize::from(self.config.second_issuer.is_some())
    }

    fn issuer(&self, connection: usize) -> Option<&str> {
        if connection == 0 { Some(&self.config.issuer) } else { self.config.second_issuer.as_deref() }
    }

    /// The connection with exactly this issuer.
    fn connection(&self, issuer: &str) -> Option<usize> {
        (0..self.connections()).find(|connection| self.issuer(*connection) == Some(issuer))
    }

    fn client_id(&self, connection: usize) -> &str {
        if connection == 0 { &self.config.client_id } else { &self.config.second_client_id }
    }

    /// Where a browser goes after login or logout: to a page of the application, whatever was asked for; with `anywhere` also elsewhere.
    fn return_to(&self, asked: Option<&str>, anywhere: bool) -> String {
        let home = self.url("/protected");
        let (Some(asked), Ok(own)) = (asked, Url::parse(&self.origin)) else { return home };
        match own.join(asked) {
            Ok(url) if url.origin() == own.origin() => url.into(),
            Ok(url) if anywhere && url.has_host() => url.into(),
            _ => home,
        }
    }
}

/// A running reference application. Dropping it stops everything it started.
pub struct ReferenceApp {
    /// Its TLS endpoint; it serves both host names.
    pub addr: SocketAddr,
    /// Its clear-text endpoint.
    pub http_addr: SocketAddr,
    /// Its DNS responder (UDP).
    pub dns_addr: SocketAddr,
    app: Arc<App>,
    _front: TlsFront,
    _servers: [AsyncServer; 2],
    _dns: dns::Responder,
}

impl std::fmt::Debug for ReferenceApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReferenceApp({HOST} at {})", self.addr)
    }
}

impl ReferenceApp {
    /// Starts an application. It calls nobody before the first login.
    ///
    /// # Errors
    /// An address cannot be bound, or a key or root cannot be used.
    pub async fn start(config: AppConfig) -> Result<Self, ListenFault> {
        let (listen, ca) = (config.listen.clone(), config.ca.clone());
        let app = App::new(config);
        let unusable = |text| ListenFault::Bind { address: listen.clone(), source: std::io::Error::other(text) };
        let app = Arc::new(app.map_err(unusable)?);
        let weak = Arc::downgrade(&app);
        app.scim.on_change(Box::new(move |change| {
            if let Some(app) = weak.upgrade() {
                people::changed(&app, change);
            }
        }));
        let ip = listen.rsplit_once(':').map_or("127.0.0.1", |(ip, _)| ip);
        let any_port = format!("{ip}:0");
        let (over_tls, in_clear) = (app.clone(), app.clone());
        let tls = AsyncServer::start("127.0.0.1:0", move |raw| answer(over_tls.clone(), raw, true)).await?;
        let clear = AsyncServer::start(&any_port, move |raw| answer(in_clear.clone(), raw, false)).await?;
        let mut shape = TlsShape::default();
        if app.has(Defect::TlsCertificateValid) {
            shape.instead = HashMap::from([(API_HOST.to_owned(), "another-host.test".to_owned())]);
        }
        let front = TlsFront::start(ca, &listen, tls.addr, shape, obsolete_server(&app)).await?;
        let hosts = vec![HOST.to_owned(), API_HOST.to_owned()];
        let dns = dns::Responder::start(&any_port, hosts, !app.has(Defect::Dnssec)).await?;
        Ok(ReferenceApp {
            addr: front.addr,
            http_addr: clear.addr,
            dns_addr: dns.addr,
            app,
            _front: front,
            _servers: [tls, clear],
            _dns: dns,
        })
    }

    /// Makes users that nobody asks for, so that its first tenant is not empty.
    pub fn populate(&self, users: usize) {
        for number in 1..=users {
            people::inhabitant(&self.app, number);
        }
    }

    /// Moves its clock forward, so that tests need not wait.
    pub fn advance(&self, seconds: i64) {
        self.app.skew_s.fetch_add(seconds, Ordering::Relaxed);
    }
}

fn answer(app: Arc<App>, raw: Request<Bytes>, over_tls: bool) -> BoxFuture<'static, Response<Bytes>> {
    Box::pin(async move {
        let request = http::In::read(raw);
        let reply = if over_tls { route::tls(&app, &request).await } else { route::clear(&app, &request).await };
        http::response(reply)
    })
}

/// The obsolete settings are those of the reference identity service: at the host of the pages, and at that of the SCIM interface.
fn obsolete_server(app: &App) -> Option<crate::stage::listener::FirstBytes> {
    let twists: Vec<Twist> =
        [(Defect::Tls12MinimumServer, Twist::Tls12Minimum), (Defect::Tls12CiphersServer, Twist::Tls12CiphersBackchannel)]
            .into_iter()
            .filter(|(defect, _)| app.has(*defect))
            .map(|(_, twist)| twist)
            .collect();
    let pages = hello::obsolete_server(&twists, HOST, HOST);
    // That twist accepts 3DES.
    let weak = app.scim.has(Quirk::TlsFloor).then_some(Twist::Tls12CiphersBrowser);
    pages.or_else(|| hello::obsolete_server(weak.as_slice(), API_HOST, API_HOST))
}

#[cfg(test)]
mod tests;
