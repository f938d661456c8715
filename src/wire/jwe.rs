//! JWE for encrypted ID tokens (RFC 7516, RFC 7518). Read: RSA-OAEP and RSA-OAEP-256 with GCM or CBC content encryption; made: RSA-OAEP-256 or
//! ECDH-ES with A256GCM.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, EphemeralPrivateKey, PrivateKey, UnparsedPublicKey, agree, agree_ephemeral};
use aws_lc_rs::cipher::{AES_128, AES_256, Algorithm, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey, PublicKeyComponents,
};
use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
use serde_json::{Value, json};

use super::jose::{JoseError, b64, unb64};

fn fault(text: impl Into<String>) -> JoseError {
    JoseError(text.into())
}

/// Begins the message about an algorithm that cannot be read here: it says nothing of the sender.
pub const UNSUPPORTED: &str = "the suite does not read";

/// A private decryption key of ours (RSA, 2048 bits) with its public JWK.
#[derive(Clone)]
pub struct DecryptionKey {
    /// Key id.
    pub kid: String,
    pkcs8: Vec<u8>,
    public: Value,
}

impl std::fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DecryptionKey({})", self.kid)
    }
}

impl DecryptionKey {
    /// A fresh RSA key for RSA-OAEP-256; takes some tenths of a second.
    pub fn generate(kid: &str) -> Result<Self, JoseError> {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(|_| fault("the key could not be generated"))?;
        let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| fault("the key could not be written"))?;
        Self::from_pkcs8(kid, der.as_ref())
    }

    /// A key from PKCS#8 DER.
    pub fn from_pkcs8(kid: &str, pkcs8: &[u8]) -> Result<Self, JoseError> {
        let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|error| fault(format!("key `{kid}` is not RSA in PKCS#8: {error}")))?;
        let modulus = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
        let exponent = pair.public_key().exponent().big_endian_without_leading_zero().to_vec();
        let public =
            json!({"kty": "RSA", "n": b64(modulus), "e": b64(exponent), "kid": kid, "use": "enc", "alg": "RSA-OAEP-256"});
        Ok(DecryptionKey { kid: kid.to_owned(), pkcs8: pkcs8.to_vec(), public })
    }

    /// The public half as a JWK.
    pub fn jwk(&self) -> &Value {
        &self.public
    }

    /// The private half as PKCS#8 DER.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Decrypts a compact JWE and answers its plaintext, for an ID token the nested JWS.
    pub fn decrypt(&self, token: &str) -> Result<String, JoseError> {
        let parts: Vec<&str> = token.split('.').collect();
        let [header_part, key, iv, ciphertext, tag] = parts[..] else {
            return Err(fault(format!("{} dot-separated parts instead of the 5 of a JWE", parts.len())));
        };
        let header: Value = serde_json::from_slice(&unb64(header_part)?).map_err(|_| fault("the JWE header is not JSON"))?;
        let cek = match header["alg"].as_str() {
            Some(alg @ ("RSA-OAEP-256" | "RSA-OAEP")) => {
                let padding = if alg == "RSA-OAEP" { &OAEP_SHA1_MGF1SHA1 } else { &OAEP_SHA256_MGF1SHA256 };
                let unusable = |_| fault("the suite's key cannot decrypt");
                let private =
                    PrivateDecryptingKey::from_pkcs8(&self.pkcs8).map_err(|_| fault("the suite's key cannot decrypt"))?;
                let private = OaepPrivateDecryptingKey::new(private).map_err(unusable)?;
                let mut out = vec![0; private.min_output_size()];
                let encrypted = unb64(key)?;
                let plain = private
                    .decrypt(padding, &encrypted, &mut out, None)
                    .map_err(|_| fault("the content key was not encrypted for the suite's key"))?;
                plain.to_vec()
            }
            other => return Err(fault(format!("{UNSUPPORTED} key management `{}`", other.unwrap_or("(none)")))),
        };
        open(header["enc"].as_str().unwrap_or("(none)"), &cek, header_part, iv, ciphertext, tag)
    }
}

