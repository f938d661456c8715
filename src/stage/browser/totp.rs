//! One-time codes by RFC 6238: SHA-1, 6 digits, steps of 30 s. A code is never used twice.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;

/// Length of a time step in seconds (RFC 6238, section 4.1: X).
const STEP: u64 = 30;
/// Seconds of a step that must be left for a code to be typed and checked.
const MARGIN: u64 = 2;

/// The authenticator of one user, shared by all of its logins. A code is given out once per time step, because a service
/// must not accept it twice (RFC 6238, section 5.2).
#[derive(Clone)]
pub struct TotpSource {
    key: Arc<hmac::Key>,
    last: Arc<Mutex<u64>>,
    waiting: Option<Waiting>,
    reusable: bool,
}

/// Is told how long a login waits for the next unused code.
pub type Waiting = Arc<dyn Fn(Duration) + Send + Sync>;

impl std::fmt::Debug for TotpSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSource")
    }
}

impl TotpSource {
    /// From a base32 secret (spaces, hyphens, lower case and padding are allowed) or an `otpauth://totp/` URI.
    ///
    /// # Errors
    /// What is wrong with the secret; the secret is not part of the message.
    pub fn new(secret: &str) -> Result<Self, String> {
        let secret = secret.trim();
        let secret = if secret.starts_with("otpauth:") { from_uri(secret)? } else { secret.to_owned() };
        let bytes = base32(&secret)?;
        if bytes.is_empty() {
            return Err("the TOTP secret is empty".into());
        }
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
        Ok(TotpSource { key: Arc::new(key), last: Arc::default(), waiting: None, reusable: false })
    }

    /// The same authenticator; `waiting` is called before each wait for the next time step.
    #[must_use]
    pub fn on_wait(mut self, waiting: Waiting) -> Self {
        self.waiting = Some(waiting);
        self
    }

    /// The same authenticator for a service that takes a code once per login: nothing is waited for but the end of a time step.
    #[must_use]
    pub fn reusable(mut self, reusable: bool) -> Self {
        self.reusable = reusable;
        self
    }

    /// The code of the first time step that no login has used yet, and how long that was waited for (up to 30 s per login
    /// that is ahead).
    pub async fn code(&self) -> (String, Duration) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let step = self.reserve(now.as_secs());
        let wait = Duration::from_secs(step * STEP).saturating_sub(now);
        if !wait.is_zero() {
            if let Some(waiting) = &self.waiting {
                waiting(wait);
            }
            tokio::time::sleep(wait).await;
        }
        (self.at(step), wait)
    }

    /// Takes the next unused time step, now or later.
    fn reserve(&self, now: u64) -> u64 {
        let usable = (now + MARGIN) / STEP;
        if self.reusable {
            return usable;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = usable.max(*last + 1);
        *last
    }

    /// The code of a time step (RFC 4226, section 5.3).
    fn at(&self, step: u64) -> String {
        let tag = hmac::sign(&self.key, &step.to_be_bytes());
        let hash = tag.as_ref();
        let offset = usize::from(hash[hash.len() - 1] & 0x0f);
        let number = u32::from_be_bytes([hash[offset] & 0x7f, hash[offset + 1], hash[offset + 2], hash[offset + 3]]);
        format!("{:06}", number % 1_000_000)
    }
}

fn from_uri(uri: &str) -> Result<String, String> {
    let uri = url::Url::parse(uri).map_err(|e| format!("the otpauth URI cannot be read: {e}"))?;
    if uri.host_str() != Some("totp") {
        return Err("only otpauth://totp/ is supported".into());
    }
    let get = |name: &str| uri.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    for (name, supported) in [("algorithm", "SHA1"), ("digits", "6"), ("period", "30")] {
        if let Some(value) = get(name)
            && !value.eq_ignore_ascii_case(supported)
        {
            return Err(format!("the otpauth URI says {name}={value}; only {supported} is supported"));
        }
    }
    get("secret").ok_or_else(|| "the otpauth URI has no secret".into())
}

/// RFC 4648, section 6.
fn base32(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut buffer, mut bits) = (0_u32, 0);
    for letter in text.bytes().filter(|byte| !matches!(byte, b' ' | b'-' | b'=')) {
        let value = match letter.to_ascii_uppercase() {
            upper @ b'A'..=b'Z' => upper - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return Err("the TOTP secret is not base32 (letters A-Z and digits 2-7)".into()),
        };
        buffer = buffer << 5 | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits & 0xff) as u8);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 6238, appendix B: the ASCII text 12345678901234567890.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn the_vectors_of_rfc_6238_hold() {
        let source = TotpSource::new(SECRET).unwrap();
        // The vectors have eight digits; six digits are their last six.
        for (time, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(source.at(time / 30), code[2..], "{time}");
        }
    }

    #[test]
    fn secrets_are_read_as_people_write_them() {
        let lower = TotpSource::new("gezd gnbv gy3t qojq-GEZDGNBVGY3TQOJQ====").unwrap();
        let uri = TotpSource::new(&format!("otpauth://totp/A:b?secret={SECRET}&issuer=A&digits=6")).unwrap();
        let plain = TotpSource::new(SECRET).unwrap();
        assert_eq!(lower.at(7), plain.at(7));
        assert_eq!(uri.at(7), plain.at(7));
        assert!(TotpSource::new("not base32!").unwrap_err().contains("base32"));
        assert!(TotpSource::new("otpauth://totp/A?secret=GEZD&algorithm=SHA256").unwrap_err().contains("SHA256"));
        assert!(TotpSource::new("").is_err());
    }

    #[test]
    fn a_time_step_is_never_used_twice() {
        let source = TotpSource::new(SECRET).unwrap();
        let other = source.clone();
        assert_eq!(source.reserve(60), 2);
        assert_eq!(other.reserve(61), 3);
        assert_eq!(source.reserve(62), 4);
        assert_eq!(source.reserve(600), 20);
        // With a second left, the next step is meant.
        assert_eq!(source.reserve(659), 22);
    }
}
