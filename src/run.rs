//! Plays a plan: sets the stage, plays scenarios as soon as what they need has ended, and gathers observations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::catalogue::Catalogue;
use crate::error::Error;
use crate::event::{Event, Sink};
use crate::judge::{self, Observation, Observations, Stopped};
use crate::model::report::{CatalogueInfo, Controls, Evidence, Report, RunInfo, SCHEMA, ScenarioRow, TargetInfo, Tool};
use crate::model::{Fault, FaultClass};
use crate::plan::Plan;
use crate::set_stage::{Needs, Set, Setting};
use crate::stage::{CLEAN_UP, Stage, World};
use crate::suite::{Obstacle, Suite, comes_after};
use crate::target_file::hex;

/// No scenario takes longer; one that does hangs on a hostile target.
const SCENARIO_LIMIT: Duration = Duration::from_secs(600);
/// Provisioning cycles that a scenario passes through, at most.
const CYCLES: u32 = 12;
/// Time for undoing changes at the target when the run ends.
const UNDO_LIMIT: Duration = Duration::from_secs(20);

/// What a run leaves behind.
#[derive(Debug)]
pub struct Finished {
    /// The report.
    pub report: Report,
    /// What was sent and seen.
    pub evidence: Evidence,
    /// PNG bytes of the screenshots, in the order of the evidence.
    pub pngs: Vec<Vec<u8>>,
    /// What the scenarios saw, for `recheck`.
    pub observations: Observations,
}

/// Runs a plan against a target. `stop` turns true when the run shall end early; what was found so far is reported.
///
/// # Errors
/// A prerequisite failed before the first scenario.
pub async fn run(
    catalogue: &Catalogue,
    plan: &Plan,
    setting: Setting,
    events: Sink,
    stop: watch::Receiver<bool>,
) -> Result<Finished, Error> {
    let started = (Timestamp::now(), Instant::now());
    let fast = setting.fast;
    let jobs = setting.jobs.max(1);
    let embedded = setting.embedded;
    let config_digest = setting.digest.clone();
    let mut stopped_early = stop.clone();
    let set = tokio::select! {
        set = Set::up(setting, Needs::of(plan, catalogue), events.clone()) => set?,
        _ = stopped_early.wait_for(|stop| *stop) => return Err(Error::prerequisite("interrupted before the first scenario", "Nothing was tested.")),
    };
    let world = set.world.clone();
    events(Event::Planned { clauses: plan.tested().count(), scenarios: plan.suites.len(), browser: world.agent.name() });

    let (scenarios, interrupted) = play(plan, &world, jobs, &events, stop).await;
    let undo = Stage::new(world.clone(), CLEAN_UP);
    if tokio::time::timeout(UNDO_LIMIT, undo.undo_all()).await.is_err() {
        undo.leave("not everything could be removed in time; the next run of this target removes the rest with --sweep");
    }
    world.agent.close().await;

    let observations = Observations { scenarios, attest: world.target.attest.clone(), fates: plan.fates() };
    let (requests, logins, waited) = world.recorder.counts();
    let (evidence, pngs) = world.recorder.evidence();
    let clauses = judge::clauses(plan, &observations);
    let report = Report {
        schema: SCHEMA.into(),
        tool: Tool { name: env!("CARGO_PKG_NAME").into(), version: env!("CARGO_PKG_VERSION").into() },
        catalogue: CatalogueInfo {
            edition: plan.edition.clone(),
            profile: plan.profile.map(|profile| profile.name().into()),
            digest: catalogue.digest.clone(),
        },
        run: RunInfo {
            id: world.run_id.clone(),
            started_at: started.0,
            finished_at: Timestamp::now(),
            wall_s: (started.1.elapsed().as_secs_f64() * 100.0).round() / 100.0,
            waited_s: (waited.as_secs_f64() * 100.0).round() / 100.0,
            requests,
            logins,
            browser: world.agent.name(),
            interrupted,
            fast,
            left: std::mem::take(&mut *world.left.lock().unwrap_or_else(std::sync::PoisonError::into_inner)),
        },
        target: TargetInfo {
            name: world.target.target.name.clone(),
            roles: plan.roles.clone(),
            embedded,
            config_digest,
            fingerprint: fingerprint(&world),
        },
        levels: judge::levels(plan, &clauses),
        requirements: judge::requirements(catalogue, &clauses),
        clauses,
        scenarios: plan.suites.iter().map(|suite| scenario_row(*suite, &observations)).collect(),
        faults: faults(&observations),
    };
    Ok(Finished { report, evidence, pngs, observations })
}

