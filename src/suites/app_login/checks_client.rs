//! Checks on the application as OAuth client: token requests, assertions, keys, DPoP.

use std::collections::BTreeMap;

use super::checks::over;
use super::{AssertionFacts, Seen, TokenFacts, UserInfoFacts};
use crate::model::Judgement;
use crate::model::target::ClientAuth;
use crate::model::verdict::Findings;

/// The algorithms of the Common Requirements Profile 3.3. RFC 9864 names EdDSA with Ed25519 also Ed25519.
const LISTED: [&str; 4] = ["PS256", "ES256", "EdDSA", "Ed25519"];
/// Random bits that the Common Requirements Profile 3.3 demands.
const BITS: f64 = 128.0;

/// Token requests with a code.
fn by_code(seen: &Seen) -> impl Iterator<Item = &TokenFacts> {
    seen.tokens.iter().filter(|token| token.grant_type == "authorization_code")
}

pub(super) fn verifiers_fit_and_are_random(seen: &Seen) -> Judgement {
    let mut tokens = by_code(seen).filter(|token| token.delivered).peekable();
    if tokens.peek().is_none() {
        return Judgement::undecided("no token request with a code of an ordinary login arrived");
    }
    let demand = |token: &TokenFacts| {
        let length = token.verifier_len?;
        if !(43..=128).contains(&length) {
            Some(format!("code_verifier has {length} characters"))
        } else if !token.verifier_formed {
            Some("code_verifier has characters outside the allowed ones".into())
        } else if token.verifier_fits == Some(false) {
            Some("code_verifier does not fit the challenge of its flow".into())
        } else {
            None
        }
    };
    let missing = |token: &TokenFacts| token.verifier_len.is_none().then(|| "code_verifier is missing".to_owned());
    let rows: Vec<(&String, Option<String>)> =
        tokens.map(|token| (&token.exchange, missing(token).or_else(|| demand(token)))).collect();
    let estimate = &seen.verifiers;
    let observed = format!("{:.0} bits in {} varying characters ({} samples)", estimate.bits, estimate.varying, estimate.samples);
    let judgement = over(rows.into_iter(), "every code_verifier fits", "token requests");
    if judgement.call == crate::model::Call::Pass && estimate.samples >= 4 && estimate.bits < BITS {
        let reason = format!("code verifiers differ in at most {:.0} bits", estimate.bits);
        return Judgement::broken(reason).expected("43 to 128 characters with at least 128 random bits", observed);
    }
    judgement.expected("43 to 128 characters with at least 128 random bits", observed)
}

pub(super) fn every_code_is_redeemed_once(seen: &Seen) -> Judgement {
    let mut by: BTreeMap<&str, Vec<&TokenFacts>> = BTreeMap::new();
    for token in by_code(seen).filter(|token| token.delivered) {
        by.entry(token.code.as_deref().unwrap_or_default()).or_default().push(token);
    }
    if by.is_empty() {
        return Judgement::undecided("no token request with a code arrived");
    }
    let mut found = Findings::new();
    for requests in by.values() {
        let after = requests.iter().skip_while(|token| token.status != 200).skip(1);
        let cites: Vec<String> = requests.iter().map(|token| token.exchange.clone()).collect();
        // A response that a scenario replays on purpose is not the application's doing.
        if after.count() > 0 && requests.iter().filter(|token| token.status == 200).count() < 2 {
            found.broken("a code was sent again after it had been redeemed", &cites);
        }
    }
    found.conclude(format!("{} codes, each redeemed once", by.len()))
}

pub(super) fn token_requests_are_valid(seen: &Seen) -> Judgement {
    if seen.tokens.is_empty() {
        return Judgement::undecided("no token request arrived");
    }
    let demand = |token: &TokenFacts| {
        let mut wrong = Vec::new();
        if token.method != "POST" {
            wrong.push(format!("the method is {}", token.method));
        }
        if token.media_type != "application/x-www-form-urlencoded" {
            wrong.push(format!("the media type is \"{}\"", token.media_type));
        }
        match token.grant_type.as_str() {
            "authorization_code" | "refresh_token" => {}
            other => wrong.push(format!("grant_type is \"{other}\"")),
        }
        if token.grant_type == "authorization_code" && token.delivered && token.same_redirect_uri == Some(false) {
            wrong.push("redirect_uri differs from the authorization request".into());
        }
        wrong.extend(token.in_url.iter().map(|name| format!("{name} stands in the URL")));
        wrong.extend(authentication(seen, token));
        (!wrong.is_empty()).then(|| wrong.join(", "))
    };
    let judgement =
        over(seen.tokens.iter().map(|token| (&token.exchange, demand(token))), "every token request is right", "token requests");
    let raw = seen.tokens.iter().filter(|token| token.raw_credentials).count();
    if judgement.call == crate::model::Call::Pass && raw > 0 {
        let note = format!(
            "{}; Basic credentials are not form-encoded first (RFC 6749 2.3.1), which other providers may refuse",
            judgement.reason
        );
        return Judgement { reason: note, ..judgement };
    }
    judgement
}

