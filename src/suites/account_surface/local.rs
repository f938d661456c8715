//! Users, profiles and groups, changed locally.

use serde_json::json;

use super::{Edited, Ground, Made, act, script};
use crate::counterpart::scim_client::{Answer, Call, GROUP};
use crate::suite::Obstacle;
use crate::suites::scim_blocks::{Subject, find, read};

/// The administrator creates a user.
pub async fn create(ground: &Ground<'_>) -> Result<Option<Made>, Obstacle> {
    made(ground, "local-user-create", "al2.app.local-create-refused", "surface-created").await
}

/// Somebody signs up.
pub async fn signup(ground: &Ground<'_>) -> Result<Option<Made>, Obstacle> {
    made(ground, "signup", "al2.app.self-signup-refused", "surface-signed-up").await
}

async fn made(ground: &Ground<'_>, name: &str, clause: &str, label: &str) -> Result<Option<Made>, Obstacle> {
    let stage = ground.stage;
    let Some(surface) = script(stage, name, clause) else { return Ok(None) };
    let who = match ground.drive.desk() {
        Some(desk) => desk.person(&desk.somebody(label))?,
        None => stage.scim()?.person(label).subject(stage.scim()?.scim.link, ""),
    };
    let (known, _) = ground.drive.account(&format!("{label}-control"), false).await?;
    let before = searched(ground, &who.email).await?.into_iter().next().unwrap_or_default();
    let values = [("user_name", who.email.as_str()), ("email", &who.email), ("value", &who.name), ("id", &who.sub)];
    // Whatever comes of it: nothing else remembers that user.
    stage.guest(&who);
    let script = act(ground, None, surface, &values, name).await?;
    let after = searched(ground, &who.email).await?;
    let control = searched(ground, &known.user_name).await?;
    Ok(Some(Made { script, name: who.email, before, after, control, known: known.user_name }))
}

/// Searches for users of this name and address.
async fn searched(ground: &Ground<'_>, name: &str) -> Result<Vec<Answer>, Obstacle> {
    if ground.drive.desk().is_some() {
        let mut list = ground.drive.list().await;
        if let Some(users) = list.as_mut().and_then(|list| list.body["Resources"].as_array_mut()) {
            // What is kept is written to a file: other people are none of its business.
            users.retain(|user| super::checks::is_named(user, name));
        }
        return Ok(list.into_iter().collect());
    }
    let mut found = Vec::new();
    for attribute in ["userName", "emails.value"] {
        found.push(find(ground.stage, &format!("is there such a user by {attribute}?"), attribute, name).await?);
    }
    Ok(found)
}

/// A profile is edited.
pub async fn edit(ground: &Ground<'_>) -> Result<Option<Edited>, Obstacle> {
    let Some(surface) = script(ground.stage, "local-profile-edit", "al2.app.local-update-refused") else { return Ok(None) };
    let (user, who) = ground.drive.account("surface-edited", false).await?;
    let value = format!("edited {}", ground.stage.world.run_id);
    let values = [("user_name", user.user_name.as_str()), ("email", &who.email), ("value", &value), ("id", &user.id)];
    let script = act(ground, Some(&who), surface, &values, "local-profile-edit").await?;
    let after = ground.drive.read("the user after the edit", &user).await?;
    let control = control(ground, &user).await?;
    Ok(Some(Edited { script, value, before: user.found, after, control }))
}

/// The identity service changes the name: what reads that would have read the local change as well.
async fn control(ground: &Ground<'_>, user: &Subject) -> Result<Option<(String, Answer)>, Obstacle> {
    // An account that is not of this run keeps the name that its operator gave it.
    if !user.made {
        return Ok(None);
    }
    let name = format!("provisioned {}", ground.stage.world.run_id);
    ground.drive.rename(user, &name).await?;
    let read = ground.drive.read("the user after a change by the identity service", user).await?;
    Ok(Some((name, read)))
}

/// A user is deleted.
pub async fn delete(ground: &Ground<'_>) -> Result<Option<Edited>, Obstacle> {
    let Some(surface) = script(ground.stage, "local-user-delete", "al2.app.local-delete-refused") else { return Ok(None) };
    let (user, who) = ground.drive.account("surface-deleted", true).await?;
    let values = [("user_name", user.user_name.as_str()), ("email", &who.email), ("value", &who.name), ("id", &user.id)];
    let script = act(ground, Some(&who), surface, &values, "local-user-delete").await?;
    let after = ground.drive.read("the user after the deletion", &user).await?;
    Ok(Some(Edited { script, value: user.id.clone(), before: user.found, after, control: None }))
}

/// A member is added to a group.
pub async fn group(ground: &Ground<'_>) -> Result<Option<Edited>, Obstacle> {
    let stage = ground.stage;
    let Some(surface) = script(stage, "local-group-edit", "al2.app.local-group-edit-refused") else { return Ok(None) };
    let (user, who) = ground.drive.account("surface-member", false).await?;
    let name = stage.scim()?.name("surface");
    let body = json!({"schemas": [GROUP], "displayName": name});
    let before = stage.scim_send("a group is pushed", Call::post("/Groups", &body)).await?;
    if !before.ok() {
        return Ok(Some(Edited { before, value: user.id, ..Edited::default() }));
    }
    let values =
        [("user_name", user.user_name.as_str()), ("email", &who.email), ("group", &name), ("id", &user.id), ("value", &name)];
    let script = act(ground, Some(&who), surface, &values, "local-group-edit").await?;
    let path = format!("/Groups/{}", before.id());
    let after = read(stage, "the group after the edit", &path).await?;
    let member = crate::counterpart::scim_client::add("members", json!([{"value": user.id}]));
    crate::suites::scim_blocks::patch(stage, "the identity service adds the member", &path, &[member]).await?;
    let control = read(stage, "the group after a change by the identity service", &path).await?;
    Ok(Some(Edited { script, value: user.id.clone(), before, after, control: Some((user.id, control)) }))
}
