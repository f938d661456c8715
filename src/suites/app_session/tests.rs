//! Hand-made lives of sessions, and what is said of them.

use super::checks::*;
use super::course::{Contact, Course, Glimpse};
use super::{Refreshed, Second, Seen};
use crate::model::Call;
use crate::stage::oracle::Look;
use crate::stage::visitor::Attempt;

fn look(at_s: f64, signed_in: bool) -> Glimpse {
    Glimpse { asked_s: at_s, seen_s: at_s + 0.5, look: Look { signed_in, status: 200, ..Look::default() } }
}

fn course(expiry_s: f64, looks: &[(f64, bool)]) -> Course {
    let login = Attempt { look: look(0.0, true).look, ..Attempt::default() };
    let looks = looks.iter().map(|(at_s, alive)| look(*at_s, *alive)).collect();
    Course { login, expiry_s, looks, ..Course::default() }
}

fn refreshing(mut course: Course, at: &[f64], granted: bool) -> Course {
    course.contacts = at.iter().map(|at_s| Contact { at_s: *at_s, refresh: true, granted, exchange: String::new() }).collect();
    course
}

const BROWSED: [(f64, bool); 5] = [(15.0, true), (38.0, true), (45.0, true), (56.0, true), (75.0, true)];

fn browsed(more: &[(f64, bool)]) -> Course {
    course(90.0, &[&BROWSED, more].concat())
}

/// An application without refresh tokens that ends its sessions in time.
fn good() -> Seen {
    Seen {
        leeway_s: 15,
        active: browsed(&[(91.0, false)]),
        idle: course(90.0, &[(105.0, false)]),
        api: Some(course(90.0, &[(1.0, true), (105.0, false)])),
        second: Some(Second { life_s: 30, by_refresh: false, course: course(30.0, &[(10.0, true), (31.0, false)]) }),
        after: true,
        ..Seen::default()
    }
}

/// One that re-validates with a refresh token.
fn renewing() -> Seen {
    let at_end = |looks: &[(f64, bool)]| refreshing(course(90.0, looks), &[91.1], true);
    let run = |good, course| Refreshed { good, course };
    Seen {
        active: refreshing(browsed(&[(91.0, true)]), &[91.1], true),
        idle: refreshing(course(90.0, &[(105.0, true)]), &[105.1], true),
        second: Some(Second {
            life_s: 30,
            by_refresh: true,
            course: refreshing(
                Course { login: Attempt::default(), ..course(30.0, &[(10.0, true), (31.0, true)]) },
                &[31.1],
                true,
            ),
        }),
        offline: true,
        refreshed: vec![
            run(true, at_end(&[(91.0, true)])),
            run(false, refreshing(course(90.0, &[(91.0, false)]), &[91.1], false)),
            run(false, at_end(&[(91.0, false)])),
        ],
        ..good()
    }
}

#[test]
fn sessions_that_end_in_time_pass() {
    let all = [
        the_session_ends,
        activity_does_not_extend,
        a_session_outlives_its_id_token,
        the_new_assertion_governs,
        api_ends_with_the_session,
    ];
    for check in all {
        for seen in [good(), renewing()] {
            let judgement = check(&seen);
            assert_eq!(judgement.call, Call::Pass, "{}", judgement.reason);
        }
    }
    for check in &all[..4] {
        assert_eq!(check(&Seen { after: true, ..Seen::default() }).call, Call::Undecided);
    }
    assert_eq!(a_refresh_is_validated(&good()).call, Call::NotApplicable);
    let judgement = a_refresh_is_validated(&renewing());
    assert_eq!(judgement.call, Call::Pass, "{}", judgement.reason);
}

#[test]
fn a_session_that_lives_on_without_asking_is_broken() {
    let alive = browsed(&[(91.0, true), (105.0, true)]);
    let seen = Seen { active: alive.clone(), idle: course(90.0, &[(105.0, true)]), second: None, ..good() };
    assert_eq!(the_session_ends(&seen).call, Call::Broken);
    assert_eq!(activity_does_not_extend(&seen).call, Call::Undecided);
    assert_eq!(the_new_assertion_governs(&seen).call, Call::Undecided);
    let sliding = Seen { active: alive, ..good() };
    assert_eq!(activity_does_not_extend(&sliding).call, Call::Broken);
    let mut asking = sliding.clone();
    asking.active.contacts = vec![Contact { at_s: 91.1, ..Contact::default() }];
    assert_eq!(the_session_ends(&asking).call, Call::Doubtful);
    // Noticed late, within the leeway.
    let late = Seen { active: browsed(&[(91.0, true), (102.0, false)]), ..good() };
    assert_eq!(the_session_ends(&late).call, Call::Pass);
    // Not looked at late enough.
    assert_eq!(the_session_ends(&Seen { active: browsed(&[(98.0, true)]), ..good() }).call, Call::Undecided);
}

