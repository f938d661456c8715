//! `serve app`: the reference application to play with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::filter::clause;
use super::keys_file::{KEYS_FILE, keys_in, write_plain, write_private};
use super::serve::{Home, file_of, stopped};
use super::shared::catalogue;
use super::text::{print, quoted};
use crate::catalogue::Catalogue;
use crate::counterpart::app::{API_HOST, AppKeys, Defect, HOST, SCIM_BASE};
use crate::counterpart::embedded_app::{CLIENT_ID, EmbeddedApp, ProviderFor, SECOND_CLIENT_ID, embedded_app};
use crate::counterpart::embedded_provision::free_ports;
use crate::counterpart::scim_server::{Layout, Quirk};
use crate::embed::Flaw;
use crate::error::{Error, exit};
use crate::model::target::ScimAuth;
use crate::model::{How, Role};
use crate::stage::listener::TestCa;
use crate::wire::jose::from_pem;

/// Arguments of `serve app`.
#[derive(Clone, Debug, Args)]
pub struct AppArgs {
    /// Issuer URL of the identity service it signs its users in at [default: the suite, as the target file describes it]
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// Issuer URL of a second identity service
    #[arg(long, value_name = "URL", requires = "issuer")]
    pub second_issuer: Option<String>,
    /// Certificate authorities of the identity services, PEM; the only ones it then trusts [default: the public ones]
    #[arg(long, value_name = "FILE", requires = "issuer")]
    pub ca_file: Option<PathBuf>,
    /// Where it finds a host of the identity services, e.g. op.example:443=127.0.0.1:8443. Repeatable
    #[arg(long, value_name = "HOST=ADDR", value_parser = place)]
    pub resolve: Vec<(String, SocketAddr)>,
    /// Authentication class it asks for and demands
    #[arg(long, value_name = "ACR")]
    pub acr: Option<String>,
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Start it with the defect that this clause must catch. Repeatable
    #[arg(long, value_name = "CLAUSE")]
    pub defect: Vec<String>,
    /// Folder for the target file, authority and secrets; kept when it ends [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

pub(super) fn place(text: &str) -> Result<(String, SocketAddr), String> {
    let (host, address) = text.split_once('=').ok_or("it has no `=`: write HOST=ADDRESS:PORT")?;
    let address = address.parse().map_err(|_| format!("`{address}` is not an address with a port"))?;
    Ok((host.to_owned(), address))
}

/// Serves until it is interrupted; the answer is the exit code.
///
/// # Errors
/// An unknown defect, an issuer that is no https URL, an address that is taken, or a file that cannot be read or written.
pub async fn serve(args: &AppArgs, profiles: Option<&Path>) -> Result<u8, Error> {
    let catalogue = catalogue(profiles)?;
    let flaws = args.defect.iter().map(|name| defect(&catalogue, name)).collect::<Result<Vec<Flaw>, Error>>()?;
    let defects: Vec<Defect> =
        flaws.iter().filter_map(|flaw| if let Flaw::App(defect) = flaw { Some(*defect) } else { None }).collect();
    let quirks = flaws.iter().filter_map(|flaw| if let Flaw::Scim(quirk) = flaw { Some(*quirk) } else { None }).collect();
    for issuer in args.issuer.iter().chain(&args.second_issuer) {
        if !url::Url::parse(issuer).is_ok_and(|url| url.scheme() == "https" && url.host().is_some()) {
            let help =
                "Write the issuer identifier exactly as the identity service publishes it, e.g. https://login.example.com.";
            return Err(Error::usage(format!("the issuer `{issuer}` is not an https URL"), help));
        }
    }
    let home = Home::open(args.dir.as_deref(), "ipsie-conform-app-")?;
    let suite = |message: String| Error::Suite { message };
    let keys = AppKeys::generate().map_err(|error| suite(error.to_string()))?;
    let ca = Arc::new(TestCa::new("ipsie-conform reference authority").map_err(|error| suite(error.to_string()))?);
    let provider = match &args.issuer {
        Some(issuer) => ProviderFor {
            roots: roots(args.ca_file.as_deref())?,
            resolve: args.resolve.clone(),
            required_acr: args.acr.clone(),
            tenant: String::new(),
            quirks,
            ..ProviderFor::new(issuer, args.second_issuer.as_deref())
        },
        None => at_the_suite(args, &ca, home.path(), quirks)?,
    };
    let mut peer = embedded_app(&args.listen, ca.clone(), &keys, &provider, &defects).await.map_err(|fault| {
        Error::prerequisite(fault.to_string(), "Give --listen another address and port; port 0 takes a free one.")
    })?;
    peer.target.counterpart.issuer = provider.issuer.clone();
    if args.issuer.is_none() {
        write_private(&home.path().join(CA_KEY_FILE), &ca.key_pem())?;
        let at = &mut peer.target.counterpart;
        at.op_listen = provider.resolve.first().map(|(_, address)| address.to_string()).unwrap_or_default();
        at.keys = Some(format!("file:{KEYS_FILE}"));
        at.ca = Some("file:ca.pem".into());
        at.ca_key = Some(format!("file:{CA_KEY_FILE}"));
    }
    let target = write_target(home.path(), &peer, &ca, "reference application", "serve app", &flaws)?;
    print(&describe(&peer, home.path(), &target, &provider, &flaws));
    stopped().await;
    eprintln!("stopped");
    Ok(exit::CONFORMANT)
}

/// Private key of the authority behind the suite's provider.
const CA_KEY_FILE: &str = "ca-key.pem";
/// Host of the issuer that the suite plays.
const SUITE_HOST: &str = "op.ipsie-conform.test";

/// The suite as its identity service, at ports that are free now: in the target file they stand for the next runs.
fn at_the_suite(args: &AppArgs, ca: &TestCa, dir: &Path, quirks: Vec<Quirk>) -> Result<ProviderFor, Error> {
    let first = free_ports(3).ok_or_else(|| {
        Error::prerequisite("127.0.0.1 has no three free ports in a row", "End some programs that listen, or give --issuer.")
    })?;
    let ports = first..first + 3;
    let resolve = ports.map(|port| (format!("{SUITE_HOST}:{port}"), SocketAddr::from(([127, 0, 0, 1], port))));
    let issuer = format!("https://{SUITE_HOST}:{first}");
    let (suite_keys, _) = keys_in(dir)?;
    let usual = ProviderFor::new(&issuer, Some(&format!("{issuer}/second")));
    // Of the two ways to a token only one can be set up; this clause is about the other one.
    let layout = if quirks.contains(&Quirk::TokenAcceptedFromIdp) { Layout::IdpAs } else { Layout::AppAs };
    let by_key = layout == Layout::AppAs;
    Ok(ProviderFor {
        roots: vec![ca.der().to_vec()],
        resolve: resolve.chain(args.resolve.clone()).collect(),
        required_acr: args.acr.clone().or(usual.required_acr.clone()),
        layout,
        provisioning_keys: if by_key { json!({"keys": [suite_keys.es256.jwk()]}) } else { serde_json::Value::Null },
        quirks,
        ..usual
    })
}

pub(super) fn roots(file: Option<&Path>) -> Result<Vec<Vec<u8>>, Error> {
    let Some(path) = file else { return Ok(Vec::new()) };
    let help = "Give --ca-file a PEM file with the certificate of the authority.";
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::usage(format!("--ca-file {} cannot be read: {error}", path.display()), help))?;
    match from_pem("CERTIFICATE", &text) {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        _ => Err(Error::usage(format!("--ca-file {} holds no certificate", path.display()), help)),
    }
}

