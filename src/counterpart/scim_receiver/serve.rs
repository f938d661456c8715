//! Answers the requests that reach the receiver, and keeps them.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::access::TokenAsked;
use super::fault::{Fault, http_date};
use super::log::{Access, Door, Entry, Listed};
use super::{Hall, ROLE_PAGE, TENANT};
use crate::counterpart::scim_client::ERROR;
use crate::counterpart::scim_server::{Caller, Paging, Refusal, Request, Response};
use crate::model::Party;
use crate::stage::async_server::HangUp;
use crate::stage::recorder::{Raw, RawExchange};

/// What is answered; `None` closes the connection.
type Outcome = Option<Response>;

impl Hall {
    /// Answers a request and keeps it.
    pub(super) async fn answer(&self, request: hyper::Request<Bytes>) -> hyper::Response<Bytes> {
        let (at, time) = (Instant::now(), Timestamp::now());
        let (head, raw) = request.into_parts();
        let headers: Vec<(String, String)> = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let path = decoded(head.uri.path());
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let door = self.door(&path);
        let below = if door == Door::Scim { path[self.base.len()..].to_owned() } else { path.clone() };
        let mut entry = Entry {
            number: 0,
            at,
            answered: at,
            door,
            method: head.method.as_str().to_owned(),
            path: below,
            query,
            headers,
            body: serde_json::from_slice(&raw).unwrap_or_default(),
            raw: raw.to_vec(),
            access: Access::NoToken,
            status: 0,
            resource: None,
            listed: None,
            changed: false,
            fault: None,
            exchange: String::new(),
        };
        let mut pause = Duration::ZERO;
        // The form parameters of a token request are its evidence; the recorder redacts what is secret in them.
        let outcome = match door {
            Door::Scim => self.scim(&mut entry, &mut pause),
            Door::Metadata => Some(plain(200, self.desk.metadata())),
            Door::Token => Some(plain(200, Value::Null)),
            Door::Commands => Some(plain(200, Value::Null)),
            Door::Elsewhere => Some(plain(404, json!({"error": "not_found"}))),
        };
        entry.status = outcome.as_ref().map_or(0, |response| response.status);
        let scenario = self.scenario(&entry);
        let url = format!("{}{}", self.origin, head.uri);
        let mut outcome = outcome;
        // Token and command answers depend on nothing that is recorded, and their records come first: they cite themselves.
        if let (Door::Commands, Some(response)) = (door, outcome.as_mut()) {
            *response = self.commands.answer(&entry);
            entry.status = response.status;
        }
        let record = |outcome: &Outcome, status: u16| {
            let body = outcome.as_ref().and_then(|response| response.body.as_ref()).map(|body| body.to_string().into_bytes());
            self.recorder.record(RawExchange {
                scenario,
                step: entry.fault.as_deref().unwrap_or("request of the identity service"),
                from: Party::Target,
                to: Party::Suite,
                started_at: time,
                took: at.elapsed(),
                method: &entry.method,
                url: &url,
                request: Raw { headers: entry.headers.clone(), body: (!entry.raw.is_empty()).then(|| entry.raw.clone()) },
                status,
                response: Raw { headers: outcome.as_ref().map(|response| response.headers.clone()).unwrap_or_default(), body },
                fault: (status == 0).then(|| "the connection was closed as scripted".to_owned()),
            })
        };
        let exchange = record(&outcome, entry.status);
        if door == Door::Token {
            let form = url::form_urlencoded::parse(&entry.raw).into_owned().collect();
            let scheme = entry.header("authorization").split(' ').next().unwrap_or_default().to_owned();
            outcome = Some(plain(200, self.desk.grant(TokenAsked { at, form, scheme, exchange: exchange.clone() })));
        }
        if door == Door::Commands {
            self.commands.note(&entry, &exchange);
        }
        self.desk.note(entry.header("authorization"), &exchange);
        entry.exchange = exchange;
        entry.answered = Instant::now() + pause;
        self.log.push(entry);
        // The request is carried out and kept before: a client that does not wait for a late answer may hang up here.
        tokio::time::sleep(pause).await;
        match outcome {
            Some(response) => written(response),
            None => {
                let mut response = hyper::Response::new(Bytes::new());
                response.extensions_mut().insert(HangUp);
                response
            }
        }
    }

