//! How roles must be exposed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Seen;
use crate::counterpart::scim_client::{Answer, LIST, ROLE};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suites::scim_blocks::{cite, prepared, says_nothing, told};

/// Why a clause about /Roles is not decided, where it is not offered.
fn without_resource(seen: &Seen) -> Option<Judgement> {
    let list = &seen.list;
    if list.ok() {
        return None;
    }
    let why = format!("GET /Roles: {}", told(list));
    let judgement = if says_nothing(list) || list.status >= 500 && list.status != 501 {
        Judgement::undecided(why)
    } else {
        Judgement::not_applicable(format!("{why}; roles are not exposed in this way"))
    };
    Some(judgement.cite(cite(list)))
}

/// al3.app.roles-exposed
pub fn roles_are_exposed(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let mut ways = Vec::new();
    let listed = seen.list.resources().len();
    if seen.list.ok() && listed > 0 {
        ways.push(format!("/Roles lists {listed}"));
        found.saw(cite(&seen.list));
    }
    if !seen.schema_values.is_empty() {
        ways.push(format!("the User schema names {}", seen.schema_values.len()));
    }
    let there = |(name, answer): &&(String, Answer)| {
        answer.ok() && answer.resources().iter().any(|group| group["displayName"].as_str().is_some_and(|known| known == name))
    };
    let groups: Vec<_> = seen.groups.iter().filter(there).collect();
    if let [(_, first), ..] = groups[..] {
        ways.push(format!("{} groups stand for roles", groups.len()));
        found.saw(cite(first));
    }
    if !ways.is_empty() {
        return found.conclude(ways.join("; "));
    }
    let silent = says_nothing(&seen.list) || seen.groups.iter().any(|(_, answer)| says_nothing(answer));
    if silent {
        found.undecided(format!("the roles could not be read: {}", told(&seen.list)), cite(&seen.list));
    } else if seen.commands && seen.list.ok() {
        found.doubtful("/Roles is offered and lists nothing; the metadata command may name roles", cite(&seen.list));
    } else if seen.commands {
        found.undecided("nothing by SCIM; the metadata command may name roles: see al3.app.cmd-metadata-roles", cite(&seen.list));
    } else {
        let what = if seen.list.ok() { "an empty list".to_owned() } else { told(&seen.list) };
        let groups =
            if seen.groups.is_empty() { "lifecycle.role_groups names no groups" } else { "the named groups are not there" };
        found.broken(
            format!("GET /Roles: {what}; roles.value in the User schema has no canonicalValues; {groups}"),
            cite(&seen.list),
        );
    }
    found.conclude("")
}

/// Value, else id, of a listed role.
fn key(role: &Value) -> Option<&str> {
    role["value"].as_str().or(role["id"].as_str()).filter(|text| !text.is_empty())
}

/// al3.app.role-identifiers
pub fn roles_have_identifiers(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let roles = seen.list.resources();
    let cites = cite(&seen.list);
    if roles.is_empty() {
        if seen.schema_values.is_empty() {
            return Judgement::undecided("no roles are listed: see al3.app.roles-exposed").cite(cites);
        }
        let distinct: BTreeSet<&String> = seen.schema_values.iter().collect();
        if distinct.len() < seen.schema_values.len() {
            found.broken("canonicalValues of roles.value holds a value twice", &seen.schema_cites);
        }
        // The draft of roles makes a readable name optional; a list of values has no place for one.
        let text = format!("canonicalValues of roles.value names {} roles by value only: no readable name", distinct.len());
        found.doubtful(text, &seen.schema_cites);
        return found.conclude("");
    }
    let keys: Vec<&str> = roles.iter().filter_map(key).collect();
    if keys.len() < roles.len() {
        found.broken(format!("{} of {} roles have neither value nor id", roles.len() - keys.len(), roles.len()), cites);
    }
    let distinct: BTreeSet<&str> = keys.iter().copied().collect();
    if distinct.len() < keys.len() {
        found.broken("two roles have the same value", cites);
    }
    let unnamed = roles.iter().filter(|role| role["display"].as_str().is_none_or(str::is_empty)).count();
    if unnamed > 0 {
        found.doubtful(format!("{unnamed} of {} roles have no display", roles.len()), cites);
    }
    match &seen.again {
        Some(again) if prepared(&mut found, "the second read", again) => {
            let tried = seen.made.as_ref().map_or("", |(value, _)| value.as_str());
            let pair = |role: &Value| Some((key(role)?.to_owned(), role["display"].as_str().unwrap_or_default().to_owned()));
            let all = |roles: &[Value]| -> BTreeSet<(String, String)> {
                roles.iter().filter_map(pair).filter(|(value, _)| value != tried).collect()
            };
            if all(roles) != all(again.resources()) {
                found.broken("a second read shows other values or names", cite(again));
            }
        }
        _ => {}
    }
    found.saw(cites);
    found.conclude(format!("{} roles with unique values, the same in two reads, and names", roles.len()))
}

