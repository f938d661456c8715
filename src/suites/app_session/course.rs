//! One browser's session over time: looking at it, and what the looks say.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{EARLY_S, LIFE_S};
use crate::counterpart::provider::Script;
use crate::model::ExchangeId;
use crate::stage::Stage;
use crate::stage::oracle::{Look, place};
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::Obstacle;

/// Looks for the end of a session, in seconds after it is due; the leeway comes last.
const POLL_S: [u64; 7] = [1, 4, 8, 12, 20, 30, 45];
/// Further looks where the application did not answer at the last one.
const RETRIES: u32 = 3;
/// What arrives sooner belongs to the login or refresh that began the session, in seconds.
const HEARD_S: f64 = 0.2;

/// One browser's session. Seconds count from the token response that began it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Course {
    /// Whose it is.
    pub label: String,
    /// Its login.
    pub login: Attempt,
    /// When `session_expiry` comes by the application's clock.
    pub expiry_s: f64,
    /// Looks at it, in order.
    pub looks: Vec<Glimpse>,
    /// What the provider heard of it meanwhile.
    pub contacts: Vec<Contact>,
}

/// One look at a session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Glimpse {
    /// When the browser was sent there.
    pub asked_s: f64,
    /// When the page was there.
    pub seen_s: f64,
    /// What it showed.
    pub look: Look,
}

impl Glimpse {
    /// Is the session alive? `None` where the application gave no usable answer.
    pub fn alive(&self) -> Option<bool> {
        let failing = self.look.status >= 500 && !self.look.at_provider;
        match self.look.signed_in {
            true => Some(true),
            false if self.look.unreachable.is_some() || failing => None,
            false => Some(false),
        }
    }
}

/// A request of the application on behalf of the browser.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Contact {
    /// When.
    pub at_s: f64,
    /// A refresh token request; else an authorization request.
    pub refresh: bool,
    /// It was answered with success.
    pub granted: bool,
    /// The exchange.
    pub exchange: ExchangeId,
}

