//! SCIM service providers and command endpoints that misbehave: never a wrong verdict, never a stranger's account changed, nothing left
//! behind, and an end in bounded time and memory.
#![allow(clippy::unwrap_used)]

mod commands;
mod endings;
mod garbage;
mod large;
mod lost;
mod server;
mod strangers;
mod support;
