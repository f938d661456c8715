//! Servers that answer with somebody else: whom the run did not make it does not change.

use serde_json::{Value, json};

use super::server::{Asked, Does, Faulty};
use super::support::{is_clean, run, some_at_a_time};

type Manner = fn(&Asked) -> Does;

/// The list once more, whatever was asked for.
fn total(body: &mut Value, total: Value) {
    if body["totalResults"].is_number() {
        body["totalResults"] = total;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_changed_and_no_list_goes_on_for_ever() {
    let cases: &[(&str, Manner, &[&str])] = &[
        ("ignores filters", |_| Does::Without(&["filter"]), &["al1.app.filter-username"]),
        (
            "ignores every parameter",
            |_| Does::Without(&["filter", "count", "startIndex", "cursor"]),
            &["al1.app.filter-username"],
        ),
        ("the same page again", |_| Does::Without(&["startIndex", "cursor"]), &["al1.app.pagination"]),
        ("a huge total", |_| Does::Change(|body| total(body, json!(1_000_000_000_000_000_u64))), &[]),
        ("a negative total", |_| Does::Change(|body| total(body, json!(-1))), &["al1.app.list-users"]),
        ("a total in words", |_| Does::Change(|body| total(body, json!("many"))), &["al1.app.list-users"]),
        ("nobody in all", |_| Does::Change(|body| total(body, json!(0))), &["al1.app.pagination"]),
        (
            "pages without end",
            |asked| {
                if asked.lists_users() && !asked.has("filter") {
                    // Ever new users, and ever a next page.
                    let at = asked.before;
                    let users = [json!({"id": format!("x{at}"), "userName": format!("x{at}")})];
                    let body = json!({
                        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 19_999, "itemsPerPage": 0,
                        "nextCursor": format!("c{at}"), "Resources": users,
                    });
                    Does::Say(200, "application/scim+json", body.to_string().into_bytes())
                } else {
                    Does::Pass
                }
            },
            &[],
        ),
        (
            "the same cursor again",
            |_| {
                Does::Change(|body| {
                    if body["totalResults"].is_number() {
                        body["nextCursor"] = json!("again");
                    }
                })
            },
            &[],
        ),
        (
            "every id is somebody's",
            |asked| {
                if asked.method == "GET" && asked.path.starts_with("/Users/") && asked.known {
                    Does::Change(|body| {
                        if body["status"].is_string() {
                            *body = json!({"id": "1", "userName": "stranger-1@corp.test"});
                        }
                    })
                } else {
                    Does::Pass
                }
            },
            &[],
        ),
    ];
    let ran = some_at_a_time(cases.iter().map(|(_, fault, _)| async move {
        let faulty = Faulty::start(fault).await;
        (run(&faulty, &[]).await, faulty)
    }))
    .await;
    for ((name, _, must_fail), (ran, faulty)) in cases.iter().zip(ran) {
        ran.is_orderly(name, &[1, 3]);
        is_clean(name, &faulty);
        eprintln!("   {} requests, failed: {:#?}", faulty.asked(), ran.failed());
        assert!(faulty.asked() < 1500, "{name}: {} requests", faulty.asked());
        let failed = ran.with("fail");
        for clause in *must_fail {
            assert!(failed.iter().any(|id| id == clause), "{name}: {clause} did not fail");
        }
        let passed = ran.with("pass");
        assert!(!name.contains("filter") || !passed.iter().any(|id| id.contains("filter-")), "{name}: {passed:?}");
    }
}
