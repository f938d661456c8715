//! Where a host name leads: the overrides of the target file first, then the system's resolver.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

/// Overrides of name resolution. Keys are `host:port`, `host`, or `*.domain` (every name below it), values are `address:port`; the most
/// exact key wins. Names compare without case.
#[derive(Clone, Debug, Default)]
pub struct Resolve {
    overrides: BTreeMap<String, SocketAddr>,
}

impl Resolve {
    /// From the `network.resolve` table of a target file and further pairs, which win.
    ///
    /// # Errors
    /// A value is not `address:port`; the text names its key.
    pub fn new<'a>(
        table: &BTreeMap<String, String>,
        more: impl IntoIterator<Item = (&'a str, SocketAddr)>,
    ) -> Result<Resolve, String> {
        let mut overrides = BTreeMap::new();
        for (key, value) in table {
            let address = value.parse().map_err(|_| {
                format!("network.resolve.\"{key}\": `{value}` is not an address with a port, like `127.0.0.1:8443`")
            })?;
            overrides.insert(key.to_ascii_lowercase(), address);
        }
        for (key, address) in more {
            overrides.insert(key.to_ascii_lowercase(), address);
        }
        Ok(Resolve { overrides })
    }

    /// The override for this host and port.
    pub fn overridden(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if let Some(address) = self.overrides.get(&format!("{host}:{port}")).or_else(|| self.overrides.get(&host)) {
            return Some(*address);
        }
        let mut rest = host.as_str();
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(address) = self.overrides.get(&format!("*.{parent}")) {
                return Some(*address);
            }
            rest = parent;
        }
        None
    }

    /// Where this host and port are: the override, the address itself, or what the system says, in its order of preference.
    ///
    /// # Errors
    /// The name has no address.
    pub async fn addrs(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Some(address) = self.overridden(host, port) {
            return Ok(vec![address]);
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found: Vec<SocketAddr> = tokio::net::lookup_host((bare, port)).await?.collect();
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address")));
        }
        Ok(found)
    }

    /// The first of [`Resolve::addrs`].
    ///
    /// # Errors
    /// The name has no address.
    pub async fn addr(&self, host: &str, port: u16) -> io::Result<SocketAddr> {
        let found = self.addrs(host, port).await?;
        found.into_iter().next().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Connects to the first address that answers; many names have an IPv6 address first that nobody listens on.
    ///
    /// # Errors
    /// The name has no address, or no address takes the connection; then the last one's error.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        TcpStream::connect(self.addrs(host, port).await?.as_slice()).await
    }
}

/// For HTTP clients. reqwest asks by name only, so a `host:port` key for port 443 or 80 counts where the bare name has none, and where the
/// URL names a port that port is taken instead of the override's (see `reqwest::dns::Resolve`): an override of `host:8443` to another port
/// works for the probes here, not for such a client.
impl reqwest::dns::Resolve for Resolve {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let host = name.as_str().to_owned();
        let found = self.overridden(&host, 443).or_else(|| self.overridden(&host, 80)).or_else(|| self.any_port(&host));
        Box::pin(async move {
            if let Some(address) = found {
                return Ok(Box::new(std::iter::once(address)) as reqwest::dns::Addrs);
            }
            // Port 0 stands for the port of the URL.
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

impl Resolve {
    fn any_port(&self, host: &str) -> Option<SocketAddr> {
        let prefix = format!("{}:", host.to_ascii_lowercase());
        self.overrides.iter().find(|(key, _)| key.starts_with(&prefix)).map(|(_, address)| *address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> BTreeMap<String, String> {
        [("idp.example", "127.0.0.1:1"), ("idp.example:8443", "127.0.0.1:2"), ("*.suite.test", "127.0.0.1:3")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn the_most_exact_key_wins() {
        let resolve = Resolve::new(&table(), [("rp.suite.test", "127.0.0.1:4".parse().unwrap())]).unwrap();
        let port = |host: &str, port: u16| resolve.overridden(host, port).map(|address| address.port());
        assert_eq!(port("IDP.example", 443), Some(1));
        assert_eq!(port("idp.example.", 8443), Some(2));
        assert_eq!(port("a.b.suite.test", 443), Some(3));
        assert_eq!(port("rp.suite.test", 443), Some(4));
        assert_eq!(port("suite.test", 443), None);
        assert_eq!(port("other.example", 443), None);
    }

    #[test]
    fn a_wrong_value_names_its_key() {
        let table = [("idp.example".to_owned(), "localhost".to_owned())].into();
        assert!(Resolve::new(&table, []).unwrap_err().contains("idp.example"));
    }

    #[tokio::test]
    async fn localhost_is_reached_whatever_its_first_address_is() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(Resolve::default().connect("localhost", port).await.is_ok());
    }

    #[tokio::test]
    async fn addresses_resolve_to_themselves() {
        let resolve = Resolve::default();
        assert_eq!(resolve.addr("127.0.0.1", 7).await.unwrap().to_string(), "127.0.0.1:7");
        assert_eq!(resolve.addr("[::1]", 7).await.unwrap().to_string(), "[::1]:7");
    }

    /// Which port a client connects to: the override's, unless the URL names one.
    #[tokio::test]
    async fn a_port_in_the_url_beats_the_override() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let spare = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let resolve = Resolve::new(&BTreeMap::new(), [("idp.example", there)]).unwrap();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(config())
            .dns_resolver(std::sync::Arc::new(resolve))
            .build()
            .unwrap();
        let ask = client.get("http://idp.example/").send();
        let accept = listener.accept();
        tokio::select! {
            _ = ask => panic!("nothing listened"),
            accepted = accept => drop(accepted.unwrap()),
        }
        let url = format!("http://idp.example:{}/", spare.port());
        assert!(client.get(url).send().await.unwrap_err().is_connect());
    }

    fn config() -> tokio_rustls::rustls::ClientConfig {
        let provider = std::sync::Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(tokio_rustls::rustls::RootCertStore::empty())
            .with_no_client_auth()
    }
}
