//! Starts the SCIM server and the command endpoint that the suite plays for an identity service.

use std::sync::Arc;

use serde_json::Value;

use crate::counterpart::scim_receiver::{Receiver, ReceiverConfig};
use crate::error::Error;
use crate::model::target::ScimAuth;
use crate::set_app::origin;
use crate::set_stage::Setting;
use crate::stage::http::{Ask, Http};
use crate::stage::listener::TestCa;
use crate::stage::recorder::Recorder;
use crate::stage::world::Discovery;

/// The receiver of a run; none where neither `counterpart.scim_url` nor `counterpart.commands_url` is configured.
///
/// # Errors
/// A secret or a file cannot be read, or the address is in use.
pub async fn start(
    setting: &Setting,
    recorder: &Arc<Recorder>,
    http: &Http,
    jwks: &Value,
    discovery: &Discovery,
    run_id: &str,
) -> Result<Option<Receiver>, Error> {
    let at = &setting.target.counterpart;
    let scim = setting.target.provisioning().cloned().unwrap_or_default();
    let scim_url = match (at.scim_url.as_str(), at.commands_url.as_str()) {
        ("", "") => return Ok(None),
        // The command endpoint alone: there is no SCIM interface to provision into, and nobody is told of this one.
        ("", commands) => format!("{}/scim/v2", origin(commands)),
        (url, _) => url.to_owned(),
    };
    let token = secret(setting, "scim.token", scim.token.as_ref())?;
    if let Some(token) = &token {
        recorder.redactor.hide(token, "SCIM token");
    }
    if scim.auth == ScimAuth::Bearer && token.is_none() && !at.scim_url.is_empty() {
        return Err(Error::usage(
            "scim.token is not configured",
            "Name the token that the identity service provisions with: token = \"env:NAME\".",
        ));
    }
    let config = ReceiverConfig {
        listen: at.scim_listen.clone(),
        ca: authority(setting, &scim_url)?,
        scim_url,
        commands_url: at.commands_url.clone(),
        auth: scim.auth,
        token,
        audience: scim.audience.clone(),
        recorder: recorder.clone(),
        run_id: run_id.to_owned(),
        pool: setting.target.lifecycle.users.clone(),
    };
    let help = "Set counterpart.scim_listen to a free address, and counterpart.scim_url to the URL that leads there.";
    let receiver = Receiver::start(config).await.map_err(|fault| Error::prerequisite(fault.to_string(), help))?;
    receiver.desk.set_keys(keys(http, &scim.keys, jwks, discovery).await);
    Ok(Some(receiver))
}

fn secret(setting: &Setting, name: &str, reference: Option<&String>) -> Result<Option<String>, Error> {
    let read =
        |reference: &String| setting.secrets.get(reference).map_err(|fault| Error::usage(format!("{name}: {fault}"), "Set it."));
    reference.map(read).transpose()
}

/// Signs the certificates, where the URL is https.
fn authority(setting: &Setting, url: &str) -> Result<Option<Arc<TestCa>>, Error> {
    if !url.starts_with("https://") {
        return Ok(None);
    }
    let at = &setting.target.counterpart;
    if setting.embedded && at.ca.is_none() {
        // The hooks of the embedded directory are told of it.
        let ca = TestCa::new("ipsie-conform receiver authority").map_err(|error| Error::Suite { message: error.to_string() })?;
        return Ok(Some(Arc::new(ca)));
    }
    let help = "`ipsie-conform init --role app` makes the two files; the identity service must trust the certificate. On loopback http will do.";
    let missing = |name: &str| Error::usage(format!("counterpart.{name} is not configured"), help);
    let cert = secret(setting, "counterpart.ca", at.ca.as_ref())?.ok_or_else(|| missing("ca"))?;
    let key = secret(setting, "counterpart.ca_key", at.ca_key.as_ref())?.ok_or_else(|| missing("ca_key"))?;
    let ca = TestCa::from_pem(&cert, &key)
        .map_err(|error| Error::usage(format!("counterpart.ca and counterpart.ca_key cannot be used: {error}"), help))?;
    Ok(Some(Arc::new(ca)))
}

/// The keys that the identity service publishes for provisioning: at `scim.keys`, else in its authorization server's metadata, else those
/// of its OpenID configuration.
async fn keys(http: &Http, url: &str, jwks: &Value, discovery: &Discovery) -> Value {
    let fetch = async |url: &str| {
        let reply = http
            .send("provision-token", "keys of the identity service", Ask::get(url).header("accept", "application/json"))
            .await
            .ok()?;
        reply.json().filter(|_| reply.status == 200)
    };
    if !url.is_empty() {
        return fetch(url).await.filter(|set| set["keys"].is_array()).unwrap_or_default();
    }
    if discovery.get("jwks_uri").is_some() {
        return jwks.clone();
    }
    Value::Null
}