#[test]
fn an_early_end_is_legal_and_an_end_without_control_proves_nothing() {
    let early = course(90.0, &[(15.0, true), (38.0, true), (45.0, true), (56.0, true), (75.0, false)]);
    assert_eq!(early.early_s(), 34);
    assert_eq!(the_session_ends(&Seen { active: early.clone(), ..good() }).call, Call::Pass);
    assert_eq!(a_session_outlives_its_id_token(&Seen { active: early, ..good() }).call, Call::Pass);
    let at_once = course(90.0, &[(15.0, false)]);
    assert_eq!(the_session_ends(&Seen { active: at_once.clone(), ..good() }).call, Call::Doubtful);
    assert_eq!(a_session_outlives_its_id_token(&Seen { active: at_once, ..good() }).call, Call::Undecided);
    let down = Seen { after: false, ..good() };
    assert_eq!(the_session_ends(&down).call, Call::Undecided);
    assert_eq!(activity_does_not_extend(&down).call, Call::Undecided);
    let mut failing = good();
    failing.active.looks.last_mut().unwrap().look.status = 502;
    assert_eq!(the_session_ends(&failing).call, Call::Undecided);
}

#[test]
fn an_end_or_a_renewal_at_exp_is_told_from_an_early_one() {
    let ended = course(90.0, &[(15.0, true), (38.0, true), (45.0, false)]);
    assert_eq!(a_session_outlives_its_id_token(&Seen { active: ended, ..good() }).call, Call::Broken);
    // The look that was due 56 s after the login came late: the session may have outlived the ID token by much.
    let late = course(90.0, &[(15.0, true), (38.0, true), (45.0, true), (60.5, false)]);
    assert_eq!(a_session_outlives_its_id_token(&Seen { active: late, ..good() }).call, Call::Undecided);
    let in_time = course(90.0, &[(15.0, true), (38.0, true), (45.0, true), (56.2, false)]);
    assert_eq!(a_session_outlives_its_id_token(&Seen { active: in_time, ..good() }).call, Call::Broken);
    let renewed = |at: f64| Seen { active: refreshing(browsed(&[(91.0, true)]), &[at], true), ..good() };
    assert_eq!(a_session_outlives_its_id_token(&renewed(45.1)).call, Call::Broken);
    assert_eq!(a_session_outlives_its_id_token(&renewed(38.1)).call, Call::Undecided);
    assert_eq!(a_session_outlives_its_id_token(&renewed(75.1)).call, Call::Pass);
}

#[test]
fn the_api_ends_too() {
    let api = |looks: &[(f64, bool)]| Seen { api: Some(course(90.0, looks)), ..good() };
    assert_eq!(api_ends_with_the_session(&api(&[(1.0, true), (105.0, true)])).call, Call::Broken);
    assert_eq!(api_ends_with_the_session(&api(&[(1.0, false), (105.0, false)])).call, Call::Undecided);
    assert_eq!(api_ends_with_the_session(&Seen { api_open: true, ..good() }).call, Call::Undecided);
    assert_eq!(api_ends_with_the_session(&Seen { api: None, ..good() }).call, Call::NotConfigured);
}

#[test]
fn the_new_session_lives_and_ends_by_the_new_assertion() {
    let with = |course| Seen { second: Some(Second { life_s: 30, by_refresh: false, course }), ..good() };
    assert_eq!(the_new_assertion_governs(&with(course(30.0, &[(10.0, false)]))).call, Call::Broken);
    assert_eq!(the_new_assertion_governs(&with(course(30.0, &[(10.0, true), (31.0, true), (45.1, true)]))).call, Call::Broken);
    let refused = Course { login: Attempt { answered: true, requests: 1, ..Attempt::default() }, ..course(30.0, &[]) };
    let untried = Course { login: Attempt::default(), ..course(30.0, &[]) };
    assert_eq!(the_new_assertion_governs(&with(untried)).call, Call::Undecided);
    assert_eq!(the_new_assertion_governs(&with(refused.clone())).call, Call::Broken);
    assert_eq!(the_new_assertion_governs(&Seen { after: false, ..with(refused) }).call, Call::Undecided);
}

#[test]
fn a_bad_refresh_must_not_keep_a_session() {
    let with = |course| {
        let mut seen = renewing();
        seen.refreshed[1].course = course;
        a_refresh_is_validated(&seen).call
    };
    assert_eq!(with(refreshing(course(90.0, &[(91.0, true), (105.0, true)]), &[91.1], false)), Call::Broken);
    assert_eq!(with(refreshing(course(90.0, &[(91.0, true), (105.0, true)]), &[91.1], true)), Call::Broken);
    assert_eq!(with(course(90.0, &[(91.0, false)])), Call::Undecided);
    let mut uncontrolled = renewing();
    uncontrolled.refreshed[0].course.looks = vec![look(91.0, false)];
    assert_eq!(a_refresh_is_validated(&uncontrolled).call, Call::Undecided);
    let mut unused = renewing();
    unused.refreshed.iter_mut().for_each(|one| one.course.contacts.clear());
    assert_eq!(a_refresh_is_validated(&unused).call, Call::NotApplicable);
}
