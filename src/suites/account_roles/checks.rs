//! What assignments of roles must lead to, seen on the user's page.

use super::{Course, Seen};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suites::account_blocks::signed_in;
use crate::suites::scim_blocks::{cite, prepared, told};

/// Milliseconds after which a removal is late in a live session.
const LATE_MS: u64 = 300_000;

/// al3.app.roles-complete
pub fn the_list_is_complete(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let exposed = &seen.exposed.roles;
    if exposed.is_empty() {
        let list = &seen.exposed.list;
        return Judgement::undecided(format!("no role is exposed (see al3.app.roles-exposed): {}", told(list))).cite(cite(list));
    }
    let page = seen.catalogue.as_ref().filter(|(played, page)| played.complete && page.readable && !page.texts.is_empty());
    let known: Vec<&String> = match page {
        Some((_, page)) => page.texts.iter().collect(),
        None => seen.declared.iter().collect(),
    };
    if known.is_empty() {
        let why = seen.catalogue.as_ref().map_or("lifecycle.roles is not configured".to_owned(), |(played, page)| {
            format!("the page of the administrator: {}; {}", played.describe(), page.describe())
        });
        return Judgement::undecided(why);
    }
    let source = if page.is_some() { "the administrator's page" } else { "lifecycle.roles" };
    // A role that the run made meanwhile may stand in one of the two readings alone; whether it appears is new-role-appears.
    let own = |name: &str| !seen.run.is_empty() && name.contains(&seen.run);
    let missing: Vec<&str> = known
        .iter()
        .filter(|name| !own(name) && !exposed.iter().any(|role| role.is(name)))
        .map(|name| name.as_str())
        .collect();
    let surplus: Vec<&str> = exposed
        .iter()
        .filter(|role| !own(&role.value) && !known.iter().any(|name| role.is(name)))
        .map(|role| role.value.as_str())
        .collect();
    let list = if seen.exposed.list.ok() { &seen.exposed.list } else { &seen.exposed.schemas };
    let told = format!("not exposed, but named by {source}: {}", missing.join(", "));
    if !missing.is_empty() && seen.exposed.metadata {
        found.undecided(format!("{told}; where these cannot be assigned, a statement of the operator says so"), cite(list));
    } else if !missing.is_empty() {
        found.broken(told, cite(list));
    }
    if !surplus.is_empty() {
        found.broken(format!("exposed, but not named by {source}: {}", surplus.join(", ")), cite(list));
    }
    found.saw(cite(list));
    found.conclude(format!("the {} exposed roles are those of {source}", exposed.len()))
}

/// Roles of the stored user.
fn stored(answer: &crate::counterpart::scim_client::Answer, value: &str) -> usize {
    let roles = answer.body["roles"].as_array().into_iter().flatten();
    roles.filter(|role| role["value"].as_str().or(role.as_str()) == Some(value)).count()
}

/// Why nothing was assigned.
fn none(seen: &Seen) -> Judgement {
    if seen.exposed.assignable().is_empty() {
        return Judgement::undecided("no role is exposed that can be assigned (see al3.app.roles-exposed)");
    }
    Judgement::not_configured("lifecycle.role_ways names no way that target.bindings and the other tables allow")
}

/// The user could sign in before, and did not have the role.
fn begun(found: &mut Findings, course: &Course) -> bool {
    if !signed_in(found, &format!("{}: the user before", course.way), &course.before) {
        return false;
    }
    if !course.shown.readable {
        found.undecided(format!("{}: {}", course.way, course.shown.describe()), &course.shown.cites);
    } else if course.shown.has(&[&course.role.value, &course.role.display]) {
        found.undecided(format!("{}: the user has role `{}` already", course.way, course.role.value), &course.shown.cites);
    } else {
        return true;
    }
    false
}

