//! What the logins that a third party started show.

use super::Seen;
use super::visit::{Journey, Purpose};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suites::blocks::NO_CONTROL;

const KEY: &str = "app.initiate_login_uri is not configured";
const NO_LOGIN: &str =
    "the initiation endpoint with the right issuer did not start a login before and after: see sl1.app.third-party-login";

impl Seen {
    fn of(&self, purpose: Purpose) -> impl Iterator<Item = &Journey> {
        self.others.iter().filter(move |journey| journey.purpose == purpose)
    }

    /// The control of everything but the plain login: the right issuer starts a login that completes, before and after.
    fn basic(&self) -> bool {
        self.get.len() > 1 && self.get.iter().all(Journey::completed)
    }

    /// Why a clause cannot be decided.
    fn missing(&self, purposes: &[Purpose]) -> Option<Judgement> {
        if !self.declared {
            return Some(Judgement::not_configured(KEY));
        }
        let tried = purposes.iter().all(|purpose| self.of(*purpose).next().is_some());
        (!tried).then(|| Judgement::undecided(NO_LOGIN).cite(self.get.iter().flat_map(|journey| &journey.cites)))
    }
}

/// A login must come of it; `control` is the login that shows the application to be in order.
fn must_complete(found: &mut Findings, journey: &Journey, control: bool, no_control: &str) {
    if journey.completed() {
        found.saw(&journey.cites);
    } else if let Some(why) = journey.unclear() {
        found.undecided(format!("{}: {why}", journey.attempt.label), &journey.cites);
    } else if control {
        found.broken(format!("{}: {}", journey.attempt.label, journey.describe()), &journey.cites);
    } else {
        found.undecided(format!("{}: {}; {no_control}", journey.attempt.label, journey.describe()), &journey.cites);
    }
}

pub(super) fn get_starts_a_login(seen: &Seen) -> Judgement {
    if !seen.declared {
        return Judgement::not_configured(KEY);
    }
    let mut found = Findings::new();
    for journey in &seen.get {
        must_complete(&mut found, journey, seen.held, NO_CONTROL);
        if journey.completed() && !journey.at_main {
            found.broken("the authorization request went to another issuer than the one named", &journey.cites);
        }
    }
    if seen.get.is_empty() {
        return Judgement::undecided("nothing was tried");
    }
    found.conclude("a new authorization request arrives and the login completes")
}

pub(super) fn post_starts_a_login(seen: &Seen) -> Judgement {
    if let Some(judgement) = seen.missing(&[Purpose::Post]) {
        return judgement;
    }
    let mut found = Findings::new();
    for journey in seen.of(Purpose::Post) {
        must_complete(&mut found, journey, seen.basic(), NO_LOGIN);
    }
    found.conclude("a form of another site starts the login as well")
}

pub(super) fn an_unknown_issuer_is_not_asked(seen: &Seen) -> Judgement {
    if let Some(judgement) = seen.missing(&[Purpose::Foreign]) {
        return judgement;
    }
    let mut found = Findings::new();
    if !seen.fetched.is_empty() {
        found.broken("the application fetched the metadata of an issuer that is not configured", &seen.fetched);
    }
    let mut fell_back = false;
    for journey in seen.of(Purpose::Foreign) {
        let what = &journey.attempt.label;
        if journey.reached || journey.misled {
            found.broken(format!("{what}: the browser was sent there"), &journey.cites);
        } else if let Some(why) = journey.unclear() {
            found.undecided(format!("{what}: {why}"), &journey.cites);
        } else if !seen.basic() {
            found.undecided(format!("{what}: {NO_LOGIN}"), &journey.cites);
        } else {
            fell_back |= journey.attempt.answered;
            found.saw(&journey.cites);
        }
    }
    let how = if fell_back { "a login at the configured issuer starts instead" } else { "no login starts" };
    found.conclude(format!("an issuer that is not configured is neither asked nor are users sent there; {how}"))
}

