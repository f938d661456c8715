//! The three ways in which an application can be told to end a user's sessions.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::{Seen, checks};
use crate::counterpart::command_issuer::{Draft, LogoutForm, Sender, Subject, named, revoke};
use crate::counterpart::provider;
use crate::model::target::{Commands, RevocationAuth};
use crate::stage::Stage;
use crate::stage::app_world::AppWorld;
use crate::stage::http::Ask;
use crate::suite::{Check, Obstacle};

/// A delivery binding.
pub trait Delivery: Send + Sync + 'static {
    /// Its name in the catalogue.
    const BINDING: &'static str;
    /// The scenario's name.
    const ID: &'static str;
    /// One line: what the scenario does.
    const TITLE: &'static str;
    /// The scenario of its forged messages, which comes first.
    const AFTER: &'static [&'static str];
    /// The work is done when the answer arrives; later effects are late.
    const PROMPT: bool;
    /// A message that arrives a second time is a replay, not a new command.
    const REPLAYABLE: bool;
    /// The key of the endpoint in the target file.
    const KEY: &'static str;
    /// Its clauses.
    const CHECKS: &'static [Check<Seen>];

    /// The endpoint; empty where there is none.
    fn endpoint(commands: &Commands) -> &str;

    /// The good messages that together end all of these sessions of one user.
    ///
    /// # Errors
    /// The target file lacks a credential.
    fn messages(stage: &Stage, sessions: &[Subject]) -> Result<Vec<(String, Ask)>, Obstacle>;
}

/// OpenID Provider Commands, `invalidate`.
pub struct OpCommands;
/// OpenID Connect Back-Channel Logout 1.0.
pub struct BackchannelLogout;
/// Global Token Revocation.
pub struct TokenRevocation;

impl Delivery for OpCommands {
    const BINDING: &'static str = "op-commands";
    const ID: &'static str = "app-command/op-commands";
    const TITLE: &'static str = "sends an invalidate command and sees whether all sessions and tokens of the user end";
    const AFTER: &'static [&'static str] = &["app-command-forgery/op-commands"];
    const PROMPT: bool = true;
    const REPLAYABLE: bool = true;
    const KEY: &'static str = "commands.command_endpoint";
    const CHECKS: &'static [Check<Seen>] =
        &checks::with(Check::new("sl2.app.command-invalidate-response", checks::an_invalidate_is_answered));

    fn endpoint(commands: &Commands) -> &str {
        &commands.command_endpoint
    }

    fn messages(stage: &Stage, sessions: &[Subject]) -> Result<Vec<(String, Ask)>, Obstacle> {
        let (sender, to) = (sender(stage.app()?), endpoint::<Self>(stage)?);
        let sub = sessions.first().map(|session| session.sub.as_str()).unwrap_or_default();
        let ask = Draft::account_command(&sender, to, "invalidate", sub).command_request(&sender, to);
        Ok(vec![("invalidate command".into(), ask)])
    }
}

impl Delivery for BackchannelLogout {
    const BINDING: &'static str = "backchannel-logout";
    const ID: &'static str = "app-command/backchannel-logout";
    const TITLE: &'static str = "sends a logout token and sees whether all sessions and tokens of the user end";
    const AFTER: &'static [&'static str] = &["app-command-forgery/backchannel-logout"];
    const PROMPT: bool = true;
    const REPLAYABLE: bool = true;
    const KEY: &'static str = "commands.backchannel_logout_uri";
    const CHECKS: &'static [Check<Seen>] =
        &checks::with(Check::new("sl2.app.bcl-accepts", checks::every_form_of_logout_token_is_taken));

    fn endpoint(commands: &Commands) -> &str {
        &commands.backchannel_logout_uri
    }

    fn messages(stage: &Stage, sessions: &[Subject]) -> Result<Vec<(String, Ask)>, Obstacle> {
        let (sender, to) = (sender(stage.app()?), endpoint::<Self>(stage)?);
        // Where the application insists on a sid, only one token per session names them all.
        let (form, named) = if stage.world.target.commands.session_required {
            (LogoutForm::SubAndSid, sessions)
        } else {
            (LogoutForm::Sub, &sessions[..sessions.len().min(1)])
        };
        let message = |session| {
            let ask = Draft::logout(&sender, session, form).logout_request(&sender, to);
            (form.what().to_owned(), ask)
        };
        Ok(named.iter().map(message).collect())
    }
}

