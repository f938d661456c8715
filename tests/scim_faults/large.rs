//! A tenant of 150,000 users: never listed whole, and no need of much memory.

use serde_json::{Value, json};

use super::server::{Asked, Does, Faulty};
use super::support::{is_clean, run_patiently, some_at_a_time};

const USERS: u64 = 150_000;

fn user(index: u64) -> Value {
    let name = format!("user-{index}@corp.test");
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": format!("s{index}"), "userName": name, "active": true,
        "name": {"givenName": "User", "familyName": format!("Number {index}")}, "displayName": format!("User number {index}"),
        "emails": [{"value": name, "type": "work", "primary": true}], "externalId": format!("e{index}"),
        "meta": {"resourceType": "User", "created": "2026-01-01T00:00:00Z", "lastModified": "2026-01-01T00:00:00Z"},
    })
}

fn page(asked: &Asked, most: u64) -> Does {
    let number = |name: &str| asked.query.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.parse::<u64>().ok());
    let start = number("startIndex").unwrap_or(1).max(1);
    let count = number("count").filter(|_| most == 100).unwrap_or(most).min(most);
    let users: Vec<Value> = (start..(start + count).min(USERS + 1)).map(user).collect();
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": USERS, "startIndex": start,
        "itemsPerPage": users.len(), "Resources": users,
    });
    Does::Say(200, "application/scim+json", body.to_string().into_bytes())
}

type Manner = fn(&Asked) -> Does;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_tenant_is_looked_at_in_part() {
    let cases: &[(&str, Manner)] = &[
        (
            "150,000 users",
            |asked| if asked.known && asked.lists_users() && !asked.has("filter") { page(asked, 100) } else { Does::Pass },
        ),
        // Close to what is read of one answer, to every list and every search.
        ("150,000 users and 1,000 to every search", |asked| {
            if asked.known && asked.lists_users() { page(asked, 1000) } else { Does::Pass }
        }),
        ("150,000 users at once", |asked| if asked.known && asked.lists_users() { page(asked, USERS) } else { Does::Pass }),
    ];
    let ran = some_at_a_time(cases.iter().map(|(_, fault)| async move {
        let faulty = Faulty::start(fault).await;
        (run_patiently(&faulty).await, faulty)
    }))
    .await;
    for ((name, _), (ran, faulty)) in cases.iter().zip(ran) {
        ran.is_orderly(name, &[1, 3]);
        is_clean(name, &faulty);
        eprintln!("   {} requests, failed: {:#?}", faulty.asked(), ran.failed());
        assert!(faulty.asked() < 600, "{name}: {} requests", faulty.asked());
        if !name.contains("every search") {
            assert_eq!(ran.failed(), [""; 0], "{name}");
        }
    }
}
