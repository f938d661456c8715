//! What the responses of app-response must lead to.

use super::Seen;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::fed::Fed;
use crate::stage::visitor::Tried;
use crate::suites::blocks::NO_CONTROL;

const HELD: &str = "the control (a response without fault, given to its own browser by the suite) did not sign in";

/// What a login must not have come to.
type Bad = fn(&Tried) -> bool;

fn signed_in(tried: &Tried) -> bool {
    tried.attempt.signed_in()
}

/// A token request is harm already: in a mix-up the code goes to the wrong party (RFC 9207 1).
fn redeemed(tried: &Tried) -> bool {
    tried.attempt.signed_in() || tried.attempt.redeemed
}

/// The demand "REFUSED", where `doubtful` is met badly only.
fn refused(found: &mut Findings, all: &[Tried], bad: Bad, doubtful: bool) {
    for tried in all {
        let attempt = &tried.attempt;
        let told = format!("{}: {}", attempt.label, attempt.describe());
        if bad(tried) && doubtful {
            found.doubtful(told, &attempt.cites);
        } else if bad(tried) {
            found.broken(told, &attempt.cites);
        } else if !tried.controls {
            found.undecided(format!("{}: {NO_CONTROL}", attempt.label), &attempt.cites);
        } else if attempt.refused() {
            found.saw(&attempt.cites);
        } else {
            found.undecided(told, &attempt.cites);
        }
    }
}

fn conclude(found: Findings, nothing: bool, pass: &str) -> Judgement {
    if nothing { Judgement::undecided("nothing was tried") } else { found.conclude(pass) }
}

/// sl1.app.iss-param-wrong-refused
pub fn a_wrong_iss_is_refused(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    refused(&mut found, &seen.other_iss, redeemed, false);
    refused(&mut found, &seen.odd_iss, redeemed, true);
    conclude(found, seen.other_iss.is_empty(), "no code of a response with a wrong iss was redeemed, and nobody was signed in")
}

/// sl1.app.iss-param-missing-refused
pub fn a_missing_iss_is_refused(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    refused(&mut found, &seen.no_iss, redeemed, false);
    conclude(found, seen.no_iss.is_empty(), "the code of a response without iss was not redeemed, and nobody was signed in")
}

/// sl1.app.state-mismatch-refused
pub fn a_wrong_state_is_refused(seen: &Seen) -> Judgement {
    if !seen.sends_state {
        return Judgement::not_applicable(
            "the application sends no state (RFC 9700 4.7 allows that with PKCE); see sl1.app.cross-browser-response-refused",
        );
    }
    let mut found = Findings::new();
    refused(&mut found, &seen.state, signed_in, false);
    conclude(found, seen.state.is_empty(), "nobody is signed in with an altered, missing or empty state")
}

/// sl1.app.front-channel-token-refused
pub fn a_token_from_the_browser_is_refused(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    refused(&mut found, &seen.front, signed_in, false);
    conclude(found, seen.front.is_empty(), "nobody is signed in by an ID token that came through the browser")
}

/// sl1.app.cross-browser-response-refused
pub fn a_response_belongs_to_one_browser(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let tried: Vec<&Fed> = seen.login_csrf.iter().chain(&seen.injection).collect();
    let held = seen.held.as_ref().is_some_and(Fed::signed_in);
    for fed in &tried {
        let told = format!("{}: {}", fed.label, fed.describe());
        if fed.signed_in() {
            found.broken(told, &fed.cites);
        } else if fed.verifier_fits == Some(true) {
            let text = format!("{}: browser 2 used the verifier of browser 1, so it is not bound to the browser", fed.label);
            found.broken(text, &fed.cites);
        } else if !held {
            found.undecided(HELD, &[]);
        } else if !seen.after {
            found.undecided(NO_CONTROL, &[]);
        } else if fed.refused() {
            found.saw(&fed.cites);
        } else {
            found.undecided(told, &fed.cites);
        }
    }
    let kept = if tried.iter().any(|fed| fed.redeemed) { "; its code met a verifier that does not fit" } else { "" };
    conclude(found, tried.is_empty(), &format!("a response to browser 1 gives browser 2 no session{kept}"))
}

