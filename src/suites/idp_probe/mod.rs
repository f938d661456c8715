//! idp-probe: what can be seen of an identity service without signing in.

pub mod announcements;
pub mod classes;
pub mod front;
pub mod grants;
pub mod metadata;
pub mod transport;
