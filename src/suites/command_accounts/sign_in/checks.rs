//! The checks on what sign-ins and pages show of commands.

use serde_json::Value;

use super::super::{describe, lacking, stands, state, succeeds, text};
use super::{Given, Seen, ShownRoles};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::visitor::Attempt;
use crate::suite::Check;
use crate::suites::account_blocks::alive;

/// All of them.
pub const ALL: &[Check<Seen>] = &[
    Check::new("al1.app.cmd-reactivate", a_reactivated_user_signs_in),
    Check::new("al2.app.cmd-activate", an_activated_user_signs_in),
    Check::new("al2.app.cmd-groups-claim", groups_of_commands_give_roles),
    Check::new("al3.app.cmd-roles-applied", roles_of_commands_are_applied),
    Check::new("al2.app.cmd-audit-modified", an_audit_tells_local_changes),
    Check::new("al2.app.cmd-migrate", a_migration_ends_the_password),
];

fn works(found: &mut Findings, what: &str, attempt: &Option<Attempt>) {
    match attempt {
        None => found.undecided(format!("{what}: not tried"), &[]),
        Some(attempt) if attempt.signed_in() => found.saw(&attempt.cites),
        Some(attempt) if attempt.refused() => found.broken(format!("{what}: {}", attempt.describe()), &attempt.cites),
        Some(attempt) => found.undecided(format!("{what}: {}", attempt.describe()), &attempt.cites),
    }
}

fn a_reactivated_user_signs_in(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["suspend", "reactivate"]) {
        return judgement;
    }
    let Some(part) = &seen.reactivated else { return Judgement::undecided("not tried") };
    if !part.before.signed_in() || !part.suspend.accepted() || state(&part.suspend) != "suspended" {
        let why = format!("sign-in before: {}; suspend: {}", part.before.describe(), describe(&part.suspend));
        return Judgement::undecided(format!("there was no suspended user to reactivate: {why}")).cite(&part.suspend.cites);
    }
    let mut found = Findings::new();
    succeeds(&mut found, "reactivate", &part.reactivate, &seen.sub, "active");
    if part.reactivate.accepted() {
        works(&mut found, "sign-in after reactivate", &part.after);
    }
    found.conclude("the account is active again, and the user signs in")
}

fn an_activated_user_signs_in(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["activate"]) {
        return judgement;
    }
    let Some(part) = &seen.joiner else { return Judgement::undecided("not tried") };
    if let Some(before) = part.before.as_ref().filter(|before| before.accepted() && state(before) != "unknown") {
        return Judgement::undecided(format!("the account was {} before activate", state(before))).cite(&before.cites);
    }
    let mut found = Findings::new();
    succeeds(&mut found, "activate", &part.activate, &seen.sub, "active");
    if part.activate.accepted() {
        stands(&mut found, "after activate", &part.after, "active");
        works(&mut found, "first sign-in", &part.sign_in);
    }
    if let Some(after) = part.after.as_ref().filter(|after| after.accepted()) {
        let sent = |name: &str| part.claims.get(name).and_then(Value::as_str).unwrap_or_default();
        // What the application does not keep need not come back.
        for name in ["name", "given_name", "family_name", "email"] {
            if !text(after, name).is_empty() && text(after, name) != sent(name) {
                found.broken(format!("{name} is `{}`, not `{}` as activate said", text(after, name), sent(name)), &after.cites);
            }
        }
    }
    found.conclude("the account was active before the first sign-in, with the claims that were sent, and the user signs in")
}

/// The role comes with the command and goes with the next one.
fn takes_effect(found: &mut Findings, sub: &str, what: &str, part: &Given) {
    let page = |found: &mut Findings, when: &str, shown: &ShownRoles, wanted: bool| {
        if !shown.signed_in {
            found.undecided(format!("{when}: the user could not be signed in"), &shown.cites);
        } else if !shown.fault.is_empty() {
            found.undecided(format!("{when}: the page could not be read ({})", shown.fault), &shown.cites);
        } else if shown.names(&part.role) != wanted {
            let says = if wanted { "is not shown" } else { "is still shown" };
            found.broken(format!("{when}: the role {} {says}", part.role.join("/")), &shown.cites);
        } else {
            found.saw(&shown.cites);
        }
    };
    if !part.before.signed_in || !part.before.fault.is_empty() || part.before.names(&part.role) {
        let why = format!(
            "the user could not be signed in, the page could not be read, or it showed the role {} before",
            part.role.join("/")
        );
        found.undecided(why, &part.before.cites);
        return;
    }
    succeeds(found, &format!("maintain with {what}"), &part.give, sub, "active");
    page(found, &format!("with {what} [{}]", part.value), &part.with, true);
    succeeds(found, &format!("maintain without {what}"), &part.take, sub, "active");
    page(found, &format!("with {what} []"), &part.without, false);
}

