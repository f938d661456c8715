//! What users see and scripts call: the protected page, the profile, the session's API, sign-out.

use serde_json::json;

use super::App;
use super::defect::Defect;
use super::http::{In, Reply, get};
use super::login::{self, Start};
use super::pages;
use super::roles;
use super::session::{self, Use};

/// `/protected`.
pub async fn protected(app: &App, request: &In) -> Reply {
    match session::current(app, request, Use::Page).await {
        Some((_, _, account)) => {
            let roles = roles::effective(app, &app.lock(), &account);
            Reply::page(200, pages::protected(&account, &roles))
        }
        None => signed_out(app, request, "/protected").await,
    }
}

/// What somebody without a session gets: a new login, or the status for those who cannot follow.
pub async fn signed_out(app: &App, request: &In, path: &str) -> Reply {
    if request.wants_json() {
        return unauthorized();
    }
    login::begin(app, request, Start { return_to: app.url(path), ..Start::default() }).await
}

fn unauthorized() -> Reply {
    Reply::json(401, &json!({"error": "login_required"})).with("cache-control", "no-store")
}

/// `/api/me`: as scripts of the pages call it.
pub async fn me(app: &App, request: &In) -> Reply {
    match session::current(app, request, Use::Api).await {
        Some((_, _, account)) => Reply::json(
            200,
            &json!({
                "account": account.id, "name": account.name, "email": account.email, "nickname": account.nickname,
            }),
        )
        .with("cache-control", "no-store"),
        None => unauthorized(),
    }
}

/// GET `/profile`.
pub async fn profile(app: &App, request: &In) -> Reply {
    match session::current(app, request, Use::Page).await {
        Some((_, session, account)) => Reply::page(200, pages::profile(&account, &session.csrf)),
        None => signed_out(app, request, "/profile").await,
    }
}

/// POST `/profile`: needs the hidden token of the form.
pub async fn save_profile(app: &App, request: &In) -> Reply {
    let Some((_, session, account)) = session::current(app, request, Use::Write).await else {
        return if request.wants_json() { unauthorized() } else { Reply::page(401, pages::signed_out()) };
    };
    if get(&request.form, "csrf") != Some(session.csrf.as_str()) {
        return Reply::page(403, pages::error("The form is out of date."));
    }
    let nickname: String = get(&request.form, "nickname").unwrap_or_default().chars().take(100).collect();
    if let Some(account) = app.lock().accounts.get_mut(&account.id) {
        account.nickname = nickname;
    }
    Reply::see_other(app.url("/profile"))
}

/// `/logout`: ends the session in this browser; `returnTo` names a page of the application.
pub fn logout(app: &App, request: &In) -> Reply {
    if let Some(id) = request.cookie(session::SESSION_COOKIE) {
        app.lock().sessions.remove(id);
    }
    let reply = match get(request.parameters(), "returnTo") {
        Some(place) => Reply::see_other(app.return_to(Some(place), false)),
        None => Reply::page(200, pages::signed_out()),
    };
    let reply = reply.with("set-cookie", format!("{}=; Path=/; Secure; HttpOnly; Max-Age=0", session::SESSION_COOKIE));
    if app.has(Defect::AccessTokenIdentityOnly) {
        return reply.with("set-cookie", "api_token=; Path=/; Secure; Max-Age=0");
    }
    reply
}
