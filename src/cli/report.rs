//! `report`: other formats from a finished run, and what changed between two.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::shared::{saved, stdout_style};
use super::text;
use crate::error::{Error, exit};
use crate::report::json::{self, SavedRun};
use crate::report::terminal::{self, View};
use crate::report::view::Style;
use crate::report::{Format, diff, render};

/// Arguments of `report`.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// What to do
    #[command(subcommand)]
    pub what: What,
}

/// The commands on finished runs.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// Write a finished run in other formats
    Render(RenderArgs),
    /// Tell what changed between two runs; exit code 1 when something got worse
    Diff(DiffArgs),
}

/// Arguments of `report render`.
#[derive(Clone, Debug, Args)]
pub struct RenderArgs {
    /// Directory of the run
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Format to write; `terminal` is printed. Repeatable [default: terminal]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Vec<Format>,
    /// Folder to write to, `-` for standard output [default: DIR]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Show passing clauses one by one (terminal)
    #[arg(long, short)]
    pub verbose: bool,
}

/// Arguments of `report diff`.
#[derive(Clone, Debug, Args)]
pub struct DiffArgs {
    /// Directory of the earlier run
    #[arg(value_name = "DIR1")]
    pub before: PathBuf,
    /// Directory of the later run
    #[arg(value_name = "DIR2")]
    pub after: PathBuf,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Does it; the answer is the exit code.
///
/// # Errors
/// A run that cannot be read, or a file that cannot be written.
pub fn report(args: &ReportArgs) -> Result<u8, Error> {
    match &args.what {
        What::Render(args) => render_run(args),
        What::Diff(args) => diff_runs(args),
    }
}

fn render_run(args: &RenderArgs) -> Result<u8, Error> {
    let run = saved(json::read_run(&args.dir))?;
    let mut formats = if args.format.is_empty() { vec![Format::Terminal] } else { args.format.clone() };
    formats.sort_unstable_by_key(|format| format.file_name());
    formats.dedup();
    let to_stdout = args.out.as_deref() == Some(Path::new("-"));
    if to_stdout && formats.len() > 1 {
        return Err(Error::usage("standard output takes one format", "Give one --format, or a folder with --out."));
    }
    let home = if args.dir.is_dir() { args.dir.clone() } else { args.dir.parent().map(Path::to_owned).unwrap_or_default() };
    for format in formats {
        if to_stdout || (format == Format::Terminal && args.out.is_none()) {
            text::print(&rendered(format, &run, args.verbose, &home, stdout_style()));
            continue;
        }
        let dir = args.out.as_ref().unwrap_or(&home);
        let path = dir.join(format.file_name());
        if format == Format::Json && same(&path, &home.join(json::REPORT_FILE)) {
            return Err(Error::usage("report.json is the source and is not written over", "Give another folder with --out."));
        }
        let body = rendered(format, &run, args.verbose, &home, Style::default());
        std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&path, body)).map_err(|error| {
            Error::output(format!("{} cannot be written: {error}", path.display()), "Give another folder with --out.")
        })?;
        println!("{}", path.display());
    }
    Ok(exit::CONFORMANT)
}

fn rendered(format: Format, run: &SavedRun, verbose: bool, home: &Path, style: Style) -> String {
    if format == Format::Terminal {
        let view = View { style, verbose, dir: Some(home.display().to_string()) };
        return terminal::render(&run.report, &view);
    }
    render(format, &run.report, &run.evidence, &run.pngs)
}

fn same(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn diff_runs(args: &DiffArgs) -> Result<u8, Error> {
    let (before, after) = (saved(json::read(&args.before))?, saved(json::read(&args.after))?);
    let diff = diff::diff(&before, &after);
    text::print(&if args.json { diff.json() } else { diff.text(stdout_style()) });
    Ok(if diff.worse() { exit::NON_CONFORMANT } else { exit::CONFORMANT })
}
