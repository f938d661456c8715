//! The checks on commands about a tenant.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{lacking, state};
use super::{ENOUGH, Seen};
use crate::counterpart::command_issuer::Streamed;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suite::Check;

/// All of them.
pub const ALL: &[Check<Seen>] = &[
    Check::new("al1.app.cmd-audit-tenant", every_account_is_listed),
    Check::new("al1.app.cmd-stream-resume", a_broken_stream_goes_on),
    Check::new("al1.app.cmd-suspend-tenant", every_account_of_the_tenant_is_suspended),
    Check::new("al3.app.cmd-metadata-roles", the_metadata_name_the_roles),
    Check::new("al3.app.cmd-metadata-refresh", new_roles_are_announced),
];

/// What the draft demands of every stream (Streaming Response).
fn well_formed(found: &mut Findings, stream: &Streamed) {
    let cites = &stream.cites;
    let mut ids = BTreeSet::new();
    for event in &stream.events {
        match event.id.as_deref().filter(|id| !id.is_empty()) {
            None => found.broken(format!("an event `{}` has no id", event.event), cites),
            Some(id) if !ids.insert(id) => found.broken(format!("the event id {id} comes twice"), cites),
            Some(_) => {}
        }
        if event.event == "account-state" && !(event.data["sub"].is_string() && event.data["account_state"].is_string()) {
            found.broken("an account-state event lacks sub or account_state", cites);
        }
        if !matches!(event.event.as_str(), "account-state" | "command-complete" | "error") {
            found.broken(format!("`{}` is no event of a command", event.event), cites);
        }
    }
    if stream.events.last().is_some_and(|event| event.event != "command-complete") && stream.total().is_some() {
        found.broken("events come after command-complete", cites);
    }
}

/// Why nothing can be said of a stream, or what is wrong with an answer that is none.
fn no_stream(stream: &Streamed) -> Option<Judgement> {
    let judgement = if stream.silent() {
        Judgement::undecided(stream.describe())
    } else if !stream.accepted() {
        Judgement::broken(format!("the answer is no stream of events: {}", stream.describe()))
    } else {
        return None;
    };
    Some(judgement.cite(&stream.cites))
}

fn every_account_is_listed(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["audit_tenant"]) {
        return judgement;
    }
    let Some(list) = &seen.list else { return Judgement::undecided("not tried") };
    if let Some(judgement) = no_stream(list) {
        return judgement;
    }
    let mut found = Findings::new();
    well_formed(&mut found, list);
    let count = list.accounts().len() as u64;
    match list.total() {
        None => found.broken("the stream ends without command-complete", &list.cites),
        Some(None) => found.broken("command-complete has no total_accounts", &list.cites),
        Some(Some(total)) if total != count => {
            found.broken(format!("total_accounts is {total}, and {count} account-state events came"), &list.cites);
        }
        Some(Some(_)) => found.saw(&list.cites),
    }
    for sub in seen.subs.iter().filter(|sub| list.about(sub).is_none()) {
        found.broken(format!("the account {sub} is missing"), &list.cites);
    }
    found.conclude(format!("{count} accounts were listed, those of the run among them, and the total is right"))
}

