//! scim-update: changes a user's profile by PATCH and PUT, and reads it in parts.

mod checks;
mod whole;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::scim_blocks::{find, patch, patch_all, read, writable};
use crate::counterpart::scim_client::{Answer, Call, Shape, add, remove, replace};
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// Updates.
pub struct Update;

/// Attributes that no server should need: the first declared one is removed, the second left out of a PUT.
const OPTIONAL: [&str; 4] = ["title", "nickName", "userType", "preferredLanguage"];

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The user as it was created.
    pub made: Answer,
    /// Single values: what each operation sets where, and the answer to it.
    pub values: Vec<Set>,
    /// Replaces the address of type work, adds one of type home; none where the schema has no such addresses.
    pub addresses: Option<Addresses>,
    /// The user after those.
    pub first: Answer,
    /// An optional attribute is removed; `None` where the schema declares none.
    pub removal: Option<Removal>,
    /// PATCHes of which one operation is good and one is bad; the later one only where the first is tolerated.
    pub halves: Vec<Half>,
    /// A PATCH with an outdated version.
    pub stale: Stale,
    /// The user after all that.
    pub second: Answer,
    /// Another `userName`.
    pub rename: Rename,
    /// PUT.
    pub whole: Whole,
    /// The user with `attributes=userName`, after the renaming.
    pub only_name: Answer,
    /// The user with `excludedAttributes=emails`, after the PUT.
    pub no_emails: Answer,
}

/// A value that a PATCH sets.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Set {
    /// The form of the operation.
    pub what: String,
    /// JSON pointers and the value of each afterwards.
    pub wanted: Vec<(String, String)>,
    /// The answer.
    pub change: Answer,
}

/// Addresses of a user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Addresses {
    /// The new address of type work.
    pub work: String,
    /// The answer to its replacement.
    pub replaced: Answer,
    /// The address of type home.
    pub home: String,
    /// The answer to its addition.
    pub added: Answer,
    /// The answer to its removal.
    pub removed: Answer,
    /// Replaces the address of a type that there is none of.
    pub unmatched: Answer,
}

/// An attribute that is removed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Removal {
    /// Its name.
    pub name: String,
    /// The answer.
    pub change: Answer,
}

/// A PATCH with a good and a bad operation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Half {
    /// The bad operation.
    pub what: String,
    /// JSON pointer of what the good one sets.
    pub place: String,
    /// What it sets.
    pub value: String,
    /// The answer.
    pub change: Answer,
}

/// A PATCH with an outdated version.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stale {
    /// `etag.supported` of the service provider's configuration.
    pub advertised: bool,
    /// The version it names; empty where none is known.
    pub version: String,
    /// What it sets `name.givenName` to.
    pub value: String,
    /// The answer; `None` where it was not sent.
    pub change: Option<Answer>,
    /// The answer to a PATCH that names the current version; `None` where it was not sent.
    #[serde(default)]
    pub control: Option<Answer>,
}

/// Another `userName`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rename {
    /// The name before.
    pub old: String,
    /// The name afterwards.
    pub new: String,
    /// The schema declares that it cannot be changed.
    pub immutable: bool,
    /// The answer.
    pub change: Answer,
    /// Users of the old name.
    pub by_old: Answer,
    /// Users of the new name.
    pub by_new: Answer,
}

/// PUT.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Whole {
    /// The attribute that is left out; empty where the user has no optional one.
    pub without: String,
    /// The answer.
    pub change: Answer,
    /// The user afterwards.
    pub read: Answer,
}

impl Scenario for Update {
    type Seen = Seen;
    const ID: &'static str = "scim-update";
    const TITLE: &'static str = "changes the profile of a user by SCIM";
    const BROWSER: bool = false;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al2.app.update-patch-replace", checks::patch_replaces_single_values),
        Check::new("al2.app.update-patch-multivalue", checks::patch_changes_one_address),
        Check::new("al2.app.update-patch-atomic", checks::half_a_patch_is_none),
        Check::new("al2.app.attribute-removal", checks::a_removed_attribute_is_gone),
        Check::new("al2.app.etag-conflict", whole::an_outdated_version_is_refused),
        Check::new("al2.app.update-username-change", whole::a_renamed_user_is_the_same),
        Check::new("al2.app.update-put", whole::put_replaces),
        Check::new("al2.app.excluded-and-attributes", whole::answers_have_the_asked_attributes),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let (scim, shape) = (stage.scim()?, stage.scim_shape().await?);
        let person = scim.person("update");
        let optional: Vec<&str> = OPTIONAL.into_iter().filter(|name| shape.user_may_change(name)).collect();
        let mut body = person.body();
        // A change of one address shows what becomes of another.
        if let Some(emails) = body["emails"].as_array_mut() {
            emails.push(json!({"value": scim.person("other").email, "type": "other"}));
        }
        let mut body = shape.fit_user(&body);
        for name in &optional {
            body[name] = json!(optional_value(name, "first", "en"));
        }
        let made = stage.scim_send("a user to be changed", Call::post("/Users", &body)).await?;
        if !stage.control(made.ok() && !made.id().is_empty()) {
            let why = format!("a user to work on could not be created: {}", made.describe());
            return Err(Obstacle::target(why, "See al2.app.create-user."));
        }
        let path = format!("/Users/{}", made.id());
        let mut seen = Seen { made, ..Seen::default() };

