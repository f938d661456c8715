//! A DNS responder for the host names of the service: as a validating resolver would answer for a signed zone.

use std::net::{Ipv4Addr, SocketAddr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::stage::listener::ListenFault;

/// A running responder. Dropping it closes its port.
pub struct Responder {
    /// Where it listens (UDP).
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Responder {
    /// Answers for `hosts`; `signed` sets the AD flag (RFC 4035 3.2.3).
    pub async fn start(listen: &str, hosts: Vec<String>, signed: bool) -> Result<Self, ListenFault> {
        let bind = |source| ListenFault::Bind { address: listen.to_owned(), source };
        let socket = UdpSocket::bind(listen).await.map_err(bind)?;
        let addr = socket.local_addr().map_err(bind)?;
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let Ok((len, peer)) = socket.recv_from(&mut buffer).await else { continue };
                if let Some(reply) = answer(&buffer[..len], &hosts, signed) {
                    let _ = socket.send_to(&reply, peer).await;
                }
            }
        });
        Ok(Responder { addr, task })
    }
}

fn answer(question: &[u8], hosts: &[String], signed: bool) -> Option<Vec<u8>> {
    let asked = Message::from_vec(question).ok()?;
    let query = asked.queries.first()?.clone();
    let mut reply = Message::response(asked.metadata.id, asked.metadata.op_code);
    reply.metadata.recursion_desired = asked.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.metadata.authentic_data = signed;
    reply.edns = asked.edns.clone();
    let name = query.name().to_ascii().to_lowercase();
    let known = hosts.iter().any(|host| name.trim_end_matches('.') == host);
    if known && query.query_type() == RecordType::A {
        reply.add_answer(Record::from_rdata(query.name().clone(), 60, RData::A(Ipv4Addr::LOCALHOST.into())));
    }
    if !known {
        reply.metadata.response_code = ResponseCode::NXDomain;
    }
    reply.add_query(query);
    reply.to_vec().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::Query;
    use hickory_proto::rr::Name;

    #[test]
    fn the_zone_is_signed_or_not_as_asked_and_other_names_are_not_there() {
        let ask = |host: &str, signed| {
            let mut question = Message::query();
            question.add_query(Query::query(Name::from_ascii(host).unwrap(), RecordType::A));
            let reply = answer(&question.to_vec().unwrap(), &["idp.test".to_owned()], signed).unwrap();
            let reply = Message::from_vec(&reply).unwrap();
            (reply.metadata.authentic_data, reply.metadata.response_code, reply.answers.len())
        };
        assert_eq!(ask("idp.test.", true), (true, ResponseCode::NoError, 1));
        assert_eq!(ask("idp.test.", false), (false, ResponseCode::NoError, 1));
        assert_eq!(ask("other.test.", true), (true, ResponseCode::NXDomain, 0));
    }
}
