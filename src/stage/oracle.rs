//! Whether the application's session is alive, read at the application: what a page shows to a signed-in user and to nobody else.

use scraper::Selector;
use serde::{Deserialize, Serialize};
use url::Url;

use super::browser::Landing;
use crate::model::ExchangeId;
use crate::model::target::{Identity, Marker};

/// How a signed-in page is told from a signed-out one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Nobody knows: no page counts as signed in.
    Unknown,
    /// As the operator declared it.
    Declared(DeclaredMarker),
    /// As one anonymous and one signed-in visit differed.
    Calibrated(Signs),
}

/// A declared marker; everything given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredMarker {
    /// CSS selector that matches an element.
    pub selector: Option<String>,
    /// Text that the document contains.
    pub text: Option<String>,
    /// HTTP status of the document.
    pub status: Option<u16>,
}

/// Signs of a signed-in page that an anonymous visit does not show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signs {
    /// The page shown, without query and fragment: an anonymous visitor is led elsewhere.
    pub place: Option<String>,
    /// HTTP status of the document.
    pub status: Option<u16>,
    /// Document title.
    pub title: Option<String>,
    /// The page has a password field for nobody who is signed in.
    pub no_password_field: bool,
}

impl Rule {
    /// The operator's marker, where one is declared.
    pub fn declared(marker: &Marker) -> Option<Rule> {
        (!marker.is_empty()).then(|| {
            Rule::Declared(DeclaredMarker { selector: marker.selector.clone(), text: marker.text.clone(), status: marker.status })
        })
    }

    /// What differs between the protected page for nobody and for a signed-in user; `None` where nothing does.
    pub fn calibrate(anonymous: &Landing, signed_in: &Landing) -> Option<Rule> {
        let differing = |a: &str, b: &str| (a != b && !b.is_empty()).then(|| b.to_owned());
        let password = |landing: &Landing| landing.fields.iter().any(|field| field.kind == "password");
        let signs = Signs {
            place: differing(&place(&anonymous.url), &place(&signed_in.url)),
            status: (anonymous.status != signed_in.status && signed_in.status != 0).then_some(signed_in.status),
            title: differing(&anonymous.title, &signed_in.title),
            no_password_field: password(anonymous) && !password(signed_in),
        };
        // A title alone may name the page or the time; it supports the other signs and is no sign by itself.
        (signs.place.is_some() || signs.status.is_some() || signs.no_password_field).then_some(Rule::Calibrated(signs))
    }

    /// Does this page belong to a signed-in user?
    pub fn holds(&self, landing: &Landing) -> bool {
        if landing.error.is_some() {
            return false;
        }
        match self {
            Rule::Unknown => false,
            Rule::Declared(marker) => {
                marker.selector.as_ref().is_none_or(|selector| element_text(&landing.html, selector).is_some())
                    && marker.text.as_ref().is_none_or(|text| landing.html.contains(text.as_str()))
                    && marker.status.is_none_or(|status| landing.status == status)
            }
            Rule::Calibrated(signs) => {
                signs.place.as_ref().is_none_or(|known| *known == place(&landing.url))
                    // Where the status does not tell the two apart, an error page still belongs to nobody.
                    && signs.status.map_or(landing.status < 400, |status| landing.status == status)
                    && !(signs.no_password_field && landing.fields.iter().any(|field| field.kind == "password"))
            }
        }
    }

    /// What it relies on, for the live view and the report.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        match self {
            Rule::Unknown => {}
            Rule::Declared(marker) => {
                parts.extend(marker.selector.as_ref().map(|selector| format!("an element `{selector}`")));
                parts.extend(marker.text.as_ref().map(|text| format!("the text \"{text}\"")));
                parts.extend(marker.status.map(|status| format!("status {status}")));
            }
            Rule::Calibrated(signs) => {
                parts.extend(signs.place.as_ref().map(|place| format!("it is shown at {place}")));
                parts.extend(signs.status.map(|status| format!("status {status}")));
                parts.extend(signs.no_password_field.then(|| "it has no password field".to_owned()));
            }
        }
        parts.join(", ")
    }
}

/// A loop between login and callback is a refusal, ugly as it is; a connection that fails says nothing.
pub fn loops(error: &str) -> bool {
    error.contains("TOO_MANY_REDIRECTS")
}

/// Why this page says nothing about a session: the application limits the rate of requests, or something in front of it answers while it is
/// down.
fn busy(landing: &Landing) -> Option<String> {
    match landing.status {
        429 => Some("it limits the rate of requests (status 429); set network.rate".to_owned()),
        502..=504 => Some(format!("it is out of service (status {})", landing.status)),
        _ => None,
    }
}

/// Why nothing can be concluded from what follows this visit: it was not answered, or refused for being one too many. A visit that ends at
/// the provider, or in a loop, was answered.
pub fn disturbed(landing: &Landing, issuer: &str) -> Option<String> {
    if same_origin(&landing.url, issuer) {
        return None;
    }
    let lost = landing.error.clone().filter(|error| !loops(error));
    lost.or_else(|| busy(landing).filter(|_| landing.status == 429))
        .map(|why| format!("{} during the login: {why}", place(&landing.url)))
}

/// URL without query and fragment.
pub fn place(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// The text of the first element that matches, trimmed; `None` where none matches. A wrong selector matches nothing.
pub fn element_text(html: &str, selector: &str) -> Option<String> {
    let selector = Selector::parse(selector).ok()?;
    let document = super::html::parse(html);
    let element = document.select(&selector).next()?;
    Some(element.text().collect::<String>().trim().to_owned())
}

/// What the application showed at one look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The page belongs to a signed-in user.
    pub signed_in: bool,
    /// The account identifier it shows, where an identity marker is declared.
    pub account: Option<String>,
    /// It shows attributes of the stranger whom UserInfo presents under a twist.
    pub stranger: bool,
    /// The page shown, without query and fragment.
    pub place: String,
    /// Its HTTP status.
    pub status: u16,
    /// The browser was led to the suite's provider.
    pub at_provider: bool,
    /// The application gave no answer at all: nothing can be concluded from it.
    pub unreachable: Option<String>,
    /// The visits.
    pub cites: Vec<ExchangeId>,
}

