//! Sets the stage of a run: keys, trust, name resolution, callback endpoint, discovery, browser. Whatever fails here is a
//! prerequisite, told before the first scenario.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OnceCell;
use wiremock::ResponseTemplate;

use crate::calibrate::calibrate;
use crate::catalogue::Catalogue;
use crate::counterpart::authorize::{OPEN_HOST, host_of};
use crate::counterpart::keys::SuiteKeys;
use crate::counterpart::provider::Provider;
use crate::error::Error;
use crate::event::{Event, Sink};
use crate::model::target::{ScimAuth, Target};
use crate::model::{ClauseId, Role};
use crate::plan::Plan;
use crate::reach::reach;
use crate::set_app;
use crate::set_receiver;
use crate::stage::browser::chrome::{ChromeAgent, find_chrome};
use crate::stage::browser::form::FormAgent;
use crate::stage::browser::{AgentConfig, UserAgent};
use crate::stage::cert::Trust;
use crate::stage::http::{Ask, Http};
use crate::stage::inbox::{Answer, Arrivals, Inbox};
use crate::stage::journal::{Entry, Journal};
use crate::stage::listener::{ClearServer, ListenFault, TestCa, TlsFront, TlsShape};
use crate::stage::raw::Probing;
use crate::stage::recorder::Recorder;
use crate::stage::resolve::Resolve;
use crate::stage::scim_world::ScimWorld;
use crate::stage::secrets::Secrets;
use crate::stage::world::{Discovery, Jwks, Samples};
use crate::stage::{CLEAN_UP, Stage, World};
use crate::wire::jose::{from_pem, random};

/// Which user agent signs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Browser {
    /// Chrome where it is installed, else the form agent.
    #[default]
    Auto,
    /// Chrome, or no run.
    Chrome,
    /// The form agent.
    Form,
    /// A Chrome that is running already, by its DevTools address.
    Connect(String),
}

/// All that a run needs to know.
pub struct Setting {
    /// The target file.
    pub target: Target,
    /// Its secrets.
    pub secrets: Secrets,
    /// SHA-256 over it.
    pub digest: String,
    /// The target is the embedded reference peer.
    pub embedded: bool,
    /// Keys given directly, for the embedded peer.
    pub keys: Option<SuiteKeys>,
    /// Certificates trusted besides those of the target file, DER.
    pub roots: Vec<Vec<u8>>,
    /// Which user agent signs in.
    pub browser: Browser,
    /// Show the browser's window.
    pub headed: bool,
    /// Scenarios at a time.
    pub jobs: usize,
    /// Clauses that must wait are left out.
    pub fast: bool,
    /// Somebody may answer prompts.
    pub interactive: bool,
    /// Requests in large numbers are allowed.
    pub allow_load: bool,
    /// Where the run lists what it makes at the target; none lists nothing.
    pub journal: Option<PathBuf>,
    /// What an earlier run left at the target and this one removes first.
    pub sweep: Vec<Entry>,
    /// The provider for the application, where it had to be started before it.
    pub provider: Option<Provider>,
}

/// What a run needs of the stage.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Clauses to be decided.
    pub wanted: HashSet<ClauseId>,
    /// The roles under test.
    pub roles: Vec<Role>,
    /// Those of them where somebody signs in. Without one there is no browser.
    pub sign_in: Vec<Role>,
    /// The application needs the suite's provider: for sign-ins, or for the keys of messages.
    pub provider: bool,
    /// An identity service provisions into the suite.
    pub provisioning: bool,
    /// The application is driven by SCIM.
    pub scim: bool,
    /// The application is driven by account commands.
    pub commands: bool,
    /// Seconds of the longest wait that the profiles name.
    pub longest_s: u64,
}

impl Needs {
    /// Of a plan.
    pub fn of(plan: &Plan, catalogue: &Catalogue) -> Self {
        let signs_in = |role: &Role| plan.suites.iter().any(|suite| suite.browser() && suite.role() == *role);
        Needs {
            wanted: plan.tested().map(|clause| clause.id.clone()).collect(),
            roles: plan.roles.clone(),
            sign_in: plan.roles.iter().copied().filter(signs_in).collect(),
            provider: plan.suites.iter().any(|suite| suite.provider() && suite.role() == Role::App),
            provisioning: plan.suites.iter().any(|suite| suite.provisioned()),
            scim: plan.suites.iter().any(|suite| suite.id().starts_with("scim-")),
            commands: plan.suites.iter().any(|suite| suite.id().starts_with("command-accounts/")),
            longest_s: catalogue.clauses.iter().map(|clause| clause.wait_s).max().unwrap_or(0),
        }
    }

