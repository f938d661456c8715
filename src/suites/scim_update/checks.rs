//! What PATCH must lead to.

use serde_json::Value;

use super::{Addresses, Seen};
use crate::counterpart::scim_client::Answer;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suites::scim_blocks::{carried_out, cite, prepared, says_nothing, told};

/// What no operation names and what must stay.
const UNTOUCHED: [&str; 4] = ["/userName", "/externalId", "/active", "/name/givenName"];

/// al2.app.update-patch-replace
pub fn patch_replaces_single_values(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    if seen.values.is_empty() {
        return Judgement::undecided("the User schema declares no attribute that could be replaced");
    }
    if !prepared(&mut found, "the changed user", &seen.first) {
        return found.conclude("");
    }
    let read = &seen.first;
    for set in &seen.values {
        if !carried_out(&mut found, &set.what, &set.change) {
            continue;
        }
        for (place, value) in &set.wanted {
            if read.text_at(place) != value {
                let now = read.body.pointer(place).unwrap_or(&Value::Null);
                found.broken(format!("{}: the answer was a success, and {place} is {now}", set.what), cite(read));
            }
        }
    }
    for place in UNTOUCHED {
        let before = seen.made.body.pointer(place);
        if before.is_some() && before != read.body.pointer(place) {
            let now = read.body.pointer(place).unwrap_or(&Value::Null);
            found.broken(format!("{place}, which no operation names, is {now} now"), cite(read));
        }
    }
    found.saw(cite(read));
    found.conclude("values are set with and without path, the rest stays")
}

/// Addresses of this type, or with this value.
fn addresses<'a>(answer: &'a Answer, member: &'static str, value: &'a str) -> Vec<&'a Value> {
    let all = answer.body["emails"].as_array().map_or(&[][..], Vec::as_slice);
    all.iter().filter(|email| email[member].as_str().is_some_and(|text| text.eq_ignore_ascii_case(value))).collect()
}

fn count(answer: &Answer) -> usize {
    answer.body["emails"].as_array().map_or(0, Vec::len)
}

/// al2.app.update-patch-multivalue
pub fn patch_changes_one_address(seen: &Seen) -> Judgement {
    let Some(sent) = &seen.addresses else {
        return Judgement::undecided("the User schema declares no emails with value and type");
    };
    let mut found = Findings::new();
    let (first, second) = (&seen.first, &seen.second);
    if !prepared(&mut found, "the changed user", first) || !prepared(&mut found, "the user after all changes", second) {
        return found.conclude("");
    }
    let (replaced, added) = (sent.replaced.ok(), sent.added.ok());
    carried_out(&mut found, "replace emails[type eq \"work\"].value", &sent.replaced);
    if added || sent.added.cite != sent.replaced.cite {
        carried_out(&mut found, "add emails", &sent.added);
    }
    let held = |value: &str| !addresses(first, "value", value).is_empty();
    let single = count(first) == 1 && count(&seen.made) < 2;
    let lost = |email: &&Value| email["type"] == "other" && addresses(first, "type", "other").is_empty();
    if replaced && seen.made.body["emails"].as_array().is_some_and(|all| all.iter().any(|email| lost(&email))) {
        found.broken("an address of another type is lost", cite(first));
    }
    if replaced && count(first) == 0 {
        found.broken("the addresses are gone", cite(first));
    } else if single && replaced && added && (held(&sent.work) || held(&sent.home)) {
        found.doubtful("the application keeps one address only, although `emails` has many values", cite(first));
    } else {
        if replaced && !held(&sent.work) {
            found.broken(format!("the address of type work was not replaced: {}", first.body["emails"]), cite(first));
        }
        if added && !held(&sent.home) {
            found.broken(format!("the address of type home was not added: {}", first.body["emails"]), cite(first));
        }
    }
    if added && held(&sent.home) && !single {
        removed(&mut found, sent, seen);
    }
    unmatched(&mut found, sent, second);
    found.conclude("one address is replaced by its type, one is added and removed, and no match is refused")
}

fn removed(found: &mut Findings, sent: &Addresses, seen: &Seen) {
    let second = &seen.second;
    if !carried_out(found, "remove emails[type eq \"home\"]", &sent.removed) {
        return;
    }
    if !addresses(second, "value", &sent.home).is_empty() {
        found.broken("the address of type home was not removed", cite(second));
    }
    if !addresses(&seen.first, "value", &sent.work).is_empty() && addresses(second, "type", "work").is_empty() {
        found.broken("the address of type work was removed as well", cite(second));
    }
}

