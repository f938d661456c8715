//! scim-tenants: the client of one tenant reaches nobody in another.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::counterpart::scim_client::{Answer, Bearer, Call, GROUP, add, quoted, replace};
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// Two tenants.
pub struct Tenants;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The other tenant's user as its own client made it.
    pub user: Answer,
    /// The other tenant's group.
    pub group: Answer,
    /// Reads and changes of the user by the wrong client: what, and the answer.
    pub touched: Vec<(String, Answer)>,
    /// A search for it by the wrong client.
    pub searched: Answer,
    /// A user of the own tenant, read by the same client.
    pub own_user: Answer,
    /// A group of the own tenant, for the next step.
    pub own_group: Answer,
    /// The other tenant's user is put into it.
    pub adopted: Option<Answer>,
    /// That group afterwards.
    pub own_group_after: Answer,
    /// The controls: a user of the own tenant is put into it, and it is renamed.
    #[serde(default)]
    pub controls: Vec<Answer>,
    /// The other tenant's group is changed.
    pub group_touched: Option<Answer>,
    /// User and group afterwards, as their own client sees them.
    pub user_after: Answer,
    /// The other tenant's group afterwards.
    pub group_after: Answer,
}

impl Scenario for Tenants {
    type Seen = Seen;
    const ID: &'static str = "scim-tenants";
    const TITLE: &'static str = "tries to reach the users and groups of another tenant";
    const BROWSER: bool = false;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al1.app.tenant-bound", nobody_of_another_tenant_is_reached),
        Check::new("al2.app.scim-only-own-tenant", nobody_of_another_tenant_is_adopted),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let world = stage.scim()?;
        let person = world.person("other-tenant");
        let name = world.name("other tenant");
        let group = |name: &str| json!({"schemas": [GROUP], "displayName": name});
        let theirs = |call: Call| call.by(Bearer::Second);
        let mut seen = Seen {
            user: stage.scim_send("a user of the other tenant", theirs(Call::post("/Users", &person.body()))).await?,
            group: stage.scim_send("a group of the other tenant", theirs(Call::post("/Groups", &group(&name)))).await?,
            ..Seen::default()
        };
        let (user, at) = (seen.user.id().to_owned(), format!("/Users/{}", seen.user.id()));
        if user.is_empty() {
            return Ok(seen);
        }
        let find = Call::get("/Users").filter(format!("userName eq {}", quoted(&person.user_name)));
        seen.searched = stage.scim_send("a search by the wrong client", find).await?;
        if let Ok(own) = stage.scim_sentinel().await {
            let call = Call::get(format!("/Users/{}", own.id()));
            seen.own_user = stage.scim_send("a user of its own tenant by the wrong client", call).await?;
        }
        let touches = [
            ("reading it", Call::get(at.clone())),
            ("suspending it", Call::patch(at.clone(), &[replace("active", false)])),
            ("deleting it", Call::delete(at.clone())),
        ];
        for (what, call) in touches {
            // What our own list of things to remove knows must not hear of this DELETE.
            let answer = stage.scim_send(&format!("{what} by the wrong client"), call).await?;
            let another = is_another(&seen.user, &answer);
            seen.touched.push((what.into(), answer));
            // Ids are told apart within a tenant only: this one is also that of somebody whom nobody may change.
            if another {
                seen.user_after = stage.scim_send("the other tenant's user afterwards", theirs(Call::get(at))).await?;
                return Ok(seen);
            }
        }
        seen.own_group =
            stage.scim_send("a group of the own tenant", Call::post("/Groups", &group(&world.name("own tenant")))).await?;
        if !seen.own_group.id().is_empty() {
            let own = format!("/Groups/{}", seen.own_group.id());
            let call = Call::patch(own.clone(), &[add("members", json!([{"value": user}]))]);
            seen.adopted = Some(stage.scim_send("the other tenant's user as a member", call).await?);
            seen.own_group_after = stage.scim_send("the own group afterwards", Call::get(own.clone())).await?;
            let member = add("members", json!([{"value": seen.own_user.id()}]));
            let name = replace("displayName", world.name("own tenant, renamed"));
            for (what, change) in [("an own user as a member", member), ("the own group is renamed", name)] {
                seen.controls.push(stage.scim_send(what, Call::patch(own.clone(), &[change])).await?);
            }
        }
        if !seen.group.id().is_empty() {
            let theirs_at = format!("/Groups/{}", seen.group.id());
            let call = Call::patch(theirs_at.clone(), &[replace("displayName", "taken over")]);
            seen.group_touched = Some(stage.scim_send("the other tenant's group is renamed", call).await?);
            seen.group_after = stage.scim_send("the other tenant's group afterwards", theirs(Call::get(theirs_at))).await?;
        }
        seen.user_after = stage.scim_send("the other tenant's user afterwards", theirs(Call::get(at))).await?;
        Ok(seen)
    }
}

