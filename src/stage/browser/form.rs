//! The form agent: pages that work without scripts, over plain HTTP.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use url::Url;

use super::form_client::FormClient;
use super::form_html::{self, Document, Effect};
use super::form_jar::CookieJar;
use super::secrets::Secrets;
use super::{
    Act, AgentConfig, AgentFault, Context, Cookies, Copied, Landing, Page, Passkey, ScriptFetch, UserAgent, Visit, foreign_copy,
};
use crate::stage::recorder::Recorder;

/// Serialised documents are cut to so many bytes.
const HTML: usize = 512 * 1024;

/// The agent without a browser.
pub struct FormAgent(Arc<Core>);

pub(super) struct Core {
    pub client: FormClient,
    pub config: AgentConfig,
    pub recorder: Arc<Recorder>,
}

impl FormAgent {
    /// An agent for server-rendered pages.
    ///
    /// # Errors
    /// [`AgentFault::NoBrowser`] when a root certificate cannot be used.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(config: AgentConfig, recorder: Arc<Recorder>) -> Result<Arc<dyn UserAgent>, AgentFault> {
        let client = FormClient::new(&config)?;
        Ok(Arc::new(FormAgent(Arc::new(Core { client, config, recorder }))))
    }
}

impl UserAgent for FormAgent {
    fn name(&self) -> String {
        "form".into()
    }

    fn scripts(&self) -> bool {
        false
    }

    fn context<'a>(&'a self, _label: &'a str) -> BoxFuture<'a, Result<Arc<dyn Context>, AgentFault>> {
        let context = FormContext { core: Arc::clone(&self.0), jar: Arc::default(), secrets: Arc::default() };
        async move { Ok(Arc::new(context) as Arc<dyn Context>) }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

struct FormContext {
    core: Arc<Core>,
    jar: Arc<Mutex<CookieJar>>,
    secrets: Arc<Secrets>,
}

impl Context for FormContext {
    fn page<'a>(&'a self, scenario: &'a str) -> BoxFuture<'a, Result<Box<dyn Page>, AgentFault>> {
        let page = FormPage {
            core: Arc::clone(&self.core),
            jar: Arc::clone(&self.jar),
            secrets: Arc::clone(&self.secrets),
            scenario: scenario.to_owned(),
            shown: Shown::default(),
            filled: HashMap::new(),
            history: Vec::new(),
        };
        async move { Ok(Box::new(page) as Box<dyn Page>) }.boxed()
    }

    fn cookies(&self) -> BoxFuture<'_, Result<Cookies, AgentFault>> {
        let copy = self.jar.lock().unwrap_or_else(PoisonError::into_inner).clone();
        async move { Ok(Cookies(Copied::Form(copy))) }.boxed()
    }

    fn set_cookies<'a>(&'a self, cookies: &'a Cookies) -> BoxFuture<'a, Result<(), AgentFault>> {
        let result = match &cookies.0 {
            Copied::Form(copy) => {
                self.jar.lock().unwrap_or_else(PoisonError::into_inner).add(copy);
                Ok(())
            }
            Copied::Chrome(_) => Err(foreign_copy()),
        };
        async move { result }.boxed()
    }
}

pub(super) struct FormPage {
    pub core: Arc<Core>,
    jar: Arc<Mutex<CookieJar>>,
    pub secrets: Arc<Secrets>,
    pub scenario: String,
    pub shown: Shown,
    /// What was typed, by canonical selector.
    pub filled: HashMap<String, String>,
    pub history: Vec<Url>,
}

/// The document shown.
#[derive(Default)]
pub(super) struct Shown {
    pub url: Option<Url>,
    pub status: u16,
    pub html: String,
}

impl Page for FormPage {
    fn go<'a>(&'a mut self, visit: Visit, step: &'a str) -> BoxFuture<'a, Result<Landing, AgentFault>> {
        async move {
            let (text, body, from) = match visit {
                Visit::Get(url) => (url, None, None),
                Visit::Post { url, fields } => {
                    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
                    let host = self.core.config.suite_hosts.first().map_or("localhost", |host| host.as_str());
                    let scheme = if url.starts_with("http:") { "http" } else { "https" };
                    (url, Some(body), Url::parse(&format!("{scheme}://{host}/")).ok())
                }
            };
            match Url::parse(&text) {
                Ok(url) => Ok(self.visit(url, body, from, false, step).await),
                Err(e) => Ok(Landing { url: text, error: Some(format!("not a URL: {e}")), ..Landing::default() }),
            }
        }
        .boxed()
    }

