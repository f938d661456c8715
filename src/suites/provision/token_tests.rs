use super::super::examples::{missed, reached, sent};
use super::*;
use crate::model::Call;
use serde_json::json;

fn request(jti: &str) -> Request {
    let claims = json!({"iss": "c", "sub": "c", "aud": "https://suite", "exp": 1300, "iat": 1000, "jti": jti});
    Request {
        grant_type: "client_credentials".into(),
        assertion_type: CLIENT_ASSERTION.into(),
        scope: Some("scim".into()),
        secret: false,
        assertion: Some(Jwt {
            header: json!({"alg": "ES256"}),
            claims: claims.as_object().unwrap().clone(),
            fault: None,
            cite: "x1".into(),
        }),
        cite: "x1".into(),
    }
}

fn step(at_s: f64, status: u16) -> Sent {
    let fault = (status == 401).then(|| "answered 401 invalid_token".to_owned());
    Sent { at_s, status, fault, ..sent("PATCH", "/Users/1", json!({})) }
}

fn good() -> Seen {
    Seen {
        layout: "app-as".into(),
        audiences: vec!["https://suite".into()],
        requests: vec![request("1"), request("2")],
        keys_published: true,
        expired: reached(vec![step(1.0, 401), step(2.0, 200)]),
        renewals_s: vec![1.5],
        ..Seen::default()
    }
}

#[test]
fn signed_requests_pass_and_nothing_seen_decides_nothing() {
    let nothing = Seen { layout: "app-as".into(), ..Seen::default() };
    for check in Tokens::CHECKS {
        assert_eq!((check.judge)(&good()).call, Call::Pass, "{}: {}", check.clause, (check.judge)(&good()).reason);
        assert_eq!((check.judge)(&nothing).call, Call::Undecided, "{}", check.clause);
    }
}

#[test]
fn secrets_and_wide_scopes_are_broken() {
    let mut seen = good();
    seen.requests[0].secret = true;
    seen.requests[0].scope = Some("scim admin".into());
    assert_eq!(a_signed_jwt_brings_the_token(&seen).call, Call::Broken);
    assert_eq!(the_scope_is_scim(&seen).call, Call::Broken);
    seen = good();
    seen.requests[1].assertion = None;
    assert_eq!(a_signed_jwt_brings_the_token(&seen).call, Call::Broken);
    seen.requests[1].scope = None;
    assert_eq!(the_scope_is_scim(&seen).call, Call::Doubtful);
    assert_eq!(assertions_are_fresh(&seen).call, Call::Undecided);
    assert_eq!(a_signed_jwt_brings_the_token(&Seen { layout: "bearer".into(), ..Seen::default() }).call, Call::Broken);
}

#[test]
fn an_assertion_is_used_once() {
    let mut seen = good();
    seen.requests[1] = request("1");
    assert_eq!(assertions_are_fresh(&seen).call, Call::Broken);
    seen = good();
    seen.requests[0].assertion.as_mut().unwrap().claims.insert("exp".into(), 9000.into());
    assert_eq!(assertions_are_fresh(&seen).call, Call::Broken);
}

#[test]
fn a_client_must_not_give_up_on_401() {
    let mut seen = good();
    seen.expired = missed(vec![step(1.0, 401)]);
    assert_eq!(an_expired_token_is_renewed(&seen).call, Call::Broken);
    seen = good();
    seen.renewals_s.clear();
    assert_eq!(an_expired_token_is_renewed(&seen).call, Call::Broken);
    // Nobody is asked for a token that the identity service makes itself, or that another worker has asked for.
    seen.layout = "idp-as".into();
    seen.expired.sent.iter_mut().enumerate().for_each(|(number, sent)| sent.token = number.to_string());
    assert_eq!(an_expired_token_is_renewed(&seen).call, Call::Pass);
    seen.expired.sent.iter_mut().for_each(|sent| sent.token = "same".into());
    assert_eq!(an_expired_token_is_renewed(&seen).call, Call::Broken);
    seen.expired = missed(Vec::new());
    assert_eq!(an_expired_token_is_renewed(&seen).call, Call::Undecided);
}

#[test]
fn keys_must_be_published_and_fit() {
    let mut seen = good();
    seen.keys_published = false;
    assert_eq!(the_keys_are_published(&seen).call, Call::Broken);
    seen = good();
    seen.requests[0].assertion.as_mut().unwrap().fault = Some("no key".into());
    assert_eq!(the_keys_are_published(&seen).call, Call::Broken);
    assert_eq!(a_signed_jwt_brings_the_token(&seen).call, Call::Broken);
}
