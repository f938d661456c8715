//! GitHub Actions workflow commands: an annotation per clause that is not in order.

use std::fmt::Write as _;

use super::view::{EMBEDDED, counts, level_title, one_line};
use crate::model::report::Report;
use crate::model::{LevelVerdict, Verdict};

/// GitHub shows ten annotations per kind and step; more only fill the log.
const MOST: usize = 10;

/// The report as workflow commands, to be printed to standard output of a step.
pub fn write(report: &Report) -> String {
    let mut out = String::new();
    for (verdict, command) in [(Verdict::Fail, "error"), (Verdict::Warning, "warning"), (Verdict::Inconclusive, "notice")] {
        let rows: Vec<_> = report.clauses.iter().filter(|row| row.verdict == verdict && row.baseline.is_none()).collect();
        for row in rows.iter().take(MOST) {
            let title = property(&format!("{} {verdict}", row.id));
            let _ = writeln!(
                out,
                "::{command} title={title}::{}",
                data(&format!("{} ({}, {})", row.reason, row.strength, row.source))
            );
        }
        if rows.len() > MOST {
            let _ = writeln!(out, "::{command} title={verdict}::{} more are in report.json", rows.len() - MOST);
        }
    }
    for row in &report.levels {
        let command = match row.verdict {
            LevelVerdict::Conformant => "notice",
            LevelVerdict::NonConformant => "error",
            LevelVerdict::Incomplete => "warning",
        };
        let embedded = if report.target.embedded { format!("; {EMBEDDED}") } else { String::new() };
        let text = format!("{} {}: {}{embedded}", level_title(report, row), row.verdict.word(), counts(&row.counts));
        let _ = writeln!(out, "::{command} title=IPSIE {}::{}", row.level, data(&text));
    }
    out
}

fn data(text: &str) -> String {
    // `::` is harmless after the command's own; `%` must go first.
    one_line(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
