//! idp-probe/transport: TLS versions and suites by our own ClientHello, certificates, clear text, DNSSEC.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::counterpart::authorize::path_of;
use crate::counterpart::token::http_date;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::stage::cert::{CertReport, Trust};
use crate::stage::dns::{DnsKind, DnsReport};
use crate::stage::plain::{PlainAnswer, PlainReport, PlainRequest};
use crate::stage::raw::Probing;
use crate::stage::tls::TlsScan;
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::tls_suites::SuiteClass;

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

/// What one host and port showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HostSeen {
    /// Host name.
    pub host: String,
    /// Port of its endpoints.
    pub port: u16,
    /// Metadata members that stand on it.
    pub endpoints: Vec<String>,
    /// Browsers go there (authorization, end session).
    pub browser: bool,
    /// Only the back channel goes there, or also.
    pub back_channel: bool,
    /// The scan.
    pub tls: TlsScan,
    /// The certificate.
    pub cert: CertReport,
    /// Requests in clear: what was sent, what came.
    pub plain: Vec<(String, PlainSeen)>,
    /// DNSSEC.
    pub dns: DnsReport,
}

/// A request in clear, with what the judge needs of the body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlainSeen {
    /// Port.
    pub port: u16,
    /// The answer.
    pub report: PlainReport,
    /// The body is a JSON object with an `error` member, or an HTML form.
    pub processed: bool,
}

impl Scenario for Transport {
    type Seen = Seen;
    const ID: &'static str = "idp-probe/transport";
    const TITLE: &'static str = "probes TLS, certificates, clear text and DNSSEC of every endpoint";
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.plain-http-not-served", nothing_is_served_in_clear),
        Check::new("sl1.idp.tls12-minimum", old_tls_is_refused),
        Check::new("sl1.idp.tls12-ciphers-backchannel", only_recommended_suites_on_the_back_channel),
        Check::new("sl1.idp.tls12-ciphers-browser", no_forbidden_suite_for_browsers),
        Check::new("sl1.idp.tls-certificate-valid", every_certificate_is_valid),
        Check::new("sl1.idp.dnssec", every_zone_is_signed),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let world = &stage.world;
        let places = places(stage);
        if places.is_empty() {
            return Err(Obstacle::target("the metadata names no https endpoint", "See sl1.idp.discovery-published."));
        }
        let probing = Probing::new(&world.resolve, &world.recorder, stage.scenario);
        let trust = Trust::new(&world.roots).map_err(Obstacle::suite)?;
        let pairs: Vec<(String, u16)> = places.iter().map(|place| (place.0.clone(), place.1)).collect();
        let scans = probing.tls_scan_all(&pairs);
        let rest = futures_util::future::join_all(places.iter().map(|(host, port, endpoints)| {
            let (probing, trust) = (&probing, &trust);
            async move {
                let cert = probing.cert(host, *port, trust).await;
                let dns = probing.dns(host, world.target.network.resolver.as_deref()).await;
                let mut plain = Vec::new();
                for endpoint in endpoints {
                    for at in [world.target.network.http_port, *port] {
                        plain.push(in_clear(stage, probing, host, at, endpoint).await);
                    }
                }
                (cert, dns, plain)
            }
        }));
        let (scans, rest) = futures_util::future::join(scans, rest).await;
        let hosts = places
            .into_iter()
            .zip(scans)
            .zip(rest)
            .map(|(((host, port, endpoints), tls), (cert, dns, plain))| {
                let front = ["authorization_endpoint", "end_session_endpoint"];
                HostSeen {
                    browser: endpoints.iter().any(|(name, _)| front.contains(&name.as_str())),
                    back_channel: endpoints.iter().any(|(name, _)| !front.contains(&name.as_str())),
                    endpoints: endpoints.into_iter().map(|(name, _)| name).collect(),
                    host,
                    port,
                    tls,
                    cert,
                    plain,
                    dns,
                }
            })
            .collect();
        let date = world.discovery.reply.as_ref().and_then(|reply| http_date(reply.header("date")?));
        Ok(Seen { hosts, clock_off_s: date.map(|date| date - Timestamp::now().as_second()) })
    }
}

