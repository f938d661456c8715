//! The form agent's HTTP client: one request at a time, no redirects, names resolved as configured.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, Method};
use tokio_rustls::rustls;
use url::Url;

use super::{AgentConfig, AgentFault};

/// Bodies are read up to this many bytes.
const BODY: usize = 2 * 1024 * 1024;

/// Sets up TLS: the public roots and these DER certificates.
pub(super) fn tls(builder: ClientBuilder, roots: &[Vec<u8>]) -> Result<ClientBuilder, AgentFault> {
    let failed = |e: rustls::Error| AgentFault::NoBrowser(format!("TLS could not be set up: {e}"));
    let mut store = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for der in roots {
        store.add(der.clone().into()).map_err(failed)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(failed)?;
    Ok(builder.tls_backend_preconfigured(tls.with_root_certificates(store).with_no_client_auth()))
}

/// The client with the configured name resolution.
#[derive(Clone)]
pub(super) struct FormClient {
    http: Client,
    rules: Arc<Vec<(String, String)>>,
}

/// A request.
pub(super) struct Request<'a> {
    pub method: &'a str,
    pub url: &'a Url,
    pub headers: &'a [(String, String)],
    pub body: Option<&'a str>,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub(super) struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this (lower-case) name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl FormClient {
    pub(super) fn new(config: &AgentConfig) -> Result<Self, AgentFault> {
        let rules = Arc::new(config.resolve.clone());
        let builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(config.deadline)
            .no_proxy()
            .dns_resolver(Arc::new(Names(Arc::clone(&rules))));
        let http = tls(builder, &config.roots)?.build().map_err(|e| AgentFault::NoBrowser(reason(&e)))?;
        Ok(FormClient { http, rules })
    }

    /// Sends one request. The error says why no response arrived, in the manner of a browser.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Response, String> {
        let mut url = request.url.clone();
        url.set_fragment(None);
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let authority = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        // The resolver sees names only, so that another port is dialled by writing it into the URL. An IP address never
        // gets to the resolver at all.
        if let Some(to) = rule(&self.rules, &host, Some(port)).and_then(|to| to.parse::<SocketAddr>().ok()) {
            let _ = url.set_port(Some(to.port()));
        }
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|e| e.to_string())?;
        let mut builder = self.http.request(method, url).header("host", authority);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body.to_owned());
        }
        let mut answer = builder.send().await.map_err(|e| reason(&e))?;
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let mut response = Response { status: answer.status().as_u16(), headers, body: Vec::new() };
        while let Some(chunk) = answer.chunk().await.map_err(|e| reason(&e))? {
            response.body.extend_from_slice(&chunk);
            if response.body.len() > BODY {
                response.body.truncate(BODY);
                break;
            }
        }
        Ok(response)
    }
}

/// The address a host (and port) is mapped to. Exact names go before `*.name`.
fn rule<'a>(rules: &'a [(String, String)], host: &str, port: Option<u16>) -> Option<&'a str> {
    let find = |wild: bool| {
        rules.iter().find(|(from, _)| {
            let (name, of) = match from.rsplit_once(':') {
                Some((name, of)) if of.bytes().all(|byte| byte.is_ascii_digit()) => (name, of.parse::<u16>().ok()),
                _ => (&**from, None),
            };
            let fits = match (wild, name.strip_prefix('*')) {
                (true, Some(end)) => host.len() > end.len() && host.to_ascii_lowercase().ends_with(&end.to_ascii_lowercase()),
                (false, None) => name.eq_ignore_ascii_case(host),
                _ => false,
            };
            fits && (port.is_none() || of.is_none() || of == port)
        })
    };
    find(false).or_else(|| find(true)).map(|(_, to)| to.as_str())
}

struct Names(Arc<Vec<(String, String)>>);

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let to = rule(&self.0, name.as_str(), None).map(str::to_owned);
        Box::pin(async move {
            let asked = match to {
                Some(to) if to.contains(':') => to,
                Some(to) => format!("{to}:0"),
                None => format!("{}:0", name.as_str()),
            };
            let found = tokio::task::spawn_blocking(move || asked.to_socket_addrs()).await??;
            // The port comes from the URL.
            let found: Vec<SocketAddr> = found.map(|address| SocketAddr::new(address.ip(), 0)).collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The innermost reason, which says more than "error sending request".
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer within the deadline".into();
    }
    let mut source: &dyn std::error::Error = error;
    while let Some(inner) = source.source() {
        source = inner;
    }
    source.to_string()
}
