//! The report on a terminal: what is not in order by requirement, then what to fix first, then the verdict of each level.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, Width};

use super::view::{
    EMBEDDED, Group, Style, brief, counts, cut, fix_first, groups, level_title, many, one_line, shell_word, span, span_s,
};
use crate::model::report::{ClauseRow, Report};
use crate::model::{LevelVerdict, Verdict};

/// Columns of the verdict word with its indent: `not-applicable` and two spaces around.
const VERDICT: u16 = 18;

/// Characters of a reason shown at most; `explain` and the other formats show all of it.
const LONG: usize = 600;

/// What to show and how.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Colours and width.
    pub style: Style,
    /// Show every passing clause, instead of one row per requirement.
    pub verbose: bool,
    /// The run's directory, named in the commands that the output suggests.
    pub dir: Option<String>,
}

/// The report as text.
pub fn render(report: &Report, view: &View) -> String {
    let mut out = String::new();
    let page = Page { report, view };
    let _ = page.head(&mut out);
    let _ = page.requirements(&mut out);
    let _ = page.faults(&mut out);
    let _ = page.fixes(&mut out);
    let _ = page.levels(&mut out);
    out
}

struct Page<'a> {
    report: &'a Report,
    view: &'a View,
}

impl Page<'_> {
    fn head(&self, out: &mut String) -> std::fmt::Result {
        let target = &self.report.target;
        let roles: Vec<&str> = target.roles.iter().map(|role| role.title()).collect();
        self.title(out, &format!("{} ({})", one_line(&target.name), roles.join(", ")))?;
        for (key, value) in &target.fingerprint {
            self.text(out, &format!("{}: {}", one_line(key), one_line(value)), 2)?;
        }
        writeln!(out)
    }

    fn requirements(&self, out: &mut String) -> std::fmt::Result {
        let groups = groups(self.report);
        let met = |group: &&Group<'_>| !self.view.verbose && group.clauses.iter().all(|clause| clause.verdict == Verdict::Pass);
        for group in groups.iter().filter(|group| !met(group)) {
            self.title(out, &one_line(group.id()))?;
            self.text(out, &one_line(group.statement()), 2)?;
            let mut table = self.table();
            let mut clauses = group.clauses.clone();
            clauses.sort_by_key(|clause| clause.verdict);
            for clause in &clauses {
                if self.view.verbose || clause.verdict != Verdict::Pass {
                    self.clause(&mut table, clause);
                }
            }
            let passed = group.clauses.iter().filter(|clause| clause.verdict == Verdict::Pass).count();
            if passed > 0 && !self.view.verbose {
                table.add_row([word(Verdict::Pass), Cell::new(many(passed, "clause"))]);
            }
            writeln!(out, "{}\n", self.print(table))?;
        }
        let mut table = self.table();
        for group in groups.iter().filter(met) {
            let text = format!("{} ({})", one_line(group.id()), many(group.clauses.len(), "clause"));
            table.add_row([word(Verdict::Pass), Cell::new(text)]);
        }
        if !table.is_empty() {
            self.title(out, "Met without remarks")?;
            writeln!(out, "{}\n", self.print(table))?;
        }
        Ok(())
    }

    fn clause(&self, table: &mut Table, clause: &ClauseRow) {
        let id = format!("{}  ({})", one_line(&clause.id), clause.strength);
        table.add_row([word(clause.verdict), Cell::new(id).add_attribute(Attribute::Bold)]);
        let mut lines = vec![cut(&one_line(&clause.reason), LONG)];
        if clause.verdict != Verdict::Pass {
            for (title, text) in [("expected", &clause.expected), ("observed", &clause.observed)] {
                if !text.is_empty() {
                    lines.push(format!("{title}: {}", cut(&one_line(text), LONG)));
                }
            }
        }
        if let Some(known) = &clause.baseline {
            lines.push(format!("known failure: {}", one_line(known)));
        }
        table.add_row([Cell::new(""), Cell::new(lines.join("\n"))]);
    }

    fn faults(&self, out: &mut String) -> std::fmt::Result {
        if self.report.faults.is_empty() {
            return Ok(());
        }
        self.title(out, "Faults")?;
        for fault in &self.report.faults {
            let class = format!("{:?}", fault.class).to_lowercase();
            self.text(out, &format!("{class}: {}", one_line(&fault.message)), 2)?;
            self.text(out, &format!("hint: {}", one_line(&fault.hint)), 4)?;
        }
        writeln!(out)
    }

    fn fixes(&self, out: &mut String) -> std::fmt::Result {
        let fixes = fix_first(self.report);
        if fixes.is_empty() {
            return Ok(());
        }
        self.title(out, "What to fix first")?;
        for (at, fix) in fixes.iter().enumerate() {
            let also =
                if fix.also > 0 { format!("  and {} for the same reason", many(fix.also, "clause")) } else { String::new() };
            let verdict = self.paint(fix.clause.verdict.word(), tint(fix.clause.verdict));
            writeln!(out, "  {}. {verdict}  {}{also}", at + 1, one_line(&fix.clause.id))?;
            writeln!(out, "     {}", brief(&fix.clause.reason, self.view.style.columns() - 5))?;
            writeln!(out, "     ipsie-conform explain {} --report {}", one_line(&fix.clause.id), self.dir())?;
        }
        writeln!(out)
    }

    fn levels(&self, out: &mut String) -> std::fmt::Result {
        let (report, run) = (self.report, &self.report.run);
        for row in &report.levels {
            let verdict = row.verdict.word().to_uppercase();
            writeln!(out, "{}  {}", self.bold(&level_title(report, row)), self.paint(&verdict, level_tint(row.verdict)))?;
            self.text(out, &counts(&row.counts), 2)?;
        }
        self.text(out, &format!("judged by edition {}", one_line(&report.catalogue.edition)), 2)?;
        let waited =
            if run.waited_s > 0.0 { format!(", {} of it waiting for the clock", span_s(run.waited_s)) } else { String::new() };
        let (requests, logins) = (many(int(run.requests), "request"), many(int(run.logins), "login"));
        let fast = if run.fast { "; fast: clauses that must wait were left out" } else { "" };
        self.text(out, &format!("{}{waited}; {requests}, {logins}; {}{fast}", span_s(run.wall_s), one_line(&run.browser)), 2)?;
        if run.interrupted {
            self.text(out, "interrupted: what was found so far is reported", 2)?;
        }
        for what in &run.left {
            self.text(out, &format!("left at the target: {}", one_line(what)), 2)?;
        }
        if report.target.embedded {
            writeln!(out, "  {}", self.paint(EMBEDDED, YELLOW))?;
        }
        let slow = report.scenarios.iter().max_by_key(|row| row.duration_ms);
        if let Some(row) = slow.filter(|_| self.view.verbose) {
            self.text(out, &format!("longest scenario: {} ({})", one_line(&row.id), span(row.duration_ms)), 2)?;
        }
        writeln!(out)?;
        // Never wrapped: these lines are there to be copied.
        writeln!(out, "More of a clause:   ipsie-conform explain CLAUSE --report {}", self.dir())?;
        writeln!(out, "With all evidence:  ipsie-conform report render --format html {}", self.dir())
    }

    fn dir(&self) -> String {
        self.view.dir.as_deref().map_or_else(|| "DIR".to_owned(), shell_word)
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        let columns = u16::try_from(self.view.style.columns()).unwrap_or(80);
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(columns);
        if self.view.style.color {
            table.enforce_styling()
        } else {
            table.force_no_tty()
        };
        table
    }

    /// The table as text; its columns are known only once it has rows.
    fn print(&self, mut table: Table) -> String {
        let columns = u16::try_from(self.view.style.columns()).unwrap_or(80);
        let fixed = |width| ColumnConstraint::Absolute(Width::Fixed(width));
        table.set_constraints([fixed(VERDICT), fixed(columns - VERDICT)]);
        table.trim_fmt()
    }

    /// A paragraph, wrapped and indented.
    fn text(&self, out: &mut String, text: &str, indent: usize) -> std::fmt::Result {
        let mut table = Table::new();
        let columns = u16::try_from(self.view.style.columns() - indent).unwrap_or(80);
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(columns).force_no_tty();
        table.add_row([text]);
        if let Some(column) = table.column_mut(0) {
            column.set_padding((0, 0));
        }
        for line in table.trim_fmt().lines() {
            writeln!(out, "{:indent$}{line}", "")?;
        }
        Ok(())
    }

    fn title(&self, out: &mut String, text: &str) -> std::fmt::Result {
        writeln!(out, "{}", self.bold(text))
    }

    fn bold(&self, text: &str) -> String {
        self.paint(text, "1")
    }

    fn paint(&self, text: &str, sgr: &str) -> String {
        if self.view.style.color { format!("\u{1b}[{sgr}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

const YELLOW: &str = "33";

fn word(verdict: Verdict) -> Cell {
    // A space in front as indent; the cell's own padding is the second one.
    let cell = Cell::new(format!(" {}", verdict.word()));
    match verdict {
        Verdict::Fail => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Verdict::Warning => cell.fg(Color::Yellow),
        Verdict::Inconclusive => cell.fg(Color::Magenta),
        Verdict::NotRun => cell.fg(Color::Cyan),
        Verdict::NotApplicable => cell.fg(Color::DarkGrey),
        Verdict::Attested => cell.fg(Color::Blue),
        Verdict::Pass => cell.fg(Color::Green),
    }
}

fn tint(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fail => "1;31",
        Verdict::Warning => YELLOW,
        Verdict::Inconclusive => "35",
        Verdict::NotRun => "36",
        Verdict::NotApplicable => "90",
        Verdict::Attested => "34",
        Verdict::Pass => "32",
    }
}

fn level_tint(verdict: LevelVerdict) -> &'static str {
    match verdict {
        LevelVerdict::Conformant => "1;32",
        LevelVerdict::NonConformant => "1;31",
        LevelVerdict::Incomplete => "1;33",
    }
}

fn int(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
/// The kill matrix: clause, verdict, what else fired.
pub fn kill_matrix(rows: &[crate::selftest::Row], style: Style) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(style.columns()).unwrap_or(80));
    if !style.color {
        table.force_no_tty();
    }
    table.set_header(["clause", "verdict", "also fired"]);
    for row in rows.iter().filter(|row| !row.clause.is_empty()) {
        let also: Vec<&str> = row.collateral.iter().map(|id| id.rsplit('.').next().unwrap_or(id)).collect();
        let verdict = if row.caught { row.verdict.word().to_owned() } else { format!("SURVIVED ({})", row.verdict) };
        table.add_row([row.clause.clone(), verdict, also.join(", ")]);
    }
    format!("{}\n", table.trim_fmt())
}

/// Columns of the terminal, where there is one.
pub fn terminal_width() -> Option<u16> {
    comfy_table::Table::new().width()
}
