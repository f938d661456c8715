//! The directory of the identity service: users, groups, the application's roles, and what was provisioned of them. No I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::lapse::Lapse;
use super::profile::Profile;
use crate::wire::jose::random;

/// Key of a user or group; it survives renaming.
pub type Key = u64;

/// A user.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// Name in the directory, also `userName`.
    pub name: String,
    /// Primary address.
    pub email: String,
    /// Given name.
    pub given: String,
    /// Family name.
    pub family: String,
    /// Display name.
    pub display: String,
    /// Title; empty for none.
    pub title: String,
    /// Department; empty for none.
    pub department: String,
    /// Subject identifier of the ID tokens for the application.
    pub sub: String,
    /// Has the application.
    pub assigned: bool,
    /// May not sign in.
    pub disabled: bool,
    /// Deleted; kept until that has been provisioned.
    pub gone: bool,
    /// Roles mapped to the user.
    pub roles: BTreeSet<String>,
    /// The account at the SCIM server, where it is known.
    pub link: Option<Link>,
    /// What commands have told the application.
    pub told: Told,
}

impl User {
    /// May use the application.
    pub fn has_access(&self) -> bool {
        self.assigned && !self.disabled && !self.gone
    }
}

/// An account at the SCIM server.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// The id the server gave.
    pub id: String,
    /// Its last known state.
    pub pushed: Profile,
}

/// The application's state of an account, as the commands have left it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `account_state`; empty stands for `unknown`.
    pub state: String,
    /// The claims of the last activate or maintain.
    pub claims: serde_json::Value,
}

/// A group in scope for the application.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Stable id: `externalId`, and the id in commands.
    pub id: String,
    /// `displayName`, and the value in ID tokens.
    pub name: String,
    /// Deleted; kept until that has been provisioned.
    pub gone: bool,
    /// Its members.
    pub members: BTreeSet<Key>,
    /// Roles its members get.
    pub roles: BTreeSet<String>,
    /// Id at the SCIM server and the ids of the members pushed.
    pub link: Option<(String, BTreeSet<String>)>,
}

/// A role of the application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// Its value; in commands its id.
    pub value: String,
    /// Its readable name.
    pub display: String,
}

/// What has to be brought in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Job {
    /// A user.
    User(Key),
    /// A group.
    Group(Key),
}

/// Everything.
#[derive(Debug, Default)]
pub struct Directory {
    lapses: Vec<Lapse>,
    next: Key,
    /// Users by key.
    pub users: BTreeMap<Key, User>,
    /// Groups by key.
    pub groups: BTreeMap<Key, Group>,
    /// Roles read from the SCIM server; `None` before the first reading.
    pub catalogue: Option<Vec<Offered>>,
    /// Roles of the last metadata response.
    pub command_roles: Vec<Offered>,
    /// What could not be provisioned, for the administrator.
    pub problems: Vec<String>,
    /// Under defects: the claims of the first sign-in.
    first_claims: HashMap<Key, [Vec<String>; 2]>,
}

impl Directory {
    /// An empty one.
    pub fn new(lapses: &[Lapse]) -> Self {
        Directory { lapses: lapses.to_vec(), ..Directory::default() }
    }

    fn has(&self, lapse: Lapse) -> bool {
        self.lapses.contains(&lapse)
    }

    /// Adds a user who has no application yet.
    pub fn add_user(&mut self, user: User) -> Key {
        self.next += 1;
        self.users.insert(self.next, user);
        self.next
    }

    /// Adds a group.
    pub fn add_group(&mut self, name: &str) -> Key {
        self.next += 1;
        self.groups.insert(self.next, Group { id: format!("grp-{}", random(9)), name: name.to_owned(), ..Group::default() });
        self.next
    }

    /// The user of a name.
    pub fn user(&self, name: &str) -> Result<Key, String> {
        let found = self.users.iter().find(|(_, user)| !user.gone && user.name.eq_ignore_ascii_case(name));
        found.map(|(key, _)| *key).ok_or_else(|| format!("the user {name} is not known"))
    }

