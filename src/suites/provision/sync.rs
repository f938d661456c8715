//! provision-sync: accounts change behind the identity service's back, and it synchronises in full; by index pages, then by cursors.
//! After the others, because a full synchronisation repairs what they do on purpose.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::course::{Course, User};
use super::{Case, effect};
use crate::counterpart::scim_receiver::Entry;
use crate::counterpart::scim_server::Paging;
use crate::model::Judgement;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// What a drifted account shows.
const DRIFTED: &str = "Drifted away";

/// Full synchronisation.
pub struct Sync;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// What was put right: `user`, `missing`, `group`, `role`, `command`.
    pub cases: BTreeMap<String, Case>,
    /// How the users were read by index pages.
    pub index: Walk,
    /// How they were read when only cursors were offered.
    pub cursor: Walk,
}

/// How an identity service read the users.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Walk {
    /// Why it could not be played.
    pub obstacle: Option<String>,
    /// Lists without a filter that were answered.
    pub lists: usize,
    /// Different users on them.
    pub read: usize,
    /// Users there are.
    pub total: usize,
    /// Users of this scenario that were looked up one by one.
    pub looked_up: usize,
    /// Users of this scenario.
    pub users: usize,
    /// Creations of users who have an account.
    pub duplicates: Vec<String>,
    /// Writes to an account that was as it should be.
    pub needless: Vec<String>,
    /// Exchanges of the lists.
    pub cites: Vec<String>,
}

impl Walk {
    /// Every user was read.
    fn complete(&self) -> bool {
        self.lists > 0 && self.read >= self.total
    }
}

impl Scenario for Sync {
    type Seen = Seen;
    const ID: &'static str = "provision-sync";
    const TITLE: &'static str = "changes accounts behind the identity service's back and lets it synchronise in full";
    const AFTER: &'static [&'static str] = &[
        "provision-leaver",
        "provision-token",
        "provision-faults",
        "provision-joiner",
        "provision-groups",
        "provision-roles",
        "provision-commands",
        "provision-sign-in",
    ];
    const BROWSER: bool = false;
    const PROVISIONED: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al2.idp.initial-and-full-sync", all_pages_are_read_and_only_differences_written),
        Check::new("al2.idp.cursor-support", cursors_are_followed),
        Check::new("al2.idp.drift-user-repaired", a_changed_account_is_put_right),
        Check::new("al2.idp.drift-missing-user-repaired", a_missing_account_is_made_again),
        Check::new("al2.idp.groups-drift-repaired", a_changed_membership_is_put_right),
        Check::new("al3.idp.role-drift-repaired", changed_roles_are_put_right),
        Check::new("al2.idp.cmd-audit-drift", a_changed_state_is_put_right_by_command),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let course = Course::open(stage)?;
        let mut seen = Seen::default();
        let labels = ["sync-drift", "sync-missing", "sync-same", "sync-role", "sync-command"];
        let arrived = course.arrived(&labels).await;
        if let Some(Err(why)) = arrived.values().find(|user| user.is_err()) {
            course.close(arrived.values().flatten().map(|(user, _)| user.clone())).await;
            return Err(Obstacle::target(why.clone(), "See al2.idp.creates-before-signin."));
        }
        let users: BTreeMap<String, (User, String)> =
            arrived.into_iter().filter_map(|(label, user)| Some((label, user.ok()?))).collect();
        let ids = |label: &str| users.get(label).map(|(_, id)| id.clone()).unwrap_or_default();
        let mut drift = Drift {
            course: &course,
            users: &users,
            group: String::new(),
            display: String::new(),
            role: String::new(),
            sub: String::new(),
        };
        drift.prepare(&mut seen).await;
        drift.begin(&mut seen);
        let mark = course.receiver.log().mark();
        let commands = course.receiver.commands.received().len();
        match course.hook("full-resync", &User::default(), &[]).await {
            Err(obstacle) => {
                seen.index.obstacle = Some(obstacle.message.clone());
                seen.cursor.obstacle = Some(obstacle.message.clone());
                seen.cases.values_mut().for_each(|case| case.obstacle = Some(obstacle.message.clone()));
            }
            Ok(cite) => {
                course.now().await;
                let kinds: Vec<String> =
                    seen.cases.iter().filter(|(_, case)| case.obstacle.is_none()).map(|(kind, _)| kind.clone()).collect();
                let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
                let took = course.settle("what changed to be put right", 1, &kinds, |kind| drift.repaired(kind)).await;
                for kind in kinds {
                    let label = format!("sync-{}", if kind == "user" { "drift" } else { kind });
                    let mut case =
                        Case { cites: vec![cite.clone()], ..course.case(mark, &ids(&label), "", took.get(kind).copied()) };
                    if kind == "command" {
                        let about = course.receiver.commands.received().split_off(commands);
                        case.cites.extend(
                            about
                                .iter()
                                .filter(|command| command.claim("sub") == drift.sub)
                                .map(|command| command.exchange.clone()),
                        );
                    }
                    if kind == "group" {
                        let group = course.receiver.group_named(&drift.group).unwrap_or_default();
                        case.sent = course.sent(mark, group["id"].as_str().unwrap_or_default(), "");
                    }
                    case.state = "it stays as it was changed".into();
                    seen.cases.insert(kind.into(), case);
                }
                seen.index = walk(&course, mark, &users).await;
                course.receiver.offer(Paging::Cursor);
                let mark = course.receiver.log().mark();
                seen.cursor = match course.hook("full-resync", &User::default(), &[]).await {
                    Err(obstacle) => Walk { obstacle: Some(obstacle.message), ..Walk::default() },
                    Ok(_) => {
                        course.now().await;
                        walk(&course, mark, &users).await
                    }
                };
                course.receiver.offer(Paging::Index);
            }
        }
        course.remove_group(&drift.group).await;
        course.close(users.into_values().map(|(user, _)| user)).await;
        Ok(seen)
    }
}

