//! The world during a scenario: HTTP client, listener, browser, clock, recorder, hooks.

pub mod browser;
pub mod cert;
pub mod dns;
pub mod plain;
pub mod raw;
pub mod recorder;
pub mod redact;
pub mod resolve;
#[cfg(test)]
mod test_servers;
pub mod tls;
