//! What all scenarios at an application share: its description, the provider that the suite plays for it, the oracle, the users.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{RwLock, Semaphore};

use super::World;
use super::browser::{Button, Landing};
use super::oracle::{Rule, place, same_origin};
use super::turn::places;
use crate::counterpart::provider::{Provider, Subject};
use crate::model::ExchangeId;
use crate::model::target::App;
use crate::suite::Obstacle;

/// The application under test and its provider.
pub struct AppWorld {
    /// As the target file describes it.
    pub app: App,
    /// The OpenID Provider it signs in at.
    pub provider: Provider,
    /// How a signed-in page is told from a signed-out one; known once the stage is set.
    rule: OnceLock<Rule>,
    /// The button between start page and authorization request, where the suite has found one.
    way: OnceLock<Button>,
    /// The main user and another one.
    pub users: [Subject; 2],
    /// The application's client secret, where it has one.
    pub client_secret: Option<String>,
    /// Cookies the application set, in the order seen; in memory only.
    pub cookies: Mutex<Vec<CookieSet>>,
    /// Browser contexts that were seen signed in.
    pub signed_in: Mutex<BTreeSet<String>>,
    /// Held by the one scenario at a time that sends session commands.
    pub commands: Arc<tokio::sync::Mutex<()>>,
    /// Shared by whoever keeps sessions for long; held alone by whoever calls a hook that may restart the application, which would end
    /// them. Taken before the provider's gate.
    pub sessions: RwLock<()>,
    /// Room for logins at the same time.
    pub places: Arc<Semaphore>,
}

/// A cookie that the application set.
#[derive(Clone, Debug)]
pub struct CookieSet {
    /// The browser context.
    pub context: String,
    /// Its name.
    pub name: String,
    /// Its value; empty where it was deleted.
    pub value: String,
    /// `Secure` was given.
    pub secure: bool,
    /// `HttpOnly` was given.
    pub http_only: bool,
    /// It came with an answer of the redirect URI.
    pub at_callback: bool,
    /// The exchange.
    pub exchange: ExchangeId,
}

impl CookieSet {
    /// Reads a Set-Cookie header field (RFC 6265 5.2).
    fn read(context: &str, header: &str, at_callback: bool, exchange: &str) -> Option<Self> {
        let mut parts = header.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let attributes: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
        let deleted = attributes.iter().any(|attribute| attribute == "max-age=0" || attribute.contains("1970"));
        Some(CookieSet {
            context: context.to_owned(),
            name: name.trim().to_owned(),
            value: if deleted { String::new() } else { value.trim().trim_matches('"').to_owned() },
            secure: attributes.iter().any(|attribute| attribute == "secure"),
            http_only: attributes.iter().any(|attribute| attribute == "httponly"),
            at_callback,
            exchange: exchange.to_owned(),
        })
    }
}

impl AppWorld {
    /// With the rule that the operator declared, where there is one.
    pub fn new(app: App, provider: Provider, users: [Subject; 2], client_secret: Option<String>) -> Self {
        let rule = Rule::declared(&app.logged_in).map(OnceLock::from).unwrap_or_default();
        AppWorld {
            app,
            provider,
            rule,
            way: OnceLock::new(),
            users,
            client_secret,
            cookies: Mutex::default(),
            signed_in: Mutex::default(),
            commands: Arc::default(),
            sessions: RwLock::default(),
            places: places(),
        }
    }

    /// How a signed-in page is told from a signed-out one. Before anybody knows, no page is a signed-in one.
    pub fn rule(&self) -> &Rule {
        self.rule.get().unwrap_or(&Rule::Unknown)
    }

    /// Settles the rule; the first one stays.
    pub fn settle(&self, rule: Rule) {
        let _ = self.rule.set(rule);
    }

    /// The button between start page and authorization request, where the suite has found one.
    pub fn way(&self) -> Option<&Button> {
        self.way.get()
    }

    /// Keeps that button; the first one stays.
    pub fn settle_way(&self, button: Button) {
        let _ = self.way.set(button);
    }

    /// Takes note of the cookies that were set on the way of a visit.
    pub fn note_cookies(&self, context: &str, landing: &Landing) {
        let redirect = |url: &str| {
            let place = place(url);
            self.app.redirect_uris.contains(&place) || url.contains("code=") && url.contains("iss=")
        };
        let mut cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        for hop in landing.hops.iter().filter(|hop| !same_origin(&hop.url, self.provider.issuer())) {
            let set = hop.headers.iter().filter(|(name, _)| name == "set-cookie");
            // Chrome joins several fields of one name by line feeds.
            let lines = set.flat_map(|(_, value)| value.split('\n'));
            cookies.extend(lines.filter_map(|line| CookieSet::read(context, line, redirect(&hop.url), &hop.exchange)));
        }
    }

    /// A user nobody has seen before; `what` tells it from others of this run.
    pub fn somebody(&self, what: &str) -> Subject {
        made_up(&format!("{}-{what}", self.users[0].sub), what, &self.app.tenant)
    }
}

/// The users of a run: those of the target file, else two made up for this run.
pub fn users(app: &App, run_id: &str) -> [Subject; 2] {
    let declared = |index: usize| {
        app.users.get(index).map(|user| Subject {
            sub: user.sub.clone(),
            email: user.email.clone(),
            email_verified: true,
            name: user.name.clone(),
            tenant: app.tenant.clone(),
        })
    };
    let user =
        |index: usize, name: &str| declared(index).unwrap_or_else(|| made_up(&format!("{run_id}-{name}"), name, &app.tenant));
    [user(0, "alice"), user(1, "bob")]
}

fn made_up(sub: &str, name: &str, tenant: &str) -> Subject {
    Subject {
        sub: sub.to_owned(),
        email: format!("{sub}@ipsie-conform.test"),
        email_verified: true,
        name: format!("Suite {name}"),
        tenant: tenant.to_owned(),
    }
}

impl World {
    /// The application under test, or why there is none.
    pub fn app(&self) -> Result<&AppWorld, Obstacle> {
        self.app
            .as_ref()
            .ok_or_else(|| Obstacle::config("the target file has no table [app]", "Add [app], or test another role."))
    }
}
