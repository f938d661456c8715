//! TLS versions and cipher suites, probed with our own ClientHello.
//!
//! Many suites are offered at once; the one the server selects is noted and left out of the next offer, until the server refuses. So a
//! scan costs one connection per accepted suite and one per 64 refused ones.

use aws_lc_rs::rand::fill;
use futures_util::StreamExt;
use futures_util::stream;
use serde::{Deserialize, Serialize};

use super::raw::{Cut, Probe, Probing, words};
use crate::model::ExchangeId;
use crate::wire::tls_answer::{Answer, read_answer};
use crate::wire::tls_hello::{HelloSpec, Version, client_hello};
use crate::wire::tls_suites::{self, Suite};

/// Bytes of an answer read at most.
const LIMIT: usize = 16 * 1024;
/// Suites in one offer; some old servers refuse hellos with more than 127.
const OFFER: usize = 64;
/// Connections to one host at a time.
const AT_ONCE: usize = 4;

/// What came of one ClientHello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsAnswer {
    /// The answer; [`Answer::Closed`] where nothing came.
    pub answer: Answer,
    /// Why the answer is missing or broken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// The recorded probe.
    pub exchange: ExchangeId,
}

impl TlsAnswer {
    /// The version the server took.
    pub fn accepted(&self) -> Option<Version> {
        match self.answer {
            Answer::ServerHello { version, .. } => Some(version),
            Answer::HelloRetryRequest { .. } => Some(Version::Tls13),
            _ => None,
        }
    }

    /// The server took TLS 1.2 or later.
    pub fn modern(&self) -> bool {
        self.accepted() >= Some(Version::Tls12)
    }

    /// The server spoke TLS and said no, or closed the connection after it was open.
    pub fn refused(&self) -> bool {
        matches!(self.answer, Answer::Alert { .. })
            || (self.answer == Answer::Closed && matches!(self.cut, None | Some(Cut::Reset)))
    }

    /// What happened, in a few words.
    pub fn describe(&self) -> String {
        match &self.cut {
            Some(cut) if matches!(self.answer, Answer::Closed | Answer::Incomplete) => cut.to_string(),
            _ => self.answer.to_string(),
        }
    }
}

/// What one host and port takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsScan {
    /// Host scanned.
    pub host: String,
    /// Port scanned.
    pub port: u16,
    /// The control before: a hello with TLS 1.2 and the four recommended suites.
    pub control12: TlsAnswer,
    /// The control before: a hello with TLS 1.3.
    pub control13: TlsAnswer,
    /// The control after: the better one of the two, once more. `None` where both failed; then nothing else was sent.
    pub control_after: Option<TlsAnswer>,
    /// The answers to SSL 3.0, TLS 1.0 and TLS 1.1; the worst one where several hellos were needed.
    pub old_versions: Vec<(Version, TlsAnswer)>,
    /// Suites taken with TLS 1.2, the recommended ones included, in order of their code points; each with its probe.
    pub suites12: Vec<(Suite, ExchangeId)>,
    /// Offers that were neither taken nor refused although a second attempt was made; the scan of suites is then incomplete.
    pub undecided: Vec<ExchangeId>,
}

impl TlsScan {
    /// A control succeeded before and after, so that refusals mean something. What was taken counts in any case.
    pub fn controlled(&self) -> bool {
        self.control_after.as_ref().is_some_and(TlsAnswer::modern)
    }

    /// TLS 1.2 is offered: with a recommended suite or with any other.
    pub fn tls12(&self) -> bool {
        !self.suites12.is_empty()
    }

    /// TLS 1.3 is offered.
    pub fn tls13(&self) -> bool {
        self.control13.accepted() == Some(Version::Tls13)
    }

    /// Old versions that were taken (a lower one than offered counts for the offer).
    pub fn old_accepted(&self) -> Vec<Version> {
        self.old_versions
            .iter()
            .filter(|(_, answer)| answer.accepted().is_some() && !answer.modern())
            .map(|(version, _)| *version)
            .collect()
    }
}