/// Host, port, and the metadata members that stand there with their URLs.
type Place = (String, u16, Vec<(String, String)>);

/// Hosts of the metadata with their endpoints. The issuer's host counts, because discovery is served there.
fn places(stage: &Stage) -> Vec<Place> {
    let mut out: Vec<Place> = Vec::new();
    let document = &stage.world.discovery.document;
    let members = document.as_object().into_iter().chain(document["mtls_endpoint_aliases"].as_object()).flatten();
    let urls = members
        .filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri")
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
        .chain([("issuer", stage.world.idp.issuer.as_str())]);
    for (name, url) in urls {
        let Ok(parsed) = Url::parse(url) else { continue };
        let (Some(host), Some(port)) = (parsed.host_str(), parsed.port_or_known_default()) else { continue };
        if parsed.scheme() != "https" {
            continue;
        }
        let entry = (name.to_owned(), url.to_owned());
        match out.iter_mut().find(|place| place.0 == host && place.1 == port) {
            Some(place) => place.2.push(entry),
            None => out.push((host.to_owned(), port, vec![entry])),
        }
    }
    out
}

async fn in_clear(
    stage: &Stage,
    probing: &Probing<'_>,
    host: &str,
    port: u16,
    endpoint: &(String, String),
) -> (String, PlainSeen) {
    let (name, url) = endpoint;
    let path = Url::parse(url).map(|url| url.path().to_owned()).unwrap_or_default();
    let client = stage.world.client("main").map_or("junk", |client| client.id.as_str());
    let (method, target, form) = match name.as_str() {
        "token_endpoint" | "pushed_authorization_request_endpoint" | "introspection_endpoint" | "revocation_endpoint" => {
            ("POST", path, format!("grant_type=authorization_code&code=junk&client_id={client}&client_secret=junk"))
        }
        "authorization_endpoint" => {
            let query = stage.request("main").map(|request| request.url("")).unwrap_or_default();
            ("GET", format!("{path}{query}"), String::new())
        }
        "issuer" => ("GET", format!("{}/.well-known/openid-configuration", path.trim_end_matches('/')), String::new()),
        _ => ("GET", path, String::new()),
    };
    let step = format!("{name} in clear on port {port}");
    let mut report = probing.plain(host, port, &PlainRequest { method, target: &target, form: &form }, &step).await;
    let processed = match &report.answer {
        PlainAnswer::Http { status, body, headers } => {
            let text = String::from_utf8_lossy(body);
            let json = headers.iter().any(|(name, value)| name == "content-type" && value.contains("json"));
            // The names of OAuth errors: a gateway's own JSON page has an `error` member, too.
            const ERRORS: [&str; 8] = [
                "invalid_request",
                "invalid_client",
                "invalid_grant",
                "unauthorized_client",
                "unsupported_grant_type",
                "invalid_scope",
                "invalid_token",
                "access_denied",
            ];
            let quoted = |name: &str| text.contains(&format!("\"{name}\""));
            let oauth =
                json && (ERRORS.iter().any(|name| quoted(name)) || (*status == 200 && (quoted("issuer") || quoted("keys"))));
            let challenged = headers.iter().any(|(name, _)| name == "www-authenticate") && *status == 401;
            oauth || (*status == 200 && text.contains("<form")) || (name == "userinfo_endpoint" && challenged)
        }
        _ => false,
    };
    // The judge looks at where a redirect leads; everything else of the head stays in the redacted evidence.
    if let PlainAnswer::Http { headers, .. } = &mut report.answer {
        headers.retain(|(name, _)| name == "location");
        for (_, location) in headers {
            *location = path_of(location).to_owned();
        }
    }
    (name.clone(), PlainSeen { port, report, processed })
}

