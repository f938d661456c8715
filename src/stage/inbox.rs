//! What reaches the suite unasked: commands, logout tokens and revocation requests of an identity service, at fixed paths below
//! `counterpart.public_url`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;
use wiremock::{Request, Respond, ResponseTemplate};

use super::recorder::{Raw, RawExchange, Recorder};
use crate::model::{ExchangeId, Party};

/// Delivery binding -> path of the suite's endpoint below `counterpart.public_url`.
pub const ENDPOINTS: [(&str, &str); 3] = [
    ("op-commands", "/commands"),
    ("backchannel-logout", "/backchannel-logout"),
    ("token-revocation", "/global-token-revocation"),
];

/// Where a client that nobody registered has its metadata (draft-ietf-oauth-client-id-metadata-document 4), below `counterpart.public_url`.
/// Its URL is that client's `client_id`.
pub const CLIENT_DOCUMENT: &str = "/client-metadata.json";

/// Messages kept at most; a service that repeats itself for ever must not fill the memory.
const KEEP: usize = 200;

/// A message that arrived.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The delivery binding whose endpoint it reached.
    pub binding: &'static str,
    /// Request method.
    pub method: String,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
    /// When it arrived.
    pub at: Timestamp,
    /// The recorded exchange.
    pub exchange: ExchangeId,
}

impl Delivery {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// Where the messages arrive.
#[derive(Debug)]
pub struct Inbox {
    /// Address and port that the suite's endpoints listen on.
    pub addr: SocketAddr,
    /// DER certificate of the authority that signs their certificates.
    pub authority: Vec<u8>,
    arrivals: Arc<Arrivals>,
}

/// What the endpoints write to.
#[derive(Debug)]
pub struct Arrivals {
    recorder: Arc<Recorder>,
    origin: String,
    kept: Mutex<Vec<Delivery>>,
    fetches: Mutex<Vec<ExchangeId>>,
    count: watch::Sender<usize>,
}

impl Arrivals {
    /// Nothing has arrived yet. `origin` is `counterpart.public_url`, for the record.
    pub fn new(recorder: Arc<Recorder>, origin: &str) -> Arc<Self> {
        let origin = origin.trim_end_matches('/').to_owned();
        Arc::new(Arrivals { recorder, origin, kept: Mutex::default(), fetches: Mutex::default(), count: watch::Sender::new(0) })
    }

    /// The client metadata document, complete and right: whoever fetches it and takes the client registers anybody.
    fn client_document(&self, request: &Request) -> ResponseTemplate {
        let own = |path: &str| format!("{}{path}", self.origin);
        let document = json!({
            "client_id": own(CLIENT_DOCUMENT),
            "client_name": "Client that nobody registered",
            "client_uri": self.origin,
            "redirect_uris": [own("/cb/a")],
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        let exchange = self.record("idp-sso/requests", "metadata of a client that nobody registered", request, 200);
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        if fetches.len() < KEEP {
            fetches.push(exchange);
        }
        ResponseTemplate::new(200).set_body_json(document)
    }

    fn record(&self, scenario: &str, step: &str, request: &Request, status: u16) -> ExchangeId {
        self.recorder.record(RawExchange {
            scenario,
            step,
            from: Party::Target,
            to: Party::Suite,
            started_at: Timestamp::now(),
            took: Duration::ZERO,
            method: request.method.as_str(),
            url: &format!("{}{}", self.origin, request.url.path()),
            request: Raw { headers: headers(request), body: Some(request.body.clone()) },
            status,
            response: Raw::default(),
            fault: None,
        })
    }

    fn take(&self, request: &Request) -> Option<ResponseTemplate> {
        if request.method == "GET" && request.url.path() == CLIENT_DOCUMENT {
            return Some(self.client_document(request));
        }
        let (binding, _) = ENDPOINTS.into_iter().find(|(_, path)| *path == request.url.path())?;
        let headers = headers(request);
        let status = if binding == "token-revocation" { 204 } else { 200 };
        if let Some((_, credential)) = headers.iter().find(|(name, _)| name == "authorization") {
            let bare = credential.split_once(' ').map_or(credential.as_str(), |(_, bare)| bare);
            // A static credential works again; a signed one is cut by the redactor itself.
            if bare.split('.').count() != 3 {
                self.recorder.redactor.hide(bare, "revocation credential");
            }
        }
        let exchange = self.record("idp-commands", &format!("message to the suite's endpoint for {binding}"), request, status);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEEP {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let method = request.method.as_str().to_owned();
            kept.push(Delivery { binding, method, headers, body, at: Timestamp::now(), exchange });
        }
        let count = kept.len();
        drop(kept);
        self.count.send_replace(count);
        Some(ResponseTemplate::new(status).insert_header("cache-control", "no-store"))
    }
}

fn headers(request: &Request) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    request.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))).collect()
}

