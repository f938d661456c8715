//! idp-sso: a browser that is already signed in, no credentials typed. Its parts run beside each other, each with its own
//! controls.

pub mod codes;
pub mod dpop;
pub mod par;
pub mod pkce;
pub mod redirects;
pub mod refresh;
pub mod requests;
pub mod session;
