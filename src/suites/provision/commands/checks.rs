//! The checks on commands about accounts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Received, Repeats, Seen};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suites::provision::{Case, effect};

/// Repetitions after 409 at most.
const REPEATS: usize = 2;
/// Life of a Command Token in seconds.
const LIFE_S: i64 = 120;
/// Commands about the tenant as a whole: they name no user.
const TENANT: [&str; 2] = ["metadata", "audit_tenant"];

impl Received {
    fn command(&self) -> &str {
        self.token.text("command")
    }

    fn cite(&self) -> [String; 1] {
        [self.token.cite.clone()]
    }
}

pub(super) fn a_leaver_is_told(seen: &Seen) -> Judgement {
    effect(seen.cases.get("end"), "a command ended the account", "no suspend, archive or delete came")
}

pub(super) fn joiners_and_movers_are_told(seen: &Seen) -> Judgement {
    let activate = effect(seen.cases.get("activate"), "activate came", "activate did not come");
    if seen.cases.get("activate").is_some_and(Case::reached) {
        return effect(
            seen.cases.get("maintain"),
            "activate came on assignment, and maintain on the change",
            "maintain with the new value did not come",
        );
    }
    activate
}

pub(super) fn command_tokens_are_right(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let mut used: BTreeMap<String, String> = BTreeMap::new();
    for one in &seen.commands {
        form(one, seen, &mut found);
        let jti = one.token.text("jti").to_owned();
        if !jti.is_empty()
            && let Some(before) = used.insert(jti, one.token.cite.clone())
        {
            found.broken("two commands have the same jti", &[one.token.cite.clone(), before]);
        }
    }
    if seen.commands.is_empty() {
        Judgement::undecided("no command was received")
    } else {
        found.conclude(format!("{} Command Tokens are right", seen.commands.len()))
    }
}

fn form(one: &Received, seen: &Seen, found: &mut Findings) {
    let (token, command) = (&one.token, one.command());
    let cite = one.cite();
    let mut broken = |what: String| found.broken(format!("{command}: {what}"), &cite);
    if token.header["typ"].as_str() != Some("command+jwt") {
        broken(format!("typ is {}", token.header["typ"]));
    }
    for (name, wanted) in
        [("iss", &seen.expected.issuer), ("aud", &seen.expected.endpoint), ("client_id", &seen.expected.client_id)]
    {
        let is = token.claims.get(name).unwrap_or(&Value::Null);
        let one_of = is.as_array().is_some_and(|all| all.len() == 1 && all[0].as_str() == Some(wanted.as_str()));
        // A client that the target file does not name can be any.
        let right = is.as_str() == Some(wanted.as_str()) || (name == "aud" && one_of) || (wanted.is_empty() && is.is_string());
        if !right {
            broken(format!("{name} is {is}"));
        }
    }
    for name in ["jti", "command"] {
        if token.text(name).is_empty() {
            broken(format!("{name} is missing"));
        }
    }
    if !TENANT.contains(&command) && token.text("sub").is_empty() {
        broken("sub is missing".into());
    }
    if token.claims.contains_key("nonce") {
        broken("there is a nonce".into());
    }
    if one.media_type != "application/x-www-form-urlencoded" {
        broken(format!("Content-Type is `{}`", one.media_type));
    }
    let seconds = |name: &str| token.claims.get(name).and_then(Value::as_i64);
    match (seconds("iat"), seconds("exp")) {
        (Some(iat), Some(exp)) if exp - iat > LIFE_S => found.doubtful(format!("{command}: it lives {} s", exp - iat), &cite),
        (Some(_), Some(_)) => {}
        _ => found.broken(format!("{command}: iat or exp is missing or no integer"), &cite),
    }
    // The draft's own examples leave it out.
    if token.text("tenant").is_empty() {
        found.doubtful(format!("{command}: tenant is missing"), &cite);
    }
    match &token.fault {
        Some(fault) if seen.expected.keys => found.broken(format!("{command}: {fault}"), &cite),
        Some(_) => found.undecided("the identity service's keys could not be read", &cite),
        None => found.saw(&cite),
    }
}

fn played<'a>(repeats: &'a Repeats, nothing: &str) -> Result<&'a Repeats, Judgement> {
    match &repeats.obstacle {
        Some(why) => Err(Judgement::undecided(why.as_str())),
        None if !repeats.played => Err(Judgement::undecided(nothing)),
        None => Ok(repeats),
    }
}

