//! Which handler answers, and the header fields that every answer carries.

use serde_json::json;

use super::defect::Defect;
use super::http::{In, Reply, encode};
use super::{App, callback, commands, login, logout_token, own_tokens, pages, revocation, scim, site, surface};
use crate::counterpart::scim_server::Role;
use crate::wire::jose::{b64, random, sha256_b64};

/// A request over TLS.
pub async fn tls(app: &App, request: &In) -> Reply {
    let max_age = if app.has(Defect::Hsts) { "max-age=0" } else { "max-age=31536000; includeSubDomains" };
    dispatch(app, request).await.with("strict-transport-security", max_age)
}

async fn dispatch(app: &App, request: &In) -> Reply {
    if let Some(reply) = scim::answer(app, request).await {
        return reply;
    }
    if let Some(reply) = surface::answer(app, request).await {
        return reply;
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/") => Reply::page(200, pages::home()),
        ("GET", "/login") => login::start(app, request).await,
        ("GET" | "POST", "/initiate") => initiate(app, request).await,
        ("GET" | "POST", "/callback") => callback::callback(app, request).await,
        ("GET", "/protected") => site::protected(app, request).await,
        ("GET", "/profile") => site::profile(app, request).await,
        ("POST", "/profile") => site::save_profile(app, request).await,
        ("GET" | "POST", "/logout") => site::logout(app, request),
        ("GET", "/api/me") => site::me(app, request).await,
        ("GET", "/api/data") => own_tokens::data(app, request),
        ("GET", "/tokens") => own_tokens::tokens(app, request).await,
        ("POST", "/token") => own_tokens::token(app, request),
        ("GET", "/jwks.json") => jwks(app),
        (_, "/commands") => commands::command(app, request).await,
        ("POST", "/backchannel-logout") => logout_token::logout(app, request).await,
        ("POST", "/global-token-revocation") => revocation::revocation(app, request),
        ("GET", "/.well-known/oauth-authorization-server") => revocation::metadata(app, request),
        ("POST", "/operator/reload-metadata") => reload(app, request).await,
        ("POST", "/operator/create-role") => create_role(app, request),
        ("POST", "/operator/delete-role") => delete_role(app, request),
        (
            _,
            "/"
            | "/login"
            | "/initiate"
            | "/callback"
            | "/protected"
            | "/profile"
            | "/logout"
            | "/api/me"
            | "/api/data"
            | "/tokens"
            | "/token"
            | "/backchannel-logout"
            | "/global-token-revocation"
            | "/operator/reload-metadata"
            | "/operator/create-role"
            | "/operator/delete-role",
        ) => Reply::page(405, pages::error("This address does not take requests of that method.")),
        _ => Reply::page(404, pages::error("There is nothing at this address.")),
    }
}

async fn initiate(app: &App, request: &In) -> Reply {
    let post = request.method == "POST";
    if post && app.has(Defect::ThirdPartyLoginPost) {
        return Reply::page(405, pages::error("This address does not take requests of that method."));
    }
    if !post && app.has(Defect::ThirdPartyLogin) {
        return Reply::page(404, pages::error("There is nothing at this address."));
    }
    login::initiate(app, request).await
}

/// The public keys to register at the provider.
fn jwks(app: &App) -> Reply {
    let mut keys = vec![app.credentials.assertion_jwk().clone()];
    keys.extend(app.encryption.iter().map(|key| key.jwk().clone()));
    if app.has(Defect::KeyStrength) {
        let mut modulus = [0xa5; 128];
        modulus[0] = 0xc1;
        keys.push(json!({"kty": "RSA", "use": "sig", "alg": "PS256", "kid": "app-ps256-old", "n": b64(modulus), "e": "AQAB"}));
    }
    Reply::json(200, &json!({"keys": keys}))
}

/// Does the request carry the operator's token?
fn by_operator(app: &App, request: &In) -> bool {
    !app.config.hook_token.is_empty() && request.bearer().map(sha256_b64) == Some(sha256_b64(&app.config.hook_token))
}

/// The operator's hook: a new role, which may be assigned from now on. Without `role` it gets a name of its own.
fn create_role(app: &App, request: &In) -> Reply {
    if !by_operator(app, request) {
        return Reply::oauth_error(401, "invalid_token", "the hook token is wrong");
    }
    let body = request.json().unwrap_or_default();
    let named = body["role"].as_str().filter(|name| !name.is_empty() && !name.contains('{'));
    let value = named.map_or_else(|| format!("role-{}", random(6)), str::to_owned);
    let role = Role { value: value.clone(), display: value.clone(), supported: true, limit: None };
    app.lock().catalogue.push(role.clone());
    app.scim.add_role(role);
    super::tenant_commands::roles_changed(app);
    Reply::json(200, &json!({"role": value}))
}

/// The operator's hook: a role that nobody can be given any more. One that is not there is no error.
fn delete_role(app: &App, request: &In) -> Reply {
    if !by_operator(app, request) {
        return Reply::oauth_error(401, "invalid_token", "the hook token is wrong");
    }
    let body = request.json().unwrap_or_default();
    let value = body["role"].as_str().unwrap_or_default();
    app.lock().catalogue.retain(|role| role.value != value);
    if app.scim.remove_role(value) {
        super::tenant_commands::roles_changed(app);
    }
    Reply::json(200, &json!({"role": value}))
}

/// The operator's hook: forget what was fetched from the providers, and fetch it again.
async fn reload(app: &App, request: &In) -> Reply {
    if !by_operator(app, request) {
        return Reply::oauth_error(401, "invalid_token", "the hook token is wrong");
    }
    match app.reload().await {
        Ok(()) => Reply::json(200, &json!({"reloaded": true})),
        Err(why) => Reply::json(502, &json!({"error": why})),
    }
}

/// A request in clear text: sent on to https where that is harmless, refused where it may have carried a secret.
pub async fn clear(app: &App, request: &In) -> Reply {
    if app.has(Defect::PlainHttpNotServed) && request.path == "/initiate" {
        return dispatch(app, request).await;
    }
    if request.method != "GET" {
        return Reply::page(403, pages::error("This application answers over https only."));
    }
    let query = encode(request.query.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let at_api = request.header("host").is_some_and(|host| host.split(':').next() == Some(super::API_HOST));
    let path = &request.path;
    let place = if at_api { app.api_url(path) } else { app.url(path) };
    let separator = if query.is_empty() { "" } else { "?" };
    Reply::status(301).with("location", format!("{place}{separator}{query}"))
}
