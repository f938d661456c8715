//! scim-token: how the SCIM client gets its access token, and what the token opens (AL1 SCIM draft, section 3.1).

mod checks;
mod forge;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::counterpart::scim_client::token::{self, Form, TokenAnswer};
use crate::counterpart::scim_client::{Answer, Bearer, Call};
use crate::model::target::ScimAuth;
use crate::stage::Stage;
use crate::stage::http::Ask;
use crate::suite::{Check, Obstacle, Scenario};

/// A token that lives longer is not waited out, in seconds.
const LONGEST_S: u64 = 600;
/// Seconds for which a token may still be taken, as clocks differ (RFC 7519 4.1.4: no more than a few minutes).
const SKEW_S: u64 = 300;
/// A clock that is off by so much does no harm.
const LEEWAY: Duration = Duration::from_secs(2);

/// Token requests and the tokens that come of them.
pub struct Tokens;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Where tokens come from.
    pub layout: ScimAuth,
    /// Issuer that the target file names.
    pub issuer: String,
    /// RFC 8414 metadata, and the OpenID configuration where that was asked for.
    pub metadata: Vec<Answer>,
    /// Token endpoint of metadata or target file; empty where none is known.
    pub token_endpoint: String,
    /// A good request in each form.
    pub forms: Vec<(Form, TokenAnswer)>,
    /// Bad assertions, by what is wrong.
    pub forged: Vec<(String, TokenAnswer)>,
    /// A good request after them.
    pub control: Option<TokenAnswer>,
    /// An assertion for the token endpoint in place of the issuer.
    pub for_endpoint: Option<TokenAnswer>,
    /// The same assertion twice.
    pub replay: Vec<TokenAnswer>,
    /// Tokens for other scopes: what was asked for, the token, and what it opened.
    pub scopes: Vec<(String, TokenAnswer, Option<Answer>)>,
    /// An API that is not SCIM, asked with a token for it.
    pub other_api: Option<Answer>,
    /// Seconds a token lives, its use before and after its end.
    pub expiry: Option<Expiry>,
    /// Tokens of the suite's own authorization server: what, and the answer to them.
    pub own: Vec<(String, Answer)>,
}

/// A token at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Expiry {
    /// Seconds it was said to live; none where nothing was said.
    pub life_s: Option<u64>,
    /// Its use while it lived.
    pub before: Answer,
    /// Its use afterwards; none where that was not waited for.
    pub after: Option<Answer>,
}

impl Scenario for Tokens {
    type Seen = Seen;
    const ID: &'static str = "scim-token";
    const TITLE: &'static str = "asks for SCIM access tokens in good and bad ways, and looks what they open";
    const BROWSER: bool = false;
    const WAITS_S: u64 = LONGEST_S + SKEW_S;
    const CHECKS: &'static [Check<Seen>] = checks::CHECKS;

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let scim = &stage.scim()?.scim;
        let mut seen = Seen { layout: scim.auth, issuer: scim.issuer.clone(), ..Seen::default() };
        match scim.auth {
            ScimAuth::Bearer => {}
            ScimAuth::AppAs => exchange(stage, &mut seen).await?,
            ScimAuth::IdpAs => issue(stage, &mut seen).await?,
        }
        let other = &stage.world.target.accounts.other_api;
        let token = if other.is_empty() || scim.auth == ScimAuth::Bearer {
            None
        } else {
            stage.scim_token(&Bearer::Own).await.ok().flatten()
        };
        if let Some(token) = token {
            let ask = Ask::get(other).header("authorization", format!("Bearer {token}"));
            seen.other_api = Some(Answer::from(stage.world.http.send(Self::ID, "an API that is not SCIM", ask).await));
        }
        Ok(seen)
    }
}

fn users() -> Call {
    Call::get("/Users").query("count", "1")
}

/// Calls SCIM with this token.
async fn with(stage: &Stage, step: &str, token: &str) -> Result<Answer, Obstacle> {
    stage.scim_send(step, users().by(Bearer::Other(token.to_owned()))).await
}

