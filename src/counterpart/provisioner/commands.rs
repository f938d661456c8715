//! The second binding: OpenID Provider Commands (draft 02). Metadata first, then the command that leads from the application's state of
//! an account to the wanted one; audits find drift.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore};

use super::Provisioner;
use super::channel::pause;
use super::directory::{Key, Offered, Told};
use super::lapse::Lapse;
use super::transport::{Answer, send};
use crate::wire::jose::random;

/// Seconds a Command Token is valid.
const LIFETIME_S: i64 = 60;
/// Attempts to reach the endpoint.
const ATTEMPTS: u32 = 5;
/// Commands in a row that one change may need: a conflict, then reactivate, then maintain.
const STEPS: usize = 4;
/// Commands on their way at a time: each takes a connection, and a change of a group may concern thousands of users.
const PARALLEL: usize = 16;
/// Repetitions under defects.
const REPEATS: usize = 6;
/// Claims of account commands, as announced.
const CLAIMS: [&str; 8] = ["sub", "email", "email_verified", "name", "given_name", "family_name", "groups", "roles"];

/// The way to one command endpoint.
#[derive(Debug)]
pub struct Commands {
    endpoint: String,
    http: RwLock<reqwest::Client>,
    known: Mutex<Known>,
    slots: Semaphore,
}

/// What the last exchange of metadata gave.
#[derive(Debug, Default)]
struct Known {
    supported: Option<Vec<String>>,
    /// Ids of the groups that were announced.
    groups: Vec<String>,
    callback_token: String,
}

impl Commands {
    /// To this endpoint.
    pub fn new(endpoint: &str, http: reqwest::Client) -> Self {
        Commands {
            endpoint: endpoint.to_owned(),
            http: RwLock::new(http),
            known: Mutex::default(),
            slots: Semaphore::new(PARALLEL),
        }
    }

    /// The token of the last metadata command.
    #[cfg(test)]
    pub async fn callback_token(&self) -> String {
        self.known.lock().await.callback_token.clone()
    }

    /// From now on by this client.
    pub fn replace_client(&self, http: reqwest::Client) {
        *self.http.write().unwrap_or_else(PoisonError::into_inner) = http;
    }
}

impl Provisioner {
    /// Exchanges metadata; takes the application's commands and roles from the answer.
    pub(super) async fn exchange_metadata(&self) {
        if let Some(commands) = &self.commands {
            let mut known = commands.known.lock().await;
            self.metadata(commands, &mut known).await;
        }
    }

    async fn metadata(&self, commands: &Commands, known: &mut Known) {
        let groups: Vec<(String, String)> = self
            .directory()
            .groups
            .values()
            .filter(|group| !group.gone)
            .map(|group| (group.id.clone(), group.name.clone()))
            .collect();
        known.callback_token = random(24);
        let announced: Vec<Value> = groups.iter().map(|(id, name)| json!({"id": id, "display": name})).collect();
        let more = json!({
            "callback_token": known.callback_token,
            "metadata": {
                "callback_endpoint": format!("{}/callback", self.settings.origin),
                "claims_supported": CLAIMS,
                "groups": announced,
            },
        });
        match self.send(commands, "metadata", &more, false).await {
            Ok(answer) if answer.ok() => {
                let list = |name: &str| answer.json[name].as_array().cloned().unwrap_or_default();
                known.supported =
                    Some(list("commands_supported").iter().filter_map(|one| one.as_str().map(str::to_owned)).collect());
                known.groups = groups.into_iter().map(|(id, _)| id).collect();
                let text = |role: &Value, name: &str| role[name].as_str().unwrap_or_default().to_owned();
                let role = |role: &Value| Offered { value: text(role, "id"), display: text(role, "display") };
                self.directory().command_roles = list("roles").iter().map(role).collect();
            }
            Ok(answer) => self.problem(format!("command metadata: {}", answer.describe())),
            Err(why) => self.problem(format!("command metadata: {why}")),
        }
    }

    /// Is it the token of the last metadata command?
    pub(super) async fn callback_token_is(&self, token: &str) -> bool {
        let Some(commands) = &self.commands else { return false };
        let known = commands.known.lock().await;
        self.has(Lapse::CmdCallbackHonoured) || (!token.is_empty() && known.callback_token == token)
    }

