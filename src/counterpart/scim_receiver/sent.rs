//! What is kept in files of a request that an identity service sent.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::access::bearer;
use super::log::{Access, Door, Entry};
use super::strict;
use crate::model::ExchangeId;
use crate::wire::jose::sha256_b64;

/// A SCIM request of the identity service. Its token and passwords are not kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// Seconds since the scenario began.
    pub at_s: f64,
    /// Method.
    pub method: String,
    /// Path below the base, decoded.
    pub path: String,
    /// Query parameters, decoded.
    pub query: Vec<(String, String)>,
    /// `Content-Type` as sent; empty where there is none.
    pub content_type: String,
    /// `Accept` as sent; empty where there is none.
    pub accept: String,
    /// Beginning of the digest of its token, to tell one from another; empty where there is none.
    #[serde(default)]
    pub token: String,
    /// Body; `null` where it is no JSON.
    pub body: Value,
    /// What the strict reading of its body found.
    pub faults: Vec<String>,
    /// What is legal there and yet not as it should be.
    pub odd: Vec<String>,
    /// Status; 0 where the connection was closed without an answer.
    pub status: u16,
    /// The scripted fault it met, in words.
    pub fault: Option<String>,
    /// It changed the resource.
    pub changed: bool,
    /// The exchange.
    pub cite: ExchangeId,
}

impl Sent {
    /// Of an entry of the log.
    pub fn of(entry: &Entry, began: Instant) -> Self {
        let strict = strict::read(&entry.method, &entry.path, &entry.raw);
        let mut body = entry.body.clone();
        hide_passwords(&mut body);
        Sent {
            at_s: entry.at.saturating_duration_since(began).as_secs_f64(),
            method: entry.method.clone(),
            path: entry.path.clone(),
            query: entry.query.clone(),
            content_type: entry.header("content-type").to_owned(),
            accept: entry.header("accept").to_owned(),
            token: bearer(entry.header("authorization"))
                .map(|token| sha256_b64(token).chars().take(12).collect())
                .unwrap_or_default(),
            body,
            faults: strict.faults,
            odd: strict.odd,
            status: entry.status,
            fault: entry.fault.clone(),
            changed: entry.changed,
            cite: entry.exchange.clone(),
        }
    }

    /// The request in a few words.
    pub fn describe(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// It was carried out.
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// It carries the same token as another request.
    pub fn same_token(&self, other: &Sent) -> bool {
        !self.token.is_empty() && self.token == other.token
    }

    /// It writes.
    pub fn writes(&self) -> bool {
        matches!(self.method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE")
    }
}

/// A request whose token is not where it belongs, in words; none where all is right.
pub fn misplaced_token(entry: &Entry) -> Option<String> {
    let open = ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas"].iter().any(|path| entry.path.starts_with(path));
    let token_like = |name: &str| matches!(name.to_lowercase().as_str(), "access_token" | "token" | "bearer" | "authorization");
    let scheme = entry.header("authorization").split(' ').next().unwrap_or_default().to_ascii_lowercase();
    if entry.door != Door::Scim {
        return None;
    }
    if let Some((name, _)) = entry.query.iter().find(|(name, _)| token_like(name)) {
        return Some(format!("{} {} carries a token in the query parameter {name}", entry.method, entry.path));
    }
    if let Some(name) = entry.body.as_object().into_iter().flatten().map(|(name, _)| name).find(|name| token_like(name)) {
        return Some(format!("{} {} carries a token in the body member {name}", entry.method, entry.path));
    }
    match scheme.as_str() {
        "bearer" => None,
        "" if entry.access == Access::NoToken && open => None,
        "" => Some(format!("{} {} carries no token", entry.method, entry.path)),
        other => Some(format!("{} {} is authorised by {other} in place of Bearer", entry.method, entry.path)),
    }
}

fn hide_passwords(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                if name.eq_ignore_ascii_case("password") && !value.is_null() {
                    *value = "(hidden)".into();
                } else {
                    hide_passwords(value);
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(hide_passwords),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::*;

    #[test]
    fn passwords_are_not_kept() {
        let sent = Sent::of(&entry("POST", "/Users", r#"{"userName":"a","password":"secret"}"#), Instant::now());
        assert_eq!(sent.body["password"], "(hidden)");
        assert!(sent.odd.iter().any(|odd| odd.contains("password")), "{:?}", sent.odd);
    }

    #[test]
    fn a_token_belongs_into_the_authorization_header() {
        let with = |entry: &mut Entry, value: &str| entry.headers.push(("authorization".into(), value.into()));
        let mut good = entry("GET", "/Users", "");
        with(&mut good, "Bearer abc");
        assert_eq!(misplaced_token(&good), None);
        let mut basic = entry("GET", "/Users", "");
        with(&mut basic, "Basic abc");
        assert!(misplaced_token(&basic).is_some());
        let mut query = good.clone();
        query.query.push(("access_token".into(), "abc".into()));
        assert!(misplaced_token(&query).is_some());
        assert!(misplaced_token(&entry("GET", "/Users", "")).is_some());
        assert_eq!(misplaced_token(&entry("GET", "/ServiceProviderConfig", "")), None);
    }
}
