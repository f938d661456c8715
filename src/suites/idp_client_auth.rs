//! idp-client-auth: client assertions at the token endpoint with a junk code. `invalid_grant` means that the client was
//! authenticated, `invalid_client` that it was not. A foreign-key assertion calibrates: where good and foreign answers are
//! equal, nothing may be concluded.

use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::counterpart::relying_party::{assertion_claims, assertion_fields, missing_client};
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::stage::http::Ask;
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::jose::{SigningKey, hmac_signed, to_pem, unsigned};
use crate::wire::seen::limited;
use crate::wire::spki::spki_der;

/// Sends assertions that differ in one thing each.
pub struct ClientAuthentication;

/// The answer to one assertion.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// What was different, in a few words.
    pub what: String,
    /// Status; 0 for no answer.
    pub status: u16,
    /// `error` of the answer.
    pub error: Option<String>,
    /// Tokens came back.
    pub tokens: bool,
    /// Exchange.
    pub cite: Vec<ExchangeId>,
}

impl Answer {
    fn describe(&self) -> String {
        format!("status {} `{}`", self.status, self.error.as_deref().unwrap_or("(no error member)"))
    }
}

/// What was answered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// aud = issuer, as the profile wants it; before and after the others.
    pub good: Vec<Answer>,
    /// The same with the audience the target takes, where that is not the issuer: the other probes start from it.
    pub other: Vec<Answer>,
    /// Signed by a key that is not registered.
    pub foreign_key: Answer,
    /// aud = token endpoint; `None` where that URL is the issuer.
    pub token_endpoint: Option<Answer>,
    /// aud = PAR endpoint and aud = token endpoint at the PAR endpoint; `tokens` says that a `request_uri` came back.
    #[serde(default)]
    pub pushed: Vec<Answer>,
    /// Pushes with a good assertion, before and after those.
    #[serde(default)]
    pub pushed_good: Vec<Answer>,
    /// aud arrays.
    pub arrays: Vec<Answer>,
    /// aud of another server, with another slash, none.
    pub foreign: Vec<Answer>,
    /// none, HS256 with the public key, RS256.
    pub algorithms: Vec<Answer>,
    /// No RSA key is registered for the client.
    pub without_rsa: bool,
    /// PS256 with the same RSA key, to see whether the key is known at all.
    pub rsa_control: Option<Answer>,
    /// Expired, without exp, other iss or sub.
    pub expired: Vec<Answer>,
    /// The same assertion twice, and once more three seconds later.
    pub replay: Vec<Answer>,
}

