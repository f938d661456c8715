//! The scenario, step by step.

use std::time::{Duration, Instant};

use super::delivery::{BackchannelLogout, Delivery, addressed, endpoint, sender};
use super::{Asked, Form, Seen, Watched, tokens, write};
use crate::counterpart::command_issuer::{Answer, Draft, LogoutForm, Subject};
use crate::counterpart::provider::{self, Script};
use crate::stage::Stage;
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::Obstacle;

/// Within so long every session must have ended.
const SESSIONS: Duration = Duration::from_secs(30);
/// So long a replay may take to show an effect.
const REPLAY: Duration = Duration::from_secs(3);
/// Before a login that was refused is tried again: a short block against races is tolerated.
const BLOCK: Duration = Duration::from_secs(10);

/// Plays it.
pub async fn play<B: Delivery>(stage: &Stage) -> Result<Seen, Obstacle> {
    let app = stage.app()?;
    endpoint::<B>(stage)?;
    // A missing credential is known before anybody signs in.
    B::messages(stage, &[])?;
    let users = addressed(stage, B::BINDING).await?;
    let wants = |slug: &str| stage.wants(&format!("sl2.app.{slug}@{}", B::BINDING));
    let mut seen = Seen { binding: B::BINDING.into(), prompt: B::PROMPT, replayable: B::REPLAYABLE, ..Seen::default() };

    let mut main = Vec::new();
    for label in ["user 1, first browser", "user 1, second browser", "user 1, idle browser", "user 1, browser idle for long"] {
        let (visitor, attempt) = sign_in(stage, &users.main, label).await?;
        seen.before.main.push(attempt);
        main.push(visitor);
    }
    let (other, attempt) = sign_in(stage, &users.other, "user 2").await?;
    seen.before.other = Some(attempt);
    // A later login of the same user may have ended the session of an earlier one: no command would have done that.
    for (visitor, attempt) in main.iter().zip(&mut seen.before.main) {
        let look = visitor.look(stage, "the session once all are signed in").await?;
        if !look.signed_in {
            attempt.look = look;
        }
    }
    let [first, second, idle, late] = &main[..] else { return Err(Obstacle::suite("four browsers were started")) };
    if !seen.before.main.iter().all(Attempt::signed_in) {
        // Nothing can be concluded, and no command is sent for nothing.
        return Ok(seen);
    }

    let mut own_tokens = None;
    if let Some(declared) = app.app.tokens.as_ref().filter(|_| wants("revoke-app-tokens")) {
        let (tokens_seen, obtained) = tokens::before(stage, first, declared).await?;
        seen.tokens = Some(tokens_seen);
        own_tokens = obtained.map(|tokens| (declared, tokens));
    }
    let mut form = None;
    if let Some(probe) = app.app.write.as_ref().filter(|_| wants("reauth-before-state-change")) {
        let (write_seen, open) = write::before(stage, second, probe).await?;
        seen.write = Some(write_seen);
        form = open.map(|form| (probe, form));
    }

    let sessions: Vec<Subject> = main.iter().map(|visitor| session(app, &users.main, visitor)).collect();
    let messages = B::messages(stage, &sessions)?;
    let before = app.provider.log();
    let asked_before = |visitor: &Visitor| before.authorizations_of(&visitor.id).len();
    let tokens_before = before.tokens_of(&first.id).len();
    let other_before = asked_before(&other);
    for (what, ask) in &messages {
        seen.answers.push(stage.command(what, ask.clone()).await);
    }
    let sent = Instant::now();

    // What was refused is not at work: then one look each, for the record.
    let taken = seen.answers.iter().all(Answer::accepted);
    let deadline = if taken { sent + SESSIONS } else { sent };
    seen.first = watch(stage, first, sent, deadline, "first browser after the command").await?;
    if let (Some((probe, form)), Some(write)) = (&mut form, &mut seen.write) {
        form.submit(probe, write).await;
    }
    seen.second = watch(stage, second, sent, deadline, "second browser after the command").await?;
    seen.idle = watch(stage, idle, sent, deadline, "idle browser after the command").await?;
    if let (true, Some((declared, tokens)), Some(tokens_seen)) = (taken, &own_tokens, &mut seen.tokens) {
        tokens::after(stage, declared, tokens, sent, tokens_seen).await;
    }
    let look = other.look(stage, "the other user after the command").await?;
    let contacted = app.provider.log().authorizations_of(&other.id).len() > other_before;
    seen.other = Some((look, contacted));

    let log = app.provider.log();
    seen.holds_refresh_token = log
        .authorizations_of(&first.id)
        .iter()
        .any(|request| request.get("scope").is_some_and(|scope| scope.split(' ').any(|part| part == "offline_access")));
    seen.refreshes = log
        .tokens_of(&first.id)
        .into_iter()
        .skip(tokens_before)
        .filter(|token| token.get("grant_type") == Some("refresh_token"))
        .map(|token| token.exchange.clone())
        .collect();

    let attempt = first.sign_in(stage, Script::of(&users.main), "new login after the command").await?;
    let refused = !attempt.signed_in();
    seen.again.push(attempt);
    if refused {
        stage.wait_until(Instant::now() + BLOCK, "a block against races to be lifted").await;
        seen.again.push(first.sign_in(stage, Script::of(&users.main), "new login, tried again").await?);
    }
    seen.asked = app.provider.log().authorizations_of(&first.id).get(asked_before(first)).map(|request| Asked {
        prompt: request.get("prompt").map(str::to_owned),
        max_age: request.get("max_age").map(str::to_owned),
        cite: request.exchange.clone(),
    });
    if !seen.again.last().is_some_and(Attempt::signed_in) {
        return Ok(seen);
    }
    // Who only forgets to look at a session that nobody used may find it alive again after the user's next login.
    seen.late = Some(late.look(stage, "browser that was idle until the user signed in again").await?);
    if let (Some((probe, form)), Some(write)) = (&mut form, &mut seen.write) {
        form.read_back(stage, first, probe, write).await?;
    }
    if B::REPLAYABLE
        && let Some((what, ask)) = messages.first()
    {
        let answer = stage.command(&format!("{what}, the same once more"), ask.clone()).await;
        let replayed = Instant::now();
        // What was refused is not at work any more.
        let usual = Duration::from_millis(seen.first.after_ms) + Duration::from_secs(2);
        let patience = if answer.accepted() { REPLAY.max(usual) } else { Duration::ZERO };
        let watched = watch(stage, first, replayed, replayed + patience, "new session after the replay").await?;
        seen.replay = Some((answer, watched));
    }
    if B::BINDING == BackchannelLogout::BINDING && stage.wants("sl2.app.bcl-accepts") {
        seen.forms = other_forms(stage, &users.main).await?;
    }
    end_all::<B>(stage, &[(&users.main, &main[..]), (&users.other, std::slice::from_ref(&other))]).await?;
    Ok(seen)
}

