//! account-leaver: a user who is signed in is suspended; sessions, tokens and sign-ins must end, and no reactivation brings them back.

mod checks;
pub mod mechanisms;

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::account_blocks::{EFFECT_S, Watched, account, watch};
use super::scim_blocks::{Ended, Subject, end_access, is_active, patch, read};
use crate::counterpart::provider::{self, Script};
use crate::counterpart::scim_client::{Answer, replace};
use crate::stage::Stage;
use crate::stage::oracle::Look;
use crate::stage::visitor::Attempt;
use crate::suite::{Check, Obstacle, Scenario};
use mechanisms::{Artefacts, MECHANISMS_S, Mechanism};

/// A user leaves.
pub struct Leaver;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The user's first browser before the suspension.
    pub before: Attempt,
    /// The user's second browser, which nobody looks at until the user is active again.
    pub idle: Attempt,
    /// The other user, whom nobody suspends.
    pub other: Attempt,
    /// How access was ended by the records; `None` where no way worked.
    pub ended: Option<Ended>,
    /// The requests for that.
    pub answers: Vec<Answer>,
    /// The first browser afterwards.
    pub session: Watched,
    /// The other user's session afterwards.
    pub other_after: Look,
    /// A new sign-in of the other user while the first one is suspended.
    pub other_again: Attempt,
    /// A sign-in of the suspended user in a clean browser.
    pub again: Attempt,
    /// The user's record after that.
    pub record: Answer,
    /// What gave access before, and what became of it.
    pub mechanisms: Vec<Mechanism>,
    /// Reactivation; `None` where the user was deleted.
    pub reactivated: Option<Answer>,
    /// A new sign-in after that.
    pub after: Option<Attempt>,
    /// The second browser after that.
    pub idle_after: Option<Look>,
}

impl Scenario for Leaver {
    type Seen = Seen;
    const ID: &'static str = "account-leaver";
    const TITLE: &'static str = "suspends a signed-in user and looks whether all access ends";
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al1.app.any-one-way", checks::one_way_ends_access),
        Check::new("al1.app.session-ends", checks::sessions_end),
        Check::new("al1.app.access-mechanisms", checks::every_mechanism_ends),
        Check::new("al1.app.signin-refused", checks::suspended_users_cannot_sign_in),
        Check::new("al1.app.reactivation-revives-no-session", checks::old_access_stays_dead),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let (user, person) = account(stage, "leaver", true).await?;
        let other = other(stage).await?;
        let (first, second, stays) = futures_util::future::try_join3(
            stage.attempt(Script::of(&person), "user to be suspended, first browser"),
            stage.attempt(Script::of(&person), "user to be suspended, idle browser"),
            stage.attempt(Script::of(&other), "other user"),
        )
        .await?;
        let mut seen = Seen { before: first.1, idle: second.1, other: stays.1, ..Seen::default() };
        stage.control(seen.before.signed_in() && seen.other.signed_in());
        if !seen.before.signed_in() {
            // Nothing could be concluded.
            return Ok(seen);
        }
        let mut artefacts = Artefacts::collect(stage, &first.0).await?;

        let since = Instant::now();
        (seen.ended, seen.answers) = end(stage, &user).await?;
        if seen.ended.is_none() {
            return Ok(seen);
        }
        let limit = stage.world.patience(EFFECT_S);
        seen.session = watch(stage, &first.0, since, limit, "first browser after the suspension").await?;
        seen.other_after = stays.0.look(stage, "the other user after the suspension").await?;
        // Sessions first: a sign-in might make the user active again.
        seen.again = stage.attempt(Script::of(&person), "sign-in of the suspended user").await?.1;
        seen.other_again = stage.attempt(Script::of(&other), "sign-in of the other user").await?.1;
        seen.record = read(stage, "is the user still suspended?", &user.path()).await?;
        let limit = stage.world.patience(MECHANISMS_S);
        artefacts.try_until_refused(stage, &first.0, since, limit).await?;

        if seen.ended != Some(Ended::Delete) {
            seen.reactivated = Some(resume(stage, &user).await?);
            let (_, attempt) = stage.attempt(Script::of(&person), "sign-in after the reactivation").await?;
            stage.control(attempt.signed_in());
            seen.after = Some(attempt);
            artefacts.try_again(stage, &first.0).await?;
            seen.idle_after = Some(second.0.look(stage, "idle browser after the reactivation").await?);
        }
        seen.mechanisms = artefacts.mechanisms;
        Ok(seen)
    }
}

/// Somebody whom nobody suspends: the run's sentinel, else the first user of the run.
async fn other(stage: &Stage) -> Result<provider::Subject, Obstacle> {
    let app = stage.app()?;
    if stage.scim_sentinel().await.is_ok() {
        let scim = stage.scim()?;
        return Ok(scim.person("sentinel").subject(scim.scim.link, &app.app.tenant));
    }
    Ok(app.users[0].clone())
}

/// Ends the user's access by the first way that works in the application's records. SCIM goes first; who is driven by commands alone has no
/// user of `[scim]` and does not come here.
async fn end(stage: &Stage, user: &Subject) -> Result<(Option<Ended>, Vec<Answer>), Obstacle> {
    end_access(stage, &user.id).await
}

/// Makes the user active again, and reads whether that worked.
async fn resume(stage: &Stage, user: &Subject) -> Result<Answer, Obstacle> {
    let change = patch(stage, "the user is reactivated", &user.path(), &[replace("active", true)]).await?;
    let read = read(stage, "is the user active again?", &user.path()).await?;
    Ok(if change.ok() && is_active(&read) != Some(true) { read } else { change })
}
