//! The checks on the states of an account.

use super::super::{began_active, describe, lacking, stands, state, succeeds, text};
use super::Seen;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suite::Check;

/// All of them.
pub const ALL: &[Check<Seen>] = &[
    Check::new("al1.app.cmd-suspend", a_suspend_takes_effect),
    Check::new("al1.app.cmd-archive-restore", an_archived_account_comes_back),
    Check::new("al1.app.cmd-delete", a_deleted_account_is_gone),
    Check::new("al1.app.cmd-incompatible-state", a_command_that_does_not_fit_is_refused),
    Check::new("al1.app.cmd-replay", a_replayed_command_is_not_executed),
];

fn not_disposable(seen: &Seen) -> Option<Judgement> {
    let why = "the application has no activate command, and the declared account is not archived or deleted for a test";
    (!seen.disposable).then(|| Judgement::undecided(why))
}

fn a_suspend_takes_effect(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["suspend"]).or_else(|| began_active(&seen.before)) {
        return judgement;
    }
    let Some((answer, audit)) = &seen.suspend else { return Judgement::undecided("not tried") };
    let mut found = Findings::new();
    succeeds(&mut found, "suspend", answer, &seen.sub, "suspended");
    // Where nothing can be audited, the refusal of a second suspend tells the state.
    let again = seen.unfit.iter().find(|(command, _, _)| command == "suspend").map(|(_, _, answer)| answer);
    match (audit, again) {
        (None, Some(again)) if again.status == 409 && state(again) == "suspended" => found.saw(&again.cites),
        (audit, _) => stands(&mut found, "after suspend", audit, "suspended"),
    }
    if let Some((before, after)) = &seen.sentinel
        && state(before) == "active"
        && after.accepted()
        && state(after) != "active"
    {
        found.broken(format!("another account is {} after the suspend", state(after)), &after.cites);
    }
    found.conclude("the account is suspended, and another account is as it was")
}

fn an_archived_account_comes_back(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["archive"]).or_else(|| not_disposable(seen)) {
        return judgement;
    }
    let Some((answer, audit)) = &seen.archive else { return Judgement::undecided("not tried") };
    let mut found = Findings::new();
    succeeds(&mut found, "archive", answer, &seen.sub, "archived");
    match (audit, &seen.restore) {
        // Where nothing can be audited, what becomes of the restore tells the state: it needs an archived account.
        (None, Some((restored, _))) if answer.accepted() && restored.accepted() => found.saw(&restored.cites),
        _ => stands(&mut found, "after archive", audit, "archived"),
    }
    match &seen.restore {
        None => found.doubtful("restore is not in commands_supported, although archive is", &answer.cites),
        Some((answer, audit)) => {
            succeeds(&mut found, "restore", answer, &seen.sub, "active");
            stands(&mut found, "after restore", audit, "active");
            if let (Some(before), Some(after)) = (&seen.before, audit)
                && answer.accepted()
                && after.accepted()
            {
                for name in ["name", "given_name", "family_name", "email"] {
                    if before.members.get(name).is_some() && before.members.get(name) != after.members.get(name) {
                        found.broken(format!("{name} is not what it was before the archive"), &after.cites);
                    }
                }
            }
        }
    }
    found.conclude("the account was archived, and came back active with its data")
}

fn a_deleted_account_is_gone(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["delete"]).or_else(|| not_disposable(seen)) {
        return judgement;
    }
    let Some((answer, audit)) = &seen.delete else { return Judgement::undecided("not tried") };
    let mut found = Findings::new();
    succeeds(&mut found, "delete", answer, &seen.deleted, "unknown");
    match (audit, &seen.again) {
        // Only an unknown account can be activated.
        (None, Some((again, _))) if again.accepted() => found.saw(&again.cites),
        _ => stands(&mut found, "after delete", audit, "unknown"),
    }
    if let Some((again, audit)) = &seen.again {
        succeeds(&mut found, "activate after delete", again, &seen.deleted, "active");
        // The new name may be told in parts.
        let new = format!("Anew {}", seen.deleted);
        let is_old = |told: &str| !told.is_empty() && !new.contains(told);
        let old: Vec<&str> = ["given_name", "family_name"]
            .into_iter()
            .filter(|name| audit.as_ref().is_some_and(|audit| is_old(text(audit, name))))
            .collect();
        if let (Some(audit), false) = (audit, old.is_empty()) {
            found.broken(format!("the account that was made anew shows old data: {}", old.join(", ")), &audit.cites);
        }
    }
    found.conclude("the account is unknown after delete, and a new one shows no old data")
}

