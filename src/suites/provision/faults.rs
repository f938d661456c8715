//! provision-faults: the SCIM server limits, fails, loses answers and misses accounts; deactivations must not get lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::course::{Course, User};
use super::{Case, effect};
use crate::counterpart::scim_receiver::{Fault, Rule, Sent};
use crate::model::Judgement;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// Seconds of `Retry-After`.
const PAUSE_S: u64 = 20;
/// The same for the embedded identity service.
const EMBEDDED_PAUSE_S: u64 = 4;
/// Seconds in which a repetition comes at any rate.
const REPETITION_S: u64 = 60;
/// Tolerance of its measurement.
const EARLY_S: f64 = 1.0;
/// Requests on their way when the first was refused.
const UNDER_WAY_S: f64 = 0.2;
/// Repetitions after a success that was not heard of.
const ENDLESS: usize = 10;

/// Faults.
pub struct Faults;

/// What became of the users.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// By fault: `limited`, `limited-date`, `unavailable`, `lost`, `missing`, and `control`, which met none.
    pub cases: BTreeMap<String, Case>,
    /// Seconds of `Retry-After`.
    pub pause_s: f64,
    /// Accounts of the user whose answer was lost, in the end.
    pub lost_accounts: usize,
    /// Accounts of the user whose account was missing, in the end.
    pub missing_accounts: usize,
}

impl Scenario for Faults {
    type Seen = Seen;
    const ID: &'static str = "provision-faults";
    const TITLE: &'static str = "disables users while the SCIM server limits, fails, loses answers and misses accounts";
    const BROWSER: bool = false;
    const PROVISIONED: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al1.idp.honours-429", it_waits_and_repeats),
        Check::new("al1.idp.retries-503", it_repeats_after_failures),
        Check::new("al1.idp.lost-response-safe", a_lost_answer_does_no_harm),
        Check::new("al1.idp.404-is-done", a_missing_account_stops_nothing),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let course = Course::open(stage)?;
        let pause = if stage.world.embedded { EMBEDDED_PAUSE_S } else { PAUSE_S };
        let mut seen = Seen { pause_s: pause as f64, ..Seen::default() };
        let labels = ["faults-limited", "faults-unavailable", "faults-lost", "faults-missing", "faults-control"];
        let arrived = course.arrived(&labels).await;
        let mut going: Vec<(&str, User, String)> = Vec::new();
        let mark = course.receiver.log().mark();
        for label in labels {
            let kind = label.trim_start_matches("faults-");
            let (user, id) = match arrived.get(label) {
                Some(Ok(found)) => found.clone(),
                Some(Err(why)) => {
                    seen.cases.insert(kind.into(), Case::blocked(why.as_str()));
                    continue;
                }
                None => continue,
            };
            let changes =
                |fault, times| course.receiver.script(Rule::of(&user.tag, fault, times).on(&["PUT", "PATCH", "DELETE"]));
            match kind {
                "limited" => changes(Fault::TooMany(pause), 1),
                "unavailable" => {
                    changes(Fault::Unavailable, 1);
                    changes(Fault::Dropped, 1);
                }
                "lost" => changes(Fault::AnswerLost, 1),
                "missing" => {
                    course.receiver.engine().remove_user(&id);
                }
                _ => {}
            }
            // The control comes last: it shows that work goes on after the others.
            match course.hook("disable-user", &user, &[]).await {
                Ok(cite) => {
                    seen.cases.insert(kind.into(), Case { cites: vec![cite], ..Case::default() });
                    going.push((kind, user, id));
                }
                Err(obstacle) => {
                    seen.cases.insert(kind.into(), Case::blocked(obstacle.message));
                }
            }
        }
        course.now().await;
        let labels: Vec<&str> = going.iter().map(|(kind, ..)| *kind).collect();
        let gone = |kind: &str| going.iter().any(|(known, _, id)| *known == kind && course.deprovisioned(id));
        let limit = patient(&course, pause);
        let from = Instant::now();
        let took = course.settle_for("deactivations despite faults", limit, &labels, gone).await;
        for (kind, user, id) in &going {
            let cites = seen.cases.get(*kind).map(|case| case.cites.clone()).unwrap_or_default();
            let mut case = Case { cites, ..course.case(mark, id, &user.tag, took.get(*kind).copied()) };
            case.limit_s = limit.as_secs_f64();
            if *kind == "missing" {
                // Nothing is left to deactivate: whether the client asked at all is in what it sent.
                case.took_s = None;
                seen.missing_accounts = course.receiver.users_with(&user.tag).len();
            }
            if *kind == "lost" {
                // A repetition may come late; it is worth a little patience, not another cycle.
                let left = course.patience(REPETITION_S).saturating_sub(from.elapsed());
                course
                    .wait_for("a repetition", left, || course.sent(mark, id, "").iter().filter(|sent| sent.writes()).count() > 1)
                    .await;
                case.sent = course.sent(mark, id, &user.tag);
                seen.lost_accounts = course.receiver.users_with(&user.tag).len();
            }
            seen.cases.insert((*kind).into(), case);
        }
        if let Some((_, user, id)) = going.iter().find(|(kind, ..)| *kind == "limited" && took.contains_key("limited"))
            && course.has("enable-user")
        {
            let case = by_date(&course, user, id, pause).await;
            seen.cases.insert("limited-date".into(), case);
        }
        course.close(arrived.into_values().flatten().map(|(user, _)| user)).await;
        Ok(seen)
    }
}

