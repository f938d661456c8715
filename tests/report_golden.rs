//! One canned run in every format, compared with `reports/golden/`. `UPDATE_GOLDEN=1 cargo test --test report_golden` writes them anew.
#![allow(clippy::unwrap_used)]

mod canned;

use std::path::{Path, PathBuf};
use std::process::Command;

use ipsie_conform::report::terminal::View;
use ipsie_conform::report::view::Style;
use ipsie_conform::report::{har, html, json, junit, markdown, terminal};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn golden(name: &str, text: &str) {
    let path = root().join("reports/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    if wanted != text {
        let line = wanted
            .lines()
            .zip(text.lines())
            .position(|(a, b)| a != b)
            .unwrap_or(wanted.lines().count().min(text.lines().count()));
        let show = |text: &str| text.lines().nth(line).unwrap_or("(end)").to_owned();
        panic!(
            "{} differs at line {}:\n  golden: {}\n  now:    {}\nIf the change is wanted: UPDATE_GOLDEN=1 cargo test --test report_golden",
            path.display(),
            line + 1,
            show(&wanted),
            show(text)
        );
    }
}

fn plain(width: u16) -> View {
    View { style: Style { color: false, width: Some(width) }, verbose: false, dir: Some("reports/k3x9".into()) }
}

#[test]
fn report_json() {
    let run = canned::run();
    let text = json::write(&run.report);
    golden("report.json", &text);
    let back = json::parse(&text, Path::new("report.json")).unwrap();
    assert_eq!(json::write(&back), text);
}

#[test]
fn exchanges_har_reads_back() {
    let run = canned::run();
    let text = har::write(&run.report, &run.evidence);
    golden("exchanges.har", &text);
    let back = har::read(&text).unwrap();
    assert_eq!(back.exchanges, run.evidence.exchanges);
    assert_eq!(back.shots, run.evidence.shots);
}

#[test]
fn terminal_text() {
    let run = canned::run();
    let text = terminal::render(&run.report, &plain(80));
    golden("terminal.txt", &text);
    for line in text.lines() {
        assert!(line.chars().count() <= 80 || line.contains("explain"), "too wide: {line}");
    }
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    let view = View { verbose: true, style: Style { color: true, width: Some(100) }, ..plain(100) };
    golden("terminal-verbose-color.txt", &terminal::render(&run.report, &view));
}

#[test]
fn junit_xml() {
    let text = junit::write(&canned::run().report);
    golden("junit.xml", &text);
    assert!(!text.contains("<script>") && !text.contains("]]>"));
    let xsd = root().join("reports/schema/junit.xsd");
    check("xmllint", &["--noout", "--schema", &xsd.to_string_lossy()], "junit.xml", &text);
}

#[test]
fn summary_md() {
    let text = markdown::write(&canned::run().report);
    golden("summary.md", &text);
    assert!(!text.contains("<script>") && !text.contains("@everyone"));
}

#[test]
fn report_html() {
    let run = canned::run();
    let text = html::write(&run.report, &run.evidence, &run.pngs);
    golden("report.html", &text);
    assert_eq!(text.matches("<script>").count(), 1, "hostile text must be escaped");
    assert!(!text.contains("<img src=x") && !text.contains("login page <b>"));
    assert!(!text.contains("src=\"http") && !text.contains("url(") && !text.contains("<link"), "nothing from outside");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
}

#[test]
fn report_json_fits_its_schema() {
    let text = json::write(&canned::run().report);
    let script = root().join("ci/check-schema.py");
    let schema = root().join("reports/schema/report-1.schema.json");
    check("python3", &[&script.to_string_lossy(), &schema.to_string_lossy()], "report.json", &text);
}

/// Runs an outside checker on a file of this text; prints a line where it is not installed.
fn check(tool: &str, args: &[&str], name: &str, text: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join(name);
    std::fs::write(&file, text).unwrap();
    match Command::new(tool).args(args).arg(&file).output() {
        // 77: the script's own word for "a module I need is not installed".
        Ok(out) if out.status.code() == Some(77) => println!("skipped: {}", String::from_utf8_lossy(&out.stderr).trim()),
        Ok(out) => assert!(out.status.success(), "{tool}: {}", String::from_utf8_lossy(&out.stderr)),
        Err(_) => println!("skipped: {tool} is not installed"),
    }
}
