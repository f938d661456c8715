use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ALL_VERSIONS, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, SupportedProtocolVersion, version,
};
use wiremock::ResponseTemplate;

use super::*;
use crate::stage::listener::ClearServer;
use crate::wire::client_hello::read_client_hello;
use crate::wire::tls_answer::{Answer, read_answer};
use crate::wire::tls_hello::{HelloSpec, Version, client_hello};

const HOST: &str = "op.suite.test";

async fn started() -> (ClearServer, Arc<TestCa>, Front) {
    let provider = ClearServer::start("127.0.0.1:0", ResponseTemplate::new(200)).await.unwrap();
    let ca = Arc::new(TestCa::new("test ca").unwrap());
    let front = Front::start(ca.clone(), "127.0.0.1:0", HOST.into(), provider.addr).await.unwrap();
    (provider, ca, front)
}

fn client(ca: &TestCa, front: &Front, versions: &[&'static SupportedProtocolVersion]) -> reqwest::Client {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca.der().to_vec())).unwrap();
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    build(tls, front)
}

fn careless(front: &Front) -> reqwest::Client {
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting))
        .with_no_client_auth();
    build(tls, front)
}

fn build(tls: ClientConfig, front: &Front) -> reqwest::Client {
    reqwest::Client::builder().tls_backend_preconfigured(tls).resolve(HOST, front.addr).build().unwrap()
}

#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

