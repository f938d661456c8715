//! Signatures of what a provider sends: ID tokens, Command Tokens, logout tokens.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::App;
use super::defect::Defect;
use crate::wire::jose::{self, Jws, to_pem, unb64};
use crate::wire::spki::spki_der;

/// The algorithms of the Common Requirements 3.3; Ed25519 is RFC 9864's name of EdDSA with that curve.
const ALGORITHMS: [&str; 4] = ["ES256", "PS256", "EdDSA", "Ed25519"];
/// Bits an RSA key has at least.
const RSA_BITS: usize = 2048;

/// What the signed text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ID token.
    IdToken,
    /// A Command Token.
    Command,
    /// A logout token.
    Logout,
}

impl App {
    /// Takes a JWS apart and verifies it with the keys of the provider.
    pub async fn verified(&self, connection: usize, token: &str, kind: Kind) -> Result<Jws, String> {
        let jws = jose::read(token).map_err(|error| format!("it is no signed JWT: {error}"))?;
        let id_token = kind == Kind::IdToken;
        let has = |defect| id_token && self.has(defect);
        // RFC 7515 4.1.11: no extension is understood here, so none may be critical.
        if jws.header.get("crit").is_some() && !has(Defect::IdTokenCritRefused) {
            return Err("it has critical header parameters that are not understood".into());
        }
        let none = jws.alg().eq_ignore_ascii_case("none");
        if none && (has(Defect::IdTokenNoneRefused) || (kind == Kind::Logout && self.has(Defect::BclForgedRefused))) {
            return Ok(jws);
        }
        if kind == Kind::Command && self.has(Defect::CommandForgedRefused) {
            return Ok(jws);
        }
        let kid = jws.header["kid"].as_str();
        if jws.alg() == "HS256" && has(Defect::IdTokenHmacRefused) {
            let keys = self.jwks(connection, None).await?;
            return if hmac_fits(token, &keys) { Ok(jws) } else { Err("its HMAC fits no key".into()) };
        }
        if !ALGORITHMS.contains(&jws.alg()) && !has(Defect::IdTokenUnlistedAlgRefused) {
            return Err(format!("its algorithm `{}` is not allowed", jws.alg()));
        }
        let keys = match jws.header.get("jwk") {
            Some(jwk) if has(Defect::IdTokenForeignKeyRefused) => {
                let mut jwk = jwk.clone();
                jwk["kid"] = jws.header["kid"].clone();
                json!({"keys": [jwk]})
            }
            _ => self.jwks(connection, kid).await?,
        };
        match jws.verify(&keys) {
            Ok(key) if strong(&key) => Ok(jws),
            Ok(_) => Err("its key is too short".into()),
            Err(_) if has(Defect::IdTokenWeakKeyRefused) && weak_key(&jws, token, &keys) => Ok(jws),
            Err(_) if has(Defect::IdTokenSignatureRefused) && published(&jws, &keys).is_some_and(strong) => Ok(jws),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn published<'a>(jws: &Jws, keys: &'a Value) -> Option<&'a Value> {
    keys["keys"].as_array()?.iter().find(|key| key["kid"].is_string() && key["kid"] == jws.header["kid"])
}

fn bits(key: &Value) -> Option<usize> {
    let modulus = unb64(key["n"].as_str()?).ok()?;
    let leading = modulus.iter().take_while(|byte| **byte == 0).count();
    Some((modulus.len() - leading) * 8)
}

/// RSA keys have 2048 bits or more; the curves of the allowed algorithms are strong by themselves.
fn strong(key: &Value) -> bool {
    key["kty"] != "RSA" || bits(key).is_some_and(|bits| bits >= RSA_BITS)
}

/// For the defect without key size check: a published RSA key below 2048 bits, and a signature of its length.
fn weak_key(jws: &Jws, token: &str, keys: &Value) -> bool {
    let signature = token.rsplit('.').next().and_then(|part| unb64(part).ok()).map_or(0, |bytes| bytes.len() * 8);
    published(jws, keys).is_some_and(|key| key["kty"] == "RSA" && !strong(key) && bits(key) == Some(signature))
}

/// For the defect of algorithm confusion (RFC 8725 2.1): is the HMAC made with something that everybody knows of a published key?
fn hmac_fits(token: &str, keys: &Value) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else { return false };
    let Ok(signature) = unb64(signature) else { return false };
    let fits = |secret: &[u8]| hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes(), &signature).is_ok();
    keys["keys"].as_array().into_iter().flatten().any(|key| {
        let pem = to_pem("PUBLIC KEY", &spki_der(key));
        let texts = ["n", "x", "y"].into_iter().filter_map(|name| key[name].as_str());
        let whole = key.to_string();
        let mut secrets: Vec<Vec<u8>> = vec![pem.trim_end().into(), pem.into_bytes(), whole.into_bytes()];
        for text in texts.chain(key["x5c"].as_array().into_iter().flatten().filter_map(Value::as_str)) {
            secrets.push(text.into());
            secrets.extend(unb64(text));
        }
        secrets.iter().any(|secret| fits(secret))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::jose::{SigningKey, b64, hmac_signed};
    use jsonwebtoken::Algorithm;

    #[test]
    fn short_rsa_keys_are_told_from_long_ones() {
        let rsa = |bytes: usize| json!({"kty": "RSA", "n": b64([vec![0], vec![0xc1; bytes]].concat())});
        assert!(strong(&rsa(256)) && !strong(&rsa(255)) && !strong(&json!({"kty": "RSA"})));
        assert!(strong(&json!({"kty": "EC"})));
    }

    #[test]
    fn an_hmac_with_public_bytes_is_recognised_and_no_other() {
        let key = SigningKey::generate("k", Algorithm::ES256).unwrap();
        let keys = json!({"keys": [key.jwk()]});
        let signed = |secret: &[u8]| hmac_signed(&json!({"alg": "HS256"}), &json!({"sub": "u"}), secret);
        assert!(hmac_fits(&signed(to_pem("PUBLIC KEY", &spki_der(key.jwk())).as_bytes()), &keys));
        assert!(hmac_fits(&signed(key.jwk()["x"].as_str().unwrap().as_bytes()), &keys));
        assert!(!hmac_fits(&signed(b"other"), &keys) && !hmac_fits("", &keys));
    }
}
