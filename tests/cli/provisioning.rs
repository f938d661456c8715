//! Identity services whose hooks fail, hang, talk nonsense or do nothing, and a run that is interrupted while they provision.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Said, cli_in, command, json};

/// Hooks of the directory, apart from `create-user` and `delete-user`.
const OTHERS: [&str; 13] = [
    "assign-user",
    "disable-user",
    "enable-user",
    "unassign-user",
    "update-profile",
    "rename-user",
    "create-group",
    "add-group-member",
    "remove-group-member",
    "delete-group",
    "full-resync",
    "import-roles",
    "map-role",
];
/// A hook that does what it is asked, as far as its exit code says.
const NOTHING: &str = r#"exec = ["true"]"#;

/// Writes the target file of a directory with these hooks; all others do nothing.
fn target(dir: &Path, cycle_s: u64, hooks: &[(&str, &str)]) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    std::fs::write(dir.join("token"), "a-token-of-the-test-0123456789").unwrap();
    let mut text = format!(
        r#"[target]
name = "scripted directory"
roles = ["idp"]
levels = ["AL3"]
bindings = ["scim"]

[counterpart]
scim_listen = "127.0.0.1:{port}"
scim_url = "http://127.0.0.1:{port}/scim/v2"

[scim]
auth = "bearer"
token = "file:token"

[lifecycle]
cycle_s = {cycle_s}
"#
    );
    let scripted = |name: &str| hooks.iter().find(|(known, _)| *known == name).map_or(NOTHING, |(_, how)| how);
    for name in OTHERS.into_iter().chain(["create-user", "delete-user"]) {
        text.push_str(&format!("\n[hooks.{name}]\n{}\n", scripted(name)));
    }
    std::fs::write(dir.join("target.toml"), text).unwrap();
}

const RUN: [&str; 10] =
    ["run", "--role", "idp", "--level", "AL3", "--non-interactive", "--target", "target.toml", "--out", "reports/run"];

/// Runs it to its end; nothing may be held against it, and every verdict that it has says why.
fn ends_undecided(dir: &Path, most: Duration) -> (Said, serde_json::Value) {
    let began = Instant::now();
    let said = cli_in(dir, &RUN);
    assert!(began.elapsed() < most, "{:?}\n{}", began.elapsed(), said.all());
    said.has(3, &["start provision-leaver", "start provision-joiner", "start provision-roles"]);
    let report = json(&dir.join("reports/run/report.json"));
    for row in report["clauses"].as_array().unwrap() {
        let verdict = row["verdict"].as_str().unwrap();
        assert!(["inconclusive", "not-run", "not-applicable"].contains(&verdict), "{row}");
        assert!(row["reason"].as_str().is_some_and(|reason| !["", "not tried"].contains(&reason)), "{row}");
    }
    (said, report)
}

fn reason<'a>(report: &'a serde_json::Value, clause: &str) -> &'a str {
    let rows = report["clauses"].as_array().unwrap();
    rows.iter().find(|row| row["id"] == clause).and_then(|row| row["reason"].as_str()).unwrap()
}

#[test]
fn a_hook_that_fails_is_named() {
    let dir = tempfile::tempdir().unwrap();
    target(dir.path(), 2, &[("create-user", r#"exec = ["sh", "-c", "echo the directory is closed; exit 1"]"#)]);
    let (_, report) = ends_undecided(dir.path(), Duration::from_secs(60));
    for clause in ["al1.idp.deactivates-on-disable", "al2.idp.creates-before-signin", "al2.idp.group-create-push"] {
        let why = reason(&report, clause);
        assert!(why.contains("create-user") && why.contains("the directory is closed"), "{clause}: {why}");
    }
}

#[test]
fn a_hook_that_hangs_is_named_and_costs_its_time_twice_at_most() {
    let dir = tempfile::tempdir().unwrap();
    target(dir.path(), 2, &[("create-user", "exec = [\"sleep\", \"600\"]\ntimeout_s = 2")]);
    let (_, report) = ends_undecided(dir.path(), Duration::from_secs(90));
    for clause in ["al1.idp.deactivates-on-disable", "al2.idp.creates-before-signin", "al3.idp.role-pushed"] {
        let why = reason(&report, clause);
        assert!(why.contains("create-user") && why.contains("did not end within 2 s"), "{clause}: {why}");
    }
}

#[test]
fn a_directory_that_sends_nothing_is_told_from_one_that_sends_the_wrong_thing() {
    for nonsense in [NOTHING, r#"exec = ["head", "-c", "20000", "/dev/urandom"]"#] {
        let dir = tempfile::tempdir().unwrap();
        target(dir.path(), 2, &[("create-user", nonsense), ("assign-user", nonsense)]);
        let (said, report) = ends_undecided(dir.path(), Duration::from_secs(90));
        said.has(3, &["wait  provision-leaver: 2 s for users to arrive"]);
        for clause in ["al1.idp.deactivates-on-disable", "al2.idp.creates-before-signin", "al3.idp.reads-roles"] {
            let why = reason(&report, clause);
            assert!(why.contains("no request at all came from the identity service"), "{clause}: {why}");
        }
    }
}

/// Interrupts a run that waits for the directory. Its users are files.
#[cfg(unix)]
fn interrupted(dir: &Path, delete: &str) {
    std::fs::create_dir(dir.join("users")).unwrap();
    target(dir, 3600, &[("create-user", r#"exec = ["sh", "-c", ": >users/$0", "{user}"]"#), ("delete-user", delete)]);
    let mut child = command(dir, &RUN).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut waiting = BTreeSet::from(["leaver", "joiner", "groups", "roles", "faults"]);
    while !waiting.is_empty() {
        let line = lines.next().unwrap();
        waiting.retain(|scenario| !line.contains(&format!("wait  provision-{scenario}")));
    }
    assert!(std::fs::read_dir(dir.join("users")).unwrap().count() > 0);
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let _: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let report = json(&dir.join("reports/run/report.json"));
    assert_eq!(report["run"]["interrupted"], true);
}

fn journals(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join("reports")).unwrap().flatten();
    let lists = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".unfinished-"));
    lists.map(|entry| std::fs::read_to_string(entry.path()).unwrap()).collect()
}

#[test]
#[cfg(unix)]
fn an_interrupted_cycle_removes_its_users() {
    let dir = tempfile::tempdir().unwrap();
    interrupted(dir.path(), r#"exec = ["rm", "-f", "users/{user}"]"#);
    assert_eq!(std::fs::read_dir(dir.path().join("users")).unwrap().count(), 0);
    assert!(journals(dir.path()).is_empty());
}

#[test]
#[cfg(unix)]
fn users_that_cannot_be_removed_stay_on_the_list_of_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    interrupted(dir.path(), r#"exec = ["false"]"#);
    let left: Vec<_> = std::fs::read_dir(dir.path().join("users")).unwrap().flatten().collect();
    let lists = journals(dir.path());
    assert_eq!(lists.len(), 1);
    for user in left {
        let name = user.file_name().into_string().unwrap();
        assert!(lists[0].contains(&name), "{name} is not in {}", lists[0]);
    }
}
