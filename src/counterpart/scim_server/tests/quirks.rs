//! Each quirk departs, and the same probe finds nothing at a conforming engine.

use super::*;

/// The probe sees the departure with the quirk, and not without.
fn departs(quirk: Quirk, probe: &dyn Fn(&Bench) -> bool) {
    assert!(!probe(&bench(&[])), "{quirk:?}: seen without");
    assert!(probe(&bench(&[quirk])), "{quirk:?}: not seen");
}

fn op(op: &str, path: &str, value: &Value) -> Value {
    json!([{"op": op, "path": path, "value": value}])
}

fn deactivate(bench: &Bench, user: &str) -> Response {
    bench.patch(user, &op("replace", "active", &json!(false)))
}

#[test]
fn quirks_of_deactivation() {
    departs(Quirk::DeactivatePatch, &|bench| {
        let user = bench.user("ann");
        let response = deactivate(bench, &user);
        response.status == 204 && bench.get(&user)["active"] == true
    });
    departs(Quirk::DeactivatePatchNoPath, &|bench| {
        let user = bench.user("ann");
        let pathless = |value: Value| bench.patch(&user, &json!([{"op": "replace", "value": value}])).status;
        (pathless(json!({"title": "X"})), pathless(json!({"active": false}))) == (200, 400)
    });
    for operations in [op("Replace", "active", &json!("False")), json!([{"op": "replace", "value": {"active": "False"}}])] {
        departs(Quirk::DeactivateEntraDialect, &|bench| {
            let user = bench.user("ann");
            bench.patch(&user, &operations).status == 200 && bench.get(&user)["active"] == true
        });
    }
    departs(Quirk::DeactivatePut, &|bench| {
        let user = bench.user("ann");
        let mut body = bench.get(&user);
        body["active"] = false.into();
        bench.send("PUT", &user, Some(&body), &[]).body.unwrap()["active"] == true
    });
    departs(Quirk::DeactivateIdempotent, &|bench| {
        let user = bench.user("ann");
        (deactivate(bench, &user).status, deactivate(bench, &user).status) == (200, 409)
    });
    departs(Quirk::DeactivatedStillReadable, &|bench| {
        let user = bench.user("ann");
        deactivate(bench, &user);
        bench.status("GET", &user) == 404 && bench.patch(&user, &op("replace", "active", &json!(true))).status == 200
    });
    departs(Quirk::Reactivate, &|bench| {
        let user = bench.user("ann");
        deactivate(bench, &user);
        bench.patch(&user, &op("replace", "active", &json!(true))).status == 400
    });
    departs(Quirk::GroupMembershipKeptOrDropped, &|bench| {
        let user = bench.user("ann");
        let group = bench.group("g", &[&user]);
        deactivate(bench, &user);
        bench.members(&group).is_empty()
    });
}

#[test]
fn quirks_of_deletion() {
    departs(Quirk::DeleteUser, &|bench| {
        let user = bench.user("ann");
        bench.status("DELETE", &user) == 204 && bench.status("GET", &user) == 404 && bench.found("userName eq \"ann\"") == 1
    });
    departs(Quirk::DeleteUnknown404, &|bench| {
        let user = bench.user("ann");
        bench.status("DELETE", "/Users/nosuch") == 204 && bench.send_as("b", "DELETE", &user, None, &[]).status == 404
    });
    departs(Quirk::RecreateAfterDelete, &|bench| {
        let user = bench.user("ann");
        bench.status("DELETE", &user);
        bench.post("/Users", &json!({"userName": "ann"})).status == 409
    });
}

