//! What changes of membership must lead to.

use super::checks::exists;
use super::{Seen, members};
use crate::counterpart::scim_client::Answer;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suites::scim_blocks::{carried_out, cite, prepared, says_nothing, told};

/// The group as it stood before a change, with what a check needs among its members.
fn had(found: &mut Findings, group: &Answer, needed: &[&str]) -> bool {
    let fits = group.ok() && needed.iter().all(|id| members(group).contains(id));
    if !fits {
        found.undecided("the group had not the members that the step starts from", cite(group));
    }
    fits
}

/// al2.app.group-add-member
pub fn members_are_added(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    if !exists(&mut found, seen) {
        return found.conclude("");
    }
    let (read, [first, second, third]) = (&seen.full, &seen.users);
    let added = carried_out(&mut found, "add members", &seen.added);
    if added {
        carried_out(&mut found, "add a member that is one already", &seen.added_again);
    }
    if !added || !prepared(&mut found, "the group afterwards", read) {
        return found.conclude("");
    }
    let now = members(read);
    if seen.members_on_request && now.is_empty() {
        return Judgement::undecided("members are returned on request only").cite(cite(read));
    }
    for id in [second, third] {
        match now.iter().filter(|member| **member == id).count() {
            0 => found.broken("an added member is not there", cite(read)),
            1 => found.saw(cite(read)),
            times => found.broken(format!("a member that was added again is there {times} times"), cite(read)),
        }
    }
    if !now.contains(&first.as_str()) {
        if members(&seen.made).contains(&first.as_str()) {
            found.broken("the member from before is lost", cite(read));
        } else {
            found.undecided("the member that the group was made with is not there: see al2.app.group-create", cite(read));
        }
    }
    found.conclude("the members are there once, with the one from before")
}

/// al2.app.group-remove-member
pub fn one_member_is_removed(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let second = seen.users[1].as_str();
    if !exists(&mut found, seen) || !had(&mut found, &seen.full, &[second]) {
        return found.conclude("");
    }
    let read = &seen.without_second;
    if carried_out(&mut found, "remove members[value eq …]", &seen.removed) && prepared(&mut found, "the group afterwards", read)
    {
        let now = members(read);
        if now.contains(&second) {
            found.broken("the answer was a success, and the member is still there", cite(read));
        }
        if members(&seen.full).iter().any(|member| *member != second && !now.contains(member)) {
            found.broken("other members were removed as well", cite(read));
        }
        found.saw(cite(read));
    }
    found.conclude("that member is gone, the others stay")
}

/// al2.app.group-remove-with-value: the harm is a group that is emptied without a word.
pub fn a_value_does_not_empty_the_group(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let (first, third) = (seen.users[0].as_str(), seen.users[2].as_str());
    if !exists(&mut found, seen) || !had(&mut found, &seen.without_second, &[first, third]) {
        return found.conclude("");
    }
    let (change, read) = (&seen.removed_with_value, &seen.after_both);
    if says_nothing(change) || !prepared(&mut found, "the group afterwards", read) {
        found.undecided(format!("remove members with a value: {}", told(change)), cite(change));
        return found.conclude("");
    }
    found.saw(cite(change));
    let now = members(read);
    let pass = match (now.contains(&first), now.contains(&third)) {
        (true, true) if change.ok() => "nobody is removed, although the answer is a success",
        (true, true) => "refused, and nobody is removed",
        (true, false) => "only the member of the value is removed",
        (false, _) if now.contains(&seen.stranger.0.as_str()) => {
            found.undecided("the addition of an unknown member replaced the others", cite(read));
            ""
        }
        (false, kept) => {
            let whom = if kept { "another member" } else { "every member" };
            found.broken(format!("remove members with the value of one ({}): {whom} is removed", told(change)), cite(read));
            ""
        }
    };
    if change.status >= 500 {
        found.doubtful(format!("remove members with a value: {}", told(change)), cite(change));
    }
    found.conclude(pass)
}

/// al2.app.group-unknown-member
pub fn a_stranger_is_refused(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    // A server that takes no addition at all refuses this one for another reason.
    if !exists(&mut found, seen) || !prepared(&mut found, "the control: members are added", &seen.added) {
        return found.conclude("");
    }
    let ((stranger, change), read) = (&seen.stranger, &seen.after_both);
    if says_nothing(change) {
        found.undecided(told(change), cite(change));
        return found.conclude("");
    }
    if !prepared(&mut found, "the group afterwards", read) {
        return found.conclude("");
    }
    let stored = members(read).contains(&stranger.as_str());
    match (stored, change.ok()) {
        (true, _) => found.broken("a member that no user is was stored", cite(read)),
        (false, true) => found.doubtful(format!("{}, and nothing was stored", told(change)), cite(change)),
        (false, false) if change.status >= 500 => found.broken(told(change), cite(change)),
        (false, false) => found.saw(cite(change)),
    }
    found.conclude(format!("refused: {}", told(change)))
}

