use super::*;

#[test]
fn users_are_created_read_and_deleted() {
    let bench = bench(&[]);
    let created = bench.post(
        "/Users",
        &json!({"id": "x", "meta": {"created": "1999"}, "userName": "ann", "password": "secret",
        "displayName": "日本 🙂 e\u{301} עברית", "urn:unknown:ext": {"a": 1}}),
    );
    let body = created.body.unwrap();
    let location = body["meta"]["location"].as_str().unwrap();
    assert_eq!(created.status, 201);
    assert!(created.headers.contains(&("location".into(), location.into())));
    assert!(created.headers.contains(&("etag".into(), body["meta"]["version"].as_str().unwrap().into())));
    assert_eq!(location, format!("https://app.example/scim/v2/Users/{}", body["id"].as_str().unwrap()));
    assert!(body["id"] != "x" && body.get("password").is_none() && body["active"] == true);
    assert!(!body["meta"]["created"].as_str().unwrap().starts_with("1999"));
    let path = format!("/Users/{}", body["id"].as_str().unwrap());
    assert_eq!(bench.get(&path), body);
    let group = bench.group("g", &[&path]);
    assert_eq!(bench.status("DELETE", &path), 204);
    assert_eq!((bench.status("GET", &path), bench.status("DELETE", &path)), (404, 404));
    assert_eq!((bench.found("userName eq \"ann\""), bench.members(&group).len()), (0, 0));
    assert_ne!(bench.user("ann"), path);
}

#[test]
fn impossible_users_are_refused() {
    let bench = bench(&[]);
    bench.user("ann");
    for (body, status, kind) in [
        (json!({"displayName": "x"}), 400, "invalidValue"),
        (json!({"userName": " "}), 400, "invalidValue"),
        (json!({"userName": "bob", "active": "True"}), 400, "invalidValue"),
        (json!({"userName": "bob", "schemas": ["urn:x"]}), 400, "invalidValue"),
        (
            json!({"userName": "bob", "emails": [{"value": "1", "primary": true}, {"value": "2", "primary": true}]}),
            400,
            "invalidValue",
        ),
        (json!({"userName": "bob", "roles": [{"value": "nosuch"}]}), 400, "invalidValue"),
        (json!({"userName": "ann"}), 409, "uniqueness"),
        (json!({"userName": "ANN"}), 409, "uniqueness"),
    ] {
        assert!(is_error(&bench.post("/Users", &body), status, Some(kind)), "{body}");
    }
    assert_eq!(bench.get("/Users")["totalResults"], 1);
}

#[test]
fn patch_changes_what_it_names_and_nothing_else() {
    let work = |value: &str| json!({"value": value, "type": "work", "primary": true});
    let home = json!({"value": "h@x", "type": "home"});
    let ext = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    for (operations, attribute, expected) in [
        (json!([{"op": "replace", "path": "active", "value": false}]), "active", json!(false)),
        (json!([{"op": "Replace", "value": {"active": false, "id": "x", "nosuch": 1}}]), "active", json!(false)),
        (json!([{"op": "replace", "path": "displayName", "value": "D"}]), "displayName", json!("D")),
        (
            json!([{"op": "replace", "path": "name.familyName", "value": "N"}]),
            "name",
            json!({"familyName": "N", "givenName": "G"}),
        ),
        (
            json!([{"op": "add", "path": "name", "value": {"formatted": "G F"}}]),
            "name",
            json!({"familyName": "F", "givenName": "G", "formatted": "G F"}),
        ),
        (json!([{"op": "remove", "path": "name.givenName"}]), "name", json!({"familyName": "F"})),
        (
            json!([{"op": "replace", "value": {"title": "X", "name.givenName": "Y"}}]),
            "name",
            json!({"familyName": "F", "givenName": "Y"}),
        ),
        (json!([{"op": "replace", "path": "emails[type eq \"work\"].value", "value": "n@x"}]), "emails", json!([work("n@x")])),
        (json!([{"op": "add", "path": "emails", "value": [home]}]), "emails", json!([work("ann@example.com"), home])),
        (
            json!([{"op": "add", "path": "emails", "value": home}, {"op": "remove", "path": "emails[type eq \"home\"]"}]),
            "emails",
            json!([work("ann@example.com")]),
        ),
        (
            json!([{"op": "add", "path": "emails[type eq \"home\"].value", "value": "h@x"}]),
            "emails",
            json!([work("ann@example.com"), {"type": "home", "value": "h@x"}]),
        ),
        (json!([{"op": "replace", "path": "emails", "value": [home]}]), "emails", json!([home])),
        (json!([{"op": "remove", "path": "emails"}]), "emails", Value::Null),
        (json!([{"op": "remove", "path": "emails[type eq \"other\"]"}]), "emails", json!([work("ann@example.com")])),
        (json!([{"op": "remove", "path": "title"}]), "title", Value::Null),
        (json!([{"op": "replace", "path": "title", "value": null}]), "title", Value::Null),
        (json!([{"op": "add", "path": format!("{ext}:department"), "value": "R"}]), ext, json!({"department": "R"})),
        (json!([{"op": "add", "value": {ext: {"department": "R"}}}]), ext, json!({"department": "R"})),
        (json!([{"op": "replace", "path": "userName", "value": "ANN"}]), "userName", json!("ANN")),
        (
            json!([{"op": "add", "path": "roles", "value": [{"value": "admin"}, {"value": "editor"}]}]),
            "roles",
            json!([{"value": "admin"}, {"value": "editor"}]),
        ),
    ] {
        let bench = bench(&[]);
        let path = bench.user("ann");
        let before = bench.get(&path);
        let response = bench.patch(&path, &operations);
        assert_eq!(response.status, 200, "{operations} {response:?}");
        let mut after = bench.get(&path);
        assert_eq!(after[attribute], expected, "{operations}");
        if expected != before[attribute] {
            assert_ne!(after["meta"]["lastModified"], before["meta"]["lastModified"]);
        }
        for (name, value) in before.as_object().unwrap() {
            let touched = name == attribute
                || name == "meta"
                || name == "schemas"
                || operations.to_string().contains(&format!("\"{name}\""));
            assert!(touched || after[name].take() == *value, "{operations} touched {name}");
        }
    }
}

