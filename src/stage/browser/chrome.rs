//! Chrome over DevTools: the agent and its contexts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use headless_chrome::protocol::cdp::{Browser, Storage, Target};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::chrome_calls::SetCookies;
use super::chrome_link::Link;
use super::chrome_page::ChromePage;
use super::chrome_process::Process;
pub use super::chrome_process::find_chrome;
use super::secrets::Secrets;
use super::{AgentConfig, AgentFault, Context, Cookies, Copied, Page, UserAgent, foreign_copy};
use crate::stage::recorder::Recorder;

/// Time a browser gets to end by itself.
const END: Duration = Duration::from_secs(3);

/// A Chrome that was started for the run, or one that was there already.
pub struct ChromeAgent {
    core: Arc<Core>,
    version: String,
    process: Mutex<Option<Process>>,
}

/// What the agent, its contexts and their pages share.
pub(super) struct Core {
    pub link: Link,
    pub config: AgentConfig,
    pub recorder: Arc<Recorder>,
    /// Pages that load at a time: more only slow each other down until all of them miss their deadlines.
    turns: Arc<Semaphore>,
}

/// Pages that load at a time, per processor.
const PER_PROCESSOR: usize = 3;

impl Core {
    /// Waits until another page may load. The deadline of a visit begins afterwards.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }
}

impl ChromeAgent {
    /// Starts a browser, or connects to the one at `connect`: its DevTools address (`ws://host:port/devtools/browser/ID`),
    /// or the `http://host:port` that tells it. A browser that was there already keeps its own resolver and certificates.
    ///
    /// # Errors
    /// [`AgentFault::NoBrowser`] with the remedy.
    pub async fn launch(
        config: AgentConfig,
        recorder: Arc<Recorder>,
        connect: Option<String>,
    ) -> Result<Arc<dyn UserAgent>, AgentFault> {
        Ok(Arc::new(Self::started(config, recorder, connect).await?))
    }

    pub(super) async fn started(
        config: AgentConfig,
        recorder: Arc<Recorder>,
        connect: Option<String>,
    ) -> Result<Self, AgentFault> {
        let within = config.deadline;
        let (process, address) = match connect {
            Some(address) => (None, devtools_address(&address, within).await?),
            None => {
                let program = find_chrome().ok_or_else(|| {
                    AgentFault::NoBrowser(
                        "no Chrome or Chromium found: install one, name it with CHROME=PATH, or use the form agent".into(),
                    )
                })?;
                let config = config.clone();
                let process = blocking(move || Process::start(&program, &config)).await??;
                let address = process.address.clone();
                (Some(process), address)
            }
        };
        let link = blocking(move || Link::connect(&address, within)).await??;
        let answer = link.call(Browser::GetVersion(None), within).await?;
        let product = answer["product"].as_str().unwrap_or("Chrome/unknown");
        let version = product.rsplit_once('/').map_or(product, |(_, version)| version).to_owned();
        let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let turns = Arc::new(Semaphore::new(processors * PER_PROCESSOR));
        let core = Arc::new(Core { link, config, recorder, turns });
        Ok(ChromeAgent { core, version, process: Mutex::new(process) })
    }

    /// Its DevTools address.
    #[cfg(test)]
    pub(super) fn address_for_test(&self) -> String {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).as_ref().unwrap().address.clone()
    }

    /// Process id and profile directory.
    #[cfg(all(test, unix))]
    pub(super) fn process_for_test(&self) -> (u32, std::path::PathBuf) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().unwrap().for_test()
    }
}

impl UserAgent for ChromeAgent {
    fn name(&self) -> String {
        format!("chrome {}", self.version)
    }

    fn scripts(&self) -> bool {
        true
    }

    fn context<'a>(&'a self, _label: &'a str) -> BoxFuture<'a, Result<Arc<dyn Context>, AgentFault>> {
        async move {
            let create = Target::CreateBrowserContext {
                dispose_on_detach: Some(true),
                proxy_server: None,
                proxy_bypass_list: None,
                origins_with_universal_network_access: None,
            };
            let answer = self.core.link.call(create, self.core.config.deadline).await?;
            let jar = Jar { core: Arc::clone(&self.core), id: text(&answer["browserContextId"]), secrets: Secrets::default() };
            Ok(Arc::new(ChromeContext(Arc::new(jar))) as Arc<dyn Context>)
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            let process = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(process) = process {
                let _ = self.core.link.call(Browser::Close(None), END).await;
                self.core.link.shut();
                let _ = blocking(move || process.end(END)).await;
            } else {
                self.core.link.shut();
            }
        }
        .boxed()
    }
}

/// A cookie jar of the browser; it is emptied when its last page is gone.
pub(super) struct Jar {
    pub core: Arc<Core>,
    pub id: String,
    pub secrets: Secrets,
}

impl Drop for Jar {
    fn drop(&mut self) {
        drop(self.core.link.send(None, Target::DisposeBrowserContext { browser_context_id: self.id.clone() }));
    }
}

struct ChromeContext(Arc<Jar>);

impl Context for ChromeContext {
    fn page<'a>(&'a self, scenario: &'a str) -> BoxFuture<'a, Result<Box<dyn Page>, AgentFault>> {
        async move { Ok(Box::new(ChromePage::open(Arc::clone(&self.0), scenario).await?) as Box<dyn Page>) }.boxed()
    }

    fn cookies(&self) -> BoxFuture<'_, Result<Cookies, AgentFault>> {
        async move {
            let core = &self.0.core;
            let ask = Storage::GetCookies { browser_context_id: Some(self.0.id.clone()) };
            let answer = core.link.call(ask, core.config.deadline).await?;
            Ok(Cookies(Copied::Chrome(answer["cookies"].as_array().cloned().unwrap_or_default())))
        }
        .boxed()
    }

    fn set_cookies<'a>(&'a self, cookies: &'a Cookies) -> BoxFuture<'a, Result<(), AgentFault>> {
        async move {
            let Copied::Chrome(cookies) = &cookies.0 else { return Err(foreign_copy()) };
            let core = &self.0.core;
            core.link.call(SetCookies::new(cookies, &self.0.id), core.config.deadline).await?;
            Ok(())
        }
        .boxed()
    }
}

/// Runs blocking work beside the executor.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, AgentFault> {
    tokio::task::spawn_blocking(work).await.map_err(|e| AgentFault::Lost(e.to_string()))
}

/// The text of a JSON string; empty for anything else.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

async fn devtools_address(given: &str, within: Duration) -> Result<String, AgentFault> {
    if !given.starts_with("http://") {
        return Ok(given.to_owned());
    }
    let url = format!("{}/json/version", given.trim_end_matches('/'));
    let failed = |e: reqwest::Error| AgentFault::NoBrowser(format!("no DevTools at {given}: {e}"));
    let client = reqwest::Client::builder().no_proxy().timeout(within);
    let client = super::form_client::tls(client, &[])?.build().map_err(failed)?;
    let answer: Value = client.get(url).send().await.map_err(failed)?.json().await.map_err(failed)?;
    match answer["webSocketDebuggerUrl"].as_str() {
        Some(address) => Ok(address.to_owned()),
        None => Err(AgentFault::NoBrowser(format!("{given} does not answer like a DevTools endpoint"))),
    }
}
