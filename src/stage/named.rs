//! Users that the target file names, because the run cannot make its own: one scenario at a time works on each, or what one does to a user
//! would be taken for the effect of another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use super::Stage;

/// A turn per user name.
#[derive(Debug, Default)]
pub struct Named(Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Named {
    fn turn(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(name.to_lowercase()).or_default())
    }
}

/// The users that a scenario works on, until it ends.
#[derive(Debug, Default)]
pub struct Taken {
    /// One question at a time: who waits must not wait for its own scenario.
    asking: tokio::sync::Mutex<()>,
    held: Mutex<Vec<(String, OwnedMutexGuard<()>)>>,
}

impl Taken {
    /// The place of the first of these users that the scenario works on already, else of the first that is free, else of the first of all
    /// once it is free. None of none.
    pub async fn one_of(&self, all: &Named, names: &[&str]) -> Option<usize> {
        let _one = self.asking.lock().await;
        let known = |name: &&str| self.held.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|(held, _)| held == name);
        if let Some(at) = names.iter().position(known) {
            return Some(at);
        }
        let free = names.iter().enumerate().find_map(|(at, name)| Some((at, all.turn(name).try_lock_owned().ok()?)));
        let (at, turn) = match free {
            Some(free) => free,
            None => (0, all.turn(names.first()?).lock_owned().await),
        };
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push((names[at].to_owned(), turn));
        Some(at)
    }
}

impl Stage {
    /// As [`Taken::one_of`], for this scenario until it ends.
    pub async fn take_named(&self, names: &[&str]) -> Option<usize> {
        self.taken.one_of(&self.world.named, names).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn each_user_is_worked_on_by_one_scenario_at_a_time() {
        let all = Named::default();
        let (one, other) = (Taken::default(), Taken::default());
        assert_eq!(one.one_of(&all, &["a", "b"]).await, Some(0));
        // The same scenario goes on with the user it has; another one takes the next.
        assert_eq!(one.one_of(&all, &["b", "a"]).await, Some(1));
        assert_eq!(other.one_of(&all, &["a", "b"]).await, Some(1));
        assert_eq!(other.one_of(&all, &[]).await, None);
        let third = Taken::default();
        let waits = tokio::time::timeout(Duration::from_millis(20), third.one_of(&all, &["A", "b"])).await;
        assert!(waits.is_err());
        drop(one);
        assert_eq!(third.one_of(&all, &["a", "b"]).await, Some(0));
    }
}
