//! UserInfo (OIDC Core 5.3).

use std::time::Instant;

use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::handle::{self, Record};
use super::log::UserInfoRequest;
use super::script::Twist;
use super::token::nonce_needed;
use super::{Shared, proof};
use crate::counterpart::op::http::{In, Reply, get};

/// A UserInfo request. Whoever presents a known token gets an answer: how it was presented is told, not judged.
pub(super) fn userinfo(shared: &Shared, request: &In<'_>, raw: &Request) -> ResponseTemplate {
    let header = request.header("authorization").and_then(|header| header.split_once(' '));
    let scheme = header.map(|(scheme, _)| scheme.to_owned()).unwrap_or_default();
    let mut misplaced = Vec::new();
    let mut token = header.map(|(_, token)| token.trim().to_owned());
    for (place, pairs) in [("query", &request.query), ("body", &request.form)] {
        if let Some(found) = get(pairs, "access_token") {
            misplaced.push(place);
            token.get_or_insert(found.to_owned());
        }
    }
    let held = token.as_deref().and_then(|token| shared.state().access.get(token).cloned());
    let grant = held.as_ref().and_then(|held| shared.state().grants.get(&held.code).cloned());
    let which = grant.as_ref().map_or(0, |grant| grant.issuer);
    let url = format!("{}{}", shared.resource, shared.back_path(which, "claims"));
    let proof = proof::read(shared, request, &url, token.as_deref());
    let mut nonce_demanded = None;
    let reply = match (&held, &grant) {
        (Some(_), Some(grant)) => {
            let demanded = grant.script.twisted(Twist::UserInfoNonce);
            match nonce_needed(shared, true, demanded, proof.as_ref()) {
                Some(nonce) => {
                    nonce_demanded = Some(nonce.clone());
                    Reply::status(401)
                        .with("www-authenticate", "DPoP error=\"use_dpop_nonce\", error_description=\"the proof needs a nonce\"")
                        .with("dpop-nonce", nonce)
                }
                None => Reply::json(200, &claims(grant)).with("cache-control", "no-store"),
            }
        }
        _ => Reply::status(401).with("www-authenticate", "DPoP error=\"invalid_token\""),
    };
    let context = grant.as_ref().map(|grant| grant.context.clone());
    let exchange = handle::record(shared, &Record { context: context.as_deref(), step: "UserInfo request" }, raw, &reply);
    let seen = UserInfoRequest {
        authorization: grant.as_ref().and_then(|grant| Some(grant.request.as_ref()?.number)),
        context,
        at: Instant::now(),
        method: request.method().into(),
        scheme,
        misplaced,
        same_key: held.as_ref().and_then(|held| Some(*held.jkt.as_ref()? == proof.as_ref()?.jkt)),
        bound: held.is_some_and(|held| held.jkt.is_some()),
        proof,
        nonce_demanded,
        status: reply.status,
        exchange,
    };
    shared.state().log_mut().userinfo.push(seen);
    reply.template()
}

/// The claims of the user who signed in, or of somebody else.
fn claims(grant: &super::state::Grant) -> Value {
    let subject = &grant.script.subject;
    let foreign = grant.script.twisted(Twist::UserInfoOtherSub) || grant.script.twisted(Twist::UserInfoNoSub);
    let mut claims = if foreign {
        json!({
            "sub": super::FOREIGN_SUB, "name": super::FOREIGN_NAME, "email": super::FOREIGN_EMAIL, "email_verified": true,
        })
    } else {
        json!({
            "sub": subject.sub, "name": subject.name, "email": subject.email, "email_verified": subject.email_verified,
        })
    };
    for (name, value) in &grant.script.userinfo {
        claims[name] = value.clone();
    }
    if grant.script.twisted(Twist::UserInfoNoSub) {
        claims.as_object_mut().map(|claims| claims.remove("sub"));
    }
    claims
}
