//! A login under way: one page after the other, by what each page asks for.

use std::time::Instant;

use super::recipe::{Credentials, SignInFault, SignedIn, Typed, Until, asks_for_credentials};
use super::recipe_page::{self as read, Wants};
use super::{Act, AgentFault, Landing, Page};
use crate::stage::recorder::Recorder;

/// Pages one login may show.
const PAGES: usize = 12;

/// A login under way.
pub(super) struct Login<'a> {
    pub page: &'a mut dyn Page,
    pub who: &'a Credentials,
    pub until: Until,
    recorder: &'a Recorder,
    end: Instant,
    pub done: SignedIn,
}

impl<'a> Login<'a> {
    pub(super) fn new(
        page: &'a mut dyn Page,
        start: Landing,
        who: &'a Credentials,
        until: Until,
        recorder: &'a Recorder,
    ) -> Self {
        let mut login = Login { page, who, until, recorder, end: Instant::now() + who.within, done: SignedIn::default() };
        login.take(start);
        login
    }

    /// The next page.
    fn take(&mut self, mut landing: Landing) {
        self.done.hops.append(&mut landing.hops);
        if asks_for_credentials(&landing) {
            self.done.credential_pages += 1;
        }
        self.done.landing = landing;
    }

    pub(super) fn arrived(&self) -> bool {
        self.done.landing.arrival.is_some()
    }

    pub(super) fn typed(&self, what: Typed) -> bool {
        self.done.typed.contains(&what)
    }

    pub(super) fn stuck(&self, why: impl Into<String>) -> SignInFault {
        let page = &self.done.landing;
        SignInFault::Stuck { url: bare(&page.url), title: page.title.clone(), fields: read::field_names(page), why: why.into() }
    }

