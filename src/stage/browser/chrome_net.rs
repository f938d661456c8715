//! What the page asked for and what came back: network events become hops.
//!
//! The `...ExtraInfo` events carry the headers and the status as they were on the wire. They may come before or after the
//! event they belong to; per request id both stand in order, so the n-th belongs to the n-th.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::secrets::Secrets;
use super::{AgentConfig, Arrival, Hop};
use crate::model::Party;
use crate::stage::recorder::{Raw, RawExchange, Recorder};

/// A script request that is unanswered for so long is a long poll and does not keep a page from settling.
const LONG_POLL: Duration = Duration::from_secs(10);

/// Header fields as seen.
type Headers = Vec<(String, String)>;

/// One request.
#[derive(Debug)]
struct Flight {
    id: String,
    method: String,
    url: String,
    fragment: String,
    headers: Headers,
    body: Option<String>,
    script: bool,
    at: f64,
    sent: f64,
    since: Instant,
    ended: Option<f64>,
    status: u16,
    response: Headers,
    extra: Option<bool>,
    /// Made by the browser itself (HSTS upgrade): no response of the target.
    internal: bool,
    answered: bool,
    finished: bool,
    failure: Option<String>,
    mime: String,
}

/// Everything a page requested since the last landing.
#[derive(Default)]
pub(super) struct Net {
    flights: Vec<Flight>,
    sent: HashMap<String, Vec<Headers>>,
    came: HashMap<String, Vec<(u16, Headers)>>,
    /// Request id of the newest main document.
    pub document: Option<String>,
    /// Status of the newest answered main document.
    pub status: u16,
}

impl Net {
    /// Forgets everything but the document's status.
    pub(super) fn clear(&mut self) {
        *self = Net { status: self.status, ..Net::default() };
    }

    /// Takes in an event; true when it was about a main document or a script request.
    pub(super) fn event(&mut self, method: &str, params: &Value, main_frame: &str) -> bool {
        let id = params["requestId"].as_str().unwrap_or_default();
        match method {
            "Network.requestWillBeSent" => self.request(id, params, main_frame),
            "Network.requestWillBeSentExtraInfo" => {
                self.sent.entry(id.to_owned()).or_default().push(headers(&params["headers"]));
                false
            }
            "Network.responseReceivedExtraInfo" => {
                let status = number(&params["statusCode"]);
                self.came.entry(id.to_owned()).or_default().push((status, headers(&params["headers"])));
                self.flights.iter().any(|flight| flight.id == id)
            }
            "Network.responseReceived" => {
                let document = self.document.as_deref() == Some(id);
                let Some(flight) = self.open(id) else { return false };
                flight.answer(&params["response"], params["hasExtraInfo"].as_bool());
                let status = flight.status;
                if document {
                    self.status = status;
                }
                true
            }
            "Network.loadingFinished" | "Network.loadingFailed" => {
                let Some(flight) = self.open(id) else { return false };
                flight.finished = true;
                flight.ended = params["timestamp"].as_f64();
                if let Some(error) = params["errorText"].as_str() {
                    flight.failure = Some(match params["blockedReason"].as_str() {
                        Some(reason) => format!("{error} ({reason})"),
                        None => error.to_owned(),
                    });
                }
                true
            }
            _ => false,
        }
    }

