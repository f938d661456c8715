//! One small run with every kind of verdict, hostile text, an offending exchange and a screenshot.

use std::collections::BTreeMap;

use ipsie_conform::model::report::*;
use ipsie_conform::model::{Exchange, Fault, FaultClass, Level, LevelVerdict, Message, Party, Role, Shot, Strength, Verdict};
use jiff::Timestamp;

pub const PNG: &[u8] = include_bytes!("login.png");
pub const HOSTILE: &str = "<script>alert(1)</script> ]]> \"'& \u{1b}[31mred\u{7}\u{202e}gpj | `x` {{ 7*7 }} @everyone ::error::x";

pub struct Canned {
    pub report: Report,
    pub evidence: Evidence,
    pub pngs: Vec<Vec<u8>>,
}

pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_795_341_600_000 + ms).unwrap()
}

/// The canned run.
pub fn run() -> Canned {
    let clauses = clauses();
    let mut counts: BTreeMap<Verdict, usize> = BTreeMap::new();
    for clause in &clauses {
        *counts.entry(clause.verdict).or_default() += 1;
    }
    let report = Report {
        schema: SCHEMA.into(),
        tool: Tool { name: "ipsie-conform".into(), version: "0.1.0".into() },
        catalogue: CatalogueInfo { edition: "2026-02-05".into(), profile: None, digest: "5f".repeat(32) },
        run: RunInfo {
            id: "20261122-100000-k3x9".into(),
            started_at: at(0),
            finished_at: at(71_250),
            wall_s: 71.25,
            waited_s: 58.0,
            requests: 9,
            logins: 1,
            browser: "chrome 156.0".into(),
            interrupted: false,
            left: Vec::new(),
            fast: false,
        },
        target: TargetInfo {
            name: "Example <IdP> & Co".into(),
            roles: vec![Role::Idp],
            embedded: false,
            config_digest: "a7".repeat(32),
            fingerprint: BTreeMap::from([
                ("issuer".into(), "https://idp.example".into()),
                ("server".into(), "nginx\"><img src=x onerror=alert(2)>".into()),
            ]),
        },
        levels: vec![LevelRow { level: Level::Sl1, role: Role::Idp, verdict: LevelVerdict::NonConformant, counts }],
        requirements: requirements(&clauses),
        clauses,
        scenarios: scenarios(),
        faults: vec![Fault {
            class: FaultClass::Network,
            message: format!("the status page answered late: {HOSTILE}"),
            hint: "raise `network.timeout_s` in the target file".into(),
        }],
    };
    Canned { report, evidence: evidence(), pngs: vec![PNG.to_vec()] }
}

fn requirements(clauses: &[ClauseRow]) -> Vec<RequirementRow> {
    [
        ("code-pkce", "The Identity Service requires the authorization code flow with PKCE, protected as the SL1 profile says."),
        ("max-age", "The Identity Service lets the Application state the maximum time since the last interactive authentication (max_age)."),
        ("discovery", "The Identity Service publishes its metadata by discovery (SL1 profile 3.2.1)."),
        ("network", "Network-layer protection of every endpoint."),
    ]
    .map(|(slug, statement)| {
        let id = format!("sl1.idp.{slug}");
        let own: Vec<&ClauseRow> = clauses.iter().filter(|clause| clause.requirement == id).collect();
        let gating = own.iter().filter(|clause| clause.strength.gates()).map(|clause| clause.verdict).min();
        RequirementRow {
            level: Level::Sl1,
            role: Role::Idp,
            statement: statement.into(),
            verdict: gating.or(own.iter().map(|clause| clause.verdict).min()).unwrap(),
            clauses: own.iter().map(|clause| clause.id.clone()).collect(),
            id,
        }
    })
    .to_vec()
}

