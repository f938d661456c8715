//! The SCIM server that the suite plays for an identity service: a conforming service provider whose every request is kept, where
//! faults can be scripted for one user, with the authorization server and the command endpoint that belong to it.

pub mod access;
pub mod commands;
pub mod fault;
pub mod log;
pub mod sent;
mod serve;
pub mod strict;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

pub use access::Desk;
pub use fault::{Fault, Rule};
pub use log::{Access, Door, Entry, Listed, Log};
pub use sent::{Sent, misplaced_token};

use self::commands::CommandDesk;
use self::fault::Script;
use crate::counterpart::scim_client::USER;
use crate::counterpart::scim_server::{Config, Engine, Paging, Role};
use crate::model::target::ScimAuth;
use crate::stage::async_server::AsyncServer;
use crate::stage::front::Front;
use crate::stage::listener::{ListenFault, TestCa};
use crate::stage::recorder::Recorder;

/// The tenant that identity services provision into.
pub const TENANT: &str = "suite";
/// Bytes of a request body at most: a group of some thousand members must fit.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// Most resources on a page of users or groups.
const PAGE: usize = 100;
/// Roles on a page: three of them take two.
const ROLE_PAGE: u64 = 2;
/// Users that nobody provisioned: a few that look like accounts, and enough for several pages.
const UNMANAGED: usize = 250;

/// What a receiver is started with.
pub struct ReceiverConfig {
    /// Address and port to bind.
    pub listen: String,
    /// URL as the identity service calls it, without a slash at its end.
    pub scim_url: String,
    /// URL of the command endpoint; empty for none.
    pub commands_url: String,
    /// Signs the certificates, where the URL is https.
    pub ca: Option<Arc<TestCa>>,
    /// Where tokens come from.
    pub auth: ScimAuth,
    /// The static token.
    pub token: Option<String>,
    /// `aud` of the identity service's access tokens; empty takes the URL.
    pub audience: String,
    /// Collects the evidence.
    pub recorder: Arc<Recorder>,
    /// Tags what the receiver makes up.
    pub run_id: String,
    /// Roles are exposed and announced. Strict clients refuse a ServiceProviderConfig with members that RFC 7643 does not know, so they are
    /// announced only where clauses about roles are to be decided.
    pub roles: bool,
    /// Directory users that the run may use.
    pub pool: Vec<String>,
}

/// The running receiver. Dropping it closes its ports.
pub struct Receiver {
    /// Address and port it listens on.
    pub addr: SocketAddr,
    /// What is asked and decided about tokens.
    pub desk: Arc<Desk>,
    /// The command endpoint.
    pub commands: Arc<CommandDesk>,
    /// The TLS endpoint, where the URL is https.
    pub front: Option<Front>,
    /// DER certificate of the authority that signs its certificates; empty where the URL is http.
    pub authority: Vec<u8>,
    hall: Arc<Hall>,
    pool: Mutex<Vec<String>>,
    /// Accounts that a hook named, by the user's tag.
    told: Mutex<BTreeMap<String, String>>,
    _server: AsyncServer,
}

