//! A mapped group with a member is deleted: it must be gone, and the role it gave; the member must be left.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::checks::{LATE_MS, effect, has};
use super::effect::{Wanted, given, until};
use super::ways::{Membership, the_group};
use super::{Seen, Step, done};
use crate::counterpart::scim_client::{Answer, Call};
use crate::model::Judgement;
use crate::model::target::{GroupRole, Way};
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::stage::visitor::Attempt;
use crate::suite::Obstacle;
use crate::suites::account_blocks::{EFFECT_S, Texts, declared, read_page, signed_in};
use crate::suites::account_drive::Drive;
use crate::suites::scim_blocks::{carried_out, cite, prepared, read, says_nothing, told};

/// The member of a group before and after its deletion.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Deletion {
    /// The first sign-in, in no group.
    pub before: Attempt,
    /// The page then.
    pub shown: Texts,
    /// Into the group.
    pub joined: Step,
    /// The group is the run's own; others are not deleted.
    pub own: bool,
    /// The deletion, the group then, and the member then; `None` where it was not deleted.
    pub deleted: Option<[Answer; 3]>,
    /// What the deletion changed.
    pub left: Step,
}

/// Makes the mapped group, with a member who holds its role, and deletes it.
pub async fn play(stage: &Stage, mapped: &GroupRole) -> Result<Deletion, Obstacle> {
    let page = declared(stage.world.target.accounts.roles.as_ref(), "accounts.roles")?;
    let mut seen = Deletion::default();
    // The other clauses can be judged without this user.
    let drive = Drive::open(stage).await?;
    let Ok((user, who)) = drive.account("group-deleted", true).await else { return Ok(seen) };
    let id = user.id.clone();
    let mut member = Membership::new(Way::Scim, &drive, user, who);
    let (visitor, before) = stage.attempt(member.script(stage), "user before the group that is deleted").await?;
    seen.before = before;
    if !seen.before.signed_in() {
        return Ok(seen);
    }
    seen.shown = read_page(stage, &visitor, page, "roles before the group that is deleted").await?;
    let (words, limit) = ([mapped.role.as_str()], stage.world.patience(EFFECT_S));
    let since = Instant::now();
    seen.joined.changes = member.join(stage, &mapped.group).await?;
    if !done(&seen.joined.changes) {
        return Ok(seen);
    }
    let (shown, other) = given(stage, &visitor, &member.script(stage), &words, since, limit).await?;
    let holds = shown.fresh.has(&words);
    let holder = other.as_ref().unwrap_or(&visitor);
    seen.joined.effect = Some(shown);
    let group = the_group(stage, &mapped.group).await?.0;
    seen.own = !group.is_empty() && stage.scim_made("/Groups", &group);
    if !stage.control(holds) || !seen.own {
        return Ok(seen);
    }
    let path = format!("/Groups/{group}");
    let since = Instant::now();
    let deleted = stage.scim_send("the mapped group is deleted", Call::delete(&path)).await?;
    let gone = read(stage, "is the group gone?", &path).await?;
    let left = read(stage, "is its member still there?", &format!("/Users/{id}")).await?;
    if deleted.ok() && left.ok() {
        let effect = until(stage, holder, &member.script(stage), Wanted::Gone, &words, since, limit).await?;
        seen.left = Step { changes: Vec::new(), effect: Some(effect) };
    }
    seen.deleted = Some([deleted, gone, left]);
    Ok(seen)
}

/// al2.app.group-delete
pub fn a_deleted_group_grants_nothing(seen: &Seen) -> Judgement {
    let Some(first) = seen.mapping.first() else { return Judgement::not_configured("lifecycle.mapping is not configured") };
    let Some(deletion) = &seen.deletion else { return Judgement::not_applicable("lifecycle.group_ways does not name scim") };
    let mut found = Findings::new();
    if !signed_in(&mut found, "a user who can be a member", &deletion.before) {
        return found.conclude("");
    }
    let had = has(&mut found, "the page before", &deletion.shown, &first.role);
    let joined = effect(&mut found, &format!("joining `{}`", first.group), &deletion.joined);
    let given = joined.and_then(|joined| has(&mut found, "the page of a member", &joined.fresh, &first.role));
    if had != Some(false) || given != Some(true) {
        found.undecided(format!("group `{}` gave no role that could be lost (see al2.app.mapping-effective)", first.group), &[]);
        return found.conclude("");
    }
    let Some([deleted, gone, member]) = &deletion.deleted else {
        let whose = if deletion.own { "was not deleted" } else { "was there before the run, which does not delete it" };
        found.undecided(format!("group `{}` {whose}", first.group), &[]);
        return found.conclude("");
    };
    if matches!(deleted.status, 404 | 405 | 501) {
        return Judgement::undecided(format!("groups cannot be deleted here: {}", told(deleted))).cite(cite(deleted));
    }
    if !carried_out(&mut found, "DELETE", deleted) {
        return found.conclude("");
    }
    is_gone(&mut found, gone);
    if matches!(member.status, 404 | 410) {
        found.broken("a user that was a member is gone", cite(member));
        return found.conclude("");
    }
    if !prepared(&mut found, "a user that was a member", member) {
        return found.conclude("");
    }
    if let Some(left) = effect(&mut found, "after the deletion", &deletion.left) {
        match has(&mut found, "the page afterwards", &left.fresh, &first.role) {
            Some(true) => {
                let (seconds, shown) = (left.fresh_ms / 1000, left.fresh.describe());
                let text = format!("{seconds} s after group `{}` was deleted, and after a new sign-in: {shown}", first.group);
                found.broken(text, &left.fresh.cites);
            }
            Some(false) if left.late(&[&first.role], LATE_MS) => {
                found.doubtful("the live session keeps the role; a new sign-in does not", &left.live.cites);
            }
            _ => {}
        }
    }
    found.conclude(format!("the group and role `{}` are gone, its member is left", first.role))
}

