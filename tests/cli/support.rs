//! Starts the program and reads what it says.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Both streams.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// Is it answered with this code, and do these texts stand there, however they are wrapped?
    #[track_caller]
    pub fn has(&self, code: i32, texts: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{}", self.all());
        for text in texts {
            let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat(&self.all()).contains(&flat(text)), "`{text}` is not in:\n{}", self.all());
        }
        self
    }
}

pub fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipsie-conform"));
    command.args(args).current_dir(dir).stdin(Stdio::null());
    for name in ["NO_COLOR", "COLUMNS", "CHROME", "FORCE_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command
}

pub fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

pub fn cli_in(dir: &Path, args: &[&str]) -> Said {
    said(&mut command(dir, args))
}

/// For commands that read and write nothing but their output.
pub fn cli(args: &[&str]) -> Said {
    cli_in(&std::env::temp_dir(), args)
}

/// A run of the embedded peers that several tests look at; nobody writes into it.
pub fn embedded_run() -> &'static Path {
    static RUN: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, dir) = RUN.get_or_init(|| {
        let home = tempfile::tempdir().unwrap();
        let said = cli_in(home.path(), &["run", "--level", "SL1", "--fast", "--browser", "form", "--out", "run"]);
        assert!([0, 3].contains(&said.code), "{}", said.all());
        let dir = home.path().join("run");
        (home, dir)
    });
    dir
}

/// `serve`, until it is dropped.
pub struct Served {
    child: Child,
    home: tempfile::TempDir,
    /// What it said when it was ready.
    pub told: String,
}

impl Served {
    pub fn start(more: &[&str]) -> Served {
        Served::peer("idp", more)
    }

    pub fn peer(peer: &str, more: &[&str]) -> Served {
        let home = tempfile::tempdir().unwrap();
        let args = [&["serve", peer, "--dir", "op"], more].concat();
        let mut child = command(home.path(), &args).stdout(Stdio::piped()).spawn().unwrap();
        let mut told = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            told.push_str(&line);
            told.push('\n');
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
        Served { child, home, told }
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.home.path().join("op").join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    /// What stands behind a word at the start of a line.
    pub fn line(&self, word: &str) -> String {
        let line = self.told.lines().find(|line| line.starts_with(word)).unwrap();
        line[word.len()..].trim().to_owned()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
