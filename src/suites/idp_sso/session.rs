//! idp-sso/session: what a silent login says of the session: auth_time, max_age, POST, tenants.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::counterpart::relying_party::AuthzRequest;
use crate::counterpart::token::TokenRequest;
use crate::model::Judgement;
use crate::stage::Stage;
use crate::stage::browser::Visit;
use crate::stage::browser::recipe::Until;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::blocks::NO_CONTROL;
use crate::wire::seen::{AuthzSeen, IdTokenSeen, OTHER_USER, Outcome, TokenSeen};

/// Silent logins with max_age, prompt=none, POST, tenant.
pub struct Session;

/// A silent login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoginSeen {
    /// The authorization response.
    pub authz: AuthzSeen,
    /// The token response.
    pub token: Option<TokenSeen>,
    /// The ID token.
    pub id_token: Option<IdTokenSeen>,
    /// Somebody had to type credentials.
    pub typed: bool,
}

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Controls before and after held.
    pub held: bool,
    /// The ID token of the typed login.
    pub first: Option<IdTokenSeen>,
    /// A silent login at least three seconds later.
    pub later: Option<LoginSeen>,
    /// max_age=15000.
    pub far: Option<LoginSeen>,
    /// prompt=none.
    pub quiet: Option<LoginSeen>,
    /// prompt=none with max_age=1, at least three seconds after the login.
    pub stale: Option<LoginSeen>,
    /// The request by POST.
    pub post: Option<LoginSeen>,
    /// The declared tenant, and one the user does not belong to.
    pub tenants: Vec<(String, LoginSeen)>,
    /// A tenant is declared.
    pub tenant_declared: bool,
}

impl Scenario for Session {
    type Seen = Seen;
    const ID: &'static str = "idp-sso/session";
    const TITLE: &'static str = "signs in silently with max_age, prompt=none, by POST and for a tenant";
    const AFTER: &'static [&'static str] = &["idp-login"];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.auth-time-unchanged-on-sso", a_silent_login_keeps_its_auth_time),
        Check::new("sl1.idp.max-age-not-reached", a_far_max_age_is_accepted),
        Check::new("sl1.idp.max-age-prompt-none", a_stale_login_is_an_error),
        Check::new("sl1.idp.authz-post", the_request_is_taken_by_post),
        Check::new("sl1.idp.enterprise-hints-honoured", a_tenant_is_honoured),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let main = stage.world.signed_in()?.clone();
        let context = &main.context;
        let idp = stage.world.idp.clone();
        let mut seen = Seen { first: main.id_token.clone(), tenant_declared: !idp.tenant.is_empty(), ..Seen::default() };
        let before = stage.silent_control(context).await;
        let silent = async |request: AuthzRequest, what: &str| {
            let silent = stage.silent(context, &request, what, None).await?;
            Ok::<_, Obstacle>(LoginSeen {
                authz: silent.authz.seen,
                token: silent.token,
                id_token: silent.tokens.id_token,
                typed: false,
            })
        };
        if stage.wants("sl1.idp.max-age-not-reached") {
            seen.far = Some(silent(stage.request("main")?.set("max_age", "15000"), "max_age=15000").await?);
        }
        if stage.wants("sl1.idp.enterprise-hints-honoured") && seen.tenant_declared {
            for tenant in [&idp.tenant, &idp.foreign_tenant].into_iter().filter(|tenant| !tenant.is_empty()) {
                let login = silent(stage.request("main")?.set("tenant", tenant), "a named tenant").await?;
                seen.tenants.push((tenant.clone(), login));
            }
        }
        if stage.wants("sl1.idp.authz-post") {
            seen.post = Some(by_post(stage, context).await?);
        }
        let three_seconds = main.at + Duration::from_secs(3);
        if stage.wants("sl1.idp.auth-time-unchanged-on-sso") {
            stage.wait_until(three_seconds, "a silent login 3 s after the typed one").await;
            seen.later = Some(silent(stage.request("main")?, "silent login, later").await?);
        }
        if stage.wants("sl1.idp.max-age-prompt-none") {
            stage.wait_until(three_seconds, "max_age=1 to be exceeded").await;
            seen.quiet = Some(silent(stage.request("main")?.set("prompt", "none"), "control: prompt=none").await?);
            seen.stale = Some(
                silent(stage.request("main")?.set("prompt", "none").set("max_age", "1"), "prompt=none with max_age=1").await?,
            );
        }
        seen.held = before && stage.silent_control(context).await;
        Ok(seen)
    }
}

