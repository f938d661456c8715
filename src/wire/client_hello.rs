//! What a client offers in its ClientHello (RFC 8446 4.1.2, RFC 5246 7.4.1.2).

use super::tls_hello::Version;
use super::tls_suites::{Suite, SuiteClass};

/// A ClientHello, read as far as it goes. GREASE (RFC 8701) is left out everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// `legacy_version`: the highest version before TLS 1.3. The version of the record around it says nothing.
    pub legacy_version: u16,
    /// The client random.
    pub random: Vec<u8>,
    /// Cipher suites offered, signalling values included, in the client's order.
    pub suites: Vec<u16>,
    /// Versions of the `supported_versions` extension; empty where it is missing.
    pub supported_versions: Vec<u16>,
    /// Name of the `server_name` extension.
    pub server_name: Option<String>,
    /// Extensions present, in order.
    pub extensions: Vec<u16>,
}

impl ClientHello {
    /// The hello lists its versions: nothing outside the list can be selected (RFC 8446 4.2.1).
    pub fn lists_versions(&self) -> bool {
        self.extensions.contains(&43)
    }

    /// Versions that the hello names, lowest first. Without the list, only the highest one is known.
    pub fn versions(&self) -> Vec<Version> {
        let named =
            if self.lists_versions() { self.supported_versions.as_slice() } else { std::slice::from_ref(&self.legacy_version) };
        let mut versions: Vec<Version> = named.iter().copied().filter_map(Version::of).collect();
        versions.sort_unstable();
        versions.dedup();
        versions
    }

    /// Suites of TLS 1.2 and before: no TLS 1.3 suites, no signalling values (RFC 5746 3.3, RFC 7507).
    pub fn suites12(&self) -> Vec<Suite> {
        let signal = |code: u16| matches!(code, 0x00ff | 0x5600);
        let tls13 = |code: u16| code >> 8 == 0x13;
        self.suites.iter().filter(|code| !signal(**code) && !tls13(**code)).map(|code| Suite::of(*code)).collect()
    }

    /// Suites of TLS 1.2 and before other than the four that RFC 9325 4.2 recommends.
    pub fn beyond_recommended(&self) -> Vec<Suite> {
        self.suites12().into_iter().filter(|suite| suite.class != SuiteClass::Recommended).collect()
    }
}

/// Does this code look like GREASE: 0x0a0a, 0x1a1a … 0xfafa?
fn grease(code: u16) -> bool {
    code & 0x0f0f == 0x0a0a && code >> 8 == code & 0xff
}

/// How much of a ClientHello has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// All of it: its records end after this many bytes.
    All(usize),
    /// More must come.
    Part,
    /// These bytes do not begin a ClientHello.
    Other,
}

/// Tells whether the bytes hold a whole ClientHello in its records.
pub fn arrived(bytes: &[u8]) -> Arrived {
    match handshake(bytes) {
        None => Arrived::Other,
        Some((message, _)) if message.first().is_some_and(|kind| *kind != 1) => Arrived::Other,
        Some((message, used)) => match length(&message) {
            Some(wanted) if message.len() >= wanted => Arrived::All(used),
            _ => Arrived::Part,
        },
    }
}

/// Reads a ClientHello from the bytes of its records; `None` where they are something else or break off before the suites.
pub fn read_client_hello(bytes: &[u8]) -> Option<ClientHello> {
    let (message, _) = handshake(bytes)?;
    let mut reader = Reader(message.get(4..)?);
    if message.first() != Some(&1) {
        return None;
    }
    let legacy_version = reader.word()?;
    let random = reader.exactly(32)?.to_vec();
    let session = reader.byte()?;
    reader.exactly(usize::from(session))?;
    let suites = reader.block16()?;
    let mut hello = ClientHello { legacy_version, random, suites: words(suites), ..ClientHello::default() };
    let compression = reader.byte().map_or(0, usize::from);
    let _ = reader.exactly(compression);
    let mut extensions = Reader(reader.block16().unwrap_or_default());
    while let (Some(kind), Some(content)) = (extensions.word(), extensions.block16()) {
        if grease(kind) {
            continue;
        }
        hello.extensions.push(kind);
        let mut content = Reader(content);
        match kind {
            // A list of one name of type host_name (RFC 6066 3).
            0 => {
                let name = content.word().and_then(|_| content.byte()).filter(|kind| *kind == 0).and_then(|_| content.block16());
                hello.server_name = name.and_then(|name| String::from_utf8(name.to_vec()).ok());
            }
            43 => {
                let length = content.byte().map_or(0, usize::from);
                hello.supported_versions = words(content.exactly(length).unwrap_or_default());
            }
            _ => {}
        }
    }
    Some(hello)
}

