//! app-session: sessions that must end with `session_expiry`, watched over their whole life. All browsers wait at the same time.
//!
//! ```text
//! T0   login: session_expiry T0+90, exp T0+40                 active | idle | API | four of refresh tokens
//!      15, 38, 45, 56, 75: the protected page                 active
//!      from T0+91 until its end is seen                       active, refresh
//!      once, at T0+105                                        idle, API
//! T1   login again (or the refresh itself): T1+30             active; page at T1+10, from T1+31 until its end is seen
//! ```

mod checks;
pub mod course;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::counterpart::provider::{Script, Twist};
use crate::stage::Stage;
use crate::stage::visitor::Visitor;
use crate::suite::{Check, Obstacle, Scenario};
use checks::{
    a_refresh_is_validated, a_session_outlives_its_id_token, activity_does_not_extend, api_ends_with_the_session,
    the_new_assertion_governs, the_session_ends,
};
use course::{Contact, Course, Watch};

/// Seconds of life of the first session.
pub const LIFE_S: i64 = 90;
/// Seconds until the first ID token expires.
pub const EXP_S: i64 = 40;
/// Seconds of life after re-validation.
const SECOND_LIFE_S: i64 = 30;
/// The same where the application takes no session as short as that.
const LONGER_LIFE_S: i64 = 65;
/// Seconds after which an ended session must be seen as ended.
const LEEWAY_S: u64 = 15;
/// Largest leeway that the operator may ask for, in seconds; also how much earlier than told a session may end.
pub const EARLY_S: u64 = 60;
/// Seconds by which two clocks may differ without being told apart.
const CLOCK_S: f64 = 5.0;
/// Looks at the page before the end, in seconds: just before and after `exp`, and late enough to tell them from an early end.
const BROWSE_S: [u64; 5] = [15, 38, 45, 56, 75];
/// A session after re-validation must live so long, in seconds.
pub const LIVES_S: u64 = 10;

/// The life of sessions.
pub struct Session;

/// What was seen of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Seconds after `session_expiry` until which a session may be noticed as ended.
    pub leeway_s: u64,
    /// The application's clock minus the suite's, in seconds, where they differ enough to count.
    pub clock_s: f64,
    /// A browser that is used all the time.
    pub active: Course,
    /// A browser that is left alone until the end.
    pub idle: Course,
    /// A browser that only calls the API; `None` where none is declared or nobody asked.
    pub api: Option<Course>,
    /// The API answers nobody as it answers a signed-in user.
    pub api_open: bool,
    /// The active browser after re-validation; `None` where its first session did not end.
    pub second: Option<Second>,
    /// The application asks for refresh tokens.
    pub offline: bool,
    /// Browsers whose refreshes are answered in different ways.
    pub refreshed: Vec<Refreshed>,
    /// A conforming login after the end succeeded.
    pub after: bool,
}

/// A session after re-validation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Second {
    /// Seconds of life that it was given.
    pub life_s: i64,
    /// It was renewed by refresh token, not by a login.
    pub by_refresh: bool,
    /// Its course, in seconds since then.
    pub course: Course,
}

/// A session whose refresh is answered in a certain way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Refreshed {
    /// The answer conforms.
    pub good: bool,
    /// Its course.
    pub course: Course,
}

impl Scenario for Session {
    type Seen = Seen;
    const ID: &'static str = "app-session";
    const TITLE: &'static str = "waits for sessions to end with session_expiry, active and idle, by page and by API";
    const TIMED: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.app.session-expiry-enforced", the_session_ends),
        Check::new("sl1.app.session-expiry-api", api_ends_with_the_session),
        Check::new("sl1.app.session-expiry-not-sliding", activity_does_not_extend),
        Check::new("sl1.app.session-not-bound-to-exp", a_session_outlives_its_id_token),
        Check::new("sl1.app.session-renewed-from-assertion", the_new_assertion_governs),
        Check::new("sl1.app.refresh-revalidation", a_refresh_is_validated),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let app = stage.app()?;
        // A hook that restarts the application would end the sessions.
        let _kept = app.sessions.read().await;
        let leeway_s = app.app.granularity_s.clamp(LEEWAY_S, EARLY_S);
        let clock_s = course::clock(stage).await?.filter(|difference| difference.abs() > CLOCK_S).unwrap_or(0.0);
        let mut seen = Seen { leeway_s, clock_s, ..Seen::default() };
        let plan = Timing { leeway_s, clock_s };
        let script = Script { refreshed_s: Some(SECOND_LIFE_S), ..first_life(stage)? };
        let active = Watch::begin(stage, script, "active browser", clock_s).await?;
        stage.control(active.course.login.signed_in());
        let log = app.provider.log();
        let asked = log.authorizations_of(&active.visitor.id);
        seen.offline =
            asked.iter().any(|seen| seen.get("scope").is_some_and(|scope| scope.split(' ').any(|one| one == "offline_access")));
        let offline = seen.offline && stage.wants("sl1.app.refresh-revalidation");

        let (active, idle, api, refreshed) =
            tokio::join!(plan.active(stage, active), plan.idle(stage), plan.api(stage), plan.refreshes(stage, offline));
        (seen.active, seen.second) = active?;
        (seen.idle, seen.after) = idle?;
        (seen.api, seen.api_open) = api?;
        seen.refreshed = refreshed?;
        Ok(seen)
    }
}

fn first_life(stage: &Stage) -> Result<Script, Obstacle> {
    let user = &stage.app()?.users[0];
    Ok(Script { session_s: Some(LIFE_S), exp_s: Some(EXP_S), ..Script::of(user) })
}