fn nothing_is_served_in_clear(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let mut answered = false;
    for host in &seen.hosts {
        for (endpoint, plain) in &host.plain {
            let cite = std::slice::from_ref(&plain.report.exchange);
            let place = format!("{endpoint} at {}:{}", host.host, plain.port);
            answered |=
                plain.port != host.port && !matches!(plain.report.answer, PlainAnswer::Timeout | PlainAnswer::Unreachable(_));
            match &plain.report.answer {
                PlainAnswer::Http { status, .. } if plain.processed => {
                    found.broken(format!("{place} processes the request in clear (status {status})"), cite);
                }
                PlainAnswer::Http { status, .. } if (300..400).contains(status) => {
                    let location = plain.report.answer.header("location").unwrap_or_default();
                    let target = Url::parse(location).ok();
                    let same = target.as_ref().is_some_and(|url| url.scheme() == "https" && url.host_str() == Some(&host.host));
                    let relative = target.is_none();
                    if same {
                        found.saw(cite);
                    } else if relative || target.is_some_and(|url| url.scheme() != "https") {
                        found.broken(format!("{place} redirects to {location}, which is not https"), cite);
                    } else {
                        found.doubtful(format!("{place} redirects to another host: {location}"), cite);
                    }
                }
                PlainAnswer::Timeout => found.saw(cite),
                _ => found.saw(cite),
            }
        }
    }
    if seen.hosts.iter().all(|host| host.plain.is_empty()) {
        return Judgement::undecided("nothing was sent in clear");
    }
    if !answered {
        found.undecided("every connection timed out: a network between here and the target may filter the port", &[]);
    }
    found.conclude("no endpoint processes a request in clear")
}

fn old_tls_is_refused(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    for host in &seen.hosts {
        let place = format!("{}:{}", host.host, host.port);
        for (version, answer) in &host.tls.old_versions {
            let cite = std::slice::from_ref(&answer.exchange);
            if answer.accepted().is_some() && !answer.modern() {
                found.broken(format!("{place} takes {version}: {}", answer.describe()), cite);
            } else if !host.tls.controlled() {
                found.undecided(format!("{place}: the control with TLS 1.2 and 1.3 does not complete"), cite);
            } else if answer.refused() || answer.modern() {
                found.saw(cite);
            } else {
                found.undecided(format!("{place} neither takes nor refuses {version}: {}", answer.describe()), cite);
            }
        }
        if host.tls.old_versions.is_empty() {
            found.undecided(format!("{place}: nothing was offered, because the control failed"), &[]);
        }
    }
    if seen.hosts.is_empty() {
        Judgement::undecided("no host was probed")
    } else {
        found.conclude("SSL 3.0, TLS 1.0 and TLS 1.1 are refused everywhere")
    }
}

fn suites(seen: &Seen, of: impl Fn(&HostSeen) -> bool, broken: impl Fn(SuiteClass) -> Option<bool>, pass: &str) -> Judgement {
    let mut found = Findings::new();
    let mut hosts = 0;
    for host in seen.hosts.iter().filter(|host| of(host)) {
        hosts += 1;
        let shared = if host.browser && host.back_channel {
            " (browsers and back channel share this host: the stricter list holds)"
        } else {
            ""
        };
        for (suite, exchange) in &host.tls.suites12 {
            let cite = std::slice::from_ref(exchange);
            let what = format!("{}:{} takes {}{shared}", host.host, host.port, suite.name);
            match broken(suite.class) {
                Some(true) => found.broken(what, cite),
                Some(false) => found.doubtful(what, cite),
                None => found.saw(cite),
            }
        }
        if !host.tls.controlled() {
            found.undecided(format!("{}:{}: the control does not complete", host.host, host.port), &[]);
        } else if !host.tls.undecided.is_empty() {
            found.undecided(format!("{}:{}: the scan was cut", host.host, host.port), &host.tls.undecided);
        }
    }
    if hosts == 0 { Judgement::undecided("no such host was probed") } else { found.conclude(pass) }
}

