//! Users, profiles and groups, changed locally.

use serde_json::json;

use super::{Admin, Edited, Made, act, script};
use crate::counterpart::scim_client::{Answer, Call, GROUP};
use crate::stage::Stage;
use crate::suite::Obstacle;
use crate::suites::account_blocks::account;
use crate::suites::scim_blocks::{find, read};

/// The administrator creates a user.
pub async fn create(stage: &Stage, admin: &Admin) -> Result<Option<Made>, Obstacle> {
    made(stage, admin, "local-user-create", "al2.app.local-create-refused", "surface-created").await
}

/// Somebody signs up.
pub async fn signup(stage: &Stage, admin: &Admin) -> Result<Option<Made>, Obstacle> {
    made(stage, admin, "signup", "al2.app.self-signup-refused", "surface-signed-up").await
}

async fn made(stage: &Stage, admin: &Admin, name: &str, clause: &str, label: &str) -> Result<Option<Made>, Obstacle> {
    let Some(surface) = script(stage, name, clause) else { return Ok(None) };
    let person = stage.scim()?.person(label);
    let before = find(stage, "is there such a user before?", "userName", &person.user_name).await?;
    let values = [
        ("user_name", person.user_name.as_str()),
        ("email", &person.email),
        ("value", &person.display),
        ("id", &person.external_id),
    ];
    let script = act(stage, admin, None, surface, &values, name).await?;
    let mut after = Vec::new();
    for attribute in ["userName", "emails.value"] {
        after.push(find(stage, &format!("is there such a user by {attribute}?"), attribute, &person.user_name).await?);
    }
    let seen = Made { script, name: person.user_name, before, after };
    for id in super::checks::made(&seen) {
        // No POST made it, so that nothing else removes it.
        let gone = stage.scim_send("clean-up", Call::delete(format!("/Users/{id}"))).await?;
        if !gone.ok() {
            stage.note(format!("could not be removed at the target: /Users/{id} ({})", seen.name));
        }
    }
    Ok(Some(seen))
}

/// A profile is edited.
pub async fn edit(stage: &Stage, admin: &Admin) -> Result<Option<Edited>, Obstacle> {
    let Some(surface) = script(stage, "local-profile-edit", "al2.app.local-update-refused") else { return Ok(None) };
    let (user, who) = account(stage, "surface-edited", false).await?;
    let value = format!("edited {}", stage.world.run_id);
    let values = [("user_name", user.user_name.as_str()), ("email", &who.email), ("value", &value), ("id", &user.id)];
    let script = act(stage, admin, Some(&who), surface, &values, "local-profile-edit").await?;
    let after = read(stage, "the user after the edit", &user.path()).await?;
    Ok(Some(Edited { script, value, before: user.found, after }))
}

/// A user is deleted.
pub async fn delete(stage: &Stage, admin: &Admin) -> Result<Option<Edited>, Obstacle> {
    let Some(surface) = script(stage, "local-user-delete", "al2.app.local-delete-refused") else { return Ok(None) };
    let (user, who) = account(stage, "surface-deleted", true).await?;
    let values = [("user_name", user.user_name.as_str()), ("email", &who.email), ("value", &who.name), ("id", &user.id)];
    let script = act(stage, admin, Some(&who), surface, &values, "local-user-delete").await?;
    let after = read(stage, "the user after the deletion", &user.path()).await?;
    Ok(Some(Edited { script, value: user.id.clone(), before: user.found, after }))
}

/// A member is added to a group.
pub async fn group(stage: &Stage, admin: &Admin) -> Result<Option<Edited>, Obstacle> {
    let Some(surface) = script(stage, "local-group-edit", "al2.app.local-group-edit-refused") else { return Ok(None) };
    let (user, who) = account(stage, "surface-member", false).await?;
    let name = stage.scim()?.name("surface");
    let body = json!({"schemas": [GROUP], "displayName": name});
    let before = stage.scim_send("a group is pushed", Call::post("/Groups", &body)).await?;
    if !before.ok() {
        return Ok(Some(Edited { before, value: user.id, ..Edited::default() }));
    }
    let values =
        [("user_name", user.user_name.as_str()), ("email", &who.email), ("group", &name), ("id", &user.id), ("value", &name)];
    let script = act(stage, admin, Some(&who), surface, &values, "local-group-edit").await?;
    let after: Answer = read(stage, "the group after the edit", &format!("/Groups/{}", before.id())).await?;
    Ok(Some(Edited { script, value: user.id, before, after }))
}
