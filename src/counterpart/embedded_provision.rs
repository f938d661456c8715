//! The part of the embedded target about accounts: the reference identity service provisions into the suite's own SCIM server and
//! command endpoint.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use jsonwebtoken::Algorithm;

use super::embedded::Embedded;
use super::op::TENANT;
use super::provisioner::{Credential, Lapse, Settings};
use crate::model::target::{Attestation, Hook, HookCall, Lifecycle, Scim, ScimAuth, Way};
use crate::stage::listener::{ListenFault, TestCa};
use crate::wire::jose::SigningKey;

/// The SCIM server that the suite plays.
pub const SCIM_URL: &str = "https://scim.ipsie-conform.test/scim/v2";
/// Issuer of its authorization server.
pub const ISSUER: &str = "https://scim.ipsie-conform.test";
/// The command endpoint that the suite plays.
pub const COMMANDS_URL: &str = "https://scim.ipsie-conform.test/commands";
/// Origin of the hooks of the embedded directory, of its key set and its callback endpoint.
pub const DIRECTORY: &str = "https://directory.ipsie-conform.test";
/// The SCIM client's identifier at the suite's authorization server.
pub const CLIENT_ID: &str = "reference-provisioning";
/// Seconds until an answer counts as lost. Faults close the connection, so that nobody waits so long for them.
const TIMEOUT_S: u64 = 30;
/// Seconds a hook waits for what it causes; then it answers all the same.
const SYNC_S: u64 = 2;

/// The first port that is tried for the suite's SCIM server: below those that the system hands out, so that nobody else gets it meanwhile.
const FIRST_PORT: u16 = 20_000;
/// How many are tried.
const PORTS: u16 = 10_000;

/// The first of so many free ports in a row, for who starts after the service that has to know them. Never the same ones twice in a process.
pub fn free_ports(count: u16) -> Option<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that were started one after the other must not choose from the same few ports.
    let start = u16::try_from(std::process::id().wrapping_mul(8) % u32::from(PORTS)).unwrap_or_default();
    let free = |first: &u16| (*first..first + count).all(|port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
    let mut candidates = (0..PORTS).map(|_| FIRST_PORT + (start + NEXT.fetch_add(count, Ordering::Relaxed) % PORTS) % PORTS);
    candidates.find(free)
}

/// An address for the suite's SCIM server.
fn free_address() -> String {
    format!("127.0.0.1:{}", free_ports(1).unwrap_or_default())
}

impl Embedded {
    /// Starts to provision with these defects, and adds to the target what a target file would say about it.
    ///
    /// # Errors
    /// Its endpoint cannot be opened.
    pub async fn provision(&mut self, ca: Arc<TestCa>, lapses: &[Lapse]) -> Result<(), ListenFault> {
        let key = SigningKey::generate("provisioning-es256", Algorithm::ES256)
            .map_err(|error| ListenFault::Bind { address: DIRECTORY.into(), source: std::io::Error::other(error.to_string()) })?;
        let scim_listen = free_address();
        let settings = Settings {
            credential: Credential::Assertion { issuer: ISSUER.into(), client_id: CLIENT_ID.into(), key },
            commands_url: Some(COMMANDS_URL.into()),
            resolve: BTreeMap::from([(format!("{}:443", ISSUER.trim_start_matches("https://")), scim_listen.clone())]),
            roots: vec![ca.der().to_vec()],
            ..self.settings(SCIM_URL, &ca, lapses)
        };
        self.start(settings).await?;
        let target = &mut self.target;
        target.target.bindings.push("scim".into());
        target.counterpart.scim_url = SCIM_URL.into();
        target.counterpart.scim_listen = scim_listen;
        // The suite's certificates come from the authority that the embedded service trusts.
        target.counterpart.ca = Some("embedded:ca".into());
        target.counterpart.ca_key = Some("embedded:ca-key".into());
        self.secrets.insert("embedded:ca".into(), ca.pem().to_owned());
        self.secrets.insert("embedded:ca-key".into(), ca.key_pem());
        target.counterpart.commands_url = COMMANDS_URL.into();
        target.provisioning = Some(Scim {
            auth: ScimAuth::AppAs,
            issuer: ISSUER.into(),
            client_id: CLIENT_ID.into(),
            keys: format!("{DIRECTORY}/jwks"),
            ..Scim::default()
        });
        let ways = vec![Way::Scim, Way::Claims, Way::Commands];
        target.lifecycle = Lifecycle { group_ways: ways.clone(), role_ways: ways, ..Lifecycle::default() };
        target.hooks.extend(hooks());
        target.attest.extend(attestations());
        Ok(())
    }

    /// Starts to provision into a SCIM server that is not the suite's, with these defects. The target says nothing of it but where the hooks are.
    ///
    /// # Errors
    /// Its endpoint cannot be opened, or a setting cannot be used.
    pub async fn provision_into(&mut self, server: Elsewhere, ca: Arc<TestCa>, lapses: &[Lapse]) -> Result<(), ListenFault> {
        let Elsewhere { url, token, roots, resolve } = server;
        let settings = Settings { credential: Credential::Bearer(token), resolve, roots, ..self.settings(&url, &ca, lapses) };
        self.start(settings).await
    }

