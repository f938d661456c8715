//! Token requests of a SCIM client with a signed JWT (RFC 7523), and what came of them without the token.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Answer;
use crate::model::ExchangeId;
use crate::stage::http::{Ask, NetFault, Reply};
use crate::wire::jose::{SigningKey, random};

/// `client_assertion_type` of RFC 7523 2.2.
const JWT_BEARER_CLIENT: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// `grant_type` of RFC 7523 2.1.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Seconds an assertion lives.
pub const LIFE_S: i64 = 60;

/// The two ways of RFC 7523 to exchange a JWT for a token. The AL1 SCIM draft speaks of both at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The JWT authenticates the client (section 2.2).
    #[default]
    ClientAssertion,
    /// The JWT is the grant (section 2.1).
    Grant,
}

impl Form {
    /// Both.
    pub const ALL: [Form; 2] = [Form::ClientAssertion, Form::Grant];

    /// In words.
    pub fn what(self) -> &'static str {
        match self {
            Form::ClientAssertion => "client_credentials with a client assertion",
            Form::Grant => "the JWT as grant",
        }
    }
}

/// Claims of an assertion.
pub fn claims(client: &str, audience: &str) -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({"iss": client, "sub": client, "aud": audience, "jti": random(16), "iat": now, "exp": now + LIFE_S})
}

/// An assertion.
pub fn assertion(key: &SigningKey, claims: &Value) -> String {
    key.sign(&json!({"typ": "JWT"}), claims)
}

/// A token request.
pub fn request(endpoint: &str, form: Form, client: &str, assertion: &str, scope: Option<&str>) -> Ask {
    let mut fields: Vec<(String, String)> = match form {
        Form::ClientAssertion => vec![
            ("grant_type".into(), "client_credentials".into()),
            ("client_id".into(), client.to_owned()),
            ("client_assertion_type".into(), JWT_BEARER_CLIENT.into()),
            ("client_assertion".into(), assertion.to_owned()),
        ],
        Form::Grant => vec![("grant_type".into(), JWT_BEARER.into()), ("assertion".into(), assertion.to_owned())],
    };
    if let Some(scope) = scope {
        fields.push(("scope".into(), scope.to_owned()));
    }
    Ask::form(endpoint, &fields)
}

/// What a token endpoint answered, without the token.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TokenAnswer {
    /// HTTP status; 0 when no answer arrived.
    pub status: u16,
    /// An access token was issued.
    pub issued: bool,
    /// `token_type`.
    pub token_type: String,
    /// Seconds of `expires_in`.
    pub expires_in: Option<u64>,
    /// `scope`.
    pub scope: Option<String>,
    /// `error`.
    pub error: String,
    /// Claim `token_endpoint` of a token that is a JWT; empty where it has none.
    pub token_endpoint: Option<String>,
    /// Why no answer arrived.
    pub fault: Option<String>,
    /// The exchange.
    pub cite: ExchangeId,
}

impl TokenAnswer {
    /// Of an answer, with the token apart.
    pub fn of(outcome: Result<Reply, NetFault>) -> (TokenAnswer, Option<String>) {
        let body = outcome.as_ref().ok().and_then(Reply::json).unwrap_or_default();
        let answer = Answer::from(outcome);
        let token = body["access_token"].as_str().filter(|token| answer.ok() && !token.is_empty()).map(str::to_owned);
        let jws = token.as_deref().and_then(|token| crate::wire::jose::read(token).ok());
        let expires_in = &body["expires_in"];
        let told = TokenAnswer {
            status: answer.status,
            issued: token.is_some(),
            token_type: answer.text_at("/token_type").to_owned(),
            // Some servers write it as a string.
            expires_in: expires_in.as_u64().or_else(|| expires_in.as_str()?.parse().ok()),
            scope: body["scope"].as_str().map(str::to_owned),
            error: answer.text_at("/error").to_owned(),
            token_endpoint: jws.map(|jws| jws.claims["token_endpoint"].as_str().unwrap_or_default().to_owned()),
            fault: answer.fault,
            cite: answer.cite,
        };
        (told, token)
    }

    /// Nothing can be concluded from it.
    pub fn silent(&self) -> bool {
        self.status == 0 || self.status == 429 || (502..600).contains(&self.status)
    }

    /// In words.
    pub fn describe(&self) -> String {
        match (&self.fault, self.issued) {
            (Some(why), _) => format!("no answer ({why})"),
            (None, true) => "a token was issued".into(),
            (None, false) => format!("status {} {}", self.status, self.error).trim_end().to_owned(),
        }
    }
}
