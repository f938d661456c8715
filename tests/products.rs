//! The binary against real third-party identity services and applications: every clause must get the verdict of the truth file.
//!
//! They need Node.js, Java and some minutes, so they run only with `IPSIE_PRODUCTS=1`. `IPSIE_CONFORM_BIN` names another
//! binary than the one of this build, `IPSIE_BROWSER` the user agent (auto, chrome or form).
#![allow(clippy::unwrap_used)]

mod product;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use product::{Product, Truth};

#[test]
fn oidc_provider_sl1() {
    agrees("oidc-provider", "sl1");
}

#[test]
fn oidc_provider_defaults() {
    agrees("oidc-provider", "defaults");
}

#[test]
fn spring_authorization_server_defaults() {
    agrees("spring-authorization-server", "defaults");
}

#[test]
fn express_openid_connect_defaults() {
    agrees("express-openid-connect", "defaults");
}

#[test]
fn openid_client_app_sl2() {
    agrees("openid-client-app", "sl2");
}

#[test]
fn scim2_server_defaults() {
    agrees("scim2-server", "defaults");
}

#[test]
fn scim2_server_roles() {
    agrees("scim2-server", "roles");
}

#[test]
fn scimmy_fixed() {
    agrees("scimmy", "fixed");
}

#[test]
fn scimmy_express5() {
    agrees("scimmy", "express5");
}

#[test]
fn scim2_cli_defaults() {
    agrees("scim2-cli", "defaults");
}

#[test]
fn scim_sim_defaults() {
    agrees("scim-sim", "defaults");
}

#[test]
fn scimmy_app_al() {
    agrees("scimmy-app", "al");
}

#[test]
fn scimmy_app_lax() {
    agrees("scimmy-app", "lax");
}

fn agrees(name: &str, configuration: &str) {
    if std::env::var_os("IPSIE_PRODUCTS").is_none_or(|value| value != "1") {
        eprintln!("skipped: {name} {configuration} is started only with IPSIE_PRODUCTS=1");
        return;
    }
    let truth = Truth::load(name, configuration);
    let product = Product::start(name, configuration);
    let out = product.dir.path().join("report");
    let binary = std::env::var_os("IPSIE_CONFORM_BIN").map_or_else(|| env!("CARGO_BIN_EXE_ipsie-conform").into(), PathBuf::from);
    let browser = std::env::var("IPSIE_BROWSER").unwrap_or_else(|_| "auto".into());
    let ended = Command::new(&binary)
        .args(["run", "--role", &truth.about.role, "--level", &truth.about.level])
        .args(truth.profiles(product.dir.path()).iter().flat_map(|folder| [OsStr::new("--profiles"), folder.as_os_str()]))
        .args(["--non-interactive", "--browser", &browser, "--target"])
        .arg(product.target())
        .arg("--out")
        .arg(&out)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}", binary.display()));
    let said = String::from_utf8_lossy(&ended.stderr);
    let report = std::fs::read_to_string(out.join("report.json")).unwrap_or_else(|error| panic!("no report: {error}\n{said}"));
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    eprintln!("{name} {configuration}: browser {}, {} s", report["run"]["browser"], report["run"]["wall_s"]);

    let mut differences = truth.differences(&report);
    let exit = if truth.about.level_verdict == "conformant" { 0 } else { 1 };
    if ended.status.code() != Some(exit) {
        differences.push(format!("exit code {:?} instead of {exit}", ended.status.code()));
    }
    let text = differences.join("\n");
    assert!(differences.is_empty(), "{name} {configuration}: {} differences\n{text}\n\n{said}", differences.len());
}
