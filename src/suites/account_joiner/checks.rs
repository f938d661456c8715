//! What the first sign-ins of users must look like.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Created, Seen};
use crate::counterpart::scim_client::Answer;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suites::account_blocks::signed_in;
use crate::suites::scim_blocks::{cite, is_active, prepared, says_nothing, told};

/// Is that the user of this name, or of this subject? A server that ignores filters lists others as well.
pub fn is_of(user: &Value, user_name: &str, sub: &str) -> bool {
    let same = |value: &Value, wanted: &str| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(wanted));
    same(&user["userName"], user_name)
        || same(&user["userName"], sub)
        || user["externalId"] == sub
        || user["emails"].as_array().into_iter().flatten().any(|email| same(&email["value"], user_name))
}

/// al2.app.created-user-signs-in
pub fn a_created_user_signs_in(seen: &Seen) -> Judgement {
    let created = &seen.created;
    let mut found = Findings::new();
    if created.attempt.refused() {
        let text = format!("the sign-in of a provisioned user is refused: {}", created.attempt.describe());
        found.broken(text, &created.attempt.cites);
        return found.conclude("");
    }
    if !signed_in(&mut found, "the first sign-in", &created.attempt) {
        return found.conclude("");
    }
    let answered: Vec<&Answer> = created.found.iter().filter(|answer| answer.ok() && !cut(created, answer)).collect();
    let (ids, own) = ids(created, &answered);
    for answer in &answered {
        found.saw(cite(answer));
    }
    match (answered.is_empty(), own, ids.len()) {
        (true, ..) => found.undecided("no search for the user's accounts can be relied on", &[]),
        (_, false, 0) => found.undecided("the provisioned user is not found by any search", &[]),
        (_, false, _) => found.broken("only another account of that person is found", cite(answered[0])),
        (_, true, 1) => {}
        (_, true, more) => found.broken(format!("there are {more} accounts of that person after the sign-in"), cite(answered[0])),
    }
    match &created.shown {
        None => found.undecided("accounts.profile is not configured: the profile was not seen", &[]),
        Some(shown) if !shown.readable => found.undecided(shown.describe(), &shown.cites),
        Some(shown) if shown.has(&[&created.display]) => found.saw(&shown.cites),
        Some(shown) => found.broken(format!("the name `{}` is not shown: {}", created.display, shown.describe()), &shown.cites),
    }
    found.conclude("one account, the one that was provisioned, and its name is shown")
}

/// Is that an account of the person who was provisioned?
fn of_person(created: &Created, user: &Value) -> bool {
    let [name, email, sub] = &created.person;
    user["id"] == created.id || is_of(user, name, sub) || is_of(user, email, sub)
}

/// The search lists others as well, and not everybody: an account of the person may stand on another page.
fn cut(created: &Created, answer: &Answer) -> bool {
    let users = answer.resources();
    let total = answer.body["totalResults"].as_u64().unwrap_or_default();
    users.iter().any(|user| !of_person(created, user)) && usize::try_from(total).is_ok_and(|total| total > users.len())
}

/// The ids of the accounts of the person, and whether the provisioned one is among them.
fn ids<'a>(created: &Created, found: &[&'a Answer]) -> (BTreeSet<&'a str>, bool) {
    let all = found.iter().flat_map(|answer| answer.resources());
    let ids: BTreeSet<&str> = all.filter(|user| of_person(created, user)).filter_map(|user| user["id"].as_str()).collect();
    let own = ids.contains(created.id.as_str());
    (ids, own)
}

/// al2.app.no-signin-before-active
pub fn nobody_signs_in_before_activation(seen: &Seen) -> Judgement {
    let Some(user) = &seen.inactive else {
        return Judgement::not_applicable("commands drive the accounts, and make active ones only");
    };
    let mut found = Findings::new();
    let (true, Some(before)) = (prepared(&mut found, "the creation of an inactive user", &user.made), &user.before) else {
        return found.conclude("");
    };
    if before.signed_in() {
        found.broken("a user who was created inactive can sign in", &before.cites);
        return found.conclude("");
    }
    if !before.refused() {
        found.undecided(format!("the sign-in of the inactive user: {}", before.describe()), &before.cites);
    }
    found.saw(&before.cites);
    if let Some(activated) = &user.activated {
        prepared(&mut found, "the activation", activated);
    }
    if let Some(after) = &user.after {
        signed_in(&mut found, "the control, a sign-in after the activation", after);
    }
    found.conclude("refused while inactive, possible after the activation")
}

