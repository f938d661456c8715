//! Streamed answers of tenant commands: Server-Sent Events (OpenID Provider Commands draft 02, Streaming Response).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Draft, Sender, draft};
use crate::model::ExchangeId;
use crate::stage::Stage;
use crate::stage::http::Ask;
use crate::wire::seen::limited;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamEvent {
    /// `id`, as far as this event says one.
    pub id: Option<String>,
    /// `event`.
    pub event: String,
    /// `data` as JSON; `null` where it is none.
    pub data: Value,
}

/// What came of a streaming request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Streamed {
    /// HTTP status; 0 when no response arrived.
    pub status: u16,
    /// Media type without parameters.
    pub media_type: String,
    /// `error` of a JSON body.
    pub error: Option<String>,
    /// The events, in order.
    pub events: Vec<StreamEvent>,
    /// Why no complete response arrived.
    pub fault: Option<String>,
    /// The recorded exchange.
    pub cites: Vec<ExchangeId>,
}

impl Streamed {
    /// The application gave a stream.
    pub fn accepted(&self) -> bool {
        self.status == 200 && self.media_type == "text/event-stream"
    }

    /// The answer says nothing about the command: none came, or the application cannot answer at the moment.
    pub fn silent(&self) -> bool {
        self.status == 0 || limited(self.status) || matches!(self.status, 502..=504)
    }

    /// The `account-state` events.
    pub fn accounts(&self) -> Vec<&StreamEvent> {
        self.events.iter().filter(|event| event.event == "account-state").collect()
    }

    /// The `account-state` event about this account.
    pub fn about(&self, sub: &str) -> Option<&StreamEvent> {
        self.accounts().into_iter().find(|event| event.data["sub"] == sub)
    }

    /// `total_accounts` of the `command-complete` event; the outer `None` where no such event came.
    pub fn total(&self) -> Option<Option<u64>> {
        self.events.iter().find(|event| event.event == "command-complete").map(|event| event.data["total_accounts"].as_u64())
    }

    /// Status, error and events, in a few words.
    pub fn describe(&self) -> String {
        match (&self.fault, &self.error) {
            (Some(fault), _) => format!("no complete answer ({fault})"),
            (None, Some(error)) => format!("status {} with error `{error}`", self.status),
            (None, None) if self.events.is_empty() => format!("status {}, {} and no event", self.status, self.media_type),
            (None, None) => format!("status {} and {} events", self.status, self.events.len()),
        }
    }
}

/// Reads a stream of events (HTML, Server-sent events, 9.2.6). An event at the end without a blank line is dropped, as that says.
pub fn read_events(text: &str) -> Vec<StreamEvent> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let mut out = Vec::new();
    let (mut id, mut event, mut data) = (None, String::new(), Vec::new());
    for line in text.split('\n') {
        if line.is_empty() {
            if !data.is_empty() || !event.is_empty() {
                let joined = data.join("\n");
                let data = serde_json::from_str(&joined).unwrap_or(Value::Null);
                out.push(StreamEvent { id: id.take(), event: std::mem::take(&mut event), data });
            }
            (id, event, data) = (None, String::new(), Vec::new());
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => id = Some(value.to_owned()),
            "event" => value.clone_into(&mut event),
            "data" => data.push(value.to_owned()),
            _ => {}
        }
    }
    out
}

impl Draft {
    /// As a streaming request, which goes on after an event where one is named.
    pub fn streaming_request(&self, sender: &Sender<'_>, endpoint: &str, after: Option<&str>) -> Ask {
        let mut ask = Ask::form(endpoint, &[("command_token".into(), self.token(sender)), draft::unknown_parameter()]);
        ask.headers = vec![("accept".into(), "text/event-stream".into()), ("cache-control".into(), "no-cache".into())];
        match after {
            Some(id) => ask.header("last-event-id", id),
            None => ask,
        }
    }
}

impl Stage {
    /// Sends a streaming request and reads the stream to its end.
    pub async fn command_stream(&self, what: &str, ask: Ask) -> Streamed {
        let mut seen = Streamed::default();
        match self.world.http.send(self.scenario, what, ask).await {
            Err(fault) => {
                seen.fault = Some(fault.why);
                seen.cites.push(fault.exchange);
            }
            Ok(reply) => {
                seen.status = reply.status;
                seen.media_type = reply.media_type();
                seen.error = reply.json().and_then(|body| body["error"].as_str().map(str::to_owned));
                if seen.media_type == "text/event-stream" {
                    seen.events = read_events(&String::from_utf8_lossy(&reply.body));
                }
                seen.cites.push(reply.exchange);
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_browsers_read_them() {
        let text = "id: 1\nevent: account-state\ndata: {\"sub\":\"a\",\ndata: \"account_state\":\"active\"}\n\n: a comment\n\
                    id: 2\r\nevent: command-complete\r\ndata:{\"total_accounts\":1}\r\n\r\nid: 3\nevent: cut";
        let streamed = Streamed { events: read_events(text), ..Streamed::default() };
        assert_eq!(streamed.events.len(), 2);
        assert_eq!(streamed.about("a").unwrap().data["account_state"], "active");
        assert_eq!(streamed.events[1].id.as_deref(), Some("2"));
        assert_eq!(streamed.total(), Some(Some(1)));
    }

    #[test]
    fn a_stream_without_its_end_has_no_total() {
        let streamed = Streamed { events: read_events("id: 1\nevent: account-state\ndata: nonsense\n\n"), ..Streamed::default() };
        assert_eq!((streamed.total(), streamed.accounts().len()), (None, 1));
        assert_eq!(streamed.events[0].data, Value::Null);
    }
}
