//! The program as a user meets it: what it prints, writes and answers, on good days and bad ones.

#![allow(clippy::unwrap_used)]

mod accounts;
mod app;
mod finished;
mod hostile;
mod peers;
mod provisioning;
mod support;
mod texts;
