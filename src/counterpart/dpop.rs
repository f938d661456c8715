//! DPoP proofs (RFC 9449).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use url::Url;

use crate::stage::http::Reply;
use crate::suite::Obstacle;
use crate::wire::jose::{SigningKey, random, sha256_b64};

/// A DPoP key with the nonces servers gave (RFC 9449).
#[derive(Debug)]
pub struct Dpop {
    /// The proof key.
    pub key: SigningKey,
    nonces: Mutex<HashMap<String, String>>,
}

impl Dpop {
    /// A fresh key.
    pub fn new() -> Result<Self, Obstacle> {
        let key = SigningKey::generate("dpop", Algorithm::ES256).map_err(|error| Obstacle::suite(error.to_string()))?;
        Ok(Dpop { key, nonces: Mutex::default() })
    }

    fn origin(url: &str) -> String {
        Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.origin().ascii_serialization())
    }

    /// The claims of a correct proof.
    pub fn claims(&self, method: &str, url: &str, access_token: Option<&str>) -> Value {
        let mut claims = json!({
            "jti": random(16), "htm": method, "htu": url.split(['?', '#']).next(), "iat": Timestamp::now().as_second(),
        });
        if let Some(token) = access_token {
            claims["ath"] = sha256_b64(token).into();
        }
        if let Some(nonce) = self.nonces.lock().unwrap_or_else(PoisonError::into_inner).get(&Self::origin(url)) {
            claims["nonce"] = nonce.clone().into();
        }
        claims
    }

    /// A proof with these claims.
    pub fn proof(&self, claims: &Value) -> String {
        let mut jwk = self.key.jwk().clone();
        if let Some(members) = jwk.as_object_mut() {
            members.retain(|name, _| ["kty", "crv", "x", "y"].contains(&name.as_str()));
        }
        self.key.sign_bytes(&json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}), claims.to_string().as_bytes())
    }

    /// Remembers a nonce the server gave. True when the answer is a challenge to use it.
    pub fn learn(&self, url: &str, reply: &Reply) -> bool {
        let Some(nonce) = reply.header("dpop-nonce") else { return false };
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner).insert(Self::origin(url), nonce.to_owned());
        let in_body = reply.json().is_some_and(|body| body["error"] == "use_dpop_nonce");
        let in_header = reply.header("www-authenticate").is_some_and(|challenge| challenge.contains("use_dpop_nonce"));
        (400..=401).contains(&reply.status) && (in_body || in_header)
    }
}