/// What handlers share.
pub(crate) struct Hall {
    engine: Engine,
    log: Log,
    script: Script,
    desk: Arc<Desk>,
    commands: Arc<CommandDesk>,
    recorder: Arc<Recorder>,
    /// Origin of the URLs, for the record.
    origin: String,
    /// Path of the SCIM interface.
    base: String,
    /// Path of the command endpoint; empty for none.
    command_path: String,
    paging: Mutex<Paging>,
    /// Texts in requests by which they belong to a scenario.
    tags: Mutex<Vec<(String, &'static str)>>,
    unmanaged: Vec<String>,
}

impl Receiver {
    /// Starts it, with its users that nobody provisioned.
    ///
    /// # Errors
    /// An address is in use, or a certificate cannot be made.
    pub async fn start(config: ReceiverConfig) -> Result<Receiver, ListenFault> {
        let url = url::Url::parse(&config.scim_url)
            .map_err(|error| ListenFault::Authority(format!("counterpart.scim_url: {error}")))?;
        let origin = url.origin().ascii_serialization();
        let engine = Engine::new(Config {
            base_url: config.scim_url.trim_end_matches('/').to_owned(),
            page_limit: PAGE,
            paging: Paging::Both,
            roles: if config.roles { roles(&config.run_id) } else { Vec::new() },
            ..Config::default()
        });
        let unmanaged = unmanaged(&engine, &config.run_id);
        let scim_url = config.scim_url.trim_end_matches('/');
        // The issuer of its authorization server is the origin; the token endpoint stands there too.
        let mut desk = Desk::new(config.auth, origin.clone(), format!("{origin}/token"), config.token);
        desk.audience = if config.audience.is_empty() { scim_url.to_owned() } else { config.audience };
        let desk = Arc::new(desk);
        let commands = Arc::new(CommandDesk::new(&config.commands_url, &config.run_id));
        let path_of =
            |text: &str| url::Url::parse(text).map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default();
        let hall = Arc::new(Hall {
            engine,
            log: Log::default(),
            script: Script::default(),
            desk: desk.clone(),
            commands: commands.clone(),
            recorder: config.recorder,
            origin,
            base: path_of(&config.scim_url),
            command_path: path_of(&config.commands_url),
            paging: Mutex::new(Paging::Index),
            tags: Mutex::default(),
            unmanaged,
        });
        let tls = config.ca.filter(|_| url.scheme() == "https");
        let authority = tls.as_ref().map(|ca| ca.der().to_vec()).unwrap_or_default();
        let listen = if tls.is_some() { "127.0.0.1:0" } else { config.listen.as_str() };
        let shared = hall.clone();
        let server = AsyncServer::start_with(listen, BODY_LIMIT, move |request| {
            let hall = shared.clone();
            Box::pin(async move { hall.answer(request).await })
        })
        .await?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let front = match tls {
            Some(ca) => Some(Front::start(ca, &config.listen, host, server.addr).await?),
            None => None,
        };
        let addr = front.as_ref().map_or(server.addr, |front| front.addr);
        Ok(Receiver {
            addr,
            desk,
            commands,
            front,
            authority,
            hall,
            pool: Mutex::new(config.pool),
            told: Mutex::default(),
            _server: server,
        })
    }

    /// The service provider, for looking and for changes behind the identity service's back.
    pub fn engine(&self) -> &Engine {
        &self.hall.engine
    }

    /// Every request so far.
    pub fn log(&self) -> &Log {
        &self.hall.log
    }

    /// Requests that hold this text belong to this scenario in the record.
    pub fn tag(&self, text: &str, scenario: &'static str) {
        self.hall.tags.lock().unwrap_or_else(PoisonError::into_inner).push((text.to_lowercase(), scenario));
    }

    /// A directory user that no other scenario uses.
    pub fn take_user(&self) -> Option<String> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Reads what a hook said about a user since `mark`; see `named`.
    pub fn hear(&self, mark: usize, tag: &str, text: &str) {
        if let Some(id) = named(&self.log().since(mark, Entry::created_user), text) {
            self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(tag.to_owned(), id);
        }
    }

