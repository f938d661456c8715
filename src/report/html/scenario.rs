//! A scenario with its exchanges and screenshots, as the template shows it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::super::sequence::{self, Marks};
use super::super::view::{cut, span, visible};
use crate::model::report::{Evidence, Report, ScenarioRow};
use crate::model::{Exchange, Message, Verdict};

/// Characters of a body shown; the HAR has all of it.
const BODY: usize = 3_000;
/// Exchanges above which a scenario is folded.
const LONG: usize = 12;

/// A scenario.
#[derive(Serialize)]
pub struct ScenarioView {
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
    pub exchanges: Vec<ExchangeView>,
    /// Exchanges that are in the HAR only.
    more: usize,
    shots: Vec<ShotView>,
}

/// An exchange.
#[derive(Serialize)]
pub struct ExchangeView {
    pub id: String,
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

/// Every scenario of the report, then those only the evidence names.
pub fn scenarios(report: &Report, evidence: &Evidence, pngs: &[Vec<u8>]) -> Vec<ScenarioView> {
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
