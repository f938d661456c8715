//! Requests as the handlers see them; hyper's types stay at this door. Replies are those of the reference identity service.

use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Request, Response, StatusCode};
use serde_json::Value;
use url::form_urlencoded;

pub use crate::counterpart::op::http::{Pairs, Reply, encode, escape, get, repeated};

/// A request.
#[derive(Clone, Debug)]
pub struct In {
    /// Method; HEAD is answered like GET.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// Query parameters.
    pub query: Pairs,
    /// Body parameters of a form POST.
    pub form: Pairs,
    headers: HeaderMap,
    body: Bytes,
}

impl In {
    /// Reads what the handlers need.
    pub fn read(raw: Request<Bytes>) -> Self {
        let (head, body) = raw.into_parts();
        let pairs = |bytes: &[u8]| form_urlencoded::parse(bytes).into_owned().collect();
        let media = head.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_form = media.starts_with("application/x-www-form-urlencoded");
        In {
            method: if head.method == "HEAD" { "GET".into() } else { head.method.to_string() },
            path: head.uri.path().to_owned(),
            query: pairs(head.uri.query().unwrap_or_default().as_bytes()),
            form: if is_form { pairs(&body) } else { Pairs::new() },
            headers: head.headers,
            body,
        }
    }

    /// The parameters: of the body for POST, else of the query.
    pub fn parameters(&self) -> &Pairs {
        if self.method == "POST" { &self.form } else { &self.query }
    }

    /// A header that was sent exactly once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        let first = all.next()?.to_str().ok()?;
        all.next().is_none().then_some(first)
    }

    /// All header fields, names in lower case; those that are no text are left out.
    pub fn header_pairs(&self) -> Pairs {
        let text = |(name, value): (&HeaderName, &HeaderValue)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()));
        self.headers.iter().filter_map(text).collect()
    }

    /// The body as sent.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The bearer token.
    pub fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// The value of a cookie, where it is not empty.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let headers = self.headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
        headers
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, value)| *key == name && !value.is_empty())
            .map(|(_, value)| value)
    }

    /// Does the client want JSON rather than a page?
    pub fn wants_json(&self) -> bool {
        self.header("accept").is_some_and(|accept| accept.contains("application/json") && !accept.contains("text/html"))
    }

    /// The body as JSON; `None` when it is none.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// As hyper wants it. A value that is not a legal header value is left out.
pub fn response(reply: Reply) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_bearer_tokens_and_forms_are_read() {
        let raw = Request::builder()
            .method("POST")
            .uri("/x?a=1&a=2")
            .header("cookie", "a=; b=2")
            .header("cookie", "c=3")
            .header("authorization", "bearer t")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from_static(b"k=v%2B"))
            .unwrap();
        let request = In::read(raw);
        assert_eq!((request.cookie("a"), request.cookie("b"), request.cookie("c")), (None, Some("2"), Some("3")));
        assert_eq!((request.bearer(), repeated(&request.query)), (Some("t"), Some("a")));
        assert_eq!(get(request.parameters(), "k"), Some("v+"));
    }
}
