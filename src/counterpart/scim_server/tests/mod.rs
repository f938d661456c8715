//! A conforming engine, area by area; the quirks stand in `quirks.rs`.

mod filters;
mod lists;
mod quirks;
mod writes;

use serde_json::{Value, json};

use super::*;

pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// An engine with a tenant to speak for.
pub struct Bench(pub Engine);

pub fn bench(quirks: &[Quirk]) -> Bench {
    let role = |value: &str, display: &str| Role { value: value.into(), display: display.into(), supported: true, limit: None };
    let roles = vec![
        role("admin", "Administrator"),
        role("editor", "Editor"),
        Role { supported: false, ..role("old", "Old") },
        Role { limit: Some(1), ..role("owner", "Owner") },
    ];
    Bench(Engine::new(Config {
        base_url: "https://app.example/scim/v2".into(),
        quirks: quirks.to_vec(),
        roles,
        ..Config::default()
    }))
}

impl Bench {
    pub fn send(&self, method: &str, target: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Response {
        self.send_as("a", method, target, body, headers)
    }

    pub fn send_as(&self, tenant: &str, method: &str, target: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Response {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            method: method.into(),
            path: path.into(),
            query: query.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect(),
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
        };
        self.0.handle(&Caller::Tenant(tenant.into()), &request)
    }

    pub fn get(&self, target: &str) -> Value {
        self.send("GET", target, None, &[]).body.unwrap()
    }

    pub fn status(&self, method: &str, target: &str) -> u16 {
        self.send(method, target, None, &[]).status
    }

    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.send("POST", path, Some(body), &[("content-type", "application/scim+json; charset=utf-8")])
    }

    pub fn patch(&self, path: &str, operations: &Value) -> Response {
        self.send("PATCH", path, Some(&json!({"schemas": [PATCH_OP], "Operations": operations})), &[])
    }

    /// A user by name; answers its path.
    pub fn user(&self, name: &str) -> String {
        let user = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": name,
            "externalId": format!("ext-{name}"),
            "title": "T",
            "name": {"familyName": "F", "givenName": "G"},
            "emails": [{"value": format!("{name}@example.com"), "type": "work", "primary": true}],
        });
        format!("/Users/{}", self.made(self.post("/Users", &user)))
    }

    /// A group of these users (paths); answers its path.
    pub fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|path| json!({"value": id(path)})).collect();
        let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "externalId": "x", "members": members});
        format!("/Groups/{}", self.made(self.post("/Groups", &group)))
    }

    fn made(&self, response: Response) -> String {
        assert_eq!(response.status, 201, "{response:?}");
        response.body.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// The ids of the members of a group.
    pub fn members(&self, group: &str) -> Vec<String> {
        let group = self.get(group);
        let members = group["members"].as_array().cloned().unwrap_or_default();
        members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect()
    }

    /// The total of a list of users with this filter.
    pub fn found(&self, filter: &str) -> u64 {
        self.get(&format!("/Users?filter={filter}"))["totalResults"].as_u64().unwrap()
    }
}

pub fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// Is it an Error object with this status and scimType?
pub fn is_error(response: &Response, status: u16, kind: Option<&str>) -> bool {
    let body = response.body.clone().unwrap_or_default();
    response.status == status
        && body["schemas"] == json!(["urn:ietf:params:scim:api:messages:2.0:Error"])
        && body["status"].as_str() == Some(&status.to_string())
        && body["scimType"].as_str() == kind
        && response.headers.contains(&("content-type".into(), "application/scim+json".into()))
}

#[test]
fn discovery_describes_what_there_is() {
    let bench = bench(&[]);
    let config = bench.get("/ServiceProviderConfig");
    assert_eq!((&config["patch"]["supported"], &config["etag"]["supported"]), (&json!(true), &json!(true)));
    assert_eq!(
        (&config["pagination"]["cursor"], &config["RolesAndEntitlements"]["roles"]["supported"]),
        (&json!(true), &json!(true))
    );
    let types = bench.get("/ResourceTypes");
    let names: Vec<&str> = types["Resources"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["User", "Group", "Role"]);
    for entry in types["Resources"].as_array().unwrap() {
        let urn = entry["schema"].as_str().unwrap();
        assert_eq!(bench.get(&format!("/Schemas/{urn}"))["id"], urn);
        assert_eq!(bench.get(&format!("/Schemas/{}", urn.replace(':', "%3A")))["id"], urn);
    }
    assert_eq!(bench.get("/ResourceTypes/User")["endpoint"], "/Users");
    let schemas = bench.get("/Schemas");
    assert_eq!(schemas["totalResults"], 4);
    let roles = schemas["Resources"][0]["attributes"].as_array().unwrap().iter().find(|attribute| attribute["name"] == "roles");
    assert_eq!(roles.unwrap()["subAttributes"][0]["canonicalValues"], json!(["admin", "editor", "owner"]));
    let bare = Bench(Engine::new(Config::default()));
    assert_eq!((bare.status("GET", "/Roles"), bare.get("/ResourceTypes")["totalResults"].as_u64()), (404, Some(2)));
}

