//! Logins with keys that are published during the run.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Probe, Variation, probe};
use crate::counterpart::provider::Forgery;
use crate::stage::Stage;
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::Obstacle;

/// An application may fetch the JWK Set no more often than this.
const COOL_DOWN: Duration = Duration::from_secs(60);
const ROTATION: &str = "sl1.app.key-rotation";
const WEAK: &str = "sl1.app.id-token-weak-key-refused";

/// What came of the weak key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Weak {
    /// The login, or the second one where the application had not fetched the key for the first.
    pub probe: Probe,
}

/// New keys are published.
pub struct Rotation {
    /// When; `None` where no clause needs them.
    pub at: Option<Instant>,
    /// The login with the new signing key.
    pub first: Option<Probe>,
    tried: Instant,
}

/// Publishes a new signing key, and the strong twin of the weak key, and signs with the former at once.
pub async fn announce(stage: &Stage) -> Result<Rotation, Obstacle> {
    let app = stage.app()?;
    let mut rotation = Rotation { at: None, first: None, tried: Instant::now() };
    if !stage.wants(ROTATION) && !stage.wants(WEAK) {
        return Ok(rotation);
    }
    rotation.at = Some(Instant::now());
    app.provider.publish(app.provider.keys().rotated.jwk().clone());
    app.provider.strong_jwk().into_iter().for_each(|jwk| app.provider.publish(jwk));
    // An application that follows the rotation knows the twin as well.
    rotation.first = Some(rotated(stage, rotation.at, "a newly published key").await?);
    rotation.tried = Instant::now();
    Ok(rotation)
}

impl Rotation {
    /// The second attempt, where the first was refused.
    pub async fn again(&self, stage: &Stage) -> Result<Option<Probe>, Obstacle> {
        if !stage.wants(ROTATION) || !self.first.as_ref().is_some_and(|first| first.attempt.refused()) {
            return Ok(None);
        }
        stage.wait_until(self.tried + COOL_DOWN, "the application to fetch the JWK Set again").await;
        Ok(Some(rotated(stage, self.at, "a newly published key, 60 s later").await?))
    }
}

async fn rotated(stage: &Stage, since: Option<Instant>, label: &str) -> Result<Probe, Obstacle> {
    let app = stage.app()?;
    let variation = Variation::Forged(Forgery::RotatedKey);
    let (_, attempt) = stage.attempt(variation.script(&app.users[0]), label).await?;
    Ok(probe(app, Some(variation), attempt, since))
}

/// A login with the weak key. Where the application takes the algorithm and did not fetch the key, once more after its cool-down.
pub async fn weak(stage: &Stage, probes: &[Probe]) -> Result<Weak, Obstacle> {
    let before = stage.login_control("control: conforming login").await?.signed_in();
    let mut login = with_weak_key(stage, "a published RSA key of 1024 bits").await?;
    let known = algorithm_refused(probes);
    if login.attempt.refused() && !login.keys_fetched && !known {
        stage.wait_until(Instant::now() + COOL_DOWN, "the application to fetch the JWK Set again").await;
        login = with_weak_key(stage, "a published RSA key of 1024 bits, 60 s later").await?;
    }
    let after = stage.login_control("control: conforming login").await?.signed_in();
    Ok(Weak { probe: Probe { controls: before && after, ..login } })
}

/// The application knew a key of 2048 bits and refused a signature with the weak key's algorithm by it as well.
pub fn algorithm_refused(probes: &[Probe]) -> bool {
    let twin = probes.iter().find(|probe| probe.variation == Some(Variation::Forged(Forgery::StrongKey)));
    twin.is_some_and(|twin| twin.keys_fetched && twin.controls && twin.served && twin.attempt.refused())
}

/// Nobody else signs in while the weak key is published: an application may find fault with the whole JWK Set.
async fn with_weak_key(stage: &Stage, label: &str) -> Result<Probe, Obstacle> {
    let app = stage.app()?;
    let variation = Variation::Forged(Forgery::WeakKey);
    let _alone = app.provider.exclusive().await;
    let jwk = app.provider.weak_jwk();
    let since = Instant::now();
    app.provider.publish(jwk.clone());
    let login = sign_in(stage, variation, label).await;
    app.provider.withdraw(&jwk);
    Ok(probe(app, Some(variation), login?, Some(since)))
}

async fn sign_in(stage: &Stage, variation: Variation, label: &str) -> Result<Attempt, Obstacle> {
    let visitor = Visitor::new(stage, label).await?;
    visitor.sign_in(stage, variation.script(&stage.app()?.users[0]), label).await
}
