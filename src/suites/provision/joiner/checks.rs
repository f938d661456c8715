//! The checks on joiners and movers.

use super::Seen;
use crate::counterpart::scim_receiver::Sent;
use crate::counterpart::scim_receiver::strict::member;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suites::provision::course::SILENT;
use crate::suites::provision::{Case, effect};

pub(super) fn an_assigned_user_is_created(seen: &Seen) -> Judgement {
    let Some(case) = seen.cases.get("create").filter(|case| case.obstacle.is_none()) else {
        return effect(seen.cases.get("create"), "", "");
    };
    let cites = case.cited();
    match &seen.unlike {
        Some(external) if external.is_empty() => {
            return Judgement::broken(
                "the account that the hook names holds neither name, address nor id of the user who was assigned",
            )
            .cite(&cites);
        }
        Some(external) => {
            return Judgement::undecided(format!(
                "the account that the hook names holds no name and no address of the user; whose the externalId `{external}` is cannot be told"
            ))
            .cite(&cites);
        }
        None => {}
    }
    if !case.reached() && seen.silent {
        return Judgement::undecided(SILENT).cite(&case.cites);
    }
    if !case.reached() && !seen.unclaimed.is_empty() {
        return Judgement::undecided(format!(
            "{} accounts were created in which no user of the run is to be recognised; hook assign-user may print the id of the user's",
            seen.unclaimed.len()
        ))
        .cite(&seen.unclaimed);
    }
    effect(Some(case), "the account was created", "no account was created before a sign-in")
}

/// A lookup: a filtered list, or a search.
fn looks_up(sent: &Sent) -> bool {
    let filtered = sent.query.iter().any(|(name, _)| name.eq_ignore_ascii_case("filter"));
    (sent.method == "GET" && (filtered || sent.path.starts_with("/Users"))) || sent.path.ends_with("/.search")
}

pub(super) fn what_is_there_is_linked(seen: &Seen) -> Judgement {
    let Some(case) = seen.cases.get("link") else { return Judgement::undecided("not tried") };
    if let Some(why) = &case.obstacle {
        return Judgement::undecided(why.as_str());
    }
    let cites = case.cited();
    match &seen.other {
        Some((made, false)) => {
            return Judgement::broken(
                "the account with the user's name and address was not looked for and stays as it is; another one was made",
            )
            .cite([made]);
        }
        Some((made, true)) => {
            return Judgement::undecided(
                "the client searched, found no account and made another one: what it searches by cannot be told",
            )
            .cite([made]);
        }
        None => {}
    }
    if seen.linked_accounts > 1 {
        return Judgement::broken(format!("there are {} accounts for one user", seen.linked_accounts)).cite(&cites);
    }
    let refused = case.sent.iter().position(|sent| sent.method == "POST" && sent.status == 409);
    let looked = case.sent.iter().any(looks_up);
    let updated = case.done().any(|sent| sent.method != "POST");
    // A search that never finds the account, between posts that are refused, links nothing.
    let refusals = case.sent.iter().filter(|sent| sent.method == "POST" && sent.path == "/Users" && sent.status == 409).count();
    match refused {
        Some(at) if !updated && refusals > 1 => {
            Judgement::broken("the user was posted again and again, refused with 409, and not linked").cite([&case.sent[at].cite])
        }
        Some(at)
            if !case.sent[at + 1..].iter().any(looks_up)
                && !case.sent[at + 1..].iter().any(|sent| sent.ok() && sent.writes()) =>
        {
            Judgement::broken("the user was posted, refused with 409, and not linked").cite([&case.sent[at].cite])
        }
        _ if case.sent.iter().any(|sent| sent.method == "POST" && sent.ok()) => {
            Judgement::broken("the user was posted again").cite(&cites)
        }
        _ if updated => Judgement::pass("the account that was there was found and updated").cite(&cites),
        _ if looked => Judgement::pass("the account that was there was looked up, and no second one made").cite(&cites),
        _ => Judgement::undecided(format!("nothing was sent about the user within {:.0} s", case.limit_s)).cite(&cites),
    }
}

