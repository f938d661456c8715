//! `explain`: all there is to know about a clause; with a report also what was sent, expected and seen.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::explain_exchange::exchange;
use super::filter::{clause, scenario_of};
use super::needs::need;
use super::shared::{catalogue, saved, stdout_style};
use super::text;
use crate::error::{Error, exit};
use crate::model::{Clause, How, Role};
use crate::report::json::{self as report_json, SavedRun};
use crate::report::view::{Style, one_line};
use crate::suites;

/// Arguments of `explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// Clauses, by id or by the last part of it
    #[arg(required = true, value_name = "CLAUSE")]
    pub clauses: Vec<String>,
    /// Directory of a run: adds its verdict and the exchanges it rests on
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Explains; the answer is the exit code.
///
/// # Errors
/// An unknown clause, or a report that cannot be read.
pub fn explain(args: &ExplainArgs, profiles: Option<&Path>) -> Result<u8, Error> {
    let catalogue = catalogue(profiles)?;
    let clauses = args.clauses.iter().map(|name| clause(&catalogue, name)).collect::<Result<Vec<&Clause>, Error>>()?;
    let run = args.report.as_deref().map(|dir| saved(report_json::read_run(dir))).transpose()?;
    if args.json {
        let all: Vec<Value> = clauses.iter().map(|clause| value(clause, run.as_ref())).collect();
        let out = if all.len() == 1 { text::json(&all[0]) } else { text::json(&all) };
        text::print(&out);
        return Ok(exit::CONFORMANT);
    }
    let style = stdout_style();
    let mut out = String::new();
    for (at, clause) in clauses.iter().enumerate() {
        if at > 0 {
            out.push_str(&format!("\n{}\n\n", "-".repeat(style.columns())));
        }
        let page = Page { clause, style };
        page.catalogue(&mut out, &catalogue.requirements);
        if let Some(run) = &run {
            page.run(&mut out, run);
        }
    }
    text::print(&out);
    Ok(exit::CONFORMANT)
}

fn value(clause: &Clause, run: Option<&SavedRun>) -> Value {
    let mut value = json!(clause);
    value["scenario"] = json!(scenario_of(&clause.id));
    value["keys"] = clause.needs.iter().filter_map(|name| need(name, clause.role)).map(|need| json!(need)).collect();
    if let Some(run) = run {
        let row = run.report.clauses.iter().find(|row| row.id == clause.id);
        let cited = |id: &str| run.evidence.exchanges.iter().find(|exchange| exchange.id == id);
        let exchanges: Vec<_> = row.iter().flat_map(|row| &row.evidence).filter_map(|id| cited(id)).collect();
        value["run"] = json!({"id": run.report.run.id, "result": row, "exchanges": exchanges});
    }
    value
}

/// The catalogue's own words, as `profiles/sl1-idp.toml` and `profiles/sl1-app.toml` define them.
const WORDS: [(&str, &str); 6] = [
    ("LOGGED-IN", "LOGGED-IN: the protected URL, fully navigated, shows the logged-in marker in that browser context."),
    (" REFUSED", "REFUSED: the response was delivered, and the protected URL does not show the logged-in marker afterwards."),
    ("CONTROL", "CONTROL: the unmutated twin request succeeded before and after, in the same browser context."),
    ("CODE-IN", "CODE-IN: an authorization response with a code reached a URI of the suite, or was seen on its way there."),
    (
        "AUTHZ-REFUSED",
        "AUTHZ-REFUSED: no code, no token in a front channel, and the flow rests on an OAuth error at the registered redirect URI or \
         on a page or 4xx of the identity service.",
    ),
    ("TOKEN-REFUSED", "TOKEN-REFUSED: HTTP 4xx, and no access_token, id_token or refresh_token in the body."),
];

struct Page<'a> {
    clause: &'a Clause,
    style: Style,
}

