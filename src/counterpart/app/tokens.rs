//! The back channel to the provider: client assertions, DPoP proofs, token requests, UserInfo.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use url::Url;

use super::App;
use super::defect::Defect;
use super::outgoing::Answer;
use super::provider::Provider;
use crate::wire::jose::{JoseError, SigningKey, random, sha256_b64};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Seconds a client assertion lives.
const ASSERTION_LIFETIME_S: i64 = 60;
/// Seconds one is used for, under the defect.
const ASSERTION_REUSE_S: i64 = 600;

/// What signs proofs and assertions, and what the servers said about nonces.
#[derive(Debug)]
pub struct Credentials {
    /// Signs client assertions.
    assertion: SigningKey,
    dpop: SigningKey,
    /// Nonces by origin (RFC 9449 8 and 9): those of the token endpoint and of UserInfo are apart.
    nonces: Mutex<HashMap<String, String>>,
    /// Under a defect: the assertion in use, by audience and client, with the time it is used until.
    reused: Mutex<HashMap<(String, String), (String, i64)>>,
}

impl Credentials {
    /// Credentials around the registered key.
    pub fn new(key: &SigningKey, defects: &[Defect]) -> Result<Self, JoseError> {
        let assertion =
            if defects.contains(&Defect::JwtAlg) { SigningKey::generate("app-rs256", Algorithm::RS256)? } else { key.clone() };
        let dpop = SigningKey::generate("dpop", Algorithm::ES256)?;
        Ok(Credentials { assertion, dpop, nonces: Mutex::default(), reused: Mutex::default() })
    }

    /// The public key of client assertions.
    pub fn assertion_jwk(&self) -> &Value {
        self.assertion.jwk()
    }
}

/// A token response that came with status 200.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    /// `id_token`.
    pub id_token: Option<String>,
    /// `access_token`.
    pub access_token: Option<String>,
    /// `refresh_token`.
    pub refresh_token: Option<String>,
    /// Is the access token bound to the DPoP key?
    pub bound: bool,
}

impl App {
    fn assertion(&self, provider: &Provider, connection: usize) -> String {
        let token_endpoint = provider.text("token_endpoint").unwrap_or_default();
        let aud = if self.has(Defect::AssertionAudIssuer) { token_endpoint } else { &provider.issuer };
        let (client, now) = (self.client_id(connection), self.now());
        let make = |lifetime: i64| {
            let claims = json!({
                "iss": client, "sub": client, "aud": aud, "jti": random(16), "iat": now, "exp": now + lifetime,
            });
            self.credentials.assertion.sign(&json!({"typ": "JWT"}), &claims)
        };
        if !self.has(Defect::AssertionFresh) {
            return make(ASSERTION_LIFETIME_S);
        }
        let mut reused = self.credentials.reused.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = reused.entry((aud.to_owned(), client.to_owned())).or_default();
        if entry.1 <= now {
            *entry = (make(ASSERTION_REUSE_S), now + ASSERTION_REUSE_S);
        }
        entry.0.clone()
    }

