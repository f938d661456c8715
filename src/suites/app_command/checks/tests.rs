use serde_json::json;

use super::*;
use crate::model::Call;
use crate::suites::app_command::tokens::TokensSeen;
use crate::suites::app_command::write::WriteSeen;
use crate::suites::app_command::{Asked, Before, Form};

fn look(signed_in: bool) -> Look {
    Look {
        signed_in,
        account: signed_in.then(|| "acct-1".into()),
        status: 200,
        at_provider: !signed_in,
        cites: vec!["x0003".into()],
        ..Look::default()
    }
}

fn login(signed_in: bool) -> Attempt {
    Attempt { requests: 1, answered: true, redeemed: true, look: look(signed_in), ..Attempt::default() }
}

fn watched(signed_in: bool) -> Watched {
    Watched { look: look(signed_in), after_ms: 100 }
}

fn answer(status: u16) -> Answer {
    Answer { status, cache_control: Some("no-store".into()), cites: vec!["x0001".into()], ..Answer::default() }
}

/// A conforming application after a command.
fn good() -> Seen {
    Seen {
        binding: "op-commands".into(),
        prompt: true,
        replayable: true,
        before: Before { main: vec![login(true); 4], other: Some(login(true)) },
        answers: vec![answer(200)],
        first: watched(false),
        second: watched(false),
        idle: watched(false),
        late: Some(look(false)),
        asked: Some(Asked { prompt: Some("login".into()), ..Asked::default() }),
        holds_refresh_token: true,
        other: Some((look(true), false)),
        write: Some(WriteSeen { works: true, submitted: true, read: true, old_shown: true, ..WriteSeen::default() }),
        tokens: Some(TokensSeen {
            obtained: true,
            before: Some(answer(200)),
            refresh_before: Some(answer(200)),
            refresh_after: Some(answer(400)),
            after: Some(answer(401)),
            ..TokensSeen::default()
        }),
        again: vec![login(true)],
        replay: Some((answer(400), watched(true))),
        ..Seen::default()
    }
}

const EFFECTS: [fn(&Seen) -> Judgement; 9] = [
    the_next_page_leads_to_the_provider,
    no_change_with_the_old_session,
    a_refresh_is_no_substitute,
    a_fresh_authentication_is_asked_for,
    every_session_ends,
    the_applications_tokens_stop_working,
    other_users_stay,
    the_user_can_sign_in_again,
    a_replay_does_not_end_the_new_session,
];

fn changed(change: impl Fn(&mut Seen)) -> Seen {
    let mut seen = good();
    change(&mut seen);
    seen
}

#[test]
fn a_conforming_application_passes_everything() {
    for (index, judge) in EFFECTS.iter().enumerate() {
        assert_eq!(judge(&good()).call, Call::Pass, "effect {index}");
    }
}

#[test]
fn without_logins_or_a_taken_command_no_effect_is_judged() {
    let hindered: [fn(&mut Seen); 3] =
        [|seen| seen.answers[0].status = 400, |seen| seen.answers.clear(), |seen| seen.before.main[2] = login(false)];
    for change in hindered {
        let seen = changed(change);
        for (index, judge) in EFFECTS.iter().enumerate() {
            assert_eq!(judge(&seen).call, Call::Undecided, "effect {index}");
        }
    }
}

#[test]
fn a_session_that_lives_is_broken_one_that_ends_late_is_doubtful_and_an_outage_decides_nothing() {
    let judge = the_next_page_leads_to_the_provider;
    assert_eq!(judge(&changed(|seen| seen.first = watched(true))).call, Call::Broken);
    assert_eq!(judge(&changed(|seen| seen.first.after_ms = 9_000)).call, Call::Doubtful);
    let eventual = changed(|seen| (seen.first.after_ms, seen.prompt) = (9_000, false));
    assert_eq!(judge(&eventual).call, Call::Pass);
    assert_eq!(judge(&changed(|seen| seen.first.look.status = 503)).call, Call::Undecided);
    assert_eq!(judge(&changed(|seen| seen.first.look.unreachable = Some("refused".into()))).call, Call::Undecided);
}

#[test]
fn every_browser_counts_also_one_that_comes_back_after_the_next_login() {
    for change in [
        (|seen: &mut Seen| seen.second = watched(true)) as fn(&mut Seen),
        |seen| seen.idle = watched(true),
        |seen| seen.late = Some(look(true)),
    ] {
        assert_eq!(every_session_ends(&changed(change)).call, Call::Broken);
    }
    assert_eq!(every_session_ends(&changed(|seen| seen.answers.push(answer(200)))).call, Call::Doubtful);
}

