//! Servers for the tests of the probes, on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion, crypto};

/// A server that stops when it is dropped.
pub struct Server {
    pub at: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    pub fn leaf(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (Vec<u8>, Vec<u8>) {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().der().to_vec(), key.serialize_der())
    }
}

/// Completes handshakes and closes.
pub async fn tls(leaf: (Vec<u8>, Vec<u8>), versions: &[&'static SupportedProtocolVersion]) -> Server {
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(leaf.0)], PrivateKeyDer::try_from(leaf.1).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(tcp).await {
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    Server { at, task }
}

/// How a server answers whatever it is sent.
#[derive(Clone)]
pub enum Manner {
    /// Sends these bytes and closes.
    Says(Vec<u8>),
    /// Closes at once.
    Closes,
    /// Never says anything.
    Silent,
    /// Sends a byte of an endless answer now and then.
    Drips,
    /// Sends without end.
    Floods,
}

pub async fn raw(manner: Manner) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let manner = manner.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                match manner {
                    Manner::Closes => {}
                    Manner::Says(bytes) => {
                        let _ = tcp.read(&mut buffer).await;
                        let _ = tcp.write_all(&bytes).await;
                        let _ = tcp.shutdown().await;
                    }
                    Manner::Silent => while tcp.read(&mut buffer).await.is_ok_and(|count| count > 0) {},
                    Manner::Drips => {
                        let _ = tcp.write_all(&[22, 3, 3, 0x40, 0, 2, 0, 0x20, 0]).await;
                        while tcp.write_all(&[1]).await.is_ok() {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                    Manner::Floods => while tcp.write_all(&[b'H'; 4096]).await.is_ok() {},
                }
            });
        }
    });
    Server { at, task }
}

/// Bytes that look random, the same in every run.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}
