//! provision-joiner: users are assigned, changed and renamed at the identity service.

mod checks;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Case;
use super::course::{Course, User};
use crate::counterpart::scim_client::USER;
use crate::counterpart::scim_receiver::{Entry, Fault, Rule, Sent, TENANT, holds};
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// What the application keeps for itself, in an attribute that identity services seldom map.
const OWN: &str = "fr-CA";
/// Users that are assigned at once.
const RACE: usize = 5;

/// Joiners and movers.
pub struct Joiner;

/// What became of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// By what was done: `create`, `link`, `update`, `clear`, `rename`.
    pub cases: BTreeMap<String, Case>,
    /// Attributes that the operator says are mapped.
    pub mapped: Vec<String>,
    /// The `userName` that was there before, in another case.
    pub existing: String,
    /// Accounts of the user who was there before, in the end.
    pub linked_accounts: usize,
    /// The application's own attribute after the update: `None` where no update was seen.
    pub own_kept: Option<bool>,
    /// The identity service sent that attribute itself.
    pub own_mapped: bool,
    /// Server ids of accounts of this scenario.
    pub ids: Vec<String>,
    /// What was sent about the user who was created and changed.
    pub story: Vec<Sent>,
    /// Accounts of each user that was assigned at once.
    pub race: Vec<usize>,
    /// What was sent about the one whose first answer was lost.
    pub race_lost: Vec<Sent>,
    /// The account of the new user is known by a hook's word alone: its `externalId`, empty where it has none. No name, address or id of the
    /// user stands in it.
    #[serde(default)]
    pub unlike: Option<String>,
    /// No request came at all in the run.
    #[serde(default)]
    pub silent: bool,
    /// Creations while the new user did not arrive, in which no user of the run is to be recognised, in a run that has no others.
    #[serde(default)]
    pub unclaimed: Vec<String>,
    /// A hook named another account than the one that was there: what made it, and whether the client had searched by a filter.
    #[serde(default)]
    pub other: Option<(String, bool)>,
    /// Why the race could not be played.
    pub race_obstacle: Option<String>,
    /// POST bodies of users, for what must differ.
    pub created: Vec<Sent>,
}

impl Scenario for Joiner {
    type Seen = Seen;
    const ID: &'static str = "provision-joiner";
    const TITLE: &'static str = "assigns, changes and renames users at the identity service";
    const BROWSER: bool = false;
    const PROVISIONED: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al2.idp.creates-before-signin", checks::an_assigned_user_is_created),
        Check::new("al2.idp.looks-up-before-create", checks::what_is_there_is_linked),
        Check::new("al2.idp.create-request-valid", checks::the_creation_is_valid),
        Check::new("al2.idp.stores-server-id", checks::the_server_id_is_used),
        Check::new("al2.idp.profile-update", checks::a_change_arrives),
        Check::new("al2.idp.profile-attribute-cleared", checks::a_cleared_value_goes),
        Check::new("al2.idp.update-minimal-harm", checks::an_update_leaves_the_rest),
        Check::new("al2.idp.username-change-keeps-account", checks::a_renamed_user_keeps_the_account),
        Check::new("al2.idp.no-duplicates-under-race", checks::a_race_makes_no_duplicates),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let course = Course::open(stage)?;
        let attributes = &stage.world.target.lifecycle.attributes;
        let mapped = if attributes.is_empty() { vec!["displayName".into(), "title".into()] } else { attributes.clone() };
        let mut seen = Seen { mapped, ..Seen::default() };
        let mark = course.receiver.log().mark();
        let joined = course.joined(&["joiner-new"]).await;
        let mut users: Vec<User> = Vec::new();
        match joined.get("joiner-new") {
            Some(Ok(user)) => {
                users.push(user.clone());
                let took = course.reach("a new user", || course.account(user).is_some()).await;
                let id = course.account(user).unwrap_or_default();
                let mut case = course.case(mark, &id, &user.tag, took);
                if took.is_none() {
                    case.state = "there is no account".into();
                }
                seen.cases.insert("create".into(), case);
                look(&course, &mut seen, mark, user, &id);
                if took.is_some() {
                    users.extend(go_on(&course, &mut seen, user, &id).await);
                    seen.story = course.sent(mark, &id, &user.tag);
                } else {
                    let silent = course.silent().map(|why| format!(": {why}")).unwrap_or_default();
                    block(&mut seen, &format!("the user {} did not arrive, so there is nothing to work on{silent}", user.name));
                }
                seen.ids.push(id);
            }
            Some(Err(why)) => {
                seen.cases.insert("create".into(), Case::blocked(why.as_str()));
                block(&mut seen, why);
            }
            None => {}
        }
        // Those of the run; where it cannot be recognised in any, all count: nobody else has the token.
        let run = stage.world.run_id.to_lowercase();
        let posts = course.receiver.log().since(0, Entry::created_user);
        let ours = posts.iter().any(|entry| entry.names(&run));
        let posts = posts.iter().filter(|entry| !ours || entry.names(&run));
        seen.created = posts.take(40).map(|entry| Sent::of(entry, course.began)).collect();
        course.close(users).await;
        Ok(seen)
    }
}

