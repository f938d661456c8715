//! Requirements (lines of the IPSIE levels) and clauses (what a test decides).

use serde::{Deserialize, Serialize};

use super::level::{Level, Role, Strength};

/// A clause's name, `level.role.slug`; stable forever.
pub type ClauseId = String;

/// What stands in `binding` of a clause that states an effect of a session command: the catalogue holds it once for every binding of
/// [`TESTED_DELIVERY`], as `id@binding`.
pub const SESSION_COMMAND: &str = "session-command";

/// The bindings that deliver the session commands of SL2, of which a target names its own in `target.bindings`.
pub const DELIVERY: [&str; 4] = ["op-commands", "backchannel-logout", "token-revocation", NOT_YET];

/// Those of [`DELIVERY`] that have scenarios.
pub const TESTED_DELIVERY: [&str; 3] = ["op-commands", "backchannel-logout", "token-revocation"];

/// The delivery binding that has no scenarios yet: it rests on the event streams of SL3.
pub const NOT_YET: &str = "ssf-caep";

/// The bindings of AL1 to AL3, of which a target names its own in `target.bindings`.
pub const ACCOUNT: [&str; 2] = ["scim", "op-commands"];

/// The clauses of AL1 of which one must be met, together with `al1.app.any-one-way`: suspend, archive or delete, by whatever protocol.
pub const ONE_OF: [&str; 5] = [
    "al1.app.deactivate-patch",
    "al1.app.delete-user",
    "al1.app.cmd-suspend",
    "al1.app.cmd-archive-restore",
    "al1.app.cmd-delete",
];

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
    /// `level.role.slug`, with `@binding` behind it where the clause stands once for every delivery binding.
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

    /// The id without `@binding`.
    pub fn base(&self) -> &str {
        base(&self.id)
    }

    /// The declared binding that it depends on, where it belongs to one of [`ACCOUNT`].
    pub fn account_binding(&self) -> Option<&'static str> {
        let accounts = self.level.is_account();
        match self.binding.as_str() {
            "scim" | "scim-oauth" if accounts => Some("scim"),
            "op-commands" if accounts => Some("op-commands"),
            // The hosts of the SCIM channel.
            "ipsie-common" if accounts => Some("scim"),
            _ => None,
        }
    }

    /// The names by which a pattern may mean it: its id and slug, both with and without `@binding`.
    pub fn names(&self) -> [&str; 4] {
        [&self.id, self.slug(), self.base(), base(self.slug())]
    }
}

/// The id or slug of a clause without `@binding`.
pub fn base(id: &str) -> &str {
    id.split_once('@').map_or(id, |(base, _)| base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delivery_binding_is_tested_or_known_not_to_be() {
        let known: Vec<&str> = TESTED_DELIVERY.into_iter().chain([NOT_YET]).collect();
        assert_eq!(known, DELIVERY);
    }
}