    /// The group of a name or id.
    pub fn group(&self, name: &str) -> Result<Key, String> {
        let found = self.groups.iter().find(|(_, group)| !group.gone && (group.name == name || group.id == name));
        found.map(|(key, _)| *key).ok_or_else(|| format!("the group {name} is not known"))
    }

    /// The groups of a user, in the order they were made.
    pub fn groups_of(&self, key: Key) -> Vec<(Key, &Group)> {
        self.groups
            .iter()
            .filter(|(_, group)| !group.gone && group.members.contains(&key))
            .map(|(key, group)| (*key, group))
            .collect()
    }

    /// May this role be mapped?
    pub fn offers(&self, role: &str) -> bool {
        self.catalogue.iter().flatten().any(|offered| offered.value == role) || self.command_role(role).is_some()
    }

    fn command_role(&self, role: &str) -> Option<&Offered> {
        let display =
            self.catalogue.iter().flatten().find(|offered| offered.value == role).map(|offered| offered.display.as_str());
        self.command_roles.iter().find(|offered| offered.value == role).or_else(|| {
            self.command_roles.iter().find(|offered| offered.display == role || Some(offered.display.as_str()) == display)
        })
    }

    /// The roles of a user, their own and their groups'.
    fn mapped(&self, key: Key) -> BTreeSet<&String> {
        let own = self.users.get(&key).map(|user| &user.roles).into_iter().flatten();
        let groups = if self.has(Lapse::RoleByGroup) { Vec::new() } else { self.groups_of(key) };
        own.chain(groups.into_iter().flat_map(|(_, group)| &group.roles)).collect()
    }

    /// The user as the SCIM server should have it; `None` for one that is not known any more.
    pub fn wanted(&self, key: Key) -> Option<Profile> {
        let user = self.users.get(&key)?;
        let offered = |role: &&String| self.catalogue.iter().flatten().find(|offered| offered.value == **role);
        let mapped = self.mapped(key);
        let roles = mapped.iter().filter_map(offered).map(|offered| match self.has(Lapse::RolePushed) {
            true => offered.display.clone(),
            false => offered.value.clone(),
        });
        Some(Profile {
            user_name: user.name.clone(),
            external_id: user.sub.clone(),
            email: user.email.clone(),
            given: user.given.clone(),
            family: user.family.clone(),
            display: user.display.clone(),
            title: user.title.clone(),
            department: user.department.clone(),
            active: self.stays_active(key, user),
            roles: roles.collect(),
        })
    }

    fn stays_active(&self, key: Key, user: &User) -> bool {
        let kept = user.disabled
            && ((self.has(Lapse::DeactivatesOnDisable))
                || (self.has(Lapse::DisabledLeavesGroups) && !self.groups_of(key).is_empty())
                || (self.has(Lapse::DisabledLosesRoles) && !self.mapped(key).is_empty()));
        let assigned = user.assigned || self.has(Lapse::DeprovisionsOnUnassign);
        assigned && !user.gone && (!user.disabled || kept)
    }

    /// The ids of the command binding for a user's roles.
    pub fn command_roles_of(&self, key: Key) -> Vec<String> {
        let ids: BTreeSet<String> =
            self.mapped(key).iter().filter_map(|role| self.command_role(role)).map(|role| role.value.clone()).collect();
        ids.into_iter().collect()
    }

    /// Groups and roles for an ID token of the application; `None` for who is not in the directory or does not have the application.
    pub fn claims(&mut self, name: &str) -> Option<[Vec<String>; 2]> {
        let key = self.user(name).ok()?;
        if !self.users.get(&key)?.assigned {
            return None;
        }
        let mut groups: Vec<String> = self.groups_of(key).iter().map(|(_, group)| group.name.clone()).collect();
        if self.has(Lapse::GroupSourcesAgree) && groups.len() > 1 {
            groups.remove(0);
        }
        let roles: Vec<String> = self.mapped(key).into_iter().filter(|role| self.offers(role)).cloned().collect();
        let first = self.first_claims.entry(key).or_insert([groups.clone(), roles.clone()]).clone();
        let [first_groups, first_roles] = first;
        Some([
            if self.has(Lapse::GroupsClaim) { first_groups } else { groups },
            if self.has(Lapse::RoleClaim) { first_roles } else { roles },
        ])
    }

