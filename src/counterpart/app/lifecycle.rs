//! Account commands (OpenID Provider Commands draft 02): the states of an account, the claims that come with commands, and the answers
//! that come later.

use serde_json::{Map, Value, json};

use super::App;
use super::commands::later;
use super::defect::Defect;
use super::http::Reply;
use super::people;
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
    // Who looks anywhere is wrong for sure: it takes another provider's user where there is one.
    let found = state.accounts.values().filter(|account| own(account) && named(account));
    found.min_by_key(|account| belongs(app, account, connection, tenant(claims))).map(|account| account.id.clone())
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

/// Makes the users of SCIM known that have not signed in yet: commands name them by the same subject.
pub fn meet(app: &App, state: &mut State, connection: usize, claims: &Value) {
    let tenant = claims["tenant"].as_str().filter(|tenant| *tenant != ONLY_TENANT);
    let Some(issuer) = app.issuer(connection) else { return };
    let Some(managed) = people::tenant_of(app, connection, tenant) else { return };
    for user in app.scim.users(managed) {
        let (Some(id), Some(sub)) = (user["id"].as_str(), user["externalId"].as_str()) else { continue };
        let make = || account(issuer, tenant, sub, id.to_owned(), true);
        state.accounts.entry(id.to_owned()).or_insert_with(make);
    }
}

fn account(issuer: &str, tenant: Option<&str>, sub: &str, id: String, managed: bool) -> Account {
    let tenant = tenant.map(str::to_owned);
    Account { id, issuer: issuer.to_owned(), tenant, sub: sub.to_owned(), managed, ..Account::default() }
}

/// The state of an account. A user of SCIM who is not active is suspended, unless a command has archived the account.
pub fn standing(app: &App, account: &Account) -> Standing {
    let user = app.scim.user(&account.id).filter(|_| account.managed);
    match (user, account.standing) {
        (Some(user), Standing::Active | Standing::Archived) if user["active"] != false => Standing::Active,
        (Some(_), Standing::Active) => Standing::Suspended,
        (_, standing) => standing,
    }
}

/// Carries an account command out. What it changes in the data of SCIM is changed without the state's lock.
pub fn perform(app: &App, connection: usize, claims: &Value, command: &str) -> Reply {
    use Standing::{Active, Archived, Suspended};
    let sub = claims["sub"].as_str().unwrap_or_default();
    let found = {
        let mut state = app.lock();
        meet(app, &mut state, connection, claims);
        find(app, &state, connection, claims).and_then(|id| state.accounts.get(&id).cloned())
    };
    let visible = found.as_ref().map(|account| standing(app, account)).filter(|standing| *standing != Standing::Hidden);
    let to = match (command, visible) {
        ("audit", visible) => {
            let known = found.filter(|_| visible.is_some());
            return known.map_or_else(|| done(sub, "unknown"), |account| Reply::json(200, &Value::Object(told(app, &account))));
        }
        ("activate", None) => return activate(app, connection, claims, found),
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
    let Some(account) = found else { return incompatible(sub, None) };
    if command == "migrate" && !matches!(claims["authentication_provider"].as_str(), Some("op" | "op_migration")) {
        return Reply::oauth_error(400, "invalid_request", "authentication_provider is neither op nor op_migration");
    }
    if command == "suspend" && app.has(Defect::CmdSuspend) {
        return done(sub, to.word());
    }
    if to != Active {
        revoke(app, &mut app.lock(), std::slice::from_ref(&account.id), None, later(claims));
    }
    let gone =
        (command == "delete" && !app.has(Defect::CmdDelete)) || (command == "archive" && app.has(Defect::CmdArchiveRestore));
    if gone {
        app.scim.remove_user(&account.id);
        app.lock().accounts.remove(&account.id);
    } else {
        settle(app, &account, to, claims, command);
    }
    done(sub, to.word())
}

/// Gives an account its new state and what the command says of the user, here and in the data of SCIM.
pub fn settle(app: &App, account: &Account, to: Standing, claims: &Value, command: &str) {
    let mut state = app.lock();
    let Some(account) = state.accounts.get_mut(&account.id) else { return };
    // Whether a user of SCIM is suspended stands there.
    account.standing = if to == Standing::Suspended && account.managed { Standing::Active } else { to };
    if matches!(command, "activate" | "maintain") {
        keep(app, account, claims, command);
    }
    if command == "migrate" {
        account.authentication_provider = claims["authentication_provider"].as_str().map(str::to_owned);
    }
    let account = account.clone();
    drop(state);
    if account.managed {
        app.scim.change_user(&account.id, |user| {
            user["active"] = (to == Standing::Active).into();
            if matches!(command, "activate" | "maintain") {
                describe(&account, user);
            }
        });
    }
}

/// What commands said of the user, as attributes of SCIM.
fn describe(account: &Account, user: &mut Value) {
    if let Some(name) = &account.name {
        user["displayName"] = name.as_str().into();
    }
    if let Some(email) = &account.email {
        user["emails"] = json!([{"value": email, "type": "work", "primary": true}]);
    }
    for (claim, attribute) in [("given_name", "givenName"), ("family_name", "familyName")] {
        if let Some(text) = account.claims.get(claim) {
            user["name"][attribute] = text.clone();
        }
    }
}

fn activate(app: &App, connection: usize, claims: &Value, hidden: Option<Account>) -> Reply {
    let sub = claims["sub"].as_str().unwrap_or_default();
    let tenant = claims["tenant"].as_str().filter(|tenant| *tenant != ONLY_TENANT);
    let new = hidden.unwrap_or_else(|| {
        let managed = people::tenant_of(app, connection, tenant);
        let id = managed.map(|managed| {
            let schema = "urn:ietf:params:scim:schemas:core:2.0:User";
            let name = claims["email"].as_str().filter(|email| app.scim.find_user(managed, "userName", email).is_none());
            let name = name.unwrap_or(sub);
            app.scim.put_user(managed, json!({"schemas": [schema], "userName": name, "externalId": sub, "active": true}))
        });
        let managed = id.is_some();
        account(app.issuer(connection).unwrap_or_default(), tenant, sub, id.unwrap_or_else(|| random(12)), managed)
    });
    let to = if app.has(Defect::CmdActivate) { Standing::Suspended } else { Standing::Active };
    app.lock().accounts.entry(new.id.clone()).or_insert_with(|| new.clone());
    settle(app, &new, to, claims, "activate");
    done(sub, to.word())
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

/// What an audit tells of an account: its state, and the claims as they are now.
pub fn told(app: &App, account: &Account) -> Map<String, Value> {
    let mut out = account.claims.clone();
    let shown = people::shown(app, account.clone());
    for (name, value) in [("name", &shown.name), ("email", &shown.email)] {
        if let Some(value) = value {
            out.insert(name.into(), value.as_str().into());
        }
    }
    if app.has(Defect::CmdAuditModified) {
        out.extend(account.pushed.clone());
    }
    out.insert("sub".into(), account.sub.as_str().into());
    out.insert("account_state".into(), standing(app, account).word().into());
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