fn a_broken_stream_goes_on(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["audit_tenant"]) {
        return judgement;
    }
    let (Some(list), Some(resumed)) = (&seen.list, &seen.resumed) else {
        return Judgement::undecided(format!("the tenant has fewer than {ENOUGH} accounts, or their list could not be read"));
    };
    if resumed.silent() {
        return Judgement::undecided(resumed.describe()).cite(&resumed.cites);
    }
    if resumed.status == 404 {
        let told = resumed.error.as_deref() == Some("last-event-id-unavailable");
        let judgement = if told {
            Judgement::pass("a stream cannot be resumed, which the application says")
        } else {
            Judgement::broken(format!("status 404 without error `last-event-id-unavailable`: {}", resumed.describe()))
        };
        return judgement.cite(&resumed.cites);
    }
    if let Some(judgement) = no_stream(resumed) {
        return judgement;
    }
    let mut found = Findings::new();
    let ours = |place: usize, sub: &str| {
        let at = list.accounts().iter().position(|event| event.data["sub"] == sub);
        at.is_some_and(|at| if place == 0 { at < 2 } else { at >= 2 })
    };
    let missing: Vec<&String> = seen.subs.iter().filter(|sub| ours(1, sub) && resumed.about(sub).is_none()).collect();
    if !missing.is_empty() {
        found.broken(
            format!("{} accounts that were still to come are missing in the resumed stream", missing.len()),
            &resumed.cites,
        );
    }
    let repeated = list
        .accounts()
        .iter()
        .take(2)
        .filter(|event| event.data["sub"].as_str().is_some_and(|sub| resumed.about(sub).is_some()))
        .count();
    let count = resumed.accounts().len() as u64;
    // Accounts come and go while others work: a total lies between what the whole list says before and afterwards.
    let totals = || [Some(list), seen.later.as_ref()].into_iter().flatten().filter_map(|whole| whole.total().flatten());
    let meanwhile = |total: u64| totals().min() <= Some(total) && Some(total) <= totals().max();
    match resumed.total() {
        None => found.broken("the resumed stream ends without command-complete", &resumed.cites),
        Some(total) if repeated > 0 => {
            let why = "the stream began anew instead of going on after the event that was named";
            if total == list.total().flatten() || total.is_some_and(meanwhile) {
                found.doubtful(why, &resumed.cites);
            } else {
                found.broken(format!("{why}, with another total"), &resumed.cites);
            }
        }
        // Or it fits what was sent, with or without the first part.
        Some(Some(total)) if total == count || total == count + 2 || meanwhile(total) => {
            found.saw(&resumed.cites);
        }
        Some(total) => {
            let total = total.map_or("missing".to_owned(), |total| total.to_string());
            found.broken(format!("total_accounts is {total} after {count} events that followed the first two"), &resumed.cites);
        }
    }
    found.conclude("the stream went on after the event that was named")
}

fn every_account_of_the_tenant_is_suspended(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["suspend_tenant"]) {
        return judgement;
    }
    let Some(part) = &seen.suspended else {
        return Judgement::undecided(if seen.spared.is_empty() { "not tried" } else { &seen.spared });
    };
    if let Some(judgement) = no_stream(&part.stream) {
        return judgement;
    }
    let (stream, cites) = (&part.stream, &part.stream.cites);
    let mut found = Findings::new();
    well_formed(&mut found, stream);
    for sub in &part.subs {
        match stream.about(sub) {
            None => found.broken(format!("the stream does not report {sub}"), cites),
            Some(event) if event.data["account_state"] != "suspended" => {
                found.broken(format!("the stream reports {sub} as {}", event.data["account_state"]), cites);
            }
            Some(_) => {}
        }
    }
    let count = stream.accounts().len() as u64;
    if stream.total() != Some(Some(count)) {
        found.broken(format!("total_accounts is not the number of account-state events, {count}"), cites);
    }
    for audit in &part.after {
        match state(audit) {
            "suspended" => found.saw(&audit.cites),
            "" => found.undecided(format!("audit: {}", audit.describe()), &audit.cites),
            word => found.broken(format!("an account of the tenant is {word} after the command"), &audit.cites),
        }
    }
    match &part.other {
        Some(other) if state(other) == "active" => found.saw(&other.cites),
        Some(other) if !state(other).is_empty() => {
            found.broken(format!("an account of another tenant is {} after the command", state(other)), &other.cites);
        }
        Some(other) => found.undecided(format!("audit: {}", other.describe()), &other.cites),
        None => found.undecided("audit is not supported, so other tenants cannot be looked at", &[]),
    }
    found.conclude("every account of the tenant was reported and is suspended, and another tenant is untouched")
}

