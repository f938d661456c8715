//! What an administrator can do, over HTTPS with a bearer token; the key set of the SCIM client; the callback endpoint of commands.
//!
//! A hook answers at once and provisioning goes on behind it. With `?sync=SECONDS` it answers when everything that it caused is done, or
//! after that time; `done` in the answer tells which.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::{Request, Response};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::directory::{Job, Key, User};
use super::lapse::Lapse;
use super::token::Credential;
use super::{Provisioner, actions};
use crate::wire::jose::{sha256_b64, unb64};

/// The body of a hook.
pub(super) struct Body(pub(super) Value);

impl Body {
    /// A member; empty where it is absent or its placeholder was not filled.
    pub fn text(&self, name: &str) -> &str {
        let text = self.0[name].as_str().unwrap_or_default();
        if text.starts_with('{') && text.ends_with('}') { "" } else { text }
    }

    /// Names, separated by commas.
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.text(name).split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
    }
}

/// Answers a request.
pub(super) async fn answer(this: &Arc<Provisioner>, request: &Request<Bytes>) -> Response<Bytes> {
    let path = request.uri().path();
    match (request.method().as_str(), path) {
        ("GET", "/jwks") => key_set(this),
        ("POST", "/callback") => callback(this, request).await,
        ("GET", "/operator/problems") if authorised(this, request) => reply(200, &json!({"problems": this.directory().problems})),
        ("POST", _) if path.starts_with("/operator/") && authorised(this, request) => hook(this, request).await,
        (_, _) if path.starts_with("/operator/") => {
            with(reply(401, &json!({"error": "invalid_token"})), "www-authenticate", "Bearer realm=\"operator\"")
        }
        _ => reply(404, &json!({"error": "not_found"})),
    }
}

fn reply(status: u16, body: &Value) -> Response<Bytes> {
    let bytes = if status == 204 { Bytes::new() } else { Bytes::from(body.to_string()) };
    let mut response = Response::new(bytes);
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    with(response, "content-type", "application/json")
}

fn with(mut response: Response<Bytes>, name: &'static str, value: &str) -> Response<Bytes> {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
    response
}

fn bearer(request: &Request<Bytes>) -> &str {
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    header.and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default()
}

fn authorised(this: &Provisioner, request: &Request<Bytes>) -> bool {
    let token = &this.settings.hook_token;
    !token.is_empty() && sha256_b64(bearer(request)) == sha256_b64(token)
}

fn key_set(this: &Provisioner) -> Response<Bytes> {
    match &this.settings.credential {
        Credential::Assertion { key, .. } if !this.has(Lapse::PublishesJwks) => reply(200, &json!({"keys": [key.jwk()]})),
        _ => reply(404, &json!({"error": "not_found"})),
    }
}

/// OpenID Provider Commands draft 02, Metadata Refresh Request and Audit Tenant Refresh Request.
async fn callback(this: &Arc<Provisioner>, request: &Request<Bytes>) -> Response<Bytes> {
    if !this.callback_token_is(bearer(request)).await {
        let challenge = "Bearer error=\"invalid_token\"";
        return with(reply(401, &json!({"error": "invalid_token"})), "www-authenticate", challenge);
    }
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let wanted = body["command_requested"].as_str().unwrap_or_default().to_owned();
    if !matches!(wanted.as_str(), "metadata" | "audit_tenant") {
        let challenge = "Bearer error=\"invalid_request\"";
        return with(reply(400, &json!({"error": "invalid_request"})), "www-authenticate", challenge);
    }
    let this = this.clone();
    tokio::spawn(async move {
        if wanted == "metadata" {
            this.exchange_metadata().await;
        } else {
            this.audit().await;
        }
        let jobs = this.directory().everything();
        this.all(jobs).await;
    });
    reply(204, &Value::Null)
}

async fn hook(this: &Arc<Provisioner>, request: &Request<Bytes>) -> Response<Bytes> {
    let body = Body(serde_json::from_slice(request.body()).unwrap_or_default());
    let action = request.uri().path().trim_start_matches("/operator/");
    let query = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    let sync = query.filter(|(name, _)| name == "sync").find_map(|(_, value)| value.parse().ok()).unwrap_or(0);
    if let Err(why) = point(this, &body) {
        return reply(400, &json!({"error": why}));
    }
    let before = this.directory().problems.len();
    match actions::begin(this, action, &body).await {
        Ok(task) => {
            let done = finished(task, sync).await;
            let directory = this.directory();
            let mut told = json!({"done": done, "problems": directory.problems.get(before..)});
            if matches!(action, "import-roles" | "map-role") {
                let roles = directory.catalogue.iter().flatten().chain(&directory.command_roles);
                told["roles"] = roles.map(|role| role.value.clone()).collect::<BTreeSet<_>>().into_iter().collect();
            }
            reply(200, &told)
        }
        Err(why) => reply(400, &json!({"error": why})),
    }
}

/// `receiver` and `receiver_ca` of a body say where the application is, for those who could not know it when they started.
fn point(this: &Provisioner, body: &Body) -> Result<(), String> {
    let (receiver, authority) = (body.text("receiver"), body.text("receiver_ca"));
    if receiver.is_empty() {
        return Ok(());
    }
    let place = (receiver.to_owned(), authority.to_owned());
    let mut known = this.receiver.lock().unwrap_or_else(PoisonError::into_inner);
    if *known != place {
        let addr = receiver.parse().map_err(|_| format!("{receiver} is no address with a port"))?;
        this.redirect(addr, unb64(authority).unwrap_or_default())?;
        *known = place;
    }
    Ok(())
}

async fn finished(task: JoinHandle<()>, sync_s: u64) -> bool {
    if sync_s == 0 {
        // The task goes on without its handle.
        return false;
    }
    tokio::time::timeout(Duration::from_secs(sync_s), task).await.is_ok()
}

impl Provisioner {
    /// The users of a comma-separated list.
    pub(super) fn users_named(&self, body: &Body) -> Result<Vec<Key>, String> {
        let names = body.list("user");
        if names.is_empty() {
            return Err("user is missing".into());
        }
        let directory = self.directory();
        names.into_iter().map(|name| directory.user(name)).collect()
    }

    /// Changes users and provisions them.
    pub(super) fn change_users(self: &Arc<Self>, keys: &[Key], change: impl Fn(&mut User)) -> JoinHandle<()> {
        {
            let mut directory = self.directory();
            for key in keys {
                if let Some(user) = directory.users.get_mut(key) {
                    change(user);
                }
            }
        }
        self.schedule(keys.iter().map(|key| Job::User(*key)).collect())
    }
}
