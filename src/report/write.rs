//! A run's directory on disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Format, json, render};
use crate::model::report::{Evidence, Report};

/// A file of the run could not be written.
#[derive(Debug, Error)]
#[error("{} cannot be written: {source}", path.display())]
pub struct WriteFault {
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl WriteFault {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                "the disk is full or its quota used up: make room, or choose another place with --out DIR"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "this user may not write there: choose another place with --out DIR"
            }
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => {
                "something of another kind has that name: choose another place with --out DIR"
            }
            _ => "choose another place with --out DIR",
        }
    }
}

/// Writes a run: `observations.json`, `exchanges.har`, `screenshots/`, the extra formats, and `report.json` last and all at once, so that a
/// directory without it is known to be incomplete. Files of an earlier run in the same directory are replaced.
/// Returns the files written, `report.json` last.
///
/// # Errors
/// The first file that could not be written.
pub fn write_run(
    dir: &Path,
    report: &Report,
    evidence: &Evidence,
    pngs: &[Vec<u8>],
    observations: &serde_json::Value,
    extra_formats: &[Format],
) -> Result<Vec<PathBuf>, WriteFault> {
    let fault = |path: &Path| {
        let path = path.to_path_buf();
        |source| WriteFault { path, source }
    };
    fs::create_dir_all(dir).map_err(fault(dir))?;
    let last = dir.join(json::REPORT_FILE);
    // An old report beside new evidence would be taken for a whole run.
    match fs::remove_file(&last) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(WriteFault { path: last, source }),
        _ => {}
    }
    let mut written = Vec::new();
    let mut put = |path: PathBuf, bytes: &[u8]| {
        replace(&path, bytes).map_err(fault(&path))?;
        written.push(path);
        Ok::<_, WriteFault>(())
    };
    let seen = serde_json::to_string_pretty(observations).unwrap_or_default() + "\n";
    put(dir.join(json::OBSERVATIONS_FILE), seen.as_bytes())?;
    put(dir.join(json::EVIDENCE_FILE), render(Format::Har, report, evidence, pngs).as_bytes())?;
    let shots = dir.join(json::SHOTS_DIR);
    if !evidence.shots.is_empty() {
        fs::create_dir_all(&shots).map_err(fault(&shots))?;
    }
    for (shot, png) in evidence.shots.iter().zip(pngs) {
        if let Some(path) = json::shot_path(dir, &shot.file) {
            put(path, png)?;
        }
    }
    for format in extra_formats.iter().filter(|format| !matches!(format, Format::Json | Format::Har)) {
        put(dir.join(format.file_name()), render(*format, report, evidence, pngs).as_bytes())?;
    }
    put(last, render(Format::Json, report, evidence, pngs).as_bytes())?;
    Ok(written)
}

/// Writes a file beside its place and moves it there, so that a reader never sees half of it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let done = write_all(&part, bytes).and_then(|()| fs::rename(&part, path));
    if done.is_err() {
        let _ = fs::remove_file(&part);
    }
    done
}

fn write_all(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    // A full disk may show only here.
    file.sync_all()
}