/// al3.app.roles-resource-wellformed
pub fn the_resource_is_well_formed(seen: &Seen) -> Judgement {
    let promised = seen.advertised("supported") == Some(true);
    if let Some(judgement) = without_resource(seen) {
        if promised && seen.list.refused() && !says_nothing(&seen.list) {
            let text =
                format!("the configuration says RolesAndEntitlements.roles.supported, and GET /Roles: {}", told(&seen.list));
            return Judgement::broken(text).cite(cite(&seen.list));
        }
        return judgement;
    }
    let mut found = Findings::new();
    if prepared(&mut found, "/ServiceProviderConfig", &seen.config) && !promised {
        found.broken("the configuration does not say RolesAndEntitlements.roles.supported true", cite(&seen.config));
    }
    let of_roles = |kind: &Value| kind["schema"].as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(ROLE));
    if prepared(&mut found, "/ResourceTypes", &seen.types) && !seen.types.resources().iter().any(of_roles) {
        found.broken(format!("no resource type has the schema {ROLE}"), cite(&seen.types));
    }
    let (list, cites) = (&seen.list, cite(&seen.list));
    let is_list = list.body["schemas"].as_array().is_some_and(|all| all.iter().any(|urn| urn == LIST));
    if !is_list || list.total().is_none() {
        found.broken("GET /Roles is no ListResponse with totalResults", cites);
    }
    let roles = list.resources();
    let without = |member: &str, fits: fn(&Value) -> bool| roles.iter().filter(|role| !fits(&role[member])).count();
    let valueless = without("value", |value| value.as_str().is_some_and(|text| !text.is_empty()));
    if valueless > 0 {
        let lookalike = roles.iter().any(|role| role["name"].is_string() || role["permissions"].is_array());
        let hint = if lookalike { " (name and permissions are those of another schema)" } else { "" };
        found.broken(format!("{valueless} of {} roles have no value{hint}", roles.len()), cites);
    }
    let unmarked = without("supported", Value::is_boolean);
    if unmarked > 0 {
        found.broken(format!("{unmarked} of {} roles do not say whether they are supported", roles.len()), cites);
    }
    let values: BTreeSet<&str> = roles.iter().flat_map(|role| [role["value"].as_str(), role["id"].as_str()]).flatten().collect();
    let whole = list.total() == u64::try_from(roles.len()).ok();
    let related = roles.iter().flat_map(|role| ["contains", "containedBy"].map(|member| &role[member]));
    let named = related.filter_map(Value::as_array).flatten().filter_map(|one| one.as_str().or(one["value"].as_str()));
    let dangling: BTreeSet<&str> = named.filter(|name| whole && !values.contains(name)).collect();
    if !dangling.is_empty() {
        let names: Vec<&str> = dangling.into_iter().collect();
        found.broken(format!("contains or containedBy name roles that there are not: {}", names.join(", ")), cites);
    }
    found.saw(cites);
    found.conclude("configuration, resource type, list and every role are as the draft says")
}

