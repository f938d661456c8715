//! `list`: what there is.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::filter::{Filter, scenario_of};
use super::needs::need;
use super::shared::{catalogue, stdout_style};
use super::text;
use crate::catalogue::Catalogue;
use crate::error::{Error, exit};
use crate::model::{Clause, How, Role};
use crate::suites;

/// Arguments of `list`.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// What to list
    #[arg(value_enum)]
    pub what: What,
    /// Filters as in `run`.
    #[command(flatten)]
    pub filter: Filter,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Levels, what they include, and which roles this version tests
    Levels,
    /// Lines of the levels
    Requirements,
    /// What tests decide
    Clauses,
    /// Scripted exchanges that decide them
    Scenarios,
    /// Dated states of the levels
    Editions,
    /// Protocols by which requirements are met
    Bindings,
    /// What clauses need of the target file
    Needs,
}

struct Listed {
    header: &'static [&'static str],
    rows: Vec<Vec<String>>,
    json: Value,
}

/// Lists; the answer is the exit code.
///
/// # Errors
/// A filter that names nothing.
pub fn list(args: &ListArgs, profiles: Option<&Path>) -> Result<u8, Error> {
    let catalogue = catalogue(profiles)?;
    let clauses = args.filter.clauses(&catalogue)?;
    let listed = match args.what {
        What::Levels => levels(&catalogue, &clauses, &args.filter),
        What::Requirements => requirements(&catalogue, &clauses),
        What::Clauses => list_clauses(&clauses),
        What::Scenarios => scenarios(&clauses),
        What::Editions => editions(&catalogue, &args.filter),
        What::Bindings => bindings(&clauses),
        What::Needs => needs(&clauses),
    };
    if args.json {
        text::print(&text::json(&listed.json));
    } else if listed.rows.is_empty() {
        eprintln!("nothing fits these filters");
    } else {
        let style = stdout_style();
        let mut out = String::new();
        // Into a pipe goes one line per row, so that `grep` finds whole rows.
        let columns = if style.width.is_some() { style.columns() } else { usize::MAX };
        text::table(&mut out, listed.header, &listed.rows, style, columns);
        text::print(&out);
    }
    Ok(exit::CONFORMANT)
}

fn levels(catalogue: &Catalogue, clauses: &[&Clause], filter: &Filter) -> Listed {
    let mut listed = Listed { header: &["LEVEL", "INCLUDES", "CLAUSES", "TESTED", "TITLE"], rows: vec![], json: Value::Null };
    let mut all = Vec::new();
    for level in catalogue.levels.iter().filter(|level| filter.level.is_empty() || filter.level.contains(&level.id)) {
        let includes: Vec<String> = level.includes.iter().map(ToString::to_string).collect();
        let own = clauses.iter().filter(|clause| clause.level == level.id).count();
        let parts = catalogue.parts.iter().filter(|part| part.level == level.id && part.executed);
        let tested: Vec<String> = parts.map(|part| part.role.to_string()).collect();
        listed.rows.push(vec![
            level.id.to_string(),
            or_dash(&includes.join(", ")),
            own.to_string(),
            or_dash(&tested.join(", ")),
            level.title.clone(),
        ]);
        all.push(json!({"id": level.id, "title": level.title, "includes": level.includes, "clauses": own, "tested": tested}));
    }
    Listed { json: Value::Array(all), ..listed }
}

fn requirements(catalogue: &Catalogue, clauses: &[&Clause]) -> Listed {
    let mut rows = Vec::new();
    let mut all = Vec::new();
    for requirement in &catalogue.requirements {
        let own: Vec<&str> =
            clauses.iter().filter(|clause| clause.requirement == requirement.id).map(|clause| clause.id.as_str()).collect();
        if own.is_empty() {
            continue;
        }
        rows.push(vec![requirement.id.clone(), own.len().to_string(), requirement.statement.clone()]);
        let mut value = json!(requirement);
        value["clauses"] = json!(own);
        all.push(value);
    }
    Listed { header: &["REQUIREMENT", "CLAUSES", "STATEMENT"], rows, json: Value::Array(all) }
}

fn list_clauses(clauses: &[&Clause]) -> Listed {
    let row = |clause: &&Clause| {
        let wait = if clause.wait_s > 0 { format!("{} s", clause.wait_s) } else { "-".into() };
        let how = format!("{:?}", clause.how).to_lowercase();
        vec![clause.id.clone(), clause.strength.to_string(), how, wait, clause.statement.clone()]
    };
    let value = |clause: &&Clause| {
        let mut value = json!(clause);
        value["scenario"] = json!(scenario_of(&clause.id));
        value
    };
    Listed {
        header: &["CLAUSE", "STRENGTH", "HOW", "WAIT", "STATEMENT"],
        rows: clauses.iter().map(row).collect(),
        json: clauses.iter().map(value).collect(),
    }
}

