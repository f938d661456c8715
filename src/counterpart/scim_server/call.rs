//! One request on its way: authorisation, routing, what reading and writing share.

use serde_json::{Map, Value};

use super::problem::{Problem, answer};
use super::schema::Kind;
use super::store::{State, Stored};
use super::{Caller, Change, Config, Quirk, Refusal, Request, Response, discovery};

/// A request together with the state it works on.
pub struct Call<'a> {
    /// How the engine behaves.
    pub config: &'a Config,
    /// What it keeps.
    pub state: &'a mut State,
    /// Who asks.
    pub tenant: &'a str,
    /// What was sent.
    pub request: &'a Request,
    /// What changed; told to the listeners afterwards.
    pub changes: Vec<Change>,
}

/// 401 and 403 with their challenge (RFC 6750 3).
pub fn refused(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::NoToken => Problem::new(401, "An access token is needed.").with("www-authenticate", "Bearer realm=\"scim\""),
        Refusal::BadToken(why) => Problem::new(401, format!("The access token is not accepted: {why}."))
            .with("www-authenticate", "Bearer realm=\"scim\", error=\"invalid_token\""),
        Refusal::InsufficientScope(scope) => Problem::new(403, format!("The access token needs the scope {scope}."))
            .with("www-authenticate", &format!("Bearer realm=\"scim\", error=\"insufficient_scope\", scope=\"{scope}\"")),
    }
}

/// Answers a request.
pub fn handle(config: &Config, state: &mut State, caller: &Caller, request: &Request) -> (Response, Vec<Change>) {
    let path: Vec<String> = request.path.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let tenant = match caller {
        Caller::Tenant(tenant) => tenant.as_str(),
        // How to authenticate may be read without (RFC 7643 5); it names no tenant.
        Caller::Nobody(Refusal::NoToken) if path == ["ServiceProviderConfig"] => "",
        Caller::Nobody(refusal) => return (refused(refusal).into(), Vec::new()),
    };
    let mut call = Call { config, state, tenant, request, changes: Vec::new() };
    let response = call.route(&path).unwrap_or_else(Response::from);
    (response, call.changes)
}

