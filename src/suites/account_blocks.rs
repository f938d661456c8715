//! What the suites share that look at accounts in a browser: users who can sign in, sessions that are watched, pages that are read.

use std::time::{Duration, Instant};

use scraper::Selector;
use serde::{Deserialize, Serialize};

use super::scim_blocks::{self, Subject};
use crate::counterpart::provider;
use crate::model::ExchangeId;
use crate::model::target::Shown;
use crate::model::verdict::Findings;
use crate::stage::browser::Landing;
use crate::stage::oracle::{Look, loops, same_origin};
use crate::stage::visitor::{Attempt, Visitor};
use crate::stage::{Stage, html};
use crate::suite::Obstacle;

/// Seconds within which what provisioning does must show.
pub const EFFECT_S: u64 = 300;

/// A user of SCIM to work on, and who that is at the suite's provider.
///
/// # Errors
/// There is no user, or none of whom the target file says how it signs in.
pub async fn by_scim(stage: &Stage, label: &str, disposable: bool) -> Result<(Subject, provider::Subject), Obstacle> {
    let user = scim_blocks::subject(stage, label, disposable).await?;
    let (scim, tenant) = (&stage.scim()?.scim, &stage.app()?.app.tenant);
    if user.made {
        let person = stage.scim()?.person(label).subject(scim.link, tenant);
        return Ok((user, person));
    }
    let named = scim.users.iter().find(|named| named.user_name == user.user_name && !named.sub.is_empty());
    let Some(named) = named else {
        return Err(Obstacle::config(
            format!("scim.users: `sub` of {} is not configured", user.user_name),
            "Say with which `sub` that user signs in, or let the run create users.",
        ));
    };
    let person = provider::Subject {
        sub: named.sub.clone(),
        email: named.user_name.clone(),
        email_verified: true,
        name: user.found.text_at("/displayName").to_owned(),
        tenant: tenant.clone(),
    };
    Ok((user, person))
}

/// Between two looks for an effect: often at a reference peer, seldom at a real application.
pub fn pause(stage: &Stage) -> Duration {
    Duration::from_secs(if stage.world.embedded { 1 } else { 5 })
}

/// Milliseconds since then.
pub fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Does the session live? `None` where the page does not say.
pub fn alive(look: &Look) -> Option<bool> {
    if look.signed_in {
        return Some(true);
    }
    (look.unreachable.is_none() && look.status < 500 && look.status != 429).then_some(false)
}

/// A sign-in that had to work: did it?
pub fn signed_in(found: &mut Findings, who: &str, attempt: &Attempt) -> bool {
    if attempt.signed_in() {
        found.saw(&attempt.cites);
    } else {
        found.undecided(format!("{who}: {}", attempt.describe()), &attempt.cites);
    }
    attempt.signed_in()
}

/// A session that was looked at until it was over, or too long.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Watched {
    /// The last look.
    pub look: Look,
    /// Milliseconds from the beginning of the watch to that look.
    pub after_ms: u64,
}

/// Looks whether there is a session; a page that scripts complete is given time before it counts as one without.
///
/// # Errors
/// The browser failed.
pub async fn look(stage: &Stage, visitor: &Visitor, step: &str) -> Result<Look, Obstacle> {
    if !stage.world.agent.scripts() {
        return visitor.look(stage, step).await;
    }
    let shown = visitor.open(stage, &stage.app()?.app.protected_url, step).await?;
    visitor.look_for_session(stage, &shown, step).await
}

/// Looks until the page shows no session, at least once and at most so long after `since`.
///
/// # Errors
/// The browser failed.
pub async fn watch(stage: &Stage, visitor: &Visitor, since: Instant, limit: Duration, step: &str) -> Result<Watched, Obstacle> {
    loop {
        let asked = Instant::now();
        let look = look(stage, visitor, step).await?;
        let watched = Watched { look, after_ms: u64::try_from((asked - since).as_millis()).unwrap_or(u64::MAX) };
        if alive(&watched.look) == Some(false) || asked >= since + limit {
            return Ok(watched);
        }
        stage.wait_until(asked + pause(stage), "a session to end").await;
    }
}

/// What a page shows to the signed-in user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Texts {
    /// The text of every element that the selector matches, trimmed, in the order of the document.
    pub texts: Vec<String>,
    /// The page came, and it is the application's.
    pub readable: bool,
    /// Status and place of a page that is not readable.
    pub fault: String,
    /// The visit.
    pub cites: Vec<ExchangeId>,
}

impl Texts {
    /// What a landing shows. An empty list of a page that came is an answer.
    pub fn at(landing: &Landing, selector: &str, issuer: &str) -> Texts {
        let lost = landing.error.clone().filter(|error| !loops(error));
        let readable = lost.is_none() && landing.status == 200 && !same_origin(&landing.url, issuer);
        let fault = lost.unwrap_or_else(|| format!("status {} at {}", landing.status, crate::stage::oracle::place(&landing.url)));
        Texts {
            texts: if readable { matched(&landing.html, selector) } else { Vec::new() },
            readable,
            fault: if readable { String::new() } else { fault },
            cites: landing.hops.last().map(|hop| hop.exchange.clone()).into_iter().collect(),
        }
    }

