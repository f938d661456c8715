//! scim-inventory: what the service provider says of itself, and whether accounts can be found and listed.

mod checks;
mod paging;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::counterpart::scim_client::answer::secrets as secrets_in;
use crate::counterpart::scim_client::{Answer, Call, Person, USER, quoted, replace};
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};
pub use paging::Walk;
use serde::{Deserialize, Serialize};

/// Discovery, reads, filters and pages.
pub struct Inventory;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// `/ServiceProviderConfig`.
    pub config: Answer,
    /// `/ResourceTypes`.
    pub types: Answer,
    /// `/Schemas`.
    pub schemas: Answer,
    /// `/ResourceTypes/User`.
    pub user_type: Answer,
    /// `/Schemas/` and the URN of the User schema.
    pub user_schema: Answer,
    /// The user to be found.
    pub person: Person,
    /// The answer to its creation.
    pub created: Answer,
    /// The creation of another user, which must not be found.
    pub other_created: Answer,
    /// `/Users/{id}`.
    pub read: Answer,
    /// Filters by what they are about.
    pub filters: Filters,
    /// A walk through all pages, and a second one where users changed meanwhile.
    pub walks: Vec<Walk>,
    /// Bad cursor, bad count, an old cursor with another filter; where cursors are announced.
    pub cursors: Vec<(String, Answer)>,
    /// A PATCH of a user, to be held against what the configuration says.
    pub patched: Answer,
    /// Members with a secret that were returned: where, and in which exchange.
    pub secrets: Vec<(String, String)>,
}

/// Answers to filters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Filters {
    /// `userName eq`, with a plus sign in the value where the server took one.
    pub user_name: Answer,
    /// The same with the attribute's name in lower case.
    pub lower_name: Answer,
    /// The same with the value in other letters.
    pub other_case: Answer,
    /// A value that nobody has, with a quotation mark in it.
    pub nobody: Answer,
    /// `externalId eq`.
    pub external_id: Answer,
    /// The same with the value in other letters.
    pub external_case: Answer,
    /// `emails[value eq]`.
    pub email: Answer,
    /// No value; an unknown attribute; no comparison.
    pub invalid: Vec<(String, Answer)>,
}

impl Scenario for Inventory {
    type Seen = Seen;
    const ID: &'static str = "scim-inventory";
    const TITLE: &'static str = "finds and lists accounts at the service provider, and reads what it says of itself";
    // Pages are walked when nobody else makes or removes users.
    const AFTER: &'static [&'static str] =
        &["scim-suspend", "scim-create", "scim-update", "scim-groups", "scim-roles", "scim-tenants", "scim-channel"];
    const BROWSER: bool = false;
    const CHECKS: &'static [Check<Seen>] = checks::CHECKS;

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let documents = stage.scim_documents().await?.clone();
        let mut seen = Seen { config: documents.config, types: documents.types, schemas: documents.schemas, ..Seen::default() };
        seen.user_type = stage.scim_send("resource type User", Call::get("/ResourceTypes/User")).await?;
        seen.user_schema = stage.scim_send("schema of User", Call::get(format!("/Schemas/{USER}"))).await?;
        let user = stage.scim_known().await?;
        (seen.person, seen.created, seen.read) = (user.person, user.made, user.read.unwrap_or_default());
        seen.other_created = stage.scim_sentinel().await?;
        seen.filters = filters(stage, &seen.person).await?;
        let known: Vec<String> = [&seen.created, &seen.other_created].iter().map(|answer| answer.id().to_owned()).collect();
        let cursors = checks::announces_cursors(&seen.config);
        seen.walks = paging::walks(stage, &known, cursors).await?;
        if cursors {
            seen.cursors = paging::bad_cursors(stage, &seen.walks).await?;
        }
        seen.patched = patched(stage, &seen).await?;
        seen.secrets = secrets(&seen);
        Ok(seen)
    }
}

async fn filters(stage: &Stage, person: &Person) -> Result<Filters, Obstacle> {
    let find = |step: &'static str, filter: String| stage.scim_send(step, Call::get("/Users").filter(filter));
    let (name, external) = (&person.user_name, &person.external_id);
    let nobody = format!("no\"body+{}", person.user_name);
    let invalid = [("an unknown attribute", "nosuchattribute eq \"x\""), ("no comparison", "userName eq \"x\" or 1 eq 1")];
    let user_name = find("by userName", format!("userName eq {}", quoted(name))).await?;
    // Who finds the user although both are in other letters finds it where one is.
    let both = find("by username, name and value in other letters", format!("username eq {}", quoted(&swapped(name)))).await?;
    let (lower_name, other_case) = if both.ok() && !user_name.ids().is_empty() && both.ids() == user_name.ids() {
        (both.clone(), both)
    } else {
        let lower_name = find("by username", format!("username eq {}", quoted(name))).await?;
        (lower_name, find("by userName in other letters", format!("userName eq {}", quoted(&swapped(name)))).await?)
    };
    let mut out = Filters {
        user_name,
        lower_name,
        other_case,
        nobody: find("by a userName that nobody has", format!("userName eq {}", quoted(&nobody))).await?,
        external_id: find("by externalId", format!("externalId eq {}", quoted(external))).await?,
        external_case: find("by externalId in other letters", format!("externalId eq {}", quoted(&swapped(external)))).await?,
        email: find("by address", format!("emails[value eq {}]", quoted(&person.email))).await?,
        invalid: vec![("no value".to_owned(), stage.scim_bad_filter().await?)],
    };
    for (what, filter) in invalid {
        out.invalid.push((what.to_owned(), find("a filter that cannot be", filter.to_owned()).await?));
    }
    Ok(out)
}

/// A PATCH of a user of this run that succeeded in another scenario; else one that changes nothing.
async fn patched(stage: &Stage, seen: &Seen) -> Result<Answer, Obstacle> {
    if let Some(known) = stage.scim()?.shared.patched.get() {
        return Ok(known.clone());
    }
    if seen.created.id().is_empty() {
        return Ok(Answer::default());
    }
    let change = replace("displayName", seen.person.display.clone());
    stage.scim_send("a PATCH that changes nothing", Call::patch(format!("/Users/{}", seen.created.id()), &[change])).await
}

/// The same text in other letters.
fn swapped(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect()
}

/// Members that hold a secret, anywhere in what was returned.
fn secrets(seen: &Seen) -> Vec<(String, String)> {
    let filters = &seen.filters;
    let own = [&seen.created, &seen.other_created, &seen.read, &seen.patched];
    let found = [&filters.user_name, &filters.lower_name, &filters.external_id, &filters.email];
    let mut out = BTreeSet::new();
    for answer in own.into_iter().chain(found) {
        secrets_in(&mut answer.body.clone(), &mut |name, _| {
            out.insert((name.to_owned(), answer.cite.clone()));
        });
    }
    for walk in &seen.walks {
        out.extend(walk.secrets.iter().cloned());
    }
    out.into_iter().collect()
}
