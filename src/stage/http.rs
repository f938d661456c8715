//! The suite's own HTTP client: no redirects followed, bodies capped, every exchange recorded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::Method;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::recorder::{Raw, RawExchange, Recorder};
use super::resolve::Resolve;
use crate::model::target::Network;
use crate::model::{ExchangeId, Party};

/// Bodies are read up to this size; what is beyond is not needed for any verdict.
const BODY_CAP: usize = 1024 * 1024;

/// Why no complete response arrived: a fault of the network or a hostile peer, never a verdict.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{method} {url}: {why}")]
pub struct NetFault {
    /// Request method.
    pub method: String,
    /// Request URL without its query.
    pub url: String,
    /// What happened.
    pub why: String,
    /// The recorded attempt.
    pub exchange: ExchangeId,
    /// TLS refused the peer's certificate.
    pub certificate: bool,
}

/// A request of the suite.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Request method.
    pub method: Method,
    /// Absolute URL.
    pub url: String,
    /// Header fields besides those the client adds.
    pub headers: Vec<(String, String)>,
    /// Body with its media type.
    pub body: Option<(String, Vec<u8>)>,
}

impl Ask {
    /// A GET.
    pub fn get(url: impl Into<String>) -> Self {
        Ask { method: Method::GET, url: url.into(), headers: Vec::new(), body: None }
    }

