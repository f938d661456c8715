use serde_json::json;

use super::*;
use crate::model::Call::{self as Verdict, Broken, Doubtful, NotConfigured, Pass, Undecided};

fn answer(status: u16) -> Answer {
    Answer { status, cite: "e1".into(), ..Answer::default() }
}

fn token() -> TokenAnswer {
    TokenAnswer {
        status: 200,
        issued: true,
        token_type: "Bearer".into(),
        expires_in: Some(120),
        scope: Some("scim".into()),
        token_endpoint: Some(String::new()),
        ..TokenAnswer::default()
    }
}

fn refusal() -> TokenAnswer {
    TokenAnswer { status: 400, error: "invalid_grant".into(), ..TokenAnswer::default() }
}

fn app_as() -> Seen {
    let metadata = json!({"issuer": "https://as.test", "token_endpoint": "https://as.test/token",
                          "token_endpoint_auth_methods_supported": ["private_key_jwt"]});
    Seen {
        layout: ScimAuth::AppAs,
        issuer: "https://as.test".into(),
        token_endpoint: "https://as.test/token".into(),
        metadata: vec![Answer { body: metadata, ..answer(200) }],
        forms: vec![(Form::ClientAssertion, token()), (Form::Grant, refusal())],
        forged: vec![("it is not signed".into(), refusal())],
        control: Some(token()),
        for_endpoint: Some(refusal()),
        replay: vec![token(), refusal()],
        scopes: vec![("openid".into(), TokenAnswer { scope: Some("openid".into()), ..token() }, Some(answer(403)))],
        other_api: Some(answer(403)),
        expiry: Some(Expiry { life_s: Some(120), before: answer(200), after: Some(answer(401)) }),
        own: Vec::new(),
    }
}

fn idp_as() -> Seen {
    let uses = [
        ("a token of the configured issuer", 200),
        ("a token for another audience", 401),
        ("a token of another issuer", 401),
        ("a token without the scope", 403),
        ("a token that has ended", 401),
        ("a token of the configured issuer, again", 200),
        ("a token signed by a new key", 200),
    ];
    let own = uses.map(|(what, status)| (what.to_owned(), answer(status))).to_vec();
    Seen { layout: ScimAuth::IdpAs, own, ..Seen::default() }
}

fn verdict(slug: &str, seen: &Seen) -> Verdict {
    let check = Tokens::CHECKS.iter().find(|check| check.clause.ends_with(slug)).unwrap();
    (check.judge)(seen).call
}

