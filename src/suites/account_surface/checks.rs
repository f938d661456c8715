//! What local changes must come to: nothing.

use super::{Done, Edited, LocalRole, Made, Seen, holds};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::surface::Played;
use crate::suites::account_blocks::{alive, signed_in};
use crate::suites::scim_blocks::{cite, is_active, prepared, says_nothing, told};

/// The script was played by whom it names, far enough that a missing effect means a refusal.
fn tried(found: &mut Findings, script: &Done) {
    if let Some(actor) = &script.actor
        && !signed_in(found, "who plays the script", actor)
    {
        return;
    }
    match &script.played {
        None => found.undecided("the script was not played", &[]),
        Some(played) => came_far(found, played),
    }
}

/// A script that stops at a page which came shows nothing: its selector may be wrong, or what it wants is not offered.
fn came_far(found: &mut Findings, played: &Played) {
    if played.unreachable.is_some() || played.status >= 500 {
        found.undecided(format!("the script: {}", played.describe()), &played.cites);
    } else if !played.complete && !played.refused() {
        let text = format!(
            "the script stopped: {}; where the page does not offer it, a statement of the operator says so",
            played.describe()
        );
        found.undecided(text, &played.cites);
    } else {
        found.saw(&played.cites);
    }
}

fn ended(script: &Done) -> String {
    script.played.as_ref().map(Played::describe).unwrap_or_default()
}

/// Ids of users of that name or address that were not there before.
pub fn made(seen: &Made) -> Vec<String> {
    let all = seen.after.iter().flat_map(|answer| answer.resources());
    let own = all.filter(|user| {
        let named = user["userName"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(&seen.name));
        named || user["emails"].as_array().into_iter().flatten().any(|email| holds(email, &seen.name))
    });
    let known = seen.before.ids();
    let mut ids: Vec<String> =
        own.filter_map(|user| user["id"].as_str()).filter(|id| !known.contains(id)).map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    ids
}

fn nobody_is_made(seen: Option<&Made>, key: &str) -> Judgement {
    let Some(seen) = seen else { return Judgement::not_configured(format!("accounts.surface.{key} is not configured")) };
    let mut found = Findings::new();
    if !made(seen).is_empty() {
        let cites = seen.after.iter().find(|answer| answer.ok()).map(cite).unwrap_or_default();
        found.broken(format!("user {} exists afterwards ({})", seen.name, ended(&seen.script)), cites);
        return found.conclude("");
    }
    tried(&mut found, &seen.script);
    match seen.after.first() {
        Some(answer) => _ = prepared(&mut found, "the search for the user", answer),
        None => found.undecided("nobody looked for the user", &[]),
    }
    found.conclude(format!("no such user afterwards: {}", ended(&seen.script)))
}

/// al2.app.local-create-refused
pub fn administrators_create_nobody(seen: &Seen) -> Judgement {
    nobody_is_made(seen.create.as_ref(), "local-user-create")
}

/// al2.app.self-signup-refused
pub fn nobody_signs_up(seen: &Seen) -> Judgement {
    nobody_is_made(seen.signup.as_ref(), "signup")
}

/// A resource that must be as before; `changed` says what is different.
fn unchanged(seen: Option<&Edited>, key: &str, changed: impl Fn(&Edited) -> Option<String>) -> Judgement {
    let Some(seen) = seen else { return Judgement::not_configured(format!("accounts.surface.{key} is not configured")) };
    let mut found = Findings::new();
    if !prepared(&mut found, "the resource before", &seen.before) {
        return found.conclude("");
    }
    if let Some(what) = changed(seen) {
        found.broken(format!("{what} ({})", ended(&seen.script)), cite(&seen.after));
        return found.conclude("");
    }
    tried(&mut found, &seen.script);
    if !seen.after.ok() {
        found.undecided(format!("the resource afterwards: {}", told(&seen.after)), cite(&seen.after));
    }
    found.conclude(format!("unchanged: {}", ended(&seen.script)))
}

/// al2.app.local-update-refused
pub fn profiles_are_not_edited(seen: &Seen) -> Judgement {
    unchanged(seen.edit.as_ref(), "local-profile-edit", |edit| {
        holds(&edit.after.body, &edit.value).then(|| format!("the profile holds `{}` afterwards", edit.value))
    })
}

/// al2.app.local-delete-refused
pub fn users_are_not_deleted(seen: &Seen) -> Judgement {
    unchanged(seen.delete.as_ref(), "local-user-delete", |delete| {
        let gone = is_active(&delete.after) == Some(false) && is_active(&delete.before) != Some(false);
        gone.then(|| if delete.after.ok() { "the user is inactive".to_owned() } else { "the user is gone".to_owned() })
    })
}

