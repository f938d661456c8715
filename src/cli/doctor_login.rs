//! `doctor` starts the browser, and signs the first user in.

use std::sync::Arc;
use std::time::Duration;

use super::doctor::Findings;
use super::run::JOBS;
use crate::counterpart::token::TokenRequest;
use crate::event::{Event, Sink};
use crate::set_stage::{Browser, Needs, Set, Setting};
use crate::stage::Stage;
use crate::stage::browser::chrome::{ChromeAgent, find_chrome};
use crate::stage::browser::recipe::Until;
use crate::stage::browser::{AgentConfig, Visit};
use crate::stage::recorder::Recorder;
use crate::suite::Obstacle;
use crate::target_file::Loaded;

const INSTALL: &str = "Install Chromium (Debian: apt-get install chromium) or set CHROME to its path; --browser form signs in at \
                       server-rendered pages without it.";

/// Is there a browser, and does it start?
pub async fn launch(choice: &Browser, headed: bool, findings: &mut Findings) {
    let connect = match choice {
        Browser::Form => return findings.ok("browser: the form agent, for server-rendered login pages"),
        Browser::Connect(address) => Some(address.clone()),
        Browser::Auto | Browser::Chrome => None,
    };
    if connect.is_none() {
        if let Some(named) = std::env::var_os("CHROME").filter(|named| !std::path::Path::new(named).is_file()) {
            findings.advice(&format!("browser: CHROME names {}, which is no file", named.display()), "Mend or unset CHROME.");
        }
        match find_chrome() {
            Some(_) => {}
            None if *choice == Browser::Chrome => return findings.problem("browser: no Chrome or Chromium was found", INSTALL),
            None => return findings.advice("browser: no Chrome was found, the form agent signs in", INSTALL),
        }
    }
    let config = AgentConfig {
        own_origins: Vec::new(),
        suite_hosts: Vec::new(),
        resolve: Vec::new(),
        roots: Vec::new(),
        leaves: Vec::new(),
        deadline: Duration::from_secs(15),
        headed,
    };
    match ChromeAgent::launch(config, Arc::new(Recorder::default()), connect.clone()).await {
        Ok(agent) => {
            let place = connect.or_else(|| Some(find_chrome()?.display().to_string())).unwrap_or_default();
            findings.ok(&format!("browser: {} starts ({place})", agent.name()));
            agent.close().await;
        }
        Err(fault) if *choice == Browser::Auto => findings.advice(&format!("browser: {fault}; the form agent signs in"), INSTALL),
        Err(fault) => findings.problem(&format!("browser: {fault}"), INSTALL),
    }
}

/// Signs the first user in once, and redeems the code.
pub async fn sign_in(loaded: &Loaded, browser: Browser, headed: bool, findings: &mut Findings) {
    let target = loaded.target.clone();
    let Some(user) = target.idp.as_ref().and_then(|idp| idp.users.first()).cloned() else {
        return findings.advice("nobody was signed in: idp.users is empty", "Add a test user; most clauses need one.");
    };
    if target.idp.as_ref().is_none_or(|idp| idp.clients.main.is_none()) {
        let remedy = "Register it; `ipsie-conform init` prints what to register.";
        return findings.advice("nobody was signed in: idp.clients.main is not configured", remedy);
    }
    let setting = Setting {
        target,
        secrets: loaded.secrets.clone(),
        digest: loaded.digest.clone(),
        embedded: false,
        keys: None,
        roots: Vec::new(),
        browser,
        headed,
        jobs: JOBS,
        fast: true,
        allow_load: false,
        journal: None,
        sweep: Vec::new(),
        interactive: false,
        provider: None,
    };
    let events: Sink = Arc::new(|event| {
        if let Event::Waiting { what, seconds, .. } = event {
            eprintln!("waiting {seconds} s for {what}");
        }
    });
    let set = match Set::up(setting, Needs::login(crate::model::Role::Idp), events).await {
        Ok(set) => set,
        Err(error) => {
            let remedy = miette::Diagnostic::help(&error).map(|help| help.to_string()).unwrap_or_default();
            return findings.problem(&format!("login: {error}"), &remedy);
        }
    };
    let stage = Stage::new(set.world.clone(), "doctor");
    match login(&stage, &user).await {
        Ok(told) => findings.ok(&format!("login: {} signed in; {told}", user.name)),
        Err(obstacle) => findings.problem(&format!("login: {}", obstacle.message), &obstacle.hint),
    }
    set.world.agent.close().await;
}

async fn login(stage: &Stage, user: &crate::model::target::User) -> Result<String, Obstacle> {
    let world = &stage.world;
    let request = stage.request("main")?;
    let url = request.url(world.endpoint("authorization_endpoint")?);
    let context = world.agent.context("doctor").await?;
    let (authz, signed_in, _page) = stage.sign_in(&context, &request, user, Visit::Get(url), Until::Arrival, "sign-in").await?;
    let typed: Vec<String> = signed_in.typed.iter().map(|typed| format!("{typed:?}")).collect();
    let Some(code) = authz.code else {
        return Err(Obstacle::target(
            format!("after the login no code came: {}", authz.seen.describe()),
            "Check the registration of idp.clients.main: client id, redirect URIs, response type code.",
        ));
    };
    let (token, _) = stage.token(&TokenRequest::code(&request, &code, "token request"), None).await?;
    if !token.granted() {
        return Err(Obstacle::target(
            format!("the login worked, but the code was not redeemed: {}", token.describe()),
            "Check how idp.clients.main authenticates: auth, secret, and that its public key is registered.",
        ));
    }
    Ok(format!("typed {}; the code was redeemed", typed.join(", ")))
}
