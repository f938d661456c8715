//! A visitor of the application under test: one isolated browser context that the suite's provider knows.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::Stage;
use super::app_world::AppWorld;
use super::browser::{Act, Context, Landing, Page, Visit};
use super::oracle::{Look, disturbed, same_origin};
use crate::counterpart::provider::{Authorization, Script, TokenRequest};
use crate::model::ExchangeId;
use crate::suite::Obstacle;

/// A page with scripts may go on after it has settled; so long it must stay quiet before a refusal is concluded.
const QUIET: Duration = Duration::from_secs(3);
/// Logins between two controls.
const BETWEEN_CONTROLS: usize = 10;

/// One isolated browser context at the application.
pub struct Visitor {
    /// Its name at the provider.
    pub id: String,
    context: Arc<dyn Context>,
    scenario: &'static str,
    /// The tab it works in; a new one would not share what scripts keep per tab, and costs a browser most of a visit.
    pub(super) tab: Mutex<Option<Box<dyn Page>>>,
}

/// What became of one login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What was tried.
    pub label: String,
    /// Authorization requests that arrived from this browser.
    pub requests: usize,
    /// The first of them was answered.
    pub answered: bool,
    /// A token request with its code arrived.
    pub redeemed: bool,
    /// The protected page afterwards.
    pub look: Look,
    /// Deciding exchanges.
    pub cites: Vec<ExchangeId>,
}

impl Attempt {
    /// The application has a session for this browser.
    pub fn signed_in(&self) -> bool {
        self.look.signed_in
    }

    /// The response was delivered and the application has no session for this browser.
    pub fn refused(&self) -> bool {
        self.answered && !self.look.signed_in && self.look.unreachable.is_none()
    }

    /// What happened, in words.
    pub fn describe(&self) -> String {
        let code = if self.redeemed { "the code was redeemed" } else { "the code was not redeemed" };
        match (self.requests, self.answered) {
            (0, _) => format!("no authorization request arrived; {}", self.look.describe()),
            (_, false) => format!("the authorization request was not answered; {}", self.look.describe()),
            _ => format!("{code}; {}", self.look.describe()),
        }
    }
}

/// A login between two controls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// What became of it.
    pub attempt: Attempt,
    /// Conforming logins before and after it succeeded.
    pub controls: bool,
}

impl Visitor {
    /// A fresh browser context with nothing but the provider's cookie.
    ///
    /// # Errors
    /// The browser failed.
    pub async fn new(stage: &Stage, label: &str) -> Result<Visitor, Obstacle> {
        let app = stage.app()?;
        let context = stage.world.agent.context(label).await?;
        let (id, url) = app.provider.admit(stage.scenario, label);
        let visitor = Visitor { id, context, scenario: stage.scenario, tab: Mutex::default() };
        let mut page = visitor.page().await?;
        let landing = page.go(Visit::Get(url), "the provider gets to know the browser").await?;
        if landing.status != 200 {
            let why = landing.error.unwrap_or_else(|| format!("status {}", landing.status));
            return Err(Obstacle::network(
                format!("the suite's browser cannot reach the suite's own provider at {}: {why}", app.provider.issuer()),
                "Check counterpart.issuer and counterpart.op_listen.",
            ));
        }
        *visitor.tab.lock().await = Some(page);
        Ok(visitor)
    }

    /// A fresh page (tab) of this context.
    pub async fn page(&self) -> Result<Box<dyn Page>, Obstacle> {
        Ok(self.context.page(self.scenario).await?)
    }

    /// The context itself.
    pub fn context(&self) -> &Arc<dyn Context> {
        &self.context
    }

    /// Opens a URL in the visitor's tab.
    pub async fn open(&self, stage: &Stage, url: &str, step: &str) -> Result<Landing, Obstacle> {
        self.go(stage, Visit::Get(url.to_owned()), step).await
    }

    /// As [`Visitor::open`], by any visit.
    pub async fn go(&self, stage: &Stage, visit: Visit, step: &str) -> Result<Landing, Obstacle> {
        let app = stage.app()?;
        app.provider.step(&self.id, step);
        let mut tab = self.tab.lock().await;
        let mut page = match tab.take() {
            Some(page) => page,
            None => self.page().await?,
        };
        let landing = self.visit(stage, page.as_mut(), visit, step).await?;
        *tab = Some(page);
        Ok(landing)
    }

