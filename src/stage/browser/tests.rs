//! Both agents over the same pages.

use std::sync::Arc;
use std::time::Duration;

use super::chrome::{ChromeAgent, find_chrome};
use super::fixture::{Fixture, IDP, SUITE};
use super::form::FormAgent;
use super::{Act, AgentFault, Landing, Page, ScriptFetch, UserAgent, Visit};
use crate::stage::recorder::Recorder;

pub(super) struct World {
    pub fixture: Fixture,
    pub recorder: Arc<Recorder>,
    pub agent: Arc<dyn UserAgent>,
}

impl World {
    pub async fn chrome() -> Option<World> {
        Self::chrome_within(Duration::from_secs(10)).await
    }

    async fn chrome_within(deadline: Duration) -> Option<World> {
        if find_chrome().is_none() {
            println!("skipped: no Chrome found");
            return None;
        }
        let fixture = Fixture::start().await;
        let recorder = Arc::new(Recorder::default());
        let mut config = fixture.config();
        config.deadline = deadline;
        let agent = ChromeAgent::launch(config, Arc::clone(&recorder), None).await.unwrap();
        Some(World { fixture, recorder, agent })
    }

    pub async fn form() -> World {
        let fixture = Fixture::start().await;
        let recorder = Arc::new(Recorder::default());
        let agent = FormAgent::new(fixture.config(), Arc::clone(&recorder)).unwrap();
        World { fixture, recorder, agent }
    }

    pub async fn page(&self) -> Box<dyn Page> {
        self.agent.context("test").await.unwrap().page("test").await.unwrap()
    }

    async fn get(&self, path: &str) -> Landing {
        get(&mut *self.page().await, path).await
    }
}

pub(super) async fn get(page: &mut dyn Page, path: &str) -> Landing {
    page.go(Visit::Get(format!("{IDP}{path}")), "visit").await.unwrap()
}

fn way(landing: &Landing) -> Vec<String> {
    landing
        .hops
        .iter()
        .map(|hop| format!("{} {} {}", hop.method, hop.status, hop.url.replace(IDP, "").replace(SUITE, "rp")))
        .collect()
}

async fn redirects(world: &World) {
    let landing = world.get("/silent").await;
    let arrival = landing.arrival.clone().unwrap();
    assert_eq!(arrival.url, "http://rp.suite.test/cb?code=c0de&state=s");
    assert_eq!(arrival.method, "GET");
    assert_eq!(way(&landing), ["GET 302 /silent", "GET 200 rp/cb?code=c0de&state=s"]);
    let cookies: Vec<_> = landing.hops[0].headers.iter().filter(|(name, _)| name == "set-cookie").collect();
    assert_eq!(cookies.len(), 2, "{:?}", landing.hops[0].headers);

    let landing = world.get("/fragment").await;
    assert_eq!(landing.arrival.unwrap().url, "http://rp.suite.test/cb#code=c0de&state=s");

    let landing = world.get("/chain/3").await;
    assert_eq!(way(&landing), ["GET 302 /chain/3", "GET 302 /chain/2?x=1", "GET 302 /chain/1", "GET 200 /chain/0"]);
    assert_eq!((landing.status, landing.title.as_str(), landing.error), (200, "Fixture", None));
    assert!(landing.html.contains("the end"));
    assert_eq!(landing.hops[0].location().unwrap(), format!("{IDP}/chain/2?x=1"));

    let landing = world.get("/loop").await;
    assert!(landing.error.unwrap().contains("TOO_MANY_REDIRECTS"));
    assert!(landing.hops.len() >= 20);
}

async fn odd_answers(world: &World) {
    let landing = world.get("/204").await;
    assert_eq!((way(&landing), landing.error), (vec!["GET 204 /204".to_owned()], None));
    let landing = world.get("/download").await;
    assert_eq!(way(&landing), ["GET 200 /download"]);
    assert!(landing.error.unwrap().contains("no page"));
    assert_eq!((landing.url, landing.html.as_str()), (format!("{IDP}/download"), ""), "what was shown before is not its page");
    let landing = world.get("/json").await;
    assert_eq!((landing.status, landing.error), (400, None));
    assert!(landing.html.contains("invalid_request"));
    let landing = world.get("/refresh").await;
    assert!(landing.arrival.is_some());
    let landing = world.get("/formpost").await;
    let arrival = landing.arrival.unwrap();
    assert_eq!(arrival.method, "POST");
    assert_eq!(arrival.form, [("code".into(), "a&b=c".into()), ("state".into(), "s".into())]);
    let landing = world.get("/custom").await;
    assert_eq!(landing.hops[0].location().unwrap(), "com.example.app:/cb?code=c0de");
    assert!(landing.arrival.is_none());
    let landing = world.page().await.go(Visit::Get("http://127.0.0.1:1/".into()), "refused").await.unwrap();
    assert!(landing.error.is_some());
    assert_eq!((landing.hops.len(), landing.url.as_str(), landing.status), (1, "http://127.0.0.1:1/", 0));
    assert_eq!(landing.hops[0].status, 0);
    let (evidence, _) = world.recorder.evidence();
    assert!(evidence.exchanges.iter().all(|exchange| exchange.scenario == "test"));
    assert!(evidence.exchanges.last().unwrap().fault.is_some());
}

