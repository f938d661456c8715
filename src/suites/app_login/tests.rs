use super::checks::ALL;
use super::facts::{AssertionFacts, AuthzFacts, HelloFacts, KeyFacts, ProofFacts, TokenFacts, UserInfoFacts};
use super::*;
use crate::model::Call;
use crate::stage::oracle::Look;
use crate::stage::recorder::Place;
use crate::wire::entropy::estimate;
use crate::wire::jose::random;

fn request(number: usize) -> AuthzFacts {
    AuthzFacts {
        exchange: format!("x{number:04}"),
        response_type: Some("code".into()),
        scope: Some("openid profile".into()),
        client_id: Some("app".into()),
        redirect_uri: Some("https://app.test/callback".into()),
        challenge: Some(format!("challenge-{number}")),
        challenge_formed: true,
        method: Some("S256".into()),
        nonce: Some((format!("nonce-{number}"), 43)),
        max_age: Some("3600".into()),
        ..AuthzFacts::default()
    }
}

fn token(number: usize) -> TokenFacts {
    TokenFacts {
        exchange: format!("t{number:04}"),
        method: "POST".into(),
        media_type: "application/x-www-form-urlencoded".into(),
        grant_type: "authorization_code".into(),
        code: Some(format!("code-{number}")),
        delivered: true,
        same_redirect_uri: Some(true),
        auth: vec!["private_key_jwt".into()],
        auth_right: Some(true),
        verifier_len: Some(43),
        verifier_formed: true,
        verifier_fits: Some(true),
        proof: Some(ProofFacts { alg: "ES256".into(), problems: Vec::new() }),
        status: 200,
        ..TokenFacts::default()
    }
}

fn good() -> Seen {
    let random_values: Vec<String> = (0..8).map(|_| random(32)).collect();
    Seen {
        logins: vec![Attempt { answered: true, look: Look { signed_in: true, ..Look::default() }, ..Attempt::default() }],
        issuers: vec!["https://op.test".into(), "https://op.test/second".into()],
        client_ids: vec!["app".into()],
        authorizations: vec![request(1), request(2)],
        tokens: vec![token(1), token(2)],
        userinfo: vec![UserInfoFacts {
            exchange: "u1".into(),
            scheme: "DPoP".into(),
            bound: true,
            same_key: Some(true),
            proof: Some(ProofFacts { alg: "ES256".into(), problems: Vec::new() }),
            known: true,
            ..UserInfoFacts::default()
        }],
        assertions: (1..3)
            .map(|number| AssertionFacts {
                exchange: format!("t{number:04}"),
                alg: "ES256".into(),
                aud: "https://op.test".into(),
                iss_right: true,
                sub_right: true,
                jti: Some(format!("jti-{number}")),
                lifetime_s: Some(60),
                ..AssertionFacts::default()
            })
            .collect(),
        keys: vec![KeyFacts { kty: "EC".into(), bits: Some(256), place: "registered key".into(), ..KeyFacts::default() }],
        hellos: vec![HelloFacts::default()],
        verifiers: estimate(&random_values),
        cookies: CookieFacts {
            session: Some("sid".into()),
            candidates: vec!["sid".into()],
            values: estimate(&random_values),
            ..CookieFacts::default()
        },
        ..Seen::default()
    }
}

fn call(seen: &Seen, slug: &str) -> Call {
    let check = ALL.iter().find(|check| check.clause == format!("sl1.app.{slug}")).unwrap();
    (check.judge)(seen).call
}

#[test]
fn ordinary_logins_of_a_conforming_application_pass_everything() {
    let seen = good();
    for check in ALL {
        let judgement = (check.judge)(&seen);
        assert_eq!(judgement.call, Call::Pass, "{}: {}", check.clause, judgement.reason);
    }
}

#[test]
fn without_any_login_nothing_is_decided() {
    let nothing = Seen::default();
    for check in ALL {
        let call = (check.judge)(&nothing).call;
        assert_eq!(call, Call::Undecided, "{}", check.clause);
    }
}

