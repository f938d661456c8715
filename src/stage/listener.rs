//! TLS in front of a mock server: our own certificate authority, and an acceptor that hands the clear bytes to wiremock.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
    SanType,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Respond};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::wire::jose::from_pem;

/// Why an endpoint of ours could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenFault {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// What was asked for.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A certificate authority cannot be taken from its files.
    #[error("the certificate authority cannot be used: {0}")]
    Authority(String),
}

/// A certificate authority: one that lives as long as the run, or one that an operator keeps.
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

impl std::fmt::Debug for TestCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TestCa")
    }
}

impl TestCa {
    /// A fresh P-256 authority.
    pub fn new(name: &str) -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let cert = params.self_signed(&key)?;
        Ok(TestCa { der: cert.der().clone(), pem: cert.pem(), issuer: Issuer::new(params, key) })
    }

    /// An authority from its files: the (first) certificate of the one, the private key (PKCS #8, PKCS #1 or SEC 1) of the other.
    ///
    /// # Errors
    /// Not PEM, not a certificate of an authority, not its key.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, ListenFault> {
        let fault = |what: &str| ListenFault::Authority(what.to_owned());
        let certificates = from_pem("CERTIFICATE", cert_pem).map_err(|error| ListenFault::Authority(error.to_string()))?;
        let first = certificates.into_iter().next().ok_or_else(|| fault("its file holds no CERTIFICATE in PEM"))?;
        let (_, parsed) = X509Certificate::from_der(&first).map_err(|_| fault("its certificate is not X.509 in DER"))?;
        if !parsed.is_ca() {
            return Err(fault("its certificate is not one of an authority (basicConstraints without cA)"));
        }
        let key = KeyPair::from_pem(key_pem).map_err(|_| fault("its key is not an unencrypted private key in PEM"))?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(fault("its key does not belong to its certificate"));
        }
        let der = CertificateDer::from(first);
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        let body = STANDARD.encode(&der);
        let lines: Vec<&str> = body.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
        Ok(TestCa { issuer, der, pem })
    }

    /// The authority's certificate.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The authority's certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The authority's private key in PEM (PKCS #8), for the operator's own keeping.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A leaf for these names (or addresses), with the chain to this authority.
    pub fn leaf(&self, names: &[String]) -> Result<Arc<CertifiedKey>, rcgen::Error> {
        let key = KeyPair::generate()?;
        let cert = leaf_params(names)?.signed_by(&key, &self.issuer)?;
        certified(vec![cert.der().clone(), self.der.clone()], &key)
    }

    /// The same with a key of the caller's choice, and other parameters changed.
    pub(super) fn leaf_with(
        &self,
        names: &[String],
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<Vec<CertificateDer<'static>>, rcgen::Error> {
        let mut params = leaf_params(names)?;
        change(&mut params);
        Ok(vec![params.signed_by(key, &self.issuer)?.der().clone(), self.der.clone()])
    }
}

/// What a server certificate for these names (or addresses) says. Strict verifiers (Python 3.13, say) insist on the key identifier of the
/// authority (RFC 5280 4.2.1.1), some on the extended key usage.
pub(super) fn leaf_params(names: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names
        .iter()
        .map(|name| match name.parse() {
            Ok(address) => Ok(SanType::IpAddress(address)),
            Err(_) => Ok(SanType::DnsName(name.clone().try_into()?)),
        })
        .collect::<Result<_, rcgen::Error>>()?;
    params.distinguished_name.push(DnType::CommonName, names.first().map_or("localhost", String::as_str));
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// A chain with its key, as rustls wants it.
pub(super) fn certified(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Result<Arc<CertifiedKey>, rcgen::Error> {
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signing = aws_lc_rs::sign::any_supported_type(&private).map_err(|_| rcgen::Error::RemoteKeyError)?;
    Ok(Arc::new(CertifiedKey::new(chain, signing)))
}

/// Mints a certificate for whatever name a client asks for; `instead` presents another name's certificate (a defect).
struct Minting {
    ca: Arc<TestCa>,
    instead: HashMap<String, String>,
    minted: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl std::fmt::Debug for Minting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Minting")
    }
}

impl ResolvesServerCert for Minting {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name().unwrap_or("127.0.0.1");
        let name = self.instead.get(asked).map_or(asked, String::as_str).to_owned();
        let mut minted = self.minted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = minted.get(&name) {
            return Some(known.clone());
        }
        let made = self.ca.leaf(std::slice::from_ref(&name)).ok()?;
        minted.insert(name, made.clone());
        Some(made)
    }
}

/// How an endpoint speaks TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsShape {
    /// Server name asked for -> name of the certificate presented, where they shall differ.
    pub instead: HashMap<String, String>,
    /// TLS 1.2 suites by IANA name to offer; empty takes the four that RFC 9325 4.2 recommends.
    pub suites: Vec<&'static str>,
}

/// A mock server without TLS, behind a [`TlsFront`] or for clear text.
///
/// wiremock's drop waits for a tokio lock with another executor. Inside a task whose cooperative budget is used up, tokio
/// postpones the wake-up to a moment that never comes, and the drop hangs for ever. A thread of its own has no such budget.
#[derive(Debug)]
pub struct ClearServer {
    /// Where it listens.
    pub addr: SocketAddr,
    server: Option<MockServer>,
}

