//! `init --role app`: the target file of an application, the authority it must trust, and what to configure at the application.

use std::path::Path;

use super::init::{InitArgs, Provider};
use super::init_accounts::{APP_HOOKS, application, application_next, levels, pages};
use super::init_file::{RUN, attest, network_table, string};
use super::keys_file::{JWKS_FILE, KEYS_FILE, keys_in, write_fresh, write_plain};
use super::text::{self, print, quoted};
use crate::catalogue::Catalogue;
use crate::error::{Error, exit};
use crate::model::target::Network;
use crate::model::{Level, Role};
use crate::report::view::Style;
use crate::stage::listener::TestCa;
use crate::wire::jose::random;

/// Certificate of the authority behind the provider.
const CA_FILE: &str = "ipsie-conform.ca.pem";
/// Its private key.
const CA_KEY_FILE: &str = "ipsie-conform.ca-key.pem";
/// The application's client secret at the provider.
const SECRET_FILE: &str = "ipsie-conform.client-secret";
/// `client_id` of the application at the provider.
const CLIENT_ID: &str = "ipsie-application";
/// Port of the provider where no issuer says another one; the two next ports are used as well.
const PORT: u16 = 8443;

/// What is known of the application when the file is written.
struct Found {
    /// A page; none where the service provider alone is described.
    url: Option<url::Url>,
    name: String,
    issuer: String,
    port: u16,
    network: Network,
    levels: Vec<Level>,
    scim: Option<Provider>,
}

/// Writes the files into this folder, which is there, and prints what to do; the answer is the exit code.
///
/// # Errors
/// A wrong argument, or a file that cannot be written.
pub fn init_app(
    args: &InitArgs,
    dir: &Path,
    network: Network,
    scim: Option<Provider>,
    catalogue: &Catalogue,
    style: Style,
) -> Result<u8, Error> {
    let found = found(args, network, scim)?;
    let (keys, _) = keys_in(dir)?;
    let mut files = vec![("Target file", args.out.display().to_string())];
    if found.url.is_some() {
        let note = if authority(dir)? { "made now: keep the key private" } else { "was there, kept" };
        write_fresh(&dir.join(SECRET_FILE), &format!("{}\n", random(32)))?;
        files.push(("Authority", format!("{} and {CA_KEY_FILE} ({note})", dir.join(CA_FILE).display())));
        files.push(("Client secret", dir.join(SECRET_FILE).display().to_string()));
    }
    files.push(("Private keys", dir.join(KEYS_FILE).display().to_string()));
    if found.scim.is_some() {
        let jwks = keys.jwks().map_err(|fault| Error::Suite { message: fault.to_string() })?;
        write_plain(&dir.join(JWKS_FILE), &text::json(&jwks))?;
        files.push(("Public keys", dir.join(JWKS_FILE).display().to_string()));
    }
    write_plain(&args.out, &target_file(&found, catalogue))?;
    let mut out = String::new();
    for (what, file) in files {
        out.push_str(&format!("{what:<14} {file}\n"));
    }
    if found.url.is_some() {
        registration(&mut out, &found, dir, style);
    }
    if let Some(scim) = &found.scim {
        application_next(&mut out, &scim.learnt, &scim.token, scim.has_token, style);
    }
    let file = quoted(&args.out);
    let what = if found.url.is_some() { "the pages of the application, redirect URIs," } else { "access, domain, roles," };
    out.push_str(&format!("\n{}\n", text::bold(style, "Then")));
    out.push_str(&format!("  edit       {file}: {what} and what else it asks for\n"));
    out.push_str(&format!("  check      ipsie-conform doctor --target {file}\n"));
    out.push_str(&format!("  run        ipsie-conform run --role app --target {file}\n"));
    print(&out);
    Ok(exit::CONFORMANT)
}

