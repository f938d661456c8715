//! provision-roles: roles are read from the suite, mapped to users and taken away again at the identity service.

mod checks;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Case;
use super::course::{Course, User};
use crate::counterpart::scim_receiver::{Fault, Rule, Sent};
use crate::counterpart::scim_server::Role;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// Seconds in which the roles are read after the schemas.
const SOON_S: u64 = 60;

/// Roles.
pub struct Roles;

/// What became of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// By what was done: `read`, `push`, `remove`, `group-add`, `group-remove`, `refused`, `after-refusal`, `new`, `disable`.
    pub cases: BTreeMap<String, Case>,
    /// Values of the published roles, and of those that were read.
    pub read: (Vec<String>, Vec<String>),
    /// Values in the account to which two roles were mapped, after that and after one was taken away.
    pub held: (Vec<String>, Vec<String>),
    /// The two roles.
    pub mapped: (String, String),
    /// Mapping a user to a role that is marked unsupported, and to one that is gone.
    pub unsupported: Forbidden,
    /// The same for a role that was removed from the catalogue.
    pub withdrawn: Forbidden,
    /// Roles of the disabled user's account while it was active.
    pub disabled_had: bool,
    /// Another user has exactly the one role that was mapped to that user.
    #[serde(default)]
    pub single: bool,
}

/// A mapping that should come to nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Forbidden {
    /// The hook was called.
    pub tried: bool,
    /// The hook refused it.
    pub refused: bool,
    /// The role was sent.
    pub sent: bool,
    /// A mapping that is allowed arrived after it.
    pub control: bool,
    /// Exchanges.
    pub cites: Vec<String>,
}

impl Scenario for Roles {
    type Seen = Seen;
    const ID: &'static str = "provision-roles";
    const TITLE: &'static str = "publishes roles, and maps them to users at the identity service";
    const BROWSER: bool = false;
    const PROVISIONED: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al3.idp.reads-roles", checks::the_catalogue_is_read),
        Check::new("al3.idp.unsupported-not-offered", checks::an_unsupported_role_is_not_sent),
        Check::new("al3.idp.role-list-refreshed", checks::changes_of_the_catalogue_are_noticed),
        Check::new("al3.idp.role-pushed", checks::the_published_value_is_sent),
        Check::new("al3.idp.role-removed", checks::one_role_goes_and_the_other_stays),
        Check::new("al3.idp.role-by-group", checks::roles_follow_groups),
        Check::new("al3.idp.unknown-role-error-handled", checks::a_refused_role_stops_nothing),
        Check::new("al3.idp.disabled-loses-roles", checks::a_disabled_user_has_no_effective_role),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let course = Course::open(stage)?;
        let mut seen = Seen::default();
        if !["import-roles", "map-role", "map-group-role"].iter().any(|hook| course.has(hook)) {
            seen.cases.insert("group-add".into(), Case::blocked("hooks.map-group-role is not configured"));
            return Ok(seen);
        }
        let labels = [
            "role-two",
            "role-unsupported",
            "role-refused",
            "role-disabled",
            "role-group",
            "role-new",
            "role-withdrawn",
            "role-after",
        ];
        // The catalogue is read while the users arrive.
        let mark = course.receiver.log().mark();
        let import = course.hook("import-roles", &User::default(), &[]).await.map_err(|obstacle| obstacle.message);
        let arrived = course.arrived(&labels).await;
        read(&course, &mut seen, mark, import).await;
        let users: BTreeMap<String, (User, String)> =
            arrived.iter().filter_map(|(label, user)| Some((label.clone(), user.clone().ok()?))).collect();
        if let Some(Err(why)) = arrived.values().find(|user| user.is_err()) {
            for what in ["push", "remove", "group-add", "refused", "new", "disable"] {
                seen.cases.insert(what.into(), Case::blocked(why.as_str()));
            }
        } else {
            let work = Work { course: &course, users: &users };
            work.map(&mut seen).await;
            work.unmap(&mut seen).await;
            work.refresh(&mut seen).await;
        }
        course.close(users.into_values().map(|(user, _)| user)).await;
        Ok(seen)
    }
}

