//! /ServiceProviderConfig, /ResourceTypes and /Schemas (RFC 7643 5 to 7, RFC 7644 4, RFC 9865 3).

use serde_json::{Value, json};

use super::problem::{Problem, answer};
use super::read::LIST;
use super::schema::{Attribute, ENTERPRISE, ENTERPRISE_ATTRIBUTES, Kind, Type};
use super::store::State;
use super::{Config, Paging, Quirk, Response, roles};

/// Answers GET of these endpoints.
pub fn answer_for(config: &Config, state: &State, path: &[&str]) -> Result<Response, Problem> {
    let body = match path {
        ["ServiceProviderConfig"] => service_provider_config(config, state),
        ["ResourceTypes"] => list(&resource_types(config, state)),
        ["ResourceTypes", id] => one(resource_types(config, state), id)?,
        ["Schemas"] => list(&schemas(config, state)),
        ["Schemas", id] => one(schemas(config, state), id)?,
        _ => return Err(Problem::not_found()),
    };
    Ok(answer(200, body))
}

fn list(all: &[Value]) -> Value {
    let count = all.len();
    json!({"schemas": [LIST], "totalResults": count, "startIndex": 1, "itemsPerPage": count, "Resources": all})
}

fn one(all: Vec<Value>, id: &str) -> Result<Value, Problem> {
    all.into_iter().find(|entry| entry["id"] == id).ok_or_else(Problem::not_found)
}

fn service_provider_config(config: &Config, state: &State) -> Value {
    let paging = config.paging;
    let default = if paging == Paging::Cursor { "cursor" } else { "index" };
    let mut shown = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": !config.has(Quirk::ServiceProviderConfig)},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": config.page_limit},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
        "etag": {"supported": config.etags},
        "pagination": {
            "cursor": paging != Paging::Index,
            "index": paging != Paging::Cursor,
            "defaultPaginationMethod": default,
            "defaultPageSize": config.page_limit,
            "maxPageSize": config.page_limit,
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "OAuth Bearer Token",
            "description": "Authentication by an access token of OAuth 2.0 with the scope scim",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {"resourceType": "ServiceProviderConfig", "location": format!("{}/ServiceProviderConfig", config.base_url)},
    });
    // Only with roles: the member is no part of RFC 7643, and strict clients refuse what they do not know.
    if !state.roles.is_empty() {
        shown["RolesAndEntitlements"] = json!({
            "roles": {
                "supported": true,
                "multipleRolesSupported": config.multiple_roles,
                "primarySupported": true,
                "typeSupported": true,
            },
            "entitlements": {"supported": false},
        });
    }
    shown
}

fn kinds(state: &State) -> Vec<Kind> {
    let mut kinds = vec![Kind::User, Kind::Group];
    if !state.roles.is_empty() {
        kinds.push(Kind::Role);
    }
    kinds
}

fn resource_types(config: &Config, state: &State) -> Vec<Value> {
    let shown = kinds(state).into_iter().filter(|kind| *kind != Kind::Group || !config.has(Quirk::ResourceTypes));
    let entry = |kind: Kind| {
        let mut entry = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": kind.name(),
            "name": kind.name(),
            "endpoint": kind.endpoint(),
            "description": kind.name(),
            "schema": kind.urn(),
            "meta": {"resourceType": "ResourceType", "location": format!("{}/ResourceTypes/{}", config.base_url, kind.name())},
        });
        if kind == Kind::User {
            entry["schemaExtensions"] = json!([{"schema": ENTERPRISE, "required": false}]);
        }
        entry
    };
    shown.map(entry).collect()
}

fn schemas(config: &Config, state: &State) -> Vec<Value> {
    let entry = |urn: &str, name: &str, attributes: &[Attribute]| {
        let attributes = attributes.iter().filter(|attribute| attribute.name != "active" || !config.has(Quirk::Schemas));
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": urn,
            "name": name,
            "description": name,
            "attributes": attributes.map(described).collect::<Vec<_>>(),
            "meta": {"resourceType": "Schema", "location": format!("{}/Schemas/{urn}", config.base_url)},
        })
    };
    let mut all: Vec<Value> = kinds(state).into_iter().map(|kind| entry(kind.urn(), kind.name(), kind.core())).collect();
    if let Some(reference) = sub_attribute(&mut all[0], "groups", "$ref") {
        reference["referenceTypes"] = json!(["Group"]);
    }
    // Groups have no groups as members.
    if let Some(kind) = sub_attribute(&mut all[1], "members", "type") {
        kind["canonicalValues"] = json!(["User"]);
    }
    all.insert(1, entry(ENTERPRISE, "EnterpriseUser", ENTERPRISE_ATTRIBUTES));
    let values: Vec<String> =
        roles::shown(config, state).into_iter().filter(|role| role.supported).map(|role| role.value).collect();
    if !values.is_empty()
        && let Some(value) = sub_attribute(&mut all[0], "roles", "value")
    {
        value["canonicalValues"] = values.into();
    }
    all
}

fn sub_attribute<'a>(schema: &'a mut Value, name: &str, sub: &str) -> Option<&'a mut Value> {
    let attribute = schema["attributes"].as_array_mut()?.iter_mut().find(|attribute| attribute["name"] == name)?;
    attribute["subAttributes"].as_array_mut()?.iter_mut().find(|attribute| attribute["name"] == sub)
}

fn described(attribute: &Attribute) -> Value {
    let of = match attribute.of {
        Type::Text => "string",
        Type::Boolean => "boolean",
        Type::Integer => "integer",
        Type::DateTime => "dateTime",
        Type::Reference => "reference",
        Type::Complex(_) => "complex",
    };
    let mut entry = json!({
        "name": attribute.name,
        "type": of,
        "multiValued": attribute.multi,
        "description": attribute.name,
        "required": attribute.required,
        "caseExact": attribute.case_exact,
        "mutability": attribute.mutability,
        "returned": attribute.returned,
        "uniqueness": attribute.uniqueness,
    });
    if let Type::Complex(subs) = attribute.of {
        entry["subAttributes"] = subs.iter().map(described).collect();
    }
    if let Type::Reference = attribute.of {
        entry["referenceTypes"] = json!(["User"]);
    }
    entry
}
