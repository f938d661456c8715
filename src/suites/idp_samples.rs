//! idp-samples: every code and token of the run, looked at together. Sends nothing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Judgement;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::entropy::{Estimate, estimate};
use crate::wire::jose;
use crate::wire::seen::IdTokenSeen;

mod checks;

/// All samples.
pub struct Samples;

/// What the samples show; no code and no token is in here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The issuer of the metadata.
    pub issuer: String,
    /// `acr_values_supported`.
    pub acr_supported: Vec<String>,
    /// Randomness of authorization codes.
    pub codes: Estimate,
    /// Randomness of opaque access tokens.
    pub access: Estimate,
    /// Algorithms of access tokens that are JWTs.
    pub access_algs: Vec<String>,
    /// Algorithms of refresh tokens that are JWTs.
    pub refresh_algs: Vec<String>,
    /// Randomness of opaque refresh tokens.
    pub refresh: Estimate,
    /// Every ID token.
    pub id_tokens: Vec<IdTokenSeen>,
    /// Tokens seen in a front channel, with the exchange.
    pub leaks: Vec<(String, String)>,
    /// Authorization responses seen.
    pub responses: usize,
}

impl Scenario for Samples {
    type Seen = Seen;
    const ID: &'static str = "idp-samples";
    const TITLE: &'static str = "looks at every code and token of the run together";
    const AFTER: &'static [&'static str] = &["*"];
    const CHECKS: &'static [Check<Seen>] = checks::ALL;

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let world = &stage.world;
        let samples = world.samples().clone();
        let (jwts, opaque): (Vec<String>, Vec<String>) =
            samples.access.iter().cloned().partition(|token| jose::read(token).is_ok());
        let algs: BTreeSet<String> = jwts.iter().filter_map(|token| Some(jose::read(token).ok()?.alg().to_owned())).collect();
        let (refresh_jwts, refresh): (Vec<String>, Vec<String>) =
            samples.refresh.iter().cloned().partition(|token| jose::read(token).is_ok());
        let refresh_algs: BTreeSet<String> =
            refresh_jwts.iter().filter_map(|token| Some(jose::read(token).ok()?.alg().to_owned())).collect();
        // Parts of a code may name the client or the session: only codes of one client in one session are compared.
        let alike: Vec<&str> = samples.codes.iter().filter(|(alike, _)| *alike).map(|(_, code)| code.as_str()).collect();
        let mut codes = estimate(&alike);
        let all: BTreeSet<&str> = samples.codes.iter().map(|(_, code)| code.as_str()).collect();
        codes.repeats = samples.codes.len() - all.len();
        Ok(Seen {
            issuer: world.issuer().to_owned(),
            acr_supported: world.discovery.list("acr_values_supported").into_iter().map(str::to_owned).collect(),
            codes,
            access: estimate(&opaque),
            refresh_algs: refresh_algs.into_iter().collect(),
            access_algs: algs.into_iter().collect(),
            refresh: estimate(&refresh),
            id_tokens: samples.id_tokens,
            leaks: samples.leaks,
            responses: samples.responses,
        })
    }
}

/// The main user's tokens of client A.
fn of_main(seen: &Seen) -> impl Iterator<Item = &IdTokenSeen> {
    seen.id_tokens.iter().filter(|token| token.client == "main" && token.login != crate::wire::seen::OTHER_USER)
}

/// Tokens of logins: a refreshed token is judged by sl1.idp.refresh-new-id-token.
fn of_logins(seen: &Seen) -> impl Iterator<Item = &IdTokenSeen> {
    seen.id_tokens.iter().filter(|token| token.login != "refresh")
}

/// Runs one demand over tokens; the first offender of each kind is told, with how many there are.
fn every<'a>(
    tokens: impl Iterator<Item = &'a IdTokenSeen>,
    demand: impl Fn(&IdTokenSeen) -> Option<String>,
    pass: &str,
) -> Judgement {
    let mut all = 0;
    let mut broken: Vec<(String, usize, String)> = Vec::new();
    let mut last = None;
    for token in tokens {
        all += 1;
        match demand(token) {
            Some(why) => match broken.iter_mut().find(|(known, ..)| *known == why) {
                Some(entry) => entry.1 += 1,
                None => broken.push((why, 1, token.exchange.clone())),
            },
            None => last = Some(token.exchange.clone()),
        }
    }
    if all == 0 {
        return Judgement::undecided("no ID token was returned");
    }
    if broken.is_empty() {
        return Judgement::pass(format!("{pass} ({all} ID tokens)")).cite(last.as_ref());
    }
    let cites: Vec<String> = broken.iter().map(|(_, _, exchange)| exchange.clone()).collect();
    let told: Vec<String> = broken.into_iter().map(|(why, count, _)| format!("{why} ({count} of {all} ID tokens)")).collect();
    Judgement::broken(told.join("; ")).cite(&cites)
}

fn text(value: &Value) -> String {
    if value.is_null() { "missing".into() } else { value.to_string() }
}
