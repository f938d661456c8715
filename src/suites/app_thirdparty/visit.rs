//! Visits of fresh browsers that begin at the application: where they led, and whether they ended in a session.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::counterpart::authorize::{OPEN_HOST, host_of};
use crate::counterpart::provider::{Answer, Script};
use crate::model::ExchangeId;
use crate::stage::Stage;
use crate::stage::browser::{Hop, Landing, Visit};
use crate::stage::oracle::{place, same_origin};
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::Obstacle;
use crate::suites::idp_redirector::confirm;

/// Browsers at a time.
const BROWSERS: usize = 5;
/// How often a page with scripts that has not started a login yet is given more time, and how much.
const PATIENCE: (u32, Duration) = (5, Duration::from_secs(3));

/// What a visit is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A third party starts a login, by GET.
    #[default]
    Get,
    /// The same, by a form that posts itself.
    Post,
    /// With an issuer that is not configured.
    Foreign,
    /// With a `target_link_uri` that leads away.
    Target,
    /// With a `target_link_uri` within the application.
    DeepLink,
    /// With a `login_hint`.
    Hint,
    /// With parameters that nobody knows.
    Unknown,
    /// With `domain_hint` and `tenant`.
    Enterprise,
    /// With the `client_id` of somebody else.
    ClientId,
}

/// A visit to make.
#[derive(Clone, Debug)]
pub struct Trip {
    /// What it is for.
    pub purpose: Purpose,
    /// In a few words.
    pub what: String,
    /// Where it begins.
    pub visit: Visit,
    /// Parameters whose values are compared with those of the authorization request.
    pub compare: Vec<(String, String)>,
    /// URL to which the browser must not be sent; empty for none besides the probes' host.
    pub shunned: String,
}

/// Where it led.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journey {
    /// What it was for.
    pub purpose: Purpose,
    /// What became of the login.
    pub attempt: Attempt,
    /// The authorization request went to the main issuer.
    pub at_main: bool,
    /// The browser was sent to the probes' host.
    pub reached: bool,
    /// The browser was sent to the URL that it must not be sent to.
    pub misled: bool,
    /// Status of the last page before anybody looked at the protected page; 0 for none.
    pub status: u16,
    /// Why there was no page.
    pub error: Option<String>,
    /// That page, without query and fragment.
    pub shown: String,
    /// It is the link within the application that was asked for.
    pub deep: bool,
    /// Parameters that the authorization request has with another value than was given: name and value sent.
    pub altered: Vec<(String, String)>,
    /// Parameters that were given and that it does not have.
    pub dropped: Vec<String>,
    /// Deciding exchanges.
    pub cites: Vec<ExchangeId>,
}

impl Journey {
    /// The login was started by this visit and ended in a session.
    pub fn completed(&self) -> bool {
        self.attempt.answered && self.attempt.signed_in()
    }

    /// Nothing can be concluded: no answer at all, or the application asks to come back later.
    pub fn unclear(&self) -> Option<String> {
        if let Some(error) = self.error.as_ref().filter(|error| self.status == 0 && !error.contains("TOO_MANY_REDIRECTS")) {
            return Some(format!("no answer: {error}"));
        }
        if matches!(self.status, 429 | 503) {
            return Some(format!("the application answered with status {}", self.status));
        }
        self.attempt.look.unreachable.clone()
    }

    /// What happened, in words.
    pub fn describe(&self) -> String {
        if self.attempt.answered {
            return self.attempt.describe();
        }
        format!("no authorization request arrived ({} with status {})", self.shown, self.status)
    }
}

/// Makes these visits, several at a time; in their order.
pub async fn journeys(stage: &Stage, trips: Vec<Trip>) -> Result<Vec<Journey>, Obstacle> {
    let made: Vec<Result<Journey, Obstacle>> =
        futures_util::stream::iter(trips).map(|trip| journey(stage, trip)).buffered(BROWSERS).collect().await;
    made.into_iter().collect()
}

/// Makes one visit in a fresh browser, its first authorization request answered with a code, and looks at the protected page.
pub async fn journey(stage: &Stage, trip: Trip) -> Result<Journey, Obstacle> {
    let app = stage.app()?;
    let _undisturbed = stage.undisturbed().await?;
    let visitor = Visitor::new(stage, &trip.what).await?;
    app.provider.tell(&visitor.id, Script::of(&app.users[0]).answer());
    stage.world.recorder.login_typed();
    let landing = patiently(stage, &visitor, trip.visit, &trip.what).await?;
    app.provider.silence(&visitor.id);
    let look = visitor.look_for_session(stage, &landing, &trip.what).await?;
    let looked_at_probe = host_of(&look.place).is_some_and(|host| host == OPEN_HOST);
    let attempt = visitor.outcome(app, &trip.what, 0, look, &landing);
    let log = app.provider.log();
    let request = log.authorizations_of(&visitor.id).first().copied().filter(|_| attempt.answered);
    let mut journey = Journey {
        purpose: trip.purpose,
        at_main: request.is_some_and(|request| request.issuer == 0),
        reached: sent_away(&landing, app.provider.issuer()) || looked_at_probe,
        misled: leads_to(&landing, &trip.shunned),
        status: landing.status,
        error: landing.error.clone(),
        shown: place(&landing.url),
        deep: landing.url.contains(super::DEEP),
        cites: landing.hops.iter().map(|hop| hop.exchange.clone()).take(3).collect(),
        ..Journey::default()
    };
    journey.cites.extend(attempt.cites.iter().cloned());
    journey.attempt = attempt;
    for (name, value) in trip.compare.iter().filter(|_| request.is_some()) {
        match request.and_then(|request| request.get(name)) {
            Some(sent) if sent == value => {}
            Some(sent) => journey.altered.push((name.clone(), sent.to_owned())),
            None => journey.dropped.push(name.clone()),
        }
    }
    Ok(journey)
}

