//! The roles that the application exposes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::counterpart::command_issuer;
use crate::counterpart::scim_client::Answer;
use crate::stage::Stage;
use crate::suite::Obstacle;
use crate::suites::account_drive::{Drive, record};
use crate::suites::scim_blocks::read;

/// A role by what it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its value.
    pub value: String,
    /// Its readable name; empty where there is none.
    pub display: String,
    /// It may be assigned.
    pub supported: bool,
    /// How many users may hold it is limited.
    pub limited: bool,
}

impl Role {
    /// A role that is known by its name alone.
    pub fn named(name: &str) -> Role {
        Role { value: name.to_owned(), supported: true, ..Role::default() }
    }

    /// Is it called so, in any letter case?
    pub fn is(&self, name: &str) -> bool {
        let same = |own: &str| !own.is_empty() && own.eq_ignore_ascii_case(name);
        same(&self.value) || same(&self.display)
    }
}

/// Where the roles were read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Exposed {
    /// GET /Roles.
    pub list: Answer,
    /// The schemas.
    pub schemas: Answer,
    /// The roles are those of the metadata command, which need not name roles that cannot be assigned.
    #[serde(default)]
    pub metadata: bool,
    /// The roles are groups: they are given by membership, not by the user's attribute.
    #[serde(default)]
    pub groups: bool,
    /// The roles: those of /Roles, else `canonicalValues` of the User schema, else the groups of `lifecycle.role_groups`.
    pub roles: Vec<Role>,
}

impl Exposed {
    /// Those that may be assigned, without a limit first.
    pub fn assignable(&self) -> Vec<Role> {
        let (limited, free): (Vec<Role>, Vec<Role>) =
            self.roles.iter().filter(|role| role.supported).cloned().partition(|role| role.limited);
        free.into_iter().chain(limited).collect()
    }
}

/// The roles that the answer to the metadata command names.
pub fn by_metadata(metadata: &command_issuer::Answer) -> Exposed {
    let named = metadata.members.get("roles").and_then(Value::as_array).into_iter().flatten();
    let text = |role: &Value, name: &str| role[name].as_str().unwrap_or_default().to_owned();
    let role = |role: &Value| Role { display: text(role, "display"), ..Role::named(&text(role, "id")) };
    let roles: Vec<Role> = named.map(role).filter(|role| !role.value.is_empty()).collect();
    Exposed { list: record(metadata), metadata: true, roles, ..Exposed::default() }
}

/// Reads the roles, where what drives accounts exposes them.
///
/// # Errors
/// There is no service provider, or no token for it.
pub async fn exposed(stage: &Stage, drive: &Drive<'_>) -> Result<Exposed, Obstacle> {
    if let Some(desk) = drive.desk() {
        return Ok(by_metadata(&desk.metadata));
    }
    let list = read(stage, "the roles", "/Roles").await?;
    let schemas = stage.scim_documents().await?.schemas.clone();
    let mut roles: Vec<Role> = list.resources().iter().filter_map(role).collect();
    if roles.is_empty() {
        roles = schema_values(&schemas.body).iter().map(|value| Role::named(value)).collect();
    }
    let groups = roles.is_empty();
    if groups {
        roles = stage.world.target.lifecycle.role_groups.iter().map(|name| Role::named(name)).collect();
    }
    Ok(Exposed { list, schemas, roles, groups, metadata: false })
}

fn role(role: &Value) -> Option<Role> {
    Some(Role {
        value: role["value"].as_str().filter(|value| !value.is_empty())?.to_owned(),
        display: role["display"].as_str().unwrap_or_default().to_owned(),
        supported: role["supported"] != false,
        limited: role["limitedAssignmentsPermitted"] == true,
    })
}

/// `canonicalValues` of `roles.value`, wherever the schema of users stands in the document.
fn schema_values(document: &Value) -> Vec<String> {
    let named = |all: &Value, name: &str| {
        let found = all.as_array().into_iter().flatten().find(|one| one["name"] == name);
        found.cloned().unwrap_or_default()
    };
    let schemas = document["Resources"].as_array().or_else(|| document.as_array());
    let user = schemas.into_iter().flatten().find(|schema| schema["id"] == crate::counterpart::scim_client::USER);
    let attributes = user.map(|schema| schema["attributes"].clone()).unwrap_or_default();
    let roles = named(&attributes, "roles");
    let value = named(&roles["subAttributes"], "value");
    value["canonicalValues"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn roles_come_from_the_schema_where_there_is_no_list() {
        let value = json!({"name": "value", "canonicalValues": ["editor", "auditor"]});
        let user =
            json!({"id": crate::counterpart::scim_client::USER, "attributes": [{"name": "roles", "subAttributes": [value]}]});
        assert_eq!(schema_values(&json!({"Resources": [user]})), ["editor", "auditor"]);
        assert!(schema_values(&Value::Null).is_empty());
    }

    #[test]
    fn roles_come_from_the_metadata_where_commands_drive() {
        let members = json!({"roles": [{"id": "r", "display": "R"}, {"display": "nameless"}]}).as_object().cloned().unwrap();
        let exposed = by_metadata(&command_issuer::Answer { status: 200, members, ..command_issuer::Answer::default() });
        assert_eq!(exposed.roles, [Role { display: "R".into(), ..Role::named("r") }]);
    }

    #[test]
    fn roles_with_a_limit_are_taken_last() {
        let named = |value: &str, limited| Role { limited, ..Role::named(value) };
        let roles = vec![named("a", true), named("b", false), Role { supported: false, ..Role::named("c") }];
        let values: Vec<String> =
            Exposed { roles, ..Exposed::default() }.assignable().into_iter().map(|role| role.value).collect();
        assert_eq!(values, ["b", "a"]);
        assert!(Role { display: "Editor".into(), ..Role::named("x") }.is("editor"));
    }
}
