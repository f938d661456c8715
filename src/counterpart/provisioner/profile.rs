//! A user as the SCIM server should have it: the mapped attributes, as a resource, and the operations between two states.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::counterpart::scim_client::{ENTERPRISE, USER, add, quoted, remove, replace};

/// The attributes that are provisioned. Others belong to the application and are never touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// `userName`.
    pub user_name: String,
    /// `externalId`: the subject identifier of the ID tokens.
    pub external_id: String,
    /// The primary address.
    pub email: String,
    /// `name.givenName`.
    pub given: String,
    /// `name.familyName`.
    pub family: String,
    /// `displayName`; empty for none, as with the next two.
    pub display: String,
    /// `title`.
    pub title: String,
    /// `department` of the enterprise extension.
    pub department: String,
    /// `active`.
    pub active: bool,
    /// Values of `roles`.
    pub roles: BTreeSet<String>,
}

impl Profile {
    /// As the server shows it.
    pub fn read(resource: &Value) -> Self {
        let text = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let values = |name: &str| resource[name].as_array().map_or(&[][..], Vec::as_slice);
        let emails = values("emails");
        let email = emails.iter().find(|email| email["primary"] == true).or(emails.first());
        Profile {
            user_name: text("/userName"),
            external_id: text("/externalId"),
            email: email.and_then(|email| email["value"].as_str()).unwrap_or_default().to_owned(),
            given: text("/name/givenName"),
            family: text("/name/familyName"),
            display: text("/displayName"),
            title: text("/title"),
            department: resource[ENTERPRISE]["department"].as_str().unwrap_or_default().to_owned(),
            active: resource["active"].as_bool().unwrap_or(true),
            roles: values("roles").iter().filter_map(|role| role["value"].as_str()).map(str::to_owned).collect(),
        }
    }

    /// The resource to create, without roles: those are sent apart, so that one that is refused does not hold up the user.
    pub fn resource(&self) -> Value {
        let mut user = json!({
            "schemas": [USER],
            "userName": self.user_name,
            "externalId": self.external_id,
            "name": {"formatted": format!("{} {}", self.given, self.family).trim(), "givenName": self.given, "familyName": self.family},
            "emails": [{"value": self.email, "type": "work", "primary": true}],
            "active": self.active,
        });
        for (name, value) in [("displayName", &self.display), ("title", &self.title)] {
            if !value.is_empty() {
                user[name] = value.as_str().into();
            }
        }
        if !self.department.is_empty() {
            user["schemas"] = json!([USER, ENTERPRISE]);
            user[ENTERPRISE] = json!({"department": self.department});
        }
        user
    }

    /// The operations that turn `self` into `wanted`, roles apart. `clear`: send what has no value any more.
    pub fn changes(&self, wanted: &Profile, clear: bool) -> Vec<Value> {
        let mut operations = Vec::new();
        // Of an account that is going away nothing but that matters.
        if !wanted.active {
            return if self.active { vec![replace("active", false)] } else { operations };
        }
        let department = format!("{ENTERPRISE}:department");
        let single = [
            ("userName", &self.user_name, &wanted.user_name),
            ("externalId", &self.external_id, &wanted.external_id),
            ("name.givenName", &self.given, &wanted.given),
            ("name.familyName", &self.family, &wanted.family),
            ("displayName", &self.display, &wanted.display),
            ("title", &self.title, &wanted.title),
            (department.as_str(), &self.department, &wanted.department),
        ];
        for (path, before, after) in single {
            if before == after {
                continue;
            }
            if !after.is_empty() {
                operations.push(replace(path, after.as_str()));
            } else if clear {
                operations.push(remove(path));
            }
        }
        if !self.email.eq_ignore_ascii_case(&wanted.email) {
            operations.push(replace("emails", json!([{"value": wanted.email, "type": "work", "primary": true}])));
        }
        if !self.active {
            operations.push(replace("active", true));
        }
        operations
    }

    /// The operations that turn the roles of `self` into those of `wanted`.
    pub fn role_changes(&self, wanted: &Profile) -> Vec<Value> {
        let new: Vec<Value> = wanted.roles.difference(&self.roles).map(|role| json!({"value": role})).collect();
        let mut operations: Vec<Value> =
            self.roles.difference(&wanted.roles).map(|role| remove(&format!("roles[value eq {}]", quoted(role)))).collect();
        if !new.is_empty() {
            operations.push(add("roles", new));
        }
        operations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Profile {
        Profile {
            user_name: "ada@x.test".into(),
            external_id: "s1".into(),
            email: "ada@x.test".into(),
            given: "Ada".into(),
            family: "L".into(),
            display: "Ada L".into(),
            title: "Engineer".into(),
            department: "R&D".into(),
            active: true,
            roles: BTreeSet::from(["a".into(), "b".into()]),
        }
    }

    #[test]
    fn what_is_created_reads_as_it_was_meant() {
        let mut roleless = ada();
        roleless.roles.clear();
        assert_eq!(Profile::read(&ada().resource()), roleless);
        assert!(ada().resource()["active"].is_boolean());
    }

    #[test]
    fn only_differences_are_sent() {
        assert!(ada().changes(&ada(), true).is_empty());
        let wanted = Profile { title: String::new(), display: "Ada King".into(), ..ada() };
        assert_eq!(ada().changes(&wanted, true), [replace("displayName", "Ada King"), remove("title")]);
        assert_eq!(ada().changes(&wanted, false), [replace("displayName", "Ada King")]);
        let off = Profile { active: false, display: "other".into(), ..ada() };
        assert_eq!(ada().changes(&off, true), [json!({"op": "replace", "path": "active", "value": false})]);
        assert!(off.changes(&off, true).is_empty());
        let roles = Profile { roles: BTreeSet::from(["b".into(), "c".into()]), ..ada() };
        assert_eq!(ada().role_changes(&roles), [remove("roles[value eq \"a\"]"), add("roles", json!([{"value": "c"}]))]);
    }
}
