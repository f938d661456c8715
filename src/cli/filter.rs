//! What `list` shows: the filters of `run`, and mistakes in them with the nearest known name.

use clap::Args;

use super::shared::edition;
use crate::catalogue::{Catalogue, glob, is_off, matches, nearest};
use crate::error::Error;
use crate::model::{Clause, Level, Role};
use crate::suites;

/// The filters of `run`, for commands that send nothing.
#[derive(Clone, Debug, Default, Args)]
pub struct Filter {
    /// Only this level and the ones below it. Repeatable
    #[arg(long, value_name = "LEVEL")]
    pub level: Vec<Level>,
    /// Only this role: idp (Identity Service) or app (Application). Repeatable
    #[arg(long, value_name = "ROLE")]
    pub role: Vec<Role>,
    /// Only what this edition demands
    #[arg(long, value_name = "EDITION")]
    pub edition: Option<String>,
    /// Only this binding. Repeatable
    #[arg(long, value_name = "BINDING")]
    pub binding: Vec<String>,
    /// Only clauses whose id or slug matches (`*` stands for any text). Repeatable
    #[arg(long, value_name = "GLOB")]
    pub clause: Vec<String>,
    /// Only scenarios whose name matches. Repeatable
    #[arg(long, value_name = "GLOB")]
    pub scenario: Vec<String>,
    /// Leave out clauses that must wait for the clock
    #[arg(long)]
    pub fast: bool,
}

impl Filter {
    /// The clauses that fit, in catalogue order.
    ///
    /// # Errors
    /// A pattern or name that fits nothing at all.
    pub fn clauses<'a>(&self, catalogue: &'a Catalogue) -> Result<Vec<&'a Clause>, Error> {
        known_patterns(catalogue, &self.clause, &self.scenario, &self.binding)?;
        let edition = edition(catalogue, self.edition.clone())?;
        let off = catalogue.edition(&edition).map(|edition| edition.off.as_slice()).unwrap_or_default();
        Ok(catalogue
            .clauses
            .iter()
            .filter(|clause| self.role.is_empty() || self.role.contains(&clause.role))
            .filter(|clause| self.level.is_empty() || self.level.iter().any(|level| level.includes(clause.level)))
            .filter(|clause| !is_off(off, clause))
            .filter(|clause| self.binding.is_empty() || self.binding.contains(&clause.binding))
            .filter(|clause| self.clause.is_empty() || self.clause.iter().any(|pattern| matches(pattern, clause)))
            .filter(|clause| {
                self.scenario.is_empty() || self.scenario.iter().any(|pattern| glob(pattern, scenario_of(&clause.id)))
            })
            .filter(|clause| !self.fast || clause.wait_s == 0)
            .collect())
    }
}

/// The scenario that decides a clause; empty where only a statement can.
pub fn scenario_of(clause: &str) -> &'static str {
    suites::all().iter().find(|suite| suite.clauses().iter().any(|id| id == clause)).map_or("", |suite| suite.id())
}

/// Refuses patterns that fit nothing, with the nearest name.
///
/// # Errors
/// The first such pattern.
pub fn known_patterns(catalogue: &Catalogue, clauses: &[String], scenarios: &[String], bindings: &[String]) -> Result<(), Error> {
    let ids: Vec<&str> = catalogue.clauses.iter().flat_map(Clause::names).collect();
    known(clauses, &ids, "clause", "clauses")?;
    let names: Vec<&str> = suites::all().iter().map(|suite| suite.id()).collect();
    known(scenarios, &names, "scenario", "scenarios")?;
    let names: Vec<&str> = catalogue.clauses.iter().map(|clause| clause.binding.as_str()).collect();
    known(bindings, &names, "binding", "bindings")
}

fn known(patterns: &[String], all: &[&str], what: &str, list: &str) -> Result<(), Error> {
    match patterns.iter().find(|pattern| !all.iter().any(|name| glob(pattern, name))) {
        Some(pattern) => {
            let close = nearest(pattern, all.iter().copied());
            Err(Error::usage(
                format!("no {what} matches `{pattern}`"),
                format!("Did you mean `{close}`? `ipsie-conform list {list}` shows all."),
            ))
        }
        None => Ok(()),
    }
}

/// A clause by id or slug.
///
/// # Errors
/// There is none; the nearest is named.
pub fn clause<'a>(catalogue: &'a Catalogue, name: &str) -> Result<&'a Clause, Error> {
    if let Some(clause) = catalogue.clause(name) {
        return Ok(clause);
    }
    let fitting: Vec<&str> =
        catalogue.clauses.iter().filter(|clause| clause.names().contains(&name)).map(|clause| clause.id.as_str()).collect();
    if !fitting.is_empty() {
        return Err(Error::usage(format!("`{name}` names several clauses"), format!("Say which: {}.", fitting.join(", "))));
    }
    let ids = || catalogue.clauses.iter().map(|clause| clause.id.as_str());
    let close = if name.contains('.') {
        nearest(name, ids())
    } else {
        let slug = nearest(name, catalogue.clauses.iter().map(Clause::slug));
        ids().find(|id| id.ends_with(&format!(".{slug}"))).unwrap_or(slug)
    };
    Err(Error::usage(
        format!("`{name}` is no known clause"),
        format!("Did you mean `{close}`? `ipsie-conform list clauses` shows all."),
    ))
}
