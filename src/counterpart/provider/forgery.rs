//! The list of everything that can be wrong with an ID token. Whatever a forgery does not name is as in a conforming token.

use serde::{Deserialize, Serialize};

/// A way to break an ID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forgery {
    /// One character of a claim differs; the signature is that of the original.
    PayloadChanged,
    /// One bit in the middle of the signature differs.
    SignatureChanged,
    /// `alg` is `none`, the signature is empty.
    AlgNone,
    /// The same with `None`.
    AlgNoneCapital,
    /// The same with `nOnE`.
    AlgNoneMixed,
    /// The header has no `alg`, the signature is empty.
    AlgAbsent,
    /// HS256 with the client secret.
    HmacSecret,
    /// HS256 with the PEM text of the real public key.
    HmacPem,
    /// HS256 with the DER bytes of the real public key.
    HmacDer,
    /// HS256 with the text of `n` or `x` of the real public key.
    HmacJwk,
    /// HS256 with no key at all.
    HmacEmpty,
    /// RS256 with a published key of 2048 bits.
    Rs256,
    /// RS512 with a published key of 2048 bits.
    Rs512,
    /// PS256 with a published key of 2048 bits: no forgery, but the twin of [`Forgery::WeakKey`].
    StrongKey,
    /// A published RSA key of 1024 bits.
    WeakKey,
    /// A key that is not published, under its own `kid`.
    ForeignKey,
    /// A key that is not published, under the `kid` of the real one.
    ForeignKeyRealKid,
    /// The header carries the foreign key as `jwk`.
    ForeignKeyJwk,
    /// The header's `jku` leads to the foreign key.
    ForeignKeyJku,
    /// The header's `x5u` leads to the suite.
    ForeignKeyX5u,
    /// The header carries a self-signed certificate of the foreign key as `x5c`.
    ForeignKeyX5c,
    /// A key that is published, but was not when the run began: no forgery.
    RotatedKey,
    /// Another issuer.
    IssOther,
    /// The issuer with a slash at its end, or without the one it has.
    IssSlash,
    /// No `iss`.
    IssMissing,
    /// Another client.
    AudOther,
    /// No `aud`.
    AudMissing,
    /// The `client_id` without its last character.
    AudPrefix,
    /// The `client_id` with upper and lower case exchanged.
    AudOtherCase,
    /// The `client_id` and another one.
    AudTwo,
    /// The same, with `azp` the `client_id`.
    AudTwoAzp,
    /// The `client_id` as only member of an array.
    AudArray,
    /// Issued and expired more than an hour ago.
    ExpPast,
    /// No `exp`.
    ExpMissing,
    /// `exp` is a string.
    ExpString,
    /// Issued a day ahead.
    IatFuture,
    /// Not valid before a day has passed.
    NbfFuture,
    /// No `iat`.
    IatMissing,
    /// No `sub`.
    SubMissing,
    /// `sub` is empty.
    SubEmpty,
    /// `sub` is a number.
    SubNumber,
    /// Another nonce.
    NonceAltered,
    /// No nonce.
    NonceMissing,
    /// The nonce of an earlier authorization request.
    NonceEarlier,
    /// A critical header that nobody knows.
    Crit,
    /// A logout token (OpenID Connect Back-Channel Logout 1.0 2.4).
    LogoutToken,
    /// A command token for a command endpoint (OpenID Provider Commands draft 02).
    CommandToken,
    /// The same with the `client_id` as audience.
    CommandTokenForClient,
    /// A JWT access token (RFC 9068) with the `client_id` as audience.
    AccessToken,
    /// `auth_time` an hour older than `max_age` permits.
    AuthTimeStale,
    /// No `auth_time`.
    AuthTimeMissing,
    /// Encrypted for the application's key: no forgery.
    Encrypted,
    /// `session_expiry` an hour ago.
    SessionExpiryPast,
    /// `session_expiry` in [`STRING_EXPIRY_S`] seconds, as a string.
    SessionExpiryString,
    /// `session_expiry` an hour ago, as a string.
    SessionExpiryPastString,
    /// `session_expiry` an hour ago, with a fraction.
    SessionExpiryPastFloat,
    /// `session_expiry` is -1.
    SessionExpiryNegative,
    /// `session_expiry` an hour ago, in milliseconds.
    SessionExpiryPastMilliseconds,
    /// A lower `acr`, and `amr` `pwd` only.
    AcrLower,
}