/// al2.app.local-group-edit-refused
pub fn groups_are_not_edited(seen: &Seen) -> Judgement {
    unchanged(seen.group.as_ref(), "local-group-edit", |group| {
        holds(&group.after.body["members"], &group.value).then(|| "the user is a member of the pushed group".to_owned())
    })
}

/// The role must neither be stored nor shown.
fn not_given(found: &mut Findings, seen: &LocalRole) {
    let words = [seen.role.value.as_str(), &seen.role.display];
    if words.iter().any(|word| !word.is_empty() && holds(&seen.after.body["roles"], word)) {
        found.broken(format!("role `{}` is in the user's record", seen.role.value), cite(&seen.after));
    }
    if let Some(shown) = seen.shown.as_ref().filter(|shown| shown.has(&words)) {
        found.broken(format!("role `{}` is in effect: {}", seen.role.value, shown.describe()), &shown.cites);
    }
}

/// What a refusal rests on: the script was played, the user was read, and the user's page shows roles.
fn controls(found: &mut Findings, seen: &LocalRole) {
    tried(found, &seen.script);
    if seen.script.played.is_some() {
        prepared(found, "the user afterwards", &seen.after);
    }
    if let Some(attempt) = &seen.attempt {
        signed_in(found, "the user's sign-in afterwards", attempt);
    }
    match &seen.shown {
        Some(shown) if !shown.readable => found.undecided(shown.describe(), &shown.cites),
        Some(shown) => found.saw(&shown.cites),
        None if seen.script.played.is_some() => {
            found.undecided("accounts.roles is not configured: whether the role is in effect was not seen", &[]);
        }
        None => {}
    }
}

/// al2.app.mapping-not-client-supplied
pub fn roles_are_not_given(seen: &Seen) -> Judgement {
    let Some(seen) = &seen.unassigned else {
        return Judgement::not_configured("accounts.surface.local-role-edit is not configured, or no role is known");
    };
    let mut found = Findings::new();
    not_given(&mut found, seen);
    controls(&mut found, seen);
    found.conclude(format!("role `{}` is not given: {}", seen.role.value, ended(&seen.script)))
}

/// al3.app.local-role-change-refused
pub fn roles_are_not_changed(seen: &Seen) -> Judgement {
    let Some(seen) = &seen.assigned else {
        return Judgement::undecided("fewer than two roles are known that can be assigned: none could be changed");
    };
    let mut found = Findings::new();
    let Some((own, change)) = &seen.assigned else { return Judgement::undecided("no role was assigned") };
    if !prepared(&mut found, "the assignment of a role by the identity service", change) {
        return found.conclude("");
    }
    not_given(&mut found, seen);
    if seen.after.ok() && holds(&seen.before.body["roles"], &own.value) && !holds(&seen.after.body["roles"], &own.value) {
        found.broken(format!("role `{}`, which the identity service assigned, is gone", own.value), cite(&seen.after));
    }
    controls(&mut found, seen);
    found.conclude(format!("the roles are as assigned: {}", ended(&seen.script)))
}

/// al1.app.no-bypass-signin
pub fn no_way_around(seen: &Seen) -> Judgement {
    let Some(seen) = &seen.bypass else {
        return Judgement::not_configured("accounts.surface.local-login and password-reset are not configured");
    };
    let mut found = Findings::new();
    if seen.ended.is_none() {
        let last = seen.answers.last().map(told).unwrap_or_default();
        found.undecided(format!("the user could not be suspended: {last}"), &[]);
    }
    let mut told_of = Vec::new();
    for way in &seen.ways {
        let Some((played, look)) = &way.after else { continue };
        match alive(look) {
            Some(true) => found.broken(format!("{}: the suspended user is signed in", way.name), &look.cites),
            Some(false) => came_far(&mut found, played),
            None => found.undecided(format!("{}: {}", way.name, look.describe()), &look.cites),
        }
        let before = if way.before.1.signed_in { "worked" } else { "was refused as well" };
        told_of.push(format!("{} is refused ({}); while the user was active it {before}", way.name, played.describe()));
    }
    let silent = seen.answers.iter().any(says_nothing);
    if seen.ways.is_empty() || (silent && seen.ended.is_none()) {
        found.undecided("no way was tried", &[]);
    }
    found.conclude(told_of.join("; "))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
