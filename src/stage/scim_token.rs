//! Where access tokens of the SCIM channel come from: the application's authorization server, or the suite's own.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Stage;
use super::http::Ask;
use super::scim_world::Granted;
use crate::counterpart::scim_client::Answer;
use crate::counterpart::scim_client::token::{self, Form, TokenAnswer};
use crate::model::target::ScimAuth;
use crate::suite::Obstacle;
use crate::wire::jose::{SigningKey, random};

/// A token that ends this soon is not used any more.
const SPARE: Duration = Duration::from_secs(5);
/// Seconds that a token of the suite's own authorization server lives.
pub const OWN_LIFE_S: u64 = 300;

/// The application's authorization server as its metadata describe it.
#[derive(Clone, Debug, Default)]
pub struct AuthorizationServer {
    /// RFC 8414 metadata.
    pub oauth: Answer,
    /// OpenID configuration, asked for where there is no other.
    pub openid: Option<Answer>,
    /// Where tokens are asked for.
    pub token_endpoint: String,
    /// `aud` of assertions.
    pub audience: String,
}

impl AuthorizationServer {
    /// The document that was found.
    pub fn metadata(&self) -> Option<&Answer> {
        [Some(&self.oauth), self.openid.as_ref()].into_iter().flatten().find(|answer| answer.ok() && answer.body.is_object())
    }
}

impl Stage {
    /// Finds the application's authorization server, once in a run. Its token endpoint is empty where neither metadata nor target file name one.
    ///
    /// # Errors
    /// There is no service provider.
    pub async fn scim_authorization_server(&self) -> Result<&AuthorizationServer, Obstacle> {
        let world = self.scim()?;
        world
            .server
            .get_or_try_init(|| async {
                let scim = &world.scim;
                let mut server = AuthorizationServer::default();
                if !scim.issuer.is_empty() {
                    server.oauth = self.document(&inserted(&scim.issuer, "oauth-authorization-server")).await;
                    if server.metadata().is_none() {
                        let url = format!("{}/.well-known/openid-configuration", scim.issuer.trim_end_matches('/'));
                        server.openid = Some(self.document(&url).await);
                    }
                }
                let named = server.metadata().map(|document| document.text_at("/token_endpoint").to_owned());
                server.token_endpoint =
                    Some(scim.token_endpoint.clone()).filter(|url| !url.is_empty()).or(named).unwrap_or_default();
                server.audience = if scim.issuer.is_empty() { server.token_endpoint.clone() } else { scim.issuer.clone() };
                Ok(server)
            })
            .await
    }

    async fn document(&self, url: &str) -> Answer {
        let ask = Ask::get(url).header("accept", "application/json");
        Answer::from(self.world.http.send(self.scenario, "metadata of the authorization server", ask).await)
    }

    /// Sends a token request; the token is told apart from what is kept.
    pub async fn scim_token_request(&self, step: &str, ask: Ask) -> (TokenAnswer, Option<String>) {
        let (told, token) = TokenAnswer::of(self.world.http.send(self.scenario, step, ask).await);
        if let Some(token) = &token {
            self.world.recorder.redactor.hide(token, "SCIM access token");
        }
        (told, token)
    }

    /// An access token, kept until it ends.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn scim_grant(&self, second: bool) -> Result<String, Obstacle> {
        let world = self.scim()?;
        let mut kept = world.granted[usize::from(second)].lock().await;
        if let Some(granted) = kept.as_ref().filter(|granted| granted.until > Instant::now() + SPARE) {
            return Ok(granted.token.clone());
        }
        let granted = match world.scim.auth {
            ScimAuth::AppAs => self.exchanged(second).await?,
            ScimAuth::IdpAs => {
                let issued = self.scim_issue(None, |_| ())?;
                Granted { token: issued, until: Instant::now() + Duration::from_secs(OWN_LIFE_S) }
            }
            ScimAuth::Bearer => {
                return Err(Obstacle::config("scim.second_token is not configured", "Name the token of the second tenant."));
            }
        };
        let token = granted.token.clone();
        *kept = Some(granted);
        Ok(token)
    }

    /// Exchanges an assertion at the application's authorization server, in the form that works there.
    async fn exchanged(&self, second: bool) -> Result<Granted, Obstacle> {
        let world = self.scim()?;
        let client = if second { &world.scim.second_client_id } else { &world.scim.client_id };
        let server = self.scim_authorization_server().await?;
        if server.token_endpoint.is_empty() {
            return Err(Obstacle::target(
                "no token endpoint of the application's authorization server is known",
                "Name it in scim.token_endpoint, or publish RFC 8414 metadata at scim.issuer.",
            ));
        }
        let mut last = TokenAnswer::default();
        for form in Form::ALL {
            let assertion = token::assertion(&self.world.keys.es256, &token::claims(client, &server.audience));
            let ask = token::request(&server.token_endpoint, form, client, &assertion, Some("scim"));
            let (told, token) = self.scim_token_request("token request", ask).await;
            if let Some(token) = token {
                let life = Duration::from_secs(told.expires_in.unwrap_or(OWN_LIFE_S));
                return Ok(Granted { token, until: Instant::now() + life.max(SPARE * 2) });
            }
            last = told;
        }
        Err(Obstacle::target(
            format!("the authorization server of the application gave no token: {}", last.describe()),
            "Register the suite's public key for scim.client_id; see al1.app.jwt-assertion-exchange.",
        ))
    }

    /// A JWT access token of the suite's own authorization server (RFC 9068), changed as asked, signed by the provider's key or by another one.
    ///
    /// # Errors
    /// The suite plays no provider in this run.
    pub fn scim_issue(&self, key: Option<&SigningKey>, change: impl FnOnce(&mut Value)) -> Result<String, Obstacle> {
        let scim = &self.scim()?.scim;
        let issuer = if scim.issuer.is_empty() { &self.world.target.counterpart.issuer } else { &scim.issuer };
        let audience = if scim.audience.is_empty() { &scim.base_url } else { &scim.audience };
        let now = jiff::Timestamp::now().as_second();
        let mut claims = json!({
            "iss": issuer, "aud": audience, "sub": scim.client_id, "client_id": scim.client_id, "scope": "scim",
            "jti": random(16), "iat": now, "exp": now + i64::try_from(OWN_LIFE_S).unwrap_or_default(),
        });
        change(&mut claims);
        let own = match key {
            Some(key) => key,
            None => &self.world.app()?.provider.keys().main,
        };
        let token = own.sign(&json!({"typ": "at+jwt"}), &claims);
        self.world.recorder.redactor.hide(&token, "SCIM access token");
        Ok(token)
    }
}

/// The metadata URL of an issuer: the well-known part stands before the issuer's path (RFC 8414 3.1).
pub fn inserted(issuer: &str, name: &str) -> String {
    match url::Url::parse(issuer) {
        Ok(url) => {
            let origin = url.origin().ascii_serialization();
            format!("{origin}/.well-known/{name}{}", url.path().trim_end_matches('/'))
        }
        Err(_) => format!("{issuer}/.well-known/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_part_stands_before_the_path_of_the_issuer() {
        let at = |issuer| inserted(issuer, "oauth-authorization-server");
        assert_eq!(at("https://as.test"), "https://as.test/.well-known/oauth-authorization-server");
        assert_eq!(at("https://as.test:8443/t/1/"), "https://as.test:8443/.well-known/oauth-authorization-server/t/1");
    }
}
