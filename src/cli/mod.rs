//! The command line: clap types and one small file per command.

pub mod run;
pub mod selftest;
pub mod shared;

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
    /// Start the reference peers with every defect in turn: the kill matrix
    Selftest(selftest::SelftestArgs),
}

/// Does what the command line says; the answer is the exit code.
///
/// # Errors
/// A mistake of the user or ours, as a diagnostic.
pub async fn dispatch(cli: Cli) -> Result<u8, Error> {
    match cli.command {
        Command::Run(args) => run::run(*args, cli.profiles.as_deref()).await,
        Command::Selftest(args) => selftest::selftest(args, cli.profiles.as_deref()).await,
    }
}