    /// One sign-in at the target in this role, no clause.
    pub fn login(role: Role) -> Self {
        Needs { roles: vec![role], sign_in: vec![role], provider: role == Role::App, ..Needs::default() }
    }
}

/// A stage that is set. Dropping it closes the suite's endpoints.
pub struct Set {
    /// The world.
    pub world: Arc<World>,
    _callback: ClearServer,
    _front: TlsFront,
}

impl Set {
    /// Sets the stage.
    ///
    /// # Errors
    /// A prerequisite that is not met, with its remedy.
    pub async fn up(mut setting: Setting, needs: Needs, events: Sink) -> Result<Set, Error> {
        let started = setting.provider.take();
        let Setting { target, secrets, .. } = &setting;
        let Needs { wanted, roles, sign_in, provider, provisioning, scim: by_scim, commands: by_commands, longest_s } = needs;
        let idp = target.idp.clone().filter(|_| roles.contains(&Role::Idp));
        let recorder = Arc::new(Recorder::default());
        let keys = suite_keys(&setting)?;
        if idp.is_some() {
            // Here and not in the middle of a scenario: they take a while.
            keys.rs256().map_err(|fault| Error::Suite { message: fault.to_string() })?;
        }
        let target_roots = roots(target)?;

        let ca =
            Arc::new(TestCa::new("ipsie-conform run authority").map_err(|error| Error::Suite { message: error.to_string() })?);
        let help = "Set counterpart.listen to a free address, or to \"127.0.0.1:0\" for any free port.";
        let occupied = |fault: ListenFault| Error::prerequisite(fault.to_string(), help);
        let at = &target.counterpart;
        let arrivals = Arrivals::new(recorder.clone(), &at.public_url);
        let answer = Answer { arrivals: arrivals.clone(), other: arrived() };
        let callback = ClearServer::start("127.0.0.1:0", answer).await.map_err(occupied)?;
        let front = TlsFront::start(ca.clone(), &at.listen, callback.addr, TlsShape::default(), None).await.map_err(occupied)?;
        // Where tokens come from the identity service, its provider issues them although nobody signs in.
        let issues = roles.contains(&Role::App) && target.scim.as_ref().is_some_and(|scim| scim.auth == ScimAuth::IdpAs);
        let app = if (provider || issues) && target.app.is_some() {
            Some(set_app::prepare(&setting, started, &keys, &recorder).await?)
        } else {
            None
        };
        let scim = ScimWorld::prepare(target, secrets, &recorder)?;

        let suite_hosts: Vec<String> = [&at.public_url, &at.sector_url].iter().filter_map(|url| host_of(url)).collect();
        let suite_port = |url: &str| url::Url::parse(url).ok().and_then(|url| url.port_or_known_default()).unwrap_or(443);
        let mut own = vec![(format!("{OPEN_HOST}:443"), front.addr)];
        for (host, url) in suite_hosts.iter().zip([&at.public_url, &at.sector_url]) {
            for name in [host.clone(), format!("*.{host}"), format!("{host}.evil.example")] {
                own.push((format!("{name}:{}", suite_port(url)), front.addr));
            }
        }
        own.push(("evil.example:443".into(), front.addr));
        own.extend(app.iter().flat_map(|app| app.provider.places()));
        let resolve = Resolve::new(&target.network.resolve, own.iter().map(|(name, addr)| (name.as_str(), *addr)))
            .map_err(|message| Error::usage(message, "Mend [network.resolve]."))?;

        let mut all_roots = target_roots.clone();
        all_roots.extend(setting.roots.clone());
        let http = Http::new(&target.network, &resolve, &all_roots, recorder.clone())
            .map_err(|error| Error::prerequisite(format!("the HTTP client cannot be made: {error}"), "Check network.ca_file."))?;
        let discovery = match &idp {
            Some(idp) => discover(&http, &idp.issuer).await?,
            None => Discovery::default(),
        };
        if let Some(app) = &app {
            app.fetch_keys(&http, &events).await;
        }
        let jwks = jwks(&http, &discovery);
        let mut pages: Vec<&str> = idp.iter().map(|idp| idp.issuer.as_str()).collect();
        pages.extend(discovery.document.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str()));
        pages.extend(app.iter().flat_map(|app| app.pages(target)));
        let leaves = leaves(&resolve, &recorder, &all_roots, &pages);
        let (jwks, leaves) = futures_util::future::join(jwks, leaves).await;

