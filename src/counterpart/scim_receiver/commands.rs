//! The command endpoint that the suite plays for an identity service (OpenID Provider Commands draft 02): it keeps accounts as commands
//! tell it, and answers otherwise where that was scripted.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::log::Entry;
use crate::counterpart::scim_server::Response;
use crate::model::ExchangeId;
use crate::wire::jose::read;

/// Every account command that the endpoint supports at the start, and the two of the tenant.
pub const SUPPORTED: [&str; 11] = [
    "metadata",
    "activate",
    "maintain",
    "suspend",
    "reactivate",
    "archive",
    "restore",
    "delete",
    "audit",
    "audit_tenant",
    "invalidate",
];

/// A command as received.
#[derive(Clone, Debug)]
pub struct Command {
    /// When it arrived.
    pub at: Instant,
    /// The Command Token as sent.
    pub token: String,
    /// Its claims, unverified.
    pub claims: Value,
    /// `Content-Type` of the request.
    pub content_type: String,
    /// Status of the answer.
    pub status: u16,
    /// The exchange.
    pub exchange: ExchangeId,
}

impl Command {
    /// A claim that is a string; empty otherwise.
    pub fn claim(&self, name: &str) -> &str {
        self.claims[name].as_str().unwrap_or_default()
    }

    /// The user stands in it: this text in `sub` or any other claim, without case.
    pub fn about(&self, text: &str) -> bool {
        super::holds(&self.claims, &text.to_lowercase())
    }
}

/// What the endpoint knows.
#[derive(Debug)]
pub struct CommandDesk {
    /// Its own URL.
    pub endpoint: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    supported: Vec<String>,
    /// 409 for the next command of this name about users in whose token a text stands, so many times.
    conflicts: Vec<(String, String, usize)>,
    roles: Vec<Value>,
    accounts: BTreeMap<String, Account>,
    received: Vec<Command>,
}

#[derive(Clone, Debug, Default)]
struct Account {
    state: String,
    claims: Map<String, Value>,
}

/// Claims of a Command Token that say nothing about the user.
const ENVELOPE: [&str; 10] = ["iss", "aud", "iat", "exp", "jti", "client_id", "command", "tenant", "nonce", "callback_token"];

