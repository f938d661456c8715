//! Scenarios in which an identity service provisions into the suite: hooks change its directory, the suite's SCIM server sees what comes.
//!
//! Every scenario works on directory users of its own, so that all of them wait within the same provisioning cycle.

pub mod commands;
pub mod course;
pub mod faults;
pub mod groups;
pub mod joiner;
pub mod large_group;
pub mod last;
pub mod leaver;
pub mod roles;
pub mod sign_in;
pub mod sync;
pub mod token;

use serde::{Deserialize, Serialize};

use crate::counterpart::scim_receiver::Sent;
use crate::model::{ExchangeId, Judgement};

/// What became of one directory user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Case {
    /// Why it could not be played: a hook that did not work, a user that never arrived.
    pub obstacle: Option<String>,
    /// Seconds after the hook in which the expected state was reached; `None` where it was not.
    pub took_s: Option<f64>,
    /// Seconds that were waited for it, at most.
    pub limit_s: f64,
    /// What is there in the end, in words.
    pub state: String,
    /// What was sent about the user since the hook, oldest first.
    pub sent: Vec<Sent>,
    /// The hook's exchange, and others that belong to the case.
    pub cites: Vec<ExchangeId>,
}

impl Case {
    /// A case that could not be played.
    pub fn blocked(why: impl Into<String>) -> Self {
        Case { obstacle: Some(why.into()), ..Case::default() }
    }

    /// The expected state was reached.
    pub fn reached(&self) -> bool {
        self.took_s.is_some()
    }

    /// Exchanges of the case: first what was sent, then the hook.
    pub fn cited(&self) -> Vec<ExchangeId> {
        let sent = self.sent.iter().filter(|sent| sent.writes()).chain(&self.sent).map(|sent| sent.cite.clone());
        sent.chain(self.cites.iter().cloned()).collect()
    }

    /// The writes that were carried out.
    pub fn done(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(|sent| sent.writes() && sent.ok())
    }
}

/// The judgement of a timed effect: reached, not reached, or not played.
pub fn effect(case: Option<&Case>, pass: &str, fail: &str) -> Judgement {
    let Some(case) = case else { return Judgement::undecided("not tried") };
    if let Some(why) = &case.obstacle {
        return Judgement::undecided(why.as_str()).cite(&case.cites);
    }
    let cites = case.cited();
    match case.took_s {
        Some(took) => Judgement::pass(format!("{pass} after {took:.1} s")).cite(&cites),
        None => Judgement::broken(format!("{fail} within {:.0} s: {}", case.limit_s, case.state)).cite(&cites),
    }
}

#[cfg(test)]
pub mod examples {
    //! Small observations for the tests of checks.
    use super::*;
    use serde_json::Value;

    /// A request that was carried out.
    pub fn sent(method: &str, path: &str, body: Value) -> Sent {
        Sent {
            at_s: 1.0,
            method: method.into(),
            path: path.into(),
            content_type: "application/scim+json".into(),
            accept: "application/scim+json".into(),
            body,
            status: if method == "POST" { 201 } else { 200 },
            changed: method != "GET",
            cite: "x0001".into(),
            ..Sent::default()
        }
    }

    /// A case whose expected state was reached.
    pub fn reached(sent: Vec<Sent>) -> Case {
        Case { took_s: Some(2.0), limit_s: 60.0, state: "as expected".into(), sent, ..Case::default() }
    }

    /// A case whose expected state was not reached.
    pub fn missed(sent: Vec<Sent>) -> Case {
        Case { took_s: None, limit_s: 60.0, state: "unchanged".into(), sent, ..Case::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;

    #[test]
    fn an_effect_is_reached_missed_or_not_played() {
        assert_eq!(effect(Some(&examples::reached(Vec::new())), "", "").call, Call::Pass);
        assert_eq!(effect(Some(&examples::missed(Vec::new())), "", "").call, Call::Broken);
        assert_eq!(effect(Some(&Case::blocked("the hook failed")), "", "").call, Call::Undecided);
        assert_eq!(effect(None, "", "").call, Call::Undecided);
    }
}
