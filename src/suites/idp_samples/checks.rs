//! The checks on all samples of the run.

use super::{Seen, every, of_logins, of_main, text};
use crate::model::verdict::Findings;
use crate::model::{Call, Judgement};
use crate::suite::Check;
use crate::wire::amr;
use crate::wire::entropy::{Estimate, Shape};
use crate::wire::seen::IdTokenSeen;

pub(super) const ALL: &[Check<Seen>] = &[
    Check::new("sl1.idp.no-front-channel-assertion", no_token_travels_through_the_browser),
    Check::new("sl1.idp.code-entropy", codes_are_random),
    Check::new("sl1.idp.token-entropy", tokens_are_random),
    Check::new("sl1.idp.id-token-signed", every_id_token_verifies),
    Check::new("sl1.idp.id-token-alg", every_id_token_uses_a_listed_algorithm),
    Check::new("sl1.idp.id-token-iss", every_iss_is_the_issuer),
    Check::new("sl1.idp.id-token-aud-string", every_aud_is_one_string),
    Check::new("sl1.idp.id-token-times", iat_and_exp_are_sound),
    Check::new("sl1.idp.id-token-short-validity", id_tokens_are_short_lived),
    Check::new("sl1.idp.id-token-sub", the_sub_is_constant),
    Check::new("sl1.idp.assertion-identifier", every_id_token_has_its_own_jti),
    Check::new("sl1.idp.id-token-acr", acr_is_always_a_string),
    Check::new("sl1.idp.id-token-amr", amr_is_always_an_array_of_strings),
    Check::new("sl1.idp.amr-registered", amr_values_are_registered),
    Check::new("sl1.idp.id-token-session-expiry", session_expiry_is_a_point_in_time),
    Check::new("sl1.idp.tenant-claim-form", tenant_claims_have_their_form),
];

/// A usual least number of samples for an estimate.
const FEW: usize = 8;
/// What the Common Requirements demand.
const BITS: f64 = 128.0;

fn no_token_travels_through_the_browser(seen: &Seen) -> Judgement {
    if seen.responses == 0 {
        return Judgement::undecided("no authorization response was seen");
    }
    let mut found = Findings::new();
    for (what, exchange) in &seen.leaks {
        found.broken(format!("{what} in the front channel"), std::slice::from_ref(exchange));
    }
    found.conclude(format!("{} authorization responses carry nothing but code, state and iss", seen.responses))
}

fn random(estimate: &Estimate, what: &str) -> Judgement {
    let observed = format!(
        "{:.0} bits in {} varying characters of {} ({} samples)",
        estimate.bits, estimate.varying, estimate.alphabet, estimate.samples
    );
    let judgement = if estimate.repeats > 0 {
        Judgement::broken(format!("{what} repeat: {} of {}", estimate.repeats, estimate.samples))
    } else if estimate.sequential {
        Judgement::broken(format!("{what} count up or down"))
    } else if estimate.samples < FEW {
        Judgement::undecided(format!("only {} samples; {FEW} are needed", estimate.samples))
    } else if matches!(estimate.shape, Shape::Jwt | Shape::Jwe) {
        Judgement::undecided(format!("{what} are structured tokens whose randomness cannot be separated from structure"))
    } else if estimate.bits < BITS {
        Judgement::broken(format!("{what} have a variable part of {:.0} bits at most", estimate.bits))
    } else {
        Judgement::pass(format!("{what} have a variable part of up to {:.0} bits", estimate.bits))
    };
    judgement.expected("at least 128 bits", observed)
}

fn codes_are_random(seen: &Seen) -> Judgement {
    random(&seen.codes, "authorization codes")
}

/// Fewer samples than needed still show a weak generator when they are far from what is demanded: chance coincidences cost a
/// handful of characters, not half of them.
const PLAINLY_WEAK: f64 = 64.0;

