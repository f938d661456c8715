//! The browser's part of idp-probe: login pages and the end session endpoint must not forward to arbitrary sites.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::counterpart::authorize::{OPEN_HOST, host_of, path_of};
use crate::counterpart::relying_party::AuthzRequest;
use crate::counterpart::token::TokenRequest;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::stage::browser::recipe::Until;
use crate::stage::browser::{Act, Landing, Visit};
use crate::suite::{Check, Obstacle, Scenario};

/// Parameters of login pages.
pub struct LoginPages;

/// The end session endpoint. Played at the very end, because it ends the session.
pub struct Logout;

/// An attempt to be forwarded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Attempt {
    /// What was tried.
    pub what: String,
    /// The suite's open host was reached.
    pub reached: bool,
    /// The attempt could not be finished.
    pub obstacle: Option<String>,
    /// Exchanges.
    pub cites: Vec<String>,
}

/// What the login pages did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PagesSeen {
    /// Names of all parameters of login page URLs.
    pub examined: Vec<String>,
    /// Those that hold a URL or a path.
    pub url_bearing: Vec<String>,
    /// Attempts.
    pub attempts: Vec<Attempt>,
}

/// What the end session endpoint did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LogoutSeen {
    /// It is advertised.
    pub advertised: bool,
    /// Attempts.
    pub attempts: Vec<Attempt>,
}

impl Scenario for LoginPages {
    type Seen = PagesSeen;
    const ID: &'static str = "idp-probe/login-pages";
    const TITLE: &'static str = "rewrites URL-bearing parameters of the login pages";
    const AFTER: &'static [&'static str] = &["idp-login", "idp-sso/session", "idp-mfa"];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<PagesSeen>] = &[Check::new("sl1.idp.no-open-redirector-authz", login_pages_forward_nowhere)];

    async fn play(stage: &Stage) -> Result<PagesSeen, Obstacle> {
        let main = stage.world.signed_in()?.clone();
        let mut seen = PagesSeen::default();
        let endpoint = stage.world.endpoint("authorization_endpoint")?.to_owned();
        let mut places: Vec<(String, String)> = Vec::new();
        for page in main
            .pages
            .iter()
            .filter(|page| path_of(page) != endpoint && !host_of(page).is_some_and(|host| stage.is_suite_host(&host)))
        {
            let Ok(url) = Url::parse(page) else { continue };
            for (name, value) in url.query_pairs() {
                if !seen.examined.contains(&name.to_string()) {
                    seen.examined.push(name.to_string());
                }
                if bears_url(&name, &value) && !places.iter().any(|(_, known)| *known == name) {
                    seen.url_bearing.push(name.to_string());
                    places.push((page.clone(), name.to_string()));
                }
            }
        }
        for (_, name) in &places {
            // With a live session many products forward at once; credentials need not be typed for that.
            for value in forms() {
                let mut page = main.context.page(stage.scenario).await?;
                let what = format!("`{name}` set to {value}, signed in");
                let Some(url) = fresh_login_page(stage, name).await? else {
                    let obstacle = Some("the parameter did not appear again".to_owned());
                    seen.attempts.push(Attempt { what, obstacle, ..Attempt::default() });
                    continue;
                };
                let landing = page.go(Visit::Get(with_param(&url, name, &value)), &what).await?;
                seen.attempts.push(attempt(&what, &landing));
            }
            // A sign-in with a one-time code may have to wait for the next one: the two usual spellings are finished then, else all.
            let finished = if stage.world.other_user()?.totp.is_some() { 2 } else { forms().len() };
            for value in forms().into_iter().take(finished) {
                seen.attempts.push(sign_in_with(stage, name, &value).await?);
            }
        }
        Ok(seen)
    }
}

/// The spellings of an absolute URL that filters overlook.
fn forms() -> [String; 4] {
    [
        format!("https://{OPEN_HOST}/open"),
        format!("//{OPEN_HOST}/open"),
        format!("https:{OPEN_HOST}/open"),
        format!("/\\{OPEN_HOST}/open"),
    ]
}

