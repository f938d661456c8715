//! Time-based one-time codes (RFC 6238: SHA-1, 6 digits, 30 s).

use aws_lc_rs::hmac;

/// Seconds of a time step.
pub const STEP_S: i64 = 30;

/// The code of a time step; `None` for a secret that is not base32.
pub fn code(secret: &str, step: i64) -> Option<String> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &base32(secret)?);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    // Dynamic truncation, RFC 4226 5.3.
    let offset = usize::from(bytes.last()? & 0x0f);
    let four: [u8; 4] = bytes.get(offset..offset + 4)?.try_into().ok()?;
    Some(format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000))
}

/// Is this the code of now, or of the step before or after?
pub fn matches(secret: &str, typed: &str, now: i64) -> bool {
    let step = now / STEP_S;
    (step - 1..=step + 1).any(|step| code(secret, step).is_some_and(|code| code == typed.trim()))
}

fn base32(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut out) = (0_u32, 0, Vec::new());
    for digit in text.bytes().filter(|byte| !matches!(byte, b'=' | b' ')) {
        let value = match digit.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            number @ b'2'..=b'7' => number - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5) | u32::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_rfc_6238_appendix_b() {
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"; // "12345678901234567890"
        assert_eq!(code(secret, 59 / 30).unwrap(), "287082");
        assert_eq!(code(secret, 1_111_111_109 / 30).unwrap(), "081804");
        assert_eq!(code(secret, 20_000_000_000 / 30).unwrap(), "353130");
        assert!(matches(secret, "287082", 59 + 30));
        assert!(!matches(secret, "287082", 59 + 60));
        assert!(code("not base32!", 1).is_none());
    }
}