/// Goes there; where no authorization request arrives, confirms what a page asks to be confirmed, and gives scripts time.
async fn patiently(stage: &Stage, visitor: &Visitor, visit: Visit, step: &str) -> Result<Landing, Obstacle> {
    let app = stage.app()?;
    app.provider.step(&visitor.id, step);
    let started = || !app.provider.log().authorizations_of(&visitor.id).is_empty();
    let mut page = visitor.page().await?;
    let mut landing = page.go(visit, step).await?;
    app.note_cookies(&visitor.id, &landing);
    let scripted = stage.world.agent.scripts() && landing.html.contains("<script");
    if let Some(button) = confirm(&landing).filter(|_| !started()) {
        let hops = std::mem::take(&mut landing.hops);
        landing = page.act(&[crate::stage::browser::Act::Click { at: button }], &format!("{step}: confirm")).await?;
        app.note_cookies(&visitor.id, &landing);
        landing.hops.splice(0..0, hops);
    }
    let (times, pause) = PATIENCE;
    for _ in 0..times {
        if !scripted || started() || landing.arrival.is_some() || landing.status >= 400 {
            break;
        }
        stage.wait_until(Instant::now() + pause, "a script of the application that starts the login").await;
        let hops = std::mem::take(&mut landing.hops);
        landing = page.look().await?;
        landing.hops = hops;
    }
    Ok(landing)
}

/// Holds the browser's authorization request open, and answers the response that the provider would have sent.
pub async fn held_response(stage: &Stage, visitor: &Visitor, step: &str) -> Result<Option<String>, Obstacle> {
    let app = stage.app()?;
    app.provider.tell(&visitor.id, Answer::Hold);
    visitor.open(stage, app.app.start(), step).await?;
    let first = || app.provider.log().authorizations_of(&visitor.id).first().copied().cloned();
    let mut held = first();
    if held.is_none() {
        // By the declared steps, or the button that leads on.
        visitor.start(stage, Answer::Hold, step).await?;
        held = first();
    }
    Ok(held.and_then(|request| app.provider.response(&request, Script::of(&app.users[0]))))
}

/// Was the browser sent to the probes' host by the application? A provider that follows any redirect URI does not count.
pub fn sent_away(landing: &Landing, issuer: &str) -> bool {
    let open = |url: &str| host_of(url).is_some_and(|host| host == OPEN_HOST);
    let mut leading = landing.hops.iter().filter(|hop| hop.location().is_some_and(|url| open(&url)));
    if let Some(first) = leading.next() {
        return !same_origin(&first.url, issuer);
    }
    landing.arrival.as_ref().is_some_and(|arrival| open(&arrival.url)) || landing.hops.iter().any(|hop| open(&hop.url))
}

/// Was the browser sent to this URL, or to one below it?
fn leads_to(landing: &Landing, shunned: &str) -> bool {
    let below = |url: &str| same_origin(url, shunned) && url.starts_with(shunned);
    let sent = |hop: &Hop| below(&hop.url) || hop.location().is_some_and(|location| below(&location));
    !shunned.is_empty() && landing.hops.iter().any(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(url: &str, location: &str) -> Hop {
        Hop { url: url.into(), status: 302, headers: vec![("location".into(), location.into())], ..Hop::default() }
    }

    #[test]
    fn being_sent_away_by_the_application_counts_and_by_the_provider_does_not() {
        let open = format!("https://{OPEN_HOST}/open");
        let by = |url: &str| Landing { hops: vec![hop(url, &open)], ..Landing::default() };
        assert!(sent_away(&by("https://app.test/cb"), "https://op.test"));
        assert!(!sent_away(&by("https://op.test/sign-in"), "https://op.test"));
        assert!(!sent_away(
            &Landing { hops: vec![hop("https://app.test/cb", "/home")], ..Landing::default() },
            "https://op.test"
        ));
    }

    #[test]
    fn the_issuer_in_a_query_is_no_visit_there() {
        let landing =
            Landing { hops: vec![hop("https://app.test/initiate?iss=https://evil.test", "/login")], ..Landing::default() };
        assert!(!leads_to(&landing, "https://evil.test"));
        let landing =
            Landing { hops: vec![hop("https://app.test/initiate", "https://evil.test/authorize")], ..Landing::default() };
        assert!(leads_to(&landing, "https://evil.test") && !leads_to(&landing, ""));
    }
}