/// al3.app.assign-role
pub fn an_assigned_role_is_in_effect(seen: &Seen) -> Judgement {
    if seen.courses.is_empty() {
        return none(seen);
    }
    let mut found = Findings::new();
    let mut paces = Vec::new();
    for course in &seen.courses {
        let (way, role) = (&course.way, &course.role);
        if !begun(&mut found, course) {
            continue;
        }
        if let Some(assigned) = &course.assigned
            && !crate::suites::scim_blocks::carried_out(&mut found, &format!("the assignment of role `{}`", role.value), assigned)
        {
            continue;
        }
        if let Some(answer) = course.stored.as_ref().filter(|answer| prepared(&mut found, "the user with the role", answer)) {
            match stored(answer, &role.value) {
                0 => found.broken(format!("role `{}` is not in the user's record", role.value), cite(answer)),
                1 => found.saw(cite(answer)),
                more => found.broken(format!("role `{}` is {more} times in the user's record", role.value), cite(answer)),
            }
        }
        if signed_in(&mut found, "a new sign-in", &course.on.again) {
            let page = &course.on.fresh;
            if !page.readable {
                found.undecided(format!("{way}: {}", page.describe()), &page.cites);
            } else if !page.has(&[&role.value, &role.display]) {
                let seconds = course.on.fresh_ms / 1000;
                found.broken(
                    format!("{way}: {seconds} s after the assignment of `{}`: {}", role.value, page.describe()),
                    &page.cites,
                );
            } else if let Some(more) = page.texts.iter().find(|text| !role.is(text) && !course.shown.has(&[text])) {
                found.broken(format!("{way}: role `{}` brought `{more}` as well", role.value), &page.cites);
            } else {
                found.saw(&page.cites);
            }
        }
        match &course.other {
            Some((attempt, page)) if attempt.signed_in() && page.has(&[&role.value, &role.display]) => {
                found.broken(format!("{way}: a user who was given nothing has role `{}`", role.value), &page.cites);
            }
            Some((attempt, _)) => _ = signed_in(&mut found, "the user who is given nothing", attempt),
            None => {}
        }
        paces.push(format!("{way}: `{}` {}", role.value, course.on.pace()));
    }
    found.conclude(format!("in effect, and that role only ({})", paces.join("; ")))
}

/// al3.app.remove-role
pub fn a_removed_role_is_gone(seen: &Seen) -> Judgement {
    if seen.courses.is_empty() {
        return none(seen);
    }
    let mut found = Findings::new();
    let mut paces = Vec::new();
    for course in &seen.courses {
        let (way, role) = (&course.way, &course.role);
        let words = [role.value.as_str(), role.display.as_str()];
        if !begun(&mut found, course) {
            continue;
        }
        if !course.on.fresh.has(&words) {
            found.undecided(format!("{way}: the role was never in effect (see al3.app.assign-role)"), &course.on.fresh.cites);
            continue;
        }
        if let Some(removed) = &course.removed
            && !crate::suites::scim_blocks::carried_out(&mut found, &format!("the removal of role `{}`", role.value), removed)
        {
            continue;
        }
        if let Some(answer) = course.cleared.as_ref().filter(|answer| prepared(&mut found, "the user without the role", answer)) {
            if stored(answer, &role.value) > 0 {
                found.broken(format!("role `{}` is still in the user's record", role.value), cite(answer));
            }
            found.saw(cite(answer));
        }
        if !signed_in(&mut found, "a new sign-in", &course.off.again) {
            continue;
        }
        let page = &course.off.fresh;
        if !page.readable {
            found.undecided(format!("{way}: {}", page.describe()), &page.cites);
        } else if page.has(&words) {
            found.broken(
                format!("{way}: `{}` is still in effect after a new sign-in: {}", role.value, page.describe()),
                &page.cites,
            );
        } else if way == "scim" && course.off.live_ms.is_none_or(|ms| ms > LATE_MS) {
            found.doubtful(format!("{way}: the live session keeps the role; a new sign-in does not"), &course.off.live.cites);
        }
        paces.push(format!("{way}: gone {}", course.off.pace()));
    }
    found.conclude(paces.join("; "))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
