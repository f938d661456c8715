//! The certificates of each face, made when first asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{KeyPair, PKCS_RSA_SHA256, date_time_ymd};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::super::listener::{ListenFault, TestCa, certified, leaf_params};
use super::Face;

/// The host of [`Face::WrongName`].
const ANOTHER: &str = "another-host.example";
/// Names for which certificates are kept; whoever asks for more of them is not the application.
const NAMES: usize = 256;

/// A chain in DER, leaf first, and its key.
pub(super) type Chain = (Vec<CertificateDer<'static>>, KeyPair);

/// What there is to present.
pub(super) struct Presented {
    ca: Arc<TestCa>,
    stranger: TestCa,
    host: String,
    made: Mutex<HashMap<(Face, String), Arc<CertifiedKey>>>,
    rsa: OnceLock<Arc<Chain>>,
    ecdsa: OnceLock<Arc<Chain>>,
}

impl Presented {
    pub(super) fn new(ca: Arc<TestCa>, host: String) -> Result<Presented, ListenFault> {
        let presented = Presented {
            ca,
            stranger: TestCa::new("an authority nobody knows")?,
            host,
            made: Mutex::default(),
            rsa: OnceLock::new(),
            ecdsa: OnceLock::new(),
        };
        presented.certificate(Face::Good, &presented.host)?;
        Ok(presented)
    }

    /// How TLS is spoken with this face.
    pub(super) fn config(self: &Arc<Self>, face: Face) -> Arc<ServerConfig> {
        let resolver = Resolver { face, presented: self.clone() };
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// The certificate of a face for a name.
    fn certificate(&self, face: Face, name: &str) -> Result<Arc<CertifiedKey>, rcgen::Error> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = (face, name.to_owned());
        if let Some(known) = made.get(&wanted) {
            return Ok(known.clone());
        }
        let names = std::slice::from_ref(&wanted.1);
        let certificate = match face {
            Face::Good | Face::Tls11 => self.ca.leaf(names)?,
            Face::UnknownCa => self.stranger.leaf(names)?,
            Face::WrongName => self.ca.leaf(&[ANOTHER.to_owned()])?,
            Face::Expired => {
                let key = KeyPair::generate()?;
                let (begin, end) = (days_ago(90), days_ago(2));
                let chain = self.ca.leaf_with(names, &key, |params| {
                    params.not_before = date_time_ymd(begin.0, begin.1, begin.2);
                    params.not_after = date_time_ymd(end.0, end.1, end.2);
                })?;
                certified(chain, &key)?
            }
            Face::SelfSigned => {
                let key = KeyPair::generate()?;
                certified(vec![leaf_params(names)?.self_signed(&key)?.der().clone()], &key)?
            }
        };
        if made.len() >= NAMES {
            made.clear();
        }
        made.insert(wanted, certificate.clone());
        Ok(certificate)
    }

    /// A good chain with an RSA key for TLS 1.1; nobody ever decrypts with the key.
    pub(super) fn rsa(&self, name: Option<&str>) -> Result<Arc<Chain>, rcgen::Error> {
        self.chain(&self.rsa, name, || KeyPair::generate_for(&PKCS_RSA_SHA256))
    }

    /// A good chain with a P-256 key for TLS 1.1.
    pub(super) fn ecdsa(&self, name: Option<&str>) -> Result<Arc<Chain>, rcgen::Error> {
        self.chain(&self.ecdsa, name, KeyPair::generate)
    }

    fn chain(
        &self,
        kept: &OnceLock<Arc<Chain>>,
        name: Option<&str>,
        key: impl FnOnce() -> Result<KeyPair, rcgen::Error>,
    ) -> Result<Arc<Chain>, rcgen::Error> {
        if let Some(chain) = kept.get() {
            return Ok(chain.clone());
        }
        let mut names = vec![self.host.clone()];
        names.extend(name.filter(|name| *name != self.host).map(str::to_owned));
        let key = key()?;
        let chain = self.ca.leaf_with(&names, &key, |_| {})?;
        Ok(kept.get_or_init(|| Arc::new((chain, key))).clone())
    }
}

/// A day in the past, as year, month, day in UTC.
fn days_ago(days: i64) -> (i32, u8, u8) {
    let date = (Timestamp::now() - (days * 24).hours()).to_zoned(TimeZone::UTC).date();
    (i32::from(date.year()), u8::try_from(date.month()).unwrap_or(1), u8::try_from(date.day()).unwrap_or(1))
}

struct Resolver {
    face: Face,
    presented: Arc<Presented>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Resolver").field(&self.face).finish()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or(&self.presented.host);
        self.presented.certificate(self.face, name).ok()
    }
}
