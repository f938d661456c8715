//! One tab: its events, and when it has settled.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headless_chrome::protocol::cdp::types::Method;
use headless_chrome::protocol::cdp::{Network, Page, Target};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::chrome::{Jar, text};
use super::chrome_calls as calls;
use super::chrome_link::{Event, Reply, gone};
use super::chrome_net::{Destination, Net};
use super::{AgentFault, Arrival, Button, Field, Landing};

/// A page with scripts has settled when nothing was requested for so long.
const QUIET: Duration = Duration::from_millis(200);
/// How long a request to the suite may take to be answered before the visit ends without the answer.
const SUITE_ANSWER: Duration = Duration::from_millis(500);
/// How long an announced navigation may take to begin.
const BEGIN: Duration = Duration::from_secs(2);
/// A refresh that is further away is not waited for, in seconds.
const REFRESH: f64 = 5.0;
/// Time for the last look at a page after its deadline.
const GRACE: Duration = Duration::from_secs(3);

/// Can nothing on the page change it by itself: no scripts, no handlers, no timed refresh?
const UNCHANGING: &str = "!(document.scripts.length || (document.body && document.body.onload) || \
    document.querySelector('[onload],[onerror],meta[http-equiv=refresh i],iframe,frame'))";

/// A tab. Dropping it closes it.
pub(super) struct ChromePage {
    pub jar: Arc<Jar>,
    pub net: Net,
    scenario: String,
    target: String,
    session: String,
    events: UnboundedReceiver<Event>,
    /// A main document is on its way or not yet loaded.
    loading: bool,
    /// A navigation was announced and has not begun; not waited for after this time.
    scheduled: Option<Instant>,
    activity: Instant,
    crashed: bool,
    /// The answer to `Page.navigate`.
    navigation: Option<Reply>,
}

/// How settling ended.
pub(super) enum End {
    Arrival(Arrival),
    Settled,
    Failed(String),
}

impl Drop for ChromePage {
    fn drop(&mut self) {
        self.jar.core.link.forget(&self.session);
        drop(self.jar.core.link.send(None, Target::CloseTarget { target_id: self.target.clone() }));
    }
}

impl ChromePage {
    /// Opens an empty tab in a context.
    pub(super) async fn open(jar: Arc<Jar>, scenario: &str) -> Result<Self, AgentFault> {
        let within = jar.core.config.deadline;
        let link = &jar.core.link;
        let target = text(&link.call(calls::create_target(&jar.id), within).await?["targetId"]);
        let attach = Target::AttachToTarget { target_id: target.clone(), flatten: Some(true) };
        let session = text(&link.call(attach, within).await?["sessionId"]);
        let events = link.listen(&session);
        let mut page = ChromePage {
            net: Net::default(),
            scenario: scenario.to_owned(),
            target,
            session,
            events,
            loading: false,
            scheduled: None,
            activity: Instant::now(),
            crashed: false,
            navigation: None,
            jar,
        };
        // Sent together; the browser works them off in order, so the last answer is enough.
        page.send(Page::Enable { enable_file_chooser_opened_event: None });
        page.send(Page::SetLifecycleEventsEnabled { enabled: true });
        page.send(calls::viewport());
        page.call(calls::network_enable(), Instant::now() + within).await?.map_err(AgentFault::Lost)?;
        Ok(page)
    }

    /// When an operation that starts now must have ended.
    pub(super) fn until(&self) -> Instant {
        Instant::now() + self.jar.core.config.deadline
    }

    pub(super) fn send<M: Method + Serialize>(&self, method: M) -> Reply {
        self.jar.core.link.send(Some(&self.session), method)
    }

    /// Sends a command and handles events until its answer is here. The inner error is the browser's message.
    pub(super) async fn call<M: Method + Serialize>(
        &mut self,
        method: M,
        until: Instant,
    ) -> Result<Result<Value, String>, AgentFault> {
        let mut reply = self.send(method);
        loop {
            tokio::select! {
                biased;
                answer = &mut reply => return answer.map_err(|_| gone()),
                event = self.events.recv() => self.handle(event)?,
                () = tokio::time::sleep_until(until) => return Err(self.late(M::NAME)),
            }
        }
    }

    /// Evaluates an expression; a page that went away in the middle gives the inner error.
    pub(super) async fn evaluate(&mut self, script: String, until: Instant) -> Result<Result<Value, String>, AgentFault> {
        let answer = self.call(calls::evaluate(script), until).await?;
        Ok(answer.and_then(|answer| match answer["exceptionDetails"]["exception"]["description"].as_str() {
            Some(thrown) => Err(thrown.to_owned()),
            None => Ok(answer["result"]["value"].clone()),
        }))
    }

    fn late(&self, what: &str) -> AgentFault {
        AgentFault::Deadline { what: format!("the browser's answer to {what}"), seconds: self.jar.core.config.deadline.as_secs() }
    }

