//! Groups from sources that a sign-in must not take them from.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::counterpart::provider::{Forgery, Script, Twist};
use crate::model::target::GroupRole;
use crate::stage::Stage;
use crate::stage::visitor::Attempt;
use crate::suite::Obstacle;
use crate::suites::account_blocks::{Texts, declared, read_page};
use crate::suites::account_drive::Drive;

/// A sign-in with such a source.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Foreign {
    /// The source.
    pub source: String,
    /// The sign-in.
    pub attempt: Attempt,
    /// The page afterwards; `None` where nobody is signed in.
    pub shown: Option<Texts>,
}

/// Signs in with a mapped group from each of them; the ID token itself claims none, or is none.
pub async fn play(stage: &Stage, mapped: &GroupRole) -> Result<Vec<Foreign>, Obstacle> {
    let page = declared(stage.world.target.accounts.roles.as_ref(), "accounts.roles")?;
    let claim = &stage.world.target.lifecycle.groups_claim;
    let (_, who) = Drive::open(stage).await?.account("groups-foreign", false).await?;
    let groups = json!([mapped.group]);
    let userinfo = Script::of(&who).with(Twist::UserInfoOtherSub).userinfo_claim(claim, groups.clone());
    let forged = |forgery| Script::of(&who).claim(claim, groups.clone()).with(Twist::Forged(forgery));
    let variations = [
        ("UserInfo about another subject", userinfo),
        ("an access token in place of the ID token", forged(Forgery::AccessToken)),
        ("an ID token for another client", forged(Forgery::AudOther)),
    ];
    let tries = variations.into_iter().map(|(source, script)| async move {
        let (visitor, attempt) = stage.attempt(script, &format!("groups in {source}")).await?;
        let shown = match attempt.signed_in() {
            true => Some(read_page(stage, &visitor, page, &format!("roles by {source}")).await?),
            false => None,
        };
        Ok(Foreign { source: source.to_owned(), attempt, shown })
    });
    futures_util::future::try_join_all(tries).await
}
