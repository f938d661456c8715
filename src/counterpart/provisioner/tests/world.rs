//! An application to provision into: the SCIM engine, an authorization server that grants everything, a command endpoint, and a log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use hyper::body::Bytes;
use hyper::{Request, Response};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::super::hooks::{self, Body};
use super::super::{Accounts, Credential, Lapse, Provisioner, Settings, actions};
use crate::counterpart::scim_server::{Caller, Config, Engine, Paging, Role};
use crate::stage::async_server::AsyncServer;
use crate::stage::listener::TestCa;
use crate::wire::jose::{SigningKey, read};

pub const TENANT: &str = "t";

/// What a scripted fault does to a matching SCIM request.
#[derive(Clone)]
pub enum Fault {
    /// 429 with Retry-After: 1 until this moment.
    Limit(Instant),
    /// This status, once.
    Status(u16),
    /// Carried out, but never answered, once.
    Lost,
}

/// The application.
pub struct App {
    pub engine: Engine,
    pub log: Mutex<Vec<String>>,
    pub told: Mutex<Vec<Value>>,
    pub supported: Mutex<Vec<&'static str>>,
    pub conflict: Mutex<bool>,
    pub faults: Mutex<Vec<(String, Fault)>>,
    pub cursor_only: Mutex<bool>,
    pub states: Mutex<BTreeMap<String, String>>,
    pub issuer: Mutex<String>,
    tokens: Mutex<usize>,
}

impl App {
    fn new() -> Self {
        let role = |value: &str, supported| Role { value: value.into(), display: format!("The {value}"), supported, limit: None };
        let roles = vec![role("r1", true), role("old", false), role("r2", true)];
        App {
            engine: Engine::new(Config { page_limit: 2, paging: Paging::Both, roles, ..Config::default() }),
            log: Mutex::default(),
            told: Mutex::default(),
            supported: Mutex::new(vec!["metadata", "activate", "maintain", "suspend", "reactivate", "delete", "audit_tenant"]),
            conflict: Mutex::default(),
            faults: Mutex::default(),
            cursor_only: Mutex::default(),
            states: Mutex::default(),
            issuer: Mutex::default(),
            tokens: Mutex::default(),
        }
    }

    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path().to_owned();
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(request.body()).into_owned().collect();
        if path.starts_with("/.well-known/") {
            let issuer = self.issuer.lock().unwrap().clone();
            let host = request.headers()["host"].to_str().unwrap();
            return reply(200, &json!({"issuer": issuer, "token_endpoint": format!("http://{host}/token")}));
        }
        if path == "/token" {
            let claims = form.get("client_assertion").map(|jwt| read(jwt).unwrap().claims).unwrap_or_default();
            let life = claims["exp"].as_i64().unwrap_or_default() - claims["iat"].as_i64().unwrap_or_default();
            let line = format!(
                "TOKEN scope={} secret={} life={life} jti={}",
                form["scope"],
                form.contains_key("client_secret"),
                claims["jti"]
            );
            self.log.lock().unwrap().push(line);
            let mut tokens = self.tokens.lock().unwrap();
            *tokens += 1;
            return reply(200, &json!({"access_token": format!("token-{tokens}"), "expires_in": 60}));
        }
        if path == "/commands" {
            return self.command(&read(&form["command_token"]).unwrap().claims);
        }
        self.scim(&request, &path).await
    }

    async fn scim(&self, request: &Request<Bytes>, path: &str) -> Response<Bytes> {
        let headers: Vec<(String, String)> =
            request.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
        let header =
            |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let line = format!(
            "{} {path} {query:?} {} {} {}",
            request.method(),
            header("authorization"),
            header("content-type"),
            String::from_utf8_lossy(request.body())
        );
        self.log.lock().unwrap().push(line.clone());
        let fault = {
            let mut faults = self.faults.lock().unwrap();
            let found = faults.iter().position(|(text, fault)| {
                line.contains(text.as_str()) && !matches!(fault, Fault::Limit(until) if *until < Instant::now())
            });
            found.map(|at| if matches!(faults[at].1, Fault::Limit(_)) { faults[at].1.clone() } else { faults.remove(at).1 })
        };
        match fault {
            Some(Fault::Status(status)) => return reply(status, &json!({})),
            Some(Fault::Limit(_)) => {
                let mut response = reply(429, &json!({}));
                response.headers_mut().insert("retry-after", "1".parse().unwrap());
                return response;
            }
            _ => {}
        }
        let below = path.strip_prefix("/scim/v2").unwrap_or(path).to_owned();
        let asked = crate::counterpart::scim_server::Request {
            method: request.method().to_string(),
            path: below.clone(),
            query,
            headers,
            body: request.body().to_vec(),
        };
        let answer = self.engine.handle(&Caller::Tenant(TENANT.into()), &asked);
        if matches!(fault, Some(Fault::Lost)) {
            std::future::pending::<()>().await;
        }
        let mut body = answer.body.unwrap_or_default();
        if below == "/ServiceProviderConfig" && *self.cursor_only.lock().unwrap() {
            body["pagination"] = json!({"cursor": true, "index": false});
        }
        reply(answer.status, &body)
    }

    fn command(&self, claims: &Value) -> Response<Bytes> {
        let mut noted = claims.clone();
        for name in ["iat", "exp", "jti", "callback_token"] {
            noted.as_object_mut().unwrap().remove(name);
        }
        noted["life"] = (claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()).into();
        self.told.lock().unwrap().push(noted);
        let command = claims["command"].as_str().unwrap().to_owned();
        let supported = self.supported.lock().unwrap().clone();
        if !supported.contains(&command.as_str()) {
            return reply(400, &json!({"error": "unsupported_command"}));
        }
        let mut states = self.states.lock().unwrap();
        let sub = claims["sub"].as_str().unwrap_or_default().to_owned();
        match command.as_str() {
            "metadata" => reply(200, &json!({"commands_supported": supported, "roles": [{"id": "0001", "display": "The r1"}]})),
            "audit_tenant" => {
                let events = states.iter().map(|(sub, state)| {
                    format!("event: account-state\ndata: {}\n\n", json!({"sub": sub, "account_state": state}))
                });
                let text: String = events.chain(["event: command-complete\ndata: {}\n\n".to_owned()]).collect();
                Response::new(Bytes::from(text))
            }
            "suspend" if *self.conflict.lock().unwrap() => {
                reply(409, &json!({"error": "incompatible_state", "account_state": "suspended", "sub": sub}))
            }
            _ => {
                let state = match command.as_str() {
                    "suspend" => "suspended",
                    "delete" => "unknown",
                    _ => "active",
                };
                states.insert(sub.clone(), state.into());
                reply(200, &json!({"sub": sub, "account_state": state}))
            }
        }
    }
}

