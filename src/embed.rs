//! The target of a run without `--target`: the reference peers, each the counterpart of a role the suite plays.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::counterpart::app::{AppKeys, Defect};
use crate::counterpart::embedded::{Embedded, embedded};
use crate::counterpart::embedded_app::{EmbeddedApp, ProviderFor, application, embedded_app};
use crate::counterpart::keys::SuiteKeys;
use crate::counterpart::op::dns::Responder;
use crate::counterpart::provisioner::Lapse;
use crate::counterpart::scim_server::{Layout, Quirk};
use crate::counterpart::twist::Twist;
use crate::error::Error;
use crate::model::target::{About, CounterpartAt, Target};
use crate::model::{Level, Role};
use crate::set_app;
use crate::set_stage::{Browser, Setting};
use crate::stage::listener::{ListenFault, TestCa};
use crate::stage::recorder::Recorder;
use crate::stage::secrets::Secrets;
use crate::suite::Suite;
use crate::suites;

/// What takes a moment to make and may be used for many runs.
#[derive(Clone)]
pub struct Materials {
    ca: Arc<TestCa>,
    keys: SuiteKeys,
    app_keys: AppKeys,
}

impl Materials {
    /// Fresh keys and a fresh authority; takes about a second.
    ///
    /// # Errors
    /// The crypto library gave none.
    pub fn make() -> Result<Self, Error> {
        let fault = |message: String| Error::Suite { message };
        Ok(Materials {
            ca: Arc::new(TestCa::new("ipsie-conform reference authority").map_err(|error| fault(error.to_string()))?),
            keys: SuiteKeys::generate().map_err(|error| fault(error.to_string()))?,
            app_keys: AppKeys::generate().map_err(|error| fault(error.to_string()))?,
        })
    }
}

/// A deliberate defect of one of the reference peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Of the identity service.
    Idp(Twist),
    /// Of the application.
    App(Defect),
    /// Of the application's SCIM interface.
    Scim(Quirk),
    /// Of the identity service's provisioning side.
    Provision(Lapse),
}

impl Flaw {
    /// Every defect, in the order of the catalogue.
    pub fn all() -> impl Iterator<Item = Flaw> {
        let idp = Twist::ALL.iter().copied().map(Flaw::Idp);
        let app = Defect::ALL.iter().copied().map(Flaw::App);
        let scim = Quirk::ALL.iter().copied().map(Flaw::Scim);
        idp.chain(app).chain(scim).chain(Lapse::ALL.iter().copied().map(Flaw::Provision))
    }

    /// The clause that must catch it; for an effect of commands the id without its binding.
    pub fn clause(self) -> &'static str {
        match self {
            Flaw::Idp(twist) => twist.clause(),
            Flaw::App(defect) => defect.clause(),
            Flaw::Scim(quirk) => quirk.clause(),
            Flaw::Provision(lapse) => lapse.clause(),
        }
    }

    /// Whose defect it is.
    pub fn role(self) -> Role {
        match self {
            Flaw::Idp(_) | Flaw::Provision(_) => Role::Idp,
            Flaw::App(_) | Flaw::Scim(_) => Role::App,
        }
    }

    /// The scenarios that can show it, as patterns; none for all of its levels. The SCIM interface is looked at without a browser.
    pub fn scenarios(self) -> Vec<String> {
        let accounts = self.clause().starts_with("al");
        let usual = match self {
            Flaw::Scim(_) => ["scim-*"].as_slice(),
            Flaw::App(_) if accounts => ["account-*"].as_slice(),
            // Users who come and go, and what the deciding scenario does with them.
            Flaw::Provision(_) => ["provision-joiner", "provision-leaver"].as_slice(),
            _ => return Vec::new(),
        };
        usual
            .iter()
            .map(|pattern| (*pattern).to_owned())
            .chain(own_suite(self.clause()).map(|suite| suite.id().to_owned()))
            .collect()
    }
}

/// The scenario that decides a clause.
fn own_suite(clause: &str) -> Option<&'static dyn Suite> {
    let decides = |id: &String| id.split('@').next() == Some(clause);
    suites::all().iter().copied().find(|suite| suite.clauses().iter().any(decides))
}

/// Is the suite's provider needed? Nobody signs in where the SCIM interface alone is looked at.
fn signs_in(flaws: &[Flaw]) -> bool {
    let alone = |flaw: &Flaw| {
        matches!(flaw, Flaw::Scim(quirk) if *quirk != Quirk::TokenAcceptedFromIdp)
            && own_suite(flaw.clause()).is_some_and(|suite| !suite.browser())
    };
    flaws.is_empty() || !flaws.iter().all(alone)
}

/// The running peers. Dropping them stops them.
pub struct Peers {
    _idp: Option<Embedded>,
    _app: Option<EmbeddedApp>,
    _dns: Option<Responder>,
}

