use super::checks::{ALL, Says};
use super::variations::{DECIDING, series};
use super::*;
use crate::counterpart::provider::Forgery as F;
use crate::model::{Call, Judgement};

fn attempt(signed_in: bool) -> Attempt {
    Attempt {
        label: "login".into(),
        requests: 1,
        answered: true,
        redeemed: true,
        look: Look { signed_in, ..Look::default() },
        cites: vec!["x1".into()],
    }
}

fn login(variation: Option<Variation>, signed_in: bool) -> Probe {
    Probe {
        variation,
        attempt: attempt(signed_in),
        controls: true,
        served: true,
        nonce: true,
        max_age: Some("900".into()),
        userinfo: true,
        keys_fetched: true,
    }
}

/// What a conforming application that is asked everything shows.
fn good() -> Seen {
    let takes = [Variation::Forged(F::Encrypted)];
    let probes = series(|_| true).into_iter().map(|variation| login(Some(variation), takes.contains(&variation)));
    Seen {
        alg: "ES256".into(),
        first: Some(login(None, true)),
        last: true,
        probes: probes.collect(),
        rotated: vec![login(Some(Variation::Forged(F::RotatedKey)), true)],
        weak: Some(Weak { probe: login(Some(Variation::Forged(F::WeakKey)), false) }),
        string_expiry: Some(StringExpiry {
            probe: login(Some(Variation::Forged(F::SessionExpiryString)), false),
            ..StringExpiry::default()
        }),
        twin: Some(attempt(true)),
        userinfo: true,
        identity: true,
        encryption: Encryption::Usable,
        required_acr: "mfa".into(),
        bait: Vec::new(),
    }
}

fn judge(seen: &Seen, slug: &str) -> Judgement {
    let id = format!("sl1.app.{slug}");
    let check = ALL.iter().find(|check| check.clause == id).unwrap_or_else(|| panic!("no check of {id}"));
    (check.judge)(seen)
}

fn change(seen: &mut Seen, forgery: Forgery, change: impl Fn(&mut Probe)) {
    change(seen.probes.iter_mut().find(|probe| probe.variation == Some(Variation::Forged(forgery))).unwrap());
}

fn accepting(forgeries: &[Forgery]) -> Seen {
    let mut seen = good();
    for forgery in forgeries {
        change(&mut seen, *forgery, |probe| probe.attempt.look.signed_in = true);
    }
    seen
}

#[test]
fn every_clause_passes_for_a_conforming_application() {
    for check in ALL {
        let judgement = (check.judge)(&good());
        assert_eq!(judgement.call, Call::Pass, "{}: {}", check.clause, judgement.reason);
        assert!(!judgement.cites.is_empty(), "{}", check.clause);
    }
    assert_eq!(ALL.len(), DECIDING.len());
}

#[test]
fn nothing_is_decided_without_the_first_control() {
    let failed =
        Seen { first: Some(login(None, false)), encryption: Encryption::Usable, required_acr: "mfa".into(), ..Seen::default() };
    for check in ALL {
        assert_eq!((check.judge)(&failed).call, Call::Undecided, "{}", check.clause);
    }
}

#[test]
fn every_accepted_variation_breaks_its_clause_and_is_named() {
    let aside = [F::ExpString, F::SubNumber, F::StrongKey, F::Encrypted];
    for (clause, variations) in DECIDING {
        for variation in variations {
            let Variation::Forged(forgery) = *variation else { continue };
            if aside.contains(&forgery) {
                continue;
            }
            let judgement = judge(&accepting(&[forgery]), clause.trim_start_matches("sl1.app."));
            let milliseconds = forgery == F::SessionExpiryPastMilliseconds;
            assert_eq!(judgement.call, if milliseconds { Call::Doubtful } else { Call::Broken }, "{forgery:?}");
            assert!(judgement.reason.contains(forgery.label()), "{}", judgement.reason);
        }
    }
}

#[test]
fn what_does_not_decide_is_told() {
    for (slug, forgery) in [("id-token-expired-refused", F::ExpString), ("id-token-sub-required", F::SubNumber)] {
        let judgement = judge(&accepting(&[forgery]), slug);
        assert_eq!(judgement.call, Call::Pass);
        assert!(judgement.reason.contains(forgery.label()), "{}", judgement.reason);
    }
}