fn clauses() -> Vec<ClauseRow> {
    use Strength::*;
    let mut rows = vec![
        clause(
            "discovery-published",
            "discovery",
            Must,
            Verdict::Pass,
            "idp-probe",
            &["x0001"],
            "discovery document with all required members",
        ),
        clause(
            "discovery-issuer-match",
            "discovery",
            Must,
            Verdict::Pass,
            "idp-probe",
            &["x0001"],
            "issuer is https://idp.example",
        ),
        clause(
            "redirect-exact-match",
            "code-pkce",
            Must,
            Verdict::Fail,
            "idp-sso",
            &["x0004", "x0005"],
            "The authorization endpoint accepted https://suite.example/cb/a/../evil, which is not the registered URI, and sent a code there; an attacker who controls any path of the host receives codes.",
        ),
        clause("code-single-use", "code-pkce", MustNot, Verdict::Fail, "idp-login", &["x0007"], HOSTILE),
        clause(
            "code-lifetime",
            "code-pkce",
            Must,
            Verdict::Fail,
            "idp-expiry",
            &["x0009"],
            "a code was redeemed 61 s after it was issued",
        ),
        clause(
            "nonce-64",
            "code-pkce",
            Should,
            Verdict::Warning,
            "idp-login",
            &["x0003"],
            "a nonce of 64 characters was cut to 32 characters in the ID token",
        ),
        clause(
            "pkce-required",
            "code-pkce",
            Must,
            Verdict::Inconclusive,
            "idp-sso",
            &[],
            "the control after the probe did not succeed: the session had ended",
        ),
        clause("max-age-honoured", "max-age", Must, Verdict::NotRun, "", &[], "needs `idp.clients.second` in the target file"),
        clause("max-age-two-clients", "max-age", Must, Verdict::NotRun, "", &[], "needs `idp.clients.second` in the target file"),
        clause(
            "max-age-documented",
            "max-age",
            Must,
            Verdict::Attested,
            "",
            &[],
            "attested by Jane Roe on 2026-11-01: max_age is documented for administrators",
        ),
        clause(
            "tls12-ciphers-browser",
            "network",
            Must,
            Verdict::NotApplicable,
            "idp-probe",
            &["x0002"],
            "the target offers TLS 1.3 only",
        ),
        clause("hsts-browser-endpoints", "network", Should, Verdict::Pass, "idp-probe", &["x0001"], "max-age=31536000"),
    ];
    rows[2].expected = "an error page of the identity service, no redirect".into();
    rows[2].observed = "302 to https://suite.example/cb/a/../evil with a code".into();
    rows[3].observed = HOSTILE.into();
    rows[4].baseline = Some("ticket 4711, expires 2027-01-31".into());
    rows
}

fn clause(
    slug: &str,
    requirement: &str,
    strength: Strength,
    verdict: Verdict,
    scenario: &str,
    evidence: &[&str],
    reason: &str,
) -> ClauseRow {
    ClauseRow {
        id: format!("sl1.idp.{slug}"),
        level: Level::Sl1,
        role: Role::Idp,
        requirement: format!("sl1.idp.{requirement}"),
        binding: "oidc".into(),
        strength,
        statement: format!("The Identity Service behaves as the clause {slug} says."),
        source: "IPSIE SL1 OIDC profile 3.2.1; RFC 6749 4.1.2".into(),
        verdict,
        reason: reason.into(),
        expected: String::new(),
        observed: String::new(),
        scenario: scenario.into(),
        evidence: evidence.iter().map(ToString::to_string).collect(),
        duration_ms: if scenario.is_empty() { 0 } else { 1_840 },
        baseline: None,
        excused: None,
    }
}

fn scenarios() -> Vec<ScenarioRow> {
    let row = |id: &str, title: &str, outcome: &str, note: &str, duration_ms, waited_ms, held, failed| ScenarioRow {
        id: id.into(),
        title: title.into(),
        outcome: outcome.into(),
        note: note.into(),
        duration_ms,
        waited_ms,
        controls: Controls { held, failed },
    };
    vec![
        row("idp-probe", "reads metadata and keys, probes TLS", "played", "", 1_240, 0, 0, 0),
        row("idp-login", "signs in and redeems the code", "played", "", 6_400, 0, 2, 0),
        row("idp-sso", "sends error requests from a signed-in browser", "played", "", 4_100, 0, 5, 1),
        row("idp-expiry", "redeems a code after its lifetime", "played", "", 64_000, 58_000, 1, 0),
        row("idp-second", "second client, same user", "skipped", "needs `idp.clients.second`", 0, 0, 0, 0),
    ]
}

