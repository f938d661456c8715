//! Commands that send nothing, and mistakes on the command line.

use super::support::{cli, cli_in, command, said};

#[test]
fn mistakes_on_the_command_line_are_told_with_the_way_out() {
    cli(&["run", "--level", "SL9"]).has(2, &["SL9", "SL1, SL2, SL3"]);
    cli(&["run", "--levle", "SL1"]).has(2, &["--levle", "--level"]);
    cli(&["run", "--level", "SL3"]).has(2, &["cannot be tested by this version", "SL1 idp"]);
    cli(&["run", "--clause", "sl1.idp.pkce-requird"]).has(2, &["no clause matches", "Did you mean `sl1.idp.pkce-required`"]);
    cli(&["run", "--scenario", "idp-logn"]).has(2, &["no scenario matches", "idp-login"]);
    cli(&["run", "--edition", "2026-02-06"]).has(2, &["is no known edition", "2026-02-05"]);
    cli(&["run", "--target", "nowhere.toml"]).has(2, &["nowhere.toml cannot be read", "init ISSUER"]);
    cli(&["run", "--out", "/dev/null/run"]).has(2, &["nothing can be written to /dev/null/run", "--out"]);
    cli(&["frobnicate"]).has(2, &["frobnicate"]);
    cli(&[]).has(2, &["Usage", "doctor", "explain"]);
    cli(&["--version"]).has(0, &[env!("CARGO_PKG_VERSION")]);
}

#[test]
fn mistakes_in_the_target_file_are_told_with_line_and_nearest_key() {
    let dir = tempfile::tempdir().unwrap();
    let run = |text: &str| {
        std::fs::write(dir.path().join("t.toml"), text).unwrap();
        cli_in(dir.path(), &["run", "--target", "t.toml", "--browser", "form"])
    };
    run("[idp]\nissuer = \"https://op.example\"\nclient = 1\n")
        .has(2, &["t.toml:3: unknown key `client`", "Did you mean `clients`"]);
    run("[idp]\nissuer = 5\n").has(2, &["t.toml:2", "expected a string"]);
    run("[idp]\nissuer = \"http://op.example\"\n").has(2, &["is not an https URL"]);
    run("[idp]\nissuer = \"https://op.example\"\n[[idp.users]]\nname = \"a\"\npassword = \"env:IPSIE_NOT_SET\"\n")
        .has(2, &["IPSIE_NOT_SET is not set"]);
    let told = run("[idp]\nissuer = \"https://op.example\"\n[[idp.users]]\nname = \"a\"\npassword = \"hunter22\"\n");
    told.has(2, &["never as its value"]);
    assert!(!told.all().contains("hunter22"));
    for line in ["passwrd = \"hunter22\"", "password = 22334455", "password = \"hunter22"] {
        let told = run(&format!("[idp]\nissuer = \"https://op.example\"\n[[idp.users]]\nname = \"a\"\n{line}\n"));
        told.has(2, &["t.toml:5"]);
        assert!(!told.all().contains("hunter22") && !told.all().contains("22334455"), "{}", told.all());
    }
    run("[idp]\nissuer = \"https://op.example\"\n[attest.\"sl1.idp.federation-hint\"]\nstatement=\"so\"\nby=\" \"\ndate=\"2026-01-01\"\n")
        .has(2, &["`statement` and `by` must say something"]);
    assert!(!dir.path().join("reports").exists(), "nothing is written for a wrong file");
}