/// al2.app.update-visible-to-user
pub fn updates_are_shown(seen: &Seen) -> Judgement {
    let Some(update) = &seen.update else {
        let mut found = Findings::new();
        signed_in(&mut found, "the first sign-in", &seen.created.attempt);
        found.undecided("accounts.profile is not configured, or the user is not of this run: no change was looked at", &[]);
        return found.conclude("");
    };
    let mut found = Findings::new();
    if !prepared(&mut found, "the change of the display name", &update.change) {
        return found.conclude("");
    }
    if !update.before.has(&[&update.old]) {
        found.undecided(format!("`{}` was not shown before: {}", update.old, update.before.describe()), &update.before.cites);
    }
    if !update.live.readable {
        found.undecided(format!("the live session: {}", update.live.describe()), &update.live.cites);
    }
    if !signed_in(&mut found, "a new sign-in", &update.again) {
        return found.conclude("");
    }
    let (live, fresh) = (update.live.has(&[&update.new]), update.fresh.has(&[&update.new]));
    let seconds = update.after_ms / 1000;
    if !update.fresh.readable {
        found.undecided(format!("after a new sign-in: {}", update.fresh.describe()), &update.fresh.cites);
    } else if live && !fresh {
        found.broken(format!("a new sign-in undoes the change: {}", update.fresh.describe()), &update.fresh.cites);
    } else if !fresh {
        let text = format!("{seconds} s after the change, and after a new sign-in: {}", update.fresh.describe());
        found.broken(text, &update.fresh.cites);
    } else if !live {
        let text = format!("{seconds} s after the change the live session does not show it; a new sign-in does");
        found.doubtful(text, &update.live.cites);
    }
    found.saw(&update.live.cites);
    found.conclude(format!("shown {} ms after the change, and after a new sign-in", update.after_ms))
}

/// al2.app.jit-does-not-overwrite
pub fn a_sign_in_does_not_overwrite(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let Some(stale) = &seen.stale else {
        signed_in(&mut found, "the first sign-in", &seen.created.attempt);
        found.undecided("no user of this run could be given another name", &[]);
        return found.conclude("");
    };
    if !prepared(&mut found, "the change of the display name", &stale.change)
        || !signed_in(&mut found, "the sign-in with the old name", &stale.attempt)
        || !prepared(&mut found, "the user", &stale.read)
    {
        return found.conclude("");
    }
    match stale.read.text_at("/displayName") {
        name if name == stale.provisioned => found.saw(cite(&stale.read)),
        name if name == stale.claimed => {
            found.broken("the name of the sign-in replaced the newer one of provisioning", cite(&stale.read));
        }
        name => found.undecided(format!("the user's name is `{name}`, neither the old one nor the new one"), cite(&stale.read)),
    }
    found.conclude("the provisioned name stays")
}

/// al2.app.jit-user-is-managed
pub fn a_user_made_by_a_sign_in_is_managed(seen: &Seen) -> Judgement {
    let user = &seen.unknown;
    let mut found = Findings::new();
    if user.attempt.refused() {
        found.saw(&user.attempt.cites);
        if !seen.created.attempt.signed_in() {
            found.undecided("the control, a sign-in of a provisioned user, failed", &seen.created.attempt.cites);
        }
        if user.id.is_empty() {
            return found.conclude("a sign-in makes no account");
        }
        // An account that waits for approval is an account.
    } else if !signed_in(&mut found, "the sign-in of an unknown user", &user.attempt) {
        return found.conclude("");
    }
    if user.id.is_empty() {
        not_found(&mut found, seen);
        return found.conclude("");
    }
    if let Some((change, after)) = &user.deactivated {
        match is_active(after) {
            Some(false) => found.saw(cite(after)),
            _ if says_nothing(change) || says_nothing(after) => {
                found.undecided(format!("the deactivation of that account: {}", told(change)), cite(change));
            }
            None if change.ok() => found.undecided("the record does not tell whether that account is active", cite(after)),
            _ => found.broken(format!("that account cannot be deactivated: {}", told(change)), cite(change)),
        }
    }
    found.conclude("the account that a sign-in made is known to provisioning, and can be deactivated")
}

/// A search that finds the provisioned user would find the other one as well; one that finds nobody shows nothing. The account that a
/// sign-in makes may have a user name of its own and no externalId, but it has the address: the last of the searches that both have.
fn not_found(found: &mut Findings, seen: &Seen) {
    let provisioned = seen.created.id.as_str();
    let works = |before: &Answer| before.ok() && !cut(&seen.created, before) && before.ids().contains(&provisioned);
    let searched = seen.unknown.found.iter().zip(&seen.created.found).take(3).next_back().filter(|(_, control)| works(control));
    match searched.map(|(answer, _)| answer).filter(|answer| answer.ok()) {
        Some(answer) => found.broken("the sign-in made an account that provisioning does not show", cite(answer)),
        None if let Some((true, all)) = &seen.unknown.everybody => {
            found.broken("the sign-in made an account that is not in the list of all users", cite(all));
        }
        None => {
            let told = seen.unknown.found.first().map(told).unwrap_or_default();
            found.undecided(format!("no search for the account can be relied on: {told}"), &[]);
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
