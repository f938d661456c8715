//! The application's own pages: what they refuse, and what the defects let through.

use super::accounts::{People, people};
use super::*;

/// Fills a form and sends it, with its hidden token; status of the answer, and where it leads.
async fn fill(people: &People, browser: &Browser, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let page = people.world.get(browser, path).await;
    let Some((_, rest)) = page.body.split_once("name=\"csrf\" value=\"") else { return (page.status, String::new()) };
    assert!(fields.iter().all(|(name, _)| page.body.contains(&format!("id=\"{name}\""))), "{path}");
    let csrf = rest.split('"').next().unwrap();
    let form: Vec<(&str, &str)> = fields.iter().copied().chain([("csrf", csrf)]).collect();
    let answer = people.world.post(browser, path, &form).await;
    (answer.status, answer.header("location").to_owned())
}

async fn admin(people: &People) -> Browser {
    people.says("reference-administrator", "Administrator");
    let (browser, account) = people.sign_in().await;
    assert!(account.is_some());
    browser
}

/// Everything an administrator and a user can try about the user; the state of that user afterwards.
async fn tried(defects: &[Defect]) -> (Vec<u16>, Value, usize, Vec<String>) {
    let people = people(defects).await;
    let id = people.provision("s1", "One", true);
    let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Staff of the press"});
    assert_eq!(people.scim("first", "POST", "/Groups", &group).status, 201);
    let admin = admin(&people).await;
    people.says("s1", "One");
    let (user, _) = people.sign_in().await;
    let before = people.users();
    let name = ("user-name", "s1@example.test");
    let mut seen = Vec::new();
    for (path, fields) in [
        ("/admin/users/new", &[("user-name", "new@example.test"), ("email", "new@example.test")][..]),
        ("/admin/users/edit", &[name, ("display-name", "By admin")]),
        ("/admin/groups/edit", &[("group", "Staff of the press"), name]),
        ("/admin/roles/edit", &[name, ("role", "archivist")]),
    ] {
        seen.push(fill(&people, &admin, path, fields).await.0);
    }
    seen.push(fill(&people, &user, "/account/edit", &[("display-name", "By user")]).await.0);
    let roles = people.roles(&user).await;
    let kept = people.user(&id);
    seen.push(fill(&people, &admin, "/admin/users/delete", &[name]).await.0);
    let gone = people.user(&id)["userName"].is_null();
    (seen, if gone { Value::Null } else { kept }, people.users() + usize::from(gone) - before, roles)
}

#[tokio::test]
async fn what_the_identity_service_decides_cannot_be_changed_here() {
    let (seen, user, more, roles) = tried(&[]).await;
    assert_eq!((seen, more), (vec![403; 6], 0));
    assert_eq!(user["displayName"], "One");
    assert!(roles.is_empty() && user["groups"].as_array().is_none_or(Vec::is_empty));
}

#[tokio::test]
async fn the_defects_of_local_edits_depart() {
    let (seen, _, more, _) = tried(&[Defect::LocalCreateRefused]).await;
    assert_eq!((seen, more), (vec![200, 403, 403, 403, 403, 403], 1));
    let (seen, user, ..) = tried(&[Defect::LocalUpdateRefused]).await;
    assert_eq!((seen, user["displayName"].as_str()), (vec![403, 200, 403, 403, 200, 403], Some("By user")));
    let (seen, user, ..) = tried(&[Defect::LocalDeleteRefused]).await;
    assert_eq!((seen, user), (vec![403, 403, 403, 403, 403, 200], Value::Null));
    let (seen, _, _, roles) = tried(&[Defect::LocalGroupEditRefused]).await;
    assert_eq!((seen, roles), (vec![403, 403, 200, 403, 403, 403], vec!["editor".to_owned()]));
    let (seen, user, _, roles) = tried(&[Defect::LocalRoleChangeRefused]).await;
    assert_eq!((seen, roles), (vec![403, 403, 403, 200, 403, 403], vec!["archivist".to_owned()]));
    assert_eq!(user["roles"][0]["value"], "archivist");
    let (seen, user, _, roles) = tried(&[Defect::MappingNotClientSupplied]).await;
    assert_eq!((seen, roles), (vec![403, 403, 403, 200, 403, 403], vec!["archivist".to_owned()]));
    assert!(user["roles"].as_array().is_none_or(Vec::is_empty));
}

#[tokio::test]
async fn only_the_administrator_sees_the_administration_and_forms_have_a_token() {
    let people = people(&[]).await;
    people.says("s1", "One");
    let (user, _) = people.sign_in().await;
    for path in ["/admin/users/new", "/admin/roles", "/admin/log"] {
        assert_eq!(people.world.get(&user, path).await.status, 403, "{path}");
        assert_eq!(people.world.get(&Browser::default(), path).await.status, 303, "{path}");
    }
    assert_eq!(people.world.post(&user, "/account/close", &[]).await.status, 403);
    let admin = admin(&people).await;
    assert_eq!(people.world.get(&admin, "/admin/log").await.status, 200);
    // The same subject of the other issuer is not the administrator.
    let other = Browser::default();
    assert!(people.world.login_from(&other, "/login?connection=second").await.is_some());
    assert_eq!(people.world.get(&other, "/admin/log").await.status, 403);
}

#[tokio::test]
async fn nobody_signs_up_or_in_past_the_identity_service() {
    for (defects, more) in [(&[][..], 0), (&[Defect::SelfSignupRefused][..], 1)] {
        let people = people(defects).await;
        let (status, place) = fill(&people, &Browser::default(), "/signup", &[("email", "new@example.test")]).await;
        assert_eq!(people.users(), more);
        assert!(more == 1 || (status == 303 && place.starts_with("https://op.test/authorize?")), "{status} {place}");
    }
    for (defects, inside) in [(&[][..], false), (&[Defect::NoBypassSignin][..], true)] {
        let people = people(defects).await;
        let id = people.provision("s1", "One", true);
        let ways = [
            ("/local-login", &[("user-name", "s1@example.test"), ("password", "p")][..]),
            ("/password-reset", &[("email", "s1@example.test")]),
        ];
        for active in [true, false] {
            people.set_active(&id, active);
            for (path, fields) in ways {
                let browser = Browser::default();
                fill(&people, &browser, path, fields).await;
                assert_eq!(people.world.account(&browser).await.is_some(), inside && !active, "{path}");
            }
        }
    }
}
