//! provision-sign-in: what the identity service says at a sign-in about the groups and roles that it provisions, and that a disabled user
//! gets nothing any more.

mod checks;

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::course::{Course, User};
use crate::counterpart::scim_receiver::TENANT;
use crate::counterpart::scim_receiver::commands::Command;
use crate::counterpart::token::TokenRequest;
use crate::model::target::Way;
use crate::stage::Stage;
use crate::stage::browser::recipe::Until;
use crate::stage::browser::{Context, Visit};
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::jose::{read, sha256_b64};
use crate::wire::seen::{AuthzSeen, Outcome, TokenSeen};

/// Seconds after which a disabled user must have lost access.
const ENDED_S: u64 = 300;

/// Sign-ins.
pub struct SignIn;

/// What they showed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Groups before and after joining one.
    pub groups: Option<Change>,
    /// Roles before and after one was mapped.
    pub roles: Option<Change>,
    /// Groups by channel at the end: `token`, `scim`, `commands`.
    pub sets: Vec<(String, Vec<String>)>,
    /// What became of the disabled user.
    pub disabled: Option<Disabled>,
    /// Why something could not be played.
    pub obstacle: Option<String>,
}

/// Values of a claim at two sign-ins.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Change {
    /// Why it could not be played.
    pub obstacle: Option<String>,
    /// Before.
    pub before: Vec<String>,
    /// What was added.
    pub added: Vec<String>,
    /// What was made and is not the user's: must not be there.
    pub foreign: Vec<String>,
    /// Afterwards.
    pub after: Vec<String>,
    /// Exchanges of the ID tokens.
    pub cites: Vec<String>,
}

/// Access of a disabled user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Disabled {
    /// The hook did its work.
    pub done: bool,
    /// A refresh before; `None` where no refresh token was issued.
    pub refresh_before: Option<TokenSeen>,
    /// prompt=none before brought a code.
    pub quiet_before: bool,
    /// The last refresh while disabled.
    pub refresh: Option<TokenSeen>,
    /// The last prompt=none while disabled.
    pub quiet: Option<AuthzSeen>,
    /// A full sign-in while disabled.
    pub full: Option<AuthzSeen>,
    /// Why that did not come to an end.
    #[serde(default)]
    pub stopped: Option<String>,
    /// A full sign-in after the user was enabled again, where the other stopped.
    #[serde(default)]
    pub again: Option<AuthzSeen>,
}

impl Scenario for SignIn {
    type Seen = Seen;
    const ID: &'static str = "provision-sign-in";
    const TITLE: &'static str = "compares sign-ins with what is provisioned, and signs in as a disabled user";
    const AFTER: &'static [&'static str] = &[
        // It takes away most commands for a while, for everybody.
        "provision-commands",
        "idp-login",
        "idp-acr",
        "idp-admin",
        "idp-client-auth",
        "idp-commands",
        "idp-expiry",
        "idp-max-age",
        "idp-mfa",
        "idp-probe/login-pages",
        "idp-public",
        "idp-reauth",
        "idp-second",
        "idp-sso/codes",
        "idp-sso/dpop",
        "idp-sso/par",
        "idp-sso/pkce",
        "idp-sso/redirects",
        "idp-sso/refresh",
        "idp-sso/requests",
        "idp-sso/session",
    ];
    const IN_SESSION: bool = true;
    const PROVISIONED: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al1.idp.access-ends-at-idp-too", checks::a_disabled_user_gets_nothing),
        Check::new("al2.idp.groups-claim", checks::groups_in_tokens_are_fresh),
        Check::new("al2.idp.group-sources-agree", checks::all_ways_say_the_same_groups),
        Check::new("al3.idp.role-claim", checks::roles_in_tokens_are_fresh),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let course = Course::open(stage)?;
        let mut seen = Seen::default();
        let name = stage.world.other_user()?.name.clone();
        let user = User { tag: name.to_lowercase(), email: name.clone(), display: name.clone(), name, ..User::default() };
        course.receiver.tag(&user.tag, stage.scenario);
        let groups =
            (stage.wants("al2.idp.groups-claim") || stage.wants("al2.idp.group-sources-agree")) && course.has("add-group-member");
        let roles = stage.wants("al3.idp.role-claim") && course.has("map-role");
        if groups || roles {
            // Two groups of the user's own: one alone cannot be left out among others.
            let [mine, also, others] = ["mine", "also", "others"].map(|whose| format!("Suite {whose} {}", stage.world.run_id));
            let role = course.receiver.role("reader");
            let outcome = tokens(&course, &mut seen, &user, (groups, roles), ([&mine, &also], &others, &role)).await;
            seen.obstacle = outcome.err().map(|obstacle| obstacle.message);
            for group in [&mine, &also, &others] {
                course.remove_group(group).await;
            }
            if roles && course.has("unmap-role") {
                let undo = course.undo_later("unmap-role", &user, &[("role", &role)]);
                stage.undo_now(undo).await;
            }
        }
        if stage.wants("al1.idp.access-ends-at-idp-too") {
            match disable(&course, &user).await {
                Ok(disabled) => seen.disabled = Some(disabled),
                Err(obstacle) => seen.obstacle = Some(obstacle.message),
            }
        }
        Ok(seen)
    }
}

