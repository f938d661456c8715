//! The checks on sign-ins.

use super::{Change, Seen, UNKNOWN};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::wire::seen::{AuthzSeen, Outcome, TokenSeen};

pub(super) fn a_disabled_user_gets_nothing(seen: &Seen) -> Judgement {
    let Some(disabled) = seen.disabled.as_ref().filter(|disabled| disabled.done) else {
        return Judgement::undecided(seen.obstacle.as_deref().unwrap_or("not tried"));
    };
    let mut found = Findings::new();
    match (&disabled.refresh_before, &disabled.refresh) {
        (_, Some(after)) if after.granted() => {
            found.broken("a refresh token of the disabled user still brings tokens", &after.cites);
        }
        (Some(before), Some(after)) if before.granted() && after.refused() => found.saw(&after.cites),
        (None, _) => {}
        (_, after) => {
            found.undecided(format!("the refresh: {}", after.as_ref().map(TokenSeen::describe).unwrap_or_default()), &[]);
        }
    }
    match &disabled.quiet {
        Some(quiet) if quiet.outcome == Outcome::Code => {
            found.broken("the session of the disabled user still signs in", &quiet.deciding());
        }
        Some(quiet) if quiet.out_of_order() => found.undecided(format!("prompt=none: {}", quiet.describe()), &quiet.cites),
        Some(quiet) if disabled.quiet_before && (quiet.refused() || quiet.outcome == Outcome::LoginPage) => {
            found.saw(&quiet.cites);
        }
        Some(quiet) => found.undecided(format!("prompt=none: {}", quiet.describe()), &quiet.cites),
        None => found.undecided("prompt=none was not tried", &[]),
    }
    let works = |again: &&AuthzSeen| again.outcome == Outcome::Code;
    match &disabled.full {
        Some(full) if full.outcome == Outcome::Code => found.broken("the disabled user can sign in", &full.deciding()),
        // A limit or an outage turns everybody away, and only for a while.
        Some(full) if full.out_of_order() || full.outcome == Outcome::Fault => {
            found.undecided(format!("the full sign-in: {}", full.describe()), &full.cites);
        }
        Some(full) if full.refused() || full.outcome == Outcome::LoginPage => found.saw(&full.cites),
        full => match disabled.again.as_ref().filter(works) {
            Some(again) => found.saw(&again.cites),
            None => {
                let what = full.as_ref().map(AuthzSeen::describe).or(disabled.stopped.clone()).unwrap_or_default();
                found.undecided(format!("the full sign-in: {what}; no later one shows that an enabled user gets further"), &[]);
            }
        },
    }
    found.conclude("refresh, session and sign-in of the disabled user are refused")
}

fn fresh(seen: &Seen, change: Option<&Change>, what: &str) -> Judgement {
    let Some(change) = change else { return Judgement::undecided(seen.obstacle.as_deref().unwrap_or("not tried")) };
    if let Some(why) = &change.obstacle {
        return Judgement::undecided(why.as_str());
    }
    let new = change.after.iter().filter(|value| !change.before.contains(value)).count();
    let missing: Vec<&String> = change.added.iter().filter(|value| !change.after.contains(value)).collect();
    let list = |all: &[String]| if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    let judgement = if change.foreign.iter().any(|foreign| change.after.contains(foreign)) {
        Judgement::broken(format!("the token carries {what} that are not the user's"))
    } else if missing.is_empty() {
        Judgement::pass(format!("the new {what} are in the token of the next sign-in, with their published values"))
    } else if missing.len() < change.added.len() {
        Judgement::broken(format!("the token of the next sign-in lacks `{}`", missing[0]))
    } else if what == "groups" && new > change.added.len() {
        Judgement::undecided(format!(
            "{new} more groups are in the token, by other names, and the user joined {}: whose they are cannot be told",
            change.added.len()
        ))
    } else if what == "groups" && new == change.added.len() {
        // Directories name groups in tokens by ids of their own.
        Judgement::pass(format!("{new} more groups are in the token of the next sign-in, by another name"))
    } else {
        Judgement::broken(format!("the token of the next sign-in does not follow: {what} are stale or named otherwise"))
    };
    judgement.expected(list(&change.added), list(&change.after)).cite(change.cites.iter().rev())
}

pub(super) fn groups_in_tokens_are_fresh(seen: &Seen) -> Judgement {
    fresh(seen, seen.groups.as_ref(), "groups")
}

pub(super) fn roles_in_tokens_are_fresh(seen: &Seen) -> Judgement {
    fresh(seen, seen.roles.as_ref(), "roles")
}

pub(super) fn all_ways_say_the_same_groups(seen: &Seen) -> Judgement {
    if seen.sets.len() < 2 {
        return Judgement::undecided(seen.obstacle.as_deref().unwrap_or("the user's groups were seen by one way only"));
    }
    let told = seen
        .sets
        .iter()
        .map(|(way, groups)| format!("{way}: {}", if groups.is_empty() { "none".into() } else { groups.join(", ") }));
    let told = told.collect::<Vec<_>>().join("; ");
    let cites = seen.groups.as_ref().map(|change| change.cites.clone()).unwrap_or_default();
    if seen.sets.iter().all(|(_, groups)| groups.is_empty()) {
        return Judgement::undecided("no way shows a group, so agreement proves nothing").cite(&cites);
    }
    let differ = |other: &[String]| other != seen.sets[0].1;
    // As many groups, and those that differ have a name that nothing translates: ids of the directory's own, where SCIM has names.
    let other_names =
        seen.sets.iter().filter(|(_, groups)| differ(groups)).all(|(_, groups)| untranslated(&seen.sets[0].1, groups));
    if seen.sets.iter().any(|(_, groups)| differ(groups)) {
        if other_names {
            return Judgement::undecided(format!("the ways name groups differently, and nothing says which is which: {told}"))
                .cite(&cites);
        }
        return Judgement::broken("the ways differ").expected("the same groups", told).cite(&cites);
    }
    Judgement::pass(told).cite(&cites)
}

