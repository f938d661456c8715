//! TLS 1.1 (RFC 4346) as far as a server's first flight: does the client go on?
//!
//! A client that refuses the version does so at the ServerHello, before it looks at anything else. One that takes it must find nothing
//! else to refuse, so suite, certificate and key exchange are right; the keys are never used, because the answer is all we want.

use std::io;

use aws_lc_rs::digest::{Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::rand::fill;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Mine;
use super::presented::{Chain, Presented};
use crate::wire::client_hello::{ClientHello, read_client_hello};
use crate::wire::tls_hello::{block16, extension};

/// Static RSA with AES or 3DES and SHA-1: no signature of the server is needed.
const STATIC_RSA: [u16; 3] = [0x002f, 0x0035, 0x000a];
/// ECDHE with ECDSA, AES and SHA-1.
const ECDHE_ECDSA: [u16; 2] = [0xc009, 0xc00a];

/// Answers a ClientHello with TLS 1.1 and notes what the client does.
pub(super) async fn answer(client: &mut TcpStream, hello: &[u8], presented: &Presented, mine: &Mine) -> io::Result<()> {
    let Some(offer) = read_client_hello(hello) else { return Ok(()) };
    client.write_all(&flight(&offer, presented).map_err(io::Error::other)?).await?;
    let mut head = [0; 5];
    client.read_exact(&mut head).await?;
    match head {
        // Two bytes, in clear as long as no ChangeCipherSpec came.
        [21, .., 0, 2] => {
            let mut alert = [0; 2];
            client.read_exact(&mut alert).await?;
            // A warning that the client would rather not, followed by a close, says the same.
            mine.note(|connection| connection.alert = Some(alert[1]));
        }
        [22, ..] => mine.note(|connection| connection.went_on = true),
        _ => {}
    }
    client.shutdown().await
}

/// ServerHello, Certificate, ServerKeyExchange where the suite wants one, ServerHelloDone; one record.
fn flight(offer: &ClientHello, presented: &Presented) -> Result<Vec<u8>, String> {
    let mut random = [0; 32];
    // No RFC 8446 4.1.3 sentinel stands at its end, so a TLS 1.3 client sees no downgrade by a third party.
    fill(&mut random).map_err(|_| "no random bytes")?;
    let find = |wanted: &[u16]| wanted.iter().copied().find(|suite| offer.suites.contains(suite));
    let (suite, ecdhe) = match (find(&STATIC_RSA), find(&ECDHE_ECDSA)) {
        (Some(suite), _) => (suite, false),
        (None, Some(suite)) => (suite, true),
        // Nothing of the offer fits TLS 1.1. The version comes first all the same; only a refusal of it will say something.
        (None, None) => (offer.suites12().first().map_or(0x002f, |suite| suite.code), false),
    };
    let name = offer.server_name.as_deref();
    let chain = if ecdhe { presented.ecdsa(name) } else { presented.rsa(name) }.map_err(|error| error.to_string())?;

    let mut messages = message(2, &server_hello(offer, &random, suite));
    messages.extend(message(11, &certificates(&chain)));
    if ecdhe {
        messages.extend(message(12, &key_exchange(&chain, &offer.random, &random)?));
    }
    messages.extend(message(14, &[]));
    let mut record = vec![22, 3, 2];
    block16(&mut record, &messages);
    Ok(record)
}

fn server_hello(offer: &ClientHello, random: &[u8; 32], suite: u16) -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend(random);
    body.push(0);
    body.extend(suite.to_be_bytes());
    body.push(0);
    let mut extensions = Vec::new();
    // Clients refuse servers without secure renegotiation (RFC 5746 3.4); its signalling value asks for the extension, too.
    if offer.extensions.contains(&0xff01) || offer.suites.contains(&0x00ff) {
        extension(&mut extensions, 0xff01, &[0]);
    }
    // Some insist on the extended master secret (RFC 7627 5.2).
    if offer.extensions.contains(&23) {
        extension(&mut extensions, 23, &[]);
    }
    if !extensions.is_empty() {
        block16(&mut body, &extensions);
    }
    body
}

fn certificates(chain: &Chain) -> Vec<u8> {
    let list: Vec<u8> = chain.0.iter().flat_map(|certificate| block24(certificate)).collect();
    block24(&list)
}

/// An ephemeral P-256 key, signed with ECDSA over SHA-1 (RFC 4492 5.4).
fn key_exchange(chain: &Chain, client_random: &[u8], server_random: &[u8; 32]) -> Result<Vec<u8>, String> {
    let fault = |what: &str| format!("no ServerKeyExchange: {what}");
    let ephemeral = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| fault("no key"))?;
    let point = ephemeral.public_key().as_ref();
    let length = u8::try_from(point.len()).map_err(|_| fault("odd key"))?;
    // named_curve secp256r1
    let params = [&[3, 0, 0x17, length], point].concat();
    let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[client_random, server_random, &params].concat());
    // The library signs no SHA-1. ECDSA takes a digest for a number, so zeros in front make it one of SHA-256's length.
    let mut padded = [0; 32];
    padded[12..].copy_from_slice(sha1.as_ref());
    let padded = Digest::import_less_safe(&padded, &SHA256).map_err(|_| fault("no digest"))?;
    let der = chain.1.serialize_der();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).map_err(|_| fault("odd key"))?;
    let signature = key.sign_digest(&padded).map_err(|_| fault("no signature"))?;
    let mut out = params;
    block16(&mut out, signature.as_ref());
    Ok(out)
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], block24(body).as_slice()].concat()
}

fn block24(bytes: &[u8]) -> Vec<u8> {
    let [.., a, b, c] = bytes.len().to_be_bytes();
    [&[a, b, c], bytes].concat()
}
