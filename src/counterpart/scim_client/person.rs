//! A user that the suite makes up for a run.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::USER;
use crate::counterpart::provider::Subject;
use crate::model::target::Link;

/// A made-up user; every name carries the run id, so that leftovers of a killed run can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// `userName`, an email address.
    pub user_name: String,
    /// `externalId`.
    pub external_id: String,
    /// The primary address; the same as the user name.
    pub email: String,
    /// `name.givenName`.
    pub given: String,
    /// `name.familyName`.
    pub family: String,
    /// `displayName`: given and family name, since applications show one or the other.
    pub display: String,
}

impl Person {
    /// A user of this run; `label` tells it from others.
    pub fn of_run(run_id: &str, label: &str, domain: &str) -> Self {
        let user_name = format!("{label}.{run_id}@{domain}");
        Person {
            email: user_name.clone(),
            user_name,
            external_id: format!("{run_id}-{label}"),
            given: "Suite".into(),
            family: format!("{label} {run_id}"),
            display: format!("Suite {label} {run_id}"),
        }
    }

    /// The body of a POST that creates the user (AL1 SCIM draft, section 3.2.2.1).
    pub fn body(&self) -> Value {
        json!({
            "schemas": [USER],
            "userName": self.user_name,
            "externalId": self.external_id,
            "name": {"givenName": self.given, "familyName": self.family},
            "displayName": self.display,
            "emails": [{"value": self.email, "type": "work", "primary": true}],
            "active": true,
        })
    }

    /// Who that is at the suite's OpenID Provider.
    pub fn subject(&self, link: Link, tenant: &str) -> Subject {
        let sub = match link {
            Link::ExternalId => self.external_id.clone(),
            // Nothing but the address links the two.
            Link::UserName | Link::Email => format!("sub-of-{}", self.external_id),
        };
        Subject { sub, email: self.email.clone(), email_verified: true, name: self.display.clone(), tenant: tenant.to_owned() }
    }
}
