//! What the provider shall do with one authorization request, and every way in which it can depart from the protocol.

use serde_json::{Map, Value};

pub use super::forgery::Forgery;

/// A user, as the provider presents it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subject {
    /// `sub`.
    pub sub: String,
    /// `email`.
    pub email: String,
    /// `email_verified`.
    pub email_verified: bool,
    /// `name`.
    pub name: String,
    /// `tenant`; empty sends none.
    pub tenant: String,
}

/// How an authorization request is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The user is signed in at once; the response carries a code.
    SignIn(Box<Script>),
    /// A page that stays: the request is left open.
    Hold,
    /// An error response.
    Error(&'static str),
}

/// A login.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Who signs in.
    pub subject: Subject,
    /// Departures from the protocol.
    pub twists: Vec<Twist>,
    /// Seconds from now until `session_expiry`; default an hour.
    pub session_s: Option<i64>,
    /// The same for ID tokens of refreshes; default `session_s`.
    pub refreshed_s: Option<i64>,
    /// Seconds from now until `exp` of the ID token; default five minutes.
    pub exp_s: Option<i64>,
    /// Claims put into the ID token at the end, in place of what stands there; `null` takes a claim away.
    pub claims: Map<String, Value>,
    /// Claims put into UserInfo at the end, in place of what stands there.
    pub userinfo: Map<String, Value>,
}

impl Script {
    /// A conforming login of this user.
    pub fn of(subject: &Subject) -> Self {
        Script { subject: subject.clone(), ..Script::default() }
    }

    /// Adds a departure.
    #[must_use]
    pub fn with(mut self, twist: Twist) -> Self {
        self.twists.push(twist);
        self
    }

    /// Sets a claim of the ID token; `null` takes it away.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a claim of UserInfo.
    #[must_use]
    pub fn userinfo_claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.userinfo.insert(name.to_owned(), value.into());
        self
    }

    /// Does it depart in this way?
    pub fn twisted(&self, twist: Twist) -> bool {
        self.twists.contains(&twist)
    }

    /// As the answer to an authorization request.
    pub fn answer(self) -> Answer {
        Answer::SignIn(Box::new(self))
    }
}

/// One deliberate departure from the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Twist {
    /// `iss` of the authorization response names another issuer.
    IssOther,
    /// `iss` of the authorization response has a slash at its end.
    IssSlash,
    /// `iss` stands twice in the authorization response, right and wrong.
    IssRepeated,
    /// No `iss` in the authorization response, although the metadata announces it.
    IssMissing,
    /// `state` differs in one character.
    StateAltered,
    /// No `state`.
    StateMissing,
    /// `state` is empty.
    StateEmpty,
    /// The response carries `id_token` in the query and no code.
    IdTokenInQuery,
    /// The response carries `id_token` in the fragment and no code.
    IdTokenInFragment,
    /// The response carries `id_token` by form post and no code.
    IdTokenInForm,
    /// The response carries a code and an `id_token`; the token endpoint answers the code with an error.
    IdTokenBesideCode,
    /// The token endpoint takes any `code_verifier`, or none.
    AnyVerifier,
    /// The token endpoint takes the code more than once.
    CodeReusable,
    /// The token endpoint demands a DPoP nonce.
    TokenNonce,
    /// The token response has no `id_token`.
    NoIdToken,
    /// `id_token` is `not.a.jwt`.
    GarbageIdToken,
    /// The ID token is forged.
    Forged(Forgery),
    /// UserInfo demands a DPoP nonce.
    UserInfoNonce,
    /// UserInfo answers with another user's `sub` and attributes.
    UserInfoOtherSub,
    /// UserInfo answers another user's attributes without `sub`.
    UserInfoNoSub,
    /// A refresh is answered with `invalid_grant`.
    RefreshRefused,
    /// A refresh gives an ID token of another user.
    RefreshOtherSub,
    /// A refresh gives no ID token.
    RefreshNoIdToken,
}
