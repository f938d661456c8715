//! What PUT, renaming, versions and partial answers must lead to.

use super::{Seen, version};
use crate::counterpart::scim_client::Answer;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suites::scim_blocks::{carried_out, cite, prepared, says_nothing, told};

/// al2.app.etag-conflict
pub fn an_outdated_version_is_refused(seen: &Seen) -> Judgement {
    let stale = &seen.stale;
    if !stale.advertised {
        return Judgement::not_applicable("the service provider's configuration does not say etag.supported");
    }
    let Some(change) = &stale.change else {
        return Judgement::undecided("etag.supported is true, and the created user has no version").cite(cite(&seen.made));
    };
    let mut found = Findings::new();
    if !prepared(&mut found, "the user after all changes", &seen.second) {
        return found.conclude("");
    }
    let applied = seen.second.text_at("/name/givenName") == stale.value;
    let what = format!("PATCH with an outdated If-Match: {}", told(change));
    match change.status {
        _ if applied => found.broken(format!("{what}, and it was applied"), cite(change)),
        412 => match &stale.control {
            Some(control) if control.status == 412 => {
                found.undecided(format!("{what}, and the current version is refused as well: {}", told(control)), cite(control));
            }
            Some(control) if says_nothing(control) => {
                found.undecided(format!("the current version: {}", told(control)), cite(control));
            }
            Some(control) => {
                found.saw(cite(change));
                found.saw(cite(control));
            }
            None => found.undecided("the user has no current version with which a change could be compared", cite(&seen.second)),
        },
        _ if version(&seen.first) == stale.version || version(&seen.first).is_empty() => {
            found.undecided("the version did not change with the user, so none is outdated", cite(&seen.first));
        }
        _ if says_nothing(change) => found.undecided(what, cite(change)),
        400..500 => found.doubtful(format!("{what} in place of 412"), cite(change)),
        _ => found.broken(format!("{what} in place of 412"), cite(change)),
    }
    found.conclude("412, and nothing was applied; the current version is not refused so")
}

/// al2.app.update-username-change
pub fn a_renamed_user_is_the_same(seen: &Seen) -> Judgement {
    let (rename, read) = (&seen.rename, &seen.only_name);
    let mut found = Findings::new();
    if rename.immutable && rename.change.refused() {
        return Judgement::undecided("the User schema declares that userName cannot be changed").cite(cite(&rename.change));
    }
    if !carried_out(&mut found, "PATCH of userName", &rename.change) || !prepared(&mut found, "the renamed user", read) {
        return found.conclude("");
    }
    let name = read.text_at("/userName");
    if !name.eq_ignore_ascii_case(&rename.new) {
        found.broken(format!("the answer was a success, and userName is `{name}`"), cite(read));
        return found.conclude("");
    }
    found.saw(cite(read));
    let named = |answer: &Answer, wanted: &str| -> Vec<String> {
        let fit = answer
            .resources()
            .iter()
            .filter(|user| user["userName"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(wanted)));
        fit.filter_map(|user| user["id"].as_str().map(str::to_owned)).collect()
    };
    let id = seen.made.id();
    if named(&rename.by_new, &rename.new).iter().any(|other| other != id) {
        found.broken("another account has the new name", cite(&rename.by_new));
    }
    if !named(&rename.by_old, &rename.old).is_empty() {
        found.broken("an account of the old name is left", cite(&rename.by_old));
    }
    if rename.by_new.ok() && named(&rename.by_new, &rename.new).is_empty() {
        found.undecided("nobody is found by the new name", cite(&rename.by_new));
    }
    found.conclude("the same id has the new name, and nobody the old one")
}

/// al2.app.update-put
pub fn put_replaces(seen: &Seen) -> Judgement {
    let (whole, id) = (&seen.whole, seen.made.id());
    let mut found = Findings::new();
    if !prepared(&mut found, "the user before", &seen.second) {
        return found.conclude("");
    }
    if matches!(whole.change.status, 404 | 405 | 501) {
        return Judgement::undecided(format!("PUT is not offered: {}", told(&whole.change))).cite(cite(&whole.change));
    }
    if !carried_out(&mut found, "PUT", &whole.change) {
        return found.conclude("");
    }
    for answer in [&whole.change, &whole.read] {
        if !answer.id().is_empty() && answer.id() != id {
            found.broken("the user has another id now", cite(answer));
        }
    }
    if whole.change.status == 201 {
        found.broken("PUT made a user", cite(&whole.change));
    }
    if prepared(&mut found, "the replaced user", &whole.read) {
        let name = whole.without.as_str();
        let (before, now) = (&seen.second.body[name], &whole.read.body[name]);
        if name.is_empty() || before.is_null() {
            found.undecided("the user had no optional attribute that could be left out", cite(&seen.second));
        } else if now == before {
            found.doubtful(format!("{name}, which was left out, is still there: PUT merges"), cite(&whole.read));
        }
        found.saw(cite(&whole.read));
    }
    found.conclude(format!("the same id, and {} is gone", whole.without))
}

