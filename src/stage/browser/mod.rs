//! The user agent: Chrome, or a plain form agent for server-rendered pages, behind one trait.
//!
//! A [`UserAgent`] gives isolated [`Context`]s (cookie jars), a context gives [`Page`]s (tabs). A page goes somewhere and
//! says where it landed; every main-document and script hop on the way is recorded with status and headers.

pub mod chrome;
mod chrome_act;
mod chrome_calls;
mod chrome_link;
mod chrome_net;
mod chrome_page;
mod chrome_process;
mod chrome_settle;
pub mod form;
mod form_client;
mod form_html;
mod form_jar;
mod form_submit;
mod form_visit;
pub mod recipe;
mod recipe_login;
mod recipe_page;
mod recipe_steps;
mod recipe_words;
mod secrets;
pub mod totp;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod recipe_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::model::ExchangeId;

/// A browser, shared by the whole run.
pub trait UserAgent: Send + Sync {
    /// What it is, for the report: `chrome 156.0.8078.73` or `form`.
    fn name(&self) -> String;
    /// Does it run scripts (and so take screenshots and script fetches)?
    fn scripts(&self) -> bool;
    /// A fresh cookie jar. `label` names it in the evidence ("main user", "first factor only").
    fn context<'a>(&'a self, label: &'a str) -> BoxFuture<'a, Result<Arc<dyn Context>, AgentFault>>;
    /// Ends the browser; no process stays behind.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// One isolated cookie jar.
pub trait Context: Send + Sync {
    /// A fresh page (tab). `scenario` and `step` are written on the exchanges it causes.
    fn page<'a>(&'a self, scenario: &'a str) -> BoxFuture<'a, Result<Box<dyn Page>, AgentFault>>;
    /// A copy of the whole jar.
    fn cookies(&self) -> BoxFuture<'_, Result<Cookies, AgentFault>>;
    /// Puts the cookies of a copy into this jar; a cookie of the same name, domain and path is replaced.
    fn set_cookies<'a>(&'a self, cookies: &'a Cookies) -> BoxFuture<'a, Result<(), AgentFault>>;
}

/// A copy of a cookie jar, for the agent that made it. It has no `Debug` and cannot be serialised: values stay in memory.
#[derive(Clone)]
pub struct Cookies(Copied);

#[derive(Clone)]
enum Copied {
    /// Cookies as DevTools describes them.
    Chrome(Vec<serde_json::Value>),
    Form(form_jar::CookieJar),
}

/// A copy was made by another agent.
fn foreign_copy() -> AgentFault {
    AgentFault::Lost("cookies were copied from another agent".into())
}

/// One page (tab). Dropping it closes it.
pub trait Page: Send {
    /// Goes to a URL, follows every redirect, script and automatic form, and returns once the page has settled, a URL of a
    /// suite host was reached, or the deadline passed. `step` is written on the recorded exchanges.
    fn go<'a>(&'a mut self, visit: Visit, step: &'a str) -> BoxFuture<'a, Result<Landing, AgentFault>>;
    /// Does things on the current page and returns once it has settled again. An act that cannot be done is a fault.
    fn act<'a>(&'a mut self, acts: &'a [Act], step: &'a str) -> BoxFuture<'a, Result<Landing, AgentFault>>;
    /// The page as it is now, without hops.
    fn look(&mut self) -> BoxFuture<'_, Result<Landing, AgentFault>>;
    /// Waits until a CSS selector matches an element, at most the agent's deadline, and returns once the page has settled.
    fn wait_for<'a>(&'a mut self, at: &'a str, step: &'a str) -> BoxFuture<'a, Result<Landing, AgentFault>>;
    /// A PNG of the viewport; `None` where the agent cannot.
    fn screenshot(&mut self) -> BoxFuture<'_, Option<Vec<u8>>>;
    /// `fetch(url, {credentials: 'include', mode: 'cors'})` from a page of `origin`; `None` where the agent runs no scripts.
    fn script_fetch<'a>(&'a mut self, origin: &'a str, url: &'a str) -> BoxFuture<'a, Option<ScriptFetch>>;
    /// Installs a virtual authenticator that holds this passkey; `false` where the agent cannot.
    fn passkey<'a>(&'a mut self, passkey: &'a Passkey) -> BoxFuture<'a, Result<bool, AgentFault>>;
}

