//! Conformance tests for IPSIE (Interoperability Profiling for Secure Identity in the Enterprise).
//!
//! One way for data, nothing flows back:
//!
//! ```text
//! profiles/*.toml -> catalogue -> plan -> run (suites play scenarios on a stage) -> observations -> judge -> report.json -> every other format
//!      data          checked,     pure:    the only I/O; counterpart, browser,      serialisable,   pure      one source
//!                    typed        what is  listener, clock, recorder                 cite exchanges
//!                                 skipped
//!                                 and why
//! ```
//!
//! [`judge`] never does I/O, so a finished run can be judged again.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod baseline;
pub mod calibrate;
pub mod catalogue;
pub mod cli;
pub mod counterpart;
pub mod embed;
pub mod error;
pub mod event;
mod first_login;
pub mod judge;
pub mod model;
pub mod plan;
mod plan_accounts;
mod plan_app;
pub mod reach;
pub mod report;
pub mod run;
pub mod selftest;
pub mod set_app;
pub mod set_receiver;
pub mod set_stage;
pub mod stage;
pub mod suite;
pub mod suites;
mod target_accounts;
pub mod target_file;
pub mod wire;