fn found(args: &InitArgs, network: Network, scim: Option<Provider>) -> Result<Found, Error> {
    let page = |text: &String| {
        let url = url::Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.host_str().is_some());
        url.ok_or_else(|| {
            let help = "Give a page of the application that only signed-in users see, e.g. https://app.example.com/account.";
            Error::usage(format!("`{text}` is not an https URL"), help)
        })
    };
    let url = args.issuer.as_ref().map(page).transpose()?;
    let levels = args.levels();
    if url.is_none() && levels.iter().any(|level| !level.is_account()) {
        let help =
            "Give a page of the application as well, e.g. https://app.example.com/account, or claim AL1, AL2 or AL3 alone.";
        return Err(Error::usage("sessions (SL1, SL2) cannot be tested by SCIM alone", help));
    }
    let given = args.op_issuer.clone().unwrap_or_else(|| format!("https://op.ipsie-conform.test:{PORT}"));
    let issuer = url::Url::parse(&given)
        .ok()
        .filter(|url| url.scheme() == "https" && url.host_str().is_some() && url.query().is_none() && url.fragment().is_none());
    let issuer = issuer.ok_or_else(|| {
        let help = "Write --op-issuer https://HOST:PORT with a host name by which the application reaches this computer.";
        Error::usage(format!("`{given}` is not an https URL without query and fragment"), help)
    })?;
    let base = scim.as_ref().and_then(|scim| url::Url::parse(&scim.learnt.base_url).ok());
    let host = url.as_ref().or(base.as_ref()).and_then(|url| url.host_str()).unwrap_or_default().to_owned();
    Ok(Found {
        name: args.name.clone().unwrap_or(host),
        port: issuer.port_or_known_default().unwrap_or(PORT),
        issuer: given,
        url,
        network,
        levels,
        scim,
    })
}

/// The authority's files, unless they are there: the application trusts them. True for fresh ones.
pub fn authority(dir: &Path) -> Result<bool, Error> {
    let (cert, key) = (dir.join(CA_FILE), dir.join(CA_KEY_FILE));
    match (cert.exists(), key.exists()) {
        (true, true) => return Ok(false),
        (false, false) => {}
        _ => {
            return Err(Error::usage(
                format!("of {CA_FILE} and {CA_KEY_FILE} only one is there"),
                "Restore the other one, or move it away for a new authority, which the application must then trust.",
            ));
        }
    }
    let ca = TestCa::new("ipsie-conform provider authority").map_err(|error| Error::Suite { message: error.to_string() })?;
    write_fresh(&key, &ca.key_pem())?;
    write_plain(&cert, ca.pem())?;
    Ok(true)
}

fn target_file(found: &Found, catalogue: &Catalogue) -> String {
    let about = format!(
        "# Target file of ipsie-conform. It is safe to commit: secrets are named (\"env:NAME\" or \"file:PATH\"), never written here.\n\
         # Lines that begin with `# ` and a key show what else can be set. Check it with: ipsie-conform doctor --target THIS-FILE\n\n\
         [target]\n\
         # Shown in reports.\n\
         name = {}\n\
         # Roles the product plays: idp (Identity Service), app (Application).\n\
         roles = [\"app\"]\n\
         # Levels it claims; `run` without --level tests these: SL1, SL2 of sessions, AL1, AL2, AL3 of accounts.\n\
         levels = {}\n\
         # Ways in which it takes session commands (SL2): op-commands, backchannel-logout, token-revocation; and accounts (AL1 to AL3): scim,\n\
         # op-commands.\n\
         {}\n",
        string(&found.name),
        levels(&found.levels),
        if found.scim.is_some() { "bindings = [\"scim\"]" } else { "# bindings = [\"backchannel-logout\", \"scim\"]" }
    );
    let attested = attest(catalogue, Role::App, &found.levels);
    let scim = application(
        found.scim.as_ref().map(|scim| &scim.learnt),
        found.scim.as_ref().map_or("env:IPSIE_SCIM_TOKEN", |scim| &scim.token),
        found.scim.as_ref().is_some_and(|scim| scim.has_token),
    );
    let Some(url) = &found.url else {
        let counterpart = format!(
            "[counterpart]\n\
             # The suite's private keys. Keep the file out of version control.\n\
             keys = \"file:{KEYS_FILE}\"\n"
        );
        let hooks = format!("{ONLY_OPERATOR}#\n{APP_HOOKS}");
        return [about, network_table(&found.network), counterpart, scim, hooks, attested, RUN.to_owned()].join("\n");
    };
    let counterpart = format!(
        "[counterpart]\n\
         # The OpenID Provider that the suite plays: its issuer, as the application is configured with it.\n\
         issuer = {}\n\
         # Where it listens; token endpoint and JWK Set take the next port, UserInfo the one after. An application on another machine\n\
         # needs \"0.0.0.0:{port}\" and a name for this computer.\n\
         op_listen = \"127.0.0.1:{port}\"\n\
         # The authority behind its certificates: the application must trust `ca`. Keep the key out of version control.\n\
         ca = \"file:{CA_FILE}\"\n\
         ca_key = \"file:{CA_KEY_FILE}\"\n\
         # The suite's private keys. Keep the file out of version control.\n\
         keys = \"file:{KEYS_FILE}\"\n",
        string(&found.issuer),
        port = found.port
    );
    let origin = url.origin().ascii_serialization();
    let page = string(url.as_str());
    let app =
        APP.replace("PAGE", &page).replace("ORIGIN", &origin).replace("CLIENT_ID", CLIENT_ID).replace("SECRET_FILE", SECRET_FILE);
    let hooks = format!("{ONLY_OPERATOR}{HOOKS}#\n{APP_HOOKS}");
    let accounts = pages(&origin);
    [about, network_table(&found.network), counterpart, app, scim, accounts, hooks, attested, RUN.to_owned()].join("\n")
}