#[test]
fn quirks_of_reading() {
    departs(Quirk::GetUserById, &|bench| bench.get(&bench.user("ann")).get("schemas").is_none());
    departs(Quirk::PasswordNeverReturned, &|bench| bench.get(&bench.user("ann")).get("password").is_some());
    departs(Quirk::ListUsers, &|bench| bench.get("/Users?count=10").is_array() && bench.get("/Users?startIndex=1").is_object());
    let three = |bench: &Bench| ["u1", "u2", "u3"].map(|name| bench.user(name));
    departs(Quirk::Pagination, &|bench| {
        three(bench);
        bench.get("/Users?startIndex=1&count=2")["itemsPerPage"] == 3
    });
    departs(Quirk::PaginationCursorErrors, &|bench| {
        three(bench);
        bench.get("/Users?cursor=garbage")["itemsPerPage"] == 3
    });
    departs(Quirk::FilterUsername, &|bench| {
        three(bench);
        bench.found("userName eq \"u1\"") == 1 && bench.found("userName eq \"U1\"") == 0
    });
    departs(Quirk::FilterExternalid, &|bench| {
        three(bench);
        bench.found("externalId eq \"ext-u1\"") == 0
    });
    departs(Quirk::FilterEmail, &|bench| bench.status("GET", "/Users?filter=emails[value eq \"x\"]") == 400);
    departs(Quirk::FilterInvalid, &|bench| bench.status("GET", "/Users?filter=userName eq") == 200);
    departs(Quirk::ExcludedAndAttributes, &|bench| {
        let user = bench.user("ann");
        bench.get(&format!("{user}?attributes=userName")).get("id").is_none() && bench.get(&user).get("id").is_some()
    });
    departs(Quirk::ErrorFormat, &|bench| {
        let request = Request { method: "POST".into(), path: "/Users".into(), body: b"{".to_vec(), ..Request::default() };
        bench.0.handle(&Caller::Tenant("a".into()), &request).body.unwrap()["detail"].as_str().unwrap().contains("\tat ")
    });
    departs(Quirk::ServiceProviderConfig, &|bench| bench.get("/ServiceProviderConfig")["patch"]["supported"] == false);
    departs(Quirk::ResourceTypes, &|bench| bench.status("GET", "/ResourceTypes/Group") == 404);
    departs(Quirk::Schemas, &|bench| {
        let schema = bench.get("/Schemas/urn:ietf:params:scim:schemas:core:2.0:User");
        !schema["attributes"].as_array().unwrap().iter().any(|attribute| attribute["name"] == "active")
    });
}

#[test]
fn quirks_of_creation_and_update() {
    let created = |bench: &Bench, body: Value| bench.post("/Users", &body);
    departs(Quirk::CreateUser, &|bench| {
        !created(bench, json!({"userName": "a"})).headers.iter().any(|(name, _)| name == "location")
    });
    departs(Quirk::CreateRequiredAttributes, &|bench| bench.get(&bench.user("ann"))["emails"][0].get("primary").is_none());
    departs(Quirk::CreateMissingUsername, &|bench| created(bench, json!({"displayName": "x"})).status == 201);
    departs(Quirk::CreateDuplicate, &|bench| {
        bench.user("ann");
        (created(bench, json!({"userName": "ann"})).status, created(bench, json!({"userName": "ANN"})).status) == (409, 201)
    });
    departs(Quirk::CreateIgnoresReadonly, &|bench| {
        created(bench, json!({"id": "x", "userName": "a"})).body.unwrap()["id"] == "x"
    });
    departs(Quirk::UnicodeAndLength, &|bench| {
        created(bench, json!({"userName": "a", "displayName": "é日"})).body.unwrap()["displayName"] == "é?"
    });
    let patched = |bench: &Bench, operations: Value| {
        let user = bench.user("ann");
        bench.patch(&user, &operations);
        bench.get(&user)
    };
    departs(Quirk::UpdatePatchReplace, &|bench| {
        patched(bench, op("replace", "name.familyName", &json!("N")))["name"].get("givenName").is_none()
    });
    departs(Quirk::UpdatePatchMultivalue, &|bench| {
        let add = json!({"op": "add", "path": "emails", "value": [{"value": "h@x", "type": "home"}]});
        let set = json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": "n@x"});
        patched(bench, json!([add, set]))["emails"].as_array().unwrap().len() == 1
    });
    departs(Quirk::UpdatePatchAtomic, &|bench| {
        let good = json!({"op": "replace", "path": "displayName", "value": "D"});
        patched(bench, json!([good, {"op": "replace", "path": "active", "value": "notabool"}]))["displayName"] == "D"
    });
    departs(Quirk::UpdatePut, &|bench| {
        let user = bench.user("ann");
        let mut body = bench.get(&user);
        assert_eq!(bench.send("PUT", &user, Some(&body), &[]).body.unwrap()["id"], id(&user));
        body.as_object_mut().unwrap().remove("title");
        bench.send("PUT", &user, Some(&body), &[]).body.unwrap()["id"] != id(&user)
    });
    departs(Quirk::UpdateUsernameChange, &|bench| patched(bench, op("replace", "userName", &json!("new")))["userName"] == "ann");
    departs(Quirk::AttributeRemoval, &|bench| patched(bench, json!([{"op": "remove", "path": "title"}]))["title"] == "T");
    departs(Quirk::EtagConflict, &|bench| {
        let user = bench.user("ann");
        let body = json!({"Operations": op("replace", "title", &json!("X"))});
        bench.send("PATCH", &user, Some(&body), &[("if-match", "W/\"99\"")]).status == 200
    });
    departs(Quirk::UserGroupsReadonly, &|bench| {
        let group = bench.group("g", &[]);
        patched(bench, op("add", "groups", &json!([{"value": id(&group)}])));
        bench.members(&group).len() == 1
    });
}