/// Three cycles, since two faults in a row may cost two; but who is quick gets the time that was asked for and a cycle more, and never
/// less than repetitions may take.
fn patient(course: &Course<'_>, pause: u64) -> Duration {
    let asked = Duration::from_secs(pause + 1) + course.cycle();
    (course.cycle() * 3).max(asked).max(course.patience(REPETITION_S))
}

/// The second round: the user is enabled, and `Retry-After` is a date.
async fn by_date(course: &Course<'_>, user: &User, id: &str, pause: u64) -> Case {
    let mark = course.receiver.log().mark();
    // A date has no fractions of a second.
    course.receiver.script(Rule::of(&user.tag, Fault::TooManyUntil(pause + 1), 1).on(&["PUT", "PATCH", "DELETE"]));
    let cite = match course.hook("enable-user", user, &[]).await {
        Ok(cite) => cite,
        Err(obstacle) => return Case::blocked(obstacle.message),
    };
    course.now().await;
    let limit = patient(course, pause);
    let took =
        course.settle_for("a reactivation despite a limit", limit, &["it"], |_| course.active(id)).await.get("it").copied();
    Case { cites: vec![cite], limit_s: limit.as_secs_f64(), ..course.case(mark, id, &user.tag, took) }
}

/// The request that met a fault, and the writes after it.
fn after_fault<'a>(case: &'a Case, word: &str) -> Option<(&'a Sent, Vec<&'a Sent>)> {
    let at = case.sent.iter().position(|sent| sent.fault.as_deref().is_some_and(|fault| fault.contains(word)))?;
    Some((&case.sent[at], case.sent[at + 1..].iter().filter(|sent| sent.writes()).collect()))
}

fn it_waits_and_repeats(seen: &Seen) -> Judgement {
    let first = seen.cases.get("limited");
    let judgement = effect(first, "the request was repeated and carried out", "the limited deactivation was never carried out");
    let mut rounds = vec![("Retry-After in seconds", first)];
    rounds.push(("Retry-After as a date", seen.cases.get("limited-date").filter(|case| case.obstacle.is_none())));
    for (what, case) in rounds {
        let Some((refused, attempts)) = case.and_then(|case| after_fault(case, "429")) else { continue };
        let early = attempts.iter().find(|sent| {
            let pause = sent.at_s - refused.at_s;
            pause > UNDER_WAY_S && pause < seen.pause_s - EARLY_S
        });
        // A peer that repeats at once is as quick as what was under way: what counts is whether it was the same request.
        let at_once = attempts
            .iter()
            .find(|sent| sent.at_s - refused.at_s <= UNDER_WAY_S && sent.method == refused.method && sent.body == refused.body);
        if let Some(sent) = early.or(at_once) {
            let pause = sent.at_s - refused.at_s;
            return Judgement::broken(format!("{what}: repeated after {pause:.1} s"))
                .expected(format!("no attempt before {} s", seen.pause_s), format!("{pause:.1} s"))
                .cite([&refused.cite, &sent.cite]);
        }
    }
    match first.map(|case| (case, after_fault(case, "429"))) {
        Some((case, None)) if case.obstacle.is_none() => Judgement::undecided("no request met the limit").cite(&case.cited()),
        _ => match seen.cases.get("limited-date") {
            Some(case) if case.obstacle.is_none() && !case.reached() && after_fault(case, "429").is_some() => {
                Judgement::broken("Retry-After as a date: the request was never repeated").cite(&case.cited())
            }
            _ => judgement,
        },
    }
}

