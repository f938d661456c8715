//! scim-create: makes users before any sign-in, and tries what must be refused or ignored.

mod checks;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::scim_blocks::{find, read};
use crate::counterpart::scim_client::{Answer, Call, Person, Shape};
use crate::stage::Stage;
use crate::stage::scim_shared::Known;
use crate::suite::{Check, Obstacle, Scenario};

/// Creation.
pub struct Create;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The user that was made.
    pub person: Person,
    /// Its creation.
    pub made: Answer,
    /// The user by its id, where it was made.
    pub read: Option<Answer>,
    /// `/Schemas` says nothing of `emails`, or declares it.
    pub holds_emails: bool,
    /// `userName` is declared to be told apart by letter case.
    pub case_exact: bool,
    /// A user with an id and creation time of the client's.
    pub forced: Forced,
    /// A user with a name in many scripts; often the same.
    pub scripts: Scripts,
    /// A user with an extension that no schema declares.
    pub extension: Answer,
    /// A user without `userName`.
    pub nameless: Nameless,
    /// The creation of the user whose name is tried again.
    pub taken: Answer,
    /// Second users of the same name: what differs, and the answer.
    pub twins: Vec<(String, Answer)>,
}

/// A user with an id and creation time of the client's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Forced {
    /// The id.
    pub id: String,
    /// Its creation.
    pub made: Answer,
    /// The user by the id that was answered.
    pub read: Option<Answer>,
}

/// A user with a name in many scripts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Scripts {
    /// JSON pointer of the attribute.
    pub place: String,
    /// The name.
    pub text: String,
    /// Its creation.
    pub made: Answer,
    /// The user by the id that was answered.
    pub read: Option<Answer>,
}

/// A user without `userName`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Nameless {
    /// `externalId`.
    pub external_id: String,
    /// Its creation.
    pub made: Answer,
    /// Users of that `externalId` afterwards.
    pub found: Answer,
}

impl Scenario for Create {
    type Seen = Seen;
    const ID: &'static str = "scim-create";
    const TITLE: &'static str = "creates users by SCIM before any sign-in";
    const BROWSER: bool = false;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al2.app.create-user", checks::a_user_is_made),
        Check::new("al2.app.create-required-attributes", checks::identifier_and_address_come_back),
        Check::new("al2.app.create-missing-username", checks::a_user_needs_a_name),
        Check::new("al2.app.create-duplicate", checks::a_name_is_taken_once),
        Check::new("al2.app.create-ignores-readonly", checks::read_only_members_are_ignored),
        Check::new("al2.app.unicode-and-length", checks::names_survive),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let (scim, shape) = (stage.scim()?, stage.scim_shape().await?);
        let Known { person, made, read } = stage.scim_known().await?;
        stage.control(made.ok());
        let mut seen = Seen {
            read,
            holds_emails: shape.user_has("emails"),
            case_exact: shape.user("userName").is_some_and(|name| name["caseExact"] == true),
            person,
            made,
            ..Seen::default()
        };
        forced(stage, &shape, &mut seen).await?;

        let mut body = shape.fit_user(&scim.person("extension").body());
        let urn = "urn:ipsie-conform:scim:schemas:unknown:2.0:User";
        body["schemas"] = json!([crate::counterpart::scim_client::USER, urn]);
        body[urn] = json!({"colour": "blue"});
        seen.extension = stage.scim_send("a user with an unknown extension", Call::post("/Users", &body)).await?;

        let person = scim.person("nameless");
        let mut body = shape.fit_user(&person.body());
        body.as_object_mut().map(|members| members.remove("userName"));
        seen.nameless.made = stage.scim_send("a user without userName", Call::post("/Users", &body)).await?;
        seen.nameless.found = find(stage, "was a user without userName made?", "externalId", &person.external_id).await?;
        seen.nameless.external_id = person.external_id;

        let taken = taken(stage, &mut seen).await?;
        for (what, label, user_name) in
            [("the same userName", "twin", taken.clone()), ("the same userName in capitals", "capitals", capitals(&taken))]
        {
            let twin = Person { user_name, ..scim.person(label) };
            let answer = stage.scim_create(&format!("a second user with {what}"), &twin).await?;
            seen.twins.push((what.to_owned(), answer));
        }
        seen.forced.read.iter().for_each(|user| stage.scim_give(user));
        Ok(seen)
    }
}

/// A user whose name may be taken once more: one that nobody else looks for.
async fn taken(stage: &Stage, seen: &mut Seen) -> Result<String, Obstacle> {
    let scim = stage.scim()?;
    let (label, made) = if seen.forced.made.ok() {
        ("forced", seen.forced.made.clone())
    } else if seen.scripts.made.ok() {
        ("scripts", seen.scripts.made.clone())
    } else {
        ("taken", stage.scim_create("a user whose name is tried again", &scim.person("taken")).await?)
    };
    seen.taken = made;
    Ok(scim.person(label).user_name)
}

/// A user with members that only the server sets and a name in many scripts; two users where one with both is refused.
async fn forced(stage: &Stage, shape: &Shape, seen: &mut Seen) -> Result<(), Obstacle> {
    let scim = stage.scim()?;
    let place = if shape.user_has("displayName") { "/displayName" } else { "/name/familyName" };
    let text = scripts();
    let id = format!("chosen-{}", stage.world.run_id);
    let body = |label: &str, own: bool, plain: bool| {
        let mut body = shape.fit_user(&scim.person(label).body());
        if own {
            body["id"] = json!(id);
            body["meta"] = json!({"created": "1999-01-01T00:00:00Z"});
        }
        if let Some(name) = body.pointer_mut(place).filter(|_| !plain) {
            *name = json!(text);
        }
        body
    };
    let create = |what: &'static str, body| stage.scim_send(what, Call::post("/Users", &body));
    let both = create("a user with an id of the client's and a name in many scripts", body("forced", true, false)).await?;
    let (made, named) = if both.ok() || both.silent() {
        (both.clone(), both)
    } else {
        let made = create("a user with an id of the client's", body("forced", true, true)).await?;
        (made, create("a user with a name in many scripts", body("scripts", false, false)).await?)
    };
    let read = reread(stage, &made).await?;
    let again = if made.cite == named.cite { read.clone() } else { reread(stage, &named).await? };
    seen.forced = Forced { id, made, read };
    seen.scripts = Scripts { place: place.to_owned(), text, made: named, read: again };
    Ok(())
}

/// The user by the id in the answer to its creation.
async fn reread(stage: &Stage, made: &Answer) -> Result<Option<Answer>, Obstacle> {
    if !made.ok() || made.id().is_empty() {
        return Ok(None);
    }
    read(stage, "the created user", &format!("/Users/{}", made.id())).await.map(Some)
}

/// 128 characters of several scripts and directions, of which no normalisation form changes any.
fn scripts() -> String {
    let text = "山田花子 Ωλ Жук שלום مرحبا 😀👩‍💻 q\u{308}x\u{323} नमस ";
    text.chars().cycle().take(127).chain(['z']).collect()
}

/// The name with the part before the at sign in capitals.
fn capitals(user_name: &str) -> String {
    let (local, domain) = user_name.split_once('@').unwrap_or((user_name, ""));
    format!("{}@{domain}", local.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_has_128_characters() {
        assert_eq!(scripts().chars().count(), 128);
        assert_eq!(capitals("a.b@c.d"), "A.B@c.d");
    }
}
