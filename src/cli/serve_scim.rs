//! `serve scim-server`: the service provider of the reference application alone, without sign-in.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::keys_file::keys_in;
use super::serve::{Home, file_of, stopped};
use super::serve_app::{conforming, defect, describe_defects, write_target};
use super::text::{print, quoted};
use crate::catalogue::Catalogue;
use crate::counterpart::app::{API_HOST, AppKeys, SCIM_BASE, SCIM_CLIENTS, SCIM_ISSUER};
use crate::counterpart::embedded_app::{EmbeddedApp, ProviderFor, embedded_app};
use crate::counterpart::scim_server::{Layout, Quirk};
use crate::embed::Flaw;
use crate::error::{Error, exit};
use crate::model::Level;
use crate::model::target::{AppAccounts, Commands};
use crate::stage::listener::TestCa;

/// Its identity service, which nobody asks.
const ISSUER: &str = "https://op.ipsie-conform.test";

/// Arguments of `serve scim-server`.
#[derive(Clone, Debug, Args)]
pub struct ScimArgs {
    /// A bearer token without end, for clients that know no other, in place of tokens for signed JWTs (RFC 7523)
    #[arg(long)]
    pub static_token: bool,
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

/// Serves until it is interrupted; the answer is the exit code.
///
/// # Errors
/// An unknown defect, an address that is taken, or a file that cannot be written.
pub async fn serve(args: &ScimArgs, catalogue: &Catalogue) -> Result<u8, Error> {
    let flaws = args.defect.iter().map(|name| own_defect(catalogue, name)).collect::<Result<Vec<Flaw>, Error>>()?;
    let quirks: Vec<Quirk> =
        flaws.iter().filter_map(|flaw| if let Flaw::Scim(quirk) = flaw { Some(*quirk) } else { None }).collect();
    let layout = if args.static_token { Layout::Static } else { Layout::AppAs };
    let home = Home::open(args.dir.as_deref(), "ipsie-conform-scim-")?;
    let (suite_keys, _) = keys_in(home.path())?;
    let suite = |message: String| Error::Suite { message };
    let keys = AppKeys::generate().map_err(|error| suite(error.to_string()))?;
    let ca = Arc::new(TestCa::new("ipsie-conform reference authority").map_err(|error| suite(error.to_string()))?);
    let provider = ProviderFor {
        layout,
        provisioning_keys: json!({"keys": [suite_keys.es256.jwk()]}),
        quirks,
        ..ProviderFor::new(ISSUER, Some(&format!("{ISSUER}/second")))
    };
    let mut peer = embedded_app(&args.listen, ca.clone(), &keys, &provider, &[]).await.map_err(|fault| {
        Error::prerequisite(fault.to_string(), "Give --listen another address and port; port 0 takes a free one.")
    })?;
    alone(&mut peer);
    let target = write_target(home.path(), &peer, &ca, "reference SCIM server", "serve scim-server", &flaws)?;
    let access = match layout {
        Layout::Static => format!("bearer token in {}", quoted(&home.path().join(file_of("embedded:scim-token")))),
        _ => format!("tokens for JWTs of the client {} by https://{API_HOST}{SCIM_ISSUER}", SCIM_CLIENTS[0]),
    };
    let (addr, ca) = (peer.app.addr, quoted(&home.path().join("ca.pem")));
    print(&format!(
        "SCIM server     https://{API_HOST}{SCIM_BASE}\n\
         listens         {addr}\n\
         access          {access}\n\
         defects         {defects}\n\
         files           {dir} (authority, target file, secrets)\n\n\
         Its name is in no DNS. Look at it:\n  \
           curl --cacert {ca} --connect-to {API_HOST}:443:{addr} https://{API_HOST}{SCIM_BASE}/ServiceProviderConfig\n\n\
         Test it from another terminal; without sign-in a level stays incomplete:\n  \
           ipsie-conform run --level AL3 --allow-load --target {target}\n\n\
         Ctrl-C ends it.\n",
        defects = describe_defects(&flaws, &conforming(layout, "the SCIM clauses of AL1 to AL3")),
        dir = quoted(home.path()),
        target = quoted(&target),
    ));
    stopped().await;
    eprintln!("stopped");
    Ok(exit::CONFORMANT)
}

/// The defect of a clause that the SCIM interface alone can show.
fn own_defect(catalogue: &Catalogue, name: &str) -> Result<Flaw, Error> {
    let help = "`ipsie-conform serve app` has the defects of pages, sign-in and commands; `ipsie-conform list clauses --binding scim` \
                shows the clauses of this peer.";
    match defect(catalogue, name)? {
        // The keys of this one are those of an identity service, which is not there.
        Flaw::Scim(quirk) if quirk != Quirk::TokenAcceptedFromIdp => Ok(Flaw::Scim(quirk)),
        other => Err(Error::usage(format!("the SCIM server alone cannot show a defect of {}", other.clause()), help)),
    }
}

/// Leaves only what concerns the interface in the target file.
fn alone(peer: &mut EmbeddedApp) {
    let target = &mut peer.target;
    target.target.levels = vec![Level::Al3];
    target.target.bindings = vec!["scim".into()];
    target.app = None;
    target.commands = Commands::default();
    target.accounts = AppAccounts::default();
    target.hooks.remove("reload-metadata");
    target.attest.retain(|clause, _| clause.starts_with("al"));
    peer.secrets.retain(|name, _| !name.ends_with("revocation-token"));
}
