//! What arrived at the provider, as it arrived. In memory only: scenarios take facts from it, never the secrets in it.

use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ContextId;
use crate::model::ExchangeId;

/// Everything that arrived so far, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Authorization requests.
    pub authorizations: Vec<Authorization>,
    /// Requests at the token endpoint.
    pub tokens: Vec<TokenRequest>,
    /// Requests at UserInfo.
    pub userinfo: Vec<UserInfoRequest>,
    /// Everything else.
    pub fetches: Vec<Fetch>,
}

impl Log {
    /// Authorization requests of one context.
    pub fn authorizations_of(&self, context: &str) -> Vec<&Authorization> {
        self.authorizations.iter().filter(|seen| seen.context.as_deref() == Some(context)).collect()
    }

    /// Token requests with a code or refresh token of one context.
    pub fn tokens_of(&self, context: &str) -> Vec<&TokenRequest> {
        self.tokens.iter().filter(|seen| seen.context.as_deref() == Some(context)).collect()
    }

    /// UserInfo requests with an access token of one context.
    pub fn userinfo_of(&self, context: &str) -> Vec<&UserInfoRequest> {
        self.userinfo.iter().filter(|seen| seen.context.as_deref() == Some(context)).collect()
    }
}

/// An authorization request.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// Counts from 0 within the run.
    pub number: usize,
    /// The browser context it came from; `None` for a browser that is not ours.
    pub context: Option<ContextId>,
    /// 0 for the main issuer, 1 for the second one.
    pub issuer: usize,
    /// When.
    pub at: Instant,
    /// When, by the clock on the wall.
    pub when: Timestamp,
    /// `GET` or `POST`.
    pub method: String,
    /// The parameters as they count: those of a pushed request or of a request object in place of those in the URL (RFC 9126, RFC 9101).
    pub params: Vec<(String, String)>,
    /// It came to the endpoint that only metadata with a pretended issuer name.
    pub pretended: bool,
    /// The parameters were pushed.
    pub pushed: bool,
    /// JOSE `alg` of the request object, where there was one.
    pub object_alg: Option<String>,
    /// What it was answered with: `code`, `hold`, `error`.
    pub answered: &'static str,
    /// The recorded exchange.
    pub exchange: ExchangeId,
}

impl Authorization {
    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Names that stand more than once.
    pub fn repeated(&self) -> Vec<&str> {
        let mut seen = std::collections::BTreeSet::new();
        let mut twice: Vec<&str> =
            self.params.iter().map(|(key, _)| key.as_str()).filter(|key| !seen.insert(*key) && *key != "resource").collect();
        twice.dedup();
        twice
    }
}

/// A DPoP proof (RFC 9449 4.2), with what is wrong with it (4.3).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProofSeen {
    /// JOSE `alg`.
    pub alg: String,
    /// Thumbprint of its key.
    pub jkt: String,
    /// What is wrong, in words; empty for a proof without fault. The nonce is not looked at here.
    pub problems: Vec<String>,
    /// Its `nonce`.
    pub nonce: Option<String>,
    /// Its `jti`.
    pub jti: String,
    /// Its public key, as sent.
    pub jwk: serde_json::Value,
}

/// How a client authenticated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientAuthSeen {
    /// `client_secret_basic`, `client_secret_post`, `private_key_jwt`, `client_secret_jwt`; more than one is a fault (RFC 6749 2.3).
    pub methods: Vec<String>,
    /// The `client_id` it names.
    pub client_id: String,
    /// Is it the right secret, or a signature that verifies? `None` where the suite does not know the secret or the keys.
    pub right: Option<bool>,
    /// Basic credentials were not form-encoded first (RFC 6749 2.3.1) although they hold characters that change.
    pub raw_credentials: bool,
    /// Header and claims of a client assertion.
    pub assertion: Option<AssertionSeen>,
}

/// A client assertion (RFC 7523).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AssertionSeen {
    /// JOSE `alg`.
    pub alg: String,
    /// `aud` as it stands in the JSON.
    pub aud: serde_json::Value,
    /// `iss`.
    pub iss: String,
    /// `sub`.
    pub sub: String,
    /// `jti`; empty where there is none.
    pub jti: String,
    /// `iat`.
    pub iat: Option<i64>,
    /// `exp`.
    pub exp: Option<i64>,
}

/// A request at the token endpoint.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The authorization request whose code or refresh token it carries.
    pub authorization: Option<usize>,
    /// The response with that code went to the browser that had asked, by the provider itself: not injected by a scenario.
    pub delivered: bool,
    /// The browser context of that login.
    pub context: Option<ContextId>,
    /// When.
    pub at: Instant,
    /// When, by the clock on the wall.
    pub when: Timestamp,
    /// Request method.
    pub method: String,
    /// Media type of the body.
    pub media_type: String,
    /// Body parameters.
    pub form: Vec<(String, String)>,
    /// Names of parameters in the URL.
    pub query: Vec<String>,
    /// How the client authenticated.
    pub auth: ClientAuthSeen,
    /// Its DPoP proof.
    pub proof: Option<ProofSeen>,
    /// Does `code_verifier` fit the challenge of that request? `None` where there was no challenge.
    pub verifier_fits: Option<bool>,
    /// The nonce that was demanded of its proof; `None` where none was.
    pub nonce_demanded: Option<String>,
    /// Status of the answer.
    pub status: u16,
    /// OAuth error code of the answer; empty for a success.
    pub error: &'static str,
    /// The recorded exchange.
    pub exchange: ExchangeId,
}

impl TokenRequest {
    /// The first value of a body parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A request at UserInfo.
#[derive(Clone, Debug)]
pub struct UserInfoRequest {
    /// The authorization request whose access token it carries.
    pub authorization: Option<usize>,
    /// The browser context of that login.
    pub context: Option<ContextId>,
    /// When.
    pub at: Instant,
    /// Request method.
    pub method: String,
    /// Scheme of the Authorization header, as sent; empty where there is none.
    pub scheme: String,
    /// `query` or `body` where the access token stood there.
    pub misplaced: Vec<&'static str>,
    /// Is the token bound to a key?
    pub bound: bool,
    /// Is the proof made with that key? `None` where there is no binding or no proof.
    pub same_key: Option<bool>,
    /// Its DPoP proof.
    pub proof: Option<ProofSeen>,
    /// The nonce that was demanded of its proof; `None` where none was.
    pub nonce_demanded: Option<String>,
    /// Status of the answer.
    pub status: u16,
    /// The recorded exchange.
    pub exchange: ExchangeId,
}

/// What was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The metadata of an issuer (0 main, 1 second).
    Metadata(usize),
    /// The JWK Set.
    Jwks,
    /// A pushed authorization request, to the main issuer (0) or the second (1).
    Pushed(usize),
    /// The end session endpoint.
    EndSession,
    /// A conventional path that no metadata names.
    Trap,
    /// The URL that a forged header names.
    Bait,
    /// The metadata of the issuer that no application is configured with.
    Foreign,
    /// Metadata or keys of the issuer that sends commands although no application is configured with it.
    Stranger,
    /// Anything else.
    Unknown,
}

/// Another request.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// What was asked for.
    pub what: Fetched,
    /// When.
    pub at: Instant,
    /// Request method.
    pub method: String,
    /// Path.
    pub path: String,
    /// How the client authenticated, at the pushed authorization request endpoint.
    pub auth: Option<ClientAuthSeen>,
    /// The recorded exchange.
    pub exchange: ExchangeId,
}
