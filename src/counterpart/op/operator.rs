//! Operator hooks: what an administrator of the service can do, over HTTPS with a bearer token.

use serde_json::{Value, json};
use url::Url;

use super::http::{In, Reply};
use super::state::{Account, Session, State};
use super::{Op, RegisteredClient, commands, id_token, portal};
use crate::counterpart::twist::Twist;
use crate::model::target::ClientAuth;
use crate::wire::jose::{random, sha256_b64, unb64};

/// `POST /operator/...`
pub fn hook(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    let sent = request.header("authorization").and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
    if op.hook_token.is_empty() || sha256_b64(sent) != sha256_b64(&op.hook_token) {
        return Reply::status(401).with("www-authenticate", "Bearer realm=\"operator\"");
    }
    let body = request.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    match request.path.strip_prefix("/operator/").unwrap_or_default() {
        "register-client" => register(op, state, text("redirect_uri")),
        "unregister-client" => {
            let known = state.clients.remove(text("client_id")).is_some();
            if known { Reply::json(200, &json!({})) } else { problem("the client is not known") }
        }
        "disable-user" => with_account(state, text("user"), |account| account.disabled = true),
        "enable-user" => with_account(state, text("user"), |account| account.disabled = false),
        "recreate-user" => with_account(state, text("user"), |account| *account = Account::new(account.user.clone())),
        "set-session-lifetime" => match seconds(&body["seconds"]) {
            Some(seconds) => {
                state.session_lifetime_s = seconds;
                Reply::json(200, &json!({"seconds": seconds}))
            }
            None => problem("seconds is not a positive number"),
        },
        "revoke-user-sessions" => revoke(op, state, &body),
        "portal-launch" => launch(op, state, text("user")),
        _ => Reply::status(404),
    }
}

/// A number, also as text: hook bodies are often filled in from templates.
fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).filter(|seconds| *seconds > 0)
}

fn problem(text: &str) -> Reply {
    Reply::json(400, &json!({"error": text}))
}

fn with_account(state: &mut State, name: &str, change: impl FnOnce(&mut Account)) -> Reply {
    match state.accounts.get_mut(name) {
        Some(account) => {
            change(account);
            Reply::json(200, &json!({"user": name}))
        }
        None => problem("the user is not known"),
    }
}

/// Ends a user's sessions and grants, and tells the applications by one delivery binding.
fn revoke(op: &Op, state: &mut State, body: &Value) -> Reply {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let user = text("user");
    let Some(account) = state.accounts.get(user).cloned() else { return problem("the user is not known") };
    if !op.twist(Twist::RevokedSessionNeedsLogin) {
        let signed_in = |session: &Session| session.signed_in.as_ref().is_some_and(|login| login.user == user);
        state.sessions.retain(|_, session| !signed_in(session));
    }
    for grant in state.grants.values_mut().filter(|grant| grant.account == account.id) {
        grant.revoked = true;
    }
    for client in state.clients.values() {
        let sub = id_token::subject(op, Some(client), &account);
        if let Some(message) = commands::message(op, client, &sub, text("binding")) {
            commands::send(op, message, text("receiver").parse().ok(), unb64(text("receiver_ca")).unwrap_or_default());
        }
    }
    Reply::json(200, &json!({"user": user}))
}

/// Registers a public client with one complete redirect URI.
fn register(op: &Op, state: &mut State, redirect_uri: &str) -> Reply {
    let expandable = op.twist(Twist::WildcardRegistrationRefused) && redirect_uri.ends_with('*');
    if redirect_uri.contains('*') && !expandable {
        return problem("a redirect URI is registered completely, without wildcards");
    }
    match Url::parse(redirect_uri) {
        Ok(url) if url.scheme() == "https" && url.fragment().is_none() => {}
        _ => return problem("a redirect URI is an https URL without fragment"),
    }
    let id = format!("client-{}", random(9));
    let client = RegisteredClient {
        id: id.clone(),
        redirect_uris: vec![redirect_uri.to_owned()],
        auth: ClientAuth::None,
        ..RegisteredClient::default()
    };
    state.clients.insert(id.clone(), client);
    Reply::json(201, &json!({"client_id": id}))
}

/// The tile of the first client that has one.
fn launch(op: &Op, state: &mut State, user: &str) -> Reply {
    if !state.accounts.contains_key(user) {
        return problem("the user is not known");
    }
    let mut ids: Vec<String> =
        state.clients.values().filter(|client| client.initiate_login_uri.is_some()).map(|client| client.id.clone()).collect();
    ids.sort();
    match ids.first().and_then(|id| portal::launch_url(op, state, id, user)) {
        Some(url) => Reply::json(200, &json!({"url": url})),
        None => problem("no client has an initiate_login_uri"),
    }
}

/// A defect: anybody registers.
pub fn open_registration(state: &mut State, request: &In<'_>) -> Reply {
    let body = request.json();
    let redirect_uris: Vec<String> =
        body["redirect_uris"].as_array().into_iter().flatten().filter_map(|uri| uri.as_str().map(str::to_owned)).collect();
    let id = format!("client-{}", random(9));
    let client = RegisteredClient {
        id: id.clone(),
        redirect_uris: redirect_uris.clone(),
        auth: ClientAuth::None,
        ..RegisteredClient::default()
    };
    state.clients.insert(id.clone(), client);
    Reply::json(201, &json!({"client_id": id, "redirect_uris": redirect_uris, "token_endpoint_auth_method": "none"}))
        .with("cache-control", "no-store")
}
