//! Roles: mapped from groups, assigned by SCIM, and gone when they are taken away.

use super::accounts::{People, people};
use super::*;

const PRESS: &str = "Staff of the press";
const AUDIT: &str = "Auditing office";

struct Member {
    people: People,
    id: String,
}

async fn member(defects: &[Defect]) -> Member {
    let people = people(defects).await;
    let id = people.provision("s1", "One", true);
    people.says("s1", "One");
    Member { people, id }
}

impl Member {
    fn group(&self, name: &str) -> String {
        let group = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": [{"value": self.id}],
        });
        let made = self.people.scim("first", "POST", "/Groups", &group);
        assert_eq!(made.status, 201, "{made:?}");
        made.body.unwrap()["id"].as_str().unwrap().to_owned()
    }

    fn leave(&self, group: &str) {
        let path = format!("members[value eq \"{}\"]", self.id);
        self.people.patch(&format!("/Groups/{group}"), &json!([{"op": "remove", "path": path}]));
    }

    fn user(&self, operation: &Value) {
        self.people.patch(&format!("/Users/{}", self.id), &json!([operation]));
    }

    async fn roles(&self) -> Vec<String> {
        let (browser, account) = self.people.sign_in().await;
        assert_eq!(account.as_deref(), Some(self.id.as_str()));
        self.people.roles(&browser).await
    }
}

#[tokio::test]
async fn groups_give_the_roles_they_are_mapped_to_and_no_others() {
    let member = member(&[]).await;
    assert!(member.roles().await.is_empty());
    let press = member.group(PRESS);
    assert_eq!(member.roles().await, ["editor"]);
    let audit = member.group(AUDIT);
    assert_eq!(member.roles().await, ["auditor", "editor"]);
    member.leave(&press);
    assert_eq!(member.roles().await, ["auditor"]);
    for name in ["editor", "Editor", "archivist"] {
        member.group(name);
    }
    assert_eq!(member.roles().await, ["auditor"]);
    assert_eq!(member.people.scim("first", "DELETE", &format!("/Groups/{audit}"), &Value::Null).status, 204);
    assert!(member.roles().await.is_empty());
}

#[tokio::test]
async fn a_claim_gives_the_same_until_the_next_sign_in_without_it() {
    let member = member(&[]).await;
    member.people.says_more("s1", "One", json!({"groups": [PRESS, "editor", "archivist"]}));
    assert_eq!(member.roles().await, ["editor"]);
    member.people.says("s1", "One");
    assert!(member.roles().await.is_empty());
}

#[tokio::test]
async fn groups_of_userinfo_belong_to_its_subject() {
    let foreign = |body: &mut Value| {
        body["sub"] = "somebody else".into();
        body["groups"] = json!([PRESS]);
    };
    let right = member(&[]).await;
    right.people.world.provider.say(&right.people.world.provider.userinfo, foreign);
    assert_eq!(right.people.sign_in().await.1, None);
    right.people.world.provider.say(&right.people.world.provider.userinfo, |body| body["groups"] = json!([PRESS]));
    assert_eq!(right.roles().await, ["editor"]);
    let wrong = member(&[Defect::GroupClaimSourceTrusted]).await;
    wrong.people.world.provider.say(&wrong.people.world.provider.userinfo, foreign);
    assert_eq!(wrong.roles().await, ["editor"]);
}

#[tokio::test]
async fn assigned_roles_hold_until_they_are_removed() {
    let assign = json!({"op": "add", "path": "roles", "value": [{"value": "archivist"}]});
    let remove = json!({"op": "remove", "path": "roles[value eq \"archivist\"]"});
    for (defects, given, left) in [
        (&[][..], &["archivist"][..], &[][..]),
        (&[Defect::AssignRole], &[], &[]),
        (&[Defect::RemoveRole], &["archivist"], &["archivist"]),
    ] {
        let member = member(defects).await;
        member.user(&assign);
        assert_eq!(member.roles().await, given, "{defects:?}");
        member.user(&remove);
        assert_eq!(member.roles().await, left, "{defects:?}");
        assert!(member.people.user(&member.id)["roles"].as_array().is_none_or(Vec::is_empty));
    }
}

