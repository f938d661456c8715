//! What suspension and reactivation must lead to.

use serde_json::Value;

use super::super::scim_blocks::{carried_out, cite, is_active, prepared, says_nothing, told};
use super::{Form, Seen};
use crate::counterpart::scim_client::Answer;
use crate::model::Judgement;
use crate::model::verdict::Findings;

/// The user must be inactive by what was read.
fn must_be_inactive(found: &mut Findings, read: &Answer) {
    match is_active(read) {
        Some(false) => found.saw(cite(read)),
        Some(true) => found.broken("the answer was a success, and the user is still active", cite(read)),
        None if read.ok() => {
            found.broken(format!("the user shows `active` {} in place of false", read.body["active"]), cite(read));
        }
        None => found.undecided(format!("the user could not be read: {}", told(read)), cite(read)),
    }
}

/// The user must have been active before.
fn was_active(found: &mut Findings, seen: &Seen) -> bool {
    let active = seen.user.found.active() == Some(true);
    if !active {
        found.undecided("the user was not active at the start", cite(&seen.user.found));
    }
    active
}

/// The user was active again before another form was tried.
fn was_reset(found: &mut Findings, seen: &Seen, reset: &Answer) -> bool {
    let active = reset.ok() && is_active(&seen.on.read) == Some(true);
    if !active {
        let worst = if reset.ok() { &seen.on.read } else { reset };
        found.undecided("the user could not be reactivated before", cite(worst));
    }
    active
}

/// al1.app.deactivate-patch
pub fn patch_deactivates(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    if was_active(&mut found, seen) && carried_out(&mut found, "PATCH of active to false", &seen.off.change) {
        must_be_inactive(&mut found, &seen.off.read);
    }
    match &seen.sentinel {
        Some(other) if other.active() == Some(false) => found.broken("another user was deactivated as well", cite(other)),
        Some(other) => {
            prepared(&mut found, "the user that nobody deactivated", other);
        }
        None => {}
    }
    let alone = if seen.sentinel.as_ref().is_some_and(|other| other.active() == Some(true)) { ", and nobody else" } else { "" };
    found.conclude(format!("the user is inactive{alone}"))
}

/// al1.app.deactivate-patch-no-path
pub fn pathless_patch_deactivates(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let form = &seen.pathless;
    if was_reset(&mut found, seen, &seen.on.change) && carried_out(&mut found, "PATCH without a path", &form.change) {
        must_be_inactive(&mut found, form.read.as_ref().unwrap_or(&form.change));
    }
    found.conclude("the user is inactive")
}

/// al1.app.deactivate-entra-dialect
pub fn entras_words_do_no_harm(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let Form { reset, change, read } = &seen.entra;
    if !was_reset(&mut found, seen, reset) {
        return found.conclude("");
    }
    if change.ok() {
        must_be_inactive(&mut found, read.as_ref().unwrap_or(change));
        return found.conclude("the string \"False\" deactivates the user");
    }
    if says_nothing(change) || !change.refused() {
        found.undecided(format!("PATCH with the string \"False\": {}", told(change)), cite(change));
    }
    found.saw(cite(change));
    found.conclude(format!("the string is refused ({}), which RFC 7644 allows", change.describe()))
}

/// al1.app.deactivate-put
pub fn put_deactivates(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let Form { reset, change, read } = &seen.put;
    if matches!(change.status, 404 | 405 | 501) {
        return Judgement::undecided(format!("PUT is not offered: {}", told(change))).cite(cite(change));
    }
    if was_reset(&mut found, seen, reset) && carried_out(&mut found, "PUT with active false", change) {
        must_be_inactive(&mut found, read.as_ref().unwrap_or(change));
    }
    found.conclude("the user is inactive")
}

/// al1.app.deactivate-idempotent
pub fn deactivation_can_be_repeated(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    if is_active(&seen.off.read) != Some(false) || !seen.off.change.ok() {
        found.undecided("the first deactivation failed", cite(&seen.off.change));
    } else if seen.again.status == 404 && seen.off.read.status == 404 {
        found.undecided("a deactivated user is hidden: see al1.app.deactivated-still-readable", cite(&seen.again));
    } else {
        carried_out(&mut found, "the second deactivation", &seen.again);
    }
    found.conclude("the second deactivation succeeds as well")
}

