//! Guests: made-up users of a run who sign in at the application and may get an account there by that alone. No request of the suite made
//! the account, so that it is searched for at the end of the run, by whatever drives accounts there.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use serde_json::Value;

use super::Stage;
use super::journal::Entry;
use crate::counterpart::command_issuer::Desk;
use crate::counterpart::provider::Subject;
use crate::counterpart::scim_client::{Answer, Bearer, Call, quoted};

/// Guests that are looked for at a time.
const AT_ONCE: usize = 8;
/// Names that a message tells; the others are counted.
const NAMED: usize = 3;

/// Guests so far, by `sub`, with their address.
#[derive(Debug, Default)]
pub struct Guests(Mutex<BTreeMap<String, String>>);

impl Guests {
    fn take(&self) -> BTreeMap<String, String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds one; is it new?
    pub fn add(&self, sub: &str, email: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(sub.to_owned(), email.to_owned()).is_none()
    }
}

/// Is the user of a list the guest? Both names carry the run id, so that nobody else has them.
fn is(user: &Value, sub: &str, email: &str) -> bool {
    let same = |value: &Value| value.as_str().is_some_and(|text| text == sub || text.eq_ignore_ascii_case(email));
    same(&user["externalId"])
        || same(&user["userName"])
        || user["emails"].as_array().into_iter().flatten().any(|one| same(&one["value"]))
}

impl Stage {
    /// Remembers a made-up user of this run who is about to sign in. Users that the target file names are the operator's.
    pub fn guest(&self, who: &Subject) {
        let ours = who.sub.contains(&self.world.run_id);
        // What nothing can remove is no matter for the next run either.
        let removable = self.world.scim.is_some() || self.world.target.accounts_by_commands();
        if ours && self.world.guests.add(&who.sub, &who.email) && removable {
            self.world.journal.add(&Entry::Guest { sub: who.sub.clone(), email: who.email.clone() });
        }
    }

    /// Removes the accounts that sign-ins made, as far as anything drives accounts; what is left is told. To be called when the accounts
    /// that the run made itself are gone.
    pub async fn guest_sweep(&self) -> Vec<Entry> {
        let guests = self.world.guests.take();
        // The embedded application ends with the run.
        if guests.is_empty() || self.world.embedded {
            return Vec::new();
        }
        let commands = self.world.target.accounts_by_commands();
        let scim = self.world.scim.is_some() && !commands;
        if !scim && !commands {
            let named: Vec<&str> = guests.keys().take(NAMED).map(String::as_str).collect();
            let more = guests.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            self.leave(format!(
                "users of this run who signed in may have accounts at the application, and nothing is configured to remove them: {}{more}",
                named.join(", ")
            ));
            return Vec::new();
        }
        let gone = futures_util::stream::iter(guests).map(|(sub, email)| async move {
            let gone = if scim { self.guest_gone_by_scim(&sub, &email).await } else { None };
            (Entry::Guest { sub, email }, gone)
        });
        let mut left = Vec::new();
        let tried: Vec<(Entry, Option<bool>)> = gone.buffer_unordered(AT_ONCE).collect().await;
        let desk = if commands { Desk::open(self).await.ok() } else { None };
        for (entry, gone) in tried {
            let Entry::Guest { sub, .. } = &entry else { continue };
            let gone = match (&desk, gone) {
                (Some(desk), _) => desk.remove(&desk.somebody_named(sub, true)).await.is_ok(),
                (None, gone) => gone.unwrap_or(false),
            };
            if !gone {
                self.leave(format!("the account that a sign-in of {sub} may have made could not be removed"));
                left.push(entry);
            }
        }
        left
    }

    /// Searches for accounts of a guest and deletes them. `None` where no search was answered.
    async fn guest_gone_by_scim(&self, sub: &str, email: &str) -> Option<bool> {
        let mut found: Vec<(String, Bearer)> = Vec::new();
        let mut answered = false;
        let second = self.world.scim.as_ref().is_some_and(super::scim_world::ScimWorld::has_second);
        for bearer in [Bearer::Own, Bearer::Second].into_iter().take(if second { 2 } else { 1 }) {
            for (attribute, value) in [("externalId", sub), ("userName", email), ("userName", sub)] {
                let call = Call::get("/Users").filter(format!("{attribute} eq {}", quoted(value))).by(bearer.clone());
                let Ok(answer) = self.scim_send("clean-up", call).await else { continue };
                answered |= answer.ok();
                let own = answer.resources().iter().filter(|user| is(user, sub, email));
                found.extend(own.filter_map(|user| Some((user["id"].as_str()?.to_owned(), bearer.clone()))));
            }
        }
        found.dedup();
        let mut gone = answered.then_some(true);
        for (id, bearer) in found {
            let call = Call::delete(format!("/Users/{id}")).by(bearer);
            let removed = |answer: &Answer| answer.ok() || answer.status == 404;
            if !self.scim_send("clean-up", call).await.is_ok_and(|answer| removed(&answer)) {
                gone = Some(false);
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_who_bears_a_name_of_the_run_is_taken_for_a_guest() {
        let (sub, email) = ("run-1-alice", "run-1-alice@x.test");
        assert!(is(&json!({"externalId": sub}), sub, email));
        assert!(is(&json!({"userName": "Run-1-Alice@x.test"}), sub, email));
        assert!(is(&json!({"emails": [{"value": email}]}), sub, email));
        assert!(!is(&json!({"userName": "alice@x.test", "emails": [{"value": "a@x.test"}]}), sub, email));
        assert!(!is(&json!({}), sub, email));
    }

    #[test]
    fn a_guest_is_remembered_once() {
        let guests = Guests::default();
        assert!(guests.add("s", "e") && !guests.add("s", "e"));
        assert_eq!(guests.take().len(), 1);
        assert!(guests.take().is_empty());
    }
}
