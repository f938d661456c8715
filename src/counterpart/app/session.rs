//! Who a browser is: the session behind its cookie, its end, and its renewal at the provider.

use super::App;
use super::defect::Defect;
use super::http::In;
use super::id_token::{Expected, OWN_LIFETIME_S};
use super::people;
use super::state::{Account, Session, State};
use crate::wire::jose::random;

/// Carries the session.
pub const SESSION_COOKIE: &str = "__Host-session";
/// Names the browser, before and across logins; binds the authorization response to it.
pub const LOGIN_COOKIE: &str = "__Host-login";

/// What a session is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A page is shown.
    Page,
    /// A call of a script, or the hand-over of tokens.
    Api,
    /// Something is changed.
    Write,
}

/// `Set-Cookie` of the session. 256 bits, not readable by scripts.
pub fn session_cookie(id: &str) -> String {
    format!("{SESSION_COOKIE}={id}; Path=/; Secure; HttpOnly; SameSite=Lax")
}

/// `Set-Cookie` of the browser. It carries no authority, and has to come with responses from other sites.
pub fn login_cookie(id: &str) -> String {
    format!("{LOGIN_COOKIE}={id}; Path=/; Secure; HttpOnly; SameSite=None")
}

/// A fresh session id.
pub fn new_session_id(app: &App, state: &mut State) -> String {
    if app.has(Defect::SessionCookieEntropy) {
        state.counted += 1;
        return format!("{:08}", state.counted);
    }
    random(32)
}

/// The session of a browser with its cookie value and account, if it is alive for this use. At its end it is renewed once with the
/// provider's refresh token, or it is over.
pub async fn current(app: &App, request: &In, use_: Use) -> Option<(String, Session, Account)> {
    let id = request.cookie(SESSION_COOKIE)?.to_owned();
    let session = app.lock().sessions.get(&id).cloned()?;
    let alive = if session.ended { revived(app, &id, &session, use_).await } else { in_time(app, &id, &session, use_).await };
    let state = app.lock();
    // Read again: it may have been renewed, or ended meanwhile.
    let session = state.sessions.get(&id).filter(|_| alive)?.clone();
    let account = state.accounts.get(&session.account)?.clone();
    if !session.bypass && !people::may_go_on(app, &state, &account.id) {
        return None;
    }
    drop(state);
    Some((id, session, people::shown(app, account)))
}

async fn in_time(app: &App, id: &str, session: &Session, use_: Use) -> bool {
    let now = app.now();
    if now < session.expires {
        if app.has(Defect::SessionExpiryNotSliding)
            && let Some(session) = app.lock().sessions.get_mut(id)
        {
            session.expires = session.expires.max(now + session.lifetime);
        }
        return true;
    }
    if app.has(Defect::SessionExpiryApi) && use_ != Use::Page {
        return true;
    }
    renew(app, id).await
}

/// A session that a command ended, under the defects that do not let it end.
async fn revived(app: &App, id: &str, session: &Session, use_: Use) -> bool {
    match use_ {
        Use::Page if app.has(Defect::ReauthBeforePage) => true,
        Use::Write if app.has(Defect::ReauthBeforeStateChange) => true,
        Use::Page if app.has(Defect::ReauthNotSilent) && session.refresh_token.is_some() => renew(app, id).await,
        _ => false,
    }
}

/// Asks the provider by refresh token whether the session may go on. Any failure ends it.
async fn renew(app: &App, id: &str) -> bool {
    let _one_at_a_time = app.renewing.lock().await;
    let Some(session) = app.lock().sessions.get(id).cloned() else { return false };
    if !session.ended && app.now() < session.expires {
        return true;
    }
    let outcome = ask_provider(app, &session).await;
    let mut state = app.lock();
    // A command that came meanwhile wins: the entry is gone, or marked.
    let Some(entry) = state.sessions.get_mut(id).filter(|entry| entry.ended == session.ended) else { return false };
    match outcome {
        Ok((expires, refresh_token)) => {
            entry.expires = expires;
            entry.refresh_token = refresh_token.or(session.refresh_token);
            entry.ended = false;
            app.now() < expires
        }
        Err(_) if app.has(Defect::RefreshRevalidation) && session.refresh_token.is_some() => {
            entry.expires = app.now() + OWN_LIFETIME_S;
            true
        }
        Err(_) => {
            if !app.has(Defect::SessionExpiryApi) {
                state.sessions.remove(id);
            }
            false
        }
    }
}

/// The new end and refresh token (OIDC Core 12.2).
async fn ask_provider(app: &App, session: &Session) -> Result<(i64, Option<String>), String> {
    let token = session.refresh_token.as_deref().ok_or("there is no refresh token")?;
    let provider = app.provider(session.connection).await?;
    let tokens = app.refresh_grant(&provider, session.connection, token).await?;
    let id_token = tokens.id_token.as_deref().ok_or("the refresh gave no ID token")?;
    let claims = app.id_token(&provider, session.connection, id_token, &Expected::default()).await?;
    if claims["sub"] != session.sub.as_str() || claims["tenant"].as_str() != session.tenant.as_deref() {
        return Err("the refreshed ID token is for another user".into());
    }
    if claims.get("session_expiry").is_none() {
        return Err("the refreshed ID token has no session_expiry".into());
    }
    let end = app.end_of_session(&claims)?;
    // Under the defect the first value stays, which has passed.
    let end = if app.has(Defect::SessionRenewedFromAssertion) { session.expires } else { end };
    Ok((end, tokens.refresh_token))
}
