//! idp-probe/announcements: what the metadata announces, compared with what was seen in the run. Played last.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// Compares announcements with behaviour.
pub struct Announcements;

/// What was announced, and what was seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The discovery document.
    pub document: Value,
    /// Its exchange.
    pub cite: Vec<ExchangeId>,
    /// Requests of the browser to the identity service without TLS: URL, exchange.
    pub in_clear: Vec<(String, ExchangeId)>,
    /// The target is declared a development instance on loopback.
    pub loopback_development: bool,
    /// A DPoP-bound token was issued.
    pub dpop_tokens: bool,
    /// `alg` of ID tokens seen.
    pub id_token_algs: Vec<String>,
}

impl Scenario for Announcements {
    type Seen = Seen;
    const ID: &'static str = "idp-probe/announcements";
    const TITLE: &'static str = "compares the metadata with the behaviour seen";
    const AFTER: &'static [&'static str] = &["*"];
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.endpoints-https", every_endpoint_uses_https),
        Check::new("sl1.idp.metadata-agrees", the_metadata_agrees),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let world = &stage.world;
        let samples = world.samples();
        let mut id_token_algs: Vec<String> =
            samples.id_tokens.iter().filter_map(|token| token.header["alg"].as_str()).map(str::to_owned).collect();
        id_token_algs.sort();
        id_token_algs.dedup();
        Ok(Seen {
            document: world.discovery.document.clone(),
            cite: world.discovery.reply.iter().map(|reply| reply.exchange.clone()).collect(),
            in_clear: samples.in_clear.clone(),
            loopback_development: world.target.target.loopback_development,
            dpop_tokens: samples.dpop_tokens > 0,
            id_token_algs,
        })
    }
}

fn every_endpoint_uses_https(seen: &Seen) -> Judgement {
    if !seen.document.is_object() {
        return Judgement::undecided("the discovery document is not available").cite(&seen.cite);
    }
    // For people, and may be served anywhere.
    const FOR_PEOPLE: [&str; 3] = ["service_documentation", "op_policy_uri", "op_tos_uri"];
    let mut found = Findings::new();
    found.saw(&seen.cite);
    let aliases = seen.document["mtls_endpoint_aliases"].as_object();
    for (name, value) in seen.document.as_object().into_iter().flatten().chain(aliases.into_iter().flatten()) {
        let Some(url) = value.as_str().filter(|_| name.ends_with("_endpoint") || name.ends_with("_uri")) else { continue };
        if url.starts_with("https://") {
            continue;
        }
        if FOR_PEOPLE.contains(&name.as_str()) {
            found.doubtful(format!("`{name}` (for people) is not https"), &seen.cite);
        } else {
            found.broken(format!("`{name}` is {url}"), &seen.cite);
        }
    }
    for (url, exchange) in &seen.in_clear {
        found.broken(format!("the browser was led to {url} without TLS"), std::slice::from_ref(exchange));
    }
    if seen.loopback_development {
        found.undecided("the target is declared a loopback development instance: not certifiable", &seen.cite);
    }
    found.conclude("every endpoint URL is https, and so was every request of the browser to the identity service")
}

fn the_metadata_agrees(seen: &Seen) -> Judgement {
    if !seen.document.is_object() {
        return Judgement::undecided("the discovery document is not available").cite(&seen.cite);
    }
    let list =
        |name: &str| -> Vec<&str> { seen.document[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect() };
    let mut found = Findings::new();
    found.saw(&seen.cite);
    if !list("response_types_supported").contains(&"code") {
        found.broken("response_types_supported does not announce code", &seen.cite);
    }
    if !list("code_challenge_methods_supported").contains(&"S256") {
        found.broken("code_challenge_methods_supported does not announce S256", &seen.cite);
    }
    if list("code_challenge_methods_supported").contains(&"plain") {
        found.broken("code_challenge_methods_supported announces plain", &seen.cite);
    }
    if seen.document["authorization_response_iss_parameter_supported"] != true {
        found.broken("authorization_response_iss_parameter_supported is not true (RFC 9207 3)", &seen.cite);
    }
    let dpop = list("dpop_signing_alg_values_supported");
    if seen.dpop_tokens && dpop.is_empty() {
        found.broken("DPoP-bound tokens were issued, and dpop_signing_alg_values_supported is missing", &seen.cite);
    }
    if dpop.iter().any(|alg| *alg == "none" || alg.starts_with("HS")) {
        found.broken("dpop_signing_alg_values_supported names none or an HMAC algorithm", &seen.cite);
    }
    let announced = list("id_token_signing_alg_values_supported");
    for alg in &seen.id_token_algs {
        let known = announced.contains(&alg.as_str()) || (alg == "EdDSA" && announced.contains(&"Ed25519"));
        if !known {
            found.broken(format!("ID tokens are signed with {alg}, which is not announced"), &seen.cite);
        }
    }
    found.conclude("all is announced, and nothing contradicts what was seen")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use serde_json::json;

    #[test]
    fn every_url_and_every_request_is_https() {
        let good = Seen { document: json!({"userinfo_endpoint": "https://op/u"}), ..Seen::default() };
        assert_eq!(every_endpoint_uses_https(&good).call, Call::Pass);
        let in_clear = Seen { in_clear: vec![("http://op/login".into(), "x1".into())], ..good.clone() };
        assert_eq!(every_endpoint_uses_https(&in_clear).call, Call::Broken);
        assert_eq!(
            every_endpoint_uses_https(&Seen { document: json!({"userinfo_endpoint": "http://op/u"}), ..good.clone() }).call,
            Call::Broken
        );
        assert_eq!(every_endpoint_uses_https(&Seen { loopback_development: true, ..good }).call, Call::Undecided);
        assert_eq!(every_endpoint_uses_https(&Seen::default()).call, Call::Undecided);
    }

    #[test]
    fn announcements_are_compared_with_behaviour() {
        let good = Seen {
            document: json!({
                "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": true, "id_token_signing_alg_values_supported": ["ES256"],
            }),
            id_token_algs: vec!["ES256".into()],
            ..Seen::default()
        };
        assert_eq!(the_metadata_agrees(&good).call, Call::Pass);
        assert_eq!(the_metadata_agrees(&Seen { id_token_algs: vec!["RS256".into()], ..good.clone() }).call, Call::Broken);
        assert_eq!(the_metadata_agrees(&Seen { dpop_tokens: true, ..good.clone() }).call, Call::Broken);
        let mut plain = good;
        plain.document["code_challenge_methods_supported"] = json!(["plain"]);
        assert_eq!(the_metadata_agrees(&plain).call, Call::Broken);
        assert_eq!(the_metadata_agrees(&Seen::default()).call, Call::Undecided);
    }
}
