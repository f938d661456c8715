//! app-command-forgery/token-revocation: what the revocation endpoint must refuse (Global Token Revocation draft 05).

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::witness::EVENTUAL;
use super::{Control, Effect, Probe, Witness, other_than, refused};
use crate::counterpart::command_issuer::{Answer, CREDENTIALS, Draft, Forgery, Sender, Subject, named, revoke, revoke_bytes};
use crate::model::target::RevocationAuth;
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::stage::http::Ask;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::app_command::delivery::{
    TokenRevocation, addressed, audience, credential, endpoint, second_sender, sender, shared_token,
};
use crate::suites::app_command::tokens;
use crate::wire::jose::random;

/// Forged revocation requests at work.
pub struct ForgedRevocations;

const OWN_TOKEN: &str = "the user's own access token of the application";
const UNKNOWN_FORMAT: &str = "a subject identifier of an unknown format";
const UNKNOWN_USER: &str = "a user that does not exist";

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Missing and wrong credentials.
    pub credentials: Vec<Probe>,
    /// The answer to an unauthenticated request about a user that does not exist.
    pub unauthenticated_unknown: Option<Answer>,
    /// Malformed requests and one about an unknown user, with the good credential.
    pub malformed: Vec<Answer>,
    /// A request with the credential of the second issuer.
    pub foreign: Option<Foreign>,
    /// Where the endpoint is, and whether it is published.
    pub advertised: Option<Advertised>,
    /// The good message at the end.
    pub control: Option<Control>,
}

/// A request with the credential of the second issuer, about a user of the first one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Foreign {
    /// The request.
    pub probe: Probe,
    /// The same credential with a user of the second issuer that does not exist.
    pub own: Answer,
}

/// Where the endpoint is, and whether it is published.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Advertised {
    /// The declared endpoint.
    pub endpoint: String,
    /// The metadata's status, 0 where none could be fetched.
    pub status: u16,
    /// The application publishes authorization server metadata (RFC 8414).
    pub metadata: bool,
    /// `global_token_revocation_endpoint` of it.
    pub published: Option<String>,
    /// The fetch.
    pub cites: Vec<ExchangeId>,
}

impl Scenario for ForgedRevocations {
    type Seen = Seen;
    const ID: &'static str = "app-command-forgery/token-revocation";
    const TITLE: &'static str = "sends revocation requests without right, and a good one at the end";
    const AFTER: &'static [&'static str] = crate::suites::app_command::AFTER_LOGINS;
    const BINDING: Option<&'static str> = Some("token-revocation");
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl2.app.gtr-auth-required", requests_without_right_are_refused),
        Check::new("sl2.app.gtr-errors", malformed_requests_get_their_errors),
        Check::new("sl2.app.gtr-tenant-bound", a_credential_reaches_its_own_tenant_only),
        Check::new("sl2.app.gtr-advertised", the_endpoint_is_published),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let app = stage.app()?;
        let sender = sender(app);
        let to = endpoint::<TokenRevocation>(stage)?;
        let commands = &stage.world.target.commands;
        // Without the right credential nothing can be compared.
        credential(stage, &sender)?;
        let users = addressed(stage, "forged-token-revocation").await?;
        let mut witness = Witness::new(stage, &users.main);
        let mut seen = Seen::default();
        let about = |subject: &Subject| named(&sender.issuer, &subject.sub);

        if stage.wants("sl2.app.gtr-auth-required") {
            let nobody = named(&sender.issuer, &format!("nobody-{}", random(12)));
            let ask = revoke(to, None, &nobody);
            seen.unauthenticated_unknown = Some(stage.command("no Authorization, unknown user", ask).await);
            seen.credentials = without_right(stage, &mut witness, &sender, to).await?;
        }
        if stage.wants("sl2.app.gtr-errors") {
            let good = || credential(stage, &sender);
            for (what, body) in [
                ("a body that is not JSON", b"sub_id=somebody".to_vec()),
                ("no sub_id", b"{}".to_vec()),
                (UNKNOWN_FORMAT, json!({"sub_id": {"format": "x-suite-unknown", "id": "1"}}).to_string().into_bytes()),
                (UNKNOWN_USER, named(&sender.issuer, &format!("nobody-{}", random(12))).to_string().into_bytes()),
            ] {
                seen.malformed.push(stage.command(what, revoke_bytes(to, Some(&good()?), body)).await);
            }
        }
        if stage.wants("sl2.app.gtr-tenant-bound")
            && let Some((other, token)) = second_credential(stage)?
        {
            let nobody = named(&other.issuer, &format!("nobody-{}", random(12)));
            let own = stage.command("second issuer's credential, its own unknown user", revoke(to, Some(&token), &nobody)).await;
            let make = |subject: &Subject| revoke(to, Some(&token), &about(subject));
            // Usually it is refused, and nothing is waited for.
            let usual = std::mem::replace(&mut witness.settle, EVENTUAL);
            let probe = witness.probe("second issuer's credential, user of the first", make).await?;
            witness.settle = usual;
            seen.foreign = Some(Foreign { probe, own });
        }
        if stage.wants("sl2.app.gtr-advertised") {
            seen.advertised = Some(advertised(stage, to).await);
        }
        let token = credential(stage, &sender)?;
        let good = |subject: &Subject| revoke(&commands.revocation_endpoint, Some(&token), &about(subject));
        seen.control = Some(witness.control("control: a good revocation request", EVENTUAL, good).await?);
        Ok(seen)
    }
}

