//! From what arrived to what may be written down: facts and digests, no secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Seen;
use crate::counterpart::provider::log::{ClientAuthSeen, ProofSeen};
use crate::counterpart::provider::{Authorization, Fetched, TokenRequest};
use crate::model::ExchangeId;
use crate::stage::Stage;
use crate::stage::app_world::{AppWorld, CookieSet};
use crate::stage::visitor::Attempt;
use crate::wire::client_hello::read_client_hello;
use crate::wire::entropy::{Estimate, estimate};
use crate::wire::jose::{sha256_b64, unb64};

/// An authorization request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuthzFacts {
    /// The exchange.
    pub exchange: ExchangeId,
    /// 0 for the main issuer, 1 for the second one.
    pub issuer: usize,
    /// `response_type`.
    pub response_type: Option<String>,
    /// `scope`.
    pub scope: Option<String>,
    /// `client_id`.
    pub client_id: Option<String>,
    /// `redirect_uri`.
    pub redirect_uri: Option<String>,
    /// Parameters that stand more than once.
    pub repeated: Vec<String>,
    /// Digest of `code_challenge`.
    pub challenge: Option<String>,
    /// `code_challenge` is 43 base64url characters.
    pub challenge_formed: bool,
    /// `code_challenge_method`.
    pub method: Option<String>,
    /// Digest and length of `nonce`.
    pub nonce: Option<(String, usize)>,
    /// `max_age`.
    pub max_age: Option<String>,
}

/// A token request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TokenFacts {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Request method.
    pub method: String,
    /// Media type, without parameters.
    pub media_type: String,
    /// `grant_type`.
    pub grant_type: String,
    /// Digest of the code.
    pub code: Option<String>,
    /// The code came by a response that the provider itself delivered.
    pub delivered: bool,
    /// `redirect_uri` equals that of the authorization request; `None` where the code answers none.
    pub same_redirect_uri: Option<bool>,
    /// Client authentication methods used.
    pub auth: Vec<String>,
    /// The secret or signature is right, where the suite can tell.
    pub auth_right: Option<bool>,
    /// Basic credentials were not form-encoded.
    pub raw_credentials: bool,
    /// Sensitive parameters in the URL.
    pub in_url: Vec<String>,
    /// Length of `code_verifier`; `None` where there is none.
    pub verifier_len: Option<usize>,
    /// `code_verifier` is of the unreserved characters (RFC 7636 4.1).
    pub verifier_formed: bool,
    /// `code_verifier` fits.
    pub verifier_fits: Option<bool>,
    /// The proof it carries.
    pub proof: Option<ProofFacts>,
    /// Status of the answer.
    pub status: u16,
    /// OAuth error of the answer.
    pub error: String,
}

/// A DPoP proof.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProofFacts {
    /// JOSE `alg`.
    pub alg: String,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// A UserInfo request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UserInfoFacts {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Scheme of the Authorization header.
    pub scheme: String,
    /// Where else the token stood.
    pub misplaced: Vec<String>,
    /// The token is bound to a key.
    pub bound: bool,
    /// The proof is made with that key.
    pub same_key: Option<bool>,
    /// The proof it carries.
    pub proof: Option<ProofFacts>,
    /// The token is known to the provider.
    pub known: bool,
}

/// A client assertion.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AssertionFacts {
    /// The exchange.
    pub exchange: ExchangeId,
    /// 0 for the main issuer, 1 for the second one.
    pub issuer: usize,
    /// JOSE `alg`.
    pub alg: String,
    /// `aud` as it stands in the JSON.
    pub aud: Value,
    /// `iss` is the client.
    pub iss_right: bool,
    /// `sub` is the client.
    pub sub_right: bool,
    /// Digest of `jti`; `None` where there is none.
    pub jti: Option<String>,
    /// Seconds from `iat` (or arrival) to `exp`; `None` without `exp`.
    pub lifetime_s: Option<i64>,
}

/// A public key of the application.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeyFacts {
    /// Where it was seen.
    pub place: String,
    /// `kty`.
    pub kty: String,
    /// Bits of the modulus or of the curve; `None` for a curve the suite does not know.
    pub bits: Option<usize>,
    /// Private members it holds.
    pub private: Vec<String>,
    /// The exchange, where there was one.
    pub exchange: Option<ExchangeId>,
}

/// A ClientHello of the application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloFacts {
    /// Suites of TLS 1.2 and before other than the four recommended ones.
    pub beyond_recommended: Vec<String>,
}

