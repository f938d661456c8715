//! idp-admin: what only the operator's side can do, by hooks. Late, and restores what it changed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::counterpart::authorize::path_of;
use crate::counterpart::token::TokenRequest;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::stage::browser::Visit;
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::seen::{AuthzSeen, Outcome, TokenSeen};

/// Hooks at work.
pub struct Admin;

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Wildcards.
    pub wildcards: Vec<Registered>,
    /// A conforming login succeeded before and after the wildcard attempts.
    pub held: bool,
    /// Seconds asked for, and seconds between `iat` and `session_expiry`.
    pub lifetimes: Vec<(i64, Option<i64>)>,
    /// Refreshes around a disabled user.
    pub disabled: Option<Disabled>,
    /// A launch from the portal.
    pub portal: Option<Portal>,
    /// Why a part could not be played, by part.
    pub obstacles: BTreeMap<String, String>,
}

/// A redirect URI that was registered by the hook, or refused.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Registered {
    /// The URI.
    pub uri: String,
    /// It was stored.
    pub stored: bool,
    /// Requests with this URI, and with others that only match through it: the URI sent, and what came.
    pub tried: Vec<(String, AuthzSeen)>,
    /// The hook's exchange.
    pub cite: Vec<String>,
}

/// Refreshes around a disabled user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Disabled {
    /// A refresh token was issued.
    pub issued: bool,
    /// The refresh while the user was enabled.
    pub before: Option<TokenSeen>,
    /// The hook did its work.
    pub done: bool,
    /// The last refresh while the user was disabled.
    pub while_disabled: Option<TokenSeen>,
}

/// Where a launch from the portal led.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Portal {
    /// First URL of the suite that was reached, without query.
    pub at: Option<String>,
    /// It is a redirect URI.
    pub redirect_uri: bool,
    /// Names of parameters that must not come unasked.
    pub carried: Vec<String>,
    /// `iss` parameter.
    pub iss: Option<String>,
    /// The issuer.
    pub issuer: String,
    /// Exchanges.
    pub cites: Vec<String>,
}

impl Scenario for Admin {
    type Seen = Seen;
    const ID: &'static str = "idp-admin";
    const TITLE: &'static str = "registers, disables, launches and sets lifetimes by hooks";
    const AFTER: &'static [&'static str] = &[
        "idp-login",
        "idp-expiry",
        "idp-max-age",
        "idp-reauth",
        "idp-acr",
        "idp-mfa",
        "idp-probe/login-pages",
        "idp-public",
        "idp-second",
    ];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.wildcard-registration-refused", wildcards_match_nothing),
        Check::new("sl1.idp.session-expiry-controllable", the_lifetime_follows_the_setting),
        Check::new("sl1.idp.refresh-stops-for-disabled-user", a_disabled_user_cannot_refresh),
        Check::new("sl1.idp.portal-starts-at-rp", a_launch_starts_at_the_application),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let mut seen = Seen::default();
        let mut seen_obstacles = BTreeMap::new();
        stage.world.signed_in()?;
        // A part that stumbles over its hook does not take what another part saw with it.
        let mut note = |part: &str, outcome: Result<(), Obstacle>| {
            if let Err(obstacle) = outcome {
                seen_obstacles.insert(part.to_owned(), obstacle.message);
            }
        };
        if stage.wants("sl1.idp.wildcard-registration-refused") {
            note("wildcards", wildcards(stage, &mut seen).await);
        }
        if stage.wants("sl1.idp.portal-starts-at-rp") {
            note("portal", portal(stage).await.map(|portal| seen.portal = Some(portal)));
        }
        if stage.wants("sl1.idp.session-expiry-controllable") {
            note("lifetimes", lifetimes(stage, &mut seen).await);
        }
        if stage.wants("sl1.idp.refresh-stops-for-disabled-user") {
            note("disabled", disable(stage).await.map(|disabled| seen.disabled = Some(disabled)));
        }
        seen.obstacles = seen_obstacles;
        Ok(seen)
    }
}

