//! The checks on roles.

use super::{Forbidden, Seen};
use crate::model::Judgement;
use crate::suites::provision::{Case, effect};

pub(super) fn the_catalogue_is_read(seen: &Seen) -> Judgement {
    let (all, read) = &seen.read;
    let missing: Vec<&str> = all.iter().filter(|role| !read.iter().any(|id| id == *role)).map(String::as_str).collect();
    let judgement = effect(seen.cases.get("read"), "the roles were read, all pages", "the roles were not read completely");
    // Ids of roles need not be their values: then the count decides.
    let mut distinct = read.clone();
    distinct.sort();
    distinct.dedup();
    if !read.is_empty() && distinct.len() < all.len() && !missing.is_empty() {
        let cites = seen.cases.get("read").map(Case::cited).unwrap_or_default();
        return Judgement::broken("only the first page of the roles was read")
            .expected(all.len().to_string(), distinct.len().to_string())
            .cite(&cites);
    }
    if let Some(case) = seen.cases.get("read").filter(|case| case.obstacle.is_none() && case.reached() && read.is_empty()) {
        // The User schema names roles, but clients read schemas for other reasons as well.
        return Judgement::doubtful("/Roles was never read; the schemas were, which name the supported roles")
            .cite(&case.cited());
    }
    judgement
}

fn forbidden(of: &Forbidden, what: &str, push: Option<&Case>) -> Judgement {
    if !of.tried {
        return Judgement::undecided(push.and_then(|push| push.obstacle.as_deref()).unwrap_or("not tried"));
    }
    if of.sent {
        return Judgement::broken(format!("{what} was sent")).cite(&of.cites);
    }
    match (of.refused, of.control) {
        (_, true) => Judgement::pass(format!("{what} was not sent, and another mapping arrived")).cite(&of.cites),
        (true, false) => Judgement::undecided("the hook refused the mapping, and others did not arrive either").cite(&of.cites),
        (false, false) => Judgement::undecided("no other mapping arrived, so silence proves nothing").cite(&of.cites),
    }
}

pub(super) fn an_unsupported_role_is_not_sent(seen: &Seen) -> Judgement {
    forbidden(&seen.unsupported, "the role that is marked unsupported", seen.cases.get("push"))
}

pub(super) fn changes_of_the_catalogue_are_noticed(seen: &Seen) -> Judgement {
    let judgement = effect(seen.cases.get("new"), "the new role can be assigned", "the new role cannot be assigned");
    if seen.cases.get("new").is_some_and(Case::reached) && seen.withdrawn.sent {
        return Judgement::broken("a role that was removed from the catalogue was still sent").cite(&seen.withdrawn.cites);
    }
    judgement
}

pub(super) fn the_published_value_is_sent(seen: &Seen) -> Judgement {
    // The clause asks for one role; where a second one replaces the first, there is one at a time.
    if let (Some(push), [held]) = (seen.cases.get("push").filter(|push| push.obstacle.is_none()), &seen.held.0[..])
        && !push.reached()
        && seen.single
        && [&seen.mapped.0, &seen.mapped.1].contains(&held)
    {
        return Judgement::pass("exactly the published value is in the account; a second role replaces the first")
            .cite(&push.cited());
    }
    effect(seen.cases.get("push"), "exactly the published values are in the account", "the published values did not arrive")
}

pub(super) fn one_role_goes_and_the_other_stays(seen: &Seen) -> Judgement {
    let judgement = effect(seen.cases.get("remove"), "the one role is gone, the other is there", "the role stayed");
    let Some(case) = seen.cases.get("remove").filter(|case| case.reached()) else { return judgement };
    if seen.held.1 != [seen.mapped.1.clone()] {
        let left = if seen.held.1.is_empty() { "no role".into() } else { seen.held.1.join(", ") };
        return Judgement::broken("other roles than the unmapped one changed")
            .expected(seen.mapped.1.clone(), left)
            .cite(&case.cited());
    }
    judgement
}

pub(super) fn roles_follow_groups(seen: &Seen) -> Judgement {
    let joined = effect(seen.cases.get("group-add"), "the role came with the group", "the role of the group did not arrive");
    if seen.cases.get("group-add").is_some_and(Case::reached) {
        return effect(
            seen.cases.get("group-remove"),
            "the role came and went with the group",
            "the role stayed after the group was left",
        );
    }
    joined
}

