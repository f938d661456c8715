//! What creation must lead to.

use serde_json::Value;
use url::Url;

use super::Seen;
use crate::counterpart::scim_client::Answer;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suites::scim_blocks::{carried_out, cite, is_limit, prepared, says_nothing, told};

/// The control of what must be refused: a plain user could be made.
fn control(found: &mut Findings, seen: &Seen) -> bool {
    if !prepared(found, "the control: a user is created", &seen.made) {
        return false;
    }
    let is_another = |read: &&Answer| read.ok() && !read.text_at("/userName").eq_ignore_ascii_case(&seen.person.user_name);
    let another = seen.read.as_ref().filter(is_another);
    if seen.made.id().is_empty() || another.is_some() {
        found.undecided("the control: what came back is not the created user", cite(another.unwrap_or(&seen.made)));
        return false;
    }
    true
}

/// al2.app.create-user
pub fn a_user_is_made(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let made = &seen.made;
    if !carried_out(&mut found, "POST /Users", made) {
        return found.conclude("");
    }
    if made.status != 201 {
        found.broken(format!("status {} in place of 201", made.status), cite(made));
    }
    if made.id().is_empty() {
        found.broken("the answer names no id", cite(made));
    }
    if made.text_at("/meta/resourceType") != "User" {
        found.broken("the answer lacks meta.resourceType \"User\"", cite(made));
    }
    location(&mut found, made);
    let Some(read) = &seen.read else {
        return found.conclude("");
    };
    if read.ok() {
        let name = read.text_at("/userName");
        if !name.eq_ignore_ascii_case(&seen.person.user_name) {
            found.broken(format!("userName came back as `{name}`"), cite(read));
        }
        if read.active() != Some(true) {
            found.broken(format!("active came back as {}", read.body["active"]), cite(read));
        }
        found.saw(cite(read));
    } else if says_nothing(read) {
        found.undecided(format!("the created user: {}", told(read)), cite(read));
    } else {
        found.broken(format!("the created user cannot be read: {}", told(read)), cite(read));
    }
    found.conclude("201 with id, meta and Location, and the user can be read")
}

/// Location and meta.location name the same resource (RFC 7644 3.3).
fn location(found: &mut Findings, made: &Answer) {
    let (header, member) = (made.header("location").unwrap_or_default(), made.text_at("/meta/location"));
    if header.is_empty() {
        found.broken("the answer has no header field Location", cite(made));
    }
    if member.is_empty() {
        found.broken("the answer lacks meta.location", cite(made));
    }
    if header.is_empty() || member.is_empty() || header == member {
        return;
    }
    let path = |url: &str| Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.path().to_owned());
    let differ = format!("Location is `{header}`, meta.location is `{member}`");
    if path(header) == path(member) {
        found.doubtful(differ, cite(made));
    } else {
        found.broken(differ, cite(made));
    }
}

/// al2.app.create-required-attributes
pub fn identifier_and_address_come_back(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    if !control(&mut found, seen) {
        return found.conclude("");
    }
    let Some(read) = &seen.read else {
        return Judgement::undecided("the created user has no id to read it by").cite(cite(&seen.made));
    };
    if !prepared(&mut found, "the created user", read) {
        return found.conclude("");
    }
    found.saw(cite(read));
    match &read.body["externalId"] {
        Value::Null => found.broken("externalId is dropped", cite(read)),
        Value::String(id) if *id == seen.person.external_id => {}
        other => found.broken(format!("externalId came back as {other}"), cite(read)),
    }
    if !seen.holds_emails {
        found.broken("the User schema declares no emails", cite(read));
        return found.conclude("");
    }
    let emails = read.body["emails"].as_array().map_or(&[][..], Vec::as_slice);
    let ours =
        emails.iter().find(|email| email["value"].as_str().is_some_and(|value| value.eq_ignore_ascii_case(&seen.person.email)));
    match ours {
        Some(email) if email["primary"] == true => {}
        Some(_) => found.doubtful("the address came back without primary", cite(read)),
        None => found.broken(format!("emails came back as {}", read.body["emails"]), cite(read)),
    }
    found.conclude("externalId and the primary address come back unchanged")
}

/// al2.app.create-missing-username
pub fn a_user_needs_a_name(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let (made, listed) = (&seen.nameless.made, &seen.nameless.found);
    if !control(&mut found, seen) {
        return found.conclude("");
    }
    let what = format!("POST without userName: {}", told(made));
    match made.status {
        400 => found.saw(cite(made)),
        _ if says_nothing(made) => found.undecided(what, cite(made)),
        402..500 => found.doubtful(format!("{what} in place of 400"), cite(made)),
        _ => found.broken(format!("{what} in place of 400"), cite(made)),
    }
    if listed.resources().iter().any(|user| user["externalId"].as_str() == Some(seen.nameless.external_id.as_str())) {
        found.broken("a user was made all the same", cite(listed));
    } else if !made.ok() && !listed.ok() {
        found.undecided(format!("whether a user was made could not be looked up: {}", told(listed)), cite(listed));
    }
    found.conclude("400, and no user was made")
}

