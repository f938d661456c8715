use serde_json::json;

use super::super::{Bypass, bypass::Around};
use super::*;
use crate::counterpart::scim_client::Answer;
use crate::model::verdict::Call;
use crate::stage::oracle::Look;
use crate::suites::account_blocks::samples::{entered, page, refused};
use crate::suites::account_roles::exposed::Role;
use crate::suites::scim_blocks::Ended;
use crate::suites::scim_blocks::samples::{answer, error};

fn played(status: u16) -> Played {
    Played { complete: true, status, ..Played::default() }
}

fn done(status: u16) -> Done {
    Done { actor: Some(entered()), played: Some(played(status)) }
}

fn stopped(status: u16) -> Done {
    let played = Played { complete: false, stopped: "no element matches".into(), ..played(status) };
    Done { actor: Some(entered()), played: Some(played) }
}

fn list(names: &[&str]) -> Answer {
    let user = |name: &&str| json!({"id": format!("id of {name}"), "userName": name});
    answer(200, json!({"Resources": names.iter().map(user).collect::<Vec<_>>()}))
}

fn nobody(script: Done) -> Made {
    Made { script, name: "u@x.test".into(), before: list(&[]), after: vec![list(&[]), error(400, "invalidFilter")] }
}

#[test]
fn a_user_that_exists_afterwards_is_broken_and_a_script_that_stops_shows_nothing() {
    let call = |made: Made| administrators_create_nobody(&Seen { create: Some(made), ..Seen::default() }).call;
    assert_eq!(call(nobody(done(403))), Call::Pass);
    assert_eq!(call(nobody(stopped(403))), Call::Pass);
    assert_eq!(call(nobody(stopped(200))), Call::Undecided);
    assert_eq!(call(nobody(Done { actor: Some(refused()), played: None })), Call::Undecided);
    assert_eq!(call(Made { after: vec![list(&["U@x.test"])], ..nobody(done(200)) }), Call::Broken);
    assert_eq!(call(Made { after: vec![list(&["other@x.test"])], ..nobody(done(403)) }), Call::Pass);
    assert_eq!(call(Made { after: vec![error(503, "")], ..nobody(done(403)) }), Call::Undecided);
    assert_eq!(administrators_create_nobody(&Seen::default()).call, Call::NotConfigured);
    let signup =
        Made { script: Done { actor: None, played: Some(Played { at_provider: true, ..played(200) }) }, ..nobody(done(0)) };
    assert_eq!(nobody_signs_up(&Seen { signup: Some(signup), ..Seen::default() }).call, Call::Pass);
}

fn edited(script: Done, value: &str, after: Answer) -> Edited {
    Edited { script, value: value.into(), before: answer(200, json!({"active": true})), after }
}

#[test]
fn what_is_changed_locally_is_broken() {
    let edit = |after| profiles_are_not_edited(&Seen { edit: Some(edited(done(403), "new", after)), ..Seen::default() }).call;
    assert_eq!(edit(answer(200, json!({"displayName": "old"}))), Call::Pass);
    assert_eq!(edit(answer(200, json!({"name": {"formatted": "new"}}))), Call::Broken);
    assert_eq!(edit(error(503, "")), Call::Undecided);
    let delete = |after| users_are_not_deleted(&Seen { delete: Some(edited(done(403), "1", after)), ..Seen::default() }).call;
    assert_eq!(delete(answer(200, json!({"active": true}))), Call::Pass);
    assert_eq!(delete(answer(200, json!({"active": false}))), Call::Broken);
    assert_eq!(delete(error(404, "")), Call::Broken);
    let group = |after| groups_are_not_edited(&Seen { group: Some(edited(done(403), "1", after)), ..Seen::default() }).call;
    assert_eq!(group(answer(200, json!({"displayName": "g"}))), Call::Pass);
    assert_eq!(group(answer(200, json!({"members": [{"value": "1"}]}))), Call::Broken);
}

fn local(assigned: bool) -> LocalRole {
    let own = json!([{"value": "auditor"}]);
    let roles = if assigned { own } else { json!(null) };
    LocalRole {
        role: Role::named("editor"),
        assigned: assigned.then(|| (Role::named("auditor"), answer(200, json!({})))),
        before: answer(200, json!({"roles": roles.clone()})),
        script: done(403),
        after: answer(200, json!({"roles": roles})),
        attempt: Some(entered()),
        shown: Some(page(&["auditor"])),
    }
}

#[test]
fn a_role_that_somebody_gave_locally_is_broken_in_data_and_in_effect() {
    let given = |role: LocalRole| roles_are_not_given(&Seen { unassigned: Some(role), ..Seen::default() }).call;
    assert_eq!(given(local(false)), Call::Pass);
    assert_eq!(given(LocalRole { shown: Some(page(&["Editor"])), ..local(false) }), Call::Broken);
    assert_eq!(given(LocalRole { shown: None, ..local(false) }), Call::Undecided);
    assert_eq!(given(LocalRole { attempt: Some(refused()), ..local(false) }), Call::Undecided);
    let changed = |role: LocalRole| roles_are_not_changed(&Seen { assigned: Some(role), ..Seen::default() }).call;
    assert_eq!(changed(local(true)), Call::Pass);
    let both = json!({"roles": [{"value": "auditor"}, {"value": "editor"}]});
    assert_eq!(changed(LocalRole { after: answer(200, both), ..local(true) }), Call::Broken);
    assert_eq!(changed(LocalRole { after: answer(200, json!({})), ..local(true) }), Call::Broken);
    assert_eq!(changed(LocalRole { assigned: Some((Role::named("auditor"), error(400, ""))), ..local(true) }), Call::Undecided);
}

#[test]
fn a_suspended_user_who_comes_in_another_way_is_broken() {
    let out = Look { status: 200, ..Look::default() };
    let way =
        |look: Look| Around { name: "local-login".into(), before: (played(403), out.clone()), after: Some((played(403), look)) };
    let call = |ended, look: Look| {
        let bypass = Bypass { ended, answers: Vec::new(), ways: vec![way(look)] };
        no_way_around(&Seen { bypass: Some(bypass), ..Seen::default() }).call
    };
    assert_eq!(call(Some(Ended::Patch), out.clone()), Call::Pass);
    assert_eq!(call(Some(Ended::Patch), entered().look), Call::Broken);
    assert_eq!(call(None, out.clone()), Call::Undecided);
    assert_eq!(call(Some(Ended::Patch), Look { status: 503, ..out.clone() }), Call::Undecided);
}