/// One of the two is the name that the renamed user has afterwards: who renames by a new account rightly sends the same externalId.
fn renamed(one: &str, other: &str) -> bool {
    [one, other].iter().any(|name| name.to_ascii_lowercase().contains("joiner-renamed"))
}

pub(super) fn the_creation_is_valid(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let mut names: Vec<(String, String)> = Vec::new();
    for sent in &seen.created {
        let cite = [sent.cite.clone()];
        for fault in &sent.faults {
            found.broken(format!("{}: {fault}", sent.describe()), &cite);
        }
        for odd in &sent.odd {
            found.doubtful(odd.clone(), &cite);
        }
        let Some(body) = sent.body.as_object() else { continue };
        let text = |name: &str| member(body, name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let (external, user) = (text("externalId"), text("userName"));
        if external.is_empty() {
            found.broken("externalId is missing", &cite);
        } else if names
            .iter()
            .any(|(known, other)| *known == external && !other.eq_ignore_ascii_case(&user) && !renamed(other, &user))
        {
            found.broken(format!("two users have the externalId `{external}`"), &cite);
        }
        names.push((external, user));
        if member(body, "active").is_none() {
            found.doubtful("active is left out", &cite);
        }
        let emails = member(body, "emails").and_then(|value| value.as_array()).map_or(&[][..], Vec::as_slice);
        if !emails.iter().any(|email| email["primary"] == true) {
            found.doubtful("no address is marked as primary", &cite);
        }
        found.saw(&cite);
    }
    if seen.created.is_empty() {
        Judgement::undecided("no user was created by POST")
    } else {
        found.conclude(format!("{} creations are valid", seen.created.len()))
    }
}

pub(super) fn the_server_id_is_used(seen: &Seen) -> Judgement {
    let later: Vec<&Sent> =
        seen.story.iter().filter(|sent| sent.path.starts_with("/Users/") && !sent.path.ends_with("/.search")).collect();
    let mut found = Findings::new();
    for sent in &later {
        let id = sent.path.trim_start_matches("/Users/");
        if seen.ids.iter().any(|known| known == id) {
            found.saw(std::slice::from_ref(&sent.cite));
        } else {
            found.broken(
                format!("{} addresses something else than the id that the server gave", sent.describe()),
                std::slice::from_ref(&sent.cite),
            );
        }
    }
    if later.is_empty() {
        Judgement::undecided("no later request addresses the account")
    } else {
        found.conclude(format!("{} requests address the server's id", later.len()))
    }
}

pub(super) fn a_change_arrives(seen: &Seen) -> Judgement {
    effect(seen.cases.get("update"), "the new value was stored", "the new value did not arrive")
}

pub(super) fn a_cleared_value_goes(seen: &Seen) -> Judgement {
    effect(seen.cases.get("clear"), "the value is gone", "the cleared value is still there")
}

pub(super) fn an_update_leaves_the_rest(seen: &Seen) -> Judgement {
    if seen.own_mapped {
        return Judgement::undecided(
            "the identity service sends preferredLanguage itself: it is no attribute of the application's own",
        );
    }
    let cites = seen.cases.get("update").map(Case::cited).unwrap_or_default();
    match seen.own_kept {
        None => Judgement::undecided("no update was seen").cite(&cites),
        Some(true) => Judgement::pass("the application's own preferredLanguage is unchanged after the update").cite(&cites),
        Some(false) => {
            Judgement::broken("the update wiped preferredLanguage, which the identity service does not manage").cite(&cites)
        }
    }
}

pub(super) fn a_renamed_user_keeps_the_account(seen: &Seen) -> Judgement {
    let judgement = effect(seen.cases.get("rename"), "the same account has the new name", "the new name did not arrive");
    let Some(case) = seen.cases.get("rename").filter(|case| case.obstacle.is_none()) else { return judgement };
    if let Some(post) = case.sent.iter().find(|sent| sent.method == "POST" && sent.path == "/Users") {
        return Judgement::broken(format!("the new name was posted as a new user (answered {})", post.status)).cite([&post.cite]);
    }
    if case.reached() && case.state == "another account" {
        return Judgement::broken("the new name stands in another account").cite(&case.cited());
    }
    judgement
}

pub(super) fn a_race_makes_no_duplicates(seen: &Seen) -> Judgement {
    let cites: Vec<_> = seen.race_lost.iter().map(|sent| sent.cite.clone()).collect();
    if let Some(more) = seen.race.iter().find(|accounts| **accounts > 1) {
        return Judgement::broken(format!("one user has {more} accounts")).cite(&cites);
    }
    if let Some(why) = &seen.race_obstacle {
        return Judgement::undecided(why.as_str());
    }
    if seen.race.is_empty() {
        return Judgement::undecided("not tried");
    }
    if !seen.race_lost.iter().any(|sent| sent.fault.as_deref().is_some_and(|fault| fault.contains("lost"))) {
        return Judgement::undecided("no creation met the lost answer").cite(&cites);
    }
    let missing = seen.race.iter().filter(|accounts| **accounts == 0).count();
    if missing > 0 {
        return Judgement::undecided(format!("{missing} of {} users did not arrive", seen.race.len())).cite(&cites);
    }
    let refused = seen.race_lost.iter().position(|sent| sent.method == "POST" && sent.status == 409);
    if let Some(at) = refused
        && !seen.race_lost[at + 1..].iter().any(|sent| looks_up(sent) || (sent.writes() && sent.ok()))
    {
        return Judgement::broken("after the lost answer the user was posted again, refused with 409, and left unlinked")
            .cite([&seen.race_lost[at].cite]);
    }
    Judgement::pass(format!("{} users, one account each", seen.race.len())).cite(&cites)
}

#[cfg(test)]
mod tests {
    use super::super::Joiner;
    use super::*;
    use crate::counterpart::scim_client::USER;
    use crate::model::Call;
    use crate::suite::Scenario;
    use crate::suites::provision::examples::{missed, reached, sent};
    use serde_json::json;

    fn post(external: &str, name: &str) -> Sent {
        let email = json!([{"value": name, "primary": true}]);
        sent(
            "POST",
            "/Users",
            json!({"schemas": [USER], "userName": name, "externalId": external, "active": true, "emails": email}),
        )
    }

    fn look() -> Sent {
        Sent { query: vec![("filter".into(), "userName eq \"a\"".into())], ..sent("GET", "/Users", json!(null)) }
    }

    fn good() -> Seen {
        let patch = || sent("PATCH", "/Users/1", json!({}));
        let cases = [
            ("create", reached(vec![look(), post("1", "a")])),
            ("link", reached(vec![look(), patch()])),
            ("update", reached(vec![patch()])),
            ("clear", reached(vec![patch()])),
            ("rename", reached(vec![patch()])),
        ];
        let lost = Sent { status: 0, fault: Some("carried out, answer lost".into()), ..post("2", "b") };
        Seen {
            cases: cases.map(|(what, case)| (what.to_owned(), case)).into(),
            linked_accounts: 1,
            own_kept: Some(true),
            ids: vec!["1".into()],
            story: vec![patch()],
            race: vec![1; 5],
            race_lost: vec![lost, look()],
            created: vec![post("1", "a"), post("2", "b")],
            ..Seen::default()
        }
    }

    #[test]
    fn joiners_that_arrive_pass_and_nothing_seen_decides_nothing() {
        for check in Joiner::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}: {}", check.clause, (check.judge)(&good()).reason);
            assert_eq!((check.judge)(&Seen::default()).call, Call::Undecided, "{}", check.clause);
        }
    }

    #[test]
    fn what_does_not_arrive_is_broken() {
        let mut seen = good();
        for case in seen.cases.values_mut() {
            *case = missed(Vec::new());
        }
        for check in [an_assigned_user_is_created, a_change_arrives, a_cleared_value_goes, a_renamed_user_keeps_the_account] {
            assert_eq!(check(&seen).call, Call::Broken);
        }
        assert_eq!(what_is_there_is_linked(&seen).call, Call::Undecided);
    }

    #[test]
    fn an_account_that_only_the_hook_knows_must_be_the_users() {
        let seen = |unlike: &str| Seen { unlike: Some(unlike.into()), ..good() };
        assert_eq!(an_assigned_user_is_created(&seen("")).call, Call::Broken);
        assert_eq!(an_assigned_user_is_created(&seen("8d2f")).call, Call::Undecided);
    }

    #[test]
    fn silence_and_accounts_of_nobody_decide_nothing() {
        let absent = || Seen { cases: [("create".to_owned(), missed(Vec::new()))].into(), ..Seen::default() };
        assert_eq!(an_assigned_user_is_created(&absent()).call, Call::Broken);
        assert_eq!(an_assigned_user_is_created(&Seen { silent: true, ..absent() }).call, Call::Undecided);
        let unclaimed = vec!["x0007".to_owned()];
        assert_eq!(an_assigned_user_is_created(&Seen { unclaimed, ..absent() }).call, Call::Undecided);
    }

    #[test]
    fn another_account_without_a_search_is_broken() {
        let seen = |searched| Seen { other: Some(("x0007".into(), searched)), ..good() };
        assert_eq!(what_is_there_is_linked(&seen(false)).call, Call::Broken);
        assert_eq!(what_is_there_is_linked(&seen(true)).call, Call::Undecided);
    }

    #[test]
    fn a_blind_creation_is_broken() {
        let refused = || Sent { status: 409, ..post("1", "a") };
        let mut seen = good();
        seen.cases.insert("link".into(), reached(vec![refused()]));
        assert_eq!(what_is_there_is_linked(&seen).call, Call::Broken);
        seen.cases.insert("link".into(), reached(vec![refused(), look(), sent("PATCH", "/Users/1", json!({}))]));
        assert_eq!(what_is_there_is_linked(&seen).call, Call::Pass);
        seen.cases.insert("link".into(), missed(vec![look(), refused(), look(), refused(), look()]));
        assert_eq!(what_is_there_is_linked(&seen).call, Call::Broken);
        seen.linked_accounts = 2;
        assert_eq!(what_is_there_is_linked(&seen).call, Call::Broken);
        let mut seen = good();
        seen.race_lost.remove(1);
        seen.race_lost.push(refused());
        assert_eq!(a_race_makes_no_duplicates(&seen).call, Call::Broken);
        seen.race[2] = 2;
        assert_eq!(a_race_makes_no_duplicates(&seen).call, Call::Broken);
        seen = good();
        seen.race[2] = 0;
        assert_eq!(a_race_makes_no_duplicates(&seen).call, Call::Undecided);
    }

    #[test]
    fn creations_are_read_strictly() {
        let mut seen = good();
        seen.created[0].body.as_object_mut().unwrap().remove("externalId");
        assert_eq!(the_creation_is_valid(&seen).call, Call::Broken);
        seen = good();
        seen.created[1] = post("1", "b");
        assert_eq!(the_creation_is_valid(&seen).call, Call::Broken);
        // A renamed user may be made anew.
        seen.created[1] = post("1", "suite.joiner-renamed.run@x.test");
        assert_eq!(the_creation_is_valid(&seen).call, Call::Pass);
        seen = good();
        seen.created[0].odd.push("a password is sent".into());
        assert_eq!(the_creation_is_valid(&seen).call, Call::Doubtful);
        seen.created[0].faults.push("schemas is missing".into());
        assert_eq!(the_creation_is_valid(&seen).call, Call::Broken);
    }

    #[test]
    fn wrong_addresses_and_wiped_attributes_are_broken() {
        let mut seen = good();
        seen.story.push(sent("PATCH", "/Users/anna@x", json!({})));
        assert_eq!(the_server_id_is_used(&seen).call, Call::Broken);
        seen.own_kept = Some(false);
        assert_eq!(an_update_leaves_the_rest(&seen).call, Call::Broken);
        seen.own_mapped = true;
        assert_eq!(an_update_leaves_the_rest(&seen).call, Call::Undecided);
        seen.cases.insert("rename".into(), reached(vec![post("1", "new")]));
        assert_eq!(a_renamed_user_keeps_the_account(&seen).call, Call::Broken);
    }
}
