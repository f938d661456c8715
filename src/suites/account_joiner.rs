//! account-joiner: users who are provisioned before they sign in, and users whom a sign-in would make.

mod checks;

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::account_blocks::{EFFECT_S, Texts, elapsed_ms, pause, read_page};
use super::account_drive::Drive;
use super::scim_blocks::{Subject, find, patch};
use crate::counterpart::provider::{self, Script};
use crate::counterpart::scim_client::{Answer, Call, Person, replace};
use crate::stage::Stage;
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::{Check, Obstacle, Scenario};

/// Users of a list that is read whole.
const EVERYBODY: u64 = 100;

/// Users join.
pub struct Joiner;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The first sign-in of a provisioned user.
    pub created: Created,
    /// A user who was created inactive; `None` where commands drive the accounts, which make active ones only.
    pub inactive: Option<Inactive>,
    /// Changes of the profile; `None` where the page that shows it is not declared, or the first sign-in failed.
    pub update: Option<Updated>,
    /// A sign-in with a name that is older than the provisioned one; `None` where the first sign-in failed.
    pub stale: Option<Stale>,
    /// A user whom nobody provisioned.
    pub unknown: Unknown,
}

/// The first sign-in of a provisioned user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Created {
    /// The id of the user.
    pub id: String,
    /// By what accounts of that person are told: user name, address, subject.
    #[serde(default)]
    pub person: [String; 3],
    /// The display name given.
    pub display: String,
    /// The sign-in.
    pub attempt: Attempt,
    /// The name on the page; `None` where none is declared.
    pub shown: Option<Texts>,
    /// Searches for accounts of that person.
    pub found: Vec<Answer>,
}

/// A user who was created inactive.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Inactive {
    /// The creation.
    pub made: Answer,
    /// A sign-in while inactive; `None` where the user could not be created.
    pub before: Option<Attempt>,
    /// The activation.
    pub activated: Option<Answer>,
    /// A sign-in after that.
    pub after: Option<Attempt>,
}

/// A change of the display name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Updated {
    /// The name before, as the page showed it.
    pub before: Texts,
    /// The old name.
    pub old: String,
    /// The new name.
    pub new: String,
    /// The change.
    pub change: Answer,
    /// The page of the live session at the end of the wait.
    pub live: Texts,
    /// Milliseconds from the change to that look.
    pub after_ms: u64,
    /// A new sign-in, whose ID token has the new name.
    pub again: Attempt,
    /// The page after that.
    pub fresh: Texts,
}

/// A sign-in with an old name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stale {
    /// The provisioned name.
    pub provisioned: String,
    /// The name of the sign-in.
    pub claimed: String,
    /// The change before; its success is a precondition.
    pub change: Answer,
    /// The sign-in.
    pub attempt: Attempt,
    /// The user afterwards.
    pub read: Answer,
}

/// A user whom nobody provisioned.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Unknown {
    /// The sign-in.
    pub attempt: Attempt,
    /// Searches for the account it made.
    pub found: Vec<Answer>,
    /// Everybody, where no search found the account: what is kept of it are accounts of that person, and whether it was the whole list.
    #[serde(default)]
    pub everybody: Option<(bool, Answer)>,
    /// The id that was found; empty where there was none.
    pub id: String,
    /// Its deactivation, and the user after that. Whether a sign-in then fails is a matter of al1.app.signin-refused.
    pub deactivated: Option<(Answer, Answer)>,
}

impl Scenario for Joiner {
    type Seen = Seen;
    const ID: &'static str = "account-joiner";
    const TITLE: &'static str = "signs users in who were provisioned before, or were not";
    const WAITS_S: u64 = EFFECT_S;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al2.app.created-user-signs-in", checks::a_created_user_signs_in),
        Check::new("al2.app.no-signin-before-active", checks::nobody_signs_in_before_activation),
        Check::new("al2.app.update-visible-to-user", checks::updates_are_shown),
        Check::new("al2.app.jit-user-is-managed", checks::a_user_made_by_a_sign_in_is_managed),
        Check::new("al2.app.jit-does-not-overwrite", checks::a_sign_in_does_not_overwrite),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let drive = Drive::open(stage).await?;
        let (provisioned, inactive, unknown) =
            futures_util::future::try_join3(provisioned(stage, &drive), inactive(stage, &drive), unknown(stage, &drive)).await?;
        let (created, update, stale) = provisioned;
        Ok(Seen { created, inactive, update, stale, unknown })
    }
}

fn subject(stage: &Stage, person: &Person) -> Result<provider::Subject, Obstacle> {
    Ok(person.subject(stage.scim()?.scim.link, &stage.app()?.app.tenant))
}