/// The request by a cross-site form POST. SameSite=Lax cookies are not sent with it, so a login page may appear; then
/// somebody else signs in there, in a browser of its own, so that the main user's session stays as it is.
async fn by_post(stage: &Stage, context: &std::sync::Arc<dyn crate::stage::browser::Context>) -> Result<LoginSeen, Obstacle> {
    let request = stage.request("main")?;
    let post = |request: &AuthzRequest| -> Result<Visit, Obstacle> {
        Ok(Visit::Post { url: stage.world.endpoint("authorization_endpoint")?.to_owned(), fields: request.params.clone() })
    };
    let mut authz = stage.authorize_by(context, &request, post(&request)?, "authorization request by POST").await?;
    let (mut request, mut typed) = (request, false);
    if authz.seen.outcome == Outcome::LoginPage {
        let user = stage.world.other_user()?;
        let fresh = stage.world.agent.context("signs in after a POST").await?;
        request = stage.request("main")?;
        let visit = post(&request)?;
        authz =
            stage.sign_in(&fresh, &request, user, visit, Until::Arrival, "authorization request by POST, typed login").await?.0;
        typed = true;
    }
    let Some(code) = authz.code.clone() else { return Ok(LoginSeen { authz: authz.seen, token: None, id_token: None, typed }) };
    let token =
        TokenRequest::code(&request, &code, "token request after a POST").login(if typed { OTHER_USER } else { "silent" });
    let (token, _) = stage.token(&token, None).await?;
    Ok(LoginSeen { authz: authz.seen, token: Some(token), id_token: None, typed })
}

fn a_silent_login_keeps_its_auth_time(seen: &Seen) -> Judgement {
    let Some(later) = &seen.later else { return Judgement::undecided("not tried") };
    let (Some(first), Some(second)) = (&seen.first, &later.id_token) else {
        return Judgement::undecided(format!("no second ID token: {}", later.authz.describe())).cite(&later.authz.cites);
    };
    let judgement = match (first.seconds("auth_time"), second.seconds("auth_time")) {
        (Some(before), Some(after)) if (after - before).abs() > 2 => {
            Judgement::broken(format!("auth_time moved by {} s with a login in which nobody authenticated", after - before))
        }
        (Some(_), Some(_)) if methods(first) != methods(second) => {
            Judgement::broken("amr changed with a login in which nobody authenticated")
        }
        (Some(_), Some(_)) => Judgement::pass("auth_time and amr are those of the typed login"),
        _ => Judgement::undecided("auth_time is missing or no number (see sl1.idp.id-token-auth-time)"),
    };
    let show = |token: &IdTokenSeen| format!("auth_time {}, amr {}", token.claim("auth_time"), token.claim("amr"));
    judgement.expected(show(first), show(second)).cite([&second.exchange, &first.exchange])
}

/// The authentication methods, whatever their order.
fn methods(token: &IdTokenSeen) -> std::collections::BTreeSet<String> {
    token.claim("amr").as_array().into_iter().flatten().map(ToString::to_string).collect()
}

fn a_far_max_age_is_accepted(seen: &Seen) -> Judgement {
    let Some(far) = &seen.far else { return Judgement::undecided("not tried") };
    let cites = &far.authz.cites;
    if far.authz.out_of_order() {
        return Judgement::undecided(far.authz.describe()).cite(cites);
    }
    match (far.authz.outcome, &far.id_token) {
        (Outcome::Error | Outcome::ErrorElsewhere, _) => {
            Judgement::broken(format!("a max_age that is not reached leads to {}", far.authz.describe())).cite(cites.iter().rev())
        }
        (Outcome::LoginPage, _) => {
            Judgement::doubtful("the user is asked again although max_age is not reached (allowed)").cite(cites)
        }
        (Outcome::Code, Some(token)) => match token.seconds("auth_time") {
            None => Judgement::broken("the ID token of a request with max_age has no auth_time").cite([&token.exchange]),
            Some(time) if time < token.now() - 15_000 => {
                Judgement::broken("auth_time is older than max_age allows").cite([&token.exchange])
            }
            Some(_) => Judgement::pass("a code arrives, and auth_time satisfies max_age").cite([&token.exchange]),
        },
        _ if !seen.held => Judgement::undecided(NO_CONTROL).cite(cites),
        (Outcome::Page, _) => Judgement::broken(format!("a max_age that is not reached leads to a {}", far.authz.describe()))
            .cite(cites.iter().rev()),
        _ => Judgement::undecided(far.authz.describe()).cite(cites),
    }
}

