//! Observations -> verdicts -> level outcomes. Pure: no I/O, so a finished run can be judged again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalogue::Catalogue;
use crate::model::clause::ONE_OF;
use crate::model::report::{ClauseRow, Controls, LevelRow, RequirementRow};
use crate::model::target::Attestation;
use crate::model::{Call, Clause, ClauseId, FaultClass, How, Judgement, Level, LevelVerdict, Verdict};
use crate::plan::{Fate, Plan, Planned};
use crate::suite::Scenario;
use crate::suites;
use crate::suites::account_leaver::Leaver;
use crate::suites::scim_blocks::Ended;

/// What a scenario left behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observation {
    /// The scenario's name.
    pub scenario: String,
    /// What it saw, or why it could not be played to its end.
    pub outcome: Result<Value, Stopped>,
    /// Milliseconds it took.
    pub duration_ms: u64,
    /// Milliseconds of it spent waiting for the clock.
    pub waited_ms: u64,
    /// Controls that succeeded and failed.
    pub controls: Controls,
}

/// Why a scenario stopped.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stopped {
    /// Whose fault it is.
    pub class: FaultClass,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Everything a run saw: enough to judge it again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Observations {
    /// One per scenario played, in the order they ended.
    pub scenarios: Vec<Observation>,
    /// The operator's statements.
    pub attest: BTreeMap<String, Attestation>,
    /// What the plan did about each clause; without it the run cannot be judged again.
    #[serde(default)]
    pub fates: BTreeMap<ClauseId, Fate>,
}

impl Observations {
    fn of(&self, scenario: &str) -> Option<&Observation> {
        self.scenarios.iter().find(|seen| seen.scenario == scenario)
    }
}

/// The verdict of a clause from its check's judgement.
fn applied(clause: &Clause, judgement: Judgement) -> (Verdict, Judgement) {
    let verdict = match judgement.call {
        Call::Pass => Verdict::Pass,
        Call::Doubtful => Verdict::Warning,
        Call::Broken if clause.strength.gates() => Verdict::Fail,
        Call::Broken => Verdict::Warning,
        Call::Undecided => Verdict::Inconclusive,
        Call::NotApplicable => Verdict::NotApplicable,
        Call::NotConfigured => Verdict::NotRun,
    };
    (verdict, judgement)
}

/// Judges every clause of the plan.
pub fn clauses(plan: &Plan, seen: &Observations) -> Vec<ClauseRow> {
    let mut judged: BTreeMap<ClauseId, Judgement> = BTreeMap::new();
    let mut by: BTreeMap<ClauseId, &Observation> = BTreeMap::new();
    for suite in suites::all() {
        let Some(observation) = seen.of(suite.id()) else { continue };
        for clause in suite.clauses() {
            by.insert(clause, observation);
        }
        if let Ok(value) = &observation.outcome {
            match suite.judge(value) {
                Ok(judgements) => judged.extend(judgements),
                Err(error) => judged.extend(suite.clauses().into_iter().map(|clause| {
                    (clause, Judgement::undecided(format!("the recorded observation of {} is not readable: {error}", suite.id())))
                })),
            }
        }
    }
    let mut rows: Vec<ClauseRow> = plan
        .clauses
        .iter()
        .map(|planned| row(planned, judged.get(&planned.clause.id), by.get(&planned.clause.id).copied(), seen))
        .collect();
    if plan.profile.is_none() {
        excuse(&mut rows, ended(seen));
    }
    rows
}

/// By which way access was seen to end at the application, sessions and all.
fn ended(seen: &Observations) -> Option<Ended> {
    let leaver = seen.scenarios.iter().find(|one| one.scenario == Leaver::ID)?;
    serde_json::from_value(leaver.outcome.as_ref().ok()?.get("ended")?.clone()).ok()
}

