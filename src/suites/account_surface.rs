//! account-surface: tries on the application's own pages what only the identity service may do. Whether a script had an effect is read by
//! SCIM or by an audit command, never on the page that claims it.

mod bypass;
mod checks;
mod local;
mod own_roles;

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::account_blocks::{Texts, declared, pause};
use super::account_drive::Drive;
use crate::counterpart::provider::{self, Script};
use crate::counterpart::scim_client::Answer;
use crate::model::target::{Actor, Surface};
use crate::stage::Stage;
use crate::stage::surface::{Played, Values};
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::{Check, Obstacle, Scenario};
pub use bypass::Bypass;
pub use own_roles::LocalRole;

/// The application's own pages.
pub struct AccountSurface;

/// What came of it; `None` where there is no script, or nobody asked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// The administrator creates a user.
    pub create: Option<Made>,
    /// Somebody signs up.
    pub signup: Option<Made>,
    /// A profile is edited.
    pub edit: Option<Edited>,
    /// A user is deleted.
    pub delete: Option<Edited>,
    /// A member is added to a group.
    pub group: Option<Edited>,
    /// A role is given to a user who holds none.
    pub unassigned: Option<LocalRole>,
    /// A role is given to a user who holds one by the identity service.
    pub assigned: Option<LocalRole>,
    /// Sign-ins without the identity service.
    pub bypass: Option<Bypass>,
    /// A page that only administrators see, opened by the administrator; `None` where none is declared.
    pub office: Option<Played>,
}

/// A script that would make a user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Made {
    /// What was played.
    pub script: Done,
    /// The user name and address that it would be.
    pub name: String,
    /// Users of this name before.
    pub before: Answer,
    /// Searches afterwards.
    pub after: Vec<Answer>,
    /// The same searches for a user who is there: what does not find that one would not find the other.
    pub control: Vec<Answer>,
    /// `userName` of that user.
    pub known: String,
}

/// A script that would change something.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Edited {
    /// What was played.
    pub script: Done,
    /// The value that would be found.
    pub value: String,
    /// The resource before.
    pub before: Answer,
    /// The resource afterwards.
    pub after: Answer,
    /// What the identity service then put there, and the resource after that: what does not show this would not have shown the other.
    pub control: Option<(String, Answer)>,
}

/// A script that was played, and by whom.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// The administrator played it.
    pub admin: bool,
    /// The sign-in of whoever played it; `None` for somebody without a session.
    pub actor: Option<Attempt>,
    /// How far it came; `None` where the actor could not sign in.
    pub played: Option<Played>,
}

impl Scenario for AccountSurface {
    type Seen = Seen;
    const ID: &'static str = "account-surface";
    const TITLE: &'static str = "tries on the application's own pages what the identity service decides";
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al1.app.no-bypass-signin", checks::no_way_around),
        Check::new("al2.app.local-create-refused", checks::administrators_create_nobody),
        Check::new("al2.app.local-update-refused", checks::profiles_are_not_edited),
        Check::new("al2.app.local-delete-refused", checks::users_are_not_deleted),
        Check::new("al2.app.local-group-edit-refused", checks::groups_are_not_edited),
        Check::new("al2.app.self-signup-refused", checks::nobody_signs_up),
        Check::new("al2.app.mapping-not-client-supplied", checks::roles_are_not_given),
        Check::new("al3.app.local-role-change-refused", checks::roles_are_not_changed),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let drive = Drive::open(stage).await?;
        let admin = Admin::default();
        let world = Ground { stage, drive: &drive, admin: &admin };
        // Each part has users of its own; only the administrator's browser is shared, one script at a time.
        let office = match stage.world.target.accounts.surface.get("role-catalogue") {
            Some(surface) if surface.actor == Actor::Admin => {
                let (visitor, entered) = admin.visitor(stage).await?;
                if entered.signed_in() {
                    Some(visitor.play(stage, surface, &[], "a page of administrators").await?.0)
                } else {
                    None
                }
            }
            _ => None,
        };
        let (create, signup, edit) =
            futures_util::future::try_join3(local::create(&world), local::signup(&world), local::edit(&world)).await?;
        let (group, unassigned, assigned) =
            futures_util::future::try_join3(local::group(&world), own_roles::unassigned(&world), own_roles::assigned(&world))
                .await?;
        // Where the run makes no users, all parts work on the same ones: what ends access goes last, one after the other.
        let delete = local::delete(&world).await?;
        let bypass = bypass::play(&world).await?;
        Ok(Seen { create, signup, edit, delete, group, unassigned, assigned, bypass, office })
    }
}