fn bears_url(name: &str, value: &str) -> bool {
    const NAMES: [&str; 12] = [
        "returnurl",
        "return_url",
        "return_to",
        "goto",
        "fromuri",
        "relaystate",
        "next",
        "continue",
        "redirect",
        "redirecturl",
        "dest",
        "target",
    ];
    const PROTOCOL: [&str; 4] = ["redirect_uri", "request_uri", "post_logout_redirect_uri", "client_id"];
    !PROTOCOL.contains(&name)
        && (NAMES.contains(&name.to_ascii_lowercase().as_str()) || value.starts_with("http") || value.starts_with('/'))
}

fn with_param(url: &str, name: &str, value: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return url.to_owned() };
    let pairs: Vec<(String, String)> = parsed
        .query_pairs()
        .map(|(key, old)| (key.to_string(), if key == name { value.to_owned() } else { old.to_string() }))
        .collect();
    parsed.query_pairs_mut().clear().extend_pairs(pairs);
    parsed.into()
}

/// The URL of a login page that holds the parameter, of a transaction of its own.
async fn fresh_login_page(stage: &Stage, name: &str) -> Result<Option<String>, Obstacle> {
    let context = stage.world.agent.context("nobody").await?;
    let mut page = context.page(stage.scenario).await?;
    let request = stage.request("main")?;
    let landing = page.go(Visit::Get(request.url(stage.world.endpoint("authorization_endpoint")?)), "a login page").await?;
    let urls = landing.hops.iter().rev().map(|hop| hop.url.clone()).chain([landing.url.clone()]);
    Ok(urls.filter_map(|url| Url::parse(&url).ok()).find(|url| url.query_pairs().any(|(key, _)| key == name)).map(Into::into))
}

/// Signs in on a login page whose parameter was rewritten.
async fn sign_in_with(stage: &Stage, name: &str, value: &str) -> Result<Attempt, Obstacle> {
    let user = stage.world.other_user()?;
    let context = stage.world.agent.context("rewritten login page").await?;
    let mut page = context.page(stage.scenario).await?;
    let what = format!("`{name}` set to {value}, sign-in finished");
    let request = stage.request("main")?;
    let landing = page.go(Visit::Get(request.url(stage.world.endpoint("authorization_endpoint")?)), "a login page").await?;
    let urls = landing.hops.iter().rev().map(|hop| hop.url.clone()).chain([landing.url.clone()]);
    let Some(url) = urls.filter_map(|url| Url::parse(&url).ok()).find(|url| url.query_pairs().any(|(key, _)| key == name)) else {
        return Ok(Attempt { what, obstacle: Some("the parameter did not appear again".into()), ..Attempt::default() });
    };
    let landing = page.go(Visit::Get(with_param(url.as_str(), name, value)), &what).await?;
    if landing.arrival.is_some() {
        return Ok(attempt(&what, &landing));
    }
    let before = landing.clone();
    match stage.finish_sign_in(page.as_mut(), landing, user, Until::Arrival).await {
        Ok(signed_in) => Ok(attempt(&what, &signed_in.whole())),
        // The rewritten page was refused, or the sign-in ended on a page of the identity service; anything else decides nothing.
        Err(obstacle) => {
            let mut rest = page.look().await?;
            let ended = rest.status >= 400 || !crate::stage::browser::recipe::asks_for_credentials(&rest);
            rest.hops = before.hops;
            let mut seen = attempt(&what, &rest);
            if !ended && !seen.reached {
                seen.obstacle = Some(obstacle.message);
            }
            Ok(seen)
        }
    }
}

