//! One tab: its events, and when it has settled.

use std::sync::Arc;
use std::time::Duration;

use headless_chrome::protocol::cdp::types::Method;
use headless_chrome::protocol::cdp::{Page, Target};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::AgentFault;
use super::chrome::{Jar, text};
use super::chrome_calls as calls;
use super::chrome_link::{Event, Reply, gone};
use super::chrome_net::{Destination, Net};

/// How long an announced navigation may take to begin.
const BEGIN: Duration = Duration::from_secs(2);
/// A refresh that is further away is not waited for, in seconds.
const REFRESH: f64 = 5.0;

/// A tab. Dropping it closes it.
pub(super) struct ChromePage {
    pub jar: Arc<Jar>,
    pub net: Net,
    scenario: String,
    target: String,
    session: String,
    pub events: UnboundedReceiver<Event>,
    /// A main document is on its way or not yet loaded.
    pub loading: bool,
    /// A navigation was announced and has not begun; not waited for after this time.
    pub scheduled: Option<Instant>,
    pub activity: Instant,
    pub crashed: bool,
    /// The answer to `Page.navigate`.
    pub navigation: Option<Reply>,
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
        let page = ChromePage {
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
        // The browser works commands off in order: whatever comes next finds them done, and nobody has to wait for them.
        page.send(Page::Enable { enable_file_chooser_opened_event: None });
        page.send(Page::SetLifecycleEventsEnabled { enabled: true });
        page.send(calls::network_enable());
        page.send(calls::viewport());
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

    pub(super) fn handle(&mut self, event: Option<Event>) -> Result<(), AgentFault> {
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

    pub(super) fn loaded(&mut self) {
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