fn reply(status: u16, body: &Value) -> Response<Bytes> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
    response
}

/// Accounts of a provider that knows nothing but names.
pub struct Names(pub Mutex<Vec<String>>, pub SigningKey);

impl Accounts for Names {
    fn issuer(&self) -> String {
        "https://op.test".into()
    }
    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
    fn sub(&self, name: &str) -> Option<String> {
        Some(format!("sub-{name}"))
    }
    fn add(&self, name: &str, _: &str, _: &str) {
        self.0.lock().unwrap().push(name.to_owned());
    }
    fn set_disabled(&self, _: &str, _: bool) {}
    fn rename(&self, _: &str, _: &str) {}
    fn remove(&self, _: &str) {}
    fn sign(&self, header: &Value, claims: &Value) -> String {
        self.1.sign(header, claims)
    }
}

/// The two sides.
pub struct World {
    pub app: Arc<App>,
    pub provisioner: Arc<Provisioner>,
    _server: AsyncServer,
}

impl World {
    pub async fn new(lapses: &[Lapse]) -> World {
        let app = Arc::new(App::new());
        let shared = app.clone();
        let handler = move |request| -> BoxFuture<'static, Response<Bytes>> {
            let app = shared.clone();
            Box::pin(async move { app.answer(request).await })
        };
        let server = AsyncServer::start("127.0.0.1:0", handler).await.unwrap();
        let origin = format!("http://{}", server.addr);
        app.issuer.lock().unwrap().clone_from(&origin);
        let key = SigningKey::generate("k", Algorithm::ES256).unwrap();
        let settings = Settings {
            scim_url: Some(format!("{origin}/scim/v2")),
            credential: Credential::Assertion { issuer: origin.clone(), client_id: "c".into(), key: key.clone() },
            commands_url: Some(format!("{origin}/commands")),
            client_id: "app".into(),
            tenant: "org".into(),
            resolve: BTreeMap::new(),
            timeout: Duration::from_millis(400),
            roots: Vec::new(),
            lapses: lapses.to_vec(),
            listen: "127.0.0.1:0".into(),
            origin: "https://directory.test".into(),
            ca: Arc::new(TestCa::new("test").unwrap()),
            hook_token: "hook".into(),
        };
        let accounts = Arc::new(Names(Mutex::default(), key));
        World { app, provisioner: Arc::new(Provisioner::new(settings, accounts).unwrap()), _server: server }
    }

    /// Does it and waits for what it causes, 8 s at most; answers why it was refused.
    pub async fn act(&self, action: &str, body: Value) -> Result<(), String> {
        let task = actions::begin(&self.provisioner, action, &Body(body)).await?;
        let _ = tokio::time::timeout(Duration::from_secs(8), task).await;
        Ok(())
    }

    /// As [`World::act`], and it is not refused.
    pub async fn does(&self, action: &str, body: Value) {
        self.act(action, body).await.unwrap();
    }

    pub async fn http(&self, method: &str, path: &str, bearer: &str, body: &Value) -> u16 {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {bearer}"));
        let request = request.body(Bytes::from(body.to_string())).unwrap();
        hooks::answer(&self.provisioner, &request).await.status().as_u16()
    }

    pub fn fault(&self, text: &str, fault: Fault) {
        self.app.faults.lock().unwrap().push((text.to_owned(), fault));
    }

    pub fn user(&self, name: &str) -> Option<Value> {
        self.app.engine.find_user(TENANT, "userName", name)
    }

    pub fn id(&self, name: &str) -> String {
        self.user(name).and_then(|user| user["id"].as_str().map(str::to_owned)).unwrap_or_default()
    }

    pub fn group(&self, name: &str) -> Option<Value> {
        self.app.engine.groups(TENANT).into_iter().find(|group| group["displayName"] == name)
    }

    /// Lines of the log with this text.
    pub fn lines(&self, text: &str) -> usize {
        self.app.log.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }

    pub fn commands(&self) -> Vec<String> {
        self.app.told.lock().unwrap().iter().map(|told| told["command"].as_str().unwrap().to_owned()).collect()
    }
}
