//! The report in its formats. `report.json` is the one source; everything here reads the model.

pub mod badge;
pub mod diff;
pub mod github;
pub mod har;
pub mod html;
pub mod json;
pub mod junit;
pub mod live;
pub mod markdown;
pub mod sarif;
pub mod sequence;
pub mod tap;
pub mod terminal;
pub mod view;
mod write;

pub use write::{WriteFault, write_run};

use crate::model::report::{Evidence, Report};

/// A form the report can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Format {
    /// Text for a terminal, grouped by requirement.
    Terminal,
    /// The source of all others.
    Json,
    /// JUnit XML for CI servers.
    Junit,
    /// One self-contained page with sequence diagrams and screenshots.
    Html,
    /// A CI job summary.
    Markdown,
    /// The exchanges, for a browser's developer tools.
    Har,
    /// SARIF 2.1.0 for code-scanning dashboards.
    Sarif,
    /// Test Anything Protocol 14.
    Tap,
    /// GitHub Actions annotations.
    Github,
    /// An SVG badge.
    Badge,
}

impl Format {
    /// The file a run writes it to.
    pub fn file_name(self) -> &'static str {
        match self {
            Format::Terminal => "report.txt",
            Format::Json => json::REPORT_FILE,
            Format::Junit => "junit.xml",
            Format::Html => "report.html",
            Format::Markdown => "summary.md",
            Format::Har => json::EVIDENCE_FILE,
            Format::Sarif => "report.sarif",
            Format::Tap => "report.tap",
            Format::Github => "annotations.txt",
            Format::Badge => "badge.svg",
        }
    }
}

/// The report in one format. `pngs` are the bytes of `evidence.shots`, in the same order; only HTML shows them.
/// The terminal format comes without colours, 80 columns wide; [`terminal::render`] has the choice.
pub fn render(format: Format, report: &Report, evidence: &Evidence, pngs: &[Vec<u8>]) -> String {
    match format {
        Format::Terminal => terminal::render(report, &terminal::View::default()),
        Format::Json => json::write(report),
        Format::Junit => junit::write(report),
        Format::Html => html::write(report, evidence, pngs),
        Format::Markdown => markdown::write(report),
        Format::Har => har::write(report, evidence),
        Format::Sarif => sarif::write(report),
        Format::Tap => tap::write(report),
        Format::Github => github::write(report),
        Format::Badge => badge::write(report),
    }
}