fn the_metadata_name_the_roles(seen: &Seen) -> Judgement {
    let answer = &seen.metadata;
    if answer.silent() || answer.status != 200 {
        return Judgement::undecided(format!("the metadata command was answered with {}", answer.describe())).cite(&answer.cites);
    }
    let Some(roles) = answer.members.get("roles") else {
        let judgement = if seen.roles_elsewhere {
            Judgement::not_applicable("the metadata response has no roles, and lifecycle.roles_exposed does not name op-commands")
        } else {
            Judgement::broken("the metadata response has no roles")
        };
        return judgement.cite(&answer.cites);
    };
    let mut found = Findings::new();
    let all = roles.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        found.broken("roles is empty or no array", &answer.cites);
    }
    let mut ids = BTreeSet::new();
    for role in all {
        let text = |name: &str| role[name].as_str().filter(|text| !text.is_empty());
        match (text("id"), text("display")) {
            (Some(id), Some(_)) if ids.insert(id) => {}
            (Some(id), Some(_)) => found.broken(format!("the role id {id} comes twice"), &answer.cites),
            _ => found.broken(format!("a role lacks id or display: {role}"), &answer.cites),
        }
    }
    found.saw(&answer.cites);
    let names: Vec<&str> = all.iter().filter_map(|role| role.get("id").and_then(Value::as_str)).collect();
    found.conclude(format!("roles: {}", names.join(", ")))
}

fn new_roles_are_announced(seen: &Seen) -> Judgement {
    let Some(part) = &seen.refresh else { return Judgement::undecided("not tried") };
    // The callback is optional: who has no asynchronous command may not have it at all.
    let calls_back = seen.announced.iter().flatten().any(|command| command.ends_with("_async"));
    let judgement = match (part.created, part.asked, part.authorised) {
        (true, false, _) if !calls_back => Judgement::undecided(format!(
            "no request for new metadata arrived within {} s after a new role, and the application announces no asynchronous command: \
             nothing shows that it supports the callback",
            part.waited_s
        )),
        (false, ..) => Judgement::undecided("the hook create-role did not make a role"),
        (true, false, _) => {
            Judgement::broken(format!("no request for new metadata arrived within {} s after a new role", part.waited_s))
        }
        (true, true, false) => {
            Judgement::broken("the request for new metadata came without the callback token of the metadata command")
        }
        (true, true, true) => Judgement::pass("a request for new metadata arrived, with the callback token"),
    };
    judgement.cite(&part.cites)
}

#[cfg(test)]
mod tests {
    use super::super::super::test_answers::*;
    use super::super::{Refresh, SuspendedTenant};
    use super::*;
    use crate::counterpart::command_issuer::{Answer, StreamEvent};
    use crate::model::verdict::Call;
    use serde_json::json;

    fn stream(subs: &[&str], word: &str, total: usize) -> Streamed {
        let one = |sub: &&str| StreamEvent {
            id: Some((*sub).to_owned()),
            event: "account-state".into(),
            data: json!({"sub": sub, "account_state": word}),
        };
        let end =
            StreamEvent { id: Some("end".into()), event: "command-complete".into(), data: json!({"total_accounts": total}) };
        Streamed {
            status: 200,
            media_type: "text/event-stream".into(),
            events: subs.iter().map(one).chain([end]).collect(),
            cites: vec!["x0001".into()],
            ..Streamed::default()
        }
    }

    fn good() -> Seen {
        let mut metadata = told(200, "");
        metadata.members.insert("roles".into(), json!([{"id": "r", "display": "R"}]));
        Seen {
            announced: all(),
            metadata,
            subs: ["a", "b", "c", "d"].map(str::to_owned).into(),
            list: Some(stream(&["a", "b", "c", "d"], "active", 4)),
            resumed: Some(stream(&["c", "d"], "active", 4)),
            suspended: Some(SuspendedTenant {
                subs: vec!["x".into(), "y".into()],
                stream: stream(&["x", "y"], "suspended", 2),
                after: vec![told(200, "suspended")],
                other: Some(told(200, "active")),
            }),
            refresh: Some(Refresh { created: true, asked: true, authorised: true, ..Refresh::default() }),
            ..Seen::default()
        }
    }

