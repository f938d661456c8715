//! Every defect of the reference peers is caught by its clause, and by no other that may not fire along.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use ipsie_conform::catalogue::Catalogue;
use ipsie_conform::embed::Flaw;
use ipsie_conform::selftest::{Row, markdown, matrix};
use ipsie_conform::suites;

fn executed() -> BTreeSet<String> {
    suites::all().iter().flat_map(|suite| suite.clauses()).map(|id| id.split('@').next().unwrap_or(&id).to_owned()).collect()
}

fn defects() -> BTreeSet<String> {
    Flaw::all().map(|flaw| flaw.clause().to_owned()).collect()
}

#[test]
fn every_executed_clause_has_a_defect() {
    let missing: Vec<_> = executed().difference(&defects()).cloned().collect();
    assert!(missing.is_empty(), "without a defect: {missing:?}");
}

#[test]
fn every_defect_is_caught() {
    let catalogue = Catalogue::embedded().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rows = runtime.block_on(matrix(&catalogue, &|_| true, &|_| {})).unwrap();
    assert_eq!(rows.len(), Flaw::all().count() + 1);
    let bad: Vec<String> = rows.iter().filter(|row| !row.good()).map(tell).collect();
    assert!(bad.is_empty(), "{} rows to look at:\n{}", bad.len(), bad.join("\n"));
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/reports/kill-matrix.md")).unwrap_or_default();
    assert_eq!(table(&page), table(&markdown(&rows)), "reports/kill-matrix.md is old: `ci/kill-matrix.sh` writes it anew");
}

/// Clause, defect and verdict of each row of a page; what else fired may depend on the moment.
fn table(page: &str) -> Vec<Vec<&str>> {
    page.lines().filter(|line| line.starts_with("| sl")).map(|line| line.split(" | ").take(3).collect()).collect()
}

fn tell(row: &Row) -> String {
    let name = if row.clause.is_empty() { "the conforming peer" } else { &row.clause };
    format!("{name}: {} ({}), also fired: {}", row.verdict, row.reason, row.unexpected.join(", "))
}
