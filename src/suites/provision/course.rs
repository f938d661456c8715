//! How a scenario of provisioning works: it makes directory users, calls hooks, and waits for what the identity service sends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Case;
use crate::counterpart::scim_receiver::{Entry, Receiver, Sent, holds};
use crate::event::Event;
use crate::model::ExchangeId;
use crate::stage::Stage;
use crate::stage::hooks::{HookAnswer, Undo};
use crate::suite::Obstacle;
use crate::wire::jose::b64;

/// A directory user of the identity service.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// Its name, as hooks are given it.
    pub name: String,
    /// Its address.
    pub email: String,
    /// Its display name.
    pub display: String,
    /// What its account is known by, in lower case.
    pub tag: String,
    /// What `create-user` answered as `id`, for hooks that need it.
    pub id: String,
    /// It was made for this run.
    pub made: bool,
}

/// One scenario at work.
pub struct Course<'a> {
    /// The scenario's stage.
    pub stage: &'a Stage,
    /// The suite's server.
    pub receiver: &'a Receiver,
    /// When it began.
    pub began: Instant,
    /// Where its requests begin in the log.
    pub mark: usize,
}

impl<'a> Course<'a> {
    /// Begins.
    ///
    /// # Errors
    /// There is no receiver.
    pub fn open(stage: &'a Stage) -> Result<Course<'a>, Obstacle> {
        let receiver = stage.world.receiver()?;
        Ok(Course { stage, receiver, began: Instant::now(), mark: receiver.log().mark() })
    }

    /// Seconds a provisioning cycle is waited for.
    pub fn cycle(&self) -> Duration {
        self.stage.world.cycle()
    }

    /// A directory user of this run, made by the hook `create-user` and removed by `delete-user` at the end; without that hook, one of
    /// `lifecycle.users`.
    ///
    /// # Errors
    /// The hook failed, or no user is left.
    pub async fn user(&self, label: &str) -> Result<User, Obstacle> {
        let world = &self.stage.world;
        if !world.target.hooks.contains_key("create-user") {
            let name = self.receiver.take_user().ok_or_else(|| {
                Obstacle::config(
                    "hooks.create-user is not configured, and lifecycle.users has no user left",
                    "Add [hooks.create-user].",
                )
            })?;
            self.receiver.tag(&name, self.stage.scenario);
            return Ok(User { email: name.clone(), tag: name.to_lowercase(), display: name.clone(), name, ..User::default() });
        }
        let user = self.somebody(label);
        let answer = self.call("create-user", &user, &[]).await?;
        if !answer.done {
            return Err(Obstacle::config(format!("hook create-user did not succeed: {}", answer.text), "Mend the hook."));
        }
        let id = serde_json::from_str::<Value>(&answer.text).ok().and_then(|body| match &body["id"] {
            Value::String(id) => Some(id.clone()),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        });
        let user = User { id: id.unwrap_or_default(), ..user };
        if world.target.hooks.contains_key("delete-user") {
            self.undo_later("delete-user", &user, &[]);
        } else {
            self.stage.leave(format!("hooks.delete-user is not configured: {} stays in the directory", user.name));
        }
        Ok(user)
    }

    /// A user that no directory has yet.
    pub fn somebody(&self, label: &str) -> User {
        let world = &self.stage.world;
        let domain = world.target.scim.as_ref().map_or("ipsie-conform.test", |scim| scim.domain.as_str());
        let tag = format!("{label}.{}", world.run_id).to_lowercase();
        self.receiver.tag(&tag, self.stage.scenario);
        let name = format!("{tag}@{domain}");
        User { email: name.clone(), name, display: format!("Suite {label} {}", world.run_id), tag, id: String::new(), made: true }
    }

    /// Users with the application assigned to them; those that failed carry why.
    pub async fn joined(&self, labels: &[&str]) -> BTreeMap<String, Result<User, String>> {
        let one = async |label: &str| {
            let user = self.user(label).await?;
            self.assign(&user).await?;
            Ok::<User, Obstacle>(user)
        };
        let made = futures_util::future::join_all(labels.iter().map(|label| one(label))).await;
        self.now().await;
        labels.iter().zip(made).map(|(label, user)| ((*label).to_owned(), user.map_err(|obstacle| obstacle.message))).collect()
    }

    /// Users that have arrived: each with the id of its account, or why there is none.
    pub async fn arrived(&self, labels: &[&str]) -> BTreeMap<String, Result<(User, String), String>> {
        let joined = self.joined(labels).await;
        let users: Vec<&User> = joined.values().filter_map(|user| user.as_ref().ok()).collect();
        self.wait("users to arrive", || users.iter().all(|user| self.account(user).is_some())).await;
        let seconds = self.cycle().as_secs();
        joined
            .into_iter()
            .map(|(label, user)| {
                let found = user.and_then(|user| {
                    let missing =
                        || format!("the user {} did not arrive within {seconds} s, so there is nothing to work on", user.name);
                    self.account(&user).map(|id| (user.clone(), id)).ok_or_else(missing)
                });
                (label, found)
            })
            .collect()
    }

    /// Assigns the application to a user. A target without the hook assigns it to everybody.
    ///
    /// # Errors
    /// The hook failed.
    pub async fn assign(&self, user: &User) -> Result<(), Obstacle> {
        if self.stage.world.target.hooks.contains_key("assign-user") {
            self.hook("assign-user", user, &[]).await?;
        }
        Ok(())
    }

    /// Calls a hook about a user, which must succeed.
    ///
    /// # Errors
    /// It is missing or failed.
    pub async fn hook(&self, name: &str, user: &User, more: &[(&str, &str)]) -> Result<ExchangeId, Obstacle> {
        let answer = self.call(name, user, more).await?;
        if !answer.done {
            return Err(Obstacle::config(format!("hook {name} did not succeed: {}", answer.text), "Mend the hook."));
        }
        Ok(answer.exchange)
    }

    async fn call(&self, name: &str, user: &User, more: &[(&str, &str)]) -> Result<HookAnswer, Obstacle> {
        let values = values(self.receiver, user, more);
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.stage.hook(name, &values).await
    }

    /// Remembers how to undo something about a user or group, so that it is undone even when the run ends early.
    pub fn undo_later(&self, hook: &str, user: &User, more: &[(&str, &str)]) -> Undo {
        let values = values(self.receiver, user, more);
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.stage.undo_later(hook, &values)
    }

    /// A directory user is gone or has another name: nothing is left to undo.
    pub fn forget(&self, user: &User) {
        let mut undo = self.stage.world.undo.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        undo.retain(|undo| undo.hook != "delete-user" || !undo.values.iter().any(|(_, value)| *value == user.name));
    }

    /// Is this hook configured?
    pub fn has(&self, hook: &str) -> bool {
        self.stage.world.target.hooks.contains_key(hook)
    }

    /// Lets the identity service provision at once, where a hook can.
    pub async fn now(&self) {
        if self.has("provision-now")
            && let Err(obstacle) = self.hook("provision-now", &User::default(), &[]).await
        {
            self.stage.note(obstacle.message);
        }
    }

    /// The id of the account of a user.
    pub fn account(&self, user: &User) -> Option<String> {
        let users = self.receiver.users_with(&user.tag);
        users.first().and_then(|user| user["id"].as_str()).map(str::to_owned)
    }

    /// The account is gone or inactive.
    pub fn deprovisioned(&self, id: &str) -> bool {
        self.receiver.engine().user(id).is_none_or(|user| user["active"] == false)
    }

    /// The account is there and active.
    pub fn active(&self, id: &str) -> bool {
        self.receiver.engine().user(id).is_some_and(|user| user["active"] != false)
    }

    /// The state of an account in words.
    pub fn state(&self, id: &str) -> String {
        match self.receiver.engine().user(id) {
            None => "the account is gone".into(),
            Some(user) if user["active"] == false => "the account is inactive".into(),
            Some(_) => "the account is active".into(),
        }
    }

    /// Waits one cycle from now until it holds.
    pub async fn wait(&self, what: &str, holds: impl FnMut() -> bool) -> bool {
        self.wait_for(what, self.cycle(), holds).await
    }

    /// Waits so long from now until it holds.
    pub async fn wait_for(&self, what: &str, limit: Duration, holds: impl FnMut() -> bool) -> bool {
        let from = Instant::now();
        (self.stage.world.events)(Event::Waiting {
            scenario: self.stage.scenario.into(),
            what: what.to_owned(),
            seconds: limit.as_secs().max(1),
        });
        let held = self.receiver.wait(from + limit, holds).await;
        self.stage.waited(from.elapsed());
        held
    }

    /// Waits some cycles for several states at once; answers for each after how many seconds it was seen.
    pub async fn settle(
        &self,
        what: &str,
        cycles: u32,
        labels: &[&str],
        reached: impl Fn(&str) -> bool,
    ) -> BTreeMap<String, f64> {
        let from = Instant::now();
        let mut took: BTreeMap<String, f64> = BTreeMap::new();
        self.wait_for(what, self.cycle() * cycles, || {
            for label in labels {
                if !took.contains_key(*label) && reached(label) {
                    took.insert((*label).to_owned(), from.elapsed().as_secs_f64());
                }
            }
            took.len() == labels.len()
        })
        .await;
        took
    }

    /// Waits one cycle for one state; answers after how many seconds it was seen.
    pub async fn reach(&self, what: &str, reached: impl Fn() -> bool) -> Option<f64> {
        self.settle(what, 1, &["it"], |_| reached()).await.get("it").copied()
    }

    /// What was sent since a mark about an account or a text, as it is kept.
    pub fn sent(&self, mark: usize, id: &str, tag: &str) -> Vec<Sent> {
        let about = |entry: &Entry| {
            entry.door == crate::counterpart::scim_receiver::Door::Scim
                && ((!id.is_empty() && (entry.touches(id) || entry.path.contains(id))) || (!tag.is_empty() && entry.names(tag)))
        };
        let entries = self.receiver.log().since(mark, about);
        // A client that repeats itself for ever fills no file.
        entries.iter().take(60).map(|entry| Sent::of(entry, self.began)).collect()
    }

    /// The case of a user whose state was waited for.
    pub fn case(&self, mark: usize, id: &str, tag: &str, took_s: Option<f64>) -> Case {
        Case {
            took_s,
            limit_s: self.cycle().as_secs_f64(),
            state: self.state(id),
            sent: self.sent(mark, id, tag),
            ..Case::default()
        }
    }

    /// Removes the directory users of this scenario again, and what is left of their accounts.
    pub async fn close(&self, users: impl IntoIterator<Item = User>) {
        let users: Vec<User> = users.into_iter().filter(|user| user.made).collect();
        let left = self.stage.world.undo.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let undone = left.into_iter().filter(|undo| {
            undo.hook == "delete-user" && users.iter().any(|user| undo.values.iter().any(|(_, value)| *value == user.name))
        });
        futures_util::future::join_all(undone.map(|undo| self.stage.undo_now(undo))).await;
    }

    /// Does a text stand anywhere in the account?
    pub fn account_holds(&self, id: &str, text: &str) -> bool {
        self.receiver.engine().user(id).is_some_and(|user| holds(&user, &text.to_lowercase()))
    }
}

/// Placeholders that hooks about accounts may use, besides those of the user.
const OTHERS: [&str; 7] = ["attribute", "value", "group", "role", "count", "password", "totp"];

/// What hooks about a user are given; what says nothing is empty.
fn values(receiver: &Receiver, user: &User, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut values = vec![own("user", &user.name), own("email", &user.email), own("name", &user.display), own("id", &user.id)];
    values.push(("receiver".into(), receiver.addr.to_string()));
    values.push(("receiver_ca".into(), b64(&receiver.authority)));
    values.extend(more.iter().map(|(name, value)| own(name, value)));
    let rest = OTHERS.iter().filter(|name| !more.iter().any(|(given, _)| given == *name));
    values.extend(rest.map(|name| own(name, "")));
    values
}