fn tokens_are_random(seen: &Seen) -> Judgement {
    if seen.access_algs.iter().chain(&seen.refresh_algs).any(|alg| alg == "none") {
        return Judgement::broken("access or refresh tokens are JWTs with alg none");
    }
    let symmetric = seen.access_algs.iter().chain(&seen.refresh_algs).any(|alg| alg.starts_with("HS"));
    let mut undecided = Vec::new();
    let mut passed = Vec::new();
    for (estimate, what) in [(&seen.access, "access tokens"), (&seen.refresh, "refresh tokens")] {
        if estimate.samples == 0 {
            continue;
        }
        let judged = random(estimate, what);
        if (2..FEW).contains(&estimate.samples) && judged.call == Call::Undecided && estimate.bits < PLAINLY_WEAK {
            return Judgement::broken(format!("{what} have a variable part of {:.0} bits at most", estimate.bits));
        }
        match judged.call {
            Call::Broken => return judged,
            Call::Undecided => undecided.push(judged),
            _ => passed.push(judged),
        }
    }
    if symmetric {
        return Judgement::undecided("tokens are JWTs under an HMAC key, whose strength cannot be seen");
    }
    if !seen.access_algs.is_empty() {
        return Judgement::pass(format!("access tokens are JWTs signed with {}", seen.access_algs.join(", ")));
    }
    // Access tokens come with every login; few refresh tokens beside them are usual and do not hold the verdict up.
    match (passed.pop(), undecided.pop()) {
        (Some(passed), _) => passed,
        (None, Some(undecided)) => undecided,
        (None, None) => Judgement::undecided("no access or refresh token was returned"),
    }
}

fn every_id_token_verifies(seen: &Seen) -> Judgement {
    if seen.id_tokens.iter().any(IdTokenSeen::unverifiable) {
        return Judgement::undecided("there is no JWK Set to verify with (see sl1.idp.discovery-published)");
    }
    let demand = |token: &IdTokenSeen| {
        // A client with encryption whose token does not open is judged by sl1.idp.id-token-encryption-offered.
        if matches!(token.encrypted, Some(Err(_))) {
            return None;
        }
        match (&token.signature, token.at_hash_fits) {
            (Err(why), _) => Some(why.clone()),
            (_, Some(false)) => Some("at_hash does not fit the access token".into()),
            _ => None,
        }
    };
    every(seen.id_tokens.iter(), demand, "every signature verifies with a published key")
}

fn every_id_token_uses_a_listed_algorithm(seen: &Seen) -> Judgement {
    let demand = |token: &IdTokenSeen| {
        let alg = token.header["alg"].as_str().unwrap_or("(none)");
        let curve = token.signature.as_ref().ok().and_then(|key| key["crv"].as_str());
        match alg {
            "PS256" | "ES256" | "Ed25519" => None,
            "EdDSA" if curve.is_none_or(|curve| curve == "Ed25519") => None,
            "PS384" | "PS512" | "ES384" | "ES512" => {
                Some(format!("signed with {alg}, which is strong but not listed (low severity)"))
            }
            _ => Some(format!("signed with {alg}")),
        }
    };
    every(seen.id_tokens.iter().filter(|token| !token.header.is_null()), demand, "signed with PS256, ES256 or EdDSA")
}

fn every_iss_is_the_issuer(seen: &Seen) -> Judgement {
    let demand = |token: &IdTokenSeen| {
        (token.claim("iss") != seen.issuer.as_str()).then(|| format!("iss is {}", text(token.claim("iss"))))
    };
    every(readable(seen), demand, "iss is the issuer of the metadata")
}

fn every_aud_is_one_string(seen: &Seen) -> Judgement {
    let demand = |token: &IdTokenSeen| match token.claim("aud") {
        aud if aud == token.client_id.as_str() => None,
        aud if aud.is_array() => Some("aud is an array".to_owned()),
        aud if aud.is_null() => Some("aud is missing".to_owned()),
        aud => Some(format!("aud is {aud} and not the client_id")),
    };
    every(readable(seen), demand, "aud is the client_id as a string")
}

fn iat_and_exp_are_sound(seen: &Seen) -> Judgement {
    let demand = |token: &IdTokenSeen| {
        let (iat, exp) = (token.claim("iat"), token.claim("exp"));
        let (Some(issued), Some(expires)) = (iat.as_f64(), exp.as_f64()) else {
            return Some(format!("iat is {}, exp is {}: both must be numbers", text(iat), text(exp)));
        };
        #[allow(clippy::cast_precision_loss)]
        let off = issued - token.now() as f64;
        if expires <= issued {
            Some("exp is not after iat".to_owned())
        } else if off.abs() > 60.0 {
            Some("iat is more than 60 s off the response's Date".to_owned())
        } else {
            None
        }
    };
    every(readable(seen), demand, "iat is the time of the response and exp lies after it")
}