fn registration(out: &mut String, found: &Found, dir: &Path, style: Style) {
    out.push_str(&format!("\n{}\n", text::bold(style, "Configure the application with this identity provider")));
    let mut line = |name: &str, value: &str| out.push_str(&format!("    {name:<15} {value}\n"));
    line("issuer", &found.issuer);
    line("metadata", &format!("{}/.well-known/openid-configuration", found.issuer.trim_end_matches('/')));
    line("client_id", CLIENT_ID);
    line("client secret", &format!("in {} (client_secret_basic)", dir.join(SECRET_FILE).display()));
    line("scope", "openid, profile, email; offline_access where it keeps refresh tokens");
    line("ID token alg", "ES256");
    line("PKCE", "S256; DPoP where it calls UserInfo");
    line("trust", &format!("{} (NODE_EXTRA_CA_CERTS, SSL_CERT_FILE, a Java trust store)", dir.join(CA_FILE).display()));
    let host = url::Url::parse(&found.issuer).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    line("name", &format!("{host} must lead from the application to this computer (hosts file or DNS)"));
    line(
        "ports",
        &format!("{}, {} and {} must be open to it", found.port, found.port.saturating_add(1), found.port.saturating_add(2)),
    );
    line(
        "second",
        &format!("{}/second is a second issuer, for a second connection ([app.second])", found.issuer.trim_end_matches('/')),
    );
    text::paragraph(
        out,
        "The provider runs while `doctor` or `run` does. An application that reads the metadata when it starts must be started, or told \
         to read them again, during that time; the hook reload-metadata does it in a run. Users are made up by the suite and need \
         just-in-time accounts, unless app.users names some.",
        2,
        style,
    );
}

const APP: &str = r##"[app]
# A page that only signed-in users see.
protected_url = PAGE
# A URL that starts a login when a browser opens it; the protected page, unless one is named.
# start_url = "ORIGIN/login"
# client_id of the application at the suite's provider, and how it authenticates: client_secret_basic, client_secret_post,
# private_key_jwt (with jwks instead of client_secret) or none.
client_id = "CLIENT_ID"
auth = "client_secret_basic"
client_secret = "file:SECRET_FILE"
# The application's public keys: a JWK Set file or URL.
# jwks = "ORIGIN/jwks.json"
# Redirect URIs, as they would be registered at a provider.
redirect_uris = ["ORIGIN/callback"]
# Third-party initiated login; support is mandatory.
# initiate_login_uri = "ORIGIN/initiate"
# Local logout.
# logout_url = "ORIGIN/logout"
# Parameters of start or logout URL that name a page to go to afterwards.
# return_parameters = ["returnTo"]
# The one algorithm the application expects of ID tokens: ES256, PS256, EdDSA; RS256 is not allowed by IPSIE.
id_token_alg = "ES256"
# Name of the session cookie; the suite finds it by itself.
# session_cookie = "session"
# Seconds by which the end of a session may be noticed late, at most 60.
# granularity_s = 0
# acr that the application demands, and a tenant claim that it needs.
# required_acr = "phr"
# tenant = "tenant-1"

# What tells a signed-in page: a CSS selector, a text, a status. Without it the suite compares visits and says what it relies on.
# [app.logged_in]
# selector = "#account"

# Where a page says who is signed in: the text of an element that holds a stable account identifier.
# [app.identity]
# selector = "#account-id"

# A call bound to the browser's session, as the application's own scripts make it.
# [app.api]
# url = "ORIGIN/api/me"
# text = "\"id\""

# A change that a signed-in user can make.
# [app.write]
# url = "ORIGIN/profile"
# field = "#nickname"

# Tokens that the application issues to its users.
# [app.tokens]
# url = "ORIGIN/tokens"
# api_url = "ORIGIN/api/data"
# token_endpoint = "ORIGIN/token"

# A second connection, to the provider's second issuer.
# [app.second]
# start_url = "ORIGIN/login?connection=second"
# client_id = "CLIENT_ID-second"

