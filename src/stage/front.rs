//! The TLS endpoint in front of the suite's OpenID Provider, as applications see it: its certificate can be switched, every connection is
//! remembered with its ClientHello, and clear bytes go on to the provider.
//!
//! Sessions are never resumed here. A resumed one shows no certificate, so a client that had seen the good one would rightly go on.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;

use self::presented::Presented;
use self::streams::{Counted, Replay};
use super::listener::{ListenFault, TestCa};
use crate::wire::client_hello::{Arrived, arrived};

mod old;
mod presented;
mod streams;
#[cfg(test)]
mod tests;

/// Connections remembered; older ones are forgotten.
const REMEMBERED: usize = 4096;
/// Bytes of a ClientHello at most.
const HELLO: usize = 64 * 1024;
/// Time a peer has for its ClientHello, and again for the rest of the handshake.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time a connection may live.
const LIFE: Duration = Duration::from_secs(900);

/// How the endpoint presents itself to new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Face {
    /// A valid certificate of the suite's authority.
    Good,
    /// The right name, issued by an authority that nobody knows.
    UnknownCa,
    /// Issued by the suite's authority for another host.
    WrongName,
    /// Issued by the suite's authority for the right name; its validity has ended.
    Expired,
    /// The right name, signed with its own key.
    SelfSigned,
    /// Answers the ClientHello with TLS 1.1 and watches whether the client goes on.
    Tls11,
}

impl Face {
    /// The faces with a certificate that no client may accept.
    pub const BAD: [Face; 4] = [Face::UnknownCa, Face::WrongName, Face::Expired, Face::SelfSigned];

    /// What is presented, in words.
    pub fn describe(self) -> &'static str {
        match self {
            Face::Good => "a valid certificate",
            Face::UnknownCa => "a certificate of an unknown authority",
            Face::WrongName => "a certificate for another host",
            Face::Expired => "an expired certificate",
            Face::SelfSigned => "a self-signed certificate",
            Face::Tls11 => "TLS 1.1",
        }
    }
}

/// A connection that a client opened.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Counts from 1 in order of arrival.
    pub number: u64,
    /// What it saw.
    pub face: Face,
    /// When it was opened.
    pub at: Instant,
    /// The raw ClientHello with its record heads, or whatever came instead of one.
    pub hello: Vec<u8>,
    /// The TLS handshake was completed.
    pub handshake_done: bool,
    /// Bytes of application data received.
    pub request_bytes: u64,
    /// Method and path of the first HTTP request on it, without the query.
    pub request: Option<String>,
    /// [`Face::Tls11`]: a handshake message followed our flight. It is never set for another face.
    pub went_on: bool,
    /// `AlertDescription` of the alert by which the client refused.
    pub alert: Option<u8>,
    /// The connection has ended.
    pub closed: bool,
}

/// What a scenario keeps of a [`Connection`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionSeen {
    /// Counts from 1 in order of arrival.
    pub number: u64,
    /// What it saw.
    pub face: Face,
    /// A ClientHello came.
    pub hello: bool,
    /// The TLS handshake was completed.
    pub handshake_done: bool,
    /// Bytes of application data received.
    pub request_bytes: u64,
    /// Method and path of the first HTTP request on it.
    pub request: Option<String>,
    /// A handshake message followed our TLS 1.1 flight.
    pub went_on: bool,
    /// `AlertDescription` of the client's refusal.
    pub alert: Option<u8>,
    /// The connection had ended when this was noted.
    pub closed: bool,
}

impl Connection {
    /// The part that is kept in files.
    pub fn seen(&self) -> ConnectionSeen {
        ConnectionSeen {
            number: self.number,
            face: self.face,
            hello: matches!(arrived(&self.hello), Arrived::All(_)),
            handshake_done: self.handshake_done,
            request_bytes: self.request_bytes,
            request: self.request.clone(),
            went_on: self.went_on,
            alert: self.alert,
            closed: self.closed,
        }
    }
}

