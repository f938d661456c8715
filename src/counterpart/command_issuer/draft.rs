//! Tokens of the command issuer before they are signed: conforming by default, open to every change.

use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::{Sender, Subject};
use crate::stage::http::Ask;
use crate::wire::jose::{SigningKey, hmac_signed, random, to_pem, unsigned_with};
use crate::wire::spki::spki_der;

/// The event that makes a JWT a logout token (Back-Channel Logout 1.0, 2.4).
pub const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Seconds a token lives; Back-Channel Logout recommends at most two minutes.
const LIFE_S: i64 = 120;

/// Which of the user's sessions a logout token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutForm {
    /// `sub` and no `sid`: every session of the user.
    Sub,
    /// `sid` and no `sub`: one session.
    Sid,
    /// Both.
    SubAndSid,
}

impl LogoutForm {
    /// In a few words.
    pub fn what(self) -> &'static str {
        match self {
            LogoutForm::Sub => "logout token with sub only",
            LogoutForm::Sid => "logout token with sid only",
            LogoutForm::SubAndSid => "logout token with sub and sid",
        }
    }
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// By the issuer's key.
    Right,
    /// By the issuer's key, with one bit of the signature turned.
    Corrupt,
    /// By a key that nobody published, under the issuer's `kid`.
    Foreign,
    /// By such a key, which stands in the header as `jwk`.
    ForeignInHeader,
    /// By the key of [`Sender::stranger`].
    Stranger,
    /// Not at all, `alg` `none`.
    None,
    /// HS256 under the client secret.
    ClientSecret,
    /// HS256 under the PEM of the issuer's public key.
    PublicKey,
    /// RS256 by a key that the issuer publishes.
    Rsa,
}

/// A token before it is signed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Header besides `alg` and `kid`.
    pub header: Value,
    /// Claims.
    pub claims: Value,
    /// How it is signed.
    pub seal: Seal,
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    Timestamp::now().as_second()
}

impl Draft {
    fn new(typ: &str, mut claims: Value) -> Self {
        claims["iat"] = now().into();
        claims["exp"] = (now() + LIFE_S).into();
        claims["jti"] = random(16).into();
        Draft { header: json!({"typ": typ}), claims, seal: Seal::Right }
    }

    /// A logout token (Back-Channel Logout 1.0, 2.4). A form with `sid` needs a subject that has one; without, `sub` stands in.
    pub fn logout(sender: &Sender<'_>, subject: &Subject, form: LogoutForm) -> Self {
        let mut claims = json!({"iss": sender.issuer, "aud": sender.client_id, "events": {LOGOUT_EVENT: {}}});
        let sid = subject.sid.as_deref().filter(|_| form != LogoutForm::Sub);
        if let Some(sid) = sid {
            claims["sid"] = sid.into();
        }
        if form != LogoutForm::Sid || sid.is_none() {
            claims["sub"] = subject.sub.as_str().into();
        }
        Self::new("logout+jwt", claims)
    }

    /// A Command Token of an account command (OpenID Provider Commands draft 02, Command Token).
    pub fn account_command(sender: &Sender<'_>, endpoint: &str, command: &str, sub: &str) -> Self {
        let mut draft = Self::tenant_command(sender, endpoint, command);
        draft.claims["sub"] = sub.into();
        draft
    }

    /// The Command Token of a metadata command with this metadata and callback token.
    pub fn metadata(sender: &Sender<'_>, endpoint: &str, (metadata, callback_token): (Value, String)) -> Self {
        let mut draft = Self::tenant_command(sender, endpoint, "metadata");
        draft.claims["metadata"] = metadata;
        draft.claims["callback_token"] = callback_token.into();
        draft
    }

    /// The Command Token of a tenant command.
    pub fn tenant_command(sender: &Sender<'_>, endpoint: &str, command: &str) -> Self {
        let claims = json!({
            "iss": sender.issuer,
            "aud": endpoint,
            "client_id": sender.client_id,
            "command": command,
            "tenant": sender.command_tenant(),
        });
        Self::new("command+jwt", claims)
    }

    /// The JWT that authenticates a global token revocation request as bearer token.
    pub fn revocation_credential(sender: &Sender<'_>, audience: &str) -> Self {
        Self::new("global-token-revocation+jwt", json!({"iss": sender.issuer, "sub": sender.issuer, "aud": audience}))
    }

    /// The signed token.
    pub fn token(&self, sender: &Sender<'_>) -> String {
        let (key, foreign) = (sender.key, || SigningKey::generate(&sender.key.kid, sender.key.alg).ok());
        match self.seal {
            Seal::Right => key.sign(&self.header, &self.claims),
            Seal::Corrupt => turn_a_bit(&key.sign(&self.header, &self.claims)),
            // A key that cannot be made leaves a broken signature: refused all the same.
            Seal::Foreign => {
                foreign().map_or_else(|| self.with(Seal::Corrupt).token(sender), |key| key.sign(&self.header, &self.claims))
            }
            Seal::ForeignInHeader => foreign().map_or_else(
                || self.with(Seal::Corrupt).token(sender),
                |key| {
                    let mut header = self.header.clone();
                    header["jwk"] = key.jwk().clone();
                    key.sign(&header, &self.claims)
                },
            ),
            Seal::Stranger => sender.stranger.1.sign(&self.header, &self.claims),
            Seal::None => {
                let mut header = self.header.clone();
                header["kid"] = key.kid.as_str().into();
                unsigned_with(&header, &self.claims)
            }
            Seal::ClientSecret => {
                hmac_signed(&self.hmac_header(), &self.claims, sender.client_secret.unwrap_or_default().as_bytes())
            }
            Seal::PublicKey => {
                let mut header = self.hmac_header();
                header["kid"] = key.kid.as_str().into();
                hmac_signed(&header, &self.claims, to_pem("PUBLIC KEY", &spki_der(key.jwk())).as_bytes())
            }
            Seal::Rsa => match sender.rsa {
                Some(rsa) if rsa.alg == Algorithm::RS256 => rsa.sign(&self.header, &self.claims),
                _ => self.with(Seal::Corrupt).token(sender),
            },
        }
    }

    fn with(&self, seal: Seal) -> Self {
        Draft { seal, ..self.clone() }
    }

    fn hmac_header(&self) -> Value {
        let mut header = self.header.clone();
        header["alg"] = "HS256".into();
        header
    }

    /// As a logout request (Back-Channel Logout 1.0, 2.5).
    pub fn logout_request(&self, sender: &Sender<'_>, endpoint: &str) -> Ask {
        Ask::form(endpoint, &[("logout_token".into(), self.token(sender)), unknown_parameter()])
    }

    /// As a command request (OpenID Provider Commands draft 02, Command Request).
    pub fn command_request(&self, sender: &Sender<'_>, endpoint: &str) -> Ask {
        Ask::form(endpoint, &[("command_token".into(), self.token(sender)), unknown_parameter()])
    }
}

/// A parameter that both specifications want ignored.
pub(super) fn unknown_parameter() -> (String, String) {
    ("x_suite_unknown".into(), "ignore-me".into())
}

/// The same token with another signature of the same length.
fn turn_a_bit(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap_or((token, ""));
    // The first character carries six bits of the signature; the last may carry padding only.
    let turned = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{message}.{turned}{}", signature.get(1..).unwrap_or_default())
}