/// al1.app.deactivated-still-readable
pub fn a_deactivated_user_can_be_read(seen: &Seen) -> Judgement {
    let (change, read) = (&seen.off.change, &seen.off.read);
    let mut found = Findings::new();
    if !prepared(&mut found, "the deactivation", change) {
        return found.conclude("");
    }
    match (read.ok(), &read.body["active"]) {
        (true, Value::Bool(false)) => found.saw(cite(read)),
        (true, Value::Bool(true)) => found.undecided("the deactivation had no effect", cite(read)),
        (true, Value::Null) => found.broken("the deactivated user does not show `active`", cite(read)),
        (true, other) => found.broken(format!("the deactivated user shows `active` {other}"), cite(read)),
        (false, _) if says_nothing(read) => found.undecided(format!("the user by its id: {}", told(read)), cite(read)),
        (false, _) => found.broken(format!("a deactivated user cannot be read by its id: {}", told(read)), cite(read)),
    }
    found.conclude("200 with active false")
}

/// al1.app.reactivate
pub fn patch_reactivates(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    if !seen.off.change.ok() || is_active(&seen.off.read) != Some(false) {
        found.undecided("the deactivation failed", cite(&seen.off.change));
    } else if carried_out(&mut found, "PATCH of active to true", &seen.on.change) {
        let read = &seen.on.read;
        match is_active(read) {
            Some(true) => found.saw(cite(read)),
            Some(false) => found.broken("the answer was a success, and the user is still inactive", cite(read)),
            None if read.ok() => found.broken(format!("the user shows `active` {}", read.body["active"]), cite(read)),
            None => found.undecided(format!("the user could not be read: {}", told(read)), cite(read)),
        }
    }
    found.conclude("the user is active again")
}

