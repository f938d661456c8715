use serde_json::{Value, json};

use super::*;
use crate::counterpart::scim_client::{GROUP, LIST};
use crate::model::Call::{self as Verdict, Broken, Doubtful, NotApplicable, Pass, Undecided};

fn answer(status: u16, body: Value) -> Answer {
    Answer { status, body, media_type: "application/scim+json".into(), cite: "e1".into(), ..Answer::default() }
}

fn list(ids: &[&str]) -> Answer {
    let resources: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
    answer(200, json!({"schemas": [LIST], "totalResults": ids.len(), "Resources": resources}))
}

fn error(status: u16, kind: &str) -> Answer {
    answer(status, json!({"schemas": [crate::counterpart::scim_client::ERROR], "status": status.to_string(), "scimType": kind}))
}

fn good() -> Seen {
    let person = Person::of_run("run-1", "a", "x.test");
    let mut body = person.body();
    body["id"] = json!("1");
    body["meta"] = json!({"resourceType": "User"});
    let attribute = |name: &str| json!({"name": name});
    let names = ["userName", "name", "displayName", "emails", "active"];
    let (of_user, of_group) = (names.map(attribute).to_vec(), ["displayName", "members"].map(attribute).to_vec());
    let user = json!({"id": USER, "attributes": of_user});
    let group = json!({"id": GROUP, "attributes": of_group});
    let supported = json!({"supported": true});
    let walk = Walk {
        count: 2,
        totals: (Some(6), Some(6)),
        distinct: 6,
        own: [("1".to_owned(), 1), ("2".to_owned(), 1)].into(),
        pages: 3,
        first: list(&["1"]),
        cites: vec!["e1".into()],
        ..Walk::default()
    };
    let find = || list(&["1"]);
    Seen {
        config: answer(
            200,
            json!({"patch": supported, "filter": supported, "bulk": supported, "sort": supported, "etag": supported,
                   "changePassword": supported, "authenticationSchemes": [{"type": "oauthbearertoken"}],
                   "pagination": {"cursor": true, "index": true}}),
        ),
        types: answer(
            200,
            json!({"Resources": [{"endpoint": "/Users", "schema": USER}, {"endpoint": "/Groups", "schema": GROUP}]}),
        ),
        schemas: answer(200, json!({"Resources": [user, group]})),
        user_type: answer(200, json!({})),
        user_schema: answer(200, json!({})),
        person,
        created: answer(201, body.clone()),
        other_created: answer(201, json!({"id": "2"})),
        read: answer(200, body),
        filters: Filters {
            user_name: find(),
            lower_name: find(),
            other_case: find(),
            nobody: list(&[]),
            external_id: find(),
            external_case: list(&[]),
            email: find(),
            invalid: vec![
                ("no value".into(), error(400, "invalidFilter")),
                ("an unknown attribute".into(), list(&[])),
                ("no comparison".into(), error(400, "invalidFilter")),
            ],
        },
        walks: vec![walk],
        cursors: vec![("a cursor".into(), error(400, "invalidCursor"))],
        patched: answer(204, Value::Null),
        secrets: Vec::new(),
    }
}

fn call(slug: &str, seen: &Seen) -> Verdict {
    let check = Inventory::CHECKS.iter().find(|check| check.clause.ends_with(slug)).unwrap();
    (check.judge)(seen).call
}

#[test]
fn a_conforming_service_provider_passes_everything() {
    for check in Inventory::CHECKS {
        let judgement = (check.judge)(&good());
        assert_eq!(judgement.call, Pass, "{}: {}", check.clause, judgement.reason);
    }
}