/// Answers everything with `other`, except what is meant for the inbox.
pub struct Answer {
    /// Takes the messages.
    pub arrivals: Arc<Arrivals>,
    /// For all other paths.
    pub other: ResponseTemplate,
}

impl Respond for Answer {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        self.arrivals.take(request).unwrap_or_else(|| self.other.clone())
    }
}

impl Inbox {
    /// Reads what these endpoints receive.
    pub fn new(addr: SocketAddr, authority: Vec<u8>, arrivals: Arc<Arrivals>) -> Self {
        Inbox { addr, authority, arrivals }
    }

    /// How many messages have arrived: the place to wait from.
    pub fn mark(&self) -> usize {
        *self.arrivals.count.borrow()
    }

    /// Requests for the metadata of the client that nobody registered.
    pub fn document_fetches(&self) -> Vec<ExchangeId> {
        self.arrivals.fetches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What arrived for a binding since a mark.
    pub fn since(&self, mark: usize, binding: &str) -> Vec<Delivery> {
        let kept = self.arrivals.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().skip(mark).filter(|delivery| delivery.binding == binding).cloned().collect()
    }

    /// Waits until a message for a binding arrives after a mark, or the deadline passes.
    pub async fn wait(&self, mark: usize, binding: &str, deadline: Instant) -> Vec<Delivery> {
        let mut count = self.arrivals.count.subscribe();
        loop {
            count.borrow_and_update();
            let arrived = self.since(mark, binding);
            let left = deadline.saturating_duration_since(Instant::now());
            if !arrived.is_empty() || left.is_zero() {
                return arrived;
            }
            // Either way the loop looks again: an arrival for another binding ends the wait of nobody.
            let _ = tokio::time::timeout(left, count.changed()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::listener::ClearServer;

    #[tokio::test]
    async fn a_message_is_waited_for_by_its_binding_and_never_beyond_the_deadline() {
        let arrivals = Arrivals::new(Arc::default(), "https://rp.suite.test");
        let answer = Answer { arrivals: arrivals.clone(), other: ResponseTemplate::new(418) };
        let server = ClearServer::start("127.0.0.1:0", answer).await.unwrap();
        let inbox = Inbox::new(server.addr, Vec::new(), arrivals);
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls()).build().unwrap();
        let mark = inbox.mark();
        let post = |path: &str| client.post(format!("http://{}{path}", server.addr)).body("x=1").send();
        assert_eq!(post("/cb/a").await.unwrap().status(), 418);
        let (arrived, status) =
            tokio::join!(inbox.wait(mark, "backchannel-logout", Instant::now() + Duration::from_secs(20)), async {
                (post("/commands").await.unwrap().status(), post("/backchannel-logout").await.unwrap().status())
            });
        assert_eq!((status.0.as_u16(), status.1.as_u16()), (200, 200));
        assert_eq!((arrived.len(), arrived[0].body.as_str(), arrived[0].method.as_str()), (1, "x=1", "POST"));
        let document = client.get(format!("http://{}{CLIENT_DOCUMENT}", server.addr)).send().await.unwrap();
        let document: serde_json::Value = serde_json::from_slice(&document.bytes().await.unwrap()).unwrap();
        assert_eq!(document["client_id"], "https://rp.suite.test/client-metadata.json");
        assert_eq!((inbox.document_fetches().len(), inbox.mark()), (1, 2));
        let late = inbox.wait(inbox.mark(), "op-commands", Instant::now() + Duration::from_millis(50)).await;
        assert!(late.is_empty());
    }

    fn tls() -> tokio_rustls::rustls::ClientConfig {
        tokio_rustls::rustls::ClientConfig::builder_with_provider(Arc::new(
            tokio_rustls::rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(tokio_rustls::rustls::RootCertStore::empty())
        .with_no_client_auth()
    }
}
