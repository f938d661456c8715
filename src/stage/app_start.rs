//! How a login starts at the application: by its start page, and by what a user does there before the application sends the browser to its
//! provider.

use std::time::{Duration, Instant};

use super::Stage;
use super::browser::recipe::sensible_button;
use super::browser::{Act, AgentFault, Button, Landing, Page, Visit};
use super::visitor::Visitor;
use crate::counterpart::provider::{Answer, Subject};
use crate::model::target::Step;
use crate::suite::Obstacle;

/// So long a click may take to show as an authorization request: the page may open another window, which nobody watches.
const CLICK: Duration = Duration::from_secs(3);
/// How often somebody looks whether it has arrived.
const PEEK: Duration = Duration::from_millis(50);

impl Visitor {
    /// Starts a login at the application, its next authorization request answered like this. Where the start page itself leads to no
    /// authorization request and shows nobody signed in, the steps of `app.login` are played there, or the button that was found in the
    /// first login is clicked.
    pub async fn start(&self, stage: &Stage, answer: Answer, step: &str) -> Result<Landing, Obstacle> {
        self.start_at(stage, stage.app()?.app.start(), answer, step).await
    }

    /// The same from another URL, such as the start URL with more parameters.
    pub async fn start_at(&self, stage: &Stage, url: &str, answer: Answer, step: &str) -> Result<Landing, Obstacle> {
        let app = stage.app()?;
        let who = match &answer {
            Answer::SignIn(script) => script.subject.clone(),
            _ => app.users[0].clone(),
        };
        let before = self.requests(stage)?;
        app.provider.tell(&self.id, answer);
        app.provider.step(&self.id, step);
        stage.world.recorder.login_typed();
        let mut page = self.page().await?;
        let mut landing = self.visit(stage, page.as_mut(), Visit::Get(url.to_owned()), step).await?;
        let there = |landing: &Landing| landing.error.is_some() || app.rule().holds(landing);
        if there(&landing) || self.requests(stage)? > before {
            return Ok(landing);
        }
        if !app.app.login.steps.is_empty() {
            return self.by_steps(stage, page.as_mut(), landing, &who, step).await;
        }
        if let Some(known) = app.way()
            && let Some(button) = landing.buttons.iter().find(|button| button.text == known.text)
        {
            let button = button.clone();
            let clicked = self.click(stage, page.as_mut(), &button, before, step).await?;
            landing = after(landing, clicked);
        }
        Ok(landing)
    }

    /// As [`Visitor::start`], for the first login of all: where no authorization request arrives and the page offers one button that makes
    /// sense, it is clicked; where that helps, it is the way of all logins.
    pub async fn start_first(&self, stage: &Stage, answer: Answer, step: &str) -> Result<Landing, Obstacle> {
        let app = stage.app()?;
        let (url, before) = (app.app.start(), self.requests(stage)?);
        let landing = self.start(stage, answer, step).await?;
        if landing.error.is_some() || self.requests(stage)? > before || !app.app.login.steps.is_empty() || app.way().is_some() {
            return Ok(landing);
        }
        let Some(button) = sensible_button(&landing).cloned() else { return Ok(landing) };
        // The page is opened again: the one that was looked at is closed.
        let mut page = self.page().await?;
        let again = self.visit(stage, page.as_mut(), Visit::Get(url.to_owned()), step).await?;
        let Some(found) = again.buttons.iter().find(|other| other.text == button.text).cloned() else { return Ok(again) };
        let clicked = self.click(stage, page.as_mut(), &found, before, step).await?;
        if self.requests(stage)? > before {
            stage.note(format!("{url} leads to the provider by \"{}\": the run clicks it at every login", found.text));
            app.settle_way(found);
        }
        Ok(after(again, clicked))
    }

    async fn click(
        &self,
        stage: &Stage,
        page: &mut dyn Page,
        button: &Button,
        before: usize,
        step: &str,
    ) -> Result<Landing, Obstacle> {
        let landing = self.does(stage, page, &[Act::Click { at: button.at.clone() }], step).await?;
        self.wait_for_request(stage, before).await?;
        Ok(landing)
    }

    /// Plays the steps of `app.login`, until an authorization request has arrived.
    async fn by_steps(
        &self,
        stage: &Stage,
        page: &mut dyn Page,
        mut landing: Landing,
        who: &Subject,
        step: &str,
    ) -> Result<Landing, Obstacle> {
        let before = self.requests(stage)?;
        let name = if who.email.is_empty() { &who.sub } else { &who.email };
        for action in &stage.app()?.app.login.steps {
            if self.requests(stage)? > before {
                break;
            }
            let done = match action {
                Step::Fill { at, with } => {
                    let fill = Act::Fill { at: at.clone(), with: with.replace("{username}", name), secret: false };
                    self.does(stage, page, &[fill], step).await
                }
                Step::Click { at } => self.does(stage, page, &[Act::Click { at: at.clone() }], step).await,
                Step::ClickIfThere { at } => match page.act(&[Act::Click { at: at.clone() }], step).await {
                    Err(AgentFault::NoElement { .. }) => continue,
                    Ok(next) => self.visited(stage, &next, 0).await.map(|()| next),
                    Err(fault) => Err(fault.into()),
                },
                Step::WaitFor { at } => page.wait_for(at, step).await.map_err(Obstacle::from),
                Step::SecondFactor {} => continue,
            };
            match done {
                Ok(next) => landing = after(landing, next),
                Err(fault) => {
                    return Err(Obstacle::config(
                        format!("app.login.steps at {}: {}", landing.url, fault.message),
                        "Mend the step; the page and its elements are in the evidence.",
                    ));
                }
            }
        }
        self.wait_for_request(stage, before).await?;
        Ok(landing)
    }

    /// Authorization requests of this browser so far.
    fn requests(&self, stage: &Stage) -> Result<usize, Obstacle> {
        Ok(stage.app()?.provider.log().authorizations_of(&self.id).len())
    }

    /// Only a page with scripts goes on behind the agent's back.
    async fn wait_for_request(&self, stage: &Stage, before: usize) -> Result<(), Obstacle> {
        let until = Instant::now() + CLICK;
        while stage.world.agent.scripts() && self.requests(stage)? <= before && Instant::now() < until {
            tokio::time::sleep(PEEK).await;
        }
        Ok(())
    }
}

/// The later landing, with the hops of both.
fn after(first: Landing, then: Landing) -> Landing {
    let hops = first.hops.into_iter().chain(then.hops).collect();
    Landing { hops, ..then }
}
