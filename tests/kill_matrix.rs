//! Every defect of the reference peers is caught by its clause, and by no other that may not fire along.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ipsie_conform::catalogue::Catalogue;
use ipsie_conform::embed::Flaw;
use ipsie_conform::selftest::flaws;
use ipsie_conform::suites;

/// The clauses that scenarios decide in the default edition, by which the matrix is made.
fn executed() -> BTreeSet<String> {
    suites::all()
        .iter()
        .flat_map(|suite| suite.clauses())
        .map(|id| id.split('@').next().unwrap_or(&id).to_owned())
        .filter(|id| id != "sl2.app.new-assertion-demanded")
        .collect()
}

fn defects() -> BTreeSet<String> {
    Flaw::all().map(|flaw| flaw.clause().to_owned()).collect()
}

#[test]
fn every_executed_clause_has_a_defect() {
    let missing: Vec<_> = executed().difference(&defects()).cloned().collect();
    assert!(missing.is_empty(), "without a defect: {missing:?}");
}

/// `IPSIE_CONFORM_BIN` names another binary than the one of this build: the released one is several times faster.
#[test]
fn every_defect_is_caught() {
    let binary = std::env::var_os("IPSIE_CONFORM_BIN").map_or_else(|| env!("CARGO_BIN_EXE_ipsie-conform").into(), PathBuf::from);
    let ended = Command::new(&binary).args(["selftest", "--format", "markdown"]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    let bad: Vec<&str> = said.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert!(ended.status.success(), "rows to look at:\n{}", bad.join("\n"));
    let made = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(table(&made).len(), flaws(&Catalogue::embedded().unwrap()).len());
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/reports/kill-matrix.md")).unwrap_or_default();
    assert_eq!(table(&page), table(&made), "reports/kill-matrix.md is old: `ci/kill-matrix.sh` writes it anew");
}

/// Clause, defect and verdict of each row of a page; what else fired may depend on the moment.
fn table(page: &str) -> Vec<Vec<&str>> {
    page.lines()
        .filter(|line| line.starts_with("| sl") || line.starts_with("| al"))
        .map(|line| line.split(" | ").take(3).collect())
        .collect()
}
