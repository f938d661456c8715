//! idp-probe/metadata: the discovery document and the JWK Set.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::jose::unb64;
use crate::wire::seen::json_type;

/// Reads what was fetched before the first scenario.
pub struct Metadata;

/// What was served.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The issuer of the target file.
    pub issuer: String,
    /// Status of the discovery answer; `None` where none arrived.
    pub status: Option<u16>,
    /// Its media type.
    pub media_type: String,
    /// The JSON document; `null` where the body was none.
    pub document: Value,
    /// The discovery exchange.
    pub cite: Vec<ExchangeId>,
    /// Status of the JWK Set answer.
    pub jwks_status: Option<u16>,
    /// Its keys; `None` where it was no JWK Set.
    pub keys: Option<Vec<KeySeen>>,
    /// The JWK Set exchange.
    pub jwks_cite: Vec<ExchangeId>,
}

/// A published key, without its numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeySeen {
    /// `kid`.
    pub kid: String,
    /// `kty`.
    pub kty: String,
    /// `crv`.
    pub crv: String,
    /// `use`.
    pub usage: String,
    /// Bits of the RSA modulus or the curve; 0 where it cannot be told.
    pub bits: usize,
    /// Names of its members.
    pub members: Vec<String>,
}

impl Scenario for Metadata {
    type Seen = Seen;
    const ID: &'static str = "idp-probe/metadata";
    const TITLE: &'static str = "reads the discovery document and the JWK Set";
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.discovery-published", discovery_is_published),
        Check::new("sl1.idp.discovery-issuer-match", the_issuer_is_exactly_the_configured_one),
        Check::new("sl1.idp.jwks-key-strength", keys_are_strong_enough),
        Check::new("sl1.idp.jwks-public-only", no_private_key_is_published),
        Check::new("sl1.idp.alg-none-not-offered", none_is_offered_nowhere),
        Check::new("sl1.idp.recommended-alg-offered", a_recommended_algorithm_is_offered),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let world = &stage.world;
        let jwks = world.jwks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let reply = world.discovery.reply.as_ref();
        Ok(Seen {
            issuer: world.idp.issuer.clone(),
            status: reply.map(|reply| reply.status),
            media_type: reply.map(crate::stage::http::Reply::media_type).unwrap_or_default(),
            document: world.discovery.document.clone(),
            cite: reply.map(|reply| reply.exchange.clone()).into_iter().collect(),
            jwks_status: jwks.reply.as_ref().map(|reply| reply.status),
            keys: jwks.set["keys"].as_array().map(|keys| keys.iter().map(key_seen).collect()),
            jwks_cite: jwks.reply.map(|reply| reply.exchange).into_iter().collect(),
        })
    }
}

fn key_seen(key: &Value) -> KeySeen {
    let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
    let bits = match (text("kty").as_str(), text("crv").as_str()) {
        ("RSA", _) => modulus_bits(key["n"].as_str().unwrap_or_default()),
        (_, "P-256" | "Ed25519" | "X25519" | "secp256k1") => 256,
        (_, "P-384") => 384,
        (_, "P-521") => 521,
        (_, "Ed448" | "X448") => 448,
        (_, "P-224") => 224,
        (_, "P-192") => 192,
        _ => 0,
    };
    KeySeen {
        kid: text("kid"),
        kty: text("kty"),
        crv: text("crv"),
        usage: text("use"),
        bits,
        members: key.as_object().map(|members| members.keys().cloned().collect()).unwrap_or_default(),
    }
}

/// Bits of the number, not bytes of its text: a leading zero byte is an encoding slip.
fn modulus_bits(n: &str) -> usize {
    let bytes = unb64(n).unwrap_or_default();
    match bytes.iter().position(|byte| *byte != 0) {
        Some(first) => (bytes.len() - first) * 8 - bytes[first].leading_zeros() as usize,
        None => 0,
    }
}

const MEMBERS: [(&str, &str); 7] = [
    ("issuer", "string"),
    ("authorization_endpoint", "string"),
    ("token_endpoint", "string"),
    ("jwks_uri", "string"),
    ("response_types_supported", "array"),
    ("subject_types_supported", "array"),
    ("id_token_signing_alg_values_supported", "array"),
];

