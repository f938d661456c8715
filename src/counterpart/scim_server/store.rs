//! What the service provider keeps, and how it is shown.

use serde_json::{Map, Value, json};

use super::schema::{ENTERPRISE, Kind};
use super::{Config, Role};

/// A kept resource.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its id.
    pub id: String,
    /// Its tenant.
    pub tenant: String,
    /// Its place in the order of creation, for paging.
    pub seq: u64,
    /// When it was created, milliseconds since 1970.
    pub created: i64,
    /// When it was last changed, milliseconds since 1970; grows with every change.
    pub modified: i64,
    /// How often it was written.
    pub version: u64,
    /// Its attributes besides id, meta, groups and schemas; members hold value and type only.
    pub data: Map<String, Value>,
}

impl Stored {
    /// A text attribute.
    pub fn text(&self, name: &str) -> &str {
        self.data.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The `value` of each value of a multi-valued attribute.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let list = self.data.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|value| value["value"].as_str())
    }

    /// Is the user not deactivated?
    pub fn is_active(&self) -> bool {
        self.data.get("active") != Some(&Value::Bool(false))
    }

    /// The ETag, also meta.version.
    pub fn etag(&self) -> String {
        format!("W/\"{}\"", self.version)
    }
}

/// Everything that is kept.
#[derive(Debug, Default)]
pub struct State {
    /// Users of all tenants.
    pub users: Vec<Stored>,
    /// Groups of all tenants.
    pub groups: Vec<Stored>,
    /// Deleted users; only quirks look at them.
    pub deleted: Vec<Stored>,
    /// The roles.
    pub roles: Vec<Role>,
    /// The roles of the start; only a quirk looks at them.
    pub first_roles: Vec<Role>,
    /// Resources made so far.
    pub made: u64,
    /// The second of the latest list request, and how many came in it.
    pub window: (i64, u32),
}

impl State {
    /// The resources of a kind.
    pub fn all(&self, kind: Kind) -> &[Stored] {
        match kind {
            Kind::User => &self.users,
            Kind::Group => &self.groups,
            Kind::Role => &[],
        }
    }

    /// The same, to be changed.
    pub fn all_mut(&mut self, kind: Kind) -> &mut Vec<Stored> {
        if kind == Kind::Group { &mut self.groups } else { &mut self.users }
    }

    /// A resource by its id, of whichever tenant.
    pub fn find(&self, kind: Kind, id: &str) -> Option<&Stored> {
        self.all(kind).iter().find(|stored| stored.id == id)
    }

    /// How many users of a tenant hold a role.
    pub fn holders(&self, tenant: &str, role: &str) -> usize {
        self.users.iter().filter(|user| user.tenant == tenant && user.values("roles").any(|value| value == role)).count()
    }

    /// A resource as GET shows it.
    pub fn view(&self, config: &Config, kind: Kind, stored: &Stored) -> Value {
        let base = &config.base_url;
        let mut schemas = vec![kind.urn()];
        if stored.data.contains_key(ENTERPRISE) {
            schemas.push(ENTERPRISE);
        }
        let mut view = json!({"schemas": schemas, "id": stored.id});
        for (name, value) in stored.data.iter().filter(|(name, _)| *name != "password") {
            view[name] = value.clone();
        }
        match kind {
            Kind::User => {
                let groups = self.groups.iter().filter(|group| group.values("members").any(|member| member == stored.id));
                let groups: Vec<Value> = groups
                    .map(|group| {
                        let reference = format!("{base}/Groups/{}", group.id);
                        json!({"value": group.id, "$ref": reference, "display": group.text("displayName")})
                    })
                    .collect();
                if !groups.is_empty() {
                    view["groups"] = groups.into();
                }
            }
            _ => {
                let members = view.get_mut("members").and_then(Value::as_array_mut);
                for member in members.into_iter().flatten() {
                    self.show_member(base, member);
                }
            }
        }
        let location = format!("{base}{}/{}", kind.endpoint(), stored.id);
        view["meta"] = json!({
            "resourceType": kind.name(),
            "created": time(stored.created),
            "lastModified": time(stored.modified),
            "location": location,
        });
        if config.etags {
            view["meta"]["version"] = stored.etag().into();
        }
        view
    }

    fn show_member(&self, base: &str, member: &mut Value) {
        let id = member["value"].as_str().unwrap_or_default().to_owned();
        member["$ref"] = format!("{base}/Users/{id}").into();
        member["type"] = "User".into();
        if let Some(user) = self.find(Kind::User, &id) {
            let display = if user.text("displayName").is_empty() { user.text("userName") } else { user.text("displayName") };
            member["display"] = display.into();
        }
    }
}

fn time(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds).unwrap_or_default().to_string()
}
