use serde_json::json;

use super::super::{AccessSeen, HopSeen, UserInfoSeen};
use super::*;
use crate::model::Call::{self, Broken, Doubtful, NotApplicable, Pass, Undecided};
use crate::suites::blocks::examples::{authz, id_token, token};
use crate::wire::seen::IdTokenSeen;

fn good() -> Seen {
    let claims = json!({"sub": "u1", "nonce": "n", "iat": 1000, "auth_time": 995, "acr": "mfa-class", "amr": ["pwd", "otp"]});
    let id_token = IdTokenSeen { login: "typed".into(), nonce: Some("n".into()), ..id_token(claims) };
    let hop = |method: &str, status, page, to_suite, credentials| HopSeen {
        method: method.into(),
        at: "https://op/login".into(),
        status,
        page,
        to_suite,
        credentials,
        frame_ancestors: page.then(|| "'none'".into()),
        cite: "x1".into(),
        ..HopSeen::default()
    };
    let mut response = authz(Outcome::Code);
    response.response_mode = "query".into();
    Seen {
        issuer: "https://op".into(),
        authz: response,
        hops: vec![hop("GET", 200, true, false, false), hop("POST", 303, false, true, true)],
        arrived_by: "GET".into(),
        credentials_arrived: false,
        typed: vec!["password".into(), "one-time code".into()],
        token: Some(token(200, &["access_token", "id_token"])),
        id_token: Some(id_token),
        access: Some(AccessSeen { cite: vec!["x3".into()], ..AccessSeen::default() }),
        userinfo: Some(UserInfoSeen { status: 200, sub: Some("u1".into()), ..UserInfoSeen::default() }),
        userinfo_advertised: true,
        acr_mfa: vec!["mfa-class".into()],
        attribute_contract: Vec::new(),
    }
}

fn call(seen: &Seen, slug: &str) -> Call {
    (ALL.iter().find(|check| check.clause.ends_with(slug)).unwrap().judge)(seen).call
}

fn with_claim(name: &str, value: serde_json::Value) -> Seen {
    let mut seen = good();
    seen.id_token.as_mut().unwrap().claims.insert(name.into(), value);
    seen
}

#[test]
fn a_conforming_login_passes_and_leaves_the_access_token_to_a_statement() {
    for check in ALL {
        let expected = if check.clause.ends_with("access-token-identity-only") { Undecided } else { Pass };
        let judgement = (check.judge)(&good());
        assert_eq!(judgement.call, expected, "{}: {}", check.clause, judgement.reason);
    }
}

#[test]
fn without_tokens_nothing_about_tokens_is_decided() {
    let seen = Seen { token: None, id_token: None, access: None, userinfo: None, ..good() };
    for slug in [
        "nonce-64",
        "token-response-no-store",
        "access-token-identity-only",
        "userinfo-sub-equal",
        "auth-time",
        "attribute-minimisation",
        "mfa-reported",
    ] {
        assert_eq!(call(&seen, slug), Undecided, "{slug}");
    }
    assert_eq!(call(&Seen { userinfo_advertised: false, ..good() }, "userinfo-sub-equal"), NotApplicable);
}

#[test]
fn an_error_response_after_a_completed_login_fails() {
    assert_eq!(call(&Seen { authz: authz(Outcome::Error), ..good() }, "response-type-code"), Broken);
    let mut seen = good();
    seen.authz.state_kept = Some(false);
    assert_eq!(call(&seen, "response-type-code"), Broken);
    assert_eq!(call(&Seen { token: None, ..good() }, "response-type-code"), Undecided);
}

#[test]
fn iss_is_present_once_and_identical() {
    for (iss, expected) in
        [(vec![], Broken), (vec!["https://op/"], Broken), (vec!["https://op", "https://op"], Broken), (vec!["https://op"], Pass)]
    {
        let mut seen = good();
        seen.authz.iss = iss.iter().map(|iss| (*iss).to_owned()).collect();
        assert_eq!(call(&seen, "iss-in-response"), expected, "{iss:?}");
    }
    let mut none = good();
    none.authz.response_mode = String::new();
    assert_eq!(call(&none, "iss-in-response"), Undecided);
}

