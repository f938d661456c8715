//! Does a resource match a filter? Letter case counts as the schema says; an attribute that no schema has matches nothing.

use std::cmp::Ordering;

use serde_json::Value;

use super::filter::{Filter, Op};
use super::paths::{descend, resolve};
use super::schema::{Attribute, Kind, Type};
use super::{Config, Quirk};

/// Does the representation of a resource match?
pub fn resource_matches(config: &Config, kind: Kind, filter: &Filter, resource: &Value) -> bool {
    matches(filter, resource, &|path| quirky(config, resolve(kind, path)?))
}

/// Does one value of a multi-valued attribute match what stands in brackets?
pub fn value_matches(attribute: &Attribute, filter: &Filter, value: &Value) -> bool {
    matches(filter, value, &|path| descend(attribute.subs(), path))
}

fn quirky(config: &Config, mut steps: Vec<Attribute>) -> Option<Vec<Attribute>> {
    let first = steps.first_mut()?;
    match first.name {
        "externalId" if config.has(Quirk::FilterExternalid) => return None,
        "userName" if config.has(Quirk::FilterUsername) => first.case_exact = true,
        _ => {}
    }
    Some(steps)
}

fn matches(filter: &Filter, resource: &Value, resolve: &dyn Fn(&str) -> Option<Vec<Attribute>>) -> bool {
    match filter {
        Filter::And(a, b) => matches(a, resource, resolve) && matches(b, resource, resolve),
        Filter::Or(a, b) => matches(a, resource, resolve) || matches(b, resource, resolve),
        Filter::Not(inner) => !matches(inner, resource, resolve),
        Filter::Present(path) => resolve(path).is_some_and(|steps| values(resource, &steps).iter().any(|value| !is_empty(value))),
        Filter::Each(path, inner) => resolve(path).is_some_and(|steps| {
            let Some(last) = steps.last() else { return false };
            values(resource, &steps).iter().any(|value| value_matches(last, inner, value))
        }),
        Filter::Compare(path, op, wanted) => {
            let Some(mut steps) = resolve(path) else { return false };
            // A multi-valued complex attribute stands for its values (RFC 7644 3.4.2.2: `emails co "example.com"`).
            if let Some(value) = steps.last().and_then(|last| descend(last.subs(), "value")) {
                steps.extend(value);
            }
            let Some(last) = steps.last().copied() else { return false };
            let found = values(resource, &steps);
            if found.is_empty() {
                return match op {
                    Op::Eq => wanted.is_null(),
                    Op::Ne => !wanted.is_null(),
                    _ => false,
                };
            }
            found.iter().any(|value| compare(&last, *op, value, wanted))
        }
    }
}

/// The values at the end of a path, lists taken apart.
fn values<'a>(resource: &'a Value, steps: &[Attribute]) -> Vec<&'a Value> {
    let mut found = vec![resource];
    for step in steps {
        let next = found.into_iter().filter_map(|value| value.get(step.name));
        found = next.flat_map(|value| value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())).collect();
    }
    found
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn compare(attribute: &Attribute, op: Op, value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::String(value), Value::String(wanted)) => compare_text(attribute, op, value, wanted),
        (Value::Number(value), Value::Number(wanted)) => {
            value.as_f64().partial_cmp(&wanted.as_f64()).is_some_and(|order| ordered(op, order))
        }
        _ => match op {
            Op::Eq => value == wanted,
            Op::Ne => value != wanted,
            _ => false,
        },
    }
}

fn compare_text(attribute: &Attribute, op: Op, value: &str, wanted: &str) -> bool {
    if let Type::DateTime = attribute.of
        && let (Ok(value), Ok(wanted)) = (value.parse::<jiff::Timestamp>(), wanted.parse::<jiff::Timestamp>())
    {
        return ordered(op, value.cmp(&wanted));
    }
    let fold = |text: &str| if attribute.case_exact { text.to_owned() } else { text.to_lowercase() };
    let (value, wanted) = (fold(value), fold(wanted));
    match op {
        Op::Co => value.contains(&wanted),
        Op::Sw => value.starts_with(&wanted),
        Op::Ew => value.ends_with(&wanted),
        _ => ordered(op, value.cmp(&wanted)),
    }
}

fn ordered(op: Op, order: Ordering) -> bool {
    match op {
        Op::Eq => order.is_eq(),
        Op::Ne => order.is_ne(),
        Op::Gt => order.is_gt(),
        Op::Ge => order.is_ge(),
        Op::Lt => order.is_lt(),
        Op::Le => order.is_le(),
        Op::Co | Op::Sw | Op::Ew => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(quirks: &[Quirk], text: &str) -> bool {
        let user = json!({
            "id": "1", "userName": "Ann@Example.com", "externalId": "Ext-1", "active": true, "title": "",
            "name": {"familyName": "Ä"},
            "emails": [{"value": "a@b.c", "type": "work"}, {"value": "x@y.z", "type": "home"}],
            "meta": {"lastModified": "2026-01-01T00:00:00.5Z"},
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R"},
        });
        let config = Config { quirks: quirks.to_vec(), ..Config::default() };
        resource_matches(&config, Kind::User, &Filter::parse(text).unwrap(), &user)
    }

    #[test]
    fn comparisons_follow_the_schema() {
        for (text, expected) in [
            (r#"userName eq "ann@example.COM""#, true),
            (r#"USERNAME sw "ann""#, true),
            (r#"externalId eq "Ext-1""#, true),
            (r#"externalId eq "ext-1""#, false),
            (r#"externalId ne "ext-1""#, true),
            (r#"emails[value eq "A@b.c"]"#, true),
            (r#"emails[value eq "a@b.c" and type eq "home"]"#, false),
            (r#"emails.value eq "x@y.z""#, true),
            (r#"emails co "y.z""#, true),
            (r#"emails.type eq "other""#, false),
            ("active eq true", true),
            ("active eq \"true\"", false),
            ("active ne true", false),
            ("title pr", false),
            ("name pr", true),
            ("password pr", false),
            ("nosuch pr", false),
            (r#"nosuch eq "x""#, false),
            (r#"nosuch ne "x""#, false),
            ("displayName eq null", true),
            (r#"not (userName ew ".com")"#, false),
            (r#"meta.lastModified gt "2026-01-01T00:00:00Z""#, true),
            (r#"meta.lastModified lt "2026-01-01T01:00:00+01:00""#, false),
            (r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "r""#, true),
        ] {
            assert_eq!(found(&[], text), expected, "{text}");
        }
    }

    #[test]
    fn quirks_of_filters_depart() {
        assert!(!found(&[Quirk::FilterUsername], r#"userName eq "ann@example.com""#));
        assert!(found(&[Quirk::FilterUsername], r#"userName eq "Ann@Example.com""#));
        assert!(!found(&[Quirk::FilterExternalid], r#"externalId eq "Ext-1""#));
    }
}
