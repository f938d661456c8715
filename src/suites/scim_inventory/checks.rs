//! What discovery, reads, filters and pages mean.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Seen;
use super::paging::{Walk, is_list};
use crate::counterpart::scim_client::{Answer, GROUP, USER};
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::suite::Check;

pub const CHECKS: &[Check<Seen>] = &[
    Check::new("al1.app.get-user-by-id", a_user_is_read_by_id),
    Check::new("al1.app.list-users", all_users_are_listed),
    Check::new("al1.app.pagination", pages_cover_every_user_once),
    Check::new("al1.app.pagination-cursor-errors", bad_cursors_are_told),
    Check::new("al1.app.filter-username", a_user_is_found_by_user_name),
    Check::new("al1.app.filter-externalid", a_user_is_found_by_external_id),
    Check::new("al1.app.filter-email", a_user_is_found_by_address),
    Check::new("al1.app.filter-invalid", bad_filters_are_refused),
    Check::new("al1.app.service-provider-config", the_configuration_tells_the_truth),
    Check::new("al1.app.resource-types", users_and_groups_are_resource_types),
    Check::new("al1.app.schemas", schemas_describe_what_is_used),
    Check::new("al1.app.password-never-returned", no_secret_is_returned),
];

fn cites(answers: &[&Answer]) -> Vec<ExchangeId> {
    answers.iter().map(|answer| answer.cite.clone()).collect()
}

/// Why nothing can be decided: there is no user to look for.
fn no_user(seen: &Seen) -> Option<Judgement> {
    if seen.created.ok() && !seen.created.id().is_empty() {
        return None;
    }
    let why = format!("no user could be created to look for: {}", seen.created.describe());
    Some(Judgement::undecided(why).cite(&cites(&[&seen.created])))
}

/// Attributes that `/Schemas` lists for a schema, as written there.
pub fn attributes(schemas: &Answer, urn: &str) -> BTreeSet<String> {
    let all = schemas.body["Resources"].as_array().or_else(|| schemas.body.as_array());
    let schema = all.into_iter().flatten().find(|schema| schema["id"].as_str().is_some_and(|id| id.eq_ignore_ascii_case(urn)));
    let attributes = schema.and_then(|schema| schema["attributes"].as_array()).into_iter().flatten();
    attributes.filter_map(|attribute| attribute["name"].as_str().map(str::to_owned)).collect()
}

/// The configuration announces cursor paging (RFC 9865 4).
pub fn announces_cursors(config: &Answer) -> bool {
    config.body["pagination"]["cursor"].as_bool() == Some(true)
}

fn a_user_is_read_by_id(seen: &Seen) -> Judgement {
    if let Some(why) = no_user(seen) {
        return why;
    }
    let read = &seen.read;
    let at = cites(&[read]);
    if read.silent() {
        return Judgement::undecided(read.describe()).cite(&at);
    }
    let mut found = Findings::new();
    if !read.ok() {
        return Judgement::broken(format!("the user that was just created cannot be read: {}", read.describe())).cite(&at);
    }
    if read.id() != seen.created.id() {
        found.broken("id is not that of the user", &at);
    }
    let user_name = read.text_at("/userName");
    if !user_name.eq_ignore_ascii_case(&seen.person.user_name) {
        found.broken(format!("userName is `{user_name}`"), &at);
    }
    let named = read.body["schemas"].as_array().is_some_and(|all| all.iter().any(|urn| urn == USER));
    if !named {
        found.broken(format!("schemas does not hold {USER}"), &at);
    }
    if read.active().is_none() {
        found.broken("active is absent or no boolean: whether an account is suspended cannot be checked", &at);
    }
    if !read.body["meta"].is_object() {
        found.broken("meta is absent", &at);
    } else if read.text_at("/meta/resourceType") != "User" {
        found.broken("meta.resourceType is not User", &at);
    }
    match read.media_type.as_str() {
        "application/scim+json" => {}
        "application/json" => found.doubtful("the media type is application/json, not application/scim+json", &at),
        other => found.broken(format!("the media type is `{other}`"), &at),
    }
    found.saw(&at);
    found.conclude("id, schemas, userName, active and meta are there")
}

/// The walk to judge by: a complete one, else the last.
fn deciding(seen: &Seen) -> Option<&Walk> {
    seen.walks.iter().find(|walk| walk.complete()).or(seen.walks.last())
}

