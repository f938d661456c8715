//! app-probe: the application's own endpoints from outside: TLS, certificates, clear text, HSTS, DNSSEC.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::counterpart::authorize::host_of;
use crate::model::target::{App, Commands};
use crate::model::verdict::Findings;
use crate::model::{Call, Judgement};
use crate::stage::Stage;
use crate::stage::http::Ask;
use crate::stage::oracle::same_origin;
use crate::stage::plain::PlainAnswer;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::network::{self, Asked, ClearRequest, HostSeen, PlainSeen, Work, clock_off, hsts, judge, protocol_json};
use crate::wire::hsts_preload;
use crate::wire::jose::random;

/// Looks at the network layer of the application.
pub struct Probe;

/// What was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// One per host and port with TLS.
    pub hosts: Vec<HostSeen>,
    /// Endpoints that are http URLs: name with URL, and the answer.
    pub unencrypted: Vec<(String, PlainSeen)>,
    /// HSTS of every host that browsers go to.
    pub hsts: Vec<HstsSeen>,
    /// Seconds between the application's `Date` and the suite's clock.
    pub clock_off_s: Option<i64>,
}

/// HSTS of one host.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HstsSeen {
    /// The host.
    pub host: String,
    /// `Strict-Transport-Security` of its answers, with their exchanges.
    pub answers: Vec<hsts::Header>,
    /// The preloaded parent that covers it, if any.
    pub preloaded: Option<String>,
}

impl Scenario for Probe {
    type Seen = Seen;
    const ID: &'static str = "app-probe";
    const TITLE: &'static str = "probes TLS, certificates, clear text, HSTS and DNSSEC of the application's endpoints";
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.app.plain-http-not-served", nothing_is_served_in_clear),
        Check::new("sl1.app.tls12-minimum-server", old_tls_is_refused),
        Check::new("sl1.app.tls12-ciphers-server", suites_fit_their_use),
        Check::new("sl1.app.tls-certificate-valid", every_certificate_is_valid),
        Check::new("sl1.app.hsts", clear_text_cannot_be_forced),
        Check::new("sl1.app.dnssec", every_zone_is_signed),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let app = &stage.app()?.app;
        let all = endpoints(app, &stage.world.target.commands);
        if all.is_empty() {
            return Err(Obstacle::config("no endpoint of the application is configured", "Set app.protected_url."));
        }
        let places = network::places(all.iter().map(|(name, url)| (*name, *url)));
        let probed = network::look(stage, places, for_browsers, |asked| in_clear(stage, asked));
        let unencrypted = all.iter().filter_map(|(name, url)| http_only(name, url)).map(|asked| async move {
            let label = format!("{} {}", asked.name, asked.url);
            (label, in_clear(stage, asked).await)
        });
        let (hosts, unencrypted, (hsts, clock_off_s)) =
            futures_util::future::join3(probed, futures_util::future::join_all(unencrypted), headers(stage, &all)).await;
        Ok(Seen { hosts: hosts?, unencrypted, hsts, clock_off_s })
    }
}

const BACK_CHANNEL: [&str; 3] = ["command_endpoint", "backchannel_logout_uri", "revocation_endpoint"];

fn for_browsers(name: &str) -> bool {
    !BACK_CHANNEL.contains(&name)
}

/// The endpoints of the application, by their keys in the target file.
fn endpoints<'a>(app: &'a App, commands: &'a Commands) -> Vec<(&'static str, &'a str)> {
    let pages = [
        ("start_url", app.start()),
        ("protected_url", app.protected_url.as_str()),
        ("initiate_login_uri", app.initiate_login_uri.as_str()),
        ("logout_url", app.logout_url.as_str()),
    ];
    let [command, logout, revocation] = BACK_CHANNEL;
    let back = [
        (command, commands.command_endpoint.as_str()),
        (logout, commands.backchannel_logout_uri.as_str()),
        (revocation, commands.revocation_endpoint.as_str()),
    ];
    let redirects = app.redirect_uris.iter().map(|uri| ("redirect_uri", uri.as_str()));
    let mut out: Vec<(&str, &str)> = Vec::new();
    for (name, url) in pages.into_iter().chain(redirects).chain(back) {
        if !url.is_empty() && !out.iter().any(|(_, known)| *known == url) {
            out.push((name, url));
        }
    }
    out
}