fn it_repeats_after_failures(seen: &Seen) -> Judgement {
    let case = seen.cases.get("unavailable");
    let met = case.is_some_and(|case| case.sent.iter().any(|sent| sent.fault.is_some()));
    if case.is_some_and(|case| case.obstacle.is_none()) && !met {
        return Judgement::undecided("no request met the failure").cite(&case.map(Case::cited).unwrap_or_default());
    }
    effect(
        case,
        "the deactivation arrived after 503 and a dropped connection",
        "the deactivation was lost after 503 and a dropped connection",
    )
}

fn a_lost_answer_does_no_harm(seen: &Seen) -> Judgement {
    let Some(case) = seen.cases.get("lost") else { return Judgement::undecided("not tried") };
    if let Some(why) = &case.obstacle {
        return Judgement::undecided(why.as_str());
    }
    let Some((lost, after)) = after_fault(case, "lost") else {
        return Judgement::undecided("no request met the fault").cite(&case.cited());
    };
    let cites = case.cited();
    if seen.lost_accounts > 1 {
        return Judgement::broken(format!("the user has {} accounts in the end", seen.lost_accounts)).cite(&cites);
    }
    let position = case.sent.iter().position(|sent| sent.cite == lost.cite).unwrap_or_default();
    let blind = case.sent.iter().skip(position + 1).take_while(|sent| sent.method != "GET").find(|sent| sent.method == "POST");
    if let Some(post) = blind {
        return Judgement::broken(format!("the user is posted again without a look at what is there (answered {})", post.status))
            .cite([&post.cite]);
    }
    // A success, or an account that is gone: either way nothing is left to do.
    let heard = after.iter().filter(|sent| sent.ok() || sent.status == 404).count();
    if heard > ENDLESS {
        return Judgement::broken(format!("repeated {heard} times although the answers said that it is done")).cite(&cites);
    }
    if !case.reached() {
        return Judgement::broken(format!("the state is not consistent in the end: {}", case.state)).cite(&cites);
    }
    if after.is_empty() && !case.sent.iter().skip(position + 1).any(|sent| sent.method == "GET") {
        return Judgement::undecided("the client neither repeated the request nor looked").cite(&cites);
    }
    Judgement::pass("the repetition changed nothing, and there is one account").cite(&cites)
}

