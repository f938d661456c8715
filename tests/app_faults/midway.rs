//! Faults that come while the run goes on: what they touch may not be decided, and the rest stands.

use super::support::{Does, Fault, Faulty, nothing_failed, page, redirect, rows, some_at_a_time};
use ipsie_conform::model::Verdict;

/// After so many requests the first login has worked.
const LATER: usize = 10;

struct Case {
    name: &'static str,
    fault: Fault,
}

const CASES: &[Case] = &[
    Case { name: "limits the rate", fault: |_, n| if n > LATER { page(429, "slow down") } else { Does::Pass } },
    Case { name: "is down", fault: |_, n| if n > LATER { page(503, "maintenance") } else { Does::Pass } },
    Case { name: "never answers again", fault: |_, n| if n > LATER { Does::Hang } else { Does::Pass } },
    Case { name: "answers 200 with an error page", fault: |_, n| if n > LATER { page(200, "Oops") } else { Does::Pass } },
    Case { name: "loses its sessions", fault: |_, n| if n > LATER { Does::WithoutCookies } else { Does::Pass } },
    Case {
        name: "never calls back again",
        fault: |request, n| if n > LATER && request.uri().path() == "/callback" { Does::Hang } else { Does::Pass },
    },
    Case {
        name: "loops",
        fault: |_, n| {
            if n > LATER { redirect("https://app.ipsie-conform-target.test/login") } else { Does::Pass }
        },
    },
    Case { name: "restarts", fault: |_, n| if (LATER..LATER + 12).contains(&n) { page(502, "gateway") } else { Does::Pass } },
    Case {
        name: "limits every fifth request",
        fault: |_, n| if n > LATER && n % 5 == 0 { page(429, "wait") } else { Does::Pass },
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_fails_and_no_refusal_is_concluded() {
    // Forged ID tokens and responses: whoever takes an outage for a refusal passes them all.
    let outcomes = some_at_a_time(CASES.iter().map(|case| async {
        // Where every visit is waited for, and where a lost session makes the suite wait for caches, one scenario shows it.
        let played: &[&str] = match case.name {
            "never answers again" | "never calls back again" => &["app-response*"],
            "loses its sessions" => &["app-login", "app-response*"],
            _ => &["app-login", "app-idtoken*", "app-response*"],
        };
        let clock = std::time::Instant::now();
        let outcome = Faulty::start(case.fault).await.scenarios(played).await;
        eprintln!("{}: {:?}", case.name, clock.elapsed());
        outcome
    }))
    .await;
    for (case, outcome) in CASES.iter().zip(outcomes) {
        let report = outcome.unwrap();
        nothing_failed(&report);
        let open = rows(&report, Verdict::Inconclusive);
        assert!(!open.is_empty(), "{}: everything was decided", case.name);
        let probes = report.clauses.iter().filter(|row| row.scenario != "app-login" && row.verdict == Verdict::Pass);
        let probes: Vec<&str> = probes.map(|row| row.id.as_str()).collect();
        eprintln!("{}: {} inconclusive, passed: {probes:?}\n   {}", case.name, open.len(), open[0]);
        if !case.name.starts_with("restarts") && !case.name.starts_with("limits every") {
            assert!(probes.is_empty(), "{}: {probes:?}", case.name);
        }
    }
}
