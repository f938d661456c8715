//! What the answers to requests for classes are worth. Pure.

use std::collections::BTreeSet;

use super::{Asked, INVENTED, Seen, not_tried};
use crate::model::Judgement;
use crate::model::target::ClassesBy;
use crate::model::verdict::Findings;
use crate::wire::seen::{AuthzSeen, Outcome};

const ONE_CLASS: &str = "idp.classes declares one class only";
const NO_LOWER: &str = "there is no session of the lowest class: its login did not end with that acr";

fn outcome(asked: &Asked) -> Option<Outcome> {
    asked.authz.as_ref().map(|authz| authz.outcome)
}

/// The identity service could not answer, or the login was not brought to its end: nothing follows from it.
fn open(asked: &Asked) -> Option<String> {
    if let Some(obstacle) = &asked.obstacle {
        return Some(format!("the login did not end: {obstacle}"));
    }
    let authz = asked.authz.as_ref()?;
    let no_token = authz.outcome == Outcome::Code && asked.id_token.is_none();
    if authz.out_of_order() || authz.outcome == Outcome::Fault {
        Some(format!("{}: {}", authz.what, authz.describe()))
    } else {
        no_token.then(|| format!("{}: the code brought no readable ID token", authz.what))
    }
}

fn describe(asked: &Asked) -> String {
    let end = asked.authz.as_ref().map_or_else(|| "no end".into(), AuthzSeen::describe);
    match (outcome(asked), &asked.id_token) {
        (Some(Outcome::Code), Some(token)) => format!("{end}, acr {}", token.claim("acr")),
        _ => end,
    }
}

/// The login with the lowest class really has that class, so that something is left to ask for.
fn lower(seen: &Seen) -> Option<&Asked> {
    let (low, _) = seen.pair()?;
    seen.lower.as_ref().filter(|lower| lower.acr() == Some(&low.acr))
}

fn methods(asked: &Asked) -> BTreeSet<String> {
    let amr = asked.id_token.as_ref().map(|token| token.claim("amr").clone()).unwrap_or_default();
    amr.as_array().into_iter().flatten().filter_map(|method| method.as_str().map(str::to_owned)).collect()
}

/// Are there MUSTs at all to hold the login against? The class by `acr`, its factors by `amr`.
fn ends_with(asked: &Asked, acr: &str, factors: &[String], pass: &str) -> Judgement {
    if let Some(why) = open(asked) {
        return Judgement::undecided(why).cite(&asked.cites());
    }
    let cites = asked.cites();
    let judgement = match outcome(asked) {
        Some(Outcome::Code) if asked.acr() == Some(acr) => {
            let shown = methods(asked);
            let missing: Vec<&str> = factors.iter().map(String::as_str).filter(|factor| !shown.contains(*factor)).collect();
            if missing.is_empty() {
                Judgement::pass(pass)
            } else {
                Judgement::doubtful(format!("acr says so, but amr does not show {}", missing.join(", ")))
            }
        }
        Some(Outcome::Code) => Judgement::broken(format!("the user can reach the class, and {}", describe(asked))),
        _ => Judgement::broken(format!("the user can reach the class, and the request led to: {}", describe(asked))),
    };
    judgement.expected(format!("acr {acr}"), describe(asked)).cite(&cites)
}

pub(super) fn a_requested_class_is_met(seen: &Seen) -> Judgement {
    if seen.by == ClassesBy::Claims {
        return Judgement::not_applicable("the operator declares the claims parameter as the mechanism (idp.classes_by)");
    }
    let (Some(high), Some(direct)) = (seen.classes.last(), &seen.direct) else { return not_tried() };
    ends_with(direct, &high.acr, &high.factors, "the login ended with the requested class, and amr fits it")
}

pub(super) fn a_lower_session_is_stepped_up(seen: &Seen) -> Judgement {
    let Some((_, high)) = seen.pair() else { return Judgement::undecided(ONE_CLASS) };
    let Some(step) = &seen.step_up else { return not_tried() };
    let Some(before) = lower(seen) else { return Judgement::undecided(NO_LOWER) };
    if !step.page && outcome(step) == Some(Outcome::Code) {
        let remembered = !high.factors.is_empty() && high.factors.iter().all(|factor| methods(before).contains(factor));
        return if remembered {
            Judgement::undecided("the session's amr names every factor of the higher class already").cite(&step.cites())
        } else {
            Judgement::broken(format!("the higher class was answered without asking for a factor: {}", describe(step)))
                .cite(step.cites().iter().rev())
        };
    }
    let time = |asked: &Asked| asked.id_token.as_ref().and_then(|token| token.seconds("auth_time"));
    if let (Some(first), Some(second)) = (time(before), time(step))
        && second < first
    {
        return Judgement::broken("auth_time lies before that of the session's login").cite(&step.cites());
    }
    ends_with(step, &high.acr, &[], "a page asked for the missing factor, and acr is the higher class")
}