    fn act<'a>(&'a mut self, acts: &'a [Act], step: &'a str) -> BoxFuture<'a, Result<Landing, AgentFault>> {
        async move {
            let mut landing = None;
            let mut hops = Vec::new();
            for act in acts {
                if let Some(request) = self.perform(act)? {
                    let from = self.shown.url.clone();
                    let mut reached = self.visit(request.url, request.body, from, true, step).await;
                    hops.append(&mut reached.hops);
                    landing = Some(reached);
                }
            }
            let mut landing = landing.unwrap_or_else(|| self.see().0);
            landing.hops = hops;
            Ok(landing)
        }
        .boxed()
    }

    fn look(&mut self) -> BoxFuture<'_, Result<Landing, AgentFault>> {
        let landing = self.see().0;
        async move { Ok(landing) }.boxed()
    }

    fn wait_for<'a>(&'a mut self, at: &'a str, _step: &'a str) -> BoxFuture<'a, Result<Landing, AgentFault>> {
        // A page without scripts does not change by itself.
        let result = self.document().and_then(|page| page.find(at)).map(|_| self.see().0).ok_or_else(|| self.missing(at));
        async move { result }.boxed()
    }

    fn screenshot(&mut self) -> BoxFuture<'_, Option<Vec<u8>>> {
        async { None }.boxed()
    }

    fn script_fetch<'a>(&'a mut self, _origin: &'a str, _url: &'a str) -> BoxFuture<'a, Option<ScriptFetch>> {
        async { None }.boxed()
    }

    fn passkey<'a>(&'a mut self, _passkey: &'a Passkey) -> BoxFuture<'a, Result<bool, AgentFault>> {
        async { Ok(false) }.boxed()
    }
}

impl FormPage {
    /// The context's cookies.
    pub(super) fn jar(&self) -> MutexGuard<'_, CookieJar> {
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn document(&self) -> Option<Document> {
        Some(Document::new(&self.shown.html, self.shown.url.as_ref()?))
    }

    fn missing(&self, at: &str) -> AgentFault {
        AgentFault::NoElement { at: at.to_owned(), url: self.shown.url.as_ref().map(Url::to_string).unwrap_or_default() }
    }

    /// The page as it is, and where it goes by itself.
    pub(super) fn see(&self) -> (Landing, Option<form_html::Request>) {
        let seen = self.document().map(|page| page.see(|url| self.core.config.is_suite(url), &self.filled)).unwrap_or_default();
        let mut html = self.shown.html.clone();
        html.truncate(html.floor_char_boundary(HTML));
        let landing = Landing {
            url: self.shown.url.as_ref().map(Url::to_string).unwrap_or_default(),
            status: self.shown.status,
            title: seen.title,
            html,
            fields: seen.fields,
            buttons: seen.buttons,
            ..Landing::default()
        };
        (landing, seen.next)
    }

    /// Does one thing; the request it leads to, if any.
    fn perform(&mut self, act: &Act) -> Result<Option<form_html::Request>, AgentFault> {
        let (Act::Fill { at, .. } | Act::Click { at } | Act::Submit { at }) = act else {
            self.history.pop();
            let Some(url) = self.history.pop() else {
                return Err(AgentFault::NoElement { at: "an earlier page in the history".into(), url: String::new() });
            };
            return Ok(Some(form_html::Request { method: "GET", url, body: None }));
        };
        let page = self.document().ok_or_else(|| self.missing(at))?;
        let key = page.find(at).ok_or_else(|| self.missing(at))?;
        let effect = match act {
            Act::Fill { with, secret, .. } => {
                if *secret {
                    self.secrets.add(with);
                }
                Some(Effect::Value(with.clone()))
            }
            Act::Submit { .. } => page.submit(at, &self.filled),
            _ => page.click(at, &self.filled),
        };
        match effect {
            Some(Effect::Request(request)) => return Ok(Some(request)),
            Some(Effect::Value(value)) => drop(self.filled.insert(key, value)),
            Some(Effect::Nothing) | None => {}
        }
        Ok(None)
    }
}
