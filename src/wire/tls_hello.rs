//! Our own ClientHello, and the first answer to it.
//!
//! TLS libraries refuse old versions and weak suites on the client's side, which would look like a refusal of the server. So the hello is
//! put together by hand and only the server's first flight is read; no handshake is ever completed this way.

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

    fn of(code: u16) -> Option<Version> {
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
fn block8(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    out.push(length);
    out.extend(bytes.iter().take(usize::from(length)));
}

fn block16(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend(length.to_be_bytes());
    out.extend(bytes.iter().take(usize::from(length)));
}

fn sized16(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    block16(&mut out, bytes);
    out
}

fn extension(out: &mut Vec<u8>, kind: u16, bytes: &[u8]) {
    out.extend(kind.to_be_bytes());
    block16(out, bytes);
}

/// The first answer to a ClientHello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The server took version and suite.
    ServerHello {
        /// Version selected.
        version: Version,
        /// Suite selected.
        suite: u16,
    },
    /// TLS 1.3 with another key share: the version and the suite are taken all the same.
    HelloRetryRequest {
        /// Suite selected.
        suite: u16,
    },
    /// The server refused.
    Alert {
        /// 1 warning, 2 fatal.
        level: u8,
        /// `AlertDescription`, RFC 8446 6.
        description: u8,
    },
    /// The server closed the connection without a word.
    Closed,
    /// Something else than TLS came back.
    NotTls,
    /// The bytes are the beginning of an answer.
    Incomplete,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suite_name = |suite: u16| super::tls_suites::Suite::of(suite).name;
        match self {
            Answer::ServerHello { version, suite } => write!(f, "ServerHello: {version}, {}", suite_name(*suite)),
            Answer::HelloRetryRequest { suite } => write!(f, "HelloRetryRequest: TLS 1.3, {}", suite_name(*suite)),
            Answer::Alert { description, .. } => write!(f, "alert {}({description})", alert_name(*description)),
            Answer::Closed => f.write_str("connection closed without an answer"),
            Answer::NotTls => f.write_str("an answer that is not TLS"),
            Answer::Incomplete => f.write_str("an answer that breaks off"),
        }
    }
}

/// The name of an alert (RFC 8446 6, older ones RFC 5246 7.2).
pub fn alert_name(description: u8) -> &'static str {
    match description {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "unknown",
    }
}

/// The random of a HelloRetryRequest (RFC 8446 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a,
    0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Reads what has arrived so far; no bytes at all read as [`Answer::Closed`].
pub fn read_answer(bytes: &[u8]) -> Answer {
    if bytes.is_empty() {
        return Answer::Closed;
    }
    let mut reader = Reader(bytes);
    let mut handshake = Vec::new();
    while let Some(kind) = reader.byte() {
        if !(20..=24).contains(&kind) {
            return Answer::NotTls;
        }
        match reader.byte() {
            Some(3) => {}
            Some(_) => return Answer::NotTls,
            None => return Answer::Incomplete,
        }
        let Some(length) = reader.byte().and_then(|_| reader.word()) else {
            return Answer::Incomplete;
        };
        // RFC 8446 5.2 allows 2^14 + 256 bytes; TLS 1.2 some more.
        if length > 18_432 {
            return Answer::NotTls;
        }
        let available = reader.0.len();
        let content = reader.up_to(usize::from(length));
        match kind {
            21 => match content {
                // Warns that the name is unknown and goes on (RFC 6066 3).
                [1, 112] => continue,
                [level @ 1..=2, description, ..] => return Answer::Alert { level: *level, description: *description },
                [_, _, ..] => return Answer::NotTls,
                _ => return Answer::Incomplete,
            },
            22 => handshake.extend_from_slice(content),
            _ => return Answer::NotTls,
        }
        if let Some(answer) = server_hello(&handshake) {
            return answer;
        }
        if available < usize::from(length) {
            return Answer::Incomplete;
        }
    }
    Answer::Incomplete
}

/// The ServerHello in the handshake bytes so far; `None` asks for more.
fn server_hello(handshake: &[u8]) -> Option<Answer> {
    let mut reader = Reader(handshake);
    if reader.byte()? != 2 {
        return Some(Answer::NotTls);
    }
    let length = (usize::from(reader.byte()?) << 16) | usize::from(reader.word()?);
    if !(38..=18_432).contains(&length) {
        return Some(Answer::NotTls);
    }
    let mut body = Reader(reader.exactly(length)?);
    Some(hello_body(&mut body).unwrap_or(Answer::NotTls))
}

fn hello_body(body: &mut Reader<'_>) -> Option<Answer> {
    let mut version = body.word()?;
    let random = body.exactly(32)?;
    let session = body.byte()?;
    body.exactly(usize::from(session))?;
    let suite = body.word()?;
    body.byte()?;
    if let Some(length) = body.word() {
        let mut extensions = Reader(body.exactly(usize::from(length))?);
        while let Some(kind) = extensions.word() {
            let length = extensions.word()?;
            let content = extensions.exactly(usize::from(length))?;
            if kind == 43 {
                version = Reader(content).word()?;
            }
        }
    }
    if random == RETRY {
        return Some(Answer::HelloRetryRequest { suite });
    }
    Version::of(version).map(|version| Answer::ServerHello { version, suite })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn exactly(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn up_to(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> Option<u8> {
        self.exactly(1).and_then(|bytes| bytes.first().copied())
    }

    fn word(&mut self) -> Option<u16> {
        Some((u16::from(self.byte()?) << 8) | u16::from(self.byte()?))
    }
}

#[cfg(test)]
#[path = "tls_hello_tests.rs"]
mod tests;
