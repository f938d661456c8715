//! The certificate chain of a server, and whether it verifies.
//!
//! One handshake is enough: the verifier keeps the chain and the verdict and lets the handshake go on either way. Nothing is sent over the
//! connection.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::raw::{Cut, Probe, Probing, words};
use crate::model::ExchangeId;

/// Why a certificate chain is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertProblem {
    /// No trusted authority issued it, or an intermediate is missing.
    UntrustedIssuer,
    /// Its validity has ended.
    Expired,
    /// Its validity has not begun.
    NotYetValid,
    /// It names other hosts.
    NameMismatch,
    /// Anything else.
    Other(String),
}

impl fmt::Display for CertProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CertProblem::UntrustedIssuer => "no trusted authority issued it, or an intermediate certificate is missing",
            CertProblem::Expired => "it has expired",
            CertProblem::NotYetValid => "it is not valid yet",
            CertProblem::NameMismatch => "it does not name the host",
            CertProblem::Other(why) => why,
        })
    }
}

/// What a server showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertReport {
    /// Host asked for.
    pub host: String,
    /// Port asked at.
    pub port: u16,
    /// Why no certificate arrived; everything below is then empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// What is wrong with the chain; empty means it verifies.
    pub problems: Vec<CertProblem>,
    /// It verifies by the public authorities alone, without those of the target file.
    pub public: bool,
    /// The chain as sent, DER, leaf first; not kept in files.
    #[serde(skip)]
    pub chain: Vec<Vec<u8>>,
    /// Lower-case hexadecimal SHA-256 of the leaf's SubjectPublicKeyInfo.
    pub leaf_spki_sha256: String,
    /// Begin of the leaf's validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// End of the leaf's validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// DNS names and addresses of the leaf's subject alternative names.
    pub names: Vec<String>,
    /// The host stands in the subject's common name, but in no subject alternative name (RFC 9525 2 does not look there).
    pub only_in_common_name: bool,
    /// `TLSv1_2`, `TLSv1_3`; empty where the handshake did not end.
    pub version: String,
    /// The recorded probe.
    pub exchange: ExchangeId,
}

impl CertReport {
    /// A certificate arrived and everything about it is in order.
    pub fn verified(&self) -> bool {
        self.cut.is_none() && self.problems.is_empty()
    }
}

/// SHA-256 of the SubjectPublicKeyInfo of a certificate in DER; `None` where it is not one.
pub fn spki_sha256(der: &[u8]) -> Option<[u8; 32]> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    digest(&SHA256, certificate.public_key().raw).as_ref().try_into().ok()
}

/// Whom to trust.
#[derive(Clone, Debug)]
pub struct Trust {
    provider: Arc<CryptoProvider>,
    all: Arc<WebPkiServerVerifier>,
    public: Arc<WebPkiServerVerifier>,
}

impl Trust {
    /// The public authorities and these, in DER.
    ///
    /// # Errors
    /// One of them is not a certificate.
    pub fn new(extra: &[Vec<u8>]) -> Result<Trust, String> {
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let public = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let mut all = public.clone();
        for der in extra {
            all.add(CertificateDer::from(der.as_slice())).map_err(|error| format!("an authority is unusable: {error}"))?;
        }
        let verifier = |roots| {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| error.to_string())
        };
        Ok(Trust { all: verifier(all)?, public: verifier(public)?, provider })
    }
}

