//! provision-commands: the same life of accounts, told by OpenID Provider Commands to the suite's command endpoint.

mod checks;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Case;
use super::course::{Course, User};
use super::token::Jwt;
use crate::counterpart::scim_receiver::commands::{Command, SUPPORTED};
use crate::stage::Stage;
use crate::stage::http::Ask;
use crate::suite::{Check, Obstacle, Scenario};

/// Seconds in which endless repetitions show.
const REPEATS_S: u64 = 60;
/// Seconds in which a metadata command follows a callback.
const CALLBACK_S: u64 = 300;

/// Attributes that stand in claims which the suite's endpoint says it supports (`claims_supported`), and may hold any text. Of others,
/// such as `title`, a command rightly says nothing.
const TOLD: [&str; 7] = ["displayName", "name", "name.formatted", "name.givenName", "name.familyName", "givenName", "familyName"];

/// The mapped attribute whose change a command tells; `displayName` where none is named.
fn told_attribute(mapped: &[String]) -> Option<&str> {
    let told = |name: &&str| TOLD.iter().any(|known| known.eq_ignore_ascii_case(name));
    if mapped.is_empty() { Some("displayName") } else { mapped.iter().map(String::as_str).find(told) }
}

/// Commands.
pub struct Commands;

/// What was received.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// By what was done: `activate`, `end`, `maintain`, `role`.
    pub cases: BTreeMap<String, Case>,
    /// Every command of the run.
    pub commands: Vec<Received>,
    /// What a right token says.
    pub expected: Expected,
    /// Commands for the user whose suspension was answered with 409: suspensions, and those of other users after it.
    pub conflict: Repeats,
    /// Commands for the user who was disabled while suspend was not supported.
    pub limited: Repeats,
    /// A metadata command came after the support had changed.
    pub limit_known: bool,
    /// Value of the role that was mapped.
    pub role: String,
    /// The callback endpoint.
    pub callback: Option<Callback>,
}

/// A command as received.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Received {
    /// The Command Token; callback tokens are not kept.
    pub token: Jwt,
    /// `Content-Type` without parameters.
    pub media_type: String,
    /// Status of the answer.
    pub status: u16,
}

/// What a right token says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Expected {
    /// The issuer.
    pub issuer: String,
    /// `client_id` of the main client; empty where none is configured.
    pub client_id: String,
    /// The command endpoint.
    pub endpoint: String,
    /// A key set could be read.
    pub keys: bool,
}

/// How often something was sent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Repeats {
    /// Why it could not be played.
    pub obstacle: Option<String>,
    /// It was played.
    pub played: bool,
    /// Suspensions.
    pub suspends: usize,
    /// Exchanges of all commands about the user.
    pub cites: Vec<String>,
}

/// What the callback endpoint answered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Callback {
    /// Status for the right token.
    pub right: u16,
    /// A metadata command followed.
    pub followed: bool,
    /// Status for a wrong token.
    pub wrong: u16,
    /// Status for a body that is no request.
    pub malformed: u16,
    /// Exchanges.
    pub cites: Vec<String>,
}

