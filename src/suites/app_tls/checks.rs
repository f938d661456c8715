//! What the connections and logins of app-tls mean.

use super::{Discovery, LoginTried, Seen};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::front::ConnectionSeen;
use crate::wire::tls_answer::alert_name;
use crate::wire::tls_hello::Version;

/// `protocol_version` (RFC 8446 6).
const PROTOCOL_VERSION: u8 = 70;

/// The request that was sent over a bad connection, if one was.
fn request(connections: &[ConnectionSeen]) -> Option<String> {
    let connection = connections.iter().find(|connection| connection.request_bytes > 0)?;
    Some(connection.request.clone().unwrap_or_else(|| format!("{} bytes", connection.request_bytes)))
}

/// A login over a bad certificate ends without a request and without a session.
pub fn bad_certificates_end_the_login(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    for LoginTried { face, attempt, connections, controls } in &seen.logins {
        let (place, cites) = (face.describe(), &attempt.cites);
        if let Some(request) = request(connections) {
            found.broken(
                format!("{place}: the application sent {request} all the same (or its trust in every certificate was switched on for tests)"),
                cites,
            );
        } else if !controls {
            found.undecided(format!("{place}: the login with a good certificate before or after did not succeed"), cites);
        } else if !connections.iter().any(|connection| connection.hello) {
            found.undecided(
                format!("{place}: the application opened no connection to the token endpoint ({})", attempt.describe()),
                cites,
            );
        } else if attempt.signed_in() || attempt.look.unreachable.is_some() {
            found.undecided(format!("{place}: no request was sent, yet {}", attempt.describe()), cites);
        } else {
            found.saw(cites);
        }
    }
    if seen.logins.is_empty() {
        Judgement::undecided("no login was tried")
    } else {
        found.conclude("no request was sent over a certificate of an unknown authority, for another host, expired or self-signed")
    }
}

/// Metadata is not asked for over a bad certificate.
pub fn metadata_is_not_fetched_over_bad_certificates(seen: &Seen) -> Judgement {
    let tried = match &seen.discovery {
        None => return Judgement::undecided("no reload of the metadata was tried"),
        Some(Discovery::NotFetched(why)) => return Judgement::undecided(why.clone()),
        Some(Discovery::Tried(tried)) => tried,
    };
    let mut found = Findings::new();
    for reload in tried {
        let place = reload.face.describe();
        if let Some(request) = request(&reload.connections) {
            found.broken(format!("{place}: the application sent {request} all the same"), &reload.cites);
        } else if !reload.controls {
            found
                .undecided(format!("{place}: the reload with a good certificate before or after fetched nothing"), &reload.cites);
        } else if !reload.connections.iter().any(|connection| connection.hello) {
            found.undecided(format!("{place}: the application opened no connection to the metadata's host"), &reload.cites);
        } else {
            found.saw(&reload.cites);
        }
    }
    if tried.is_empty() {
        Judgement::undecided("no reload of the metadata was tried")
    } else {
        found.conclude("the metadata was asked for over no bad certificate")
    }
}

