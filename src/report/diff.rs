//! What changed between two runs.

use std::fmt::Write as _;

use serde::Serialize;

use super::view::{Style, cut, one_line};
use crate::model::report::{ClauseRow, Report};
use crate::model::{Level, LevelVerdict, Role, Verdict};

/// Whether a change is for the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Further from conformance.
    Worse,
    /// Nearer to it.
    Better,
    /// Neither: a pass that became not-applicable, say.
    Sideways,
}

/// A clause whose verdict changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which clause.
    pub clause: String,
    /// For the better or the worse.
    pub direction: Direction,
    /// Before.
    pub before: Verdict,
    /// Now.
    pub after: Verdict,
    /// Why, now.
    pub reason: String,
}

/// A clause that only one of the runs has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Single {
    /// Which clause.
    pub clause: String,
    /// Its verdict in that run.
    pub verdict: Verdict,
}

/// A level whose verdict changed, or that only one run tested (`null` in the other).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LevelChange {
    /// The level.
    pub level: Level,
    /// The role.
    pub role: Role,
    /// Before.
    pub before: Option<LevelVerdict>,
    /// Now.
    pub after: Option<LevelVerdict>,
}

/// What changed between two runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// What makes the runs hard to compare: another target, another edition.
    pub caveats: Vec<String>,
    /// Levels whose verdict changed.
    pub levels: Vec<LevelChange>,
    /// Clauses whose verdict changed, the worse ones first.
    pub changed: Vec<Change>,
    /// Clauses only the second run has.
    pub new: Vec<Single>,
    /// Clauses only the first run has.
    pub gone: Vec<Single>,
    /// Clauses with the same verdict in both.
    pub same: usize,
}

/// Compares two runs, the earlier one first.
pub fn diff(before: &Report, after: &Report) -> Diff {
    let mut diff = Diff::default();
    let mut caveat = |what: &str, a: &str, b: &str| {
        if a != b {
            diff.caveats.push(format!("{what} differs: `{}` before, `{}` now", one_line(a), one_line(b)));
        }
    };
    caveat("the target", &before.target.name, &after.target.name);
    caveat("the edition", &before.catalogue.edition, &after.catalogue.edition);
    caveat("the target file", &cut(&before.target.config_digest, 13), &cut(&after.target.config_digest, 13));
    for row in &after.levels {
        let old = before.levels.iter().find(|old| (old.level, old.role) == (row.level, row.role)).map(|old| old.verdict);
        if old != Some(row.verdict) {
            diff.levels.push(LevelChange { level: row.level, role: row.role, before: old, after: Some(row.verdict) });
        }
    }
    for old in &before.levels {
        if !after.levels.iter().any(|row| (old.level, old.role) == (row.level, row.role)) {
            diff.levels.push(LevelChange { level: old.level, role: old.role, before: Some(old.verdict), after: None });
        }
    }
    let single = |row: &ClauseRow| Single { clause: row.id.clone(), verdict: row.verdict };
    for row in &after.clauses {
        match before.clauses.iter().find(|old| old.id == row.id) {
            None => diff.new.push(single(row)),
            Some(old) if old.verdict == row.verdict => diff.same += 1,
            Some(old) => diff.changed.push(Change {
                clause: row.id.clone(),
                direction: direction(old.verdict, row.verdict),
                before: old.verdict,
                after: row.verdict,
                reason: row.reason.clone(),
            }),
        }
    }
    diff.gone = before.clauses.iter().filter(|old| !after.clauses.iter().any(|row| row.id == old.id)).map(single).collect();
    diff.changed.sort_by_key(|change| change.direction);
    diff
}

fn direction(before: Verdict, after: Verdict) -> Direction {
    // Steps of trust: pass, attested and not-applicable all satisfy a level.
    let rank = |verdict| match verdict {
        Verdict::Fail => 0,
        Verdict::Inconclusive | Verdict::NotRun => 1,
        Verdict::Warning => 2,
        Verdict::NotApplicable | Verdict::Attested | Verdict::Pass => 3,
    };
    match rank(after).cmp(&rank(before)) {
        std::cmp::Ordering::Less => Direction::Worse,
        std::cmp::Ordering::Equal => Direction::Sideways,
        std::cmp::Ordering::Greater => Direction::Better,
    }
}

impl Diff {
    /// Did any clause change for the worse?
    pub fn worse(&self) -> bool {
        self.changed.iter().any(|change| change.direction == Direction::Worse)
    }

    /// As pretty JSON.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// As text for a terminal.
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        let _ = self.lines(&mut out, style);
        out
    }

    fn lines(&self, out: &mut String, style: Style) -> std::fmt::Result {
        let paint = |text: &str, sgr: &str| if style.color { format!("\u{1b}[{sgr}m{text}\u{1b}[0m") } else { text.to_owned() };
        for caveat in &self.caveats {
            writeln!(out, "{} {caveat}", paint("note:", "33"))?;
        }
        let word = |verdict: Option<LevelVerdict>| verdict.map_or("not tested", LevelVerdict::word);
        for level in &self.levels {
            writeln!(out, "{} {}: {} -> {}", level.level, level.role.title(), word(level.before), word(level.after))?;
        }
        for change in &self.changed {
            let sign = match change.direction {
                Direction::Worse => paint("worse ", "1;31"),
                Direction::Better => paint("better", "1;32"),
                Direction::Sideways => "      ".to_owned(),
            };
            writeln!(out, "{sign}  {}: {} -> {}", one_line(&change.clause), change.before, change.after)?;
            writeln!(out, "        {}", cut(&one_line(&change.reason), style.columns() - 8))?;
        }
        for (sign, rows) in [("new   ", &self.new), ("gone  ", &self.gone)] {
            for row in rows {
                writeln!(out, "{sign}  {}: {}", one_line(&row.clause), row.verdict)?;
            }
        }
        writeln!(out, "{} changed, {} new, {} gone, {} unchanged", self.changed.len(), self.new.len(), self.gone.len(), self.same)
    }
}