pub(super) fn the_target_link_leads_nowhere_else(seen: &Seen) -> Judgement {
    if let Some(judgement) = seen.missing(&[Purpose::Target, Purpose::DeepLink]) {
        return judgement;
    }
    let mut found = Findings::new();
    for journey in seen.of(Purpose::Target) {
        let what = &journey.attempt.label;
        if journey.reached {
            found.broken(format!("{what}: the browser was sent there"), &journey.cites);
        } else if let Some(why) = journey.unclear() {
            found.undecided(format!("{what}: {why}"), &journey.cites);
        } else if !seen.basic() {
            found.undecided(format!("{what}: {NO_LOGIN}"), &journey.cites);
        } else {
            found.saw(&journey.cites);
        }
    }
    let mut followed = false;
    for journey in seen.of(Purpose::DeepLink) {
        followed |= journey.deep;
        if journey.completed() {
            found.saw(&journey.cites);
        } else if let Some(why) = journey.unclear() {
            found.undecided(format!("{}: {why}", journey.attempt.label), &journey.cites);
        } else {
            found.doubtful(format!("a link within the application stops the login: {}", journey.describe()), &journey.cites);
        }
    }
    found.conclude(if followed {
        "the user is sent to links within the application and nowhere else"
    } else {
        "target_link_uri is ignored: the user is sent nowhere else, and not to links within the application either"
    })
}

pub(super) fn the_login_hint_is_passed_on(seen: &Seen) -> Judgement {
    if let Some(judgement) = seen.missing(&[Purpose::Hint]) {
        return judgement;
    }
    let mut found = Findings::new();
    for journey in seen.of(Purpose::Hint) {
        must_complete(&mut found, journey, seen.basic(), NO_LOGIN);
        if journey.attempt.answered && !journey.dropped.is_empty() {
            found.broken("the authorization request has no login_hint", &journey.cites);
        }
        for (_, value) in &journey.altered {
            found.broken(format!("login_hint was altered to {value}"), &journey.cites);
        }
    }
    found.conclude("the authorization request carries the login_hint unchanged")
}