#[test]
fn a_refusal_counts_only_between_controls_and_when_the_token_was_fetched() {
    let undecided = |edit: fn(&mut Probe)| {
        let mut seen = good();
        change(&mut seen, F::IssOther, edit);
        judge(&seen, "id-token-iss-refused").call
    };
    assert_eq!(undecided(|probe| probe.controls = false), Call::Undecided);
    assert_eq!(undecided(|probe| probe.served = false), Call::Undecided);
    assert_eq!(undecided(|probe| probe.attempt.look.unreachable = Some("down".into())), Call::Undecided);
    assert_eq!(undecided(|probe| probe.attempt.answered = false), Call::Undecided);
    assert_eq!(judge(&Seen { probes: Vec::new(), ..good() }, "id-token-iss-refused").call, Call::Undecided);
    let odd = Probe { served: false, ..login(Some(Variation::Forged(F::IssOther)), true) };
    assert!(matches!(odd.says(), Says::Nothing(_)));
}

#[test]
fn a_signature_that_nobody_checks_is_named_as_the_root_cause() {
    let mut seen = accepting(&[F::PayloadChanged, F::SignatureChanged, F::ForeignKey, F::ForeignKeyRealKid]);
    if let Some(weak) = &mut seen.weak {
        weak.probe.attempt.look.signed_in = true;
    }
    assert!(judge(&seen, "id-token-signature-refused").reason.contains("at all"));
    for slug in ["id-token-foreign-key-refused", "id-token-weak-key-refused"] {
        let judgement = judge(&seen, slug);
        assert_eq!(judgement.call, Call::Broken);
        assert!(judgement.reason.contains("root cause"), "{}", judgement.reason);
    }
    assert_eq!(judge(&seen, "key-rotation").call, Call::Undecided);
    assert!(!judge(&accepting(&[F::ForeignKeyJwk]), "id-token-foreign-key-refused").reason.contains("root cause"));
}

#[test]
fn a_fetched_header_url_is_a_warning() {
    let seen = Seen { bait: vec!["x9".into()], ..good() };
    let judgement = judge(&seen, "id-token-foreign-key-refused");
    assert_eq!((judgement.call, &judgement.cites[..1]), (Call::Doubtful, &["x1".to_owned()][..]));
    assert!(judgement.cites.contains(&"x9".to_owned()));
}

#[test]
fn an_application_that_takes_rs256_fails_by_the_control() {
    let mut seen = Seen { alg: "RS256".into(), ..good() };
    seen.probes.clear();
    let judgement = judge(&seen, "id-token-unlisted-alg-refused");
    assert_eq!(judgement.call, Call::Broken);
    assert!(judgement.reason.contains("control"));
}

#[test]
fn a_weak_key_must_have_been_seen_or_its_algorithm_refused() {
    let mut seen = good();
    let unseen = Probe { keys_fetched: false, ..login(Some(Variation::Forged(F::WeakKey)), false) };
    seen.weak = Some(Weak { probe: unseen });
    assert_eq!(judge(&seen, "id-token-weak-key-refused").call, Call::Pass);
    for edit in [|probe: &mut Probe| probe.attempt.look.signed_in = true, |probe: &mut Probe| probe.keys_fetched = false] {
        let mut seen = seen.clone();
        change(&mut seen, F::StrongKey, edit);
        assert_eq!(judge(&seen, "id-token-weak-key-refused").call, Call::Undecided);
    }
    let accepted = Weak { probe: login(Some(Variation::Forged(F::WeakKey)), true) };
    assert_eq!(judge(&Seen { weak: Some(accepted), ..good() }, "id-token-weak-key-refused").call, Call::Broken);
    assert_eq!(judge(&Seen { weak: None, ..good() }, "id-token-weak-key-refused").call, Call::Undecided);
}

#[test]
fn conditions_that_are_absent_make_a_clause_not_applicable() {
    let first = Probe { nonce: false, max_age: None, ..login(None, true) };
    let bare = Seen {
        first: Some(first),
        probes: Vec::new(),
        userinfo: false,
        encryption: Encryption::None,
        required_acr: String::new(),
        ..good()
    };
    for slug in
        ["id-token-nonce-refused", "auth-time-checked", "userinfo-sub-checked", "encrypted-id-token", "transaction-terms-checked"]
    {
        assert_eq!(judge(&bare, slug).call, Call::NotApplicable, "{slug}");
    }
    assert_eq!(judge(&Seen { encryption: Encryption::Unusable, ..good() }, "encrypted-id-token").call, Call::Undecided);
}