    fn door(&self, path: &str) -> Door {
        let below = |base: &str| path == base || path.strip_prefix(base).is_some_and(|rest| rest.starts_with('/'));
        if path.starts_with("/.well-known/oauth-authorization-server") || path.starts_with("/.well-known/openid-configuration") {
            Door::Metadata
        } else if path == "/token" {
            Door::Token
        } else if !self.command_path.is_empty() && path == self.command_path {
            Door::Commands
        } else if below(&self.base) {
            Door::Scim
        } else {
            Door::Elsewhere
        }
    }

    fn scenario(&self, entry: &Entry) -> &'static str {
        let texts = self.texts(entry);
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.iter().find(|(tag, _)| texts.iter().any(|text| text.contains(tag))).map_or("provisioning", |(_, scenario)| scenario)
    }

    /// Where the user of a request is named, in lower case: path, query, body, and the resource that the path addresses.
    fn texts(&self, entry: &Entry) -> Vec<String> {
        let mut texts = vec![entry.path.to_lowercase(), String::from_utf8_lossy(&entry.raw).to_lowercase()];
        texts.extend(entry.query.iter().map(|(_, value)| value.to_lowercase()));
        if let Some(resource) = addressed(&entry.path).and_then(|id| self.engine.user(id)) {
            texts.push(resource.to_string().to_lowercase());
        }
        texts
    }

    /// Carries a request out, unless a scripted fault forbids it; `pause` is how late the answer shall be.
    fn scim(&self, entry: &mut Entry, pause: &mut Duration) -> Outcome {
        entry.access = self.desk.access(entry.header("authorization"));
        let texts = self.texts(entry);
        let body = String::from_utf8_lossy(&entry.raw).to_lowercase();
        entry.resource = addressed(&entry.path).map(str::to_owned);
        // A request that is refused for its own sake uses up no fault.
        let json = entry.raw.is_empty() || entry.header("content-type").to_ascii_lowercase().contains("json");
        let sound = entry.access == Access::Granted && json;
        let fault = if sound { self.script.take(&entry.method, &body, &texts) } else { None };
        entry.fault = fault.as_ref().map(Fault::describe);
        match fault {
            Some(Fault::TooMany(seconds)) => return Some(limited(&seconds.to_string())),
            Some(Fault::TooManyUntil(seconds)) => return Some(limited(&http_date(seconds))),
            Some(Fault::Unavailable) => return Some(problem(503, "", "scripted")),
            Some(Fault::Dropped) => return None,
            Some(Fault::NotFound) => return Some(problem(404, "", "scripted")),
            Some(Fault::InvalidValue) => return Some(problem(400, "invalidValue", "this role cannot be assigned")),
            Some(Fault::InvalidToken) => {
                let mut response = problem(401, "", "the token has expired");
                let challenge = "Bearer error=\"invalid_token\", error_description=\"the token has expired\"";
                response.headers.push(("www-authenticate".into(), challenge.into()));
                return Some(response);
            }
            Some(Fault::Delayed(time)) => *pause = time,
            Some(Fault::AnswerLost) | None => {}
        }
        let response = self.carry_out(entry);
        (fault != Some(Fault::AnswerLost)).then_some(response)
    }

    /// The engine's answer, with the paging that is offered now.
    fn carry_out(&self, entry: &mut Entry) -> Response {
        let caller = match entry.access {
            Access::Granted => Caller::Tenant(TENANT.into()),
            Access::NoToken => Caller::Nobody(Refusal::NoToken),
            Access::BadToken => Caller::Nobody(Refusal::BadToken("unknown token".into())),
            Access::Expired => Caller::Nobody(Refusal::BadToken("the token has expired".into())),
        };
        let paging = *self.paging.lock().unwrap_or_else(PoisonError::into_inner);
        let lists = entry.method == "GET" && matches!(entry.path.as_str(), "/Users" | "/Groups" | "/Roles");
        let mut query = entry.query.clone();
        let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
        if lists && paging == Paging::Index {
            query.retain(|(name, _)| !is(name, "cursor"));
        }
        if lists && paging == Paging::Cursor {
            query.retain(|(name, _)| !is(name, "startIndex"));
            if !query.iter().any(|(name, _)| is(name, "cursor")) {
                query.push(("cursor".into(), String::new()));
            }
        }
        if entry.path == "/Roles" {
            let limit = ROLE_PAGE;
            let asked = query.iter().find(|(name, _)| is(name, "count")).and_then(|(_, count)| count.parse::<u64>().ok());
            if asked.is_none_or(|asked| asked > limit) {
                query.retain(|(name, _)| !is(name, "count"));
                query.push(("count".into(), limit.to_string()));
            }
        }
        let before = entry.resource.as_deref().and_then(|id| self.resource(id));
        let request = Request {
            method: entry.method.clone(),
            path: entry.path.clone(),
            query,
            headers: entry.headers.clone(),
            body: entry.raw.clone(),
        };
        let mut response = self.engine.handle(&caller, &request);
        if entry.path == "/ServiceProviderConfig"
            && let Some(pagination) = response.body.as_mut().and_then(|body| body.get_mut("pagination"))
        {
            pagination["cursor"] = (paging != Paging::Index).into();
            pagination["index"] = (paging != Paging::Cursor).into();
        }
        // Clients that check what they read refuse members that RFC 7643 does not know; roles stand in /ResourceTypes and /Schemas as well.
        if entry.path == "/ServiceProviderConfig"
            && let Some(config) = response.body.as_mut().and_then(Value::as_object_mut)
        {
            config.remove("RolesAndEntitlements");
        }
        if entry.method == "POST" && response.status == 201 {
            entry.resource = response.body.as_ref().and_then(|body| body["id"].as_str()).map(str::to_owned);
        }
        let after = entry.resource.as_deref().and_then(|id| self.resource(id));
        entry.changed = before != after;
        entry.listed =
            response.body.as_ref().filter(|body| body["Resources"].is_array() || body["totalResults"].is_number()).map(listed);
        response
    }

    /// A user or group without `meta`, to see whether it changed.
    fn resource(&self, id: &str) -> Option<Value> {
        let mut resource = self.engine.user(id).or_else(|| self.engine.group(id))?;
        resource.as_object_mut()?.remove("meta");
        Some(resource)
    }
}

