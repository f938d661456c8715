//! app-thirdparty: a third party starts the login at the application (OIDC Core 4).

mod checks;
pub mod redirector;
mod visit;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::counterpart::authorize::OPEN_HOST;
use crate::counterpart::provider::Fetched;
use crate::model::ExchangeId;
use crate::stage::Stage;
use crate::stage::browser::Visit;
use crate::suite::{Check, Obstacle, Scenario};
use visit::{Journey, Purpose, Trip, journey, journeys};

/// A `login_hint` that has to be escaped wherever it goes.
const HINT: &str = "jörg+test%20&x=1@ipsie-conform.test";
/// Marks a link within the application.
const DEEP: &str = "ipsie-deep-link";

/// Starts logins at the initiation endpoint.
pub struct ThirdParty;

/// Where they led.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// `app.initiate_login_uri` is configured.
    pub declared: bool,
    /// Logins at the start URL, before and after, succeeded.
    pub held: bool,
    /// The endpoint with the right issuer, at the beginning and again at the end.
    pub get: Vec<Journey>,
    /// Everything else.
    pub others: Vec<Journey>,
    /// Fetches of the metadata of an issuer that is not configured.
    pub fetched: Vec<ExchangeId>,
}

impl Scenario for ThirdParty {
    type Seen = Seen;
    const ID: &'static str = "app-thirdparty";
    const TITLE: &'static str = "starts logins from a third party, with hints, links and issuers right and wrong";
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.app.third-party-login", checks::get_starts_a_login),
        Check::new("sl1.app.third-party-login-post", checks::post_starts_a_login),
        Check::new("sl1.app.third-party-unknown-iss", checks::an_unknown_issuer_is_not_asked),
        Check::new("sl1.app.third-party-target-link", checks::the_target_link_leads_nowhere_else),
        Check::new("sl1.app.third-party-login-hint", checks::the_login_hint_is_passed_on),
        Check::new("sl1.app.third-party-extra-params", checks::other_parameters_do_no_harm),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let app = stage.app()?;
        let endpoint = app.app.initiate_login_uri.as_str();
        let mut seen = Seen { declared: !endpoint.is_empty(), ..Seen::default() };
        if !seen.declared {
            return Ok(seen);
        }
        let issuer = app.provider.issuer();
        let right = || trip(endpoint, issuer, Purpose::Get, "the initiation endpoint with the issuer", &[]);
        let before = stage.login_control("control: login at the start URL").await?.signed_in();
        seen.get.push(journey(stage, right()).await?);
        if seen.get.iter().all(Journey::completed) {
            seen.others = journeys(stage, trips(stage, endpoint)?).await?;
            seen.get.push(journey(stage, right()).await?);
            stage.control(seen.get.iter().all(Journey::completed));
        }
        seen.held = before & stage.login_control("control: login at the start URL").await?.signed_in();
        let log = app.provider.log();
        let foreign = log.fetches.iter().filter(|fetch| fetch.what == Fetched::Foreign);
        seen.fetched = foreign.map(|fetch| fetch.exchange.clone()).collect();
        Ok(seen)
    }
}

fn trips(stage: &Stage, endpoint: &str) -> Result<Vec<Trip>, Obstacle> {
    let app = stage.app()?;
    let issuer = app.provider.issuer();
    let posted = Visit::Post { url: endpoint.to_owned(), fields: vec![("iss".into(), issuer.to_owned())] };
    let post = trip(endpoint, issuer, Purpose::Post, "the initiation endpoint by a form of another site", &[]);
    let mut out = vec![Trip { visit: posted, ..post }];
    // An issuer that begins like the configured one, so that a comparison of the beginning does not do.
    let foreign = [
        (app.provider.foreign_issuer(), "another issuer with metadata"),
        (format!("https://{OPEN_HOST}"), "another host"),
        ("https://127.0.0.1:1".to_owned(), "an internal address"),
        (format!("http://{OPEN_HOST}"), "another host without TLS"),
    ];
    for (iss, what) in foreign {
        let trip = trip(endpoint, &iss, Purpose::Foreign, &format!("iss names {what}"), &[]);
        out.push(Trip { shunned: iss, ..trip });
    }
    for value in away().into_iter().take(3) {
        out.push(trip(endpoint, issuer, Purpose::Target, &format!("target_link_uri = {value}"), &[("target_link_uri", &value)]));
    }
    let deep = with(&app.app.protected_url, &[(DEEP, "1")]);
    out.push(trip(endpoint, issuer, Purpose::DeepLink, "target_link_uri within the application", &[("target_link_uri", &deep)]));
    out.push(compared(trip(endpoint, issuer, Purpose::Hint, "a login_hint", &[("login_hint", HINT)]), &[("login_hint", HINT)]));
    out.push(trip(endpoint, issuer, Purpose::Unknown, "a parameter that nobody knows", &[("x-suite", "1")]));
    let tenant = if app.app.tenant.is_empty() { "suite-tenant" } else { &app.app.tenant };
    let hints = [("domain_hint", "ipsie-conform.test"), ("tenant", tenant)];
    out.push(compared(trip(endpoint, issuer, Purpose::Enterprise, "domain_hint and tenant", &hints), &hints));
    let other =
        trip(endpoint, issuer, Purpose::ClientId, "the client_id of somebody else", &[("client_id", "suite-other-client")]);
    out.push(compared(other, &[("client_id", &app.app.client_id)]));
    Ok(out)
}

fn trip(endpoint: &str, iss: &str, purpose: Purpose, what: &str, more: &[(&str, &str)]) -> Trip {
    let visit = Visit::Get(with(&with(endpoint, &[("iss", iss)]), more));
    Trip { purpose, what: what.to_owned(), visit, compare: Vec::new(), shunned: String::new() }
}

fn compared(trip: Trip, compare: &[(&str, &str)]) -> Trip {
    Trip { compare: compare.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(), ..trip }
}

/// A URL with more parameters.
fn with(url: &str, more: &[(&str, &str)]) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return url.to_owned() };
    if !more.is_empty() {
        parsed.query_pairs_mut().extend_pairs(more);
    }
    parsed.into()
}

/// The spellings of a place elsewhere that filters overlook.
fn away() -> [String; 5] {
    [
        format!("https://{OPEN_HOST}/open"),
        format!("//{OPEN_HOST}/open"),
        format!("/\\{OPEN_HOST}/open"),
        format!("https:{OPEN_HOST}/open"),
        format!("javascript:location='https://{OPEN_HOST}/open'"),
    ]
}