/// The defect of a clause, by its id or the last part of it, with or without `@binding`.
pub(super) fn defect(catalogue: &Catalogue, name: &str) -> Result<Flaw, Error> {
    let bare = name.split('@').next().unwrap_or(name);
    let named = |flaw: &Flaw| flaw.clause() == bare || flaw.clause().rsplit('.').next() == Some(bare);
    if let Some(flaw) = Flaw::all().find(|flaw| flaw.role() == Role::App && named(flaw)) {
        return Ok(flaw);
    }
    let found = clause(catalogue, name)?;
    let why = if found.how == How::Attested {
        "a statement of the operator decides it, so no defect could show".to_owned()
    } else {
        format!("it is a clause of the {} that this peer has no defect for", found.role.title())
    };
    Err(Error::usage(
        format!("there is no defect for {}: {why}", found.id),
        "`ipsie-conform list clauses --role app` shows the clauses; those with HOW other than `attested` have a defect.",
    ))
}

/// Writes authority, secrets and target file of a peer that `command` serves; answers the latter's path.
pub(super) fn write_target(
    dir: &Path,
    peer: &EmbeddedApp,
    ca: &TestCa,
    name: &str,
    command: &str,
    defects: &[Flaw],
) -> Result<PathBuf, Error> {
    write_plain(&dir.join("ca.pem"), ca.pem())?;
    for (reference, value) in &peer.secrets {
        write_private(&dir.join(file_of(reference)), value)?;
    }
    let mut target = peer.target.clone();
    target.target.name = match defects {
        [] => name.to_owned(),
        some => format!("{name} with defects: {}", describe_defects(some, "")),
    };
    target.network.ca_file = Some("ca.pem".into());
    if target.scim.as_ref().is_some_and(|scim| scim.auth == ScimAuth::AppAs) {
        target.counterpart.keys = Some(format!("file:{KEYS_FILE}"));
    }
    let named = |reference: &mut Option<String>| {
        if let Some(reference) = reference {
            *reference = format!("file:{}", file_of(reference));
        }
    };
    named(&mut target.commands.revocation_token);
    named(&mut target.commands.second_revocation_token);
    if let Some(scim) = &mut target.scim {
        named(&mut scim.token);
        named(&mut scim.second_token);
    }
    for call in target.hooks.values_mut().filter_map(|hook| hook.http.as_mut()) {
        named(&mut call.bearer);
    }
    let text = toml::to_string(&target).map_err(|error| Error::Suite { message: error.to_string() })?;
    let path = dir.join("target.toml");
    let head = format!("# The {name} of `ipsie-conform {command}`. Its ports and secrets change with every start.\n\n");
    write_plain(&path, &format!("{head}{text}"))?;
    Ok(path)
}

