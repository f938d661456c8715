//! `init`: a commented target file from the URL of an identity service or an application, the suite's keys, and what the operator must register.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use super::init_app::init_app;
use super::init_file::target_file;
use super::init_print::{hints, registration};
use super::keys_file::{JWKS_FILE, keys_in, write_plain};
use super::shared::{catalogue, stdout_style};
use super::text::{self, print, quoted};
use crate::error::{Error, exit};
use crate::model::Role;
use crate::model::target::{ClientAuth, CounterpartAt, Network, Target};
use crate::set_stage::{discover, roots};
use crate::stage::http::Http;
use crate::stage::recorder::Recorder;
use crate::stage::resolve::Resolve;
use crate::stage::world::Discovery;

/// Arguments of `init`.
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// Issuer identifier of the identity service, or with `--role app` a page of the application for signed-in users; an https URL
    #[arg(value_name = "URL")]
    pub issuer: String,
    /// Role the product plays: idp (Identity Service) or app (Application)
    #[arg(long, value_name = "ROLE", default_value = "idp")]
    pub role: Role,
    /// With `--role app`: issuer identifier of the provider that the suite plays, with a host name by which the application reaches this
    /// computer [default: port 8443 of op.ipsie-conform.test]
    #[arg(long, value_name = "URL")]
    pub op_issuer: Option<String>,
    /// Target file to write; the suite's keys go beside it
    #[arg(long, value_name = "FILE", default_value = "target.toml")]
    pub out: PathBuf,
    /// Write over a target file that is there (never over keys)
    #[arg(long)]
    pub force: bool,
    /// Name of the product, for reports [default: the issuer's host]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// PEM file of a private certificate authority to trust
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Where a host is, instead of asking DNS: HOST=ADDRESS:PORT. Repeatable
    #[arg(long, value_name = "HOST=ADDR")]
    pub resolve: Vec<String>,
}

/// What is known of the deployment when the file is written.
pub struct Found {
    /// The issuer as given.
    pub issuer: String,
    /// For reports.
    pub name: String,
    /// How it is reached.
    pub network: Network,
    /// Where the suite's endpoints stand.
    pub counterpart: CounterpartAt,
    /// The discovery document.
    pub metadata: Discovery,
}

impl Found {
    /// Does a list of the metadata hold this value?
    pub fn offers(&self, list: &str, value: &str) -> bool {
        self.metadata.list(list).contains(&value)
    }

    /// Is a list announced at all?
    pub fn announces(&self, list: &str) -> bool {
        self.metadata.document.get(list).is_some_and(Value::is_array)
    }

    /// The best way for confidential clients to authenticate that the product announces.
    pub fn auth(&self) -> ClientAuth {
        let list = "token_endpoint_auth_methods_supported";
        if self.offers(list, "private_key_jwt") || !self.announces(list) {
            ClientAuth::PrivateKeyJwt
        } else if self.offers(list, "client_secret_basic") || !self.offers(list, "client_secret_post") {
            ClientAuth::ClientSecretBasic
        } else {
            ClientAuth::ClientSecretPost
        }
    }
}

