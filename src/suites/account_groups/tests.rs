use serde_json::json;

use super::super::{Foreign, Unmapped};
use super::*;
use crate::model::verdict::Call;
use crate::suites::account_blocks::samples::{entered, page, refused};
use crate::suites::scim_blocks::samples::{answer, error};

fn step(texts: &[&str]) -> Step {
    let effect = Effect { live: page(texts), live_ms: Some(3), again: entered(), fresh: page(texts), fresh_ms: 7 };
    Step { changes: vec![answer(200, json!({}))], effect: Some(effect) }
}

fn mapping(group: &str, role: &str) -> GroupRole {
    GroupRole { group: group.into(), role: role.into() }
}

fn good() -> Seen {
    let course = |way: &str| Course {
        way: way.into(),
        before: entered(),
        shown: page(&[]),
        joined: step(&["editor"]),
        both: Some(step(&["editor", "auditor"])),
        left: step(&["auditor"]),
        unmapped: Some(Unmapped { name: "archivist".into(), step: step(&[]) }),
    };
    let foreign = Foreign { source: "UserInfo".into(), attempt: refused(), shown: None };
    Seen {
        mapping: vec![mapping("G1", "editor"), mapping("G2", "auditor")],
        single: false,
        courses: vec![course("scim"), course("claims")],
        deletion: None,
        foreign: vec![foreign.clone(), Foreign { attempt: entered(), shown: Some(page(&[])), ..foreign }],
    }
}

fn with(change: &dyn Fn(&mut Course)) -> Seen {
    let mut seen = good();
    change(&mut seen.courses[1]);
    seen
}

#[test]
fn a_mapping_that_works_passes() {
    for check in [
        a_mapped_group_gives_its_role,
        who_leaves_loses_the_role,
        an_unmapped_group_gives_nothing,
        groups_add_up,
        only_the_id_token_counts,
    ] {
        let judgement = check(&good());
        assert_eq!(judgement.call, Call::Pass, "{}", judgement.reason);
        assert_eq!(check(&Seen { mapping: Vec::new(), ..good() }).call, Call::NotConfigured);
    }
}

#[test]
fn a_group_without_its_role_is_broken_and_lost_requests_decide_nothing() {
    let call = |change: &dyn Fn(&mut Course)| a_mapped_group_gives_its_role(&with(change)).call;
    assert_eq!(call(&|course| course.joined = step(&[])), Call::Broken);
    assert_eq!(call(&|course| course.shown = page(&["Editor"])), Call::Broken);
    assert_eq!(call(&|course| course.joined.changes = vec![error(503, "")]), Call::Undecided);
    assert_eq!(call(&|course| course.before = refused()), Call::Undecided);
    assert_eq!(call(&|course| course.joined.effect.as_mut().unwrap().fresh = Texts::default()), Call::Undecided);
}

#[test]
fn a_role_that_outlives_the_membership_is_broken() {
    let call = |change: &dyn Fn(&mut Course)| who_leaves_loses_the_role(&with(change)).call;
    assert_eq!(call(&|course| course.left = step(&["editor", "auditor"])), Call::Broken);
    assert_eq!(call(&|course| course.joined = step(&[])), Call::Undecided);
    let keep = |course: &mut Course| {
        let effect = course.left.effect.as_mut().unwrap();
        (effect.live, effect.live_ms) = (page(&["editor"]), None);
    };
    let mut live = good();
    keep(&mut live.courses[0]);
    assert_eq!(who_leaves_loses_the_role(&live).call, Call::Doubtful);
    // A claim reaches nobody before the next sign-in.
    assert_eq!(call(&keep), Call::Pass);
    // A session that a new sign-in ended holds no role.
    let ended = |effect: &mut Effect| (effect.live, effect.live_ms) = (Texts::default(), None);
    let mut single = good();
    ended(single.courses[0].left.effect.as_mut().unwrap());
    assert_eq!(who_leaves_loses_the_role(&single).call, Call::Pass);
}

#[test]
fn a_name_gives_no_role() {
    let call = |change: &dyn Fn(&mut Course)| an_unmapped_group_gives_nothing(&with(change)).call;
    assert_eq!(call(&|course| course.unmapped.as_mut().unwrap().step = step(&["Archivist"])), Call::Broken);
    assert_eq!(call(&|course| course.unmapped = None), Call::Undecided);
    assert_eq!(call(&|course| course.joined = step(&[])), Call::Undecided);
    let kept = |course: &mut Course| {
        course.left = step(&["archivist"]);
        course.unmapped.as_mut().unwrap().step = step(&["archivist"]);
    };
    assert_eq!(call(&kept), Call::Undecided);
}

#[test]
fn the_last_group_must_not_win() {
    let call = |change: &dyn Fn(&mut Course)| groups_add_up(&with(change)).call;
    assert_eq!(call(&|course| course.both = Some(step(&["auditor"]))), Call::Broken);
    assert_eq!(call(&|course| course.left = step(&[])), Call::Broken);
    assert_eq!(call(&|course| course.both = None), Call::NotConfigured);
    // A user who has the first role anyway makes no second mapping.
    let default = |course: &mut Course| (course.both, course.shown) = (None, page(&["editor"]));
    assert_eq!(call(&default), Call::NotConfigured);
    let single = Seen { single: true, ..with(&|course| course.both = Some(step(&["auditor"]))) };
    assert_eq!(groups_add_up(&single).call, Call::Pass);
}

#[test]
fn groups_of_a_stranger_are_not_taken() {
    let call = |shown: Option<Texts>, attempt: crate::stage::visitor::Attempt| {
        let foreign = vec![Foreign { source: "UserInfo".into(), attempt, shown }];
        only_the_id_token_counts(&Seen { foreign, ..good() }).call
    };
    assert_eq!(call(Some(page(&["editor"])), entered()), Call::Broken);
    assert_eq!(call(None, crate::stage::visitor::Attempt::default()), Call::Undecided);
    // A role that everybody has was not brought by the stranger's groups.
    let foreign = Foreign { source: "UserInfo".into(), attempt: entered(), shown: Some(page(&["editor"])) };
    let everybody = Seen { foreign: vec![foreign], ..with(&|course| course.shown = page(&["editor"])) };
    assert_eq!(only_the_id_token_counts(&everybody).call, Call::Undecided);
    assert_eq!(only_the_id_token_counts(&with(&|course| course.joined = step(&[]))).call, Call::Undecided);
    assert_eq!(only_the_id_token_counts(&Seen { foreign: Vec::new(), ..good() }).call, Call::Undecided);
}
