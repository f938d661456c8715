//! The one user with a password at the application itself: from before there was an identity service, until a migrate command ends it.

use super::defect::Defect;
use super::http::Reply;
use super::state::{Account, Session, Standing, State};
use super::{App, AppConfig, session};
use crate::wire::jose::random;

/// `sub` at the first issuer.
pub const SUB: &str = "reference-local-user";
/// The user name.
pub const EMAIL: &str = "local.user@ipsie-conform.test";
/// The password; this is a test double, and everybody may know it.
pub const PASSWORD: &str = "local-password";

/// The account at the start.
pub fn account(config: &AppConfig) -> Account {
    Account {
        id: random(12),
        issuer: config.issuer.clone(),
        tenant: (!config.tenant.is_empty()).then(|| config.tenant.clone()),
        sub: SUB.to_owned(),
        email: Some(EMAIL.to_owned()),
        authentication_provider: Some("rp".to_owned()),
        ..Account::default()
    }
}

/// Signs the user in by password; `None` for anybody else, and once the identity service alone signs the user in.
pub fn sign_in(app: &App, name: &str, password: &str) -> Option<Reply> {
    let mut state = app.lock();
    let allowed = |account: &&Account| {
        let by_password = account.authentication_provider.as_deref().is_some_and(|who| who != "op");
        account.sub == SUB
            && account.email.as_deref() == Some(name)
            && account.standing == Standing::Active
            && (by_password || app.has(Defect::CmdMigrate))
    };
    let account = state.accounts.values().find(allowed).filter(|_| password == PASSWORD)?.clone();
    Some(begin(app, &mut state, &account, false))
}

/// A session that no identity service knows of. `bypass`: nobody asks whether the account is active.
pub fn begin(app: &App, state: &mut State, account: &Account, bypass: bool) -> Reply {
    let cookie = session::new_session_id(app, state);
    let (now, lifetime) = (app.now(), super::id_token::OWN_LIFETIME_S);
    state.logins += 1;
    let session = Session {
        account: account.id.clone(),
        sub: account.sub.clone(),
        tenant: account.tenant.clone(),
        csrf: random(24),
        started: now,
        order: state.logins,
        expires: now + lifetime,
        lifetime,
        bypass,
        ..Session::default()
    };
    state.sessions.insert(cookie.clone(), session);
    Reply::see_other(app.url("/protected")).with("set-cookie", session::session_cookie(&cookie))
}