        seen.change_values(stage, &shape, &path, &optional).await?;
        seen.first = read(stage, "the changed user", &path).await?;
        seen.take_away(stage, &path, optional.first().copied()).await?;
        seen.change_halves(stage, &shape, &path).await?;
        seen.change_outdated(stage, &path).await?;
        seen.second = read(stage, "the user after all changes", &path).await?;

        // After everything else: some servers make the id of the name.
        let declared = shape.user("userName").map(|name| name["mutability"].clone());
        let immutable = declared.is_some_and(|how| how == "immutable" || how == "readOnly");
        let (old, new) = (person.user_name, scim.person("renamed").user_name);
        let change = seen.rename_current(stage, &path, &new).await?;
        seen.only_name =
            stage.scim_send("the renamed user, its name alone", Call::get(&path).query("attributes", "userName")).await?;
        let by_old = find(stage, "users of the old name", "userName", &old).await?;
        let by_new = find(stage, "users of the new name", "userName", &new).await?;
        seen.rename = Rename { old, new, immutable, change, by_old, by_new };

        let last = optional.get(1).or(optional.first()).copied().unwrap_or_default();
        seen.replace_whole(stage, &path, last).await?;
        stage.scim_give(&seen.whole.read);
        Ok(seen)
    }
}

impl Seen {
    /// Sets single values with and without path, and changes addresses.
    async fn change_values(&mut self, stage: &Stage, shape: &Shape, path: &str, optional: &[&str]) -> Result<(), Obstacle> {
        let mut operations = Vec::new();
        for (place, value) in [("displayName", "Suite replaced"), ("name.familyName", "Replaced")] {
            if shape.user_may_change(place) {
                operations.push(replace(place, value));
                let pointer = format!("/{}", place.replace('.', "/"));
                self.values.push(Set {
                    what: format!("replace {place}"),
                    wanted: vec![(pointer, value.into())],
                    ..Set::default()
                });
            }
        }
        if !optional.is_empty() {
            let value: Value =
                optional.iter().map(|name| ((*name).to_owned(), json!(optional_value(name, "second", "ja")))).collect();
            operations.push(json!({"op": "replace", "value": value}));
            let wanted = optional.iter().map(|name| (format!("/{name}"), optional_value(name, "second", "ja"))).collect();
            self.values.push(Set { what: "replace without a path".into(), wanted, ..Set::default() });
        }
        if shape.user_may_change("emails.type") && shape.user_may_change("emails.value") {
            let scim = stage.scim()?;
            let (work, home) = (scim.person("work").email, scim.person("home").email);
            operations.push(replace("emails[type eq \"work\"].value", work.as_str()));
            operations.push(add("emails", json!([{"value": home, "type": "home"}])));
            self.addresses = Some(Addresses { work, home, ..Addresses::default() });
        }
        let mut answers = patch_all(stage, "values are replaced and added", path, &operations).await?.into_iter();
        for set in &mut self.values {
            set.change = answers.next().unwrap_or_default();
        }
        if let Some(addresses) = &mut self.addresses {
            addresses.replaced = answers.next().unwrap_or_default();
            addresses.added = answers.next().unwrap_or_default();
        }
        Ok(())
    }

    /// Removes an attribute and an address.
    async fn take_away(&mut self, stage: &Stage, path: &str, name: Option<&str>) -> Result<(), Obstacle> {
        let mut operations: Vec<Value> = name.map(remove).into_iter().collect();
        if self.addresses.is_some() {
            operations.push(remove("emails[type eq \"home\"]"));
        }
        let mut answers = patch_all(stage, "values are removed", path, &operations).await?.into_iter();
        self.removal = name.map(|name| Removal { name: name.to_owned(), change: answers.next().unwrap_or_default() });
        if let Some(addresses) = &mut self.addresses {
            addresses.removed = answers.next().unwrap_or_default();
        }
        Ok(())
    }

