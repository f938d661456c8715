//! provision-groups: groups are made, filled, emptied and deleted at the identity service.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::course::{Course, User};
use super::{Case, effect};
use crate::counterpart::scim_receiver::Sent;
use crate::counterpart::scim_receiver::strict::{member, membership};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// Groups.
pub struct Groups;

/// What became of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// By what was done: `create`, `add`, `remove`, `delete`, `disable`.
    pub cases: BTreeMap<String, Case>,
    /// Members of the group from which one was removed: labels that should be there, and those that are.
    pub left: (Vec<String>, Vec<String>),
    /// Every PATCH of a group of this scenario.
    pub patches: Vec<Sent>,
}

impl Scenario for Groups {
    type Seen = Seen;
    const ID: &'static str = "provision-groups";
    const TITLE: &'static str = "makes, fills, empties and deletes groups at the identity service";
    const BROWSER: bool = false;
    const PROVISIONED: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al2.idp.group-create-push", a_group_arrives_with_its_members),
        Check::new("al2.idp.group-member-added", an_added_member_arrives),
        Check::new("al2.idp.group-member-removed", only_the_removed_member_goes),
        Check::new("al2.idp.group-patch-shape", membership_has_the_form_of_the_draft),
        Check::new("al2.idp.group-removed", a_deleted_group_ends),
        Check::new("al2.idp.disabled-leaves-groups", a_disabled_user_is_no_active_member),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let course = Course::open(stage)?;
        let mut seen = Seen::default();
        // Who deletes a group with its members must spoil no other case: its member is in no other group.
        let labels = ["group-a", "group-b", "group-c", "group-late", "group-disabled", "group-gone"];
        let arrived = course.arrived(&labels).await;
        let users: BTreeMap<&str, (User, String)> =
            labels.into_iter().filter_map(|label| Some((label, arrived.get(label)?.clone().ok()?))).collect();
        if let Some(Err(why)) = arrived.values().find(|user| user.is_err()) {
            course.close(users.into_values().map(|(user, _)| user)).await;
            return Err(Obstacle::target(why.clone(), "See al2.idp.creates-before-signin."));
        }
        let name = |kind: &str| format!("Suite {kind} {}", stage.world.run_id);
        let groups: BTreeMap<&str, (String, Vec<&str>)> = BTreeMap::from([
            ("add", (name("added"), vec!["group-a", "group-b", "group-disabled"])),
            ("remove", (name("removed"), vec!["group-a", "group-b", "group-c"])),
            ("delete", (name("deleted"), vec!["group-gone"])),
        ]);
        for (group, _) in groups.values() {
            course.receiver.tag(group, stage.scenario);
        }
        let mark = course.receiver.log().mark();
        let made = fill(&course, &groups, &users).await;
        course.now().await;
        let full =
            |kind: &str| groups.get(kind).is_some_and(|(group, members)| members_of(&course, group, &users) == as_set(members));
        let kinds: Vec<&str> = groups.keys().copied().collect();
        let took = if made.is_ok() { course.settle("groups with their members", 1, &kinds, full).await } else { BTreeMap::new() };
        let create = match &made {
            Err(why) => Case::blocked(why.as_str()),
            Ok(()) => {
                let all = (took.len() == kinds.len()).then(|| took.values().copied().fold(0.0, f64::max));
                let missing: Vec<&str> = kinds
                    .iter()
                    .filter(|kind| !took.contains_key(**kind))
                    .filter_map(|kind| Some(groups.get(*kind)?.0.as_str()))
                    .collect();
                let mut case = course.case(mark, "", &stage.world.run_id.to_lowercase(), all);
                case.sent.retain(|sent| sent.path.starts_with("/Groups"));
                case.state = format!("not there with their members: {}", missing.join(", "));
                case
            }
        };
        seen.cases.insert("create".into(), create);
        if made.is_ok() {
            go_on(&course, &mut seen, &groups, &users, &took).await;
        }
        let patches = course.receiver.log().since(mark, |entry| entry.method == "PATCH" && entry.path.starts_with("/Groups"));
        seen.patches = patches.iter().take(200).map(|entry| Sent::of(entry, course.began)).collect();
        for (group, _) in groups.values() {
            course.remove_group(group).await;
        }
        course.close(users.into_values().map(|(user, _)| user)).await;
        Ok(seen)
    }
}

