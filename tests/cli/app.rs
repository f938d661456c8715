//! Runs against an application, as separate processes.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use ipsie_conform::stage::listener::TestCa;

use super::support::{cli_in, command};

/// A port with two free ones behind it.
fn three_ports() -> u16 {
    (0..100)
        .find_map(|_| {
            let first = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let free = (first..first.checked_add(3)?).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
            free.then_some(first)
        })
        .unwrap()
}

fn write_target(dir: &Path, app: SocketAddr, port: u16) {
    let ca = TestCa::new("authority of the suite's provider").unwrap();
    std::fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(dir.join("ca.key"), ca.key_pem()).unwrap();
    let target = format!(
        "[target]\nroles = [\"app\"]\n[network]\ntimeout_s = 8\n[network.resolve]\n\"app.hostile.test\" = \"{app}\"\n\
         [counterpart]\nissuer = \"https://localhost:{port}\"\nop_listen = \"127.0.0.1:{port}\"\nca = \"file:ca.pem\"\nca_key = \"file:ca.key\"\n\
         [app]\nprotected_url = \"https://app.hostile.test/\"\nclient_id = \"a\"\nauth = \"none\"\n"
    );
    std::fs::write(dir.join("t.toml"), target).unwrap();
}

const RUN: [&str; 6] = ["run", "--target", "t.toml", "--browser", "form", "--fast"];

#[test]
fn a_second_run_against_the_same_application_is_told_to_wait() {
    let dir = tempfile::tempdir().unwrap();
    // It accepts connections and says nothing, so that the first run is still there when the second one comes.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = three_ports();
    write_target(dir.path(), silent.local_addr().unwrap(), port);
    let mut first = command(dir.path(), &RUN).spawn().unwrap();
    let clock = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() && clock.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let second = cli_in(dir.path(), &RUN);
    second.has(
        4,
        &[&format!("127.0.0.1:{port}"), "Another run may be testing this application: wait until it has ended", "op_listen"],
    );
    assert_eq!(first.wait().unwrap().code(), Some(4));
    // Nobody holds the address any more.
    let third = cli_in(dir.path(), &RUN);
    third.has(4, &["could not be reached at https://app.hostile.test/", "doctor"]);
}

#[test]
fn an_application_that_is_down_is_told_before_the_first_scenario() {
    let dir = tempfile::tempdir().unwrap();
    // A port that nobody, not even the run itself, is given by the system.
    let closed = "127.0.0.1:1".parse().unwrap();
    write_target(dir.path(), closed, three_ports());
    cli_in(dir.path(), &RUN)
        .has(4, &["could not be reached at https://app.hostile.test/", "refused", "app.protected_url", "doctor"]);
}

#[test]
fn mistakes_in_the_table_of_the_application_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let run = |app: &str| {
        let text = format!(
            "[target]\nroles = [\"app\"]\n[app]\nprotected_url = \"https://app.example/\"\nclient_id = \"a\"\nauth = \"none\"\n{app}"
        );
        std::fs::write(dir.path().join("t.toml"), text).unwrap();
        cli_in(dir.path(), &RUN)
    };
    run("login.steps = [{ click = { at = \"#go\" } }, { fill = { at = \"#p\", with = \"{password}\" } }]\n").has(
        2,
        &["t.toml:7", "app.login.steps: `{password}` belongs to a login at a provider", "{username} is the email address"],
    );
    run("login.steps = [{ clik = { at = \"#go\" } }]\n").has(2, &["t.toml:7", "unknown value `clik`", "click"]);
    run("").has(2, &["counterpart.ca is not configured", "init"]);
}
