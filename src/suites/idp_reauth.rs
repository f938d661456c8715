//! idp-reauth: prompt=none, prompt=login, a class with an age, and a hint of another user. After idp-max-age, in the main user's browser;
//! what needs no session, or another user, has a browser of its own.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::idp_acr::wanting;
use super::idp_max_age::{Again, again, judge};
use super::idp_sso::session::LoginSeen;
use crate::counterpart::relying_party::AuthzRequest;
use crate::counterpart::token::TokenRequest;
use crate::model::Judgement;
use crate::stage::Stage;
use crate::stage::browser::Visit;
use crate::stage::browser::recipe::{SignInFault, Until, sign_in};
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::seen::{AuthzSeen, IdTokenSeen, OTHER_USER, Outcome};

/// Requests that ask for less or more than the session.
pub struct Reauth;

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Fresh browser: prompt=none.
    pub cookieless: Option<AuthzSeen>,
    /// The metadata announces `iss` in responses.
    pub iss_announced: bool,
    /// The issuer.
    pub issuer: String,
    /// A conforming silent login in the main user's session.
    pub held: bool,
    /// Main user: prompt=none.
    pub quiet: Option<LoginSeen>,
    /// Main user: prompt=login.
    pub login: Option<Again>,
    /// Several classes are declared; the highest one.
    pub highest: Option<String>,
    /// Main user: the highest class with max_age=1.
    pub both: Option<Again>,
    /// Main user: prompt=none with a hint of the main user, the control.
    pub own_hint: bool,
    /// `sub` of the main user for this client.
    pub own_sub: Option<String>,
    /// Fresh browser: prompt=login with a hint of the main user, signed in as another user.
    pub other: Option<Other>,
}

/// A login of one user with a hint of another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Other {
    /// Something stood in the way of signing in.
    pub obstacle: Option<String>,
    /// The authorization response.
    pub authz: Option<AuthzSeen>,
    /// The ID token.
    pub id_token: Option<IdTokenSeen>,
    /// After everything was typed, the service asked for the same again instead of answering.
    pub asked_again: bool,
    /// `sub` of a silent login without the hint afterwards: the user had really signed in.
    pub session_sub: Option<String>,
}

impl Scenario for Reauth {
    type Seen = Seen;
    const ID: &'static str = "idp-reauth";
    const TITLE: &'static str = "asks for silence, for a new login, and for a class with an age";
    const AFTER: &'static [&'static str] = &[
        "idp-login",
        "idp-sso/requests",
        "idp-sso/pkce",
        "idp-sso/redirects",
        "idp-sso/codes",
        "idp-sso/dpop",
        "idp-sso/refresh",
        "idp-sso/session",
        "idp-sso/par",
        "idp-public",
        "idp-second",
        "idp-max-age",
    ];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl2.idp.prompt-none-no-session", silence_without_a_session_is_an_error),
        Check::new("sl2.idp.prompt-none-session", silence_with_a_session_is_a_code),
        Check::new("sl2.idp.prompt-login", prompt_login_asks_again),
        Check::new("sl2.idp.acr-with-max-age", class_and_age_are_both_met),
        Check::new("sl2.idp.id-token-hint-other-user", a_hint_is_not_answered_for_somebody_else),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let world = &stage.world;
        let main = world.signed_in()?.clone();
        let mut seen = Seen {
            iss_announced: world.discovery.document["authorization_response_iss_parameter_supported"] == true,
            issuer: world.issuer().to_owned(),
            highest: world.idp.classes.last().map(|class| class.acr.clone()),
            ..Seen::default()
        };
        if stage.wants("sl2.idp.prompt-none-no-session") {
            let fresh = world.agent.context("no session").await?;
            let request = stage.request("main")?.set("prompt", "none");
            seen.cookieless = Some(stage.authorize(&fresh, &request, "prompt=none without a session").await?.seen);
        }
        let first = stage.silent(&main.context, &stage.request("main")?, "control: conforming login", None).await?;
        seen.held = stage.control(first.succeeded());
        let quiet = stage.silent(&main.context, &stage.request("main")?.set("prompt", "none"), "prompt=none", None).await?;
        seen.quiet =
            Some(LoginSeen { authz: quiet.authz.seen, token: quiet.token, id_token: quiet.tokens.id_token, typed: false });
        let mut before = first.tokens.id_token.as_ref().and_then(|token| token.seconds("auth_time"));

        if let Some(hint) = first.tokens.id_token_raw.as_ref().filter(|_| stage.wants("sl2.idp.id-token-hint-other-user")) {
            seen.own_sub = first.tokens.id_token.as_ref().and_then(|token| token.claim("sub").as_str().map(str::to_owned));
            let request = stage.request("main")?.set("prompt", "none").set("id_token_hint", hint);
            let own = stage.authorize(&main.context, &request, "control: prompt=none with a hint of the same user").await?;
            seen.own_hint = stage.control(own.seen.outcome == Outcome::Code);
            seen.other = Some(somebody_else(stage, hint).await?);
        }
        if stage.wants("sl2.idp.prompt-login") {
            stage.wait_until(Instant::now() + Duration::from_secs(2), "a login to lie in the past").await;
            let request = stage.request("main")?.set("prompt", "login");
            let login = again(stage, request, "prompt=login", before).await?;
            before = login.id_token.as_ref().and_then(|token| token.seconds("auth_time")).or(before);
            seen.login = Some(login);
        }
        if let Some(highest) = seen.highest.clone().filter(|_| stage.wants("sl2.idp.acr-with-max-age")) {
            stage.wait_until(Instant::now() + Duration::from_secs(3), "max_age=1 to be exceeded").await;
            let request = wanting(stage, world.idp.classes_by, &highest)?.set("max_age", "1");
            seen.both = Some(again(stage, request, "the highest class and max_age=1", before).await?);
        }
        Ok(seen)
    }
}

