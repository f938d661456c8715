//! provision-leaver: users are disabled, unassigned, deleted and enabled again at the identity service.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::course::{Course, User};
use super::{Case, effect};
use crate::counterpart::scim_receiver::Sent;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// Seconds in which a deactivation should arrive (AL1-SCIM 3.2.2.3).
const SOON_S: f64 = 300.0;

/// Leavers.
pub struct Leaver;

/// What became of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// By what was done: `disable`, `unassign`, `delete`, `enable`.
    pub cases: BTreeMap<String, Case>,
    /// Further deactivations of the user who was disabled first, each after an enabling.
    pub again: Vec<Case>,
    /// The user whom nobody touched is still active; `None` where there was none.
    pub bystander_active: Option<bool>,
    /// What was sent about that user meanwhile.
    pub bystander: Vec<Sent>,
}

impl Scenario for Leaver {
    type Seen = Seen;
    const ID: &'static str = "provision-leaver";
    const TITLE: &'static str = "disables, unassigns, deletes and enables users at the identity service";
    const BROWSER: bool = false;
    const PROVISIONED: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al1.idp.deactivates-on-disable", disabling_deactivates),
        Check::new("al1.idp.deprovisions-on-unassign", unassigning_deprovisions),
        Check::new("al1.idp.deprovisions-on-delete", deleting_deprovisions),
        Check::new("al1.idp.within-5-minutes", it_takes_five_minutes_at_most),
        Check::new("al1.idp.reactivates", enabling_reactivates_the_same_account),
        Check::new("al1.idp.patch-well-formed", the_deactivation_is_valid),
        Check::new("al1.idp.media-type", bodies_are_scim_json),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let course = Course::open(stage)?;
        let mut seen = Seen::default();
        let steps = [("disable", "disable-user"), ("unassign", "unassign-user"), ("delete", "delete-user")];
        let labels = ["leaver-disable", "leaver-unassign", "leaver-delete", "leaver-bystander"];
        let arrived = course.arrived(&labels).await;
        let mark = stage.world.receiver()?.log().mark();
        // With the moment at which the hook was called: one that provisions itself takes its time before it returns.
        let mut going: Vec<(&str, User, String, Instant)> = Vec::new();
        for (step, hook) in steps {
            let asked = Instant::now();
            if !course.has(hook) {
                continue;
            }
            let case = match arrived.get(&format!("leaver-{step}")) {
                Some(Ok((user, _))) if step == "delete" && !user.made => {
                    Err("no user of this run may be deleted: hooks.create-user is not configured".into())
                }
                Some(Ok((_, id))) if !course.active(id) => Err("the account arrived inactive: nothing can be deactivated".into()),
                Some(Ok((user, id))) => match course.hook(hook, user, &[]).await {
                    Ok(cite) => {
                        if step == "delete" {
                            course.forget(user);
                        }
                        going.push((step, user.clone(), id.clone(), asked));
                        Ok(cite)
                    }
                    Err(obstacle) => Err(obstacle.message),
                },
                Some(Err(why)) => Err(why.clone()),
                None => continue,
            };
            let case = case.map_or_else(Case::blocked, |cite| Case { cites: vec![cite], ..Case::default() });
            seen.cases.insert(step.to_owned(), case);
        }
        course.now().await;
        let labels: Vec<&str> = going.iter().map(|(step, ..)| *step).collect();
        let gone = |step: &str| going.iter().any(|(known, _, id, _)| *known == step && course.deprovisioned(id));
        let from = Instant::now();
        let took = course.settle_for("deactivations", limit(&course), &labels, gone).await;
        for (step, user, id, asked) in &going {
            let cites = seen.cases.get(*step).map(|case| case.cites.clone()).unwrap_or_default();
            let took = took.get(*step).map(|waited| course.took(*asked, from, *waited, mark, id));
            let case = Case { cites, limit_s: limit(&course).as_secs_f64(), ..course.case(mark, id, &user.tag, took) };
            seen.cases.insert((*step).to_owned(), case);
        }
        if let Some((_, user, id, _)) = going.iter().find(|(step, ..)| *step == "disable") {
            again(&course, &mut seen, user, id).await;
        }
        if let Some(Ok((user, id))) = arrived.get("leaver-bystander") {
            seen.bystander_active = Some(course.active(id));
            seen.bystander = course.sent(mark, id, &user.tag);
        }
        course.close(arrived.into_values().flatten().map(|(user, _)| user)).await;
        Ok(seen)
    }
}