pub(super) fn other_parameters_do_no_harm(seen: &Seen) -> Judgement {
    if let Some(judgement) = seen.missing(&[Purpose::Unknown, Purpose::Enterprise, Purpose::ClientId]) {
        return judgement;
    }
    let mut found = Findings::new();
    for journey in seen.of(Purpose::Unknown) {
        must_complete(&mut found, journey, seen.basic(), NO_LOGIN);
    }
    let mut forwarded = false;
    for journey in seen.of(Purpose::Enterprise) {
        for (name, value) in &journey.altered {
            found.broken(format!("{name} was altered to {value}"), &journey.cites);
        }
        forwarded |= journey.attempt.answered && journey.dropped.is_empty() && journey.altered.is_empty();
        match journey.unclear() {
            _ if journey.completed() => found.saw(&journey.cites),
            Some(why) => found.undecided(format!("{}: {why}", journey.attempt.label), &journey.cites),
            // An application may know the tenant parameter and not this tenant.
            None => found.doubtful(format!("domain_hint and tenant stop the login: {}", journey.describe()), &journey.cites),
        }
    }
    for journey in seen.of(Purpose::ClientId) {
        // Refusing the client_id of somebody else is as good as ignoring it.
        match journey.altered.first() {
            Some((_, value)) => {
                found.broken(
                    format!("the authorization request was sent with client_id {value} of somebody else"),
                    &journey.cites,
                );
            }
            None => found.saw(&journey.cites),
        }
    }
    found.conclude(if forwarded {
        "unknown parameters are ignored, domain_hint and tenant are forwarded unchanged"
    } else {
        "unknown parameters are ignored; domain_hint and tenant are not both forwarded, which is optional"
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::stage::oracle::Look;
    use crate::stage::visitor::Attempt;

    fn journey(purpose: Purpose, completed: bool) -> Journey {
        let look = Look { signed_in: completed, ..Look::default() };
        let attempt = Attempt { label: "try".into(), requests: 1, answered: completed, look, ..Attempt::default() };
        Journey {
            purpose,
            attempt,
            at_main: true,
            status: if completed { 200 } else { 400 },
            cites: vec!["x1".into()],
            ..Journey::default()
        }
    }

    fn good() -> Seen {
        use Purpose::{ClientId, DeepLink, Enterprise, Foreign, Get, Hint, Post, Target, Unknown};
        let others = [Post, Target, DeepLink, Hint, Unknown, Enterprise, ClientId].map(|purpose| journey(purpose, true));
        let get = vec![journey(Get, true), journey(Get, true)];
        let others = others.into_iter().chain([journey(Foreign, false)]).collect();
        Seen { declared: true, held: true, get, others, fetched: Vec::new() }
    }

    const ALL: [fn(&Seen) -> Judgement; 6] = [
        get_starts_a_login,
        post_starts_a_login,
        an_unknown_issuer_is_not_asked,
        the_target_link_leads_nowhere_else,
        the_login_hint_is_passed_on,
        other_parameters_do_no_harm,
    ];

    fn change(purpose: Purpose, edit: impl Fn(&mut Journey)) -> Seen {
        let mut seen = good();
        seen.others.iter_mut().filter(|journey| journey.purpose == purpose).for_each(edit);
        seen
    }

    fn fail(journey: &mut Journey) {
        (journey.attempt.answered, journey.attempt.look.signed_in, journey.status) = (false, false, 400);
    }

    #[test]
    fn a_conforming_application_passes_everything() {
        for judge in ALL {
            assert_eq!(judge(&good()).call, Call::Pass, "{}", judge(&good()).reason);
        }
    }

    #[test]
    fn each_finding_is_found() {
        let mut get = good();
        get.get.truncate(1);
        fail(&mut get.get[0]);
        get.others.clear();
        assert_eq!(get_starts_a_login(&get).call, Call::Broken);
        assert_eq!(post_starts_a_login(&change(Purpose::Post, fail)).call, Call::Broken);
        let sent_there = change(Purpose::Foreign, |journey| journey.misled = true);
        assert_eq!(an_unknown_issuer_is_not_asked(&sent_there).call, Call::Broken);
        let asked = Seen { fetched: vec!["x9".into()], ..good() };
        assert_eq!(an_unknown_issuer_is_not_asked(&asked).call, Call::Broken);
        let away = change(Purpose::Target, |journey| journey.reached = true);
        assert_eq!(the_target_link_leads_nowhere_else(&away).call, Call::Broken);
        let dropped = change(Purpose::Hint, |journey| journey.dropped = vec!["login_hint".into()]);
        assert_eq!(the_login_hint_is_passed_on(&dropped).call, Call::Broken);
        assert_eq!(other_parameters_do_no_harm(&change(Purpose::Unknown, fail)).call, Call::Broken);
        let altered = change(Purpose::ClientId, |journey| journey.altered = vec![("client_id".into(), "other".into())]);
        assert_eq!(other_parameters_do_no_harm(&altered).call, Call::Broken);
    }

    #[test]
    fn without_a_login_to_compare_with_nothing_is_decided() {
        let mut seen = good();
        seen.held = false;
        fail(&mut seen.get[1]);
        for judge in [get_starts_a_login, an_unknown_issuer_is_not_asked, the_target_link_leads_nowhere_else] {
            assert_eq!(judge(&seen).call, Call::Undecided);
        }
        let alone = Seen { get: vec![journey(Purpose::Get, false)], others: Vec::new(), ..good() };
        for judge in &ALL[1..] {
            assert_eq!(judge(&alone).call, Call::Undecided);
        }
        for judge in ALL {
            assert_eq!(judge(&Seen::default()).call, Call::NotConfigured);
        }
    }

    #[test]
    fn an_answer_that_may_come_later_decides_nothing() {
        let busy = change(Purpose::Post, |journey| {
            fail(journey);
            journey.status = 429;
        });
        assert_eq!(post_starts_a_login(&busy).call, Call::Undecided);
    }

    #[test]
    fn refusing_or_ignoring_what_is_optional_is_no_finding() {
        assert_eq!(the_target_link_leads_nowhere_else(&change(Purpose::Target, fail)).call, Call::Pass);
        assert_eq!(other_parameters_do_no_harm(&change(Purpose::ClientId, fail)).call, Call::Pass);
        let ignored = change(Purpose::Enterprise, |journey| journey.dropped = vec!["tenant".into()]);
        assert_eq!(other_parameters_do_no_harm(&ignored).call, Call::Pass);
        assert_eq!(the_target_link_leads_nowhere_else(&change(Purpose::DeepLink, fail)).call, Call::Doubtful);
    }
}
