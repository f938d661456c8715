//! The token endpoint of the application: a signed assertion for an access token (RFC 7521, RFC 7523).

use serde_json::{Value, json};

use super::{ALGORITHMS, Authority, Client, Layout, Quirk, Response, SCOPE, SKEW, audiences, json_answer, signed};
use crate::counterpart::scim_server::problem::Problem;
use crate::wire::jose::{self, random};

/// The grant of RFC 7523 2.1.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The client authentication of RFC 7523 2.2.
const CLIENT_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Longest life of an assertion, seconds.
const LONGEST: i64 = 600;

impl Authority {
    /// Answers a request to the token endpoint (form parameters decoded, header names in lower case). Only assertions authenticate:
    /// an Authorization header is not looked at.
    pub fn token(&self, form: &[(String, String)], _headers: &[(String, String)]) -> Response {
        if self.config.layout != Layout::AppAs {
            return Problem::not_found().into();
        }
        let get = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let repeated = form.iter().enumerate().any(|(at, (key, _))| form[..at].iter().any(|(other, _)| other == key));
        if repeated {
            return fault(400, "invalid_request", "a parameter is repeated");
        }
        let asserted = match get("grant_type") {
            Some(JWT_BEARER) => match get("assertion") {
                Some(assertion) => self.asserted(assertion, true).map_err(|why| (400, "invalid_grant", why)),
                None => Err((400, "invalid_request", "assertion is missing")),
            },
            Some("client_credentials") => match (get("client_assertion_type"), get("client_assertion")) {
                (Some(CLIENT_ASSERTION), Some(assertion)) => {
                    self.asserted(assertion, false).map_err(|why| (401, "invalid_client", why))
                }
                _ => Err((401, "invalid_client", "a client assertion is needed")),
            },
            Some(_) => Err((400, "unsupported_grant_type", "only signed assertions are taken")),
            None => Err((400, "invalid_request", "grant_type is missing")),
        };
        let client = match asserted {
            Ok(client) => client,
            Err((status, error, why)) => return fault(status, error, why),
        };
        if get("client_id").is_some_and(|id| id != client.client_id) {
            return fault(401, "invalid_client", "client_id and assertion name different clients");
        }
        let scope = get("scope").unwrap_or_default();
        if scope != SCOPE && !self.has(Quirk::ScopeScimNeeded) {
            return fault(400, "invalid_scope", "ask for the scope scim");
        }
        self.issue(client, scope)
    }

    /// The client that an assertion speaks for. `grant`: it is an authorization grant, which the client's identity service may issue.
    fn asserted(&self, assertion: &str, grant: bool) -> Result<&Client, &'static str> {
        let jws = jose::read(assertion).map_err(|_| "the assertion is no JWT")?;
        let claims = &jws.claims;
        let issuer = claims["iss"].as_str().unwrap_or_default();
        let fits = |client: &Client| {
            !client.client_id.is_empty()
                && claims["sub"] == client.client_id.as_str()
                && (issuer == client.client_id || grant && !issuer.is_empty() && issuer == client.issuer)
        };
        let at = self.config.clients.iter().position(fits).ok_or("iss and sub name no client")?;
        let keys = self.state().keys[at].clone();
        if !ALGORITHMS.contains(&jws.alg()) || !signed(&jws, &keys) {
            return Err("the signature of the assertion does not verify");
        }
        let named = audiences(claims);
        let ours = |aud: &&str| *aud == self.config.issuer || *aud == self.config.token_endpoint;
        if (named.is_empty() || !named.iter().all(ours)) && !self.has(Quirk::JwtAssertionChecks) {
            return Err("aud of the assertion is not this server");
        }
        let now = (self.config.clock)();
        let exp = claims["exp"].as_i64().ok_or("the assertion has no exp")?;
        if exp <= now {
            return Err("the assertion has expired");
        }
        if exp > now + LONGEST + SKEW {
            return Err("the assertion lives too long");
        }
        if ["iat", "nbf"].iter().any(|name| claims[*name].as_i64().is_some_and(|time| time > now + SKEW)) {
            return Err("the assertion is of the future");
        }
        let jti = claims["jti"].as_str().filter(|jti| !jti.is_empty()).ok_or("the assertion has no jti")?;
        let mut state = self.state();
        state.used.retain(|_, exp| *exp > now);
        let first = state.used.insert((issuer.to_owned(), jti.to_owned()), exp).is_none();
        if first || self.has(Quirk::JwtAssertionReplay) {
            Ok(&self.config.clients[at])
        } else {
            Err("the assertion was used before")
        }
    }

    fn issue(&self, client: &Client, scope: &str) -> Response {
        let now = (self.config.clock)();
        let mut claims = json!({
            "iss": self.config.issuer,
            "sub": client.client_id,
            "client_id": client.client_id,
            "aud": self.config.audience,
            "scope": scope,
            "iat": now,
            "exp": now + self.config.lifetime,
            "jti": random(16),
        });
        if self.has(Quirk::TokenEndpointClaim) {
            claims["token_endpoint"] = format!("{}/elsewhere", self.config.token_endpoint).into();
        }
        let token = match &self.key {
            Some(key) => key.sign(&json!({"typ": "at+jwt"}), &claims),
            None => {
                let token = random(32);
                self.state().issued.insert(token.clone(), claims);
                token
            }
        };
        let mut body = json!({"access_token": token, "token_type": "Bearer", "expires_in": self.config.lifetime, "scope": scope});
        if self.has(Quirk::JwtAssertionExchange) {
            body.as_object_mut().map(|body| body.shift_remove("token_type"));
        }
        json_answer(200, body)
    }
}

fn fault(status: u16, error: &str, why: &str) -> Response {
    let body: Value = json!({"error": error, "error_description": why});
    json_answer(status, body)
}