/// An endpoint that is an http URL, to be asked where it stands.
fn http_only(name: &str, url: &str) -> Option<Asked> {
    let parsed = Url::parse(url).ok().filter(|parsed| parsed.scheme() == "http")?;
    let host = parsed.host_str()?.to_owned();
    Some(Asked { name: name.to_owned(), url: url.to_owned(), host, port: parsed.port_or_known_default()? })
}

async fn in_clear(stage: &Stage, asked: Asked) -> PlainSeen {
    let issuer = &stage.world.target.counterpart.issuer;
    let cookie = stage.world.app().map(|app| app.app.session_cookie.as_str()).unwrap_or_default();
    let request = clear_request(&asked, issuer);
    asked.send(stage, &request, |answer| work(&asked, answer, issuer, cookie)).await
}

/// What an endpoint is sent in clear: what starts its work, with parameters that are worth nothing.
fn clear_request(asked: &Asked, issuer: &str) -> ClearRequest {
    let path = asked.path();
    let encode = |fields: &[(&str, &str)]| url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let get = |query: String| {
        let own = Url::parse(&asked.url).ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default();
        let query: Vec<&str> = [own.as_str(), query.as_str()].into_iter().filter(|part| !part.is_empty()).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        ClearRequest { target: format!("{path}{mark}{}", query.join("&")), form: String::new() }
    };
    match asked.name.as_str() {
        "redirect_uri" => get(encode(&[("code", "junk"), ("state", "junk"), ("iss", issuer)])),
        "initiate_login_uri" => get(encode(&[("iss", issuer)])),
        "command_endpoint" => ClearRequest { target: path, form: "command_token=junk".into() },
        "backchannel_logout_uri" => ClearRequest { target: path, form: "logout_token=junk".into() },
        "revocation_endpoint" => ClearRequest { target: path, form: "sub_id=junk".into() },
        _ => get(String::new()),
    }
}

/// Did the endpoint do its work in clear: start a login, answer in the protocol, hand out a session?
fn work(asked: &Asked, answer: &PlainAnswer, issuer: &str, session_cookie: &str) -> Work {
    let PlainAnswer::Http { status, headers, body } = answer else { return Work::None };
    let location = answer.header("location").filter(|_| (300..400).contains(status)).and_then(|to| Url::parse(to).ok());
    let to_tls = location
        .as_ref()
        .is_some_and(|to| to.scheme() == "https" && to.host_str() == Some(&asked.host) && !same_origin(to.as_str(), issuer));
    if location.as_ref().is_some_and(|to| starts_login(to, issuer) && !to_tls) {
        return Work::Done("it starts a login".into());
    }
    if protocol_json(answer, &[]) {
        return Work::Done("it answers in the JSON of the protocol".into());
    }
    let challenge = answer.header("www-authenticate").unwrap_or_default().to_ascii_lowercase();
    if !for_browsers(&asked.name) && *status == 401 && (challenge.contains("bearer") || challenge.contains("dpop")) {
        return Work::Done("it asks for an access token".into());
    }
    let cookies = headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str());
    let mut unprotected =
        cookies.filter(|cookie| !secure(cookie)).map(|cookie| cookie.split('=').next().unwrap_or_default().trim());
    if let Some(name) = unprotected.find(|name| {
        let name = name.to_ascii_lowercase();
        // Under a redirect to TLS a load balancer's own cookie is no session; a name that was declared always is.
        name == session_cookie.to_ascii_lowercase()
            || (!to_tls && *status < 400 && (name.contains("sess") || name.ends_with("sid")))
    }) {
        return Work::Done(format!("it sets the cookie {name} without Secure"));
    }
    let text = String::from_utf8_lossy(body);
    if (200..300).contains(status) && text.contains(issuer.trim_end_matches('/')) && text.contains("response_type") {
        return Work::Done("its page starts a login".into());
    }
    match status {
        200..300 => Work::Doubtful(format!("status {status} in clear, though nothing of the protocol was seen")),
        _ => Work::None,
    }
}

