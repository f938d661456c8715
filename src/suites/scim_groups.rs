//! scim-groups: a group from its creation until it is empty, with members coming and going.

mod checks;
mod members;
mod pages;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::scim_blocks::{patch, read, unlike};
use crate::counterpart::scim_client::{Answer, Call, GROUP, add, quoted, remove, replace};
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// Groups.
pub struct Groups;

/// What came of it, in the order of the requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Ids of three users. The first is a member from the beginning.
    pub users: [String; 3],
    /// Its name.
    pub name: String,
    /// Its `externalId`.
    pub external_id: String,
    /// The schema declares that members are returned on request only.
    pub members_on_request: bool,
    /// The schema declares that displayName cannot be changed.
    pub fixed_name: bool,
    /// Its creation with the first user.
    pub made: Answer,
    /// A second group, without members, where there was none.
    pub other: Option<Answer>,
    /// The first two pages of all groups, of one group each; once more where both held the same.
    pub pages: Vec<[Answer; 2]>,
    /// A page of the groups of its name, without members.
    pub listed: Answer,
    /// The second and third user are added.
    pub added: Answer,
    /// The second one is added again.
    pub added_again: Answer,
    /// The group then.
    pub full: Answer,
    /// The first user then.
    pub member: Answer,
    /// The second user is removed by a value filter.
    pub removed: Answer,
    /// The group then.
    pub without_second: Answer,
    /// The second user is given the group through its own `groups`; `None` where users do not show theirs.
    pub through_user: Option<Answer>,
    /// The third user is removed in the form with a value.
    pub removed_with_value: Answer,
    /// A member that no user is, and the answer.
    pub stranger: (String, Answer),
    /// The group then.
    pub after_both: Answer,
    /// The first user is added again, where no member was left.
    pub refilled: Option<Answer>,
    /// The group is renamed with a path.
    pub renamed: Answer,
    /// The group then, without members.
    pub no_members: Answer,
    /// It is renamed once more, without a path and with its id.
    pub renamed_pathless: Answer,
    /// The group then.
    pub last: Answer,
    /// All members are removed.
    pub emptied: Answer,
    /// The group then.
    pub empty: Answer,
}

impl Scenario for Groups {
    type Seen = Seen;
    const ID: &'static str = "scim-groups";
    const TITLE: &'static str = "makes a group by SCIM, changes its members and its name, and empties it";
    // They give away the users that they have finished with, and these become members.
    const AFTER: &'static [&'static str] = &["scim-create", "scim-update"];
    const BROWSER: bool = false;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al2.app.group-create", checks::a_group_is_made),
        Check::new("al2.app.group-list-filter", checks::a_group_is_found_without_members),
        Check::new("al2.app.group-get", checks::a_group_is_read_with_and_without_members),
        Check::new("al2.app.group-add-member", members::members_are_added),
        Check::new("al2.app.group-remove-member", members::one_member_is_removed),
        Check::new("al2.app.group-remove-all", members::all_members_are_removed),
        Check::new("al2.app.group-remove-with-value", members::a_value_does_not_empty_the_group),
        Check::new("al2.app.group-unknown-member", members::a_stranger_is_refused),
        Check::new("al2.app.group-rename", checks::a_renamed_group_keeps_its_members),
        Check::new("al2.app.user-groups-readonly", members::membership_is_not_written_through_users),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let (scim, shape) = (stage.scim()?, stage.scim_shape().await?);
        let second = stage.scim_worker().await?.id().to_owned();
        let users = [stage.scim_spare("member").await?, second, stage.scim_spare("other-member").await?];
        let declared = |name: &str, member: &str| shape.group(name).map(|found| found[member].clone()).unwrap_or_default();
        let mut seen = Seen {
            users,
            name: scim.name("group"),
            external_id: format!("{}-group", stage.world.run_id),
            members_on_request: declared("members", "returned") == "request",
            fixed_name: ["immutable", "readOnly"].iter().any(|fixed| declared("displayName", "mutability") == *fixed),
            ..Seen::default()
        };
        let body = json!({
            "schemas": [GROUP], "displayName": seen.name, "externalId": seen.external_id, "members": [{"value": seen.users[0]}],
        });
        seen.made = stage.scim_send("a group with a member", Call::post("/Groups", &shape.fit_group(&body))).await?;
        if !stage.control(seen.made.ok() && !seen.made.id().is_empty()) {
            return Ok(seen);
        }
        let path = format!("/Groups/{}", seen.made.id());
        seen.change_members(stage, &path).await?;
        if stage.wants("al2.app.group-list-filter") {
            (seen.other, seen.pages) = pages::walk(stage, &shape).await?;
        }
        seen.change_name(stage, &path).await?;

        seen.emptied = patch(stage, "all members are removed", &path, &[remove("members")]).await?;
        seen.empty = read(stage, "the group without members", &path).await?;
        Ok(seen)
    }
}

