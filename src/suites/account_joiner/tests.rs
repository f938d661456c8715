use serde_json::json;

use super::super::{Created, Inactive, Stale, Unknown, Updated};
use super::*;
use crate::model::verdict::Call;
use crate::suites::account_blocks::samples::{entered, page, refused};
use crate::suites::scim_blocks::samples::{answer, error};

fn list(users: &[(&str, &str)]) -> Answer {
    let user = |(id, sub): &(&str, &str)| json!({"id": id, "userName": "u@x.test", "externalId": sub});
    answer(200, json!({"Resources": users.iter().map(user).collect::<Vec<_>>()}))
}

fn good() -> Seen {
    Seen {
        created: Created {
            id: "1".into(),
            person: ["u@x.test", "u@x.test", "s"].map(str::to_owned),
            display: "A".into(),
            attempt: entered(),
            shown: Some(page(&["A"])),
            found: vec![list(&[("1", "s")]), error(400, "invalidFilter")],
        },
        inactive: Some(Inactive {
            made: answer(201, json!({"id": "2", "active": false})),
            before: Some(refused()),
            activated: Some(answer(200, json!({}))),
            after: Some(entered()),
        }),
        update: Some(Updated {
            before: page(&["A"]),
            old: "A".into(),
            new: "B".into(),
            change: answer(200, json!({})),
            live: page(&["B"]),
            after_ms: 10,
            again: entered(),
            fresh: page(&["B"]),
        }),
        stale: Some(Stale {
            provisioned: "B".into(),
            claimed: "A".into(),
            change: answer(200, json!({})),
            attempt: entered(),
            read: answer(200, json!({"displayName": "B"})),
        }),
        unknown: Unknown {
            attempt: entered(),
            found: vec![list(&[("3", "t")])],
            everybody: None,
            id: "3".into(),
            deactivated: Some((answer(200, json!({})), answer(200, json!({"active": false})))),
        },
    }
}

#[test]
fn conforming_joiners_pass() {
    for check in [
        a_created_user_signs_in,
        nobody_signs_in_before_activation,
        updates_are_shown,
        a_user_made_by_a_sign_in_is_managed,
        a_sign_in_does_not_overwrite,
    ] {
        let judgement = check(&good());
        assert_eq!(judgement.call, Call::Pass, "{}", judgement.reason);
    }
}

#[test]
fn a_second_account_a_refusal_and_an_empty_profile_are_broken() {
    let call = |change: &dyn Fn(&mut Created)| {
        let mut seen = good();
        change(&mut seen.created);
        a_created_user_signs_in(&seen).call
    };
    assert_eq!(call(&|created| created.found[0] = list(&[("1", "s"), ("9", "s")])), Call::Broken);
    assert_eq!(call(&|created| created.found[0] = list(&[("9", "s")])), Call::Broken);
    assert_eq!(call(&|created| created.attempt = refused()), Call::Broken);
    assert_eq!(call(&|created| created.shown = Some(page(&[""]))), Call::Broken);
    assert_eq!(call(&|created| created.shown = None), Call::Undecided);
    assert_eq!(call(&|created| created.found.clear()), Call::Undecided);
    // A sign-in may name its account by the subject alone.
    let second = json!({"id": "9", "userName": "S"});
    let two = answer(200, json!({"Resources": [list(&[("1", "s")]).body["Resources"][0], second]}));
    assert!(is_of(&second, "u@x.test", "s") && !is_of(&second, "u@x.test", "t"));
    assert_eq!(call(&|created| created.found[0] = two.clone()), Call::Broken);
    // Who ignores filters lists strangers.
    let stranger = json!({"id": "8", "userName": "other@x.test", "externalId": "o"});
    let all = answer(200, json!({"Resources": [list(&[("1", "s")]).body["Resources"][0], stranger]}));
    assert_eq!(call(&|created| created.found[0] = all.clone()), Call::Pass);
    // Nobody of that person is on the page of strangers, or another one may be on the next.
    let mut strangers = answer(200, json!({"totalResults": 1, "Resources": [stranger]}));
    assert_eq!(call(&|created| created.found[0] = strangers.clone()), Call::Undecided);
    strangers = answer(200, json!({"totalResults": 9, "Resources": all.body["Resources"]}));
    assert_eq!(call(&|created| created.found[0] = strangers.clone()), Call::Undecided);
}

