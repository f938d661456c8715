//! Catalogue x target x levels -> plan: what is tested, what is skipped, and why. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::catalogue::{Catalogue, glob, is_off, matches};
use crate::model::clause::{DELIVERY, NOT_YET};
use crate::model::target::{ClientAuth, Idp, Target};
use crate::model::{Clause, ClauseId, How, Level, Role};
use crate::plan_accounts;
use crate::plan_app;
use crate::suite::Suite;
use crate::suites;

/// What was asked for on the command line.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Levels; each includes the ones below.
    pub levels: Vec<Level>,
    /// Roles.
    pub roles: Vec<Role>,
    /// Edition to judge by.
    pub edition: String,
    /// Bindings; empty for all.
    pub bindings: Vec<String>,
    /// Clause patterns; empty for all.
    pub clauses: Vec<String>,
    /// Scenario patterns; empty for all.
    pub scenarios: Vec<String>,
    /// Leave out clauses that must wait.
    pub fast: bool,
    /// A profile in place of the levels: the draft's own view.
    pub profile: Option<Profile>,
}

/// A draft's own view of what is demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The AL1 SCIM draft of 2025-12-12: every clause whose source names it, as a demand of AL1, and nothing excused.
    Al1ScimDraft,
}

impl Profile {
    /// Its name for `--profile`.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Al1ScimDraft => "al1-scim-draft",
        }
    }

    /// The profile of this name.
    pub fn named(name: &str) -> Option<Profile> {
        [Profile::Al1ScimDraft].into_iter().find(|profile| profile.name() == name)
    }

    /// The clause as the profile demands it, or none where it does not.
    fn view(self, clause: &Clause) -> Option<Clause> {
        clause.source.contains("AL1-SCIM").then(|| Clause { level: Level::Al1, ..clause.clone() })
    }
}

/// What is done about a clause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// A scenario decides it.
    Tested,
    /// Only a statement of the operator can.
    Statement,
    /// Something is not configured; the reason names it.
    NotRun(String),
    /// Whoever started the run did not want it; the reason names the option.
    LeftOut(String),
    /// Its condition is absent at this target; the reason names it.
    NotApplicable(String),
    /// The target file alone decides it.
    Declared {
        /// The demand is met.
        holds: bool,
        /// Why.
        reason: String,
    },
}

/// A clause in the plan.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The clause.
    pub clause: Clause,
    /// What is done about it.
    pub fate: Fate,
}

/// What a run will do.
pub struct Plan {
    /// The levels asked for.
    pub levels: Vec<Level>,
    /// The roles asked for.
    pub roles: Vec<Role>,
    /// The edition judged by.
    pub edition: String,
    /// The profile judged by, in place of the levels.
    pub profile: Option<Profile>,
    /// Every clause of those levels and roles that the edition demands, in catalogue order.
    pub clauses: Vec<Planned>,
    /// The scenarios to play, in table order.
    pub suites: Vec<&'static dyn Suite>,
}

impl Plan {
    /// Makes the plan.
    pub fn make(catalogue: &Catalogue, target: &Target, ask: &Ask) -> Plan {
        let off = catalogue.edition(&ask.edition).map(|edition| edition.off.clone()).unwrap_or_default();
        let clauses: Vec<Planned> = catalogue
            .clauses
            .iter()
            .filter_map(|clause| viewed(clause, ask.profile))
            .filter(|clause| ask.roles.contains(&clause.role) && ask.levels.iter().any(|level| level.includes(clause.level)))
            .filter(|clause| !is_off(&off, clause))
            .map(|clause| Planned { fate: fate(&clause, target, ask), clause })
            .collect();
        let tested: BTreeSet<&str> =
            clauses.iter().filter(|planned| planned.fate == Fate::Tested).map(|planned| planned.clause.id.as_str()).collect();
        let mut suites: Vec<&'static dyn Suite> =
            suites::all().iter().copied().filter(|suite| suite.clauses().iter().any(|id| tested.contains(id.as_str()))).collect();
        // What others start from must be played although nobody asked for its own clauses.
        for suite in suites::all() {
            if !suites.iter().any(|known| known.id() == suite.id())
                && suites.iter().any(|known| known.after().contains(&suite.id()))
                && suites::is_base(suite.id())
            {
                suites.push(*suite);
            }
        }
        suites.sort_by_key(|suite| suites::all().iter().position(|known| known.id() == suite.id()));
        Plan {
            levels: ask.levels.clone(),
            roles: ask.roles.clone(),
            edition: ask.edition.clone(),
            profile: ask.profile,
            clauses,
            suites,
        }
    }

