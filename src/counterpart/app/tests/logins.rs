//! Requests, responses, third-party initiated login: what is sent, and what comes of odd answers.

use super::*;

#[tokio::test]
async fn an_authorization_request_is_complete_and_never_the_same_twice() {
    let world = world(&[]).await;
    let browser = Browser::default();
    let first = world.begin(&browser, "/login").await;
    let second = world.begin(&browser, "/protected").await;
    for asked in [&first, &second] {
        assert_eq!(asked["to"], format!("{ISSUER}/authorize"));
        assert_eq!((asked["response_type"].as_str(), asked["client_id"].as_str()), ("code", CLIENT_ID));
        assert_eq!(asked["redirect_uri"], format!("https://{HOST}/callback"));
        assert_eq!(asked["scope"], "openid profile email offline_access");
        assert_eq!((asked["code_challenge"].len(), asked["code_challenge_method"].as_str()), (43, "S256"));
        assert_eq!((asked["max_age"].as_str(), asked["acr_values"].as_str(), asked.get("prompt")), ("900", ACR, None));
        assert!(asked["nonce"].len() <= 64);
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(first[name], second[name]);
    }
}

#[tokio::test]
async fn each_defect_of_the_request_changes_its_parameter() {
    type Row = (Defect, fn(&HashMap<String, String>) -> bool);
    let table: &[Row] = &[
        (Defect::ResponseTypeCode, |asked| asked["response_type"] == "code id_token"),
        (Defect::AuthzRequestValid, |asked| !asked["scope"].contains("openid")),
        (Defect::PkceS256, |asked| asked["code_challenge_method"] == "plain"),
        (Defect::NonceSent, |asked| !asked.contains_key("nonce")),
        (Defect::NonceLength, |asked| asked["nonce"].len() == 100),
        (Defect::MaxAgeSent, |asked| !asked.contains_key("max_age")),
        (Defect::RedirectUriHttps, |asked| asked["redirect_uri"].starts_with("http://")),
        (Defect::RequestsMethods, |asked| !asked.contains_key("acr_values")),
    ];
    for (defect, shows) in table {
        let broken = world(&[*defect]).await;
        let good = world(&[]).await;
        assert!(shows(&broken.begin(&Browser::default(), "/login").await), "{defect:?}");
        assert!(!shows(&good.begin(&Browser::default(), "/login").await), "{defect:?}");
    }
    let constant = world(&[Defect::PkceUnique]).await;
    let browser = Browser::default();
    let challenge = |asked: HashMap<String, String>| asked["code_challenge"].clone();
    assert_eq!(
        challenge(constant.begin(&browser, "/login").await),
        challenge(constant.begin(&Browser::default(), "/login").await)
    );
    assert!(constant.login(&browser).await.is_some());
    let stamped = world(&[Defect::PkceVerifierValid]).await;
    assert!(stamped.login(&browser).await.is_some());
    assert!(stamped.provider.forms()[0]["code_verifier"].starts_with("000000"));
}

/// A response that was changed: is the browser signed in, and was the code redeemed?
async fn response(defects: &[Defect], change: impl Fn(&str) -> String) -> (bool, bool) {
    let world = world(defects).await;
    let browser = Browser::default();
    let asked = world.begin(&browser, "/login").await;
    world.get(&browser, &change(&world.response(&asked))).await;
    (world.account(&browser).await.is_some(), !world.provider.forms().is_empty())
}

#[tokio::test]
async fn state_and_iss_of_the_response_are_checked_before_the_code_is_used() {
    let cut = |name: &'static str| {
        move |url: &str| {
            let mark = format!("&{name}=");
            let (head, rest) = url.split_once(&mark).unwrap();
            format!("{head}{}", rest.find('&').map_or("", |at| &rest[at..]))
        }
    };
    let iss = |value: &'static str| move |url: &str| format!("{}&iss={value}", url.split("&iss=").next().unwrap());
    assert_eq!(response(&[], str::to_owned).await, (true, true));
    assert_eq!(response(&[], cut("iss")).await, (false, false));
    assert_eq!(response(&[Defect::IssParamMissingRefused], cut("iss")).await, (true, true));
    assert_eq!(response(&[Defect::IssParamWrongRefused], cut("iss")).await, (false, false));
    for value in ["https%3A%2F%2Fsecond.test", "https%3A%2F%2Fop.test%2F"] {
        assert_eq!(response(&[], iss(value)).await, (false, false));
        assert_eq!(response(&[Defect::IssParamWrongRefused], iss(value)).await, (true, true));
        assert_eq!(response(&[Defect::IssParamMissingRefused], iss(value)).await, (false, false));
    }
    assert_eq!(response(&[], |url| format!("{url}&iss=https%3A%2F%2Fop.test")).await, (false, false), "repeated");
    assert_eq!(response(&[], cut("state")).await, (false, false));
    assert_eq!(response(&[Defect::StateMismatchRefused], cut("state")).await, (true, true));
    assert_eq!(response(&[], |url| url.replace("state=", "state=x")).await, (false, false));
    assert_eq!(response(&[Defect::StateMismatchRefused], |url| url.replace("state=", "state=x")).await, (false, false));
}

