//! What creation, reading and renaming of a group must lead to.

use super::{Seen, members, pages};
use crate::counterpart::scim_client::LIST;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suites::scim_blocks::{carried_out, cite, prepared};

/// al2.app.group-create
pub fn a_group_is_made(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let made = &seen.made;
    if !carried_out(&mut found, "POST /Groups", made) {
        return found.conclude("");
    }
    if made.status != 201 {
        found.broken(format!("status {} in place of 201", made.status), cite(made));
    }
    if made.id().is_empty() {
        found.broken("the answer names no id", cite(made));
        return found.conclude("");
    }
    if made.header("location").is_none_or(str::is_empty) {
        found.broken("the answer has no header field Location", cite(made));
    }
    let read = &seen.full;
    if !prepared(&mut found, "the group", read) {
        return found.conclude("");
    }
    if read.text_at("/displayName") != seen.name {
        found.broken(format!("displayName came back as {}", read.body["displayName"]), cite(read));
    }
    if read.text_at("/externalId") != seen.external_id {
        found.doubtful(format!("externalId came back as {}", read.body["externalId"]), cite(read));
    }
    let first = seen.users[0].as_str();
    match (members(read).contains(&first), members(made).contains(&first)) {
        (true, _) => found.saw(cite(read)),
        // It was there, and is gone after others were added.
        (false, true) => found.undecided("the member is gone after others were added: see al2.app.group-add-member", cite(read)),
        (false, false) if seen.members_on_request => found.undecided("members are returned on request only", cite(read)),
        (false, false) => found.broken("the member that the group was made with is lost", cite(read)),
    }
    found.conclude("201 with id and Location; name, externalId and member are kept")
}

/// The group exists, which everything else rests on.
pub fn exists(found: &mut Findings, seen: &Seen) -> bool {
    if seen.made.ok() && seen.made.id().is_empty() {
        found.undecided("the created group has no id", cite(&seen.made));
        return false;
    }
    prepared(found, "the creation of a group", &seen.made)
}

/// al2.app.group-list-filter
pub fn a_group_is_found_without_members(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let list = &seen.listed;
    if !exists(&mut found, seen) || !carried_out(&mut found, "GET /Groups with a filter of displayName", list) {
        return found.conclude("");
    }
    let is_list = list.body["schemas"].as_array().is_some_and(|all| all.iter().any(|urn| urn == LIST));
    // With cursors a total may be left out (RFC 9865).
    let by_cursor = list.body["nextCursor"].is_string();
    if !is_list || (list.total().is_none() && !by_cursor) {
        found.broken("the answer is no ListResponse with totalResults", cite(list));
    }
    match list.resources().iter().find(|group| group["id"].as_str() == Some(seen.made.id())) {
        None => found.broken("the group is not among those of its name", cite(list)),
        Some(group) if group["members"].as_array().is_some_and(|all| !all.is_empty()) => {
            found.broken("members are returned although excludedAttributes names them", cite(list));
        }
        Some(_) => found.saw(cite(list)),
    }
    let fits = |name: &str| name.eq_ignore_ascii_case(&seen.name);
    if list.resources().iter().any(|group| !group["displayName"].as_str().is_some_and(fits)) {
        found.broken("groups of other names are listed as well", cite(list));
    }
    pages::judge(&mut found, seen);
    found.conclude("one group of this name, without members; a page holds no more groups than asked for, and the next one others")
}

/// al2.app.group-get
pub fn a_group_is_read_with_and_without_members(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    if !exists(&mut found, seen) {
        return found.conclude("");
    }
    if seen.members_on_request {
        return Judgement::undecided("the schema declares that members are returned on request only").cite(cite(&seen.full));
    }
    if carried_out(&mut found, "GET /Groups/{id}", &seen.full) && members(&seen.full).is_empty() {
        if seen.added.ok() {
            found.broken("no members are returned", cite(&seen.full));
        } else {
            found.undecided("the group may have no members", cite(&seen.full));
        }
    }
    let bare = &seen.no_members;
    if carried_out(&mut found, "GET /Groups/{id} with excludedAttributes=members", bare) {
        if !members(bare).is_empty() {
            found.broken("members are returned although excludedAttributes names them", cite(bare));
        } else if bare.id() != seen.made.id() {
            found.broken("the id is missing when members are excluded", cite(bare));
        }
    }
    found.conclude("with members, and without where they are excluded")
}