    /// The plan of an earlier run, by the fates it recorded, under this edition. What that run did not plan because its own edition does
    /// not demand it, is not run.
    pub fn again(
        catalogue: &Catalogue,
        levels: Vec<Level>,
        roles: Vec<Role>,
        edition: &str,
        profile: Option<Profile>,
        fates: &BTreeMap<ClauseId, Fate>,
    ) -> Plan {
        let off = catalogue.edition(edition).map(|edition| edition.off.clone()).unwrap_or_default();
        let unplanned = || Fate::NotRun("the recorded run did not plan this clause: run again".into());
        let clauses: Vec<Planned> = catalogue
            .clauses
            .iter()
            .filter_map(|clause| viewed(clause, profile))
            .filter(|clause| roles.contains(&clause.role) && levels.iter().any(|level| level.includes(clause.level)))
            .filter(|clause| !is_off(&off, clause))
            .map(|clause| Planned { fate: fates.get(&clause.id).cloned().unwrap_or_else(unplanned), clause })
            .collect();
        Plan { levels, roles, edition: edition.to_owned(), profile, clauses, suites: Vec::new() }
    }

    /// What is done about each clause, for [`Plan::again`].
    pub fn fates(&self) -> BTreeMap<ClauseId, Fate> {
        self.clauses.iter().map(|planned| (planned.clause.id.clone(), planned.fate.clone())).collect()
    }

    /// Ids of the clauses that scenarios decide.
    pub fn tested(&self) -> impl Iterator<Item = &Clause> {
        self.clauses.iter().filter(|planned| planned.fate == Fate::Tested).map(|planned| &planned.clause)
    }
}

/// The clause as it is demanded: by its level, or by a profile.
fn viewed(clause: &Clause, profile: Option<Profile>) -> Option<Clause> {
    match profile {
        None => Some(clause.clone()),
        Some(profile) => profile.view(clause),
    }
}

/// The clause that the list of delivery bindings itself decides.
const DELIVERY_DECLARED: &str = "sl2.app.delivery-binding-declared";

/// At least one is declared. That each one works is decided by its own clauses, which stand in the same level.
fn delivery_declared(bindings: &[String]) -> Fate {
    let known: Vec<&str> = bindings.iter().map(String::as_str).filter(|name| DELIVERY.contains(name)).collect();
    let reason = if known.is_empty() {
        format!("target.bindings declares none of {}", DELIVERY.join(", "))
    } else {
        format!("target.bindings declares {}; the clauses of each binding show whether it works", known.join(", "))
    };
    Fate::Declared { holds: !known.is_empty(), reason }
}

fn fate(clause: &Clause, target: &Target, ask: &Ask) -> Fate {
    let suite = suites::all().iter().find(|suite| suite.clauses().contains(&clause.id));
    if !ask.bindings.is_empty() && !ask.bindings.contains(&clause.binding) {
        return Fate::LeftOut(format!("binding {} was left out by --binding", clause.binding));
    }
    if !ask.clauses.is_empty() && !ask.clauses.iter().any(|pattern| matches(pattern, clause)) {
        return Fate::LeftOut("left out by --clause".into());
    }
    if !ask.scenarios.is_empty() && !suite.is_some_and(|suite| ask.scenarios.iter().any(|pattern| glob(pattern, suite.id()))) {
        return Fate::LeftOut("left out by --scenario".into());
    }
    if ask.fast && clause.wait_s > 0 {
        return Fate::LeftOut(format!("left out by --fast: it waits {} s", clause.wait_s));
    }
    let declared = &target.target.bindings;
    if clause.id == DELIVERY_DECLARED {
        return delivery_declared(declared);
    }
    if let Some(binding) = clause.account_binding()
        && !declared.iter().any(|known| known == binding)
    {
        return Fate::NotApplicable(format!("binding {binding} is not declared in target.bindings"));
    }
    if let Some(why) = clause.level.is_account().then(|| plan_accounts::unclaimed(clause, target)).flatten() {
        return Fate::NotApplicable(why);
    }
    if DELIVERY.contains(&clause.binding.as_str()) && !clause.level.is_account() {
        if !declared.contains(&clause.binding) {
            return Fate::NotApplicable(format!("binding {} is not declared in target.bindings", clause.binding));
        }
        if clause.binding == NOT_YET {
            return Fate::NotRun(format!("binding {NOT_YET} is tested from SL3 on, which this version does not test"));
        }
    }
    let Some(suite) = suite else { return Fate::Statement };
    if clause.level.is_account() {
        return plan_accounts::missing(clause, target).map_or(Fate::Tested, Fate::NotRun);
    }
    match (clause.role, &target.app, &target.idp) {
        (Role::App, None, _) => return Fate::NotRun("[app] is not configured".into()),
        (Role::Idp, _, None) => return Fate::NotRun("[idp] is not configured".into()),
        _ => {}
    }
    if let (Role::App, Some(app)) = (clause.role, &target.app) {
        let missing: Vec<String> = clause.needs.iter().filter_map(|need| plan_app::missing(need, clause, target, app)).collect();
        if !missing.is_empty() {
            return Fate::NotRun(missing.join("; "));
        }
    }
    if let (Role::Idp, Some(idp)) = (clause.role, &target.idp) {
        let missing: Vec<String> = clause.needs.iter().filter_map(|need| missing(need, clause, target, idp)).collect();
        if !missing.is_empty() {
            return Fate::NotRun(missing.join("; "));
        }
        if idp.clients.main.is_none() && !suite.id().starts_with("idp-probe") {
            return Fate::NotRun("idp.clients.main is not configured".into());
        }
    }
    if clause.how == How::Attested && suite.id() == "attestation-form" { Fate::Statement } else { Fate::Tested }
}

