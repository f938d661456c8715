//! JWS: keys, conforming signatures (through `jsonwebtoken`), forged ones (assembled by hand), and tolerant reading.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto, jwk::Jwk};
use serde_json::{Map, Value, json};

/// Why a key or token could not be used, in words for a report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JoseError(pub String);

fn fault(text: impl Into<String>) -> JoseError {
    JoseError(text.into())
}

/// base64url without padding, as JOSE wants it.
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reverse of [`b64`]; padding is tolerated.
pub fn unb64(text: &str) -> Result<Vec<u8>, JoseError> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|error| fault(format!("not base64url: {error}")))
}

/// `base64url(SHA-256(bytes))`: PKCE S256 challenges, DPoP `ath`, thumbprints.
pub fn sha256_b64(bytes: impl AsRef<[u8]>) -> String {
    b64(digest(&SHA256, bytes.as_ref()))
}

/// `len` random bytes from the operating system, base64url.
pub fn random(len: usize) -> String {
    let mut bytes = vec![0; len];
    // The only failure is an operating system without randomness; nothing sensible can follow.
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
    b64(bytes)
}

/// A private signing key of ours with its public JWK.
#[derive(Clone)]
pub struct SigningKey {
    /// Key id, also in the header of what it signs.
    pub kid: String,
    /// The algorithm it signs with.
    pub alg: Algorithm,
    pkcs8: Vec<u8>,
    public: Value,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({} {:?})", self.kid, self.alg)
    }
}

impl SigningKey {
    /// A fresh key. ES256 and EdDSA take microseconds, the RSA algorithms (2048 bits) some tenths of a second.
    pub fn generate(kid: &str, alg: Algorithm) -> Result<Self, JoseError> {
        let rng = SystemRandom::new();
        let unspecified = |_| fault("the key could not be generated");
        let pkcs8 = match alg {
            Algorithm::ES256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).map_err(unspecified)?.as_ref().to_vec()
            }
            Algorithm::EdDSA => Ed25519KeyPair::generate_pkcs8(&rng).map_err(unspecified)?.as_ref().to_vec(),
            _ => {
                let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).map_err(unspecified)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(unspecified)?;
                der.as_ref().to_vec()
            }
        };
        Self::from_pkcs8(kid, alg, &pkcs8)
    }

    /// A key from PKCS#8 DER.
    pub fn from_pkcs8(kid: &str, alg: Algorithm, pkcs8: &[u8]) -> Result<Self, JoseError> {
        let rejected = |error| fault(format!("key `{kid}` is not a usable {alg:?} key in PKCS#8: {error}"));
        let mut public = match alg {
            Algorithm::ES256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(rejected)?;
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..65])})
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(rejected)?;
                json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key())})
            }
            _ => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(rejected)?;
                let public = pair.public_key();
                let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
                let exponent = public.exponent().big_endian_without_leading_zero().to_vec();
                json!({"kty": "RSA", "n": b64(modulus), "e": b64(exponent)})
            }
        };
        public["kid"] = kid.into();
        public["alg"] = alg_name(alg).into();
        public["use"] = "sig".into();
        Ok(SigningKey { kid: kid.to_owned(), alg, pkcs8: pkcs8.to_vec(), public })
    }

    /// The public half as a JWK.
    pub fn jwk(&self) -> &Value {
        &self.public
    }

    /// The private half as PKCS#8 DER.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// A JWS with this header and these claims. `alg` and `kid` are added unless the header names them.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let mut full = Map::new();
        full.insert("alg".into(), alg_name(self.alg).into());
        full.insert("kid".into(), self.kid.clone().into());
        for (name, value) in header.as_object().into_iter().flatten() {
            full.insert(name.clone(), value.clone());
        }
        self.sign_bytes(&Value::Object(full), claims.to_string().as_bytes())
    }

    /// A JWS over exactly this header and payload.
    pub fn sign_bytes(&self, header: &Value, payload: &[u8]) -> String {
        let message = format!("{}.{}", b64(header.to_string()), b64(payload));
        let key = match self.alg {
            Algorithm::ES256 => EncodingKey::from_ec_der(&self.pkcs8),
            Algorithm::EdDSA => EncodingKey::from_ed_der(&self.pkcs8),
            // The RSA back end wants PKCS#1, the content of PKCS#8's octet string.
            _ => EncodingKey::from_rsa_der(pkcs1(&self.pkcs8).unwrap_or(&self.pkcs8)),
        };
        let signature = crypto::sign(message.as_bytes(), &key, self.alg).expect("a key that was checked when it was made signs");
        format!("{message}.{signature}")
    }
}

