//! idp-login: one typed login in a fresh browser: client A, scope openid, 64-character nonce, no acr_values, no max_age.
//! The signed-in browser is kept for the other scenarios.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::counterpart::authorize::{host_of, path_of};
use crate::counterpart::token::TokenRequest;
use crate::model::target::User;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::stage::browser::recipe::{Typed, Until};
use crate::stage::browser::{Hop, Visit};
use crate::stage::http::Reply;
use crate::stage::world::MainLogin;
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::jose;
use crate::wire::seen::{AuthzSeen, IdTokenSeen, Outcome, PROTOCOL_CLAIMS, TokenSeen};

mod checks;

/// The typed login.
pub struct Login;

/// What the login showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The issuer of the metadata.
    pub issuer: String,
    /// The authorization response.
    pub authz: AuthzSeen,
    /// Everything the browser did at the identity service and on the way to the redirect URI.
    pub hops: Vec<HopSeen>,
    /// Method of the request at the redirect URI.
    pub arrived_by: String,
    /// The redirect URI received a form field that is no part of an authorization response.
    pub credentials_arrived: bool,
    /// What was typed or confirmed: `user name`, `password`, `one-time code`, `passkey`, `consent`.
    pub typed: Vec<String>,
    /// The token response; `None` where no code came.
    pub token: Option<TokenSeen>,
    /// The ID token.
    pub id_token: Option<IdTokenSeen>,
    /// The access token, as far as it can be read.
    pub access: Option<AccessSeen>,
    /// The UserInfo answer; `None` where no endpoint is advertised or no token came.
    pub userinfo: Option<UserInfoSeen>,
    /// A UserInfo endpoint is advertised.
    pub userinfo_advertised: bool,
    /// `acr` values that the operator declared multi-factor.
    pub acr_mfa: Vec<String>,
    /// Claims that the agreement with the client lists.
    pub attribute_contract: Vec<String>,
}

/// One hop of the browser.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HopSeen {
    /// Method.
    pub method: String,
    /// URL without query.
    pub at: String,
    /// Status.
    pub status: u16,
    /// It redirects to the redirect URI.
    pub to_suite: bool,
    /// The request went to the suite's own endpoint.
    pub at_suite: bool,
    /// The request carried typed secrets.
    pub credentials: bool,
    /// A script request.
    pub script: bool,
    /// An HTML page that was shown.
    pub page: bool,
    /// `frame-ancestors` of Content-Security-Policy.
    pub frame_ancestors: Option<String>,
    /// `X-Frame-Options`.
    pub x_frame_options: Option<String>,
    /// Exchange.
    pub cite: ExchangeId,
}

/// An access token that is a JWT.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AccessSeen {
    /// It is a JWT.
    pub jwt: bool,
    /// Its audiences.
    pub audiences: Vec<String>,
    /// Scopes of the token or its response.
    pub scopes: Vec<String>,
    /// The token response.
    pub cite: Vec<ExchangeId>,
}

/// A UserInfo answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UserInfoSeen {
    /// Status; 0 for no answer.
    pub status: u16,
    /// `sub`.
    pub sub: Option<String>,
    /// Names of claims that are not the protocol's.
    pub attributes: Vec<String>,
    /// Why no answer arrived.
    pub fault: Option<String>,
    /// Exchange.
    pub cite: Vec<ExchangeId>,
}

impl Scenario for Login {
    type Seen = Seen;
    const ID: &'static str = "idp-login";
    const TITLE: &'static str = "signs a user in with every factor and redeems the code";
    const CHECKS: &'static [Check<Seen>] = checks::ALL;

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let outcome = sign_in(stage).await;
        if let Err(obstacle) = &outcome {
            // Those who wait for the signed-in browser shall learn why there is none.
            let _ = stage.world.main.set(Err(obstacle.clone()));
        }
        outcome
    }
}

