//! `recheck`: judges what an earlier run saw again. Sends nothing.

use std::path::{Path, PathBuf};

use clap::Args;

use super::run::exit_code;
use super::shared::{catalogue, edition, saved, stdout_style};
use super::text;
use crate::error::Error;
use crate::judge::{self, Observations};
use crate::model::Verdict;
use crate::model::report::{CatalogueInfo, Report, Tool};
use crate::plan::{Plan, Profile};
use crate::report::diff::diff;
use crate::report::json::{self, OBSERVATIONS_FILE};
use crate::report::terminal::{View, render};
use crate::report::{Format, write_run};

/// Arguments of `recheck`.
#[derive(Clone, Debug, Args)]
pub struct RecheckArgs {
    /// Directory of the run
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Edition of the levels to judge by [default: the run's]
    #[arg(long, value_name = "EDITION")]
    pub edition: Option<String>,
    /// Write the new report and the evidence there
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Exit 0 when a level is incomplete and nothing failed
    #[arg(long)]
    pub allow_incomplete: bool,
    /// Show passing clauses one by one
    #[arg(long, short)]
    pub verbose: bool,
}

/// Judges again; the answer is the exit code, as of `run`.
///
/// # Errors
/// The run cannot be read, or was made by a version that recorded too little.
pub fn recheck(args: &RecheckArgs, profiles: Option<&Path>) -> Result<u8, Error> {
    let catalogue = catalogue(profiles)?;
    let dir = if args.dir.is_dir() { args.dir.clone() } else { args.dir.parent().map(Path::to_owned).unwrap_or_default() };
    let before = saved(json::read_run(&args.dir))?;
    let observations = observations(&dir)?;
    let edition = edition(&catalogue, Some(args.edition.clone().unwrap_or_else(|| before.report.catalogue.edition.clone())))?;

    let levels = before.report.levels.iter().map(|row| row.level);
    let levels = levels.fold(Vec::new(), |mut all, level| {
        if !all.contains(&level) {
            all.push(level);
        }
        all
    });
    let profile = before.report.catalogue.profile.clone();
    let roles = before.report.target.roles.clone();
    let judged_by = profile.as_deref().and_then(Profile::named);
    let plan = Plan::again(&catalogue, levels, roles, &edition, judged_by, &observations.fates);
    let mut clauses = judge::clauses(&plan, &observations);
    for row in clauses.iter_mut().filter(|row| row.verdict == Verdict::Fail) {
        // What the run's baseline excused stays excused.
        row.baseline = before.report.clauses.iter().find(|old| old.id == row.id).and_then(|old| old.baseline.clone());
    }
    let after = Report {
        tool: Tool { name: env!("CARGO_PKG_NAME").into(), version: env!("CARGO_PKG_VERSION").into() },
        catalogue: CatalogueInfo { edition, profile, digest: catalogue.digest.clone() },
        levels: judge::levels(&plan, &clauses),
        requirements: judge::requirements(&catalogue, &clauses),
        clauses,
        ..before.report.clone()
    };

    let style = stdout_style();
    let shown = args.out.as_ref().unwrap_or(&dir);
    let view = View { style, verbose: args.verbose, dir: Some(shown.display().to_string()) };
    let changes = diff(&before.report, &after);
    text::print(&format!(
        "{}\n{}\n{}",
        render(&after, &view),
        text::bold(style, "Judged again, against the recorded verdicts"),
        changes.text(style)
    ));
    if let Some(out) = &args.out {
        let seen = serde_json::to_value(&observations).map_err(|error| Error::Suite { message: error.to_string() })?;
        let formats = [Format::Html, Format::Junit, Format::Markdown];
        write_run(out, &after, &before.evidence, &before.pngs, &seen, &formats)
            .map_err(|fault| Error::output(format!("the report could not be written: {fault}"), fault.hint()))?;
        eprintln!("reports: {}", out.display());
    }
    // Nothing was interrupted now: what an interrupted run did not get to is inconclusive.
    let mut judged = after;
    judged.run.interrupted = false;
    Ok(exit_code(&judged, &[], args.allow_incomplete))
}

fn observations(dir: &Path) -> Result<Observations, Error> {
    let path = dir.join(OBSERVATIONS_FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let help = "`recheck` needs the whole directory that `run` wrote, not report.json alone.";
        Error::usage(format!("{} cannot be read: {error}", path.display()), help)
    })?;
    let observations: Observations = serde_json::from_str(&text).map_err(|error| {
        let help = "Use the directory as `ipsie-conform run` wrote it, or run again.";
        Error::usage(format!("{} is no record of a run: {error}", path.display()), help)
    })?;
    if observations.fates.is_empty() {
        let help = "An earlier version wrote it. Run again with this one.";
        return Err(Error::usage(format!("{} does not say what the run planned", path.display()), help));
    }
    Ok(observations)
}