/// Nothing else can be played where the first user did not arrive.
fn block(seen: &mut Seen, why: &str) {
    for what in ["link", "update", "clear", "rename"] {
        seen.cases.insert(what.into(), Case::blocked(why));
    }
    seen.race_obstacle = Some(why.to_owned());
}

/// Looks at how the account of the new user can be told, or at what came in its place.
fn look(course: &Course<'_>, seen: &mut Seen, mark: usize, user: &User, id: &str) {
    let receiver = course.receiver;
    if let Some(account) = receiver.engine().user(id) {
        let ours = [user.tag.as_str(), user.id.as_str(), user.display.as_str()];
        let recognised = ours.iter().any(|text| !text.is_empty() && holds(&account, &text.to_lowercase()));
        seen.unlike = (!recognised).then(|| account["externalId"].as_str().unwrap_or_default().to_owned());
        return;
    }
    seen.silent = course.silent().is_some();
    let run = course.stage.world.run_id.to_lowercase();
    if !receiver.log().any(0, |entry| entry.created_user() && entry.names(&run)) {
        let unclaimed = |entry: &Entry| entry.created_user() && !entry.resource.as_deref().is_some_and(|id| receiver.is_told(id));
        seen.unclaimed = receiver.log().since(mark, unclaimed).into_iter().map(|entry| entry.exchange).collect();
    }
}