async fn sign_in(stage: &Stage) -> Result<Seen, Obstacle> {
    let world = &stage.world;
    let user = world
        .idp
        .users
        .first()
        .ok_or_else(|| Obstacle::config("idp.users is not configured", "Add a test user to the target file."))?;
    let context = world.agent.context("main user").await?;
    let request = stage.request("main")?;
    let url = request.url(world.endpoint("authorization_endpoint")?);
    let (authz, signed_in, mut page) =
        stage.sign_in(&context, &request, user, Visit::Get(url), Until::Arrival, "authorization request, typed login").await?;
    if let Some(png) = page.screenshot().await {
        world.recorder.shot(stage.scenario, "where the login ended", png);
    }
    let (mut token, mut id_token, mut access, mut userinfo) = (None, None, None, None);
    if let Some(code) = &authz.code {
        let (seen, tokens) = stage.token(&TokenRequest::code(&request, code, "token request").login("typed"), None).await?;
        if let Some(value) = &tokens.access {
            access = Some(access_seen(value, tokens.scope.as_deref(), &seen));
            if world.discovery.get("userinfo_endpoint").is_some() {
                userinfo = Some(match stage.userinfo("UserInfo with the token in the header", value, None).await {
                    Ok(reply) => userinfo_seen(&reply),
                    Err(obstacle) => UserInfoSeen { fault: Some(obstacle.message), ..UserInfoSeen::default() },
                });
            }
        }
        token = Some(seen);
        id_token = tokens.id_token;
    }
    let hops: Vec<HopSeen> = signed_in.hops.iter().map(|hop| hop_seen(stage, hop)).collect();
    if stage.control(authz.seen.outcome == Outcome::Code && id_token.is_some()) {
        let pages = signed_in.hops.iter().filter(|hop| !hop.script).map(|hop| hop.url.clone()).collect();
        let _ = world.main.set(Ok(MainLogin { context, at: Instant::now(), id_token: id_token.clone(), pages }));
    } else {
        let _ = world.main.set(Err(Obstacle::target(
            format!("the login led to {} and no ID token", authz.seen.describe()),
            "See the verdicts of idp-login and its screenshot.",
        )));
    }
    let arrival = signed_in.landing.arrival.clone().unwrap_or_default();
    const RESPONSE: [&str; 5] = ["code", "state", "iss", "session_state", "scope"];
    Ok(Seen {
        issuer: world.issuer().to_owned(),
        authz: authz.seen,
        hops,
        arrived_by: arrival.method,
        credentials_arrived: arrival.form.iter().any(|(name, _)| !RESPONSE.contains(&name.as_str())),
        typed: typed_words(user, &signed_in.typed),
        token,
        id_token,
        access,
        userinfo,
        userinfo_advertised: world.discovery.get("userinfo_endpoint").is_some(),
        acr_mfa: world.idp.acr_mfa.clone(),
        attribute_contract: world.idp.attribute_contract.clone(),
    })
}

/// In words. With a passkey the virtual authenticator answers a prompt, which is neither a password nor a code.
fn typed_words(user: &User, typed: &[Typed]) -> Vec<String> {
    let by_passkey = user.passkey.is_some() && !typed.contains(&Typed::Password);
    typed
        .iter()
        .map(|typed| match typed {
            Typed::UserName => "user name",
            Typed::Password => "password",
            Typed::OneTimeCode | Typed::HardwareCode => "one-time code",
            Typed::Consent => "consent",
            Typed::Other if by_passkey => "passkey",
            Typed::Other => "other",
        })
        .map(str::to_owned)
        .collect()
}

fn hop_seen(stage: &Stage, hop: &Hop) -> HopSeen {
    let suite = |url: &str| host_of(url).is_some_and(|host| stage.is_suite_host(&host));
    let html = hop.header("content-type").is_some_and(|kind| kind.contains("html"));
    let policy = |name: &str| {
        hop.headers
            .iter()
            .filter(|(key, _)| key == "content-security-policy")
            .flat_map(|(_, value)| value.split([';', ',']))
            .find_map(|directive| directive.trim().strip_prefix(name).map(|rest| rest.trim().to_owned()))
    };
    HopSeen {
        method: hop.method.clone(),
        at: path_of(&hop.url).to_owned(),
        status: hop.status,
        to_suite: hop.location().is_some_and(|url| suite(&url)),
        at_suite: suite(&hop.url),
        credentials: hop.carried_credentials,
        script: hop.script,
        page: html && hop.status == 200 && !hop.script && !suite(&hop.url),
        frame_ancestors: policy("frame-ancestors"),
        x_frame_options: hop.header("x-frame-options").map(str::to_owned),
        cite: hop.exchange.clone(),
    }
}

fn access_seen(token: &str, scope: Option<&str>, response: &TokenSeen) -> AccessSeen {
    let mut seen = AccessSeen { cite: response.cites.last().cloned().into_iter().collect(), ..AccessSeen::default() };
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    seen.scopes = scope.map(words).unwrap_or_default();
    if let Ok(jws) = jose::read(token) {
        seen.jwt = true;
        seen.audiences = match &jws.claims["aud"] {
            serde_json::Value::String(one) => vec![one.clone()],
            serde_json::Value::Array(many) => many.iter().filter_map(|one| one.as_str()).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        seen.scopes.extend(jws.claims["scope"].as_str().or(jws.claims["scp"].as_str()).map(words).unwrap_or_default());
        seen.scopes.sort();
        seen.scopes.dedup();
    }
    seen
}

fn userinfo_seen(reply: &Reply) -> UserInfoSeen {
    let body = reply.json().or_else(|| jose::read(std::str::from_utf8(&reply.body).ok()?.trim()).ok().map(|jws| jws.claims));
    UserInfoSeen {
        status: reply.status,
        sub: body.as_ref().and_then(|body| body["sub"].as_str()).map(str::to_owned),
        attributes: body
            .as_ref()
            .and_then(|body| body.as_object())
            .map(|claims| claims.keys().filter(|name| !PROTOCOL_CLAIMS.contains(&name.as_str())).cloned().collect())
            .unwrap_or_default(),
        fault: None,
        cite: vec![reply.exchange.clone()],
    }
}

/// A judgement for a login without an ID token.
pub fn no_id_token(seen: &Seen) -> Option<Judgement> {
    seen.id_token
        .is_none()
        .then(|| Judgement::undecided("no ID token was returned").cite(seen.token.iter().flat_map(|token| &token.cites)))
}
