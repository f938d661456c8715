use serde_json::{Value, json};

use super::*;
use crate::counterpart::scim_client::ERROR;
use crate::model::Call::{self as Verdict, Broken, Doubtful, Pass, Undecided};

fn answer(status: u16, body: Value) -> Answer {
    Answer { status, body, cite: "e1".into(), ..Answer::default() }
}

fn error(status: u16) -> Answer {
    answer(status, json!({"schemas": [ERROR], "status": status.to_string(), "detail": "no"}))
}

fn unauthorized() -> Answer {
    Answer { headers: vec![("www-authenticate".into(), "Bearer".into())], ..error(401) }
}

fn good() -> Seen {
    Seen {
        controls: [answer(200, Value::Null), answer(200, Value::Null)],
        anonymous: vec![("GET /Users".into(), unauthorized()), ("DELETE".into(), unauthorized())],
        in_query: unauthorized(),
        bad_tokens: vec![("an altered token".into(), unauthorized())],
        errors: vec![("an id that nobody has".into(), 404, error(404)), ("no JSON".into(), 400, error(400))],
        ..Seen::default()
    }
}

#[test]
fn what_departs_is_found_and_what_is_open_stays_open() {
    type Change = fn(&mut Seen);
    let cases: &[(&str, Change, Verdict)] = &[
        ("no-token-401", |_| (), Pass),
        ("no-token-401", |seen| seen.anonymous[0].1 = answer(200, json!({})), Broken),
        ("no-token-401", |seen| seen.anonymous[1].1 = error(404), Broken),
        ("no-token-401", |seen| seen.anonymous[0].1 = error(403), Doubtful),
        ("no-token-401", |seen| seen.anonymous[0].1 = error(401), Doubtful),
        ("no-token-401", |seen| seen.controls[1] = error(401), Undecided),
        ("token-in-query-refused", |_| (), Pass),
        ("token-in-query-refused", |seen| seen.in_query.status = 200, Broken),
        ("token-in-query-refused", |seen| seen.anonymous[0].1.status = 200, Undecided),
        ("bad-token-401", |_| (), Pass),
        ("bad-token-401", |seen| seen.bad_tokens[0].1.status = 200, Broken),
        ("bad-token-401", |seen| seen.bad_tokens[0].1.status = 429, Undecided),
        ("error-format", |_| (), Pass),
        ("error-format", |seen| seen.errors[0].2.body["status"] = json!(404), Broken),
        ("error-format", |seen| seen.errors[0].2.body["detail"] = json!("x\n    at Object.<anonymous> (a.js:1)"), Broken),
        ("error-format", |seen| seen.errors[1].2 = error(422), Broken),
        ("error-format", |seen| seen.errors[0].2 = error(400), Pass),
        ("error-format", |seen| seen.errors[0].2 = answer(400, Value::Null), Broken),
        ("error-format", |seen| seen.errors.iter_mut().for_each(|error| error.2.status = 403), Undecided),
        ("tls-floor", |seen| seen.in_clear = true, Broken),
    ];
    for (slug, change, wanted) in cases {
        let mut seen = good();
        change(&mut seen);
        let check = Channel::CHECKS.iter().find(|check| check.clause.ends_with(slug)).unwrap();
        let judgement = (check.judge)(&seen);
        assert_eq!(judgement.call, *wanted, "{slug}: {}", judgement.reason);
    }
}

#[test]
fn what_is_not_offered_need_not_ask_for_a_token() {
    assert!(absent("GET", &error(404)) && absent("DELETE", &error(501)));
    assert!(!absent("GET", &error(401)) && !absent("PATCH", &error(404)) && !absent("GET", &answer(200, Value::Null)));
}

#[test]
fn a_token_is_altered_where_it_counts() {
    let opaque = bad_tokens("abcdefgh");
    assert_eq!(opaque.len(), 1);
    assert_ne!(opaque[0].1, "abcdefgh");
    let key = crate::wire::jose::SigningKey::generate("k", jsonwebtoken::Algorithm::ES256).unwrap();
    let token = key.sign(&json!({"alg": "ES256"}), &json!({"sub": "x"}));
    let forged = bad_tokens(&token);
    assert_eq!(forged.len(), 3);
    let jwks = json!({"keys": [key.jwk()]});
    for (what, token) in forged {
        assert!(
            crate::wire::jose::read(&token).is_err() || crate::wire::jose::read(&token).unwrap().verify(&jwks).is_err(),
            "{what}"
        );
    }
}
