//! `serve`: the reference peers to play with; here the identity service.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::filter::clause;
use super::keys_file::{KEYS_FILE, keys_in, write_plain, write_private};
use super::serve_app::describe_defects;
use super::shared::catalogue;
use super::text::{print, quoted};
use crate::catalogue::Catalogue;
use crate::counterpart::embedded::{Embedded, embedded_at};
use crate::counterpart::embedded_provision::{DIRECTORY, Elsewhere};
use crate::counterpart::provisioner::Lapse;
use crate::counterpart::twist::Twist;
use crate::embed::Flaw;
use crate::error::{Error, exit};
use crate::model::target::{CounterpartAt, Target};
use crate::model::{How, Role};
use crate::stage::listener::{ListenFault, TestCa};
use crate::stage::secrets::Secrets;

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// The reference peer
    #[command(subcommand)]
    pub peer: Peer,
}

/// The reference peers.
#[derive(Clone, Debug, Subcommand)]
pub enum Peer {
    /// An OpenID Provider that conforms to SL2 and AL3, with login pages, password, one-time code, and a directory that it provisions
    Idp(IdpArgs),
    /// A relying party that conforms to SL2 and AL3, with pages, an API, own tokens, SCIM, session and account commands
    App(super::serve_app::AppArgs),
    /// The SCIM service provider of that application alone
    ScimServer(super::serve_scim::ScimArgs),
}