/// A whole sign-in in a new context.
async fn sign_in(
    stage: &Stage,
    what: &str,
) -> Result<(Arc<dyn Context>, AuthzSeen, Option<(TokenSeen, crate::counterpart::token::Tokens)>), Obstacle> {
    let context = stage.world.agent.context(what).await?;
    let request = stage.offline(stage.request("main")?);
    let url = request.url(stage.world.endpoint("authorization_endpoint")?);
    let (authz, ..) = stage.sign_in(&context, &request, stage.world.other_user()?, Visit::Get(url), Until::Arrival, what).await?;
    let tokens = match &authz.code {
        Some(code) => {
            Some(stage.token(&TokenRequest::code(&request, code, &format!("token request: {what}")).of_another(), None).await?)
        }
        None => None,
    };
    Ok((context, authz.seen, tokens))
}

/// The claims of the ID token of a sign-in, and the exchange. They stay in memory: groups and roles are the user's own affair.
async fn id_token(stage: &Stage, what: &str) -> Result<(Value, String), Obstacle> {
    let (_, authz, tokens) = sign_in(stage, what).await?;
    let token = tokens.and_then(|(seen, tokens)| Some((tokens.id_token_raw?, seen.cites.last().cloned().unwrap_or_default())));
    let (raw, cite) =
        token.ok_or_else(|| Obstacle::target(format!("{what}: {}", authz.describe()), "See the verdicts of idp-login."))?;
    let claims = read(&raw).map_err(|fault| Obstacle::target(format!("{what}: {fault}"), "See sl1.idp.id-token-signed."))?.claims;
    Ok((claims, cite))
}

/// Values of a claim: strings, or objects with a value, an id or a name.
fn values(claims: &Value, claim: &str) -> Vec<String> {
    let one = |value: &Value| {
        let named = ["value", "id", "display", "name"].iter().find_map(|name| value[*name].as_str());
        value.as_str().or(named).map(str::to_owned)
    };
    match &claims[claim] {
        Value::Array(all) => all.iter().filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    }
}

/// How a group or role is called in files that is none of this run by its name.
const UNKNOWN: &str = "another";

/// What goes into files: names of this run as they are, others as digests, which can be compared all the same.
fn kept(all: &[String], run_id: &str) -> Vec<String> {
    let short = |value: &String| format!("{UNKNOWN} ({})", sha256_b64(value).chars().take(8).collect::<String>());
    all.iter().map(|value| if value.contains(run_id) { value.clone() } else { short(value) }).collect()
}

