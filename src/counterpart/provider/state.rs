//! What the provider remembers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::log::{Authorization, Log};
use super::script::{Answer, Script, Twist};

/// A browser context.
pub(super) struct ContextState {
    pub scenario: &'static str,
    pub step: String,
    pub answers: VecDeque<Answer>,
    pub refresh: Option<Twist>,
    pub sids: Vec<String>,
}

impl ContextState {
    pub(super) fn new(scenario: &'static str, label: &str) -> Self {
        ContextState { scenario, step: label.to_owned(), answers: VecDeque::new(), refresh: None, sids: Vec::new() }
    }
}

/// A granted login, by its code.
#[derive(Clone)]
pub(super) struct Grant {
    /// The request it answers; `None` where nobody asked.
    pub request: Option<Authorization>,
    pub context: String,
    pub issuer: usize,
    pub script: Script,
    pub sid: String,
    pub used: usize,
    /// The response went to the browser that had asked, by the provider itself.
    pub delivered: bool,
}

/// A token, by its value.
#[derive(Clone)]
pub(super) struct Held {
    pub code: String,
    /// Thumbprint of the key it is bound to.
    pub jkt: Option<String>,
}

#[derive(Default)]
pub(super) struct State {
    pub contexts: HashMap<String, ContextState>,
    pub grants: HashMap<String, Grant>,
    pub access: HashMap<String, Held>,
    pub refresh: HashMap<String, Held>,
    /// Pushed authorization requests.
    pub pushed: HashMap<String, Vec<(String, String)>>,
    pub more_keys: Vec<Value>,
    pub pretended: HashMap<usize, String>,
    /// DPoP nonces handed out, oldest first; the last one is in force. At the token endpoint (`false`) and at UserInfo (`true`).
    pub nonces: HashMap<bool, Vec<String>>,
    pub proofs: Vec<String>,
    /// ID tokens that the token endpoint handed out.
    pub id_tokens: Vec<String>,
    /// Callback tokens handed out, with the scenario they are for.
    pub callback_tokens: HashMap<String, &'static str>,
    pub callbacks: Vec<super::Callback>,
    /// What arrived. Readers keep it as it is; whoever adds to it while somebody reads writes on in a copy.
    pub log: Arc<Log>,
}

impl State {
    /// To write into the log.
    pub fn log_mut(&mut self) -> &mut Log {
        Arc::make_mut(&mut self.log)
    }
}
