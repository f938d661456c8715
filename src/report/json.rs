//! `report.json`, the one source of every other format. Its schema stands in `reports/schema/report-1.schema.json`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use super::har;
use crate::model::report::{Evidence, Report, SCHEMA};

/// File names inside a run's directory.
pub const REPORT_FILE: &str = "report.json";
/// The evidence.
pub const EVIDENCE_FILE: &str = "exchanges.har";
/// What the scenarios saw, for `recheck`.
pub const OBSERVATIONS_FILE: &str = "observations.json";
/// Where the PNG files are.
pub const SHOTS_DIR: &str = "screenshots";

/// Why a finished run cannot be read. The message names the file; [`ReadFault::hint`] the way out.
#[derive(Debug, Error)]
pub enum ReadFault {
    /// No such file.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refuses.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The JSON ends early.
    #[error("{} is truncated: it ends in the middle of the report (line {line})", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Where it ends.
        line: usize,
    },
    /// Not what it should be.
    #[error("{} is not a report of this program: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Another version or another program.
    #[error("{} has the schema `{found}`; this program reads `{SCHEMA}`", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The `schema` it names.
        found: String,
    },
}

impl ReadFault {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            ReadFault::Missing { .. } => {
                "name the directory that `run --out` wrote; report.json is written last, so without it the run did not end: run again"
            }
            ReadFault::Unreadable { .. } => "check the file's owner and permissions",
            ReadFault::Truncated { .. } => {
                "the copy is incomplete: copy the directory again from where the run was made, or run again"
            }
            ReadFault::Malformed { .. } => "use a report.json written by `ipsie-conform run`, unedited",
            ReadFault::Foreign { .. } => "use the version of ipsie-conform that wrote the report, or run again with this one",
        }
    }
}

/// A run read back from its directory.
#[derive(Debug)]
pub struct SavedRun {
    /// `report.json`.
    pub report: Report,
    /// `exchanges.har`; empty where the file is missing.
    pub evidence: Evidence,
    /// The PNG bytes of `evidence.shots`, in the same order; empty for a file that is missing.
    pub pngs: Vec<Vec<u8>>,
}

/// The report as pretty JSON, members in the order of the model.
pub fn write(report: &Report) -> String {
    // The model has string keys and finite numbers only, so this cannot fail.
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    text
}

/// Reads a report from its text; `path` is for the message only.
///
/// # Errors
/// A truncated text, another schema, or a text that is not a report.
pub fn parse(text: &str, path: &Path) -> Result<Report, ReadFault> {
    #[derive(Deserialize)]
    struct Head {
        schema: Option<String>,
    }
    let path = path.to_path_buf();
    let head: Head = match serde_json::from_str(text) {
        Ok(head) => head,
        Err(fault) if fault.is_eof() => return Err(ReadFault::Truncated { path, line: fault.line() }),
        Err(fault) => return Err(ReadFault::Malformed { path, what: fault.to_string() }),
    };
    match head.schema {
        Some(schema) if schema == SCHEMA => {}
        Some(found) => return Err(ReadFault::Foreign { path, found }),
        None => return Err(ReadFault::Malformed { path, what: "it names no `schema`".into() }),
    }
    serde_json::from_str(text).map_err(|fault| ReadFault::Malformed { path, what: fault.to_string() })
}

/// Reads `report.json`; `path` is the file or the directory of the run.
///
/// # Errors
/// See [`ReadFault`].
pub fn read(path: &Path) -> Result<Report, ReadFault> {
    let file = if path.is_dir() { path.join(REPORT_FILE) } else { path.to_path_buf() };
    parse(&text(&file)?, &file)
}

/// Reads a whole run: report, exchanges, screenshots.
///
/// # Errors
/// See [`ReadFault`]. Missing evidence is no error (a report can be kept alone); unreadable evidence is.
pub fn read_run(path: &Path) -> Result<SavedRun, ReadFault> {
    let report = read(path)?;
    let dir = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    let file = dir.join(EVIDENCE_FILE);
    let evidence = match text(&file) {
        Ok(text) => har::read(&text).map_err(|what| ReadFault::Malformed { path: file, what })?,
        Err(ReadFault::Missing { .. }) => Evidence::default(),
        Err(fault) => return Err(fault),
    };
    let png = |name: &str| shot_path(dir, name).and_then(|path| fs::read(path).ok()).unwrap_or_default();
    let pngs = evidence.shots.iter().map(|shot| png(&shot.file)).collect();
    Ok(SavedRun { report, evidence, pngs })
}

/// Where a screenshot of this name lies; `None` for a name that is more than a name (a foreign HAR must not reach other files).
pub(super) fn shot_path(dir: &Path, name: &str) -> Option<PathBuf> {
    let plain = Path::new(name).file_name().is_some_and(|file| file == name);
    plain.then(|| dir.join(SHOTS_DIR).join(name))
}

fn text(path: &Path) -> Result<String, ReadFault> {
    fs::read_to_string(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => ReadFault::Missing { path: path.to_path_buf() },
        _ => ReadFault::Unreadable { path: path.to_path_buf(), source },
    })
}