/// The client stops when TLS 1.1 is selected, or excludes it beforehand.
pub fn no_version_below_1_2_is_spoken(seen: &Seen) -> Judgement {
    let tried = seen.old.as_ref();
    let cites = tried.map(|old| old.attempt.cites.clone()).unwrap_or_default();
    let connections = tried.map(|old| old.connections.as_slice()).unwrap_or_default();
    if connections.iter().any(|connection| connection.went_on) {
        return Judgement::broken("the application went on with the handshake after the provider had selected TLS 1.1")
            .cite(&cites);
    }
    if tried.is_some_and(|old| !old.controls) {
        return Judgement::undecided("the login with a good certificate before or after did not succeed").cite(&cites);
    }
    let excluded = |versions: &[Version]| versions.first().is_some_and(|lowest| *lowest >= Version::Tls12);
    if !seen.offers.is_empty() && seen.offers.iter().all(|offer| offer.listed && excluded(&offer.versions)) {
        return Judgement::pass(
            "every hello lists its versions, none below TLS 1.2, and the handshake with TLS 1.1 did not go on",
        )
        .cite(&cites);
    }
    let Some(connection) = connections.iter().find(|connection| connection.hello) else {
        return Judgement::undecided("no connection saw TLS 1.1, and the hellos do not exclude it").cite(&cites);
    };
    match connection.alert {
        Some(PROTOCOL_VERSION) => Judgement::pass("the handshake with TLS 1.1 was stopped with protocol_version").cite(&cites),
        Some(other) => Judgement::undecided(format!(
            "the hello does not exclude TLS 1.1, and the handshake was stopped with {}({other}), which may have another reason",
            alert_name(other)
        ))
        .cite(&cites),
        None => Judgement::undecided("the hello does not exclude TLS 1.1, and the connection was closed without a reason")
            .cite(&cites),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Offer, ReloadTried, Tls};
    use super::*;
    use crate::model::Call::{Broken, Pass, Undecided};
    use crate::stage::front::Face;
    use crate::stage::oracle::Look;
    use crate::stage::visitor::Attempt;
    use crate::suite::Scenario;

    fn connection(face: Face) -> ConnectionSeen {
        ConnectionSeen {
            number: 1,
            face,
            hello: true,
            handshake_done: false,
            request_bytes: 0,
            request: None,
            went_on: false,
            alert: Some(48),
            closed: true,
        }
    }

    fn login(face: Face) -> LoginTried {
        let attempt = Attempt { requests: 1, answered: true, cites: vec!["x1".into()], ..Attempt::default() };
        LoginTried { face, attempt, connections: vec![connection(face)], controls: true }
    }

    fn sound() -> Seen {
        let reload = |face| ReloadTried { face, connections: vec![connection(face)], controls: true, cites: vec!["x2".into()] };
        Seen {
            logins: Face::BAD.map(login).into(),
            old: Some(login(Face::Tls11)),
            offers: vec![Offer { listed: true, versions: vec![Version::Tls12, Version::Tls13] }],
            discovery: Some(Discovery::Tried(Face::BAD.map(reload).into())),
        }
    }

    fn judged(change: impl Fn(&mut Seen)) -> [crate::model::Call; 3] {
        let mut seen = sound();
        change(&mut seen);
        [
            bad_certificates_end_the_login(&seen).call,
            metadata_is_not_fetched_over_bad_certificates(&seen).call,
            no_version_below_1_2_is_spoken(&seen).call,
        ]
    }

    fn reloads(seen: &mut Seen) -> &mut Vec<ReloadTried> {
        match &mut seen.discovery {
            Some(Discovery::Tried(tried)) => tried,
            _ => unreachable!(),
        }
    }

    #[test]
    fn a_careful_client_passes_and_nothing_tried_decides_nothing() {
        assert_eq!(judged(|_| {}), [Pass; 3]);
        for check in Tls::CHECKS {
            assert_eq!((check.judge)(&Seen::default()).call, Undecided, "{}", check.clause);
        }
    }

    #[test]
    fn one_request_over_one_bad_certificate_is_enough_even_without_controls() {
        let calls = judged(|seen| {
            seen.logins[2].connections[0].request_bytes = 400;
            seen.logins[2].connections[0].request = Some("POST /token".into());
            seen.logins[2].controls = false;
            reloads(seen)[1].connections[0].request_bytes = 90;
        });
        assert_eq!(calls, [Broken, Broken, Pass]);
    }

    #[test]
    fn without_a_control_or_a_connection_nothing_is_proven() {
        let uncontrolled = judged(|seen| {
            seen.logins[0].controls = false;
            reloads(seen)[0].controls = false;
            seen.old.as_mut().unwrap().controls = false;
        });
        assert_eq!(uncontrolled, [Undecided; 3]);
        let silent = judged(|seen| {
            seen.logins[0].connections.clear();
            reloads(seen)[0].connections[0].hello = false;
            seen.old.as_mut().unwrap().connections.clear();
            seen.offers.clear();
        });
        assert_eq!(silent, [Undecided; 3]);
    }

    #[test]
    fn a_session_that_no_connection_explains_decides_nothing() {
        let signed_in = |seen: &mut Seen| seen.logins[0].attempt.look = Look { signed_in: true, ..Look::default() };
        assert_eq!(judged(signed_in)[0], Undecided);
        let down = |seen: &mut Seen| seen.logins[0].attempt.look.unreachable = Some("down".into());
        assert_eq!(judged(down)[0], Undecided);
    }

    #[test]
    fn what_was_not_fetched_is_told() {
        assert_eq!(judged(|seen| seen.discovery = Some(Discovery::NotFetched("why".into())))[1], Undecided);
    }

    #[test]
    fn tls_1_1_is_judged_by_what_the_client_does_where_the_hello_leaves_it_open() {
        let with = |alert: Option<u8>, went_on: bool, listed: bool, lowest: Version| {
            judged(|seen| {
                seen.offers = vec![Offer { listed, versions: vec![lowest, Version::Tls13] }];
                let connection = &mut seen.old.as_mut().unwrap().connections[0];
                (connection.alert, connection.went_on) = (alert, went_on);
            })[2]
        };
        assert_eq!(with(None, true, true, Version::Tls12), Broken, "whatever the hello says");
        assert_eq!(with(None, true, true, Version::Tls10), Broken);
        assert_eq!(with(Some(70), false, false, Version::Tls12), Pass);
        assert_eq!(with(Some(70), false, true, Version::Tls10), Pass);
        assert_eq!(with(Some(40), false, false, Version::Tls12), Undecided);
        assert_eq!(with(None, false, false, Version::Tls12), Undecided);
    }
}
