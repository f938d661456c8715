//! app-thirdparty/redirector: does the application send users wherever a parameter says?

mod forge;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use forge::{FORGERIES, forged};

use super::visit::{held_response, sent_away};
use super::{DEEP, away, with};
use crate::counterpart::authorize::{OPEN_HOST, host_of};
use crate::counterpart::provider::Script;
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::stage::browser::{Act, Landing};
use crate::stage::visitor::Visitor;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::blocks::NO_CONTROL;
use crate::suites::idp_redirector::confirm;

/// Names that parameters for the page to go to afterwards usually have. Not `redirect_uri`: that belongs to the protocol.
const NAMES: [&str; 28] = [
    "returnTo",
    "return_to",
    "returnUrl",
    "return_url",
    "return",
    "next",
    "redirect",
    "redirect_to",
    "redirectTo",
    "redirectUrl",
    "redirect_url",
    "redir",
    "rd",
    "RelayState",
    "target_link_uri",
    "target",
    "targetUrl",
    "continue",
    "url",
    "goto",
    "dest",
    "destination",
    "callbackUrl",
    "back",
    "from",
    "state",
    "success",
    "service",
];
/// Browsers at a time.
const BROWSERS: usize = 5;
/// More names than these that the application refuses one by one say that it refuses what it does not know.
const PICKY: usize = 4;

/// Tries to be forwarded elsewhere.
pub struct Redirector;

/// What became of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Logins before and after succeeded.
    pub held: bool,
    /// Parameters that name a page are known: declared, defined by the protocol, or seen to work.
    pub known: bool,
    /// Names tried.
    pub names: Vec<String>,
    /// Attempts.
    pub tries: Vec<Try>,
}

/// Where a parameter is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// The start URL.
    #[default]
    Start,
    /// The initiation endpoint.
    Initiation,
    /// The redirect URI, beside a good response.
    Callback,
    /// The logout URL, signed in.
    Logout,
    /// The `state` of the response, altered.
    State,
}

impl At {
    fn title(self) -> &'static str {
        match self {
            At::Start => "start URL",
            At::Initiation => "initiation endpoint",
            At::Callback => "redirect URI",
            At::Logout => "logout URL",
            At::State => "state of the response",
        }
    }
}

/// One attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// Where.
    pub at: At,
    /// The parameters, all with the same value.
    pub names: Vec<String>,
    /// The value.
    pub value: String,
    /// The application went on as without them.
    pub accepted: bool,
    /// The browser was sent to the probes' host.
    pub reached: bool,
    /// The browser ended at the link within the application that was the value.
    pub followed: bool,
    /// There was no answer.
    pub unclear: Option<String>,
    /// Exchanges.
    pub cites: Vec<ExchangeId>,
}

impl At {
    /// The names to try there. `target_link_uri` at the initiation endpoint has a clause of its own, and `state` beside a response is its own.
    fn names(self, all: &[String]) -> Vec<String> {
        let own = match self {
            At::Initiation => "target_link_uri",
            At::Callback => "state",
            _ => "",
        };
        all.iter().filter(|name| *name != own).cloned().collect()
    }
}

impl Try {
    fn of(at: At, names: &[String], value: &str) -> Self {
        Try { at, names: names.to_vec(), value: value.to_owned(), ..Try::default() }
    }

    fn describe(&self) -> String {
        format!("{}: {} = {}", self.at.title(), self.names.join(", "), self.value)
    }
}