fn a_missing_account_stops_nothing(seen: &Seen) -> Judgement {
    let Some(case) = seen.cases.get("missing") else { return Judgement::undecided("not tried") };
    if let Some(why) = &case.obstacle {
        return Judgement::undecided(why.as_str());
    }
    let cites = case.cited();
    if let Some(post) = case.sent.iter().find(|sent| sent.method == "POST" && sent.path == "/Users") {
        return Judgement::broken(format!("the user is created again (answered {})", post.status)).cite([&post.cite]);
    }
    if seen.missing_accounts > 0 {
        return Judgement::broken("the account is there again").cite(&cites);
    }
    if !case.sent.iter().any(|sent| sent.status == 404 || sent.method == "GET") {
        return Judgement::undecided("the missing account was not asked for").cite(&cites);
    }
    match seen.cases.get("control") {
        Some(control) if control.reached() => {
            Judgement::pass("the 404 stops nothing: another user was deactivated afterwards").cite(&cites)
        }
        Some(control) if control.obstacle.is_none() => {
            Judgement::broken("after the 404 another user was not deactivated any more")
                .cite(cites.iter().chain(&control.cited()))
        }
        _ => Judgement::undecided("the user that shows whether work goes on could not be played").cite(&cites),
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::{missed, reached, sent};
    use super::*;
    use crate::model::Call;
    use serde_json::json;

    fn step(at_s: f64, status: u16, fault: Option<&str>) -> Sent {
        Sent {
            at_s,
            status,
            fault: fault.map(str::to_owned),
            cite: format!("x{at_s}"),
            ..sent("PATCH", "/Users/1", json!({"Operations": []}))
        }
    }

    fn good() -> Seen {
        let limited = reached(vec![step(1.0, 429, Some("answered 429")), step(21.5, 200, None)]);
        let failed =
            reached(vec![step(1.0, 503, Some("answered 503")), step(2.0, 0, Some("connection closed")), step(4.0, 200, None)]);
        let lost = reached(vec![step(1.0, 0, Some("carried out, answer lost")), step(2.0, 200, None)]);
        let cases = [
            ("limited", limited.clone()),
            ("limited-date", limited),
            ("unavailable", failed),
            ("lost", lost),
            ("missing", missed(vec![step(1.0, 404, None)])),
            ("control", reached(vec![step(1.0, 200, None)])),
        ];
        Seen {
            cases: cases.map(|(kind, case)| (kind.to_owned(), case)).into(),
            pause_s: 20.0,
            lost_accounts: 1,
            missing_accounts: 0,
        }
    }

    #[test]
    fn a_patient_client_passes_and_nothing_seen_decides_nothing() {
        for check in Faults::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}: {}", check.clause, (check.judge)(&good()).reason);
            assert_eq!((check.judge)(&Seen::default()).call, Call::Undecided, "{}", check.clause);
        }
        let mut seen = good();
        for case in seen.cases.values_mut() {
            case.obstacle = Some("a hook failed".into());
        }
        for check in Faults::CHECKS {
            assert_eq!((check.judge)(&seen).call, Call::Undecided, "{}", check.clause);
        }
    }

    #[test]
    fn limits_must_be_kept() {
        let mut seen = good();
        seen.cases.insert("limited".into(), reached(vec![step(1.0, 429, Some("answered 429")), step(1.05, 200, None)]));
        assert_eq!(it_waits_and_repeats(&seen).call, Call::Broken);
        seen.cases.insert("limited".into(), reached(vec![step(1.0, 429, Some("answered 429")), step(10.0, 200, None)]));
        assert_eq!(it_waits_and_repeats(&seen).call, Call::Broken);
        seen.cases.insert("limited".into(), missed(vec![step(1.0, 429, Some("answered 429"))]));
        assert_eq!(it_waits_and_repeats(&seen).call, Call::Broken);
        seen.cases.insert("limited".into(), missed(Vec::new()));
        assert_eq!(it_waits_and_repeats(&seen).call, Call::Undecided);
    }

    #[test]
    fn failures_must_not_lose_anything() {
        let mut seen = good();
        seen.cases.insert("unavailable".into(), missed(vec![step(1.0, 503, Some("answered 503"))]));
        assert_eq!(it_repeats_after_failures(&seen).call, Call::Broken);
        seen.lost_accounts = 2;
        assert_eq!(a_lost_answer_does_no_harm(&seen).call, Call::Broken);
        let mut seen = good();
        seen.cases.insert("lost".into(), reached(vec![step(1.0, 0, Some("carried out, answer lost"))]));
        assert_eq!(a_lost_answer_does_no_harm(&seen).call, Call::Undecided);
        let endless = (2..14).map(|second| step(f64::from(second), 404, None));
        let deleted = [step(1.0, 0, Some("carried out, answer lost"))].into_iter().chain(endless).collect();
        seen.cases.insert("lost".into(), reached(deleted));
        assert_eq!(a_lost_answer_does_no_harm(&seen).call, Call::Broken);
        let post = sent("POST", "/Users", json!({}));
        seen.cases.insert("lost".into(), reached(vec![step(1.0, 0, Some("carried out, answer lost")), post.clone()]));
        assert_eq!(a_lost_answer_does_no_harm(&seen).call, Call::Broken);
        seen.cases.insert("missing".into(), missed(vec![step(1.0, 404, None), post]));
        assert_eq!(a_missing_account_stops_nothing(&seen).call, Call::Broken);
    }

    #[test]
    fn one_missing_account_must_not_stop_the_others() {
        let mut seen = good();
        seen.cases.insert("control".into(), missed(Vec::new()));
        assert_eq!(a_missing_account_stops_nothing(&seen).call, Call::Broken);
        seen.cases.insert("control".into(), Case::blocked("a hook failed"));
        assert_eq!(a_missing_account_stops_nothing(&seen).call, Call::Undecided);
    }
}
