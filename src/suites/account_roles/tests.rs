use serde_json::json;

use super::super::exposed::{Exposed, Role};
use super::*;
use crate::model::verdict::Call;
use crate::suites::account_blocks::Texts;
use crate::suites::account_blocks::samples::{entered, page, refused};
use crate::suites::account_groups::effect::Effect;
use crate::suites::scim_blocks::samples::{answer, error};

fn shows(texts: &[&str]) -> Effect {
    Effect { live: page(texts), live_ms: Some(5), again: entered(), fresh: page(texts), fresh_ms: 9 }
}

fn good() -> Seen {
    let course = Course {
        way: "scim".into(),
        role: Role { display: "Editor".into(), ..Role::named("editor") },
        before: entered(),
        shown: page(&[]),
        assigned: Some(answer(200, json!({}))),
        stored: Some(answer(200, json!({"roles": [{"value": "editor"}]}))),
        on: shows(&["Editor"]),
        other: Some((entered(), page(&["auditor"]))),
        removed: Some(answer(200, json!({}))),
        cleared: Some(answer(200, json!({}))),
        off: shows(&[]),
    };
    let roles = vec![Role::named("editor"), Role::named("auditor")];
    let exposed = Exposed { roles, list: answer(200, json!({})), ..Exposed::default() };
    Seen { exposed, declared: vec!["Editor".into(), "auditor".into()], courses: vec![course], ..Seen::default() }
}

fn with(change: &dyn Fn(&mut Course)) -> Seen {
    let mut seen = good();
    change(&mut seen.courses[0]);
    seen
}

#[test]
fn a_role_that_comes_and_goes_passes() {
    for check in [the_list_is_complete, an_assigned_role_is_in_effect, a_removed_role_is_gone] {
        let judgement = check(&good());
        assert_eq!(judgement.call, Call::Pass, "{}", judgement.reason);
    }
}

#[test]
fn the_list_must_be_that_of_the_administrator() {
    let known = |names: &[&str]| {
        let declared = names.iter().map(|name| (*name).to_owned()).collect();
        the_list_is_complete(&Seen { declared, ..good() }).call
    };
    assert_eq!(known(&["editor", "auditor", "archivist"]), Call::Broken);
    assert_eq!(known(&["editor"]), Call::Broken);
    // The metadata of commands name what can be assigned, and nothing tells which of the administrator's roles can be.
    let mut short = Seen { declared: vec!["editor".into(), "auditor".into(), "archivist".into()], ..good() };
    short.exposed.metadata = true;
    assert_eq!(the_list_is_complete(&short).call, Call::Undecided);
    assert_eq!(known(&[]), Call::Undecided);
    assert_eq!(known(&["editor", "auditor", "run-7 role"]), Call::Broken);
    assert_eq!(the_list_is_complete(&Seen { exposed: Exposed::default(), ..good() }).call, Call::Undecided);
}

#[test]
fn a_role_of_the_run_in_one_of_the_lists_alone_decides_nothing() {
    let run = String::from("run-7");
    let names = |own: &[&str]| own.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let later = Seen { run: run.clone(), declared: names(&["editor", "auditor", "run-7 role"]), ..good() };
    assert_eq!(the_list_is_complete(&later).call, Call::Pass);
    let mut earlier = Seen { run: run.clone(), ..good() };
    earlier.exposed.roles.push(Role::named("run-7 role"));
    assert_eq!(the_list_is_complete(&earlier).call, Call::Pass);
    let foreign = Seen { run, declared: names(&["editor", "auditor", "run-6 role"]), ..good() };
    assert_eq!(the_list_is_complete(&foreign).call, Call::Broken);
}

#[test]
fn a_role_without_effect_or_with_more_is_broken() {
    let call = |change: &dyn Fn(&mut Course)| an_assigned_role_is_in_effect(&with(change)).call;
    assert_eq!(call(&|course| course.on = shows(&[])), Call::Broken);
    assert_eq!(call(&|course| course.on = shows(&["editor", "owner"])), Call::Broken);
    assert_eq!(call(&|course| course.stored = Some(answer(200, json!({})))), Call::Broken);
    assert_eq!(call(&|course| course.assigned = Some(error(400, "invalidValue"))), Call::Broken);
    assert_eq!(call(&|course| course.assigned = Some(error(503, ""))), Call::Undecided);
    assert_eq!(call(&|course| course.other = Some((entered(), page(&["editor"])))), Call::Broken);
    assert_eq!(call(&|course| course.other = Some((refused(), page(&[])))), Call::Undecided);
    assert_eq!(call(&|course| course.shown = page(&["editor"])), Call::Undecided);
    assert_eq!(call(&|course| course.on.fresh = Texts::default()), Call::Undecided);
}

#[test]
fn a_role_that_is_a_group_stands_in_no_record() {
    let group = with(&|course| (course.stored, course.cleared) = (None, None));
    assert_eq!((an_assigned_role_is_in_effect(&group).call, a_removed_role_is_gone(&group).call), (Call::Pass, Call::Pass));
    let none = |course: &mut Course| (course.assigned, course.stored, course.on) = (None, None, Effect::default());
    assert_eq!(an_assigned_role_is_in_effect(&with(&none)).call, Call::Undecided);
}

#[test]
fn a_role_that_stays_is_broken() {
    let call = |change: &dyn Fn(&mut Course)| a_removed_role_is_gone(&with(change)).call;
    assert_eq!(call(&|course| course.off = shows(&["Editor"])), Call::Broken);
    assert_eq!(call(&|course| course.cleared = course.stored.clone()), Call::Broken);
    let kept = Effect { live: page(&["Editor"]), live_ms: None, ..shows(&[]) };
    assert_eq!(call(&|course| course.off = kept.clone()), Call::Doubtful);
    assert_eq!(call(&|course| course.off.live_ms = Some(LATE_MS + 1)), Call::Doubtful);
    assert_eq!(call(&|course| course.on = shows(&[])), Call::Undecided);
    assert_eq!(call(&|course| course.before = refused()), Call::Undecided);
}
