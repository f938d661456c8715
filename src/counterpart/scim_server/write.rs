//! POST, PUT, PATCH and DELETE of users and groups (RFC 7644 3.3, 3.5, 3.6).

use serde_json::{Map, Value, json};

use super::call::Call;
use super::patch::{self, Operation, Verb};
use super::paths::attributes;
use super::problem::Problem;
use super::schema::Kind;
use super::store::Stored;
use super::{Change, Quirk, Response, value};
use crate::wire::jose::random;

type Data = Map<String, Value>;

impl Call<'_> {
    /// POST: creates.
    pub fn create(&mut self, kind: Kind) -> Result<Response, Problem> {
        let body = self.body()?;
        self.check_schemas(kind, &body)?;
        let mut data = value::object(&attributes(kind), &body)?;
        if kind == Kind::User {
            data.entry("active").or_insert(true.into());
            if !data.contains_key("userName") && self.has(Quirk::CreateMissingUsername) {
                data.insert("userName".into(), format!("user-{}", random(6)).into());
            }
            let emails = data.get_mut("emails").filter(|_| self.config.has(Quirk::CreateRequiredAttributes));
            for email in emails.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
                email.shift_remove("primary");
            }
        } else if self.has(Quirk::GroupCreate) {
            data.shift_remove("externalId");
        }
        self.check(kind, self.tenant, None, &mut data)?;
        let wish =
            body.get("id").and_then(Value::as_str).filter(|_| kind == Kind::User && self.has(Quirk::CreateIgnoresReadonly));
        let wish = wish.filter(|id| !id.is_empty() && self.state.find(kind, id).is_none()).map(str::to_owned);
        let stored = self.insert(kind, wish, data);
        let mut response = self.shown(201, kind, &stored);
        if kind != Kind::User || !self.has(Quirk::CreateUser) {
            response.headers.push(("location".into(), self.location(kind, &stored.id)));
        }
        Ok(response)
    }

    /// PUT: sets everything; what is left out is cleared, but neither the password nor whether the user is active.
    pub fn replace(&mut self, kind: Kind, id: &str) -> Result<Response, Problem> {
        let stored = self.resource(kind, id)?;
        let body = self.body()?;
        self.precondition(&stored)?;
        self.check_schemas(kind, &body)?;
        let mut data = value::object(&attributes(kind), &body)?;
        if kind == Kind::User {
            let ignored = self.has(Quirk::DeactivatePut);
            for (name, kept) in [("active", ignored), ("password", false)] {
                if (kept || !data.contains_key(name))
                    && let Some(value) = stored.data.get(name)
                {
                    data.insert(name.into(), value.clone());
                }
            }
        }
        self.check(kind, &stored.tenant, Some(&stored), &mut data)?;
        let less = stored.data.keys().any(|name| !data.contains_key(name));
        if kind == Kind::User && less && self.has(Quirk::UpdatePut) {
            self.remove(kind, &stored.id);
            let stored = self.insert(kind, None, data);
            return Ok(self.shown(200, kind, &stored));
        }
        let stored = self.commit(kind, &stored, data);
        Ok(self.shown(200, kind, &stored))
    }

    /// PATCH: all operations or none.
    pub fn patch(&mut self, kind: Kind, id: &str) -> Result<Response, Problem> {
        let stored = self.resource(kind, id)?;
        let mut operations = Operation::read_all(&self.body()?)?;
        self.precondition(&stored)?;
        let mut silent = false;
        let mut joined = Vec::new();
        if kind == Kind::User {
            (silent, joined) = self.bend(&stored, &mut operations)?;
        }
        let mut data = stored.data.clone();
        for operation in &operations {
            let mut next = data.clone();
            if let Err(problem) = patch::apply(self.config, kind, &mut next, operation) {
                if self.has(Quirk::UpdatePatchAtomic) && self.check(kind, &stored.tenant, Some(&stored), &mut data).is_ok() {
                    self.commit(kind, &stored, data);
                }
                return Err(problem);
            }
            data = next;
        }
        let renamed = stored.data.get("displayName") != data.get("displayName");
        if kind == Kind::Group && renamed && self.has(Quirk::GroupRename) {
            data.shift_remove("members");
        }
        if kind == Kind::User && self.has(Quirk::UpdateUsernameChange) {
            data.insert("userName".into(), stored.text("userName").into());
        }
        self.check(kind, &stored.tenant, Some(&stored), &mut data)?;
        let stored = self.commit(kind, &stored, data);
        for group in joined {
            self.join(&group, &stored.id);
        }
        if silent {
            return Ok(Response { status: 204, headers: Vec::new(), body: None });
        }
        Ok(self.shown(200, kind, &stored))
    }

    /// The quirks of PATCH on users. Answers whether nothing is to be shown, and the groups that the user joins.
    fn bend(&self, stored: &Stored, operations: &mut Vec<Operation>) -> Result<(bool, Vec<String>), Problem> {
        let active = stored.is_active();
        let sets = |operation: &Operation, to: bool| operation.value_for("active") == Some(&Value::Bool(to));
        if operations.iter().any(|operation| sets(operation, true)) && !active && self.has(Quirk::Reactivate) {
            return Err(Problem::bad("invalidValue", "An inactive user stays inactive."));
        }
        if operations.iter().any(|operation| sets(operation, false)) && !active && self.has(Quirk::DeactivateIdempotent) {
            return Err(Problem::new(409, "The user is inactive already."));
        }
        let pathless = |operation: &Operation| operation.verb == Verb::Replace && operation.path.is_none();
        if operations.iter().any(|operation| pathless(operation) && operation.value_for("active").is_some())
            && self.has(Quirk::DeactivatePatchNoPath)
        {
            return Err(Problem::bad("noTarget", "replace needs a path."));
        }
        for operation in operations.iter_mut().filter(|_| self.has(Quirk::DeactivateEntraDialect)) {
            let string =
                operation.value_for("active").and_then(Value::as_str).is_some_and(|text| text.eq_ignore_ascii_case("false"));
            match (&operation.path, &mut operation.value) {
                (Some(_), Some(value)) if string => *value = true.into(),
                (None, Some(Value::Object(object))) if string => {
                    object.retain(|name, _| !name.eq_ignore_ascii_case("active"));
                    object.insert("active".into(), true.into());
                }
                _ => {}
            }
        }
        let before = operations.len();
        if self.has(Quirk::DeactivatePatch) {
            operations.retain(|operation| operation.verb != Verb::Replace || operation.path.is_none() || !sets(operation, false));
        }
        let silent = operations.len() < before;
        let mut joined = Vec::new();
        if self.has(Quirk::UserGroupsReadonly) {
            operations.retain(|operation| {
                let Some(groups) = operation.value_for("groups").filter(|_| operation.path.is_some()) else { return true };
                let list = groups.as_array().cloned().unwrap_or_else(|| vec![groups.clone()]);
                joined.extend(list.iter().filter_map(|group| group["value"].as_str().map(str::to_owned)));
                false
            });
        }
        Ok((silent, joined))
    }

    fn join(&mut self, group: &str, user: &str) {
        let Ok(group) = self.resource(Kind::Group, group) else { return };
        let mut data = group.data.clone();
        if let Some(list) = data.entry("members").or_insert(json!([])).as_array_mut() {
            list.push(json!({"value": user}));
            self.commit(Kind::Group, &group, data);
        }
    }

    /// DELETE: removes; the id is never used again.
    pub fn delete(&mut self, kind: Kind, id: &str) -> Result<Response, Problem> {
        let gone = Response { status: 204, headers: Vec::new(), body: None };
        if kind == Kind::User && self.state.find(kind, id).is_none() && self.has(Quirk::DeleteUnknown404) {
            return Ok(gone);
        }
        let stored = self.resource(kind, id)?;
        self.precondition(&stored)?;
        self.remove(kind, &stored.id);
        Ok(gone)
    }

    /// Keeps a new resource.
    pub fn insert(&mut self, kind: Kind, id: Option<String>, data: Data) -> Stored {
        let letter = if kind == Kind::User { 'u' } else { 'g' };
        self.state.made += 1;
        let now = now();
        let stored = Stored {
            id: id.unwrap_or_else(|| format!("{letter}{}", random(12))),
            tenant: self.tenant.to_owned(),
            seq: self.state.made,
            created: now,
            modified: now,
            version: 1,
            data,
        };
        self.state.all_mut(kind).push(stored.clone());
        let after = self.state.view(self.config, kind, &stored);
        self.changed(kind, &stored, None, Some(after));
        stored
    }

    /// Gives a resource these attributes. Without a difference nothing is written (RFC 7644 3.5.2.1).
    pub fn commit(&mut self, kind: Kind, before: &Stored, data: Data) -> Stored {
        if before.data == data {
            return before.clone();
        }
        let old = self.state.view(self.config, kind, before);
        let modified = now().max(before.modified + 1);
        let after = Stored { data, modified, version: before.version + 1, ..before.clone() };
        if let Some(place) = self.state.all_mut(kind).iter_mut().find(|stored| stored.id == before.id) {
            *place = after.clone();
        }
        let dropped = before.is_active() && !after.is_active() && self.has(Quirk::GroupMembershipKeptOrDropped);
        if kind == Kind::User && dropped {
            self.leave_groups(&after.id);
        }
        let new = self.state.view(self.config, kind, &after);
        self.changed(kind, &after, Some(old), Some(new));
        after
    }

    /// Removes a resource, a user from all groups too; false when there is none.
    pub fn remove(&mut self, kind: Kind, id: &str) -> bool {
        let Some(at) = self.state.all(kind).iter().position(|stored| stored.id == id) else { return false };
        let before = self.state.view(self.config, kind, &self.state.all(kind)[at]);
        let stored = self.state.all_mut(kind).remove(at);
        if kind == Kind::User {
            self.leave_groups(id);
            if self.has(Quirk::DeleteUser) || self.has(Quirk::RecreateAfterDelete) {
                self.state.deleted.push(stored.clone());
            }
        }
        self.changed(kind, &stored, Some(before), None);
        true
    }

    fn leave_groups(&mut self, user: &str) {
        let member = |group: &&Stored| group.values("members").any(|member| member == user);
        for group in self.state.groups.iter().filter(member).cloned().collect::<Vec<_>>() {
            let mut data = group.data.clone();
            if let Some(members) = data.get_mut("members").and_then(Value::as_array_mut) {
                members.retain(|member| member["value"] != user);
            }
            self.commit(Kind::Group, &group, data);
        }
    }

    fn changed(&mut self, kind: Kind, stored: &Stored, before: Option<Value>, after: Option<Value>) {
        let (id, tenant) = (stored.id.clone(), stored.tenant.clone());
        self.changes.push(Change { resource: kind.name(), id, tenant, before, after });
    }

    fn location(&self, kind: Kind, id: &str) -> String {
        format!("{}{}/{id}", self.config.base_url, kind.endpoint())
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
