//! Our own ClientHello.
//!
//! TLS libraries refuse old versions and weak suites on the client's side, which would look like a refusal of the server. So the hello is
//! put together by hand and only the first answer is read ([`super::tls_answer`]); no handshake is ever completed this way.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Version {
    /// SSL 3.0 (RFC 6101).
    #[serde(rename = "SSL 3.0")]
    Ssl3,
    /// TLS 1.0.
    #[serde(rename = "TLS 1.0")]
    Tls10,
    /// TLS 1.1.
    #[serde(rename = "TLS 1.1")]
    Tls11,
    /// TLS 1.2.
    #[serde(rename = "TLS 1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "TLS 1.3")]
    Tls13,
}

impl Version {
    /// From SSL 3.0 to TLS 1.3.
    pub const ALL: [Version; 5] = [Version::Ssl3, Version::Tls10, Version::Tls11, Version::Tls12, Version::Tls13];

    /// The version number on the wire.
    pub fn code(self) -> u16 {
        match self {
            Version::Ssl3 => 0x0300,
            Version::Tls10 => 0x0301,
            Version::Tls11 => 0x0302,
            Version::Tls12 => 0x0303,
            Version::Tls13 => 0x0304,
        }
    }

    pub(super) fn of(code: u16) -> Option<Version> {
        Version::ALL.into_iter().find(|version| version.code() == code)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Version::Ssl3 => "SSL 3.0",
            Version::Tls10 => "TLS 1.0",
            Version::Tls11 => "TLS 1.1",
            Version::Tls12 => "TLS 1.2",
            Version::Tls13 => "TLS 1.3",
        })
    }
}

/// What to offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloSpec {
    /// Versions offered. Without TLS 1.3 the highest one stands in the hello and nothing below it can be left out (RFC 5246 E.1).
    pub versions: Vec<Version>,
    /// Cipher suites offered, by code point; at most 32,000.
    pub suites: Vec<u16>,
    /// Host name for the server_name extension; `None` for addresses.
    pub host: Option<String>,
    /// The client random.
    pub random: [u8; 32],
    /// An X25519 public key for TLS 1.3; without it the key share is empty and the server asks for one.
    pub x25519: Option<[u8; 32]>,
}

impl HelloSpec {
    /// Offers one version.
    pub fn new(version: Version, suites: Vec<u16>) -> HelloSpec {
        HelloSpec { versions: vec![version], suites, host: None, random: [0x5a; 32], x25519: None }
    }
}

/// Groups for the key exchange: X25519, the NIST curves down to secp192r1, secp256k1, X448, and the finite fields of RFC 7919.
const GROUPS: [u16; 10] = [0x001d, 0x0017, 0x0018, 0x0019, 0x001e, 0x0016, 0x0015, 0x0013, 0x0100, 0x0101];

/// Signature schemes, down to SHA-1 and DSA so that servers with such certificates answer as well.
const SIGNATURES: [u16; 20] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401, 0x0501, 0x0601, 0x0303,
    0x0301, 0x0203, 0x0201, 0x0402, 0x0202,
];

/// The ClientHello as one TLS record. A spec without versions offers TLS 1.2.
pub fn client_hello(spec: &HelloSpec) -> Vec<u8> {
    let highest = spec.versions.iter().copied().max().unwrap_or(Version::Tls12);
    let legacy = highest.min(Version::Tls12);
    let mut body = legacy.code().to_be_bytes().to_vec();
    body.extend(spec.random);
    // A TLS 1.3 client sends a session id so that middleboxes take the exchange for a resumption (RFC 8446 D.4).
    block8(&mut body, if highest == Version::Tls13 { spec.random.as_slice() } else { &[] });
    block16(&mut body, &words(&spec.suites));
    block8(&mut body, &[0]);
    // SSL 3.0 knows no extensions.
    if highest > Version::Ssl3 {
        block16(&mut body, &extensions(spec, highest));
    }
    let mut handshake = vec![1, 0];
    block16(&mut handshake, &body);
    let mut record = vec![22];
    record.extend(legacy.min(Version::Tls10).code().to_be_bytes());
    block16(&mut record, &handshake);
    record
}

fn extensions(spec: &HelloSpec, highest: Version) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(host) = &spec.host {
        let mut name = vec![0];
        block16(&mut name, host.as_bytes());
        extension(&mut out, 0, &sized16(&name));
    }
    extension(&mut out, 10, &sized16(&words(&GROUPS)));
    extension(&mut out, 11, &[1, 0]);
    if highest >= Version::Tls12 {
        extension(&mut out, 13, &sized16(&words(&SIGNATURES)));
    }
    extension(&mut out, 22, &[]);
    extension(&mut out, 23, &[]);
    extension(&mut out, 0xff01, &[0]);
    if highest == Version::Tls13 {
        let codes: Vec<u16> = spec.versions.iter().map(|version| version.code()).collect();
        let mut versions = Vec::new();
        block8(&mut versions, &words(&codes));
        extension(&mut out, 43, &versions);
        extension(&mut out, 45, &[1, 1]);
        let mut shares = Vec::new();
        if let Some(key) = spec.x25519 {
            shares.extend(0x001d_u16.to_be_bytes());
            block16(&mut shares, &key);
        }
        extension(&mut out, 51, &sized16(&shares));
    }
    out
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// Appends with a length in front; what does not fit is cut, so that the hello stays well-formed.
pub(super) fn block8(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    out.push(length);
    out.extend(bytes.iter().take(usize::from(length)));
}

pub(crate) fn block16(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend(length.to_be_bytes());
    out.extend(bytes.iter().take(usize::from(length)));
}

fn sized16(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    block16(&mut out, bytes);
    out
}

pub(crate) fn extension(out: &mut Vec<u8>, kind: u16, bytes: &[u8]) {
    out.extend(kind.to_be_bytes());
    block16(out, bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_is_well_formed() {
        let mut spec = HelloSpec::new(Version::Tls12, vec![0xc02f, 0x002f]);
        spec.host = Some("idp.example".into());
        let bytes = client_hello(&spec);
        assert_eq!(&bytes[..3], [22, 3, 1]);
        assert_eq!(usize::from(u16::from_be_bytes([bytes[3], bytes[4]])), bytes.len() - 5);
        assert_eq!(bytes[5], 1);
        assert_eq!(usize::from(u16::from_be_bytes([bytes[7], bytes[8]])), bytes.len() - 9);
        assert_eq!(&bytes[9..11], [3, 3]);
        assert_eq!(bytes[43], 0, "no session id");
        assert_eq!(&bytes[44..50], [0, 4, 0xc0, 0x2f, 0x00, 0x2f]);
        assert!(bytes.windows(11).any(|window| window == b"idp.example"));
    }

    #[test]
    fn ssl3_has_no_extensions_and_tls13_lists_its_versions() {
        let bytes = client_hello(&HelloSpec::new(Version::Ssl3, vec![0x0005]));
        assert_eq!(&bytes[..3], [22, 3, 0]);
        assert_eq!(bytes.len(), 5 + 4 + 2 + 32 + 1 + 4 + 2);
        let mut spec = HelloSpec::new(Version::Tls13, vec![0x1301]);
        spec.x25519 = Some([9; 32]);
        let bytes = client_hello(&spec);
        assert!(bytes.windows(7).any(|window| window == [0, 43, 0, 3, 2, 3, 4]));
        assert!(bytes.windows(10).any(|window| window == [0, 51, 0, 38, 0, 36, 0, 29, 0, 32]));
    }
}