impl Probing<'_> {
    /// Sends one ClientHello and reads the first answer. Host name and randoms of the spec are filled in.
    pub async fn tls(&self, host: &str, port: u16, spec: &HelloSpec, step: &str) -> TlsAnswer {
        let spec = prepared(host, spec);
        let probe = Probe::start(step, "TLS", format!("{host}:{port}"));
        let decided = |bytes: &[u8]| !bytes.is_empty() && read_answer(bytes) != Answer::Incomplete;
        let talk = self.exchange(host, port, &client_hello(&spec), LIMIT, decided).await;
        let answer = read_answer(&talk.received);
        let mut outcome = TlsAnswer { answer, cut: talk.cut, exchange: String::new() };
        let fault = outcome.cut.as_ref().map(ToString::to_string);
        let response = words(outcome.describe());
        outcome.exchange = self.record(&probe, words(offer(&spec)), response, 0, fault);
        outcome
    }

    /// Scans versions and suites of one host and port.
    pub async fn tls_scan(&self, host: &str, port: u16) -> TlsScan {
        let hello12 = HelloSpec::new(Version::Tls12, tls_suites::RECOMMENDED.to_vec());
        let hello13 = HelloSpec::new(Version::Tls13, vec![0x1301, 0x1302, 0x1303]);
        let (control12, control13) =
            tokio::join!(self.tls(host, port, &hello12, "control: TLS 1.2"), self.tls(host, port, &hello13, "control: TLS 1.3"));
        let mut scan = TlsScan {
            host: host.to_owned(),
            port,
            control12,
            control13,
            control_after: None,
            old_versions: Vec::new(),
            suites12: Vec::new(),
            undecided: Vec::new(),
        };
        // A host that can do neither may still take an old version or a weak suite, if it speaks TLS at all.
        let speaks = |answer: &TlsAnswer| answer.accepted().is_some() || matches!(answer.answer, Answer::Alert { .. });
        if !speaks(&scan.control12) && !speaks(&scan.control13) {
            return scan;
        }
        for version in [Version::Ssl3, Version::Tls10, Version::Tls11] {
            let answer = self.old(host, port, version).await;
            scan.old_versions.push((version, answer));
        }
        self.suites12(host, port, &mut scan).await;
        let (hello, step) =
            if scan.control12.modern() { (hello12, "control again: TLS 1.2") } else { (hello13, "control again: TLS 1.3") };
        scan.control_after = Some(self.tls(host, port, &hello, step).await);
        scan
    }

    /// Scans several hosts, four at a time; the results stand in the order of the hosts.
    pub async fn tls_scan_all(&self, hosts: &[(String, u16)]) -> Vec<TlsScan> {
        let all: Vec<_> = hosts.iter().map(|(host, port)| self.tls_scan(host, *port)).collect();
        stream::iter(all).buffered(AT_ONCE).collect().await
    }

    async fn old(&self, host: &str, port: u16, version: Version) -> TlsAnswer {
        let step = format!("is {version} refused?");
        let mut last = None;
        for suites in tls_suites::before_tls12().chunks(OFFER) {
            let answer = self.tls(host, port, &HelloSpec::new(version, suites.to_vec()), &step).await;
            if answer.accepted().is_some() || !answer.refused() {
                return answer;
            }
            // A refused version needs no second offer; a refused suite does.
            let version_refused = matches!(answer.answer, Answer::Alert { description: 70, .. });
            last = Some(answer);
            if version_refused {
                break;
            }
        }
        match last {
            Some(answer) => answer,
            None => self.tls(host, port, &HelloSpec::new(version, vec![0x002f]), &step).await,
        }
    }

    async fn suites12(&self, host: &str, port: u16, scan: &mut TlsScan) {
        let (good, others): (Vec<u16>, Vec<u16>) =
            tls_suites::all().map(|suite| suite.code).partition(|code| tls_suites::RECOMMENDED.contains(code));
        let offers = std::iter::once(good).chain(others.chunks(OFFER).map(<[u16]>::to_vec));
        let rounds: Vec<Taken> =
            stream::iter(offers).map(|offer| self.taken(host, port, offer)).buffer_unordered(AT_ONCE).collect().await;
        for round in rounds {
            scan.suites12.extend(round.suites);
            scan.undecided.extend(round.undecided);
        }
        scan.suites12.sort_by_key(|(suite, _)| suite.code);
        scan.undecided.sort();
    }

    async fn taken(&self, host: &str, port: u16, mut offer: Vec<u16>) -> Taken {
        let mut taken = Taken::default();
        let mut again = true;
        while !offer.is_empty() {
            let spec = HelloSpec::new(Version::Tls12, offer.clone());
            let answer = self.tls(host, port, &spec, "which suites does TLS 1.2 take?").await;
            match answer.answer {
                Answer::ServerHello { version: Version::Tls12, suite } if offer.contains(&suite) => {
                    offer.retain(|code| *code != suite);
                    taken.suites.push((Suite::of(suite), answer.exchange));
                }
                // A lower version in answer to TLS 1.2 says nothing about TLS 1.2; the old versions are judged by their own probes.
                Answer::ServerHello { .. } => break,
                _ if answer.refused() => break,
                _ if again => again = false,
                _ => {
                    taken.undecided = Some(answer.exchange);
                    break;
                }
            }
        }
        taken
    }
}

/// What became of one offer.
#[derive(Debug, Default)]
struct Taken {
    suites: Vec<(Suite, ExchangeId)>,
    undecided: Option<ExchangeId>,
}

fn prepared(host: &str, spec: &HelloSpec) -> HelloSpec {
    let mut spec = spec.clone();
    // RFC 6066 3: no addresses, no trailing dot.
    let name = host.trim_end_matches('.');
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok();
    spec.host = (!address).then(|| name.to_owned());
    // Random bytes make the hello pass for an ordinary one; without them it works as well, so a failing generator is no obstacle.
    let _ = fill(&mut spec.random);
    let mut key = [0x42; 32];
    let _ = fill(&mut key);
    spec.x25519 = Some(key);
    spec
}

fn offer(spec: &HelloSpec) -> String {
    let versions: Vec<String> = spec.versions.iter().map(ToString::to_string).collect();
    let names: Vec<String> = spec.suites.iter().map(|code| Suite::of(*code).name).collect();
    let count = match names.len() {
        1 => "1 suite".to_owned(),
        count => format!("{count} suites"),
    };
    format!("offer {}; {count}\n{}", versions.join(", "), names.join("\n"))
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