    /// The account that a hook named as this user's.
    pub fn told(&self, tag: &str) -> Option<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).get(tag).cloned()
    }

    /// Did a hook name this account?
    pub fn is_told(&self, id: &str) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).values().any(|known| known == id)
    }

    /// Scripts a fault.
    pub fn script(&self, rule: Rule) {
        self.hall.script.add(rule);
    }

    /// Takes away the faults that are left for this user.
    pub fn unscript(&self, whose: &str) {
        self.hall.script.clear(whose);
    }

    /// The ways of paging that are offered from now on; at the start index only.
    pub fn offer(&self, paging: Paging) {
        *self.hall.paging.lock().unwrap_or_else(PoisonError::into_inner) = paging;
    }

    /// Waits until it holds or so much time has passed; answers whether it holds. Looked at whenever a request arrived.
    pub async fn wait(&self, limit: Duration, holds: impl FnMut() -> bool) -> bool {
        self.hall.log.wait(limit, holds).await
    }

    /// The users in which this text stands (in any string, without case), as GET would show them.
    pub fn users_with(&self, text: &str) -> Vec<Value> {
        let text = text.to_lowercase();
        self.hall.engine.users_where(TENANT, |data| data.values().any(|value| holds(value, &text)))
    }

    /// The group of this name.
    pub fn group_named(&self, name: &str) -> Option<Value> {
        self.hall.engine.groups(TENANT).into_iter().find(|group| group["displayName"].as_str() == Some(name))
    }

    /// Users that nobody provisioned.
    pub fn unmanaged(&self) -> &[String] {
        &self.hall.unmanaged
    }

    /// The roles of the run: `reader`, `writer`, and `retired`, which is not supported.
    pub fn role(&self, name: &str) -> String {
        self.hall.engine.roles().into_iter().map(|role| role.value).find(|value| value.ends_with(name)).unwrap_or_default()
    }
}

/// The account that a text names: the one whose id, as the server gave it, stands there. Several say nothing. An id is long and random: it
/// stands in no text by chance, and only who made the account knows it.
fn named(created: &[Entry], text: &str) -> Option<String> {
    let ids: BTreeSet<&str> =
        created.iter().filter_map(|entry| entry.resource.as_deref()).filter(|id| !id.is_empty() && text.contains(id)).collect();
    ids.first().filter(|_| ids.len() == 1).map(|id| (*id).to_owned())
}

/// Does a string of this value hold a text? `text` is in lower case.
pub fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(one) => one.to_lowercase().contains(text),
        Value::Array(all) => all.iter().any(|one| holds(one, text)),
        Value::Object(members) => members.iter().any(|(name, one)| name != "meta" && holds(one, text)),
        _ => false,
    }
}

/// The catalogue of roles at the start. Values are told from what is displayed, so that the one sent for the other is seen.
fn roles(run_id: &str) -> Vec<Role> {
    ["reader", "writer", "retired"]
        .into_iter()
        .map(|name| Role {
            value: format!("{run_id}:{name}"),
            display: format!("Suite {} {run_id}", name.to_uppercase()),
            supported: name != "retired",
            limit: None,
        })
        .collect()
}

/// Makes the users that nobody provisioned; names that no directory holds, so that nothing links them.
fn unmanaged(engine: &Engine, run_id: &str) -> Vec<String> {
    (0..UNMANAGED)
        .map(|number| {
            let name = format!("unmanaged-{number}.{run_id}@nobody.invalid");
            let user = json!({
                "schemas": [USER], "userName": name, "displayName": format!("Unmanaged {number}"), "active": true,
                "emails": [{"value": name, "type": "work", "primary": true}],
            });
            engine.put_user(TENANT, user)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_hook_names_an_account_by_its_id_and_by_one_alone() {
        let made = |id: &str| Entry { resource: Some(id.into()), status: 201, ..entry("POST", "/Users", "{}") };
        let created = [made("7c1f-a"), made("7c1f-b")];
        assert!(created.iter().all(Entry::created_user));
        assert_eq!(named(&created, "User ID: 7c1f-b"), Some("7c1f-b".into()));
        assert_eq!(named(&created, "done"), None);
        assert_eq!(named(&created, "7c1f-a 7c1f-b"), None);
        assert_eq!(named(&[], "7c1f-b"), None);
        assert!(!Entry { status: 409, ..made("7c1f-a") }.created_user());
    }

    /// An entry of the log.
    pub fn entry(method: &str, path: &str, body: &str) -> Entry {
        Entry {
            number: 0,
            at: Instant::now(),
            answered: Instant::now(),
            door: Door::Scim,
            method: method.into(),
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            raw: body.as_bytes().to_vec(),
            body: serde_json::from_str(body).unwrap_or_default(),
            access: Access::NoToken,
            status: 200,
            resource: None,
            listed: None,
            changed: false,
            fault: None,
            exchange: "x0001".into(),
        }
    }
}
