//! Refresh tokens: the conforming answer is a fresh ID token of the same user and session (OIDC Core 12.2).

use serde_json::json;

use super::log::ProofSeen;
use super::script::{Script, Twist};
use super::state::Held;
use super::token::Answered;
use super::{Shared, id_token};
use crate::counterpart::op::http::{In, Reply, get};
use crate::wire::jose::random;

/// Answers a refresh as the context was told to.
pub(super) fn by_refresh_token(shared: &Shared, request: &In<'_>, proof: Option<&ProofSeen>) -> Answered {
    let sent = get(&request.form, "refresh_token").unwrap_or_default();
    let held = shared.state().refresh.get(sent).cloned();
    let grant = held.as_ref().and_then(|held| shared.state().grants.get(&held.code).cloned());
    let (Some(held), Some(grant)) = (held, grant) else {
        return Answered::refused(400, "invalid_grant", "the refresh token is unknown", None);
    };
    let twist = shared.state().contexts.get(&grant.context).and_then(|context| context.refresh);
    if twist == Some(Twist::RefreshRefused) {
        return Answered::refused(400, "invalid_grant", "the refresh token was revoked", Some(grant));
    }
    let (access, next) = (random(24), random(24));
    let jkt = proof.map(|proof| proof.jkt.clone());
    let successor = Held { code: held.code, jkt: jkt.clone() };
    {
        let mut state = shared.state();
        state.access.insert(access.clone(), successor.clone());
        state.refresh.insert(next.clone(), successor);
    }
    let mut body = json!({
        "access_token": access,
        "token_type": if jkt.is_some() { "DPoP" } else { "Bearer" },
        "expires_in": 300,
        "refresh_token": next,
    });
    if twist != Some(Twist::RefreshNoIdToken) {
        let mut script = Script { twists: Vec::new(), ..grant.script.clone() };
        script.session_s = script.refreshed_s.or(script.session_s);
        if twist == Some(Twist::RefreshOtherSub) {
            script.subject.sub.push_str("-other");
        }
        // No nonce: a refreshed ID token need not have one (OIDC Core 12.2).
        body["id_token"] = id_token::make(shared, grant.issuer, &script, None, Some(&grant.sid)).into();
    }
    let reply = Reply::json(200, &body).with("cache-control", "no-store");
    Answered { reply, error: "", grant: Some(grant), verifier_fits: None, nonce_demanded: None }
}