/// Plays the scenarios; each starts when all it comes after have ended.
async fn play(
    plan: &Plan,
    world: &Arc<World>,
    jobs: usize,
    events: &Sink,
    mut stop: watch::Receiver<bool>,
) -> (Vec<Observation>, bool) {
    let places = Arc::new(Semaphore::new(jobs));
    let mut waiting: Vec<&'static dyn Suite> = plan.suites.clone();
    waiting.sort_by_key(|suite| !suite.timed());
    let mut ended: BTreeSet<&str> = BTreeSet::new();
    let mut running = JoinSet::new();
    let mut names: BTreeMap<tokio::task::Id, (&'static str, Instant)> = BTreeMap::new();
    let mut observations: Vec<Observation> = Vec::new();
    let planned: Vec<&'static dyn Suite> = plan.suites.clone();
    loop {
        let mut later = Vec::new();
        for suite in waiting {
            let ready = planned.iter().all(|other| !comes_after(suite, *other) || ended.contains(other.id()));
            if ready {
                let (world, places, events) = (world.clone(), places.clone(), events.clone());
                // Taken here, so that those who come first in the list do start first.
                let place = if suite.timed() { places.clone().try_acquire_owned().ok() } else { None };
                let handle = running.spawn(async move { one(suite, world, places, place, events).await });
                names.insert(handle.id(), (suite.id(), Instant::now()));
            } else {
                later.push(suite);
            }
        }
        waiting = later;
        let next = tokio::select! {
            next = running.join_next_with_id() => next,
            _ = stop.wait_for(|stop| *stop) => {
                running.abort_all();
                return (observations, true);
            }
        };
        let observation = match next {
            None => return (observations, false),
            Some(Ok((_, observation))) => observation,
            Some(Err(crash)) => crashed(&names, &crash),
        };
        let name = planned.iter().find(|suite| suite.id() == observation.scenario).map(|suite| suite.id()).unwrap_or_default();
        ended.insert(name);
        for row in judge::of_scenario(plan, &observation, &world.target.attest) {
            events(Event::Decided { clause: row.id, verdict: row.verdict, reason: row.reason });
        }
        let obstacle = observation.outcome.as_ref().err().map(|stopped| stopped.message.clone());
        events(Event::Ended { scenario: name.into(), obstacle, duration_ms: observation.duration_ms });
        observations.push(observation);
    }
}

async fn one(
    suite: &'static dyn Suite,
    world: Arc<World>,
    places: Arc<Semaphore>,
    place: Option<OwnedSemaphorePermit>,
    events: Sink,
) -> Observation {
    let _turn = if suite.in_session() { Some(world.session.clone().lock_owned().await) } else { None };
    let _place = match place {
        // It waits for cycles, not for the machine.
        None if suite.provisioned() => None,
        None => places.acquire_owned().await.ok(),
        taken => taken,
    };
    // A scenario of provisioning passes through several cycles.
    let cycles = if suite.provisioned() { world.cycle() * CYCLES } else { Duration::ZERO };
    let waits = if world.embedded { Duration::ZERO } else { Duration::from_secs(suite.waits_s()) };
    let limit = SCENARIO_LIMIT + cycles + waits;
    events(Event::Started { scenario: suite.id().into(), title: suite.title().into() });
    let stage = Stage::new(world, suite.id()).timed(suite.timed());
    let clock = Instant::now();
    let outcome = match tokio::time::timeout(limit, suite.play(&stage)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Obstacle::target(
            format!("{} did not end within {} s", suite.id(), limit.as_secs()),
            "The target may hold connections open; see the last exchanges of the scenario.",
        )),
    };
    let (controls, waited_ms) = stage.tally();
    Observation {
        scenario: suite.id().into(),
        outcome: outcome.map_err(|obstacle| Stopped { class: obstacle.class, message: obstacle.message, hint: obstacle.hint }),
        duration_ms: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
        waited_ms,
        controls,
    }
}

fn crashed(names: &BTreeMap<tokio::task::Id, (&'static str, Instant)>, crash: &tokio::task::JoinError) -> Observation {
    let (name, since) = names.get(&crash.id()).copied().unwrap_or(("unknown", Instant::now()));
    Observation {
        scenario: name.into(),
        outcome: Err(Stopped {
            class: FaultClass::Suite,
            message: format!("{name} crashed: {crash}"),
            hint: "This is a defect of ipsie-conform; please report it with the run's directory.".into(),
        }),
        duration_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
        waited_ms: 0,
        controls: Controls::default(),
    }
}

fn scenario_row(suite: &dyn Suite, observations: &Observations) -> ScenarioRow {
    let seen = observations.scenarios.iter().find(|seen| seen.scenario == suite.id());
    let (outcome, note) = match seen.map(|seen| &seen.outcome) {
        Some(Ok(_)) => ("played", String::new()),
        Some(Err(stopped)) => ("obstacle", stopped.message.clone()),
        None => ("interrupted", "the run ended before".into()),
    };
    ScenarioRow {
        id: suite.id().into(),
        title: suite.title().into(),
        outcome: outcome.into(),
        note,
        duration_ms: seen.map_or(0, |seen| seen.duration_ms),
        waited_ms: seen.map_or(0, |seen| seen.waited_ms),
        controls: seen.map(|seen| seen.controls).unwrap_or_default(),
    }
}

/// One fault per cause: that nobody is signed in follows from the login's own fault.
fn faults(observations: &Observations) -> Vec<Fault> {
    let mut out: Vec<Fault> = Vec::new();
    for stopped in observations.scenarios.iter().filter_map(|seen| seen.outcome.as_ref().err()) {
        let known = out.iter().any(|fault| fault.message == stopped.message);
        if !known && !stopped.message.starts_with("nobody is signed in") {
            out.push(Fault { class: stopped.class, message: stopped.message.clone(), hint: stopped.hint.clone() });
        }
    }
    out
}

fn fingerprint(world: &World) -> BTreeMap<String, String> {
    let mut out = BTreeMap::from([("issuer".to_owned(), world.idp.issuer.clone())]);
    if let Some(reply) = &world.discovery.reply {
        out.insert("metadata_sha256".into(), hex(digest(&SHA256, &reply.body).as_ref()));
        if let Some(server) = reply.header("server") {
            out.insert("server".into(), server.to_owned());
        }
    }
    out
}
