//! What a run made at the target, on disk while it runs: a run that is killed leaves the list behind, and the next one can remove it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::model::target::Target;
use crate::wire::jose::sha256_b64;

/// One thing to be removed or undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// A SCIM resource.
    Scim {
        /// `/Users`, `/Groups`.
        place: String,
        /// Its id; empty where the answer to its creation was lost.
        id: String,
        /// `userName` or `displayName`.
        name: String,
        /// In the second tenant.
        second: bool,
    },
    /// An account that a command made.
    Account {
        /// Its `sub`.
        sub: String,
        /// Its `tenant`.
        tenant: String,
    },
    /// A made-up user who signed in, and may have an account by that.
    Guest {
        /// `sub`.
        sub: String,
        /// `email`.
        email: String,
    },
    /// A hook to be called.
    Hook {
        /// Its name.
        hook: String,
        /// Its placeholder values.
        values: Vec<(String, String)>,
    },
}

/// A line of the list on disk.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    /// An entry is settled.
    Gone {
        /// Which.
        gone: Entry,
    },
    /// An entry is added.
    Made(Entry),
}

/// The list of a run. Without a path it keeps nothing.
#[derive(Debug, Default)]
pub struct Journal {
    path: Option<PathBuf>,
    file: Mutex<Option<File>>,
    /// What an earlier run left and nobody has removed yet: it stays on the list.
    earlier: Mutex<Vec<Entry>>,
}

impl Journal {
    /// A list at this path, which is made with its first entry. What an earlier run left there stays on it.
    pub fn new(path: Option<PathBuf>) -> Self {
        let earlier = path.as_deref().map(Journal::left).unwrap_or_default();
        Journal { path, file: Mutex::default(), earlier: Mutex::new(earlier) }
    }

    /// The path for a target, below the folder of reports. It is found by where the target is: what else its file says may be mended
    /// before the next run.
    pub fn path(reports: &Path, target: &Target) -> PathBuf {
        let places = [
            target.target.name.as_str(),
            target.idp.as_ref().map_or("", |idp| &idp.issuer),
            target.app.as_ref().map_or("", |app| &app.protected_url),
            target.scim.as_ref().map_or("", |scim| &scim.base_url),
            &target.commands.command_endpoint,
        ];
        let key = sha256_b64(places.join("\n"));
        reports.join(format!(".unfinished-{}.jsonl", key.get(..16).unwrap_or(&key)))
    }

    /// What an earlier run left; nothing where it ended in order. Lines that are cut are left out.
    pub fn left(path: &Path) -> Vec<Entry> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut left: Vec<Entry> = Vec::new();
        for line in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
            match line {
                Line::Made(entry) => left.push(entry),
                Line::Gone { gone } => {
                    if let Some(at) = left.iter().position(|entry| *entry == gone) {
                        left.remove(at);
                    }
                }
            }
        }
        left
    }

    /// Adds an entry. A disk that is full must not stop a run: the clean-up at its end does not need the list.
    pub fn add(&self, entry: &Entry) {
        self.write(&Line::Made(entry.clone()));
    }

    /// An entry is removed or undone, or turned out never to have been made.
    pub fn gone(&self, entry: &Entry) {
        self.write(&Line::Gone { gone: entry.clone() });
    }

    fn write(&self, line: &Line) {
        let Some(path) = &self.path else { return };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.is_none() {
            *file = OpenOptions::new().create(true).append(true).open(path).ok();
        }
        if let (Some(file), Ok(line)) = (file.as_mut(), serde_json::to_string(line)) {
            let _ = writeln!(file, "{line}").and_then(|()| file.flush());
        }
    }

    /// What an earlier run left was removed but for this.
    pub fn swept(&self, stuck: &[Entry]) {
        *self.earlier.lock().unwrap_or_else(PoisonError::into_inner) = stuck.to_vec();
        self.close(&[]);
    }

    /// The run has cleaned up; what could not be removed stays on the list.
    pub fn close(&self, left: &[Entry]) {
        let Some(path) = &self.path else { return };
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<String> = earlier.iter().chain(left).filter_map(|entry| serde_json::to_string(entry).ok()).collect();
        let _ = if lines.is_empty() { std::fs::remove_file(path) } else { std::fs::write(path, lines.join("\n") + "\n") };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::target::Scim;

    #[test]
    fn a_killed_run_leaves_its_list_and_an_orderly_one_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = Journal::path(dir.path(), &Target::default());
        let user = Entry::Scim { place: "/Users".into(), id: "1".into(), name: "a".into(), second: false };
        let hook = Entry::Hook { hook: "delete-user".into(), values: vec![("user".into(), "a".into())] };
        let journal = Journal::new(Some(path.clone()));
        journal.add(&user);
        journal.add(&hook);
        assert_eq!(Journal::left(&path), [user, hook.clone()]);
        journal.close(std::slice::from_ref(&hook));
        assert_eq!(Journal::left(&path), [hook]);
        journal.close(&[]);
        assert!(Journal::left(&path).is_empty() && !path.exists());
    }

    #[test]
    fn a_list_is_found_by_where_the_target_is() {
        let at = |url: &str, mended: bool| {
            let mut target = Target { scim: Some(Scim { base_url: url.into(), ..Scim::default() }), ..Target::default() };
            target.network.rate = if mended { 5 } else { 0 };
            Journal::path(Path::new("reports"), &target)
        };
        assert_eq!(at("https://a.test/scim", false), at("https://a.test/scim", true));
        assert_ne!(at("https://a.test/scim", false), at("https://b.test/scim", false));
    }

    #[test]
    fn what_is_gone_is_off_the_list_and_what_an_earlier_run_left_stays_until_it_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        let user = |name: &str| Entry::Scim { place: "/Users".into(), id: String::new(), name: name.into(), second: false };
        let killed = Journal::new(Some(path.clone()));
        ["a", "b", "c"].iter().for_each(|name| killed.add(&user(name)));
        killed.gone(&user("b"));
        assert_eq!(Journal::left(&path), [user("a"), user("c")]);
        let next = Journal::new(Some(path.clone()));
        next.add(&user("d"));
        next.close(&[]);
        assert_eq!(Journal::left(&path), [user("a"), user("c")]);
        let sweeping = Journal::new(Some(path.clone()));
        sweeping.swept(&[user("c")]);
        sweeping.close(&[user("e")]);
        assert_eq!(Journal::left(&path), [user("c"), user("e")]);
        Journal::new(Some(path.clone())).swept(&[]);
        assert!(!path.exists());
    }
}
