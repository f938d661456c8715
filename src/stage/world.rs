//! What all scenarios of a run share: the target, the suite's keys, the client, the browser, and the signed-in user.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::OnceCell;

use super::app_world::AppWorld;
use super::browser::recipe::Credentials;
use super::browser::{Context, UserAgent};
use super::hooks::Undo;
use super::http::{Http, Reply};
use super::recorder::Recorder;
use super::resolve::Resolve;
use super::scim_world::ScimWorld;
use super::secrets::Secrets;
use crate::counterpart::command_issuer::CommandBook;
use crate::counterpart::keys::SuiteKeys;
use crate::counterpart::scim_receiver::Receiver;
use crate::event::Sink;
use crate::model::target::{Client, Idp, Target, User};
use crate::model::{ClauseId, ExchangeId};
use crate::suite::Obstacle;
use crate::wire::seen::IdTokenSeen;

/// Seconds for which an effect at a reference peer is waited for, at most.
const EMBEDDED_S: u64 = 8;

/// The world of one run.
pub struct World {
    /// The target file.
    pub target: Target,
    /// Its identity service; empty where only an application is tested.
    pub idp: Idp,
    /// The application under test, where one is.
    pub app: Option<AppWorld>,
    /// The application's SCIM service provider, where one is configured.
    pub scim: Option<ScimWorld>,
    /// The suite's SCIM server and command endpoint for an identity service, where provisioning is tested.
    pub receiver: Option<Receiver>,
    /// The target is the embedded reference peer, which needs no patience.
    pub embedded: bool,
    /// Seconds of the longest wait that the profiles name.
    pub longest_s: u64,
    /// Requests in large numbers are allowed.
    pub allow_load: bool,
    /// Values of the secrets it names.
    pub secrets: Secrets,
    /// The suite's keys.
    pub keys: SuiteKeys,
    /// Collects the evidence.
    pub recorder: Arc<Recorder>,
    /// The suite's back channel.
    pub http: Http,
    /// Overrides of name resolution.
    pub resolve: Resolve,
    /// DER certificates trusted besides the public roots.
    pub roots: Vec<Vec<u8>>,
    /// The browser.
    pub agent: Arc<dyn UserAgent>,
    /// Receives progress.
    pub events: Sink,
    /// Tags what the run creates.
    pub run_id: String,
    /// Clauses to be decided.
    pub wanted: HashSet<ClauseId>,
    /// Somebody sits at the terminal and may answer prompts.
    pub interactive: bool,
    /// The discovery document, as fetched before the first scenario.
    pub discovery: Discovery,
    /// The JWK Set, refetched at most once.
    pub jwks: Mutex<Jwks>,
    /// The browser context in which the main user is signed in, set by `idp-login`.
    pub main: OnceCell<Result<MainLogin, Obstacle>>,
    /// What `aud` the target takes in client assertions.
    pub audience: OnceCell<String>,
    /// Samples of codes and tokens of the whole run; in memory only.
    pub samples: Mutex<Samples>,
    /// Credentials per user: shared, so that no one-time code is used twice and no refused password is typed again.
    pub users: Mutex<BTreeMap<String, Credentials>>,
    /// The main user's session, which one scenario at a time works in.
    pub session: Arc<tokio::sync::Mutex<()>>,
    /// What reaches the suite unasked.
    pub inbox: super::inbox::Inbox,
    /// What was made at the target, on disk, in case the run is killed.
    pub journal: super::journal::Journal,
    /// What all scenarios of account commands share.
    pub commands: CommandBook,
    /// Users that the target file names, and who works on them.
    pub named: super::named::Named,
    /// Made-up users who signed in at the application.
    pub guests: super::guests::Guests,
    /// What the run made at the target and could not remove, in words.
    pub left: Mutex<Vec<String>>,
    /// What must be undone at the target when the run ends: hook and its values.
    pub undo: Mutex<Vec<Undo>>,
    /// What could not be undone: it stays on the list of the next run.
    pub stuck: Mutex<Vec<Undo>>,
    /// How often in a row each hook did not end in its time.
    pub hung: Mutex<BTreeMap<String, u32>>,
}

/// The discovery document.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// The answer, or why there was none.
    pub reply: Option<Reply>,
    /// The JSON object; `null` where there was none.
    pub document: Value,
}

impl Discovery {
    /// A string member.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.document.get(name)?.as_str()
    }

    /// A string array member.
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.document.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

/// The JWK Set.
#[derive(Clone, Debug, Default)]
pub struct Jwks {
    /// The JSON value; `null` where none could be fetched.
    pub set: Value,
    /// The answer.
    pub reply: Option<Reply>,
    /// It was fetched again because a signature did not verify.
    pub again: bool,
}

/// The signed-in user.
#[derive(Clone)]
pub struct MainLogin {
    /// The cookie jar.
    pub context: Arc<dyn Context>,
    /// When the sign-in ended.
    pub at: Instant,
    /// The ID token of that sign-in.
    pub id_token: Option<IdTokenSeen>,
    /// Login page URLs seen on the way, for the search for URL-bearing parameters.
    pub pages: Vec<String>,
}

