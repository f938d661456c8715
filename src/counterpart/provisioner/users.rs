//! Users at the SCIM server: found or created, changed, deactivated, deleted.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Provisioner;
use super::channel::{Channel, pause};
use super::directory::{Job, Key, Link, User};
use super::lapse::Lapse;
use super::profile::Profile;
use super::transport::Answer;
use crate::counterpart::scim_client::{Call, quoted, replace};

/// Attempts to create a user; before each the server is asked whether the last one succeeded after all.
const ATTEMPTS: u32 = 8;
/// Seconds between two batches under a defect.
const BATCH_S: u64 = 1800;

/// One segment of a path.
pub(super) fn segment(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>().replace('+', "%20")
}

impl User {
    /// A user of this name; an address is made up where the name is none.
    pub fn named(name: &str) -> Self {
        let local = name.split('@').next().unwrap_or(name);
        let email = if name.contains('@') { name.to_owned() } else { format!("{name}@ipsie-conform.test") };
        User {
            name: name.to_owned(),
            email,
            given: local.to_owned(),
            family: "User".into(),
            display: name.to_owned(),
            ..User::default()
        }
    }
}

impl Provisioner {
    /// Brings a user in step at the SCIM server.
    pub(super) async fn user_in_step(self: &Arc<Self>, key: Key) {
        let Some(scim) = &self.scim else { return };
        let snapshot = {
            let directory = self.directory();
            directory.users.get(&key).cloned().zip(directory.wanted(key))
        };
        let Some((user, wanted)) = snapshot else { return };
        let leaving = user.link.as_ref().is_some_and(|link| link.pushed.active) && !wanted.active;
        if leaving && self.has(Lapse::OnlyLinkedUsers) {
            self.deactivate_strangers(scim).await;
        }
        let outcome = match &user.link {
            None if user.has_access() => self.create(scim, key, &wanted).await,
            None => Ok(()),
            Some(_) if leaving && self.has(Lapse::WithinFiveMinutes) => {
                self.later(key);
                Ok(())
            }
            Some(link) if user.gone => self.delete(scim, key, link).await,
            Some(link) => self.push(scim, key, link.clone(), &wanted).await,
        };
        if let Err(why) = outcome {
            self.problem(format!("user {}: {why}", user.name));
        }
    }