fn at(answer: &Answer) -> [ExchangeId; 1] {
    [answer.cite.clone()]
}

/// The answer shows a user of another name.
fn is_another(user: &Answer, answer: &Answer) -> bool {
    let (wanted, name) = (user.text_at("/userName"), answer.text_at("/userName"));
    answer.ok() && !wanted.is_empty() && !name.is_empty() && !name.eq_ignore_ascii_case(wanted)
}

fn nobody_of_another_tenant_is_reached(seen: &Seen) -> Judgement {
    if seen.user.id().is_empty() {
        let why = format!("the second tenant's client could not create a user: {}", seen.user.describe());
        return Judgement::undecided(why).cite(&at(&seen.user));
    }
    // The control: the wrong client is refused for whom it asks about, not for its token.
    if !seen.searched.ok() || !seen.own_user.ok() {
        let control = if seen.searched.ok() { &seen.own_user } else { &seen.searched };
        let why = format!("the first tenant's client cannot work in its own tenant: {}", control.describe());
        return Judgement::undecided(why).cite(&at(control));
    }
    let mut found = Findings::new();
    for (what, answer) in &seen.touched {
        if answer.silent() {
            found.undecided(format!("{what}: {}", answer.describe()), &at(answer));
        } else if is_another(&seen.user, answer) {
            found.undecided(format!("{what}: the own tenant has another user with the same id"), &at(answer));
        } else if answer.ok() {
            found.broken(format!("{what} works with the token of another tenant"), &at(answer));
        } else if !matches!(answer.status, 403 | 404) {
            found.doubtful(format!("{what} is refused with {}", answer.describe()), &at(answer));
        } else {
            found.saw(&at(answer));
        }
    }
    if !seen.searched.ids().is_empty() {
        found.broken("a search with the token of another tenant finds the user", &at(&seen.searched));
    }
    if seen.user_after.status == 404 {
        found.broken("the user is gone", &at(&seen.user_after));
    } else if !seen.user_after.ok() {
        found.undecided(format!("the user cannot be read afterwards: {}", seen.user_after.describe()), &at(&seen.user_after));
    } else if seen.user_after.active() == Some(false) {
        found.broken("the user is suspended", &at(&seen.user_after));
    }
    found.conclude("not found, and untouched")
}

/// Who refuses the same change within its own tenant has refused it for another reason.
fn controlled(found: &mut Findings, control: Option<&Answer>) {
    match control {
        Some(control) if control.ok() => {}
        Some(control) => {
            found.undecided(format!("the control, the same in the own tenant: {}", control.describe()), &at(control));
        }
        None => found.undecided("the control, the same in the own tenant, was not sent", &[]),
    }
}

