//! When a page has settled, and what it looks like then.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headless_chrome::protocol::cdp::Network;
use serde_json::Value;
use tokio::time::Instant;

use super::chrome::text;
use super::chrome_link::{Reply, gone};
use super::chrome_page::ChromePage;
use super::{AgentFault, Arrival, Button, Field, Landing};

/// A page with scripts has settled when nothing was requested for so long.
const QUIET: Duration = Duration::from_millis(200);
/// How long a request to the suite may take to be answered before the visit ends without the answer.
const SUITE_ANSWER: Duration = Duration::from_millis(500);
/// Time for the last look at a page after its deadline.
const GRACE: Duration = Duration::from_secs(3);
/// Answered when the page has done what was due before and had a moment for what that led to: on a busy machine that takes longer.
const CAUGHT_UP: &str = "new Promise(done => setTimeout(() => setTimeout(done, 50), 0)).then(() => true)";
/// Can nothing on the page change it by itself: no scripts, no handlers, no timed refresh?
const UNCHANGING: &str = "!(document.scripts.length || (document.body && document.body.onload) || \
    document.querySelector('[onload],[onerror],meta[http-equiv=refresh i],iframe,frame'))";

/// How settling ended.
pub(super) enum End {
    Arrival(Arrival),
    Settled,
    /// The visit was answered, but with nothing that becomes a page: the tab still shows what it showed before.
    NoPage,
    Failed(String),
}

impl ChromePage {
    /// Waits until nothing more is to come. With `patient`, even a page that cannot change by itself is given the time in
    /// which an act shows its effect.
    pub(super) async fn settle(&mut self, patient: bool, until: Instant) -> Result<End, AgentFault> {
        let mut unchanging = false;
        // The effect of an act is not missed because the machine is busy.
        let mut waited_for_page = !patient;
        let mut checked = patient.then(|| self.net.document.clone());
        loop {
            if self.crashed {
                return Err(gone());
            }
            let wake;
            if let Some((arrival, over)) = self.net.arrival(&self.jar.core.config) {
                let limit = self.activity + SUITE_ANSWER;
                if (over && self.net.complete()) || Instant::now() >= limit {
                    return Ok(End::Arrival(arrival));
                }
                wake = limit;
            } else if let Some(error) = self.net.document_failed() {
                self.loading = false;
                if Instant::now() >= self.activity + QUIET || (error != "net::ERR_ABORTED" && self.net.complete()) {
                    return Ok(match error.is_empty() {
                        // What a user did may well leave the page as it is.
                        true if patient => End::Settled,
                        true => End::NoPage,
                        false => End::Failed(error),
                    });
                }
                // A navigation that another one replaces is aborted, too: the other one shows itself at once.
                wake = self.activity + QUIET;
            } else {
                let announced = self.scheduled.is_some_and(|limit| Instant::now() < limit);
                if announced || self.loading || self.net.scripts_in_flight() {
                    unchanging = false;
                    // A script request stops counting by itself, an announcement too.
                    wake = Instant::now() + Duration::from_secs(1);
                } else if Instant::now() >= self.activity + QUIET || (unchanging && self.net.complete()) {
                    if waited_for_page {
                        return Ok(End::Settled);
                    }
                    waited_for_page = true;
                    let activity = self.activity;
                    // A page that goes away meanwhile does not answer; its successor announces itself.
                    let _ = self.evaluate(CAUGHT_UP.to_owned(), until).await?;
                    self.catch_up()?;
                    if self.activity == activity && !self.loading {
                        return Ok(End::Settled);
                    }
                    continue;
                } else if checked.as_ref() != Some(&self.net.document) {
                    checked = Some(self.net.document.clone());
                    // What came in meanwhile is looked at in the next round.
                    unchanging = self.evaluate(UNCHANGING.to_owned(), until).await? == Ok(Value::Bool(true));
                    continue;
                } else {
                    wake = self.activity + QUIET;
                }
            }
            if Instant::now() >= until {
                return Ok(End::Failed(format!("the page did not settle within {} s", self.jar.core.config.deadline.as_secs())));
            }
            let answered = tokio::select! {
                biased;
                event = self.events.recv() => { self.handle(event)?; None }
                answer = wait(&mut self.navigation) => Some(answer),
                () = tokio::time::sleep_until(wake.min(until)) => None,
            };
            if let Some(answer) = answered {
                self.navigation = None;
                match answer.map_err(|_| gone())? {
                    Err(message) => {
                        self.loading = false;
                        return Ok(End::Failed(message));
                    }
                    Ok(answer) => {
                        let error = answer["errorText"].as_str();
                        match (&self.net.document, answer["loaderId"].as_str()) {
                            // What became of a request is known from its events.
                            (Some(_), _) => {}
                            (None, _) if error.is_some() => return Ok(End::Failed(error.unwrap_or_default().to_owned())),
                            (None, Some(loader)) => self.net.document = Some(loader.to_owned()),
                            // Only the fragment changed.
                            (None, None) => self.loaded(),
                        }
                    }
                }
            }
        }
    }

