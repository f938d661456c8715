//! One running product of `fixtures/products`, and the truth about it.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

/// The first start downloads and builds the product.
const START: Duration = Duration::from_secs(600);
/// Between SIGTERM and SIGKILL.
const END: Duration = Duration::from_secs(5);

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/products").join(name)
}

/// A product that runs until this is dropped, also by a panic.
pub struct Product {
    /// Its runtime folder.
    pub dir: tempfile::TempDir,
    child: Child,
}

impl Product {
    /// Starts it and waits until it is ready.
    pub fn start(name: &str, configuration: &str) -> Product {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("start.log");
        let file = File::create(&log).unwrap();
        let child = Command::new(folder(name).join("start.sh"))
            .arg(configuration)
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            // A group of its own: the end must reach whatever the script starts.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut product = Product { dir, child };
        let deadline = Instant::now() + START;
        while !product.dir.path().join("ready").exists() {
            let ended = product.child.try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                panic!("{name} {configuration} did not become ready ({ended:?}):\n{said}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        product
    }

    /// The target file that it wrote.
    pub fn target(&self) -> PathBuf {
        self.dir.path().join("target.toml")
    }

    /// Signals the whole group. There is no signal in the standard library, and every shell has one.
    fn signal(&self, name: &str) {
        let _ =
            Command::new("sh").args(["-c", &format!("kill -s {name} -- -{}", self.child.id())]).stderr(Stdio::null()).status();
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        self.signal("TERM");
        let deadline = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.signal("KILL");
        let _ = self.child.wait();
    }
}

/// What is expected of a product, found by hand.
#[derive(Deserialize)]
pub struct Truth {
    /// Of which level, and its verdict.
    pub about: About,
    clauses: BTreeMap<String, Expected>,
}

/// The head of a truth file.
#[derive(Deserialize)]
pub struct About {
    /// As `--level` names it.
    pub level: String,
    /// As `--role` names it.
    pub role: String,
    /// The expected verdict of the level.
    pub level_verdict: String,
    /// Seconds that no wait of the run is longer than, where the product's defects never end and the clauses wait long for it.
    wait_s: Option<u64>,
}

#[derive(Deserialize)]
struct Expected {
    verdict: String,
    why: String,
}

impl Truth {
    /// The truth file of a configuration.
    pub fn load(name: &str, configuration: &str) -> Truth {
        let path = folder(name).join(format!("truth-{configuration}.toml"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A copy of the profiles below `dir` with shorter waits, where this truth wants them.
    pub fn profiles(&self, dir: &Path) -> Option<PathBuf> {
        let longest = self.about.wait_s?;
        let folder = dir.join("profiles");
        std::fs::create_dir(&folder).unwrap();
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let shorter = |line: &str| match line.strip_prefix("wait_s = ").and_then(|wait| wait.parse::<u64>().ok()) {
                Some(wait) => format!("wait_s = {}\n", wait.min(longest)),
                None => format!("{line}\n"),
            };
            let text: String = std::fs::read_to_string(&path).unwrap().lines().map(shorter).collect();
            std::fs::write(folder.join(path.file_name().unwrap()), text).unwrap();
        }
        Some(folder)
    }

    /// Where a `report.json` says something else, with both reasons.
    pub fn differences(&self, report: &Value) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or("nothing").to_owned();
        let mut differences = Vec::new();
        let mut seen: BTreeMap<String, &Value> = BTreeMap::new();
        for row in report["clauses"].as_array().into_iter().flatten() {
            seen.insert(text(&row["id"]), row);
        }
        for (id, expected) in &self.clauses {
            let (verdict, reason) = match seen.get(id) {
                Some(row) => (text(&row["verdict"]), text(&row["reason"])),
                None => ("no verdict".into(), "the report does not list it".into()),
            };
            if verdict != expected.verdict {
                differences.push(format!("{id}\n  truth  {}: {}\n  report {verdict}: {reason}", expected.verdict, expected.why));
            }
        }
        for (id, row) in seen.iter().filter(|(id, _)| !self.clauses.contains_key(*id)) {
            differences.push(format!("{id}\n  truth  none\n  report {}: {}", text(&row["verdict"]), text(&row["reason"])));
        }
        let levels = report["levels"].as_array().cloned().unwrap_or_default();
        let About { level, role, level_verdict, .. } = &self.about;
        let row = levels.iter().find(|row| row["level"] == level.as_str() && row["role"] == role.as_str());
        let verdict = row.map_or("nothing".into(), |row| text(&row["verdict"]));
        if verdict != *level_verdict {
            differences.push(format!("{level} {role}: truth {level_verdict}, report {verdict}"));
        }
        for fault in report["faults"].as_array().into_iter().flatten() {
            differences.push(format!("fault ({}): {}", text(&fault["class"]), text(&fault["message"])));
        }
        differences
    }
}
