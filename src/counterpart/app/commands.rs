//! `/commands`: OpenID Provider Commands draft 02. What is common to all commands, and `invalidate`; the others have rooms of their own.

use serde_json::{Value, json};

use super::App;
use super::defect::Defect;
use super::http::{In, Reply, get};
use super::id_token::LEEWAY_S;
use super::jws::Kind;
use super::revoke::revoke;
use super::state::Standing;
use super::{lifecycle, tenant_commands};
use crate::wire::jose::{self, Jws};

/// Seconds a used `jti` is remembered at least, beyond `exp`.
const REMEMBERED_S: i64 = 3600;

/// Answers a Command Token.
pub async fn command(app: &App, request: &In) -> Reply {
    if request.method != "POST" {
        return Reply::oauth_error(405, "invalid_request", "commands are posted").with("allow", "POST");
    }
    match checked(app, request).await {
        Ok((connection, claims)) => perform(app, request, connection, &claims),
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
    let name = unverified.claims["command"].as_str().unwrap_or_default();
    // The older clauses look at these two; the defects of the others spare them.
    let spared = matches!(name, "invalidate" | "metadata");
    let connection = match app.connection(iss) {
        Some(connection) => Some(connection),
        None if app.has(Defect::CmdUnrecognizedProvider) => None,
        None => return Err(Box::new(Reply::oauth_error(401, "unrecognized_provider", "the issuer is not known here"))),
    };
    let untyped = app.has(Defect::CommandTypRequired) || (app.has(Defect::CmdTokenChecks) && !spared);
    if unverified.header["typ"] != "command+jwt" && !untyped {
        return Err(invalid("typ is not command+jwt"));
    }
    let jws = match connection {
        Some(connection) => app.verified(connection, token, Kind::Command).await,
        None => anybody(app, iss, token).await,
    };
    let claims = jws.map_err(|why| invalid(&why))?.claims;
    let connection = connection.unwrap_or_default();
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
    let forgets = app.has(Defect::CommandThenNewSessionSurvives) || (app.has(Defect::CmdReplay) && !spared);
    if !first && !forgets {
        return Err(invalid("the command was used before"));
    }
    Ok((connection, claims))
}

/// For the defect of trusting everybody: verified with the keys that the metadata of the token's own issuer name.
async fn anybody(app: &App, iss: &str, token: &str) -> Result<Jws, String> {
    let metadata = app.outgoing.metadata(&format!("{iss}/.well-known/openid-configuration")).await?;
    let keys = app.outgoing.get(metadata.json["jwks_uri"].as_str().unwrap_or_default(), &[]).await?;
    let jws = jose::read(token).map_err(|error| error.to_string())?;
    jws.verify(&keys.json).map_err(|error| error.to_string())?;
    Ok(jws)
}

fn perform(app: &App, request: &In, connection: usize, claims: &Value) -> Reply {
    let command = claims["command"].as_str().unwrap_or_default();
    if command.ends_with("_tenant") || command == "metadata" {
        if claims.get("sub").is_some() || claims.get("aud_sub").is_some() {
            return *refused("invalid_request", "a command about a tenant names no account");
        }
        let reply = tenant_commands::perform(app, request, connection, claims, command);
        return reply.map_or_else(|| unsupported(app), no_store);
    }
    let (name, later) = command.strip_suffix("_async").map_or((command, false), |name| (name, true));
    if claims["sub"].as_str().is_none_or(str::is_empty) && (name == "invalidate" || lifecycle::COMMANDS.contains(&name)) {
        return *refused("invalid_request", "there is no sub");
    }
    let reply = match name {
        "invalidate" => invalidate(app, connection, claims),
        name if lifecycle::COMMANDS.contains(&name) => lifecycle::perform(app, connection, claims, name),
        _ => return unsupported(app),
    };
    let reply = if later { lifecycle::answer_later(app, connection, claims, reply) } else { reply };
    let bare = if name == "invalidate" { Defect::CommandInvalidateResponse } else { Defect::CmdResponseForm };
    if app.has(bare) { reply } else { no_store(reply) }
}

fn unsupported(app: &App) -> Reply {
    if app.has(Defect::CommandUnknownRefused) || app.has(Defect::CmdUnsupported) {
        return no_store(Reply::json(200, &json!({})));
    }
    Reply::oauth_error(400, "unsupported_command", "the command is not supported")
}

fn no_store(reply: Reply) -> Reply {
    if reply.headers.iter().any(|(name, _)| *name == "cache-control") { reply } else { reply.with("cache-control", "no-store") }
}

fn invalidate(app: &App, connection: usize, claims: &Value) -> Reply {
    let sub = claims["sub"].as_str().unwrap_or_default();
    let mut state = app.lock();
    lifecycle::meet(app, &mut state, connection, claims);
    let found = lifecycle::find(app, &state, connection, claims);
    if found.is_none() && lifecycle::elsewhere(app, &state, connection, claims) {
        return Reply::oauth_error(400, "invalid_request", "the tenant is not that of the account");
    }
    let standing = found.as_ref().and_then(|id| state.accounts.get(id)).map(|account| lifecycle::standing(app, account));
    match standing {
        None if app.has(Defect::CommandUnknownAccount) => {}
        Some(Standing::Active) => {}
        standing => return lifecycle::incompatible(sub, standing),
    }
    // A session of after the command is none of its business; under the defect nothing tells a replay.
    let not_after = if app.has(Defect::CommandThenNewSessionSurvives) { i64::MAX } else { later(claims) };
    revoke(app, &mut state, &Vec::from_iter(found), None, not_after);
    Reply::json(200, &json!({"sub": sub, "account_state": "active"}))
}

/// The last moment at which a session that a message ends may have begun: clocks may differ.
pub fn later(claims: &Value) -> i64 {
    claims["iat"].as_i64().map_or(i64::MAX, |iat| iat.saturating_add(LEEWAY_S))
}