/// Signs another user in although the application names the main user.
async fn somebody_else(stage: &Stage, hint: &str) -> Result<Other, Obstacle> {
    let user = stage.world.other_user()?;
    let fresh = stage.world.agent.context("another user than the hint").await?;
    let request = AuthzRequest { login: OTHER_USER, ..stage.request("main")? };
    let request = request.set("prompt", "login").set("id_token_hint", hint);
    let url = request.url(stage.world.endpoint("authorization_endpoint")?);
    let what = "prompt=login with a hint of another user";
    let mut page = fresh.page(stage.scenario).await?;
    let landing = page.go(Visit::Get(url), what).await?;
    let mut other = Other { obstacle: None, authz: None, id_token: None, asked_again: false, session_sub: None };
    let authz = if landing.arrival.is_some() {
        Some(stage.classify(&request, &landing, what))
    } else {
        let who = stage.credentials(user)?.apart();
        let (steps, recorder) = (&stage.world.idp.login.steps, &stage.world.recorder);
        match sign_in(page.as_mut(), landing, &who, steps, Until::Arrival, recorder, stage.scenario).await {
            Ok(signed_in) => Some(stage.classify(&request, &signed_in.whole(), what)),
            Err(fault) => {
                other.asked_again = matches!(fault, SignInFault::Refused { .. });
                other.obstacle = Some(fault.to_string());
                None
            }
        }
    };
    // Redeemed at once: a later login of the same user may end the grant.
    if let Some(code) = authz.as_ref().and_then(|authz| authz.code.as_ref()) {
        let token = TokenRequest::code(&request, code, "token request, a hint of another user").login(OTHER_USER);
        other.id_token = stage.token(&token, None).await?.1.id_token;
    }
    let silent = AuthzRequest { login: OTHER_USER, ..stage.request("main")? };
    let silent = silent.set("prompt", "none");
    let after = stage.authorize(&fresh, &silent, "control: who is signed in after that").await?;
    if let Some(code) = &after.code {
        let token = TokenRequest::code(&silent, code, "token request: who is signed in after that").login(OTHER_USER);
        let token = stage.token(&token, None).await?.1.id_token;
        other.session_sub = token.and_then(|token| token.claim("sub").as_str().map(str::to_owned));
    }
    other.authz = authz.map(|authz| authz.seen);
    Ok(other)
}

