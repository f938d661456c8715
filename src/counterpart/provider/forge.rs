//! How forged ID tokens are made.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value, json};

use super::Shared;
use super::forgery::{Forgery, STRING_EXPIRY_S};
use super::weak_key;
use crate::wire::jose::{SigningKey, b64, hmac_signed, random, to_pem, unb64};
use crate::wire::jwe;
use crate::wire::spki::spki_der;

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;
/// A class below every one that the provider or an application names.
const LOW_ACR: &str = "urn:ipsie-conform:acr:pwd";

type Claims = Map<String, Value>;

/// The token with these conforming claims, forged. Where a forgery cannot be made at this application (see [`possible`]) it is no JWT.
pub(super) fn forge(shared: &Shared, which: usize, forgery: Forgery, claims: Claims) -> String {
    if let Some(token) = otherwise_signed(shared, forgery, &claims) {
        return token;
    }
    let mut claims = claims;
    let header = changed(shared, which, forgery, &mut claims);
    shared.keys.main.sign(&header, &Value::Object(claims))
}

/// Can this forgery be made at this application, and would it be one?
pub(super) fn possible(shared: &Shared, forgery: Forgery) -> bool {
    let client_id = shared.client_id(0);
    match forgery {
        Forgery::HmacSecret => shared.client_secret.as_ref().is_some_and(|secret| !secret.is_empty()),
        Forgery::AudPrefix => client_id.chars().count() > 1,
        Forgery::AudOtherCase => other_case(client_id) != client_id,
        Forgery::Encrypted => encryption_key(&shared.client_jwks()).is_some(),
        Forgery::Rs256 | Forgery::Rs512 => shared.keys.main.alg != Algorithm::RS256,
        Forgery::StrongKey => !matches!(shared.keys.main.alg, Algorithm::RS256 | Algorithm::PS256),
        _ => true,
    }
}

/// The key of a JWK Set that the suite can encrypt ID tokens for: RSA-OAEP-256, or ECDH-ES with P-256.
pub(super) fn encryption_key(jwks: &Value) -> Option<&Value> {
    jwks["keys"].as_array().into_iter().flatten().find(|key| {
        let alg = key["alg"].as_str();
        key["use"] == "enc"
            && match key["kty"].as_str() {
                Some("RSA") => alg.is_none_or(|alg| alg == "RSA-OAEP-256"),
                Some("EC") => key["crv"] == "P-256" && alg.is_none_or(|alg| alg == "ECDH-ES"),
                _ => false,
            }
    })
}

/// PS256 with the RSA key: what an application that takes PS256 accepts. Published for one scenario.
pub(super) fn strong_key(shared: &Shared) -> Option<SigningKey> {
    let rsa = &shared.keys.rs256;
    SigningKey::from_pkcs8(&rsa.kid.replacen("rs256", "ps256", 1), Algorithm::PS256, rsa.pkcs8()).ok()
}

/// The algorithm of the weak key's signature: what the application takes, where that is one of RSA.
pub(super) fn weak_alg(shared: &Shared) -> &'static str {
    if shared.keys.main.alg == Algorithm::RS256 { "RS256" } else { "PS256" }
}