fn listed(body: &Value) -> Listed {
    let ids: Vec<String> =
        body["Resources"].as_array().into_iter().flatten().filter_map(|one| one["id"].as_str().map(str::to_owned)).collect();
    let total = body["totalResults"].as_u64().unwrap_or_default();
    let start = body["startIndex"].as_u64().unwrap_or(1);
    let more =
        body["nextCursor"].is_string() || (body["nextCursor"].is_null() && start.saturating_sub(1) + (ids.len() as u64) < total);
    Listed { ids, total, more }
}

/// The id in `/Users/id`, `/Groups/id`.
fn addressed(path: &str) -> Option<&str> {
    let (place, id) = path.trim_start_matches('/').split_once('/')?;
    (matches!(place, "Users" | "Groups") && !id.is_empty() && id != ".search").then_some(id)
}

fn decoded(path: &str) -> String {
    let form = path.replace('+', "%2B");
    url::form_urlencoded::parse(form.as_bytes())
        .next()
        .map(|(name, _)| name.into_owned())
        .filter(|_| !path.contains(['=', '&']))
        .unwrap_or_else(|| path.to_owned())
}

fn plain(status: u16, body: Value) -> Response {
    let headers = vec![("content-type".into(), "application/json".into()), ("cache-control".into(), "no-store".into())];
    Response { status, headers, body: Some(body) }
}

fn problem(status: u16, kind: &str, detail: &str) -> Response {
    let mut body = json!({"schemas": [ERROR], "status": status.to_string(), "detail": detail});
    if !kind.is_empty() {
        body["scimType"] = kind.into();
    }
    Response { status, headers: vec![("content-type".into(), "application/scim+json".into())], body: Some(body) }
}

fn limited(after: &str) -> Response {
    let mut response = problem(429, "", "too many requests");
    response.headers.push(("retry-after".into(), after.to_owned()));
    response
}

fn written(response: Response) -> hyper::Response<Bytes> {
    // A stream of events is text, everything else JSON.
    let events = response.headers.iter().any(|(_, value)| value == "text/event-stream");
    let text = |body: Value| match body {
        Value::String(text) if events => text,
        other => other.to_string(),
    };
    let body = response.body.map(|body| Bytes::from(text(body))).unwrap_or_default();
    let mut out = hyper::Response::new(body);
    *out.status_mut() = hyper::StatusCode::from_u16(response.status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &response.headers {
        if let (Ok(name), Ok(value)) = (hyper::header::HeaderName::from_bytes(name.as_bytes()), value.parse()) {
            out.headers_mut().append(name, value);
        }
    }
    out
}
