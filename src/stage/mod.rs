//! The world during a scenario: HTTP client, listener, browser, clock, recorder, hooks.

pub mod browser;
pub mod listener;
pub mod recorder;
pub mod redact;