async fn sign_in(stage: &Stage, user: &provider::Subject, label: &str) -> Result<(Visitor, Attempt), Obstacle> {
    let (visitor, attempt) = stage.attempt(Script::of(user), label).await?;
    stage.control(attempt.signed_in());
    Ok((visitor, attempt))
}

/// Whom a message must name to hit the session of this browser.
fn session(app: &crate::stage::app_world::AppWorld, user: &provider::Subject, visitor: &Visitor) -> Subject {
    Subject { sub: user.sub.clone(), sid: app.provider.sids(&visitor.id).last().cloned() }
}

/// Looks once a second until the page shows no session, at least once and at most until the deadline.
async fn watch(stage: &Stage, visitor: &Visitor, sent: Instant, deadline: Instant, step: &str) -> Result<Watched, Obstacle> {
    loop {
        let asked_at = Instant::now();
        let look = visitor.look(stage, step).await?;
        let after_ms = u64::try_from((asked_at - sent).as_millis()).unwrap_or(u64::MAX);
        let over = !look.signed_in && look.unreachable.is_none() && look.status < 500;
        if over || Instant::now() >= deadline {
            return Ok(Watched { look, after_ms });
        }
        stage.wait_until(asked_at + Duration::from_secs(1), "sessions to end").await;
    }
}

/// Logout tokens in the forms that the command did not have.
async fn other_forms(stage: &Stage, user: &provider::Subject) -> Result<Vec<Form>, Obstacle> {
    let app = stage.app()?;
    let (sender, to) = (sender(app), endpoint::<BackchannelLogout>(stage)?);
    let mut forms = Vec::new();
    for form in [LogoutForm::SubAndSid, LogoutForm::Sid] {
        let (visitor, attempt) = sign_in(stage, user, form.what()).await?;
        let ask = Draft::logout(&sender, &session(app, user, &visitor), form).logout_request(&sender, to);
        let answer = stage.command(form.what(), ask).await;
        let sent = Instant::now();
        let deadline = if answer.accepted() { sent + SESSIONS } else { sent };
        let watched = watch(stage, &visitor, sent, deadline, form.what()).await?;
        let told = attempt.signed_in() && watched.look.unreachable.is_none() && watched.look.status < 500;
        forms.push(Form { answer, ended: told.then_some(!watched.look.signed_in) });
    }
    Ok(forms)
}

/// Ends the sessions that the scenario leaves behind.
async fn end_all<B: Delivery>(stage: &Stage, users: &[(&provider::Subject, &[Visitor])]) -> Result<(), Obstacle> {
    let app = stage.app()?;
    for (user, visitors) in users {
        let sessions: Vec<Subject> = visitors.iter().map(|visitor| session(app, user, visitor)).collect();
        for (_, ask) in B::messages(stage, &sessions)? {
            stage.command("the run's own sessions are ended", ask).await;
        }
    }
    Ok(())
}
