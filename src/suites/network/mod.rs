//! The network layer of a target, whatever its role: TLS by our own ClientHello, certificates, clear text, DNSSEC, HSTS.

pub mod hsts;
pub mod judge;
#[cfg(test)]
pub mod tests;

use std::future::Future;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::counterpart::authorize::path_of;
use crate::counterpart::token::http_date;
use crate::stage::Stage;
use crate::stage::cert::{CertReport, Trust};
use crate::stage::dns::DnsReport;
use crate::stage::http::Reply;
use crate::stage::plain::{PlainAnswer, PlainReport, PlainRequest};
use crate::stage::raw::Probing;
use crate::stage::tls::TlsScan;
use crate::suite::Obstacle;

/// What one host and port showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HostSeen {
    /// Host name.
    pub host: String,
    /// Port of its endpoints.
    pub port: u16,
    /// Endpoints that stand on it, by the names of metadata or target file.
    pub endpoints: Vec<String>,
    /// Browsers go there.
    pub browser: bool,
    /// Only the back channel goes there, or also.
    pub back_channel: bool,
    /// The scan.
    pub tls: TlsScan,
    /// The certificate.
    pub cert: CertReport,
    /// Requests in clear: what was sent, what came.
    pub plain: Vec<(String, PlainSeen)>,
    /// DNSSEC.
    pub dns: DnsReport,
}

/// A request in clear, with what the judge needs of the body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlainSeen {
    /// Port.
    pub port: u16,
    /// The answer.
    pub report: PlainReport,
    /// The endpoint did its work, as far as can be seen.
    pub processed: bool,
    /// What it did; with `processed` false, why that is in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
}

/// A host and port with its endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Host name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Names and URLs of the endpoints.
    pub endpoints: Vec<(String, String)>,
}

/// The places of these endpoints that are https URLs.
pub fn places<'a>(endpoints: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Place> {
    let mut out: Vec<Place> = Vec::new();
    for (name, url) in endpoints {
        let Ok(parsed) = Url::parse(url) else { continue };
        let (Some(host), Some(port)) = (parsed.host_str(), parsed.port_or_known_default()) else { continue };
        if parsed.scheme() != "https" {
            continue;
        }
        let entry = (name.to_owned(), url.to_owned());
        match out.iter_mut().find(|place| place.host == host && place.port == port) {
            Some(place) => place.endpoints.push(entry),
            None => out.push(Place { host: host.to_owned(), port, endpoints: vec![entry] }),
        }
    }
    out
}

/// Looks at all places at once. `browser` says of an endpoint's name whether browsers go there; `in_clear` sends the request that shows
/// whether an endpoint (name, URL) works in clear at this port.
pub async fn look<'a, F>(
    stage: &'a Stage,
    places: Vec<Place>,
    browser: impl Fn(&str) -> bool,
    in_clear: impl Fn(Asked) -> F,
) -> Result<Vec<HostSeen>, Obstacle>
where
    F: Future<Output = PlainSeen> + 'a,
{
    let world = &stage.world;
    let probing = Probing::new(&world.resolve, &world.recorder, stage.scenario);
    let trust = Trust::new(&world.roots).map_err(Obstacle::suite)?;
    let pairs: Vec<(String, u16)> = places.iter().map(|place| (place.host.clone(), place.port)).collect();
    let scans = probing.tls_scan_all(&pairs);
    let rest = futures_util::future::join_all(places.iter().map(|Place { host, port, endpoints }| {
        let (probing, trust, in_clear) = (&probing, &trust, &in_clear);
        async move {
            let cert = probing.cert(host, *port, trust).await;
            let dns = probing.dns(host, world.target.network.resolver.as_deref()).await;
            let mut plain = Vec::new();
            for (name, url) in endpoints {
                for at in [world.target.network.http_port, *port] {
                    let asked = Asked { name: name.clone(), url: url.clone(), host: host.clone(), port: at };
                    plain.push((name.clone(), in_clear(asked).await));
                }
            }
            (cert, dns, plain)
        }
    }));
    let (scans, rest) = futures_util::future::join(scans, rest).await;
    let seen = places.into_iter().zip(scans).zip(rest).map(|((place, tls), (cert, dns, plain))| HostSeen {
        browser: place.endpoints.iter().any(|(name, _)| browser(name)),
        back_channel: place.endpoints.iter().any(|(name, _)| !browser(name)),
        endpoints: place.endpoints.into_iter().map(|(name, _)| name).collect(),
        host: place.host,
        port: place.port,
        tls,
        cert,
        plain,
        dns,
    });
    Ok(seen.collect())
}

/// An endpoint that is to be asked in clear.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The endpoint's name.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// Its host.
    pub host: String,
    /// The port to ask at.
    pub port: u16,
}

/// What an endpoint did with a request in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing of the protocol.
    None,
    /// It is not clear whether it did its work; says why.
    Doubtful(String),
    /// Its work, in words, which may be empty.
    Done(String),
}

/// A request for an endpoint in clear.
#[derive(Clone, Debug, Default)]
pub struct ClearRequest {
    /// Path and query.
    pub target: String,
    /// Form of a POST; empty for a GET.
    pub form: String,
}

impl Asked {
    /// The URL's path.
    pub fn path(&self) -> String {
        Url::parse(&self.url).map(|url| url.path().to_owned()).unwrap_or_default()
    }

    /// Sends the request; `work` says of status, header and body what the endpoint did.
    pub async fn send(&self, stage: &Stage, request: &ClearRequest, work: impl FnOnce(&PlainAnswer) -> Work) -> PlainSeen {
        let probing = Probing::new(&stage.world.resolve, &stage.world.recorder, stage.scenario);
        let method = if request.form.is_empty() { "GET" } else { "POST" };
        let step = format!("{} in clear on port {}", self.name, self.port);
        let plain = PlainRequest { method, target: &request.target, form: &request.form };
        let mut report = probing.plain(&self.host, self.port, &plain, &step).await;
        let (processed, what) = match work(&report.answer) {
            Work::None => (false, None),
            Work::Doubtful(what) => (false, Some(what)),
            Work::Done(what) => (true, Some(what).filter(|what| !what.is_empty())),
        };
        // The judge looks at where a redirect leads; everything else of the head stays in the redacted evidence.
        if let PlainAnswer::Http { headers, .. } = &mut report.answer {
            headers.retain(|(name, _)| name == "location");
            for (_, location) in headers {
                *location = path_of(location).to_owned();
            }
        }
        PlainSeen { port: self.port, report, processed, what }
    }
}

/// Is this the JSON of an OAuth error, or (with `members`) a JSON document of the protocol? A gateway's own JSON page has an `error`
/// member, too, so the names of the errors decide.
pub fn protocol_json(answer: &PlainAnswer, members: &[&str]) -> bool {
    const ERRORS: [&str; 8] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_token",
        "access_denied",
    ];
    let PlainAnswer::Http { status, body, .. } = answer else { return false };
    let text = String::from_utf8_lossy(body);
    let quoted = |name: &str| text.contains(&format!("\"{name}\""));
    answer.header("content-type").is_some_and(|kind| kind.contains("json"))
        && (ERRORS.iter().any(|name| quoted(name)) || (*status == 200 && members.iter().any(|name| quoted(name))))
}

/// Seconds between the target's `Date` and the suite's clock.
pub fn clock_off(reply: &Reply) -> Option<i64> {
    http_date(reply.header("date")?).map(|date| date - Timestamp::now().as_second())
}
