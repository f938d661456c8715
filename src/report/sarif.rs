//! SARIF 2.1.0 for code-scanning dashboards: a rule per clause that is not in order, a result each.

use serde_json::{Value, json};

use super::view::visible;
use crate::model::report::{ClauseRow, Report};
use crate::model::{Strength, Verdict};

/// The report as SARIF. Clauses that passed, are not applicable or attested are left out, as dashboards show every result as a finding;
/// what was not decided is of kind `review`.
pub fn write(report: &Report) -> String {
    let is_open =
        |row: &&ClauseRow| matches!(row.verdict, Verdict::Fail | Verdict::Warning | Verdict::Inconclusive | Verdict::NotRun);
    let open: Vec<&ClauseRow> = report.clauses.iter().filter(is_open).collect();
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": report.tool.name,
                "semanticVersion": report.tool.version,
                "rules": open.iter().map(|row| rule(row)).collect::<Vec<_>>(),
            }},
            "automationDetails": {"id": format!("ipsie/{}", visible(&report.run.id))},
            "invocations": [{
                "executionSuccessful": !report.run.interrupted,
                "startTimeUtc": report.run.started_at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
                "endTimeUtc": report.run.finished_at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
            }],
            "results": open.iter().enumerate().map(|(at, row)| result(report, at, row)).collect::<Vec<_>>(),
            "properties": {"target": visible(&report.target.name), "edition": report.catalogue.edition, "embedded": report.target.embedded},
        }],
    });
    let mut text = serde_json::to_string_pretty(&sarif).unwrap_or_default();
    text.push('\n');
    text
}

fn rule(row: &ClauseRow) -> Value {
    let level = if row.gates() { "error" } else { "warning" };
    json!({
        "id": row.id,
        "shortDescription": {"text": visible(&row.statement)},
        "fullDescription": {"text": visible(&format!("{} {} ({})", row.strength, row.statement, row.source))},
        "defaultConfiguration": {"level": level},
        "properties": {"tags": ["security", row.level, row.role, row.binding]},
    })
}

fn result(report: &Report, rule: usize, row: &ClauseRow) -> Value {
    let (kind, level) = match (row.verdict, row.strength) {
        (Verdict::Fail, Strength::Must | Strength::MustNot) => ("fail", "error"),
        (Verdict::Fail | Verdict::Warning, _) => ("fail", "warning"),
        // SARIF 3.27.10: any kind but `fail` has the level `none`.
        _ => ("review", "none"),
    };
    let mut result = json!({
        "ruleId": row.id,
        "ruleIndex": rule,
        "kind": kind,
        "level": level,
        "message": {"text": visible(&row.reason)},
        // Dashboards want a file: the run's own evidence is the only one there is.
        "locations": [{
            "physicalLocation": {"artifactLocation": {"uri": super::json::EVIDENCE_FILE}},
            "logicalLocations": [{"name": visible(&report.target.name), "kind": "resource"}],
        }],
        "partialFingerprints": {"clause/v1": row.id},
        "properties": {"verdict": row.verdict, "expected": visible(&row.expected), "observed": visible(&row.observed), "evidence": row.evidence},
    });
    if let Some(known) = &row.baseline {
        result["suppressions"] = json!([{"kind": "external", "justification": visible(known)}]);
    }
    result
}
