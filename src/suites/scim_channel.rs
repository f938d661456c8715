//! scim-channel: the provisioning interface obeys nobody but its client and tells errors as SCIM says.

mod checks;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::counterpart::scim_client::{Answer, Bearer, Call};
use crate::model::target::ScimAuth;
use crate::stage::Stage;
use crate::stage::plain::{PlainAnswer, PlainReport};
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::network::{self, HostSeen, PlainSeen};
use crate::wire::jose;

/// Requests without a token, with a bad one, and what errors look like.
pub struct Channel;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// How the client authenticates.
    pub static_token: bool,
    /// A good request before and after.
    pub controls: [Answer; 2],
    /// Requests without a token: what, and the answer.
    pub anonymous: Vec<(String, Answer)>,
    /// A request with the token in its query.
    pub in_query: Answer,
    /// Requests with bad tokens: what, and the answer.
    pub bad_tokens: Vec<(String, Answer)>,
    /// The token is a JWT, so that its claims and signature can be changed.
    pub jwt: bool,
    /// Requests that must fail, with the status that they must have.
    pub errors: Vec<(String, u16, Answer)>,
    /// The SCIM host's TLS; empty where its URL is not https.
    pub hosts: Vec<HostSeen>,
    /// Its URL is not https.
    pub in_clear: bool,
}

impl Scenario for Channel {
    type Seen = Seen;
    const ID: &'static str = "scim-channel";
    const TITLE: &'static str = "calls the service provider without and with bad tokens, and looks at its errors";
    const BROWSER: bool = false;
    const CHECKS: &'static [Check<Seen>] = checks::CHECKS;

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let scim = &stage.scim()?.scim;
        let mut seen = Seen {
            static_token: scim.auth == ScimAuth::Bearer,
            in_clear: !scim.base_url.starts_with("https://"),
            ..Seen::default()
        };
        let control = || Call::get("/Users").query("count", "1");
        seen.controls[0] = match stage.scim()?.shared.first.get() {
            Some(answer) => answer.clone(),
            None => stage.scim_send("with the token", control()).await?,
        };
        let nobody = format!("ipsie-conform-{}", jose::random(8));
        let anonymous = [
            ("GET /Users", control()),
            ("GET /Groups", Call::get("/Groups").query("count", "1")),
            (
                "PATCH of a user",
                Call::patch(format!("/Users/{nobody}"), &[crate::counterpart::scim_client::replace("active", false)]),
            ),
            ("DELETE of a user", Call::delete(format!("/Users/{nobody}"))),
        ];
        for (what, call) in anonymous {
            let method = call.method.clone();
            let answer = stage.scim_send("without a token", call.clone().by(Bearer::Nobody)).await?;
            if absent(&method, &answer) {
                let with = stage.scim_send("the same with the token", call).await?;
                if absent(&method, &with) {
                    continue;
                }
            }
            seen.anonymous.push((what.into(), answer));
        }
        let own = stage.scim_token(&Bearer::Own).await?.unwrap_or_default();
        let in_query = control().query("access_token", own.clone()).by(Bearer::Nobody);
        seen.in_query = stage.scim_send("the token in the query", in_query).await?;
        seen.jwt = own.split('.').count() == 3;
        for (what, token) in bad_tokens(&own) {
            seen.bad_tokens.push((what.into(), stage.scim_send(what, control().by(Bearer::Other(token))).await?));
        }
        let errors = [
            ("an id that nobody has", 404, Call::get(format!("/Users/{nobody}"))),
            (
                "a body that is no JSON",
                400,
                Call::new("POST", "/Users").bytes("application/scim+json", b"{\"userName\": ".to_vec()),
            ),
        ];
        for (what, status, call) in errors {
            seen.errors.push((what.into(), status, stage.scim_send(what, call).await?));
        }
        seen.errors.push(("a filter that cannot be".into(), 400, stage.scim_bad_filter().await?));
        seen.controls[1] = stage.scim_send("with the token, again", control()).await?;
        for control in &seen.controls {
            stage.control(control.ok());
        }
        if stage.wants("al1.app.tls-floor") {
            // TLS alone: whether the endpoints answer in clear is a matter of SL1.
            let mut places = network::places([("scim.base_url", scim.base_url.as_str())]);
            places.iter_mut().for_each(|place| place.endpoints.clear());
            let in_clear = |_| async {
                let report = PlainReport { answer: PlainAnswer::Refused, exchange: String::new() };
                PlainSeen { port: 0, report, processed: false, what: None }
            };
            seen.hosts = network::look(stage, places, |_| false, in_clear).await?;
        }
        Ok(seen)
    }
}

/// The answer may say that there is no such endpoint or method. A change of somebody whom there is not is answered with 404 in any case.
fn absent(method: &str, answer: &Answer) -> bool {
    matches!(answer.status, 405 | 501) || method == "GET" && answer.status == 404
}

/// The token with a change in its middle; where it is a JWT, also its claims under other signatures.
fn bad_tokens(own: &str) -> Vec<(&'static str, String)> {
    let mut middle: Vec<char> = own.chars().collect();
    let at = match own.rfind('.') {
        // In the middle of the signature: the last character may hold unused bits.
        Some(dot) => dot + (middle.len() - dot) / 2,
        None => middle.len() / 2,
    };
    if let Some(letter) = middle.get_mut(at) {
        *letter = if *letter == 'A' { 'B' } else { 'A' };
    }
    let mut out = vec![("an altered token", middle.into_iter().collect::<String>())];
    if let Ok(jws) = jose::read(own) {
        out.push(("its claims without a signature", jose::unsigned(&jws.claims)));
        if let Ok(stranger) = jose::SigningKey::generate("stranger", jsonwebtoken::Algorithm::ES256) {
            let mut header = jws.header.clone();
            header["alg"] = json!("ES256");
            out.push(("its claims signed by a stranger", stranger.sign(&header, &jws.claims)));
        }
    }
    out
}
