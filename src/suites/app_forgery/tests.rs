use serde_json::json;

use super::*;
use crate::counterpart::command_issuer::Forgery;
use crate::model::Call;
use crate::suite::{Check, Scenario};

fn answer(status: u16, error: Option<&str>) -> Answer {
    Answer { status, error: error.map(str::to_owned), cites: vec!["x0001".into()], ..Answer::default() }
}

fn probe(what: &str, answer: Answer, effect: Effect) -> Probe {
    Probe { what: what.into(), answer, effect, why: String::new(), looks: vec!["x0002".into()] }
}

fn held() -> Option<Control> {
    Some(Control { answer: answer(204, None), ended: true, looks: Vec::new() })
}

fn call(answer: Answer, effect: Effect, control: &Option<Control>) -> Call {
    refused(&[probe("p", answer, effect)], control, |probe| other_than(probe, 400, Some("invalid_request")), "").call
}

fn judged<S: Scenario>(slug: &str, seen: &S::Seen) -> Judgement {
    let fits = |check: &&Check<S::Seen>| check.clause.ends_with(slug);
    (S::CHECKS.iter().find(fits).unwrap().judge)(seen)
}

#[test]
fn a_refusal_without_effect_passes_only_beside_a_control() {
    let proper = || answer(400, Some("invalid_request"));
    assert_eq!(call(proper(), Effect::None, &held()), Call::Pass);
    assert_eq!(call(proper(), Effect::None, &None), Call::Undecided);
    let without_effect = Some(Control { ended: false, ..held().unwrap() });
    assert_eq!(call(proper(), Effect::None, &without_effect), Call::Undecided);
    assert_eq!(call(proper(), Effect::Unknown, &held()), Call::Undecided);
    assert_eq!(refused(&[], &held(), |_| None, "").call, Call::Undecided);
}

#[test]
fn an_effect_that_repeats_is_broken_whatever_the_answer_and_one_that_does_not_decides_nothing() {
    assert_eq!(call(answer(400, None), Effect::Ended, &None), Call::Broken);
    assert_eq!(call(answer(200, None), Effect::Ended, &held()), Call::Broken);
    assert_eq!(call(answer(400, None), Effect::Once, &held()), Call::Undecided);
}

#[test]
fn success_without_effect_is_broken_and_a_rate_limit_decides_nothing() {
    assert_eq!(call(answer(200, None), Effect::None, &held()), Call::Broken);
    // An endpoint that says yes to everything and does nothing is not the one that was meant.
    assert_eq!(call(answer(200, None), Effect::None, &None), Call::Undecided);
    for status in [0, 429, 503] {
        assert_eq!(call(answer(status, None), Effect::None, &held()), Call::Undecided, "{status}");
    }
}

#[test]
fn another_refusal_than_the_specified_one_is_doubtful() {
    assert_eq!(call(answer(401, Some("invalid_request")), Effect::None, &held()), Call::Doubtful);
    assert_eq!(call(answer(400, Some("other")), Effect::None, &held()), Call::Doubtful);
    assert_eq!(call(answer(500, None), Effect::None, &held()), Call::Doubtful);
}

#[test]
fn a_control_that_is_missing_many_times_is_told_once() {
    let probes = [probe("a", answer(400, None), Effect::None), probe("b", answer(400, None), Effect::None)];
    let judgement = refused(&probes, &None, |_| None, "");
    assert_eq!(judgement.reason.matches(NO_CONTROL).count(), 1);
}

fn metadata(change: impl Fn(&mut Answer)) -> commands::Seen {
    let body = json!({"context": {"iss": "https://op", "tenant": "t"}, "commands_supported": ["metadata", "invalidate"],
        "command_endpoint": "https://app/commands", "client_id": "c"});
    let mut told = Answer {
        media_type: "application/json".into(),
        cache_control: Some("no-store".into()),
        members: body.as_object().unwrap().clone(),
        ..answer(200, None)
    };
    change(&mut told);
    commands::Seen { issuer: "https://op".into(), tenant: "t".into(), metadata: Some(told), ..commands::Seen::default() }
}