async fn forms(world: &World) {
    let mut page = world.page().await;
    let landing = get(&mut *page, "/one").await;
    let kinds: Vec<_> = landing.fields.iter().map(|field| (field.name.as_str(), field.kind.as_str())).collect();
    assert_eq!(kinds, [("q", "text"), ("login", "email"), ("pw", "password"), ("remember", "checkbox")]);
    assert_eq!(landing.fields[1].label, "E-mail address");
    let texts: Vec<_> = landing.buttons.iter().map(|button| (button.text.as_str(), button.submits)).collect();
    assert_eq!(texts, [("Show password", false), ("Sign in", true), ("Forgot password?", false)]);
    let acts = [
        Act::Fill { at: landing.fields[1].at.clone(), with: super::fixture::NAME.into(), secret: false },
        Act::Fill { at: landing.fields[2].at.clone(), with: super::fixture::PASSWORD.into(), secret: true },
        Act::Submit { at: landing.fields[2].at.clone() },
    ];
    let landing = page.act(&acts, "log in").await.unwrap();
    assert!(landing.arrival.is_some(), "{landing:?}");
    assert_eq!(way(&landing)[0], "POST 302 /one");
    assert!(landing.hops[0].carried_credentials && !landing.hops[1].carried_credentials);
    assert!(world.fixture.got("/one")[1].body.contains("csrf=t0ken"));

    let landing = get(&mut *page, "/static").await;
    let landing = page.act(&[Act::Click { at: landing.buttons[0].at.clone() }], "follow").await.unwrap();
    assert!(landing.arrival.is_some());
    get(&mut *page, "/chain/0").await;
    get(&mut *page, "/static").await;
    let landing = page.act(&[Act::Back], "back").await.unwrap();
    assert!(landing.html.contains("the end"), "{landing:?}");
    let fault = page.act(&[Act::Click { at: "#none".into() }], "click").await.unwrap_err();
    assert!(matches!(fault, AgentFault::NoElement { .. }), "{fault}");
}

async fn cookies(world: &World) {
    let context = world.agent.context("jar").await.unwrap();
    let mut page = context.page("test").await.unwrap();
    get(&mut *page, "/cookies").await;
    let landing = get(&mut *context.page("test").await.unwrap(), "/shown").await;
    assert!(landing.html.contains("lax=1; strict=1</p>"), "{}", landing.html);
    let visit = Visit::Post { url: format!("{IDP}/shown"), fields: vec![("a".into(), "b c&".into())] };
    let landing = page.go(visit, "cross-site post").await.unwrap();
    assert_eq!(way(&landing), ["POST 200 /shown"]);
    assert!(landing.html.contains("<p id=\"cookies\"></p>") || landing.html.contains("<p id=cookies></p>"), "{}", landing.html);
    assert_eq!(world.fixture.got("/shown")[1].body, "a=b+c%26");
    let landing = world.get("/shown").await;
    assert!(!landing.html.contains("lax=1"), "contexts are isolated");

    let copy = context.cookies().await.unwrap();
    let other = world.agent.context("copy").await.unwrap();
    other.set_cookies(&copy).await.unwrap();
    let landing = get(&mut *other.page("test").await.unwrap(), "/shown").await;
    assert!(landing.html.contains("lax=1; strict=1</p>"), "{}", landing.html);
}

macro_rules! on_chrome {
    ($($name:ident),*) => {$(
        #[tokio::test]
        async fn $name() {
            let Some(world) = World::chrome().await else { return };
            super::$name(&world).await;
            world.agent.close().await;
        }
    )*};
}

macro_rules! on_form {
    ($($name:ident),*) => {$(
        #[tokio::test]
        async fn $name() {
            super::$name(&World::form().await).await;
        }
    )*};
}

mod form {
    use super::*;

    on_form!(redirects, odd_answers, forms, cookies);
}

mod chrome {
    use super::*;

    on_chrome!(redirects, odd_answers, forms, cookies);

    #[tokio::test]
    async fn silent_visits_arrive_one_after_the_other() {
        let Some(world) = World::chrome().await else { return };
        let context = world.agent.context("test").await.unwrap();
        for _ in 0..10 {
            let mut page = context.page("test").await.unwrap();
            assert!(get(&mut *page, "/silent").await.arrival.is_some());
        }
        let mut page = context.page("test").await.unwrap();
        for _ in 0..10 {
            assert!(get(&mut *page, "/static").await.error.is_none());
        }
        world.agent.close().await;
    }

    #[tokio::test]
    async fn scripts_dialogs_and_pictures() {
        let Some(world) = World::chrome().await else { return };
        let mut page = world.page().await;
        assert!(get(&mut *page, "/alert").await.html.contains("said hello"));
        assert!(page.screenshot().await.unwrap().starts_with(b"\x89PNG"));
        let origin = "http://app.target.test";
        assert_eq!(page.script_fetch(origin, &format!("{IDP}/cors")).await, Some(ScriptFetch::Readable { status: 200 }));
        assert_eq!(page.script_fetch(origin, &format!("{IDP}/nocors")).await, Some(ScriptFetch::Blocked));
        get(&mut *page, "/js").await;
        let landing = page.wait_for("#name", "wait").await.unwrap();
        assert_eq!(landing.fields.len(), 1);
        world.agent.close().await;
    }

    #[tokio::test]
    async fn a_slow_page_ends_at_the_deadline() {
        let Some(world) = World::chrome_within(Duration::from_secs(2)).await else { return };
        let landing = world.get("/slow").await;
        assert!(landing.error.unwrap().contains("2 s"));
        world.agent.close().await;
        let fault = world.agent.context("late").await.err().unwrap();
        assert!(matches!(fault, AgentFault::Lost(_)), "{fault}");
    }
}
