//! scim-load: requests in large numbers, up to a limit that no shared system minds: at most 50 in a second, for at most 30 s.
//! It comes after everything else, because whoever calls meanwhile meets the limit too.

use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::{Deserialize, Serialize};

use crate::counterpart::scim_client::{Answer, Call};
use crate::model::Judgement;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::scim_blocks::cite;

/// Requests in a second.
const RATE: u32 = 50;
/// Seconds.
const LONGEST: u64 = 30;
/// A longer Retry-After is not waited out, in seconds.
const PATIENCE: i64 = 120;

/// Many requests.
pub struct Load;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Requests in large numbers; `None` where they were not allowed.
    pub load: Option<LoadSeen>,
}

/// What the load showed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LoadSeen {
    /// Requests that were sent.
    pub sent: u32,
    /// The first answer that was neither 2xx nor 4xx other than 429: the limit, or a breakdown.
    pub stopped: Option<Answer>,
    /// Seconds that `Retry-After` names.
    pub retry_after_s: Option<i64>,
    /// The answer after that time; none where it is longer than two minutes.
    pub after: Option<Answer>,
}

impl Scenario for Load {
    type Seen = Seen;
    const ID: &'static str = "scim-load";
    const TITLE: &'static str = "sends many requests, where that is allowed, and looks how the service provider tells its limit";
    const AFTER: &'static [&'static str] = &["*"];
    const BROWSER: bool = false;
    const CHECKS: &'static [Check<Seen>] = &[Check::new("al1.app.rate-limit-429", the_limit_is_told)];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let load = if stage.world.allow_load { Some(load(stage).await?) } else { None };
        Ok(Seen { load })
    }
}

/// Sends until something gives.
async fn load(stage: &Stage) -> Result<LoadSeen, Obstacle> {
    let mut seen = LoadSeen::default();
    let list = Call::get("/Users").query("count", "1");
    let until = Instant::now() + stage.world.patience(LONGEST);
    while seen.stopped.is_none() && Instant::now() < until {
        let second = Instant::now() + Duration::from_secs(1);
        let mut burst: FuturesUnordered<_> = (0..RATE).map(|_| stage.scim_once("one of many", &list)).collect();
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
    seen.retry_after_s = stopped.retry_after();
    let pause = seen.retry_after_s.unwrap_or(1);
    if pause <= PATIENCE {
        stage.wait_until(Instant::now() + Duration::from_secs(pause.unsigned_abs()), "the limit to be over").await;
        seen.after = Some(stage.scim_once("after the limit", &list).await?);
    }
    Ok(seen)
}

fn the_limit_is_told(seen: &Seen) -> Judgement {
    let Some(load) = &seen.load else {
        return Judgement::not_configured("--allow-load was not given: no limit was looked for");
    };
    let Some(stopped) = &load.stopped else {
        let why = format!("no limit was reached in {} requests: its documentation has to say it", load.sent);
        return Judgement::undecided(why);
    };
    let at = cite(stopped);
    match (stopped.status, load.retry_after_s, &load.after) {
        (0, ..) => Judgement::undecided(format!("a request of many got no answer: {}", stopped.describe())).cite(at),
        (429, None, _) => Judgement::broken("429 without a Retry-After").cite(at),
        (429, Some(pause), None) => {
            Judgement::undecided(format!("Retry-After names {pause} s, which were not waited for")).cite(at)
        }
        (429, Some(_), Some(after)) if after.ok() => {
            Judgement::pass("429 with Retry-After, and the next request after that time works").cite(at)
        }
        (429, Some(_), Some(after)) if after.silent() => {
            Judgement::undecided(format!("after the time of Retry-After: {}", after.describe())).cite(at)
        }
        (429, Some(_), Some(after)) => {
            let what = format!("after the time of Retry-After the interface does not recover: {}", after.describe());
            Judgement::broken(what).cite(at)
        }
        (503, Some(_), _) => Judgement::doubtful("503 with Retry-After in place of 429").cite(at),
        _ => Judgement::broken(format!("beyond a limit the interface breaks down: {}", stopped.describe())).cite(at),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::model::Call::{self as Verdict, Broken, Doubtful, NotConfigured, Pass, Undecided};
    use crate::suites::scim_blocks::samples::answer;

    #[test]
    fn a_limit_is_told_with_its_end() {
        let judge = |change: fn(&mut LoadSeen)| -> Verdict {
            let (stopped, after) = (Some(answer(429, Value::Null)), Some(answer(200, Value::Null)));
            let mut load = LoadSeen { sent: 50, stopped, retry_after_s: Some(1), after };
            change(&mut load);
            the_limit_is_told(&Seen { load: Some(load) }).call
        };
        assert_eq!(judge(|_| ()), Pass);
        assert_eq!(judge(|load| load.stopped = None), Undecided);
        assert_eq!(judge(|load| load.stopped = Some(answer(0, Value::Null))), Undecided);
        assert_eq!(judge(|load| load.stopped = Some(answer(500, Value::Null))), Broken);
        assert_eq!(judge(|load| load.stopped = Some(answer(503, Value::Null))), Doubtful);
        assert_eq!(judge(|load| load.retry_after_s = None), Broken);
        assert_eq!(judge(|load| load.after = None), Undecided);
        assert_eq!(judge(|load| load.after = Some(answer(0, Value::Null))), Undecided);
        assert_eq!(judge(|load| load.after = Some(answer(500, Value::Null))), Broken);
        assert_eq!(the_limit_is_told(&Seen::default()).call, NotConfigured);
    }
}