pub(super) fn no_class_is_claimed_that_was_not_reached(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let mut look = |asked: &Asked, acr: &str| {
        if asked.acr() == Some(acr) {
            found.broken(format!("{}: {}", name(asked), describe(asked)), &asked.cites());
        } else if let Some(why) = open(asked) {
            found.undecided(why, &asked.cites());
        } else {
            found.saw(&asked.cites());
        }
    };
    if let Some((_, high)) = seen.pair().filter(|_| lower(seen).is_some()) {
        let quiet = [&seen.quiet, &seen.quiet_higher, &seen.quiet_essential];
        for asked in quiet.into_iter().flatten().chain(seen.after_abort.iter().map(|(_, asked)| asked)) {
            look(asked, &high.acr);
        }
    }
    match &seen.invented {
        Some(invented) => look(invented, INVENTED),
        None => return not_tried(),
    }
    if let Some(invented) = &seen.invented_essential {
        look(invented, INVENTED);
    }
    found.conclude("no ID token carries a class that the login had not reached, and none the invented one")
}

fn name(asked: &Asked) -> &str {
    asked.authz.as_ref().map_or("the request", |authz| &authz.what)
}

pub(super) fn an_essential_class_is_met_or_refused(seen: &Seen) -> Judgement {
    if !seen.claims {
        return Judgement::not_applicable("the claims parameter is not announced, and acr_values is declared as the mechanism");
    }
    let (Some(high), Some(essential), Some(invented)) = (seen.classes.last(), &seen.essential, &seen.invented_essential) else {
        return not_tried();
    };
    let mut found = Findings::new();
    let silent = !essential.page && outcome(essential) == Some(Outcome::Code);
    let low = seen.pair().is_some_and(|(low, _)| seen.reverse.as_ref().and_then(Asked::acr) == Some(low.acr.as_str()));
    if silent && low && essential.acr() == Some(&high.acr) {
        found.broken(format!("{}: the higher class is claimed without asking for a factor", name(essential)), &essential.cites());
    } else if let Some(why) = open(essential) {
        found.undecided(why, &essential.cites());
    } else if outcome(essential) == Some(Outcome::Code) && essential.acr() == Some(&high.acr) {
        found.saw(&essential.cites());
    } else if outcome(essential) == Some(Outcome::Code) {
        found.broken(format!("{}: {}", name(essential), describe(essential)), &essential.cites());
    } else {
        found.broken(
            format!("{}: the user can reach the class, and the request led to: {}", name(essential), describe(essential)),
            &essential.cites(),
        );
    }
    if outcome(invented) == Some(Outcome::Code) {
        found.broken(format!("{}: {}", name(invented), describe(invented)), &invented.cites());
    } else if let Some(why) = open(invented) {
        found.undecided(why, &invented.cites());
    } else {
        found.saw(&invented.cites());
    }
    found.conclude("the essential class was reached by interaction, and an unknown one is no successful authentication")
}

pub(super) fn an_unreachable_class_is_not_granted(seen: &Seen) -> Judgement {
    let Some(high) = seen.classes.last() else { return not_tried() };
    // Without such a user the class that nobody defined stands for the highest one: nobody reaches it.
    let (asked, wanted) = match (&seen.lacking_login, &seen.lacking) {
        (Some(login), Some(lacking)) => {
            if let Some(why) = open(login) {
                return Judgement::undecided(format!("the control, a login of that user, failed: {why}")).cite(&login.cites());
            }
            if outcome(login) != Some(Outcome::Code) {
                return Judgement::undecided(format!("the control, a login of that user: {}", describe(login)))
                    .cite(&login.cites());
            }
            (lacking, high.acr.as_str())
        }
        _ if seen.lacking_declared => return not_tried(),
        _ => match &seen.invented {
            Some(invented) => (invented, INVENTED),
            None => return not_tried(),
        },
    };
    if asked.acr() == Some(wanted) {
        return Judgement::broken(format!("acr states a class the user cannot reach: {wanted}")).cite(asked.cites().iter().rev());
    }
    if let Some(why) = open(asked) {
        return Judgement::undecided(why).cite(&asked.cites());
    }
    let judgement = match (outcome(asked), asked.acr()) {
        (Some(Outcome::Code), None) => Judgement::broken("a code was issued, and acr is missing: the login looks granted"),
        (Some(Outcome::Code), Some(acr)) if seen.classes.iter().any(|class| class.acr == acr) => {
            Judgement::doubtful(format!("a code was issued with the lower class {acr}, which is truthful (OIDC Core 3.1.2.1)"))
        }
        (Some(Outcome::Code), Some(acr)) => {
            Judgement::broken(format!("a code was issued with acr {acr}, which no declared class has"))
        }
        _ => Judgement::pass(format!("no code: {}", describe(asked))),
    };
    judgement.cite(&asked.cites())
}

pub(super) fn the_first_class_comes_first(seen: &Seen) -> Judgement {
    if seen.by == ClassesBy::Claims {
        return Judgement::not_applicable("the operator declares the claims parameter as the mechanism (idp.classes_by)");
    }
    let Some((_, high)) = seen.pair() else { return Judgement::undecided(ONE_CLASS) };
    let Some(order) = &seen.order else { return not_tried() };
    ends_with(order, &high.acr, &[], "of two classes the first one was met")
}

