//! What membership must and must not give.

use super::effect::Effect;
use super::{Course, Seen, Step};
use crate::model::Judgement;
use crate::model::target::GroupRole;
use crate::model::verdict::Findings;
use crate::suites::account_blocks::{Texts, signed_in};
use crate::suites::scim_blocks::prepared;

/// Milliseconds after which a change by SCIM is late in a live session.
pub(super) const LATE_MS: u64 = 300_000;

fn mapped(seen: &Seen) -> Result<(&GroupRole, &[Course]), Judgement> {
    let first = seen.mapping.first().ok_or_else(|| Judgement::not_configured("lifecycle.mapping is not configured"))?;
    if seen.courses.is_empty() {
        return Err(Judgement::not_configured(
            "lifecycle.group_ways names no way that target.bindings and the other tables allow",
        ));
    }
    Ok((first, &seen.courses))
}

/// A page that can be read: does it show the role?
pub(super) fn has(found: &mut Findings, what: &str, page: &Texts, role: &str) -> Option<bool> {
    if !page.readable {
        found.undecided(format!("{what}: {}", page.describe()), &page.cites);
        return None;
    }
    found.saw(&page.cites);
    Some(page.has(&[role]))
}

/// The effect of a change that succeeded, after a sign-in that succeeded.
pub(super) fn effect<'a>(found: &mut Findings, what: &str, step: &'a Step) -> Option<&'a Effect> {
    for answer in &step.changes {
        if !prepared(found, what, answer) {
            return None;
        }
    }
    let Some(effect) = &step.effect else {
        found.undecided(format!("{what}: not tried"), &[]);
        return None;
    };
    signed_in(found, "a new sign-in", &effect.again).then_some(effect)
}

/// The user is in the first group and has its role, and had not before: the control of everything that takes it away.
fn given(found: &mut Findings, course: &Course, first: &GroupRole) -> Option<bool> {
    if !signed_in(found, &format!("{}: the user before", course.way), &course.before) {
        return None;
    }
    if has(found, "the page before", &course.shown, &first.role)? {
        return None;
    }
    let effect = effect(found, &format!("{}: joining `{}`", course.way, first.group), &course.joined)?;
    has(found, "the page of a member", &effect.fresh, &first.role)
}

/// al2.app.mapping-effective
pub fn a_mapped_group_gives_its_role(seen: &Seen) -> Judgement {
    let (first, courses) = match mapped(seen) {
        Ok(both) => both,
        Err(judgement) => return judgement,
    };
    let mut found = Findings::new();
    let mut told = Vec::new();
    for course in courses {
        if course.shown.readable && course.shown.has(&[&first.role]) {
            let text = format!("{}: a user in no group has role `{}`", course.way, first.role);
            found.broken(text, &course.shown.cites);
            continue;
        }
        let given = given(&mut found, course, first);
        let Some(effect) = &course.joined.effect else { continue };
        if given == Some(false) {
            let text =
                format!("{}: {} s in group `{}`: {}", course.way, effect.fresh_ms / 1000, first.group, effect.fresh.describe());
            found.broken(text, &effect.fresh.cites);
        }
        told.push(format!("{}: {}", course.way, effect.pace()));
    }
    found.conclude(format!("group `{}` gives role `{}` ({})", first.group, first.role, told.join("; ")))
}

/// al2.app.mapping-removed
pub fn who_leaves_loses_the_role(seen: &Seen) -> Judgement {
    let (first, courses) = match mapped(seen) {
        Ok(both) => both,
        Err(judgement) => return judgement,
    };
    let mut found = Findings::new();
    let mut told = Vec::new();
    for course in courses {
        if given(&mut found, course, first) != Some(true) {
            found.undecided(format!("{}: the group gave no role that could be lost", course.way), &[]);
            continue;
        }
        let Some(effect) = effect(&mut found, &format!("{}: leaving `{}`", course.way, first.group), &course.left) else {
            continue;
        };
        match has(&mut found, "the page afterwards", &effect.fresh, &first.role) {
            Some(true) => found.broken(
                format!(
                    "{}: {} s after leaving, and after a new sign-in: {}",
                    course.way,
                    effect.fresh_ms / 1000,
                    effect.fresh.describe()
                ),
                &effect.fresh.cites,
            ),
            Some(false) if course.way == "scim" && effect.late(&[&first.role], LATE_MS) => {
                let text = format!("{}: the live session keeps the role; a new sign-in does not", course.way);
                found.doubtful(text, &effect.live.cites);
            }
            _ => {}
        }
        told.push(format!("{}: gone {}", course.way, effect.pace()));
    }
    found.conclude(told.join("; "))
}