async fn without_right(stage: &Stage, witness: &mut Witness<'_>, sender: &Sender<'_>, to: &str) -> Result<Vec<Probe>, Obstacle> {
    let commands = &stage.world.target.commands;
    let about = |subject: &Subject| named(&sender.issuer, &subject.sub);
    let mut probes = vec![
        witness.probe("no Authorization", |subject: &Subject| revoke(to, None, &about(subject))).await?,
        witness.probe("a random bearer token", |subject: &Subject| revoke(to, Some(&random(32)), &about(subject))).await?,
    ];
    for forgery in CREDENTIALS {
        // Where a shared token is the credential, any JWT is a wrong one: two stand for all.
        let telling = matches!(forgery, Forgery::ForeignKey | Forgery::Unsigned);
        if commands.revocation_auth == RevocationAuth::Bearer && !telling {
            continue;
        }
        let make = |subject: &Subject| {
            let draft = forgery.bend(Draft::revocation_credential(sender, audience(commands)), sender, subject);
            revoke(to, Some(&draft.token(sender)), &about(subject))
        };
        probes.push(witness.probe(&format!("a JWT: {}", forgery.what()), make).await?);
    }
    if let Some(declared) = &stage.app()?.app.tokens
        && witness.subject().await?.is_some()
        && let Some(visitor) = witness.visitor()
        && let Some(own) = tokens::obtain(stage, visitor, declared).await?
    {
        let make = |subject: &Subject| revoke(to, Some(&own.access), &about(subject));
        probes.push(witness.probe(OWN_TOKEN, make).await?);
    }
    Ok(probes)
}

/// The second issuer with its credential, where one is configured.
fn second_credential(stage: &Stage) -> Result<Option<(Sender<'_>, String)>, Obstacle> {
    let app = stage.app()?;
    let commands = &stage.world.target.commands;
    let other = second_sender(app).unwrap_or_else(|| Sender { issuer: app.provider.second_issuer(), ..sender(app) });
    match (commands.revocation_auth, &commands.second_revocation_token) {
        (RevocationAuth::Jwt, _) if app.app.second.is_some() => {
            let token = Draft::revocation_credential(&other, audience(commands)).token(&other);
            Ok(Some((other, token)))
        }
        (RevocationAuth::Bearer, Some(reference)) => {
            Ok(Some((other, shared_token(stage, "commands.second_revocation_token", Some(reference))?)))
        }
        _ => Ok(None),
    }
}

