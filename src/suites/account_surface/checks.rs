//! What local changes must come to: nothing.

use serde_json::Value;

use super::bypass::{Around, PASSWORD};
use super::{Done, Edited, LocalRole, Made, Seen, holds};
use crate::counterpart::scim_client::Answer;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::surface::Played;
use crate::suites::account_blocks::{alive, signed_in};
use crate::suites::scim_blocks::{cite, is_active, prepared, says_nothing, told};

/// The script was played by whom it names, far enough that a missing effect means a refusal.
fn tried(found: &mut Findings, seen: &Seen, script: &Done) {
    if let Some(actor) = &script.actor
        && !signed_in(found, "who plays the script", actor)
    {
        return;
    }
    match &script.played {
        None => found.undecided("the script was not played", &[]),
        Some(played) => {
            came_far(found, played, script.actor.is_none());
            if script.admin && !played.complete && !is_administrator(seen) {
                let text = "nothing shows that accounts.admin is an administrator at all: no page of administrators came";
                found.undecided(text, &played.cites);
            }
        }
    }
}

/// Some page of administrators came for the administrator.
fn is_administrator(seen: &Seen) -> bool {
    let made = [&seen.create, &seen.signup].into_iter().flatten().map(|made| &made.script);
    let edited = [&seen.edit, &seen.delete, &seen.group].into_iter().flatten().map(|edited| &edited.script);
    let roles = [&seen.unassigned, &seen.assigned].into_iter().flatten().map(|role| &role.script);
    let scripts = made.chain(edited).chain(roles).filter(|script| script.admin);
    let came = |played: &Played| played.complete && !played.at_provider && played.unreachable.is_none();
    scripts.filter_map(|script| script.played.as_ref()).any(came)
        || seen.office.as_ref().is_some_and(|office| came(office) && office.status == 200)
}