    /// Those of every server.
    fn settings(&self, scim_url: &str, ca: &Arc<TestCa>, lapses: &[Lapse]) -> Settings {
        Settings {
            scim_url: Some(scim_url.into()),
            credential: Credential::Bearer(String::new()),
            commands_url: None,
            client_id: "suite-main".into(),
            tenant: TENANT.into(),
            resolve: BTreeMap::new(),
            timeout: Duration::from_secs(TIMEOUT_S),
            roots: Vec::new(),
            lapses: lapses.to_vec(),
            listen: "127.0.0.1:0".into(),
            origin: DIRECTORY.into(),
            ca: ca.clone(),
            hook_token: self.secrets.get("embedded:hook-token").cloned().unwrap_or_default(),
        }
    }

    async fn start(&mut self, settings: Settings) -> Result<(), ListenFault> {
        let provisioning = self.op.provision(settings).await?;
        let host = DIRECTORY.trim_start_matches("https://");
        self.target.network.resolve.insert(format!("{host}:443"), provisioning.addr.to_string());
        self.provisioning = Some(provisioning);
        Ok(())
    }
}

/// A SCIM server that is not the suite's.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// Its URL, without a slash at its end.
    pub url: String,
    /// The bearer token for it.
    pub token: String,
    /// Authorities trusted besides the public ones, DER.
    pub roots: Vec<Vec<u8>>,
    /// Where its host is, instead of asking DNS: `host:port` and `address:port`.
    pub resolve: BTreeMap<String, String>,
}

/// The actions with the members of their bodies, each filled from the placeholder of its name.
const ACTIONS: [(&str, &[&str]); 18] = [
    ("create-user", &["user", "email", "name", "password", "totp"]),
    ("assign-user", &["user"]),
    ("unassign-user", &["user"]),
    ("disable-user", &["user"]),
    ("enable-user", &["user"]),
    ("delete-user", &["user"]),
    ("update-profile", &["user", "attribute", "value"]),
    ("rename-user", &["user", "value"]),
    ("create-group", &["group"]),
    ("add-group-member", &["user", "group"]),
    ("remove-group-member", &["user", "group"]),
    ("delete-group", &["group"]),
    ("fill-group", &["group", "count"]),
    ("full-resync", &[]),
    ("import-roles", &[]),
    ("map-role", &["user", "role"]),
    ("unmap-role", &["user", "role"]),
    ("map-group-role", &["group", "role"]),
];

fn hooks() -> BTreeMap<String, Hook> {
    let hook = |(name, members): &(&str, &[&str])| {
        let members: Vec<String> =
            members.iter().chain(&["receiver", "receiver_ca"]).map(|member| format!("\"{member}\":\"{{{member}}}\"")).collect();
        let call = HookCall {
            method: Some("POST".into()),
            url: format!("{DIRECTORY}/operator/{name}?sync={SYNC_S}"),
            bearer: Some("embedded:hook-token".into()),
            body: Some(format!("{{{}}}", members.join(","))),
        };
        ((*name).to_owned(), Hook { http: Some(call), ..Hook::default() })
    };
    ACTIONS.iter().map(hook).collect()
}

fn attestations() -> BTreeMap<String, Attestation> {
    let date = jiff::Timestamp::now().strftime("%F").to_string();
    let statements = [
        (
            "al1.idp.audit-log",
            "What could not be provisioned stands at /operator/problems, with the user and the server's answer.",
        ),
        ("al2.idp.drift-unmanaged-reported", "Accounts that are not managed are never changed."),
        ("al3.idp.roles-offered-to-admin", "The roles that were read are in the answers of import-roles and map-role."),
    ];
    let attestation = |(id, statement): (&str, &str)| {
        let by = "embedded reference peer".to_owned();
        (id.to_owned(), Attestation { holds: true, statement: statement.into(), by, date: date.clone() })
    };
    statements.into_iter().map(attestation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counterpart::embedded::{PublicKeys, embedded};
    use crate::model::target::{CounterpartAt, Target};
    use serde_json::{Value, json};

    #[tokio::test]
    async fn the_target_can_be_written_and_every_hook_has_a_body_of_json() {
        let key = |kid: &str, usage: &str| json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": usage});
        let keys = PublicKeys { signing: key("es256", "sig"), rsa: key("rs256", "sig"), encryption: key("enc", "enc") };
        let ca = Arc::new(TestCa::new("test ca").unwrap());
        let mut embedded = embedded(ca.clone(), &keys, CounterpartAt::default(), &[]).await.unwrap();
        embedded.provision(ca, &[]).await.unwrap();
        let again: Target = toml::from_str(&toml::to_string(&embedded.target).unwrap()).unwrap();
        for (action, members) in ACTIONS {
            let call = again.hooks[action].http.clone().unwrap();
            let body: Value = serde_json::from_str(call.body.as_deref().unwrap()).unwrap();
            assert_eq!(body.as_object().unwrap().len(), members.len() + 2, "{action}");
            assert!(embedded.secrets.contains_key(call.bearer.as_deref().unwrap()));
        }
        assert_eq!(again.provisioning.unwrap().issuer, ISSUER);
    }
}