/// Where to go.
#[derive(Clone, Debug)]
pub enum Visit {
    /// Type the URL into the address bar.
    Get(String),
    /// Submit a form with these fields from a page of the suite's own origin (so that it is cross-site, as from an application).
    Post {
        /// The form's action.
        url: String,
        /// Its fields.
        fields: Vec<(String, String)>,
    },
}

/// One thing a user does on a page.
#[derive(Clone, Debug)]
pub enum Act {
    /// Type text into a field; `secret` text never reaches a log.
    Fill {
        /// CSS selector.
        at: String,
        /// What to type.
        with: String,
        /// A password or one-time code.
        secret: bool,
    },
    /// Click an element.
    Click {
        /// CSS selector.
        at: String,
    },
    /// Submit the form that the element belongs to, as pressing enter would.
    Submit {
        /// CSS selector of a field in the form.
        at: String,
    },
    /// Go back in history.
    Back,
}

/// Why a visit ended without a page, where the network is not to blame.
const NO_PAGE: &str = "what it answers is no page (a download, or no HTTP)";

/// Where a visit or an act ended.
#[derive(Clone, Debug, Default)]
pub struct Landing {
    /// Every request of the main document (redirects included) and every script request (fetch, XHR), in order.
    pub hops: Vec<Hop>,
    /// The URL shown, with its fragment.
    pub url: String,
    /// HTTP status of the document shown; 0 when none arrived.
    pub status: u16,
    /// Document title.
    pub title: String,
    /// Serialised document, at most 512 KiB.
    pub html: String,
    /// Visible form fields, in document order.
    pub fields: Vec<Field>,
    /// Visible buttons and button-like links, in document order.
    pub buttons: Vec<Button>,
    /// The suite's URL that was reached, with query and fragment; the body's fields for a form post.
    pub arrival: Option<Arrival>,
    /// Why the page could not be shown: a TLS or network error of the browser, or the deadline.
    pub error: Option<String>,
}

impl Landing {
    /// A visit whose answer became no page. Status 204 and 205 mean just that (RFC 9110, sections 15.3.5 and 15.3.6); anything else is
    /// a download, or no HTTP at all.
    pub(super) fn without_page(url: String, status: u16) -> Landing {
        let error = (!matches!(status, 204 | 205)).then(|| NO_PAGE.to_owned());
        Landing { url, status, error, ..Landing::default() }
    }
}

/// A request of the browser to reach the suite.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// Full URL with query and fragment.
    pub url: String,
    /// `GET` or `POST`.
    pub method: String,
    /// Fields of a form-encoded POST body.
    pub form: Vec<(String, String)>,
}

/// One request on the way.
#[derive(Clone, Debug, Default)]
pub struct Hop {
    /// Request method.
    pub method: String,
    /// Request URL.
    pub url: String,
    /// Response status; 0 when none arrived.
    pub status: u16,
    /// Response headers, names lower-case. `set-cookie` may stand several times.
    pub headers: Vec<(String, String)>,
    /// Did the request's body carry a value that was typed as secret?
    pub carried_credentials: bool,
    /// A script request (fetch, XHR) instead of the main document.
    pub script: bool,
    /// The recorded exchange.
    pub exchange: ExchangeId,
}

impl Hop {
    /// The first response header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The redirect's absolute target, where this is one.
    pub fn location(&self) -> Option<String> {
        if !(300..400).contains(&self.status) {
            return None;
        }
        let base = url::Url::parse(&self.url).ok()?;
        Some(base.join(self.header("location")?).ok()?.to_string())
    }
}