#[test]
fn a_change_is_judged_by_what_a_new_session_reads() {
    let judge = |change: fn(&mut WriteSeen)| {
        no_change_with_the_old_session(&changed(|seen| {
            if let Some(write) = &mut seen.write {
                change(write);
            }
        }))
        .call
    };
    assert_eq!(judge(|write| write.new_shown = true), Call::Broken);
    assert_eq!(judge(|write| write.works = false), Call::Undecided);
    assert_eq!(judge(|write| write.submitted = false), Call::Undecided);
    assert_eq!(judge(|write| write.read = false), Call::Undecided);
    assert_eq!(judge(|write| write.old_shown = false), Call::Undecided);
    assert_eq!(no_change_with_the_old_session(&changed(|seen| seen.write = None)).call, Call::NotConfigured);
}

#[test]
fn a_session_that_lives_on_a_refresh_is_broken() {
    let judge = a_refresh_is_no_substitute;
    let revived = changed(|seen| (seen.first, seen.refreshes) = (watched(true), vec!["x0009".into()]));
    assert_eq!(judge(&revived).call, Call::Broken);
    assert_eq!(judge(&changed(|seen| seen.first = watched(true))).call, Call::Undecided);
    assert_eq!(judge(&changed(|seen| seen.holds_refresh_token = false)).call, Call::NotApplicable);
    // A background refresh that brings no session back is harmless.
    assert_eq!(judge(&changed(|seen| seen.refreshes = vec!["x0009".into()])).call, Call::Pass);
}

#[test]
fn a_silent_renewal_is_enough_for_one_edition_and_not_for_the_other() {
    let renewed = changed(|seen| (seen.first, seen.refreshes) = (watched(true), vec!["x0009".into()]));
    assert_eq!(nothing_goes_on_without_a_new_assertion(&renewed).call, Call::Pass);
    assert_eq!(a_refresh_is_no_substitute(&renewed).call, Call::Broken);
    // Otherwise the two editions agree.
    assert_eq!(the_next_page_leads_to_the_provider(&renewed).call, Call::Pass);
    let ignored = changed(|seen| seen.first = watched(true));
    assert_eq!(nothing_goes_on_without_a_new_assertion(&ignored).call, Call::Broken);
    assert_eq!(the_next_page_leads_to_the_provider(&ignored).call, Call::Broken);
    assert_eq!(nothing_goes_on_without_a_new_assertion(&good()).call, Call::Pass);
}

#[test]
fn a_fresh_authentication_is_asked_for_by_prompt_or_a_small_max_age() {
    let judge = |prompt: Option<&str>, max_age: Option<&str>| {
        let asked = Asked { prompt: prompt.map(str::to_owned), max_age: max_age.map(str::to_owned), cite: "x".into() };
        a_fresh_authentication_is_asked_for(&changed(|seen| seen.asked = Some(asked.clone()))).call
    };
    assert_eq!(judge(Some("consent login"), None), Call::Pass);
    assert_eq!(judge(None, Some("0")), Call::Pass);
    assert_eq!(judge(None, Some("3600")), Call::Broken);
    assert_eq!(judge(None, None), Call::Broken);
    assert_eq!(a_fresh_authentication_is_asked_for(&changed(|seen| seen.asked = None)).call, Call::Undecided);
}

#[test]
fn tokens_that_worked_before_must_be_refused() {
    let judge = |change: fn(&mut TokensSeen)| {
        the_applications_tokens_stop_working(&changed(|seen| {
            if let Some(tokens) = &mut seen.tokens {
                change(tokens);
            }
        }))
        .call
    };
    assert_eq!(judge(|tokens| tokens.after = Some(answer(200))), Call::Broken);
    assert_eq!(judge(|tokens| tokens.refresh_after = Some(answer(200))), Call::Broken);
    // An error that is answered with 200 is a refusal.
    assert_eq!(
        judge(|tokens| tokens.refresh_after = Some(Answer { error: Some("invalid_grant".into()), ..answer(200) })),
        Call::Pass
    );
    // One that was handed out and cannot be tried leaves the clause open.
    let untried = |tokens: &mut TokensSeen| {
        (tokens.refreshable, tokens.refresh_before, tokens.refresh_after) = (true, None, None);
    };
    assert_eq!(judge(untried), Call::Undecided);
    assert_eq!(judge(|tokens| tokens.after = Some(answer(503))), Call::Undecided);
    assert_eq!(judge(|tokens| tokens.before = Some(answer(401))), Call::Undecided);
    assert_eq!(judge(|tokens| tokens.refresh_before = Some(answer(400))), Call::Undecided);
    assert_eq!(judge(|tokens| tokens.obtained = false), Call::Undecided);
    assert_eq!(judge(|tokens| (tokens.refresh_before, tokens.refresh_after) = (None, None)), Call::Pass);
    assert_eq!(the_applications_tokens_stop_working(&changed(|seen| seen.tokens = None)).call, Call::NotConfigured);
}