/// Once the first user is there: an update of it, a user who is there before, and several at once; then clearing and renaming.
async fn go_on(course: &Course<'_>, seen: &mut Seen, user: &User, id: &str) -> Vec<User> {
    let mut users = Vec::new();
    let engine = course.receiver.engine();
    let posted = course.sent(course.mark, id, &user.tag);
    seen.own_mapped = posted.iter().any(|sent| sent.body.get("preferredLanguage").is_some());
    engine.change_user(id, |user| user["preferredLanguage"] = OWN.into());
    let mark = course.receiver.log().mark();
    let stamp = course.stage.world.run_id.replace("run-", "");
    let attribute = seen.mapped.first().cloned().unwrap_or_default();
    let value = format!("Changed {stamp}");
    let title = format!("Title {stamp}");
    let titled = seen.mapped.iter().any(|name| name == "title");
    let mut update = change(course, user, &attribute, &value).await;
    if titled && attribute != "title" && update.is_ok() {
        update = change(course, user, "title", &title).await;
    }
    let link = link(course, seen, user, id).await;
    let race = race(course, seen).await;
    course.now().await;
    let both = || course.account_holds(id, &value) && (!titled || attribute == "title" || course.account_holds(id, &title));
    // A title that only the suite supposes to be mapped need not come.
    let listed = !course.stage.world.target.lifecycle.attributes.is_empty();
    let enough = || if listed { both() } else { course.account_holds(id, &value) };
    let arrived = |what: &str| match what {
        "update" => both(),
        "link" => link.as_ref().is_ok_and(|(one, place, from)| {
            course.receiver.log().any(*from, |entry| {
                entry.ok() && (entry.touches(place) && entry.writes() || entry.names(&one.tag) && entry.method == "POST")
            }) || course.receiver.told(&one.tag).is_some()
        }),
        _ => race.iter().all(|one| course.account(one).is_some()),
    };
    let mut labels = vec!["race"];
    labels.extend(update.is_ok().then_some("update"));
    labels.extend(link.is_ok().then_some("link"));
    let took = course.settle("changes and new users", 1, &labels, arrived).await;
    let made = match update {
        Err(why) => Case::blocked(why),
        Ok(cite) => Case {
            cites: vec![cite],
            ..course.case(
                mark,
                id,
                &user.tag,
                enough().then(|| took.get("update").copied().unwrap_or(course.cycle().as_secs_f64())),
            )
        },
    };
    let updated = made.reached();
    let wrote = made.done().next().is_some();
    seen.own_kept = wrote.then(|| course.account_holds(id, OWN));
    seen.cases.insert(
        "update".into(),
        Case { state: if updated { "the new value is there".into() } else { format!("{attribute} is unchanged") }, ..made },
    );
    match link {
        Err(why) => {
            seen.cases.insert("link".into(), Case::blocked(why));
        }
        Ok((one, place, from)) => {
            seen.linked_accounts = course.receiver.users_with(&one.tag).len();
            seen.ids.push(place.clone());
            seen.other = another(course, &one, &place, from);
            let case = course.case(from, &place, &one.tag, took.get("link").copied());
            seen.cases.insert("link".into(), case);
            users.push(one);
        }
    }
    clear_and_rename(course, seen, user, id, (titled && course.account_holds(id, &title)).then_some(title.as_str())).await;
    if !race.is_empty() {
        // What the client does about the lost answer may come late; the changes above took their time of it.
        let lost = race.first().map(|one| one.tag.clone()).unwrap_or_default();
        let unheard = |entry: &Entry| entry.names(&lost) && entry.fault.as_deref().is_some_and(|fault| fault.contains("lost"));
        if let Some(first) = course.receiver.log().since(mark, unheard).first() {
            let left = course.patience(60).saturating_sub(first.at.elapsed());
            let repeated = || course.receiver.log().any(first.number + 1, |entry| entry.names(&lost));
            course.wait_for("a repetition", left, repeated).await;
        }
        seen.race = race.iter().map(|one| course.receiver.users_with(&one.tag).len()).collect();
        seen.race_lost =
            race.first().map(|one| course.sent(mark, &course.account(one).unwrap_or_default(), &one.tag)).unwrap_or_default();
    }
    users.extend(race);
    users
}

async fn change(course: &Course<'_>, user: &User, attribute: &str, value: &str) -> Result<String, String> {
    if !course.has("update-profile") {
        return Err("hooks.update-profile is not configured".into());
    }
    course.hook("update-profile", user, &[("attribute", attribute), ("value", value)]).await.map_err(|obstacle| obstacle.message)
}

/// A user whose account is there before, its user name in another case. The form of user names is that of the first user.
async fn link(course: &Course<'_>, seen: &mut Seen, first: &User, id: &str) -> Result<(User, String, usize), String> {
    let unlike = seen.unlike.is_some();
    let name_of = |user: &User| -> Option<String> {
        let known = course.receiver.engine().user(id)?["userName"].as_str()?.to_lowercase();
        // Where the client makes up names, only what it was given can be there before.
        if unlike || known == first.name.to_lowercase() {
            Some(user.name.clone())
        } else {
            (known == first.tag).then(|| user.tag.clone())
        }
    };
    let somebody = course.user("joiner-linked").await.map_err(|obstacle| obstacle.message)?;
    let Some(name) = name_of(&somebody) else {
        return Err("the form of user names cannot be told from the first user, so no account could be put there before".into());
    };
    let name = name.to_uppercase();
    let user = json!({
        "schemas": [USER], "userName": name, "active": true,
        "emails": [{"value": somebody.email, "type": "work", "primary": true}],
    });
    let place = course.receiver.engine().put_user(TENANT, user);
    let from = course.receiver.log().mark();
    seen.existing = name;
    course.assign(&somebody).await.map_err(|obstacle| obstacle.message)?;
    Ok((somebody, place, from))
}

