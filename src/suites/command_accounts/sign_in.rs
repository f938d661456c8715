//! command-accounts/sign-in: what sign-ins and pages show of commands: the first sign-in, reactivation, groups, roles, local changes and
//! migration.

mod checks;
mod local;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Announced;
use crate::counterpart::command_issuer::{Account, Answer, Desk};
use crate::counterpart::provider::{Script, Subject};
use crate::model::ExchangeId;
use crate::stage::Stage;
use crate::stage::oracle::Look;
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::account_blocks::{Texts, read_page};

/// Commands and sign-ins.
pub struct SignIns;

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Commands that the application announces.
    pub announced: Announced,
    /// `sub` of the account.
    pub sub: String,
    /// A new account.
    pub joiner: Option<Joiner>,
    /// Suspend, reactivate, and the sign-in after each of activation and reactivation.
    pub reactivated: Option<Reactivated>,
    /// Groups by maintain commands.
    pub groups: Option<Given>,
    /// Roles by maintain commands.
    pub roles: Option<Given>,
    /// Why one of those two could not be tried, by part.
    pub untried: std::collections::BTreeMap<String, String>,
    /// A change on the application's own page.
    pub local: Option<Local>,
    /// The migration of an account with a local password.
    pub migrated: Option<Migrated>,
}

/// A new account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Joiner {
    /// The account before, where it can be audited.
    pub before: Option<Answer>,
    /// Claims that were sent.
    pub claims: Map<String, Value>,
    /// The activate command.
    pub activate: Answer,
    /// The account after it.
    pub after: Option<Answer>,
    /// The first sign-in.
    pub sign_in: Option<Attempt>,
}

/// An account that was suspended and reactivated.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reactivated {
    /// The sign-in before.
    pub before: Attempt,
    /// The suspend command.
    pub suspend: Answer,
    /// The reactivate command.
    pub reactivate: Answer,
    /// The sign-in after it.
    pub after: Option<Attempt>,
}

/// Groups or roles that commands gave and took.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Given {
    /// What was sent.
    pub value: String,
    /// Names of the role that must be shown.
    pub role: Vec<String>,
    /// It was sent as an object, because nothing came of the identifier.
    pub as_object: bool,
    /// Roles shown before.
    pub before: ShownRoles,
    /// The maintain command that gives.
    pub give: Answer,
    /// Values that the audit tells after it; `None` where nothing can be audited.
    pub audited: Option<Vec<String>>,
    /// Roles shown after it.
    pub with: ShownRoles,
    /// The maintain command that takes.
    pub take: Answer,
    /// Roles shown after it.
    pub without: ShownRoles,
}

/// Roles that the application shows to the user after a new sign-in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ShownRoles {
    /// The sign-in worked, so that the page is that of the user.
    pub signed_in: bool,
    /// Why the page could not be read; empty where it could.
    pub fault: String,
    /// The texts.
    pub roles: Vec<String>,
    /// The page.
    pub cites: Vec<ExchangeId>,
}

/// A change on the application's own page.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Local {
    /// The new value.
    pub value: String,
    /// The script could be played.
    pub played: bool,
    /// The user's page shows the new value; `None` where no page is declared.
    pub shown: Option<bool>,
    /// The account afterwards.
    pub audit: Option<Answer>,
    /// The page.
    pub cites: Vec<ExchangeId>,
}

/// The migration of an account with a local password.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Migrated {
    /// The sign-in with the password before.
    pub before: Look,
    /// The migrate command.
    pub answer: Answer,
    /// The sign-in at the provider after it.
    pub sign_in: Option<Attempt>,
    /// The sign-in with the password after it.
    pub after: Option<Look>,
}

impl Scenario for SignIns {
    type Seen = Seen;
    const ID: &'static str = "command-accounts/sign-in";
    const TITLE: &'static str = "signs users in whom commands made, changed, suspended and reactivated";
    // It moves the user with a password away.
    const AFTER: &'static [&'static str] = &["account-surface"];
    const CHECKS: &'static [Check<Seen>] = checks::ALL;

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let desk = Desk::open(stage).await?;
        let mut seen = Seen { announced: desk.commands.clone(), ..Seen::default() };
        let who = if desk.supports("activate") {
            let (who, joiner) = join(stage, &desk).await?;
            let usable = joiner.activate.accepted() && joiner.sign_in.as_ref().is_some_and(Attempt::signed_in);
            seen.joiner = Some(joiner);
            if !usable && desk.supports("reactivate") {
                // What other clauses need is an active account, whatever became of this one.
                desk.send("reactivate", &who, &Map::new()).await;
            }
            who
        } else {
            desk.account("cmd-joiner").await?
        };
        seen.sub = who.sub.clone();
        let user = desk.person(&who)?;
        if stage.wants("al2.app.cmd-groups-claim") && desk.supports("maintain") {
            match stage.world.target.lifecycle.mapping.first() {
                Some(row) => {
                    let role = vec![row.role.clone()];
                    seen.groups = Some(given(stage, &desk, &who, &user, "groups", &row.group, role).await?);
                }
                None => drop(seen.untried.insert("groups".into(), "lifecycle.mapping is not configured".into())),
            }
        }
        if stage.wants("al3.app.cmd-roles-applied") && desk.supports("maintain") {
            let shown = roles_shown(stage, &user, "roles before any are given").await?;
            match a_role(&desk.metadata, &shown) {
                Some((id, names)) => seen.roles = Some(given(stage, &desk, &who, &user, "roles", &id, names).await?),
                None => {
                    let why = "the metadata response names no role that the user does not hold already";
                    seen.untried.insert("roles".into(), why.into());
                }
            }
        }
        if stage.wants("al2.app.cmd-audit-modified") {
            seen.local = Some(local::edit(stage, &desk, &who, &user).await?);
        }
        if stage.wants("al1.app.cmd-reactivate") && desk.supports("suspend") && desk.supports("reactivate") {
            seen.reactivated = Some(reactivate(stage, &desk, &who, &user).await?);
        }
        if stage.wants("al2.app.cmd-migrate") && desk.supports("migrate") {
            seen.migrated = local::migrate(stage, &desk).await?;
        }
        desk.put_back(&who).await;
        Ok(seen)
    }
}