    fn calls(seen: &Seen) -> Vec<Call> {
        ALL.iter().map(|check| (check.judge)(seen).call).collect()
    }

    #[test]
    fn a_conforming_application_passes_all() {
        assert_eq!(calls(&good()), vec![Call::Pass; 5]);
        let said = Streamed { status: 404, error: Some("last-event-id-unavailable".into()), ..Streamed::default() };
        assert_eq!(calls(&Seen { resumed: Some(said), ..good() })[1], Call::Pass);
    }

    #[test]
    fn each_departure_is_seen_by_its_own_check() {
        let part = good().suspended.unwrap();
        let mut cut = stream(&["a", "b"], "active", 0);
        cut.events.pop();
        let mut none = good();
        none.metadata.members.remove("roles");
        let cases = [
            (0, Seen { list: Some(stream(&["a", "b", "c", "d"], "active", 5)), ..good() }),
            (0, Seen { list: Some(stream(&["b", "c", "d"], "active", 3)), resumed: Some(stream(&["d"], "active", 3)), ..good() }),
            (1, Seen { resumed: Some(cut), ..good() }),
            (1, Seen { resumed: Some(stream(&["c"], "active", 3)), ..good() }),
            (2, Seen { suspended: Some(SuspendedTenant { stream: stream(&["x"], "suspended", 1), ..part.clone() }), ..good() }),
            (2, Seen { suspended: Some(SuspendedTenant { other: Some(told(200, "suspended")), ..part.clone() }), ..good() }),
            (2, Seen { suspended: Some(SuspendedTenant { after: vec![told(200, "active")], ..part }), ..good() }),
            (3, none),
            (4, Seen { refresh: Some(Refresh { created: true, ..Refresh::default() }), ..good() }),
        ];
        for (place, seen) in cases {
            let mut wanted = vec![Call::Pass; 5];
            wanted[place] = Call::Broken;
            assert_eq!(calls(&seen), wanted, "{place}");
        }
    }

    #[test]
    fn what_did_not_answer_or_was_not_tried_decides_nothing() {
        let seen = Seen { announced: all(), metadata: Answer::default(), refresh: Some(Refresh::default()), ..Seen::default() };
        assert_eq!(calls(&seen), vec![Call::Undecided; 5]);
        let bare = Seen { announced: Some(vec!["metadata".into()]), ..good() };
        assert_eq!(calls(&bare)[..3], [Call::NotApplicable; 3]);
        let silent = Refresh { created: true, ..Refresh::default() };
        assert_eq!(calls(&Seen { refresh: Some(silent), ..bare })[4], Call::Undecided);
        let elsewhere = Seen { metadata: told(200, ""), roles_elsewhere: true, ..good() };
        assert_eq!(calls(&elsewhere)[3], Call::NotApplicable);
    }

    #[test]
    fn an_account_that_somebody_made_in_between_is_no_fault() {
        let resumed = Some(stream(&["c", "d"], "active", 5));
        assert_eq!(calls(&Seen { resumed: resumed.clone(), ..good() })[1], Call::Broken);
        let later = Some(stream(&["a", "b", "b2", "c", "d"], "active", 5));
        assert_eq!(calls(&Seen { resumed, later, ..good() })[1], Call::Pass);
    }

    #[test]
    fn a_stream_that_begins_anew_is_doubtful() {
        let seen = Seen { resumed: good().list, ..good() };
        assert_eq!(calls(&seen)[1], Call::Doubtful);
    }
}