/// A value filter that matches nothing is refused with noTarget (RFC 7644 3.5.2.3).
fn unmatched(found: &mut Findings, sent: &Addresses, second: &Answer) {
    let answer = &sent.unmatched;
    let what = format!("replace emails[type eq \"none\"].value, of which there is none: {}", told(answer));
    match answer.status {
        400 if answer.scim_type() == "noTarget" => found.saw(cite(answer)),
        _ if says_nothing(answer) => found.undecided(what, cite(answer)),
        400..500 => found.doubtful(format!("{what} in place of 400 noTarget"), cite(answer)),
        200..300 if !addresses(second, "type", "none").is_empty() => {
            found.doubtful(format!("{what}, and the address was made (RFC 7644 3.5.2.3 wants 400 noTarget)"), cite(answer));
        }
        _ => found.broken(format!("{what} in place of 400 noTarget"), cite(answer)),
    }
}

/// al2.app.update-patch-atomic
pub fn half_a_patch_is_none(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    if !seen.values.iter().any(|set| set.change.ok()) {
        return Judgement::undecided("the control: no PATCH succeeds");
    }
    let Some(half) = seen.halves.last() else { return Judgement::undecided("nothing was tried") };
    if half.change.ok() {
        return Judgement::undecided(format!("the application tolerates the bad operations too ({})", half.what))
            .cite(cite(&half.change));
    }
    if says_nothing(&half.change) {
        return Judgement::undecided(told(&half.change)).cite(cite(&half.change));
    }
    if !prepared(&mut found, "the user after all changes", &seen.second) {
        return found.conclude("");
    }
    if seen.second.text_at(&half.place) == half.value {
        let what = format!("{}: {}, and the other operation was applied", half.what, told(&half.change));
        found.broken(what, cite(&seen.second));
    } else if half.change.status >= 500 {
        found.doubtful(format!("{}: {} in place of 400", half.what, told(&half.change)), cite(&half.change));
    }
    found.saw(cite(&half.change));
    found.conclude(format!("{}: refused, and nothing was applied", half.what))
}

