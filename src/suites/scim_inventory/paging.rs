//! Walking through pages: by index (RFC 7644 3.4.2.4) or by cursor (RFC 9865).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::counterpart::scim_client::answer::secrets;
use crate::counterpart::scim_client::{Answer, Call, LIST, quoted};
use crate::model::ExchangeId;
use crate::stage::Stage;
use crate::suite::Obstacle;

/// Users that are listed whole; where there are more, only some pages are read.
const WHOLE: u64 = 20_000;
/// Pages that are read at most, however small a server makes them.
const PAGES: usize = 300;
/// Pages that are read where the listing is not read whole.
const SAMPLE: usize = 5;

/// One walk through all pages. Only ids are kept, and only as far as they decide something.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Walk {
    /// It went by cursor.
    pub cursor: bool,
    /// `count` that was asked for.
    pub count: u64,
    /// `totalResults` of the first and the last page.
    pub totals: (Option<u64>, Option<u64>),
    /// Different ids.
    pub distinct: u64,
    /// Ids that came more than once.
    pub repeated: Vec<String>,
    /// How often each of the run's own users came.
    pub own: BTreeMap<String, u64>,
    /// Pages read.
    pub pages: usize,
    /// A page held more than `count`.
    pub exceeded: Option<ExchangeId>,
    /// The first page.
    pub first: Answer,
    /// The page that was no list, if one was.
    pub broken: Option<Answer>,
    /// A page brought nothing new although more was to come.
    pub stuck: Option<ExchangeId>,
    /// More users, or more pages, than are read whole.
    pub partial: bool,
    /// Members with a secret.
    pub secrets: Vec<(String, ExchangeId)>,
    /// The first cursor that was given out.
    pub a_cursor: Option<String>,
    /// Every page.
    pub cites: Vec<ExchangeId>,
}

impl Walk {
    /// Every user came once, and as many as were announced.
    pub fn complete(&self) -> bool {
        let total = self.totals.1.or(self.totals.0);
        self.broken.is_none()
            && self.stuck.is_none()
            && self.repeated.is_empty()
            && total.is_none_or(|total| total == self.distinct)
            && self.own.values().all(|times| *times == 1)
    }

    /// Users came or went meanwhile.
    pub fn moved(&self) -> bool {
        self.totals.0 != self.totals.1
    }
}

/// Walks by index; by cursor where that is announced, or where index paging does not go on. Once more where users changed meanwhile.
pub async fn walks(stage: &Stage, own: &[String], cursors: bool) -> Result<Vec<Walk>, Obstacle> {
    let mut out = vec![walk(stage, own, false).await?];
    if out[0].moved() {
        out.push(walk(stage, own, false).await?);
    }
    let last = &out[out.len() - 1];
    if cursors || (!last.complete() && last.a_cursor.is_some()) {
        out.push(walk(stage, own, true).await?);
    }
    Ok(out)
}

