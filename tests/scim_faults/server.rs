//! The reference service provider with a fault in front of it, and users of other people in it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hyper::body::Bytes;
use hyper::{Request, Response};
use ipsie_conform::counterpart::scim_server::{self, Caller, Config, Engine, Refusal};
use ipsie_conform::stage::async_server::{AsyncServer, HangUp};
use serde_json::{Value, json};
use tokio::sync::Notify;

pub const TOKEN: &str = "tok-4f0c2b9d7e6a41c8b35d";
const BASE: &str = "/scim/v2";

/// What happens to one request.
pub enum Does {
    /// It is answered as it should be.
    Pass,
    /// It is answered with this status, media type and body, and does nothing.
    Say(u16, &'static str, Vec<u8>),
    /// It is never answered.
    Hang,
    /// The connection is closed.
    Drop,
    /// It is carried out, and then this happens.
    DoneThen(Box<Does>),
    /// It is carried out without these query parameters.
    Without(&'static [&'static str]),
    /// It is carried out, and the body of the answer is changed.
    Change(fn(&mut Value)),
    /// It is redirected.
    To(String),
}

/// A request as faults see it.
pub struct Asked {
    pub method: String,
    /// Below the base URL.
    pub path: String,
    pub query: Vec<(String, String)>,
    /// It carries the token.
    pub known: bool,
    /// Requests before it.
    pub before: usize,
    /// Creations before it.
    pub creations: usize,
}

impl Asked {
    pub fn has(&self, name: &str) -> bool {
        self.query.iter().any(|(key, _)| key == name)
    }

    /// A page of the list of users, or a search.
    pub fn lists_users(&self) -> bool {
        self.method == "GET" && self.path == "/Users"
    }
}

pub type Fault = Box<dyn Fn(&Asked) -> Does + Send + Sync>;

pub struct Faulty {
    pub engine: Arc<Engine>,
    pub requests: Arc<AtomicUsize>,
    /// Every creation, before it is answered.
    pub creation: Arc<Notify>,
    fault: Arc<Mutex<Arc<Fault>>>,
    before: Vec<Value>,
    server: AsyncServer,
}

impl Faulty {
    pub async fn start(fault: impl Fn(&Asked) -> Does + Send + Sync + 'static) -> Faulty {
        let engine = Arc::new(Engine::new(Config::default()));
        for index in 0..30 {
            let user = json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "active": true, "displayName": format!("Stranger {index}"),
                "userName": format!("stranger-{index}@corp.test"), "emails": [{"value": format!("stranger-{index}@corp.test")}],
            });
            assert_eq!(ask(&engine, "POST", "/Users", &[], user.to_string().as_bytes()).status, 201);
        }
        let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Strangers"});
        assert_eq!(ask(&engine, "POST", "/Groups", &[], group.to_string().as_bytes()).status, 201);
        let before = everything(&engine);
        let (requests, creations) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let creation = Arc::new(Notify::new());
        let fault: Arc<Mutex<Arc<Fault>>> = Arc::new(Mutex::new(Arc::new(Box::new(fault))));
        let shared = (engine.clone(), requests.clone(), creation.clone(), fault.clone());
        let server = AsyncServer::start("127.0.0.1:0", move |request| {
            let (engine, requests, creation, fault) = shared.clone();
            let mut asked = asked(&request);
            asked.before = requests.fetch_add(1, Ordering::SeqCst);
            let creates = asked.method == "POST" && asked.known;
            asked.creations = if creates { creations.fetch_add(1, Ordering::SeqCst) } else { creations.load(Ordering::SeqCst) };
            Box::pin(async move {
                let fault = fault.lock().unwrap().clone();
                let does = fault(&asked);
                if creates {
                    creation.notify_waiters();
                }
                act(&engine, &asked, &request, does).await
            })
        })
        .await
        .unwrap();
        Faulty { engine, requests, creation, fault, before, server }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}{BASE}", self.server.addr)
    }

    /// From now on another fault, or none.
    pub fn turn(&self, fault: impl Fn(&Asked) -> Does + Send + Sync + 'static) {
        *self.fault.lock().unwrap() = Arc::new(Box::new(fault));
    }

    pub fn asked(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Names of what is there and was not there before.
    pub fn left(&self) -> Vec<String> {
        let old: Vec<&Value> = self.before.iter().map(|resource| &resource["id"]).collect();
        let new = everything(&self.engine).into_iter().filter(|resource| !old.contains(&&resource["id"]));
        new.map(|resource| resource["userName"].as_str().or(resource["displayName"].as_str()).unwrap_or("?").to_owned()).collect()
    }

    /// Every stranger is as before, by content and version.
    pub fn strangers_are_untouched(&self) -> bool {
        let now = everything(&self.engine);
        self.before.iter().all(|resource| now.contains(resource))
    }
}

