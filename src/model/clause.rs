//! Requirements (lines of the IPSIE levels) and clauses (what a test decides).

use serde::{Deserialize, Serialize};

use super::level::{Level, Role, Strength};

/// A clause's name, `level.role.slug`; stable forever.
pub type ClauseId = String;

/// A line of the IPSIE levels, protocol-neutral.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// `level.role.slug`.
    pub id: String,
    /// The lowest level that demands it.
    pub level: Level,
    /// Whose duty it is.
    pub role: Role,
    /// One sentence.
    pub statement: String,
}

/// How a clause is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Seen in normal traffic.
    Passive,
    /// Needs an exchange of its own.
    Active,
    /// Sends malformed or forged input.
    Adversarial,
    /// Needs waiting.
    Timed,
    /// Only a person can say.
    Attested,
}

/// One atomic, protocol-specific statement that a test decides.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// `level.role.slug`.
    pub id: ClauseId,
    /// The lowest level that demands it.
    pub level: Level,
    /// Whose duty it is: the role of the target.
    pub role: Role,
    /// Id of the requirement it serves.
    pub requirement: String,
    /// The protocol by which the requirement is met, e.g. `oidc`.
    pub binding: String,
    /// MUST, SHOULD, ...
    pub strength: Strength,
    /// One sentence.
    pub statement: String,
    /// Document and section.
    pub source: String,
    /// The interoperability checklist item it covers, or empty.
    #[serde(default)]
    pub interop: String,
    /// How it is decided.
    pub how: How,
    /// What the target file must offer (`login`, `second-client`, `admin-hook:disable-user`, ...).
    #[serde(default)]
    pub needs: Vec<String>,
    /// Seconds the test must wait; `--fast` leaves clauses out that must wait.
    #[serde(default)]
    pub wait_s: u64,
    /// May an operator's dated statement stand in where the test cannot decide?
    #[serde(default)]
    pub attestable: bool,
    /// Numbered steps.
    pub procedure: String,
    /// What passes.
    pub pass: String,
    /// What fails.
    pub fail: String,
    /// When the test may not decide.
    pub inconclusive: String,
    /// Legal behaviour that a naive test would fail.
    pub false_positive_traps: String,
    /// The one defect of a reference peer that this clause must catch.
    pub mutant: String,
    /// How products usually mend it; shown by `explain`.
    #[serde(default)]
    pub remedy: String,
}

impl Clause {
    /// The last part of the id.
    pub fn slug(&self) -> &str {
        self.id.rsplit('.').next().unwrap_or(&self.id)
    }
}
