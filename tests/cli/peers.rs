//! With the reference identity service of another process: init, doctor, run, secrets, interruption.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::support::{Served, cli, cli_in, command, files_below, json, said};

const FORM: [&str; 6] = ["run", "--target", "op/target.toml", "--fast", "--browser", "form"];

#[test]
fn a_run_against_a_served_peer_leaves_no_secret_behind() {
    let served = Served::start(&[]);
    let run = cli_in(served.home(), &[&FORM[..], &["--out", "run"]].concat());
    assert!([0, 3].contains(&run.code), "{}", run.all());
    assert_eq!(json(&served.home().join("run/report.json"))["target"]["embedded"], false);

    let mut secrets: Vec<String> =
        ["alice-password", "alice-totp", "bob-password", "bob-totp", "hook-token"].map(|name| served.read(name)).into();
    let keys = json(&served.file("ipsie-conform.keys.json"));
    for key in keys["keys"].as_array().unwrap() {
        let pem = key["pkcs8"].as_str().unwrap();
        secrets.push(pem.lines().nth(1).unwrap().to_owned());
    }
    let files = files_below(&served.home().join("run"));
    assert!(files.len() >= 5);
    for file in files {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{} holds a secret", file.display());
        }
        for sign in ["code=", "access_token=", "refresh_token=", "client_assertion=", "password="] {
            for (at, _) in text.match_indices(sign) {
                let (before, value) = (&text[..at], &text[at + sign.len()..]);
                let is_parameter = before.ends_with(['?', '&']);
                // Values the suite made up to see them refused may stand: the reference service gives none shorter than 20 characters.
                let value: String = value.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
                assert!(!is_parameter || value.len() < 20, "{}: {sign}{value}", file.display());
            }
        }
        // A JWT ends in its signature.
        let jwt = text.match_indices("eyJ").find(|(at, _)| {
            let token: &str = text[*at..].split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).next().unwrap_or("");
            token.matches('.').count() >= 2 && token.len() > 100
        });
        assert!(jwt.is_none(), "{} holds a whole JWT", file.display());
    }
}

#[test]
fn a_wrong_password_is_typed_once_and_told_with_the_remedy() {
    let served = Served::start(&[]);
    std::fs::write(served.file("alice-password"), "not-the-password").unwrap();
    let run = cli_in(served.home(), &[&FORM[..], &["--out", "run"]].concat());
    run.has(3, &["did not accept the password of alice", "accounts get locked", "Mend the credentials of idp.users"]);
    let har = json(&served.home().join("run/exchanges.har"));
    let typed = har["log"]["entries"].as_array().unwrap().iter().filter(|entry| {
        let body = entry["request"]["postData"]["text"].as_str().unwrap_or_default();
        entry["request"]["url"].as_str().unwrap().ends_with("/login")
            && body.contains("username=alice")
            && body.contains("password=")
    });
    assert_eq!(typed.count(), 1);
    cli_in(served.home(), &["doctor", "--target", "op/target.toml", "--browser", "form"])
        .has(4, &["problem  login: the service did not accept the password of alice", "remedy: Mend"]);
}

