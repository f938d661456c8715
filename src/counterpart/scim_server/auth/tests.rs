use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

const ISSUER: &str = "https://app.example/tenant";
const ENDPOINT: &str = "https://app.example/token";
const API: &str = "https://app.example/scim/v2";

struct Bench {
    authority: Authority,
    key: SigningKey,
    time: Arc<AtomicI64>,
}

fn bench_with(quirks: &[Quirk], change: impl FnOnce(&mut AuthConfig)) -> Bench {
    let key = SigningKey::generate("k1", Algorithm::ES256).unwrap();
    let time = Arc::new(AtomicI64::new(1_000));
    let keys = json!({"keys": [key.jwk()]});
    let client = |tenant: &str| Client {
        tenant: tenant.into(),
        client_id: format!("client-{tenant}"),
        issuer: format!("https://idp.example/{tenant}"),
        keys: keys.clone(),
        token: Some(format!("static-token-{tenant}")),
    };
    let clock = Arc::clone(&time);
    let mut config = AuthConfig {
        issuer: ISSUER.into(),
        token_endpoint: ENDPOINT.into(),
        audience: API.into(),
        clients: vec![client("a"), client("b")],
        quirks: quirks.to_vec(),
        clock: Arc::new(move || clock.load(Ordering::Relaxed)),
        ..AuthConfig::default()
    };
    change(&mut config);
    Bench { authority: Authority::new(config), key, time }
}

