use super::judge::*;
use super::*;
use crate::model::Call::{Broken, Doubtful, Pass, Undecided};
use crate::stage::cert::CertProblem;
use crate::stage::dns::DnsKind;
use crate::stage::tls::TlsAnswer;
use crate::wire::tls_answer::Answer;
use crate::wire::tls_hello::Version;
use crate::wire::tls_suites::Suite;

fn hello(version: Version) -> TlsAnswer {
    TlsAnswer { answer: Answer::ServerHello { version, suite: 0xc02f }, cut: None, exchange: "x1".into() }
}

fn refused() -> TlsAnswer {
    TlsAnswer { answer: Answer::Alert { level: 2, description: 70 }, cut: None, exchange: "x2".into() }
}

/// A host without fault, for browsers and back channel.
pub fn good() -> HostSeen {
    let dns = DnsReport {
        host: "op".into(),
        kind: DnsKind::Answered { ad: true, rcode: "No Error".into(), found: true, cname_chain: Vec::new() },
        exchange: Some("x5".into()),
    };
    let plain = PlainSeen {
        port: 80,
        report: PlainReport { answer: PlainAnswer::Refused, exchange: "x4".into() },
        processed: false,
        what: None,
    };
    HostSeen {
        host: "op".into(),
        port: 443,
        endpoints: Vec::new(),
        browser: true,
        back_channel: true,
        tls: TlsScan {
            host: "op".into(),
            port: 443,
            control12: hello(Version::Tls12),
            control13: hello(Version::Tls13),
            control_after: Some(hello(Version::Tls13)),
            old_versions: vec![(Version::Tls11, refused())],
            suites12: vec![(Suite::of(0xc02f), "x3".into())],
            undecided: Vec::new(),
        },
        cert: CertReport {
            host: "op".into(),
            port: 443,
            cut: None,
            problems: Vec::new(),
            public: true,
            chain: Vec::new(),
            leaf_spki_sha256: String::new(),
            not_before: None,
            not_after: None,
            names: vec!["op".into()],
            only_in_common_name: false,
            version: "TLSv1_3".into(),
            exchange: "x6".into(),
        },
        plain: vec![("token_endpoint".into(), plain)],
        dns,
    }
}

fn seen(change: impl Fn(&mut HostSeen)) -> Vec<HostSeen> {
    let mut host = good();
    change(&mut host);
    vec![host]
}

#[test]
fn tls_1_1_fails_with_and_without_control() {
    let old = seen(|host| host.tls.old_versions[0].1 = hello(Version::Tls11));
    assert_eq!(old_tls_is_refused(&old).call, Broken);
    let uncontrolled = seen(|host| host.tls.control_after = None);
    assert_eq!(old_tls_is_refused(&uncontrolled).call, Undecided);
}

#[test]
fn suites_are_judged_by_who_uses_the_host() {
    let with = |code| seen(move |host| host.tls.suites12.push((Suite::of(code), "x9".into())));
    // ECDHE-RSA CHACHA20, ECDHE-RSA-AES128-CBC, RSA-AES128-CBC, RSA-3DES
    for (code, back, front) in
        [(0xcca8, Doubtful, Pass), (0xc013, Broken, Doubtful), (0x002f, Broken, Broken), (0x000a, Broken, Broken)]
    {
        assert_eq!(only_recommended_suites_on_the_back_channel(&with(code)).call, back, "{code:04x}");
        assert_eq!(no_forbidden_suite_for_browsers(&with(code)).call, front, "{code:04x}");
    }
}

#[test]
fn a_wrong_certificate_fails_unless_a_clock_is_wrong() {
    let expired = seen(|host| host.cert.problems.push(CertProblem::Expired));
    assert_eq!(every_certificate_is_valid(&expired, Some(0)).call, Broken);
    assert_eq!(every_certificate_is_valid(&expired, Some(-4000)).call, Undecided);
}

#[test]
fn clear_text_is_judged_by_what_is_processed() {
    let http = |status: u16, location: Option<&str>, processed| {
        let headers = location.map(|to| ("location".to_owned(), to.to_owned())).into_iter().collect();
        let answer = PlainAnswer::Http { status, headers, body: Vec::new() };
        seen(move |host| {
            host.plain[0].1 = PlainSeen {
                port: 80,
                report: PlainReport { answer: answer.clone(), exchange: "x".into() },
                processed,
                what: None,
            }
        })
    };
    assert_eq!(nothing_is_served_in_clear(&http(400, None, true), &[]).call, Broken);
    assert_eq!(nothing_is_served_in_clear(&http(404, None, false), &[]).call, Pass);
    assert_eq!(nothing_is_served_in_clear(&http(301, Some("https://op/token"), false), &[]).call, Pass);
    assert_eq!(nothing_is_served_in_clear(&http(302, Some("http://op/login"), false), &[]).call, Broken);
    let silent = seen(|host| host.plain[0].1.report.answer = PlainAnswer::Timeout);
    assert_eq!(nothing_is_served_in_clear(&silent, &[]).call, Undecided);
    let mut doubt = http(200, None, false);
    doubt[0].plain[0].1.what = Some("it answers with status 200".into());
    assert_eq!(nothing_is_served_in_clear(&doubt, &[]).call, Doubtful);
    for (port_80, judged) in
        [(http(200, None, false), Broken), (http(301, Some("https://op/"), false), Doubtful), (silent, Undecided)]
    {
        let plain = port_80[0].plain[0].1.clone();
        let judgement = nothing_is_served_in_clear(&[good()], &[("start_url http://op/".into(), plain)]);
        assert_eq!(judgement.call, judged, "{}", judgement.reason);
    }
}

#[test]
fn an_unsigned_zone_is_a_finding_and_a_private_name_is_none() {
    let with = |kind: DnsKind| seen(move |host| host.dns.kind = kind.clone());
    let unsigned = DnsKind::Answered { ad: false, rcode: "No Error".into(), found: true, cname_chain: Vec::new() };
    assert_eq!(every_zone_is_signed(&with(unsigned)).call, Broken);
    assert_eq!(every_zone_is_signed(&with(DnsKind::ServfailButCdAnswers)).call, Broken);
    for kind in [DnsKind::PrivateName, DnsKind::AddressLiteral, DnsKind::NoResolver("none".into())] {
        assert_eq!(every_zone_is_signed(&with(kind)).call, Undecided);
    }
}

#[test]
fn the_strict_list_holds_wherever_the_back_channel_goes() {
    let with = |back_channel: bool, code: u16| {
        seen(move |host| {
            host.back_channel = back_channel;
            host.tls.suites12.push((Suite::of(code), "x9".into()));
        })
    };
    for (code, back, front) in [(0xcca8, Doubtful, Pass), (0xc013, Broken, Doubtful), (0x002f, Broken, Broken)] {
        assert_eq!(suites_fit_their_use(&with(true, code)).call, back, "{code:04x}");
        assert_eq!(suites_fit_their_use(&with(false, code)).call, front, "{code:04x}");
    }
    assert_eq!(suites_fit_their_use(&[]).call, Undecided);
}

#[test]
fn places_are_hosts_with_their_ports() {
    let all = [
        ("a", "https://app.test/a"),
        ("b", "https://app.test:443/b"),
        ("c", "https://app.test:8443/c"),
        ("d", "http://x"),
        ("e", ""),
    ];
    let found = places(all);
    let told: Vec<_> = found.iter().map(|place| (place.port, place.endpoints.len())).collect();
    assert_eq!(told, [(443, 2), (8443, 1)]);
}
