//! idp-sso/par: the same rules hold for pushed authorization requests (RFC 9126), where there are any.

use serde::{Deserialize, Serialize};

use crate::counterpart::relying_party::{AuthzRequest, Proof};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::blocks::NO_CONTROL;
use crate::wire::seen::{AuthzSeen, Outcome, limited};

/// Pushes what must not be taken.
pub struct Pushed;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// A PAR endpoint is advertised.
    pub advertised: bool,
    /// A conforming push led to a code, before and after.
    pub held: bool,
    /// Bad pushes.
    pub pushes: Vec<Push>,
}

/// One push and what its request_uri led to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Push {
    /// What was wrong.
    pub what: String,
    /// Status of the push; 0 for no answer.
    pub status: u16,
    /// A request_uri came back.
    pub request_uri: bool,
    /// What the request_uri led to.
    pub authz: Option<AuthzSeen>,
    /// Exchanges.
    pub cites: Vec<String>,
}

impl Scenario for Pushed {
    type Seen = Seen;
    const ID: &'static str = "idp-sso/par";
    const TITLE: &'static str = "pushes authorization requests that break a rule";
    const AFTER: &'static [&'static str] = &["idp-login"];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[Check::new("sl1.idp.par-same-rules", pushed_requests_obey_the_same_rules)];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let mut seen =
            Seen { advertised: stage.world.discovery.get("pushed_authorization_request_endpoint").is_some(), ..Seen::default() };
        if !seen.advertised {
            return Ok(seen);
        }
        let context = stage.world.signed_in()?.context.clone();
        let request = || stage.request("main");
        let (control, used) = push(stage, &request()?, Proof::AsRegistered, "control: a conforming push").await?;
        let before = stage.control(code(&control));
        let elsewhere = format!("{}/not-registered", stage.world.target.counterpart.public_url.trim_end_matches('/'));
        for (what, request, proof) in [
            ("no client authentication", request()?, Proof::Nothing),
            ("no code_challenge", request()?.without("code_challenge").without("code_challenge_method"), Proof::AsRegistered),
            ("an unregistered redirect URI", request()?.set("redirect_uri", &elsewhere), Proof::AsRegistered),
            ("response_type=code id_token", request()?.set("response_type", "code id_token"), Proof::AsRegistered),
            (
                "a request_uri inside",
                request()?.set("request_uri", "urn:ietf:params:oauth:request_uri:none"),
                Proof::AsRegistered,
            ),
        ] {
            seen.pushes.push(push(stage, &request, proof, what).await?.0);
        }
        if let Some((request, uri)) = used {
            // The control above has completed this one.
            let again = stage.authorize(&context, &by_reference(&request, &uri), "a request_uri after its completion").await?;
            seen.pushes.push(Push {
                what: "a used request_uri".into(),
                request_uri: true,
                status: 201,
                cites: again.seen.cites.clone(),
                authz: Some(again.seen),
            });
        }
        if stage.world.has_client("second") {
            let (mut foreign, pushed) =
                pushed(stage, &request()?, Proof::AsRegistered, "a push for another client to use").await?;
            if let Some(uri) = pushed {
                let request = stage.request("second")?;
                let other =
                    stage.authorize(&context, &by_reference(&request, &uri), "request_uri of client A used by client B").await?;
                foreign.what = "a request_uri of another client".into();
                foreign.cites = other.seen.cites.clone();
                foreign.authz = Some(other.seen);
                seen.pushes.push(foreign);
            }
        }
        let (after, _) = push(stage, &request()?, Proof::AsRegistered, "control: a conforming push, again").await?;
        seen.held = before & stage.control(code(&after));
        Ok(seen)
    }
}

fn code(push: &Push) -> bool {
    push.authz.as_ref().is_some_and(|authz| authz.outcome == Outcome::Code)
}

fn by_reference(request: &AuthzRequest, uri: &str) -> AuthzRequest {
    let mut short = request.clone();
    short.params.retain(|(name, _)| name == "client_id");
    short.set("request_uri", uri)
}