    fn request(&mut self, id: &str, params: &Value, main_frame: &str) -> bool {
        let kind = params["type"].as_str().unwrap_or_default();
        let main = kind == "Document" && params["frameId"].as_str() == Some(main_frame);
        let script = matches!(kind, "XHR" | "Fetch");
        if params["redirectResponse"].is_object()
            && let Some(before) = self.open(id)
        {
            before.answer(&params["redirectResponse"], params["redirectHasExtraInfo"].as_bool());
            before.finished = true;
            before.ended = params["timestamp"].as_f64();
        }
        if !(main || script) || !params["request"]["url"].as_str().is_some_and(|url| url.starts_with("http")) {
            return false;
        }
        let request = &params["request"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.flights.push(Flight {
            id: id.to_owned(),
            method: text(&request["method"]),
            url: text(&request["url"]),
            fragment: text(&request["urlFragment"]),
            headers: headers(&request["headers"]),
            body: request["postData"].as_str().map(str::to_owned),
            script,
            at: params["wallTime"].as_f64().unwrap_or_default(),
            sent: params["timestamp"].as_f64().unwrap_or_default(),
            since: Instant::now(),
            ended: None,
            status: 0,
            response: Vec::new(),
            extra: None,
            internal: false,
            answered: false,
            finished: false,
            failure: None,
            mime: String::new(),
        });
        if main {
            self.document = Some(id.to_owned());
            self.status = 0;
        }
        true
    }

    /// The newest request with this id.
    fn open(&mut self, id: &str) -> Option<&mut Flight> {
        self.flights.iter_mut().rev().find(|flight| flight.id == id)
    }

    /// Is a script request on its way that may still change the page?
    pub(super) fn scripts_in_flight(&self) -> bool {
        self.flights
            .iter()
            .any(|flight| flight.script && !flight.finished && !flight.answered && flight.since.elapsed() < LONG_POLL)
    }

    /// Has the newest main document been answered, and what kind of document is it?
    pub(super) fn document_type(&self) -> Option<&str> {
        let flight = self.last_document()?;
        flight.answered.then_some(&*flight.mime)
    }

    /// Requests for main documents so far; those of a redirect count each.
    pub(super) fn documents(&self) -> usize {
        self.flights.iter().filter(|flight| !flight.script).count()
    }

    /// URL of the newest main document.
    pub(super) fn document_url(&self) -> Option<String> {
        self.last_document().map(|flight| format!("{}{}", flight.url, flight.fragment))
    }

    fn last_document(&self) -> Option<&Flight> {
        let id = self.document.as_deref()?;
        self.flights.iter().rev().find(|flight| flight.id == id)
    }

    /// The newest main document ended without becoming a page: the error, or an empty text for an answer that never
    /// becomes one (204, 205, a download).
    pub(super) fn document_failed(&self) -> Option<String> {
        let flight = self.last_document()?;
        let error = flight.failure.as_deref()?;
        let aborted = error.starts_with("net::ERR_ABORTED");
        Some(if aborted && flight.answered { String::new() } else { error.to_owned() })
    }

    /// The newest main document's request is over, with or without an answer.
    pub(super) fn document_over(&self) -> bool {
        self.last_document().is_none_or(|flight| flight.answered || flight.finished)
    }

    /// The first main document request to a suite host, and whether it is over.
    pub(super) fn arrival(&self, config: &AgentConfig) -> Option<(Arrival, bool)> {
        let flight = self.flights.iter().find(|flight| !flight.script && !flight.internal && config.is_suite(&flight.url))?;
        let form = flight.body.as_deref().map(|body| url::form_urlencoded::parse(body.as_bytes()).into_owned().collect());
        let arrival = Arrival {
            url: format!("{}{}", flight.url, flight.fragment),
            method: flight.method.clone(),
            form: form.unwrap_or_default(),
        };
        Some((arrival, flight.answered || flight.finished))
    }

    /// Are the headers of every answer here?
    pub(super) fn complete(&self) -> bool {
        let mut wanted: HashMap<&str, usize> = HashMap::new();
        for flight in self.flights.iter().filter(|flight| flight.extra == Some(true)) {
            *wanted.entry(&flight.id).or_default() += 1;
        }
        wanted.iter().all(|(id, count)| self.came.get(*id).map_or(0, Vec::len) >= *count)
    }

    /// Puts everything on record and starts anew. `body` is that of the newest main document.
    pub(super) fn drain(&mut self, to: &Destination<'_>, mut body: Option<Vec<u8>>) -> Vec<Hop> {
        let shown = self.document.clone();
        let mut hops = Vec::new();
        let flights = std::mem::take(&mut self.flights);
        let last = flights.iter().rposition(|flight| shown.as_deref() == Some(&flight.id));
        for (index, mut flight) in flights.into_iter().enumerate() {
            if flight.internal {
                continue;
            }
            if flight.extra != Some(false) {
                if let Some(real) = take_first(&mut self.sent, &flight.id) {
                    flight.headers = real;
                }
                if flight.answered
                    && let Some((status, real)) = take_first(&mut self.came, &flight.id)
                {
                    flight.status = if status == 0 { flight.status } else { status };
                    flight.response = real;
                }
            }
            let body = if last == Some(index) { body.take() } else { None };
            hops.push(flight.record(to, body));
        }
        self.clear();
        hops
    }
}

/// Where hops are recorded.
pub(super) struct Destination<'a> {
    pub recorder: &'a Recorder,
    pub config: &'a AgentConfig,
    pub secrets: &'a Secrets,
    pub scenario: &'a str,
    pub step: &'a str,
}

impl Flight {
    fn answer(&mut self, response: &Value, extra: Option<bool>) {
        self.status = number(&response["status"]);
        self.response = headers(&response["headers"]);
        self.mime = response["mimeType"].as_str().unwrap_or_default().to_owned();
        self.extra = extra;
        self.answered = true;
        let made_here = self.response.iter().any(|(name, _)| name == "non-authoritative-reason");
        self.internal = self.status == 307 && extra != Some(true) && made_here;
    }

    fn record(self, to: &Destination<'_>, body: Option<Vec<u8>>) -> Hop {
        let carried_credentials = self.body.as_deref().is_some_and(|body| to.secrets.within(body));
        let target = if to.config.is_own(&self.url) { Party::Suite } else { Party::Target };
        let took = self.ended.map_or(0.0, |ended| (ended - self.sent).max(0.0));
        let exchange = to.recorder.record(RawExchange {
            scenario: to.scenario,
            step: to.step,
            from: Party::Browser,
            to: target,
            started_at: timestamp(self.at),
            took: Duration::try_from_secs_f64(took).unwrap_or_default(),
            method: &self.method,
            url: &format!("{}{}", self.url, self.fragment),
            request: Raw { headers: self.headers, body: self.body.map(String::into_bytes) },
            status: self.status,
            response: Raw { headers: self.response.clone(), body },
            // An answer that does not become a page (204, a download) is reported as aborted, yet it was complete.
            fault: self.failure.filter(|_| !self.answered),
        });
        Hop {
            method: self.method,
            url: self.url,
            status: self.status,
            headers: self.response,
            carried_credentials,
            script: self.script,
            exchange,
        }
    }
}

fn take_first<T>(all: &mut HashMap<String, Vec<T>>, id: &str) -> Option<T> {
    let queue = all.get_mut(id)?;
    (!queue.is_empty()).then(|| queue.remove(0))
}

/// Names lower-case; values that stand several times are joined by line feeds in the protocol.
fn headers(value: &Value) -> Headers {
    let Some(fields) = value.as_object() else { return Vec::new() };
    let mut all = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let name = name.to_ascii_lowercase();
        all.extend(value.as_str().unwrap_or_default().split('\n').map(|value| (name.clone(), value.to_owned())));
    }
    all
}

fn number(value: &Value) -> u16 {
    value.as_u64().and_then(|number| u16::try_from(number).ok()).unwrap_or_default()
}

fn timestamp(seconds: f64) -> Timestamp {
    #[allow(clippy::cast_possible_truncation)]
    Timestamp::from_microsecond((seconds * 1e6) as i64).unwrap_or_else(|_| Timestamp::now())
}
