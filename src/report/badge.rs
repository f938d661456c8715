//! An SVG badge: `IPSIE SL1 idp | conformant`. Runs against the embedded peers say `reference peer` instead of a verdict.

use super::sequence::escape;
use crate::model::LevelVerdict;
use crate::model::report::{LevelRow, Report};

/// Twice the width of a character in pixels: 11 px Verdana on average; `textLength` makes it exact.
const CHAR_X2: usize = 13;

/// The badge of the highest level of each role in the report; the worst verdict colours it.
pub fn write(report: &Report) -> String {
    let included = |row: &LevelRow| {
        report.levels.iter().any(|other| other.role == row.role && other.level != row.level && other.level.includes(row.level))
    };
    let shown: Vec<&LevelRow> = report.levels.iter().filter(|row| !included(row)).collect();
    let names: Vec<String> = shown.iter().map(|row| format!("{} {}", row.level, row.role)).collect();
    let left = format!("IPSIE {}", names.join(", "));
    let worst = report.levels.iter().map(|row| row.verdict).max_by_key(|verdict| match verdict {
        LevelVerdict::Conformant => 0,
        LevelVerdict::Incomplete => 1,
        LevelVerdict::NonConformant => 2,
    });
    let (right, color) = match worst {
        _ if report.target.embedded => ("reference peer", "#57606a"),
        Some(LevelVerdict::Conformant) => ("conformant", "#12692f"),
        Some(LevelVerdict::NonConformant) => ("non-conformant", "#b42318"),
        Some(LevelVerdict::Incomplete) => ("incomplete", "#855200"),
        None => ("no level", "#57606a"),
    };
    draw(left.trim(), right, color)
}

fn draw(left: &str, right: &str, color: &str) -> String {
    let (l, r) = (left.chars().count() * CHAR_X2 / 2 + 12, right.chars().count() * CHAR_X2 / 2 + 12);
    let (width, left, right) = (l + r, escape(left), escape(right));
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{left}: {right}"><title>{left}: {right}</title><clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath><g clip-path="url(#r)"><rect width="{l}" height="20" fill="#24292f"/><rect x="{l}" width="{r}" height="20" fill="{color}"/></g><g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11"><text x="6" y="14" textLength="{}">{left}</text><text x="{}" y="14" textLength="{}">{right}</text></g></svg>
"##,
        l - 12,
        l + 6,
        r - 12
    )
}