pub(super) fn only_supported_commands_are_sent(seen: &Seen) -> Judgement {
    let limited = match played(&seen.limited, "not tried") {
        Ok(limited) => limited,
        Err(judgement) => return judgement,
    };
    let told = format!("{} suspend commands while suspend was not supported", limited.suspends);
    match (limited.suspends, seen.limit_known) {
        (count, _) if count > 2 => Judgement::broken(format!("{told}: sent again and again")).cite(&limited.cites),
        (0, false) if limited.cites.is_empty() => {
            Judgement::undecided("nothing was sent, and the identity service did not ask what is supported now")
        }
        (0, _) => Judgement::pass("suspend was not sent while it was not supported").cite(&limited.cites),
        (_, true) => Judgement::doubtful(format!("{told}, although it had been told")).cite(&limited.cites),
        (_, false) => Judgement::pass(format!("{told}; it stopped at the refusal")).cite(&limited.cites),
    }
}

pub(super) fn a_conflict_ends_it(seen: &Seen) -> Judgement {
    let conflict = match played(&seen.conflict, "no command met the conflict") {
        Ok(conflict) => conflict,
        Err(judgement) => return judgement,
    };
    if conflict.suspends == 0 {
        return Judgement::undecided("no suspend met the conflict").cite(&conflict.cites);
    }
    if conflict.suspends > 1 + REPEATS {
        return Judgement::broken(format!(
            "suspend was sent {} times although the account was said to be suspended",
            conflict.suspends
        ))
        .cite(&conflict.cites);
    }
    Judgement::pass(format!("after the conflict suspend was repeated {} times", conflict.suspends - 1)).cite(&conflict.cites)
}

fn ids(value: &Value) -> Vec<String> {
    let id = |one: &Value| one.as_str().or(one["id"].as_str()).or(one["value"].as_str()).map(str::to_owned);
    value.as_array().into_iter().flatten().filter_map(id).collect()
}

pub(super) fn groups_are_announced(seen: &Seen) -> Judgement {
    let mut announced: BTreeSet<String> = BTreeSet::new();
    let mut any = false;
    let mut found = Findings::new();
    let mut used = false;
    for one in &seen.commands {
        if one.command() == "metadata" {
            let groups = one.token.claims.get("metadata").map(|metadata| metadata["groups"].clone()).unwrap_or_default();
            any |= groups.is_array();
            announced.extend(ids(&groups));
        }
    }
    for one in seen.commands.iter().filter(|one| !TENANT.contains(&one.command())) {
        let groups = ids(one.token.claims.get("groups").unwrap_or(&Value::Null));
        used |= !groups.is_empty();
        let unknown: Vec<&String> = groups.iter().filter(|group| !announced.contains(*group)).collect();
        match unknown.first() {
            Some(group) => found.broken(format!("{}: the group `{group}` was not announced", one.command()), &one.cite()),
            None => found.saw(&one.cite()),
        }
    }
    match (any, used) {
        (_, false) => Judgement::undecided("no command carries groups"),
        (false, true) => Judgement::broken("commands carry groups, and no metadata command announces any"),
        (true, true) => found.conclude("the groups in commands are those that were announced"),
    }
}

pub(super) fn roles_have_their_ids(seen: &Seen) -> Judgement {
    let Some(case) = seen.cases.get("role") else { return Judgement::undecided("not tried") };
    if let Some(why) = &case.obstacle {
        return Judgement::undecided(why.as_str());
    }
    let carriers: Vec<&Received> = seen.commands.iter().filter(|one| case.cites.contains(&one.token.cite)).collect();
    let exact = carriers.iter().find(|one| ids(one.token.claims.get("roles").unwrap_or(&Value::Null)).contains(&seen.role));
    match exact {
        Some(one) => Judgement::pass(format!("{} carries the role's id", one.command())).cite(&one.cite()),
        None => Judgement::broken(format!("no command carried the role's id within {:.0} s: {}", case.limit_s, case.state))
            .expected(seen.role.clone(), "")
            .cite(&case.cites),
    }
}

