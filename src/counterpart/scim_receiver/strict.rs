//! A strict reading of SCIM request bodies, apart from the engine's tolerant one: what a service provider may rightly refuse.

use serde_json::{Map, Value};

use crate::counterpart::scim_client::{GROUP, PATCH_OP, USER};

/// What was found in a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strict {
    /// Against RFC 7643 or RFC 7644.
    pub faults: Vec<String>,
    /// Legal, and yet not as it should be.
    pub odd: Vec<String>,
}

/// Reads the body of a request. Requests without a body that needs reading have no findings.
pub fn read(method: &str, path: &str, raw: &[u8]) -> Strict {
    let mut found = Strict::default();
    let place = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if !matches!(method, "POST" | "PUT" | "PATCH") || !matches!(place, "Users" | "Groups") || path.ends_with("/.search") {
        return found;
    }
    let body: Value = match serde_json::from_slice(raw) {
        Ok(body) => body,
        Err(error) => {
            found.faults.push(format!("the body is no JSON: {error}"));
            return found;
        }
    };
    let Some(body) = body.as_object() else {
        found.faults.push("the body is no JSON object".into());
        return found;
    };
    match (method, place) {
        ("PATCH", _) => patch(body, &mut found),
        (_, "Users") => user(body, &mut found),
        _ => group(body, &mut found),
    }
    found
}

/// A member by its name, which SCIM compares without case (RFC 7643 2.1).
pub fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn schemas(body: &Map<String, Value>, urn: &str, found: &mut Strict) {
    match member(body, "schemas").and_then(Value::as_array) {
        None => found.faults.push("schemas is missing".into()),
        Some(all) if !all.iter().any(|one| one.as_str().is_some_and(|one| one.eq_ignore_ascii_case(urn))) => {
            found.faults.push(format!("schemas does not name {urn}"));
        }
        Some(_) => {}
    }
}

/// RFC 7644 3.5.2.
fn patch(body: &Map<String, Value>, found: &mut Strict) {
    schemas(body, PATCH_OP, found);
    let Some(operations) = member(body, "Operations").and_then(Value::as_array) else {
        found.faults.push("Operations is missing or no array".into());
        return;
    };
    if operations.is_empty() {
        found.faults.push("Operations is empty".into());
    }
    for operation in operations {
        let Some(operation) = operation.as_object() else {
            found.faults.push("an operation is no object".into());
            continue;
        };
        let path = match member(operation, "path") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) if !path.is_empty() => Some(path.as_str()),
            Some(other) => {
                found.faults.push(format!("path is {other}"));
                None
            }
        };
        let value = member(operation, "value");
        let op = member(operation, "op").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        match op.as_str() {
            "remove" if path.is_none() => found.faults.push("remove without a path".into()),
            "remove" => {}
            "add" | "replace" => match (path, value) {
                (_, None) => found.faults.push(format!("{op} without a value")),
                (None, Some(Value::Object(members))) => attributes(members, false, found),
                (None, Some(_)) => found.faults.push(format!("{op} without a path, and its value is no object")),
                (Some(path), Some(value)) => attribute(path.rsplit(':').next().unwrap_or(path), value, false, found),
            },
            "" => found.faults.push("op is missing".into()),
            other => found.faults.push(format!("op is `{other}`")),
        }
    }
}

/// RFC 7643 4.1.
fn user(body: &Map<String, Value>, found: &mut Strict) {
    schemas(body, USER, found);
    match member(body, "userName") {
        Some(Value::String(name)) if !name.is_empty() => {}
        None => found.faults.push("userName is missing".into()),
        Some(other) => found.faults.push(format!("userName is {other}")),
    }
    attributes(body, true, found);
}

/// RFC 7643 4.2.
fn group(body: &Map<String, Value>, found: &mut Strict) {
    schemas(body, GROUP, found);
    match member(body, "displayName") {
        Some(Value::String(name)) if !name.is_empty() => {}
        _ => found.faults.push("displayName is missing".into()),
    }
    attributes(body, true, found);
}

fn attributes(members: &Map<String, Value>, whole: bool, found: &mut Strict) {
    for (name, value) in members {
        attribute(name.rsplit(':').next().unwrap_or(name), value, whole, found);
    }
}

fn attribute(name: &str, value: &Value, whole: bool, found: &mut Strict) {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    if is("active") && !value.is_boolean() {
        found.faults.push(format!("active is {value}, which is no boolean"));
    }
    if is("externalId") && !matches!(value, Value::String(_) | Value::Null) {
        found.faults.push(format!("externalId is {value}, which is no string"));
    }
    if is("password") && !value.is_null() {
        found.odd.push("a password is sent".into());
    }
    if whole && value.as_str() == Some("") {
        found.odd.push(format!("{name} is the empty string in place of being left out"));
    }
    if ["emails", "phoneNumbers", "addresses", "ims", "photos", "roles", "entitlements", "members"].iter().any(|many| is(many)) {
        several(name, value, found);
    }
}

