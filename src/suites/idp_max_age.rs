//! idp-max-age: two typed re-authentications. After all silent work, because they change auth_time.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::counterpart::token::TokenRequest;
use crate::model::Judgement;
use crate::stage::Stage;
use crate::stage::browser::Visit;
use crate::stage::browser::recipe::{Until, asks_for_credentials};
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::seen::{AuthzSeen, IdTokenSeen, Outcome};

/// max_age that is exceeded.
pub struct MaxAge;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The ID token of the typed login.
    pub first: Option<IdTokenSeen>,
    /// max_age=1, at least three seconds later.
    pub one: Option<Again>,
    /// max_age=0, at least two seconds later.
    pub zero: Option<Again>,
}

/// A request that must ask again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Again {
    /// A page asked for credentials.
    pub asked: bool,
    /// Something stood in the way of the second sign-in.
    pub obstacle: Option<String>,
    /// The authorization response; `None` where an obstacle stood in the way.
    pub authz: Option<AuthzSeen>,
    /// The new ID token.
    pub id_token: Option<IdTokenSeen>,
    /// `auth_time` before.
    pub before: Option<i64>,
}

impl Scenario for MaxAge {
    type Seen = Seen;
    const ID: &'static str = "idp-max-age";
    const TITLE: &'static str = "lets max_age run out and signs in again";
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
    ];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.max-age-reauth", an_exceeded_max_age_asks_again),
        Check::new("sl1.idp.max-age-zero", max_age_zero_asks_again),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let main = stage.world.signed_in()?.clone();
        let mut seen = Seen { first: main.id_token.clone(), ..Seen::default() };
        let mut before = main.id_token.as_ref().and_then(|token| token.seconds("auth_time"));
        if stage.wants("sl1.idp.max-age-reauth") {
            stage.wait_until(main.at + Duration::from_secs(3), "max_age=1 to be exceeded").await;
            let one = again(stage, stage.request("main")?.set("max_age", "1"), "max_age=1", before).await?;
            before = one.id_token.as_ref().and_then(|token| token.seconds("auth_time")).or(before);
            seen.one = Some(one);
        }
        if stage.wants("sl1.idp.max-age-zero") {
            stage.wait_until(Instant::now() + Duration::from_secs(2), "a login to be older than max_age=0").await;
            seen.zero = Some(again(stage, stage.request("main")?.set("max_age", "0"), "max_age=0", before).await?);
        }
        Ok(seen)
    }
}

/// Sends a request in the main user's session, and types again what it asks for.
pub(super) async fn again(
    stage: &Stage,
    request: crate::counterpart::relying_party::AuthzRequest,
    parameter: &str,
    before: Option<i64>,
) -> Result<Again, Obstacle> {
    let world = &stage.world;
    let context = world.signed_in()?.context.clone();
    let user = world.idp.users.first().ok_or_else(|| Obstacle::config("idp.users is not configured", "Add a test user."))?;
    let what = format!("authorization request with {parameter}");
    let mut page = context.page(stage.scenario).await?;
    let landing = page.go(Visit::Get(request.url(world.endpoint("authorization_endpoint")?)), &what).await?;
    let asked = asks_for_credentials(&landing);
    let mut seen = Again { asked, obstacle: None, authz: None, id_token: None, before };
    let authz = if asked {
        match stage.finish_sign_in(page.as_mut(), landing, user, Until::Arrival).await {
            Ok(signed_in) => stage.classify(&request, &signed_in.whole(), &what),
            Err(obstacle) => {
                seen.obstacle = Some(obstacle.message);
                return Ok(seen);
            }
        }
    } else {
        stage.classify(&request, &landing, &what)
    };
    if let Some(code) = &authz.code {
        let token = TokenRequest::code(&request, code, &format!("token request, {parameter}")).login("re-authentication");
        seen.id_token = stage.token(&token, None).await?.1.id_token;
    }
    seen.authz = Some(authz.seen);
    Ok(seen)
}

