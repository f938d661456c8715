use std::time::Duration;

use rcgen::{DnType, date_time_ymd};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::*;
use crate::stage::recorder::Recorder;
use crate::stage::resolve::Resolve;
use crate::stage::test_servers::{self, Authority, Manner, Server, noise};

async fn report(server: &Server, trust: &Trust) -> CertReport {
    let resolve = Resolve::new(&Default::default(), [("idp.example", server.at)]).unwrap();
    let recorder = Recorder::default();
    let mut probing = Probing::new(&resolve, &recorder, "idp-probe");
    probing.deadline = Duration::from_secs(2);
    probing.cert("idp.example", 443, trust).await
}

#[tokio::test]
async fn a_good_certificate_of_a_declared_authority() {
    let authority = Authority::new();
    let leaf = authority.leaf(&["idp.example", "127.0.0.1"], |_| {});
    let spki = spki_sha256(&leaf.0).unwrap();
    let server = test_servers::tls(leaf, &[&TLS12, &TLS13]).await;
    let report = report(&server, &Trust::new(&[authority.der()]).unwrap()).await;
    assert!(report.verified() && !report.public, "{report:?}");
    assert_eq!(report.names, ["idp.example", "127.0.0.1"]);
    assert_eq!(report.version, "TLSv1_3");
    assert_eq!(report.chain.len(), 1);
    assert_eq!(report.leaf_spki_sha256.len(), 64);
    assert!(report.leaf_spki_sha256.starts_with(&format!("{:02x}{:02x}", spki[0], spki[1])));
}

#[tokio::test]
async fn an_unknown_authority_is_named_and_the_chain_is_kept() {
    let server = test_servers::tls(Authority::new().leaf(&["idp.example"], |_| {}), &[&TLS12]).await;
    let report = report(&server, &Trust::new(&[]).unwrap()).await;
    assert_eq!(report.problems, [CertProblem::UntrustedIssuer]);
    assert_eq!((report.chain.len(), report.version.as_str()), (1, "TLSv1_2"));
}

#[tokio::test]
async fn every_problem_is_named() {
    let authority = Authority::new();
    let trust = Trust::new(&[authority.der()]).unwrap();
    let expired = authority.leaf(&["idp.example"], |params| params.not_after = date_time_ymd(2020, 1, 1));
    let future = authority.leaf(&["idp.example"], |params| {
        params.not_before = date_time_ymd(2090, 1, 1);
        params.not_after = date_time_ymd(2091, 1, 1);
    });
    let common_name = authority.leaf(&[], |params| params.distinguished_name.push(DnType::CommonName, "idp.example"));
    let wrong_and_expired = authority.leaf(&["other.example"], |params| params.not_after = date_time_ymd(2020, 1, 1));
    for (leaf, problems, only_in_common_name) in [
        (expired, vec![CertProblem::Expired], false),
        (future, vec![CertProblem::NotYetValid], false),
        (authority.leaf(&["other.example"], |_| {}), vec![CertProblem::NameMismatch], false),
        (common_name, vec![CertProblem::NameMismatch], true),
        (wrong_and_expired, vec![CertProblem::Expired, CertProblem::NameMismatch], false),
    ] {
        let server = test_servers::tls(leaf, &[&TLS13]).await;
        let report = report(&server, &trust).await;
        assert_eq!((&report.problems, report.only_in_common_name), (&problems, only_in_common_name), "{report:?}");
    }
}

#[tokio::test]
async fn hostile_servers_are_cuts_and_not_problems() {
    let trust = Trust::new(&[]).unwrap();
    for manner in [Manner::Closes, Manner::Silent, Manner::Drips, Manner::Floods, Manner::Says(noise(1, 500))] {
        let server = test_servers::raw(manner).await;
        let report = report(&server, &trust).await;
        assert!(report.cut.is_some() && report.problems.is_empty() && !report.verified(), "{report:?}");
    }
    assert!(spki_sha256(&noise(2, 400)).is_none());
    assert!(Trust::new(&[noise(3, 400)]).is_err());
}
