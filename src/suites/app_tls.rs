//! app-tls: the provider's certificates are switched, and it answers with TLS 1.1: does the application break off?

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::counterpart::provider::Script;
use crate::model::ExchangeId;
use crate::stage::Stage;
use crate::stage::app_world::AppWorld;
use crate::stage::front::{Connection, ConnectionSeen, Face, Front};
use crate::stage::http::Ask;
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::client_hello::{ClientHello, read_client_hello};
use crate::wire::tls_hello::Version;

mod checks;

const TOKEN: &str = "sl1.app.tls-cert-check-token";
const DISCOVERY: &str = "sl1.app.tls-cert-check-discovery";
const MINIMUM: &str = "sl1.app.tls12-minimum-client";
/// Time the application has to fetch its metadata after it was told to.
const FETCH: Duration = Duration::from_secs(10);

/// The scenario.
pub struct Tls;

/// What was seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// One login per bad certificate of the token endpoint.
    pub logins: Vec<LoginTried>,
    /// A login with TLS 1.1 at the token endpoint.
    pub old: Option<LoginTried>,
    /// What the application offers in its hellos to the back channel; each kind once.
    pub offers: Vec<Offer>,
    /// Metadata over bad certificates, or why that was not tried.
    pub discovery: Option<Discovery>,
}

/// A login while the token endpoint showed another face.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoginTried {
    /// The face.
    pub face: Face,
    /// What became of it.
    pub attempt: Attempt,
    /// Connections that saw the face.
    pub connections: Vec<ConnectionSeen>,
    /// Logins with a good certificate before and after succeeded.
    pub controls: bool,
}

/// Versions that a ClientHello offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The hello lists its versions; without the list, the named one is only the highest.
    pub listed: bool,
    /// The versions it names, lowest first.
    pub versions: Vec<Version>,
}

/// Metadata over bad certificates.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Discovery {
    /// The application could not be made to fetch its metadata; says why.
    NotFetched(String),
    /// One reload per bad certificate.
    Tried(Vec<ReloadTried>),
}

/// A reload of the metadata while its host showed another face.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReloadTried {
    /// The face.
    pub face: Face,
    /// Connections of the application that saw the face, told from those of browsers by the suites they offer.
    pub connections: Vec<ConnectionSeen>,
    /// Reloads with a good certificate before and after fetched the metadata.
    pub controls: bool,
    /// The calls that asked for it.
    pub cites: Vec<ExchangeId>,
}

impl Scenario for Tls {
    type Seen = Seen;
    const ID: &'static str = "app-tls";
    const TITLE: &'static str = "shows bad certificates and TLS 1.1 to the application's back channel";
    // While it works, nothing behind the token endpoint or the metadata's host works: the application could not check commands. The
    // provider's lock keeps logins, the looks of app-session and the reloads of app-discovery away, and the order everything else.
    const AFTER: &'static [&'static str] = &["*", "-app-session"];
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new(TOKEN, checks::bad_certificates_end_the_login),
        Check::new(DISCOVERY, checks::metadata_is_not_fetched_over_bad_certificates),
        Check::new(MINIMUM, checks::no_version_below_1_2_is_spoken),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let app = stage.app()?;
        let mut seen = Seen::default();
        let mut faces: Vec<Face> = if stage.wants(TOKEN) { Face::BAD.into() } else { Vec::new() };
        faces.extend(stage.wants(MINIMUM).then_some(Face::Tls11));
        if !faces.is_empty() {
            let mut before = stage.login_control("control: good certificate").await?.signed_in();
            for face in faces {
                let (attempt, connections) = login(stage, app, face).await?;
                let after = stage.login_control("control: good certificate").await?.signed_in();
                let tried = LoginTried { face, attempt, connections, controls: before && after };
                match face {
                    Face::Tls11 => seen.old = Some(tried),
                    _ => seen.logins.push(tried),
                }
                before = after;
            }
        }
        for front in [&app.provider.back, &app.provider.resource] {
            for hello in front.connections().iter().filter_map(|connection| read_client_hello(&connection.hello)) {
                let offer = Offer { listed: hello.lists_versions(), versions: hello.versions() };
                if !seen.offers.contains(&offer) {
                    seen.offers.push(offer);
                }
            }
        }
        if stage.wants(DISCOVERY) {
            // A hook that fails must not take the other clauses with it.
            let tried = discovery(stage, app).await;
            seen.discovery = Some(tried.unwrap_or_else(|obstacle| Discovery::NotFetched(obstacle.message)));
        }
        Ok(seen)
    }
}

