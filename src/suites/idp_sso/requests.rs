//! idp-sso/requests: authorization requests that a conforming relying party never sends.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::counterpart::relying_party::AuthzRequest;
use crate::model::verdict::Findings;
use crate::model::{Call, ExchangeId, Judgement};
use crate::stage::Stage;
use crate::stage::inbox::CLIENT_DOCUMENT;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::blocks::{self, Block, Deviation, NO_CONTROL, all_refused, never_sent_there};
use crate::wire::jose::{random, unsigned};
use crate::wire::seen::{AuthzSeen, IdTokenSeen, Outcome};

/// Unknown clients, other response types, unsigned request objects, error responses.
pub struct Requests;

/// What they led to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The issuer of the target file.
    pub issuer: String,
    /// Unknown `client_id`s.
    pub strangers: Block,
    /// `client_id_metadata_document_supported` of the metadata: URLs that name a document may be client ids.
    #[serde(default)]
    pub documents_announced: bool,
    /// Requests for the metadata document of a client that nobody registered.
    #[serde(default)]
    pub document_fetched: Vec<ExchangeId>,
    /// Other response types.
    pub response_types: Block,
    /// A request object with alg none.
    pub unsigned_object: Option<ObjectTry>,
    /// Requests that must end in an error at the redirect URI.
    pub errors: Vec<AuthzSeen>,
    /// Unknown and enterprise parameters.
    pub extras: Option<ExtrasTry>,
}

/// A request object whose state and nonce differ from those of the query.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ObjectTry {
    /// Controls held.
    pub held: bool,
    /// How it ended.
    pub authz: AuthzSeen,
    /// The state of the object came back.
    pub state_of_object: bool,
    /// The nonce of the object stands in the ID token.
    pub nonce_of_object: bool,
}

/// Parameters that must not matter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExtrasTry {
    /// Controls held.
    pub held: bool,
    /// With enterprise hints and a random parameter.
    pub all: AuthzSeen,
    /// With the random parameter only; tried where the first did not lead to a code.
    pub random_only: Option<AuthzSeen>,
}

impl Scenario for Requests {
    type Seen = Seen;
    const ID: &'static str = "idp-sso/requests";
    const TITLE: &'static str = "sends unknown clients, other response types and unsigned request objects";
    const AFTER: &'static [&'static str] = &["idp-login"];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.preregistration-required", unknown_clients_get_no_response),
        Check::new("sl1.idp.other-response-types-refused", only_code_is_answered),
        Check::new("sl1.idp.request-object-none-refused", unsigned_request_objects_do_nothing),
        Check::new("sl1.idp.iss-in-error-response", error_responses_name_their_issuer),
        Check::new("sl1.idp.unknown-parameters-ignored", unknown_parameters_are_ignored),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let world = &stage.world;
        let context = world.signed_in()?.context.clone();
        let own = world.target.counterpart.public_url.trim_end_matches('/');
        let request = || stage.request("main");

        let mut strangers = Vec::new();
        for (what, id) in [
            ("a random client_id", random(16)),
            ("a client id metadata URL", format!("{own}{CLIENT_DOCUMENT}")),
            ("an entity statement URL", format!("{own}/.well-known/openid-federation")),
        ] {
            strangers.push(Deviation::new(what, request()?.set("client_id", &id)));
        }
        let mut response_types = Vec::new();
        for kind in ["token", "id_token", "id_token token", "code id_token", "code token", "code id_token token", "none"] {
            response_types.push(Deviation::new(format!("response_type={kind}"), request()?.set("response_type", kind)));
        }
        response_types.push(Deviation::new("no response_type", request()?.without("response_type")));
        let mut played = blocks::play(stage, &context, vec![strangers, response_types]).await?.into_iter();
        let (strangers, response_types) = (played.next().unwrap_or_default(), played.next().unwrap_or_default());

        let mut errors = Vec::new();
        if stage.wants("sl1.idp.iss-in-error-response") {
            let nobody = world.agent.context("nobody").await?;
            errors.push(
                stage.authorize(&nobody, &request()?.set("prompt", "none"), "prompt=none while nobody is signed in").await?.seen,
            );
            errors.push(stage.authorize(&context, &request()?.set("prompt", "none login"), "prompt=none login").await?.seen);
        }
        let unsigned_object = match stage.wants("sl1.idp.request-object-none-refused") {
            true => Some(unsigned_object(stage, &request()?).await?),
            false => None,
        };
        let extras = match stage.wants("sl1.idp.unknown-parameters-ignored") {
            true => Some(extras(stage).await?),
            false => None,
        };
        let documents_announced = world.discovery.document["client_id_metadata_document_supported"] == true;
        let document_fetched = world.inbox.document_fetches();
        let issuer = world.issuer().to_owned();
        Ok(Seen { issuer, strangers, documents_announced, document_fetched, response_types, unsigned_object, errors, extras })
    }
}

