//! `selftest`: the reference peers with every defect in turn.

use std::path::Path;

use clap::{Args, ValueEnum};

use super::filter::known_patterns;
use super::shared::{catalogue, stdout_style};
use crate::catalogue::glob;
use crate::error::{Error, exit};
use crate::selftest::{Row, markdown, matrix};

/// Arguments of `selftest`.
#[derive(Clone, Debug, Args)]
pub struct SelftestArgs {
    /// Only defects of clauses whose id or slug matches. Repeatable
    #[arg(long, value_name = "GLOB")]
    pub clause: Vec<String>,
    /// What to print at the end
    #[arg(long, value_enum, default_value = "text")]
    pub format: SelftestFormat,
}

/// `--format` of `selftest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SelftestFormat {
    /// A table
    Text,
    /// The matrix as a page
    Markdown,
    /// The matrix as data
    Json,
}

/// Runs; fails on a survivor, on a clause that fires on the conforming peer, and on collateral that is not allowed.
///
/// # Errors
/// A peer could not be started.
pub async fn selftest(args: SelftestArgs, profiles: Option<&Path>) -> Result<u8, Error> {
    let catalogue = catalogue(profiles)?;
    known_patterns(&catalogue, &args.clause, &[], &[])?;
    let wanted = |id: &str| {
        let slug = id.rsplit('.').next().unwrap_or(id);
        let named = || args.clause.iter().any(|pattern| glob(pattern, id) || glob(pattern, slug));
        args.clause.is_empty() || named()
    };
    let told = |row: &Row| {
        let name = if row.clause.is_empty() { "conforming peer" } else { &row.clause };
        if row.good() {
            eprintln!("ok        {name}, {:.0} s", row.took_s);
        } else if row.caught {
            eprintln!("COLLATERAL {name}: also fired {}", row.unexpected.join(", "));
        } else if row.clause.is_empty() {
            eprintln!("FIRED     {name}: {}", row.unexpected.join("; "));
        } else {
            eprintln!("SURVIVED  {name}: {} ({})", row.verdict, row.reason);
        }
    };
    let rows = matrix(&catalogue, &wanted, &told).await?;
    let bad = rows.iter().filter(|row| !row.good()).count();
    match args.format {
        SelftestFormat::Markdown => print!("{}", markdown(&rows)),
        SelftestFormat::Json => {
            println!("{}", serde_json::to_string_pretty(&rows).map_err(|error| Error::Suite { message: error.to_string() })?);
        }
        SelftestFormat::Text => print!("{}", crate::report::terminal::kill_matrix(&rows, stdout_style())),
    }
    let defects = rows.iter().filter(|row| !row.clause.is_empty()).count();
    eprintln!("{defects} defects, {bad} rows to look at");
    Ok(if bad == 0 { exit::CONFORMANT } else { exit::NON_CONFORMANT })
}