#[test]
fn the_answer_to_a_metadata_command_must_be_complete() {
    let call = |seen: &commands::Seen| judged::<commands::ForgedCommands>("command-metadata", seen).call;
    assert_eq!(call(&metadata(|_| {})), Call::Pass);
    assert_eq!(call(&commands::Seen::default()), Call::Undecided);
    assert_eq!(call(&metadata(|answer| answer.status = 503)), Call::Undecided);
    let broken: [fn(&mut Answer); 5] = [
        |answer| answer.status = 400,
        |answer| answer.cache_control = None,
        |answer| answer.media_type = "text/plain".into(),
        |answer| answer.members["commands_supported"] = json!(["metadata"]),
        |answer| answer.members["context"] = json!({"iss": "https://op", "tenant": "other"}),
    ];
    for change in broken {
        assert_eq!(call(&metadata(change)), Call::Broken);
    }
}

#[test]
fn the_type_in_capitals_may_be_taken_and_no_other() {
    let call = |forgery: Forgery, effect| {
        let types = vec![
            probe("typ missing", answer(400, Some("invalid_request")), Effect::None),
            probe(forgery.what(), answer(200, None), effect),
        ];
        let seen = commands::Seen { types, control: held(), ..commands::Seen::default() };
        judged::<commands::ForgedCommands>("command-typ-required", &seen)
    };
    let upper = call(Forgery::TypUpperCase, Effect::Ended);
    assert_eq!(upper.call, Call::Pass);
    assert!(upper.reason.contains("COMMAND+JWT"));
    assert_eq!(call(Forgery::TypJwt, Effect::Ended).call, Call::Broken);
}

#[test]
fn an_unknown_provider_has_an_error_of_its_own() {
    let call = |answer: Answer| {
        let claims = [Forgery::IssuerOther, Forgery::IssuerUnknown]
            .map(|forgery| probe(forgery.what(), answer.clone(), Effect::None))
            .to_vec();
        let seen = commands::Seen { claims, control: held(), ..commands::Seen::default() };
        judged::<commands::ForgedCommands>("command-claims-checked", &seen).call
    };
    assert_eq!(call(answer(401, Some("unrecognized_provider"))), Call::Pass);
    assert_eq!(call(answer(400, Some("invalid_request"))), Call::Doubtful);
}

#[test]
fn an_unknown_account_is_an_incompatible_state() {
    let call = |status, state: &str, control| {
        let members = json!({"account_state": state, "sub": "nobody"}).as_object().unwrap().clone();
        let told = Answer { members, ..answer(status, Some("incompatible_state")) };
        let seen = commands::Seen { nobody: "nobody".into(), unknown_account: Some(told), control, ..commands::Seen::default() };
        judged::<commands::ForgedCommands>("command-unknown-account", &seen).call
    };
    assert_eq!(call(409, "unknown", held()), Call::Pass);
    assert_eq!(call(409, "active", held()), Call::Broken);
    assert_eq!(call(404, "unknown", held()), Call::Broken);
    assert_eq!(call(409, "unknown", None), Call::Undecided);
}

#[test]
fn a_second_issuer_must_be_heard_before_its_silence_counts() {
    let call = |effect, heard| {
        let foreign = Some(commands::Foreign { probe: probe("p", answer(200, None), effect), heard });
        let seen = commands::Seen { foreign, control: held(), ..commands::Seen::default() };
        judged::<commands::ForgedCommands>("command-tenant-bound", &seen).call
    };
    assert_eq!(call(Effect::None, true), Call::Pass);
    assert_eq!(call(Effect::None, false), Call::Undecided);
    assert_eq!(call(Effect::Ended, false), Call::Broken);
    assert_eq!(judged::<commands::ForgedCommands>("command-tenant-bound", &commands::Seen::default()).call, Call::NotConfigured);
}

