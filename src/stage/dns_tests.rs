use std::time::{Duration, Instant};

use hickory_proto::op::MessageType;
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::{A, CNAME};
use tokio::task::JoinHandle;

use super::*;
use crate::stage::recorder::Recorder;
use crate::stage::resolve::Resolve;
use crate::stage::test_servers::noise;

/// How a resolver answers.
#[derive(Clone, Copy)]
enum Manner {
    Signed,
    Unsigned,
    Bogus,
    Broken,
    Truncates,
    Foreign,
    Noise,
    Silent,
}

struct Resolver(SocketAddr, Vec<JoinHandle<()>>);

impl Drop for Resolver {
    fn drop(&mut self) {
        self.1.iter().for_each(JoinHandle::abort);
    }
}

fn answer(manner: Manner, bytes: &[u8], tcp: bool) -> Vec<u8> {
    let query = Message::from_vec(bytes).unwrap();
    assert!(query.edns.as_ref().unwrap().flags().dnssec_ok);
    let mut message = query.clone();
    message.metadata.message_type = MessageType::Response;
    message.metadata.authentic_data = false;
    let name = query.queries[0].name().clone();
    let edge = Name::from_ascii("edge.cdn.example.").unwrap();
    match manner {
        Manner::Noise => return noise(3, 200),
        Manner::Broken => message.metadata.response_code = ResponseCode::ServFail,
        Manner::Bogus if !query.metadata.checking_disabled => message.metadata.response_code = ResponseCode::ServFail,
        Manner::Foreign => message.metadata.id = message.metadata.id.wrapping_add(1),
        Manner::Truncates if !tcp => message.metadata.truncation = true,
        Manner::Signed | Manner::Truncates => {
            message.metadata.authentic_data = true;
            message.add_answer(Record::from_rdata(name, 60, RData::A(A::new(192, 0, 2, 1))));
        }
        _ => {
            message.add_answer(Record::from_rdata(name, 60, RData::CNAME(CNAME(edge.clone()))));
            message.add_answer(Record::from_rdata(edge, 60, RData::A(A::new(192, 0, 2, 1))));
        }
    }
    message.to_vec().unwrap()
}

async fn resolver(manner: Manner) -> Resolver {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(at).await.unwrap();
    let by_udp = tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((count, from)) = udp.recv_from(&mut buffer).await {
            if !matches!(manner, Manner::Silent) {
                let _ = udp.send_to(&answer(manner, &buffer[..count], false), from).await;
            }
        }
    });
    let by_tcp = tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut query = vec![0; usize::from(length)];
            stream.read_exact(&mut query).await.unwrap();
            let bytes = answer(manner, &query, true);
            stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        }
    });
    Resolver(at, vec![by_udp, by_tcp])
}

async fn kind(manner: Manner) -> DnsKind {
    let server = resolver(manner).await;
    let (resolve, recorder) = (Resolve::default(), Recorder::default());
    let mut probing = Probing::new(&resolve, &recorder, "idp-probe");
    probing.deadline = Duration::from_millis(500);
    let report = probing.dns("idp.ipsie-conform.test", Some(&server.0.to_string())).await;
    assert_eq!(recorder.evidence().0.exchanges.len(), 1);
    report.kind
}

fn answered(ad: bool, rcode: &str, found: bool, chain: &[&str]) -> DnsKind {
    let cname_chain = chain.iter().map(|name| (*name).to_owned()).collect();
    DnsKind::Answered { ad, rcode: rcode.into(), found, cname_chain }
}

#[tokio::test]
async fn resolvers_are_understood() {
    assert_eq!(kind(Manner::Signed).await, answered(true, "No Error", true, &[]));
    assert_eq!(kind(Manner::Unsigned).await, answered(false, "No Error", true, &["edge.cdn.example"]));
    assert_eq!(kind(Manner::Bogus).await, DnsKind::ServfailButCdAnswers);
    assert_eq!(kind(Manner::Broken).await, answered(false, "Server Failure", false, &[]));
    assert_eq!(kind(Manner::Truncates).await, answered(true, "No Error", true, &[]));
}

#[tokio::test]
async fn bad_resolvers_end_at_the_deadline() {
    let began = Instant::now();
    for manner in [Manner::Foreign, Manner::Noise, Manner::Silent] {
        assert!(matches!(kind(manner).await, DnsKind::NoResolver(_)));
    }
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn some_hosts_are_not_asked_for() {
    let (resolve, recorder) = (Resolve::default(), Recorder::default());
    let probing = Probing::new(&resolve, &recorder, "idp-probe");
    assert_eq!(probing.dns("[::1]", None).await.kind, DnsKind::AddressLiteral);
    assert_eq!(probing.dns("192.0.2.1", None).await.kind, DnsKind::AddressLiteral);
    assert_eq!(probing.dns("idp.ipsie-conform.test", None).await.kind, DnsKind::PrivateName);
    assert!(matches!(probing.dns("idp.example", Some("nonsense")).await.kind, DnsKind::NoResolver(_)));
    assert!(recorder.evidence().0.exchanges.is_empty());
}

#[test]
fn private_names() {
    for name in ["idp", "localhost", "idp.local", "a.localhost", "idp.corp.internal", "nas.home.arpa", "nas.lan", "IDP.LAN."] {
        assert!(private_name(name, true), "{name}");
    }
    assert!(private_name("idp.test", false) && !private_name("idp.test", true) && !private_name("idp.example", false));
    assert_eq!(
        first_nameserver("# x\nsearch a\nnameserver 192.0.2.7\nnameserver 192.0.2.8\n"),
        Some(([192, 0, 2, 7], 53).into())
    );
    assert_eq!(first_nameserver("nameserver fe80::1%eth0\n").unwrap().port(), 53);
}