fn scenarios(clauses: &[&Clause]) -> Listed {
    let mut rows = Vec::new();
    let mut all = Vec::new();
    for suite in suites::all() {
        let decided = suite.clauses();
        let own: Vec<&&Clause> = clauses.iter().filter(|clause| decided.contains(&clause.id)).collect();
        if own.is_empty() {
            continue;
        }
        let wait = own.iter().map(|clause| clause.wait_s).max().unwrap_or(0);
        let shown = if wait > 0 { format!("{wait} s") } else { "-".into() };
        rows.push(vec![suite.id().to_owned(), own.len().to_string(), shown, suite.title().to_owned()]);
        let ids: Vec<&str> = own.iter().map(|clause| clause.id.as_str()).collect();
        all.push(json!({"id": suite.id(), "title": suite.title(), "after": suite.after(), "wait_s": wait, "clauses": ids}));
    }
    Listed { header: &["SCENARIO", "CLAUSES", "WAIT", "WHAT IT DOES"], rows, json: Value::Array(all) }
}

fn editions(catalogue: &Catalogue, filter: &Filter) -> Listed {
    let mut rows = Vec::new();
    let mut all = Vec::new();
    for edition in catalogue.editions.iter().filter(|edition| filter.edition.as_ref().is_none_or(|id| *id == edition.id)) {
        let default = edition.id == catalogue.default_edition;
        let mark = if default { "default" } else { "" };
        rows.push(vec![edition.id.clone(), mark.to_owned(), edition.tracks.clone(), edition.note.clone()]);
        all.push(json!({
            "id": edition.id, "date": edition.date, "default": default, "source": edition.source, "tracks": edition.tracks,
            "note": edition.note, "off": edition.off,
        }));
    }
    Listed { header: &["EDITION", "", "LEVELS", "WHAT IS NEW"], rows, json: Value::Array(all) }
}

fn bindings(clauses: &[&Clause]) -> Listed {
    let names: BTreeSet<&str> = clauses.iter().map(|clause| clause.binding.as_str()).collect();
    let mut rows = Vec::new();
    let mut all = Vec::new();
    for name in names {
        let own = || clauses.iter().filter(|clause| clause.binding == name);
        let levels: BTreeSet<String> = own().map(|clause| format!("{} {}", clause.level, clause.role)).collect();
        let levels: Vec<String> = levels.into_iter().collect();
        rows.push(vec![name.to_owned(), own().count().to_string(), levels.join(", ")]);
        all.push(json!({"id": name, "clauses": own().count(), "levels": levels}));
    }
    Listed { header: &["BINDING", "CLAUSES", "LEVELS AND ROLES"], rows, json: Value::Array(all) }
}

fn needs(clauses: &[&Clause]) -> Listed {
    // A name may ask for other keys in another role: then it has a row for each.
    let names: BTreeSet<(&str, Role)> =
        clauses.iter().flat_map(|clause| clause.needs.iter().map(|need| (need.as_str(), clause.role))).collect();
    let roles = |name: &str| names.iter().filter(|(other, _)| *other == name).count();
    let mut rows = Vec::new();
    let mut all = Vec::new();
    for &(name, role) in &names {
        let same = |other: Role| match (need(name, role), need(name, other)) {
            (Some(mine), Some(theirs)) => std::ptr::eq(mine, theirs),
            _ => true,
        };
        if names.iter().any(|(other, first)| *other == name && *first < role && same(*first)) {
            continue;
        }
        let wanting: Vec<&Clause> =
            clauses.iter().filter(|clause| same(clause.role) && clause.needs.iter().any(|need| need == name)).copied().collect();
        let (keys, meaning) = need(name, role).map_or((&[][..], ""), |need| (need.keys, need.meaning));
        let told = if keys.is_empty() { meaning.to_owned() } else { format!("{} - {meaning}", keys.join(", ")) };
        let of: BTreeSet<Role> = wanting.iter().map(|clause| clause.role).collect();
        let told = if roles(name) > of.len() { format!("{role}: {told}") } else { told };
        rows.push(vec![name.to_owned(), wanting.len().to_string(), told]);
        let ids: Vec<&str> = wanting.iter().map(|clause| clause.id.as_str()).collect();
        all.push(json!({"id": name, "roles": of, "keys": keys, "meaning": meaning, "clauses": ids}));
    }
    let statements = clauses.iter().filter(|clause| clause.how == How::Attested).count();
    if statements > 0 {
        let told = "attest.\"CLAUSE\" - A dated statement of the operator: no test can decide these clauses.";
        rows.push(vec!["statement".into(), statements.to_string(), told.into()]);
    }
    Listed { header: &["NEED", "CLAUSES", "KEYS OF THE TARGET FILE"], rows, json: Value::Array(all) }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".into() } else { text.into() }
}