#[test]
fn quirks_of_tenants() {
    departs(Quirk::TenantBound, &|bench| bench.send_as("b", "GET", &bench.user("ann"), None, &[]).status == 200);
    departs(Quirk::ScimOnlyOwnTenant, &|bench| {
        let body = json!({"displayName": "g", "members": [{"value": id(&bench.user("ann"))}]});
        bench.send_as("b", "POST", "/Groups", Some(&body), &[]).status == 201
    });
}

#[test]
fn quirks_of_groups() {
    // A group of two; what these operations leave of its members.
    let left = |bench: &Bench, operations: &dyn Fn(&str) -> Value| {
        let users = ["a", "b"].map(|name| bench.user(name));
        let group = bench.group("g", &[&users[0], &users[1]]);
        let status = bench.patch(&group, &operations(id(&users[0]))).status;
        (status, bench.members(&group).len())
    };
    let value = |id: &str| json!([{"value": id}]);
    departs(Quirk::GroupAddMember, &|bench| left(bench, &|id| op("add", "members", &value(id))) == (200, 3));
    departs(Quirk::GroupRemoveMember, &|bench| {
        left(bench, &|id| json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}])) == (200, 0)
    });
    departs(Quirk::GroupRemoveAll, &|bench| left(bench, &|_| json!([{"op": "remove", "path": "members"}])) == (400, 2));
    departs(Quirk::GroupRemoveWithValue, &|bench| left(bench, &|id| op("remove", "members", &value(id))) == (200, 0));
    departs(Quirk::GroupUnknownMember, &|bench| left(bench, &|_| op("add", "members", &value("nosuch"))) == (200, 3));
    departs(Quirk::GroupRename, &|bench| left(bench, &|_| op("replace", "displayName", &json!("new"))) == (200, 0));
    departs(Quirk::GroupCreate, &|bench| bench.get(&bench.group("g", &[])).get("externalId").is_none());
    let lean = "excludedAttributes=members";
    departs(Quirk::GroupListFilter, &|bench| {
        let group = bench.group("g", &[&bench.user("ann")]);
        let list = bench.get(&format!("/Groups?{lean}"));
        list["Resources"][0].get("members").is_some() && bench.get(&format!("{group}?{lean}")).get("members").is_none()
    });
    departs(Quirk::GroupGet, &|bench| {
        let group = bench.group("g", &[&bench.user("ann")]);
        let list = bench.get(&format!("/Groups?{lean}"));
        bench.get(&format!("{group}?{lean}")).get("members").is_some() && list["Resources"][0].get("members").is_none()
    });
}

#[test]
fn quirks_of_roles() {
    let total = |bench: &Bench| bench.get("/Roles")["totalResults"].as_u64().unwrap();
    let assigned = |bench: &Bench, roles: &[&str]| {
        let user = bench.user(&format!("user{}", bench.0.users("a").len()));
        for role in roles {
            bench.patch(&user, &op("add", "roles", &json!([{"value": role}])));
        }
        bench.0.roles_of(id(&user))
    };
    departs(Quirk::RolesExposed, &|bench| total(bench) == 0 && !bench.get("/Schemas").to_string().contains("\"admin\""));
    departs(Quirk::RoleIdentifiers, &|bench| total(bench) == 5);
    departs(Quirk::RolesResourceWellformed, &|bench| {
        bench.get("/Roles/admin").get("supported").is_none() && bench.get("/Roles/old")["supported"] == false
    });
    departs(Quirk::RolesReadonly, &|bench| bench.post("/Roles", &json!({"value": "new"})).status == 201 && total(bench) == 5);
    departs(Quirk::NewRoleAppears, &|bench| {
        bench.0.add_role(Role { value: "new".into(), display: "New".into(), supported: true, limit: None });
        total(bench) == 4 && assigned(bench, &["new"]) == ["new"]
    });
    departs(Quirk::UnsupportedRoleRefused, &|bench| assigned(bench, &["old"]) == ["old"]);
    departs(Quirk::UnknownRoleRefused, &|bench| assigned(bench, &["nosuch", "ADMIN", "Editor"]) == ["nosuch"]);
    departs(Quirk::RoleValueExact, &|bench| assigned(bench, &["nosuch", "ADMIN", "Editor"]) == ["admin", "editor"]);
    departs(Quirk::MultipleRoles, &|bench| assigned(bench, &["admin", "editor"]) == ["editor"]);
    departs(Quirk::RoleLimit, &|bench| assigned(bench, &["owner"]) == ["owner"] && assigned(bench, &["owner"]) == ["owner"]);
}
