//! What gives a user access: the browser's session, calls with its cookies, tokens of the application. Each one is proved before the
//! suspension, tried until it is refused, and tried again after the reactivation.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::model::ExchangeId;
use crate::model::target::{ApiProbe, AppTokens};
use crate::stage::Stage;
use crate::stage::oracle::{place, same_origin};
use crate::stage::visitor::Visitor;
use crate::suite::Obstacle;
use crate::suites::account_blocks::{alive, elapsed_ms, look, pause};
use crate::suites::app_command::tokens::{self, Tokens};

/// Seconds after which every mechanism must have ended; the bound is the suite's, the specification names none.
pub const MECHANISMS_S: u64 = 900;

/// A way of access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The protected page in the browser's session.
    #[default]
    Session,
    /// A call of `app.api` with the browser's cookies.
    Api,
    /// A call of `app.tokens.api_url` with an access token of the application.
    AccessToken,
    /// A refresh at `app.tokens.token_endpoint`.
    RefreshToken,
}

impl Kind {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Session => "web session",
            Kind::Api => "call with the session's cookies",
            Kind::AccessToken => "access token of the application",
            Kind::RefreshToken => "refresh token of the application",
        }
    }
}

/// What became of one way of access.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mechanism {
    /// Which.
    pub kind: Kind,
    /// It worked before the suspension.
    pub before: Option<bool>,
    /// It worked at the last try while the user was suspended; `None` where that try says nothing, or there was none.
    pub during: Option<bool>,
    /// Milliseconds from the suspension to that try.
    pub after_ms: u64,
    /// It worked after the reactivation.
    pub revived: Option<bool>,
    /// The tries that decide.
    pub cites: Vec<ExchangeId>,
}

/// The ways of access of one user.
pub struct Artefacts {
    /// What became of each; those that the target file says nothing of are not among them.
    pub mechanisms: Vec<Mechanism>,
    api: Option<ApiProbe>,
    tokens: Option<(AppTokens, Tokens)>,
}

impl Artefacts {
    /// Collects what is declared, and proves that it works.
    ///
    /// # Errors
    /// The browser failed.
    pub async fn collect(stage: &Stage, visitor: &Visitor) -> Result<Artefacts, Obstacle> {
        let app = stage.app()?;
        let mut own = Artefacts { mechanisms: Vec::new(), api: app.app.api.clone(), tokens: None };
        let mut kinds = vec![Kind::Session];
        if let Some(api) = &own.api {
            // A call that anybody may make is no access of this user.
            let nobody = Visitor::new(stage, "nobody").await?;
            let open = answers(stage, &nobody, api, "call without a session").await?.0;
            kinds.extend((open == Some(false)).then_some(Kind::Api));
        }
        if let Some(declared) = &app.app.tokens
            && let Some(obtained) = tokens::obtain(stage, visitor, declared).await?
        {
            kinds.push(Kind::AccessToken);
            if obtained.refresh.is_some() && !declared.token_endpoint.is_empty() {
                kinds.push(Kind::RefreshToken);
            }
            own.tokens = Some((declared.clone(), obtained));
        }
        for kind in kinds {
            let (before, cites) = own.works(stage, visitor, kind, "before the suspension").await?;
            own.mechanisms.push(Mechanism { kind, before, cites, ..Mechanism::default() });
        }
        Ok(own)
    }

    /// Tries each until it is refused, at most so long after `since`. The access token goes before the refresh token, which makes another.
    ///
    /// # Errors
    /// The browser failed.
    pub async fn try_until_refused(
        &mut self,
        stage: &Stage,
        visitor: &Visitor,
        since: Instant,
        limit: Duration,
    ) -> Result<(), Obstacle> {
        loop {
            let asked = Instant::now();
            for place in 0..self.mechanisms.len() {
                let Mechanism { kind, during, .. } = self.mechanisms[place];
                if during == Some(false) {
                    continue;
                }
                let (works, cites) = self.works(stage, visitor, kind, "after the suspension").await?;
                let mechanism = &mut self.mechanisms[place];
                (mechanism.during, mechanism.after_ms, mechanism.cites) = (works, elapsed_ms(since), cites);
                if (kind, works) == (Kind::RefreshToken, Some(true)) {
                    // The access token that it brought is one more to be refused.
                    let access = self.mechanisms.iter_mut().filter(|one| one.kind == Kind::AccessToken);
                    access.filter(|one| one.during == Some(false)).for_each(|one| one.during = None);
                }
            }
            let over = self.mechanisms.iter().all(|one| one.during == Some(false) || one.before != Some(true));
            if over || asked >= since + limit {
                return Ok(());
            }
            stage.wait_until(asked + pause(stage), "access to end").await;
        }
    }

