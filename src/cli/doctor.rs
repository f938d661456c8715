//! `doctor`: looks at every prerequisite of a run and gives advice, never a verdict.

use std::path::{Path, PathBuf};

use clap::Args;

use super::doctor_accounts::accounts;
use super::doctor_app::{calibrate, pages, provider};
use super::doctor_local::{callback, hooks, keys, suite_hosts};
use super::doctor_login::{launch, sign_in};
use super::doctor_net::{metadata, network_of};
use super::run::{BrowserChoice, browser};
use super::shared::{catalogue, stdout_style};
use super::text;
use crate::catalogue::Catalogue;
use crate::error::{Error, exit};
use crate::report::view::Style;
use crate::target_file::{Loaded, load};

/// Arguments of `doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Target file; without it only this computer is looked at
    #[arg(long, value_name = "FILE")]
    pub target: Option<PathBuf>,
    /// Do not sign in
    #[arg(long)]
    pub no_login: bool,
    /// User agent that signs in
    #[arg(long, value_enum)]
    pub browser: Option<BrowserChoice>,
    /// DevTools address of a Chrome that is running already
    #[arg(long, value_name = "URL")]
    pub browser_url: Option<String>,
    /// Show the browser's window
    #[arg(long)]
    pub headed: bool,
}

/// Prints findings as they come and remembers whether one was a problem.
pub struct Findings {
    style: Style,
    problems: usize,
    advice: usize,
}

impl Findings {
    /// Something is in order.
    pub fn ok(&mut self, text: &str) {
        self.print("ok", "32", text, "");
    }

    /// Something works and could be better, or could not be looked at.
    pub fn advice(&mut self, text: &str, remedy: &str) {
        self.advice += 1;
        self.print("advice", "33", text, remedy);
    }

    /// A run would fail on this.
    pub fn problem(&mut self, text: &str, remedy: &str) {
        self.problems += 1;
        self.print("problem", "1;31", text, remedy);
    }

    fn print(&self, word: &str, sgr: &str, text: &str, remedy: &str) {
        let mut out = String::new();
        text::paragraph(&mut out, text, 9, self.style);
        let body = out.get(9..).unwrap_or_default();
        let mut out = format!("{}{body}", text::paint(self.style, sgr, &format!("{word:<9}")));
        if !remedy.is_empty() {
            text::paragraph(&mut out, &format!("remedy: {remedy}"), 9, self.style);
        }
        text::print(&out);
    }
}

/// Examines; the answer is the exit code: 0 when nothing is a problem, 4 when a prerequisite is missing.
///
/// # Errors
/// A wrong target file.
pub async fn doctor(args: &DoctorArgs, profiles: Option<&Path>) -> Result<u8, Error> {
    let catalogue = catalogue(profiles)?;
    let loaded = args.target.as_deref().map(|path| load(path, &catalogue)).transpose()?;
    let mut findings = Findings { style: stdout_style(), problems: 0, advice: 0 };
    tokio::select! {
        examined = examine(args, loaded.as_ref(), &catalogue, &mut findings) => examined?,
        _ = tokio::signal::ctrl_c() => return Ok(exit::INTERRUPTED),
    }
    let told = match (findings.problems, findings.advice) {
        (0, 0) => "\nEverything is in order.".to_owned(),
        (0, advice) => format!("\nNothing stands in the way; {}.", count(advice, "piece", "pieces", "of advice")),
        (problems, _) => format!("\n{} to solve before a run.", count(problems, "problem", "problems", "")),
    };
    text::print(&format!("{}\n", told.replace("  ", " ")));
    Ok(if findings.problems == 0 { exit::CONFORMANT } else { exit::UNREACHABLE })
}

fn count(number: usize, one: &str, many: &str, of: &str) -> String {
    format!("{number} {} {of}", if number == 1 { one } else { many }).trim_end().to_owned()
}

async fn examine(
    args: &DoctorArgs,
    loaded: Option<&Loaded>,
    catalogue: &Catalogue,
    findings: &mut Findings,
) -> Result<(), Error> {
    findings.ok(&format!("ipsie-conform {} on {} {}", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH));
    let flag = loaded.and_then(|loaded| loaded.target.run.browser.clone());
    let choice = browser(args.browser_url.as_deref(), args.browser, flag.as_deref())?;
    let Some(loaded) = loaded else {
        launch(&choice, args.headed, findings).await;
        callback(&crate::model::target::CounterpartAt::default(), findings);
        return Ok(());
    };
    let target = &loaded.target;
    let users = target.idp.as_ref().map(|idp| format!(", {}", count(idp.users.len(), "user", "users", "")));
    findings.ok(&format!(
        "target file of {}: keys known, every secret is there{}",
        target.target.name,
        users.unwrap_or_default()
    ));
    keys(loaded, findings)?;
    callback(&target.counterpart, findings);
    if target.idp.is_some() {
        suite_hosts(target, &choice, findings);
    }
    let before = findings.problems;
    if target.app.is_some() {
        provider(loaded, findings);
        pages(target, findings).await?;
    }
    let reached = match network_of(target)? {
        Some(network) => metadata(&network, target, findings).await,
        None => target.app.is_some(),
    };
    accounts(loaded, catalogue, findings).await?;
    hooks(target, catalogue, findings).await;
    if target.idp.is_none() && target.app.is_none() {
        findings.ok("nobody signs in: the target file describes provisioning alone");
        return Ok(());
    }
    launch(&choice, args.headed, findings).await;
    if args.no_login {
        findings.advice("nobody was signed in (--no-login)", "Leave --no-login out to try the login recipe.");
    } else if !reached || findings.problems > before {
        findings.advice("nobody was signed in: something above stands in the way", "Solve that first.");
    } else {
        if target.idp.is_some() {
            sign_in(loaded, choice.clone(), args.headed, findings).await;
        }
        if target.app.is_some() {
            calibrate(loaded, choice, args.headed, findings).await;
        }
    }
    Ok(())
}