/// al1.app.group-membership-kept-or-dropped
pub fn membership_is_reported(seen: &Seen) -> Judgement {
    let Some(group) = &seen.group else { return Judgement::undecided("no group could be made for the user") };
    let mut found = Findings::new();
    if is_active(&seen.off.read) != Some(false) || is_active(&seen.on.read) != Some(true) {
        found.undecided("the user was not deactivated and reactivated", cite(&seen.off.read));
    }
    if !prepared(&mut found, "the group after reactivation", &group.after) {
        return found.conclude("");
    }
    found.saw(cite(&group.after));
    let members: Vec<&str> =
        group.after.body["members"].as_array().into_iter().flatten().filter_map(|member| member["value"].as_str()).collect();
    let during = match group.during {
        Some(true) => "shown",
        Some(false) => "not shown",
        None => "not told",
    };
    let told = format!("membership while inactive: {during}; after reactivation:");
    if !members.contains(&seen.user.id.as_str()) {
        found.doubtful(format!("{told} dropped, so it must be pushed again"), cite(&group.after));
    }
    found.conclude(format!("{told} kept"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::scim_blocks::samples::{answer, error};
    use super::super::{Membership, Step, Subject};
    use super::*;
    use crate::model::verdict::Call as Says;

    fn active(is: bool) -> Answer {
        answer(200, json!({"id": "1", "active": is}))
    }

    fn form() -> Form {
        Form { reset: answer(204, Value::Null), change: answer(204, Value::Null), read: Some(active(false)) }
    }

    fn right() -> Seen {
        let step = |is| Step { change: answer(204, Value::Null), read: active(is) };
        Seen {
            user: Subject { id: "1".into(), found: active(true), ..Subject::default() },
            off: step(false),
            on: step(true),
            again: answer(200, Value::Null),
            sentinel: Some(active(true)),
            pathless: form(),
            put: form(),
            entra: form(),
            group: Some(Membership { after: answer(200, json!({"members": [{"value": "1"}]})), ..Membership::default() }),
            deletion: None,
        }
    }

    fn says(check: fn(&Seen) -> Judgement, change: impl FnOnce(&mut Seen)) -> Says {
        let mut seen = right();
        change(&mut seen);
        check(&seen).call
    }

    #[test]
    fn a_deactivation_is_read_back() {
        let check = patch_deactivates;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.off.read = error(404, "")), Says::Pass);
        assert_eq!(says(check, |seen| seen.off.read = active(true)), Says::Broken);
        assert_eq!(says(check, |seen| seen.off.change = error(400, "invalidPath")), Says::Broken);
        assert_eq!(says(check, |seen| seen.sentinel = Some(active(false))), Says::Broken);
        assert_eq!(says(check, |seen| seen.user.found = active(false)), Says::Undecided);
        assert_eq!(says(check, |seen| seen.off.read = answer(503, Value::Null)), Says::Undecided);
    }

    #[test]
    fn other_forms_are_judged_only_on_an_active_user() {
        for (check, of) in [
            (pathless_patch_deactivates as fn(&Seen) -> Judgement, (|seen| &mut seen.pathless) as fn(&mut Seen) -> &mut Form),
            (put_deactivates, |seen| &mut seen.put),
        ] {
            assert_eq!(says(check, |_| ()), Says::Pass);
            assert_eq!(says(check, |seen| of(seen).read = Some(active(true))), Says::Broken);
            let repeated =
                |seen: &mut Seen| *of(seen) = Form { reset: active(true), change: active(false), read: Some(active(true)) };
            assert_eq!(says(check, repeated), Says::Broken);
            assert_eq!(says(check, |seen| of(seen).change = error(400, "noTarget")), Says::Broken);
            assert_eq!(says(check, |seen| seen.on.read = active(false)), Says::Undecided);
        }
        assert_eq!(says(put_deactivates, |seen| seen.put.change = answer(501, Value::Null)), Says::Undecided);
        assert_eq!(says(put_deactivates, |seen| seen.put.reset = error(400, "")), Says::Undecided);
    }

    #[test]
    fn a_string_may_be_refused_but_not_misread() {
        let check = entras_words_do_no_harm;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.entra.change = error(400, "invalidValue")), Says::Pass);
        assert_eq!(says(check, |seen| seen.entra.read = Some(active(true))), Says::Broken);
        assert_eq!(says(check, |seen| seen.entra.reset = error(400, "")), Says::Undecided);
        assert_eq!(says(check, |seen| seen.entra.change = answer(500, Value::Null)), Says::Undecided);
    }

    #[test]
    fn a_deactivated_user_stays_known() {
        let check = a_deactivated_user_can_be_read;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.off.read = error(404, "")), Says::Broken);
        assert_eq!(says(check, |seen| seen.off.read = answer(200, json!({"id": "1"}))), Says::Broken);
        assert_eq!(says(check, |seen| seen.off.change = error(400, "")), Says::Undecided);
        assert_eq!(says(check, |seen| seen.off.read = active(true)), Says::Undecided);
        assert_eq!(says(deactivation_can_be_repeated, |_| ()), Says::Pass);
        assert_eq!(says(deactivation_can_be_repeated, |seen| seen.again = error(409, "")), Says::Broken);
        assert_eq!(says(deactivation_can_be_repeated, |seen| seen.off.read = active(true)), Says::Undecided);
    }

    #[test]
    fn a_reactivation_is_read_back() {
        let check = patch_reactivates;
        let seats = answer(400, json!({"detail": "no seats left"}));
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.on.read = active(false)), Says::Broken);
        assert_eq!(says(check, |seen| seen.on.change = error(400, "mutability")), Says::Broken);
        assert_eq!(says(check, |seen| seen.on.change = seats), Says::Undecided);
        assert_eq!(says(check, |seen| seen.off.read = active(true)), Says::Undecided);
    }

    #[test]
    fn membership_is_told_and_never_blamed() {
        assert_eq!(says(membership_is_reported, |_| ()), Says::Pass);
        assert!(membership_is_reported(&right()).reason.ends_with("kept"));
        let dropped = |seen: &mut Seen| seen.group.as_mut().unwrap().after = answer(200, json!({}));
        assert_eq!(says(membership_is_reported, dropped), Says::Doubtful);
        assert_eq!(says(membership_is_reported, |seen| seen.group = None), Says::Undecided);
    }
}