async fn until(front: &Front, what: impl Fn(&[Connection]) -> bool) -> Vec<Connection> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let connections = front.connections();
        if what(&connections) || Instant::now() > deadline {
            return connections;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn token_url() -> String {
    format!("https://{HOST}/token?code=secret")
}

#[tokio::test]
async fn a_good_connection_is_told_with_its_hello_and_its_request() {
    let (_provider, ca, front) = started().await;
    assert_eq!(client(&ca, &front, ALL_VERSIONS).post(token_url()).send().await.unwrap().status(), 200);
    let [connection] = &front.connections()[..] else { panic!("one connection") };
    assert_eq!((connection.number, connection.face), (1, Face::Good));
    assert!(connection.handshake_done && connection.request_bytes > 20 && !connection.went_on);
    assert_eq!(connection.request.as_deref(), Some("POST /token"), "without the query");
    let hello = read_client_hello(&connection.hello).unwrap();
    assert_eq!(hello.server_name.as_deref(), Some(HOST));
    assert_eq!(hello.versions(), [Version::Tls12, Version::Tls13]);
    let seen = connection.seen();
    assert!(seen.hello && !seen.closed);
    assert_eq!(serde_json::from_value::<ConnectionSeen>(serde_json::to_value(&seen).unwrap()).unwrap(), seen);
}

#[tokio::test]
async fn a_careful_client_refuses_every_bad_face_before_it_sends_a_request() {
    let (_provider, ca, front) = started().await;
    for version in [&[&version::TLS12][..], &[&version::TLS13]] {
        // One client for all: were sessions resumed, it would see no certificate after the first time.
        let client = client(&ca, &front, version);
        for (face, alerts) in
            [(Face::UnknownCa, &[48][..]), (Face::WrongName, &[42, 46]), (Face::Expired, &[45]), (Face::SelfSigned, &[48, 42])]
        {
            front.switch(Face::Good).await;
            assert!(client.get(token_url()).send().await.is_ok(), "control before {face:?}");
            let before = front.last_number();
            front.switch(face).await;
            assert!(client.get(token_url()).send().await.is_err(), "{face:?}");
            let connections = until(&front, |all| all.last().is_some_and(|last| last.number > before && last.closed)).await;
            let last = connections.last().unwrap();
            assert_eq!((last.face, last.request_bytes, last.handshake_done), (face, 0, false));
            assert!(last.alert.is_some_and(|alert| alerts.contains(&alert)), "{face:?}: {:?}", last.alert);
        }
    }
}

#[tokio::test]
async fn a_client_without_verification_is_caught_on_every_bad_face() {
    let (_provider, _, front) = started().await;
    let client = careless(&front);
    for face in Face::BAD {
        front.switch(face).await;
        assert_eq!(client.post(token_url()).send().await.unwrap().status(), 200, "{face:?}");
        let last = front.connections().pop().unwrap();
        assert_eq!(last.face, face);
        assert!(last.handshake_done && last.request_bytes > 0, "{face:?}");
        assert_eq!(last.request.as_deref(), Some("POST /token"));
    }
}

#[tokio::test]
async fn a_switch_closes_what_is_open() {
    let (_provider, ca, front) = started().await;
    let client = client(&ca, &front, ALL_VERSIONS);
    for _ in 0..2 {
        client.get(token_url()).send().await.unwrap();
    }
    assert_eq!(front.connections().len(), 1, "kept alive");
    assert!(!front.connections()[0].closed);
    front.show(Face::Good);
    assert!(until(&front, |all| all[0].closed).await[0].closed, "also when the face stays the same");
    client.get(token_url()).send().await.unwrap();
    assert_eq!(front.connections_after(1).len(), 1);
    // A handshake that hangs is cut off as well.
    let mut idle = TcpStream::connect(front.addr).await.unwrap();
    until(&front, |all| all.len() == 3).await;
    front.show(Face::Expired);
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn without_sni_the_configured_address_is_named() {
    let provider = ClearServer::start("127.0.0.1:0", ResponseTemplate::new(200)).await.unwrap();
    let ca = Arc::new(TestCa::new("test ca").unwrap());
    let front = Front::start(ca.clone(), "127.0.0.1:0", "127.0.0.1".into(), provider.addr).await.unwrap();
    let client = client(&ca, &front, ALL_VERSIONS);
    assert!(client.get(format!("https://{}/", front.addr)).send().await.is_ok());
    front.show(Face::WrongName);
    assert!(client.get(format!("https://{}/", front.addr)).send().await.is_err());
}

#[tokio::test]
async fn a_modern_client_stops_at_tls_1_1() {
    let (_provider, ca, front) = started().await;
    for version in [&[&version::TLS12][..], ALL_VERSIONS] {
        front.show(Face::Tls11);
        assert!(client(&ca, &front, version).get(token_url()).send().await.is_err());
        let connections = until(&front, |all| all.last().is_some_and(|last| last.closed)).await;
        let last = connections.last().unwrap();
        assert_eq!((last.went_on, last.handshake_done, last.request_bytes), (false, false, 0));
        assert_eq!(last.alert, Some(70), "protocol_version");
    }
}

#[tokio::test]
async fn a_client_that_goes_on_with_tls_1_1_is_noted() {
    let (_provider, _, front) = started().await;
    front.show(Face::Tls11);
    for suite in [0x002f, 0xc009, 0xc013] {
        let mut tcp = TcpStream::connect(front.addr).await.unwrap();
        tcp.write_all(&client_hello(&HelloSpec::new(Version::Tls12, vec![suite]))).await.unwrap();
        let mut flight = vec![0; 5];
        tcp.read_exact(&mut flight).await.unwrap();
        let mut rest = vec![0; usize::from(u16::from_be_bytes([flight[3], flight[4]]))];
        tcp.read_exact(&mut rest).await.unwrap();
        flight.extend(rest);
        assert_eq!(read_answer(&flight), Answer::ServerHello { version: Version::Tls11, suite });
        tcp.write_all(&[22, 3, 2, 0, 4, 16, 0, 0, 0]).await.unwrap();
        let connections = until(&front, |all| all.last().is_some_and(|last| last.closed)).await;
        assert!(connections.last().unwrap().went_on, "{suite:04x}");
    }
}

#[tokio::test]
async fn noise_is_remembered_and_no_more_than_the_bound() {
    let (_provider, _, front) = started().await;
    let mut tcp = TcpStream::connect(front.addr).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let connections = until(&front, |all| all.last().is_some_and(|last| last.closed)).await;
    assert!(connections[0].hello.starts_with(b"GET /") && !connections[0].seen().hello);
    let log = Log::default();
    for _ in 0..REMEMBERED + 10 {
        log.open(Face::Good);
    }
    let entries = log.lock();
    assert_eq!((entries.kept.len(), entries.kept.front().map(|first| first.number)), (REMEMBERED, Some(11)));
}
