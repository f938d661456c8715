//! What an ID token must say before it gives a session (OIDC Core 3.1.3.7, narrowed by IPSIE SL1 3.2.2).

use serde_json::Value;

use super::App;
use super::defect::Defect;
use super::jws::Kind;
use super::provider::Provider;

/// Seconds that clocks may differ.
pub const LEEWAY_S: i64 = 30;
/// Seconds of a session without `session_expiry`.
pub const OWN_LIFETIME_S: i64 = 8 * 3600;
/// Seconds that `session_expiry` may lie ahead; more is taken for another unit.
const FARTHEST_S: i64 = 400 * 24 * 3600;

/// What the request asked for.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The nonce that was sent.
    pub nonce: Option<String>,
    /// The `max_age` that was sent.
    pub max_age: Option<i64>,
    /// A fresh authentication was asked for at this time.
    pub fresh_since: Option<i64>,
    /// The class that is demanded.
    pub acr: Option<String>,
}

/// How a check that a defect loosens stands to the defects.
struct Check<'a> {
    app: &'a App,
    provider: &'a Provider,
    connection: usize,
    claims: &'a Value,
}

impl App {
    /// The claims of a valid ID token; the error says what is wrong with it.
    pub async fn id_token(
        &self,
        provider: &Provider,
        connection: usize,
        token: &str,
        expected: &Expected,
    ) -> Result<Value, String> {
        let encrypted = token.split('.').count() == 5 && !self.has(Defect::EncryptedIdToken);
        let nested = match (&self.encryption, encrypted) {
            (Some(key), true) => key.decrypt(token).map_err(|error| error.to_string())?,
            _ => token.to_owned(),
        };
        let jws = self.verified(connection, &nested, Kind::IdToken).await?;
        let check = Check { app: self, provider, connection, claims: &jws.claims };
        check.issuer()?;
        check.audience()?;
        check.times()?;
        let foreign = foreign_type(&jws.header, &jws.claims);
        if foreign && self.has(Defect::IdTokenWrongTypeRefused) {
            return Ok(jws.claims);
        }
        if foreign {
            return Err("it is a JWT of another kind".into());
        }
        check.nonce(expected.nonce.as_deref())?;
        check.auth_time(expected)?;
        check.acr(expected.acr.as_deref())?;
        Ok(jws.claims)
    }

    /// Its subject; the error says why there is none.
    pub fn subject(&self, claims: &Value, email: Option<&str>) -> Result<String, String> {
        match claims["sub"].as_str().filter(|sub| !sub.is_empty() && sub.len() <= 255) {
            Some(sub) => Ok(sub.to_owned()),
            None if self.has(Defect::IdTokenSubRequired) => Ok(email.ok_or("it has neither sub nor email")?.to_owned()),
            None => Err("it has no sub".into()),
        }
    }

    /// When the session ends, in seconds since 1970 (Enterprise Extensions, `session_expiry`).
    pub fn end_of_session(&self, claims: &Value) -> Result<i64, String> {
        let now = self.now();
        let expiry = match claims.get("session_expiry") {
            None => return Ok(now + OWN_LIFETIME_S),
            Some(value) => value.as_i64().filter(|expiry| *expiry <= now + FARTHEST_S),
        };
        let end = match expiry {
            None if self.has(Defect::SessionExpiryMalformed) => now + FARTHEST_S,
            None => return Err("its session_expiry is malformed".into()),
            Some(expiry) if expiry > now => expiry,
            Some(expiry) if expiry >= 0 && self.has(Defect::SessionExpiryPastRefused) => now + FARTHEST_S,
            Some(_) => return Err("its session_expiry has passed".into()),
        };
        if self.has(Defect::SessionExpiryEnforced) {
            return Ok(now + OWN_LIFETIME_S);
        }
        if self.has(Defect::SessionNotBoundToExp) {
            return Ok(end.min(claims["exp"].as_i64().unwrap_or(end)));
        }
        Ok(end)
    }
}

/// A type other than `JWT`, or the claims of a logout or command token (RFC 8725 3.11 and 3.12).
fn foreign_type(header: &Value, claims: &Value) -> bool {
    let typ = header.get("typ").map(|typ| typ.as_str().unwrap_or_default().to_ascii_lowercase());
    let odd = typ.is_some_and(|typ| typ.strip_prefix("application/").unwrap_or(&typ) != "jwt");
    odd || claims.get("events").is_some() || claims.get("command").is_some()
}

