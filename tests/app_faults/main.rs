//! Applications that misbehave: never a wrong verdict, and always a message that names the thing, the place and the remedy.
#![allow(clippy::unwrap_used)]

mod before;
mod commands_alone;
mod midway;
mod oracle;
mod raw;
mod support;
mod ways_in;
