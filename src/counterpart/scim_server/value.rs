//! What a client sends, brought into the form of the schema: names in its spelling, types checked, readOnly and unknown left out.

use serde_json::{Map, Value};

use super::paths::named;
use super::problem::Problem;
use super::schema::{Attribute, Type};

/// An object of the client as these attributes have it. readOnly attributes are ignored (RFC 7644 3.3, 3.5.1), unknown ones too.
pub fn object(attributes: &[Attribute], sent: &Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let mut kept = Map::new();
    for (name, value) in sent {
        let Some(attribute) =
            named(attributes, name).filter(|attribute| !attribute.is_read_only() && attribute.name != "schemas")
        else {
            continue;
        };
        if let Some(value) = whole(&attribute, value)? {
            kept.insert(attribute.name.into(), value);
        }
    }
    Ok(kept)
}

/// The value of an attribute; `None` when that means unassigned: null, or a list or object of nothing (RFC 7643 2.5).
pub fn whole(attribute: &Attribute, value: &Value) -> Result<Option<Value>, Problem> {
    if !attribute.multi || value.is_null() {
        return single(attribute, value);
    }
    let list = value.as_array().ok_or_else(|| wrong(attribute, "a list"))?;
    let list: Vec<Value> = list.iter().filter_map(|value| single(attribute, value).transpose()).collect::<Result<_, _>>()?;
    Ok((!list.is_empty()).then_some(Value::Array(list)))
}

/// One value of an attribute.
pub fn single(attribute: &Attribute, value: &Value) -> Result<Option<Value>, Problem> {
    if value.is_null() {
        return Ok(None);
    }
    let fits = match attribute.of {
        Type::Text | Type::Reference => value.is_string(),
        Type::DateTime => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
        Type::Boolean => value.is_boolean(),
        Type::Integer => value.is_i64(),
        Type::Complex(subs) => {
            let sent = value.as_object().ok_or_else(|| wrong(attribute, "an object"))?;
            let kept = object(subs, sent)?;
            return Ok((!kept.is_empty()).then_some(Value::Object(kept)));
        }
    };
    let expected = match attribute.of {
        Type::Boolean => "true or false",
        Type::Integer => "an integer",
        Type::DateTime => "a time",
        _ => "a string",
    };
    if fits { Ok(Some(value.clone())) } else { Err(wrong(attribute, expected)) }
}

fn wrong(attribute: &Attribute, expected: &str) -> Problem {
    Problem::bad("invalidValue", format!("{} must be {expected}.", attribute.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counterpart::scim_server::paths::attributes;
    use crate::counterpart::scim_server::schema::{ENTERPRISE, Kind};
    use serde_json::json;

    fn user(sent: &Value) -> Result<Value, Problem> {
        object(&attributes(Kind::User), sent.as_object().unwrap()).map(Value::Object)
    }

    #[test]
    fn what_is_sent_takes_the_form_of_the_schema() {
        for (sent, kept) in [
            (json!({"USERNAME": "a", "id": "x", "meta": {}, "groups": [], "nosuch": 1, "schemas": []}), json!({"userName": "a"})),
            (json!({"title": null, "emails": [], "name": {"nosuch": 1}}), json!({})),
            (json!({"emails": [{"Value": "a@b", "x": 1}, {}]}), json!({"emails": [{"value": "a@b"}]})),
            (json!({ENTERPRISE: {"department": "R", "manager": {"displayName": "x"}}}), json!({ENTERPRISE: {"department": "R"}})),
            (json!({"urn:other": {"a": 1}}), json!({})),
        ] {
            assert_eq!(user(&sent), Ok(kept), "{sent}");
        }
    }

    #[test]
    fn wrong_types_are_refused() {
        for sent in [
            json!({"active": "notabool"}),
            json!({"active": 1}),
            json!({"userName": 1}),
            json!({"emails": {"value": "a@b"}}),
            json!({"emails": ["a@b"]}),
            json!({"name": "Ann"}),
            json!({"name": {"familyName": []}}),
        ] {
            assert_eq!(user(&sent).unwrap_err().kind, Some("invalidValue"), "{sent}");
        }
    }
}