impl CommandDesk {
    /// No account yet; the roles of the run.
    pub fn new(endpoint: &str, run_id: &str) -> Self {
        let role =
            |name: &str| json!({"id": format!("{run_id}:{name}"), "display": format!("Suite {} {run_id}", name.to_uppercase())});
        let state = State {
            supported: SUPPORTED.map(str::to_owned).to_vec(),
            roles: ["reader", "writer", "auditor"].map(role).to_vec(),
            ..State::default()
        };
        CommandDesk { endpoint: endpoint.to_owned(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The commands that are announced from now on.
    pub fn support(&self, commands: &[&str]) {
        self.state().supported = commands.iter().map(|name| (*name).to_owned()).collect();
    }

    /// 409 incompatible_state for the next commands of this name about this user.
    pub fn conflict(&self, user: &str, command: &str, times: usize) {
        self.state().conflicts.push((user.to_lowercase(), command.to_owned(), times));
    }

    /// Sets the state of an account behind the identity service's back.
    pub fn set_account(&self, sub: &str, to: &str) {
        to.clone_into(&mut self.state().accounts.entry(sub.to_owned()).or_default().state);
    }

    /// The state of an account; empty where no command named it.
    pub fn account(&self, sub: &str) -> String {
        self.state().accounts.get(sub).map(|account| account.state.clone()).unwrap_or_default()
    }

    /// The commands so far, oldest first.
    pub fn received(&self) -> Vec<Command> {
        self.state().received.clone()
    }

    /// Answers a command request.
    pub fn answer(&self, entry: &Entry) -> Response {
        let Some(claims) = claims(entry) else { return problem(400, "invalid_request") };
        let text = |name: &str| claims[name].as_str().unwrap_or_default();
        let (command, sub) = (text("command"), text("sub"));
        let mut state = self.state();
        if !state.supported.iter().any(|known| known == command) {
            return problem(400, "unsupported_command");
        }
        let about = claims.to_string().to_lowercase();
        let known = state.accounts.get(sub).map(|account| account.state.clone()).unwrap_or_else(|| "unknown".into());
        let scripted =
            state.conflicts.iter_mut().find(|(user, name, times)| *times > 0 && name == command && about.contains(user.as_str()));
        if let Some((_, _, times)) = scripted {
            *times -= 1;
            let says = after(command).map_or(known, str::to_owned);
            return answered(409, json!({"sub": sub, "account_state": says, "error": "incompatible_state"}));
        }
        match command {
            "metadata" => {
                let context = json!({"iss": text("iss"), "tenant": claims["tenant"]});
                answered(
                    200,
                    json!({
                        "context": context,
                        "command_endpoint": self.endpoint,
                        "client_id": claims["client_id"],
                        "commands_supported": state.supported,
                        "claims_supported": ["sub", "email", "email_verified", "name", "given_name", "family_name", "groups", "roles"],
                        "roles": state.roles,
                    }),
                )
            }
            "audit_tenant" => tenant(&state),
            "audit" => {
                let account = state.accounts.get(sub).cloned().unwrap_or_default();
                let mut body = account.claims;
                body.insert("sub".into(), sub.into());
                body.insert("account_state".into(), known.into());
                answered(200, Value::Object(body))
            }
            _ => account_command(&mut state, command, sub, &known, &claims),
        }
    }

    /// Keeps a command that was answered.
    pub fn note(&self, entry: &Entry, exchange: &ExchangeId) {
        let command = Command {
            at: entry.at,
            token: token(entry).unwrap_or_default(),
            claims: claims(entry).unwrap_or_default(),
            content_type: entry.header("content-type").to_owned(),
            status: entry.status,
            exchange: exchange.clone(),
        };
        let mut state = self.state();
        if state.received.len() < 5000 {
            state.received.push(command);
        }
    }
}

/// The state after an account command.
fn after(command: &str) -> Option<&'static str> {
    match command {
        "activate" | "reactivate" | "restore" => Some("active"),
        "suspend" => Some("suspended"),
        "archive" => Some("archived"),
        "delete" => Some("unknown"),
        _ => None,
    }
}

fn account_command(state: &mut State, command: &str, sub: &str, known: &str, claims: &Value) -> Response {
    let fits = match command {
        "activate" => known == "unknown",
        "suspend" => known == "active",
        "reactivate" => known == "suspended",
        "archive" => matches!(known, "active" | "suspended"),
        "restore" => known == "archived",
        "maintain" => matches!(known, "active" | "suspended"),
        _ => known != "unknown" || command == "delete",
    };
    if !fits {
        return answered(409, json!({"sub": sub, "account_state": known, "error": "incompatible_state"}));
    }
    let account = state.accounts.entry(sub.to_owned()).or_default();
    after(command).unwrap_or(known).clone_into(&mut account.state);
    if matches!(command, "activate" | "maintain") {
        let about = claims.as_object().into_iter().flatten().filter(|(name, _)| !ENVELOPE.contains(&name.as_str()));
        account.claims.extend(about.map(|(name, value)| (name.clone(), value.clone())));
    }
    answered(200, json!({"sub": sub, "account_state": account.state}))
}

/// The stream of audit_tenant, in one piece.
fn tenant(state: &State) -> Response {
    let mut events = Vec::new();
    for (number, (sub, account)) in state.accounts.iter().enumerate() {
        let mut data = account.claims.clone();
        data.insert("sub".into(), sub.as_str().into());
        data.insert("account_state".into(), account.state.as_str().into());
        events.push(format!("id: {number}\nevent: account-state\ndata: {}\n\n", Value::Object(data)));
    }
    let total = json!({"total_accounts": state.accounts.len()});
    events.push(format!("id: {}\nevent: command-complete\ndata: {total}\n\n", events.len()));
    let headers = vec![("content-type".into(), "text/event-stream".into()), ("cache-control".into(), "no-store".into())];
    Response { status: 200, headers, body: Some(Value::String(events.concat())) }
}

fn token(entry: &Entry) -> Option<String> {
    url::form_urlencoded::parse(&entry.raw).find(|(name, _)| name == "command_token").map(|(_, token)| token.into_owned())
}

fn claims(entry: &Entry) -> Option<Value> {
    Some(read(&token(entry)?).ok()?.claims)
}

fn answered(status: u16, body: Value) -> Response {
    let headers = vec![("content-type".into(), "application/json".into()), ("cache-control".into(), "no-store".into())];
    Response { status, headers, body: Some(body) }
}

fn problem(status: u16, error: &str) -> Response {
    answered(status, json!({"error": error}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::jose::unsigned;

    fn send(desk: &CommandDesk, claims: &Value) -> (u16, Value) {
        let raw = format!("command_token={}", unsigned(claims));
        let response = desk.answer(&super::super::tests::entry("POST", "/commands", &raw));
        (response.status, response.body.unwrap())
    }

    #[test]
    fn accounts_follow_commands() {
        let desk = CommandDesk::new("https://app.test/commands", "run-1");
        let account = |command: &str| send(&desk, &json!({"command": command, "sub": "anna", "tenant": "t", "email": "a@x"}));
        assert_eq!(account("suspend").0, 409);
        assert_eq!(account("activate").1["account_state"], "active");
        assert_eq!(account("audit").1["email"], "a@x");
        assert_eq!(account("suspend").1["account_state"], "suspended");
        assert_eq!(
            account("activate"),
            (409, json!({"sub": "anna", "account_state": "suspended", "error": "incompatible_state"}))
        );
        assert_eq!(account("reactivate").0, 200);
        assert_eq!(account("delete").1["account_state"], "unknown");
        assert_eq!(account("dance").1["error"], "unsupported_command");
        assert_eq!(account("metadata").1["roles"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn conflicts_and_support_are_scripted() {
        let desk = CommandDesk::new("https://app.test/commands", "run-1");
        desk.set_account("anna", "active");
        desk.conflict("anna", "suspend", 1);
        assert_eq!(send(&desk, &json!({"command": "suspend", "sub": "anna"})).1["account_state"], "suspended");
        assert_eq!(send(&desk, &json!({"command": "suspend", "sub": "anna"})).0, 200);
        desk.support(&["metadata", "delete"]);
        assert_eq!(send(&desk, &json!({"command": "reactivate", "sub": "anna"})).0, 400);
    }
}
