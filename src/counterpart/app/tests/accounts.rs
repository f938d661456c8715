//! Accounts: a sign-in finds the provisioned user, and what SCIM does ends access.

use super::*;
use crate::counterpart::embedded_app::INHABITANTS;
use crate::counterpart::scim_server::{Caller, Request, Response};

/// What the tests of accounts, roles and pages share.
pub struct People {
    pub world: World,
}

pub async fn people(defects: &[Defect]) -> People {
    People { world: world(defects).await }
}

impl People {
    /// A SCIM request of the client of a tenant.
    pub fn scim(&self, tenant: &str, method: &str, path: &str, body: &Value) -> Response {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = Request {
            method: method.into(),
            path: path.into(),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: vec![("content-type".into(), "application/scim+json".into())],
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        self.world.embedded.app.app.scim.handle(&Caller::Tenant(tenant.into()), &request)
    }

    /// A user for this subject; its id.
    pub fn provision(&self, sub: &str, name: &str, active: bool) -> String {
        let user = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": format!("{sub}@example.test"), "externalId": sub,
            "displayName": name, "active": active, "emails": [{"value": format!("{sub}@example.test"), "primary": true}],
        });
        let made = self.scim("first", "POST", "/Users", &user);
        assert_eq!(made.status, 201, "{made:?}");
        made.body.unwrap()["id"].as_str().unwrap().to_owned()
    }

    pub fn patch(&self, path: &str, operations: &Value) {
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
        let done = self.scim("first", "PATCH", path, &body);
        assert!(done.status < 300, "{done:?}");
    }

    pub fn set_active(&self, id: &str, active: bool) {
        self.patch(&format!("/Users/{id}"), &json!([{"op": "replace", "path": "active", "value": active}]));
    }

    pub fn user(&self, id: &str) -> Value {
        self.scim("first", "GET", &format!("/Users/{id}"), &Value::Null).body.unwrap_or_default()
    }

    /// Users of the first tenant but for those of the start.
    pub fn users(&self) -> usize {
        let all = self.scim("first", "GET", "/Users", &Value::Null).body.unwrap_or_default();
        all["totalResults"].as_u64().unwrap() as usize - INHABITANTS
    }

    /// From now on this is who signs in.
    pub fn says(&self, sub: &str, name: &str) {
        self.says_more(sub, name, json!({}));
    }

    /// With more claims in the ID token.
    pub fn says_more(&self, sub: &str, name: &str, more: Value) {
        let (claimed, info) = ((sub.to_owned(), name.to_owned()), (sub.to_owned(), name.to_owned()));
        self.world.provider.say(&self.world.provider.claims, move |claims| {
            claims["sub"] = claimed.0.as_str().into();
            claims["name"] = claimed.1.as_str().into();
            claims["email"] = format!("{}@example.test", claimed.0).into();
            for (name, value) in more.as_object().unwrap() {
                claims[name] = value.clone();
            }
        });
        self.world.provider.say(&self.world.provider.userinfo, move |body| {
            body["sub"] = info.0.as_str().into();
            body["name"] = info.1.as_str().into();
        });
    }

    pub async fn sign_in(&self) -> (Browser, Option<String>) {
        let browser = Browser::default();
        let account = self.world.login(&browser).await;
        (browser, account)
    }

    pub async fn shown(&self, browser: &Browser) -> Option<String> {
        self.world.get(browser, "/protected").await.text_of("name")
    }

    pub async fn roles(&self, browser: &Browser) -> Vec<String> {
        let page = self.world.get(browser, "/protected").await.body;
        page.split("<li class=\"role\">").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
    }
}

/// Everything that a signed-in user has: does it work?
struct Access {
    browser: Browser,
    access: String,
    refresh: String,
}

impl Access {
    async fn of(people: &People) -> Access {
        let (browser, account) = people.sign_in().await;
        assert!(account.is_some());
        let tokens = people.world.get(&browser, "/tokens").await.json();
        let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
        Access { access: text("access_token"), refresh: text("refresh_token"), browser }
    }

    /// Session, API of the pages, access token, refresh token.
    async fn works(&self, people: &People) -> [bool; 4] {
        let world = &people.world;
        let page = world.account(&self.browser).await.is_some();
        let script = world.get(&self.browser, "/api/me").await.status == 200;
        let request = world.http.get(format!("https://{API_HOST}/api/data")).bearer_auth(&self.access);
        let token = send(&Browser::default(), request).await.status == 200;
        let form = [("grant_type", "refresh_token"), ("refresh_token", self.refresh.as_str())];
        [page, script, token, world.back("/token", &form).await.status == 200]
    }
}

