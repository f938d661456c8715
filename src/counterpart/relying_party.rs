//! The relying party we play: authorization requests, client authentication.

use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::model::target::ClientAuth;
use crate::stage::http::{Ask, Reply};
use crate::stage::{Stage, World};
use crate::suite::Obstacle;
use crate::wire::jose::{SigningKey, random, sha256_b64};

/// An authorization request, baseline or mutated.
#[derive(Clone, Debug)]
pub struct AuthzRequest {
    /// The client's name in the target file.
    pub client: String,
    /// Query parameters in order.
    pub params: Vec<(String, String)>,
    /// PKCE verifier.
    pub verifier: String,
    /// Value of `state`.
    pub state: String,
    /// Value of `nonce`.
    pub nonce: String,
    /// Redirect URIs registered for the client.
    pub registered: Vec<String>,
    /// Unix seconds when it was made.
    pub began: i64,
    /// Which sort of login is behind it.
    pub login: &'static str,
}

impl AuthzRequest {
    /// Sets or replaces a parameter.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        match self.params.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.params.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Leaves a parameter out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.params.retain(|(key, _)| key != name);
        self
    }

    /// A parameter's value.
    pub fn get(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The request as a URL of this authorization endpoint, whose own query is kept.
    pub fn url(&self, endpoint: &str) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.params).finish();
        format!("{endpoint}{}{query}", if endpoint.contains('?') { '&' } else { '?' })
    }
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// As registered.
    AsRegistered,
    /// `client_id` only.
    Nothing,
    /// An assertion by a key that is not registered, or a wrong secret.
    Forged,
}

/// The claims of a correct client assertion (RFC 7523 3, IPSIE SL1 OIDC 3.2.1).
pub fn assertion_claims(client_id: &str, audience: &str) -> Value {
    let now = Timestamp::now().as_second();
    json!({"iss": client_id, "sub": client_id, "aud": audience, "jti": random(16), "iat": now, "nbf": now - 5, "exp": now + 60})
}

