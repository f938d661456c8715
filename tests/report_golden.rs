//! One canned run in every format, compared with `reports/golden/`. `UPDATE_GOLDEN=1 cargo test --test report_golden` writes them anew.
#![allow(clippy::unwrap_used)]

mod canned;

use std::path::{Path, PathBuf};
use std::process::Command;

use ipsie_conform::model::Verdict;
use ipsie_conform::report::json::ReadFault;
use ipsie_conform::report::terminal::View;
use ipsie_conform::report::view::Style;
use ipsie_conform::report::{Format, diff, har, html, json, junit, markdown, render, terminal, write_run};

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
fn other_formats() {
    let run = canned::run();
    for format in [Format::Sarif, Format::Tap, Format::Github, Format::Badge] {
        let text = render(format, &run.report, &run.evidence, &run.pngs);
        golden(format.file_name(), &text);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{format:?}");
    }
    let mut embedded = run.report;
    embedded.target.embedded = true;
    for format in [Format::Terminal, Format::Html, Format::Markdown, Format::Junit, Format::Tap, Format::Github] {
        let text = render(format, &embedded, &run.evidence, &run.pngs);
        assert!(text.contains("embedded reference peers: this certifies nothing"), "{format:?}");
    }
    let badge = render(Format::Badge, &embedded, &run.evidence, &run.pngs);
    assert!(badge.contains("reference peer") && !badge.contains("conformant"));
}

#[test]
fn what_changed_between_two_runs() {
    let (before, mut after) = (canned::run().report, canned::run().report);
    after.clauses[0].verdict = Verdict::Fail;
    after.clauses[0].reason = "no discovery document".into();
    after.clauses[2].verdict = Verdict::Pass;
    after.clauses[2].reason = "refused".into();
    let gone = after.clauses.pop().unwrap();
    let diff = diff::diff(&before, &after);
    golden("diff.txt", &diff.text(Style::default()));
    golden("diff.json", &diff.json());
    assert!(diff.worse() && diff.gone[0].clause == gone.id);
}

#[test]
fn a_run_is_written_and_read_back() {
    let run = canned::run();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("deep/er");
    let write = || write_run(&out, &run.report, &run.evidence, &run.pngs, &serde_json::json!({}), &[Format::Junit, Format::Html]);
    write().unwrap();
    let written = write().unwrap();
    let names: Vec<String> = written.iter().map(|path| path.strip_prefix(&out).unwrap().display().to_string()).collect();
    assert_eq!(
        names,
        ["observations.json", "exchanges.har", "screenshots/01-idp-login.png", "junit.xml", "report.html", "report.json"]
    );
    let back = json::read_run(&out).unwrap();
    assert_eq!(json::write(&back.report), json::write(&run.report));
    assert_eq!((back.evidence.exchanges, back.pngs), (run.evidence.exchanges, run.pngs.clone()));
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let run = canned::run();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let fault = write_run(&file.join("out"), &run.report, &run.evidence, &[], &serde_json::json!({}), &[]).unwrap_err();
    assert!(fault.to_string().contains("file/out cannot be written") && fault.hint().contains("--out"), "{fault}");
    // A fault while writing leaves no report.json behind.
    let out = dir.path().join("out");
    std::fs::create_dir_all(out.join("exchanges.har/x")).unwrap();
    std::fs::write(out.join("report.json"), "{}").unwrap();
    let fault = write_run(&out, &run.report, &run.evidence, &[], &serde_json::json!({}), &[]).unwrap_err();
    assert!(fault.path.ends_with("exchanges.har") && !out.join("report.json").exists());
}

#[test]
fn a_full_disk_is_told() {
    let run = canned::run();
    let dir = tempfile::tempdir().unwrap();
    // Writing to /dev/full is how Linux plays a full disk.
    if !Path::new("/dev/full").exists() {
        println!("skipped: no /dev/full");
        return;
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("/dev/full", dir.path().join("exchanges.har.part")).unwrap();
    let fault = write_run(dir.path(), &run.report, &run.evidence, &[], &serde_json::json!({}), &[]).unwrap_err();
    assert!(fault.hint().contains("disk is full") && fault.to_string().contains("exchanges.har"), "{fault}");
}

#[test]
fn a_report_that_is_none_is_refused() {
    let text = json::write(&canned::run().report);
    let path = Path::new("run/report.json");
    let refused = |text: &str| json::parse(text, path).unwrap_err();
    let truncated = refused(&text[..text.len() / 2]);
    assert!(matches!(truncated, ReadFault::Truncated { .. }) && truncated.to_string().contains("run/report.json is truncated"));
    assert!(matches!(refused(""), ReadFault::Truncated { .. }));
    assert!(matches!(refused("{}"), ReadFault::Malformed { .. }));
    assert!(matches!(refused("<html>"), ReadFault::Malformed { .. }));
    let foreign = refused(&text.replace("ipsie-conform/report/1", "ipsie-conform/report/9"));
    assert!(matches!(foreign, ReadFault::Foreign { .. }) && foreign.hint().contains("version"));
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(json::read(dir.path()).unwrap_err(), ReadFault::Missing { .. }));
    assert!(har::read(r#"{"log":{"entries":[]"#).unwrap_err().contains("truncated"));
}

#[test]
fn a_foreign_har_reaches_no_other_file() {
    let run = canned::run();
    let dir = tempfile::tempdir().unwrap();
    write_run(dir.path(), &run.report, &run.evidence, &run.pngs, &serde_json::json!({}), &[]).unwrap();
    let path = dir.path().join("exchanges.har");
    let text = std::fs::read_to_string(&path).unwrap().replace("01-idp-login.png", "../report.json");
    std::fs::write(&path, text).unwrap();
    assert_eq!(json::read_run(dir.path()).unwrap().pngs, [Vec::<u8>::new()]);
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