#[test]
fn another_users_session_lives_with_the_same_account() {
    let judge = other_users_stay;
    assert_eq!(judge(&changed(|seen| seen.other = Some((look(false), true)))).call, Call::Broken);
    assert_eq!(
        judge(&changed(|seen| seen.other = Some((Look { account: Some("acct-2".into()), ..look(true) }, false)))).call,
        Call::Broken
    );
    assert_eq!(judge(&changed(|seen| seen.before.other = Some(login(false)))).call, Call::Undecided);
    let down = Look { status: 503, ..look(false) };
    assert_eq!(judge(&changed(|seen| seen.other = Some((down.clone(), false)))).call, Call::Undecided);
    assert_eq!(judge(&changed(|seen| seen.first = watched(true))).call, Call::Undecided);
}

#[test]
fn the_new_login_leads_into_the_same_account() {
    let judge = the_user_can_sign_in_again;
    assert_eq!(judge(&changed(|seen| seen.again = vec![login(false), login(false)])).call, Call::Broken);
    assert_eq!(judge(&changed(|seen| seen.again = vec![login(false), login(true)])).call, Call::Pass);
    let mut stranger = login(true);
    stranger.look.account = Some("acct-2".into());
    assert_eq!(judge(&changed(|seen| seen.again = vec![stranger.clone()])).call, Call::Broken);
    // Without an effect, the old session is no new one.
    assert_eq!(judge(&changed(|seen| seen.first = watched(true))).call, Call::Undecided);
    let mut nowhere = login(false);
    nowhere.requests = 0;
    assert_eq!(judge(&changed(|seen| seen.again = vec![nowhere.clone()])).call, Call::Undecided);
}

#[test]
fn a_replay_that_ends_the_new_session_is_broken_where_the_specification_forbids_it() {
    let judge = a_replay_does_not_end_the_new_session;
    let ended = |binding: &'static str| {
        changed(move |seen| {
            seen.binding = binding.into();
            seen.replay = Some((answer(200), watched(false)));
        })
    };
    assert_eq!(judge(&ended("op-commands")).call, Call::Broken);
    assert_eq!(judge(&ended("backchannel-logout")).call, Call::Doubtful);
    assert_eq!(judge(&changed(|seen| seen.replayable = false)).call, Call::NotApplicable);
    assert_eq!(judge(&changed(|seen| seen.replay = None)).call, Call::Undecided);
    assert_eq!(judge(&changed(|seen| seen.first = watched(true))).call, Call::Undecided);
}

#[test]
fn an_invalidate_is_answered_with_the_accounts_state() {
    let told = |members: serde_json::Value| {
        let members = members.as_object().unwrap().clone();
        changed(move |seen| {
            seen.answers = vec![Answer { media_type: "application/json".into(), members: members.clone(), ..answer(200) }];
        })
    };
    let judge = an_invalidate_is_answered;
    let full = told(json!({"sub": "u", "account_state": "active"}));
    assert_eq!(judge(&full).call, Call::Pass);
    let mut stored = full.clone();
    stored.answers[0].cache_control = None;
    assert_eq!(judge(&stored).call, Call::Broken);
    assert_eq!(judge(&told(json!({"sub": "u"}))).call, Call::Broken);
    assert_eq!(judge(&changed(|seen| seen.answers = vec![answer(204)])).call, Call::Doubtful);
    assert_eq!(judge(&changed(|seen| seen.answers = vec![answer(400)])).call, Call::Broken);
    assert_eq!(judge(&changed(|seen| seen.answers = vec![answer(503)])).call, Call::Undecided);
}

#[test]
fn every_form_of_logout_token_must_be_taken_and_obeyed() {
    let with = |status, ended| changed(move |seen| seen.forms = vec![Form { answer: answer(status), ended }]);
    let judge = every_form_of_logout_token_is_taken;
    assert_eq!(judge(&with(204, Some(true))).call, Call::Pass);
    assert_eq!(judge(&with(400, Some(false))).call, Call::Broken);
    assert_eq!(judge(&with(200, Some(false))).call, Call::Broken);
    assert_eq!(judge(&with(200, None)).call, Call::Pass);
    assert_eq!(judge(&with(429, Some(false))).call, Call::Undecided);
    let mut stored = with(200, Some(true));
    stored.answers[0].cache_control = None;
    assert_eq!(judge(&stored).call, Call::Doubtful);
}

#[test]
fn a_revocation_request_is_answered_with_204() {
    let judge = |status| a_revocation_request_is_taken(&changed(|seen| seen.answers = vec![answer(status)])).call;
    assert_eq!(judge(204), Call::Pass);
    assert_eq!(judge(200), Call::Doubtful);
    assert_eq!(judge(400), Call::Broken);
    assert_eq!(judge(0), Call::Undecided);
}
