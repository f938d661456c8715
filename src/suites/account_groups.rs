//! account-groups: puts a user into groups by each claimed way and looks which roles that gives.

mod checks;
mod deletion;
pub mod effect;
mod foreign;
pub mod ways;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::account_blocks::{EFFECT_S, Texts, declared, pause, read_page};
use super::account_drive::Drive;
use crate::counterpart::scim_client::Answer;
use crate::model::target::{GroupRole, Way};
use crate::stage::Stage;
use crate::stage::visitor::Attempt;
use crate::suite::{Check, Obstacle, Scenario};
pub use deletion::Deletion;
use effect::{Effect, Wanted, given, until};
pub use foreign::Foreign;
use ways::Membership;

/// Groups and what they give.
pub struct AccountGroups;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// `lifecycle.mapping`.
    pub mapping: Vec<GroupRole>,
    /// `lifecycle.single_role`.
    pub single: bool,
    /// One course for each claimed way.
    pub courses: Vec<Course>,
    /// Groups from sources that must not be trusted; `None` where groups are not claimed in ID tokens.
    pub foreign: Vec<Foreign>,
    /// A mapped group that is deleted; `None` where groups are not pushed by SCIM.
    pub deletion: Option<Deletion>,
}

/// A user in and out of groups.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Course {
    /// `scim`, `claims` or `commands`.
    pub way: String,
    /// The first sign-in, in no group.
    pub before: Attempt,
    /// The page then.
    pub shown: Texts,
    /// Into the first mapped group.
    pub joined: Step,
    /// Into the second as well; `None` where there is no second mapping.
    pub both: Option<Step>,
    /// Out of the first group.
    pub left: Step,
    /// Out of all mapped groups, into one that is named like a role and mapped to none; `None` where every name is mapped.
    pub unmapped: Option<Unmapped>,
}

/// A change of membership and what it did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Step {
    /// Requests that made the change; none where it travels in ID tokens.
    pub changes: Vec<Answer>,
    /// What was seen; `None` where a change failed.
    pub effect: Option<Effect>,
}

/// A group named like a role.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Unmapped {
    /// Its name, which is that of the role.
    pub name: String,
    /// The change and the page.
    pub step: Step,
}

impl Scenario for AccountGroups {
    type Seen = Seen;
    const ID: &'static str = "account-groups";
    const TITLE: &'static str = "puts a user into groups and looks which roles they give";
    const WAITS_S: u64 = 10 * EFFECT_S;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al2.app.mapping-effective", checks::a_mapped_group_gives_its_role),
        Check::new("al2.app.mapping-removed", checks::who_leaves_loses_the_role),
        Check::new("al2.app.mapping-unmapped-group", checks::an_unmapped_group_gives_nothing),
        Check::new("al2.app.mapping-many-groups", checks::groups_add_up),
        Check::new("al2.app.group-delete", deletion::a_deleted_group_grants_nothing),
        Check::new("al2.app.group-claim-source-trusted", checks::only_the_id_token_counts),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let lifecycle = &stage.world.target.lifecycle;
        let mut seen = Seen { mapping: lifecycle.mapping.clone(), single: lifecycle.single_role, ..Seen::default() };
        let Some(first) = lifecycle.mapping.first() else { return Ok(seen) };
        for way in lifecycle.group_ways.iter().filter(|way| stage.world.target.offers(**way)) {
            seen.courses.push(course(stage, *way, first).await?);
        }
        if lifecycle.group_ways.contains(&Way::Claims) && stage.wants("al2.app.group-claim-source-trusted") {
            seen.foreign = foreign::play(stage, first).await?;
        }
        // Last, for the courses need the group.
        let scim = lifecycle.group_ways.contains(&Way::Scim) && stage.world.target.offers(Way::Scim);
        if scim && stage.wants("al2.app.group-delete") {
            seen.deletion = Some(deletion::play(stage, first).await?);
        }
        Ok(seen)
    }
}

