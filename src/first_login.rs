//! Why the first login at an application did not work: what happened, where, and what to do about it.

use crate::counterpart::provider::{Fetched, Provider};
use crate::stage::Stage;
use crate::stage::app_world::AppWorld;
use crate::stage::browser::Landing;
use crate::stage::oracle::{Rule, loops, place, same_origin};
use crate::stage::visitor::Visitor;

/// All that is known of the first login.
#[derive(Debug, Default)]
pub struct FirstLogin {
    /// The protected page afterwards.
    pub shown: Landing,
    /// Where the start page led to.
    landing: Landing,
    start: String,
    issuer: String,
    /// `https://host:port` of the provider's endpoints: issuer, token endpoint and JWK Set, UserInfo.
    places: Vec<String>,
    /// Authorization requests of this browser on the way from the start page, as they were answered.
    requests: Vec<&'static str>,
    /// The protected page itself leads to an authorization request.
    protected_asks: bool,
    /// Authorization requests of somebody else's browser.
    strangers: usize,
    /// Status and error of token requests.
    tokens: Vec<(u16, &'static str)>,
    /// Conventional paths it called that no metadata names.
    traps: Vec<String>,
    metadata_fetched: bool,
    keys_fetched: bool,
    /// Where the application broke off a TLS handshake, and the alert.
    distrusts: Option<(String, u8)>,
    cookies: usize,
    scripts: bool,
}

impl FirstLogin {
    /// Gathers it. So many authorization requests (`asked`) arrived before the protected page was opened.
    pub fn seen(stage: &Stage, app: &AppWorld, user: &Visitor, asked: usize, landing: Landing, shown: Landing) -> Self {
        let provider = &app.provider;
        let log = provider.log();
        let fetched = |wanted: fn(Fetched) -> bool| log.fetches.iter().any(|fetch| wanted(fetch.what));
        let cookies = app.cookies.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        FirstLogin {
            shown,
            landing,
            start: app.app.start().to_owned(),
            issuer: provider.issuer().to_owned(),
            places: provider.places().iter().map(|(place, _)| format!("https://{place}")).collect(),
            requests: log.authorizations_of(&user.id).iter().take(asked).map(|request| request.answered).collect(),
            protected_asks: log.authorizations_of(&user.id).len() > asked,
            strangers: log.authorizations.iter().filter(|request| request.context.is_none()).count(),
            tokens: log.tokens_of(&user.id).iter().map(|token| (token.status, token.error)).collect(),
            traps: log.fetches.iter().filter(|fetch| fetch.what == Fetched::Trap).map(|fetch| fetch.path.clone()).collect(),
            metadata_fetched: fetched(|what| matches!(what, Fetched::Metadata(_))),
            keys_fetched: fetched(|what| what == Fetched::Jwks),
            distrusts: distrusts(provider),
            cookies: cookies.iter().filter(|cookie| cookie.context == user.id && !cookie.value.is_empty()).count(),
            scripts: stage.world.agent.scripts(),
        }
    }

    /// The code was redeemed, and the protected page is one.
    pub fn succeeded(&self) -> bool {
        self.tokens.iter().any(|(status, _)| *status == 200) && self.shown.error.is_none() && self.shown.status < 400
    }

    /// It may be the moment and not the configuration.
    pub fn may_work_later(&self) -> bool {
        let busy = |landing: &Landing| {
            landing.error.as_ref().is_some_and(|error| !loops(error)) || landing.status >= 500 || landing.status == 429
        };
        busy(&self.landing) || busy(&self.shown)
    }

    /// It fails for a reason that is a finding of the run, not of the configuration: endpoints that the application has made up.
    pub fn is_a_finding(&self) -> bool {
        !self.traps.is_empty()
    }

    /// Where the browser was left, in words.
    pub fn place(&self) -> String {
        describe(&self.landing)
    }

