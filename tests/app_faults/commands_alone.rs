//! Accounts that are driven by commands alone: no SCIM is declared.

use std::sync::Arc;
use std::time::Duration;

use super::support::{materials, nothing_failed, rows};
use ipsie_conform::catalogue::Catalogue;
use ipsie_conform::embed::embed;
use ipsie_conform::model::report::Report;
use ipsie_conform::model::{Level, Role, Verdict};
use ipsie_conform::plan::{Ask, Plan};
use ipsie_conform::run::run;
use ipsie_conform::set_stage::{Browser, Setting};
use tokio::sync::watch;

async fn commands_alone() -> (Setting, impl Sized) {
    let (mut setting, peers) = embed(&materials(), &[Role::App], &[], Browser::Form, false, 4).await.unwrap();
    setting.target.scim = None;
    setting.target.target.bindings = vec!["op-commands".into()];
    (setting, peers)
}

async fn played(setting: Setting, scenarios: &[&str]) -> Report {
    let catalogue = Catalogue::embedded().unwrap();
    let ask = Ask {
        levels: vec![Level::Al3],
        roles: vec![Role::App],
        edition: catalogue.default_edition.clone(),
        bindings: Vec::new(),
        clauses: Vec::new(),
        scenarios: scenarios.iter().map(|name| (*name).to_owned()).collect(),
        fast: false,
        profile: None,
    };
    let plan = Plan::make(&catalogue, &setting.target, &ask);
    let (_stop, stopped) = watch::channel(false);
    let finished = run(&catalogue, &plan, setting, Arc::new(|_| ()), stopped);
    tokio::time::timeout(Duration::from_secs(240), finished).await.expect("it ends in time").unwrap().report
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_for_every_binding_is_decided_by_commands() {
    let (setting, _peers) = commands_alone().await;
    let report = played(setting, &[]).await;
    nothing_failed(&report);
    let open: Vec<String> = [Verdict::Inconclusive, Verdict::NotRun, Verdict::Warning]
        .into_iter()
        .flat_map(|verdict| rows(&report, verdict))
        .collect();
    // It needs a tenant that may be spoilt.
    assert!(open.iter().all(|row| row.starts_with("al1.app.cmd-suspend-tenant ")), "{open:#?}");
    let passed = rows(&report, Verdict::Pass);
    for id in [
        "al1.app.any-one-way",
        "al1.app.session-ends",
        "al1.app.signin-refused",
        "al1.app.reactivation-revives-no-session",
        "al1.app.no-bypass-signin",
        "al2.app.created-user-signs-in",
        "al2.app.update-visible-to-user",
        "al2.app.jit-user-is-managed",
        "al2.app.mapping-effective",
        "al2.app.mapping-removed",
        "al2.app.mapping-unmapped-group",
        "al2.app.local-create-refused",
        "al2.app.local-update-refused",
        "al2.app.local-delete-refused",
        "al3.app.assign-role",
        "al3.app.remove-role",
    ] {
        assert!(passed.iter().any(|row| row.starts_with(&format!("{id} "))), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_commands_made_are_gone_afterwards_and_off_the_list() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list");
    let (mut setting, _peers) = commands_alone().await;
    // As at a real target.
    (setting.embedded, setting.journal) = (false, Some(list.clone()));
    let report = played(setting, &["command-accounts/states", "account-leaver"]).await;
    nothing_failed(&report);
    assert!(report.run.left.is_empty(), "{:?}", report.run.left);
    assert!(!list.exists());
}