/// Cookies of the application.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CookieFacts {
    /// Name of the cookie that carries the session, where it is known.
    pub session: Option<String>,
    /// Names that might be it.
    pub candidates: Vec<String>,
    /// Randomness of its values.
    pub values: Estimate,
    /// It was set without `Secure`.
    pub insecure: Vec<ExchangeId>,
    /// It was set without `HttpOnly`.
    pub readable: Vec<ExchangeId>,
    /// Its value was the same before and after a login.
    pub fixed: Vec<ExchangeId>,
    /// Randomness of `state`.
    pub states: Estimate,
}

/// Reads all that arrived in the run.
pub fn gather(stage: &Stage, app: &AppWorld, logins: Vec<Attempt>) -> Seen {
    let log = app.provider.log();
    let client_ids: Vec<String> =
        [app.app.client_id.clone()].into_iter().chain(app.app.second.as_ref().map(|second| second.client_id.clone())).collect();
    let mut distinct = BTreeSet::new();
    // A reload of the very same URL is one request; so is a request of a browser that is not ours.
    let own = |seen: &&Authorization| seen.context.is_some() && distinct.insert((seen.context.clone(), seen.params.clone()));
    let authorizations: Vec<&Authorization> = log.authorizations.iter().filter(own).collect();
    let verifiers: Vec<&str> = log.tokens.iter().filter_map(|token| token.get("code_verifier")).collect();
    let mut once = BTreeSet::new();
    let verifiers: Vec<&str> = verifiers.into_iter().filter(|verifier| once.insert(*verifier)).collect();
    let objects = authorizations.iter().filter_map(|seen| Some((seen.object_alg.clone()?, seen.exchange.clone())));
    let traps = log.fetches.iter().filter(|fetch| fetch.what == Fetched::Trap);
    let issuer_of = |token: &TokenRequest| {
        token.authorization.and_then(|number| log.authorizations.get(number)).map_or(0, |authorization| authorization.issuer)
    };
    let mut assertions: Vec<AssertionFacts> = Vec::new();
    for token in &log.tokens {
        assertions.extend(assertion(&token.auth, &token.exchange, issuer_of(token), token.when.as_second(), &client_ids));
    }
    for fetch in &log.fetches {
        let Fetched::Pushed(issuer) = fetch.what else { continue };
        let when = jiff::Timestamp::now().as_second();
        assertions.extend(fetch.auth.iter().flat_map(|auth| assertion(auth, &fetch.exchange, issuer, when, &client_ids)));
    }
    let connections = app.provider.back.connections();
    let mut hellos: Vec<HelloFacts> = Vec::new();
    for hello in connections.iter().filter_map(|connection| read_client_hello(&connection.hello)) {
        let beyond_recommended = hello.beyond_recommended().into_iter().map(|suite| suite.name).collect();
        let facts = HelloFacts { beyond_recommended };
        if !hellos.contains(&facts) {
            hellos.push(facts);
        }
    }
    Seen {
        logins,
        issuers: vec![app.provider.issuer().to_owned(), app.provider.second_issuer()],
        client_ids: client_ids.clone(),
        registered_auth: app.app.auth,
        redirect_uris: app.app.redirect_uris.clone(),
        objects: objects.collect(),
        authorizations: authorizations.into_iter().map(authorization).collect(),
        tokens: log.tokens.iter().map(|seen| token(seen, seen.authorization.and_then(|n| log.authorizations.get(n)))).collect(),
        userinfo: log.userinfo.iter().map(userinfo).collect(),
        assertions,
        keys: keys(app, &log),
        traps: traps.map(|fetch| (fetch.path.clone(), fetch.exchange.clone())).collect(),
        hellos,
        verifiers: estimate(&verifiers),
        leaks: stage.world.recorder.find(&secrets(app, &log)),
        overheard_cut: stage.world.recorder.overheard_cut(),
        cookies: cookies(app, &log),
    }
}

fn authorization(seen: &Authorization) -> AuthzFacts {
    let text = |name: &str| seen.get(name).map(str::to_owned);
    let formed = |challenge: &str| challenge.len() == 43 && unb64(challenge).is_ok();
    AuthzFacts {
        exchange: seen.exchange.clone(),
        issuer: seen.issuer,
        response_type: text("response_type"),
        scope: text("scope"),
        client_id: text("client_id"),
        redirect_uri: text("redirect_uri"),
        repeated: seen.repeated().into_iter().map(str::to_owned).collect(),
        challenge: seen.get("code_challenge").map(sha256_b64),
        challenge_formed: seen.get("code_challenge").is_some_and(formed),
        method: text("code_challenge_method"),
        nonce: seen.get("nonce").map(|nonce| (sha256_b64(nonce), nonce.chars().count())),
        max_age: text("max_age"),
    }
}