/// Exactly one method, the registered one.
fn authentication(seen: &Seen, token: &TokenFacts) -> Option<String> {
    let registered = match seen.registered_auth {
        ClientAuth::PrivateKeyJwt => "private_key_jwt",
        ClientAuth::ClientSecretBasic => "client_secret_basic",
        ClientAuth::ClientSecretPost => "client_secret_post",
        ClientAuth::None => "none",
    };
    match token.auth.as_slice() {
        [] if registered == "none" => None,
        [] => Some(format!("the client does not authenticate although {registered} is registered")),
        [one] if one == registered && token.auth_right == Some(false) => Some(format!("the {one} credential is wrong")),
        [one] if one == registered => None,
        [one] => Some(format!("the client authenticates by {one} although {registered} is registered")),
        several => Some(format!("the client authenticates by {} at once", several.join(" and "))),
    }
}

fn no_assertions(seen: &Seen) -> Judgement {
    if seen.tokens.is_empty() {
        return Judgement::undecided("no token request arrived");
    }
    Judgement::not_applicable("the application does not authenticate with JWTs")
}

pub(super) fn assertions_name_the_issuer(seen: &Seen) -> Judgement {
    if seen.assertions.is_empty() {
        return no_assertions(seen);
    }
    let demand = |assertion: &AssertionFacts| {
        let issuer = seen.issuers.get(assertion.issuer).or(seen.issuers.first())?;
        (assertion.aud != *issuer.as_str()).then(|| format!("aud is {}", assertion.aud))
    };
    over(
        seen.assertions.iter().map(|assertion| (&assertion.exchange, demand(assertion))),
        "aud is the issuer identifier, as one string",
        "client assertions",
    )
}

pub(super) fn assertions_are_fresh(seen: &Seen) -> Judgement {
    if seen.assertions.is_empty() {
        return no_assertions(seen);
    }
    if seen.assertions.len() < 2 {
        return Judgement::undecided("fewer than two client assertions arrived");
    }
    let mut found = Findings::new();
    let mut last: BTreeMap<&str, &AssertionFacts> = BTreeMap::new();
    for assertion in &seen.assertions {
        let cite = std::slice::from_ref(&assertion.exchange);
        match &assertion.jti {
            None => found.broken("a client assertion has no jti", cite),
            Some(jti) => {
                if last.insert(jti, assertion).is_some() {
                    found.broken("a jti was used again", cite);
                }
            }
        }
        if !assertion.iss_right || !assertion.sub_right {
            found.broken("iss or sub is not the client_id", cite);
        }
        match assertion.lifetime_s {
            None => found.broken("a client assertion has no exp", cite),
            Some(seconds) if seconds > 600 => found.doubtful(format!("a client assertion lives {seconds} s"), cite),
            Some(_) => {}
        }
    }
    found.conclude(format!("{} client assertions, each new, short-lived and complete", seen.assertions.len()))
}

pub(super) fn jwts_use_listed_algorithms(seen: &Seen) -> Judgement {
    let proofs = seen.tokens.iter().filter_map(|token| Some((&token.exchange, "a DPoP proof", &token.proof.as_ref()?.alg)));
    let more = seen.userinfo.iter().filter_map(|request| Some((&request.exchange, "a DPoP proof", &request.proof.as_ref()?.alg)));
    let assertions = seen.assertions.iter().map(|assertion| (&assertion.exchange, "a client assertion", &assertion.alg));
    let objects = seen.objects.iter().map(|(alg, exchange)| (exchange, "a request object", alg));
    let all: Vec<(&String, &str, &String)> = proofs.chain(more).chain(assertions).chain(objects).collect();
    if all.is_empty() {
        return if seen.tokens.is_empty() {
            Judgement::undecided("no token request arrived")
        } else {
            Judgement::not_applicable("the application signs no JWT")
        };
    }
    let rows = all.into_iter().map(|(exchange, what, alg)| {
        (
            exchange,
            (!LISTED.contains(&alg.as_str()))
                .then(|| format!("{what} is signed with {}", if alg.is_empty() { "nothing readable" } else { alg })),
        )
    });
    over(rows, "PS256, ES256 or EdDSA everywhere", "JWTs of the application")
}