/// The account that a hook named, where it is another than the one that was there: its creation, and whether a search came before.
fn another(course: &Course<'_>, user: &User, place: &str, from: usize) -> Option<(String, bool)> {
    let told = course.receiver.told(&user.tag).filter(|id| id != place)?;
    let log = course.receiver.log();
    let made = log.since(from, |entry| entry.created_user() && entry.touches(&told)).into_iter().next()?;
    let searched =
        log.any(from, |entry| entry.number < made.number && (entry.filter().is_some() || entry.path.ends_with("/.search")));
    Some((made.exchange, searched))
}

/// Several users at once: all answers are slow, and one creation's answer is lost.
async fn race(course: &Course<'_>, seen: &mut Seen) -> Vec<User> {
    let delay = if course.stage.world.embedded { Duration::from_millis(300) } else { Duration::from_secs(10) };
    let labels: Vec<String> = (0..RACE).map(|number| format!("race-{number}")).collect();
    let mut users = Vec::new();
    for (number, label) in labels.iter().enumerate() {
        match course.user(label).await {
            Ok(user) => {
                if number == 0 {
                    course.receiver.script(Rule::of(&user.tag, Fault::AnswerLost, 1).on(&["POST"]));
                }
                course.receiver.script(Rule::of(&user.tag, Fault::Delayed(delay), 1).on(&["POST"]));
                users.push(user);
            }
            Err(obstacle) => seen.race_obstacle = Some(obstacle.message),
        }
    }
    let assigned = futures_util::future::join_all(users.iter().map(|user| course.assign(user))).await;
    if let Some(Err(obstacle)) = assigned.into_iter().find(Result::is_err) {
        seen.race_obstacle = Some(obstacle.message);
    }
    users
}

async fn clear_and_rename(course: &Course<'_>, seen: &mut Seen, user: &User, id: &str, title: Option<&str>) {
    let mark = course.receiver.log().mark();
    let clear = match title {
        None if !seen.mapped.iter().any(|name| name == "title") => Err("lifecycle.attributes does not name title".to_owned()),
        None => Err("the title never arrived, so it cannot be cleared".to_owned()),
        Some(_) => change(course, user, "title", "").await,
    };
    let renamed = course.somebody("joiner-renamed");
    let rename = if course.has("rename-user") {
        course.hook("rename-user", user, &[("value", &renamed.name)]).await.map_err(|obstacle| obstacle.message)
    } else {
        Err("hooks.rename-user is not configured".into())
    };
    course.now().await;
    let mut labels = Vec::new();
    labels.extend(clear.is_ok().then_some("clear"));
    labels.extend(rename.is_ok().then_some("rename"));
    let done = |what: &str| match what {
        // An account that is gone, because a new name makes a new one, shows nothing of the value.
        "clear" => course.receiver.engine().user(id).is_some() && !title.is_some_and(|title| course.account_holds(id, title)),
        _ => !course.receiver.users_with(&renamed.tag).is_empty(),
    };
    let took = course.settle("a cleared attribute and a new name", 1, &labels, done).await;
    for (what, hook) in [("clear", clear), ("rename", rename)] {
        let case = match hook {
            Err(why) => Case::blocked(why),
            Ok(_) if what == "clear" && course.receiver.engine().user(id).is_none() => {
                Case::blocked("the account is gone since the user has another name: it shows nothing of the value")
            }
            Ok(cite) => {
                let tag = if what == "rename" { &renamed.tag } else { &user.tag };
                let mut case = Case { cites: vec![cite], ..course.case(mark, id, tag, took.get(what).copied()) };
                let kept = course.account_holds(id, &renamed.tag);
                case.state = match (what, case.reached(), kept) {
                    ("clear", false, _) => "the old value stays".into(),
                    ("rename", true, true) => "renamed".into(),
                    ("rename", true, false) => "another account".into(),
                    _ => "unchanged".into(),
                };
                case
            }
        };
        seen.cases.insert(what.into(), case);
    }
    // A directory that names its users by their user name removes this one by the new one.
    if seen.cases.get("rename").is_some_and(|case| case.obstacle.is_none()) && course.has("delete-user") {
        course.forget(user);
        let new = User { id: user.id.clone(), made: true, ..renamed };
        let undo = course.undo_later("delete-user", &new, &[]);
        course.stage.undo_now(undo).await;
    }
}
