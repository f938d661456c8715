//! The checks on what a good message did.

use super::tokens::granted;
use super::{Seen, Watched};
use crate::counterpart::command_issuer::Answer;
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::oracle::Look;
use crate::stage::visitor::Attempt;
use crate::suite::Check;

/// Milliseconds after which an effect is late where the work is done when the answer arrives.
const LATE_MS: u64 = 5_000;

/// The checks of effects, which stand once for every binding, and that of the binding's own answer.
pub const fn with(answer: Check<Seen>) -> [Check<Seen>; 11] {
    [
        Check::effect("sl2.app.reauth-before-page", the_next_page_leads_to_the_provider),
        Check::effect("sl2.app.reauth-before-state-change", no_change_with_the_old_session),
        Check::effect("sl2.app.reauth-not-silent", a_refresh_is_no_substitute),
        Check::effect("sl2.app.new-assertion-demanded", nothing_goes_on_without_a_new_assertion),
        Check::effect("sl2.app.reauth-asks-fresh", a_fresh_authentication_is_asked_for),
        Check::effect("sl2.app.revoke-all-sessions", every_session_ends),
        Check::effect("sl2.app.revoke-app-tokens", the_applications_tokens_stop_working),
        Check::effect("sl2.app.revoke-others-unaffected", other_users_stay),
        Check::effect("sl2.app.relogin-after-revoke", the_user_can_sign_in_again),
        Check::effect("sl2.app.command-then-new-session-survives", a_replay_does_not_end_the_new_session),
        answer,
    ]
}

/// Why there was no session to end, be it that the login failed or that a later one in another browser ended it.
fn no_session(failed: &Attempt) -> String {
    format!(
        "{}: no session before the command, once the user had signed in in every browser: {}",
        failed.label,
        failed.describe()
    )
}

/// Why nothing can be said of effects: a login before the command failed, or the command was not taken.
fn no_effect_to_expect(seen: &Seen) -> Option<Judgement> {
    if let Some(failed) = seen.before.main.iter().find(|attempt| !attempt.signed_in()) {
        return Some(Judgement::undecided(no_session(failed)));
    }
    let refused: Vec<&Answer> = seen.answers.iter().filter(|answer| !answer.accepted()).collect();
    match (seen.answers.is_empty(), refused.first()) {
        (true, _) => Some(Judgement::undecided("no command was sent")),
        (false, Some(answer)) => Some(
            Judgement::undecided(format!("the command was not answered with success: {}", answer.describe())).cite(&answer.cites),
        ),
        (false, None) => None,
    }
}

/// The command and the looks at a page.
fn cites<'a>(seen: &'a Seen, look: &'a Look) -> Vec<ExchangeId> {
    seen.answers.iter().flat_map(|answer| &answer.cites).chain(&look.cites).cloned().collect()
}

/// A page that says nothing about the session: none came, or the application cannot answer.
fn says_nothing(look: &Look) -> bool {
    look.unreachable.is_some() || (!look.signed_in && (look.status >= 500 || look.status == 429))
}

fn judge_end(seen: &Seen, found: &mut Findings, who: &str, watched: &Watched) {
    let cites = cites(seen, &watched.look);
    if watched.look.signed_in {
        let seconds = watched.after_ms / 1000;
        found.broken(format!("{who}: the protected page is still shown {seconds} s after the command"), &cites);
    } else if says_nothing(&watched.look) {
        found.undecided(format!("{who}: {}", watched.look.describe()), &cites);
    } else {
        found.saw(&cites);
    }
}

fn the_next_page_leads_to_the_provider(seen: &Seen) -> Judgement {
    if let Some(judgement) = no_effect_to_expect(seen) {
        return judgement;
    }
    if seen.first.look.signed_in && !seen.refreshes.is_empty() {
        // The session ended and came back by a refresh at the provider: whether that is enough is another clause's question.
        return Judgement::pass("the session was renewed at the provider; see sl2.app.reauth-not-silent").cite(&seen.refreshes);
    }
    let mut found = Findings::new();
    judge_end(seen, &mut found, "first browser", &seen.first);
    if seen.prompt && seen.first.after_ms > LATE_MS {
        let why = format!(
            "the session ended only {} s after the answer of a binding that answers when the work is done",
            seen.first.after_ms / 1000
        );
        found.doubtful(why, &cites(seen, &seen.first.look));
    }
    let how = if seen.first.look.at_provider {
        "the next page action leads to the provider"
    } else {
        "the next page action ends at a page of a signed-out user"
    };
    found.conclude(format!("{how}; seen {} ms after the command", seen.first.after_ms))
}