fn id_tokens_are_short_lived(seen: &Seen) -> Judgement {
    let window = |token: &IdTokenSeen| Some(token.seconds("exp")? - token.seconds("iat")?);
    let longest = readable(seen).filter_map(window).max();
    let demand =
        |token: &IdTokenSeen| window(token).filter(|seconds| *seconds > 600).map(|seconds| format!("valid for {seconds} s"));
    every(readable(seen), demand, "the validity window is short")
        .expected("at most 600 s", longest.map(|seconds| format!("{seconds} s")).unwrap_or_default())
}

fn the_sub_is_constant(seen: &Seen) -> Judgement {
    let tokens: Vec<&IdTokenSeen> = of_main(seen).filter(|token| !token.header.is_null()).collect();
    let Some(first) = tokens.first() else { return Judgement::undecided("no ID token was returned") };
    let demand = |token: &IdTokenSeen| match token.claim("sub").as_str() {
        None => Some(format!("sub is {} and not a string", text(token.claim("sub")))),
        Some("") => Some("sub is empty".to_owned()),
        Some(sub) if sub.len() > 255 || !sub.is_ascii() => Some("sub is longer than 255 characters, or not ASCII".to_owned()),
        Some(_) if token.claim("sub") != first.claim("sub") => Some("sub changes from login to login".to_owned()),
        Some(_) => None,
    };
    let judgement = every(tokens.iter().copied(), demand, "sub is well formed and constant");
    if judgement.call != Call::Pass {
        judgement
    } else if tokens.len() < 2 {
        Judgement::undecided("there was only one login in the run").cite([&first.exchange])
    } else if tokens.iter().any(|token| token.sub_is_email) {
        Judgement::doubtful("sub is the email address, which may be given to another person").cite([&first.exchange])
    } else {
        judgement
    }
}

fn every_id_token_has_its_own_jti(seen: &Seen) -> Judgement {
    let tokens: Vec<&IdTokenSeen> = readable(seen).collect();
    if tokens.len() < 2 {
        return Judgement::undecided("fewer than two ID tokens");
    }
    let mut known = std::collections::BTreeSet::new();
    let repeated: std::collections::BTreeSet<&str> =
        tokens.iter().filter_map(|token| token.claim("jti").as_str()).filter(|jti| !known.insert(*jti)).collect();
    let demand = |token: &IdTokenSeen| match token.claim("jti").as_str() {
        None => Some("jti is missing".to_owned()),
        Some(jti) if repeated.contains(jti) => Some("jti is repeated".to_owned()),
        Some(_) => None,
    };
    every(tokens.iter().copied(), demand, "jti is present and never repeated")
}

fn acr_is_always_a_string(seen: &Seen) -> Judgement {
    let demand = |token: &IdTokenSeen| match token.claim("acr") {
        serde_json::Value::String(acr) if !acr.is_empty() => None,
        other => Some(format!("acr is {}", text(other))),
    };
    let judgement = every(of_logins(seen).filter(|token| !token.header.is_null()), demand, "acr is a non-empty string");
    let unknown: Vec<&str> = of_logins(seen)
        .filter_map(|token| token.claim("acr").as_str())
        .filter(|acr| !seen.acr_supported.is_empty() && !seen.acr_supported.iter().any(|known| known == acr))
        .collect();
    match unknown.first() {
        Some(acr) if judgement.call == Call::Pass => {
            Judgement::doubtful(format!("acr `{acr}` is not among acr_values_supported")).cite(&judgement.cites)
        }
        _ => judgement,
    }
}