fn discovery_is_published(seen: &Seen) -> Judgement {
    let Some(status) = seen.status else {
        return Judgement::undecided("no HTTP answer from the discovery endpoint").cite(&seen.cite);
    };
    let mut found = Findings::new();
    found.saw(&seen.cite);
    if status != 200 {
        found.broken(format!("the discovery document is answered with status {status}"), &seen.cite);
    } else if !seen.document.is_object() {
        found.broken("the body is not one JSON object", &seen.cite);
    } else {
        if !seen.media_type.contains("json") {
            found.broken(format!("the media type is `{}` and not JSON", seen.media_type), &seen.cite);
        }
        for (name, kind) in MEMBERS {
            match seen.document.get(name) {
                None => found.broken(format!("`{name}` is missing"), &seen.cite),
                Some(value) if json_type(value) != kind => {
                    found.broken(format!("`{name}` is a JSON {} instead of {kind}", json_type(value)), &seen.cite);
                }
                Some(_) => {}
            }
        }
        if seen.document["jwks_uri"].is_string() {
            match (&seen.keys, seen.jwks_status) {
                (_, None) => found.undecided("the JWK Set could not be fetched", &seen.jwks_cite),
                (Some(keys), Some(200)) if keys.iter().any(|key| key.usage != "enc" && key.kty != "oct") => {
                    found.saw(&seen.jwks_cite);
                }
                (Some(_), Some(200)) => found.broken("the JWK Set holds no public signing key", &seen.jwks_cite),
                (_, Some(status)) => found.broken(format!("jwks_uri serves no JWK Set (status {status})"), &seen.jwks_cite),
            }
        }
    }
    found.conclude("the document and the JWK Set are served with every member the flow needs")
}

fn no_document(seen: &Seen) -> Option<Judgement> {
    (!seen.document.is_object()).then(|| {
        Judgement::undecided("the discovery document is not available (see sl1.idp.discovery-published)").cite(&seen.cite)
    })
}

fn the_issuer_is_exactly_the_configured_one(seen: &Seen) -> Judgement {
    if let Some(undecided) = no_document(seen) {
        return undecided;
    }
    let published = seen.document["issuer"].as_str().unwrap_or("(none)");
    let mut found = Findings::new();
    found.saw(&seen.cite);
    if published != seen.issuer {
        let slash = published.trim_end_matches('/') == seen.issuer.trim_end_matches('/');
        let hint = if slash {
            "; only the trailing slash differs: correct idp.issuer in the target file if that is the slip"
        } else {
            ""
        };
        found.broken(format!("the metadata says `{published}`, clients are given `{}`{hint}", seen.issuer), &seen.cite);
    }
    match url::Url::parse(published) {
        Ok(url) if url.scheme() == "https" && url.query().is_none() && url.fragment().is_none() => {}
        _ => found.broken(format!("`{published}` is not an https URL without query and fragment"), &seen.cite),
    }
    found.conclude("the issuer is identical and well formed").expected(seen.issuer.clone(), published)
}

fn no_keys(seen: &Seen) -> Option<Judgement> {
    seen.keys.is_none().then(|| Judgement::undecided("the JWK Set is not available").cite(&seen.jwks_cite))
}

fn keys_are_strong_enough(seen: &Seen) -> Judgement {
    if let Some(undecided) = no_keys(seen) {
        return undecided;
    }
    let mut found = Findings::new();
    found.saw(&seen.jwks_cite);
    let mut observed = Vec::new();
    for key in seen.keys.iter().flatten().filter(|key| key.kty != "oct") {
        let name = format!("{} {} {} bits (kid `{}`)", key.kty, key.crv, key.bits, key.kid);
        let least = if key.kty == "RSA" { 2048 } else { 224 };
        if key.bits == 0 {
            found.undecided(format!("the strength of {name} cannot be told"), &seen.jwks_cite);
        } else if key.bits < least {
            found.broken(format!("{name} is weaker than {least} bits"), &seen.jwks_cite);
        }
        observed.push(name);
    }
    found
        .conclude("every published key is strong enough")
        .expected("RSA of 2048 bits or more, curves of 224 bits or more", observed.join(", "))
}

fn no_private_key_is_published(seen: &Seen) -> Judgement {
    if let Some(undecided) = no_keys(seen) {
        return undecided;
    }
    let mut found = Findings::new();
    found.saw(&seen.jwks_cite);
    for key in seen.keys.iter().flatten() {
        let private: Vec<&str> =
            key.members.iter().map(String::as_str).filter(|name| ["d", "p", "q", "dp", "dq", "qi", "k"].contains(name)).collect();
        if key.kty == "oct" || !private.is_empty() {
            found.broken(
                format!("key `{}` ({}) publishes private members: {}", key.kid, key.kty, private.join(", ")),
                &seen.jwks_cite,
            );
        }
    }
    found.conclude("only public key material is published")
}

