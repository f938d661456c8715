//! The first answer to a ClientHello, however broken.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::tls_hello::Version;

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
#[path = "tls_answer_tests.rs"]
mod tests;
