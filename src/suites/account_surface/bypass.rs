//! Ways to sign in that pass the identity service by.

use serde::{Deserialize, Serialize};

use super::{Ground, script};
use crate::counterpart::scim_client::Answer;
use crate::stage::Stage;
use crate::stage::oracle::Look;
use crate::stage::surface::Played;
use crate::stage::visitor::Visitor;
use crate::suite::Obstacle;
use crate::suites::scim_blocks::Ended;

/// The scripts.
const WAYS: [&str; 2] = [PASSWORD, "password-reset"];
/// The one that needs to know something: refused is also who knows it wrong.
pub const PASSWORD: &str = "local-login";

/// A suspended user and the ways around the identity service.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Bypass {
    /// How the user's access was ended by the records; `None` where no way worked.
    pub ended: Option<Ended>,
    /// The requests for that.
    pub answers: Vec<Answer>,
    /// Each declared way: its name, what became of it while the user was active, and afterwards.
    pub ways: Vec<Around>,
}

/// One way around.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Around {
    /// Its script.
    pub name: String,
    /// While the user was active.
    pub before: (Played, Look),
    /// `accounts.local_user`, where the active user was refused: does the script sign in anybody?
    #[serde(default)]
    pub control: Option<(Played, Look)>,
    /// While the user was suspended; `None` where no suspension worked.
    pub after: Option<(Played, Look)>,
}

/// Tries each declared way for an active user and for the same user when suspended.
pub async fn play(ground: &Ground<'_>) -> Result<Option<Bypass>, Obstacle> {
    let stage = ground.stage;
    let declared = |name: &&str| script(stage, name, "al1.app.no-bypass-signin").is_some();
    let names: Vec<&str> = WAYS.into_iter().filter(declared).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let (user, who) = ground.drive.account("surface-suspended", true).await?;
    let values = [("user_name", user.user_name.as_str()), ("email", &who.email), ("id", &user.id), ("value", &who.name)];
    let mut seen = Bypass::default();
    for name in &names {
        let before = tried(stage, name, &values, "before the suspension").await?;
        let mut control = None;
        if let Some(local) = stage.world.target.accounts.local_user.as_ref().filter(|_| *name == PASSWORD && !before.1.signed_in)
        {
            let values = [("user_name", local.email.as_str()), ("email", &local.email)];
            let looked = tried(stage, name, &values, "of the user with a password").await?;
            stage.control(looked.1.signed_in);
            control = Some(looked);
        }
        seen.ways.push(Around { name: (*name).to_owned(), before, control, after: None });
    }
    (seen.ended, seen.answers) = ground.drive.end(&user).await?;
    if seen.ended.is_some() {
        for around in &mut seen.ways {
            around.after = Some(tried(stage, &around.name.clone(), &values, "after the suspension").await?);
        }
    }
    // A user that the target file names is left as it was.
    if let Some(ended) = seen.ended.filter(|ended| !user.made && ground.drive.resumable(*ended)) {
        ground.drive.resume(&user, ended).await?;
    }
    Ok(Some(seen))
}

/// Plays a script in a fresh browser and looks whether there is a session.
async fn tried(stage: &Stage, name: &str, values: &[(&str, &str)], when: &str) -> Result<(Played, Look), Obstacle> {
    let step = format!("{name} {when}");
    let visitor = Visitor::new(stage, &step).await?;
    let surface = super::declared(stage.world.target.accounts.surface.get(name), &format!("accounts.surface.{name}"))?;
    let (played, landing) = visitor.play(stage, surface, values, &step).await?;
    let look = visitor.look_for_session(stage, &landing, &step).await?;
    Ok((played, look))
}
