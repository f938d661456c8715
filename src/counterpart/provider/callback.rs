//! The callback endpoint (OpenID Provider Commands draft 02): results of asynchronous commands, and requests for a new metadata or
//! audit_tenant command. Only callback tokens of this run are accepted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use wiremock::{Request, ResponseTemplate};

use super::{Provider, Shared, handle};
use crate::counterpart::op::http::{In, Reply};
use crate::model::{ExchangeId, Party};
use crate::stage::recorder::{Raw, RawExchange};
use crate::wire::jose::random;

/// Between two looks at what has arrived.
const TICK: Duration = Duration::from_millis(100);
/// Callbacks kept at most; an application that repeats itself for ever must not fill the memory.
const KEEP: usize = 200;

/// A request at the callback endpoint.
#[derive(Clone, Debug)]
pub struct Callback {
    /// The bearer token it came with, where it is one of this run.
    pub token: Option<String>,
    /// The body; `null` where it is no JSON.
    pub body: Value,
    /// Media type without parameters.
    pub media_type: String,
    /// What the endpoint answered.
    pub status: u16,
    /// When it arrived.
    pub at: Instant,
    /// The recorded exchange.
    pub exchange: ExchangeId,
}

/// What a callback must look like: the result of a command, or a request for one.
fn understood(body: &Value) -> bool {
    matches!(body["command_requested"].as_str(), Some("metadata" | "audit_tenant"))
        || (body["sub"].is_string() && (body["account_state"].is_string() || body["error"].is_string()))
}

/// Answers and records a callback; errors by RFC 6750 3.
pub(super) fn callback(shared: &Arc<Shared>, request: &In<'_>, raw: &Request) -> ResponseTemplate {
    let bearer = request.header("authorization").and_then(|value| value.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let scenario = bearer.and_then(|token| shared.state().callback_tokens.get(token).copied());
    let body = request.json();
    let challenge = |error: &str| format!("Bearer error=\"{error}\"");
    let reply = match (request.method(), scenario) {
        ("POST", Some(_)) if understood(&body) => Reply::status(204),
        ("POST", Some(_)) => Reply::status(400).with("www-authenticate", challenge("invalid_request")),
        ("POST", None) if bearer.is_some() => Reply::status(401).with("www-authenticate", challenge("invalid_token")),
        ("POST", None) => Reply::status(401).with("www-authenticate", "Bearer"),
        _ => Reply::status(405).with("allow", "POST"),
    };
    let headers = raw
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let exchange = shared.recorder().record(RawExchange {
        scenario: scenario.unwrap_or("command-accounts/async"),
        step: "callback of the application",
        from: Party::Target,
        to: Party::Suite,
        started_at: Timestamp::now(),
        took: Duration::ZERO,
        method: raw.method.as_str(),
        url: &handle::public_url(shared, raw),
        request: Raw { headers: headers.collect(), body: (!raw.body.is_empty()).then(|| raw.body.clone()) },
        status: reply.status,
        response: Raw {
            headers: reply.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            body: None,
        },
        fault: None,
    });
    let token = bearer.filter(|_| scenario.is_some()).map(str::to_owned);
    let media_type = request.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    let mut state = shared.state();
    if state.callbacks.len() < KEEP {
        state.callbacks.push(Callback { token, body, media_type, status: reply.status, at: Instant::now(), exchange });
    }
    drop(state);
    reply.template()
}

impl Provider {
    /// The callback endpoint, for the metadata command.
    pub fn callback_endpoint(&self) -> String {
        format!("{}{}", self.shared.back, self.shared.back_path(0, "callback"))
    }

    /// A new callback token; what comes with it is recorded under this scenario. It never stands in the evidence.
    pub fn callback_token(&self, scenario: &'static str) -> String {
        let token = random(24);
        self.shared.recorder().redactor.hide(&token, "callback token");
        self.shared.state().callback_tokens.insert(token.clone(), scenario);
        token
    }

    /// Everything that has arrived at the callback endpoint, oldest first.
    pub fn callbacks(&self) -> Vec<Callback> {
        self.shared.state().callbacks.clone()
    }

    /// The first callback that fits and arrived at or after `since`; waits for it until the deadline.
    pub async fn callback(&self, since: Instant, deadline: Instant, fits: impl Fn(&Callback) -> bool + Send) -> Option<Callback> {
        loop {
            let found = self.callbacks().into_iter().find(|callback| callback.at >= since && fits(callback));
            if found.is_some() || Instant::now() >= deadline {
                return found;
            }
            tokio::time::sleep(TICK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn results_and_requests_are_understood() {
        assert!(understood(&json!({"command_requested": "metadata"})));
        assert!(understood(&json!({"sub": "s", "account_state": "suspended"})));
        assert!(!understood(&json!({"command_requested": "suspend"})));
        assert!(!understood(&json!({"sub": "s"})));
        assert!(!understood(&Value::Null));
    }
}
