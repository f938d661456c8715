//! SCIM errors (RFC 7644 3.12): always an Error object, its status a string.

use serde_json::{Value, json};

use super::Response;

/// Schema of error bodies.
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// The media type of RFC 7644 3.1.
pub const MEDIA: &str = "application/scim+json";

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Status code.
    pub status: u16,
    /// `scimType`, where the table of RFC 7644 3.12 or RFC 9865 has one.
    pub kind: Option<&'static str>,
    /// In words, without internals.
    pub detail: String,
    /// Headers besides the media type.
    pub headers: Vec<(String, String)>,
}

impl Problem {
    /// A refusal without scimType.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Problem { status, kind: None, detail: detail.into(), headers: Vec::new() }
    }

    /// 400 with this scimType.
    pub fn bad(kind: &'static str, detail: impl Into<String>) -> Self {
        Problem { kind: Some(kind), ..Self::new(400, detail) }
    }

    /// 404 for a resource or an endpoint.
    pub fn not_found() -> Self {
        Self::new(404, "There is nothing here.")
    }

    /// 405; these methods are allowed.
    pub fn method(allow: &str) -> Self {
        Self::new(405, format!("Only {allow} is allowed here.")).with("allow", allow)
    }

    /// With this header as well.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let mut body = json!({"schemas": [ERROR], "status": problem.status.to_string()});
        if let Some(kind) = problem.kind {
            body["scimType"] = kind.into();
        }
        body["detail"] = problem.detail.into();
        let mut response = answer(problem.status, body);
        response.headers.extend(problem.headers);
        response
    }
}

/// A response with a body in the media type of SCIM.
pub fn answer(status: u16, body: Value) -> Response {
    Response { status, headers: vec![("content-type".into(), MEDIA.into())], body: Some(body) }
}