#[test]
fn a_nonce_that_is_not_always_sent_decides_nothing() {
    let mut seen = good();
    change(&mut seen, F::NonceMissing, |probe| probe.nonce = false);
    assert_eq!(judge(&seen, "id-token-nonce-refused").call, Call::Undecided);
}

#[test]
fn without_a_nonce_only_an_access_token_breaks_the_clause_on_types() {
    let without_nonce = |forgery| {
        let mut seen = accepting(&[forgery]);
        seen.probes.iter_mut().for_each(|probe| probe.nonce = false);
        judge(&seen, "id-token-wrong-type-refused").call
    };
    assert_eq!(without_nonce(F::LogoutToken), Call::Doubtful);
    assert_eq!(without_nonce(F::CommandTokenForClient), Call::Doubtful);
    assert_eq!(without_nonce(F::AccessToken), Call::Broken);
    assert_eq!(judge(&accepting(&[F::LogoutToken]), "id-token-wrong-type-refused").call, Call::Broken);
}

#[test]
fn userinfo_of_a_stranger_must_not_show() {
    let with = |edit: &dyn Fn(&mut Probe)| {
        let mut seen = good();
        seen.twin = Some(Attempt { look: Look { account: Some("a".into()), ..attempt(true).look }, ..attempt(true) });
        let other = seen.probes.iter_mut().find(|probe| probe.variation == Some(Variation::UserInfoOtherSub)).unwrap();
        other.attempt.look.signed_in = true;
        other.attempt.look.account = Some("a".into());
        edit(other);
        judge(&seen, "userinfo-sub-checked").call
    };
    assert_eq!(with(&|_| {}), Call::Pass);
    assert_eq!(with(&|probe| probe.attempt.look.account = Some("b".into())), Call::Broken);
    assert_eq!(with(&|probe| probe.attempt.look.stranger = true), Call::Broken);
    assert_eq!(with(&|probe| probe.attempt.look.account = None), Call::Undecided);
    assert_eq!(with(&|probe| probe.userinfo = false), Call::Undecided);
}

#[test]
fn a_new_key_is_picked_up_at_the_second_attempt_at_the_latest() {
    let rotated = |logins: &[(bool, bool)]| {
        let login = |(signed_in, keys_fetched): &(bool, bool)| Probe {
            keys_fetched: *keys_fetched,
            ..login(Some(Variation::Forged(F::RotatedKey)), *signed_in)
        };
        judge(&Seen { rotated: logins.iter().map(login).collect(), ..good() }, "key-rotation").call
    };
    assert_eq!(rotated(&[(true, true)]), Call::Pass);
    assert_eq!(rotated(&[(true, false)]), Call::Undecided);
    assert_eq!(rotated(&[(false, false), (true, true)]), Call::Pass);
    assert_eq!(rotated(&[(false, true), (false, true)]), Call::Broken);
    assert_eq!(rotated(&[(false, false)]), Call::Undecided);
    assert_eq!(rotated(&[]), Call::Undecided);
    let refused = vec![login(None, false), login(None, false)];
    assert_eq!(judge(&Seen { rotated: refused, last: false, ..good() }, "key-rotation").call, Call::Undecided);
}

#[test]
fn a_session_expiry_that_is_a_string_must_be_refused_or_kept() {
    let late = |signed_in: bool, unreachable: Option<&str>| {
        let look = Look { signed_in, unreachable: unreachable.map(str::to_owned), ..Look::default() };
        let probe = login(Some(Variation::Forged(F::SessionExpiryString)), true);
        let string = StringExpiry { probe, late: Some(look), late_s: 15 };
        judge(&Seen { string_expiry: Some(string), ..good() }, "session-expiry-malformed").call
    };
    assert_eq!(late(false, None), Call::Pass);
    assert_eq!(late(true, None), Call::Broken);
    assert_eq!(late(false, Some("down")), Call::Undecided);
    assert_eq!(judge(&Seen { string_expiry: None, ..good() }, "session-expiry-malformed").call, Call::Undecided);
}

#[test]
fn what_was_seen_is_written_and_read_back() {
    let text = serde_json::to_string(&good()).unwrap();
    assert!(text.contains("\"forged\":\"foreign-key-jwk\""), "{text}");
    let again: Seen = serde_json::from_str(&text).unwrap();
    assert_eq!(again.probes.len(), good().probes.len());
}