    /// The place of a server's nonces: its origin.
    fn nonce_key(&self, url: &str) -> String {
        if self.has(Defect::DpopNonceRs) {
            return String::new();
        }
        Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.origin().ascii_serialization())
    }

    /// A DPoP proof (RFC 9449 4.2) with this nonce, or with the one the server gave last.
    fn proof(&self, method: &str, url: &str, access_token: Option<&str>, nonce: Option<String>) -> String {
        let mut claims = json!({"jti": random(16), "htm": method, "htu": url.split(['?', '#']).next(), "iat": self.now()});
        if let Some(token) = access_token.filter(|_| !self.has(Defect::DpopUserinfo)) {
            claims["ath"] = sha256_b64(token).into();
        }
        let nonces = self.credentials.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(nonce) = nonce.or_else(|| nonces.get(&self.nonce_key(url)).cloned()) {
            claims["nonce"] = nonce.into();
        }
        let key = &self.credentials.dpop;
        let mut jwk = key.jwk().clone();
        if let Some(members) = jwk.as_object_mut() {
            members.retain(|name, _| ["kty", "crv", "x", "y"].contains(&name.as_str()));
        }
        key.sign_bytes(&json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}), claims.to_string().as_bytes())
    }

    /// Remembers the nonce of an answer; `Some` when the answer demands that it be used.
    fn learn(&self, url: &str, answer: &Answer) -> Option<String> {
        let nonce = answer.headers.get("dpop-nonce").and_then(|value| value.to_str().ok())?.to_owned();
        let mut nonces = self.credentials.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.insert(self.nonce_key(url), nonce.clone());
        let in_body = answer.status == 400 && answer.json["error"] == "use_dpop_nonce";
        let in_header = answer.status == 401 && answer.header("www-authenticate").contains("use_dpop_nonce");
        (in_body || in_header).then_some(nonce)
    }

    async fn token_request(&self, provider: &Provider, connection: usize, form: &[(&str, &str)]) -> Result<Tokens, String> {
        let url = provider.endpoint("token_endpoint")?;
        let mut nonce = None;
        for attempt in 0..2 {
            let assertion = self.assertion(provider, connection);
            let mut form = form.to_vec();
            form.extend([
                ("client_id", self.client_id(connection)),
                ("client_assertion_type", JWT_BEARER),
                ("client_assertion", &assertion),
            ]);
            let proof = (!self.has(Defect::DpopTokenRequest)).then(|| self.proof("POST", url, None, nonce.take()));
            let answer = self.outgoing.token(url, &form, proof).await?;
            nonce = self.learn(url, &answer);
            if nonce.is_some() && attempt == 0 && !self.has(Defect::DpopNonceAs) {
                continue;
            }
            if answer.status != 200 {
                let error = answer.json["error"].as_str().unwrap_or("no reason given");
                return Err(format!("the provider refused the token request: {} {error}", answer.status));
            }
            let text = |name: &str| answer.json[name].as_str().map(str::to_owned);
            let bound = answer.json["token_type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("DPoP"));
            return Ok(Tokens {
                id_token: text("id_token"),
                access_token: text("access_token"),
                refresh_token: text("refresh_token"),
                bound,
            });
        }
        Err("the provider demands one DPoP nonce after the other".into())
    }

    /// Redeems a code.
    pub async fn redeem(&self, provider: &Provider, connection: usize, code: &str, verifier: &str) -> Result<Tokens, String> {
        let mut redirect_uri = self.redirect_uri();
        if self.has(Defect::TokenRequestValid) {
            redirect_uri.push('/');
        }
        let form =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", &redirect_uri), ("code_verifier", verifier)];
        self.token_request(provider, connection, &form).await
    }

    /// Uses a refresh token.
    pub async fn refresh_grant(&self, provider: &Provider, connection: usize, refresh_token: &str) -> Result<Tokens, String> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        self.token_request(provider, connection, &form).await
    }

    /// The claims of UserInfo; `None` where the provider has no such endpoint.
    pub async fn userinfo(&self, provider: &Provider, tokens: &Tokens) -> Result<Option<Value>, String> {
        let Some(url) = provider.text("userinfo_endpoint") else { return Ok(None) };
        let token = tokens.access_token.as_deref().ok_or("the token response has no access token")?;
        let mut target = url.to_owned();
        if self.has(Defect::AccessTokenInHeader) {
            target.push_str(if target.contains('?') { "&" } else { "?" });
            target.push_str(&super::http::encode([("access_token", token)]));
        }
        let mut nonce = None;
        for attempt in 0..2 {
            let mut headers = Vec::new();
            if tokens.bound {
                headers.push(("authorization", format!("DPoP {token}")));
                headers.push(("dpop", self.proof("GET", url, Some(token), nonce.take())));
            } else {
                headers.push(("authorization", format!("Bearer {token}")));
            }
            let answer = self.outgoing.get(&target, &headers).await?;
            nonce = self.learn(url, &answer);
            if nonce.is_some() && attempt == 0 {
                continue;
            }
            if answer.status != 200 || !answer.json.is_object() {
                return Err(format!("UserInfo cannot be read: status {}", answer.status));
            }
            return Ok(Some(answer.json));
        }
        Err("UserInfo demands one DPoP nonce after the other".into())
    }
}
