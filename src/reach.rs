//! Before the first scenario at an application without sign-ins: does its SCIM interface or its command endpoint answer at all?

use std::sync::Arc;

use crate::counterpart::scim_client::{Answer, Call};
use crate::error::Error;
use crate::model::target::ScimAuth;
use crate::stage::http::{Ask, too_large};
use crate::stage::{Stage, World};

/// Tries the interfaces that the plan needs. One that works is enough.
///
/// # Errors
/// None works: it cannot be reached, refuses the token, or is something else.
pub async fn reach(world: &Arc<World>, scim: bool, commands: bool) -> Result<(), Error> {
    let stage = Stage::new(world.clone(), "before");
    let by_scim = if scim && world.scim.is_some() { Some(scim_works(&stage).await) } else { None };
    if matches!(by_scim, Some(Ok(()))) {
        return Ok(());
    }
    let endpoint = world.target.commands.command_endpoint.as_str();
    let by_commands = if commands && !endpoint.is_empty() { Some(endpoint_answers(&stage, endpoint).await) } else { None };
    match (by_scim, by_commands) {
        (_, Some(Ok(()))) | (None, None) => Ok(()),
        (Some(outcome), _) | (None, Some(outcome)) => outcome,
    }
}

async fn scim_works(stage: &Stage) -> Result<(), Error> {
    let Ok(world) = stage.scim() else { return Ok(()) };
    let base = world.scim.base_url.trim_end_matches('/');
    let ask = |path: &str| stage.scim_send("does the service provider answer?", Call::get(path.to_owned()).query("count", "1"));
    // Where a token cannot be had, a clause says so.
    let Ok(users) = ask("/Users").await else { return Ok(()) };
    if usable(&users) {
        // Only here is it set.
        let _ = world.shared.first.set(users);
        return Ok(());
    }
    if let Some(why) = users.fault.as_ref().filter(|why| !too_large(why)) {
        return Err(Error::prerequisite(
            format!("the service provider could not be reached at {base}/Users: {why}"),
            "Check scim.base_url, and that the service provider is up and reachable from here; `ipsie-conform doctor` looks at each part.",
        ));
    }
    let refused = users.status == 401 && world.scim.auth == ScimAuth::Bearer;
    let config = if refused { Answer::default() } else { ask("/ServiceProviderConfig").await.unwrap_or_default() };
    if usable(&config) || (users.status == 401 && !refused) {
        return Ok(());
    }
    Err(nothing_works(base, &users, &config))
}

/// A success with a JSON object. Whether it is the right one is for the clauses to say.
fn usable(answer: &Answer) -> bool {
    answer.ok() && answer.body.is_object()
}

fn nothing_works(base: &str, users: &Answer, config: &Answer) -> Error {
    let at = format!("GET {base}/Users is answered with {}", users.describe());
    let (message, help) = match users.status {
        401 => (
            format!("the service provider refuses scim.token: {at}"),
            "Set scim.token to a provisioning token that is valid now; the name after `env:` or the file after `file:` holds it.",
        ),
        429 => (
            format!("the service provider limits the rate: {at}"),
            "Wait until its limit is over, and set network.rate to the requests per second that it allows.",
        ),
        300..=399 => (
            format!("{at}, a redirect to `{}`", users.header("location").unwrap_or_default()),
            "Name the URL below which /Users stands itself in scim.base_url: no redirect is followed.",
        ),
        200..=299 => (
            format!("{at} and no JSON object (`{}`), and /ServiceProviderConfig is no better", users.media_type),
            "Name the URL below which /Users stands in scim.base_url: what is there now is no SCIM service provider.",
        ),
        _ => (
            format!("{at}, and GET {base}/ServiceProviderConfig with {}", config.describe()),
            "Check scim.base_url, the URL below which /Users stands, and the service provider's own log.",
        ),
    };
    Error::prerequisite(message, help)
}

/// Any answer will do: what a command leads to is for the clauses to say.
async fn endpoint_answers(stage: &Stage, endpoint: &str) -> Result<(), Error> {
    let outcome = stage.world.http.send(stage.scenario, "does the command endpoint answer?", Ask::get(endpoint)).await;
    outcome.map(drop).map_err(|fault| {
        Error::prerequisite(
            format!("the command endpoint could not be reached: {fault}"),
            "Check commands.command_endpoint, and that the application is up and reachable from here.",
        )
    })
}

#[cfg(test)]
mod tests {
    use miette::Diagnostic;
    use serde_json::{Value, json};

    use super::*;

    fn told(status: u16) -> String {
        let users = Answer { status, headers: vec![("location".into(), "https://sso.test/".into())], ..Answer::default() };
        let error = nothing_works("https://app.test/scim", &users, &Answer { status: 404, ..Answer::default() });
        format!("{error} | {}", error.help().map(|help| help.to_string()).unwrap_or_default())
    }

    #[test]
    fn the_message_names_what_to_mend() {
        for (status, words) in [
            (401, "refuses scim.token"),
            (429, "network.rate"),
            (302, "https://sso.test/"),
            (200, "no JSON object"),
            (404, "/ServiceProviderConfig with status 404"),
            (500, "scim.base_url"),
        ] {
            assert!(told(status).contains(words), "{status}: {}", told(status));
        }
    }

    #[test]
    fn any_object_is_for_the_clauses_to_judge() {
        let answer = |status, body| Answer { status, body, ..Answer::default() };
        assert!(usable(&answer(200, json!({}))) && !usable(&answer(200, json!([]))));
        assert!(!usable(&answer(204, Value::Null)) && !usable(&answer(404, json!({}))));
    }
}