/// Was somebody asked, and did `auth_time` move?
pub(super) fn judge(again: &Again, what: &str) -> Judgement {
    let cites = || {
        again.authz.iter().flat_map(|authz| authz.cites.iter().rev()).chain(again.id_token.iter().map(|token| &token.exchange))
    };
    if let Some(obstacle) = &again.obstacle {
        return Judgement::undecided(format!("credentials were asked for, but the sign-in did not end: {obstacle}"));
    }
    let Some(authz) = &again.authz else { return Judgement::undecided("no response was seen") };
    let after = again.id_token.as_ref().and_then(|token| token.seconds("auth_time"));
    let moved = match (again.before, after) {
        (Some(before), Some(after)) => Some(after > before),
        _ => None,
    };
    let judgement = match (authz.outcome, again.asked, moved) {
        (Outcome::Code, true, Some(true)) => {
            let fresh = again.id_token.as_ref().is_some_and(|token| token.now() - after.unwrap_or_default() <= 60);
            if fresh {
                Judgement::pass(format!("{what}: credentials were asked for, and auth_time moved"))
            } else {
                Judgement::broken("credentials were asked for, but auth_time lies more than 60 s before the exchange")
            }
        }
        (Outcome::Code, true, None) if after.is_some() => {
            // By the server's clock, not before the request was made.
            let since = |token: &IdTokenSeen| token.began + token.now() - token.received - 2;
            if again.id_token.as_ref().is_none_or(|token| after < Some(since(token))) {
                return Judgement::broken("credentials were asked for, but auth_time is older than the request")
                    .expected("auth_time after the request", format!("asked: true, auth_time {}", after.unwrap_or_default()))
                    .cite(cites());
            }
            Judgement::pass(format!("{what}: credentials were asked for, and auth_time is fresh (the login before had none)"))
        }
        (Outcome::Code, true, Some(false)) => Judgement::broken("credentials were asked for, but auth_time stayed the same"),
        (Outcome::Code, false, Some(true)) => Judgement::undecided(
            "auth_time moved although no page asked for credentials: ask the operator whether something authenticated silently",
        ),
        (Outcome::Code, false, _) => Judgement::broken(format!("{what}: a code was issued without asking the user")),
        _ if authz.out_of_order() => Judgement::undecided(format!("{what}: {}", authz.describe())),
        (Outcome::Error | Outcome::ErrorElsewhere, ..) => Judgement::broken(format!("{what}: {}", authz.describe())),
        (_, true, None) => Judgement::undecided("auth_time is missing or no number (see sl1.idp.id-token-auth-time)"),
        _ => Judgement::undecided(format!("{what}: {}", authz.describe())),
    };
    let show = |time: Option<i64>| time.map_or("none".to_owned(), |time| time.to_string());
    judgement
        .expected(format!("auth_time after {}", show(again.before)), format!("asked: {}, auth_time {}", again.asked, show(after)))
        .cite(cites())
}

fn an_exceeded_max_age_asks_again(seen: &Seen) -> Judgement {
    seen.one.as_ref().map_or_else(|| Judgement::undecided("not tried"), |again| judge(again, "max_age=1"))
}

fn max_age_zero_asks_again(seen: &Seen) -> Judgement {
    seen.zero.as_ref().map_or_else(|| Judgement::undecided("not tried"), |again| judge(again, "max_age=0"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::{authz, id_token};
    use serde_json::json;

    fn again(asked: bool, outcome: Outcome, after: Option<i64>) -> Again {
        let id_token = after.map(|time| id_token(json!({"auth_time": time})));
        Again { asked, obstacle: None, authz: Some(authz(outcome)), id_token, before: Some(900) }
    }

    fn both(again: Again) -> Vec<Call> {
        let seen = Seen { first: None, one: Some(again.clone()), zero: Some(again) };
        MaxAge::CHECKS.iter().map(|check| (check.judge)(&seen).call).collect()
    }

    #[test]
    fn an_exceeded_max_age_is_judged_by_page_and_auth_time() {
        for (case, call) in [
            (again(true, Outcome::Code, Some(990)), Call::Pass),
            (again(true, Outcome::Code, Some(900)), Call::Broken),
            (again(true, Outcome::Code, Some(901)), Call::Broken),
            (again(false, Outcome::Code, Some(900)), Call::Broken),
            (again(false, Outcome::Code, None), Call::Broken),
            (again(false, Outcome::Error, None), Call::Broken),
            (again(false, Outcome::Code, Some(990)), Call::Undecided),
            (again(false, Outcome::Fault, None), Call::Undecided),
            (Again { obstacle: Some("stuck".into()), ..again(true, Outcome::Page, None) }, Call::Undecided),
        ] {
            assert_eq!(both(case.clone()), [call, call], "{case:?}");
        }
        assert_eq!(an_exceeded_max_age_asks_again(&Seen::default()).call, Call::Undecided);
        let mut busy = again(true, Outcome::Error, None);
        busy.authz.as_mut().unwrap().error = Some("temporarily_unavailable".into());
        assert_eq!(both(busy), [Call::Undecided, Call::Undecided]);
        // Without an auth_time before, it must lie after the request.
        let alone = |after| Again { before: None, ..again(true, Outcome::Code, Some(after)) };
        assert_eq!(both(alone(100)), [Call::Broken, Call::Broken]);
    }
}
