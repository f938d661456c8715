//! `serve app`: the reference application to play with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::filter::clause;
use super::keys_file::{write_plain, write_private};
use super::serve::{Home, file_of, stopped};
use super::shared::catalogue;
use super::text::{print, quoted};
use crate::catalogue::Catalogue;
use crate::counterpart::app::{API_HOST, AppKeys, Defect, HOST, SCIM_BASE};
use crate::counterpart::embedded_app::{CLIENT_ID, EmbeddedApp, ProviderFor, SECOND_CLIENT_ID, embedded_app};
use crate::embed::Flaw;
use crate::error::{Error, exit};
use crate::model::{How, Role};
use crate::stage::listener::TestCa;
use crate::wire::jose::from_pem;

/// Arguments of `serve app`.
#[derive(Clone, Debug, Args)]
pub struct AppArgs {
    /// Issuer URL of the identity service it signs its users in at
    #[arg(long, value_name = "URL")]
    pub issuer: String,
    /// Issuer URL of a second identity service
    #[arg(long, value_name = "URL")]
    pub second_issuer: Option<String>,
    /// Certificate authorities of the identity services, PEM; the only ones it then trusts [default: the public ones]
    #[arg(long, value_name = "FILE")]
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

fn place(text: &str) -> Result<(String, SocketAddr), String> {
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
    for issuer in std::iter::once(&args.issuer).chain(&args.second_issuer) {
        if !url::Url::parse(issuer).is_ok_and(|url| url.scheme() == "https" && url.host().is_some()) {
            let help =
                "Write the issuer identifier exactly as the identity service publishes it, e.g. https://login.example.com.";
            return Err(Error::usage(format!("the issuer `{issuer}` is not an https URL"), help));
        }
    }
    let provider = ProviderFor {
        roots: roots(args.ca_file.as_deref())?,
        resolve: args.resolve.clone(),
        required_acr: args.acr.clone(),
        tenant: String::new(),
        quirks,
        ..ProviderFor::new(&args.issuer, args.second_issuer.as_deref())
    };
    let home = Home::open(args.dir.as_deref(), "ipsie-conform-app-")?;
    let suite = |message: String| Error::Suite { message };
    let keys = AppKeys::generate().map_err(|error| suite(error.to_string()))?;
    let ca = Arc::new(TestCa::new("ipsie-conform reference authority").map_err(|error| suite(error.to_string()))?);
    let peer = embedded_app(&args.listen, ca.clone(), &keys, &provider, &defects).await.map_err(|fault| {
        Error::prerequisite(fault.to_string(), "Give --listen another address and port; port 0 takes a free one.")
    })?;
    let target = write_files(home.path(), &peer, &ca, args, &flaws)?;
    print(&describe(&peer, home.path(), &target, args, &flaws));
    stopped().await;
    eprintln!("stopped");
    Ok(exit::CONFORMANT)
}

fn roots(file: Option<&Path>) -> Result<Vec<Vec<u8>>, Error> {
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
fn defect(catalogue: &Catalogue, name: &str) -> Result<Flaw, Error> {
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

/// Writes authority, secrets and target file; answers the latter's path.
fn write_files(dir: &Path, peer: &EmbeddedApp, ca: &TestCa, args: &AppArgs, defects: &[Flaw]) -> Result<PathBuf, Error> {
    write_plain(&dir.join("ca.pem"), ca.pem())?;
    for (reference, value) in &peer.secrets {
        write_private(&dir.join(file_of(reference)), value)?;
    }
    let mut target = peer.target.clone();
    let broken: Vec<&str> = defects.iter().map(|defect| defect.clause()).collect();
    target.target.name = match broken.as_slice() {
        [] => "reference application".into(),
        some => format!("reference application with defects: {}", some.join(", ")),
    };
    target.network.ca_file = Some("ca.pem".into());
    target.counterpart.issuer = args.issuer.clone();
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
    let head = "# The reference application of `ipsie-conform serve app`. Its ports and secrets change with every start.\n\n";
    write_plain(&path, &format!("{head}{text}"))?;
    Ok(path)
}

fn describe(peer: &EmbeddedApp, dir: &Path, target: &Path, args: &AppArgs, defects: &[Flaw]) -> String {
    let addr = peer.app.addr;
    let broken = match defects {
        [] => "none: it conforms to SL2 and AL3".to_owned(),
        some => some.iter().map(|defect| defect.clause()).collect::<Vec<_>>().join(", "),
    };
    let second = match &args.second_issuer {
        Some(issuer) => format!("second issuer   {issuer}, as client {SECOND_CLIENT_ID}\n"),
        None => String::new(),
    };
    format!(
        "application     https://{HOST}/protected\n\
         listens         {addr}\n\
         issuer          {issuer}, as client {CLIENT_ID}\n\
         {second}\
         defects         {broken}\n\
         files           {dir} (authority, target file, secrets)\n\n\
         Register it at the identity service (private_key_jwt, ES256, DPoP):\n  \
           redirect_uri            https://{HOST}/callback\n  \
           jwks_uri                https://{HOST}/jwks.json\n  \
           initiate_login_uri      https://{HOST}/initiate\n  \
           backchannel_logout_uri  https://{API_HOST}/backchannel-logout\n  \
           command_endpoint        https://{API_HOST}/commands\n  \
           token revocation        https://{API_HOST}/global-token-revocation\n  \
           SCIM                    https://{API_HOST}{SCIM_BASE}, token in {token}\n\n\
         Its names are in no DNS; a browser finds it with\n  \
           --host-resolver-rules=\"MAP {HOST}:443 {addr}, MAP {API_HOST}:443 {addr}\"\n\n\
         Look at it:\n  curl --cacert {ca} --connect-to {HOST}:443:{addr} https://{HOST}/\n\n\
         Test it from another terminal, with the suite as the issuer above:\n  ipsie-conform run --target {target}\n\n\
         Ctrl-C ends it.\n",
        issuer = args.issuer,
        dir = quoted(dir),
        token = quoted(&dir.join(file_of("embedded:scim-token"))),
        ca = quoted(&dir.join("ca.pem")),
        target = quoted(target),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counterpart::scim_server::Quirk;

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
