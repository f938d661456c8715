//! The IANA registry "Authentication Method Reference Values" (RFC 8176), as a dated copy.

use serde::{Deserialize, Serialize};

/// State of the registry this copy was made of: its "last updated" date.
pub const REGISTRY_DATE: &str = "2024-10-04";

/// What an authentication method proves (NIST SP 800-63B: something you know, have, are).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Something the user knows.
    Knowledge,
    /// Something the user has.
    Possession,
    /// Something the user is.
    Inherence,
    /// Several factors at once.
    MultiFactor,
    /// No factor: presence, place, risk, channel, or an earlier sign-in.
    Other,
}

/// Every registered value with what it means and what it proves. All are from RFC 8176 2, except `pop` from OpenID Connect Extended
/// Authentication Profile (EAP) ACR Values 1.0.
pub const REGISTERED: [(&str, &str, Kind); 21] = [
    ("face", "facial recognition", Kind::Inherence),
    ("fpt", "fingerprint", Kind::Inherence),
    ("geo", "geolocation", Kind::Other),
    ("hwk", "key secured by hardware", Kind::Possession),
    ("iris", "iris scan", Kind::Inherence),
    ("kba", "knowledge-based authentication", Kind::Knowledge),
    ("mca", "several channels", Kind::Other),
    ("mfa", "several factors", Kind::MultiFactor),
    ("otp", "one-time password", Kind::Possession),
    ("pin", "personal identification number or pattern", Kind::Knowledge),
    ("pop", "possession of a key", Kind::Possession),
    ("pwd", "password", Kind::Knowledge),
    ("rba", "risk-based authentication", Kind::Other),
    ("retina", "retina scan", Kind::Inherence),
    ("sc", "smart card", Kind::Possession),
    ("sms", "text message to a registered number", Kind::Possession),
    ("swk", "key secured by software", Kind::Possession),
    ("tel", "telephone call to a registered number", Kind::Possession),
    ("user", "user presence", Kind::Other),
    ("vbm", "voice", Kind::Inherence),
    ("wia", "Windows integrated authentication", Kind::Other),
];

/// Private values of products, by a part of their name, and the registered value that says the same. The first match counts.
const PRIVATE: [(&str, &str); 27] = [
    ("2fa", "mfa"),
    ("mfa", "mfa"),
    ("multi", "mfa"),
    ("password", "pwd"),
    ("passwd", "pwd"),
    ("sms", "sms"),
    ("totp", "otp"),
    ("hotp", "otp"),
    ("otp", "otp"),
    ("authenticator", "otp"),
    ("email", "otp"),
    ("passkey", "hwk"),
    ("webauthn", "hwk"),
    ("fido", "hwk"),
    ("u2f", "hwk"),
    ("hardware", "hwk"),
    ("software", "swk"),
    ("push", "swk"),
    ("verify", "swk"),
    ("duo", "swk"),
    ("smartcard", "sc"),
    ("smart_card", "sc"),
    ("fingerprint", "fpt"),
    ("phone", "tel"),
    ("voice", "vbm"),
    ("kerberos", "wia"),
    ("spnego", "wia"),
];

/// Is the value registered? Values compare with case (RFC 8176 2).
pub fn registered(value: &str) -> bool {
    kind(value).is_some()
}

/// What a registered value proves.
pub fn kind(value: &str) -> Option<Kind> {
    REGISTERED.iter().find(|(name, _, _)| *name == value).map(|(_, _, kind)| *kind)
}

/// The registered value that an unregistered one most likely stands for; `None` where nothing is close.
pub fn nearest(value: &str) -> Option<&'static str> {
    let lower = value.to_lowercase();
    if let Some((name, _, _)) = REGISTERED.iter().find(|(name, _, _)| *name == lower) {
        return Some(name);
    }
    if let Some((_, name)) = PRIVATE.iter().find(|(part, _)| lower.contains(part)) {
        return Some(name);
    }
    REGISTERED
        .iter()
        .map(|(name, _, _)| (*name, strsim::jaro_winkler(name, &lower)))
        .filter(|(_, likeness)| *likeness >= 0.8)
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_values_compare_with_case() {
        assert!(registered("pwd") && registered("pop") && !registered("PWD") && !registered("") && !registered("rsa"));
        assert!(REGISTERED.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(PRIVATE.iter().all(|(_, name)| registered(name)));
    }

    #[test]
    fn private_values_have_a_neighbour_or_none() {
        for (value, expected) in [
            ("PWD", Some("pwd")),
            ("password", Some("pwd")),
            ("okta_verify", Some("swk")),
            ("duo", Some("swk")),
            ("ngcmfa", Some("mfa")),
            ("authenticator_app", Some("otp")),
            ("webauthn", Some("hwk")),
            ("faces", Some("face")),
            ("fed", None),
            ("zzz", None),
        ] {
            assert_eq!(nearest(value), expected, "{value}");
        }
    }
}
