//! What assignments of roles must lead to, by the user's record.

use super::assigning::roles;
use super::{Probes, Seen};
use crate::counterpart::scim_client::Answer;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suites::scim_blocks::{carried_out, cite, is_active, prepared, says_nothing, told};

/// The assignments, after the control: a role that exists is stored. Else why nothing can be concluded.
fn probes(seen: &Seen) -> Result<&Probes, Judgement> {
    if !seen.by_scim {
        return Err(Judgement::not_applicable("lifecycle.role_ways does not name scim"));
    }
    let Some(probes) = &seen.probes else {
        return Err(Judgement::undecided(
            "no role is exposed that can be assigned by its value (see al3.app.roles-exposed), or no user could be made",
        ));
    };
    let (value, change) = &probes.first;
    if !change.ok() {
        let text = format!("the control: role `{value}`, which is exposed, cannot be assigned: {}", told(change));
        return Err(Judgement::undecided(text).cite(cite(change)));
    }
    if !probes.probed.ok() {
        return Err(Judgement::undecided(format!("the user: {}", told(&probes.probed))).cite(cite(&probes.probed)));
    }
    Ok(probes)
}

/// The exposed role that was assigned at first is still there.
fn kept(probes: &Probes) -> bool {
    roles(&probes.probed).contains(&probes.first.0.as_str())
}

/// A value that must not be stored.
fn not_stored(probes: &Probes, value: &str, change: &Answer) -> Findings {
    let mut found = Findings::new();
    if roles(&probes.probed).contains(&value) {
        found.broken(format!("role `{value}`: {}, and it was stored", told(change)), cite(&probes.probed));
    } else if says_nothing(change) {
        found.undecided(format!("role `{value}`: {}", told(change)), cite(change));
    } else if change.ok() {
        found.doubtful(format!("role `{value}`: {}, and it was not stored: accepted without a word", told(change)), cite(change));
    } else if change.status >= 500 {
        found.doubtful(format!("role `{value}`: {} in place of 400", told(change)), cite(change));
    } else {
        found.saw(cite(change));
    }
    found
}

/// al3.app.unknown-role-refused
pub fn an_unknown_role_is_refused(seen: &Seen) -> Judgement {
    if let Some(invented) = seen.invented.as_ref().filter(|_| seen.by_scim) {
        return super::invented::nothing_is_stored(invented);
    }
    let probes = match probes(seen) {
        Ok(probes) => probes,
        Err(judgement) => return judgement,
    };
    let (value, change) = &probes.unknown;
    let mut found = not_stored(probes, value, change);
    if !kept(probes) {
        let others = [&probes.cased, &probes.named].into_iter().flatten().any(|variant| variant.change.ok())
            || probes.unsupported.as_ref().is_some_and(|(_, change)| change.ok());
        if change.ok() && !others {
            found.broken("the role that the user had is lost", cite(&probes.probed));
        } else {
            found.undecided("the role that was assigned before is not there", cite(&probes.probed));
        }
    }
    found.conclude(format!("refused: {}", told(change)))
}

/// al3.app.unsupported-role-refused
pub fn an_unsupported_role_is_refused(seen: &Seen) -> Judgement {
    let probes = match probes(seen) {
        Ok(probes) => probes,
        Err(judgement) => return judgement,
    };
    let Some((value, change)) = &probes.unsupported else {
        return Judgement::undecided("no role is marked unsupported").cite(cite(&seen.list));
    };
    let mut found = not_stored(probes, value, change);
    if !kept(probes) && !change.ok() {
        found.undecided("the control, a role that is supported, is not there", cite(&probes.probed));
    }
    found.conclude(format!("refused: {}", told(change)))
}

