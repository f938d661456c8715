//! The checks with conditions of their own.

use super::checks::{Says, Tally, root_cause};
use super::keys::algorithm_refused;
use super::variations::{Variation, deciding};
use super::{Encryption, Probe, Seen};
use crate::counterpart::provider::Forgery;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suites::blocks::NO_CONTROL;

/// UserInfo of somebody else must not be used: refused, or signed in as the user of the ID token with nothing of the stranger.
pub fn userinfo(seen: &Seen) -> Judgement {
    if let Some(judgement) = seen.without_control() {
        return judgement;
    }
    let probes: Vec<&Probe> = seen.of(deciding("sl1.app.userinfo-sub-checked")).collect();
    if !seen.userinfo {
        return Judgement::not_applicable("the application does not call UserInfo");
    }
    let account = seen.twin.as_ref().filter(|twin| twin.signed_in()).and_then(|twin| twin.look.account.as_ref());
    let mut found = Findings::new();
    for probe in &probes {
        let (look, cites) = (&probe.attempt.look, &probe.attempt.cites);
        let label = probe.label();
        match probe.says() {
            Says::Accepted if look.stranger => {
                found.broken(format!("{label}: the application shows what UserInfo says of somebody else"), cites);
            }
            _ if !probe.userinfo => found.undecided(format!("{label}: UserInfo was not called in this login"), cites),
            Says::Refused => found.saw(cites),
            Says::Nothing(why) => found.undecided(why, cites),
            Says::Accepted => match (account, &look.account) {
                (Some(own), Some(shown)) if own == shown => found.saw(cites),
                (Some(own), Some(shown)) => found.broken(
                    format!("{label}: the user is signed in to account {shown} instead of the account of the ID token, {own}"),
                    cites,
                ),
                _ if !seen.identity => {
                    found.undecided(
                        format!("{label}: signed in, and app.identity is not configured, so nobody knows as whom"),
                        cites,
                    );
                }
                _ => found.undecided(format!("{label}: signed in, and the page does not show to which account"), cites),
            },
        }
    }
    if probes.is_empty() {
        found.undecided("not tried", &[]);
    }
    found.conclude("UserInfo with another sub, or with none, changes nothing of who is signed in")
}

/// A key of 1024 bits, published.
pub fn weak_key(seen: &Seen) -> Judgement {
    if let Some(judgement) = seen.without_control() {
        return judgement;
    }
    let Some(probe) = seen.weak.as_ref().map(|weak| &weak.probe) else { return Judgement::undecided("not tried") };
    if probe.says() != Says::Refused {
        return Tally::of(std::iter::once(probe)).conclude(root_cause(seen), "");
    }
    let cites = &probe.attempt.cites;
    if probe.keys_fetched {
        return Judgement::pass("refused although the JWK Set with the key was fetched").cite(cites);
    }
    if algorithm_refused(&seen.probes) {
        let twin = seen.forged(Forgery::StrongKey).into_iter().flat_map(|twin| &twin.attempt.cites);
        return Judgement::pass("refused; the application takes no PS256 signature, not even by a published key of 2048 bits")
            .cite(cites)
            .cite(twin);
    }
    Judgement::undecided(
        "refused, but the application did not fetch the JWK Set while the key was in it: it may have refused an unknown key",
    )
    .cite(cites)
}

