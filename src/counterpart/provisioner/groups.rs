//! Groups at the SCIM server: found or created, members added and removed in the form of RFC 7644 3.5.2.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Provisioner;
use super::channel::{Channel, pause};
use super::directory::{Group, Job, Key};
use super::lapse::Lapse;
use super::users::segment;
use crate::counterpart::scim_client::{Call, GROUP, add, quoted, remove, replace};

/// Members in one request; halved when the server calls that too large.
const BATCH: usize = 500;
/// Members that are pushed under a defect.
const CUT: usize = 1000;
/// Members from which on nobody is added any more, under a defect.
const CLOSED: usize = 3;
/// Attempts to create a group.
const ATTEMPTS: u32 = 6;

/// Ids of the members a server shows.
pub(super) fn members(resource: &Value) -> BTreeSet<String> {
    let members = resource["members"].as_array().map_or(&[][..], Vec::as_slice);
    members.iter().filter_map(|member| member["value"].as_str()).map(str::to_owned).collect()
}

impl Provisioner {
    /// Brings a group in step at the SCIM server.
    pub(super) async fn group_in_step(self: &Arc<Self>, key: Key) {
        let Some(scim) = &self.scim else { return self.forget_group(key) };
        let Some(group) = self.directory().groups.get(&key).cloned() else { return };
        let outcome =
            if group.gone { self.remove_group(scim, key, &group).await } else { self.push_group(scim, key, &group).await };
        if let Err(why) = outcome {
            self.problem(format!("group {}: {why}", group.name));
        }
    }

    fn forget_group(&self, key: Key) {
        let mut directory = self.directory();
        if directory.groups.get(&key).is_some_and(|group| group.gone) {
            directory.groups.remove(&key);
        }
    }

    fn set_group_link(&self, key: Key, link: Option<(String, BTreeSet<String>)>) {
        if let Some(group) = self.directory().groups.get_mut(&key) {
            group.link = link;
        }
    }

    async fn remove_group(&self, scim: &Channel, key: Key, group: &Group) -> Result<(), String> {
        if let Some((id, _)) = group.link.as_ref().filter(|_| !self.has(Lapse::GroupRemoved)) {
            let answer = scim.call(&Call::delete(format!("/Groups/{}", segment(id)))).await?;
            if !answer.ok() && answer.status != 404 {
                return Err(format!("deletion: {}", answer.describe()));
            }
        }
        self.forget_group(key);
        Ok(())
    }

    /// Ids of the members at the server. Those who should have an account and have none get it first.
    async fn wanted_members(self: &Arc<Self>, key: Key) -> BTreeSet<String> {
        let missing: Vec<Job> = {
            let directory = self.directory();
            let members = directory.groups.get(&key).map(|group| group.members.clone()).unwrap_or_default();
            let lacks = |member: &&Key| directory.users.get(member).is_some_and(|user| user.has_access() && user.link.is_none());
            members.iter().filter(lacks).map(|member| Job::User(*member)).collect()
        };
        self.all(missing).await;
        let directory = self.directory();
        let members = directory.groups.get(&key).map(|group| &group.members).into_iter().flatten();
        let linked = members.filter_map(|member| directory.users.get(member)?.link.as_ref().map(|link| link.id.clone()));
        let limit = if self.has(Lapse::GroupLarge) { CUT } else { usize::MAX };
        linked.take(limit).collect()
    }

    async fn push_group(self: &Arc<Self>, scim: &Channel, key: Key, group: &Group) -> Result<(), String> {
        let wanted = self.wanted_members(key).await;
        if group.link.is_none() && self.has(Lapse::GroupCreatePush) && wanted.len() < 2 {
            return Ok(());
        }
        let mut link = match &group.link {
            Some(link) => link.clone(),
            None => self.create_group(scim, group).await?,
        };
        self.set_group_link(key, Some(link.clone()));
        if !self.push_members(scim, key, &mut link, &wanted).await? {
            // Deleted behind our back.
            link = self.create_group(scim, group).await?;
            self.push_members(scim, key, &mut link, &wanted).await?;
        }
        Ok(())
    }