    /// As [`Visitor::go`], in this page.
    pub(super) async fn visit(&self, stage: &Stage, page: &mut dyn Page, visit: Visit, step: &str) -> Result<Landing, Obstacle> {
        stage.world.http.turn(1).await;
        let landing = page.go(visit, step).await?;
        self.visited(stage, &landing, 1).await?;
        Ok(landing)
    }

    /// As [`Visitor::visit`], by what a user does on the page.
    pub(super) async fn does(&self, stage: &Stage, page: &mut dyn Page, acts: &[Act], step: &str) -> Result<Landing, Obstacle> {
        let landing = page.act(acts, step).await?;
        self.visited(stage, &landing, 0).await?;
        Ok(landing)
    }

    /// Notes the cookies, and what the requests of a visit count for the rate; so many of them were counted before.
    pub(super) async fn visited(&self, stage: &Stage, landing: &Landing, counted: usize) -> Result<(), Obstacle> {
        let app = stage.app()?;
        app.note_cookies(&self.id, landing);
        let sent = landing.hops.iter().filter(|hop| !same_origin(&hop.url, app.provider.issuer())).count();
        stage.world.http.owe(u32::try_from(sent.saturating_sub(counted)).unwrap_or(u32::MAX)).await;
        Ok(())
    }

    /// Opens a URL and does things there.
    pub async fn act(&self, stage: &Stage, url: &str, acts: &[Act], step: &str) -> Result<Landing, Obstacle> {
        let app = stage.app()?;
        app.provider.step(&self.id, step);
        let mut tab = self.tab.lock().await;
        let mut page = match tab.take() {
            Some(page) => page,
            None => self.page().await?,
        };
        self.visit(stage, page.as_mut(), Visit::Get(url.to_owned()), step).await?;
        let landing = self.does(stage, page.as_mut(), acts, step).await?;
        *tab = Some(page);
        Ok(landing)
    }

    /// Opens the protected page and says who it belongs to.
    pub async fn look(&self, stage: &Stage, step: &str) -> Result<Look, Obstacle> {
        let app = stage.app()?;
        let landing = self.open(stage, &app.app.protected_url, step).await?;
        let look = Look::at(&landing, app.rule(), app.provider.issuer());
        if look.signed_in {
            app.signed_in.lock().unwrap_or_else(PoisonError::into_inner).insert(self.id.clone());
        }
        let Some(identity) = app.app.identity.as_ref().filter(|_| look.signed_in) else { return Ok(look) };
        if identity.url.is_empty() || identity.url == app.app.protected_url {
            return Ok(look.with_account(&landing, identity));
        }
        let shown = self.open(stage, &identity.url, step).await?;
        let stranger = look.stranger || Look::at(&shown, app.rule(), app.provider.issuer()).stranger;
        Ok(Look { stranger, ..look }.with_account(&shown, identity))
    }

    /// Looks at the protected page; where it does not show a session, looks again after the network was quiet, so that a
    /// login that a script completes late is not taken for a refusal.
    pub async fn look_for_session(&self, stage: &Stage, shown: &Landing, step: &str) -> Result<Look, Obstacle> {
        let look = self.look(stage, step).await?;
        let scripted = stage.world.agent.scripts() && shown.html.contains("<script");
        if look.signed_in || !scripted {
            return Ok(look);
        }
        stage.wait_until(Instant::now() + QUIET, "nothing more to come from the application").await;
        self.look(stage, step).await
    }

    /// Signs this user in at the application and looks whether that worked.
    pub async fn sign_in(&self, stage: &Stage, script: Script, step: &str) -> Result<Attempt, Obstacle> {
        let app = stage.app()?;
        stage.guest(&script.subject);
        let before = app.provider.log().authorizations_of(&self.id).len();
        let landing = self.start(stage, script.answer(), step).await?;
        app.provider.silence(&self.id);
        let look = self.look_for_session(stage, &landing, step).await?;
        Ok(self.outcome(app, step, before, look, &landing))
    }

