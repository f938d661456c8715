//! What several formats say alike: grouping, the order of mending, counts, times, and text made safe to show.

use std::collections::BTreeMap;

use crate::model::Verdict;
use crate::model::report::{ClauseRow, LevelRow, Report, RequirementRow};

/// Said wherever a run against the embedded reference peers is shown.
pub const EMBEDDED: &str = "embedded reference peers: this certifies nothing";

/// Entries of "What to fix first" at most.
const FIX_FIRST: usize = 5;

/// How text is to be set. Read from the environment by the caller, never by a renderer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Colours and bold by ANSI escapes.
    pub color: bool,
    /// Columns of the terminal; `None` is 80.
    pub width: Option<u16>,
}

impl Style {
    /// Columns to fill: at least 60 (below that nothing wraps well), at most 120 (longer lines read badly).
    pub fn columns(self) -> usize {
        usize::from(self.width.unwrap_or(80)).clamp(60, 120)
    }
}

/// A requirement with its clauses.
pub struct Group<'a> {
    /// The requirement; `None` for clauses whose requirement is not in the report.
    pub requirement: Option<&'a RequirementRow>,
    /// Its clauses, in catalogue order.
    pub clauses: Vec<&'a ClauseRow>,
}

impl Group<'_> {
    /// The requirement's id.
    pub fn id(&self) -> &str {
        self.requirement.map_or("other clauses", |row| &row.id)
    }

    /// The requirement's statement.
    pub fn statement(&self) -> &str {
        self.requirement.map_or("Clauses whose requirement this report does not list.", |row| &row.statement)
    }

    /// The requirement's verdict.
    pub fn verdict(&self) -> Verdict {
        let worst = || self.clauses.iter().map(|clause| clause.verdict).min().unwrap_or(Verdict::NotRun);
        self.requirement.map_or_else(worst, |row| row.verdict)
    }

    /// Clauses per verdict, worst first.
    pub fn counts(&self) -> BTreeMap<Verdict, usize> {
        let mut counts = BTreeMap::new();
        for clause in &self.clauses {
            *counts.entry(clause.verdict).or_default() += 1;
        }
        counts
    }
}

/// The clauses grouped by requirement, both in the report's order. Every clause is in exactly one group.
pub fn groups(report: &Report) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for requirement in &report.requirements {
        let clauses = report.clauses.iter().filter(|clause| clause.requirement == requirement.id).collect();
        groups.push(Group { requirement: Some(requirement), clauses });
    }
    let known = |clause: &&ClauseRow| !report.requirements.iter().any(|row| row.id == clause.requirement);
    let rest: Vec<&ClauseRow> = report.clauses.iter().filter(known).collect();
    if !rest.is_empty() {
        groups.push(Group { requirement: None, clauses: rest });
    }
    groups.retain(|group| !group.clauses.is_empty());
    groups
}

/// An entry of "What to fix first".
pub struct Fix<'a> {
    /// The clause to begin with.
    pub clause: &'a ClauseRow,
    /// Further clauses that wait for the same thing.
    pub also: usize,
}

/// What to fix first, at most five entries.
///
/// Gating fails come first, then what keeps the level incomplete, then warnings. Within a kind the lower level goes first (every higher
/// one includes it), then the requirement with the most clauses of that kind: it is the one furthest from being met. Clauses that
/// share their reason (one missing key of the target file, one login that failed) make one entry: one act mends them all.
/// Failures known to the baseline are left out.
pub fn fix_first(report: &Report) -> Vec<Fix<'_>> {
    let rank = |clause: &ClauseRow| match clause.verdict {
        _ if clause.baseline.is_some() => None,
        Verdict::Fail => Some(0),
        Verdict::Inconclusive | Verdict::NotRun if clause.gates() => Some(1),
        Verdict::Warning => Some(2),
        _ => None,
    };
    let weight = |clause: &ClauseRow| {
        let alike = |other: &&ClauseRow| other.requirement == clause.requirement && rank(other) == rank(clause);
        report.clauses.iter().filter(alike).count()
    };
    let mut open: Vec<&ClauseRow> = report.clauses.iter().filter(|clause| rank(clause).is_some()).collect();
    open.sort_by_key(|clause| (rank(clause), clause.level, std::cmp::Reverse(weight(clause))));
    let mut fixes: Vec<Fix<'_>> = Vec::new();
    for clause in open {
        let same = |fix: &&mut Fix<'_>| fix.clause.verdict == clause.verdict && fix.clause.reason == clause.reason;
        match fixes.iter_mut().find(same) {
            Some(fix) => fix.also += 1,
            None => fixes.push(Fix { clause, also: 0 }),
        }
    }
    fixes.truncate(FIX_FIRST);
    fixes
}

