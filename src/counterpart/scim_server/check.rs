//! What a user or group must satisfy as a whole before it is kept.

use serde_json::{Map, Value, json};

use super::Quirk;
use super::call::Call;
use super::problem::Problem;
use super::schema::Kind;
use super::store::Stored;

type Data = Map<String, Value>;

impl Call<'_> {
    /// Checks and completes a resource as a whole. `before` is what it replaces.
    pub fn check(&self, kind: Kind, tenant: &str, before: Option<&Stored>, data: &mut Data) -> Result<(), Problem> {
        let required = if kind == Kind::User { "userName" } else { "displayName" };
        if data.get(required).and_then(Value::as_str).is_none_or(|text| text.trim().is_empty()) {
            return Err(Problem::bad("invalidValue", format!("{required} is required.")));
        }
        for (name, value) in &*data {
            let primary = value.as_array().into_iter().flatten().filter(|value| value["primary"] == true).count();
            if primary > 1 {
                return Err(Problem::bad("invalidValue", format!("{name} can have one primary value.")));
            }
        }
        if kind == Kind::Group {
            return self.check_members(tenant, data);
        }
        if self.has(Quirk::UnicodeAndLength) {
            for name in ["displayName", "title", "name"] {
                data.get_mut(name).map(latin1);
            }
        }
        self.check_roles(tenant, before, data)?;
        let name = data.get("userName").and_then(Value::as_str).unwrap_or_default();
        let exact = self.has(Quirk::CreateDuplicate);
        let same = |other: &str| if exact { other == name } else { other.to_lowercase() == name.to_lowercase() };
        let gone = if self.has(Quirk::RecreateAfterDelete) { &self.state.deleted[..] } else { &[] };
        let mut others = self.state.users.iter().chain(gone).filter(|user| user.tenant == tenant);
        if others.any(|user| before.is_none_or(|before| before.id != user.id) && same(user.text("userName"))) {
            return Err(Problem { kind: Some("uniqueness"), ..Problem::new(409, "This userName is taken.") });
        }
        Ok(())
    }

    /// Members must be users of the tenant; of each only the value is kept.
    fn check_members(&self, tenant: &str, data: &mut Data) -> Result<(), Problem> {
        let Some(members) = data.get("members").and_then(Value::as_array) else { return Ok(()) };
        let mut kept: Vec<Value> = Vec::new();
        for member in members {
            let id = member["value"].as_str().unwrap_or_default();
            let known = match self.state.find(Kind::User, id) {
                Some(user) => user.tenant == tenant || self.has(Quirk::ScimOnlyOwnTenant),
                None => !id.is_empty() && self.has(Quirk::GroupUnknownMember),
            };
            if !known || member["type"].as_str().is_some_and(|kind| !kind.eq_ignore_ascii_case("User")) {
                return Err(Problem::bad("invalidValue", "A member is not a user here."));
            }
            let member = json!({"value": id});
            if self.has(Quirk::GroupAddMember) || !kept.contains(&member) {
                kept.push(member);
            }
        }
        data.insert("members".into(), kept.into());
        Ok(())
    }
}

fn latin1(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.chars().map(|sign| if u32::from(sign) > 0xff { '?' } else { sign }).collect(),
        Value::Object(object) => object.values_mut().for_each(latin1),
        _ => {}
    }
}