/// Pushes, and follows the request_uri where one comes back.
async fn push(
    stage: &Stage,
    request: &AuthzRequest,
    proof: Proof,
    what: &str,
) -> Result<(Push, Option<(AuthzRequest, String)>), Obstacle> {
    let context = stage.world.signed_in()?.context.clone();
    let (mut seen, uri) = pushed(stage, request, proof, what).await?;
    let Some(uri) = uri else { return Ok((seen, None)) };
    let mut followed = stage.authorize(&context, &by_reference(request, &uri), &format!("request_uri: {what}")).await?;
    // The redirect URI was pushed and does not stand in the query: a response at the registered one is told by its path.
    if followed.seen.outcome == Outcome::ErrorElsewhere && request.registered.contains(&followed.seen.at) {
        followed.seen.outcome = Outcome::Error;
    }
    seen.cites.extend(followed.seen.cites.iter().cloned());
    seen.authz = Some(followed.seen);
    Ok((seen, Some((request.clone(), uri))))
}

async fn pushed(stage: &Stage, request: &AuthzRequest, proof: Proof, what: &str) -> Result<(Push, Option<String>), Obstacle> {
    let endpoint = stage.world.endpoint("pushed_authorization_request_endpoint")?.to_owned();
    let fields = request.params.iter().filter(|(name, _)| name != "client_id").cloned().collect();
    let ask = stage.authenticated_form(&endpoint, "main", fields, proof).await?;
    let reply = stage.world.http.send(stage.scenario, &format!("push: {what}"), ask).await?;
    let uri = reply.json().and_then(|body| body["request_uri"].as_str().map(str::to_owned));
    let push = Push {
        what: what.to_owned(),
        status: reply.status,
        request_uri: uri.is_some(),
        authz: None,
        cites: vec![reply.exchange],
    };
    Ok((push, uri))
}

fn pushed_requests_obey_the_same_rules(seen: &Seen) -> Judgement {
    if !seen.advertised {
        return Judgement::not_applicable("no pushed_authorization_request_endpoint is advertised");
    }
    let mut found = Findings::new();
    for push in &seen.pushes {
        let end = push.authz.as_ref();
        if end.is_some_and(|authz| authz.granted() || authz.outcome == Outcome::ErrorElsewhere) {
            let how = end.map(AuthzSeen::describe).unwrap_or_default();
            found.broken(format!("{}: {how}", push.what), &push.cites.iter().rev().take(1).cloned().collect::<Vec<_>>());
        } else if !seen.held {
            found.undecided(NO_CONTROL, &push.cites);
        } else if end.is_some_and(AuthzSeen::refused)
            || (end.is_none() && (400..500).contains(&push.status) && !limited(push.status) && !push.request_uri)
        {
            found.saw(&push.cites);
        } else {
            found.undecided(
                format!(
                    "{}: push answered {}, {}",
                    push.what,
                    push.status,
                    end.map_or("nothing to follow".into(), AuthzSeen::describe)
                ),
                &push.cites,
            );
        }
    }
    if seen.pushes.is_empty() {
        Judgement::undecided("nothing was pushed")
    } else {
        found.conclude("every bad push, and every used or foreign request_uri, is refused")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::authz;

    #[test]
    fn pushes_are_refused_at_once_or_later() {
        let seen = |held, status, end: Option<Outcome>| Seen {
            advertised: true,
            held,
            pushes: vec![Push {
                what: "bad".into(),
                status,
                request_uri: end.is_some(),
                authz: end.map(authz),
                cites: vec!["x1".into()],
            }],
        };
        assert_eq!(pushed_requests_obey_the_same_rules(&seen(true, 400, None)).call, Call::Pass);
        assert_eq!(pushed_requests_obey_the_same_rules(&seen(true, 201, Some(Outcome::Error))).call, Call::Pass);
        assert_eq!(pushed_requests_obey_the_same_rules(&seen(true, 201, Some(Outcome::Code))).call, Call::Broken);
        assert_eq!(pushed_requests_obey_the_same_rules(&seen(false, 400, None)).call, Call::Undecided);
        assert_eq!(pushed_requests_obey_the_same_rules(&seen(true, 500, None)).call, Call::Undecided);
        assert_eq!(pushed_requests_obey_the_same_rules(&Seen::default()).call, Call::NotApplicable);
    }
}