/// sl1.app.response-replay-refused
pub fn a_used_response_is_refused(seen: &Seen) -> Judgement {
    let Some(held) = &seen.held else { return Judgement::undecided("no authorization request arrived") };
    if !held.signed_in() {
        return Judgement::undecided(format!("{HELD}: {}", held.describe())).cite(&held.cites);
    }
    let mut found = Findings::new();
    let replay = &seen.replay;
    let plain = replay.elsewhere.iter().chain(&replay.signed_out).map(|fed| (fed, false));
    let tried: Vec<(&Fed, bool)> = plain.chain(replay.copy.iter().map(|fed| (fed, true))).collect();
    for (fed, copy) in &tried {
        let told = format!("{}: {}", fed.label, fed.describe());
        if fed.signed_in() && *copy {
            found.doubtful(format!("{told}; an attacker needs the cookie of the pending login as well"), &fed.cites);
        } else if fed.signed_in() {
            found.broken(told, &fed.cites);
        } else if !seen.after {
            found.undecided(NO_CONTROL, &[]);
        } else if fed.refused() {
            found.saw(&fed.cites);
        } else {
            found.undecided(told, &fed.cites);
        }
    }
    conclude(found, tried.is_empty(), "a used response gives no session, although its code would be honoured again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::stage::oracle::Look;
    use crate::stage::visitor::Attempt;

    fn tried(signed_in: bool, redeemed: bool, controls: bool) -> Tried {
        let look = Look { signed_in, status: 200, ..Look::default() };
        Tried { attempt: Attempt { requests: 1, answered: true, redeemed, look, ..Attempt::default() }, controls }
    }

    fn fed(signed_in: bool, verifier_fits: Option<bool>) -> Fed {
        let look = Look { signed_in, status: 200, ..Look::default() };
        Fed { delivered: true, redeemed: verifier_fits.is_some(), verifier_fits, look, ..Fed::default() }
    }

    fn good() -> Seen {
        let all = || vec![tried(false, false, true)];
        Seen {
            sends_state: true,
            other_iss: all(),
            odd_iss: all(),
            no_iss: all(),
            state: all(),
            front: vec![tried(false, true, true)],
            held: Some(fed(true, Some(true))),
            login_csrf: Some(fed(false, None)),
            injection: Some(fed(false, Some(false))),
            replay: super::super::Replay { elsewhere: Some(fed(false, None)), signed_out: None, copy: Some(fed(false, None)) },
            after: true,
        }
    }

    #[test]
    fn refusals_pass() {
        for check in [
            a_wrong_iss_is_refused,
            a_missing_iss_is_refused,
            a_wrong_state_is_refused,
            a_token_from_the_browser_is_refused,
            a_response_belongs_to_one_browser,
            a_used_response_is_refused,
        ] {
            assert_eq!(check(&good()).call, Call::Pass);
            assert_eq!(check(&Seen { sends_state: true, ..Seen::default() }).call, Call::Undecided);
        }
    }

    #[test]
    fn a_redeemed_code_is_harm_with_a_wrong_iss_only() {
        let leaked = vec![tried(false, true, true)];
        assert_eq!(a_wrong_iss_is_refused(&Seen { other_iss: leaked.clone(), ..good() }).call, Call::Broken);
        assert_eq!(a_wrong_iss_is_refused(&Seen { odd_iss: leaked.clone(), ..good() }).call, Call::Doubtful);
        assert_eq!(a_missing_iss_is_refused(&Seen { no_iss: leaked.clone(), ..good() }).call, Call::Broken);
        assert_eq!(a_wrong_state_is_refused(&Seen { state: leaked, ..good() }).call, Call::Pass);
    }

    #[test]
    fn sessions_are_broken_and_refusals_without_control_prove_nothing() {
        let accepted = vec![tried(true, true, false)];
        assert_eq!(a_wrong_state_is_refused(&Seen { state: accepted.clone(), ..good() }).call, Call::Broken);
        assert_eq!(a_token_from_the_browser_is_refused(&Seen { front: accepted, ..good() }).call, Call::Broken);
        let loose = vec![tried(false, false, false)];
        assert_eq!(a_wrong_state_is_refused(&Seen { state: loose, ..good() }).call, Call::Undecided);
        assert_eq!(a_wrong_state_is_refused(&Seen { sends_state: false, ..good() }).call, Call::NotApplicable);
    }

    #[test]
    fn a_response_is_bound_to_session_and_verifier_of_its_browser() {
        let with = |injection| a_response_belongs_to_one_browser(&Seen { injection: Some(injection), ..good() }).call;
        assert_eq!(with(fed(true, Some(true))), Call::Broken);
        assert_eq!(with(fed(false, Some(true))), Call::Broken);
        assert_eq!(with(Fed { delivered: false, ..fed(false, None) }), Call::Undecided);
        let unheld = Seen { held: Some(fed(false, None)), ..good() };
        assert_eq!(a_response_belongs_to_one_browser(&unheld).call, Call::Undecided);
        assert_eq!(a_used_response_is_refused(&unheld).call, Call::Undecided);
    }

    #[test]
    fn a_replay_that_needs_the_cookie_is_minor() {
        let mut seen = good();
        seen.replay.copy = Some(fed(true, Some(true)));
        assert_eq!(a_used_response_is_refused(&seen).call, Call::Doubtful);
        seen.replay.elsewhere = Some(fed(true, Some(true)));
        assert_eq!(a_used_response_is_refused(&seen).call, Call::Broken);
        assert_eq!(a_used_response_is_refused(&Seen { after: false, ..good() }).call, Call::Undecided);
    }
}
