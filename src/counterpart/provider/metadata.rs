//! Discovery document and JWK Set.

use serde_json::json;

use super::Shared;
use crate::counterpart::authorize::OPEN_HOST;
use crate::counterpart::op::http::Reply;
use crate::wire::jose::alg_name;

/// The metadata of an issuer (OpenID Connect Discovery 1.0 3, RFC 8414 2).
pub(super) fn document(shared: &Shared, which: usize) -> Reply {
    let pretended = shared.state().pretended.get(&which).cloned();
    let origin = shared.issuer.strip_suffix(&shared.base).unwrap_or(&shared.issuer);
    let back = |what: &str| format!("{}{}", shared.back, shared.back_path(which, what));
    let path = if pretended.is_some() { shared.pretended_path(which) } else { shared.authorization_path(which) };
    let signing = alg_name(shared.keys.main.alg);
    let mut document = json!({
        "issuer": pretended.unwrap_or_else(|| shared.issuer(which)),
        "authorization_endpoint": format!("{origin}{path}"),
        "token_endpoint": back("tokens"),
        "pushed_authorization_request_endpoint": back("pushed"),
        "jwks_uri": back("keys"),
        "userinfo_endpoint": format!("{}{}", shared.resource, shared.back_path(which, "claims")),
        "end_session_endpoint": format!("{origin}{}/{}{which}/sign-out", shared.base, shared.secret_path),
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        // Only what IPSIE allows, unless the application is known to take nothing of it.
        "id_token_signing_alg_values_supported": [signing],
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "client_secret_post", "none"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256", "PS256", "EdDSA"],
        "request_object_signing_alg_values_supported": ["ES256", "PS256", "EdDSA"],
        "dpop_signing_alg_values_supported": ["ES256", "PS256", "EdDSA"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "amr", "nonce", "session_expiry", "name", "email", "email_verified"],
        "acr_values_supported": [super::id_token::ACR],
        "claims_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "request_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    });
    if !shared.app.required_acr.is_empty() {
        document["acr_values_supported"] = json!([super::id_token::ACR, shared.app.required_acr]);
    }
    Reply::json(200, &document)
}

/// The JWK Set.
pub(super) fn keys(shared: &Shared) -> Reply {
    let mut keys = vec![shared.keys.main.jwk().clone(), shared.keys.rs256.jwk().clone()];
    keys.extend(shared.state().more_keys.iter().cloned());
    Reply::json(200, &json!({ "keys": keys }))
}

/// Metadata of an issuer that no application is configured with: who follows them sends the browser to the probes' host.
pub(super) fn foreign(shared: &Shared) -> Reply {
    let at = |what: &str| format!("https://{OPEN_HOST}/{what}");
    Reply::json(
        200,
        &json!({
            "issuer": shared.foreign_issuer(),
            "authorization_endpoint": at("sign-in"),
            "token_endpoint": at("tokens"),
            "jwks_uri": at("keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [alg_name(shared.keys.main.alg)],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        }),
    )
}

/// Metadata of an issuer that no application is configured with, complete and with keys: whoever trusts those trusts anybody.
pub(super) fn stranger(shared: &Shared) -> Reply {
    let issuer = shared.stranger_issuer();
    let back = |what: &str| format!("{}{}", shared.back, shared.back_path(0, what));
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/sign-in"),
        "token_endpoint": back("tokens"),
        "jwks_uri": back("stranger-keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [alg_name(shared.keys.main.alg)],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    Reply::json(200, &document)
}

/// What a forged `jku` leads to: the key that the forged token was signed with.
pub(super) fn bait(shared: &Shared) -> Reply {
    Reply::json(200, &json!({ "keys": [shared.keys.foreign.jwk()] }))
}