/// A new key is picked up, at the second attempt at the latest.
pub fn key_rotation(seen: &Seen) -> Judgement {
    if let Some(judgement) = seen.without_control() {
        return judgement;
    }
    let Some(last) = seen.rotated.last() else { return Judgement::undecided("not tried") };
    let cites = seen.rotated.iter().rev().flat_map(|probe| &probe.attempt.cites);
    let second = seen.rotated.len() > 1;
    let held = Probe { controls: seen.last, ..last.clone() };
    match held.says() {
        Says::Accepted if seen.signature_ignored() => Judgement::undecided(
            "accepted, but this application accepts broken signatures too (see sl1.app.id-token-signature-refused)",
        ),
        Says::Accepted if !last.keys_fetched => Judgement::undecided(
            "accepted without a fetch of the JWK Set since the key was published: the application cannot have checked the signature",
        ),
        Says::Accepted if second => Judgement::pass("refused at once, accepted at the second attempt 60 s later"),
        Says::Accepted => Judgement::pass("an ID token signed with a newly published key is accepted at once"),
        Says::Refused if second => {
            let fetched = if last.keys_fetched { "was fetched" } else { "was not fetched" };
            Judgement::broken(format!("a newly published key is refused, also 60 s later; the JWK Set {fetched}"))
                .expected("accepted at the second attempt at the latest", "refused twice")
        }
        Says::Refused => Judgement::undecided("refused at once; the second attempt was not made"),
        Says::Nothing(why) => Judgement::undecided(why),
    }
    .cite(cites)
}

/// Where a key is registered, an ID token encrypted for it is taken.
pub fn encrypted(seen: &Seen) -> Judgement {
    match seen.encryption {
        Encryption::None => {
            return Judgement::not_applicable("no encryption key of the application is registered (app.jwks, use `enc`)");
        }
        Encryption::Unusable => {
            return Judgement::undecided(
                "the registered encryption key is not for RSA-OAEP-256 or ECDH-ES with P-256, the only ones the suite encrypts for",
            );
        }
        Encryption::Usable => {}
    }
    if let Some(judgement) = seen.without_control() {
        return judgement;
    }
    let Some(probe) = seen.forged(Forgery::Encrypted) else { return Judgement::undecided("not tried") };
    match probe.says() {
        Says::Accepted => Judgement::pass("an encrypted ID token is accepted"),
        Says::Refused => {
            Judgement::broken("an ID token encrypted for the registered key is refused").expected("signed in", "refused")
        }
        Says::Nothing(why) => Judgement::undecided(why),
    }
    .cite(&probe.attempt.cites)
}

/// A malformed end of the session is refused, or understood and kept.
pub fn malformed_expiry(seen: &Seen) -> Judgement {
    if let Some(judgement) = seen.without_control() {
        return judgement;
    }
    let mut found = Findings::new();
    for probe in seen.of(deciding("sl1.app.session-expiry-malformed")) {
        let (label, cites) = (probe.label(), &probe.attempt.cites);
        match probe.says() {
            Says::Accepted if probe.variation == Some(Variation::Forged(Forgery::SessionExpiryPastMilliseconds)) => {
                // As a number of seconds it is well-formed, and tens of thousands of years away.
                found.doubtful(format!("{label}: taken, so the session has no limit that anybody lives to see"), cites);
            }
            Says::Accepted => found.broken(format!("{label}: there is a session although that time has passed"), cites),
            Says::Refused => found.saw(cites),
            Says::Nothing(why) => found.undecided(why, cites),
        }
    }
    match &seen.string_expiry {
        None => found.undecided("session_expiry as a string: not tried", &[]),
        Some(string) => {
            let label = string.probe.label();
            let probe = Probe { controls: seen.last, ..string.probe.clone() };
            match (probe.says(), &string.late) {
                (Says::Accepted, Some(late)) if late.signed_in => {
                    found.broken(format!("{label}: the session still lives {} s after that time", string.late_s), &late.cites);
                }
                (Says::Accepted, Some(late)) if late.unreachable.is_some() => found.undecided(late.describe(), &late.cites),
                (Says::Accepted, Some(_)) if !seen.last => found.undecided(NO_CONTROL, &[]),
                (Says::Accepted, Some(late)) => found.saw(&late.cites),
                (Says::Accepted, None) => found.undecided(format!("{label}: signed in, and not looked at again"), &[]),
                (Says::Refused, _) => found.saw(&probe.attempt.cites),
                (Says::Nothing(why), _) => found.undecided(why, &probe.attempt.cites),
            }
        }
    }
    found.conclude("every malformed session_expiry is refused, or understood and kept")
}
