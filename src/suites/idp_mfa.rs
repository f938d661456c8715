//! idp-mfa: the first factor only, in a fresh browser. Never completes a login.

use serde::{Deserialize, Serialize};

use crate::counterpart::relying_party::AuthzRequest;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::stage::browser::recipe::{Typed, Until};
use crate::stage::browser::{Act, Visit};
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::seen::{AuthzSeen, Outcome};

/// One factor only.
pub struct Mfa;

/// What one factor was worth.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The login was already complete after the password (no second factor was asked for).
    pub complete: Option<AuthzSeen>,
    /// The page rested on a second factor.
    pub split: bool,
    /// Requests from the half-authenticated browser.
    pub tries: Vec<AuthzSeen>,
    /// The user signs in with a single gesture (passkey).
    pub single_gesture: bool,
}

impl Scenario for Mfa {
    type Seen = Seen;
    const ID: &'static str = "idp-mfa";
    const TITLE: &'static str = "stops after the first factor and tries to get a code";
    const AFTER: &'static [&'static str] = &["idp-login"];
    const CHECKS: &'static [Check<Seen>] = &[Check::new("sl1.idp.mfa-enforced", no_code_before_the_second_factor)];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let world = &stage.world;
        let users = &world.idp.users;
        let user =
            users.get(1).or(users.first()).ok_or_else(|| Obstacle::config("idp.users is not configured", "Add a test user."))?;
        let mut seen = Seen { single_gesture: user.password.is_none(), ..Seen::default() };
        if seen.single_gesture {
            return Ok(seen);
        }
        let context = world.agent.context("first factor only").await?;
        let request = stage.request("main")?;
        let url = request.url(world.endpoint("authorization_endpoint")?);
        let what = "first factor only";
        let (authz, signed_in, mut page) =
            stage.sign_in(&context, &request, user, Visit::Get(url), Until::SecondFactor, what).await?;
        // Explicit steps without a second-factor marker, and pages that ask for both at once, type more than one factor.
        if signed_in.typed.contains(&Typed::OneTimeCode) {
            return Ok(seen);
        }
        if signed_in.landing.arrival.is_some() || authz.code.is_some() {
            seen.complete = Some(authz.seen);
            return Ok(seen);
        }
        seen.split = signed_in.typed.contains(&Typed::Password) && !signed_in.typed.contains(&Typed::OneTimeCode);
        if let Some(png) = page.screenshot().await {
            world.recorder.shot(stage.scenario, "the second factor is asked for", png);
        }
        let mut requests: Vec<(&str, AuthzRequest)> = vec![
            ("the request again", stage.request("main")?),
            ("prompt=none", stage.request("main")?.set("prompt", "none")),
            ("max_age=86400", stage.request("main")?.set("max_age", "86400")),
        ];
        if world.has_client("public") {
            requests.push(("the public client", stage.request("public")?));
        }
        for (what, request) in &requests {
            seen.tries.push(stage.authorize(&context, request, &format!("half signed in: {what}")).await?.seen);
        }
        if let Ok(back) = page.act(&[Act::Back], "half signed in: back").await {
            seen.tries.push(stage.classify(&request, &back, "half signed in: back").seen);
        }
        Ok(seen)
    }
}

fn no_code_before_the_second_factor(seen: &Seen) -> Judgement {
    if seen.single_gesture {
        return Judgement::undecided("the user signs in with a single gesture, which cannot be split (see sl1.idp.mfa-reported)");
    }
    if let Some(complete) = &seen.complete {
        return match complete.outcome {
            Outcome::Code => Judgement::broken("a code was issued after the password alone").cite(complete.cites.iter().rev()),
            _ => Judgement::undecided(format!("the first factor led to {}", complete.describe())).cite(&complete.cites),
        };
    }
    if !seen.split {
        return Judgement::undecided("the login could not be split at its second factor");
    }
    let mut found = Findings::new();
    for tried in &seen.tries {
        match tried.outcome {
            Outcome::Code => found.broken(
                format!("{}: a code was issued", tried.what),
                &tried.cites.iter().rev().take(1).cloned().collect::<Vec<_>>(),
            ),
            Outcome::Fault => found.undecided(format!("{}: {}", tried.what, tried.describe()), &tried.cites),
            // A service that cannot answer now has refused nothing.
            _ if tried.out_of_order() => found.undecided(format!("{}: {}", tried.what, tried.describe()), &tried.cites),
            _ => found.saw(&tried.cites),
        }
    }
    if seen.tries.is_empty() {
        Judgement::undecided("nothing was tried")
    } else {
        found.conclude("no way leads to a code before the second factor")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::authz;

    #[test]
    fn one_factor_must_not_be_enough() {
        let tried = |outcome| Seen { split: true, tries: vec![authz(outcome)], ..Seen::default() };
        assert_eq!(no_code_before_the_second_factor(&tried(Outcome::LoginPage)).call, Call::Pass);
        assert_eq!(no_code_before_the_second_factor(&tried(Outcome::Error)).call, Call::Pass);
        assert_eq!(no_code_before_the_second_factor(&tried(Outcome::Code)).call, Call::Broken);
        assert_eq!(no_code_before_the_second_factor(&tried(Outcome::Fault)).call, Call::Undecided);
        let mut limited = tried(Outcome::Page);
        limited.tries[0].status = 429;
        assert_eq!(no_code_before_the_second_factor(&limited).call, Call::Undecided);
        assert_eq!(
            no_code_before_the_second_factor(&Seen { complete: Some(authz(Outcome::Code)), ..Seen::default() }).call,
            Call::Broken
        );
        assert_eq!(no_code_before_the_second_factor(&Seen { single_gesture: true, ..Seen::default() }).call, Call::Undecided);
        assert_eq!(no_code_before_the_second_factor(&Seen::default()).call, Call::Undecided);
    }
}
