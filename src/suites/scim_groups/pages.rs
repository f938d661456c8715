//! Pages of groups, of one group each. Groups of others come and go, so little is concluded from what one pair of pages shows.

use serde_json::json;

use super::Seen;
use crate::counterpart::scim_client::{Answer, Call, GROUP, LIST, Shape};
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::suite::Obstacle;
use crate::suites::scim_blocks::{carried_out, cite, told};

/// The first two pages; read again where both held the same group, which may have moved meanwhile. Where the first page announces no
/// second group, one is made before: the answer comes first.
pub async fn walk(stage: &Stage, shape: &Shape) -> Result<(Option<Answer>, Vec<[Answer; 2]>), Obstacle> {
    let (mut other, mut pages) = (None, Vec::new());
    let page = || Call::get("/Groups").query("count", "1");
    for _ in 0..2 {
        let mut first = stage.scim_send("a page of one group", page()).await?;
        if other.is_none() && first.total().is_none_or(|total| total < 2) {
            let body = json!({"schemas": [GROUP], "displayName": stage.scim()?.name("other group")});
            let call = Call::post("/Groups", &shape.fit_group(&body));
            other = Some(stage.scim_send("a group without members", call).await?);
            first = stage.scim_send("a page of one group", page()).await?;
        }
        let next = match first.body["nextCursor"].as_str() {
            Some(cursor) => page().query("cursor", cursor),
            None => page().query("startIndex", "2"),
        };
        let pair = [first, stage.scim_send("the next page of one group", next).await?];
        let again = repeats(&pair);
        pages.push(pair);
        if !again {
            break;
        }
    }
    Ok((other, pages))
}

/// The second page holds a group that the first one held.
fn repeats([first, second]: &[Answer; 2]) -> bool {
    let known = first.ids();
    second.ids().iter().any(|id| known.contains(id))
}

/// The first step of al2.app.group-list-filter
pub fn judge(found: &mut Findings, seen: &Seen) {
    let Some(last) = seen.pages.last() else {
        found.undecided("the groups were not listed", &[]);
        return;
    };
    for page in last {
        if !carried_out(found, "GET /Groups with count=1", page) {
            return;
        }
        let is_list = page.body["schemas"].as_array().is_some_and(|all| all.iter().any(|urn| urn == LIST));
        if !is_list || page.total().is_none() {
            found.broken("a page of groups is no ListResponse with totalResults", cite(page));
        }
    }
    if let Some(page) = last.iter().find(|page| page.resources().len() > 1) {
        found.broken(format!("a page holds {} groups, and count=1 asked for one", page.resources().len()), cite(page));
        return;
    }
    let [first, second] = last;
    let announced = first.total().unwrap_or_default().min(second.total().unwrap_or_default());
    if let Some(other) = seen.other.as_ref().filter(|other| !other.ok()) {
        found.undecided(format!("there may be no second group for a second page: {}", told(other)), cite(other));
    } else if repeats(last) {
        found.broken("the second page repeats the group of the first, twice", cite(second));
    } else if announced < 2 {
        found.undecided(format!("totalResults is {announced}, and two groups were there"), cite(first));
    } else if first.resources().is_empty() || second.resources().is_empty() {
        found.broken(format!("a page of {announced} groups is empty"), cite(second));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::checks::a_group_is_found_without_members as check;
    use super::super::checks::tests::{page, says};
    use super::*;
    use crate::model::verdict::Call as Says;
    use crate::suites::scim_blocks::samples::{answer, error};

    #[test]
    fn a_page_is_as_long_as_was_asked_and_brings_others() {
        let pages = |first: Answer, second: Answer| says(check, |seen| seen.pages = vec![[first, second]]);
        assert_eq!(pages(page(2, &["g"]), page(2, &["h"])), Says::Pass);
        assert_eq!(pages(page(2, &["g", "h"]), page(2, &["g", "h"])), Says::Broken);
        assert_eq!(pages(page(2, &["g"]), page(2, &["g"])), Says::Broken);
        assert_eq!(pages(page(2, &["g"]), page(2, &[])), Says::Broken);
        assert_eq!(pages(page(2, &["g"]), error(400, "invalidValue")), Says::Broken);
        assert_eq!(pages(answer(200, Value::Null), page(2, &["h"])), Says::Broken);
        assert_eq!(pages(page(1, &["g"]), page(1, &[])), Says::Undecided);
        assert_eq!(pages(page(2, &["g"]), answer(429, Value::Null)), Says::Undecided);
        assert_eq!(says(check, |seen| seen.pages.clear()), Says::Undecided);
    }

    #[test]
    fn who_could_make_one_group_only_has_no_second_page() {
        let one = |seen: &mut Seen| {
            seen.other = Some(error(403, ""));
            seen.pages = vec![[page(1, &["g"]), page(1, &[])]];
        };
        assert_eq!(says(check, one), Says::Undecided);
    }

    #[test]
    fn where_groups_are_none_need_be_made() {
        let none = |second: Answer| {
            says(check, |seen| {
                seen.other = None;
                seen.pages = vec![[page(2, &["g"]), second]];
            })
        };
        assert_eq!(none(page(2, &["h"])), Says::Pass);
        assert_eq!(none(page(2, &[])), Says::Broken);
        // It was somebody's, who removed it meanwhile.
        assert_eq!(none(page(1, &[])), Says::Undecided);
    }

    #[test]
    fn a_group_that_moved_once_decides_nothing() {
        let moved = |seen: &mut Seen| seen.pages.insert(0, [page(2, &["g"]), page(2, &["g"])]);
        assert_eq!(says(check, moved), Says::Pass);
    }
}
