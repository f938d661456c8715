//! The access token for SCIM: RFC 8414 metadata of the authorization server, a signed assertion (RFC 7523), client credentials.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::lapse::Lapse;
use super::transport::{Answer, send};
use crate::wire::jose::{SigningKey, random};

/// Seconds an assertion is valid.
const ASSERTION_S: i64 = 60;
/// `client_assertion_type` of RFC 7523 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How the SCIM client authenticates.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A bearer token that an administrator of the application handed out.
    Bearer(String),
    /// A signed assertion at the application's authorization server.
    Assertion {
        /// Its issuer.
        issuer: String,
        /// Our client identifier there.
        client_id: String,
        /// Signs the assertions.
        key: SigningKey,
    },
}

/// Why there is no token.
#[derive(Debug)]
pub enum NoToken {
    /// Trying again may help.
    Later(Box<Answer>),
    /// No answer arrived; trying again may help.
    Lost(String),
    /// It was refused, or must not be asked for.
    Never(String),
}

/// The token in use, and what leads to the next one.
#[derive(Debug, Default)]
pub struct Tokens {
    current: Option<(String, Instant)>,
    /// Under a defect: the only assertion.
    assertion: Option<String>,
}

impl Tokens {
    /// A token that still works as far as we know.
    pub async fn get(&mut self, http: &reqwest::Client, credential: &Credential, lapses: &[Lapse]) -> Result<String, NoToken> {
        let (issuer, client_id, key) = match credential {
            Credential::Bearer(token) => return Ok(token.clone()),
            Credential::Assertion { issuer, client_id, key } => (issuer, client_id, key),
        };
        if let Some((token, ends)) = &self.current
            && *ends > Instant::now()
        {
            return Ok(token.clone());
        }
        let has = |lapse| lapses.contains(&lapse);
        // Read anew for each token: that is seldom, and what they say may have changed.
        let endpoint = discover(http, issuer, has(Lapse::AsDiscovery)).await?;
        let scope = if has(Lapse::ScopeScimOnly) { "scim admin" } else { "scim" };
        if has(Lapse::JwtTokenRequest) {
            let form =
                [("grant_type", "client_credentials"), ("scope", "scim"), ("client_id", client_id), ("client_secret", "s3cret")];
            if let Ok(token) = self.ask(http, &endpoint, &form).await {
                return Ok(token);
            }
        }
        let mut answer = self.with_assertion(http, &endpoint, issuer, client_id, key, scope, lapses).await;
        if has(Lapse::ScopeScimOnly) && matches!(answer, Err(NoToken::Never(_))) {
            answer = self.with_assertion(http, &endpoint, issuer, client_id, key, "scim", lapses).await;
        }
        answer
    }

    /// The token did not work.
    pub fn forget(&mut self, token: &str) {
        if self.current.as_ref().is_some_and(|(current, _)| current == token) {
            self.current = None;
        }
    }

    #[allow(clippy::too_many_arguments)]
    async fn with_assertion(
        &mut self,
        http: &reqwest::Client,
        endpoint: &str,
        issuer: &str,
        client_id: &str,
        key: &SigningKey,
        scope: &str,
        lapses: &[Lapse],
    ) -> Result<String, NoToken> {
        let assertion = if lapses.contains(&Lapse::AssertionFresh) {
            self.assertion.get_or_insert_with(|| assertion(key, client_id, issuer, 10 * ASSERTION_S)).clone()
        } else {
            assertion(key, client_id, issuer, ASSERTION_S)
        };
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", scope),
            ("client_id", client_id),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", assertion.as_str()),
        ];
        let outcome = self.ask(http, endpoint, &form).await;
        if lapses.contains(&Lapse::AssertionFresh) && matches!(outcome, Err(NoToken::Never(_))) {
            // A server that remembers jti wants another; the next request begins with the old one again.
            let fresh = self::assertion(key, client_id, issuer, ASSERTION_S);
            let mut form = form;
            form[4].1 = &fresh;
            return self.ask(http, endpoint, &form).await;
        }
        outcome
    }

    async fn ask(&mut self, http: &reqwest::Client, endpoint: &str, form: &[(&str, &str)]) -> Result<String, NoToken> {
        let request = http.post(endpoint).header("accept", "application/json").form(form);
        let answer = settled(send(request).await)?;
        match answer.json["access_token"].as_str().filter(|_| answer.ok()) {
            Some(token) => {
                // Renewed a little before its end, so that requests on their way do not meet it.
                let life = answer.json["expires_in"].as_u64().unwrap_or(60);
                let ends = Instant::now() + Duration::from_secs(life.saturating_sub(5).max(1));
                self.current = Some((token.to_owned(), ends));
                Ok(token.to_owned())
            }
            None => Err(NoToken::Never(format!("the token endpoint answered {}", answer.describe()))),
        }
    }
}

/// 429 and 5xx pass.
fn settled(outcome: Result<Answer, String>) -> Result<Answer, NoToken> {
    match outcome {
        Err(why) => Err(NoToken::Lost(why)),
        Ok(answer) if answer.status == 429 || answer.status >= 500 => Err(NoToken::Later(Box::new(answer))),
        Ok(answer) => Ok(answer),
    }
}

/// The token endpoint, from the metadata (RFC 8414 3): the issuer there must be the one that was asked for.
async fn discover(http: &reqwest::Client, issuer: &str, any_issuer: bool) -> Result<String, NoToken> {
    let never = |text: String| NoToken::Never(text);
    let url = metadata_url(issuer).ok_or_else(|| never(format!("{issuer} is no issuer")))?;
    let answer = settled(send(http.get(&url).header("accept", "application/json")).await)?;
    if !answer.ok() {
        return Err(never(format!("{url} answered {}", answer.describe())));
    }
    if answer.json["issuer"] != issuer && !any_issuer {
        return Err(never(format!("the metadata name another issuer: {}", answer.json["issuer"])));
    }
    let endpoint = answer.json["token_endpoint"].as_str();
    endpoint.map(str::to_owned).ok_or_else(|| never("the metadata have no token_endpoint".into()))
}

/// The well-known path stands between host and path of the issuer (RFC 8414 3.1).
pub fn metadata_url(issuer: &str) -> Option<String> {
    let mut url = url::Url::parse(issuer).ok()?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    Some(url.into())
}

fn assertion(key: &SigningKey, client_id: &str, audience: &str, life_s: i64) -> String {
    let now = Timestamp::now().as_second();
    let claims: Value =
        json!({"iss": client_id, "sub": client_id, "aud": audience, "iat": now, "exp": now + life_s, "jti": random(16)});
    key.sign(&json!({"typ": "JWT"}), &claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_stand_where_rfc_8414_says() {
        let at = |issuer| metadata_url(issuer).unwrap();
        assert_eq!(at("https://as.test"), "https://as.test/.well-known/oauth-authorization-server");
        assert_eq!(at("https://as.test/scim/v2"), "https://as.test/.well-known/oauth-authorization-server/scim/v2");
        assert!(metadata_url("no url").is_none());
    }
}
