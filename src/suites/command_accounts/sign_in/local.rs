//! What somebody does on the application's own pages, around commands.

use scraper::Selector;
use serde_json::Map;

use super::{Local, Migrated, nobody};
use crate::counterpart::command_issuer::{Account, Desk};
use crate::counterpart::provider::{Script, Subject};
use crate::model::ExchangeId;
use crate::model::target::{Shown, Step, Surface};
use crate::stage::Stage;
use crate::stage::browser::Act;
use crate::stage::html::parse;
use crate::stage::oracle::Look;
use crate::stage::visitor::Visitor;
use crate::suite::Obstacle;

/// The texts of every element that a page shows at this place, and the page.
pub async fn shown(
    stage: &Stage,
    visitor: &Visitor,
    place: &Shown,
    step: &str,
) -> Result<(Vec<String>, Vec<ExchangeId>), Obstacle> {
    let url = if place.url.is_empty() { &stage.app()?.app.protected_url } else { &place.url };
    let landing = visitor.open(stage, url, step).await?;
    let texts = match Selector::parse(&place.selector) {
        Ok(selector) => {
            parse(&landing.html).select(&selector).map(|element| element.text().collect::<String>().trim().to_owned()).collect()
        }
        Err(_) => Vec::new(),
    };
    Ok((texts, landing.hops.last().map(|hop| hop.exchange.clone()).into_iter().collect()))
}

/// The steps of a script as acts, with its placeholders filled in.
fn acts(surface: &Surface, values: &[(&str, &str)]) -> Vec<Act> {
    let fill =
        |text: &str| values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value));
    let act = |step: &Step| match step {
        Step::Fill { at, with } => Some(Act::Fill { at: at.clone(), with: fill(with), secret: at.contains("password") }),
        Step::Click { at } => Some(Act::Click { at: at.clone() }),
        _ => None,
    };
    surface.steps.iter().filter_map(act).collect()
}

/// The user changes the own name on the application's page.
pub async fn edit(stage: &Stage, desk: &Desk<'_>, who: &Account, user: &Subject) -> Result<Local, Obstacle> {
    let mut part = Local { value: format!("Local {}", who.sub), ..Local::default() };
    let accounts = &stage.world.target.accounts;
    let Some(surface) = accounts.surface.get("local-profile-edit") else { return Ok(part) };
    let (visitor, attempt) = stage.attempt(Script::of(user), "sign-in for a local change").await?;
    if !attempt.signed_in() {
        return Ok(part);
    }
    let values = [("user_name", user.email.as_str()), ("email", &user.email), ("value", &part.value)];
    let landing = match visitor.act(stage, &surface.url, &acts(surface, &values), "local change of the profile").await {
        Ok(landing) => landing,
        // A form that is not there is a refusal.
        Err(obstacle) => {
            stage.note(format!("the script local-profile-edit did not come to its end: {}", obstacle.message));
            return Ok(part);
        }
    };
    part.played = true;
    part.cites.extend(landing.hops.last().map(|hop| hop.exchange.clone()));
    if let Some(place) = &accounts.profile {
        let (texts, cites) = shown(stage, &visitor, place, "profile after a local change").await?;
        part.shown = Some(texts.iter().any(|text| text.contains(&part.value)));
        part.cites.extend(cites);
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
        visitor.act(stage, &surface.url, &acts(surface, &values), step).await?;
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
