//! What the refusals must be. Everything that is not "all variations refused" alone stands in `more`.

use super::more;
use super::variations::{Variation, deciding};
use super::{Probe, Seen};
use crate::counterpart::provider::Forgery;
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::suite::Check;
use crate::suites::blocks::NO_CONTROL;

/// One row per clause.
pub const ALL: &[Check<Seen>] = &[
    Check::new("sl1.app.userinfo-sub-checked", more::userinfo),
    Check::new("sl1.app.id-token-signature-refused", signature),
    Check::new("sl1.app.id-token-none-refused", |seen| refused(seen, "sl1.app.id-token-none-refused")),
    Check::new("sl1.app.id-token-hmac-refused", |seen| refused(seen, "sl1.app.id-token-hmac-refused")),
    Check::new("sl1.app.id-token-unlisted-alg-refused", unlisted),
    Check::new("sl1.app.id-token-foreign-key-refused", foreign),
    Check::new("sl1.app.id-token-weak-key-refused", more::weak_key),
    Check::new("sl1.app.id-token-iss-refused", |seen| refused(seen, "sl1.app.id-token-iss-refused")),
    Check::new("sl1.app.id-token-aud-refused", |seen| refused(seen, "sl1.app.id-token-aud-refused")),
    Check::new("sl1.app.id-token-aud-multi-refused", |seen| refused(seen, "sl1.app.id-token-aud-multi-refused")),
    Check::new("sl1.app.id-token-aud-array-refused", |seen| refused(seen, "sl1.app.id-token-aud-array-refused")),
    Check::new("sl1.app.id-token-expired-refused", expired),
    Check::new("sl1.app.id-token-future-refused", |seen| refused(seen, "sl1.app.id-token-future-refused")),
    Check::new("sl1.app.id-token-sub-required", sub_required),
    Check::new("sl1.app.id-token-nonce-refused", nonce),
    Check::new("sl1.app.id-token-missing-refused", |seen| refused(seen, "sl1.app.id-token-missing-refused")),
    Check::new("sl1.app.id-token-crit-refused", |seen| refused(seen, "sl1.app.id-token-crit-refused")),
    Check::new("sl1.app.id-token-wrong-type-refused", wrong_type),
    Check::new("sl1.app.key-rotation", more::key_rotation),
    Check::new("sl1.app.auth-time-checked", auth_time),
    Check::new("sl1.app.encrypted-id-token", more::encrypted),
    Check::new("sl1.app.session-expiry-past-refused", |seen| refused(seen, "sl1.app.session-expiry-past-refused")),
    Check::new("sl1.app.session-expiry-malformed", more::malformed_expiry),
    Check::new("sl1.app.transaction-terms-checked", terms),
];

/// What a login with a forged ID token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// The application is signed in by it.
    Accepted,
    /// The application got it and has no session.
    Refused,
    /// Neither is proven; why.
    Nothing(String),
}

impl Probe {
    /// What a forged one is called in a reason.
    pub fn label(&self) -> &'static str {
        self.variation.map_or("a conforming login", Variation::label)
    }

    /// What it says.
    pub fn says(&self) -> Says {
        let nothing = |why: &str| Says::Nothing(format!("{}: {why}", self.label()));
        match (self.attempt.signed_in(), self.attempt.refused()) {
            (true, _) if self.served => Says::Accepted,
            (true, _) => nothing("the application shows a session although it did not fetch the tokens of this login"),
            _ if !self.controls => Says::Nothing(NO_CONTROL.to_owned()),
            (_, true) if self.served => Says::Refused,
            (_, true) => nothing("the application did not fetch the tokens of this login, so it never saw them"),
            _ => nothing(&self.attempt.describe()),
        }
    }
}

impl Seen {
    /// The logins of the series with these variations.
    pub fn of<'a>(&'a self, variations: &'a [Variation]) -> impl Iterator<Item = &'a Probe> {
        let is = |probe: &&Probe| probe.variation.is_some_and(|variation| variations.contains(&variation));
        self.probes.iter().filter(is)
    }