async fn course(stage: &Stage, way: Way, first: &GroupRole) -> Result<Course, Obstacle> {
    let page = declared(stage.world.target.accounts.roles.as_ref(), "accounts.roles")?;
    let name = way.word();
    let drive = if way == Way::Commands { Drive::by_commands(stage).await? } else { Drive::open(stage).await? };
    let (user, who) = drive.account(&format!("groups-{name}"), false).await?;
    let mut member = Membership::new(way, &drive, user, who);
    let (visitor, before) = stage.attempt(member.script(stage), &format!("user in no group ({name})")).await?;
    let mut seen = Course { way: name.into(), before, ..Course::default() };
    stage.control(seen.before.signed_in());
    if !seen.before.signed_in() {
        return Ok(seen);
    }
    seen.shown = read_page(stage, &visitor, page, "roles of a user in no group").await?;
    let wait = if way == Way::Scim { stage.world.patience(EFFECT_S) } else { Duration::ZERO };
    let all: Vec<&GroupRole> = stage.world.target.lifecycle.mapping.iter().collect();
    let second = all.iter().find(|other| other.group != first.group && !other.role.eq_ignore_ascii_case(&first.role));

    let since = Instant::now();
    seen.joined.changes = member.join(stage, &first.group).await?;
    if !done(&seen.joined.changes) {
        return Ok(seen);
    }
    let (effect, other) = given(stage, &visitor, &member.script(stage), &[&first.role], since, wait).await?;
    seen.joined.effect = Some(effect);
    let holder = other.as_ref().unwrap_or(&visitor);
    let shown = |wanted: Wanted, role: String, since: Instant, member: &Membership<'_>| {
        let script = member.script(stage);
        async move { until(stage, holder, &script, wanted, &[role.as_str()], since, wait).await }
    };
    if let Some(second) = second {
        let since = Instant::now();
        let mut step = Step { changes: member.join(stage, &second.group).await?, effect: None };
        if done(&step.changes) {
            step.effect = Some(shown(Wanted::Shown, second.role.clone(), since, &member).await?);
        }
        seen.both = Some(step);
    }
    let since = Instant::now();
    seen.left.changes = member.leave(stage, &first.group).await?;
    if done(&seen.left.changes) {
        seen.left.effect = Some(shown(Wanted::Gone, first.role.clone(), since, &member).await?);
    }
    let Some(role) = unmapped_role(stage) else { return Ok(seen) };
    if let Some(second) = second {
        member.leave(stage, &second.group).await?;
    }
    let mut step = Step { changes: member.join(stage, &role).await?, effect: None };
    if done(&step.changes) {
        // As long as the mapped group took, and a little more.
        let needed = seen.joined.effect.as_ref().map_or(0, |effect| effect.live_ms.unwrap_or(effect.fresh_ms));
        let needed = Duration::from_millis(needed).min(wait) + if way == Way::Scim { pause(stage) } else { Duration::ZERO };
        stage.wait_until(Instant::now() + needed, "a group that gives nothing").await;
        step.effect = Some(
            until(stage, &visitor, &member.script(stage), Wanted::Gone, &[role.as_str()], Instant::now(), Duration::ZERO).await?,
        );
    }
    member.leave(stage, &role).await?;
    seen.unmapped = Some(Unmapped { name: role, step });
    Ok(seen)
}

/// A role whose name is no mapped group: at best one that no group gives.
fn unmapped_role(stage: &Stage) -> Option<String> {
    let lifecycle = &stage.world.target.lifecycle;
    let groups = || lifecycle.mapping.iter().map(|one| &one.group).chain(&lifecycle.role_groups);
    let unmapped = |role: &&String| !groups().any(|group| group.eq_ignore_ascii_case(role));
    let given = |role: &&String| lifecycle.mapping.iter().any(|one| one.role.eq_ignore_ascii_case(role));
    let all: Vec<&String> =
        lifecycle.roles.iter().chain(lifecycle.mapping.iter().map(|one| &one.role)).filter(unmapped).collect();
    all.iter().find(|role| !given(role)).or(all.first()).map(|role| (*role).clone())
}

fn done(changes: &[Answer]) -> bool {
    changes.iter().all(Answer::ok)
}
