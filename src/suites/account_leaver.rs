//! account-leaver: a user who is signed in is suspended, by SCIM or by a command; sessions, tokens and sign-ins must end, and no reactivation
//! brings them back.

mod checks;
pub mod mechanisms;

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::account_blocks::{EFFECT_S, Watched, look, watch};
use super::account_drive::Drive;
use super::scim_blocks::Ended;
use crate::counterpart::provider::{self, Script};
use crate::counterpart::scim_client::Answer;
use crate::stage::Stage;
use crate::stage::oracle::Look;
use crate::stage::visitor::Attempt;
use crate::suite::{Check, Obstacle, Scenario};
use mechanisms::{Artefacts, MECHANISMS_S, Mechanism};

/// A user leaves.
pub struct Leaver;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
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
    /// Archive or delete is announced, and was not tried on an account that is not of this run.
    pub spared: bool,
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
    /// Reactivation; `None` where there is nothing to reactivate.
    pub reactivated: Option<Answer>,
    /// What ended the access cannot be undone here: the user is gone, or no command is announced for it.
    pub final_end: bool,
    /// A new sign-in after that.
    pub after: Option<Attempt>,
    /// The second browser after that.
    pub idle_after: Option<Look>,
}

impl Scenario for Leaver {
    type Seen = Seen;
    const ID: &'static str = "account-leaver";
    const TITLE: &'static str = "suspends a signed-in user and looks whether all access ends";
    const WAITS_S: u64 = EFFECT_S + MECHANISMS_S;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al1.app.any-one-way", checks::one_way_ends_access),
        Check::new("al1.app.session-ends", checks::sessions_end),
        Check::new("al1.app.access-mechanisms", checks::every_mechanism_ends),
        Check::new("al1.app.signin-refused", checks::suspended_users_cannot_sign_in),
        Check::new("al1.app.reactivation-revives-no-session", checks::old_access_stays_dead),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let drive = Drive::open(stage).await?;
        let (user, person) = drive.account("leaver", true).await?;
        let other = other(stage, &drive, &person).await?;
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
        (seen.ended, seen.answers) = drive.end(&user).await?;
        seen.spared = drive.spares(&user);
        let Some(ended) = seen.ended else { return Ok(seen) };
        let limit = stage.world.patience(EFFECT_S);
        seen.session = watch(stage, &first.0, since, limit, "first browser after the suspension").await?;
        seen.other_after = look(stage, &stays.0, "the other user after the suspension").await?;
        // Sessions first: a sign-in might make the user active again.
        seen.again = stage.attempt(Script::of(&person), "sign-in of the suspended user").await?.1;
        seen.other_again = stage.attempt(Script::of(&other), "sign-in of the other user").await?.1;
        seen.record = drive.read("is the user still suspended?", &user).await?;
        let limit = stage.world.patience(MECHANISMS_S);
        artefacts.try_until_refused(stage, &first.0, since, limit).await?;

        seen.final_end = !drive.resumable(ended);
        if !seen.final_end {
            seen.reactivated = Some(drive.resume(&user, ended).await?);
            let (_, attempt) = stage.attempt(Script::of(&person), "sign-in after the reactivation").await?;
            stage.control(attempt.signed_in());
            seen.after = Some(attempt);
            artefacts.try_again(stage, &first.0).await?;
            seen.idle_after = Some(look(stage, &second.0, "idle browser after the reactivation").await?);
        }
        seen.mechanisms = artefacts.mechanisms;
        if let Some(desk) = drive.desk() {
            desk.put_back(&desk.somebody_named(&user.id, user.made)).await;
        }
        Ok(seen)
    }
}

/// Somebody whom nobody suspends: the run's sentinel, else a user of the run who is not the one to be suspended.
async fn other(stage: &Stage, drive: &Drive<'_>, suspended: &provider::Subject) -> Result<provider::Subject, Obstacle> {
    let app = stage.app()?;
    if let Some(desk) = drive.desk() {
        if desk.supports("activate") {
            return Ok(drive.account("leaver-other", false).await?.1);
        }
    } else if stage.scim_sentinel().await.is_ok() {
        let scim = stage.scim()?;
        return Ok(scim.person("sentinel").subject(scim.scim.link, &app.app.tenant));
    }
    let other = app.users.iter().find(|user| user.sub != suspended.sub);
    Ok(other.unwrap_or(&app.users[0]).clone())
}