/// The handshake bytes of the leading handshake records and how many bytes those records take; `None` for anything else.
fn handshake(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut out, mut used) = (Vec::new(), 0);
    let mut reader = Reader(bytes);
    while let Some(kind) = reader.byte() {
        if kind != 22 {
            return (used > 0).then_some((out, used));
        }
        if reader.0.first().is_some_and(|major| *major != 3) {
            return None;
        }
        let Some(length) = reader.word().and_then(|_| reader.word()) else { break };
        let length = usize::from(length);
        let Some(content) = reader.exactly(length) else {
            out.extend_from_slice(reader.0);
            break;
        };
        out.extend_from_slice(content);
        used += 5 + length;
        if self::length(&out).is_some_and(|wanted| out.len() >= wanted) {
            break;
        }
    }
    Some((out, used))
}

/// Length of a handshake message with its head, as the head says.
fn length(message: &[u8]) -> Option<usize> {
    let [_, a, b, c, ..] = message else { return None };
    Some(4 + ((usize::from(*a) << 16) | (usize::from(*b) << 8) | usize::from(*c)))
}

fn words(bytes: &[u8]) -> Vec<u16> {
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_be_bytes(*pair)).filter(|code| !grease(*code)).collect()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn exactly(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.exactly(1).and_then(|bytes| bytes.first().copied())
    }

    fn word(&mut self) -> Option<u16> {
        Some((u16::from(self.byte()?) << 8) | u16::from(self.byte()?))
    }

    fn block16(&mut self) -> Option<&'a [u8]> {
        let length = self.word()?;
        self.exactly(usize::from(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tls_hello::{HelloSpec, client_hello};

    fn hello(version: Version, suites: &[u16], host: Option<&str>) -> Vec<u8> {
        let mut spec = HelloSpec::new(version, suites.to_vec());
        spec.host = host.map(str::to_owned);
        client_hello(&spec)
    }

    #[test]
    fn versions_suites_and_name_are_read() {
        let read = read_client_hello(&hello(Version::Tls13, &[0x1301, 0x2a2a, 0xc02f, 0x00ff, 0xc013], Some("op.test"))).unwrap();
        assert_eq!(read.server_name.as_deref(), Some("op.test"));
        assert_eq!((read.legacy_version, read.lists_versions()), (0x0303, true));
        assert_eq!(read.versions(), [Version::Tls13]);
        assert_eq!(read.suites, [0x1301, 0xc02f, 0x00ff, 0xc013], "GREASE is left out");
        let names: Vec<String> = read.beyond_recommended().into_iter().map(|suite| suite.name).collect();
        assert_eq!(names, ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"]);
    }

    #[test]
    fn without_the_list_only_the_highest_version_is_known() {
        let read = read_client_hello(&hello(Version::Tls12, &[0xc02f], None)).unwrap();
        assert!(!read.lists_versions());
        assert_eq!(read.versions(), [Version::Tls12]);
        assert_eq!(read_client_hello(&hello(Version::Ssl3, &[5], None)).unwrap().versions(), [Version::Ssl3]);
    }

    #[test]
    fn every_beginning_is_part_of_it_and_split_records_are_joined() {
        let whole = hello(Version::Tls13, &[0x1301], Some("op.test"));
        for cut in 0..whole.len() {
            assert_eq!(arrived(&whole[..cut]), Arrived::Part, "{cut}");
            let _ = read_client_hello(&whole[..cut]);
        }
        assert_eq!(arrived(&whole), Arrived::All(whole.len()));
        let (one, two) = whole[5..].split_at(40);
        let record = |part: &[u8]| [&[22, 3, 1, 0, u8::try_from(part.len()).unwrap()], part].concat();
        let split = [record(one), record(two), vec![23, 3, 3]].concat();
        assert_eq!(arrived(&split), Arrived::All(split.len() - 3));
        assert_eq!(read_client_hello(&split), read_client_hello(&whole));
    }

    #[test]
    fn anything_else_is_no_hello() {
        for other in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[21, 3, 1, 0, 2, 2, 40], &[22, 3, 1, 0, 4, 2, 0, 0, 0], &[22, 9]] {
            assert_eq!(arrived(other), Arrived::Other, "{other:?}");
            assert_eq!(read_client_hello(other), None);
        }
        assert_eq!(arrived(&[]), Arrived::Part);
    }
}
