//! What `doctor` sees of accounts: the service provider and the token for it, the suite's own SCIM server, what stays unconfigured, and what
//! a killed run left. It makes and changes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::doctor::Findings;
use super::doctor_net::{Network, clock, host, network, place_of};
use super::init_scim::{Server, look, named_server};
use crate::catalogue::Catalogue;
use crate::counterpart::keys::SuiteKeys;
use crate::counterpart::scim_client::token::{Form, TokenAnswer, assertion, claims, request};
use crate::counterpart::scim_client::{Answer, quoted};
use crate::error::Error;
use crate::model::target::{Scim, ScimAuth, Target};
use crate::model::{Level, Role};
use crate::plan::{Ask as Asked, Fate, Plan};
use crate::stage::http::{Ask, NetFault, Reply};
use crate::stage::journal::Journal;
use crate::stage::listener::TestCa;
use crate::target_file::Loaded;

/// A provisioning cycle that is longer makes runs long.
const LONG_CYCLE_S: u64 = 600;
/// Keys that are named at most, of those that are not configured.
const MOST_KEYS: usize = 12;

/// Everything about accounts that this target file concerns; nothing for one that claims none.
///
/// # Errors
/// `network` of the target file is wrong.
pub async fn accounts(loaded: &Loaded, catalogue: &Catalogue, findings: &mut Findings) -> Result<(), Error> {
    let target = &loaded.target;
    let is = |role: Role| target.target.roles.contains(&role);
    let network = network(target)?;
    if let Some(scim) = target.scim.as_ref().filter(|scim| is(Role::App) && !scim.base_url.is_empty()) {
        service_provider(loaded, scim, &network, findings).await;
    }
    if is(Role::Idp) {
        receiver(loaded, findings);
        published_keys(target, &network, findings).await;
    }
    unconfigured(target, catalogue, findings);
    left_over(loaded, Path::new("reports"), findings);
    Ok(())
}

/// Can the service provider be reached, does it take the token, and what does it say of itself?
async fn service_provider(loaded: &Loaded, scim: &Scim, network: &Network, findings: &mut Findings) {
    match place_of(&scim.base_url) {
        Some(place) => {
            if !host(network, &place, findings).await {
                return;
            }
        }
        None => findings.advice(
            &format!("SCIM: {} is not https, which only loopback allows", scim.base_url),
            "Nothing on clear text can be certified: give it TLS.",
        ),
    }
    let Some(token) = access(loaded, scim, network, findings).await else { return };
    let base = scim.base_url.trim_end_matches('/');
    let list = Ask::get(format!("{base}/Users?count=1"))
        .header("accept", "application/scim+json, application/json")
        .header("authorization", format!("Bearer {token}"));
    let sent = network.http.send("doctor", "first user", list).await;
    if let Ok(reply) = &sent {
        clock(reply.header("date"), findings);
    }
    if !taken(scim, &Answer::from(sent), findings) {
        return;
    }
    match look(&network.http, base, Some(&token)).await {
        Ok(learnt) => {
            for seen in &learnt.seen {
                findings.ok(&format!("SCIM: {seen}"));
            }
            for hint in &learnt.hints {
                findings.advice(&format!("SCIM: {hint}"), "A run judges it; mend it where it is not meant.");
            }
            roles(&loaded.target, &learnt.roles, findings);
        }
        Err(error) => findings.problem(&format!("SCIM: {error}"), "Check scim.base_url."),
    }
    groups(&loaded.target, network, base, &token, findings).await;
    findings.ok(&format!("SCIM: a run makes up users of {} (scim.domain), which the application must accept", scim.domain));
}

