//! JUnit XML for CI servers: a test suite per requirement, a test case per clause. Fits `reports/schema/junit.xsd`.

use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::view::{EMBEDDED, counts, groups, one_line, visible};
use crate::model::Verdict;
use crate::model::report::{ClauseRow, Report};

/// The report as JUnit XML.
///
/// A warning is a passed case with output; JUnit knows nothing between pass and failure. What was not decided is `skipped`, with the
/// reason: never a pass. A known failure of the baseline is `skipped` too, so that it does not turn a pipeline red.
pub fn write(report: &Report) -> String {
    let mut xml = quick_junit::Report::new(format!("ipsie-conform {}", one_line(&report.target.name)));
    xml.set_time(Duration::from_secs_f64(report.run.wall_s.clamp(0.0, 1e9)));
    for group in groups(report) {
        let mut suite = TestSuite::new(visible(group.id()));
        // By hand: the typed setter wants a date type of another crate.
        suite.extra.insert("timestamp".into(), report.run.started_at.strftime("%Y-%m-%dT%H:%M:%S").to_string().into());
        suite.set_time(Duration::from_millis(group.clauses.iter().map(|clause| clause.duration_ms).max().unwrap_or(0)));
        let counts = counts(&group.counts());
        let (target, edition) = (visible(&report.target.name), visible(&report.catalogue.edition));
        let statement = visible(group.statement());
        let verdict = group.verdict().word();
        for (name, value) in
            [("requirement", &*statement), ("verdict", verdict), ("counts", &counts), ("target", &target), ("edition", &edition)]
        {
            suite.add_property((name, value));
        }
        if report.target.embedded {
            suite.add_property(("embedded", EMBEDDED));
        }
        suite.add_test_cases(group.clauses.iter().map(|clause| case(clause)));
        xml.add_test_suite(suite);
    }
    // Writing to memory; what XML cannot hold was made visible before.
    xml.to_string().unwrap_or_default()
}

fn case(clause: &ClauseRow) -> TestCase {
    let reason = one_line(&clause.reason);
    let mut status = match clause.verdict {
        Verdict::Pass | Verdict::Warning => TestCaseStatus::success(),
        Verdict::Fail if clause.baseline.is_none() => TestCaseStatus::non_success(NonSuccessKind::Failure),
        _ => TestCaseStatus::skipped(),
    };
    match (clause.verdict, &clause.baseline) {
        (Verdict::Fail, None) => {
            status.set_message(reason).set_type(clause.strength.to_string()).set_description(story(clause));
        }
        (Verdict::Fail, Some(known)) => {
            status.set_message(format!("known failure ({}): {reason}", one_line(known)));
        }
        (verdict, _) => {
            status.set_message(format!("{verdict}: {reason}"));
        }
    }
    let mut case = TestCase::new(visible(&clause.id), status);
    case.set_classname(visible(&clause.requirement));
    case.set_time(Duration::from_millis(clause.duration_ms));
    if clause.verdict == Verdict::Warning {
        case.set_system_out(format!("warning: {}", story(clause)));
    }
    case
}

fn story(clause: &ClauseRow) -> String {
    let mut story = format!("{}\n\n{}: {}\nsource: {}\n", clause.reason, clause.strength, clause.statement, clause.source);
    for (title, text) in [("expected", &clause.expected), ("observed", &clause.observed)] {
        if !text.is_empty() {
            story.push_str(&format!("{title}: {text}\n"));
        }
    }
    if !clause.evidence.is_empty() {
        story.push_str(&format!("evidence: {} in exchanges.har\n", clause.evidence.join(", ")));
    }
    visible(&story)
}
