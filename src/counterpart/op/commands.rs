//! What the service sends to an application when an administrator revokes a user's sessions: OpenID Provider Commands draft 02,
//! OIDC Back-Channel Logout 1.0 2.4 and 2.5, Global Token Revocation draft 05.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio_rustls::rustls::ClientConfig;

use super::{Op, RegisteredClient, TENANT};
use crate::counterpart::twist::Twist;
use crate::stage::http::root_store;
use crate::wire::jose::random;

/// Seconds a token to an application is valid; both drafts prefer two minutes at most.
const LIFETIME_S: i64 = 120;

/// A message on its way.
#[derive(Debug)]
pub struct Message {
    url: String,
    content_type: &'static str,
    body: String,
    authorization: Option<String>,
}

/// The message of a delivery binding for a user of a client; `None` for a binding or client that has none.
pub fn message(op: &Op, client: &RegisteredClient, sub: &str, binding: &str) -> Option<Message> {
    let origin = client.receiver.as_deref()?;
    let now = op.now();
    let timed = json!({"iss": op.issuer, "iat": now, "exp": now + LIFETIME_S, "jti": random(16)});
    let form = |url: String, name: &str, token: String| Message {
        url,
        content_type: "application/x-www-form-urlencoded",
        body: super::http::encode([(name, token.as_str())]),
        authorization: None,
    };
    match binding {
        "op-commands" => {
            let url = format!("{origin}/commands");
            let mut claims =
                with(timed, &json!({"aud": url, "client_id": client.id, "command": "invalidate", "tenant": TENANT, "sub": sub}));
            if op.twist(Twist::CommandInvalidateWellformed) {
                claims["nonce"] = random(8).into();
            }
            Some(form(url, "command_token", op.key.sign(&json!({"typ": "command+jwt"}), &claims)))
        }
        "backchannel-logout" => {
            let mut claims = with(timed, &json!({"aud": client.id, "sub": sub}));
            if !op.twist(Twist::LogoutTokenWellformed) {
                claims["events"] = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
            }
            let token = op.key.sign(&json!({"typ": "logout+jwt"}), &claims);
            Some(form(format!("{origin}/backchannel-logout"), "logout_token", token))
        }
        "token-revocation" => {
            let url = format!("{origin}/global-token-revocation");
            let credential = op.key.sign(&json!({"typ": "JWT"}), &with(timed, &json!({"aud": url, "sub": op.issuer})));
            Some(Message {
                content_type: "application/json",
                body: json!({"sub_id": {"format": "iss_sub", "iss": op.issuer, "sub": sub}}).to_string(),
                authorization: (!op.twist(Twist::GlobalRevocationWellformed)).then(|| format!("Bearer {credential}")),
                url,
            })
        }
        _ => None,
    }
}

fn with(mut claims: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().into_iter().flatten() {
        claims[name.as_str()] = value.clone();
    }
    claims
}

/// Sends in the background: the administrator does not wait for applications. `receiver` is where the application's host really
/// listens, `authority` the DER certificate that its certificate is signed with.
pub fn send(op: &Op, message: Message, receiver: Option<SocketAddr>, authority: Vec<u8>) {
    op.runtime.spawn(async move {
        let tls = ClientConfig::builder_with_provider(Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_root_certificates(root_store(&[authority])).with_no_client_auth());
        let (Ok(tls), Ok(url)) = (tls, url::Url::parse(&message.url)) else { return };
        let mut builder = reqwest::Client::builder().tls_backend_preconfigured(tls).timeout(std::time::Duration::from_secs(10));
        if let (Some(host), Some(receiver)) = (url.host_str(), receiver) {
            builder = builder.resolve(host, receiver);
        }
        let Ok(client) = builder.build() else { return };
        let mut request = client.post(url).header("content-type", message.content_type).body(message.body);
        if let Some(authorization) = message.authorization {
            request = request.header("authorization", authorization);
        }
        // Whether the application took it is the application's business; a real service would try again.
        let _ = request.send().await;
    });
}