    /// A form-encoded POST.
    pub fn form(url: impl Into<String>, fields: &[(String, String)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Ask {
            method: Method::POST,
            url: url.into(),
            // Some products choose the form of an error by it.
            headers: vec![("accept".into(), "application/json".into())],
            body: Some(("application/x-www-form-urlencoded".into(), body.into_bytes())),
        }
    }

    /// A JSON POST.
    pub fn json(url: impl Into<String>, body: &Value) -> Self {
        Ask {
            method: Method::POST,
            url: url.into(),
            headers: Vec::new(),
            body: Some(("application/json".into(), body.to_string().into_bytes())),
        }
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A response, bytes kept.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header fields, names lower-case.
    pub headers: Vec<(String, String)>,
    /// Body, up to 1 MiB.
    pub body: Vec<u8>,
    /// The recorded exchange.
    pub exchange: ExchangeId,
}

impl Reply {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON, where it is.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The media type without parameters, lower-case.
    pub fn media_type(&self) -> String {
        self.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

/// Client, recorder and pace of a run.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    recorder: Arc<Recorder>,
    timeout: Duration,
    /// Least time between two requests, and when the next may go.
    pace: Option<(Duration, Arc<Mutex<Instant>>)>,
}

/// Public roots plus the given ones.
pub fn root_store(extra: &[Vec<u8>]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    roots.add_parsable_certificates(extra.iter().map(|der| CertificateDer::from(der.clone())));
    roots
}

impl Http {
    /// A client that trusts the public roots and `roots`, and resolves as `network` and `resolve` say.
    pub fn new(network: &Network, resolve: &Resolve, roots: &[Vec<u8>], recorder: Arc<Recorder>) -> Result<Self, reqwest::Error> {
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider supports TLS 1.2 and 1.3")
            .with_root_certificates(root_store(roots))
            .with_no_client_auth();
        let timeout = Duration::from_secs(network.timeout_s.max(1));
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .timeout(timeout)
            .pool_idle_timeout(Duration::from_secs(5))
            .no_proxy()
            .user_agent(concat!("ipsie-conform/", env!("CARGO_PKG_VERSION")));
        builder = builder.dns_resolver(Arc::new(resolve.clone()));
        let pace = (network.rate > 0)
            .then(|| (Duration::from_secs_f64(1.0 / f64::from(network.rate)), Arc::new(Mutex::new(Instant::now()))));
        Ok(Http { client: builder.build()?, recorder, timeout, pace })
    }

    /// Sends, reads and records. A read whose connection breaks is tried once more: idle sockets are reset under load.
    pub async fn send(&self, scenario: &str, step: &str, ask: Ask) -> Result<Reply, NetFault> {
        match self.once(scenario, step, &ask, Party::Target).await {
            Err(fault)
                if ask.method == Method::GET
                    && !fault.certificate
                    && !fault.why.contains("longer than")
                    && !too_large(&fault.why) =>
            {
                self.once(scenario, step, &ask, Party::Target).await
            }
            outcome => outcome,
        }
    }

    /// As [`Http::send`], to an operator's hook.
    pub async fn call_hook(&self, scenario: &str, step: &str, ask: &Ask) -> Result<Reply, NetFault> {
        self.once(scenario, step, ask, Party::Hook).await
    }

    /// Waits until `network.rate` lets somebody send, and takes the places of so many requests. A browser follows redirects by itself, so
    /// a visit takes its first place before it starts ([`Http::turn`]) and the others when they are known ([`Http::owe`]).
    pub async fn turn(&self, requests: u32) {
        let Some((gap, next)) = &self.pace else { return };
        let mut next = next.lock().await;
        tokio::time::sleep_until((*next).into()).await;
        *next = Instant::now() + *gap * requests;
    }

    /// So many requests were sent besides: whoever comes next waits the longer.
    pub async fn owe(&self, requests: u32) {
        let Some((gap, next)) = &self.pace else { return };
        let mut next = next.lock().await;
        *next = (*next).max(Instant::now()) + *gap * requests;
    }

    async fn once(&self, scenario: &str, step: &str, ask: &Ask, to: Party) -> Result<Reply, NetFault> {
        self.turn(1).await;
        let mut request = self.client.request(ask.method.clone(), &ask.url);
        let mut sent = ask.headers.clone();
        if let Some((media_type, body)) = &ask.body {
            sent.push(("content-type".into(), media_type.clone()));
            request = request.body(body.clone());
        }
        for (name, value) in &sent {
            request = request.header(name, value);
        }
        let (started_at, clock) = (Timestamp::now(), Instant::now());
        let outcome = match request.send().await {
            Ok(response) => read(response).await,
            Err(error) => Err((0, Vec::new(), self.explain(&error))),
        };
        let (status, headers, body, why) = match &outcome {
            Ok((status, headers, body)) => (*status, headers.clone(), Some(body.clone()), None),
            Err((status, headers, why)) => (*status, headers.clone(), None, Some(why.clone())),
        };
        let exchange = self.recorder.record(RawExchange {
            scenario,
            step,
            from: Party::Suite,
            to,
            started_at,
            took: clock.elapsed(),
            method: ask.method.as_str(),
            url: &ask.url,
            request: Raw { headers: sent, body: ask.body.as_ref().map(|(_, body)| body.clone()) },
            status,
            response: Raw { headers, body },
            fault: why,
        });
        match outcome {
            Ok((status, headers, body)) => Ok(Reply { status, headers, body, exchange }),
            Err((_, _, why)) => Err(NetFault {
                method: ask.method.to_string(),
                url: ask.url.split(['?', '#']).next().unwrap_or_default().to_owned(),
                certificate: why.contains("certificate"),
                why,
                exchange,
            }),
        }
    }

    /// The cause at the bottom says it best ("connection refused", "invalid peer certificate: UnknownIssuer").
    fn explain(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no complete response; it took longer than {} s", self.timeout.as_secs());
        }
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        cause.to_string()
    }
}

/// An answer came, and was too large to be read.
pub fn too_large(fault: &str) -> bool {
    fault.contains("the body is larger than")
}

type Head = Vec<(String, String)>;

async fn read(mut response: reqwest::Response) -> Result<(u16, Head, Vec<u8>), (u16, Head, String)> {
    let status = response.status().as_u16();
    let headers: Head = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                body.extend_from_slice(&chunk);
                if body.len() > BODY_CAP {
                    return Err((status, headers, format!("the body is larger than {} KiB; reading stopped", BODY_CAP / 1024)));
                }
            }
            Ok(None) => return Ok((status, headers, body)),
            Err(error) if error.is_timeout() => {
                return Err((status, headers, "no complete response; the body took longer than the time limit".into()));
            }
            Err(error) => return Err((status, headers, format!("the body broke off: {error}"))),
        }
    }
}
