//! Obsolete TLS, as a defect: the TLS library offers nothing old, so a ClientHello that asks for it is answered by hand.
//!
//! Such a client hears a ServerHello that selects what it asked for, and then the end: enough to see that it was accepted.

use std::sync::Arc;

use crate::counterpart::twist::Twist;
use crate::stage::listener::FirstBytes;

const TLS_1_1: u16 = 0x0302;
const TLS_1_2: u16 = 0x0303;
const RSA_3DES: u16 = 0x000a;
const RSA_AES_128_CBC_SHA: u16 = 0x002f;
/// The suites of RFC 9325 4.2; a client that offers one of them gets that.
const RECOMMENDED: [u16; 4] = [0xc02b, 0xc02c, 0xc02f, 0xc030];

/// The parts of a ClientHello that decide.
#[derive(Debug, Default, PartialEq)]
struct Hello {
    /// The highest version it offers.
    version: u16,
    suites: Vec<u16>,
    name: String,
}

/// What answers in place of the TLS library; `None` without such a defect.
pub fn obsolete_server(twists: &[Twist], host: &str, api_host: &str) -> Option<FirstBytes> {
    let rules: Vec<(Twist, String)> =
        [(Twist::Tls12Minimum, host), (Twist::Tls12CiphersBackchannel, api_host), (Twist::Tls12CiphersBrowser, host)]
            .into_iter()
            .filter(|(twist, _)| twists.contains(twist))
            .map(|(twist, host)| (twist, host.to_owned()))
            .collect();
    if rules.is_empty() {
        return None;
    }
    Some(Arc::new(move |bytes| {
        let hello = read(bytes)?;
        let (twist, _) = rules.iter().find(|(_, host)| hello.name == *host)?;
        answer(*twist, &hello)
    }))
}

fn answer(twist: Twist, hello: &Hello) -> Option<Vec<u8>> {
    let modern = hello.suites.iter().any(|suite| RECOMMENDED.contains(suite));
    let offers = |suite: u16| hello.suites.contains(&suite);
    match twist {
        // Signalling values (0x00ff, 0x5600) are no suites, and 0x1301 to 0x1305 belong to TLS 1.3.
        Twist::Tls12Minimum if hello.version == TLS_1_1 => {
            let suite = hello.suites.iter().find(|suite| !matches!(**suite, 0x00ff | 0x5600 | 0x1301..=0x1305))?;
            Some(server_hello(TLS_1_1, *suite))
        }
        Twist::Tls12CiphersBackchannel if hello.version == TLS_1_2 && !modern && offers(RSA_AES_128_CBC_SHA) => {
            Some(server_hello(TLS_1_2, RSA_AES_128_CBC_SHA))
        }
        Twist::Tls12CiphersBrowser if hello.version == TLS_1_2 && !modern && offers(RSA_3DES) => {
            Some(server_hello(TLS_1_2, RSA_3DES))
        }
        _ => None,
    }
}

/// A record with a ServerHello (RFC 5246 7.4.1.3) without session id and extensions.
fn server_hello(version: u16, suite: u16) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    let mut random = [0; 32];
    // Nobody computes with it; zeros would do as well.
    let _ = aws_lc_rs::rand::fill(&mut random);
    body.extend(random);
    body.push(0);
    body.extend(suite.to_be_bytes());
    body.push(0);
    let len = body.len() as u16;
    let mut record = vec![22];
    record.extend(version.to_be_bytes());
    record.extend((len + 4).to_be_bytes());
    record.extend([2, 0]);
    record.extend(len.to_be_bytes());
    record.extend(body);
    record
}