/// al2.app.excluded-and-attributes
pub fn answers_have_the_asked_attributes(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    for (what, answer) in [("attributes=userName", &seen.only_name), ("excludedAttributes=emails", &seen.no_emails)] {
        if answer.status == 404 {
            found.undecided(format!("{what}: the user is gone"), cite(answer));
            continue;
        }
        if !carried_out(&mut found, what, answer) {
            continue;
        }
        if answer.id().is_empty() {
            found.broken(format!("{what}: the id is missing"), cite(answer));
        }
        if answer.text_at("/userName").is_empty() {
            found.broken(format!("{what}: userName is missing"), cite(answer));
        }
        if !answer.body["emails"].is_null() {
            found.broken(format!("{what}: emails are there all the same"), cite(answer));
        }
    }
    if seen.second.body["emails"].is_null() {
        found.undecided("the user has no emails, so none can be left out", cite(&seen.second));
    }
    found.conclude("the attributes are those asked for, and the id")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::checks::tests::says;
    use super::*;
    use crate::model::verdict::Call as Says;
    use crate::suites::scim_blocks::samples::{answer, error};

    #[test]
    fn an_outdated_version_has_no_effect() {
        let check = an_outdated_version_is_refused;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.second.body["name"] = json!({"givenName": "Stale"})), Says::Broken);
        assert_eq!(says(check, |seen| seen.stale.change = Some(answer(204, Value::Null))), Says::Broken);
        assert_eq!(says(check, |seen| seen.stale.change = Some(error(428, ""))), Says::Doubtful);
        assert_eq!(says(check, |seen| seen.stale.change = None), Says::Undecided);
        assert_eq!(says(check, |seen| seen.stale.advertised = false), Says::NotApplicable);
        // Whoever refuses every version says nothing of outdated ones; a change refused for another reason shows that the version was taken.
        assert_eq!(says(check, |seen| seen.stale.control = Some(error(412, ""))), Says::Undecided);
        assert_eq!(says(check, |seen| seen.stale.control = None), Says::Undecided);
        assert_eq!(says(check, |seen| seen.stale.control = Some(error(400, "mutability"))), Says::Pass);
        let same = |seen: &mut Seen| {
            seen.first.headers.clear();
            seen.stale.change = Some(answer(204, Value::Null));
        };
        assert_eq!(says(check, same), Says::Undecided);
    }

    #[test]
    fn a_renamed_user_keeps_its_account() {
        let check = a_renamed_user_is_the_same;
        let listed = |id: &str, name: &str| answer(200, json!({"Resources": [{"id": id, "userName": name}]}));
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.only_name.body["userName"] = json!("a")), Says::Broken);
        assert_eq!(says(check, |seen| seen.rename.by_new = listed("2", "b")), Says::Broken);
        assert_eq!(says(check, |seen| seen.rename.by_old = listed("1", "a")), Says::Broken);
        assert_eq!(says(check, |seen| seen.rename.change = error(400, "mutability")), Says::Broken);
        let declared = |seen: &mut Seen| {
            seen.rename.change = error(400, "mutability");
            seen.rename.immutable = true;
        };
        assert_eq!(says(check, declared), Says::Undecided);
        // A server that ignores filters lists others as well.
        assert_eq!(says(check, |seen| seen.rename.by_old = listed("9", "other")), Says::Pass);
    }

    #[test]
    fn put_keeps_the_id_and_clears_the_rest() {
        let check = put_replaces;
        let nick = |seen: &mut Seen| seen.second.body["nickName"] = json!("n");
        assert_eq!(says(check, nick), Says::Pass);
        assert_eq!(says(check, |_| ()), Says::Undecided);
        let merged = |seen: &mut Seen| {
            nick(seen);
            seen.whole.read.body["nickName"] = json!("n");
        };
        assert_eq!(says(check, merged), Says::Doubtful);
        let other = |seen: &mut Seen| {
            nick(seen);
            seen.whole.change.body["id"] = json!("2");
        };
        assert_eq!(says(check, other), Says::Broken);
        assert_eq!(says(check, |seen| seen.whole.change = answer(500, Value::Null)), Says::Broken);
        assert_eq!(says(check, |seen| seen.whole.change = answer(501, Value::Null)), Says::Undecided);
    }

    #[test]
    fn an_answer_is_as_asked() {
        let check = answers_have_the_asked_attributes;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.only_name.body["id"] = Value::Null), Says::Broken);
        assert_eq!(says(check, |seen| seen.no_emails.body["emails"] = json!([])), Says::Broken);
        assert_eq!(says(check, |seen| seen.no_emails = answer(500, Value::Null)), Says::Broken);
        assert_eq!(says(check, |seen| seen.second.body["emails"] = Value::Null), Says::Undecided);
        assert_eq!(says(check, |seen| seen.only_name = answer(429, Value::Null)), Says::Undecided);
    }
}
