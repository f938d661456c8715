//! Logins of every kind with both agents.

use super::fixture::{NAME, PASSWORD, TOTP};
use super::recipe::{Credentials, SignInFault, SignedIn, Typed, Until, asks_for_credentials, sign_in};
use super::tests::{World, get};
use super::totp::TotpSource;
use crate::model::target::Step;

fn alice() -> Credentials {
    Credentials::new(NAME, PASSWORD, Some(TotpSource::new(TOTP).unwrap()), false)
}

async fn login(world: &World, path: &str, who: &Credentials, steps: &[Step], until: Until) -> Result<SignedIn, SignInFault> {
    let mut page = world.page().await;
    let start = get(&mut *page, path).await;
    sign_in(&mut *page, start, who, steps, until, &world.recorder, "login").await
}

async fn by_page(world: &World) {
    let who = alice();
    let done = login(world, "/silent", &who, &[], Until::Arrival).await.unwrap();
    assert_eq!((done.typed.len(), done.credential_pages), (0, 0));

    let done = login(world, "/one", &who, &[], Until::Arrival).await.unwrap();
    assert_eq!(done.typed, [Typed::UserName, Typed::Password]);
    assert!(done.landing.arrival.is_some());
    assert_eq!(done.credential_pages, 1);
    assert!(done.hops.len() >= 3 && done.hops.iter().filter(|hop| hop.carried_credentials).count() == 1);

    let split = login(world, "/two", &who, &[], Until::SecondFactor).await.unwrap();
    assert_eq!(split.typed, [Typed::UserName, Typed::Password]);
    assert!(split.landing.url.ends_with("/two/code") && asks_for_credentials(&split.landing));

    let done = login(world, "/two", &who, &[], Until::Arrival).await.unwrap();
    assert_eq!(done.typed, [Typed::UserName, Typed::Password, Typed::OneTimeCode, Typed::Other, Typed::Consent]);
    assert_eq!(done.credential_pages, 3);
    assert_eq!(world.fixture.got("/two/stay")[1].body, "stay=no");

    let split = login(world, "/choose", &who, &[], Until::SecondFactor).await.unwrap();
    assert_eq!(split.typed, [Typed::Other, Typed::Password]);

    let (evidence, _) = world.recorder.evidence();
    let kept = serde_json::to_string(&evidence).unwrap();
    for secret in [PASSWORD, "corr%26ect", "horse"] {
        assert!(!kept.contains(secret), "{secret} was recorded");
    }
    assert_eq!(world.recorder.counts().1, 4);
}

async fn faults(world: &World) {
    let who = Credentials::new(NAME, "wrong password", None, false);
    for _ in 0..2 {
        let fault = login(world, "/one", &who, &[], Until::Arrival).await.unwrap_err();
        assert!(matches!(fault, SignInFault::Refused { what: "password", .. }), "{fault}");
    }
    let posts = world.fixture.got("/one").iter().filter(|got| got.method == "POST").count();
    assert_eq!(posts, 1, "a refused password is typed once in a run");

    let fault = login(world, "/stuck", &alice(), &[], Until::Arrival).await.unwrap_err();
    assert!(fault.to_string().contains("nickname") && fault.to_string().contains("idp.login.steps"), "{fault}");
    let who = Credentials::new(NAME, PASSWORD, None, false);
    let fault = login(world, "/two", &who, &[], Until::Arrival).await.unwrap_err();
    assert!(fault.to_string().contains("`totp`"), "{fault}");
    let fault = login(world, "/loop", &alice(), &[], Until::Arrival).await.unwrap_err();
    assert!(fault.to_string().contains("TOO_MANY_REDIRECTS"), "{fault}");
    let shots = world.recorder.evidence().1.len();
    assert_eq!(shots, if world.agent.scripts() { 5 } else { 0 });
}

async fn by_steps(world: &World) {
    let fill = |at: &str, with: &str| Step::Fill { at: at.into(), with: with.into() };
    let click = |at: &str| Step::Click { at: at.into() };
    let steps = [
        fill("#u", "{username}"),
        click("button:not([type])"),
        Step::WaitFor { at: "input[type=password]".into() },
        fill("input[type=password]", "{password}"),
        click("button"),
        Step::SecondFactor {},
        fill("#c", "{totp}"),
        click("input[type=submit]"),
        Step::ClickIfThere { at: "button[value=yes]".into() },
        Step::ClickIfThere { at: "#nowhere".into() },
        Step::ClickIfThere { at: "button[value=allow]".into() },
    ];
    let split = login(world, "/two", &alice(), &steps, Until::SecondFactor).await.unwrap();
    assert!(split.landing.url.ends_with("/two/code"));
    let done = login(world, "/two", &alice(), &steps, Until::Arrival).await.unwrap();
    assert!(done.landing.arrival.is_some());
    assert_eq!(done.typed[..3], [Typed::UserName, Typed::Password, Typed::OneTimeCode]);
    let fault = login(world, "/two", &alice(), &steps[..4], Until::Arrival).await.unwrap_err();
    assert!(fault.to_string().contains("ended before"), "{fault}");
    let who = Credentials::new(NAME, "wrong password", None, false);
    let steps = [fill("#u", "{username}"), fill("input[name=pw]", "{password}"), click("button[type=submit]")];
    for _ in 0..2 {
        let fault = login(world, "/one", &who, &steps, Until::Arrival).await.unwrap_err();
        assert!(matches!(fault, SignInFault::Refused { .. }), "{fault}");
    }
    assert_eq!(world.fixture.got("/one").iter().filter(|got| got.method == "POST").count(), 1);
}

macro_rules! both {
    ($($name:ident),*) => {
        mod form {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::World::form().await).await;
            })*
        }
        mod chrome {
            $(#[tokio::test]
            async fn $name() {
                let Some(world) = super::World::chrome().await else { return };
                super::$name(&world).await;
                world.agent.close().await;
            })*
        }
    };
}

both!(by_page, faults, by_steps);

#[tokio::test]
async fn a_single_page_login_needs_scripts() {
    let Some(world) = World::chrome().await else { return };
    let done = login(&world, "/js", &alice(), &[], Until::Arrival).await.unwrap();
    assert_eq!(done.typed, [Typed::UserName, Typed::Password]);
    let sent: Vec<_> = done.hops.iter().filter(|hop| hop.carried_credentials).collect();
    assert!(sent.len() == 1 && sent[0].script && sent[0].url.ends_with("/js/api"), "{:?}", done.hops);
    let kept = serde_json::to_string(&world.recorder.evidence().0).unwrap();
    assert!(!kept.contains("horse"), "the password in JSON was recorded");
    let fault = login(&world, "/js", &Credentials::new(NAME, "wrong", None, false), &[], Until::Arrival).await.unwrap_err();
    assert!(matches!(fault, SignInFault::Refused { what: "password", .. }), "{fault}");
    world.agent.close().await;

    let fault = login(&World::form().await, "/js", &alice(), &[], Until::Arrival).await.unwrap_err();
    assert!(matches!(fault, SignInFault::Stuck { .. }), "{fault}");
}
