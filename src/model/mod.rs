//! What everything else speaks about: levels, clauses, targets, evidence, verdicts. No I/O, nothing asynchronous.
#![warn(missing_docs)]

pub mod clause;
pub mod evidence;
pub mod level;
pub mod report;
pub mod target;
mod target_app;
mod target_lifecycle;
pub mod verdict;

pub use clause::{Clause, ClauseId, How, Requirement};
pub use evidence::{Exchange, ExchangeId, Message, Party, Shot};
pub use level::{Level, Role, Strength};
pub use verdict::{Call, Fault, FaultClass, Judgement, LevelVerdict, Verdict};