/// al3.app.roles-readonly
pub fn clients_make_no_roles(seen: &Seen) -> Judgement {
    if let Some(judgement) = without_resource(seen) {
        return judgement;
    }
    let (Some((value, made)), Some(again)) = (&seen.made, &seen.again) else { return Judgement::undecided("nothing was tried") };
    let mut found = Findings::new();
    if again.resources().iter().any(|role| role["value"].as_str() == Some(value)) {
        found.broken("the role that the client made is listed", cite(again));
    }
    match made.status {
        200..300 => found.broken(format!("POST /Roles: {}", told(made)), cite(made)),
        403 | 404 | 405 | 501 => found.saw(cite(made)),
        _ => found.undecided(format!("POST /Roles: {}; another form may be taken", told(made)), cite(made)),
    }
    found.conclude(format!("refused: {}", told(made)))
}

/// al3.app.roles-need-token
pub fn roles_need_a_token(seen: &Seen) -> Judgement {
    if let Some(judgement) = without_resource(seen) {
        return judgement;
    }
    let Some(open) = &seen.open else { return Judgement::undecided("nothing was tried") };
    let mut found = Findings::new();
    match open.status {
        401 => found.saw(cite(open)),
        200..300 if !open.resources().is_empty() => found.broken("the roles are told without a token", cite(open)),
        200..300 => found.doubtful("an empty list is told without a token", cite(open)),
        400 | 403 | 404 => found.doubtful(format!("{} in place of 401", told(open)), cite(open)),
        _ => found.undecided(told(open), cite(open)),
    }
    found.conclude("401 without a token")
}