/// The reference peers of these roles, with these defects, as a target.
///
/// # Errors
/// Their endpoints cannot be opened.
pub async fn embed(
    materials: &Materials,
    roles: &[Role],
    flaws: &[Flaw],
    browser: Browser,
    fast: bool,
    jobs: usize,
) -> Result<(Setting, Peers), Error> {
    let Materials { ca, keys, app_keys } = materials.clone();
    let mut twists: Vec<Twist> =
        flaws.iter().filter_map(|flaw| if let Flaw::Idp(twist) = flaw { Some(*twist) } else { None }).collect();
    let defects: Vec<Defect> =
        flaws.iter().filter_map(|flaw| if let Flaw::App(defect) = flaw { Some(*defect) } else { None }).collect();
    let quirks: Vec<Quirk> =
        flaws.iter().filter_map(|flaw| if let Flaw::Scim(quirk) = flaw { Some(*quirk) } else { None }).collect();
    let lapses: Vec<Lapse> =
        flaws.iter().filter_map(|flaw| if let Flaw::Provision(lapse) = flaw { Some(*lapse) } else { None }).collect();
    if lapses.contains(&Lapse::AccessEndsAtIdpToo) {
        twists.push(Twist::RefreshStopsForDisabledUser);
    }
    let occupied =
        |fault: ListenFault| Error::prerequisite(fault.to_string(), "The embedded peers need free ports on 127.0.0.1.");
    let mut target = Target {
        target: About {
            name: "embedded reference peers".into(),
            roles: roles.to_vec(),
            levels: vec![Level::Sl2],
            ..About::default()
        },
        ..Target::default()
    };
    let mut secrets = BTreeMap::new();
    let (mut idp, mut app, mut provider) = (None, None, None);
    if roles.contains(&Role::Idp) {
        let public = keys.public().map_err(|error| Error::Suite { message: error.to_string() })?;
        let mut peer = embedded(ca.clone(), &public, CounterpartAt::default(), &twists).await.map_err(occupied)?;
        peer.provision(ca.clone(), &lapses).await.map_err(occupied)?;
        join(&mut target, peer.target.clone());
        secrets.extend(peer.secrets.clone());
        idp = Some(peer);
    }
    if roles.contains(&Role::App) {
        let issuer = CounterpartAt::default().issuer;
        let mut its = ProviderFor::new(&issuer, Some(&format!("{issuer}/second")));
        // Of the two ways to a token only one can be set up; this clause is about the other one.
        its.layout = if quirks.contains(&Quirk::TokenAcceptedFromIdp) { Layout::IdpAs } else { Layout::AppAs };
        if its.layout == Layout::AppAs {
            its.provisioning_keys = json!({"keys": [keys.es256.jwk()]});
        }
        its.quirks = quirks;
        target.app = Some(application(&its));
        its.roots = vec![ca.der().to_vec()];
        if signs_in(flaws) {
            // The provider comes first: the application is told where to find it.
            let recorder = Arc::new(Recorder::default());
            let playing = set_app::provider(&target, ca.clone(), &keys, None, Value::Null, recorder).await?;
            its.resolve = playing.places();
            provider = Some(playing);
        }
        let peer = embedded_app("127.0.0.1:0", ca.clone(), &app_keys, &its, &defects).await.map_err(occupied)?;
        join(&mut target, peer.target.clone());
        secrets.extend(peer.secrets.clone());
        app = Some(peer);
    }
    let mut dns = None;
    if roles.len() > 1 {
        // One resolver for the names of both.
        let hosts = target.network.resolve.keys().filter_map(|name| Some(name.rsplit_once(':')?.0.to_owned())).collect();
        let responder = Responder::start("127.0.0.1:0", hosts, true).await.map_err(occupied)?;
        target.network.resolver = Some(responder.addr.to_string());
        dns = Some(responder);
    }
    let setting = Setting {
        target,
        secrets: Secrets::given(secrets),
        digest: "embedded".into(),
        embedded: true,
        keys: Some(keys),
        roots: vec![ca.der().to_vec()],
        browser,
        headed: false,
        jobs,
        fast,
        interactive: false,
        allow_load: true,
        journal: None,
        sweep: Vec::new(),
        provider,
    };
    Ok((setting, Peers { _idp: idp, _app: app, _dns: dns }))
}

/// Puts one peer's description beside another's; each has tables of its own.
fn join(target: &mut Target, peer: Target) {
    target.network.resolve.extend(peer.network.resolve);
    target.network.resolver = peer.network.resolver;
    target.hooks.extend(peer.hooks);
    target.attest.extend(peer.attest);
    target.idp = target.idp.take().or(peer.idp);
    if !peer.counterpart.scim_url.is_empty() {
        target.counterpart = peer.counterpart;
        target.lifecycle = peer.lifecycle.clone();
        target.provisioning = peer.provisioning;
    }
    for binding in peer.target.bindings {
        if !target.target.bindings.contains(&binding) {
            target.target.bindings.push(binding);
        }
    }
    if peer.app.is_some() {
        target.app = peer.app;
        target.commands = peer.commands;
        target.scim = peer.scim;
        target.lifecycle = peer.lifecycle;
        target.accounts = peer.accounts;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collateral_is_allowed_for_known_defects_only_and_always_with_a_reason() {
        let known = |id: &str| Flaw::all().any(|flaw| flaw.clause() == id.split('@').next().unwrap_or(id));
        let file: toml::Table = include_str!("../fixtures/defects.toml").parse().unwrap();
        for (id, entry) in file["defects"].as_table().unwrap() {
            assert!(known(id), "{id}");
            assert!(entry["why"].as_str().unwrap().len() > 10, "{id}");
            let allowed = entry["allow"].as_array().unwrap();
            assert!(!allowed.is_empty(), "{id}");
            for other in allowed {
                let other = other.as_str().unwrap();
                assert!(other != id && known(other), "{id}: {other}");
            }
        }
    }
}
