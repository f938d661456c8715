//! app-idtoken: one login per variation of the ID token, with conforming logins before, in between and after.

mod checks;
mod keys;
mod more;
mod variations;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::counterpart::provider::forgery::STRING_EXPIRY_S;
use crate::counterpart::provider::{Fetched, Forgery, Script};
use crate::model::ExchangeId;
use crate::stage::Stage;
use crate::stage::app_world::AppWorld;
use crate::stage::oracle::Look;
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::{Check, Obstacle, Scenario};
pub use keys::Weak;
pub use variations::Variation;

/// Seconds after the intended end at which a session with a malformed `session_expiry` is looked at again.
const AFTER_EXPIRY_S: u64 = 15;

/// ID tokens that an application must refuse, and some that it must take.
pub struct IdTokens;

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The algorithm of conforming ID tokens.
    pub alg: String,
    /// The conforming login at the beginning.
    pub first: Option<Probe>,
    /// A conforming login at the end succeeded.
    pub last: bool,
    /// The variations of the series.
    pub probes: Vec<Probe>,
    /// Logins with a newly published key: one, or two where the first was refused.
    pub rotated: Vec<Probe>,
    /// The weak key.
    pub weak: Option<Weak>,
    /// `session_expiry` as a string.
    pub string_expiry: Option<StringExpiry>,
    /// The conforming login of the user whom UserInfo denies later.
    pub twin: Option<Attempt>,
    /// UserInfo was called in this run.
    pub userinfo: bool,
    /// An identity marker is declared.
    pub identity: bool,
    /// The application's key for encrypted ID tokens.
    pub encryption: Encryption,
    /// The class the application demands, as the operator declares it; empty for none.
    pub required_acr: String,
    /// Requests for URLs that only the header of a forged token names.
    pub bait: Vec<ExchangeId>,
}

/// A login that differs from a conforming one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Probe {
    /// In what; `None` for a conforming one.
    pub variation: Option<Variation>,
    /// What became of it.
    pub attempt: Attempt,
    /// Conforming logins before and after it succeeded.
    pub controls: bool,
    /// The token endpoint answered with the tokens of this login.
    pub served: bool,
    /// The authorization request had a nonce.
    pub nonce: bool,
    /// The authorization request had `max_age`.
    pub max_age: Option<String>,
    /// UserInfo was called with the access token of this login.
    pub userinfo: bool,
    /// The JWK Set was fetched between the publication of the key in question and the end of this login.
    pub keys_fetched: bool,
}

/// What is known of the application's key for encrypted ID tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// None is registered.
    #[default]
    None,
    /// One is registered that the suite cannot encrypt for.
    Unusable,
    /// One is registered.
    Usable,
}

/// A login whose `session_expiry` is a string shortly ahead.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StringExpiry {
    /// The login.
    pub probe: Probe,
    /// The look after the intended end; `None` where there was no session to look at.
    pub late: Option<Look>,
    /// Seconds from the intended end to that look.
    pub late_s: u64,
}

impl Scenario for IdTokens {
    type Seen = Seen;
    const ID: &'static str = "app-idtoken";
    const TITLE: &'static str = "forged ID tokens, one login each";
    const CHECKS: &'static [Check<Seen>] = checks::ALL;

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let app = stage.app()?;
        let mut seen = Seen {
            alg: app.provider.id_token_alg().to_owned(),
            identity: app.app.identity.is_some(),
            encryption: encryption(app),
            required_acr: app.app.required_acr.clone(),
            ..Seen::default()
        };
        let first = probe(app, None, stage.login_control("control: conforming login").await?, None);
        let went_well = first.attempt.signed_in();
        seen.first = Some(first.clone());
        if !went_well {
            return Ok(seen);
        }
        let rotation = keys::announce(stage).await?;
        seen.rotated.extend(rotation.first.clone());
        let expiry = begin_string_expiry(stage).await?;
        seen.twin = twin(stage).await?;
        seen.probes = play_series(stage, &first, rotation.at).await?;
        if let Some((visitor, login, at)) = expiry {
            seen.string_expiry = Some(end_string_expiry(stage, &visitor, login, at).await?);
        }
        seen.rotated.extend(rotation.again(stage).await?);
        if stage.wants("sl1.app.id-token-weak-key-refused") {
            seen.weak = Some(keys::weak(stage, &seen.probes).await?);
        }
        seen.last = stage.login_control("control: conforming login").await?.signed_in();
        let log = app.provider.log();
        seen.userinfo = !log.userinfo.is_empty();
        seen.bait = log.fetches.iter().filter(|fetch| fetch.what == Fetched::Bait).map(|fetch| fetch.exchange.clone()).collect();
        Ok(seen)
    }
}

