//! What the life of a session must look like.

use super::course::{Course, Fate, Glimpse};
use super::{EARLY_S, EXP_S, LIVES_S, Seen};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suites::blocks::NO_CONTROL;

/// A look so long after `exp` shows that the session does not end with it, in seconds.
const AFTER_EXP_S: f64 = 15.0;
/// How late a look may come, in seconds, and still tell a session that ended with the ID token from one that ended on its own.
const LATE_S: f64 = 3.0;

fn cites(look: &Glimpse) -> &[String] {
    &look.look.cites
}

/// sl1.app.session-expiry-enforced
pub fn the_session_ends(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let mut told = Vec::new();
    for course in [&seen.active, &seen.idle] {
        let text = course.describe();
        match course.fate(seen.leeway_s) {
            // Asked in the background, perhaps; yet nobody had answered.
            Fate::Lives(look) if course.asked() => {
                found.doubtful(format!("the page is still shown while the provider has not answered: {text}"), cites(look));
            }
            Fate::Lives(look) => {
                found.broken(format!("the page is still shown, and the provider was not asked: {text}"), cites(look));
            }
            Fate::Unborn => {
                found.undecided(format!("{}: the login did not succeed: {}", course.label, course.login.describe()), &[]);
            }
            Fate::Unknown => found.undecided(format!("the application gave no usable answer when it counted: {text}"), &[]),
            Fate::Ended(look) if !seen.after => found.undecided(NO_CONTROL, cites(look)),
            Fate::Ended(look) => {
                if course.early_s() > EARLY_S as i64 {
                    let text = format!("it ended so early that session_expiry cannot be the reason: {text}");
                    found.doubtful(text, cites(look));
                }
                found.saw(cites(look));
            }
            Fate::Renewed(contact) => found.saw(std::slice::from_ref(&contact.exchange)),
        }
        told.push(text);
    }
    found.conclude(told.join("; "))
}

/// sl1.app.session-expiry-api
pub fn api_ends_with_the_session(seen: &Seen) -> Judgement {
    let Some(course) = &seen.api else { return Judgement::not_configured("app.api is not configured") };
    if seen.api_open {
        return Judgement::undecided("the API answers nobody as it answers a signed-in user: declare app.api.text");
    }
    if !course.looks.first().is_some_and(|first| first.alive() == Some(true) && first.seen_s < course.expiry_s) {
        return Judgement::undecided(format!("the API did not answer a signed-in user: {}", course.describe()));
    }
    let mut found = Findings::new();
    let text = course.describe();
    match course.fate(seen.leeway_s) {
        Fate::Lives(look) => found.broken(format!("the API still answers, and the provider was not asked: {text}"), cites(look)),
        Fate::Unborn | Fate::Unknown => found.undecided(text.clone(), &[]),
        Fate::Ended(look) if !seen.after => found.undecided(NO_CONTROL, cites(look)),
        Fate::Ended(look) => found.saw(cites(look)),
        Fate::Renewed(contact) => found.saw(std::slice::from_ref(&contact.exchange)),
    }
    found.conclude(text)
}

/// sl1.app.session-expiry-not-sliding
pub fn activity_does_not_extend(seen: &Seen) -> Judgement {
    let (active, idle) = (seen.active.fate(seen.leeway_s), seen.idle.fate(seen.leeway_s));
    let text = format!("{}; {}", seen.active.describe(), seen.idle.describe());
    let over = |fate: &Fate<'_>| matches!(fate, Fate::Ended(_) | Fate::Renewed(_));
    match (active, idle) {
        (Fate::Lives(look), idle) if over(&idle) => {
            Judgement::broken(format!("the session that is used goes on, the idle one is over: {text}")).cite(cites(look))
        }
        (Fate::Lives(look), Fate::Lives(_)) => {
            Judgement::undecided(format!("neither session ended; see sl1.app.session-expiry-enforced: {text}")).cite(cites(look))
        }
        (active, idle) if over(&active) && over(&idle) && seen.after => {
            let looks = [&seen.active, &seen.idle].into_iter().filter_map(|course| course.looks.last());
            Judgement::pass(text).cite(looks.flat_map(cites))
        }
        (active, idle) if over(&active) && over(&idle) => Judgement::undecided(NO_CONTROL),
        _ => Judgement::undecided(text),
    }
}