fn starts_login(to: &Url, issuer: &str) -> bool {
    let has = |wanted: &str| to.query_pairs().any(|(name, _)| name == wanted);
    same_origin(to.as_str(), issuer) || (has("client_id") && (has("response_type") || has("request_uri")))
}

fn secure(set_cookie: &str) -> bool {
    set_cookie.split(';').skip(1).any(|attribute| attribute.trim().eq_ignore_ascii_case("secure"))
}

/// What the hosts for browsers answer over TLS: redirects, their targets, a page that does not exist.
async fn headers(stage: &Stage, all: &[(&'static str, &str)]) -> (Vec<HstsSeen>, Option<i64>) {
    let (mut out, mut clock): (Vec<HstsSeen>, Option<i64>) = (Vec::new(), None);
    for (name, url) in all.iter().filter(|(name, url)| for_browsers(name) && url.starts_with("https://")) {
        let Some(host) = host_of(url) else { continue };
        let known = out.iter().position(|seen| seen.host == host);
        let at = known.unwrap_or_else(|| {
            let preloaded = hsts_preload::covering(&host).map(str::to_owned);
            out.push(HstsSeen { host: host.clone(), answers: Vec::new(), preloaded });
            out.len() - 1
        });
        let mut next = Some((*url).to_owned());
        let missing = Url::parse(url).ok().and_then(|url| url.join(&format!("/{}", random(9))).ok());
        let mut queue: Vec<String> = missing.filter(|_| known.is_none()).map(|url| url.to_string()).into_iter().collect();
        for _ in 0..4 {
            let Some(url) = next.take().or_else(|| queue.pop()) else { break };
            let ask = Ask::get(&url).header("accept", "text/html");
            let Ok(reply) = stage.world.http.send(stage.scenario, &format!("{name} over TLS"), ask).await else { continue };
            clock = clock.or_else(|| clock_off(&reply));
            if let Some(seen) = out.get_mut(at) {
                seen.answers.push(hsts::header(&reply));
            }
            next = hsts::same_host_redirect(&url, &reply).filter(|_| (300..400).contains(&reply.status));
        }
    }
    (out, clock)
}

fn nothing_is_served_in_clear(seen: &Seen) -> Judgement {
    judge::nothing_is_served_in_clear(&seen.hosts, &seen.unencrypted)
}

fn old_tls_is_refused(seen: &Seen) -> Judgement {
    judge::old_tls_is_refused(&seen.hosts)
}

fn suites_fit_their_use(seen: &Seen) -> Judgement {
    judge::suites_fit_their_use(&seen.hosts)
}

fn every_certificate_is_valid(seen: &Seen) -> Judgement {
    judge::every_certificate_is_valid(&seen.hosts, seen.clock_off_s)
}

fn every_zone_is_signed(seen: &Seen) -> Judgement {
    judge::every_zone_is_signed(&seen.hosts)
}

fn clear_text_cannot_be_forced(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    for host in &seen.hsts {
        let judged = hsts::clear_text_cannot_be_forced(&host.host, &host.answers, host.preloaded.as_deref(), &host.host);
        match judged.call {
            Call::Pass => found.saw(&judged.cites),
            Call::Broken => found.broken(format!("{}: {}", host.host, judged.reason), &judged.cites),
            _ => found.undecided(judged.reason, &judged.cites),
        }
    }
    if seen.hsts.is_empty() {
        Judgement::undecided("no endpoint for browsers is an https URL")
    } else {
        found.conclude("every host for browsers sends HSTS with a positive max-age, or is preloaded")
    }
}

#[cfg(test)]
mod tests;