#[test]
fn an_inactive_user_who_signs_in_is_broken_and_the_control_must_hold() {
    let call = |change: &dyn Fn(&mut Inactive)| {
        let mut seen = good();
        change(seen.inactive.as_mut().unwrap());
        nobody_signs_in_before_activation(&seen).call
    };
    assert_eq!(call(&|user| user.before = Some(entered())), Call::Broken);
    assert_eq!(call(&|user| user.after = Some(refused())), Call::Undecided);
    assert_eq!(call(&|user| user.made = error(400, "")), Call::Undecided);
    assert_eq!(nobody_signs_in_before_activation(&Seen { inactive: None, ..good() }).call, Call::NotApplicable);
}

#[test]
fn an_update_must_be_shown_and_stay() {
    let call = |change: &dyn Fn(&mut Updated)| {
        let mut seen = good();
        change(seen.update.as_mut().unwrap());
        updates_are_shown(&seen).call
    };
    assert_eq!(call(&|update| update.fresh = page(&["A"])), Call::Broken);
    assert_eq!(call(&|update| update.live = page(&["A"])), Call::Doubtful);
    assert_eq!(call(&|update| (update.live, update.fresh) = (page(&["A"]), page(&["A"]))), Call::Broken);
    assert_eq!(call(&|update| update.before = page(&[])), Call::Undecided);
    assert_eq!(call(&|update| update.again = refused()), Call::Undecided);
    assert_eq!(updates_are_shown(&Seen { update: None, ..good() }).call, Call::Undecided);
}

#[test]
fn an_old_name_must_not_come_back() {
    let call = |change: &dyn Fn(&mut Stale)| {
        let mut seen = good();
        change(seen.stale.as_mut().unwrap());
        a_sign_in_does_not_overwrite(&seen).call
    };
    assert_eq!(call(&|stale| stale.read = answer(200, json!({"displayName": "A"}))), Call::Broken);
    assert_eq!(call(&|stale| stale.read = answer(200, json!({"displayName": "C"}))), Call::Undecided);
    assert_eq!(call(&|stale| stale.attempt = refused()), Call::Undecided);
}

#[test]
fn an_account_that_nobody_can_manage_is_broken() {
    let call = |change: &dyn Fn(&mut Unknown)| {
        let mut seen = good();
        change(&mut seen.unknown);
        a_user_made_by_a_sign_in_is_managed(&seen).call
    };
    assert_eq!(call(&|user| (user.attempt, user.id, user.deactivated) = (refused(), String::new(), None)), Call::Pass);
    assert_eq!(call(&|user| user.id.clear()), Call::Broken);
    // An account that waits for approval counts, and must be managed too.
    assert_eq!(call(&|user| user.attempt = refused()), Call::Pass);
    let active = answer(200, json!({"active": true}));
    let waits = |user: &mut Unknown| (user.attempt, user.deactivated.as_mut().unwrap().1) = (refused(), active.clone());
    assert_eq!(call(&waits), Call::Broken);
    assert_eq!(call(&|user| user.deactivated.as_mut().unwrap().1 = answer(200, json!({}))), Call::Undecided);
    assert_eq!(call(&|user| (user.id.clear(), user.found[0] = error(503, "")).1), Call::Undecided);
    assert_eq!(call(&|user| user.deactivated.as_mut().unwrap().1 = answer(200, json!({"active": true}))), Call::Broken);
}

#[test]
fn a_search_that_finds_nobody_ever_shows_no_hidden_account() {
    let mut seen = good();
    seen.unknown.id.clear();
    seen.created.found[0] = list(&[]);
    assert_eq!(a_user_made_by_a_sign_in_is_managed(&seen).call, Call::Undecided);
    seen.unknown.everybody = Some((false, list(&[])));
    assert_eq!(a_user_made_by_a_sign_in_is_managed(&seen).call, Call::Undecided);
    seen.unknown.everybody = Some((true, list(&[])));
    assert_eq!(a_user_made_by_a_sign_in_is_managed(&seen).call, Call::Broken);
}

#[test]
fn nothing_is_said_of_a_name_that_was_not_changed() {
    assert_eq!(a_sign_in_does_not_overwrite(&Seen { stale: None, ..good() }).call, Call::Undecided);
}