/// sl1.app.session-not-bound-to-exp
pub fn a_session_outlives_its_id_token(seen: &Seen) -> Judgement {
    let course = &seen.active;
    let exp_s = EXP_S as f64 - seen.clock_s;
    let text = format!("exp after {exp_s:.0} s; {}", course.describe());
    let before = |to: f64| course.contacts.iter().find(|contact| contact.at_s < to);
    let later = |look: &&Glimpse| look.asked_s >= exp_s + AFTER_EXP_S && look.seen_s < course.expiry_s;
    if before(exp_s).is_some() {
        return Judgement::undecided(format!("the provider was asked before the ID token expired: {text}"));
    }
    // What happens right after exp happens because of it: a session renewed there is bound to exp as well.
    if let Some(contact) = before(exp_s + AFTER_EXP_S) {
        return Judgement::broken(format!("the session needed re-validation when the ID token expired: {text}"))
            .cite([&contact.exchange]);
    }
    if let Some(look) = course.looks.iter().filter(later).find(|look| look.alive() == Some(true)) {
        return Judgement::pass(format!("the session outlives the ID token: {text}")).cite(cites(look));
    }
    match course.ended() {
        Some(ended) if ended.seen_s >= course.expiry_s => Judgement::undecided(text),
        // A look that comes late sees the end of a session that outlived the ID token and ended early for another reason.
        Some(ended) if ended.asked_s > exp_s && ended.asked_s < exp_s + AFTER_EXP_S + LATE_S => {
            Judgement::broken(format!("the session ended with the ID token: {text}")).cite(cites(ended))
        }
        _ => Judgement::undecided(text),
    }
}

/// sl1.app.session-renewed-from-assertion
pub fn the_new_assertion_governs(seen: &Seen) -> Judgement {
    let Some(second) = &seen.second else {
        return Judgement::undecided(format!("the first session did not end: {}", seen.active.describe()));
    };
    let course = &second.course;
    let how = if second.by_refresh { "refresh" } else { "login" };
    let text = format!("after re-validation by {how} with {} s to live: {}", second.life_s, course.describe());
    let held = |judgement: Judgement| if seen.after { judgement } else { Judgement::undecided(NO_CONTROL) };
    if !second.by_refresh && !course.login.signed_in() {
        let why = format!("a login after the end of the session gives none: {}", course.login.describe());
        if !course.login.refused() || course.login.requests == 0 {
            return Judgement::undecided(why).cite(&course.login.cites);
        }
        return held(Judgement::broken(why)).cite(&course.login.cites);
    }
    if let Some(ended) = course.ended().filter(|ended| ended.seen_s < course.expiry_s)
        && !course.last_alive().is_some_and(|look| look.asked_s >= LIVES_S as f64)
    {
        return held(Judgement::broken(format!("the new session ended before its time: {text}"))).cite(cites(ended));
    }
    match course.fate(seen.leeway_s) {
        Fate::Lives(look) => Judgement::broken(format!("the new session_expiry is not kept: {text}")).cite(cites(look)),
        Fate::Unborn | Fate::Unknown => Judgement::undecided(text),
        Fate::Ended(look) => held(Judgement::pass(text)).cite(cites(look)),
        Fate::Renewed(contact) => held(Judgement::pass(text)).cite([&contact.exchange]),
    }
}

/// sl1.app.refresh-revalidation
pub fn a_refresh_is_validated(seen: &Seen) -> Judgement {
    if !seen.offline {
        return Judgement::not_applicable("the application asks for no refresh tokens (scope offline_access)");
    }
    let refreshed = |course: &Course| course.contacts.iter().any(|contact| contact.refresh);
    let all = || seen.refreshed.iter();
    if seen.refreshed.is_empty() {
        return Judgement::undecided("nothing was tried");
    }
    if !all().any(|one| refreshed(&one.course)) && all().all(|one| one.course.login.signed_in()) {
        return Judgement::not_applicable("the application used no refresh token when its sessions ended");
    }
    let mut found = Findings::new();
    for one in all() {
        let (course, text) = (&one.course, one.course.describe());
        let contacts: Vec<_> =
            course.contacts.iter().filter(|contact| contact.refresh).map(|contact| contact.exchange.clone()).collect();
        let limit = course.expiry_s + seen.leeway_s as f64;
        let lives = course.ended().is_none() && course.last_alive().is_some_and(|look| look.asked_s >= limit);
        if !refreshed(course) {
            found.undecided(format!("no refresh token was used: {text}"), &[]);
        } else if one.good && !matches!(course.fate(seen.leeway_s), Fate::Renewed(_)) {
            found.undecided(format!("the control did not keep its session: {text}"), &contacts);
        } else if one.good {
            found.saw(&contacts);
        } else if lives {
            found.broken(format!("the session goes on all the same: {text}"), &contacts);
        } else if course.ended().is_some() {
            found.saw(&contacts);
        } else {
            found.undecided(text, &contacts);
        }
    }
    found.conclude("a refresh that is refused, names another user or gives no ID token ends the session; a good one keeps it")
}