fn groups_of_commands_give_roles(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["maintain"]) {
        return judgement;
    }
    let Some(part) = &seen.groups else {
        let why = seen.untried.get("groups").cloned();
        return why.map_or_else(|| Judgement::undecided("not tried"), Judgement::not_configured);
    };
    let mut found = Findings::new();
    takes_effect(&mut found, &seen.sub, "groups", part);
    found.conclude(format!("the group {} of a maintain command gives the role, and without it the role is gone", part.value))
}

fn roles_of_commands_are_applied(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["maintain"]) {
        return judgement;
    }
    let Some(part) = &seen.roles else {
        return Judgement::undecided(seen.untried.get("roles").map_or("not tried", String::as_str));
    };
    let mut found = Findings::new();
    takes_effect(&mut found, &seen.sub, "roles", part);
    match &part.audited {
        Some(told) if !told.contains(&part.value) => {
            found.broken(format!("the audit does not tell the role {} that was given", part.value), &part.give.cites);
        }
        Some(_) => {}
        None => found.doubtful("the audit tells no roles", &part.give.cites),
    }
    let how = if part.as_object { "an object" } else { "an identifier" };
    found.conclude(format!("the role {}, sent as {how}, was given and taken", part.value))
}

fn an_audit_tells_local_changes(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["audit"]) {
        return judgement;
    }
    let Some(part) = &seen.local else { return Judgement::undecided("not tried") };
    if !part.played {
        return Judgement::undecided("the user could not be signed in, or the script local-profile-edit did not come to its end");
    }
    let Some(audit) = part.audit.as_ref().filter(|audit| audit.accepted()) else {
        return Judgement::undecided("the account could not be audited after the local change").cite(&part.cites);
    };
    let told = audit.members.values().any(|claim| claim.as_str() == Some(part.value.as_str()));
    let judgement = match (part.shown, told) {
        (_, true) => Judgement::pass("the audit tells the value that was changed locally"),
        (Some(false), false) => Judgement::pass("the local change was refused"),
        (Some(true), false) => Judgement::broken("the local change was taken, and the audit does not tell it"),
        (None, false) => {
            Judgement::undecided("the user's profile was not seen, so that a refused change cannot be told from a hidden one")
        }
    };
    judgement.cite(&part.cites).cite(&audit.cites)
}

fn a_migration_ends_the_password(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["migrate"]) {
        return judgement;
    }
    let Some(part) = &seen.migrated else { return Judgement::not_configured("accounts.local_user is not configured") };
    if !part.before.signed_in {
        let why = format!("the local password did not work before migrate: {}", part.before.describe());
        return Judgement::undecided(why).cite(&part.before.cites);
    }
    let answer = &part.answer;
    let refusal = matches!(
        (answer.status, answer.error.as_deref()),
        (403, Some("access_denied")) | (409, Some("authentication_not_transferable"))
    );
    if answer.silent() {
        return Judgement::undecided(answer.describe()).cite(&answer.cites);
    }
    if refusal {
        return Judgement::pass(format!("refused with {}", answer.describe())).cite(&answer.cites);
    }
    if !answer.accepted() {
        return Judgement::broken(format!("migrate was answered with {}", describe(answer))).cite(&answer.cites);
    }
    let mut found = Findings::new();
    works(&mut found, "sign-in at the provider after migrate", &part.sign_in);
    match &part.after {
        None => found.undecided("the local password was not tried after migrate", &[]),
        Some(look) if look.signed_in => found.broken("the local password still works after migrate to `op`", &look.cites),
        Some(look) if alive(look).is_none() => found.undecided(look.describe(), &look.cites),
        Some(look) => found.saw(&look.cites),
    }
    found.conclude("the user signs in at the provider, and the local password does not work any more")
}

#[cfg(test)]
mod tests;