#[test]
fn a_login_that_never_ends_is_given_up_in_time() {
    let served = Served::start(&[]);
    let text = served.read("target.toml");
    let text = text.replace("login_timeout_s = 60", "login_timeout_s = 5").replace("timeout_s = 15", "timeout_s = 2");
    let text = text.replace("steps = []", "steps = [{ wait-for = { at = \"#never-there\" } }]");
    std::fs::write(served.file("target.toml"), text).unwrap();
    let clock = std::time::Instant::now();
    let run = cli_in(served.home(), &[&FORM[..], &["--out", "run"]].concat());
    run.has(3, &["#never-there", "Faults", "hint:", "INCOMPLETE"]);
    assert!(clock.elapsed().as_secs() < 60, "{:?}", clock.elapsed());
    let report = json(&served.home().join("run/report.json"));
    let failed: Vec<_> = report["clauses"].as_array().unwrap().iter().filter(|row| row["verdict"] == "fail").collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn doctor_finds_everything_in_order() {
    let served = Served::start(&[]);
    cli_in(served.home(), &["doctor", "--target", "op/target.toml", "--browser", "form"])
        .has(0, &["certificate verified", "clock: agrees", "alice signed in", "Everything is in order."]);
    cli_in(served.home(), &["doctor", "--target", "op/target.toml", "--browser", "form", "--no-login"]).has(0, &["(--no-login)"]);
    let text = served.read("target.toml").replace("[counterpart]", "[counterpart]\nlistn = 1");
    std::fs::write(served.file("wrong.toml"), text).unwrap();
    cli_in(served.home(), &["doctor", "--target", "op/wrong.toml"]).has(2, &["unknown key `listn`", "listen"]);
}

#[test]
fn init_writes_a_file_that_loads_and_prints_what_to_register() {
    let served = Served::start(&[]);
    let resolve =
        ["idp.ipsie-conform.test", "api.idp.ipsie-conform.test"].map(|host| format!("{host}={}", served.line("listens")));
    let args = [
        "init",
        "https://idp.ipsie-conform.test",
        "--out",
        "mine/t.toml",
        "--ca-file",
        "op/ca.pem",
        "--resolve",
        &resolve[0],
        "--resolve",
        &resolve[1],
    ];
    cli_in(served.home(), &args).has(
        0,
        &[
            "https://rp.ipsie-conform.test/cb/a",
            "https://rp.second-sector.test/cb/pairwise",
            "private_key_jwt",
            "ES256 (id_token_signed_response_alg)",
            "RSA-OAEP-256",
            "{\"keys\":[{",
            "Nothing is missing.",
            "ipsie-conform doctor --target mine/t.toml",
        ],
    );
    let keys = std::fs::read(served.home().join("mine/ipsie-conform.keys.json")).unwrap();
    let jwks = std::fs::read_to_string(served.home().join("mine/ipsie-conform.jwks.json")).unwrap();
    assert!(!jwks.contains("\"d\""));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(served.home().join("mine/ipsie-conform.keys.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    cli_in(served.home(), &args).has(2, &["is there already", "--force"]);
    cli_in(served.home(), &[&args[..], &["--force"]].concat()).has(0, &["was there, kept"]);
    assert_eq!(std::fs::read(served.home().join("mine/ipsie-conform.keys.json")).unwrap(), keys);

    let doctor = ["doctor", "--target", "mine/t.toml", "--browser", "form", "--no-login"];
    cli_in(served.home(), &doctor).has(2, &["IPSIE_USER_1_PASSWORD is not set"]);
    let mut with_secrets = command(served.home(), &doctor);
    for user in ["1", "2"] {
        with_secrets
            .env(format!("IPSIE_USER_{user}_PASSWORD"), "secret")
            .env(format!("IPSIE_USER_{user}_TOTP"), "JBSWY3DPEHPK3PXP");
    }
    said(&mut with_secrets).has(0, &["keys known, every secret is there, 2 users"]);
}

#[test]
fn init_hints_at_what_the_metadata_lacks() {
    let served = Served::start(&["--defect", "recommended-alg-offered", "--defect", "metadata-agrees"]);
    assert!(served.told.contains("sl1.idp.recommended-alg-offered, sl1.idp.metadata-agrees"), "{}", served.told);
    let resolve = format!("idp.ipsie-conform.test={}", served.line("listens"));
    cli_in(served.home(), &["init", "https://idp.ipsie-conform.test", "--ca-file", "op/ca.pem", "--resolve", &resolve])
        .has(0, &["does not hold S256 (it says plain)", "(it says RS256)"]);
    let run = [&FORM[..], &["--clause", "recommended-alg-offered", "--out", "run"]].concat();
    cli_in(served.home(), &run).has(1, &["sl1.idp.recommended-alg-offered"]);
    cli_in(served.home(), &["explain", "recommended-alg-offered", "--report", "run"])
        .has(0, &["FAIL, by idp-probe/metadata", "the verdict rests on this one", "\"RS256\""]);
}

#[test]
fn serve_refuses_defects_that_do_not_exist() {
    cli(&["serve", "idp", "--defect", "pkce-requird"]).has(2, &["Did you mean `sl1.idp.pkce-required`"]);
    cli(&["serve", "idp", "--defect", "sub-never-reassigned"]).has(2, &["a statement of the operator decides it"]);
    cli(&["serve", "idp", "--listen", "256.0.0.1:0"]).has(4, &["cannot listen", "--listen"]);
}

#[test]
fn without_a_browser_the_way_out_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = command(dir.path(), &["run", "--fast", "--browser", "chrome"]);
    said(run.env("CHROME", "/nonexistent").env("PATH", "")).has(4, &["no Chrome or Chromium found", "--browser form"]);
    let mut doctor = command(dir.path(), &["doctor", "--browser", "chrome"]);
    said(doctor.env("CHROME", "/nonexistent").env("PATH", "")).has(4, &["no Chrome", "remedy"]);
    let mut doctor = command(dir.path(), &["doctor"]);
    said(doctor.env("CHROME", "/nonexistent").env("PATH", "")).has(0, &["the form agent signs in"]);
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_reports_what_it_found() {
    for signal in ["-INT", "-TERM"] {
        interrupted_by(signal);
    }
}

#[cfg(unix)]
fn interrupted_by(signal: &str) {
    let dir = tempfile::tempdir().unwrap();
    let args = ["run", "--browser", "form", "--out", "run"];
    let mut child = command(dir.path(), &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut rest = lines.map_while(Result::ok);
    // Something has been decided, and the code's lifetime is still being waited for.
    let seen = rest.by_ref().find(|line| line.contains("end   idp-probe/metadata"));
    assert!(seen.is_some());
    let killed = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let _: Vec<String> = rest.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let report = json(&dir.path().join("run/report.json"));
    assert_eq!(report["run"]["interrupted"], true);
    assert!(report["clauses"].as_array().unwrap().iter().any(|row| row["verdict"] == "pass"));
    cli(&["recheck", dir.path().join("run").to_str().unwrap()]).has(3, &["0 changed"]);
}
