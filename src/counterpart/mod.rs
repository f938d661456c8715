//! The roles the suite plays itself: the relying party against a real identity service, and a reference identity service,
//! which is the embedded target and, with a twist, the defective peer of the kill matrix.

pub mod app;
pub mod authorize;
pub mod command_issuer;
pub mod dpop;
pub mod embedded;
pub mod embedded_app;
pub mod embedded_provision;
pub mod keys;
pub mod op;
pub mod provider;
pub mod provisioner;
pub mod relying_party;
pub mod scim_client;
pub mod scim_receiver;
pub mod scim_server;
pub mod token;
pub mod twist;