fn a_stale_login_is_an_error(seen: &Seen) -> Judgement {
    let (Some(stale), Some(quiet)) = (&seen.stale, &seen.quiet) else { return Judgement::undecided("not tried") };
    let cites = &stale.authz.cites;
    if quiet.authz.outcome != Outcome::Code {
        return Judgement::undecided(format!("prompt=none fails even without max_age: {}", quiet.authz.describe()))
            .cite(&quiet.authz.cites);
    }
    if stale.authz.out_of_order() {
        return Judgement::undecided(stale.authz.describe()).cite(cites);
    }
    match (stale.authz.outcome, &stale.id_token, stale.authz.error.as_deref()) {
        (Outcome::Code, Some(token), _) => match token.seconds("auth_time") {
            Some(time) if token.seconds("iat").unwrap_or(token.now()) - time <= 1 => {
                Judgement::undecided("a code came, and auth_time is within max_age").cite([&token.exchange])
            }
            _ => Judgement::broken("a code was issued for a login older than max_age").cite(cites.iter().rev()),
        },
        (Outcome::Code, None, _) => Judgement::broken("a code was issued although max_age is exceeded").cite(cites.iter().rev()),
        (Outcome::Error, _, Some("login_required" | "interaction_required")) => {
            Judgement::pass(format!("answered with {}", stale.authz.error.as_deref().unwrap_or_default())).cite(cites)
        }
        (Outcome::Error, _, error) => {
            Judgement::doubtful(format!("answered with the error `{}`", error.unwrap_or("(none)"))).cite(cites)
        }
        (Outcome::LoginPage | Outcome::Page, ..) => {
            Judgement::broken("prompt=none led to a page of the identity service instead of an error response")
                .cite(cites.iter().rev())
        }
        _ => Judgement::undecided(stale.authz.describe()).cite(cites),
    }
}

fn the_request_is_taken_by_post(seen: &Seen) -> Judgement {
    let Some(post) = &seen.post else { return Judgement::undecided("not tried") };
    let cites = &post.authz.cites;
    match post.authz.outcome {
        Outcome::Code if post.token.as_ref().is_some_and(TokenSeen::granted) => {
            let how = if post.typed { ", after a typed login" } else { "" };
            Judgement::pass(format!("the POST leads to a redeemable code{how}")).cite(cites)
        }
        _ if post.authz.out_of_order() => Judgement::undecided(post.authz.describe()).cite(cites),
        Outcome::Code if !post.token.as_ref().is_some_and(TokenSeen::refused) => {
            Judgement::undecided("the code of the POST could not be redeemed: the token endpoint gave no answer").cite(cites)
        }
        Outcome::Code => Judgement::broken("the POST leads to a code that cannot be redeemed").cite(cites.iter().rev()),
        _ if !seen.held => Judgement::undecided(NO_CONTROL).cite(cites),
        Outcome::LoginPage | Outcome::Fault => Judgement::undecided(post.authz.describe()).cite(cites),
        _ => Judgement::broken(format!("the POST leads to {} (low severity)", post.authz.describe())).cite(cites.iter().rev()),
    }
}