/// How long a deactivation is waited for: a cycle, and no less than it may take.
fn limit(course: &Course<'_>) -> Duration {
    course.cycle().max(course.patience(SOON_S as u64))
}

/// Enables the user, and disables him twice more where that was quick.
async fn again(course: &Course<'_>, seen: &mut Seen, user: &User, id: &str) {
    let quick = |case: &Case| case.took_s.is_some_and(|took| took <= SOON_S);
    let Some(first) = seen.cases.get("disable").filter(|case| case.reached()) else { return };
    let mut go_on = quick(first) && course.stage.wants("al1.idp.within-5-minutes");
    if !course.has("enable-user") {
        return;
    }
    let mut id = id.to_owned();
    for round in 0..3 {
        let mark = course.receiver.log().mark();
        let enabled = course.hook("enable-user", user, &[]).await;
        course.now().await;
        let case = match enabled {
            Err(obstacle) => Case::blocked(obstacle.message),
            Ok(cite) => {
                let took = course.reach("a reactivation", || course.account(user).is_some_and(|id| course.active(&id))).await;
                Case { cites: vec![cite], ..course.case(mark, &id, &user.tag, took) }
            }
        };
        let back = case.reached();
        if round == 0 {
            seen.cases.insert("enable".into(), case);
        }
        if !go_on || !back || round == 2 {
            return;
        }
        id = course.account(user).unwrap_or(id);
        let (mark, asked) = (course.receiver.log().mark(), Instant::now());
        let case = match course.hook("disable-user", user, &[]).await {
            Err(obstacle) => Case::blocked(obstacle.message),
            Ok(cite) => {
                course.now().await;
                let from = Instant::now();
                let reached = |_: &str| course.deprovisioned(&id);
                let waited = course.settle_for("a deactivation", limit(course), &["it"], reached).await.get("it").copied();
                let took = waited.map(|waited| course.took(asked, from, waited, mark, &id));
                let limit_s = limit(course).as_secs_f64();
                Case { cites: vec![cite], limit_s, ..course.case(mark, &id, &user.tag, took) }
            }
        };
        go_on = quick(&case);
        seen.again.push(case);
    }
}

fn leaves(seen: &Seen, step: &str, pass: &str, fail: &str) -> Judgement {
    let judgement = effect(seen.cases.get(step), pass, fail);
    let hit = seen.bystander.iter().find(|sent| sent.writes() && sent.changed);
    if seen.bystander_active == Some(false)
        && let Some(sent) = hit
    {
        return Judgement::broken(format!("a user whom nobody touched was deactivated by {}", sent.describe()))
            .cite([&sent.cite]);
    }
    judgement
}

fn disabling_deactivates(seen: &Seen) -> Judgement {
    leaves(
        seen,
        "disable",
        "the account of the disabled user was deactivated",
        "the account of the disabled user was not deactivated",
    )
}

fn unassigning_deprovisions(seen: &Seen) -> Judgement {
    leaves(seen, "unassign", "the account was deprovisioned", "the account of the unassigned user was not deprovisioned")
}

fn deleting_deprovisions(seen: &Seen) -> Judgement {
    leaves(seen, "delete", "the account was deprovisioned", "the account of the deleted user was not deprovisioned")
}