/// Seconds from the login to `session_expiry` of [`Forgery::SessionExpiryString`].
pub const STRING_EXPIRY_S: i64 = 30;

impl Forgery {
    /// What is tried, in a few words.
    pub fn label(self) -> &'static str {
        match self {
            Forgery::PayloadChanged => "a changed payload under the old signature",
            Forgery::SignatureChanged => "a changed signature",
            Forgery::AlgNone => "alg none",
            Forgery::AlgNoneCapital => "alg None",
            Forgery::AlgNoneMixed => "alg nOnE",
            Forgery::AlgAbsent => "no alg and no signature",
            Forgery::HmacSecret => "HS256 with the client secret",
            Forgery::HmacPem => "HS256 with the public key as PEM",
            Forgery::HmacDer => "HS256 with the public key as DER",
            Forgery::HmacJwk => "HS256 with a JWK member of the public key",
            Forgery::HmacEmpty => "HS256 with an empty key",
            Forgery::Rs256 => "RS256 with a published key",
            Forgery::Rs512 => "RS512 with a published key",
            Forgery::StrongKey => "PS256 with a published key of 2048 bits",
            Forgery::WeakKey => "a published RSA key of 1024 bits",
            Forgery::ForeignKey => "a foreign key with an unknown kid",
            Forgery::ForeignKeyRealKid => "a foreign key under the kid of the real one",
            Forgery::ForeignKeyJwk => "a foreign key in the jwk header",
            Forgery::ForeignKeyJku => "a foreign key behind the jku header",
            Forgery::ForeignKeyX5u => "a foreign key with an x5u header",
            Forgery::ForeignKeyX5c => "a foreign key with a self-signed x5c header",
            Forgery::RotatedKey => "a newly published key",
            Forgery::IssOther => "iss of another issuer",
            Forgery::IssSlash => "iss differing in a slash at its end",
            Forgery::IssMissing => "no iss",
            Forgery::AudOther => "aud of another client",
            Forgery::AudMissing => "no aud",
            Forgery::AudPrefix => "aud a prefix of the client_id",
            Forgery::AudOtherCase => "aud the client_id in other case",
            Forgery::AudTwo => "aud with a second audience, no azp",
            Forgery::AudTwoAzp => "aud with a second audience, azp the client_id",
            Forgery::AudArray => "aud an array of one",
            Forgery::ExpPast => "exp an hour ago",
            Forgery::ExpMissing => "no exp",
            Forgery::ExpString => "exp as a string",
            Forgery::IatFuture => "iat a day ahead",
            Forgery::NbfFuture => "nbf a day ahead",
            Forgery::IatMissing => "no iat",
            Forgery::SubMissing => "no sub",
            Forgery::SubEmpty => "an empty sub",
            Forgery::SubNumber => "sub as a number",
            Forgery::NonceAltered => "another nonce",
            Forgery::NonceMissing => "no nonce",
            Forgery::NonceEarlier => "the nonce of an earlier request",
            Forgery::Crit => "an unknown critical header",
            Forgery::LogoutToken => "a logout token",
            Forgery::CommandToken => "a command token for the command endpoint",
            Forgery::CommandTokenForClient => "a command token for the client_id",
            Forgery::AccessToken => "an access token (at+jwt) for the client_id",
            Forgery::AuthTimeStale => "auth_time an hour older than max_age",
            Forgery::AuthTimeMissing => "no auth_time",
            Forgery::Encrypted => "an encrypted ID token",
            Forgery::SessionExpiryPast => "session_expiry an hour ago",
            Forgery::SessionExpiryString => "session_expiry in 30 s as a string",
            Forgery::SessionExpiryPastString => "session_expiry an hour ago as a string",
            Forgery::SessionExpiryPastFloat => "session_expiry an hour ago as a float",
            Forgery::SessionExpiryNegative => "session_expiry negative",
            Forgery::SessionExpiryPastMilliseconds => "session_expiry an hour ago in milliseconds",
            Forgery::AcrLower => "a lower acr and amr [pwd]",
        }
    }
}
