//! What a user does in a tab.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use headless_chrome::protocol::cdp::{Fetch, Page as PageCalls, WebAuthn};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::chrome::text;
use super::chrome_calls as calls;
use super::chrome_page::ChromePage;
use super::chrome_settle::End;
use super::{Act, AgentFault, Landing, Page, Passkey, ScriptFetch, Visit};

/// Path of the empty page that stands in for an application's own page. It is answered in the browser.
const BLANK: &str = "/.ipsie-conform/blank";

/// Submits a form across sites: `(action, fields) => void`.
const POST: &str = "((action, fields) => {
    const form = document.body.appendChild(Object.assign(document.createElement('form'), { method: 'POST', action }));
    for (const [name, value] of fields) form.appendChild(Object.assign(document.createElement('input'), { type: 'hidden', name, value }));
    HTMLFormElement.prototype.submit.call(form);
})";

impl Page for ChromePage {
    fn go<'a>(&'a mut self, visit: Visit, step: &'a str) -> BoxFuture<'a, Result<Landing, AgentFault>> {
        async move {
            let _turn = self.jar.core.turn().await;
            let until = self.until();
            let patient = match visit {
                Visit::Get(url) => {
                    self.reset()?;
                    self.start(&url);
                    false
                }
                Visit::Post { url, fields } => {
                    let host = self.jar.core.config.suite_hosts.first().cloned().unwrap_or_else(|| "localhost".into());
                    // From https to http the browser would ask the user first.
                    let scheme = if url.starts_with("http:") { "http" } else { "https" };
                    if let Some(error) = self.blank(&format!("{scheme}://{host}"), until).await? {
                        return Ok(Landing { error: Some(error), ..Landing::default() });
                    }
                    self.reset()?;
                    let script = format!("{POST}({}, {})", json!(url), json!(fields));
                    if let Err(error) = self.evaluate(script, until).await? {
                        return Ok(Landing { error: Some(error), ..Landing::default() });
                    }
                    true
                }
            };
            self.finish(patient, until, step).await
        }
        .boxed()
    }

    fn act<'a>(&'a mut self, acts: &'a [Act], step: &'a str) -> BoxFuture<'a, Result<Landing, AgentFault>> {
        async move {
            let _turn = self.jar.core.turn().await;
            let until = self.until();
            self.reset()?;
            let mut patient = false;
            for act in acts {
                if let Err(fault) = self.perform(act, until).await {
                    self.record(step, None);
                    return Err(fault);
                }
                patient |= !matches!(act, Act::Fill { .. });
            }
            self.finish(patient, until, step).await
        }
        .boxed()
    }

    fn look(&mut self) -> BoxFuture<'_, Result<Landing, AgentFault>> {
        async move {
            self.catch_up()?;
            self.see().await
        }
        .boxed()
    }

    fn wait_for<'a>(&'a mut self, at: &'a str, step: &'a str) -> BoxFuture<'a, Result<Landing, AgentFault>> {
        async move {
            let until = self.until();
            self.reset()?;
            // The page tells by itself when the element comes; a page that is replaced meanwhile is asked anew.
            let script = format!(
                "new Promise(done => {{
                    const there = () => ({})('there', {}) === 'done' && (done(true), true);
                    if (there()) return;
                    const seen = new MutationObserver(() => there() && seen.disconnect());
                    seen.observe(document, {{ subtree: true, childList: true, attributes: true }});
                }})",
                include_str!("chrome_act.js").trim_end(),
                json!(at)
            );
            loop {
                match self.evaluate(script.clone(), until).await {
                    Ok(Ok(_)) => return self.finish(false, until, step).await,
                    Ok(Err(_)) if Instant::now() < until => match self.settle(false, until).await? {
                        End::Settled | End::NoPage => {}
                        end => return self.land(end, step).await,
                    },
                    Ok(Err(_)) | Err(AgentFault::Deadline { .. }) => {
                        self.record(step, None);
                        let url = self.see().await.map(|landing| landing.url).unwrap_or_default();
                        return Err(AgentFault::NoElement { at: at.to_owned(), url });
                    }
                    Err(fault) => return Err(fault),
                }
            }
        }
        .boxed()
    }

    fn screenshot(&mut self) -> BoxFuture<'_, Option<Vec<u8>>> {
        async move {
            let until = Instant::now() + Duration::from_secs(5);
            let answer = self.call(calls::screenshot(), until).await.ok()?.ok()?;
            STANDARD.decode(answer["data"].as_str()?).ok()
        }
        .boxed()
    }

    fn script_fetch<'a>(&'a mut self, origin: &'a str, url: &'a str) -> BoxFuture<'a, Option<ScriptFetch>> {
        async move {
            let until = self.until();
            if self.blank(origin, until).await.ok()?.is_some() {
                return None;
            }
            self.reset().ok()?;
            let script = format!(
                "fetch({}, {{ credentials: 'include', mode: 'cors', cache: 'no-store' }}).then(answer => answer.status, () => 0)",
                json!(url)
            );
            let answer = self.evaluate(script, until).await;
            self.record("fetch by a script", None);
            match answer.ok()?.ok()?.as_u64() {
                Some(0) => Some(ScriptFetch::Blocked),
                status => Some(ScriptFetch::Readable { status: u16::try_from(status?).ok()? }),
            }
        }
        .boxed()
    }

    fn passkey<'a>(&'a mut self, passkey: &'a Passkey) -> BoxFuture<'a, Result<bool, AgentFault>> {
        async move {
            let until = self.until();
            let refused = |message: String| AgentFault::Lost(format!("the passkey was not accepted by the browser: {message}"));
            self.call(WebAuthn::Enable { enable_ui: Some(false) }, until).await?.map_err(refused)?;
            let answer = self.call(calls::authenticator(), until).await?.map_err(refused)?;
            self.call(calls::credential(text(&answer["authenticatorId"]), passkey), until).await?.map_err(refused)?;
            Ok(true)
        }
        .boxed()
    }
}

