//! The SCIM client that the suite plays for an application: requests as RFC 7644 writes them, answers as they came.

pub mod answer;
pub mod person;
pub mod shape;
pub mod token;

use serde_json::{Value, json};

pub use answer::Answer;
pub use person::Person;
pub use shape::Shape;

/// URN of a PatchOp message.
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// URN of an error.
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// URN of a list.
pub const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// URN of the User schema.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// URN of the Group schema.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// URN of the enterprise extension of the User schema.
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// URN of the Role schema (draft-ietf-scim-roles-entitlements-01).
pub const ROLE: &str = "urn:ietf:params:scim:schemas:core:2.0:Role";

/// Whose token a request carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bearer {
    /// The suite's.
    #[default]
    Own,
    /// That of the second tenant.
    Second,
    /// None.
    Nobody,
    /// This one.
    Other(String),
}

/// A request.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Request method.
    pub method: String,
    /// Below the base URL, with a slash at its beginning.
    pub path: String,
    /// Query parameters, not yet encoded.
    pub query: Vec<(String, String)>,
    /// Body with its media type.
    pub body: Option<(String, Vec<u8>)>,
    /// Header fields besides media type and authorization.
    pub headers: Vec<(String, String)>,
    /// Whose token it carries.
    pub bearer: Bearer,
}

impl Call {
    /// Without a body.
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        Call { method: method.to_owned(), path: path.into(), ..Call::default() }
    }

    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Call::new("GET", path)
    }

    /// A DELETE.
    pub fn delete(path: impl Into<String>) -> Self {
        Call::new("DELETE", path)
    }

    /// With a SCIM body.
    pub fn send(method: &str, path: impl Into<String>, body: &Value) -> Self {
        Call::new(method, path).bytes("application/scim+json", body.to_string().into_bytes())
    }

    /// A POST.
    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Call::send("POST", path, body)
    }

    /// A PATCH with these operations (RFC 7644 3.5.2).
    pub fn patch(path: impl Into<String>, operations: &[Value]) -> Self {
        Call::send("PATCH", path, &json!({"schemas": [PATCH_OP], "Operations": operations}))
    }

    /// With a body of any form.
    #[must_use]
    pub fn bytes(mut self, media_type: &str, body: Vec<u8>) -> Self {
        self.body = Some((media_type.to_owned(), body));
        self
    }

    /// With a query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// With a filter.
    #[must_use]
    pub fn filter(self, filter: impl Into<String>) -> Self {
        self.query("filter", filter)
    }

    /// With a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With another token, or none.
    #[must_use]
    pub fn by(mut self, bearer: Bearer) -> Self {
        self.bearer = bearer;
        self
    }

    /// The whole URL.
    pub fn url(&self, base: &str) -> String {
        let base = base.trim_end_matches('/');
        if self.query.is_empty() {
            return format!("{base}{}", self.path);
        }
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
        // A plus sign is no space to every server (RFC 3986); %20 is to all.
        format!("{base}{}?{}", self.path, query.replace('+', "%20"))
    }
}

/// An operation that sets the value at a path.
pub fn replace(path: &str, value: impl Into<Value>) -> Value {
    json!({"op": "replace", "path": path, "value": value.into()})
}

/// An operation that adds a value at a path.
pub fn add(path: &str, value: impl Into<Value>) -> Value {
    json!({"op": "add", "path": path, "value": value.into()})
}

/// An operation that removes what a path names.
pub fn remove(path: &str) -> Value {
    json!({"op": "remove", "path": path})
}

/// A string of a filter (RFC 7644 3.4.2.2: JSON rules).
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_encoded_for_servers_that_take_a_plus_sign_literally() {
        let call = Call::get("/Users").filter(format!("userName eq {}", quoted("a+b\"c@d e")));
        assert_eq!(
            call.url("https://app.test/v2/"),
            "https://app.test/v2/Users?filter=userName%20eq%20%22a%2Bb%5C%22c%40d%20e%22"
        );
        assert_eq!(Call::delete("/Users/1").url("https://app.test/v2"), "https://app.test/v2/Users/1");
    }
}