/// The catalogue, as the identity service read it.
async fn read(course: &Course<'_>, seen: &mut Seen, mark: usize, import: Result<String, String>) {
    let ids = || -> Vec<String> {
        let lists = course.receiver.log().since(mark, |entry| entry.method == "GET" && entry.path == "/Roles" && entry.ok());
        lists.into_iter().filter_map(|entry| entry.listed).flat_map(|listed| listed.ids).collect()
    };
    let schemas =
        || course.receiver.log().any(mark, |entry| entry.method == "GET" && entry.path.starts_with("/Schemas") && entry.ok());
    let all: Vec<String> = course.receiver.engine().roles().into_iter().map(|role| role.value).collect();
    let case = match import {
        Err(why) => Case::blocked(why),
        Ok(cite) => {
            let count = all.len();
            let complete = || {
                let mut ids = ids();
                ids.sort();
                ids.dedup();
                ids.len() >= count
            };
            let what = "the catalogue of roles to be read";
            let took = course.reach(what, || complete() || (ids().is_empty() && schemas())).await;
            if took.is_some() && !complete() {
                // Schemas are often read before roles.
                course.wait_for(what, course.cycle().min(course.watch(SOON_S)), complete).await;
            }
            let mut case = Case { cites: vec![cite], ..course.case(mark, "", "/roles", took) };
            let lists = course.receiver.log().since(mark, |entry| entry.path == "/Roles" || entry.path.starts_with("/Schemas"));
            case.sent = lists.iter().take(20).map(|entry| Sent::of(entry, course.began)).collect();
            let read = ids().len();
            if took.is_none() {
                case.obstacle = course.silent().map(str::to_owned);
            }
            case.state =
                if read == 0 { "the roles were never read".into() } else { format!("{read} of {count} roles were read") };
            case
        }
    };
    seen.read = (all, ids());
    seen.cases.insert("read".into(), case);
}

/// Users at work.
struct Work<'a> {
    course: &'a Course<'a>,
    users: &'a BTreeMap<String, (User, String)>,
}

