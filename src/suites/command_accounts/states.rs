//! command-accounts/states: suspend, archive, restore and delete, commands that do not fit the state, and a replayed command.

mod checks;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Announced;
use crate::counterpart::command_issuer::{Account, Answer, Desk};
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// The states of an account.
pub struct States;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Commands that the application announces.
    pub announced: Announced,
    /// `sub` of the account.
    pub sub: String,
    /// It was made by this run, so that it may be archived and deleted.
    pub disposable: bool,
    /// The account before the first command.
    pub before: Option<Answer>,
    /// The suspend command, and the account after it.
    pub suspend: Option<(Answer, Option<Answer>)>,
    /// The other account before and after that.
    pub sentinel: Option<(Answer, Answer)>,
    /// Commands that do not fit the state: which, in which state, and the answer.
    pub unfit: Vec<(String, String, Answer)>,
    /// The account after the unfit commands of each state: the state it has to be in, and the audit.
    pub unchanged: Vec<(String, Answer)>,
    /// The answer to the reactivate between.
    pub reactivate: Option<Answer>,
    /// The suspend command a second time after the reactivate, and the account after it.
    pub replay: Option<(Answer, Option<Answer>)>,
    /// The archive command, and the account after it.
    pub archive: Option<(Answer, Option<Answer>)>,
    /// The restore command, and the account after it.
    pub restore: Option<(Answer, Option<Answer>)>,
    /// `sub` of the account that is deleted: another one where the first did not come back from the archive.
    pub deleted: String,
    /// The delete command, and the account after it.
    pub delete: Option<(Answer, Option<Answer>)>,
    /// The activate command after that, and the account after it.
    pub again: Option<(Answer, Option<Answer>)>,
}

impl Scenario for States {
    type Seen = Seen;
    const ID: &'static str = "command-accounts/states";
    const TITLE: &'static str = "suspends, archives, restores and deletes an account by commands";
    const BROWSER: bool = false;
    const PROVIDER: bool = true;
    const CHECKS: &'static [Check<Seen>] = checks::ALL;

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let desk = Desk::open(stage).await?;
        let mut seen = Seen { announced: desk.commands.clone(), ..Seen::default() };
        if !["suspend", "archive", "delete"].iter().any(|command| desk.supports(command)) {
            return Ok(seen);
        }
        let who = desk.account("cmd-states").await?;
        (seen.sub, seen.disposable) = (who.sub.clone(), who.made);
        seen.before = audit(&desk, &who).await;
        suspended(stage, &desk, &who, &mut seen).await?;
        unfit_when_active(&desk, &who, &mut seen).await;
        if who.made {
            archived(&desk, &who, &mut seen).await;
            let back = seen.restore.as_ref().is_some_and(|(answer, _)| answer.accepted());
            let who = if seen.archive.is_none() || back { who.clone() } else { desk.account("cmd-delete").await? };
            seen.deleted = who.sub.clone();
            deleted(&desk, &who, &mut seen).await;
        }
        desk.put_back(&who).await;
        Ok(seen)
    }
}

async fn audit(desk: &Desk<'_>, who: &Account) -> Option<Answer> {
    if desk.supports("audit") { Some(desk.audit(who).await) } else { None }
}

async fn run(desk: &Desk<'_>, command: &str, who: &Account) -> (Answer, Option<Answer>) {
    let answer = desk.send(command, who, &Map::new()).await;
    (answer, audit(desk, who).await)
}

/// A command that does not fit the state.
async fn unfit(desk: &Desk<'_>, seen: &mut Seen, command: &str, who: &Account, state: &str) {
    if desk.supports(command) {
        // Complete but for the state: an application may ask for claims before it looks at the account.
        let claims = if matches!(command, "activate" | "maintain") { desk.claims(who) } else { Map::new() };
        let answer = desk.send(command, who, &claims).await;
        seen.unfit.push((command.to_owned(), state.to_owned(), answer));
    }
}

async fn suspended(stage: &Stage, desk: &Desk<'_>, who: &Account, seen: &mut Seen) -> Result<(), Obstacle> {
    if !desk.supports("suspend") {
        return Ok(());
    }
    let other = if desk.supports("activate") { Some(desk.account("cmd-sentinel").await?) } else { None };
    let sentinel = match &other {
        Some(other) => audit(desk, other).await,
        None => None,
    };
    let draft = desk.draft("suspend", who, &Map::new());
    let answer = desk.post("suspend command", "suspend", who, &draft).await;
    let after = audit(desk, who).await;
    // What does not fit depends on the state the account is really in.
    let accepted = answer.accepted() && after.as_ref().is_none_or(|after| super::state(after) == "suspended");
    seen.suspend = Some((answer, after));
    if let (Some(other), Some(before)) = (&other, sentinel) {
        seen.sentinel = audit(desk, other).await.map(|after| (before, after));
    }
    if !accepted {
        return Ok(());
    }
    unfit(desk, seen, "suspend", who, "suspended").await;
    unfit(desk, seen, "restore", who, "suspended").await;
    if let Some(answer) = audit(desk, who).await {
        seen.unchanged.push(("suspended".into(), answer));
    }
    if desk.supports("reactivate") {
        let answer = desk.send("reactivate", who, &Map::new()).await;
        let active = answer.accepted();
        seen.reactivate = Some(answer);
        if active && stage.wants("al1.app.cmd-replay") {
            let answer = desk.post("suspend command, the same once more", "suspend", who, &draft).await;
            let executed = answer.accepted();
            seen.replay = Some((answer, audit(desk, who).await));
            if executed {
                desk.send("reactivate", who, &Map::new()).await;
            }
        }
    }
    Ok(())
}

async fn unfit_when_active(desk: &Desk<'_>, who: &Account, seen: &mut Seen) {
    let told = |audit: &Option<Answer>| audit.as_ref().is_some_and(|audit| super::state(audit) == "active");
    let active = match &seen.suspend {
        None => true,
        Some((answer, audit)) => !answer.accepted() || told(audit) || seen.reactivate.as_ref().is_some_and(Answer::accepted),
    };
    if active {
        unfit(desk, seen, "reactivate", who, "active").await;
        unfit(desk, seen, "activate", who, "active").await;
        if let Some(answer) = audit(desk, who).await {
            seen.unchanged.push(("active".into(), answer));
        }
    }
    unfit(desk, seen, "maintain", &desk.somebody("cmd-nobody"), "unknown").await;
}

async fn archived(desk: &Desk<'_>, who: &Account, seen: &mut Seen) {
    if desk.supports("archive") {
        seen.archive = Some(run(desk, "archive", who).await);
        if desk.supports("restore") {
            seen.restore = Some(run(desk, "restore", who).await);
        }
    }
}

async fn deleted(desk: &Desk<'_>, who: &Account, seen: &mut Seen) {
    if !desk.supports("delete") {
        return;
    }
    seen.delete = Some(run(desk, "delete", who).await);
    if seen.delete.as_ref().is_some_and(|(answer, _)| answer.accepted()) && desk.supports("activate") {
        // Fewer claims than the first time: what shows besides is old.
        let fresh: Map<String, Value> = desk.claims(who).into_iter().filter(|(name, _)| name == "email").collect();
        let mut claims = fresh;
        claims.insert("name".into(), json!(format!("Anew {}", who.sub)));
        let answer = desk.send("activate", who, &claims).await;
        seen.again = Some((answer, audit(desk, who).await));
    }
}
