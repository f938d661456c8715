//! Accounts: service providers, provisioning, and what an operator writes about them.

use ipsie_conform::catalogue::Catalogue;
use ipsie_conform::stage::journal::{Entry, Journal};
use ipsie_conform::target_file::load;

use super::support::{Served, cli, cli_in, command, json, said};

const SCIM: &str = "https://api.app.ipsie-conform-target.test/scim/v2";
const RUN: [&str; 5] = ["run", "--target", "mine/t.toml", "--out", "run"];
const DOCTOR: [&str; 3] = ["doctor", "--target", "mine/t.toml"];

fn init(served: &Served, more: &[&str]) -> Vec<String> {
    let resolve = format!("api.app.ipsie-conform-target.test={}", served.line("listens"));
    let usual = ["init", "--scim", SCIM, "--out", "mine/t.toml", "--force", "--ca-file", "op/ca.pem", "--resolve", &resolve];
    usual.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

fn with_token(served: &Served, args: &[String]) -> super::support::Said {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    said(command(served.home(), &args).env("IPSIE_SCIM_TOKEN", served.read("scim-token")))
}

fn words(args: &[&str]) -> Vec<String> {
    args.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn init_asks_a_service_provider_and_writes_a_file_that_runs() {
    let served = Served::peer("scim-server", &["--static-token"]);
    with_token(&served, &init(&served, &["--level", "AL2"])).has(
        0,
        &["supports patch, filter", "/Users with", "authorization server", "env:IPSIE_SCIM_TOKEN", "doctor --target mine/t.toml"],
    );
    let text = std::fs::read_to_string(served.home().join("mine/t.toml")).unwrap();
    for line in [
        "levels = [\"AL2\"]",
        "bindings = [\"scim\"]",
        "auth = \"bearer\"",
        "# roles_exposed = [\"roles-resource\", \"schema-values\"]",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    assert!(!text.contains(&served.read("scim-token")));
    cli_in(served.home(), &RUN).has(2, &["t.toml:", "scim.token: the environment variable IPSIE_SCIM_TOKEN is not set"]);
    let doctor = with_token(&served, &words(&DOCTOR));
    doctor.has(
        0,
        &[
            "the token is accepted",
            "supports patch",
            "clock: agrees",
            "clauses are tested; others are not, because",
            "provisioning alone",
        ],
    );
    let wrong = said(command(served.home(), &DOCTOR).env("IPSIE_SCIM_TOKEN", "another"));
    wrong.has(4, &["the token is refused (status 401)", "Mend scim.token"]);
    // What is not configured is not run, and the token that never ends is the only failure.
    with_token(&served, &words(&RUN)).has(1, &["NON-CONFORMANT", "al1.app.expired-token"]);
    let report = json(&served.home().join("run/report.json"));
    let rows = report["clauses"].as_array().unwrap();
    let failed: Vec<_> = rows.iter().filter(|row| row["verdict"] == "fail").map(|row| row["id"].clone()).collect();
    assert_eq!(failed, ["al1.app.expired-token"], "{failed:?}");
    assert!(rows.iter().filter(|row| row["verdict"] == "pass").count() > 40);
}

#[test]
fn init_without_a_token_prefers_signed_jwts_and_says_what_was_not_read() {
    let served = Served::peer("scim-server", &[]);
    let args = init(&served, &[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    cli_in(served.home(), &args)
        .has(0, &["/Schemas was not read: status 401", "Set IPSIE_SCIM_TOKEN", "Register the client ipsie-conform"]);
    // The client is not registered there: that is no failure of the application.
    cli_in(served.home(), &DOCTOR).has(4, &["gives no token to ipsie-conform", "Register the suite's public keys"]);
    cli_in(served.home(), &RUN).has(3, &["may not be registered", "INCOMPLETE"]);
    // As the peer knows the suite.
    let doctor = cli_in(served.home(), &["doctor", "--target", "op/target.toml"]);
    doctor.has(0, &["gives tokens to provisioning-first", "the token is accepted", "roles are listed"]);
    assert!(!doctor.all().contains("--sweep"));
    // A killed run of the same file leaves its list.
    let loaded = load(&served.home().join("op/target.toml"), &Catalogue::embedded().unwrap()).unwrap();
    let path = Journal::path(&served.home().join("reports"), &loaded.target);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    Journal::new(Some(path)).add(&Entry::Scim { place: "/Users".into(), id: "1".into(), name: "a".into(), second: false });
    cli_in(served.home(), &["doctor", "--target", "op/target.toml"]).has(0, &["left 1 thing", "run --sweep"]);
}

#[test]
fn a_defect_of_the_scim_server_is_caught_and_others_belong_to_other_peers() {
    let served = Served::peer("scim-server", &["--static-token", "--defect", "deactivate-patch-no-path"]);
    assert_eq!(served.line("defects"), "al1.app.deactivate-patch-no-path");
    let run = ["run", "--level", "AL1", "--target", "op/target.toml", "--scenario", "scim-suspend", "--out", "run"];
    cli_in(served.home(), &run).has(1, &["al1.app.deactivate-patch-no-path", "What to fix first"]);
    cli_in(served.home(), &["explain", "deactivate-patch-no-path", "--report", "run"]).has(0, &["Usual remedy", "Okta"]);
    cli(&["serve", "scim-server", "--defect", "session-ends"]).has(2, &["alone cannot show", "serve app"]);
    cli(&["serve", "scim-server", "--defect", "al1.app.session-end"]).has(2, &["Did you mean"]);
}

#[test]
fn the_served_application_needs_no_further_configuration() {
    let served = Served::peer("app", &[]);
    assert!(served.told.contains("account commands"));
    let run = ["run", "--level", "AL3", "--target", "op/target.toml", "--browser", "form", "--out", "run"];
    let some = ["--scenario", "scim-suspend", "--scenario", "account-roles"];
    let told = cli_in(served.home(), &[&run[..], &some].concat());
    assert!([0, 3].contains(&told.code), "{}", told.all());
    let report = json(&served.home().join("run/report.json"));
    let bad = ["fail", "inconclusive"];
    let rows = report["clauses"].as_array().unwrap();
    assert!(rows.iter().all(|row| !bad.contains(&row["verdict"].as_str().unwrap())), "{rows:?}");
    let doctor = cli_in(served.home(), &["doctor", "--target", "op/target.toml", "--browser", "form"]);
    doctor.has(0, &["the metadata command is answered; supported: metadata", "gives tokens to provisioning-first"]);
}

#[test]
fn the_served_identity_service_provisions_into_the_suite() {
    let served = Served::peer("idp", &[]);
    assert_eq!(served.line("provisions"), "into the suite while a run lasts");
    let run =
        ["run", "--level", "AL2", "--target", "op/target.toml", "--clause", "al2.idp.creates-before-signin", "--browser", "form"];
    let told = cli_in(served.home(), &run);
    assert!([0, 3].contains(&told.code) && told.all().contains("1 pass"), "{}", told.all());
    cli(&["serve", "idp", "--scim", "https://app.example/scim"]).has(2, &["--scim-token"]);
    cli(&["serve", "idp", "--scim", "app.example", "--scim-token", "env:PATH"]).has(2, &["--scim `app.example` is not a URL"]);
    let unset = ["serve", "idp", "--scim", "https://app.example/scim", "--scim-token", "env:IPSIE_NOT_SET"];
    cli(&unset).has(2, &["IPSIE_NOT_SET is not set"]);
}

#[test]
fn an_identity_service_of_an_account_level_gets_a_server_to_provision_into() {
    let served = Served::start(&[]);
    let at = |host: &str| format!("{host}={}", served.line("listens"));
    let (main, api) = (at("idp.ipsie-conform.test"), at("api.idp.ipsie-conform.test"));
    let args = [
        "init",
        "https://idp.ipsie-conform.test",
        "--level",
        "AL1",
        "--out",
        "mine/t.toml",
        "--ca-file",
        "op/ca.pem",
        "--resolve",
        &main,
        "--resolve",
        &api,
    ];
    cli_in(served.home(), &args)
        .has(0, &["Provisioning, for AL1 to AL3", "https://scim.ipsie-conform.test:8446/scim/v2", "create-user"]);
    let file = served.home().join("mine/t.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("[provisioning]\n") && text.contains("# [hooks.map-role]"), "{text}");
    // The port may be somebody else's on this computer.
    std::fs::write(file, text.replace("\"127.0.0.1:8446\"", "\"127.0.0.1:0\"")).unwrap();
    let mut doctor = command(served.home(), &[&DOCTOR[..], &["--no-login", "--browser", "form"]].concat());
    for name in ["IPSIE_USER_1_PASSWORD", "IPSIE_USER_1_TOTP", "IPSIE_USER_2_PASSWORD", "IPSIE_USER_2_TOTP"] {
        doctor.env(name, "JBSWY3DPEHPK3PXP");
    }
    said(&mut doctor).has(0, &["SCIM server of the suite", "its authority can be used", "hooks.disable-user is not configured"]);
}

#[test]
fn wrong_arguments_of_init_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let cli = |args: &[&str]| cli_in(dir.path(), args);
    cli(&["init"]).has(2, &["<URL>"]);
    cli(&["init", "--scim", "app.example"]).has(2, &["is not a URL", "/Users"]);
    cli(&["init", "--scim", SCIM, "--role", "idp"]).has(2, &["--level AL1"]);
    cli(&["init", "--scim", SCIM, "--scim-token", "hunter22"]).has(2, &["env:NAME or file:PATH"]);
    cli(&["init", "--scim", "https://127.0.0.1:1/scim", "--out", "never.toml"]).has(4, &["could not be reached", "--resolve"]);
    cli(&["init", "--scim", SCIM, "--level", "AL9"]).has(2, &["AL9"]);
}

#[test]
fn mistakes_in_the_tables_about_accounts_are_told_with_place_and_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let run = |text: &str| {
        std::fs::write(dir.path().join("t.toml"), format!("[target]\nroles = [\"app\"]\nlevels = [\"AL1\"]\n{text}")).unwrap();
        cli_in(dir.path(), &["run", "--target", "t.toml"])
    };
    run("[scim]\nbase_urll = \"\"\n").has(2, &["t.toml:5", "unknown key `base_urll`", "Did you mean `base_url`"]);
    run("[scim]\nbase_url = \"http://app.example/scim\"\n").has(2, &["t.toml:5", "scim.base_url", "/Users"]);
    run("[scim]\nbase_url = \"https://app.example/scim\"\ntoken = \"env:IPSIE_NOT_SET\"\n")
        .has(2, &["t.toml:6", "IPSIE_NOT_SET"]);
    run("[provisioning]\nauth = \"none\"\n").has(2, &["t.toml:5", "unknown value `none`", "bearer"]);
    run("[lifecycle]\ncycle_s = \"fast\"\n").has(2, &["t.toml:5", "expected u64"]);
    run("[accounts.surface.sign-up]\nurl = \"https://app.example\"\n").has(2, &["t.toml:4", "Did you mean `signup`"]);
    run("[commands]\ncommand_endpoint = \"commands\"\n").has(2, &["t.toml:5", "commands.command_endpoint"]);
    assert!(!dir.path().join("reports").exists(), "nothing is written for a wrong file");
}