fn all_users_are_listed(seen: &Seen) -> Judgement {
    let Some(walk) = deciding(seen) else { return Judgement::undecided("no page was read") };
    let first = &walk.first;
    let at = cites(&[first]);
    // A plain GET /Users is what every client begins with, whatever way of paging works.
    let plain = seen.walks.iter().filter(|walk| walk.pages == 1).find_map(|walk| walk.broken.as_ref());
    if let Some(broken) = plain.or(walk.broken.as_ref()) {
        let at = cites(&[broken]);
        if broken.silent() {
            return Judgement::undecided(broken.describe()).cite(&at);
        }
        return Judgement::broken(format!("a page of users is no list: {}", shape(broken))).cite(&at);
    }
    let mut found = Findings::new();
    if !is_list(first) {
        found.broken("the answer has not the schema of a ListResponse", &at);
    }
    match &first.body["totalResults"] {
        Value::Null if walk.cursor => {}
        Value::Null => found.broken("totalResults is absent", &at),
        told if first.total().is_none() => found.broken(format!("totalResults is {told}, which is no number of results"), &at),
        _ => {}
    }
    let missing = walk.own.iter().filter(|(_, times)| **times == 0).count();
    if walk.own.is_empty() {
        found.undecided("no user could be created to look for", &at);
    } else if walk.partial {
        found.undecided("there are too many users to read them all, so whether every one is listed is open", &at);
    } else if missing > 0 && walk.moved() {
        found.undecided("the pages were not read to their end (see al1.app.pagination)", &at);
    } else if missing > 0 {
        found.broken(format!("{missing} of the {} users that were just created are not listed", walk.own.len()), &at);
    }
    found.saw(&at);
    found.conclude("a ListResponse, in which every created user stands")
}

fn shape(answer: &Answer) -> String {
    match &answer.body {
        Value::Array(_) => "a bare array".into(),
        Value::Null if answer.ok() => format!("status {}, and no JSON", answer.status),
        Value::Object(_) if answer.ok() => "an object without Resources".into(),
        _ => answer.describe(),
    }
}

fn pages_cover_every_user_once(seen: &Seen) -> Judgement {
    let Some(walk) = deciding(seen) else { return Judgement::undecided("no page was read") };
    if let Some(broken) = &walk.broken {
        let at = cites(&[broken]);
        return if broken.silent() || walk.pages <= 1 {
            Judgement::undecided(format!("users cannot be listed: {}", shape(broken))).cite(&at)
        } else {
            Judgement::broken(format!("page {} is no list: {}", walk.pages, shape(broken))).cite(&at)
        };
    }
    let total = walk.totals.1.unwrap_or(walk.distinct);
    let how = if walk.cursor { "by cursor" } else { "by index" };
    let observed = format!("{} pages {how}, {} different users of {total}", walk.pages, walk.distinct);
    let judgement = if let Some(exchange) = &walk.exceeded {
        Judgement::broken(format!("a page holds more users than count={} asked for", walk.count)).cite([exchange])
    } else if walk.moved() && !walk.complete() {
        Judgement::undecided("users came or went while the pages were read, twice")
    } else if let Some(exchange) = &walk.stuck {
        Judgement::broken("a page brings nothing new although more users are announced: the walk never ends").cite([exchange])
    } else if !walk.repeated.is_empty() {
        Judgement::broken(format!("{} users came more than once", walk.repeated.len()))
    } else if walk.partial {
        Judgement::undecided(format!("the first {} pages repeat nobody; there are too many users to read them all", walk.pages))
    } else if !walk.complete() {
        Judgement::broken("not every user that is announced stands on a page")
    } else if walk.distinct < 5 || walk.pages < 3 {
        Judgement::undecided(format!("{} users on {} pages are too few", walk.distinct, walk.pages))
    } else {
        Judgement::pass(format!("every user stands on one page ({how})"))
    };
    judgement.expected("every user once, never more than count on a page", observed).cite(&walk.cites)
}

fn bad_cursors_are_told(seen: &Seen) -> Judgement {
    if !announces_cursors(&seen.config) {
        return Judgement::not_applicable("cursor paging is not announced in /ServiceProviderConfig")
            .cite(&cites(&[&seen.config]));
    }
    let mut found = Findings::new();
    for (what, answer) in &seen.cursors {
        let at = cites(&[answer]);
        let known = ["invalidCursor", "expiredCursor", "invalidCount", "invalidValue"].contains(&answer.scim_type());
        if answer.silent() {
            found.undecided(format!("{what}: {}", answer.describe()), &at);
        } else if answer.ok() || answer.status >= 500 {
            found.broken(format!("{what} is answered with {}", answer.describe()), &at);
        } else if answer.status != 400 || !known {
            found.doubtful(format!("{what} is refused, but not as RFC 9865 says: {}", answer.describe()), &at);
        } else {
            found.saw(&at);
        }
    }
    found.conclude("bad cursors and counts are refused with the errors of RFC 9865")
}

