//! What the application knows of a provider: metadata and JWK Set, fetched when first needed and kept until the operator says otherwise.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::App;
use super::defect::Defect;

/// Between two fetches of one JWK Set for a key id that it did not have.
const REFETCH_GAP: Duration = Duration::from_secs(1);

/// A provider by its metadata.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The configured issuer; under a defect the one the metadata name.
    pub issuer: String,
    metadata: Value,
}

impl Provider {
    /// An endpoint or other string of the metadata.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.metadata[name].as_str()
    }

    /// An endpoint that a login needs.
    pub fn endpoint(&self, name: &str) -> Result<&str, String> {
        self.text(name).ok_or_else(|| format!("the metadata of {} have no {name}", self.issuer))
    }
}

/// A JWK Set with the time of its last fetch.
#[derive(Clone, Debug)]
pub struct Keys {
    set: Value,
    at: Instant,
}

impl App {
    /// The provider of a connection.
    pub async fn provider(&self, connection: usize) -> Result<Provider, String> {
        let known = self.lock_providers().get(&connection).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let provider = self.discover(connection).await?;
        self.lock_providers().insert(connection, provider.clone());
        Ok(provider)
    }

    async fn discover(&self, connection: usize) -> Result<Provider, String> {
        let issuer = self.issuer(connection).ok_or("there is no such connection")?;
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let answer =
            self.outgoing.metadata(&url).await.map_err(|why| format!("the metadata of {issuer} cannot be read: {why}"))?;
        if answer.status != 200 || !answer.json.is_object() {
            return Err(format!("the metadata of {issuer} cannot be read: status {}", answer.status));
        }
        let named = answer.json["issuer"].as_str().unwrap_or_default().to_owned();
        // OIDC Discovery 4.3, RFC 8414 3.3: exactly the same.
        let skip = self.has(Defect::DiscoveryIssuerMismatch);
        if named != issuer && !skip {
            return Err(format!("the metadata of {issuer} are those of another issuer"));
        }
        let endpoints = ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"];
        for name in endpoints {
            match answer.json[name].as_str() {
                Some(url) if url.starts_with("https://") => {}
                None if name == "userinfo_endpoint" => {}
                _ => return Err(format!("the metadata of {issuer} have no https {name}")),
            }
        }
        let mut metadata = answer.json;
        if self.has(Defect::DiscoveryUsed) {
            metadata["token_endpoint"] = format!("{issuer}/token").into();
        }
        Ok(Provider { issuer: if skip { named } else { issuer.to_owned() }, metadata })
    }

    /// The provider's JWK Set; fetched again when it lacks `kid`, for the next one at most once a second.
    pub async fn jwks(&self, connection: usize, kid: Option<&str>) -> Result<Value, String> {
        // One fetch at a time; whoever waited looks first whether the key is there now.
        let mut keys = self.keys.lock().await;
        if let Some(known) = keys.get(&connection) {
            let has = |kid: &str| known.set["keys"].as_array().is_some_and(|keys| keys.iter().any(|key| key["kid"] == kid));
            if kid.is_none_or(has) || self.has(Defect::KeyRotation) {
                return Ok(known.set.clone());
            }
            if let Some(wait) = REFETCH_GAP.checked_sub(known.at.elapsed()) {
                tokio::time::sleep(wait).await;
            }
        }
        let set = self.fetch_jwks(connection).await?;
        keys.insert(connection, Keys { set: set.clone(), at: Instant::now() });
        Ok(set)
    }

    async fn fetch_jwks(&self, connection: usize) -> Result<Value, String> {
        let provider = self.provider(connection).await?;
        let answer = self.outgoing.get(provider.endpoint("jwks_uri")?, &[]).await?;
        if answer.status != 200 || !answer.json["keys"].is_array() {
            return Err(format!("the JWK Set of {} cannot be read: status {}", provider.issuer, answer.status));
        }
        Ok(answer.json)
    }

    /// Forgets metadata and JWK Sets, and fetches those of every configured issuer again. The error names every issuer it failed for.
    pub async fn reload(&self) -> Result<(), String> {
        self.lock_providers().clear();
        self.keys.lock().await.clear();
        let mut faults = Vec::new();
        for connection in 0..self.connections() {
            if let Err(why) = self.jwks(connection, None).await {
                faults.push(why);
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }
}