fn nobody_of_another_tenant_is_adopted(seen: &Seen) -> Judgement {
    let (Some(adopted), Some(touched)) = (&seen.adopted, &seen.group_touched) else {
        return Judgement::undecided("groups could not be created in both tenants").cite(&at(&seen.own_group));
    };
    let mut found = Findings::new();
    let members = seen.own_group_after.body["members"].as_array().into_iter().flatten();
    let is_member = members.filter_map(|member| member["value"].as_str()).any(|value| value == seen.user.id());
    if is_member {
        found.broken("a user of another tenant became a member of a group", &at(adopted));
    } else if adopted.silent() {
        found.undecided(adopted.describe(), &at(adopted));
    } else if adopted.ok() {
        found.doubtful("a user of another tenant is accepted as a member, and dropped", &at(adopted));
    } else {
        controlled(&mut found, seen.controls.first());
        found.saw(&at(adopted));
    }
    let renamed = seen.group_after.body["displayName"] == "taken over";
    if renamed || touched.ok() {
        found.broken("a group of another tenant was renamed", &at(touched));
    } else if touched.silent() || !seen.group_after.ok() {
        found.undecided(touched.describe(), &at(touched));
    } else {
        controlled(&mut found, seen.controls.get(1));
        found.saw(&at(touched));
    }
    found.conclude("neither as a member nor by a group of its own")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::model::Call::{self as Verdict, Broken, Pass, Undecided};

    fn answer(status: u16, body: Value) -> Answer {
        Answer { status, body, ..Answer::default() }
    }

    fn good() -> Seen {
        let refused = || answer(404, Value::Null);
        Seen {
            user: answer(201, json!({"id": "b", "userName": "b@b.test"})),
            group: answer(201, json!({"id": "gb"})),
            touched: vec![("reading it".into(), refused()), ("deleting it".into(), refused())],
            searched: answer(200, json!({"Resources": []})),
            own_user: answer(200, json!({"id": "a"})),
            own_group: answer(201, json!({"id": "ga"})),
            adopted: Some(answer(400, Value::Null)),
            own_group_after: answer(200, json!({"id": "ga"})),
            controls: vec![answer(204, Value::Null), answer(204, Value::Null)],
            group_touched: Some(refused()),
            user_after: answer(200, json!({"id": "b", "active": true})),
            group_after: answer(200, json!({"displayName": "own"})),
        }
    }

    #[test]
    fn what_crosses_tenants_is_found() {
        type Change = fn(&mut Seen);
        let cases: &[(usize, Change, Verdict)] = &[
            (0, |_| (), Pass),
            (0, |seen| seen.touched[0].1.status = 200, Broken),
            (0, |seen| seen.touched[0].1.status = 503, Undecided),
            (0, |seen| seen.touched[0].1 = answer(200, json!({"id": "b", "userName": "B@b.test"})), Broken),
            (0, |seen| seen.touched[0].1 = answer(200, json!({"id": "b", "userName": "own@a.test"})), Undecided),
            (0, |seen| seen.searched.body = json!({"Resources": [{"id": "b"}]}), Broken),
            (0, |seen| seen.user_after.body["active"] = json!(false), Broken),
            (0, |seen| seen.user_after.status = 404, Broken),
            (0, |seen| seen.searched.status = 401, Undecided),
            (0, |seen| seen.own_user.status = 403, Undecided),
            (0, |seen| seen.user = answer(403, Value::Null), Undecided),
            (1, |_| (), Pass),
            (1, |seen| seen.own_group_after.body["members"] = json!([{"value": "b"}]), Broken),
            (1, |seen| seen.group_after.body["displayName"] = json!("taken over"), Broken),
            (1, |seen| seen.adopted = None, Undecided),
            (1, |seen| seen.controls[0].status = 501, Undecided),
            (1, |seen| seen.controls[1].status = 403, Undecided),
        ];
        for (which, change, wanted) in cases {
            let mut seen = good();
            change(&mut seen);
            let judgement = (Tenants::CHECKS[*which].judge)(&seen);
            assert_eq!(judgement.call, *wanted, "{which}: {}", judgement.reason);
        }
    }
}