/// The token for the service provider, as a run has it.
async fn access(loaded: &Loaded, scim: &Scim, network: &Network, findings: &mut Findings) -> Option<String> {
    match scim.auth {
        ScimAuth::Bearer => loaded.secrets.get(scim.token.as_ref()?).ok(),
        ScimAuth::AppAs => granted(loaded, scim, network, findings).await,
        ScimAuth::IdpAs if loaded.target.app.is_none() => {
            let remedy = "Add [app] with client_id, or let the application issue tokens (scim.auth = \"app-as\").";
            findings.problem("SCIM: scim.auth is idp-as, but the suite plays a provider only for a target with [app]", remedy);
            None
        }
        ScimAuth::IdpAs => {
            let remedy = "The application must trust counterpart.issuer and reach its keys while a run lasts.";
            findings.advice("SCIM: the suite's provider issues the tokens in a run; none was tried", remedy);
            None
        }
    }
}

/// Asks for a token by signed JWTs (RFC 7523), in each form.
async fn granted(loaded: &Loaded, scim: &Scim, network: &Network, findings: &mut Findings) -> Option<String> {
    let Some(keys) = loaded.target.counterpart.keys.as_ref() else {
        let remedy = "Add keys under [counterpart] (`ipsie-conform init` makes the file), and register the public half for scim.client_id.";
        findings.problem("SCIM: counterpart.keys is not set, so no key of the suite can be registered", remedy);
        return None;
    };
    let keys = SuiteKeys::parse(&loaded.secrets.get(keys).ok()?).ok()?;
    let server = match named_server(&network.http, &scim.issuer).await {
        Some(server) => server,
        None if scim.token_endpoint.is_empty() => {
            let remedy = "Mend scim.issuer, or name scim.token_endpoint.";
            findings.problem(&format!("SCIM: no metadata of an authorization server for {} (RFC 8414)", scim.issuer), remedy);
            return None;
        }
        None => Server::default(),
    };
    let endpoint = if scim.token_endpoint.is_empty() { &server.token_endpoint } else { &scim.token_endpoint };
    let audience = if scim.issuer.is_empty() { endpoint } else { &scim.issuer };
    let mut refused = Vec::new();
    for form in Form::ALL {
        let jwt = assertion(&keys.es256, &claims(&scim.client_id, audience));
        let ask = request(endpoint, form, &scim.client_id, &jwt, Some("scim"));
        let (told, token) = TokenAnswer::of(network.http.send("doctor", "token request", ask).await);
        if token.is_some() {
            findings.ok(&format!("SCIM: {endpoint} gives tokens to {} ({})", scim.client_id, form.what()));
            return token;
        }
        refused.push(format!("{}: {}", form.what(), told.describe()));
    }
    let remedy = "Register the suite's public keys for scim.client_id at that server, with the scope scim; the client_id must be the one it gave.";
    findings.problem(&format!("SCIM: {endpoint} gives no token to {} ({})", scim.client_id, refused.join("; ")), remedy);
    None
}

/// Was a read of users answered with users?
fn taken(scim: &Scim, answer: &Answer, findings: &mut Findings) -> bool {
    let key = if scim.auth == ScimAuth::Bearer { "scim.token" } else { "scim.client_id" };
    match answer.status {
        200 if answer.body.is_object() => {
            let users = answer.total().map(|total| format!(", which has {total} users")).unwrap_or_default();
            findings.ok(&format!("SCIM: the token is accepted at {}{users}", scim.base_url));
            true
        }
        401 => {
            let remedy = format!("Mend {key}: the value may be old, cut, or of another tenant.");
            findings.problem("SCIM: the token is refused (status 401)", &remedy);
            false
        }
        403 => {
            let remedy = format!("Give what {key} stands for the right to read and write users and groups (scope scim).");
            findings.problem("SCIM: the token may not read users (status 403)", &remedy);
            false
        }
        404 => {
            findings
                .problem("SCIM: there is no /Users below scim.base_url (status 404)", "Write the URL below which /Users stands.");
            false
        }
        _ => {
            let told = answer.fault.clone().unwrap_or_else(|| answer.describe());
            findings.problem(&format!("SCIM: a read of users failed: {told}"), "Check scim.base_url and the service.");
            false
        }
    }
}

