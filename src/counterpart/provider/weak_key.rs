//! The RSA key of 1024 bits that no application may accept (IPSIE Common Requirements 3.3, RFC 8725 3.5). Crypto libraries refuse such keys
//! rightly, so its signatures are computed here, by RFC 8017.

use aws_lc_rs::digest::{SHA256, digest};
use num_bigint::BigUint;
use serde_json::{Value, json};

use crate::wire::jose::{JoseError, b64, unb64};

/// Test-only and public.
const KEY: &str = include_str!("../../../fixtures/keys/weak-rsa.json");
/// Its `kid`.
pub(super) const KID: &str = "weak-rsa-1024";
/// Length of a SHA-256 digest, also of the salt.
const HASH: usize = 32;
/// DigestInfo of SHA-256 (RFC 8017 9.2, note 1).
const SHA256_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// An RSA private key as two numbers.
struct Rsa {
    n: BigUint,
    d: BigUint,
}

/// The public key, for signatures with `PS256` or `RS256`.
pub(super) fn jwk(alg: &str) -> Value {
    let key: Value = serde_json::from_str(KEY).unwrap_or_default();
    json!({"kty": "RSA", "n": key["n"], "e": key["e"], "kid": KID, "alg": alg, "use": "sig"})
}

/// A JWS by the weak key with `PS256` or `RS256`.
///
/// # Errors
/// The key in the program is broken.
pub(super) fn sign(alg: &str, claims: &Value) -> Result<String, JoseError> {
    let key: Value = serde_json::from_str(KEY).map_err(|error| JoseError(format!("the weak key is no JSON: {error}")))?;
    let number = |name: &str| unb64(key[name].as_str().unwrap_or_default()).map(|bytes| BigUint::from_bytes_be(&bytes));
    let key = Rsa { n: number("n")?, d: number("d")? };
    let header = json!({"alg": alg, "kid": KID, "typ": "JWT"});
    let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let signature = if alg == "RS256" { key.pkcs1(message.as_bytes()) } else { key.pss(message.as_bytes())? };
    Ok(format!("{message}.{}", b64(signature)))
}

impl Rsa {
    fn bits(&self) -> usize {
        usize::try_from(self.n.bits()).unwrap_or_default()
    }

    /// RSASP1 (RFC 8017 5.2.1), as long as the modulus.
    fn power(&self, encoded: &[u8]) -> Vec<u8> {
        let signature = BigUint::from_bytes_be(encoded).modpow(&self.d, &self.n).to_bytes_be();
        let mut out = vec![0; self.bits().div_ceil(8).saturating_sub(signature.len())];
        out.extend(signature);
        out
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 8.2.1, 9.2).
    fn pkcs1(&self, message: &[u8]) -> Vec<u8> {
        let filling = self.bits().div_ceil(8).saturating_sub(3 + SHA256_INFO.len() + HASH);
        let encoded = [&[0, 1][..], &vec![0xff; filling], &[0], &SHA256_INFO, digest(&SHA256, message).as_ref()].concat();
        self.power(&encoded)
    }

    /// RSASSA-PSS with SHA-256, MGF1 and a salt of 32 bytes (RFC 8017 8.1.1, 9.1.1; RFC 7518 3.5).
    fn pss(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        let bits = self.bits().saturating_sub(1);
        let length = bits.div_ceil(8);
        let filling = length.checked_sub(2 * HASH + 2).ok_or_else(|| JoseError("the key is too short for PS256".into()))?;
        let mut salt = [0; HASH];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| JoseError("no randomness".into()))?;
        let hash = digest(&SHA256, &[&[0; 8][..], digest(&SHA256, message).as_ref(), &salt].concat());
        let block = [&vec![0; filling][..], &[1], &salt].concat();
        let mut encoded: Vec<u8> = block.iter().zip(mask(hash.as_ref(), block.len())).map(|(a, b)| a ^ b).collect();
        encoded[0] &= 0xff >> (8 * length - bits);
        encoded.extend(hash.as_ref());
        encoded.push(0xbc);
        Ok(self.power(&encoded))
    }
}

/// MGF1 with SHA-256 (RFC 8017 B.2.1).
fn mask(seed: &[u8], length: usize) -> Vec<u8> {
    let rounds = u32::try_from(length.div_ceil(HASH)).unwrap_or_default();
    let blocks = (0..rounds).flat_map(|count| digest(&SHA256, &[seed, &count.to_be_bytes()].concat()).as_ref().to_vec());
    blocks.take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::jose::{self, SigningKey};
    use jsonwebtoken::Algorithm;

    /// The contents of the DER elements inside a constructed one.
    fn elements(mut der: &[u8]) -> Vec<&[u8]> {
        let mut out = Vec::new();
        while der.len() > 1 {
            let (head, len) = match der[1] {
                0x81 => (3, usize::from(der[2])),
                0x82 => (4, usize::from(der[2]) * 256 + usize::from(der[3])),
                short => (2, usize::from(short)),
            };
            out.push(&der[head..head + len]);
            der = &der[head + len..];
        }
        out
    }

    #[test]
    fn what_is_computed_here_verifies_in_the_crypto_library() {
        for alg in [Algorithm::PS256, Algorithm::RS256] {
            let strong = SigningKey::generate("strong", alg).unwrap();
            let info = elements(elements(strong.pkcs8())[0]);
            let numbers = elements(elements(info[2])[0]);
            let key = Rsa { n: BigUint::from_bytes_be(numbers[1]), d: BigUint::from_bytes_be(numbers[3]) };
            let message = format!("{}.{}", b64(json!({"alg": jose::alg_name(alg), "kid": "strong"}).to_string()), b64("{}"));
            for _ in 0..4 {
                let signature =
                    if alg == Algorithm::RS256 { key.pkcs1(message.as_bytes()) } else { key.pss(message.as_bytes()).unwrap() };
                let jws = jose::read(&format!("{message}.{}", b64(signature))).unwrap();
                jws.verify(&json!({"keys": [strong.jwk()]})).unwrap();
            }
        }
    }

    #[test]
    fn the_weak_key_has_1024_bits_and_its_signature_is_right() {
        let jwk = jwk("PS256");
        let number = |name: &str| BigUint::from_bytes_be(&unb64(jwk[name].as_str().unwrap()).unwrap());
        assert_eq!(number("n").bits(), 1024);
        let token = sign("RS256", &json!({"sub": "u"})).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let opened = BigUint::from_bytes_be(&unb64(signature).unwrap()).modpow(&number("e"), &number("n")).to_bytes_be();
        assert!(opened.ends_with(digest(&SHA256, message.as_bytes()).as_ref()));
        assert_eq!(sign("PS256", &json!({})).unwrap().split('.').count(), 3);
    }
}
