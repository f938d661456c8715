//! What `doctor` sees of an application: the provider it is to sign in at, its pages, and the logins that a run begins with.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::doctor::Findings;
use super::doctor_net::{host, network, place_of};
use super::run::JOBS;
use crate::counterpart::command_issuer::Desk;
use crate::counterpart::command_issuer::desk::announced;
use crate::error::Error;
use crate::event::{Event, Sink};
use crate::model::Role;
use crate::model::target::Target;
use crate::set_stage::{Browser, Needs, Set, Setting};
use crate::stage::Stage;
use crate::stage::listener::TestCa;
use crate::target_file::Loaded;

/// Can the provider be started: are its ports free, and is its authority usable?
pub fn provider(loaded: &Loaded, findings: &mut Findings) {
    let at = &loaded.target.counterpart;
    let remedy = "Free them (another run may be testing this application), or set counterpart.op_listen to another port and configure the \
                  application with the issuer that goes with it.";
    match at.op_listen.rsplit_once(':').and_then(|(ip, port)| Some((ip, port.parse::<u16>().ok()?))) {
        None => findings
            .problem(&format!("provider: op_listen `{}` is not address:port", at.op_listen), "Mend counterpart.op_listen."),
        Some((_, 0)) => findings.advice(
            "provider: counterpart.op_listen takes free ports, other ones in every run",
            "Name a port: the application is configured with it as part of the issuer.",
        ),
        Some((ip, port)) => {
            let ports = [port, port.saturating_add(1), port.saturating_add(2)];
            let taken: Vec<String> = ports
                .iter()
                .filter_map(|port| {
                    std::net::TcpListener::bind(format!("{ip}:{port}")).err().map(|error| format!("{port}: {error}"))
                })
                .collect();
            if taken.is_empty() {
                findings.ok(&format!(
                    "provider: {} is served at {ip}, ports {}, {} and {} are free",
                    at.issuer, ports[0], ports[1], ports[2]
                ));
            } else {
                findings.problem(&format!("provider: {ip} cannot be opened at {}", taken.join("; ")), remedy);
            }
            let named = place_of(&at.issuer).map(|(_, port)| port);
            if named.is_some_and(|named| named != port) {
                findings.advice(
                    &format!("provider: the issuer {} has another port than op_listen ({port})", at.issuer),
                    "That is right only where something forwards the one port to the other.",
                );
            }
        }
    }
    let read = |reference: &Option<String>| {
        let reference = reference.as_ref().ok_or("it is not configured".to_owned())?;
        loaded.secrets.get(reference).map_err(|fault| fault.to_string())
    };
    let usable = read(&at.ca).map_err(|why| format!("counterpart.ca: {why}")).and_then(|ca| {
        let key = read(&at.ca_key).map_err(|why| format!("counterpart.ca_key: {why}"))?;
        TestCa::from_pem(&ca, &key).map_err(|fault| format!("counterpart.ca and ca_key: {fault}"))
    });
    match usable {
        Ok(_) => findings.ok("provider: its authority can be used; the application must trust counterpart.ca"),
        Err(why) => findings.problem(&why, "`ipsie-conform init --role app` makes the two files."),
    }
}

/// The hosts of the application's pages and endpoints.
///
/// # Errors
/// `network` of the target file is wrong.
pub async fn pages(target: &Target, findings: &mut Findings) -> Result<(), Error> {
    let Some(app) = &target.app else { return Ok(()) };
    let network = network(target)?;
    for (key, missing) in [("app.protected_url", app.protected_url.is_empty()), ("app.client_id", app.client_id.is_empty())] {
        if missing {
            findings.problem(&format!("{key} is empty"), "Set it: every scenario of an application needs it.");
        }
    }
    if app.initiate_login_uri.is_empty() {
        findings.advice(
            "app.initiate_login_uri is empty: the clauses on third-party initiated login are not run",
            "Name the endpoint; support is mandatory.",
        );
    }
    let commands = &target.commands;
    let urls = [app.start(), &app.protected_url, &app.initiate_login_uri, &app.logout_url]
        .into_iter()
        .chain(app.redirect_uris.iter().map(String::as_str))
        .chain([&commands.command_endpoint, &commands.backchannel_logout_uri, &commands.revocation_endpoint].map(String::as_str))
        .filter(|url| !url.is_empty());
    let mut seen = BTreeSet::new();
    for url in urls {
        match place_of(url) {
            Some(place) => {
                if seen.insert(place.clone()) {
                    host(&network, &place, findings).await;
                }
            }
            None => findings.problem(&format!("`{url}` is not an https URL"), "Mend it in the target file."),
        }
    }
    Ok(())
}

/// The visits and logins that a run begins with: does the application reach the provider, and can a signed-in page be told?
pub async fn calibrate(loaded: &Loaded, browser: Browser, headed: bool, findings: &mut Findings) {
    let setting = Setting {
        target: loaded.target.clone(),
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
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = told.clone();
    let events: Sink = Arc::new(move |event| {
        if let Event::Note { text } = event {
            notes.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
    });
    match Set::up(setting, Needs::login(Role::App), events).await {
        Ok(set) => {
            for text in std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner)) {
                // A login that works and whose page the marker does not match is told in the same words.
                if text.contains("is NOT shown") {
                    findings.problem(&format!("login: {text}"), "Mend app.logged_in, or what keeps the login from succeeding.");
                } else {
                    findings.ok(&format!("login: {text}"));
                }
            }
            if set.world.target.target.bindings.iter().any(|binding| binding == "op-commands") {
                commands(&Stage::new(set.world.clone(), "doctor"), findings).await;
            }
            set.world.agent.close().await;
        }
        Err(error) => {
            let remedy = miette::Diagnostic::help(&error).map(|help| help.to_string()).unwrap_or_default();
            findings.problem(&format!("login: {error}"), &remedy);
        }
    }
}

/// Does the command endpoint answer the metadata command, which changes no account?
async fn commands(stage: &Stage, findings: &mut Findings) {
    let answer = match Desk::open(stage).await {
        Ok(desk) => desk.metadata,
        Err(obstacle) => return findings.problem(&format!("commands: {}", obstacle.message), &obstacle.hint),
    };
    let remedy =
        "Check commands.command_endpoint, and that the application takes commands of counterpart.issuer for app.client_id.";
    match announced(&answer) {
        Some(commands) => findings.ok(&format!("commands: the metadata command is answered; supported: {}", commands.join(", "))),
        None if answer.accepted() => {
            findings
                .advice("commands: the answer to the metadata command names no commands_supported", "A run then tries them all.");
        }
        None => findings.problem(&format!("commands: the metadata command is not answered: {}", answer.describe()), remedy),
    }
}
