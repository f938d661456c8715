//! account-roles: assigns a role by each claimed way and looks on the user's page what it gives.

mod checks;
pub mod exposed;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::account_blocks::{EFFECT_S, Texts, declared, read_page};
use super::account_drive::Drive;
use super::account_groups::effect::{Effect, Wanted, given, until};
use super::account_groups::ways::Membership;
use super::scim_blocks::{patch, read};
use crate::counterpart::provider::Script;
use crate::counterpart::scim_client::{Answer, add, quoted, remove};
use crate::model::target::Way;
use crate::stage::Stage;
use crate::stage::surface::Played;
use crate::stage::visitor::Attempt;
use crate::suite::{Check, Obstacle, Scenario};
use exposed::{Exposed, Role, exposed};

/// Roles, seen in the browser.
pub struct AccountRoles;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The roles as exposed.
    pub exposed: Exposed,
    /// `lifecycle.roles`.
    pub declared: Vec<String>,
    /// The roles as the application's own page lists them; `None` where no script leads there.
    pub catalogue: Option<(Played, Texts)>,
    /// What the names of roles begin with that the run itself has made at the application; empty in older records.
    #[serde(default)]
    pub run: String,
    /// The assignment by each claimed way.
    pub courses: Vec<Course>,
}

/// An assignment and its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Course {
    /// `scim`, `claims` or `commands`.
    pub way: String,
    /// The role.
    pub role: Role,
    /// The user's sign-in before.
    pub before: Attempt,
    /// The user's page before.
    pub shown: Texts,
    /// The assignment; `None` where it travels in ID tokens.
    pub assigned: Option<Answer>,
    /// The user afterwards.
    pub stored: Option<Answer>,
    /// The role in effect.
    pub on: Effect,
    /// The other user, who was given nothing: sign-in and page.
    pub other: Option<(Attempt, Texts)>,
    /// The removal.
    pub removed: Option<Answer>,
    /// The user after that.
    pub cleared: Option<Answer>,
    /// The role out of effect.
    pub off: Effect,
}

impl Scenario for AccountRoles {
    type Seen = Seen;
    const ID: &'static str = "account-roles";
    const TITLE: &'static str = "assigns roles and looks what they give";
    const WAITS_S: u64 = 4 * EFFECT_S;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al3.app.roles-complete", checks::the_list_is_complete),
        Check::new("al3.app.assign-role", checks::an_assigned_role_is_in_effect),
        Check::new("al3.app.remove-role", checks::a_removed_role_is_gone),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let drive = Drive::open(stage).await?;
        let exposed = exposed(stage, &drive).await?;
        let declared = stage.world.target.lifecycle.roles.clone();
        let mut seen = Seen { exposed, declared, run: stage.world.run_id.clone(), ..Seen::default() };
        if stage.wants("al3.app.roles-complete") {
            seen.catalogue = catalogue(stage).await?;
        }
        if !stage.wants("al3.app.assign-role") && !stage.wants("al3.app.remove-role") {
            return Ok(seen);
        }
        let target = &stage.world.target;
        let first = seen.exposed.assignable().first().cloned();
        for way in target.lifecycle.role_ways.iter().filter(|way| target.offers(**way)) {
            match (way, &first) {
                (Way::Commands, _) => seen.courses.extend(by_commands(stage, &drive).await?),
                (Way::Scim, Some(role)) if seen.exposed.groups => seen.courses.push(by_group(stage, &drive, role).await?),
                (Way::Scim, Some(role)) => seen.courses.push(by_scim(stage, &drive, role).await?),
                (Way::Claims, Some(role)) => seen.courses.push(by_claims(stage, &drive, role).await?),
                (_, None) => {}
            }
        }
        Ok(seen)
    }
}

/// The roles on the page that a script of the target file leads to, by the selector of `accounts.roles`.
async fn catalogue(stage: &Stage) -> Result<Option<(Played, Texts)>, Obstacle> {
    let accounts = &stage.world.target.accounts;
    let (Some(surface), Some(shown)) = (accounts.surface.get("role-catalogue"), &accounts.roles) else { return Ok(None) };
    let admin = super::account_surface::Admin::default();
    super::account_surface::list(stage, &admin, surface, &shown.selector).await.map(Some)
}

