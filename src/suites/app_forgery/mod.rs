//! app-command-forgery: forged and broken messages of the command issuer, each sent while a witness is signed in, and the good message
//! at the end as control. One scenario per delivery binding.

pub mod commands;
pub mod logout;
pub mod revocation;
#[cfg(test)]
mod tests;
mod witness;

use serde::{Deserialize, Serialize};

use crate::counterpart::command_issuer::Answer;
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
pub use witness::Witness;

/// Said whenever the good message at the end did not work.
const NO_CONTROL: &str = "the control (the good message at the end) did not end the witness's session, so that a forged one has no effect proves nothing";

/// What a message did to the witness's session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The session lives on.
    None,
    /// The session ended, and ended again when the message was sent a second time to a new session.
    Ended,
    /// The session ended once, and not when the message was repeated: something else may have ended it.
    Once,
    /// Nobody knows: the witness could not sign in, or the application did not answer.
    #[default]
    Unknown,
}

/// A message that must have no effect.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Probe {
    /// What is wrong with it.
    pub what: String,
    /// What the application answered.
    pub answer: Answer,
    /// What it did.
    pub effect: Effect,
    /// Why the effect is not known.
    pub why: String,
    /// The looks at the witness's page.
    pub looks: Vec<ExchangeId>,
}

impl Probe {
    fn describe(&self) -> String {
        format!("{}: {}", self.what, self.answer.describe())
    }

    /// The message and the last look after it.
    fn cites(&self) -> Vec<ExchangeId> {
        self.answer.cites.iter().chain(self.looks.last()).cloned().collect()
    }
}

/// The good message at the end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Control {
    /// What the application answered.
    pub answer: Answer,
    /// The witness's session ended.
    pub ended: bool,
    /// The last look.
    pub looks: Vec<ExchangeId>,
}

impl Control {
    /// The channel works: the message was taken and had its effect.
    fn held(control: &Option<Control>) -> bool {
        control.as_ref().is_some_and(|control| control.ended && control.answer.accepted())
    }
}

/// The demand "refused, and without effect" on every message. `improper` says what is doubtful about a refusal.
fn refused(
    probes: &[Probe],
    control: &Option<Control>,
    improper: impl Fn(&Probe) -> Option<String>,
    pass: impl Into<String>,
) -> Judgement {
    let held = Control::held(control);
    let mut found = Findings::new();
    for probe in probes {
        let answer = &probe.answer;
        match probe.effect {
            Effect::Ended => found.broken(format!("{}; it ended the session of the user", probe.describe()), &probe.cites()),
            Effect::Once => found.undecided(
                format!("{}; the session ended once, and not when the message was repeated", probe.describe()),
                &probe.cites(),
            ),
            _ if !held => found.undecided(NO_CONTROL, &answer.cites),
            Effect::None if answer.accepted() => {
                found.broken(format!("{}; it had no effect, but was answered as a success", probe.describe()), &probe.cites());
            }
            _ if answer.silent() => found.undecided(probe.describe(), &answer.cites),
            Effect::Unknown => found.undecided(format!("{}; {}", probe.describe(), probe.why), &probe.cites()),
            Effect::None => match improper(probe) {
                Some(why) => found.doubtful(format!("{}; {why}", probe.describe()), &probe.cites()),
                None => found.saw(&probe.cites()),
            },
        }
    }
    if probes.is_empty() { Judgement::undecided("nothing was tried") } else { once(found.conclude(pass)) }
}

/// A reason that stands many times is told once.
fn once(mut judgement: Judgement) -> Judgement {
    if judgement.reason.matches(NO_CONTROL).count() > 1 {
        let others: Vec<&str> = judgement.reason.split("; ").filter(|part| *part != NO_CONTROL).collect();
        judgement.reason = others.into_iter().chain([NO_CONTROL]).collect::<Vec<_>>().join("; ");
    }
    judgement
}

/// What is doubtful about a refusal that should have had this status and, where one is named, this error.
fn other_than(probe: &Probe, status: u16, error: Option<&str>) -> Option<String> {
    let answer = &probe.answer;
    if answer.status != status {
        return Some(format!("expected was status {status}"));
    }
    match error {
        Some(error) if answer.error.as_deref() != Some(error) => Some(format!("expected was error `{error}`")),
        _ => None,
    }
}