    /// Links the group that is there, or creates one without members.
    async fn create_group(&self, scim: &Channel, group: &Group) -> Result<(String, BTreeSet<String>), String> {
        let mut why = String::new();
        for attempt in 0..ATTEMPTS {
            let lookup = Call::get("/Groups").filter(format!("displayName eq {}", quoted(&group.name)));
            let answer = scim.call(&lookup).await?;
            if !answer.ok() {
                return Err(format!("lookup: {}", answer.describe()));
            }
            if let Some(found) = answer.json["Resources"].get(0)
                && let Some(id) = found["id"].as_str()
            {
                return Ok((id.to_owned(), members(found)));
            }
            let resource = json!({"schemas": [GROUP], "displayName": group.name, "externalId": group.id});
            match scim.call_once(&Call::post("/Groups", &resource)).await {
                Ok(answer) if answer.ok() => {
                    let id = answer.json["id"].as_str().ok_or("the server gave no id")?;
                    return Ok((id.to_owned(), BTreeSet::new()));
                }
                Ok(answer) if answer.status == 409 => why = answer.describe(),
                Ok(answer) => return Err(format!("creation: {}", answer.describe())),
                Err(lost) => why = lost,
            }
            if self.has(Lapse::RetriesUnavailable) {
                break;
            }
            tokio::time::sleep(pause(attempt)).await;
        }
        Err(format!("creation: {why}"))
    }

    /// Adds and removes members; false when the server does not know the group.
    async fn push_members(
        &self,
        scim: &Channel,
        key: Key,
        link: &mut (String, BTreeSet<String>),
        wanted: &BTreeSet<String>,
    ) -> Result<bool, String> {
        let path = format!("/Groups/{}", segment(&link.0));
        let mut new: Vec<String> = wanted.difference(&link.1).cloned().collect();
        if self.has(Lapse::GroupMemberAdded) && link.1.len() >= CLOSED {
            new.clear();
        }
        let old: Vec<String> = link.1.difference(wanted).cloned().collect();
        let mut size = BATCH;
        let mut done = 0;
        while done < new.len() {
            let batch = &new[done..new.len().min(done + size)];
            let operation = if self.has(Lapse::GroupPatchShape) {
                replace("members", values(wanted.iter()))
            } else {
                add("members", values(batch.iter()))
            };
            let answer = scim.call(&Call::patch(path.as_str(), &[operation])).await?;
            match answer.status {
                404 => return Ok(false),
                413 if size > 1 => {
                    size /= 2;
                    continue;
                }
                _ if answer.ok() => {}
                _ => return Err(format!("members: {}", answer.describe())),
            }
            done += batch.len();
            link.1.extend(batch.iter().cloned());
            self.set_group_link(key, Some(link.clone()));
        }
        for id in old {
            let answer = scim.call(&Call::patch(path.as_str(), &[self.removal(&id)])).await?;
            match answer.status {
                404 => return Ok(false),
                // Somebody who is no member any more is what was wanted (RFC 7644 3.12, noTarget).
                400 if answer.json["scimType"] == "noTarget" => {}
                _ if answer.ok() => {}
                _ => return Err(format!("members: {}", answer.describe())),
            }
            link.1.remove(&id);
            self.set_group_link(key, Some(link.clone()));
        }
        Ok(true)
    }

    fn removal(&self, id: &str) -> Value {
        if self.has(Lapse::GroupMemberRemoved) {
            return json!({"op": "remove", "path": "members", "value": [{"value": id}]});
        }
        remove(&format!("members[value eq {}]", quoted(id)))
    }
}

fn values<'a>(ids: impl Iterator<Item = &'a String>) -> Vec<Value> {
    ids.map(|id| json!({"value": id})).collect()
}
