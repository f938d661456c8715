//! app-discovery: metadata that name another issuer than the one they were fetched for.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::counterpart::provider::{Answer, Fetched, Provider, Script};
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::stage::fed::Message;
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::blocks::NO_CONTROL;

/// The hook that makes the application read the metadata again.
const RELOAD: &str = "reload-metadata";

/// Lets the metadata of an issuer name another one.
pub struct Discovery;

/// What it led to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The hook `reload-metadata` is configured.
    pub hook: bool,
    /// Logins at this issuer before and after succeeded, and the hook did while the metadata were right.
    pub held: bool,
    /// What was pretended.
    pub mismatches: Vec<Mismatch>,
}

/// Metadata with another issuer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mismatch {
    /// What they say as `issuer`.
    pub what: String,
    /// They differ by a slash at the end only.
    pub minor: bool,
    /// What the hook answered; `None` where there is none.
    pub reloaded: Option<bool>,
    /// The application fetched them.
    pub fetched: bool,
    /// A login in which the provider speaks as the issuer that the application is configured with.
    pub plain: Login,
    /// A login in which response and ID token name the same issuer as the metadata.
    pub alike: Login,
    /// Fetches and hook.
    pub cites: Vec<ExchangeId>,
}

/// A login while the metadata name another issuer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Login {
    /// What became of it.
    pub attempt: Attempt,
    /// Its authorization request came to the endpoint that only these metadata name.
    pub used: bool,
}

/// Puts the metadata right again, however the scenario ends.
struct Truth<'a>(&'a Provider, usize);

impl Drop for Truth<'_> {
    fn drop(&mut self) {
        self.0.pretend(self.1, None);
    }
}

/// The connection whose metadata change: the second one, else the only one.
struct Connection {
    which: usize,
    start: String,
    issuer: String,
    other: String,
}

impl Scenario for Discovery {
    type Seen = Seen;
    const ID: &'static str = "app-discovery";
    const TITLE: &'static str = "lets the metadata of an issuer name another issuer, and starts logins";
    // The hook may restart the application, which ends the sessions that other scenarios look at. Those of app-session are waited for
    // only where there is the hook.
    const AFTER: &'static [&'static str] = &["*", "-app-session"];
    const CHECKS: &'static [Check<Seen>] = &[Check::new("sl1.app.discovery-issuer-mismatch", a_mismatching_issuer_is_refused)];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let app = stage.app()?;
        let (main, second) = (app.provider.issuer().to_owned(), app.provider.second_issuer());
        let connection = match &app.app.second {
            Some(known) => Connection { which: 1, start: known.start_url.clone(), issuer: second, other: main },
            None => Connection { which: 0, start: app.app.start().to_owned(), issuer: main, other: second },
        };
        let mut seen = Seen { hook: stage.world.target.hooks.contains_key(RELOAD), ..Seen::default() };
        let _no_sessions = if seen.hook { Some(app.sessions.write().await) } else { None };
        let before = control(stage, &connection).await?;
        let reloads = {
            let _undisturbed = stage.undisturbed().await?;
            reload(stage).await?.is_none_or(|(done, _)| done)
        };
        let undo = seen.hook.then(|| stage.undo_later(RELOAD, &[]));
        seen.mismatches.push(mismatch(stage, &connection, &connection.other, false).await?);
        seen.mismatches.push(mismatch(stage, &connection, &format!("{}/", connection.issuer), true).await?);
        if let Some(undo) = undo {
            let _undisturbed = stage.undisturbed().await?;
            stage.undo_now(undo).await;
        }
        seen.held = before & control(stage, &connection).await? & reloads;
        Ok(seen)
    }
}

/// Calls the hook, where there is one: did it succeed, and the exchange.
async fn reload(stage: &Stage) -> Result<Option<(bool, ExchangeId)>, Obstacle> {
    if !stage.world.target.hooks.contains_key(RELOAD) {
        return Ok(None);
    }
    let answer = stage.hook(RELOAD, &[]).await?;
    Ok(Some((answer.done, answer.exchange)))
}

