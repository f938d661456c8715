//! provision-last: looks back at every request of the run, then shows wrong metadata and bad certificates. The last of all, because a
//! client that stumbles over them may stop for a while.

use serde::{Deserialize, Serialize};

use super::course::{Course, User};
use crate::counterpart::scim_receiver::{Door, Fault, Rule, misplaced_token};
use crate::model::Judgement;
use crate::model::target::ScimAuth;
use crate::stage::Stage;
use crate::stage::front::{ConnectionSeen, Face};
use crate::suite::{Check, Obstacle, Scenario};

/// Seconds for a client's next attempt while a bad certificate is shown.
const ATTEMPT_S: u64 = 120;
/// The same for one whose cycles are shorter, at least.
const SOON_S: u64 = 15;

/// The look back.
pub struct Last;

/// What was seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Requests to the SCIM interface in the whole run, and writes among them.
    pub requests: (usize, usize),
    /// Writes to users that nobody provisioned: what, and the exchange.
    pub strangers: Vec<(String, String)>,
    /// Requests whose token is not where it belongs: what, and the exchange.
    pub misplaced: Vec<(String, String)>,
    /// The authorization server's metadata was fetched in the run: exchanges.
    pub discovered: Vec<String>,
    /// What followed metadata with another issuer; `None` where it was not shown.
    pub mismatch: Option<Mismatch>,
    /// The certificates that were shown.
    pub shown: Vec<Shown>,
    /// A change arrived once the good certificate was back; `None` where no bad one was shown.
    pub recovered: Option<bool>,
    /// Why no bad certificate was shown.
    pub tls_obstacle: Option<String>,
    /// The suite's server is reached without TLS.
    pub clear: bool,
}

/// Metadata with another issuer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mismatch {
    /// Exchanges in which it was fetched.
    pub fetched: Vec<String>,
    /// Token requests after that.
    pub asked: Vec<String>,
}

/// A certificate that must be refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// What was shown.
    pub face: Face,
    /// The connections that saw it.
    pub connections: Vec<ConnectionSeen>,
}

impl Scenario for Last {
    type Seen = Seen;
    const ID: &'static str = "provision-last";
    const TITLE: &'static str = "looks back at all requests of provisioning, then shows wrong metadata and bad certificates";
    const AFTER: &'static [&'static str] = &["*"];
    const BROWSER: bool = false;
    const PROVISIONED: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al1.idp.only-linked-users", strangers_are_left_alone),
        Check::new("al1.idp.bearer-header-only", the_token_is_in_the_header),
        Check::new("al1.idp.as-discovery", metadata_is_fetched_and_compared),
        Check::new("al1.idp.tls-server-validation", bad_certificates_are_refused),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let course = Course::open(stage)?;
        let log = course.receiver.log();
        let mut seen = Seen { clear: course.receiver.front.is_none(), ..Seen::default() };
        let all = log.since(0, |entry| entry.door == Door::Scim);
        seen.requests = (all.len(), all.iter().filter(|entry| entry.writes()).count());
        let unmanaged = course.receiver.unmanaged();
        let strange =
            all.iter().filter(|entry| entry.writes() && unmanaged.iter().any(|id| entry.path == format!("/Users/{id}")));
        seen.strangers =
            strange.take(10).map(|entry| (format!("{} {}", entry.method, entry.path), entry.exchange.clone())).collect();
        seen.misplaced =
            all.iter().filter_map(|entry| Some((misplaced_token(entry)?, entry.exchange.clone()))).take(10).collect();
        seen.discovered =
            log.since(0, |entry| entry.door == Door::Metadata).into_iter().take(5).map(|entry| entry.exchange).collect();
        if all.is_empty() {
            return Ok(seen);
        }
        let mut users = Vec::new();
        if stage.wants("al1.idp.as-discovery") && course.receiver.desk.layout == ScimAuth::AppAs {
            users.extend(mismatch(&course, &mut seen).await);
        }
        if stage.wants("al1.idp.tls-server-validation") && !seen.clear {
            match certificates(&course, &mut seen).await {
                Ok(user) => users.push(user),
                Err(why) => seen.tls_obstacle = Some(why),
            }
        }
        course.close(users).await;
        Ok(seen)
    }
}

