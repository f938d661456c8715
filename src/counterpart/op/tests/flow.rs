//! What works.

use super::*;

#[tokio::test]
async fn a_login_gives_code_tokens_and_userinfo() {
    let world = world(&[]).await;
    let to_login = world.authorize(&[]).await;
    let response = world.sign_in(&to_login).await;
    assert_eq!(response.status, 303);
    assert!(response.header("location").starts_with(CALLBACK));
    assert_eq!(response.parameter("state").unwrap(), "s%2Bt");
    assert_eq!(response.parameter("iss").unwrap(), ISSUER);
    assert!(response.header("strict-transport-security").contains("max-age"));

    let tokens = world.redeem("suite-main", CALLBACK, &response.parameter("code").unwrap()).await;
    assert_eq!((tokens.status, tokens.header("cache-control")), (200, "no-store"), "{}", tokens.body);
    let claims = world.id_token(&tokens).await;
    assert_eq!(claims["aud"], "suite-main");
    assert_eq!(claims["nonce"], "n-0123456789-0123456789-0123456789-0123456789-0123456789-0123456");
    assert_eq!(claims["amr"], json!(["pwd", "otp", "mfa"]));
    assert_eq!(claims["session_expiry"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    let released: Vec<&String> = claims.as_object().unwrap().keys().collect();
    assert_eq!(released, ["iss", "sub", "aud", "iat", "exp", "auth_time", "acr", "amr", "session_expiry", "jti", "nonce"]);
    let userinfo = world.userinfo("Bearer", tokens.json()["access_token"].as_str().unwrap(), None).await;
    assert_eq!(userinfo.json(), json!({"sub": claims["sub"]}));
}

#[tokio::test]
async fn a_signed_in_browser_is_asked_again_only_by_prompt_and_max_age() {
    let world = world(&[]).await;
    world.code(&[]).await;
    world.embedded.op.advance(5);
    let silent = |answer: Answer| answer.parameter("code").is_some();
    assert!(silent(world.authorize(&[]).await));
    assert!(silent(world.authorize(&[("max_age", "15000")]).await));
    assert!(silent(world.authorize(&[("prompt", "none"), ("max_age", "15000")]).await));
    for changes in [[("max_age", "1")], [("max_age", "0")], [("prompt", "login")]] {
        assert!(world.authorize(&changes).await.header("location").contains("/login?"), "{changes:?}");
    }
    let refused = world.authorize(&[("prompt", "none"), ("max_age", "1")]).await;
    assert_eq!(refused.parameter("error").unwrap(), "login_required");
    assert_eq!(refused.parameter("iss").unwrap(), ISSUER);

    let before = world.id_token(&world.redeem("suite-main", CALLBACK, &world.code(&[]).await).await).await;
    world.embedded.op.advance(5);
    for changes in [[("max_age", "1")], [("max_age", "0")]] {
        let after = world.id_token(&world.redeem("suite-main", CALLBACK, &world.code(&changes).await).await).await;
        assert!(after["auth_time"].as_i64() > before["auth_time"].as_i64());
        assert_eq!(after["sub"], before["sub"]);
    }
}

#[tokio::test]
async fn requests_come_by_post_and_by_par_as_well() {
    let world = world(&[]).await;
    world.code(&[]).await;
    let form = parameters(&[]);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let posted = world.post("/authorize", &form).await;
    assert_eq!(posted.status, 303);
    assert!(world.get(posted.header("location")).await.parameter("code").is_some());

    let assertion = world.assertion("suite-main");
    let mut push = form.clone();
    push.extend([
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &assertion),
    ]);
    let pushed = world.post("/par", &push).await;
    assert_eq!(pushed.status, 201, "{}", pushed.body);
    let handle = pushed.json()["request_uri"].as_str().unwrap().to_owned();
    let with = |client: &str| format!("/authorize?{}", http::encode([("client_id", client), ("request_uri", handle.as_str())]));
    assert_eq!(world.get(&with("suite-second")).await.status, 400);
    let code = world.get(&with("suite-main")).await.parameter("code").unwrap();
    assert_eq!(world.redeem("suite-main", CALLBACK, &code).await.status, 200);
    assert_eq!(world.get(&with("suite-main")).await.status, 400, "used");
}

#[tokio::test]
async fn dpop_binds_the_token_to_the_key() {
    let world = world(&[]).await;
    let code = world.code(&[]).await;
    let form =
        [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
    let challenge =
        world.token_as("suite-main", &world.assertion("suite-main"), Some(&world.proof(&world.key, json!({}))), &form).await;
    assert_eq!(challenge.error(), "400 use_dpop_nonce");
    let nonce = challenge.header("dpop-nonce").to_owned();
    let proof = world.proof(&world.key, json!({"nonce": nonce}));
    let tokens = world.token_as("suite-main", &world.assertion("suite-main"), Some(&proof), &form).await;
    assert_eq!(tokens.json()["token_type"], "DPoP", "{}", tokens.body);
    let token = tokens.json()["access_token"].as_str().unwrap().to_owned();

    let good =
        json!({"htm": "GET", "htu": "https://api.idp.ipsie-conform.test/userinfo", "ath": sha256_b64(&token), "nonce": nonce});
    let stranger = SigningKey::generate("s", Algorithm::ES256).unwrap();
    let proof = world.proof(&world.key, good.clone());
    assert_eq!(world.userinfo("DPoP", &token, Some(&proof)).await.status, 200);
    assert_eq!(world.userinfo("DPoP", &token, Some(&proof)).await.status, 401, "replayed");
    assert_eq!(world.userinfo("Bearer", &token, None).await.status, 401);
    assert_eq!(world.userinfo("DPoP", &token, Some(&world.proof(&stranger, good.clone()))).await.status, 401);
    let spoiled = [
        json!({"ath": null}),
        json!({"htu": format!("{ISSUER}/token")}),
        json!({"htm": "POST"}),
        json!({"iat": 5}),
        json!({"iat": i64::MIN}),
        json!({"jti": ""}),
    ];
    for change in spoiled {
        let mut claims = good.clone();
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let refused = world.userinfo("DPoP", &token, Some(&world.proof(&world.key, claims))).await;
        assert_eq!(refused.error(), "401 invalid_dpop_proof", "{change}");
    }
    let mut stale = good.clone();
    stale["nonce"] = "old".into();
    let challenge = world.userinfo("DPoP", &token, Some(&world.proof(&world.key, stale))).await;
    assert_eq!(challenge.error(), "401 use_dpop_nonce");
    assert!(challenge.header("www-authenticate").contains("use_dpop_nonce"));
    assert_eq!(world.userinfo("DPoP", &token, Some(&world.proof(&world.key, good))).await.status, 200);
    assert_eq!(thumbprint(world.key.jwk()).len(), 43);
}

#[tokio::test]
async fn refresh_tokens_rotate_for_public_clients_and_give_an_id_token() {
    let world = world(&[]).await;
    let public = [("client_id", "suite-public"), ("redirect_uri", PUBLIC_CALLBACK), ("scope", "openid offline_access")];
    let first = world.redeem("suite-public", PUBLIC_CALLBACK, &world.code(&public).await).await;
    let token = first.json()["refresh_token"].as_str().unwrap().to_owned();
    let old = world.id_token(&first).await;
    world.embedded.op.advance(10);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    let second = world.token("suite-public", &refresh).await;
    let new = world.id_token(&second).await;
    assert_eq!((&new["sub"], &new["auth_time"], &new["nonce"]), (&old["sub"], &old["auth_time"], &Value::Null));
    assert!(new["session_expiry"].as_i64() > old["session_expiry"].as_i64());
    assert_eq!(world.token("suite-public", &refresh).await.error(), "400 invalid_grant", "reuse");
    let newest = second.json()["refresh_token"].as_str().unwrap().to_owned();
    let after = world.token("suite-public", &[("grant_type", "refresh_token"), ("refresh_token", &newest)]).await;
    assert_eq!(after.error(), "400 invalid_grant", "reuse ends the family");

    let tokens = world.redeem("suite-main", CALLBACK, &world.code(&[("scope", "openid offline_access")]).await).await;
    let token = tokens.json()["refresh_token"].as_str().unwrap().to_owned();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    assert_eq!(world.token("suite-second", &refresh).await.error(), "400 invalid_grant");
    assert_eq!(world.token("suite-main", &refresh).await.status, 200);
    assert_eq!(world.hook("disable-user", json!({"user": "alice"})).await.status, 200);
    assert_eq!(world.token("suite-main", &refresh).await.error(), "400 invalid_grant");
    world.hook("enable-user", json!({"user": "alice"})).await;
    assert_eq!(world.token("suite-main", &refresh).await.status, 200);
}

#[tokio::test]
async fn pairwise_encrypted_and_tenant_tokens() {
    let world = world(&[]).await;
    let public = world.id_token(&world.redeem("suite-main", CALLBACK, &world.code(&[("tenant", TENANT)]).await).await).await;
    assert_eq!(public["tenant"], TENANT);
    let pairwise = |client: &'static str, callback: &'static str| {
        let world = &world;
        async move {
            let code = world.code(&[("client_id", client), ("redirect_uri", callback)]).await;
            world.id_token(&world.redeem(client, callback, &code).await).await["sub"].clone()
        }
    };
    let one = pairwise("suite-pairwise", "https://rp.ipsie-conform.test/cb/pairwise").await;
    let other = pairwise("suite-pairwise-other", "https://rp.second-sector.test/cb/pairwise").await;
    assert!(one != other && one != public["sub"]);
    assert_eq!(one, pairwise("suite-pairwise", "https://rp.ipsie-conform.test/cb/pairwise").await);

    let callback = "https://rp.ipsie-conform.test/cb/encrypted";
    let code = world.code(&[("client_id", "suite-encrypted"), ("redirect_uri", callback)]).await;
    let tokens = world.redeem("suite-encrypted", callback, &code).await;
    let nested = rsa_keys().1.decrypt(tokens.json()["id_token"].as_str().unwrap()).unwrap();
    assert_eq!(jose::read(&nested).unwrap().claims["aud"], "suite-encrypted");

    let foreign = world.authorize(&[("tenant", "organization-2")]).await;
    assert_eq!(foreign.parameter("error").unwrap(), "access_denied");
    assert!(world.authorize(&[("tenant", "organization"), ("x-other", "1")]).await.parameter("code").is_some());
}

#[tokio::test]
async fn the_operator_registers_clients_and_sets_the_session_lifetime() {
    let world = world(&[]).await;
    world.code(&[]).await;
    for refused in ["https://rp.test/*", "https://*.rp.test/cb", "https://rp.test/cb?x=*", "http://rp.test/cb", "no url"] {
        assert_eq!(world.hook("register-client", json!({"redirect_uri": refused})).await.status, 400, "{refused}");
    }
    let made = world.hook("register-client", json!({"redirect_uri": "https://rp.test/new"})).await.json();
    let id = made["client_id"].as_str().unwrap();
    world.hook("set-session-lifetime", json!({"seconds": "600"})).await;
    let code = world.code(&[("client_id", id), ("redirect_uri", "https://rp.test/new")]).await;
    let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", "https://rp.test/new")];
    let form = [&form[..], &[("code_verifier", VERIFIER), ("client_id", id)]].concat();
    let claims = world.id_token(&world.post("/token", &form).await).await;
    assert_eq!(claims["session_expiry"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    let url = world.hook("portal-launch", json!({"user": "alice"})).await.json()["url"].as_str().unwrap().to_owned();
    assert_eq!(url, "https://rp.ipsie-conform.test/initiate?iss=https%3A%2F%2Fidp.ipsie-conform.test");
    assert!(world.get("/portal").await.body.contains("https://rp.ipsie-conform.test/initiate"));
    assert_eq!(world.http.post(format!("{ISSUER}/operator/disable-user")).send().await.unwrap().status(), 401);
    world.hook("unregister-client", json!({"client_id": id})).await;
    assert_eq!(world.authorize(&[("client_id", id), ("redirect_uri", "https://rp.test/new")]).await.status, 400);
}

#[tokio::test]
async fn starting_is_cheap_and_dropping_closes_every_port() {
    let ca = Arc::new(TestCa::new("test ca").unwrap());
    let config = || OpConfig {
        listen: "127.0.0.1:0".into(),
        issuer: ISSUER.into(),
        clients: Vec::new(),
        users: Vec::new(),
        twists: Vec::new(),
        ca: ca.clone(),
        hook_token: String::new(),
    };
    let begin = std::time::Instant::now();
    let started: Vec<ReferenceOp> = futures_util::future::join_all((0..20).map(|_| ReferenceOp::start(config())))
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let each = begin.elapsed() / 20;
    assert!(each.as_millis() < 200, "{each:?} per service"); // Far above what it takes, for a busy machine.
    println!("{each:?} per service");
    let ports: Vec<SocketAddr> = started.iter().flat_map(|op| [op.addr, op.http_addr]).collect();
    let udp: Vec<SocketAddr> = started.iter().map(|op| op.dns_addr).collect();
    drop(started);
    for _ in 0..100 {
        let tcp_free = ports.iter().all(|port| std::net::TcpListener::bind(port).is_ok());
        if tcp_free && udp.iter().all(|port| std::net::UdpSocket::bind(port).is_ok()) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("a port is still in use");
}