    /// Does something on the page, within the login's deadline.
    pub(super) async fn act(&mut self, acts: &[Act], step: &str) -> Result<(), SignInFault> {
        self.checked(acts)?;
        let left = self.end.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, self.page.act(acts, step)).await {
            Ok(landing) => {
                let landing = landing?;
                self.take(landing);
            }
            Err(_) => return Err(self.late()),
        }
        match &self.done.landing.error {
            Some(error) => Err(self.stuck(error.clone())),
            None => Ok(()),
        }
    }

    /// Waits for an element, within the login's deadline.
    pub(super) async fn wait_for(&mut self, at: &str, step: &str) -> Result<(), SignInFault> {
        let left = self.end.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, self.page.wait_for(at, step)).await {
            Ok(landing) => {
                let landing = landing?;
                self.take(landing);
                Ok(())
            }
            Err(_) => Err(self.late()),
        }
    }

    /// Every act goes through here, so that no way leads around the protection of the account.
    fn checked(&self, acts: &[Act]) -> Result<(), SignInFault> {
        let password =
            acts.iter().any(|act| matches!(act, Act::Fill { with, .. } if !with.is_empty() && *with == self.who.password));
        match self.who.refused() {
            Some(url) if password => Err(SignInFault::Refused { what: "password", user: self.who.name.clone(), url }),
            _ => Ok(()),
        }
    }

    fn late(&self) -> SignInFault {
        SignInFault::Deadline { seconds: self.who.within.as_secs(), url: bare(&self.done.landing.url) }
    }

    pub(super) fn refuse(&self, what: &'static str) -> SignInFault {
        let url = bare(&self.done.landing.url);
        if what == "password" {
            self.who.set_refused(&url);
        }
        SignInFault::Refused { what, user: self.who.name.clone(), url }
    }

    /// A fresh one-time code; the time it had to be waited for does not count against the login.
    pub(super) async fn code(&mut self, hardware: bool) -> Result<String, SignInFault> {
        let (source, key) = if hardware { (&self.who.hardware, "hardware_totp") } else { (&self.who.totp, "totp") };
        let Some(source) = source else {
            let why = format!("the page asks for a one-time code, but the user has no `{key}` secret in the target file");
            return Err(self.stuck(why));
        };
        let (code, waited) = source.code().await;
        self.end += waited;
        self.recorder.waited(waited);
        self.recorder.redactor.hide(&code, "one-time code");
        Ok(code)
    }

    /// What was typed is now on its way.
    pub(super) fn note(&mut self, what: Typed) {
        if what == Typed::Password {
            self.recorder.login_typed();
        }
        self.done.typed.push(what);
    }

    /// By the page itself.
    pub(super) async fn by_page(&mut self) -> Result<(), SignInFault> {
        let mut before = String::new();
        let mut waited = false;
        for _ in 0..PAGES {
            if self.arrived() {
                return Ok(());
            }
            if let Some(error) = &self.done.landing.error {
                return Err(self.stuck(error.clone()));
            }
            let wants = read::wants(&self.done.landing);
            let second = !wants.code.is_empty() || (wants.passkey.is_some() && wants.name.is_none());
            if self.until == Until::SecondFactor && self.typed(Typed::Password) && wants.password.is_none() && second {
                return Ok(());
            }
            if self.done.landing.fields.is_empty() && self.done.landing.buttons.is_empty() && !waited {
                waited = true;
                match self.wait_for("input:not([type=hidden]), button, [role=button]", "wait for the login page").await {
                    Ok(()) => continue,
                    Err(SignInFault::Agent(AgentFault::NoElement { .. })) => {
                        return Err(self.stuck("the page shows no field and no button"));
                    }
                    Err(fault) => return Err(fault),
                }
            }
            let now = read::signature(&self.done.landing);
            self.refused_again(&wants)?;
            if now == before {
                return Err(self.stuck("it shows the same page again"));
            }
            before = now;
            self.answer(&wants).await?;
        }
        if self.arrived() { Ok(()) } else { Err(self.stuck(format!("it has shown {PAGES} pages"))) }
    }

    /// Does the page ask again for what was given?
    fn refused_again(&self, wants: &Wants) -> Result<(), SignInFault> {
        if wants.password.is_some() && self.typed(Typed::Password) {
            Err(self.refuse("password"))
        } else if !wants.code.is_empty() && wants.password.is_none() && self.typed(code_kind(wants.hardware)) {
            Err(self.refuse("one-time code"))
        } else if wants.name.is_some() && wants.password.is_none() && self.done.typed.last() == Some(&Typed::UserName) {
            Err(self.refuse("user name"))
        } else {
            Ok(())
        }
    }

    /// Gives the page what it asks for.
    async fn answer(&mut self, wants: &Wants) -> Result<(), SignInFault> {
        let page = self.done.landing.clone();
        let at = |index: usize| page.fields[index].at.clone();
        let click = |index: usize| [Act::Click { at: page.buttons[index].at.clone() }];
        // A passkey stands for the password, or after it for the second factor.
        let asks_for_less = wants.password.is_none() && wants.name.is_none() && wants.code.is_empty();
        if let Some(button) = wants.passkey.filter(|_| self.who.passkey && !self.typed(Typed::Other))
            && (self.who.password.is_empty() || (self.typed(Typed::Password) && wants.password.is_none()) || asks_for_less)
        {
            self.note(Typed::Other);
            return self.act(&click(button), "sign in: passkey").await;
        }
        let mut acts = Vec::new();
        let mut given = Vec::new();
        let mut last = None;
        if let Some(name) = wants.name {
            last = Some(at(name));
            if page.fields[name].value != self.who.name {
                acts.push(Act::Fill { at: at(name), with: self.who.name.clone(), secret: false });
            }
            given.push(Typed::UserName);
        }
        if let Some(password) = wants.password {
            if self.who.password.is_empty() {
                return Err(self.stuck("the page asks for a password, but the user has none in the target file"));
            }
            acts.push(Act::Fill { at: at(password), with: self.who.password.clone(), secret: true });
            last = Some(at(password));
            given.push(Typed::Password);
        }
        // Some forms have a field for the code from the beginning; without an authenticator it stays empty.
        if !wants.code.is_empty() && (wants.password.is_none() || self.who.totp.is_some()) {
            let code = self.code(wants.hardware).await?;
            let single = wants.code.len() == 1;
            for (place, index) in wants.code.iter().enumerate() {
                let digit = code.get(place..=place).unwrap_or_default();
                let with = if single { code.clone() } else { digit.to_owned() };
                acts.push(Act::Fill { at: at(*index), with, secret: single });
                last = Some(at(*index));
            }
            given.push(code_kind(wants.hardware));
        }
        if let Some(last) = last {
            acts.push(match read::go_button(&page) {
                Some(button) => Act::Click { at: button.at.clone() },
                None => Act::Submit { at: last },
            });
            let step = match given[..] {
                [.., Typed::OneTimeCode | Typed::HardwareCode] => "sign in: one-time code",
                [.., Typed::Password] => "sign in: password",
                _ => "sign in: user name",
            };
            self.checked(&acts)?;
            given.into_iter().for_each(|what| self.note(what));
            return self.act(&acts, step).await;
        }
        if let Some(button) = wants.decline {
            self.note(Typed::Other);
            return self.act(&click(button), "sign in: do not stay signed in").await;
        }
        if let Some(button) = wants.consent {
            self.note(Typed::Consent);
            return self.act(&click(button), "sign in: consent").await;
        }
        if let Some(button) = read::account(&page, &self.who.name) {
            self.note(Typed::Other);
            return self.act(&click(button), "sign in: choose account").await;
        }
        Err(self.stuck("no field for a user name, password or one-time code and no button of consent was found"))
    }
}

fn code_kind(hardware: bool) -> Typed {
    if hardware { Typed::HardwareCode } else { Typed::OneTimeCode }
}

/// A page's address for a message: what stands behind the path may be anything.
fn bare(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}