#[test]
fn what_departs_is_found_and_what_is_open_stays_open() {
    type Change = fn(&mut Seen);
    let cases: &[(&str, Change, Verdict)] = &[
        ("get-user-by-id", |seen| drop(seen.read.body["active"].take()), Broken),
        ("get-user-by-id", |seen| seen.read.media_type = "application/json".into(), Doubtful),
        ("get-user-by-id", |seen| seen.read.status = 503, Undecided),
        ("get-user-by-id", |seen| seen.created = error(403, ""), Undecided),
        ("list-users", |seen| seen.walks[0].own.values_mut().for_each(|times| *times = 0), Broken),
        ("list-users", |seen| seen.walks[0].broken = Some(answer(200, json!([]))), Broken),
        ("list-users", |seen| seen.walks[0].broken = Some(answer(429, Value::Null)), Undecided),
        ("list-users", |seen| seen.walks[0].first.body["totalResults"] = json!(-1), Broken),
        ("list-users", |seen| (seen.walks[0].cursor, seen.walks[0].first.body["totalResults"]) = (true, json!("many")), Broken),
        ("list-users", |seen| (seen.walks[0].cursor, seen.walks[0].first.body["totalResults"]) = (true, Value::Null), Pass),
        ("al1.app.pagination", |seen| seen.walks[0].repeated.push("1".into()), Broken),
        ("al1.app.pagination", |seen| seen.walks[0].stuck = Some("e1".into()), Broken),
        ("al1.app.pagination", |seen| seen.walks[0].exceeded = Some("e1".into()), Broken),
        ("al1.app.pagination", |seen| seen.walks[0].distinct = 5, Broken),
        ("al1.app.pagination", |seen| seen.walks[0].partial = true, Undecided),
        ("list-users", |seen| seen.walks[0].partial = true, Undecided),
        ("al1.app.pagination", |seen| (seen.walks[0].distinct, seen.walks[0].totals) = (4, (Some(4), Some(4))), Undecided),
        ("al1.app.pagination", |seen| (seen.walks[0].distinct, seen.walks[0].totals.1) = (4, Some(5)), Undecided),
        ("cursor-errors", |seen| seen.cursors[0].1 = list(&["1"]), Broken),
        ("cursor-errors", |seen| seen.config.body["pagination"] = Value::Null, NotApplicable),
        ("filter-username", |seen| seen.filters.nobody = error(404, ""), Broken),
        ("filter-username", |seen| seen.filters.other_case = list(&[]), Broken),
        ("filter-username", |seen| seen.filters.user_name = list(&["1", "2"]), Broken),
        ("filter-username", |seen| seen.filters.user_name.status = 429, Undecided),
        ("filter-externalid", |seen| seen.filters.external_case = list(&["1"]), Doubtful),
        ("filter-externalid", |seen| seen.filters.external_id = list(&[]), Broken),
        (
            "filter-externalid",
            |seen| (seen.read, seen.created.body["externalId"]) = (answer(200, Value::Null), Value::Null),
            Undecided,
        ),
        ("filter-email", |seen| seen.filters.email = error(400, "invalidFilter"), Broken),
        ("filter-invalid", |seen| seen.filters.invalid[0].1 = list(&["1", "2"]), Broken),
        ("filter-invalid", |seen| seen.filters.invalid[0].1 = error(500, ""), Broken),
        ("filter-invalid", |seen| seen.filters.user_name = error(501, ""), Undecided),
        ("service-provider-config", |seen| seen.config.body["patch"]["supported"] = json!(false), Broken),
        ("service-provider-config", |seen| seen.config.status = 404, Broken),
        ("service-provider-config", |seen| seen.config.status = 502, Undecided),
        ("service-provider-config", |seen| seen.walks[0].broken = Some(error(400, "")), Broken),
        ("service-provider-config", |seen| seen.walks[0].broken = Some(answer(503, Value::Null)), Pass),
        ("resource-types", |seen| seen.types.body["Resources"][0]["schema"] = json!("urn:other"), Broken),
        ("resource-types", |seen| drop(seen.types.body["Resources"].as_array_mut().unwrap().pop()), Doubtful),
        ("resource-types", |seen| seen.user_type.status = 404, Pass),
        ("resource-types", |seen| (seen.user_type.status, seen.types.body["Resources"][0]["id"]) = (404, json!("User")), Broken),
        ("al1.app.schemas", |seen| seen.read.body["shoeSize"] = json!(44), Broken),
        ("al1.app.schemas", |seen| seen.schemas.body["Resources"][1]["attributes"] = json!([{"name": "displayName"}]), Broken),
        ("password-never-returned", |seen| seen.secrets.push(("password".into(), "e1".into())), Broken),
        ("password-never-returned", |seen| (seen.read.body, seen.created.body) = (json!({}), json!({})), Undecided),
        ("password-never-returned", |seen| (seen.read.status, seen.created.status) = (500, 500), Undecided),
    ];
    for (slug, change, wanted) in cases {
        let mut seen = good();
        change(&mut seen);
        assert_eq!(call(slug, &seen), *wanted, "{slug}");
    }
}

#[test]
fn a_schema_that_counts_letters_may_miss_a_name_in_other_letters() {
    let mut seen = good();
    seen.filters.other_case = list(&[]);
    seen.schemas.body["Resources"][0]["attributes"][0]["caseExact"] = json!(true);
    assert_eq!(call("filter-username", &seen), Pass);
}