#[test]
fn what_the_applications_server_does_is_judged() {
    type Change = fn(&mut Seen);
    let cases: &[(&str, Change, Verdict)] = &[
        ("expired-token", |_| (), Pass),
        ("expired-token", |seen| seen.expiry.as_mut().unwrap().after = Some(answer(200)), Broken),
        ("expired-token", |seen| seen.expiry.as_mut().unwrap().after = Some(answer(500)), Undecided),
        ("expired-token", |seen| seen.expiry.as_mut().unwrap().life_s = None, Broken),
        ("expired-token", |seen| seen.expiry.as_mut().unwrap().before = answer(403), Undecided),
        ("expired-token", |seen| seen.expiry = None, Undecided),
        ("expired-token", |seen| seen.layout = ScimAuth::Bearer, Broken),
        ("jwt-assertion-exchange", |_| (), Pass),
        ("jwt-assertion-exchange", |seen| seen.forms[0].1 = refusal(), Undecided),
        ("jwt-assertion-exchange", |seen| seen.forms.clear(), Undecided),
        (
            "jwt-assertion-exchange",
            |seen| {
                for (_, answer) in &mut seen.forms {
                    *answer = TokenAnswer { error: "unsupported_grant_type".into(), ..refusal() };
                }
            },
            Broken,
        ),
        ("jwt-assertion-exchange", |seen| seen.forms[0].1 = TokenAnswer { status: 503, ..refusal() }, Undecided),
        ("jwt-assertion-exchange", |seen| seen.forms[0].1.expires_in = None, Broken),
        ("jwt-assertion-checks", |_| (), Pass),
        ("jwt-assertion-checks", |seen| seen.forged[0].1 = token(), Broken),
        ("jwt-assertion-checks", |seen| seen.forged[0].1 = TokenAnswer { status: 500, ..refusal() }, Doubtful),
        ("jwt-assertion-checks", |seen| seen.control = Some(refusal()), Undecided),
        ("jwt-assertion-replay", |_| (), Pass),
        ("jwt-assertion-replay", |seen| seen.replay[1] = token(), Broken),
        ("jwt-assertion-replay", |seen| seen.replay[0] = refusal(), Undecided),
        ("jwt-assertion-replay", |seen| (seen.replay[1].status, seen.replay[1].issued) = (500, false), Undecided),
        ("jwt-assertion-replay", |seen| seen.control = Some(refusal()), Undecided),
        ("scope-scim-needed", |_| (), Pass),
        ("scope-scim-needed", |seen| seen.scopes[0].2 = Some(answer(200)), Broken),
        ("scope-scim-needed", |seen| seen.scopes[0].1.scope = Some("scim".into()), Undecided),
        (
            "scope-scim-needed",
            |seen| seen.scopes[0] = ("none".into(), TokenAnswer { scope: None, ..token() }, Some(answer(200))),
            Undecided,
        ),
        ("scope-scim-needed", |seen| seen.scopes[0] = ("openid".into(), refusal(), None), Pass),
        (
            "scope-scim-needed",
            |seen| (seen.scopes[0], seen.control) = ((String::from("openid"), refusal(), None), Some(refusal())),
            Undecided,
        ),
        ("scope-not-broader", |_| (), Pass),
        ("scope-not-broader", |seen| seen.other_api = Some(answer(200)), Broken),
        ("scope-not-broader", |seen| seen.other_api = Some(answer(502)), Undecided),
        ("scope-not-broader", |seen| seen.other_api = None, NotConfigured),
        ("as-metadata", |_| (), Pass),
        ("as-metadata", |seen| seen.metadata[0].body["issuer"] = json!("https://other.test"), Broken),
        ("as-metadata", |seen| seen.metadata[0] = answer(404), Broken),
        ("as-metadata", |seen| seen.metadata[0] = answer(502), Undecided),
        ("token-endpoint-claim", |_| (), Pass),
        ("token-endpoint-claim", |seen| seen.forms[0].1.token_endpoint = Some("https://other.test".into()), Broken),
        ("token-endpoint-claim", |seen| seen.forms[0].1.token_endpoint = None, Undecided),
    ];
    for (slug, change, wanted) in cases {
        let mut seen = app_as();
        change(&mut seen);
        assert_eq!(verdict(slug, &seen), *wanted, "{slug}");
    }
}

#[test]
fn what_the_application_makes_of_the_suites_tokens_is_judged() {
    type Change = fn(&mut Seen);
    let cases: &[(&str, Change, Verdict)] = &[
        ("token-accepted-from-idp", |_| (), Pass),
        ("token-accepted-from-idp", |seen| seen.own[0].1 = answer(401), Broken),
        ("token-accepted-from-idp", |seen| seen.own[1].1 = answer(200), Broken),
        ("token-accepted-from-idp", |seen| seen.own[1].1 = answer(503), Undecided),
        ("token-accepted-from-idp", |seen| seen.own[6].1 = answer(401), Broken),
        ("token-accepted-from-idp", |seen| seen.own[0].1 = answer(503), Undecided),
        ("scope-scim-needed", |_| (), Pass),
        ("scope-scim-needed", |seen| seen.own[3].1 = answer(200), Broken),
        ("scope-scim-needed", |seen| seen.own[5].1 = answer(401), Undecided),
        ("expired-token", |_| (), Pass),
        ("expired-token", |seen| seen.own[4].1 = answer(200), Broken),
        ("expired-token", |seen| seen.own[0].1 = answer(401), Undecided),
    ];
    for (slug, change, wanted) in cases {
        let mut seen = idp_as();
        change(&mut seen);
        assert_eq!(verdict(slug, &seen), *wanted, "{slug}");
    }
}

#[test]
fn every_bad_assertion_has_one_thing_wrong() {
    let key = crate::wire::jose::SigningKey::generate("es256", jsonwebtoken::Algorithm::ES256).unwrap();
    let all = forge::assertions(&key, "client", "https://as.test");
    assert_eq!(all.len(), 6);
    let jwks = json!({"keys": [key.jwk()]});
    let verifies =
        all.iter().filter(|(_, token)| crate::wire::jose::read(token).is_ok_and(|jws| jws.verify(&jwks).is_ok())).count();
    assert_eq!(verifies, 4, "the others are unsigned, or a stranger's");
}