    /// Sends PATCHes whose second operation is bad, until one is refused. The first of them replaces an address that there is none of.
    async fn change_halves(&mut self, stage: &Stage, shape: &Shape, path: &str) -> Result<(), Obstacle> {
        let place = if shape.user_may_change("displayName") { "displayName" } else { "name.familyName" };
        let pointer = format!("/{}", place.replace('.', "/"));
        let unmatched = replace("emails[type eq \"none\"].value", stage.scim()?.person("none").email);
        let bad = [
            ("an address that there is none of is replaced", unmatched),
            ("active is set to \"notabool\"", replace("active", "notabool")),
            ("a path is `emails[`", replace("emails[", "x")),
        ];
        for (index, (what, bad)) in bad.into_iter().enumerate().skip(usize::from(self.addresses.is_none())) {
            let value = format!("Suite half {index}");
            let change = patch(stage, "one good operation, one bad", path, &[replace(place, value.as_str()), bad]).await?;
            // A fault over the address is blamed once, by what replaces it.
            let decides = if index == 0 { change.refused() } else { !change.ok() };
            if let Some(addresses) = self.addresses.as_mut().filter(|_| index == 0) {
                addresses.unmatched = change.clone();
            }
            self.halves.push(Half { what: what.to_owned(), place: pointer.clone(), value, change });
            if decides {
                break;
            }
        }
        Ok(())
    }

    /// A PATCH that names the version of the beginning, where versions are advertised.
    async fn change_outdated(&mut self, stage: &Stage, path: &str) -> Result<(), Obstacle> {
        let advertised = stage.scim_documents().await?.config.body.pointer("/etag/supported") == Some(&Value::Bool(true));
        let version = version(&self.made);
        self.stale = Stale { advertised, version, value: "Stale".into(), change: None, control: None };
        if advertised && !self.stale.version.is_empty() {
            let call = Call::patch(path, &[replace("name.givenName", "Stale")]).header("if-match", &self.stale.version);
            self.stale.change = Some(stage.scim_send("a PATCH with an outdated version", call).await?);
        }
        Ok(())
    }

    /// Renames the user; where an outdated version was tried, by a PATCH that names the current one. What is refused for its version is
    /// sent again without.
    async fn rename_current(&mut self, stage: &Stage, path: &str, new: &str) -> Result<Answer, Obstacle> {
        let operations = [replace("userName", new)];
        let current = version(&self.second);
        if self.stale.change.is_some() && !current.is_empty() {
            let call = Call::patch(path, &operations).header("if-match", &current);
            let answer = stage.scim_send("the user is renamed, with its current version", call).await?;
            self.stale.control = Some(answer.clone());
            if answer.ok() {
                return Ok(answer);
            }
        }
        patch(stage, "the user is renamed", path, &operations).await
    }

    /// Sends the user back without an attribute.
    async fn replace_whole(&mut self, stage: &Stage, path: &str, without: &str) -> Result<(), Obstacle> {
        let mut body = writable(&self.second.body);
        if let Some(members) = body.as_object_mut() {
            members.remove(without);
            let name = self.only_name.body["userName"].clone();
            if name.is_string() {
                members.insert("userName".into(), name);
            }
        }
        self.whole.without = without.to_owned();
        if self.second.ok() {
            self.whole.change = stage.scim_send("the user is replaced", Call::send("PUT", path, &body)).await?;
        }
        self.no_emails =
            stage.scim_send("the user without its addresses", Call::get(path).query("excludedAttributes", "emails")).await?;
        self.whole.read =
            if self.no_emails.ok() { self.no_emails.clone() } else { read(stage, "the replaced user", path).await? };
        Ok(())
    }
}

/// The value of an optional attribute; one of them is a language.
fn optional_value(name: &str, text: &str, language: &str) -> String {
    if name == "preferredLanguage" { language.to_owned() } else { format!("{text} {name}") }
}

/// The version of a resource: the header field, else `meta.version` (RFC 7644 3.14).
fn version(answer: &Answer) -> String {
    answer.header("etag").unwrap_or_else(|| answer.text_at("/meta/version")).to_owned()
}
