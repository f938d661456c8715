//! TAP version 14: one test point per clause.

use std::fmt::Write as _;

use super::view::{EMBEDDED, one_line};
use crate::model::Verdict;
use crate::model::report::Report;

/// The report as TAP. What was not decided is `not ok # TODO`: TAP must not count it as a pass, nor as a failure.
pub fn write(report: &Report) -> String {
    let mut out = format!("TAP version 14\n1..{}\n", report.clauses.len());
    if report.target.embedded {
        let _ = writeln!(out, "# {EMBEDDED}");
    }
    for (at, clause) in report.clauses.iter().enumerate() {
        let reason = escape(&clause.reason);
        let (word, directive) = match clause.verdict {
            Verdict::Pass => ("ok", String::new()),
            Verdict::Warning => ("ok", String::new()),
            Verdict::Attested => ("ok", format!(" # SKIP {reason}")),
            Verdict::NotApplicable => ("ok", format!(" # SKIP not applicable: {reason}")),
            Verdict::Fail if clause.baseline.is_none() => ("not ok", String::new()),
            Verdict::Fail => ("not ok", format!(" # TODO known failure: {reason}")),
            Verdict::NotRun | Verdict::Inconclusive => ("not ok", format!(" # TODO {}: {reason}", clause.verdict)),
        };
        let _ = writeln!(out, "{word} {} - {}{directive}", at + 1, escape(&clause.id));
        if matches!(clause.verdict, Verdict::Fail | Verdict::Warning) {
            // JSON strings are YAML strings.
            let quote = |text: &str| serde_json::Value::from(one_line(text)).to_string();
            let _ = writeln!(out, "  ---\n  verdict: {}\n  strength: {}", clause.verdict, clause.strength);
            let _ = writeln!(out, "  message: {}\n  source: {}\n  ...", quote(&clause.reason), quote(&clause.source));
        }
    }
    out
}

fn escape(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('#', "\\#")
}
