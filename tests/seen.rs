//! What real products showed, judged again: the judges must still find the truth in recorded observations.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use ipsie_conform::catalogue::Catalogue;
use ipsie_conform::judge::{self, Observations};
use ipsie_conform::model::{Level, Role, Verdict};
use ipsie_conform::plan::Plan;
use serde::Deserialize;

#[derive(Deserialize)]
struct Truth {
    about: About,
    clauses: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct About {
    level: Level,
}

#[derive(Deserialize)]
struct Entry {
    verdict: Verdict,
}

fn judged_as_the_truth_says(product: &str, configuration: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let read = |path: &str| std::fs::read_to_string(fixtures.join(path)).unwrap();
    let seen: Observations = serde_json::from_str(&read(&format!("seen/{product}-{configuration}.json"))).unwrap();
    let truth: Truth = toml::from_str(&read(&format!("products/{product}/truth-{configuration}.toml"))).unwrap();
    let catalogue = Catalogue::embedded().unwrap();
    let plan = Plan::again(&catalogue, vec![truth.about.level], vec![Role::Idp], &catalogue.default_edition, None, &seen.fates);
    let rows = judge::clauses(&plan, &seen);
    assert_eq!(rows.len(), truth.clauses.len());
    let wrong: Vec<String> = rows
        .iter()
        .filter(|row| truth.clauses[&row.id].verdict != row.verdict)
        .map(|row| format!("{}: {} instead of {} ({})", row.id, row.verdict, truth.clauses[&row.id].verdict, row.reason))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn oidc_provider_as_sl1_deployment() {
    judged_as_the_truth_says("oidc-provider", "sl1");
}

#[test]
fn oidc_provider_with_its_defaults() {
    judged_as_the_truth_says("oidc-provider", "defaults");
}

#[test]
fn spring_authorization_server_with_its_defaults() {
    judged_as_the_truth_says("spring-authorization-server", "defaults");
}
