//! What `doctor` sees on this computer: keys, endpoints, hooks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::doctor::Findings;
use crate::catalogue::{Catalogue, nearest};
use crate::counterpart::authorize::host_of;
use crate::counterpart::keys::SuiteKeys;
use crate::error::Error;
use crate::model::target::{Client, CounterpartAt, Target};
use crate::set_stage::Browser;
use crate::stage::resolve::Resolve;
use crate::target_file::Loaded;

/// The suite's keys, and the clients that name them.
///
/// # Errors
/// The keys file is none.
pub fn keys(loaded: &Loaded, findings: &mut Findings) -> Result<(), Error> {
    let help = "`ipsie-conform init` makes the file; register its public half at the target.";
    let Some(reference) = &loaded.target.counterpart.keys else {
        findings.advice("counterpart.keys is not set: every run makes its own keys", help);
        return Ok(());
    };
    let text = loaded.secrets.get(reference).map_err(|fault| Error::usage(format!("counterpart.keys: {fault}"), help))?;
    SuiteKeys::parse(&text).map_err(|fault| Error::usage(format!("counterpart.keys: {fault}"), help))?;
    let clients = loaded.target.idp.as_ref().map(|idp| &idp.clients);
    let all = clients.map(|clients| {
        [&clients.main, &clients.second, &clients.public, &clients.pairwise, &clients.pairwise_other, &clients.encrypted]
    });
    let named = |client: &Client| [client.key.clone(), client.rsa_key.clone()];
    let wrong =
        all.into_iter().flatten().flatten().flat_map(named).flatten().find(|kid| !["es256", "rs256"].contains(&kid.as_str()));
    match wrong {
        Some(kid) => findings.problem(&format!("a client names the key `{kid}`"), "The keys file has es256 and rs256."),
        None => findings.ok("suite keys: es256 and rs256 sign, enc decrypts"),
    }
    Ok(())
}

/// Can the callback endpoint be opened?
pub fn callback(at: &CounterpartAt, findings: &mut Findings) {
    match std::net::TcpListener::bind(&at.listen) {
        Ok(_) => findings.ok(&format!("callback endpoint: {} can be opened", at.listen)),
        Err(error) => findings.problem(
            &format!("callback endpoint: {} cannot be opened: {error}", at.listen),
            "Set counterpart.listen to a free address, or to \"127.0.0.1:0\" for any free port.",
        ),
    }
}

/// The hosts of the redirect URIs.
pub fn suite_hosts(target: &Target, choice: &Browser, findings: &mut Findings) {
    let at = &target.counterpart;
    let hosts: Vec<String> = [&at.public_url, &at.sector_url].iter().filter_map(|url| host_of(url)).collect();
    if hosts.windows(2).any(|pair| pair[0] == pair[1]) {
        findings.advice(
            "counterpart.public_url and sector_url have the same host: their pairwise subject identifiers are equal by design",
            "Give sector_url another host name.",
        );
    }
    if matches!(choice, Browser::Connect(_)) {
        findings.advice(
            &format!("a browser that runs already must itself resolve {} and trust the suite's certificate", hosts.join(" and ")),
            "Start it with --host-resolver-rules, or let the run start its own browser.",
        );
    } else {
        findings.ok(&format!("redirect hosts: the run's browser resolves {} itself", hosts.join(" and ")));
    }
}

/// Can hooks be called? They are not.
pub async fn hooks(target: &Target, catalogue: &Catalogue, findings: &mut Findings) {
    if target.hooks.is_empty() {
        let remedy = "Hooks let the suite disable a user or register a client; `ipsie-conform list needs` shows them.";
        findings.advice("no hooks: the clauses that need them are not run", remedy);
    }
    let known = known_hooks(catalogue);
    for name in target.hooks.keys().filter(|name| !known.contains(*name)) {
        let close = nearest(name, known.iter().map(String::as_str));
        findings.advice(&format!("hook {name}: no clause calls a hook of this name"), &format!("Did you mean `{close}`?"));
    }
    let resolve = Resolve::new(&target.network.resolve, []).unwrap_or_default();
    for (name, hook) in &target.hooks {
        if let Some(program) = hook.exec.as_ref().and_then(|argv| argv.first()) {
            match find_program(program) {
                Some(path) => findings.ok(&format!("hook {name}: {} is there (not called)", path.display())),
                None => findings.problem(
                    &format!("hook {name}: `{program}` is no program here"),
                    "Give its path, relative to the folder in which `run` is started, and make it executable.",
                ),
            }
        } else if let Some(call) = &hook.http {
            let url = url::Url::parse(&call.url).ok();
            let place = url.as_ref().and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)));
            let Some((host, port)) = place else {
                findings.problem(&format!("hook {name}: `{}` is no URL", call.url), "Mend http.url of the hook.");
                continue;
            };
            match tokio::time::timeout(Duration::from_secs(5), resolve.connect(&host, port)).await {
                Ok(Ok(_)) => findings.ok(&format!("hook {name}: {host}:{port} answers (not called)")),
                Ok(Err(error)) => {
                    findings.problem(&format!("hook {name}: {host}:{port}: {error}"), "Check http.url of the hook.");
                }
                Err(_) => findings.problem(&format!("hook {name}: {host}:{port} does not answer"), "Check http.url of the hook."),
            }
        } else {
            findings.ok(&format!("hook {name}: asks a person, so run it in a terminal"));
        }
    }
}

/// Hooks that are called where they are there, although no clause needs them.
const HELPFUL_HOOKS: [&str; 10] = [
    "create-user",
    "recreate-user",
    "enable-user",
    "delete-user",
    "delete-role",
    "provision-now",
    "fill-group",
    "map-group-role",
    "unregister-client",
    "reload-metadata",
];

/// The names of all hooks.
fn known_hooks(catalogue: &Catalogue) -> Vec<String> {
    let needs = catalogue.clauses.iter().flat_map(|clause| &clause.needs);
    let needed = needs.filter_map(|need| need.strip_prefix("admin-hook:").or_else(|| need.strip_prefix("app-hook:")));
    let mut names: Vec<String> = needed.chain(HELPFUL_HOOKS).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn find_program(program: &str) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return Some(path.to_owned()).filter(|path| executable(path));
    }
    let places = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&places)
        .flat_map(|dir| [dir.join(program), dir.join(format!("{program}{}", std::env::consts::EXE_SUFFIX))])
        .find(|path| executable(path))
}

#[cfg(unix)]
fn executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn executable(path: &Path) -> bool {
    path.is_file()
}
