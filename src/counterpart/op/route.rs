//! Which handler answers, and the header fields that every answer of a kind carries.

use super::http::{In, Reply};
use super::state::State;
use super::{Op, access, authorize, login, metadata, operator, pages, portal, request, token};
use crate::counterpart::twist::Twist;

/// A request over TLS.
pub fn tls(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    let reply = if for_scripts(&request.path) && request.method() == "OPTIONS" {
        Reply::status(204)
            .with("access-control-allow-methods", "GET, POST")
            .with("access-control-allow-headers", "authorization, content-type, dpop")
            .with("access-control-max-age", "600")
    } else {
        dispatch(op, state, request)
    };
    finish(op, request, reply)
}

fn dispatch(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    match (request.method(), request.path.as_str()) {
        ("GET", "/.well-known/openid-configuration") => metadata::discovery(op),
        ("GET", "/jwks") => metadata::jwks(op),
        ("GET", "/authorize") => authorize::get(op, state, request),
        ("POST", "/authorize") if !op.twist(Twist::AuthzPost) => authorize::post(op, state, request),
        ("GET", "/login") => login::password_page(op, state, request),
        ("POST", "/login") => login::password(op, state, request),
        ("GET", "/login/code") => login::code_page(op, state, request),
        ("POST", "/login/code") => login::code(op, state, request),
        ("GET", "/login/hardware") => login::hardware_page(op, state, request),
        ("POST", "/login/hardware") => login::hardware(op, state, request),
        ("POST", "/par") => request::push(op, state, request),
        ("POST", "/token") => token::token(op, state, request),
        ("GET" | "POST", "/userinfo") => access::userinfo(op, state, request),
        ("GET", "/logout") => portal::logout_page(op, state, request, &request.query),
        ("POST", "/logout") => portal::logout_page(op, state, request, &request.form),
        ("POST", "/logout/confirmed") => portal::logout(state, request),
        ("GET", "/portal") => portal::portal(op, state, request),
        ("POST", "/register") if op.twist(Twist::NoOpenDcr) => operator::open_registration(state, request),
        ("POST", path) if path.starts_with("/operator/") => operator::hook(op, state, request),
        (
            _,
            "/authorize" | "/login" | "/login/code" | "/login/hardware" | "/par" | "/token" | "/userinfo" | "/logout" | "/jwks",
        ) => Reply::page(405, pages::error("This address does not take requests of that method.")),
        _ => Reply::page(404, pages::error("There is nothing at this address.")),
    }
}

/// Endpoints that scripts of public clients may call (RFC 9700 2.6). The authorization endpoint is never among them.
fn for_scripts(path: &str) -> bool {
    matches!(path, "/.well-known/openid-configuration" | "/jwks" | "/token" | "/par" | "/userinfo")
}

fn finish(op: &Op, request: &In<'_>, mut reply: Reply) -> Reply {
    if !op.twist(Twist::HstsBrowserEndpoints) {
        reply = reply.with("strict-transport-security", "max-age=31536000; includeSubDomains");
    }
    if for_scripts(&request.path) {
        reply =
            reply.with("access-control-allow-origin", "*").with("access-control-expose-headers", "dpop-nonce, www-authenticate");
    }
    if op.twist(Twist::NoCorsAuthorization)
        && request.path == "/authorize"
        && let Some(origin) = request.header("origin")
    {
        reply = reply.with("access-control-allow-origin", origin).with("access-control-allow-credentials", "true");
    }
    if op.twist(Twist::ClickjackingProtection) {
        reply = reply.without("content-security-policy").without("x-frame-options");
    }
    if op.twist(Twist::Redirect303) && reply.status == 303 {
        reply.status = 302;
    }
    reply
}

/// A request in clear text: sent on to https where that is harmless, refused where it may have carried a secret.
pub fn clear(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    if op.twist(Twist::PlainHttpNotServed) && request.path == "/token" {
        return dispatch(op, state, request);
    }
    if request.method() != "GET" {
        return Reply::page(403, pages::error("This service answers over https only."));
    }
    let query = super::http::encode(request.query.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let host = request.header("host").and_then(|host| host.split(':').next()).unwrap_or_default();
    let at_api = op.api.strip_prefix("https://").and_then(|api| api.split(':').next()) == Some(host);
    let origin = if at_api { &op.api } else { &op.issuer };
    let separator = if query.is_empty() { "" } else { "?" };
    Reply::status(301).with("location", format!("{origin}{}{separator}{query}", request.path))
}
