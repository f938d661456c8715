//! Command endpoints that misbehave.

use std::net::TcpListener;

use hyper::Response;
use hyper::body::Bytes;
use ipsie_conform::stage::async_server::AsyncServer;
use ipsie_conform::stage::listener::TestCa;

use super::support::{Ran, ended, folder_with, some_at_a_time, start};

const SCENARIOS: [&str; 6] =
    ["--scenario", "command-accounts/states", "--scenario", "command-accounts/forgery", "--scenario", "command-accounts/profile"];

async fn run(endpoint: &str) -> Ran {
    let dir = folder_with(&format!(
        "[target]\nname = \"faulty\"\nroles = [\"app\"]\nbindings = [\"op-commands\"]\n[network]\ntimeout_s = 2\n\
         [counterpart]\nca = \"file:ca.pem\"\nca_key = \"file:ca.key\"\n\
         [app]\nprotected_url = \"http://127.0.0.1:9/p\"\nclient_id = \"c\"\nclient_secret = \"file:token\"\n[commands]\ncommand_endpoint = \"{endpoint}\"\n"
    ));
    let ca = TestCa::new("authority of the suite").unwrap();
    std::fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(dir.path().join("ca.key"), ca.key_pem()).unwrap();
    ended(start(dir.path(), &SCENARIOS), dir.path()).await
}

enum Manner {
    Say(u16, &'static str, &'static str),
    /// Answers a GET, and no command.
    Hang,
}

async fn served(manner: &'static Manner) -> (Ran, AsyncServer) {
    let server = AsyncServer::start("127.0.0.1:0", move |request| {
        Box::pin(async move {
            match manner {
                Manner::Hang if request.method() != "GET" => std::future::pending().await,
                Manner::Hang => Response::new(Bytes::new()),
                Manner::Say(status, media_type, body) => {
                    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
                    *response.status_mut() = (*status).try_into().unwrap();
                    response.headers_mut().insert("content-type", media_type.parse().unwrap());
                    response
                }
            }
        })
    })
    .await
    .unwrap();
    (run(&format!("http://{}/commands", server.addr)).await, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_endpoint_stops_the_run() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = run(&format!("http://{free}/commands")).await;
    ran.is_orderly("dead", &[4]);
    ran.says(&["the command endpoint could not be reached", "refused", "commands.command_endpoint"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_none_passes_nothing() {
    static CASES: [(&str, Manner); 6] = [
        ("hangs", Manner::Hang),
        ("200 to everything", Manner::Say(200, "application/json", "{}")),
        ("HTML", Manner::Say(200, "text/html", "<h1>Welcome</h1>")),
        ("garbage", Manner::Say(200, "application/json", "\u{1}\u{2}[[[[")),
        ("500", Manner::Say(500, "text/plain", "oops")),
        ("429", Manner::Say(429, "text/plain", "slow down")),
    ];
    let ran = some_at_a_time(CASES.iter().map(|(_, manner)| served(manner))).await;
    for ((name, _), (ran, _server)) in CASES.iter().zip(ran) {
        ran.is_orderly(name, &[1, 3]);
        eprintln!("   failed: {:#?}", ran.failed());
        assert_eq!(ran.with("pass"), [""; 0], "{name}");
        if ["hangs", "429"].contains(name) {
            assert_eq!(ran.with("fail"), [""; 0], "{name}");
        }
    }
}
