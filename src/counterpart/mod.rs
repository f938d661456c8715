//! The roles the suite plays itself.

pub mod authorize;
pub mod keys;
pub mod relying_party;
