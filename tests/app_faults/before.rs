//! Faults that stop a run before its first scenario: exit 4.

use std::sync::Arc;

use super::support::{Does, Fault, Faulty, page, redirect, some_at_a_time, stopped};

struct Case {
    name: &'static str,
    fault: Fault,
    message: &'static [&'static str],
    help: &'static [&'static str],
}

const START: &str = "https://app.ipsie-conform-target.test/login";

const CASES: &[Case] = &[
    Case {
        name: "an error page with status 200 for everything",
        fault: |_, _| page(200, "<title>Oops</title>Something went wrong"),
        message: &[START, "no authorization request", "https://op.ipsie-conform.test", "\"Oops\"", "never fetched"],
        help: &["must be able to reach https://op.ipsie-conform.test:", "counterpart.ca", "app.start_url"],
    },
    Case {
        name: "an application that cannot reach its provider",
        fault: |_, _| page(500, "discovery failed"),
        message: &[START, "status 500", "never fetched https://op.ipsie-conform.test/.well-known/openid-configuration"],
        help: &["able to reach https://op.ipsie-conform.test:", ", https://op.ipsie-conform.test:"],
    },
    Case {
        name: "a start page that is none",
        fault: |request, _| if request.uri().path() == "/login" { page(404, "not here") } else { Does::Pass },
        message: &[START, "status 404", "no authorization request"],
        help: &["leave app.start_url out"],
    },
    Case {
        name: "never answers",
        fault: |_, _| Does::Hang,
        message: &["could not be reached at https://app.ipsie-conform-target.test/protected"],
        help: &["app.protected_url", "doctor"],
    },
    Case {
        name: "never calls back",
        fault: |request, _| if request.uri().path() == "/callback" { Does::Hang } else { Does::Pass },
        message: &["did not answer at its callback https://app.ipsie-conform-target.test/callback", "code was not redeemed"],
        help: &["application's own log", "network.timeout_s"],
    },
    Case {
        name: "answers its callback without redeeming the code",
        fault: |request, _| if request.uri().path() == "/callback" { page(200, "Hello") } else { Does::Pass },
        message: &["no token request arrived", "/callback with status 200"],
        help: &["able to reach https://op.ipsie-conform.test:"],
    },
    Case {
        name: "sets no cookie after the login",
        fault: |request, _| if request.uri().path() == "/callback" { Does::WithoutCookies } else { Does::Pass },
        message: &["loops between login and callback", "2 authorization requests in one visit"],
        help: &["cookie settings", "own log"],
    },
    Case {
        name: "sets no cookie at all",
        fault: |_, _| Does::WithoutCookies,
        message: &["first login did not succeed", "set no cookie"],
        help: &["own log"],
    },
    Case {
        name: "loops between login and callback",
        fault: |request, _| match request.uri().path() {
            "/callback" => redirect("https://app.ipsie-conform-target.test/login"),
            _ => Does::Pass,
        },
        message: &["first login did not succeed", "loops between login and callback", "/callback"],
        help: &["own log"],
    },
    Case {
        name: "loops by itself",
        fault: |_, _| redirect("https://app.ipsie-conform-target.test/protected"),
        message: &["redirects in a loop", "/protected"],
        help: &["app.protected_url"],
    },
    Case {
        name: "its start page loops",
        fault: |request, _| match request.uri().path() {
            "/login" | "/a" => redirect("https://app.ipsie-conform-target.test/a"),
            _ => Does::Pass,
        },
        message: &[START, "redirects in a loop", "/login -> https://app.ipsie-conform-target.test/a"],
        help: &["app.start_url"],
    },
    Case {
        name: "limits the rate at once",
        fault: |_, _| page(429, "slow down"),
        message: &["limits the rate", "429"],
        help: &["network.rate"],
    },
    Case {
        name: "limits the rate of logins",
        fault: |request, _| if request.uri().path() == "/login" { page(429, "slow down") } else { Does::Pass },
        message: &["limits the rate", "/login with status 429"],
        help: &["network.rate"],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn each_is_told_with_its_place_and_remedy() {
    let outcomes = some_at_a_time(CASES.iter().map(|case| async { Faulty::start(case.fault).await.run().await })).await;
    for (case, outcome) in CASES.iter().zip(outcomes) {
        eprintln!("{}: {}", case.name, outcome.as_ref().err().map(ToString::to_string).unwrap_or_default());
        stopped(outcome, case.message, case.help);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_does_not_trust_the_suite_is_told() {
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
    let faulty =
        Faulty::start(|request, _| if request.uri().path() == "/login" { page(500, "discovery failed") } else { Does::Pass })
            .await;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let addr = faulty.setting.provider.as_ref().unwrap().front.addr;
    let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let name = ServerName::try_from("op.ipsie-conform.test").unwrap();
    assert!(tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.is_err());
    stopped(faulty.run().await, &["broke off the TLS handshake", "unknown_ca"], &["counterpart.ca", "restart"]);
}