pub(super) fn the_callback_is_honoured(seen: &Seen) -> Judgement {
    let Some(callback) = &seen.callback else {
        return Judgement::undecided("no metadata command named a callback_endpoint with a callback_token");
    };
    let mut found = Findings::new();
    for (what, status, wanted) in [
        ("a right token", callback.right, 204),
        ("a wrong token", callback.wrong, 401),
        ("a body that asks for nothing", callback.malformed, 400),
    ] {
        match status {
            0 | 429 | 502..=504 => found.undecided(format!("{what}: no answer that decides ({status})"), &callback.cites),
            status if status == wanted => found.saw(&callback.cites),
            200 | 202 if wanted == 204 => found.doubtful(format!("{what}: answered {status} in place of 204"), &callback.cites),
            status => found.broken(format!("{what}: answered {status} in place of {wanted}"), &callback.cites),
        }
    }
    if (200..300).contains(&callback.right) && !callback.followed {
        found.broken("no metadata command followed", &callback.cites);
    }
    found.conclude("204 and a new metadata command for the right token, 401 for a wrong one, 400 for a bad body")
}

#[cfg(test)]
mod tests {
    use super::super::{Callback, Commands, Expected, told_attribute};
    use super::*;
    use crate::model::Call;
    use crate::suite::Scenario;
    use crate::suites::provision::examples::{missed, reached};
    use crate::suites::provision::token::Jwt;
    use serde_json::json;

    #[allow(clippy::needless_pass_by_value)]
    fn received(command: &str, more: Value) -> Received {
        let mut claims = json!({
            "iss": "https://op", "aud": "https://suite/commands", "client_id": "rp", "tenant": "t", "sub": "u",
            "jti": format!("{command}-1"), "iat": 1000, "exp": 1060, "command": command,
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let token = Jwt {
            header: json!({"typ": "command+jwt", "alg": "ES256"}),
            claims: claims.as_object().unwrap().clone(),
            fault: None,
            cite: format!("x-{command}"),
        };
        Received { token, media_type: "application/x-www-form-urlencoded".into(), status: 200 }
    }

    fn good() -> Seen {
        let mut cases: BTreeMap<String, Case> =
            ["activate", "end", "maintain"].map(|step| (step.to_owned(), reached(Vec::new()))).into();
        cases.insert("role".into(), Case { cites: vec!["x-maintain".into()], ..reached(Vec::new()) });
        Seen {
            cases,
            commands: vec![
                received("metadata", json!({"metadata": {"groups": [{"id": "g1", "display": "Staff"}]}})),
                received("activate", json!({})),
                received("maintain", json!({"groups": ["g1"], "roles": ["r1"]})),
            ],
            expected: Expected {
                issuer: "https://op".into(),
                client_id: "rp".into(),
                endpoint: "https://suite/commands".into(),
                keys: true,
            },
            conflict: Repeats { played: true, suspends: 1, ..Repeats::default() },
            limited: Repeats { played: true, ..Repeats::default() },
            limit_known: true,
            role: "r1".into(),
            callback: Some(Callback { right: 204, followed: true, wrong: 401, malformed: 400, cites: Vec::new() }),
        }
    }

    #[test]
    fn right_commands_pass_and_nothing_seen_decides_nothing() {
        for check in Commands::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}: {}", check.clause, (check.judge)(&good()).reason);
            assert_eq!((check.judge)(&Seen::default()).call, Call::Undecided, "{}", check.clause);
        }
    }

    #[test]
    fn wrong_commands_are_broken() {
        let mut seen = good();
        seen.cases.insert("end".into(), missed(Vec::new()));
        seen.cases.insert("maintain".into(), missed(Vec::new()));
        seen.commands[1].token.claims.insert("nonce".into(), "n".into());
        seen.commands[2].token.claims.insert("groups".into(), json!(["Staff"]));
        seen.commands[2].token.claims.insert("roles".into(), json!(["Reader"]));
        seen.limited.suspends = 5;
        seen.conflict.suspends = 6;
        seen.callback.as_mut().unwrap().wrong = 204;
        for check in Commands::CHECKS {
            assert_eq!((check.judge)(&seen).call, Call::Broken, "{}", check.clause);
        }
    }

    #[test]
    fn a_change_is_one_that_a_command_tells() {
        assert_eq!(told_attribute(&[]), Some("displayName"));
        assert_eq!(told_attribute(&["title".into(), "displayName".into()]), Some("displayName"));
        assert_eq!(told_attribute(&["title".into()]), None);
    }

    #[test]
    fn small_departures_are_doubtful() {
        let mut seen = good();
        seen.commands[1].token.claims.remove("tenant");
        assert_eq!(command_tokens_are_right(&seen).call, Call::Doubtful);
        seen.limited.suspends = 1;
        assert_eq!(only_supported_commands_are_sent(&seen).call, Call::Doubtful);
        seen.commands[1].token.fault = Some("no key".into());
        assert_eq!(command_tokens_are_right(&seen).call, Call::Broken);
    }
}