fn attempt(what: &str, landing: &Landing) -> Attempt {
    let open = |url: &str| host_of(url).is_some_and(|host| host == OPEN_HOST);
    let reached = landing.arrival.as_ref().is_some_and(|arrival| open(&arrival.url))
        || landing.hops.iter().any(|hop| open(&hop.url) || hop.location().is_some_and(|url| open(&url)));
    let dead = landing.error.clone().filter(|_| landing.status == 0 && landing.hops.is_empty());
    // Who asks to come back later has not decided whether to forward.
    let busy = matches!(landing.status, 429 | 503).then(|| format!("status {}", landing.status));
    Attempt {
        what: what.to_owned(),
        reached,
        obstacle: dead.or(busy),
        cites: landing.hops.iter().map(|hop| hop.exchange.clone()).collect(),
    }
}

impl Scenario for Logout {
    type Seen = LogoutSeen;
    const ID: &'static str = "idp-probe/logout";
    const TITLE: &'static str = "asks the end session endpoint to forward to an unregistered URI";
    const AFTER: &'static [&'static str] = &["*"];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<LogoutSeen>] = &[Check::new("sl1.idp.no-open-redirector-logout", logout_forwards_nowhere)];

    async fn play(stage: &Stage) -> Result<LogoutSeen, Obstacle> {
        let Some(endpoint) = stage.world.discovery.get("end_session_endpoint").map(str::to_owned) else {
            return Ok(LogoutSeen::default());
        };
        let mut seen = LogoutSeen { advertised: true, ..LogoutSeen::default() };
        let mut context = stage.world.signed_in()?.context.clone();
        let mut request = stage.request("main")?;
        let mut authz = stage.authorize(&context, &request, "login before the logout").await?;
        // An administrator's actions, tried before, may have ended the session.
        if authz.code.is_none()
            && let Some(user) = stage.world.idp.users.first()
        {
            context = stage.world.agent.context("login before the logout").await?;
            request = AuthzRequest { login: "logout", ..stage.request("main")? };
            let url = request.url(stage.world.endpoint("authorization_endpoint")?);
            let what = "login before the logout, typed";
            match stage.sign_in(&context, &request, user, Visit::Get(url), Until::Arrival, what).await {
                Ok((again, ..)) => authz = again,
                Err(obstacle) => stage.note(format!("no login before the logout: {}", obstacle.message)),
            }
        }
        let mut hint = None;
        if let Some(code) = &authz.code {
            let redeem = TokenRequest::code(&request, code, "token request before the logout").login(request.login);
            hint = stage.token(&redeem, None).await?.1.id_token_raw;
        }
        let client_id = request.get("client_id").to_owned();
        let tries: [(&str, Vec<(&str, &str)>); 3] = [
            (
                "with client_id and id_token_hint",
                hint.iter().map(|hint| ("id_token_hint", hint.as_str())).chain([("client_id", client_id.as_str())]).collect(),
            ),
            ("with client_id", vec![("client_id", client_id.as_str())]),
            ("with the URI alone", Vec::new()),
        ];
        let target = format!("https://{OPEN_HOST}/open");
        for (what, params) in tries {
            if hint.is_none() && what.contains("id_token_hint") {
                let obstacle = Some("there is no ID token to hint with: the session had ended".to_owned());
                seen.attempts.push(Attempt { what: what.to_owned(), obstacle, ..Attempt::default() });
                continue;
            }
            let pairs = params.into_iter().chain([("post_logout_redirect_uri", target.as_str()), ("state", "open")]);
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            let mut page = context.page(stage.scenario).await?;
            let separator = if endpoint.contains('?') { '&' } else { '?' };
            let mut landing = page.go(Visit::Get(format!("{endpoint}{separator}{query}")), what).await?;
            if let Some(button) = confirm(&landing) {
                let hops = landing.hops.clone();
                landing = page.act(&[Act::Click { at: button }], &format!("{what}: confirm")).await?;
                landing.hops = hops.into_iter().chain(landing.hops).collect();
            }
            seen.attempts.push(attempt(what, &landing));
        }
        Ok(seen)
    }
}