fn is_gone(found: &mut Findings, gone: &Answer) {
    match gone.status {
        404 => found.saw(cite(gone)),
        200..300 => found.broken("the deleted group can still be read", cite(gone)),
        _ if says_nothing(gone) => found.undecided(format!("the deleted group: {}", told(gone)), cite(gone)),
        _ => found.doubtful(format!("the deleted group: {} in place of 404", told(gone)), cite(gone)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::effect::Effect;
    use super::*;
    use crate::model::verdict::Call as Says;
    use crate::suites::account_blocks::samples::{entered, page, refused};
    use crate::suites::scim_blocks::samples::{answer, error};

    fn step(texts: &[&str]) -> Step {
        let effect = Effect { live: page(texts), live_ms: Some(3), again: entered(), fresh: page(texts), fresh_ms: 7 };
        Step { changes: vec![answer(200, json!({}))], effect: Some(effect) }
    }

    fn says(change: impl FnOnce(&mut Deletion)) -> Says {
        let mut deletion = Deletion {
            before: entered(),
            shown: page(&[]),
            joined: step(&["editor"]),
            own: true,
            deleted: Some([answer(204, Value::Null), error(404, ""), answer(200, json!({"id": "1"}))]),
            left: step(&[]),
        };
        change(&mut deletion);
        let mapping = vec![GroupRole { group: "G1".into(), role: "editor".into() }];
        a_deleted_group_grants_nothing(&Seen { mapping, deletion: Some(deletion), ..Seen::default() }).call
    }

    fn answers(index: usize, answer: Answer) -> impl FnOnce(&mut Deletion) {
        move |deletion| deletion.deleted.as_mut().unwrap()[index] = answer
    }

    #[test]
    fn what_it_gave_goes_with_the_group() {
        assert_eq!(says(|_| ()), Says::Pass);
        assert_eq!(says(|deletion| deletion.left = step(&["Editor"])), Says::Broken);
        assert_eq!(says(|deletion| deletion.left.effect.as_mut().unwrap().live = page(&["Editor"])), Says::Doubtful);
        assert_eq!(says(answers(0, answer(500, Value::Null))), Says::Broken);
        assert_eq!(says(answers(1, answer(200, json!({})))), Says::Broken);
        assert_eq!(says(answers(2, error(404, ""))), Says::Broken);
    }

    #[test]
    fn nothing_is_decided_without_a_role_to_lose() {
        assert_eq!(says(|deletion| deletion.before = refused()), Says::Undecided);
        assert_eq!(says(|deletion| deletion.shown = page(&["editor"])), Says::Undecided);
        assert_eq!(says(|deletion| deletion.joined = step(&[])), Says::Undecided);
        assert_eq!(says(|deletion| deletion.left.effect.as_mut().unwrap().again = refused()), Says::Undecided);
        assert_eq!(says(|deletion| deletion.left.effect.as_mut().unwrap().fresh = Texts::default()), Says::Undecided);
        assert_eq!(says(answers(0, error(405, ""))), Says::Undecided);
        assert_eq!(says(answers(2, answer(503, Value::Null))), Says::Undecided);
        let theirs = |deletion: &mut Deletion| {
            deletion.own = false;
            deletion.deleted = None;
        };
        assert_eq!(says(theirs), Says::Undecided);
    }

    #[test]
    fn groups_that_are_not_pushed_are_not_deleted() {
        let mapping = vec![GroupRole { group: "G1".into(), role: "editor".into() }];
        assert_eq!(a_deleted_group_grants_nothing(&Seen { mapping, ..Seen::default() }).call, Says::NotApplicable);
        assert_eq!(a_deleted_group_grants_nothing(&Seen::default()).call, Says::NotConfigured);
    }
}
