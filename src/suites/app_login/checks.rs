//! Checks on authorization requests and transport.

use super::checks_client as client;
use super::checks_session as session;
use super::{AuthzFacts, Seen};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suite::Check;

pub(super) const ALL: &[Check<Seen>] = &[
    Check::new("sl1.app.discovery-used", only_published_endpoints_are_called),
    Check::new("sl1.app.tls-client-ciphers", only_recommended_suites_are_offered),
    Check::new("sl1.app.redirect-uri-https", redirect_uris_are_https),
    Check::new("sl1.app.response-type-code", response_type_is_code),
    Check::new("sl1.app.authz-request-valid", requests_are_valid),
    Check::new("sl1.app.pkce-s256", challenges_are_s256),
    Check::new("sl1.app.pkce-unique", every_request_has_its_own_challenge),
    Check::new("sl1.app.pkce-verifier-valid", client::verifiers_fit_and_are_random),
    Check::new("sl1.app.nonce-sent", every_request_has_its_own_nonce),
    Check::new("sl1.app.nonce-length", nonces_are_short),
    Check::new("sl1.app.max-age-sent", max_age_is_sent),
    Check::new("sl1.app.no-secrets-in-front-channel", session::no_secret_reaches_the_browser),
    Check::new("sl1.app.code-used-once", client::every_code_is_redeemed_once),
    Check::new("sl1.app.token-request-valid", client::token_requests_are_valid),
    Check::new("sl1.app.assertion-aud-issuer", client::assertions_name_the_issuer),
    Check::new("sl1.app.assertion-fresh", client::assertions_are_fresh),
    Check::new("sl1.app.jwt-alg", client::jwts_use_listed_algorithms),
    Check::new("sl1.app.key-strength", client::keys_are_strong),
    Check::new("sl1.app.dpop-token-request", client::token_requests_carry_proofs),
    Check::new("sl1.app.dpop-userinfo", client::userinfo_requests_carry_proofs),
    Check::new("sl1.app.access-token-in-header", client::access_tokens_stand_in_the_header),
    Check::new("sl1.app.session-cookie-entropy", session::session_cookies_are_random),
    Check::new("sl1.app.session-cookie-flags", session::session_cookies_are_protected),
    Check::new("sl1.app.access-token-identity-only", session::access_tokens_stay_at_userinfo),
];

/// Runs a demand over authorization requests; the same finding is told once, with how often it was seen.
fn every(seen: &Seen, demand: impl Fn(&AuthzFacts) -> Option<String>, pass: &str) -> Judgement {
    if seen.authorizations.is_empty() {
        return Judgement::undecided("no authorization request arrived");
    }
    over(seen.authorizations.iter().map(|request| (&request.exchange, demand(request))), pass, "authorization requests")
}

/// Gathers equal findings; `pass` where there is none.
pub(super) fn over<'a>(rows: impl Iterator<Item = (&'a String, Option<String>)>, pass: &str, what: &str) -> Judgement {
    let mut all = 0;
    let mut found: Vec<(String, usize, String)> = Vec::new();
    let mut last = None;
    for (exchange, finding) in rows {
        all += 1;
        match finding {
            None => last = Some(exchange.clone()),
            Some(why) => match found.iter_mut().find(|(known, ..)| *known == why) {
                Some(entry) => entry.1 += 1,
                None => found.push((why, 1, exchange.clone())),
            },
        }
    }
    if found.is_empty() {
        return Judgement::pass(format!("{pass} ({all} {what})")).cite(last.as_ref());
    }
    let cites: Vec<String> = found.iter().map(|(_, _, exchange)| exchange.clone()).collect();
    let told: Vec<String> = found.into_iter().map(|(why, count, _)| format!("{why} ({count} of {all} {what})")).collect();
    Judgement::broken(told.join("; ")).cite(&cites)
}

fn only_published_endpoints_are_called(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    for (path, exchange) in &seen.traps {
        found.broken(format!("{path} was called, which no metadata names"), std::slice::from_ref(exchange));
    }
    let signed_in = seen.logins.iter().any(crate::stage::visitor::Attempt::signed_in);
    if seen.traps.is_empty() && !signed_in {
        return Judgement::undecided("no login succeeded, and no unpublished path was called");
    }
    found.conclude("only endpoints that the metadata names were called, and the login works")
}

fn only_recommended_suites_are_offered(seen: &Seen) -> Judgement {
    if seen.hellos.is_empty() {
        return Judgement::undecided("no TLS connection of the application was seen");
    }
    let mut others: Vec<&str> = seen.hellos.iter().flat_map(|hello| &hello.beyond_recommended).map(String::as_str).collect();
    others.sort_unstable();
    others.dedup();
    let expected = "for TLS 1.2 only the four suites of RFC 9325 4.2";
    if others.is_empty() {
        return Judgement::pass("the application offers only recommended suites for TLS 1.2").expected(expected, "nothing else");
    }
    let reason = format!("the application offers {} further suites for TLS 1.2", others.len());
    Judgement::broken(reason).expected(expected, others.join(", "))
}