/// What is changed behind the identity service's back.
struct Drift<'a> {
    course: &'a Course<'a>,
    users: &'a BTreeMap<String, (User, String)>,
    group: String,
    display: String,
    role: String,
    sub: String,
}

impl Drift<'_> {
    fn id(&self, label: &str) -> &str {
        self.users.get(label).map_or("", |(_, id)| id)
    }

    fn members(&self) -> BTreeSet<String> {
        let group = self.course.receiver.group_named(&self.group).unwrap_or_default();
        group["members"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|member| member["value"].as_str().map(str::to_owned))
            .collect()
    }

    fn roles(&self) -> Vec<String> {
        self.course.receiver.engine().roles_of(self.id("sync-role"))
    }

    /// A group with two members, and a role of a user.
    async fn prepare(&mut self, seen: &mut Seen) {
        let course = self.course;
        let group = format!("Suite sync {}", course.stage.world.run_id);
        course.receiver.tag(&group, course.stage.scenario);
        let mut why = None;
        if ["create-group", "add-group-member"].iter().all(|hook| course.has(hook)) {
            let mut done = course.make_group(&group).await;
            for label in ["sync-drift", "sync-same"] {
                if let (Ok(_), Some((user, _))) = (&done, self.users.get(label)) {
                    done = course.hook("add-group-member", user, &[("group", &group)]).await;
                }
            }
            why = done.err().map(|obstacle| obstacle.message);
            self.group = group;
        }
        let role = course.receiver.role("reader");
        if course.has("map-role")
            && let Some((user, _)) = self.users.get("sync-role")
            && course.hook("map-role", user, &[("role", &role)]).await.is_ok()
        {
            self.role = role;
        }
        course.now().await;
        let wanted: BTreeSet<String> = ["sync-drift", "sync-same"].map(|label| self.id(label).to_owned()).into();
        course
            .wait("a group and a role", || {
                (self.group.is_empty() || self.members() == wanted)
                    && (self.role.is_empty() || self.roles() == [self.role.clone()])
            })
            .await;
        let group = match why {
            Some(why) => Case::blocked(why),
            None if self.group.is_empty() => Case::blocked("hooks.create-group or hooks.add-group-member is not configured"),
            None if self.members() != wanted => Case::blocked("the group did not arrive with its members"),
            None => Case::default(),
        };
        seen.cases.insert("group".into(), group);
        let role = match (self.role.is_empty(), self.roles().is_empty()) {
            (true, _) => Case::blocked("hooks.map-role is not configured, or it failed"),
            (_, true) => Case::blocked("the role did not arrive"),
            _ => Case::default(),
        };
        seen.cases.insert("role".into(), role);
    }

    /// Changes them.
    fn begin(&mut self, seen: &mut Seen) {
        let engine = self.course.receiver.engine();
        let shown = engine.user(self.id("sync-drift")).and_then(|user| user["displayName"].as_str().map(str::to_owned));
        self.display = shown.unwrap_or_default();
        let user =
            if self.display.is_empty() { Case::blocked("the identity service sends no displayName") } else { Case::default() };
        seen.cases.insert("user".into(), user);
        engine.change_user(self.id("sync-drift"), |user| user["displayName"] = DRIFTED.into());
        seen.cases.insert("missing".into(), Case::default());
        engine.remove_user(self.id("sync-missing"));
        if seen.cases.get("group").is_some_and(|case| case.obstacle.is_none())
            && let Some(group) = self.course.receiver.group_named(&self.group)
        {
            let stranger = self.course.receiver.unmanaged().first().cloned().unwrap_or_default();
            let members = json!([{"value": self.id("sync-same")}, {"value": stranger}]);
            engine.change_group(group["id"].as_str().unwrap_or_default(), |group| group["members"] = members);
        }
        if seen.cases.get("role").is_some_and(|case| case.obstacle.is_none()) {
            let other = self.course.receiver.role("retired");
            engine.change_user(self.id("sync-role"), |user| user["roles"] = json!([{"value": other}]));
        }
        let commands = &self.course.receiver.commands;
        let tag = self.users.get("sync-command").map(|(user, _)| user.tag.clone()).unwrap_or_default();
        let told =
            commands.received().into_iter().rev().find(|command| command.claim("command") == "activate" && command.about(&tag));
        let command = match told {
            Some(told) => {
                told.claim("sub").clone_into(&mut self.sub);
                commands.set_account(&self.sub, "suspended");
                Case::default()
            }
            None => Case::blocked("no activate command came for the user"),
        };
        seen.cases.insert("command".into(), command);
    }

    fn repaired(&self, kind: &str) -> bool {
        let engine = self.course.receiver.engine();
        match kind {
            "user" => engine.user(self.id("sync-drift")).is_some_and(|user| user["displayName"] == self.display.as_str()),
            "missing" => self.users.get("sync-missing").is_some_and(|(user, _)| self.course.account(user).is_some()),
            "group" => self.members() == ["sync-drift", "sync-same"].map(|label| self.id(label).to_owned()).into(),
            "role" => self.roles() == [self.role.clone()],
            _ => self.course.receiver.commands.account(&self.sub) == "active",
        }
    }
}

