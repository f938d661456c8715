//! Who may use the SCIM interface: bearer tokens of the application's own authorization server (RFC 7523 assertions), of the
//! identity service's authorization server (JWT access tokens), or handed out by an administrator.

use std::sync::Arc;

use serde_json::Value;

use super::quirk::Quirk;
use super::{Caller, Refusal, Request, Response};

/// Where access tokens come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// From the application's own token endpoint, for a signed assertion.
    #[default]
    AppAs,
    /// From the authorization server of the identity service: JWTs, checked by its JWK Set.
    IdpAs,
    /// Handed out by an administrator, without end.
    Static,
}

/// The provisioning client of a tenant.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The tenant it is authorised for.
    pub tenant: String,
    /// Its client identifier: iss and sub of assertions. For [`Layout::IdpAs`] the `client_id`, `azp` or `sub` of tokens; empty for any.
    pub client_id: String,
    /// Its issuer: the identity service that signs tokens of [`Layout::IdpAs`]; also allowed as iss of assertions for the jwt-bearer grant.
    pub issuer: String,
    /// Public keys for assertions and tokens. Replaced by [`Authority::set_keys`].
    pub keys: Value,
    /// Its token of [`Layout::Static`].
    pub token: Option<String>,
}

/// Seconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How tokens are issued and checked.
#[derive(Clone)]
pub struct AuthConfig {
    /// Where tokens come from.
    pub layout: Layout,
    /// Issuer of the application's authorization server, without a slash at its end.
    pub issuer: String,
    /// Its token endpoint.
    pub token_endpoint: String,
    /// The audience of access tokens: the URL of the SCIM interface.
    pub audience: String,
    /// The clients, one per tenant or more.
    pub clients: Vec<Client>,
    /// Life of issued access tokens in seconds.
    pub lifetime: i64,
    /// Issue opaque tokens instead of JWTs?
    pub opaque: bool,
    /// Deliberate departures.
    pub quirks: Vec<Quirk>,
    /// The time.
    pub clock: Clock,
}

impl Default for AuthConfig {
    fn default() -> Self {
        AuthConfig {
            layout: Layout::AppAs,
            issuer: "http://localhost".into(),
            token_endpoint: "http://localhost/token".into(),
            audience: "http://localhost/scim/v2".into(),
            clients: Vec::new(),
            lifetime: 120,
            opaque: false,
            quirks: Vec::new(),
            clock: Arc::new(|| jiff::Timestamp::now().as_second()),
        }
    }
}

/// Decides who calls, and issues access tokens. Share it behind an `Arc`.
pub struct Authority {
    config: AuthConfig,
}

impl Authority {
    /// An authority that has issued nothing yet.
    pub fn new(config: AuthConfig) -> Self {
        Authority { config }
    }

    /// Does it depart in this way?
    pub fn has(&self, quirk: Quirk) -> bool {
        self.config.quirks.contains(&quirk)
    }

    /// Who sent this request, by its Authorization header.
    pub fn caller(&self, _request: &Request) -> Caller {
        Caller::Nobody(Refusal::NoToken)
    }

    /// Answers a request to the token endpoint (form parameters decoded, header names in lower case).
    pub fn token(&self, _form: &[(String, String)], _headers: &[(String, String)]) -> Response {
        Response { status: 501, headers: Vec::new(), body: None }
    }

    /// The authorization server metadata (RFC 8414) to serve at [`Authority::metadata_path`].
    pub fn metadata(&self) -> Response {
        Response { status: 501, headers: Vec::new(), body: None }
    }

    /// The path of the metadata at the host of the issuer: `/.well-known/oauth-authorization-server`, then the path of the issuer.
    pub fn metadata_path(&self) -> String {
        String::new()
    }

    /// Replaces the public keys of every client with this issuer, as after fetching its `jwks_uri`.
    pub fn set_keys(&self, _issuer: &str, _keys: Value) {}

    /// The issuer whose keys should be fetched before [`Authority::caller`] or [`Authority::token`] looks at this JWT: its key id
    /// is not among those that are known.
    pub fn missing_key(&self, _jwt: &str) -> Option<String> {
        None
    }

    /// Does the token of this request open another API of the application than SCIM? Only with [`Quirk::ScopeNotBroader`].
    pub fn opens_other_api(&self, _request: &Request) -> bool {
        false
    }
}
