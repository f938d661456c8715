//! Who may provision: a static token, tokens of the suite's own authorization server, or access tokens of the identity service.
//!
//! The authorization server notes every token request and grants it whatever it is like: how a client authenticates is judged by
//! what it sent, and a client with a poor one still shows how it provisions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::log::Access;
use crate::model::ExchangeId;
use crate::model::target::ScimAuth;
use crate::wire::jose::{random, read};

/// Life of issued access tokens, short so that a run sees several token requests.
pub const LIFE: Duration = Duration::from_secs(60);

/// A request to the token endpoint.
#[derive(Clone, Debug)]
pub struct TokenAsked {
    /// When it arrived.
    pub at: Instant,
    /// Form parameters.
    pub form: Vec<(String, String)>,
    /// Scheme of its Authorization header; empty without one.
    pub scheme: String,
    /// The exchange.
    pub exchange: ExchangeId,
}

impl TokenAsked {
    /// A form parameter; empty where it is absent.
    pub fn get(&self, name: &str) -> &str {
        self.form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The signed JWT that authenticates it, in either form of RFC 7523 section 2.
    pub fn assertion(&self) -> Option<&str> {
        [self.get("assertion"), self.get("client_assertion")].into_iter().find(|text| !text.is_empty())
    }
}

/// How a token is checked, and what was asked for.
#[derive(Debug)]
pub struct Desk {
    /// Where tokens come from.
    pub layout: ScimAuth,
    /// Issuer of the suite's authorization server.
    pub issuer: String,
    /// Its token endpoint.
    pub token_endpoint: String,
    /// `aud` of the identity service's access tokens.
    pub audience: String,
    /// Their `iss`; empty for any.
    pub token_issuer: String,
    token: Option<String>,
    keys: Mutex<Value>,
    issued: Mutex<Vec<(String, Instant)>>,
    asked: Mutex<Vec<TokenAsked>>,
    presented: Mutex<Vec<(String, ExchangeId)>>,
    mismatch: AtomicBool,
}

impl Desk {
    /// Nothing asked yet.
    pub fn new(layout: ScimAuth, issuer: String, token_endpoint: String, token: Option<String>) -> Self {
        Desk {
            layout,
            issuer,
            token_endpoint,
            audience: String::new(),
            token_issuer: String::new(),
            token,
            keys: Mutex::default(),
            issued: Mutex::default(),
            asked: Mutex::default(),
            presented: Mutex::default(),
            mismatch: AtomicBool::new(false),
        }
    }

