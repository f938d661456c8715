//! What a SCIM service provider answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ERROR;
use crate::counterpart::token::http_date;
use crate::model::ExchangeId;
use crate::stage::http::{NetFault, Reply};

/// An answer, or why there was none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// HTTP status; 0 when none arrived.
    pub status: u16,
    /// Media type without parameters, lower-case.
    pub media_type: String,
    /// The body as JSON; `null` where it is none.
    pub body: Value,
    /// The beginning of a body that is no JSON.
    pub text: String,
    /// Header fields that decide something: `location`, `etag`, `retry-after`, `www-authenticate`.
    pub headers: Vec<(String, String)>,
    /// Why no answer arrived.
    pub fault: Option<String>,
    /// The suite's own good token was refused: it was withdrawn meanwhile, and whatever was asked is left open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub token_refused: bool,
    /// The exchange.
    pub cite: ExchangeId,
}

/// Kept of a body that is no JSON, in characters.
const TEXT: usize = 2000;
/// Header fields that are kept.
const KEPT: [&str; 4] = ["location", "etag", "retry-after", "www-authenticate"];

/// Lists larger than this, in bytes, are not kept whole.
const LARGE: usize = 256 * 1024;
/// Resources of such a list that are kept whole.
const WHOLE: usize = 100;

/// Leaves of the later resources of a list what tells them apart: a server that answers every search with everybody must not fill the
/// memory.
fn thin(list: &mut Value) {
    let resources = list.get_mut("Resources").and_then(Value::as_array_mut);
    for resource in resources.into_iter().flatten().skip(WHOLE) {
        if let Some(members) = resource.as_object_mut() {
            members.retain(|_, value| !value.is_object() && !value.is_array());
        }
    }
}

/// What stands in place of a secret: that there was one may decide a clause, what it was decides nothing.
const HIDDEN: &str = "(hidden)";
/// Members that hold a secret, in lower case.
const SECRETS: [&str; 11] = [
    "password",
    "passwd",
    "passwordhash",
    "secret",
    "clientsecret",
    "client_secret",
    "token",
    "accesstoken",
    "access_token",
    "apikey",
    "apitoken",
];

/// Calls back with every member that holds a secret, at any depth.
pub fn secrets(value: &mut Value, found: &mut dyn FnMut(&str, &mut Value)) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let secret = SECRETS.contains(&name.to_ascii_lowercase().as_str());
                if secret && value.as_str().is_some_and(|text| !text.is_empty()) {
                    found(name, value);
                }
                secrets(value, found);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| secrets(value, found)),
        _ => {}
    }
}

impl From<Result<Reply, NetFault>> for Answer {
    fn from(outcome: Result<Reply, NetFault>) -> Self {
        match outcome {
            Ok(reply) => {
                let mut json = reply.json();
                if let Some(json) = &mut json {
                    if reply.body.len() > LARGE {
                        thin(json);
                    }
                    // What was seen is written to a file.
                    secrets(json, &mut |_, value| *value = HIDDEN.into());
                }
                let text = String::from_utf8_lossy(&reply.body).chars().take(TEXT).collect();
                Answer {
                    status: reply.status,
                    media_type: reply.media_type(),
                    text: if json.is_some() { String::new() } else { text },
                    body: json.unwrap_or_default(),
                    headers: reply.headers.iter().filter(|(name, _)| KEPT.contains(&name.as_str())).cloned().collect(),
                    fault: None,
                    token_refused: false,
                    cite: reply.exchange,
                }
            }
            Err(fault) => Answer { fault: Some(fault.why.clone()), cite: fault.exchange, ..Answer::default() },
        }
    }
}

impl Answer {
    /// Status 2xx.
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Nothing can be concluded from it: no answer, the limit of requests, a good token refused, or an overloaded server. Status 500 and 501 are answers.
    pub fn silent(&self) -> bool {
        self.token_refused || self.status == 0 || self.status == 429 || (502..600).contains(&self.status)
    }

