//! `serve`: the reference peers to play with; here the identity service.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::filter::clause;
use super::keys_file::{KEYS_FILE, keys_in, write_plain, write_private};
use super::shared::catalogue;
use super::text::{print, quoted};
use crate::catalogue::Catalogue;
use crate::counterpart::embedded::{Embedded, embedded_at};
use crate::counterpart::twist::Twist;
use crate::error::{Error, exit};
use crate::model::target::{CounterpartAt, Target};
use crate::model::{Clause, How};
use crate::stage::listener::TestCa;

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
    /// An OpenID Provider that conforms to SL2, with login pages, password and one-time code
    Idp(IdpArgs),
    /// A relying party that conforms to SL1 and SL2, with pages, an API, own tokens and session commands
    App(super::serve_app::AppArgs),
}

/// Arguments of `serve idp`.
#[derive(Clone, Debug, Args)]
pub struct IdpArgs {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: String,
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
    }
}

async fn serve_idp(args: &IdpArgs, profiles: Option<&Path>) -> Result<u8, Error> {
    let catalogue = catalogue(profiles)?;
    let twists = args.defect.iter().map(|name| twist(&catalogue, name)).collect::<Result<Vec<Twist>, Error>>()?;
    let home = Home::open(args.dir.as_deref(), "ipsie-conform-idp-")?;
    let (keys, _) = keys_in(home.path())?;
    let public = keys.public().map_err(|error| Error::Suite { message: error.to_string() })?;
    let ca =
        Arc::new(TestCa::new("ipsie-conform reference authority").map_err(|error| Error::Suite { message: error.to_string() })?);
    let peer = embedded_at(&args.listen, ca.clone(), &public, CounterpartAt::default(), &twists).await.map_err(|fault| {
        Error::prerequisite(fault.to_string(), "Give --listen another address and port; port 0 takes a free one.")
    })?;
    let target = write_files(home.path(), &peer, &ca, &twists)?;
    print(&describe(&peer, home.path(), &target, &twists));
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

fn twist(catalogue: &Catalogue, name: &str) -> Result<Twist, Error> {
    let found: &Clause = match Twist::ALL.iter().find(|twist| twist.clause().rsplit('.').next() == Some(name)) {
        Some(twist) => return Ok(*twist),
        None => clause(catalogue, name)?,
    };
    Twist::ALL.iter().find(|twist| twist.clause() == found.id).copied().ok_or_else(|| {
        let why = if found.how == How::Attested {
            "a statement of the operator decides it, so no defect could show".to_owned()
        } else {
            format!("it is a clause of the {}, and this peer is an Identity Service", found.role.title())
        };
        Error::usage(
            format!("there is no defect for {}: {why}", found.id),
            "`ipsie-conform list clauses --role idp` shows the clauses; those with HOW other than `attested` have a defect.",
        )
    })
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
fn write_files(dir: &Path, peer: &Embedded, ca: &TestCa, twists: &[Twist]) -> Result<PathBuf, Error> {
    write_plain(&dir.join("ca.pem"), ca.pem())?;
    for (reference, value) in &peer.secrets {
        write_private(&dir.join(file_of(reference)), value)?;
    }
    let mut target: Target = peer.target.clone();
    let defects: Vec<&str> = twists.iter().map(|twist| twist.clause()).collect();
    target.target.name = match defects.as_slice() {
        [] => "reference identity service".into(),
        some => format!("reference identity service with defects: {}", some.join(", ")),
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

fn describe(peer: &Embedded, dir: &Path, target: &Path, twists: &[Twist]) -> String {
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
    let defects = match twists {
        [] => "none: it conforms to SL2".to_owned(),
        some => some.iter().map(|twist| twist.clause()).collect::<Vec<_>>().join(", "),
    };
    let dir = quoted(dir);
    format!(
        "issuer      {issuer}\n\
         listens     {addr}\n\
         defects     {defects}\n\
         files       {dir} (authority, target file, secrets)\n\n\
         Test it from another terminal:\n  ipsie-conform run --target {target}\n\n\
         Look at it:\n  curl --cacert {ca} {connect} {issuer}/.well-known/openid-configuration\n\n\
         In a target file of your own, under [network]:\n  ca_file = \"ca.pem\"\n\n  [network.resolve]\n{resolve}\n\n\
         Users (their secrets also stand in files of that folder):\n{users}\n\
         Ctrl-C ends it.\n",
        issuer = op.issuer(),
        addr = op.addr,
        target = quoted(target),
        connect = connect(&host),
        resolve = resolve.join("\n"),
    )
}

fn totp_uri(user: &str, secret: &str) -> String {
    format!("otpauth://totp/ipsie-conform:{user}?secret={secret}")
}