#[test]
fn list_shows_what_there_is_and_filters() {
    cli(&["list", "levels"]).has(0, &["SL1    -", "idp"]);
    cli(&["list", "editions"]).has(0, &["2026-02-05  default"]);
    cli(&["list", "requirements", "--role", "idp"]).has(0, &["sl1.idp.mfa"]);
    cli(&["list", "scenarios"]).has(0, &["idp-sso/pkce", "idp-expiry"]);
    cli(&["list", "bindings"]).has(0, &["oidc", "op-commands", "backchannel-logout", "token-revocation", "ssf-caep"]);
    cli(&["list", "needs"]).has(0, &["admin-hook:disable-user", "hooks.disable-user"]);
    let needs = cli(&["list", "needs", "--role", "app"]);
    needs.has(
        0,
        &["app.protected_url", "app.login.steps", "app.identity", "app.second", "app.tokens", "commands.command_endpoint"],
    );
    assert!(!needs.out.contains("idp."), "{}", needs.out);
    let app: serde_json::Value = serde_json::from_str(&cli(&["list", "clauses", "--role", "app", "--json"]).out).unwrap();
    assert_eq!(app.as_array().unwrap().len(), 273);
    let pkce = cli(&["list", "clauses", "--role", "idp", "--clause", "*pkce*"]);
    assert_eq!(pkce.out.lines().count(), 4, "{}", pkce.out);
    assert!(pkce.out.contains("sl1.idp.pkce-required          MUST      adversarial  -     An authorization"), "{}", pkce.out);
    assert!(!cli(&["list", "clauses", "--fast"]).out.contains("code-lifetime-60"));
    cli(&["list", "clauses", "--binding", "odic"]).has(2, &["Did you mean `oidc`"]);
    let all: serde_json::Value = serde_json::from_str(&cli(&["list", "clauses", "--role", "idp", "--json"]).out).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 183);
    assert_eq!(all[0]["scenario"], "idp-probe/metadata");
}

#[test]
fn lists_fit_the_width_they_are_given_and_one_row_is_one_line_in_a_pipe() {
    let dir = std::env::temp_dir();
    let narrow = said(command(&dir, &["list", "clauses"]).env("COLUMNS", "90"));
    assert!(narrow.out.lines().all(|line| line.chars().count() <= 90));
    assert_eq!(cli(&["list", "clauses", "--role", "idp"]).out.lines().count(), 184);
}

#[test]
fn explain_says_what_is_demanded_how_it_is_tested_and_what_to_do() {
    cli(&["explain", "pkce-required"]).has(
        0,
        &[
            "sl1.idp.pkce-required  (MUST, SL1 Identity Service)",
            "RFC 7636",
            "scenario idp-sso/pkce",
            "  1. ",
            "Passes\n",
            "Fails\n",
            "Usual remedy\n",
            "login: idp.clients.main, idp.users",
        ],
    );
    cli(&["explain", "sl2.app.reauth-before-page@backchannel-logout"])
        .has(0, &["scenario app-command/backchannel-logout", "app.protected_url", "target.bindings"]);
    let told = cli(&["explain", "sl1.app.id-token-none-refused"]);
    told.has(0, &["REFUSED: the response was delivered"]);
    assert!(!told.all().contains("idp."), "{}", told.all());
    cli(&["explain", "sl1.idp.sub-never-reassigned"]).has(0, &["attest.\"sl1.idp.sub-never-reassigned\""]);
    cli(&["explain", "sl1.idp.pkce-requird"]).has(2, &["is no known clause", "`sl1.idp.pkce-required`"]);
    let two: serde_json::Value =
        serde_json::from_str(&cli(&["explain", "pkce-required", "code-lifetime-60", "--json"]).out).unwrap();
    assert_eq!(two[1]["id"], "sl1.idp.code-lifetime-60");
    assert_eq!(two[0]["keys"][0]["keys"][0], "idp.clients.main");
}

#[test]
fn completions_and_manual_pages_are_there() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        cli(&["completions", shell]).has(0, &["ipsie-conform", "explain"]);
    }
    cli(&["man"]).has(0, &[".TH", "ipsie\\-conform"]);
    let dir = tempfile::tempdir().unwrap();
    cli_in(dir.path(), &["man", "--dir", "man"]).has(0, &["man"]);
    for page in ["ipsie-conform.1", "ipsie-conform-run.1", "ipsie-conform-report-diff.1", "ipsie-conform-serve-idp.1"] {
        assert!(std::fs::metadata(dir.path().join("man").join(page)).unwrap().len() > 200, "{page}");
    }
}

#[test]
fn nothing_is_coloured_in_a_pipe() {
    let dir = std::env::temp_dir();
    for args in
        [&["list", "levels"][..], &["explain", "pkce-required"], &["explain", "nothing-like-it"], &["--help"], &["run", "--x"]]
    {
        assert!(!cli(args).all().contains('\u{1b}'), "{args:?}");
        assert!(!said(command(&dir, args).env("NO_COLOR", "1")).all().contains('\u{1b}'), "{args:?}");
    }
}
