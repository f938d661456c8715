//! provision-large-group: a group of two thousand members. By itself, because it keeps the identity service busy.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::course::{Course, User};
use crate::counterpart::scim_receiver::TENANT;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// Members of a large group.
const LARGE: usize = 2000;
/// Seconds without a request after which nothing more is expected of a service that is otherwise quick.
const QUIET_S: u64 = 20;
/// Seconds that they are given at most beyond a cycle.
const MOST: Duration = Duration::from_secs(540);

/// A large group.
pub struct LargeGroup;

/// What became of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Why it could not be played.
    pub obstacle: Option<String>,
    /// Members in the end; `None` where it was not played.
    pub size: Option<usize>,
    /// Writes of the group, with the bytes of their bodies and what was answered.
    pub writes: Vec<(String, usize, u16)>,
    /// The hook's exchange and those of the first writes.
    pub cites: Vec<ExchangeId>,
}

impl Scenario for LargeGroup {
    type Seen = Seen;
    const ID: &'static str = "provision-large-group";
    const TITLE: &'static str = "puts two thousand members into a group at the identity service";
    const AFTER: &'static [&'static str] = &["*", "provision-last"];
    const BROWSER: bool = false;
    const PROVISIONED: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[Check::new("al2.idp.group-large", a_large_group_is_complete)];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let course = Course::open(stage)?;
        let mut seen = Seen::default();
        if !course.has("fill-group") || !stage.world.allow_load {
            return Ok(seen);
        }
        let group = format!("Suite large {}", stage.world.run_id);
        course.receiver.tag(&group, stage.scenario);
        let mark = course.receiver.log().mark();
        let count = LARGE.to_string();
        match course.hook("fill-group", &User::default(), &[("group", &group), ("count", &count)]).await {
            Err(obstacle) => seen.obstacle = Some(obstacle.message),
            Ok(cite) => {
                course.now().await;
                let found = || course.receiver.group_named(&group).unwrap_or_default();
                let size = || found()["members"].as_array().map_or(0, Vec::len);
                let (pause, until) = (course.cycle().max(Duration::from_secs(QUIET_S)), Instant::now() + course.cycle() + MOST);
                loop {
                    let before = course.receiver.log().mark();
                    let held = course.wait_for("a large group", pause, || size() >= LARGE).await;
                    // As long as something arrives, it goes on.
                    if held || course.receiver.log().mark() == before || Instant::now() >= until {
                        break;
                    }
                }
                seen.size = Some(size());
                let id = found()["id"].as_str().unwrap_or_default().to_owned();
                let writes = course.receiver.log().since(mark, |entry| entry.writes() && !id.is_empty() && entry.touches(&id));
                seen.writes = writes.iter().take(20).map(|entry| (entry.method.clone(), entry.raw.len(), entry.status)).collect();
                seen.cites = writes.iter().take(5).map(|entry| entry.exchange.clone()).chain([cite]).collect();
            }
        }
        if course.has("delete-group") {
            let undo = course.undo_later("delete-group", &User::default(), &[("group", &group)]);
            stage.undo_now(undo).await;
        }
        let engine = course.receiver.engine();
        for left in engine.groups(TENANT).iter().filter(|left| left["displayName"].as_str() == Some(&group)) {
            engine.remove_group(left["id"].as_str().unwrap_or_default());
        }
        Ok(seen)
    }
}

fn a_large_group_is_complete(seen: &Seen) -> Judgement {
    match (seen.size, &seen.obstacle) {
        (_, Some(why)) => Judgement::undecided(why.as_str()),
        (None, None) => Judgement::undecided("not tried: a group of 2000 needs hooks.fill-group and --allow-load"),
        (Some(size), None) => {
            let largest = seen.writes.iter().map(|(_, bytes, _)| *bytes).max().unwrap_or_default();
            let judgement = if size >= LARGE {
                Judgement::pass(format!(
                    "{size} members are there; the largest of {} writes has {largest} bytes",
                    seen.writes.len()
                ))
            } else {
                Judgement::broken("the group is not complete")
            };
            judgement.expected(LARGE.to_string(), size.to_string()).cite(&seen.cites)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;

    #[test]
    fn all_members_must_arrive() {
        let of = |size| a_large_group_is_complete(&Seen { size, ..Seen::default() }).call;
        assert_eq!(of(Some(2000)), Call::Pass);
        assert_eq!(of(Some(1000)), Call::Broken);
        assert_eq!(of(None), Call::Undecided);
        let blocked = Seen { obstacle: Some("the hook failed".into()), ..Seen::default() };
        assert_eq!(a_large_group_is_complete(&blocked).call, Call::Undecided);
    }
}
