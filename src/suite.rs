//! The only generic code: a scenario, the checks on what it saw, and both together as a unit of planning.

use std::marker::PhantomData;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::model::{ClauseId, FaultClass, Judgement, Role};
use crate::stage::Stage;

/// One scripted exchange with the target.
pub trait Scenario: Send + Sync + 'static {
    /// What it observed; serialisable, so that it can be judged again.
    type Seen: Serialize + DeserializeOwned + Send;
    /// Its name in reports, `role-topic` or `role-topic/part`.
    const ID: &'static str;
    /// One line: what it does.
    const TITLE: &'static str;
    /// Scenarios that must have ended before this one starts, where they are part of the plan. `*` stands for all others that do not say
    /// `*` themselves, `-name` takes one of them away.
    const AFTER: &'static [&'static str] = &[];
    /// It waits most of the time, and its visits are due at certain times: it starts before the others, and its visits at an application
    /// go before theirs.
    const TIMED: bool = false;
    /// It works in the main user's browser session. Such scenarios are played one at a time: with two authorization requests in
    /// flight, products mix up the session's cookies and grants, and a code is refused for the wrong reason.
    const IN_SESSION: bool = false;
    /// It needs a browser: sign-ins, pages. Where no scenario of a plan does, none is started.
    const BROWSER: bool = true;
    /// It needs the provider that the suite plays for the application: sign-ins, or messages that the application verifies by its keys.
    const PROVIDER: bool = Self::BROWSER;
    /// An identity service provisions into the suite meanwhile. Such scenarios wait for its cycles: they take no place among the jobs,
    /// and their limit is that of the cycles.
    const PROVISIONED: bool = false;
    /// Seconds that it may wait for effects, all in all: they come on top of what a scenario may take.
    const WAITS_S: u64 = 0;
    /// The delivery binding whose command it sends. Its checks of effects ([`Check::effect`]) then decide `clause@binding`.
    const BINDING: Option<&'static str> = None;
    /// The checks on what it saw.
    const CHECKS: &'static [Check<Self::Seen>];

    /// Plays it.
    fn play(stage: &Stage) -> impl Future<Output = Result<Self::Seen, Obstacle>> + Send;
}

/// A clause and the pure function that decides it.
pub struct Check<S> {
    /// The clause's id, without `@binding`.
    pub clause: &'static str,
    /// Decides it.
    pub judge: fn(&S) -> Judgement,
    /// The clause states an effect of a session command and stands once for every delivery binding.
    pub effect: bool,
}

impl<S> Check<S> {
    /// Pairs them.
    pub const fn new(clause: &'static str, judge: fn(&S) -> Judgement) -> Self {
        Check { clause, judge, effect: false }
    }

    /// Pairs them, for a clause that stands once for every delivery binding: the scenario's binding completes its id.
    pub const fn effect(clause: &'static str, judge: fn(&S) -> Judgement) -> Self {
        Check { clause, judge, effect: true }
    }

    /// The full id of the clause in a scenario of this binding.
    fn id(&self, binding: Option<&str>) -> ClauseId {
        match binding.filter(|_| self.effect) {
            Some(binding) => format!("{}@{binding}", self.clause),
            None => self.clause.to_owned(),
        }
    }
}

