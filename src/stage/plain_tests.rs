use std::time::Duration;

use tokio_rustls::rustls::version::TLS13;

use super::*;
use crate::stage::recorder::Recorder;
use crate::stage::resolve::Resolve;
use crate::stage::test_servers::{self, Authority, Manner, noise};

async fn ask(at: std::net::SocketAddr, recorder: &Recorder) -> PlainAnswer {
    let resolve = Resolve::new(&Default::default(), [("idp.example", at)]).unwrap();
    let mut probing = Probing::new(&resolve, recorder, "idp-probe");
    probing.deadline = Duration::from_millis(500);
    let request = PlainRequest { method: "POST", target: "/token", form: "grant_type=authorization_code&code=super-secret-code" };
    probing.plain("idp.example", 80, &request, "token request in clear").await.answer
}

#[tokio::test]
async fn an_answer_is_read_and_recorded() {
    let text = "HTTP/1.1 301 Moved Permanently\r\nLocation: https://idp.example/token\r\nContent-Length: 2\r\n\r\nok";
    let server = test_servers::raw(Manner::Says(text.as_bytes().to_vec())).await;
    let recorder = Recorder::default();
    let answer = ask(server.at, &recorder).await;
    assert_eq!(answer.header("location"), Some("https://idp.example/token"));
    assert!(matches!(&answer, PlainAnswer::Http { status: 301, body, .. } if body == b"ok"));
    let (evidence, _) = recorder.evidence();
    let exchange = &evidence.exchanges[0];
    assert_eq!((exchange.method.as_str(), exchange.url.as_str(), exchange.status), ("POST", "http://idp.example:80/token", 301));
    assert!(!exchange.request.body.as_deref().unwrap().contains("super-secret-code"));
}

#[tokio::test]
async fn every_other_answer_has_its_name() {
    let recorder = Recorder::default();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(ask(closed, &recorder).await, PlainAnswer::Refused);
    for (manner, expected) in [
        (Manner::Silent, PlainAnswer::Silent),
        (Manner::Drips, PlainAnswer::NotHttp),
        (Manner::Floods, PlainAnswer::NotHttp),
        (Manner::Says(vec![21, 3, 3, 0, 2, 2, 80]), PlainAnswer::NotHttp),
        (Manner::Says(noise(7, 300)), PlainAnswer::NotHttp),
    ] {
        let server = test_servers::raw(manner).await;
        assert_eq!(ask(server.at, &recorder).await, expected);
    }
    let server = test_servers::raw(Manner::Closes).await;
    assert!(matches!(ask(server.at, &recorder).await, PlainAnswer::Silent | PlainAnswer::Reset));
    let server = test_servers::tls(Authority::new().leaf(&["idp.example"], |_| {}), &[&TLS13]).await;
    assert_eq!(ask(server.at, &recorder).await, PlainAnswer::NotHttp);
}

#[test]
fn an_answer_without_length_waits_for_the_end() {
    assert!(!complete(b"HTTP/1.1 200 OK\r\n\r\nab"));
    assert!(!complete(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"));
    assert!(complete(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"));
    assert!(complete(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"));
    assert!(complete(b"HTTP/1.1 204 No Content\r\n\r\n"));
    assert!(!complete(b"HTTP/1.1 200"));
    assert!(complete(b"220 mail"));
    assert_eq!(parse(b"HTTP/1.1 abc\r\n\r\n"), None);
}
