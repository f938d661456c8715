//! `completions` and `man`: made from the command line's own description.

use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, text};
use crate::error::{Error, exit};

/// Arguments of `completions`.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Arguments of `man`.
#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// Write a page for every command into this folder, instead of printing the main page
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Prints a completion script; the answer is the exit code.
///
/// # Errors
/// None.
pub fn completions(args: &CompletionsArgs) -> Result<u8, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ipsie-conform", &mut script);
    text::print(&String::from_utf8_lossy(&script));
    Ok(exit::CONFORMANT)
}

/// Prints or writes manual pages; the answer is the exit code.
///
/// # Errors
/// A page cannot be written.
pub fn man(args: &ManArgs) -> Result<u8, Error> {
    match &args.dir {
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
            rendered.map_err(|error| Error::Suite { message: error.to_string() })?;
            text::print(&String::from_utf8_lossy(&page));
        }
        Some(dir) => {
            std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir)).map_err(|error| {
                Error::output(format!("{} cannot be written: {error}", dir.display()), "Give another folder with --dir.")
            })?;
            println!("{}", dir.display());
        }
    }
    Ok(exit::CONFORMANT)
}