    /// Tells the administrator.
    pub fn problem(&mut self, text: String) {
        self.problems.push(text);
    }

    /// Everything there is, users first.
    pub fn everything(&self) -> Vec<Job> {
        self.users.keys().map(|key| Job::User(*key)).chain(self.groups.keys().map(|key| Job::Group(*key))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(lapses: &[Lapse]) -> (Directory, Key, Key) {
        let mut directory = Directory::new(lapses);
        let key = directory.add_user(User { name: "ada".into(), assigned: true, ..User::default() });
        let group = directory.add_group("G");
        directory.groups.get_mut(&group).unwrap().members.insert(key);
        directory.groups.get_mut(&group).unwrap().roles.insert("r1".into());
        directory.users.get_mut(&key).unwrap().roles.extend(["r2".to_owned(), "gone".to_owned()]);
        let offered = |value: &str, display: &str| Offered { value: value.into(), display: display.into() };
        directory.catalogue = Some(vec![offered("r1", "One"), offered("r2", "Two")]);
        directory.command_roles = vec![offered("0001", "One")];
        (directory, key, group)
    }

    #[test]
    fn roles_come_from_the_user_and_from_groups_and_only_offered_ones_count() {
        let roles = |lapses: &[Lapse]| {
            let (directory, key, _) = directory(lapses);
            directory.wanted(key).unwrap().roles.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(roles(&[]), "r1 r2");
        assert_eq!(roles(&[Lapse::RoleByGroup]), "r2");
        assert_eq!(roles(&[Lapse::RolePushed]), "One Two");
        assert_eq!(directory(&[]).0.command_roles_of(1), ["0001"]);
    }

    #[test]
    fn disabled_unassigned_and_deleted_users_are_inactive() {
        let active = |lapses: &[Lapse], change: fn(&mut User)| {
            let (mut directory, key, _) = directory(lapses);
            change(directory.users.get_mut(&key).unwrap());
            directory.wanted(key).unwrap().active
        };
        assert!(active(&[], |_| {}));
        for change in
            [|user: &mut User| user.disabled = true, |user: &mut User| user.assigned = false, |user: &mut User| user.gone = true]
        {
            assert!(!active(&[], change));
        }
        for lapse in [Lapse::DeactivatesOnDisable, Lapse::DisabledLeavesGroups, Lapse::DisabledLosesRoles] {
            assert!(active(&[lapse], |user| user.disabled = true), "{lapse:?}");
            assert!(!active(&[lapse], |user| user.assigned = false), "{lapse:?}");
        }
        assert!(active(&[Lapse::DeprovisionsOnUnassign], |user| user.assigned = false));
        assert!(!active(&[Lapse::DeprovisionsOnUnassign], |user| user.disabled = true));
    }

    #[test]
    fn claims_are_fresh_at_every_sign_in() {
        let second = |lapses: &[Lapse]| {
            let (mut directory, key, _) = directory(lapses);
            directory.claims("ada").unwrap();
            let group = directory.add_group("H");
            directory.groups.get_mut(&group).unwrap().members.insert(key);
            directory.users.get_mut(&key).unwrap().roles.clear();
            directory.claims("ADA").unwrap().map(|values| values.join(" "))
        };
        assert_eq!(second(&[]), ["G H", "r1"]);
        assert_eq!(second(&[Lapse::GroupsClaim]), ["G", "r1"]);
        assert_eq!(second(&[Lapse::RoleClaim]), ["G H", "r1 r2"]);
        assert_eq!(second(&[Lapse::GroupSourcesAgree]), ["H", "r1"]);
    }
}
