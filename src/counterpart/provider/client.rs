//! How the application authenticates, and pushed authorization requests (RFC 9126).

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use wiremock::{Request, ResponseTemplate};

use super::Shared;
use super::handle::{self, Record};
use super::log::{AssertionSeen, ClientAuthSeen, Fetch, Fetched};
use crate::counterpart::op::http::{In, Reply, get};
use crate::wire::jose::{self, random};

/// Seconds a pushed request stays valid.
const PUSHED_S: u32 = 90;

/// Every way in which a request authenticates. A wrong secret is told, not refused: the clause on token requests sees it.
pub(super) fn authentication(shared: &Shared, request: &In<'_>) -> ClientAuthSeen {
    let mut seen = ClientAuthSeen::default();
    let secret = shared.client_secret.as_deref();
    if let Some((user, password)) = request.header("authorization").and_then(basic) {
        seen.methods.push("client_secret_basic".into());
        let decoded = |text: &str| {
            let pair = format!("v={text}");
            url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        let encodes = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>() != text;
        seen.client_id = if user == shared.app.client_id { user.clone() } else { decoded(&user) };
        if let Some(secret) = secret {
            seen.raw_credentials = password == secret && encodes(secret);
            seen.right = Some(password == secret || decoded(&password) == secret);
        }
    }
    if let Some(password) = get(&request.form, "client_secret") {
        seen.methods.push("client_secret_post".into());
        seen.client_id = get(&request.form, "client_id").unwrap_or_default().into();
        seen.right = secret.map(|secret| secret == password);
    }
    if let Some(assertion) = get(&request.form, "client_assertion") {
        let jws = jose::read(assertion).ok();
        let alg = jws.as_ref().map(|jws| jws.alg().to_owned()).unwrap_or_default();
        seen.methods.push(if alg.starts_with("HS") { "client_secret_jwt" } else { "private_key_jwt" }.into());
        if let Some(jws) = &jws {
            let text = |name: &str| jws.claims[name].as_str().unwrap_or_default().to_owned();
            seen.client_id = text("sub");
            let registered = shared.client_jwks();
            if registered.is_object() && !alg.starts_with("HS") {
                seen.right = Some(jws.verify(&registered).is_ok());
            }
            let seconds = |name: &str| jws.claims[name].as_f64().map(|value| value as i64);
            seen.assertion = Some(AssertionSeen {
                alg,
                aud: jws.claims["aud"].clone(),
                iss: text("iss"),
                sub: text("sub"),
                jti: text("jti"),
                iat: seconds("iat"),
                exp: seconds("exp"),
            });
        }
    }
    if seen.methods.is_empty() {
        seen.client_id = get(&request.form, "client_id").unwrap_or_default().into();
    }
    seen
}

fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, credentials) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

/// The pushed authorization request endpoint.
pub(super) fn pushed(shared: &Shared, which: usize, request: &In<'_>, raw: &Request) -> ResponseTemplate {
    let auth = authentication(shared, request);
    let uri = format!("urn:ietf:params:oauth:request_uri:{}", random(16));
    let reply = if request.method() == "POST" {
        shared.state().pushed.insert(uri.clone(), request.form.clone());
        Reply::json(201, &json!({"request_uri": uri, "expires_in": PUSHED_S})).with("cache-control", "no-store")
    } else {
        Reply::status(405)
    };
    let exchange = handle::record(shared, &Record { context: None, step: "pushed authorization request" }, raw, &reply);
    let path = shared.back_path(which, "pushed");
    let fetch = Fetch {
        what: Fetched::Pushed(which),
        at: Instant::now(),
        method: request.method().into(),
        path,
        auth: Some(auth),
        exchange,
    };
    shared.state().log_mut().fetches.push(fetch);
    reply.template()
}