pub(super) fn silence_grants_no_higher_class(seen: &Seen) -> Judgement {
    let Some((_, high)) = seen.pair() else { return Judgement::undecided(ONE_CLASS) };
    if lower(seen).is_none() {
        return Judgement::undecided(NO_LOWER);
    }
    let works = seen.quiet.as_ref().and_then(outcome) == Some(Outcome::Code);
    let mut found = Findings::new();
    for (asked, essential) in [(&seen.quiet_higher, false), (&seen.quiet_essential, true)] {
        let Some(asked) = asked else { continue };
        let cites = asked.cites();
        match outcome(asked) {
            Some(Outcome::Code) if essential => found.broken(format!("{}: {}", name(asked), describe(asked)), &cites),
            Some(Outcome::Code) if asked.acr() == Some(&high.acr) => {
                found.broken(format!("{}: the higher class is claimed without interaction", name(asked)), &cites);
            }
            _ if open(asked).is_some() => found.undecided(open(asked).unwrap_or_default(), &cites),
            _ if !works => {
                found.undecided("prompt=none without a class gave no code either, so a refusal proves nothing", &cites);
            }
            Some(Outcome::Page | Outcome::LoginPage) => {
                found.doubtful(format!("{}: a page instead of an error response", name(asked)), &cites);
            }
            _ => found.saw(&cites),
        }
    }
    if seen.quiet_higher.is_none() && seen.quiet_essential.is_none() {
        return not_tried();
    }
    found.conclude("without interaction there is an error, or an acr that tells the truth")
}

pub(super) fn amr_shows_the_added_factor(seen: &Seen) -> Judgement {
    let Some((low, high)) = seen.pair() else { return Judgement::undecided(ONE_CLASS) };
    let Some(step) = &seen.step_up else { return not_tried() };
    let Some(before) = lower(seen) else { return Judgement::undecided(NO_LOWER) };
    let added: Vec<&String> = high.factors.iter().filter(|factor| !low.factors.contains(factor)).collect();
    if added.is_empty() {
        return Judgement::undecided("idp.classes declares no factor that the highest class adds to the lowest");
    }
    if let Some(why) = open(step) {
        return Judgement::undecided(why).cite(&step.cites());
    }
    if step.acr() != Some(&high.acr) {
        return Judgement::undecided(format!("the step-up did not succeed: {}", describe(step))).cite(&step.cites());
    }
    let (first, second) = (methods(before), methods(step));
    let missing: Vec<&str> = added.iter().map(|factor| factor.as_str()).filter(|factor| !second.contains(*factor)).collect();
    // `mfa` says that there were several, not which.
    let known = |method: &&String| first.contains(*method) || high.factors.contains(method) || method.as_str() == "mfa";
    let unused: Vec<&str> = second.iter().filter(|method| !known(method)).map(String::as_str).collect();
    let judgement = if !missing.is_empty() {
        Judgement::broken(format!("amr after the step-up does not show {}", missing.join(", ")))
    } else if !unused.is_empty() {
        Judgement::broken(format!("amr after the step-up names {}, which no declared factor is", unused.join(", ")))
    } else {
        Judgement::pass("amr after the step-up shows the added factor")
    };
    let show = |methods: &BTreeSet<String>| format!("amr {}", methods.iter().cloned().collect::<Vec<_>>().join(" "));
    judgement.expected(format!("{} and {}", show(&first), added[0]), show(&second)).cite(&step.cites())
}

pub(super) fn pushed_values_count(seen: &Seen) -> Judgement {
    if !seen.par {
        return Judgement::not_applicable("no pushed_authorization_request_endpoint is advertised");
    }
    if seen.by == ClassesBy::Claims {
        return Judgement::undecided("acr_values is not the declared mechanism, so nothing shows which value counted");
    }
    let Some((low, high)) = seen.pair() else { return Judgement::undecided(ONE_CLASS) };
    let Some(pushed) = &seen.pushed else { return not_tried() };
    let works = seen.step_up.as_ref().is_some_and(|step| step.page && step.acr() == Some(&high.acr));
    if lower(seen).is_none() || !works {
        return Judgement::undecided("the step-up by acr_values did not work, so nothing shows which value counted");
    }
    let cites = pushed.cites();
    match outcome(pushed) {
        Some(Outcome::LoginPage) => Judgement::pass("the pushed class was asked for").cite(&cites),
        Some(Outcome::Code) if pushed.acr() == Some(&low.acr) => {
            Judgement::broken("the class in the browser's URL replaced the one that was pushed").cite(cites.iter().rev())
        }
        _ if open(pushed).is_some() => Judgement::undecided(open(pushed).unwrap_or_default()).cite(&cites),
        Some(Outcome::Error) => Judgement::pass(format!("the edited request was refused: {}", describe(pushed))).cite(&cites),
        _ => Judgement::undecided(describe(pushed)).cite(&cites),
    }
}

#[cfg(test)]
mod tests;