#[test]
fn bad_patches_change_nothing() {
    let bench = bench(&[]);
    bench.user("bob");
    let path = bench.user("ann");
    let before = bench.get(&path);
    let good = json!({"op": "replace", "path": "displayName", "value": "changed"});
    for (operation, status, kind) in [
        (json!({"op": "replace", "path": "active", "value": "notabool"}), 400, "invalidValue"),
        (json!({"op": "replace", "path": "active", "value": "False"}), 400, "invalidValue"),
        (json!({"op": "replace", "path": "x[", "value": 1}), 400, "invalidPath"),
        (json!({"op": "replace", "path": "nosuch", "value": 1}), 400, "invalidPath"),
        (json!({"op": "replace", "path": "name[a eq 1]", "value": 1}), 400, "invalidPath"),
        (json!({"op": "replace", "path": "emails[type eq \"home\"].value", "value": "x"}), 400, "noTarget"),
        (json!({"op": "remove"}), 400, "noTarget"),
        (json!({"op": "remove", "path": "userName"}), 400, "mutability"),
        (json!({"op": "replace", "path": "id", "value": "x"}), 400, "mutability"),
        (json!({"op": "replace", "path": "meta.created", "value": "x"}), 400, "mutability"),
        (json!({"op": "add", "path": "groups", "value": [{"value": "g"}]}), 400, "mutability"),
        (json!({"op": "replace", "path": "userName", "value": "BOB"}), 409, "uniqueness"),
        (json!({"op": "replace", "path": "userName", "value": ""}), 400, "invalidValue"),
        (json!({"op": "frobnicate", "path": "title", "value": 1}), 400, "invalidSyntax"),
        (json!({"op": "add", "path": "title"}), 400, "invalidValue"),
        (json!({"op": "add", "value": "x"}), 400, "invalidValue"),
        (json!({"op": "add", "path": "roles", "value": [{"value": "nosuch"}]}), 400, "invalidValue"),
        (json!({"op": "add", "path": "roles", "value": [{"value": "ADMIN"}]}), 400, "invalidValue"),
        (json!({"op": "add", "path": "roles", "value": [{"value": "Administrator"}]}), 400, "invalidValue"),
        (json!({"op": "add", "path": "roles", "value": [{"value": "old"}]}), 400, "invalidValue"),
    ] {
        let response = bench.patch(&path, &json!([good, operation]));
        assert!(is_error(&response, status, Some(kind)), "{operation} {response:?}");
        assert_eq!(bench.get(&path), before, "{operation}");
    }
    assert!(is_error(&bench.patch(&path, &json!([])), 400, Some("invalidSyntax")));
}