fn token(seen: &TokenRequest, request: Option<&Authorization>) -> TokenFacts {
    let verifier = seen.get("code_verifier");
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    const NEVER_IN_URL: [&str; 6] = ["client_secret", "client_assertion", "code", "code_verifier", "refresh_token", "password"];
    TokenFacts {
        exchange: seen.exchange.clone(),
        method: seen.method.clone(),
        media_type: seen.media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase(),
        grant_type: seen.get("grant_type").unwrap_or_default().to_owned(),
        code: seen.get("code").map(sha256_b64),
        delivered: seen.delivered,
        same_redirect_uri: request.map(|request| request.get("redirect_uri") == seen.get("redirect_uri")),
        auth: seen.auth.methods.clone(),
        auth_right: seen.auth.right.filter(|_| request.is_none_or(|request| request.issuer == 0)),
        raw_credentials: seen.auth.raw_credentials,
        in_url: seen.query.iter().filter(|name| NEVER_IN_URL.contains(&name.as_str())).cloned().collect(),
        verifier_len: verifier.map(str::len),
        verifier_formed: verifier.is_some_and(|verifier| verifier.bytes().all(unreserved)),
        verifier_fits: seen.verifier_fits,
        proof: seen.proof.as_ref().map(proof),
        status: seen.status,
        error: seen.error.to_owned(),
    }
}

fn proof(seen: &ProofSeen) -> ProofFacts {
    ProofFacts { alg: seen.alg.clone(), problems: seen.problems.clone() }
}

fn userinfo(seen: &crate::counterpart::provider::UserInfoRequest) -> UserInfoFacts {
    UserInfoFacts {
        exchange: seen.exchange.clone(),
        scheme: seen.scheme.clone(),
        misplaced: seen.misplaced.iter().map(|place| (*place).to_owned()).collect(),
        bound: seen.bound,
        same_key: seen.same_key,
        proof: seen.proof.as_ref().map(proof),
        known: seen.context.is_some(),
    }
}

fn assertion(auth: &ClientAuthSeen, exchange: &str, issuer: usize, when: i64, client_ids: &[String]) -> Option<AssertionFacts> {
    let seen = auth.assertion.as_ref()?;
    Some(AssertionFacts {
        exchange: exchange.to_owned(),
        issuer,
        alg: seen.alg.clone(),
        aud: seen.aud.clone(),
        iss_right: client_ids.contains(&seen.iss),
        sub_right: client_ids.contains(&seen.sub),
        jti: (!seen.jti.is_empty()).then(|| sha256_b64(&seen.jti)),
        lifetime_s: seen.exp.map(|exp| exp - seen.iat.unwrap_or(when)),
    })
}

/// Registered keys and those of DPoP proofs, each once.
fn keys(app: &AppWorld, log: &crate::counterpart::provider::Log) -> Vec<KeyFacts> {
    let mut out: Vec<KeyFacts> = app.provider.client_keys().iter().map(|jwk| key(jwk, "registered key", None)).collect();
    let mut known = BTreeSet::new();
    let proofs = log.tokens.iter().filter_map(|seen| Some((seen.proof.as_ref()?, &seen.exchange)));
    let proofs = proofs.chain(log.userinfo.iter().filter_map(|seen| Some((seen.proof.as_ref()?, &seen.exchange))));
    for (proof, exchange) in proofs {
        if known.insert(proof.jkt.clone()) && proof.jwk.is_object() && out.len() < 40 {
            out.push(key(&proof.jwk, "key of a DPoP proof", Some(exchange.clone())));
        }
    }
    out
}

fn key(jwk: &Value, place: &str, exchange: Option<ExchangeId>) -> KeyFacts {
    let kty = jwk["kty"].as_str().unwrap_or_default().to_owned();
    let modulus = || {
        let bytes = unb64(jwk["n"].as_str()?).ok()?;
        let first = bytes.iter().position(|byte| *byte != 0)?;
        Some((bytes.len() - first) * 8 - usize::try_from(bytes[first].leading_zeros()).ok()?)
    };
    let curve = match jwk["crv"].as_str() {
        Some("P-256" | "Ed25519" | "X25519" | "secp256k1") => Some(256),
        Some("P-384") => Some(384),
        Some("P-521") => Some(521),
        Some("P-192") => Some(192),
        Some("P-224") => Some(224),
        Some("Ed448" | "X448") => Some(448),
        _ => None,
    };
    const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];
    KeyFacts {
        place: place.to_owned(),
        bits: if kty == "RSA" { modulus() } else { curve },
        kty,
        private: PRIVATE.into_iter().filter(|name| jwk.get(*name).is_some()).map(str::to_owned).collect(),
        exchange,
    }
}