/// The button that confirms a logout: the first that submits and does not say no.
pub(super) fn confirm(landing: &Landing) -> Option<String> {
    let no = ["cancel", "no", "stay", "deny", "abort", "back"];
    let says_no = |text: &str| text.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|word| no.contains(&word));
    let page = landing.arrival.is_none() && landing.status < 400;
    landing.buttons.iter().find(|button| page && button.submits && !says_no(&button.text)).map(|button| button.at.clone())
}

fn forwards_nowhere(attempts: &[Attempt], pass: &str) -> Judgement {
    let mut found = Findings::new();
    for attempt in attempts {
        if attempt.reached {
            found.broken(
                format!("{}: the browser was sent to https://{OPEN_HOST}/open", attempt.what),
                &attempt.cites.iter().rev().take(1).cloned().collect::<Vec<_>>(),
            );
        } else if let Some(obstacle) = &attempt.obstacle {
            found.undecided(format!("{}: {obstacle}", attempt.what), &attempt.cites);
        } else {
            found.saw(&attempt.cites);
        }
    }
    if attempts.is_empty() { Judgement::undecided("nothing was tried") } else { found.conclude(pass) }
}

fn login_pages_forward_nowhere(seen: &PagesSeen) -> Judgement {
    if seen.url_bearing.is_empty() {
        let names = if seen.examined.is_empty() { "none".to_owned() } else { seen.examined.join(", ") };
        return Judgement::undecided(format!(
            "no parameter of the login pages bears a URL (examined: {names}); the absence cannot be proven from outside"
        ));
    }
    forwards_nowhere(&seen.attempts, &format!("rewritten values of {} lead nowhere", seen.url_bearing.join(", ")))
}

fn logout_forwards_nowhere(seen: &LogoutSeen) -> Judgement {
    if !seen.advertised {
        return Judgement::not_applicable("no end_session_endpoint is advertised");
    }
    forwards_nowhere(&seen.attempts, "the end session endpoint does not forward to an unregistered URI")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;

    fn attempts(reached: bool) -> Vec<Attempt> {
        vec![Attempt { what: "probe".into(), reached, cites: vec!["x1".into()], ..Attempt::default() }]
    }

    #[test]
    fn being_forwarded_is_the_finding() {
        let pages = |reached| PagesSeen { url_bearing: vec!["next".into()], attempts: attempts(reached), ..PagesSeen::default() };
        assert_eq!(login_pages_forward_nowhere(&pages(false)).call, Call::Pass);
        assert_eq!(login_pages_forward_nowhere(&pages(true)).call, Call::Broken);
        assert_eq!(login_pages_forward_nowhere(&PagesSeen::default()).call, Call::Undecided);
        let logout = |reached| LogoutSeen { advertised: true, attempts: attempts(reached) };
        assert_eq!(logout_forwards_nowhere(&logout(false)).call, Call::Pass);
        assert_eq!(logout_forwards_nowhere(&logout(true)).call, Call::Broken);
        // What was not tried is not refused.
        let mut untried = logout(false);
        untried.attempts[0].obstacle = Some("there is no ID token to hint with".into());
        assert_eq!(logout_forwards_nowhere(&untried).call, Call::Undecided);
        let limited = attempt("probe", &Landing { status: 429, ..Landing::default() });
        let limited = LogoutSeen { attempts: vec![limited], ..logout(false) };
        assert_eq!(logout_forwards_nowhere(&limited).call, Call::Undecided);
        assert_eq!(logout_forwards_nowhere(&LogoutSeen::default()).call, Call::NotApplicable);
        assert_eq!(logout_forwards_nowhere(&LogoutSeen { advertised: true, attempts: Vec::new() }).call, Call::Undecided);
    }

    #[test]
    fn url_bearing_parameters_are_found_by_name_or_value() {
        assert!(bears_url("returnUrl", "x") && bears_url("x", "/account") && bears_url("x", "https://op/a"));
        assert!(!bears_url("redirect_uri", "https://rp/cb") && !bears_url("execution", "abc"));
        assert_eq!(with_param("https://op/login?a=1&next=%2Fa", "next", "//evil"), "https://op/login?a=1&next=%2F%2Fevil");
    }
}