/// AL1 asks for one of suspend, archive and delete: where one of them works and ends access, those of SCIM that do not work warn. What a
/// declared command binding gets wrong still fails. The way whose sessions were looked at is the one that must work: of another nobody
/// knows whether it ends them.
fn excuse(rows: &mut [ClauseRow], ended: Option<Ended>) {
    let passed = |id: &str| rows.iter().any(|row| row.id == id && row.verdict == Verdict::Pass);
    let looked_at = match ended {
        // PUT is no clause of the list: what it does, PATCH or DELETE may do as well.
        Some(Ended::Put) | None => None,
        Some(Ended::Patch) => Some("al1.app.deactivate-patch"),
        Some(Ended::Delete) => Some("al1.app.delete-user"),
        Some(Ended::Suspend) => Some("al1.app.cmd-suspend"),
        Some(Ended::Archive) => Some("al1.app.cmd-archive-restore"),
        Some(Ended::Erase) => Some("al1.app.cmd-delete"),
    };
    let may = |id: &&str| looked_at.is_none_or(|way| way == *id) && passed(id);
    let Some(way) = ONE_OF.into_iter().find(may).filter(|_| passed("al1.app.any-one-way")) else { return };
    let others = rows.iter_mut().filter(|row| ONE_OF.contains(&row.id.as_str()) && row.binding == "scim");
    for row in others.filter(|row| row.strength.gates() && row.verdict != Verdict::Pass) {
        row.excused = Some(format!("{way} works, and the level asks for one way"));
        if row.verdict == Verdict::Fail {
            row.verdict = Verdict::Warning;
            row.reason = format!("{} (it does not gate: {way} works, and the level asks for one way)", row.reason);
        }
    }
}

/// Judges the clauses of one scenario as soon as it has ended, for the live view.
pub fn of_scenario(plan: &Plan, observation: &Observation, attest: &BTreeMap<String, Attestation>) -> Vec<ClauseRow> {
    let one = Observations { scenarios: vec![observation.clone()], attest: attest.clone(), ..Observations::default() };
    let Some(suite) = suites::all().iter().find(|suite| suite.id() == observation.scenario) else { return Vec::new() };
    let ids = suite.clauses();
    clauses(plan, &one).into_iter().filter(|row| ids.contains(&row.id)).collect()
}

fn row(planned: &Planned, judgement: Option<&Judgement>, by: Option<&Observation>, seen: &Observations) -> ClauseRow {
    let clause = &planned.clause;
    let heard = judgement.is_some();
    let (mut verdict, mut judgement) = match (&planned.fate, judgement, by.map(|by| &by.outcome)) {
        (Fate::NotRun(reason) | Fate::LeftOut(reason), _, _) => (Verdict::NotRun, Judgement::undecided(reason.clone())),
        (Fate::NotApplicable(reason), _, _) => applied(clause, Judgement::not_applicable(reason.clone())),
        (Fate::Declared { holds: true, reason }, _, _) => applied(clause, Judgement::pass(reason.clone())),
        (Fate::Declared { holds: false, reason }, _, _) => applied(clause, Judgement::broken(reason.clone())),
        (Fate::Statement, _, _) => {
            (Verdict::NotRun, Judgement::undecided(format!("no statement: attest.\"{}\" is not configured", clause.id)))
        }
        (Fate::Tested, Some(judgement), _) => applied(clause, judgement.clone()),
        (Fate::Tested, None, Some(Err(stopped))) => {
            let verdict = if stopped.class == FaultClass::Config { Verdict::NotRun } else { Verdict::Inconclusive };
            (verdict, Judgement::undecided(stopped.message.clone()))
        }
        (Fate::Tested, None, _) => (Verdict::Inconclusive, Judgement::undecided("the run ended before this was tested")),
    };
    // A test that was cut off might have decided: no statement stands in for it.
    let cut = planned.fate == Fate::Tested && !heard && verdict == Verdict::Inconclusive;
    // Nor for one that could decide and that nobody wanted to run.
    let cut = cut || (matches!(planned.fate, Fate::LeftOut(_)) && clause.how != How::Attested);
    // What the target file itself decides is no matter of a statement.
    let attestable = (clause.attestable || clause.how == How::Attested) && !matches!(planned.fate, Fate::Declared { .. });
    let statement = seen.attest.get(&clause.id).or_else(|| seen.attest.get(clause.base()));
    if let Some(statement) = statement.filter(|_| attestable) {
        let told = format!("{} ({}, {})", statement.statement, statement.by, statement.date);
        if !statement.holds {
            verdict = if clause.strength.gates() { Verdict::Fail } else { Verdict::Warning };
            judgement.reason = format!("the operator states that the demand does not hold: {told}");
        } else if !cut && matches!(verdict, Verdict::Inconclusive | Verdict::NotRun) {
            let tested = planned.fate == Fate::Tested && !judgement.reason.is_empty();
            let why = if tested { format!("; the test alone: {}", judgement.reason) } else { String::new() };
            verdict = Verdict::Attested;
            judgement.reason = format!("{told}{why}");
        }
    }
    ClauseRow {
        id: clause.id.clone(),
        level: clause.level,
        role: clause.role,
        requirement: clause.requirement.clone(),
        binding: clause.binding.clone(),
        strength: clause.strength,
        statement: clause.statement.clone(),
        source: clause.source.clone(),
        verdict,
        reason: judgement.reason,
        expected: if judgement.expected.is_empty() { clause.pass.clone() } else { judgement.expected },
        observed: judgement.observed,
        scenario: by.map(|by| by.scenario.clone()).unwrap_or_default(),
        evidence: judgement.cites,
        duration_ms: by.map_or(0, |by| by.duration_ms),
        baseline: None,
        excused: None,
    }
}

