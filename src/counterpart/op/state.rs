//! What the service remembers, all of it in memory.

use std::collections::{HashMap, HashSet};

use super::classes::Asked;
use super::http::Pairs;
use super::{OpUser, RegisteredClient};
use crate::wire::jose::random;

/// Seconds an authorization code may be redeemed.
pub const CODE_LIFETIME_S: i64 = 60;
/// Seconds an access token works.
pub const ACCESS_TOKEN_LIFETIME_S: i64 = 600;
/// Seconds a pushed request may be used.
pub const PUSHED_LIFETIME_S: i64 = 90;

/// A user account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Internal id; a re-created account gets another one, so that no subject identifier is ever reassigned.
    pub id: String,
    /// Public subject identifier.
    pub sub: String,
    /// Configured properties.
    pub user: OpUser,
    /// Disabled accounts neither sign in nor refresh.
    pub disabled: bool,
}

impl Account {
    /// A fresh account for a configured user.
    pub fn new(user: OpUser) -> Self {
        Account { id: random(12), sub: random(18), user, disabled: false }
    }
}

/// A completed authentication of a browser.
#[derive(Clone, Debug)]
pub struct Authentication {
    /// Name of the user.
    pub user: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The second authenticator was used as well.
    pub strong: bool,
}

/// A browser session, known by its cookie.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Hidden token of the forms.
    pub csrf: String,
    /// Who signed in with both factors.
    pub signed_in: Option<Authentication>,
    /// Who passed the first factor only.
    pub first_factor: Option<FirstFactor>,
}

/// A login between its two factors.
#[derive(Clone, Debug)]
pub struct FirstFactor {
    /// Name of the user.
    pub user: String,
    /// This login; one-time codes are remembered by it for users whose codes are reusable.
    pub attempt: String,
}

/// A validated authorization request.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client_id: String,
    /// Where the response goes.
    pub redirect_uri: String,
    /// Was `redirect_uri` in the request?
    pub redirect_uri_sent: bool,
    /// `state`.
    pub state: Option<String>,
    /// `nonce`.
    pub nonce: Option<String>,
    /// Space-separated scopes.
    pub scope: String,
    /// PKCE challenge; `None` only under a defect.
    pub challenge: Option<String>,
    /// Is the challenge the verifier itself? Only under a defect.
    pub challenge_plain: bool,
    /// `max_age` in seconds.
    pub max_age: Option<i64>,
    /// `prompt` contains `none`.
    pub prompt_none: bool,
    /// `prompt` contains `login`.
    pub prompt_login: bool,
    /// `tenant`.
    pub tenant: Option<String>,
    /// Were classes asked for?
    pub acr_asked: bool,
    /// Which.
    pub classes: Asked,
    /// `sub` of a valid `id_token_hint`.
    pub hint: Option<String>,
    /// Thumbprint of the DPoP key the code is bound to (RFC 9449 10).
    pub dpop_jkt: Option<String>,
    /// The PAR handle it came by; given up when the code is issued.
    pub pushed: Option<String>,
}

impl AuthorizationRequest {
    /// A request with nothing but a client and scopes: what a portal or password grant (both defects) starts from.
    pub fn bare(client_id: &str, scope: &str) -> Self {
        AuthorizationRequest {
            client_id: client_id.to_owned(),
            redirect_uri: String::new(),
            redirect_uri_sent: false,
            state: None,
            nonce: None,
            scope: scope.to_owned(),
            challenge: None,
            challenge_plain: false,
            max_age: None,
            prompt_none: false,
            prompt_login: false,
            tenant: None,
            acr_asked: false,
            classes: Asked::default(),
            hint: None,
            dpop_jkt: None,
            pushed: None,
        }
    }
}

/// A request that waits for a login.
#[derive(Clone, Debug)]
pub struct Interaction {
    /// What was asked.
    pub request: AuthorizationRequest,
    /// When, in milliseconds: only a later authentication counts as "asked again".
    pub started_ms: i64,
}

/// What a user's login gave a client; tokens point here.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The client.
    pub client_id: String,
    /// Internal id of the account.
    pub account: String,
    /// Name of the user.
    pub user: String,
    /// Subject identifier for this client.
    pub sub: String,
    /// Granted scopes.
    pub scope: String,
    /// When the user authenticated, in seconds.
    pub auth_time: i64,
    /// `tenant` claim, when one was asked for.
    pub tenant: Option<String>,
    /// Were classes asked for?
    pub acr_asked: bool,
    /// `acr` of its ID tokens; empty for none, only under a defect.
    pub acr: String,
    /// The second authenticator was used.
    pub strong: bool,
    /// Was `max_age` asked for?
    pub max_age_asked: bool,
    /// Set when a code or refresh token was presented twice.
    pub revoked: bool,
}

/// An issued authorization code.
#[derive(Clone, Debug)]
pub struct Code {
    /// The request it answers.
    pub request: AuthorizationRequest,
    /// The grant it leads to.
    pub grant: String,
    /// When it was issued, in seconds.
    pub issued: i64,
    /// When it was used, in seconds.
    pub used: Option<i64>,
}

/// An access token.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// Its grant.
    pub grant: String,
    /// When it ends, in seconds.
    pub expires: i64,
    /// Thumbprint of its DPoP key.
    pub jkt: Option<String>,
}

/// A refresh token.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    /// Its grant.
    pub grant: String,
    /// Thumbprint of its DPoP key, for public clients.
    pub jkt: Option<String>,
    /// Replaced by a newer one.
    pub rotated: bool,
}

/// A pushed authorization request.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// Who pushed it.
    pub client_id: String,
    /// Its parameters.
    pub parameters: Pairs,
    /// When it ends, in seconds.
    pub expires: i64,
}

/// Everything, by handle.
#[derive(Debug, Default)]
pub struct State {
    /// Clients by id.
    pub clients: HashMap<String, RegisteredClient>,
    /// Accounts by user name.
    pub accounts: HashMap<String, Account>,
    /// Browser sessions by cookie value.
    pub sessions: HashMap<String, Session>,
    /// Waiting requests.
    pub interactions: HashMap<String, Interaction>,
    /// Pushed requests by `request_uri`.
    pub pushed: HashMap<String, Pushed>,
    /// Authorization codes.
    pub codes: HashMap<String, Code>,
    /// Grants.
    pub grants: HashMap<String, Grant>,
    /// Access tokens.
    pub access_tokens: HashMap<String, AccessToken>,
    /// Refresh tokens.
    pub refresh_tokens: HashMap<String, RefreshToken>,
    /// Used `jti` of client assertions and DPoP proofs -> when they may be forgotten.
    pub seen: HashMap<String, i64>,
    /// Accepted one-time codes.
    pub one_time_codes: HashSet<String>,
    /// DPoP nonces with the time of their making, newest last.
    pub nonces: Vec<(String, i64)>,
    /// Seconds of `session_expiry`.
    pub session_lifetime_s: i64,
}

impl State {
    /// Remembers a `jti` until `until`; `false` if it was known.
    pub fn first_use(&mut self, key: String, now: i64, until: i64) -> bool {
        self.seen.retain(|_, end| *end >= now);
        self.seen.insert(key, until).is_none()
    }

    /// The account of a grant, if it still exists and is enabled.
    pub fn live_account(&self, grant: &Grant) -> Option<&Account> {
        self.accounts.get(&grant.user).filter(|account| account.id == grant.account && !account.disabled)
    }
}
