//! The command issuer at work during a run: what the application supports, accounts of the run, and their removal at its end.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use super::{Answer, Draft, Sender, Streamed};
use crate::counterpart::provider::Subject as Person;
use crate::stage::app_world::AppWorld;
use crate::stage::journal::Entry;
use crate::stage::{Stage, World};
use crate::suite::Obstacle;

/// What all scenarios of commands share.
#[derive(Debug, Default)]
pub struct CommandBook {
    /// The answer to the run's first metadata command.
    metadata: OnceCell<Answer>,
    /// The callback token of every metadata command of the run.
    callback: std::sync::OnceLock<String>,
    /// Accounts that this run made and has not deleted.
    made: Mutex<Vec<Account>>,
}

/// An account at the application, as commands name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// `sub`.
    pub sub: String,
    /// `tenant`.
    pub tenant: String,
    /// The application's own identifier, where it told one.
    pub aud_sub: Option<String>,
    /// The account was made by this run.
    pub made: bool,
}

/// The commands that the answer to a metadata command announces; `None` where it announces none at all.
pub fn announced(metadata: &Answer) -> Option<Vec<String>> {
    let commands = metadata.members.get("commands_supported")?.as_array()?;
    Some(commands.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// What a scenario sends commands with.
pub struct Desk<'a> {
    stage: &'a Stage,
    /// Commands end sessions: what one scenario does must not be taken for the effect of another.
    turn: Option<tokio::sync::OwnedMutexGuard<()>>,
    /// Who speaks.
    pub sender: Sender<'a>,
    /// The command endpoint.
    pub to: &'a str,
    /// The answer to the metadata command.
    pub metadata: Answer,
    /// What it announces; `None` where it announces nothing readable.
    pub commands: Option<Vec<String>>,
}

impl AppWorld {
    /// The suite's provider as sender of messages.
    pub fn sender(&self) -> Sender<'_> {
        Sender {
            issuer: self.provider.issuer().to_owned(),
            client_id: &self.app.client_id,
            client_secret: self.client_secret.as_deref(),
            tenant: &self.app.tenant,
            key: &self.provider.keys().main,
            rsa: Some(&self.provider.keys().rs256),
            stranger: (self.provider.stranger_issuer(), &self.provider.keys().foreign),
        }
    }
}

impl World {
    /// The `metadata` claim of every metadata command of the run, and the callback token that goes with it. One content for the whole run,
    /// because each metadata command replaces the one before it.
    ///
    /// # Errors
    /// The target has no application.
    pub fn op_metadata(&self) -> Result<(Value, String), Obstacle> {
        let app = self.app()?;
        let token = self.commands.callback.get_or_init(|| app.provider.callback_token("command-accounts/async")).clone();
        let groups: Vec<Value> =
            self.target.lifecycle.mapping.iter().map(|row| json!({"id": row.group, "display": row.group})).collect();
        let metadata = json!({
            "callback_endpoint": app.provider.callback_endpoint(),
            "claims_supported": ["sub", "email", "email_verified", "name", "given_name", "family_name", "groups", "roles"],
            "groups": groups,
            "x_suite_unknown": true,
        });
        Ok((metadata, token))
    }
}