/// Clauses per verdict in words, worst first: `2 fail, 1 warning, 40 pass`.
pub fn counts(counts: &BTreeMap<Verdict, usize>) -> String {
    let words: Vec<String> = counts.iter().filter(|(_, n)| **n > 0).map(|(verdict, n)| format!("{n} {verdict}")).collect();
    if words.is_empty() { "no clauses".into() } else { words.join(", ") }
}

/// `1 clause`, `2 clauses`.
pub fn many(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// `SL1 Identity Service`, or with the profile that was judged by in place of the level.
pub fn level_title(report: &Report, row: &LevelRow) -> String {
    let profile = report.catalogue.profile.as_ref().map_or(String::new(), |name| format!(", profile {name} only"));
    format!("{} {}{profile}", row.level, row.role.title())
}

/// The levels of the run in words: `SL1 idp, SL1 app`.
pub fn levels(report: &Report) -> String {
    let levels = report.levels.iter().map(|row| format!("{} {}", row.level, row.role)).collect::<Vec<_>>().join(", ");
    report.catalogue.profile.as_ref().map_or(levels.clone(), |name| format!("{name} ({levels})"))
}

/// A time span for people: `850 ms`, `12.3 s`, `2 min 05 s`.
pub fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// Seconds as [`span`].
pub fn span_s(seconds: f64) -> String {
    // `as` saturates, which is what a hand-edited report deserves.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    span((seconds * 1000.0).max(0.0) as u64)
}

/// Text made safe to show: control characters and characters that reorder text are written as escapes, so that evidence can neither
/// drive a terminal nor disguise itself. Line breaks and tabs are kept.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => {}
            _ if hidden(c) => out.extend(c.escape_unicode()),
            _ => out.push(c),
        }
    }
    out
}

/// [`visible`] on one line.
pub fn one_line(text: &str) -> String {
    visible(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A word as it can be pasted into a shell: in single quotes where it needs them.
pub fn shell_word(text: &str) -> String {
    let word = one_line(text);
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

fn hidden(c: char) -> bool {
    // Bidirectional controls and invisible marks (Unicode TR 36), non-characters (invalid in XML 1.0).
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// The first characters of a text, with an ellipsis where something was cut.
pub fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// A reason for a one-line place: its first sentence, cut to so many characters.
pub fn brief(text: &str, chars: usize) -> String {
    let line = one_line(text);
    let end = line.find(". ").map_or(line.len(), |at| at + 1);
    cut(&line[..end], chars)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_cannot_drive_a_terminal() {
        assert_eq!(visible("a\u{1b}[31mb\u{202e}\u{7}c\r\n"), "a\\u{1b}[31mb\\u{202e}\\u{7}c\n");
        assert_eq!(one_line(" a\n  b "), "a b");
    }

    #[test]
    fn a_directory_can_be_pasted_into_a_shell() {
        assert_eq!([shell_word("a/b-1"), shell_word("a b"), shell_word("it's")], ["a/b-1", "'a b'", "'it'\\''s'"]);
    }

    #[test]
    fn cutting_keeps_characters_whole() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(brief("One. Two.", 80), "One.");
    }

    #[test]
    fn spans_are_for_people() {
        assert_eq!([span(850), span(12_345), span(125_000)], ["850 ms", "12.3 s", "2 min 05 s"]);
        assert_eq!(span_s(-1.0), "0 ms");
    }
}
