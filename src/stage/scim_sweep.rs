//! Removes what a run made at the service provider.

use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::Stage;
use super::journal::Entry;
use super::scim_book::{Made, can_stand_in_a_path};
use crate::counterpart::scim_client::{Answer, Call, quoted};

/// Resources that are removed at a time. Small servers keep few connections waiting, and one that is dropped costs a second.
const AT_ONCE: usize = 4;
/// How long a creation whose answer never came may still be under way.
const LATE: Duration = Duration::from_secs(2);

impl Stage {
    /// Takes resources of an earlier run over, so that [`Stage::scim_sweep`] removes them.
    pub fn scim_adopt(&self, entry: &Entry) {
        let (Ok(world), Entry::Scim { place, id, name, second }) = (self.scim(), entry) else { return };
        let made = Made { place: place.clone(), id: id.clone(), name: name.clone(), second: *second, late: false };
        world.book.adopt(made);
    }

    /// The run made this resource of its own tenant, or took it over from an earlier run.
    pub fn scim_made(&self, place: &str, id: &str) -> bool {
        self.scim().is_ok_and(|world| world.book.has(place, id))
    }

    /// How many users of its own tenant the run has made and not removed.
    pub fn scim_users_made(&self) -> u64 {
        self.scim().map_or(0, |world| world.book.users())
    }

    /// Removes what the run made at the service provider, and says what could not be removed.
    pub async fn scim_sweep(&self) -> Vec<Entry> {
        let Ok(world) = self.scim() else { return Vec::new() };
        // Groups first: a server may hold on to members of a group.
        let (groups, others): (Vec<Made>, Vec<Made>) = world.book.take().into_iter().partition(|made| made.place == "/Groups");
        let mut left = Vec::new();
        for some in [groups, others] {
            let gone =
                futures_util::stream::iter(some).map(|made| async move { (!self.scim_remove(&made).await).then_some(made) });
            let stuck: Vec<Option<Made>> = gone.buffer_unordered(AT_ONCE).collect().await;
            for made in stuck.into_iter().flatten() {
                let what = if made.id.is_empty() { " (no answer told its id)" } else { "" };
                self.leave(format!("could not be removed at the target: {}/{}{what} ({})", made.place, made.id, made.name));
                left.push(made.entry());
            }
        }
        left
    }

    /// Removes one of them; is it gone?
    async fn scim_remove(&self, made: &Made) -> bool {
        let Some(ids) = self.scim_ids(made).await else { return false };
        let mut gone = true;
        for id in ids {
            let call = Call::delete(format!("{}/{id}", made.place)).by(made.bearer());
            let mut answer = self.scim_send(super::CLEAN_UP, call.clone()).await;
            // Whoever breaks off or fails may have removed it all the same: a second try tells.
            if answer.as_ref().is_ok_and(|answer| answer.status == 0 || answer.status >= 500) {
                answer = self.scim_send(super::CLEAN_UP, call).await;
            }
            gone &= answer.is_ok_and(|answer| answer.ok() || matches!(answer.status, 404 | 410));
        }
        gone
    }

    /// The id of what was made. Where the answer was lost it is looked up: none where it was never made, and `None` where that stays open.
    async fn scim_ids(&self, made: &Made) -> Option<Vec<String>> {
        if !made.id.is_empty() {
            return Some(vec![made.id.clone()]);
        }
        if !carries_a_run_id(&made.name) {
            // Nothing tells it from what was there before: it is never removed.
            if !made.name.is_empty() {
                self.note(format!("may have been left at the target, as no answer told its id: {}/{}", made.place, made.name));
            }
            return Some(Vec::new());
        }
        let attribute = if made.place == "/Users" { "userName" } else { "displayName" };
        let find = Call::get(made.place.clone()).filter(format!("{attribute} eq {}", quoted(&made.name))).by(made.bearer());
        let deadline = Instant::now() + LATE;
        loop {
            let answer = self.scim_send(super::CLEAN_UP, find.clone()).await.ok().filter(Answer::ok)?;
            // A server that ignores filters must not lose anybody else's resources.
            let is_it = |name: &str| name.eq_ignore_ascii_case(&made.name);
            let ours = answer.resources().iter().filter(|resource| resource[attribute].as_str().is_some_and(is_it));
            let ids: Vec<String> = ours
                .filter_map(|resource| resource["id"].as_str())
                .filter(|id| can_stand_in_a_path(id))
                .map(str::to_owned)
                .collect();
            if !ids.is_empty() {
                let world = self.scim().ok()?;
                ids.iter().for_each(|id| world.book.proven(&made.place, id));
                return Some(ids);
            }
            if !made.late || Instant::now() >= deadline {
                // What came may be the beginning of a list that was not filtered.
                let whole = answer.total().is_some_and(|total| total <= answer.resources().len() as u64);
                return whole.then(Vec::new);
            }
            tokio::time::sleep(LATE / 8).await;
        }
    }
}

/// The name of something that a run of the suite made up (`run-20260101-000000-abcd`).
fn carries_a_run_id(name: &str) -> bool {
    let digits = |text: &str, from: usize, to: usize| {
        text.get(from..to).is_some_and(|part| part.bytes().all(|letter| letter.is_ascii_digit()))
    };
    name.match_indices("run-")
        .map(|(at, found)| &name[at + found.len()..])
        .any(|rest| digits(rest, 0, 8) && rest.get(8..9) == Some("-") && digits(rest, 9, 15) && rest.get(15..16) == Some("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_a_run_made_up_are_looked_for() {
        assert!(carries_a_run_id("member.run-20260101-000000-abcd@x.test") && carries_a_run_id("run-run-20260101-000000-a b"));
        for name in ["", "Admins", "run-2026", "run-20260101-00000", "rerun-20260101", "run-20260101x000000-a", "run-é"] {
            assert!(!carries_a_run_id(name), "{name}");
        }
    }
}