#[test]
fn a_sid_ends_its_own_session() {
    let call = |ready, named_ended, other_ended| {
        let scope = Some(logout::Scope { ready, named_ended, other_ended, ..logout::Scope::default() });
        judged::<logout::ForgedLogouts>("bcl-sid-scope", &logout::Seen { scope, ..logout::Seen::default() }).call
    };
    assert_eq!(call(true, true, Some(false)), Call::Pass);
    assert_eq!(call(true, true, Some(true)), Call::Broken);
    assert_eq!(call(true, true, None), Call::Undecided);
    assert_eq!(call(true, false, Some(false)), Call::Undecided);
    assert_eq!(call(false, false, None), Call::Undecided);
}

#[test]
fn a_replay_counts_only_after_a_first_use() {
    let call = |status, control| {
        let seen = logout::Seen { replay: Some(answer(status, None)), control, ..logout::Seen::default() };
        judged::<logout::ForgedLogouts>("bcl-replay", &seen).call
    };
    assert_eq!(call(400, held()), Call::Pass);
    assert_eq!(call(200, held()), Call::Broken);
    assert_eq!(call(429, held()), Call::Undecided);
    assert_eq!(call(400, None), Call::Undecided);
}

#[test]
fn not_found_without_credential_is_fine_where_it_says_the_same_of_unknown_users() {
    let call = |unknown| {
        let seen = revocation::Seen {
            credentials: vec![probe("no Authorization", answer(404, None), Effect::None)],
            unauthenticated_unknown: Some(answer(unknown, None)),
            control: held(),
            ..revocation::Seen::default()
        };
        judged::<revocation::ForgedRevocations>("gtr-auth-required", &seen).call
    };
    assert_eq!(call(404), Call::Pass);
    assert_eq!(call(401), Call::Doubtful);
}

#[test]
fn malformed_revocations_get_client_errors() {
    let call = |what: &str, status, control| {
        let malformed = vec![Answer { what: what.into(), ..answer(status, None) }];
        let seen = revocation::Seen { malformed, control, ..revocation::Seen::default() };
        judged::<revocation::ForgedRevocations>("gtr-errors", &seen).call
    };
    let unknown = "a user that does not exist";
    assert_eq!(call("no sub_id", 400, held()), Call::Pass);
    assert_eq!(call("no sub_id", 422, held()), Call::Doubtful);
    assert_eq!(call("no sub_id", 500, held()), Call::Broken);
    assert_eq!(call("no sub_id", 204, held()), Call::Broken);
    assert_eq!(call(unknown, 404, held()), Call::Pass);
    assert_eq!(call(unknown, 204, held()), Call::Doubtful);
    assert_eq!(call(unknown, 404, None), Call::Undecided);
}

#[test]
fn a_credential_that_nobody_takes_reaches_nobody() {
    let call = |own, effect| {
        let foreign = Some(revocation::Foreign { probe: probe("p", answer(403, None), effect), own: answer(own, None) });
        let seen = revocation::Seen { foreign, control: held(), ..revocation::Seen::default() };
        judged::<revocation::ForgedRevocations>("gtr-tenant-bound", &seen).call
    };
    assert_eq!(call(404, Effect::None), Call::Pass);
    assert_eq!(call(401, Effect::None), Call::Undecided);
    assert_eq!(call(404, Effect::Ended), Call::Broken);
    assert_eq!(
        judged::<revocation::ForgedRevocations>("gtr-tenant-bound", &revocation::Seen::default()).call,
        Call::NotConfigured
    );
}

#[test]
fn an_endpoint_is_published_where_there_is_metadata() {
    let call = |endpoint: &str, metadata, published: Option<&str>| {
        let advertised = Some(revocation::Advertised {
            endpoint: endpoint.into(),
            status: 200,
            metadata,
            published: published.map(str::to_owned),
            cites: Vec::new(),
        });
        judged::<revocation::ForgedRevocations>("gtr-advertised", &revocation::Seen { advertised, ..revocation::Seen::default() })
            .call
    };
    assert_eq!(call("https://app/r", true, Some("https://app/r")), Call::Pass);
    assert_eq!(call("https://app/r", false, None), Call::Pass);
    assert_eq!(call("https://app/r", true, None), Call::Broken);
    assert_eq!(call("http://app/r", false, None), Call::Broken);
}
