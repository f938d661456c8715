//! Token requests, and what comes back: tokens in memory, what was seen of them for the judges.

use std::sync::PoisonError;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::dpop::Dpop;
use super::relying_party::{AuthzRequest, Proof};
use crate::stage::Stage;
use crate::stage::http::{Ask, NetFault, Reply};
use crate::suite::Obstacle;
use crate::wire::jose;
use crate::wire::seen::{IdTokenSeen, NO_JWKS, TokenSeen, at_hash, without_attributes};

/// A token request before it is authenticated and sent.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Who sends it: the client's name in the target file.
    pub client: String,
    /// Body fields without client authentication.
    pub fields: Vec<(String, String)>,
    /// What the request is, for the evidence.
    pub what: String,
    /// How the client proves who it is.
    pub proof: Proof,
    /// For the judging of an ID token that comes back.
    pub nonce: Option<String>,
    /// Which sort of login is behind it.
    pub login: &'static str,
    /// Unix seconds when the login began.
    pub began: i64,
    /// `Origin` to send, as a script in a browser would.
    pub origin: Option<String>,
    /// What comes back belongs to the samples of the run; tokens of a misuse do not.
    pub sample: bool,
}

impl TokenRequest {
    /// Redeems a code as the conforming relying party does.
    pub fn code(request: &AuthzRequest, code: &str, what: &str) -> Self {
        TokenRequest {
            client: request.client.clone(),
            fields: vec![
                ("grant_type".into(), "authorization_code".into()),
                ("code".into(), code.into()),
                ("redirect_uri".into(), request.get("redirect_uri").into()),
                ("code_verifier".into(), request.verifier.clone()),
            ],
            what: what.into(),
            proof: Proof::AsRegistered,
            nonce: Some(request.nonce.clone()),
            login: request.login,
            began: request.began,
            origin: None,
            sample: true,
        }
    }

    /// Uses a refresh token.
    pub fn refresh(client: &str, refresh_token: &str, what: &str) -> Self {
        TokenRequest {
            client: client.into(),
            fields: vec![("grant_type".into(), "refresh_token".into()), ("refresh_token".into(), refresh_token.into())],
            what: what.into(),
            proof: Proof::AsRegistered,
            nonce: None,
            login: "refresh",
            began: Timestamp::now().as_second(),
            origin: None,
            sample: true,
        }
    }

    /// Sets or replaces a body field.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Leaves a body field out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(key, _)| key != name);
        self
    }

    /// Sent by another client.
    #[must_use]
    pub fn by(mut self, client: &str) -> Self {
        client.clone_into(&mut self.client);
        self.sample = false;
        self
    }

    /// Authenticated otherwise.
    #[must_use]
    pub fn proof(mut self, proof: Proof) -> Self {
        self.proof = proof;
        self.sample = false;
        self
    }

    /// For another user than the main one: what comes back is none of the run's samples.
    #[must_use]
    pub fn of_another(mut self) -> Self {
        self.sample = false;
        self
    }

    /// Behind another sort of login.
    #[must_use]
    pub fn login(mut self, login: &'static str) -> Self {
        self.login = login;
        self
    }
}

/// Tokens of one response; in memory only.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    /// `access_token`.
    pub access: Option<String>,
    /// `refresh_token`.
    pub refresh: Option<String>,
    /// The ID token, as seen.
    pub id_token: Option<IdTokenSeen>,
    /// The ID token itself, for an id_token_hint.
    pub id_token_raw: Option<String>,
    /// `scope` of the response.
    pub scope: Option<String>,
    /// `token_type` is DPoP.
    pub dpop: bool,
}

impl Stage {
    /// Sends a token request. The tokens stay in memory; what was seen of them is returned beside.
    pub async fn token(&self, request: &TokenRequest, dpop: Option<&Dpop>) -> Result<(TokenSeen, Tokens), Obstacle> {
        let endpoint = self.world.endpoint("token_endpoint")?.to_owned();
        let mut cites = Vec::new();
        let mut nonce_used = false;
        for attempt in 0..2 {
            // A fresh assertion and proof for every attempt, else a repeat is refused for the wrong reason.
            let ask = self.authenticated_form(&endpoint, &request.client, request.fields.clone(), request.proof).await?;
            let ask = match &request.origin {
                Some(origin) => ask.header("origin", origin),
                None => ask,
            };
            let ask = match dpop {
                Some(dpop) => ask.header("dpop", dpop.proof(&dpop.claims("POST", &endpoint, None))),
                None => ask,
            };
            let reply = match self.world.http.send(self.scenario, &request.what, ask).await {
                Ok(reply) => reply,
                Err(fault) => return Ok((unanswered(request, fault), Tokens::default())),
            };
            cites.push(reply.exchange.clone());
            if attempt == 0 && dpop.is_some_and(|dpop| dpop.learn(&endpoint, &reply)) {
                nonce_used = true;
                continue;
            }
            return Ok(self.read_tokens(request, &reply, cites, nonce_used).await);
        }
        Err(Obstacle::target(
            "the token endpoint asked for a DPoP nonce twice",
            "A nonce that was just given must be taken (RFC 9449 8).",
        ))
    }