    /// The request was understood and refused: 4xx but the limit of requests.
    pub fn refused(&self) -> bool {
        (400..500).contains(&self.status) && self.status != 429 && !self.token_refused
    }

    /// A header field that is kept.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Seconds from now that `Retry-After` names (RFC 9110 10.2.3): a number or a date.
    pub fn retry_after(&self) -> Option<i64> {
        let value = self.header("retry-after")?.trim();
        let date = || Some((http_date(value)? - jiff::Timestamp::now().as_second()).max(0));
        value.parse().ok().filter(|seconds| *seconds >= 0).or_else(date)
    }

    /// A string at a JSON pointer; empty where there is none.
    pub fn text_at(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// `id` of the resource.
    pub fn id(&self) -> &str {
        self.text_at("/id")
    }

    /// `active` of the user; none where it is absent or no boolean.
    pub fn active(&self) -> Option<bool> {
        self.body["active"].as_bool()
    }

    /// Resources of a list.
    pub fn resources(&self) -> &[Value] {
        self.body["Resources"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Ids of the resources of a list.
    pub fn ids(&self) -> Vec<&str> {
        self.resources().iter().filter_map(|resource| resource["id"].as_str()).collect()
    }

    /// `totalResults` of a list.
    pub fn total(&self) -> Option<u64> {
        self.body["totalResults"].as_u64()
    }

    /// It is a SCIM error with its status as a string (RFC 7644 3.12).
    pub fn is_scim_error(&self) -> bool {
        let schemas = self.body["schemas"].as_array();
        let named = schemas
            .is_some_and(|all| all.iter().any(|schema| schema.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(ERROR))));
        named && self.body["status"].as_str() == Some(self.status.to_string().as_str())
    }

    /// `scimType` of an error; empty where there is none.
    pub fn scim_type(&self) -> &str {
        self.text_at("/scimType")
    }

    /// What was answered, in words.
    pub fn describe(&self) -> String {
        match (&self.fault, self.scim_type()) {
            (Some(why), _) => format!("no answer ({why})"),
            (None, "") => format!("status {}", self.status),
            (None, kind) => format!("status {} {kind}", self.status),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_large_list_every_id_is_kept() {
        let user = |index: usize| json!({"id": index.to_string(), "active": true, "emails": [{"value": "x".repeat(3000)}]});
        let body = json!({"Resources": (0..150).map(user).collect::<Vec<Value>>()});
        let reply = |body: &Value| Reply {
            status: 200,
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
            exchange: String::new(),
        };
        let answer = Answer::from(Ok(reply(&body)));
        assert_eq!((answer.ids().len(), answer.ids()[149]), (150, "149"));
        assert!(answer.resources()[99]["emails"].is_array() && answer.resources()[100]["emails"].is_null());
        // What is no list is left as it is.
        assert!(Answer::from(Ok(reply(&body["Resources"]))).body.is_array());
    }

    #[test]
    fn a_good_token_that_is_refused_leaves_open_what_was_asked() {
        let refused = Answer { status: 401, ..Answer::default() };
        assert!(!refused.silent() && refused.refused());
        let withdrawn = Answer { token_refused: true, ..refused };
        assert!(withdrawn.silent() && !withdrawn.refused());
    }

    #[test]
    fn secrets_are_found_at_any_depth_and_not_kept() {
        let body = json!({"Resources": [{"password": "x", "urn:x": {"Secret": "y", "passwordPolicy": "z", "token": ""}}]});
        let reply = Reply { status: 200, headers: Vec::new(), body: body.to_string().into_bytes(), exchange: String::new() };
        let mut answer = Answer::from(Ok(reply));
        let user = &answer.body["Resources"][0];
        assert_eq!((&user["password"], &user["urn:x"]["Secret"]), (&json!(HIDDEN), &json!(HIDDEN)));
        assert_eq!(user["urn:x"]["passwordPolicy"], "z");
        let mut names = Vec::new();
        secrets(&mut answer.body, &mut |name, _| names.push(name.to_owned()));
        assert_eq!(names, ["password", "Secret"]);
    }
}
