//! idp-probe/transport: TLS versions and suites by our own ClientHello, certificates, clear text, DNSSEC.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::model::Judgement;
use crate::stage::Stage;
use crate::stage::plain::PlainAnswer;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::network::{self, Asked, ClearRequest, HostSeen, PlainSeen, Work, clock_off, judge, protocol_json};

/// Looks at the network layer of every endpoint.
pub struct Transport;

/// What was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// One per host and port.
    pub hosts: Vec<HostSeen>,
    /// Seconds between the target's `Date` and the suite's clock.
    pub clock_off_s: Option<i64>,
}

impl Scenario for Transport {
    type Seen = Seen;
    const ID: &'static str = "idp-probe/transport";
    const TITLE: &'static str = "probes TLS, certificates, clear text and DNSSEC of every endpoint";
    // The login pages may stand on other hosts.
    const AFTER: &'static [&'static str] = &["idp-login"];
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.plain-http-not-served", nothing_is_served_in_clear),
        Check::new("sl1.idp.tls12-minimum", old_tls_is_refused),
        Check::new("sl1.idp.tls12-ciphers-backchannel", only_recommended_suites_on_the_back_channel),
        Check::new("sl1.idp.tls12-ciphers-browser", no_forbidden_suite_for_browsers),
        Check::new("sl1.idp.tls-certificate-valid", every_certificate_is_valid),
        Check::new("sl1.idp.dnssec", every_zone_is_signed),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let pages = login_pages(stage);
        let places = network::places(endpoints(stage).chain(pages.iter().map(|page| (PAGE, page.as_str()))));
        if places.is_empty() {
            return Err(Obstacle::target("the metadata names no https endpoint", "See sl1.idp.discovery-published."));
        }
        let browser = |name: &str| ["authorization_endpoint", "end_session_endpoint", PAGE].contains(&name);
        let hosts = network::look(stage, places, browser, |asked| in_clear(stage, asked)).await?;
        Ok(Seen { hosts, clock_off_s: stage.world.discovery.reply.as_ref().and_then(clock_off) })
    }
}

/// How a page of the login is called, in place of an endpoint.
const PAGE: &str = "login page";

/// One page of every host that the first login led over: it may be none of the endpoints'.
fn login_pages(stage: &Stage) -> Vec<String> {
    let Some(Ok(main)) = stage.world.main.get() else { return Vec::new() };
    let mut hosts = BTreeSet::new();
    let theirs = |page: &&String| {
        let host = Url::parse(page).ok().and_then(|url| url.host_str().map(str::to_owned));
        host.is_some_and(|host| !stage.is_suite_host(&host) && hosts.insert(host))
    };
    main.pages.iter().filter(theirs).cloned().collect()
}

/// Endpoints of the metadata. The issuer's host counts, because discovery is served there.
fn endpoints(stage: &Stage) -> impl Iterator<Item = (&str, &str)> {
    let document = &stage.world.discovery.document;
    let members = document.as_object().into_iter().chain(document["mtls_endpoint_aliases"].as_object()).flatten();
    members
        .filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri")
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
        .chain([("issuer", stage.world.idp.issuer.as_str())])
}

async fn in_clear(stage: &Stage, asked: Asked) -> PlainSeen {
    let path = asked.path();
    let client = stage.world.client("main").map_or("junk", |client| client.id.as_str());
    let get = |target: String| ClearRequest { target, form: String::new() };
    let request = match asked.name.as_str() {
        "token_endpoint" | "pushed_authorization_request_endpoint" | "introspection_endpoint" | "revocation_endpoint" => {
            let form = format!("grant_type=authorization_code&code=junk&client_id={client}&client_secret=junk");
            ClearRequest { target: path, form }
        }
        "authorization_endpoint" => {
            let query = stage.request("main").map(|request| request.url("")).unwrap_or_default();
            get(format!("{path}{query}"))
        }
        "issuer" => get(format!("{}/.well-known/openid-configuration", path.trim_end_matches('/'))),
        _ => get(path),
    };
    asked
        .send(stage, &request, |answer| {
            if processed(&asked.name, answer) {
                Work::Done(String::new())
            } else if asked.name == "authorization_endpoint" && is_page(answer) {
                Work::Doubtful(
                    "it answers the authorization request with a page, which may be that of a load balancer".to_owned(),
                )
            } else {
                Work::None
            }
        })
        .await
}

