//! provision-token: how the identity service authenticates itself at the suite's SCIM server.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Case;
use super::course::Course;
use crate::counterpart::scim_receiver::access::TokenAsked;
use crate::counterpart::scim_receiver::{Door, Fault, Rule, Sent};
use crate::model::Judgement;
use crate::model::target::ScimAuth;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::jose::read;

/// Life of an assertion, in seconds, at most.
const LIFE_S: i64 = 600;
/// Life above which an assertion is no short-lived one at all.
const LONG_S: i64 = 3600;
/// Seconds in which a request is repeated with a new token.
const RENEWAL_S: u64 = 300;
/// Repetitions with the old token that are too many.
const STUBBORN: usize = 3;
/// Algorithms of the draft.
const ALGORITHMS: [&str; 3] = ["PS256", "ES256", "EdDSA"];
/// The two forms of RFC 7523 section 2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const CLIENT_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Tokens.
pub struct Tokens;

/// What was seen of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// How the target file says that tokens are come by: `bearer`, `app-as`, `idp-as`.
    pub layout: String,
    /// What `aud` may say.
    pub audiences: Vec<String>,
    /// Token requests, oldest first.
    pub requests: Vec<Request>,
    /// Access tokens of the identity service that are JWTs.
    pub access_tokens: Vec<Jwt>,
    /// A key set of the identity service could be read.
    pub keys_published: bool,
    /// Exchanges in which the authorization server's metadata was fetched.
    pub discovery: Vec<String>,
    /// The user whose request was answered with 401.
    pub expired: Case,
    /// Token requests since that 401, in seconds after the scenario began.
    pub renewals_s: Vec<f64>,
}

/// A token request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Request {
    /// `grant_type`.
    pub grant_type: String,
    /// `client_assertion_type`.
    pub assertion_type: String,
    /// `scope`; `None` where it is absent.
    pub scope: Option<String>,
    /// A client secret was sent, in the body or by Basic.
    pub secret: bool,
    /// The assertion.
    pub assertion: Option<Jwt>,
    /// The exchange.
    pub cite: String,
}

/// A JWT as received.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Jwt {
    /// Protected header.
    pub header: Value,
    /// Claims.
    pub claims: Map<String, Value>,
    /// Why its signature does not verify with the published keys.
    pub fault: Option<String>,
    /// The exchange.
    pub cite: String,
}

impl Jwt {
    /// Takes a token apart and verifies it.
    pub fn of(token: &str, keys: &Value, cite: &str) -> Self {
        match read(token) {
            Ok(jws) => Jwt {
                fault: jws.verify(keys).err().map(|fault| fault.to_string()),
                claims: jws.claims.as_object().cloned().unwrap_or_default(),
                header: jws.header,
                cite: cite.to_owned(),
            },
            Err(fault) => Jwt { fault: Some(fault.to_string()), cite: cite.to_owned(), ..Jwt::default() },
        }
    }