impl<'a> Desk<'a> {
    /// The desk of a scenario, which waits until no other scenario sends commands. The first one of a run asks the application what it supports.
    ///
    /// # Errors
    /// The target has no application, or no command endpoint.
    pub async fn open(stage: &'a Stage) -> Result<Desk<'a>, Obstacle> {
        let sender = stage.app()?.sender();
        let to = stage.world.target.commands.command_endpoint.as_str();
        if to.is_empty() {
            let hint = "Set commands.command_endpoint, or leave op-commands out of target.bindings.";
            return Err(Obstacle::config("commands.command_endpoint is not configured", hint));
        }
        let turn = Some(Arc::clone(&stage.app()?.commands).lock_owned().await);
        let mut desk = Desk { stage, turn, sender, to, metadata: Answer::default(), commands: None };
        desk.metadata = stage.world.commands.metadata.get_or_try_init(|| desk.first_metadata()).await?.clone();
        desk.commands = announced(&desk.metadata);
        Ok(desk)
    }

    /// Lets other scenarios send commands from now on: this one only waits.
    pub fn leave(&mut self) {
        self.turn = None;
    }

    /// The first one of a run. Where it gets no answer at all, no command will.
    async fn first_metadata(&self) -> Result<Answer, Obstacle> {
        let answer = self.ask_metadata().await?;
        match &answer.fault {
            None => Ok(answer),
            Some(why) => Err(Obstacle::network(
                format!("no answer to the metadata command: {why}"),
                "Check that commands.command_endpoint is up and reachable from here.",
            )),
        }
    }

    /// Sends a metadata command.
    ///
    /// # Errors
    /// The target has no application.
    pub async fn ask_metadata(&self) -> Result<Answer, Obstacle> {
        let ask = Draft::metadata(&self.sender, self.to, self.stage.world.op_metadata()?).command_request(&self.sender, self.to);
        Ok(self.stage.command("metadata command", ask).await)
    }

    /// Is this command announced? Where nothing readable is announced, everything is tried.
    pub fn supports(&self, command: &str) -> bool {
        self.commands.as_ref().is_none_or(|commands| commands.iter().any(|known| known == command))
    }

    /// Those of these commands that are not announced.
    pub fn lacking(&self, commands: &[&str]) -> Vec<String> {
        commands.iter().filter(|command| !self.supports(command)).map(|command| (*command).to_owned()).collect()
    }

    /// A user of this run that no application knows yet.
    pub fn somebody(&self, label: &str) -> Account {
        let sub = format!("{}-{label}", self.stage.world.run_id);
        Account { sub, tenant: self.sender.command_tenant().to_owned(), ..Account::default() }
    }

    /// The account of this `sub` in the tenant that sign-ins name.
    pub fn somebody_named(&self, sub: &str, made: bool) -> Account {
        Account { sub: sub.to_owned(), tenant: self.sender.command_tenant().to_owned(), made, ..Account::default() }
    }

    /// Claims of a made-up user, besides `sub`.
    pub fn claims(&self, who: &Account) -> Map<String, Value> {
        let domain = self.stage.world.target.scim.as_ref().map_or("ipsie-conform.test", |scim| scim.domain.as_str());
        let claims = json!({
            "given_name": "Suite",
            "family_name": "Person",
            "name": format!("Suite {}", who.sub),
            "email": format!("{}@{domain}", who.sub),
            "email_verified": true,
        });
        claims.as_object().cloned().unwrap_or_default()
    }

    /// The account as a user of the suite's provider.
    ///
    /// # Errors
    /// The target has no application.
    pub fn person(&self, who: &Account) -> Result<Person, Obstacle> {
        let app = &self.stage.app()?.app;
        let declared = app.users.iter().find(|user| user.sub == who.sub && !who.made);
        let claims = self.claims(who);
        let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Person {
            sub: who.sub.clone(),
            email: declared.map_or_else(|| claim("email"), |user| user.email.clone()),
            email_verified: true,
            name: declared.map_or_else(|| claim("name"), |user| user.name.clone()),
            tenant: app.tenant.clone(),
        })
    }

    /// The conforming token of a command about this account, with these claims besides.
    pub fn draft(&self, command: &str, who: &Account, claims: &Map<String, Value>) -> Draft {
        let mut draft = Draft::account_command(&self.sender, self.to, command, &who.sub);
        draft.claims["tenant"] = who.tenant.as_str().into();
        if let Some(aud_sub) = &who.aud_sub {
            draft.claims["aud_sub"] = aud_sub.as_str().into();
        }
        for (name, value) in claims {
            draft.claims[name] = value.clone();
        }
        draft
    }

    /// Sends a command about this account. What it makes is remembered, and removed at the end of the run.
    pub async fn send(&self, command: &str, who: &Account, claims: &Map<String, Value>) -> Answer {
        self.post(&format!("{command} command"), command, who, &self.draft(command, who, claims)).await
    }

    /// As [`Desk::send`], with a token of the caller's making.
    pub async fn post(&self, what: &str, command: &str, who: &Account, draft: &Draft) -> Answer {
        let (book, journal) = (&self.stage.world.commands, &self.stage.world.journal);
        let new = command.starts_with("activate") && book.add(who);
        if new {
            // Whatever becomes of the answer, or of this program, it is on the list.
            journal.add(&who.entry());
        }
        let answer = self.stage.command(what, draft.command_request(&self.sender, self.to)).await;
        // Whoever answers late or with a fault may have committed all the same.
        let refused = new && !answer.accepted() && answer.status != 0 && answer.status < 500;
        if refused || (command == "delete" && answer.accepted()) {
            journal.gone(&who.entry());
            book.forget(who);
        }
        answer
    }

    /// The state of the account by an audit command.
    pub async fn audit(&self, who: &Account) -> Answer {
        self.send("audit", who, &Map::new()).await
    }

    /// Makes a declared account active again, whatever a scenario left it in. What the run made is deleted at its end.
    pub async fn put_back(&self, who: &Account) {
        if who.made {
            return;
        }
        for command in ["reactivate", "restore"].into_iter().filter(|command| self.supports(command)) {
            self.send(command, who, &Map::new()).await;
        }
    }

