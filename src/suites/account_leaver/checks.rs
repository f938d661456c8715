//! What the end of a user's access must look like.

use super::Seen;
use super::mechanisms::{Kind, Mechanism};
use crate::counterpart::scim_client::Answer;
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::suites::account_blocks::{alive, signed_in};
use crate::suites::scim_blocks::{Ended, cite, is_active, is_limit, says_nothing, told};

/// Mechanisms that no key of the target file describes: nothing shows that they end, or that there are none.
const UNKNOWN: &str = "personal access tokens, SSH keys and device credentials: not examined; where there are none, a statement of the \
                       operator says so";

/// The user was signed in, and is suspended by the records; else why nothing can be concluded.
fn suspended(seen: &Seen) -> Result<&'static str, Judgement> {
    if !seen.before.signed_in() {
        let text = format!("the user could not be signed in before the suspension: {}", seen.before.describe());
        return Err(Judgement::undecided(text).cite(&seen.before.cites));
    }
    let cites: Vec<ExchangeId> = seen.answers.iter().map(|answer| answer.cite.clone()).collect();
    let none = || Judgement::undecided("no way to suspend or delete the user works").cite(&cites);
    seen.ended.map(Ended::word).ok_or_else(none)
}

/// Controls: the other user's session goes on, and the other user can sign in.
fn others_stay(found: &mut Findings, seen: &Seen) {
    if !signed_in(found, "the other user, before the suspension", &seen.other) {
        return;
    }
    if alive(&seen.other_after) != Some(true) {
        let text = format!("the session of the user whom nobody suspended: {}", seen.other_after.describe());
        found.undecided(text, &seen.other_after.cites);
    }
}

fn session_is_over(found: &mut Findings, seen: &Seen) {
    let look = &seen.session.look;
    match alive(look) {
        Some(true) => {
            let text = format!("the session still works {} s after the suspension", seen.session.after_ms / 1000);
            found.broken(text, &look.cites);
        }
        Some(false) => found.saw(&look.cites),
        None => found.undecided(format!("the protected page: {}", look.describe()), &look.cites),
    }
}

fn sign_in_fails(found: &mut Findings, seen: &Seen) {
    let again = &seen.again;
    if again.signed_in() {
        found.broken("a sign-in after the suspension makes a session", &again.cites);
    } else if !again.refused() {
        found.undecided(format!("the sign-in after the suspension: {}", again.describe()), &again.cites);
    } else {
        found.saw(&again.cites);
    }
    signed_in(found, "the control, a sign-in of the other user", &seen.other_again);
    if let Some(after) = &seen.after {
        signed_in(found, "the control, a sign-in after the reactivation", after);
    }
}

/// al1.app.any-one-way
pub fn one_way_ends_access(seen: &Seen) -> Judgement {
    let way = match (suspended(seen), seen.ended) {
        (Ok(way), _) => way,
        (Err(_), None) if seen.before.signed_in() => return no_way(seen),
        (Err(judgement), _) => return judgement,
    };
    let mut found = Findings::new();
    session_is_over(&mut found, seen);
    sign_in_fails(&mut found, seen);
    others_stay(&mut found, seen);
    found.conclude(format!("{way} works; the session ended after {} ms and a sign-in is refused", seen.session.after_ms))
}

/// Nothing ended the access by what the application says of the account.
fn no_way(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    // One way is enough: one that could not be judged leaves the demand open.
    let open = |answer: &Answer| says_nothing(answer) || is_limit(answer);
    let unsure = seen.spared || seen.answers.iter().any(open);
    for answer in &seen.answers {
        if open(answer) {
            found.undecided(told(answer), cite(answer));
        } else if !unsure && (!answer.ok() || is_active(answer) == Some(true)) {
            found.broken(told(answer), cite(answer));
        }
    }
    match seen.answers.last() {
        None if seen.spared => {
            found.undecided("archive and delete are not tried on an account that is not of this run", &[]);
        }
        None => found.broken("no command that ends access is announced", &[]),
        // Nothing was refused, and nothing tells whether the user is active.
        Some(last) => found.undecided(format!("the record does not tell that the user is inactive: {}", told(last)), cite(last)),
    }
    let judgement = found.conclude("");
    let reason = format!("no way to suspend or delete the user works: {}", judgement.reason);
    Judgement { reason, ..judgement }
}

