//! The DevTools connection: one WebSocket to the browser, shared by all pages.
//!
//! Commands are typed by `headless_chrome`'s generated protocol. Answers and events are read as plain JSON, because a
//! browser is newer than any generated schema, and an event with an unknown enum value must not be lost. The crate's own
//! transport is not used: it reads under a lock with a 100 ms time-out, which every command has to wait for.

use std::collections::HashMap;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use headless_chrome::protocol::cdp::types::Method;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use super::AgentFault;

/// What a command came to: its result object, or the browser's error message. The sender is dropped when the browser dies.
pub(super) type Reply = oneshot::Receiver<Result<Value, String>>;

/// An event of one session.
#[derive(Debug)]
pub(super) struct Event {
    /// `Domain.eventName`.
    pub method: String,
    /// Its parameters.
    pub params: Value,
}

/// The connection. Cheap to clone by `Arc`; closing it ends both of its threads.
pub(super) struct Link {
    out: mpsc::Sender<String>,
    shared: Arc<Shared>,
    socket: TcpStream,
}

#[derive(Default)]
struct Shared {
    next: AtomicU32,
    closed: AtomicBool,
    routes: Mutex<Routes>,
}

#[derive(Default)]
struct Routes {
    calls: HashMap<u32, oneshot::Sender<Result<Value, String>>>,
    sessions: HashMap<String, UnboundedSender<Event>>,
}

impl Shared {
    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        *self.routes() = Routes::default();
    }

    fn incoming(&self, text: &str) {
        let Ok(Value::Object(mut message)) = serde_json::from_str::<Value>(text) else { return };
        if let Some(id) = message.get("id").and_then(Value::as_u64) {
            let waiting = u32::try_from(id).ok().and_then(|id| self.routes().calls.remove(&id));
            if let Some(waiting) = waiting {
                let answer = match message.get("error") {
                    Some(error) => Err(error["message"].as_str().unwrap_or("unknown error").to_owned()),
                    None => Ok(message.remove("result").unwrap_or(Value::Null)),
                };
                let _ = waiting.send(answer);
            }
            return;
        }
        let params = message.remove("params").unwrap_or(Value::Null);
        let Some(method) = message.get("method").and_then(Value::as_str) else { return };
        let mut routes = self.routes();
        if method == "Target.detachedFromTarget" {
            // The page is gone (crashed or closed itself): whoever waits on it learns it by the closed channel.
            if let Some(session) = params["sessionId"].as_str() {
                routes.sessions.remove(session);
            }
            return;
        }
        let session = message.get("sessionId").and_then(Value::as_str);
        if let Some(route) = session.and_then(|session| routes.sessions.get(session)) {
            let _ = route.send(Event { method: method.to_owned(), params });
        }
    }
}

impl Link {
    /// Connects to `ws://host:port/devtools/browser/...`; blocking, at most `within`.
    pub(super) fn connect(address: &str, within: Duration) -> Result<Self, AgentFault> {
        let lost = |why: String| AgentFault::NoBrowser(format!("cannot connect to the browser at {address}: {why}"));
        let url = url::Url::parse(address).map_err(|e| lost(e.to_string()))?;
        if url.scheme() != "ws" {
            return Err(lost("only ws:// addresses are supported; for TLS put a tunnel in front".into()));
        }
        let host = url.host_str().unwrap_or("127.0.0.1").trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or(80);
        let mut last = "the host has no address".to_owned();
        let mut stream = None;
        for address in (host, port).to_socket_addrs().map_err(|e| lost(e.to_string()))? {
            match TcpStream::connect_timeout(&address, within) {
                Ok(connected) => {
                    stream = Some(connected);
                    break;
                }
                Err(e) => last = e.to_string(),
            }
        }
        let stream = stream.ok_or_else(|| lost(last))?;
        let prepared = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(within)))
            .and_then(|()| stream.set_write_timeout(Some(within)));
        prepared.map_err(|e| lost(e.to_string()))?;
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (reading, _) =
            tungstenite::client::client_with_config(address, stream, Some(config)).map_err(|e| lost(e.to_string()))?;
        // Reader and writer each own a handle of the same socket, so that neither ever waits for the other.
        let copies = reading.get_ref().try_clone().and_then(|a| Ok((a, reading.get_ref().try_clone()?)));
        let (write_half, socket) = copies.map_err(|e| lost(e.to_string()))?;
        socket.set_read_timeout(None).map_err(|e| lost(e.to_string()))?;
        let shared = Arc::new(Shared::default());
        let (out, commands) = mpsc::channel();
        let at_end = Arc::clone(&shared);
        std::thread::spawn(move || {
            read(reading, &at_end);
            at_end.close();
        });
        std::thread::spawn(move || write(WebSocket::from_raw_socket(write_half, Role::Client, None), &commands));
        Ok(Link { out, shared, socket })
    }

    /// Sends a command, to a page's session or (without one) to the browser.
    pub(super) fn send<M: Method + Serialize>(&self, session: Option<&str>, method: M) -> Reply {
        let (answer, reply) = oneshot::channel();
        let id = self.shared.next.fetch_add(1, Ordering::SeqCst);
        let mut message = serde_json::to_value(method.to_method_call(id)).unwrap_or(Value::Null);
        if message["params"].is_null()
            && let Some(message) = message.as_object_mut()
        {
            message.remove("params");
        }
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        self.shared.routes().calls.insert(id, answer);
        // Checked after the insertion: whoever closes clears the table after setting the flag.
        if self.shared.closed.load(Ordering::SeqCst) || self.out.send(message.to_string()).is_err() {
            self.shared.routes().calls.remove(&id);
        }
        reply
    }

    /// Sends a command to the browser and waits for its result.
    pub(super) async fn call<M: Method + Serialize>(&self, method: M, within: Duration) -> Result<Value, AgentFault> {
        answer(self.send(None, method), M::NAME, within).await
    }

    /// Events of a session from now on.
    pub(super) fn listen(&self, session: &str) -> UnboundedReceiver<Event> {
        let (route, events) = unbounded_channel();
        if !self.closed() {
            self.shared.routes().sessions.insert(session.to_owned(), route);
        }
        events
    }

    /// No more events of this session.
    pub(super) fn forget(&self, session: &str) {
        self.shared.routes().sessions.remove(session);
    }

    /// Has the connection ended?
    pub(super) fn closed(&self) -> bool {
        self.shared.closed.load(Ordering::SeqCst)
    }

    /// Ends the connection.
    pub(super) fn shut(&self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        self.shared.close();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shut();
    }
}

/// Waits for a reply with a deadline.
pub(super) async fn answer(reply: Reply, what: &str, within: Duration) -> Result<Value, AgentFault> {
    match tokio::time::timeout(within, reply).await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(message))) => Err(AgentFault::Lost(format!("{what}: {message}"))),
        Ok(Err(_)) => Err(gone()),
        Err(_) => Err(AgentFault::Deadline { what: format!("the browser's answer to {what}"), seconds: within.as_secs() }),
    }
}

/// The browser is not there any more.
pub(super) fn gone() -> AgentFault {
    AgentFault::Lost("it ended, or its page crashed, while the suite was using it".into())
}

fn read(mut socket: WebSocket<TcpStream>, shared: &Shared) {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => shared.incoming(&text),
            Ok(Message::Close(_)) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn write(mut socket: WebSocket<TcpStream>, commands: &mpsc::Receiver<String>) {
    while let Ok(command) = commands.recv() {
        if socket.send(Message::text(command)).is_err() {
            // The reader sees the same end of the connection.
            let _ = socket.get_ref().shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}
