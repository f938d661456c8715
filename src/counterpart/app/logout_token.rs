//! `/backchannel-logout`: OpenID Connect Back-Channel Logout 1.0.

use serde_json::Value;

use super::App;
use super::commands::later;
use super::defect::Defect;
use super::http::{In, Reply, get};
use super::id_token::LEEWAY_S;
use super::jws::Kind;
use super::revoke::{accounts, revoke};
use crate::wire::jose;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Seconds a used `jti` is remembered at least, beyond `exp`.
const REMEMBERED_S: i64 = 3600;

/// Answers a logout token.
pub async fn logout(app: &App, request: &In) -> Reply {
    match checked(app, request).await {
        Ok(()) => Reply::status(200).with("cache-control", "no-store"),
        Err(why) => Reply::oauth_error(400, "invalid_request", &why),
    }
}

async fn checked(app: &App, request: &In) -> Result<(), String> {
    let token = get(&request.form, "logout_token").ok_or("there is no logout_token")?;
    let unverified = jose::read(token).map_err(|error| error.to_string())?;
    let connection =
        app.connection(unverified.claims["iss"].as_str().unwrap_or_default()).ok_or("the issuer is not known here")?;
    // typ is recommended, not required (2.4), but a token of another type is none of ours.
    let typ = unverified.header.get("typ").map(|typ| typ.as_str().unwrap_or_default().to_ascii_lowercase());
    if typ.is_some_and(|typ| !matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "logout+jwt")) {
        return Err("it is a JWT of another kind".into());
    }
    let claims = app.verified(connection, token, Kind::Logout).await?.claims;
    valid(app, connection, &claims)?;
    let (sub, sid) = (claims["sub"].as_str(), claims["sid"].as_str());
    if sub.is_none() && sid.is_none() {
        return Err("it names neither sub nor sid".into());
    }
    if sid.is_none() && app.has(Defect::BclAccepts) {
        return Err("it has no sid".into());
    }
    let now = app.now();
    let jti = claims["jti"].as_str().filter(|jti| !jti.is_empty()).ok_or("it has no jti")?;
    let until = claims["exp"].as_i64().unwrap_or(now).max(now) + REMEMBERED_S;
    let mut state = app.lock();
    if !state.first_use(format!("logout\n{connection}\n{jti}"), now, until) && !app.has(Defect::CommandThenNewSessionSurvives) {
        // Under the defect the answer is that of the first time, and nothing happens.
        return if app.has(Defect::BclReplay) { Ok(()) } else { Err("it was used before".into()) };
    }
    let issuer = app.issuer(connection).unwrap_or_default().to_owned();
    let mut found = accounts(&state, |account| account.issuer == issuer && sub.is_none_or(|sub| account.sub == sub));
    let mut sid = sid;
    if app.has(Defect::BclSidScope)
        && let Some(named) = sid
    {
        let owners = state.sessions.values().filter(|session| session.sid.as_deref() == Some(named));
        let owners: Vec<String> = owners.map(|session| session.account.clone()).collect();
        found.retain(|account| owners.contains(account));
        sid = None;
    }
    let not_after = if app.has(Defect::CommandThenNewSessionSurvives) { i64::MAX } else { later(&claims) };
    revoke(app, &mut state, &found, sid, not_after);
    Ok(())
}

/// 2.6, but for what sub, sid and jti lead to.
fn valid(app: &App, connection: usize, claims: &Value) -> Result<(), String> {
    let client = app.client_id(connection);
    let for_us = match &claims["aud"] {
        Value::Array(list) => list.iter().any(|aud| aud == client),
        aud => aud == client,
    };
    if !for_us {
        return Err("it is for another client".into());
    }
    let now = app.now();
    if claims["exp"].as_i64().ok_or("it has no exp")? + LEEWAY_S <= now {
        return Err("it has expired".into());
    }
    if claims["iat"].as_i64().ok_or("it has no iat")? > now + LEEWAY_S {
        return Err("it is from the future".into());
    }
    if !claims["events"][EVENT].is_object() {
        return Err("it is no logout event".into());
    }
    if claims.get("nonce").is_some() && !app.has(Defect::BclClaimsChecked) {
        return Err("a logout token has no nonce".into());
    }
    for name in ["sub", "sid"] {
        if claims.get(name).is_some_and(|value| value.as_str().is_none_or(str::is_empty)) {
            return Err(format!("its {name} is no text"));
        }
    }
    Ok(())
}