fn silence_without_a_session_is_an_error(seen: &Seen) -> Judgement {
    let Some(authz) = &seen.cookieless else { return Judgement::undecided("not tried") };
    let cites = &authz.cites;
    if authz.out_of_order() || authz.status == 403 || authz.outcome == Outcome::Fault {
        return Judgement::undecided(authz.describe()).cite(cites);
    }
    let known = ["login_required", "interaction_required", "account_selection_required", "consent_required"];
    let judgement = match (authz.outcome, authz.error.as_deref()) {
        (Outcome::Error, _) if authz.state_kept == Some(false) => {
            Judgement::broken("the error response does not carry the state")
        }
        (Outcome::Error, Some(error)) if !known.contains(&error) => {
            Judgement::doubtful(format!("answered with the error `{error}`"))
        }
        (Outcome::Error, _) if seen.iss_announced && authz.iss != [seen.issuer.as_str()] => {
            Judgement::doubtful("iss is announced for responses, and the error response does not carry it")
        }
        (Outcome::Error, error) => Judgement::pass(format!("answered with {}", error.unwrap_or_default())),
        (Outcome::Code, _) => Judgement::broken("a code was issued although nobody is signed in"),
        (Outcome::LoginPage | Outcome::Page, _) => Judgement::broken("a page was shown instead of an error response"),
        _ => Judgement::broken(authz.describe()),
    };
    judgement.cite(cites)
}

fn silence_with_a_session_is_a_code(seen: &Seen) -> Judgement {
    let Some(quiet) = &seen.quiet else { return Judgement::undecided("not tried") };
    let cites = &quiet.authz.cites;
    match quiet.authz.outcome {
        Outcome::Code => Judgement::pass("a code without interaction").cite(cites),
        _ if !seen.held || quiet.authz.out_of_order() || quiet.authz.outcome == Outcome::Fault => {
            Judgement::undecided(format!("the session did not last, or no answer: {}", quiet.authz.describe())).cite(cites)
        }
        _ => Judgement::broken(format!("the same login without prompt is silent, with prompt=none: {}", quiet.authz.describe()))
            .cite(cites.iter().rev()),
    }
}

fn prompt_login_asks_again(seen: &Seen) -> Judgement {
    seen.login.as_ref().map_or_else(|| Judgement::undecided("not tried"), |again| judge(again, "prompt=login"))
}

fn class_and_age_are_both_met(seen: &Seen) -> Judgement {
    let (Some(both), Some(highest)) = (&seen.both, &seen.highest) else { return Judgement::undecided("not tried") };
    let judgement = judge(both, "max_age=1 with a class");
    let Some(token) = both.id_token.as_ref().filter(|_| judgement.call == crate::model::Call::Pass) else { return judgement };
    if token.claim("acr") == highest.as_str() {
        Judgement::pass("credentials were asked for, auth_time moved, and acr is the requested class").cite([&token.exchange])
    } else {
        Judgement::broken(format!("auth_time moved, but acr is {} instead of {highest}", token.claim("acr")))
            .cite([&token.exchange])
    }
}

