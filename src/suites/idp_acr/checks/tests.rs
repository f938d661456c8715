use super::super::Acr;
use super::*;
use crate::model::Call;
use crate::model::target::AcrClass;
use crate::suite::Scenario;
use crate::suites::blocks::examples::{authz, id_token};
use serde_json::json;

fn class(acr: &str, factors: &[&str]) -> AcrClass {
    AcrClass { acr: acr.into(), factors: factors.iter().map(ToString::to_string).collect() }
}

fn code(page: bool, acr: &str, amr: &[&str]) -> Option<Asked> {
    let claims = if acr.is_empty() { json!({"amr": amr}) } else { json!({"acr": acr, "amr": amr, "auth_time": 900}) };
    Some(Asked { page, authz: Some(authz(Outcome::Code)), id_token: Some(id_token(claims)), obstacle: None })
}

fn end(outcome: Outcome) -> Option<Asked> {
    Some(Asked { page: outcome != Outcome::Error, authz: Some(authz(outcome)), ..Asked::default() })
}

const LOW: &[&str] = &["pwd", "otp", "mfa"];
const HIGH: &[&str] = &["pwd", "otp", "hwk", "mfa"];

fn good() -> Seen {
    Seen {
        classes: vec![class("low", &["pwd", "otp"]), class("high", &["pwd", "otp", "hwk"])],
        by: ClassesBy::AcrValues,
        claims: true,
        par: true,
        lacking_declared: true,
        lower: code(true, "low", LOW),
        quiet: code(false, "low", LOW),
        quiet_higher: end(Outcome::Error),
        quiet_essential: end(Outcome::Error),
        invented: code(false, "low", LOW),
        invented_essential: end(Outcome::Error),
        pushed: end(Outcome::LoginPage),
        left: true,
        after_abort: vec![("no class".into(), code(false, "low", LOW).unwrap())],
        step_up: code(true, "high", HIGH),
        direct: code(true, "high", HIGH),
        order: code(true, "high", HIGH),
        reverse: code(true, "low", LOW),
        essential: code(true, "high", HIGH),
        lacking_login: code(true, "low", LOW),
        lacking: end(Outcome::Error),
    }
}

#[test]
fn a_service_that_honours_classes_passes_and_nothing_tried_decides_nothing() {
    for check in Acr::CHECKS {
        assert_eq!((check.judge)(&good()).call, Call::Pass, "{}", check.clause);
        let empty = Seen { classes: good().classes, claims: true, par: true, ..Seen::default() };
        assert_eq!((check.judge)(&empty).call, Call::Undecided, "{}", check.clause);
    }
}

#[test]
fn each_way_to_ignore_or_overstate_a_class_is_broken() {
    type Judge = fn(&Seen) -> Judgement;
    let cases: [(&str, Judge, Seen); 14] = [
        ("direct", a_requested_class_is_met, Seen { direct: code(true, "low", LOW), ..good() }),
        ("direct refused", a_requested_class_is_met, Seen { direct: end(Outcome::Error), ..good() }),
        ("silent step-up", a_lower_session_is_stepped_up, Seen { step_up: code(false, "high", LOW), ..good() }),
        ("silent lower", a_lower_session_is_stepped_up, Seen { step_up: code(false, "low", LOW), ..good() }),
        ("echo", no_class_is_claimed_that_was_not_reached, Seen { invented: code(false, INVENTED, LOW), ..good() }),
        (
            "after abort",
            no_class_is_claimed_that_was_not_reached,
            Seen { after_abort: vec![("".into(), code(false, "high", LOW).unwrap())], ..good() },
        ),
        ("essential lower", an_essential_class_is_met_or_refused, Seen { essential: code(true, "low", LOW), ..good() }),
        ("essential lie", an_essential_class_is_met_or_refused, Seen { essential: code(false, "high", LOW), ..good() }),
        ("unknown", an_essential_class_is_met_or_refused, Seen { invented_essential: code(false, "low", LOW), ..good() }),
        ("granted", an_unreachable_class_is_not_granted, Seen { lacking: code(false, "high", LOW), ..good() }),
        ("no acr", an_unreachable_class_is_not_granted, Seen { lacking: code(false, "", LOW), ..good() }),
        ("order", the_first_class_comes_first, Seen { order: code(true, "low", LOW), ..good() }),
        ("quiet", silence_grants_no_higher_class, Seen { quiet_essential: code(false, "low", LOW), ..good() }),
        ("amr", amr_shows_the_added_factor, Seen { step_up: code(true, "high", LOW), ..good() }),
    ];
    for (name, judge, seen) in cases {
        assert_eq!(judge(&seen).call, Call::Broken, "{name}: {}", judge(&seen).reason);
    }
    let query = Seen { pushed: code(false, "low", LOW), ..good() };
    assert_eq!(pushed_values_count(&query).call, Call::Broken);
}

#[test]
fn what_may_not_be_decided_is_not() {
    // A service that has no lower session, refuses prompt=none always, or whose login could not be finished.
    let one = Seen { lower: code(true, "high", HIGH), ..good() };
    for judge in [a_lower_session_is_stepped_up, silence_grants_no_higher_class, amr_shows_the_added_factor, pushed_values_count]
    {
        assert_eq!(judge(&one).call, Call::Undecided);
    }
    assert_eq!(silence_grants_no_higher_class(&Seen { quiet: end(Outcome::Error), ..good() }).call, Call::Undecided);
    let stuck = Some(Asked { page: true, obstacle: Some("stuck".into()), ..Asked::default() });
    assert_eq!(a_requested_class_is_met(&Seen { direct: stuck.clone(), ..good() }).call, Call::Undecided);
    assert_eq!(an_unreachable_class_is_not_granted(&Seen { lacking_login: stuck, ..good() }).call, Call::Undecided);
    let truthful = Seen { lacking: code(false, "low", LOW), ..good() };
    assert_eq!(an_unreachable_class_is_not_granted(&truthful).call, Call::Doubtful);
    let ignored = Seen { step_up: code(false, "low", LOW), pushed: code(false, "low", LOW), ..good() };
    assert_eq!(pushed_values_count(&ignored).call, Call::Undecided, "acr_values is ignored altogether");
    let unsupported = Seen { claims: false, ..good() };
    assert_eq!(an_essential_class_is_met_or_refused(&unsupported).call, Call::NotApplicable);
}
