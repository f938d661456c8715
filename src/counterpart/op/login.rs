//! Sign-in in two steps: user name and password, then a one-time code. Only both together make a session.

use super::http::{In, Reply, get};
use super::state::{Authentication, FirstFactor, Session, State};
use super::{Op, OpUser, authorize, pages, totp};
use crate::counterpart::twist::Twist;
use crate::wire::jose::{random, sha256_b64};

/// The `__Host-` prefix ties the cookie to this host and to https.
const COOKIE: &str = "__Host-session";
/// Where a login ends that nobody asked for.
const HOME: &str = "/portal";

/// The session of the browser that sent a request.
pub fn session(state: &State, request: &In<'_>) -> Option<Session> {
    request.cookie(COOKIE).and_then(|id| state.sessions.get(id)).cloned()
}

/// First page.
pub fn password_page(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    let Some(return_to) = destination(op, &request.query) else { return unknown_destination() };
    let (id, session) = open(state, request);
    with_cookie(Reply::page(200, pages::password(&session.csrf, &return_to, "", None)), &id)
}

/// Its form.
pub fn password(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    let (id, session, return_to) = match submitted(op, state, request) {
        Ok(submitted) => submitted,
        Err(refused) => return refused,
    };
    let name = get(&request.form, "username").unwrap_or_default().trim();
    let typed = get(&request.form, "password").unwrap_or_default();
    if !password_is_right(state, name, typed) {
        let again = pages::password(&session.csrf, &return_to, name, Some("The user name or the password is wrong."));
        return Reply::page(200, again);
    }
    if let Some(session) = state.sessions.get_mut(&id) {
        session.first_factor = Some(FirstFactor { user: name.to_owned(), attempt: random(12) });
    }
    Reply::see_other(op.url(&format!("/login/code?{}", super::http::encode([("return_to", return_to.as_str())]))))
}

/// Is it the password of an enabled account?
pub fn password_is_right(state: &State, name: &str, typed: &str) -> bool {
    // Digests are compared, so that the time it takes says nothing about the password.
    state.accounts.get(name).is_some_and(|account| !account.disabled && sha256_b64(&account.user.password) == sha256_b64(typed))
}

/// Second page.
pub fn code_page(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    let Some(return_to) = destination(op, &request.query) else { return unknown_destination() };
    match session(state, request) {
        Some(session) if session.first_factor.is_some() => Reply::page(200, pages::code(&session.csrf, &return_to, None)),
        _ => Reply::see_other(op.url(&format!("/login?{}", super::http::encode([("return_to", return_to.as_str())])))),
    }
}

/// Its form.
pub fn code(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    let (id, session, return_to) = match submitted(op, state, request) {
        Ok(submitted) => submitted,
        Err(refused) => return refused,
    };
    let Some(half) = session.first_factor.clone() else {
        return Reply::page(400, pages::error("Sign in with your password first."));
    };
    if !code_is_right(op, state, &half, get(&request.form, "code").unwrap_or_default()) {
        return Reply::page(200, pages::code(&session.csrf, &return_to, Some("The code is wrong or was used before.")));
    }
    // A new id for the session, so that one planted in the browser before the login is worth nothing.
    state.sessions.remove(&id);
    let id = random(32);
    let signed_in = Some(Authentication { user: half.user, at_ms: op.clock.now_ms(), strong: false });
    let session = Session { csrf: random(16), signed_in, first_factor: None };
    state.sessions.insert(id.clone(), session.clone());
    if op.twist(Twist::No307)
        && let Some(interaction) = return_to.strip_prefix("/authorize?interaction=")
    {
        let mut reply = authorize::resume(op, state, Some(&session), interaction);
        reply.status = if reply.status == 303 { 307 } else { reply.status };
        return with_cookie(reply, &id);
    }
    with_cookie(back(op, return_to), &id)
}

fn back(op: &Op, return_to: String) -> Reply {
    let own = return_to.starts_with('/') && !return_to.starts_with("//");
    Reply::see_other(if own { op.url(&return_to) } else { return_to })
}