/// al2.app.create-duplicate
pub fn a_name_is_taken_once(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    if !control(&mut found, seen) || !prepared(&mut found, "the user whose name is tried again", &seen.taken) {
        return found.conclude("");
    }
    for (index, (what, answer)) in seen.twins.iter().enumerate() {
        if index > 0 && seen.case_exact {
            found.undecided("userName is declared caseExact, so other letter case is another name", &[]);
            break;
        }
        let what = format!("{what}: {}", told(answer));
        match answer.status {
            409 if answer.scim_type() == "uniqueness" => found.saw(cite(answer)),
            409 => found.doubtful(format!("{what}, without scimType uniqueness"), cite(answer)),
            _ if says_nothing(answer) || is_limit(answer) => found.undecided(what, cite(answer)),
            400..500 => found.doubtful(format!("{what} in place of 409"), cite(answer)),
            _ => found.broken(format!("{what} in place of 409"), cite(answer)),
        }
    }
    found.conclude("409 uniqueness, in other letter case as well")
}

/// al2.app.create-ignores-readonly
pub fn read_only_members_are_ignored(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    if !control(&mut found, seen) {
        return found.conclude("");
    }
    let forced = &seen.forced;
    if carried_out(&mut found, "POST with id and meta of the client's", &forced.made) {
        let answers = std::iter::once(&forced.made).chain(&forced.read);
        for answer in answers.filter(|answer| answer.ok()) {
            if answer.id() == forced.id {
                found.broken("the id of the client was adopted", cite(answer));
            }
            if answer.text_at("/meta/created").starts_with("1999") {
                found.broken("meta.created of the client was adopted", cite(answer));
            }
        }
    }
    let other = &seen.extension;
    let what = format!("POST with an unknown extension: {}", told(other));
    match other.status {
        200..300 | 400 => found.saw(cite(other)),
        _ if says_nothing(other) || is_limit(other) => found.undecided(what, cite(other)),
        400..500 => found.doubtful(what, cite(other)),
        _ => found.broken(what, cite(other)),
    }
    let fate = if other.ok() { "created" } else { "refused" };
    found.conclude(format!("id and meta are the server's own; a user with an unknown extension is {fate}"))
}

