//! What `doctor` sees of the target over the network: names, connections, certificates, metadata, clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::doctor::Findings;
use crate::counterpart::token::http_date;
use crate::error::Error;
use crate::model::target::Target;
use crate::set_stage::{discover, roots};
use crate::stage::cert::{CertProblem, Trust};
use crate::stage::http::Http;
use crate::stage::raw::Probing;
use crate::stage::recorder::Recorder;
use crate::stage::resolve::Resolve;
use crate::stage::world::Discovery;

/// Days before a certificate's end that are worth a word.
const SOON_DAYS: i64 = 14;

/// Client, resolver and trust, as a run has them.
pub struct Network {
    resolve: Resolve,
    recorder: Arc<Recorder>,
    /// The client.
    pub http: Http,
    trust: Trust,
}

/// As the target file says; `None` for a target that is no identity service.
///
/// # Errors
/// `network` of the target file is wrong.
pub fn network_of(target: &Target) -> Result<Option<Network>, Error> {
    if target.idp.is_none() {
        return Ok(None);
    }
    network(target).map(Some)
}

/// As the target file says.
///
/// # Errors
/// `network` of the target file is wrong.
pub fn network(target: &Target) -> Result<Network, Error> {
    let resolve =
        Resolve::new(&target.network.resolve, []).map_err(|message| Error::usage(message, "Mend [network.resolve]."))?;
    let roots = roots(target)?;
    let recorder = Arc::new(Recorder::default());
    let http = Http::new(&target.network, &resolve, &roots, recorder.clone())
        .map_err(|error| Error::prerequisite(format!("the HTTP client cannot be made: {error}"), "Check network.ca_file."))?;
    let trust = Trust::new(&roots).map_err(|message| Error::usage(message, "Check network.ca_file."))?;
    Ok(Network { resolve, recorder, http, trust })
}

/// The issuer's host, the metadata, every host it names, and the clock; true when the metadata could be read.
pub async fn metadata(network: &Network, target: &Target, findings: &mut Findings) -> bool {
    let issuer = target.idp.as_ref().map(|idp| idp.issuer.clone()).unwrap_or_default();
    let mut seen = BTreeSet::new();
    if let Some(place) = place_of(&issuer) {
        seen.insert(place.clone());
        if !host(network, &place, findings).await {
            return false;
        }
    }
    let discovery = match discover(&network.http, &issuer).await {
        Ok(discovery) => discovery,
        Err(error) => {
            let remedy = miette::Diagnostic::help(&error).map(|help| help.to_string()).unwrap_or_default();
            findings.problem(&error.to_string(), &remedy);
            return false;
        }
    };
    let Some(reply) = discovery.reply.as_ref() else { return false };
    if discovery.document.is_null() {
        findings.problem(
            &format!("metadata: {} {} is no discovery document", reply.status, reply.media_type()),
            "Check idp.issuer: it is the identifier that clients are given, with its path.",
        );
        return false;
    }
    let named = discovery.get("issuer").unwrap_or_default();
    if named == issuer {
        findings.ok(&format!("metadata of {issuer}: read"));
    } else {
        findings.advice(
            &format!("the metadata names the issuer `{named}`, the target file `{issuer}`"),
            "Write it exactly as clients are given it; a run fails sl1.idp.discovery-issuer-match otherwise.",
        );
    }
    clock(reply.header("date"), findings);
    for place in places(&discovery) {
        if seen.insert(place.clone()) {
            host(network, &place, findings).await;
        }
    }
    true
}

/// Host and port of an https URL.
pub fn place_of(url: &str) -> Option<(String, u16)> {
    let url = url::Url::parse(url).ok().filter(|url| url.scheme() == "https")?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}

fn places(discovery: &Discovery) -> BTreeSet<(String, u16)> {
    let members = discovery.document.as_object().into_iter().flatten();
    let named = |name: &str| name.ends_with("_endpoint") || name == "jwks_uri";
    members.filter(|(name, _)| named(name)).filter_map(|(_, value)| place_of(value.as_str()?)).collect()
}

/// Is there an address, a connection and a good certificate?
pub async fn host(network: &Network, (host, port): &(String, u16), findings: &mut Findings) -> bool {
    let place = format!("{host}:{port}");
    let overridden = network.resolve.overridden(host, *port);
    let how = if overridden.is_some() { "[network.resolve]" } else { "DNS" };
    let remedy = "Check the host name and DNS, or name the address under [network.resolve].";
    let address = match network.resolve.addr(host, *port).await {
        Ok(address) => address,
        Err(error) => {
            findings.problem(&format!("{place}: no address: {error}"), remedy);
            return false;
        }
    };
    let connected = tokio::time::timeout(Duration::from_secs(5), network.resolve.connect(host, *port)).await;
    let refused = match connected {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("no answer within 5 s".into()),
    };
    if let Some(why) = refused {
        findings.problem(
            &format!("{place} at {address} (by {how}): {why}"),
            "Start the service, or mend the address or the firewall.",
        );
        return false;
    }
    let report = Probing::new(&network.resolve, &network.recorder, "doctor").cert(host, *port, &network.trust).await;
    if let Some(cut) = &report.cut {
        findings.problem(&format!("{place} at {address}: no TLS handshake: {cut}"), "The port must speak TLS 1.2 or 1.3.");
        return false;
    }
    if !report.problems.is_empty() {
        let why: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        let remedy = if report.problems.contains(&CertProblem::UntrustedIssuer) {
            "If a private authority issued it, name its PEM file in network.ca_file; else mend the certificate."
        } else {
            "Mend the certificate; a run fails the clause tls-certificate-valid otherwise."
        };
        findings.problem(&format!("{place}: the certificate is not accepted: {}", why.join("; ")), remedy);
        return false;
    }
    let left = report.not_after.map(|end| (end.as_second() - Timestamp::now().as_second()) / 86_400);
    match left {
        Some(days) if days < SOON_DAYS => findings
            .advice(&format!("{place}: its certificate ends in {days} days"), "Renew it in time; a run fails once it has ended."),
        _ => findings
            .ok(&format!("{place}: {address} (by {how}), {}, certificate verified", report.version.replace("TLSv1_", "TLS 1."))),
    }
    true
}

/// Client assertions and one-time codes depend on the time.
pub fn clock(date: Option<&str>, findings: &mut Findings) {
    let Some(theirs) = date.and_then(http_date) else {
        findings.advice("clock: the target sends no Date header, so nothing can be compared", "Keep both clocks in time by NTP.");
        return;
    };
    let off = Timestamp::now().as_second() - theirs;
    let way = if off > 0 { "ahead of" } else { "behind" };
    let told = format!("clock: this computer is {} s {way} the target", off.abs());
    let remedy = "Set the clock by NTP: client assertions, one-time codes and lifetimes depend on it.";
    match off.abs() {
        0..=5 => findings.ok("clock: agrees with the target's to 5 s"),
        6..=30 => findings.advice(&told, remedy),
        _ => findings.problem(&told, remedy),
    }
}