/// Arguments of `serve idp`.
#[derive(Clone, Debug, Args)]
pub struct IdpArgs {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Provision into this SCIM server in place of the suite's own; needs --scim-token
    #[arg(long, value_name = "URL", requires = "scim_token")]
    pub scim: Option<String>,
    /// Where the bearer token of that server is: env:NAME or file:PATH
    #[arg(long, value_name = "REFERENCE", requires = "scim")]
    pub scim_token: Option<String>,
    /// Certificate authorities of that server, PEM
    #[arg(long, value_name = "FILE", requires = "scim")]
    pub ca_file: Option<PathBuf>,
    /// Where a host of that server is, e.g. app.example:443=127.0.0.1:8443. Repeatable
    #[arg(long, value_name = "HOST=ADDR", requires = "scim", value_parser = super::serve_app::place)]
    pub resolve: Vec<(String, SocketAddr)>,
    /// Start it with the defect that this clause must catch. Repeatable
    #[arg(long, value_name = "CLAUSE")]
    pub defect: Vec<String>,
    /// Folder for the target file, authority and secrets; kept when the service ends [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Serves until it is interrupted; the answer is the exit code.
///
/// # Errors
/// An unknown defect, an address that is taken, or a folder that cannot be written.
pub async fn serve(args: &ServeArgs, profiles: Option<&Path>) -> Result<u8, Error> {
    match &args.peer {
        Peer::Idp(args) => serve_idp(args, profiles).await,
        Peer::App(args) => super::serve_app::serve(args, profiles).await,
        Peer::ScimServer(args) => super::serve_scim::serve(args, &catalogue(profiles)?).await,
    }
}

async fn serve_idp(args: &IdpArgs, profiles: Option<&Path>) -> Result<u8, Error> {
    let catalogue = catalogue(profiles)?;
    let flaws = args.defect.iter().map(|name| defect(&catalogue, name)).collect::<Result<Vec<Flaw>, Error>>()?;
    let lapses: Vec<Lapse> =
        flaws.iter().filter_map(|flaw| if let Flaw::Provision(lapse) = flaw { Some(*lapse) } else { None }).collect();
    let mut twists: Vec<Twist> =
        flaws.iter().filter_map(|flaw| if let Flaw::Idp(twist) = flaw { Some(*twist) } else { None }).collect();
    if lapses.contains(&Lapse::AccessEndsAtIdpToo) {
        twists.push(Twist::RefreshStopsForDisabledUser);
    }
    let elsewhere = args.scim.as_deref().map(|url| elsewhere(args, url)).transpose()?;
    let home = Home::open(args.dir.as_deref(), "ipsie-conform-idp-")?;
    let (keys, _) = keys_in(home.path())?;
    let public = keys.public().map_err(|error| Error::Suite { message: error.to_string() })?;
    let ca =
        Arc::new(TestCa::new("ipsie-conform reference authority").map_err(|error| Error::Suite { message: error.to_string() })?);
    let taken = |fault: ListenFault| {
        Error::prerequisite(fault.to_string(), "Give --listen another address and port; port 0 takes a free one.")
    };
    let mut peer = embedded_at(&args.listen, ca.clone(), &public, CounterpartAt::default(), &twists).await.map_err(taken)?;
    match elsewhere {
        Some(server) => peer.provision_into(server, ca.clone(), &lapses).await.map_err(taken)?,
        None => peer.provision(ca.clone(), &lapses).await.map_err(taken)?,
    }
    let target = write_files(home.path(), &peer, &ca, &flaws)?;
    print(&describe(&peer, home.path(), &target, args, &flaws));
    stopped().await;
    eprintln!("stopped");
    Ok(exit::CONFORMANT)
}

/// Until Ctrl-C, or a polite request to end.
pub(super) async fn stopped() {
    #[cfg(unix)]
    {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// The SCIM server of the operator's choice.
fn elsewhere(args: &IdpArgs, url: &str) -> Result<Elsewhere, Error> {
    if !url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some()) {
        let help = "Write the URL below which /Users stands, e.g. https://app.example.com/scim/v2.";
        return Err(Error::usage(format!("--scim `{url}` is not a URL"), help));
    }
    let reference = args.scim_token.as_deref().unwrap_or_default();
    let token = Secrets::new(Path::new("")).get(reference).map_err(|fault| {
        Error::usage(format!("--scim-token: {fault}"), "Name the token of the SCIM server: env:NAME or file:PATH.")
    })?;
    let roots = super::serve_app::roots(args.ca_file.as_deref())?;
    let resolve = args.resolve.iter().map(|(host, address)| (host.clone(), address.to_string())).collect();
    Ok(Elsewhere { url: url.trim_end_matches('/').to_owned(), token, roots, resolve })
}

/// The defect of a clause, by its id or the last part of it.
fn defect(catalogue: &Catalogue, name: &str) -> Result<Flaw, Error> {
    let named = |flaw: &Flaw| flaw.clause() == name || flaw.clause().rsplit('.').next() == Some(name);
    if let Some(flaw) = Flaw::all().find(|flaw| flaw.role() == Role::Idp && named(flaw)) {
        return Ok(flaw);
    }
    let found = clause(catalogue, name)?;
    let why = if found.how == How::Attested {
        "a statement of the operator decides it, so no defect could show".to_owned()
    } else {
        format!("it is a clause of the {} that this peer, an Identity Service, has no defect for", found.role.title())
    };
    Err(Error::usage(
        format!("there is no defect for {}: {why}", found.id),
        "`ipsie-conform list clauses --role idp` shows the clauses; those with HOW other than `attested` have a defect.",
    ))
}

/// Where the files go.
pub(super) enum Home {
    Given(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Home {
    /// The folder asked for, or a temporary one whose name begins with `prefix`.
    pub(super) fn open(asked: Option<&Path>, prefix: &str) -> Result<Home, Error> {
        let told = |what: String, error: std::io::Error| {
            Error::output(format!("{what} cannot be made: {error}"), "Give another folder with --dir.")
        };
        match asked {
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(|error| told(dir.display().to_string(), error))?;
                Ok(Home::Given(dir.to_owned()))
            }
            None => tempfile::Builder::new()
                .prefix(prefix)
                .tempdir()
                .map(Home::Temporary)
                .map_err(|error| told("a temporary folder".into(), error)),
        }
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        match self {
            Home::Given(dir) => dir,
            Home::Temporary(dir) => dir.path(),
        }
    }
}

/// Writes authority, secrets and target file; answers the latter's path.
fn write_files(dir: &Path, peer: &Embedded, ca: &TestCa, flaws: &[Flaw]) -> Result<PathBuf, Error> {
    write_plain(&dir.join("ca.pem"), ca.pem())?;
    for (reference, value) in &peer.secrets {
        write_private(&dir.join(file_of(reference)), value)?;
    }
    let mut target: Target = peer.target.clone();
    target.target.name = match flaws {
        [] => "reference identity service".into(),
        some => format!("reference identity service with defects: {}", describe_defects(some, "")),
    };
    target.network.ca_file = Some("ca.pem".into());
    target.counterpart.keys = Some(format!("file:{KEYS_FILE}"));
    let named = |reference: &mut Option<String>| {
        if let Some(reference) = reference {
            *reference = format!("file:{}", file_of(reference));
        }
    };
    for user in target.idp.iter_mut().flat_map(|idp| &mut idp.users) {
        named(&mut user.password);
        named(&mut user.totp);
        named(&mut user.hardware_totp);
    }
    named(&mut target.counterpart.ca);
    named(&mut target.counterpart.ca_key);
    for call in target.hooks.values_mut().filter_map(|hook| hook.http.as_mut()) {
        named(&mut call.bearer);
    }
    let text = toml::to_string(&target).map_err(|error| Error::Suite { message: error.to_string() })?;
    let path = dir.join("target.toml");
    let head =
        "# The reference identity service of `ipsie-conform serve idp`. Its ports and secrets change with every start.\n\n";
    write_plain(&path, &format!("{head}{text}"))?;
    Ok(path)
}

/// `embedded:alice-password` is kept in the file `alice-password`.
pub(super) fn file_of(reference: &str) -> &str {
    reference.rsplit(':').next().unwrap_or(reference)
}

fn describe(peer: &Embedded, dir: &Path, target: &Path, args: &IdpArgs, flaws: &[Flaw]) -> String {
    let op = &peer.op;
    let hosts = op.hosts();
    let host = hosts.first().cloned().unwrap_or_default();
    let ca = quoted(&dir.join("ca.pem"));
    let connect = |host: &str| format!("--connect-to {host}:443:{}", op.addr);
    let resolve: Vec<String> = hosts.iter().map(|host| format!("  \"{host}:443\" = \"{}\"", op.addr)).collect();
    let mut users = String::new();
    for user in ["alice", "bob"] {
        let secret = |what: &str| peer.secrets.get(&format!("embedded:{user}-{what}")).cloned().unwrap_or_default();
        users.push_str(&format!(
            "  {user}   password {}   one-time codes from {}\n",
            secret("password"),
            totp_uri(user, &secret("totp"))
        ));
    }
    let directory = peer.provisioning.as_ref().map(|side| side.addr.to_string()).unwrap_or_default();
    let into = args.scim.as_deref().unwrap_or("the suite while a run lasts");
    let (levels, hook) = if args.scim.is_none() { ("--level SL2 --level AL3 --allow-load ", "") } else { ("", "assign-user") };
    let hook_token = quoted(&dir.join("hook-token"));
    let drive = if hook.is_empty() {
        String::new()
    } else {
        // A token is no word of a command line.
        format!(
            "Bring a user there (others: create-user, disable-user, enable-user, update-profile, create-group, add-group-member; problems \
             are told at GET {DIRECTORY}/operator/problems):\n  \
               (printf 'header = \"Authorization: Bearer '; cat {hook_token}; printf '\"') | curl -K - --cacert {ca} --connect-to \
             {host}:443:{directory} -d '{{\"user\":\"alice\"}}' '{DIRECTORY}/operator/{hook}?sync=5'\n\n",
            host = DIRECTORY.trim_start_matches("https://"),
        )
    };
    let dir = quoted(dir);
    format!(
        "issuer      {issuer}\n\
         listens     {addr}\n\
         provisions  into {into}\n\
         defects     {defects}\n\
         files       {dir} (authority, target file, secrets)\n\n\
         Test it from another terminal:\n  ipsie-conform run {levels}--target {target}\n\n\
         {drive}\
         Look at it:\n  curl --cacert {ca} {connect} {issuer}/.well-known/openid-configuration\n\n\
         In a target file of your own, under [network]:\n  ca_file = \"ca.pem\"\n\n  [network.resolve]\n{resolve}\n\n\
         Users (their secrets also stand in files of that folder):\n{users}\n\
         Ctrl-C ends it.\n",
        issuer = op.issuer(),
        defects = describe_defects(flaws, "none: it conforms to SL2 and AL3"),
        addr = op.addr,
        target = quoted(target),
        connect = connect(&host),
        resolve = resolve.join("\n"),
    )
}

fn totp_uri(user: &str, secret: &str) -> String {
    format!("otpauth://totp/ipsie-conform:{user}?secret={secret}")
}
