//! command-accounts: account lifecycle by OpenID Provider Commands (draft 02), the second binding of AL1 to AL3 at an application.

pub mod callback;
pub mod forgery;
pub mod profile;
pub mod sign_in;
pub mod states;
pub mod tenant;

use serde_json::Value;

use crate::counterpart::command_issuer::Answer;
use crate::model::Judgement;
use crate::model::verdict::Findings;

/// Commands that the application announces; `None` where nothing readable is announced.
pub type Announced = Option<Vec<String>>;

/// Why a clause does not apply: the application does not announce one of these commands. Only one way of the level is needed.
fn lacking(announced: &Announced, needed: &[&str]) -> Option<Judgement> {
    let announced = announced.as_ref()?;
    let lacking: Vec<&str> = needed.iter().copied().filter(|command| !announced.iter().any(|known| known == command)).collect();
    (!lacking.is_empty()).then(|| Judgement::not_applicable(format!("commands_supported lacks {}", lacking.join(", "))))
}

/// A string member of an answer; empty where it is missing.
fn text<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.members.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The state an answer tells; empty where it tells none.
fn state(answer: &Answer) -> &str {
    text(answer, "account_state")
}

fn describe(answer: &Answer) -> String {
    match state(answer) {
        "" => answer.describe(),
        word => format!("{}, account_state `{word}`", answer.describe()),
    }
}

/// Success Response: 200 with the `sub` of the command and this state.
fn succeeds(found: &mut Findings, what: &str, answer: &Answer, sub: &str, wanted: &str) {
    let cites = &answer.cites;
    if answer.silent() {
        found.undecided(format!("{what}: {}", answer.describe()), cites);
    } else if !answer.accepted() {
        found.broken(format!("{what} was answered with {}", describe(answer)), cites);
    } else if state(answer).is_empty() {
        found.doubtful(format!("{what}: the answer ({}) tells no account_state", answer.describe()), cites);
    } else if state(answer) != wanted {
        found.broken(format!("{what}: the answer tells account_state `{}`, not `{wanted}`", state(answer)), cites);
    } else if text(answer, "sub") != sub {
        found.broken(format!("{what}: sub is not that of the command"), cites);
    } else {
        found.saw(cites);
    }
}

/// The account is in this state, as an audit tells it.
fn stands(found: &mut Findings, when: &str, audit: &Option<Answer>, wanted: &str) {
    match audit {
        None => found.undecided(format!("{when}: audit is not supported, so the state cannot be read"), &[]),
        // An account that is not there is in no state that a command fits: an audit may say so by a conflict.
        Some(answer) if wanted == "unknown" && answer.status == 409 && state(answer) == "unknown" => found.saw(&answer.cites),
        Some(answer) if !answer.accepted() || state(answer).is_empty() => {
            found.undecided(format!("{when}: the audit was answered with {}", describe(answer)), &answer.cites);
        }
        Some(answer) if state(answer) != wanted => {
            found.broken(format!("{when}: the account is {}, not {wanted}", state(answer)), &answer.cites);
        }
        Some(answer) => found.saw(&answer.cites),
    }
}

/// The audit before the command shows an active account: without that nothing follows from what comes after.
fn began_active(audit: &Option<Answer>) -> Option<Judgement> {
    let answer = audit.as_ref()?;
    (state(answer) != "active").then(|| {
        Judgement::undecided(format!("the account was not active at the beginning: {}", describe(answer))).cite(&answer.cites)
    })
}

#[cfg(test)]
pub(super) mod test_answers {
    use super::*;
    use serde_json::json;

    /// Everything is announced.
    pub fn all() -> Announced {
        let names = ["activate", "maintain", "suspend", "reactivate", "archive", "restore", "delete", "audit", "migrate"];
        let more = ["metadata", "audit_tenant", "suspend_tenant", "suspend_async"];
        Some(names.iter().chain(&more).map(|name| (*name).to_owned()).collect())
    }

    /// A conforming answer about `s1`.
    pub fn told(status: u16, word: &str) -> Answer {
        let members = json!({"sub": "s1", "account_state": word}).as_object().cloned().unwrap();
        let error = (status == 409).then(|| "incompatible_state".to_owned());
        Answer {
            status,
            error,
            members,
            media_type: "application/json".into(),
            cache_control: Some("no-store".into()),
            cites: vec!["x0001".into()],
            ..Answer::default()
        }
    }

    /// An error without a state.
    pub fn refused(status: u16, error: &str) -> Answer {
        Answer { error: Some(error.into()), members: Default::default(), ..told(status, "") }
    }

    /// No answer.
    pub fn silence() -> Answer {
        Answer { fault: Some("reset".into()), ..Answer::default() }
    }
}