    /// Deletes an account of this run, or puts it out of use where the application knows no deletion.
    ///
    /// # Errors
    /// Why it is still there.
    pub async fn remove(&self, who: &Account) -> Result<(), String> {
        let Some(command) = ["delete", "archive", "suspend"].into_iter().find(|command| self.supports(command)) else {
            return Err("no command is announced that would".into());
        };
        let answer = self.send(command, who, &Map::new()).await;
        // An account that is in that state already, or gone, is what was wanted.
        if answer.accepted() || matches!(answer.status, 404 | 409) {
            return Ok(());
        }
        let unknown = self.supports("audit") && self.audit(who).await.members.get("account_state") == Some(&json!("unknown"));
        if unknown { Ok(()) } else { Err(answer.describe()) }
    }

    /// Sends a tenant command and reads its stream.
    pub async fn stream(&self, command: &str, tenant: &str, after: Option<&str>) -> Streamed {
        let mut draft = Draft::tenant_command(&self.sender, self.to, command);
        draft.claims["tenant"] = tenant.into();
        let what = if after.is_some() { format!("{command} command, resumed") } else { format!("{command} command") };
        self.stage.command_stream(&what, draft.streaming_request(&self.sender, self.to, after)).await
    }

    /// An active account to work on: made by `activate` where that is supported, else one that the operator declares.
    ///
    /// # Errors
    /// There is none.
    pub async fn account(&self, label: &str) -> Result<Account, Obstacle> {
        if !self.supports("activate") {
            let app = &self.stage.app()?.app;
            let declared = app.users.get(1).or(app.users.first());
            let tenant = self.sender.command_tenant().to_owned();
            return declared.map(|user| Account { sub: user.sub.clone(), tenant, ..Account::default() }).ok_or_else(|| {
                let hint = "Declare [[app.users]] that have accounts and may be suspended.";
                Obstacle::config("the application has no activate command and app.users is not configured", hint)
            });
        }
        self.account_in(self.sender.command_tenant(), label).await
    }

    /// An active account of this tenant, made by `activate`.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn account_in(&self, tenant: &str, label: &str) -> Result<Account, Obstacle> {
        let mut who = Account { tenant: tenant.to_owned(), ..self.somebody(label) };
        let claims = self.claims(&who);
        let answer = self.send("activate", &who, &claims).await;
        self.stage.control(answer.accepted());
        if !answer.accepted() {
            let why = format!("an account to work on could not be made: activate was answered with {}", answer.describe());
            return Err(Obstacle::target(why, "See al2.app.cmd-activate."));
        }
        who.aud_sub = answer.members.get("aud_sub").and_then(Value::as_str).map(str::to_owned);
        who.made = true;
        Ok(who)
    }
}

impl CommandBook {
    /// Remembers an account that must be gone afterwards; is it new?
    fn add(&self, who: &Account) -> bool {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let new = !made.iter().any(|known| known.is(who));
        if new {
            made.push(Account { made: true, ..who.clone() });
        }
        new
    }

    fn forget(&self, who: &Account) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| !known.is(who));
    }
}

impl Account {
    /// The same on disk.
    fn entry(&self) -> Entry {
        Entry::Account { sub: self.sub.clone(), tenant: self.tenant.clone() }
    }

    fn is(&self, other: &Account) -> bool {
        self.sub == other.sub && self.tenant == other.tenant
    }
}

impl Stage {
    /// Takes an account of an earlier run over, so that [`Stage::command_sweep`] removes it.
    pub fn command_adopt(&self, entry: &Entry) {
        if let Entry::Account { sub, tenant } = entry {
            self.world.commands.add(&Account { sub: sub.clone(), tenant: tenant.clone(), ..Account::default() });
        }
    }

    /// Deletes the accounts that the run made by commands, or puts them out of use; says what could not be removed.
    pub async fn command_sweep(&self) -> Vec<Entry> {
        let made = std::mem::take(&mut *self.world.commands.made.lock().unwrap_or_else(PoisonError::into_inner));
        if made.is_empty() {
            return Vec::new();
        }
        let desk = Desk::open(self).await;
        let mut left = Vec::new();
        for who in made {
            let told = match &desk {
                Ok(desk) => desk.remove(&who).await,
                Err(obstacle) => Err(obstacle.message.clone()),
            };
            if let Err(why) = told {
                self.leave(format!("could not be removed at the target: account {} ({why})", who.sub));
                left.push(who.entry());
            }
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_is_told_from_nothing_readable() {
        let answer = |members: Value| Answer { members: members.as_object().cloned().unwrap_or_default(), ..Answer::default() };
        assert_eq!(announced(&answer(json!({"commands_supported": ["metadata"]}))), Some(vec!["metadata".to_owned()]));
        assert_eq!(announced(&answer(json!({"commands_supported": "metadata"}))), None);
        assert_eq!(announced(&answer(json!({}))), None);
    }
}