#[tokio::test]
async fn a_response_belongs_to_one_browser_and_works_once() {
    for (defects, taken) in [(&[][..], false), (&[Defect::CrossBrowserResponseRefused][..], true)] {
        let world = world(defects).await;
        let (one, two) = (Browser::default(), Browser::default());
        let asked = world.begin(&one, "/login").await;
        world.begin(&two, "/login").await;
        world.get(&two, &world.response(&asked)).await;
        assert_eq!(world.account(&two).await.is_some(), taken);
    }
    for (defects, replayed, second) in [
        (&[][..], false, false),
        (&[Defect::ResponseReplayRefused][..], true, false),
        (&[Defect::TransactionSingleUse][..], false, true),
    ] {
        let world = world(defects).await;
        let browser = Browser::default();
        let asked = world.begin(&browser, "/login").await;
        let saved = browser.copy();
        let url = world.response(&asked);
        world.get(&browser, &url).await;
        let first = world.account(&browser).await;
        assert!(first.is_some());
        world.get(&saved, &url).await;
        assert_eq!(world.account(&saved).await.is_some(), replayed);
        world.provider.say(&world.provider.claims, |claims| claims["sub"] = "s2".into());
        world.get(&browser, &world.response(&asked)).await;
        assert_eq!(world.account(&browser).await != first, second);
    }
}

#[tokio::test]
async fn nothing_unsolicited_gives_a_session() {
    for (defect, shows) in [(None, false), (Some(Defect::UnsolicitedCodeRefused), true)] {
        for state in ["", "&state=guessed"] {
            let world = world(&defect.into_iter().collect::<Vec<_>>()).await;
            *world.provider.check_verifier.lock().unwrap() = false;
            let code = world.provider.issue(ISSUER, &HashMap::new());
            let browser = Browser::default();
            let url = format!("/callback?code={code}{state}&iss=https%3A%2F%2Fop.test");
            world.get(&browser, &url).await;
            assert_eq!(world.account(&browser).await.is_some(), shows);
        }
    }
    for (defect, shows) in [(None, false), (Some(Defect::UnsolicitedIdTokenRefused), true)] {
        let world = world(&defect.into_iter().collect::<Vec<_>>()).await;
        let (posted, asked) = (Browser::default(), Browser::default());
        let token = world.provider.id_token(ISSUER, None);
        world.post(&posted, "/callback", &[("id_token", &token)]).await;
        world.get(&asked, &format!("/callback?id_token={token}&state=x")).await;
        assert_eq!([world.account(&posted).await.is_some(), world.account(&asked).await.is_some()], [shows; 2]);
    }
    for (defect, shows) in [(None, false), (Some(Defect::FrontChannelTokenRefused), true)] {
        let world = world(&defect.into_iter().collect::<Vec<_>>()).await;
        let browser = Browser::default();
        let asked = world.begin(&browser, "/login").await;
        let token = world.provider.id_token(ISSUER, Some(&asked["nonce"]));
        world.post(&browser, "/callback", &[("id_token", &token), ("state", &asked["state"])]).await;
        assert_eq!(world.account(&browser).await.is_some(), shows);
    }
    for (defect, shows) in [(None, false), (Some(Defect::InitiatedLoginOwnTransaction), true)] {
        let world = world(&defect.into_iter().collect::<Vec<_>>()).await;
        *world.provider.check_verifier.lock().unwrap() = false;
        let code = world.provider.issue(ISSUER, &HashMap::new());
        let browser = Browser::default();
        world.get(&browser, &format!("/initiate?iss=https%3A%2F%2Fop.test&code={code}&state=x")).await;
        assert_eq!(world.account(&browser).await.is_some(), shows);
    }
}

const HINTED: &str = "/initiate?iss=https%3A%2F%2Fop.test&login_hint=a%2Bb%26c&domain_hint=d&tenant=t&x-suite=1&client_id=other";

