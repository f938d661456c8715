use serde_json::{Map, json};

use super::super::{CommandsSent, Credential, Expected, Session};
use super::*;
use crate::model::Call;
use crate::suite::Scenario;
use crate::suites::blocks::examples::{authz, token};

#[allow(clippy::needless_pass_by_value)]
fn jwt(typ: &str, more: Value) -> Jwt {
    let mut claims: Map<String, Value> =
        json!({"iss": "https://op", "iat": 1000, "exp": 1120, "jti": "j1", "sub": "u1"}).as_object().cloned().unwrap();
    claims.extend(more.as_object().cloned().unwrap());
    Jwt { header: json!({"alg": "ES256", "typ": typ}), claims, fault: None }
}

fn expected(path: &str) -> Expected {
    Expected {
        issuer: "https://op".into(),
        client_id: "client".into(),
        sub: "u1".into(),
        sid: None,
        other_sids: Vec::new(),
        endpoint: format!("https://rp{path}"),
        announced: true,
        by_jwt: true,
        credential_declared: false,
    }
}

fn form(field: &str, token: Jwt) -> Message {
    Message {
        method: "POST".into(),
        media_type: "application/x-www-form-urlencoded".into(),
        names: vec![field.into()],
        token: Some(token),
        at: 1000,
        cite: "x1".into(),
        ..Message::default()
    }
}

fn command() -> Jwt {
    jwt("command+jwt", json!({"aud": "https://rp/commands", "client_id": "client", "command": "invalidate", "tenant": "t"}))
}

fn logout() -> Jwt {
    jwt("logout+jwt", json!({"aud": ["client"], "events": {LOGOUT_EVENT: {}}}))
}

fn revocation() -> Message {
    Message {
        method: "POST".into(),
        media_type: "application/json".into(),
        names: vec!["sub_id".into()],
        body: json!({"sub_id": {"format": "iss_sub", "iss": "https://op", "sub": "u1"}}),
        credential: Some(Credential {
            scheme: "Bearer".into(),
            jwt: Some(jwt("JWT", json!({"aud": "https://rp/global-token-revocation"}))),
            declared: None,
        }),
        at: 1000,
        cite: "x1".into(),
        ..Message::default()
    }
}

fn sent(binding: &str, path: &str, message: Message) -> Sent {
    Sent { binding: binding.into(), obstacle: None, expected: expected(path), messages: vec![message] }
}

fn good() -> Seen {
    Seen {
        sent: vec![
            sent("op-commands", "/commands", form("command_token", command())),
            sent("backchannel-logout", "/backchannel-logout", form("logout_token", logout())),
            sent("token-revocation", "/global-token-revocation", revocation()),
        ],
        session: Some(Session {
            done: true,
            quiet_before: true,
            quiet: Some(authz(Outcome::Error)),
            refresh_before: Some(token(200, &["access_token"])),
            refresh: Some(token(400, &[])),
        }),
    }
}

fn with(at: usize, message: Message) -> Seen {
    let mut seen = good();
    seen.sent[at].messages = vec![message];
    seen
}

#[test]
fn right_messages_pass_and_nothing_that_arrived_decides_nothing() {
    for check in CommandsSent::CHECKS {
        assert_eq!((check.judge)(&good()).call, Call::Pass, "{}: {}", check.clause, (check.judge)(&good()).reason);
        assert_eq!((check.judge)(&Seen::default()).call, Call::Undecided, "{}", check.clause);
        let mut silent = good();
        silent.session = None;
        silent.sent.iter_mut().for_each(|sent| sent.messages.clear());
        assert_eq!((check.judge)(&silent).call, Call::Undecided, "{}", check.clause);
    }
}