/// The RFC 7518 name of an algorithm.
pub fn alg_name(alg: Algorithm) -> &'static str {
    match alg {
        Algorithm::HS256 => "HS256",
        Algorithm::HS384 => "HS384",
        Algorithm::HS512 => "HS512",
        Algorithm::ES256 => "ES256",
        Algorithm::ES384 => "ES384",
        Algorithm::RS256 => "RS256",
        Algorithm::RS384 => "RS384",
        Algorithm::RS512 => "RS512",
        Algorithm::PS256 => "PS256",
        Algorithm::PS384 => "PS384",
        Algorithm::PS512 => "PS512",
        Algorithm::EdDSA => "EdDSA",
        #[allow(unreachable_patterns)]
        _ => "other",
    }
}

fn alg_from(name: &str) -> Option<Algorithm> {
    if name == "Ed25519" {
        // RFC 9864 gives the same algorithm a fully specified name.
        return Some(Algorithm::EdDSA);
    }
    name.parse().ok()
}

/// The PKCS#1 RSAPrivateKey inside PKCS#8: SEQUENCE { INTEGER, SEQUENCE, OCTET STRING { it } }.
fn pkcs1(pkcs8: &[u8]) -> Option<&[u8]> {
    fn tlv(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
        let (&tag, rest) = bytes.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let count = usize::from(first & 0x7f);
            let digits = rest.get(..count)?;
            (digits.iter().try_fold(0_usize, |len, &byte| len.checked_mul(256)?.checked_add(usize::from(byte)))?, &rest[count..])
        };
        Some((tag, rest.get(..len)?, rest.get(len..)?))
    }
    let (_, inside, _) = tlv(pkcs8)?;
    let (_, _, rest) = tlv(inside)?;
    let (_, _, rest) = tlv(rest)?;
    let (tag, content, _) = tlv(rest)?;
    (tag == 4).then_some(content)
}

/// A JWT with `alg` none and an empty signature: what must never be accepted.
pub fn unsigned(claims: &Value) -> String {
    unsigned_with(&Value::Null, claims)
}

/// The same with the other members of a good header, so that nothing but the missing signature is wrong.
pub fn unsigned_with(header: &Value, claims: &Value) -> String {
    let mut full = serde_json::json!({"alg": "none"});
    for (name, value) in header.as_object().into_iter().flatten() {
        full[name] = value.clone();
    }
    full["alg"] = "none".into();
    format!("{}.{}.", b64(full.to_string()), b64(claims.to_string()))
}

/// A JWT signed with HMAC-SHA256 under any bytes, e.g. somebody's public key in PEM (algorithm confusion, RFC 8725 2.1).
pub fn hmac_signed(header: &Value, claims: &Value, key: &[u8]) -> String {
    let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let signature =
        crypto::sign(message.as_bytes(), &EncodingKey::from_secret(key), Algorithm::HS256).expect("HMAC signs with any key");
    format!("{message}.{signature}")
}

/// A JWS taken apart, unverified. The claims stay raw JSON so that types are seen as sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Jws {
    /// Protected header.
    pub header: Value,
    /// Claims.
    pub claims: Value,
    message: String,
    signature: String,
}

/// Takes a compact JWS apart.
pub fn read(token: &str) -> Result<Jws, JoseError> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        return Err(fault(format!("{} dot-separated parts instead of 3", parts.len())));
    };
    let object = |part: &str, what: &str| match serde_json::from_slice::<Value>(&unb64(part)?) {
        Ok(value @ Value::Object(_)) => Ok(value),
        _ => Err(fault(format!("the {what} is not a JSON object"))),
    };
    Ok(Jws {
        header: object(header, "header")?,
        claims: object(payload, "payload")?,
        message: format!("{header}.{payload}"),
        signature: signature.to_owned(),
    })
}

impl Jws {
    /// `alg` of the header.
    pub fn alg(&self) -> &str {
        self.header["alg"].as_str().unwrap_or("")
    }