/// Sign-ins before and after the user joined a group and got a role.
async fn tokens(
    course: &Course<'_>,
    seen: &mut Seen,
    user: &User,
    (groups, roles): (bool, bool),
    (mine, others, role): ([&str; 2], &str, &str),
) -> Result<(), Obstacle> {
    let stage = course.stage;
    let claims = (stage.world.target.lifecycle.groups_claim.clone(), stage.world.target.lifecycle.roles_claim.clone());
    course.assign(user).await?;
    let before = id_token(stage, "sign-in before the group and the role").await?;
    let mut change = Change { before: values(&before.0, &claims.0), cites: vec![before.1.clone()], ..Change::default() };
    let mut rolled = Change { before: values(&before.0, &claims.1), cites: vec![before.1.clone()], ..Change::default() };
    if groups {
        for group in [mine[0], mine[1], others] {
            course.make_group(group).await?;
        }
        for group in mine {
            course.hook("add-group-member", user, &[("group", group)]).await?;
        }
        change.added = mine.map(str::to_owned).to_vec();
        change.foreign = vec![others.to_owned()];
    }
    if roles {
        let mapped = course.hook("map-role", user, &[("role", role)]).await;
        rolled.obstacle = mapped.err().map(|obstacle| obstacle.message);
        rolled.added = vec![role.to_owned()];
    }
    course.now().await;
    if groups && stage.wants("al2.idp.group-sources-agree") {
        course.wait("the groups by every way", || everywhere(course, user, mine.len())).await;
    }
    let after = id_token(stage, "sign-in after the group and the role").await?;
    change.after = values(&after.0, &claims.0);
    rolled.after = values(&after.0, &claims.1);
    change.cites.push(after.1.clone());
    rolled.cites.push(after.1.clone());
    let run = &stage.world.run_id;
    if groups {
        if stage.wants("al2.idp.group-sources-agree") {
            // A message that is still under way is no difference. Groups are only added here, so as many are the same ones.
            let as_many = || sets(course, user, &change.after).windows(2).all(|two| two[0].1.len() == two[1].1.len());
            course.wait("as many groups by every way", as_many).await;
        }
        let all = sets(course, user, &change.after);
        seen.sets = all.into_iter().map(|(way, groups)| (way, kept(&groups, run))).collect();
    }
    for change in [&mut change, &mut rolled] {
        (change.before, change.after) = (kept(&change.before, run), kept(&change.after, run));
    }
    if groups {
        seen.groups = Some(change);
    }
    if roles {
        seen.roles = Some(rolled);
    }
    Ok(())
}

/// Do the ways that bring groups to the application show so many groups of the user? Commands that name no group of the user at all are
/// not waited for: they may not be sent for this one.
fn everywhere(course: &Course<'_>, user: &User, count: usize) -> bool {
    let ways = &course.stage.world.target.lifecycle.group_ways;
    let by_scim = || course.account(user).is_some_and(|id| course.receiver.engine().groups_of(&id).len() >= count);
    let received = course.receiver.commands.received();
    let told = last_groups(&received, user);
    (!ways.contains(&Way::Scim) || by_scim()) && (!ways.contains(&Way::Commands) || told.is_none_or(|told| told.len() >= count))
}

/// The groups in the last command about the user that has any.
fn last_groups<'a>(received: &'a [Command], user: &User) -> Option<&'a Vec<Value>> {
    received.iter().rev().filter(|one| one.about(&user.tag)).find_map(|one| one.claims["groups"].as_array())
}

/// The user's groups by every claimed way, by display name where an id is known.
fn sets(course: &Course<'_>, user: &User, token: &[String]) -> Vec<(String, Vec<String>)> {
    let ways = &course.stage.world.target.lifecycle.group_ways;
    let received = course.receiver.commands.received();
    let announced: Vec<(String, String)> = received
        .iter()
        .flat_map(|one| one.claims["metadata"]["groups"].as_array().cloned().unwrap_or_default())
        .filter_map(|group| Some((group["id"].as_str()?.to_owned(), group["display"].as_str()?.to_owned())))
        .collect();
    let provisioned = course.receiver.engine().groups(TENANT);
    let name = |id: &String| {
        let known = announced.iter().find(|(known, _)| known == id).map(|(_, display)| display.clone());
        let external = || {
            provisioned
                .iter()
                .find(|group| group["externalId"].as_str() == Some(id) || group["id"].as_str() == Some(id))
                .and_then(|group| group["displayName"].as_str().map(str::to_owned))
        };
        known.or_else(external).unwrap_or_else(|| id.clone())
    };
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all.dedup();
        all
    };
    let mut sets = Vec::new();
    if ways.contains(&Way::Claims) {
        sets.push(("token".to_owned(), sorted(token.iter().map(name).collect())));
    }
    if ways.contains(&Way::Scim)
        && let Some(id) = course.account(user)
    {
        let groups = course.receiver.engine().groups_of(&id);
        sets.push((
            "scim".to_owned(),
            sorted(groups.iter().filter_map(|group| group["displayName"].as_str().map(str::to_owned)).collect()),
        ));
    }
    if ways.contains(&Way::Commands)
        && let Some(told) = last_groups(&received, user)
    {
        let groups = told.iter().filter_map(|group| group.as_str().map(str::to_owned));
        sets.push(("commands".to_owned(), sorted(groups.map(|id| name(&id)).collect())));
    }
    sets
}