fn amr_is_always_an_array_of_strings(seen: &Seen) -> Judgement {
    let demand = |token: &IdTokenSeen| match token.claim("amr").as_array() {
        Some(methods) if methods.is_empty() => Some("amr is an empty array".to_owned()),
        Some(methods) if methods.iter().all(serde_json::Value::is_string) => None,
        Some(_) => Some("amr holds something else than strings".to_owned()),
        None if token.claim("amr").is_null() => Some("amr is missing".to_owned()),
        None => Some(format!("amr is {} and no array", token.claim("amr"))),
    };
    every(of_logins(seen).filter(|token| !token.header.is_null()), demand, "amr is an array of strings")
}

fn amr_values_are_registered(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let mut values = std::collections::BTreeMap::new();
    for token in of_logins(seen) {
        for value in token.claim("amr").as_array().into_iter().flatten().filter_map(serde_json::Value::as_str) {
            values.entry(value.to_owned()).or_insert_with(|| token.exchange.clone());
        }
    }
    if seen.id_tokens.is_empty() {
        return Judgement::undecided("no ID token was returned");
    }
    if values.is_empty() {
        return Judgement::not_applicable("no ID token holds an amr value (see sl1.idp.id-token-amr)");
    }
    for (value, exchange) in &values {
        let cite = std::slice::from_ref(exchange);
        if amr::registered(value) {
            found.saw(cite);
        } else {
            let nearest =
                amr::nearest(value).map(|known| format!("; the nearest registered one is `{known}`")).unwrap_or_default();
            found.broken(format!("`{value}` is not registered with IANA (copy of {}){nearest}", amr::REGISTRY_DATE), cite);
        }
    }
    let all: Vec<&str> = values.keys().map(String::as_str).collect();
    found.conclude("every amr value is registered").expected("values of the IANA registry", all.join(", "))
}

fn session_expiry_is_a_point_in_time(seen: &Seen) -> Judgement {
    let demand = |token: &IdTokenSeen| {
        let claim = token.claim("session_expiry");
        let iat = token.seconds("iat").unwrap_or_else(|| token.now());
        match claim.as_i64() {
            None if claim.is_number() => Some("session_expiry is a number with decimals".to_owned()),
            None => Some(format!(
                "session_expiry is {}",
                if claim.is_null() { "missing" } else { crate::wire::seen::json_type(claim) }
            )),
            Some(expiry) if expiry > 100_000_000_000 => Some("session_expiry is in milliseconds".to_owned()),
            Some(expiry) if expiry <= iat && expiry < 366 * 86_400 => {
                Some(format!("session_expiry {expiry} is a duration and not a point in time"))
            }
            Some(expiry) if expiry <= iat => Some("session_expiry is not after iat".to_owned()),
            Some(_) => None,
        }
    };
    let judgement =
        every(of_logins(seen).filter(|token| !token.header.is_null()), demand, "session_expiry is an integer after iat");
    if judgement.call != Call::Pass {
        return judgement;
    }
    let far =
        of_logins(seen).any(|token| token.claim("session_expiry").as_i64().unwrap_or_default() > token.now() + 366 * 86_400);
    if far { Judgement::doubtful("session_expiry lies more than a year ahead").cite(&judgement.cites) } else { judgement }
}

fn tenant_claims_have_their_form(seen: &Seen) -> Judgement {
    let mut known: std::collections::BTreeMap<&str, &serde_json::Value> = std::collections::BTreeMap::new();
    let mut changing = Vec::new();
    for token in of_main(seen) {
        for name in ["tenant", "aud_sub"] {
            let value = token.claim(name);
            if !value.is_null() && *known.entry(name).or_insert(value) != value {
                changing.push(format!("{name} changes from login to login"));
            }
        }
    }
    if let Some(why) = changing.into_iter().next() {
        return Judgement::broken(why);
    }
    let demand = |token: &IdTokenSeen| {
        ["tenant", "aud_sub"].into_iter().find_map(|name| match token.claim(name) {
            serde_json::Value::Null => None,
            serde_json::Value::String(value) if !value.is_empty() => None,
            other => Some(format!("{name} is {other} and not a string")),
        })
    };
    every(readable(seen), demand, "tenant and aud_sub are absent, or strings that stay the same")
}

fn readable(seen: &Seen) -> impl Iterator<Item = &IdTokenSeen> {
    seen.id_tokens.iter().filter(|token| !token.header.is_null())
}

#[cfg(test)]
mod tests;
