//! The courses: what happens with a user, a group, roles, faults and commands, as one fact per clause. The conforming service has the
//! facts that stand beside them; a lapse has another one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::Lapse;
use super::world::{Fault, TENANT, World};

/// Clause without its `al?.idp.`, fact, and the fact of the conforming service.
pub type Facts = Vec<(&'static str, Value, Value)>;

fn user(name: &str) -> Value {
    json!({"user": name})
}

async fn with_user(world: &World, name: &str) {
    world.does("create-user", json!({"user": name, "email": name, "name": "Ada King"})).await;
    world.does("assign-user", user(name)).await;
}

fn active(world: &World, name: &str) -> Value {
    world.user(name).map_or(json!("none"), |user| user["active"].clone())
}

/// Joiners, movers and leavers.
pub async fn users(lapses: &[Lapse]) -> Facts {
    let world = World::new(lapses).await;
    let engine = &world.app.engine;
    let stranger = engine.put_user(TENANT, json!({"userName": "stranger", "active": true}));
    engine.put_user(TENANT, json!({"userName": "DORA@x", "active": true}));
    for name in ["ada@x", "bob@x", "dora@x", "eve@x"] {
        with_user(&world, name).await;
    }
    let mut facts: Facts = vec![
        ("creates-before-signin", active(&world, "ada@x"), json!(true)),
        ("looks-up-before-create", world.user("dora@x").map(|user| user["externalId"].clone()).into(), json!("sub-dora@x")),
        ("create-request-valid", world.user("ada@x").unwrap_or_default()["externalId"].clone(), json!("sub-ada@x")),
        ("media-type", world.lines("text/plain").into(), json!(0)),
        ("bearer-header-only", world.lines("access_token").into(), json!(0)),
        ("jwt-token-request", world.lines("secret=true").into(), json!(0)),
        ("scope-scim-only", world.lines("scope=scim admin").into(), json!(0)),
    ];
    let id = world.id("ada@x");
    engine.change_user(&id, |user| user["preferredLanguage"] = "fr".into());
    let profile = |attribute: &str, value: &str| json!({"user": "ada@x", "attribute": attribute, "value": value});
    world.does("update-profile", profile("displayName", "Countess")).await;
    world.does("update-profile", profile("title", "Dr")).await;
    world.does("update-profile", profile("title", "")).await;
    world.does("rename-user", json!({"user": "eve@x", "value": "eva@x"})).await;
    let ada = engine.user(&id).unwrap_or_default();
    facts.extend([
        ("profile-update", ada["displayName"].clone(), json!("Countess")),
        ("profile-attribute-cleared", ada["title"].clone(), Value::Null),
        ("update-minimal-harm", ada["preferredLanguage"].clone(), json!("fr")),
        ("stores-server-id", world.lines("/Users/ada").into(), json!(0)),
        (
            "username-change-keeps-account",
            json!([world.user("eve@x").is_some(), world.user("eva@x").is_some()]),
            json!([false, true]),
        ),
    ]);
    world.does("disable-user", user("ada@x")).await;
    facts.push(("deactivates-on-disable", active(&world, "ada@x"), json!(false)));
    facts.push(("within-5-minutes", active(&world, "ada@x"), json!(false)));
    facts.push(("patch-well-formed", world.lines("\"False\"").into(), json!(0)));
    world.does("enable-user", user("ada@x")).await;
    facts.push(("reactivates", active(&world, "ada@x"), json!(true)));
    world.does("unassign-user", user("bob@x")).await;
    facts.push(("deprovisions-on-unassign", active(&world, "bob@x"), json!(false)));
    world.does("delete-user", user("dora@x")).await;
    facts.push(("deprovisions-on-delete", active(&world, "dora@x"), json!("none")));
    facts.push(("only-linked-users", engine.user(&stranger).unwrap()["active"].clone(), json!(true)));
    facts
}

/// Faults of the application.
pub async fn faults(lapses: &[Lapse]) -> Facts {
    let world = World::new(lapses).await;
    let names = ["limited@x", "down@x", "lost@x", "gone@x", "old@x"];
    for name in names {
        with_user(&world, name).await;
    }
    let patch = |name: &str| format!("PATCH /scim/v2/Users/{}", world.id(name));
    world.fault(&patch("limited@x"), Fault::Limit(Instant::now() + Duration::from_millis(700)));
    world.fault(&patch("down@x"), Fault::Status(503));
    world.fault(&patch("down@x"), Fault::Lost);
    world.fault(&patch("lost@x"), Fault::Lost);
    world.fault(&patch("old@x"), Fault::Status(401));
    world.fault("new@x\",\"externalId", Fault::Lost);
    let gone = world.id("gone@x");
    world.app.engine.remove_user(&gone);
    let limited = patch("limited@x");
    for name in names {
        world.does("disable-user", user(name)).await;
    }
    with_user(&world, "new@x").await;
    let users = world.app.engine.users(TENANT);
    let named = |text: &str| users.iter().filter(|user| user["userName"].as_str().unwrap().starts_with(text)).count();
    let jtis: std::collections::HashSet<String> =
        world.app.log.lock().unwrap().iter().filter(|line| line.starts_with("TOKEN")).cloned().collect();
    vec![
        ("honours-429", world.lines(&limited).into(), json!(2)),
        ("retries-503", active(&world, "down@x"), json!(false)),
        ("lost-response-safe", json!([named("lost@x"), world.lines("\"userName\":\"lost@x\"")]), json!([1, 1])),
        ("404-is-done", named("gone@x").into(), json!(0)),
        ("renews-expired-token", active(&world, "old@x"), json!(false)),
        ("assertion-fresh", json!([jtis.len(), world.lines("life=60 ")]), json!([2, 2])),
        ("no-duplicates-under-race", json!([named("new@x"), world.lines("POST /scim/v2/Users")]), json!([1, 6])),
    ]
}

/// Groups, and their claims.
pub async fn groups(lapses: &[Lapse]) -> Facts {
    let world = World::new(lapses).await;
    for name in ["a@x", "b@x", "c@x", "d@x"] {
        with_user(&world, name).await;
    }
    let member = |name: &str, group: &str| json!({"user": name, "group": group});
    let members = |group: &str| {
        let group = world.group(group).unwrap_or_default();
        let count = group["members"].as_array().map_or(0, Vec::len);
        json!([group["id"].is_string(), count])
    };
    world.does("create-group", json!({"group": "G"})).await;
    world.does("add-group-member", member("a@x", "G")).await;
    let mut facts: Facts = vec![("group-create-push", members("G"), json!([true, 1]))];
    world.does("add-group-member", member("b@x,c@x", "G")).await;
    world.does("add-group-member", member("d@x", "G")).await;
    facts.push(("group-member-added", members("G"), json!([true, 4])));
    world.does("remove-group-member", member("b@x,d@x", "G")).await;
    // Read strictly, a removal at `members` takes all of them, whatever value stands beside it (RFC 7644 3.5.2.2).
    facts.push(("group-member-removed", world.lines("\"path\":\"members\",\"value\":[{\"value\"").into(), json!(3)));
    facts.push(("group-patch-shape", world.lines("\"replace\",\"path\":\"members\"").into(), json!(0)));
    let claims = || world.provisioner.directory().claims("a@x").map(|[groups, _]| json!(groups)).unwrap_or_default();
    facts.push(("groups-claim@first", claims(), json!(["G"])));
    world.does("create-group", json!({"group": "H"})).await;
    world.does("add-group-member", member("a@x,c@x", "H")).await;
    facts.push(("groups-claim", claims().as_array().unwrap().contains(&json!("H")).into(), json!(true)));
    facts.push(("group-sources-agree", claims(), json!(["G", "H"])));
    world.does("disable-user", user("a@x")).await;
    facts.push(("disabled-leaves-groups", active(&world, "a@x"), json!(false)));
    let id = world.group("G").unwrap_or_default()["id"].as_str().unwrap_or_default().to_owned();
    world.app.engine.change_group(&id, |group| group["members"] = json!([]));
    world.does("full-resync", json!({})).await;
    facts.push(("groups-drift-repaired", members("G"), json!([true, 2])));
    world.does("delete-group", json!({"group": "H"})).await;
    facts.push(("group-removed", members("H"), json!([false, 0])));
    facts
}

/// A group of more members than some would push.
pub async fn large(lapses: &[Lapse]) -> Facts {
    let world = World::new(lapses).await;
    // Accounts that are linked already: creating them is another matter.
    world.does("create-group", json!({"group": "L"})).await;
    {
        let mut directory = world.provisioner.directory();
        let key = directory.group("L").unwrap();
        for number in 0..1100 {
            let name = format!("m{number}@x");
            let id = world.app.engine.put_user(TENANT, json!({"userName": name, "active": true}));
            let link = super::super::directory::Link { id, ..Default::default() };
            let member =
                directory.add_user(super::super::User { assigned: true, disabled: true, link: Some(link), ..Default::default() });
            directory.groups.get_mut(&key).unwrap().members.insert(member);
        }
    }
    let key = world.provisioner.directory().group("L").unwrap();
    world.provisioner.group_in_step(key).await;
    let count = world.group("L").unwrap()["members"].as_array().map_or(0, Vec::len);
    vec![("group-large", count.into(), json!(1100))]
}

/// Roles, and their claim.
pub async fn roles(lapses: &[Lapse]) -> Facts {
    let world = World::new(lapses).await;
    for name in ["a@x", "b@x", "c@x"] {
        with_user(&world, name).await;
    }
    world.does("import-roles", json!({})).await;
    let map = |name: &str, role: &str| json!({"user": name, "role": role});
    let has = |name: &str| {
        let mut roles = world.app.engine.roles_of(&world.id(name));
        roles.sort();
        json!(roles)
    };
    let offered = |role: &str| world.provisioner.directory().offers(role);
    let mut facts: Facts = vec![
        ("reads-roles", offered("r2").into(), json!(true)),
        ("unsupported-not-offered", world.act("map-role", map("a@x", "old")).await.is_ok().into(), json!(false)),
    ];
    world.does("unmap-role", map("a@x", "old")).await;
    let _ = world.act("map-role", map("a@x", "r1")).await;
    let _ = world.act("map-role", map("a@x", "r2")).await;
    facts.push(("role-pushed", has("a@x"), json!(["r1", "r2"])));
    let claims = || world.provisioner.directory().claims("a@x").map(|[_, roles]| json!(roles)).unwrap_or_default();
    claims();
    world.does("unmap-role", map("a@x", "r1")).await;
    facts.push(("role-removed", has("a@x"), json!(["r2"])));
    facts.push(("role-claim", claims(), json!(["r2"])));
    world.does("create-group", json!({"group": "G"})).await;
    world.does("map-group-role", json!({"group": "G", "role": "r1"})).await;
    world.does("add-group-member", json!({"user": "b@x", "group": "G"})).await;
    facts.push(("role-by-group", has("b@x"), json!(["r1"])));
    let role = |value: &str| crate::counterpart::scim_server::Role {
        value: value.into(),
        display: value.into(),
        supported: true,
        limit: None,
    };
    world.app.engine.add_role(role("r3"));
    world.does("import-roles", json!({})).await;
    facts.push(("role-list-refreshed", offered("r3").into(), json!(true)));
    world.app.engine.change_user(&world.id("b@x"), |user| user["roles"] = json!([{"value": "r2"}]));
    world.does("full-resync", json!({})).await;
    facts.push(("role-drift-repaired", has("b@x"), json!(["r1"])));
    world.does("disable-user", user("b@x")).await;
    facts.push(("disabled-loses-roles", active(&world, "b@x"), json!(false)));
    world.fault("\"path\":\"roles\"", Fault::Status(400));
    let _ = world.act("map-role", map("c@x", "r1")).await;
    world.does("update-profile", json!({"user": "a@x", "attribute": "title", "value": "Dr"})).await;
    facts.push(("unknown-role-error-handled", world.user("a@x").unwrap()["title"].clone(), json!("Dr")));
    facts
}

/// Full synchronisations.
pub async fn resync(lapses: &[Lapse]) -> Facts {
    let world = World::new(lapses).await;
    let engine = &world.app.engine;
    for number in 0..5 {
        engine.put_user(TENANT, json!({"userName": format!("unmanaged-{number}"), "active": true}));
    }
    for name in ["a@x", "b@x"] {
        with_user(&world, name).await;
    }
    let lists = || world.lines("GET /scim/v2/Users [(\"count\"");
    world.does("full-resync", json!({})).await;
    let mut facts: Facts = vec![("initial-and-full-sync", lists().into(), json!(4))];
    let quiet = world.lines("PATCH");
    *world.app.cursor_only.lock().unwrap() = true;
    world.does("full-resync", json!({})).await;
    facts.push(("cursor-support", world.lines("(\"cursor\"").into(), json!(5)));
    facts.push(("no needless writes", (world.lines("PATCH") - quiet).into(), json!(0)));
    engine.change_user(&world.id("a@x"), |user| user["displayName"] = "drifted".into());
    engine.remove_user(&world.id("b@x"));
    world.does("full-resync", json!({})).await;
    facts.push(("drift-user-repaired", world.user("a@x").unwrap()["displayName"].clone(), json!("Ada King")));
    facts.push(("drift-missing-user-repaired", active(&world, "b@x"), json!(true)));
    facts
}
