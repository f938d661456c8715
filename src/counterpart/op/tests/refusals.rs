//! What is refused.

use super::*;

#[tokio::test]
async fn bad_authorization_requests_are_refused_where_they_must_be() {
    let world = world(&[]).await;
    world.code(&[]).await;
    let on_page = [
        ("client_id", "unknown"),
        ("client_id", "https://rp.ipsie-conform.test/client"),
        ("redirect_uri", ""),
        ("redirect_uri", "https://rp.ipsie-conform.test/not-registered"),
        ("redirect_uri", "https://rp.ipsie-conform.test/cb/a/"),
        ("redirect_uri", "https://rp.ipsie-conform.test:443/cb/a"),
        ("redirect_uri", "http://rp.ipsie-conform.test/cb/a"),
        ("request_uri", "urn:ietf:params:oauth:request_uri:unknown"),
    ];
    for change in on_page {
        let answer = world.authorize(&[change]).await;
        assert_eq!((answer.status, answer.header("location")), (400, ""), "{change:?}");
    }
    let none = jose::unsigned(&json!({"state": "other"}));
    let at_client = [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "code id_token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("response_mode", "fragment", "invalid_request"),
        ("scope", "profile", "invalid_scope"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "s256", "invalid_request"),
        ("request", &none, "request_not_supported"),
        ("prompt", "none login", "invalid_request"),
        ("max_age", "soon", "invalid_request"),
    ];
    for (name, value, error) in at_client {
        let answer = world.authorize(&[(name, value)]).await;
        assert_eq!(answer.parameter("error").as_deref(), Some(error), "{name}={value}");
        assert_eq!(answer.parameter("iss").as_deref(), Some(ISSUER));
        assert!(answer.parameter("code").is_none());
    }
    let twice = world.get(&format!("/authorize?{}&client_id=suite-main", http::encode([("client_id", "suite-main")]))).await;
    assert_eq!(twice.status, 400);
}

#[tokio::test]
async fn one_factor_is_not_enough() {
    let world = world(&[]).await;
    let to_login = world.authorize(&[]).await;
    let code_page = world.first_factor(&to_login).await;
    assert!(code_page.body.contains("one-time-code"));
    assert_eq!(world.authorize(&[("prompt", "none")]).await.parameter("error").unwrap(), "login_required");
    assert!(world.authorize(&[("max_age", "86400")]).await.parameter("code").is_none());
    assert!(world.get(&code_page.hidden("return_to")).await.parameter("code").is_none());
    let (csrf, return_to) = (code_page.hidden("csrf"), code_page.hidden("return_to"));
    let wrong = world.post("/login/code", &[("csrf", &csrf), ("return_to", &return_to), ("code", "abcdef")]).await;
    assert!(wrong.status == 200 && wrong.body.contains("code is wrong"));
    let foreign = world.post("/login/code", &[("csrf", "guess"), ("return_to", &return_to), ("code", "123456")]).await;
    assert_eq!(foreign.status, 400, "without the hidden token");
    for elsewhere in ["https://evil.test/", "//evil.test", "https:evil.test", "/\\evil.test", "/authorize?interaction=//x"] {
        let page = world.get(&format!("/login?{}", http::encode([("return_to", elsewhere)]))).await;
        assert_eq!(page.status, 400, "{elsewhere}");
    }
}

