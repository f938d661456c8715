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
    Done { admin: true, actor: Some(entered()), played: Some(played(status)) }
}

fn stopped(status: u16) -> Done {
    let played = Played { complete: false, stopped: "no element matches".into(), ..played(status) };
    Done { admin: true, actor: Some(entered()), played: Some(played) }
}

fn list(names: &[&str]) -> Answer {
    let user = |name: &&str| json!({"id": format!("id of {name}"), "userName": name});
    answer(200, json!({"Resources": names.iter().map(user).collect::<Vec<_>>()}))
}

fn nobody(script: Done) -> Made {
    let unknown = error(400, "invalidFilter");
    let (after, control) = (vec![list(&[]), unknown.clone()], vec![list(&["known@x.test"]), unknown]);
    Made { script, name: "u@x.test".into(), before: list(&[]), after, control, known: "known@x.test".into() }
}

#[test]
fn a_user_that_exists_afterwards_is_broken_and_a_script_that_stops_shows_nothing() {
    let seen = |made: Made| Seen { create: Some(made), office: Some(played(200)), ..Seen::default() };
    let call = |made: Made| administrators_create_nobody(&seen(made)).call;
    assert_eq!(call(nobody(done(403))), Call::Pass);
    assert_eq!(call(nobody(stopped(403))), Call::Pass);
    // A refusal of somebody who may be no administrator, or of an address that may be wrong, shows nothing.
    let plain = Seen { office: None, ..seen(nobody(stopped(403))) };
    assert_eq!(administrators_create_nobody(&plain).call, Call::Undecided);
    assert_eq!(call(nobody(stopped(404))), Call::Undecided);
    // A search that finds nobody ever shows no absence.
    assert_eq!(call(Made { control: vec![list(&[])], ..nobody(done(403)) }), Call::Undecided);
    assert_eq!(call(Made { after: Vec::new(), ..nobody(done(403)) }), Call::Undecided);
    assert_eq!(call(nobody(stopped(200))), Call::Undecided);
    assert_eq!(call(nobody(Done { admin: true, actor: Some(refused()), played: None })), Call::Undecided);
    assert_eq!(call(Made { after: vec![list(&["U@x.test"])], ..nobody(done(200)) }), Call::Broken);
    let mut invited = list(&["U@x.test"]);
    invited.body["Resources"][0]["active"] = json!(false);
    assert_eq!(call(Made { after: vec![invited.clone()], ..nobody(done(200)) }), Call::Undecided);
    let signup = Seen { signup: Some(Made { after: vec![invited], ..nobody(done(200)) }), ..Seen::default() };
    assert_eq!(nobody_signs_up(&signup).call, Call::Broken);
    assert_eq!(call(Made { after: vec![list(&["other@x.test"])], ..nobody(done(403)) }), Call::Pass);
    assert_eq!(call(Made { after: vec![error(503, "")], ..nobody(done(403)) }), Call::Undecided);
    assert_eq!(administrators_create_nobody(&Seen::default()).call, Call::NotConfigured);
    let signup = Made {
        script: Done { admin: false, actor: None, played: Some(Played { at_provider: true, ..stopped(200).played.unwrap() }) },
        ..nobody(done(0))
    };
    assert_eq!(nobody_signs_up(&Seen { signup: Some(signup), ..Seen::default() }).call, Call::Pass);
}

fn edited(script: Done, value: &str, after: Answer) -> Edited {
    Edited { script, value: value.into(), before: answer(200, json!({"active": true})), after, control: None }
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
    assert_eq!(delete(answer(200, json!({}))), Call::Undecided);
    let group = |after| groups_are_not_edited(&Seen { group: Some(edited(done(403), "1", after)), ..Seen::default() }).call;
    assert_eq!(group(answer(200, json!({"displayName": "g"}))), Call::Pass);
    assert_eq!(group(answer(200, json!({"members": [{"value": "1"}]}))), Call::Broken);
}

#[test]
fn a_record_that_does_not_show_the_identity_services_own_change_shows_no_absence() {
    let edit = |control: Answer| {
        let control = Some(("provisioned".to_owned(), control));
        let edited = Edited { control, ..edited(done(403), "new", answer(200, json!({"displayName": "old"}))) };
        profiles_are_not_edited(&Seen { edit: Some(edited), ..Seen::default() }).call
    };
    assert_eq!(edit(answer(200, json!({"displayName": "provisioned"}))), Call::Pass);
    assert_eq!(edit(answer(200, json!({"displayName": "old"}))), Call::Undecided);
    assert_eq!(edit(error(503, "")), Call::Undecided);
}

fn local(assigned: bool) -> LocalRole {
    let own = json!([{"value": "auditor"}]);
    let roles = if assigned { own } else { json!(null) };
    LocalRole {
        role: Role::named("editor"),
        assigned: assigned.then(|| (Role::named("auditor"), answer(200, json!({})))),
        before: answer(200, json!({"roles": roles.clone()})),
        shown_before: Some(page(&[])),
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
    // A role that was there before was given by somebody else.
    let had = LocalRole { shown_before: Some(page(&["editor"])), shown: Some(page(&["editor"])), ..local(false) };
    assert_eq!(given(had), Call::Undecided);
    assert_eq!(given(LocalRole { attempt: Some(refused()), ..local(false) }), Call::Undecided);
    let changed = |role: LocalRole| roles_are_not_changed(&Seen { assigned: Some(role), ..Seen::default() }).call;
    assert_eq!(changed(local(true)), Call::Pass);
    let both = json!({"roles": [{"value": "auditor"}, {"value": "editor"}]});
    assert_eq!(changed(LocalRole { after: answer(200, both), ..local(true) }), Call::Broken);
    assert_eq!(changed(LocalRole { after: answer(200, json!({})), ..local(true) }), Call::Broken);
    // A page that does not show the role of the identity service would not show the other one either.
    assert_eq!(changed(LocalRole { shown: Some(page(&[])), ..local(true) }), Call::Undecided);
    assert_eq!(changed(LocalRole { assigned: Some((Role::named("auditor"), error(400, ""))), ..local(true) }), Call::Undecided);
}

#[test]
fn a_suspended_user_who_comes_in_another_way_is_broken() {
    let out = Look { status: 200, ..Look::default() };
    let way = |look: Look| Around {
        name: "local-login".into(),
        before: (played(200), entered().look),
        control: None,
        after: Some((played(403), look)),
    };
    let of = |ended, way: Around| {
        let bypass = Bypass { ended, answers: Vec::new(), ways: vec![way] };
        no_way_around(&Seen { bypass: Some(bypass), ..Seen::default() }).call
    };
    let call = |ended, look: Look| of(ended, way(look));
    assert_eq!(call(Some(Ended::Patch), out.clone()), Call::Pass);
    assert_eq!(call(Some(Ended::Patch), entered().look), Call::Broken);
    assert_eq!(call(None, out.clone()), Call::Undecided);
    assert_eq!(call(Some(Ended::Patch), Look { status: 503, ..out.clone() }), Call::Undecided);
    // A password that was wrong from the start shows nothing, unless somebody comes in by that script; a reset needs no password.
    let never = Around { before: (played(403), out.clone()), ..way(out.clone()) };
    assert_eq!(of(Some(Ended::Patch), never.clone()), Call::Undecided);
    let another = Around { control: Some((played(200), entered().look)), ..never.clone() };
    assert_eq!(of(Some(Ended::Patch), another), Call::Pass);
    let reset = Around { name: "password-reset".into(), ..never };
    assert_eq!(of(Some(Ended::Patch), reset), Call::Pass);
}