#[tokio::test]
async fn third_parties_can_start_a_login_at_configured_issuers_only() {
    let world = world(&[]).await;
    let asked = world.begin(&Browser::default(), HINTED).await;
    assert_eq!(
        ["login_hint", "domain_hint", "tenant", "client_id"].map(|name| asked[name].as_str()),
        ["a+b&c", "d", "t", CLIENT_ID]
    );
    assert!(!asked.contains_key("x-suite"));
    let browser = Browser::default();
    let posted = world.post(&browser, "/initiate", &[("iss", SECOND)]).await;
    let mut asked = posted.parameters();
    assert_eq!(asked["client_id"], SECOND_CLIENT_ID);
    asked.insert("to".into(), format!("{SECOND}/authorize"));
    world.get(&browser, &world.response(&asked)).await;
    assert!(world.account(&browser).await.is_some());
    for iss in ["https://other.test", "http://op.test", "https://op.test/", "https://127.0.0.1", ""] {
        let answer = world.post(&browser, "/initiate", &[("iss", iss)]).await;
        assert_eq!((answer.status, answer.header("location")), (400, ""), "{iss}");
    }
    assert!(!world.provider.paths().iter().any(|path| path.starts_with("other")));
}

#[tokio::test]
async fn the_defects_of_the_initiation_endpoint_show() {
    let browser = Browser::default;
    let at = |defect| async move { world(&[defect]).await };
    assert_eq!(at(Defect::ThirdPartyLogin).await.get(&browser(), HINTED).await.status, 404);
    assert_eq!(at(Defect::ThirdPartyLoginPost).await.post(&browser(), "/initiate", &[("iss", ISSUER)]).await.status, 405);
    assert_eq!(at(Defect::ThirdPartyExtraParams).await.get(&browser(), HINTED).await.status, 400);
    assert!(!at(Defect::ThirdPartyLoginHint).await.begin(&browser(), HINTED).await.contains_key("login_hint"));
    let anybody = at(Defect::ThirdPartyUnknownIss).await;
    let sent = anybody.get(&browser(), "/initiate?iss=https%3A%2F%2Fapi.op.test").await;
    assert!(sent.header("location").contains("/authorize?"), "{}", sent.header("location"));
    assert!(anybody.provider.paths().iter().any(|path| path.starts_with("api.op.test/.well-known/")));
}

#[tokio::test]
async fn after_login_and_logout_the_browser_stays_at_the_application() {
    let places = ["https://probe.test/open", "//probe.test/open", "/\\probe.test", "https:probe.test", "javascript:alert(1)"];
    for (defect, start) in [
        (Defect::NoOpenRedirector, "/login?returnTo="),
        (Defect::ThirdPartyTargetLink, "/initiate?iss=https%3A%2F%2Fop.test&target_link_uri="),
    ] {
        let (good, broken) = (world(&[]).await, world(&[defect]).await);
        for (place, leaves) in places.into_iter().zip([true, true, true, false, false]) {
            let path = format!("{start}{}", http::encode([("v", place)]).split_once('=').unwrap().1);
            for (world, leaves) in [(&good, false), (&broken, leaves)] {
                let browser = Browser::default();
                let asked = world.begin(&browser, &path).await;
                let to = world.get(&browser, &world.response(&asked)).await.header("location").to_owned();
                assert_eq!(!to.starts_with(&format!("https://{HOST}/")), leaves, "{place} -> {to}");
                let out = world.get(&browser, &path.replacen("/login", "/logout", 1)).await.header("location").to_owned();
                assert!(!out.starts_with("https://probe.test"), "{out}");
            }
        }
        let browser = Browser::default();
        let asked = good.begin(&browser, &format!("{start}%2Fprofile%3Fa%3Db")).await;
        let to = good.get(&browser, &good.response(&asked)).await.header("location").to_owned();
        assert_eq!(to, format!("https://{HOST}/profile?a=b"));
    }
}

#[tokio::test]
async fn tokens_of_the_provider_stay_with_the_application() {
    for (defects, in_url, in_cookie) in [
        (&[][..], false, false),
        (&[Defect::NoSecretsInFrontChannel][..], true, false),
        (&[Defect::AccessTokenIdentityOnly][..], false, true),
    ] {
        let world = world(defects).await;
        let browser = Browser::default();
        let asked = world.begin(&browser, "/login").await;
        let to = world.get(&browser, &world.response(&asked)).await.header("location").to_owned();
        assert_eq!(to.contains("access_token="), in_url);
        let cookies = browser.0.lock().unwrap().clone();
        assert_eq!(cookies.get("api_token").is_some_and(|token| token.len() > 10), in_cookie);
        assert_eq!(cookies["__Host-session"].len(), 43);
        let token = world.get(&browser, "/tokens").await.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(cookies.get("api_token") == Some(&token), in_cookie);
        let data = world.http.get(format!("https://{API_HOST}/api/data")).bearer_auth(token);
        assert_eq!(send(&Browser::default(), data).await.status, 200);
    }
}