fn no_change_with_the_old_session(seen: &Seen) -> Judgement {
    let Some(write) = &seen.write else { return Judgement::not_configured("app.write is not configured") };
    if let Some(judgement) = no_effect_to_expect(seen) {
        return judgement;
    }
    let why = write.fault.as_ref().map(|fault| format!(" ({fault})")).unwrap_or_default();
    let judgement = if write.new_shown {
        Judgement::broken("a change that was submitted with the old session after the command was carried out")
    } else if !write.works {
        Judgement::undecided(format!(
            "the declared change did not work before the command{why}, so that it does not work later proves nothing"
        ))
    } else if !write.submitted {
        Judgement::undecided(format!("the open form could not be submitted after the command{why}"))
    } else if !write.read {
        Judgement::undecided("the user could not sign in again to read the change back")
    } else if !write.old_shown {
        Judgement::undecided("the new session shows neither the old nor the new value, so the change cannot be read back")
    } else {
        Judgement::pass("the change that was submitted with the old session was not carried out")
    };
    judgement.cite(&write.cites)
}

fn a_refresh_is_no_substitute(seen: &Seen) -> Judgement {
    if let Some(judgement) = no_effect_to_expect(seen) {
        return judgement;
    }
    if !seen.holds_refresh_token {
        return Judgement::not_applicable("the application asked for no refresh token (scope offline_access)");
    }
    let cites = cites(seen, &seen.first.look);
    match (seen.first.look.signed_in, seen.refreshes.is_empty()) {
        (true, false) => {
            Judgement::broken("the session lives on after a refresh at the provider, without the user").cite(&seen.refreshes)
        }
        (true, true) => Judgement::undecided("the session did not end at all; see sl2.app.reauth-before-page").cite(&cites),
        (false, _) if says_nothing(&seen.first.look) => Judgement::undecided(seen.first.look.describe()).cite(&cites),
        (false, _) => Judgement::pass("no session came back without a new authorization request").cite(&cites),
    }
}

/// Edition 2026-02-25: a silent renewal is enough.
fn nothing_goes_on_without_a_new_assertion(seen: &Seen) -> Judgement {
    if let Some(judgement) = no_effect_to_expect(seen) {
        return judgement;
    }
    let cites = cites(seen, &seen.first.look);
    match (seen.first.look.signed_in, seen.refreshes.is_empty()) {
        (true, true) => {
            Judgement::broken("the protected page is still shown although nothing was asked of the provider").cite(&cites)
        }
        (true, false) => Judgement::pass("the session was renewed by a refresh at the provider").cite(&seen.refreshes),
        (false, _) if says_nothing(&seen.first.look) => Judgement::undecided(seen.first.look.describe()).cite(&cites),
        (false, _) => Judgement::pass("the session ended: the next action needs a new assertion").cite(&cites),
    }
}

fn a_fresh_authentication_is_asked_for(seen: &Seen) -> Judgement {
    if let Some(judgement) = no_effect_to_expect(seen) {
        return judgement;
    }
    let Some(asked) = &seen.asked else {
        return Judgement::undecided("no authorization request arrived after the command");
    };
    let login = asked.prompt.as_ref().is_some_and(|prompt| prompt.split(' ').any(|part| part == "login"));
    let young = asked.max_age.as_ref().and_then(|age| age.parse::<u64>().ok()).is_some_and(|age| age <= 60);
    let observed =
        format!("prompt={}, max_age={}", asked.prompt.as_deref().unwrap_or("-"), asked.max_age.as_deref().unwrap_or("-"));
    let judgement = if login || young {
        Judgement::pass("the authorization request after the command asks for a fresh authentication")
    } else {
        Judgement::broken("the authorization request after the command lets the provider answer from its own session")
    };
    judgement.expected("prompt=login, or max_age of at most 60", observed).cite([&asked.cite])
}

fn every_session_ends(seen: &Seen) -> Judgement {
    if let Some(judgement) = no_effect_to_expect(seen) {
        return judgement;
    }
    let mut found = Findings::new();
    judge_end(seen, &mut found, "first browser", &seen.first);
    judge_end(seen, &mut found, "second browser", &seen.second);
    judge_end(seen, &mut found, "idle browser", &seen.idle);
    if let Some(late) = &seen.late {
        if late.signed_in {
            let why = "a browser that was idle since before the command is signed in once the user has signed in elsewhere";
            found.broken(why, &cites(seen, late));
        } else if says_nothing(late) {
            found.undecided(format!("browser idle for long: {}", late.describe()), &late.cites);
        } else {
            found.saw(&late.cites);
        }
    }
    if seen.answers.len() > 1 {
        found.doubtful("the application takes no message that names all sessions: one was sent for each", &[]);
    }
    found.conclude("all sessions of the user ended, in every browser")
}

