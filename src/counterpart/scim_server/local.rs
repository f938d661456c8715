//! The resources as the application itself sees and changes them, past the protocol: sign-in, commands, local administration.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::call::Call;
use super::schema::Kind;
use super::store::Stored;
use super::{Engine, Listener, Request, Role};

impl Engine {
    /// A user as GET would show it, of whichever tenant.
    pub fn user(&self, id: &str) -> Option<Value> {
        self.one(Kind::User, id)
    }

    /// The users of a tenant, in the order of their creation.
    pub fn users(&self, tenant: &str) -> Vec<Value> {
        self.all(Kind::User, |user| user.tenant == tenant)
    }

    /// The users of a tenant whose attributes are as wanted; what the server itself assigns is not among them.
    pub fn users_where(&self, tenant: &str, wanted: impl Fn(&Map<String, Value>) -> bool) -> Vec<Value> {
        self.all(Kind::User, |user| user.tenant == tenant && wanted(&user.data))
    }

    /// The first user of a tenant with this userName, externalId or one of these emails; userName and emails regardless of case.
    pub fn find_user(&self, tenant: &str, attribute: &str, value: &str) -> Option<Value> {
        let same =
            |found: &str| if attribute == "externalId" { found == value } else { found.to_lowercase() == value.to_lowercase() };
        let found = |user: &Stored| match attribute {
            "emails" => user.values("emails").any(same),
            "userName" | "externalId" => user.data.get(attribute).and_then(Value::as_str).is_some_and(same),
            _ => false,
        };
        self.all(Kind::User, |user| user.tenant == tenant && found(user)).into_iter().next()
    }

    /// A group as GET would show it, of whichever tenant.
    pub fn group(&self, id: &str) -> Option<Value> {
        self.one(Kind::Group, id)
    }

    /// The groups of a tenant, in the order of their creation.
    pub fn groups(&self, tenant: &str) -> Vec<Value> {
        self.all(Kind::Group, |group| group.tenant == tenant)
    }

    /// The groups that have this user as a member.
    pub fn groups_of(&self, user_id: &str) -> Vec<Value> {
        self.all(Kind::Group, |group| group.values("members").any(|member| member == user_id))
    }

    /// The values of the roles that a user holds.
    pub fn roles_of(&self, user_id: &str) -> Vec<String> {
        let state = self.state();
        state.find(Kind::User, user_id).map(|user| user.values("roles").map(str::to_owned).collect()).unwrap_or_default()
    }

    /// The tenant of a user or group.
    pub fn tenant_of(&self, id: &str) -> Option<String> {
        let state = self.state();
        state.find(Kind::User, id).or_else(|| state.find(Kind::Group, id)).map(|stored| stored.tenant.clone())
    }

    /// Creates a user, or replaces the one with the same id, past all checks of the protocol; answers the id. It is active unless it
    /// says otherwise.
    pub fn put_user(&self, tenant: &str, mut user: Value) -> String {
        if let Some(user) = user.as_object_mut() {
            user.entry("active").or_insert(true.into());
        }
        self.put(Kind::User, tenant, user)
    }

    /// Changes a user past all checks of the protocol; false when there is none. `change` must not call the engine.
    pub fn change_user(&self, id: &str, change: impl FnOnce(&mut Value)) -> bool {
        self.change(Kind::User, id, change)
    }

    /// Removes a user, also from groups; false when there is none.
    pub fn remove_user(&self, id: &str) -> bool {
        self.with_call("", |call| call.remove(Kind::User, id))
    }

    /// Creates a group, or replaces the one with the same id, past all checks of the protocol; answers the id.
    pub fn put_group(&self, tenant: &str, group: Value) -> String {
        self.put(Kind::Group, tenant, group)
    }

    /// Changes a group past all checks of the protocol; false when there is none. `change` must not call the engine.
    pub fn change_group(&self, id: &str, change: impl FnOnce(&mut Value)) -> bool {
        self.change(Kind::Group, id, change)
    }

    /// Removes a group; false when there is none.
    pub fn remove_group(&self, id: &str) -> bool {
        self.with_call("", |call| call.remove(Kind::Group, id))
    }

    /// The roles as they can be assigned.
    pub fn roles(&self) -> Vec<Role> {
        self.state().roles.clone()
    }

    /// Replaces the catalogue of roles.
    pub fn set_roles(&self, roles: Vec<Role>) {
        let mut state = self.state();
        if state.first_roles.is_empty() {
            state.first_roles.clone_from(&roles);
        }
        state.roles = roles;
    }

    /// Adds a role to the catalogue, or replaces the one with the same value.
    pub fn add_role(&self, role: Role) {
        let mut state = self.state();
        match state.roles.iter_mut().find(|known| known.value == role.value) {
            Some(known) => *known = role,
            None => state.roles.push(role),
        }
    }

    /// Takes a role out of the catalogue; who holds it keeps it. False when there is none.
    pub fn remove_role(&self, value: &str) -> bool {
        let mut state = self.state();
        let before = state.roles.len();
        state.roles.retain(|role| role.value != value);
        state.roles.len() < before
    }

    /// Calls the listener after every change from now on. It may call the engine.
    pub fn on_change(&self, listener: Listener) {
        self.listeners().push(Arc::new(listener));
    }

    fn one(&self, kind: Kind, id: &str) -> Option<Value> {
        let state = self.state();
        state.find(kind, id).map(|stored| state.view(&self.config, kind, stored))
    }

    fn all(&self, kind: Kind, wanted: impl Fn(&Stored) -> bool) -> Vec<Value> {
        let state = self.state();
        state.all(kind).iter().filter(|stored| wanted(stored)).map(|stored| state.view(&self.config, kind, stored)).collect()
    }

    fn put(&self, kind: Kind, tenant: &str, resource: Value) -> String {
        let id = resource["id"].as_str().filter(|id| !id.is_empty()).map(str::to_owned);
        self.with_call(tenant, |call| {
            let known = id.as_deref().and_then(|id| call.state.find(kind, id)).cloned();
            match known {
                Some(known) => call.commit(kind, &known, kept(resource)).id,
                None => call.insert(kind, id, kept(resource)).id,
            }
        })
    }

    fn change(&self, kind: Kind, id: &str, change: impl FnOnce(&mut Value)) -> bool {
        self.with_call("", |call| {
            let Some(known) = call.state.find(kind, id).cloned() else { return false };
            let mut view = call.state.view(call.config, kind, &known);
            if let Some(password) = known.data.get("password") {
                view["password"] = password.clone();
            }
            change(&mut view);
            call.commit(kind, &known, kept(view));
            true
        })
    }

    fn with_call<T>(&self, tenant: &str, work: impl FnOnce(&mut Call<'_>) -> T) -> T {
        let request = Request::default();
        let mut state = self.state();
        let mut call = Call { config: &self.config, state: &mut state, tenant, request: &request, changes: Vec::new() };
        let result = work(&mut call);
        let changes = call.changes;
        drop(state);
        self.tell(&changes);
        result
    }
}

/// What is kept of a representation.
fn kept(resource: Value) -> Map<String, Value> {
    let Value::Object(mut resource) = resource else { return Map::new() };
    for computed in ["schemas", "id", "meta", "groups"] {
        resource.shift_remove(computed);
    }
    for member in resource.get_mut("members").and_then(Value::as_array_mut).into_iter().flatten() {
        *member = serde_json::json!({"value": member["value"]});
    }
    resource
}
