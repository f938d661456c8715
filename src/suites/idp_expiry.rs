//! idp-expiry: a code is kept for 65 s and then redeemed for the first time. Runs beside everything else.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::counterpart::relying_party::AuthzRequest;
use crate::counterpart::token::TokenRequest;
use crate::model::Judgement;
use crate::stage::Stage;
use crate::stage::browser::Visit;
use crate::stage::browser::recipe::Until;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::blocks::NO_CONTROL;
use crate::wire::seen::{AuthzSeen, OTHER_USER, TokenSeen};

/// The wait of sl1.idp.code-lifetime-60, counted from the arrival of the response: the code is a little older than that.
const AGE: Duration = Duration::from_secs(65);

/// Lets a code grow old.
pub struct Expiry;

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The response that carried the code.
    pub authz: AuthzSeen,
    /// Seconds between its arrival and the redemption.
    pub age_s: f64,
    /// The redemption.
    pub late: Option<TokenSeen>,
    /// A fresh code of the same session was redeemed afterwards.
    pub control: bool,
}

impl Scenario for Expiry {
    type Seen = Seen;
    const ID: &'static str = "idp-expiry";
    const TITLE: &'static str = "redeems a code for the first time after 65 s";
    const AFTER: &'static [&'static str] = &["idp-login"];
    const CHECKS: &'static [Check<Seen>] = &[Check::new("sl1.idp.code-lifetime-60", an_old_code_is_refused)];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        // In a session of its own: products tie a code to the session's last grant of the client, so that any later login in the
        // same session would make this code worthless for another reason than its age.
        let user = stage.world.other_user()?;
        let context = stage.world.agent.context("a code to grow old").await?;
        let request = AuthzRequest { login: OTHER_USER, ..stage.request("main")? };
        let url = request.url(stage.world.endpoint("authorization_endpoint")?);
        let (authz, ..) = stage.sign_in(&context, &request, user, Visit::Get(url), Until::Arrival, "a code to grow old").await?;
        let arrived = Instant::now();
        let Some(code) = &authz.code else {
            return Ok(Seen { authz: authz.seen, age_s: 0.0, late: None, control: stage.control(false) });
        };
        stage.wait_until(arrived + AGE, "an authorization code to grow older than 60 s").await;
        let (late, _) = stage.token(&TokenRequest::code(&request, code, "code redeemed after 65 s"), None).await?;
        let age_s = arrived.elapsed().as_secs_f64();
        let control = stage
            .silent(&context, &AuthzRequest { login: OTHER_USER, ..stage.request("main")? }, "control: a fresh code", None)
            .await;
        let control = stage.control(matches!(control, Ok(silent) if silent.succeeded()));
        Ok(Seen { authz: authz.seen, age_s, late: Some(late), control })
    }
}

fn an_old_code_is_refused(seen: &Seen) -> Judgement {
    let Some(late) = &seen.late else {
        return Judgement::undecided(format!("no code came: {}", seen.authz.describe())).cite(&seen.authz.cites);
    };
    let observed = format!("{} after {:.0} s", late.describe(), seen.age_s);
    let judgement = if late.granted() {
        Judgement::broken("a code older than 60 s was redeemed")
    } else if !seen.control {
        Judgement::undecided(NO_CONTROL)
    } else if late.refused() {
        Judgement::pass("the old code is refused, and a fresh one of the same session works")
    } else {
        Judgement::undecided("the token endpoint gave neither tokens nor a refusal")
    };
    judgement.expected("invalid_grant", observed).cite(late.cites.iter().rev())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::{authz, token};
    use crate::wire::seen::Outcome;

    #[test]
    fn an_old_code_counts_only_with_a_control() {
        let seen = |late, control| Seen { authz: authz(Outcome::Code), age_s: 65.0, late, control };
        assert_eq!(an_old_code_is_refused(&seen(Some(token(400, &[])), true)).call, Call::Pass);
        assert_eq!(an_old_code_is_refused(&seen(Some(token(200, &["id_token"])), true)).call, Call::Broken);
        assert_eq!(an_old_code_is_refused(&seen(Some(token(400, &[])), false)).call, Call::Undecided);
        assert_eq!(an_old_code_is_refused(&seen(None, true)).call, Call::Undecided);
    }
}