fn bench(quirks: &[Quirk]) -> Bench {
    bench_with(quirks, |_| ())
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn request(token: &str) -> Request {
    let headers = pairs(&[("authorization", &format!("Bearer {token}"))]);
    Request { method: "GET".into(), path: "/Users".into(), headers, ..Request::default() }
}

fn claims(tenant: &str) -> Value {
    let client = format!("client-{tenant}");
    json!({"iss": client, "sub": client, "aud": ISSUER, "exp": 1_300, "iat": 1_000, "jti": jose::random(8)})
}

impl Bench {
    fn grant(&self, claims: &Value, scope: &str) -> Response {
        let assertion = self.key.sign(&json!({}), claims);
        self.grant_raw(&assertion, scope)
    }

    fn grant_raw(&self, assertion: &str, scope: &str) -> Response {
        self.authority.token(&pairs(&[("grant_type", token::JWT_BEARER), ("assertion", assertion), ("scope", scope)]), &[])
    }

    fn access_token(&self, tenant: &str) -> String {
        let body = self.grant(&claims(tenant), "scim").body.unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    fn is_good(&self, token: &str) -> bool {
        matches!(self.authority.caller(&request(token)), Caller::Tenant(_))
    }
}

#[test]
fn an_assertion_is_exchanged_for_a_token_of_its_tenant() {
    for opaque in [false, true] {
        let bench = bench_with(&[], |config| config.opaque = opaque);
        let answer = bench.grant(&claims("b"), "scim");
        let body = answer.body.unwrap();
        assert_eq!((answer.status, &body["token_type"], &body["expires_in"]), (200, &json!("Bearer"), &json!(120)));
        let token = body["access_token"].as_str().unwrap();
        assert_eq!(bench.authority.caller(&request(token)), Caller::Tenant("b".into()));
        bench.time.store(1_120, Ordering::Relaxed);
        assert!(!bench.is_good(token), "expired, opaque {opaque}");
    }
    let bench = bench(&[]);
    let assertion = bench.key.sign(&json!({}), &claims("a"));
    let form = pairs(&[
        ("grant_type", "client_credentials"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &assertion),
        ("scope", "scim"),
    ]);
    assert_eq!(bench.authority.token(&form, &[]).status, 200);
    let mut from_idp = claims("a");
    from_idp["iss"] = "https://idp.example/a".into();
    assert_eq!(bench.grant(&from_idp, "scim").status, 200);
}

#[test]
fn bad_assertions_get_no_token() {
    let bench = bench(&[]);
    let with = |name: &str, value: Value| {
        let mut claims = claims("a");
        claims[name] = value;
        claims
    };
    for bad in [
        with("aud", json!("https://other.example")),
        with("aud", json!([ISSUER, "https://other.example"])),
        with("aud", Value::Null),
        with("exp", json!(999)),
        with("exp", json!(5_000)),
        with("exp", Value::Null),
        with("sub", json!("client-b")),
        with("iss", json!("client-b")),
        with("iss", json!("https://idp.example/b")),
        with("jti", Value::Null),
        with("nbf", json!(2_000)),
    ] {
        let answer = bench.grant(&bad, "scim");
        assert_eq!((answer.status, &answer.body.unwrap()["error"]), (400, &json!("invalid_grant")), "{bad}");
    }
    let stranger = SigningKey::generate("k1", Algorithm::ES256).unwrap();
    for raw in [stranger.sign(&json!({}), &claims("a")), jose::unsigned(&claims("a")), "x".into()] {
        assert_eq!(bench.grant_raw(&raw, "scim").status, 400);
    }
    let used = claims("a");
    assert_eq!(bench.grant(&used, "scim").status, 200);
    assert_eq!(bench.grant(&used, "scim").status, 400, "replayed");
    for scope in ["", "openid", "scim admin"] {
        assert_eq!(bench.grant(&claims("a"), scope).body.unwrap()["error"], "invalid_scope");
    }
    assert_eq!(
        bench.authority.token(&pairs(&[("grant_type", "password")]), &[]).body.unwrap()["error"],
        "unsupported_grant_type"
    );
}

/// Altered, unsigned, of a stranger.
fn forged(token: &str) -> Vec<String> {
    let claims = jose::read(token).unwrap().claims;
    let at = token.rfind('.').unwrap() + 20;
    let other = if &token[at..=at] == "A" { "B" } else { "A" };
    let altered = format!("{}{other}{}", &token[..at], &token[at + 1..]);
    let kid = jose::read(token).unwrap().header["kid"].clone();
    let stranger = SigningKey::generate(kid.as_str().unwrap(), Algorithm::ES256).unwrap();
    vec![altered, jose::unsigned(&claims), stranger.sign(&json!({}), &claims)]
}

#[test]
fn only_good_tokens_in_the_header_are_taken() {
    let bench = bench(&[]);
    let token = bench.access_token("a");
    assert!(bench.is_good(&token));
    assert!(forged(&token).iter().all(|token| !bench.is_good(token)));
    let mut request = request(&token);
    request.headers[0].1 = format!("Basic {token}");
    assert!(matches!(bench.authority.caller(&request), Caller::Nobody(Refusal::BadToken(_))));
    request.headers.clear();
    assert_eq!(bench.authority.caller(&request), Caller::Nobody(Refusal::NoToken));
    request.query = pairs(&[("access_token", &token)]);
    assert_eq!(bench.authority.caller(&request), Caller::Nobody(Refusal::NoToken));
    assert!(!bench.authority.opens_other_api(&request));
}

#[test]
fn tokens_of_the_identity_service_are_checked_by_its_keys() {
    let check = |quirks: &[Quirk]| {
        let bench = bench_with(quirks, |config| config.layout = Layout::IdpAs);
        let issue = |key: &SigningKey, name: &str, value: Value| {
            let mut claims =
                json!({"iss": "https://idp.example/a", "sub": "client-a", "aud": [API], "exp": 1_100, "scope": "scim"});
            claims[name] = value;
            key.sign(&json!({}), &claims)
        };
        let next = SigningKey::generate("k2", Algorithm::EdDSA).unwrap();
        let old = issue(&bench.key, "x", json!(1));
        let new = issue(&next, "x", json!(1));
        assert!(bench.is_good(&old));
        assert!(forged(&old).iter().all(|token| !bench.is_good(token)));
        assert!(!bench.is_good(&issue(&bench.key, "aud", json!("https://other.example"))));
        assert!(!bench.is_good(&issue(&bench.key, "exp", json!(1_000))));
        assert!(!bench.is_good(&issue(&bench.key, "iss", json!("https://idp.example/b"))));
        let scopeless = bench.authority.caller(&request(&issue(&bench.key, "scope", json!("openid scim2"))));
        assert_eq!(scopeless, Caller::Nobody(Refusal::InsufficientScope("scim".into())));
        assert_eq!(bench.authority.missing_key(&old), None);
        assert_eq!(bench.authority.missing_key(&new).as_deref(), Some("https://idp.example/a"));
        bench.authority.set_keys("https://idp.example/a", json!({"keys": [next.jwk()]}));
        (bench.is_good(&old), bench.is_good(&new))
    };
    assert_eq!(check(&[]), (false, true));
    assert_eq!(check(&[Quirk::TokenAcceptedFromIdp]), (true, false));
}

#[test]
fn static_tokens_are_compared_whole() {
    let good = |quirks: &[Quirk], token: &str| bench_with(quirks, |config| config.layout = Layout::Static).is_good(token);
    assert!(good(&[], "static-token-b"));
    assert!(!good(&[], "static-token-x"));
    assert!(good(&[Quirk::BadToken401], "static-token-x"));
}

#[test]
fn metadata_stand_at_the_inserted_path() {
    let bench = bench(&[]);
    assert_eq!(bench.authority.metadata_path(), "/.well-known/oauth-authorization-server/tenant");
    let body = bench.authority.metadata().body.unwrap();
    assert_eq!((&body["issuer"], &body["token_endpoint"]), (&json!(ISSUER), &json!(ENDPOINT)));
    assert_eq!(bench_with(&[], |config| config.layout = Layout::Static).authority.metadata().status, 404);
}

#[test]
fn every_quirk_of_tokens_departs() {
    let good = |quirk: Quirk, probe: &dyn Fn(&Bench) -> bool| {
        assert!(!probe(&bench(&[])), "{quirk:?} without");
        assert!(probe(&bench(&[quirk])), "{quirk:?} with");
    };
    let get = |path: &str| Request { method: "GET".into(), path: path.into(), ..Request::default() };
    let open = |bench: &Bench, request: &Request| matches!(bench.authority.caller(request), Caller::Tenant(_));
    good(Quirk::NoToken401, &|bench| open(bench, &get("/Users")) && !open(bench, &get("/Roles")));
    good(Quirk::RolesNeedToken, &|bench| open(bench, &get("/Roles")) && !open(bench, &get("/Users")));
    good(Quirk::BadToken401, &|bench| forged(&bench.access_token("a")).iter().all(|token| bench.is_good(token)));
    good(Quirk::ExpiredToken, &|bench| {
        let token = bench.access_token("a");
        bench.time.store(9_000, Ordering::Relaxed);
        bench.is_good(&token)
    });
    good(Quirk::TokenInQueryRefused, &|bench| {
        let query = pairs(&[("access_token", &bench.access_token("a"))]);
        open(bench, &Request { query, ..get("/Users") })
    });
    good(Quirk::JwtAssertionExchange, &|bench| bench.grant(&claims("a"), "scim").body.unwrap().get("token_type").is_none());
    good(Quirk::JwtAssertionChecks, &|bench| {
        let mut claims = claims("a");
        claims["aud"] = "https://other.example".into();
        bench.grant(&claims, "scim").status == 200
    });
    good(Quirk::JwtAssertionReplay, &|bench| {
        let claims = claims("a");
        (0..2).all(|_| bench.grant(&claims, "scim").status == 200)
    });
    good(Quirk::ScopeScimNeeded, &|bench| {
        let answer = bench.grant(&claims("a"), "openid");
        answer.status == 200 && bench.is_good(answer.body.unwrap()["access_token"].as_str().unwrap())
    });
    good(Quirk::ScopeNotBroader, &|bench| bench.authority.opens_other_api(&request(&bench.access_token("a"))));
    good(Quirk::AsMetadata, &|bench| bench.authority.metadata().status == 404);
    good(Quirk::TokenEndpointClaim, &|bench| {
        jose::read(&bench.access_token("a")).unwrap().claims.get("token_endpoint").is_some()
    });
}