/// The two body fields that carry a client assertion.
pub fn assertion_fields(assertion: String) -> [(String, String); 2] {
    [
        ("client_assertion_type".into(), "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into()),
        ("client_assertion".into(), assertion),
    ]
}

impl Stage {
    /// A conforming authorization request: code, PKCE S256, 64-character nonce, first registered redirect URI.
    pub fn request(&self, client: &str) -> Result<AuthzRequest, Obstacle> {
        let registered = self.world.redirect_uris(client);
        let known = self.world.client(client).ok_or_else(|| missing_client(client))?;
        // The escape in `state` shows a target that decodes it once too often.
        let (verifier, state, nonce) = (random(32), format!("{}%2B", random(16)), random(48));
        let params = [
            ("response_type", "code"),
            ("client_id", &known.id),
            ("redirect_uri", &registered[0]),
            ("scope", "openid"),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &sha256_b64(&verifier)),
            ("code_challenge_method", "S256"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        Ok(AuthzRequest {
            client: client.to_owned(),
            params,
            verifier,
            state,
            nonce,
            registered,
            began: Timestamp::now().as_second(),
            login: "silent",
        })
    }

    /// A form POST to this endpoint with the client's authentication added.
    pub async fn authenticated_form(
        &self,
        endpoint: &str,
        name: &str,
        mut fields: Vec<(String, String)>,
        proof: Proof,
    ) -> Result<Ask, Obstacle> {
        let client = self.world.client(name).ok_or_else(|| missing_client(name))?;
        let secret = |proof| match (&client.secret, proof) {
            (_, Proof::Forged) => Ok(random(24)),
            (Some(reference), _) => {
                let secret = self
                    .world
                    .secrets
                    .get(reference)
                    .map_err(|fault| Obstacle::config(fault.to_string(), "Mend the client's secret."))?;
                self.world.recorder.redactor.hide(&secret, &format!("secret of client {name}"));
                Ok(secret)
            }
            (None, _) => Err(Obstacle::config(
                format!("idp.clients.{name} has no secret"),
                "Add secret = \"env:NAME\" or use private_key_jwt.",
            )),
        };
        let mut authorization = None;
        match (client.auth, proof) {
            (ClientAuth::None, _) | (_, Proof::Nothing) => fields.push(("client_id".into(), client.id.clone())),
            (ClientAuth::PrivateKeyJwt, proof) => {
                let claims = assertion_claims(&client.id, self.audience().await?);
                let assertion = match proof {
                    Proof::Forged => SigningKey::generate(&self.world.keys.es256.kid, Algorithm::ES256)
                        .map_err(|error| Obstacle::suite(error.to_string()))?
                        .sign(&json!({}), &claims),
                    _ => self.signer(client.key.as_deref())?.sign(&json!({}), &claims),
                };
                fields.push(("client_id".into(), client.id.clone()));
                fields.extend(assertion_fields(assertion));
            }
            (ClientAuth::ClientSecretPost, proof) => {
                fields.push(("client_id".into(), client.id.clone()));
                fields.push(("client_secret".into(), secret(proof)?));
            }
            (ClientAuth::ClientSecretBasic, proof) => {
                let form = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", form(&client.id), form(&secret(proof)?));
                use base64::Engine;
                authorization = Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)));
            }
        }
        let ask = Ask::form(endpoint, &fields);
        Ok(match authorization {
            Some(value) => ask.header("authorization", value),
            None => ask,
        })
    }

    /// The suite key a client signs with.
    ///
    /// # Errors
    /// The crypto library gave no RSA key.
    pub fn signer(&self, kid: Option<&str>) -> Result<&SigningKey, Obstacle> {
        let keys = &self.world.keys;
        if kid == Some("rs256") { keys.rs256().map_err(|fault| Obstacle::suite(fault.to_string())) } else { Ok(&keys.es256) }
    }

    /// The `aud` the target takes in client assertions: the issuer where it does, else the token endpoint, so that the rest
    /// of the run can go on where sl1.idp.assertion-aud-issuer-accepted fails.
    pub async fn audience(&self) -> Result<&str, Obstacle> {
        let world = &self.world;
        world
            .audience
            .get_or_try_init(|| async {
                let issuer = world.issuer().to_owned();
                let endpoint = world.endpoint("token_endpoint")?.to_owned();
                let Some(client) = world.client("main").filter(|client| client.auth == ClientAuth::PrivateKeyJwt) else {
                    return Ok(issuer);
                };
                for audience in [&issuer, &endpoint] {
                    let assertion = self.signer(client.key.as_deref())?.sign(&json!({}), &assertion_claims(&client.id, audience));
                    let reply = self.junk_code(&client.id, "main", assertion, "which audience do assertions need").await?;
                    if reply.json().is_none_or(|body| body["error"] != "invalid_client") {
                        return Ok(audience.clone());
                    }
                }
                Ok(issuer)
            })
            .await
            .map(String::as_str)
    }

    /// A token request with a code that never existed: the error tells whether the client was authenticated.
    pub async fn junk_code(&self, client_id: &str, client: &str, assertion: String, what: &str) -> Result<Reply, Obstacle> {
        let endpoint = self.world.endpoint("token_endpoint")?.to_owned();
        let mut fields: Vec<(String, String)> = vec![
            ("grant_type".into(), "authorization_code".into()),
            ("code".into(), random(32)),
            ("redirect_uri".into(), self.world.redirect_uris(client)[0].clone()),
            ("code_verifier".into(), random(32)),
            ("client_id".into(), client_id.to_owned()),
        ];
        fields.extend(assertion_fields(assertion));
        Ok(self.world.http.send(self.scenario, what, Ask::form(endpoint, &fields)).await?)
    }
}

/// Says which key of the target file is missing.
pub fn missing_client(name: &str) -> Obstacle {
    Obstacle::config(
        format!("idp.clients.{name} is not configured"),
        format!(
            "Register the client at the target and add [idp.clients.{name}] to the target file; `ipsie-conform init` prints what to register."
        ),
    )
}

impl World {
    /// Is there a client of this name?
    pub fn has_client(&self, name: &str) -> bool {
        self.client(name).is_some()
    }
}