/// Samples of codes and tokens. Never serialised: only estimates and digests of them are.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// Authorization codes; true for those of client A in the main user's session.
    pub codes: Vec<(bool, String)>,
    /// Requests of the browser to hosts of the identity service without TLS.
    pub in_clear: Vec<(String, ExchangeId)>,
    /// Access tokens.
    pub access: Vec<String>,
    /// Refresh tokens.
    pub refresh: Vec<String>,
    /// ID tokens, as seen.
    pub id_tokens: Vec<IdTokenSeen>,
    /// Exchanges of authorization responses that carried a token besides the code.
    pub leaks: Vec<(String, ExchangeId)>,
    /// DPoP-bound access tokens seen.
    pub dpop_tokens: usize,
    /// Authorization responses seen.
    pub responses: usize,
}

impl World {
    /// How long an effect that a clause gives so many seconds is waited for: never longer than the longest wait of the profiles. The
    /// reference peers act at once.
    pub fn patience(&self, seconds: u64) -> Duration {
        let longest = if self.embedded { self.longest_s.min(EMBEDDED_S) } else { self.longest_s };
        Duration::from_secs(seconds.min(longest))
    }

    /// How long a provisioning cycle of the identity service may take.
    pub fn cycle(&self) -> Duration {
        let seconds = self.target.lifecycle.cycle_s;
        Duration::from_secs(if self.embedded { seconds.min(EMBEDDED_S) } else { seconds })
    }

    /// The suite's SCIM server for the identity service, or why there is none.
    ///
    /// # Errors
    /// None is configured.
    pub fn receiver(&self) -> Result<&Receiver, Obstacle> {
        let help = "Set counterpart.scim_url to the URL under which the identity service reaches the suite.";
        self.receiver.as_ref().ok_or_else(|| Obstacle::config("counterpart.scim_url is not configured", help))
    }

    /// Locks the credentials.
    pub fn users(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Credentials>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the samples.
    pub fn samples(&self) -> std::sync::MutexGuard<'_, Samples> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who signs in where the main user's session must stay untouched: another user who can complete a login, else the main user.
    pub fn other_user(&self) -> Result<&User, Obstacle> {
        let users = &self.idp.users;
        let first = users
            .first()
            .ok_or_else(|| Obstacle::config("idp.users is not configured", "Add a test user to the target file."))?;
        let able =
            |user: &&User| user.password.is_some() == first.password.is_some() && user.totp.is_some() == first.totp.is_some();
        Ok(users.iter().skip(1).find(able).unwrap_or(first))
    }

    /// The issuer as the metadata says it; where there is none, as the target file does.
    pub fn issuer(&self) -> &str {
        self.discovery.get("issuer").unwrap_or(&self.idp.issuer)
    }

    /// A registered client by its name in the target file.
    pub fn client(&self, name: &str) -> Option<&Client> {
        let clients = &self.idp.clients;
        match name {
            "main" => clients.main.as_ref(),
            "second" => clients.second.as_ref(),
            "public" => clients.public.as_ref(),
            "pairwise" => clients.pairwise.as_ref(),
            "pairwise_other" => clients.pairwise_other.as_ref(),
            "encrypted" => clients.encrypted.as_ref(),
            _ => None,
        }
    }

    /// The path of a client's redirect URI.
    pub fn redirect_uris(&self, name: &str) -> Vec<String> {
        let at = &self.target.counterpart;
        let own = |path: &str| format!("{}{path}", at.public_url.trim_end_matches('/'));
        match name {
            "main" => vec![own("/cb/a"), own("/cb/b")],
            "second" => vec![own("/cb/second"), own("/cb/a")],
            "pairwise_other" => vec![format!("{}/cb/pairwise", at.sector_url.trim_end_matches('/'))],
            other => vec![own(&format!("/cb/{other}"))],
        }
    }

    /// An endpoint of the metadata, or the obstacle that it is missing.
    pub fn endpoint(&self, name: &str) -> Result<&str, Obstacle> {
        self.discovery.get(name).filter(|url| url.starts_with("http")).ok_or_else(|| {
            Obstacle::target(
                format!("the discovery document names no {name}"),
                "See sl1.idp.discovery-published; without this endpoint the scenario cannot be played.",
            )
        })
    }

    /// The signed-in main user, or why nobody is signed in.
    pub fn signed_in(&self) -> Result<&MainLogin, Obstacle> {
        match self.main.get() {
            Some(Ok(login)) => Ok(login),
            Some(Err(obstacle)) => Err(Obstacle {
                class: obstacle.class,
                message: format!("nobody is signed in: {}", obstacle.message),
                hint: obstacle.hint.clone(),
            }),
            None => Err(Obstacle::target(
                "nobody is signed in: idp-login was not played",
                "Do not leave idp-login out with --scenario.",
            )),
        }
    }
}