/// A success with HTML: a login page may be a script that makes its form itself.
fn is_page(answer: &PlainAnswer) -> bool {
    let PlainAnswer::Http { status: 200, headers, .. } = answer else { return false };
    headers.iter().any(|(name, value)| name == "content-type" && value.contains("html"))
}

/// The endpoint did its work: a JSON answer of the protocol, a form, a challenge.
fn processed(name: &str, answer: &PlainAnswer) -> bool {
    let PlainAnswer::Http { status, body, headers } = answer else { return false };
    let challenged = headers.iter().any(|(name, _)| name == "www-authenticate") && *status == 401;
    protocol_json(answer, &["issuer", "keys"])
        || (*status == 200 && String::from_utf8_lossy(body).contains("<form"))
        || (name == "userinfo_endpoint" && challenged)
}

fn nothing_is_served_in_clear(seen: &Seen) -> Judgement {
    judge::nothing_is_served_in_clear(&seen.hosts, &[])
}

fn old_tls_is_refused(seen: &Seen) -> Judgement {
    judge::old_tls_is_refused(&seen.hosts)
}

fn only_recommended_suites_on_the_back_channel(seen: &Seen) -> Judgement {
    judge::only_recommended_suites_on_the_back_channel(&seen.hosts)
}

fn no_forbidden_suite_for_browsers(seen: &Seen) -> Judgement {
    judge::no_forbidden_suite_for_browsers(&seen.hosts)
}

fn every_certificate_is_valid(seen: &Seen) -> Judgement {
    judge::every_certificate_is_valid(&seen.hosts, seen.clock_off_s)
}

fn every_zone_is_signed(seen: &Seen) -> Judgement {
    judge::every_zone_is_signed(&seen.hosts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call::{Pass, Undecided};
    use crate::suites::network::tests::good;

    #[test]
    fn a_sound_host_passes_and_none_decides_nothing() {
        for check in Transport::CHECKS {
            let seen = Seen { hosts: vec![good()], clock_off_s: Some(0) };
            assert_eq!((check.judge)(&seen).call, Pass, "{}", check.clause);
            assert_eq!((check.judge)(&Seen::default()).call, Undecided, "{}", check.clause);
        }
    }

    #[test]
    fn a_gateways_own_page_is_no_work_of_the_endpoint() {
        let answer = |status: u16, kind: &str, body: &str| PlainAnswer::Http {
            status,
            headers: vec![("content-type".into(), kind.into())],
            body: body.into(),
        };
        assert!(processed("token_endpoint", &answer(400, "application/json", r#"{"error":"invalid_grant"}"#)));
        assert!(processed("issuer", &answer(200, "application/json", r#"{"issuer":"https://op"}"#)));
        assert!(processed("authorization_endpoint", &answer(200, "text/html", "<form>")));
        assert!(!processed("token_endpoint", &answer(403, "application/json", r#"{"error":"Forbidden"}"#)));
        assert!(!processed("issuer", &answer(404, "text/html", "<form>")));
        // A login page of scripts has no form, but is one perhaps.
        let scripts = answer(200, "text/html; charset=utf-8", "<div id=root></div><script src=a.js></script>");
        assert!(!processed("authorization_endpoint", &scripts) && is_page(&scripts));
        assert!(!is_page(&answer(301, "text/html", "")) && !is_page(&answer(200, "application/json", "{}")));
    }
}
