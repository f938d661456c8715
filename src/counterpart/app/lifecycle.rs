//! Account commands (OpenID Provider Commands draft 02): the states of an account, the claims that come with commands, and the answers
//! that come later.

use serde_json::{Map, Value, json};

use super::App;
use super::commands::later;
use super::defect::Defect;
use super::http::Reply;
use super::revoke::revoke;
use super::state::{Account, Standing, State};
use crate::wire::jose::random;

/// Account commands besides `invalidate`; each is there as `_async` too.
pub const COMMANDS: [&str; 9] =
    ["activate", "maintain", "suspend", "reactivate", "archive", "restore", "delete", "audit", "migrate"];

/// Claims of a Command Token that say nothing about the user.
const OF_THE_COMMAND: [&str; 13] = [
    "iss",
    "aud",
    "client_id",
    "iat",
    "exp",
    "jti",
    "command",
    "tenant",
    "sub",
    "aud_sub",
    "callback_token",
    "metadata",
    "authentication_provider",
];

/// The tenant of a provider that has only one.
pub const ONLY_TENANT: &str = "organization";

/// The tenant that a command is about.
pub fn tenant(claims: &Value) -> &str {
    claims["tenant"].as_str().unwrap_or(ONLY_TENANT)
}

/// Is the account in this tenant of this provider?
pub fn belongs(app: &App, account: &Account, connection: usize, tenant: &str) -> bool {
    app.issuer(connection) == Some(account.issuer.as_str()) && account.tenant.as_deref().unwrap_or(ONLY_TENANT) == tenant
}

/// The account that a command names.
pub fn find(app: &App, state: &State, connection: usize, claims: &Value) -> Option<String> {
    let anywhere = app.has(Defect::CommandTenantBound);
    let own = |account: &&Account| anywhere || belongs(app, account, connection, tenant(claims));
    let named = |account: &&Account| match claims["aud_sub"].as_str() {
        Some(id) => account.id == id,
        None => claims["sub"] == account.sub.as_str(),
    };
    state.accounts.values().find(|account| own(account) && named(account)).map(|account| account.id.clone())
}

/// Is there such a user of the provider in another tenant?
pub fn elsewhere(app: &App, state: &State, connection: usize, claims: &Value) -> bool {
    let issuer = app.issuer(connection).unwrap_or_default();
    state.accounts.values().any(|account| account.issuer == issuer && claims["sub"] == account.sub.as_str())
}

/// Incompatible State Response.
pub fn incompatible(sub: &str, standing: Option<Standing>) -> Reply {
    let word = standing.map_or("unknown", Standing::word);
    Reply::json(409, &json!({"error": "incompatible_state", "account_state": word, "sub": sub}))
}

fn done(sub: &str, word: &str) -> Reply {
    Reply::json(200, &json!({"sub": sub, "account_state": word}))
}

/// Carries an account command out.
pub fn perform(app: &App, connection: usize, claims: &Value, command: &str) -> Reply {
    let sub = claims["sub"].as_str().unwrap_or_default();
    let mut state = app.lock();
    let id = find(app, &state, connection, claims);
    let standing = id.as_ref().and_then(|id| state.accounts.get(id)).map(|account| account.standing);
    let visible = standing.filter(|standing| *standing != Standing::Hidden);
    use Standing::{Active, Archived, Suspended};
    let to = match (command, visible) {
        ("audit", _) => return audit(app, &state, id.as_deref(), sub),
        ("activate", None) => return activate(app, &mut state, connection, claims, id),
        ("activate", Some(_)) if app.has(Defect::CmdActivateExisting) => Active,
        ("maintain" | "migrate", Some(Active)) => Active,
        ("suspend", Some(Active)) => Suspended,
        ("suspend", Some(Suspended)) if app.has(Defect::CmdIncompatibleState) => Suspended,
        ("reactivate", Some(Suspended)) if app.has(Defect::CmdReactivate) => {
            return Reply::oauth_error(403, "access_denied", "suspended accounts stay so");
        }
        ("reactivate", Some(Suspended)) | ("restore", Some(Archived)) => Active,
        ("archive", Some(Active | Suspended)) => Archived,
        ("delete", Some(_)) => Standing::Hidden,
        _ => return incompatible(sub, visible),
    };
    let Some(id) = id else { return incompatible(sub, None) };
    if command == "suspend" && app.has(Defect::CmdSuspend) {
        return done(sub, to.word());
    }
    if to != Active {
        revoke(app, &mut state, std::slice::from_ref(&id), None, later(claims));
    }
    if (command == "delete" && !app.has(Defect::CmdDelete)) || (command == "archive" && app.has(Defect::CmdArchiveRestore)) {
        state.accounts.remove(&id);
        return done(sub, to.word());
    }
    let Some(account) = state.accounts.get_mut(&id) else { return incompatible(sub, None) };
    account.standing = to;
    match command {
        "activate" | "maintain" => keep(app, account, claims, command),
        "migrate" => match claims["authentication_provider"].as_str() {
            Some(who @ ("op" | "op_migration")) => account.authentication_provider = Some(who.to_owned()),
            _ => return Reply::oauth_error(400, "invalid_request", "authentication_provider is neither op nor op_migration"),
        },
        _ => {}
    }
    done(sub, to.word())
}