/// Forgeries of signature, key and wrapping; `None` for those of claims.
fn otherwise_signed(shared: &Shared, forgery: Forgery, claims: &Claims) -> Option<String> {
    let keys = &shared.keys;
    let claims = Value::Object(claims.clone());
    let jwt = json!({"typ": "JWT"});
    let right = || keys.main.sign(&jwt, &claims);
    let unsigned = |header: Value| format!("{}.{}.", b64(header.to_string()), b64(claims.to_string()));
    let none = |alg: &str| unsigned(json!({"alg": alg, "typ": "JWT"}));
    let hmac = |key: &[u8]| hmac_signed(&json!({"alg": "HS256", "kid": keys.main.kid, "typ": "JWT"}), &claims, key);
    let unmakeable = || "not.possible.here".to_owned();
    let foreign = |name: &str, value: Value| keys.foreign.sign(&json!({"typ": "JWT", name: value}), &claims);
    Some(match forgery {
        Forgery::PayloadChanged => with_changed_name(&right(), &claims),
        Forgery::SignatureChanged => with_changed_signature(&right()),
        Forgery::AlgNone => none("none"),
        Forgery::AlgNoneCapital => none("None"),
        Forgery::AlgNoneMixed => none("nOnE"),
        Forgery::AlgAbsent => unsigned(jwt.clone()),
        Forgery::HmacSecret => shared.client_secret.as_ref().map_or_else(unmakeable, |secret| hmac(secret.as_bytes())),
        Forgery::HmacPem => hmac(to_pem("PUBLIC KEY", &spki_der(keys.main.jwk())).as_bytes()),
        Forgery::HmacDer => hmac(&spki_der(keys.main.jwk())),
        Forgery::HmacJwk => {
            let jwk = keys.main.jwk();
            hmac(jwk["n"].as_str().or(jwk["x"].as_str()).unwrap_or_default().as_bytes())
        }
        Forgery::HmacEmpty => hmac(b""),
        Forgery::Rs256 => keys.rs256.sign(&jwt, &claims),
        Forgery::Rs512 => SigningKey::from_pkcs8(&keys.rs256.kid, Algorithm::RS512, keys.rs256.pkcs8())
            .map_or_else(|_| unmakeable(), |key| key.sign(&jwt, &claims)),
        Forgery::StrongKey => strong_key(shared).map_or_else(unmakeable, |key| key.sign(&jwt, &claims)),
        Forgery::WeakKey => weak_key::sign(weak_alg(shared), &claims).unwrap_or_else(|_| unmakeable()),
        Forgery::ForeignKey => keys.foreign.sign(&jwt, &claims),
        Forgery::ForeignKeyRealKid => foreign("kid", keys.main.kid.clone().into()),
        Forgery::ForeignKeyJwk => foreign("jwk", keys.foreign.jwk().clone()),
        Forgery::ForeignKeyJku => foreign("jku", shared.bait().into()),
        Forgery::ForeignKeyX5u => foreign("x5u", shared.bait().into()),
        Forgery::ForeignKeyX5c => certificate(&keys.foreign).map_or_else(unmakeable, |der| foreign("x5c", json!([der]))),
        Forgery::RotatedKey => keys.rotated.sign(&jwt, &claims),
        Forgery::Encrypted => encryption_key(&shared.client_jwks())
            .and_then(|key| jwe::encrypt(&right(), key, "JWT").ok())
            .unwrap_or_else(unmakeable),
        _ => return None,
    })
}

/// Forgeries of claims and of the header's other members: changes the claims and answers the header. The signature is the right one.
fn changed(shared: &Shared, which: usize, forgery: Forgery, claims: &mut Claims) -> Value {
    let now = jiff::Timestamp::now().as_second();
    let jwt = json!({"typ": "JWT"});
    let client_id = shared.client_id(which).to_owned();
    if let Some(header) = of_another_kind(shared, forgery, claims, &client_id) {
        return header;
    }
    let issuer = shared.issuer(which);
    let mut put = |name: &str, value: Value| match value {
        Value::Null => drop(claims.remove(name)),
        value => drop(claims.insert(name.to_owned(), value)),
    };
    match forgery {
        Forgery::IssOther => put("iss", shared.wrong_issuer(which).into()),
        Forgery::IssSlash => {
            put("iss", issuer.strip_suffix('/').map_or_else(|| format!("{issuer}/"), str::to_owned).into());
        }
        Forgery::IssMissing => put("iss", Value::Null),
        Forgery::AudOther => put("aud", "another-client-of-the-suite".into()),
        Forgery::AudMissing => put("aud", Value::Null),
        Forgery::AudPrefix => {
            let last = client_id.char_indices().last().map_or(0, |(at, _)| at);
            put("aud", client_id[..last].into());
        }
        Forgery::AudOtherCase => put("aud", other_case(&client_id).into()),
        Forgery::AudTwo => put("aud", json!([client_id, "another-client-of-the-suite"])),
        Forgery::AudTwoAzp => {
            put("aud", json!([client_id, "another-client-of-the-suite"]));
            put("azp", client_id.into());
        }
        Forgery::AudArray => put("aud", json!([client_id])),
        Forgery::ExpPast => {
            let issued = now - HOUR_S - 300;
            put("iat", issued.into());
            put("auth_time", issued.into());
            put("exp", (now - HOUR_S).into());
        }
        Forgery::ExpMissing => put("exp", Value::Null),
        Forgery::ExpString => put("exp", (now + 300).to_string().into()),
        // exp and session_expiry stay after iat and nbf: nothing but the one claim is odd.
        Forgery::IatFuture => {
            put("iat", (now + DAY_S).into());
            put("session_expiry", (now + DAY_S + 3600).into());
            put("exp", (now + DAY_S + 300).into());
        }
        Forgery::NbfFuture => {
            put("nbf", (now + DAY_S).into());
            put("session_expiry", (now + DAY_S + 3600).into());
            put("exp", (now + DAY_S + 300).into());
        }
        Forgery::IatMissing => put("iat", Value::Null),
        Forgery::SubMissing => put("sub", Value::Null),
        Forgery::SubEmpty => put("sub", "".into()),
        Forgery::SubNumber => put("sub", now.into()),
        Forgery::NonceAltered => put("nonce", random(16).into()),
        Forgery::NonceMissing => put("nonce", Value::Null),
        Forgery::NonceEarlier => {
            let current = claims.get("nonce").and_then(Value::as_str).map(str::to_owned);
            let earlier = earlier_nonce(shared, current.as_deref()).unwrap_or_else(|| random(16));
            claims.insert("nonce".into(), earlier.into());
        }
        Forgery::Crit => return json!({"typ": "JWT", "crit": ["x-suite"], "x-suite": 1}),
        Forgery::AuthTimeStale => put("auth_time", (now - longest_max_age(shared) - HOUR_S).into()),
        Forgery::AuthTimeMissing => put("auth_time", Value::Null),
        Forgery::SessionExpiryPast => put("session_expiry", (now - HOUR_S).into()),
        Forgery::SessionExpiryString => put("session_expiry", (now + STRING_EXPIRY_S).to_string().into()),
        Forgery::SessionExpiryPastString => put("session_expiry", (now - HOUR_S).to_string().into()),
        // A quarter is exact in binary, so the number is written as it is meant.
        Forgery::SessionExpiryPastFloat => put("session_expiry", ((now - HOUR_S) as f64 + 0.25).into()),
        Forgery::SessionExpiryNegative => put("session_expiry", (-1).into()),
        Forgery::SessionExpiryPastMilliseconds => put("session_expiry", ((now - HOUR_S) * 1000).into()),
        Forgery::AcrLower => {
            put("acr", LOW_ACR.into());
            put("amr", json!(["pwd"]));
        }
        _ => {}
    }
    jwt
}