/// Lets the client need a new token while the metadata names another issuer.
async fn mismatch(course: &Course<'_>, seen: &mut Seen) -> Option<User> {
    let (user, id) = course.arrived(&["last-issuer"]).await.remove("last-issuer")?.ok()?;
    let mark = course.receiver.log().mark();
    course.receiver.desk.mismatch(true);
    course.receiver.script(Rule::of(&user.tag, Fault::InvalidToken, 1).on(&["PUT", "PATCH", "DELETE"]));
    if course.hook("disable-user", &user, &[]).await.is_ok() {
        course.now().await;
        let asked = || {
            let fetched = course.receiver.log().since(mark, |entry| entry.door == Door::Metadata);
            fetched.first().is_some_and(|first| course.receiver.log().any(first.number, |entry| entry.door == Door::Token))
        };
        // Once the metadata was fetched, a token request would follow at once.
        let fetched = || course.receiver.log().any(mark, |entry| entry.door == Door::Metadata) || course.deprovisioned(&id);
        course.wait("the metadata to be fetched", fetched).await;
        course.wait_for("a token request", course.watch(10), || asked() || course.deprovisioned(&id)).await;
        let entries = course.receiver.log().since(mark, |entry| entry.door == Door::Metadata);
        let from = entries.first().map(|entry| entry.number);
        let tokens = from.map(|from| course.receiver.log().since(from, |entry| entry.door == Door::Token)).unwrap_or_default();
        let cites = |entries: Vec<crate::counterpart::scim_receiver::Entry>| {
            entries.into_iter().take(5).map(|entry| entry.exchange).collect()
        };
        seen.mismatch = Some(Mismatch { fetched: cites(entries), asked: cites(tokens) });
    }
    course.receiver.desk.mismatch(false);
    course.receiver.unscript(&user.tag);
    Some(user)
}

/// Shows bad certificates while the identity service has something to say.
async fn certificates(course: &Course<'_>, seen: &mut Seen) -> Result<User, String> {
    let front = course.receiver.front.as_ref().ok_or("there is no TLS endpoint")?;
    let (user, id) = course.arrived(&["last-tls"]).await.remove("last-tls").ok_or("not tried")??;
    let last = front.last_number();
    front.switch(Face::SelfSigned).await;
    let hook = course.hook("disable-user", &user, &[]).await;
    if let Err(obstacle) = hook {
        front.switch(Face::Good).await;
        return Err(obstacle.message);
    }
    course.now().await;
    let mut from = last;
    // A quick service makes its next attempt as quickly.
    let attempt = course.patience(ATTEMPT_S).min(course.cycle().max(course.patience(SOON_S)));
    for face in [Face::SelfSigned, Face::WrongName] {
        if face != Face::SelfSigned {
            from = front.last_number();
            front.switch(face).await;
            // Who speaks only when there is something to say gets something to say.
            if course.has("enable-user") {
                let _ = course.hook("enable-user", &user, &[]).await;
                course.now().await;
            }
        }
        // Connections are no requests: looked at every second, the first attempt within a cycle, further ones sooner.
        let limit = if face == Face::SelfSigned { course.cycle() } else { attempt };
        let until = std::time::Instant::now() + limit;
        let ended = |from: u64| {
            front
                .connections_after(from)
                .iter()
                .any(|connection| connection.face == face && (connection.closed || connection.request_bytes > 0))
        };
        while !ended(from) && std::time::Instant::now() < until {
            let next = std::time::Instant::now()
                + std::time::Duration::from_millis(if course.stage.world.embedded { 100 } else { 1000 });
            course.stage.wait_until(next.min(until), "a connection that sees a bad certificate").await;
        }
        let connections = front
            .connections_after(from)
            .iter()
            .filter(|connection| connection.face == face)
            .map(crate::stage::front::Connection::seen)
            .collect();
        seen.shown.push(Shown { face, connections });
    }
    front.switch(Face::Good).await;
    course.now().await;
    let arrived = || course.deprovisioned(&id);
    let mut recovered = false;
    // A service that repeats nothing is asked once more: what counts is that its requests come again.
    if !course.has("enable-user") {
        recovered = course.wait("the change to arrive with the good certificate", arrived).await;
    }
    if !recovered && course.hook("disable-user", &user, &[]).await.is_ok() {
        course.now().await;
        recovered = course.wait("the change to arrive with the good certificate", arrived).await;
    }
    seen.recovered = Some(course.stage.control(recovered));
    Ok(user)
}

fn strangers_are_left_alone(seen: &Seen) -> Judgement {
    let (_, writes) = seen.requests;
    if let Some((what, cite)) = seen.strangers.first() {
        return Judgement::broken(format!(
            "{what} writes to an account that nobody provisioned ({} writes of the kind)",
            seen.strangers.len()
        ))
        .cite([cite]);
    }
    if writes == 0 {
        return Judgement::undecided("nothing was provisioned in this run");
    }
    Judgement::pass(format!("none of {writes} writes touched an account that nobody provisioned"))
}