/// Encrypts for a public JWK: RSA-OAEP-256 for RSA keys, ECDH-ES for P-256, content A256GCM.
pub fn encrypt(plaintext: &str, recipient: &Value, content_type: &str) -> Result<String, JoseError> {
    let mut header = json!({"enc": "A256GCM", "cty": content_type, "kid": recipient["kid"]});
    let (cek, encrypted_key) = if recipient["kty"] == "RSA" {
        header["alg"] = "RSA-OAEP-256".into();
        let mut cek = [0; 32];
        aws_lc_rs::rand::fill(&mut cek).map_err(|_| fault("no randomness"))?;
        let components = PublicKeyComponents {
            n: unb64(recipient["n"].as_str().unwrap_or_default())?,
            e: unb64(recipient["e"].as_str().unwrap_or_default())?,
        };
        let public: PublicEncryptingKey = components.try_into().map_err(|_| fault("unusable recipient key"))?;
        let public = OaepPublicEncryptingKey::new(public).map_err(|_| fault("unusable recipient key"))?;
        let mut out = vec![0; public.ciphertext_size()];
        let encrypted = public.encrypt(&OAEP_SHA256_MGF1SHA256, &cek, &mut out, None).map_err(|_| fault("encryption failed"))?;
        (cek, encrypted.to_vec())
    } else {
        header["alg"] = "ECDH-ES".into();
        let ephemeral = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).map_err(|_| fault("no randomness"))?;
        let point = ephemeral.compute_public_key().map_err(|_| fault("no public point"))?;
        let point = point.as_ref();
        header["epk"] = json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..65])});
        let peer = UnparsedPublicKey::new(&ECDH_P256, ec_point(recipient)?);
        let cek = agree_ephemeral(ephemeral, peer, fault("unusable recipient key"), |secret| Ok(concat_kdf(secret)))?;
        (cek, Vec::new())
    };
    let header_part = b64(header.to_string());
    let mut iv = [0; 12];
    aws_lc_rs::rand::fill(&mut iv).map_err(|_| fault("no randomness"))?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &cek).map_err(|_| fault("unusable content key"))?);
    let mut sealed = plaintext.as_bytes().to_vec();
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(iv), Aad::from(header_part.as_bytes()), &mut sealed)
        .map_err(|_| fault("encryption failed"))?;
    Ok(format!("{header_part}.{}.{}.{}.{}", b64(encrypted_key), b64(iv), b64(sealed), b64(tag.as_ref())))
}

fn open(enc: &str, cek: &[u8], aad: &str, iv: &str, ciphertext: &str, tag: &str) -> Result<String, JoseError> {
    let algorithm = match enc {
        "A128CBC-HS256" => return open_cbc(&AES_128, hmac::HMAC_SHA256, cek, aad, iv, ciphertext, tag),
        "A256CBC-HS512" => return open_cbc(&AES_256, hmac::HMAC_SHA512, cek, aad, iv, ciphertext, tag),
        "A256GCM" => &AES_256_GCM,
        "A128GCM" => &AES_128_GCM,
        other => return Err(fault(format!("{UNSUPPORTED} content encryption `{other}`"))),
    };
    let key = LessSafeKey::new(UnboundKey::new(algorithm, cek).map_err(|_| fault("the content key has the wrong length"))?);
    let nonce =
        Nonce::try_assume_unique_for_key(&unb64(iv)?).map_err(|_| fault("the initialization vector has the wrong length"))?;
    let mut text = unb64(ciphertext)?;
    text.extend(unb64(tag)?);
    let plain =
        key.open_in_place(nonce, Aad::from(aad.as_bytes()), &mut text).map_err(|_| fault("the content does not authenticate"))?;
    String::from_utf8(plain.to_vec()).map_err(|_| fault("the plaintext is not text"))
}

/// AES_CBC_HMAC_SHA2 of RFC 7518 5.2: the first half of the key authenticates, the second decrypts.
fn open_cbc(
    cipher: &'static Algorithm,
    mac: hmac::Algorithm,
    cek: &[u8],
    aad: &str,
    iv: &str,
    ciphertext: &str,
    tag: &str,
) -> Result<String, JoseError> {
    let (mac_key, enc_key) = cek.split_at(cek.len() / 2);
    let (iv, mut text, tag) = (unb64(iv)?, unb64(ciphertext)?, unb64(tag)?);
    let bits = u64::try_from(aad.len()).unwrap_or_default() * 8;
    let authenticated = [aad.as_bytes(), &iv, &text, &bits.to_be_bytes()].concat();
    let full = hmac::sign(&hmac::Key::new(mac, mac_key), &authenticated);
    if tag.len() != mac_key.len() || full.as_ref().get(..tag.len()) != Some(&tag[..]) {
        return Err(fault("the content does not authenticate"));
    }
    let unusable = |_| fault("the content key or initialization vector has the wrong length");
    let key = UnboundCipherKey::new(cipher, enc_key).map_err(unusable)?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(unusable)?;
    let iv: [u8; 16] = iv.try_into().map_err(|_| fault("the initialization vector has the wrong length"))?;
    let plain = key.decrypt(&mut text, DecryptionContext::Iv128(iv.into())).map_err(|_| fault("the content does not decrypt"))?;
    String::from_utf8(plain.to_vec()).map_err(|_| fault("the plaintext is not text"))
}

fn ec_point(jwk: &Value) -> Result<Vec<u8>, JoseError> {
    let mut point = vec![4];
    point.extend(unb64(jwk["x"].as_str().unwrap_or_default())?);
    point.extend(unb64(jwk["y"].as_str().unwrap_or_default())?);
    Ok(point)
}

/// Concat KDF of RFC 7518 4.6.2 for direct agreement with A256GCM: one round of SHA-256.
fn concat_kdf(secret: &[u8]) -> [u8; 32] {
    let enc = b"A256GCM";
    let mut input = 1_u32.to_be_bytes().to_vec();
    input.extend(secret);
    input.extend(7_u32.to_be_bytes());
    input.extend(enc);
    input.extend(0_u32.to_be_bytes());
    input.extend(0_u32.to_be_bytes());
    input.extend(256_u32.to_be_bytes());
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, &input).as_ref());
    key
}