async fn unsigned_object(stage: &Stage, request: &AuthzRequest) -> Result<ObjectTry, Obstacle> {
    let context = stage.world.signed_in()?.context.clone();
    let (state, nonce) = (random(16), random(24));
    let mut claims = json!({
        "iss": request.get("client_id"), "aud": stage.world.issuer(), "jti": random(16), "iat": request.began, "nbf": request.began - 5, "exp": request.began + 300,
    });
    for (name, value) in &request.params {
        claims[name] = value.clone().into();
    }
    claims["state"] = state.clone().into();
    claims["nonce"] = nonce.clone().into();
    let request = request.clone().set("request", &unsigned(&claims));
    let before = stage.silent_control(&context).await;
    let silent = stage.silent(&context, &request, "request object with alg none", None).await?;
    let after = stage.silent_control(&context).await;
    let in_token = |token: &IdTokenSeen| token.claim("nonce") == nonce.as_str();
    Ok(ObjectTry {
        held: before && after,
        state_of_object: silent.authz.state.as_deref() == Some(&state),
        nonce_of_object: silent.tokens.id_token.as_ref().is_some_and(in_token),
        authz: silent.authz.seen,
    })
}

async fn extras(stage: &Stage) -> Result<ExtrasTry, Obstacle> {
    let context = stage.world.signed_in()?.context.clone();
    let idp = &stage.world.idp;
    let random_only = || Ok::<_, Obstacle>(stage.request("main")?.set("x-suite", &random(6)));
    let tenant = if idp.tenant.is_empty() { "organization" } else { &idp.tenant };
    let hint = idp.users.first().map_or("somebody", |user| user.name.as_str());
    let request = random_only()?.set("domain_hint", "example.com").set("tenant", tenant).set("login_hint", hint);
    let before = stage.silent_control(&context).await;
    let all = stage.authorize(&context, &request, "enterprise hints and an unknown parameter").await?.seen;
    let random_only = match all.outcome {
        Outcome::Code => None,
        _ => Some(stage.authorize(&context, &random_only()?, "an unknown parameter").await?.seen),
    };
    let after = stage.silent_control(&context).await;
    Ok(ExtrasTry { held: before && after, all, random_only })
}

fn unknown_clients_get_no_response(seen: &Seen) -> Judgement {
    let judgement = never_sent_there(&seen.strangers, "requests of unknown clients end on a page of the identity service");
    if seen.documents_announced && seen.document_fetched.is_empty() && judgement.call == Call::Pass {
        return Judgement::undecided(
            "client ID metadata documents are announced, and the identity service did not fetch the suite's: that the client is refused \
             proves nothing before `counterpart.public_url` can be reached from there",
        )
        .cite(&judgement.cites);
    }
    judgement.cite(&seen.document_fetched)
}

fn only_code_is_answered(seen: &Seen) -> Judgement {
    all_refused(&seen.response_types, "every response_type but code is refused")
}

fn unsigned_request_objects_do_nothing(seen: &Seen) -> Judgement {
    let Some(tried) = &seen.unsigned_object else { return Judgement::undecided("not tried") };
    let cites = &tried.authz.cites;
    if tried.state_of_object || tried.nonce_of_object {
        Judgement::broken("the values of the unsigned request object were used").cite(cites.iter().rev())
    } else if !tried.held {
        Judgement::undecided(NO_CONTROL).cite(cites)
    } else if tried.authz.refused() {
        Judgement::pass(format!("refused: {}", tried.authz.describe())).cite(cites)
    } else if tried.authz.outcome == Outcome::Code {
        Judgement::pass("the object is ignored, the query's values come back").cite(cites)
    } else {
        Judgement::undecided(tried.authz.describe()).cite(cites)
    }
}

fn error_responses_name_their_issuer(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let mut redirected = 0;
    for authz in seen.errors.iter().filter(|authz| authz.outcome == Outcome::Error) {
        redirected += 1;
        match &authz.iss[..] {
            [iss] if *iss == seen.issuer => found.saw(&authz.cites),
            other => found.broken(
                format!("{}: error `{}` with iss [{}]", authz.what, authz.error.as_deref().unwrap_or("?"), other.join(", ")),
                &authz.cites.iter().rev().take(1).cloned().collect::<Vec<_>>(),
            ),
        }
    }
    if redirected == 0 {
        return Judgement::undecided("the identity service redirected none of the provoked errors")
            .cite(seen.errors.iter().flat_map(|authz| &authz.cites));
    }
    found.conclude(format!("iss stands in all {redirected} error responses"))
}