#[test]
fn each_wrong_member_of_a_token_is_broken() {
    let change = |mut jwt: Jwt, name: &str, value: Value| {
        jwt.claims.insert(name.into(), value);
        jwt
    };
    let drop = |mut jwt: Jwt, name: &str| {
        jwt.claims.remove(name);
        jwt
    };
    for bad in [
        change(command(), "nonce", json!("n")),
        change(command(), "aud", json!("https://other")),
        change(command(), "client_id", json!("other")),
        change(command(), "command", json!("delete")),
        change(command(), "sub", json!("u2")),
        change(command(), "iat", json!(10)),
        change(command(), "exp", json!(900)),
        drop(command(), "exp"),
        drop(command(), "jti"),
        Jwt { header: json!({"alg": "ES256"}), ..command() },
        Jwt { header: json!({"alg": "RS256", "typ": "command+jwt"}), ..command() },
        Jwt { fault: Some("no".into()), ..command() },
    ] {
        assert_eq!(an_invalidate_command_is_right(&with(0, form("command_token", bad.clone()))).call, Call::Broken, "{bad:?}");
    }
    let unverified = Jwt { fault: Some(NO_JWKS.into()), ..command() };
    assert_eq!(an_invalidate_command_is_right(&with(0, form("command_token", unverified))).call, Call::Undecided);
    for doubtful in [drop(command(), "tenant"), change(command(), "exp", json!(1500)), change(command(), "email", json!("a@b"))] {
        assert_eq!(an_invalidate_command_is_right(&with(0, form("command_token", doubtful))).call, Call::Doubtful);
    }
    for bad in [
        drop(logout(), "events"),
        change(logout(), "events", json!({LOGOUT_EVENT: "yes"})),
        change(logout(), "aud", json!("other")),
        drop(logout(), "sub"),
        change(logout(), "nonce", json!("n")),
    ] {
        assert_eq!(a_logout_token_is_right(&with(1, form("logout_token", bad.clone()))).call, Call::Broken, "{bad:?}");
    }
    assert_eq!(a_logout_token_is_right(&with(1, form("token", logout()))).call, Call::Broken);
    let by_session = change(drop(logout(), "sub"), "sid", json!("s1"));
    assert_eq!(a_logout_token_is_right(&with(1, form("logout_token", by_session))).call, Call::Pass);
}

#[test]
fn a_revocation_request_is_authenticated_and_names_the_user() {
    let call = |message| a_revocation_request_is_right(&with(2, message)).call;
    assert_eq!(call(Message { credential: None, ..revocation() }), Call::Broken);
    let other = json!({"sub_id": {"format": "iss_sub", "iss": "https://op", "sub": "u2"}});
    assert_eq!(call(Message { body: other, ..revocation() }), Call::Broken);
    assert_eq!(call(Message { body: json!({"sub_id": "u1"}), ..revocation() }), Call::Broken);
    let old = json!({"subject": {"format": "iss_sub", "iss": "https://op", "sub": "u1"}});
    assert_eq!(call(Message { body: old, names: vec!["subject".into()], ..revocation() }), Call::Doubtful);
    let fixed = Credential { scheme: "Bearer".into(), jwt: None, declared: Some(true) };
    assert_eq!(call(Message { credential: Some(fixed.clone()), ..revocation() }), Call::Broken, "a JWT was declared");
    let mut bearer = with(2, Message { credential: Some(fixed.clone()), ..revocation() });
    bearer.sent[2].expected.by_jwt = false;
    assert_eq!(a_revocation_request_is_right(&bearer).call, Call::Pass);
    bearer.sent[2].messages[0].credential = Some(Credential { declared: Some(false), ..fixed });
    assert_eq!(a_revocation_request_is_right(&bearer).call, Call::Broken);
}

#[test]
fn a_session_that_lives_on_is_broken() {
    let call = |session| a_revoked_session_needs_a_login(&Seen { session: Some(session), ..good() }).call;
    let session = || good().session.unwrap();
    assert_eq!(call(Session { quiet: Some(authz(Outcome::Code)), ..session() }), Call::Broken);
    assert_eq!(call(Session { refresh: Some(token(200, &["access_token"])), ..session() }), Call::Broken);
    assert_eq!(call(Session { quiet_before: false, ..session() }), Call::Undecided);
    assert_eq!(call(Session { refresh_before: None, refresh: None, ..session() }), Call::Pass);
    assert_eq!(call(Session { done: false, ..session() }), Call::Undecided);
}
