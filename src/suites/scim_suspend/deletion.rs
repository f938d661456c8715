//! Deletion of a user, and what its id and its name are good for afterwards.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::scim_blocks::{carried_out, cite, find, is_limit, patch, prepared, read, subject, told, unlike};
use super::{Seen, Subject};
use crate::counterpart::scim_client::{Answer, Call, replace};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::suite::Obstacle;

/// Seconds for which a deleted name may be kept back.
const TOMBSTONE_S: u64 = 300;

/// Deletion, and what follows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Deletion {
    /// The user that was deleted.
    pub id: String,
    /// DELETE.
    pub change: Answer,
    /// The user by its id.
    pub read: Answer,
    /// Users of its name.
    pub listed: Answer,
    /// The user that nobody touches.
    pub sentinel: Option<Answer>,
    /// GET, PATCH and DELETE of an id that is no user's.
    pub unknown: Vec<(String, Answer)>,
    /// A user of the same name; the last try.
    pub anew: Option<Answer>,
}

/// Deletes the user, or another one where it may not be deleted.
pub async fn play(stage: &Stage, user: &Subject, sentinel: Option<&str>) -> Result<Option<Deletion>, Obstacle> {
    let other;
    let user = if user.disposable {
        user
    } else {
        match subject(stage, "delete", true).await {
            Ok(found) => other = found,
            Err(_) => return Ok(None),
        }
        &other
    };
    let path = user.path();
    let mut seen = Deletion { id: user.id.clone(), ..Deletion::default() };
    seen.change = stage.scim_send("the user is deleted", Call::delete(&path)).await?;
    seen.read = read(stage, "the deleted user by its id", &path).await?;
    seen.listed = find(stage, "the deleted user by its name", "userName", &user.user_name).await?;
    if let Some(sentinel) = sentinel {
        seen.sentinel = Some(read(stage, "is the other user still there?", sentinel).await?);
    }
    // The id of a deleted user is an unknown one of the right form; where it was not deleted, one is made up.
    let gone = seen.read.status == 404;
    let nobody = if gone { path } else { format!("/Users/{}", unlike(&user.id)) };
    let get = if gone { seen.read.clone() } else { read(stage, "an unknown user", &nobody).await? };
    let change = patch(stage, "an unknown user is changed", &nobody, &[replace("active", false)]).await?;
    let delete = stage.scim_send("an unknown user is deleted", Call::delete(&nobody)).await?;
    seen.unknown = vec![("GET".into(), get), ("PATCH".into(), change), ("DELETE".into(), delete)];
    if gone && user.made && stage.wants("al1.app.recreate-after-delete") {
        seen.anew = Some(anew(stage).await?);
    }
    Ok(Some(seen))
}

/// A new user of the deleted one's name. A name that is kept back for a while is waited for.
async fn anew(stage: &Stage) -> Result<Answer, Obstacle> {
    let mut person = stage.scim()?.person("suspend");
    person.external_id.push_str("-2");
    let deadline = Instant::now() + stage.world.patience(TOMBSTONE_S);
    let mut pause = Duration::from_secs(2);
    loop {
        let answer = stage.scim_create("a new user of the deleted one's name", &person).await?;
        let now = Instant::now();
        if answer.status != 409 || now >= deadline {
            return Ok(answer);
        }
        stage.wait_until((now + pause).min(deadline), "the name of a deleted user to be free").await;
        pause *= 3;
    }
}

/// al1.app.delete-user
pub fn delete_removes(seen: &Seen) -> Judgement {
    let Some(deletion) = &seen.deletion else {
        return Judgement::undecided("no user may be deleted: none can be made, and scim.users names no disposable one");
    };
    let mut found = Findings::new();
    if carried_out(&mut found, "DELETE", &deletion.change) {
        if deletion.change.status != 204 {
            found.broken(format!("DELETE: status {} in place of 204", deletion.change.status), cite(&deletion.change));
        }
        let read = &deletion.read;
        match read.status {
            404 => found.saw(cite(read)),
            200..300 => found.broken("the user can still be read by its id", cite(read)),
            _ if read.silent() => found.undecided(format!("the user by its id: {}", told(read)), cite(read)),
            _ => found.broken(format!("the user by its id: {} in place of 404", told(read)), cite(read)),
        }
        if deletion.listed.ids().contains(&deletion.id.as_str()) {
            found.broken("the user is still listed", cite(&deletion.listed));
        }
    }
    match &deletion.sentinel {
        Some(other) if matches!(other.status, 404 | 410) => found.broken("another user is gone as well", cite(other)),
        Some(other) => {
            prepared(&mut found, "the user that nobody deleted", other);
        }
        None => {}
    }
    let hint = if deletion.listed.ok() { "" } else { "; whether it is still listed was not seen" };
    found.conclude(format!("204, then 404{hint}"))
}