#[tokio::test]
async fn a_provisioned_user_signs_in_to_that_account() {
    let people = people(&[]).await;
    let id = people.provision("s1", "Provisioned", true);
    people.says("s1", "Provisioned");
    let (browser, account) = people.sign_in().await;
    assert_eq!(account.as_deref(), Some(id.as_str()));
    assert_eq!((people.shown(&browser).await.as_deref(), people.users()), (Some("Provisioned"), 1));
    people.patch(&format!("/Users/{id}"), &json!([{"op": "replace", "path": "displayName", "value": "Changed"}]));
    assert_eq!(people.shown(&browser).await.as_deref(), Some("Changed"));
    people.says("s1", "Stale");
    let (browser, _) = people.sign_in().await;
    assert_eq!(people.shown(&browser).await.as_deref(), Some("Changed"));
    assert_eq!(people.user(&id)["displayName"], "Changed");
    assert_eq!(people.scim("second", "GET", &format!("/Users/{id}"), &Value::Null).status, 404);
}

#[tokio::test]
async fn suspension_and_deletion_end_everything_for_ever() {
    let people = people(&[]).await;
    let id = people.provision("s1", "One", true);
    let other = people.provision("s2", "Two", true);
    people.says("s2", "Two");
    let (bystander, account) = people.sign_in().await;
    assert_eq!(account, Some(other));
    people.says("s1", "One");
    for (method, path) in [("PATCH", "deactivated"), ("DELETE", "gone")] {
        let access = Access::of(&people).await;
        let fresh = Access::of(&people).await;
        assert_eq!(fresh.works(&people).await, [true; 4]);
        if method == "PATCH" {
            people.set_active(&id, false);
        } else {
            assert_eq!(people.scim("first", "DELETE", &format!("/Users/{id}"), &Value::Null).status, 204);
        }
        assert_eq!(access.works(&people).await, [false; 4], "{path}");
        let (_, account) = people.sign_in().await;
        assert_eq!(account, None, "{path}");
        if method == "PATCH" {
            people.set_active(&id, true);
            assert_eq!(access.works(&people).await, [false; 4]);
            assert_eq!(people.sign_in().await.1.as_deref(), Some(id.as_str()));
        }
    }
    assert!(people.world.account(&bystander).await.is_some());
    // The identity service may make the account anew, a sign-in may not.
    assert_eq!(people.users(), 1);
    let again = people.provision("s1", "One again", true);
    assert_eq!(people.sign_in().await.1, Some(again));
}

#[tokio::test]
async fn a_put_that_deactivates_ends_access_too() {
    let people = people(&[]).await;
    let id = people.provision("s1", "One", true);
    people.says("s1", "One");
    let access = Access::of(&people).await;
    let mut user = people.user(&id);
    user["active"] = false.into();
    assert_eq!(people.scim("first", "PUT", &format!("/Users/{id}"), &user).status, 200);
    assert_eq!(access.works(&people).await, [false; 4]);
}

#[tokio::test]
async fn an_inactive_user_signs_in_after_activation_only() {
    for (defects, early) in [(&[][..], false), (&[Defect::NoSigninBeforeActive][..], true), (&[Defect::SigninRefused][..], false)]
    {
        let people = people(defects).await;
        let id = people.provision("s1", "One", false);
        people.says("s1", "One");
        assert_eq!(people.sign_in().await.1.is_some(), early, "{defects:?}");
        people.set_active(&id, true);
        assert_eq!(people.sign_in().await.1.as_deref(), Some(id.as_str()));
        people.set_active(&id, false);
        assert_eq!(people.sign_in().await.1.is_some(), defects == [Defect::SigninRefused], "{defects:?}");
    }
}

#[tokio::test]
async fn the_defects_of_the_end_of_access_depart() {
    let after = |defect: Defect| async move {
        let people = people(&[defect]).await;
        let id = people.provision("s1", "One", true);
        people.says("s1", "One");
        let access = Access::of(&people).await;
        people.set_active(&id, false);
        let suspended = access.works(&people).await;
        let signs_in = people.sign_in().await.1.is_some();
        people.set_active(&id, true);
        (suspended, signs_in, access.works(&people).await)
    };
    assert_eq!(after(Defect::ReactivationRevivesNoSession).await, ([false; 4], false, [true; 4]));
    let (suspended, signs_in, _) = after(Defect::AnyOneWay).await;
    assert_eq!((suspended, signs_in), ([true; 4], true));
    assert_eq!(after(Defect::SessionEnds).await, ([true, true, false, false], false, [true, true, false, false]));
    let (suspended, signs_in, _) = after(Defect::AccessMechanisms).await;
    assert_eq!((suspended, signs_in), ([false, false, false, true], false));
}

