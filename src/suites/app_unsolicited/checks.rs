//! What unsolicited assertions must lead to.

use super::Seen;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::fed::Fed;
use crate::suites::blocks::NO_CONTROL;

/// The demand "REFUSED for all".
fn refused(tried: &[Fed], controls: bool, pass: &str) -> Judgement {
    if tried.is_empty() {
        return Judgement::undecided("nothing was tried: the control login sent no authorization request with a redirect_uri");
    }
    let mut found = Findings::new();
    for fed in tried {
        let told = format!("{}: {}", fed.label, fed.describe());
        if fed.signed_in() {
            found.broken(told, &fed.cites);
        } else if !controls {
            found.undecided(NO_CONTROL, &[]);
        } else if fed.refused() {
            found.saw(&fed.cites);
        } else {
            found.undecided(told, &fed.cites);
        }
    }
    // A leaked code is worth a word, and no session.
    let used: Vec<&str> = tried.iter().filter(|fed| fed.redeemed).map(|fed| fed.label.as_str()).collect();
    let note =
        if used.is_empty() { String::new() } else { format!("; the code was redeemed all the same for {}", used.join(", ")) };
    found.conclude(format!("{pass}{note}"))
}

/// sl2.app.unsolicited-code-refused
pub fn an_unsolicited_code_is_refused(seen: &Seen) -> Judgement {
    refused(&seen.codes, seen.controls, "a code that no transaction asked for gives no session")
}

/// sl2.app.unsolicited-id-token-refused
pub fn an_unsolicited_id_token_is_refused(seen: &Seen) -> Judgement {
    refused(&seen.id_tokens, seen.controls, "an ID token that nobody asked for gives no session")
}

/// sl2.app.initiated-login-own-transaction
pub fn an_initiated_login_is_the_applications_own(seen: &Seen) -> Judgement {
    let Some(initiated) = &seen.initiated else {
        return Judgement::undecided("the control login sent no authorization request with a redirect_uri");
    };
    let loaded = &initiated.loaded;
    let mut found = Findings::new();
    if loaded.signed_in() || loaded.redeemed {
        found.broken(format!("{}: {}", loaded.label, loaded.describe()), &loaded.cites);
    } else if !initiated.plain.signed_in() {
        let text = format!("the control (iss only) did not sign in: {}", initiated.plain.describe());
        found.undecided(text, &initiated.plain.cites);
    } else if !seen.controls {
        found.undecided(NO_CONTROL, &[]);
    } else if !loaded.refused() {
        found.undecided(format!("{}: {}", loaded.label, loaded.describe()), &loaded.cites);
    } else if initiated.state_taken {
        found.doubtful("the new authorization request carries the state that was given from outside", &loaded.cites);
    } else {
        found.saw(&loaded.cites);
    }
    let how = match loaded.requests {
        0 => "the application starts no login at all with a code beside iss",
        _ => "the application starts a login of its own",
    };
    found.conclude(format!("{how}; code and ID token from outside are not used"))
}

/// sl2.app.transaction-single-use
pub fn a_finished_transaction_is_over(seen: &Seen) -> Judgement {
    let Some(second) = &seen.second else { return Judgement::undecided("no authorization request arrived") };
    let (first, again) = (&second.first, &second.again);
    if !first.signed_in() {
        return Judgement::undecided(format!("the first completion did not sign in: {}", first.describe())).cite(&first.cites);
    }
    // A callback that limits the rate leaves the session as it is, and has refused nothing.
    let held = |judgement: Judgement| match &again.disturbed {
        Some(why) => Judgement::undecided(why),
        None if seen.controls => judgement,
        None => Judgement::undecided(NO_CONTROL),
    };
    let judgement = match (&first.look.account, &again.look.account) {
        _ if !again.signed_in() && again.refused() => held(Judgement::pass("the session ended; nobody became user 2")),
        _ if !again.signed_in() => Judgement::undecided(again.describe()),
        // The marker is worth something only where it tells the two users apart.
        (Some(one), Some(two)) if one != two => Judgement::broken(format!("the session of {one} became that of {two}")),
        (Some(one), Some(_)) if second.other_account.as_ref().is_some_and(|other| other != one) => {
            held(Judgement::pass(format!("the session stays with {one}")))
        }
        _ if second.shows_other == Some(true) => Judgement::broken("the page shows user 2 after the second completion"),
        _ if second.shows_other == Some(false) => held(Judgement::pass("the page still shows user 1")),
        _ if again.redeemed => Judgement::broken("the code for user 2 was redeemed with the finished transaction"),
        _ if again.delivered => held(Judgement::pass("the code for user 2 was not redeemed")),
        _ => Judgement::undecided(again.describe()),
    };
    judgement.cite(&again.cites)
}