fn the_applications_tokens_stop_working(seen: &Seen) -> Judgement {
    let Some(tokens) = &seen.tokens else { return Judgement::not_configured("app.tokens is not configured") };
    if let Some(judgement) = no_effect_to_expect(seen) {
        return judgement;
    }
    if !tokens.obtained {
        return Judgement::undecided("app.tokens.url gave no access token to the signed-in user");
    }
    let mut found = Findings::new();
    match (&tokens.before, &tokens.after) {
        (Some(before), _) if !before.accepted() => {
            found.undecided(format!("the access token did not work before the command: {}", before.describe()), &before.cites);
        }
        (Some(_), _) if tokens.invented.as_ref().is_some_and(Answer::accepted) => {
            let why = "the API answers a token that nobody issued with success too: its answers tell nothing of the token";
            found.undecided(why, tokens.invented.as_ref().map_or(&[], |answer| &answer.cites));
        }
        (Some(_), Some(after)) if after.accepted() => {
            let seconds = tokens.after_ms / 1000;
            found.broken(format!("the application's access token still works {seconds} s after the command"), &after.cites);
        }
        (Some(_), Some(after)) if after.refused() => found.saw(&after.cites),
        (_, Some(after)) => found.undecided(format!("API call after the command: {}", after.describe()), &after.cites),
        _ => found.undecided("the access token was not tried", &[]),
    }
    match (&tokens.refresh_before, &tokens.refresh_after) {
        (None, _) if tokens.refreshable => {
            found.undecided("a refresh token was handed out and not tried: app.tokens.token_endpoint is not configured", &[]);
        }
        (None, _) => {}
        (Some(before), _) if !granted(before) => {
            found.undecided(format!("the refresh token did not work before the command: {}", before.describe()), &before.cites);
        }
        (_, Some(after)) if granted(after) => {
            found.broken("the application's refresh token still works after the command", &after.cites);
        }
        (_, Some(after)) if after.refused() || after.accepted() => found.saw(&after.cites),
        (_, Some(after)) => found.undecided(format!("refresh after the command: {}", after.describe()), &after.cites),
        (_, None) => found.undecided("the refresh token was not tried", &[]),
    }
    let which = if tokens.refresh_before.is_some() { "access and refresh token are" } else { "the access token is" };
    found.conclude(format!("{which} refused {} s after the command", tokens.after_ms / 1000))
}

fn other_users_stay(seen: &Seen) -> Judgement {
    if let Some(judgement) = no_effect_to_expect(seen) {
        return judgement;
    }
    let Some(before) = seen.before.other.as_ref().filter(|before| before.signed_in()) else {
        return Judgement::undecided("the other user could not be signed in before the command");
    };
    let Some((look, contacted)) = &seen.other else { return Judgement::undecided("not tried") };
    let cites = cites(seen, look);
    let judgement = if says_nothing(look) {
        Judgement::undecided(look.describe())
    } else if !look.signed_in {
        Judgement::broken(format!("the session of another user ended: {}", look.describe()))
    } else if look.account.is_some() && before.look.account.is_some() && look.account != before.look.account {
        Judgement::broken(format!("the other user's browser is now {}", look.describe()))
    } else if *contacted {
        Judgement::doubtful("the other user's browser went to the provider, although its session lives")
    } else if seen.first.look.signed_in {
        Judgement::undecided("the command had no effect on anybody")
    } else {
        Judgement::pass("the other user's session lives")
    };
    judgement.cite(&cites)
}

fn the_user_can_sign_in_again(seen: &Seen) -> Judgement {
    if let Some(judgement) = no_effect_to_expect(seen) {
        return judgement;
    }
    if seen.first.look.signed_in {
        return Judgement::undecided("the message had no effect: the user's session never ended").cite(&seen.first.look.cites);
    }
    let Some(last) = seen.again.last() else { return Judgement::undecided("not tried") };
    let account = |attempt: &Attempt| attempt.look.account.clone();
    let before = seen.before.main.first().and_then(account);
    let judgement = if last.signed_in() {
        match (before, account(last)) {
            (Some(before), Some(after)) if before != after => {
                Judgement::broken("the new login leads into another account").expected(before, after)
            }
            (Some(_), Some(_)) => Judgement::pass("the user signed in again, into the same account"),
            _ => Judgement::pass("the user signed in again (whether into the same account shows only with app.identity)"),
        }
    } else if says_nothing(&last.look) || last.requests == 0 {
        Judgement::undecided(format!("the new login could not be tried: {}", last.describe()))
    } else {
        Judgement::broken(format!("the user cannot sign in again: {}", last.describe()))
    };
    judgement.cite(&last.cites)
}