    async fn read_tokens(
        &self,
        request: &TokenRequest,
        reply: &Reply,
        cites: Vec<String>,
        dpop_nonce: bool,
    ) -> (TokenSeen, Tokens) {
        let body = reply.json().filter(Value::is_object);
        let text = |name: &str| body.as_ref().and_then(|body| body[name].as_str()).map(str::to_owned);
        let tokens: Vec<String> = ["access_token", "id_token", "refresh_token"]
            .into_iter()
            .filter(|name| body.as_ref().is_some_and(|body| body.get(*name).is_some_and(|value| !value.is_null())))
            .map(str::to_owned)
            .collect();
        let seen = TokenSeen {
            what: request.what.clone(),
            status: reply.status,
            error: text("error"),
            told: text("error_description").map(|text| reason_words(&text)),
            tokens,
            token_type: text("token_type"),
            cache_control: reply.header("cache-control").map(str::to_owned),
            media_type: reply.media_type(),
            json: body.is_some(),
            dpop_nonce,
            fault: None,
            cites,
        };
        let mut tokens = Tokens {
            access: text("access_token"),
            refresh: text("refresh_token"),
            id_token: None,
            id_token_raw: text("id_token"),
            scope: text("scope"),
            dpop: seen.token_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("dpop")),
        };
        if let Some(token) = text("id_token") {
            tokens.id_token = Some(self.see_id_token(request, reply, &token, tokens.access.as_deref()).await);
        }
        if !request.sample {
            return (seen, tokens);
        }
        let mut samples = self.world.samples();
        samples.dpop_tokens += usize::from(tokens.dpop);
        samples.access.extend(tokens.access.clone());
        // A confidential client may get the refresh token it used back: that is the same token, not a repeated one.
        let used = request.fields.iter().find(|(name, _)| name == "refresh_token").map(|(_, value)| value.clone());
        samples.refresh.extend(tokens.refresh.clone().filter(|token| Some(token) != used.as_ref()));
        samples.id_tokens.extend(tokens.id_token.clone());
        drop(samples);
        (seen, tokens)
    }

    async fn see_id_token(&self, request: &TokenRequest, reply: &Reply, token: &str, access: Option<&str>) -> IdTokenSeen {
        let mut plain = token.to_owned();
        let mut encrypted = None;
        if token.split('.').count() == 5 {
            let opened = self.world.keys.enc().and_then(|key| key.decrypt(token));
            encrypted = Some(opened.as_ref().map(drop).map_err(ToString::to_string));
            plain = opened.unwrap_or_default();
        }
        let client_id = self.world.client(&request.client).map(|client| client.id.clone()).unwrap_or_default();
        let date = reply.header("date").and_then(http_date);
        let mut seen = IdTokenSeen {
            client: request.client.clone(),
            login: request.login.to_owned(),
            header: Value::Null,
            claims: serde_json::Map::new(),
            attributes: Vec::new(),
            sub_is_email: false,
            client_id,
            nonce: request.nonce.clone(),
            signature: Err("unreadable".into()),
            encrypted,
            at_hash_fits: None,
            date,
            received: Timestamp::now().as_second(),
            began: request.began,
            exchange: reply.exchange.clone(),
        };
        let jws = match jose::read(&plain) {
            Ok(jws) => jws,
            Err(error) => {
                seen.signature = Err(format!("not a signed JWT: {error}"));
                return seen;
            }
        };
        seen.signature = match self.verify(&jws).await {
            Ok(key) => Ok(json!({"kid": key["kid"], "kty": key["kty"], "crv": key["crv"], "alg": key["alg"]})),
            Err(error) => Err(error),
        };
        seen.sub_is_email = jws.claims["email"].is_string() && jws.claims["email"] == jws.claims["sub"];
        if let (Some(hash), Some(access)) = (jws.claims["at_hash"].as_str(), access)
            && jws.alg().ends_with("256")
        {
            seen.at_hash_fits = Some(hash == at_hash(access));
        }
        seen.header = jws.header.clone();
        (seen.claims, seen.attributes) = without_attributes(&jws);
        seen
    }

    /// Verifies with the published keys. Before a signature is called bad they are fetched once more (rotation), once per run: a service
    /// whose ID tokens never verify is not asked for its keys at each login.
    pub async fn verify(&self, jws: &jose::Jws) -> Result<Value, String> {
        let known = self.world.jwks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known.again || !known.set["keys"].is_array() {
            return verified(jws, &known.set);
        }
        self.verify_now(jws).await
    }

    /// As [`Stage::verify`], for what arrives late in a run: a key may have been changed since the keys were fetched, even again.
    pub async fn verify_now(&self, jws: &jose::Jws) -> Result<Value, String> {
        let known = self.world.jwks.lock().unwrap_or_else(PoisonError::into_inner).set.clone();
        verified_or_rotated(jws, &known, async || {
            let url = self.world.endpoint("jwks_uri").ok()?;
            let what = "JWK Set again: a signature did not verify";
            let reply = self.world.http.send(self.scenario, what, Ask::get(url)).await.ok()?;
            // An error page in place of the keys says nothing of the signature.
            let set = reply.json().filter(|set| reply.status == 200 && set["keys"].is_array())?;
            let mut jwks = self.world.jwks.lock().unwrap_or_else(PoisonError::into_inner);
            jwks.set = set.clone();
            jwks.again = true;
            Some(set)
        })
        .await
    }

    /// A UserInfo request with a token in the header, as a DPoP or Bearer token; nonce challenges are followed.
    pub async fn userinfo(&self, what: &str, token: &str, dpop: Option<&Dpop>) -> Result<Reply, Obstacle> {
        let endpoint = self.world.endpoint("userinfo_endpoint")?.to_owned();
        let mut reply = None;
        for _ in 0..2 {
            let ask = match dpop {
                Some(dpop) => Ask::get(&endpoint)
                    .header("authorization", format!("DPoP {token}"))
                    .header("dpop", dpop.proof(&dpop.claims("GET", &endpoint, Some(token)))),
                None => Ask::get(&endpoint).header("authorization", format!("Bearer {token}")),
            };
            let answer = self.world.http.send(self.scenario, what, ask).await?;
            let challenged = dpop.is_some_and(|dpop| dpop.learn(&endpoint, &answer));
            reply = Some(answer);
            if !challenged {
                break;
            }
        }
        reply.ok_or_else(|| Obstacle::suite("no UserInfo request was sent"))
    }
}