#[test]
fn a_307_that_repeats_credentials_fails_and_a_302_warns() {
    let with = |status| {
        let mut seen = good();
        seen.hops[1].status = status;
        seen
    };
    assert_eq!(call(&with(307), "no-307"), Broken);
    assert_eq!(call(&with(308), "no-307"), Broken);
    assert_eq!(call(&with(302), "no-307"), Pass);
    assert_eq!(call(&with(302), "redirect-303"), Broken);
    assert_eq!(call(&Seen { hops: Vec::new(), ..good() }, "no-307"), Undecided);
    assert_eq!(call(&Seen { hops: Vec::new(), ..good() }, "redirect-303"), Undecided);
}

#[test]
fn a_page_without_either_header_can_be_framed() {
    let mut seen = good();
    seen.hops[0].frame_ancestors = None;
    assert_eq!(call(&seen, "clickjacking-protection"), Broken);
    seen.hops[0].x_frame_options = Some("SAMEORIGIN".into());
    assert_eq!(call(&seen, "clickjacking-protection"), Pass);
    // frame-ancestors wins.
    seen.hops[0].frame_ancestors = Some("*".into());
    assert_eq!(call(&seen, "clickjacking-protection"), Broken);
    assert_eq!(call(&Seen { hops: Vec::new(), ..good() }, "clickjacking-protection"), Undecided);
}

#[test]
fn a_cut_nonce_fails() {
    assert_eq!(call(&with_claim("nonce", json!("")), "nonce-64"), Broken);
}

#[test]
fn a_cacheable_token_response_fails() {
    let mut seen = good();
    seen.token.as_mut().unwrap().cache_control = Some("private".into());
    assert_eq!(call(&seen, "token-response-no-store"), Broken);
}

#[test]
fn a_foreign_audience_or_scope_of_the_access_token_fails() {
    let with = |audience: &str, scope: &str| {
        let access = AccessSeen { jwt: true, audiences: vec![audience.into()], scopes: vec![scope.into()], cite: Vec::new() };
        call(&Seen { access: Some(access), ..good() }, "access-token-identity-only")
    };
    assert_eq!(with("https://api.example", "openid"), Broken);
    assert_eq!(with("https://op", "crm.write"), Broken);
    assert_eq!(with("https://op", "openid"), Undecided);
}

#[test]
fn another_sub_at_userinfo_fails() {
    let with = |status, sub: Option<&str>| {
        let info = UserInfoSeen { status, sub: sub.map(str::to_owned), ..UserInfoSeen::default() };
        call(&Seen { userinfo: Some(info), ..good() }, "userinfo-sub-equal")
    };
    assert_eq!(with(200, Some("u2")), Broken);
    assert_eq!(with(401, None), Broken);
    assert_eq!(with(0, None), Undecided);
}

#[test]
fn auth_time_is_a_number_of_seconds_within_the_login() {
    for (value, expected) in [
        (json!(null), Broken),
        (json!("995"), Broken),
        (json!(995_000_000_000_u64), Broken),
        (json!(1100), Broken),
        (json!(100), Doubtful),
        (json!(995.5), Pass),
    ] {
        assert_eq!(call(&with_claim("auth_time", value.clone()), "auth-time"), expected, "{value}");
    }
}

#[test]
fn attributes_fail_unless_the_contract_lists_them() {
    let mut seen = good();
    seen.id_token.as_mut().unwrap().attributes = vec!["email".into()];
    assert_eq!(call(&seen, "attribute-minimisation"), Broken);
    seen.attribute_contract = vec!["email".into()];
    assert_eq!(call(&seen, "attribute-minimisation"), Undecided);
}

#[test]
fn the_report_of_several_factors_is_read_from_acr_and_amr() {
    assert_eq!(call(&with_claim("amr", json!(["pwd"])), "mfa-reported"), Broken);
    assert_eq!(call(&with_claim("amr", json!(["hwk"])), "mfa-reported"), Undecided);
    assert_eq!(call(&with_claim("acr", json!("low")), "mfa-reported"), Broken);
    assert_eq!(call(&with_claim("amr", json!(["hwk", "user"])), "mfa-reported"), Pass);
    assert_eq!(call(&Seen { typed: vec!["password".into()], ..good() }, "mfa-reported"), Undecided);
    assert_eq!(call(&Seen { acr_mfa: Vec::new(), ..with_claim("amr", json!(["sms"])) }, "mfa-reported"), Broken);
}