/// Writes the files and prints what to do; the answer is the exit code.
///
/// # Errors
/// A wrong argument, an issuer that cannot be reached or has no metadata, or a file that cannot be written.
pub async fn init(args: &InitArgs, profiles: Option<&Path>) -> Result<u8, Error> {
    let catalogue = catalogue(profiles)?;
    let given = if args.role == Role::Idp { issuer(&args.issuer)? } else { String::new() };
    if args.out.exists() && !args.force {
        return Err(Error::usage(
            format!("{} is there already", args.out.display()),
            "Give another file with --out, or --force to write over it.",
        ));
    }
    let dir = match args.out.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    };
    let target = Target { network: network(args)?, ..Target::default() };
    if args.role == Role::App {
        let network = Network { ca_file: beside(args.ca_file.as_deref(), &dir), ..target.network };
        return init_app(args, &dir, network, &catalogue, stdout_style());
    }
    let issuer = given;
    let resolve = Resolve::new(&target.network.resolve, []).map_err(|message| Error::usage(message, RESOLVE_HELP))?;
    let http = Http::new(&target.network, &resolve, &roots(&target)?, Arc::new(Recorder::default()))
        .map_err(|error| Error::prerequisite(format!("the HTTP client cannot be made: {error}"), "Check --ca-file."))?;
    let metadata = discover(&http, &issuer).await.map_err(for_init)?;
    readable(&metadata, &issuer)?;

    std::fs::create_dir_all(&dir)
        .map_err(|error| Error::output(format!("{} cannot be made: {error}", dir.display()), "Choose another folder."))?;
    let (keys, fresh) = keys_in(&dir)?;
    let jwks = keys.jwks().map_err(|fault| Error::Suite { message: fault.to_string() })?;
    write_plain(&dir.join(JWKS_FILE), &text::json(&jwks))?;
    let name = args.name.clone().or_else(|| Some(url::Url::parse(&issuer).ok()?.host_str()?.to_owned()));
    let network = Network { ca_file: beside(args.ca_file.as_deref(), &dir), ..target.network };
    let counterpart = CounterpartAt::default();
    let found = Found { issuer, name: name.unwrap_or_default(), network, counterpart, metadata };
    write_plain(&args.out, &target_file(&found, &catalogue))?;

    let style = stdout_style();
    let mut out = String::new();
    let note = if fresh { "made now: keep it private" } else { "was there, kept" };
    let files = [
        ("Target file", args.out.display().to_string()),
        ("Private keys", format!("{} ({note})", dir.join(super::keys_file::KEYS_FILE).display())),
        ("Public keys", dir.join(JWKS_FILE).display().to_string()),
    ];
    for (what, file) in files {
        out.push_str(&format!("{what:<14} {file}\n"));
    }
    registration(&mut out, &found, &jwks, style);
    hints(&mut out, &found, style);
    out.push_str(&format!("\n{}\n", text::bold(style, "Then")));
    let file = quoted(&args.out);
    out.push_str(&format!("  edit       {file}: client ids, user names, and what else it asks for\n"));
    out.push_str(&format!("  check      ipsie-conform doctor --target {file}\n"));
    out.push_str(&format!("  run        ipsie-conform run --target {file}\n"));
    print(&out);
    Ok(exit::CONFORMANT)
}

fn issuer(given: &str) -> Result<String, Error> {
    // People paste the metadata's address.
    let issuer = given.strip_suffix("/.well-known/openid-configuration").unwrap_or(given).to_owned();
    let good = url::Url::parse(&issuer)
        .is_ok_and(|url| url.scheme() == "https" && url.host().is_some() && url.query().is_none() && url.fragment().is_none());
    if good {
        return Ok(issuer);
    }
    Err(Error::usage(
        format!("`{given}` is not an https URL without query and fragment"),
        "Give the issuer identifier exactly as clients are given it, e.g. https://login.example.com/tenant.",
    ))
}

const RESOLVE_HELP: &str = "Write --resolve HOST=ADDRESS:PORT, e.g. --resolve login.example.com=10.0.0.7:443.";

fn network(args: &InitArgs) -> Result<Network, Error> {
    let mut resolve = BTreeMap::new();
    for pair in &args.resolve {
        let (host, address) = pair
            .split_once('=')
            .ok_or_else(|| Error::usage(format!("`{pair}` has no `=` between host and address"), RESOLVE_HELP))?;
        resolve.insert(host.to_owned(), address.to_owned());
    }
    Ok(Network { ca_file: args.ca_file.clone(), resolve, ..Network::default() })
}

/// The remedies of `init`'s own command line, where a run would name keys of a target file.
fn for_init(error: Error) -> Error {
    match error {
        Error::Prerequisite { message, .. } if message.contains("certificate") => {
            Error::prerequisite(message, "If a private authority issued it, name its PEM file with --ca-file.")
        }
        Error::Prerequisite { message, .. } => Error::prerequisite(
            message,
            "Check the URL and that the service is up; --resolve HOST=ADDRESS:PORT reaches hosts that DNS does not know.",
        ),
        other => other,
    }
}

fn readable(metadata: &Discovery, issuer: &str) -> Result<(), Error> {
    if !metadata.document.is_null() {
        return Ok(());
    }
    let told = metadata.reply.as_ref().map_or_else(String::new, |reply| format!("{} {}", reply.status, reply.media_type()));
    Err(Error::prerequisite(
        format!("{issuer}/.well-known/openid-configuration is no discovery document: the answer is {}", told.trim()),
        "Check that the issuer is the identifier that the product gives to clients, with its path (realm, tenant) and without redirects.",
    ))
}

/// A path as the target file in `dir` must name it.
fn beside(path: Option<&Path>, dir: &Path) -> Option<PathBuf> {
    let path = path?;
    if dir == Path::new(".") {
        return Some(path.to_owned());
    }
    let (file, dir) = (path.canonicalize().ok()?, dir.canonicalize().ok()?);
    Some(file.strip_prefix(&dir).map(Path::to_owned).unwrap_or(file))
}
