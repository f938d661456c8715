//! Judgements of checks, verdicts of clauses and levels, faults of runs.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::evidence::ExchangeId;

/// The verdict of a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A MUST or MUST NOT was seen broken.
    Fail,
    /// A SHOULD was seen broken, or a MUST met in a doubtful way.
    Warning,
    /// The test ran and may not decide.
    Inconclusive,
    /// Something the clause needs is not configured.
    NotRun,
    /// The clause is conditional and its condition is absent at this target.
    NotApplicable,
    /// A person said so.
    Attested,
    /// The demanded behaviour was seen.
    Pass,
}

impl Verdict {
    /// Every verdict, worst first.
    pub const ALL: [Verdict; 7] = [
        Verdict::Fail,
        Verdict::Warning,
        Verdict::Inconclusive,
        Verdict::NotRun,
        Verdict::NotApplicable,
        Verdict::Attested,
        Verdict::Pass,
    ];

    /// The word used in reports.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Fail => "fail",
            Verdict::Warning => "warning",
            Verdict::Inconclusive => "inconclusive",
            Verdict::NotRun => "not-run",
            Verdict::NotApplicable => "not-applicable",
            Verdict::Attested => "attested",
            Verdict::Pass => "pass",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a check says of what was seen, before the clause's strength is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// The demand was seen met.
    Pass,
    /// The demand was met in a doubtful way: a warning whatever the strength.
    Doubtful,
    /// The demand was seen broken: fail for a MUST, warning for a SHOULD or MAY.
    Broken,
    /// What was seen may not decide.
    Undecided,
    /// The clause's condition is absent at this target.
    NotApplicable,
    /// The target file lacks something; the reason names the key.
    NotConfigured,
}

/// The outcome of one check, with the exchanges it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// What the check says.
    pub call: Call,
    /// One or more sentences: what was seen, and for anything but a pass why it matters.
    pub reason: String,
    /// What a conforming target shows; empty where the clause's own text says it.
    #[serde(default)]
    pub expected: String,
    /// The value or behaviour seen.
    #[serde(default)]
    pub observed: String,
    /// The exchanges it rests on.
    #[serde(default)]
    pub cites: Vec<ExchangeId>,
}

impl Judgement {
    fn of(call: Call, reason: impl Into<String>) -> Self {
        Judgement { call, reason: reason.into(), expected: String::new(), observed: String::new(), cites: Vec::new() }
    }

    /// The demand was seen met.
    pub fn pass(reason: impl Into<String>) -> Self {
        Self::of(Call::Pass, reason)
    }

    /// The demand was met in a doubtful way.
    pub fn doubtful(reason: impl Into<String>) -> Self {
        Self::of(Call::Doubtful, reason)
    }

    /// The demand was seen broken.
    pub fn broken(reason: impl Into<String>) -> Self {
        Self::of(Call::Broken, reason)
    }

    /// What was seen may not decide.
    pub fn undecided(reason: impl Into<String>) -> Self {
        Self::of(Call::Undecided, reason)
    }

    /// The clause's condition is absent.
    pub fn not_applicable(reason: impl Into<String>) -> Self {
        Self::of(Call::NotApplicable, reason)
    }

    /// The target file lacks something; `reason` names the key.
    pub fn not_configured(reason: impl Into<String>) -> Self {
        Self::of(Call::NotConfigured, reason)
    }

    /// Adds what was expected and what was observed.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>, observed: impl Into<String>) -> Self {
        self.expected = expected.into();
        self.observed = observed.into();
        self
    }

    /// Adds the exchanges the judgement rests on.
    #[must_use]
    pub fn cite<'a>(mut self, exchanges: impl IntoIterator<Item = &'a ExchangeId>) -> Self {
        for id in exchanges {
            if !self.cites.contains(id) {
                self.cites.push(id.clone());
            }
        }
        self
    }
}