impl Look {
    /// What a landing on a page of the application shows.
    pub fn at(landing: &Landing, rule: &Rule, issuer: &str) -> Self {
        let at_provider = same_origin(&landing.url, issuer);
        let unreachable = landing.error.clone().filter(|error| !loops(error)).or_else(|| busy(landing));
        Look {
            signed_in: !at_provider && unreachable.is_none() && rule.holds(landing),
            account: None,
            stranger: landing.html.contains(crate::counterpart::provider::FOREIGN_SUB)
                || landing.html.contains(crate::counterpart::provider::FOREIGN_NAME)
                || landing.html.contains(crate::counterpart::provider::FOREIGN_EMAIL),
            place: place(&landing.url),
            status: landing.status,
            at_provider,
            unreachable,
            cites: landing.hops.iter().rev().take(4).rev().map(|hop| hop.exchange.clone()).collect(),
        }
    }

    /// Reads the account identifier from a page.
    pub fn with_account(mut self, landing: &Landing, identity: &Identity) -> Self {
        self.account = element_text(&landing.html, &identity.selector).filter(|text| !text.is_empty());
        self
    }

    /// What was seen, in words.
    pub fn describe(&self) -> String {
        if let Some(why) = &self.unreachable {
            return format!("no answer from {}: {why}", self.place);
        }
        let who = self.account.as_ref().map(|account| format!(" as {account}")).unwrap_or_default();
        let state = if self.signed_in { format!("signed in{who}") } else { "not signed in".into() };
        format!("{state} ({} with status {})", self.place, self.status)
    }
}

/// Do two URLs have the same scheme, host and port?
pub fn same_origin(a: &str, b: &str) -> bool {
    match (Url::parse(a), Url::parse(b)) {
        (Ok(a), Ok(b)) => a.origin() == b.origin(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn landing(url: &str, status: u16, html: &str) -> Landing {
        Landing { url: url.into(), status, html: html.into(), ..Landing::default() }
    }

    #[test]
    fn a_page_that_nobody_else_is_led_to_is_a_sign() {
        let anonymous = landing("https://op.test/sign-in?x=1", 200, "");
        let signed_in = landing("https://app.test/protected", 200, "");
        let rule = Rule::calibrate(&anonymous, &signed_in).unwrap();
        assert!(rule.holds(&signed_in) && !rule.holds(&anonymous));
        assert!(!rule.holds(&landing("https://app.test/callback", 400, "")));
    }

    #[test]
    fn two_pages_that_look_alike_cannot_be_told_apart() {
        let page = landing("https://app.test/", 200, "");
        assert_eq!(Rule::calibrate(&page, &Landing { title: "12:00".into(), ..page.clone() }), None);
    }

    #[test]
    fn an_application_that_is_busy_says_nothing() {
        let rule = Rule::Declared(DeclaredMarker { text: Some("Hello".into()), ..DeclaredMarker::default() });
        for status in [429, 502, 503, 504] {
            let look = Look::at(&landing("https://app.test/", status, ""), &rule, "https://op.test");
            assert!(look.unreachable.is_some(), "{status}");
        }
        assert!(Look::at(&landing("https://app.test/", 500, ""), &rule, "https://op.test").unreachable.is_none());
        let callback = |status| disturbed(&landing("https://app.test/callback", status, ""), "https://op.test");
        assert!(callback(429).is_some_and(|why| why.contains("network.rate")));
        // What fails because the provider misbehaves is the application's answer.
        assert!(callback(502).is_none() && callback(400).is_none());
    }

    #[test]
    fn an_error_page_at_the_place_of_a_session_is_none() {
        let anonymous = landing("https://op.test/sign-in", 200, "");
        let rule = Rule::calibrate(&anonymous, &landing("https://app.test/protected", 200, "")).unwrap();
        let at = |status| Look::at(&landing("https://app.test/protected", status, ""), &rule, "https://op.test");
        assert!(at(200).signed_in);
        for status in [401, 403, 500] {
            assert!(!at(status).signed_in && at(status).unreachable.is_none(), "{status}");
        }
        assert!(!at(429).signed_in && at(429).unreachable.is_some());
    }

    #[test]
    fn all_of_a_declared_marker_must_hold() {
        let marker = Marker { selector: Some("#who".into()), text: Some("Hello".into()), status: None };
        let rule = Rule::declared(&marker).unwrap();
        assert!(rule.holds(&landing("https://app.test/", 200, "<p id=who>Hello</p>")));
        assert!(!rule.holds(&landing("https://app.test/", 200, "<p>Hello</p>")));
        assert!(Rule::declared(&Marker::default()).is_none());
    }

    #[test]
    fn a_connection_that_fails_says_nothing_and_a_loop_is_a_refusal() {
        let rule = Rule::Calibrated(Signs::default());
        let down = Landing { error: Some("net::ERR_CONNECTION_REFUSED".into()), ..landing("https://app.test/", 0, "") };
        let looping = Landing { error: Some("net::ERR_TOO_MANY_REDIRECTS".into()), ..down.clone() };
        assert!(Look::at(&down, &rule, "https://op.test").unreachable.is_some());
        let look = Look::at(&looping, &rule, "https://op.test");
        assert!(look.unreachable.is_none() && !look.signed_in);
    }
}