impl Scenario for ClientAuthentication {
    type Seen = Seen;
    const ID: &'static str = "idp-client-auth";
    const TITLE: &'static str = "sends client assertions that differ in one thing each";
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.assertion-aud-issuer-accepted", the_issuer_as_audience_is_accepted),
        Check::new("sl1.idp.assertion-aud-token-endpoint-refused", the_token_endpoint_as_audience_is_refused),
        Check::new("sl1.idp.assertion-aud-array-refused", an_array_as_audience_is_refused),
        Check::new("sl1.idp.assertion-aud-foreign-refused", a_foreign_audience_is_refused),
        Check::new("sl1.idp.assertion-alg-restricted", only_recommended_algorithms_are_taken),
        Check::new("sl1.idp.assertion-expired-refused", an_expired_assertion_is_refused),
        Check::new("sl1.idp.assertion-replay-refused", a_used_assertion_is_refused),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let world = &stage.world;
        let client = world.client("main").ok_or_else(|| missing_client("main"))?.clone();
        let issuer = world.issuer().to_owned();
        let endpoint = world.endpoint("token_endpoint")?.to_owned();
        let key = stage.signer(client.key.as_deref())?;
        let sign = |claims: &Value| key.sign(&json!({}), claims);
        let taken = stage.audience().await?.to_owned();
        let good = || assertion_claims(&client.id, &taken);
        let for_issuer = || assertion_claims(&client.id, &issuer);
        let with = |name: &str, value: Value| {
            let mut claims = good();
            claims[name] = value;
            claims
        };
        let without = |name: &str| {
            let mut claims = good();
            claims.as_object_mut().map(|members| members.remove(name));
            claims
        };
        let now = Timestamp::now().as_second();
        let mut seen = Seen { without_rsa: client.rsa_key.is_none(), ..Seen::default() };
        seen.good.push(send(stage, &client.id, sign(&for_issuer()), "aud = issuer").await?);
        if taken != issuer {
            seen.other.push(send(stage, &client.id, sign(&good()), "aud as the target takes it").await?);
        }
        let stranger = SigningKey::generate(&key.kid, key.alg).map_err(|error| Obstacle::suite(error.to_string()))?;
        seen.foreign_key = send(stage, &client.id, stranger.sign(&json!({}), &good()), "signed by a foreign key").await?;
        if endpoint != issuer {
            seen.token_endpoint =
                Some(send(stage, &client.id, sign(&with("aud", json!(endpoint))), "aud = token endpoint").await?);
        }
        if let Some(par) = world.discovery.get("pushed_authorization_request_endpoint").map(str::to_owned)
            && stage.wants("sl1.idp.assertion-aud-token-endpoint-refused")
        {
            let control = "push, aud as the target takes it";
            seen.pushed_good.push(push(stage, &par, sign(&good()), control).await?);
            for (audience, what) in [(&par, "push, aud = PAR endpoint"), (&endpoint, "push, aud = token endpoint")] {
                if *audience != issuer {
                    seen.pushed.push(push(stage, &par, sign(&with("aud", json!(audience))), what).await?);
                }
            }
            seen.pushed_good.push(push(stage, &par, sign(&good()), control).await?);
        }
        for (audience, what) in
            [(json!([issuer]), "aud = [issuer]"), (json!([issuer, endpoint]), "aud = [issuer, token endpoint]")]
        {
            seen.arrays.push(send(stage, &client.id, sign(&with("aud", audience)), what).await?);
        }
        let slashed = if issuer.ends_with('/') { issuer.trim_end_matches('/').to_owned() } else { format!("{issuer}/") };
        for (claims, what) in [
            (with("aud", json!("https://other-as.example")), "aud of another server"),
            (with("aud", json!(slashed)), "aud = issuer with another trailing slash (minor)"),
            (without("aud"), "no aud"),
        ] {
            seen.foreign.push(send(stage, &client.id, sign(&claims), what).await?);
        }
        seen.algorithms.push(send(stage, &client.id, unsigned(&good()), "alg none").await?);
        let public_pem = to_pem("PUBLIC KEY", &spki_der(key.jwk()));
        let confused = hmac_signed(&json!({"alg": "HS256", "kid": key.kid}), &good(), public_pem.as_bytes());
        seen.algorithms.push(send(stage, &client.id, confused, "HS256 keyed with the public key").await?);
        if client.rsa_key.is_some() {
            let key = world.keys.rs256().map_err(|error| Obstacle::suite(error.to_string()))?;
            seen.algorithms.push(send(stage, &client.id, key.sign(&json!({}), &good()), "RS256").await?);
            let twin = SigningKey::from_pkcs8(&key.kid, Algorithm::PS256, key.pkcs8())
                .map_err(|error| Obstacle::suite(error.to_string()))?;
            seen.rsa_control = Some(send(stage, &client.id, twin.sign(&json!({}), &good()), "PS256 with the RSA key").await?);
        }
        let mut expired = with("exp", json!(now - 600));
        expired["iat"] = json!(now - 660);
        expired["nbf"] = json!(now - 660);
        for (claims, what) in [
            (expired, "exp 10 minutes ago"),
            (without("exp"), "no exp"),
            (with("iss", json!("somebody-else")), "iss is not the client"),
            (with("sub", json!("somebody-else")), "sub is not the client"),
        ] {
            seen.expired.push(send(stage, &client.id, sign(&claims), what).await?);
        }
        if stage.wants("sl1.idp.assertion-replay-refused") {
            let assertion = sign(&good());
            for what in ["first use", "second use"] {
                seen.replay.push(send(stage, &client.id, assertion.clone(), what).await?);
            }
        }
        seen.good.push(send(stage, &client.id, sign(&for_issuer()), "aud = issuer, again").await?);
        if taken != issuer {
            seen.other.push(send(stage, &client.id, sign(&good()), "aud as the target takes it, again").await?);
        }
        stage.control(calibrated(&seen));
        Ok(seen)
    }
}