fn a_hint_is_not_answered_for_somebody_else(seen: &Seen) -> Judgement {
    let Some(other) = &seen.other else { return Judgement::undecided("not tried, or there was no ID token to send as a hint") };
    let Some(authz) = &other.authz else {
        let really = other.session_sub.is_some() && other.session_sub != seen.own_sub;
        if other.asked_again && really {
            return Judgement::pass("the other user signed in, and the service asked again instead of answering");
        }
        let why = other.obstacle.as_deref().unwrap_or_default();
        return Judgement::undecided(format!("the other user could not sign in: {why}"));
    };
    let cites = &authz.cites;
    let sub = other.id_token.as_ref().and_then(|token| token.claim("sub").as_str());
    match (authz.outcome, sub, &seen.own_sub) {
        (Outcome::Code, Some(sub), Some(own)) if sub == own => {
            Judgement::pass("the login is that of the hinted user").cite(cites)
        }
        (Outcome::Code, Some(_), Some(_)) => {
            Judgement::broken("the hint names one user, and the ID token is about another").cite(cites.iter().rev())
        }
        _ if !seen.own_hint => {
            Judgement::undecided("a hint of the same user under prompt=none gave no code, so a refusal proves nothing")
                .cite(cites)
        }
        _ if authz.refused() => Judgement::pass(format!("refused: {}", authz.describe())).cite(cites),
        _ => Judgement::undecided(authz.describe()).cite(cites),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::{authz, id_token};
    use serde_json::json;

    fn error(name: &str) -> AuthzSeen {
        AuthzSeen { error: Some(name.into()), ..authz(Outcome::Error) }
    }

    fn login(outcome: Outcome) -> LoginSeen {
        LoginSeen { authz: authz(outcome), token: None, id_token: None, typed: false }
    }

    fn once(acr: &str, asked: bool, after: i64) -> Again {
        let id_token = Some(id_token(json!({"auth_time": after, "acr": acr})));
        Again { asked, obstacle: None, authz: Some(authz(Outcome::Code)), id_token, before: Some(900) }
    }

    fn good() -> Seen {
        Seen {
            cookieless: Some(error("login_required")),
            iss_announced: true,
            issuer: "https://op".into(),
            held: true,
            quiet: Some(login(Outcome::Code)),
            login: Some(once("low", true, 990)),
            highest: Some("high".into()),
            both: Some(once("high", true, 990)),
            own_hint: true,
            own_sub: Some("u1".into()),
            other: Some(Other {
                obstacle: None,
                authz: Some(error("login_required")),
                id_token: None,
                asked_again: false,
                session_sub: Some("u2".into()),
            }),
        }
    }

    #[test]
    fn a_service_that_asks_when_it_should_passes_and_nothing_tried_decides_nothing() {
        for check in Reauth::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}", check.clause);
            assert_eq!((check.judge)(&Seen::default()).call, Call::Undecided, "{}", check.clause);
        }
    }

    #[test]
    fn silence_without_a_session() {
        let call = |cookieless| silence_without_a_session_is_an_error(&Seen { cookieless: Some(cookieless), ..good() }).call;
        assert_eq!(call(authz(Outcome::LoginPage)), Call::Broken);
        assert_eq!(call(authz(Outcome::Code)), Call::Broken);
        assert_eq!(call(AuthzSeen { state_kept: Some(false), ..error("login_required") }), Call::Broken);
        assert_eq!(call(AuthzSeen { iss: Vec::new(), ..error("login_required") }), Call::Doubtful);
        assert_eq!(call(error("access_denied")), Call::Doubtful);
        assert_eq!(call(AuthzSeen { status: 429, ..authz(Outcome::Page) }), Call::Undecided);
    }

    #[test]
    fn a_session_a_class_and_a_hint() {
        let refused = Seen { quiet: Some(login(Outcome::Error)), ..good() };
        assert_eq!(silence_with_a_session_is_a_code(&refused).call, Call::Broken);
        assert_eq!(silence_with_a_session_is_a_code(&Seen { held: false, ..refused }).call, Call::Undecided);
        let ignored = Seen { login: Some(once("low", false, 900)), both: Some(once("high", false, 900)), ..good() };
        assert_eq!(prompt_login_asks_again(&ignored).call, Call::Broken);
        assert_eq!(class_and_age_are_both_met(&ignored).call, Call::Broken);
        assert_eq!(class_and_age_are_both_met(&Seen { both: Some(once("low", true, 990)), ..good() }).call, Call::Broken);
        let answered = |sub: &str| Other {
            obstacle: None,
            authz: Some(authz(Outcome::Code)),
            id_token: Some(id_token(json!({"sub": sub}))),
            asked_again: false,
            session_sub: None,
        };
        let again = |session: Option<&str>| Other {
            obstacle: Some("asked again".into()),
            authz: None,
            id_token: None,
            asked_again: true,
            session_sub: session.map(str::to_owned),
        };
        let other = |other| a_hint_is_not_answered_for_somebody_else(&Seen { other: Some(other), ..good() }).call;
        assert_eq!(
            (other(again(Some("u2"))), other(again(None)), other(again(Some("u1")))),
            (Call::Pass, Call::Undecided, Call::Undecided)
        );
        assert_eq!((other(answered("u2")), other(answered("u1"))), (Call::Broken, Call::Pass));
        assert_eq!(a_hint_is_not_answered_for_somebody_else(&Seen { own_hint: false, ..good() }).call, Call::Undecided);
    }
}