impl ChromePage {
    async fn finish(&mut self, patient: bool, until: Instant, step: &str) -> Result<Landing, AgentFault> {
        match self.settle(patient, until).await {
            Ok(end) => self.land(end, step).await,
            Err(AgentFault::Deadline { .. }) => {
                let late = format!("the page did not settle within {} s", self.jar.core.config.deadline.as_secs());
                self.land(End::Failed(late), step).await
            }
            Err(fault) => {
                self.record(step, None);
                Err(fault)
            }
        }
    }

    /// Shows an empty page of an origin without asking its server; the error text where that failed.
    async fn blank(&mut self, origin: &str, until: Instant) -> Result<Option<String>, AgentFault> {
        let url = format!("{}{BLANK}", origin.trim_end_matches('/'));
        self.catch_up()?;
        self.call(calls::intercept(&url), until).await?.map_err(AgentFault::Lost)?;
        // The answer comes when the document is there, or with the error.
        let answer = self.call(calls::navigate(&url), until).await?;
        self.call(Fetch::Disable(None), until).await?.map_err(AgentFault::Lost)?;
        let parsed =
            "new Promise(done => document.readyState === 'loading' ? addEventListener('DOMContentLoaded', done) : done())";
        let _ = self.evaluate(format!("{parsed}.then(() => true)"), until).await?;
        Ok(match answer {
            Ok(answer) => answer["errorText"].as_str().map(str::to_owned),
            Err(message) => Some(message),
        })
    }

    async fn perform(&mut self, act: &Act, until: Instant) -> Result<(), AgentFault> {
        let (what, at, value) = match act {
            Act::Fill { at, with, secret } => {
                if *secret {
                    self.jar.secrets.add(with);
                }
                ("fill", at, with.as_str())
            }
            Act::Click { at } => ("click", at, ""),
            Act::Submit { at } => ("submit", at, ""),
            Act::Back => return self.back(until).await,
        };
        let script = format!("{}({}, {}, {})", include_str!("chrome_act.js").trim_end(), json!(what), json!(at), json!(value));
        match self.evaluate(script, until).await? {
            Ok(Value::String(done)) if done == "key" => {
                for key in calls::enter() {
                    // The page may go away with the key.
                    let _ = self.call(key, until).await?;
                }
                Ok(())
            }
            Ok(Value::String(done)) if done == "missing" => Err(self.missing(at).await),
            Ok(_) => Ok(()),
            // The page went away with the click; an invalid selector is an error that the page raised.
            Err(message) if message.contains("SyntaxError") => Err(self.missing(at).await),
            Err(_) => Ok(()),
        }
    }

    async fn missing(&mut self, at: &str) -> AgentFault {
        let url = self.see().await.map(|landing| landing.url).unwrap_or_default();
        AgentFault::NoElement { at: at.to_owned(), url }
    }

    async fn back(&mut self, until: Instant) -> Result<(), AgentFault> {
        let history = self.call(PageCalls::GetNavigationHistory(None), until).await?.map_err(AgentFault::Lost)?;
        let current = history["currentIndex"].as_u64().unwrap_or_default();
        let before = current.checked_sub(1).and_then(|index| history["entries"].get(usize::try_from(index).ok()?));
        let entry = before.and_then(|entry| u32::try_from(entry["id"].as_u64()?).ok());
        let Some(entry_id) = entry else {
            return Err(AgentFault::NoElement { at: "an earlier page in the history".into(), url: String::new() });
        };
        self.call(PageCalls::NavigateToHistoryEntry { entry_id }, until).await?.map_err(AgentFault::Lost)?;
        Ok(())
    }
}