    /// What the provider saw of this context since its `before`-th authorization request, with what the application shows.
    pub fn outcome(&self, app: &AppWorld, label: &str, before: usize, look: Look, landing: &Landing) -> Attempt {
        let log = app.provider.log();
        let requests: Vec<&Authorization> = log.authorizations_of(&self.id).into_iter().skip(before).collect();
        let first = requests.first();
        let unreachable = look.unreachable.clone().or_else(|| disturbed(landing, app.provider.issuer()));
        let redeemed: Vec<&TokenRequest> = log
            .tokens_of(&self.id)
            .into_iter()
            .filter(|token| first.is_some_and(|first| token.authorization == Some(first.number)))
            .collect();
        let mut cites: Vec<ExchangeId> = Vec::new();
        cites.extend(first.map(|first| first.exchange.clone()));
        cites.extend(landing.hops.last().map(|hop| hop.exchange.clone()));
        cites.extend(redeemed.iter().map(|token| token.exchange.clone()));
        cites.extend(look.cites.last().cloned());
        Attempt {
            label: label.to_owned(),
            requests: requests.len(),
            answered: first.is_some_and(|first| first.answered == "code"),
            redeemed: !redeemed.is_empty(),
            look: Look { unreachable: unreachable.filter(|_| !look.signed_in), ..look },
            cites,
        }
    }
}

/// How a control between logins went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Held,
    Failed,
    /// There was an outage, which is over: what came before it may have met it, what comes after it is not touched.
    Recovered,
}

impl Stage {
    /// The application under test with everything that belongs to it.
    pub fn app(&self) -> Result<&AppWorld, Obstacle> {
        self.world.app()
    }

    /// One login in a fresh browser, while nobody disturbs the provider.
    pub async fn attempt(&self, script: Script, label: &str) -> Result<(Visitor, Attempt), Obstacle> {
        let _undisturbed = self.undisturbed().await?;
        let visitor = Visitor::new(self, label).await?;
        let attempt = visitor.sign_in(self, script, label).await?;
        Ok((visitor, attempt))
    }

    /// The control: a conforming login in a fresh browser ends signed in.
    pub async fn login_control(&self, label: &str) -> Result<Attempt, Obstacle> {
        let script = Script::of(&self.app()?.users[0]);
        let (_, attempt) = self.attempt(script, label).await?;
        self.control(attempt.signed_in());
        Ok(attempt)
    }

    /// Each login in a browser of its own, ten at a time, with a control before, in between and after.
    pub async fn series(&self, variations: Vec<(String, Script)>) -> Result<Vec<Tried>, Obstacle> {
        let mut out = Vec::new();
        let mut before = self.control_or_end().await?;
        let mut left = variations.into_iter().peekable();
        while left.peek().is_some() {
            let some: Vec<(String, Script)> = left.by_ref().take(BETWEEN_CONTROLS).collect();
            let logins = some.into_iter().map(|(label, script)| async move { self.attempt(script, &label).await });
            let ended = futures_util::future::join_all(logins).await;
            let after = self.control_or_end().await?;
            for attempt in ended {
                out.push(Tried { attempt: attempt?.1, controls: before == Control::Held && after == Control::Held });
            }
            before = if after == Control::Failed { Control::Failed } else { Control::Held };
        }
        Ok(out)
    }

    /// A control of a series. An application that gives no answer is asked once more after a pause; one that still gives none ends the
    /// series, because every further login would only wait for it.
    async fn control_or_end(&self) -> Result<Control, Obstacle> {
        let label = "control: conforming login";
        let held = |attempt: &Attempt| if attempt.signed_in() { Control::Held } else { Control::Failed };
        let first = self.login_control(label).await?;
        if first.look.unreachable.is_none() {
            return Ok(held(&first));
        }
        self.wait_until(Instant::now() + QUIET, "the application to answer again").await;
        let again = self.login_control("control after a pause: conforming login").await?;
        match &again.look.unreachable {
            Some(why) => Err(Obstacle::target(
                format!("the application gives no answer any more: {}: {why}", again.look.place),
                "See whether the application is up, and its own log; if it limits the rate of requests, set network.rate.",
            )),
            None if again.signed_in() => Ok(Control::Recovered),
            None => Ok(Control::Failed),
        }
    }
}
