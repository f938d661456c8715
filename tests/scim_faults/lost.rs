//! Servers that do as they are told, and whose answer is lost.

use super::server::{Asked, Does, Faulty};
use super::support::{is_clean, run, some_at_a_time};

type Manner = fn(&Asked) -> Does;

fn done_then(then: Does) -> Does {
    Does::DoneThen(Box::new(then))
}

fn say(status: u16, body: &str) -> Does {
    Does::Say(status, "application/scim+json", body.as_bytes().to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_is_removed_although_no_answer_told_its_id() {
    let cases: &[(&str, Manner)] = &[
        ("closes after each creation", |asked| if asked.method == "POST" { done_then(Does::Drop) } else { Does::Pass }),
        ("500 after each creation", |asked| if asked.method == "POST" { done_then(say(500, "{}")) } else { Does::Pass }),
        (
            "garbage after each creation",
            |asked| if asked.method == "POST" { done_then(say(201, "\u{0}<html>")) } else { Does::Pass },
        ),
        ("204 after each creation", |asked| if asked.method == "POST" { done_then(say(204, "")) } else { Does::Pass }),
        ("a stranger after each creation", |asked| {
            if asked.method == "POST" && asked.known {
                done_then(say(201, r#"{"id":"1","userName":"stranger-1@corp.test","displayName":"Stranger 1"}"#))
            } else {
                Does::Pass
            }
        }),
        ("hangs after every third creation", |asked| {
            if asked.method == "POST" && asked.creations % 3 == 1 { done_then(Does::Hang) } else { Does::Pass }
        }),
        ("closes after each deletion", |asked| if asked.method == "DELETE" { done_then(Does::Drop) } else { Does::Pass }),
        ("500 after each deletion", |asked| if asked.method == "DELETE" { done_then(say(500, "{}")) } else { Does::Pass }),
        ("closes after every fifth request", |asked| if asked.before % 5 == 4 { done_then(Does::Drop) } else { Does::Pass }),
        ("closes after each creation, and finds everybody", |asked| match asked.method.as_str() {
            "POST" => done_then(Does::Drop),
            "GET" => Does::Without(&["filter"]),
            _ => Does::Pass,
        }),
    ];
    let ran = some_at_a_time(cases.iter().map(|(_, fault)| async move {
        let faulty = Faulty::start(fault).await;
        (run(&faulty, &[]).await, faulty)
    }))
    .await;
    for ((name, _), (ran, faulty)) in cases.iter().zip(ran) {
        ran.is_orderly(name, &[1, 3]);
        is_clean(name, &faulty);
        // Lost connections are no verdict; an error and a wrong answer are the server's own.
        if name.starts_with("closes after every") || name.starts_with("closes after each creation") && !name.contains("everybody")
        {
            assert_eq!(ran.failed(), [""; 0], "{name}");
        }
        eprintln!("   {} requests, failed: {:#?}", faulty.asked(), ran.failed());
    }
}