#[tokio::test]
async fn an_account_made_by_a_sign_in_is_managed_at_once() {
    let people = people(&[]).await;
    people.says("s1", "First");
    let (browser, account) = people.sign_in().await;
    let id = account.unwrap();
    let user = people.user(&id);
    assert_eq!((user["externalId"].as_str(), user["displayName"].as_str()), (Some("s1"), Some("First")));
    people.says("s1", "Second");
    assert_eq!(people.sign_in().await.1, Some(id.clone()));
    assert_eq!(people.shown(&browser).await.as_deref(), Some("Second"));
    people.patch(&format!("/Users/{id}"), &json!([{"op": "replace", "path": "displayName", "value": "Provisioned"}]));
    people.says("s1", "Third");
    people.sign_in().await;
    assert_eq!(people.user(&id)["displayName"], "Provisioned");
    people.set_active(&id, false);
    assert_eq!(people.world.account(&browser).await, None);
    assert_eq!(people.users(), 1);
    // The same subject of the second issuer is somebody of the second tenant.
    people.set_active(&id, true);
    let second = people.world.login_from(&Browser::default(), "/login?connection=second").await;
    assert!(second.is_some() && second != Some(id) && people.users() == 1);
}

#[tokio::test]
async fn the_defects_of_sign_ins_depart() {
    let twice = people(&[Defect::CreatedUserSignsIn]).await;
    let id = twice.provision("s1", "One", true);
    twice.says("s1", "One");
    assert_eq!((twice.sign_in().await.1, twice.users()), (Some(id), 2));
    twice.sign_in().await;
    assert_eq!(twice.users(), 2);

    let hidden = people(&[Defect::JitUserIsManaged]).await;
    hidden.says("s1", "One");
    assert!(hidden.sign_in().await.1.is_some());
    assert_eq!(hidden.users(), 0);

    let stale = people(&[Defect::JitDoesNotOverwrite]).await;
    let id = stale.provision("s1", "Provisioned", true);
    stale.says("s1", "Stale");
    stale.sign_in().await;
    assert_eq!(stale.user(&id)["displayName"], "Stale");

    let cached = people(&[Defect::UpdateVisibleToUser]).await;
    let id = cached.provision("s1", "A", true);
    cached.says("s1", "A");
    let (browser, _) = cached.sign_in().await;
    cached.patch(&format!("/Users/{id}"), &json!([{"op": "replace", "path": "displayName", "value": "B"}]));
    assert_eq!(cached.shown(&browser).await.as_deref(), Some("A"));
    assert_eq!(cached.user(&id)["displayName"], "B");
}

#[tokio::test]
async fn the_interface_obeys_its_clients_over_tls_and_logs_what_they_do() {
    let people = people(&[]).await;
    let base = format!("https://{API_HOST}/scim/v2");
    let none = Browser::default();
    let ask = |path: &str, token: &str| people.world.http.get(format!("{base}{path}")).bearer_auth(token.to_owned());
    let [first, second] = ["scim-token", "second-scim-token"].map(|name| people.world.secret(name).to_owned());
    assert_eq!(send(&none, ask("/Users", "wrong")).await.status, 401);
    let id = people.provision("s1", "One", true);
    let listed = send(&none, ask("/Users?count=1", &first)).await;
    assert_eq!((listed.status, listed.header("content-type")), (200, "application/scim+json"));
    assert_eq!(listed.json()["totalResults"], INHABITANTS + 1);
    assert_eq!(send(&none, ask("/Users", &second)).await.json()["totalResults"], 0, "another tenant");
    let other = people.world.http.get(format!("https://{API_HOST}/api/data")).bearer_auth(&first);
    assert_eq!(send(&none, other).await.status, 401);
    let gone = people.world.http.delete(format!("{base}/Users/{id}")).bearer_auth(&first);
    assert_eq!(send(&none, gone).await.status, 204);
    let log = people.world.embedded.app.app.lock().audit.clone();
    assert!(log.len() == 1 && log[0].ends_with(&format!("first DELETE /Users/{id} 204")), "{log:?}");
    // More looks in a second than anybody needs.
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let looks = (0..60).map(|_| send(&none, ask("/Users?count=1", &first)));
        statuses.extend(futures_util::future::join_all(looks).await.into_iter().map(|answer| answer.status));
    }
    assert!(statuses.contains(&429) && statuses.contains(&200));
}
