//! UserInfo (OIDC Core 5.3): the only thing that access tokens of this service open.

use serde_json::json;

use super::Op;
use super::dpop::{self, Proof};
use super::http::{In, Reply, get};
use super::state::{Grant, State};
use crate::counterpart::twist::Twist;
use crate::wire::jose::random;

/// `GET` and `POST /userinfo`.
pub fn userinfo(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    let (scheme, token) = match presented(request) {
        Ok(presented) => presented,
        Err(refused) => return refused,
    };
    let now = op.now();
    let known = state.access_tokens.get(&token).filter(|known| known.expires >= now).cloned();
    let grant = known.as_ref().and_then(|known| state.grants.get(&known.grant)).filter(|grant| !grant.revoked).cloned();
    let (Some(known), Some(grant)) = (known, grant) else {
        return challenge(401, &scheme, "invalid_token", "the access token is not valid");
    };
    if let Some(jkt) = &known.jkt {
        let downgraded = scheme == "Bearer" && op.twist(Twist::DpopBindingEnforced);
        if !downgraded && let Err(refused) = bound(op, state, request, &scheme, &token, jkt) {
            return refused;
        }
    } else if scheme == "DPoP" && !op.twist(Twist::DpopOffered) {
        return challenge(401, "Bearer", "invalid_token", "the access token is not bound to a key");
    }
    if state.live_account(&grant).is_none() {
        return challenge(401, &scheme, "invalid_token", "the account is not active");
    }
    let reply = claims(op, &grant);
    if known.jkt.is_some() { reply.with("dpop-nonce", dpop::nonce(op, state)) } else { reply }
}

/// The token, from the header or from a form body (RFC 6750 2.1, 2.2); never from the query, which ends up in logs (RFC 9700 4.3.2).
fn presented(request: &In<'_>) -> Result<(String, String), Reply> {
    if get(&request.query, "access_token").is_some() {
        return Err(challenge(400, "Bearer", "invalid_request", "access tokens are not taken from the query"));
    }
    let in_body = get(&request.form, "access_token").filter(|_| request.method() == "POST");
    match (request.header("authorization"), in_body) {
        (Some(_), Some(_)) => Err(challenge(400, "Bearer", "invalid_request", "two access tokens")),
        (None, Some(token)) => Ok(("Bearer".into(), token.to_owned())),
        (Some(header), None) => match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(("Bearer".into(), token.trim().to_owned())),
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("dpop") => Ok(("DPoP".into(), token.trim().to_owned())),
            _ => Err(challenge(401, "Bearer", "invalid_request", "unknown authentication scheme")),
        },
        (None, None) => Err(Reply::status(401)
            .with("www-authenticate", "DPoP algs=\"ES256 PS256 EdDSA\"")
            .with("www-authenticate", "Bearer realm=\"userinfo\"")),
    }
}

fn bound(op: &Op, state: &mut State, request: &In<'_>, scheme: &str, token: &str, jkt: &str) -> Result<(), Reply> {
    if scheme != "DPoP" {
        return Err(challenge(401, "DPoP", "invalid_token", "the access token is bound to a key"));
    }
    let url = format!("{}/userinfo", op.api);
    let (error, text) = match dpop::proof(op, state, request, &url, Some(token)) {
        Proof::Key(key) if key == jkt => return Ok(()),
        Proof::Key(_) => ("invalid_token", "the access token is bound to another key"),
        Proof::None => ("invalid_dpop_proof", "the proof is missing"),
        Proof::Refused(error, text) => (error, text),
    };
    Err(challenge(401, "DPoP", error, text).with("dpop-nonce", dpop::nonce(op, state)))
}

fn challenge(status: u16, scheme: &str, error: &str, text: &str) -> Reply {
    let algs = if scheme == "DPoP" { ", algs=\"ES256 PS256 EdDSA\"" } else { "" };
    Reply::oauth_error(status, error, text)
        .with("www-authenticate", format!("{scheme} error=\"{error}\", error_description=\"{text}\"{algs}"))
}

fn claims(op: &Op, grant: &Grant) -> Reply {
    let sub = if op.twist(Twist::UserinfoSubEqual) { &grant.account } else { &grant.sub };
    let mut claims = json!({"sub": sub});
    let has = |scope: &str| grant.scope.split(' ').any(|granted| granted == scope);
    if has("profile") {
        claims["name"] = grant.user.as_str().into();
        claims["preferred_username"] = grant.user.as_str().into();
    }
    if has("email") {
        claims["email"] = format!("{}@example.com", grant.user).into();
    }
    Reply::json(200, &claims).with("cache-control", "no-store")
}

/// A defect: an access token that other services would take as well.
pub fn foreign_token(op: &Op, grant: &Grant, now: i64) -> String {
    let claims = json!({
        "iss": op.issuer,
        "sub": grant.sub,
        "aud": [op.issuer, "https://payroll.example/api"],
        "client_id": grant.client_id,
        "scope": format!("{} payroll.read", grant.scope),
        "iat": now,
        "exp": now + super::state::ACCESS_TOKEN_LIFETIME_S,
        "jti": random(16),
    });
    op.key.sign(&json!({"typ": "at+jwt"}), &claims)
}