async fn wildcards(stage: &Stage, seen: &mut Seen) -> Result<(), Obstacle> {
    let origin = stage.world.target.counterpart.public_url.trim_end_matches('/').to_owned();
    let host = origin.trim_start_matches("https://").to_owned();
    let before = stage.can_register().await?;
    for (pattern, fitting) in [
        (format!("{origin}/*"), format!("{origin}/not-registered")),
        (format!("https://*.{host}/cb"), format!("https://sub.{host}/cb")),
        (format!("{origin}/cb?x=*"), format!("{origin}/cb?x=1")),
    ] {
        seen.wildcards.push(stage.register_and_try(&pattern, &[&fitting, &pattern]).await?);
    }
    seen.held = before && stage.can_register().await?;
    Ok(())
}

impl Stage {
    /// The control of everything that the `register-client` hook is used for: an exact https URI is stored, and a login with
    /// that client gets a code. A hook that does not work refuses nothing.
    pub async fn can_register(&self) -> Result<bool, Obstacle> {
        let uri = format!("{}/cb/registered", self.world.target.counterpart.public_url.trim_end_matches('/'));
        let registered = self.register_and_try(&uri, &[&uri]).await?;
        Ok(self.control(registered.tried.iter().any(|(_, authz)| authz.outcome == Outcome::Code)))
    }

    /// Registers a public client with this redirect URI by the hook, tries authorization requests with these URIs, and removes
    /// the client again.
    pub async fn register_and_try(&self, uri: &str, tries: &[&str]) -> Result<Registered, Obstacle> {
        let answer = self.hook("register-client", &[("redirect_uri", uri)]).await?;
        let client_id = serde_json::from_str::<serde_json::Value>(&answer.text)
            .ok()
            .and_then(|body| body["client_id"].as_str().map(str::to_owned));
        let mut seen = Registered { uri: uri.to_owned(), cite: vec![answer.exchange], ..Registered::default() };
        let Some(client_id) = client_id.filter(|_| answer.done) else { return Ok(seen) };
        seen.stored = true;
        let undo = self.undo_later("unregister-client", &[("client_id", &client_id)]);
        let context = self.world.signed_in()?.context.clone();
        for target in tries {
            let mut request = self.request("main")?.set("client_id", &client_id).set("redirect_uri", target);
            request.registered = vec![uri.to_owned()];
            let what = format!("client registered with {uri}, request with {target}");
            let authz = self.authorize(&context, &request, &what).await?;
            seen.tried.push(((*target).to_owned(), authz.seen));
        }
        self.undo_now(undo).await;
        Ok(seen)
    }
}

async fn lifetimes(stage: &Stage, seen: &mut Seen) -> Result<(), Obstacle> {
    let main = stage.world.signed_in()?.clone();
    let length = |token: &crate::wire::seen::IdTokenSeen| Some(token.claim("session_expiry").as_i64()? - token.seconds("iat")?);
    let original = main.id_token.as_ref().and_then(length);
    let undo = original.map(|seconds| stage.undo_later("set-session-lifetime", &[("seconds", &seconds.to_string())]));
    for seconds in [600_i64, 1200] {
        let answer = stage.hook("set-session-lifetime", &[("seconds", &seconds.to_string())]).await?;
        if !answer.done {
            return Err(Obstacle::config(
                format!("hook set-session-lifetime did not succeed: {}", answer.said()),
                "Mend the hook.",
            ));
        }
        let silent = stage
            .silent(&main.context, &stage.request("main")?, &format!("login with a session lifetime of {seconds} s"), None)
            .await?;
        seen.lifetimes.push((seconds, silent.tokens.id_token.as_ref().and_then(length)));
    }
    if let Some(undo) = undo {
        stage.undo_now(undo).await;
    }
    Ok(())
}

async fn disable(stage: &Stage) -> Result<Disabled, Obstacle> {
    let context = stage.world.signed_in()?.context.clone();
    let user = stage.world.idp.users.first().map(|user| user.name.clone()).unwrap_or_default();
    let mut seen = Disabled::default();
    let (_, refresh) = stage.refresh_token(&context, "main", "a grant of a user to be disabled", None).await?;
    let Some(mut refresh) = refresh else { return Ok(seen) };
    seen.issued = true;
    let (before, tokens) =
        stage.token(&TokenRequest::refresh("main", &refresh, "refresh while the user is enabled"), None).await?;
    stage.control(before.granted());
    seen.before = Some(before);
    refresh = tokens.refresh.unwrap_or(refresh);
    let undo = stage.undo_later("enable-user", &[("user", &user)]);
    seen.done = stage.hook("disable-user", &[("user", &user)]).await?.done;
    let disabled = Instant::now();
    while seen.done {
        let (token, tokens) =
            stage.token(&TokenRequest::refresh("main", &refresh, "refresh while the user is disabled"), None).await?;
        refresh = tokens.refresh.unwrap_or(refresh);
        let over = !token.granted() || disabled.elapsed() >= Duration::from_secs(30);
        seen.while_disabled = Some(token);
        if over {
            break;
        }
        // Directories replicate: asked again every three seconds, for 30 s.
        stage.wait_until(Instant::now() + Duration::from_secs(3), "a disabled user to be known everywhere").await;
    }
    stage.undo_now(undo).await;
    Ok(seen)
}