/// The endpoint. Dropping it closes it and all its connections.
#[derive(Debug)]
pub struct Front {
    /// Where it listens.
    pub addr: SocketAddr,
    face: watch::Sender<Face>,
    log: Arc<Log>,
    task: JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Front {
    /// Listens on `listen` and forwards to `upstream`. Certificates are made for the name a client asks for; for `host`, a name or an
    /// address, where it asks for none.
    ///
    /// # Errors
    /// The address cannot be bound, or no certificate can be made for `host`.
    pub async fn start(ca: Arc<TestCa>, listen: &str, host: String, upstream: SocketAddr) -> Result<Front, ListenFault> {
        let bind = |source| ListenFault::Bind { address: listen.to_owned(), source };
        let listener = TcpListener::bind(listen).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let presented = Arc::new(Presented::new(ca, host)?);
        let (face, faces) = watch::channel(Face::Good);
        let log = Arc::new(Log::default());
        let shared = log.clone();
        let task = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else {
                    // Out of file descriptors, say: do not spin.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let (presented, mut faces) = (presented.clone(), faces.clone());
                let face = *faces.borrow_and_update();
                let mine = Mine { log: shared.clone(), number: shared.open(face) };
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(LIFE, serve(client, face, &presented, upstream, faces, &mine)).await;
                    mine.note(|connection| connection.closed = true);
                });
            }
        });
        Ok(Front { addr, face, log, task })
    }

    /// Switches what new connections see, and closes all that are open, so that no kept-alive connection outlives the change.
    pub fn show(&self, face: Face) {
        self.face.send_replace(face);
    }

    /// [`Front::show`], and waits until what was open is closed (five seconds at most), so that a client that asks right afterwards
    /// must open a new connection.
    pub async fn switch(&self, face: Face) {
        let last = self.last_number();
        self.show(face);
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.log.lock().kept.iter().any(|entry| entry.number <= last && !entry.closed) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What new connections see.
    pub fn face(&self) -> Face {
        *self.face.borrow()
    }

    /// The connections so far, oldest first; at most the last 4096.
    pub fn connections(&self) -> Vec<Connection> {
        self.log.lock().kept.iter().cloned().collect()
    }

    /// The connections with a number above this one, oldest first.
    pub fn connections_after(&self, number: u64) -> Vec<Connection> {
        self.log.lock().kept.iter().filter(|connection| connection.number > number).cloned().collect()
    }

    /// The number of the youngest connection; 0 before the first.
    pub fn last_number(&self) -> u64 {
        self.log.lock().count
    }
}

/// All connections.
#[derive(Debug, Default)]
struct Log(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    count: u64,
    kept: VecDeque<Connection>,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, face: Face) -> u64 {
        let mut entries = self.lock();
        entries.count += 1;
        let number = entries.count;
        if entries.kept.len() >= REMEMBERED {
            entries.kept.pop_front();
        }
        entries.kept.push_back(Connection {
            number,
            face,
            at: Instant::now(),
            hello: Vec::new(),
            handshake_done: false,
            request_bytes: 0,
            request: None,
            went_on: false,
            alert: None,
            closed: false,
        });
        number
    }
}

/// The entry of one connection.
#[derive(Clone)]
struct Mine {
    log: Arc<Log>,
    number: u64,
}

impl Mine {
    fn note(&self, change: impl FnOnce(&mut Connection)) {
        // From the end: the connection at work is among the youngest.
        if let Some(connection) = self.log.lock().kept.iter_mut().rev().find(|entry| entry.number == self.number) {
            change(connection);
        }
    }
}

async fn serve(
    mut client: TcpStream,
    face: Face,
    presented: &Arc<Presented>,
    upstream: SocketAddr,
    mut faces: watch::Receiver<Face>,
    mine: &Mine,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    let handshake = async {
        let hello = within(read_hello(&mut client)).await?;
        mine.note(|connection| connection.hello.clone_from(&hello));
        if face == Face::Tls11 {
            within(old::answer(&mut client, &hello, presented, mine)).await?;
            return Ok(None);
        }
        let acceptor = TlsAcceptor::from(presented.config(face));
        let accepted = within(acceptor.accept(Replay::new(hello, client))).await;
        match &accepted {
            Ok(_) => mine.note(|connection| connection.handshake_done = true),
            Err(error) => mine.note(|connection| connection.alert = alert(error)),
        }
        accepted.map(Some)
    };
    let clear = tokio::select! {
        biased;
        clear = handshake => clear?,
        _ = faces.changed() => return Ok(()),
    };
    let Some(clear) = clear else { return Ok(()) };
    let mut counted = Counted::new(clear, mine.clone());
    let mut server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    let passed = tokio::select! {
        passed = tokio::io::copy_bidirectional(&mut counted, &mut server) => Some(passed),
        _ = faces.changed() => None,
    };
    match passed {
        Some(Ok(_)) => Ok(()),
        // Some clients finish the handshake and refuse the certificate afterwards.
        Some(Err(error)) => {
            mine.note(|connection| connection.alert = alert(&error));
            Err(error)
        }
        // A close_notify and a FIN, so that the client's pool does not offer the connection again.
        None => tokio::time::timeout(Duration::from_secs(1), counted.shutdown()).await.unwrap_or(Ok(())),
    }
}

async fn within<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Reads until the ClientHello is whole. What is not one is handed on as it came: the TLS library refuses it.
async fn read_hello(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let (mut hello, mut buffer) = (Vec::new(), [0; 4096]);
    while arrived(&hello) == Arrived::Part && hello.len() < HELLO {
        match client.read(&mut buffer).await? {
            0 => break,
            count => hello.extend(buffer.iter().take(count)),
        }
    }
    Ok(hello)
}

/// The alert that ended a connection.
fn alert(error: &io::Error) -> Option<u8> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(description) => Some(u8::from(*description)),
        _ => None,
    }
}