    /// Sends a command; no answer and 5xx are tried again.
    async fn send(&self, commands: &Commands, command: &str, more: &Value, stream: bool) -> Result<Answer, String> {
        let mut why = String::new();
        for attempt in 0..ATTEMPTS {
            let slot = commands.slots.acquire().await;
            // A new token each time: the endpoint may have seen the last one.
            let now = Timestamp::now().as_second();
            let mut claims = json!({
                "iss": self.accounts.issuer(),
                "aud": commands.endpoint,
                "client_id": self.settings.client_id,
                "iat": now,
                "exp": now + LIFETIME_S,
                "jti": random(16),
                "command": command,
                "tenant": self.settings.tenant,
            });
            for (name, value) in more.as_object().into_iter().flatten() {
                claims[name.as_str()] = value.clone();
            }
            if self.has(Lapse::CmdTokenForm) {
                claims["nonce"] = random(8).into();
            }
            let token = self.accounts.sign(&json!({"typ": "command+jwt"}), &claims);
            let http = commands.http.read().unwrap_or_else(PoisonError::into_inner).clone();
            let request = http.post(&commands.endpoint).form(&[("command_token", token)]);
            let request =
                if stream { request.header("accept", "text/event-stream").header("cache-control", "no-cache") } else { request };
            match send(request).await {
                Ok(answer) if answer.status < 500 && answer.status != 429 => return Ok(answer),
                Ok(answer) => why = answer.describe(),
                Err(lost) => why = lost,
            }
            drop(slot);
            tokio::time::sleep(pause(attempt)).await;
        }
        Err(why)
    }

    /// Brings an account in step by commands.
    pub(super) async fn tell_user(self: &Arc<Self>, key: Key) {
        let Some(commands) = &self.commands else { return };
        for _ in 0..STEPS {
            let Some((name, told, Some(command))) = self.next_command(key) else { return };
            let ends = matches!(command, "suspend" | "archive" | "delete");
            if ends && self.has(Lapse::CmdDeprovision) {
                return;
            }
            let Some(command) = self.supported(commands, command).await else {
                self.problem(format!("user {name}: the application does not support {command}"));
                return;
            };
            let sent = if self.has(Lapse::CmdActivateMaintain) && command == "maintain" { "activate" } else { command };
            let Some((more, claims)) = self.account_claims(key, matches!(command, "activate" | "maintain")) else { return };
            let answer = match self.send(commands, sent, &more, false).await {
                Ok(answer) => answer,
                Err(why) => return self.problem(format!("user {name}: {command}: {why}")),
            };
            let state = answer.json["account_state"].as_str().map(str::to_owned);
            let told = match answer.status {
                200..=299 => Told { state: after(command).to_owned(), claims: claims.unwrap_or(told.claims) },
                409 if self.has(Lapse::CmdHandlesConflict) => return self.repeat(commands, sent, &more).await,
                // Their state counts; what claims they have we do not know.
                409 if state.is_some() => Told { state: state.unwrap_or_default(), claims: Value::Null },
                400 if answer.json["error"] == "unsupported_command" && self.has(Lapse::CmdOnlySupported) => {
                    return self.repeat(commands, sent, &more).await;
                }
                _ => {
                    if answer.json["error"] == "unsupported_command" {
                        let mut known = commands.known.lock().await;
                        known.supported.iter_mut().for_each(|all| all.retain(|one| one != command));
                    }
                    return self.problem(format!("user {name}: {command}: {}", answer.describe()));
                }
            };
            if let Some(user) = self.directory().users.get_mut(&key) {
                // Of a deleted user nothing more is told, also where deletion had to be something milder.
                let over = told.state == "unknown" || (user.gone && answer.ok());
                user.told = if over { Told::default() } else { told };
            }
        }
    }

    /// A defect.
    async fn repeat(&self, commands: &Commands, command: &str, more: &Value) {
        for _ in 0..REPEATS {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = self.send(commands, command, more, false).await;
        }
    }

    /// Name, what was told, and the command that leads on; no command when all is told.
    fn next_command(&self, key: Key) -> Option<(String, Told, Option<&'static str>)> {
        let claims = self.account_claims(key, true)?.1;
        let directory = self.directory();
        let user = directory.users.get(&key)?;
        let command = match (user.told.state.as_str(), user.has_access()) {
            ("", true) => Some("activate"),
            ("suspended", true) => Some("reactivate"),
            ("archived", true) => Some("restore"),
            ("active", true) => (claims.as_ref() != Some(&user.told.claims)).then_some("maintain"),
            ("active" | "suspended" | "archived", false) if user.gone => Some("delete"),
            ("active", false) => Some("suspend"),
            _ => None,
        };
        Some((user.name.clone(), user.told.clone(), command))
    }