async fn send(stage: &Stage, client_id: &str, assertion: String, what: &str) -> Result<Answer, Obstacle> {
    let reply = stage.junk_code(client_id, "main", assertion, &format!("junk code, assertion: {what}")).await?;
    let body = reply.json().unwrap_or_default();
    Ok(Answer {
        what: what.to_owned(),
        status: reply.status,
        error: body["error"].as_str().map(str::to_owned),
        tokens: ["access_token", "id_token", "refresh_token"].iter().any(|name| body[*name].is_string()),
        cite: vec![reply.exchange],
    })
}

/// Pushes the usual request with this assertion.
async fn push(stage: &Stage, endpoint: &str, assertion: String, what: &str) -> Result<Answer, Obstacle> {
    let fields: Vec<(String, String)> = stage.request("main")?.params.into_iter().chain(assertion_fields(assertion)).collect();
    let reply = stage.world.http.send(stage.scenario, what, Ask::form(endpoint, &fields)).await?;
    let body = reply.json().unwrap_or_default();
    Ok(Answer {
        what: what.to_owned(),
        status: reply.status,
        error: body["error"].as_str().map(str::to_owned),
        tokens: body["request_uri"].is_string(),
        cite: vec![reply.exchange],
    })
}

/// An answer about the code: the client got through. A rate limit, a gateway or a refused client never looks like this.
fn about_the_code(answer: &Answer) -> bool {
    (400..500).contains(&answer.status)
        && !matches!(answer.status, 401 | 403)
        && !limited(answer.status)
        && answer.error.as_deref().is_some_and(|error| error != "invalid_client")
}

fn same(one: &Answer, other: &Answer) -> bool {
    (one.status, &one.error) == (other.status, &other.error)
}

/// The assertions that must be taken, before and after the others.
fn controls(seen: &Seen) -> &[Answer] {
    if seen.other.is_empty() { &seen.good } else { &seen.other }
}

/// Good and foreign assertions are answered differently, and the good ones alike, before and after.
fn calibrated(seen: &Seen) -> bool {
    let [before, after] = controls(seen) else { return false };
    about_the_code(before) && same(before, after) && !same(before, &seen.foreign_key)
}

/// Was the client authenticated? Answered as the good assertion is.
fn authenticated(answer: &Answer, seen: &Seen) -> bool {
    answer.tokens || (calibrated(seen) && same(answer, &controls(seen)[0]))
}

/// Was the client turned away as a client?
fn turned_away(answer: &Answer, seen: &Seen) -> bool {
    let as_client = matches!(answer.error.as_deref(), Some("invalid_client" | "invalid_request" | "unauthorized_client"))
        || same(answer, &seen.foreign_key);
    !answer.tokens && (400..500).contains(&answer.status) && !limited(answer.status) && as_client
}

const BLUNT: &str = "good and foreign assertions get the same answer, so the answers tell nothing about client authentication";

fn refused(seen: &Seen, tries: &[&Answer], pass: &str) -> Judgement {
    let mut found = Findings::new();
    must_be_refused(&mut found, seen, tries);
    if tries.is_empty() { Judgement::undecided("nothing was tried") } else { found.conclude(pass) }
}

fn must_be_refused(found: &mut Findings, seen: &Seen, tries: &[&Answer]) {
    let control: Vec<_> = controls(seen).iter().flat_map(|good| good.cite.clone()).collect();
    found.saw(&control);
    for answer in tries {
        if answer.tokens {
            found.broken(format!("{}: tokens were issued", answer.what), &answer.cite);
        } else if !calibrated(seen) {
            found.undecided(BLUNT, &answer.cite);
        } else if authenticated(answer, seen) {
            found.broken(format!("{}: the client was authenticated ({})", answer.what, answer.describe()), &answer.cite);
        } else if turned_away(answer, seen) {
            found.saw(&answer.cite);
        } else {
            found.undecided(format!("{}: {}", answer.what, answer.describe()), &answer.cite);
        }
    }
}

