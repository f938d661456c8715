//! HTTP spoken in clear, by raw TCP: to the HTTP port, or to the TLS port.

use serde::{Deserialize, Serialize};

use super::raw::{Cut, Probe, Probing};
use super::recorder::Raw;
use crate::model::ExchangeId;

/// Bytes of an answer read at most.
const LIMIT: usize = 64 * 1024;

/// What came of a request in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainReport {
    /// The answer.
    pub answer: PlainAnswer,
    /// The recorded probe.
    pub exchange: ExchangeId,
}

/// The answer to a request in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlainAnswer {
    /// The port is closed.
    Refused,
    /// The host cannot be found or reached.
    Unreachable(String),
    /// The connection was reset before an answer.
    Reset,
    /// No connection within the deadline: the port is filtered.
    Timeout,
    /// Connected, but nothing came within the deadline, or the connection was closed without a word.
    Silent,
    /// An HTTP response.
    Http {
        /// Status code.
        status: u16,
        /// Header fields in order; names lower-case.
        headers: Vec<(String, String)>,
        /// Body as it arrived, chunked framing included, cut at 64 KiB; redacted copies stand in the evidence.
        #[serde(skip)]
        body: Vec<u8>,
    },
    /// Something else than HTTP, for example a TLS alert.
    NotHttp,
}

impl PlainAnswer {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        match self {
            PlainAnswer::Http { headers, .. } => headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()),
            _ => None,
        }
    }
}

/// A request in clear.
#[derive(Clone, Debug)]
pub struct PlainRequest<'a> {
    /// `GET`, `POST`.
    pub method: &'a str,
    /// Path with query.
    pub target: &'a str,
    /// Form body of a POST; empty for none.
    pub form: &'a str,
}

impl PlainRequest<'_> {
    fn headers(&self, host: &str, port: u16) -> Vec<(String, String)> {
        let host = if port == 80 { host.to_owned() } else { format!("{host}:{port}") };
        let mut headers = vec![("Host", host), ("Accept", "*/*".to_owned()), ("Connection", "close".to_owned())];
        if !self.form.is_empty() {
            headers.push(("Content-Type", "application/x-www-form-urlencoded".to_owned()));
            headers.push(("Content-Length", self.form.len().to_string()));
        }
        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn bytes(&self, headers: &[(String, String)]) -> Vec<u8> {
        let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{} {} HTTP/1.1\r\n{fields}\r\n{}", self.method, self.target, self.form).into_bytes()
    }
}

impl Probing<'_> {
    /// Sends one HTTP/1.1 request in clear and reads the answer.
    pub async fn plain(&self, host: &str, port: u16, request: &PlainRequest<'_>, step: &str) -> PlainReport {
        let probe = Probe::start(step, request.method, format!("http://{host}:{port}{}", request.target));
        let headers = request.headers(host, port);
        let talk = self.exchange(host, port, &request.bytes(&headers), LIMIT, complete).await;
        let fault = talk.cut.as_ref().map(ToString::to_string);
        let answer = match (parse(&talk.received), talk.cut) {
            (Some(answer), _) => answer,
            (None, _) if !talk.received.is_empty() => PlainAnswer::NotHttp,
            (None, Some(Cut::Refused)) => PlainAnswer::Refused,
            (None, Some(Cut::Connect(why) | Cut::Other(why))) => PlainAnswer::Unreachable(why),
            (None, Some(Cut::Reset)) => PlainAnswer::Reset,
            (None, Some(Cut::Timeout)) if !talk.connected => PlainAnswer::Timeout,
            (None, Some(Cut::Timeout) | None) => PlainAnswer::Silent,
        };
        let (status, response) = match &answer {
            PlainAnswer::Http { status, headers, body } => (*status, Raw { headers: headers.clone(), body: Some(body.clone()) }),
            other => (0, Raw { headers: Vec::new(), body: Some(format!("{other:?}").into_bytes()) }),
        };
        let form = (!request.form.is_empty()).then(|| request.form.as_bytes().to_vec());
        let exchange = self.record(&probe, Raw { headers, body: form }, response, status, fault);
        PlainReport { answer, exchange }
    }
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n")
}

/// Has all arrived that the response announces? Without a length the end of the connection tells.
fn complete(bytes: &[u8]) -> bool {
    let Some(end) = head_end(bytes) else {
        // A TLS record or any other first byte than that of `HTTP` will not become a response.
        return bytes.first().is_some_and(|byte| *byte != b'H');
    };
    let Some(answer) = parse(bytes) else { return true };
    let body = bytes.len() - end - 4;
    match answer.header("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => body >= length,
        None if answer.header("transfer-encoding").is_some() => bytes.ends_with(b"0\r\n\r\n"),
        None => matches!(answer, PlainAnswer::Http { status: 100..=199 | 204 | 304, .. }),
    }
}

fn parse(bytes: &[u8]) -> Option<PlainAnswer> {
    let end = head_end(bytes)?;
    let (head, rest) = bytes.split_at_checked(end)?;
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.splitn(3, ' ');
    if !words.next()?.starts_with("HTTP/") {
        return None;
    }
    let status = words.next()?.parse().ok().filter(|status| (100..=999).contains(status))?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Some(PlainAnswer::Http { status, headers, body: rest.get(4..)?.to_vec() })
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