fn the_token_is_in_the_header(seen: &Seen) -> Judgement {
    if let Some((what, _)) = seen.misplaced.first() {
        return Judgement::broken(what.as_str()).cite(seen.misplaced.iter().map(|(_, cite)| cite));
    }
    match seen.requests {
        (0, _) => Judgement::undecided("no request was seen"),
        (requests, _) => Judgement::pass(format!("{requests} requests carry the token in the Authorization header only")),
    }
}

fn metadata_is_fetched_and_compared(seen: &Seen) -> Judgement {
    if let Some(mismatch) = seen.mismatch.as_ref().filter(|mismatch| !mismatch.fetched.is_empty()) {
        return if mismatch.asked.is_empty() {
            Judgement::pass("the metadata is fetched, and one that names another issuer is not used").cite(&mismatch.fetched)
        } else {
            Judgement::broken("metadata that names another issuer was used for a token request")
                .cite(mismatch.asked.iter().chain(&mismatch.fetched))
        };
    }
    if seen.discovered.is_empty() {
        return Judgement::undecided("the metadata was never fetched: the endpoints may be typed in by hand");
    }
    Judgement::undecided("the metadata is fetched, but not again: what becomes of one that names another issuer was not seen")
        .cite(&seen.discovered)
}

fn bad_certificates_are_refused(seen: &Seen) -> Judgement {
    if seen.clear {
        return Judgement::not_configured("counterpart.scim_url is http: there is no certificate to refuse");
    }
    if let Some(why) = &seen.tls_obstacle {
        return Judgement::undecided(why.as_str());
    }
    for shown in &seen.shown {
        if let Some(through) = shown.connections.iter().find(|connection| connection.request_bytes > 0) {
            let request = through.request.clone().unwrap_or_else(|| "a request".into());
            return Judgement::broken(format!("{request} was sent over a connection with {}", shown.face.describe()));
        }
    }
    let met: Vec<&str> = seen
        .shown
        .iter()
        .filter(|shown| shown.connections.iter().any(|connection| connection.hello))
        .map(|shown| shown.face.describe())
        .collect();
    match (met.is_empty(), seen.recovered) {
        (true, _) => Judgement::undecided("no connection was made while a bad certificate was shown"),
        // A client that looks at the chain alone takes the one and must be seen to refuse the other.
        (_, Some(true)) if met.len() < seen.shown.len() => Judgement::undecided(format!(
            "no request was sent to {}; the other bad certificate met no connection",
            met.join(" and ")
        )),
        (_, Some(true)) => {
            Judgement::pass(format!("no request was sent to {}; with the good one the change arrived", met.join(" and ")))
        }
        _ => Judgement::undecided("with the good certificate nothing arrived either, so the refusal proves nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;

    fn connection(bytes: u64) -> ConnectionSeen {
        ConnectionSeen {
            number: 1,
            face: Face::SelfSigned,
            hello: true,
            handshake_done: bytes > 0,
            request_bytes: bytes,
            request: None,
            went_on: false,
            alert: Some(48),
            closed: true,
        }
    }

    fn good() -> Seen {
        Seen {
            requests: (9, 5),
            discovered: vec!["x1".into()],
            mismatch: Some(Mismatch { fetched: vec!["x2".into()], asked: Vec::new() }),
            shown: vec![Shown { face: Face::SelfSigned, connections: vec![connection(0)] }],
            recovered: Some(true),
            ..Seen::default()
        }
    }

    #[test]
    fn a_careful_client_passes_and_nothing_seen_decides_nothing() {
        for check in Last::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}", check.clause);
            assert_eq!((check.judge)(&Seen::default()).call, Call::Undecided, "{}", check.clause);
        }
        assert_eq!(bad_certificates_are_refused(&Seen { clear: true, ..good() }).call, Call::NotConfigured);
        assert_eq!(bad_certificates_are_refused(&Seen { recovered: Some(false), ..good() }).call, Call::Undecided);
        assert_eq!(metadata_is_fetched_and_compared(&Seen { mismatch: None, ..good() }).call, Call::Undecided);
        let mut half = good();
        half.shown.push(Shown { face: Face::WrongName, connections: Vec::new() });
        assert_eq!(bad_certificates_are_refused(&half).call, Call::Undecided);
    }

    #[test]
    fn a_careless_client_is_broken() {
        let mut seen = good();
        seen.strangers = vec![("PATCH /Users/1".into(), "x1".into())];
        seen.misplaced = vec![("a token in the query".into(), "x1".into())];
        seen.mismatch.as_mut().unwrap().asked = vec!["x3".into()];
        seen.shown[0].connections = vec![connection(200)];
        for check in Last::CHECKS {
            assert_eq!((check.judge)(&seen).call, Call::Broken, "{}", check.clause);
        }
    }
}
