//! app-command: the good message of a delivery binding, and what it does to every session and token of the user. One scenario for each
//! declared binding.

pub mod checks;
pub mod delivery;
mod play;
pub mod tokens;
pub mod write;

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::counterpart::command_issuer::Answer;
use crate::model::ExchangeId;
use crate::stage::Stage;
use crate::stage::oracle::Look;
use crate::stage::visitor::Attempt;
use crate::suite::{Check, Obstacle, Scenario};
use delivery::Delivery;
use tokens::TokensSeen;
use write::WriteSeen;

/// Scenarios that sign the second user in for a short while; commands would end those sessions where the operator declares the users.
pub const AFTER_LOGINS: &[&str] = &["app-subject", "app-unsolicited"];

/// The command of one delivery binding at work.
pub struct AppCommand<B>(PhantomData<B>);

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The delivery binding.
    pub binding: String,
    /// The binding wants the work done when the answer arrives.
    pub prompt: bool,
    /// The message can be replayed.
    pub replayable: bool,
    /// Everybody's page right after the logins.
    pub before: Before,
    /// The answers to the messages; more than one where one cannot name all sessions.
    pub answers: Vec<Answer>,
    /// The main user's first browser afterwards.
    pub first: Watched,
    /// The second browser, which submitted a form in between.
    pub second: Watched,
    /// The third browser, idle until it was looked at.
    pub idle: Watched,
    /// The fourth browser, idle until the user had signed in again elsewhere.
    pub late: Option<Look>,
    /// The first authorization request of the first browser after the command.
    pub asked: Option<Asked>,
    /// The application holds a refresh token of the suite's provider.
    pub holds_refresh_token: bool,
    /// Its uses for the first browser between the command and the new login.
    pub refreshes: Vec<ExchangeId>,
    /// The other user's page, and whether that browser was led to the provider.
    pub other: Option<(Look, bool)>,
    /// The declared change; `None` where none is declared.
    pub write: Option<WriteSeen>,
    /// The application's own tokens; `None` where none are declared.
    pub tokens: Option<TokensSeen>,
    /// The new login in the first browser, and another try where it was refused.
    pub again: Vec<Attempt>,
    /// The command a second time, and the new session after it.
    pub replay: Option<(Answer, Watched)>,
    /// Other forms of the message, each about a live session.
    pub forms: Vec<Form>,
}

/// Everybody's page right after the logins.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Before {
    /// The main user's four browsers.
    pub main: Vec<Attempt>,
    /// The other user's browser.
    pub other: Option<Attempt>,
}

/// A page that was looked at until it showed no session, at most 30 s after the message.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Watched {
    /// The last look.
    pub look: Look,
    /// Milliseconds from the message to that look.
    pub after_ms: u64,
}

/// What an authorization request asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Asked {
    /// `prompt`.
    pub prompt: Option<String>,
    /// `max_age`.
    pub max_age: Option<String>,
    /// The request.
    pub cite: ExchangeId,
}

/// Another form of the message.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Form {
    /// The answer.
    pub answer: Answer,
    /// The session it named ended; `None` where nobody could be signed in before.
    pub ended: Option<bool>,
}

impl<B: Delivery> Scenario for AppCommand<B> {
    type Seen = Seen;
    const ID: &'static str = B::ID;
    const TITLE: &'static str = B::TITLE;
    const AFTER: &'static [&'static str] = B::AFTER;
    const BINDING: Option<&'static str> = Some(B::BINDING);
    const CHECKS: &'static [Check<Seen>] = B::CHECKS;

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        play::play::<B>(stage).await
    }
}