impl Check<'_> {
    fn issuer(&self) -> Result<(), String> {
        let issuer = &self.claims["iss"];
        let right = *issuer == self.provider.issuer.as_str()
            || (self.app.has(Defect::DiscoveryIssuerMismatch)
                && self.app.issuer(self.connection).is_some_and(|configured| issuer == configured))
            || self.app.has(Defect::IdTokenIssRefused);
        if right { Ok(()) } else { Err("it is from another issuer".into()) }
    }

    fn audience(&self) -> Result<(), String> {
        let client = self.app.client_id(self.connection);
        let right = match &self.claims["aud"] {
            Value::String(aud) => aud == client || self.app.has(Defect::IdTokenAudRefused),
            Value::Null => self.app.has(Defect::IdTokenAudRefused),
            Value::Array(list) if list.len() == 1 => list[0] == client && self.app.has(Defect::IdTokenAudArrayRefused),
            Value::Array(list) => list.iter().any(|aud| aud == client) && self.app.has(Defect::IdTokenAudMultiRefused),
            _ => false,
        };
        if right { Ok(()) } else { Err("it is not for this client alone".into()) }
    }

    fn seconds(&self, name: &str) -> Result<Option<i64>, String> {
        match self.claims.get(name) {
            None => Ok(None),
            Some(value) => {
                // NumericDate may have a fraction (RFC 7519 2).
                let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64));
                seconds.map(Some).ok_or_else(|| format!("its {name} is no number"))
            }
        }
    }

    fn times(&self) -> Result<(), String> {
        let now = self.app.now();
        if !self.app.has(Defect::IdTokenExpiredRefused) {
            let exp = self.seconds("exp")?.ok_or("it has no exp")?;
            if exp + LEEWAY_S <= now {
                return Err("it has expired".into());
            }
        }
        if self.seconds("iat")?.ok_or("it has no iat")? > now + LEEWAY_S {
            return Err("it was issued in the future".into());
        }
        if self.seconds("nbf")?.is_some_and(|nbf| nbf > now + LEEWAY_S) && !self.app.has(Defect::IdTokenFutureRefused) {
            return Err("it is not valid yet".into());
        }
        Ok(())
    }

    fn nonce(&self, sent: Option<&str>) -> Result<(), String> {
        let Some(sent) = sent else { return Ok(()) };
        let nonce = self.claims.get("nonce");
        let absent = nonce.is_none() && self.app.has(Defect::IdTokenNonceRefused);
        if absent || nonce.is_some_and(|nonce| nonce == sent) { Ok(()) } else { Err("its nonce is not the one sent".into()) }
    }

    fn auth_time(&self, expected: &Expected) -> Result<(), String> {
        if expected.max_age.is_none() && expected.fresh_since.is_none() {
            return Ok(());
        }
        let fresh = expected.fresh_since.is_some();
        if self.app.has(Defect::AuthTimeChecked) && !fresh {
            return Ok(());
        }
        let at = self.seconds("auth_time")?.ok_or("it has no auth_time")?;
        let now = self.app.now();
        if self.app.has(Defect::ReturnedAuthTimeChecked) && (fresh || now - at <= 65 * 60) {
            return Ok(());
        }
        if expected.max_age.is_some_and(|max_age| now - at > max_age + LEEWAY_S) {
            return Err("the authentication is too old".into());
        }
        if expected.fresh_since.is_some_and(|since| at + LEEWAY_S < since) {
            return Err("the user was not authenticated again".into());
        }
        Ok(())
    }

    fn acr(&self, demanded: Option<&str>) -> Result<(), String> {
        let Some(demanded) = demanded else { return Ok(()) };
        let right = match self.claims.get("acr") {
            None => self.app.has(Defect::ReturnedAcrChecked),
            Some(acr) => acr == demanded || self.app.has(Defect::TransactionTermsChecked),
        };
        if !right {
            return Err("the authentication is not of the class that was asked for".into());
        }
        // A class for two factors does not go with one factor.
        let single = self.claims["amr"].as_array().is_some_and(|amr| amr.len() == 1 && amr[0] == "pwd");
        if single && !self.app.has(Defect::TransactionTermsChecked) {
            return Err("the authentication methods do not fit the class".into());
        }
        Ok(())
    }
}