/// al2.app.mapping-unmapped-group
pub fn an_unmapped_group_gives_nothing(seen: &Seen) -> Judgement {
    let (first, courses) = match mapped(seen) {
        Ok(both) => both,
        Err(judgement) => return judgement,
    };
    let mut found = Findings::new();
    let mut names = Vec::new();
    for course in courses {
        let control = given(&mut found, course, first);
        let Some(unmapped) = &course.unmapped else {
            found.undecided(
                format!("{}: not tried; the name of every role is that of a mapped group, or a step before failed", course.way),
                &[],
            );
            continue;
        };
        let Some(effect) = effect(&mut found, &format!("{}: joining `{}`", course.way, unmapped.name), &unmapped.step) else {
            continue;
        };
        // A role that leaving did not take away is no gift of this group.
        let kept = course.left.effect.as_ref().is_none_or(|left| left.fresh.has(&[&unmapped.name]));
        let shown = [&effect.fresh, &effect.live].into_iter().find(|page| page.has(&[&unmapped.name]));
        match (shown, has(&mut found, "the page", &effect.fresh, &unmapped.name)) {
            (Some(page), _) if !kept => {
                found.broken(
                    format!("{}: group `{}`, mapped to nothing: {}", course.way, unmapped.name, page.describe()),
                    &page.cites,
                );
            }
            (Some(page), _) => found.undecided(format!("{}: role `{}` was there before", course.way, unmapped.name), &page.cites),
            (None, _) if control != Some(true) => {
                found.undecided(format!("{}: the control, a mapped group, gave no role", course.way), &effect.fresh.cites);
            }
            (None, _) => names.push(format!("{}: `{}`", course.way, unmapped.name)),
        }
    }
    found.conclude(format!("no role by the name of a group ({})", names.join(", ")))
}

/// al2.app.mapping-many-groups
pub fn groups_add_up(seen: &Seen) -> Judgement {
    let (first, courses) = match mapped(seen) {
        Ok(both) => both,
        Err(judgement) => return judgement,
    };
    let mut found = Findings::new();
    for course in courses {
        let Some(both) = &course.both else {
            let known = given(&mut found, course, first).is_some();
            if known || course.joined.effect.is_some() {
                return Judgement::not_configured("lifecycle.mapping names one group and role only");
            }
            continue;
        };
        if given(&mut found, course, first) != Some(true) {
            found.undecided(format!("{}: the first group gave no role", course.way), &[]);
            continue;
        }
        let second =
            seen.mapping.iter().find(|other| other.group != first.group && !other.role.eq_ignore_ascii_case(&first.role));
        let Some(second) = second else { continue };
        let Some(in_both) = effect(&mut found, &format!("{}: joining `{}`", course.way, second.group), both) else { continue };
        let one = has(&mut found, "the page of a member of both", &in_both.fresh, &first.role);
        let other = has(&mut found, "the page of a member of both", &in_both.fresh, &second.role);
        let fine = if seen.single { one == Some(true) || other == Some(true) } else { one == Some(true) && other == Some(true) };
        if !fine && one.is_some() && other.is_some() {
            let text =
                format!("{}: a member of `{}` and `{}`: {}", course.way, first.group, second.group, in_both.fresh.describe());
            found.broken(text, &in_both.fresh.cites);
        }
        let Some(left) = effect(&mut found, &format!("{}: leaving `{}`", course.way, first.group), &course.left) else {
            continue;
        };
        if has(&mut found, "the page of a member of the second", &left.fresh, &second.role) == Some(false) {
            let text = format!("{}: who left `{}` lost role `{}` as well", course.way, first.group, second.role);
            found.broken(text, &left.fresh.cites);
        }
    }
    found.conclude("two groups give both roles, and leaving one keeps the other's")
}

/// al2.app.group-claim-source-trusted
pub fn only_the_id_token_counts(seen: &Seen) -> Judgement {
    let (first, courses) = match mapped(seen) {
        Ok(both) => both,
        Err(judgement) => return judgement,
    };
    let mut found = Findings::new();
    let claims = courses.iter().find(|course| course.way == "claims");
    // A role that everybody has comes from no group.
    let anyway = claims.is_some_and(|course| course.shown.has(&[&first.role]));
    match claims {
        None => return Judgement::not_applicable("lifecycle.group_ways does not name claims"),
        Some(course) if given(&mut found, course, first) != Some(true) => {
            found.undecided("the control, the claim in a conforming ID token, gave no role", &[]);
        }
        Some(_) => {}
    }
    if seen.foreign.is_empty() {
        found.undecided("no other source was tried", &[]);
    }
    for foreign in &seen.foreign {
        let attempt = &foreign.attempt;
        match &foreign.shown {
            Some(page) if page.has(&[&first.role]) && anyway => {
                found.undecided(format!("a user in no group has role `{}` as well", first.role), &page.cites);
            }
            Some(page) if page.has(&[&first.role]) => {
                found.broken(format!("groups in {}: {}", foreign.source, page.describe()), &page.cites);
            }
            Some(page) if !page.readable => found.undecided(format!("{}: {}", foreign.source, page.describe()), &page.cites),
            Some(page) => found.saw(&page.cites),
            None if !attempt.refused() => found.undecided(format!("{}: {}", foreign.source, attempt.describe()), &attempt.cites),
            None => found.saw(&attempt.cites),
        }
    }
    let sources: Vec<&str> = seen.foreign.iter().map(|foreign| foreign.source.as_str()).collect();
    found.conclude(format!("no role by groups in {}", sources.join(", ")))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
