//! What is wrong with a forged message: one named departure from a conforming one.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::draft::{Draft, LOGOUT_EVENT, Seal, now};
use super::{Sender, Subject};
use crate::wire::jose::random;
use crate::wire::spki::spki_der;

/// One departure from a conforming message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // `what` says each in words
pub enum Forgery {
    CorruptSignature,
    ForeignKey,
    KeyInHeader,
    Unsigned,
    HmacClientSecret,
    HmacPublicKey,
    UnlistedAlgorithm,
    TypMissing,
    TypJwt,
    TypLogout,
    TypUpperCase,
    IdTokenWithCommand,
    PlainIdToken,
    IssuerOther,
    IssuerUnknown,
    AudienceClientId,
    AudienceOther,
    ClientIdOther,
    TenantOther,
    Expired,
    ExpiryMissing,
    IssuedTomorrow,
    IssuedAtMissing,
    JtiMissing,
    NoncePresent,
    SubjectMissing,
    EventsMissing,
    EventsOther,
    EventsString,
    NobodyNamed,
}

/// Bad signatures and forbidden algorithms, of every signed message.
pub const SIGNATURES: [Forgery; 7] = [
    Forgery::CorruptSignature,
    Forgery::ForeignKey,
    Forgery::KeyInHeader,
    Forgery::Unsigned,
    Forgery::HmacClientSecret,
    Forgery::HmacPublicKey,
    Forgery::UnlistedAlgorithm,
];

/// Wrong types of a Command Token.
pub const COMMAND_TYPES: [Forgery; 5] =
    [Forgery::TypMissing, Forgery::TypJwt, Forgery::TypLogout, Forgery::TypUpperCase, Forgery::IdTokenWithCommand];

/// Wrong or missing claims of a Command Token.
pub const COMMAND_CLAIMS: [Forgery; 12] = [
    Forgery::AudienceClientId,
    Forgery::AudienceOther,
    Forgery::ClientIdOther,
    Forgery::Expired,
    Forgery::ExpiryMissing,
    Forgery::IssuedTomorrow,
    Forgery::JtiMissing,
    Forgery::NoncePresent,
    Forgery::SubjectMissing,
    Forgery::IssuerOther,
    Forgery::IssuerUnknown,
    Forgery::TenantOther,
];

/// Wrong or missing claims of a logout token.
pub const LOGOUT_CLAIMS: [Forgery; 10] = [
    Forgery::IssuerOther,
    Forgery::AudienceOther,
    Forgery::EventsMissing,
    Forgery::EventsOther,
    Forgery::EventsString,
    Forgery::NobodyNamed,
    Forgery::NoncePresent,
    Forgery::Expired,
    Forgery::IssuedAtMissing,
    Forgery::PlainIdToken,
];

/// Bad credentials of a revocation request that is authenticated by a signed JWT.
pub const CREDENTIALS: [Forgery; 4] = [Forgery::ForeignKey, Forgery::AudienceOther, Forgery::Expired, Forgery::Unsigned];

