//! What the target file must say so that a clause of AL1 to AL3 can be tested.

use crate::model::target::{AppAccounts, Exposure, ScimAuth, Target, Way};
use crate::model::{Clause, Role};

/// Names what is missing, where a need of a clause is not met. Needs that only the run can tell (whether users can be created, whether
/// roles are exposed, which commands are supported) are met here; the checks say what follows.
pub fn missing(clause: &Clause, target: &Target) -> Option<String> {
    let mut missing: Vec<String> = clause.needs.iter().filter_map(|need| one(need, clause, target)).collect();
    missing.dedup();
    (!missing.is_empty()).then(|| missing.join("; "))
}

/// Why a clause does not apply at this target: another way of groups or roles is claimed. Only the claimed ways gate.
pub fn unclaimed(clause: &Clause, target: &Target) -> Option<String> {
    if clause.role == Role::App
        && target.accounts_by_commands()
        && let Some(why) = only_by_scim(clause)
    {
        return Some(format!("SCIM is not declared or not configured, and {why}"));
    }
    let ways = &target.lifecycle;
    let groups =
        |way: Way| (!ways.group_ways.contains(&way)).then(|| format!("lifecycle.group_ways does not name {}", way.word()));
    let roles = |way: Way| (!ways.role_ways.contains(&way)).then(|| format!("lifecycle.role_ways does not name {}", way.word()));
    let exposed = |how: Exposure, name: &str| {
        (!ways.roles_exposed.is_empty() && !ways.roles_exposed.contains(&how))
            .then(|| format!("lifecycle.roles_exposed does not name {name}"))
    };
    let other_layout = |wanted: ScimAuth, name: &str| {
        let auth = target.scim.as_ref().map(|scim| scim.auth);
        auth.filter(|auth| *auth != ScimAuth::Bearer && *auth != wanted)
            .map(|_| format!("scim.auth is not {name}: tokens come from elsewhere"))
    };
    match clause.id.as_str() {
        "al1.app.token-accepted-from-idp" => other_layout(ScimAuth::IdpAs, "idp-as"),
        "al1.app.jwt-assertion-exchange" | "al1.app.jwt-assertion-checks" | "al1.app.jwt-assertion-replay" => {
            other_layout(ScimAuth::AppAs, "app-as")
        }
        "al2.app.group-claim-source-trusted" | "al2.idp.groups-claim" => groups(Way::Claims),
        "al2.app.cmd-groups-claim" | "al2.idp.cmd-metadata-groups" => groups(Way::Commands),
        "al2.idp.group-sources-agree" => {
            (ways.group_ways.len() < 2).then(|| "lifecycle.group_ways names one way only".to_owned())
        }
        "al3.app.cmd-roles-applied" | "al3.idp.cmd-metadata-consumed" => roles(Way::Commands),
        "al3.idp.role-claim" => roles(Way::Claims),
        "al3.app.roles-resource-wellformed" | "al3.app.roles-readonly" | "al3.app.roles-need-token" => {
            exposed(Exposure::RolesResource, "roles-resource")
        }
        "al3.app.cmd-metadata-roles" => exposed(Exposure::OpCommands, "op-commands"),
        id if clause.binding == "scim" && (id.starts_with("al2.app.group-") || id.starts_with("al2.idp.group")) => {
            groups(Way::Scim)
        }
        "al2.app.user-groups-readonly" | "al2.app.group-delete" => groups(Way::Scim),
        "al3.idp.role-pushed" | "al3.idp.role-removed" | "al3.idp.role-by-group" | "al3.idp.role-drift-repaired" => {
            roles(Way::Scim)
        }
        _ => None,
    }
}

fn one(need: &str, clause: &Clause, target: &Target) -> Option<String> {
    let absent = |is_absent: bool, key: &str| is_absent.then(|| format!("{key} is not configured"));
    let scim = if clause.role == Role::Idp { target.provisioning() } else { target.scim.as_ref() };
    let accounts = &target.accounts;
    if let Some(hook) = need.strip_prefix("admin-hook:").or_else(|| need.strip_prefix("app-hook:")) {
        return absent(!target.hooks.contains_key(hook), &format!("hooks.{hook}"));
    }
    if let Some(probe) = need.strip_prefix("probe:") {
        return probed(probe, clause, target, accounts);
    }
    let auth = |wanted: ScimAuth| scim.is_none_or(|scim| scim.auth != wanted);
    match (clause.role, need) {
        (Role::App, "scim-base" | "scim-token") if of_no_binding(clause) && target.accounts_by_commands() => None,
        (Role::App, "scim-base" | "scim-token" | "tls") => {
            absent(scim.is_none_or(|scim| scim.base_url.is_empty()), "scim.base_url")
        }
        (Role::App, "command-endpoint") => absent(target.commands.command_endpoint.is_empty(), "commands.command_endpoint"),
        (Role::App, "login") => absent(target.app.as_ref().is_none_or(|app| app.protected_url.is_empty()), "app.protected_url"),
        (Role::App, "client-auth-jwt") => {
            absent(auth(ScimAuth::AppAs) && auth(ScimAuth::IdpAs), "scim.auth = \"app-as\" or \"idp-as\"")
        }
        (Role::App, "token-issuer") => None,
        (Role::App, "suite-as") => absent(auth(ScimAuth::IdpAs), "scim.auth = \"idp-as\""),
        (Role::App, "second-tenant") => absent(
            scim.is_none_or(|scim| scim.second_token.is_none() && scim.second_client_id.is_empty()),
            "scim.second_token (or scim.second_client_id)",
        ),
        (Role::App, "disposable-tenant") => {
            absent(scim.is_none_or(|scim| scim.disposable_tenant.is_empty()), "scim.disposable_tenant")
        }
        (Role::App, "local-account") => absent(
            !accounts.surface.contains_key("local-login") || accounts.local_user.is_none(),
            "accounts.local_user (with accounts.surface.local-login)",
        ),
        (Role::Idp, "scim-base") if clause.slug() == "publishes-jwks" => {
            absent(auth(ScimAuth::AppAs) && auth(ScimAuth::IdpAs), "scim.auth = \"app-as\" or \"idp-as\"")
        }
        (Role::Idp, "suite-scim") => absent(target.counterpart.scim_url.is_empty(), "counterpart.scim_url"),
        (Role::Idp, "suite-command-endpoint") => absent(target.counterpart.commands_url.is_empty(), "counterpart.commands_url"),
        (Role::Idp, "suite-as") => absent(auth(ScimAuth::AppAs) && auth(ScimAuth::IdpAs), "scim.auth = \"app-as\" or \"idp-as\""),
        (Role::Idp, "login" | "refresh-token") => absent(target.idp.is_none(), "[idp]"),
        (Role::Idp, "test-user" | "new-user" | "disposable-user") => absent(
            !target.hooks.contains_key("create-user") && target.lifecycle.users.is_empty(),
            "hooks.create-user (or lifecycle.users)",
        ),
        _ => None,
    }
}

