//! The actions of the hooks: a change of the directory, then the jobs that it causes.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Provisioner;
use super::directory::{Job, Key, User};
use super::hooks::Body;
use crate::wire::jose::random;

/// Begins an action; provisioning goes on in the task.
pub(super) async fn begin(this: &Arc<Provisioner>, action: &str, body: &Body) -> Result<JoinHandle<()>, String> {
    match action {
        "create-user" => create_users(this, body),
        "assign-user" => {
            let keys = this.users_named(body)?;
            let subs = subjects(this, &keys);
            let task = this.change_users(&keys, |user| {
                user.assigned = true;
                if let Some((_, sub)) = subs.iter().find(|(name, _)| *name == user.name) {
                    user.sub.clone_from(sub);
                }
            });
            Ok(with_groups(this, &keys, task))
        }
        "unassign-user" => Ok(this.change_users(&this.users_named(body)?, |user| user.assigned = false)),
        "disable-user" => set_disabled(this, body, true),
        "enable-user" => set_disabled(this, body, false),
        "delete-user" => delete_users(this, body),
        "update-profile" => update_profile(this, body),
        "rename-user" => rename_user(this, body),
        "create-group" => {
            let name = body.text("group");
            if name.is_empty() || this.directory().group(name).is_ok() {
                return Err(format!("a group `{name}` cannot be made"));
            }
            let key = this.directory().add_group(name);
            Ok(this.schedule(vec![Job::Group(key)]))
        }
        "add-group-member" => change_members(this, body, true),
        "remove-group-member" => change_members(this, body, false),
        "delete-group" => delete_group(this, body),
        "full-resync" => {
            let this = this.clone();
            Ok(tokio::spawn(async move { this.full_resync().await }))
        }
        "import-roles" => Ok(import_roles(this)),
        "fill-group" => fill_group(this, body),
        "map-role" | "map-group-role" => map_role(this, body, true).await,
        "unmap-role" => map_role(this, body, false).await,
        _ => Err(format!("there is no action {action}")),
    }
}

/// The present subject identifiers; the provider's lock is never taken under the directory's.
fn subjects(this: &Provisioner, keys: &[Key]) -> Vec<(String, String)> {
    let names: Vec<String> = {
        let directory = this.directory();
        keys.iter().filter_map(|key| directory.users.get(key).map(|user| user.name.clone())).collect()
    };
    names.into_iter().filter_map(|name| this.accounts.sub(&name).map(|sub| (name, sub))).collect()
}

/// After their users, the groups that have them as members.
fn with_groups(this: &Arc<Provisioner>, keys: &[Key], users: JoinHandle<()>) -> JoinHandle<()> {
    let mut groups: Vec<Key> = {
        let directory = this.directory();
        keys.iter().flat_map(|key| directory.groups_of(*key).into_iter().map(|(key, _)| key)).collect()
    };
    groups.sort_unstable();
    groups.dedup();
    let this = this.clone();
    tokio::spawn(async move {
        let _ = users.await;
        this.all(groups.into_iter().map(Job::Group).collect()).await;
    })
}

fn create_users(this: &Arc<Provisioner>, body: &Body) -> Result<JoinHandle<()>, String> {
    let names = body.list("user");
    if names.is_empty() {
        return Err("user is missing".into());
    }
    if let Some(known) = names.iter().find(|name| this.directory().user(name).is_ok()) {
        return Err(format!("the user {known} exists already"));
    }
    for name in &names {
        // Without a password nobody knows it: the user exists and cannot sign in.
        let password = if body.text("password").is_empty() { random(24) } else { body.text("password").to_owned() };
        this.accounts.add(name, &password, body.text("totp"));
        let mut user = User { sub: this.accounts.sub(name).unwrap_or_default(), ..User::named(name) };
        if names.len() == 1 {
            if !body.text("email").is_empty() {
                body.text("email").clone_into(&mut user.email);
            }
            if let Some((given, family)) = body.text("name").split_once(' ') {
                (user.given, user.family) = (given.to_owned(), family.to_owned());
            }
            if !body.text("name").is_empty() {
                body.text("name").clone_into(&mut user.display);
            }
        }
        this.directory().add_user(user);
    }
    Ok(this.schedule(Vec::new()))
}

fn set_disabled(this: &Arc<Provisioner>, body: &Body, disabled: bool) -> Result<JoinHandle<()>, String> {
    let keys = this.users_named(body)?;
    for name in body.list("user") {
        this.accounts.set_disabled(name, disabled);
    }
    let task = this.change_users(&keys, |user| user.disabled = disabled);
    Ok(if disabled { task } else { with_groups(this, &keys, task) })
}

fn delete_users(this: &Arc<Provisioner>, body: &Body) -> Result<JoinHandle<()>, String> {
    let keys = this.users_named(body)?;
    for name in body.list("user") {
        this.accounts.remove(name);
    }
    {
        let mut directory = this.directory();
        for key in &keys {
            // The server takes a deleted user out of its groups by itself.
            let id = directory.users.get(key).and_then(|user| user.link.as_ref()).map(|link| link.id.clone());
            for group in directory.groups.values_mut() {
                group.members.remove(key);
                if let (Some(id), Some((_, pushed))) = (&id, &mut group.link) {
                    pushed.remove(id);
                }
            }
        }
    }
    Ok(this.change_users(&keys, |user| (user.gone, user.assigned) = (true, false)))
}