fn only_recommended_suites_on_the_back_channel(seen: &Seen) -> Judgement {
    let verdict = |class| match class {
        SuiteClass::Recommended => None,
        // Sound, but not among the four of RFC 9325 4.2.
        SuiteClass::Strong => Some(false),
        _ => Some(true),
    };
    suites(seen, |host| host.back_channel, verdict, "TLS 1.2 takes only the four recommended suites, or is not offered")
}

fn no_forbidden_suite_for_browsers(seen: &Seen) -> Judgement {
    let verdict = |class| match class {
        SuiteClass::Recommended | SuiteClass::Strong => None,
        // RFC 9325 4.1 only advises against these.
        SuiteClass::EcdheCbc | SuiteClass::Dhe | SuiteClass::Other => Some(false),
        _ => Some(true),
    };
    suites(seen, |host| host.browser, verdict, "no forbidden suite and no static key exchange is taken")
}

fn every_certificate_is_valid(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let clock_wrong = seen.clock_off_s.is_some_and(|off| off.abs() > 300);
    for host in &seen.hosts {
        let (cert, cite) = (&host.cert, std::slice::from_ref(&host.cert.exchange));
        let place = format!("{}:{}", host.host, host.port);
        if let Some(cut) = &cert.cut {
            found.undecided(format!("{place}: no certificate arrived: {cut}"), cite);
        } else if cert.problems.is_empty() {
            found.saw(cite);
        } else if clock_wrong {
            found.undecided(format!("{place}: the suite's clock and the target's differ by more than five minutes"), cite);
        } else {
            let problems: Vec<String> = cert.problems.iter().map(ToString::to_string).collect();
            found.broken(format!("{place}: {} (it names {})", problems.join("; "), cert.names.join(", ")), cite);
        }
    }
    let private = seen.hosts.iter().any(|host| host.cert.verified() && !host.cert.public);
    let note = if private { "; some rest on the authority that the target file declares" } else { "" };
    if seen.hosts.is_empty() {
        Judgement::undecided("no host was probed")
    } else {
        found.conclude(format!("every chain verifies and names its host{note}"))
    }
}

fn every_zone_is_signed(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let hosts: BTreeSet<&str> = seen.hosts.iter().map(|host| host.host.as_str()).collect();
    for host in hosts {
        let Some(HostSeen { dns, .. }) = seen.hosts.iter().find(|known| known.host == host) else { continue };
        let cites: Vec<_> = dns.exchange.iter().cloned().collect();
        match &dns.kind {
            DnsKind::Answered { ad: true, .. } => found.saw(&cites),
            DnsKind::Answered { ad: false, rcode, found: true, cname_chain } if rcode == "No Error" => {
                let via = if cname_chain.is_empty() { String::new() } else { format!(" (by way of {})", cname_chain.join(", ")) };
                found.broken(format!("{host} is not signed, or its delegation is insecure{via}"), &cites);
            }
            DnsKind::Answered { rcode, .. } => found.undecided(format!("{host}: the resolver answers {rcode}"), &cites),
            DnsKind::ServfailButCdAnswers => {
                found.broken(format!("{host} does not validate: the resolver only answers unchecked"), &cites);
            }
            DnsKind::AddressLiteral => found.undecided(format!("{host} is an address"), &cites),
            DnsKind::PrivateName => found.undecided(format!("{host} is a private name"), &cites),
            DnsKind::NoResolver(why) => found.undecided(format!("no validating resolver: {why}"), &cites),
        }
    }
    if seen.hosts.is_empty() { Judgement::undecided("no host was probed") } else { found.conclude("every host validates") }
}

#[cfg(test)]
mod tests;