/// What became of a session.
#[derive(Clone, Copy, Debug)]
pub enum Fate<'a> {
    /// It never began.
    Unborn,
    /// Its end was seen.
    Ended(&'a Glimpse),
    /// It goes on because the provider was asked.
    Renewed(&'a Contact),
    /// It was alive when it had to be over, and the provider was not asked.
    Lives(&'a Glimpse),
    /// The application gave no usable answer when it counted.
    Unknown,
}

impl Course {
    /// The look that saw its end.
    pub fn ended(&self) -> Option<&Glimpse> {
        self.looks.iter().rev().find(|look| look.alive().is_some()).filter(|look| look.alive() == Some(false))
    }

    /// The last look that saw it alive.
    pub fn last_alive(&self) -> Option<&Glimpse> {
        self.looks.iter().rev().find(|look| look.alive() == Some(true))
    }

    /// The last refresh that let it go on beyond its end.
    pub fn renewed(&self) -> Option<&Contact> {
        let from = self.expiry_s - EARLY_S as f64;
        self.contacts.iter().rev().find(|contact| contact.refresh && contact.granted && contact.at_s >= from)
    }

    /// An authorization request came when its end was near or past.
    pub fn asked(&self) -> bool {
        let from = self.expiry_s - EARLY_S as f64;
        self.contacts.iter().any(|contact| !contact.refresh && contact.at_s >= from)
    }

    /// Seconds by which it ended before its time, at most and rounded up; 0 for one that ended in time.
    pub fn early_s(&self) -> i64 {
        let Some(ended) = self.ended().filter(|ended| ended.seen_s < self.expiry_s) else { return 0 };
        let alive = self.last_alive().map_or(0.0, |look| look.asked_s).min(ended.asked_s);
        ((self.expiry_s - alive).ceil() as i64).clamp(0, LIFE_S)
    }

    /// What became of it, `leeway_s` seconds after its end was due.
    pub fn fate(&self, leeway_s: u64) -> Fate<'_> {
        if let Some(ended) = self.ended() {
            return Fate::Ended(ended);
        }
        let Some(alive) = self.last_alive() else { return if self.login.signed_in() { Fate::Unknown } else { Fate::Unborn } };
        match self.renewed().filter(|_| alive.seen_s >= self.expiry_s) {
            Some(contact) => Fate::Renewed(contact),
            None if alive.asked_s >= self.expiry_s + leeway_s as f64 => Fate::Lives(alive),
            None => Fate::Unknown,
        }
    }

    /// What was seen, in words.
    pub fn describe(&self) -> String {
        let alive = self.last_alive().map(|look| format!("last seen alive after {:.0} s", look.asked_s));
        let ended = self.ended().map(|look| format!("seen ended after {:.0} s ({})", look.seen_s, look.look.describe()));
        let asked = self.contacts.first().map(|contact| {
            let what = if contact.refresh { "refresh token request" } else { "authorization request" };
            format!("first {what} after {:.0} s", contact.at_s)
        });
        let parts: Vec<String> = [alive, ended, asked].into_iter().flatten().collect();
        format!("{}: session_expiry after {:.0} s; {}", self.label, self.expiry_s, parts.join(", "))
    }
}

/// A session that is being watched.
pub struct Watch {
    /// The browser.
    pub visitor: Visitor,
    /// When its ID token was made.
    pub t0: Instant,
    /// What was seen so far.
    pub course: Course,
    api: bool,
}

impl Watch {
    /// Signs a fresh browser in.
    pub async fn begin(stage: &Stage, script: Script, label: &str, clock_s: f64) -> Result<Watch, Obstacle> {
        let life_s = script.session_s.unwrap_or(LIFE_S);
        let (visitor, login) = stage.attempt(script, label).await?;
        Watch::of(stage, visitor, login, life_s, label, clock_s)
    }

    /// Signs a browser in that was signed in before.
    pub async fn again(stage: &Stage, visitor: Visitor, script: Script, label: &str, clock_s: f64) -> Result<Watch, Obstacle> {
        let life_s = script.session_s.unwrap_or(LIFE_S);
        let _undisturbed = stage.undisturbed().await?;
        let login = visitor.sign_in(stage, script, label).await?;
        Watch::of(stage, visitor, login, life_s, label, clock_s)
    }

    fn of(stage: &Stage, visitor: Visitor, login: Attempt, life_s: i64, label: &str, clock_s: f64) -> Result<Watch, Obstacle> {
        let log = stage.app()?.provider.log();
        let tokens = log.tokens_of(&visitor.id);
        let given =
            tokens.iter().rev().find(|token| token.status == 200 && token.get("grant_type") == Some("authorization_code"));
        let t0 = given.map_or_else(Instant::now, |token| token.at);
        let course = Course { label: label.into(), login, expiry_s: life_s as f64 - clock_s, ..Course::default() };
        Ok(Watch { visitor, t0, course, api: false })
    }

    /// A session that a refresh has renewed at this time.
    pub fn resume(visitor: Visitor, t1: Instant, life_s: i64, clock_s: f64) -> Watch {
        let course = Course { label: "renewed by refresh".into(), expiry_s: life_s as f64 - clock_s, ..Course::default() };
        Watch { visitor, t0: t1, course, api: false }
    }

    /// From now on looks go to the API.
    pub fn by_api(&mut self) {
        self.api = true;
    }

    /// Looks now.
    pub async fn look(&mut self, stage: &Stage, step: &str) -> Result<Option<bool>, Obstacle> {
        let _undisturbed = stage.undisturbed().await?;
        let asked_s = self.t0.elapsed().as_secs_f64();
        let look = if self.api { call(stage, &self.visitor, step).await? } else { self.visitor.look(stage, step).await? };
        let glimpse = Glimpse { asked_s, seen_s: self.t0.elapsed().as_secs_f64(), look };
        let alive = glimpse.alive();
        self.course.looks.push(glimpse);
        self.listen(stage)?;
        Ok(alive)
    }

    /// Looks at this time.
    pub async fn look_at(&mut self, stage: &Stage, at_s: f64, what: &str) -> Result<Option<bool>, Obstacle> {
        stage.wait_until(self.t0 + Duration::from_secs_f64(at_s.max(0.0)), what).await;
        let step = format!("{}, {at_s:.0} s after login", if self.api { "API call" } else { "protected page" });
        self.look(stage, &step).await
    }

    /// Looks again and again from the end that is due until the session is over, or the leeway is. `renewal` ends it as well.
    pub async fn until_ended(&mut self, stage: &Stage, leeway_s: u64, renewal: bool) -> Result<(), Obstacle> {
        if self.course.ended().is_some() {
            return Ok(());
        }
        for after in POLL_S.into_iter().filter(|after| *after < leeway_s) {
            let alive = self.look_at(stage, self.course.expiry_s + after as f64, "a session to end").await?;
            if alive == Some(false) || (renewal && alive == Some(true) && self.course.renewed().is_some()) {
                return Ok(());
            }
        }
        self.at_the_limit(stage, leeway_s).await
    }

    /// Looks again and again from so many seconds before the end that is due: an application that ended one session early is likely to
    /// end the next one as early, and nobody has to wait any longer.
    pub async fn until_early_end(&mut self, stage: &Stage, early_s: i64) -> Result<(), Obstacle> {
        for after in POLL_S.into_iter().map(|after| after as f64).filter(|after| *after < early_s as f64) {
            let at = self.course.expiry_s - early_s as f64 + after;
            if self.look_at(stage, at, "a session to end as early as the one before").await? == Some(false) {
                break;
            }
        }
        Ok(())
    }

    /// Looks once, when the session must be over.
    pub async fn at_the_limit(&mut self, stage: &Stage, leeway_s: u64) -> Result<(), Obstacle> {
        for again in 0..RETRIES {
            let at = self.course.expiry_s + leeway_s as f64 + f64::from(again) * 2.0;
            if self.look_at(stage, at, "a session to be over").await?.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// The browser, and all that was seen of this session.
    pub fn end(mut self, stage: &Stage) -> Result<(Visitor, Course), Obstacle> {
        self.listen(stage)?;
        Ok((self.visitor, self.course))
    }

    /// Takes from the provider's log what belongs to this session.
    fn listen(&mut self, stage: &Stage) -> Result<(), Obstacle> {
        let log = stage.app()?.provider.log();
        let since =
            |at: Instant| at.checked_duration_since(self.t0).map(|since| since.as_secs_f64()).filter(|since| *since > HEARD_S);
        let asked = log.authorizations_of(&self.visitor.id).into_iter().filter_map(|request| {
            Some(Contact { at_s: since(request.at)?, refresh: false, granted: false, exchange: request.exchange.clone() })
        });
        let refreshes =
            log.tokens_of(&self.visitor.id).into_iter().filter(|token| token.get("grant_type") == Some("refresh_token"));
        let refreshed = refreshes.filter_map(|token| {
            let granted = token.status == 200;
            Some(Contact { at_s: since(token.at)?, refresh: true, granted, exchange: token.exchange.clone() })
        });
        let mut contacts: Vec<Contact> = asked.chain(refreshed).collect();
        contacts.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
        self.course.contacts = contacts;
        Ok(())
    }
}

/// Calls the declared API with the browser's cookies. Its marker decides, else a success at the very URL that was asked.
pub async fn call(stage: &Stage, visitor: &Visitor, step: &str) -> Result<Look, Obstacle> {
    let app = stage.app()?;
    let api = app.app.api.clone().unwrap_or_default();
    let landing = visitor.open(stage, &api.url, step).await?;
    let look = Look::at(&landing, app.rule(), app.provider.issuer());
    let answered =
        landing.error.is_none() && !look.at_provider && landing.status == 200 && place(&landing.url) == place(&api.url);
    let signed_in = answered && (api.text.is_empty() || landing.html.contains(&api.text));
    Ok(Look { signed_in, ..look })
}

/// The application's clock minus the suite's, in seconds, by the Date header of the protected page; `None` without one.
pub async fn clock(stage: &Stage) -> Result<Option<f64>, Obstacle> {
    let app = stage.app()?;
    let _undisturbed = stage.undisturbed().await?;
    let visitor = Visitor::new(stage, "clock").await?;
    let now = || jiff::Timestamp::now().as_duration().as_secs_f64();
    let before = now();
    let landing = visitor.open(stage, &app.app.protected_url, "protected page, for its Date").await?;
    let after = now();
    let hop = landing.hops.iter().find(|hop| place(&hop.url) == place(&app.app.protected_url));
    let date = hop.and_then(|hop| jiff::fmt::rfc2822::parse(hop.header("date")?).ok());
    Ok(date.map(|date| {
        let told = date.timestamp().as_second() as f64;
        // Told in whole seconds, at some time during the visit.
        if told > after {
            told - after
        } else if told + 1.0 < before {
            told + 1.0 - before
        } else {
            0.0
        }
    }))
}
