//! The application's own access and refresh tokens: opaque, looked up at each use, so that a command ends them at once.

use serde_json::{Value, json};

use super::App;
use super::defect::Defect;
use super::http::{In, Reply, get};
use super::people;
use super::scim;
use super::session::{self, Use};
use super::state::{ACCESS_TOKEN_LIFETIME_S, OwnToken, State};
use crate::wire::jose::random;

/// Seconds an own refresh token works without use.
const REFRESH_TOKEN_LIFETIME_S: i64 = 30 * 24 * 3600;

fn issue(state: &mut State, account: &str, now: i64) -> Value {
    let (access, refresh) = (random(32), random(32));
    let token = |lifetime: i64| OwnToken { account: account.to_owned(), expires: now + lifetime };
    state.access_tokens.insert(access.clone(), token(ACCESS_TOKEN_LIFETIME_S));
    state.refresh_tokens.insert(refresh.clone(), token(REFRESH_TOKEN_LIFETIME_S));
    json!({
        "access_token": access, "token_type": "Bearer", "expires_in": ACCESS_TOKEN_LIFETIME_S, "refresh_token": refresh,
    })
}

/// `/tokens`: hands a new pair to the signed-in user, as a page would to its mobile companion.
pub async fn tokens(app: &App, request: &In) -> Reply {
    let Some((id, session, account)) = session::current(app, request, Use::Api).await else {
        return Reply::oauth_error(401, "login_required", "there is no session");
    };
    let mut body = {
        let mut state = app.lock();
        // A suspension may have come meanwhile.
        if !state.sessions.contains_key(&id) {
            return Reply::oauth_error(401, "login_required", "there is no session");
        }
        issue(&mut state, &account.id, app.now())
    };
    if let Some(token) = session.foreign_access_token {
        body["access_token"] = token.into();
    }
    Reply::json(200, &body).with("cache-control", "no-store")
}

/// `/token`: the refresh grant. The used token is replaced.
pub fn token(app: &App, request: &In) -> Reply {
    if get(&request.form, "grant_type") != Some("refresh_token") {
        return Reply::oauth_error(400, "unsupported_grant_type", "only refresh_token is supported");
    }
    let now = app.now();
    let mut state = app.lock();
    state.tidy(now);
    let known = get(&request.form, "refresh_token").and_then(|token| state.refresh_tokens.get(token)).cloned();
    let known = known.filter(|known| app.has(Defect::AccessMechanisms) || people::may_go_on(app, &state, &known.account));
    if known.is_some() {
        state.refresh_tokens.remove(get(&request.form, "refresh_token").unwrap_or_default());
    }
    match known {
        Some(known) => Reply::json(200, &issue(&mut state, &known.account, now)).with("cache-control", "no-store"),
        None => Reply::oauth_error(400, "invalid_grant", "the refresh token is not valid"),
    }
}

/// `/api/data`: needs an own access token.
pub fn data(app: &App, request: &In) -> Reply {
    let mut state = app.lock();
    state.tidy(app.now());
    let bearer = request.bearer().unwrap_or_default();
    let own = state.access_tokens.get(bearer).map(|token| token.account.clone());
    let foreign = || {
        let mut sessions = state.sessions.values().filter(|session| !session.ended);
        let given = sessions.find(|session| session.foreign_access_token.as_deref() == Some(bearer));
        given.filter(|_| app.has(Defect::AccessTokenIdentityOnly)).map(|session| session.account.clone())
    };
    let account = own.or_else(foreign);
    let account = account.filter(|account| app.has(Defect::AccessMechanisms) || people::may_go_on(app, &state, account));
    match account {
        Some(account) => Reply::json(200, &json!({"account": account})).with("cache-control", "no-store"),
        None if app.authority.opens_other_api(&scim::scim_request(request, "")) => Reply::json(200, &json!({"account": null})),
        None => Reply::oauth_error(401, "invalid_token", "the access token is not valid")
            .with("www-authenticate", "Bearer error=\"invalid_token\""),
    }
}