pub(super) fn a_refused_role_stops_nothing(seen: &Seen) -> Judgement {
    let Some(refused) = seen.cases.get("refused") else { return Judgement::undecided("not tried") };
    if let Some(why) = &refused.obstacle {
        return Judgement::undecided(why.as_str());
    }
    let cites = refused.cited();
    if !refused.sent.iter().any(|sent| sent.status == 400) {
        return Judgement::undecided("no role met the refusal").cite(&cites);
    }
    match seen.cases.get("after-refusal") {
        Some(case) if case.obstacle.is_some() => {
            Judgement::undecided("the users that show whether work goes on could not be played").cite(&cites)
        }
        Some(case) if case.reached() => {
            Judgement::pass("other users were provisioned after the refusal (that it is shown is for the operator to say)")
                .cite(&cites)
        }
        Some(case) => {
            Judgement::broken("after the refusal nothing was sent about other users").cite(cites.iter().chain(&case.cited()))
        }
        None => Judgement::undecided("nothing else was tried").cite(&cites),
    }
}

pub(super) fn a_disabled_user_has_no_effective_role(seen: &Seen) -> Judgement {
    effect(
        seen.cases.get("disable"),
        "the account is inactive, or its roles are gone",
        "the disabled user's account is active with its roles",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Roles;
    use super::*;
    use crate::model::Call;
    use crate::suite::Scenario;
    use crate::suites::provision::examples::{missed, reached, sent};
    use serde_json::json;
    use std::collections::BTreeMap;

    fn good() -> Seen {
        let kinds = ["read", "push", "remove", "group-add", "group-remove", "after-refusal", "new", "disable"];
        let mut cases: BTreeMap<String, Case> = kinds.map(|kind| (kind.to_owned(), reached(Vec::new()))).into();
        let refused = crate::counterpart::scim_receiver::Sent { status: 400, ..sent("PATCH", "/Users/1", json!({})) };
        cases.insert("refused".into(), missed(vec![refused]));
        let all = vec!["reader".to_owned(), "writer".to_owned()];
        let nothing = Forbidden { tried: true, refused: true, sent: false, control: true, cites: Vec::new() };
        Seen {
            cases,
            read: (all.clone(), all.clone()),
            held: (all, vec!["writer".into()]),
            mapped: ("reader".into(), "writer".into()),
            unsupported: nothing.clone(),
            withdrawn: nothing,
            disabled_had: true,
            single: true,
        }
    }

    #[test]
    fn one_role_at_a_time_is_as_published() {
        let missing = |held: &str, single: bool| {
            let mut seen = Seen { held: (vec![held.into()], Vec::new()), single, ..good() };
            seen.cases.insert("push".into(), missed(Vec::new()));
            the_published_value_is_sent(&seen).call
        };
        assert_eq!(missing("writer", true), Call::Pass);
        assert_eq!(missing("Writer", true), Call::Broken);
        assert_eq!(missing("writer", false), Call::Broken);
    }

    #[test]
    fn roles_in_step_pass_and_nothing_seen_decides_nothing() {
        for check in Roles::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}: {}", check.clause, (check.judge)(&good()).reason);
            assert_eq!((check.judge)(&Seen::default()).call, Call::Undecided, "{}", check.clause);
        }
    }

    #[test]
    fn roles_out_of_step_are_broken() {
        let mut seen = good();
        for (what, case) in &mut seen.cases {
            if what != "refused" {
                *case = missed(Vec::new());
            }
        }
        seen.unsupported.sent = true;
        for check in Roles::CHECKS {
            assert_eq!((check.judge)(&seen).call, Call::Broken, "{}", check.clause);
        }
    }

    #[test]
    fn the_details_decide() {
        let mut seen = good();
        seen.read.1 = vec!["reader".into()];
        assert_eq!(the_catalogue_is_read(&seen).call, Call::Broken);
        seen.read.1.clear();
        assert_eq!(the_catalogue_is_read(&seen).call, Call::Doubtful);
        seen.held.1.clear();
        assert_eq!(one_role_goes_and_the_other_stays(&seen).call, Call::Broken);
        seen.withdrawn.sent = true;
        assert_eq!(changes_of_the_catalogue_are_noticed(&seen).call, Call::Broken);
        seen.unsupported.control = false;
        assert_eq!(an_unsupported_role_is_not_sent(&seen).call, Call::Undecided);
        seen.cases.insert("group-remove".into(), missed(Vec::new()));
        assert_eq!(roles_follow_groups(&seen).call, Call::Broken);
    }
}