/// al3.app.new-role-appears
pub fn a_new_role_appears(seen: &Seen) -> Judgement {
    let Some(appeared) = &seen.appeared else { return Judgement::undecided("no role was made") };
    let mut found = Findings::new();
    if !appeared.done {
        return Judgement::undecided("the hook create-role did not succeed");
    }
    if appeared.before.is_empty() {
        return Judgement::undecided("no roles were listed before: see al3.app.roles-exposed").cite(cite(&appeared.last));
    }
    if prepared(&mut found, "the roles", &appeared.last) {
        if appeared.after.iter().all(|value| appeared.before.contains(value)) {
            found.broken("the role that was made at the application is not listed in time", cite(&appeared.last));
        }
        found.saw(cite(&appeared.last));
    }
    found.conclude("a role that is made at the application is listed")
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::super::Appeared;
    use super::*;
    use crate::model::verdict::Call as Says;
    use crate::suites::scim_blocks::samples::{answer, error};

    pub fn right() -> Seen {
        let roles = json!([
            {"value": "admin", "display": "Administrator", "supported": true, "contains": ["user"]},
            {"value": "user", "display": "User", "supported": true},
        ]);
        let list = || answer(200, json!({"schemas": [LIST], "totalResults": 2, "Resources": roles}));
        Seen {
            by_scim: true,
            config: answer(200, json!({"RolesAndEntitlements": {"roles": {"supported": true}}})),
            types: answer(200, json!({"Resources": [{"name": "Role", "schema": ROLE}]})),
            list: list(),
            open: Some(error(401, "")),
            made: Some(("r-role".into(), error(405, ""))),
            again: Some(list()),
            ..Seen::default()
        }
    }

    pub fn says(check: fn(&Seen) -> Judgement, change: impl FnOnce(&mut Seen)) -> Says {
        let mut seen = right();
        change(&mut seen);
        check(&seen).call
    }

    fn absent(seen: &mut Seen) {
        seen.config.body = Value::Null;
        seen.list = error(404, "");
    }

    #[test]
    fn one_way_of_four_is_enough() {
        let check = roles_are_exposed;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, absent), Says::Broken);
        assert_eq!(says(check, |seen| seen.list.body["Resources"] = json!([])), Says::Broken);
        let by_schema = |seen: &mut Seen| {
            absent(seen);
            seen.schema_values = vec!["admin".into()];
        };
        assert_eq!(says(check, by_schema), Says::Pass);
        let by_group = |there: &'static str| {
            move |seen: &mut Seen| {
                absent(seen);
                seen.groups = vec![("Admins".into(), answer(200, json!({"Resources": [{"displayName": there}]})))];
            }
        };
        assert_eq!(says(check, by_group("Admins")), Says::Pass);
        assert_eq!(says(check, by_group("Others")), Says::Broken);
        let by_command = |seen: &mut Seen| {
            absent(seen);
            seen.commands = true;
        };
        assert_eq!(says(check, by_command), Says::Undecided);
        assert_eq!(says(check, |seen| seen.list = error(403, "")), Says::Undecided);
    }

    #[test]
    fn values_are_unique_and_stable() {
        let check = roles_have_identifiers;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.list.body["Resources"][1]["value"] = json!("admin")), Says::Broken);
        assert_eq!(says(check, |seen| seen.again.as_mut().unwrap().body["Resources"][0]["value"] = json!("x")), Says::Broken);
        assert_eq!(says(check, |seen| seen.list.body["Resources"][0]["value"] = Value::Null), Says::Broken);
        let unnamed = |seen: &mut Seen| {
            seen.list.body["Resources"][0]["display"] = Value::Null;
            seen.again = Some(seen.list.clone());
        };
        assert_eq!(says(check, unnamed), Says::Doubtful);
        assert_eq!(says(check, absent), Says::Undecided);
        let by_schema = |values: &'static [&str]| {
            move |seen: &mut Seen| {
                absent(seen);
                seen.schema_values = values.iter().map(|value| (*value).to_owned()).collect();
            }
        };
        // Values without names.
        assert_eq!(says(check, by_schema(&["reader", "writer"])), Says::Doubtful);
        assert_eq!(says(check, by_schema(&["reader", "reader"])), Says::Broken);
    }

    #[test]
    fn the_resource_follows_the_draft() {
        let check = the_resource_is_well_formed;
        assert_eq!(says(check, |_| ()), Says::Pass);
        assert_eq!(says(check, |seen| seen.config.body = Value::Null), Says::Broken);
        assert_eq!(says(check, |seen| seen.types.body = Value::Null), Says::Broken);
        assert_eq!(says(check, |seen| seen.list.body["Resources"][0]["supported"] = Value::Null), Says::Broken);
        assert_eq!(says(check, |seen| seen.list.body["Resources"][0]["contains"] = json!(["nobody"])), Says::Broken);
        assert_eq!(says(check, |seen| seen.list.body["schemas"] = Value::Null), Says::Broken);
        assert_eq!(says(check, absent), Says::NotApplicable);
        assert_eq!(says(check, |seen| seen.list = error(404, "")), Says::Broken);
        assert_eq!(says(check, |seen| seen.list = answer(503, Value::Null)), Says::Undecided);
    }

    #[test]
    fn the_catalogue_is_closed() {
        assert_eq!(says(clients_make_no_roles, |_| ()), Says::Pass);
        let made = |status: u16| move |seen: &mut Seen| seen.made = Some(("r-role".into(), error(status, "")));
        assert_eq!(says(clients_make_no_roles, made(201)), Says::Broken);
        assert_eq!(says(clients_make_no_roles, made(400)), Says::Undecided);
        assert_eq!(says(clients_make_no_roles, absent), Says::NotApplicable);
        assert_eq!(says(roles_need_a_token, |_| ()), Says::Pass);
        assert_eq!(says(roles_need_a_token, |seen| seen.open = Some(seen.list.clone())), Says::Broken);
        assert_eq!(says(roles_need_a_token, |seen| seen.open = Some(error(403, ""))), Says::Doubtful);
        assert_eq!(says(roles_need_a_token, |seen| seen.open = Some(answer(503, Value::Null))), Says::Undecided);
    }

    #[test]
    fn a_role_made_elsewhere_is_listed() {
        let with = |done: bool, after: &[&str]| {
            let values = |all: &[&str]| all.iter().map(|value| (*value).to_owned()).collect();
            let appeared = Appeared { done, before: values(&["a"]), last: answer(200, Value::Null), after: values(after) };
            move |seen: &mut Seen| seen.appeared = Some(appeared)
        };
        assert_eq!(says(a_new_role_appears, with(true, &["a", "b"])), Says::Pass);
        assert_eq!(says(a_new_role_appears, with(true, &["a"])), Says::Broken);
        assert_eq!(says(a_new_role_appears, with(false, &["a"])), Says::Undecided);
    }
}