/// Do the roles that the target file names exist, where the service provider lists its roles?
fn roles(target: &Target, listed: &[String], findings: &mut Findings) {
    let named = target.lifecycle.roles.iter().map(|role| ("lifecycle.roles", role));
    let mapped = target.lifecycle.mapping.iter().map(|pair| ("lifecycle.mapping", &pair.role));
    if listed.is_empty() {
        return;
    }
    let missing: Vec<String> =
        named.chain(mapped).filter(|(_, role)| !listed.contains(role)).map(|(key, role)| format!("{role} ({key})")).collect();
    if missing.is_empty() {
        findings.ok(&format!("SCIM: {} roles are listed", listed.len()));
    } else {
        let remedy =
            "Write roles as the application lists them; where its pages show other names, that is right for lifecycle.mapping.";
        findings.advice(&format!("SCIM: not among the listed roles: {}", missing.join(", ")), remedy);
    }
}

/// Are the mapped groups there? A run makes those that are missing.
async fn groups(target: &Target, network: &Network, base: &str, token: &str, findings: &mut Findings) {
    for pair in &target.lifecycle.mapping {
        let mut url = match url::Url::parse(&format!("{base}/Groups")) {
            Ok(url) => url,
            Err(_) => return,
        };
        url.query_pairs_mut().append_pair("filter", &format!("displayName eq {}", quoted(&pair.group)));
        let ask = Ask::get(url.as_str().replace('+', "%20")).header("authorization", format!("Bearer {token}"));
        let sent: Result<Reply, NetFault> = network.http.send("doctor", "mapped group", ask).await;
        let answer = Answer::from(sent);
        if answer.resources().iter().any(|group| group["displayName"] == pair.group.as_str()) {
            findings.ok(&format!("SCIM: the mapped group {} is there", pair.group));
        } else {
            let remedy =
                "A run makes a group of that name; the application must map it by its name, or make it there and map it.";
            findings.advice(&format!("SCIM: the mapped group {} was not found", pair.group), remedy);
        }
    }
}

/// Can the suite's own SCIM server be started?
fn receiver(loaded: &Loaded, findings: &mut Findings) {
    let at = &loaded.target.counterpart;
    if at.scim_url.is_empty() && at.commands_url.is_empty() {
        return;
    }
    let url = if at.scim_url.is_empty() { &at.commands_url } else { &at.scim_url };
    match std::net::TcpListener::bind(&at.scim_listen) {
        Ok(_) => findings.ok(&format!("SCIM server of the suite: {url} is served at {}", at.scim_listen)),
        Err(error) => findings.problem(
            &format!("SCIM server of the suite: {} cannot be opened: {error}", at.scim_listen),
            "Free it (another run may be testing this service), or set counterpart.scim_listen and scim_url to another port.",
        ),
    }
    let listens = at.scim_listen.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).unwrap_or_default();
    let named = url::Url::parse(url).ok().and_then(|url| url.port_or_known_default());
    if listens == 0 {
        let remedy = "Name a port: the identity service is configured with it as part of the URL.";
        findings.advice("SCIM server of the suite: counterpart.scim_listen takes a free port, another one in every run", remedy);
    } else if let Some(named) = named.filter(|named| *named != listens) {
        findings.ok(&format!("SCIM server of the suite: something must lead port {named} of its URL to port {listens}"));
    }
    if url.starts_with("https://") {
        let read = |key: &str, reference: &Option<String>| {
            let reference = reference.as_ref().ok_or(format!("counterpart.{key} is not configured"))?;
            loaded.secrets.get(reference).map_err(|fault| format!("counterpart.{key}: {fault}"))
        };
        let usable = read("ca", &at.ca).and_then(|ca| {
            TestCa::from_pem(&ca, &read("ca_key", &at.ca_key)?).map_err(|fault| format!("counterpart.ca and ca_key: {fault}"))
        });
        match usable {
            Ok(_) => {
                findings
                    .ok("SCIM server of the suite: its authority can be used; the identity service must trust counterpart.ca");
            }
            Err(why) => findings.problem(&why, "`ipsie-conform init ISSUER --level AL1` makes the two files."),
        }
    }
    let auth = loaded.target.provisioning().map(|scim| (scim.auth, scim.token.is_some()));
    if matches!(auth, None | Some((ScimAuth::Bearer, false))) && !at.scim_url.is_empty() {
        let remedy = "Add [provisioning] with token = \"file:PATH\", and give its value to the identity service.";
        findings.problem("SCIM server of the suite: it has no token for the identity service (provisioning.token)", remedy);
    }
    let cycle = loaded.target.lifecycle.cycle_s;
    if cycle > LONG_CYCLE_S && loaded.target.target.levels.iter().any(|level| level.is_account()) {
        let remedy = "Use on-demand provisioning in the hooks, and set lifecycle.cycle_s to what that needs.";
        findings.advice(&format!("a change may take {cycle} s (lifecycle.cycle_s): a run waits for several cycles"), remedy);
    }
}