fn activate(app: &App, state: &mut State, connection: usize, claims: &Value, hidden: Option<String>) -> Reply {
    let sub = claims["sub"].as_str().unwrap_or_default();
    let id = hidden.unwrap_or_else(|| random(12));
    let account = state.accounts.entry(id.clone()).or_insert_with(|| Account {
        id,
        issuer: app.issuer(connection).unwrap_or_default().to_owned(),
        tenant: claims["tenant"].as_str().filter(|tenant| *tenant != ONLY_TENANT).map(str::to_owned),
        sub: sub.to_owned(),
        ..Account::default()
    });
    account.standing = if app.has(Defect::CmdActivate) { Standing::Suspended } else { Standing::Active };
    keep(app, account, claims, "activate");
    done(sub, account.standing.word())
}

/// Takes over what a command says about the user. Claims that it does not name stay.
fn keep(app: &App, account: &mut Account, claims: &Value, command: &str) {
    let given = claims.as_object().into_iter().flatten().filter(|(name, _)| match name.as_str() {
        "groups" => !app.has(Defect::CmdGroupsClaim),
        "roles" => !app.has(Defect::CmdRolesApplied),
        name => !OF_THE_COMMAND.contains(&name) && (command != "maintain" || !app.has(Defect::CmdMaintain)),
    });
    for (name, value) in given {
        let value = if name == "roles" { ids(value) } else { value.clone() };
        if let Some(text) = value.as_str() {
            match name.as_str() {
                "name" => account.name = Some(text.to_owned()),
                "email" => account.email = Some(text.to_owned()),
                _ => {}
            }
        }
        account.pushed.insert(name.clone(), value.clone());
        account.claims.insert(name.clone(), value);
    }
}

/// Role identifiers, given as such or as objects with `id`.
fn ids(roles: &Value) -> Value {
    let id = |role: &Value| role.as_str().or(role["id"].as_str()).map(Value::from);
    roles.as_array().into_iter().flatten().filter_map(id).collect()
}

fn audit(app: &App, state: &State, id: Option<&str>, sub: &str) -> Reply {
    match id.and_then(|id| state.accounts.get(id)).filter(|account| account.standing != Standing::Hidden) {
        Some(account) => Reply::json(200, &Value::Object(told(app, account))),
        None => done(sub, "unknown"),
    }
}

/// What an audit tells of an account: its state, and the claims as they are now.
pub fn told(app: &App, account: &Account) -> Map<String, Value> {
    let mut out = account.claims.clone();
    for (name, value) in [("name", &account.name), ("email", &account.email)] {
        if let Some(value) = value {
            out.insert(name.into(), value.as_str().into());
        }
    }
    if app.has(Defect::CmdAuditModified) {
        out.extend(account.pushed.clone());
    }
    out.insert("sub".into(), account.sub.as_str().into());
    out.insert("account_state".into(), account.standing.word().into());
    out.insert("authentication_provider".into(), account.authentication_provider.as_deref().unwrap_or("op").into());
    out
}

/// Asynchronous Response: 202 now, and the result to the callback endpoint. What cannot be carried out is refused at once.
pub fn answer_later(app: &App, connection: usize, claims: &Value, reply: Reply) -> Reply {
    if reply.status != 200 {
        return reply;
    }
    let place = (connection, claims["tenant"].as_str().map(str::to_owned));
    let endpoint = app.lock().op_metadata.get(&place).and_then(|metadata| metadata.callback_endpoint.clone());
    if let (Some(endpoint), Some(token)) = (endpoint, claims["callback_token"].as_str())
        && !app.has(Defect::CmdAsyncCallback)
    {
        post(app, endpoint, token.to_owned(), serde_json::from_str(&reply.body).unwrap_or_default());
    }
    Reply::status(202)
}

/// Posts to a callback endpoint. Nobody waits for the outcome.
pub fn post(app: &App, endpoint: String, token: String, body: Value) {
    let outgoing = app.outgoing.clone();
    tokio::spawn(async move { outgoing.post(&endpoint, &token, &body).await });
}
