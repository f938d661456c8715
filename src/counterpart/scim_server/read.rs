//! GET: a resource by its id, and lists with filter and paging (RFC 7644 3.4, RFC 9865).

use serde_json::{Map, Value, json};

use super::call::Call;
use super::filter::Filter;
use super::matching::resource_matches;
use super::paths::resolve;
use super::problem::{Problem, answer};
use super::schema::Kind;
use super::{Paging, Quirk, Response};
use crate::wire::jose::sha256_b64;

/// Schema of lists.
pub const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

type Query = [(String, String)];

fn parameter<'q>(query: &'q Query, name: &str) -> Option<&'q str> {
    query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn integer(query: &Query, name: &str) -> Result<Option<i64>, Problem> {
    let read = |text: &str| text.parse().map_err(|_| Problem::bad("invalidValue", format!("{name} must be an integer.")));
    parameter(query, name).map(read).transpose()
}

impl Call<'_> {
    /// GET of one resource.
    pub fn get(&self, kind: Kind, id: &str) -> Result<Response, Problem> {
        let stored = self.resource(kind, id)?;
        if kind == Kind::User && !stored.is_active() && self.has(Quirk::DeactivatedStillReadable) {
            return Err(Problem::not_found());
        }
        let known = self.header("if-none-match").filter(|_| self.config.etags).is_some_and(|tags| {
            let ours = stored.etag();
            tags.split(',').map(str::trim).any(|tag| tag == "*" || tag == ours)
        });
        if known {
            return Ok(Response { status: 304, headers: vec![("etag".into(), stored.etag())], body: None });
        }
        Ok(self.shown(200, kind, &stored))
    }

    /// POST to /.search: the query stands in the body (RFC 7644 3.4.3).
    pub fn search(&mut self, kind: Kind) -> Result<Response, Problem> {
        let text = |value: Value| match value {
            Value::String(text) => text,
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            other => other.to_string(),
        };
        let query: Vec<(String, String)> = self.body()?.into_iter().map(|(name, value)| (name, text(value))).collect();
        self.list(kind, &query)
    }

    /// GET of a list.
    pub fn list(&mut self, kind: Kind, query: &Query) -> Result<Response, Problem> {
        self.limit_rate()?;
        let filter = self.filter(query)?;
        let by_name = |path: &str| resolve(kind, path).is_some_and(|steps| steps[0].name == "userName");
        let ghosts =
            kind == Kind::User && self.has(Quirk::DeleteUser) && filter.as_ref().is_some_and(|filter| filter.names(&by_name));
        let ghosts = if ghosts { &self.state.deleted[..] } else { &[] };
        let candidates = self.state.all(kind).iter().chain(ghosts).filter(|stored| stored.tenant == self.tenant);
        let rows: Vec<(u64, Value)> = candidates.map(|stored| (stored.seq, self.state.view(self.config, kind, stored))).collect();
        self.page(kind, query, filter.as_ref(), rows)
    }

    fn filter(&self, query: &Query) -> Result<Option<Filter>, Problem> {
        let Some(text) = parameter(query, "filter") else { return Ok(None) };
        match Filter::parse(text) {
            Ok(filter) if filter.has_brackets() && self.has(Quirk::FilterEmail) => {
                Err(Problem::bad("invalidFilter", "Brackets are not supported."))
            }
            Ok(filter) => Ok(Some(filter)),
            Err(_) if self.has(Quirk::FilterInvalid) => Ok(None),
            Err(fault) => Err(Problem::bad("invalidFilter", format!("The filter cannot be read: {fault}."))),
        }
    }

    fn limit_rate(&mut self) -> Result<(), Problem> {
        let second = jiff::Timestamp::now().as_second();
        let (window, count) = self.state.window;
        let count = if window == second { count.saturating_add(1) } else { 1 };
        self.state.window = (second, count);
        match self.config.rate_limit {
            Some(limit) if count > limit && self.has(Quirk::RateLimit429) => Err(Problem::new(500, "Something went wrong.")),
            Some(limit) if count > limit => {
                Err(Problem::new(429, "Too many requests; ask again in a second.").with("retry-after", "1"))
            }
            _ => Ok(()),
        }
    }

    /// The page of these resources that the query asks for. Rows are (order, representation), in their order.
    pub fn page(
        &self,
        kind: Kind,
        query: &Query,
        filter: Option<&Filter>,
        mut rows: Vec<(u64, Value)>,
    ) -> Result<Response, Problem> {
        if let Some(filter) = filter {
            rows.retain(|(_, view)| resource_matches(self.config, kind, filter, view));
        }
        let total = rows.len();
        let all_users = kind == Kind::User && filter.is_none();
        let cursor = match (self.config.paging, parameter(query, "cursor")) {
            (Paging::Cursor, None) => Some(""),
            (Paging::Index, _) => None,
            (_, cursor) => cursor,
        };
        let count = integer(query, "count")?;
        if cursor.is_some() && count.is_some_and(|count| count < 0) && !self.has(Quirk::PaginationCursorErrors) {
            return Err(Problem::bad("invalidCount", "count must not be negative."));
        }
        let limit = self.config.page_limit;
        let mut size = count.map_or(limit, |count| usize::try_from(count).unwrap_or(0).min(limit));
        if all_users && count.is_some() && size > 0 && self.has(Quirk::Pagination) {
            size += 1;
        }
        let mut body = Map::new();
        body.insert("schemas".into(), json!([LIST]));
        body.insert("totalResults".into(), total.into());
        let page: Vec<(u64, Value)> = match cursor {
            None => {
                let start = integer(query, "startIndex")?.unwrap_or(1).max(1);
                body.insert("startIndex".into(), start.into());
                rows.into_iter().skip(usize::try_from(start - 1).unwrap_or(usize::MAX)).take(size).collect()
            }
            Some(cursor) => {
                let after = self.position(kind, query, cursor)?;
                let rest = rows.into_iter().filter(|(seq, _)| *seq > after);
                let mut page: Vec<(u64, Value)> = rest.take(size.saturating_add(1)).collect();
                if page.len() > size {
                    page.truncate(size);
                    if let Some((last, _)) = page.last() {
                        body.insert("nextCursor".into(), self.cursor(kind, query, *last).into());
                    }
                }
                page
            }
        };
        let excluded =
            parameter(query, "excludedAttributes").filter(|_| kind != Kind::Group || !self.has(Quirk::GroupListFilter));
        let shape = |view| self.project_by(kind, view, parameter(query, "attributes"), excluded);
        let resources: Vec<Value> = page.into_iter().map(|(_, view)| shape(view)).collect();
        let first = cursor.is_none() && integer(query, "startIndex")?.is_none_or(|start| start <= 1);
        if all_users && first && self.has(Quirk::ListUsers) {
            return Ok(answer(200, resources.into()));
        }
        body.insert("itemsPerPage".into(), resources.len().into());
        body.insert("Resources".into(), resources.into());
        Ok(answer(200, body.into()))
    }

    /// A cursor: the last resource shown, bound to what was asked. Nothing needs to be kept for it.
    fn cursor(&self, kind: Kind, query: &Query, after: u64) -> String {
        let filter = parameter(query, "filter").unwrap_or_default();
        let asked = format!("{after}\n{}\n{}\n{filter}", kind.name(), self.tenant);
        format!("{after}.{}", sha256_b64(asked))
    }

    fn position(&self, kind: Kind, query: &Query, cursor: &str) -> Result<u64, Problem> {
        if cursor.is_empty() {
            return Ok(0);
        }
        let after = cursor.split_once('.').and_then(|(after, _)| after.parse().ok());
        match after.filter(|after| self.cursor(kind, query, *after) == cursor) {
            Some(after) => Ok(after),
            None if self.has(Quirk::PaginationCursorErrors) => Ok(0),
            None => Err(Problem::bad("invalidCursor", "The cursor was not issued for this query.")),
        }
    }
}