fn a_command_that_does_not_fit_is_refused(seen: &Seen) -> Judgement {
    if seen.unfit.is_empty() {
        return Judgement::undecided("too few commands are supported to send one that does not fit the state");
    }
    let mut found = Findings::new();
    for (command, state_then, answer) in &seen.unfit {
        let what = format!("{command} of an account that is {state_then}");
        if answer.silent() {
            found.undecided(format!("{what}: {}", answer.describe()), &answer.cites);
        } else if answer.status != 409 || answer.error.as_deref() != Some("incompatible_state") {
            found.broken(format!("{what} was answered with {}", describe(answer)), &answer.cites);
        } else if state(answer) != state_then {
            found.broken(format!("{what}: the answer tells account_state `{}`", state(answer)), &answer.cites);
        } else if text(answer, "sub").is_empty() {
            // The text names account_state and error; sub stands in the examples only.
            found.doubtful(format!("{what}: the answer has no sub"), &answer.cites);
        } else {
            found.saw(&answer.cites);
        }
    }
    for (wanted, audit) in &seen.unchanged {
        stands(&mut found, "after commands that do not fit", &Some(audit.clone()), wanted);
    }
    let tried: Vec<&str> = seen.unfit.iter().map(|(command, _, _)| command.as_str()).collect();
    found.conclude(format!("refused with incompatible_state and the true state: {}", tried.join(", ")))
}

fn a_replayed_command_is_not_executed(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["suspend", "reactivate"]) {
        return judgement;
    }
    let Some((answer, audit)) = &seen.replay else {
        return Judgement::undecided("the account could not be suspended and reactivated before the replay");
    };
    let mut found = Findings::new();
    let after = audit.as_ref().filter(|audit| audit.accepted()).map(state);
    match after {
        Some("active") if answer.silent() => found.undecided(answer.describe(), &answer.cites),
        Some("active") if answer.accepted() => {
            found.doubtful("the replayed command had no effect, but was answered as a success", &answer.cites);
        }
        Some("active") => found.saw(&answer.cites),
        Some(word) => {
            let why = format!("the replayed suspend was answered with {}; the account is {word} after it", answer.describe());
            found.broken(why, &answer.cites);
        }
        None if answer.accepted() => found.broken("the replayed suspend was answered as a success", &answer.cites),
        None if answer.refused() => found.saw(&answer.cites),
        None => found.undecided(format!("replay: {}", answer.describe()), &answer.cites),
    }
    found.conclude("the command token that was used before is refused")
}

#[cfg(test)]
mod tests {
    use super::super::super::test_answers::*;
    use super::*;
    use crate::model::verdict::Call;
    use serde_json::json;

    #[test]
    fn the_new_name_in_parts_is_no_old_data() {
        let with = |given: &str| {
            let mut audit = told(200, "active");
            audit.members.insert("given_name".into(), json!(given));
            a_deleted_account_is_gone(&Seen { again: Some((told(200, "active"), Some(audit))), ..good() }).call
        };
        assert_eq!((with("Anew"), with("Suite")), (Call::Pass, Call::Broken));
    }

    fn good() -> Seen {
        let mut full = told(200, "active");
        for name in ["name", "given_name", "family_name"] {
            full.members.insert(name.into(), json!("x"));
        }
        let unfit = |command: &str, state: &str| (command.to_owned(), state.to_owned(), told(409, state));
        Seen {
            announced: all(),
            sub: "s1".into(),
            deleted: "s1".into(),
            disposable: true,
            before: Some(full.clone()),
            suspend: Some((told(200, "suspended"), Some(told(200, "suspended")))),
            sentinel: Some((told(200, "active"), told(200, "active"))),
            unfit: vec![unfit("suspend", "suspended"), unfit("maintain", "unknown")],
            unchanged: vec![("suspended".into(), told(200, "suspended"))],
            reactivate: Some(told(200, "active")),
            replay: Some((refused(400, "invalid_request"), Some(told(200, "active")))),
            archive: Some((told(200, "archived"), Some(told(200, "archived")))),
            restore: Some((told(200, "active"), Some(full))),
            delete: Some((told(200, "unknown"), Some(told(200, "unknown")))),
            again: Some((told(200, "active"), Some(told(200, "active")))),
        }
    }

