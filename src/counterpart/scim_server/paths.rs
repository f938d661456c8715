//! Where a path leads among the attributes of a resource (RFC 7644 3.10).

use super::schema::{Attribute, COMMON, ENTERPRISE, ENTERPRISE_ATTRIBUTES, EXTENSION, Kind};

/// Every attribute of a resource: the common ones, those of its schema, its extension.
pub fn attributes(kind: Kind) -> Vec<Attribute> {
    let mut all = [COMMON, kind.core()].concat();
    if kind == Kind::User {
        all.push(EXTENSION);
    }
    all
}

/// The attribute with this name, regardless of case.
pub fn named(attributes: &[Attribute], name: &str) -> Option<Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name)).copied()
}

/// The attributes that a path names one below the other: `name.familyName`, `urn:…:User:userName`, `urn:…:enterprise:2.0:User:department`,
/// `emails`. `None` when the schema has no such path.
pub fn resolve(kind: Kind, path: &str) -> Option<Vec<Attribute>> {
    let all = attributes(kind);
    if let Some(extension) = named(&all, path) {
        return Some(vec![extension]);
    }
    if kind == Kind::User
        && let Some(rest) = below(ENTERPRISE, path)
    {
        let mut steps = vec![EXTENSION];
        steps.extend(descend(ENTERPRISE_ATTRIBUTES, rest)?);
        return Some(steps);
    }
    descend(&all, below(kind.urn(), path).unwrap_or(path))
}

/// What follows a schema URN and its colon.
fn below<'a>(urn: &str, path: &'a str) -> Option<&'a str> {
    let head = path.get(..urn.len())?;
    head.eq_ignore_ascii_case(urn).then(|| path[urn.len()..].strip_prefix(':'))?
}

/// The same for a path relative to these attributes, e.g. inside of brackets.
pub fn descend(attributes: &[Attribute], path: &str) -> Option<Vec<Attribute>> {
    let mut steps: Vec<Attribute> = Vec::new();
    for name in path.split('.') {
        let next = match steps.last() {
            None => named(attributes, name),
            Some(last) => named(last.subs(), name),
        };
        steps.push(next?);
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_attributes_regardless_of_case_and_prefix() {
        let names = |path: &str| resolve(Kind::User, path).map(|steps| steps.iter().map(|step| step.name).collect::<Vec<_>>());
        for (path, expected) in [
            ("USERNAME", Some(vec!["userName"])),
            ("urn:ietf:params:scim:schemas:core:2.0:User:userName", Some(vec!["userName"])),
            ("name.familyname", Some(vec!["name", "familyName"])),
            ("meta.lastModified", Some(vec!["meta", "lastModified"])),
            (ENTERPRISE, Some(vec![ENTERPRISE])),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
                Some(vec![ENTERPRISE, "manager", "value"]),
            ),
            ("department", None),
            ("name.nosuch", None),
            ("userName.x", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(names(path), expected, "{path}");
        }
        assert!(resolve(Kind::Group, "userName").is_none());
    }
}
