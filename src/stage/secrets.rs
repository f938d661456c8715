//! Secrets of the target file: named there as `env:NAME` or `file:PATH`, read here, hidden by the recorder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Finds the values that a target file names.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    base: PathBuf,
    known: BTreeMap<String, String>,
}

/// Why a secret could not be read; the message names the reference, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretFault(pub String);

impl Secrets {
    /// Paths are relative to `base`, the target file's folder.
    pub fn new(base: &Path) -> Self {
        Secrets { base: base.to_owned(), known: BTreeMap::new() }
    }

    /// Secrets that are given directly: those of the embedded peers.
    pub fn given(known: BTreeMap<String, String>) -> Self {
        Secrets { base: PathBuf::new(), known }
    }

    /// The value a reference stands for.
    pub fn get(&self, reference: &str) -> Result<String, SecretFault> {
        if let Some(value) = self.known.get(reference) {
            return Ok(value.clone());
        }
        if let Some(name) = reference.strip_prefix("env:") {
            return match std::env::var(name) {
                Ok(value) if !value.is_empty() => Ok(value),
                _ => Err(SecretFault(format!("the environment variable {name} is not set"))),
            };
        }
        if let Some(path) = reference.strip_prefix("file:") {
            let path = self.base.join(path);
            return std::fs::read_to_string(&path)
                .map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
                .map_err(|error| SecretFault(format!("the file {} cannot be read: {error}", path.display())));
        }
        Err(SecretFault("a secret is written as \"env:NAME\" or \"file:PATH\", never as its value".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_value_is_refused_without_repeating_it() {
        let fault = Secrets::default().get("hunter22").unwrap_err();
        assert!(fault.to_string().contains("env:NAME") && !fault.to_string().contains("hunter22"));
    }

    #[test]
    fn a_file_is_read_relative_to_the_target_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pw"), "secret\n").unwrap();
        assert_eq!(Secrets::new(dir.path()).get("file:pw").unwrap(), "secret");
        assert!(Secrets::new(dir.path()).get("file:none").is_err());
    }
}