/// One login in a fresh browser while the token endpoint and the JWK Set show this face.
async fn login(stage: &Stage, app: &AppWorld, face: Face) -> Result<(Attempt, Vec<ConnectionSeen>), Obstacle> {
    let _alone = app.provider.exclusive().await;
    let label = format!("login, token endpoint with {}", face.describe());
    let visitor = Visitor::new(stage, &label).await?;
    let back = Shown::new(&app.provider.back, face).await;
    let attempt = visitor.sign_in(stage, Script::of(&app.users[0]), &label).await;
    // A browser may give up before the application has even tried.
    let patience = Instant::now() + FETCH;
    let came = attempt.as_ref().is_ok_and(Attempt::signed_in);
    while !came && back.seen().is_empty() && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let connections = back.seen();
    back.restore().await;
    Ok((attempt?, connections.iter().map(Connection::seen).collect()))
}

/// A front that shows another face. Dropping it shows the good one again, also when a scenario ends early.
struct Shown<'a> {
    front: &'a Front,
    after: u64,
    face: Face,
}

impl<'a> Shown<'a> {
    async fn new(front: &'a Front, face: Face) -> Shown<'a> {
        front.switch(face).await;
        Shown { front, after: front.last_number(), face }
    }

    /// Connections that saw the face.
    fn seen(&self) -> Vec<Connection> {
        self.front.connections_after(self.after).into_iter().filter(|connection| connection.face == self.face).collect()
    }

    /// Shows the good face again, and waits until the others are closed.
    async fn restore(self) {
        self.front.switch(Face::Good).await;
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if self.front.face() != Face::Good {
            self.front.show(Face::Good);
        }
    }
}

/// One reload of the metadata per bad certificate, each between reloads with a good one, which also give the metadata back.
async fn discovery(stage: &Stage, app: &AppWorld) -> Result<Discovery, Obstacle> {
    // The hook may restart the application.
    let _no_sessions = app.sessions.write().await;
    let _alone = app.provider.exclusive().await;
    let first = reload(stage, app, Face::Good, None).await?;
    let Some(hello) = fetched(&first.connections) else {
        let why = "the hook reload-metadata made the application fetch nothing: no GET of the metadata arrived within 10 s";
        stage.control(false);
        return Ok(Discovery::NotFetched(why.into()));
    };
    let mut tried = Vec::new();
    let mut before = stage.control(true);
    for face in Face::BAD {
        let bad = reload(stage, app, face, Some(&hello)).await?;
        let good = reload(stage, app, Face::Good, None).await?;
        let after = stage.control(fetched(&good.connections).is_some());
        tried.push(ReloadTried {
            face,
            connections: bad.connections.iter().map(Connection::seen).collect(),
            controls: before && after,
            cites: bad.cites,
        });
        before = after;
    }
    Ok(Discovery::Tried(tried))
}

struct Reload {
    connections: Vec<Connection>,
    cites: Vec<ExchangeId>,
}

/// The hello of the connection on which metadata was asked for.
fn fetched(connections: &[Connection]) -> Option<ClientHello> {
    let metadata =
        |connection: &&Connection| connection.request.as_ref().is_some_and(|request| request.contains("/.well-known/"));
    read_client_hello(&connections.iter().find(metadata)?.hello)
}

/// Asks the operator's side for a reload; an application that only forgets its copy fetches when a login starts, so one is started, by
/// a client that follows no redirect. `like` leaves out connections with other suites: a browser's.
async fn reload(stage: &Stage, app: &AppWorld, face: Face, like: Option<&ClientHello>) -> Result<Reload, Obstacle> {
    let front = Shown::new(&app.provider.front, face).await;
    let answer = stage.hook("reload-metadata", &[]).await?;
    let mut cites = vec![answer.exchange];
    let start = Ask::get(app.app.start()).header("accept", "text/html");
    let step = format!("start of a login, metadata with {}", face.describe());
    if let Ok(reply) = stage.world.http.send(stage.scenario, &step, start).await {
        cites.push(reply.exchange);
    }
    let deadline = Instant::now() + FETCH;
    let connections = loop {
        let mut connections = front.seen();
        connections.retain(|connection| like.is_none_or(|like| same_client(like, connection)));
        let done = match face {
            Face::Good => fetched(&connections).is_some(),
            _ => {
                !connections.is_empty() && connections.iter().all(|connection| connection.closed || connection.request_bytes > 0)
            }
        };
        if done || Instant::now() > deadline {
            break connections;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    front.restore().await;
    Ok(Reload { connections, cites })
}

/// Does this connection come from the client with that hello? Every TLS library has its own suites and its own order of them.
fn same_client(hello: &ClientHello, connection: &Connection) -> bool {
    connection.request_bytes > 0 || read_client_hello(&connection.hello).is_some_and(|other| other.suites == hello.suites)
}