async fn portal(stage: &Stage) -> Result<Portal, Obstacle> {
    let user = stage.world.idp.users.first().map(|user| user.name.clone()).unwrap_or_default();
    let answer = stage.hook("portal-launch", &[("user", &user)]).await?;
    let url = serde_json::from_str::<serde_json::Value>(&answer.text)
        .ok()
        .and_then(|body| body["url"].as_str().map(str::to_owned))
        .unwrap_or(answer.text);
    let mut seen = Portal { issuer: stage.world.idp.issuer.clone(), cites: vec![answer.exchange], ..Portal::default() };
    if !url.starts_with("http") {
        return Ok(seen);
    }
    let context = stage.world.signed_in()?.context.clone();
    let mut page = context.page(stage.scenario).await?;
    let landing = page.go(Visit::Get(url), "launch from the portal").await?;
    seen.cites.extend(landing.hops.iter().map(|hop| hop.exchange.clone()));
    let Some(arrival) = landing.arrival else { return Ok(seen) };
    seen.at = Some(path_of(&arrival.url).to_owned());
    seen.redirect_uri = ["main", "second", "public"]
        .iter()
        .any(|client| stage.world.redirect_uris(client).iter().any(|uri| *uri == path_of(&arrival.url)));
    let query: Vec<(String, String)> =
        url::Url::parse(&arrival.url).map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default();
    for (name, value) in query.into_iter().chain(arrival.form) {
        match name.as_str() {
            "code" | "id_token" | "access_token" | "assertion" | "SAMLResponse" => seen.carried.push(name),
            "iss" => seen.iss = Some(value),
            _ => {}
        }
    }
    Ok(seen)
}

/// A part that was not played, with its obstacle.
fn stumbled(seen: &Seen, part: &str) -> Judgement {
    Judgement::undecided(seen.obstacles.get(part).map_or("not tried", String::as_str))
}

fn wildcards_match_nothing(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    for attempt in &seen.wildcards {
        for (sent, authz) in &attempt.tried {
            match authz.outcome {
                Outcome::Code | Outcome::ErrorElsewhere if *sent != attempt.uri => found.broken(
                    format!("{}: {}", authz.what, authz.describe()),
                    &authz.cites.iter().rev().take(1).cloned().collect::<Vec<_>>(),
                ),
                Outcome::Fault => found.undecided(format!("{}: {}", authz.what, authz.describe()), &authz.cites),
                _ if authz.out_of_order() => found.undecided(format!("{}: {}", authz.what, authz.describe()), &authz.cites),
                _ if !seen.held => found.undecided(crate::suites::blocks::NO_CONTROL, &[]),
                _ => found.saw(&authz.cites),
            }
        }
        found.saw(&attempt.cite);
    }
    let stored = seen.wildcards.iter().filter(|attempt| attempt.stored).count();
    let how = if stored == 0 {
        "every wildcard is refused at registration"
    } else {
        "stored wildcards are literal text and match nothing else"
    };
    if !seen.held && seen.wildcards.iter().all(|attempt| attempt.tried.is_empty()) {
        found.undecided(
            "the hook register-client did not make a client that can sign in with an exact URI, so its refusals prove nothing",
            &[],
        );
    }
    if seen.wildcards.is_empty() { stumbled(seen, "wildcards") } else { found.conclude(how) }
}

