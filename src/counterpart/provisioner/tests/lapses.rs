//! The conforming service has every fact; each lapse spoils the one of its clause.

use std::collections::HashSet;

use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};

use super::super::Lapse;
use super::course::{self, Facts};
use super::world::World;

/// Commands, the key set and the callback endpoint.
async fn commands(lapses: &[Lapse]) -> Facts {
    let world = World::new(lapses).await;
    let user = |name: &str| json!({"user": name});
    for name in ["a@x", "b@x"] {
        world.does("create-user", user(name)).await;
        world.does("assign-user", user(name)).await;
    }
    let told = |command: &str| -> Vec<Value> {
        world.app.told.lock().unwrap().iter().filter(|told| told["command"] == command).cloned().collect()
    };
    world.does("update-profile", json!({"user": "a@x", "attribute": "title", "value": "no claim"})).await;
    world.does("update-profile", json!({"user": "a@x", "attribute": "displayName", "value": "Countess"})).await;
    let mut facts: Facts = vec![
        ("cmd-activate-maintain", json!([told("activate").len(), told("maintain").len()]), json!([2, 1])),
        ("cmd-token-form", told("activate")[0].get("nonce").is_some().into(), json!(false)),
        ("life", told("activate")[0]["life"].clone(), json!(60)),
    ];
    world.does("create-group", json!({"group": "G"})).await;
    world.does("add-group-member", json!({"user": "a@x", "group": "G"})).await;
    let announced = told("metadata").last().unwrap()["metadata"]["groups"][0]["id"].clone();
    let sent = |name: &str| {
        let mut all: Vec<Value> =
            world.app.told.lock().unwrap().iter().filter(|told| told["sub"] == "sub-a@x").cloned().collect();
        all.pop().unwrap()[name].clone()
    };
    facts.push(("cmd-metadata-groups", (sent("groups") == json!([announced])).into(), json!(true)));
    world.does("import-roles", json!({})).await;
    world.does("map-role", json!({"user": "a@x", "role": "r1"})).await;
    facts.push(("cmd-metadata-consumed", sent("roles"), json!(["0001"])));
    world.app.states.lock().unwrap().insert("sub-b@x".into(), "suspended".into());
    world.does("full-resync", json!({})).await;
    facts.push(("cmd-audit-drift", world.app.states.lock().unwrap()["sub-b@x"].clone().into(), json!("active")));
    let callback = async |token: &str, body: &Value| world.http("POST", "/callback", token, body).await;
    let asked = json!({"command_requested": "metadata"});
    facts.push(("cmd-callback-honoured", callback("wrong", &asked).await.into(), json!(401)));
    facts.push(("publishes-jwks", world.http("GET", "/jwks", "", &Value::Null).await.into(), json!(200)));
    world.does("disable-user", user("a@x")).await;
    facts.push(("cmd-deprovision", world.app.states.lock().unwrap()["sub-a@x"].clone().into(), json!("suspended")));
    world.does("enable-user", user("a@x")).await;
    *world.app.conflict.lock().unwrap() = true;
    let before = told("suspend").len();
    world.does("disable-user", user("a@x")).await;
    facts.push(("cmd-handles-409", (told("suspend").len() - before).into(), json!(1)));
    *world.app.conflict.lock().unwrap() = false;
    world.does("enable-user", user("a@x")).await;
    *world.app.supported.lock().unwrap() = vec!["metadata", "audit", "delete"];
    world.does("import-roles", json!({})).await;
    let before = told("suspend").len();
    world.does("disable-user", user("b@x")).await;
    facts.push(("cmd-only-supported", (told("suspend").len() - before).into(), json!(0)));
    world.app.issuer.lock().unwrap().push_str("/other");
    world.provisioner.scim.as_ref().unwrap().forget_token().await;
    world.does("enable-user", user("b@x")).await;
    facts.push(("as-discovery", world.lines("TOKEN").into(), json!(1)));
    facts
}

type Course = fn(&'static [Lapse]) -> BoxFuture<'static, Facts>;

const COURSES: [Course; 7] = [
    |lapses| Box::pin(course::users(lapses)),
    |lapses| Box::pin(course::faults(lapses)),
    |lapses| Box::pin(course::groups(lapses)),
    |lapses| Box::pin(course::large(lapses)),
    |lapses| Box::pin(course::roles(lapses)),
    |lapses| Box::pin(course::resync(lapses)),
    |lapses| Box::pin(commands(lapses)),
];

/// Elsewhere: a twist of the OpenID Provider, and TLS.
const ELSEWHERE: [Lapse; 2] = [Lapse::AccessEndsAtIdpToo, Lapse::TlsServerValidation];

fn clause(lapse: Lapse) -> &'static str {
    lapse.clause().split_once(".idp.").unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_conforming_service_has_every_fact() {
    let mut seen = HashSet::new();
    for facts in join_all(COURSES.iter().map(|course| course(&[]))).await {
        for (name, fact, wanted) in facts {
            assert_eq!(fact, wanted, "{name}");
            seen.insert(name);
        }
    }
    for lapse in Lapse::ALL.iter().filter(|lapse| !ELSEWHERE.contains(lapse)) {
        assert!(seen.contains(clause(*lapse)), "no fact for {lapse:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_lapse_departs() {
    let mut owner = std::collections::HashMap::new();
    for course in COURSES {
        for (name, ..) in course(&[]).await {
            owner.insert(name, course);
        }
    }
    let lapses: Vec<(usize, Lapse)> =
        Lapse::ALL.iter().copied().enumerate().filter(|(_, lapse)| !ELSEWHERE.contains(lapse)).collect();
    let mut quiet = Vec::new();
    for some in lapses.chunks(16) {
        let runs = some.iter().map(|(at, lapse)| async move { (*lapse, &Lapse::ALL[*at..=*at]) });
        let runs = join_all(runs).await;
        let facts = join_all(runs.iter().map(|(lapse, alone)| owner[clause(*lapse)](alone))).await;
        for ((lapse, _), facts) in runs.iter().zip(facts) {
            let (_, fact, wanted) = facts.into_iter().find(|(name, ..)| *name == clause(*lapse)).unwrap();
            if fact == wanted {
                quiet.push(*lapse);
            }
        }
    }
    assert!(quiet.is_empty(), "no departure: {quiet:?}");
}

#[tokio::test]
async fn hooks_need_the_token_and_the_callback_endpoint_answers_as_the_draft_says() {
    let world = World::new(&[]).await;
    assert_eq!(world.http("POST", "/operator/import-roles", "wrong", &json!({})).await, 401);
    assert_eq!(world.http("POST", "/operator/import-roles?sync=5", "hook", &json!({})).await, 200);
    assert_eq!(world.http("POST", "/operator/disable-user", "hook", &json!({"user": "nobody"})).await, 400);
    assert_eq!(world.http("POST", "/operator/dance", "hook", &json!({})).await, 400);
    let token = world.provisioner.commands.as_ref().unwrap().callback_token().await;
    assert_eq!(world.http("POST", "/callback", &token, &json!({"command_requested": "dance"})).await, 400);
    assert_eq!(world.http("POST", "/callback", &token, &json!({"command_requested": "metadata"})).await, 204);
    for _ in 0..100 {
        if world.commands().len() > 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(world.commands(), ["metadata", "metadata"]);
}
