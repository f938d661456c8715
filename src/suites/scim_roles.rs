//! scim-roles: reads the application's roles, and assigns them to a user of its own.

mod assigned;
mod assigning;
mod checks;
mod invented;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::scim_blocks::{cite, read};
use crate::counterpart::scim_client::{Answer, Bearer, Call, ROLE, Shape, quoted};
use crate::model::ExchangeId;
use crate::model::target::Way;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};
pub use assigning::{Limit, Probes};
pub use invented::Invented;

/// Roles.
pub struct Roles;

/// Seconds in which a new role must appear.
const NEW_ROLE_S: u64 = 900;
/// Who makes a role at the application.
const CREATE: &str = "create-role";
/// Who removes it again.
const DELETE: &str = "delete-role";

/// What was read and done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// `lifecycle.role_ways` names scim.
    pub by_scim: bool,
    /// `lifecycle.single_role`.
    pub single: bool,
    /// Commands are configured, whose metadata may name roles.
    pub commands: bool,
    /// The service provider's configuration.
    pub config: Answer,
    /// The resource types.
    pub types: Answer,
    /// `canonicalValues` of `roles.value` in the User schema.
    pub schema_values: Vec<String>,
    /// Where they were read.
    pub schema_cites: Vec<ExchangeId>,
    /// Groups that stand for roles, and what a search for each found.
    pub groups: Vec<(String, Answer)>,
    /// GET /Roles.
    pub list: Answer,
    /// The same without a token, where it was offered.
    pub open: Option<Answer>,
    /// A role that the client tried to make, and the answer, where roles were offered.
    pub made: Option<(String, Answer)>,
    /// GET /Roles once more, after that.
    pub again: Option<Answer>,
    /// Assignments; `None` where no role can be assigned by SCIM, or no user made.
    pub probes: Option<Probes>,
    /// A role that nobody named, where no role can be assigned by SCIM.
    pub invented: Option<Invented>,
    /// A role with a limit of assignments.
    pub limit: Option<Limit>,
    /// A role that the operator's side made.
    pub appeared: Option<Appeared>,
}

/// A role of the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its value.
    pub value: String,
    /// Its readable name; empty where there is none.
    pub display: String,
    /// It may be assigned.
    pub supported: bool,
    /// How many users may still be given it, where there is a limit.
    pub free: Option<u64>,
}

/// A role that the operator's side made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Appeared {
    /// The hook succeeded.
    pub done: bool,
    /// Values before.
    pub before: Vec<String>,
    /// The last answer.
    pub last: Answer,
    /// Values in it.
    pub after: Vec<String>,
}

impl Scenario for Roles {
    type Seen = Seen;
    const ID: &'static str = "scim-roles";
    const TITLE: &'static str = "reads the application's roles and assigns them by SCIM";
    const BROWSER: bool = false;
    const WAITS_S: u64 = NEW_ROLE_S;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al3.app.roles-exposed", checks::roles_are_exposed),
        Check::new("al3.app.role-identifiers", checks::roles_have_identifiers),
        Check::new("al3.app.roles-resource-wellformed", checks::the_resource_is_well_formed),
        Check::new("al3.app.roles-readonly", checks::clients_make_no_roles),
        Check::new("al3.app.roles-need-token", checks::roles_need_a_token),
        Check::new("al3.app.new-role-appears", checks::a_new_role_appears),
        Check::new("al3.app.unsupported-role-refused", assigned::an_unsupported_role_is_refused),
        Check::new("al3.app.unknown-role-refused", assigned::an_unknown_role_is_refused),
        Check::new("al3.app.role-value-exact", assigned::a_role_is_its_value),
        Check::new("al3.app.multiple-roles", assigned::roles_are_held_together),
        Check::new("al3.app.role-limit", assigned::a_limit_is_kept),
        Check::new("al3.app.role-survives-suspension", assigned::the_last_assignment_holds),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let documents = stage.scim_documents().await?;
        let (lifecycle, commands) = (&stage.world.target.lifecycle, &stage.world.target.commands);
        let mut seen = Seen {
            by_scim: lifecycle.role_ways.contains(&Way::Scim),
            single: lifecycle.single_role,
            commands: !commands.command_endpoint.is_empty(),
            config: documents.config.clone(),
            types: documents.types.clone(),
            schema_values: schema_values(&stage.scim_shape().await?),
            schema_cites: cite(&documents.schemas).to_vec(),
            list: read(stage, "the roles", "/Roles").await?,
            ..Seen::default()
        };
        for name in &lifecycle.role_groups {
            let search = Call::get("/Groups").filter(format!("displayName eq {}", quoted(name)));
            let found = stage.scim_send("a group that stands for a role", search.query("excludedAttributes", "members")).await?;
            seen.groups.push((name.clone(), found));
        }
        if seen.list.ok() {
            seen.open = Some(stage.scim_send("the roles without a token", Call::get("/Roles").by(Bearer::Nobody)).await?);
            let value = format!("{}-role-of-the-client", stage.world.run_id);
            let body = json!({"schemas": [ROLE], "value": value, "display": value, "supported": true});
            seen.made = Some((value, stage.scim_send("a role is made by the client", Call::post("/Roles", &body)).await?));
            seen.again = Some(read(stage, "the roles once more", "/Roles").await?);
        }
        if seen.by_scim {
            seen.assign(stage).await?;
        }
        if stage.wants("al3.app.new-role-appears") {
            seen.appeared = Some(new_role(stage).await?);
        }
        Ok(seen)
    }
}

