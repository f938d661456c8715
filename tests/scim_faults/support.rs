//! Runs the program against a server and reads what it says, how long it takes and how much memory.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::server::{Faulty, TOKEN};

/// No run takes longer: the suite's own limits end it before.
const LONGEST: Duration = Duration::from_secs(150);
/// Clauses of an application at AL1 to AL3.
pub const CLAUSES: usize = 130;
/// What also the sound server of these tests fails: it speaks clear text, takes a static token and has no roles.
pub const KNOWN: [&str; 4] =
    ["al1.app.tls-floor", "al1.app.expired-token", "al3.app.roles-exposed", "al3.app.unknown-role-refused"];

pub struct Ran {
    pub code: i32,
    /// Standard output and error.
    pub all: String,
    pub report: Option<Value>,
    /// Most memory that it took, in MiB.
    pub peak_mib: u64,
    pub took: Duration,
}

/// A folder with a target file for this base URL.
pub fn folder(base_url: &str) -> tempfile::TempDir {
    patient(base_url, 2)
}

/// The same, with another time limit of a request.
fn patient(base_url: &str, timeout_s: u64) -> tempfile::TempDir {
    let target = format!(
        "[target]\nname = \"faulty\"\nroles = [\"app\"]\nlevels = [\"AL3\"]\nbindings = [\"scim\"]\n[network]\ntimeout_s = {timeout_s}\n\
         [scim]\nbase_url = \"{base_url}\"\ntoken = \"file:token\"\n"
    );
    folder_with(&target)
}

pub fn folder_with(target: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.toml"), target).unwrap();
    std::fs::write(dir.path().join("token"), TOKEN).unwrap();
    dir
}

pub fn start(dir: &Path, more: &[&str]) -> Child {
    let args = ["run", "--role", "app", "--level", "AL3", "--target", "t.toml", "--non-interactive", "--out", "out/run"];
    let log = std::fs::File::create(dir.join("log")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_ipsie-conform"))
        .args(args)
        .args(more)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Waits for its end on a thread of its own.
pub async fn ended(child: Child, dir: &Path) -> Ran {
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || watch(child, &dir)).await.unwrap()
}

fn watch(mut child: Child, dir: &Path) -> Ran {
    let (clock, status) = (Instant::now(), format!("/proc/{}/status", child.id()));
    let mut peak_kib = 0;
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap_or(-1);
        }
        let told = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = told.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok());
        peak_kib = peak.unwrap_or(peak_kib);
        if clock.elapsed() > LONGEST {
            let _ = child.kill();
            panic!("it did not end: {}", std::fs::read_to_string(dir.join("log")).unwrap());
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let report = std::fs::read_to_string(dir.join("out/run/report.json")).ok();
    Ran {
        code,
        all: std::fs::read_to_string(dir.join("log")).unwrap(),
        report: report.map(|text| serde_json::from_str(&text).unwrap()),
        peak_mib: peak_kib / 1024,
        took: clock.elapsed(),
    }
}

pub async fn run(faulty: &Faulty, more: &[&str]) -> Ran {
    let dir = folder(&faulty.base_url());
    ended(start(dir.path(), more), dir.path()).await
}

/// The same at a server that takes its time for what it answers.
pub async fn run_patiently(faulty: &Faulty) -> Ran {
    let dir = patient(&faulty.base_url(), 20);
    ended(start(dir.path(), &[]), dir.path()).await
}

/// In the order given; more at a time would measure the machine.
pub async fn some_at_a_time<F: Future>(runs: impl Iterator<Item = F>) -> Vec<F::Output> {
    use futures_util::StreamExt;
    futures_util::stream::iter(runs.map(Box::pin)).buffered(3).collect().await
}

impl Ran {
    /// Ids of the clauses with this verdict.
    pub fn with(&self, verdict: &str) -> Vec<String> {
        let all = self.report.as_ref().and_then(|report| report["clauses"].as_array()).into_iter().flatten();
        all.filter(|row| row["verdict"] == verdict).map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Those that failed with their reasons, but for what every server of these tests fails.
    pub fn failed(&self) -> Vec<String> {
        let all = self.report.as_ref().and_then(|report| report["clauses"].as_array()).into_iter().flatten();
        let failed = all.filter(|row| row["verdict"] == "fail" && !KNOWN.iter().any(|known| row["id"] == *known));
        failed.map(|row| format!("{}: {}", row["id"].as_str().unwrap(), row["reason"].as_str().unwrap())).collect()
    }

    /// Its end is orderly: one of these exit codes, no fault of the suite, every clause in the report where there is one.
    #[track_caller]
    pub fn is_orderly(&self, name: &str, codes: &[i32]) {
        eprintln!("{name}: exit {}, {:.1} s, {} MiB", self.code, self.took.as_secs_f64(), self.peak_mib);
        assert!(codes.contains(&self.code), "{name}: exit {}\n{}", self.code, self.all);
        assert!(!self.all.contains("panicked"), "{name}: {}", self.all);
        assert!(self.peak_mib < 150, "{name}: {} MiB", self.peak_mib);
        match &self.report {
            None => assert_eq!(self.code, 4, "{name}: no report\n{}", self.all),
            Some(report) => {
                assert_eq!(report["clauses"].as_array().map(Vec::len), Some(CLAUSES), "{name}");
                let suite = report["faults"].as_array().into_iter().flatten().find(|fault| fault["class"] == "suite");
                assert!(suite.is_none(), "{name}: {suite:?}");
            }
        }
    }

    /// These words stand in what it says, however they are wrapped.
    #[track_caller]
    pub fn says(&self, texts: &[&str]) {
        let flat = |text: &str| text.split_whitespace().filter(|part| *part != "│").collect::<Vec<_>>().join(" ");
        for text in texts {
            assert!(flat(&self.all).contains(&flat(text)), "`{text}` is not in:\n{}", self.all);
        }
    }
}

/// Nothing of the run is there, and nobody else was touched.
#[track_caller]
pub fn is_clean(name: &str, faulty: &Faulty) {
    assert!(faulty.strangers_are_untouched(), "{name}: a stranger was changed");
    assert_eq!(faulty.left(), [""; 0], "{name}: left behind");
}