impl Page<'_> {
    fn catalogue(&self, out: &mut String, requirements: &[crate::model::Requirement]) {
        let clause = self.clause;
        let head = format!("{}  ({}, {} {})", clause.id, clause.strength, clause.level, clause.role.title());
        out.push_str(&format!("{}\n", text::bold(self.style, &head)));
        text::paragraph(out, &clause.statement, 2, self.style);
        self.section(out, "Source", &clause.source);
        if !clause.interop.is_empty() {
            self.section(out, "Interoperability checklist", &clause.interop);
        }
        let requirement = requirements.iter().find(|requirement| requirement.id == clause.requirement);
        let statement = requirement.map_or("", |requirement| &requirement.statement);
        self.section(out, "Requirement", &format!("{}\n{statement}", clause.requirement));
        self.section(out, "How it is tested", &self.how());
        text::paragraph(out, &clause.procedure, 2, self.style);
        self.section(out, "Passes", &clause.pass);
        self.section(out, "Fails", &clause.fail);
        self.section(out, "Is inconclusive", &clause.inconclusive);
        self.section(out, "Is no failure", &clause.false_positive_traps);
        let used: Vec<&str> = WORDS.iter().filter(|(word, _)| self.says(word)).map(|(_, told)| *told).collect();
        if !used.is_empty() {
            self.section(out, "Words", &used.join("\n"));
        }
        if !clause.remedy.is_empty() {
            self.section(out, "Usual remedy", &clause.remedy);
        }
        self.needs(out);
    }

    fn says(&self, word: &str) -> bool {
        let clause = self.clause;
        [&clause.procedure, &clause.pass, &clause.fail, &clause.inconclusive, &clause.false_positive_traps]
            .iter()
            .any(|text| format!(" {text}").contains(word))
    }

    fn how(&self) -> String {
        let clause = self.clause;
        let how = match clause.how {
            How::Passive => "Seen in normal traffic",
            How::Active => "By an exchange of its own",
            How::Adversarial => "By malformed or forged input",
            How::Timed => "By waiting",
            How::Attested => "By a statement of the operator: no test can see it from the outside",
        };
        let scenario = scenario_of(&clause.id);
        let title = suites::all().iter().find(|suite| suite.id() == scenario).map(|suite| suite.title());
        let by = title.map(|title| format!("; scenario {scenario}: {title}")).unwrap_or_default();
        let wait = if clause.wait_s > 0 { format!("; it waits {} s (left out by --fast)", clause.wait_s) } else { String::new() };
        format!("{how}{by}{wait}.")
    }

    fn needs(&self, out: &mut String) {
        let clause = self.clause;
        let mut lines: Vec<String> = Vec::new();
        for name in &clause.needs {
            match need(name, clause.role) {
                Some(need) if need.keys.is_empty() => lines.push(format!("{name}: {}", need.meaning)),
                Some(need) => lines.push(format!("{name}: {} - {}", need.keys.join(", "), need.meaning)),
                None => lines.push(name.clone()),
            }
        }
        if clause.attestable || clause.how == How::Attested {
            let when = if clause.how == How::Attested { "" } else { ", where the test cannot decide" };
            lines.push(format!("statement: attest.\"{}\" with statement, by and date{when}", clause.id));
        }
        if lines.is_empty() {
            let least = if clause.role == Role::App { "app.protected_url and app.client_id" } else { "the issuer" };
            lines.push(format!("Nothing but {least}."));
        }
        self.section(out, "Needs of the target file", &lines.join("\n"));
    }

    fn run(&self, out: &mut String, run: &SavedRun) {
        let report = &run.report;
        let title = format!("In run {} against {}", one_line(&report.run.id), one_line(&report.target.name));
        let Some(row) = report.clauses.iter().find(|row| row.id == self.clause.id) else {
            return self.section(out, &title, "This run did not plan the clause: other levels or roles, or another edition.");
        };
        let took = if row.scenario.is_empty() { String::new() } else { format!(", by {}", row.scenario) };
        self.section(out, &title, &format!("{}{took}\n{}", row.verdict.word().to_uppercase(), row.reason));
        for (name, told) in [("Expected", &row.expected), ("Observed", &row.observed)] {
            if !told.is_empty() {
                self.section(out, name, told);
            }
        }
        if let Some(known) = &row.baseline {
            self.section(out, "Known failure", known);
        }
        let cited: Vec<_> =
            row.evidence.iter().map(|id| (id, run.evidence.exchanges.iter().find(|found| found.id == *id))).collect();
        if cited.is_empty() {
            return self.section(out, "Exchanges", "The verdict cites none.");
        }
        let offending = matches!(row.verdict, crate::model::Verdict::Fail | crate::model::Verdict::Warning);
        for (at, (id, found)) in cited.into_iter().enumerate() {
            match found {
                Some(found) => exchange(out, found, offending && at == 0, self.style),
                None => self.section(out, &format!("Exchange {id}"), "It is not in exchanges.har of this directory."),
            }
        }
    }

    fn section(&self, out: &mut String, title: &str, body: &str) {
        out.push_str(&format!("\n{}\n", text::bold(self.style, title)));
        text::paragraph(out, body, 2, self.style);
    }
}
