//! idp-probe/front: the authorization endpoint before anybody signs in: HSTS and CORS.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::counterpart::authorize::host_of;
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::stage::browser::ScriptFetch;
use crate::stage::http::Ask;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::network::hsts;
use crate::wire::hsts_preload;
use crate::wire::jose::random;

/// Asks the authorization endpoint as a browser and as a script of another origin would.
pub struct Front;

/// What the front door answered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Host of the authorization endpoint.
    pub host: String,
    /// `Strict-Transport-Security` of every answer of that host: value, exchange.
    pub hsts: Vec<(Option<String>, ExchangeId)>,
    /// The preloaded parent that covers the host, if any.
    pub preloaded: Option<String>,
    /// Cross-origin attempts.
    pub cors: Vec<CorsTry>,
    /// What a script could read; `None` where the agent runs no scripts.
    pub script: Option<String>,
}

/// One cross-origin attempt.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CorsTry {
    /// What was sent.
    pub what: String,
    /// Status.
    pub status: u16,
    /// `Access-Control-Allow-Origin` of the answer.
    pub allowed: Option<String>,
    /// `Access-Control-Allow-Credentials` is true.
    pub credentials: bool,
    /// Exchange.
    pub cite: Vec<ExchangeId>,
}

impl Scenario for Front {
    type Seen = Seen;
    const ID: &'static str = "idp-probe/front";
    const TITLE: &'static str = "asks the authorization endpoint from outside: HSTS and CORS";
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.hsts-browser-endpoints", clear_text_cannot_be_forced),
        Check::new("sl1.idp.no-cors-authorization", scripts_of_other_origins_get_nothing),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let world = &stage.world;
        let endpoint = world.endpoint("authorization_endpoint")?.to_owned();
        let host = host_of(&endpoint).unwrap_or_default();
        let valid = stage.request("main")?.url(&endpoint);
        let invalid = stage.request("main")?.set("response_type", "nonsense").url(&endpoint);
        let mut seen = Seen { preloaded: hsts_preload::covering(&host).map(str::to_owned), host, ..Seen::default() };

        let reply = world
            .http
            .send(stage.scenario, "authorization request without cookies", Ask::get(&valid).header("accept", "text/html"))
            .await?;
        seen.hsts.push(hsts::header(&reply));
        if let Some(next) = hsts::same_host_redirect(&valid, &reply)
            && let Ok(page) =
                world.http.send(stage.scenario, "first login page", Ask::get(next).header("accept", "text/html")).await
        {
            seen.hsts.push(hsts::header(&page));
        }

        let own = world.target.counterpart.public_url.trim_end_matches('/').to_owned();
        let foreign = format!("https://{}.example", random(6).to_lowercase().replace(['-', '_'], "x"));
        for (origin, whose) in [(&own, "the client's origin"), (&foreign, "a random origin")] {
            for (method, url, what) in [
                (Method::OPTIONS, &valid, "preflight"),
                (Method::GET, &valid, "valid request"),
                (Method::GET, &invalid, "invalid request"),
            ] {
                let what = format!("{what} from {whose}");
                let mut ask = Ask::get(url).header("origin", origin).header("accept", "text/html");
                if method == Method::OPTIONS {
                    ask.method = method;
                    ask = ask.header("access-control-request-method", "GET");
                }
                if let Ok(reply) = world.http.send(stage.scenario, &what, ask).await {
                    if reply.status < 400 || reply.header("strict-transport-security").is_some() {
                        seen.hsts.push(hsts::header(&reply));
                    }
                    seen.cors.push(CorsTry {
                        what,
                        status: reply.status,
                        allowed: reply.header("access-control-allow-origin").map(str::to_owned),
                        credentials: reply.header("access-control-allow-credentials") == Some("true"),
                        cite: vec![reply.exchange],
                    });
                }
            }
        }
        if world.agent.scripts() && stage.wants("sl1.idp.no-cors-authorization") {
            let context = world.agent.context("script of another origin").await?;
            let mut page = context.page(stage.scenario).await?;
            seen.script = page.script_fetch(&own, &valid).await.map(|outcome| match outcome {
                ScriptFetch::Readable { status } => format!("readable with status {status}"),
                ScriptFetch::Blocked => "blocked".into(),
            });
        }
        Ok(seen)
    }
}

fn clear_text_cannot_be_forced(seen: &Seen) -> Judgement {
    hsts::clear_text_cannot_be_forced(&seen.host, &seen.hsts, seen.preloaded.as_deref(), "the authorization endpoint")
}

fn scripts_of_other_origins_get_nothing(seen: &Seen) -> Judgement {
    if seen.cors.is_empty() {
        return Judgement::undecided("the authorization endpoint did not answer");
    }
    let mut found = Findings::new();
    for attempt in &seen.cors {
        match &attempt.allowed {
            Some(origin) => {
                let severity = if attempt.credentials { "" } else { " (without credentials: low severity)" };
                found.broken(format!("{}: Access-Control-Allow-Origin: {origin}{severity}", attempt.what), &attempt.cite);
            }
            None => found.saw(&attempt.cite),
        }
    }
    if let Some(script) = seen.script.as_deref().filter(|script| *script != "blocked") {
        found.broken(format!("a script of the application's origin could read the answer: {script}"), &[]);
    }
    found.conclude("no answer allows another origin, and the browser withholds it from scripts")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;

    #[test]
    fn hsts_needs_a_positive_max_age_or_a_preloaded_parent() {
        let seen = |value: Option<&str>| Seen { hsts: vec![(value.map(str::to_owned), "x1".into())], ..Seen::default() };
        assert_eq!(clear_text_cannot_be_forced(&seen(Some("max-age=31536000; includeSubDomains"))).call, Call::Pass);
        assert_eq!(clear_text_cannot_be_forced(&seen(Some("max-age=0"))).call, Call::Broken);
        assert_eq!(clear_text_cannot_be_forced(&seen(None)).call, Call::Broken);
        assert_eq!(clear_text_cannot_be_forced(&Seen::default()).call, Call::Undecided);
        assert_eq!(clear_text_cannot_be_forced(&Seen { preloaded: Some("dev".into()), ..seen(None) }).call, Call::Pass);
    }

    #[test]
    fn any_allowed_origin_is_a_finding() {
        let seen = |allowed: Option<&str>| Seen {
            cors: vec![CorsTry { what: "GET".into(), allowed: allowed.map(str::to_owned), ..CorsTry::default() }],
            ..Seen::default()
        };
        assert_eq!(scripts_of_other_origins_get_nothing(&seen(None)).call, Call::Pass);
        assert_eq!(scripts_of_other_origins_get_nothing(&seen(Some("*"))).call, Call::Broken);
        assert_eq!(
            scripts_of_other_origins_get_nothing(&Seen { script: Some("readable with status 200".into()), ..seen(None) }).call,
            Call::Broken
        );
        assert_eq!(scripts_of_other_origins_get_nothing(&Seen::default()).call, Call::Undecided);
    }
}
