//! Who may use the SCIM interface: bearer tokens of the application's own authorization server (RFC 7523 assertions), of the
//! identity service's authorization server (JWT access tokens), or handed out by an administrator.

mod metadata;
#[cfg(test)]
mod tests;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::quirk::Quirk;
use super::{Caller, Refusal, Request, Response};
use crate::wire::jose::{self, Jws, SigningKey};

/// The scope that the SCIM interface needs.
pub const SCOPE: &str = "scim";

/// Signatures of assertions and access tokens.
const ALGORITHMS: [&str; 4] = ["ES256", "PS256", "EdDSA", "Ed25519"];

/// By how much clocks may differ, seconds.
const SKEW: i64 = 30;

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
    /// Signs access tokens; without one they are opaque.
    key: Option<SigningKey>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The keys of each client, in the order of the configuration.
    keys: Vec<Arc<Value>>,
    /// Issuer and jti of the assertions that were accepted, and when they expire.
    used: HashMap<(String, String), i64>,
    /// The claims of the opaque tokens that were issued.
    issued: HashMap<String, Value>,
}

impl Authority {
    /// An authority that has issued nothing yet.
    pub fn new(config: AuthConfig) -> Self {
        let key = if config.opaque { None } else { SigningKey::generate("scim-tokens", Algorithm::ES256).ok() };
        let keys = config.clients.iter().map(|client| Arc::new(client.keys.clone())).collect();
        Authority { config, key, state: Mutex::new(State { keys, ..State::default() }) }
    }

    /// How it works.
    pub fn config(&self) -> &AuthConfig {
        &self.config
    }

    /// Does it depart in this way?
    pub fn has(&self, quirk: Quirk) -> bool {
        self.config.quirks.contains(&quirk)
    }