/// Agreement with a static private key (RFC 5915 or PKCS#8 DER): the receiving side of ECDH-ES.
pub fn ecdh_es_key(private: &[u8], epk: &Value) -> Result<[u8; 32], JoseError> {
    let private = PrivateKey::from_private_key_der(&ECDH_P256, private).map_err(|_| fault("unusable private key"))?;
    agree(&private, UnparsedPublicKey::new(&ECDH_P256, ec_point(epk)?), fault("agreement failed"), |secret| {
        Ok(concat_kdf(secret))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::EcPrivateKeyRfc5915Der;

    #[test]
    fn an_rsa_recipient_reads_what_was_encrypted_for_it_and_nobody_else_does() {
        let key = DecryptionKey::generate("enc").unwrap();
        let token = encrypt("a.b.c", key.jwk(), "JWT").unwrap();
        assert_eq!(token.split('.').count(), 5);
        assert_eq!(key.decrypt(&token).unwrap(), "a.b.c");
        assert!(DecryptionKey::generate("enc").unwrap().decrypt(&token).is_err());
        assert!(key.decrypt(&token[..token.len() - 4]).is_err());
        assert!(key.decrypt("a.b.c").is_err());
    }

    #[test]
    fn cbc_content_is_read_and_checked() {
        // RFC 7518 B.1: AES_128_CBC_HMAC_SHA_256.
        let cek: Vec<u8> = (0..32).collect();
        let iv = [0x1a, 0xf3, 0x8c, 0x2d, 0xc2, 0xb9, 0x6f, 0xfd, 0xd8, 0x66, 0x94, 0x09, 0x23, 0x41, 0xbc, 0x04];
        let aad = "The second principle of Auguste Kerckhoffs";
        let text = [
            0xc8, 0x0e, 0xdf, 0xa3, 0x2d, 0xdf, 0x39, 0xd5, 0xef, 0x00, 0xc0, 0xb4, 0x68, 0x83, 0x42, 0x79, 0xa2, 0xe4, 0x6a,
            0x1b, 0x80, 0x49, 0xf7, 0x92, 0xf7, 0x6b, 0xfe, 0x54, 0xb9, 0x03, 0xa9, 0xc9, 0xa9, 0x4a, 0xc9, 0xb4, 0x7a, 0xd2,
            0x65, 0x5c, 0x5f, 0x10, 0xf9, 0xae, 0xf7, 0x14, 0x27, 0xe2, 0xfc, 0x6f, 0x9b, 0x3f, 0x39, 0x9a, 0x22, 0x14, 0x89,
            0xf1, 0x63, 0x62, 0xc7, 0x03, 0x23, 0x36, 0x09, 0xd4, 0x5a, 0xc6, 0x98, 0x64, 0xe3, 0x32, 0x1c, 0xf8, 0x29, 0x35,
            0xac, 0x40, 0x96, 0xc8, 0x6e, 0x13, 0x33, 0x14, 0xc5, 0x40, 0x19, 0xe8, 0xca, 0x79, 0x80, 0xdf, 0xa4, 0xb9, 0xcf,
            0x1b, 0x38, 0x4c, 0x48, 0x6f, 0x3a, 0x54, 0xc5, 0x10, 0x78, 0x15, 0x8e, 0xe5, 0xd7, 0x9d, 0xe5, 0x9f, 0xbd, 0x34,
            0xd8, 0x48, 0xb3, 0xd6, 0x95, 0x50, 0xa6, 0x76, 0x46, 0x34, 0x44, 0x27, 0xad, 0xe5, 0x4b, 0x88, 0x51, 0xff, 0xb5,
            0x98, 0xf7, 0xf8, 0x00, 0x74, 0xb9, 0x47, 0x3c, 0x82, 0xe2, 0xdb,
        ];
        let tag = [0x65, 0x2c, 0x3f, 0xa3, 0x6b, 0x0a, 0x7c, 0x5b, 0x32, 0x19, 0xfa, 0xb3, 0xa3, 0x0b, 0xc1, 0xc4];
        let plain = open("A128CBC-HS256", &cek, aad, &b64(iv), &b64(text), &b64(tag)).unwrap();
        assert!(plain.starts_with("A cipher system must not be required to be secret"), "{plain}");
        assert!(open("A128CBC-HS256", &cek, aad, &b64(iv), &b64(text), &b64([0; 16])).is_err());
    }

    #[test]
    fn ecdh_es_agrees_on_both_sides() {
        let private = PrivateKey::generate(&ECDH_P256).unwrap();
        let point = private.compute_public_key().unwrap();
        let point = point.as_ref();
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..65]), "kid": "e"});
        let token = encrypt("hello", &jwk, "JWT").unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let header: Value = serde_json::from_slice(&unb64(parts[0]).unwrap()).unwrap();
        let der: EcPrivateKeyRfc5915Der<'_> = private.as_der().unwrap();
        let cek = ecdh_es_key(der.as_ref(), &header["epk"]).unwrap();
        assert_eq!(open("A256GCM", &cek, parts[0], parts[2], parts[3], parts[4]).unwrap(), "hello");
    }
}