impl Scenario for Commands {
    type Seen = Seen;
    const ID: &'static str = "provision-commands";
    const TITLE: &'static str = "receives the commands of the identity service about accounts";
    const BROWSER: bool = false;
    const PROVISIONED: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al1.idp.cmd-deprovision", checks::a_leaver_is_told),
        Check::new("al1.idp.cmd-token-form", checks::command_tokens_are_right),
        Check::new("al1.idp.cmd-only-supported", checks::only_supported_commands_are_sent),
        Check::new("al1.idp.cmd-handles-409", checks::a_conflict_ends_it),
        Check::new("al2.idp.cmd-activate-maintain", checks::joiners_and_movers_are_told),
        Check::new("al2.idp.cmd-metadata-groups", checks::groups_are_announced),
        Check::new("al3.idp.cmd-metadata-consumed", checks::roles_have_their_ids),
        Check::new("al3.idp.cmd-callback-honoured", checks::the_callback_is_honoured),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let course = Course::open(stage)?;
        if stage.world.target.counterpart.commands_url.is_empty() {
            return Err(Obstacle::config(
                "counterpart.commands_url is not configured",
                "Set it to the URL of the suite's command endpoint.",
            ));
        }
        let work = Work { course: &course };
        let mut seen = Seen { role: course.receiver.role("reader"), ..Seen::default() };
        let labels = ["command-leaver", "command-conflict", "command-mover", "command-role", "command-limited"];
        let joined = course.joined(&labels).await;
        let users: BTreeMap<&str, User> =
            labels.into_iter().filter_map(|label| Some((label, joined.get(label)?.clone().ok()?))).collect();
        if let Some(Err(why)) = joined.values().find(|user| user.is_err()) {
            course.close(users.into_values()).await;
            return Err(Obstacle::config(why.clone(), "Mend the hook."));
        }
        let told = |user: &User, command: &str| {
            work.about(0, user).iter().any(|one| one.claim("command") == command && one.status == 200)
        };
        let took = course.reach("activate commands", || users.values().all(|user| told(user, "activate"))).await;
        let mut case = work.case(0, users.get("command-mover"), took);
        case.state = "not every user who was assigned was activated".into();
        seen.cases.insert("activate".into(), case);
        if took.is_some() {
            work.change(&mut seen, &users).await;
        }
        work.callback(&mut seen).await;
        if took.is_some() {
            work.limit(&mut seen, users.get("command-limited")).await;
        }
        work.look(&mut seen);
        course.remove_group(&work.group_name()).await;
        course.close(users.into_values()).await;
        Ok(seen)
    }
}

struct Work<'a> {
    course: &'a Course<'a>,
}