/// Names the missing key, where a need is not met. Needs that only the run can tell (`refresh-token`, `dpop`, `par`) are
/// met here; the checks say not-applicable.
fn missing(need: &str, clause: &Clause, target: &Target, idp: &Idp) -> Option<String> {
    let absent = |is_absent: bool, key: &str| is_absent.then(|| format!("{key} is not configured"));
    if let Some(hook) = need.strip_prefix("admin-hook:") {
        return absent(!target.hooks.contains_key(hook), &format!("hooks.{hook}"));
    }
    let clients = &idp.clients;
    match need {
        "user-password" => absent(idp.users.first().is_none_or(|user| user.password.is_none()), "idp.users (password)"),
        "login" => absent(
            !idp.users.first().is_some_and(|user| user.password.is_some() || user.passkey.is_some()),
            "idp.users (name and password)",
        ),
        "mfa-login" => {
            absent(!idp.users.first().is_some_and(|user| user.password.is_some() || user.passkey.is_some()), "idp.users")
        }
        "client-auth-jwt" => absent(
            !clients.main.as_ref().is_some_and(|main| main.auth == ClientAuth::PrivateKeyJwt),
            "idp.clients.main with auth = \"private_key_jwt\"",
        ),
        // Decided by their checks: what the metadata does not even announce fails without a client.
        "second-client" if clause.slug() == "pairwise-offered" => None,
        "acr-classes" => absent(idp.classes.is_empty(), "idp.classes"),
        "second-user" => absent(idp.users.len() < 2, "idp.users (a second one)"),
        "second-client" => absent(clients.second.is_none(), "idp.clients.second"),
        _ => None,
    }
    .or_else(|| match clause.slug() {
        "public-client" | "public-refresh-protected" => absent(clients.public.is_none(), "idp.clients.public"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate_of(id: &str, bindings: &[&str]) -> Fate {
        let catalogue = Catalogue::embedded().unwrap();
        let mut target = Target::default();
        target.target.bindings = bindings.iter().map(ToString::to_string).collect();
        let ask = Ask {
            levels: vec![Level::Sl2],
            roles: vec![Role::Idp, Role::App],
            edition: catalogue.default_edition.clone(),
            bindings: Vec::new(),
            clauses: Vec::new(),
            scenarios: Vec::new(),
            fast: false,
            profile: None,
        };
        let plan = Plan::make(&catalogue, &target, &ask);
        plan.fates().remove(id).unwrap()
    }

    #[test]
    fn a_delivery_binding_that_is_not_declared_is_not_applicable() {
        let wanted = "binding op-commands is not declared in target.bindings";
        for id in ["sl2.idp.command-invalidate-wellformed", "sl2.app.reauth-before-page@op-commands", "sl2.app.command-metadata"]
        {
            assert_eq!(fate_of(id, &["backchannel-logout"]), Fate::NotApplicable(wanted.into()), "{id}");
            assert!(!matches!(fate_of(id, &["op-commands"]), Fate::NotApplicable(_)), "{id}");
        }
    }

    #[test]
    fn a_binding_without_scenarios_is_never_passed_over_when_it_is_declared() {
        for id in ["sl2.idp.caep-session-revoked-sent", "sl2.app.caep-session-revoked-acted"] {
            assert!(matches!(fate_of(id, &[]), Fate::NotApplicable(_)));
            assert!(matches!(fate_of(id, &["ssf-caep"]), Fate::NotRun(_)));
        }
    }

    #[test]
    fn an_application_declares_at_least_one_delivery_binding() {
        let holds = |bindings: &[&str]| match fate_of("sl2.app.delivery-binding-declared", bindings) {
            Fate::Declared { holds, .. } => holds,
            other => panic!("{other:?}"),
        };
        assert!(holds(&["oidc", "token-revocation"]));
        assert!(!holds(&[]) && !holds(&["oidc"]));
    }
}
