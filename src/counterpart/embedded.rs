//! The target of a run without `--target`: the reference identity service, and the target file that describes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::op::{ACR, ACR_HARDWARE, OpConfig, OpUser, ReferenceOp, RegisteredClient, TENANT};
use super::provisioner::Provisioning;
use super::twist::Twist;
use crate::model::clause::TESTED_DELIVERY;
use crate::model::target::{
    About, AcrClass, Attestation, Client, ClientAuth, Clients, CounterpartAt, Hook, HookCall, Idp, Network, RevocationAuth,
    Target, User,
};
use crate::stage::listener::{ListenFault, TestCa};
use crate::wire::jose::{random, unb64};

/// Issuer of the embedded service. `.test` is never in the DNS (RFC 6761).
pub const ISSUER: &str = "https://idp.ipsie-conform.test";
/// The embedded user who has no second authenticator.
const WITHOUT_HARDWARE: &str = "carol";
/// Where a tile of its portal leads, below [`CounterpartAt::public_url`].
pub const INITIATE_PATH: &str = "/initiate";

/// The suite's public keys, as JWKs; each with its `kid`.
#[derive(Clone, Debug)]
pub struct PublicKeys {
    /// ES256, signs client assertions.
    pub signing: Value,
    /// RSA, registered for the main client as a second key.
    pub rsa: Value,
    /// For encrypted ID tokens (`use` `enc`).
    pub encryption: Value,
}

/// A running embedded service. Dropping it stops the service.
#[derive(Debug)]
pub struct Embedded {
    /// What a target file would say about it.
    pub target: Target,
    /// The service.
    pub op: ReferenceOp,
    /// The values of the secrets that `target` refers to as `embedded:NAME`, by that reference.
    pub secrets: BTreeMap<String, String>,
    /// Its provisioning side, where that was started.
    pub provisioning: Option<Provisioning>,
}

/// Starts the embedded service with these defects. `ca` signs its certificates, so whoever talks to it trusts that authority.
pub async fn embedded(
    ca: Arc<TestCa>,
    keys: &PublicKeys,
    counterpart: CounterpartAt,
    twists: &[Twist],
) -> Result<Embedded, ListenFault> {
    embedded_at("127.0.0.1:0", ca, keys, counterpart, twists).await
}

/// As [`embedded`], with its TLS endpoint at this address and port.
pub async fn embedded_at(
    listen: &str,
    ca: Arc<TestCa>,
    keys: &PublicKeys,
    counterpart: CounterpartAt,
    twists: &[Twist],
) -> Result<Embedded, ListenFault> {
    let hook_token = random(24);
    let users: Vec<OpUser> = ["alice", "bob", WITHOUT_HARDWARE]
        .map(|name| OpUser {
            name: name.into(),
            password: random(15),
            totp: base32_secret(),
            hardware: if name == WITHOUT_HARDWARE { String::new() } else { base32_secret() },
            reusable_codes: true,
        })
        .into();
    let mut secrets = BTreeMap::from([("embedded:hook-token".to_owned(), hook_token.clone())]);
    for user in &users {
        secrets.insert(format!("embedded:{}-password", user.name), user.password.clone());
        secrets.insert(format!("embedded:{}-totp", user.name), user.totp.clone());
        secrets.insert(format!("embedded:{}-hardware", user.name), user.hardware.clone());
    }
    let op = ReferenceOp::start(OpConfig {
        listen: listen.into(),
        issuer: ISSUER.into(),
        clients: registrations(keys, &counterpart),
        users,
        twists: twists.to_vec(),
        ca,
        hook_token,
    })
    .await?;
    let target = Target {
        target: About {
            name: "embedded reference identity service".into(),
            bindings: TESTED_DELIVERY.map(str::to_owned).into(),
            ..About::default()
        },
        network: network(&op),
        idp: Some(identity_service(keys)),
        hooks: hooks(),
        attest: attestations(),
        counterpart,
        ..Target::default()
    };
    Ok(Embedded { target, op, secrets, provisioning: None })
}

