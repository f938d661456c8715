//! The roles the suite plays itself. Each is a conforming peer; with a [`twist::Twist`] it becomes the defective peer of the kill matrix.
//!
//! | peer | is | stands against |
//! |---|---|---|
//! | [`op`] | an OpenID Provider that conforms to IPSIE SL1 | the identity service suites, as the target of a run without `--target` |

pub mod embedded;
pub mod op;
pub mod twist;