/// al2.app.unicode-and-length
pub fn names_survive(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    if !control(&mut found, seen) {
        return found.conclude("");
    }
    let made = &seen.scripts.made;
    if made.status == 400 {
        return Judgement::undecided(format!("refused, perhaps for a documented limit: {}", told(made))).cite(cite(made));
    }
    if !carried_out(&mut found, "POST with a name in many scripts", made) {
        return found.conclude("");
    }
    let Some(read) = &seen.scripts.read else {
        return Judgement::undecided("the created user has no id to read it by").cite(cite(made));
    };
    if prepared(&mut found, "the created user", read) {
        let (place, text) = (seen.scripts.place.as_str(), seen.scripts.text.as_str());
        match read.text_at(place) {
            back if back == text => found.saw(cite(read)),
            back => found.broken(format!("{place} came back as `{}`", back.chars().take(40).collect::<String>()), cite(read)),
        }
    }
    found.conclude("128 characters of several scripts came back unchanged")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Forced, Nameless, Scripts};
    use super::*;
    use crate::counterpart::scim_client::Person;
    use crate::model::verdict::Call as Says;
    use crate::suites::scim_blocks::samples::{answer, error};

    fn right() -> Seen {
        let at = "https://app.test/v2/Users/1";
        let person =
            Person { user_name: "a@b.test".into(), external_id: "e".into(), email: "a@b.test".into(), ..Person::default() };
        let body = json!({
            "id": "1", "userName": "a@b.test", "externalId": "e", "active": true, "displayName": "山",
            "emails": [{"value": "a@B.test", "primary": true}], "meta": {"resourceType": "User", "location": at},
        });
        let made = Answer { headers: vec![("location".into(), at.into())], ..answer(201, body.clone()) };
        let read = Some(answer(200, body));
        let twin = |what: &str| (what.to_owned(), error(409, "uniqueness"));
        Seen {
            person,
            holds_emails: true,
            case_exact: false,
            forced: Forced { id: "x".into(), made: made.clone(), read: read.clone() },
            scripts: Scripts { place: "/displayName".into(), text: "山".into(), made: made.clone(), read: read.clone() },
            extension: error(400, "invalidValue"),
            nameless: Nameless { external_id: "n".into(), made: error(400, "invalidValue"), found: answer(200, json!({})) },
            taken: made.clone(),
            twins: vec![twin("same"), twin("capitals")],
            made,
            read,
        }
    }

    fn says(check: fn(&Seen) -> Judgement, change: impl FnOnce(&mut Seen)) -> Says {
        let mut seen = right();
        change(&mut seen);
        check(&seen).call
    }

    #[test]
    fn without_a_user_nothing_is_decided() {
        for check in [
            identifier_and_address_come_back as fn(&Seen) -> Judgement,
            a_user_needs_a_name,
            a_name_is_taken_once,
            read_only_members_are_ignored,
            names_survive,
        ] {
            assert_eq!(says(check, |_| ()), Says::Pass);
            assert_eq!(says(check, |seen| seen.made = error(400, "")), Says::Undecided);
        }
    }

    #[test]
    fn a_created_user_is_complete() {
        let check = a_user_is_made;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.made.status = 200), Says::Broken);
        assert_eq!(says(check, |seen| seen.made.body["id"] = Value::Null), Says::Broken);
        assert_eq!(says(check, |seen| seen.made.headers.clear()), Says::Broken);
        assert_eq!(says(check, |seen| seen.read = Some(error(404, ""))), Says::Broken);
        assert_eq!(says(check, |seen| seen.made.headers[0].1 = "https://app.test/v2/Users/2".into()), Says::Broken);
        assert_eq!(says(check, |seen| seen.made.headers[0].1 = "/v2/Users/1".into()), Says::Doubtful);
        let domain = answer(400, json!({"detail": "domain not verified"}));
        assert_eq!(says(check, |seen| seen.made = domain), Says::Undecided);
    }

    #[test]
    fn identifier_and_address_must_come_back() {
        let check = identifier_and_address_come_back;
        let set = |place: &'static str, value: Value| move |seen: &mut Seen| seen.read.as_mut().unwrap().body[place] = value;
        assert_eq!(says(check, set("externalId", Value::Null)), Says::Broken);
        assert_eq!(says(check, set("externalId", json!("f"))), Says::Broken);
        assert_eq!(says(check, set("emails", json!([]))), Says::Broken);
        assert_eq!(says(check, set("emails", json!([{"value": "a@b.test"}]))), Says::Doubtful);
        assert_eq!(says(check, |seen| seen.holds_emails = false), Says::Broken);
    }

    #[test]
    fn a_nameless_user_must_not_be_made() {
        let check = a_user_needs_a_name;
        assert_eq!(says(check, |seen| seen.nameless.made = answer(201, json!({"id": "9"}))), Says::Broken);
        assert_eq!(says(check, |seen| seen.nameless.made = answer(500, Value::Null)), Says::Broken);
        let listed = answer(200, json!({"Resources": [{"externalId": "n"}]}));
        assert_eq!(says(check, |seen| seen.nameless.found = listed), Says::Broken);
        assert_eq!(says(check, |seen| seen.nameless.made = error(422, "")), Says::Doubtful);
        assert_eq!(says(check, |seen| seen.nameless.found = error(400, "invalidFilter")), Says::Undecided);
    }

    #[test]
    fn a_name_is_taken_in_any_letter_case() {
        let check = a_name_is_taken_once;
        assert_eq!(says(check, |seen| seen.twins[0].1 = answer(200, json!({"id": "1"}))), Says::Broken);
        assert_eq!(says(check, |seen| seen.twins[1].1 = answer(201, json!({"id": "2"}))), Says::Broken);
        assert_eq!(says(check, |seen| seen.twins[1].1 = error(409, "")), Says::Doubtful);
        assert_eq!(says(check, |seen| seen.twins[0].1 = error(400, "uniqueness")), Says::Doubtful);
        assert_eq!(says(check, |seen| seen.case_exact = true), Says::Undecided);
        assert_eq!(says(check, |seen| seen.taken = error(400, "")), Says::Undecided);
    }

    #[test]
    fn members_of_the_server_are_its_own() {
        let check = read_only_members_are_ignored;
        assert_eq!(says(check, |seen| seen.forced.made.body["id"] = json!("x")), Says::Broken);
        assert_eq!(says(check, |seen| seen.forced.made.body["meta"]["created"] = json!("1999-01-01T00:00:00Z")), Says::Broken);
        assert_eq!(says(check, |seen| seen.extension = answer(500, Value::Null)), Says::Broken);
        assert_eq!(says(check, |seen| seen.extension = answer(201, json!({"id": "5"}))), Says::Pass);
        assert_eq!(says(check, |seen| seen.forced.made = error(429, "")), Says::Undecided);
        // Whoever answers anything with anything has ignored nothing.
        assert_eq!(says(check, |seen| seen.made.body = json!({})), Says::Undecided);
        assert_eq!(says(check, |seen| seen.person.user_name = "another".into()), Says::Undecided);
    }

    #[test]
    fn names_come_back_as_they_were() {
        let check = names_survive;
        assert_eq!(says(check, |seen| seen.scripts.read.as_mut().unwrap().body["displayName"] = json!("?")), Says::Broken);
        assert_eq!(says(check, |seen| seen.scripts.made = answer(500, Value::Null)), Says::Broken);
        assert_eq!(says(check, |seen| seen.scripts.made = error(400, "invalidValue")), Says::Undecided);
    }
}
