//! From a request to a reply: which endpoint, and the record of both.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use wiremock::{Request, ResponseTemplate};

use super::log::{Fetch, Fetched};
use super::{FOREIGN, STRANGER, Shared, authorize, callback, client, metadata, token, userinfo};
use crate::counterpart::op::http::{In, Reply};
use crate::model::{ExchangeId, Party};
use crate::stage::recorder::{Raw, RawExchange};

/// Conventional paths: an application that comes here did not read the metadata.
const TRAPS: [&str; 14] = [
    "/authorize",
    "/authorization",
    "/auth",
    "/token",
    "/userinfo",
    "/jwks",
    "/jwks.json",
    "/oauth2/v1/authorize",
    "/oauth2/v1/token",
    "/oauth2/v1/keys",
    "/oauth2/v1/userinfo",
    "/connect/token",
    "/protocol/openid-connect/token",
    "/.well-known/jwks.json",
];

/// One of the provider's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Front,
    Back,
    Resource,
}

/// Who a request belongs to, and what it is called in the evidence.
pub(super) struct Record<'a> {
    pub context: Option<&'a str>,
    pub step: &'static str,
}

/// Answers and records.
pub(super) fn respond(shared: Option<&Arc<Shared>>, part: Part, raw: &Request) -> ResponseTemplate {
    let Some(shared) = shared else { return Reply::status(503).template() };
    let request = In::read(raw);
    let path = request.path.clone();
    let below = |base: &str, rest: &str| path.strip_prefix(base).is_some_and(|path| path == rest);
    for which in [0, 1] {
        let base = if which == 0 { shared.base.clone() } else { format!("{}/second", shared.base) };
        match part {
            Part::Front if path == shared.authorization_path(which) || path == shared.pretended_path(which) => {
                return authorize::authorize(shared, which, &request, raw);
            }
            Part::Front if below(&base, "/.well-known/openid-configuration") => {
                let reply = metadata::document(shared, which);
                return fetched(shared, Fetched::Metadata(which), "discovery", raw, &request, reply);
            }
            // RFC 8414 3 puts the path of the issuer behind the well-known part.
            Part::Front if path == format!("/.well-known/oauth-authorization-server{base}") => {
                let reply = metadata::document(shared, which);
                return fetched(shared, Fetched::Metadata(which), "discovery", raw, &request, reply);
            }
            Part::Front if path == format!("{}/{}{which}/sign-out", shared.base, shared.secret_path) => {
                let reply = page(200, "Signed out", "The provider has nothing more to end.");
                return fetched(shared, Fetched::EndSession, "end session", raw, &request, reply);
            }
            Part::Back if path == shared.back_path(which, "tokens") => return token::token(shared, which, &request, raw),
            Part::Back if path == shared.back_path(which, "keys") => {
                let reply = metadata::keys(shared);
                return fetched(shared, Fetched::Jwks, "JWK Set", raw, &request, reply);
            }
            Part::Back if path == shared.back_path(which, "pushed") => return client::pushed(shared, which, &request, raw),
            Part::Back if path == shared.back_path(which, "callback") => return callback::callback(shared, &request, raw),
            Part::Back if path == shared.back_path(which, "stranger-keys") => {
                let step = "keys of an issuer that is not configured";
                return fetched(shared, Fetched::Stranger, step, raw, &request, metadata::bait(shared));
            }
            Part::Back if path == shared.back_path(which, "bait") => {
                return fetched(shared, Fetched::Bait, "URL of a forged header", raw, &request, metadata::bait(shared));
            }
            Part::Resource if path == shared.back_path(which, "claims") => return userinfo::userinfo(shared, &request, raw),
            _ => {}
        }
    }
    if part == Part::Front && path == format!("{}/{}/{FOREIGN}/.well-known/openid-configuration", shared.base, shared.secret_path)
    {
        let reply = metadata::foreign(shared);
        return fetched(shared, Fetched::Foreign, "metadata of an issuer that is not configured", raw, &request, reply);
    }
    if part == Part::Front
        && path == format!("{}/{}/{STRANGER}/.well-known/openid-configuration", shared.base, shared.secret_path)
    {
        let reply = metadata::stranger(shared);
        return fetched(shared, Fetched::Stranger, "metadata of an issuer that is not configured", raw, &request, reply);
    }
    if part == Part::Front
        && let Some(id) = path.strip_prefix(&format!("{}/context/", shared.base))
    {
        let known = shared.state().contexts.contains_key(id);
        let cookie = format!("{}={id}; Path=/; Secure; HttpOnly; SameSite=None", authorize::COOKIE);
        let reply = page(if known { 200 } else { 404 }, "Ready", "This browser context is known to the provider.");
        return if known { reply.with("set-cookie", cookie) } else { reply }.template();
    }
    let trapped = TRAPS.iter().any(|trap| below(&shared.base, trap) || path == *trap);
    let (what, step) = if trapped { (Fetched::Trap, "path that no metadata names") } else { (Fetched::Unknown, "unknown path") };
    fetched(shared, what, step, raw, &request, Reply::status(if trapped { 410 } else { 404 }))
}

fn fetched(
    shared: &Shared,
    what: Fetched,
    step: &'static str,
    raw: &Request,
    request: &In<'_>,
    reply: Reply,
) -> ResponseTemplate {
    let exchange = record(shared, &Record { context: None, step }, raw, &reply);
    let fetch =
        Fetch { what, at: Instant::now(), method: request.method().into(), path: request.path.clone(), auth: None, exchange };
    shared.state().log_mut().fetches.push(fetch);
    reply.template()
}

/// Puts a request of the application, and the reply, on record.
pub(super) fn record(shared: &Shared, what: &Record<'_>, raw: &Request, reply: &Reply) -> ExchangeId {
    let (scenario, step) = {
        let state = shared.state();
        match what.context.and_then(|id| state.contexts.get(id)) {
            Some(context) => (context.scenario, format!("{}: {}", context.step, what.step)),
            None => ("app-login", what.step.to_owned()),
        }
    };
    let headers = raw
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    // Only the run's own browser has the provider's cookie.
    let browser = what.context.is_some() && In::read(raw).cookie(authorize::COOKIE) == what.context;
    shared.recorder().record(RawExchange {
        scenario,
        step: &step,
        from: if browser { Party::Browser } else { Party::Target },
        to: Party::Suite,
        started_at: Timestamp::now(),
        took: std::time::Duration::ZERO,
        method: raw.method.as_str(),
        url: &public_url(shared, raw),
        request: Raw { headers: headers.collect(), body: (!raw.body.is_empty()).then(|| raw.body.clone()) },
        status: reply.status,
        response: Raw {
            headers: reply.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            body: (!reply.body.is_empty()).then(|| reply.body.clone().into_bytes()),
        },
        fault: None,
    })
}

/// The request's URL as the sender wrote it: by its Host header, with https.
pub(super) fn public_url(shared: &Shared, raw: &Request) -> String {
    let host = raw.headers.get("host").and_then(|value| value.to_str().ok()).unwrap_or(&shared.issuer);
    let query = raw.url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("https://{host}{}{query}", raw.url.path())
}

/// A page without scripts: nothing on it changes by itself.
pub(super) fn page(status: u16, title: &str, text: &str) -> Reply {
    Reply::page(status, format!("<!doctype html><title>{title}</title><h1>{title}</h1><p>{text}</p>"))
}