/// How often the user and the other one stand in the answer to a filter.
fn hits(answer: &Answer, seen: &Seen) -> (usize, bool, usize) {
    let ids = answer.ids();
    let own = ids.iter().filter(|id| **id == seen.created.id()).count();
    (own, ids.contains(&seen.other_created.id()), ids.len())
}

/// Judges a filter that must find the user and nobody else.
fn finds(found: &mut Findings, what: &str, answer: &Answer, seen: &Seen) {
    let at = cites(&[answer]);
    let (own, other, all) = hits(answer, seen);
    if answer.silent() {
        found.undecided(format!("{what}: {}", answer.describe()), &at);
    } else if !answer.ok() {
        found.broken(format!("{what} is refused: {}", answer.describe()), &at);
    } else if other {
        found.broken(format!("{what} finds other users as well ({all} in all)"), &at);
    } else if own == 0 {
        found.broken(format!("{what} does not find the user"), &at);
    } else if all > 1 {
        found.broken(format!("{what} finds {all} users"), &at);
    } else {
        found.saw(&at);
    }
}

/// The attribute is declared as told apart by letters in the schema of User.
fn case_exact(seen: &Seen, name: &str) -> bool {
    let all = seen.schemas.body["Resources"].as_array().or_else(|| seen.schemas.body.as_array());
    let mut attributes = all
        .into_iter()
        .flatten()
        .filter(|schema| schema["id"] == USER)
        .flat_map(|schema| schema["attributes"].as_array().into_iter().flatten());
    attributes.any(|attribute| attribute["name"] == name && attribute["caseExact"] == true)
}

fn a_user_is_found_by_user_name(seen: &Seen) -> Judgement {
    if let Some(why) = no_user(seen) {
        return why;
    }
    let filters = &seen.filters;
    let mut found = Findings::new();
    finds(&mut found, "userName eq", &filters.user_name, seen);
    finds(&mut found, "username eq (the name in lower case)", &filters.lower_name, seen);
    let declared = case_exact(seen, "userName");
    let misses = filters.other_case.ok() && filters.other_case.ids().is_empty();
    if !(declared && misses) {
        finds(&mut found, "userName eq with the value in other letters", &filters.other_case, seen);
    }
    let nobody = &filters.nobody;
    let at = cites(&[nobody]);
    if nobody.silent() {
        found.undecided(format!("no match: {}", nobody.describe()), &at);
    } else if !nobody.ok() {
        found.broken(format!("a userName that nobody has is answered with {} in place of an empty list", nobody.describe()), &at);
    } else if !nobody.ids().is_empty() || nobody.total().is_some_and(|total| total > 0) {
        found.broken("a userName that nobody has finds somebody", &at);
    } else {
        found.saw(&at);
    }
    found.conclude("the user, whatever the letters, and an empty list where nobody fits")
}

fn a_user_is_found_by_external_id(seen: &Seen) -> Judgement {
    if let Some(why) = no_user(seen) {
        return why;
    }
    let held = [&seen.read, &seen.created].iter().any(|answer| answer.text_at("/externalId") == seen.person.external_id);
    if !held {
        return Judgement::undecided("the user has no externalId, and could not be given one").cite(&cites(&[&seen.read]));
    }
    let mut found = Findings::new();
    finds(&mut found, "externalId eq", &seen.filters.external_id, seen);
    let other = &seen.filters.external_case;
    if other.ok() && !other.ids().is_empty() {
        found.doubtful("externalId is found in other letters as well, although its letters count", &cites(&[other]));
    }
    found.conclude("exactly the user, by the exact letters")
}

fn a_user_is_found_by_address(seen: &Seen) -> Judgement {
    if let Some(why) = no_user(seen) {
        return why;
    }
    let has = |answer: &Answer| answer.body["emails"].as_array().is_some_and(|all| !all.is_empty());
    if !has(&seen.read) && !has(&seen.created) {
        return Judgement::undecided("the user has no address").cite(&cites(&[&seen.read]));
    }
    let mut found = Findings::new();
    finds(&mut found, "emails[value eq ...]", &seen.filters.email, seen);
    found.conclude("exactly the user")
}

