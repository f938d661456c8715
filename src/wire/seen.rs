//! Typed views of what an identity service answered: small, serialisable, and without secrets, for the judges.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::jose::{self, Jws};
use crate::model::ExchangeId;

/// How an authorization request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An authorization response with a code reached a URI of the suite, or was seen on its way there.
    Code,
    /// An error response reached the registered redirect URI.
    Error,
    /// The registered redirect URI was reached with neither code nor error.
    Empty,
    /// An error response was sent to a URI that is not registered.
    ErrorElsewhere,
    /// The flow rests on a page of the identity service.
    Page,
    /// The identity service asks for credentials.
    LoginPage,
    /// The browser could not finish: network, TLS, deadline.
    Fault,
}

/// What an authorization request led to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthzSeen {
    /// What was tried, in a few words.
    pub what: String,
    /// How it ended.
    pub outcome: Outcome,
    /// `error` of the response; may stand beside a code.
    pub error: Option<String>,
    /// Every `iss` parameter of the response.
    pub iss: Vec<String>,
    /// The `state` of the request came back unchanged; `None` where no response came.
    pub state_kept: Option<bool>,
    /// Names of tokens, and shapes of JWTs, found in front-channel URLs and forms besides the code.
    pub front_channel: Vec<String>,
    /// Where it ended: URL without query and fragment, and page title or fault.
    pub at: String,
    /// HTTP status of the last page; 0 where none was shown.
    pub status: u16,
    /// The response came by a form post or in a fragment instead of the query.
    pub response_mode: String,
    /// The page links to the refused redirect URI (a note, not a redirect).
    pub links_there: bool,
    /// Recorded exchanges, the deciding one last.
    pub cites: Vec<ExchangeId>,
}

/// A time-out or a limit (RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4): whoever answers so has refused nothing.
pub fn limited(status: u16) -> bool {
    matches!(status, 408 | 425 | 429)
}

impl AuthzSeen {
    /// AUTHZ-REFUSED: no code, no token, and an error at the registered redirect URI or a page of the identity service. A page
    /// of a gateway, a rate limit or a crash refuses nothing.
    pub fn refused(&self) -> bool {
        let answered = match self.outcome {
            Outcome::Error => !self.out_of_order(),
            Outcome::Page => (200..500).contains(&self.status) && self.status != 204 && !limited(self.status),
            _ => false,
        };
        answered && self.front_channel.is_empty()
    }

    /// The identity service says that it cannot answer at the moment.
    pub fn out_of_order(&self) -> bool {
        matches!(self.error.as_deref(), Some("temporarily_unavailable" | "server_error"))
            || self.status >= 500
            || self.status == 429
    }

    /// CODE-IN, or a token in the front channel.
    pub fn granted(&self) -> bool {
        self.outcome == Outcome::Code || !self.front_channel.is_empty()
    }

    /// The exchange that decided it.
    pub fn deciding(&self) -> Vec<ExchangeId> {
        self.cites.last().cloned().into_iter().collect()
    }

    /// In a few words, for a reason.
    pub fn describe(&self) -> String {
        let end = match self.outcome {
            Outcome::Code => "an authorization code was issued".to_owned(),
            Outcome::Error => format!("error response `{}`", self.error.as_deref().unwrap_or("?")),
            Outcome::Empty => "a response with neither code nor error".to_owned(),
            Outcome::ErrorElsewhere => {
                format!("error `{}` was sent to an unregistered URI", self.error.as_deref().unwrap_or("?"))
            }
            Outcome::Page => format!("page of the identity service (status {})", self.status),
            Outcome::LoginPage => "login page".to_owned(),
            Outcome::Fault => format!("no end: {}", self.at),
        };
        if self.front_channel.is_empty() {
            end
        } else {
            format!("{end}; front channel carried {}", self.front_channel.join(", "))
        }
    }
}

/// What a token request was answered with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenSeen {
    /// What was tried, in a few words.
    pub what: String,
    /// HTTP status; 0 when no response arrived.
    pub status: u16,
    /// `error` of the response.
    pub error: Option<String>,
    /// The words of `error_description` without numbers and identifiers, as a digest: tells two reasons apart.
    #[serde(default)]
    pub told: Option<String>,
    /// Members of the response that are tokens.
    pub tokens: Vec<String>,
    /// `token_type`.
    pub token_type: Option<String>,
    /// `Cache-Control` as sent.
    pub cache_control: Option<String>,
    /// Media type without parameters.
    pub media_type: String,
    /// The body is one JSON object.
    pub json: bool,
    /// A `DPoP-Nonce` challenge was followed.
    pub dpop_nonce: bool,
    /// Why no response arrived.
    pub fault: Option<String>,
    /// The recorded exchanges, the last attempt last.
    pub cites: Vec<ExchangeId>,
}

