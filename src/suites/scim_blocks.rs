//! What the suites about an application as SCIM service provider share: users to work on, and how an answer is judged.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::counterpart::scim_client::{Answer, Call, quoted, replace};
use crate::model::ExchangeId;
use crate::model::target::NamedUser;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::suite::Obstacle;

/// A user to work on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Subject {
    /// Its id at the application.
    pub id: String,
    /// `userName`.
    pub user_name: String,
    /// This run made it.
    pub made: bool,
    /// It may be deleted.
    pub disposable: bool,
    /// The user as it was created or found.
    pub found: Answer,
}

impl Subject {
    /// Where it stands, below the base URL.
    pub fn path(&self) -> String {
        format!("/Users/{}", self.id)
    }
}

/// A user of this run; where none can be made, one that the target file names and no other scenario works on.
///
/// # Errors
/// There is neither.
pub async fn subject(stage: &Stage, label: &str, disposable: bool) -> Result<Subject, Obstacle> {
    let obstacle = match stage.scim_user(label).await {
        Ok((person, found)) => {
            let id = found.id().to_owned();
            return Ok(Subject { id, user_name: person.user_name, made: true, disposable: true, found });
        }
        Err(obstacle) => obstacle,
    };
    let mut all: Vec<&NamedUser> = stage.scim()?.scim.users.iter().filter(|named| named.disposable || !disposable).collect();
    loop {
        let names: Vec<&str> = all.iter().map(|named| named.user_name.as_str()).collect();
        let Some(at) = stage.take_named(&names).await else { return Err(obstacle) };
        let named = all.remove(at);
        let found = find(stage, "a named user is looked up", "userName", &named.user_name).await?;
        let fits = |user: &&Value| user["userName"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(&named.user_name));
        if let Some(user) = found.resources().iter().find(fits) {
            let id = user["id"].as_str().unwrap_or_default().to_owned();
            let found = Answer { body: user.clone(), ..found.clone() };
            return Ok(Subject { id, user_name: named.user_name.clone(), made: false, disposable: named.disposable, found });
        }
    }
}

/// Users whose attribute equals a value.
///
/// # Errors
/// There is no service provider, or no token for it.
pub async fn find(stage: &Stage, step: &str, attribute: &str, value: &str) -> Result<Answer, Obstacle> {
    stage.scim_send(step, Call::get("/Users").filter(format!("{attribute} eq {}", quoted(value)))).await
}

/// A resource.
///
/// # Errors
/// There is no service provider, or no token for it.
pub async fn read(stage: &Stage, step: &str, path: &str) -> Result<Answer, Obstacle> {
    stage.scim_send(step, Call::get(path)).await
}

/// A PATCH.
///
/// # Errors
/// There is no service provider, or no token for it.
pub async fn patch(stage: &Stage, step: &str, path: &str, operations: &[Value]) -> Result<Answer, Obstacle> {
    stage.scim_send(step, Call::patch(path, operations)).await
}

/// Operations in one PATCH; where that is refused each in one of its own, so that it can be told which one is not taken.
///
/// # Errors
/// There is no service provider, or no token for it.
pub async fn patch_all(stage: &Stage, step: &str, path: &str, operations: &[Value]) -> Result<Vec<Answer>, Obstacle> {
    let together = patch(stage, step, path, operations).await?;
    if together.ok() || together.silent() || operations.len() < 2 {
        return Ok(vec![together; operations.len()]);
    }
    let mut apart = Vec::new();
    for operation in operations {
        apart.push(patch(stage, &format!("{step}, one operation alone"), path, std::slice::from_ref(operation)).await?);
    }
    Ok(apart)
}

/// How access of a user was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// PATCH of `active`.
    Patch,
    /// PUT with `active` false.
    Put,
    /// DELETE.
    Delete,
    /// The suspend command.
    Suspend,
    /// The archive command.
    Archive,
    /// The delete command.
    Erase,
}

impl Ended {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Ended::Patch => "PATCH of active to false",
            Ended::Put => "PUT with active false",
            Ended::Delete => "DELETE",
            Ended::Suspend => "the suspend command",
            Ended::Archive => "the archive command",
            Ended::Erase => "the delete command",
        }
    }

    /// The user is gone: there is nothing to make active again.
    pub fn gone(self) -> bool {
        matches!(self, Ended::Delete | Ended::Erase)
    }
}

/// Ends a user's access by the first way that works by the records of the application: PATCH, PUT, DELETE. None where none does.
/// The first half of al1.app.any-one-way; whether sign-in fails then is for a browser to see.
///
/// # Errors
/// There is no service provider, or no token for it.
pub async fn end_access(stage: &Stage, id: &str) -> Result<(Option<Ended>, Vec<Answer>), Obstacle> {
    let path = format!("/Users/{id}");
    let change = patch(stage, "the user is deactivated", &path, &[replace("active", false)]).await?;
    let seen = read(stage, "is the user deactivated?", &path).await?;
    let mut answers = vec![change, seen.clone()];
    if is_active(&seen) == Some(false) {
        return Ok((Some(Ended::Patch), answers));
    }
    if seen.ok() {
        answers.push(stage.scim_send("the user is deactivated by PUT", Call::send("PUT", &path, &inactive(&seen.body))).await?);
        let seen = read(stage, "is the user deactivated?", &path).await?;
        let works = is_active(&seen) == Some(false);
        answers.push(seen);
        if works {
            return Ok((Some(Ended::Put), answers));
        }
    }
    answers.push(stage.scim_send("the user is deleted", Call::delete(&path)).await?);
    let seen = read(stage, "is the user deleted?", &path).await?;
    // Some keep the record of who was deleted, inactive.
    let works = matches!(seen.status, 404 | 410) || is_active(&seen) == Some(false);
    answers.push(seen);
    Ok((works.then_some(Ended::Delete), answers))
}

