//! ID tokens (OIDC Core 2, IPSIE SL1 3.2.1) and subject identifiers (OIDC Core 8.1).

use serde_json::{Value, json};

use super::state::{Account, Grant, State};
use super::{Op, RegisteredClient, TENANT};
use crate::counterpart::twist::Twist;
use crate::wire::{
    jose::{random, sha256_b64},
    jwe,
};

/// Seconds an ID token is valid: long enough to start a session, and no longer.
const LIFETIME_S: i64 = 300;

/// The subject identifier of an account for a client.
pub fn subject(op: &Op, client: Option<&RegisteredClient>, account: &Account) -> String {
    if op.twist(Twist::IdTokenSub) {
        return random(18);
    }
    match client.and_then(|client| client.pairwise_sector.as_deref()) {
        Some(sector) => {
            let sector = if op.twist(Twist::PairwiseOffered) { "" } else { sector };
            sha256_b64(format!("{}\n{sector}\n{}", op.salt, account.id))
        }
        None => account.sub.clone(),
    }
}

/// Signs an ID token, and encrypts it where the client registered for that. `again`: it is issued by a refresh.
pub fn issue(op: &Op, state: &State, grant: &Grant, nonce: Option<&str>, again: bool) -> String {
    let claims = claims(op, state, grant, nonce, again);
    let signed = op.other_key.as_ref().unwrap_or(&op.key).sign(&json!({"typ": "JWT"}), &claims);
    let client = state.clients.get(&grant.client_id);
    match client.filter(|client| client.encrypt_id_token && !op.twist(Twist::IdTokenEncryptionOffered)) {
        // A key that cannot be used gives an empty token rather than a plain one.
        Some(client) => encryption_key(client).and_then(|key| jwe::encrypt(&signed, key, "JWT").ok()).unwrap_or_default(),
        None => signed,
    }
}

fn encryption_key(client: &RegisteredClient) -> Option<&Value> {
    client.jwks["keys"].as_array()?.iter().find(|key| key["use"] == "enc")
}

fn claims(op: &Op, state: &State, grant: &Grant, nonce: Option<&str>, again: bool) -> Value {
    let now = op.now();
    let lifetime = if op.twist(Twist::IdTokenShortValidity) { 86_400 } else { LIFETIME_S };
    let mut claims = json!({
        "iss": op.issuer,
        "sub": grant.sub,
        "aud": grant.client_id,
        "iat": now,
        "exp": now + lifetime,
        "auth_time": grant.auth_time,
        "acr": grant.acr,
        "amr": if grant.strong && !op.twist(Twist::AmrMatchesRequest) { json!(["pwd", "otp", "hwk", "mfa"]) } else { json!(["pwd", "otp", "mfa"]) },
        "session_expiry": now + session_lifetime(op, state),
        "jti": random(18),
    });
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    if let Some(tenant) = &grant.tenant {
        claims["tenant"] = tenant.as_str().into();
    }
    if let Some(directory) = op.claims.get() {
        directory.add(&grant.user, &mut claims);
    }
    spoil(op, &mut claims, grant, again);
    claims
}

fn session_lifetime(op: &Op, state: &State) -> i64 {
    if op.twist(Twist::SessionExpiryControllable) { 8 * 3600 } else { state.session_lifetime_s }
}

/// The defects of single claims.
fn spoil(op: &Op, claims: &mut Value, grant: &Grant, again: bool) {
    let remove = |claims: &mut Value, name: &str| {
        if let Some(members) = claims.as_object_mut() {
            members.shift_remove(name);
        }
    };
    if op.twist(Twist::IdTokenIss) {
        claims["iss"] = op.issuer.replacen("://", "://login.", 1).into();
    }
    if op.twist(Twist::IdTokenAudString) {
        claims["aud"] = json!([grant.client_id]);
    }
    if op.twist(Twist::IdTokenTimes) {
        claims["exp"] = claims["exp"].to_string().into();
    }
    if op.twist(Twist::AssertionIdentifier) {
        claims["jti"] = "assertion".into();
    }
    if grant.acr.is_empty() || (op.twist(Twist::IdTokenAcr) && !grant.acr_asked) {
        remove(claims, "acr");
    }
    if op.twist(Twist::IdTokenAmr) {
        claims["amr"] = "pwd otp mfa".into();
    }
    if op.twist(Twist::AmrRegistered) {
        claims["amr"] = json!(["pwd", "otp", "mfa", "authenticator_app"]);
    }
    if op.twist(Twist::MfaReported) {
        claims["amr"] = json!(["pwd"]);
    }
    if op.twist(Twist::IdTokenAuthTime) && !grant.max_age_asked {
        remove(claims, "auth_time");
    }
    if op.twist(Twist::IdTokenSessionExpiry) {
        claims["session_expiry"] = (claims["session_expiry"].as_i64().unwrap_or_default() - op.now()).into();
    }
    if op.twist(Twist::RefreshNewIdToken) && again {
        remove(claims, "session_expiry");
    }
    if op.twist(Twist::TenantClaimForm) {
        claims["tenant"] = json!({"id": TENANT});
    }
    if op.twist(Twist::AttributeMinimisation) {
        claims["email"] = format!("{}@example.com", grant.user).into();
        claims["groups"] = json!(["staff"]);
    }
}
