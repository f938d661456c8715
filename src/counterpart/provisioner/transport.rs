//! HTTPS to the application: certificates verified, no redirects, small bodies, what a lost answer looks like.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::stage::http::root_store;
use crate::stage::resolve::Resolve;

/// How long idle connections are kept.
const IDLE: Duration = Duration::from_secs(2);
/// Bytes of an answer that are read.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After` as sent.
    pub retry_after: Option<String>,
    /// Body.
    pub text: String,
    /// Body as JSON; null when it is none.
    pub json: Value,
}

impl Answer {
    /// Status 2xx.
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Status and detail, for the list of problems.
    pub fn describe(&self) -> String {
        let detail = ["detail", "error_description", "error"].iter().find_map(|name| self.json[*name].as_str());
        format!("status {} {}", self.status, detail.unwrap_or_default()).trim_end().to_owned()
    }
}

/// A client that trusts the public authorities and `roots`; `verify` off is a defect. A request without an answer after `timeout` counts
/// as lost.
pub fn client(roots: &[Vec<u8>], resolve: &Resolve, timeout: Duration, verify: bool) -> Result<reqwest::Client, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let tls = if verify {
        builder.with_root_certificates(root_store(roots)).with_no_client_auth()
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anything(provider))).with_no_client_auth()
    };
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(timeout)
        .pool_idle_timeout(IDLE)
        .no_proxy()
        .user_agent("reference-identity-service")
        .dns_resolver(Arc::new(resolve.clone()))
        .build()
        .map_err(|error| error.to_string())
}

/// Sends, and reads the whole answer. An error says that none arrived, whatever the other side did.
pub async fn send(request: reqwest::RequestBuilder) -> Result<Answer, String> {
    let mut response = request.send().await.map_err(|error| explain(&error))?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| explain(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_LIMIT {
            return Err("the answer is too large".into());
        }
    }
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Answer { status, retry_after, text: String::from_utf8_lossy(&body).into_owned(), json })
}

/// The cause at the bottom says it best.
fn explain(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// A defect: takes every certificate.
#[derive(Debug)]
struct Anything(Arc<CryptoProvider>);

impl ServerCertVerifier for Anything {
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
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