/// What must not reach the browser, with what it is.
fn secrets(app: &AppWorld, log: &crate::counterpart::provider::Log) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> =
        app.client_secret.iter().map(|secret| (secret.clone(), "the client secret".into())).collect();
    let verifiers = log.tokens.iter().filter(|token| token.delivered).filter_map(|token| token.get("code_verifier"));
    out.extend(verifiers.map(|verifier| (verifier.to_owned(), "a code verifier".to_owned())));
    let assertions = log.tokens.iter().filter_map(|token| token.get("client_assertion"));
    out.extend(assertions.map(|assertion| (assertion.to_owned(), "a client assertion".to_owned())));
    out.extend(app.provider.issued());
    out
}

/// What the cookies show. A cookie that was set when the login ended, in every login, carries the session.
fn cookies(app: &AppWorld, log: &crate::counterpart::provider::Log) -> CookieFacts {
    let set = app.cookies.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let live: Vec<&CookieSet> = set.iter().filter(|cookie| !cookie.value.is_empty()).collect();
    let signed_in = app.signed_in.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut logins: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for cookie in live.iter().filter(|cookie| cookie.at_callback) {
        logins.entry(&cookie.name).or_default().insert(&cookie.context);
    }
    if logins.is_empty() {
        // A session that keeps its identifier at login sets no cookie then: what was set before is looked at.
        for cookie in live.iter().filter(|cookie| cookie.http_only && signed_in.contains(cookie.context.as_str())) {
            logins.entry(&cookie.name).or_default().insert(&cookie.context);
        }
    }
    let most = logins.values().map(BTreeSet::len).max().unwrap_or(0);
    let mut candidates: Vec<String> =
        logins.iter().filter(|(_, contexts)| contexts.len() == most).map(|(name, _)| (*name).to_owned()).collect();
    // Where only one of them is out of the scripts' reach, that is the one.
    let http_only = |name: &String| live.iter().any(|cookie| cookie.name == *name && cookie.http_only);
    if candidates.len() > 1 && candidates.iter().filter(|name| http_only(name)).count() == 1 {
        candidates.retain(http_only);
    }
    let declared = &app.app.session_cookie;
    let session =
        if declared.is_empty() { candidates.first().filter(|_| candidates.len() == 1).cloned() } else { Some(declared.clone()) };
    let of_session: Vec<&CookieSet> = live.iter().copied().filter(|cookie| Some(&cookie.name) == session.as_ref()).collect();
    let ended: Vec<&CookieSet> =
        of_session.iter().copied().filter(|cookie| cookie.at_callback && signed_in.contains(cookie.context.as_str())).collect();
    let mut values = BTreeSet::new();
    let samples: Vec<&str> = ended
        .iter()
        .filter(|cookie| values.insert((cookie.context.as_str(), cookie.value.as_str())))
        .map(|cookie| cookie.value.as_str())
        .collect();
    let fixed = |after: &&&CookieSet| {
        let before = of_session.iter().take_while(|cookie| cookie.exchange != after.exchange);
        before.filter(|cookie| cookie.context == after.context).any(|cookie| cookie.value == after.value)
    };
    // Set before the login, and not again when it ended: the identifier is still the same.
    let renewed: BTreeSet<&str> =
        of_session.iter().filter(|cookie| cookie.at_callback).map(|cookie| cookie.context.as_str()).collect();
    let kept = of_session.iter().filter(|cookie| {
        signed_in.contains(cookie.context.as_str()) && !cookie.at_callback && !renewed.contains(cookie.context.as_str())
    });
    let kept: Vec<ExchangeId> = kept.map(|cookie| cookie.exchange.clone()).collect();
    let states: BTreeSet<&str> = log.authorizations.iter().filter_map(|seen| seen.get("state")).collect();
    let states: Vec<&str> = states.into_iter().collect();
    let told = |wanted: &dyn Fn(&CookieSet) -> bool| {
        of_session.iter().filter(|cookie| wanted(cookie)).take(3).map(|cookie| cookie.exchange.clone()).collect::<Vec<_>>()
    };
    CookieFacts {
        candidates,
        values: estimate(&samples),
        insecure: told(&|cookie| !cookie.secure),
        readable: told(&|cookie| !cookie.http_only),
        fixed: ended.iter().filter(fixed).map(|cookie| cookie.exchange.clone()).chain(kept).take(3).collect(),
        states: estimate(&states),
        session,
    }
}