impl Work<'_> {
    fn user(&self, label: &str) -> (&User, &str) {
        static NOBODY: std::sync::LazyLock<User> = std::sync::LazyLock::new(User::default);
        self.users.get(label).map_or((&NOBODY, ""), |(user, id)| (user, id.as_str()))
    }

    /// Values of the roles in an account.
    fn roles(&self, label: &str) -> Vec<String> {
        let account = self.course.receiver.engine().user(self.user(label).1).unwrap_or_default();
        let values = account["roles"].as_array().into_iter().flatten();
        let mut values: Vec<String> = values.filter_map(|role| role["value"].as_str().map(str::to_owned)).collect();
        values.sort();
        values
    }

    async fn hook(&self, name: &str, label: &str, more: &[(&str, &str)]) -> Result<String, String> {
        if !self.course.has(name) {
            return Err(format!("hooks.{name} is not configured"));
        }
        self.course.hook(name, self.user(label).0, more).await.map_err(|obstacle| obstacle.message)
    }

    /// A case of an account after a wait.
    fn case(&self, mark: usize, label: &str, hook: Result<String, String>, took: Option<f64>) -> Case {
        match hook {
            Err(why) => Case::blocked(why),
            Ok(cite) => {
                let (user, id) = self.user(label);
                let roles = self.roles(label);
                let state = if roles.is_empty() {
                    "the account has no role".into()
                } else {
                    format!("the account has {}", roles.join(", "))
                };
                Case { cites: vec![cite], state, ..self.course.case(mark, id, &user.tag, took) }
            }
        }
    }

    /// Two roles for one user, one that is not supported, one that is refused, one for a user to be disabled, one by a group.
    async fn map(&self, seen: &mut Seen) {
        let course = self.course;
        let receiver = course.receiver;
        let (reader, writer, retired) = (receiver.role("reader"), receiver.role("writer"), receiver.role("retired"));
        seen.mapped = (reader.clone(), writer.clone());
        let mark = receiver.log().mark();
        let (refused_user, _) = self.user("role-refused");
        receiver.script(Rule::of(&refused_user.tag, Fault::InvalidValue, 1000).on(&["PUT", "PATCH"]).with("roles"));
        let unsupported = self.hook("map-role", "role-unsupported", &[("role", &retired)]).await;
        let refused = self.hook("map-role", "role-refused", &[("role", &reader)]).await;
        course.now().await;
        if refused.is_ok() {
            let tag = refused_user.tag.clone();
            course
                .reach("a refused role", || {
                    course
                        .sent(mark, "", &tag)
                        .iter()
                        .chain(&course.sent(mark, self.user("role-refused").1, ""))
                        .any(|sent| sent.status == 400)
                })
                .await;
        }
        // What is sent after the refusal shows whether work goes on, also where it is no role that the server takes.
        let later = receiver.log().mark();
        let mut push = self.hook("map-role", "role-two", &[("role", &reader)]).await;
        if push.is_ok() {
            push = self.hook("map-role", "role-two", &[("role", &writer)]).await;
        }
        let disable = self.hook("map-role", "role-disabled", &[("role", &reader)]).await;
        let group = self.group(&writer).await;
        course.now().await;
        let two = {
            let mut two = vec![reader.clone(), writer.clone()];
            two.sort();
            two
        };
        let mut labels = Vec::new();
        labels.extend(push.is_ok().then_some("role-two"));
        labels.extend(disable.is_ok().then_some("role-disabled"));
        labels.extend(group.is_ok().then_some("role-group"));
        let there = |label: &str| match label {
            "role-two" => self.roles(label) == two,
            "role-disabled" => !self.roles(label).is_empty(),
            _ => self.roles(label).contains(&writer),
        };
        let took = course.settle("roles to be pushed", 1, &labels, there).await;
        seen.held.0 = self.roles("role-two");
        seen.disabled_had = !self.roles("role-disabled").is_empty();
        seen.single = self.roles("role-disabled") == [reader.clone()];
        let control = labels.iter().any(|label| !self.roles(label).is_empty());
        let wrote = |label: &str| {
            let (user, id) = self.user(label);
            course.sent(later, id, &user.tag).iter().any(Sent::writes)
        };
        let on = control || labels.iter().any(|label| wrote(label));
        let went_on = Case { took_s: on.then_some(0.0), ..self.case(later, "role-two", push.clone(), None) };
        seen.cases.insert("after-refusal".into(), went_on);
        seen.cases.insert("push".into(), self.case(mark, "role-two", push, took.get("role-two").copied()));
        seen.cases.insert("group-add".into(), self.case(mark, "role-group", group, took.get("role-group").copied()));
        seen.cases.insert("refused".into(), self.case(mark, "role-refused", refused, None));
        seen.unsupported = self.forbidden(mark, "role-unsupported", unsupported, &retired, control);
        receiver.unscript(&refused_user.tag);
    }

    /// A group to which a role is mapped, and a member.
    async fn group(&self, role: &str) -> Result<String, String> {
        let group = self.group_name();
        for hook in ["create-group", "map-group-role", "add-group-member"] {
            if !self.course.has(hook) {
                return Err(format!("hooks.{hook} is not configured"));
            }
        }
        self.course.make_group(&group).await.map_err(|obstacle| obstacle.message)?;
        self.hook("map-group-role", "", &[("group", &group), ("role", role)]).await?;
        self.hook("add-group-member", "role-group", &[("group", &group)]).await
    }

    fn group_name(&self) -> String {
        format!("Suite roles {}", self.course.stage.world.run_id)
    }

    fn forbidden(&self, mark: usize, label: &str, hook: Result<String, String>, role: &str, control: bool) -> Forbidden {
        let (user, id) = self.user(label);
        let sent = self.course.sent(mark, id, &user.tag);
        let with: Vec<_> = sent
            .iter()
            .filter(|sent| sent.writes() && crate::counterpart::scim_receiver::holds(&sent.body, &role.to_lowercase()))
            .collect();
        let configured = self.course.has("map-role");
        Forbidden {
            tried: configured,
            refused: hook.is_err(),
            sent: !with.is_empty(),
            control,
            cites: with.iter().map(|sent| sent.cite.clone()).chain(hook.ok()).collect(),
        }
    }

    /// One of two roles is taken away, a user leaves the group, a user is disabled.
    async fn unmap(&self, seen: &mut Seen) {
        let course = self.course;
        let (reader, writer) = seen.mapped.clone();
        let mark = course.receiver.log().mark();
        let had = |what: &str| seen.cases.get(what).is_some_and(Case::reached);
        let absent = |why: &str| Err(why.to_owned());
        let remove = if had("push") {
            self.hook("unmap-role", "role-two", &[("role", &reader)]).await
        } else {
            absent("the roles were not there before")
        };
        let group = self.group_name();
        let leave = if had("group-add") {
            self.hook("remove-group-member", "role-group", &[("group", &group)]).await
        } else {
            absent("the role was not there before")
        };
        let disable = if seen.disabled_had {
            self.hook("disable-user", "role-disabled", &[]).await
        } else {
            absent("the role was not there before")
        };
        course.now().await;
        let mut labels = Vec::new();
        labels.extend(remove.is_ok().then_some("role-two"));
        labels.extend(leave.is_ok().then_some("role-group"));
        labels.extend(disable.is_ok().then_some("role-disabled"));
        let done = |label: &str| match label {
            "role-two" => !self.roles(label).contains(&reader),
            "role-group" => !self.roles(label).contains(&writer),
            _ => course.deprovisioned(self.user(label).1) || self.roles(label).is_empty(),
        };
        let took = course.settle("roles to be taken away", 1, &labels, done).await;
        seen.held.1 = self.roles("role-two");
        seen.cases.insert("remove".into(), self.case(mark, "role-two", remove, took.get("role-two").copied()));
        seen.cases.insert("group-remove".into(), self.case(mark, "role-group", leave, took.get("role-group").copied()));
        seen.cases.insert("disable".into(), self.case(mark, "role-disabled", disable, took.get("role-disabled").copied()));
        course.remove_group(&group).await;
    }

    /// The catalogue gets a role and loses one.
    async fn refresh(&self, seen: &mut Seen) {
        let course = self.course;
        let engine = course.receiver.engine();
        let added = format!("{}:editor", course.stage.world.run_id);
        let gone = seen.mapped.1.clone();
        let mut roles = engine.roles();
        roles.retain(|role| role.value != gone);
        let display = format!("Suite EDITOR {}", course.stage.world.run_id);
        roles.push(Role { value: added.clone(), display, supported: true, limit: None });
        engine.set_roles(roles);
        let mark = course.receiver.log().mark();
        if let Err(why) = self.hook("import-roles", "", &[]).await {
            seen.cases.insert("new".into(), Case::blocked(why));
            return;
        }
        course.now().await;
        course
            .reach("the catalogue to be read again", || {
                course
                    .receiver
                    .log()
                    .any(mark, |entry| entry.method == "GET" && (entry.path == "/Roles" || entry.path.starts_with("/Schemas")))
            })
            .await;
        let withdrawn = self.hook("map-role", "role-withdrawn", &[("role", &gone)]).await;
        let new = self.hook("map-role", "role-new", &[("role", &added)]).await;
        course.now().await;
        let took = if new.is_ok() || self.course.has("map-role") {
            course.reach("a new role", || self.roles("role-new").contains(&added)).await
        } else {
            None
        };
        // A hook that refuses the new role is what a stale list looks like.
        let case = match new {
            Err(why) if self.course.has("map-role") => {
                Case { state: why, limit_s: course.cycle().as_secs_f64(), ..Case::default() }
            }
            other => self.case(mark, "role-new", other, took),
        };
        if took.is_some() && withdrawn.is_ok() {
            // Users take their turn one after the other.
            let sent = || self.forbidden(mark, "role-withdrawn", withdrawn.clone(), &gone, true).sent;
            course.wait_for("the withdrawn role", course.watch(60), sent).await;
        }
        seen.withdrawn = self.forbidden(mark, "role-withdrawn", withdrawn, &gone, took.is_some());
        seen.cases.insert("new".into(), case);
    }
}
