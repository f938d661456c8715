//! ID tokens: the conforming one, and where a script says so a forged one.

use serde_json::{Map, Value, json};

use super::script::{Script, Twist};
use super::{Shared, forge};
use crate::wire::jose::random;

/// The class every login of the provider meets.
pub(super) const ACR: &str = "urn:ipsie-conform:acr:mfa";

/// The ID token for this login. `nonce` is that of the request, `sid` the session at the provider.
pub(super) fn make(shared: &Shared, which: usize, script: &Script, nonce: Option<&str>, sid: Option<&str>) -> String {
    let claims = claims(shared, which, script, nonce, sid);
    let forgery = script.twists.iter().find_map(|twist| match twist {
        Twist::Forged(forgery) => Some(*forgery),
        _ => None,
    });
    match forgery {
        None => shared.keys.main.sign(&json!({"typ": "JWT"}), &Value::Object(claims)),
        Some(forgery) => forge::forge(shared, which, forgery, claims),
    }
}

/// The claims of a conforming ID token (OIDC Core 2, IPSIE SL1 3.2.1), with the script's own put over them.
fn claims(shared: &Shared, which: usize, script: &Script, nonce: Option<&str>, sid: Option<&str>) -> Map<String, Value> {
    let now = jiff::Timestamp::now().as_second();
    let subject = &script.subject;
    let acr = if shared.app.required_acr.is_empty() { ACR } else { &shared.app.required_acr };
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    put("iss", shared.issuer(which).into());
    put("sub", subject.sub.clone().into());
    put("aud", shared.client_id(which).into());
    put("iat", now.into());
    put("exp", (now + script.exp_s.unwrap_or(300)).into());
    put("auth_time", now.into());
    put("jti", random(12).into());
    put("acr", acr.into());
    put("amr", json!(["pwd", "otp", "mfa"]));
    put("session_expiry", (now + script.session_s.unwrap_or(3600)).into());
    put("email", subject.email.clone().into());
    put("email_verified", subject.email_verified.into());
    put("name", subject.name.clone().into());
    if !subject.tenant.is_empty() {
        put("tenant", subject.tenant.clone().into());
    }
    if let Some(nonce) = nonce {
        put("nonce", nonce.into());
    }
    if let Some(sid) = sid {
        put("sid", sid.into());
    }
    for (name, value) in &script.claims {
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.clone(), value.clone());
        }
    }
    claims
}
