use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::*;
use crate::stage::recorder::Recorder;
use crate::stage::resolve::Resolve;
use crate::stage::test_servers::{self, Authority, Manner, noise};
use crate::wire::tls_suites::SuiteClass;

fn resolve(at: std::net::SocketAddr) -> Resolve {
    Resolve::new(&Default::default(), [("idp.example", at)]).unwrap()
}

async fn scan(resolve: &Resolve, recorder: &Recorder) -> TlsScan {
    let mut probing = Probing::new(resolve, recorder, "idp-probe");
    probing.deadline = Duration::from_secs(2);
    probing.tls_scan("idp.example", 443).await
}

#[tokio::test]
async fn rustls_with_tls12_only() {
    let server = test_servers::tls(Authority::new().leaf(&["idp.example"], |_| {}), &[&TLS12]).await;
    let recorder = Recorder::default();
    let scan = scan(&resolve(server.at), &recorder).await;
    assert!(scan.controlled() && scan.tls12() && !scan.tls13());
    assert_eq!(scan.old_accepted(), []);
    assert!(scan.old_versions.iter().all(|(_, answer)| answer.refused()), "{:?}", scan.old_versions);
    let names: Vec<&str> = scan.suites12.iter().map(|(suite, _)| suite.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
        ]
    );
    assert_eq!(scan.undecided, Vec::<String>::new());
    let (evidence, _) = recorder.evidence();
    let control = evidence.exchanges.iter().find(|exchange| exchange.id == scan.control12.exchange).unwrap();
    assert_eq!((control.method.as_str(), control.url.as_str()), ("TLS", "idp.example:443"));
    assert!(control.request.body.as_deref().unwrap().starts_with("offer TLS 1.2; 4 suites\n"));
    assert!(control.response.body.as_deref().unwrap().starts_with("ServerHello: TLS 1.2, TLS_ECDHE_ECDSA_WITH_AES_"));
}

#[tokio::test]
async fn rustls_with_tls13_only() {
    let server = test_servers::tls(Authority::new().leaf(&["idp.example"], |_| {}), &[&TLS13]).await;
    let recorder = Recorder::default();
    let resolve = resolve(server.at);
    let scan = scan(&resolve, &recorder).await;
    assert!(scan.controlled() && !scan.tls12() && scan.tls13());
    assert!(scan.control12.refused());
    assert_eq!(scan.control12.describe(), "alert protocol_version(70)");
    assert_eq!(scan.old_accepted(), []);
    // The scenarios keep what they saw.
    let text = serde_json::to_string(&scan).unwrap();
    assert_eq!(serde_json::from_str::<TlsScan>(&text).unwrap(), scan);
}

#[tokio::test]
async fn a_closed_port_is_no_refusal() {
    let at = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let scan = scan(&resolve(at), &Recorder::default()).await;
    assert!(!scan.controlled() && !scan.control12.refused());
    assert_eq!(scan.control12.cut, Some(Cut::Refused));
    assert_eq!(scan.old_versions, []);
}

#[tokio::test]
async fn hostile_servers_neither_hang_nor_panic() {
    let mut manners = vec![
        Manner::Closes,
        Manner::Silent,
        Manner::Drips,
        Manner::Floods,
        Manner::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
    ];
    manners.extend((0..30).map(|seed| Manner::Says(noise(seed, 300))));
    manners.extend((0..30).map(|seed| Manner::Says([&[22, 3, 3, 0, 90, 2, 0, 0, 86], noise(seed, 90).as_slice()].concat())));
    let began = Instant::now();
    for manner in manners {
        let server = test_servers::raw(manner).await;
        let (resolve, recorder) = (resolve(server.at), Recorder::default());
        let mut probing = Probing::new(&resolve, &recorder, "idp-probe");
        probing.deadline = Duration::from_millis(300);
        let scan = probing.tls_scan("idp.example", 443).await;
        assert!(!scan.controlled());
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

struct Openssl {
    child: std::process::Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `openssl s_server` with an RSA certificate; `None` without openssl.
fn openssl(arguments: &[&str]) -> Option<Openssl> {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        std::process::Command::new("openssl")
            .args(arguments)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
    };
    let made = run(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=idp.example",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
    ]);
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: no openssl");
        return None;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = std::process::Command::new("openssl")
        .args(["s_server", "-quiet", "-key", "key.pem", "-cert", "cert.pem", "-accept", &format!("127.0.0.1:{port}")])
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Openssl { child, port, _folder: folder };
    for _ in 0..100 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(server);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("openssl s_server does not listen");
}

#[tokio::test]
async fn openssl_with_tls11_takes_it() {
    let Some(server) = openssl(&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]) else { return };
    let recorder = Recorder::default();
    let scan = scan(&resolve(([127, 0, 0, 1], server.port).into()), &recorder).await;
    assert_eq!(scan.old_accepted(), [Version::Tls11], "{scan:#?}");
    assert!(!scan.tls12() && !scan.tls13() && !scan.controlled());
}

#[tokio::test]
async fn openssl_with_weak_suites_shows_all_of_them() {
    let list =
        "AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA:DHE-RSA-AES128-SHA:NULL-SHA256:ADH-AES128-SHA:@SECLEVEL=0";
    let Some(server) = openssl(&["-tls1_2", "-cipher", list]) else { return };
    let recorder = Recorder::default();
    let scan = scan(&resolve(([127, 0, 0, 1], server.port).into()), &recorder).await;
    assert!(scan.controlled(), "{scan:#?}");
    assert_eq!(scan.old_accepted(), []);
    let classes: Vec<SuiteClass> = scan.suites12.iter().map(|(suite, _)| suite.class).collect();
    assert_eq!(
        classes,
        [
            SuiteClass::StaticRsa,
            SuiteClass::Dhe,
            SuiteClass::Anonymous,
            SuiteClass::Null,
            SuiteClass::EcdheCbc,
            SuiteClass::Recommended
        ],
        "{:#?}",
        scan.suites12
    );
    assert_eq!(scan.undecided, Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_with_an_old_version_is_no_control() {
    let mut hello = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([1; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let server = test_servers::raw(Manner::Says(hello)).await;
    let scan = scan(&resolve(server.at), &Recorder::default()).await;
    assert!(!scan.controlled() && !scan.tls12() && !scan.tls13());
    assert_eq!(scan.old_accepted(), [Version::Ssl3, Version::Tls10, Version::Tls11]);
}