        let mut agent_resolve: Vec<(String, String)> = target
            .network
            .resolve
            .iter()
            .flat_map(|(name, addr)| with_port(name).into_iter().map(|name| (name, addr.clone())))
            .collect();
        agent_resolve.extend(own.iter().map(|(name, addr)| (name.clone(), addr.to_string())));
        let authorities = app.iter().flat_map(|app| app.authority.clone());
        let config = AgentConfig {
            suite_hosts: suite_hosts.iter().cloned().chain([OPEN_HOST.to_owned()]).collect(),
            own_origins: app.iter().map(|app| set_app::origin(app.provider.issuer())).collect(),
            resolve: agent_resolve,
            roots: all_roots.iter().cloned().chain([ca.der().to_vec()]).chain(authorities).collect(),
            leaves,
            deadline: Duration::from_secs(target.network.timeout_s.max(2)),
            headed: setting.headed,
        };
        let choice = if sign_in.is_empty() { &Browser::Form } else { &setting.browser };
        let agent = agent(choice, config, recorder.clone(), &events).await?;
        let run_id = format!(
            "run-{}-{}",
            jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S"),
            random(4).to_lowercase().replace(['-', '_'], "x")
        );
        let receiver = if provisioning {
            set_receiver::start(&setting, &recorder, &http, &jwks.set, &discovery, &wanted, &run_id).await?
        } else {
            None
        };
        let world = World {
            target: target.clone(),
            idp: idp.unwrap_or_default(),
            app: app.map(|app| app.world(&run_id)),
            scim: scim.map(|scim| scim.of_run(&run_id)),
            receiver,
            embedded: setting.embedded,
            longest_s,
            allow_load: setting.allow_load,
            secrets: secrets.clone(),
            keys,
            recorder,
            http,
            resolve,
            roots: all_roots,
            agent,
            events,
            run_id,
            wanted,
            interactive: setting.interactive,
            discovery,
            jwks: Mutex::new(jwks),
            main: OnceCell::new(),
            audience: OnceCell::new(),
            samples: Mutex::new(Samples::default()),
            users: Mutex::new(BTreeMap::new()),
            session: Arc::default(),
            inbox: Inbox::new(front.addr, ca.der().to_vec(), arrivals),
            commands: Default::default(),
            journal: Journal::new(setting.journal.clone()),
            named: Default::default(),
            guests: Default::default(),
            left: Mutex::default(),
            undo: Mutex::default(),
            stuck: Mutex::default(),
            hung: Mutex::default(),
        };
        let world = Arc::new(world);
        // Where somebody signs in as well, that is tried, and what one interface lacks does not stop the others.
        if sign_in.is_empty() && roles == [Role::App] {
            reach(&world, by_scim, by_commands).await?;
        }
        if !setting.sweep.is_empty() {
            Stage::new(world.clone(), CLEAN_UP).sweep(&setting.sweep).await;
        }
        if let Some(app) = world.app.as_ref().filter(|_| sign_in.contains(&Role::App)) {
            let stage = Stage::new(world.clone(), "clean-up");
            app.users.iter().for_each(|who| stage.guest(who));
        }
        let set = Set { world, _callback: callback, _front: front };
        if sign_in.contains(&Role::App)
            && set.world.app.is_some()
            && let Err(error) = calibrate(&set.world).await
        {
            set.world.agent.close().await;
            return Err(error);
        }
        Ok(set)
    }
}

/// What the browser sees at a redirect URI.
fn arrived() -> ResponseTemplate {
    ResponseTemplate::new(200).insert_header("cache-control", "no-store").set_body_raw(
        "<!doctype html><title>Arrived</title><p>The response has reached the suite.</p>".as_bytes(),
        "text/html; charset=utf-8",
    )
}

fn suite_keys(setting: &Setting) -> Result<SuiteKeys, Error> {
    if let Some(keys) = &setting.keys {
        return Ok(keys.clone());
    }
    let help = "`ipsie-conform init` makes the file; register its public half at the target.";
    match &setting.target.counterpart.keys {
        Some(reference) => {
            let text =
                setting.secrets.get(reference).map_err(|fault| Error::usage(format!("counterpart.keys: {fault}"), help))?;
            SuiteKeys::parse(&text).map_err(|fault| Error::usage(format!("counterpart.keys: {fault}"), help))
        }
        None => SuiteKeys::generate().map_err(|fault| Error::Suite { message: fault.to_string() }),
    }
}

