//! What stands between the start page and the provider: an account chooser, a page that asks for an address, another window.

use super::support::{Does, Faulty, nothing_failed, page, row, stopped};
use ipsie_conform::model::Verdict;
use ipsie_conform::model::target::Step;
use ipsie_conform::set_stage::Browser;
use ipsie_conform::stage::browser::chrome::find_chrome;

const CHOOSER: &str = "<title>Choose</title><p>Choose an account</p><a href=\"/help\">Help</a><form action=\"/login\"><button>Continue</button></form>";
const TWO: &str =
    "<title>Choose</title><a href=\"/login\">alice@example.com</a><a href=\"/login?connection=second\">bob@example.com</a>";
const ADDRESS: &str =
    "<title>Who are you?</title><form action=\"/go\"><input id=email name=email><button id=next>Next</button></form>";
const WINDOW: &str = "<title>Portal</title><button onclick=\"window.open('/login')\">Sign in</button>";

async fn starting(browser: Browser, html: &'static str, steps: Vec<Step>) -> Faulty {
    let mut faulty = Faulty::with(
        browser,
        match html {
            CHOOSER => |request, _| if request.uri().path() == "/start" { page(200, CHOOSER) } else { Does::Pass },
            TWO => |request, _| if request.uri().path() == "/start" { page(200, TWO) } else { Does::Pass },
            WINDOW => |request, _| if request.uri().path() == "/start" { page(200, WINDOW) } else { Does::Pass },
            _ => |request, _| match (request.uri().path(), request.uri().query()) {
                ("/start", _) => page(200, ADDRESS),
                ("/go", Some(query)) if query.contains("%40ipsie-conform.test") => {
                    super::support::redirect("https://app.ipsie-conform-target.test/login")
                }
                ("/go", _) => page(200, "<title>Unknown</title>Nobody has this address."),
                _ => Does::Pass,
            },
        },
    )
    .await;
    let app = faulty.setting.target.app.as_mut().unwrap();
    app.start_url = app.start_url.replace("/login", "/start");
    // Whoever is not signed in sees a page, not the provider.
    app.login.steps = steps;
    faulty
}

async fn works(faulty: Faulty) -> String {
    let notes = faulty.notes.clone();
    let report = faulty.run().await.unwrap();
    nothing_failed(&report);
    assert_eq!(report.scenarios[0].controls.failed, 0);
    assert_eq!(row(&report, "pkce-s256").verdict, Verdict::Pass, "{}", row(&report, "pkce-s256").reason);
    notes.lock().unwrap().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sensible_button_is_clicked_at_every_login() {
    let notes = works(starting(Browser::Form, CHOOSER, Vec::new()).await).await;
    assert!(notes.contains("/start leads to the provider by \"Continue\""), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_a_choice_the_operator_makes_it() {
    let faulty = starting(Browser::Form, TWO, Vec::new()).await;
    stopped(faulty.run().await, &["/start", "\"alice@example.com\", \"bob@example.com\""], &["app.start_url"]);
    let click = Step::Click { at: "a[href=\"/login\"]".into() };
    works(starting(Browser::Form, TWO, vec![click]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_the_user_is_typed() {
    let steps = vec![
        Step::ClickIfThere { at: "#accept-cookies".into() },
        Step::WaitFor { at: "#email".into() },
        Step::Fill { at: "#email".into(), with: "{username}".into() },
        Step::Click { at: "#next".into() },
    ];
    works(starting(Browser::Form, ADDRESS, steps).await).await;
    let wrong = vec![Step::Click { at: "#nxt".into() }];
    stopped(
        starting(Browser::Form, ADDRESS, wrong).await.run().await,
        &["app.login.steps", "#nxt", "/start"],
        &["Mend the step"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_in_another_window_is_followed_by_a_browser_with_scripts() {
    let faulty = starting(Browser::Form, WINDOW, Vec::new()).await;
    stopped(faulty.run().await, &["/start", "\"Sign in\""], &["app.start_url"]);
    if find_chrome().is_some() {
        let notes = works(starting(Browser::Chrome, WINDOW, Vec::new()).await).await;
        assert!(notes.contains("by \"Sign in\""), "{notes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn visits_keep_to_the_rate_that_the_operator_allows() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    let mut faulty = Faulty::start(|_, _| {
        SEEN.fetch_add(1, Ordering::SeqCst);
        Does::Pass
    })
    .await;
    faulty.setting.target.network.rate = 20;
    let clock = std::time::Instant::now();
    let report = faulty.run().await.unwrap();
    nothing_failed(&report);
    let least = SEEN.load(Ordering::SeqCst) as f64 / 20.0;
    assert!(clock.elapsed().as_secs_f64() >= least * 0.8, "{} requests in {:?}", SEEN.load(Ordering::SeqCst), clock.elapsed());
}
