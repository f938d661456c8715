//! What a command does, whichever way it came: sessions and own tokens of the user end, and the next login is a real one.

use super::App;
use super::defect::Defect;
use super::state::{Account, Session, State};

/// Ends what belongs to these accounts. `not_after` spares sessions that began later (a replayed message), `sid` all but one session.
pub fn revoke(app: &App, state: &mut State, accounts: &[String], sid: Option<&str>, not_after: i64) {
    let newest = state.sessions.values().filter(|session| accounts.contains(&session.account) && !session.ended);
    let newest = newest.map(|session| session.order).max().filter(|_| app.has(Defect::RevokeAllSessions));
    let everybody = app.has(Defect::RevokeOthersUnaffected);
    let ends = |session: &Session| {
        everybody
            || (accounts.contains(&session.account)
                && sid.is_none_or(|sid| session.sid.as_deref() == Some(sid))
                && session.started <= not_after
                && newest != Some(session.order))
    };
    let ended: Vec<String> = state.sessions.iter().filter(|(_, session)| ends(session)).map(|(id, _)| id.clone()).collect();
    let stays = [Defect::ReauthBeforePage, Defect::ReauthBeforeStateChange, Defect::ReauthNotSilent];
    for id in ended {
        let Some(mut session) = state.sessions.remove(&id) else { continue };
        state.ask_again.insert(session.browser.clone());
        if stays.iter().any(|defect| app.has(*defect)) {
            session.ended = true;
            if app.has(Defect::ReauthBeforePage) {
                session.refresh_token = None;
            }
            state.sessions.insert(id, session);
        }
    }
    if sid.is_some() {
        return;
    }
    state.access_tokens.retain(|_, token| !accounts.contains(&token.account));
    if !app.has(Defect::RevokeAppTokens) {
        state.refresh_tokens.retain(|_, token| !accounts.contains(&token.account));
    }
    if app.has(Defect::ReloginAfterRevoke) {
        for account in state.accounts.values_mut().filter(|account| accounts.contains(&account.id)) {
            account.suspended = true;
        }
    }
}

/// Ids of the accounts that fit.
pub fn accounts(state: &State, fits: impl Fn(&Account) -> bool) -> Vec<String> {
    state.accounts.values().filter(|account| fits(account)).map(|account| account.id.clone()).collect()
}
