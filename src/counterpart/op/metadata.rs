//! The discovery document and the JWK Set.

use serde_json::{Value, json};

use super::http::Reply;
use super::{ACR, ACR_HARDWARE, Op};
use crate::counterpart::twist::Twist;
use crate::wire::jose::{b64, random};

/// `/.well-known/openid-configuration` (OIDC Discovery 3).
pub fn discovery(op: &Op) -> Reply {
    let signing = ["ES256", "PS256", "EdDSA"];
    let mut document = json!({
        "issuer": op.issuer,
        "authorization_endpoint": op.url("/authorize"),
        "token_endpoint": op.url("/token"),
        "userinfo_endpoint": format!("{}/userinfo", op.api),
        "jwks_uri": op.url("/jwks"),
        "pushed_authorization_request_endpoint": op.url("/par"),
        "require_pushed_authorization_requests": false,
        "end_session_endpoint": op.url("/logout"),
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "id_token_encryption_alg_values_supported": ["RSA-OAEP-256", "ECDH-ES"],
        "id_token_encryption_enc_values_supported": ["A256GCM"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "client_secret_post", "none"],
        "token_endpoint_auth_signing_alg_values_supported": signing,
        "dpop_signing_alg_values_supported": signing,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "acr_values_supported": [ACR, ACR_HARDWARE],
        "claims_supported": [
            "iss", "sub", "aud", "iat", "exp", "auth_time", "nonce", "acr", "amr", "session_expiry", "jti", "tenant",
            "name", "preferred_username", "email"
        ],
        "claims_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    });
    if op.twist(Twist::DiscoveryPublished)
        && let Some(members) = document.as_object_mut()
    {
        members.remove("jwks_uri");
    }
    if op.twist(Twist::AcrSupportedAdvertised)
        && let Some(members) = document.as_object_mut()
    {
        members.remove("acr_values_supported");
    }
    if op.twist(Twist::DiscoveryIssuerMatch) {
        document["issuer"] = format!("{}/", op.issuer).into();
    }
    if op.twist(Twist::EndpointsHttps) {
        document["userinfo_endpoint"] = format!("{}/userinfo", op.api.replacen("https", "http", 1)).into();
    }
    if op.twist(Twist::AlgNoneNotOffered) {
        document["id_token_signing_alg_values_supported"] = json!(["ES256", "none"]);
    }
    if op.twist(Twist::RecommendedAlgOffered) {
        document["id_token_signing_alg_values_supported"] = json!(["RS256"]);
    }
    if op.twist(Twist::IdTokenAlg) {
        document["id_token_signing_alg_values_supported"] = json!(["ES256", "RS256"]);
    }
    if op.twist(Twist::MetadataAgrees) {
        document["code_challenge_methods_supported"] = json!(["plain"]);
    }
    if op.twist(Twist::NoOpenDcr) {
        document["registration_endpoint"] = op.url("/register").into();
    }
    Reply::json(200, &document)
}

/// `/jwks`.
pub fn jwks(op: &Op) -> Reply {
    let mut key = op.key.jwk().clone();
    if op.twist(Twist::JwksPublicOnly) {
        key["d"] = random(32).into();
    }
    let mut keys = vec![key];
    if op.twist(Twist::IdTokenAlg) {
        keys.extend(op.other_key.iter().map(|key| key.jwk().clone()));
    }
    if op.twist(Twist::JwksKeyStrength) {
        keys.push(weak_key());
    }
    Reply::json(200, &json!({"keys": keys}))
}

/// An RSA key of 1024 bits, as far as its public half shows.
fn weak_key() -> Value {
    let mut modulus = [0xa5; 128];
    modulus[0] = 0xc1;
    json!({"kty": "RSA", "use": "sig", "alg": "PS256", "kid": "op-ps256-old", "n": b64(modulus), "e": "AQAB"})
}