/// Waits until all users were read or the cycle is over, and looks at how.
async fn walk(course: &Course<'_>, mark: usize, users: &BTreeMap<String, (User, String)>) -> Walk {
    // As many as the last page said: accounts that are made while or after it is read are no pages missed.
    let look = || {
        let lists = course.receiver.log().since(mark, is_list);
        let pages: Vec<_> = lists.iter().filter_map(|entry| entry.listed.clone()).collect();
        let total = pages.last().map_or(0, |page| usize::try_from(page.total).unwrap_or(usize::MAX));
        let ids: BTreeSet<String> = pages.into_iter().flat_map(|listed| listed.ids).collect();
        (lists, ids, total)
    };
    let complete = || {
        let (lists, ids, total) = look();
        !lists.is_empty() && ids.len() >= total
    };
    let looked_up = || {
        let found = |user: &User, id: &str| {
            // A missing account that was made again has another id.
            let now = course.account(user).unwrap_or_else(|| id.to_owned());
            course.receiver.log().any(mark, |entry| {
                entry.method == "GET"
                    && (entry.path.ends_with(id)
                        || entry.path.ends_with(&now)
                        || entry
                            .query
                            .iter()
                            .any(|(name, value)| name.eq_ignore_ascii_case("filter") && value.to_lowercase().contains(&user.tag)))
            })
        };
        users.values().filter(|(user, id)| found(user, id)).count()
    };
    course.wait("all users to be read", || complete() || looked_up() == users.len()).await;
    let (lists, ids, total) = look();
    let same = users.get("sync-same").map(|(_, id)| id.clone()).unwrap_or_default();
    let writes = |entry: &Entry| entry.writes() && entry.path == format!("/Users/{same}");
    // Who reads a user writes it a moment later.
    course.wait_for("writes that are not needed", course.watch(60), || course.receiver.log().any(mark, writes)).await;
    let needless = course.receiver.log().since(mark, writes);
    let posts =
        course.receiver.log().since(mark, |entry| entry.method == "POST" && entry.path == "/Users" && entry.status == 409);
    Walk {
        obstacle: None,
        lists: lists.len(),
        read: ids.len(),
        total,
        looked_up: looked_up(),
        users: users.len(),
        duplicates: posts.into_iter().map(|entry| entry.exchange).collect(),
        needless: needless.into_iter().map(|entry| entry.exchange).collect(),
        cites: lists.into_iter().take(10).map(|entry| entry.exchange).collect(),
    }
}

/// A list that asks for one user at most: it looks whether the server is there, or how many it has, and reads none of them.
fn only_probes(query: &[(String, String)]) -> bool {
    let small = |value: &str| value.trim().parse::<i64>().is_ok_and(|count| count <= 1);
    query.iter().any(|(name, value)| name.eq_ignore_ascii_case("count") && small(value))
}