impl Call<'_> {
    fn route(&mut self, path: &[&str]) -> Result<Response, Problem> {
        let method = if self.request.method == "HEAD" { "GET" } else { self.request.method.as_str() };
        let kind = match path.first() {
            Some(&"Users") => Kind::User,
            Some(&"Groups") => Kind::Group,
            Some(&"Roles") => return self.roles(method, &path[1..]),
            Some(&"ServiceProviderConfig" | &"ResourceTypes" | &"Schemas") if method != "GET" => {
                return Err(Problem::method("GET"));
            }
            Some(&"ServiceProviderConfig" | &"ResourceTypes" | &"Schemas") => {
                return discovery::answer_for(self.config, self.state, path);
            }
            Some(&"Bulk" | &"Me" | &".search") => return Err(Problem::new(501, "This is not offered.")),
            _ => return Err(Problem::not_found()),
        };
        match (method, &path[1..]) {
            ("GET", []) => self.list(kind, &self.request.query),
            ("POST", [".search"]) => self.search(kind),
            ("POST", []) => self.create(kind),
            (_, []) => Err(Problem::method("GET, POST")),
            ("GET", [id]) => self.get(kind, id),
            ("PUT", [id]) => self.replace(kind, id),
            ("PATCH", [id]) => self.patch(kind, id),
            ("DELETE", [id]) => self.delete(kind, id),
            (_, [_]) => Err(Problem::method("GET, PUT, PATCH, DELETE")),
            _ => Err(Problem::not_found()),
        }
    }

    /// Does the engine depart in this way?
    pub fn has(&self, quirk: Quirk) -> bool {
        self.config.has(quirk)
    }

    /// A query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A resource that the caller may see. One of another tenant is not there.
    pub fn resource(&self, kind: Kind, id: &str) -> Result<Stored, Problem> {
        let anybodys = kind == Kind::User && self.has(Quirk::TenantBound);
        let found = self.state.find(kind, id).filter(|stored| anybodys || stored.tenant == self.tenant);
        found.cloned().ok_or_else(Problem::not_found)
    }

    /// The body, a JSON object in a media type of SCIM.
    pub fn body(&self) -> Result<Map<String, Value>, Problem> {
        if let Some(media) = self.header("content-type") {
            let media = media.split(';').next().unwrap_or_default().trim();
            if !["application/scim+json", "application/json"].iter().any(|good| media.eq_ignore_ascii_case(good)) {
                return Err(Problem::new(415, "Send application/scim+json."));
            }
        }
        match serde_json::from_slice(&self.request.body) {
            Ok(Value::Object(body)) => Ok(body),
            Ok(_) => Err(Problem::bad("invalidSyntax", "The body must be a JSON object.")),
            Err(_) if self.has(Quirk::ErrorFormat) => Err(Problem::bad(
                "invalidSyntax",
                "java.lang.IllegalStateException: unexpected token\n\tat com.example.scim.UserController.create(UserController.java:87)\n\tat com.example.scim.Dispatcher.dispatch(Dispatcher.java:41)",
            )),
            Err(_) => Err(Problem::bad("invalidSyntax", "The body is not JSON.")),
        }
    }

    /// A resource as the answer to this request, shaped by attributes and excludedAttributes.
    pub fn shown(&self, status: u16, kind: Kind, stored: &Stored) -> Response {
        let mut view = self.state.view(self.config, kind, stored);
        let by_id = self.request.method == "GET";
        if kind == Kind::User && by_id && self.has(Quirk::PasswordNeverReturned) {
            view["password"] = "{SSHA}Nq2fq2bkYx7x1mGk0b6m5m9Y3rE=".into();
        }
        let whole = kind == Kind::Group && by_id && self.has(Quirk::GroupGet);
        let mut view = if whole { view } else { self.project(kind, view) };
        if kind == Kind::User && by_id && self.has(Quirk::GetUserById) {
            view.as_object_mut().map(|view| view.shift_remove("schemas"));
        }
        let mut response = answer(status, view);
        if self.config.etags {
            response.headers.push(("etag".into(), stored.etag()));
        }
        response
    }

    /// Leaves of a representation what attributes and excludedAttributes ask for (RFC 7644 3.9).
    pub fn project(&self, kind: Kind, view: Value) -> Value {
        self.project_by(kind, view, self.query("attributes"), self.query("excludedAttributes"))
    }

    /// The same by these lists of paths.
    pub fn project_by(&self, kind: Kind, view: Value, wanted: Option<&str>, excluded: Option<&str>) -> Value {
        let mut view = super::project::project(kind, view, wanted, excluded);
        let asked = wanted.or(excluded).is_some_and(|list| !list.is_empty());
        if asked && kind == Kind::User && self.has(Quirk::ExcludedAndAttributes) {
            view.as_object_mut().map(|view| view.shift_remove("id"));
        }
        view
    }

    /// Refuses what an If-Match header forbids (RFC 7644 3.14).
    pub fn precondition(&self, stored: &Stored) -> Result<(), Problem> {
        let Some(wanted) = self.header("if-match").filter(|_| self.config.etags && !self.has(Quirk::EtagConflict)) else {
            return Ok(());
        };
        let ours = stored.etag();
        let fits = wanted.split(',').map(str::trim).any(|tag| tag == "*" || tag == ours);
        if fits { Ok(()) } else { Err(Problem::new(412, "The resource has changed.")) }
    }

    /// Where schemas is sent, the core schema must be among them; those of unknown extensions are ignored with their attributes.
    pub fn check_schemas(&self, kind: Kind, body: &Map<String, Value>) -> Result<(), Problem> {
        let Some(schemas) = body.get("schemas") else { return Ok(()) };
        let mut named = schemas.as_array().into_iter().flatten().filter_map(Value::as_str);
        if named.any(|urn| urn.eq_ignore_ascii_case(kind.urn())) {
            return Ok(());
        }
        Err(Problem::bad("invalidValue", format!("schemas must name {}.", kind.urn())))
    }
}

/// A path segment without its percent-encoding.
fn decoded(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = segment.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        plain.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}