/// Clauses that hold whatever the accounts are driven by.
fn of_no_binding(clause: &Clause) -> bool {
    matches!(clause.binding.as_str(), "cross" | "app-surface" | "oidc")
}

/// Clauses of no binding that still ask what only SCIM can do.
fn only_by_scim(clause: &Clause) -> Option<&'static str> {
    match clause.id.as_str() {
        "al2.app.no-signin-before-active" => Some("a command makes active accounts only"),
        "al2.app.group-delete" => Some("commands know no groups that could be deleted"),
        "al2.app.local-group-edit-refused" => Some("commands push no groups with members"),
        "al3.app.role-survives-suspension" => Some("commands change no suspended account"),
        _ => None,
    }
}

fn probed(probe: &str, clause: &Clause, target: &Target, accounts: &AppAccounts) -> Option<String> {
    let absent = |is_absent: bool, key: &str| is_absent.then(|| format!("{key} is not configured"));
    let app = target.app.as_ref();
    match probe {
        "session" => absent(app.is_none_or(|app| app.protected_url.is_empty()), "app.protected_url"),
        // What has no probe is listed as not examined.
        "api-token" | "refresh" if clause.slug() == "access-mechanisms" => None,
        "api-token" if clause.slug() == "scope-not-broader" => absent(accounts.other_api.is_empty(), "accounts.other_api"),
        "api-token" | "refresh" => absent(app.is_none_or(|app| app.tokens.is_none()), "app.tokens"),
        "roles" => absent(accounts.roles.is_none(), "accounts.roles"),
        "profile" => absent(accounts.profile.is_none(), "accounts.profile"),
        "role-catalogue" => absent(
            target.lifecycle.roles.is_empty() && !accounts.surface.contains_key("role-catalogue"),
            "lifecycle.roles (or accounts.surface.role-catalogue)",
        ),
        script => absent(!accounts.surface.contains_key(script), &format!("accounts.surface.{script}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use crate::model::Level;
    use crate::model::target::{App, Scim};

    fn target(bindings: &[&str], scim: bool) -> Target {
        let mut target =
            Target { app: Some(App { protected_url: "https://a.test/".into(), ..App::default() }), ..Target::default() };
        target.target.bindings = bindings.iter().map(ToString::to_string).collect();
        target.commands.command_endpoint = "https://a.test/commands".into();
        target.scim = scim.then(|| Scim { base_url: "https://a.test/scim".into(), ..Scim::default() });
        target
    }

    #[test]
    fn commands_take_the_place_of_scim_where_that_is_not_declared() {
        assert!(target(&["op-commands"], false).accounts_by_commands());
        assert!(target(&["op-commands"], true).accounts_by_commands());
        assert!(!target(&["op-commands", "scim"], true).accounts_by_commands());
        assert!(!target(&["scim"], false).accounts_by_commands());
        assert!(target(&["op-commands", "scim"], false).accounts_by_commands());
    }

    #[test]
    fn the_effect_of_commands_alone_is_tested_and_what_only_scim_can_do_does_not_apply() {
        let catalogue = Catalogue::embedded().unwrap();
        let alone = target(&["op-commands"], false);
        let all = catalogue.clauses.iter().filter(|clause| clause.level != Level::Sl1 && clause.level.is_account());
        let cross: Vec<&Clause> = all.filter(|clause| clause.role == Role::App && clause.binding == "cross").collect();
        assert!(cross.len() > 15);
        for clause in cross {
            let told = missing(clause, &alone).unwrap_or_default();
            assert!(!told.contains("scim."), "{}: {told}", clause.id);
        }
        let named = |id: &str| catalogue.clauses.iter().find(|clause| clause.id == id).unwrap();
        assert!(unclaimed(named("al2.app.no-signin-before-active"), &alone).is_some());
        assert!(unclaimed(named("al2.app.no-signin-before-active"), &target(&["scim"], true)).is_none());
        assert!(unclaimed(named("al1.app.any-one-way"), &alone).is_none());
    }
}