    /// One of the texts, or one part of a list in a text, is one of these words, in any letter case.
    pub fn has(&self, words: &[&str]) -> bool {
        let is = |text: &str| words.iter().any(|word| !word.is_empty() && text.eq_ignore_ascii_case(word));
        self.texts.iter().any(|text| is(text) || parts(text).any(is))
    }

    /// What is shown besides what is `known`. A page may show a list in one element: a text that is not known as a whole counts by its
    /// parts.
    pub fn besides(&self, known: impl Fn(&str) -> bool) -> Vec<&str> {
        let unknown = self.texts.iter().filter(|text| !known(text));
        unknown.flat_map(|text| parts(text)).filter(|part| !known(part)).collect()
    }

    /// In words.
    pub fn describe(&self) -> String {
        match (self.readable, self.texts.as_slice()) {
            (false, _) => format!("the page could not be read ({})", self.fault),
            (true, []) => "the page shows none: nothing matches the selector".to_owned(),
            (true, texts) => format!("the page shows {}", texts.join(", ")),
        }
    }
}

/// The parts of a list in one text.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';', '\n']).map(str::trim).filter(|part| !part.is_empty())
}

/// The text of every element that matches; a wrong selector matches nothing.
fn matched(text: &str, selector: &str) -> Vec<String> {
    let Ok(selector) = Selector::parse(selector) else { return Vec::new() };
    let document = html::parse(text);
    document.select(&selector).map(|element| element.text().collect::<String>().trim().to_owned()).collect()
}

/// Reads what a page shows in this browser.
///
/// # Errors
/// The browser failed.
pub async fn read_page(stage: &Stage, visitor: &Visitor, shown: &Shown, step: &str) -> Result<Texts, Obstacle> {
    let app = stage.app()?;
    let url = if shown.url.is_empty() { &app.app.protected_url } else { &shown.url };
    let landing = visitor.open(stage, url, step).await?;
    Ok(Texts::at(&landing, &shown.selector, app.provider.issuer()))
}

/// A name of `accounts`, or that it is missing.
///
/// # Errors
/// It is missing.
pub fn declared<'a, T>(value: Option<&'a T>, key: &str) -> Result<&'a T, Obstacle> {
    value.ok_or_else(|| Obstacle::config(format!("{key} is not configured"), "See the target file's table [accounts]."))
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// A sign-in that worked.
    pub fn entered() -> Attempt {
        let look = Look { signed_in: true, status: 200, ..Look::default() };
        Attempt { requests: 1, answered: true, redeemed: true, look, ..Attempt::default() }
    }

    /// A sign-in that was refused.
    pub fn refused() -> Attempt {
        let look = Look { status: 403, ..Look::default() };
        Attempt { look, ..entered() }
    }

    /// A page that shows this.
    pub fn page(texts: &[&str]) -> Texts {
        Texts { texts: texts.iter().map(|text| (*text).to_owned()).collect(), readable: true, ..Texts::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_match_counts_and_a_page_of_the_provider_says_nothing() {
        let html = "<ul id=r><li class=role> Editor </li><li class=role>Auditor</li></ul>";
        let page = |url: &str, status| Landing { url: url.into(), status, html: html.into(), ..Landing::default() };
        let texts = Texts::at(&page("https://app.test/", 200), "#r .role", "https://op.test");
        assert_eq!(texts.texts, ["Editor", "Auditor"]);
        assert!(texts.has(&["editor"]) && !texts.has(&["edit", ""]));
        let list = samples::page(&["viewer, Editor", "Sales, EMEA"]);
        assert!(list.has(&["editor"]) && list.has(&["Sales, EMEA"]) && !list.has(&["viewer, "]));
        assert_eq!(list.besides(|text| ["viewer", "Sales, EMEA"].contains(&text)), ["Editor"]);
        assert!(!Texts::at(&page("https://op.test/x", 200), "#r .role", "https://op.test").readable);
        assert!(!Texts::at(&page("https://app.test/", 403), "#r .role", "https://op.test").readable);
        assert!(Texts::at(&page("https://app.test/", 200), "#none", "https://op.test").readable);
    }

    #[test]
    fn a_page_that_fails_does_not_say_that_a_session_is_over() {
        let look = |status| Look { status, ..Look::default() };
        assert_eq!(alive(&look(403)), Some(false));
        assert_eq!(alive(&look(500)), None);
        assert_eq!(alive(&look(429)), None);
        assert_eq!(alive(&Look { signed_in: true, ..look(200) }), Some(true));
    }
}