/// JWTs of other kinds that the provider signs with the same key: their claims and header; `None` for other forgeries.
fn of_another_kind(shared: &Shared, forgery: Forgery, claims: &mut Claims, client_id: &str) -> Option<Value> {
    let (typ, keep, more) = match forgery {
        Forgery::LogoutToken => (
            "logout+jwt",
            &["iss", "sub", "aud", "iat", "exp", "jti", "sid"][..],
            json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
        ),
        Forgery::CommandToken | Forgery::CommandTokenForClient => {
            let endpoint = url::Url::parse(&shared.app.protected_url).ok().and_then(|url| url.join("/commands").ok());
            let endpoint = endpoint.map_or_else(|| "https://app.example/commands".to_owned(), String::from);
            let aud = if forgery == Forgery::CommandToken { endpoint } else { client_id.to_owned() };
            let more = json!({"command": "invalidate", "client_id": client_id, "aud": aud});
            ("command+jwt", &["iss", "sub", "iat", "exp", "jti", "tenant"][..], more)
        }
        Forgery::AccessToken => (
            "at+jwt",
            &["iss", "sub", "aud", "iat", "exp", "jti", "auth_time", "acr", "amr", "groups", "roles", "entitlements"][..],
            json!({"client_id": client_id, "scope": "openid"}),
        ),
        _ => return None,
    };
    claims.retain(|name, _| keep.contains(&name.as_str()));
    claims.extend(more.as_object().cloned().unwrap_or_default());
    Some(json!({"typ": typ}))
}

/// A nonce that some earlier authorization request carried.
fn earlier_nonce(shared: &Shared, current: Option<&str>) -> Option<String> {
    let state = shared.state();
    let mut nonces = state.log.authorizations.iter().filter_map(|request| request.get("nonce"));
    nonces.find(|nonce| Some(*nonce) != current).map(str::to_owned)
}

/// The largest `max_age` that was asked for.
fn longest_max_age(shared: &Shared) -> i64 {
    let state = shared.state();
    let asked = state.log.authorizations.iter().filter_map(|request| request.get("max_age")?.parse::<u32>().ok());
    asked.max().map_or(0, i64::from)
}

fn other_case(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect()
}

/// The token with another name in its payload and the signature it had.
fn with_changed_name(token: &str, claims: &Value) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims = claims.clone();
    let name = claims["name"].as_str().unwrap_or_default();
    claims["name"] = name
        .char_indices()
        .last()
        .map_or("x".to_owned(), |(at, last)| format!("{}{}", &name[..at], if last == 'x' { 'y' } else { 'x' }))
        .into();
    format!("{}.{}.{}", parts[0], b64(claims.to_string()), parts.get(2).unwrap_or(&""))
}

fn with_changed_signature(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap_or((token, ""));
    let mut bytes = unb64(signature).unwrap_or_default();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    format!("{message}.{}", b64(bytes))
}

/// A self-signed certificate of this key, as `x5c` wants it (RFC 7515 4.1.6).
fn certificate(key: &SigningKey) -> Option<String> {
    let pair = rcgen::KeyPair::try_from(key.pkcs8()).ok()?;
    let params = rcgen::CertificateParams::new(vec!["foreign.ipsie-conform.test".to_owned()]).ok()?;
    Some(STANDARD.encode(params.self_signed(&pair).ok()?.der()))
}

#[cfg(test)]
#[path = "forge_tests.rs"]
mod tests;