/// al3.app.role-value-exact
pub fn a_role_is_its_value(seen: &Seen) -> Judgement {
    let probes = match probes(seen) {
        Ok(probes) => probes,
        Err(judgement) => return judgement,
    };
    let mut found = Findings::new();
    let known = seen.known();
    if (1..known.len()).any(|index| known[..index].iter().any(|role| role.value == known[index].value)) {
        return Judgement::undecided("two roles have the same value: see al3.app.role-identifiers").cite(cite(&seen.list));
    }
    let now = roles(&probes.probed);
    if let Some(variant) = &probes.cased {
        let what = format!("`{}` for role `{}`: {}", variant.sent, variant.value, told(&variant.change));
        if now.contains(&variant.value.as_str()) || now.contains(&variant.sent.as_str()) {
            // roles.value is not caseExact in the schema of RFC 7643.
            found.doubtful(format!("{what}: other letter case is taken"), cite(&variant.change));
        } else if says_nothing(&variant.change) {
            found.undecided(what, cite(&variant.change));
        } else {
            found.saw(cite(&variant.change));
        }
    }
    if let Some(variant) = &probes.named {
        let what = format!("`{}` for role `{}`: {}", variant.sent, variant.value, told(&variant.change));
        if now.contains(&variant.value.as_str()) {
            found.broken(format!("{what}: the readable name gives the role"), cite(&variant.change));
        } else if now.contains(&variant.sent.as_str()) {
            found.undecided(
                format!("{what}: stored as it was sent; whether it gives the role was not seen"),
                cite(&variant.change),
            );
        } else if says_nothing(&variant.change) {
            found.undecided(what, cite(&variant.change));
        } else {
            found.saw(cite(&variant.change));
        }
    }
    if probes.cased.is_none() && probes.named.is_none() {
        return Judgement::undecided("no second role has a name or letters that could be varied").cite(cite(&seen.list));
    }
    if !kept(probes) {
        found.undecided("the control, a role by its value, is not there", cite(&probes.probed));
    }
    found.conclude("neither other letter case nor the readable name gives a role")
}

/// al3.app.multiple-roles
pub fn roles_are_held_together(seen: &Seen) -> Judgement {
    let probes = match probes(seen) {
        Ok(probes) => probes,
        Err(judgement) => return judgement,
    };
    if let Some(anew) = probes.anew.as_ref().filter(|anew| !anew.ok()) {
        return Judgement::undecided(format!("the control at another user: {}", told(anew))).cite(cite(anew));
    }
    let Some((second, change)) = &probes.second else {
        return Judgement::undecided("only one role can be assigned").cite(cite(&seen.list));
    };
    let mut found = Findings::new();
    if !kept(probes) {
        found.undecided("the first role is not there before the second is assigned", cite(&probes.probed));
        return found.conclude("");
    }
    if says_nothing(change) || !prepared(&mut found, "the user with two roles", &probes.both) {
        found.undecided(format!("the second role: {}", told(change)), cite(change));
        return found.conclude("");
    }
    let now = roles(&probes.both);
    let held = (now.contains(&probes.first.0.as_str()), now.contains(&second.as_str()));
    let said = seen.advertised("multipleRolesSupported").or(seen.single.then_some(false));
    found.saw(cite(&probes.both));
    let cites = cite(change);
    let pass = match (held, said, change.ok()) {
        ((true, true), Some(false), _) => {
            found.doubtful("one role at a time is advertised, and two are held", cites);
            ""
        }
        ((true, true), ..) => "both roles are held",
        ((true, false), Some(false), false) => "the second role is refused, as advertised",
        ((false, true), Some(false), true) => "the second role replaces the first, as advertised",
        ((true, false), None, false) => {
            found.doubtful(format!("the second role is refused ({}), and nothing says that one is allowed", told(change)), cites);
            ""
        }
        ((false, true), None, true) => {
            found.doubtful("the second role replaces the first, and nothing says that one is allowed", cites);
            ""
        }
        ((first, _), ..) => {
            let lost = if first { "second" } else { "first" };
            found.broken(format!("the second role: {}; the {lost} role is not there", told(change)), cites);
            ""
        }
    };
    found.conclude(pass)
}

/// al3.app.role-limit
pub fn a_limit_is_kept(seen: &Seen) -> Judgement {
    if !seen.by_scim {
        return Judgement::not_applicable("lifecycle.role_ways does not name scim");
    }
    let Some(limit) = &seen.limit else {
        return Judgement::undecided("no role has a limit of assignments that is small enough to try").cite(cite(&seen.list));
    };
    if limit.held_back {
        return Judgement::not_configured("assignments up to a limit are made only with --allow-load");
    }
    let mut found = Findings::new();
    let Some((over, within)) = limit.tried.split_last() else { return Judgement::undecided("nothing was tried") };
    for answer in within {
        prepared(&mut found, "an assignment within the limit", answer);
    }
    match over.status {
        200..300 => found.broken(format!("role `{}` is assigned over its limit", limit.value), cite(over)),
        _ if says_nothing(over) && over.status != 403 => found.undecided(told(over), cite(over)),
        400..500 if over.text_at("/detail").is_empty() => found.doubtful(format!("{}, without detail", told(over)), cite(over)),
        400..500 => found.saw(cite(over)),
        _ => found.broken(format!("an assignment over the limit: {}", told(over)), cite(over)),
    }
    let role = limit.list.resources().iter().find(|role| role["value"].as_str() == Some(limit.value.as_str()));
    if let Some((used, permitted)) =
        role.and_then(|role| role["totalAssignmentsUsed"].as_u64().zip(role["totalAssignmentsPermitted"].as_u64()))
        && used != permitted
        && over.refused()
    {
        found.broken(format!("totalAssignmentsUsed is {used} of {permitted} when the limit is reached"), cite(&limit.list));
    }
    found.conclude(format!("refused: {}", told(over)))
}