    /// The keys that the identity service publishes for provisioning; `null` where none are known.
    pub fn keys(&self) -> Value {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys by which access tokens and assertions of the identity service are verified.
    pub fn set_keys(&self, keys: Value) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// The metadata names another issuer from now on, or the right one again.
    pub fn mismatch(&self, on: bool) {
        self.mismatch.store(on, Ordering::SeqCst);
    }

    /// The metadata (RFC 8414 2).
    pub fn metadata(&self) -> Value {
        let named = if self.mismatch.load(Ordering::SeqCst) { format!("{}/other", self.issuer) } else { self.issuer.clone() };
        json!({
            "issuer": named,
            "token_endpoint": self.token_endpoint,
            "grant_types_supported": ["urn:ietf:params:oauth:grant-type:jwt-bearer", "client_credentials"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt", "none"],
            "token_endpoint_auth_signing_alg_values_supported": ["ES256", "PS256", "EdDSA", "RS256"],
            "scopes_supported": ["scim"],
            "response_types_supported": [],
        })
    }

    /// Notes a token request and grants it.
    pub fn grant(&self, asked: TokenAsked) -> Value {
        let token = random(32);
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).push((token.clone(), asked.at + LIFE));
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        json!({"access_token": token, "token_type": "Bearer", "expires_in": LIFE.as_secs(), "scope": "scim"})
    }

    /// The token requests so far.
    pub fn asked(&self) -> Vec<TokenAsked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// JWT access tokens that were presented, each once.
    pub fn presented(&self) -> Vec<(String, ExchangeId)> {
        self.presented.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes the JWT access token of a request.
    pub fn note(&self, authorization: &str, exchange: &ExchangeId) {
        let Some(token) = bearer(authorization).filter(|token| read(token).is_ok()) else { return };
        let mut presented = self.presented.lock().unwrap_or_else(PoisonError::into_inner);
        if presented.len() < 1000 && !presented.iter().any(|(known, _)| known == token) {
            presented.push((token.to_owned(), exchange.clone()));
        }
    }

    /// How an Authorization header is taken.
    pub fn access(&self, authorization: &str) -> Access {
        let Some(token) = bearer(authorization) else { return Access::NoToken };
        match self.layout {
            ScimAuth::Bearer => match &self.token {
                Some(known) if known != token => Access::BadToken,
                _ => Access::Granted,
            },
            ScimAuth::AppAs => {
                let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
                match issued.iter().find(|(known, _)| known == token) {
                    None => Access::BadToken,
                    Some((_, until)) if *until < Instant::now() => Access::Expired,
                    Some(_) => Access::Granted,
                }
            }
            ScimAuth::IdpAs => self.foreign(token),
        }
    }

    fn foreign(&self, token: &str) -> Access {
        let Ok(jwt) = read(token) else { return Access::BadToken };
        let keys = self.keys();
        let named = |aud: &Value| aud.as_str() == Some(self.audience.as_str());
        let aud = &jwt.claims["aud"];
        let for_us = named(aud) || aud.as_array().is_some_and(|all| all.iter().any(named));
        let issuer = self.token_issuer.is_empty() || jwt.claims["iss"].as_str() == Some(self.token_issuer.as_str());
        if !for_us || !issuer || (!keys.is_null() && jwt.verify(&keys).is_err()) {
            return Access::BadToken;
        }
        let over = jwt.claims["exp"].as_i64().is_none_or(|exp| exp < jiff::Timestamp::now().as_second());
        if over { Access::Expired } else { Access::Granted }
    }
}

/// The token of a Bearer header (RFC 6750 2.1).
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::jose::SigningKey;
    use jsonwebtoken::Algorithm;

    #[test]
    fn a_static_token_is_compared() {
        let desk = Desk::new(ScimAuth::Bearer, String::new(), String::new(), Some("good".into()));
        assert_eq!(desk.access("Bearer good"), Access::Granted);
        assert_eq!(desk.access("bearer bad"), Access::BadToken);
        assert_eq!(desk.access("Basic good"), Access::NoToken);
    }

    #[test]
    fn issued_tokens_are_good_and_token_requests_are_noted() {
        let desk = Desk::new(ScimAuth::AppAs, "https://as.test".into(), "https://as.test/token".into(), None);
        let form = vec![("assertion".to_owned(), "a.b.c".to_owned())];
        let asked = TokenAsked { at: Instant::now(), form, scheme: String::new(), exchange: "x1".into() };
        let answer = desk.grant(asked);
        assert_eq!(desk.access(&format!("Bearer {}", answer["access_token"].as_str().unwrap())), Access::Granted);
        assert_eq!(desk.access("Bearer other"), Access::BadToken);
        assert_eq!(desk.asked()[0].assertion(), Some("a.b.c"));
        assert_eq!(desk.metadata()["issuer"], "https://as.test");
        desk.mismatch(true);
        assert_ne!(desk.metadata()["issuer"], "https://as.test");
    }

    #[test]
    fn access_tokens_of_the_identity_service_are_verified() {
        let key = SigningKey::generate("k", Algorithm::ES256).unwrap();
        let mut desk = Desk::new(ScimAuth::IdpAs, String::new(), String::new(), None);
        desk.audience = "https://scim.test".into();
        desk.set_keys(json!({"keys": [key.jwk()]}));
        let now = jiff::Timestamp::now().as_second();
        let token = |aud: &str, exp: i64| format!("Bearer {}", key.sign(&json!({}), &json!({"aud": aud, "exp": exp})));
        assert_eq!(desk.access(&token("https://scim.test", now + 60)), Access::Granted);
        assert_eq!(desk.access(&token("https://scim.test", now - 60)), Access::Expired);
        assert_eq!(desk.access(&token("https://other.test", now + 60)), Access::BadToken);
        let other = SigningKey::generate("k", Algorithm::ES256).unwrap();
        desk.set_keys(json!({"keys": [other.jwk()]}));
        assert_eq!(desk.access(&token("https://scim.test", now + 60)), Access::BadToken);
    }
}