    fn handle(&mut self, event: Option<Event>) -> Result<(), AgentFault> {
        let Some(Event { method, params }) = event else { return Err(gone()) };
        // The main frame of a tab has the tab's own id, and keeps it.
        let main = params["frameId"].as_str() == Some(&self.target);
        match method.as_str() {
            "Page.javascriptDialogOpening" => drop(self.send(Page::HandleJavaScriptDialog { accept: true, prompt_text: None })),
            "Fetch.requestPaused" => drop(self.send(calls::fulfil_blank(text(&params["requestId"])))),
            "Inspector.targetCrashed" => self.crashed = true,
            "Page.frameRequestedNavigation" if main && params["disposition"] == "currentTab" => {
                self.activity = Instant::now();
                self.scheduled = Some(self.activity + BEGIN);
            }
            "Page.frameScheduledNavigation" if main => {
                let delay = params["delay"].as_f64().unwrap_or_default();
                if delay <= REFRESH {
                    self.activity = Instant::now();
                    self.scheduled = Some(self.activity + BEGIN + Duration::try_from_secs_f64(delay).unwrap_or_default());
                }
            }
            "Page.frameClearedScheduledNavigation" if main => self.scheduled = None,
            "Page.navigatedWithinDocument" if main => {
                self.activity = Instant::now();
                self.scheduled = None;
            }
            "Page.lifecycleEvent" if main && params["name"] == "load" => {
                let current = self.net.document.as_deref();
                if current.is_none() || params["loaderId"].as_str() == current {
                    self.loaded();
                }
            }
            "Page.frameStoppedLoading" if main && self.net.document.is_some() && self.net.document_over() => self.loaded(),
            _ if method.starts_with("Network.") => {
                let before = self.net.document.clone();
                if self.net.event(&method, &params, &self.target) {
                    self.activity = Instant::now();
                }
                if self.net.document != before {
                    self.loading = true;
                    self.scheduled = None;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn loaded(&mut self) {
        self.activity = Instant::now();
        self.loading = false;
    }

    /// Takes in what happened since the last operation.
    pub(super) fn catch_up(&mut self) -> Result<(), AgentFault> {
        loop {
            match self.events.try_recv() {
                Ok(event) => self.handle(Some(event))?,
                Err(tokio::sync::mpsc::error::TryRecvError::Empty) => return Ok(()),
                Err(tokio::sync::mpsc::error::TryRecvError::Disconnected) => return Err(gone()),
            }
        }
    }

    /// Starts going to a URL.
    pub(super) fn start(&mut self, url: &str) {
        self.loading = true;
        self.scheduled = None;
        self.navigation = Some(self.send(calls::navigate(url)));
        self.activity = Instant::now();
    }

    /// Waits until nothing more is to come. With `patient`, even a page that cannot change by itself is given the time in
    /// which an act shows its effect.
    pub(super) async fn settle(&mut self, patient: bool, until: Instant) -> Result<End, AgentFault> {
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
                    return Ok(if error.is_empty() { End::Settled } else { End::Failed(error) });
                }
                // A navigation that another one replaces is aborted, too: the other one shows itself at once.
                wake = self.activity + QUIET;
            } else {
                let announced = self.scheduled.is_some_and(|limit| Instant::now() < limit);
                if announced || self.loading || self.net.scripts_in_flight() {
                    // A script request stops counting by itself, an announcement too.
                    wake = Instant::now() + Duration::from_secs(1);
                } else if Instant::now() >= self.activity + QUIET {
                    return Ok(End::Settled);
                } else if checked.as_ref() != Some(&self.net.document) {
                    checked = Some(self.net.document.clone());
                    let at = self.activity;
                    let unchanging = self.evaluate(UNCHANGING.to_owned(), until).await?;
                    if unchanging == Ok(Value::Bool(true)) && at == self.activity && self.net.complete() {
                        return Ok(End::Settled);
                    }
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
    pub(super) async fn land(&mut self, end: End, step: &str) -> Result<Landing, AgentFault> {
        let mut body = None;
        let mut landing = match &end {
            End::Arrival(arrival) => Landing { url: arrival.url.clone(), status: self.net.status, ..Landing::default() },
            End::Settled | End::Failed(_) => {
                let textual = self.net.document_type().is_some_and(|mime| mime.contains("html") || mime.contains("json"));
                if let (true, Some(request_id)) = (textual, self.net.document.clone()) {
                    body =
                        self.call(Network::GetResponseBody { request_id }, Instant::now() + GRACE).await?.ok().and_then(content);
                }
                match self.see().await {
                    Ok(landing) => landing,
                    // A page whose script never ends cannot be looked at; that it did not settle is the finding.
                    Err(AgentFault::Deadline { .. }) if matches!(end, End::Failed(_)) => Landing::default(),
                    Err(fault) => {
                        self.record(step, None);
                        return Err(fault);
                    }
                }
            }
        };
        landing.hops = self.record(step, body);
        match end {
            End::Arrival(arrival) => landing.arrival = Some(arrival),
            End::Failed(error) => landing.error = Some(error),
            End::Settled => {}
        }
        Ok(landing)
    }

    /// Puts what was requested on record.
    pub(super) fn record(&mut self, step: &str, body: Option<Vec<u8>>) -> Vec<super::Hop> {
        let core = &self.jar.core;
        let to = Destination {
            recorder: &core.recorder,
            config: &core.config,
            secrets: &self.jar.secrets,
            scenario: &self.scenario,
            step,
        };
        self.net.drain(&to, body)
    }

    /// Forgets what is not part of the next operation.
    pub(super) fn reset(&mut self) -> Result<(), AgentFault> {
        self.catch_up()?;
        self.net.clear();
        self.loading = false;
        self.scheduled = None;
        self.navigation = None;
        self.activity = Instant::now();
        Ok(())
    }
}

async fn wait(reply: &mut Option<Reply>) -> <Reply as Future>::Output {
    match reply {
        Some(reply) => reply.await,
        None => std::future::pending().await,
    }
}

fn content(answer: Value) -> Option<Vec<u8>> {
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