impl Probing<'_> {
    /// Completes a handshake with what rustls has (TLS 1.2 and 1.3) and reports on the certificate.
    pub async fn cert(&self, host: &str, port: u16, trust: &Trust) -> CertReport {
        let probe = Probe::start("is the certificate valid?", "TLS", format!("{host}:{port}"));
        let witness = Arc::new(Witness { trust: trust.clone(), seen: Mutex::default() });
        let outcome = tokio::time::timeout(self.deadline, self.shake(host, port, &witness)).await;
        let seen = witness.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (version, cut) = match outcome {
            Ok(Ok(version)) => (version, None),
            Ok(Err(cut)) => (String::new(), Some(cut)),
            Err(_) => (String::new(), Some(Cut::Timeout)),
        };
        let mut report = CertReport {
            host: host.to_owned(),
            port,
            // Once the chain is there, a handshake that fails later (a demand for a client certificate, say) is no matter of the certificate.
            cut: cut.clone().filter(|_| seen.is_none()),
            problems: Vec::new(),
            public: false,
            chain: Vec::new(),
            leaf_spki_sha256: String::new(),
            not_before: None,
            not_after: None,
            names: Vec::new(),
            only_in_common_name: false,
            version,
            exchange: String::new(),
        };
        if let Some(seen) = seen {
            report.public = seen.public;
            report.problems.extend(seen.problem);
            report.chain = seen.chain;
            report.look_at_leaf();
        }
        let response = words(report.describe());
        report.exchange =
            self.record(&probe, words("handshake with TLS 1.2 or 1.3".into()), response, 0, cut.map(|cut| cut.to_string()));
        report
    }

    async fn shake(&self, host: &str, port: u16, witness: &Arc<Witness>) -> Result<String, Cut> {
        let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_owned();
        let name = ServerName::try_from(bare).map_err(|error| Cut::Other(format!("{host}: {error}")))?;
        let tcp = self.resolve.connect(host, port).await.map_err(|error| Cut::connecting(&error))?;
        let config = ClientConfig::builder_with_provider(Arc::clone(&witness.trust.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Cut::Other(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(witness) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(|error| Cut::of(&error))?;
        Ok(stream.get_ref().1.protocol_version().map_or_else(String::new, |version| format!("{version:?}")))
    }
}

impl CertReport {
    fn look_at_leaf(&mut self) {
        let Some(der) = self.chain.first().cloned() else { return };
        let Ok((_, leaf)) = X509Certificate::from_der(&der) else {
            self.add(CertProblem::Other("the leaf is not an X.509 certificate".into()));
            return;
        };
        self.leaf_spki_sha256 = spki_sha256(&der).unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect();
        self.not_before = Timestamp::from_second(leaf.validity().not_before.timestamp()).ok();
        self.not_after = Timestamp::from_second(leaf.validity().not_after.timestamp()).ok();
        if let Ok(Some(names)) = leaf.subject_alternative_name() {
            self.names = names.value.general_names.iter().filter_map(written).collect();
        }
        // A verifier stops at the first problem; the others can be seen without it.
        let now = Timestamp::now();
        if self.not_after.is_some_and(|end| end < now) {
            self.add(CertProblem::Expired);
        }
        if self.not_before.is_some_and(|begin| begin > now) {
            self.add(CertProblem::NotYetValid);
        }
        let bare = self.host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_owned();
        if let Ok(name) = ServerName::try_from(bare.clone()) {
            let leaf = CertificateDer::from(der.as_slice());
            let named = ParsedCertificate::try_from(&leaf).and_then(|leaf| verify_server_name(&leaf, &name));
            if named.is_err() {
                self.add(CertProblem::NameMismatch);
            }
        }
        self.only_in_common_name = self.problems.contains(&CertProblem::NameMismatch)
            && leaf.subject().iter_common_name().any(|name| name.as_str().is_ok_and(|name| name.eq_ignore_ascii_case(&bare)));
    }

    fn add(&mut self, problem: CertProblem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn describe(&self) -> String {
        if let Some(cut) = &self.cut {
            return format!("no certificate: {cut}");
        }
        let mut lines = vec![format!(
            "{} certificates, {}",
            self.chain.len(),
            if self.version.is_empty() { "handshake not completed" } else { &self.version }
        )];
        lines.push(format!("names: {}", self.names.join(", ")));
        if let (Some(begin), Some(end)) = (self.not_before, self.not_after) {
            lines.push(format!("valid: {begin} to {end}"));
        }
        lines.extend(self.problems.iter().map(|problem| format!("problem: {problem}")));
        lines.join("\n")
    }
}

fn written(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}

/// Keeps what it is shown, and lets everything pass.
#[derive(Debug)]
struct Witness {
    trust: Trust,
    seen: Mutex<Option<Seen>>,
}

#[derive(Debug)]
struct Seen {
    chain: Vec<Vec<u8>>,
    problem: Option<CertProblem>,
    public: bool,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let problem = self.trust.all.verify_server_cert(leaf, rest, name, ocsp, now).err().map(|error| problem(&error));
        let public = self.trust.public.verify_server_cert(leaf, rest, name, ocsp, now).is_ok();
        let chain = std::iter::once(leaf).chain(rest).map(|der| der.to_vec()).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen { chain, problem, public });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.all.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.all.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.all.supported_verify_schemes()
    }
}

fn problem(error: &Error) -> CertProblem {
    match error {
        Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer => CertProblem::UntrustedIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertProblem::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => CertProblem::NotYetValid,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => CertProblem::NameMismatch,
            other => CertProblem::Other(other.to_string()),
        },
        other => CertProblem::Other(other.to_string()),
    }
}

#[cfg(test)]
#[path = "cert_tests.rs"]
mod tests;
