//! The witness: one signed-in session at the application, looked at after every message.

use std::time::{Duration, Instant};

use super::{Control, Effect, Probe};
use crate::counterpart::command_issuer::Subject;
use crate::counterpart::provider::{self, Script};
use crate::model::ExchangeId;
use crate::stage::Stage;
use crate::stage::http::Ask;
use crate::stage::visitor::Visitor;
use crate::suite::Obstacle;

/// Seconds within which a message that was answered with success must show its effect, if it has one.
const SETTLE: Duration = Duration::from_secs(3);
/// Seconds within which the good message must have its effect, where its work is done when the answer arrives.
pub const PROMPT: Duration = Duration::from_secs(10);
/// Seconds within which it must have its effect elsewhere.
pub const EVENTUAL: Duration = Duration::from_secs(30);

/// A session at the application. A session that ended is replaced by a new login as soon as one is needed.
pub struct Witness<'a> {
    stage: &'a Stage,
    user: provider::Subject,
    second_issuer: bool,
    visitor: Option<Visitor>,
    alive: bool,
    /// Why nobody could be signed in; it is not tried again.
    lost: Option<String>,
    looks: Vec<ExchangeId>,
    /// How long an effect of a message that was answered with success is looked for.
    pub settle: Duration,
}

/// What a look at the page said.
enum Life {
    Alive,
    Over,
    Unknown(String),
}

impl<'a> Witness<'a> {
    /// A witness that signs in as this user when it is first needed.
    pub fn new(stage: &'a Stage, user: &provider::Subject) -> Self {
        let (user, visitor, looks) = (user.clone(), None, Vec::new());
        Witness { stage, user, second_issuer: false, visitor, alive: false, lost: None, looks, settle: SETTLE }
    }

    /// As [`Witness::new`], signed in by the second issuer.
    pub fn at_second_issuer(stage: &'a Stage, user: &provider::Subject) -> Self {
        Witness { second_issuer: true, ..Self::new(stage, user) }
    }

    /// The browser of the live session.
    pub fn visitor(&self) -> Option<&Visitor> {
        self.visitor.as_ref().filter(|_| self.alive)
    }

    /// The last look at the page.
    pub fn last_look(&self) -> Option<ExchangeId> {
        self.looks.last().cloned()
    }

    /// Whom a message must name to hit this session; signs in first where nobody is. `None` where that fails.
    ///
    /// # Errors
    /// The browser failed.
    pub async fn subject(&mut self) -> Result<Option<Subject>, Obstacle> {
        if !self.alive && self.lost.is_none() {
            self.sign_in().await?;
        }
        let Some(visitor) = self.visitor.as_ref().filter(|_| self.alive) else { return Ok(None) };
        let sid = self.stage.app()?.provider.sids(&visitor.id).last().cloned();
        Ok(Some(Subject { sub: self.user.sub.clone(), sid }))
    }

    async fn sign_in(&mut self) -> Result<(), Obstacle> {
        let app = self.stage.app()?;
        let script = Script::of(&self.user);
        // A browser of its own for every session: what an earlier one left behind must not stand in for a session.
        let visitor = Visitor::new(self.stage, "witness").await?;
        let look = match app.app.second.as_ref().filter(|_| self.second_issuer) {
            None => visitor.sign_in(self.stage, script, "the witness signs in").await?.look,
            Some(second) => {
                app.provider.tell(&visitor.id, script.answer());
                self.stage.world.recorder.login_typed();
                let landing = visitor.open(self.stage, &second.start_url, "the witness signs in by the second issuer").await?;
                app.provider.silence(&visitor.id);
                visitor.look_for_session(self.stage, &landing, "the witness signs in by the second issuer").await?
            }
        };
        self.alive = self.stage.control(look.signed_in);
        if !self.alive {
            self.lost = Some(format!("the witness could not be signed in: {}", look.describe()));
        }
        self.looks.extend(look.cites.last().cloned());
        self.visitor = Some(visitor);
        Ok(())
    }