/// Two lists of equal length, of which one names by unknown words all that the other names by the run's groups.
fn untranslated(one: &[String], other: &[String]) -> bool {
    let left: Vec<&String> = one.iter().filter(|group| !other.contains(group)).collect();
    let right: Vec<&String> = other.iter().filter(|group| !one.contains(group)).collect();
    let unknown = |all: &[&String]| all.iter().all(|group| group.starts_with(UNKNOWN));
    left.len() == right.len() && (unknown(&left) != unknown(&right))
}

#[cfg(test)]
mod tests {
    use super::super::{Disabled, SignIn};
    use super::*;
    use crate::model::Call;
    use crate::suite::Scenario;
    use crate::suites::blocks::examples::{authz, token};

    fn good() -> Seen {
        let change = |added: &str| Change {
            before: vec!["all".into()],
            added: vec![added.into()],
            foreign: vec!["other".into()],
            after: vec!["all".into(), added.into()],
            ..Change::default()
        };
        Seen {
            groups: Some(change("g")),
            roles: Some(change("r")),
            sets: vec![("token".into(), vec!["g".into()]), ("scim".into(), vec!["g".into()])],
            disabled: Some(Disabled {
                done: true,
                refresh_before: Some(token(200, &["access_token"])),
                quiet_before: true,
                refresh: Some(token(400, &[])),
                quiet: Some(authz(Outcome::Error)),
                stopped: Some("no field for a password".into()),
                again: Some(authz(Outcome::Code)),
                ..Disabled::default()
            }),
            obstacle: None,
        }
    }

    #[test]
    fn sign_ins_in_step_pass_and_nothing_seen_decides_nothing() {
        for check in SignIn::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}: {}", check.clause, (check.judge)(&good()).reason);
            assert_eq!((check.judge)(&Seen::default()).call, Call::Undecided, "{}", check.clause);
        }
    }

    #[test]
    fn sign_ins_out_of_step_are_broken() {
        let mut seen = good();
        seen.groups.as_mut().unwrap().after = vec!["all".into()];
        seen.roles.as_mut().unwrap().after = vec!["all".into(), "Reader".into()];
        seen.sets[1].1.clear();
        seen.disabled.as_mut().unwrap().refresh = Some(token(200, &["access_token"]));
        for check in SignIn::CHECKS {
            assert_eq!((check.judge)(&seen).call, Call::Broken, "{}", check.clause);
        }
        seen = good();
        seen.groups.as_mut().unwrap().after.push("other".into());
        assert_eq!(groups_in_tokens_are_fresh(&seen).call, Call::Broken);
        seen.disabled.as_mut().unwrap().full = Some(authz(Outcome::Code));
        assert_eq!(a_disabled_user_gets_nothing(&seen).call, Call::Broken);
        seen = good();
        seen.disabled.as_mut().unwrap().quiet_before = false;
        assert_eq!(a_disabled_user_gets_nothing(&seen).call, Call::Undecided);
        // A sign-in that stops halfway is a refusal only where it works for an enabled user.
        seen = good();
        seen.disabled.as_mut().unwrap().again = None;
        assert_eq!(a_disabled_user_gets_nothing(&seen).call, Call::Undecided);
        seen.disabled.as_mut().unwrap().full = Some(authz(Outcome::Error));
        assert_eq!(a_disabled_user_gets_nothing(&seen).call, Call::Pass);
    }

    #[test]
    fn ids_that_nothing_translates_decide_nothing() {
        let with = |token: &[&str]| {
            let mut seen = good();
            seen.sets[0].1 = token.iter().map(|group| (*group).to_owned()).collect();
            all_ways_say_the_same_groups(&seen).call
        };
        assert_eq!(with(&["another (8d2f)"]), Call::Undecided);
        assert_eq!(with(&["another (8d2f)", "another (11aa)"]), Call::Broken);
        assert_eq!(with(&["h"]), Call::Broken);
    }

    #[test]
    fn every_new_group_must_be_in_the_token_by_its_name_or_another() {
        let with = |after: &[&str]| {
            let mut seen = good();
            let groups = seen.groups.as_mut().unwrap();
            groups.added = vec!["g".into(), "h".into()];
            groups.after = after.iter().map(|group| (*group).to_owned()).collect();
            groups_in_tokens_are_fresh(&seen).call
        };
        assert_eq!(with(&["all", "g", "h"]), Call::Pass);
        assert_eq!(with(&["all", "g"]), Call::Broken);
        assert_eq!(with(&["all", "id-1", "id-2"]), Call::Pass);
        assert_eq!(with(&["all", "id-1"]), Call::Broken);
        // The other group, of which the user is no member, may be among them.
        assert_eq!(with(&["all", "id-1", "id-2", "id-3"]), Call::Undecided);
    }
}
