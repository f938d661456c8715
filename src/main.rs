//! Parse, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use ipsie_conform::cli::{Cli, dispatch};
use ipsie_conform::error::exit;

fn main() -> ExitCode {
    // Messages name URLs and paths, which must survive copying.
    let _ = miette::set_hook(Box::new(|_| Box::new(miette::MietteHandlerOpts::new().wrap_lines(false).build())));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::CONFORMANT });
        }
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the runtime could not be started: {error}");
            return ExitCode::from(exit::SUITE);
        }
    };
    let outcome = runtime.block_on(dispatch(cli));
    // A prompt that nobody answers must not hold the exit.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let code = error.exit_code();
            eprintln!("{:?}", miette::Report::new(error));
            ExitCode::from(code)
        }
    }
}
