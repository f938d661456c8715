//! Requests in large numbers, up to a limit that no shared system minds: at most 50 in a second, for at most 30 s.

use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::{Deserialize, Serialize};

use crate::counterpart::scim_client::{Answer, Call};
use crate::counterpart::token::http_date;
use crate::stage::Stage;
use crate::suite::Obstacle;

/// Requests in a second.
const RATE: u32 = 50;
/// Seconds.
const LONGEST: u64 = 30;
/// A longer Retry-After is not waited out, in seconds.
const PATIENCE: i64 = 120;

/// What the load showed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LoadSeen {
    /// Requests that were sent.
    pub sent: u32,
    /// The first answer that was neither 2xx nor 4xx other than 429: the limit, or a breakdown.
    pub stopped: Option<Answer>,
    /// Seconds that `Retry-After` names.
    pub retry_after_s: Option<i64>,
    /// The answer after that time.
    pub after: Option<Answer>,
}

/// Sends until something gives.
pub async fn load(stage: &Stage) -> Result<LoadSeen, Obstacle> {
    let mut seen = LoadSeen::default();
    let list = || Call::get("/Users").query("count", "1");
    let until = Instant::now() + stage.world.patience(LONGEST);
    while seen.stopped.is_none() && Instant::now() < until {
        let second = Instant::now() + Duration::from_secs(1);
        let mut burst: FuturesUnordered<_> = (0..RATE).map(|_| stage.scim_send("one of many", list())).collect();
        seen.sent += RATE;
        while let Some(answer) = burst.next().await {
            let answer = answer?;
            if answer.status == 429 || answer.status == 0 || answer.status >= 500 {
                seen.stopped.get_or_insert(answer);
            }
        }
        drop(burst);
        if seen.stopped.is_none() {
            stage.wait_until(second.min(until), "the next burst").await;
        }
    }
    let Some(stopped) = &seen.stopped else { return Ok(seen) };
    seen.retry_after_s = stopped.header("retry-after").and_then(seconds);
    let pause = seen.retry_after_s.unwrap_or(1).clamp(0, PATIENCE);
    stage.wait_until(Instant::now() + Duration::from_secs(pause.unsigned_abs()), "the limit to be over").await;
    seen.after = Some(stage.scim_send("after the limit", list()).await?);
    Ok(seen)
}

/// Seconds from now that a Retry-After names (RFC 9110 10.2.3): a number or a date.
fn seconds(value: &str) -> Option<i64> {
    let value = value.trim();
    value.parse().ok().filter(|seconds| *seconds >= 0).or_else(|| Some(http_date(value)? - jiff::Timestamp::now().as_second()))
}
