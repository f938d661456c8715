//! The token endpoint: codes and refresh tokens.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::handle::{self, Record};
use super::log::{ProofSeen, TokenRequest};
use super::script::Twist;
use super::state::{Grant, Held};
use super::{Shared, client, id_token, proof, refresh};
use crate::counterpart::op::http::{In, Reply, get};
use crate::wire::jose::{random, sha256_b64};

/// What the endpoint found out about a request before it answers.
pub(super) struct Answered {
    pub reply: Reply,
    pub error: &'static str,
    pub grant: Option<Grant>,
    pub verifier_fits: Option<bool>,
    pub nonce_demanded: Option<String>,
}

impl Answered {
    pub(super) fn refused(status: u16, error: &'static str, text: &str, grant: Option<Grant>) -> Self {
        Answered { reply: Reply::oauth_error(status, error, text), error, grant, verifier_fits: None, nonce_demanded: None }
    }
}

/// A token request.
pub(super) fn token(shared: &Shared, which: usize, request: &In<'_>, raw: &Request) -> ResponseTemplate {
    let url = format!("{}{}", shared.back, shared.back_path(which, "tokens"));
    let proof = proof::read(shared, request, &url, None);
    let auth = client::authentication(shared, request);
    let answered = match (request.method(), get(&request.form, "grant_type")) {
        ("POST", Some("authorization_code")) => by_code(shared, request, proof.as_ref()),
        ("POST", Some("refresh_token")) => refresh::by_refresh_token(shared, request, proof.as_ref()),
        ("POST", Some(_)) => Answered::refused(400, "unsupported_grant_type", "only codes and refresh tokens", None),
        ("POST", None) => Answered::refused(400, "invalid_request", "grant_type is missing", None),
        _ => Answered::refused(405, "invalid_request", "only POST", None),
    };
    let context = answered.grant.as_ref().map(|grant| grant.context.clone());
    let exchange = handle::record(shared, &Record { context: context.as_deref(), step: "token request" }, raw, &answered.reply);
    let seen = TokenRequest {
        authorization: answered.grant.as_ref().and_then(|grant| Some(grant.request.as_ref()?.number)),
        delivered: answered.grant.as_ref().is_some_and(|grant| grant.delivered),
        context,
        at: Instant::now(),
        when: Timestamp::now(),
        method: request.method().into(),
        media_type: request.header("content-type").unwrap_or_default().into(),
        form: request.form.clone(),
        query: request.query.iter().map(|(name, _)| name.clone()).collect(),
        auth,
        proof,
        verifier_fits: answered.verifier_fits,
        nonce_demanded: answered.nonce_demanded,
        status: answered.reply.status,
        error: answered.error,
        exchange,
    };
    shared.state().log_mut().tokens.push(seen);
    answered.reply.template()
}

fn by_code(shared: &Shared, request: &In<'_>, proof: Option<&ProofSeen>) -> Answered {
    let code = get(&request.form, "code").unwrap_or_default();
    let Some(grant) = shared.state().grants.get(code).cloned() else {
        return Answered::refused(400, "invalid_grant", "the code is unknown", None);
    };
    let challenge = grant.request.as_ref().and_then(|request| request.get("code_challenge").map(str::to_owned));
    let verifier = get(&request.form, "code_verifier");
    let plain = grant.request.as_ref().is_some_and(|request| request.get("code_challenge_method") != Some("S256"));
    let verifier_fits = challenge
        .map(|challenge| verifier.is_some_and(|verifier| challenge == sha256_b64(verifier) || (plain && challenge == verifier)));
    let twisted = |twist| grant.script.twisted(twist);
    let lenient = twisted(Twist::AnyVerifier) || grant.request.is_none();
    let with = |answered: Answered| Answered { verifier_fits, ..answered };
    if verifier_fits == Some(false) && !lenient {
        return with(Answered::refused(400, "invalid_grant", "code_verifier does not fit", Some(grant)));
    }
    if twisted(Twist::IdTokenBesideCode) {
        return with(Answered::refused(400, "invalid_grant", "this code is not honoured", Some(grant)));
    }
    if let Some(nonce) = nonce_needed(shared, false, twisted(Twist::TokenNonce), proof) {
        let mut answered = Answered::refused(400, "use_dpop_nonce", "the proof needs the nonce of DPoP-Nonce", Some(grant));
        answered.reply = answered.reply.with("dpop-nonce", nonce.clone());
        return Answered { verifier_fits, nonce_demanded: Some(nonce), ..answered };
    }
    if grant.used > 0 && !twisted(Twist::CodeReusable) {
        return with(Answered::refused(400, "invalid_grant", "the code was used", Some(grant)));
    }
    if let Some(known) = shared.state().grants.get_mut(code) {
        known.used += 1;
    }
    let body = tokens(shared, code, &grant, proof);
    let mut reply = Reply::json(200, &body).with("cache-control", "no-store");
    if twisted(Twist::TokenNonce) {
        // A new nonce with a success answer counts from the application's next token request on, also that of another login
        // (RFC 9449 8.2).
        let next = random(12);
        shared.state().nonces.entry(false).or_default().push(next.clone());
        reply = reply.with("dpop-nonce", next);
    }
    Answered { reply, error: "", grant: Some(grant), verifier_fits, nonce_demanded: None }
}

/// The nonce that a proof lacks, where one is demanded. Only who sends proofs at all is asked for one. Nonces belong to an endpoint,
/// not to a login: a client keeps them.
pub(super) fn nonce_needed(shared: &Shared, resource: bool, demanded: bool, proof: Option<&ProofSeen>) -> Option<String> {
    let proof = proof.filter(|_| demanded)?;
    let mut state = shared.state();
    let handed_out = state.nonces.entry(resource).or_default();
    if handed_out.is_empty() {
        handed_out.push(random(12));
    }
    handed_out.last().filter(|nonce| proof.nonce.as_ref() != Some(nonce)).cloned()
}

/// The members of a token response (OIDC Core 3.1.3.3).
fn tokens(shared: &Shared, code: &str, grant: &Grant, proof: Option<&ProofSeen>) -> Value {
    let access = random(24);
    let jkt = proof.map(|proof| proof.jkt.clone());
    let held = Held { code: code.to_owned(), jkt: jkt.clone() };
    shared.state().access.insert(access.clone(), held.clone());
    let asked = |name: &str| grant.request.as_ref().and_then(|request| request.get(name));
    let mut body = json!({
        "access_token": access,
        "token_type": if jkt.is_some() { "DPoP" } else { "Bearer" },
        "expires_in": 300,
        "scope": asked("scope").unwrap_or("openid"),
    });
    if grant.script.twisted(Twist::GarbageIdToken) {
        body["id_token"] = "not.a.jwt".into();
    } else if !grant.script.twisted(Twist::NoIdToken) {
        let id_token = id_token::make(shared, grant.issuer, &grant.script, asked("nonce"), Some(&grant.sid));
        shared.state().id_tokens.push(id_token.clone());
        body["id_token"] = id_token.into();
    }
    if asked("scope").is_some_and(|scope| scope.split(' ').any(|part| part == "offline_access")) {
        let refresh = random(24);
        shared.state().refresh.insert(refresh.clone(), held);
        body["refresh_token"] = refresh.into();
    }
    body
}