/// One row per requirement that has clauses in this run.
pub fn requirements(catalogue: &Catalogue, rows: &[ClauseRow]) -> Vec<RequirementRow> {
    catalogue
        .requirements
        .iter()
        .filter_map(|requirement| {
            let own: Vec<&ClauseRow> = rows.iter().filter(|row| row.requirement == requirement.id).collect();
            let gating: Vec<Verdict> = own.iter().filter(|row| row.gates()).map(|row| row.verdict).collect();
            let all: Vec<Verdict> = own.iter().map(|row| row.verdict).collect();
            let verdict = worst(&gating).or_else(|| worst(&all))?;
            Some(RequirementRow {
                id: requirement.id.clone(),
                level: requirement.level,
                role: requirement.role,
                statement: requirement.statement.clone(),
                verdict,
                clauses: own.iter().map(|row| row.id.clone()).collect(),
            })
        })
        .collect()
}

/// The worst of these verdicts; what does not apply counts only where nothing else was found.
fn worst(verdicts: &[Verdict]) -> Option<Verdict> {
    let applies = |verdict: &&Verdict| **verdict != Verdict::NotApplicable;
    verdicts.iter().filter(applies).min().or_else(|| verdicts.iter().min()).copied()
}

/// The verdict of each level and role of the plan, included levels first. A failure that the baseline knows counts here: only the exit code
/// forgives it.
pub fn levels(plan: &Plan, rows: &[ClauseRow]) -> Vec<LevelRow> {
    let mut out = Vec::new();
    for &role in &plan.roles {
        // With the levels it includes: who misses SL2 wants to know about SL1.
        for level in Level::ALL.into_iter().filter(|level| plan.levels.iter().any(|asked| asked.includes(*level))) {
            let own: Vec<&ClauseRow> = rows.iter().filter(|row| row.role == role && level.includes(row.level)).collect();
            if own.is_empty() {
                continue;
            }
            let mut counts = BTreeMap::new();
            for row in &own {
                *counts.entry(row.verdict).or_insert(0) += 1;
            }
            out.push(LevelRow { level, role, verdict: level_verdict(&own), counts });
        }
    }
    out
}

