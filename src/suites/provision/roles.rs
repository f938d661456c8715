//! provision-roles: roles are read from the suite, mapped to users and taken away again at the identity service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::course::{Course, User};
use super::{Case, effect};
use crate::counterpart::scim_receiver::{Fault, Rule};
use crate::counterpart::scim_server::Role;
use crate::model::Judgement;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

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
        Check::new("al3.idp.reads-roles", the_catalogue_is_read),
        Check::new("al3.idp.unsupported-not-offered", an_unsupported_role_is_not_sent),
        Check::new("al3.idp.role-list-refreshed", changes_of_the_catalogue_are_noticed),
        Check::new("al3.idp.role-pushed", the_published_value_is_sent),
        Check::new("al3.idp.role-removed", one_role_goes_and_the_other_stays),
        Check::new("al3.idp.role-by-group", roles_follow_groups),
        Check::new("al3.idp.unknown-role-error-handled", a_refused_role_stops_nothing),
        Check::new("al3.idp.disabled-loses-roles", a_disabled_user_has_no_effective_role),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let course = Course::open(stage)?;
        let mut seen = Seen::default();
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
            let took = course
                .reach("the catalogue of roles to be read", || {
                    let mut ids = ids();
                    ids.sort();
                    ids.dedup();
                    ids.len() >= count || (ids.is_empty() && schemas())
                })
                .await;
            let mut case = Case { cites: vec![cite], ..course.case(mark, "", "/roles", took) };
            let lists = course.receiver.log().since(mark, |entry| entry.path == "/Roles" || entry.path.starts_with("/Schemas"));
            case.sent =
                lists.iter().take(20).map(|entry| crate::counterpart::scim_receiver::Sent::of(entry, course.began)).collect();
            let read = ids().len();
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
        // What comes after the refusal shows whether work goes on.
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
        let control = labels.iter().any(|label| !self.roles(label).is_empty());
        let went_on = Case { took_s: control.then_some(0.0), ..self.case(mark, "role-two", push.clone(), None) };
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
        self.hook("create-group", "", &[("group", &group)]).await?;
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
        if course.has("delete-group") {
            let undo = course.undo_later("delete-group", &User::default(), &[("group", &group)]);
            course.stage.undo_now(undo).await;
        }
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
        seen.withdrawn = self.forbidden(mark, "role-withdrawn", withdrawn, &gone, took.is_some());
        seen.cases.insert("new".into(), case);
    }
}

fn the_catalogue_is_read(seen: &Seen) -> Judgement {
    let (all, read) = &seen.read;
    let missing: Vec<&str> = all.iter().filter(|role| !read.iter().any(|id| id == *role)).map(String::as_str).collect();
    let judgement = effect(seen.cases.get("read"), "the roles were read, all pages", "the roles were not read completely");
    // Ids of roles need not be their values: then the count decides.
    let mut distinct = read.clone();
    distinct.sort();
    distinct.dedup();
    if !read.is_empty() && distinct.len() < all.len() && !missing.is_empty() {
        let cites = seen.cases.get("read").map(Case::cited).unwrap_or_default();
        return Judgement::broken("only the first page of the roles was read")
            .expected(all.len().to_string(), distinct.len().to_string())
            .cite(&cites);
    }
    judgement
}

fn forbidden(of: &Forbidden, what: &str) -> Judgement {
    if !of.tried {
        return Judgement::undecided("not tried");
    }
    if of.sent {
        return Judgement::broken(format!("{what} was sent")).cite(&of.cites);
    }
    match (of.refused, of.control) {
        (_, true) => Judgement::pass(format!("{what} was not sent, and another mapping arrived")).cite(&of.cites),
        (true, false) => Judgement::undecided("the hook refused the mapping, and others did not arrive either").cite(&of.cites),
        (false, false) => Judgement::undecided("no other mapping arrived, so silence proves nothing").cite(&of.cites),
    }
}

fn an_unsupported_role_is_not_sent(seen: &Seen) -> Judgement {
    forbidden(&seen.unsupported, "the role that is marked unsupported")
}

fn changes_of_the_catalogue_are_noticed(seen: &Seen) -> Judgement {
    let judgement = effect(seen.cases.get("new"), "the new role can be assigned", "the new role cannot be assigned");
    if seen.cases.get("new").is_some_and(Case::reached) && seen.withdrawn.sent {
        return Judgement::broken("a role that was removed from the catalogue was still sent").cite(&seen.withdrawn.cites);
    }
    judgement
}

fn the_published_value_is_sent(seen: &Seen) -> Judgement {
    effect(seen.cases.get("push"), "exactly the published values are in the account", "the published values did not arrive")
}

