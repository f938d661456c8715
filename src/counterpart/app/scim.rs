//! The SCIM interface and the authorization server that issues its tokens, at the host of the API.

use serde_json::{Value, json};

use super::App;
use super::http::{In, Reply};
use super::people::TENANTS;
use crate::counterpart::scim_server::{self, AuthConfig, Authority, Caller, Client, Config, Engine, Layout, Quirk};

/// Path of the interface.
pub const BASE: &str = "/scim/v2";
/// Path of the token endpoint; the issuer is one segment above.
pub const TOKEN: &str = "/scim/token";
/// Path of the issuer of its tokens.
pub const ISSUER: &str = "/scim";
/// Requests for the first user only that are answered in a second: clients look with them whether the interface is there.
const LOOKS_PER_SECOND: u32 = 45;
/// Requests of any kind that are answered in a second.
const REQUESTS_PER_SECOND: u32 = 3000;
/// Entries of the audit log that are kept.
const LOGGED: usize = 1000;

/// The provisioning clients of the two tenants.
#[derive(Clone, Debug, Default)]
pub struct Provisioning {
    /// Where their tokens come from.
    pub layout: Layout,
    /// Their public keys (JWK Set).
    pub keys: Value,
    /// Their tokens of [`Layout::Static`].
    pub tokens: [String; 2],
    /// Deliberate departures of the interface.
    pub quirks: Vec<Quirk>,
}

/// The client identifier of each tenant's provisioning client.
pub const CLIENTS: [&str; 2] = ["provisioning-first", "provisioning-second"];

/// The engine with the roles of the application.
pub fn engine(config: &super::AppConfig, base_url: String) -> Engine {
    Engine::new(Config {
        base_url,
        quirks: config.provisioning.quirks.clone(),
        roles: super::roles::exposed(&config.defects),
        ..Config::default()
    })
}

/// Seconds that an access token of the SCIM interface works: so short that its end can be waited for.
const TOKEN_LIFE_S: i64 = 12;

/// Who issues and checks tokens.
pub fn authority(config: &super::AppConfig, origin: &str, clock: scim_server::auth::Clock) -> Authority {
    let issuers = [Some(config.issuer.clone()), config.second_issuer.clone()];
    let provisioning = &config.provisioning;
    let clients = TENANTS.iter().zip(CLIENTS).zip(issuers).zip(&provisioning.tokens);
    let clients = clients.map(|(((tenant, client_id), issuer), token)| Client {
        tenant: (*tenant).to_owned(),
        client_id: if provisioning.layout == Layout::IdpAs { String::new() } else { client_id.to_owned() },
        issuer: issuer.unwrap_or_default(),
        keys: provisioning.keys.clone(),
        token: (provisioning.layout == Layout::Static).then(|| token.clone()),
    });
    Authority::new(AuthConfig {
        layout: provisioning.layout,
        issuer: format!("{origin}{ISSUER}"),
        token_endpoint: format!("{origin}{TOKEN}"),
        audience: format!("{origin}{BASE}"),
        clients: clients.collect(),
        quirks: provisioning.quirks.clone(),
        clock,
        lifetime: TOKEN_LIFE_S,
        ..AuthConfig::default()
    })
}

/// Answers what belongs to the interface or its authorization server; `None` for anything else.
pub async fn answer(app: &App, request: &In) -> Option<Reply> {
    let path = request.path.as_str();
    if let Some(below) = path.strip_prefix(BASE).filter(|below| below.is_empty() || below.starts_with('/')) {
        return Some(interface(app, request, below).await);
    }
    if path == TOKEN && request.method == "POST" {
        for assertion in ["assertion", "client_assertion"] {
            learn_keys(app, super::http::get(&request.form, assertion)).await;
        }
        return Some(reply(app.authority.token(&request.form, &request.header_pairs())));
    }
    (request.method == "GET" && path == app.authority.metadata_path()).then(|| reply(app.authority.metadata()))
}

async fn interface(app: &App, request: &In, below: &str) -> Reply {
    learn_keys(app, request.bearer()).await;
    let request = scim_request(request, below);
    if too_many(app, &request) {
        let status = if app.scim.has(Quirk::RateLimit429) { 500 } else { 429 };
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": status.to_string(), "detail": "too many requests",
        });
        return Reply { body: body.to_string(), ..Reply::status(status) }
            .with("content-type", "application/scim+json")
            .with("retry-after", "1");
    }
    let caller = app.authority.caller(&request);
    let response = app.scim.handle(&caller, &request);
    if request.method != "GET" {
        let who = if let Caller::Tenant(tenant) = &caller { tenant.as_str() } else { "nobody" };
        let entry = format!("{} {who} {} {} {}", app.now(), request.method, request.path, response.status);
        let mut state = app.lock();
        state.audit.push(entry);
        let surplus = state.audit.len().saturating_sub(LOGGED);
        state.audit.drain(..surplus);
    }
    reply(response)
}

/// Counts the requests of this second.
fn too_many(app: &App, request: &scim_server::Request) -> bool {
    let look = request.path == "/Users" && request.query.iter().any(|(name, value)| name == "count" && value == "1");
    let now = app.now();
    let mut state = app.lock();
    if state.requests.0 != now {
        state.requests = (now, 0, 0);
    }
    let (_, all, looks) = &mut state.requests;
    *all += 1;
    *looks += u32::from(look);
    *all > REQUESTS_PER_SECOND || (look && *looks > LOOKS_PER_SECOND)
}

/// Fetches the keys of an identity service whose JWT came, where its key is not known.
async fn learn_keys(app: &App, jwt: Option<&str>) {
    let Some(issuer) = jwt.and_then(|jwt| app.authority.missing_key(jwt)) else { return };
    let Some(connection) = app.connection(&issuer) else { return };
    let kid = jwt.and_then(|jwt| crate::wire::jose::read(jwt).ok()).and_then(|jws| jws.header["kid"].as_str().map(str::to_owned));
    if let Ok(keys) = app.jwks(connection, kid.as_deref()).await {
        app.authority.set_keys(&issuer, keys);
    }
}

/// A request as the engine reads it.
pub fn scim_request(request: &In, below: &str) -> scim_server::Request {
    scim_server::Request {
        method: request.method.clone(),
        path: below.to_owned(),
        query: request.query.clone(),
        headers: request.header_pairs(),
        body: request.body().to_vec(),
    }
}

fn reply(response: scim_server::Response) -> Reply {
    let body = response.body.map(|body| body.to_string()).unwrap_or_default();
    let known = ["content-type", "location", "etag", "www-authenticate", "retry-after", "cache-control", "pragma", "allow"];
    let names =
        response.headers.into_iter().filter_map(|(name, value)| Some((*known.iter().find(|known| **known == name)?, value)));
    Reply { body, headers: names.collect(), ..Reply::status(response.status) }
}