    /// The login of the series with this forgery.
    pub fn forged(&self, forgery: Forgery) -> Option<&Probe> {
        self.probes.iter().find(|probe| probe.variation == Some(Variation::Forged(forgery)))
    }

    fn accepts(&self, forgery: Forgery) -> bool {
        self.forged(forgery).is_some_and(|probe| probe.says() == Says::Accepted)
    }

    /// The application looks at no signature: a broken one is accepted.
    pub fn signature_ignored(&self) -> bool {
        self.accepts(Forgery::SignatureChanged) || self.accepts(Forgery::PayloadChanged)
    }

    /// The first login did not work, so nothing can be concluded.
    pub fn without_control(&self) -> Option<Judgement> {
        match &self.first {
            Some(first) if first.attempt.signed_in() => None,
            Some(first) => {
                Some(Judgement::undecided(format!("{NO_CONTROL}: {}", first.attempt.describe())).cite(&first.attempt.cites))
            }
            None => Some(Judgement::undecided("not tried")),
        }
    }
}

/// What became of several variations.
#[derive(Debug, Default)]
pub struct Tally {
    accepted: Vec<&'static str>,
    blamed: Vec<ExchangeId>,
    /// What is doubtful or may not decide.
    pub found: Findings,
    refused: Vec<&'static str>,
}

impl Tally {
    /// Of these logins.
    pub fn of<'a>(probes: impl Iterator<Item = &'a Probe>) -> Self {
        let mut tally = Tally::default();
        for probe in probes {
            match probe.says() {
                Says::Accepted => {
                    tally.accepted.push(probe.label());
                    tally.blamed.extend(probe.attempt.cites.iter().rev().cloned());
                }
                Says::Refused => {
                    tally.refused.push(probe.label());
                    tally.found.saw(&probe.attempt.cites);
                }
                Says::Nothing(why) => tally.found.undecided(why, &probe.attempt.cites),
            }
        }
        tally
    }

    /// Something was accepted.
    pub fn broken(&self) -> bool {
        !self.accepted.is_empty()
    }

    /// All must be refused; `more` is added to the reason of a failure, `aside` to that of a pass.
    pub fn conclude(mut self, more: &str, aside: &str) -> Judgement {
        if self.broken() {
            let observed = self.accepted.join("; ");
            self.found.broken(format!("the application signs the user in with {observed}{more}"), &self.blamed);
            return self.found.conclude("").expected("the login is refused", format!("signed in with {observed}"));
        }
        if self.refused.is_empty() {
            self.found.undecided("not tried", &[]);
        }
        self.found.conclude(format!("refused: {}{aside}", self.refused.join("; ")))
    }
}

fn refused(seen: &Seen, clause: &str) -> Judgement {
    seen.without_control().unwrap_or_else(|| Tally::of(seen.of(deciding(clause))).conclude("", ""))
}

/// As [`refused`], with variations that are told and do not decide.
fn refused_but(seen: &Seen, clause: &str, aside: Forgery) -> Judgement {
    if let Some(judgement) = seen.without_control() {
        return judgement;
    }
    let told =
        if seen.accepts(aside) { format!("; {} is accepted, which does not decide", aside.label()) } else { String::new() };
    let decide = seen.of(deciding(clause)).filter(|probe| probe.variation != Some(Variation::Forged(aside)));
    Tally::of(decide).conclude("", &told)
}

fn signature(seen: &Seen) -> Judgement {
    let foreign = seen.accepts(Forgery::ForeignKey) || seen.accepts(Forgery::ForeignKeyRealKid);
    let root = if foreign && seen.signature_ignored() {
        ". Any key is accepted as well: the application does not check the signature of an ID token from the token endpoint at all"
    } else {
        ""
    };
    seen.without_control()
        .unwrap_or_else(|| Tally::of(seen.of(deciding("sl1.app.id-token-signature-refused"))).conclude(root, ""))
}

