//! SubjectPublicKeyInfo of a public JWK: what a PEM of the key holds (RFC 5280 4.1.2.7).

use serde_json::Value;

use super::jose::unb64;

/// DER of the key; empty for a key type we never hold.
pub fn spki_der(jwk: &Value) -> Vec<u8> {
    let member = |name: &str| unb64(jwk[name].as_str().unwrap_or_default()).unwrap_or_default();
    match jwk["kty"].as_str() {
        Some("EC") => {
            // id-ecPublicKey, prime256v1
            let algorithm = [
                0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
            ];
            wrap(&algorithm, &[&[4], &member("x")[..], &member("y")].concat())
        }
        Some("RSA") => {
            // rsaEncryption, NULL
            let algorithm = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
            let integer = |bytes: Vec<u8>| tlv(2, &[&[0], &bytes[..]].concat());
            wrap(&algorithm, &tlv(0x30, &[integer(member("n")), integer(member("e"))].concat()))
        }
        // id-Ed25519 (RFC 8410)
        Some("OKP") => wrap(&[0x06, 0x03, 0x2b, 0x65, 0x70], &member("x")),
        _ => Vec::new(),
    }
}

fn wrap(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = tlv(3, &[&[0], key].concat());
    tlv(0x30, &[tlv(0x30, algorithm), bits].concat())
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let mut out = vec![tag];
    match len {
        0..=0x7f => out.push(u8::try_from(len).unwrap_or_default()),
        _ => {
            let digits: Vec<u8> = len.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
            out.extend(digits);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::jose::SigningKey;
    use jsonwebtoken::Algorithm;
    use x509_parser::prelude::FromDer;

    #[test]
    fn other_parsers_read_it() {
        for alg in [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA] {
            let key = SigningKey::generate("k", alg).unwrap();
            let der = spki_der(key.jwk());
            let (rest, _) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&der).unwrap();
            assert!(rest.is_empty());
        }
    }
}
