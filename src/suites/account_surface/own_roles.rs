//! Roles, given locally.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Admin, Done, act, script};
use crate::counterpart::provider::Script;
use crate::counterpart::scim_client::{Answer, add};
use crate::stage::Stage;
use crate::stage::visitor::Attempt;
use crate::suite::Obstacle;
use crate::suites::account_blocks::{Texts, account, pause, read_page};
use crate::suites::account_roles::exposed::{Role, exposed};
use crate::suites::scim_blocks::{patch, read};

/// A role that somebody gives on the application's own pages.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LocalRole {
    /// The role, by its value and its readable name.
    pub role: Role,
    /// The role that the identity service assigned before, and the answer.
    pub assigned: Option<(Role, Answer)>,
    /// The user before.
    pub before: Answer,
    /// What was played.
    pub script: Done,
    /// The user afterwards.
    pub after: Answer,
    /// The user's sign-in afterwards.
    pub attempt: Option<Attempt>,
    /// The roles that the page shows afterwards; `None` where no page is declared.
    pub shown: Option<Texts>,
}

/// A role for a user who holds none.
pub async fn unassigned(stage: &Stage, admin: &Admin) -> Result<Option<LocalRole>, Obstacle> {
    let Some(surface) = script(stage, "local-role-edit", "al2.app.mapping-not-client-supplied") else { return Ok(None) };
    let mapped = stage.world.target.lifecycle.mapping.first().map(|one| Role::named(&one.role));
    let Some(role) = mapped.or(exposed(stage).await?.assignable().first().cloned()) else { return Ok(None) };
    played(stage, admin, surface, "surface-no-role", role, None).await.map(Some)
}

/// A role for a user who holds another one by the identity service.
pub async fn assigned(stage: &Stage, admin: &Admin) -> Result<Option<LocalRole>, Obstacle> {
    let Some(surface) = script(stage, "local-role-edit", "al3.app.local-role-change-refused") else { return Ok(None) };
    let roles = exposed(stage).await?.assignable();
    let [own, other, ..] = roles.as_slice() else { return Ok(None) };
    played(stage, admin, surface, "surface-role", other.clone(), Some(own.clone())).await.map(Some)
}

async fn played(
    stage: &Stage,
    admin: &Admin,
    surface: &crate::model::target::Surface,
    label: &str,
    role: Role,
    own: Option<Role>,
) -> Result<LocalRole, Obstacle> {
    let (user, who) = account(stage, label, false).await?;
    let mut seen = LocalRole { role, ..LocalRole::default() };
    if let Some(own) = own {
        let roles = json!([{"value": own.value}]);
        let change = patch(stage, "a role is assigned", &user.path(), &[add("roles", roles)]).await?;
        seen.assigned = Some((own, change));
    }
    seen.before = read(stage, "the user before a role is given locally", &user.path()).await?;
    let values = [
        ("user_name", user.user_name.as_str()),
        ("email", &who.email),
        ("role", &seen.role.value),
        ("id", &user.id),
        ("value", &seen.role.value),
    ];
    seen.script = act(stage, admin, Some(&who), surface, &values, "local-role-edit").await?;
    if seen.script.played.is_none() {
        return Ok(seen);
    }
    // What is pushed elsewhere needs a moment; a sign-in comes after it.
    stage.wait_until(Instant::now() + pause(stage), "a role given locally to take effect").await;
    seen.after = read(stage, "the user after a role was given locally", &user.path()).await?;
    if let Some(page) = &stage.world.target.accounts.roles {
        let (visitor, attempt) = stage.attempt(Script::of(&who), "user to whom a role was given locally").await?;
        seen.shown = Some(read_page(stage, &visitor, page, "roles after one was given locally").await?);
        seen.attempt = Some(attempt);
    }
    Ok(seen)
}