    /// Verifies with a public key of the JWK Set, chosen by `kid`, or else with every fitting one. Answers the key's JWK.
    pub fn verify(&self, jwks: &Value) -> Result<Value, JoseError> {
        let alg = self.alg();
        let Some(algorithm) = alg_from(alg).filter(|_| !alg.starts_with("HS")) else {
            return Err(fault(format!("algorithm `{alg}` is not an asymmetric signature")));
        };
        let kid = self.header["kid"].as_str();
        let keys = jwks["keys"].as_array().map_or(&[][..], Vec::as_slice);
        let fitting: Vec<&Value> =
            keys.iter().filter(|key| kid.is_none() || key["kid"].as_str() == kid).filter(|key| fits(key, alg)).collect();
        if fitting.is_empty() {
            return Err(fault(match kid {
                Some(kid) => format!("no published key has kid `{kid}` and fits {alg}"),
                None => format!("no published key fits {alg}"),
            }));
        }
        for key in fitting {
            let Ok(decoding) = decoding_key(key) else { continue };
            if crypto::verify(&self.signature, self.message.as_bytes(), &decoding, algorithm).unwrap_or(false) {
                return Ok(key.clone());
            }
        }
        Err(fault("the signature does not verify with the published key"))
    }
}

fn fits(key: &Value, alg: &str) -> bool {
    let kty = match alg.get(..2) {
        Some("RS" | "PS") => "RSA",
        Some("ES") => "EC",
        _ => "OKP",
    };
    key["kty"] == kty && key["use"].as_str().is_none_or(|usage| usage == "sig")
}

fn decoding_key(key: &Value) -> Result<DecodingKey, JoseError> {
    // Only the members that make the key: a product's private extensions must not make it unreadable.
    let mut plain = Map::new();
    for name in ["kty", "crv", "x", "y", "n", "e"] {
        if let Some(value) = key.get(name) {
            plain.insert(name.into(), value.clone());
        }
    }
    let jwk: Jwk = serde_json::from_value(Value::Object(plain)).map_err(|error| fault(format!("unreadable JWK: {error}")))?;
    DecodingKey::from_jwk(&jwk).map_err(|error| fault(format!("unusable JWK: {error}")))
}

/// RFC 7638 thumbprint (SHA-256) of a public JWK.
pub fn thumbprint(jwk: &Value) -> String {
    let members: &[&str] = match jwk["kty"].as_str() {
        Some("RSA") => &["e", "kty", "n"],
        Some("OKP") => &["crv", "kty", "x"],
        _ => &["crv", "kty", "x", "y"],
    };
    // The order of the names is part of the definition; serde_json writes them without white space.
    let canonical: Vec<String> = members.iter().map(|name| format!("\"{name}\":{}", jwk[*name])).collect();
    sha256_b64(format!("{{{}}}", canonical.join(",")))
}

/// PEM of PKCS#8 DER.
pub fn to_pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// DER of every PEM block with this label.
pub fn from_pem(label: &str, pem: &str) -> Result<Vec<Vec<u8>>, JoseError> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    pem.split(&begin)
        .skip(1)
        .map(|block| {
            let body = block.split(&end).next().unwrap_or_default();
            let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
            STANDARD.decode(body).map_err(|error| fault(format!("broken PEM: {error}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwks(key: &SigningKey) -> Value {
        json!({"keys": [key.jwk()]})
    }

    #[test]
    fn every_algorithm_signs_and_verifies() {
        for alg in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::PS256, Algorithm::RS256] {
            let key = SigningKey::generate("k", alg).unwrap();
            let jws = read(&key.sign(&json!({}), &json!({"sub": "u"}))).unwrap();
            assert_eq!(jws.verify(&jwks(&key)).unwrap()["kid"], "k", "{alg:?}");
            let other = SigningKey::generate("k", alg).unwrap();
            assert!(jws.verify(&jwks(&other)).is_err());
        }
    }

    #[test]
    fn none_and_hmac_never_verify() {
        let key = SigningKey::generate("k", Algorithm::ES256).unwrap();
        for token in
            [unsigned(&json!({})), hmac_signed(&json!({"alg": "HS256"}), &json!({}), key.jwk()["x"].as_str().unwrap().as_bytes())]
        {
            assert!(read(&token).unwrap().verify(&jwks(&key)).is_err());
        }
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        let key = json!({"kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
        assert_eq!(thumbprint(&key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic() {
        for text in ["", ".", "..", "a.b.c", "e30.e30", "eyJhIjoxfQ.W10.x", "....."] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(pkcs1(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).is_none());
    }

    #[test]
    fn pem_goes_both_ways() {
        let key = SigningKey::generate("k", Algorithm::ES256).unwrap();
        let pem = to_pem("PRIVATE KEY", key.pkcs8());
        assert_eq!(from_pem("PRIVATE KEY", &pem).unwrap(), [key.pkcs8()]);
    }
}