#[tokio::test]
async fn the_last_assignment_holds_after_a_suspension() {
    for (defects, back) in [(&[][..], false), (&[Defect::RoleSurvivesSuspension][..], true)] {
        let member = member(defects).await;
        member.user(&json!({"op": "add", "path": "roles", "value": [{"value": "archivist"}]}));
        member.people.set_active(&member.id, false);
        member.user(&json!({"op": "remove", "path": "roles"}));
        member.people.set_active(&member.id, true);
        assert_eq!(!member.roles().await.is_empty(), back);
    }
}

#[tokio::test]
async fn the_defects_of_mapping_depart() {
    let member_of = |defect: Defect| async move { member(&[defect]).await };
    let ignoring = member_of(Defect::MappingEffective).await;
    ignoring.group(PRESS);
    assert!(ignoring.roles().await.is_empty());

    let adding = member_of(Defect::MappingRemoved).await;
    adding.leave(&adding.group(PRESS));
    assert_eq!(adding.roles().await, ["editor"]);
    adding.people.says_more("s1", "One", json!({"groups": [AUDIT]}));
    adding.roles().await;
    adding.people.says("s1", "One");
    assert_eq!(adding.roles().await, ["auditor", "editor"]);

    let keeping = member_of(Defect::GroupDelete).await;
    let group = keeping.group(PRESS);
    keeping.people.scim("first", "DELETE", &format!("/Groups/{group}"), &Value::Null);
    assert_eq!(keeping.roles().await, ["editor"]);

    let matching = member_of(Defect::MappingUnmappedGroup).await;
    matching.group("Archivist");
    assert_eq!(matching.roles().await, ["archivist"]);

    let last = member_of(Defect::MappingManyGroups).await;
    last.group(PRESS);
    let audit = last.group(AUDIT);
    assert_eq!(last.roles().await, ["auditor"]);
    last.leave(&audit);
    assert_eq!(last.roles().await, ["editor"]);
}

#[tokio::test]
async fn the_operator_makes_roles_and_scim_shows_what_the_administrator_sees() {
    for (defects, hidden) in [(&[][..], ""), (&[Defect::RolesComplete][..], "archivist")] {
        let people = people(defects).await;
        let request = people.world.http.post(World::url("/operator/create-role")).json(&json!({"role": "typesetter"}));
        assert_eq!(send(&Browser::default(), request.try_clone().unwrap()).await.status, 401);
        let made = send(&Browser::default(), request.bearer_auth(people.world.secret("app-hook-token"))).await;
        assert_eq!(made.json()["role"], "typesetter");
        let exposed = people.scim("first", "GET", "/Roles", &Value::Null).body.unwrap();
        let exposed: Vec<String> =
            exposed["Resources"].as_array().unwrap().iter().map(|role| role["value"].as_str().unwrap().to_owned()).collect();
        people.says("reference-administrator", "Administrator");
        let (admin, _) = people.sign_in().await;
        let page = people.world.get(&admin, "/admin/roles").await.body;
        let seen = page.split("<li class=\"role\">").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned());
        assert_eq!(seen.filter(|role| role != hidden).collect::<Vec<_>>(), exposed);
        assert!(exposed.contains(&"typesetter".to_owned()));
        let request = people.world.http.post(World::url("/operator/delete-role")).json(&json!({"role": "typesetter"}));
        assert_eq!(send(&Browser::default(), request.try_clone().unwrap()).await.status, 401);
        assert_eq!(send(&Browser::default(), request.bearer_auth(people.world.secret("app-hook-token"))).await.status, 200);
        let left = people.scim("first", "GET", "/Roles", &Value::Null).body.unwrap();
        assert!(!left.to_string().contains("typesetter"));
        assert!(!people.world.get(&admin, "/admin/roles").await.body.contains("typesetter"));
    }
}