/// A visible form field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// A CSS selector that names exactly this element.
    pub at: String,
    /// `name` attribute.
    pub name: String,
    /// `type` attribute, lower-case; `text` when absent.
    pub kind: String,
    /// `autocomplete` attribute.
    pub autocomplete: String,
    /// `inputmode` attribute.
    pub inputmode: String,
    /// Label, placeholder and aria-label, joined.
    pub label: String,
    /// Current value; empty for password fields.
    pub value: String,
    /// `maxlength` attribute.
    pub max_length: Option<u32>,
}

/// A visible button.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Button {
    /// A CSS selector that names exactly this element.
    pub at: String,
    /// Its text or value.
    pub text: String,
    /// `name` attribute.
    pub name: String,
    /// `value` attribute.
    pub value: String,
    /// It submits a form.
    pub submits: bool,
}

/// What a script saw of a cross-origin fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptFetch {
    /// The answer could be read.
    Readable {
        /// Its status.
        status: u16,
    },
    /// The browser withheld it.
    Blocked,
}

/// A passkey for the virtual authenticator.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Passkey {
    /// Relying party id: the host name.
    pub rp_id: String,
    /// base64url.
    pub credential_id: String,
    /// base64url.
    pub user_handle: String,
    /// base64 of the PKCS#8 private key (P-256).
    pub private_key: String,
    /// Signature counter to start from.
    #[serde(default)]
    pub sign_count: u32,
}

/// Why the agent could not do something. Never a verdict.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AgentFault {
    /// No browser, or it could not be started.
    #[error("{0}")]
    NoBrowser(String),
    /// The element is not on the page.
    #[error("no element matches `{at}` on {url}")]
    NoElement {
        /// CSS selector.
        at: String,
        /// The page.
        url: String,
    },
    /// It took too long.
    #[error("{what} took longer than {seconds} s")]
    Deadline {
        /// What was waited for.
        what: String,
        /// The limit.
        seconds: u64,
    },
    /// The browser died or lost its connection.
    #[error("the browser failed: {0}")]
    Lost(String),
}

/// What an agent needs to know of the run.
#[derive(Clone)]
pub struct AgentConfig {
    /// Host names of the suite (and anything below them); reaching one ends a visit.
    pub suite_hosts: Vec<String>,
    /// Origins of the provider that the suite plays for an application; a visit goes on through them.
    pub own_origins: Vec<String>,
    /// `host:port` -> `address:port`; port 443 for https, 80 for http. The suite's own hosts are among them. A host may be `*.name`.
    pub resolve: Vec<(String, String)>,
    /// DER certificates to trust besides the public roots (the target's CA and the suite's own).
    pub roots: Vec<Vec<u8>>,
    /// DER leaf certificates that were verified against these roots beforehand; Chrome pins them by SPKI.
    pub leaves: Vec<Vec<u8>>,
    /// Longest time one visit or act may take.
    pub deadline: std::time::Duration,
    /// Show the window.
    pub headed: bool,
}

impl AgentConfig {
    /// Does the suite itself answer this URL?
    pub fn is_own(&self, url: &str) -> bool {
        let origin = url::Url::parse(url).ok().map(|url| url.origin().ascii_serialization());
        self.is_suite(url) || origin.is_some_and(|origin| self.own_origins.contains(&origin))
    }

    /// Is this a URL of a suite host, or of a host below one?
    pub fn is_suite(&self, url: &str) -> bool {
        let Ok(url) = url::Url::parse(url) else { return false };
        let Some(host) = url.host_str() else { return false };
        self.suite_hosts.iter().any(|suite| {
            host.eq_ignore_ascii_case(suite)
                || host.len() > suite.len() + 1
                    && host.is_char_boundary(host.len() - suite.len())
                    && host[host.len() - suite.len()..].eq_ignore_ascii_case(suite)
                    && host[..host.len() - suite.len()].ends_with('.')
        })
    }
}