#[cfg(test)]
mod tests {
    use super::super::{Initiated, Second};
    use super::*;
    use crate::model::Call;
    use crate::stage::oracle::Look;
    use crate::stage::visitor::Attempt;

    fn fed(signed_in: bool, redeemed: bool) -> Fed {
        let look = Look { signed_in, status: 200, ..Look::default() };
        Fed { delivered: true, redeemed, requests: 1, look, ..Fed::default() }
    }

    fn of(account: &str, redeemed: bool) -> Fed {
        let fed = fed(true, redeemed);
        Fed { look: Look { account: Some(account.into()), ..fed.look }, ..fed }
    }

    fn good() -> Seen {
        let plain = Attempt { look: fed(true, true).look, requests: 1, answered: true, ..Attempt::default() };
        Seen {
            controls: true,
            codes: vec![fed(false, true), fed(false, false)],
            id_tokens: vec![fed(false, false)],
            initiated: Some(Initiated { plain, loaded: fed(false, false), state_taken: false }),
            second: Some(Second {
                first: of("alice", true),
                again: of("alice", false),
                other_account: Some("bob".into()),
                shows_other: None,
            }),
        }
    }

    #[test]
    fn refusals_pass_and_need_their_controls() {
        for check in [
            an_unsolicited_code_is_refused,
            an_unsolicited_id_token_is_refused,
            an_initiated_login_is_the_applications_own,
            a_finished_transaction_is_over,
        ] {
            assert_eq!(check(&good()).call, Call::Pass);
            assert_eq!(check(&Seen { controls: false, ..good() }).call, Call::Undecided);
            assert_eq!(check(&Seen::default()).call, Call::Undecided);
        }
    }

    #[test]
    fn a_session_is_broken_even_without_control() {
        let all = vec![fed(false, false), fed(true, true)];
        assert_eq!(an_unsolicited_code_is_refused(&Seen { codes: all.clone(), controls: false, ..good() }).call, Call::Broken);
        assert_eq!(an_unsolicited_id_token_is_refused(&Seen { id_tokens: all, ..good() }).call, Call::Broken);
        let lost = vec![Fed { delivered: false, ..fed(false, false) }];
        assert_eq!(an_unsolicited_code_is_refused(&Seen { codes: lost, ..good() }).call, Call::Undecided);
    }

    #[test]
    fn an_initiated_login_uses_nothing_from_outside() {
        let with = |loaded, state_taken| {
            let initiated = Initiated { loaded, state_taken, ..good().initiated.unwrap() };
            an_initiated_login_is_the_applications_own(&Seen { initiated: Some(initiated), ..good() }).call
        };
        assert_eq!(with(fed(true, true), false), Call::Broken);
        assert_eq!(with(fed(false, true), false), Call::Broken);
        assert_eq!(with(fed(false, false), true), Call::Doubtful);
        assert_eq!(with(Fed { requests: 0, ..fed(false, false) }, false), Call::Pass);
    }

    #[test]
    fn a_second_completion_is_judged_by_who_is_signed_in() {
        let with = |again, shows_other| {
            let second = Second { again, shows_other, ..good().second.unwrap() };
            a_finished_transaction_is_over(&Seen { second: Some(second), ..good() }).call
        };
        assert_eq!(with(of("bob", true), None), Call::Broken);
        assert_eq!(with(of("alice", true), None), Call::Pass);
        assert_eq!(with(fed(false, true), None), Call::Pass);
        assert_eq!(with(fed(true, true), None), Call::Broken);
        assert_eq!(with(fed(true, true), Some(false)), Call::Pass);
        assert_eq!(with(fed(true, false), None), Call::Pass);
        let limited = |fed: Fed| Fed { disturbed: Some("status 429".into()), ..fed };
        assert_eq!(with(limited(of("alice", false)), None), Call::Undecided);
        assert_eq!(with(limited(fed(true, false)), Some(false)), Call::Undecided);
        assert_eq!(with(limited(of("bob", true)), None), Call::Broken);
    }
}
