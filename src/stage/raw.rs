//! Raw TCP for the probes that no client library can make: every step has a deadline, every read a bound, every probe is recorded.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::recorder::{Raw, RawExchange, Recorder};
use super::resolve::Resolve;
use crate::model::{ExchangeId, Party};

/// Time one probe may take, from connecting to the last byte.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// What the probes of one scenario share.
#[derive(Clone, Copy, Debug)]
pub struct Probing<'a> {
    /// Where names lead.
    pub resolve: &'a Resolve,
    /// Keeps every probe.
    pub recorder: &'a Recorder,
    /// The scenario they belong to.
    pub scenario: &'a str,
    /// Time one probe may take; [`DEADLINE`] unless there is a reason.
    pub deadline: Duration,
}

impl<'a> Probing<'a> {
    /// With the usual deadline.
    pub fn new(resolve: &'a Resolve, recorder: &'a Recorder, scenario: &'a str) -> Probing<'a> {
        Probing { resolve, recorder, scenario, deadline: DEADLINE }
    }

    /// Records a probe.
    pub(super) fn record(
        &self,
        probe: &Probe<'_>,
        request: Raw,
        response: Raw,
        status: u16,
        fault: Option<String>,
    ) -> ExchangeId {
        self.recorder.record(RawExchange {
            scenario: self.scenario,
            step: probe.step,
            from: Party::Suite,
            to: Party::Target,
            started_at: probe.started_at,
            took: probe.clock.elapsed(),
            method: probe.method,
            url: &probe.url,
            request,
            status,
            response,
            fault,
        })
    }

    /// Connects, sends, and reads until `enough` says so, the peer closes, `limit` bytes are there or the deadline passes.
    pub(super) async fn exchange(
        &self,
        host: &str,
        port: u16,
        sent: &[u8],
        limit: usize,
        enough: impl Fn(&[u8]) -> bool,
    ) -> Talk {
        let mut talk = Talk::default();
        let all = async {
            let mut stream = match self.resolve.connect(host, port).await {
                Ok(stream) => stream,
                Err(error) => return Some(Cut::connecting(&error)),
            };
            talk.connected = true;
            if let Err(error) = stream.write_all(sent).await {
                return Some(Cut::of(&error));
            }
            let mut buffer = [0; 4096];
            while talk.received.len() < limit && !enough(&talk.received) {
                match stream.read(&mut buffer).await {
                    Ok(0) => return None,
                    Ok(count) => talk.received.extend(buffer.iter().take(count.min(limit - talk.received.len()))),
                    Err(error) => return Some(Cut::of(&error)),
                }
            }
            None
        };
        talk.cut = tokio::time::timeout(self.deadline, all).await.unwrap_or(Some(Cut::Timeout));
        talk
    }
}

/// A message of a protocol other than HTTP, described in words.
pub(super) fn words(text: String) -> Raw {
    Raw { headers: Vec::new(), body: Some(text.into_bytes()) }
}

/// What came of a raw exchange.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// A connection stood.
    pub connected: bool,
    /// The bytes that arrived.
    pub received: Vec<u8>,
    /// Why it ended, if not by a close or by enough.
    pub cut: Option<Cut>,
}

/// A probe that has been started.
#[derive(Debug)]
pub(super) struct Probe<'a> {
    step: &'a str,
    method: &'a str,
    url: String,
    started_at: Timestamp,
    clock: Instant,
}

impl<'a> Probe<'a> {
    pub fn start(step: &'a str, method: &'a str, url: String) -> Probe<'a> {
        Probe { step, method, url, started_at: Timestamp::now(), clock: Instant::now() }
    }
}

/// Why no complete answer arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// The port is closed.
    Refused,
    /// No connection for another reason: name unknown, no route.
    Connect(String),
    /// The connection was reset.
    Reset,
    /// The deadline passed.
    Timeout,
    /// Anything else.
    Other(String),
}

impl Cut {
    /// Why there is no connection.
    pub(super) fn connecting(error: &io::Error) -> Cut {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Cut::Refused,
            io::ErrorKind::TimedOut => Cut::Timeout,
            _ => Cut::Connect(error.to_string()),
        }
    }

    pub(super) fn of(error: &io::Error) -> Cut {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => Cut::Reset,
            io::ErrorKind::TimedOut => Cut::Timeout,
            _ => Cut::Other(error.to_string()),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cut::Refused => f.write_str("connection refused"),
            Cut::Connect(why) => write!(f, "no connection: {why}"),
            Cut::Reset => f.write_str("connection reset"),
            Cut::Timeout => f.write_str("no answer within the deadline"),
            Cut::Other(why) => f.write_str(why),
        }
    }
}
