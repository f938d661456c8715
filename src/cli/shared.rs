//! What several commands share: the catalogue, colour and width, filters.

use std::io::IsTerminal;
use std::path::Path;

use crate::catalogue::{Catalogue, nearest};
use crate::error::Error;
use crate::report::json::ReadFault;
use crate::report::view::Style;

/// The catalogue of the binary, or of a folder.
pub fn catalogue(profiles: Option<&Path>) -> Result<Catalogue, Error> {
    Ok(match profiles {
        Some(dir) => Catalogue::from_dir(dir)?,
        None => Catalogue::embedded()?,
    })
}

/// What was read of an earlier run, or the user's mistake about its directory.
pub fn saved<T>(read: Result<T, ReadFault>) -> Result<T, Error> {
    read.map_err(|fault| Error::usage(fault.to_string(), sentence(fault.hint())))
}

/// A hint as a sentence.
fn sentence(hint: &str) -> String {
    let mut chars = hint.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", chars.as_str())
}

/// Colour and width for a stream: colour only on a terminal and without NO_COLOR.
pub fn style(terminal: bool) -> Style {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let width = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok())
        .or_else(|| terminal.then(crate::report::terminal::terminal_width).flatten());
    Style { color: terminal && !plain, width }
}

/// Style of standard output.
pub fn stdout_style() -> Style {
    style(std::io::stdout().is_terminal())
}

/// An edition that exists.
pub fn edition(catalogue: &Catalogue, asked: Option<String>) -> Result<String, Error> {
    let id = asked.unwrap_or_else(|| catalogue.default_edition.clone());
    if catalogue.edition(&id).is_some() {
        return Ok(id);
    }
    let close = nearest(&id, catalogue.editions.iter().map(|edition| edition.id.as_str()));
    Err(Error::usage(
        format!("`{id}` is no known edition"),
        format!("Did you mean `{close}`? `ipsie-conform list editions` shows all."),
    ))
}
