//! What can be done with a finished run.

use super::support::{cli, cli_in, embedded_run, files_below, json};

fn path(dir: &std::path::Path) -> &str {
    dir.to_str().unwrap()
}

#[test]
fn a_run_without_target_works_and_says_that_it_certifies_nothing() {
    let dir = embedded_run();
    let report = json(&dir.join("report.json"));
    assert_eq!(report["target"]["embedded"], true);
    let bad: Vec<_> = report["clauses"].as_array().unwrap().iter().filter(|row| row["verdict"] == "fail").collect();
    assert!(bad.is_empty(), "{bad:?}");
    let levels: Vec<_> = report["levels"].as_array().unwrap().iter().map(|row| (&row["level"], &row["role"])).collect();
    assert_eq!(levels.len(), 2, "{levels:?}");
    let told = cli(&["report", "render", path(dir)]);
    told.has(0, &["certifies nothing", "ipsie-conform explain CLAUSE --report", "SL1 Identity Service", "SL1 Application"]);
}

#[test]
fn recheck_comes_to_the_same_verdicts() {
    let (run, out) = (embedded_run(), tempfile::tempdir().unwrap());
    let recorded = json(&run.join("report.json"));
    let again = cli_in(out.path(), &["recheck", path(run), "--out", "again"]);
    assert!([0, 3].contains(&again.code), "{}", again.all());
    let clauses = recorded["clauses"].as_array().unwrap().len();
    assert_eq!(clauses, 97 + 87);
    again.has(again.code, &[&format!("0 changed, 0 new, 0 gone, {clauses} unchanged")]);
    let report = json(&out.path().join("again/report.json"));
    for part in ["clauses", "requirements", "levels", "scenarios"] {
        assert_eq!(report[part], recorded[part], "{part}");
    }
    cli(&["recheck", path(run), "--edition", "2026-02-25"])
        .has(again.code, &["judged by edition 2026-02-25", "the edition differs"]);
    cli(&["recheck", path(run), "--edition", "2026"]).has(2, &["is no known edition"]);
}

#[test]
fn recheck_refuses_what_it_cannot_judge() {
    let (run, out) = (embedded_run(), tempfile::tempdir().unwrap());
    let copy = |name: &str| std::fs::copy(run.join(name), out.path().join(name)).unwrap();
    cli(&["recheck", path(out.path())]).has(2, &["report.json does not exist", "Name the directory"]);
    copy("report.json");
    cli(&["recheck", path(out.path())]).has(2, &["observations.json cannot be read", "whole directory"]);
    std::fs::write(out.path().join("observations.json"), "{\"scenarios\":[],\"attest\":{}}").unwrap();
    cli(&["recheck", path(out.path())]).has(2, &["does not say what the run planned", "Run again"]);
    std::fs::write(out.path().join("report.json"), &std::fs::read(run.join("report.json")).unwrap()[..5000]).unwrap();
    cli(&["recheck", path(out.path())]).has(2, &["truncated"]);
}

#[test]
fn explain_shows_what_the_run_saw() {
    let run = embedded_run();
    cli(&["explain", "pkce-required", "--report", path(run)]).has(
        0,
        &[
            "PASS, by idp-sso/pkce",
            "Exchange x",
            "  > GET https://idp.ipsie-conform.test/authorize?",
            "  >     response_type = code",
            "  < 303",
        ],
    );
    cli(&["explain", "sl1.app.pkce-s256", "--report", path(run)])
        .has(0, &["PASS, by app-login", "  > GET https://op.ipsie-conform.test/", "  >     code_challenge_method = S256"]);
    cli(&["explain", "code-lifetime-60", "--report", path(run)]).has(0, &["NOT-RUN", "--fast", "cites none"]);
    cli(&["explain", "pkce-required", "--report", "/nowhere/at/all"]).has(2, &["does not exist"]);
    let value: serde_json::Value =
        serde_json::from_str(&cli(&["explain", "pkce-required", "--report", path(run), "--json"]).out).unwrap();
    assert_eq!(value["run"]["result"]["verdict"], "pass");
    assert!(!value["run"]["exchanges"].as_array().unwrap().is_empty());
}

#[test]
fn report_render_writes_every_format() {
    let (run, out) = (embedded_run(), tempfile::tempdir().unwrap());
    let mut args = vec!["report", "render", path(run), "--out", path(out.path())];
    let formats = ["terminal", "json", "junit", "html", "markdown", "har", "sarif", "tap", "github", "badge"];
    args.extend(formats.iter().flat_map(|format| ["--format", format]));
    cli(&args).has(0, &["report.html", "junit.xml"]);
    assert_eq!(files_below(out.path()).len(), formats.len());
    assert_eq!(json(&out.path().join("report.json")), json(&run.join("report.json")));
    cli(&["report", "render", path(run), "--format", "markdown", "--out", "-"]).has(0, &["# IPSIE conformance"]);
    cli(&["report", "render", path(run), "--format", "json"]).has(2, &["is not written over"]);
    cli(&["report", "render", path(run), "--format", "tap", "--format", "sarif", "--out", "-"]).has(2, &["one format"]);
}

#[test]
fn report_diff_tells_what_got_worse() {
    let (run, worse) = (embedded_run(), tempfile::tempdir().unwrap());
    cli(&["report", "diff", path(run), path(run)]).has(0, &["0 changed"]);
    let mut report = json(&run.join("report.json"));
    let row = report["clauses"].as_array_mut().unwrap().iter_mut().find(|row| row["id"] == "sl1.idp.pkce-required").unwrap();
    row["verdict"] = "fail".into();
    std::fs::write(worse.path().join("report.json"), report.to_string()).unwrap();
    cli(&["report", "diff", path(run), path(worse.path())]).has(1, &["worse   sl1.idp.pkce-required: pass -> fail"]);
    cli(&["report", "diff", path(worse.path()), path(run)]).has(0, &["better  sl1.idp.pkce-required"]);
    let diff = cli(&["report", "diff", path(run), path(worse.path()), "--json"]);
    let diff: serde_json::Value = serde_json::from_str(&diff.has(1, &[]).out).unwrap();
    assert_eq!(diff["changed"][0]["direction"], "worse");
}
