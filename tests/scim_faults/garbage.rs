//! Servers that are none, from the beginning or from some point on.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::server::{Asked, Does, Faulty};
use super::support::{ended, folder, is_clean, run, some_at_a_time, start};

/// After so many requests most scenarios are at work.
const LATER: usize = 60;

fn say(status: u16, media_type: &'static str, body: impl Into<Vec<u8>>) -> Does {
    Does::Say(status, media_type, body.into())
}

fn nested() -> Vec<u8> {
    let mut body = b"{\"Resources\": ".to_vec();
    body.extend(std::iter::repeat_n(b'[', 100_000));
    body
}

type Manner = fn() -> Does;

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_works_the_run_stops_and_says_why() {
    let cases: &[(&str, Manner, &[&str])] = &[
        ("401", || say(401, "application/scim+json", "{}"), &["scim.token", "401"]),
        ("302", || Does::To("/scim/v2/Users".into()), &["redirect to `/scim/v2/Users`", "scim.base_url"]),
        ("404", || say(404, "text/html", "<h1>nothing here</h1>"), &["scim.base_url", "404"]),
        ("500", || say(500, "text/plain", "oops"), &["status 500", "scim.base_url"]),
        ("HTML", || say(200, "text/html", "<h1>Welcome</h1>"), &["no JSON object (`text/html`)", "scim.base_url"]),
        ("204", || say(204, "text/plain", ""), &["status 204", "no JSON object"]),
        ("no UTF-8", || say(200, "application/scim+json", [0xff, 0xfe, 0x80].repeat(100)), &["no JSON object"]),
        ("brackets", || say(200, "application/scim+json", nested()), &["no JSON object"]),
        ("429", || say(429, "text/plain", "slow down"), &["limits the rate", "network.rate"]),
        ("closes", || Does::Drop, &["could not be reached"]),
        ("hangs", || Does::Hang, &["could not be reached", "longer than 2 s"]),
    ];
    let ran = some_at_a_time(cases.iter().map(|(_, does, _)| async move {
        let faulty = Faulty::start(move |_| does()).await;
        (run(&faulty, &[]).await, faulty)
    }))
    .await;
    for ((name, _, texts), (ran, faulty)) in cases.iter().zip(ran) {
        ran.is_orderly(name, &[4]);
        ran.says(texts);
        is_clean(name, &faulty);
    }
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/scim+json\r\ntransfer-encoding: chunked\r\n\r\n";

fn raw(answer: fn(&mut TcpStream) -> std::io::Result<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/scim/v2", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head);
                let _ = answer(&mut stream);
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_speak_http_or_never_ends_is_left() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cases: &[(&str, String, &[&str])] = &[
        ("down", format!("http://{free}/scim/v2"), &["could not be reached", "refused"]),
        ("no HTTP", raw(|stream| stream.write_all(&[0x80, 0x00, 0xff, 0x15, 0x0a].repeat(400))), &["could not be reached"]),
        (
            "drips",
            raw(|stream| {
                stream.write_all(HEAD)?;
                loop {
                    stream.write_all(b"1\r\n{\r\n")?;
                    std::thread::sleep(Duration::from_millis(300));
                }
            }),
            &["time limit"],
        ),
        (
            "never ends",
            raw(|stream| {
                stream.write_all(HEAD)?;
                let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
                loop {
                    stream.write_all(&chunk)?;
                }
            }),
            &["larger than"],
        ),
        (
            "promises a gigabyte",
            raw(|stream| {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/scim+json\r\ncontent-length: 1073741824\r\n\r\n")?;
                loop {
                    stream.write_all(&[b'['; 0x10000])?;
                }
            }),
            &["larger than"],
        ),
        (
            "compresses without being asked",
            raw(|stream| {
                let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/scim+json\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n";
                stream.write_all(&[head.as_slice(), &[0x1f, 0x8b, 8, 0]].concat())
            }),
            &["no JSON object"],
        ),
    ];
    let ran = some_at_a_time(cases.iter().map(|(_, url, _)| async move {
        let dir = folder(url);
        ended(start(dir.path(), &[]), dir.path()).await
    }))
    .await;
    for ((name, _, texts), ran) in cases.iter().zip(ran) {
        ran.is_orderly(name, &[4]);
        ran.says(texts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_yes_to_everything_passes_nothing() {
    let cases: &[(&str, &str)] = &[
        ("an empty object", "{}"),
        (
            "an empty list",
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"Resources":[]}"#,
        ),
        (
            "one user",
            r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"1","userName":"boss@corp.test","active":true,"meta":{"resourceType":"User"}}"#,
        ),
        ("an id alone", r#"{"id":"1","id":"2","active":false}"#),
    ];
    let ran = some_at_a_time(cases.iter().map(|(_, body)| async move {
        let faulty = Faulty::start(move |_| say(200, "application/scim+json", *body)).await;
        (run(&faulty, &[]).await, faulty)
    }))
    .await;
    for ((name, _), (ran, faulty)) in cases.iter().zip(ran) {
        ran.is_orderly(name, &[1]);
        assert_eq!(ran.with("pass"), [""; 0], "{name}");
        let failed = ran.with("fail");
        for clause in ["al1.app.no-token-401", "al1.app.bad-token-401"] {
            assert!(failed.iter().any(|id| id == clause), "{name}: {clause}");
        }
        eprintln!("   {:#?}", ran.failed());
        assert!(faulty.asked() < 300, "{name}: {} requests", faulty.asked());
    }
}

/// Only what an answer decides may fail: without one nothing does.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_on_the_way_fails_nothing() {
    let cases: &[(&str, Manner)] = &[
        ("closes", || Does::Drop),
        ("hangs", || Does::Hang),
        ("503", || say(503, "text/html", "maintenance")),
        ("429", || say(429, "text/plain", "slow down")),
        ("401", || say(401, "application/scim+json", "{}")),
    ];
    let ran = some_at_a_time(cases.iter().map(|(_, does)| async move {
        let faulty = Faulty::start(move |asked| if asked.before > LATER { does() } else { Does::Pass }).await;
        (run(&faulty, &[]).await, faulty)
    }))
    .await;
    for ((name, _), (ran, faulty)) in cases.iter().zip(ran) {
        ran.is_orderly(name, &[1, 3]);
        assert_eq!(ran.failed(), [""; 0], "{name}");
        assert!(ran.with("inconclusive").len() > 20, "{name}: everything was decided");
        assert!(faulty.strangers_are_untouched(), "{name}");
        // What could not be removed is told.
        assert!(faulty.left().is_empty() || ran.all.contains("at the target"), "{name}: {}", ran.all);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_way_passes_nothing_it_should_not() {
    let cases: &[(&str, Manner)] = &[
        ("HTML", || say(200, "text/html", "<h1>Welcome</h1>")),
        ("no UTF-8", || say(200, "application/scim+json", [0xff, 0xfe].repeat(50))),
        ("brackets", || say(200, "application/scim+json", nested())),
        ("empty objects", || say(200, "application/scim+json", "{}")),
        ("204", || say(204, "text/plain", "")),
        ("500", || say(500, "text/plain", "oops")),
        ("302", || Does::To("/scim/v2/login".into())),
    ];
    let ran = some_at_a_time(cases.iter().map(|(_, does)| async move {
        let faulty = Faulty::start(move |asked| if asked.before > LATER { does() } else { Does::Pass }).await;
        (run(&faulty, &[]).await, faulty)
    }))
    .await;
    for ((name, _), (ran, faulty)) in cases.iter().zip(ran) {
        ran.is_orderly(name, &[1, 3]);
        // The inventory comes last: by then nothing but garbage came.
        let late = ["list-users", "pagination", "filter-username", "filter-email"];
        let passed = ran.with("pass");
        eprintln!("   {} passed, failed {:#?}", passed.len(), ran.failed());
        for clause in late {
            assert!(!passed.contains(&format!("al1.app.{clause}")), "{name}: {clause}");
        }
        assert!(faulty.strangers_are_untouched(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_server_is_the_measure() {
    let faulty = Faulty::start(|_: &Asked| Does::Pass).await;
    let ran = run(&faulty, &[]).await;
    ran.is_orderly("sound", &[1]);
    assert_eq!(ran.failed(), [""; 0]);
    assert!(ran.with("pass").len() > 40, "{:#?}", ran.with("pass"));
    eprintln!("{} requests, {} pass", faulty.asked(), ran.with("pass").len());
    is_clean("sound", &faulty);
}