#[test]
fn refusals_are_scim_errors() {
    let bench = bench(&[]);
    let user = bench.user("ann");
    for (method, target, status) in [
        ("GET", "/", 404),
        ("GET", "/Nosuch", 404),
        ("GET", "/Users/nosuch", 404),
        ("GET", "/Users/x/y", 404),
        ("PUT", "/Users/nosuch", 404),
        ("PATCH", "/Groups/nosuch", 404),
        ("DELETE", "/Users/nosuch", 404),
        ("DELETE", "/Users", 405),
        ("POST", "/Schemas", 405),
        ("POST", "/Roles", 405),
        ("DELETE", "/Roles/admin", 405),
        ("POST", "/Bulk", 501),
        ("GET", "/Me", 501),
        ("GET", "/Schemas/urn:nosuch", 404),
        ("GET", "/Roles/nosuch", 404),
    ] {
        let response = bench.send(method, target, None, &[]);
        assert!(is_error(&response, status, None), "{method} {target} {response:?}");
    }
    let raw = |method: &str, path: &str, media: &str, body: &[u8]| {
        let headers = vec![("content-type".into(), media.into())];
        let request = Request { method: method.into(), path: path.into(), headers, body: body.to_vec(), ..Request::default() };
        bench.0.handle(&Caller::Tenant("a".into()), &request)
    };
    assert!(is_error(&raw("POST", "/Users", "application/json", b"{\"userName\":"), 400, Some("invalidSyntax")));
    assert!(is_error(&raw("PATCH", &user, "application/scim+json", b"[]"), 400, Some("invalidSyntax")));
    assert!(is_error(&raw("POST", "/Users", "text/plain", b"{}"), 415, None));
    assert!(is_error(&raw("POST", "/Users", "application/json", &[b'['; 100_000]), 400, Some("invalidSyntax")));
    let challenge = |refusal: Refusal| {
        let response = bench.0.handle(&Caller::Nobody(refusal), &Request { path: "/Users".into(), ..Request::default() });
        (response.status, response.headers.iter().find(|(name, _)| name == "www-authenticate").unwrap().1.clone())
    };
    assert_eq!(challenge(Refusal::NoToken), (401, "Bearer realm=\"scim\"".into()));
    assert_eq!(challenge(Refusal::BadToken("x".into())).0, 401);
    assert!(challenge(Refusal::InsufficientScope("scim".into())).1.contains("insufficient_scope"));
    let open = Request { method: "GET".into(), path: "/ServiceProviderConfig".into(), ..Request::default() };
    assert_eq!(bench.0.handle(&Caller::Nobody(Refusal::NoToken), &open).status, 200);
    assert_eq!(bench.0.handle(&Caller::Nobody(Refusal::BadToken("x".into())), &open).status, 401);
}

#[test]
fn another_tenants_resources_are_not_there() {
    let bench = bench(&[]);
    let (user, group) = (bench.user("ann"), bench.group("g", &[]));
    for (method, path) in
        [("GET", &user), ("PATCH", &user), ("PUT", &user), ("DELETE", &user), ("GET", &group), ("PATCH", &group)]
    {
        let body = json!({"Operations": [{"op": "replace", "path": "active", "value": false}], "userName": "x"});
        assert_eq!(bench.send_as("b", method, path, Some(&body), &[]).status, 404, "{method} {path}");
    }
    for list in ["/Users", "/Groups", "/Users?filter=userName eq \"ann\""] {
        assert_eq!(bench.send_as("b", "GET", list, None, &[]).body.unwrap()["totalResults"], 0, "{list}");
    }
    let member = json!({"displayName": "h", "members": [{"value": id(&user)}]});
    assert!(is_error(&bench.send_as("b", "POST", "/Groups", Some(&member), &[]), 400, Some("invalidValue")));
    let same_name = json!({"userName": "ann"});
    assert_eq!(bench.send_as("b", "POST", "/Users", Some(&same_name), &[]).status, 201);
    assert_eq!(bench.get(&user)["active"], true);
}

#[test]
fn the_application_sees_and_changes_past_the_protocol() {
    use std::sync::{Arc, Mutex};
    let bench = Arc::new(bench(&[]));
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let (sink, weak) = (Arc::clone(&heard), Arc::downgrade(&bench));
    bench.0.on_change(Box::new(move |change| {
        // A listener may ask the engine: the lock is released.
        let known = weak.upgrade().is_some_and(|bench| bench.0.user(&change.id).is_some());
        let (before, after) = (change.before.is_some(), change.after.is_some());
        sink.lock().unwrap().push(format!("{} {before} {after} {known}", change.resource));
    }));
    let engine = &bench.0;
    let user = engine.put_user("a", json!({"userName": "jit", "externalId": "E", "emails": [{"value": "J@x.y"}]}));
    assert!(engine.change_user(&user, |user| user["active"] = false.into()));
    assert!(engine.change_user(&user, |_| ()), "no difference, nothing to tell");
    let group = engine.put_group("a", json!({"displayName": "g", "members": [{"value": user, "display": "old"}]}));
    assert_eq!(engine.user(&user).unwrap()["groups"][0]["value"], *group);
    assert_eq!(engine.groups_of(&user).len(), 1);
    assert!(engine.find_user("a", "emails", "j@X.y").is_some() && engine.find_user("a", "userName", "JIT").is_some());
    assert!(engine.find_user("a", "externalId", "e").is_none() && engine.find_user("b", "userName", "jit").is_none());
    assert_eq!((engine.users("a").len(), engine.groups("a").len(), engine.tenant_of(&user).as_deref()), (1, 1, Some("a")));
    assert!(engine.change_user(&user, |user| user["roles"] = json!([{"value": "admin"}])));
    assert_eq!(engine.roles_of(&user), ["admin"]);
    assert_eq!(engine.put_user("a", json!({"id": user, "userName": "again"})), user);
    assert!(engine.remove_user(&user) && !engine.remove_user(&user) && engine.remove_group(&group));
    let heard = heard.lock().unwrap();
    let expected = [
        "User false true true",
        "User true true true",
        "Group false true false",
        "User true true true",
        "User true true true",
        "Group true true false",
        "User true false false",
        "Group true false false",
    ];
    assert_eq!(*heard, expected);
}