    /// The places of a visit, each once.
    pub fn places(landing: &Landing) -> String {
        let mut places: Vec<String> = Vec::new();
        for hop in &landing.hops {
            let place = place(&hop.url);
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places.join(" -> ")
    }

    /// What happened, and the remedy.
    pub fn diagnose(&self, declared: Option<&Rule>) -> (String, String) {
        if [&self.landing, &self.shown].iter().any(|landing| landing.status == 429) {
            let help = "Wait until the limit is over, and set network.rate to the requests per second it takes.";
            return (
                format!("the application limits the rate of requests: the first login ends at {}", self.place()),
                help.into(),
            );
        }
        if let Some(path) = self.traps.first() {
            return (
                format!("the first login did not succeed: the application called {path} at the suite's provider, which no metadata names"),
                "It must take its endpoints from the metadata (sl1.app.discovery-used); with [app.logged_in] declared the run goes on all the same.".into(),
            );
        }
        if self.requests.is_empty() { self.not_asked() } else { self.not_signed_in(declared) }
    }

    /// No authorization request of our browser arrived.
    fn not_asked(&self) -> (String, String) {
        let (start, issuer, page) = (&self.start, &self.issuer, self.place());
        let reach = format!("it must be able to reach {} and trust counterpart.ca", self.places.join(", "));
        if let Some((place, alert)) = &self.distrusts {
            return (
                format!(
                    "the application broke off the TLS handshake with the suite's provider at {place} ({})",
                    alert_name(*alert)
                ),
                "Install the certificate of counterpart.ca where the application looks for trusted authorities, and restart it."
                    .into(),
            );
        }
        if let Some(error) = self.landing.error.as_ref().filter(|error| loops(error)) {
            return (
                format!(
                    "{start} redirects in a loop and never to the suite's provider {issuer} ({error}): {}",
                    Self::places(&self.landing)
                ),
                "Open the page in a browser of your own; name the URL that starts a login in app.start_url.".into(),
            );
        }
        if self.strangers > 0 {
            return (
                format!("an authorization request arrived at {issuer}, but not from the suite's browser, which is at {page}"),
                "The application must send the browser itself to its provider; name the URL that does so in app.start_url."
                    .into(),
            );
        }
        let fetched = if self.metadata_fetched {
            "the application did fetch the provider's metadata".to_owned()
        } else {
            format!("the application never fetched {issuer}/.well-known/openid-configuration")
        };
        let message =
            format!("{start} leads to no authorization request at the suite's provider {issuer}: it ends at {page}; {fetched}");
        let help = if self.protected_asks {
            "app.protected_url itself leads to the provider: leave app.start_url out, or name a URL that starts a login.".into()
        } else if !self.metadata_fetched {
            format!("Configure the application with this issuer; {reach}. Check app.start_url as well.")
        } else if !self.scripts && self.landing.html.contains("<script") {
            "The page works by scripts, which the form agent does not run: try --browser chrome, or check app.start_url.".into()
        } else if self.landing.buttons.is_empty() || self.landing.status >= 400 || self.landing.error.is_some() {
            format!("Check app.start_url, client_id and the application's own log; {reach}.")
        } else {
            "Write what a user does on this page into app.login.steps, or name the URL that starts a login in app.start_url."
                .into()
        };
        (message, help)
    }

    /// The provider was asked, and nobody is signed in.
    fn not_signed_in(&self, declared: Option<&Rule>) -> (String, String) {
        let (page, shown) = (self.place(), describe(&self.shown));
        let begin = "the first login did not succeed";
        let reach = self.places.get(1).map_or_else(|| self.issuer.clone(), Clone::clone);
        if self.requests.first() == Some(&"error") {
            let help = "Configure the application for the authorization code flow.";
            return (format!("{begin}: its authorization request does not ask for a code"), help.into());
        }
        if let Some((at, alert)) = &self.distrusts {
            return (
                format!(
                    "{begin}: the application broke off the TLS handshake with the suite's provider at {at} ({})",
                    alert_name(*alert)
                ),
                "Install the certificate of counterpart.ca where the application looks for trusted authorities, and restart it."
                    .into(),
            );
        }
        if let Some((status, error)) = self.tokens.iter().find(|(status, _)| *status != 200)
            && !self.tokens.iter().any(|(status, _)| *status == 200)
        {
            return (
                format!("{begin}: its token request was answered with {status} {error}"),
                "Check app.client_id, app.client_secret, app.auth and app.jwks against the application's configuration.".into(),
            );
        }
        if let Some(error) = self.landing.error.as_ref().filter(|error| !loops(error)) {
            let redeemed = if self.tokens.is_empty() { "the code was not redeemed" } else { "the code was redeemed" };
            return (
                format!(
                    "{begin}: the application did not answer at its callback {} ({error}); {redeemed}",
                    place(&self.landing.url)
                ),
                format!(
                    "See the application's own log; it must be able to reach {reach}. Raise network.timeout_s if it needs longer."
                ),
            );
        }
        let looping = self.landing.error.as_ref().is_some_and(|error| loops(error));
        if looping || self.requests.len() > 1 && same_origin(&self.landing.url, &self.issuer) {
            return (
                format!(
                    "{begin}: the application loops between login and callback ({} authorization requests in one visit, {} cookies set): {}",
                    self.requests.len(),
                    self.cookies,
                    Self::places(&self.landing)
                ),
                "Its session is lost after the callback: check its cookie settings (Secure, SameSite, domain) and that one instance answers; see its own log.".into(),
            );
        }
        let none = if self.cookies == 0 { ", and the application set no cookie" } else { "" };
        if self.tokens.is_empty() {
            return (
                format!("{begin}: no token request arrived{none}; the browser ends at {page}"),
                format!("The application must be able to reach {reach} and trust counterpart.ca; see its own log."),
            );
        }
        if self.cookies == 0 {
            return (
                format!(
                    "{begin}: the code was redeemed, but the application set no cookie; {page}, and the protected page then is {shown}"
                ),
                "See the application's own log; a session that does not live in a cookie cannot be tested.".into(),
            );
        }
        let keys = if self.keys_fetched { "" } else { ", and the JWK Set was never fetched" };
        match declared.filter(|_| self.succeeded()) {
            Some(rule) => (
                format!("{begin}: the code was redeemed{keys}, but the protected page then does not show {}; it is {shown}", rule.describe()),
                "Check app.logged_in and app.protected_url; see the application's own log for a refused login.".into(),
            ),
            None => (
                format!("{begin}: the code was redeemed{keys}, but the callback ends at {page} and the protected page then is {shown}, so the suite cannot learn what a signed-in page looks like"),
                "Check app.client_id, app.id_token_alg, app.required_acr and app.users, that the application trusts counterpart.ca, and its own log.".into(),
            ),
        }
    }
}

fn describe(landing: &Landing) -> String {
    let mut parts = vec![place(&landing.url)];
    match &landing.error {
        Some(error) => parts.push(format!("({error})")),
        None => parts.push(format!("with status {}", landing.status)),
    }
    if !landing.title.trim().is_empty() {
        parts.push(format!("and the title \"{}\"", short(&landing.title)));
    }
    let buttons: Vec<String> = landing.buttons.iter().take(5).map(|button| format!("\"{}\"", short(&button.text))).collect();
    if !buttons.is_empty() {
        parts.push(format!("(buttons: {})", buttons.join(", ")));
    }
    parts.join(" ")
}

fn short(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.trim().chars().take(60).collect()
}

/// Where a client broke off a handshake because of our certificate.
fn distrusts(provider: &Provider) -> Option<(String, u8)> {
    let fronts = [&provider.front, &provider.back, &provider.resource];
    provider.places().into_iter().zip(fronts).find_map(|((place, _), front)| {
        let alert = front.connections().iter().find_map(|connection| connection.alert)?;
        Some((format!("https://{place}"), alert))
    })
}

/// Names of RFC 8446 6.2 for what a certificate can be refused with.
fn alert_name(alert: u8) -> String {
    let name = match alert {
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        48 => "unknown_ca",
        40 => "handshake_failure",
        70 => "protocol_version",
        _ => return format!("alert {alert}"),
    };
    format!("alert {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> FirstLogin {
        FirstLogin {
            landing: Landing {
                url: "https://app.test/login?x=1".into(),
                status: 200,
                title: "Oops".into(),
                ..Landing::default()
            },
            shown: Landing { url: "https://app.test/protected".into(), status: 200, ..Landing::default() },
            start: "https://app.test/login".into(),
            issuer: "https://op.test".into(),
            places: vec!["https://op.test:443".into(), "https://op.test:9444".into()],
            ..FirstLogin::default()
        }
    }

    fn told(login: &FirstLogin, message: &str, help: &str) {
        let told = login.diagnose(None);
        assert!(told.0.contains(message), "{}", told.0);
        assert!(told.1.contains(help), "{}", told.1);
    }

    #[test]
    fn a_login_that_never_asks_the_provider_is_told_with_what_is_to_be_reached() {
        told(&login(), "never fetched https://op.test/.well-known/openid-configuration", "https://op.test:9444");
        told(&FirstLogin { metadata_fetched: true, ..login() }, "title \"Oops\"", "app.start_url");
        told(&FirstLogin { distrusts: Some(("https://op.test:443".into(), 48)), ..login() }, "unknown_ca", "counterpart.ca");
        told(&FirstLogin { traps: vec!["/token".into()], ..login() }, "/token", "discovery-used");
        told(&FirstLogin { strangers: 1, ..login() }, "not from the suite's browser", "app.start_url");
    }

    #[test]
    fn a_login_that_is_not_completed_is_told_by_its_last_step() {
        let asked = || FirstLogin { requests: vec!["code"], metadata_fetched: true, ..login() };
        told(&asked(), "no token request arrived", "https://op.test:9444");
        let tokens = |status, error| FirstLogin { tokens: vec![(status, error)], ..asked() };
        told(&tokens(401, "invalid_client"), "401 invalid_client", "app.client_secret");
        told(&tokens(200, ""), "set no cookie", "its own log".trim_start_matches("its "));
        told(&FirstLogin { cookies: 2, ..tokens(200, "") }, "cannot learn", "app.id_token_alg");
        let page = Landing { url: "https://op.test/x".into(), status: 200, ..Landing::default() };
        told(&FirstLogin { requests: vec!["code", "hold"], landing: page, ..tokens(200, "") }, "loops", "cookie settings");
    }
}