    /// A claim that is a string; empty otherwise.
    pub fn text(&self, name: &str) -> &str {
        self.claims.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn seconds(&self, name: &str) -> Option<i64> {
        self.claims.get(name).and_then(|value| value.as_i64().or_else(|| value.as_f64().map(|float| float as i64)))
    }

    fn names(&self, audiences: &[String]) -> bool {
        let fits = |one: &Value| one.as_str().is_some_and(|one| audiences.iter().any(|known| known == one));
        self.claims.get("aud").is_some_and(|aud| fits(aud) || aud.as_array().is_some_and(|all| all.iter().any(fits)))
    }
}

impl Request {
    fn of(asked: &TokenAsked, keys: &Value) -> Self {
        let scope = asked.form.iter().find(|(name, _)| name == "scope").map(|(_, value)| value.clone());
        Request {
            grant_type: asked.get("grant_type").to_owned(),
            assertion_type: asked.get("client_assertion_type").to_owned(),
            scope,
            secret: !asked.get("client_secret").is_empty() || asked.scheme.eq_ignore_ascii_case("basic"),
            assertion: asked.assertion().map(|token| Jwt::of(token, keys, &asked.exchange)),
            cite: asked.exchange.clone(),
        }
    }
}

impl Scenario for Tokens {
    type Seen = Seen;
    const ID: &'static str = "provision-token";
    const TITLE: &'static str = "watches how the identity service gets and renews its token";
    const BROWSER: bool = false;
    const PROVISIONED: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("al1.idp.jwt-token-request", a_signed_jwt_brings_the_token),
        Check::new("al1.idp.assertion-fresh", assertions_are_fresh),
        Check::new("al1.idp.scope-scim-only", the_scope_is_scim),
        Check::new("al1.idp.renews-expired-token", an_expired_token_is_renewed),
        Check::new("al1.idp.publishes-jwks", the_keys_are_published),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let course = Course::open(stage)?;
        let arrived = course.arrived(&["token-expired"]).await;
        let mut seen = Seen::default();
        match arrived.get("token-expired") {
            Some(Ok((user, id))) => {
                let mark = course.receiver.log().mark();
                course.receiver.script(Rule::of(&user.tag, Fault::InvalidToken, 1).on(&["PUT", "PATCH", "DELETE"]));
                seen.expired = match course.hook("disable-user", user, &[]).await {
                    Err(obstacle) => Case::blocked(obstacle.message),
                    Ok(cite) => {
                        course.now().await;
                        let gone = || course.deprovisioned(id);
                        // It may meet the 401 in one cycle and repeat in the next one.
                        let limit = (course.cycle() * 2).max(course.patience(RENEWAL_S));
                        let from = std::time::Instant::now();
                        let held = course.wait_for("a new token", limit, gone).await;
                        let took = held.then(|| from.elapsed().as_secs_f64());
                        let limit_s = limit.as_secs_f64();
                        Case { cites: vec![cite], limit_s, ..course.case(mark, id, &user.tag, took) }
                    }
                };
            }
            Some(Err(why)) => seen.expired = Case::blocked(why.as_str()),
            None => {}
        }
        course.receiver.unscript(&arrived.values().flatten().next().map(|(user, _)| user.tag.clone()).unwrap_or_default());
        look(&course, &mut seen);
        course.close(arrived.into_values().flatten().map(|(user, _)| user)).await;
        Ok(seen)
    }
}

/// What the authorization server has seen so far.
fn look(course: &Course<'_>, seen: &mut Seen) {
    let desk = &course.receiver.desk;
    let keys = desk.keys();
    seen.layout = match desk.layout {
        ScimAuth::Bearer => "bearer",
        ScimAuth::AppAs => "app-as",
        ScimAuth::IdpAs => "idp-as",
    }
    .into();
    seen.keys_published = keys["keys"].is_array();
    seen.audiences = vec![desk.issuer.clone(), format!("{}/", desk.issuer), desk.token_endpoint.clone(), desk.audience.clone()];
    let asked = desk.asked();
    seen.requests = asked.iter().map(|asked| Request::of(asked, &keys)).collect();
    seen.access_tokens = desk.presented().iter().map(|(token, cite)| Jwt::of(token, &keys, cite)).collect();
    seen.discovery =
        course.receiver.log().since(0, |entry| entry.door == Door::Metadata).into_iter().map(|entry| entry.exchange).collect();
    let refused = seen.expired.sent.iter().find(|sent| expired(sent)).map(|sent| sent.at_s);
    let after = |asked: &TokenAsked| asked.at.saturating_duration_since(course.began).as_secs_f64();
    seen.renewals_s = asked.iter().map(after).filter(|at| refused.is_some_and(|refused| *at >= refused)).collect();
}

/// It was told that its token has expired. A 401 for another reason demands no new token.
fn expired(sent: &Sent) -> bool {
    sent.status == 401 && sent.fault.is_some()
}

/// What a static token leaves open.
const STATIC: &str = "the provisioning token is a static one (scim.auth = \"bearer\"): no token is asked for";

