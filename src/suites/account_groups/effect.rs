//! Looks until what a user was given, or lost, shows on the user's page.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::counterpart::provider::Script;
use crate::stage::Stage;
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::Obstacle;
use crate::suites::account_blocks::{Texts, declared, elapsed_ms, pause, read_page};

/// Between two new sign-ins while something is waited for.
const SIGN_IN: Duration = Duration::from_secs(20);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The page shows one of the words.
    Shown,
    /// The page shows none of them.
    Gone,
}

/// What the pages showed in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The page of the session that was there before.
    pub live: Texts,
    /// Milliseconds until that page was as wanted; `None` where it never was.
    pub live_ms: Option<u64>,
    /// A new sign-in.
    pub again: Attempt,
    /// The page after that.
    pub fresh: Texts,
    /// Milliseconds until that page was read.
    pub fresh_ms: u64,
}

impl Effect {
    /// The session that was there before still showed one of the words in the end, or did so for longer than this.
    pub fn late(&self, words: &[&str], limit_ms: u64) -> bool {
        self.live.has(words) || self.live_ms.is_some_and(|ms| ms > limit_ms)
    }

    /// When the live session followed, in words.
    pub fn pace(&self) -> String {
        match self.live_ms {
            Some(ms) => format!("in the live session after {ms} ms"),
            None => "not in the live session, only after a new sign-in".to_owned(),
        }
    }
}

/// Looks at the live session and after new sign-ins, at most so long after `since`. What is given may show in either; of what is taken
/// away the live session is watched first, because a sign-in may change it.
///
/// # Errors
/// The browser failed, or `accounts.roles` is not configured.
pub async fn until(
    stage: &Stage,
    live: &Visitor,
    script: &Script,
    wanted: Wanted,
    words: &[&str],
    since: Instant,
    limit: Duration,
) -> Result<Effect, Obstacle> {
    follow(stage, live, script, wanted, words, since, limit).await.map(|(effect, _)| effect)
}

/// The same for what is given; with the session of the new sign-in, where that alone shows it. What is taken away later must be watched where
/// it showed: a session that never showed it cannot lose it.
///
/// # Errors
/// As [`until`].
pub async fn given(
    stage: &Stage,
    live: &Visitor,
    script: &Script,
    words: &[&str],
    since: Instant,
    limit: Duration,
) -> Result<(Effect, Option<Visitor>), Obstacle> {
    let (effect, entered) = follow(stage, live, script, Wanted::Shown, words, since, limit).await?;
    let other = entered.filter(|_| effect.live_ms.is_none());
    Ok((effect, other))
}

/// Looks, and keeps the session of the last new sign-in.
async fn follow(
    stage: &Stage,
    live: &Visitor,
    script: &Script,
    wanted: Wanted,
    words: &[&str],
    since: Instant,
    limit: Duration,
) -> Result<(Effect, Option<Visitor>), Obstacle> {
    let page = declared(stage.world.target.accounts.roles.as_ref(), "accounts.roles")?;
    let fits = |texts: &Texts| texts.readable && texts.has(words) == (wanted == Wanted::Shown);
    let mut effect = Effect::default();
    let mut entered: Option<(Visitor, Instant)> = None;
    loop {
        let asked = Instant::now();
        if effect.live_ms.is_none() {
            effect.live = read_page(stage, live, page, "roles in the live session").await?;
            effect.live_ms = fits(&effect.live).then(|| elapsed_ms(since));
        }
        let over = asked >= since + limit;
        let watching = wanted == Wanted::Gone && effect.live_ms.is_none() && !over;
        if !watching {
            let visitor = match entered.take().filter(|(_, at)| at.elapsed() < SIGN_IN) {
                Some(known) => known,
                None => {
                    let (visitor, attempt) = stage.attempt(script.clone(), "new sign-in to see the roles").await?;
                    effect.again = attempt;
                    (visitor, Instant::now())
                }
            };
            effect.fresh = read_page(stage, &visitor.0, page, "roles after a new sign-in").await?;
            effect.fresh_ms = elapsed_ms(since);
            if fits(&effect.fresh) || over {
                return Ok((effect, Some(visitor.0)));
            }
            entered = Some(visitor);
        }
        stage.wait_until(asked + pause(stage), "roles to take effect").await;
    }
}
