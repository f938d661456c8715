//! What the answers to strangers, bad tokens and bad requests mean.

use super::Seen;
use crate::counterpart::scim_client::Answer;
use crate::model::verdict::Findings;
use crate::model::{Call, ExchangeId, Judgement};
use crate::suite::Check;
use crate::suites::network::judge;
use crate::wire::tls_suites::SuiteClass;

pub const CHECKS: &[Check<Seen>] = &[
    Check::new("al1.app.no-token-401", nothing_without_a_token),
    Check::new("al1.app.token-in-query-refused", no_token_in_the_query),
    Check::new("al1.app.bad-token-401", bad_tokens_are_refused),
    Check::new("al1.app.error-format", errors_are_scim_and_show_nothing),
    Check::new("al1.app.tls-floor", old_tls_and_weak_suites_are_refused),
];

/// What shows the inside of a server: stack traces, SQL, file paths, class names.
const INSIDE: [&str; 14] = [
    "traceback (most recent call last)",
    "stack trace",
    "stacktrace",
    "\tat ",
    "\n    at ",
    " at java.",
    "exception in thread",
    "nullpointerexception",
    "sqlstate",
    "select * from",
    "syntax error at or near",
    "/usr/lib/",
    "/node_modules/",
    "site-packages/",
];

fn at(answer: &Answer) -> [ExchangeId; 1] {
    [answer.cite.clone()]
}

/// The good requests before and after worked.
fn controlled(seen: &Seen) -> Option<Judgement> {
    let bad = seen.controls.iter().find(|control| !control.ok())?;
    Some(Judgement::undecided(format!("a request with the token did not succeed: {}", bad.describe())).cite(&at(bad)))
}

/// Judges a request that must be refused with 401.
fn refused(found: &mut Findings, what: &str, answer: &Answer) {
    if answer.silent() {
        found.undecided(format!("{what}: {}", answer.describe()), &at(answer));
    } else if answer.ok() {
        found.broken(format!("{what} is answered with {}", answer.describe()), &at(answer));
    } else if answer.status == 404 {
        found.broken(format!("{what} is not asked for a token: 404"), &at(answer));
    } else if answer.status != 401 {
        found.doubtful(format!("{what} is refused with {} in place of 401", answer.status), &at(answer));
    } else {
        found.saw(&at(answer));
    }
}

fn nothing_without_a_token(seen: &Seen) -> Judgement {
    if let Some(why) = controlled(seen) {
        return why;
    }
    let mut found = Findings::new();
    for (what, answer) in &seen.anonymous {
        refused(&mut found, &format!("{what} without a token"), answer);
        if answer.status == 401 && answer.header("www-authenticate").is_none() {
            found.doubtful(format!("the 401 for {what} has no WWW-Authenticate"), &at(answer));
        }
    }
    found.conclude("refused with 401 and WWW-Authenticate")
}

fn no_token_in_the_query(seen: &Seen) -> Judgement {
    if let Some(why) = controlled(seen) {
        return why;
    }
    if seen.anonymous.first().is_some_and(|(_, answer)| answer.ok()) {
        return Judgement::undecided("the endpoint answers without any token").cite(&at(&seen.in_query));
    }
    let mut found = Findings::new();
    refused(&mut found, "a request with the token in its query", &seen.in_query);
    found.conclude("a token in the query is no token")
}

fn bad_tokens_are_refused(seen: &Seen) -> Judgement {
    if let Some(why) = controlled(seen) {
        return why;
    }
    let mut found = Findings::new();
    for (what, answer) in &seen.bad_tokens {
        refused(&mut found, what, answer);
    }
    if seen.jwt {
        found.conclude("refused with 401: altered, unsigned, and signed by a stranger")
    } else {
        found.conclude("an altered token is refused with 401 (it is opaque, so there are no claims to forge)")
    }
}

fn errors_are_scim_and_show_nothing(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let mut provoked = false;
    for (what, status, answer) in &seen.errors {
        if answer.silent() || matches!(answer.status, 401 | 403) {
            found.undecided(format!("{what}: {}", answer.describe()), &at(answer));
            continue;
        }
        if answer.ok() {
            // Whether it must be refused is another clause's matter.
            continue;
        }
        provoked = true;
        // The id that nobody has may be of a form that no id has here.
        let misshapen = *status == 404 && answer.status == 400;
        if let Some(inside) = leak(answer) {
            found.broken(format!("the error for {what} shows internals (`{}`)", inside.trim()), &at(answer));
        } else if answer.status != *status && !misshapen {
            found.broken(format!("{what} is answered with {} in place of {status}", answer.status), &at(answer));
        } else if !answer.is_scim_error() {
            let number = answer.body["status"].is_number();
            let why = if number { "its status is a number, not a string" } else { "it is no SCIM error" };
            found.broken(format!("the error for {what}: {why}"), &at(answer));
        } else {
            found.saw(&at(answer));
        }
    }
    if provoked {
        found.conclude("SCIM errors with their status as a string, and nothing of the inside")
    } else {
        Judgement::undecided("no error could be provoked")
    }
}

fn leak(answer: &Answer) -> Option<&'static str> {
    // As a text, so that what stands behind any member counts; a line feed in a JSON string is written as \n.
    let text = format!("{}{}", answer.text, answer.body).replace("\\n", "\n").replace("\\t", "\t").to_lowercase();
    INSIDE.into_iter().find(|sign| text.contains(sign))
}

fn old_tls_and_weak_suites_are_refused(seen: &Seen) -> Judgement {
    if seen.in_clear {
        return Judgement::broken("scim.base_url is not https: tokens travel in clear").cite(&at(&seen.controls[0]));
    }
    let mut found = Findings::new();
    let versions = judge::old_tls_is_refused(&seen.hosts);
    match versions.call {
        Call::Broken => found.broken(versions.reason, &versions.cites),
        Call::Pass => found.saw(&versions.cites),
        _ => found.undecided(versions.reason, &versions.cites),
    }
    for host in &seen.hosts {
        for (suite, exchange) in &host.tls.suites12 {
            let what = format!("{}:{} takes {}", host.host, host.port, suite.name);
            let cite = std::slice::from_ref(exchange);
            match judge::for_browsers(suite.class) {
                // BCP 195 leaves it out; weak it is not.
                Some(true) if suite.class == SuiteClass::StaticRsa && suite.name.contains("GCM") => found.doubtful(what, cite),
                Some(true) => found.broken(what, cite),
                Some(false) => found.doubtful(what, cite),
                None => found.saw(cite),
            }
        }
        if !host.tls.undecided.is_empty() {
            found.undecided(format!("{}:{}: the scan was cut", host.host, host.port), &host.tls.undecided);
        }
    }
    found.conclude("TLS 1.2 and 1.3 only, and no weak suite")
}