/// What a description says, without what differs from answer to answer (trace ids, times); Entra's `AADSTS` codes stay.
fn reason_words(description: &str) -> String {
    let stable = |word: &&str| word.starts_with("AADSTS") || !word.chars().any(|c| c.is_ascii_digit());
    let words: Vec<&str> = description.split_whitespace().filter(stable).collect();
    jose::sha256_b64(words.join(" "))
}

fn unanswered(request: &TokenRequest, fault: NetFault) -> TokenSeen {
    TokenSeen { what: request.what.clone(), fault: Some(fault.why), cites: vec![fault.exchange], ..TokenSeen::default() }
}

/// Unix seconds of an HTTP date (RFC 9110 5.6.7, the preferred form).
pub fn http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp().as_second())
}

/// Verifies with these keys.
fn verified(jws: &jose::Jws, set: &Value) -> Result<Value, String> {
    if !set["keys"].is_array() {
        return Err(NO_JWKS.into());
    }
    jws.verify(set).map_err(|error| error.to_string())
}

/// Verifies with the known keys, and before the signature is called bad with those that are published now. Where these cannot be had,
/// nothing is known of the signature.
async fn verified_or_rotated(
    jws: &jose::Jws,
    known: &Value,
    published: impl AsyncFnOnce() -> Option<Value>,
) -> Result<Value, String> {
    if let Ok(key) = verified(jws, known) {
        return Ok(key);
    }
    published().await.map_or_else(|| Err(NO_JWKS.into()), |set| verified(jws, &set))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;

    use super::*;
    use crate::wire::jose::SigningKey;

    #[tokio::test]
    async fn a_key_that_was_changed_meanwhile_is_fetched_before_a_signature_is_called_bad() {
        let key = |kid: &str| SigningKey::generate(kid, Algorithm::ES256).unwrap();
        let set = |keys: &[&SigningKey]| json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()});
        let (old, new, same_kid) = (key("old"), key("new"), key("old"));
        let signed = |key: &SigningKey, kid: &str| {
            jose::read(&key.sign(&json!({"alg": "ES256", "kid": kid}), &json!({"sub": "u"}))).unwrap()
        };
        let known = set(&[&old]);
        let unasked = async || -> Option<Value> { panic!("the known key verifies it") };
        assert!(verified_or_rotated(&signed(&old, "old"), &known, unasked).await.is_ok());
        // An unknown kid, and a known one with another key behind it.
        assert!(verified_or_rotated(&signed(&new, "new"), &known, async || Some(set(&[&old, &new]))).await.is_ok());
        assert!(verified_or_rotated(&signed(&same_kid, "old"), &known, async || Some(set(&[&same_kid]))).await.is_ok());
        // A set that could not be fetched at first.
        assert!(verified_or_rotated(&signed(&new, "new"), &Value::Null, async || Some(set(&[&new]))).await.is_ok());
        let bad = verified_or_rotated(&signed(&new, "new"), &known, async || Some(known.clone())).await;
        assert!(bad.is_err_and(|why| why != NO_JWKS));
        let unknown = verified_or_rotated(&signed(&new, "new"), &known, async || None).await;
        assert_eq!(unknown, Err(NO_JWKS.into()));
    }

    #[test]
    fn http_dates_are_read() {
        assert_eq!(http_date("Sun, 22 Nov 2026 15:23:00 GMT"), Some(1_795_360_980));
        assert_eq!(http_date("yesterday"), None);
    }
}