/// The application's authorization server.
async fn exchange(stage: &Stage, seen: &mut Seen) -> Result<(), Obstacle> {
    let server = stage.scim_authorization_server().await?;
    if !seen.issuer.is_empty() {
        seen.metadata = [Some(&server.oauth), server.openid.as_ref()].into_iter().flatten().cloned().collect();
    }
    if server.token_endpoint.is_empty() {
        return Ok(());
    }
    seen.token_endpoint.clone_from(&server.token_endpoint);
    let (client, key) = (stage.scim()?.scim.client_id.as_str(), &stage.world.keys.es256);
    let good = |audience: &str| token::assertion(key, &token::claims(client, audience));
    let ask =
        |form: Form, assertion: &str, scope: Option<&str>| token::request(&server.token_endpoint, form, client, assertion, scope);
    let mut granted = None;
    for form in Form::ALL {
        let (told, token) = stage.scim_token_request(form.what(), ask(form, &good(&server.audience), Some("scim"))).await;
        if let Some(token) = token {
            granted.get_or_insert((form, token, told.expires_in));
        }
        seen.forms.push((form, told));
    }
    // Without a good request nothing can be said of bad ones.
    let Some((form, token, life_s)) = granted else { return Ok(()) };
    let clock = Instant::now();
    let before = with(stage, "with a fresh token", &token).await?;
    for (what, assertion) in forge::assertions(key, client, &server.audience) {
        let (told, _) = stage.scim_token_request(what, ask(form, &assertion, Some("scim"))).await;
        seen.forged.push((what.to_owned(), told));
    }
    let for_endpoint = good(&server.token_endpoint);
    seen.for_endpoint =
        Some(stage.scim_token_request("aud is the token endpoint", ask(form, &for_endpoint, Some("scim"))).await.0);
    let twice = good(&server.audience);
    for step in ["an assertion", "the same assertion again"] {
        seen.replay.push(stage.scim_token_request(step, ask(form, &twice, Some("scim"))).await.0);
    }
    for scope in [Some("openid"), None] {
        let (told, token) = stage.scim_token_request("another scope", ask(form, &good(&server.audience), scope)).await;
        let opened = match token {
            Some(token) => Some(with(stage, "with a token for another scope", &token).await?),
            None => None,
        };
        seen.scopes.push((scope.unwrap_or("none").to_owned(), told, opened));
    }
    seen.control =
        Some(stage.scim_token_request("a good request again", ask(form, &good(&server.audience), Some("scim"))).await.0);
    stage.control(seen.control.as_ref().is_some_and(|control| control.issued));
    let mut expiry = Expiry { life_s, before, after: None };
    if let Some(life) = life_s.filter(|life| *life <= LONGEST_S && stage.wants("al1.app.expired-token")) {
        let end = clock + Duration::from_secs(life);
        stage.wait_until(end + LEEWAY, "the access token to end").await;
        let mut after = with(stage, "with the same token after its end", &token).await?;
        if after.ok() {
            stage.wait_until(end + stage.world.patience(SKEW_S), "the allowance for clocks to end").await;
            after = with(stage, "with the same token, its end longer ago", &token).await?;
        }
        expiry.after = Some(after);
    }
    seen.expiry = Some(expiry);
    Ok(())
}

/// The suite's own authorization server.
async fn issue(stage: &Stage, seen: &mut Seen) -> Result<(), Obstacle> {
    let now = || jiff::Timestamp::now().as_second();
    let mut uses = vec![
        ("a token of the configured issuer", stage.scim_issue(None, |_| ())?),
        ("a token for another audience", stage.scim_issue(None, |claims| claims["aud"] = "https://other.example".into())?),
        ("a token of another issuer", stage.scim_issue(None, |claims| claims["iss"] = "https://other.example".into())?),
        ("a token without the scope", stage.scim_issue(None, |claims| claims["scope"] = "openid".into())?),
        ("a token without any scope", stage.scim_issue(None, |claims| claims["scope"] = Value::Null)?),
        ("a token that has ended", stage.scim_issue(None, |claims| claims["exp"] = (now() - 300).into())?),
    ];
    uses.push(("a token of the configured issuer, again", stage.scim_issue(None, |_| ())?));
    for (what, token) in uses {
        seen.own.push((what.to_owned(), with(stage, what, &token).await?));
    }
    // A new key of the issuer must be picked up.
    let app = stage.app()?;
    let rotated = app.provider.keys().rotated.clone();
    app.provider.publish(rotated.jwk().clone());
    let until = Instant::now() + stage.world.patience(300);
    let fresh = stage.scim_issue(Some(&rotated), |_| ())?;
    loop {
        let answer = with(stage, "a token signed by a new key", &fresh).await?;
        if answer.ok() || Instant::now() >= until {
            seen.own.push(("a token signed by a new key".into(), answer));
            return Ok(());
        }
        stage.wait_until(Instant::now() + Duration::from_secs(5), "the new key to be fetched").await;
    }
}