/// Reads a ClientHello (RFC 5246 7.4.1.2); `None` for anything else, also for one that is cut off.
fn read(bytes: &[u8]) -> Option<Hello> {
    let mut at = Reader(bytes);
    if at.byte()? != 22 {
        return None;
    }
    at.take(4)?;
    if at.byte()? != 1 {
        return None;
    }
    at.take(3)?;
    let mut hello = Hello { version: at.word()?, ..Hello::default() };
    at.take(32)?;
    let session = at.byte()?;
    at.take(usize::from(session))?;
    let suites = at.word()?;
    hello.suites = at.take(usize::from(suites))?.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let compressions = at.byte()?;
    at.take(usize::from(compressions))?;
    let Some(total) = at.word() else { return Some(hello) };
    let mut extensions = Reader(at.take(usize::from(total))?);
    while let (Some(kind), Some(len)) = (extensions.word(), extensions.word()) {
        let content = extensions.take(usize::from(len))?;
        match kind {
            // server_name: list length, type, name length, name (RFC 6066 3).
            0 => hello.name = String::from_utf8_lossy(content.get(5..).unwrap_or_default()).into_owned(),
            // supported_versions (RFC 8446 4.2.1); values of GREASE (RFC 8701) are no versions.
            43 => {
                let versions =
                    content.get(1..).unwrap_or_default().chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
                hello.version = versions.filter(|version| version & 0x0f0f != 0x0a0a).max().unwrap_or(hello.version);
            }
            _ => {}
        }
    }
    Some(hello)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn word(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }
}

/// A ClientHello record, for tests.
#[cfg(test)]
pub fn client_hello(version: u16, suites: &[u16], name: &str) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend((suites.len() as u16 * 2).to_be_bytes());
    suites.iter().for_each(|suite| body.extend(suite.to_be_bytes()));
    body.extend([1, 0]);
    let len = name.len() as u16;
    let mut sni = vec![0, 0];
    sni.extend((len + 5).to_be_bytes());
    sni.extend((len + 3).to_be_bytes());
    sni.push(0);
    sni.extend(len.to_be_bytes());
    sni.extend(name.bytes());
    body.extend((sni.len() as u16).to_be_bytes());
    body.extend(sni);
    let mut record = vec![22, 3, 1];
    record.extend((body.len() as u16 + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend((body.len() as u16).to_be_bytes());
    record.extend(body);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_defect_answers_only_what_it_is_about() {
        let old = client_hello(TLS_1_1, &[0x00ff, 0xc013], "idp.test");
        let triple = client_hello(TLS_1_2, &[RSA_3DES], "idp.test");
        let cbc = client_hello(TLS_1_2, &[RSA_AES_128_CBC_SHA], "api.idp.test");
        let modern = client_hello(TLS_1_2, &[0xc02b, RSA_3DES, RSA_AES_128_CBC_SHA], "idp.test");
        let answers = |twist, bytes: &[u8]| obsolete_server(&[twist], "idp.test", "api.idp.test").unwrap()(bytes);
        let table = [
            (Twist::Tls12Minimum, [true, false, false, false]),
            (Twist::Tls12CiphersBrowser, [false, true, false, false]),
            (Twist::Tls12CiphersBackchannel, [false, false, true, false]),
        ];
        for (twist, expected) in table {
            let seen = [&old, &triple, &cbc, &modern].map(|bytes| answers(twist, bytes).is_some());
            assert_eq!(seen, expected, "{twist:?}");
        }
        let hello = answers(Twist::Tls12Minimum, &old).unwrap();
        assert_eq!((&hello[..3], &hello[9..11], hello.len()), (&[22, 3, 2][..], &[3, 2][..], 5 + 4 + 38));
        assert_eq!(&hello[44..46], &[0xc0, 0x13], "the first real suite");
        assert!(obsolete_server(&[], "idp.test", "api.idp.test").is_none());
    }

    #[test]
    fn cut_off_and_foreign_bytes_are_nothing() {
        let whole = client_hello(TLS_1_1, &[0xc013], "idp.test");
        for len in 0..whole.len() {
            let _ = read(&whole[..len]);
        }
        assert_eq!(read(b"GET / HTTP/1.1\r\n"), None);
    }
}
