//! Levels, roles and strengths of the IPSIE documents.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A level of the IPSIE ladder. Each level of a track includes the ones below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Level {
    Sl1,
    Sl2,
    Sl3,
    Al1,
    Al2,
    Al3,
}

impl Level {
    /// All levels, in the order of the levels document.
    pub const ALL: [Level; 6] = [Level::Sl1, Level::Sl2, Level::Sl3, Level::Al1, Level::Al2, Level::Al3];

    /// Does a run of `self` include the demands of `other`? SL and AL are independent of each other.
    pub fn includes(self, other: Level) -> bool {
        self.track() == other.track() && other <= self
    }

    /// Of the account lifecycle (AL1 to AL3).
    pub fn is_account(self) -> bool {
        self.track() == "AL"
    }

    fn track(self) -> &'static str {
        match self {
            Level::Sl1 | Level::Sl2 | Level::Sl3 => "SL",
            Level::Al1 | Level::Al2 | Level::Al3 => "AL",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Sl1 => "SL1",
            Level::Sl2 => "SL2",
            Level::Sl3 => "SL3",
            Level::Al1 => "AL1",
            Level::Al2 => "AL2",
            Level::Al3 => "AL3",
        })
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Level::ALL
            .into_iter()
            .find(|level| level.to_string().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("`{text}` is not a level; the levels are SL1, SL2, SL3, AL1, AL2 and AL3"))
    }
}

/// The role the target plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Identity Service: OpenID Provider, SCIM client, SSF transmitter.
    Idp,
    /// Application: relying party, SCIM service provider, SSF receiver.
    App,
}

impl Role {
    /// The role's name in running text.
    pub fn title(self) -> &'static str {
        match self {
            Role::Idp => "Identity Service",
            Role::App => "Application",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Idp => "idp",
            Role::App => "app",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "idp" => Ok(Role::Idp),
            "app" => Ok(Role::App),
            _ => Err(format!("`{text}` is not a role; use `idp` (Identity Service) or `app` (Application)")),
        }
    }
}

/// How strongly a clause demands what it states (RFC 2119).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Strength {
    Must,
    MustNot,
    Should,
    ShouldNot,
    May,
}

impl Strength {
    /// A broken clause of this strength fails the level; of any other strength it only warns.
    pub fn gates(self) -> bool {
        matches!(self, Strength::Must | Strength::MustNot)
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Strength::Must => "MUST",
            Strength::MustNot => "MUST NOT",
            Strength::Should => "SHOULD",
            Strength::ShouldNot => "SHOULD NOT",
            Strength::May => "MAY",
        })
    }
}