fn a_tenant_is_honoured(seen: &Seen) -> Judgement {
    if !seen.tenant_declared {
        return Judgement::not_applicable("the operator declares no support (idp.tenant)");
    }
    let mut found = crate::model::verdict::Findings::new();
    // The first one is the user's own, which is the control of the other.
    for (place, (tenant, login)) in seen.tenants.iter().enumerate() {
        let claim = login.id_token.as_ref().map(|token| token.claim("tenant").clone()).unwrap_or_default();
        let cites = &login.authz.cites;
        if login.authz.outcome == Outcome::Code && !claim.is_null() && claim != tenant.as_str() {
            found.broken(format!("tenant `{tenant}` was asked for, the ID token says {claim}"), cites);
        } else if login.authz.outcome == Outcome::Fault || login.authz.out_of_order() {
            found.undecided(login.authz.describe(), cites);
        } else if !seen.held {
            found.undecided(NO_CONTROL, cites);
        } else if place == 0 && login.authz.outcome != Outcome::Code {
            found.undecided(format!("the user's own tenant `{tenant}` leads to no code: {}", login.authz.describe()), cites);
        } else if place > 0 && login.authz.outcome == Outcome::Code && claim.is_null() {
            found.undecided(format!("tenant `{tenant}` was asked for, and the ID token names no tenant"), cites);
        } else {
            found.saw(cites);
        }
    }
    if seen.tenants.is_empty() {
        Judgement::undecided("not tried")
    } else {
        found.conclude("no ID token speaks of another tenant than the one asked for")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::{authz, id_token, token};
    use serde_json::json;

    fn login(outcome: Outcome, claims: Option<serde_json::Value>) -> LoginSeen {
        LoginSeen {
            authz: authz(outcome),
            token: (outcome == Outcome::Code).then(|| token(200, &["id_token"])),
            id_token: claims.map(id_token),
            typed: false,
        }
    }

    fn good() -> Seen {
        let claims = json!({"auth_time": 900, "amr": ["pwd"], "iat": 1000, "tenant": "t"});
        let mut stale = login(Outcome::Error, None);
        stale.authz.error = Some("login_required".into());
        Seen {
            held: true,
            first: Some(id_token(claims.clone())),
            later: Some(login(Outcome::Code, Some(claims.clone()))),
            far: Some(login(Outcome::Code, Some(claims.clone()))),
            quiet: Some(login(Outcome::Code, Some(claims.clone()))),
            stale: Some(stale),
            post: Some(login(Outcome::Code, Some(claims.clone()))),
            tenants: vec![("t".into(), login(Outcome::Code, Some(claims))), ("other".into(), login(Outcome::Error, None))],
            tenant_declared: true,
        }
    }

    #[test]
    fn a_sound_session_passes_and_nothing_tried_decides_nothing() {
        for check in Session::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}", check.clause);
            assert_eq!(
                (check.judge)(&Seen { tenant_declared: true, ..Seen::default() }).call,
                Call::Undecided,
                "{}",
                check.clause
            );
        }
        assert_eq!(a_tenant_is_honoured(&Seen::default()).call, Call::NotApplicable);
    }

    #[test]
    fn each_lie_about_the_session_fails() {
        let moved = Seen { later: Some(login(Outcome::Code, Some(json!({"auth_time": 1000, "amr": ["pwd"]})))), ..good() };
        assert_eq!(a_silent_login_keeps_its_auth_time(&moved).call, Call::Broken);
        assert_eq!(a_far_max_age_is_accepted(&Seen { far: Some(login(Outcome::Error, None)), ..good() }).call, Call::Broken);
        let stale = Seen { stale: Some(login(Outcome::Code, Some(json!({"auth_time": 900, "iat": 1000})))), ..good() };
        assert_eq!(a_stale_login_is_an_error(&stale).call, Call::Broken);
        assert_eq!(the_request_is_taken_by_post(&Seen { post: Some(login(Outcome::Page, None)), ..good() }).call, Call::Broken);
        let other = Seen { tenants: vec![("other".into(), login(Outcome::Code, Some(json!({"tenant": "t"}))))], ..good() };
        assert_eq!(a_tenant_is_honoured(&other).call, Call::Broken);
    }

    #[test]
    fn a_tenant_is_judged_by_a_token_that_names_it() {
        let own = |outcome| ("t".to_owned(), login(outcome, None));
        let foreign = |outcome| ("other".to_owned(), login(outcome, None));
        let call = |tenants, held| a_tenant_is_honoured(&Seen { tenants, held, ..good() }).call;
        assert_eq!(call(vec![own(Outcome::Code), foreign(Outcome::Page)], true), Call::Pass);
        assert_eq!(call(vec![own(Outcome::Code), foreign(Outcome::Page)], false), Call::Undecided);
        assert_eq!(call(vec![own(Outcome::Error), foreign(Outcome::Error)], true), Call::Undecided);
        assert_eq!(call(vec![own(Outcome::Code), foreign(Outcome::Code)], true), Call::Undecided);
    }

    #[test]
    fn a_service_that_is_busy_has_not_answered_wrongly() {
        let mut stale = login(Outcome::Page, None);
        stale.authz.status = 429;
        assert_eq!(a_stale_login_is_an_error(&Seen { stale: Some(stale), ..good() }).call, Call::Undecided);
    }

    #[test]
    fn prompt_none_that_never_works_decides_nothing() {
        let seen = Seen { quiet: Some(login(Outcome::Error, None)), ..good() };
        assert_eq!(a_stale_login_is_an_error(&seen).call, Call::Undecided);
    }
}
