//! Certificates, HSTS, passkeys, and what happens when things go wrong.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::chrome::{ChromeAgent, find_chrome};
use super::fixture::Fixture;
use super::form::FormAgent;
use super::{AgentConfig, AgentFault, Landing, Passkey, UserAgent, Visit};
use crate::stage::recorder::Recorder;

const IDP: &str = "https://idp.target.test";

async fn chrome(config: AgentConfig) -> Option<Arc<dyn UserAgent>> {
    if find_chrome().is_none() {
        println!("skipped: no Chrome found");
        return None;
    }
    Some(ChromeAgent::launch(config, Arc::new(Recorder::default()), None).await.unwrap())
}

async fn go(agent: &Arc<dyn UserAgent>, url: &str) -> Result<Landing, AgentFault> {
    let mut page = agent.context("test").await?.page("test").await?;
    page.go(Visit::Get(url.to_owned()), "visit").await
}

#[tokio::test]
async fn the_form_agent_trusts_the_given_roots_only() {
    let fixture = Fixture::start_tls().await;
    let mut config = fixture.config();
    let agent = FormAgent::new(config.clone(), Arc::default()).unwrap();
    let landing = go(&agent, &format!("{IDP}/secure")).await.unwrap();
    assert!(landing.error.unwrap().to_lowercase().contains("certificate"));
    config.roots = vec![fixture.certificates.clone().unwrap().0];
    let agent = FormAgent::new(config, Arc::default()).unwrap();
    let landing = go(&agent, &format!("{IDP}/secure")).await.unwrap();
    assert_eq!(landing.arrival.unwrap().url, "https://rp.suite.test/cb?code=c0de&state=s");
}

#[tokio::test]
async fn chrome_trusts_the_pinned_leaf_only() {
    let fixture = Fixture::start_tls().await;
    let mut config = fixture.config();
    let Some(agent) = chrome(config.clone()).await else { return };
    let landing = go(&agent, &format!("{IDP}/secure")).await.unwrap();
    assert!(landing.error.unwrap().contains("ERR_CERT_AUTHORITY_INVALID"));
    agent.close().await;
    config.leaves = vec![fixture.certificates.clone().unwrap().1];
    let agent = chrome(config).await.unwrap();
    let mut page = agent.context("test").await.unwrap().page("test").await.unwrap();
    let landing = page.go(Visit::Get(format!("{IDP}/secure")), "visit").await.unwrap();
    assert_eq!(landing.arrival.unwrap().url, "https://rp.suite.test/cb?code=c0de&state=s");
    // After HSTS the browser itself turns http into https; that is no hop of the target.
    page.go(Visit::Get(format!("{IDP}/hsts")), "visit").await.unwrap();
    let landing = page.go(Visit::Get(format!("{IDP}/mixed")), "visit").await.unwrap();
    let way: Vec<_> = landing.hops.iter().map(|hop| (hop.status, hop.url.as_str())).collect();
    assert_eq!(
        way,
        [
            (302, "https://idp.target.test/mixed"),
            (302, "https://idp.target.test/secure"),
            (200, "https://rp.suite.test/cb?code=c0de&state=s")
        ]
    );
    assert_eq!(landing.hops[1].header("location").unwrap(), "https://rp.suite.test/cb?code=c0de&state=s");
    let visit = Visit::Post { url: format!("{IDP}/shown"), fields: vec![("a".into(), "b".into())] };
    let landing = page.go(visit, "post").await.unwrap();
    assert_eq!((landing.hops.len(), landing.status), (1, 200), "{landing:?}");
    agent.close().await;
}

#[tokio::test]
async fn a_passkey_signs_in() {
    let fixture = Fixture::start_tls().await;
    let mut config = fixture.config();
    config.leaves = vec![fixture.certificates.clone().unwrap().1];
    let Some(agent) = chrome(config).await else { return };
    let mut page = agent.context("test").await.unwrap().page("test").await.unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let passkey = Passkey {
        rp_id: "idp.target.test".into(),
        credential_id: URL_SAFE_NO_PAD.encode("a credential \u{ff}\u{3fe}"),
        user_handle: URL_SAFE_NO_PAD.encode("alice"),
        private_key: STANDARD.encode(key.serialize_der()),
        sign_count: 1,
    };
    assert!(page.passkey(&passkey).await.unwrap());
    page.go(Visit::Get(format!("{IDP}/passkey")), "visit").await.unwrap();
    let landing = page.wait_for("#signed", "wait").await.unwrap();
    assert!(landing.html.contains(&passkey.credential_id), "{}", landing.html);
    agent.close().await;
}

