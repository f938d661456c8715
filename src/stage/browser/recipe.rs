//! Signing in, as a user does it: by what the page itself asks for, or by explicit steps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::recipe_login::Login;
use super::recipe_page as read;
use super::secrets::written;
use super::totp::TotpSource;
use super::{AgentFault, Button, Hop, Landing, Page};
use crate::model::target::Step;
use crate::stage::recorder::Recorder;

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until the suite is reached.
    Arrival,
    /// Until the second factor is asked for, or the suite is reached without.
    SecondFactor,
}

/// Who signs in. Clones share what is known of the user: a refused password is never typed again.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user name.
    pub name: String,
    /// The password; empty for a user without.
    pub password: String,
    /// The authenticator.
    pub totp: Option<TotpSource>,
    /// A second authenticator, for fields that say so.
    pub hardware: Option<TotpSource>,
    /// The page's virtual authenticator holds a passkey of the user.
    pub passkey: bool,
    /// Longest time one login may take, without waits for the next one-time code; default 120 s.
    pub within: Duration,
    refused: Arc<Mutex<Option<String>>>,
}

impl Credentials {
    /// Of a user; make them once per run and user, and clone them.
    pub fn new(name: &str, password: &str, totp: Option<TotpSource>, passkey: bool) -> Self {
        let (name, password) = (name.to_owned(), password.to_owned());
        Credentials { name, password, totp, hardware: None, passkey, within: Duration::from_secs(120), refused: Arc::default() }
    }

    /// The same user, whose refused password says nothing of the shared one: for pages that ask again whatever is typed.
    #[must_use]
    pub fn apart(&self) -> Self {
        Credentials { refused: Arc::default(), ..self.clone() }
    }

    /// What was refused while the user was disabled says nothing of the password: it may be typed again.
    pub fn forgive(&self) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Where the password was refused, once it was.
    pub(super) fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_refused(&self, url: &str) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(url.to_owned());
    }
}

/// Something that was typed or clicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Typed {
    UserName,
    Password,
    OneTimeCode,
    /// The code of a second authenticator.
    HardwareCode,
    Consent,
    /// An account chooser, a notice, a passkey prompt, or a value of an explicit step.
    Other,
}

/// A login that went as far as wanted.
#[derive(Clone, Debug, Default)]
pub struct SignedIn {
    /// Where it ended: an arrival, or the page that asks for the second factor.
    pub landing: Landing,
    /// Every request on the way, those of the start included.
    pub hops: Vec<Hop>,
    /// What was typed, in order.
    pub typed: Vec<Typed>,
    /// Pages that asked for a user name, password or one-time code.
    pub credential_pages: usize,
}

impl SignedIn {
    /// The last landing with every hop on the way.
    pub fn whole(&self) -> Landing {
        Landing { hops: self.hops.clone(), ..self.landing.clone() }
    }
}

/// Why a login did not get there. Never a verdict.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SignInFault {
    /// The service asked for the same thing again.
    #[error(
        "the service did not accept the {what} of {user} (at {url}): check it in the target file; it is not tried again, \
         because accounts get locked"
    )]
    Refused {
        /// `password`, `one-time code` or `user name`.
        what: &'static str,
        /// Whose.
        user: String,
        /// The page.
        url: String,
    },
    /// The page is not understood.
    #[error(
        "the login does not get further at {url} (title {title:?}, fields {fields:?}): {why}. See the screenshot, and write \
         explicit `idp.login.steps` into the target file"
    )]
    Stuck {
        /// The page.
        url: String,
        /// Its title.
        title: String,
        /// Names of its fields.
        fields: Vec<String>,
        /// What is missing.
        why: String,
    },
    /// It took too long.
    #[error("the login took longer than {seconds} s (at {url}): raise the deadline, or write explicit `idp.login.steps`")]
    Deadline {
        /// The limit.
        seconds: u64,
        /// The page.
        url: String,
    },
    /// The browser failed.
    #[error("{0}; the explicit `idp.login.steps` or the automatic login found it on this page")]
    Agent(#[from] AgentFault),
}

/// Does the page ask for a user name, a password or a one-time code?
pub fn asks_for_credentials(landing: &Landing) -> bool {
    let wants = read::wants(landing);
    landing.arrival.is_none() && (wants.name.is_some() || wants.password.is_some() || !wants.code.is_empty())
}

/// Does the page ask for nothing but a yes (consent, stay signed in)?
pub fn asks_for_consent(landing: &Landing) -> bool {
    landing.arrival.is_none() && !asks_for_credentials(landing) && read::wants(landing).consent.is_some()
}

/// The one button that leads on to a login elsewhere, where a page offers exactly one that makes sense: "Sign in with single sign-on" goes
/// before "Sign in", and where a page asks for a user name or password of its own, only the former counts. Equal texts count once.
pub fn sensible_button(landing: &Landing) -> Option<&Button> {
    read::onward(landing)
}

/// Signs a user in from where a visit ended. With no `steps` the page itself tells what to do. A password that was answered
/// by a password page is never typed again for this user; no one-time code is used twice.
///
/// # Errors
/// [`SignInFault`]; a screenshot is kept where the agent can take one.
pub async fn sign_in(
    page: &mut dyn Page,
    start: Landing,
    who: &Credentials,
    steps: &[Step],
    until: Until,
    recorder: &Recorder,
    scenario: &str,
) -> Result<SignedIn, SignInFault> {
    for text in written(&who.password) {
        recorder.redactor.hide(&text, &format!("password of {}", who.name));
    }
    let mut login = Login::new(page, start, who, until, recorder);
    let result = if steps.is_empty() { login.by_page().await } else { login.by_steps(steps).await };
    let Login { page, done, .. } = login;
    match result {
        Ok(()) => Ok(done),
        Err(fault) => {
            if let Some(png) = page.screenshot().await {
                recorder.shot(scenario, &fault.to_string(), png);
            }
            Err(fault)
        }
    }
}