fn unknown_parameters_are_ignored(seen: &Seen) -> Judgement {
    let Some(extras) = &seen.extras else { return Judgement::undecided("not tried") };
    let decisive = extras.random_only.as_ref().unwrap_or(&extras.all);
    match decisive.outcome {
        Outcome::Code if extras.random_only.is_some() => {
            Judgement::pass("the unknown parameter is ignored; the enterprise hints led elsewhere, which is legal")
                .cite(&decisive.cites)
        }
        Outcome::Code => {
            Judgement::pass("enterprise hints and an unknown parameter do not break the request").cite(&decisive.cites)
        }
        _ if !extras.held => Judgement::undecided(NO_CONTROL).cite(&decisive.cites),
        Outcome::LoginPage | Outcome::Fault => Judgement::undecided(decisive.describe()).cite(&decisive.cites),
        _ if decisive.out_of_order() => Judgement::undecided(decisive.describe()).cite(&decisive.cites),
        Outcome::Error | Outcome::Empty | Outcome::ErrorElsewhere | Outcome::Page => {
            Judgement::broken(format!("a request with an unknown parameter led to {}", decisive.describe()))
                .cite(decisive.cites.iter().rev())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::{authz, block};

    fn good() -> Seen {
        Seen {
            issuer: "https://op".into(),
            strangers: block(true, Outcome::Page),
            documents_announced: false,
            document_fetched: Vec::new(),
            response_types: block(true, Outcome::Error),
            unsigned_object: Some(ObjectTry {
                held: true,
                authz: authz(Outcome::Error),
                state_of_object: false,
                nonce_of_object: false,
            }),
            errors: vec![authz(Outcome::Error)],
            extras: Some(ExtrasTry { held: true, all: authz(Outcome::Code), random_only: None }),
        }
    }

    #[test]
    fn refusals_between_controls_pass() {
        for check in Requests::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}", check.clause);
        }
    }

    #[test]
    fn a_document_that_nobody_fetched_proves_nothing() {
        let announced = |outcome| Seen { documents_announced: true, strangers: block(true, outcome), ..good() };
        assert_eq!(unknown_clients_get_no_response(&announced(Outcome::Page)).call, Call::Undecided);
        assert_eq!(unknown_clients_get_no_response(&announced(Outcome::Error)).call, Call::Broken);
        let fetched = Seen { document_fetched: vec!["e1".into()], ..announced(Outcome::Page) };
        assert_eq!(unknown_clients_get_no_response(&fetched).call, Call::Pass);
    }

    #[test]
    fn answers_to_the_unanswerable_fail() {
        let seen = Seen { strangers: block(true, Outcome::Error), response_types: block(true, Outcome::Code), ..good() };
        assert_eq!(unknown_clients_get_no_response(&seen).call, Call::Broken);
        assert_eq!(only_code_is_answered(&seen).call, Call::Broken);
        let mut object = good();
        object.unsigned_object.as_mut().unwrap().nonce_of_object = true;
        assert_eq!(unsigned_request_objects_do_nothing(&object).call, Call::Broken);
        let mut errors = good();
        errors.errors[0].iss.clear();
        assert_eq!(error_responses_name_their_issuer(&errors).call, Call::Broken);
        let extras = Seen {
            extras: Some(ExtrasTry { held: true, all: authz(Outcome::Error), random_only: Some(authz(Outcome::Error)) }),
            ..good()
        };
        assert_eq!(unknown_parameters_are_ignored(&extras).call, Call::Broken);
    }

    #[test]
    fn without_controls_or_responses_nothing_is_decided() {
        let seen = Seen {
            strangers: block(false, Outcome::Page),
            response_types: block(false, Outcome::Error),
            unsigned_object: Some(ObjectTry {
                held: false,
                authz: authz(Outcome::Error),
                state_of_object: false,
                nonce_of_object: false,
            }),
            errors: vec![authz(Outcome::Page)],
            extras: Some(ExtrasTry { held: false, all: authz(Outcome::Error), random_only: Some(authz(Outcome::Error)) }),
            ..good()
        };
        for check in Requests::CHECKS {
            assert_eq!((check.judge)(&seen).call, Call::Undecided, "{}", check.clause);
        }
    }
}