/// The keys of the identity service's JWTs, where the target file names them.
async fn published_keys(target: &Target, network: &Network, findings: &mut Findings) {
    let Some(url) = target.provisioning().map(|scim| &scim.keys).filter(|url| !url.is_empty()) else { return };
    let sent = network.http.send("doctor", "keys", Ask::get(url).header("accept", "application/json")).await;
    let keys = sent.ok().and_then(|reply| reply.json()).filter(|document: &Value| document["keys"].is_array());
    match keys {
        Some(_) => findings.ok(&format!("provisioning keys: read from {url}")),
        None => findings.problem(&format!("provisioning keys: {url} is no JWK Set"), "Mend provisioning.keys (or scim.keys)."),
    }
}

/// Which keys the account clauses of the claimed levels lack.
fn unconfigured(target: &Target, catalogue: &Catalogue, findings: &mut Findings) {
    let levels: Vec<Level> = target.target.levels.iter().copied().filter(|level| level.is_account()).collect();
    if levels.is_empty() {
        return;
    }
    let asked = Asked {
        levels: levels.clone(),
        roles: target.target.roles.clone(),
        edition: catalogue.default_edition.clone(),
        bindings: Vec::new(),
        clauses: Vec::new(),
        scenarios: Vec::new(),
        fast: false,
        profile: None,
    };
    let plan = Plan::make(catalogue, target, &asked);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for planned in &plan.clauses {
        if let Fate::NotRun(reason) = &planned.fate {
            for reason in reason.split("; ") {
                *reasons.entry(reason).or_default() += 1;
            }
        }
    }
    let named = levels.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let tested = plan.tested().count();
    if reasons.is_empty() {
        return findings.ok(&format!("{named}: {tested} clauses are tested, nothing is left unconfigured"));
    }
    let mut sorted: Vec<(&str, usize)> = reasons.into_iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = sorted.len().saturating_sub(MOST_KEYS);
    let mut lines: Vec<String> = sorted.iter().take(MOST_KEYS).map(|(reason, count)| format!("{reason} ({count})")).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    findings.advice(
        &format!("{named}: {tested} clauses are tested; others are not, because {}", lines.join("; ")),
        "Add the keys; `ipsie-conform list needs` explains them. A level stays incomplete until then.",
    );
}

/// What a killed run of this target file left at the target.
fn left_over(loaded: &Loaded, reports: &Path, findings: &mut Findings) {
    let path = Journal::path(reports, &loaded.target);
    let left = Journal::left(&path).len();
    if left > 0 {
        findings.advice(
            &format!("an earlier run was killed and left {left} things at the target ({})", path.display()),
            "`ipsie-conform run --sweep` with this target file removes them first.",
        );
    }
}