/// A representation to send back with `active` false, without what the client may not set.
pub fn inactive(user: &Value) -> Value {
    let mut user = writable(user);
    user["active"] = json!(false);
    user
}

/// A representation without members that only the server sets. `id` stays: it must be ignored or equal (RFC 7644 3.5.1).
pub fn writable(resource: &Value) -> Value {
    let mut resource = resource.clone();
    if let Some(members) = resource.as_object_mut() {
        members.retain(|name, value| !["meta", "groups"].contains(&name.as_str()) && !value.is_null());
    }
    resource
}

/// Does the application take the user for active? A user that is gone is not; `None` where the answer does not tell.
pub fn is_active(seen: &Answer) -> Option<bool> {
    if seen.status == 404 { Some(false) } else { seen.active().filter(|_| seen.ok()) }
}

/// The exchange of an answer, none where nothing was sent.
pub fn cite(answer: &Answer) -> &[ExchangeId] {
    if answer.cite.is_empty() { &[] } else { std::slice::from_ref(&answer.cite) }
}

/// Details of an answer that blame a limit of the customer's, which no conforming product can lift.
const LIMITS: [&str; 7] = ["licen", "seat", "quota", "subscription", "domain", "verified", "limit"];

/// A refusal that blames the licence, the plan or the domain.
pub fn is_limit(answer: &Answer) -> bool {
    let told = format!("{} {}", answer.text_at("/detail"), answer.text).to_lowercase();
    answer.refused() && LIMITS.iter().any(|word| told.contains(word))
}

/// Nothing can be concluded from this answer about the clause: none arrived, or the token may not do this.
pub fn says_nothing(answer: &Answer) -> bool {
    answer.silent() || matches!(answer.status, 401 | 403)
}

/// A legal request, which must be carried out: was it?
pub fn carried_out(found: &mut Findings, what: &str, answer: &Answer) -> bool {
    if answer.ok() {
        found.saw(cite(answer));
    } else if says_nothing(answer) || is_limit(answer) {
        found.undecided(format!("{what}: {}", told(answer)), cite(answer));
    } else {
        found.broken(format!("{what}: {}", told(answer)), cite(answer));
    }
    answer.ok()
}

/// A step that the clause rests on and that is judged elsewhere: did it succeed?
pub fn prepared(found: &mut Findings, what: &str, answer: &Answer) -> bool {
    if !answer.ok() {
        found.undecided(format!("{what}: {}", told(answer)), cite(answer));
    }
    answer.ok()
}

/// What was answered, with what it says of the reason.
pub fn told(answer: &Answer) -> String {
    match answer.text_at("/detail") {
        "" => answer.describe(),
        detail => format!("{} ({})", answer.describe(), detail.chars().take(120).collect::<String>()),
    }
}

/// An id of the same form that no resource has.
pub fn unlike(id: &str) -> String {
    let turn = |letter: char| match letter {
        '0'..='8' | 'a'..='e' | 'A'..='E' => char::from(letter as u8 + 1),
        '9' => '0',
        'f' | 'F' => {
            if letter == 'f' {
                'a'
            } else {
                'A'
            }
        }
        other => other,
    };
    // A number is made longer: the next one may be somebody's.
    if id.chars().all(|letter| letter.is_ascii_digit()) {
        return format!("9{id}7");
    }
    let other: String = id.chars().map(turn).collect();
    if other == id { format!("{id}0") } else { other }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// An answer with a body.
    pub fn answer(status: u16, body: Value) -> Answer {
        Answer { status, body, cite: format!("x{status}"), ..Answer::default() }
    }

    /// A SCIM error.
    pub fn error(status: u16, kind: &str) -> Answer {
        let schemas = json!([crate::counterpart::scim_client::ERROR]);
        answer(status, json!({"schemas": schemas, "status": status.to_string(), "scimType": kind}))
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{answer, error};
    use super::*;
    use crate::model::verdict::Call as Says;

    #[test]
    fn only_a_refusal_that_decides_is_blamed() {
        let says = |answer: &Answer| {
            let mut found = Findings::new();
            carried_out(&mut found, "it", answer);
            found.conclude("").call
        };
        assert_eq!(says(&answer(204, Value::Null)), Says::Pass);
        assert_eq!(says(&error(400, "invalidPath")), Says::Broken);
        assert_eq!(says(&answer(500, Value::Null)), Says::Broken);
        assert_eq!(says(&answer(503, Value::Null)), Says::Undecided);
        assert_eq!(says(&error(403, "")), Says::Undecided);
        assert_eq!(says(&answer(400, json!({"detail": "No more licences"}))), Says::Undecided);
    }

    #[test]
    fn a_user_that_is_gone_is_not_active() {
        assert_eq!(is_active(&answer(404, Value::Null)), Some(false));
        assert_eq!(is_active(&answer(200, json!({"active": true}))), Some(true));
        assert_eq!(is_active(&answer(200, json!({"active": "false"}))), None);
        assert_eq!(is_active(&answer(500, json!({"active": false}))), None);
    }

    #[test]
    fn another_id_has_the_same_form() {
        assert_eq!(unlike("0a9f-Z"), "1b0a-Z");
        assert_eq!(unlike("12"), "9127");
        assert_eq!(unlike("xyz"), "xyz0");
    }
}