# Users, where the application makes no accounts by itself; the suite's provider signs them in.
# [[app.users]]
# sub = "ipsie-user-1"
# email = "ipsie-user-1@example.com"
# name = "Test User 1"

# Where session commands (SL2) and account commands (AL1 to AL3) go; the bindings are named in [target].
# [commands]
# command_endpoint = "ORIGIN/commands"
# backchannel_logout_uri = "ORIGIN/backchannel-logout"
# revocation_endpoint = "ORIGIN/global-token-revocation"
# revocation_token = "env:IPSIE_REVOCATION_TOKEN"
"##;

const ONLY_OPERATOR: &str =
    "# Actions only the operator's side can do, each as exec, http or prompt. Without them their clauses are not run.\n";

const HOOKS: &str = r#"#
# The application reads the provider's metadata and keys again, and answers an error where it refuses them.
# [hooks.reload-metadata]
# exec = ["./reload.sh"]
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::init_scim::Learnt;
    use crate::model::target::Target;

    fn args(text: &str, op_issuer: Option<&str>) -> InitArgs {
        InitArgs {
            issuer: Some(text.into()),
            role: Some(Role::App),
            level: Vec::new(),
            scim: None,
            scim_token: "env:IPSIE_SCIM_TOKEN".into(),
            op_issuer: op_issuer.map(str::to_owned),
            out: "t.toml".into(),
            force: false,
            name: None,
            ca_file: None,
            resolve: Vec::new(),
        }
    }

    #[test]
    fn the_file_is_a_target_file_also_with_every_comment_taken_away() {
        let found = found(&args("https://app.example.com/account?x=1", None), Network::default(), None).unwrap();
        let text = target_file(&found, &Catalogue::embedded().unwrap());
        let target: Target = toml::from_str(&text).unwrap();
        let app = target.app.unwrap();
        assert_eq!((app.protected_url.as_str(), app.client_id.as_str()), ("https://app.example.com/account?x=1", CLIENT_ID));
        assert_eq!(target.counterpart.op_listen, "127.0.0.1:8443");
        assert!(target.counterpart.ca.is_some() && target.counterpart.ca_key.is_some());
        assert!(target.scim.is_none() && text.contains("# [scim]"));
        let app = APP.replace("PAGE", "\"https://a\"");
        let key =
            |line: &&str| line.starts_with("# [") || line.split_once(" = ").is_some_and(|(name, _)| !name[2..].contains(' '));
        let open: Vec<&str> =
            app.lines().map(|line| if line.starts_with("# ") && key(&line) { &line[2..] } else { line }).collect();
        let target: Target = toml::from_str(&open.join("\n")).unwrap();
        assert!(target.app.unwrap().second.is_some() && !target.commands.command_endpoint.is_empty());
    }

    #[test]
    fn a_service_provider_alone_has_no_pages() {
        let mut only = args("", None);
        only.issuer = None;
        let learnt = Learnt { base_url: "https://app.example.com/scim/v2".into(), ..Learnt::default() };
        let provider = || Some(Provider { learnt: learnt.clone(), token: only.scim_token.clone(), has_token: false });
        let only_scim = found(&only, Network::default(), provider()).unwrap();
        let target: Target = toml::from_str(&target_file(&only_scim, &Catalogue::embedded().unwrap())).unwrap();
        assert!(target.app.is_none() && target.scim.is_some_and(|scim| scim.base_url == learnt.base_url));
        assert_eq!((target.target.levels, target.target.bindings), (vec![Level::Al1], vec!["scim".to_owned()]));
        only.level = vec![Level::Sl2];
        assert!(found(&only, Network::default(), provider()).is_err());
    }

    #[test]
    fn wrong_urls_are_told() {
        assert!(found(&args("http://app.example.com", None), Network::default(), None).is_err());
        assert!(found(&args("https://app.example.com", Some("op.example.com")), Network::default(), None).is_err());
        let port =
            found(&args("https://app.example.com", Some("https://op.example.com")), Network::default(), None).unwrap().port;
        assert_eq!(port, 443);
    }

    #[test]
    fn an_authority_that_is_there_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        assert!(authority(dir.path()).unwrap());
        let text = std::fs::read_to_string(dir.path().join(CA_FILE)).unwrap();
        let key = std::fs::read_to_string(dir.path().join(CA_KEY_FILE)).unwrap();
        assert!(TestCa::from_pem(&text, &key).is_ok());
        assert!(!authority(dir.path()).unwrap());
        std::fs::remove_file(dir.path().join(CA_FILE)).unwrap();
        assert!(authority(dir.path()).is_err());
    }
}
