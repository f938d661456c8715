//! account-surface: tries on the application's own pages what only the identity service may do. Whether a script had an effect is read by
//! SCIM, never on the page that claims it.

mod bypass;
mod checks;
mod local;
mod own_roles;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::account_blocks::{Texts, declared};
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
}

/// A script that would make a user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Made {
    /// What was played.
    pub script: Done,
    /// The user name and address that it would be.
    pub name: String,
    /// Users of this name before.
    pub before: Answer,
    /// Searches afterwards.
    pub after: Vec<Answer>,
}

/// A script that would change something.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Edited {
    /// What was played.
    pub script: Done,
    /// The value that would be found.
    pub value: String,
    /// The resource before.
    pub before: Answer,
    /// The resource afterwards.
    pub after: Answer,
}

/// A script that was played, and by whom.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Done {
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
        stage.scim()?;
        let admin = Admin::default();
        // Each part has users of its own; only the administrator's browser is shared, one script at a time.
        let (create, signup, edit, delete) = futures_util::future::try_join4(
            local::create(stage, &admin),
            local::signup(stage, &admin),
            local::edit(stage, &admin),
            local::delete(stage, &admin),
        )
        .await?;
        let (group, unassigned, assigned, bypass) = futures_util::future::try_join4(
            local::group(stage, &admin),
            own_roles::unassigned(stage, &admin),
            own_roles::assigned(stage, &admin),
            bypass::play(stage),
        )
        .await?;
        Ok(Seen { create, signup, edit, delete, group, unassigned, assigned, bypass })
    }
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
    stage: &Stage,
    admin: &Admin,
    user: Option<&provider::Subject>,
    surface: &Surface,
    values: &Values<'_>,
    step: &str,
) -> Result<Done, Obstacle> {
    let nobody;
    let entered;
    let (visitor, actor) = match (surface.actor, user) {
        (Actor::Admin, _) => {
            let (visitor, attempt) = admin.visitor(stage).await?;
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
        return Ok(Done { actor, played: None });
    }
    let (played, _) = visitor.play(stage, surface, values, step).await?;
    Ok(Done { actor, played: Some(played) })
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
