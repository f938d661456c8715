//! By what the suites that look at effects drive the accounts: by SCIM where it is declared, else by OpenID Provider Commands. What a
//! command's answer tells of an account is put into the form of a SCIM record, so that the same checks read both.

use serde_json::{Map, Value, json};

use super::account_blocks::by_scim;
use super::scim_blocks::{Ended, Subject, end_access, is_active, patch, patch_all, read};
use crate::counterpart::command_issuer::{self, Account, Desk, Streamed};
use crate::counterpart::provider;
use crate::counterpart::scim_client::{Answer, replace};
use crate::stage::Stage;
use crate::suite::Obstacle;

/// Commands that end access, in the order in which they are tried, with what undoes them.
const ENDS: [(&str, Ended, Option<&str>); 3] = [
    ("suspend", Ended::Suspend, Some("reactivate")),
    ("archive", Ended::Archive, Some("restore")),
    ("delete", Ended::Erase, None),
];

/// What drives accounts.
pub enum Drive<'a> {
    /// The application's SCIM service provider.
    Scim(&'a Stage),
    /// Its command endpoint.
    Commands(Box<Desk<'a>>),
}

impl<'a> Drive<'a> {
    /// The way that the target file declares; SCIM where it declares both.
    ///
    /// # Errors
    /// Neither is configured.
    pub async fn open(stage: &'a Stage) -> Result<Drive<'a>, Obstacle> {
        if !stage.world.target.accounts_by_commands() {
            stage.scim()?;
            return Ok(Drive::Scim(stage));
        }
        Drive::by_commands(stage).await
    }

    /// Commands, also where SCIM is declared besides.
    ///
    /// # Errors
    /// There is no command endpoint.
    pub async fn by_commands(stage: &'a Stage) -> Result<Drive<'a>, Obstacle> {
        let mut desk = Desk::open(stage).await?;
        if desk.supports("activate") {
            // The accounts are this scenario's own: what others send is not about them, and waits here are long.
            desk.leave();
        }
        Ok(Drive::Commands(Box::new(desk)))
    }

    /// The desk, where commands drive the accounts.
    pub fn desk(&self) -> Option<&Desk<'a>> {
        match self {
            Drive::Scim(_) => None,
            Drive::Commands(desk) => Some(desk),
        }
    }

    /// A user to work on, and who that is at the suite's provider. `disposable` asks for one that may be deleted.
    ///
    /// # Errors
    /// There is none.
    pub async fn account(&self, label: &str, disposable: bool) -> Result<(Subject, provider::Subject), Obstacle> {
        let desk = match self {
            Drive::Scim(stage) => return by_scim(stage, label, disposable).await,
            Drive::Commands(desk) => desk,
        };
        let who = desk.account(label).await?;
        let person = desk.person(&who)?;
        let mut found = if desk.supports("audit") { record(&desk.audit(&who).await) } else { Answer::default() };
        if let (Some(aud_sub), true) = (&who.aud_sub, found.body.is_object()) {
            found.body["aud_sub"] = aud_sub.as_str().into();
        }
        let user = Subject { id: who.sub, user_name: person.email.clone(), made: who.made, disposable: who.made, found };
        Ok((user, person))
    }

    /// Ends the user's access by the first way that works by what the application says of the account. None where none does.
    ///
    /// # Errors
    /// There is no service provider, or no token for it.
    pub async fn end(&self, user: &Subject) -> Result<(Option<Ended>, Vec<Answer>), Obstacle> {
        let desk = match self {
            Drive::Scim(stage) => return end_access(stage, &user.id).await,
            Drive::Commands(desk) => desk,
        };
        let mut answers = Vec::new();
        // An account that is not of this run is suspended at most.
        let allowed = |ended: &Ended| *ended == Ended::Suspend || user.disposable;
        for (command, ended, _) in ENDS.into_iter().filter(|(command, ended, _)| desk.supports(command) && allowed(ended)) {
            answers.push(self.command(desk, command, user, &Map::new()).await);
            if desk.supports("audit") {
                answers.push(audited(&desk.audit(&named(desk, user)).await));
            }
            if answers.last().is_some_and(|told| is_active(told) == Some(false)) {
                return Ok((Some(ended), answers));
            }
        }
        Ok((None, answers))
    }

    /// Is there a way to end access that is not tried on this account, because nothing brings it back?
    pub fn spares(&self, user: &Subject) -> bool {
        let desk = self.desk().filter(|_| !user.disposable);
        desk.is_some_and(|desk| ENDS.into_iter().any(|(command, ended, _)| ended != Ended::Suspend && desk.supports(command)))
    }

    /// Can what ended the access be undone here? For sure not where the user is gone, or no command is announced that would.
    pub fn resumable(&self, ended: Ended) -> bool {
        let undo = ENDS.iter().find(|(_, one, _)| *one == ended).and_then(|(_, _, undo)| *undo);
        match self {
            Drive::Scim(_) => !ended.gone(),
            Drive::Commands(desk) => undo.is_some_and(|undo| desk.supports(undo)),
        }
    }

    /// Makes the user active again, and reads whether that worked.
    ///
    /// # Errors
    /// There is no service provider, or no token for it.
    pub async fn resume(&self, user: &Subject, ended: Ended) -> Result<Answer, Obstacle> {
        let change = match self {
            Drive::Scim(stage) => patch(stage, "the user is reactivated", &user.path(), &[replace("active", true)]).await?,
            Drive::Commands(desk) => {
                let undo = ENDS.iter().find(|(_, one, _)| *one == ended).and_then(|(_, _, undo)| *undo);
                self.command(desk, undo.unwrap_or("reactivate"), user, &Map::new()).await
            }
        };
        let read = self.read("is the user active again?", user).await?;
        Ok(if change.ok() && read.ok() && is_active(&read) != Some(true) { read } else { change })
    }

    /// What the application says of the user: its record, or what an audit tells. An application that cannot be audited says nothing.
    ///
    /// # Errors
    /// There is no service provider, or no token for it.
    pub async fn read(&self, step: &str, user: &Subject) -> Result<Answer, Obstacle> {
        match self {
            Drive::Scim(stage) => read(stage, step, &user.path()).await,
            Drive::Commands(desk) if desk.supports("audit") => Ok(audited(&desk.audit(&named(desk, user)).await)),
            Drive::Commands(_) => Ok(Answer { fault: Some("audit is not supported".into()), ..Answer::default() }),
        }
    }

    /// Gives the user a new display name.
    ///
    /// # Errors
    /// There is no service provider, or no token for it.
    pub async fn rename(&self, user: &Subject, name: &str) -> Result<Answer, Obstacle> {
        match self {
            Drive::Scim(stage) => {
                // Given and family name together are the display name; where an application has no names of its own, only that counts.
                let family = name.split_once(' ').map_or(name, |(_, family)| family);
                let operations = [replace("displayName", name), replace("name.familyName", family)];
                Ok(patch_all(stage, "the name is changed", &user.path(), &operations).await?.swap_remove(0))
            }
            Drive::Commands(desk) => Ok(self.command(desk, "maintain", user, &with(desk, user, "name", name.into())).await),
        }
    }

    /// Tells the application by a maintain command which groups or roles (`what`) the user has; `None` where commands do not drive.
    pub async fn maintain(&self, user: &Subject, what: &str, values: Value) -> Option<Answer> {
        let desk = self.desk()?;
        Some(self.command(desk, "maintain", user, &with(desk, user, what, values)).await)
    }

    /// The accounts of the tenant as users of a list; none where they cannot be listed.
    pub async fn list(&self) -> Option<Answer> {
        let desk = self.desk().filter(|desk| desk.supports("audit_tenant"))?;
        Some(records(&desk.stream("audit_tenant", desk.sender.command_tenant(), None).await))
    }

    async fn command(&self, desk: &Desk<'a>, command: &str, user: &Subject, claims: &Map<String, Value>) -> Answer {
        record(&desk.send(command, &named(desk, user), claims).await)
    }
}

/// The claims of the user with one of them changed: a command names all that it provides.
fn with(desk: &Desk<'_>, user: &Subject, name: &str, value: Value) -> Map<String, Value> {
    let mut claims = if user.made { desk.claims(&named(desk, user)) } else { Map::new() };
    claims.insert(name.to_owned(), value);
    claims
}

/// The account as commands name it.
fn named(desk: &Desk<'_>, user: &Subject) -> Account {
    let aud_sub = Some(user.found.text_at("/aud_sub")).filter(|text| !text.is_empty()).map(str::to_owned);
    Account { sub: user.id.clone(), tenant: desk.sender.command_tenant().to_owned(), aud_sub, made: user.made }
}

/// What an answer to a command tells of the account, in the form of a SCIM record.
pub fn record(told: &command_issuer::Answer) -> Answer {
    let cite = told.cites.last().cloned().unwrap_or_default();
    if told.silent() {
        return Answer {
            fault: Some(told.fault.clone().unwrap_or_else(|| format!("status {}", told.status))),
            cite,
            ..Answer::default()
        };
    }
    let mut body = user(&Value::Object(told.members.clone()));
    if let Some(error) = &told.error {
        body["detail"] = format!("error `{error}`").into();
    }
    Answer { status: told.status, media_type: told.media_type.clone(), body, cite, ..Answer::default() }
}

/// What an audit tells. Of an account that is not there the draft lets it say so by a conflict too (Incompatible State Response).
fn audited(told: &command_issuer::Answer) -> Answer {
    let unknown = told.status == 409 && told.members.get("account_state").is_some_and(|state| state == "unknown");
    if unknown { record(&command_issuer::Answer { status: 200, error: None, ..told.clone() }) } else { record(told) }
}

/// The accounts of a stream as a list of users.
pub fn records(told: &Streamed) -> Answer {
    let cite = told.cites.last().cloned().unwrap_or_default();
    // A stream without its end may lack anybody.
    if told.silent() || told.fault.is_some() || (told.accepted() && told.total().is_none()) {
        return Answer { fault: Some(told.describe()), cite, ..Answer::default() };
    }
    let users: Vec<Value> = told.accounts().into_iter().map(|event| user(&event.data)).collect();
    let status = if told.accepted() { 200 } else { told.status.max(400) };
    Answer { status, body: json!({"Resources": users}), cite, ..Answer::default() }
}

/// The members of an account as attributes of a user. `active` is missing where no state is told.
fn user(account: &Value) -> Value {
    let mut user = json!({});
    let names = [("sub", "id"), ("sub", "externalId"), ("aud_sub", "aud_sub"), ("name", "displayName"), ("email", "userName")];
    for (claim, attribute) in names {
        if let Some(text) = account[claim].as_str() {
            user[attribute] = text.into();
        }
    }
    if let Some(state) = account["account_state"].as_str() {
        user["active"] = (state == "active").into();
        user["account_state"] = state.into();
    }
    if let Some(email) = account["email"].as_str() {
        user["emails"] = json!([{"value": email}]);
    }
    let id = |one: &Value| one.as_str().or(one["id"].as_str()).map(|id| json!({"value": id, "display": one["display"]}));
    for several in ["roles", "groups"] {
        if let Some(values) = account[several].as_array() {
            user[several] = values.iter().filter_map(id).collect();
        }
    }
    user
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counterpart::command_issuer::StreamEvent;

    fn told(status: u16, members: &Value) -> command_issuer::Answer {
        let members = members.as_object().cloned().unwrap();
        command_issuer::Answer { status, members, cites: vec!["x1".into()], ..command_issuer::Answer::default() }
    }

    #[test]
    fn the_state_of_an_account_is_read_as_a_record() {
        let state = |status, word: &str| is_active(&record(&told(status, &json!({"sub": "s", "account_state": word}))));
        assert_eq!(state(200, "active"), Some(true));
        assert_eq!(state(200, "suspended"), Some(false));
        assert_eq!(state(200, "unknown"), Some(false));
        // A refusal that tells a state has ended nothing.
        assert_eq!(state(409, "suspended"), None);
        let audit = |word: &str| is_active(&audited(&told(409, &json!({"account_state": word, "error": "incompatible_state"}))));
        assert_eq!((audit("unknown"), audit("suspended")), (Some(false), None));
        assert_eq!(is_active(&record(&told(200, &json!({"sub": "s"})))), None);
    }

    #[test]
    fn an_answer_that_says_nothing_stays_silent() {
        for status in [0, 408, 429, 503] {
            assert!(record(&told(status, &json!({}))).silent(), "{status}");
        }
        let refused = command_issuer::Answer { error: Some("access_denied".into()), ..told(403, &json!({})) };
        assert_eq!(record(&refused).text_at("/detail"), "error `access_denied`");
    }

    #[test]
    fn a_list_that_is_cut_is_none() {
        let event = |name: &str, data: Value| StreamEvent { id: None, event: name.into(), data };
        let mut stream = Streamed {
            status: 200,
            media_type: "text/event-stream".into(),
            events: vec![event("account-state", json!({"sub": "s", "email": "a@x.test", "roles": ["r", {"id": "q"}]}))],
            ..Streamed::default()
        };
        assert!(records(&stream).silent());
        stream.events.push(event("command-complete", json!({"total_accounts": 1})));
        let list = records(&stream);
        assert_eq!((list.ids(), list.text_at("/Resources/0/userName")), (vec!["s"], "a@x.test"));
        assert_eq!(list.text_at("/Resources/0/roles/1/value"), "q");
    }
}