/// The clients that an operator would register for the suite, with the redirect URIs the target file documents.
pub fn registrations(keys: &PublicKeys, at: &CounterpartAt) -> Vec<RegisteredClient> {
    let client = |id: &str, origin: &str, paths: &[&str]| RegisteredClient {
        id: id.into(),
        redirect_uris: paths.iter().map(|path| format!("{origin}{path}")).collect(),
        auth: ClientAuth::PrivateKeyJwt,
        jwks: json!({"keys": [keys.signing]}),
        ..RegisteredClient::default()
    };
    let own = at.public_url.as_str();
    let sector = |origin: &str| url::Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned));
    vec![
        RegisteredClient {
            jwks: json!({"keys": [keys.signing, keys.rsa]}),
            initiate_login_uri: Some(format!("{own}{INITIATE_PATH}")),
            receiver: Some(own.to_owned()),
            ..client("suite-main", own, &["/cb/a", "/cb/b"])
        },
        client("suite-second", own, &["/cb/a", "/cb/second"]),
        RegisteredClient { auth: ClientAuth::None, jwks: Value::Null, ..client("suite-public", own, &["/cb/public"]) },
        RegisteredClient { pairwise_sector: sector(own), ..client("suite-pairwise", own, &["/cb/pairwise"]) },
        RegisteredClient {
            pairwise_sector: sector(&at.sector_url),
            ..client("suite-pairwise-other", &at.sector_url, &["/cb/pairwise"])
        },
        RegisteredClient {
            jwks: json!({"keys": [keys.signing, keys.encryption]}),
            encrypt_id_token: true,
            ..client("suite-encrypted", own, &["/cb/encrypted"])
        },
    ]
}

fn network(op: &ReferenceOp) -> Network {
    let mut resolve = BTreeMap::new();
    for host in op.hosts() {
        resolve.insert(format!("{host}:443"), op.addr.to_string());
        resolve.insert(format!("{host}:80"), op.http_addr.to_string());
    }
    Network { resolve, resolver: Some(op.dns_addr.to_string()), ..Network::default() }
}

fn identity_service(keys: &PublicKeys) -> Idp {
    let kid = |key: &Value| key["kid"].as_str().map(str::to_owned);
    let client =
        |id: &str| Some(Client { id: id.into(), auth: ClientAuth::PrivateKeyJwt, key: kid(&keys.signing), ..Client::default() });
    let user = |name: &str| User {
        name: name.into(),
        password: Some(format!("embedded:{name}-password")),
        totp: Some(format!("embedded:{name}-totp")),
        hardware_totp: (name != WITHOUT_HARDWARE).then(|| format!("embedded:{name}-hardware")),
        lacks_highest: name == WITHOUT_HARDWARE,
        reusable_codes: true,
        passkey: None,
    };
    Idp {
        issuer: ISSUER.into(),
        clients: Clients {
            main: client("suite-main").map(|main| Client { rsa_key: kid(&keys.rsa), ..main }),
            second: client("suite-second"),
            public: Some(Client { id: "suite-public".into(), auth: ClientAuth::None, ..Client::default() }),
            pairwise: client("suite-pairwise"),
            pairwise_other: client("suite-pairwise-other"),
            encrypted: client("suite-encrypted"),
        },
        users: vec![user("alice"), user("bob"), user(WITHOUT_HARDWARE)],
        acr_mfa: vec![ACR.into(), ACR_HARDWARE.into()],
        classes: vec![class(ACR, &["pwd", "otp"]), class(ACR_HARDWARE, &["pwd", "otp", "hwk"])],
        revocation_auth: RevocationAuth::Jwt,
        offline_scope: "offline_access".into(),
        tenant: TENANT.into(),
        foreign_tenant: "organization-2".into(),
        ..Idp::default()
    }
}

