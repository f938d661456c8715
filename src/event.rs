//! Progress of a run, for the live view only. Nothing is decided from events.

use crate::model::{ClauseId, Verdict};

/// Something that happened in a run.
#[derive(Clone, Debug)]
pub enum Event {
    /// The plan is made: this many clauses will be tested in this many scenarios.
    Planned {
        /// Clauses to be decided by scenarios.
        clauses: usize,
        /// Scenarios to be played.
        scenarios: usize,
        /// Which user agent will sign in.
        browser: String,
    },
    /// A scenario started.
    Started {
        /// Its name.
        scenario: String,
        /// What it does, one line.
        title: String,
    },
    /// A scenario waits for the clock until about then.
    Waiting {
        /// Its name.
        scenario: String,
        /// What the wait is for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// A clause was decided.
    Decided {
        /// Which.
        clause: ClauseId,
        /// How.
        verdict: Verdict,
        /// Why.
        reason: String,
    },
    /// A scenario ended.
    Ended {
        /// Its name.
        scenario: String,
        /// Why it could not be played to its end.
        obstacle: Option<String>,
        /// Milliseconds it took.
        duration_ms: u64,
    },
    /// Something worth a line: a control that failed, a retry, a fallback.
    Note {
        /// The text.
        text: String,
    },
}

/// Receives events. The runner prints nothing itself.
pub type Sink = std::sync::Arc<dyn Fn(Event) + Send + Sync>;
