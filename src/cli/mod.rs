//! The command line: clap types and one small file per command.

pub mod docs;
pub mod doctor;
mod doctor_accounts;
mod doctor_app;
mod doctor_local;
mod doctor_login;
mod doctor_net;
pub mod explain;
mod explain_exchange;
pub mod filter;
pub mod init;
mod init_accounts;
mod init_app;
mod init_file;
mod init_print;
mod init_scim;
mod keys_file;
pub mod list;
pub mod needs;
mod needs_accounts;
pub mod recheck;
pub mod report;
pub mod run;
pub mod selftest;
pub mod serve;
mod serve_app;
mod serve_scim;
pub mod shared;
pub mod text;

use clap::{Parser, Subcommand};

use crate::error::Error;

/// Conformance tests for IPSIE: drives a real identity service or application and prints a verdict per requirement.
#[derive(Debug, Parser)]
#[command(name = "ipsie-conform", version, arg_required_else_help = true, max_term_width = 110)]
pub struct Cli {
    /// Profiles folder to use instead of the built-in one
    #[arg(long, global = true, value_name = "DIR")]
    pub profiles: Option<std::path::PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the clauses of the chosen levels against a target and write reports
    Run(Box<run::RunArgs>),
    /// List levels, requirements, clauses, scenarios, editions, bindings or needs
    List(list::ListArgs),
    /// Explain clauses: what is demanded, how it is tested, what to do; with --report what a run saw
    Explain(explain::ExplainArgs),
    /// Write a commented target file from the URL of an issuer, a page or a SCIM service provider, and print what to register there
    Init(init::InitArgs),
    /// Check target file, network, TLS, clock, browser, login, SCIM and hooks; gives advice, never a verdict
    Doctor(doctor::DoctorArgs),
    /// Start a reference peer to play with
    Serve(serve::ServeArgs),
    /// Judge what an earlier run saw again, also under another edition; sends nothing
    Recheck(recheck::RecheckArgs),
    /// Other formats from a finished run, and what changed between two
    Report(report::ReportArgs),
    /// Print a completion script for a shell
    Completions(docs::CompletionsArgs),
    /// Print the manual page, or write a page for every command
    Man(docs::ManArgs),
    /// Start the reference peers with every defect in turn: the kill matrix
    Selftest(selftest::SelftestArgs),
}

/// Does what the command line says; the answer is the exit code.
///
/// # Errors
/// A mistake of the user or ours, as a diagnostic.
pub async fn dispatch(cli: Cli) -> Result<u8, Error> {
    let profiles = cli.profiles.as_deref();
    match cli.command {
        Command::Run(args) => run::run(*args, profiles).await,
        Command::List(args) => list::list(&args, profiles),
        Command::Explain(args) => explain::explain(&args, profiles),
        Command::Recheck(args) => recheck::recheck(&args, profiles),
        Command::Init(args) => init::init(&args, profiles).await,
        Command::Doctor(args) => doctor::doctor(&args, profiles).await,
        Command::Serve(args) => serve::serve(&args, profiles).await,
        Command::Report(args) => report::report(&args),
        Command::Completions(args) => docs::completions(&args),
        Command::Man(args) => docs::man(&args),
        Command::Selftest(args) => selftest::selftest(args, profiles).await,
    }
}