#[test]
fn each_fault_is_seen_by_its_clause() {
    type Change = fn(&mut Seen);
    let faults: [(&str, Change); 24] = [
        ("discovery-used", |seen| seen.traps.push(("/token".into(), "x1".into()))),
        ("tls-client-ciphers", |seen| seen.hellos[0].beyond_recommended.push("TLS_RSA_WITH_AES_128_CBC_SHA".into())),
        ("redirect-uri-https", |seen| seen.authorizations[0].redirect_uri = Some("http://app.test/callback".into())),
        ("response-type-code", |seen| seen.authorizations[1].response_type = Some("code id_token".into())),
        ("authz-request-valid", |seen| seen.authorizations[1].scope = Some("profile".into())),
        ("authz-request-valid", |seen| seen.authorizations[1].max_age = Some("-1".into())),
        ("pkce-s256", |seen| seen.authorizations[1].method = None),
        ("pkce-unique", |seen| seen.authorizations[1].challenge = seen.authorizations[0].challenge.clone()),
        ("pkce-verifier-valid", |seen| seen.tokens[0].verifier_fits = Some(false)),
        ("pkce-verifier-valid", |seen| seen.verifiers = estimate(&["aaaa1", "aaaa2", "aaaa3", "aaaa4"])),
        ("nonce-sent", |seen| seen.authorizations[1].nonce = seen.authorizations[0].nonce.clone()),
        ("nonce-length", |seen| seen.authorizations[1].nonce = Some(("n".into(), 65))),
        ("max-age-sent", |seen| seen.authorizations[1].max_age = None),
        ("no-secrets-in-front-channel", |seen| seen.leaks.push(sighting("an access token", Place::Url))),
        ("code-used-once", |seen| {
            seen.tokens.push(TokenFacts { status: 400, ..seen.tokens[0].clone() });
        }),
        ("token-request-valid", |seen| seen.tokens[0].auth.push("client_secret_post".into())),
        ("assertion-aud-issuer", |seen| seen.assertions[0].aud = serde_json::json!(["https://op.test"])),
        ("assertion-fresh", |seen| seen.assertions[1].jti = seen.assertions[0].jti.clone()),
        ("jwt-alg", |seen| seen.assertions[1].alg = "RS256".into()),
        ("key-strength", |seen| seen.keys[0] = KeyFacts { kty: "RSA".into(), bits: Some(1024), ..KeyFacts::default() }),
        ("dpop-token-request", |seen| seen.tokens[0].proof = None),
        ("dpop-userinfo", |seen| seen.userinfo[0].scheme = "Bearer".into()),
        ("access-token-in-header", |seen| seen.userinfo[0].misplaced.push("query".into())),
        ("access-token-identity-only", |seen| seen.leaks.push(sighting("an access token", Place::Page))),
    ];
    for (slug, change) in faults {
        let mut seen = good();
        change(&mut seen);
        assert_eq!(call(&seen, slug), Call::Broken, "{slug}");
    }
}

fn sighting(what: &str, place: Place) -> Sighting {
    Sighting { what: what.into(), place, target: "https://app.test/next".into(), own: false, exchange: "x9".into() }
}

#[test]
fn cookies_that_repeat_or_stay_are_told_and_an_unknown_session_cookie_may_not_decide() {
    let mut seen = good();
    seen.cookies.values = estimate(&["same"; 8]);
    assert_eq!(call(&seen, "session-cookie-entropy"), Call::Broken);
    seen.cookies.fixed.push("x3".into());
    assert_eq!(call(&seen, "session-cookie-flags"), Call::Broken);
    seen.cookies.session = None;
    assert_eq!(call(&seen, "session-cookie-entropy"), Call::Undecided);
    assert_eq!(call(&seen, "session-cookie-flags"), Call::Undecided);
}

#[test]
fn what_the_application_does_not_do_is_not_applicable() {
    let mut seen = good();
    seen.assertions.clear();
    seen.userinfo.clear();
    for slug in ["assertion-aud-issuer", "assertion-fresh", "dpop-token-request", "dpop-userinfo", "access-token-in-header"] {
        assert_eq!(call(&seen, slug), Call::NotApplicable, "{slug}");
    }
    seen.authorizations.iter_mut().for_each(|request| request.nonce = None);
    assert_eq!(call(&seen, "nonce-length"), Call::NotApplicable);
    assert_eq!(call(&seen, "nonce-sent"), Call::Broken);
}

#[test]
fn codes_that_a_scenario_injected_do_not_blame_the_application() {
    let mut seen = good();
    seen.tokens.push(TokenFacts { delivered: false, verifier_fits: Some(false), status: 400, ..token(3) });
    assert_eq!(call(&seen, "pkce-verifier-valid"), Call::Pass);
    assert_eq!(call(&seen, "code-used-once"), Call::Pass);
}

#[test]
fn a_logout_hint_is_no_leak() {
    let mut seen = good();
    seen.leaks.push(Sighting { target: "https://op.test/x/sign-out".into(), ..sighting("an ID token", Place::Location) });
    assert_eq!(call(&seen, "no-secrets-in-front-channel"), Call::Pass);
}

#[test]
fn traffic_that_was_not_searched_proves_nothing() {
    let mut seen = good();
    seen.overheard_cut = true;
    for slug in ["no-secrets-in-front-channel", "access-token-identity-only"] {
        assert_eq!(call(&seen, slug), Call::Undecided, "{slug}");
    }
    seen.leaks.push(sighting("an access token", Place::Url));
    assert_eq!(call(&seen, "no-secrets-in-front-channel"), Call::Broken);
}