async fn control(stage: &Stage, connection: &Connection) -> Result<bool, Obstacle> {
    let _undisturbed = stage.undisturbed().await?;
    let login = login(stage, connection, None, "control: login with the right metadata").await?;
    Ok(stage.control(login.attempt.signed_in()))
}

async fn mismatch(stage: &Stage, connection: &Connection, issuer: &str, minor: bool) -> Result<Mismatch, Obstacle> {
    let provider = &stage.app()?.provider;
    let _alone = provider.exclusive().await;
    let known = provider.log().fetches.len();
    let _truth = Truth(provider, connection.which);
    provider.pretend(connection.which, Some(issuer.to_owned()));
    let hook = reload(stage).await?;
    let what = if minor { "the metadata name the issuer with a slash at its end" } else { "the metadata name another issuer" };
    let plain = login(stage, connection, None, what).await?;
    let alike = login(stage, connection, Some(issuer), &format!("{what}, response and ID token name it as well")).await?;
    let log = provider.log();
    let fetches = log.fetches.iter().skip(known).filter(|fetch| fetch.what == Fetched::Metadata(connection.which));
    let cites: Vec<ExchangeId> =
        fetches.map(|fetch| fetch.exchange.clone()).chain(hook.iter().map(|(_, exchange)| exchange.clone())).collect();
    let fetched = cites.len() > usize::from(hook.is_some());
    Ok(Mismatch { what: what.to_owned(), minor, reloaded: hook.map(|(done, _)| done), fetched, plain, alike, cites })
}

/// A login of the main user in a fresh browser; `issuer` is what the provider calls itself in it.
async fn login(stage: &Stage, connection: &Connection, issuer: Option<&str>, step: &str) -> Result<Login, Obstacle> {
    let app = stage.app()?;
    let visitor = Visitor::new(stage, step).await?;
    let script = Script::of(&app.users[0]);
    stage.world.recorder.login_typed();
    let landing = match issuer {
        None => {
            app.provider.tell(&visitor.id, script.answer());
            visitor.open(stage, &connection.start, step).await?
        }
        Some(issuer) => {
            app.provider.tell(&visitor.id, Answer::Hold);
            let landing = visitor.open(stage, &connection.start, step).await?;
            let held = app.provider.log().authorizations_of(&visitor.id).first().copied().cloned();
            let response = held.and_then(|request| {
                let url = app.provider.response(&request, script.claim("iss", issuer))?;
                Some(Message::response(&request, &named(&url, issuer)))
            });
            match response {
                Some(message) => visitor.go(stage, message.visit, step).await?,
                None => landing,
            }
        }
    };
    app.provider.silence(&visitor.id);
    let look = visitor.look_for_session(stage, &landing, step).await?;
    let mut attempt = visitor.outcome(app, step, 0, look, &landing);
    // The held request was answered by hand.
    attempt.answered |= issuer.is_some() && attempt.requests > 0;
    let log = app.provider.log();
    let used = log.authorizations_of(&visitor.id).first().is_some_and(|request| request.pretended);
    Ok(Login { attempt, used })
}

/// The authorization response with this `iss`.
fn named(response: &str, issuer: &str) -> String {
    let Ok(mut url) = Url::parse(response) else { return response.to_owned() };
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .map(
            |(name, value)| {
                if name == "iss" { (name.into_owned(), issuer.to_owned()) } else { (name.into_owned(), value.into_owned()) }
            },
        )
        .collect();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url.into()
}

