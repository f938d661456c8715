//! What was sent and seen. Everything here is already redacted: the recorder is the only maker of these values.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Names a recorded exchange within one run, e.g. `x0017`.
pub type ExchangeId = String;

/// Who took part in an exchange; the lanes of the sequence diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// The suite's own back channel, in the role of the counterpart.
    Suite,
    /// The user's browser.
    Browser,
    /// The product under test.
    Target,
    /// An operator's hook.
    Hook,
}

impl Party {
    /// The lane's title.
    pub fn title(self) -> &'static str {
        match self {
            Party::Suite => "suite",
            Party::Browser => "browser",
            Party::Target => "target",
            Party::Hook => "hook",
        }
    }
}

/// The half of an HTTP exchange that both directions share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Header fields in the order seen; names lower-case.
    pub headers: Vec<(String, String)>,
    /// The body as text, redacted, cut to 64 KiB; `None` where there was none or it was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl Message {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A recorded request with its response, in either direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// Names the exchange within the run.
    pub id: ExchangeId,
    /// The scenario that caused it.
    pub scenario: String,
    /// What the scenario wanted, in a few words: "token request: code used twice".
    pub step: String,
    /// Who sent the request.
    pub from: Party,
    /// Who answered.
    pub to: Party,
    /// When the request was sent.
    pub started_at: Timestamp,
    /// Milliseconds from sending the request to the end of the response.
    pub duration_ms: u64,
    /// Request method; for a raw TLS or DNS probe the protocol's name (`TLS`, `DNS`).
    pub method: String,
    /// Full URL, redacted; for a raw probe `host:port`.
    pub url: String,
    /// What was sent.
    pub request: Message,
    /// HTTP status; 0 when no response arrived.
    pub status: u16,
    /// What came back.
    pub response: Message,
    /// Why no complete response arrived, or what was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// A screenshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shot {
    /// File name below `screenshots/`.
    pub file: String,
    /// The scenario that took it.
    pub scenario: String,
    /// What it shows.
    pub caption: String,
    /// When it was taken.
    pub at: Timestamp,
}