/// al2.app.group-rename
pub fn a_renamed_group_keeps_its_members(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    if !exists(&mut found, seen) {
        return found.conclude("");
    }
    if seen.fixed_name && seen.renamed.refused() {
        return Judgement::undecided("the schema declares that displayName cannot be changed").cite(cite(&seen.renamed));
    }
    let steps = [
        ("replace displayName", &seen.renamed, &seen.no_members, seen.second_name()),
        ("replace without a path, with the id", &seen.renamed_pathless, &seen.last, seen.third_name()),
    ];
    for (what, change, read, name) in steps {
        if carried_out(&mut found, what, change) && prepared(&mut found, "the renamed group", read) {
            if read.text_at("/displayName") != name {
                let now = &read.body["displayName"];
                found.broken(format!("{what}: the answer was a success, and displayName is {now}"), cite(read));
            }
            if !read.id().is_empty() && read.id() != seen.made.id() {
                found.broken(format!("{what}: the group has another id now"), cite(read));
            }
        }
    }
    if seen.renamed.ok() && seen.last.ok() && seen.after_both.ok() {
        let (before, after) = (members(&seen.after_both), members(&seen.last));
        let lost = before.iter().any(|member| !after.contains(member));
        match (lost, before.is_empty(), after.is_empty()) {
            (true, ..) => found.broken("members are lost", cite(&seen.last)),
            (false, true, true) => found.undecided("the group had no members to keep", cite(&seen.after_both)),
            _ => found.saw(cite(&seen.last)),
        }
    }
    found.conclude("the new names, the same id and members")
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::counterpart::scim_client::Answer;
    use crate::model::verdict::Call as Says;
    use crate::suites::scim_blocks::samples::{answer, error};

    pub fn group(name: &str, members: &[&str]) -> Answer {
        let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
        let members = if members.is_empty() { Value::Null } else { json!(members) };
        answer(200, json!({"id": "g", "displayName": name, "externalId": "e", "members": members}))
    }

    pub fn page(total: u64, ids: &[&str]) -> Answer {
        let groups: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
        answer(200, json!({"schemas": [LIST], "totalResults": total, "Resources": groups}))
    }

    pub fn right() -> Seen {
        let done = || answer(204, Value::Null);
        let list = json!({"schemas": [LIST], "totalResults": 1, "Resources": [{"id": "g", "displayName": "n"}]});
        Seen {
            users: ["a", "b", "c"].map(str::to_owned),
            name: "n".into(),
            external_id: "e".into(),
            members_on_request: false,
            fixed_name: false,
            made: Answer { status: 201, headers: vec![("location".into(), "/Groups/g".into())], ..group("n", &["a"]) },
            other: Some(answer(201, json!({"id": "h"}))),
            pages: vec![[page(2, &["g"]), page(2, &["h"])]],
            listed: answer(200, list),
            added: done(),
            added_again: done(),
            full: group("n", &["a", "b", "c"]),
            member: answer(200, json!({"id": "a", "groups": [{"value": "g"}]})),
            removed: done(),
            without_second: group("n", &["a", "c"]),
            through_user: Some(error(400, "mutability")),
            removed_with_value: error(400, "invalidValue"),
            stranger: ("x".into(), error(400, "invalidValue")),
            after_both: group("n", &["a", "c"]),
            refilled: None,
            renamed: done(),
            no_members: group("n 2", &[]),
            renamed_pathless: done(),
            last: group("n 3", &["a", "c"]),
            emptied: done(),
            empty: group("n 3", &[]),
        }
    }

    pub fn says(check: fn(&Seen) -> Judgement, change: impl FnOnce(&mut Seen)) -> Says {
        let mut seen = right();
        change(&mut seen);
        check(&seen).call
    }

    #[test]
    fn a_group_is_made_with_its_member() {
        let check = a_group_is_made;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.made = answer(501, Value::Null)), Says::Broken);
        assert_eq!(says(check, |seen| seen.made.headers.clear()), Says::Broken);
        let dropped = |seen: &mut Seen| {
            seen.made.body["members"] = Value::Null;
            seen.full = group("n", &["b", "c"]);
        };
        assert_eq!(says(check, dropped), Says::Broken);
        // The addition of others may have lost it.
        assert_eq!(says(check, |seen| seen.full = group("n", &["b"])), Says::Undecided);
        assert_eq!(says(check, |seen| seen.full.body["externalId"] = Value::Null), Says::Doubtful);
        assert_eq!(says(check, |seen| seen.made = error(403, "")), Says::Undecided);
    }

    #[test]
    fn a_group_is_found_by_its_name() {
        let check = a_group_is_found_without_members;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.listed.body["Resources"] = json!([])), Says::Broken);
        assert_eq!(says(check, |seen| seen.listed.body["Resources"][0]["members"] = json!([{"value": "a"}])), Says::Broken);
        let other = json!({"id": "h", "displayName": "other"});
        let mixed = |seen: &mut Seen| seen.listed.body["Resources"].as_array_mut().unwrap().push(other);
        assert_eq!(says(check, mixed), Says::Broken);
        assert_eq!(says(check, |seen| seen.made = error(403, "")), Says::Undecided);
    }

    #[test]
    fn members_are_shown_unless_excluded() {
        let check = a_group_is_read_with_and_without_members;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.full = group("n", &[])), Says::Broken);
        assert_eq!(says(check, |seen| seen.no_members = group("n 2", &["a"])), Says::Broken);
        assert_eq!(says(check, |seen| seen.full = error(404, "")), Says::Broken);
        assert_eq!(says(check, |seen| seen.members_on_request = true), Says::Undecided);
    }

    #[test]
    fn a_renamed_group_stays_the_same() {
        let check = a_renamed_group_keeps_its_members;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.last = group("n 3", &[])), Says::Broken);
        assert_eq!(says(check, |seen| seen.no_members = group("n", &[])), Says::Broken);
        assert_eq!(says(check, |seen| seen.renamed_pathless = error(400, "noTarget")), Says::Broken);
        let fixed = |seen: &mut Seen| {
            seen.fixed_name = true;
            seen.renamed = error(400, "mutability");
        };
        assert_eq!(says(check, fixed), Says::Undecided);
    }
}