/// A user whom nobody knows yet, provisioned.
async fn newcomer(stage: &Stage, drive: &Drive<'_>) -> Result<(Subject, provider::Subject), Obstacle> {
    if drive.desk().is_some() {
        return drive.account("joiner", false).await;
    }
    let (person, found) = stage.scim_user("joiner").await?;
    let who = subject(stage, &person)?;
    let id = found.id().to_owned();
    Ok((Subject { id, user_name: person.user_name, made: true, disposable: true, found }, who))
}

async fn provisioned(stage: &Stage, drive: &Drive<'_>) -> Result<(Created, Option<Updated>, Option<Stale>), Obstacle> {
    let (user, who) = newcomer(stage, drive).await?;
    let (visitor, attempt) = stage.attempt(Script::of(&who), "first sign-in of a provisioned user").await?;
    let person = [user.user_name.clone(), who.email.clone(), who.sub.clone()];
    let mut created = Created { id: user.id.clone(), person, display: who.name.clone(), attempt, ..Created::default() };
    stage.control(created.attempt.signed_in());
    let page = stage.world.target.accounts.profile.as_ref();
    if let Some(page) = page.filter(|_| created.attempt.signed_in()) {
        created.shown = Some(read_page(stage, &visitor, page, "profile after the first sign-in").await?);
    }
    created.found = accounts_of(stage, drive, &user.user_name, &who).await?;
    // An account that is not of this run keeps the name that its operator gave it.
    if !created.attempt.signed_in() || !user.made {
        return Ok((created, None, None));
    }
    let name = format!("{} renamed", who.name);
    let since = Instant::now();
    let change = drive.rename(&user, &name).await?;
    let mut update = None;
    if let Some((page, before)) = page.zip(created.shown.clone()) {
        let renamed = provider::Subject { name: name.clone(), ..who.clone() };
        let mut seen = Updated { before, old: who.name.clone(), new: name.clone(), change: change.clone(), ..Updated::default() };
        if change.ok() {
            (seen.live, seen.after_ms) = until_shown(stage, &visitor, since, &name).await?;
            let (again, attempt) = stage.attempt(Script::of(&renamed), "sign-in with the new name").await?;
            seen.again = attempt;
            seen.fresh = read_page(stage, &again, page, "profile after a new sign-in").await?;
        }
        update = Some(seen);
    }
    let (_, attempt) = stage.attempt(Script::of(&who), "sign-in with the old name").await?;
    let read = drive.read("the name after a sign-in with the old one", &user).await?;
    let stale = Stale { provisioned: name, claimed: who.name, change, attempt, read };
    Ok((created, update, Some(stale)))
}

/// Looks at the profile until it shows the name, or for too long.
async fn until_shown(stage: &Stage, visitor: &Visitor, since: Instant, name: &str) -> Result<(Texts, u64), Obstacle> {
    let page = super::account_blocks::declared(stage.world.target.accounts.profile.as_ref(), "accounts.profile")?;
    loop {
        let asked = Instant::now();
        let shown = read_page(stage, visitor, page, "profile after the change").await?;
        if shown.has(&[name]) || asked >= since + stage.world.patience(EFFECT_S) {
            return Ok((shown, elapsed_ms(since)));
        }
        stage.wait_until(asked + pause(stage), "a change to be shown").await;
    }
}

/// Searches for accounts of a person by everything that could lead there. The first three are the same for everybody.
async fn accounts_of(
    stage: &Stage,
    drive: &Drive<'_>,
    user_name: &str,
    who: &provider::Subject,
) -> Result<Vec<Answer>, Obstacle> {
    if drive.desk().is_some() {
        return by_commands(drive, who).await;
    }
    let mut found = Vec::new();
    for (attribute, value) in
        [("externalId", who.sub.as_str()), ("userName", user_name), ("emails.value", &who.email), ("userName", &who.sub)]
    {
        found.push(find(stage, &format!("accounts by {attribute}"), attribute, value).await?);
    }
    Ok(found)
}

/// The accounts of a person as commands tell them: all of the tenant where they can be listed, else the one that an audit finds.
async fn by_commands(drive: &Drive<'_>, who: &provider::Subject) -> Result<Vec<Answer>, Obstacle> {
    if let Some(mut list) = drive.list().await {
        if let Some(users) = list.body["Resources"].as_array_mut() {
            // What is kept is written to a file: other people are none of its business.
            users.retain(|user| checks::is_of(user, &who.email, &who.sub));
        }
        return Ok(vec![list]);
    }
    let told = drive.read("the account of that person", &Subject { id: who.sub.clone(), ..Subject::default() }).await?;
    let known = told.ok() && told.text_at("/account_state") != "unknown";
    let users = if known { vec![told.body.clone()] } else { Vec::new() };
    Ok(vec![if told.ok() { Answer { body: json!({"Resources": users}), ..told } } else { told }])
}