impl Seen {
    async fn change_members(&mut self, stage: &Stage, path: &str) -> Result<(), Obstacle> {
        let [first, second, third] = self.users.clone();
        let member = |id: &str| json!({"value": id});
        let by_name = Call::get("/Groups").filter(format!("displayName eq {}", quoted(&self.name)));
        let page = by_name.query("excludedAttributes", "members").query("startIndex", "1").query("count", "5");
        self.listed = stage.scim_send("groups of this name, without members", page).await?;
        let both: Value = json!([member(&second), member(&third)]);
        self.added = patch(stage, "two members are added", path, &[add("members", both)]).await?;
        self.added_again = patch(stage, "a member is added again", path, &[add("members", json!([member(&second)]))]).await?;
        self.full = read(stage, "the group with three members", path).await?;
        self.member = read(stage, "a member and its groups", &format!("/Users/{first}")).await?;

        let one = remove(&format!("members[value eq {}]", quoted(&second)));
        self.removed = patch(stage, "a member is removed", path, &[one]).await?;
        self.without_second = read(stage, "the group without that member", path).await?;
        if self.member.body["groups"].is_array() {
            let groups = add("groups", json!([{"value": self.made.id()}]));
            let user = format!("/Users/{second}");
            self.through_user = Some(patch(stage, "a group is added through the user", &user, &[groups]).await?);
        }
        let form = json!({"op": "remove", "path": "members", "value": [member(&third)]});
        self.removed_with_value = patch(stage, "a member is removed in the form with a value", path, &[form]).await?;
        let stranger = unlike(&first);
        // Somebody may have that id: then nobody is added.
        let unknown = read(stage, "an id that nobody has", &format!("/Users/{stranger}")).await?;
        let answer = if unknown.ok() {
            Answer { fault: Some(format!("not sent: /Users/{stranger} is somebody")), ..Answer::default() }
        } else {
            patch(stage, "an unknown member is added", path, &[add("members", json!([member(&stranger)]))]).await?
        };
        self.stranger = (stranger, answer);
        self.after_both = read(stage, "the group after both", path).await?;
        Ok(())
    }

    async fn change_name(&mut self, stage: &Stage, path: &str) -> Result<(), Obstacle> {
        if self.after_both.ok() && members(&self.after_both).is_empty() {
            let again = add("members", json!([{"value": self.users[0]}]));
            self.refilled = Some(patch(stage, "a member is added, as none is left", path, &[again]).await?);
        }
        self.renamed = patch(stage, "the group is renamed", path, &[replace("displayName", self.second_name())]).await?;
        let bare = Call::get(path).query("excludedAttributes", "members");
        self.no_members = stage.scim_send("the renamed group, without members", bare).await?;
        let form = json!({"op": "replace", "value": {"id": self.made.id(), "displayName": self.third_name()}});
        self.renamed_pathless = patch(stage, "the group is renamed without a path", path, &[form]).await?;
        self.last = read(stage, "the group renamed twice", path).await?;
        Ok(())
    }

    /// Its name after the first renaming.
    fn second_name(&self) -> String {
        format!("{} 2", self.name)
    }

    /// Its name after the second renaming.
    fn third_name(&self) -> String {
        format!("{} 3", self.name)
    }
}

/// Ids of the members.
fn members(group: &Answer) -> Vec<&str> {
    let all = group.body["members"].as_array().into_iter().flatten();
    all.filter_map(|member| member["value"].as_str()).collect()
}