fn class(acr: &str, factors: &[&str]) -> AcrClass {
    AcrClass { acr: acr.into(), factors: factors.iter().map(ToString::to_string).collect() }
}

fn hooks() -> BTreeMap<String, Hook> {
    let bodies = [
        ("register-client", r#"{"redirect_uri":"{redirect_uri}"}"#),
        ("unregister-client", r#"{"client_id":"{client_id}"}"#),
        ("disable-user", r#"{"user":"{user}"}"#),
        ("enable-user", r#"{"user":"{user}"}"#),
        ("recreate-user", r#"{"user":"{user}"}"#),
        ("set-session-lifetime", r#"{"seconds":"{seconds}"}"#),
        ("portal-launch", r#"{"user":"{user}"}"#),
        (
            "revoke-user-sessions",
            r#"{"user":"{user}","binding":"{binding}","receiver":"{receiver}","receiver_ca":"{receiver_ca}"}"#,
        ),
    ];
    let hook = |(name, body): (&str, &str)| {
        let call = HookCall {
            method: Some("POST".into()),
            url: format!("{ISSUER}/operator/{name}"),
            bearer: Some("embedded:hook-token".into()),
            body: Some(body.into()),
        };
        (name.to_owned(), Hook { http: Some(call), ..Hook::default() })
    };
    bodies.into_iter().map(hook).collect()
}

fn attestations() -> BTreeMap<String, Attestation> {
    let date = jiff::Timestamp::now().strftime("%F").to_string();
    let statements = [
        ("complete-redirect-registration", "Every client is registered with its complete redirect URIs."),
        ("sub-never-reassigned", "sub is random and made with the account; an account that is created again gets another one."),
        ("federation-hint", "The service has no upstream identity providers and gives no hint."),
        ("access-token-identity-only", "Nothing but UserInfo accepts the access tokens."),
    ];
    statements
        .into_iter()
        .map(|(slug, statement)| {
            let by = "embedded reference peer".to_owned();
            (format!("sl1.idp.{slug}"), Attestation { holds: true, statement: statement.into(), by, date: date.clone() })
        })
        .collect()
}

fn base32_secret() -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    unb64(&random(32)).unwrap_or_default().iter().map(|byte| char::from(DIGITS[usize::from(byte % 32)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> PublicKeys {
        let key = |kid: &str, usage: &str| json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": usage});
        PublicKeys { signing: key("es256", "sig"), rsa: key("rs256", "sig"), encryption: key("enc", "enc") }
    }

    #[tokio::test]
    async fn every_secret_it_names_is_there_and_it_can_be_written_as_a_target_file() {
        let ca = Arc::new(TestCa::new("test ca").unwrap());
        let embedded = embedded(ca, &keys(), CounterpartAt::default(), &[]).await.unwrap();
        let text = toml::to_string(&embedded.target).unwrap();
        let again: Target = toml::from_str(&text).unwrap();
        let idp = again.idp.unwrap();
        assert_eq!(idp.clients.main.unwrap().rsa_key.as_deref(), Some("rs256"));
        let named = idp.users.iter().flat_map(|user| [user.password.clone(), user.totp.clone()]).flatten();
        let named = named.chain(again.hooks.values().filter_map(|hook| hook.http.as_ref()?.bearer.clone()));
        for reference in named {
            assert!(embedded.secrets.contains_key(&reference), "{reference}");
        }
        assert_eq!(again.network.resolve.len(), 4);
    }

    #[tokio::test]
    async fn it_starts_with_every_defect() {
        let ca = Arc::new(TestCa::new("test ca").unwrap());
        for twist in Twist::ALL {
            let started = embedded(ca.clone(), &keys(), CounterpartAt::default(), &[*twist]).await;
            assert!(started.is_ok(), "{twist:?}: {:?}", started.err());
        }
    }
}
