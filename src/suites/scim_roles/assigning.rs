//! Assigns roles, those that exist and others.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Known, Seen};
use crate::counterpart::scim_client::{Answer, add, quoted, remove, replace};
use crate::stage::Stage;
use crate::suite::Obstacle;
use crate::suites::scim_blocks::{patch, read};

/// Limits up to this one are tried out; each costs two requests.
const SMALL: u64 = 20;

/// What became of assignments to one user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Probes {
    /// The control: a role that exists, and the answer.
    pub first: (String, Answer),
    /// A value that no role has.
    pub unknown: (String, Answer),
    /// A role that is marked unsupported.
    pub unsupported: Option<(String, Answer)>,
    /// The value of a role in other letter case.
    pub cased: Option<Variant>,
    /// The readable name of a role in place of its value.
    pub named: Option<Variant>,
    /// The user after all these.
    pub probed: Answer,
    /// The control once more, at another user, where the first one was left with more than the control: a value in other letter case
    /// that was stored would take the place of the next role.
    pub anew: Option<Answer>,
    /// Another role that exists.
    pub second: Option<(String, Answer)>,
    /// The user then.
    pub both: Answer,
    /// The user is deactivated; its first role is removed; it is reactivated.
    pub suspension: [Answer; 3],
    /// The user then.
    pub after: Answer,
}

/// A value that resembles that of a role.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Variant {
    /// What was sent.
    pub sent: String,
    /// The value of the role.
    pub value: String,
    /// The answer.
    pub change: Answer,
}

/// A role with a limit of assignments.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Limit {
    /// Its value.
    pub value: String,
    /// How many users could still be given it.
    pub free: u64,
    /// Requests in large numbers are not allowed, so it was not tried.
    pub held_back: bool,
    /// Assignments, the last one over the limit.
    pub tried: Vec<Answer>,
    /// The roles afterwards.
    pub list: Answer,
}

impl Seen {
    /// Assigns roles to a user of the run, and counts those with a limit up.
    pub(super) async fn assign(&mut self, stage: &Stage) -> Result<(), Obstacle> {
        let known = self.known();
        let usable: Vec<&Known> = known.iter().filter(|role| role.supported && role.free.is_none()).collect();
        let Some(first) = usable.first() else {
            self.invented = super::invented::play(stage).await?;
            return Ok(());
        };
        // How roles are exposed can be judged without a user.
        let Ok((_, user)) = stage.scim_user("roles").await else { return Ok(()) };
        let mut path = format!("/Users/{}", user.id());
        let mut probes = Probes { first: (first.value.clone(), give(stage, &path, &first.value).await?), ..Probes::default() };
        stage.control(probes.first.1.ok());
        let unknown = format!("x-{}-unknown", stage.world.run_id);
        probes.unknown = (unknown.clone(), give(stage, &path, &unknown).await?);
        if let Some(role) = known.iter().find(|role| !role.supported) {
            probes.unsupported = Some((role.value.clone(), give(stage, &path, &role.value).await?));
        }
        let is_value = |text: &str| known.iter().any(|role| role.value.to_lowercase() == text.to_lowercase());
        let others = || usable.iter().skip(1).copied();
        let cased = others()
            .find(|role| swapped(&role.value) != role.value && !known.iter().any(|other| other.value == swapped(&role.value)));
        if let Some(role) = cased {
            probes.cased = Some(variant(stage, &path, swapped(&role.value), role).await?);
        }
        // Not the role of other letter case, so that it can be told which of the two gave it.
        let named = others().find(|role| Some(*role) != cased && !role.display.is_empty() && !is_value(&role.display));
        if let Some(role) = named {
            probes.named = Some(variant(stage, &path, role.display.clone(), role).await?);
        }
        probes.probed = read(stage, "the user and its roles", &path).await?;
        let alone = !probes.probed.ok() || roles(&probes.probed).iter().all(|held| *held == first.value);
        if others().next().is_some() && !alone {
            probes.anew = Some(match stage.scim_user("roles-anew").await {
                Ok((_, user)) => {
                    let other = format!("/Users/{}", user.id());
                    let given = give(stage, &other, &first.value).await?;
                    path = if given.ok() { other } else { path };
                    given
                }
                Err(_) => Answer::default(),
            });
        }
        if let Some(role) = others().next().filter(|_| probes.anew.as_ref().is_none_or(Answer::ok)) {
            probes.second = Some((role.value.clone(), give(stage, &path, &role.value).await?));
            probes.both = read(stage, "the user with two roles", &path).await?;
        }
        let off = patch(stage, "the user is deactivated", &path, &[replace("active", false)]).await?;
        let taken = remove(&format!("roles[value eq {}]", quoted(&first.value)));
        let taken = patch(stage, "a role is removed from the inactive user", &path, &[taken]).await?;
        let on = patch(stage, "the user is reactivated", &path, &[replace("active", true)]).await?;
        probes.suspension = [off, taken, on];
        probes.after = read(stage, "the user after reactivation", &path).await?;
        self.probes = Some(probes);
        self.limit = limit(stage, &known).await?;
        Ok(())
    }
}

pub(super) async fn give(stage: &Stage, path: &str, role: &str) -> Result<Answer, Obstacle> {
    patch(stage, &format!("role `{role}` is assigned"), path, &[add("roles", json!([{"value": role}]))]).await
}

async fn variant(stage: &Stage, path: &str, sent: String, role: &Known) -> Result<Variant, Obstacle> {
    let change = give(stage, path, &sent).await?;
    Ok(Variant { sent, value: role.value.clone(), change })
}

/// Assigns a role with a small limit until it is exceeded.
async fn limit(stage: &Stage, known: &[Known]) -> Result<Option<Limit>, Obstacle> {
    let small = |role: &&Known| role.supported && role.free.is_some_and(|free| free <= SMALL);
    let Some(role) = known.iter().find(small).filter(|_| stage.wants("al3.app.role-limit")) else { return Ok(None) };
    let mut seen = Limit { value: role.value.clone(), free: role.free.unwrap_or_default(), ..Limit::default() };
    seen.held_back = !stage.world.allow_load && !stage.world.embedded;
    if seen.held_back {
        return Ok(Some(seen));
    }
    for index in 0..=seen.free {
        let user = stage.scim_user(&format!("limit-{index}")).await?.1;
        seen.tried.push(give(stage, &format!("/Users/{}", user.id()), &role.value).await?);
    }
    seen.list = read(stage, "the roles and how often they are assigned", "/Roles").await?;
    Ok(Some(seen))
}

/// The text with the case of its letters turned.
fn swapped(text: &str) -> String {
    let turn = |letter: char| if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
    text.chars().map(turn).collect()
}

/// Values of a user's roles. Some servers write plain strings.
pub(super) fn roles(user: &Answer) -> Vec<&str> {
    let all = user.body["roles"].as_array().into_iter().flatten();
    all.filter_map(|role: &Value| role["value"].as_str().or(role.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_change_their_case() {
        assert_eq!(swapped("Admin-1"), "aDMIN-1");
    }
}
