//! One self-contained HTML file: no other file, no network, no script needed for reading.
//!
//! Evidence is hostile text: the template escapes everything, and a content security policy allows only the style and the one script
//! that stand in the file.

mod context;
mod scenario;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};

use crate::model::report::{Evidence, Report};

const TEMPLATE: &str = include_str!("../../../reports/html/report.html");
const STYLE: &str = include_str!("../../../reports/html/report.css");
const SCRIPT: &str = include_str!("../../../reports/html/report.js");

/// The report as HTML. `pngs` are the bytes of `evidence.shots`, in the same order; a missing or empty one is left out.
pub fn write(report: &Report, evidence: &Evidence, pngs: &[Vec<u8>]) -> String {
    let mut env = Environment::new();
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        env.set_syntax(syntax);
    }
    let script_hash = STANDARD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, SCRIPT.as_bytes()));
    let page = Value::from(Serde(context::Page::new(report, evidence, pngs)));
    // The template is part of the program and rendered by the tests; a message is still better than an empty file.
    env.render_str(TEMPLATE, context! { style => STYLE, script => SCRIPT, script_hash, page })
        .unwrap_or_else(|fault| format!("<!doctype html><pre>{}</pre>", super::sequence::escape(&format!("{fault:#}"))))
}
