use serde_json::{Value, json};

use super::*;
use crate::model::Call::{self, Broken, Doubtful, Pass, Undecided};
use crate::suites::blocks::examples::id_token;
use crate::wire::entropy::estimate;

fn samples(count: usize) -> Vec<String> {
    (0..count).map(|_| crate::wire::jose::random(32)).collect()
}

fn token(jti: &str) -> IdTokenSeen {
    id_token(json!({
        "iss": "https://op", "sub": "u1", "aud": "client", "iat": 1000, "exp": 1300, "acr": "mfa", "amr": ["pwd", "otp"], "auth_time": 990,
        "session_expiry": 5000, "jti": jti,
    }))
}

fn good() -> Seen {
    Seen {
        issuer: "https://op".into(),
        acr_supported: vec!["mfa".into()],
        codes: estimate(&samples(20)),
        access: estimate(&samples(20)),
        access_algs: Vec::new(),
        refresh_algs: Vec::new(),
        refresh: estimate(&samples(3)),
        id_tokens: vec![token("a"), token("b")],
        leaks: Vec::new(),
        responses: 20,
    }
}

fn call(seen: &Seen, slug: &str) -> Call {
    (ALL.iter().find(|check| check.clause.ends_with(slug)).unwrap().judge)(seen).call
}

fn with_claim(name: &str, value: Value) -> Seen {
    let mut seen = good();
    seen.id_tokens[1].claims.insert(name.into(), value);
    seen
}

#[test]
fn conforming_samples_pass() {
    for check in ALL {
        let judgement = (check.judge)(&good());
        assert_eq!(judgement.call, Pass, "{}: {}", check.clause, judgement.reason);
    }
}

#[test]
fn no_samples_decide_nothing() {
    let none = estimate::<String>(&[]);
    let seen = Seen { codes: none.clone(), access: none.clone(), refresh: none, id_tokens: Vec::new(), responses: 0, ..good() };
    for check in ALL {
        assert_eq!((check.judge)(&seen).call, Undecided, "{}", check.clause);
    }
}

#[test]
fn each_wrong_claim_fails_its_clause() {
    for (slug, name, value) in [
        ("id-token-iss", "iss", json!("https://alias")),
        ("aud-string", "aud", json!(["client"])),
        ("id-token-times", "exp", json!("1300")),
        ("id-token-times", "iat", json!(100)),
        ("short-validity", "exp", json!(90_000)),
        ("id-token-sub", "sub", json!("u2")),
        ("assertion-identifier", "jti", json!("a")),
        ("id-token-acr", "acr", json!(null)),
        ("id-token-amr", "amr", json!("pwd otp")),
        ("id-token-amr", "amr", json!([])),
        ("amr-registered", "amr", json!(["pwd", "authenticator_app"])),
        ("session-expiry", "session_expiry", json!(28_800.5)),
        ("session-expiry", "session_expiry", json!(900)),
        ("session-expiry", "session_expiry", json!(1_800_000_000_000_u64)),
        ("tenant-claim-form", "tenant", json!({"id": 1})),
    ] {
        assert_eq!(call(&with_claim(name, value.clone()), slug), Broken, "{slug} {value}");
    }
    assert_eq!(call(&with_claim("acr", json!("other")), "id-token-acr"), Doubtful);
}

#[test]
fn a_refreshed_token_may_lack_what_a_login_must_say() {
    let mut seen = with_claim("session_expiry", Value::Null);
    seen.id_tokens[1].login = "refresh".into();
    assert_eq!(call(&seen, "session-expiry"), Pass);
}

#[test]
fn signatures_and_algorithms_are_judged_apart() {
    let mut unsigned = good();
    unsigned.id_tokens[0].signature = Err("no published key".into());
    assert_eq!(call(&unsigned, "id-token-signed"), Broken);
    let mut rs256 = good();
    rs256.id_tokens[0].header = json!({"alg": "RS256"});
    assert_eq!(call(&rs256, "id-token-alg"), Broken);
    assert_eq!(call(&rs256, "id-token-signed"), Pass);
}

#[test]
fn randomness_needs_bits_and_samples() {
    let weak: Vec<String> = samples(20).iter().map(|text| crate::stage::redact::mark(text)[8..20].to_owned()).collect();
    assert_eq!(call(&Seen { codes: estimate(&weak), ..good() }, "code-entropy"), Broken);
    assert_eq!(call(&Seen { codes: estimate(&samples(4)), ..good() }, "code-entropy"), Undecided);
    let numbers: Vec<String> = (0..3_u64).map(|n| (3_141_592_653 + n * 123_456_789).to_string()).collect();
    assert_eq!(call(&Seen { refresh: estimate(&numbers), ..good() }, "token-entropy"), Broken);
    let none = estimate::<String>(&[]);
    let jwt = Seen { access: none.clone(), refresh: none, access_algs: vec!["RS256".into()], ..good() };
    assert_eq!(call(&jwt, "token-entropy"), Pass);
}

#[test]
fn a_leak_is_a_finding() {
    assert_eq!(call(&Seen { leaks: vec![("id_token".into(), "x1".into())], ..good() }, "front-channel-assertion"), Broken);
}
