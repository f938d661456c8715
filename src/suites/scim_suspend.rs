//! scim-suspend: deactivates a user in every form that clients use, reactivates it, deletes it and makes it anew.

mod checks;
mod deletion;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::scim_blocks::{Subject, inactive, patch, read, subject};
use crate::counterpart::scim_client::{Answer, Call, GROUP, replace};
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};
pub use deletion::Deletion;

/// Suspension and deletion.
pub struct Suspend;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The user, active at the start.
    pub user: Subject,
    /// PATCH with a path, read back.
    pub off: Step,
    /// The user that nobody touches, after that; `None` where there is none.
    pub sentinel: Option<Answer>,
    /// The same PATCH once more.
    pub again: Answer,
    /// Reactivation, read back.
    pub on: Step,
    /// PATCH without a path.
    pub pathless: Form,
    /// PUT.
    pub put: Form,
    /// PATCH with the words of Entra.
    pub entra: Form,
    /// Membership around the suspension; `None` where no group could be made.
    pub group: Option<Membership>,
    /// Deletion, and what follows; `None` where no user may be deleted.
    pub deletion: Option<Deletion>,
}

/// A change, read back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Step {
    /// The change.
    pub change: Answer,
    /// The user afterwards.
    pub read: Answer,
}

/// Another form of the deactivation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Form {
    /// The user was made active before, in the form that was read back.
    pub reset: Answer,
    /// The change.
    pub change: Answer,
    /// The user afterwards, where the change succeeded.
    pub read: Option<Answer>,
}

/// Membership of the user in a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Membership {
    /// Its creation, with the user as member.
    pub made: Answer,
    /// The user was a member while it was deactivated, by its own `groups`; `None` where it shows none at all.
    pub during: Option<bool>,
    /// The group after reactivation.
    pub after: Answer,
}

impl Scenario for Suspend {
    type Seen = Seen;
    const ID: &'static str = "scim-suspend";
    const TITLE: &'static str = "deactivates, reactivates and deletes a user by SCIM";
    const BROWSER: bool = false;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al1.app.deactivate-patch", checks::patch_deactivates),
        Check::new("al1.app.deactivate-patch-no-path", checks::pathless_patch_deactivates),
        Check::new("al1.app.deactivate-entra-dialect", checks::entras_words_do_no_harm),
        Check::new("al1.app.deactivate-put", checks::put_deactivates),
        Check::new("al1.app.deactivate-idempotent", checks::deactivation_can_be_repeated),
        Check::new("al1.app.deactivated-still-readable", checks::a_deactivated_user_can_be_read),
        Check::new("al1.app.reactivate", checks::patch_reactivates),
        Check::new("al1.app.group-membership-kept-or-dropped", checks::membership_is_reported),
        Check::new("al1.app.delete-user", deletion::delete_removes),
        Check::new("al1.app.delete-unknown-404", deletion::unknown_ids_are_not_found),
        Check::new("al1.app.recreate-after-delete", deletion::a_name_can_be_used_again),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let mut user = subject(stage, "suspend", false).await?;
        let path = user.path();
        if user.found.active().is_none() {
            user.found = read(stage, "is the user active?", &path).await?;
        }
        stage.control(user.found.active() == Some(true));
        // Only AL1 may be claimed: then there need not be a second user.
        let sentinel = stage.scim_sentinel().await.ok().map(|made| format!("/Users/{}", made.id()));
        let mut seen = Seen { user, ..Seen::default() };
        let made = group(stage, &seen.user).await?;

        seen.off.change = patch(stage, "the user is deactivated", &path, &[replace("active", false)]).await?;
        seen.off.read = read(stage, "is the user deactivated?", &path).await?;
        if let Some(sentinel) = &sentinel {
            seen.sentinel = Some(read(stage, "is the other user still active?", sentinel).await?);
        }
        seen.again = patch(stage, "the user is deactivated again", &path, &[replace("active", false)]).await?;
        seen.on.change = reactivate(stage, &path).await?;
        seen.on.read = read(stage, "is the user active again?", &path).await?;
        if let Some(made) = made {
            let during = seen.off.read.body["groups"].as_array().map(|all| all.iter().any(|one| one["value"] == made.body["id"]));
            let after = read(stage, "who is in the group now?", &format!("/Groups/{}", made.id())).await?;
            seen.group = Some(Membership { made, during, after });
        }

        let form = json!({"op": "replace", "value": {"active": false}});
        seen.pathless.change = patch(stage, "the user is deactivated without a path", &path, &[form]).await?;
        seen.pathless.read = Some(read(stage, "is the user deactivated?", &path).await?);

        seen.put.reset = reactivate(stage, &path).await?;
        let body = inactive(&seen.on.read.body);
        seen.put.change = stage.scim_send("the user is deactivated by PUT", Call::send("PUT", &path, &body)).await?;
        seen.put.read = seen.put.shown(stage, &path).await?;

        seen.entra.reset = reactivate(stage, &path).await?;
        let words = json!({"op": "Replace", "path": "active", "value": "False"});
        seen.entra.change = patch(stage, "the user is deactivated with the words of Entra", &path, &[words]).await?;
        seen.entra.read = seen.entra.shown(stage, &path).await?;

        if !seen.user.made {
            reactivate(stage, &path).await?;
        }
        seen.deletion = deletion::play(stage, &seen.user, sentinel.as_deref()).await?;
        Ok(seen)
    }
}

impl Form {
    /// Reads the user back, where the change succeeded: an answer may repeat what was sent and nobody stored.
    async fn shown(&self, stage: &Stage, path: &str) -> Result<Option<Answer>, Obstacle> {
        if !self.change.ok() {
            return Ok(None);
        }
        read(stage, "is the user deactivated?", path).await.map(Some)
    }
}

async fn reactivate(stage: &Stage, path: &str) -> Result<Answer, Obstacle> {
    patch(stage, "the user is reactivated", path, &[replace("active", true)]).await
}

/// A group with the user in it; none where groups cannot be made or nobody asked.
async fn group(stage: &Stage, user: &Subject) -> Result<Option<Answer>, Obstacle> {
    if !stage.wants("al1.app.group-membership-kept-or-dropped") || !user.made {
        return Ok(None);
    }
    let name = stage.scim()?.name("suspend");
    let body: Value = json!({"schemas": [GROUP], "displayName": name, "members": [{"value": user.id}]});
    let made = stage.scim_send("a group with the user in it", Call::post("/Groups", &body)).await?;
    Ok((made.ok() && !made.id().is_empty()).then_some(made))
}
