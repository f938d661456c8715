//! Reading what products send: tolerant, typed views, with the bytes kept. Judging is done elsewhere, and strictly.

pub mod amr;
pub mod client_hello;
pub mod entropy;
pub mod hsts_preload;
pub mod jose;
pub mod jwe;
pub mod seen;
pub mod spki;
pub mod tls_answer;
pub mod tls_hello;
pub mod tls_suites;