async fn inactive(stage: &Stage, drive: &Drive<'_>) -> Result<Option<Inactive>, Obstacle> {
    if drive.desk().is_some() {
        return Ok(None);
    }
    let person = stage.scim()?.person("joiner-inactive");
    let mut body = person.body();
    body["active"] = Value::Bool(false);
    let made = stage.scim_send("a user is created inactive", Call::post("/Users", &body)).await?;
    let mut seen = Inactive { made, ..Inactive::default() };
    if !seen.made.ok() || seen.made.id().is_empty() {
        return Ok(Some(seen));
    }
    let script = Script::of(&subject(stage, &person)?);
    seen.before = Some(stage.attempt(script.clone(), "sign-in of an inactive user").await?.1);
    let path = format!("/Users/{}", seen.made.id());
    seen.activated = Some(patch(stage, "the user is activated", &path, &[replace("active", true)]).await?);
    seen.after = Some(stage.attempt(script, "sign-in after the activation").await?.1);
    Ok(Some(seen))
}

/// Whether the list of all users is whole, and what of it is of this person. Only a small tenant is listed: other people are none of the
/// report's business.
async fn everybody(stage: &Stage, of_person: impl Fn(&&Value) -> bool) -> Result<Option<(bool, Answer)>, Obstacle> {
    let page = |count: u64| Call::get("/Users").query("count", count.to_string());
    if stage.scim_send("how many users are there?", page(1)).await?.total().is_none_or(|total| total > EVERYBODY) {
        return Ok(None);
    }
    let mut all = stage.scim_send("everybody, since there are few", page(EVERYBODY)).await?;
    let listed = all.resources().len() as u64;
    let whole = all.ok() && listed > 0 && all.total() == Some(listed);
    if let Some(users) = all.body["Resources"].as_array_mut() {
        users.retain(|user| of_person(&user));
    }
    Ok(Some((whole, all)))
}

async fn unknown(stage: &Stage, drive: &Drive<'_>) -> Result<Unknown, Obstacle> {
    let who = match drive.desk() {
        Some(desk) => desk.person(&desk.somebody("joiner-unknown"))?,
        None => subject(stage, &stage.scim()?.person("joiner-unknown"))?,
    };
    let attempt = stage.attempt(Script::of(&who), "sign-in of a user whom nobody provisioned").await?.1;
    let mut seen = Unknown { attempt, ..Unknown::default() };
    if !seen.attempt.signed_in() && !seen.attempt.refused() {
        return Ok(seen);
    }
    // Who is refused may have an account all the same, which waits for somebody's approval.
    let deadline = Instant::now() + if seen.attempt.signed_in() { stage.world.patience(30) } else { pause(stage) };
    let of_person = |user: &&Value| checks::is_of(user, &who.email, &who.sub);
    loop {
        seen.found = accounts_of(stage, drive, &who.email, &who).await?;
        let user = seen.found.iter().flat_map(Answer::resources).find(of_person);
        user.and_then(|user| user["id"].as_str()).unwrap_or_default().clone_into(&mut seen.id);
        if !seen.id.is_empty() || Instant::now() >= deadline {
            break;
        }
        stage.wait_until(Instant::now() + pause(stage), "the account to appear").await;
    }
    if seen.id.is_empty() && drive.desk().is_none() && seen.attempt.signed_in() {
        seen.everybody = everybody(stage, of_person).await?;
        let own = seen.everybody.iter().flat_map(|(_, all)| all.resources()).next();
        own.and_then(|user| user["id"].as_str()).unwrap_or_default().clone_into(&mut seen.id);
    }
    if seen.id.is_empty() {
        return Ok(seen);
    }
    // A sign-in of this run made it.
    let user = Subject { id: seen.id.clone(), user_name: who.email, made: true, disposable: true, ..Subject::default() };
    seen.deactivated = Some(match drive.desk() {
        Some(_) => {
            let (_, mut answers) = drive.end(&user).await?;
            let last = answers.pop().unwrap_or_default();
            (answers.pop().unwrap_or_else(|| last.clone()), last)
        }
        None => {
            let change = patch(stage, "that user is deactivated", &user.path(), &[replace("active", false)]).await?;
            (change, drive.read("is that user deactivated?", &user).await?)
        }
    });
    Ok(seen)
}