impl Delivery for TokenRevocation {
    const BINDING: &'static str = "token-revocation";
    const ID: &'static str = "app-command/token-revocation";
    const TITLE: &'static str = "sends a revocation request and sees whether all sessions and tokens of the user end";
    const AFTER: &'static [&'static str] = &["app-command-forgery/token-revocation"];
    const PROMPT: bool = false;
    const REPLAYABLE: bool = false;
    const KEY: &'static str = "commands.revocation_endpoint";
    const CHECKS: &'static [Check<Seen>] =
        &checks::with(Check::new("sl2.app.gtr-accepts", checks::a_revocation_request_is_taken));

    fn endpoint(commands: &Commands) -> &str {
        &commands.revocation_endpoint
    }

    fn messages(stage: &Stage, sessions: &[Subject]) -> Result<Vec<(String, Ask)>, Obstacle> {
        let (sender, to) = (sender(stage.app()?), endpoint::<Self>(stage)?);
        let sub = sessions.first().map(|session| session.sub.as_str()).unwrap_or_default();
        let ask = revoke(to, Some(&credential(stage, &sender)?), &named(&sender.issuer, sub));
        Ok(vec![("revocation request".into(), ask)])
    }
}

/// The endpoint of a binding.
///
/// # Errors
/// It is not configured.
pub fn endpoint<B: Delivery>(stage: &Stage) -> Result<&str, Obstacle> {
    let endpoint = B::endpoint(&stage.world.target.commands);
    if endpoint.is_empty() {
        let hint = format!("Set {}, or leave {} out of target.bindings.", B::KEY, B::BINDING);
        return Err(Obstacle::config(format!("{} is not configured", B::KEY), hint));
    }
    Ok(endpoint)
}

/// The suite's provider as sender of messages.
pub fn sender(app: &AppWorld) -> Sender<'_> {
    app.sender()
}

/// The second issuer as sender, where the application has a second connection.
pub fn second_sender(app: &AppWorld) -> Option<Sender<'_>> {
    let second = app.app.second.as_ref()?;
    Some(Sender { issuer: app.provider.second_issuer(), client_id: &second.client_id, client_secret: None, ..sender(app) })
}

/// The bearer token of a revocation request: the shared one, or a JWT made now.
///
/// # Errors
/// The shared one is not configured.
pub fn credential(stage: &Stage, sender: &Sender<'_>) -> Result<String, Obstacle> {
    let commands = &stage.world.target.commands;
    match commands.revocation_auth {
        RevocationAuth::Jwt => Ok(Draft::revocation_credential(sender, audience(commands)).token(sender)),
        RevocationAuth::Bearer => shared_token(stage, "commands.revocation_token", commands.revocation_token.as_deref()),
    }
}

/// `aud` of the JWT that authenticates a revocation request.
pub fn audience(commands: &Commands) -> &str {
    if commands.revocation_audience.is_empty() { &commands.revocation_endpoint } else { &commands.revocation_audience }
}

/// A token of the target file, hidden from the evidence.
///
/// # Errors
/// It is not configured, or cannot be read.
pub fn shared_token(stage: &Stage, key: &str, reference: Option<&str>) -> Result<String, Obstacle> {
    let hint = "Write \"env:NAME\" or \"file:PATH\" of the token that the application expects.";
    let reference = reference.ok_or_else(|| Obstacle::config(format!("{key} is not configured"), hint))?;
    let token = stage.world.secrets.get(reference).map_err(|fault| Obstacle::config(format!("{key}: {fault}"), hint))?;
    stage.world.recorder.redactor.hide(&token, key);
    Ok(token)
}

/// The users of one scenario: commands end every session of the main one.
pub struct Users {
    /// Commands are about this one.
    pub main: provider::Subject,
    /// Nobody may touch this one's sessions.
    pub other: provider::Subject,
    /// Held while messages go out: what one of them does must not be taken for the effect of another.
    _turn: OwnedMutexGuard<()>,
}

/// Users of its own for this scenario, once no other scenario of commands is at work: one that hits everybody must not be blamed on
/// another. Where the operator declares the users, commands are about the second one, because the sessions that other scenarios keep for
/// long belong to the first.
///
/// # Errors
/// The target has no application.
pub async fn addressed(stage: &Stage, what: &str) -> Result<Users, Obstacle> {
    let app = stage.app()?;
    let _turn = Arc::clone(&app.commands).lock_owned().await;
    Ok(if app.app.users.is_empty() {
        Users { main: app.somebody(what), other: app.somebody(&format!("{what}-other")), _turn }
    } else {
        Users { main: app.users[1].clone(), other: app.users[0].clone(), _turn }
    })
}
