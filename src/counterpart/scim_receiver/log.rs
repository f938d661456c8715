//! Every request that reached the receiver, to be waited for and looked at.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;

use crate::model::ExchangeId;

/// Requests kept at most; a client that repeats itself for ever must not fill the memory.
const KEEP: usize = 50_000;

/// What was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// The SCIM interface.
    #[default]
    Scim,
    /// The authorization server's metadata.
    Metadata,
    /// Its token endpoint.
    Token,
    /// The command endpoint.
    Commands,
    /// Anything else.
    Elsewhere,
}

/// How a request was authorised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// With a good token in the Authorization header.
    Granted,
    /// No token in the Authorization header.
    #[default]
    NoToken,
    /// A token that is unknown or wrong.
    BadToken,
    /// A token whose time is over.
    Expired,
}

/// A list that was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Ids on the page.
    pub ids: Vec<String>,
    /// `totalResults`.
    pub total: u64,
    /// A further page was offered.
    pub more: bool,
}

/// A request and its answer. Header fields and body are as they came; what goes into files is a [`super::Sent`].
#[derive(Clone, Debug)]
pub struct Entry {
    /// Position in the log.
    pub number: usize,
    /// When it arrived.
    pub at: Instant,
    /// When it was answered.
    pub answered: Instant,
    /// What was asked.
    pub door: Door,
    /// Method.
    pub method: String,
    /// Path below the base for [`Door::Scim`], decoded; the whole path otherwise.
    pub path: String,
    /// Query parameters, decoded.
    pub query: Vec<(String, String)>,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body bytes.
    pub raw: Vec<u8>,
    /// Body as JSON; `null` where it is none.
    pub body: Value,
    /// How it was authorised.
    pub access: Access,
    /// Status; 0 where the connection was closed without an answer.
    pub status: u16,
    /// The resource it addressed, found or made.
    pub resource: Option<String>,
    /// The list it was answered with.
    pub listed: Option<Listed>,
    /// The resource changed by it, apart from `meta`.
    pub changed: bool,
    /// The scripted fault it met, in words.
    pub fault: Option<String>,
    /// The recorded exchange.
    pub exchange: ExchangeId,
}

impl Entry {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// It writes to the SCIM interface.
    pub fn writes(&self) -> bool {
        self.door == Door::Scim
            && matches!(self.method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE")
            && !self.path.ends_with("/.search")
    }

    /// It made a user.
    pub fn created_user(&self) -> bool {
        self.door == Door::Scim && self.method == "POST" && self.path == "/Users" && self.ok()
    }

    /// The filter of a search by GET.
    pub fn filter(&self) -> Option<&str> {
        self.query.iter().find(|(name, _)| name.eq_ignore_ascii_case("filter")).map(|(_, value)| value.as_str())
    }

    /// It was carried out.
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// It addressed this resource: by its id in the path, or by making or finding it.
    pub fn touches(&self, id: &str) -> bool {
        self.resource.as_deref() == Some(id)
    }

    /// It names this text, without case, in path, query or body.
    pub fn names(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let held = |part: &str| part.to_lowercase().contains(&text);
        held(&self.path) || self.query.iter().any(|(_, value)| held(value)) || held(&String::from_utf8_lossy(&self.raw))
    }
}

/// How often the clock is looked at while something is waited for. A look that comes late counts as this time all the same: what made it
/// late, a busy machine, makes the peer late as well.
const TICK: Duration = Duration::from_millis(100);

/// The log. Share it behind an `Arc`.
#[derive(Debug)]
pub struct Log {
    kept: Mutex<Vec<Entry>>,
    count: watch::Sender<usize>,
}

impl Default for Log {
    fn default() -> Self {
        Log { kept: Mutex::default(), count: watch::Sender::new(0) }
    }
}

impl Log {
    /// Adds an entry and gives it its number.
    pub fn push(&self, mut entry: Entry) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEEP {
            entry.number = kept.len();
            kept.push(entry);
        }
        drop(kept);
        self.stir();
    }

    /// Wakes whoever waits, for changes that are no request.
    pub fn stir(&self) {
        self.count.send_modify(|count| *count += 1);
    }

    /// How many requests have arrived: the place to look from.
    pub fn mark(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What arrived since a mark and fits, oldest first.
    pub fn since(&self, mark: usize, fits: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().skip(mark).filter(|entry| fits(entry)).cloned().collect()
    }

    /// Does anything fit that arrived since a mark?
    pub fn any(&self, mark: usize, fits: impl Fn(&Entry) -> bool) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().skip(mark).any(fits)
    }

    /// Looks whenever a request arrived, until it holds or so much time has passed; answers whether it holds. Time in which this process
    /// could not run does not count.
    pub async fn wait(&self, limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
        let mut count = self.count.subscribe();
        let mut left = limit;
        loop {
            count.borrow_and_update();
            if holds() {
                return true;
            }
            loop {
                if left.is_zero() {
                    return false;
                }
                let (from, step) = (Instant::now(), left.min(TICK));
                let stirred = tokio::time::timeout(step, count.changed()).await.is_ok();
                left = left.saturating_sub(from.elapsed().min(step));
                if stirred {
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn it_is_waited_for_without_polling_and_never_beyond_the_deadline() {
        let log = Arc::new(Log::default());
        let late = log.wait(Duration::from_millis(30), || false).await;
        assert!(!late);
        let other = log.clone();
        let (held, ()) =
            tokio::join!(log.wait(Duration::from_secs(20), || log.any(0, |entry| entry.names("ANNA"))), async move {
                other.push(super::super::tests::entry("GET", "/Users", "anna"));
            });
        assert!(held);
        assert_eq!(log.mark(), 1);
    }

    #[tokio::test]
    async fn time_in_which_nothing_can_run_does_not_count() {
        let log = Log::default();
        let busy = async {
            std::thread::sleep(TICK * 4);
            tokio::time::sleep(TICK / 4).await;
            log.push(super::super::tests::entry("GET", "/Users", "anna"));
        };
        let (held, ()) = tokio::join!(log.wait(TICK * 2, || log.mark() == 1), busy);
        assert!(held);
    }
}