fn the_issuer_as_audience_is_accepted(seen: &Seen) -> Judgement {
    let Some(good) = seen.good.first() else { return Judgement::undecided("nothing was tried") };
    let cites = || good.cite.iter().chain(&seen.foreign_key.cite);
    let accepted = about_the_code(good) && !same(good, &seen.foreign_key);
    let otherwise = !seen.other.is_empty() && calibrated(seen);
    let judgement = if accepted {
        Judgement::pass("the client was authenticated; only the junk code was refused")
    } else if otherwise && good.error.as_deref() == Some("invalid_client") {
        Judgement::broken("an assertion for the issuer is refused, one for the token endpoint is taken")
    } else if good.error.as_deref() == Some("invalid_client") {
        Judgement::undecided("no assertion of the client is taken, whatever its audience: check the registered key and client_id")
    } else {
        Judgement::undecided(BLUNT)
    };
    judgement.expected("an error about the code", good.describe()).cite(cites())
}

fn the_token_endpoint_as_audience_is_refused(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    match &seen.token_endpoint {
        Some(answer) => must_be_refused(&mut found, seen, &[answer]),
        None => found.undecided("issuer and token endpoint are the same URL", &[]),
    }
    let held = seen.pushed_good.len() == 2 && seen.pushed_good.iter().all(|push| push.tokens);
    for push in &seen.pushed {
        let as_client = matches!(push.error.as_deref(), Some("invalid_client" | "invalid_request" | "unauthorized_client"));
        if push.tokens {
            found.broken(format!("{}: a request_uri was issued", push.what), &push.cite);
        } else if held && as_client && (400..500).contains(&push.status) && push.status != 429 {
            found.saw(&push.cite);
        } else {
            let control = if held { "" } else { ", and a push with a good assertion brings no request_uri" };
            found.undecided(format!("{}: {}{control}", push.what, push.describe()), &push.cite);
        }
    }
    let places = if seen.pushed.is_empty() { "" } else { ", at the token endpoint and at PAR" };
    found.conclude(format!("assertions for an endpoint in place of the issuer are refused{places}"))
}

fn an_array_as_audience_is_refused(seen: &Seen) -> Judgement {
    refused(seen, &seen.arrays.iter().collect::<Vec<_>>(), "arrays are refused, even with the issuer alone in them")
}

fn a_foreign_audience_is_refused(seen: &Seen) -> Judgement {
    refused(seen, &seen.foreign.iter().collect::<Vec<_>>(), "assertions for others, and for nobody, are refused")
}

fn only_recommended_algorithms_are_taken(seen: &Seen) -> Judgement {
    let pass = if seen.without_rsa {
        "none and HS256 are refused; RS256 was not tried, because idp.clients.main has no rsa_key"
    } else {
        match &seen.rsa_control {
            Some(control) if authenticated(control, seen) => {
                "none, HS256 and RS256 are refused; PS256 with the same RSA key is taken"
            }
            _ => {
                "none, HS256 and RS256 are refused; PS256 with the same RSA key is refused as well, so the client takes no RSA at all"
            }
        }
    };
    refused(seen, &seen.algorithms.iter().collect::<Vec<_>>(), pass)
}

fn an_expired_assertion_is_refused(seen: &Seen) -> Judgement {
    refused(
        seen,
        &seen.expired.iter().collect::<Vec<_>>(),
        "expired assertions, and assertions without exp or of somebody else, are refused",
    )
}