impl Scenario for Redirector {
    type Seen = Seen;
    const ID: &'static str = "app-thirdparty/redirector";
    const TITLE: &'static str = "asks login, callback and logout URLs to forward elsewhere";
    const CHECKS: &'static [Check<Seen>] = &[Check::new("sl1.app.no-open-redirector", nothing_forwards_elsewhere)];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let app = &stage.app()?.app;
        let usual = NAMES.map(str::to_owned).into_iter().filter(|name| !app.return_parameters.contains(name));
        let names: Vec<String> = app.return_parameters.iter().cloned().chain(usual).collect();
        let before = stage.login_control("control: conforming login").await?.signed_in();
        let deep = with(&app.protected_url, &[(DEEP, "1")]);
        let within = tried(stage, vec![Try::of(At::Start, &names, &deep)]).await?;
        let declared = !app.return_parameters.is_empty() || !app.initiate_login_uri.is_empty();
        let mut seen = Seen { known: declared || within.iter().any(|one| one.followed), names, ..Seen::default() };
        let mut places = vec![At::Start];
        places.extend((!app.initiate_login_uri.is_empty()).then_some(At::Initiation));
        places.extend((!app.logout_url.is_empty()).then_some(At::Logout));
        let [first, others @ ..] = away();
        let mut singled: BTreeSet<(At, String)> = BTreeSet::new();
        // All names at once; what the application refuses or follows is halved until the parameter is found.
        let mut left: Vec<Try> = places.iter().map(|at| Try::of(*at, &at.names(&seen.names), &first)).collect();
        while !left.is_empty() {
            let mut halves = Vec::new();
            for one in tried(stage, std::mem::take(&mut left)).await? {
                let halved = (one.reached || !one.accepted) && one.unclear.is_none();
                match one.names.as_slice() {
                    [name] if halved => drop(singled.insert((one.at, name.clone()))),
                    names if halved => {
                        let (a, b) = names.split_at(names.len() / 2);
                        halves.extend([Try::of(one.at, a, &first), Try::of(one.at, b, &first)]);
                    }
                    _ => {}
                }
                seen.tries.push(one);
            }
            left = halves;
        }
        let mut more = Vec::new();
        for value in &others {
            for at in &places {
                let alone: Vec<&String> = singled.iter().filter(|(place, _)| place == at).map(|(_, name)| name).collect();
                let rest: Vec<String> = at.names(&seen.names).into_iter().filter(|name| !alone.contains(&name)).collect();
                more.extend((!rest.is_empty()).then(|| Try::of(*at, &rest, value)));
                let picky = alone.len() > PICKY;
                let alone =
                    alone.into_iter().filter(|name| !picky || app.return_parameters.contains(name) || *name == "returnTo");
                more.extend(alone.map(|name| Try::of(*at, std::slice::from_ref(name), value)));
            }
        }
        let beside = At::Callback.names(&seen.names);
        more.extend(away().iter().take(2).map(|value| Try::of(At::Callback, &beside, value)));
        more.extend((0..FORGERIES).map(|which| Try::of(At::State, &[which.to_string()], &first)));
        seen.tries.extend(tried(stage, more).await?.into_iter().filter(|one| !one.names.is_empty()));
        seen.held = before & stage.login_control("control: conforming login").await?.signed_in();
        Ok(seen)
    }
}

/// Makes these attempts, each in a fresh browser, several at a time.
async fn tried(stage: &Stage, tries: Vec<Try>) -> Result<Vec<Try>, Obstacle> {
    let made: Vec<Result<Try, Obstacle>> =
        futures_util::stream::iter(tries).map(|one| attempt(stage, one)).buffered(BROWSERS).collect().await;
    made.into_iter().collect()
}

