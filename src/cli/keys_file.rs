//! Files with secrets in them: readable by their owner only. And the suite's keys file, which is made once and kept.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::counterpart::keys::SuiteKeys;
use crate::error::Error;

/// Name of the suite's private keys, beside the target file.
pub const KEYS_FILE: &str = "ipsie-conform.keys.json";
/// Name of their public halves.
pub const JWKS_FILE: &str = "ipsie-conform.jwks.json";

/// Writes a file that only its owner may read.
///
/// # Errors
/// It cannot be written.
pub fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    owner_only(&mut options);
    put(options.open(path), path, text)
}

/// Writes a file that only its owner may read, unless it is there already: what was made once is configured at a product.
///
/// # Errors
/// It cannot be written.
pub fn write_fresh(path: &Path, text: &str) -> Result<(), Error> {
    if path.exists() {
        return Ok(());
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    owner_only(&mut options);
    put(options.open(path), path, text)
}

/// Writes any other file.
///
/// # Errors
/// It cannot be written.
pub fn write_plain(path: &Path, text: &str) -> Result<(), Error> {
    put(File::create(path), path, text)
}

fn put(file: std::io::Result<File>, path: &Path, text: &str) -> Result<(), Error> {
    file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all())).map_err(|error| {
        Error::output(format!("{} cannot be written: {error}", path.display()), "Choose another folder, or free some space.")
    })
}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn owner_only(_options: &mut OpenOptions) {}

/// The suite's keys in this folder: those that are there, else fresh ones. Existing keys are never written over, because their
/// public halves are registered. The second value is true for fresh keys.
///
/// # Errors
/// The file that is there is no keys file, or a fresh one cannot be written.
pub fn keys_in(dir: &Path) -> Result<(SuiteKeys, bool), Error> {
    let path = dir.join(KEYS_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => SuiteKeys::parse(&text).map(|keys| (keys, false)).map_err(|fault| {
            let help =
                "It is not written over, because its public keys may be registered. Restore it, or move it away for new keys.";
            Error::usage(format!("{}: {fault}", path.display()), help)
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let keys = SuiteKeys::generate().map_err(|fault| Error::Suite { message: fault.to_string() })?;
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            owner_only(&mut options);
            let text = keys.to_file().map_err(|fault| Error::Suite { message: fault.to_string() })?;
            put(options.open(&path), &path, &text)?;
            Ok((keys, true))
        }
        Err(error) => {
            Err(Error::usage(format!("{} cannot be read: {error}", path.display()), "Check its owner and permissions."))
        }
    }
}