impl Forgery {
    /// In a few words.
    pub fn what(self) -> &'static str {
        match self {
            Forgery::CorruptSignature => "signature with a changed byte",
            Forgery::ForeignKey => "signed by a foreign key under the issuer's kid",
            Forgery::KeyInHeader => "signed by a foreign key that stands in the header",
            Forgery::Unsigned => "alg none",
            Forgery::HmacClientSecret => "HS256 with the client secret",
            Forgery::HmacPublicKey => "HS256 with the issuer's public key",
            Forgery::UnlistedAlgorithm => "RS256 by a published key",
            Forgery::TypMissing => "typ missing",
            Forgery::TypJwt => "typ JWT",
            Forgery::TypLogout => "typ logout+jwt",
            Forgery::TypUpperCase => "typ COMMAND+JWT",
            Forgery::IdTokenWithCommand => "an ID token with a command claim",
            Forgery::PlainIdToken => "a plain ID token of the user",
            Forgery::IssuerOther => "iss of somebody else",
            Forgery::IssuerUnknown => "iss of an unknown provider, signed by its key",
            Forgery::AudienceClientId => "aud is the client_id",
            Forgery::AudienceOther => "aud of somebody else",
            Forgery::ClientIdOther => "client_id of another client",
            Forgery::TenantOther => "another tenant",
            Forgery::Expired => "expired one hour ago",
            Forgery::ExpiryMissing => "exp missing",
            Forgery::IssuedTomorrow => "iat one day ahead",
            Forgery::IssuedAtMissing => "iat missing",
            Forgery::JtiMissing => "jti missing",
            Forgery::NoncePresent => "nonce present",
            Forgery::SubjectMissing => "sub missing",
            Forgery::EventsMissing => "events missing",
            Forgery::EventsOther => "events with another member",
            Forgery::EventsString => "the event's value is a string",
            Forgery::NobodyNamed => "neither sub nor sid",
        }
    }

    /// The sender has what this forgery needs.
    pub fn possible(self, sender: &Sender<'_>) -> bool {
        match self {
            Forgery::HmacClientSecret => sender.client_secret.is_some_and(|secret| !secret.is_empty()),
            Forgery::HmacPublicKey => !spki_der(sender.key.jwk()).is_empty(),
            // An application that is configured for RS256 takes it from everybody else's clauses.
            Forgery::UnlistedAlgorithm => sender.rsa.is_some() && sender.key.alg != Algorithm::RS256,
            Forgery::TenantOther => !sender.tenant.is_empty(),
            _ => true,
        }
    }

    /// Turns a conforming token about this subject into the forged one.
    pub fn bend(self, mut draft: Draft, sender: &Sender<'_>, subject: &Subject) -> Draft {
        let claims = &mut draft.claims;
        match self {
            Forgery::CorruptSignature => draft.seal = Seal::Corrupt,
            Forgery::ForeignKey => draft.seal = Seal::Foreign,
            Forgery::KeyInHeader => draft.seal = Seal::ForeignInHeader,
            Forgery::Unsigned => draft.seal = Seal::None,
            Forgery::HmacClientSecret => draft.seal = Seal::ClientSecret,
            Forgery::HmacPublicKey => draft.seal = Seal::PublicKey,
            Forgery::UnlistedAlgorithm => draft.seal = Seal::Rsa,
            Forgery::TypMissing => remove(&mut draft.header, "typ"),
            Forgery::TypJwt => draft.header["typ"] = "JWT".into(),
            Forgery::TypLogout => draft.header["typ"] = "logout+jwt".into(),
            Forgery::TypUpperCase => draft.header["typ"] = "COMMAND+JWT".into(),
            Forgery::IdTokenWithCommand => {
                let command = claims["command"].clone();
                draft.header = json!({});
                draft.claims = id_token(sender, subject);
                draft.claims["command"] = command;
                draft.claims["tenant"] = sender.command_tenant().into();
            }
            Forgery::PlainIdToken => {
                draft.header = json!({});
                draft.claims = id_token(sender, subject);
            }
            Forgery::IssuerOther => claims["iss"] = "https://idp.example.com".into(),
            Forgery::IssuerUnknown => {
                claims["iss"] = sender.stranger.0.as_str().into();
                draft.seal = Seal::Stranger;
            }
            Forgery::AudienceClientId => claims["aud"] = sender.client_id.into(),
            Forgery::AudienceOther => {
                let other = match claims["aud"].as_str() {
                    Some(url) if url.starts_with("http") => "https://app.example.com/somebody-else".to_owned(),
                    _ => format!("{}-other", sender.client_id),
                };
                claims["aud"] = other.into();
            }
            Forgery::ClientIdOther => claims["client_id"] = format!("{}-other", sender.client_id).into(),
            Forgery::TenantOther => claims["tenant"] = format!("{}-other", sender.tenant).into(),
            Forgery::Expired => {
                claims["iat"] = (now() - 3720).into();
                claims["exp"] = (now() - 3600).into();
            }
            Forgery::ExpiryMissing => remove(claims, "exp"),
            Forgery::IssuedTomorrow => {
                claims["iat"] = (now() + 86_400).into();
                claims["exp"] = (now() + 86_520).into();
            }
            Forgery::IssuedAtMissing => remove(claims, "iat"),
            Forgery::JtiMissing => remove(claims, "jti"),
            Forgery::NoncePresent => claims["nonce"] = random(16).into(),
            Forgery::SubjectMissing => remove(claims, "sub"),
            Forgery::EventsMissing => remove(claims, "events"),
            Forgery::EventsOther => {
                claims["events"] = json!({"https://schemas.openid.net/secevent/caep/event-type/token-claims-change": {}});
            }
            Forgery::EventsString => claims["events"] = json!({LOGOUT_EVENT: "{}"}),
            Forgery::NobodyNamed => {
                remove(claims, "sub");
                remove(claims, "sid");
            }
        }
        draft
    }
}

fn remove(object: &mut Value, name: &str) {
    if let Value::Object(members) = object {
        members.remove(name);
    }
}

/// Claims of an ID token of the subject.
fn id_token(sender: &Sender<'_>, subject: &Subject) -> Value {
    let mut claims = json!({
        "iss": sender.issuer,
        "aud": sender.client_id,
        "sub": subject.sub,
        "iat": now(),
        "exp": now() + 300,
        "auth_time": now(),
        "nonce": random(24),
        "jti": random(16),
    });
    if let Some(sid) = &subject.sid {
        claims["sid"] = sid.as_str().into();
    }
    claims
}
