//! `init`: a commented target file from the URL of an identity service, an application or a service provider, the keys of the suite, and what the
//! operator must register.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use super::init_accounts::{TOKEN_FILE, about_accounts, identity_service_next};
use super::init_app::{authority, init_app};
use super::init_file::target_file;
use super::init_print::{hints, registration};
use super::init_scim::{Learnt, look};
use super::keys_file::{JWKS_FILE, keys_in, write_fresh, write_plain};
use super::shared::{catalogue, stdout_style};
use super::text::{self, print, quoted};
use crate::error::{Error, exit};
use crate::model::target::{ClientAuth, CounterpartAt, Network, Target};
use crate::model::{Level, Role};
use crate::set_stage::{discover, roots};
use crate::stage::http::Http;
use crate::stage::recorder::Recorder;
use crate::stage::resolve::Resolve;
use crate::stage::secrets::Secrets;
use crate::stage::world::Discovery;
use crate::wire::jose::random;

/// Arguments of `init`.
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// Issuer identifier of the identity service, or with `--role app` a page of the application for signed-in users; an https URL
    #[arg(value_name = "URL", required_unless_present = "scim")]
    pub issuer: Option<String>,
    /// Role the product plays: idp (Identity Service) or app (Application) [default: idp; with --scim app]
    #[arg(long, value_name = "ROLE")]
    pub role: Option<Role>,
    /// Level it claims: SL1, SL2, AL1, AL2, AL3. Repeatable [default: SL1; with --scim also AL1]
    #[arg(long, value_name = "LEVEL")]
    pub level: Vec<Level>,
    /// SCIM service provider of the application: the URL below which /Users stands. Alone, the application's pages are left out
    #[arg(long, value_name = "URL")]
    pub scim: Option<String>,
    /// Where the bearer token for it is: env:NAME or file:PATH
    #[arg(long, value_name = "REFERENCE", default_value = "env:IPSIE_SCIM_TOKEN")]
    pub scim_token: String,
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

impl InitArgs {
    /// The role that was named, or that the other arguments say.
    fn role(&self) -> Role {
        self.role.unwrap_or(if self.scim.is_some() { Role::App } else { Role::Idp })
    }

    /// The levels that were named, or the first ones of what is described.
    pub fn levels(&self) -> Vec<Level> {
        match (self.level.as_slice(), &self.issuer, &self.scim) {
            ([], Some(_), Some(_)) => vec![Level::Sl1, Level::Al1],
            ([], None, _) => vec![Level::Al1],
            ([], ..) => vec![Level::Sl1],
            (some, ..) => some.to_vec(),
        }
    }
}

/// What is known of the deployment when the file is written.
pub struct Found {
    /// The levels it claims.
    pub levels: Vec<Level>,
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
    if args.role() == Role::Idp && args.scim.is_some() {
        return Err(Error::usage(
            "--scim is for applications: for an identity service the suite is the SCIM server",
            "Name a level with --level AL1 instead; the file then says where the suite's server stands.",
        ));
    }
    let url = args.issuer.as_deref().unwrap_or_default();
    let given = if args.role() == Role::Idp { issuer(url)? } else { String::new() };
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
    let resolve = Resolve::new(&target.network.resolve, []).map_err(|message| Error::usage(message, RESOLVE_HELP))?;
    let http = Http::new(&target.network, &resolve, &roots(&target)?, Arc::new(Recorder::default()))
        .map_err(|error| Error::prerequisite(format!("the HTTP client cannot be made: {error}"), "Check --ca-file."))?;
    if args.role() == Role::App {
        let scim = service_provider(args, &http).await?;
        make(&dir)?;
        let network = Network { ca_file: beside(args.ca_file.as_deref(), &dir), ..target.network };
        return init_app(args, &dir, network, scim, &catalogue, stdout_style());
    }
    let issuer = given;
    let metadata = discover(&http, &issuer).await.map_err(for_init)?;
    readable(&metadata, &issuer)?;

    make(&dir)?;
    let (keys, fresh) = keys_in(&dir)?;
    let jwks = keys.jwks().map_err(|fault| Error::Suite { message: fault.to_string() })?;
    write_plain(&dir.join(JWKS_FILE), &text::json(&jwks))?;
    let name = args.name.clone().or_else(|| Some(url::Url::parse(&issuer).ok()?.host_str()?.to_owned()));
    let network = Network { ca_file: beside(args.ca_file.as_deref(), &dir), ..target.network };
    let counterpart = CounterpartAt::default();
    let levels = args.levels();
    let accounts = about_accounts(&levels);
    let found = Found { levels, issuer, name: name.unwrap_or_default(), network, counterpart, metadata };
    if accounts {
        authority(&dir)?;
        write_fresh(&dir.join(TOKEN_FILE), &format!("{}\n", random(32)))?;
    }
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
    if accounts {
        identity_service_next(&mut out, style);
    }
    hints(&mut out, &found, style);
    out.push_str(&format!("\n{}\n", text::bold(style, "Then")));
    let file = quoted(&args.out);
    out.push_str(&format!("  edit       {file}: client ids, user names, and what else it asks for\n"));
    out.push_str(&format!("  check      ipsie-conform doctor --target {file}\n"));
    out.push_str(&format!("  run        ipsie-conform run --target {file}\n"));
    print(&out);
    Ok(exit::CONFORMANT)
}

/// What the service provider says of itself; none where none was named.
async fn service_provider(args: &InitArgs, http: &Http) -> Result<Option<Provider>, Error> {
    let Some(url) = &args.scim else { return Ok(None) };
    let good = url::Url::parse(url).is_ok_and(|url| {
        matches!(url.scheme(), "https" | "http") && url.host().is_some() && url.query().is_none() && url.fragment().is_none()
    });
    if !good {
        let help = "Give the URL below which /Users stands, e.g. https://app.example.com/scim/v2.";
        return Err(Error::usage(format!("--scim `{url}` is not a URL without query and fragment"), help));
    }
    let reference = &args.scim_token;
    if !["env:", "file:"].iter().any(|kind| reference.starts_with(kind)) {
        return Err(Error::usage(
            "--scim-token is not env:NAME or file:PATH",
            "Put the token into the environment and name the variable.",
        ));
    }
    // What it reads without one is told; a token can come later.
    let token = Secrets::new(Path::new("")).get(reference).ok();
    let learnt = look(http, url, token.as_deref()).await.map_err(for_init)?;
    Ok(Some(Provider { learnt, token: reference.clone(), has_token: token.is_some() }))
}

/// A service provider that was looked at.
pub struct Provider {
    /// What it says of itself.
    pub learnt: Learnt,
    /// Where the bearer token for it is.
    pub token: String,
    /// It was there.
    pub has_token: bool,
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

fn make(dir: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(dir)
        .map_err(|error| Error::output(format!("{} cannot be made: {error}", dir.display()), "Choose another folder."))
}

/// A path as the target file in `dir`, which is there, must name it.
fn beside(path: Option<&Path>, dir: &Path) -> Option<PathBuf> {
    let path = path?;
    if dir == Path::new(".") {
        return Some(path.to_owned());
    }
    let (file, dir) = (path.canonicalize().ok()?, dir.canonicalize().ok()?);
    Some(file.strip_prefix(&dir).map(Path::to_owned).unwrap_or(file))
}