fn the_lifetime_follows_the_setting(seen: &Seen) -> Judgement {
    let [(short, first), (long, second)] = seen.lifetimes[..] else { return stumbled(seen, "lifetimes") };
    let (Some(first), Some(second)) = (first, second) else {
        return Judgement::undecided("the ID tokens carry no readable session_expiry");
    };
    let near = |want: i64, got: i64| (want - got).abs() <= 60;
    let judgement = if near(short, first) && near(long, second) {
        Judgement::pass("session_expiry follows the setting")
    } else if (second - first).abs() <= 60 && first < short - 60 {
        Judgement::undecided("session_expiry lies below both settings: the rest of the session may cap it")
    } else if second - first <= 60 {
        Judgement::broken("session_expiry does not follow the setting")
    } else {
        Judgement::doubtful("session_expiry changes with the setting, but not to its value (the rest of the session may cap it)")
    };
    judgement.expected(format!("{short} s, then {long} s"), format!("{first} s, then {second} s"))
}

fn a_disabled_user_cannot_refresh(seen: &Seen) -> Judgement {
    let Some(disabled) = &seen.disabled else { return stumbled(seen, "disabled") };
    if !disabled.issued {
        return Judgement::not_applicable("no refresh token is issued");
    }
    if !disabled.done || !disabled.before.as_ref().is_some_and(TokenSeen::granted) {
        return Judgement::undecided("the refresh did not work while the user was enabled, or the hook did not disable the user");
    }
    match &disabled.while_disabled {
        Some(token) if token.refused() => Judgement::pass("the refresh is refused once the user is disabled").cite(&token.cites),
        Some(token) if token.granted() => Judgement::broken("a disabled user still gets tokens after 30 s").cite(&token.cites),
        Some(token) => Judgement::undecided(token.describe()).cite(&token.cites),
        None => Judgement::undecided("no refresh was tried"),
    }
}

fn a_launch_starts_at_the_application(seen: &Seen) -> Judgement {
    let Some(portal) = &seen.portal else { return stumbled(seen, "portal") };
    let Some(at) = &portal.at else {
        return Judgement::undecided("the launch did not reach the application").cite(&portal.cites);
    };
    let judgement = if !portal.carried.is_empty() {
        Judgement::broken(format!("the launch brings an unrequested {} to {at}", portal.carried.join(", ")))
    } else if portal.redirect_uri {
        Judgement::broken(format!("the first contact is the redirect URI {at}"))
    } else {
        match &portal.iss {
            Some(iss) if *iss != portal.issuer => Judgement::broken(format!("the launch names the issuer `{iss}`")),
            _ => Judgement::pass(format!("the first contact is {at}")),
        }
    };
    judgement.cite(portal.cites.iter().rev())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::{authz, token};

    fn good() -> Seen {
        Seen {
            wildcards: vec![Registered { uri: "https://rp/*".into(), ..Registered::default() }],
            held: true,
            lifetimes: vec![(600, Some(600)), (1200, Some(1199))],
            disabled: Some(Disabled {
                issued: true,
                before: Some(token(200, &["id_token"])),
                done: true,
                while_disabled: Some(token(400, &[])),
            }),
            portal: Some(Portal {
                at: Some("https://rp/login".into()),
                iss: Some("https://op".into()),
                issuer: "https://op".into(),
                ..Portal::default()
            }),
            obstacles: BTreeMap::new(),
        }
    }

    #[test]
    fn hooks_show_what_is_right() {
        for check in Admin::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}", check.clause);
            assert_eq!((check.judge)(&Seen::default()).call, Call::Undecided, "{}", check.clause);
        }
    }

    #[test]
    fn hooks_show_what_is_wrong() {
        let mut seen = good();
        seen.wildcards[0].stored = true;
        seen.wildcards[0].tried = vec![("https://rp/other".into(), authz(Outcome::Code))];
        seen.lifetimes = vec![(600, Some(28_800)), (1200, Some(28_800))];
        seen.disabled.as_mut().unwrap().while_disabled = Some(token(200, &["access_token"]));
        seen.portal.as_mut().unwrap().carried = vec!["code".into()];
        for check in Admin::CHECKS {
            assert_eq!((check.judge)(&seen).call, Call::Broken, "{}", check.clause);
        }
    }

    #[test]
    fn a_limit_is_no_refusal_of_a_wildcard() {
        let call = |status| {
            let mut seen = good();
            seen.wildcards[0].stored = true;
            seen.wildcards[0].tried = vec![("https://rp/other".into(), AuthzSeen { status, ..authz(Outcome::Page) })];
            wildcards_match_nothing(&seen).call
        };
        assert_eq!((call(400), call(429)), (Call::Pass, Call::Undecided));
    }
}
