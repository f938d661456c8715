//! The full synchronisation: everything the SCIM server has is read, page by page, and whatever differs is put right. Also reads roles.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::Provisioner;
use super::channel::Channel;
use super::directory::{Job, Offered};
use super::groups::members;
use super::lapse::Lapse;
use super::profile::Profile;
use super::users::segment;
use crate::counterpart::scim_client::{Call, replace};

/// Resources asked for on a page.
const PAGE: usize = 100;
/// A list of more pages is taken for endless.
const PAGES: usize = 1000;

/// How a server wants lists to be read (RFC 9865 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paging {
    Index,
    Cursor,
}

impl Provisioner {
    /// Reads users and groups of both bindings anew and repairs what has drifted.
    pub(super) async fn full_resync(self: &Arc<Self>) {
        if let Some(scim) = &self.scim
            && let Err(why) = self.read_all(scim).await
        {
            self.problem(format!("full synchronisation: {why}"));
            return;
        }
        self.audit().await;
        let jobs = self.directory().everything();
        let (users, groups): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| matches!(job, Job::User(_)));
        self.all(users).await;
        self.all(groups).await;
    }

    async fn read_all(&self, scim: &Channel) -> Result<(), String> {
        let paging = self.paging(scim).await?;
        let users = by_id(self.list(scim, "/Users", paging).await?);
        self.compare_users(scim, &users).await?;
        if self.has(Lapse::OnlyLinkedUsers) {
            self.deactivate_strangers(scim).await;
        }
        // A service provider without groups has nothing to compare.
        let groups = by_id(self.list(scim, "/Groups", paging).await.unwrap_or_default());
        if !self.has(Lapse::GroupsDriftRepaired) {
            for group in self.directory().groups.values_mut() {
                group.link = group.link.take().and_then(|(id, _)| groups.get(&id).map(|found| (id, members(found))));
            }
        }
        Ok(())
    }

    async fn compare_users(&self, scim: &Channel, found: &BTreeMap<String, Value>) -> Result<(), String> {
        let linked: Vec<_> = {
            let directory = self.directory();
            directory.users.iter().filter_map(|(key, user)| Some((*key, user.link.clone()?))).collect()
        };
        for (key, link) in linked {
            let actual = match found.get(&link.id) {
                Some(resource) => Some(resource.clone()),
                // A defect: who is not on the page that was read is not compared.
                None if self.has(Lapse::InitialAndFullSync) => continue,
                // A list that was read while it changed may lack somebody.
                None => {
                    let answer = scim.call(&Call::get(format!("/Users/{}", segment(&link.id)))).await?;
                    if !answer.ok() && answer.status != 404 {
                        return Err(answer.describe());
                    }
                    answer.ok().then_some(answer.json)
                }
            };
            let mut directory = self.directory();
            let Some(user) = directory.users.get_mut(&key) else { continue };
            match (actual, &mut user.link) {
                (Some(resource), Some(link)) => {
                    let actual = Profile::read(&resource);
                    let known = std::mem::replace(&mut link.pushed, actual.clone());
                    if self.has(Lapse::DriftUserRepaired) {
                        link.pushed = Profile { roles: actual.roles.clone(), ..known.clone() };
                    }
                    if self.has(Lapse::RoleDriftRepaired) {
                        link.pushed.roles = known.roles;
                    }
                }
                (None, link) if !self.has(Lapse::DriftMissingUserRepaired) => *link = None,
                _ => {}
            }
        }
        Ok(())
    }

    /// A defect.
    pub(super) async fn deactivate_strangers(&self, scim: &Channel) {
        let users = self.list(scim, "/Users", Paging::Index).await.unwrap_or_default();
        let ours: HashSet<String> =
            self.directory().users.values().filter_map(|user| user.link.as_ref().map(|link| link.id.clone())).collect();
        for user in users.iter().filter(|user| user["active"] != false) {
            let id = user["id"].as_str().unwrap_or_default();
            if !ours.contains(id) {
                let _ = scim.call(&Call::patch(format!("/Users/{}", segment(id)), &[replace("active", false)])).await;
            }
        }
    }

    async fn paging(&self, scim: &Channel) -> Result<Paging, String> {
        let answer = scim.call(&Call::get("/ServiceProviderConfig")).await?;
        let offers = |name: &str| answer.json["pagination"][name].as_bool();
        let cursor = offers("cursor") == Some(true) && (offers("index") != Some(true) || prefers_cursor(&answer.json));
        Ok(if cursor && !self.has(Lapse::CursorSupport) { Paging::Cursor } else { Paging::Index })
    }

    async fn list(&self, scim: &Channel, path: &str, paging: Paging) -> Result<Vec<Value>, String> {
        let mut all: Vec<Value> = Vec::new();
        let (mut start, mut cursor) = (1, String::new());
        let mut cursors = HashSet::new();
        for _ in 0..PAGES {
            let call = Call::get(path).query("count", PAGE.to_string());
            let call = match paging {
                Paging::Index => call.query("startIndex", start.to_string()),
                Paging::Cursor => call.query("cursor", cursor.as_str()),
            };
            let answer = scim.call(&call).await?;
            if !answer.ok() {
                return Err(format!("{path}: {}", answer.describe()));
            }
            let page = answer.json["Resources"].as_array().cloned().unwrap_or_default();
            let total = answer.json["totalResults"].as_u64().unwrap_or_default();
            start += page.len();
            let empty = page.is_empty();
            all.extend(page);
            let first_only =
                (self.has(Lapse::InitialAndFullSync) && path == "/Users") || (self.has(Lapse::ReadsRoles) && path == "/Roles");
            match paging {
                Paging::Index if empty || all.len() as u64 >= total || first_only => break,
                Paging::Index => {}
                Paging::Cursor => match answer.json["nextCursor"].as_str() {
                    Some(next) if cursors.insert(next.to_owned()) && !(first_only && path == "/Roles") => {
                        next.clone_into(&mut cursor);
                    }
                    _ => break,
                },
            }
        }
        Ok(all)
    }

    /// Reads the application's roles, of both bindings, and takes away the ones that are no longer offered.
    pub(super) async fn import_roles(self: &Arc<Self>) -> Result<(), String> {
        let once = self.has(Lapse::RoleListRefreshed) && self.directory().catalogue.is_some();
        if once {
            return Ok(());
        }
        let mut read = Ok(());
        if let Some(scim) = &self.scim {
            let paging = self.paging(scim).await?;
            match self.list(scim, "/Roles", paging).await {
                Ok(roles) => self.directory().catalogue = Some(self.offered(&roles)),
                Err(why) => read = Err(why),
            }
        }
        self.exchange_metadata().await;
        read
    }

    fn offered(&self, roles: &[Value]) -> Vec<Offered> {
        let text = |role: &Value, name: &str| role[name].as_str().unwrap_or_default().to_owned();
        roles
            .iter()
            .filter(|role| role["supported"] != false || self.has(Lapse::UnsupportedNotOffered))
            .map(|role| Offered { value: text(role, "value"), display: text(role, "display") })
            .filter(|role| !role.value.is_empty())
            .collect()
    }
}

fn prefers_cursor(config: &Value) -> bool {
    config["pagination"]["defaultPaginationMethod"] == "cursor"
}

fn by_id(resources: Vec<Value>) -> BTreeMap<String, Value> {
    resources.into_iter().filter_map(|resource| Some((resource["id"].as_str()?.to_owned(), resource))).collect()
}