fn redirect_uris_are_https(seen: &Seen) -> Judgement {
    let demand = |uri: &str| (!uri.starts_with("https://")).then(|| format!("redirect_uri is {uri}"));
    if let Some(why) = seen.redirect_uris.iter().find_map(|uri| demand(uri)) {
        return Judgement::broken(format!("registered: {why}"));
    }
    every(seen, |request| request.redirect_uri.as_deref().and_then(demand), "every redirect_uri is https")
}

fn response_type_is_code(seen: &Seen) -> Judgement {
    let demand = |request: &AuthzFacts| match request.response_type.as_deref() {
        Some("code") => None,
        Some(other) => Some(format!("response_type is \"{other}\"")),
        None => Some("response_type is missing".into()),
    };
    every(seen, demand, "response_type is always code")
}

fn requests_are_valid(seen: &Seen) -> Judgement {
    let demand = |request: &AuthzFacts| {
        let mut wrong = Vec::new();
        let scope = request.scope.as_deref().unwrap_or_default();
        if !scope.split(' ').any(|part| part == "openid") {
            wrong.push(format!("scope \"{scope}\" lacks openid"));
        }
        wrong.extend(request.repeated.iter().map(|name| format!("{name} stands more than once")));
        let expected = seen.client_ids.get(request.issuer).or(seen.client_ids.first());
        if request.client_id.as_ref() != expected {
            wrong.push(format!("client_id is {}", request.client_id.as_deref().unwrap_or("missing")));
        }
        match &request.redirect_uri {
            None => wrong.push("redirect_uri is missing".into()),
            Some(uri) if !seen.redirect_uris.is_empty() && !seen.redirect_uris.contains(uri) => {
                wrong.push(format!("redirect_uri {uri} is not registered"));
            }
            Some(_) => {}
        }
        if let Some(age) = request.max_age.as_ref().filter(|age| age.parse::<u64>().is_err()) {
            wrong.push(format!("max_age is \"{age}\""));
        }
        (!wrong.is_empty()).then(|| wrong.join(", "))
    };
    every(seen, demand, "scope, client_id and redirect_uri are right, each once")
}

fn challenges_are_s256(seen: &Seen) -> Judgement {
    let demand = |request: &AuthzFacts| match (&request.challenge, request.method.as_deref()) {
        (None, _) => Some("code_challenge is missing".to_owned()),
        (_, None) => Some("code_challenge_method is missing, which means plain".into()),
        (_, Some("S256")) if request.challenge_formed => None,
        (_, Some("S256")) => Some("code_challenge is not 43 base64url characters".into()),
        (_, Some(other)) => Some(format!("code_challenge_method is {other}")),
    };
    every(seen, demand, "every request carries an S256 challenge")
}

fn every_request_has_its_own_challenge(seen: &Seen) -> Judgement {
    own_value(seen, |request| request.challenge.clone(), "code_challenge")
}

/// Every request that carries the value carries another one.
fn own_value(seen: &Seen, value: impl Fn(&AuthzFacts) -> Option<String>, what: &str) -> Judgement {
    let with: Vec<(&AuthzFacts, String)> =
        seen.authorizations.iter().filter_map(|request| Some((request, value(request)?))).collect();
    if with.len() < 2 {
        return Judgement::undecided(format!("fewer than two authorization requests with {what}"));
    }
    let mut found = Findings::new();
    for (index, (request, value)) in with.iter().enumerate() {
        if let Some((first, _)) = with[..index].iter().find(|(_, known)| known == value) {
            found.broken(format!("a {what} was used again"), &[first.exchange.clone(), request.exchange.clone()]);
            break;
        }
    }
    found.saw(&[with[0].0.exchange.clone(), with[1].0.exchange.clone()]);
    found.conclude(format!("{} requests, {} different values of {what}", with.len(), with.len()))
}

fn every_request_has_its_own_nonce(seen: &Seen) -> Judgement {
    let missing = |request: &AuthzFacts| request.nonce.is_none().then(|| "nonce is missing".to_owned());
    if seen.authorizations.iter().any(|request| missing(request).is_some()) {
        return every(seen, missing, "");
    }
    own_value(seen, |request| request.nonce.as_ref().map(|(digest, _)| digest.clone()), "nonce")
}

fn nonces_are_short(seen: &Seen) -> Judgement {
    if !seen.authorizations.is_empty() && seen.authorizations.iter().all(|request| request.nonce.is_none()) {
        return Judgement::not_applicable("the application sends no nonce");
    }
    let long = |request: &AuthzFacts| {
        let (_, length) = request.nonce.as_ref().filter(|(_, length)| *length > 64)?;
        Some(format!("a nonce has {length} characters"))
    };
    every(seen, long, "no nonce is longer than 64 characters")
}

fn max_age_is_sent(seen: &Seen) -> Judgement {
    // One request with it shows that the application can ask; a malformed one is for authz-request-valid.
    let with = seen.authorizations.iter().filter(|request| request.max_age.is_some()).count();
    match (with, seen.authorizations.len()) {
        (_, 0) => Judgement::undecided("no authorization request arrived"),
        (0, _) => every(seen, |_| Some("max_age is missing".into()), ""),
        (with, all) if with < all => every(seen, |request| request.max_age.is_none().then(|| "max_age is missing".into()), ""),
        _ => every(seen, |_| None, "every request states max_age"),
    }
}
