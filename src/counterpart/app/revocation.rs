//! `/global-token-revocation` (draft-parecki-oauth-global-token-revocation-05), and the metadata that announce it.

use serde_json::{Value, json};

use super::App;
use super::defect::Defect;
use super::http::{In, Reply};
use super::revoke::{accounts, revoke};
use super::state::Account;
use crate::wire::jose::sha256_b64;

/// Answers a revocation request. 204 is sent when everything has ended.
pub fn revocation(app: &App, request: &In) -> Reply {
    let bearer = request.bearer().map(sha256_b64);
    let fits = |token: &String| !token.is_empty() && bearer.as_deref() == Some(sha256_b64(token).as_str());
    let connection = app.config.revocation_tokens.iter().position(fits);
    let connection = match connection {
        Some(connection) => Some(connection),
        None if bearer.is_some() && app.has(Defect::GtrAuthRequired) => None,
        None => {
            return Reply::oauth_error(401, "invalid_token", "the credential is not valid")
                .with("www-authenticate", "Bearer error=\"invalid_token\"");
        }
    };
    let invalid = |why: &str| Reply::oauth_error(400, "invalid_request", why);
    let Some(body) = request.json().filter(Value::is_object) else { return invalid("the body is no JSON object") };
    let member = if app.has(Defect::GtrAccepts) { "subject" } else { "sub_id" };
    let Some(subject) = body.get(member).filter(|subject| subject.is_object()) else {
        return invalid(&format!("{member} is missing"));
    };
    // A credential reaches the users of its own issuer only.
    let bound = connection.filter(|_| !app.has(Defect::GtrTenantBound)).and_then(|connection| app.issuer(connection));
    let text = |name: &str| subject[name].as_str().unwrap_or_default();
    let mut state = app.lock();
    let found = match text("format") {
        "iss_sub" if text("iss").is_empty() || text("sub").is_empty() => return invalid("iss or sub is missing"),
        "iss_sub" if bound.is_some_and(|issuer| issuer != text("iss")) => {
            return Reply::oauth_error(403, "insufficient_scope", "the credential is for the users of another issuer");
        }
        "iss_sub" => accounts(&state, |account| account.issuer == text("iss") && account.sub == text("sub")),
        "email" if text("email").is_empty() => return invalid("email is missing"),
        "email" => {
            let own = |account: &Account| bound.is_none_or(|issuer| issuer == account.issuer);
            accounts(&state, |account| own(account) && account.email.as_deref() == Some(text("email")))
        }
        _ if app.has(Defect::GtrErrors) => return Reply::oauth_error(500, "server_error", "the format is not supported"),
        _ => return invalid("the format of sub_id is not supported"),
    };
    if found.is_empty() {
        return Reply::oauth_error(404, "not_found", "there is no such user");
    }
    revoke(app, &mut state, &found, None, i64::MAX);
    Reply::status(204).with("cache-control", "no-store")
}

/// `/.well-known/oauth-authorization-server` (RFC 8414) of the host that is asked.
pub fn metadata(app: &App, request: &In) -> Reply {
    let at_api = request.header("host").is_some_and(|host| host.split(':').next() == Some(super::API_HOST));
    let origin = if at_api { app.api_url("") } else { app.url("") };
    let mut document = json!({
        "issuer": origin,
        "token_endpoint": app.api_url("/token"),
        "grant_types_supported": ["refresh_token"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "global_token_revocation_endpoint": app.api_url("/global-token-revocation"),
    });
    if app.has(Defect::GtrAdvertised)
        && let Some(members) = document.as_object_mut()
    {
        members.remove("global_token_revocation_endpoint");
    }
    Reply::json(200, &document)
}
