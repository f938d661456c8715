//! How membership travels: as SCIM groups, as a claim of each sign-in, or as a claim of commands.

use serde_json::json;

use crate::counterpart::provider::{Script, Subject};
use crate::counterpart::scim_client::{Answer, Call, GROUP, add, quoted, remove};
use crate::model::target::Way;
use crate::stage::Stage;
use crate::suite::Obstacle;
use crate::suites::account_drive::Drive;
use crate::suites::scim_blocks::{Subject as User, patch};

/// The groups of one user.
pub struct Membership<'a> {
    way: Way,
    drive: &'a Drive<'a>,
    /// The user at the application.
    user: User,
    who: Subject,
    /// Names of the groups, for the claim.
    claimed: Vec<String>,
}

impl<'a> Membership<'a> {
    /// In no group.
    pub fn new(way: Way, drive: &'a Drive<'a>, user: User, who: Subject) -> Self {
        Membership { way, drive, user, who, claimed: Vec::new() }
    }

    /// A sign-in with what is claimed now.
    pub fn script(&self, stage: &Stage) -> Script {
        let script = Script::of(&self.who);
        match self.way {
            Way::Claims => script.claim(&stage.world.target.lifecycle.groups_claim, json!(self.claimed)),
            Way::Scim | Way::Commands => script,
        }
    }

    /// Into a group, which is made where there is none. The answers to what that took.
    pub async fn join(&mut self, stage: &Stage, group: &str) -> Result<Vec<Answer>, Obstacle> {
        self.claimed.push(group.to_owned());
        if self.way != Way::Scim {
            return Ok(self.tell().await);
        }
        let (id, mut answers) = the_group(stage, group).await?;
        if !id.is_empty() {
            let member = json!([{"value": self.user.id}]);
            answers.push(patch(stage, "the user joins", &format!("/Groups/{id}"), &[add("members", member)]).await?);
        }
        Ok(answers)
    }

    /// Out of a group.
    pub async fn leave(&mut self, stage: &Stage, group: &str) -> Result<Vec<Answer>, Obstacle> {
        self.claimed.retain(|name| name != group);
        if self.way != Way::Scim {
            return Ok(self.tell().await);
        }
        let (id, mut answers) = the_group(stage, group).await?;
        if !id.is_empty() {
            let gone = remove(&format!("members[value eq {}]", quoted(&self.user.id)));
            answers.push(patch(stage, "the user leaves", &format!("/Groups/{id}"), &[gone]).await?);
        }
        Ok(answers)
    }

    /// Commands name all groups of the user each time; a claim needs no request.
    async fn tell(&self) -> Vec<Answer> {
        if self.way != Way::Commands {
            return Vec::new();
        }
        self.drive.maintain(&self.user, "groups", json!(self.claimed)).await.into_iter().collect()
    }
}

/// The id of the group of this name; empty where it neither is there nor can be made.
pub(super) async fn the_group(stage: &Stage, name: &str) -> Result<(String, Vec<Answer>), Obstacle> {
    let search = Call::get("/Groups").filter(format!("displayName eq {}", quoted(name)));
    let found = stage.scim_send("is there such a group?", search).await?;
    let fits = |group: &&serde_json::Value| group["displayName"].as_str() == Some(name);
    if let Some(id) = found.resources().iter().find(fits).and_then(|group| group["id"].as_str()) {
        let id = id.to_owned();
        return Ok((id, vec![found]));
    }
    if !found.ok() {
        // A group that may be there already is not made once more.
        return Ok((String::new(), vec![found]));
    }
    let body = json!({"schemas": [GROUP], "displayName": name});
    let made = stage.scim_send("the group is made", Call::post("/Groups", &body)).await?;
    Ok((made.id().to_owned(), vec![made]))
}