/// al1.app.session-ends
pub fn sessions_end(seen: &Seen) -> Judgement {
    let way = match suspended(seen) {
        Ok(way) => way,
        Err(judgement) => return judgement,
    };
    let mut found = Findings::new();
    session_is_over(&mut found, seen);
    others_stay(&mut found, seen);
    found.conclude(format!("the session was refused {} ms after {way}", seen.session.after_ms))
}

/// al1.app.signin-refused
pub fn suspended_users_cannot_sign_in(seen: &Seen) -> Judgement {
    if let Err(judgement) = suspended(seen) {
        return judgement;
    }
    let mut found = Findings::new();
    sign_in_fails(&mut found, seen);
    if seen.record.ok() && seen.record.active() == Some(true) {
        found.broken("the sign-in made the suspended user active again", cite(&seen.record));
    }
    found.conclude(format!("refused ({}); another user and the user after reactivation can sign in", seen.again.describe()))
}

/// al1.app.access-mechanisms
pub fn every_mechanism_ends(seen: &Seen) -> Judgement {
    if let Err(judgement) = suspended(seen) {
        return judgement;
    }
    let mut found = Findings::new();
    let mut table = Vec::new();
    for one in &seen.mechanisms {
        judge_end(&mut found, one);
        table.push(format!("{}: refused after {} ms", one.kind.word(), one.after_ms));
    }
    for kind in [Kind::AccessToken, Kind::RefreshToken] {
        if !seen.mechanisms.iter().any(|one| one.kind == kind) {
            found.undecided(format!("{}: not examined, app.tokens names none", kind.word()), &[]);
        }
    }
    found.undecided(UNKNOWN, &[]);
    others_stay(&mut found, seen);
    found.conclude(table.join("; "))
}

fn judge_end(found: &mut Findings, one: &Mechanism) {
    let what = one.kind.word();
    match (one.before, one.during) {
        (Some(true), Some(true)) => {
            found.broken(format!("{what}: still works {} s after the suspension", one.after_ms / 1000), &one.cites);
        }
        (Some(true), Some(false)) => found.saw(&one.cites),
        (Some(true), None) => found.undecided(format!("{what}: no usable answer after the suspension"), &one.cites),
        _ => found.undecided(format!("{what}: did not work before the suspension either"), &one.cites),
    }
}

/// al1.app.reactivation-revives-no-session
pub fn old_access_stays_dead(seen: &Seen) -> Judgement {
    if let Err(judgement) = suspended(seen) {
        return judgement;
    }
    let Some(reactivated) = &seen.reactivated else {
        let unsure = seen.answers.iter().any(says_nothing);
        let way = seen.ended.map(Ended::word).unwrap_or_default();
        return if seen.final_end && !unsure {
            Judgement::not_applicable(format!("{way} ended the access, and nothing makes that user active again"))
        } else {
            Judgement::undecided(format!("{way} ended the access, and the user could not be reactivated"))
        };
    };
    let mut found = Findings::new();
    if !reactivated.ok() || reactivated.active() == Some(false) {
        found.undecided(format!("the user could not be reactivated: {}", told(reactivated)), cite(reactivated));
    }
    if let Some(after) = &seen.after {
        signed_in(&mut found, "the control, a sign-in after the reactivation", after);
    }
    if alive(&seen.session.look) != Some(false) {
        found.undecided("the session was never refused while the user was suspended", &seen.session.look.cites);
        return found.conclude("");
    }
    let mut dead = Vec::new();
    for one in seen.mechanisms.iter().filter(|one| one.during == Some(false) && one.before == Some(true)) {
        match one.revived {
            Some(true) => found.broken(format!("{}: works again after the reactivation", one.kind.word()), &one.cites),
            Some(false) => dead.push(one.kind.word()),
            None => found.undecided(format!("{}: no usable answer after the reactivation", one.kind.word()), &one.cites),
        }
    }
    if let Some(look) = seen.idle_after.as_ref().filter(|_| seen.idle.signed_in()) {
        match alive(look) {
            Some(true) => found.broken("a session that nobody used meanwhile works after the reactivation", &look.cites),
            Some(false) => found.saw(&look.cites),
            None => found.undecided(format!("the idle browser: {}", look.describe()), &look.cites),
        }
    }
    let idle = seen.idle_after.as_ref().filter(|_| seen.idle.signed_in()).and_then(alive);
    if dead.is_empty() && idle.is_none() {
        found.undecided("nothing that worked before the suspension was tried after the reactivation", &[]);
    }
    found.conclude(format!("refused after the reactivation: {}", dead.join(", ")))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
