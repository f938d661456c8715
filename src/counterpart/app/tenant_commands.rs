//! Tenant commands (OpenID Provider Commands draft 02): `metadata`, and those that are answered by a stream of events.

use serde_json::{Value, json};

use super::App;
use super::commands::later;
use super::defect::Defect;
use super::http::{In, Reply};
use super::lifecycle::{COMMANDS, belongs, meet, post, settle, standing, tenant, told};
use super::revoke::revoke;
use super::state::{Account, OpMetadata, Standing};

/// Commands about a tenant as a whole.
const STREAMED: [&str; 5] = ["audit_tenant", "suspend_tenant", "archive_tenant", "delete_tenant", "invalidate_tenant"];
/// Accounts that the defect of suspend_tenant finds, and events that the defect of a resumed stream sends.
const FIRST_PAGE: usize = 2;

/// Carries a tenant command out; `None` for one that is not known.
pub fn perform(app: &App, request: &In, connection: usize, claims: &Value, command: &str) -> Option<Reply> {
    match command {
        "metadata" => Some(metadata(app, connection, claims)),
        command if STREAMED.contains(&command) => Some(streamed(app, request, connection, claims, command)),
        _ => None,
    }
}

fn metadata(app: &App, connection: usize, claims: &Value) -> Reply {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let told = OpMetadata {
        callback_endpoint: text(&claims["metadata"]["callback_endpoint"]),
        callback_token: text(&claims["callback_token"]),
    };
    let mut state = app.lock();
    state.op_metadata.insert((connection, text(&claims["tenant"])), told);
    let catalogue = state.catalogue.clone();
    drop(state);
    let mut supported: Vec<String> = vec!["metadata".into()];
    for command in COMMANDS.iter().chain(["invalidate"].iter().filter(|_| !app.has(Defect::CommandMetadata))) {
        supported.extend([(*command).to_owned(), format!("{command}_async")]);
    }
    supported.extend(STREAMED.map(str::to_owned));
    let offered = catalogue.iter().filter(|role| role.supported);
    let roles: Vec<Value> = offered.map(|role| json!({"id": role.value, "display": role.display})).collect();
    let mut answer = json!({
        "context": {"iss": claims["iss"], "tenant": claims["tenant"]},
        "command_endpoint": app.command_endpoint(),
        "commands_supported": supported,
        "client_id": app.client_id(connection),
        "roles": roles,
    });
    let missing = [(Defect::CmdMetadata, "context"), (Defect::CmdMetadataRoles, "roles")];
    for (_, member) in missing.iter().filter(|(defect, _)| app.has(*defect)) {
        answer.as_object_mut().map(|members| members.remove(*member));
    }
    Reply::json(200, &answer)
}

/// The application has other roles than before: providers that gave a callback token are asked for a new metadata command.
pub fn roles_changed(app: &App) {
    if app.has(Defect::CmdMetadataRefresh) {
        return;
    }
    let known: Vec<OpMetadata> = app.lock().op_metadata.values().cloned().collect();
    for metadata in known {
        if let (Some(endpoint), Some(token)) = (metadata.callback_endpoint, metadata.callback_token) {
            post(app, endpoint, token, json!({"command_requested": "metadata"}));
        }
    }
}

/// Streaming Response. Events are named after their accounts, so that a stream can be resumed at any later time.
fn streamed(app: &App, request: &In, connection: usize, claims: &Value, command: &str) -> Reply {
    let mut state = app.lock();
    meet(app, &mut state, connection, claims);
    let concerned = |account: &&Account| match (command, standing(app, account)) {
        (_, Standing::Hidden) => false,
        ("suspend_tenant" | "invalidate_tenant", standing) => standing == Standing::Active,
        ("archive_tenant", standing) => standing != Standing::Archived,
        _ => true,
    };
    let own = state.accounts.values().filter(|account| belongs(app, account, connection, tenant(claims)));
    let mut accounts: Vec<Account> = own.filter(concerned).cloned().collect();
    accounts.sort_by(|a, b| a.id.cmp(&b.id));
    if command == "suspend_tenant" && app.has(Defect::CmdSuspendTenant) {
        accounts.truncate(FIRST_PAGE);
    }
    if command != "audit_tenant" {
        let ids: Vec<String> = accounts.iter().map(|account| account.id.clone()).collect();
        revoke(app, &mut state, &ids, None, later(claims));
    }
    drop(state);
    let mut events = Vec::new();
    for account in &accounts {
        let to = match command {
            "suspend_tenant" => Standing::Suspended,
            "archive_tenant" => Standing::Archived,
            "delete_tenant" => {
                app.scim.remove_user(&account.id);
                app.lock().accounts.remove(&account.id);
                continue;
            }
            _ => Standing::Active,
        };
        let data = if command == "audit_tenant" {
            Value::Object(told(app, account))
        } else {
            settle(app, account, to, claims, command);
            json!({"sub": account.sub, "account_state": to.word()})
        };
        events.push((account.id.clone(), data));
    }
    let total = events.len() + usize::from(command == "audit_tenant" && app.has(Defect::CmdAuditTenant));
    if let Some(last) = request.header("last-event-id") {
        if app.has(Defect::CmdStreamResume) {
            return stream(&events[..events.len().min(FIRST_PAGE)], None);
        }
        match events.iter().position(|(id, _)| id == last) {
            Some(at) => drop(events.drain(..=at)),
            None => return Reply::oauth_error(404, "last-event-id-unavailable", "there is no such event"),
        }
    }
    stream(&events, Some(total))
}

fn stream(events: &[(String, Value)], total: Option<usize>) -> Reply {
    let event = |id: &str, name: &str, data: &Value| format!("id: {id}\nevent: {name}\ndata: {data}\n\n");
    let mut body: String = events.iter().map(|(id, data)| event(id, "account-state", data)).collect();
    if let Some(total) = total {
        body.push_str(&event("complete", "command-complete", &json!({"total_accounts": total})));
    }
    let reply = Reply { body, ..Reply::status(200) };
    reply.with("content-type", "text/event-stream").with("cache-control", "no-cache")
}