    async fn look(&mut self, what: &str) -> Result<Life, Obstacle> {
        let Some(visitor) = &self.visitor else { return Ok(Life::Unknown("nobody is signed in".into())) };
        let look = visitor.look(self.stage, &format!("the witness's page after: {what}")).await?;
        self.looks.extend(look.cites.last().cloned());
        // A crash or an outage ends nothing.
        let down = look.unreachable.clone().or_else(|| {
            (!look.signed_in && (look.status >= 500 || look.status == 429)).then(|| format!("status {}", look.status))
        });
        Ok(match down {
            Some(why) => Life::Unknown(format!("the witness's page could not be read: {why}")),
            None if look.signed_in => Life::Alive,
            None => {
                self.alive = false;
                Life::Over
            }
        })
    }

    /// Looks until the session is over, at most so long.
    async fn watch(&mut self, what: &str, patience: Duration) -> Result<Life, Obstacle> {
        let until = Instant::now() + patience;
        loop {
            let life = self.look(what).await?;
            if matches!(life, Life::Over) || Instant::now() >= until {
                return Ok(life);
            }
            self.stage.wait_until(Instant::now() + Duration::from_secs(1), "the application to act on a message").await;
        }
    }

    /// Has the session ended? Looks for as long as a good message may take.
    ///
    /// # Errors
    /// The browser failed.
    pub async fn has_ended(&mut self) -> Result<bool, Obstacle> {
        Ok(matches!(self.watch("a message about one session", PROMPT).await?, Life::Over))
    }

    /// Has the session ended by now? Looks once; `None` where the page says nothing.
    ///
    /// # Errors
    /// The browser failed.
    pub async fn is_over(&mut self) -> Result<Option<bool>, Obstacle> {
        Ok(match self.look("a message about another session").await? {
            Life::Alive => Some(false),
            Life::Over => Some(true),
            Life::Unknown(_) => None,
        })
    }

    /// Sends a message that must have no effect, and looks. Where the session ended, the message is made again and sent to a new
    /// session: only what ends that too has an effect.
    ///
    /// # Errors
    /// The browser failed.
    pub async fn probe<F>(&mut self, what: &str, make: F) -> Result<Probe, Obstacle>
    where
        F: Fn(&Subject) -> Ask + Send + Sync,
    {
        let mut probe = Probe { what: what.to_owned(), ..Probe::default() };
        self.looks.clear();
        let Some(subject) = self.subject().await? else {
            probe.why = self.lost.clone().unwrap_or_default();
            // The answer alone says little, but it is evidence.
            probe.answer = self.stage.command(what, make(&Subject { sub: self.user.sub.clone(), sid: None })).await;
            return Ok(probe);
        };
        probe.answer = self.stage.command(what, make(&subject)).await;
        (probe.effect, probe.why) = match self.after(&probe.answer.clone(), what).await? {
            Life::Alive => (Effect::None, String::new()),
            Life::Unknown(why) => (Effect::Unknown, why),
            Life::Over => match self.subject().await? {
                None => (Effect::Once, self.lost.clone().unwrap_or_default()),
                Some(subject) => {
                    let again = self.stage.command(&format!("{what}, once more"), make(&subject)).await;
                    match self.after(&again, what).await? {
                        Life::Over => (Effect::Ended, String::new()),
                        _ => (Effect::Once, String::new()),
                    }
                }
            },
        };
        probe.looks = std::mem::take(&mut self.looks);
        Ok(probe)
    }

    /// What was answered with success may be at work still; a refusal is not.
    async fn after(&mut self, answer: &crate::counterpart::command_issuer::Answer, what: &str) -> Result<Life, Obstacle> {
        if answer.accepted() { self.watch(what, self.settle).await } else { self.look(what).await }
    }

    /// Sends the good message: the session must end, within `patience`.
    ///
    /// # Errors
    /// The browser failed.
    pub async fn control<F>(&mut self, what: &str, patience: Duration, make: F) -> Result<Control, Obstacle>
    where
        F: Fn(&Subject) -> Ask + Send + Sync,
    {
        let mut control = Control::default();
        self.looks.clear();
        if let Some(subject) = self.subject().await? {
            control.answer = self.stage.command(what, make(&subject)).await;
            let patience = if control.answer.accepted() { patience } else { SETTLE };
            control.ended = matches!(self.watch(what, patience).await?, Life::Over);
        }
        control.looks = std::mem::take(&mut self.looks);
        self.stage.control(control.ended && control.answer.accepted());
        Ok(control)
    }
}