/// What every part needs.
pub struct Ground<'a> {
    /// The stage.
    stage: &'a Stage,
    /// What drives accounts, and reads them.
    drive: &'a Drive<'a>,
    /// The administrator.
    admin: &'a Admin,
}

/// The administrator's browser, signed in when somebody needs it.
#[derive(Default)]
pub struct Admin(OnceCell<(Visitor, Attempt)>);

impl Admin {
    async fn visitor(&self, stage: &Stage) -> Result<&(Visitor, Attempt), Obstacle> {
        let sign_in = || async {
            let admin = declared(stage.world.target.accounts.admin.as_ref(), "accounts.admin")?;
            let who = provider::Subject {
                sub: admin.sub.clone(),
                email: admin.email.clone(),
                email_verified: true,
                name: admin.name.clone(),
                tenant: stage.app()?.app.tenant.clone(),
            };
            let entered = stage.attempt(Script::of(&who), "administrator").await?;
            stage.control(entered.1.signed_in());
            Ok(entered)
        };
        self.0.get_or_try_init(sign_in).await
    }
}

/// A script by its name, where there is one and this clause is asked for.
fn script<'a>(stage: &'a Stage, name: &str, clause: &str) -> Option<&'a Surface> {
    stage.world.target.accounts.surface.get(name).filter(|_| stage.wants(clause))
}

/// Plays a script as whom it names: the administrator, this user, or nobody.
async fn act(
    ground: &Ground<'_>,
    user: Option<&provider::Subject>,
    surface: &Surface,
    values: &Values<'_>,
    step: &str,
) -> Result<Done, Obstacle> {
    let stage = ground.stage;
    let nobody;
    let entered;
    let admin = surface.actor == Actor::Admin;
    let (visitor, actor) = match (surface.actor, user) {
        (Actor::Admin, _) => {
            let (visitor, attempt) = ground.admin.visitor(stage).await?;
            (visitor, Some(attempt.clone()))
        }
        (Actor::User, Some(user)) => {
            entered = stage.attempt(Script::of(user), &format!("user: {step}")).await?;
            (&entered.0, Some(entered.1.clone()))
        }
        _ => {
            nobody = Visitor::new(stage, &format!("nobody: {step}")).await?;
            (&nobody, None)
        }
    };
    if actor.as_ref().is_some_and(|attempt| !attempt.signed_in()) {
        return Ok(Done { admin, actor, played: None });
    }
    let (played, _) = visitor.play(stage, surface, values, step).await?;
    // What was accepted may be carried out a moment later.
    stage.wait_until(Instant::now() + pause(stage), "a local change to be carried out").await;
    Ok(Done { admin, actor, played: Some(played) })
}

/// What a page lists that a script leads to: the text of every element that the selector matches.
///
/// # Errors
/// The browser failed, or the script's actor is not configured.
pub async fn list(stage: &Stage, admin: &Admin, surface: &Surface, selector: &str) -> Result<(Played, Texts), Obstacle> {
    let issuer = stage.app()?.provider.issuer();
    let nobody;
    let visitor = if surface.actor == Actor::Nobody {
        nobody = Visitor::new(stage, "role catalogue").await?;
        &nobody
    } else {
        &admin.visitor(stage).await?.0
    };
    let (played, landing) = visitor.play(stage, surface, &[], "role catalogue").await?;
    Ok((played, Texts::at(&landing, selector, issuer)))
}

/// Does any text of the resource equal this?
fn holds(resource: &Value, text: &str) -> bool {
    match resource {
        Value::String(own) => own == text,
        Value::Array(all) => all.iter().any(|one| holds(one, text)),
        Value::Object(all) => all.values().any(|one| holds(one, text)),
        _ => false,
    }
}
