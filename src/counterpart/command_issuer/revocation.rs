//! Global Token Revocation requests (draft-parecki-oauth-global-token-revocation-05, Revocation Request).

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::http::Ask;

/// The body that names a user by issuer and subject (RFC 9493, 3.2.4).
pub fn named(issuer: &str, sub: &str) -> Value {
    json!({"sub_id": {"format": "iss_sub", "iss": issuer, "sub": sub}})
}

/// A revocation request; `credential` is the bearer token, `None` sends no authentication.
pub fn revoke(endpoint: &str, credential: Option<&str>, body: &Value) -> Ask {
    revoke_bytes(endpoint, credential, body.to_string().into_bytes())
}

/// As [`revoke`], with any bytes as the JSON body.
pub fn revoke_bytes(endpoint: &str, credential: Option<&str>, body: Vec<u8>) -> Ask {
    let ask = Ask {
        method: Method::POST,
        url: endpoint.to_owned(),
        headers: vec![("accept".into(), "application/json".into())],
        body: Some(("application/json".into(), body)),
    };
    match credential {
        Some(token) => ask.header("authorization", format!("Bearer {token}")),
        None => ask,
    }
}