/// al2.app.attribute-removal
pub fn a_removed_attribute_is_gone(seen: &Seen) -> Judgement {
    let Some(removal) = &seen.removal else {
        return Judgement::undecided("the User schema declares neither title nor nickName, userType or preferredLanguage");
    };
    let mut found = Findings::new();
    let name = removal.name.as_str();
    if !prepared(&mut found, "the user before", &seen.first) {
        return found.conclude("");
    }
    if seen.first.body[name].as_str().is_none_or(str::is_empty) {
        return Judgement::undecided(format!("{name} was not kept, so it cannot be removed")).cite(cite(&seen.first));
    }
    if carried_out(&mut found, &format!("remove {name}"), &removal.change)
        && prepared(&mut found, "the user afterwards", &seen.second)
    {
        match &seen.second.body[name] {
            Value::Null => found.saw(cite(&seen.second)),
            Value::String(text) if text.is_empty() => found.saw(cite(&seen.second)),
            other => found.broken(format!("the answer was a success, and {name} is still {other}"), cite(&seen.second)),
        }
    }
    found.conclude(format!("{name} is gone"))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::super::{Half, Removal, Set, Stale, Whole};
    use super::*;
    use crate::model::verdict::Call as Says;
    use crate::suites::scim_blocks::samples::{answer, error};

    pub fn right() -> Seen {
        let emails = json!([{"value": "w@b.test", "type": "work"}, {"value": "h@b.test", "type": "home"}]);
        let user = json!({"id": "1", "userName": "a", "active": true, "displayName": "new", "title": "t", "emails": emails});
        let mut after = user.clone();
        after["title"] = Value::Null;
        after["emails"] = json!([{"value": "w@b.test", "type": "work"}]);
        let done = || answer(204, Value::Null);
        let listed = |id: &str, name: &str| answer(200, json!({"Resources": [{"id": id, "userName": name}]}));
        Seen {
            made: Answer {
                headers: vec![("etag".into(), "W/1".into())],
                ..answer(201, json!({"id": "1", "userName": "a", "active": true}))
            },
            values: vec![Set { what: "replace".into(), wanted: vec![("/displayName".into(), "new".into())], change: done() }],
            addresses: Some(Addresses {
                work: "w@b.test".into(),
                replaced: done(),
                home: "h@b.test".into(),
                added: done(),
                removed: done(),
                unmatched: error(400, "noTarget"),
            }),
            first: Answer { headers: vec![("etag".into(), "W/2".into())], ..answer(200, user) },
            removal: Some(Removal { name: "title".into(), change: done() }),
            halves: vec![Half {
                place: "/displayName".into(),
                value: "half".into(),
                change: error(400, "invalidValue"),
                ..Half::default()
            }],
            stale: Stale {
                advertised: true,
                version: "W/1".into(),
                value: "Stale".into(),
                change: Some(error(412, "")),
                control: Some(done()),
            },
            second: answer(200, after),
            rename: super::super::Rename {
                old: "a".into(),
                new: "b".into(),
                immutable: false,
                change: done(),
                by_old: answer(200, json!({"Resources": []})),
                by_new: listed("1", "b"),
            },
            whole: Whole {
                without: "nickName".into(),
                change: answer(200, json!({"id": "1"})),
                read: answer(200, json!({"id": "1", "userName": "b"})),
            },
            only_name: answer(200, json!({"id": "1", "userName": "b"})),
            no_emails: answer(200, json!({"id": "1", "userName": "b"})),
        }
    }

    pub fn says(check: fn(&Seen) -> Judgement, change: impl FnOnce(&mut Seen)) -> Says {
        let mut seen = right();
        change(&mut seen);
        check(&seen).call
    }

    #[test]
    fn values_are_read_back_and_the_rest_stays() {
        let check = patch_replaces_single_values;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.first.body["displayName"] = json!("old")), Says::Broken);
        assert_eq!(says(check, |seen| seen.first.body["active"] = json!(false)), Says::Broken);
        assert_eq!(says(check, |seen| seen.values[0].change = error(400, "invalidPath")), Says::Broken);
        assert_eq!(says(check, |seen| seen.values.clear()), Says::Undecided);
        assert_eq!(says(check, |seen| seen.first = answer(429, Value::Null)), Says::Undecided);
    }

    fn sent(seen: &mut Seen) -> &mut Addresses {
        seen.addresses.as_mut().unwrap()
    }

    #[test]
    fn one_address_is_changed_and_no_other() {
        let check = patch_changes_one_address;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.first.body["emails"] = json!([])), Says::Broken);
        assert_eq!(says(check, |seen| seen.first.body["emails"][0]["value"] = json!("x")), Says::Broken);
        assert_eq!(says(check, |seen| seen.second.body["emails"] = seen.first.body["emails"].clone()), Says::Broken);
        assert_eq!(says(check, |seen| seen.second.body["emails"] = json!([])), Says::Broken);
        assert_eq!(says(check, |seen| sent(seen).replaced = error(400, "invalidPath")), Says::Broken);
        assert_eq!(says(check, |seen| sent(seen).unmatched = answer(204, Value::Null)), Says::Broken);
        assert_eq!(says(check, |seen| sent(seen).unmatched = error(404, "")), Says::Doubtful);
        assert_eq!(
            says(check, |seen| seen.first.body["emails"] = json!([{"value": "w@b.test", "type": "work"}])),
            Says::Doubtful
        );
        let two = json!([{"value": "a@b.test", "type": "work"}, {"value": "o@b.test", "type": "other"}]);
        assert_eq!(says(check, |seen| seen.made.body["emails"] = two), Says::Broken);
        assert_eq!(says(check, |seen| seen.addresses = None), Says::Undecided);
        assert_eq!(says(check, |seen| sent(seen).unmatched = answer(503, Value::Null)), Says::Undecided);
    }

    #[test]
    fn half_a_patch_leaves_no_trace() {
        let check = half_a_patch_is_none;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.second.body["displayName"] = json!("half")), Says::Broken);
        assert_eq!(says(check, |seen| seen.halves[0].change = answer(204, Value::Null)), Says::Undecided);
        assert_eq!(says(check, |seen| seen.values[0].change = error(400, "")), Says::Undecided);
        assert_eq!(says(check, |seen| seen.halves[0].change = answer(500, Value::Null)), Says::Doubtful);
    }

    #[test]
    fn a_removed_attribute_does_not_come_back() {
        let check = a_removed_attribute_is_gone;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.second.body["title"] = json!("t")), Says::Broken);
        assert_eq!(says(check, |seen| seen.removal.as_mut().unwrap().change = error(400, "")), Says::Broken);
        assert_eq!(says(check, |seen| seen.first.body["title"] = Value::Null), Says::Undecided);
        assert_eq!(says(check, |seen| seen.removal = None), Says::Undecided);
    }
}