fn a_signed_jwt_brings_the_token(seen: &Seen) -> Judgement {
    match seen.layout.as_str() {
        "bearer" => return Judgement::broken(STATIC),
        "idp-as" => return own_tokens(seen),
        _ => {}
    }
    let mut found = Findings::new();
    for request in &seen.requests {
        let cite = [request.cite.clone()];
        if request.secret {
            found.broken("a client secret is sent in a token request", &cite);
        }
        let Some(assertion) = &request.assertion else {
            found.broken(format!("a token request (grant_type `{}`) carries no signed JWT", request.grant_type), &cite);
            continue;
        };
        if request.grant_type != JWT_BEARER && request.assertion_type != CLIENT_ASSERTION {
            found.broken("neither grant_type nor client_assertion_type is that of RFC 7523", &cite);
        }
        signed(assertion, &seen.audiences, seen.keys_published, &mut found);
    }
    if seen.requests.is_empty() {
        Judgement::undecided("no token was asked for")
    } else {
        found.conclude("tokens are asked for with a signed JWT (RFC 7523)")
    }
}

/// An assertion: claims of RFC 7523 section 3, algorithms of the draft.
fn signed(jwt: &Jwt, audiences: &[String], keys: bool, found: &mut Findings) {
    let cite = [jwt.cite.clone()];
    for name in ["iss", "sub", "jti"] {
        if jwt.text(name).is_empty() {
            found.broken(format!("the assertion has no {name}"), &cite);
        }
    }
    if !jwt.names(audiences) {
        found.broken(format!("the assertion's aud is {}", jwt.claims.get("aud").unwrap_or(&Value::Null)), &cite);
    }
    let alg = jwt.header["alg"].as_str().unwrap_or_default();
    if !ALGORITHMS.contains(&alg) {
        found.broken(format!("the assertion is signed with `{alg}`"), &cite);
    }
    match (jwt.seconds("exp"), jwt.seconds("iat")) {
        (None, _) => found.broken("the assertion has no exp", &cite),
        (Some(_), None) => found.broken("the assertion has no iat", &cite),
        (Some(exp), Some(iat)) if exp - iat > LIFE_S => found.broken(format!("the assertion lives {} s", exp - iat), &cite),
        _ => {}
    }
    match &jwt.fault {
        Some(fault) if keys => found.broken(format!("the assertion: {fault}"), &cite),
        Some(_) => found.undecided("no key set of the identity service is known: name its URL in scim.keys", &cite),
        None => found.saw(&cite),
    }
}

/// Access tokens of the identity service's own authorization server.
fn own_tokens(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    for token in &seen.access_tokens {
        let cite = [token.cite.clone()];
        if !token.names(&seen.audiences) {
            found.broken("the access token is not for this server (aud)", &cite);
        }
        match &token.fault {
            Some(fault) if seen.keys_published => found.broken(format!("the access token: {fault}"), &cite),
            Some(_) => found.undecided("no key set of the identity service is known: name its URL in scim.keys", &cite),
            None => found.saw(&cite),
        }
    }
    if seen.access_tokens.is_empty() {
        Judgement::undecided("no JWT access token was presented")
    } else {
        found.conclude("access tokens are signed JWTs for this server")
    }
}

fn assertions_are_fresh(seen: &Seen) -> Judgement {
    let jwts: Vec<&Jwt> = match seen.layout.as_str() {
        "bearer" => return Judgement::undecided(STATIC),
        "idp-as" => seen.access_tokens.iter().collect(),
        _ => seen.requests.iter().filter_map(|request| request.assertion.as_ref()).collect(),
    };
    let mut found = Findings::new();
    for (at, jwt) in jwts.iter().enumerate() {
        let cite = [jwt.cite.clone()];
        let jti = jwt.text("jti");
        if jti.is_empty() {
            found.broken("there is no jti", &cite);
        } else if let Some(before) = jwts[..at].iter().find(|other| other.text("jti") == jti) {
            found.broken("two requests carry the same jti", &[jwt.cite.clone(), before.cite.clone()]);
        }
        match (jwt.seconds("exp"), jwt.seconds("iat")) {
            (Some(exp), Some(iat)) if exp - iat > LONG_S => found.broken(format!("it lives {} s", exp - iat), &cite),
            (Some(exp), Some(iat)) if exp - iat > LIFE_S => found.doubtful(format!("it lives {} s", exp - iat), &cite),
            (Some(_), Some(_)) => found.saw(&cite),
            _ => found.broken("exp or iat is missing", &cite),
        }
    }
    if jwts.len() < 2 {
        return Judgement::undecided(format!("{} token request with an assertion was seen, and two are needed", jwts.len()));
    }
    found.conclude(format!("{} assertions have their own jti and live {LIFE_S} s at most", jwts.len()))
}

