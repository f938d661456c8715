//! What the checks of the network layer say of what was seen.

use std::collections::BTreeSet;

use url::Url;

use super::{HostSeen, PlainSeen};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::dns::DnsKind;
use crate::stage::plain::PlainAnswer;
use crate::wire::tls_suites::SuiteClass;

/// Requests in clear are refused, or led to TLS on the same host. `unencrypted` are endpoints (with their URL) that are http URLs.
pub fn nothing_is_served_in_clear(hosts: &[HostSeen], unencrypted: &[(String, PlainSeen)]) -> Judgement {
    let mut found = Findings::new();
    let mut answered = false;
    for host in hosts {
        for (endpoint, plain) in &host.plain {
            let cite = std::slice::from_ref(&plain.report.exchange);
            let place = format!("{endpoint} at {}:{}", host.host, plain.port);
            answered |=
                plain.port != host.port && !matches!(plain.report.answer, PlainAnswer::Timeout | PlainAnswer::Unreachable(_));
            match &plain.report.answer {
                PlainAnswer::Http { status, .. } if plain.processed => {
                    let what = plain.what.as_ref().map(|what| format!(": {what}")).unwrap_or_default();
                    found.broken(format!("{place} processes the request in clear (status {status}){what}"), cite);
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
                _ => match &plain.what {
                    Some(doubt) => found.doubtful(format!("{place}: {doubt}"), cite),
                    None => found.saw(cite),
                },
            }
        }
    }
    for (endpoint, plain) in unencrypted {
        let cite = std::slice::from_ref(&plain.report.exchange);
        match &plain.report.answer {
            PlainAnswer::Http { status, .. } => {
                let to = plain.report.answer.header("location").unwrap_or_default();
                if (300..400).contains(status) && to.starts_with("https://") && !plain.processed {
                    found.doubtful(format!("{endpoint} is an http URL; it leads to {to}"), cite);
                } else {
                    let what = plain.what.as_ref().map(|what| format!(": {what}")).unwrap_or_default();
                    found.broken(format!("{endpoint} is an http URL and answers in clear with status {status}{what}"), cite);
                }
                answered = true;
            }
            _ => found.undecided(format!("{endpoint} is an http URL and did not answer"), cite),
        }
    }
    if unencrypted.is_empty() && hosts.iter().all(|host| host.plain.is_empty()) {
        return Judgement::undecided("nothing was sent in clear");
    }
    if !answered {
        found.undecided("every connection timed out: a network between here and the target may filter the port", &[]);
    }
    found.conclude("no endpoint processes a request in clear")
}

/// SSL 3.0 to TLS 1.1 are refused, and the controls succeed.
pub fn old_tls_is_refused(hosts: &[HostSeen]) -> Judgement {
    let mut found = Findings::new();
    for host in hosts {
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
    if hosts.is_empty() {
        Judgement::undecided("no host was probed")
    } else {
        found.conclude("SSL 3.0, TLS 1.0 and TLS 1.1 are refused everywhere")
    }
}

/// `broken` says of a suite that was taken: `Some(true)` for a finding, `Some(false)` for a doubt, `None` for nothing.
fn suites(
    found: &mut Findings,
    hosts: &[HostSeen],
    of: impl Fn(&HostSeen) -> bool,
    broken: impl Fn(SuiteClass) -> Option<bool>,
) -> usize {
    let mut probed = 0;
    for host in hosts.iter().filter(|host| of(host)) {
        probed += 1;
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
    probed
}

/// What the strict list says of a suite: only the four of RFC 9325 4.2.
pub fn strictly(class: SuiteClass) -> Option<bool> {
    match class {
        SuiteClass::Recommended => None,
        // Sound, but not among the four of RFC 9325 4.2.
        SuiteClass::Strong => Some(false),
        _ => Some(true),
    }
}

/// What the list for browsers says of a suite.
pub fn for_browsers(class: SuiteClass) -> Option<bool> {
    match class {
        SuiteClass::Recommended | SuiteClass::Strong => None,
        // RFC 9325 4.1 only advises against these.
        SuiteClass::EcdheCbc | SuiteClass::Dhe | SuiteClass::Other => Some(false),
        _ => Some(true),
    }
}

/// Hosts of the back channel take the recommended suites only.
pub fn only_recommended_suites_on_the_back_channel(hosts: &[HostSeen]) -> Judgement {
    let mut found = Findings::new();
    match suites(&mut found, hosts, |host| host.back_channel, strictly) {
        0 => Judgement::undecided("no such host was probed"),
        _ => found.conclude("TLS 1.2 takes only the four recommended suites, or is not offered"),
    }
}

/// Hosts that browsers go to take no forbidden suite.
pub fn no_forbidden_suite_for_browsers(hosts: &[HostSeen]) -> Judgement {
    let mut found = Findings::new();
    match suites(&mut found, hosts, |host| host.browser, for_browsers) {
        0 => Judgement::undecided("no such host was probed"),
        _ => found.conclude("no forbidden suite and no static key exchange is taken"),
    }
}

/// Both at once: the strict list where the back channel goes, the other one elsewhere.
pub fn suites_fit_their_use(hosts: &[HostSeen]) -> Judgement {
    let mut found = Findings::new();
    let strict = suites(&mut found, hosts, |host| host.back_channel, strictly);
    let other = suites(&mut found, hosts, |host| !host.back_channel, for_browsers);
    match strict + other {
        0 => Judgement::undecided("no host was probed"),
        _ => found.conclude("no suite outside the list for its use is taken"),
    }
}

/// Every chain verifies and names its host; `clock_off_s` are the seconds between the target's clock and the suite's.
pub fn every_certificate_is_valid(hosts: &[HostSeen], clock_off_s: Option<i64>) -> Judgement {
    let mut found = Findings::new();
    let clock_wrong = clock_off_s.is_some_and(|off| off.abs() > 300);
    for host in hosts {
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
    let private = hosts.iter().any(|host| host.cert.verified() && !host.cert.public);
    let note = if private { "; some rest on the authority that the target file declares" } else { "" };
    if hosts.is_empty() {
        Judgement::undecided("no host was probed")
    } else {
        found.conclude(format!("every chain verifies and names its host{note}"))
    }
}

/// Every host's zone validates.
pub fn every_zone_is_signed(hosts: &[HostSeen]) -> Judgement {
    let mut found = Findings::new();
    let names: BTreeSet<&str> = hosts.iter().map(|host| host.host.as_str()).collect();
    for host in names {
        let Some(HostSeen { dns, .. }) = hosts.iter().find(|known| known.host == host) else { continue };
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
    if hosts.is_empty() { Judgement::undecided("no host was probed") } else { found.conclude("every host validates") }
}
