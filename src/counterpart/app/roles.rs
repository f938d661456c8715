//! Roles: which there are, which group gives which, and which a user holds in effect.

use std::collections::BTreeSet;

use serde_json::Value;

use super::App;
use super::defect::Defect;
use super::state::{Account, State};
use crate::counterpart::scim_server::{Change, Role};

/// What the application starts with: value, display name, may it be assigned, how many may hold it.
const CATALOGUE: [(&str, &str, bool, Option<u32>); 5] = [
    ("editor", "Editor", true, None),
    ("auditor", "Auditor", true, None),
    ("archivist", "Archivist", true, None),
    ("approver", "Approver", true, Some(2)),
    ("operator", "Operator", false, None),
];

/// Which group gives which role: by the name of the group, whether it comes by SCIM or as a claim.
pub const MAPPING: [(&str, &str); 2] = [("Staff of the press", "editor"), ("Auditing office", "auditor")];

/// The roles at the start, as its administrator sees them.
pub fn catalogue() -> Vec<Role> {
    let role = |(value, display, supported, limit): (&str, &str, bool, Option<u32>)| Role {
        value: value.to_owned(),
        display: display.to_owned(),
        supported,
        limit,
    };
    CATALOGUE.into_iter().map(role).collect()
}

/// The roles as SCIM exposes them at the start.
pub fn exposed(defects: &[Defect]) -> Vec<Role> {
    let hidden = if defects.contains(&Defect::RolesComplete) { "archivist" } else { "" };
    catalogue().into_iter().filter(|role| role.value != hidden).collect()
}

fn of_group(name: &str) -> impl Iterator<Item = &'static str> {
    MAPPING.iter().filter(move |(group, _)| *group == name).map(|(_, role)| *role)
}

/// The roles that the account holds: what its groups give, and what it was given directly.
pub fn effective(app: &App, state: &State, account: &Account) -> BTreeSet<String> {
    let managed = account.managed;
    let of_scim = if managed { app.scim.groups_of(&account.id) } else { Vec::new() };
    let of_scim = of_scim.iter().filter_map(|group| group["displayName"].as_str().map(str::to_owned));
    let groups: Vec<String> = of_scim.chain(account.groups.iter().cloned()).chain(commanded(account, "groups")).collect();
    let mut roles = BTreeSet::new();
    let giving: Vec<&String> = groups.iter().filter(|group| of_group(group).next().is_some()).collect();
    let first = if app.has(Defect::MappingManyGroups) { giving.len().saturating_sub(1) } else { 0 };
    if !app.has(Defect::MappingEffective) {
        roles.extend(giving.iter().skip(first).flat_map(|group| of_group(group)).map(str::to_owned));
    }
    if app.has(Defect::MappingUnmappedGroup) {
        let named = |role: &Role| {
            groups.iter().any(|group| role.value.eq_ignore_ascii_case(group) || role.display.eq_ignore_ascii_case(group))
        };
        roles.extend(state.catalogue.iter().filter(|role| named(role)).map(|role| role.value.clone()));
    }
    if managed && !app.has(Defect::AssignRole) {
        roles.extend(app.scim.roles_of(&account.id));
    }
    roles.extend(commanded(account, "roles"));
    // Both are empty but for the defects that fill them.
    roles.extend(
        [&state.kept_roles, &state.local_roles].into_iter().filter_map(|table| table.get(&account.id)).flatten().cloned(),
    );
    roles
}

/// Groups or roles that commands gave.
fn commanded(account: &Account, what: &str) -> Vec<String> {
    let all = account.claims.get(what).and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

/// Under the defects that keep what was taken away.
pub fn group_changed(app: &App, change: &Change) {
    let keeps = if change.after.is_some() { Defect::MappingRemoved } else { Defect::GroupDelete };
    if !app.has(keeps) {
        return;
    }
    let members = |group: &Option<Value>| -> BTreeSet<String> {
        let all = group.iter().flat_map(|group| group["members"].as_array().cloned().unwrap_or_default());
        all.filter_map(|member| member["value"].as_str().map(str::to_owned)).collect()
    };
    let name =
        change.before.as_ref().map(|group| group["displayName"].as_str().unwrap_or_default().to_owned()).unwrap_or_default();
    for left in members(&change.before).difference(&members(&change.after)) {
        keep(&mut app.lock(), left, of_group(&name).map(str::to_owned));
    }
}

/// Under the defects that keep or restore what was taken away.
pub fn user_changed(app: &App, id: &str, before: &Value, after: &Value) {
    if app.has(Defect::RemoveRole) {
        let lost: Vec<String> = values(before).difference(&values(after)).cloned().collect();
        keep(&mut app.lock(), id, lost);
    }
    if app.has(Defect::RoleSurvivesSuspension) {
        if before["active"] != false && after["active"] == false {
            app.lock().roles_before.insert(id.to_owned(), before["roles"].clone());
        }
        let restored =
            if before["active"] == false && after["active"] != false { app.lock().roles_before.remove(id) } else { None };
        if let Some(roles) = restored.filter(Value::is_array) {
            app.scim.change_user(id, |user| user["roles"] = roles);
        }
    }
}

fn values(user: &Value) -> BTreeSet<String> {
    let all = user["roles"].as_array().into_iter().flatten();
    all.filter_map(|role| role["value"].as_str().map(str::to_owned)).collect()
}

fn keep(state: &mut State, id: &str, roles: impl IntoIterator<Item = String>) {
    state.kept_roles.entry(id.to_owned()).or_default().extend(roles);
}

/// Group names of a claim: a list of names, or one.
pub fn claimed(claims: &Value) -> Vec<String> {
    match &claims["groups"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// The groups that a sign-in claims, in place of those of the sign-in before.
pub fn take_groups(app: &App, state: &mut State, id: &str, groups: &[String]) {
    let Some(account) = state.accounts.get_mut(id) else { return };
    let before = std::mem::replace(&mut account.groups, groups.to_vec());
    if app.has(Defect::MappingRemoved) {
        let left = before.into_iter().filter(|group| !groups.contains(group));
        let roles: Vec<String> = left.flat_map(|group| of_group(&group).map(str::to_owned).collect::<Vec<_>>()).collect();
        keep(state, id, roles);
    }
}
