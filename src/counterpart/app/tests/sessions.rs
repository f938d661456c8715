//! The end of sessions, their renewal, and their cookies.

use super::*;

/// Lives of 90 s: what page and API say at each of these moments after the login.
async fn lives(defects: &[Defect], refresh: u16, moments: &[i64]) -> Vec<(bool, bool)> {
    let world = world(defects).await;
    *world.provider.refresh_status.lock().unwrap() = refresh;
    let end = world.now() + 90;
    world.provider.say(&world.provider.claims, move |claims| {
        claims["session_expiry"] = end.into();
        claims["exp"] = (end - 50).into();
    });
    let browser = Browser::default();
    assert!(world.login(&browser).await.is_some());
    let mut seen = Vec::new();
    let mut passed = 0;
    for moment in moments {
        world.embedded.app.advance(moment - passed);
        passed = *moment;
        let page = world.account(&browser).await.is_some();
        seen.push((page, world.get(&browser, "/api/me").await.status == 200));
    }
    seen
}

#[tokio::test]
async fn session_expiry_ends_pages_and_calls_and_nothing_else_does() {
    assert_eq!(lives(&[], 400, &[60, 80, 105]).await, [(true, true), (true, true), (false, false)]);
    assert_eq!(lives(&[Defect::SessionExpiryEnforced], 400, &[105]).await, [(true, true)]);
    assert_eq!(lives(&[Defect::SessionExpiryApi], 400, &[60, 105]).await, [(true, true), (false, true)]);
    assert_eq!(lives(&[Defect::SessionExpiryNotSliding], 400, &[60, 105]).await, [(true, true), (true, true)]);
    assert_eq!(lives(&[Defect::SessionExpiryNotSliding], 400, &[105]).await, [(false, false)], "idle");
    assert_eq!(lives(&[Defect::SessionNotBoundToExp], 400, &[30, 60]).await, [(true, true), (false, false)]);
    assert_eq!(lives(&[Defect::RefreshRevalidation], 400, &[105]).await, [(true, true)]);
}

#[tokio::test]
async fn a_session_without_expiry_ends_after_eight_hours() {
    let world = world(&[]).await;
    world.provider.say(&world.provider.claims, |claims| drop(claims.as_object_mut().unwrap().remove("session_expiry")));
    let browser = Browser::default();
    assert!(world.login(&browser).await.is_some());
    world.embedded.app.advance(8 * 3600 - 60);
    assert!(world.account(&browser).await.is_some());
    world.embedded.app.advance(120);
    assert!(world.account(&browser).await.is_none());
}

#[tokio::test]
async fn a_refresh_renews_the_session_only_with_a_good_id_token() {
    let at_end = |world: &World, lifetime: i64| {
        let end = world.now() + lifetime;
        world.provider.say(&world.provider.claims, move |claims| {
            claims["session_expiry"] = end.into();
            claims["exp"] = (end + 300).into();
        });
    };
    for (defects, good) in [(&[][..], true), (&[Defect::SessionRenewedFromAssertion][..], false)] {
        let world = world(defects).await;
        let browser = Browser::default();
        at_end(&world, 90);
        assert!(world.login(&browser).await.is_some());
        world.embedded.app.advance(105);
        *world.provider.skew.lock().unwrap() = 105;
        at_end(&world, 30);
        assert_eq!(world.account(&browser).await.is_some(), good);
        let used = world.provider.forms().iter().filter(|form| form["grant_type"] == "refresh_token").count();
        assert_eq!(used, 1);
        *world.provider.refresh_status.lock().unwrap() = 400;
        world.embedded.app.advance(40);
        assert!(world.account(&browser).await.is_none());
    }
    let spoil: [fn(&mut Value); 3] = [
        |body| drop(body.as_object_mut().unwrap().remove("id_token")),
        |body| body["id_token"] = "not.a.jwt".into(),
        |body| body["id_token"] = Value::Null,
    ];
    for (index, spoil) in spoil.into_iter().enumerate() {
        for (defects, lives) in [(&[][..], false), (&[Defect::RefreshRevalidation][..], true)] {
            let world = world(defects).await;
            let browser = Browser::default();
            at_end(&world, 90);
            assert!(world.login(&browser).await.is_some());
            world.embedded.app.advance(105);
            at_end(&world, 300);
            world.provider.say(&world.provider.response, spoil);
            assert_eq!(world.account(&browser).await.is_some(), lives, "{index}");
        }
    }
    for (name, value) in [("sub", json!("s2")), ("aud", json!("other")), ("session_expiry", Value::Null)] {
        let world = world(&[]).await;
        let browser = Browser::default();
        at_end(&world, 90);
        assert!(world.login(&browser).await.is_some());
        world.embedded.app.advance(105);
        let end = world.now() + 300;
        world.provider.say(&world.provider.claims, move |claims| {
            claims["exp"] = end.into();
            claims["session_expiry"] = end.into();
            claims[name] = value.clone();
        });
        assert!(world.account(&browser).await.is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_new_login_has_the_new_end_unless_the_first_one_is_kept() {
    for (defects, lives) in [(&[][..], true), (&[Defect::SessionRenewedFromAssertion][..], false)] {
        let world = world(defects).await;
        *world.provider.refresh_status.lock().unwrap() = 400;
        let browser = Browser::default();
        let end = world.now() + 90;
        world.provider.say(&world.provider.claims, move |claims| claims["session_expiry"] = end.into());
        assert!(world.login(&browser).await.is_some());
        world.embedded.app.advance(105);
        let end = world.now() + 60;
        world.provider.say(&world.provider.claims, move |claims| claims["session_expiry"] = end.into());
        assert_eq!(world.login(&browser).await.is_some(), lives);
    }
}

#[tokio::test]
async fn the_session_cookie_is_random_and_changes_at_login() {
    for (defects, random, changes) in [
        (&[][..], true, true),
        (&[Defect::SessionCookieEntropy][..], false, true),
        (&[Defect::SessionCookieFlags][..], true, false),
    ] {
        let world = world(defects).await;
        let browser = Browser::default();
        let asked = world.begin(&browser, "/protected").await;
        let before = browser.0.lock().unwrap()["__Host-session"].clone();
        let done = world.get(&browser, &world.response(&asked)).await;
        let after = browser.0.lock().unwrap()["__Host-session"].clone();
        let set = done.header("set-cookie");
        assert!(set.contains("; Secure; HttpOnly"), "{set}");
        assert_eq!((after.len() == 43, after != before), (random, changes));
        assert!(world.account(&browser).await.is_some());
        assert_eq!(world.get(&browser, "/logout").await.status, 200);
        assert!(world.account(&browser).await.is_none());
    }
}

#[tokio::test]
async fn the_profile_form_needs_its_hidden_token_and_the_session() {
    let world = world(&[]).await;
    let browser = Browser::default();
    world.login(&browser).await;
    let page = world.get(&browser, "/profile").await;
    let csrf = page.body.split_once("name=\"csrf\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    assert_eq!(world.post(&browser, "/profile", &[("nickname", "x"), ("csrf", "wrong")]).await.status, 403);
    assert_eq!(world.post(&Browser::default(), "/profile", &[("nickname", "x"), ("csrf", &csrf)]).await.status, 401);
    assert_eq!(world.post(&browser, "/profile", &[("nickname", "<Al>"), ("csrf", &csrf)]).await.status, 303);
    assert_eq!(world.get(&browser, "/profile").await.text_of("shown-nickname").unwrap(), "&lt;Al&gt;");
    let json = send(&Browser::default(), world.http.get(World::url("/protected")).header("accept", "application/json")).await;
    assert_eq!(json.status, 401);
}
