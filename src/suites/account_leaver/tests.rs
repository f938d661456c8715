use serde_json::json;

use super::*;
use crate::counterpart::scim_client::Answer;
use crate::model::verdict::Call;
use crate::stage::oracle::Look;
use crate::suites::account_blocks::Watched;
use crate::suites::account_blocks::samples::{entered, refused};
use crate::suites::scim_blocks::samples::{answer, error};

fn gone() -> Look {
    Look { status: 200, at_provider: true, ..Look::default() }
}

fn one(kind: Kind) -> Mechanism {
    Mechanism { kind, before: Some(true), during: Some(false), revived: Some(false), ..Mechanism::default() }
}

fn good() -> Seen {
    Seen {
        before: entered(),
        idle: entered(),
        other: entered(),
        ended: Some(Ended::Patch),
        answers: vec![answer(200, json!({"active": false}))],
        session: Watched { look: gone(), after_ms: 400 },
        other_after: entered().look,
        other_again: entered(),
        again: refused(),
        record: answer(200, json!({"active": false})),
        mechanisms: [Kind::Session, Kind::AccessToken, Kind::RefreshToken].map(one).into(),
        reactivated: Some(answer(200, json!({"active": true}))),
        after: Some(entered()),
        idle_after: Some(gone()),
        final_end: false,
        spared: false,
    }
}

const ALL: [fn(&Seen) -> Judgement; 5] =
    [one_way_ends_access, sessions_end, every_mechanism_ends, suspended_users_cannot_sign_in, old_access_stays_dead];

fn calls(seen: &Seen) -> [Call; 5] {
    ALL.map(|check| check(seen).call)
}

#[test]
fn a_user_whose_access_ends_for_good_passes_everything() {
    // Mechanisms that nothing can examine stay open until the operator says that there are none.
    let (pass, open) = (Call::Pass, Call::Undecided);
    assert_eq!(calls(&good()), [pass, pass, open, pass, pass]);
    assert!(every_mechanism_ends(&good()).reason.contains("SSH keys"));
    let by_command = Seen { ended: Some(Ended::Suspend), ..good() };
    assert_eq!(calls(&by_command), [pass, pass, open, pass, pass]);
}

#[test]
fn who_could_not_sign_in_or_be_suspended_decides_nothing_but_the_ways() {
    assert_eq!(calls(&Seen { before: refused(), ..good() }), [Call::Undecided; 5]);
    let none = |answers: Vec<Answer>| Seen { ended: None, answers, ..good() };
    assert_eq!(one_way_ends_access(&none(vec![error(400, "invalidPath"), error(405, "")])).call, Call::Broken);
    assert_eq!(one_way_ends_access(&none(vec![answer(200, json!({"active": true}))])).call, Call::Broken);
    assert_eq!(one_way_ends_access(&none(vec![error(403, "")])).call, Call::Undecided);
    // One of several ways that could not be judged leaves it open; a record that tells no state decides nothing either.
    assert_eq!(one_way_ends_access(&none(vec![error(503, ""), error(405, "")])).call, Call::Undecided);
    assert_eq!(one_way_ends_access(&none(vec![answer(200, json!({})), answer(200, json!({}))])).call, Call::Undecided);
    assert_eq!(one_way_ends_access(&none(Vec::new())).call, Call::Broken);
    // What was announced and not tried may be the way that works.
    let spared = |answers: Vec<Answer>| Seen { spared: true, ..none(answers) };
    assert_eq!(one_way_ends_access(&spared(Vec::new())).call, Call::Undecided);
    assert_eq!(one_way_ends_access(&spared(vec![error(400, "")])).call, Call::Undecided);
    assert_eq!(sessions_end(&none(vec![error(400, "")])).call, Call::Undecided);
}

#[test]
fn a_session_that_lives_on_is_broken_and_a_control_that_fails_leaves_it_open() {
    let lives = Seen { session: Watched { look: entered().look, after_ms: 300_000 }, ..good() };
    assert_eq!(sessions_end(&lives).call, Call::Broken);
    assert_eq!(one_way_ends_access(&lives).call, Call::Broken);
    assert_eq!(old_access_stays_dead(&lives).call, Call::Undecided);
    assert_eq!(sessions_end(&Seen { other_after: gone(), ..good() }).call, Call::Undecided);
    let down = Look { status: 503, unreachable: Some("down".into()), ..Look::default() };
    assert_eq!(sessions_end(&Seen { session: Watched { look: down, after_ms: 1 }, ..good() }).call, Call::Undecided);
}

#[test]
fn a_sign_in_of_a_suspended_user_is_broken() {
    let enters = Seen { again: entered(), ..good() };
    assert_eq!(suspended_users_cannot_sign_in(&enters).call, Call::Broken);
    assert_eq!(one_way_ends_access(&enters).call, Call::Broken);
    let awake = Seen { record: answer(200, json!({"active": true})), ..good() };
    assert_eq!(suspended_users_cannot_sign_in(&awake).call, Call::Broken);
    assert_eq!(suspended_users_cannot_sign_in(&Seen { other_again: refused(), ..good() }).call, Call::Undecided);
    assert_eq!(suspended_users_cannot_sign_in(&Seen { after: Some(refused()), ..good() }).call, Call::Undecided);
}

#[test]
fn each_mechanism_counts_and_those_without_a_probe_leave_the_demand_open() {
    let mut seen = good();
    seen.mechanisms[2].during = Some(true);
    assert_eq!(every_mechanism_ends(&seen).call, Call::Broken);
    seen.mechanisms.pop();
    let judgement = every_mechanism_ends(&seen);
    assert!(judgement.call == Call::Undecided && judgement.reason.contains("not examined"), "{}", judgement.reason);
    assert!(judgement.reason.contains("refresh token"), "{}", judgement.reason);
    seen = good();
    seen.mechanisms[1].before = Some(false);
    assert_eq!(every_mechanism_ends(&seen).call, Call::Undecided);
}

#[test]
fn what_a_reactivation_revives_is_broken() {
    let mut seen = good();
    seen.mechanisms[0].revived = Some(true);
    assert_eq!(old_access_stays_dead(&seen).call, Call::Broken);
    assert_eq!(old_access_stays_dead(&Seen { idle_after: Some(entered().look), ..good() }).call, Call::Broken);
    assert_eq!(old_access_stays_dead(&Seen { after: Some(refused()), ..good() }).call, Call::Undecided);
    let untried = Seen { mechanisms: Vec::new(), idle: refused(), ..good() };
    assert_eq!(old_access_stays_dead(&untried).call, Call::Undecided);
    assert_eq!(old_access_stays_dead(&Seen { reactivated: None, ..good() }).call, Call::Undecided);
    let gone = Seen { reactivated: None, final_end: true, ended: Some(Ended::Erase), ..good() };
    assert_eq!(old_access_stays_dead(&gone).call, Call::NotApplicable);
    let unsure = Seen { answers: vec![error(503, "")], ..gone };
    assert_eq!(old_access_stays_dead(&unsure).call, Call::Undecided);
}
