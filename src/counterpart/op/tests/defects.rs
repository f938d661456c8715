//! Every defect is seen from the outside, by at least one probe of a whole round of them.

use super::*;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What each probe saw, without the values that are random in every run.
type Round = BTreeMap<&'static str, String>;

/// Where an answer leads and what it says.
fn shape(answer: &Answer) -> String {
    let location = answer.header("location");
    let (target, _) = location.split_once(['?', '#']).unwrap_or((location, ""));
    let names: Vec<String> = Url::parse(location)
        .map(|url| url.query_pairs().map(|(name, _)| name.into_owned()).filter(|name| name != "return_to").collect())
        .unwrap_or_default();
    let error = answer.parameter("error").unwrap_or_else(|| answer.json()["error"].as_str().unwrap_or_default().to_owned());
    format!("{} {target} {names:?} {error}", answer.status)
}

async fn metadata(world: &World, round: &mut Round) {
    round.insert("metadata", world.get("/.well-known/openid-configuration").await.body);
    let jwks = world.get("/jwks").await.json();
    let keys: Vec<Vec<String>> =
        jwks["keys"].as_array().unwrap().iter().map(|key| key.as_object().unwrap().keys().cloned().collect()).collect();
    round.insert("jwks", format!("{keys:?}"));
    let login = world.get("/login").await;
    round.insert("login headers", format!("{} {}", login.header("strict-transport-security"), login.header("x-frame-options")));
    round.insert("logout", shape(&world.get("/logout?post_logout_redirect_uri=https%3A%2F%2Frp.test").await));
    let cors = world.send(world.http.get(format!("{ISSUER}/authorize")).header("origin", "https://rp.test")).await;
    round.insert("cors", cors.header("access-control-allow-origin").to_owned());
    let body = json!({"redirect_uris": ["https://rp.test/cb"]});
    round.insert("registration", world.send(world.http.post(format!("{ISSUER}/register")).json(&body)).await.status.to_string());
}