fn it_takes_five_minutes_at_most(seen: &Seen) -> Judgement {
    let Some(first) = seen.cases.get("disable") else { return Judgement::undecided("not tried") };
    let mut found = Findings::new();
    for (number, case) in [first].into_iter().chain(&seen.again).enumerate() {
        match (&case.obstacle, case.took_s) {
            (Some(why), _) => found.undecided(why.as_str(), &case.cites),
            (None, Some(took)) if took <= SOON_S => found.saw(&case.cited()),
            (None, Some(took)) => found.broken(format!("deactivation {} took {took:.0} s", number + 1), &case.cited()),
            (None, None) => {
                found.broken(format!("deactivation {} did not arrive within {:.0} s", number + 1, case.limit_s), &case.cited());
            }
        }
    }
    let worst = [first].into_iter().chain(&seen.again).filter_map(|case| case.took_s).fold(0.0, f64::max);
    let times = 1 + seen.again.len();
    let few = if times < 3 { " (repetitions need hooks.enable-user)" } else { "" };
    found
        .conclude(format!("{times} of {times} deactivations arrived within {worst:.1} s{few}"))
        .expected("300 s at most", format!("{worst:.1} s"))
}

fn enabling_reactivates_the_same_account(seen: &Seen) -> Judgement {
    let Some(case) = seen.cases.get("enable") else {
        let why = if seen.cases.get("disable").is_some_and(Case::reached) {
            "not tried"
        } else {
            "the account was not deactivated before"
        };
        return Judgement::undecided(why);
    };
    let deleted = seen.cases.get("disable").is_some_and(|before| before.done().any(|sent| sent.method == "DELETE"));
    if deleted {
        return Judgement::undecided("the account had been removed by DELETE, so a new one is right").cite(&case.cited());
    }
    if let Some(post) = case.sent.iter().find(|sent| sent.method == "POST" && sent.path == "/Users") {
        let what = format!("the user was posted again (answered {}) in place of reactivating the account", post.status);
        return Judgement::broken(what).cite([&post.cite]);
    }
    effect(Some(case), "the same account was reactivated", "the account was not reactivated")
}

/// The requests by which accounts were to be deactivated.
fn deactivations(seen: &Seen) -> impl Iterator<Item = &Sent> {
    let cases = ["disable", "unassign", "delete"].into_iter().filter_map(|step| seen.cases.get(step)).chain(&seen.again);
    cases.flat_map(|case| case.sent.iter().filter(|sent| sent.writes()))
}

fn the_deactivation_is_valid(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let mut patches = 0;
    for sent in deactivations(seen).filter(|sent| sent.method == "PATCH") {
        patches += 1;
        match sent.faults.first() {
            Some(_) => found.broken(format!("{}: {}", sent.describe(), sent.faults.join(", ")), std::slice::from_ref(&sent.cite)),
            None => found.saw(std::slice::from_ref(&sent.cite)),
        }
    }
    if patches > 0 {
        return found.conclude(format!("{patches} PATCH requests are valid"));
    }
    match deactivations(seen).next() {
        Some(sent) => Judgement::undecided(format!("the client uses {} in place of PATCH", sent.method)).cite([&sent.cite]),
        None => Judgement::undecided("no deactivation was sent"),
    }
}