/// al1.app.delete-unknown-404
pub fn unknown_ids_are_not_found(seen: &Seen) -> Judgement {
    let Some(deletion) = &seen.deletion else {
        return Judgement::undecided("no id is known to be no user's: no user may be deleted");
    };
    let mut found = Findings::new();
    for (method, answer) in &deletion.unknown {
        let what = format!("{method} of an unknown id: {}", told(answer));
        match answer.status {
            404 if answer.is_scim_error() => found.saw(cite(answer)),
            404 => found.broken(format!("{what}, which is no SCIM error"), cite(answer)),
            401 | 403 => found.undecided(what, cite(answer)),
            _ if answer.silent() => found.undecided(what, cite(answer)),
            400..500 => found.doubtful(format!("{what} in place of 404"), cite(answer)),
            _ => found.broken(format!("{what} in place of 404"), cite(answer)),
        }
    }
    found.conclude("404 in the form of a SCIM error for GET, PATCH and DELETE")
}

/// al1.app.recreate-after-delete
pub fn a_name_can_be_used_again(seen: &Seen) -> Judgement {
    let Some(deletion) = &seen.deletion else { return Judgement::undecided("no user may be deleted") };
    let Some(anew) = &deletion.anew else {
        return Judgement::undecided("the user was not deleted, or was not made by this run").cite(cite(&deletion.read));
    };
    let mut found = Findings::new();
    let what =
        if anew.status == 409 { "the name of the deleted user stays taken" } else { "a new user of the deleted one's name" };
    if matches!(anew.status, 404 | 405 | 501) || is_limit(anew) {
        found.undecided(format!("users cannot be made here: {}", told(anew)), cite(anew));
    } else if carried_out(&mut found, what, anew) {
        if anew.id().is_empty() {
            found.undecided("the answer names no id", cite(anew));
        } else if anew.id() == deletion.id {
            found.broken("the new user has the id of the deleted one", cite(anew));
        }
        let groups: Vec<&str> =
            anew.body["groups"].as_array().into_iter().flatten().filter_map(|one| one["value"].as_str()).collect();
        if seen.group.as_ref().is_some_and(|group| groups.contains(&group.made.id())) {
            found.broken("the new user is in the group of the deleted one", cite(anew));
        }
    }
    found.conclude("201 with another id")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::scim_blocks::samples::{answer, error};
    use super::*;
    use crate::model::verdict::Call as Says;

    fn deleted() -> Seen {
        let unknown = ["GET", "PATCH", "DELETE"].map(|method| (method.to_owned(), error(404, "")));
        let deletion = Deletion {
            id: "1".into(),
            change: answer(204, Value::Null),
            read: error(404, ""),
            listed: answer(200, json!({"Resources": []})),
            sentinel: Some(answer(200, json!({"id": "2"}))),
            unknown: unknown.into(),
            anew: Some(answer(201, json!({"id": "3"}))),
        };
        Seen { deletion: Some(deletion), ..Seen::default() }
    }

    fn with(change: impl FnOnce(&mut Deletion)) -> Seen {
        let mut seen = deleted();
        change(seen.deletion.as_mut().unwrap());
        seen
    }

    #[test]
    fn a_deleted_user_is_gone() {
        let says = |change: fn(&mut Deletion)| delete_removes(&with(change)).call;
        assert_eq!(says(|_| ()), Says::Pass);
        assert_eq!(says(|seen| seen.listed = answer(501, Value::Null)), Says::Pass);
        assert_eq!(says(|seen| seen.read = answer(200, json!({"id": "1"}))), Says::Broken);
        assert_eq!(says(|seen| seen.change = answer(200, Value::Null)), Says::Broken);
        assert_eq!(says(|seen| seen.listed = answer(200, json!({"Resources": [{"id": "1"}]}))), Says::Broken);
        assert_eq!(says(|seen| seen.sentinel = Some(error(404, ""))), Says::Broken);
        assert_eq!(says(|seen| seen.change = error(403, "")), Says::Undecided);
        assert_eq!(says(|seen| seen.read = answer(429, Value::Null)), Says::Undecided);
        assert_eq!(delete_removes(&Seen::default()).call, Says::Undecided);
    }

    #[test]
    fn an_unknown_id_is_not_found() {
        let says = |status: Answer| unknown_ids_are_not_found(&with(|seen| seen.unknown[2].1 = status)).call;
        assert_eq!(says(error(404, "")), Says::Pass);
        assert_eq!(says(answer(204, Value::Null)), Says::Broken);
        assert_eq!(says(answer(404, Value::Null)), Says::Broken);
        assert_eq!(says(answer(500, Value::Null)), Says::Broken);
        assert_eq!(says(error(400, "")), Says::Doubtful);
        assert_eq!(says(error(403, "")), Says::Undecided);
    }

    #[test]
    fn a_name_is_free_again() {
        let says = |anew: Option<Answer>| a_name_can_be_used_again(&with(|seen| seen.anew = anew)).call;
        assert_eq!(says(Some(answer(201, json!({"id": "3"})))), Says::Pass);
        assert_eq!(says(Some(answer(201, json!({"id": "1"})))), Says::Broken);
        assert_eq!(says(Some(error(409, "uniqueness"))), Says::Broken);
        assert_eq!(says(Some(answer(501, Value::Null))), Says::Undecided);
        assert_eq!(says(None), Says::Undecided);
    }
}