/// DER certificates of `network.ca_file`.
pub fn roots(target: &Target) -> Result<Vec<Vec<u8>>, Error> {
    let Some(path) = &target.network.ca_file else { return Ok(Vec::new()) };
    let help = "Write the path of a PEM file, relative to the target file.";
    let pem = std::fs::read_to_string(path)
        .map_err(|error| Error::usage(format!("network.ca_file {} cannot be read: {error}", path.display()), help))?;
    match from_pem("CERTIFICATE", &pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(Error::usage(format!("network.ca_file {} holds no certificate", path.display()), help)),
        Err(fault) => Err(Error::usage(format!("network.ca_file {}: {fault}", path.display()), help)),
    }
}

/// The discovery document. No HTTP answer at all is a prerequisite; a wrong answer is for a verdict.
pub async fn discover(http: &Http, issuer: &str) -> Result<Discovery, Error> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    match http.send("idp-probe/metadata", "discovery document", Ask::get(&url).header("accept", "application/json")).await {
        Ok(reply) => {
            let document = reply.json().filter(|_| reply.status == 200).filter(Value::is_object).unwrap_or(Value::Null);
            Ok(Discovery { reply: Some(reply), document })
        }
        Err(fault) if fault.certificate => Err(Error::prerequisite(
            format!("the certificate of the identity service is not trusted: {fault}"),
            "If a private authority issued it, name its PEM file in network.ca_file; else the certificate itself is the finding.",
        )),
        Err(fault) => Err(Error::prerequisite(
            format!("the identity service could not be reached: {fault}"),
            "Check idp.issuer, [network.resolve] and that the service is up; `ipsie-conform doctor` looks at each part.",
        )),
    }
}

async fn jwks(http: &Http, discovery: &Discovery) -> Jwks {
    let Some(url) = discovery.get("jwks_uri") else { return Jwks::default() };
    match http.send("idp-probe/metadata", "JWK Set", Ask::get(url).header("accept", "application/json")).await {
        Ok(reply) => Jwks { set: reply.json().unwrap_or(Value::Null), reply: Some(reply), again: false },
        Err(_) => Jwks::default(),
    }
}

/// Leaf certificates of these URLs' hosts that verified against a private authority: Chrome does not know that authority and pins them.
async fn leaves(resolve: &Resolve, recorder: &Recorder, roots: &[Vec<u8>], urls: &[&str]) -> Vec<Vec<u8>> {
    let Ok(trust) = Trust::new(roots) else { return Vec::new() };
    let places: HashSet<(String, u16)> = urls
        .iter()
        .filter_map(|url| url::Url::parse(url).ok())
        .filter(|url| url.scheme() == "https")
        .filter_map(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)))
        .collect();
    let probing = Probing::new(resolve, recorder, "set-up");
    let reports = futures_util::future::join_all(places.iter().map(|(host, port)| probing.cert(host, *port, &trust))).await;
    reports
        .into_iter()
        .filter(|report| report.verified() && !report.public)
        .filter_map(|report| report.chain.into_iter().next())
        .collect()
}

/// A name without port stands for both usual ports.
fn with_port(name: &str) -> Vec<String> {
    let has_port = name.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { vec![name.to_owned()] } else { vec![format!("{name}:443"), format!("{name}:80")] }
}

async fn agent(
    choice: &Browser,
    config: AgentConfig,
    recorder: Arc<Recorder>,
    events: &Sink,
) -> Result<Arc<dyn UserAgent>, Error> {
    let help = "Install Chromium (Debian: apt-get install chromium) or set CHROME to its path; --browser form signs in at server-rendered pages without it.";
    let failed = |fault: crate::stage::browser::AgentFault| Error::prerequisite(fault.to_string(), help);
    let form = |config, recorder| FormAgent::new(config, recorder).map_err(failed);
    match choice {
        Browser::Form => form(config, recorder),
        Browser::Chrome => ChromeAgent::launch(config, recorder, None).await.map_err(failed),
        Browser::Connect(address) => ChromeAgent::launch(config, recorder, Some(address.clone())).await.map_err(failed),
        Browser::Auto if find_chrome().is_none() => {
            events(Event::Note {
                text: "no Chrome was found: the form agent signs in, which needs server-rendered login pages".into(),
            });
            form(config, recorder)
        }
        Browser::Auto => match ChromeAgent::launch(config.clone(), recorder.clone(), None).await {
            Ok(agent) => Ok(agent),
            Err(fault) => {
                events(Event::Note { text: format!("Chrome could not be started ({fault}): the form agent signs in") });
                form(config, recorder)
            }
        },
    }
}
