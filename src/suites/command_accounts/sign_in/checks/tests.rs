use super::super::super::test_answers::*;
use super::super::{Joiner, Local, Migrated, Reactivated};
use super::*;
use crate::model::verdict::Call;
use crate::stage::oracle::Look;

fn look(signed_in: bool) -> Look {
    Look { signed_in, status: 200, ..Look::default() }
}

fn login(signed_in: bool) -> Attempt {
    Attempt { requests: 1, answered: true, redeemed: true, look: look(signed_in), ..Attempt::default() }
}

fn page(roles: &[&str]) -> ShownRoles {
    ShownRoles { signed_in: true, roles: roles.iter().map(|role| (*role).to_owned()).collect(), ..ShownRoles::default() }
}

fn given() -> Given {
    Given {
        value: "r".into(),
        role: vec!["R".into()],
        before: page(&[]),
        give: told(200, "active"),
        audited: Some(vec!["r".into()]),
        with: page(&["r"]),
        take: told(200, "active"),
        without: page(&["other"]),
        ..Given::default()
    }
}

fn good() -> Seen {
    Seen {
        announced: all(),
        sub: "s1".into(),
        joiner: Some(Joiner {
            before: Some(told(200, "unknown")),
            activate: told(200, "active"),
            after: Some(told(200, "active")),
            sign_in: Some(login(true)),
            ..Joiner::default()
        }),
        reactivated: Some(Reactivated {
            before: login(true),
            suspend: told(200, "suspended"),
            reactivate: told(200, "active"),
            after: Some(login(true)),
        }),
        groups: Some(given()),
        roles: Some(given()),
        local: Some(Local {
            value: "L".into(),
            played: true,
            shown: Some(false),
            audit: Some(told(200, "active")),
            ..Local::default()
        }),
        migrated: Some(Migrated {
            before: look(true),
            answer: told(200, "active"),
            sign_in: Some(login(true)),
            after: Some(look(false)),
        }),
        ..Seen::default()
    }
}

fn calls(seen: &Seen) -> Vec<Call> {
    ALL.iter().map(|check| (check.judge)(seen).call).collect()
}

#[test]
fn a_conforming_application_passes_all() {
    assert_eq!(calls(&good()), vec![Call::Pass; 6]);
    let mut refused_migration = good();
    refused_migration.migrated.as_mut().unwrap().answer = refused(403, "access_denied");
    assert_eq!(calls(&refused_migration)[5], Call::Pass);
}

#[test]
fn each_departure_is_seen_by_its_own_check() {
    type Change = fn(&mut Seen);
    let changes: [(usize, Change); 9] = [
        (0, |seen| seen.reactivated.as_mut().unwrap().reactivate = refused(403, "access_denied")),
        (0, |seen| seen.reactivated.as_mut().unwrap().after = Some(login(false))),
        (1, |seen| seen.joiner.as_mut().unwrap().activate = told(200, "suspended")),
        (1, |seen| drop(seen.joiner.as_mut().unwrap().after.as_mut().unwrap().members.insert("name".into(), "Other".into()))),
        (2, |seen| seen.groups.as_mut().unwrap().with = page(&[])),
        (3, |seen| seen.roles.as_mut().unwrap().without = page(&["R"])),
        (3, |seen| seen.roles.as_mut().unwrap().audited = Some(Vec::new())),
        (4, |seen| seen.local.as_mut().unwrap().shown = Some(true)),
        (5, |seen| seen.migrated.as_mut().unwrap().after = Some(look(true))),
    ];
    for (place, change) in changes {
        let mut seen = good();
        change(&mut seen);
        let mut wanted = vec![Call::Pass; 6];
        wanted[place] = Call::Broken;
        assert_eq!(calls(&seen), wanted, "{place}");
    }
}

#[test]
fn roles_in_one_element_are_read_one_by_one() {
    let list = |with: &[&str], without: &[&str]| Given { with: page(with), without: page(without), ..given() };
    let call = |part: Given| calls(&Seen { groups: Some(part), ..good() })[2];
    assert_eq!(call(list(&["viewer, R"], &["viewer, other"])), Call::Pass);
    assert_eq!(call(list(&["viewer, R"], &["viewer, R"])), Call::Broken);
}

#[test]
fn preconditions_that_failed_decide_nothing() {
    let mut seen = good();
    seen.reactivated.as_mut().unwrap().before = login(false);
    seen.joiner.as_mut().unwrap().before = Some(told(200, "active"));
    seen.groups.as_mut().unwrap().before = page(&["R"]);
    seen.roles.as_mut().unwrap().before = ShownRoles::default();
    seen.local.as_mut().unwrap().shown = None;
    seen.migrated.as_mut().unwrap().before = look(false);
    assert_eq!(calls(&seen), vec![Call::Undecided; 6]);
}

#[test]
fn a_page_that_cannot_be_read_shows_neither_a_role_nor_its_absence() {
    let lost = || ShownRoles { fault: "status 500 at /".into(), ..page(&[]) };
    for part in [Given { with: lost(), ..given() }, Given { without: lost(), ..given() }, Given { before: lost(), ..given() }] {
        assert_eq!(calls(&Seen { groups: Some(part), ..good() })[2], Call::Undecided);
    }
    let mut seen = good();
    seen.migrated.as_mut().unwrap().after = Some(Look { status: 500, ..Look::default() });
    assert_eq!(calls(&seen)[5], Call::Undecided);
}

#[test]
fn what_is_not_announced_does_not_apply() {
    assert_eq!(calls(&Seen { announced: Some(Vec::new()), ..Seen::default() }), vec![Call::NotApplicable; 6]);
}