/// al2.app.group-remove-all
pub fn all_members_are_removed(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    if !exists(&mut found, seen) {
        return found.conclude("");
    }
    if !seen.last.ok() || members(&seen.last).is_empty() {
        found.undecided("the group had no members to remove", cite(&seen.last));
        return found.conclude("");
    }
    let read = &seen.empty;
    if carried_out(&mut found, "remove members", &seen.emptied) {
        match read.status {
            404 | 410 => found.broken("the group is gone with its members", cite(read)),
            _ if !prepared(&mut found, "the group afterwards", read) => {}
            _ if !members(read).is_empty() => found.broken("the answer was a success, and members are left", cite(read)),
            _ => found.saw(cite(read)),
        }
    }
    found.conclude("no members, and the group is still there")
}

/// al2.app.user-groups-readonly
pub fn membership_is_not_written_through_users(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let (first, second) = (seen.users[0].as_str(), seen.users[1].as_str());
    if !exists(&mut found, seen) || !had(&mut found, &seen.full, &[first]) || !prepared(&mut found, "a member", &seen.member) {
        return found.conclude("");
    }
    let Some(groups) = seen.member.body["groups"].as_array() else {
        return Judgement::undecided("users do not show their groups, which is optional").cite(cite(&seen.member));
    };
    if !groups.iter().any(|group| group["value"].as_str() == Some(seen.made.id())) {
        found.broken("a member does not show the group among its groups", cite(&seen.member));
    }
    let before = seen.without_second.ok() && !members(&seen.without_second).contains(&second);
    match &seen.through_user {
        Some(change) if !before || says_nothing(change) => {
            found.undecided("whether groups can be written through the user was not seen", cite(change));
        }
        Some(change) if seen.after_both.ok() && members(&seen.after_both).contains(&second) => {
            found.broken("membership was changed through the user", cite(change));
        }
        Some(change) => found.saw(cite(change)),
        None => found.undecided("whether groups can be written through the user was not tried", &[]),
    }
    found.conclude("a member shows its group, and cannot be added through the user")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::checks::tests::{group, says};
    use super::*;
    use crate::model::verdict::Call as Says;
    use crate::suites::scim_blocks::samples::{answer, error};

    fn done() -> Answer {
        answer(204, Value::Null)
    }

    #[test]
    fn added_members_are_there_once() {
        let check = members_are_added;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.full = group("n", &["b", "c"])), Says::Broken);
        assert_eq!(says(check, |seen| seen.full = group("n", &["a", "b", "b", "c"])), Says::Broken);
        assert_eq!(says(check, |seen| seen.added_again = error(409, "uniqueness")), Says::Broken);
        let never = |seen: &mut Seen| {
            seen.made.body["members"] = Value::Null;
            seen.full = group("n", &["b", "c"]);
        };
        assert_eq!(says(check, never), Says::Undecided);
        assert_eq!(says(check, |seen| seen.made = error(403, "")), Says::Undecided);
    }

    #[test]
    fn exactly_one_member_is_removed() {
        let check = one_member_is_removed;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.without_second = group("n", &[])), Says::Broken);
        assert_eq!(says(check, |seen| seen.without_second = seen.full.clone()), Says::Broken);
        assert_eq!(says(check, |seen| seen.removed = error(400, "invalidPath")), Says::Broken);
        assert_eq!(says(check, |seen| seen.full = group("n", &["a"])), Says::Undecided);
    }

    #[test]
    fn a_value_may_be_refused_or_heeded() {
        let check = a_value_does_not_empty_the_group;
        let heeded = |left: &'static [&'static str]| {
            move |seen: &mut Seen| {
                seen.removed_with_value = done();
                seen.after_both = group("n", left);
            }
        };
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, heeded(&["a"])), Says::Pass);
        assert_eq!(says(check, heeded(&["a", "c"])), Says::Pass);
        assert_eq!(says(check, heeded(&[])), Says::Broken);
        assert_eq!(says(check, heeded(&["x"])), Says::Undecided);
        assert_eq!(says(check, |seen| seen.without_second = group("n", &["a"])), Says::Undecided);
        assert_eq!(says(check, |seen| seen.removed_with_value = answer(429, Value::Null)), Says::Undecided);
    }

    #[test]
    fn a_stranger_is_no_member() {
        let check = a_stranger_is_refused;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.after_both = group("n", &["a", "x"])), Says::Broken);
        assert_eq!(says(check, |seen| seen.stranger.1 = answer(500, Value::Null)), Says::Broken);
        assert_eq!(says(check, |seen| seen.stranger.1 = done()), Says::Doubtful);
        assert_eq!(says(check, |seen| seen.added = error(400, "")), Says::Undecided);
    }

    #[test]
    fn an_emptied_group_is_still_there() {
        let check = all_members_are_removed;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.emptied = error(400, "noTarget")), Says::Broken);
        assert_eq!(says(check, |seen| seen.empty = group("n", &["a"])), Says::Broken);
        assert_eq!(says(check, |seen| seen.empty = error(404, "")), Says::Broken);
        assert_eq!(says(check, |seen| seen.last = group("n", &[])), Says::Undecided);
    }

    #[test]
    fn users_do_not_write_their_groups() {
        let check = membership_is_not_written_through_users;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.after_both = group("n", &["a", "b", "c"])), Says::Broken);
        assert_eq!(says(check, |seen| seen.member.body["groups"] = json!([])), Says::Broken);
        assert_eq!(says(check, |seen| seen.member.body["groups"] = Value::Null), Says::Undecided);
        assert_eq!(says(check, |seen| seen.without_second = group("n", &["a", "b"])), Says::Undecided);
    }
}