pub(super) fn keys_are_strong(seen: &Seen) -> Judgement {
    if seen.keys.is_empty() {
        return if seen.tokens.is_empty() {
            Judgement::undecided("no token request arrived")
        } else if seen.assertions.is_empty() {
            Judgement::not_applicable("the application shows no key")
        } else {
            Judgement::not_configured("app.jwks is not configured: the keys behind the client assertions are not known")
        };
    }
    let mut found = Findings::new();
    for key in &seen.keys {
        let cites: Vec<String> = key.exchange.iter().cloned().collect();
        if !key.private.is_empty() {
            found.broken(format!("{} shows private members: {}", key.place, key.private.join(", ")), &cites);
        }
        match (key.kty.as_str(), key.bits) {
            ("RSA", Some(bits)) if bits < 2048 => found.broken(format!("{} is RSA with {bits} bits", key.place), &cites),
            ("EC" | "OKP", Some(bits)) if bits < 224 => {
                found.broken(format!("{} is on a curve of {bits} bits", key.place), &cites);
            }
            ("RSA" | "EC" | "OKP", Some(_)) => found.saw(&cites),
            (kty, _) => found.broken(format!("{} has the type \"{kty}\" or no known size", key.place), &cites),
        }
    }
    found.conclude(format!("{} keys of sufficient size, public parts only", seen.keys.len()))
}

/// UserInfo was never called: the demand holds for those that make resource requests.
fn no_resource_requests(seen: &Seen) -> Option<Judgement> {
    if seen.userinfo.iter().any(|request| request.known) {
        return None;
    }
    Some(if seen.tokens.iter().any(|token| token.status == 200) {
        Judgement::not_applicable("the application never calls UserInfo; enable it for the run if the product can")
    } else {
        Judgement::undecided("no login got as far as the token endpoint")
    })
}

pub(super) fn token_requests_carry_proofs(seen: &Seen) -> Judgement {
    if let Some(judgement) = no_resource_requests(seen) {
        return judgement;
    }
    let demand = |token: &TokenFacts| match &token.proof {
        None => Some("no DPoP header".to_owned()),
        Some(proof) if proof.problems.is_empty() => None,
        Some(proof) => Some(format!("the proof is wrong: {}", proof.problems.join(", "))),
    };
    let rows = by_code(seen).filter(|token| token.delivered).map(|token| (&token.exchange, demand(token)));
    over(rows, "every token request carries a valid proof", "token requests")
}

pub(super) fn userinfo_requests_carry_proofs(seen: &Seen) -> Judgement {
    if let Some(judgement) = no_resource_requests(seen) {
        return judgement;
    }
    let demand = |request: &UserInfoFacts| {
        let mut wrong = Vec::new();
        if !request.scheme.eq_ignore_ascii_case("dpop") {
            let bound = if request.bound { "a bound token" } else { "an unbound token" };
            wrong.push(format!("{bound} is sent with the scheme \"{}\"", request.scheme));
        }
        match &request.proof {
            None => wrong.push("there is no proof".into()),
            Some(proof) => wrong.extend(proof.problems.iter().map(|problem| format!("the proof is wrong: {problem}"))),
        }
        if request.same_key == Some(false) {
            wrong.push("the proof is made with another key than the token is bound to".into());
        }
        (!wrong.is_empty()).then(|| wrong.join(", "))
    };
    let rows = seen.userinfo.iter().filter(|request| request.known).map(|request| (&request.exchange, demand(request)));
    over(rows, "every request uses the DPoP scheme and a valid proof", "UserInfo requests")
}

pub(super) fn access_tokens_stand_in_the_header(seen: &Seen) -> Judgement {
    if let Some(judgement) = no_resource_requests(seen) {
        return judgement;
    }
    let demand = |request: &UserInfoFacts| {
        (!request.misplaced.is_empty()).then(|| format!("access_token stands in the {}", request.misplaced.join(" and in the ")))
    };
    let rows = seen.userinfo.iter().filter(|request| request.known).map(|request| (&request.exchange, demand(request)));
    over(rows, "the access token stands in the Authorization header only", "UserInfo requests")
}
