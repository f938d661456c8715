//! DNSSEC as a validating resolver sees it: a query with the DO bit, and the AD bit of the answer (RFC 4035 3.2).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::raw::{Probe, Probing, words};
use crate::model::ExchangeId;

/// Time all queries for one host may take.
const DEADLINE: Duration = Duration::from_secs(3);

/// What DNS says of one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsReport {
    /// Host asked for.
    pub host: String,
    /// The finding.
    pub kind: DnsKind,
    /// The recorded probe; `None` where nothing was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangeId>,
}

/// The finding of a DNS probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DnsKind {
    /// The host is an address: nothing to ask.
    AddressLiteral,
    /// The name is private: no public zone can sign it.
    PrivateName,
    /// The resolver answered.
    Answered {
        /// The AD bit: everything in the answer validated.
        ad: bool,
        /// Response code in words, `No Error` if all is well.
        rcode: String,
        /// An address is in the answer.
        found: bool,
        /// Names that lead to the address by CNAME, in order, without the host itself.
        cname_chain: Vec<String>,
    },
    /// SERVFAIL, but an answer when told not to check (CD bit): validation fails.
    ServfailButCdAnswers,
    /// No resolver answered.
    NoResolver(String),
}

/// A name that is not in the public DNS: single labels and the names set aside for private use. `.test` (RFC 6761 6.2) counts unless the
/// target file names a resolver, which may know it.
pub fn private_name(host: &str, resolver_given: bool) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let under = |suffix: &str| host.ends_with(suffix);
    !host.contains('.')
        || [".local", ".localhost", ".internal", ".home.arpa", ".lan"].iter().any(|suffix| under(suffix))
        || (!resolver_given && under(".test"))
}

/// The first name server of `/etc/resolv.conf`.
pub fn system_resolver() -> Option<SocketAddr> {
    first_nameserver(&std::fs::read_to_string("/etc/resolv.conf").ok()?)
}

fn first_nameserver(text: &str) -> Option<SocketAddr> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.trim().split('%').next()?.parse().ok())
        .map(|address| SocketAddr::new(address, 53))
        .next()
}

impl Probing<'_> {
    /// Asks `resolver` (`address:port`; without one the system's) for the addresses of a host.
    pub async fn dns(&self, host: &str, resolver: Option<&str>) -> DnsReport {
        let report = |kind, exchange| DnsReport { host: host.to_owned(), kind, exchange };
        if host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok() {
            return report(DnsKind::AddressLiteral, None);
        }
        if private_name(host, resolver.is_some()) {
            return report(DnsKind::PrivateName, None);
        }
        let server = match resolver {
            Some(text) => text.parse().ok(),
            None => system_resolver(),
        };
        let Some(server) = server else {
            return report(DnsKind::NoResolver("no resolver is known; name one under `network.resolver`".into()), None);
        };
        let probe = Probe::start("is the zone signed?", "DNS", format!("dns:{host}"));
        let kind = match tokio::time::timeout(self.deadline.min(DEADLINE), ask(host, server)).await {
            Ok(Ok(kind)) => kind,
            Ok(Err(error)) => DnsKind::NoResolver(format!("{server}: {error}")),
            Err(_) => DnsKind::NoResolver(format!("{server}: no answer within {} s", DEADLINE.as_secs())),
        };
        let fault = match &kind {
            DnsKind::NoResolver(why) => Some(why.clone()),
            _ => None,
        };
        let response = words(kind.describe());
        let exchange = self.record(&probe, words(format!("A and AAAA of {host} with DO at {server}")), response, 0, fault);
        report(kind, Some(exchange))
    }
}

impl DnsKind {
    fn describe(&self) -> String {
        match self {
            DnsKind::AddressLiteral => "an address".into(),
            DnsKind::PrivateName => "a private name".into(),
            DnsKind::Answered { ad, rcode, found, cname_chain } => {
                let ad = if *ad { "AD" } else { "no AD" };
                let found = if *found { "address found" } else { "no address" };
                format!("{rcode}, {ad}, {found}{}", cname_chain.iter().map(|name| format!("\nCNAME {name}")).collect::<String>())
            }
            DnsKind::ServfailButCdAnswers => "SERVFAIL; with checking disabled an answer".into(),
            DnsKind::NoResolver(why) => why.clone(),
        }
    }
}

async fn ask(host: &str, server: SocketAddr) -> io::Result<DnsKind> {
    let name = Name::from_ascii(host).map(|mut name| {
        name.set_fqdn(true);
        name
    });
    let name = name.map_err(io::Error::other)?;
    let mut answer = query(&name, RecordType::A, false, server).await?;
    if answer.metadata.response_code == ResponseCode::ServFail {
        let unchecked = query(&name, RecordType::A, true, server).await?;
        if unchecked.metadata.response_code == ResponseCode::NoError {
            return Ok(DnsKind::ServfailButCdAnswers);
        }
    }
    if !has_address(&answer) && answer.metadata.response_code == ResponseCode::NoError {
        answer = query(&name, RecordType::AAAA, false, server).await?;
    }
    Ok(DnsKind::Answered {
        ad: answer.metadata.authentic_data,
        rcode: answer.metadata.response_code.to_str().to_owned(),
        found: has_address(&answer),
        cname_chain: answer
            .answers
            .iter()
            .filter_map(|record| match &record.data {
                RData::CNAME(name) => Some(name.0.to_ascii().trim_end_matches('.').to_owned()),
                _ => None,
            })
            .take(20)
            .collect(),
    })
}

fn has_address(message: &Message) -> bool {
    message.answers.iter().any(|record| matches!(record.data, RData::A(_) | RData::AAAA(_)))
}

async fn query(name: &Name, kind: RecordType, unchecked: bool, server: SocketAddr) -> io::Result<Message> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    // Asks for the AD bit as well (RFC 6840 5.7).
    message.metadata.authentic_data = true;
    message.metadata.checking_disabled = unchecked;
    message.add_query(Query::query(name.clone(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(1232).set_dnssec_ok(true);
    message.set_edns(edns);
    let bytes = message.to_vec().map_err(io::Error::other)?;
    let local: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    socket.send(&bytes).await?;
    let mut buffer = [0; 4096];
    loop {
        let count = socket.recv(&mut buffer).await?;
        // Whatever does not answer this query is passed over; the deadline ends the wait.
        let Some(answer) = buffer.get(..count).and_then(|bytes| answer_to(&message, bytes)) else { continue };
        return if answer.metadata.truncation { by_tcp(&message, &bytes, server).await } else { Ok(answer) };
    }
}

async fn by_tcp(message: &Message, bytes: &[u8], server: SocketAddr) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    answer_to(message, &answer).ok_or_else(|| io::Error::other("an answer that is not DNS, or to another question"))
}

fn answer_to(query: &Message, bytes: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let same = |answer: &Query| {
        query.queries.iter().all(|asked| asked.name() == answer.name() && asked.query_type() == answer.query_type())
    };
    // Errors may come without the question.
    (answer.metadata.id == query.metadata.id && answer.queries.iter().all(same)).then_some(answer)
}

#[cfg(test)]
#[path = "dns_tests.rs"]
mod tests;
