//! What `/Schemas` of a service provider declares, so that requests hold nothing it does not know.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Answer, GROUP, USER};

/// Members that every resource has, declared or not (RFC 7643 3.1).
const COMMON: [&str; 4] = ["schemas", "id", "externalid", "meta"];

/// The attributes of users and groups by lower-case name, sub-attributes as `emails.type`.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    user: BTreeMap<String, Value>,
    group: BTreeMap<String, Value>,
}

impl Shape {
    /// From the answer of `/Schemas`. Where that tells nothing of a schema, everything is taken for declared.
    pub fn of(schemas: &Answer) -> Shape {
        Shape { user: attributes(schemas, USER), group: attributes(schemas, GROUP) }
    }

    /// The declaration of an attribute of users.
    pub fn user(&self, name: &str) -> Option<&Value> {
        self.user.get(&name.to_lowercase())
    }

    /// The declaration of an attribute of groups.
    pub fn group(&self, name: &str) -> Option<&Value> {
        self.group.get(&name.to_lowercase())
    }

    /// Users may have this attribute.
    pub fn user_has(&self, name: &str) -> bool {
        self.user.is_empty() || self.user(name).is_some()
    }

    /// Users may have this attribute, and a client may change it: nothing declares that the server alone sets it, or nobody again.
    pub fn user_may_change(&self, name: &str) -> bool {
        let fixed = |name: &str| {
            self.user(name).is_some_and(|told| matches!(told["mutability"].as_str(), Some("readOnly" | "immutable")))
        };
        let whole = name.split('.').next().unwrap_or(name);
        self.user_has(name) && !fixed(name) && !fixed(whole)
    }

    /// A user without what the schema does not declare. Extensions stay as they are.
    #[must_use]
    pub fn fit_user(&self, user: &Value) -> Value {
        fit(&self.user, user)
    }

    /// A group without what the schema does not declare.
    #[must_use]
    pub fn fit_group(&self, group: &Value) -> Value {
        fit(&self.group, group)
    }
}

fn attributes(schemas: &Answer, urn: &str) -> BTreeMap<String, Value> {
    let is_it = |schema: &&Value| schema["id"].as_str().is_some_and(|id| id.eq_ignore_ascii_case(urn));
    let single = std::slice::from_ref(&schemas.body);
    let Some(schema) = schemas.resources().iter().chain(single).find(is_it) else { return BTreeMap::new() };
    let mut known = BTreeMap::new();
    for attribute in schema["attributes"].as_array().into_iter().flatten() {
        let Some(name) = attribute["name"].as_str().map(str::to_lowercase) else { continue };
        for sub in attribute["subAttributes"].as_array().into_iter().flatten() {
            if let Some(part) = sub["name"].as_str() {
                known.insert(format!("{name}.{}", part.to_lowercase()), sub.clone());
            }
        }
        known.insert(name, attribute.clone());
    }
    known
}

fn fit(known: &BTreeMap<String, Value>, resource: &Value) -> Value {
    let Some(members) = resource.as_object().filter(|_| !known.is_empty()) else { return resource.clone() };
    let kept = members.iter().filter(|(name, _)| {
        let name = name.to_lowercase();
        COMMON.contains(&name.as_str()) || name.contains(':') || known.contains_key(&name)
    });
    Value::Object(kept.map(|(name, value)| (name.clone(), fit_value(known, &name.to_lowercase(), value))).collect())
}

fn fit_value(known: &BTreeMap<String, Value>, name: &str, value: &Value) -> Value {
    // Some servers leave the sub-attributes of their complex attributes out of the schema.
    let told = known.keys().any(|key| key.starts_with(&format!("{name}.")));
    match value {
        Value::Object(members) if told => {
            let kept = members.iter().filter(|(sub, _)| known.contains_key(&format!("{name}.{}", sub.to_lowercase())));
            Value::Object(kept.map(|(sub, value)| (sub.clone(), value.clone())).collect::<Map<_, _>>())
        }
        Value::Array(values) => values.iter().map(|value| fit_value(known, name, value)).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Answer {
        let attributes = json!([
            {"name": "userName", "type": "string"},
            {"name": "emails", "type": "complex", "subAttributes": [{"name": "value"}, {"name": "type"}]},
            {"name": "phones", "type": "complex"},
            {"name": "displayName", "type": "string", "mutability": "readOnly"},
            {"name": "name", "type": "complex", "mutability": "immutable", "subAttributes": [{"name": "familyName"}]},
        ]);
        Answer { status: 200, body: json!({"Resources": [{"id": USER, "attributes": attributes}]}), ..Answer::default() }
    }

    #[test]
    fn undeclared_attributes_are_left_out() {
        let sent = json!({
            "schemas": [USER], "externalId": "x", "userName": "a", "title": "b", "phones": [{"value": "1"}],
            "emails": [{"value": "a@b.test", "type": "work", "primary": true}], "urn:x:User": {"y": 1},
        });
        let fitted = json!({
            "schemas": [USER], "externalId": "x", "userName": "a", "phones": [{"value": "1"}],
            "emails": [{"value": "a@b.test", "type": "work"}], "urn:x:User": {"y": 1},
        });
        assert_eq!(Shape::of(&answer()).fit_user(&sent), fitted);
        assert!(Shape::of(&answer()).user_has("emails.TYPE"));
        assert!(!Shape::of(&answer()).user_has("title"));
    }

    #[test]
    fn what_the_server_alone_sets_is_not_for_clients_to_change() {
        let shape = Shape::of(&answer());
        assert!(shape.user_has("displayName") && !shape.user_may_change("displayName"));
        assert!(shape.user_has("name.familyName") && !shape.user_may_change("name.familyName"));
        assert!(shape.user_may_change("emails.type") && !shape.user_may_change("title"));
        assert!(Shape::default().user_may_change("title"));
    }

    #[test]
    fn without_a_schema_everything_stays() {
        let sent = json!({"userName": "a", "title": "b"});
        assert_eq!(Shape::default().fit_user(&sent), sent);
        assert_eq!(Shape::of(&answer()).fit_group(&sent), sent);
        assert!(Shape::default().user_has("title"));
    }
}
