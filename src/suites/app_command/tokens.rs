//! Tokens that the application itself issues to its users: obtained before the command, tried again after it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::counterpart::command_issuer::Answer;
use crate::model::target::AppTokens;
use crate::stage::Stage;
use crate::stage::http::Ask;
use crate::stage::oracle::element_text;
use crate::stage::visitor::Visitor;
use crate::suite::Obstacle;
use crate::wire::jose::random;

/// So long an access token may live on; the bound is the suite's.
pub const ACCESS_BOUND: Duration = Duration::from_secs(60);

/// Tokens of one user, in memory only.
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: Option<String>,
}

/// What became of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TokensSeen {
    /// The application handed out an access token.
    pub obtained: bool,
    /// It handed out a refresh token too.
    pub refreshable: bool,
    /// An API call with a token that nobody issued.
    #[serde(default)]
    pub invented: Option<Answer>,
    /// The API call before the command.
    pub before: Option<Answer>,
    /// The refresh before the command.
    pub refresh_before: Option<Answer>,
    /// The refresh after the command.
    pub refresh_after: Option<Answer>,
    /// The last API call after the command.
    pub after: Option<Answer>,
    /// Milliseconds from the command to that call.
    pub after_ms: u64,
}

/// Fetches the user's tokens in the browser's session.
///
/// # Errors
/// The browser failed.
pub async fn obtain(stage: &Stage, visitor: &Visitor, declared: &AppTokens) -> Result<Option<Tokens>, Obstacle> {
    let landing = visitor.open(stage, &declared.url, "tokens of the application").await?;
    let text = element_text(&landing.html, "body").unwrap_or_default();
    let body = text.find('{').zip(text.rfind('}')).and_then(|(begin, end)| text.get(begin..=end));
    let Some(body) = body.and_then(|body| serde_json::from_str::<serde_json::Value>(body).ok()) else { return Ok(None) };
    Ok(read(stage, &body))
}

fn read(stage: &Stage, body: &serde_json::Value) -> Option<Tokens> {
    let token = |name: &str| body[name].as_str().filter(|token| !token.is_empty()).map(str::to_owned);
    let tokens = Tokens { access: token("access_token")?, refresh: token("refresh_token") };
    for (value, name) in [(Some(&tokens.access), "access token"), (tokens.refresh.as_ref(), "refresh token")] {
        if let Some(value) = value {
            stage.world.recorder.redactor.hide(value, &format!("{name} of the application"));
        }
    }
    Some(tokens)
}

/// Calls the API with the access token.
pub async fn call(stage: &Stage, declared: &AppTokens, tokens: &Tokens, when: &str) -> Answer {
    let ask = Ask::get(&declared.api_url).header("authorization", format!("Bearer {}", tokens.access));
    stage.command(&format!("API call {when}"), ask).await
}

/// Uses the refresh token, where there is one: the answer, and the tokens that came with it.
pub async fn refresh(stage: &Stage, declared: &AppTokens, tokens: &Tokens, when: &str) -> Option<(Answer, Option<Tokens>)> {
    let refresh = tokens.refresh.as_ref().filter(|_| !declared.token_endpoint.is_empty())?;
    let mut fields = vec![("grant_type".to_owned(), "refresh_token".to_owned()), ("refresh_token".to_owned(), refresh.clone())];
    if !declared.client_id.is_empty() {
        fields.push(("client_id".to_owned(), declared.client_id.clone()));
    }
    let what = format!("refresh at the application {when}");
    let mut answer = Answer { what: what.clone(), ..Answer::default() };
    let mut fresh = None;
    match stage.world.http.send(stage.scenario, &what, Ask::form(&declared.token_endpoint, &fields)).await {
        Err(fault) => {
            answer.fault = Some(fault.why);
            answer.cites.push(fault.exchange);
        }
        Ok(reply) => {
            answer.status = reply.status;
            let body = reply.json().unwrap_or_default();
            answer.error = body["error"].as_str().map(str::to_owned);
            fresh = read(stage, &body);
            if fresh.is_none() && answer.error.is_none() {
                answer.error = Some("no access token".to_owned());
            }
            answer.cites.push(reply.exchange);
        }
    }
    Some((answer, fresh))
}

/// A success with tokens: some answer errors with 200 too.
pub fn granted(answer: &Answer) -> bool {
    answer.accepted() && answer.error.is_none()
}

/// Obtains the tokens and proves that they work.
///
/// # Errors
/// The browser failed.
pub async fn before(stage: &Stage, visitor: &Visitor, declared: &AppTokens) -> Result<(TokensSeen, Option<Tokens>), Obstacle> {
    let mut seen = TokensSeen::default();
    let Some(mut tokens) = obtain(stage, visitor, declared).await? else { return Ok((seen, None)) };
    (seen.obtained, seen.refreshable) = (true, tokens.refresh.is_some());
    if let Some((answer, fresh)) = refresh(stage, declared, &tokens, "before the command").await {
        stage.control(granted(&answer));
        seen.refresh_before = Some(answer);
        // A refresh token may be for one use only: what came last is what counts.
        if let Some(fresh) = fresh {
            tokens = Tokens { refresh: fresh.refresh.or(tokens.refresh), access: fresh.access };
        }
    }
    let nobodys = Tokens { access: random(32), refresh: None };
    seen.invented = Some(call(stage, declared, &nobodys, "with a token that nobody issued").await);
    let answer = call(stage, declared, &tokens, "before the command").await;
    stage.control(answer.accepted());
    seen.before = Some(answer);
    Ok((seen, Some(tokens)))
}

/// Tries the tokens after the command: the refresh token once, the access token until it is refused, at most a minute.
pub async fn after(stage: &Stage, declared: &AppTokens, tokens: &Tokens, sent: Instant, seen: &mut TokensSeen) {
    // The access token first: a refresh that works would make another one.
    let mut answer = call(stage, declared, tokens, "after the command").await;
    seen.after_ms = elapsed(sent);
    seen.refresh_after = refresh(stage, declared, tokens, "after the command").await.map(|(answer, _)| answer);
    while !answer.refused() && sent.elapsed() < ACCESS_BOUND {
        stage.wait_until(Instant::now() + Duration::from_secs(2), "an access token of the application to be refused").await;
        answer = call(stage, declared, tokens, "after the command").await;
        seen.after_ms = elapsed(sent);
    }
    seen.after = Some(answer);
}

fn elapsed(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