fn evidence() -> Evidence {
    use Party::*;
    let json = &[("content-type", "application/json")][..];
    let form = &[("content-type", "application/x-www-form-urlencoded")][..];
    let mut exchanges = vec![
        exchange(
            "x0001",
            "idp-probe",
            "metadata",
            Suite,
            Target,
            0,
            "GET",
            "https://idp.example/.well-known/openid-configuration",
            200,
        ),
        exchange("x0002", "idp-probe", "TLS 1.2 hello", Suite, Target, 240, "TLS", "idp.example:443", 0),
        exchange(
            "x0003",
            "idp-login",
            "authorization request",
            Browser,
            Target,
            1_300,
            "GET",
            "https://idp.example/authorize?response_type=code&client_id=main&nonce=n-1",
            200,
        ),
        exchange(
            "x0006",
            "idp-login",
            "callback",
            Browser,
            Suite,
            5_200,
            "GET",
            "https://suite.example/cb/a?code=%3Credacted%3E&state=s1",
            200,
        ),
        exchange(
            "x0007",
            "idp-login",
            "token request: code used twice",
            Suite,
            Target,
            5_900,
            "POST",
            "https://idp.example/token",
            200,
        ),
        exchange("x0008", "idp-login", "UserInfo request", Suite, Target, 6_000, "GET", "https://idp.example/userinfo", 401),
        exchange(
            "x0004",
            "idp-sso",
            "redirect URI with a path beside the registered one",
            Browser,
            Target,
            7_000,
            "GET",
            "https://idp.example/authorize?redirect_uri=https%3A%2F%2Fsuite.example%2Fcb%2Fa%2F..%2Fevil",
            302,
        ),
        exchange(
            "x0005",
            "idp-sso",
            "callback at the wrong place",
            Browser,
            Suite,
            7_100,
            "GET",
            "https://suite.example/cb/evil?code=%3Credacted%3E",
            404,
        ),
        exchange("x0010", "idp-sso", "disable the user", Suite, Hook, 7_400, "EXEC", "exec:disable-user", 0),
        exchange(
            "x0009",
            "idp-expiry",
            "token request after 61 s",
            Suite,
            Target,
            69_000,
            "POST",
            "https://idp.example/token",
            200,
        ),
    ];
    exchanges[0].response =
        message(json, r#"{"issuer":"https://idp.example","authorization_endpoint":"https://idp.example/authorize"}"#);
    exchanges[1].fault = Some("the peer closed the connection after the hello".into());
    exchanges[2].response = message(&[("content-type", "text/html"), ("x-evil", "\u{1b}]0;owned\u{7}")], HOSTILE);
    exchanges[4].request = message(form, "grant_type=authorization_code&code=<redacted>");
    exchanges[4].response = message(json, r#"{"access_token":"<redacted>","token_type":"Bearer"}"#);
    exchanges[5].response = message(json, r#"{"error":"invalid_token","error_description":"</svg><script>alert(3)</script>"}"#);
    exchanges[6].response = message(&[("location", "https://suite.example/cb/a/../evil?code=<redacted>&state=s1")], "");
    exchanges[9].request = message(form, "grant_type=authorization_code&code=<redacted>");
    let shot =
        Shot { file: "01-idp-login.png".into(), scenario: "idp-login".into(), caption: "login page <b>".into(), at: at(2_000) };
    Evidence { exchanges, shots: vec![shot] }
}

fn message(headers: &[(&str, &str)], body: &str) -> Message {
    Message {
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: Some(body.to_owned()),
    }
}

#[allow(clippy::too_many_arguments)]
fn exchange(
    id: &str,
    scenario: &str,
    step: &str,
    from: Party,
    to: Party,
    ms: i64,
    method: &str,
    url: &str,
    status: u16,
) -> Exchange {
    Exchange {
        id: id.into(),
        scenario: scenario.into(),
        step: step.into(),
        from,
        to,
        started_at: at(ms),
        duration_ms: 85,
        method: method.into(),
        url: url.into(),
        request: Message::default(),
        status,
        response: Message::default(),
        fault: None,
    }
}
