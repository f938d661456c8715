//! What the template shows, as plain strings and lists.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::super::sequence::{self, Marks};
use super::super::view::{EMBEDDED, brief, cut, fix_first, groups, level_title, span, span_s, visible};
use crate::model::report::{ClauseRow, Evidence, Report, ScenarioRow};
use crate::model::{Exchange, LevelVerdict, Message, Verdict};

/// Characters of a body shown; the HAR has all of it.
const BODY: usize = 3_000;
/// Exchanges above which a scenario is folded.
const LONG: usize = 12;

#[derive(Serialize)]
pub struct Page {
    tool: String,
    name: String,
    roles: String,
    embedded: Option<&'static str>,
    interrupted: bool,
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
struct ScenarioView {
    id: String,
    title: String,
    outcome: String,
    note: String,
    duration: String,
    waited: String,
    held: u32,
    failed: u32,
    open: bool,
    svg: String,
    exchanges: Vec<ExchangeView>,
    /// Exchanges that are in the HAR only.
    more: usize,
    shots: Vec<ShotView>,
}

#[derive(Serialize)]
struct ExchangeView {
    id: String,
    step: String,
    method: String,
    url: String,
    status: String,
    from: &'static str,
    to: &'static str,
    at: String,
    duration: String,
    fault: Option<String>,
    accused_by: Vec<String>,
    request: MessageView,
    response: MessageView,
}

#[derive(Serialize)]
struct MessageView {
    headers: Vec<(String, String)>,
    body: String,
    /// Characters left out.
    left_out: usize,
}

#[derive(Serialize)]
struct ShotView {
    uri: String,
    caption: String,
    at: String,
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
                    title: level_title(row),
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

fn scenarios(report: &Report, evidence: &Evidence, pngs: &[Vec<u8>]) -> Vec<ScenarioView> {
    // The first exchange that a failing clause cites is the offending one.
    let mut marks = Marks::new();
    for clause in report.clauses.iter().filter(|clause| clause.verdict == Verdict::Fail) {
        if let Some(first) = clause.evidence.first() {
            marks.entry(first).or_default().push(&clause.id);
        }
    }
    let cited: BTreeSet<&str> = report.clauses.iter().flat_map(|clause| &clause.evidence).map(|id| &**id).collect();
    let known: BTreeSet<&str> = report.scenarios.iter().map(|row| &*row.id).collect();
    let mut others: Vec<&str> = Vec::new();
    for exchange in &evidence.exchanges {
        if !known.contains(&*exchange.scenario) && !others.contains(&&*exchange.scenario) {
            others.push(&exchange.scenario);
        }
    }
    let view = |id: &str, row: Option<&ScenarioRow>| {
        let all: Vec<&Exchange> = evidence.exchanges.iter().filter(|exchange| exchange.scenario == id).collect();
        let picked = sequence::pick(&all, &marks);
        let listed = all.iter().zip(&picked).filter(|(exchange, picked)| **picked || cited.contains(&*exchange.id));
        let exchanges: Vec<ExchangeView> = listed.map(|(exchange, _)| self::exchange(exchange, &marks)).collect();
        let taken = evidence.shots.iter().zip(pngs).filter(|(shot, png)| shot.scenario == id && !png.is_empty());
        ScenarioView {
            id: visible(if id.is_empty() { "(outside scenarios)" } else { id }),
            title: row.map_or_else(String::new, |row| visible(&row.title)),
            outcome: row.map_or_else(|| "played".to_owned(), |row| visible(&row.outcome)),
            note: row.map_or_else(String::new, |row| visible(&row.note)),
            duration: row.map_or_else(String::new, |row| span(row.duration_ms)),
            waited: row.filter(|row| row.waited_ms > 0).map_or_else(String::new, |row| span(row.waited_ms)),
            held: row.map_or(0, |row| row.controls.held),
            failed: row.map_or(0, |row| row.controls.failed),
            open: all.len() <= LONG && exchanges.iter().any(|exchange| !exchange.accused_by.is_empty()),
            svg: sequence::draw(id, &all, &marks),
            more: all.len() - exchanges.len(),
            exchanges,
            shots: taken
                .map(|(shot, png)| ShotView {
                    uri: format!("data:image/png;base64,{}", STANDARD.encode(png)),
                    caption: visible(&shot.caption),
                    at: shot.at.strftime("%H:%M:%S").to_string(),
                })
                .collect(),
        }
    };
    let rows = report.scenarios.iter().map(|row| view(&row.id, Some(row)));
    rows.chain(others.iter().map(|id| view(id, None))).collect()
}

fn exchange(exchange: &Exchange, marks: &Marks<'_>) -> ExchangeView {
    let error = sequence::error_code(exchange).map_or_else(String::new, |error| format!(" {error}"));
    ExchangeView {
        id: visible(&exchange.id),
        step: visible(&exchange.step),
        method: visible(&exchange.method),
        url: visible(&exchange.url),
        status: if exchange.status == 0 { "–".into() } else { format!("{}{error}", exchange.status) },
        from: exchange.from.title(),
        to: exchange.to.title(),
        at: exchange.started_at.strftime("%H:%M:%S%.3f").to_string(),
        duration: span(exchange.duration_ms),
        fault: exchange.fault.as_deref().map(visible),
        accused_by: marks.get(&*exchange.id).into_iter().flatten().map(|id| visible(id)).collect(),
        request: message(&exchange.request),
        response: message(&exchange.response),
    }
}

fn message(message: &Message) -> MessageView {
    let body = visible(message.body.as_deref().unwrap_or_default());
    let chars = body.chars().count();
    MessageView {
        headers: message.headers.iter().map(|(name, value)| (visible(name), visible(value))).collect(),
        left_out: chars.saturating_sub(BODY),
        body: cut(&body, BODY),
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
