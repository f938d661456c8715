//! What the template shows, as plain strings and lists.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::super::view::{EMBEDDED, brief, cut, fix_first, groups, level_title, span_s, visible};
use super::scenario::{ScenarioView, scenarios};
use crate::model::report::{ClauseRow, Evidence, Report};
use crate::model::{LevelVerdict, Verdict};

/// The whole page.
#[derive(Serialize)]
pub struct Page {
    tool: String,
    name: String,
    roles: String,
    embedded: Option<&'static str>,
    interrupted: bool,
    left: Vec<String>,
    fast: bool,
    edition: String,
    facts: Vec<(&'static str, String)>,
    fingerprint: Vec<(String, String)>,
    levels: Vec<LevelView>,
    fixes: Vec<FixView>,
    totals: Vec<Count>,
    groups: Vec<GroupView>,
    scenarios: Vec<ScenarioView>,
    attested: Vec<(String, String)>,
    faults: Vec<FaultView>,
    exchanges: usize,
}

#[derive(Serialize)]
struct Word {
    word: &'static str,
    glyph: &'static str,
}

#[derive(Serialize)]
struct Count {
    verdict: Word,
    count: usize,
}

#[derive(Serialize)]
struct LevelView {
    title: String,
    word: &'static str,
    glyph: &'static str,
    counts: Vec<Count>,
}

#[derive(Serialize)]
struct FixView {
    id: String,
    verdict: Word,
    reason: String,
    also: usize,
}

#[derive(Serialize)]
struct GroupView {
    id: String,
    statement: String,
    verdict: Word,
    counts: Vec<Count>,
    clauses: Vec<ClauseView>,
}

#[derive(Serialize)]
struct ClauseView {
    id: String,
    verdict: Word,
    open: bool,
    strength: String,
    binding: String,
    statement: String,
    source: String,
    reason: String,
    brief: String,
    expected: String,
    observed: String,
    scenario: String,
    evidence: Vec<EvidenceLink>,
    baseline: Option<String>,
}

#[derive(Serialize)]
struct EvidenceLink {
    id: String,
    /// Is the exchange in this file?
    here: bool,
}

#[derive(Serialize)]
struct FaultView {
    class: String,
    message: String,
    hint: String,
}

impl Page {
    /// Everything the template needs.
    pub fn new(report: &Report, evidence: &Evidence, pngs: &[Vec<u8>]) -> Self {
        let run = &report.run;
        let mut totals = BTreeMap::new();
        for clause in &report.clauses {
            *totals.entry(clause.verdict).or_default() += 1;
        }
        let scenarios = scenarios(report, evidence, pngs);
        let here: BTreeSet<&str> = scenarios.iter().flat_map(|row| &row.exchanges).map(|exchange| &*exchange.id).collect();
        let attested = report.clauses.iter().filter(|clause| clause.verdict == Verdict::Attested);
        Page {
            tool: visible(&format!("{} {}", report.tool.name, report.tool.version)),
            name: visible(&report.target.name),
            roles: report.target.roles.iter().map(|role| role.title()).collect::<Vec<_>>().join(", "),
            embedded: report.target.embedded.then_some(EMBEDDED),
            interrupted: run.interrupted,
            left: run.left.iter().map(|what| visible(what)).collect(),
            fast: run.fast,
            edition: visible(&report.catalogue.edition),
            facts: vec![
                ("Started", run.started_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()),
                ("Wall time", format!("{}, {} of it waiting", span_s(run.wall_s), span_s(run.waited_s))),
                ("Requests", run.requests.to_string()),
                ("Logins typed", run.logins.to_string()),
                ("Browser", visible(&run.browser)),
                ("Run", visible(&run.id)),
                ("Target file", cut(&visible(&report.target.config_digest), 17)),
                ("Catalogue", cut(&visible(&report.catalogue.digest), 17)),
            ],
            fingerprint: report.target.fingerprint.iter().map(|(key, value)| (visible(key), visible(value))).collect(),
            levels: report
                .levels
                .iter()
                .map(|row| LevelView {
                    title: level_title(report, row),
                    word: row.verdict.word(),
                    glyph: level_glyph(row.verdict),
                    counts: counts(&row.counts),
                })
                .collect(),
            fixes: fix_first(report)
                .into_iter()
                .map(|fix| FixView {
                    id: visible(&fix.clause.id),
                    verdict: word(fix.clause.verdict),
                    reason: brief(&fix.clause.reason, 300),
                    also: fix.also,
                })
                .collect(),
            totals: counts(&totals),
            groups: groups(report)
                .into_iter()
                .map(|group| GroupView {
                    id: visible(group.id()),
                    statement: visible(group.statement()),
                    verdict: word(group.verdict()),
                    counts: counts(&group.counts()),
                    clauses: group.clauses.iter().map(|row| clause(row, &here)).collect(),
                })
                .collect(),
            attested: attested.map(|row| (visible(&row.id), visible(&row.reason))).collect(),
            faults: report
                .faults
                .iter()
                .map(|fault| FaultView {
                    class: format!("{:?}", fault.class).to_lowercase(),
                    message: visible(&fault.message),
                    hint: visible(&fault.hint),
                })
                .collect(),
            exchanges: evidence.exchanges.len(),
            scenarios,
        }
    }
}

fn clause(row: &ClauseRow, here: &BTreeSet<&str>) -> ClauseView {
    ClauseView {
        id: visible(&row.id),
        verdict: word(row.verdict),
        open: matches!(row.verdict, Verdict::Fail | Verdict::Warning),
        strength: row.strength.to_string(),
        binding: visible(&row.binding),
        statement: visible(&row.statement),
        source: visible(&row.source),
        reason: visible(&row.reason),
        brief: brief(&row.reason, 110),
        expected: visible(&row.expected),
        observed: visible(&row.observed),
        scenario: visible(&row.scenario),
        evidence: row.evidence.iter().map(|id| visible(id)).map(|id| EvidenceLink { here: here.contains(&*id), id }).collect(),
        baseline: row.baseline.as_deref().map(visible),
    }
}

fn counts(counts: &BTreeMap<Verdict, usize>) -> Vec<Count> {
    counts.iter().filter(|(_, n)| **n > 0).map(|(verdict, n)| Count { verdict: word(*verdict), count: *n }).collect()
}

fn word(verdict: Verdict) -> Word {
    let glyph = match verdict {
        Verdict::Fail => "✕",
        Verdict::Warning => "!",
        Verdict::Inconclusive => "?",
        Verdict::NotRun => "–",
        Verdict::NotApplicable => "∅",
        Verdict::Attested => "✎",
        Verdict::Pass => "✓",
    };
    Word { word: verdict.word(), glyph }
}

fn level_glyph(verdict: LevelVerdict) -> &'static str {
    match verdict {
        LevelVerdict::Conformant => "✓",
        LevelVerdict::NonConformant => "✕",
        LevelVerdict::Incomplete => "?",
    }
}
