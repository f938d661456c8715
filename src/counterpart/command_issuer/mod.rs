//! The command issuer: makes what an identity service sends to an application that has to end a user's sessions, and sends it.
//!
//! Three delivery bindings: OpenID Provider Commands (draft 02), OpenID Connect Back-Channel Logout 1.0, and Global Token Revocation
//! (draft-parecki-oauth-global-token-revocation-05). A conforming [`Draft`] becomes a forged one by a named [`Forgery`].

pub mod desk;
mod draft;
mod forgery;
mod revocation;
pub mod stream;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use desk::{Account, CommandBook, Desk};
pub use draft::{Draft, LogoutForm, Seal};
pub use forgery::{COMMAND_CLAIMS, COMMAND_TYPES, CREDENTIALS, Forgery, LOGOUT_CLAIMS, SIGNATURES};
pub use revocation::{named, revoke, revoke_bytes};
pub use stream::{StreamEvent, Streamed};

use crate::model::ExchangeId;
use crate::stage::Stage;
use crate::stage::http::Ask;
use crate::wire::jose::SigningKey;
use crate::wire::seen::limited;

/// Who speaks: the provider that the suite plays, as the application knows it.
#[derive(Clone, Debug)]
pub struct Sender<'a> {
    /// `iss`.
    pub issuer: String,
    /// The application's `client_id` at that issuer.
    pub client_id: &'a str,
    /// Its client secret, where it has one: the key that an HMAC forgery uses.
    pub client_secret: Option<&'a str>,
    /// `tenant` of the ID tokens; empty where they carry none.
    pub tenant: &'a str,
    /// Signs ID tokens, and so these tokens too.
    pub key: &'a SigningKey,
    /// An RSA key that the issuer publishes although its metadata lists no RS256.
    pub rsa: Option<&'a SigningKey>,
    /// An issuer that the application does not know, with live metadata and a key of its own.
    pub stranger: (String, &'a SigningKey),
}

impl Sender<'_> {
    /// `tenant` of commands. The draft demands one of every command; `organization` is its word for the only one of an issuer.
    pub fn command_tenant(&self) -> &str {
        if self.tenant.is_empty() { "organization" } else { self.tenant }
    }
}

/// Whom a message is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// `sub`.
    pub sub: String,
    /// `sid` of one of the user's sessions, as its ID token said.
    pub sid: Option<String>,
}

/// What the application answered: protocol members only, for the judges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// What was sent, in a few words.
    pub what: String,
    /// HTTP status; 0 when no response arrived.
    pub status: u16,
    /// `error` of the body.
    pub error: Option<String>,
    /// Media type without parameters.
    pub media_type: String,
    /// `Cache-Control` as sent.
    pub cache_control: Option<String>,
    /// Members of the JSON object in the body that a check reads.
    pub members: Map<String, Value>,
    /// Why no response arrived.
    pub fault: Option<String>,
    /// The recorded exchange.
    pub cites: Vec<ExchangeId>,
}

/// Members of an answer that are kept.
const MEMBERS: [&str; 15] = [
    "sub",
    "account_state",
    "context",
    "commands_supported",
    "command_endpoint",
    "client_id",
    "aud_sub",
    "authentication_provider",
    "roles",
    "groups",
    "name",
    "given_name",
    "family_name",
    "email",
    "title",
];

impl Answer {
    /// The application says that it did as told.
    pub fn accepted(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The application refuses the message itself. A rate limit or a time-out refuses nothing.
    pub fn refused(&self) -> bool {
        (400..500).contains(&self.status) && !limited(self.status)
    }

    /// The answer says nothing about the message: none came, or the application cannot answer at the moment.
    pub fn silent(&self) -> bool {
        self.status == 0 || limited(self.status) || matches!(self.status, 502..=504)
    }

    /// The answer must not be stored by a cache.
    pub fn no_store(&self) -> bool {
        self.cache_control
            .as_deref()
            .is_some_and(|value| value.split(',').any(|directive| directive.trim().eq_ignore_ascii_case("no-store")))
    }

    /// Status and error, in a few words.
    pub fn describe(&self) -> String {
        match (&self.fault, &self.error) {
            (Some(fault), _) => format!("no answer ({fault})"),
            (None, Some(error)) => format!("status {} with error `{error}`", self.status),
            (None, None) => format!("status {}", self.status),
        }
    }
}

impl Stage {
    /// Sends a message of the command issuer. A broken connection is an answer of its own kind: the messages after it still go out.
    pub async fn command(&self, what: &str, ask: Ask) -> Answer {
        let mut seen = Answer { what: what.to_owned(), ..Answer::default() };
        if let Err(obstacle) = self.answering() {
            seen.fault = Some(format!("not sent: {}", obstacle.message));
            return seen;
        }
        let outcome = self.world.http.send(self.scenario, what, ask).await;
        self.heard(outcome.as_ref().err().map(|fault| fault.why.as_str()));
        match outcome {
            Err(fault) => {
                seen.fault = Some(fault.why);
                seen.cites.push(fault.exchange);
            }
            Ok(reply) => {
                seen.status = reply.status;
                seen.media_type = reply.media_type();
                seen.cache_control = reply.header("cache-control").map(str::to_owned);
                if let Some(Value::Object(body)) = reply.json() {
                    seen.error = body.get("error").and_then(Value::as_str).map(str::to_owned);
                    seen.members = body.into_iter().filter(|(name, _)| MEMBERS.contains(&name.as_str())).collect();
                }
                seen.cites.push(reply.exchange);
            }
        }
        seen
    }
}