/// al3.app.role-survives-suspension
pub fn the_last_assignment_holds(seen: &Seen) -> Judgement {
    let probes = match probes(seen) {
        Ok(probes) => probes,
        Err(judgement) => return judgement,
    };
    let mut found = Findings::new();
    let first = probes.first.0.as_str();
    let before = if probes.second.is_some() { &probes.both } else { &probes.probed };
    if !before.ok() || !roles(before).contains(&first) {
        return Judgement::undecided("the user had not the role before").cite(cite(before));
    }
    let [off, taken, on] = &probes.suspension;
    let steps = [("the deactivation", off), ("the removal from the inactive user", taken), ("the reactivation", on)];
    for (what, answer) in steps {
        prepared(&mut found, what, answer);
    }
    let after = &probes.after;
    if !prepared(&mut found, "the user afterwards", after) || !taken.ok() {
        return found.conclude("");
    }
    if is_active(after) != Some(true) {
        found.undecided("the user is not active again", cite(after));
    }
    let now = roles(after);
    if now.contains(&first) && off.ok() && on.ok() {
        found.broken(format!("role `{first}`, which was removed meanwhile, is back"), cite(after));
    }
    let lost: Vec<&str> = roles(before).into_iter().filter(|role| *role != first && !now.contains(role)).collect();
    if !lost.is_empty() {
        carried_out(&mut found, "the reactivation", on);
        found.broken(format!("roles that were not removed are gone: {}", lost.join(", ")), cite(after));
    }
    found.saw(cite(after));
    found.conclude("the roles are those assigned last")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Limit;
    use super::super::assigning::Variant;
    use super::super::checks::tests::right;
    use super::*;
    use crate::model::verdict::Call as Says;
    use crate::suites::scim_blocks::samples::{answer, error};

    fn user(roles: &[&str]) -> Answer {
        let roles: Vec<Value> = roles.iter().map(|role| json!({"value": role})).collect();
        answer(200, json!({"id": "1", "active": true, "roles": roles}))
    }

    fn done() -> Answer {
        answer(204, Value::Null)
    }

    fn given() -> Probes {
        let refused = || error(400, "invalidValue");
        let variant = |sent: &str, value: &str| Some(Variant { sent: sent.into(), value: value.into(), change: refused() });
        Probes {
            first: ("admin".into(), done()),
            unknown: ("x".into(), refused()),
            unsupported: Some(("old".into(), refused())),
            cased: variant("USER", "user"),
            named: variant("Auditor", "audit"),
            probed: user(&["admin"]),
            anew: None,
            second: Some(("user".into(), done())),
            both: user(&["admin", "user"]),
            suspension: [done(), done(), done()],
            after: user(&["user"]),
        }
    }

    fn says(check: fn(&Seen) -> Judgement, change: impl FnOnce(&mut Probes)) -> Says {
        let mut probes = given();
        change(&mut probes);
        check(&Seen { probes: Some(probes), ..right() }).call
    }

    #[test]
    fn without_a_control_nothing_is_decided() {
        let checks = [
            an_unknown_role_is_refused as fn(&Seen) -> Judgement,
            an_unsupported_role_is_refused,
            a_role_is_its_value,
            roles_are_held_together,
            the_last_assignment_holds,
        ];
        for check in checks {
            assert_eq!(says(check, |_| ()), Says::Pass);
            assert_eq!(says(check, |probes| probes.first.1 = error(400, "")), Says::Undecided);
            assert_eq!(check(&right()).call, Says::Undecided);
            assert_eq!(check(&Seen { by_scim: false, ..right() }).call, Says::NotApplicable);
        }
    }

    #[test]
    fn unknown_values_are_not_stored() {
        let check = an_unknown_role_is_refused;
        assert_eq!(says(check, |probes| probes.probed = user(&["admin", "x"])), Says::Broken);
        assert_eq!(says(check, |probes| probes.unknown.1 = done()), Says::Doubtful);
        let replaced = |probes: &mut Probes| {
            probes.unknown.1 = done();
            probes.probed = user(&[]);
        };
        assert_eq!(says(check, replaced), Says::Broken);
        assert_eq!(says(check, |probes| probes.probed = user(&[])), Says::Undecided);
        assert_eq!(says(check, |probes| probes.unknown.1 = answer(429, Value::Null)), Says::Undecided);
        let check = an_unsupported_role_is_refused;
        assert_eq!(says(check, |probes| probes.probed = user(&["admin", "old"])), Says::Broken);
        assert_eq!(says(check, |probes| probes.unsupported = None), Says::Undecided);
    }

    #[test]
    fn a_name_gives_no_role() {
        let check = a_role_is_its_value;
        assert_eq!(says(check, |probes| probes.probed = user(&["admin", "audit"])), Says::Broken);
        assert_eq!(says(check, |probes| probes.probed = user(&["admin", "user"])), Says::Doubtful);
        assert_eq!(says(check, |probes| probes.probed = user(&["admin", "Auditor"])), Says::Undecided);
        let plain = |probes: &mut Probes| {
            probes.cased = None;
            probes.named = None;
        };
        assert_eq!(says(check, plain), Says::Undecided);
    }

    #[test]
    fn two_roles_are_held_unless_one_is_announced() {
        let check = roles_are_held_together;
        assert_eq!(says(check, |probes| probes.both = user(&["user"])), Says::Doubtful);
        assert_eq!(says(check, |probes| probes.both = user(&["admin"])), Says::Broken);
        assert_eq!(says(check, |probes| probes.second = None), Says::Undecided);
        let anew = |given: Answer| {
            says(check, |probes| {
                probes.probed = user(&["admin", "USER"]);
                probes.anew = Some(given);
            })
        };
        assert_eq!(anew(done()), Says::Pass);
        assert_eq!(anew(Answer::default()), Says::Undecided);
        let announced = |many: bool, held: &[&str]| {
            let config = answer(200, json!({"RolesAndEntitlements": {"roles": {"multipleRolesSupported": many}}}));
            let probes = Probes { both: user(held), ..given() };
            check(&Seen { probes: Some(probes), config, ..right() }).call
        };
        assert_eq!(announced(true, &["user"]), Says::Broken);
        assert_eq!(announced(false, &["user"]), Says::Pass);
        assert_eq!(announced(false, &["admin", "user"]), Says::Doubtful);
    }

    #[test]
    fn a_limit_is_a_limit() {
        let full = answer(400, json!({"detail": "no assignments left"}));
        let list = |used: u64| {
            answer(200, json!({"Resources": [{"value": "a", "totalAssignmentsUsed": used, "totalAssignmentsPermitted": 1}]}))
        };
        let says = |last: Answer, used: u64| {
            let limit = Limit { value: "a".into(), free: 1, held_back: false, tried: vec![done(), last], list: list(used) };
            a_limit_is_kept(&Seen { limit: Some(limit), ..right() }).call
        };
        assert_eq!(says(full.clone(), 1), Says::Pass);
        assert_eq!(says(full, 0), Says::Broken);
        assert_eq!(says(done(), 2), Says::Broken);
        assert_eq!(says(error(400, ""), 1), Says::Doubtful);
        assert_eq!(says(answer(429, Value::Null), 1), Says::Undecided);
        assert_eq!(a_limit_is_kept(&right()).call, Says::Undecided);
        let held_back = Some(Limit { held_back: true, ..Limit::default() });
        assert_eq!(a_limit_is_kept(&Seen { limit: held_back, ..right() }).call, Says::NotConfigured);
    }

    #[test]
    fn what_was_removed_meanwhile_stays_removed() {
        let check = the_last_assignment_holds;
        assert_eq!(says(check, |probes| probes.after = user(&["admin", "user"])), Says::Broken);
        assert_eq!(says(check, |probes| probes.after = user(&[])), Says::Broken);
        assert_eq!(says(check, |probes| probes.suspension[1] = error(400, "")), Says::Undecided);
        assert_eq!(says(check, |probes| probes.both = user(&["user"])), Says::Undecided);
    }
}