/// Refresh, silent and full sign-in of a user who is disabled.
async fn disable(course: &Course<'_>, user: &User) -> Result<Disabled, Obstacle> {
    let stage = course.stage;
    let (context, authz, tokens) = sign_in(stage, "sign-in of a user to be disabled").await?;
    let Some((_, tokens)) = tokens else {
        return Err(Obstacle::target(
            format!("the user to be disabled could not sign in: {}", authz.describe()),
            "See the verdicts of idp-login.",
        ));
    };
    let mut refresh = tokens.refresh;
    let mut seen = Disabled::default();
    let silent = || stage.request("main").map(|request| request.set("prompt", "none"));
    let quiet = stage.authorize(&context, &silent()?, "prompt=none before the user is disabled").await?.seen;
    seen.quiet_before = stage.control(quiet.outcome == Outcome::Code);
    if let Some(token) = &refresh {
        let (before, tokens) =
            stage.token(&TokenRequest::refresh("main", token, "refresh before the user is disabled").of_another(), None).await?;
        refresh = tokens.refresh.or(refresh);
        seen.refresh_before = Some(before);
    }
    let undo = course.undo_later("enable-user", user, &[]);
    let outcome = while_disabled(course, &mut seen, user, &context, refresh).await;
    let enabled = stage.undo_now(undo).await;
    outcome?;
    if seen.stopped.is_some() && enabled && course.has("enable-user") {
        stage.credentials(stage.world.other_user()?)?.forgive();
        let again = sign_in(stage, "full sign-in of the user who is enabled again").await;
        seen.again = again.ok().map(|(_, authz, _)| authz);
        stage.control(seen.again.as_ref().is_some_and(|again| again.outcome == Outcome::Code));
    }
    Ok(seen)
}

async fn while_disabled(
    course: &Course<'_>,
    seen: &mut Disabled,
    user: &User,
    context: &Arc<dyn Context>,
    mut refresh: Option<String>,
) -> Result<(), Obstacle> {
    let stage = course.stage;
    course.hook("disable-user", user, &[]).await?;
    seen.done = true;
    let limit = stage.world.patience(ENDED_S);
    let disabled = Instant::now();
    loop {
        let quiet =
            stage.authorize(context, &stage.request("main")?.set("prompt", "none"), "prompt=none of a disabled user").await?.seen;
        let mut live = quiet.outcome == Outcome::Code;
        seen.quiet = Some(quiet);
        if let Some(token) = &refresh {
            let (after, tokens) =
                stage.token(&TokenRequest::refresh("main", token, "refresh of a disabled user").of_another(), None).await?;
            live |= after.granted();
            refresh = tokens.refresh.or(refresh);
            seen.refresh = Some(after);
        }
        if !live || disabled.elapsed() >= limit {
            break;
        }
        // Directories replicate: asked again every five seconds.
        let pause = std::time::Duration::from_secs(if stage.world.embedded { 1 } else { 5 });
        stage.wait_until(Instant::now() + pause, "a disabled user to be known everywhere").await;
    }
    // A sign-in that is refused may end on a page that the recipe does not know: a control tells whether that was the reason.
    match sign_in(stage, "full sign-in of a disabled user").await {
        Ok((_, authz, _)) => seen.full = Some(authz),
        Err(obstacle) => seen.stopped = Some(obstacle.message),
    }
    Ok(())
}
