//! A made-up role at an application that names none: whatever it stores then, it was not asked to know.

use serde::{Deserialize, Serialize};

use super::assigning::{give, roles};
use crate::counterpart::scim_client::Answer;
use crate::model::Judgement;
use crate::stage::Stage;
use crate::suite::Obstacle;
use crate::suites::scim_blocks::{cite, read, told};

/// An assignment of a role that there is not.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Invented {
    /// Its value.
    pub value: String,
    /// The answer.
    pub change: Answer,
    /// The user then.
    pub user: Answer,
}

/// Assigns a made-up role; `None` where no user can be made.
pub async fn play(stage: &Stage) -> Result<Option<Invented>, Obstacle> {
    let Ok(user) = stage.scim_worker().await else { return Ok(None) };
    let path = format!("/Users/{}", user.id());
    let value = format!("x-{}-unknown", stage.world.run_id);
    let change = give(stage, &path, &value).await?;
    let user = read(stage, "the user after a made-up role", &path).await?;
    Ok(Some(Invented { value, change, user }))
}

/// al3.app.unknown-role-refused, where no role is known: what is stored was accepted; a refusal may be one of roles altogether.
pub fn nothing_is_stored(seen: &Invented) -> Judgement {
    let Invented { value, change, user } = seen;
    if user.ok() && roles(user).contains(&value.as_str()) {
        return Judgement::broken(format!("role `{value}`, which is made up: {}, and it was stored", told(change)))
            .cite(cite(change))
            .cite(cite(user));
    }
    let what = if user.ok() { "it was not stored" } else { "the user could not be read" };
    let why = "no role is exposed that could be the control (see al3.app.roles-exposed)";
    Judgement::undecided(format!("a made-up role: {}; {what}; {why}", told(change))).cite(cite(change)).cite(cite(user))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Seen;
    use super::super::assigned::an_unknown_role_is_refused;
    use super::*;
    use crate::model::verdict::Call as Says;
    use crate::suites::scim_blocks::samples::{answer, error};

    #[test]
    fn only_what_is_stored_decides() {
        let says = |change: Answer, user: Answer| {
            let invented = Some(Invented { value: "x".into(), change, user });
            an_unknown_role_is_refused(&Seen { by_scim: true, invented, ..Seen::default() }).call
        };
        let done = || answer(204, Value::Null);
        let user = |roles: Value| answer(200, json!({"id": "1", "roles": roles}));
        assert_eq!(says(done(), user(json!([{"value": "x"}]))), Says::Broken);
        assert_eq!(says(done(), user(Value::Null)), Says::Undecided);
        assert_eq!(says(error(400, "invalidValue"), user(json!([]))), Says::Undecided);
        assert_eq!(says(done(), answer(503, Value::Null)), Says::Undecided);
    }

    #[test]
    fn roles_that_go_another_way_are_not_asked_for() {
        let seen = Seen { by_scim: false, invented: Some(Invented::default()), ..Seen::default() };
        assert_eq!(an_unknown_role_is_refused(&seen).call, Says::NotApplicable);
    }
}