#[test]
fn put_clears_what_is_left_out() {
    let bench = bench(&[]);
    let path = bench.user("ann");
    bench.patch(&path, &json!([{"op": "replace", "path": "active", "value": false}]));
    let mut user = bench.get(&path);
    user.as_object_mut().unwrap().remove("title");
    user.as_object_mut().unwrap().remove("active");
    user["groups"] = json!([{"value": "x"}]);
    let response = bench.send("PUT", &path, Some(&user), &[]);
    let body = response.body.unwrap();
    assert_eq!(response.status, 200);
    assert!(body.get("title").is_none() && body.get("groups").is_none() && body["id"] == *id(&path));
    // Whoever leaves active out does not let anybody in again.
    assert_eq!(body["active"], false);
    user["active"] = true.into();
    assert_eq!(bench.send("PUT", &path, Some(&user), &[]).body.unwrap()["active"], true);
}

#[test]
fn versions_guard_against_lost_updates() {
    let bench = bench(&[]);
    let path = bench.user("ann");
    let version = bench.get(&path)["meta"]["version"].as_str().unwrap().to_owned();
    let change = |value: &str, tag: &str| {
        let body = json!({"Operations": [{"op": "replace", "path": "title", "value": value}]});
        bench.send("PATCH", &path, Some(&body), &[("if-match", tag)]).status
    };
    assert_eq!(bench.send("GET", &path, None, &[("if-none-match", &version)]).status, 304);
    assert_eq!((change("1", &version), change("2", &version), change("3", "*")), (200, 412, 200));
    assert_eq!(bench.send("GET", &path, None, &[("if-none-match", &version)]).status, 200);
    assert_eq!(bench.send("DELETE", &path, None, &[("if-match", &version)]).status, 412);
    assert_eq!(bench.get(&path)["title"], "3");
}

#[test]
fn groups_gain_and_lose_members() {
    let bench = bench(&[]);
    let [a, b, c] = ["a", "b", "c"].map(|name| bench.user(name));
    let one = |path: &str| format!("members[value eq \"{}\"]", id(path));
    let value = |path: &str| json!([{"value": id(path)}]);
    for (operations, expected) in [
        (json!([{"op": "add", "path": "members", "value": value(&c)}]), vec![&a, &b, &c]),
        (json!([{"op": "add", "path": "members", "value": value(&b)}]), vec![&a, &b]),
        (json!([{"op": "remove", "path": one(&a)}]), vec![&b]),
        (json!([{"op": "remove", "path": one(&c)}]), vec![&a, &b]),
        (json!([{"op": "remove", "path": "members"}]), vec![]),
        (json!([{"op": "remove", "path": "members", "value": value(&b)}]), vec![&a]),
        (json!([{"op": "replace", "path": "members", "value": value(&c)}]), vec![&c]),
        (json!([{"op": "replace", "value": {"id": "x", "displayName": "new"}}]), vec![&a, &b]),
    ] {
        let group = bench.group("g", &[&a, &b]);
        assert_eq!(bench.patch(&group, &operations).status, 200, "{operations}");
        assert_eq!(bench.members(&group), expected.iter().map(|path| id(path).to_owned()).collect::<Vec<_>>(), "{operations}");
    }
    let group = bench.group("g", &[&a]);
    let unknown = bench.patch(&group, &json!([{"op": "add", "path": "members", "value": [{"value": "nosuch"}]}]));
    assert!(is_error(&unknown, 400, Some("invalidValue")));
    assert_eq!((bench.members(&group).len(), bench.get(&a)["groups"].as_array().unwrap().len()), (1, 6));
    assert!(is_error(&bench.post("/Groups", &json!({"members": []})), 400, Some("invalidValue")));
    assert_eq!((bench.status("DELETE", &group), bench.status("GET", &group)), (204, 404));
}

#[test]
fn roles_are_assigned_within_their_limits() {
    let bench = bench(&[]);
    let [ann, bob] = ["ann", "bob"].map(|name| bench.user(name));
    let add = |user: &str, role: &str| bench.patch(user, &json!([{"op": "add", "path": "roles", "value": [{"value": role}]}]));
    assert_eq!(add(&ann, "owner").status, 200);
    assert_eq!(add(&ann, "owner").status, 200, "held already");
    assert!(is_error(&add(&bob, "owner"), 400, Some("invalidValue")));
    assert_eq!((add(&ann, "admin").status, bench.0.roles_of(id(&ann))), (200, vec!["owner".into(), "admin".into()]));
    bench.patch(&ann, &json!([{"op": "remove", "path": "roles[value eq \"owner\"]"}]));
    assert_eq!((add(&bob, "owner").status, bench.0.roles_of(id(&ann))), (200, vec!["admin".to_owned()]));
    let single = Bench(Engine::new(Config { multiple_roles: false, roles: bench.0.roles(), ..Config::default() }));
    let eve = single.user("eve");
    let roles = json!([{"op": "add", "path": "roles", "value": [{"value": "admin"}, {"value": "editor"}]}]);
    assert!(is_error(&single.patch(&eve, &roles), 400, Some("invalidValue")));
}
