//! What somebody does on the application's own pages, around commands.

use std::time::Instant;

use serde_json::Map;

use super::{Local, Migrated, nobody};
use crate::counterpart::command_issuer::{Account, Desk};
use crate::counterpart::provider::{Script, Subject};
use crate::stage::Stage;
use crate::stage::oracle::Look;
use crate::suite::Obstacle;
use crate::suites::account_blocks::{pause, read_page};

/// The user changes the own name on the application's page.
pub async fn edit(stage: &Stage, desk: &Desk<'_>, who: &Account, user: &Subject) -> Result<Local, Obstacle> {
    let mut part = Local { value: format!("Local {}", who.sub), ..Local::default() };
    let accounts = &stage.world.target.accounts;
    let Some(surface) = accounts.surface.get("local-profile-edit") else { return Ok(part) };
    let (visitor, attempt) = stage.attempt(Script::of(user), "sign-in for a local change").await?;
    if !attempt.signed_in() {
        return Ok(part);
    }
    let values = [("user_name", user.email.as_str()), ("email", &user.email), ("value", &part.value), ("id", &user.sub)];
    let (played, _) = visitor.play(stage, surface, &values, "local change of the profile").await?;
    part.played = played.complete && played.unreachable.is_none();
    part.cites.extend(played.cites);
    if !part.played {
        return Ok(part);
    }
    // What was accepted may be carried out a moment later.
    stage.wait_until(Instant::now() + pause(stage), "a local change to be carried out").await;
    if let Some(place) = &accounts.profile {
        let shown = read_page(stage, &visitor, place, "profile after a local change").await?;
        part.shown = shown.readable.then(|| shown.texts.iter().any(|text| text.contains(&part.value)));
        part.cites.extend(shown.cites);
    }
    if desk.supports("audit") {
        part.audit = Some(desk.audit(who).await);
    }
    Ok(part)
}

/// An account with a local password is moved to the provider.
pub async fn migrate(stage: &Stage, desk: &Desk<'_>) -> Result<Option<Migrated>, Obstacle> {
    let accounts = &stage.world.target.accounts;
    let (Some(surface), Some(local)) = (accounts.surface.get("local-login"), &accounts.local_user) else { return Ok(None) };
    let values = [("user_name", local.email.as_str()), ("email", &local.email)];
    let by_password = async |step: &str| {
        let visitor = nobody(stage, step).await?;
        visitor.play(stage, surface, &values, step).await?;
        // Not a sign-in at the provider: what is said of sessions elsewhere is not meant for this one.
        let app = stage.app()?;
        let landing = visitor.open(stage, &app.app.protected_url, step).await?;
        Ok::<Look, Obstacle>(Look::at(&landing, app.rule(), app.provider.issuer()))
    };
    let tenant = desk.sender.command_tenant().to_owned();
    let who = Account { sub: local.sub.clone(), tenant, ..Account::default() };
    let mut part = Migrated { before: by_password("sign-in with the local password").await?, ..Migrated::default() };
    stage.control(part.before.signed_in);
    if !part.before.signed_in {
        return Ok(Some(part));
    }
    let claims = Map::from_iter([("authentication_provider".to_owned(), "op".into())]);
    part.answer = desk.send("migrate", &who, &claims).await;
    if part.answer.accepted() {
        let user = Subject {
            sub: local.sub.clone(),
            email: local.email.clone(),
            email_verified: true,
            name: local.name.clone(),
            tenant: stage.app()?.app.tenant.clone(),
        };
        part.sign_in = Some(stage.attempt(Script::of(&user), "sign-in at the provider after migrate").await?.1);
        part.after = Some(by_password("sign-in with the local password after migrate").await?);
    }
    Ok(Some(part))
}
