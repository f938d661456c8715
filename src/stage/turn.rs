//! Turns at the application: how many logins are under way at the same time, and who need not wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{RwLockReadGuard, Semaphore};
use tokio::task::AbortHandle;

use super::Stage;
use crate::suite::Obstacle;

/// Logins under way per processor. More of them take no less time together, and each one takes longer: looks that are due at a certain
/// time would come late.
const PER_PROCESSOR: usize = 3;
/// A login that takes longer than this waits for the application, not for a processor: others may start.
const PATIENCE: Duration = Duration::from_secs(5);

/// Room for the logins of a run.
pub fn places() -> Arc<Semaphore> {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    Arc::new(Semaphore::new(processors * PER_PROCESSOR))
}

/// Held while a browser talks to the application: the provider shows no departure that everybody would see.
pub struct Undisturbed<'a> {
    _gate: RwLockReadGuard<'a, ()>,
    _place: Option<Place>,
}

/// A place, given back when it is dropped, or when its time is over.
struct Place(AbortHandle);

impl Place {
    async fn take(places: &Arc<Semaphore>, patience: Duration) -> Option<Place> {
        // The semaphore is never closed.
        let permit = Arc::clone(places).acquire_owned().await.ok()?;
        let held = tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            drop(permit);
        });
        Some(Place(held.abort_handle()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Stage {
    /// Waits for a turn at the application, and until nobody disturbs the provider. Scenarios whose visits are due at certain times
    /// ([`crate::suite::Scenario::TIMED`]) wait for the provider only.
    ///
    /// # Errors
    /// There is no application.
    pub async fn undisturbed(&self) -> Result<Undisturbed<'_>, Obstacle> {
        let app = self.app()?;
        // The place first: who waits for one must not keep those waiting who want the provider to themselves.
        let _place = if self.timed { None } else { Place::take(&app.places, PATIENCE).await };
        Ok(Undisturbed { _gate: app.provider.shared().await, _place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_given_back_when_its_holder_ends_or_takes_too_long() {
        let places = Arc::new(Semaphore::new(1));
        let long = Duration::from_secs(60);
        let first = Place::take(&places, long).await;
        assert_eq!(places.available_permits(), 0);
        drop(first);
        let second = Place::take(&places, Duration::from_millis(50)).await;
        let third = tokio::time::timeout(long / 2, Place::take(&places, long)).await;
        assert!(third.is_ok_and(|third| third.is_some()));
        drop(second);
    }
}
