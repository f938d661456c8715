//! A SCIM 2.0 service provider (RFC 7643, RFC 7644, cursor paging of RFC 9865, roles of draft-ietf-scim-roles-entitlements-01).
//!
//! It has two uses: as the interface of the reference application, with deliberate quirks, and as the suite's own server that
//! identity services provision into. It knows neither sockets nor waiting: who embeds it brings requests and sends responses.

pub mod auth;
mod call;
mod check;
mod discovery;
mod filter;
mod local;
mod matching;
mod patch;
mod paths;
mod problem;
mod project;
pub mod quirk;
mod read;
mod roles;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod value;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use store::State;

pub use auth::{AuthConfig, Authority, Client, Layout};
pub use quirk::Quirk;

/// A request to the SCIM interface.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Method, upper case.
    pub method: String,
    /// Path below the base, e.g. `/Users/123`.
    pub path: String,
    /// Query parameters, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body as sent.
    pub body: Vec<u8>,
}

/// What the service provider answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers, the media type among them where there is a body; names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body; `None` for 204 and 304.
    pub body: Option<Value>,
}

/// The ways of paging that are offered and advertised (RFC 7644 3.4.2.4, RFC 9865).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paging {
    /// startIndex and count only.
    Index,
    /// cursor and count only.
    Cursor,
    /// Either; a list without cursor is paged by index.
    #[default]
    Both,
}

/// A role of the application, as shown at /Roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its stable value, compared exactly.
    pub value: String,
    /// Its readable name.
    pub display: String,
    /// May it be assigned?
    pub supported: bool,
    /// How many users of a tenant may hold it; `None` for any number.
    pub limit: Option<u32>,
}

/// Why a caller is not authorised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No token was sent: 401.
    NoToken,
    /// The token is not good, with the reason: 401 invalid_token.
    BadToken(String),
    /// The token lacks this scope: 403 insufficient_scope.
    InsufficientScope(String),
}

/// Who asks. Who decides that is the embedder's business; [`Authority`] can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Authorised for this tenant.
    Tenant(String),
    /// Authorised for nothing.
    Nobody(Refusal),
}

/// How an engine behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// Absolute URL of the interface without a slash at its end, e.g. `https://app.example/scim/v2`.
    pub base_url: String,
    /// Deliberate departures.
    pub quirks: Vec<Quirk>,
    /// Most resources on a page.
    pub page_limit: usize,
    /// Ways of paging.
    pub paging: Paging,
    /// Roles at the start.
    pub roles: Vec<Role>,
    /// May a user hold several roles?
    pub multiple_roles: bool,
    /// Are ETags sent and If-Match, If-None-Match honoured?
    pub etags: bool,
    /// List requests per second before 429 with Retry-After: 1; `None` for any number.
    pub rate_limit: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            base_url: "http://localhost/scim/v2".into(),
            quirks: Vec::new(),
            page_limit: 100,
            paging: Paging::Both,
            roles: Vec::new(),
            multiple_roles: true,
            etags: true,
            rate_limit: None,
        }
    }
}

impl Config {
    /// Does it ask for this departure?
    pub fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }
}

/// A change of a resource, told to the listeners.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// `User` or `Group`.
    pub resource: &'static str,
    /// Its id.
    pub id: String,
    /// Its tenant.
    pub tenant: String,
    /// Before; `None` when it was created.
    pub before: Option<Value>,
    /// After; `None` when it was removed.
    pub after: Option<Value>,
}

/// Hears of every change, after it was made and outside of the engine's lock.
pub type Listener = Box<dyn Fn(&Change) + Send + Sync>;

/// The service provider. Share it behind an `Arc`.
pub struct Engine {
    config: Config,
    state: Mutex<State>,
    listeners: Mutex<Vec<Arc<Listener>>>,
}

impl Engine {
    /// An engine without resources.
    pub fn new(config: Config) -> Self {
        let state = State { roles: config.roles.clone(), first_roles: config.roles.clone(), ..State::default() };
        Engine { config, state: Mutex::new(state), listeners: Mutex::default() }
    }

    /// How it behaves.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Does it depart in this way?
    pub fn has(&self, quirk: Quirk) -> bool {
        self.config.has(quirk)
    }

    /// Answers a request. Never waits, never panics.
    pub fn handle(&self, caller: &Caller, request: &Request) -> Response {
        let mut state = self.state();
        let (response, changes) = call::handle(&self.config, &mut state, caller, request);
        drop(state);
        self.tell(&changes);
        response
    }

    fn tell(&self, changes: &[Change]) {
        let listeners = self.listeners().clone();
        for change in changes {
            listeners.iter().for_each(|listener| listener(change));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Arc<Listener>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
