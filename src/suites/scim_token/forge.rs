//! Assertions that no authorization server may take (RFC 7523 3).

use serde_json::Value;

use crate::counterpart::scim_client::token::{assertion, claims};
use crate::wire::jose::{SigningKey, unsigned};

/// Bad assertions, each with one thing wrong.
pub fn assertions(key: &SigningKey, client: &str, audience: &str) -> Vec<(&'static str, String)> {
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims(client, audience);
        change(&mut claims);
        claims
    };
    let signed = |change: &dyn Fn(&mut Value)| assertion(key, &changed(change));
    let now = jiff::Timestamp::now().as_second();
    let mut out = vec![
        ("aud is another server", signed(&|claims| claims["aud"] = "https://other.example/token".into())),
        ("it has ended", signed(&|claims| (claims["iat"], claims["exp"]) = ((now - 600).into(), (now - 300).into()))),
        ("sub is another client", signed(&|claims| claims["sub"] = "another-client".into())),
        ("iss is another client", signed(&|claims| claims["iss"] = "another-client".into())),
        ("it is not signed", unsigned(&claims(client, audience))),
    ];
    if let Ok(stranger) = SigningKey::generate("es256", jsonwebtoken::Algorithm::ES256) {
        out.push(("a stranger signed it", assertion(&stranger, &claims(client, audience))));
    }
    out
}
