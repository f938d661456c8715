//! Requests as the handlers see them, and the replies they give; wiremock's types stay at this door.

use std::collections::HashSet;

use serde_json::{Value, json};
use url::form_urlencoded;
use wiremock::http::{HeaderName, HeaderValue};
use wiremock::{Request, ResponseTemplate};

/// Names and values in the order sent.
pub type Pairs = Vec<(String, String)>;

/// The first value of a parameter.
pub fn get<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A parameter that was sent twice, which RFC 6749 3.1 and 3.2 forbid.
pub fn repeated(pairs: &Pairs) -> Option<&str> {
    let mut seen = HashSet::new();
    pairs.iter().map(|(key, _)| key.as_str()).find(|key| !seen.insert(*key))
}

/// Form-encodes pairs.
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// A request.
pub struct In<'a> {
    /// Path, without the query.
    pub path: String,
    /// Query parameters.
    pub query: Pairs,
    /// Body parameters of a form POST.
    pub form: Pairs,
    raw: &'a Request,
}

impl<'a> In<'a> {
    /// Reads what the handlers need.
    pub fn read(raw: &'a Request) -> Self {
        let pairs = |bytes: &[u8]| form_urlencoded::parse(bytes).into_owned().collect();
        let is_form = raw
            .headers
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        In {
            path: raw.url.path().to_owned(),
            query: pairs(raw.url.query().unwrap_or_default().as_bytes()),
            form: if is_form { pairs(&raw.body) } else { Pairs::new() },
            raw,
        }
    }

    /// The method; HEAD is answered like GET.
    pub fn method(&self) -> &str {
        match self.raw.method.as_str() {
            "HEAD" => "GET",
            other => other,
        }
    }

    /// A header that was sent exactly once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.raw.headers.get_all(name).iter();
        let first = all.next()?.to_str().ok()?;
        all.next().is_none().then_some(first)
    }

    /// How often a header was sent.
    pub fn header_count(&self, name: &str) -> usize {
        self.raw.headers.get_all(name).iter().count()
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let headers = self.raw.headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
        headers
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        self.raw.body_json().unwrap_or(Value::Null)
    }
}

/// A reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header fields.
    pub headers: Vec<(&'static str, String)>,
    /// Body, empty for none.
    pub body: String,
}

impl Reply {
    /// Only a status.
    pub fn status(status: u16) -> Self {
        Reply { status, headers: Vec::new(), body: String::new() }
    }

    /// JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Reply { body: body.to_string(), ..Self::status(status) }.with("content-type", "application/json")
    }

    /// An OAuth error of a back-channel endpoint (RFC 6749 5.2).
    pub fn oauth_error(status: u16, error: &str, description: &str) -> Self {
        Self::json(status, &json!({"error": error, "error_description": description})).with("cache-control", "no-store")
    }

    /// A page. Framing is forbidden and nothing is stored, because most pages take credentials.
    pub fn page(status: u16, html: String) -> Self {
        Reply { body: html, ..Self::status(status) }
            .with("content-type", "text/html; charset=utf-8")
            .with("cache-control", "no-store")
            .with("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
            .with("x-frame-options", "DENY")
            .with("referrer-policy", "no-referrer")
    }

    /// 303: the browser goes on by GET whatever it sent (RFC 9700 4.12).
    pub fn see_other(location: impl Into<String>) -> Self {
        Self::status(303).with("location", location).with("cache-control", "no-store")
    }

    /// Adds a header field.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Takes a header field away.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(key, _)| *key != name);
        self
    }

    /// As wiremock wants it. A value that is not a legal header value is left out.
    pub fn template(self) -> ResponseTemplate {
        let headers: Vec<(HeaderName, HeaderValue)> = self
            .headers
            .into_iter()
            .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?)))
            .collect();
        ResponseTemplate::new(self.status).append_headers(headers).set_body_bytes(self.body)
    }
}

/// Text made safe inside HTML, also inside a double-quoted attribute.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
