//! Markdown for CI job summaries: the verdict first, then what is not in order, the rest folded away.

use std::fmt::Write as _;

use super::view::{EMBEDDED, brief, counts, fix_first, groups, level_title, one_line, span_s};
use crate::model::report::{ClauseRow, Report};
use crate::model::{LevelVerdict, Verdict};

/// Rows of the table of open clauses at most: job summaries are cut at 1 MiB.
const ROWS: usize = 200;

/// The report as Markdown (GitHub's and GitLab's dialect).
pub fn write(report: &Report) -> String {
    let mut out = String::new();
    let _ = head(&mut out, report);
    let _ = open(&mut out, report);
    let _ = rest(&mut out, report);
    out
}

fn head(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out, "# IPSIE conformance: {}\n", escape(&report.target.name))?;
    if report.target.embedded {
        writeln!(out, "> **{EMBEDDED}**\n")?;
    }
    if report.run.interrupted {
        writeln!(out, "> **This run was interrupted:** clauses of scenarios that were not played are not decided.\n")?;
    }
    for what in &report.run.left {
        writeln!(out, "> **Left at the target:** {}\n", escape(what))?;
    }
    writeln!(out, "| Level | Verdict | Clauses |\n| --- | --- | --- |")?;
    for row in &report.levels {
        writeln!(
            out,
            "| {} | {} **{}** | {} |",
            level_title(report, row),
            sign(row.verdict),
            row.verdict.word(),
            counts(&row.counts)
        )?;
    }
    let run = &report.run;
    writeln!(
        out,
        "\nEdition {} · {} ({} waiting) · {} requests · {} · {} {}\n",
        escape(&report.catalogue.edition),
        span_s(run.wall_s),
        span_s(run.waited_s),
        run.requests,
        escape(&run.browser),
        escape(&report.tool.name),
        escape(&report.tool.version)
    )
}

fn open(out: &mut String, report: &Report) -> std::fmt::Result {
    let fixes = fix_first(report);
    if !fixes.is_empty() {
        writeln!(out, "## What to fix first\n")?;
        for (at, fix) in fixes.iter().enumerate() {
            let also = if fix.also > 0 { format!(" (and {} more for the same reason)", fix.also) } else { String::new() };
            let (id, reason) = (escape(&fix.clause.id), escape(&brief(&fix.clause.reason, 160)));
            writeln!(out, "{}. **{}** {id}: {reason}{also}", at + 1, fix.clause.verdict)?;
        }
        writeln!(out)?;
    }
    let is_open = |clause: &&ClauseRow| matches!(clause.verdict, Verdict::Fail | Verdict::Warning | Verdict::Inconclusive);
    let mut rows: Vec<&ClauseRow> = report.clauses.iter().filter(is_open).collect();
    rows.sort_by_key(|clause| clause.verdict);
    if !rows.is_empty() {
        writeln!(out, "## Not in order\n\n| Verdict | Clause | Strength | Reason |\n| --- | --- | --- | --- |")?;
    }
    for clause in rows.iter().take(ROWS) {
        let known = clause.baseline.as_ref().map_or(String::new(), |why| format!(" (known: {})", escape(why)));
        let (id, reason) = (escape(&clause.id), escape(&one_line(&clause.reason)));
        writeln!(out, "| {} {} | {id} | {} | {reason}{known} |", mark(clause.verdict), clause.verdict, clause.strength)?;
    }
    if rows.len() > ROWS {
        writeln!(out, "\n{} more are in report.json.", rows.len() - ROWS)?;
    }
    for (at, fault) in report.faults.iter().enumerate() {
        let title = if at == 0 { "\n## Faults\n\n" } else { "" };
        let class = format!("{:?}", fault.class).to_lowercase();
        writeln!(out, "{title}- **{class}**: {} _{}_", escape(&one_line(&fault.message)), escape(&one_line(&fault.hint)))?;
    }
    Ok(())
}

fn rest(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out, "\n<details><summary>All requirements</summary>\n")?;
    for group in groups(report) {
        writeln!(
            out,
            "### {} {}\n\n{} ({})\n",
            mark(group.verdict()),
            escape(group.id()),
            escape(group.statement()),
            counts(&group.counts())
        )?;
        for clause in &group.clauses {
            writeln!(out, "- {} {}: {}", mark(clause.verdict), escape(&clause.id), escape(&brief(&clause.reason, 200)))?;
        }
        writeln!(out)?;
    }
    writeln!(out, "</details>\n\n`ipsie-conform explain CLAUSE --report DIR` tells what was sent, expected and seen.")
}

fn sign(verdict: LevelVerdict) -> &'static str {
    match verdict {
        LevelVerdict::Conformant => "✅",
        LevelVerdict::NonConformant => "❌",
        LevelVerdict::Incomplete => "⚠️",
    }
}

fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fail => "❌",
        Verdict::Warning => "⚠️",
        Verdict::Inconclusive => "❔",
        Verdict::NotRun => "⏭️",
        Verdict::NotApplicable => "➖",
        Verdict::Attested => "✍️",
        Verdict::Pass => "✅",
    }
}

/// Text that Markdown and the HTML in it leave alone: on one line, everything that could begin markup escaped. Mentions (`@name`) and
/// bare addresses are broken up, since a summary must not notify people or link to where hostile evidence points.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in one_line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' | '$' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out.replace("://", "&#58;//")
}