fn as_set(labels: &[&str]) -> BTreeSet<String> {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

/// Labels of the users that are members of a group.
fn members_of(course: &Course<'_>, group: &str, users: &BTreeMap<&str, (User, String)>) -> BTreeSet<String> {
    let group = course.receiver.group_named(group).unwrap_or_default();
    let ids: Vec<&str> =
        group["members"].as_array().into_iter().flatten().filter_map(|member| member["value"].as_str()).collect();
    users.iter().filter(|(_, (_, id))| ids.contains(&id.as_str())).map(|(label, _)| (*label).to_owned()).collect()
}

async fn fill(
    course: &Course<'_>,
    groups: &BTreeMap<&str, (String, Vec<&str>)>,
    users: &BTreeMap<&str, (User, String)>,
) -> Result<(), String> {
    for hook in ["create-group", "add-group-member"] {
        if !course.has(hook) {
            return Err(format!("hooks.{hook} is not configured"));
        }
    }
    for (group, members) in groups.values() {
        course.make_group(group).await.map_err(|obstacle| obstacle.message)?;
        for label in members {
            let Some((user, _)) = users.get(label) else { continue };
            course.hook("add-group-member", user, &[("group", group)]).await.map_err(|obstacle| obstacle.message)?;
        }
    }
    Ok(())
}

/// One more member, one fewer, one group fewer, and one disabled member: each in a group of its own, all at once.
async fn go_on(
    course: &Course<'_>,
    seen: &mut Seen,
    groups: &BTreeMap<&str, (String, Vec<&str>)>,
    users: &BTreeMap<&str, (User, String)>,
    ready: &BTreeMap<String, f64>,
) {
    let mark = course.receiver.log().mark();
    let group = |kind: &str| groups.get(kind).map(|(name, _)| name.clone()).unwrap_or_default();
    let group_id = |kind: &str| {
        course.receiver.group_named(&group(kind)).and_then(|group| group["id"].as_str().map(str::to_owned)).unwrap_or_default()
    };
    let ids: BTreeMap<&str, String> = groups.keys().map(|kind| (*kind, group_id(kind))).collect();
    let steps = [
        ("add", "add-group-member", "group-late"),
        ("remove", "remove-group-member", "group-b"),
        ("delete", "delete-group", ""),
        ("disable", "disable-user", "group-disabled"),
    ];
    let mut going = Vec::new();
    let nobody = User::default();
    for (kind, hook, label) in steps {
        let needed = if kind == "disable" { "add" } else { kind };
        let case = if !course.has(hook) {
            Case::blocked(format!("hooks.{hook} is not configured"))
        } else if !ready.contains_key(needed) {
            Case::blocked("the group did not arrive with its members, so nothing follows from what happens to it")
        } else {
            let user = users.get(label).map_or(&nobody, |(user, _)| user);
            match course.hook(hook, user, &[("group", &group(needed))]).await {
                Ok(cite) => {
                    if kind == "delete" {
                        course.forget_group(&group(kind));
                    }
                    going.push(kind);
                    Case { cites: vec![cite], ..Case::default() }
                }
                Err(obstacle) => Case::blocked(obstacle.message),
            }
        };
        seen.cases.insert(kind.into(), case);
    }
    course.now().await;
    let there = |kind: &str| members_of(course, &group(kind), users);
    let account = |label: &str| users.get(label).map(|(_, id)| id.clone()).unwrap_or_default();
    let done = |kind: &str| match kind {
        "add" => there("add").contains("group-late"),
        "remove" => !there("remove").contains("group-b"),
        "delete" => there("delete").is_empty(),
        _ => course.deprovisioned(&account("group-disabled")) || !in_any_group(course, &account("group-disabled")),
    };
    let took = course.settle("changes of groups", 1, &going, done).await;
    for kind in &going {
        let cites = seen.cases.get(*kind).map(|case| case.cites.clone()).unwrap_or_default();
        let id = if *kind == "disable" { account("group-disabled") } else { ids.get(kind).cloned().unwrap_or_default() };
        let mut case = Case { cites, ..course.case(mark, &id, "", took.get(*kind).copied()) };
        case.state = match *kind {
            "add" => "the member is absent".into(),
            "remove" => "the removed member is still there".into(),
            "delete" => "the group is there with its members".into(),
            _ => "an active member".into(),
        };
        seen.cases.insert((*kind).into(), case);
    }
    seen.left = (vec!["group-a".into(), "group-c".into()], there("remove").into_iter().collect());
}

fn in_any_group(course: &Course<'_>, id: &str) -> bool {
    !course.receiver.engine().groups_of(id).is_empty()
}

fn a_group_arrives_with_its_members(seen: &Seen) -> Judgement {
    effect(seen.cases.get("create"), "groups and members are there", "groups did not arrive with their members")
}

fn an_added_member_arrives(seen: &Seen) -> Judgement {
    effect(seen.cases.get("add"), "the member is there", "the added member did not arrive")
}

fn only_the_removed_member_goes(seen: &Seen) -> Judgement {
    let judgement = effect(seen.cases.get("remove"), "the member is gone, the others are there", "the removed member stayed");
    let Some(case) = seen.cases.get("remove").filter(|case| case.reached()) else { return judgement };
    let (wanted, left) = &seen.left;
    let list = |labels: &[String]| if labels.is_empty() { "nobody".to_owned() } else { labels.join(", ") };
    if wanted != left {
        return Judgement::broken("other members changed as well").expected(list(wanted), list(left)).cite(&case.cited());
    }
    // The suite's server takes a value beside the path for the member that is meant; others go by the letter.
    let (empty, last) = case.done().fold((false, None), |(empty, last), sent| {
        let now = emptied(empty, &sent.body);
        (now, if now && !empty { Some(sent) } else { last })
    });
    match last.filter(|_| empty) {
        Some(sent) => {
            Judgement::broken(format!("{}: read by RFC 7644 3.5.2.2, the request removes every member", sent.describe()))
                .expected(list(wanted), "nobody")
                .cite([&sent.cite])
        }
        None => judgement,
    }
}

/// Has a group no members after a PATCH that is read by the letter? A removal whose path selects nothing removes all values of the
/// attribute (RFC 7644 3.5.2.2), whatever value stands beside it; what is added or replaced after it is there again.
fn emptied(before: bool, body: &Value) -> bool {
    let operations = body.as_object().and_then(|body| member(body, "Operations")).and_then(Value::as_array);
    let mut empty = before;
    for operation in operations.into_iter().flatten().filter_map(Value::as_object) {
        let text = |name: &str| member(operation, name).and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        if text("path").rsplit(':').next() == Some("members") {
            empty = text("op") == "remove";
        }
    }
    empty
}

fn membership_has_the_form_of_the_draft(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    for sent in &seen.patches {
        let cite = [sent.cite.clone()];
        let (illegal, other) = membership(&sent.body);
        for what in sent.faults.iter().chain(&illegal) {
            found.broken(format!("{}: {what}", sent.describe()), &cite);
        }
        for what in other {
            found.doubtful(format!("{}: {what}", sent.describe()), &cite);
        }
        found.saw(&cite);
    }
    if seen.patches.is_empty() {
        Judgement::undecided("no PATCH of a group was seen")
    } else {
        found.conclude(format!("{} PATCH requests of groups have the form of the draft", seen.patches.len()))
    }
}

fn a_deleted_group_ends(seen: &Seen) -> Judgement {
    effect(seen.cases.get("delete"), "the group is gone or empty", "the deleted group kept its members")
}

fn a_disabled_user_is_no_active_member(seen: &Seen) -> Judgement {
    effect(seen.cases.get("disable"), "the disabled user is inactive or in no group", "the disabled user stayed an active member")
}

#[cfg(test)]
mod tests {
    use super::super::examples::{missed, reached, sent};
    use super::*;
    use crate::counterpart::scim_client::PATCH_OP;
    use crate::model::Call;
    use serde_json::json;

    #[allow(clippy::needless_pass_by_value)]
    fn patch(operation: Value) -> Sent {
        sent("PATCH", "/Groups/1", json!({"schemas": [PATCH_OP], "Operations": [operation]}))
    }

    fn good() -> Seen {
        let kinds = ["create", "add", "remove", "delete", "disable"];
        let both = vec!["group-a".to_owned(), "group-c".to_owned()];
        Seen {
            cases: kinds.map(|kind| (kind.to_owned(), reached(Vec::new()))).into(),
            left: (both.clone(), both),
            patches: vec![patch(json!({"op": "add", "path": "members", "value": [{"value": "1"}]}))],
        }
    }

    #[test]
    fn groups_in_step_pass_and_nothing_seen_decides_nothing() {
        for check in Groups::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}: {}", check.clause, (check.judge)(&good()).reason);
            assert_eq!((check.judge)(&Seen::default()).call, Call::Undecided, "{}", check.clause);
        }
    }

    #[test]
    fn groups_out_of_step_are_broken() {
        let mut seen = good();
        for case in seen.cases.values_mut() {
            *case = missed(Vec::new());
        }
        seen.patches = vec![patch(json!({"op": "remove", "path": "members", "value": [{"value": "1"}]}))];
        for check in Groups::CHECKS {
            assert_eq!((check.judge)(&seen).call, Call::Broken, "{}", check.clause);
        }
    }

    #[test]
    fn a_removal_that_empties_the_group_is_broken() {
        let mut seen = good();
        seen.left.1.clear();
        assert_eq!(only_the_removed_member_goes(&seen).call, Call::Broken);
        let by = |operations: Value| {
            let mut seen = good();
            let body = json!({"schemas": [PATCH_OP], "Operations": operations});
            seen.cases.insert("remove".into(), reached(vec![sent("PATCH", "/Groups/1", body)]));
            only_the_removed_member_goes(&seen).call
        };
        let value = json!([{"value": "b"}]);
        assert_eq!(by(json!([{"op": "remove", "path": "members[value eq \"b\"]"}])), Call::Pass);
        assert_eq!(by(json!([{"op": "Remove", "path": "members", "value": value}])), Call::Broken);
        assert_eq!(
            by(json!([{"op": "remove", "path": "members"}, {"op": "add", "path": "members", "value": value}])),
            Call::Pass
        );
        seen.patches = vec![patch(json!({"op": "replace", "path": "members", "value": []}))];
        assert_eq!(membership_has_the_form_of_the_draft(&seen).call, Call::Doubtful);
    }
}