async fn attempt(stage: &Stage, mut one: Try) -> Result<Try, Obstacle> {
    let app = stage.app()?;
    let what = one.describe();
    let params: Vec<(&str, &str)> = one.names.iter().map(|name| (name.as_str(), one.value.as_str())).collect();
    let _undisturbed = stage.undisturbed().await?;
    let visitor = Visitor::new(stage, &what).await?;
    let script = || Script::of(&app.users[0]).answer();
    stage.world.recorder.login_typed();
    let url = match one.at {
        At::Start => with(app.app.start(), &params),
        At::Initiation => with(&with(&app.app.initiate_login_uri, &[("iss", app.provider.issuer())]), &params),
        At::Logout => {
            visitor.sign_in(stage, Script::of(&app.users[0]), "login before the logout").await?;
            with(&app.app.logout_url, &params)
        }
        At::Callback | At::State => {
            let response = held_response(stage, &visitor, "authorization request, left open").await?;
            let url = match (response, one.at) {
                (Some(url), At::Callback) => Some(with(&url, &params)),
                (Some(url), _) => {
                    one.names.first().and_then(|which| which.parse().ok()).and_then(|which| forged(&url, which, &one.value))
                }
                (None, _) => None,
            };
            match url {
                Some(url) => url,
                // This state cannot be forged in this way, or no request arrived, which the controls tell.
                None => return Ok(Try { names: Vec::new(), ..one }),
            }
        }
    };
    app.provider.step(&visitor.id, &what);
    // As at every login: by the declared steps, or the button that leads on.
    let led = one.at == At::Start && (!app.app.login.steps.is_empty() || app.way().is_some());
    let mut page = visitor.page().await?;
    let mut landing = if led {
        visitor.start_at(stage, &url, script(), &what).await?
    } else {
        if matches!(one.at, At::Start | At::Initiation) {
            app.provider.tell(&visitor.id, script());
        }
        page.go(crate::stage::browser::Visit::Get(url), &what).await?
    };
    let requests =
        || app.provider.log().authorizations_of(&visitor.id).iter().filter(|request| request.answered == "code").count();
    let waits = match one.at {
        At::Logout => true,
        _ => requests() == 0 && !led,
    };
    if let Some(button) = confirm(&landing).filter(|_| waits && !matches!(one.at, At::Callback | At::State)) {
        let hops = std::mem::take(&mut landing.hops);
        landing = page.act(&[Act::Click { at: button }], &format!("{what}: confirm")).await?;
        landing.hops.splice(0..0, hops);
    }
    app.note_cookies(&visitor.id, &landing);
    app.provider.silence(&visitor.id);
    one.accepted = match one.at {
        At::Start | At::Initiation => requests() > 0,
        At::Logout => landing.error.is_none() && landing.status < 400,
        At::Callback | At::State => true,
    };
    // A page may forward later, from what it has kept.
    let shown = visitor.open(stage, &app.app.protected_url, &what).await?;
    let issuer = app.provider.issuer();
    one.reached = sent_away(&landing, issuer) || sent_away(&shown, issuer);
    one.followed = landing.url.contains(DEEP) && host_of(&landing.url) == host_of(&app.app.protected_url);
    one.unclear = no_answer(&landing);
    one.cites = landing.hops.iter().map(|hop| hop.exchange.clone()).collect();
    if one.at == At::State {
        one.names = vec!["the URL".into()];
    }
    Ok(one)
}

/// Nothing can be concluded: no answer at all, or the application asks to come back later. The browser itself refuses to follow
/// redirects that are no web addresses; that is an answer.
fn no_answer(landing: &Landing) -> Option<String> {
    let redirected = landing.hops.last().is_some_and(|hop| (300..400).contains(&hop.status));
    let dead = landing.error.as_ref().filter(|error| landing.status == 0 && !redirected && !error.contains("TOO_MANY_REDIRECTS"));
    let busy = matches!(landing.status, 429 | 503).then(|| format!("status {}", landing.status));
    dead.cloned().or(busy)
}

fn nothing_forwards_elsewhere(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    for one in &seen.tries {
        // Of several attempts that were forwarded, the one with the fewest parameters says it best.
        let better =
            |other: &Try| other.reached && other.at == one.at && other.value == one.value && other.names.len() < one.names.len();
        let what = one.describe();
        if one.reached {
            if !seen.tries.iter().any(better) {
                found.broken(format!("{what}: the browser was sent to https://{OPEN_HOST}/open"), &one.cites);
            }
        } else if let Some(why) = &one.unclear {
            found.undecided(format!("{what}: {why}"), &one.cites);
        } else {
            found.saw(&one.cites);
        }
    }
    let names = seen.names.join(", ");
    if seen.tries.is_empty() {
        return Judgement::undecided("nothing was tried");
    }
    if !seen.held {
        found.undecided(NO_CONTROL, &[]);
    } else if !seen.known {
        found.undecided(
            format!("no parameter that names a page is known; declare app.return_parameters, or attest that there is none (tried: {names})"),
            &[],
        );
    }
    let places: BTreeSet<&str> = seen.tries.iter().map(|one| one.at.title()).collect();
    let places: Vec<&str> = places.into_iter().collect();
    found.conclude(format!("nobody is sent elsewhere ({}; tried: {names})", places.join(", ")))
}
