use super::super::tls_hello::{block8, block16, extension};
use super::*;

fn hello(version: u16, random: [u8; 32], suite: u16, selected: Option<u16>) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend(random);
    block8(&mut body, &[7; 32]);
    body.extend(suite.to_be_bytes());
    body.push(0);
    let mut extensions = Vec::new();
    extension(&mut extensions, 0xff01, &[0]);
    if let Some(selected) = selected {
        extension(&mut extensions, 43, &selected.to_be_bytes());
    }
    block16(&mut body, &extensions);
    let mut handshake = vec![2, 0];
    block16(&mut handshake, &body);
    handshake
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, 3, 3];
    block16(&mut out, content);
    out
}

#[test]
fn reads_a_server_hello() {
    let bytes = record(22, &hello(0x0302, [1; 32], 0x002f, None));
    assert_eq!(read_answer(&bytes), Answer::ServerHello { version: Version::Tls11, suite: 0x002f });
    let bytes = record(22, &hello(0x0303, [1; 32], 0x1301, Some(0x0304)));
    assert_eq!(read_answer(&bytes), Answer::ServerHello { version: Version::Tls13, suite: 0x1301 });
    let bytes = record(22, &hello(0x0303, RETRY, 0x1302, Some(0x0304)));
    assert_eq!(read_answer(&bytes), Answer::HelloRetryRequest { suite: 0x1302 });
}

#[test]
fn reads_a_server_hello_without_extensions() {
    let mut body = vec![3, 1];
    body.extend([1; 32]);
    body.extend([0, 0x00, 0x0a, 0]);
    let mut handshake = vec![2, 0];
    block16(&mut handshake, &body);
    assert_eq!(read_answer(&record(22, &handshake)), Answer::ServerHello { version: Version::Tls10, suite: 0x000a });
}

#[test]
fn reads_a_fragmented_server_hello_after_a_warning() {
    let whole = hello(0x0303, [1; 32], 0xc02f, None);
    let mut bytes = record(21, &[1, 112]);
    for part in whole.chunks(7) {
        bytes.extend(record(22, part));
    }
    assert_eq!(read_answer(&bytes), Answer::ServerHello { version: Version::Tls12, suite: 0xc02f });
}

#[test]
fn every_truncation_is_incomplete() {
    let bytes = record(22, &hello(0x0303, [1; 32], 0xc02f, None));
    assert_eq!(read_answer(&[]), Answer::Closed);
    for end in 1..bytes.len() {
        assert_eq!(read_answer(&bytes[..end]), Answer::Incomplete, "{end}");
    }
    let alert = record(21, &[2, 40]);
    for end in 1..alert.len() {
        assert_eq!(read_answer(&alert[..end]), Answer::Incomplete, "{end}");
    }
}

#[test]
fn reads_alerts_and_names_them() {
    let answer = read_answer(&record(21, &[2, 70]));
    assert_eq!(answer, Answer::Alert { level: 2, description: 70 });
    assert_eq!(answer.to_string(), "alert protocol_version(70)");
    assert_eq!(read_answer(&record(21, &[1, 0])), Answer::Alert { level: 1, description: 0 });
}

#[test]
fn other_protocols_are_not_tls() {
    for text in ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.7\r\n", "220 mail ESMTP\r\n", "\0\0\0\0"] {
        assert_eq!(read_answer(text.as_bytes()), Answer::NotTls, "{text}");
    }
    assert_eq!(read_answer(&record(23, &[0; 20])), Answer::NotTls);
    assert_eq!(read_answer(&record(22, &[11, 0, 0, 4, 0, 0, 0, 0])), Answer::NotTls);
}

#[test]
fn garbage_never_panics() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let good = record(22, &hello(0x0303, [1; 32], 0xc02f, Some(0x0304)));
    for round in 0..20_000 {
        let length = usize::try_from(next() % 200).unwrap();
        let mut bytes: Vec<u8> = (0..length).map(|_| next().to_le_bytes()[0]).collect();
        if round % 2 == 0 {
            bytes = good.clone();
            for _ in 0..3 {
                let at = usize::try_from(next()).unwrap_or(0) % bytes.len();
                bytes[at] = next().to_le_bytes()[0];
            }
        }
        let _ = read_answer(&bytes).to_string();
    }
}