fn is_list(entry: &Entry) -> bool {
    entry.method == "GET"
        && entry.path == "/Users"
        && entry.ok()
        && !entry.query.iter().any(|(name, _)| name.eq_ignore_ascii_case("filter"))
        && !only_probes(&entry.query)
}

fn all_pages_are_read_and_only_differences_written(seen: &Seen) -> Judgement {
    let walk = &seen.index;
    if let Some(why) = &walk.obstacle {
        return Judgement::undecided(why.as_str());
    }
    if !walk.duplicates.is_empty() {
        return Judgement::broken("users who have an account are posted again").cite(&walk.duplicates);
    }
    if !walk.needless.is_empty() {
        return Judgement::broken("an account that was as it should be is written again").cite(&walk.needless);
    }
    let told = format!("{} of {} users on {} pages", walk.read, walk.total, walk.lists);
    if walk.complete() {
        return Judgement::pass(format!("all users were read, and only differences written: {told}")).cite(&walk.cites);
    }
    // Who looks for every user of its own needs no pages.
    if walk.users > 0 && walk.looked_up >= walk.users {
        return Judgement::pass(format!("users are looked up one by one, so that no paging is needed ({told})"))
            .cite(&walk.cites);
    }
    if walk.lists == 0 {
        return Judgement::undecided("the client never lists users");
    }
    Judgement::broken("not all pages were read").expected(walk.total.to_string(), told).cite(&walk.cites)
}

fn cursors_are_followed(seen: &Seen) -> Judgement {
    let walk = &seen.cursor;
    if let Some(why) = &walk.obstacle {
        return Judgement::undecided(why.as_str());
    }
    let told = format!("{} of {} users on {} pages", walk.read, walk.total, walk.lists);
    if walk.complete() {
        return Judgement::pass(format!("all users were read by cursor: {told}")).cite(&walk.cites);
    }
    if walk.lists == 0 {
        return Judgement::undecided("the client never lists users");
    }
    Judgement::broken("with cursors alone not all users were read").expected(walk.total.to_string(), told).cite(&walk.cites)
}

fn a_changed_account_is_put_right(seen: &Seen) -> Judgement {
    effect(seen.cases.get("user"), "the changed displayName was put right", "the changed displayName was not put right")
}

fn a_missing_account_is_made_again(seen: &Seen) -> Judgement {
    effect(seen.cases.get("missing"), "the account was made again", "the missing account was not made again")
}

fn a_changed_membership_is_put_right(seen: &Seen) -> Judgement {
    effect(seen.cases.get("group"), "the membership was put right", "the changed membership was not put right")
}

fn changed_roles_are_put_right(seen: &Seen) -> Judgement {
    effect(seen.cases.get("role"), "the roles were put right", "the changed roles were not put right")
}

fn a_changed_state_is_put_right_by_command(seen: &Seen) -> Judgement {
    effect(seen.cases.get("command"), "a command set the account's state right", "no command set the account's state right")
}

#[cfg(test)]
mod tests {
    use super::super::examples::{missed, reached};
    use super::*;
    use crate::model::Call;

    fn good() -> Seen {
        let walk = Walk { lists: 3, read: 255, total: 255, users: 5, ..Walk::default() };
        let cases = ["user", "missing", "group", "role", "command"].map(|kind| (kind.to_owned(), reached(Vec::new())));
        Seen { cases: cases.into(), index: walk.clone(), cursor: walk }
    }

    #[test]
    fn repaired_drift_passes_and_nothing_seen_decides_nothing() {
        for check in Sync::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}", check.clause);
            assert_eq!((check.judge)(&Seen::default()).call, Call::Undecided, "{}", check.clause);
        }
    }

    #[test]
    fn drift_that_stays_and_pages_that_are_missed_are_broken() {
        let mut seen = good();
        seen.cases.values_mut().for_each(|case| *case = missed(Vec::new()));
        seen.index.read = 100;
        seen.cursor.read = 100;
        for check in Sync::CHECKS {
            assert_eq!((check.judge)(&seen).call, Call::Broken, "{}", check.clause);
        }
    }

    #[test]
    fn a_list_of_one_is_no_walk() {
        let asks = |count: &str| only_probes(&[("startIndex".into(), "1".into()), ("count".into(), count.into())]);
        assert!(asks("1") && asks("0") && !asks("100") && !only_probes(&[]));
    }

    #[test]
    fn needless_work_is_broken_and_lookups_are_as_good() {
        let mut seen = good();
        seen.index.needless = vec!["x1".into()];
        assert_eq!(all_pages_are_read_and_only_differences_written(&seen).call, Call::Broken);
        seen.index = Walk { looked_up: 5, users: 5, total: 255, ..Walk::default() };
        assert_eq!(all_pages_are_read_and_only_differences_written(&seen).call, Call::Pass);
    }
}
