//! Scripted faults: what goes wrong for requests about one user, a number of times.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429 with `Retry-After` in seconds (RFC 6585 4).
    TooMany(u64),
    /// 429 with `Retry-After` as an HTTP date so many seconds ahead (RFC 9110 10.2.3).
    TooManyUntil(u64),
    /// 503.
    Unavailable,
    /// The connection is closed before anything is done.
    Dropped,
    /// The request is carried out, then the connection is closed without an answer.
    AnswerLost,
    /// The request is carried out after this time.
    Delayed(Duration),
    /// 404, whatever is there.
    NotFound,
    /// 401 invalid_token, whatever the token.
    InvalidToken,
    /// 400 invalidValue.
    InvalidValue,
}

impl Fault {
    /// What happens, in words.
    pub fn describe(&self) -> String {
        match self {
            Fault::TooMany(seconds) => format!("answered 429 with Retry-After: {seconds}"),
            Fault::TooManyUntil(seconds) => format!("answered 429 with Retry-After as a date {seconds} s ahead"),
            Fault::Unavailable => "answered 503".into(),
            Fault::Dropped => "connection closed".into(),
            Fault::AnswerLost => "carried out, answer lost".into(),
            Fault::Delayed(time) => format!("answered after {} s", time.as_secs_f32()),
            Fault::NotFound => "answered 404".into(),
            Fault::InvalidToken => "answered 401 invalid_token".into(),
            Fault::InvalidValue => "answered 400 invalidValue".into(),
        }
    }
}

/// A fault and the requests that it befalls.
#[derive(Clone, Debug)]
pub struct Rule {
    /// A text of the request (path, query, body) or of the resource it addresses, compared without case: a userName, an externalId.
    pub whose: String,
    /// Only these methods; empty for all that write.
    pub methods: Vec<&'static str>,
    /// The body must also hold this text; empty for any body.
    pub body: String,
    /// What goes wrong.
    pub fault: Fault,
    /// How often.
    pub times: usize,
}

impl Rule {
    /// A fault for requests that write about this user.
    pub fn of(whose: &str, fault: Fault, times: usize) -> Self {
        Rule { whose: whose.to_owned(), methods: Vec::new(), body: String::new(), fault, times }
    }

    /// Only for these methods.
    #[must_use]
    pub fn on(mut self, methods: &[&'static str]) -> Self {
        self.methods = methods.to_vec();
        self
    }

    /// Only where the body holds this text.
    #[must_use]
    pub fn with(mut self, body: &str) -> Self {
        self.body = body.to_lowercase();
        self
    }

    fn fits(&self, method: &str, body: &str, texts: &[String]) -> bool {
        let methods = if self.methods.is_empty() { &["POST", "PUT", "PATCH", "DELETE"][..] } else { &self.methods[..] };
        let whose = self.whose.to_lowercase();
        methods.contains(&method) && body.contains(&self.body) && texts.iter().any(|text| text.contains(&whose))
    }
}

/// The faults of a run, in the order in which they were scripted.
#[derive(Debug, Default)]
pub struct Script(Mutex<Vec<Rule>>);

impl Script {
    /// Adds a fault.
    pub fn add(&self, rule: Rule) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// Takes away what is left for this user.
    pub fn clear(&self, whose: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|rule| rule.whose != whose);
    }

    /// The fault of this request, which is then used up once. `texts` are in lower case, `body` is among them.
    pub fn take(&self, method: &str, body: &str, texts: &[String]) -> Option<Fault> {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = rules.iter_mut().find(|rule| rule.times > 0 && rule.fits(method, body, texts))?;
        rule.times -= 1;
        Some(rule.fault.clone())
    }
}

/// An HTTP date (RFC 9110 5.6.7) so many seconds from now.
pub fn http_date(seconds: u64) -> String {
    let then = Timestamp::now() + Duration::from_secs(seconds);
    DateTimePrinter::new().timestamp_to_rfc9110_string(&then).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_befalls_its_user_so_many_times() {
        let script = Script::default();
        script.add(Rule::of("Anna.run-1", Fault::Unavailable, 2));
        script.add(Rule::of("Anna.run-1", Fault::Dropped, 1));
        let texts = [r#"{"username":"anna.run-1@x"}"#.to_owned()];
        assert_eq!(script.take("GET", "", &texts), None);
        assert_eq!(script.take("PATCH", "", &["bert".into()]), None);
        for fault in [Some(Fault::Unavailable), Some(Fault::Unavailable), Some(Fault::Dropped), None] {
            assert_eq!(script.take("PATCH", "", &texts), fault);
        }
    }

    #[test]
    fn a_fault_may_need_a_method_and_a_text() {
        let script = Script::default();
        script.add(Rule::of("anna", Fault::InvalidValue, 1).on(&["PATCH"]).with("Reader"));
        assert_eq!(script.take("PUT", "reader", &["anna".into()]), None);
        assert_eq!(script.take("PATCH", "writer", &["anna".into()]), None);
        assert_eq!(script.take("PATCH", "reader", &["anna".into()]), Some(Fault::InvalidValue));
        assert!(http_date(20).ends_with(" GMT"), "{}", http_date(20));
    }
}