    /// Tries each once more after the reactivation.
    ///
    /// # Errors
    /// The browser failed.
    pub async fn try_again(&mut self, stage: &Stage, visitor: &Visitor) -> Result<(), Obstacle> {
        for place in 0..self.mechanisms.len() {
            let (works, cites) = self.works(stage, visitor, self.mechanisms[place].kind, "after the reactivation").await?;
            let mechanism = &mut self.mechanisms[place];
            mechanism.revived = works;
            mechanism.cites.extend(cites);
        }
        Ok(())
    }

    async fn works(
        &mut self,
        stage: &Stage,
        visitor: &Visitor,
        kind: Kind,
        when: &str,
    ) -> Result<(Option<bool>, Vec<ExchangeId>), Obstacle> {
        match (kind, &mut self.tokens, &self.api) {
            (Kind::Session, ..) => {
                let look = look(stage, visitor, &format!("protected page {when}")).await?;
                Ok((alive(&look), look.cites))
            }
            (Kind::Api, _, Some(api)) => answers(stage, visitor, api, &format!("API call {when}")).await,
            (Kind::AccessToken, Some((declared, held)), _) => {
                let answer = tokens::call(stage, declared, held, when).await;
                Ok((outcome(&answer), answer.cites))
            }
            (Kind::RefreshToken, Some((declared, held)), _) => {
                let Some((answer, fresh)) = tokens::refresh(stage, declared, held, when).await else {
                    return Ok((None, Vec::new()));
                };
                let works = refreshed(&answer, fresh.is_some());
                // A refresh token may be for one use only: what came last is what counts.
                if let Some(fresh) = fresh {
                    let refresh = fresh.refresh.or(held.refresh.take());
                    *held = Tokens { access: fresh.access, refresh };
                }
                Ok((works, answer.cites))
            }
            _ => Ok((None, Vec::new())),
        }
    }
}

fn outcome(answer: &crate::counterpart::command_issuer::Answer) -> Option<bool> {
    if answer.accepted() { Some(true) } else { answer.refused().then_some(false) }
}

/// A refresh works where it brings a token. An error is a refusal under any status; some send it with 200.
fn refreshed(answer: &crate::counterpart::command_issuer::Answer, brought: bool) -> Option<bool> {
    if brought {
        return Some(true);
    }
    (answer.refused() || (answer.accepted() && answer.error.is_some())).then_some(false)
}

/// Does `app.api` answer this browser as it answers a signed-in user?
async fn answers(
    stage: &Stage,
    visitor: &Visitor,
    api: &ApiProbe,
    step: &str,
) -> Result<(Option<bool>, Vec<ExchangeId>), Obstacle> {
    let landing = visitor.open(stage, &api.url, step).await?;
    let cites = landing.hops.last().map(|hop| hop.exchange.clone()).into_iter().collect();
    if landing.error.is_some() || landing.status >= 500 || landing.status == 429 {
        return Ok((None, cites));
    }
    let elsewhere = same_origin(&landing.url, stage.app()?.provider.issuer()) || place(&landing.url) != place(&api.url);
    let right = landing.status == 200 && (api.text.is_empty() || landing.html.contains(&api.text));
    Ok((Some(right && !elsewhere), cites))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counterpart::command_issuer::Answer;

    #[test]
    fn a_refresh_works_where_it_brings_a_token() {
        let answer = |status, error: Option<&str>| Answer { status, error: error.map(str::to_owned), ..Answer::default() };
        assert_eq!(refreshed(&answer(200, None), true), Some(true));
        assert_eq!(refreshed(&answer(400, Some("invalid_grant")), false), Some(false));
        assert_eq!(refreshed(&answer(200, Some("invalid_grant")), false), Some(false));
        assert_eq!(refreshed(&answer(200, None), false), None);
        assert_eq!(refreshed(&answer(503, None), false), None);
    }
}