/// Why a scenario could not finish. Turns its clauses inconclusive (target, network) or not-run (config).
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Obstacle {
    /// Whose fault it is.
    pub class: FaultClass,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Obstacle {
    /// The target stands in the way.
    pub fn target(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Obstacle { class: FaultClass::Target, message: message.into(), hint: hint.into() }
    }

    /// The target file stands in the way.
    pub fn config(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Obstacle { class: FaultClass::Config, message: message.into(), hint: hint.into() }
    }

    /// The network stands in the way.
    pub fn network(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Obstacle { class: FaultClass::Network, message: message.into(), hint: hint.into() }
    }

    /// The suite stands in its own way.
    pub fn suite(message: impl Into<String>) -> Self {
        Obstacle {
            class: FaultClass::Suite,
            message: message.into(),
            hint: "This is a defect of ipsie-conform; please report it with the run's directory.".into(),
        }
    }
}

impl From<crate::stage::http::NetFault> for Obstacle {
    fn from(fault: crate::stage::http::NetFault) -> Self {
        Obstacle::network(
            fault.to_string(),
            "Check that the target is up and reachable from here; `ipsie-conform doctor` looks at each part.",
        )
    }
}

/// A scenario with its checks, object-safe.
pub trait Suite: Send + Sync {
    /// The scenario's name.
    fn id(&self) -> &'static str;
    /// One line: what it does.
    fn title(&self) -> &'static str;
    /// Scenarios that must have ended before.
    fn after(&self) -> &'static [&'static str];
    /// It starts first, and its visits go before those of others.
    fn timed(&self) -> bool;
    /// It works in the main user's browser session.
    fn in_session(&self) -> bool;
    /// It needs a browser.
    fn browser(&self) -> bool;
    /// It needs the suite's provider.
    fn provider(&self) -> bool;
    /// An identity service provisions into the suite meanwhile.
    fn provisioned(&self) -> bool;
    /// Seconds that it may wait for effects.
    fn waits_s(&self) -> u64;
    /// The clauses its checks decide.
    fn clauses(&self) -> Vec<ClauseId>;
    /// Whose clauses they are: a scenario has those of one role.
    fn role(&self) -> Role {
        let of_app = self.clauses().first().is_some_and(|id| id.split('.').nth(1) == Some("app"));
        if of_app { Role::App } else { Role::Idp }
    }
    /// Plays the scenario and answers what it saw.
    fn play<'a>(&'a self, stage: &'a Stage) -> BoxFuture<'a, Result<Value, Obstacle>>;
    /// Judges what was seen. An error means that the value is not of this scenario's form.
    fn judge(&self, seen: &Value) -> Result<Vec<(ClauseId, Judgement)>, serde_json::Error>;
}

/// Does `suite` start only when `other` has ended, where both are planned?
pub fn comes_after(suite: &dyn Suite, other: &dyn Suite) -> bool {
    let last = |suite: &dyn Suite| suite.after().contains(&"*");
    let excepted = suite.after().iter().any(|term| term.strip_prefix('-') == Some(other.id()));
    suite.after().contains(&other.id()) || (last(suite) && !last(other) && !excepted)
}

/// Wraps a [`Scenario`] into a [`Suite`].
pub struct Of<S>(PhantomData<S>);

impl<S> Of<S> {
    /// The wrapper; it holds nothing.
    pub const fn new() -> Self {
        Of(PhantomData)
    }
}

impl<S> Default for Of<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Scenario> Suite for Of<S> {
    fn id(&self) -> &'static str {
        S::ID
    }

    fn title(&self) -> &'static str {
        S::TITLE
    }

    fn after(&self) -> &'static [&'static str] {
        S::AFTER
    }

    fn timed(&self) -> bool {
        S::TIMED
    }

    fn in_session(&self) -> bool {
        S::IN_SESSION
    }

    fn browser(&self) -> bool {
        S::BROWSER
    }

    fn provider(&self) -> bool {
        S::PROVIDER
    }

    fn provisioned(&self) -> bool {
        S::PROVISIONED
    }

    fn waits_s(&self) -> u64 {
        S::WAITS_S
    }

    fn clauses(&self) -> Vec<ClauseId> {
        S::CHECKS.iter().map(|check| check.id(S::BINDING)).collect()
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> BoxFuture<'a, Result<Value, Obstacle>> {
        Box::pin(async move {
            let seen = S::play(stage).await?;
            serde_json::to_value(seen).map_err(|error| Obstacle::suite(format!("what {} saw cannot be written: {error}", S::ID)))
        })
    }

    fn judge(&self, seen: &Value) -> Result<Vec<(ClauseId, Judgement)>, serde_json::Error> {
        let seen: S::Seen = S::Seen::deserialize(seen)?;
        Ok(S::CHECKS.iter().map(|check| (check.id(S::BINDING), (check.judge)(&seen))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_is_decided_for_the_binding_of_its_scenario() {
        let effect = Check::<()>::effect("sl2.app.reauth-before-page", |()| Judgement::undecided("never"));
        let own = Check::<()>::new("sl2.app.bcl-accepts", |()| Judgement::undecided("never"));
        assert_eq!(effect.id(Some("backchannel-logout")), "sl2.app.reauth-before-page@backchannel-logout");
        assert_eq!(own.id(Some("backchannel-logout")), "sl2.app.bcl-accepts");
        assert_eq!(own.id(None), "sl2.app.bcl-accepts");
    }
}