/// A script that stops shows nothing: its selector or address may be wrong, or what it wants is not offered. Only a page that says that
/// it is for others refuses; for somebody without a session also the way to the provider.
fn came_far(found: &mut Findings, played: &Played, nobody: bool) {
    let declined = matches!(played.status, 401 | 403) || (nobody && played.at_provider);
    if played.unreachable.is_some() || played.status >= 500 {
        found.undecided(format!("the script: {}", played.describe()), &played.cites);
    } else if !played.complete && !declined {
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

/// Is that a user of this name or address?
pub fn is_named(user: &Value, name: &str) -> bool {
    let same = |text: &Value| text.as_str().is_some_and(|text| text.eq_ignore_ascii_case(name));
    same(&user["userName"]) || user["emails"].as_array().into_iter().flatten().any(|email| same(&email["value"]))
}

/// Ids of users of that name or address that were not there before.
pub fn made(seen: &Made) -> Vec<String> {
    let all = seen.after.iter().flat_map(Answer::resources);
    let own = all.filter(|user| is_named(user, &seen.name));
    let known = seen.before.ids();
    let mut ids: Vec<String> =
        own.filter_map(|user| user["id"].as_str()).filter(|id| !known.contains(id)).map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// All that was made is inactive.
fn invited(seen: &Made) -> bool {
    let made = made(seen);
    let all = seen.after.iter().flat_map(Answer::resources);
    all.filter(|user| user["id"].as_str().is_some_and(|id| made.iter().any(|one| one == id))).all(|user| user["active"] == false)
}

fn nobody_is_made(all: &Seen, seen: Option<&Made>, key: &str) -> Judgement {
    let Some(seen) = seen else { return Judgement::not_configured(format!("accounts.surface.{key} is not configured")) };
    let mut found = Findings::new();
    if !made(seen).is_empty() {
        let cites = seen.after.iter().find(|answer| answer.ok()).map(cite).unwrap_or_default();
        let text = format!("user {} exists afterwards ({})", seen.name, ended(&seen.script));
        // Whether an invitation can be accepted is for the operator to say.
        match key == "local-user-create" && invited(seen) {
            true => found.undecided(format!("{text}, inactive: perhaps an invitation that nobody can accept"), cites),
            false => found.broken(text, cites),
        }
        return found.conclude("");
    }
    tried(&mut found, all, &seen.script);
    // A search counts where the same one finds a user who is there.
    let finds = |control: &Answer| control.ok() && control.resources().iter().any(|user| is_named(user, &seen.known));
    let mut counts = seen.after.iter().zip(&seen.control).filter(|(after, control)| after.ok() && finds(control));
    match (counts.next(), seen.after.first()) {
        (Some((after, control)), _) => {
            found.saw(cite(after));
            found.saw(cite(control));
        }
        (None, Some(after)) => {
            found.undecided(format!("no search for users by name or address can be relied on: {}", told(after)), cite(after));
        }
        (None, None) => found.undecided("nobody looked for the user: accounts cannot be listed", &[]),
    }
    found.conclude(format!("no such user afterwards: {}", ended(&seen.script)))
}

/// al2.app.local-create-refused
pub fn administrators_create_nobody(seen: &Seen) -> Judgement {
    nobody_is_made(seen, seen.create.as_ref(), "local-user-create")
}

/// al2.app.self-signup-refused
pub fn nobody_signs_up(seen: &Seen) -> Judgement {
    nobody_is_made(seen, seen.signup.as_ref(), "signup")
}

/// A resource that must be as before; `changed` says what is different, or why that cannot be told.
fn unchanged(
    all: &Seen,
    seen: Option<&Edited>,
    key: &str,
    changed: impl Fn(&Edited) -> Result<Option<String>, String>,
    holds_control: impl Fn(&Value, &str) -> bool,
) -> Judgement {
    let Some(seen) = seen else { return Judgement::not_configured(format!("accounts.surface.{key} is not configured")) };
    let mut found = Findings::new();
    if !prepared(&mut found, "the resource before", &seen.before) {
        return found.conclude("");
    }
    match changed(seen) {
        Ok(Some(what)) => {
            found.broken(format!("{what} ({})", ended(&seen.script)), cite(&seen.after));
            return found.conclude("");
        }
        Ok(None) => {}
        Err(why) => found.undecided(why, cite(&seen.after)),
    }
    tried(&mut found, all, &seen.script);
    if !seen.after.ok() {
        found.undecided(format!("the resource afterwards: {}", told(&seen.after)), cite(&seen.after));
    }
    if let Some((value, control)) =
        seen.control.as_ref().filter(|(value, control)| !(control.ok() && holds_control(&control.body, value)))
    {
        let text = format!("the control, a change by the identity service, is not seen either (`{value}`: {})", told(control));
        found.undecided(text, cite(control));
    }
    found.conclude(format!("unchanged: {}", ended(&seen.script)))
}

/// al2.app.local-update-refused
pub fn profiles_are_not_edited(seen: &Seen) -> Judgement {
    let changed = |edit: &Edited| {
        Ok(holds(&edit.after.body, &edit.value).then(|| format!("the profile holds `{}` afterwards", edit.value)))
    };
    unchanged(seen, seen.edit.as_ref(), "local-profile-edit", changed, holds)
}

/// al2.app.local-delete-refused
pub fn users_are_not_deleted(seen: &Seen) -> Judgement {
    let changed = |delete: &Edited| match (is_active(&delete.before), is_active(&delete.after)) {
        (Some(true), Some(true)) => Ok(None),
        (Some(true) | None, Some(false)) if delete.after.ok() => Ok(Some("the user is inactive".to_owned())),
        (Some(true) | None, Some(false)) => Ok(Some("the user is gone".to_owned())),
        _ => Err("the record does not tell that the user was active and still is".to_owned()),
    };
    unchanged(seen, seen.delete.as_ref(), "local-user-delete", changed, holds)
}

/// al2.app.local-group-edit-refused
pub fn groups_are_not_edited(seen: &Seen) -> Judgement {
    let member = |group: &Value, id: &str| holds(&group["members"], id);
    let changed = |group: &Edited| {
        Ok(member(&group.after.body, &group.value).then(|| "the user is a member of the pushed group".to_owned()))
    };
    unchanged(seen, seen.group.as_ref(), "local-group-edit", changed, member)
}

/// The role must neither be stored nor shown, where it was neither before.
fn not_given(found: &mut Findings, seen: &LocalRole) {
    let words = [seen.role.value.as_str(), &seen.role.display];
    let stored = |record: &Answer| words.iter().any(|word| !word.is_empty() && holds(&record.body["roles"], word));
    let had = stored(&seen.before) || seen.shown_before.as_ref().is_some_and(|shown| shown.has(&words));
    if had {
        found.undecided(format!("the user had role `{}` before it was given locally", seen.role.value), cite(&seen.before));
        return;
    }
    if stored(&seen.after) {
        found.broken(format!("role `{}` is in the user's record", seen.role.value), cite(&seen.after));
    }
    if let Some(shown) = seen.shown.as_ref().filter(|shown| shown.has(&words)) {
        found.broken(format!("role `{}` is in effect: {}", seen.role.value, shown.describe()), &shown.cites);
    }
}

/// What a refusal rests on: the script was played, the user was read, and the user's page shows roles.
fn controls(found: &mut Findings, all: &Seen, seen: &LocalRole) {
    tried(found, all, &seen.script);
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
    // The page of the user who holds a role by the identity service tells whether the page shows roles at all.
    if let Some((own, page)) = all.assigned.as_ref().and_then(|role| Some((&role.assigned.as_ref()?.0, role.shown.as_ref()?)))
        && page.readable
        && !page.has(&[&own.value, &own.display])
    {
        let text = format!("role `{}`, which the identity service assigned, is not shown either: {}", own.value, page.describe());
        found.undecided(text, &page.cites);
    }
}

/// al2.app.mapping-not-client-supplied
pub fn roles_are_not_given(seen: &Seen) -> Judgement {
    let Some(role) = &seen.unassigned else {
        return Judgement::not_configured("accounts.surface.local-role-edit is not configured, or no role is known");
    };
    let mut found = Findings::new();
    not_given(&mut found, role);
    controls(&mut found, seen, role);
    found.conclude(format!("role `{}` is not given: {}", role.role.value, ended(&role.script)))
}

/// al3.app.local-role-change-refused
pub fn roles_are_not_changed(seen: &Seen) -> Judgement {
    let Some(role) = &seen.assigned else {
        return Judgement::undecided("fewer than two roles are known that can be assigned: none could be changed");
    };
    let mut found = Findings::new();
    let Some((own, change)) = &role.assigned else { return Judgement::undecided("no role was assigned") };
    if !prepared(&mut found, "the assignment of a role by the identity service", change) {
        return found.conclude("");
    }
    not_given(&mut found, role);
    if role.after.ok() && holds(&role.before.body["roles"], &own.value) && !holds(&role.after.body["roles"], &own.value) {
        found.broken(format!("role `{}`, which the identity service assigned, is gone", own.value), cite(&role.after));
    }
    controls(&mut found, seen, role);
    found.conclude(format!("the roles are as assigned: {}", ended(&role.script)))
}

/// Somebody else was signed in by that script.
fn works(way: &Around) -> bool {
    way.control.as_ref().is_some_and(|(_, look)| look.signed_in)
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
            Some(false) if way.name == PASSWORD && !way.before.1.signed_in && !works(way) => {
                let text = format!(
                    "{}: the active user is refused as well, so that nothing shows that the script signs in anybody; \
                     accounts.local_user names a user whom it does",
                    way.name
                );
                found.undecided(text, &look.cites);
            }
            Some(false) => came_far(&mut found, played, true),
            None => found.undecided(format!("{}: {}", way.name, look.describe()), &look.cites),
        }
        let before = match () {
            () if way.before.1.signed_in => "worked",
            () if works(way) => "was refused as well, and another user came in by it",
            () => "was refused as well",
        };
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