async fn walk(stage: &Stage, own: &[String], cursor: bool) -> Result<Walk, Obstacle> {
    let mut walk = Walk { cursor, count: third(stage.scim_users_made()), ..Walk::default() };
    walk.own = own.iter().filter(|id| !id.is_empty()).map(|id| (id.clone(), 0)).collect();
    let mut ids: BTreeSet<String> = BTreeSet::new();
    let mut place = if cursor { Some(String::new()) } else { None };
    let mut start: u64 = 1;
    loop {
        let mut call = Call::get("/Users").query("count", walk.count.to_string());
        call = match &place {
            Some(at) if cursor => call.query("cursor", at.clone()),
            // The first page is asked for as the least clients do.
            _ if start == 1 => call,
            _ => call.query("startIndex", start.to_string()),
        };
        let answer = stage.scim_send("a page of users", call).await?;
        walk.pages += 1;
        walk.cites.push(answer.cite.clone());
        let list = answer.ok() && answer.body["Resources"].is_array() || answer.ok() && answer.total() == Some(0);
        if walk.pages == 1 {
            walk.totals.0 = answer.total();
        }
        if !list {
            walk.first = if walk.pages == 1 { answer.clone() } else { walk.first };
            walk.broken = Some(answer);
            return Ok(walk);
        }
        walk.totals.1 = answer.total();
        let came: Vec<String> = answer.ids().into_iter().map(str::to_owned).collect();
        if came.len() as u64 > walk.count {
            walk.exceeded.get_or_insert(answer.cite.clone());
        }
        let cite = &answer.cite;
        secrets(&mut answer.body.clone(), &mut |name, _| walk.secrets.push((name.to_owned(), cite.clone())));
        let before = ids.len();
        for id in &came {
            if let Some(times) = walk.own.get_mut(id) {
                *times += 1;
            }
            if !ids.insert(id.clone()) && walk.repeated.len() < 10 {
                walk.repeated.push(id.clone());
            }
        }
        walk.distinct = ids.len() as u64;
        let next = answer.body["nextCursor"].as_str().map(str::to_owned);
        walk.a_cursor = walk.a_cursor.take().or_else(|| next.clone());
        let total = answer.total();
        let more = if cursor { next.is_some() } else { total.is_some_and(|total| total > ids.len() as u64) };
        if walk.pages == 1 {
            // Not one page for every two users of a large tenant.
            let many = total.unwrap_or(WHOLE);
            walk.partial = many > WHOLE;
            if many > 40 {
                walk.count = (many / 8).clamp(2, 100);
            }
            walk.first = Answer { body: without_resources(&answer), ..answer.clone() };
        }
        if !more || (walk.partial && walk.pages >= SAMPLE) {
            return Ok(walk);
        }
        if walk.pages >= PAGES {
            walk.partial = true;
            return Ok(walk);
        }
        if ids.len() == before {
            // An empty page or one that was there before: a walk that never ends.
            walk.stuck = Some(answer.cite);
            return Ok(walk);
        }
        start += came.len() as u64;
        place = next.or(place);
    }
}

/// The longest pages by which so many users stand on three.
fn third(users: u64) -> u64 {
    (users.saturating_sub(1) / 2).max(2)
}

/// The list with its first resource only: enough to see its form.
fn without_resources(answer: &Answer) -> serde_json::Value {
    let mut body = answer.body.clone();
    if let Some(all) = body["Resources"].as_array_mut() {
        all.truncate(1);
    }
    body
}

/// Cursors and counts that cannot be (RFC 9865 2.1).
pub async fn bad_cursors(stage: &Stage, walks: &[Walk]) -> Result<Vec<(String, Answer)>, Obstacle> {
    let page = |cursor: &str, count: &str| Call::get("/Users").query("cursor", cursor).query("count", count);
    let mut calls =
        vec![("a cursor that was never given out", page("ipsie-conform-never", "2")), ("a negative count", page("", "-1"))];
    if let Some(cursor) = walks.iter().find_map(|walk| walk.a_cursor.as_ref()) {
        let call = page(cursor, "2").filter(format!("userName eq {}", quoted("nobody")));
        calls.push(("the cursor of another query", call));
    }
    let mut out = Vec::new();
    for (what, call) in calls {
        out.push((what.to_owned(), stage.scim_send(what, call).await?));
    }
    Ok(out)
}

/// It is a ListResponse (RFC 7644 3.4.2).
pub fn is_list(answer: &Answer) -> bool {
    let schemas = answer.body["schemas"].as_array();
    schemas.is_some_and(|all| all.iter().any(|urn| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(LIST))))
}

#[cfg(test)]
mod tests {
    use super::third;

    #[test]
    fn three_pages_are_filled() {
        for users in 5..60_u64 {
            assert!(users.div_ceil(third(users)) >= 3, "{users}");
        }
        assert_eq!(third(7), 3);
        assert_eq!(third(0), 2);
    }
}