async fn join(stage: &Stage, desk: &Desk<'_>) -> Result<(Account, Joiner), Obstacle> {
    let mut who = desk.somebody("cmd-joiner");
    let mut joiner = Joiner { claims: desk.claims(&who), ..Joiner::default() };
    if desk.supports("audit") {
        joiner.before = Some(desk.audit(&who).await);
    }
    joiner.activate = desk.send("activate", &who, &joiner.claims).await;
    who.aud_sub = joiner.activate.members.get("aud_sub").and_then(Value::as_str).map(str::to_owned);
    who.made = true;
    if desk.supports("audit") {
        joiner.after = Some(desk.audit(&who).await);
    }
    if joiner.activate.accepted() {
        let (_, attempt) = stage.attempt(Script::of(&desk.person(&who)?), "first sign-in after activate").await?;
        joiner.sign_in = Some(attempt);
    }
    Ok((who, joiner))
}

async fn reactivate(stage: &Stage, desk: &Desk<'_>, who: &Account, user: &Subject) -> Result<Reactivated, Obstacle> {
    let (_, before) = stage.attempt(Script::of(user), "sign-in before the suspend").await?;
    stage.control(before.signed_in());
    let suspend = desk.send("suspend", who, &Map::new()).await;
    let reactivate = desk.send("reactivate", who, &Map::new()).await;
    let mut part = Reactivated { before, suspend, reactivate, after: None };
    if part.reactivate.accepted() {
        part.after = Some(stage.attempt(Script::of(user), "sign-in after reactivate").await?.1);
    }
    Ok(part)
}

/// A role of the metadata that the user does not hold, with its names. One that manages others is taken last.
fn a_role(metadata: &Answer, shown: &ShownRoles) -> Option<(String, Vec<String>)> {
    let roles = metadata.members.get("roles")?.as_array()?;
    let names = |role: &Value| -> Vec<String> {
        ["id", "display"].iter().filter_map(|name| role[*name].as_str()).map(str::to_owned).collect()
    };
    let mut free: Vec<&Value> = roles.iter().filter(|role| role["id"].is_string() && !shown.names(&names(role))).collect();
    free.sort_by_key(|role| role.to_string().to_ascii_lowercase().contains("admin"));
    free.first().and_then(|role| Some((role["id"].as_str()?.to_owned(), names(role))))
}

impl ShownRoles {
    /// One of these names is shown, alone or in a list that stands in one element.
    pub fn names(&self, role: &[String]) -> bool {
        let words: Vec<&str> = role.iter().map(String::as_str).collect();
        Texts { texts: self.roles.clone(), ..Texts::default() }.has(&words)
    }
}

/// The roles that a fresh session of the user shows.
async fn roles_shown(stage: &Stage, user: &Subject, step: &str) -> Result<ShownRoles, Obstacle> {
    let (visitor, attempt) = stage.attempt(Script::of(user), step).await?;
    let mut shown = ShownRoles { signed_in: attempt.signed_in(), ..ShownRoles::default() };
    let Some(place) = stage.world.target.accounts.roles.as_ref().filter(|_| shown.signed_in) else { return Ok(shown) };
    let page = read_page(stage, &visitor, place, step).await?;
    (shown.fault, shown.roles, shown.cites) = (page.fault, page.texts, page.cites);
    Ok(shown)
}

async fn given(
    stage: &Stage,
    desk: &Desk<'_>,
    who: &Account,
    user: &Subject,
    what: &str,
    value: &str,
    role: Vec<String>,
) -> Result<Given, Obstacle> {
    let maintain = async |values: Value| {
        let mut claims = desk.claims(who);
        claims.insert(what.to_owned(), values);
        desk.send("maintain", who, &claims).await
    };
    let mut part = Given { value: value.to_owned(), role, ..Given::default() };
    part.before = roles_shown(stage, user, &format!("without {what}")).await?;
    part.give = maintain(json!([value])).await;
    part.with = roles_shown(stage, user, &format!("with {what} by a command")).await?;
    if what == "roles" && part.with.signed_in && !part.with.names(&part.role) {
        // The draft shows roles as objects in answers, and nowhere in tokens.
        let again = maintain(json!([{"id": value}])).await;
        let shown = roles_shown(stage, user, "with roles as objects by a command").await?;
        if again.accepted() && shown.names(&part.role) {
            (part.as_object, part.give, part.with) = (true, again, shown);
        }
    }
    if desk.supports("audit") {
        let audit = desk.audit(who).await;
        let told = audit.members.get(what).and_then(Value::as_array);
        let text = |one: &Value| one.as_str().or(one["id"].as_str()).map(str::to_owned);
        part.audited = told.map(|told| told.iter().filter_map(text).collect());
    }
    part.take = maintain(json!([])).await;
    part.without = roles_shown(stage, user, &format!("without {what} again")).await?;
    Ok(part)
}

/// A browser without a session.
async fn nobody(stage: &Stage, label: &str) -> Result<Visitor, Obstacle> {
    Visitor::new(stage, label).await
}