async fn by_scim(stage: &Stage, drive: &Drive<'_>, role: &Role) -> Result<Course, Obstacle> {
    let page = declared(stage.world.target.accounts.roles.as_ref(), "accounts.roles")?;
    let (user, who) = drive.account("roles-effect", false).await?;
    let path = user.path();
    let (visitor, before) = stage.attempt(Script::of(&who), "user to be given a role").await?;
    let mut seen = Course { way: "scim".into(), role: role.clone(), before, ..Course::default() };
    if !seen.before.signed_in() {
        return Ok(seen);
    }
    seen.shown = read_page(stage, &visitor, page, "roles before").await?;
    let script = Script::of(&who);
    let words = [role.value.as_str(), role.display.as_str()];
    let limit = stage.world.patience(EFFECT_S);

    let since = Instant::now();
    let change = patch(stage, "a role is assigned", &path, &[add("roles", json!([{"value": role.value}]))]).await?;
    let stored = change.ok();
    seen.assigned = Some(change);
    seen.stored = Some(read(stage, "the user with the role", &path).await?);
    if !stored {
        return Ok(seen);
    }
    let (effect, entered) = given(stage, &visitor, &script, &words, since, limit).await?;
    seen.on = effect;
    let holder = entered.as_ref().unwrap_or(&visitor);
    seen.other = sentinel(stage, drive, Way::Scim).await?;

    let since = Instant::now();
    let gone = remove(&format!("roles[value eq {}]", quoted(&role.value)));
    let change = patch(stage, "the role is removed", &path, &[gone]).await?;
    let removed = change.ok();
    seen.removed = Some(change);
    seen.cleared = Some(read(stage, "the user without the role", &path).await?);
    if removed {
        seen.off = until(stage, holder, &script, Wanted::Gone, &words, since, limit).await?;
    }
    Ok(seen)
}

/// A role that is a group: who is its member has it.
async fn by_group(stage: &Stage, drive: &Drive<'_>, role: &Role) -> Result<Course, Obstacle> {
    let page = declared(stage.world.target.accounts.roles.as_ref(), "accounts.roles")?;
    let (user, who) = drive.account("roles-effect", false).await?;
    let script = Script::of(&who);
    let (visitor, before) = stage.attempt(script.clone(), "user to be put into the group of a role").await?;
    let mut seen = Course { way: "scim".into(), role: role.clone(), before, ..Course::default() };
    if !seen.before.signed_in() {
        return Ok(seen);
    }
    seen.shown = read_page(stage, &visitor, page, "roles before").await?;
    let words = [role.value.as_str(), role.display.as_str()];
    let limit = stage.world.patience(EFFECT_S);
    let mut member = Membership::new(Way::Scim, drive, user, who);

    let since = Instant::now();
    // The search for the group comes first; without a group nothing was assigned.
    let mut changes = member.join(stage, &role.value).await?;
    seen.assigned = changes.pop().filter(|_| !changes.is_empty());
    if !seen.assigned.as_ref().is_some_and(Answer::ok) {
        return Ok(seen);
    }
    let (effect, entered) = given(stage, &visitor, &script, &words, since, limit).await?;
    seen.on = effect;
    let holder = entered.as_ref().unwrap_or(&visitor);
    seen.other = sentinel(stage, drive, Way::Scim).await?;

    let since = Instant::now();
    let mut changes = member.leave(stage, &role.value).await?;
    seen.removed = changes.pop().filter(|_| !changes.is_empty());
    if seen.removed.as_ref().is_some_and(Answer::ok) {
        seen.off = until(stage, holder, &script, Wanted::Gone, &words, since, limit).await?;
    }
    Ok(seen)
}

