//! DPoP proofs with server-provided nonces (RFC 9449 4.3, 8, 9).

use serde_json::json;
use url::Url;

use super::Op;
use super::http::In;
use super::state::State;
use crate::wire::jose::{self, Jws, random, sha256_b64, thumbprint};

/// Seconds a proof may differ from the service's clock.
const WINDOW_S: u64 = 60;
/// Seconds after which a new nonce is handed out.
const NONCE_ROTATION_S: i64 = 60;
/// Seconds a nonce is accepted.
const NONCE_LIFETIME_S: i64 = 300;

/// What a request proves.
pub enum Proof {
    /// It carries no proof.
    None,
    /// Possession of the key with this thumbprint.
    Key(String),
    /// Nothing: OAuth error code and description.
    Refused(&'static str, &'static str),
}

/// Checks the proof of a request to the endpoint at `url`; `token` is the access token it comes with.
pub fn proof(op: &Op, state: &mut State, request: &In<'_>, url: &str, token: Option<&str>) -> Proof {
    match request.header_count("dpop") {
        0 => return Proof::None,
        1 => {}
        _ => return Proof::Refused("invalid_dpop_proof", "more than one proof"),
    }
    let Some(jws) = request.header("dpop").and_then(|text| jose::read(text).ok()) else {
        return Proof::Refused("invalid_dpop_proof", "the proof is not a JWT");
    };
    if let Err(text) = check(op, &jws, request.method(), url, token) {
        return Proof::Refused("invalid_dpop_proof", text);
    }
    let now = op.now();
    let fresh = |nonce: &str| state.nonces.iter().any(|(known, made)| known == nonce && now - made <= NONCE_LIFETIME_S);
    if !jws.claims["nonce"].as_str().is_some_and(fresh) {
        return Proof::Refused("use_dpop_nonce", "the proof needs the nonce of the DPoP-Nonce header");
    }
    let jkt = thumbprint(&jws.header["jwk"]);
    let jti = jws.claims["jti"].as_str().unwrap_or_default();
    if !state.first_use(format!("proof\n{jkt}\n{jti}"), now, now + 2 * WINDOW_S.cast_signed()) {
        return Proof::Refused("invalid_dpop_proof", "the proof was used before");
    }
    Proof::Key(jkt)
}

fn check(op: &Op, jws: &Jws, method: &str, url: &str, token: Option<&str>) -> Result<(), &'static str> {
    if jws.header["typ"] != "dpop+jwt" {
        return Err("typ is not dpop+jwt");
    }
    if !matches!(jws.alg(), "ES256" | "PS256" | "EdDSA" | "Ed25519") {
        return Err("the algorithm of the proof is not allowed");
    }
    let mut jwk = jws.header["jwk"].clone();
    let private = ["d", "p", "q", "dp", "dq", "qi", "k"].iter().any(|name| jwk.get(name).is_some());
    if !jwk.is_object() || private {
        return Err("jwk is not a public key");
    }
    jwk["kid"] = jws.header["kid"].clone();
    jws.verify(&json!({"keys": [jwk]})).map_err(|_| "the signature of the proof does not verify")?;
    if jws.claims["htm"] != method {
        return Err("htm is another method");
    }
    if !jws.claims["htu"].as_str().is_some_and(|htu| same_url(htu, url)) {
        return Err("htu is another address");
    }
    if jws.claims["iat"].as_i64().is_none_or(|iat| iat.abs_diff(op.now()) > WINDOW_S) {
        return Err("iat is not now");
    }
    if jws.claims["jti"].as_str().is_none_or(str::is_empty) {
        return Err("jti is missing");
    }
    match token {
        Some(token) if jws.claims["ath"] != sha256_b64(token).as_str() => Err("ath is not the hash of the access token"),
        _ => Ok(()),
    }
}

/// Without query and fragment, after normalisation (RFC 9449 4.3, check 9).
fn same_url(htu: &str, url: &str) -> bool {
    let plain = |text: &str| {
        Url::parse(text).ok().map(|mut url| {
            url.set_query(None);
            url.set_fragment(None);
            url
        })
    };
    plain(htu).is_some() && plain(htu) == plain(url)
}

/// The nonce to use next.
pub fn nonce(op: &Op, state: &mut State) -> String {
    let now = op.now();
    state.nonces.retain(|(_, made)| now - made <= NONCE_LIFETIME_S);
    if let Some((nonce, made)) = state.nonces.last()
        && now - made < NONCE_ROTATION_S
    {
        return nonce.clone();
    }
    let nonce = random(16);
    state.nonces.push((nonce.clone(), now));
    nonce
}