fn a_used_assertion_is_refused(seen: &Seen) -> Judgement {
    let [first, second] = &seen.replay[..] else { return Judgement::undecided("nothing was tried") };
    if !authenticated(first, seen) {
        return Judgement::undecided(format!("the first use was not accepted ({})", first.describe())).cite(&first.cite);
    }
    refused(seen, &[second], "the second use of the same assertion is refused")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;

    fn answer(error: &str) -> Answer {
        Answer {
            what: "probe".into(),
            status: if error == "invalid_client" { 401 } else { 400 },
            error: Some(error.into()),
            ..Answer::default()
        }
    }

    fn all(probe: &str, foreign: &str) -> Seen {
        let probe = || answer(probe);
        Seen {
            good: vec![answer("invalid_grant"), answer("invalid_grant")],
            other: Vec::new(),
            foreign_key: answer(foreign),
            token_endpoint: Some(probe()),
            pushed: vec![probe()],
            pushed_good: vec![Answer { tokens: true, ..Answer::default() }; 2],
            arrays: vec![probe()],
            foreign: vec![probe()],
            algorithms: vec![probe()],
            without_rsa: false,
            rsa_control: None,
            expired: vec![probe()],
            replay: vec![answer("invalid_grant"), probe()],
        }
    }

    fn calls(seen: &Seen) -> Vec<Call> {
        ClientAuthentication::CHECKS.iter().map(|check| (check.judge)(seen).call).collect()
    }

    #[test]
    fn refused_assertions_pass() {
        assert!(calls(&all("invalid_client", "invalid_client")).iter().all(|call| *call == Call::Pass));
    }

    #[test]
    fn authenticated_assertions_fail_all_but_the_good_one() {
        let calls = calls(&all("invalid_grant", "invalid_client"));
        assert_eq!(calls[0], Call::Pass);
        assert!(calls[1..].iter().all(|call| *call == Call::Broken), "{calls:?}");
    }

    #[test]
    fn a_pushed_request_tells_who_takes_an_endpoint_as_audience() {
        let judge = |change: &dyn Fn(&mut Seen)| {
            let mut seen = all("invalid_client", "invalid_client");
            change(&mut seen);
            the_token_endpoint_as_audience_is_refused(&seen).call
        };
        assert_eq!(judge(&|seen| seen.pushed[0] = Answer { status: 201, tokens: true, ..Answer::default() }), Call::Broken);
        assert_eq!(judge(&|seen| seen.pushed_good[1].tokens = false), Call::Undecided);
        assert_eq!(judge(&|seen| seen.pushed[0].status = 503), Call::Undecided);
        assert_eq!(judge(&|seen| (seen.pushed.clear(), seen.pushed_good.clear()).0), Call::Pass);
    }

    #[test]
    fn a_rate_limit_decides_nothing() {
        let mut seen = all("invalid_client", "invalid_client");
        seen.arrays = vec![Answer { status: 429, error: None, ..answer("slow_down") }];
        assert_eq!(an_array_as_audience_is_refused(&seen).call, Call::Undecided);
        seen.good[1].status = 429;
        assert_eq!(a_foreign_audience_is_refused(&seen).call, Call::Undecided);
    }

    #[test]
    fn a_server_that_calls_a_junk_code_an_invalid_request_is_read_by_its_good_answer() {
        let seen =
            Seen { good: vec![answer("invalid_request"), answer("invalid_request")], ..all("invalid_request", "invalid_client") };
        assert_eq!(an_array_as_audience_is_refused(&seen).call, Call::Broken);
    }

    #[test]
    fn a_blunt_server_decides_nothing() {
        assert!(calls(&all("invalid_grant", "invalid_grant")).iter().all(|call| *call == Call::Undecided));
    }

    #[test]
    fn an_issuer_audience_that_is_refused_fails() {
        let refused = || vec![answer("invalid_client"), answer("invalid_client")];
        let seen = Seen { good: refused(), ..all("invalid_client", "invalid_client") };
        assert_eq!(the_issuer_as_audience_is_accepted(&seen).call, Call::Undecided);
        let seen = Seen { other: vec![answer("invalid_grant"), answer("invalid_grant")], ..seen };
        assert_eq!(the_issuer_as_audience_is_accepted(&seen).call, Call::Broken);
    }
}
