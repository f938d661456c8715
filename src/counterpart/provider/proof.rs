//! What is wrong with a DPoP proof (RFC 9449 4.3). It is told, not judged: the login goes on where it can.

use serde_json::json;

use super::Shared;
use super::log::ProofSeen;
use crate::counterpart::op::http::In;
use crate::wire::jose::{self, sha256_b64, thumbprint};

/// Seconds a proof may differ from the provider's clock.
const WINDOW_S: u64 = 300;

/// Reads the proof of a request to `url`; `token` is the access token it comes with.
pub(super) fn read(shared: &Shared, request: &In<'_>, url: &str, token: Option<&str>) -> Option<ProofSeen> {
    match request.header_count("dpop") {
        0 => return None,
        1 => {}
        _ => return Some(ProofSeen { problems: vec!["more than one DPoP header".into()], ..ProofSeen::default() }),
    }
    let Some(jws) = request.header("dpop").and_then(|text| jose::read(text).ok()) else {
        return Some(ProofSeen { problems: vec!["the DPoP header is not a JWT".into()], ..ProofSeen::default() });
    };
    let mut problems = Vec::new();
    let mut must = |holds: bool, text: String| {
        if !holds {
            problems.push(text);
        }
    };
    let text = |name: &str| jws.claims[name].as_str().unwrap_or_default().to_owned();
    let sent = jws.header["jwk"].clone();
    let mut jwk = sent.clone();
    must(jws.header["typ"] == "dpop+jwt", format!("typ is {} instead of dpop+jwt", jws.header["typ"]));
    must(jwk.is_object(), "there is no jwk header".into());
    let private = ["d", "p", "q", "dp", "dq", "qi", "k"].iter().any(|name| jwk.get(name).is_some());
    must(!private, "jwk holds a private key".into());
    must(!jws.alg().starts_with("HS") && jws.alg() != "none", format!("alg {} is not asymmetric", jws.alg()));
    if jwk.is_object() {
        jwk["kid"] = jws.header["kid"].clone();
        must(jws.verify(&json!({"keys": [jwk]})).is_ok(), "the signature does not verify with its jwk".into());
    }
    must(jws.claims["htm"] == request.method(), format!("htm is {}", jws.claims["htm"]));
    must(same_url(&text("htu"), url), format!("htu is {} instead of {url}", jws.claims["htu"]));
    let now = jiff::Timestamp::now().as_second();
    let iat = jws.claims["iat"].as_i64();
    must(iat.is_some_and(|iat| iat.abs_diff(now) <= WINDOW_S), format!("iat {} is not now ({now})", jws.claims["iat"]));
    let jti = text("jti");
    must(!jti.is_empty(), "jti is missing".into());
    if let Some(token) = token {
        must(jws.claims["ath"] == sha256_b64(token).as_str(), "ath is not the hash of the access token".into());
    }
    let jkt = thumbprint(&sent);
    let mut state = shared.state();
    let once = format!("{jkt}\n{jti}");
    if state.proofs.contains(&once) {
        problems.push("the proof was sent before".into());
    }
    state.proofs.push(once);
    let nonce = jws.claims["nonce"].as_str().map(str::to_owned);
    Some(ProofSeen { alg: jws.alg().to_owned(), jkt, problems, nonce, jti, jwk: sent })
}

/// Without query and fragment (RFC 9449 4.3, check 9).
fn same_url(htu: &str, url: &str) -> bool {
    let plain = |text: &str| {
        url::Url::parse(text).ok().map(|mut url| {
            url.set_query(None);
            url.set_fragment(None);
            url
        })
    };
    plain(htu).is_some() && plain(htu) == plain(url)
}