/// Page of the second authenticator, for who is signed in.
pub fn hardware_page(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    let Some(return_to) = destination(op, &request.query) else { return unknown_destination() };
    match session(state, request) {
        Some(session) if session.signed_in.is_some() => Reply::page(200, pages::hardware(&session.csrf, &return_to, None)),
        _ => Reply::see_other(op.url(&format!("/login?{}", super::http::encode([("return_to", return_to.as_str())])))),
    }
}

/// Its form. The session goes on with the higher class, under a new id.
pub fn hardware(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    let (id, mut session, return_to) = match submitted(op, state, request) {
        Ok(submitted) => submitted,
        Err(refused) => return refused,
    };
    if get(&request.form, "cancel").is_some() {
        let interaction = return_to.strip_prefix("/authorize?interaction=").unwrap_or_default();
        return authorize::cancel(op, state, interaction);
    }
    let Some(signed_in) = &mut session.signed_in else {
        return Reply::page(400, pages::error("Sign in first."));
    };
    let attempt = FirstFactor { user: signed_in.user.clone(), attempt: return_to.clone() };
    let typed = get(&request.form, "code").unwrap_or_default();
    if !is_right(op, state, &attempt, typed, |user| &user.hardware) {
        let again = pages::hardware(&session.csrf, &return_to, Some("The code is wrong or was used before."));
        return Reply::page(200, again);
    }
    signed_in.strong = true;
    session.csrf = random(16);
    state.sessions.remove(&id);
    let id = random(32);
    state.sessions.insert(id.clone(), session);
    with_cookie(back(op, return_to), &id)
}

fn code_is_right(op: &Op, state: &mut State, half: &FirstFactor, typed: &str) -> bool {
    is_right(op, state, half, typed, |user| &user.totp)
}

fn is_right(op: &Op, state: &mut State, half: &FirstFactor, typed: &str, secret: fn(&OpUser) -> &String) -> bool {
    let Some(account) = state.accounts.get(&half.user).filter(|account| !account.disabled) else { return false };
    let secret = secret(&account.user);
    if secret.is_empty() || !totp::matches(secret, typed, op.now()) {
        return false;
    }
    let scope = if account.user.reusable_codes { &half.attempt } else { "" };
    let remembered = format!("{}\n{scope}\n{}", account.id, typed.trim());
    state.one_time_codes.insert(remembered)
}

/// What both forms share: they need the session's hidden token (no login by a foreign page) and a destination of our own.
fn submitted(op: &Op, state: &State, request: &In<'_>) -> Result<(String, Session, String), Reply> {
    let id = request.cookie(COOKIE).unwrap_or_default();
    let session = state.sessions.get(id).filter(|session| get(&request.form, "csrf") == Some(&session.csrf));
    let Some(session) = session else {
        return Err(Reply::page(400, pages::error("This form is over. Start again at the application.")));
    };
    let return_to = destination(op, &request.form).ok_or_else(unknown_destination)?;
    Ok((id.to_owned(), session.clone(), return_to))
}

/// `return_to`: only our own authorization endpoint and portal (no open redirector).
fn destination(op: &Op, parameters: &super::http::Pairs) -> Option<String> {
    let sent = get(parameters, "return_to").unwrap_or(HOME);
    let own = sent == HOME
        || sent
            .strip_prefix("/authorize?interaction=")
            .is_some_and(|id| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
    (own || op.twist(Twist::NoOpenRedirectorAuthz)).then(|| sent.to_owned())
}

fn unknown_destination() -> Reply {
    Reply::page(400, pages::error("This link does not lead to an application of this service."))
}

fn open(state: &mut State, request: &In<'_>) -> (String, Session) {
    if let Some(id) = request.cookie(COOKIE)
        && let Some(known) = state.sessions.get(id)
    {
        return (id.to_owned(), known.clone());
    }
    let id = random(32);
    let fresh = Session { csrf: random(16), ..Session::default() };
    state.sessions.insert(id.clone(), fresh.clone());
    (id, fresh)
}

fn with_cookie(reply: Reply, id: &str) -> Reply {
    reply.with("set-cookie", format!("{COOKIE}={id}; Path=/; HttpOnly; Secure; SameSite=Lax"))
}

/// Ends the session of the browser.
pub fn end(state: &mut State, request: &In<'_>, reply: Reply) -> Reply {
    if let Some(id) = request.cookie(COOKIE) {
        state.sessions.remove(id);
    }
    reply.with("set-cookie", format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"))
}