    /// The command, or the nearest one that the application supports. Metadata come first, and again when there are new groups.
    async fn supported(&self, commands: &Commands, command: &'static str) -> Option<&'static str> {
        let mut known = commands.known.lock().await;
        let new_groups = self.directory().groups.values().any(|group| !group.gone && !known.groups.contains(&group.id));
        if known.supported.is_none() || new_groups {
            self.metadata(commands, &mut known).await;
        }
        if self.has(Lapse::CmdOnlySupported) {
            return Some(command);
        }
        let instead: &[&'static str] = match command {
            "suspend" => &["suspend", "archive"],
            "delete" => &["delete", "archive", "suspend"],
            _ => return known.supported.as_ref()?.iter().any(|one| one == command).then_some(command),
        };
        instead.iter().copied().find(|one| known.supported.iter().flatten().any(|supported| supported == one))
    }

    /// The claims of an account command, and those that maintain would change.
    fn account_claims(&self, key: Key, full: bool) -> Option<(Value, Option<Value>)> {
        let directory = self.directory();
        let user = directory.users.get(&key)?;
        if !full {
            return Some((json!({"sub": user.sub}), None));
        }
        let groups = directory.groups_of(key);
        let ids: Vec<&String> =
            groups.iter().map(|(_, group)| if self.has(Lapse::CmdMetadataGroups) { &group.name } else { &group.id }).collect();
        let mut claims = json!({
            "sub": user.sub,
            "email": user.email,
            "email_verified": true,
            "name": user.display,
            "given_name": user.given,
            "family_name": user.family,
            "groups": ids,
        });
        if !directory.command_roles.is_empty() && !self.has(Lapse::CmdMetadataConsumed) {
            claims["roles"] = directory.command_roles_of(key).into();
        }
        Some((claims.clone(), Some(claims)))
    }

    /// Asks the application for all accounts (audit_tenant) and notes where it differs; the jobs after it correct that.
    pub(super) async fn audit(&self) {
        let Some(commands) = self.commands.as_ref().filter(|_| !self.has(Lapse::CmdAuditDrift)) else { return };
        if self.supported(commands, "audit_tenant").await.is_none() {
            return;
        }
        let answer = match self.send(commands, "audit_tenant", &json!({}), true).await {
            Ok(answer) if answer.ok() => answer,
            Ok(answer) => return self.problem(format!("audit_tenant: {}", answer.describe())),
            Err(why) => return self.problem(format!("audit_tenant: {why}")),
        };
        let accounts = events(&answer.text);
        // A stream that broke off says nothing about who is missing.
        let complete = accounts.iter().any(|(event, _)| event == "command-complete");
        for user in self.directory().users.values_mut().filter(|user| !user.told.state.is_empty()) {
            match accounts.iter().find(|(event, data)| event == "account-state" && data["sub"] == user.sub.as_str()) {
                Some((_, data)) => {
                    let state = data["account_state"].as_str().unwrap_or("unknown");
                    let drifted = user
                        .told
                        .claims
                        .as_object()
                        .into_iter()
                        .flatten()
                        .any(|(name, value)| data.get(name).is_some_and(|theirs| theirs != value));
                    if state == "unknown" {
                        user.told = Told::default();
                    } else {
                        state.clone_into(&mut user.told.state);
                        if drifted {
                            user.told.claims = Value::Null;
                        }
                    }
                }
                None if complete => user.told = Told::default(),
                None => {}
            }
        }
    }
}

/// State after a command succeeded.
fn after(command: &str) -> &'static str {
    match command {
        "suspend" => "suspended",
        "archive" => "archived",
        "delete" => "unknown",
        _ => "active",
    }
}

/// Events of a stream with their data as JSON (Server-Sent Events).
fn events(text: &str) -> Vec<(String, Value)> {
    let text = text.replace("\r\n", "\n");
    let block = |block: &str| {
        let field = |name: &str| {
            let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
        };
        (field("event"), serde_json::from_str(&field("data")).unwrap_or(Value::Null))
    };
    text.split("\n\n").filter(|part| !part.trim().is_empty()).map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_event_by_event() {
        let text = "id: 1\nevent: account-state\ndata: {\"sub\": \"a\",\ndata: \"account_state\": \"active\"}\n\n\
                    id: 2\r\nevent:command-complete\r\ndata:{\"total_accounts\":1}\r\n\r\n";
        let events = events(text);
        assert_eq!(events[0], ("account-state".into(), json!({"sub": "a", "account_state": "active"})));
        assert_eq!(events[1], ("command-complete".into(), json!({"total_accounts": 1})));
    }
}