impl Work<'_> {
    fn received(&self) -> Vec<Command> {
        self.course.receiver.commands.received()
    }

    /// Commands about a user since a mark: by the text it is known by, or by the `sub` that stood beside it.
    fn about(&self, mark: usize, user: &User) -> Vec<Command> {
        let all = self.received();
        let subs: Vec<String> = all.iter().filter(|one| one.about(&user.tag)).map(|one| one.claim("sub").to_owned()).collect();
        let fits = |one: &Command| {
            one.about(&user.tag) || (!one.claim("sub").is_empty() && subs.iter().any(|sub| sub == one.claim("sub")))
        };
        all.into_iter().skip(mark).filter(fits).collect()
    }

    fn case(&self, mark: usize, user: Option<&User>, took_s: Option<f64>) -> Case {
        let about = user.map(|user| self.about(mark, user)).unwrap_or_default();
        let names: Vec<&str> = about.iter().map(|one| one.claim("command")).collect();
        let state = if names.is_empty() { "no command came".to_owned() } else { format!("what came: {}", names.join(", ")) };
        Case {
            took_s,
            limit_s: self.course.cycle().as_secs_f64(),
            state,
            cites: about.iter().map(|one| one.exchange.clone()).collect(),
            ..Case::default()
        }
    }

    fn group_name(&self) -> String {
        format!("Suite command {}", self.course.stage.world.run_id)
    }

    async fn hook(&self, name: &str, user: Option<&User>, more: &[(&str, &str)]) -> Result<(), String> {
        let nobody = User::default();
        if !self.course.has(name) {
            return Err(format!("hooks.{name} is not configured"));
        }
        self.course.hook(name, user.unwrap_or(&nobody), more).await.map(|_| ()).map_err(|obstacle| obstacle.message)
    }

    /// A leaver, a conflict, a change with a group, and a role, all at once.
    async fn change(&self, seen: &mut Seen, users: &BTreeMap<&str, User>) {
        let course = self.course;
        let mark = self.received().len();
        let user = |label: &str| users.get(label);
        let conflict = users.get("command-conflict").cloned().unwrap_or_default();
        let sub = self.about(0, &conflict).first().map(|one| one.claim("sub").to_owned()).unwrap_or_default();
        course.receiver.commands.conflict(&sub, "suspend", 1000);
        let leave = self.hook("disable-user", user("command-leaver"), &[]).await;
        let clash = self.hook("disable-user", user("command-conflict"), &[]).await;
        let value = format!("Changed {}", course.stage.world.run_id);
        let group = self.group_name();
        if course.make_group(&group).await.is_ok() {
            let _ = self.hook("add-group-member", user("command-mover"), &[("group", &group)]).await;
        }
        let moved = match told_attribute(&course.stage.world.target.lifecycle.attributes) {
            None => Err("lifecycle.attributes names none that stands in a claim which the suite supports".to_owned()),
            Some(attribute) => {
                self.hook("update-profile", user("command-mover"), &[("attribute", attribute), ("value", &value)]).await
            }
        };
        let role = self.hook("map-role", user("command-role"), &[("role", &seen.role)]).await;
        course.now().await;
        let came = |label: &str, names: &[&str]| {
            users.get(label).is_some_and(|user| self.about(mark, user).iter().any(|one| names.contains(&one.claim("command"))))
        };
        let steps = [("end", leave), ("conflict", clash.clone()), ("maintain", moved), ("role", role)];
        let labels: Vec<&str> = steps.iter().filter(|(_, hook)| hook.is_ok()).map(|(step, _)| *step).collect();
        let id = seen.role.clone();
        let done = |step: &str| match step {
            "end" => came("command-leaver", &["suspend", "archive", "delete"]),
            "conflict" => came("command-conflict", &["suspend", "archive", "delete"]),
            "maintain" => users.get("command-mover").is_some_and(|user| {
                self.about(mark, user).iter().any(|one| one.claim("command") == "maintain" && one.about(&value))
            }),
            _ => users.get("command-role").is_some_and(|user| self.about(mark, user).iter().any(|one| one.about(&id))),
        };
        let took = course.settle("commands", 1, &labels, done).await;
        for (step, hook) in steps {
            let label = match step {
                "end" => "command-leaver",
                "maintain" => "command-mover",
                "role" => "command-role",
                _ => continue,
            };
            let case = hook.map_or_else(Case::blocked, |()| self.case(mark, users.get(label), took.get(step).copied()));
            seen.cases.insert(step.into(), case);
        }
        let suspends = || self.about(mark, &conflict).iter().filter(|one| one.claim("command") == "suspend").count();
        if clash.is_ok() && took.contains_key("conflict") {
            course.wait_for("repetitions after a conflict", course.watch(REPEATS_S), || suspends() > 3).await;
        }
        seen.conflict = Repeats {
            obstacle: clash.err(),
            played: took.contains_key("conflict"),
            suspends: suspends(),
            cites: self.about(mark, &conflict).iter().map(|one| one.exchange.clone()).collect(),
        };
    }

    /// Asks for a new metadata command: with the right token, a wrong one, and a body that is no request.
    async fn callback(&self, seen: &mut Seen) {
        let Some((endpoint, token)) = self.way_back() else { return };
        let ask =
            |token: &str, body: &serde_json::Value| Ask::json(&endpoint, body).header("authorization", format!("Bearer {token}"));
        let request = json!({"command_requested": "metadata"});
        let mut callback = Callback::default();
        let stage = self.course.stage;
        let send = async |what: &str, ask: Ask| match stage.world.http.send(stage.scenario, what, ask).await {
            Ok(reply) => (reply.status, reply.exchange),
            Err(fault) => (0, fault.exchange),
        };
        let (wrong, cite) = send("callback with a wrong token", ask("not-the-callback-token", &request)).await;
        (callback.wrong, callback.cites) = (wrong, vec![cite]);
        let (malformed, cite) =
            send("callback with a body that asks for nothing", ask(&token, &json!({"command_requested": 7}))).await;
        callback.malformed = malformed;
        callback.cites.push(cite);
        let mark = self.received().len();
        let (right, cite) = send("callback that asks for metadata", ask(&token, &request)).await;
        callback.right = right;
        callback.cites.push(cite);
        if (200..300).contains(&right) {
            callback.followed = self.metadata_after(mark, CALLBACK_S).await;
        }
        seen.callback = Some(callback);
    }

    /// Endpoint and token of the last metadata command.
    fn way_back(&self) -> Option<(String, String)> {
        let all = self.received();
        let last = all.iter().rev().find(|one| one.claim("command") == "metadata")?;
        let text = |value: &serde_json::Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let endpoint = text(&last.claims["metadata"]["callback_endpoint"]).or_else(|| text(&last.claims["callback_endpoint"]))?;
        let token = text(&last.claims["callback_token"]).or_else(|| text(&last.claims["metadata"]["callback_token"]))?;
        self.course.stage.world.recorder.redactor.hide(&token, "callback token");
        Some((endpoint, token))
    }

    async fn metadata_after(&self, mark: usize, seconds: u64) -> bool {
        let came = || self.received().iter().skip(mark).any(|one| one.claim("command") == "metadata");
        self.course.wait_for("a metadata command", self.course.patience(seconds), came).await
    }

    /// Makes the identity service read the metadata again, where it has a callback endpoint.
    async fn refresh(&self) -> bool {
        let Some((endpoint, token)) = self.way_back() else { return false };
        let mark = self.received().len();
        let ask =
            Ask::json(&endpoint, &json!({"command_requested": "metadata"})).header("authorization", format!("Bearer {token}"));
        let stage = self.course.stage;
        let sent = stage.world.http.send(stage.scenario, "callback that asks for metadata", ask).await;
        sent.is_ok_and(|reply| reply.status < 300) && self.metadata_after(mark, CALLBACK_S).await
    }

    /// Only metadata, audit and delete are supported for a while.
    async fn limit(&self, seen: &mut Seen, user: Option<&User>) {
        let Some(user) = user.filter(|_| self.course.stage.wants("al1.idp.cmd-only-supported")) else { return };
        let desk = &self.course.receiver.commands;
        desk.support(&["metadata", "audit", "delete"]);
        seen.limit_known = self.refresh().await;
        let mark = self.received().len();
        let suspends = || self.about(mark, user).iter().filter(|one| one.claim("command") == "suspend").count();
        let hook = self.hook("disable-user", Some(user), &[]).await;
        if hook.is_ok() {
            self.course.now().await;
            let first = || !self.about(mark, user).is_empty();
            let limit = if seen.limit_known { self.course.watch(REPEATS_S) } else { self.course.cycle() };
            if self.course.wait_for("a command for a leaver", limit, first).await {
                self.course
                    .wait_for("repetitions of an unsupported command", self.course.watch(REPEATS_S), || suspends() > 2)
                    .await;
            }
        }
        seen.limited = Repeats {
            played: hook.is_ok(),
            obstacle: hook.err(),
            suspends: suspends(),
            cites: self.about(mark, user).iter().map(|one| one.exchange.clone()).collect(),
        };
        desk.support(&SUPPORTED);
        self.refresh().await;
    }

    /// Every command of the run, and what a right one says.
    fn look(&self, seen: &mut Seen) {
        let world = &self.course.stage.world;
        let keys = world.jwks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).set.clone();
        seen.expected = Expected {
            issuer: world.issuer().to_owned(),
            client_id: world.client("main").map(|client| client.id.clone()).unwrap_or_default(),
            endpoint: world.target.counterpart.commands_url.clone(),
            keys: keys["keys"].is_array(),
        };
        let received = |one: &Command| {
            let mut token = Jwt::of(&one.token, &keys, &one.exchange);
            token.claims.retain(|name, _| name != "callback_token");
            let media_type = one.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            Received { token, media_type, status: one.status }
        };
        // A service that repeats itself for ever fills no file.
        seen.commands = self.received().iter().take(300).map(received).collect();
    }
}
