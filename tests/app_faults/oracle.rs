//! What tells a signed-in page, where nobody has said so.

use std::sync::Arc;

use super::support::{Does, Faulty, materials, nothing_failed, page, play, row, some_at_a_time, stopped};
use ipsie_conform::counterpart::app::Defect;
use ipsie_conform::embed::{Flaw, embed};
use ipsie_conform::model::target::Marker;
use ipsie_conform::model::{Role, Verdict};
use ipsie_conform::set_stage::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_marker_the_suite_finds_one_and_says_which() {
    let mut faulty = Faulty::start(|_, _| Does::Pass).await;
    faulty.setting.target.app.as_mut().unwrap().logged_in = Marker::default();
    let notes = faulty.notes.clone();
    let report = faulty.run().await.unwrap();
    nothing_failed(&report);
    assert_eq!(row(&report, "discovery-used").verdict, Verdict::Pass);
    assert_eq!(report.scenarios[0].controls.failed, 0);
    let notes = notes.lock().unwrap().join("\n");
    assert!(notes.contains("it is shown at https://app.ipsie-conform-target.test/protected"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_the_same_for_everybody_is_refused() {
    let same = "<title>Portal</title><p>Welcome</p>";
    let mut faulty = Faulty::start(|request, _| match request.uri().path() {
        "/protected" => page(200, "<title>Portal</title><p>Welcome</p>"),
        _ => Does::Pass,
    })
    .await;
    faulty.setting.target.app.as_mut().unwrap().logged_in = Marker::default();
    stopped(
        faulty.run().await,
        &["nothing tells a signed-in user's page from anybody's", "/protected"],
        &["[app.logged_in]", "app.protected_url"],
    );
    // The same with a marker that the page has for everybody.
    let mut faulty = Faulty::start(|request, _| match request.uri().path() {
        "/protected" => page(200, "<title>Portal</title><p>Welcome</p>"),
        _ => Does::Pass,
    })
    .await;
    assert!(same.contains("Welcome"));
    faulty.setting.target.app.as_mut().unwrap().logged_in = Marker { text: Some("Welcome".into()), ..Marker::default() };
    stopped(faulty.run().await, &["the text \"Welcome\"", "to nobody as well"], &["selector or text"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_changes_by_login_but_not_by_session_is_refused() {
    // After any callback, even one with a broken ID token, the page opens.
    let mut faulty = Faulty::start(|request, _| {
        let cookie = request.headers().get("cookie").and_then(|value| value.to_str().ok()).unwrap_or_default();
        match request.uri().path() {
            "/protected" if cookie.contains("seen=1") => page(200, "<p>Welcome</p>"),
            "/protected" => page(401, "<p>Sign in</p>"),
            "/callback" => Does::PassAnd("seen=1; Secure; Path=/"),
            _ => Does::Pass,
        }
    })
    .await;
    faulty.setting.target.app.as_mut().unwrap().logged_in = Marker::default();
    stopped(faulty.run().await, &["nothing tells", "status 200", "cannot be read"], &["[app.logged_in]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_login_that_fails_teaches_nothing() {
    let mut faulty = Faulty::start(|request, _| match request.uri().path() {
        "/protected" => page(403, "<p>No</p>"),
        _ => Does::Pass,
    })
    .await;
    faulty.setting.target.app.as_mut().unwrap().logged_in = Marker::default();
    stopped(faulty.run().await, &["the code was redeemed", "status 403", "cannot learn"], &["app.id_token_alg"]);
    // With a marker, the page that lacks it is named.
    let mut faulty = Faulty::start(|_, _| Does::Pass).await;
    let marker = Marker { text: Some("Hello, Alice".into()), ..Marker::default() };
    faulty.setting.target.app.as_mut().unwrap().logged_in = marker;
    stopped(
        faulty.run().await,
        &["first login did not succeed", "the text \"Hello, Alice\"", "/protected with status 200"],
        &["app.logged_in"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_defect_of_the_reference_application_hides_behind_the_first_login() {
    let runs = Defect::ALL.iter().map(|defect| async {
        let flaws = [Flaw::App(*defect)];
        let (setting, _peers) = embed(&materials(), &[Role::App], &flaws, Browser::Form, true, 4).await.unwrap();
        play(setting, &["app-probe"], Arc::default()).await.map(|_| ())
    });
    let stopped: Vec<String> = Defect::ALL
        .iter()
        .zip(some_at_a_time(runs).await)
        .filter_map(|(defect, outcome)| Some(format!("{defect:?}: {}", outcome.err()?)))
        .collect();
    assert!(stopped.is_empty(), "{stopped:#?}");
}