async fn advertised(stage: &Stage, endpoint: &str) -> Advertised {
    let mut seen = Advertised { endpoint: endpoint.to_owned(), ..Advertised::default() };
    let origin = url::Url::parse(endpoint).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let ask = Ask::get(format!("{origin}/.well-known/oauth-authorization-server"));
    match stage.world.http.send(stage.scenario, "authorization server metadata of the application", ask).await {
        Ok(reply) => {
            seen.status = reply.status;
            let document = reply.json().filter(|document| reply.status == 200 && document["issuer"].is_string());
            seen.metadata = document.is_some();
            seen.published =
                document.and_then(|document| document["global_token_revocation_endpoint"].as_str().map(str::to_owned));
            seen.cites.push(reply.exchange);
        }
        Err(fault) => seen.cites.push(fault.exchange),
    }
    seen
}

fn requests_without_right_are_refused(seen: &Seen) -> Judgement {
    let hidden = seen.unauthenticated_unknown.as_ref().is_some_and(|answer| answer.status == 404);
    let improper = |probe: &Probe| match probe.answer.status {
        403 if probe.what == OWN_TOKEN => None,
        // Nobody learns from it which users exist.
        404 if hidden => None,
        _ => other_than(probe, 401, None),
    };
    refused(&seen.credentials, &seen.control, improper, "every request without the right credential is refused and has no effect")
}

fn malformed_requests_get_their_errors(seen: &Seen) -> Judgement {
    if seen.malformed.is_empty() {
        return Judgement::undecided("not tried");
    }
    if !seen.control.as_ref().is_some_and(|control| control.answer.accepted()) {
        return Judgement::undecided("the good request at the end was not answered with success, so an error proves nothing");
    }
    let mut found = Findings::new();
    for answer in &seen.malformed {
        let expected = if answer.what == UNKNOWN_USER { 404 } else { 400 };
        let told = format!("{}: {}, expected was status {expected}", answer.what, answer.describe());
        if answer.status == expected {
            found.saw(&answer.cites);
        } else if answer.silent() {
            found.undecided(told, &answer.cites);
        } else if answer.refused() || (answer.accepted() && answer.what == UNKNOWN_USER) {
            found.doubtful(told, &answer.cites);
        } else {
            found.broken(told, &answer.cites);
        }
    }
    found.conclude("malformed requests are answered with 400, unknown users with 404")
}

fn a_credential_reaches_its_own_tenant_only(seen: &Seen) -> Judgement {
    let Some(Foreign { probe, own }) = &seen.foreign else {
        return Judgement::not_configured("commands.second_revocation_token (or app.second, for signed JWTs) is not configured");
    };
    let cites = probe.cites();
    if matches!(own.status, 401 | 403) || own.silent() {
        let why = format!(
            "the credential of the second issuer is not taken for its own users either ({}), so that it reaches nobody else's proves nothing",
            own.describe()
        );
        if probe.effect != Effect::Ended {
            return Judgement::undecided(why).cite(&own.cites).cite(&cites);
        }
    }
    // The endpoint's own control decides whether it can end a session at all.
    let improper = |probe: &Probe| (!probe.answer.refused()).then(|| "expected was status 403 or 404".to_owned());
    if probe.effect == Effect::None && probe.answer.accepted() && Control::held(&seen.control) {
        let told = format!("{}: answered with {}, without effect", probe.what, probe.answer.describe());
        return Judgement::doubtful(told).cite(&cites);
    }
    refused(std::slice::from_ref(probe), &seen.control, improper, "the credential of one tenant does not reach users of another")
}

fn the_endpoint_is_published(seen: &Seen) -> Judgement {
    let Some(seen) = &seen.advertised else { return Judgement::undecided("not tried") };
    let judgement = if !seen.endpoint.starts_with("https://") {
        Judgement::broken("the revocation endpoint is no https URL")
    } else if seen.status == 0 || seen.status >= 500 || seen.status == 429 {
        Judgement::undecided("the application's authorization server metadata could not be fetched")
    } else if !seen.metadata {
        Judgement::pass("the endpoint uses https; the application publishes no authorization server metadata")
    } else {
        match &seen.published {
            Some(url) if *url == seen.endpoint => Judgement::pass("the endpoint uses https and is published"),
            Some(url) => Judgement::broken("global_token_revocation_endpoint names another URL").expected(&seen.endpoint, url),
            None => Judgement::broken("the application's authorization server metadata lacks global_token_revocation_endpoint"),
        }
    };
    judgement.cite(&seen.cites)
}