fn one_role_goes_and_the_other_stays(seen: &Seen) -> Judgement {
    let judgement = effect(seen.cases.get("remove"), "the one role is gone, the other is there", "the role stayed");
    let Some(case) = seen.cases.get("remove").filter(|case| case.reached()) else { return judgement };
    if seen.held.1 != [seen.mapped.1.clone()] {
        let left = if seen.held.1.is_empty() { "no role".into() } else { seen.held.1.join(", ") };
        return Judgement::broken("other roles than the unmapped one changed")
            .expected(seen.mapped.1.clone(), left)
            .cite(&case.cited());
    }
    judgement
}

fn roles_follow_groups(seen: &Seen) -> Judgement {
    let joined = effect(seen.cases.get("group-add"), "the role came with the group", "the role of the group did not arrive");
    if seen.cases.get("group-add").is_some_and(Case::reached) {
        return effect(
            seen.cases.get("group-remove"),
            "the role came and went with the group",
            "the role stayed after the group was left",
        );
    }
    joined
}

fn a_refused_role_stops_nothing(seen: &Seen) -> Judgement {
    let Some(refused) = seen.cases.get("refused") else { return Judgement::undecided("not tried") };
    if let Some(why) = &refused.obstacle {
        return Judgement::undecided(why.as_str());
    }
    let cites = refused.cited();
    if !refused.sent.iter().any(|sent| sent.status == 400) {
        return Judgement::undecided("no role met the refusal").cite(&cites);
    }
    match seen.cases.get("after-refusal") {
        Some(case) if case.obstacle.is_some() => {
            Judgement::undecided("the users that show whether work goes on could not be played").cite(&cites)
        }
        Some(case) if case.reached() => {
            Judgement::pass("other users' roles arrived after the refusal (that it is shown is for the operator to say)")
                .cite(&cites)
        }
        Some(case) => Judgement::broken("after the refusal no other user's role arrived").cite(cites.iter().chain(&case.cited())),
        None => Judgement::undecided("nothing else was tried").cite(&cites),
    }
}

fn a_disabled_user_has_no_effective_role(seen: &Seen) -> Judgement {
    effect(
        seen.cases.get("disable"),
        "the account is inactive, or its roles are gone",
        "the disabled user's account is active with its roles",
    )
}

#[cfg(test)]
mod tests {
    use super::super::examples::{missed, reached, sent};
    use super::*;
    use crate::model::Call;
    use serde_json::json;

    fn good() -> Seen {
        let kinds = ["read", "push", "remove", "group-add", "group-remove", "after-refusal", "new", "disable"];
        let mut cases: BTreeMap<String, Case> = kinds.map(|kind| (kind.to_owned(), reached(Vec::new()))).into();
        let refused = crate::counterpart::scim_receiver::Sent { status: 400, ..sent("PATCH", "/Users/1", json!({})) };
        cases.insert("refused".into(), missed(vec![refused]));
        let all = vec!["reader".to_owned(), "writer".to_owned()];
        let nothing = Forbidden { tried: true, refused: true, sent: false, control: true, cites: Vec::new() };
        Seen {
            cases,
            read: (all.clone(), all.clone()),
            held: (all, vec!["writer".into()]),
            mapped: ("reader".into(), "writer".into()),
            unsupported: nothing.clone(),
            withdrawn: nothing,
            disabled_had: true,
        }
    }

    #[test]
    fn roles_in_step_pass_and_nothing_seen_decides_nothing() {
        for check in Roles::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}: {}", check.clause, (check.judge)(&good()).reason);
            assert_eq!((check.judge)(&Seen::default()).call, Call::Undecided, "{}", check.clause);
        }
    }

    #[test]
    fn roles_out_of_step_are_broken() {
        let mut seen = good();
        for (what, case) in &mut seen.cases {
            if what != "refused" {
                *case = missed(Vec::new());
            }
        }
        seen.unsupported.sent = true;
        for check in Roles::CHECKS {
            assert_eq!((check.judge)(&seen).call, Call::Broken, "{}", check.clause);
        }
    }

    #[test]
    fn the_details_decide() {
        let mut seen = good();
        seen.read.1 = vec!["reader".into()];
        assert_eq!(the_catalogue_is_read(&seen).call, Call::Broken);
        seen.held.1.clear();
        assert_eq!(one_role_goes_and_the_other_stays(&seen).call, Call::Broken);
        seen.withdrawn.sent = true;
        assert_eq!(changes_of_the_catalogue_are_noticed(&seen).call, Call::Broken);
        seen.unsupported.control = false;
        assert_eq!(an_unsupported_role_is_not_sent(&seen).call, Call::Undecided);
        seen.cases.insert("group-remove".into(), missed(Vec::new()));
        assert_eq!(roles_follow_groups(&seen).call, Call::Broken);
    }
}
