//! `/commands`: OpenID Provider Commands draft 02, with the commands `metadata` and `invalidate`.

use serde_json::{Value, json};

use super::App;
use super::defect::Defect;
use super::http::{In, Reply, get};
use super::id_token::LEEWAY_S;
use super::jws::Kind;
use super::revoke::{accounts, revoke};
use crate::wire::jose;

/// Seconds a used `jti` is remembered at least, beyond `exp`.
const REMEMBERED_S: i64 = 3600;

/// Answers a Command Token.
pub async fn command(app: &App, request: &In) -> Reply {
    if request.method != "POST" {
        return Reply::oauth_error(405, "invalid_request", "commands are posted").with("allow", "POST");
    }
    match checked(app, request).await {
        Ok((connection, claims)) => perform(app, connection, &claims),
        Err(reply) => *reply,
    }
}

fn refused(error: &str, why: impl AsRef<str>) -> Box<Reply> {
    Box::new(Reply::oauth_error(400, error, why.as_ref()))
}

/// The claims of a valid Command Token and the connection it came by.
async fn checked(app: &App, request: &In) -> Result<(usize, Value), Box<Reply>> {
    let invalid = |why: &str| refused("invalid_request", why);
    let token = get(&request.form, "command_token").ok_or_else(|| invalid("there is no command_token"))?;
    let unverified = jose::read(token).map_err(|error| invalid(&error.to_string()))?;
    let iss = unverified.claims["iss"].as_str().unwrap_or_default();
    let connection = app
        .connection(iss)
        .ok_or_else(|| Box::new(Reply::oauth_error(401, "unrecognized_provider", "the issuer is not known here")))?;
    if unverified.header["typ"] != "command+jwt" && !app.has(Defect::CommandTypRequired) {
        return Err(invalid("typ is not command+jwt"));
    }
    let jws = app.verified(connection, token, Kind::Command).await.map_err(|why| invalid(&why))?;
    let claims = jws.claims;
    if claims["aud"] != app.command_endpoint().as_str() {
        return Err(invalid("aud is not this endpoint"));
    }
    if claims["client_id"] != app.client_id(connection) {
        return Err(invalid("client_id is that of another client"));
    }
    let now = app.now();
    let exp = claims["exp"].as_i64().ok_or_else(|| invalid("there is no exp"))?;
    if exp + LEEWAY_S <= now && !app.has(Defect::CommandClaimsChecked) {
        return Err(invalid("the command has expired"));
    }
    if claims["iat"].as_i64().ok_or_else(|| invalid("there is no iat"))? > now + LEEWAY_S {
        return Err(invalid("the command is from the future"));
    }
    if claims.get("nonce").is_some() {
        return Err(invalid("a command has no nonce"));
    }
    if claims.get("tenant").is_some_and(|tenant| !tenant.is_string()) {
        return Err(invalid("tenant is no string"));
    }
    let text = |name: &str| claims[name].as_str().filter(|text| !text.is_empty());
    text("command").ok_or_else(|| invalid("there is no command"))?;
    let jti = text("jti").ok_or_else(|| invalid("there is no jti"))?;
    let first = app.lock().first_use(format!("command\n{iss}\n{jti}"), now, exp.max(now) + REMEMBERED_S);
    if !first && !app.has(Defect::CommandThenNewSessionSurvives) {
        return Err(invalid("the command was used before"));
    }
    Ok((connection, claims))
}

fn perform(app: &App, connection: usize, claims: &Value) -> Reply {
    match claims["command"].as_str().unwrap_or_default() {
        "metadata" => no_store(metadata(app, connection, claims)),
        "invalidate" => {
            let reply = invalidate(app, connection, claims);
            if app.has(Defect::CommandInvalidateResponse) { reply } else { no_store(reply) }
        }
        _ if app.has(Defect::CommandUnknownRefused) => no_store(Reply::json(200, &json!({}))),
        _ => Reply::oauth_error(400, "unsupported_command", "the command is not supported"),
    }
}

fn no_store(reply: Reply) -> Reply {
    if reply.headers.iter().any(|(name, _)| *name == "cache-control") { reply } else { reply.with("cache-control", "no-store") }
}

fn metadata(app: &App, connection: usize, claims: &Value) -> Reply {
    let supported: &[&str] = if app.has(Defect::CommandMetadata) { &["metadata"] } else { &["metadata", "invalidate"] };
    Reply::json(
        200,
        &json!({
            "context": {"iss": claims["iss"], "tenant": claims["tenant"]},
            "command_endpoint": app.command_endpoint(),
            "commands_supported": supported,
            "client_id": app.client_id(connection),
        }),
    )
}

fn invalidate(app: &App, connection: usize, claims: &Value) -> Reply {
    let Some(sub) = claims["sub"].as_str().filter(|sub| !sub.is_empty()) else {
        return Reply::oauth_error(400, "invalid_request", "there is no sub");
    };
    let issuer = app.issuer(connection).unwrap_or_default();
    let tenant = claims["tenant"].as_str();
    let mut state = app.lock();
    let anywhere = app.has(Defect::CommandTenantBound);
    let of_subject = |account: &super::state::Account| account.sub == sub && (account.issuer == issuer || anywhere);
    let found = accounts(&state, |account| of_subject(account) && (account.tenant.as_deref() == tenant || anywhere));
    if found.is_empty() && !accounts(&state, of_subject).is_empty() {
        return Reply::oauth_error(400, "invalid_request", "the tenant is not that of the account");
    }
    if found.is_empty() && !app.has(Defect::CommandUnknownAccount) {
        let body = json!({"error": "incompatible_state", "account_state": "unknown", "sub": sub});
        return Reply::json(409, &body);
    }
    // A session of after the command is none of its business; under the defect nothing tells a replay.
    let not_after = if app.has(Defect::CommandThenNewSessionSurvives) { i64::MAX } else { later(claims) };
    revoke(app, &mut state, &found, None, not_after);
    Reply::json(200, &json!({"sub": sub, "account_state": "active"}))
}

/// The last moment at which a session that a message ends may have begun: clocks may differ.
pub fn later(claims: &Value) -> i64 {
    claims["iat"].as_i64().map_or(i64::MAX, |iat| iat.saturating_add(LEEWAY_S))
}