fn a_mismatching_issuer_is_refused(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    for mismatch in &seen.mismatches {
        let Mismatch { what, plain, alike, .. } = mismatch;
        let through = [plain, alike].into_iter().find(|login| login.attempt.signed_in() && login.used);
        if let Some(login) = through {
            let cites: Vec<ExchangeId> = mismatch.cites.iter().chain(&login.attempt.cites).cloned().collect();
            let how = "a login at the endpoint they name succeeded";
            match mismatch.minor {
                true => found
                    .doubtful(format!("{what}, and {how}: OpenID Connect Discovery 4.3 asks for the identical value"), &cites),
                false => found.broken(format!("{what}, and {how}"), &cites),
            }
        } else if !seen.held {
            found.undecided(format!("{what}: {NO_CONTROL}"), &mismatch.cites);
        } else if mismatch.minor && !mismatch.fetched {
            found.saw(&mismatch.cites);
        } else if mismatch.reloaded == Some(false) || mismatch.fetched {
            found.saw(&mismatch.cites);
            found.saw(&alike.attempt.cites);
        } else if seen.hook {
            found.undecided(format!("{what}: hooks.{RELOAD} succeeded, and the application did not fetch them"), &mismatch.cites);
        } else {
            found.undecided(
                format!("{what}: the application did not fetch them again; configure hooks.{RELOAD}"),
                &plain.attempt.cites,
            );
        }
    }
    if seen.mismatches.is_empty() {
        return Judgement::undecided("nothing was tried");
    }
    let refusal = seen.mismatches.iter().find(|mismatch| !mismatch.minor).map(|mismatch| match mismatch.reloaded {
        Some(false) => "the application refused them when it read them",
        _ if mismatch.plain.attempt.signed_in() => "the application went on with the metadata it had",
        _ if mismatch.plain.attempt.requests == 0 => "the application read them and started no login",
        _ => "the application read them and the login was refused",
    });
    found.conclude(format!("metadata that name another issuer are not used: {}", refusal.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::stage::oracle::Look;

    fn login(signed_in: bool, used: bool) -> Login {
        let look = Look { signed_in, ..Look::default() };
        Login { attempt: Attempt { requests: 1, answered: true, look, ..Attempt::default() }, used }
    }

    fn seen(reloaded: Option<bool>, fetched: bool, plain: Login, alike: Login) -> Seen {
        let other = Mismatch { what: "other".into(), reloaded, fetched, plain, alike, ..Mismatch::default() };
        Seen { hook: reloaded.is_some(), held: true, mismatches: vec![other] }
    }

    #[test]
    fn a_session_through_the_mismatching_metadata_is_the_finding() {
        let judge = |seen: &Seen| a_mismatching_issuer_is_refused(seen).call;
        let (refused, through) = (login(false, false), login(true, true));
        assert_eq!(judge(&seen(None, true, through.clone(), refused.clone())), Call::Broken);
        assert_eq!(judge(&seen(Some(true), true, refused.clone(), through.clone())), Call::Broken);
        assert_eq!(judge(&seen(Some(false), true, refused.clone(), refused.clone())), Call::Pass);
        assert_eq!(judge(&seen(None, true, refused.clone(), refused.clone())), Call::Pass);
    }

    #[test]
    fn going_on_with_the_metadata_it_had_is_no_finding() {
        let kept = seen(Some(true), true, login(true, false), login(false, false));
        assert_eq!(a_mismatching_issuer_is_refused(&kept).call, Call::Pass);
    }

    #[test]
    fn metadata_that_nobody_fetched_decide_nothing_and_neither_does_a_failed_control() {
        let refused = login(false, false);
        assert_eq!(
            a_mismatching_issuer_is_refused(&seen(None, false, login(true, false), refused.clone())).call,
            Call::Undecided
        );
        let lost = Seen { held: false, ..seen(Some(false), true, refused.clone(), refused) };
        assert_eq!(a_mismatching_issuer_is_refused(&lost).call, Call::Undecided);
        assert_eq!(a_mismatching_issuer_is_refused(&Seen::default()).call, Call::Undecided);
    }

    #[test]
    fn a_slash_at_the_end_is_doubtful() {
        let mut with_slash = seen(None, true, login(false, false), login(false, false));
        with_slash.mismatches.push(Mismatch { minor: true, fetched: true, plain: login(true, true), ..Mismatch::default() });
        assert_eq!(a_mismatching_issuer_is_refused(&with_slash).call, Call::Doubtful);
    }

    #[test]
    fn the_response_names_the_pretended_issuer() {
        assert_eq!(named("https://app/cb?code=1&iss=a&state=2", "b"), "https://app/cb?code=1&iss=b&state=2");
    }
}
