//! How the form agent gets from a request to the page it ends at.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use url::Url;

use super::form::{FormPage, Shown};
use super::form_client::{Request, Response};
use super::form_html;
use super::form_jar::{Cause, same_site};
use super::{Arrival, Hop, Landing};
use crate::model::Party;
use crate::stage::recorder::{Raw, RawExchange};

/// Redirects, refreshes and automatic forms followed at most in one visit.
const FOLLOW: usize = 20;

/// A request on its way.
struct Going {
    method: &'static str,
    url: Url,
    body: Option<String>,
    /// The page that caused it; none for a typed URL.
    from: Option<Url>,
}

impl FormPage {
    /// Sends a request and follows what comes of it. `from` is the page that caused it; `acted` when a user's act on a page did.
    pub(super) async fn visit(&mut self, url: Url, body: Option<String>, from: Option<Url>, acted: bool, step: &str) -> Landing {
        let deadline = self.core.config.deadline;
        let end = Instant::now() + deadline;
        let mut hops: Vec<Hop> = Vec::new();
        let mut going = Going { method: if body.is_some() { "POST" } else { "GET" }, url, body, from };
        loop {
            let stopped = |going: Going, hops: Vec<Hop>, error: String| Landing {
                url: going.url.into(),
                hops,
                error: Some(error),
                ..Landing::default()
            };
            if hops.len() > FOLLOW {
                return stopped(going, hops, "ERR_TOO_MANY_REDIRECTS".into());
            }
            let left = end.saturating_duration_since(Instant::now());
            let (hop, outcome) = self.hop(&going, left, step).await;
            let location = hop.location().and_then(|location| Url::parse(&location).ok());
            hops.push(hop);
            let response = match outcome {
                Ok(response) => response,
                Err(_) if Instant::now() >= end => {
                    return stopped(going, hops, format!("the page did not settle within {} s", deadline.as_secs()));
                }
                Err(error) => return stopped(going, hops, error),
            };
            if self.core.config.is_suite(going.url.as_str()) {
                let form = going.body.as_deref().map(|body| url::form_urlencoded::parse(body.as_bytes()).into_owned().collect());
                let arrival = Arrival { url: going.url.to_string(), method: going.method.into(), form: form.unwrap_or_default() };
                return Landing {
                    url: going.url.into(),
                    status: response.status,
                    hops,
                    arrival: Some(arrival),
                    ..Landing::default()
                };
            }
            if let Some(mut next) = location {
                // A redirect without a fragment keeps that of the request (RFC 9110, section 10.2.2).
                if next.fragment().is_none() {
                    next.set_fragment(going.url.fragment());
                }
                // RFC 9110, sections 15.4.2 to 15.4.4; 307 and 308 keep method and body.
                if response.status == 303 || (going.method == "POST" && matches!(response.status, 301 | 302)) {
                    going.method = "GET";
                    going.body = None;
                }
                going.url = next;
                continue;
            }
            let download =
                response.header("content-disposition").is_some_and(|value| value.trim_start().starts_with("attachment"));
            if download || matches!(response.status, 204 | 205) {
                // The page shown stays; a visit that was to bring a page has none.
                return if acted {
                    Landing { status: response.status, hops, ..self.see().0 }
                } else {
                    Landing { hops, ..Landing::without_page(going.url.into(), response.status) }
                };
            }
            let refresh = response.header("refresh").and_then(|value| form_html::refresh(value, &going.url));
            let html = String::from_utf8_lossy(&response.body).into_owned();
            self.shown = Shown { url: Some(going.url.clone()), status: response.status, html };
            self.filled.clear();
            self.history.push(going.url.clone());
            let (landing, next) = self.see();
            match refresh.or(next) {
                Some(next) => {
                    going = Going { method: next.method, url: next.url, body: next.body, from: Some(going.url) };
                }
                None => return Landing { hops, ..landing },
            }
        }
    }

    /// One request with its cookies, recorded.
    async fn hop(&self, going: &Going, within: Duration, step: &str) -> (Hop, Result<Response, String>) {
        let cross_site = going.from.as_ref().is_some_and(|from| !same_site(from, &going.url));
        let unsafe_method = going.method != "GET";
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = vec![
            field("user-agent", concat!("Mozilla/5.0 (compatible; ipsie-conform/", env!("CARGO_PKG_VERSION"), ")")),
            field("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            field("accept-language", "en"),
        ];
        if let Some(cookies) = self.jar().header(&going.url, Cause { cross_site, unsafe_method }) {
            headers.push(("cookie".into(), cookies));
        }
        if going.body.is_some() {
            headers.push(field("content-type", "application/x-www-form-urlencoded"));
            if let Some(from) = &going.from {
                headers.push(("origin".into(), from.origin().ascii_serialization()));
            }
        }
        let started_at = Timestamp::now();
        let clock = Instant::now();
        let request = Request { method: going.method, url: &going.url, headers: &headers, body: going.body.as_deref() };
        let outcome = match tokio::time::timeout(within, self.core.client.send(&request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err("no answer within the deadline".to_owned()),
        };
        let response = outcome.clone().unwrap_or_default();
        for (_, value) in response.headers.iter().filter(|(name, _)| name == "set-cookie") {
            self.jar().store(&going.url, value);
        }
        let textual =
            response.header("content-type").is_none_or(|kind| ["html", "json", "text"].iter().any(|word| kind.contains(word)));
        let exchange = self.core.recorder.record(RawExchange {
            scenario: &self.scenario,
            step,
            from: Party::Browser,
            to: if self.core.config.is_own(going.url.as_str()) { Party::Suite } else { Party::Target },
            started_at,
            took: clock.elapsed(),
            method: going.method,
            url: going.url.as_str(),
            request: Raw { headers, body: going.body.clone().map(String::into_bytes) },
            status: response.status,
            response: Raw { headers: response.headers.clone(), body: textual.then_some(response.body) },
            fault: outcome.as_ref().err().cloned(),
        });
        let mut shown = going.url.clone();
        shown.set_fragment(None);
        let hop = Hop {
            method: going.method.to_owned(),
            url: shown.into(),
            status: response.status,
            headers: response.headers,
            carried_credentials: going.body.as_deref().is_some_and(|body| self.secrets.within(body)),
            script: false,
            exchange,
        };
        (hop, outcome)
    }
}