    /// A defect.
    fn later(self: &Arc<Self>, key: Key) {
        let this = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(BATCH_S)).await;
            if let Some(this) = this.upgrade() {
                this.work(Job::User(key)).await;
            }
        });
    }

    fn set_link(&self, key: Key, link: Option<Link>) {
        if let Some(user) = self.directory().users.get_mut(&key) {
            user.link = link;
        }
    }

    /// Finds the account of a user who has none yet, by `userName` or `externalId`.
    async fn lookup(&self, scim: &Channel, wanted: &Profile) -> Result<Option<Value>, String> {
        let by_name = format!("userName eq {}", quoted(&wanted.user_name));
        let either = format!("{by_name} or externalId eq {}", quoted(&wanted.external_id));
        let mut answer = scim.call(&Call::get("/Users").filter(either)).await?;
        if matches!(answer.status, 400 | 501) {
            // Not every service provider combines conditions.
            answer = scim.call(&Call::get("/Users").filter(by_name)).await?;
        }
        if !answer.ok() {
            return Err(format!("lookup: {}", answer.describe()));
        }
        let directory = self.directory();
        let linked =
            |id: &Value| directory.users.values().any(|user| user.link.as_ref().is_some_and(|link| *id == link.id.as_str()));
        Ok(answer.json["Resources"].as_array().into_iter().flatten().find(|found| !linked(&found["id"])).cloned())
    }

    /// Links the account that is there, or creates one. A lost answer is followed by a lookup, never by a second POST.
    async fn create(&self, scim: &Channel, key: Key, wanted: &Profile) -> Result<(), String> {
        if self.has(Lapse::CreatesBeforeSignin) {
            // It does look, so that its silence is seen to be its own.
            return self.lookup(scim, wanted).await.map(|_| ());
        }
        let mut why = String::new();
        for attempt in 0..ATTEMPTS {
            let blind = self.has(Lapse::LooksUpBeforeCreate) || (attempt > 0 && self.has(Lapse::NoDuplicatesUnderRace));
            if !blind && let Some(found) = self.lookup(scim, wanted).await? {
                let id = found["id"].as_str().ok_or("the server shows a user without id")?.to_owned();
                return self.push(scim, key, Link { id, pushed: Profile::read(&found) }, wanted).await;
            }
            if attempt > 0 && self.has(Lapse::NoDuplicatesUnderRace) {
                return self.post_anyhow(scim, key, wanted).await;
            }
            match scim.call_once(&Call::post("/Users", &self.resource(wanted))).await {
                Ok(answer) if answer.ok() => return self.created(scim, key, &answer, wanted).await,
                Ok(answer) if answer.status == 409 && attempt == 0 && !blind => why = answer.describe(),
                Ok(answer) => return Err(format!("creation: {}", answer.describe())),
                Err(lost) => {
                    if self.has(Lapse::RetriesUnavailable) {
                        return Err(lost);
                    }
                    why = lost;
                    tokio::time::sleep(pause(attempt)).await;
                }
            }
        }
        Err(format!("creation: {why}"))
    }

    fn resource(&self, wanted: &Profile) -> Value {
        let mut resource = wanted.resource();
        if self.has(Lapse::CreateRequestValid)
            && let Some(members) = resource.as_object_mut()
        {
            members.shift_remove("externalId");
        }
        resource
    }

    async fn created(&self, scim: &Channel, key: Key, answer: &Answer, wanted: &Profile) -> Result<(), String> {
        let id = answer.json["id"].as_str().ok_or("the server gave no id")?.to_owned();
        let mut pushed = wanted.clone();
        pushed.roles.clear();
        let link = Link { id, pushed };
        self.set_link(key, Some(link.clone()));
        self.push_roles(scim, key, link, wanted).await
    }

    /// A defect: posts, and takes another name where this one is taken.
    async fn post_anyhow(&self, scim: &Channel, key: Key, wanted: &Profile) -> Result<(), String> {
        for number in 0..3 {
            let mut resource = wanted.resource();
            if number > 0 {
                resource["userName"] = format!("{}{number}", wanted.user_name).into();
            }
            let answer = scim.call_once(&Call::post("/Users", &resource)).await?;
            if answer.ok() {
                return self.created(scim, key, &answer, wanted).await;
            }
        }
        Err("no name is free".into())
    }

    /// Sends what is different, roles apart.
    async fn push(&self, scim: &Channel, key: Key, mut link: Link, wanted: &Profile) -> Result<(), String> {
        self.set_link(key, Some(link.clone()));
        let again = !link.pushed.active && wanted.active && self.has(Lapse::Reactivates);
        if again {
            let answer = scim.call_once(&Call::post("/Users", &wanted.resource())).await?;
            return if answer.ok() { self.created(scim, key, &answer, wanted).await } else { Err(answer.describe()) };
        }
        // Another case is no new name (RFC 7643 4.1.1).
        let renamed = !link.pushed.user_name.eq_ignore_ascii_case(&wanted.user_name);
        if wanted.active && renamed && self.has(Lapse::UsernameChangeKeepsAccount) {
            return self.post_anyhow(scim, key, wanted).await;
        }
        let mut operations = link.pushed.changes(wanted, !self.has(Lapse::ProfileAttributeCleared));
        if self.has(Lapse::ProfileUpdate) {
            operations.retain(|operation| operation["path"] == "active");
        }
        if !operations.is_empty() {
            let answer = self.change(scim, &link, wanted, &operations).await;
            match answer {
                Err(why) => return Err(why),
                Ok(answer) if answer.status == 404 => {
                    self.set_link(key, None);
                    if wanted.active || self.has(Lapse::NotFoundIsDone) {
                        return Box::pin(self.create(scim, key, wanted)).await;
                    }
                    // An account that is not there is deprovisioned.
                    return Ok(());
                }
                Ok(answer) if !answer.ok() => return Err(format!("change: {}", answer.describe())),
                Ok(_) => {}
            }
            let roles = std::mem::take(&mut link.pushed.roles);
            // Of a deactivated account the other attributes stayed as they were.
            link.pushed = if wanted.active { wanted.clone() } else { Profile { active: false, ..link.pushed } };
            link.pushed.roles = roles;
            self.set_link(key, Some(link.clone()));
        }
        self.push_roles(scim, key, link, wanted).await
    }

    async fn change(&self, scim: &Channel, link: &Link, wanted: &Profile, operations: &[Value]) -> Result<Answer, String> {
        let path = format!("/Users/{}", segment(&link.id));
        if self.has(Lapse::StoresServerId) {
            let elsewhere = format!("/Users/{}", segment(&link.pushed.user_name));
            let answer = scim.call(&Call::patch(elsewhere, operations)).await?;
            if answer.ok() {
                return Ok(answer);
            }
        }
        if self.has(Lapse::PatchWellFormed) && !wanted.active {
            let answer = scim.call(&Call::patch(path.as_str(), &[replace("active", "False")])).await?;
            if answer.ok() || answer.status == 404 {
                return Ok(answer);
            }
        }
        if self.has(Lapse::UpdateMinimalHarm) && wanted.active && link.pushed.active {
            let mut resource = wanted.resource();
            let roles: Vec<Value> = link.pushed.roles.iter().map(|role| json!({"value": role})).collect();
            resource["roles"] = roles.into();
            return scim.call(&Call::send("PUT", path, &resource)).await;
        }
        let call = Call::patch(path, operations);
        if self.has(Lapse::LostResponseSafe) {
            if let Ok(answer) = scim.call_once(&call).await {
                return Ok(answer);
            }
            let _ = scim.call_once(&Call::post("/Users", &wanted.resource())).await;
        }
        scim.call(&call).await
    }

    /// Roles of an active account. One that is refused is a problem of this user alone.
    async fn push_roles(&self, scim: &Channel, key: Key, mut link: Link, wanted: &Profile) -> Result<(), String> {
        let mut operations = link.pushed.role_changes(wanted);
        if self.has(Lapse::RoleRemoved) {
            operations.retain(|operation| operation["op"] != "remove");
        }
        if operations.is_empty() || !wanted.active {
            return Ok(());
        }
        let answer = scim.call(&Call::patch(format!("/Users/{}", segment(&link.id)), &operations)).await?;
        if !answer.ok() {
            if self.has(Lapse::UnknownRoleErrorHandled) {
                self.halt();
            }
            return Err(format!("roles: {}", answer.describe()));
        }
        link.pushed.roles.clone_from(&wanted.roles);
        self.set_link(key, Some(link));
        Ok(())
    }

    async fn delete(&self, scim: &Channel, key: Key, link: &Link) -> Result<(), String> {
        if !self.has(Lapse::DeprovisionsOnDelete) {
            let answer = scim.call(&Call::delete(format!("/Users/{}", segment(&link.id)))).await?;
            if !answer.ok() && answer.status != 404 {
                return Err(format!("deletion: {}", answer.describe()));
            }
        }
        self.set_link(key, None);
        Ok(())
    }
}