    /// Who sent this request, by its Authorization header (RFC 6750 2.1). A token anywhere else is none.
    pub fn caller(&self, request: &Request) -> Caller {
        let headers = request.headers.iter().filter(|(name, _)| name == "authorization");
        let headers: Vec<&str> = headers.map(|(_, value)| value.as_str()).collect();
        let in_query = request.query.iter().find(|(name, _)| name == "access_token").map(|(_, value)| value.as_str());
        let token = match headers[..] {
            [] => in_query.filter(|_| self.has(Quirk::TokenInQueryRefused)),
            [header] => match header.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim()),
                _ => return bad("it is no bearer token"),
            },
            _ => return bad("there are several"),
        };
        let Some(token) = token else {
            let open = in_query.is_none() && request.method == "GET" && self.serves_without_token(&request.path);
            return match self.config.clients.first().filter(|_| open) {
                Some(client) => Caller::Tenant(client.tenant.clone()),
                None => Caller::Nobody(Refusal::NoToken),
            };
        };
        match self.claims_of(token) {
            Ok((tenant, claims)) => self.admitted(tenant, &claims),
            Err(why) => bad(why),
        }
    }

    fn serves_without_token(&self, path: &str) -> bool {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        match first {
            "Users" | "Groups" => self.has(Quirk::NoToken401),
            "Roles" => self.has(Quirk::RolesNeedToken),
            _ => false,
        }
    }

    /// What a token says whose origin is proven, and for which tenant it is.
    fn claims_of(&self, token: &str) -> Result<(String, Option<Value>), String> {
        let careless = self.has(Quirk::BadToken401);
        let alike = |known: &str| known == token || careless && known.get(..8).is_some_and(|head| token.starts_with(head));
        if self.config.layout == Layout::Static {
            let client = self.config.clients.iter().find(|client| client.token.as_deref().is_some_and(alike));
            return client.map(|client| (client.tenant.clone(), None)).ok_or("it is unknown".into());
        }
        if self.config.layout == Layout::AppAs && self.key.is_none() {
            let state = self.state();
            let claims = state.issued.iter().find(|(known, _)| alike(known)).map(|(_, claims)| claims.clone());
            let claims = claims.ok_or("it is unknown")?;
            let tenant = self.client(claims["client_id"].as_str()).map(|client| client.tenant.clone());
            return Ok((tenant.ok_or("it is unknown")?, Some(claims)));
        }
        let jws = jose::read(token).map_err(|_| "it is no JWT")?;
        let issuer = jws.claims["iss"].as_str().unwrap_or_default();
        let (tenant, keys) = match &self.key {
            Some(key) if self.config.layout == Layout::AppAs => {
                let client = self.client(jws.claims["client_id"].as_str()).filter(|_| issuer == self.config.issuer);
                (client.ok_or("its issuer or client is unknown")?.tenant.clone(), Arc::new(json!({"keys": [key.jwk()]})))
            }
            _ => {
                let names = ["client_id", "azp", "sub"].map(|name| jws.claims[name].as_str());
                let fits = |client: &Client| {
                    client.issuer == issuer && (client.client_id.is_empty() || names.contains(&Some(client.client_id.as_str())))
                };
                let at = self.config.clients.iter().position(fits).ok_or("its issuer or client is unknown")?;
                (self.config.clients[at].tenant.clone(), self.state().keys[at].clone())
            }
        };
        let proven = signed(&jws, &keys) || careless && names_known_key(&jws, &keys);
        if !proven {
            return Err("its signature does not verify".into());
        }
        Ok((tenant, Some(jws.claims)))
    }

    /// Is a token with these claims good here and now? One without claims is.
    fn admitted(&self, tenant: String, claims: &Option<Value>) -> Caller {
        let Some(claims) = claims else { return Caller::Tenant(tenant) };
        let now = (self.config.clock)();
        if !audiences(claims).contains(&self.config.audience.as_str()) {
            return bad("it is for another audience");
        }
        if claims["exp"].as_i64().is_none_or(|exp| exp <= now) && !self.has(Quirk::ExpiredToken) {
            return bad("it has expired");
        }
        if claims["nbf"].as_i64().is_some_and(|nbf| nbf > now + SKEW) {
            return bad("it is not valid yet");
        }
        let scope = claims["scope"].as_str().unwrap_or_default();
        if !scope.split(' ').any(|scope| scope == SCOPE) && !self.has(Quirk::ScopeScimNeeded) {
            return Caller::Nobody(Refusal::InsufficientScope(SCOPE.into()));
        }
        Caller::Tenant(tenant)
    }

    /// Does the token of this request open another API of the application than SCIM? Only with [`Quirk::ScopeNotBroader`].
    pub fn opens_other_api(&self, request: &Request) -> bool {
        let sent = request.headers.iter().any(|(name, _)| name == "authorization");
        sent && self.has(Quirk::ScopeNotBroader) && matches!(self.caller(request), Caller::Tenant(_))
    }

    fn client(&self, id: Option<&str>) -> Option<&Client> {
        self.config.clients.iter().find(|client| Some(client.client_id.as_str()) == id)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bad(why: impl Into<String>) -> Caller {
    Caller::Nobody(Refusal::BadToken(why.into()))
}

/// Is it signed by one of these keys, in a way that is allowed?
fn signed(jws: &Jws, keys: &Value) -> bool {
    ALGORITHMS.contains(&jws.alg()) && jws.header.get("crit").is_none() && jws.verify(keys).is_ok()
}

/// Is its key id among these keys, or does it name none?
fn names_known_key(jws: &Jws, keys: &Value) -> bool {
    let kid = &jws.header["kid"];
    kid.is_null() || keys["keys"].as_array().into_iter().flatten().any(|key| key["kid"] == *kid)
}

/// aud as a list.
fn audiences(claims: &Value) -> Vec<&str> {
    match &claims["aud"] {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

fn json_answer(status: u16, body: Value) -> Response {
    let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
    Response { status, headers: headers.map(|(name, value)| (name.into(), value.into())).into(), body: Some(body) }
}