/// Gathers everything a check found, so that a first finding never hides the rest.
#[derive(Debug, Default)]
pub struct Findings {
    broken: Vec<String>,
    undecided: Vec<String>,
    doubtful: Vec<String>,
    cites: Vec<ExchangeId>,
    blamed: Vec<ExchangeId>,
}

impl Findings {
    /// Nothing found yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The demand is broken here.
    pub fn broken(&mut self, what: impl Into<String>, cites: &[ExchangeId]) {
        self.broken.push(what.into());
        self.blamed.extend_from_slice(cites);
    }

    /// This part may not decide.
    pub fn undecided(&mut self, what: impl Into<String>, cites: &[ExchangeId]) {
        self.undecided.push(what.into());
        self.cites.extend_from_slice(cites);
    }

    /// The demand is met in a doubtful way.
    pub fn doubtful(&mut self, what: impl Into<String>, cites: &[ExchangeId]) {
        self.doubtful.push(what.into());
        self.cites.extend_from_slice(cites);
    }

    /// An exchange that was looked at and found in order.
    pub fn saw(&mut self, cites: &[ExchangeId]) {
        self.cites.extend_from_slice(cites);
    }

    /// The worst finding decides, all of the same or a worse kind are told; without any, `pass` is the reason.
    pub fn conclude(self, pass: impl Into<String>) -> Judgement {
        let (call, reasons, blamed) = if !self.broken.is_empty() {
            (Call::Broken, self.broken, true)
        } else if !self.undecided.is_empty() {
            (Call::Undecided, self.undecided, false)
        } else if !self.doubtful.is_empty() {
            (Call::Doubtful, self.doubtful, false)
        } else {
            (Call::Pass, vec![pass.into()], false)
        };
        // The offending exchanges stand first; the views mark the first cited one.
        let cites = if blamed { &self.blamed } else { &self.cites };
        Judgement::of(call, once(&reasons).join("; ")).cite(cites)
    }
}

/// Every finding once, in the order of the first of its kind; how often it was made stands behind it.
fn once(findings: &[String]) -> Vec<String> {
    let first = |at: usize| !findings[..at].contains(&findings[at]);
    let told = (0..findings.len()).filter(|at| first(*at)).map(|at| {
        match findings.iter().filter(|other| **other == findings[at]).count() {
            1 => findings[at].clone(),
            times => format!("{} ({times} times)", findings[at]),
        }
    });
    told.collect()
}

/// The verdict of a level for one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LevelVerdict {
    /// Every gating clause is pass, not-applicable or attested, and every requirement with executable MUSTs had one executed.
    Conformant,
    /// A gating clause failed.
    NonConformant,
    /// Neither: something was not run, may not decide, or was met in a doubtful way.
    Incomplete,
}

impl LevelVerdict {
    /// The word used in reports.
    pub fn word(self) -> &'static str {
        match self {
            LevelVerdict::Conformant => "conformant",
            LevelVerdict::NonConformant => "non-conformant",
            LevelVerdict::Incomplete => "incomplete",
        }
    }
}

/// Whose fault stopped something. Only a target's fault can be a fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum FaultClass {
    Config,
    Network,
    Target,
    Suite,
}

/// Something that went wrong besides the verdicts, with a way out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Whose fault it is.
    pub class: FaultClass,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_finding_is_told_once() {
        let mut found = Findings::new();
        for what in ["no id", "no name", "no id", "no id"] {
            found.broken(what, &[]);
        }
        assert_eq!(found.conclude("fine").reason, "no id (3 times); no name");
    }

    #[test]
    fn findings_tell_all_of_the_worst_kind() {
        let mut found = Findings::new();
        found.doubtful("late", &["x1".into()]);
        found.broken("code issued", &["x2".into()]);
        found.broken("token issued", &["x3".into()]);
        let judgement = found.conclude("fine");
        assert_eq!(judgement.call, Call::Broken);
        assert_eq!(judgement.reason, "code issued; token issued");
        assert_eq!(judgement.cites, ["x2", "x3"]);
        assert_eq!(Findings::new().conclude("fine"), Judgement::pass("fine"));
    }
}