fn update_profile(this: &Arc<Provisioner>, body: &Body) -> Result<JoinHandle<()>, String> {
    let keys = this.users_named(body)?;
    let (attribute, value) = (body.text("attribute"), body.text("value"));
    let field = |user: &mut User| -> Option<()> {
        let field = match attribute {
            "displayName" | "name" => &mut user.display,
            "title" => &mut user.title,
            "department" => &mut user.department,
            "givenName" => &mut user.given,
            "familyName" => &mut user.family,
            "email" => &mut user.email,
            _ => return None,
        };
        value.clone_into(field);
        Some(())
    };
    field(&mut User::default()).ok_or_else(|| format!("there is no attribute {attribute}"))?;
    Ok(this.change_users(&keys, |user| {
        let _ = field(user);
    }))
}

fn rename_user(this: &Arc<Provisioner>, body: &Body) -> Result<JoinHandle<()>, String> {
    let (from, to) = (body.text("user"), body.text("value"));
    let key = this.directory().user(from)?;
    if to.is_empty() || this.directory().user(to).is_ok() {
        return Err(format!("the name `{to}` cannot be given"));
    }
    this.accounts.rename(from, to);
    Ok(this.change_users(&[key], |user| to.clone_into(&mut user.name)))
}

/// Jobs of a group and of users whom it gives roles or, in commands, a group.
fn group_and_members(this: &Arc<Provisioner>, group: Key, members: Vec<Key>) -> JoinHandle<()> {
    let this = this.clone();
    tokio::spawn(async move {
        this.all(members.into_iter().map(Job::User).collect()).await;
        this.all(vec![Job::Group(group)]).await;
    })
}

fn change_members(this: &Arc<Provisioner>, body: &Body, join: bool) -> Result<JoinHandle<()>, String> {
    let keys = this.users_named(body)?;
    let group = {
        let mut directory = this.directory();
        let key = directory.group(body.text("group"))?;
        if let Some(group) = directory.groups.get_mut(&key) {
            for user in &keys {
                if join {
                    group.members.insert(*user);
                } else {
                    group.members.remove(user);
                }
            }
        }
        key
    };
    Ok(group_and_members(this, group, keys))
}

/// Makes users who have the application, and puts them into a group.
fn fill_group(this: &Arc<Provisioner>, body: &Body) -> Result<JoinHandle<()>, String> {
    let name = body.text("group");
    let count: usize = body.text("count").parse().map_err(|_| "count is no number".to_owned())?;
    let known = this.directory().group(name);
    let key = known.unwrap_or_else(|_| this.directory().add_group(name));
    let label = format!("member-{}", random(6).to_lowercase());
    let mut directory = this.directory();
    for number in 0..count {
        let name = format!("{label}-{number}@ipsie-conform.test");
        // They never sign in, so the provider does not know them.
        let user = User { sub: format!("{label}-{number}"), assigned: true, ..User::named(&name) };
        let member = directory.add_user(user);
        if let Some(group) = directory.groups.get_mut(&key) {
            group.members.insert(member);
        }
    }
    drop(directory);
    Ok(this.schedule(vec![Job::Group(key)]))
}

fn delete_group(this: &Arc<Provisioner>, body: &Body) -> Result<JoinHandle<()>, String> {
    let (key, members) = {
        let mut directory = this.directory();
        let key = directory.group(body.text("group"))?;
        let group = directory.groups.get_mut(&key).ok_or("the group is gone")?;
        group.gone = true;
        (key, group.members.iter().copied().collect())
    };
    Ok(group_and_members(this, key, members))
}

fn import_roles(this: &Arc<Provisioner>) -> JoinHandle<()> {
    let this = this.clone();
    tokio::spawn(async move {
        if let Err(why) = this.import_roles().await {
            this.problem(format!("roles: {why}"));
        }
        let jobs = this.directory().users.keys().map(|key| Job::User(*key)).collect();
        this.all(jobs).await;
    })
}

/// Maps a role to a user, or to a group when no user is named.
async fn map_role(this: &Arc<Provisioner>, body: &Body, map: bool) -> Result<JoinHandle<()>, String> {
    let role = body.text("role");
    if map && this.directory().catalogue.is_none() {
        this.import_roles().await?;
    }
    if map && !this.directory().offers(role) {
        return Err(format!("the application offers no role `{role}`"));
    }
    let change = |roles: &mut std::collections::BTreeSet<String>| {
        if map {
            roles.insert(role.to_owned());
        } else {
            roles.remove(role);
        }
    };
    if !body.text("user").is_empty() {
        return Ok(this.change_users(&this.users_named(body)?, |user| change(&mut user.roles)));
    }
    let mut directory = this.directory();
    let key = directory.group(body.text("group"))?;
    let group = directory.groups.get_mut(&key).ok_or("the group is gone")?;
    change(&mut group.roles);
    let members = group.members.iter().map(|key| Job::User(*key)).collect();
    drop(directory);
    Ok(this.schedule(members))
}