impl Seen {
    /// The roles that can be assigned by their value: those of /Roles, else those of the schema.
    pub fn known(&self) -> Vec<Known> {
        let listed: Vec<Known> = self.list.resources().iter().filter_map(known).collect();
        if !listed.is_empty() {
            return listed;
        }
        let plain = |value: &String| Known { value: value.clone(), supported: true, ..Known::default() };
        self.schema_values.iter().map(plain).collect()
    }

    /// What the service provider's configuration says of a feature of roles.
    pub fn advertised(&self, feature: &str) -> Option<bool> {
        self.config.body.pointer(&format!("/RolesAndEntitlements/roles/{feature}"))?.as_bool()
    }
}

fn known(role: &Value) -> Option<Known> {
    let limited = role["limitedAssignmentsPermitted"] == true;
    let permitted = role["totalAssignmentsPermitted"].as_u64().filter(|_| limited);
    let used = role["totalAssignmentsUsed"].as_u64().unwrap_or(0);
    Some(Known {
        value: role["value"].as_str().filter(|value| !value.is_empty())?.to_owned(),
        display: role["display"].as_str().unwrap_or_default().to_owned(),
        supported: role["supported"] != false,
        free: permitted.map(|permitted| permitted.saturating_sub(used)),
    })
}

/// `canonicalValues` of `roles.value`.
fn schema_values(shape: &Shape) -> Vec<String> {
    let declared = shape.user("roles.value").map(|value| value["canonicalValues"].clone()).unwrap_or_default();
    declared.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Has a role made, and looks for it until it appears.
async fn new_role(stage: &Stage) -> Result<Appeared, Obstacle> {
    let before = catalogue(stage).await?.1;
    let name = stage.scim()?.name("role");
    let undo = stage.world.target.hooks.contains_key(DELETE).then(|| stage.undo_later(DELETE, &[("role", &name)]));
    let done = stage.hook(CREATE, &[("role", &name)]).await?.done;
    let deadline = Instant::now() + stage.world.patience(NEW_ROLE_S);
    let mut pause = Duration::from_secs(1);
    let (last, after) = loop {
        let (last, after) = catalogue(stage).await?;
        // The scenario of commands has a role made as well, at the same time.
        let own = |value: &&String| !before.contains(value) && **value != format!("{}-role", stage.world.run_id);
        let after: Vec<String> = after.iter().filter(|value| before.contains(value) || own(value)).cloned().collect();
        if !done || after.iter().any(|value| own(&value)) || Instant::now() >= deadline {
            break (last, after);
        }
        stage.wait_until((Instant::now() + pause).min(deadline), "a new role to appear").await;
        pause = (pause * 2).min(Duration::from_secs(60));
    };
    if let Some(undo) = undo {
        stage.undo_now(undo).await;
    } else if done {
        stage.leave(format!("hooks.delete-role is not configured: the role `{name}` stays at the application"));
    }
    Ok(Appeared { done, before, last, after })
}

/// The values of /Roles, else those of the schema.
async fn catalogue(stage: &Stage) -> Result<(Answer, Vec<String>), Obstacle> {
    let list = read(stage, "is there a new role?", "/Roles").await?;
    if list.ok() {
        let values = list.resources().iter().filter_map(known).map(|role| role.value).collect();
        return Ok((list, values));
    }
    let schemas = read(stage, "is there a new role in the schema?", "/Schemas").await?;
    let values = schema_values(&Shape::of(&schemas));
    Ok((schemas, values))
}
