//! Client authentication (OIDC Core 9, RFC 7523, IPSIE SL1 3.2.1): always before anything else of the request is looked at.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use url::form_urlencoded;

use super::http::{In, Pairs, Reply, get};
use super::state::State;
use super::{Op, RegisteredClient};
use crate::counterpart::twist::Twist;
use crate::model::target::ClientAuth;
use crate::wire::jose::{self, sha256_b64};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Seconds that clocks may differ.
const LEEWAY_S: i64 = 30;
/// Seconds a client assertion may live at most.
const ASSERTION_LIFETIME_S: i64 = 600;

/// The client that sent a form, or the reply that refuses it.
pub fn authenticate(op: &Op, state: &mut State, request: &In<'_>) -> Result<String, Reply> {
    let form = &request.form;
    let basic = request.header("authorization").filter(|value| value.len() > 6 && value[..6].eq_ignore_ascii_case("basic "));
    let assertion = get(form, "client_assertion");
    let secret = get(form, "client_secret");
    if [basic.is_some(), assertion.is_some(), secret.is_some()].iter().filter(|used| **used).count() > 1 {
        return Err(Reply::oauth_error(400, "invalid_request", "more than one way of client authentication"));
    }
    let outcome = match (basic, assertion, secret) {
        (Some(header), ..) => by_basic(state, header),
        (_, Some(assertion), _) => by_assertion(op, state, form, assertion),
        (_, _, Some(secret)) => {
            by_secret(state, ClientAuth::ClientSecretPost, get(form, "client_id").unwrap_or_default(), secret)
        }
        _ => public(op, state, form),
    };
    outcome.map_err(|text| {
        let reply = Reply::oauth_error(401, "invalid_client", text);
        if basic.is_some() { reply.with("www-authenticate", "Basic realm=\"token\"") } else { reply }
    })
}

fn client<'a>(state: &'a State, id: &str, auth: ClientAuth) -> Result<&'a RegisteredClient, &'static str> {
    state
        .clients
        .get(id)
        .filter(|client| client.auth == auth)
        .ok_or("the client is not registered for this way of authentication")
}

fn public(op: &Op, state: &State, form: &Pairs) -> Result<String, &'static str> {
    let id = get(form, "client_id").ok_or("no client authentication")?;
    if op.twist(Twist::PublicClient) {
        return Err("client authentication is required");
    }
    client(state, id, ClientAuth::None).map(|client| client.id.clone())
}

fn by_basic(state: &State, header: &str) -> Result<String, &'static str> {
    let malformed = "malformed Basic credentials";
    let decoded = STANDARD.decode(header[6..].trim()).map_err(|_| malformed)?;
    let decoded = String::from_utf8(decoded).map_err(|_| malformed)?;
    let (id, secret) = decoded.split_once(':').ok_or(malformed)?;
    // Both halves are form-encoded before they are joined (RFC 6749 2.3.1).
    let plain = |part: &str| {
        form_urlencoded::parse(format!("v={part}").as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    by_secret(state, ClientAuth::ClientSecretBasic, &plain(id), &plain(secret))
}

fn by_secret(state: &State, auth: ClientAuth, id: &str, secret: &str) -> Result<String, &'static str> {
    let client = client(state, id, auth)?;
    let right = client.secret.as_ref().is_some_and(|known| sha256_b64(known) == sha256_b64(secret));
    if right { Ok(client.id.clone()) } else { Err("the client secret is wrong") }
}

fn by_assertion(op: &Op, state: &mut State, form: &Pairs, assertion: &str) -> Result<String, &'static str> {
    if get(form, "client_assertion_type") != Some(JWT_BEARER) {
        return Err("unknown client_assertion_type");
    }
    let jws = jose::read(assertion).map_err(|_| "the assertion is not a JWT")?;
    let id = jws.claims["iss"].as_str().ok_or("the assertion has no iss")?.to_owned();
    if jws.claims["sub"] != id.as_str() || get(form, "client_id").is_some_and(|sent| sent != id) {
        return Err("iss, sub and client_id differ");
    }
    let client = client(state, &id, ClientAuth::PrivateKeyJwt)?;
    let listed = matches!(jws.alg(), "ES256" | "PS256" | "EdDSA" | "Ed25519");
    let tolerated = op.twist(Twist::AssertionAlgRestricted) && jws.alg() == "RS256";
    if !listed && !tolerated {
        return Err("the algorithm of the assertion is not allowed");
    }
    jws.verify(&client.jwks).map_err(|_| "the signature of the assertion does not verify")?;
    if !is_audience(op, &jws.claims["aud"]) {
        return Err("the assertion was not made for this issuer");
    }
    let now = op.now();
    let end = lifetime(op, &jws.claims, now)?;
    let jti = jws.claims["jti"].as_str().filter(|jti| !jti.is_empty()).ok_or("the assertion has no jti")?;
    if !state.first_use(format!("assertion\n{id}\n{jti}"), now, end.saturating_add(LEEWAY_S))
        && !op.twist(Twist::AssertionReplayRefused)
    {
        return Err("the assertion was used before");
    }
    Ok(id)
}

/// The issuer identifier as one string, and nothing else (IPSIE SL1 3.2.1).
fn is_audience(op: &Op, aud: &Value) -> bool {
    let token_endpoint = op.url("/token");
    if op.twist(Twist::AssertionAudIssuerAccepted) {
        return *aud == token_endpoint.as_str();
    }
    *aud == op.issuer.as_str()
        || op.twist(Twist::AssertionAudForeignRefused)
        || (op.twist(Twist::AssertionAudTokenEndpointRefused) && *aud == token_endpoint.as_str())
        || (op.twist(Twist::AssertionAudArrayRefused)
            && aud.as_array().is_some_and(|list| list.iter().any(|one| *one == op.issuer.as_str())))
}

/// When the assertion ends, in seconds.
fn lifetime(op: &Op, claims: &Value, now: i64) -> Result<i64, &'static str> {
    if op.twist(Twist::AssertionExpiredRefused) {
        return Ok(now + ASSERTION_LIFETIME_S);
    }
    let seconds = |name: &str| claims[name].as_f64().map(|value| value as i64);
    let exp = seconds("exp").ok_or("the assertion has no exp")?;
    if exp.saturating_add(LEEWAY_S) < now {
        return Err("the assertion is expired");
    }
    if exp > now + ASSERTION_LIFETIME_S + LEEWAY_S {
        return Err("the assertion lives too long");
    }
    if seconds("iat").is_some_and(|iat| iat > now + LEEWAY_S) || seconds("nbf").is_some_and(|nbf| nbf > now + LEEWAY_S) {
        return Err("the assertion is from the future");
    }
    Ok(exp)
}
