//! Roles, given locally.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Done, Ground, act, script};
use crate::counterpart::provider::{self, Script};
use crate::counterpart::scim_client::{Answer, add};
use crate::stage::visitor::Attempt;
use crate::suite::Obstacle;
use crate::suites::account_blocks::{Texts, read_page};
use crate::suites::account_roles::exposed::{Role, exposed};
use crate::suites::scim_blocks::patch;

/// A role that somebody gives on the application's own pages.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LocalRole {
    /// The role, by its value and its readable name.
    pub role: Role,
    /// The role that the identity service assigned before, and the answer.
    pub assigned: Option<(Role, Answer)>,
    /// The user before.
    pub before: Answer,
    /// The roles that the page shows before; `None` where no page is declared.
    pub shown_before: Option<Texts>,
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
pub async fn unassigned(ground: &Ground<'_>) -> Result<Option<LocalRole>, Obstacle> {
    let stage = ground.stage;
    let Some(surface) = script(stage, "local-role-edit", "al2.app.mapping-not-client-supplied") else { return Ok(None) };
    let mapped = stage.world.target.lifecycle.mapping.first().map(|one| Role::named(&one.role));
    let Some(role) = mapped.or(exposed(stage, ground.drive).await?.assignable().first().cloned()) else { return Ok(None) };
    played(ground, surface, "surface-no-role", role, None).await.map(Some)
}

/// A role for a user who holds another one by the identity service.
pub async fn assigned(ground: &Ground<'_>) -> Result<Option<LocalRole>, Obstacle> {
    let Some(surface) = script(ground.stage, "local-role-edit", "al3.app.local-role-change-refused") else { return Ok(None) };
    let roles = exposed(ground.stage, ground.drive).await?.assignable();
    let [own, other, ..] = roles.as_slice() else { return Ok(None) };
    played(ground, surface, "surface-role", other.clone(), Some(own.clone())).await.map(Some)
}

async fn played(
    ground: &Ground<'_>,
    surface: &crate::model::target::Surface,
    label: &str,
    role: Role,
    own: Option<Role>,
) -> Result<LocalRole, Obstacle> {
    let stage = ground.stage;
    let (user, who) = ground.drive.account(label, false).await?;
    let mut seen = LocalRole { role, ..LocalRole::default() };
    if let Some(own) = own {
        let change = match ground.drive.maintain(&user, "roles", json!([own.value])).await {
            Some(change) => change,
            None => patch(stage, "a role is assigned", &user.path(), &[add("roles", json!([{"value": own.value}]))]).await?,
        };
        seen.assigned = Some((own, change));
    }
    seen.before = ground.drive.read("the user before a role is given locally", &user).await?;
    seen.shown_before = page(ground, &who, "roles before one is given locally").await?.map(|(_, shown)| shown);
    let values = [
        ("user_name", user.user_name.as_str()),
        ("email", &who.email),
        ("role", &seen.role.value),
        ("id", &user.id),
        ("value", &seen.role.value),
    ];
    seen.script = act(ground, Some(&who), surface, &values, "local-role-edit").await?;
    if seen.script.played.is_none() {
        return Ok(seen);
    }
    seen.after = ground.drive.read("the user after a role was given locally", &user).await?;
    if let Some((attempt, shown)) = page(ground, &who, "roles after one was given locally").await? {
        (seen.attempt, seen.shown) = (Some(attempt), Some(shown));
    }
    Ok(seen)
}

/// The roles that a page shows to the user after a new sign-in; none where no page is declared.
async fn page(ground: &Ground<'_>, who: &provider::Subject, step: &str) -> Result<Option<(Attempt, Texts)>, Obstacle> {
    let Some(page) = &ground.stage.world.target.accounts.roles else { return Ok(None) };
    let (visitor, attempt) = ground.stage.attempt(Script::of(who), step).await?;
    let shown = read_page(ground.stage, &visitor, page, step).await?;
    Ok(Some((attempt, shown)))
}
