//! The provisioning side of the reference identity service: a directory whose changes are brought to an application at once, by SCIM
//! (RFC 7644) and by OpenID Provider Commands (draft 02).
//!
//! ```text
//! hooks ──> directory ──> jobs ──> users, groups ──> channel ──> SCIM server
//!                           └────> commands ─────────────────> command endpoint
//! ```
//!
//! Nothing is sent for an event as such: a job compares the state that is wanted with the one that was last known at the application and
//! sends the difference. So a repeated job does no harm, and a full synchronisation is the same with the state read anew.

mod actions;
mod channel;
mod commands;
mod directory;
mod groups;
mod hooks;
mod lapse;
mod profile;
mod resync;
#[cfg(test)]
mod tests;
mod token;
mod transport;
mod users;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, join, join_all};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::stage::async_server::AsyncServer;
use crate::stage::listener::{ListenFault, TestCa, TlsFront, TlsShape};
use crate::stage::resolve::Resolve;
use channel::Channel;
use commands::Commands;
use directory::{Directory, Job, User};

pub use lapse::Lapse;
pub use token::Credential;

/// Seconds for which nothing is provisioned after a refused role, under a defect.
const HALT_S: u64 = 15;

/// What the provisioning side needs of the OpenID Provider.
pub trait Accounts: Send + Sync {
    /// Issuer identifier.
    fn issuer(&self) -> String;
    /// Names of the users that exist.
    fn names(&self) -> Vec<String>;
    /// The subject identifier of a user for the application.
    fn sub(&self, name: &str) -> Option<String>;
    /// Makes a user who signs in with this password and secret of one-time codes.
    fn add(&self, name: &str, password: &str, totp: &str);
    /// Lets a user sign in, or not: sessions and refresh tokens end with it.
    fn set_disabled(&self, name: &str, disabled: bool);
    /// Renames a user.
    fn rename(&self, from: &str, to: &str);
    /// Removes a user.
    fn remove(&self, name: &str);
    /// Signs a token with the key of ID tokens.
    fn sign(&self, header: &Value, claims: &Value) -> String;
}

/// Where and how accounts are provisioned.
#[derive(Clone)]
pub struct Settings {
    /// URL of the SCIM server without a slash at its end; `None` for no SCIM.
    pub scim_url: Option<String>,
    /// How the SCIM client authenticates.
    pub credential: Credential,
    /// The application's command endpoint; `None` for no commands.
    pub commands_url: Option<String>,
    /// `client_id` of the application, in commands.
    pub client_id: String,
    /// `tenant` of commands.
    pub tenant: String,
    /// Names that lead elsewhere than the system says.
    pub resolve: BTreeMap<String, String>,
    /// A request without an answer after so long counts as lost.
    pub timeout: Duration,
    /// Authorities trusted besides the public ones, DER.
    pub roots: Vec<Vec<u8>>,
    /// Deliberate departures.
    pub lapses: Vec<Lapse>,
    /// Address and port of the hooks, the key set and the callback endpoint.
    pub listen: String,
    /// Their origin.
    pub origin: String,
    /// Signs their certificates.
    pub ca: Arc<TestCa>,
    /// Bearer token of the hooks.
    pub hook_token: String,
}

/// A running provisioning side. Dropping it stops it.
pub struct Provisioning {
    /// Its TLS endpoint.
    pub addr: SocketAddr,
    inner: Arc<Provisioner>,
    _front: TlsFront,
    _server: AsyncServer,
}

impl Drop for Provisioning {
    fn drop(&mut self) {
        self.inner.stopped.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Provisioning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Provisioning({} at {})", self.inner.settings.origin, self.addr)
    }
}

impl Provisioning {
    /// Starts it. Users that the OpenID Provider has already are in the directory, without the application.
    ///
    /// # Errors
    /// An address cannot be bound, or a setting cannot be used.
    pub async fn start(settings: Settings, accounts: Arc<dyn Accounts>) -> Result<Self, ListenFault> {
        let inner = Arc::new(
            Provisioner::new(settings, accounts)
                .map_err(|why| ListenFault::Bind { address: "provisioning".into(), source: std::io::Error::other(why) })?,
        );
        let handler = inner.clone();
        let server = AsyncServer::start("127.0.0.1:0", move |request| {
            let provisioner = handler.clone();
            Box::pin(async move { hooks::answer(&provisioner, &request).await })
        })
        .await?;
        let settings = &inner.settings;
        let front = TlsFront::start(settings.ca.clone(), &settings.listen, server.addr, TlsShape::default(), None).await?;
        Ok(Provisioning { addr: front.addr, inner, _front: front, _server: server })
    }

    /// Groups and roles for an ID token of the application; `None` for users it does not provision.
    pub fn claims(&self) -> impl Fn(&str) -> Option<[Vec<String>; 2]> + Send + Sync + 'static {
        let inner = self.inner.clone();
        move |name| inner.directory().claims(name)
    }
}