fn bodies_are_scim_json(seen: &Seen) -> Judgement {
    let all = seen.cases.values().chain(&seen.again).flat_map(|case| &case.sent).chain(&seen.bystander);
    let mut found = Findings::new();
    let mut none = true;
    let mut told: std::collections::BTreeSet<(String, String)> = std::collections::BTreeSet::new();
    for sent in all {
        none = false;
        // One finding for each kind of request is enough.
        if !told.insert((sent.method.clone(), format!("{} {}", sent.content_type, sent.accept))) {
            continue;
        }
        let essence = |value: &str| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let cite = [sent.cite.clone()];
        match essence(&sent.content_type).as_str() {
            _ if sent.method == "GET" || sent.method == "DELETE" => {}
            "application/scim+json" => found.saw(&cite),
            "application/json" => found.doubtful(format!("{}: Content-Type is application/json", sent.describe()), &cite),
            other => found.broken(format!("{}: Content-Type is `{other}`", sent.describe()), &cite),
        }
        let accepts = |wanted: &str| sent.accept.split(',').any(|one| essence(one) == wanted);
        if sent.accept.is_empty() || ["application/scim+json", "application/*", "*/*"].into_iter().any(accepts) {
            found.saw(&cite);
        } else if accepts("application/json") {
            found.doubtful(format!("{}: Accept is `{}`", sent.describe(), sent.accept), &cite);
        } else {
            found.broken(format!("{}: Accept is `{}`", sent.describe(), sent.accept), &cite);
        }
    }
    if none {
        Judgement::undecided("no request was seen")
    } else {
        found.conclude("Content-Type and Accept are application/scim+json")
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::{missed, reached, sent};
    use super::*;
    use crate::counterpart::scim_client::PATCH_OP;
    use crate::model::Call;
    use serde_json::json;

    fn patch(active: bool) -> Sent {
        sent(
            "PATCH",
            "/Users/1",
            json!({"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "active", "value": active}]}),
        )
    }

    fn good() -> Seen {
        let gone = || reached(vec![patch(false)]);
        let mut cases: BTreeMap<String, Case> = ["disable", "unassign", "delete"].map(|step| (step.to_owned(), gone())).into();
        cases.insert("enable".into(), reached(vec![patch(true)]));
        Seen { cases, again: vec![gone(), gone()], bystander_active: Some(true), bystander: Vec::new() }
    }

    #[test]
    fn leavers_that_go_pass_and_nothing_seen_decides_nothing() {
        for check in Leaver::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}: {}", check.clause, (check.judge)(&good()).reason);
            assert_eq!((check.judge)(&Seen::default()).call, Call::Undecided, "{}", check.clause);
        }
        let blocked = Seen { cases: [("disable".to_owned(), Case::blocked("the hook failed"))].into(), ..Seen::default() };
        for check in Leaver::CHECKS {
            assert_eq!((check.judge)(&blocked).call, Call::Undecided, "{}", check.clause);
        }
    }

    #[test]
    fn leavers_that_stay_are_broken() {
        let mut seen = good();
        for step in ["disable", "unassign", "delete"] {
            seen.cases.insert(step.into(), missed(Vec::new()));
        }
        for check in &Leaver::CHECKS[..4] {
            assert_eq!((check.judge)(&seen).call, Call::Broken, "{}", check.clause);
        }
        let mut seen = good();
        seen.bystander_active = Some(false);
        seen.bystander = vec![patch(false)];
        assert_eq!(disabling_deactivates(&seen).call, Call::Broken);
    }

    #[test]
    fn late_is_a_missed_should() {
        let mut seen = good();
        seen.again[1].took_s = Some(2400.0);
        assert_eq!(it_takes_five_minutes_at_most(&seen).call, Call::Broken);
        assert_eq!(disabling_deactivates(&seen).call, Call::Pass);
    }

    #[test]
    fn a_second_account_is_no_reactivation() {
        let mut seen = good();
        seen.cases.insert("enable".into(), reached(vec![sent("POST", "/Users", json!({}))]));
        assert_eq!(enabling_reactivates_the_same_account(&seen).call, Call::Broken);
        seen.cases.insert("disable".into(), reached(vec![sent("DELETE", "/Users/1", json!(null))]));
        assert_eq!(enabling_reactivates_the_same_account(&seen).call, Call::Undecided);
    }

    #[test]
    fn the_request_itself_is_read() {
        let mut seen = good();
        let mut bad = patch(false);
        bad.faults = vec!["active is \"False\", which is no boolean".into()];
        bad.content_type = "text/plain".into();
        seen.cases.insert("disable".into(), reached(vec![bad]));
        assert_eq!(the_deactivation_is_valid(&seen).call, Call::Broken);
        assert_eq!(bodies_are_scim_json(&seen).call, Call::Broken);
        let mut json = patch(false);
        json.content_type = "application/json; charset=utf-8".into();
        seen = Seen { cases: [("disable".to_owned(), reached(vec![json]))].into(), ..Seen::default() };
        assert_eq!(bodies_are_scim_json(&seen).call, Call::Doubtful);
        seen = Seen {
            cases: [("disable".to_owned(), reached(vec![sent("DELETE", "/Users/1", json!(null))]))].into(),
            ..Seen::default()
        };
        assert_eq!(the_deactivation_is_valid(&seen).call, Call::Undecided);
    }
}