fn bad_filters_are_refused(seen: &Seen) -> Judgement {
    // Who understands no filter at all is judged by the clauses of each filter.
    if !seen.filters.user_name.ok() {
        let why = format!("filters are not supported: {}", seen.filters.user_name.describe());
        return Judgement::undecided(why).cite(&cites(&[&seen.filters.user_name]));
    }
    let mut found = Findings::new();
    for (what, answer) in &seen.filters.invalid {
        let at = cites(&[answer]);
        let unknown = what == "an unknown attribute";
        if answer.silent() {
            found.undecided(format!("{what}: {}", answer.describe()), &at);
        } else if answer.ok() && (!answer.ids().is_empty() || answer.total().is_some_and(|total| total > 0)) {
            found.broken(format!("a filter with {what} is answered with {} users", answer.total().unwrap_or_default()), &at);
        } else if answer.status >= 500 {
            found.broken(format!("a filter with {what} is answered with {}", answer.describe()), &at);
        } else if answer.ok() && !unknown {
            found.broken(format!("a filter with {what} is answered with an empty list in place of 400 invalidFilter"), &at);
        } else if answer.refused() && (answer.status != 400 || answer.scim_type() != "invalidFilter") {
            found.doubtful(format!("a filter with {what} is refused, but with {}", answer.describe()), &at);
        } else {
            found.saw(&at);
        }
    }
    found.conclude("refused with 400 invalidFilter, and never answered with everybody")
}

fn the_configuration_tells_the_truth(seen: &Seen) -> Judgement {
    let config = &seen.config;
    let at = cites(&[config]);
    if config.silent() {
        return Judgement::undecided(config.describe()).cite(&at);
    }
    if !config.ok() || !config.body.is_object() {
        return Judgement::broken(format!("/ServiceProviderConfig cannot be read: {}", shape(config))).cite(&at);
    }
    let supported = |name: &str| config.body[name]["supported"].as_bool();
    let mut found = Findings::new();
    for name in ["patch", "filter", "bulk", "sort", "etag", "changePassword"] {
        if supported(name).is_none() {
            found.broken(format!("{name}.supported is absent"), &at);
        }
    }
    let schemes = config.body["authenticationSchemes"].as_array();
    let kind = |scheme: &Value| scheme["type"].as_str().unwrap_or_default().to_ascii_lowercase();
    if schemes.is_none() {
        found.broken("authenticationSchemes is absent", &at);
    } else if !schemes
        .into_iter()
        .flatten()
        .any(|scheme| ["oauthbearertoken", "oauth2", "oauth"].contains(&kind(scheme).as_str()))
    {
        found.broken("authenticationSchemes lists no OAuth bearer token", &at);
    }
    if supported("patch") == Some(false) {
        let works = if seen.patched.ok() { ", and yet PATCH works" } else { "" };
        found.broken(format!("patch.supported is false{works}"), &cites(&[config, &seen.patched]));
    } else if seen.patched.status == 501 || seen.patched.status == 405 {
        found.broken("patch.supported is true, and PATCH is not implemented", &cites(&[config, &seen.patched]));
    }
    if supported("filter") == Some(false) {
        let works = if seen.filters.user_name.ok() { ", and yet filters work" } else { "" };
        found.broken(format!("filter.supported is false{works}"), &cites(&[config, &seen.filters.user_name]));
    }
    let by_index = seen.walks.iter().find(|walk| !walk.cursor);
    let by_cursor = seen.walks.iter().find(|walk| walk.cursor);
    // A page that got no answer, or met the limit of requests, contradicts nothing.
    let fails = |walk: &Walk| walk.broken.as_ref().is_some_and(|page| !page.silent());
    if announces_cursors(config) && by_cursor.is_some_and(fails) {
        found.broken("cursor paging is announced and does not work", &at);
    }
    let index = config.body["pagination"]["index"].as_bool();
    if index == Some(true) && by_index.is_some_and(|walk| fails(walk) || walk.stuck.is_some()) {
        found.broken("index paging is announced and does not work", &at);
    }
    found.saw(&at);
    found.conclude("every member is there, and what was seen agrees with them")
}

/// Entries of `/ResourceTypes`.
fn entries(answer: &Answer) -> Vec<&Value> {
    let all = answer.body["Resources"].as_array().or_else(|| answer.body.as_array());
    all.into_iter().flatten().collect()
}

