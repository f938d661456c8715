//! What the application remembers, all of it in memory.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use crate::counterpart::scim_server::Role;

/// Seconds a login may take.
pub const TRANSACTION_LIFETIME_S: i64 = 600;
/// Seconds an own access token works.
pub const ACCESS_TOKEN_LIFETIME_S: i64 = 600;

/// A login that was sent to the provider and has not come back.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// Which configured issuer, from 0.
    pub connection: usize,
    /// The browser it belongs to, by its login cookie.
    pub browser: String,
    /// What was sent as `nonce`.
    pub nonce: Option<String>,
    /// PKCE verifier.
    pub verifier: String,
    /// Where the browser goes afterwards: an absolute URL.
    pub return_to: String,
    /// What was sent as `max_age`, in seconds.
    pub max_age: Option<i64>,
    /// Was a fresh authentication asked for?
    pub fresh: bool,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// The code that came back; only under a defect is a transaction looked at again.
    pub used: Option<String>,
}

/// Whether an account may be used: the states of OpenID Provider Commands draft 02. An account that is not there is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It may be used.
    #[default]
    Active,
    /// Temporarily not.
    Suspended,
    /// Taken out of use, and kept.
    Archived,
    /// Deleted, and kept all the same; only under a defect.
    Hidden,
}

impl Standing {
    /// `account_state`.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Active => "active",
            Standing::Suspended => "suspended",
            Standing::Archived => "archived",
            Standing::Hidden => "unknown",
        }
    }
}

/// What a provider said of itself in its last metadata command.
#[derive(Clone, Debug, Default)]
pub struct OpMetadata {
    /// Where results and requests go.
    pub callback_endpoint: Option<String>,
    /// The bearer token for a request.
    pub callback_token: Option<String>,
}

/// A user of the application, made at the first login or by a command.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Shown on pages; random.
    pub id: String,
    /// Issuer of its subject.
    pub issuer: String,
    /// Tenant of its subject, where the provider names one.
    pub tenant: Option<String>,
    /// Its subject identifier.
    pub sub: String,
    /// Display attribute.
    pub email: Option<String>,
    /// Display attribute.
    pub name: Option<String>,
    /// What the user wrote into the profile form.
    pub nickname: String,
    /// It is the SCIM user with the same id.
    pub managed: bool,
    /// Groups that the last sign-in claimed.
    pub groups: Vec<String>,
    /// What its name was at the first sign-in; read only under a defect.
    pub first_name: Option<String>,
    /// Logins are refused; only under a defect.
    pub suspended: bool,
    /// May it be used?
    pub standing: Standing,
    /// Claims that commands gave.
    pub claims: Map<String, Value>,
    /// What commands gave last, whatever was changed here since; only under a defect.
    pub pushed: Map<String, Value>,
    /// Who authenticates the user, where a migrate command said so.
    pub authentication_provider: Option<String>,
}

/// A signed-in browser, known by its cookie.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Id of the account.
    pub account: String,
    /// Which configured issuer, from 0.
    pub connection: usize,
    /// Subject identifier at the provider.
    pub sub: String,
    /// Tenant in the ID token.
    pub tenant: Option<String>,
    /// Session identifier of the provider, where the ID token has one.
    pub sid: Option<String>,
    /// The browser, by its login cookie.
    pub browser: String,
    /// Hidden token of the forms.
    pub csrf: String,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// Which login of this process it came from; grows.
    pub order: u64,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
    /// Seconds it was given at the login.
    pub lifetime: i64,
    /// The provider's refresh token.
    pub refresh_token: Option<String>,
    /// The provider's access token; kept only under a defect.
    pub foreign_access_token: Option<String>,
    /// It was not made by a sign-in at the provider, and nobody asks whether the account is active; only under a defect.
    pub bypass: bool,
    /// A command ended it. It stays in the table only for the defects that revive it.
    pub ended: bool,
}

/// An access or refresh token of the application itself.
#[derive(Clone, Debug)]
pub struct OwnToken {
    /// Id of the account.
    pub account: String,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
}

/// Everything, by handle.
#[derive(Debug, Default)]
pub struct State {
    /// Pending logins by `state`.
    pub transactions: HashMap<String, Transaction>,
    /// Login cookies that were given out; has a login of that browser come to an end?
    pub browsers: HashMap<String, bool>,
    /// Browsers in which a command ended a session; their next login asks for a fresh authentication.
    pub ask_again: HashSet<String>,
    /// Sessions by cookie value.
    pub sessions: HashMap<String, Session>,
    /// Accounts by id.
    pub accounts: HashMap<String, Account>,
    /// Own access tokens.
    pub access_tokens: HashMap<String, OwnToken>,
    /// Own refresh tokens.
    pub refresh_tokens: HashMap<String, OwnToken>,
    /// Used `jti` of commands and logout tokens -> when they may be forgotten.
    pub seen: HashMap<String, i64>,
    /// The first `session_expiry` of a browser and account; only under a defect.
    pub first_expiry: HashMap<(String, String), i64>,
    /// Last metadata of each provider, by connection and tenant.
    pub op_metadata: HashMap<(usize, Option<String>), OpMetadata>,
    /// SCIM users that were active and are no longer, or were for a while.
    pub suspended: HashSet<String>,
    /// SCIM users that a sign-in made.
    pub just_in_time: HashSet<String>,
    /// Deleted SCIM users, by tenant and externalId.
    pub deleted: HashSet<(&'static str, String)>,
    /// The roles as the administrator sees them.
    pub catalogue: Vec<Role>,
    /// Roles that stayed although they were taken away, by account; only under defects.
    pub kept_roles: HashMap<String, BTreeSet<String>>,
    /// Roles that an administrator gave past the identity service, by account; only under a defect.
    pub local_roles: HashMap<String, BTreeSet<String>>,
    /// Roles at the time of the suspension, by account; only under a defect.
    pub roles_before: HashMap<String, Value>,
    /// SCIM requests in this second since 1970: all of them, and those for the first user only.
    pub requests: (i64, u32, u32),
    /// What was asked of SCIM but reading, and the outcome.
    pub audit: Vec<String>,
    /// Logins so far.
    pub logins: u64,
    /// Session ids so far; only under a defect.
    pub counted: u64,
}

impl State {
    /// Remembers a `jti` until `until`; `false` if it was known.
    pub fn first_use(&mut self, key: String, now: i64, until: i64) -> bool {
        self.seen.retain(|_, end| *end >= now);
        self.seen.insert(key, until).is_none()
    }

    /// Forgets logins that took too long and tokens that ended.
    pub fn tidy(&mut self, now: i64) {
        self.transactions.retain(|_, transaction| transaction.started + TRANSACTION_LIFETIME_S > now);
        self.access_tokens.retain(|_, token| token.expires > now);
        self.refresh_tokens.retain(|_, token| token.expires > now);
    }
}
