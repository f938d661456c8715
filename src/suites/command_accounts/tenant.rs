//! command-accounts/tenant: the accounts of a tenant as a stream, a stream that is resumed, a tenant that is suspended, and the roles in
//! the metadata.

mod checks;

use serde::{Deserialize, Serialize};
use std::time::Instant;

use super::Announced;
use crate::counterpart::command_issuer::{Account, Answer, Desk, Streamed};
use crate::model::ExchangeId;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// Seconds within which the application asks for new metadata.
const REFRESH_S: u64 = 300;
/// Accounts that a stream must have so that it can be resumed in its middle.
const ENOUGH: usize = 4;

/// Commands about a tenant.
pub struct Tenant;

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Commands that the application announces.
    pub announced: Announced,
    /// The answer to the metadata command.
    pub metadata: Answer,
    /// SCIM exposes roles as well, and the target file does not say that commands do.
    pub roles_elsewhere: bool,
    /// Accounts of this run that a list must show.
    pub subs: Vec<String>,
    /// The list.
    pub list: Option<Streamed>,
    /// The list from after its second event on.
    pub resumed: Option<Streamed>,
    /// The whole list once more, where the two name different totals: others may have made accounts in between.
    #[serde(default)]
    pub later: Option<Streamed>,
    /// The disposable tenant.
    pub suspended: Option<SuspendedTenant>,
    /// What came of a new role.
    pub refresh: Option<Refresh>,
    /// Why the disposable tenant was left alone.
    pub spared: String,
}

/// A tenant that was suspended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SuspendedTenant {
    /// Accounts that this run made there.
    pub subs: Vec<String>,
    /// The answer to the command.
    pub stream: Streamed,
    /// Those accounts afterwards.
    pub after: Vec<Answer>,
    /// An account of another tenant afterwards.
    pub other: Option<Answer>,
}

/// A request for new metadata.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Refresh {
    /// The hook made the role.
    pub created: bool,
    /// The request arrived.
    pub asked: bool,
    /// It came with the callback token.
    pub authorised: bool,
    /// Seconds it was waited for.
    pub waited_s: u64,
    /// The exchanges.
    pub cites: Vec<ExchangeId>,
}

impl Scenario for Tenant {
    type Seen = Seen;
    const ID: &'static str = "command-accounts/tenant";
    const TITLE: &'static str = "lists the accounts of a tenant by commands, and suspends a disposable tenant";
    const BROWSER: bool = false;
    const PROVIDER: bool = true;
    const WAITS_S: u64 = REFRESH_S;
    const CHECKS: &'static [Check<Seen>] = checks::ALL;

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let desk = Desk::open(stage).await?;
        let target = &stage.world.target;
        let mut seen = Seen {
            announced: desk.commands.clone(),
            metadata: desk.metadata.clone(),
            roles_elsewhere: target.scim.is_some() && target.lifecycle.roles_exposed.is_empty(),
            ..Seen::default()
        };
        if desk.supports("audit_tenant") {
            list(&desk, &mut seen).await?;
        }
        if desk.supports("suspend_tenant") && stage.wants("al1.app.cmd-suspend-tenant") {
            suspend_tenant(stage, &desk, &mut seen).await?;
        }
        if stage.wants("al3.app.cmd-metadata-refresh") {
            seen.refresh = Some(refresh(stage, &desk).await?);
        }
        Ok(seen)
    }
}

async fn list(desk: &Desk<'_>, seen: &mut Seen) -> Result<(), Obstacle> {
    let labels = ["cmd-list-1", "cmd-list-2", "cmd-list-3", "cmd-list-4"];
    let wanted = if desk.supports("activate") { &labels[..ENOUGH] } else { &labels[..1] };
    for label in wanted {
        seen.subs.push(desk.account(label).await?.sub);
    }
    let tenant = desk.sender.command_tenant().to_owned();
    let list = desk.stream("audit_tenant", &tenant, None).await;
    let accounts = list.accounts();
    let second = accounts.get(1).and_then(|event| event.id.clone()).filter(|_| accounts.len() >= ENOUGH);
    if let Some(second) = second {
        let resumed = desk.stream("audit_tenant", &tenant, Some(&second)).await;
        if resumed.accepted() && resumed.total() != list.total() {
            seen.later = Some(desk.stream("audit_tenant", &tenant, None).await);
        }
        seen.resumed = Some(resumed);
    }
    seen.list = Some(list);
    Ok(())
}

async fn suspend_tenant(stage: &Stage, desk: &Desk<'_>, seen: &mut Seen) -> Result<(), Obstacle> {
    let tenant = stage.world.target.scim.as_ref().map(|scim| scim.disposable_tenant.clone()).unwrap_or_default();
    if tenant.is_empty() || tenant == desk.sender.command_tenant() {
        seen.spared = "scim.disposable_tenant is not configured, or is the tenant that the other tests use".into();
        return Ok(());
    }
    if !desk.supports("activate") {
        seen.spared = "no account can be made in the disposable tenant: activate is not supported".into();
        return Ok(());
    }
    let mut accounts: Vec<Account> = Vec::new();
    for label in ["cmd-tenant-1", "cmd-tenant-2", "cmd-tenant-3"] {
        accounts.push(desk.account_in(&tenant, label).await?);
    }
    let other = desk.account("cmd-tenant-other").await?;
    let stream = desk.stream("suspend_tenant", &tenant, None).await;
    let mut part = SuspendedTenant { subs: accounts.iter().map(|who| who.sub.clone()).collect(), stream, ..Default::default() };
    if desk.supports("audit") {
        for who in &accounts {
            part.after.push(desk.audit(who).await);
        }
        part.other = Some(desk.audit(&other).await);
    }
    seen.suspended = Some(part);
    Ok(())
}

async fn refresh(stage: &Stage, desk: &Desk<'_>) -> Result<Refresh, Obstacle> {
    let provider = &stage.app()?.provider;
    // Sent anew, so that it is the last one whatever other scenarios do: all have the same content.
    let metadata = desk.ask_metadata().await?;
    let (_, token) = stage.world.op_metadata()?;
    let since = Instant::now();
    let role = format!("{}-role", stage.world.run_id);
    let values = [("role", role.as_str()), ("value", &role)];
    if stage.world.target.hooks.contains_key("delete-role") {
        stage.undo_later("delete-role", &values);
    }
    let hook = stage.hook("create-role", &values).await?;
    if hook.done && !stage.world.target.hooks.contains_key("delete-role") {
        stage.leave(format!("hooks.delete-role is not configured: the role {role} stays at the application"));
    }
    let patience = stage.world.patience(REFRESH_S);
    let mut part = Refresh { created: hook.done, waited_s: patience.as_secs(), ..Refresh::default() };
    part.cites = metadata.cites.iter().chain([&hook.exchange]).cloned().collect();
    if !hook.done {
        return Ok(part);
    }
    let wanted = |callback: &crate::counterpart::provider::Callback| callback.body["command_requested"] == "metadata";
    if let Some(callback) = provider.callback(since, since + patience, wanted).await {
        part.asked = true;
        part.authorised = callback.token.as_ref() == Some(&token);
        part.cites.push(callback.exchange);
    }
    Ok(part)
}
