//! The world during a scenario: HTTP client, listener, browser, clock, recorder, hooks.

pub mod app_start;
pub mod app_world;
pub mod async_server;
pub mod browser;
pub mod cert;
pub mod dns;
pub mod fed;
pub mod front;
pub mod guests;
pub mod hooks;
pub mod html;
pub mod http;
pub mod inbox;
pub mod journal;
pub mod listener;
pub mod named;
pub mod oracle;
pub mod plain;
pub mod raw;
pub mod recorder;
pub mod redact;
pub mod resolve;
pub mod scim_token;
pub mod scim_world;
pub mod secrets;
pub mod surface;
#[cfg(test)]
mod test_servers;
pub mod tls;
pub mod turn;
pub mod visitor;
pub mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::event::Event;
use crate::model::report::Controls;
pub use world::World;

/// One scenario's handle to the world.
pub struct Stage {
    /// What all scenarios share.
    pub world: Arc<World>,
    /// The scenario's name, written on everything it causes.
    pub scenario: &'static str,
    /// Its visits are due at certain times: they go before those of others.
    timed: bool,
    /// Users of the target file that it works on.
    taken: named::Taken,
    held: AtomicU32,
    failed: AtomicU32,
    waited_ms: AtomicU64,
}

impl Stage {
    /// A handle for this scenario.
    pub fn new(world: Arc<World>, scenario: &'static str) -> Self {
        Stage {
            world,
            scenario,
            timed: false,
            taken: named::Taken::default(),
            held: AtomicU32::new(0),
            failed: AtomicU32::new(0),
            waited_ms: AtomicU64::new(0),
        }
    }

    /// The same for a scenario whose visits are due at certain times, or not.
    pub fn timed(self, timed: bool) -> Self {
        Stage { timed, ..self }
    }

    /// Is this clause to be decided in this run? A scenario leaves out what nobody asked for.
    pub fn wants(&self, clause: &str) -> bool {
        self.world.wanted.contains(clause)
    }

    /// Counts a control.
    pub fn control(&self, held: bool) -> bool {
        if held { &self.held } else { &self.failed }.fetch_add(1, Ordering::Relaxed);
        if !held {
            self.note(format!("{}: a control did not succeed", self.scenario));
        }
        held
    }

    /// Controls so far, and milliseconds waited.
    pub fn tally(&self) -> (Controls, u64) {
        let controls = Controls { held: self.held.load(Ordering::Relaxed), failed: self.failed.load(Ordering::Relaxed) };
        (controls, self.waited_ms.load(Ordering::Relaxed))
    }

    /// Waits for the clock: the only place where a scenario stands still without something to wait for.
    pub async fn wait_until(&self, then: Instant, what: &str) {
        let now = Instant::now();
        if then <= now {
            return;
        }
        let pause = then - now;
        (self.world.events)(Event::Waiting {
            scenario: self.scenario.into(),
            what: what.into(),
            seconds: pause.as_secs().max(1),
        });
        tokio::time::sleep_until(then.into()).await;
        self.waited(pause);
    }

    /// Counts time that is spent waiting for the clock elsewhere (a new one-time code).
    pub fn waited(&self, pause: Duration) {
        self.waited_ms.fetch_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.world.recorder.waited(pause);
    }

    /// Something worth a line in the live view.
    pub fn note(&self, text: impl Into<String>) {
        (self.world.events)(Event::Note { text: text.into() });
    }

    /// Something of the run that stays at the target: a line in the live view and in the report.
    pub fn leave(&self, text: impl Into<String>) {
        let text = text.into();
        self.world.left.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(text.clone());
        self.note(text);
    }
}