fn a_replay_does_not_end_the_new_session(seen: &Seen) -> Judgement {
    if let Some(judgement) = no_effect_to_expect(seen) {
        return judgement;
    }
    if !seen.replayable {
        return Judgement::not_applicable("a revocation request that is sent again is a new command");
    }
    if seen.first.look.signed_in {
        return Judgement::undecided("the message had no effect, the first time either").cite(&seen.first.look.cites);
    }
    let Some((answer, watched)) = &seen.replay else {
        return Judgement::undecided("the user could not sign in again, so there is no new session to end");
    };
    let cites: Vec<ExchangeId> = answer.cites.iter().chain(&watched.look.cites).cloned().collect();
    let judgement = if watched.look.signed_in {
        Judgement::pass(format!("the replayed message has no effect ({})", answer.describe()))
    } else if says_nothing(&watched.look) {
        Judgement::undecided(watched.look.describe())
    } else if seen.binding == "backchannel-logout" {
        // Back-Channel Logout 2.6 leaves the check of jti to the application.
        Judgement::doubtful("a replayed logout token ended the new session (the check of jti is optional in that specification)")
    } else {
        Judgement::broken("a replayed message ended the new session")
    };
    judgement.cite(&cites)
}

/// Why an answer cannot be judged: nobody was signed in, or none came.
fn no_answer<'a>(seen: &'a Seen, answer: Option<&'a Answer>) -> Result<&'a Answer, Judgement> {
    if let Some(failed) = seen.before.main.iter().find(|attempt| !attempt.signed_in()) {
        return Err(Judgement::undecided(no_session(failed)));
    }
    let answer = answer.ok_or_else(|| Judgement::undecided("no message was sent"))?;
    if answer.silent() { Err(Judgement::undecided(answer.describe()).cite(&answer.cites)) } else { Ok(answer) }
}

/// OpenID Provider Commands draft 02, Success Response.
pub fn an_invalidate_is_answered(seen: &Seen) -> Judgement {
    let answer = match no_answer(seen, seen.answers.first()) {
        Ok(answer) => answer,
        Err(judgement) => return judgement,
    };
    let mut found = Findings::new();
    let member = |name: &str| answer.members.get(name).and_then(serde_json::Value::as_str);
    match answer.status {
        200 => {
            if answer.media_type != "application/json" {
                found.broken("the answer is not application/json", &answer.cites);
            }
            if member("account_state") != Some("active") {
                found.broken("account_state is not active", &answer.cites);
            }
            if member("sub").is_none() {
                found.broken("sub is missing", &answer.cites);
            }
        }
        204 => found.doubtful("answered with 204, without sub and account_state", &answer.cites),
        _ => found.broken(format!("the command was answered with {}", answer.describe()), &answer.cites),
    }
    if answer.accepted() && !answer.no_store() {
        found.broken("Cache-Control lacks no-store", &answer.cites);
    }
    found.saw(&answer.cites);
    found.conclude("answered with sub and account_state active, not cacheable")
}

/// Back-Channel Logout 1.0, 2.8.
pub fn every_form_of_logout_token_is_taken(seen: &Seen) -> Judgement {
    if let Err(judgement) = no_answer(seen, seen.answers.first()) {
        return judgement;
    }
    let mut found = Findings::new();
    for answer in seen.answers.iter().chain(seen.forms.iter().map(|form| &form.answer)) {
        let told = format!("{}: {}", answer.what, answer.describe());
        if answer.silent() {
            found.undecided(told, &answer.cites);
        } else if !answer.accepted() {
            found.broken(told, &answer.cites);
        } else if !matches!(answer.status, 200 | 204) {
            found.doubtful(format!("{told}, expected was 200"), &answer.cites);
        } else if !answer.no_store() {
            found.doubtful(format!("{}: Cache-Control lacks no-store", answer.what), &answer.cites);
        } else {
            found.saw(&answer.cites);
        }
    }
    for form in seen.forms.iter().filter(|form| form.answer.accepted()) {
        if form.ended == Some(false) {
            found.broken(format!("{}: answered as a success, and the session lives", form.answer.what), &form.answer.cites);
        }
    }
    let every = seen.answers.iter().chain(seen.forms.iter().map(|form| &form.answer)).count();
    found.conclude(format!("{every} logout tokens were answered with success and are not cacheable"))
}

/// Global Token Revocation draft 05, Successful Response.
pub fn a_revocation_request_is_taken(seen: &Seen) -> Judgement {
    let answer = match no_answer(seen, seen.answers.first()) {
        Ok(answer) => answer,
        Err(judgement) => return judgement,
    };
    let told = format!("the revocation request was answered with {}", answer.describe());
    let judgement = match answer.status {
        204 => Judgement::pass("the revocation request was answered with 204"),
        _ if answer.accepted() => Judgement::doubtful(told),
        _ => Judgement::broken(told),
    };
    judgement.expected("status 204", format!("status {}", answer.status)).cite(&answer.cites)
}

#[cfg(test)]
mod tests;