fn users_and_groups_are_resource_types(seen: &Seen) -> Judgement {
    let types = &seen.types;
    let at = cites(&[types]);
    if types.silent() {
        return Judgement::undecided(types.describe()).cite(&at);
    }
    if !types.ok() {
        return Judgement::broken(format!("/ResourceTypes cannot be read: {}", types.describe())).cite(&at);
    }
    let mut found = Findings::new();
    let known: BTreeSet<&str> = entries(&seen.schemas).iter().filter_map(|schema| schema["id"].as_str()).collect();
    for (name, endpoint, urn) in [("User", "/Users", USER), ("Group", "/Groups", GROUP)] {
        let named = |entry: &&&Value| {
            let stands = entry["endpoint"].as_str().unwrap_or_default();
            stands == endpoint || format!("/{}", stands.trim_start_matches('/')).ends_with(endpoint)
        };
        let all = entries(types);
        let Some(entry) = all.iter().find(named) else {
            if name == "Group" {
                found.doubtful("no resource type has the endpoint /Groups, which AL2 needs", &at);
            } else {
                found.broken(format!("no resource type has the endpoint {endpoint}"), &at);
            }
            continue;
        };
        let schema = entry["schema"].as_str().unwrap_or_default();
        if schema != urn {
            found.broken(format!("{name} has the schema `{schema}`"), &at);
        }
        let extensions = entry["schemaExtensions"].as_array().into_iter().flatten().filter_map(|one| one["schema"].as_str());
        for urn in [schema].into_iter().chain(extensions) {
            if !known.is_empty() && !known.contains(urn) {
                found.broken(
                    format!("{name} names the schema `{urn}`, which /Schemas does not have"),
                    &cites(&[types, &seen.schemas]),
                );
            }
        }
    }
    if types.body.is_array() {
        found.doubtful("a bare array in place of a ListResponse", &at);
    }
    let one = &seen.user_type;
    // Its id is optional and need not be its name (RFC 7643 6).
    let is_user = |entry: &&Value| {
        let stands = entry["meta"]["location"].as_str().unwrap_or_default();
        entry["id"] == "User" || stands.ends_with("/ResourceTypes/User")
    };
    if !one.silent() && !one.ok() && entries(types).iter().any(is_user) {
        found.broken(format!("/ResourceTypes/User is answered with {}", one.describe()), &cites(&[one]));
    }
    found.saw(&at);
    found.conclude("User and Group with their endpoints and schemas")
}

fn schemas_describe_what_is_used(seen: &Seen) -> Judgement {
    let schemas = &seen.schemas;
    let at = cites(&[schemas]);
    if schemas.silent() {
        return Judgement::undecided(schemas.describe()).cite(&at);
    }
    if !schemas.ok() {
        return Judgement::broken(format!("/Schemas cannot be read: {}", schemas.describe())).cite(&at);
    }
    let mut found = Findings::new();
    for (urn, wanted) in [(USER, &["userName", "active", "emails"][..]), (GROUP, &["displayName", "members"])] {
        let known = attributes(schemas, urn);
        if known.is_empty() {
            found.broken(format!("{urn} is not described"), &at);
            continue;
        }
        for name in wanted.iter().filter(|name| !known.contains(**name)) {
            found.broken(format!("{urn} does not describe {name}"), &at);
        }
    }
    let one = &seen.user_schema;
    if !one.silent() && !one.ok() {
        found.broken(format!("/Schemas/{USER} is answered with {}", one.describe()), &cites(&[one]));
    }
    // Common attributes need not stand in a schema (RFC 7643 3.1).
    let known = attributes(schemas, USER);
    let common = ["id", "externalid", "meta", "schemas"];
    // Null is an attribute without a value (RFC 7643 2.5).
    let members = seen.read.body.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).map(|(name, _)| name);
    let undeclared: Vec<&String> = members
        .filter(|name| !name.starts_with("urn:") && !common.contains(&name.to_ascii_lowercase().as_str()))
        .filter(|name| !known.iter().any(|attribute| attribute.eq_ignore_ascii_case(name)))
        .collect();
    if seen.read.ok() && !known.is_empty() && !undeclared.is_empty() {
        let names: Vec<&str> = undeclared.iter().map(|name| name.as_str()).collect();
        found.broken(
            format!("the user has {}, which its schema does not describe", names.join(", ")),
            &cites(&[&seen.read, schemas]),
        );
    }
    found.saw(&at);
    found.conclude("User and Group with every attribute that was seen")
}

fn no_secret_is_returned(seen: &Seen) -> Judgement {
    if let Some((name, exchange)) = seen.secrets.first() {
        return Judgement::broken(format!("a resource was returned with a value for `{name}`")).cite([exchange]);
    }
    if [&seen.read, &seen.created].iter().all(|answer| !answer.ok() || answer.id().is_empty()) {
        return Judgement::undecided("no resource was returned").cite(&cites(&[&seen.read]));
    }
    Judgement::pass("no resource has a password, secret or token").cite(&cites(&[&seen.created, &seen.read]))
}