fn the_scope_is_scim(seen: &Seen) -> Judgement {
    let asked: Vec<(Option<String>, String)> = match seen.layout.as_str() {
        "bearer" => return Judgement::undecided(STATIC),
        "idp-as" => seen.access_tokens.iter().map(|token| (scope_of(token), token.cite.clone())).collect(),
        _ => seen.requests.iter().map(|request| (request.scope.clone(), request.cite.clone())).collect(),
    };
    let mut found = Findings::new();
    for (scope, cite) in &asked {
        match scope.as_deref().map(str::trim) {
            Some("scim") => found.saw(std::slice::from_ref(cite)),
            None | Some("") => {
                found.doubtful("no scope is asked for: the server's default stands in", std::slice::from_ref(cite));
            }
            Some(other) => found.broken(format!("the scope is `{other}`"), std::slice::from_ref(cite)),
        }
    }
    if asked.is_empty() {
        Judgement::undecided("no readable token or token request was seen")
    } else {
        found.conclude("the scope is scim and nothing else")
    }
}

fn scope_of(token: &Jwt) -> Option<String> {
    let listed = |name: &str| {
        let all = token.claims.get(name)?.as_array()?;
        Some(all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
    };
    token.claims.get("scope").and_then(Value::as_str).map(str::to_owned).or_else(|| listed("scope")).or_else(|| listed("scp"))
}

fn an_expired_token_is_renewed(seen: &Seen) -> Judgement {
    if seen.layout == "bearer" {
        return Judgement::undecided(STATIC);
    }
    let case = &seen.expired;
    if let Some(why) = &case.obstacle {
        return Judgement::undecided(why.as_str());
    }
    let Some(at) = case.sent.iter().position(expired) else {
        return Judgement::undecided("no request met the 401");
    };
    let refused = &case.sent[at];
    let stubborn = case.sent[at + 1..].iter().filter(|sent| sent.status == 401).count();
    let cites = case.cited();
    if stubborn > STUBBORN {
        return Judgement::broken(format!("the old token was sent {stubborn} times more after the 401")).cite(&cites);
    }
    let Some(repeated) = case.sent[at + 1..].iter().find(|sent| sent.writes() && sent.ok()) else {
        return Judgement::broken(format!("the request was not repeated within {:.0} s after the 401", case.limit_s))
            .cite(&cites);
    };
    let took = repeated.at_s - refused.at_s;
    if repeated.same_token(refused) {
        return Judgement::broken("the request was repeated with the same token").cite([&refused.cite, &repeated.cite]);
    }
    let other = !refused.token.is_empty() && !repeated.token.is_empty();
    let fresh = other || seen.renewals_s.iter().any(|renewal| *renewal <= repeated.at_s);
    let seen_at = [&refused.cite, &repeated.cite];
    match (fresh, took > RENEWAL_S as f64) {
        (false, _) => Judgement::broken("the request was repeated, and no new token was asked for").cite(seen_at),
        (true, true) => {
            Judgement::doubtful(format!("repeated with a new token after {took:.0} s, in the next cycle")).cite(seen_at)
        }
        (true, false) => Judgement::pass(format!("repeated with a new token after {took:.1} s")).cite(seen_at),
    }
}

fn the_keys_are_published(seen: &Seen) -> Judgement {
    let jwts: Vec<&Jwt> = match seen.layout.as_str() {
        "bearer" => return Judgement::undecided(STATIC),
        "idp-as" => seen.access_tokens.iter().collect(),
        _ => seen.requests.iter().filter_map(|request| request.assertion.as_ref()).collect(),
    };
    if jwts.is_empty() {
        return Judgement::undecided("no signed JWT was seen");
    }
    if !seen.keys_published {
        return Judgement::broken("no key set is published: neither scim.keys nor the metadata leads to one");
    }
    let mut found = Findings::new();
    for jwt in &jwts {
        match &jwt.fault {
            Some(fault) => {
                found.broken(format!("a JWT that the published keys do not verify: {fault}"), std::slice::from_ref(&jwt.cite));
            }
            None => found.saw(std::slice::from_ref(&jwt.cite)),
        }
    }
    found.conclude("the published keys verify what the identity service signs")
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
