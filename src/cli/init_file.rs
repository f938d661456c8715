//! The commented target file that `init` writes.

use super::init::Found;
use super::init_accounts::{DIRECTORY_HOOKS, about_accounts, identity_service, levels, receiver};
use super::keys_file::KEYS_FILE;
use crate::catalogue::Catalogue;
use crate::model::target::{ClientAuth, Network};
use crate::model::{Clause, How, Level, Role};

/// The text of the file.
pub fn target_file(found: &Found, catalogue: &Catalogue) -> String {
    [
        about(found),
        network_table(&found.network),
        counterpart(found),
        idp(found),
        clients(found),
        users(),
        identity_service(about_accounts(&found.levels), &found.issuer),
        HOOKS.to_owned(),
        DIRECTORY_HOOKS.to_owned(),
        attest(catalogue, Role::Idp, &found.levels),
        RUN.to_owned(),
    ]
    .join("\n")
}

/// A TOML string.
pub fn string(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn about(found: &Found) -> String {
    format!(
        "# Target file of ipsie-conform. It is safe to commit: secrets are named (\"env:NAME\" or \"file:PATH\"), never written here.\n\
         # Lines that begin with `# ` and a key show what else can be set. Check it with: ipsie-conform doctor --target THIS-FILE\n\n\
         [target]\n\
         # Shown in reports.\n\
         name = {}\n\
         # Roles the product plays: idp (Identity Service), app (Application).\n\
         roles = [\"idp\"]\n\
         # Levels it claims; `run` without --level tests these: SL1, SL2 of sessions, AL1, AL2, AL3 of accounts.\n\
         levels = {}\n\
         # How it sends session commands (SL2): op-commands, backchannel-logout, token-revocation; and how it provisions accounts (AL1 to\n\
         # AL3): scim, op-commands.\n\
         {}\n\
         # A development instance on loopback: clear-text findings become \"not certifiable\" instead of pass.\n\
         # loopback_development = true\n",
        string(&found.name),
        levels(&found.levels),
        if about_accounts(&found.levels) { "bindings = [\"scim\"]" } else { "# bindings = [\"backchannel-logout\"]" }
    )
}

/// The table `[network]`.
pub fn network_table(network: &Network) -> String {
    let ca = match &network.ca_file {
        Some(path) => format!("ca_file = {}\n", string(&path.display().to_string())),
        None => "# ca_file = \"ca.pem\"\n".into(),
    };
    let mut resolve = String::new();
    for (host, address) in &network.resolve {
        resolve.push_str(&format!("{} = {}\n", string(host), string(address)));
    }
    if resolve.is_empty() {
        resolve.push_str("# \"login.example.com\" = \"10.0.0.7:443\"\n");
    }
    format!(
        "[network]\n\
         # PEM file of certificate authorities to trust besides the public ones, relative to this file.\n{ca}\
         # Seconds one HTTP exchange, and one login, may take.\n\
         # timeout_s = 15\n\
         # login_timeout_s = 60\n\
         # Requests per second at most; 0 is no limit.\n\
         # rate = 0\n\
         # Validating DNS resolver for the DNSSEC clauses; the system's, unless one is named.\n\
         # resolver = \"9.9.9.9:53\"\n\
         # Port of clear-text HTTP at the product's hosts.\n\
         # http_port = 80\n\n\
         [network.resolve]\n\
         # Where hosts are, instead of asking DNS: \"host\" or \"host:port\" = \"address:port\".\n{resolve}"
    )
}

fn counterpart(found: &Found) -> String {
    let at = &found.counterpart;
    format!(
        "[counterpart]\n\
         # Origin of the redirect URIs. It needs no DNS entry: the run's own browser resolves it itself.\n\
         public_url = {}\n\
         # Origin of the second sector, for clients.pairwise_other.\n\
         sector_url = {}\n\
         # Where the callback endpoint listens; port 0 takes a free one.\n\
         listen = {}\n\
         # The suite's private keys. Keep the file out of version control.\n\
         keys = \"file:{KEYS_FILE}\"\n{}",
        string(&at.public_url),
        string(&at.sector_url),
        string(&at.listen),
        receiver(about_accounts(&found.levels))
    )
}

fn idp(found: &Found) -> String {
    let announced = found.metadata.list("acr_values_supported");
    let classes = if announced.is_empty() {
        "The metadata announces none.".to_owned()
    } else {
        format!("Announced: {}.", announced.iter().map(|value| string(value)).collect::<Vec<_>>().join(", "))
    };
    let offline = if found.offers("scopes_supported", "offline_access") { "offline_access" } else { "" };
    format!(
        "[idp]\n\
         # Issuer identifier, exactly as clients are given it.\n\
         issuer = {}\n\
         # acr values that mean multi-factor authentication. {classes}\n\
         acr_mfa = []\n\
         # Scope to ask for refresh tokens with; empty asks for none.\n\
         offline_scope = {}\n\
         # Does the product want prompt=consent before it gives refresh tokens?\n\
         # offline_consent = true\n\
         # Seconds a used refresh token may go on to work, as the product is configured.\n\
         # refresh_leeway_s = 0\n\
         # Claims that the agreement with the client lists, although it asks for scope openid only.\n\
         # attribute_contract = [\"email\"]\n\
         # A tenant the users belong to, and one they do not, where the product takes tenant values.\n\
         # tenant = \"tenant-1\"\n\
         # foreign_tenant = \"tenant-2\"\n\
         # Paths below the issuer where dynamic registration might stand, besides the usual ones.\n\
         # registration_paths = [\"/connect/register\"]\n\n\
         # How the browser signs in. Without steps the suite finds user name, password, one-time code and consent by the page itself.\n\
         # [idp.login]\n\
         # steps = [\n\
         #   {{ fill = {{ at = \"#username\", with = \"{{username}}\" }} }},\n\
         #   {{ fill = {{ at = \"#password\", with = \"{{password}}\" }} }},\n\
         #   {{ click = {{ at = \"#sign-in\" }} }},\n\
         #   {{ second-factor = {{}} }},\n\
         #   {{ fill = {{ at = \"#code\", with = \"{{totp}}\" }} }},\n\
         #   {{ click = {{ at = \"#verify\" }} }},\n\
         #   {{ click-if-there = {{ at = \"#accept\" }} }},\n\
         # ]\n",
        string(&found.issuer),
        string(offline)
    )
}

fn clients(found: &Found) -> String {
    let method = match found.auth() {
        ClientAuth::PrivateKeyJwt => "private_key_jwt",
        ClientAuth::ClientSecretBasic => "client_secret_basic",
        ClientAuth::ClientSecretPost => "client_secret_post",
        ClientAuth::None => "none",
    };
    let by_key = found.auth() == ClientAuth::PrivateKeyJwt;
    let client = |name: &str, what: &str, active: bool, extra: &str| {
        let secret = if by_key { String::new() } else { format!("secret = \"env:IPSIE_{}_SECRET\"\n", name.to_uppercase()) };
        let id = name.replace('_', "-");
        let table = format!("[idp.clients.{name}]\nid = \"ipsie-{id}\"\nauth = \"{method}\"\n{secret}{extra}");
        format!("# {what}\n{}", if active { table } else { commented(&table) })
    };
    let pairwise = found.offers("subject_types_supported", "pairwise");
    let encrypts = !found.metadata.list("id_token_encryption_alg_values_supported").is_empty();
    let rsa = if by_key { "# kid of a second, RSA key registered for it.\nrsa_key = \"rs256\"\n" } else { "" };
    [
        "# Clients registered at the product; `id` is the client_id it gave. Remove those that it cannot have: their clauses are then not run.\n\
         # auth: private_key_jwt, client_secret_basic or client_secret_post (with secret = \"env:NAME\"), none.\n"
            .to_owned(),
        client("main", "A confidential client; redirect URIs /cb/a and /cb/b.", true, rsa),
        client("second", "Another confidential client; redirect URIs /cb/second and /cb/a.", true, ""),
        "# A public client, no secret and no key; redirect URI /cb/public.\n[idp.clients.public]\nid = \"ipsie-public\"\nauth = \"none\"\n"
            .to_owned(),
        client("pairwise", "Pairwise subject identifiers, in the sector of public_url; redirect URI /cb/pairwise.", pairwise, ""),
        client("pairwise_other", "Pairwise subject identifiers, in the sector of sector_url; redirect URI /cb/pairwise.", pairwise, ""),
        client("encrypted", "ID tokens encrypted for the key `enc`; redirect URI /cb/encrypted.", encrypts, ""),
    ]
    .join("\n")
}

fn commented(text: &str) -> String {
    text.lines().map(|line| format!("# {line}\n")).collect()
}

fn users() -> String {
    "# Test users with multi-factor authentication. The first one signs in; the second one stops at its first factor.\n\
     # totp: the base32 secret (or otpauth URI) of a one-time code app; passkey: JSON with rp_id, credential_id, user_handle and\n\
     # private_key (needs Chrome). A wrong password is typed only once, because accounts get locked.\n\n\
     [[idp.users]]\n\
     name = \"ipsie-test-1\"\n\
     password = \"env:IPSIE_USER_1_PASSWORD\"\n\
     totp = \"env:IPSIE_USER_1_TOTP\"\n\
     # passkey = \"file:ipsie-test-1.passkey.json\"\n\n\
     [[idp.users]]\n\
     name = \"ipsie-test-2\"\n\
     password = \"env:IPSIE_USER_2_PASSWORD\"\n\
     totp = \"env:IPSIE_USER_2_TOTP\"\n\n\
     # Classes of authentication that applications may request (SL2), weakest first, with the amr values that each one shows at least.\n\
     # classes_by = \"claims\" in [idp] where the product takes the claims parameter instead of acr_values. hardware_totp of a user is the\n\
     # secret of a second authenticator, typed where the page says `hardware`; lacks_highest = true marks a user, behind all others, who\n\
     # cannot reach the highest class.\n\
     # [[idp.classes]]\n\
     # acr = \"urn:example:mfa\"\n\
     # factors = [\"pwd\", \"otp\"]\n\
     # [[idp.classes]]\n\
     # acr = \"urn:example:phishing-resistant\"\n\
     # factors = [\"hwk\"]\n"
        .to_owned()
}

const HOOKS: &str = r#"# Actions only the operator's side can do, each as exec, http or prompt. Without them their clauses are not run.
# Placeholders: {user}, {redirect_uri}, {client_id}, {seconds}, {run_id}; for revoke-user-sessions also {sub}, {binding}, {receiver} (address
# and port of the suite's endpoints) and {receiver_ca} (base64url DER certificate of the authority that signs their certificates).
#
# [hooks.disable-user]
# prompt = "Disable the user {user} now."
# [hooks.enable-user]
# prompt = "Enable the user {user} again."
#
# Answers JSON with client_id; the product must refuse wildcards.
# [hooks.register-client]
# exec = ["./register.sh", "{redirect_uri}"]
# [hooks.unregister-client]
# exec = ["./unregister.sh", "{client_id}"]
#
# [hooks.set-session-lifetime]
# http = { url = "https://login.example.com/admin/session", bearer = "env:IPSIE_ADMIN_TOKEN", body = '{"seconds":{seconds}}' }
#
# Revokes all sessions and tokens of the user, SL2. Called once per delivery binding of target.bindings.
# [hooks.revoke-user-sessions]
# exec = ["./revoke.sh", "{user}"]
#
# Answers JSON with url: what the portal opens for the main client.
# [hooks.portal-launch]
# exec = ["./portal.sh", "{user}"]
"#;

/// The statements that may be made about the clauses of a role: those about sessions, about accounts, or both, as levels of them are claimed.
pub fn attest(catalogue: &Catalogue, role: Role, levels: &[Level]) -> String {
    let claimed = |clause: &Clause| levels.iter().any(|level| level.is_account() == clause.level.is_account());
    let mut out =
        "# Statements of the operator, with name and date, where no test can decide. `holds = false` makes the clause fail.\n"
            .to_owned();
    for clause in catalogue.clauses.iter().filter(|clause| clause.role == role && clause.how == How::Attested && claimed(clause))
    {
        out.push_str(&format!("#\n# {}\n# [attest.\"{}\"]\n", clause.statement, clause.id));
        out.push_str("# statement = \"How the product meets it.\"\n# by = \"Name\"\n# date = \"YYYY-MM-DD\"\n");
    }
    out
}

/// The table `[run]`.
pub const RUN: &str = r#"# Flags of `run` that shall hold without being typed; the command line wins.
# [run]
# fast = true
# jobs = 8
# browser = "auto"
# edition = "2026-02-05"
# allow_incomplete = true
"#;
