//! app-login: two ordinary logins, then every login of the run looked at together: requests, proofs, assertions, cookies, and what the
//! browser was given.

use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use crate::counterpart::provider::Script;
use crate::model::ExchangeId;
use crate::model::target::ClientAuth;
use crate::stage::Stage;
use crate::stage::recorder::Sighting;
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::entropy::Estimate;

mod checks;
mod checks_client;
mod checks_session;
mod facts;
#[cfg(test)]
mod tests;

pub use facts::{AssertionFacts, AuthzFacts, CookieFacts, HelloFacts, KeyFacts, ProofFacts, TokenFacts, UserInfoFacts};

/// Samples needed for an estimate of randomness.
const FEW: usize = 8;

/// The scenario.
pub struct Login;

/// What all logins of the run show. No code, token, verifier or cookie is in here, only digests of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Ordinary logins of this scenario.
    pub logins: Vec<Attempt>,
    /// Issuer identifiers, main and second.
    pub issuers: Vec<String>,
    /// `client_id` at each of them.
    pub client_ids: Vec<String>,
    /// How the application is registered to authenticate.
    pub registered_auth: ClientAuth,
    /// The redirect URIs that are registered; empty where the operator lists none.
    pub redirect_uris: Vec<String>,
    /// Authorization requests.
    pub authorizations: Vec<AuthzFacts>,
    /// Token requests.
    pub tokens: Vec<TokenFacts>,
    /// UserInfo requests.
    pub userinfo: Vec<UserInfoFacts>,
    /// Client assertions, at the token endpoint and with pushed requests.
    pub assertions: Vec<AssertionFacts>,
    /// `alg` of request objects, with their exchanges.
    pub objects: Vec<(String, ExchangeId)>,
    /// Keys of the application.
    pub keys: Vec<KeyFacts>,
    /// Paths that no metadata names and that were called all the same.
    pub traps: Vec<(String, ExchangeId)>,
    /// What the application offers as TLS client.
    pub hellos: Vec<HelloFacts>,
    /// Randomness of the code verifiers.
    pub verifiers: Estimate,
    /// Secrets of the back channel seen at the browser.
    pub leaks: Vec<Sighting>,
    /// There was more browser traffic than could be kept: not all of it was searched.
    pub overheard_cut: bool,
    /// Cookies.
    pub cookies: CookieFacts,
}

impl Scenario for Login {
    type Seen = Seen;
    const ID: &'static str = "app-login";
    const TITLE: &'static str = "ordinary logins; then every login of the run is looked at";
    const AFTER: &'static [&'static str] = &["*"];
    const CHECKS: &'static [Check<Seen>] = checks::ALL;

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let app = stage.app()?;
        let mut logins = Vec::new();
        {
            let _undisturbed = stage.undisturbed().await?;
            // Twice in one browser, and in another one: challenges, nonces and cookies of one browser must differ as well.
            let first = Visitor::new(stage, "first browser").await?;
            logins.push(first.sign_in(stage, Script::of(&app.users[0]), "login").await?);
            if !app.app.logout_url.is_empty() {
                first.open(stage, &app.app.logout_url, "logout").await?;
            }
            logins.push(first.sign_in(stage, Script::of(&app.users[0]), "second login in the same browser").await?);
            // Enough of them for an estimate of randomness, where the rest of the run did not bring as many.
            let known = app.signed_in.lock().unwrap_or_else(PoisonError::into_inner).len();
            let others = (known.max(1)..FEW).map(|number| async move {
                let other = Visitor::new(stage, "other browser").await?;
                other.sign_in(stage, Script::of(&app.users[1]), &format!("login in another browser ({number})")).await
            });
            for login in futures_util::future::join_all(others).await {
                logins.push(login?);
            }
        }
        stage.control(logins.first().is_some_and(Attempt::signed_in));
        Ok(facts::gather(stage, app, logins))
    }
}