#[tokio::test]
async fn pages_that_never_end_do_not_hang() {
    let fixture = Fixture::start().await;
    let mut config = fixture.config();
    config.deadline = Duration::from_secs(3);
    let Some(agent) = chrome(config).await else { return };
    let landing = go(&agent, "http://idp.target.test/basic").await.unwrap();
    assert_eq!(landing.hops[0].status, 401, "{landing:?}");
    let start = Instant::now();
    let landing = go(&agent, "http://idp.target.test/busy").await.unwrap();
    assert!(landing.error.is_some());
    assert!(start.elapsed() < Duration::from_secs(60));
    assert!(go(&agent, "http://idp.target.test/static").await.unwrap().error.is_none());
    agent.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_dead_browser_is_noticed_at_once() {
    let fixture = Fixture::start().await;
    if find_chrome().is_none() {
        println!("skipped: no Chrome found");
        return;
    }
    let agent = ChromeAgent::started(fixture.config(), Arc::default(), None).await.unwrap();
    let (id, profile) = agent.process_for_test();
    let shared: Arc<dyn UserAgent> = Arc::new(agent);
    let mut page = shared.context("test").await.unwrap().page("test").await.unwrap();
    let visiting = tokio::spawn(async move { page.go(Visit::Get("http://idp.target.test/slow".into()), "visit").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    std::process::Command::new("kill").args(["-9", &id.to_string()]).status().unwrap();
    let start = Instant::now();
    let fault = visiting.await.unwrap().unwrap_err();
    assert!(matches!(fault, AgentFault::Lost(_)), "{fault}");
    assert!(start.elapsed() < Duration::from_secs(60));
    assert!(matches!(shared.context("late").await.err().unwrap(), AgentFault::Lost(_)));
    assert!(profile.exists());
    shared.close().await;
    assert!(!profile.exists(), "the profile stayed behind");
}

#[tokio::test]
async fn a_browser_that_runs_already_can_be_used() {
    let fixture = Fixture::start().await;
    if find_chrome().is_none() {
        println!("skipped: no Chrome found");
        return;
    }
    let mut config = fixture.config();
    let first = ChromeAgent::started(config.clone(), Arc::default(), None).await.unwrap();
    let address = url::Url::parse(&first.address_for_test()).unwrap();
    config.resolve.clear();
    let http = format!("http://127.0.0.1:{}", address.port().unwrap());
    let second = ChromeAgent::launch(config, Arc::default(), Some(http.clone())).await.unwrap();
    assert!(go(&second, "http://idp.target.test/silent").await.unwrap().arrival.is_some());
    // Dropped pages and contexts leave nothing open but the browser's own first tab.
    let client = super::form_client::tls(reqwest::Client::builder(), &[]).unwrap().build().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let tabs: Vec<serde_json::Value> = client.get(format!("{http}/json/list")).send().await.unwrap().json().await.unwrap();
    assert_eq!(tabs.iter().filter(|tab| tab["type"] == "page").count(), 1, "{tabs:?}");
    second.close().await;
    let first: Arc<dyn UserAgent> = Arc::new(first);
    assert!(go(&first, "http://idp.target.test/silent").await.unwrap().arrival.is_some());
    first.close().await;
}

/// Many visits at a time, as the scenarios of a run make them.
#[tokio::test]
async fn contexts_work_side_by_side() {
    let fixture = Fixture::start().await;
    let Some(agent) = chrome(fixture.config()).await else { return };
    let start = Instant::now();
    let visits = (0..12).map(|_| {
        let agent = Arc::clone(&agent);
        tokio::spawn(async move { go(&agent, "http://idp.target.test/formpost").await })
    });
    for visit in visits.collect::<Vec<_>>() {
        assert_eq!(visit.await.unwrap().unwrap().arrival.unwrap().method, "POST");
    }
    println!("12 contexts side by side: {:?}", start.elapsed());
    agent.close().await;
}

#[tokio::test]
async fn a_browser_that_cannot_start_is_a_clear_fault() {
    let fixture = Fixture::start().await;
    let fault =
        ChromeAgent::launch(fixture.config(), Arc::default(), Some("ws://127.0.0.1:1/devtools".into())).await.err().unwrap();
    assert!(matches!(fault, AgentFault::NoBrowser(_)), "{fault}");
}