impl ClearServer {
    /// Listens on `listen` and answers every request with `respond`.
    pub async fn start(listen: &str, respond: impl Respond + 'static) -> Result<Self, ListenFault> {
        let bind = |source| ListenFault::Bind { address: listen.to_owned(), source };
        let listener = std::net::TcpListener::bind(listen).map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let server = MockServer::builder().listener(listener).disable_request_recording().start().await;
        Mock::given(any()).respond_with(respond).mount(&server).await;
        Ok(ClearServer { addr, server: Some(server) })
    }
}

impl Drop for ClearServer {
    fn drop(&mut self) {
        let server = self.server.take();
        if let Ok(thread) = std::thread::Builder::new().spawn(move || drop(server)) {
            let _ = thread.join();
        }
    }
}

/// Decides what to do with a connection from its first bytes, before TLS: `Some(bytes)` are written and the connection is
/// closed. Lets a reference peer answer a ClientHello as a server with obsolete settings would.
pub type FirstBytes = Arc<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// A TLS endpoint that passes clear bytes on to a mock server. Dropping it closes the endpoint.
#[derive(Debug)]
pub struct TlsFront {
    /// Where it listens.
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsFront {
    /// Listens on `listen` and forwards to `upstream`.
    pub async fn start(
        ca: Arc<TestCa>,
        listen: &str,
        upstream: SocketAddr,
        shape: TlsShape,
        first: Option<FirstBytes>,
    ) -> Result<Self, ListenFault> {
        let bind = |source| ListenFault::Bind { address: listen.to_owned(), source };
        let listener = TcpListener::bind(listen).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let acceptor = TlsAcceptor::from(Arc::new(server_config(ca, shape)));
        let task = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let (acceptor, first) = (acceptor.clone(), first.clone());
                tokio::spawn(async move {
                    // A peer that opens a connection and says nothing must not hold it for ever.
                    let _ = tokio::time::timeout(Duration::from_secs(120), serve(client, &acceptor, upstream, first)).await;
                });
            }
        });
        Ok(TlsFront { addr, task })
    }
}

async fn serve(
    mut client: TcpStream,
    acceptor: &TlsAcceptor,
    upstream: SocketAddr,
    first: Option<FirstBytes>,
) -> std::io::Result<()> {
    if let Some(first) = first {
        let mut head = [0; 2048];
        let seen = client.peek(&mut head).await?;
        if let Some(answer) = first(&head[..seen]) {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            // Taken off the socket, else closing with unread bytes resets the connection before the answer is read.
            let _ = client.read(&mut head).await?;
            client.write_all(&answer).await?;
            return client.shutdown().await;
        }
    }
    client.set_nodelay(true)?;
    let mut clear = acceptor.accept(client).await?;
    let mut server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut clear, &mut server).await.map(drop)
}

fn server_config(ca: Arc<TestCa>, shape: TlsShape) -> ServerConfig {
    const RECOMMENDED: [&str; 4] = [
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    ];
    let wanted = |suite: &&SupportedCipherSuite| {
        let name = format!("{:?}", suite.suite());
        name.starts_with("TLS13")
            || shape.suites.contains(&name.as_str())
            || (shape.suites.is_empty() && RECOMMENDED.contains(&name.as_str()))
    };
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = aws_lc_rs::ALL_CIPHER_SUITES.iter().filter(wanted).copied().collect();
    let versions: &[&'static SupportedProtocolVersion] = tokio_rustls::rustls::ALL_VERSIONS;
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .expect("the provider has suites for both versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Minting { ca, instead: shape.instead, minted: Mutex::default() }));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use wiremock::ResponseTemplate;

    #[test]
    fn an_authority_survives_its_files_and_a_foreign_key_is_refused() {
        let (ca, other) = (TestCa::new("kept").unwrap(), TestCa::new("other").unwrap());
        let again = TestCa::from_pem(ca.pem(), &ca.key_pem()).unwrap();
        assert_eq!((again.der(), again.pem().replace('\r', "")), (ca.der(), ca.pem().replace('\r', "")));
        let leaf = again.leaf(&["op.suite.test".into(), "127.0.0.1".into()]).unwrap();
        let (_, parsed) = X509Certificate::from_der(&leaf.cert[0]).unwrap();
        let (_, issuer) = X509Certificate::from_der(ca.der()).unwrap();
        assert_eq!(parsed.issuer(), issuer.subject());
        for (cert, key) in
            [(ca.pem(), other.key_pem()), ("", ca.key_pem()), (ca.pem(), String::new()), (ca.pem(), ca.pem().to_owned())]
        {
            assert!(matches!(TestCa::from_pem(cert, &key), Err(ListenFault::Authority(_))), "{cert}");
        }
    }

    #[tokio::test]
    async fn a_client_that_trusts_the_ca_reaches_the_mock_by_any_name() {
        let mock = ClearServer::start("127.0.0.1:0", ResponseTemplate::new(204)).await.unwrap();
        let ca = Arc::new(TestCa::new("test ca").unwrap());
        let front = TlsFront::start(ca.clone(), "127.0.0.1:0", mock.addr, TlsShape::default(), None).await.unwrap();
        let mut roots = tokio_rustls::rustls::RootCertStore::empty();
        roots.add(CertificateDer::from(ca.der().to_vec())).unwrap();
        let tls = tokio_rustls::rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client =
            reqwest::Client::builder().tls_backend_preconfigured(tls).resolve("rp.suite.test", front.addr).build().unwrap();
        let status = client.get("https://rp.suite.test/cb/a").send().await.unwrap().status();
        assert_eq!(status, 204);
    }
}