impl TokenSeen {
    /// Tokens were issued.
    pub fn granted(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// TOKEN-REFUSED: 4xx and no token in the body. A rate limit or a time-out refuses nothing.
    pub fn refused(&self) -> bool {
        (400..500).contains(&self.status) && !limited(self.status) && self.tokens.is_empty()
    }

    /// The client itself was turned away, so that nothing is said of what it sent.
    pub fn client_refused(&self) -> bool {
        self.status == 401 || self.error.as_deref() == Some("invalid_client")
    }

    /// In a few words, for a reason.
    pub fn describe(&self) -> String {
        match (&self.fault, &self.error) {
            (Some(fault), _) => format!("no answer: {fault}"),
            _ if self.granted() => format!("status {} with {}", self.status, self.tokens.join(", ")),
            (_, Some(error)) => format!("status {} `{error}`", self.status),
            _ => format!("status {} without tokens", self.status),
        }
    }
}

/// Claims of the protocol; every other claim is somebody's attribute and only its name and type are kept.
pub const PROTOCOL_CLAIMS: [&str; 22] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "azp",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "jti",
    "session_expiry",
    "tenant",
    "aud_sub",
    "ver",
    "tid",
    "oid",
];

/// `login` of ID tokens that are not the main user's.
pub const OTHER_USER: &str = "other user";

/// `signature` of an ID token when there is no JWK Set to verify it with.
pub const NO_JWKS: &str = "the JWK Set is not available";

/// An ID token as received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdTokenSeen {
    /// Which client got it: `main`, `public`, ...
    pub client: String,
    /// `typed`, `silent`, `re-authentication` or `refresh`.
    pub login: String,
    /// Protected header of the JWS.
    pub header: Value,
    /// Claims with raw JSON types; values of attributes are replaced by the name of their type.
    pub claims: Map<String, Value>,
    /// Names of claims that are not the protocol's.
    pub attributes: Vec<String>,
    /// `sub` equals the `email` claim of the same token.
    pub sub_is_email: bool,
    /// The `client_id` of the request.
    pub client_id: String,
    /// The `nonce` of the request.
    pub nonce: Option<String>,
    /// Signature check with the published keys: the key's JWK without its numbers, or why not.
    pub signature: Result<Value, String>,
    /// It came as a five-part JWE; `None` as a plain JWS, else whether it could be decrypted.
    pub encrypted: Option<Result<(), String>>,
    /// `at_hash`, where present, fits the access token.
    pub at_hash_fits: Option<bool>,
    /// `Date` of the token response, in Unix seconds.
    pub date: Option<i64>,
    /// The suite's clock when it arrived, in Unix seconds.
    pub received: i64,
    /// The suite's clock when its login began, in Unix seconds.
    pub began: i64,
    /// The token response.
    pub exchange: ExchangeId,
}

impl IdTokenSeen {
    /// There was nothing to verify it with.
    pub fn unverifiable(&self) -> bool {
        self.signature.as_ref().is_err_and(|why| why == NO_JWKS)
    }

    /// A claim, `null` where absent.
    pub fn claim(&self, name: &str) -> &Value {
        self.claims.get(name).unwrap_or(&Value::Null)
    }

    /// A numeric claim in whole seconds.
    pub fn seconds(&self, name: &str) -> Option<i64> {
        #[allow(clippy::cast_possible_truncation)]
        self.claim(name).as_i64().or_else(|| self.claim(name).as_f64().map(|number| number as i64))
    }

    /// Server time of the response where it was told, else ours.
    pub fn now(&self) -> i64 {
        self.date.unwrap_or(self.received)
    }
}

/// Keeps protocol claims, replaces attribute values by their type's name, and lists the attributes.
pub fn without_attributes(jws: &Jws) -> (Map<String, Value>, Vec<String>) {
    let mut attributes = Vec::new();
    let claims = jws
        .claims
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            if PROTOCOL_CLAIMS.contains(&name.as_str()) {
                return (name.clone(), value.clone());
            }
            attributes.push(name.clone());
            (name.clone(), Value::String(format!("[{}]", json_type(value))))
        })
        .collect();
    (claims, attributes)
}

/// `at_hash` of an access token for an algorithm whose name ends in 256 (OpenID Connect Core 3.1.3.6).
pub fn at_hash(access_token: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, access_token.as_bytes());
    jose::b64(&hash.as_ref()[..16])
}

/// The JSON type's name.
pub fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
