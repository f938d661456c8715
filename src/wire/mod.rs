//! Reading what products send: tolerant, typed views, with the bytes kept. Judging is done elsewhere, and strictly.

pub mod jose;
pub mod jwe;
pub mod seen;
pub mod spki;