    /// Looks at the page, again if it changes meanwhile.
    pub(super) async fn see(&mut self) -> Result<Landing, AgentFault> {
        let until = Instant::now() + GRACE;
        loop {
            match self.evaluate(include_str!("chrome_look.js").to_owned(), until).await? {
                Ok(value) if value.is_object() => return Ok(landing(&value, self.net.status)),
                Ok(_) | Err(_) if Instant::now() < until => {
                    // The document was replaced at this moment: its successor announces itself.
                    let pause = tokio::time::sleep(Duration::from_millis(20));
                    tokio::select! {
                        event = self.events.recv() => self.handle(event)?,
                        () = pause => {}
                    }
                }
                Ok(_) => return Ok(Landing::default()),
                Err(message) => return Err(AgentFault::Lost(format!("cannot read the page: {message}"))),
            }
        }
    }

    /// Ends a visit or act: looks at the page and puts everything on record.
    pub(super) async fn land(&mut self, mut end: End, step: &str) -> Result<Landing, AgentFault> {
        let until = self.until();
        let mut landing;
        let mut body;
        loop {
            let documents = self.net.documents();
            (landing, body) = match &end {
                End::Arrival(arrival) => {
                    (Landing { url: arrival.url.clone(), status: self.net.status, ..Landing::default() }, None)
                }
                End::NoPage => (Landing::without_page(self.net.document_url().unwrap_or_default(), self.net.status), None),
                End::Settled | End::Failed(_) => self.shown(&end, step).await?,
            };
            if !matches!(end, End::Settled) || self.net.documents() == documents || Instant::now() >= until {
                break;
            }
            // Another page came while this one was looked at: on a busy machine an answer takes longer than a page is quiet.
            end = self.settle(false, until).await?;
        }
        // The browser's own error page is not the target's.
        if landing.url.starts_with("chrome-error:") {
            landing = Landing { url: self.net.document_url().unwrap_or_default(), ..Landing::default() };
        }
        landing.hops = self.record(step, body);
        match end {
            End::Arrival(arrival) => landing.arrival = Some(arrival),
            End::Failed(error) => landing.error = Some(error),
            End::Settled | End::NoPage => {}
        }
        Ok(landing)
    }
}

impl ChromePage {
    /// The page as it is, with the body of its document.
    async fn shown(&mut self, end: &End, step: &str) -> Result<(Landing, Option<Vec<u8>>), AgentFault> {
        let mut body = None;
        let textual = self.net.document_type().is_some_and(|mime| mime.contains("html") || mime.contains("json"));
        if let (End::Settled, true, Some(request_id)) = (end, textual, self.net.document.clone()) {
            let answer = self.call(Network::GetResponseBody { request_id }, Instant::now() + GRACE).await;
            body = answer.ok().and_then(Result::ok).as_ref().and_then(content);
        }
        match self.see().await {
            Ok(landing) => Ok((landing, body)),
            // A page whose script never ends cannot be looked at; that it did not settle is the finding.
            Err(AgentFault::Deadline { .. }) if matches!(end, End::Failed(_)) => Ok((Landing::default(), body)),
            Err(fault) => {
                self.record(step, None);
                Err(fault)
            }
        }
    }
}

async fn wait(reply: &mut Option<Reply>) -> <Reply as Future>::Output {
    match reply {
        Some(reply) => reply.await,
        None => std::future::pending().await,
    }
}

fn content(answer: &Value) -> Option<Vec<u8>> {
    let body = answer["body"].as_str()?;
    if answer["base64Encoded"] == true { STANDARD.decode(body).ok() } else { Some(body.as_bytes().to_vec()) }
}

fn landing(seen: &Value, status: u16) -> Landing {
    let list = |name: &str| seen[name].as_array().cloned().unwrap_or_default();
    let fields = list("fields").into_iter().map(|field| Field {
        at: text(&field["at"]),
        name: text(&field["name"]),
        kind: text(&field["kind"]),
        autocomplete: text(&field["autocomplete"]),
        inputmode: text(&field["inputmode"]),
        label: text(&field["label"]),
        value: text(&field["value"]),
        max_length: field["max_length"].as_u64().and_then(|length| u32::try_from(length).ok()),
    });
    let buttons = list("buttons").into_iter().map(|button| Button {
        at: text(&button["at"]),
        text: text(&button["text"]),
        name: text(&button["name"]),
        value: text(&button["value"]),
        submits: button["submits"] == true,
    });
    Landing {
        url: text(&seen["url"]),
        status,
        title: text(&seen["title"]),
        html: text(&seen["html"]),
        fields: fields.collect::<Vec<_>>(),
        buttons: buttons.collect::<Vec<_>>(),
        ..Landing::default()
    }
}