/// The page of the user whom nobody gives anything.
async fn sentinel(stage: &Stage, drive: &Drive<'_>, way: Way) -> Result<Option<(Attempt, Texts)>, Obstacle> {
    let page = declared(stage.world.target.accounts.roles.as_ref(), "accounts.roles")?;
    let who = match drive.desk() {
        Some(desk) if desk.supports("activate") => drive.account(&format!("roles-other-{}", way.word()), false).await?.1,
        Some(_) => return Ok(None),
        None if stage.scim_sentinel().await.is_err() => return Ok(None),
        None => stage.scim()?.person("sentinel").subject(stage.scim()?.scim.link, &stage.app()?.app.tenant),
    };
    let (visitor, attempt) = stage.attempt(Script::of(&who), "user who is given nothing").await?;
    let shown = read_page(stage, &visitor, page, "roles of the user who is given nothing").await?;
    Ok(Some((attempt, shown)))
}

/// A role of the metadata, by maintain commands; none where the metadata name none.
async fn by_commands(stage: &Stage, known: &Drive<'_>) -> Result<Option<Course>, Obstacle> {
    let page = declared(stage.world.target.accounts.roles.as_ref(), "accounts.roles")?;
    // One desk at a time: where commands drive anyway, there is one.
    let own;
    let drive = if known.desk().is_some() {
        known
    } else {
        own = Drive::by_commands(stage).await?;
        &own
    };
    let Some(role) = exposed(stage, drive).await?.assignable().first().cloned() else { return Ok(None) };
    let (user, who) = drive.account("roles-commands", false).await?;
    let script = Script::of(&who);
    let (visitor, before) = stage.attempt(script.clone(), "user before a role is given by a command").await?;
    let mut seen = Course { way: "commands".into(), role, before, ..Course::default() };
    if !seen.before.signed_in() {
        return Ok(Some(seen));
    }
    seen.shown = read_page(stage, &visitor, page, "roles before").await?;
    let words = [seen.role.value.as_str(), seen.role.display.as_str()];
    // The draft shows roles as objects in answers, and nowhere in tokens.
    for value in [json!(seen.role.value), json!({"id": seen.role.value})] {
        let change = drive.maintain(&user, "roles", json!([value])).await.unwrap_or_default();
        if change.ok() {
            seen.on = until(stage, &visitor, &script, Wanted::Shown, &words, Instant::now(), Duration::ZERO).await?;
        }
        seen.assigned = Some(change);
        if seen.on.fresh.has(&words) {
            break;
        }
    }
    seen.other = sentinel(stage, drive, Way::Commands).await?;
    let change = drive.maintain(&user, "roles", json!([])).await.unwrap_or_default();
    if change.ok() {
        seen.off = until(stage, &visitor, &script, Wanted::Gone, &words, Instant::now(), Duration::ZERO).await?;
    }
    seen.removed = Some(change);
    Ok(Some(seen))
}

async fn by_claims(stage: &Stage, drive: &Drive<'_>, role: &Role) -> Result<Course, Obstacle> {
    let page = declared(stage.world.target.accounts.roles.as_ref(), "accounts.roles")?;
    let (_, who) = drive.account("roles-claims", false).await?;
    let claim = &stage.world.target.lifecycle.roles_claim;
    let (visitor, before) = stage.attempt(Script::of(&who).claim(claim, json!([])), "user before a role is claimed").await?;
    let mut seen = Course { way: "claims".into(), role: role.clone(), before, ..Course::default() };
    if !seen.before.signed_in() {
        return Ok(seen);
    }
    seen.shown = read_page(stage, &visitor, page, "roles before").await?;
    let words = [role.value.as_str(), role.display.as_str()];
    let with = Script::of(&who).claim(claim, json!([role.value]));
    seen.on = until(stage, &visitor, &with, Wanted::Shown, &words, Instant::now(), Duration::ZERO).await?;
    seen.other = sentinel(stage, drive, Way::Claims).await?;
    let without = Script::of(&who).claim(claim, json!([]));
    seen.off = until(stage, &visitor, &without, Wanted::Gone, &words, Instant::now(), Duration::ZERO).await?;
    Ok(seen)
}