    fn calls(seen: &Seen) -> Vec<Call> {
        ALL.iter().map(|check| (check.judge)(seen).call).collect()
    }

    #[test]
    fn a_conforming_application_passes_all() {
        assert_eq!(calls(&good()), vec![Call::Pass; 5]);
    }

    #[test]
    fn an_audit_may_tell_by_a_conflict_that_an_account_is_gone() {
        let seen = |word| Seen { delete: Some((told(200, "unknown"), Some(told(409, word)))), ..good() };
        assert_eq!((calls(&seen("unknown"))[2], calls(&seen("archived"))[2]), (Call::Pass, Call::Undecided));
    }

    #[test]
    fn a_conflict_without_sub_is_doubtful() {
        let mut conflict = told(409, "suspended");
        conflict.members.remove("sub");
        let seen = Seen { unfit: vec![("suspend".into(), "suspended".into(), conflict)], ..good() };
        assert_eq!(calls(&seen)[3], Call::Doubtful);
    }

    #[test]
    fn what_is_not_announced_does_not_apply() {
        let seen = Seen { announced: Some(vec!["metadata".into()]), ..Seen::default() };
        let na = Call::NotApplicable;
        assert_eq!(calls(&seen), [na, na, na, Call::Undecided, na]);
    }

    #[test]
    fn each_departure_is_seen_by_its_own_check() {
        let mut full = told(200, "active");
        full.members.insert("family_name".into(), json!("x"));
        let cases: Vec<(usize, Seen)> = vec![
            (0, Seen { suspend: Some((told(200, "suspended"), Some(told(200, "active")))), ..good() }),
            (0, Seen { sentinel: Some((told(200, "active"), told(200, "suspended"))), ..good() }),
            (1, Seen { archive: Some((told(200, "archived"), Some(told(200, "unknown")))), ..good() }),
            (1, Seen { restore: Some((told(200, "active"), Some(told(200, "active")))), ..good() }),
            (2, Seen { delete: Some((told(200, "unknown"), Some(told(200, "archived")))), ..good() }),
            (2, Seen { again: Some((told(200, "active"), Some(full))), ..good() }),
            (3, Seen { unfit: vec![("suspend".into(), "suspended".into(), told(200, "suspended"))], ..good() }),
            (3, Seen { unfit: vec![("suspend".into(), "suspended".into(), told(409, "active"))], ..good() }),
            (4, Seen { replay: Some((told(200, "suspended"), Some(told(200, "suspended")))), ..good() }),
        ];
        for (place, seen) in cases {
            let mut wanted = vec![Call::Pass; 5];
            wanted[place] = Call::Broken;
            assert_eq!(calls(&seen), wanted);
        }
    }

    #[test]
    fn silence_and_a_bad_beginning_decide_nothing() {
        let seen = Seen {
            before: Some(told(200, "suspended")),
            archive: Some((silence(), None)),
            delete: Some((silence(), None)),
            again: None,
            unfit: vec![("suspend".into(), "suspended".into(), silence())],
            replay: Some((silence(), None)),
            restore: None,
            ..good()
        };
        assert_eq!(calls(&seen), vec![Call::Undecided; 5]);
    }

    #[test]
    fn without_audit_other_answers_tell_the_state() {
        let bare = |part: Option<(crate::counterpart::command_issuer::Answer, _)>| part.map(|(answer, _)| (answer, None));
        let mut seen = good();
        (seen.before, seen.unchanged, seen.sentinel) = (None, Vec::new(), None);
        (seen.suspend, seen.delete) = (bare(seen.suspend), bare(seen.delete));
        seen.replay = bare(seen.replay);
        let calls = calls(&seen);
        assert_eq!((calls[0], calls[2], calls[4]), (Call::Pass, Call::Pass, Call::Pass));
    }
}