async fn network(world: &World, round: &mut Round) {
    let clear = format!("http://{}/token", world.embedded.op.http_addr);
    round.insert("clear text", world.send(world.http.post(clear).form(&[("grant_type", "x")])).await.error());
    for (name, version, suite, host) in [
        ("tls 1.1", 0x0302, 0xc013, "idp.ipsie-conform.test"),
        ("3des", 0x0303, 0x000a, "idp.ipsie-conform.test"),
        ("cbc", 0x0303, 0x002f, "api.idp.ipsie-conform.test"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(world.embedded.op.addr).await.unwrap();
        stream.write_all(&super::super::hello::client_hello(version, &[suite], host)).await.unwrap();
        let mut first = [0; 1];
        let _ = stream.read(&mut first).await;
        round.insert(name, first[0].to_string());
    }
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut question = Message::query();
    question.add_query(Query::query(Name::from_ascii("idp.ipsie-conform.test.").unwrap(), RecordType::A));
    socket.send_to(&question.to_vec().unwrap(), world.embedded.op.dns_addr).await.unwrap();
    let mut buffer = [0; 512];
    let len = socket.recv(&mut buffer).await.unwrap();
    round.insert("dns", Message::from_vec(&buffer[..len]).unwrap().metadata.authentic_data.to_string());
}

async fn assertions(world: &World, round: &mut Round) {
    let junk = [("grant_type", "authorization_code"), ("code", "junk"), ("redirect_uri", CALLBACK)];
    let rs256 = {
        let claims = jose::read(&world.assertion("suite-main")).unwrap().claims;
        rsa_keys().0.sign(&json!({}), &claims)
    };
    let with = |change: Value| world.assertion_with("suite-main", &change);
    let all = [
        ("aud issuer", with(json!({}))),
        ("aud token endpoint", with(json!({"aud": format!("{ISSUER}/token")}))),
        ("aud array", with(json!({"aud": [ISSUER]}))),
        ("aud foreign", with(json!({"aud": "https://other.test"}))),
        ("exp missing", with(json!({"exp": null}))),
        ("jti first", with(json!({"jti": "one"}))),
        ("jti second", with(json!({"jti": "one"}))),
        ("rs256", rs256),
    ];
    for (name, assertion) in all {
        round.insert(name, world.token_as("suite-main", &assertion, None, &junk).await.error());
    }
    let password = &world.embedded.secrets["embedded:alice-password"];
    let form = [("grant_type", "password"), ("username", "alice"), ("password", password.as_str())];
    round.insert("password grant", world.token("suite-main", &form).await.error());
    let push = parameters(&[("client_id", "suite-public"), ("redirect_uri", PUBLIC_CALLBACK), ("code_challenge", "")]);
    let push: Vec<(&str, &str)> = push.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    round.insert("par without pkce", world.post("/par", &push).await.error());
    round.insert(
        "hook wildcard",
        world.hook("register-client", json!({"redirect_uri": "https://rp.test/*"})).await.status.to_string(),
    );
    let portal = world.hook("portal-launch", json!({"user": "alice"})).await.json()["url"].as_str().unwrap().to_owned();
    round.insert("portal", portal.split('?').next().unwrap().to_owned());
}

async fn login(world: &World, round: &mut Round) {
    let open = world.get("/login?return_to=https%3A%2F%2Fevil.test").await;
    round.insert("return_to", open.status.to_string());
    let to_login = world.authorize(&[("client_id", "suite-main")]).await;
    world.first_factor(&to_login).await;
    round.insert("half", shape(&world.authorize(&[("prompt", "none")]).await));
    *world.cookie.lock().unwrap() = String::new();
    round.insert("signed in", shape(&world.sign_in(&world.authorize(&[]).await).await));
    let none = jose::unsigned(&json!({"state": "other"}));
    let requests: [(&'static str, &[(&str, &str)]); 19] = [
        ("plain request", &[]),
        ("unknown client", &[("client_id", "https://client.test")]),
        ("code id_token", &[("response_type", "code id_token")]),
        ("no pkce", &[("code_challenge", ""), ("code_challenge_method", "")]),
        ("pkce plain", &[("code_challenge_method", "")]),
        ("other uri", &[("redirect_uri", "https://rp.ipsie-conform.test/other")]),
        ("longer uri", &[("redirect_uri", "https://rp.ipsie-conform.test/cb/a/x")]),
        ("http uri", &[("redirect_uri", "http://rp.ipsie-conform.test/cb/a")]),
        ("no uri", &[("redirect_uri", "")]),
        ("object", &[("request", &none)]),
        ("unknown parameter", &[("x-suite", "1")]),
        ("prompt none", &[("prompt", "none login")]),
        ("large max_age", &[("max_age", "15000")]),
        ("max_age 1", &[("max_age", "1")]),
        ("max_age 0", &[("max_age", "0")]),
        ("max_age 1 silent", &[("max_age", "1"), ("prompt", "none")]),
        ("foreign tenant", &[("tenant", "organization-2")]),
        ("public", &[("client_id", "suite-public"), ("redirect_uri", PUBLIC_CALLBACK)]),
        ("pairwise", &[("client_id", "suite-pairwise"), ("redirect_uri", "https://rp.ipsie-conform.test/cb/pairwise")]),
    ];
    world.embedded.op.advance(5);
    for (name, changes) in requests {
        round.insert(name, shape(&world.authorize(changes).await));
    }
    let answer = world.authorize(&[]).await;
    round.insert("state", answer.parameter("state").unwrap_or_default());
    let form = parameters(&[]);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    round.insert("post", world.post("/authorize", &form).await.status.to_string());
    let code = world.code(&[]).await;
    round.insert("code length", code.len().to_string());
}

async fn exchange(world: &World, round: &mut Round) {
    let redeem = |code: String, client: &'static str, uri: &'static str, verifier: &'static str| async move {
        let form = [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", uri), ("code_verifier", verifier)];
        let form: Vec<_> = form.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        (world.token(client, &form).await, code)
    };
    round.insert("other client", redeem(world.code(&[]).await, "suite-second", CALLBACK, VERIFIER).await.0.error());
    let other_uri = "https://rp.ipsie-conform.test/cb/b";
    round.insert("other uri at token", redeem(world.code(&[]).await, "suite-main", other_uri, VERIFIER).await.0.error());
    round.insert("no verifier", redeem(world.code(&[]).await, "suite-main", CALLBACK, "").await.0.error());
    let code = world.code(&[]).await;
    let form = [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
    let unauthenticated = [&form[..], &[("client_id", "suite-main")]].concat();
    round.insert("no client authentication", world.post("/token", &unauthenticated).await.error());
    let code = world.code(&[]).await;
    world.embedded.op.advance(61);
    round.insert("late", redeem(code, "suite-main", CALLBACK, VERIFIER).await.0.error());

    let (tokens, code) = redeem(world.code(&[]).await, "suite-main", CALLBACK, VERIFIER).await;
    round.insert("cache", tokens.header("cache-control").to_owned());
    let token = tokens.json()["access_token"].as_str().unwrap_or_default().to_owned();
    round.insert("token length", token.len().to_string());
    let userinfo = world.userinfo("Bearer", &token, None).await;
    let id_token = jose::read(tokens.json()["id_token"].as_str().unwrap_or_default());
    if let Ok(id_token) = id_token {
        claims(world, round, &id_token).await;
        round.insert("userinfo sub", (userinfo.json()["sub"] == id_token.claims["sub"]).to_string());
        let again = redeem(world.code(&[]).await, "suite-main", CALLBACK, VERIFIER).await.0;
        let again =
            jose::read(again.json()["id_token"].as_str().unwrap_or_default()).map(|again| again.claims).unwrap_or_default();
        round.insert("same sub", (again["sub"] == id_token.claims["sub"]).to_string());
        round.insert("same jti", (again["jti"] == id_token.claims["jti"]).to_string());
    }
    round.insert("reuse", redeem(code, "suite-main", CALLBACK, VERIFIER).await.0.error());
    round.insert("after reuse", world.userinfo("Bearer", &token, None).await.status.to_string());
}

async fn claims(world: &World, round: &mut Round, id_token: &jose::Jws) {
    let jwks = world.get("/jwks").await.json();
    round.insert("signature", format!("{} {}", id_token.alg(), id_token.verify(&jwks).is_ok()));
    let mut claims = id_token.claims.clone();
    let iat = claims["iat"].as_i64().unwrap_or_default();
    for name in ["exp", "auth_time", "session_expiry"] {
        if let Some(value) = claims[name].as_i64() {
            // Seconds pass during a round; only the order of magnitude is kept.
            claims[name] = format!("number {}", (value - iat) / 10).into();
        } else if claims[name].is_string() {
            claims[name] = "text".into();
        }
    }
    for name in ["iat", "jti", "sub"] {
        claims[name] = Value::Null;
    }
    round.insert("claims", claims.to_string());
}

async fn more(world: &World, round: &mut Round) {
    let offline = [("scope", "openid offline_access")];
    let tokens = world.redeem("suite-main", CALLBACK, &world.code(&offline).await).await.json();
    let token = tokens["refresh_token"].as_str().unwrap_or_default().to_owned();
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    round.insert("refresh by another", world.token("suite-second", &form).await.error());
    let refreshed = world.token("suite-main", &form).await.json();
    let claims = jose::read(refreshed["id_token"].as_str().unwrap_or_default()).map(|token| token.claims).unwrap_or_default();
    round.insert("refreshed expiry", claims.get("session_expiry").is_some().to_string());
    world.hook("disable-user", json!({"user": "alice"})).await;
    round.insert("refresh of a disabled user", world.token("suite-main", &form).await.error());
    world.hook("enable-user", json!({"user": "alice"})).await;

    let public = [("client_id", "suite-public"), ("redirect_uri", PUBLIC_CALLBACK), offline[0]];
    let tokens = world.redeem("suite-public", PUBLIC_CALLBACK, &world.code(&public).await).await;
    round.insert("public client", tokens.status.to_string());
    let token = tokens.json()["refresh_token"].as_str().unwrap_or_default().to_owned();
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    world.token("suite-public", &form).await;
    round.insert("second use of a public refresh token", world.token("suite-public", &form).await.error());

    world.hook("set-session-lifetime", json!({"seconds": 600})).await;
    let tokens = world.redeem("suite-main", CALLBACK, &world.code(&[]).await).await.json();
    let claims = jose::read(tokens["id_token"].as_str().unwrap_or_default()).map(|token| token.claims).unwrap_or_default();
    let lifetime = claims["session_expiry"].as_i64().unwrap_or_default() - claims["iat"].as_i64().unwrap_or_default();
    round.insert("session lifetime", lifetime.to_string());

    let callback = "https://rp.ipsie-conform.test/cb/encrypted";
    let code = world.code(&[("client_id", "suite-encrypted"), ("redirect_uri", callback)]).await;
    let token = world.redeem("suite-encrypted", callback, &code).await.json()["id_token"].as_str().unwrap_or_default().to_owned();
    round.insert("encrypted", token.split('.').count().to_string());
    let mut subs = Vec::new();
    for (client, callback) in [
        ("suite-pairwise", "https://rp.ipsie-conform.test/cb/pairwise"),
        ("suite-pairwise-other", "https://rp.second-sector.test/cb/pairwise"),
    ] {
        let code = world.code(&[("client_id", client), ("redirect_uri", callback)]).await;
        let tokens = world.redeem(client, callback, &code).await.json();
        subs.push(jose::read(tokens["id_token"].as_str().unwrap_or_default()).map(|token| token.claims["sub"].clone()).ok());
    }
    round.insert("same pairwise sub", (subs[0] == subs[1]).to_string());
    dpop(world, round).await;
}

async fn dpop(world: &World, round: &mut Round) {
    let code = world.code(&[]).await;
    let form =
        [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
    let first =
        world.token_as("suite-main", &world.assertion("suite-main"), Some(&world.proof(&world.key, json!({}))), &form).await;
    round.insert("dpop without nonce", first.error());
    let proof = world.proof(&world.key, json!({"nonce": first.header("dpop-nonce")}));
    let tokens = world.token_as("suite-main", &world.assertion("suite-main"), Some(&proof), &form).await.json();
    let token = tokens["access_token"].as_str().unwrap_or_default().to_owned();
    round.insert("downgrade", world.userinfo("Bearer", &token, None).await.status.to_string());
}

async fn round(twists: &[Twist]) -> Round {
    let world = world(twists).await;
    let mut round = Round::new();
    metadata(&world, &mut round).await;
    network(&world, &mut round).await;
    assertions(&world, &mut round).await;
    // Under this one no login of the helper's comes to an end, which the probes before have shown.
    if !twists.contains(&Twist::AssertionAudIssuerAccepted) {
        login(&world, &mut round).await;
        exchange(&world, &mut round).await;
        more(&world, &mut round).await;
    }
    round
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_defect_is_seen_and_a_conforming_service_is_always_the_same() {
    let conforming = round(&[]).await;
    assert_eq!(conforming, round(&[]).await);
    let mut unseen = Vec::new();
    // Those of SL2 are seen in whole logins only: the kill matrix plays them.
    for twist in Twist::ALL.iter().filter(|twist| twist.clause().starts_with("sl1.")) {
        let defective = round(&[*twist]).await;
        let seen: Vec<String> = defective
            .iter()
            .filter(|(name, value)| conforming.get(*name) != Some(value))
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        println!("{:45} {seen:.200?}", twist.clause());
        if seen.is_empty() {
            unseen.push(twist);
        }
    }
    assert!(unseen.is_empty(), "{unseen:?}");
}
