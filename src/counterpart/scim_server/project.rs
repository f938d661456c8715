//! attributes and excludedAttributes (RFC 7644 3.9).

use serde_json::{Map, Value};

use super::paths::resolve;
use super::schema::{Attribute, Kind};

/// A representation with only the wanted attributes, or without the excluded ones. id and schemas are always there.
pub fn project(kind: Kind, view: Value, wanted: Option<&str>, excluded: Option<&str>) -> Value {
    let Value::Object(view) = view else { return view };
    let paths = |list: &str| -> Vec<Vec<Attribute>> {
        list.split(',').map(str::trim).filter(|path| !path.is_empty()).filter_map(|path| resolve(kind, path)).collect()
    };
    let always = |name: &str| matches!(name, "id" | "schemas");
    Value::Object(match (wanted.filter(|list| !list.is_empty()), excluded) {
        (Some(wanted), _) => {
            let paths = paths(wanted);
            let mut kept = Map::new();
            for (name, value) in view {
                let here: Vec<&[Attribute]> = paths.iter().filter(|path| path[0].name == name).map(|path| &path[1..]).collect();
                if always(&name) || here.iter().any(|rest| rest.is_empty()) {
                    kept.insert(name, value);
                } else if !here.is_empty() {
                    kept.insert(
                        name,
                        each(value, &|object| object.retain(|sub, _| here.iter().any(|rest| rest[0].name == *sub))),
                    );
                }
            }
            kept
        }
        (None, Some(excluded)) => {
            let mut view = view;
            for path in paths(excluded).iter().filter(|path| !always(path[0].name)) {
                let name = path[0].name;
                match path.get(1) {
                    None => drop(view.shift_remove(name)),
                    Some(sub) => {
                        if let Some(value) = view.get_mut(name) {
                            *value = each(value.take(), &|object| drop(object.shift_remove(sub.name)));
                        }
                    }
                }
            }
            view
        }
        (None, None) => view,
    })
}

fn each(value: Value, change: &dyn Fn(&mut Map<String, Value>)) -> Value {
    match value {
        Value::Object(mut object) => {
            change(&mut object);
            Value::Object(object)
        }
        Value::Array(list) => list.into_iter().map(|value| each(value, change)).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_take_the_shape_that_was_asked_for() {
        let user = || json!({"schemas": ["s"], "id": "1", "userName": "a", "name": {"familyName": "F", "givenName": "G"}, "emails": [{"value": "v", "type": "t"}]});
        for (wanted, excluded, expected) in [
            (None, None, user()),
            (Some("username"), None, json!({"schemas": ["s"], "id": "1", "userName": "a"})),
            (
                Some("name.familyName,emails.value"),
                None,
                json!({"schemas": ["s"], "id": "1", "name": {"familyName": "F"}, "emails": [{"value": "v"}]}),
            ),
            (Some("nosuch"), None, json!({"schemas": ["s"], "id": "1"})),
            (
                None,
                Some("id,emails, name.givenName"),
                json!({"schemas": ["s"], "id": "1", "userName": "a", "name": {"familyName": "F"}}),
            ),
            (Some(""), Some("nosuch"), user()),
        ] {
            assert_eq!(project(Kind::User, user(), wanted, excluded), expected, "{wanted:?} {excluded:?}");
        }
    }
}
