//! The catalogue of roles at /Roles (draft-ietf-scim-roles-entitlements-01), and their assignment.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::problem::{Problem, answer};
use super::schema::{Kind, ROLE};
use super::store::{State, Stored};
use super::{Config, Quirk, Response, Role};

/// The roles that clients are shown.
pub fn shown(config: &Config, state: &State) -> Vec<Role> {
    if config.has(Quirk::RolesExposed) {
        return Vec::new();
    }
    let mut roles = if config.has(Quirk::NewRoleAppears) { &state.first_roles } else { &state.roles }.clone();
    if let Some(first) = roles.first().filter(|_| config.has(Quirk::RoleIdentifiers)) {
        let again = Role { display: format!("{} (again)", first.display), ..first.clone() };
        roles.push(again);
    }
    roles
}

impl Call<'_> {
    /// Requests to /Roles and below; for reading only.
    pub fn roles(&mut self, method: &str, below: &[&str]) -> Result<Response, Problem> {
        if self.state.roles.is_empty() {
            return Err(Problem::not_found());
        }
        match (method, below) {
            ("POST", []) if self.has(Quirk::RolesReadonly) => self.make_role(),
            ("GET", []) => {
                let roles = shown(self.config, self.state);
                let rows = (1..).zip(roles.iter().map(|role| self.role_view(role))).collect();
                let filter = self.query("filter").map(super::filter::Filter::parse).transpose();
                let filter =
                    filter.map_err(|fault| Problem::bad("invalidFilter", format!("The filter cannot be read: {fault}.")))?;
                self.page(Kind::Role, &self.request.query, filter.as_ref(), rows)
            }
            ("GET", [id]) => {
                let roles = shown(self.config, self.state);
                let role = roles.iter().find(|role| role.value == *id).ok_or_else(Problem::not_found)?;
                Ok(answer(200, self.project(Kind::Role, self.role_view(role))))
            }
            (_, [] | [_]) => Err(Problem::method("GET")),
            _ => Err(Problem::not_found()),
        }
    }

    fn make_role(&mut self) -> Result<Response, Problem> {
        let body = self.body()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let value =
            text("value").or_else(|| text("display")).ok_or_else(|| Problem::bad("invalidValue", "value is required."))?;
        let display = text("display").unwrap_or_else(|| value.clone());
        let role = Role { value, display, supported: true, limit: None };
        let view = self.role_view(&role);
        let location = view["meta"]["location"].as_str().unwrap_or_default().to_owned();
        self.state.roles.push(role);
        let mut response = answer(201, view);
        response.headers.push(("location".into(), location));
        Ok(response)
    }

    fn role_view(&self, role: &Role) -> Value {
        let mut view = json!({
            "schemas": [ROLE],
            "id": role.value,
            "value": role.value,
            "display": role.display,
            "supported": role.supported,
            "limitedAssignmentsPermitted": role.limit.is_some(),
            "totalAssignmentsUsed": self.state.holders(self.tenant, &role.value),
            "meta": {"resourceType": "Role", "location": format!("{}/Roles/{}", self.config.base_url, encoded(&role.value))},
        });
        if let Some(limit) = role.limit {
            view["totalAssignmentsPermitted"] = limit.into();
        }
        if role.supported && self.has(Quirk::RolesResourceWellformed) {
            view.as_object_mut().map(|view| view.shift_remove("supported"));
        }
        view
    }

    /// May the user get these roles? Those it holds already may stay. Without a catalogue roles are free-form (RFC 7643 4.1.2).
    pub fn check_roles(&self, tenant: &str, before: Option<&Stored>, data: &mut Map<String, Value>) -> Result<(), Problem> {
        let Some(roles) = data.get_mut("roles").and_then(Value::as_array_mut) else { return Ok(()) };
        if self.state.roles.is_empty() {
            return Ok(());
        }
        let held = |value: &str| before.is_some_and(|before| before.values("roles").any(|held| held == value));
        for assigned in roles.iter_mut() {
            let value = assigned["value"].as_str().unwrap_or_default().to_owned();
            if held(&value) {
                continue;
            }
            let value = self.assignable(tenant, &value)?;
            assigned["value"] = value.into();
        }
        let mut seen = std::collections::HashSet::new();
        roles.retain(|role| seen.insert(role["value"].to_string()));
        if roles.len() > 1 && self.has(Quirk::MultipleRoles) {
            roles.drain(..roles.len() - 1);
        }
        if roles.len() > 1 && !self.config.multiple_roles {
            return Err(Problem::bad("invalidValue", "A user has one role at most."));
        }
        Ok(())
    }

    /// The value under which this role can be assigned.
    fn assignable(&self, tenant: &str, value: &str) -> Result<String, Problem> {
        let refuse = |why: &str| Err(Problem::bad("invalidValue", format!("The role {value} {why}.")));
        let roles = &self.state.roles;
        let alike = roles.iter().find(|role| role.display == value || role.value.eq_ignore_ascii_case(value));
        let exact = roles.iter().find(|role| role.value == value);
        let Some(role) = exact.or(alike.filter(|_| self.has(Quirk::RoleValueExact))) else {
            let anything = alike.is_none() && !value.is_empty() && self.has(Quirk::UnknownRoleRefused);
            return if anything { Ok(value.to_owned()) } else { refuse("is not in the catalogue") };
        };
        if !role.supported && !self.has(Quirk::UnsupportedRoleRefused) {
            return refuse("is not supported");
        }
        let used = self.state.holders(tenant, &role.value);
        let full = role.limit.is_some_and(|limit| usize::try_from(limit).is_ok_and(|limit| used >= limit));
        if full && !self.has(Quirk::RoleLimit) {
            return refuse("has no assignments left");
        }
        Ok(role.value.clone())
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
