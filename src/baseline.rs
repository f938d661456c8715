//! Known failures: clauses that may fail for a reason and until a date.

use std::path::Path;

use jiff::civil::Date;
use serde::Deserialize;

use crate::catalogue::{Catalogue, nearest};
use crate::error::Error;
use crate::model::Verdict;
use crate::model::clause::base;
use crate::model::report::Report;

/// A baseline file: `[[known]]` entries.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    #[serde(default)]
    known: Vec<Known>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    clause: String,
    reason: String,
    expires: String,
}

impl Baseline {
    /// Reads a baseline file.
    ///
    /// # Errors
    /// It cannot be read, an entry has no reason, names no clause, or its date is none.
    pub fn load(path: &Path, catalogue: &Catalogue) -> Result<Self, Error> {
        let help = "An entry is [[known]] with clause, reason and expires = \"YYYY-MM-DD\".";
        let wrong = |message: String, help: &str| Error::usage(format!("baseline {}: {message}", path.display()), help);
        let text =
            std::fs::read_to_string(path).map_err(|error| wrong(error.to_string(), "Give the path of a baseline file."))?;
        let baseline: Baseline = toml::from_str(&text).map_err(|error| wrong(error.to_string(), help))?;
        for entry in &baseline.known {
            if !catalogue.clauses.iter().any(|clause| clause.id == entry.clause || clause.base() == entry.clause) {
                let close = nearest(&entry.clause, catalogue.clauses.iter().map(|clause| clause.id.as_str()));
                return Err(wrong(format!("`{}` is no clause", entry.clause), &format!("Did you mean `{close}`?")));
            }
            if entry.reason.trim().is_empty() {
                return Err(wrong(format!("`{}` has no reason", entry.clause), help));
            }
            if entry.expires.parse::<Date>().is_err() {
                return Err(wrong(format!("`{}`: `{}` is not a date", entry.clause, entry.expires), help));
            }
        }
        Ok(baseline)
    }

    /// Marks known failures (an entry without `@binding` means the clause in every delivery binding) that have not expired, and answers the entries that no longer fail. The level verdict stays what it
    /// is: a known failure forgives the exit code, it certifies nothing.
    pub fn apply(&self, report: &mut Report) -> Vec<String> {
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let mut stale = Vec::new();
        for entry in &self.known {
            let meant = |id: &str| id == entry.clause || base(id) == entry.clause;
            let mut rows: Vec<_> = report.clauses.iter_mut().filter(|row| meant(&row.id)).collect();
            let current = entry.expires.parse::<Date>().is_ok_and(|date| date >= today);
            for row in rows.iter_mut().filter(|row| current && row.verdict == Verdict::Fail) {
                row.baseline = Some(entry.reason.clone());
            }
            // What was not tested says nothing of the entry.
            let open = |verdict| matches!(verdict, Verdict::Fail | Verdict::NotRun | Verdict::Inconclusive);
            if !rows.is_empty() && !rows.iter().any(|row| open(row.verdict)) {
                stale.push(entry.clause.clone());
            }
        }
        stale
    }
}
