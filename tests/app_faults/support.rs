//! The reference application with something between it and the world that misbehaves, and a run against it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use ipsie_conform::catalogue::Catalogue;
use ipsie_conform::counterpart::app::HOST;
use ipsie_conform::embed::{Materials, Peers, embed};
use ipsie_conform::error::Error;
use ipsie_conform::event::Event;
use ipsie_conform::model::report::{ClauseRow, Report};
use ipsie_conform::model::{Level, Role, Verdict};
use ipsie_conform::plan::{Ask, Plan};
use ipsie_conform::run::run;
use ipsie_conform::set_stage::{Browser, Setting};
use ipsie_conform::stage::async_server::AsyncServer;
use ipsie_conform::stage::listener::{TestCa, TlsFront, TlsShape};
use tokio::sync::watch;

/// What happens to one request.
pub enum Does {
    /// It reaches the application.
    Pass,
    /// It is answered at once.
    Say(Response<Bytes>),
    /// It is never answered.
    Hang,
    /// It reaches the application; no cookie comes back.
    WithoutCookies,
    /// It reaches the application; this cookie is set besides.
    PassAnd(&'static str),
}

/// Decides by the request and how many came before it.
pub type Fault = fn(&Request<Bytes>, usize) -> Does;

/// The reference application with this fault in front of it.
pub struct Faulty {
    pub setting: Setting,
    pub notes: Arc<Mutex<Vec<String>>>,
    _keep: (Peers, TlsFront, AsyncServer),
}

pub fn materials() -> Materials {
    static MATERIALS: OnceLock<Materials> = OnceLock::new();
    MATERIALS.get_or_init(|| Materials::make().unwrap()).clone()
}

/// In the order given. More at a time would measure the machine.
pub async fn some_at_a_time<F: Future>(runs: impl Iterator<Item = F>) -> Vec<F::Output> {
    use futures_util::StreamExt;
    futures_util::stream::iter(runs.map(Box::pin)).buffered(6).collect().await
}

pub fn page(status: u16, html: &str) -> Does {
    let mut response = Response::new(Bytes::from(format!("<!doctype html>{html}")));
    *response.status_mut() = status.try_into().unwrap();
    response.headers_mut().insert("content-type", "text/html".parse().unwrap());
    Does::Say(response)
}

pub fn redirect(to: &str) -> Does {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = 303_u16.try_into().unwrap();
    response.headers_mut().insert("location", to.parse().unwrap());
    Does::Say(response)
}

impl Faulty {
    pub async fn start(fault: Fault) -> Faulty {
        Self::with(Browser::Form, fault).await
    }

    pub async fn with(browser: Browser, fault: Fault) -> Faulty {
        let (mut setting, peers) = embed(&materials(), &[Role::App], &[], browser, true, 4).await.unwrap();
        let name = format!("{HOST}:443");
        let real = setting.target.network.resolve[&name].clone();
        let root = setting.roots[0].clone();
        let count = Arc::new(AtomicUsize::new(0));
        let server = AsyncServer::start("127.0.0.1:0", move |request| {
            let does = fault(&request, count.fetch_add(1, Ordering::SeqCst));
            let (real, root) = (real.clone(), root.clone());
            Box::pin(async move {
                match does {
                    Does::Say(response) => response,
                    Does::Hang => std::future::pending().await,
                    Does::Pass => forward(&real, &root, request).await,
                    Does::PassAnd(cookie) => {
                        let mut response = forward(&real, &root, request).await;
                        response.headers_mut().append("set-cookie", cookie.parse().unwrap());
                        response
                    }
                    Does::WithoutCookies => {
                        let mut response = forward(&real, &root, request).await;
                        response.headers_mut().remove("set-cookie");
                        response
                    }
                }
            })
        })
        .await
        .unwrap();
        let ca = Arc::new(TestCa::new("authority of the faulty front").unwrap());
        let front = TlsFront::start(ca.clone(), "127.0.0.1:0", server.addr, TlsShape::default(), None).await.unwrap();
        setting.target.network.resolve.insert(name, front.addr.to_string());
        setting.target.network.timeout_s = 3;
        setting.roots.push(ca.der().to_vec());
        Faulty { setting, notes: Arc::default(), _keep: (peers, front, server) }
    }

    /// Plays scenario `app-login`.
    pub async fn run(self) -> Result<Report, Error> {
        self.scenarios(&["app-login"]).await
    }

    pub async fn scenarios(self, scenarios: &[&str]) -> Result<Report, Error> {
        let Faulty { setting, notes, _keep } = self;
        play(setting, scenarios, notes).await
    }
}

/// Plays these scenarios of the application at SL1.
pub async fn play(setting: Setting, scenarios: &[&str], notes: Arc<Mutex<Vec<String>>>) -> Result<Report, Error> {
    let catalogue = Catalogue::embedded().unwrap();
    let ask = Ask {
        levels: vec![Level::Sl1],
        roles: vec![Role::App],
        edition: catalogue.default_edition.clone(),
        bindings: Vec::new(),
        clauses: Vec::new(),
        scenarios: scenarios.iter().map(|name| (*name).to_owned()).collect(),
        fast: true,
        profile: None,
    };
    let plan = Plan::make(&catalogue, &setting.target, &ask);
    let (_stop, stopped) = watch::channel(false);
    let sink = Arc::new(move |event: Event| {
        if let Event::Note { text } = event {
            notes.lock().unwrap().push(text);
        }
    });
    let finished = tokio::time::timeout(Duration::from_secs(240), run(&catalogue, &plan, setting, sink, stopped)).await;
    finished.expect("it ends in time").map(|finished| finished.report)
}

/// Stopped before the first scenario, with these words in message and remedy.
#[track_caller]
pub fn stopped(outcome: Result<Report, Error>, message: &[&str], help: &[&str]) {
    let error = outcome.expect_err("no run");
    assert_eq!(error.exit_code(), 4, "{error}");
    let told = error.to_string();
    let remedy = miette::Diagnostic::help(&error).map(|help| help.to_string()).unwrap_or_default();
    for text in message {
        assert!(told.contains(text), "`{text}` is not in: {told}");
    }
    for text in help {
        assert!(remedy.contains(text), "`{text}` is not in: {remedy}");
    }
}

pub fn row<'a>(report: &'a Report, slug: &str) -> &'a ClauseRow {
    report.clauses.iter().find(|row| row.id == format!("sl1.app.{slug}")).unwrap()
}

pub fn rows(report: &Report, verdict: Verdict) -> Vec<String> {
    let rows = report.clauses.iter().filter(|row| row.verdict == verdict);
    rows.map(|row| format!("{} ({}): {}", row.id, row.scenario, row.reason)).collect()
}

/// A conforming application never fails, whatever stands in front of it.
#[track_caller]
pub fn nothing_failed(report: &Report) {
    let failed = rows(report, Verdict::Fail);
    assert!(failed.is_empty(), "{failed:#?}");
}

async fn forward(real: &str, root: &[u8], request: Request<Bytes>) -> Response<Bytes> {
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
    let mut roots = RootCertStore::empty();
    roots.add(root.to_vec().into()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(real).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(tls)).await.unwrap();
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request.map(Full::new)).await.unwrap().into_parts();
    let mut response = Response::from_parts(head, body.collect().await.unwrap().to_bytes());
    response.headers_mut().remove("transfer-encoding");
    response
}