#[tokio::test]
async fn a_code_works_once_for_its_client_in_time_with_its_verifier() {
    let world = world(&[]).await;
    let code = world.code(&[]).await;
    let with = |uri: &'static str, verifier: &'static str| {
        let (world, code) = (&world, code.clone());
        async move {
            let form =
                [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", uri), ("code_verifier", verifier)];
            world.token("suite-main", &form.into_iter().filter(|(_, value)| !value.is_empty()).collect::<Vec<_>>()).await.error()
        }
    };
    assert_eq!(with(CALLBACK, "").await, "400 invalid_grant");
    assert_eq!(with(CALLBACK, "another-verifier-that-is-long-enough-for-the-check").await, "400 invalid_grant");
    assert_eq!(with("https://rp.ipsie-conform.test/cb/b", VERIFIER).await, "400 invalid_grant");
    assert_eq!(with("", VERIFIER).await, "400 invalid_grant");
    assert_eq!(world.redeem("suite-second", CALLBACK, &code).await.error(), "400 invalid_grant");
    let tokens = world.redeem("suite-main", CALLBACK, &code).await;
    let token = tokens.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(world.userinfo("Bearer", &token, None).await.status, 200);
    assert_eq!(world.redeem("suite-main", CALLBACK, &code).await.error(), "400 invalid_grant");
    assert_eq!(world.userinfo("Bearer", &token, None).await.status, 401, "reuse revokes");

    let code = world.code(&[]).await;
    world.embedded.op.advance(61);
    assert_eq!(world.redeem("suite-main", CALLBACK, &code).await.error(), "400 invalid_grant", "too late");
    let query = world.get(&format!("https://api.idp.ipsie-conform.test/userinfo?access_token={token}")).await;
    assert_eq!(query.status, 400);
}

#[tokio::test]
async fn client_assertions_name_the_issuer_alone_and_work_once() {
    let world = world(&[]).await;
    let junk = [("grant_type", "authorization_code"), ("code", "junk"), ("redirect_uri", CALLBACK)];
    let good = world.assertion("suite-main");
    assert_eq!(world.token_as("suite-main", &good, None, &junk).await.error(), "400 invalid_grant");
    assert_eq!(world.token_as("suite-main", &good, None, &junk).await.error(), "401 invalid_client", "replayed");
    let token_endpoint = format!("{ISSUER}/token");
    let bad = [
        json!({"aud": token_endpoint}),
        json!({"aud": [ISSUER]}),
        json!({"aud": [ISSUER, token_endpoint]}),
        json!({"aud": format!("{ISSUER}/")}),
        json!({"aud": null}),
        json!({"exp": world.now() - 600}),
        json!({"exp": null}),
        json!({"exp": 1e300}),
        json!({"sub": "suite-second"}),
        json!({"iss": "suite-second"}),
        json!({"jti": null}),
    ];
    for change in bad {
        let refused = world.token_as("suite-main", &world.assertion_with("suite-main", &change), None, &junk).await;
        assert_eq!(refused.error(), "401 invalid_client", "{change}");
    }
    let claims = jose::read(&world.assertion("suite-main")).unwrap().claims;
    let foreign = SigningKey::generate("es256", Algorithm::ES256).unwrap();
    let rs256 = rsa_keys().0.sign(&json!({}), &claims);
    let hmac = jose::hmac_signed(&json!({"alg": "HS256"}), &claims, b"key");
    for assertion in [jose::unsigned(&claims), hmac, rs256, foreign.sign(&json!({}), &claims), String::new()] {
        assert_eq!(world.token_as("suite-main", &assertion, None, &junk).await.error(), "401 invalid_client");
    }
    assert_eq!(world.post("/token", &[&junk[..], &[("client_id", "suite-main")]].concat()).await.error(), "401 invalid_client");
    assert_eq!(world.post("/token", &[&junk[..], &[("client_id", "suite-public")]].concat()).await.error(), "400 invalid_grant");
    let password = [("grant_type", "password"), ("username", "alice"), ("password", "x")];
    assert_eq!(world.token("suite-main", &password).await.error(), "400 unsupported_grant_type");
    let push = [("client_id", "suite-main"), ("redirect_uri", CALLBACK), ("response_type", "code"), ("scope", "openid")];
    assert_eq!(world.post("/par", &push).await.error(), "401 invalid_client");
    assert_eq!(
        world.post("/par", &[("client_id", "suite-public"), ("redirect_uri", PUBLIC_CALLBACK)]).await.error(),
        "400 invalid_request"
    );
}

#[tokio::test]
async fn endpoints_around_the_flow_give_nothing_away() {
    let world = world(&[]).await;
    assert_eq!(world.post("/register", &[]).await.status, 404);
    let page = world.get("/login").await;
    assert_eq!((page.header("x-frame-options"), page.header("cache-control")), ("DENY", "no-store"));
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    let logout = world.get("/logout?post_logout_redirect_uri=https%3A%2F%2Frp.ipsie-conform.test%2Fopen").await;
    assert_eq!((logout.status, logout.header("location")), (200, ""));
    let origin = world.send(world.http.get(format!("{ISSUER}/authorize")).header("origin", "https://rp.test")).await;
    assert_eq!(origin.header("access-control-allow-origin"), "");
    let preflight = world.send(world.http.request(reqwest::Method::OPTIONS, format!("{ISSUER}/token"))).await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, "*"));
    let clear = format!("http://{}", world.embedded.op.http_addr);
    let moved = world.send(world.http.get(format!("{clear}/authorize?a=b")).header("host", "idp.ipsie-conform.test")).await;
    assert_eq!((moved.status, moved.header("location")), (301, "https://idp.ipsie-conform.test/authorize?a=b"));
    assert_eq!(world.send(world.http.post(format!("{clear}/token"))).await.status, 403);
    let metadata = world.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["issuer"], ISSUER);
    assert_eq!(metadata["userinfo_endpoint"], "https://api.idp.ipsie-conform.test/userinfo");
    assert!(metadata.get("registration_endpoint").is_none());
}

#[tokio::test]
async fn secrets_are_taken_only_in_the_registered_way() {
    let world = world(&[]).await;
    for (id, auth) in [("basic", ClientAuth::ClientSecretBasic), ("post", ClientAuth::ClientSecretPost)] {
        let client = RegisteredClient { id: id.into(), auth, secret: Some("a:b%c".into()), ..RegisteredClient::default() };
        world.embedded.op.op.state.lock().unwrap().clients.insert(id.into(), client);
    }
    let junk = [("grant_type", "authorization_code"), ("code", "junk")];
    let basic = |id: &'static str, secret: &'static str| {
        let request = world.http.post(format!("{ISSUER}/token")).form(&junk).basic_auth(id, Some(secret));
        let world = &world;
        async move { world.send(request).await.error() }
    };
    assert_eq!(basic("basic", "a%3Ab%25c").await, "400 invalid_grant");
    assert_eq!(basic("basic", "wrong").await, "401 invalid_client");
    assert_eq!(basic("post", "a%3Ab%25c").await, "401 invalid_client");
    let post = |id: &'static str, secret: &'static str| {
        let form = [&junk[..], &[("client_id", id), ("client_secret", secret)]].concat();
        let world = &world;
        async move { world.post("/token", &form).await.error() }
    };
    assert_eq!(post("post", "a:b%c").await, "400 invalid_grant");
    assert_eq!(post("post", "wrong").await, "401 invalid_client");
    assert_eq!(post("basic", "a:b%c").await, "401 invalid_client");
}