fn level_verdict(rows: &[&ClauseRow]) -> LevelVerdict {
    let gating = || rows.iter().filter(|row| row.gates());
    if gating().any(|row| row.verdict == Verdict::Fail) {
        return LevelVerdict::NonConformant;
    }
    // A MUST that was met in a doubtful way is not met beyond doubt.
    let open = gating().any(|row| matches!(row.verdict, Verdict::Inconclusive | Verdict::NotRun | Verdict::Warning));
    // Every requirement that has executable MUSTs must have had one executed: a level that nobody looked at is not met.
    let executed = |row: &ClauseRow| matches!(row.verdict, Verdict::Pass | Verdict::Fail | Verdict::Warning);
    let executable = |row: &&&ClauseRow| suites::all().iter().any(|suite| suite.clauses().contains(&row.id));
    let requirements: std::collections::BTreeSet<&str> =
        gating().filter(executable).map(|row| row.requirement.as_str()).collect();
    // Where every condition is absent, or only a person can tell, there was nothing to execute.
    let settled = |row: &ClauseRow| match row.verdict {
        Verdict::NotApplicable => true,
        Verdict::Attested => !executable(&&row),
        _ => false,
    };
    let of = |id: &str| gating().filter(|row| row.requirement == id).copied().collect::<Vec<_>>();
    let unexecuted = !gating().any(|row| executed(row))
        || requirements.iter().any(|id| !of(id).iter().any(|row| executed(row)) && !of(id).iter().all(|row| settled(row)));
    if open || unexecuted { LevelVerdict::Incomplete } else { LevelVerdict::Conformant }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Role, Strength};

    fn clause(id: &str, requirement: &str, strength: Strength, verdict: Verdict) -> ClauseRow {
        ClauseRow {
            id: format!("sl1.idp.{id}"),
            level: Level::Sl1,
            role: Role::Idp,
            requirement: requirement.into(),
            binding: "oidc".into(),
            strength,
            statement: String::new(),
            source: String::new(),
            verdict,
            reason: String::new(),
            expected: String::new(),
            observed: String::new(),
            scenario: String::new(),
            evidence: Vec::new(),
            duration_ms: 0,
            baseline: None,
            excused: None,
        }
    }

    #[test]
    fn a_statement_stands_in_for_what_a_test_leaves_open_and_not_for_a_test_that_was_cut_off() {
        let catalogue = Catalogue::embedded().unwrap();
        let attestable = catalogue.clauses.iter().find(|clause| clause.attestable && clause.how != How::Attested);
        let planned = Planned { clause: attestable.unwrap().clone(), fate: Fate::Tested };
        let verdict = |judgement: Option<&Judgement>, outcome: Result<Value, FaultClass>, holds| {
            let stopped = |class| Stopped { class, message: "stopped".into(), hint: String::new() };
            let outcome = outcome.map_err(stopped);
            let (scenario, controls) = ("a scenario".to_owned(), Controls::default());
            let by = Observation { scenario, outcome, duration_ms: 0, waited_ms: 0, controls };
            let statement = Attestation { holds, statement: "so it is".into(), by: "me".into(), date: "2026-01-01".into() };
            let attest = BTreeMap::from([(planned.clause.id.clone(), statement)]);
            row(&planned, judgement, Some(&by), &Observations { attest, ..Observations::default() }).verdict
        };
        let open = Judgement::undecided("nobody knows");
        assert_eq!(verdict(Some(&open), Ok(Value::Null), true), Verdict::Attested);
        assert_eq!(verdict(None, Err(FaultClass::Config), true), Verdict::Attested);
        assert_eq!(verdict(None, Err(FaultClass::Target), true), Verdict::Inconclusive);
        assert_eq!(verdict(None, Err(FaultClass::Target), false), Verdict::Fail);
        assert_eq!(verdict(Some(&Judgement::broken("seen")), Ok(Value::Null), true), Verdict::Fail);
        // A test that nobody wanted to run is not replaced either.
        let left_out = Planned { fate: Fate::LeftOut("left out by --fast".into()), ..planned.clone() };
        let statement = Attestation { holds: true, statement: "so it is".into(), by: "me".into(), date: "2026-01-01".into() };
        let attest = BTreeMap::from([(planned.clause.id.clone(), statement)]);
        let seen = Observations { attest, ..Observations::default() };
        assert_eq!(row(&left_out, None, None, &seen).verdict, Verdict::NotRun);
    }

    #[test]
    fn one_way_to_end_access_excuses_the_other_scim_way_only() {
        let row = |slug: &str, binding: &str, verdict| ClauseRow {
            id: format!("al1.app.{slug}"),
            binding: binding.into(),
            level: Level::Al1,
            role: Role::App,
            ..clause(slug, "end", Strength::Must, verdict)
        };
        let verdict = |ended, any_one_way, command| {
            let mut rows = vec![
                row("deactivate-patch", "scim", Verdict::Pass),
                row("delete-user", "scim", Verdict::Fail),
                row("any-one-way", "cross", any_one_way),
                row("cmd-suspend", "op-commands", command),
            ];
            excuse(&mut rows, Some(ended));
            level(&rows)
        };
        assert_eq!(verdict(Ended::Patch, Verdict::Pass, Verdict::NotApplicable), LevelVerdict::Conformant);
        assert_eq!(verdict(Ended::Put, Verdict::Pass, Verdict::NotApplicable), LevelVerdict::Conformant);
        assert_eq!(verdict(Ended::Patch, Verdict::Pass, Verdict::Fail), LevelVerdict::NonConformant);
        assert_eq!(verdict(Ended::Patch, Verdict::Inconclusive, Verdict::NotApplicable), LevelVerdict::NonConformant);
        // The sessions were seen to end by the way that is broken, and nobody looked at them after the other one.
        assert_eq!(verdict(Ended::Delete, Verdict::Pass, Verdict::NotApplicable), LevelVerdict::NonConformant);
    }

    fn level(rows: &[ClauseRow]) -> LevelVerdict {
        level_verdict(&rows.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_level_is_conformant_only_when_every_must_is_met_beyond_doubt() {
        let with = |verdict| {
            let pass = clause("pkce-required", "code", Strength::Must, Verdict::Pass);
            level(&[pass, clause("code-single-use", "code", Strength::Must, verdict)])
        };
        assert_eq!(with(Verdict::Pass), LevelVerdict::Conformant);
        assert_eq!(with(Verdict::NotApplicable), LevelVerdict::Conformant);
        assert_eq!(with(Verdict::Attested), LevelVerdict::Conformant);
        assert_eq!(with(Verdict::Fail), LevelVerdict::NonConformant);
        for open in [Verdict::Warning, Verdict::Inconclusive, Verdict::NotRun] {
            assert_eq!(with(open), LevelVerdict::Incomplete, "{open}");
        }
    }

    #[test]
    fn a_known_failure_is_one_and_a_statement_alone_meets_no_requirement_that_a_test_could() {
        let known =
            ClauseRow { baseline: Some("known".into()), ..clause("pkce-required", "code", Strength::Must, Verdict::Fail) };
        assert_eq!(level(&[known]), LevelVerdict::NonConformant);
        let pass = clause("pkce-required", "code", Strength::Must, Verdict::Pass);
        let stated = |id: &str| clause(id, "other", Strength::Must, Verdict::Attested);
        assert_eq!(level(&[pass.clone(), stated("mfa-enforced")]), LevelVerdict::Incomplete);
        // What only a person can tell needs no test.
        assert_eq!(level(&[pass, stated("sub-never-reassigned")]), LevelVerdict::Conformant);
    }

    #[test]
    fn a_should_never_decides_and_a_level_that_nobody_looked_at_is_not_met() {
        let should = clause("dpop-offered", "token", Strength::Should, Verdict::Warning);
        let pass = clause("pkce-required", "code", Strength::Must, Verdict::Pass);
        assert_eq!(level(&[pass.clone(), should.clone()]), LevelVerdict::Conformant);
        assert_eq!(level(&[should]), LevelVerdict::Incomplete);
        // A requirement whose condition is absent needs no execution, as long as something else was executed.
        let absent = clause("dpop-binding-enforced", "token", Strength::Must, Verdict::NotApplicable);
        assert_eq!(level(&[pass, absent.clone()]), LevelVerdict::Conformant);
        assert_eq!(level(&[absent]), LevelVerdict::Incomplete);
    }
}
