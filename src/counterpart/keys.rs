//! The suite's own keys: what signs client assertions, and what decrypts ID tokens.

use std::sync::{Arc, OnceLock};

use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::embedded::PublicKeys;
use crate::wire::jose::{JoseError, SigningKey, from_pem, to_pem};
use crate::wire::jwe::DecryptionKey;

/// Keys of the relying-party counterpart. The public halves are registered at the target.
#[derive(Clone, Debug)]
pub struct SuiteKeys {
    /// Signs client assertions, kid `es256`.
    pub es256: SigningKey,
    rsa: Arc<OnceLock<Result<RsaKeys, JoseError>>>,
}

/// The RSA keys. They take some tenths of a second to make, and only identity services need them.
#[derive(Debug)]
struct RsaKeys {
    rs256: SigningKey,
    enc: DecryptionKey,
}

impl RsaKeys {
    fn generate() -> Result<Self, JoseError> {
        Ok(RsaKeys { rs256: SigningKey::generate("rs256", Algorithm::RS256)?, enc: DecryptionKey::generate("enc")? })
    }
}

/// The keys file that `init` writes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    keys: Vec<KeyEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    kid: String,
    alg: String,
    #[serde(rename = "use")]
    usage: String,
    pkcs8: String,
}

impl SuiteKeys {
    /// Fresh keys. The RSA keys are made when they are asked for, which takes up to a second.
    pub fn generate() -> Result<Self, JoseError> {
        Ok(SuiteKeys { es256: SigningKey::generate("es256", Algorithm::ES256)?, rsa: Arc::default() })
    }

    /// Registered as a second key, to see whether RS256 assertions are taken; kid `rs256`.
    ///
    /// # Errors
    /// The crypto library gave none.
    pub fn rs256(&self) -> Result<&SigningKey, JoseError> {
        self.rsa().map(|keys| &keys.rs256)
    }

    /// Decrypts ID tokens; kid `enc`.
    ///
    /// # Errors
    /// The crypto library gave none.
    pub fn enc(&self) -> Result<&DecryptionKey, JoseError> {
        self.rsa().map(|keys| &keys.enc)
    }

    fn rsa(&self) -> Result<&RsaKeys, JoseError> {
        self.rsa.get_or_init(RsaKeys::generate).as_ref().map_err(JoseError::clone)
    }

    /// Reads the keys file.
    pub fn parse(text: &str) -> Result<Self, JoseError> {
        let file: KeysFile = serde_json::from_str(text).map_err(|error| JoseError(format!("not a keys file: {error}")))?;
        let der = |kid: &str| {
            let entry = file
                .keys
                .iter()
                .find(|key| key.kid == kid)
                .ok_or_else(|| JoseError(format!("the keys file has no key `{kid}`")))?;
            from_pem("PRIVATE KEY", &entry.pkcs8)?
                .pop()
                .ok_or_else(|| JoseError(format!("key `{kid}` holds no PEM block PRIVATE KEY")))
        };
        let es256 = SigningKey::from_pkcs8("es256", Algorithm::ES256, &der("es256")?)?;
        let rsa = RsaKeys {
            rs256: SigningKey::from_pkcs8("rs256", Algorithm::RS256, &der("rs256")?)?,
            enc: DecryptionKey::from_pkcs8("enc", &der("enc")?)?,
        };
        Ok(SuiteKeys { es256, rsa: Arc::new(OnceLock::from(Ok(rsa))) })
    }

    /// Writes the keys file: private, to be kept by the operator of the suite.
    ///
    /// # Errors
    /// The crypto library gave no RSA keys.
    pub fn to_file(&self) -> Result<String, JoseError> {
        let entry = |kid: &str, alg: &str, usage: &str, der: &[u8]| KeyEntry {
            kid: kid.into(),
            alg: alg.into(),
            usage: usage.into(),
            pkcs8: to_pem("PRIVATE KEY", der),
        };
        let file = KeysFile {
            keys: vec![
                entry("es256", "ES256", "sig", self.es256.pkcs8()),
                entry("rs256", "RS256", "sig", self.rs256()?.pkcs8()),
                entry("enc", "RSA-OAEP-256", "enc", self.enc()?.pkcs8()),
            ],
        };
        Ok(serde_json::to_string_pretty(&file).unwrap_or_default())
    }

    /// The public halves, for a reference peer.
    ///
    /// # Errors
    /// The crypto library gave no RSA keys.
    pub fn public(&self) -> Result<PublicKeys, JoseError> {
        let (rsa, encryption) = (self.rs256()?.jwk().clone(), self.enc()?.jwk().clone());
        Ok(PublicKeys { signing: self.es256.jwk().clone(), rsa, encryption })
    }

    /// The public JWK Set to register at the target.
    ///
    /// # Errors
    /// The crypto library gave no RSA keys.
    pub fn jwks(&self) -> Result<Value, JoseError> {
        Ok(json!({"keys": [self.es256.jwk(), self.rs256()?.jwk(), self.enc()?.jwk()]}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_file_is_read_back() {
        let keys = SuiteKeys::generate().unwrap();
        let again = SuiteKeys::parse(&keys.to_file().unwrap()).unwrap();
        assert_eq!(again.jwks(), keys.jwks());
        assert!(SuiteKeys::parse("{}").is_err());
        assert!(SuiteKeys::parse(r#"{"keys":[]}"#).unwrap_err().to_string().contains("es256"));
    }
}
