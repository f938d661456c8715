//! Runs that end early: by the operator, by the machine, by the server.

use std::process::Command;
use std::time::Duration;

use super::server::{Asked, Does, Faulty};
use super::support::{ended, folder, is_clean, start};

/// Creations before the end comes: by then users and groups are there.
const MADE: usize = 4;
/// One scenario is enough where only what was left is of interest.
const SHORT: [&str; 2] = ["--scenario", "scim-channel"];

/// Every creation from then on is carried out and not answered.
fn slow_later(asked: &Asked) -> Does {
    if asked.method == "POST" && asked.creations >= MADE { Does::DoneThen(Box::new(Does::Hang)) } else { Does::Pass }
}

async fn until_made(faulty: &Faulty) {
    let made = async {
        while faulty.left().len() <= MADE {
            let _ = tokio::time::timeout(Duration::from_millis(100), faulty.creation.notified()).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), made).await.unwrap();
}

fn signal(child: &std::process::Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_removes_also_what_was_under_way() {
    let faulty = Faulty::start(slow_later).await;
    let dir = folder(&faulty.base_url());
    let child = start(dir.path(), &[]);
    until_made(&faulty).await;
    signal(&child, "-INT");
    let ran = ended(child, dir.path()).await;
    ran.is_orderly("Ctrl-C", &[130]);
    assert_eq!(ran.report.as_ref().unwrap()["run"]["interrupted"], true);
    is_clean("Ctrl-C", &faulty);
    // Nothing is left for the next run.
    assert_eq!(std::fs::read_dir(dir.path().join("out")).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_is_swept_by_the_next() {
    let faulty = Faulty::start(slow_later).await;
    let dir = folder(&faulty.base_url());
    let child = start(dir.path(), &[]);
    until_made(&faulty).await;
    signal(&child, "-KILL");
    assert_eq!(ended(child, dir.path()).await.code, -1);
    assert!(faulty.left().len() > MADE);
    faulty.turn(|_| Does::Pass);
    // Without a word from the operator the next run only says it, and forgets nothing.
    let ran = ended(start(dir.path(), &SHORT), dir.path()).await;
    ran.says(&["an earlier run of this target was killed", "--sweep removes them"]);
    assert!(faulty.left().len() > MADE);
    let ran = ended(start(dir.path(), &[&SHORT[..], &["--sweep"]].concat()), dir.path()).await;
    ran.says(&["that an earlier run left at the target were removed"]);
    is_clean("killed", &faulty);
    let ran = ended(start(dir.path(), &SHORT), dir.path()).await;
    assert!(!ran.all.contains("earlier run"), "{}", ran.all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_leaves_a_list_for_the_next_run() {
    let faulty = Faulty::start(|asked| match asked {
        Asked { method, creations, .. } if method == "POST" && *creations == MADE => Does::DoneThen(Box::new(Does::Drop)),
        Asked { creations, .. } if *creations > MADE => Does::Drop,
        _ => Does::Pass,
    })
    .await;
    let dir = folder(&faulty.base_url());
    let ran = ended(start(dir.path(), &[]), dir.path()).await;
    ran.is_orderly("dies", &[1, 3]);
    assert_eq!(ran.failed(), [""; 0]);
    ran.says(&["could not be removed at the target"]);
    assert!(!faulty.left().is_empty());
    // While it is down nothing is forgotten.
    let ran = ended(start(dir.path(), &["--sweep"]), dir.path()).await;
    ran.says(&["could not be reached"]);
    assert_eq!(ran.code, 4);
    faulty.turn(|_| Does::Pass);
    ended(start(dir.path(), &[&SHORT[..], &["--sweep"]].concat()), dir.path()).await;
    is_clean("dies", &faulty);
}