/// The same with an ID token that outlives the session: who ends sessions with the token alone does not end this one.
fn long_token(stage: &Stage) -> Result<Script, Obstacle> {
    Ok(Script { exp_s: None, ..first_life(stage)? })
}

/// The times that all browsers keep.
struct Timing {
    leeway_s: u64,
    clock_s: f64,
}

impl Timing {
    /// Used all the time, and once more after re-validation.
    async fn active(&self, stage: &Stage, mut watch: Watch) -> Result<(Course, Option<Second>), Obstacle> {
        if !watch.course.login.signed_in() {
            return Ok((watch.end(stage)?.1, None));
        }
        for at in BROWSE_S {
            if watch.look_at(stage, at as f64, "the session to be used").await? == Some(false) {
                break;
            }
        }
        watch.until_ended(stage, self.leeway_s, true).await?;
        let (id, t0) = (watch.visitor.id.clone(), watch.t0);
        let (visitor, course) = watch.end(stage)?;
        let (ended, early) = (course.ended().is_some(), course.early_s());
        let renewed = course.renewed().cloned();
        if !stage.wants("sl1.app.session-renewed-from-assertion") || !(ended || renewed.is_some()) {
            return Ok((course, None));
        }
        let second = match renewed.filter(|_| !ended) {
            // The refresh has renewed it already.
            Some(Contact { at_s, .. }) => {
                let t1 = t0 + Duration::from_secs_f64(at_s);
                let watch = Watch::resume(visitor, t1, SECOND_LIFE_S, self.clock_s);
                self.second(stage, watch, SECOND_LIFE_S, None).await?
            }
            None => {
                let script = Script::of(&stage.app()?.users[0]);
                // Where it ends early, the second life is longer by as much, so that it can be seen at all.
                let life_s = SECOND_LIFE_S + early;
                let short = Script { session_s: Some(life_s), refreshed_s: Some(life_s), ..script.clone() };
                let mut watch = Watch::again(stage, visitor, short, "login after the end of the session", self.clock_s).await?;
                let mut life = life_s;
                if !watch.course.login.signed_in() && life_s < LONGER_LIFE_S {
                    life = LONGER_LIFE_S;
                    let longer = Script { session_s: Some(life), refreshed_s: Some(life), ..script };
                    let label = "login after the end of the session, for longer";
                    watch = Watch::again(stage, watch.visitor, longer, label, self.clock_s).await?;
                }
                self.second(stage, watch, life, Some(early)).await?
            }
        };
        stage.app()?.provider.silence(&id);
        Ok((course, Some(second)))
    }

    /// A session after re-validation: by a login, with the seconds by which the first one ended early, or by the refresh itself.
    async fn second(&self, stage: &Stage, mut watch: Watch, life_s: i64, login: Option<i64>) -> Result<Second, Obstacle> {
        let by_refresh = login.is_none();
        if by_refresh || watch.course.login.signed_in() {
            watch.look_at(stage, LIVES_S as f64, "the renewed session to be used").await?;
            watch.until_early_end(stage, login.unwrap_or(0)).await?;
            watch.until_ended(stage, self.leeway_s, true).await?;
        }
        Ok(Second { life_s, by_refresh, course: watch.end(stage)?.1 })
    }

    /// Left alone until the end; then the control.
    async fn idle(&self, stage: &Stage) -> Result<(Course, bool), Obstacle> {
        let mut watch = Watch::begin(stage, long_token(stage)?, "idle browser", self.clock_s).await?;
        if watch.course.login.signed_in() {
            watch.at_the_limit(stage, self.leeway_s).await?;
        }
        let after = stage.login_control("control: conforming login").await?.signed_in();
        Ok((watch.end(stage)?.1, after))
    }

    /// Calls the API only: a page that ends the session would hide what the API does.
    async fn api(&self, stage: &Stage) -> Result<(Option<Course>, bool), Obstacle> {
        if stage.app()?.app.api.is_none() || !stage.wants("sl1.app.session-expiry-api") {
            return Ok((None, false));
        }
        let open = {
            let _undisturbed = stage.undisturbed().await?;
            let nobody = Visitor::new(stage, "API call of nobody").await?;
            course::call(stage, &nobody, "API call of nobody").await?.signed_in
        };
        let mut watch = Watch::begin(stage, long_token(stage)?, "browser that calls the API", self.clock_s).await?;
        watch.by_api();
        if watch.course.login.signed_in() {
            watch.look(stage, "API call, signed in").await?;
            watch.at_the_limit(stage, self.leeway_s).await?;
        }
        Ok((Some(watch.end(stage)?.1), open))
    }

    /// One browser for every way to answer a refresh.
    async fn refreshes(&self, stage: &Stage, offline: bool) -> Result<Vec<Refreshed>, Obstacle> {
        let ways = [
            ("refresh answered as it should be", None),
            ("refresh answered with invalid_grant", Some(Twist::RefreshRefused)),
            ("refresh with an ID token of another user", Some(Twist::RefreshOtherSub)),
            ("refresh without an ID token", Some(Twist::RefreshNoIdToken)),
        ];
        let ways = ways.into_iter().filter(|_| offline).map(|(label, twist)| async move {
            let mut watch = Watch::begin(stage, first_life(stage)?, label, self.clock_s).await?;
            stage.app()?.provider.refresh_answer(&watch.visitor.id, twist);
            if watch.course.login.signed_in() {
                watch.until_ended(stage, self.leeway_s, twist.is_none()).await?;
            }
            Ok(Refreshed { good: twist.is_none(), course: watch.end(stage)?.1 })
        });
        futures_util::future::try_join_all(ways).await
    }
}
