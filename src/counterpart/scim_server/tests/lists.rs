use super::*;

fn names(page: &Value) -> Vec<&str> {
    page["Resources"].as_array().unwrap().iter().map(|user| user["userName"].as_str().unwrap()).collect()
}

fn five(quirks: &[Quirk]) -> Bench {
    let bench = bench(quirks);
    for name in ["u1", "u2", "u3", "u4", "u5"] {
        bench.user(name);
    }
    bench
}

#[test]
fn lists_are_paged_by_index() {
    let bench = five(&[]);
    for (query, expected, start) in [
        ("", vec!["u1", "u2", "u3", "u4", "u5"], 1),
        ("startIndex=1&count=2", vec!["u1", "u2"], 1),
        ("startIndex=5&count=2", vec!["u5"], 5),
        ("startIndex=6", vec![], 6),
        ("startIndex=-3&count=1", vec!["u1"], 1),
        ("startIndex=0&count=1", vec!["u1"], 1),
        ("count=0", vec![], 1),
        ("count=-1", vec![], 1),
        ("count=1000", vec!["u1", "u2", "u3", "u4", "u5"], 1),
    ] {
        let page = bench.get(&format!("/Users?{query}"));
        assert_eq!((names(&page), &page["totalResults"], &page["startIndex"]), (expected, &json!(5), &json!(start)), "{query}");
        assert_eq!(page["itemsPerPage"], names(&page).len());
    }
    assert!(is_error(&bench.send("GET", "/Users?count=x", None, &[]), 400, Some("invalidValue")));
}

#[test]
fn lists_are_paged_by_cursor() {
    let bench = five(&[]);
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = bench.get(&format!("/Users?count=2&cursor={cursor}"));
        seen.extend(names(&page).iter().map(|name| (*name).to_owned()));
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = next.to_owned();
        assert!(seen.len() < 6);
    }
    assert_eq!(seen, ["u1", "u2", "u3", "u4", "u5"]);
    let refused = |query: &str, kind: &str| is_error(&bench.send("GET", &format!("/Users?{query}"), None, &[]), 400, Some(kind));
    assert!(refused("cursor=garbage", "invalidCursor"));
    assert!(refused("cursor=&count=-1", "invalidCount"));
    assert!(refused(&format!("cursor={cursor}&filter=active pr"), "invalidCursor"));
    let forced = Bench(Engine::new(Config { paging: Paging::Cursor, page_limit: 1, ..Config::default() }));
    forced.user("u1");
    forced.user("u2");
    assert!(forced.get("/Users")["nextCursor"].is_string());
    let plain = Bench(Engine::new(Config { paging: Paging::Index, ..Config::default() }));
    assert_eq!(plain.get("/Users?cursor=garbage")["totalResults"], 0);
}

#[test]
fn filters_choose_and_bad_ones_are_refused() {
    let bench = five(&[]);
    for (filter, total) in [
        ("userName eq \"U3\"", 1),
        ("externalId eq \"ext-u3\"", 1),
        ("externalId eq \"EXT-u3\"", 0),
        ("emails[value eq \"u3@example.com\" and type eq \"work\"]", 1),
        ("userName eq \"nobody\"", 0),
        ("nosuch eq \"x\"", 0),
        ("active eq true and not (userName eq \"u1\")", 4),
    ] {
        assert_eq!(bench.found(filter), total, "{filter}");
    }
    for filter in ["userName eq", "userName eq \"x\" or 1 eq 1", ""] {
        let response = bench.send("GET", &format!("/Users?filter={filter}"), None, &[]);
        assert!(is_error(&response, 400, Some("invalidFilter")), "{filter}");
    }
    let search = json!({"filter": "userName eq \"u2\"", "attributes": ["userName"], "count": 1});
    let page = bench.post("/Users/.search", &search).body.unwrap();
    assert_eq!(names(&page), ["u2"]);
    assert!(page["Resources"][0].get("emails").is_none());
}

#[test]
fn groups_are_found_without_their_members() {
    let bench = bench(&[]);
    let ann = bench.user("ann");
    let group = bench.group("G", &[&ann]);
    for (query, total) in [
        ("displayName eq \"g\"", 1),
        ("externalId eq \"x\"", 1),
        ("externalId eq \"X\"", 0),
        (&format!("members.value eq \"{}\"", id(&ann)), 1),
        (&format!("members[value eq \"{}\"]", id(&ann)), 1),
    ] {
        assert_eq!(bench.get(&format!("/Groups?filter={query}"))["totalResults"], total, "{query}");
    }
    let lean = bench.get("/Groups?excludedAttributes=members");
    assert!(lean["Resources"][0].get("members").is_none() && lean["Resources"][0]["id"].is_string());
    assert!(bench.get(&format!("{group}?excludedAttributes=members")).get("members").is_none());
    assert_eq!(bench.get(&group)["members"][0]["display"], "ann");
}

#[test]
fn roles_are_listed_with_their_use() {
    let bench = bench(&[]);
    let ann = bench.user("ann");
    bench.patch(&ann, &json!([{"op": "add", "path": "roles", "value": [{"value": "owner"}]}]));
    let page = bench.get("/Roles?startIndex=2&count=3");
    assert_eq!((&page["totalResults"], page["Resources"].as_array().unwrap().len()), (&json!(4), 3));
    let owner = bench.get("/Roles/owner");
    assert_eq!((&owner["limitedAssignmentsPermitted"], &owner["totalAssignmentsPermitted"]), (&json!(true), &json!(1)));
    assert_eq!((&owner["totalAssignmentsUsed"], &owner["supported"]), (&json!(1), &json!(true)));
    assert_eq!(bench.get("/Roles?filter=supported eq false")["Resources"][0]["value"], "old");
    bench.0.add_role(Role { value: "new".into(), display: "New".into(), supported: true, limit: None });
    assert_eq!(bench.get("/Roles")["totalResults"], 5);
    assert!(bench.0.remove_role("new"));
}

#[test]
fn beyond_the_rate_lists_answer_429() {
    for (quirks, status) in [(vec![], 429), (vec![Quirk::RateLimit429], 500)] {
        let bench = Bench(Engine::new(Config { rate_limit: Some(5), quirks, ..Config::default() }));
        // Even if the second turns, more than five of these fall into one.
        let limited =
            (0..12).map(|_| bench.send("GET", "/Users?count=1", None, &[])).find(|response| response.status != 200).unwrap();
        assert_eq!(limited.status, status);
        assert_eq!(limited.headers.contains(&("retry-after".into(), "1".into())), status == 429);
    }
}
