//! The report: the one source every format is rendered from (`report.json`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::evidence::{Exchange, ExchangeId, Shot};
use super::level::{Level, Role, Strength};
use super::verdict::{Fault, LevelVerdict, Verdict};

/// The value of `schema` in a report of this version.
pub const SCHEMA: &str = "ipsie-conform/report/1";

/// A finished (or interrupted) run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The program that made it.
    pub tool: Tool,
    /// What was demanded.
    pub catalogue: CatalogueInfo,
    /// When and how much.
    pub run: RunInfo,
    /// Against what.
    pub target: TargetInfo,
    /// One row per level and role.
    pub levels: Vec<LevelRow>,
    /// One row per requirement of those levels.
    pub requirements: Vec<RequirementRow>,
    /// One row per clause, in catalogue order.
    pub clauses: Vec<ClauseRow>,
    /// One row per scenario, in the order they started.
    pub scenarios: Vec<ScenarioRow>,
    /// What went wrong besides the verdicts.
    pub faults: Vec<Fault>,
}

/// Evidence of a run, kept beside the report.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// Every recorded exchange, in the order they began.
    pub exchanges: Vec<Exchange>,
    /// Every screenshot.
    pub shots: Vec<Shot>,
}

/// The program that made a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Tool {
    pub name: String,
    pub version: String,
}

/// What was demanded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CatalogueInfo {
    /// The dated state of the levels.
    pub edition: String,
    /// A profile judged by in place of the levels (`al1-scim-draft`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// SHA-256 over the profile files.
    pub digest: String,
}

/// When and how much.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunInfo {
    /// Also tags what the run creates at the target.
    pub id: String,
    /// Start.
    pub started_at: Timestamp,
    /// End.
    pub finished_at: Timestamp,
    /// Wall time in seconds.
    pub wall_s: f64,
    /// Seconds in which at least one scenario waited for the clock; waits that overlap count once.
    pub waited_s: f64,
    /// Requests sent, by the suite and by its browser (main documents and script requests).
    pub requests: u64,
    /// Logins typed.
    pub logins: u64,
    /// Which user agent signed in, e.g. `chrome 156.0` or `form`.
    pub browser: String,
    /// Ended by Ctrl-C or a fault before all scenarios were played.
    pub interrupted: bool,
    /// The run left clauses out that must wait.
    #[serde(default)]
    pub fast: bool,
    /// What the run made at the target and could not remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

/// Against what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetInfo {
    /// As the target file says.
    pub name: String,
    /// The roles tested.
    pub roles: Vec<Role>,
    /// True for the embedded reference peers: the run certifies nothing.
    pub embedded: bool,
    /// SHA-256 over the target file (secrets are named there, not written).
    pub config_digest: String,
    /// What identifies the deployment: issuer, `Server` header, metadata digest.
    pub fingerprint: BTreeMap<String, String>,
}

/// A level of one role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LevelRow {
    /// The level.
    pub level: Level,
    /// The role.
    pub role: Role,
    /// Conformant, non-conformant or incomplete.
    pub verdict: LevelVerdict,
    /// Clauses per verdict; verdicts with none are left out.
    pub counts: BTreeMap<Verdict, usize>,
}

/// A requirement with its clauses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequirementRow {
    /// `level.role.slug`.
    pub id: String,
    /// The lowest level that demands it.
    pub level: Level,
    /// Whose duty it is.
    pub role: Role,
    /// One sentence.
    pub statement: String,
    /// The worst verdict of its gating clauses, else of all.
    pub verdict: Verdict,
    /// Ids of its clauses.
    pub clauses: Vec<String>,
}

/// A clause with its verdict.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClauseRow {
    /// `level.role.slug`.
    pub id: String,
    /// The lowest level that demands it.
    pub level: Level,
    /// Whose duty it is.
    pub role: Role,
    /// Id of the requirement it serves.
    pub requirement: String,
    /// The protocol by which the requirement is met.
    pub binding: String,
    /// MUST, SHOULD, ...
    pub strength: Strength,
    /// One sentence.
    pub statement: String,
    /// Document and section.
    pub source: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// What a conforming target shows.
    pub expected: String,
    /// What was seen.
    pub observed: String,
    /// The scenario that decided it; empty where none was played.
    pub scenario: String,
    /// The exchanges the verdict rests on; for a fail the offending one stands first.
    pub evidence: Vec<ExchangeId>,
    /// Milliseconds of the scenario that decided it.
    pub duration_ms: u64,
    /// A known failure of the baseline file, with its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// It does not gate in this run although its strength says so: another way that the level allows is met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excused: Option<String>,
}

impl ClauseRow {
    /// Does the level's verdict hang on it?
    pub fn gates(&self) -> bool {
        self.strength.gates() && self.excused.is_none()
    }
}

/// How a scenario went.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScenarioRow {
    /// The scenario's name.
    pub id: String,
    /// One line: what it does.
    pub title: String,
    /// `played`, `obstacle`, `skipped`, `interrupted`.
    pub outcome: String,
    /// Why, when not played.
    #[serde(default)]
    pub note: String,
    /// Milliseconds from start to end.
    pub duration_ms: u64,
    /// Milliseconds of it spent waiting for the clock.
    pub waited_ms: u64,
    /// Controls that succeeded and that failed.
    pub controls: Controls,
}

/// Controls of a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Controls {
    pub held: u32,
    pub failed: u32,
}