/// A multi-valued attribute (RFC 7643 2.4).
fn several(name: &str, value: &Value, found: &mut Strict) {
    let values = match value {
        Value::Array(values) => values.iter().collect(),
        // One complex value is what `add` of a single element may look like (RFC 7644 3.5.2.1).
        Value::Object(_) => vec![value],
        Value::Null => return,
        other => {
            found.faults.push(format!("{name} is {other}, which is no list of values"));
            return;
        }
    };
    let mut primaries = 0;
    for value in values {
        match value.get("primary") {
            Some(Value::Bool(true)) => primaries += 1,
            Some(Value::Bool(false) | Value::Null) | None => {}
            Some(other) => found.faults.push(format!("{name}: primary is {other}, which is no boolean")),
        }
        if !value.is_object() {
            found.faults.push(format!("{name} holds {value}, which is no object with a value"));
        }
    }
    if primaries > 1 {
        found.faults.push(format!("{name} has {primaries} primary values"));
    }
}

/// How the operations of a Groups PATCH differ from the forms that the AL1 SCIM draft fixes in 3.2.3.5: (illegal, only not as drafted).
pub fn membership(body: &Value) -> (Vec<String>, Vec<String>) {
    let (mut illegal, mut other) = (Vec::new(), Vec::new());
    let operations = body.as_object().and_then(|body| member(body, "Operations")).and_then(Value::as_array);
    for operation in operations.into_iter().flatten().filter_map(Value::as_object) {
        let op = member(operation, "op").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let path = member(operation, "path").and_then(Value::as_str).unwrap_or_default();
        let value = member(operation, "value");
        let pathless =
            path.is_empty() && value.and_then(Value::as_object).is_some_and(|value| member(value, "members").is_some());
        let bare = path.eq_ignore_ascii_case("members");
        let filtered = path.to_ascii_lowercase().starts_with("members[");
        if pathless {
            other.push(format!("{op} of members without a path"));
        }
        match op.as_str() {
            _ if !bare && !filtered => {}
            "add" if bare && value.is_some_and(Value::is_array) => {}
            "add" if bare => illegal.push("add of members whose value is no array".into()),
            "remove" if value.is_some_and(|value| !value.is_null()) => illegal.push(format!("remove of {path} with a value")),
            "remove" if bare || by_value(path) => {}
            "replace" if bare => other.push("replace of members: legal in RFC 7644, not in the draft".into()),
            _ => illegal.push(format!("{op} of {path}")),
        }
    }
    (illegal, other)
}

/// `members[value eq "id"]`.
fn by_value(path: &str) -> bool {
    let inner = path.get(8..).and_then(|rest| rest.strip_suffix(']')).unwrap_or_default();
    let mut parts = inner.trim().splitn(3, ' ');
    let (attribute, operator, id) =
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    attribute.eq_ignore_ascii_case("value")
        && operator.eq_ignore_ascii_case("eq")
        && id.len() > 2
        && id.starts_with('"')
        && id.ends_with('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patch_with(operation: &Value) -> Strict {
        let body = json!({"schemas": [PATCH_OP], "Operations": [operation]});
        read("PATCH", "/Users/1", body.to_string().as_bytes())
    }

    #[test]
    fn a_right_patch_has_no_findings() {
        for operation in [
            json!({"op": "replace", "path": "active", "value": false}),
            json!({"op": "Replace", "value": {"active": false}}),
            json!({"op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:User:active", "value": true}),
            json!({"op": "remove", "path": "title"}),
        ] {
            assert_eq!(patch_with(&operation), Strict::default(), "{operation}");
        }
    }

    #[test]
    fn a_wrong_patch_has_findings() {
        for operation in [
            json!({"op": "replace", "path": "active", "value": "False"}),
            json!({"op": "replace", "value": {"active": "false"}}),
            json!({"op": "set", "path": "active", "value": false}),
            json!({"op": "remove"}),
            json!({"op": "add", "path": "title"}),
        ] {
            assert_eq!(patch_with(&operation).faults.len(), 1, "{operation}");
        }
        assert_eq!(read("PATCH", "/Users/1", br#"{"Operations":[]}"#).faults.len(), 2);
        assert_eq!(read("PATCH", "/Users/1", b"active=false").faults.len(), 1);
    }

    #[test]
    fn users_are_read_strictly() {
        let good = json!({"schemas": [USER], "userName": "a", "externalId": "1", "active": true, "emails": [{"value": "a@x", "primary": true}]});
        assert_eq!(read("POST", "/Users", good.to_string().as_bytes()), Strict::default());
        let bad = json!({"active": "True", "emails": [{"value": "a", "primary": true}, {"value": "b", "primary": true}], "title": "", "password": "x"});
        let found = read("POST", "/Users", bad.to_string().as_bytes());
        assert_eq!((found.faults.len(), found.odd.len()), (4, 2), "{found:?}");
    }

    #[test]
    fn membership_has_the_forms_of_the_draft() {
        let of = |operation: Value| membership(&json!({"Operations": [operation]}));
        let right = (Vec::<String>::new(), Vec::<String>::new());
        assert_eq!(of(json!({"op": "add", "path": "members", "value": [{"value": "1"}]})), right);
        assert_eq!(of(json!({"op": "remove", "path": "members"})), right);
        assert_eq!(of(json!({"op": "remove", "path": "members[value eq \"1\"]"})), right);
        assert_eq!(of(json!({"op": "replace", "path": "displayName", "value": "x"})), right);
        assert_eq!(of(json!({"op": "remove", "path": "members", "value": [{"value": "1"}]})).0.len(), 1);
        assert_eq!(of(json!({"op": "remove", "path": "members[display eq \"1\"]"})).0.len(), 1);
        assert_eq!(of(json!({"op": "replace", "path": "members", "value": []})).1.len(), 1);
        assert_eq!(of(json!({"op": "add", "value": {"members": []}})).1.len(), 1);
    }
}
