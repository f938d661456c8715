//! The authorization server metadata of the application, and the keys of its clients.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{ALGORITHMS, Authority, Layout, Quirk, Response, SCOPE, json_answer, names_known_key, token};
use crate::counterpart::scim_server::problem::Problem;
use crate::wire::jose;

impl Authority {
    /// The authorization server metadata (RFC 8414) to serve at [`Authority::metadata_path`]; 404 where the application has no
    /// authorization server.
    pub fn metadata(&self) -> Response {
        if self.config.layout != Layout::AppAs || self.has(Quirk::AsMetadata) {
            return Problem::not_found().into();
        }
        json_answer(
            200,
            json!({
                "issuer": self.config.issuer,
                "token_endpoint": self.config.token_endpoint,
                "response_types_supported": ["none"],
                "grant_types_supported": [token::JWT_BEARER, "client_credentials"],
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
                "scopes_supported": [SCOPE],
            }),
        )
    }

    /// The path of the metadata at the host of the issuer: `/.well-known/oauth-authorization-server`, then the path of the issuer
    /// (RFC 8414 3.1).
    pub fn metadata_path(&self) -> String {
        let path = url::Url::parse(&self.config.issuer).map(|issuer| issuer.path().trim_end_matches('/').to_owned());
        format!("/.well-known/oauth-authorization-server{}", path.unwrap_or_default())
    }

    /// Replaces the public keys of every client with this issuer, as after fetching its `jwks_uri`.
    pub fn set_keys(&self, issuer: &str, keys: Value) {
        let keys = Arc::new(keys);
        let mut state = self.state();
        for (client, known) in self.config.clients.iter().zip(&mut state.keys) {
            let pinned = self.has(Quirk::TokenAcceptedFromIdp) && !known.is_null();
            if client.issuer == issuer && !pinned {
                *known = Arc::clone(&keys);
            }
        }
    }

    /// The issuer whose keys should be fetched before [`Authority::caller`] or [`Authority::token`] looks at this JWT: its key id
    /// is not among those that are known.
    pub fn missing_key(&self, jwt: &str) -> Option<String> {
        let jws = jose::read(jwt).ok()?;
        let named = jws.claims["iss"].as_str()?;
        let state = self.state();
        let mut clients = self.config.clients.iter().zip(&state.keys);
        let (client, keys) = clients.find(|(client, _)| client.issuer == named || client.client_id == named)?;
        let known = keys.is_object() && names_known_key(&jws, keys);
        (!known && !client.issuer.is_empty()).then(|| client.issuer.clone())
    }
}
