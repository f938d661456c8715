//! Tolerant reading: what arrives is kept as bytes and looked at through typed views; judging it is not done here. No I/O.

pub mod amr;
pub mod entropy;
pub mod hsts_preload;
pub mod tls_answer;
pub mod tls_hello;
pub mod tls_suites;
