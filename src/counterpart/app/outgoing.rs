//! What the application sends to the provider: HTTPS by BCP 195, certificates checked, no redirects, small bodies.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use url::Url;

use super::defect::Defect;
use crate::stage::resolve::Resolve;
use crate::wire::tls_hello::{HelloSpec, Version, client_hello};
use crate::wire::tls_suites;

/// Seconds one exchange may take.
const TIMEOUT_S: u64 = 10;
/// Bytes of an answer that are read.
const BODY_LIMIT: usize = 512 * 1024;

/// The clients; one each for the endpoints whose certificate check a defect loosens.
pub struct Outgoing {
    strict: reqwest::Client,
    metadata: reqwest::Client,
    token: reqwest::Client,
    resolve: Resolve,
    obsolete: bool,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body as JSON; null when it is none.
    pub json: Value,
}

impl Answer {
    /// A header field, empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Outgoing {
    /// Clients that trust `roots` only (the public authorities when there are none) and find hosts by `resolve`.
    pub fn new(roots: &[Vec<u8>], resolve: Resolve, defects: &[Defect]) -> Result<Self, String> {
        let has = |defect| defects.contains(&defect);
        let build = |trust: Trust| client(roots, &resolve, trust, has(Defect::TlsClientCiphers));
        let loosened = |defect, trust| build(if has(defect) { trust } else { Trust::Full });
        Ok(Outgoing {
            strict: build(Trust::Full)?,
            metadata: loosened(Defect::TlsCertCheckDiscovery, Trust::Nothing)?,
            token: loosened(Defect::TlsCertCheckToken, Trust::AnyName)?,
            obsolete: has(Defect::Tls12MinimumClient),
            resolve,
        })
    }

    /// A GET of the metadata document.
    pub async fn metadata(&self, url: &str) -> Result<Answer, String> {
        send(self.metadata.get(url).header("accept", "application/json")).await
    }

    /// A GET of the JWK Set or of UserInfo.
    pub async fn get(&self, url: &str, headers: &[(&'static str, String)]) -> Result<Answer, String> {
        let request = self.strict.get(url).header("accept", "application/json, application/jwk-set+json");
        send(headers.iter().fold(request, |request, (name, value)| request.header(*name, value))).await
    }

    /// A form POST to the token endpoint.
    pub async fn token(&self, url: &str, form: &[(&str, &str)], proof: Option<String>) -> Result<Answer, String> {
        if self.obsolete {
            // What comes of it does not matter: the login goes on in a connection of its own.
            let _ = tokio::time::timeout(Duration::from_secs(2), self.obsolete_handshake(url)).await;
        }
        let request = self.token.post(url).header("accept", "application/json").form(form);
        send(match proof {
            Some(proof) => request.header("dpop", proof),
            None => request,
        })
        .await
    }

    /// A JSON POST with a bearer token; only the status is of interest.
    pub async fn post(&self, url: &str, bearer: &str, body: &Value) -> Result<Answer, String> {
        let request = self.strict.post(url).header("accept", "application/json").header("cache-control", "no-cache");
        send(request.bearer_auth(bearer).header("content-type", "application/json").body(body.to_string())).await
    }

    /// As a client that still takes TLS 1.0 and 1.1: goes on after a ServerHello with one of them.
    async fn obsolete_handshake(&self, url: &str) -> std::io::Result<()> {
        let url = Url::parse(url).map_err(std::io::Error::other)?;
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
        let mut spec = HelloSpec::new(Version::Tls12, [&tls_suites::RECOMMENDED[..], &[0xc013, 0xc014, 0x002f, 0x0035]].concat());
        spec.versions = vec![Version::Tls10, Version::Tls11, Version::Tls12];
        spec.host = Some(host.to_owned());
        let _ = ::aws_lc_rs::rand::fill(&mut spec.random);
        let mut stream = self.resolve.connect(host, port).await?;
        stream.write_all(&client_hello(&spec)).await?;
        let mut head = [0; 11];
        stream.read_exact(&mut head).await?;
        // Record type 22, handshake type 2, and a version below 3.3.
        if head[0] == 22 && head[5] == 2 && head[9] == 3 && head[10] < 3 {
            let version = head[10];
            // ClientKeyExchange with an encrypted secret of 128 bytes (RFC 4346 7.4.7.1), then ChangeCipherSpec.
            let mut records = vec![22, 3, version, 0, 134, 16, 0, 0, 130, 0, 128];
            records.extend([0x5c; 128]);
            records.extend([20, 3, version, 0, 1, 1]);
            stream.write_all(&records).await?;
            // Time for the peer to see them.
            let mut rest = [0; 256];
            let _ = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut rest)).await;
        }
        stream.shutdown().await
    }
}

async fn send(request: reqwest::RequestBuilder) -> Result<Answer, String> {
    let mut response = request.send().await.map_err(|error| explain(&error))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| explain(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_LIMIT {
            return Err("the answer is too large".into());
        }
    }
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Answer { status, headers, json })
}

/// The cause at the bottom says it best.
fn explain(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let place = error.url().map(|url| format!("{}: ", url.origin().ascii_serialization())).unwrap_or_default();
    format!("{place}{cause}")
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Trust {
    Full,
    /// The certificate may be for another name: a defect.
    AnyName,
    /// No check at all: a defect.
    Nothing,
}

fn client(roots: &[Vec<u8>], resolve: &Resolve, trust: Trust, more_suites: bool) -> Result<reqwest::Client, String> {
    let mut provider = aws_lc_rs::default_provider();
    if !more_suites {
        let recommended = tls_suites::RECOMMENDED;
        provider.cipher_suites.retain(|suite| suite.tls13().is_some() || recommended.contains(&u16::from(suite.suite())));
    }
    let provider = Arc::new(provider);
    let mut store = RootCertStore::empty();
    if roots.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    store.add_parsable_certificates(roots.iter().map(|der| CertificateDer::from(der.clone())));
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut tls = if trust == Trust::Full {
        builder.with_root_certificates(store).with_no_client_auth()
    } else {
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone()).build();
        let inner = inner.map_err(|error| error.to_string())?;
        let loose = Loose { inner, trust, provider };
        builder.dangerous().with_custom_certificate_verifier(Arc::new(loose)).with_no_client_auth()
    };
    // Every connection shows its certificate: a resumed one would not.
    tls.resumption = Resumption::disabled();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(TIMEOUT_S))
        .pool_max_idle_per_host(0)
        .no_proxy()
        .user_agent("reference-application")
        .dns_resolver(Arc::new(resolve.clone()))
        .build()
        .map_err(|error| error.to_string())
}

/// Checks less than it should.
#[derive(Debug)]
struct Loose {
    inner: Arc<WebPkiServerVerifier>,
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Loose {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.trust == Trust::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        match self.inner.verify_server_cert(leaf, chain, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
