use super::*;
use crate::model::Call::{Broken, Pass, Undecided};
use crate::suites::network::tests::good;

const ISSUER: &str = "https://op.suite.test";

fn asked(name: &str) -> Asked {
    Asked { name: name.into(), url: "https://app.test/x?a=1".into(), host: "app.test".into(), port: 80 }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> PlainAnswer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    PlainAnswer::Http { status, headers, body: body.into() }
}

fn done(name: &str, answer: &PlainAnswer) -> bool {
    matches!(work(&asked(name), answer, ISSUER, "app.session"), Work::Done(_))
}

#[test]
fn a_sound_application_passes_and_nothing_seen_decides_nothing() {
    let hsts = HstsSeen { host: "app.test".into(), answers: vec![(Some("max-age=1".into()), "x1".into())], preloaded: None };
    let sound = Seen { hosts: vec![good()], hsts: vec![hsts], ..Seen::default() };
    for check in Probe::CHECKS {
        assert_eq!((check.judge)(&sound).call, Pass, "{}", check.clause);
        assert_eq!((check.judge)(&Seen::default()).call, Undecided, "{}", check.clause);
    }
}

#[test]
fn a_redirect_to_tls_is_no_work_and_one_to_the_provider_is() {
    let to = |location: &str| answer(302, &[("location", location)], "");
    assert_eq!(work(&asked("start_url"), &to("https://app.test/x?client_id=a&response_type=code"), ISSUER, ""), Work::None);
    assert!(done("initiate_login_uri", &to("https://op.suite.test/s/authorize?client_id=a")));
    assert!(done("start_url", &to("https://sso.other.test/authorize?client_id=a&response_type=code")));
    assert!(!done("start_url", &to("/login")), "a relative redirect is judged as a redirect");
}

#[test]
fn a_provider_on_the_same_host_name_is_told_by_its_port() {
    let asked = Asked { host: "localhost".into(), ..asked("start_url") };
    let to = |location: &str| answer(302, &[("location", location)], "");
    let issuer = "https://localhost:9443";
    assert!(matches!(work(&asked, &to("https://localhost:9443/s?client_id=a"), issuer, ""), Work::Done(_)));
    assert_eq!(work(&asked, &to("https://localhost:3000/"), issuer, ""), Work::None);
}

#[test]
fn protocol_answers_and_session_cookies_in_clear_are_work() {
    let json = [("content-type", "application/json")];
    assert!(done("backchannel_logout_uri", &answer(400, &json, r#"{"error":"invalid_request"}"#)));
    assert!(!done("backchannel_logout_uri", &answer(404, &json, r#"{"error":"Not Found"}"#)));
    assert!(done("revocation_endpoint", &answer(401, &[("www-authenticate", "Bearer realm=x")], "")));
    assert!(!done("start_url", &answer(401, &[("www-authenticate", "Basic realm=x")], "")));
    assert!(done("start_url", &answer(200, &[("set-cookie", "connect.sid=a; Path=/; HttpOnly")], "")));
    assert!(!done("start_url", &answer(200, &[("set-cookie", "connect.sid=a; Path=/; Secure")], "")));
    let tls = ("location", "https://app.test/x");
    assert!(!done("start_url", &answer(301, &[tls, ("set-cookie", "AWSALBSESSION=a; Path=/")], "")), "a load balancer's own");
    assert!(done("start_url", &answer(301, &[tls, ("set-cookie", "App.Session=a; Path=/")], "")), "declared");
}

#[test]
fn a_page_in_clear_is_a_doubt_and_an_error_page_is_none() {
    assert!(matches!(work(&asked("start_url"), &answer(200, &[], "It works"), ISSUER, ""), Work::Doubtful(_)));
    assert_eq!(work(&asked("start_url"), &answer(400, &[], "plain HTTP sent to HTTPS port"), ISSUER, ""), Work::None);
    assert_eq!(work(&asked("start_url"), &PlainAnswer::Refused, ISSUER, ""), Work::None);
    let page = r#"<form action="https://op.suite.test/s"><input name=response_type>"#;
    assert!(done("initiate_login_uri", &answer(200, &[], page)));
}

#[test]
fn every_endpoint_is_asked_for_what_it_is_there_for() {
    let sent = |name: &str| clear_request(&asked(name), ISSUER);
    assert_eq!(sent("start_url").target, "/x?a=1");
    assert_eq!(sent("redirect_uri").target, "/x?a=1&code=junk&state=junk&iss=https%3A%2F%2Fop.suite.test");
    assert_eq!(sent("backchannel_logout_uri").form, "logout_token=junk");
    let app =
        App { protected_url: "https://app.test/p".into(), redirect_uris: vec!["https://app.test/cb".into()], ..App::default() };
    let commands = Commands { command_endpoint: "http://api.app.test/commands".into(), ..Commands::default() };
    let all = endpoints(&app, &commands);
    assert_eq!(all.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["start_url", "redirect_uri", "command_endpoint"]);
    assert_eq!(http_only(all[2].0, all[2].1).map(|asked| asked.port), Some(80));
    assert!(http_only(all[0].0, all[0].1).is_none());
}

#[test]
fn every_host_for_browsers_needs_hsts() {
    let host = |name: &str, value: Option<&str>| HstsSeen {
        host: name.into(),
        answers: vec![(None, "x1".into()), (value.map(str::to_owned), "x2".into())],
        preloaded: None,
    };
    let judged = |hosts: Vec<HstsSeen>| clear_text_cannot_be_forced(&Seen { hsts: hosts, ..Seen::default() });
    assert_eq!(judged(vec![host("a", Some("max-age=300")), host("b", Some("max-age=\"1\""))]).call, Pass);
    let one = judged(vec![host("a", Some("max-age=300")), host("b", None)]);
    assert_eq!((one.call, one.reason.starts_with("b: ")), (Broken, true));
    assert_eq!(judged(vec![host("a", Some("max-age=0"))]).call, Broken);
    assert_eq!(judged(vec![HstsSeen { host: "a".into(), ..HstsSeen::default() }]).call, Undecided);
}