/// What jobs and hooks share.
struct Provisioner {
    settings: Settings,
    accounts: Arc<dyn Accounts>,
    scim: Option<Channel>,
    commands: Option<Commands>,
    directory: Mutex<Directory>,
    /// One job per user or group at a time.
    turns: Mutex<HashMap<Job, Arc<tokio::sync::Mutex<()>>>>,
    /// Under a defect: until when nothing is provisioned.
    halted: Mutex<Option<Instant>>,
    /// Where it was last told to find the application by a hook.
    receiver: Mutex<(String, String)>,
    /// It was dropped: jobs that are left are not begun any more.
    stopped: AtomicBool,
}

impl Provisioner {
    fn new(settings: Settings, accounts: Arc<dyn Accounts>) -> Result<Self, String> {
        let resolve = Resolve::new(&settings.resolve, [])?;
        let http = transport::client(
            &settings.roots,
            &resolve,
            settings.timeout,
            !settings.lapses.contains(&Lapse::TlsServerValidation),
        )?;
        let scim =
            settings.scim_url.as_ref().map(|url| Channel::new(url, settings.credential.clone(), http.clone(), &settings.lapses));
        let commands = settings.commands_url.as_ref().map(|url| Commands::new(url, http.clone()));
        let mut directory = Directory::new(&settings.lapses);
        for name in accounts.names() {
            let user = User { sub: accounts.sub(&name).unwrap_or_default(), ..User::named(&name) };
            directory.add_user(user);
        }
        Ok(Provisioner {
            settings,
            accounts,
            scim,
            commands,
            directory: Mutex::new(directory),
            turns: Mutex::default(),
            halted: Mutex::default(),
            receiver: Mutex::default(),
            stopped: AtomicBool::new(false),
        })
    }

    fn has(&self, lapse: Lapse) -> bool {
        self.settings.lapses.contains(&lapse)
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn problem(&self, text: String) {
        self.directory().problem(text);
    }

    /// Begins with these jobs in the background.
    fn schedule(self: &Arc<Self>, jobs: Vec<Job>) -> JoinHandle<()> {
        let this = self.clone();
        tokio::spawn(async move { this.all(jobs).await })
    }

    async fn all(self: &Arc<Self>, jobs: Vec<Job>) {
        join_all(jobs.into_iter().map(|job| self.work(job))).await;
    }

    /// Brings one user or group in step. Boxed, because a group brings its members in step first.
    fn work(self: &Arc<Self>, job: Job) -> BoxFuture<'static, ()> {
        let this = self.clone();
        Box::pin(async move {
            let turn = this.turns.lock().unwrap_or_else(PoisonError::into_inner).entry(job).or_default().clone();
            let _turn = turn.lock().await;
            if this.stopped.load(Ordering::Relaxed) || this.is_halted() {
                return;
            }
            match job {
                Job::User(key) => {
                    join(this.user_in_step(key), this.tell_user(key)).await;
                    this.forget(key);
                }
                Job::Group(key) => this.group_in_step(key).await,
            }
        })
    }

    /// A deleted user that nobody has to hear of any more.
    fn forget(&self, key: directory::Key) {
        let mut directory = self.directory();
        let done = directory.users.get(&key).is_some_and(|user| user.gone && user.link.is_none() && user.told.state.is_empty());
        if done {
            directory.users.remove(&key);
        }
    }

    fn halt(&self) {
        *self.halted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + Duration::from_secs(HALT_S));
    }

    fn is_halted(&self) -> bool {
        self.halted.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| until > Instant::now())
    }

    /// Where the hosts of the application are from now on, and who signs their certificates (DER).
    fn redirect(&self, receiver: SocketAddr, authority: Vec<u8>) -> Result<(), String> {
        let mut table = self.settings.resolve.clone();
        let issuer = match &self.settings.credential {
            Credential::Assertion { issuer, .. } => Some(issuer),
            Credential::Bearer(_) => None,
        };
        for url in [self.settings.scim_url.as_ref(), self.settings.commands_url.as_ref(), issuer].into_iter().flatten() {
            if let Some(url) = url::Url::parse(url).ok()
                && let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default())
            {
                table.insert(format!("{host}:{port}"), receiver.to_string());
            }
        }
        let roots: Vec<Vec<u8>> = self.settings.roots.iter().cloned().chain([authority]).collect();
        let http =
            transport::client(&roots, &Resolve::new(&table, [])?, self.settings.timeout, !self.has(Lapse::TlsServerValidation))?;
        if let Some(scim) = &self.scim {
            scim.replace_client(http.clone());
        }
        if let Some(commands) = &self.commands {
            commands.replace_client(http);
        }
        Ok(())
    }
}