/// What stands behind a key that is accepted although it must not be.
pub fn root_cause(seen: &Seen) -> &'static str {
    if seen.signature_ignored() {
        ". The root cause is that of sl1.app.id-token-signature-refused: the signature of an ID token from the token endpoint is not checked"
    } else {
        ""
    }
}

fn foreign(seen: &Seen) -> Judgement {
    if let Some(judgement) = seen.without_control() {
        return judgement;
    }
    let mut tally = Tally::of(seen.of(deciding("sl1.app.id-token-foreign-key-refused")));
    if !seen.bait.is_empty() {
        tally.found.doubtful(
            "the application fetches the URL that the header of a forged token names (jku or x5u): a forged token makes it call any address",
            &seen.bait,
        );
    }
    tally.conclude(root_cause(seen), " (no URL of a header was fetched)")
}

fn unlisted(seen: &Seen) -> Judgement {
    if let Some(judgement) = seen.without_control() {
        return judgement;
    }
    if seen.alg == "RS256" {
        let first = seen.first.iter().flat_map(|first| &first.attempt.cites);
        return Judgement::broken(
            "the application is configured to take RS256 (app.id_token_alg) and signs users in with it, as the control shows",
        )
        .expected("PS256, ES256 or EdDSA only", "RS256")
        .cite(first);
    }
    refused(seen, "sl1.app.id-token-unlisted-alg-refused")
}

fn expired(seen: &Seen) -> Judgement {
    refused_but(seen, "sl1.app.id-token-expired-refused", Forgery::ExpString)
}

fn sub_required(seen: &Seen) -> Judgement {
    refused_but(seen, "sl1.app.id-token-sub-required", Forgery::SubNumber)
}

fn nonce(seen: &Seen) -> Judgement {
    if let Some(judgement) = seen.without_control() {
        return judgement;
    }
    let probes: Vec<&Probe> = seen.of(deciding("sl1.app.id-token-nonce-refused")).collect();
    let sent = seen.first.as_ref().is_some_and(|first| first.nonce);
    if !sent && probes.is_empty() {
        return Judgement::not_applicable("the application sends no nonce");
    }
    let mut tally = Tally::of(probes.iter().copied().filter(|probe| probe.nonce));
    for probe in probes.iter().filter(|probe| !probe.nonce) {
        tally.found.undecided(format!("{}: this request had no nonce, others had one", probe.label()), &probe.attempt.cites);
    }
    tally.conclude("", "")
}

fn auth_time(seen: &Seen) -> Judgement {
    if let Some(judgement) = seen.without_control() {
        return judgement;
    }
    if seen.first.as_ref().is_some_and(|first| first.max_age.is_none()) {
        return Judgement::not_applicable("the application sends no max_age");
    }
    refused(seen, "sl1.app.auth-time-checked")
}

fn terms(seen: &Seen) -> Judgement {
    if seen.required_acr.is_empty() {
        return Judgement::not_applicable("the operator declares no class that the application demands (app.required_acr)");
    }
    refused(seen, "sl1.app.transaction-terms-checked")
}

/// Without a nonce in the request, nothing in a logout or command token but its claims and `typ`, which no specification of ID tokens
/// demands to look at, tells it from an ID token: accepting it is then a warning.
fn wrong_type(seen: &Seen) -> Judgement {
    if let Some(judgement) = seen.without_control() {
        return judgement;
    }
    let deciding: Vec<&Probe> = seen.of(deciding("sl1.app.id-token-wrong-type-refused")).collect();
    let strict = |probe: &Probe| probe.nonce || probe.variation == Some(Variation::Forged(Forgery::AccessToken));
    let (strict, lenient): (Vec<&Probe>, Vec<&Probe>) =
        deciding.into_iter().partition(|probe| strict(probe) || probe.says() != Says::Accepted);
    let mut tally = Tally::of(strict.into_iter());
    for probe in lenient {
        let label = probe.label();
        tally.found.doubtful(
            format!("the application signs the user in with {label}; it sends no nonce, so only the type could tell"),
            &probe.attempt.cites,
        );
    }
    tally.conclude("", "")
}
