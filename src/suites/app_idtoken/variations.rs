//! Which variations decide which clause.

use serde::{Deserialize, Serialize};

use crate::counterpart::provider::{Forgery, Script, Subject, Twist};

/// What is different from a conforming login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variation {
    /// The ID token.
    Forged(Forgery),
    /// The token response has no ID token.
    NoIdToken,
    /// The ID token is `not.a.jwt`.
    GarbageIdToken,
    /// UserInfo presents somebody else.
    UserInfoOtherSub,
    /// UserInfo presents somebody else and names no `sub`.
    UserInfoNoSub,
}

impl Variation {
    /// In a few words.
    pub fn label(self) -> &'static str {
        match self {
            Variation::Forged(forgery) => forgery.label(),
            Variation::NoIdToken => "no ID token",
            Variation::GarbageIdToken => "an ID token that is no JWT",
            Variation::UserInfoOtherSub => "UserInfo with another sub",
            Variation::UserInfoNoSub => "UserInfo without sub",
        }
    }

    /// The login.
    pub fn script(self, user: &Subject) -> Script {
        Script::of(user).with(match self {
            Variation::Forged(forgery) => Twist::Forged(forgery),
            Variation::NoIdToken => Twist::NoIdToken,
            Variation::GarbageIdToken => Twist::GarbageIdToken,
            Variation::UserInfoOtherSub => Twist::UserInfoOtherSub,
            Variation::UserInfoNoSub => Twist::UserInfoNoSub,
        })
    }
}

use Forgery as F;
use Variation::Forged;

/// The clauses and what decides them. Those of a key, of a session's end and of a first look are played apart from the others.
pub const DECIDING: [(&str, &[Variation]); 24] = [
    ("sl1.app.userinfo-sub-checked", &[Variation::UserInfoOtherSub, Variation::UserInfoNoSub]),
    ("sl1.app.id-token-signature-refused", &SIGNATURE),
    (
        "sl1.app.id-token-none-refused",
        &[Forged(F::AlgNone), Forged(F::AlgNoneCapital), Forged(F::AlgNoneMixed), Forged(F::AlgAbsent)],
    ),
    (
        "sl1.app.id-token-hmac-refused",
        &[Forged(F::HmacSecret), Forged(F::HmacPem), Forged(F::HmacDer), Forged(F::HmacJwk), Forged(F::HmacEmpty)],
    ),
    ("sl1.app.id-token-unlisted-alg-refused", &[Forged(F::Rs256), Forged(F::Rs512)]),
    (
        "sl1.app.id-token-foreign-key-refused",
        &[
            Forged(F::ForeignKey),
            Forged(F::ForeignKeyRealKid),
            Forged(F::ForeignKeyJwk),
            Forged(F::ForeignKeyJku),
            Forged(F::ForeignKeyX5u),
            Forged(F::ForeignKeyX5c),
        ],
    ),
    ("sl1.app.id-token-weak-key-refused", &[Forged(F::StrongKey)]),
    ("sl1.app.id-token-iss-refused", &[Forged(F::IssOther), Forged(F::IssSlash), Forged(F::IssMissing)]),
    (
        "sl1.app.id-token-aud-refused",
        &[Forged(F::AudOther), Forged(F::AudMissing), Forged(F::AudPrefix), Forged(F::AudOtherCase)],
    ),
    ("sl1.app.id-token-aud-multi-refused", &[Forged(F::AudTwo), Forged(F::AudTwoAzp)]),
    ("sl1.app.id-token-aud-array-refused", &[Forged(F::AudArray)]),
    ("sl1.app.id-token-expired-refused", &[Forged(F::ExpPast), Forged(F::ExpMissing), Forged(F::ExpString)]),
    ("sl1.app.id-token-future-refused", &[Forged(F::IatFuture), Forged(F::NbfFuture), Forged(F::IatMissing)]),
    ("sl1.app.id-token-sub-required", &[Forged(F::SubMissing), Forged(F::SubEmpty), Forged(F::SubNumber)]),
    ("sl1.app.id-token-nonce-refused", &[Forged(F::NonceAltered), Forged(F::NonceMissing), Forged(F::NonceEarlier)]),
    ("sl1.app.id-token-missing-refused", &[Variation::NoIdToken, Variation::GarbageIdToken]),
    ("sl1.app.id-token-crit-refused", &[Forged(F::Crit)]),
    (
        "sl1.app.id-token-wrong-type-refused",
        &[Forged(F::LogoutToken), Forged(F::CommandToken), Forged(F::CommandTokenForClient), Forged(F::AccessToken)],
    ),
    ("sl1.app.key-rotation", &[]),
    ("sl1.app.auth-time-checked", &[Forged(F::AuthTimeStale), Forged(F::AuthTimeMissing)]),
    ("sl1.app.encrypted-id-token", &[Forged(F::Encrypted)]),
    ("sl1.app.session-expiry-past-refused", &[Forged(F::SessionExpiryPast)]),
    (
        "sl1.app.session-expiry-malformed",
        &[
            Forged(F::SessionExpiryPastString),
            Forged(F::SessionExpiryPastFloat),
            Forged(F::SessionExpiryNegative),
            Forged(F::SessionExpiryPastMilliseconds),
        ],
    ),
    ("sl1.app.transaction-terms-checked", &[Forged(F::AcrLower)]),
];

const SIGNATURE: [Variation; 2] = [Forged(F::PayloadChanged), Forged(F::SignatureChanged)];

/// What decides a clause in the series.
pub fn deciding(clause: &str) -> &'static [Variation] {
    DECIDING.iter().find(|(known, _)| *known == clause).map_or(&[], |(_, variations)| variations)
}

/// The series for the wanted clauses: every variation once. An accepted foreign or weak key may only mean that no signature is looked
/// at, so those clauses need the changed signature as well.
pub fn series(wanted: impl Fn(&str) -> bool) -> Vec<Variation> {
    let mut all = Vec::new();
    for (clause, variations) in DECIDING.iter().filter(|(clause, _)| wanted(clause)) {
        if ["sl1.app.id-token-foreign-key-refused", "sl1.app.id-token-weak-key-refused"].contains(clause) {
            all.extend(SIGNATURE);
        }
        all.extend_from_slice(variations);
    }
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|variation| seen.insert(*variation));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variation_decides_one_clause_and_is_played_once() {
        let all: Vec<Variation> = DECIDING.iter().flat_map(|(_, variations)| variations.iter().copied()).collect();
        let played = series(|_| true);
        assert_eq!(played.len(), all.len());
        assert!(played.len() > 50);
        assert!(series(|_| false).is_empty());
        assert_eq!(series(|clause| clause.ends_with("id-token-crit-refused")), [Forged(F::Crit)]);
        assert!(series(|clause| clause.ends_with("foreign-key-refused")).contains(&SIGNATURE[1]));
    }
}