/// Users and groups of the engine, whole.
fn everything(engine: &Engine) -> Vec<Value> {
    let mut all = Vec::new();
    for place in ["/Users", "/Groups"] {
        let mut start = 1;
        loop {
            let query = [("startIndex".to_owned(), start.to_string()), ("count".to_owned(), "100".to_owned())];
            let page = ask(engine, "GET", place, &query, b"").body.unwrap();
            let came = page["Resources"].as_array().cloned().unwrap_or_default();
            if came.is_empty() {
                break;
            }
            start += came.len();
            all.extend(came);
        }
    }
    all
}

pub fn ask(engine: &Engine, method: &str, path: &str, query: &[(String, String)], body: &[u8]) -> scim_server::Response {
    let headers = vec![("content-type".to_owned(), "application/scim+json".to_owned())];
    let request =
        scim_server::Request { method: method.into(), path: path.into(), query: query.to_vec(), headers, body: body.to_vec() };
    engine.handle(&Caller::Tenant("t".into()), &request)
}

fn asked(request: &Request<Bytes>) -> Asked {
    let query = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    Asked {
        method: request.method().to_string(),
        path: request.uri().path().trim_start_matches(BASE).to_owned(),
        query,
        known: token == format!("Bearer {TOKEN}"),
        before: 0,
        creations: 0,
    }
}

async fn act(engine: &Engine, asked: &Asked, request: &Request<Bytes>, does: Does) -> Response<Bytes> {
    match does {
        Does::Pass => sent(carried_out(engine, asked, request, &[])),
        Does::Without(names) => sent(carried_out(engine, asked, request, names)),
        Does::Change(change) => {
            let mut response = carried_out(engine, asked, request, &[]);
            response.body.iter_mut().for_each(change);
            sent(response)
        }
        Does::Say(status, media_type, body) => {
            let mut response = Response::new(Bytes::from(body));
            *response.status_mut() = status.try_into().unwrap();
            response.headers_mut().insert("content-type", media_type.parse().unwrap());
            response
        }
        Does::To(url) => {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = 302.try_into().unwrap();
            response.headers_mut().insert("location", url.parse().unwrap());
            response
        }
        Does::Hang => std::future::pending().await,
        Does::Drop => {
            let mut response = Response::new(Bytes::new());
            response.extensions_mut().insert(HangUp);
            response
        }
        Does::DoneThen(then) => {
            carried_out(engine, asked, request, &[]);
            Box::pin(act(engine, asked, request, *then)).await
        }
    }
}

fn carried_out(engine: &Engine, asked: &Asked, request: &Request<Bytes>, without: &[&str]) -> scim_server::Response {
    let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        (name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned())
    };
    let sent = scim_server::Request {
        method: asked.method.clone(),
        path: asked.path.clone(),
        query: asked.query.iter().filter(|(name, _)| !without.contains(&name.as_str())).cloned().collect(),
        headers: request.headers().iter().map(header).collect(),
        body: request.body().to_vec(),
    };
    let caller = match (asked.known, sent.headers.iter().any(|(name, _)| name == "authorization")) {
        (true, _) => Caller::Tenant("t".into()),
        (false, true) => Caller::Nobody(Refusal::BadToken("unknown".into())),
        (false, false) => Caller::Nobody(Refusal::NoToken),
    };
    engine.handle(&caller, &sent)
}

fn sent(answer: scim_server::Response) -> Response<Bytes> {
    let body = answer.body.map(|body| body.to_string()).unwrap_or_default();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = answer.status.try_into().unwrap();
    for (name, value) in &answer.headers {
        response.headers_mut().insert(hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    response
}