fn encryption(app: &AppWorld) -> Encryption {
    let registered = app.provider.client_keys().iter().any(|key| key["use"] == "enc");
    match (app.provider.can(Forgery::Encrypted), registered) {
        (true, _) => Encryption::Usable,
        (_, true) => Encryption::Unusable,
        _ => Encryption::None,
    }
}

/// Adds what the provider saw of a login. `since` is when the key in question was published.
fn probe(app: &AppWorld, variation: Option<Variation>, attempt: Attempt, since: Option<Instant>) -> Probe {
    let log = app.provider.log();
    let request = attempt.cites.first().and_then(|id| log.authorizations.iter().find(|request| request.exchange == *id));
    let number = request.map(|request| request.number);
    let of_it = |authorization: Option<usize>| number.is_some() && authorization == number;
    Probe {
        variation,
        controls: false,
        served: log.tokens.iter().any(|token| of_it(token.authorization) && token.status == 200),
        nonce: request.is_some_and(|request| request.get("nonce").is_some_and(|nonce| !nonce.is_empty())),
        max_age: request.and_then(|request| request.get("max_age").map(str::to_owned)),
        userinfo: log.userinfo.iter().any(|asked| of_it(asked.authorization) && asked.status == 200),
        keys_fetched: since.is_some_and(|since| log.fetches.iter().any(|fetch| fetch.what == Fetched::Jwks && fetch.at >= since)),
        attempt,
    }
}

/// The user whose UserInfo is falsified: not one of whom other scenarios think they know the attributes, where that is possible.
fn denied(app: &AppWorld) -> crate::counterpart::provider::Subject {
    if app.app.users.is_empty() { app.somebody("denied") } else { app.users[1].clone() }
}

/// The account that this user has.
async fn twin(stage: &Stage) -> Result<Option<Attempt>, Obstacle> {
    if !stage.wants("sl1.app.userinfo-sub-checked") {
        return Ok(None);
    }
    let user = denied(stage.app()?);
    Ok(Some(stage.attempt(Script::of(&user), "conforming login of another user").await?.1))
}

/// The logins between controls, without those that mean nothing at this application.
async fn play_series(stage: &Stage, first: &Probe, published: Option<Instant>) -> Result<Vec<Probe>, Obstacle> {
    let app = stage.app()?;
    let mut variations = variations::series(|clause| stage.wants(clause));
    variations.retain(|variation| match variation {
        Variation::Forged(Forgery::NonceAltered | Forgery::NonceMissing | Forgery::NonceEarlier) => first.nonce,
        Variation::Forged(Forgery::AuthTimeStale | Forgery::AuthTimeMissing) => first.max_age.is_some(),
        Variation::Forged(Forgery::AcrLower) => !app.app.required_acr.is_empty(),
        Variation::Forged(forgery) => app.provider.can(*forgery),
        _ => true,
    });
    if variations.is_empty() {
        return Ok(Vec::new());
    }
    let other = denied(app);
    let logins = variations.iter().map(|variation| {
        let user = match variation {
            Variation::UserInfoOtherSub | Variation::UserInfoNoSub => &other,
            _ => &app.users[0],
        };
        (variation.label().to_owned(), variation.script(user))
    });
    let tried = stage.series(logins.collect()).await?;
    let with_variation = variations.into_iter().zip(tried);
    Ok(with_variation
        .map(|(variation, tried)| Probe { controls: tried.controls, ..probe(app, Some(variation), tried.attempt, published) })
        .collect())
}

/// A login with `session_expiry` as a string, and when it was made.
async fn begin_string_expiry(stage: &Stage) -> Result<Option<(Visitor, Probe, Instant)>, Obstacle> {
    if !stage.wants("sl1.app.session-expiry-malformed") {
        return Ok(None);
    }
    let app = stage.app()?;
    let variation = Variation::Forged(Forgery::SessionExpiryString);
    let (visitor, attempt) = stage.attempt(variation.script(&app.users[0]), variation.label()).await?;
    // The claim was made before the attempt ended, so that the intended end is not later than this plus its seconds.
    let at = Instant::now();
    Ok(Some((visitor, probe(app, Some(variation), attempt, None), at)))
}

async fn end_string_expiry(stage: &Stage, visitor: &Visitor, login: Probe, at: Instant) -> Result<StringExpiry, Obstacle> {
    let app = stage.app()?;
    if !login.attempt.signed_in() {
        return Ok(StringExpiry { probe: login, ..StringExpiry::default() });
    }
    let late_s = AFTER_EXPIRY_S + app.app.granularity_s;
    let then = at + Duration::from_secs(STRING_EXPIRY_S.unsigned_abs() + late_s);
    stage.wait_until(then, "a session_expiry given as a string to pass").await;
    let _undisturbed = stage.undisturbed().await?;
    let late = visitor.look(stage, "protected page after session_expiry").await?;
    Ok(StringExpiry { probe: login, late: Some(late), late_s })
}