fn none_is_offered_nowhere(seen: &Seen) -> Judgement {
    if let Some(undecided) = no_document(seen) {
        return undecided;
    }
    let mut found = Findings::new();
    found.saw(&seen.cite);
    for (name, value) in seen.document.as_object().into_iter().flatten() {
        let lists_none = value.as_array().is_some_and(|values| values.iter().any(|value| value == "none"));
        if name.contains("signing_alg") && lists_none {
            found.broken(format!("`{name}` lists none"), &seen.cite);
        }
    }
    found.conclude("no list of signing algorithms names none")
}

fn a_recommended_algorithm_is_offered(seen: &Seen) -> Judgement {
    if let Some(undecided) = no_document(seen) {
        return undecided;
    }
    let offered: Vec<&str> = seen.document["id_token_signing_alg_values_supported"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let good = offered.iter().any(|alg| ["PS256", "ES256", "EdDSA", "Ed25519"].contains(alg));
    let judgement = if good {
        Judgement::pass("a recommended algorithm is offered for ID tokens")
    } else {
        Judgement::broken("none of PS256, ES256 and EdDSA is offered for ID tokens")
    };
    judgement.expected("PS256, ES256, EdDSA or Ed25519", offered.join(", ")).cite(&seen.cite)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call::{self, Broken, Pass, Undecided};
    use serde_json::json;

    fn good() -> Seen {
        Seen {
            issuer: "https://op".into(),
            status: Some(200),
            media_type: "application/json".into(),
            document: json!({
                "issuer": "https://op", "authorization_endpoint": "https://op/a", "token_endpoint": "https://op/t", "jwks_uri": "https://op/j",
                "response_types_supported": ["code"], "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
            }),
            cite: vec!["x1".into()],
            jwks_status: Some(200),
            keys: Some(vec![key_seen(&json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": "", "y": ""}))]),
            jwks_cite: vec!["x2".into()],
        }
    }

    fn calls(seen: &Seen) -> Vec<(&'static str, Call)> {
        Metadata::CHECKS.iter().map(|check| (check.clause, (check.judge)(seen).call)).collect()
    }

    fn call(seen: &Seen, slug: &str) -> Call {
        calls(seen).into_iter().find(|(clause, _)| clause.ends_with(slug)).unwrap().1
    }

    #[test]
    fn a_conforming_document_passes_everything() {
        assert!(calls(&good()).iter().all(|(_, call)| *call == Pass), "{:?}", calls(&good()));
    }

    #[test]
    fn no_answer_decides_nothing() {
        let seen = Seen { issuer: "https://op".into(), ..Seen::default() };
        assert!(calls(&seen).iter().all(|(_, call)| *call == Undecided), "{:?}", calls(&seen));
    }

    #[test]
    fn each_fault_is_seen_by_its_clause() {
        let with = |pointer: &str, value: Value| {
            let mut seen = good();
            seen.document[pointer] = value;
            seen
        };
        let mut missing = good();
        missing.document.as_object_mut().unwrap().remove("jwks_uri");
        assert_eq!(call(&missing, "discovery-published"), Broken);
        assert_eq!(call(&with("issuer", json!("https://op/")), "discovery-issuer-match"), Broken);
        assert_eq!(call(&with("id_token_signing_alg_values_supported", json!(["RS256"])), "recommended-alg-offered"), Broken);
        assert_eq!(
            call(&with("id_token_signing_alg_values_supported", json!(["ES256", "none"])), "alg-none-not-offered"),
            Broken
        );
        assert_eq!(call(&with("token_endpoint_auth_methods_supported", json!(["none"])), "alg-none-not-offered"), Pass);
        let mut weak = good();
        weak.keys
            .as_mut()
            .unwrap()
            .push(key_seen(&json!({"kty": "RSA", "n": crate::wire::jose::b64([255_u8; 128]), "e": "AQAB"})));
        assert_eq!(call(&weak, "jwks-key-strength"), Broken);
        let mut private = good();
        private.keys.as_mut().unwrap()[0].members.push("d".into());
        assert_eq!(call(&private, "jwks-public-only"), Broken);
    }

    #[test]
    fn bits_are_counted_and_not_bytes() {
        assert_eq!(modulus_bits(&crate::wire::jose::b64([0, 0x80, 0])), 16);
        assert_eq!(modulus_bits(&crate::wire::jose::b64([1, 0])), 9);
    }
}