/// The clauses of the defects, or `none`.
pub(super) fn describe_defects(defects: &[Flaw], none: &str) -> String {
    match defects {
        [] => none.to_owned(),
        some => some.iter().map(|defect| defect.clause()).collect::<Vec<_>>().join(", "),
    }
}

/// What a peer without defects conforms to. A token without end is no defect that was asked for, but the draft forbids it.
pub(super) fn conforming(layout: Layout, what: &str) -> String {
    let but = if layout == Layout::Static { ", but for al1.app.expired-token: its SCIM token has no end" } else { "" };
    format!("none: it conforms to {what}{but}")
}

fn describe(peer: &EmbeddedApp, dir: &Path, target: &Path, provider: &ProviderFor, defects: &[Flaw]) -> String {
    let addr = peer.app.addr;
    let second = match &provider.second_issuer {
        Some(issuer) => format!("second issuer   {issuer}, as client {SECOND_CLIENT_ID}\n"),
        None => String::new(),
    };
    let scim = peer.target.scim.clone().unwrap_or_default();
    let access = match provider.layout {
        Layout::Static => format!("token in {}", quoted(&dir.join(file_of("embedded:scim-token")))),
        Layout::AppAs => format!("tokens for JWTs of {} at {}", scim.client_id, scim.token_endpoint),
        Layout::IdpAs => "tokens of the issuer".to_owned(),
    };
    let by_suite = peer.target.counterpart.ca.is_some();
    let (register, run) = if by_suite {
        (
            "The suite is its identity service while a run lasts; nothing is to be registered. Its endpoints:",
            "--level SL2 --level AL3 --allow-load ",
        )
    } else {
        ("Register it at the identity service (private_key_jwt, ES256, DPoP):", "")
    };
    let how = if by_suite { "" } else { ", with the suite as the issuer above" };
    format!(
        "application     https://{HOST}/protected\n\
         listens         {addr}\n\
         issuer          {issuer}, as client {CLIENT_ID}\n\
         {second}\
         defects         {broken}\n\
         files           {dir} (authority, target file, secrets)\n\n\
         {register}\n  \
           redirect_uri            https://{HOST}/callback\n  \
           jwks_uri                https://{HOST}/jwks.json\n  \
           initiate_login_uri      https://{HOST}/initiate\n  \
           backchannel_logout_uri  https://{API_HOST}/backchannel-logout\n  \
           command_endpoint        https://{API_HOST}/commands (session and account commands)\n  \
           token revocation        https://{API_HOST}/global-token-revocation\n  \
           SCIM                    https://{API_HOST}{SCIM_BASE}, {access}\n\n\
         Its names are in no DNS; a browser finds it with\n  \
           --host-resolver-rules=\"MAP {HOST}:443 {addr}, MAP {API_HOST}:443 {addr}\"\n\n\
         Look at it:\n  curl --cacert {ca} --connect-to {HOST}:443:{addr} https://{HOST}/\n\n\
         Test it from another terminal{how}:\n  ipsie-conform run {run}--target {target}\n\n\
         Ctrl-C ends it.\n",
        issuer = provider.issuer,
        broken = describe_defects(defects, &conforming(provider.layout, "SL2 and AL3")),
        dir = quoted(dir),
        ca = quoted(&dir.join("ca.pem")),
        target = quoted(target),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defects_are_found_by_id_slug_and_binding() {
        let catalogue = Catalogue::embedded().unwrap();
        for name in ["sl2.app.reauth-before-page", "reauth-before-page", "sl2.app.reauth-before-page@op-commands"] {
            assert_eq!(defect(&catalogue, name).unwrap(), Flaw::App(Defect::ReauthBeforePage), "{name}");
        }
        assert_eq!(defect(&catalogue, "sl1.app.hsts").unwrap(), Flaw::App(Defect::Hsts));
        assert_eq!(defect(&catalogue, "list-users").unwrap(), Flaw::Scim(Quirk::ListUsers));
        assert!(defect(&catalogue, "sl1.app.account-linking-off").unwrap_err().to_string().contains("operator"));
        assert!(defect(&catalogue, "sl1.app.hst").is_err());
    }

    #[test]
    fn places_are_host_and_address() {
        assert_eq!(place("op:443=127.0.0.1:8443").unwrap(), ("op:443".to_owned(), "127.0.0.1:8443".parse().unwrap()));
        assert!(place("op:443").is_err() && place("op=here").is_err());
    }
}
