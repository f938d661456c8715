//! The checks on the typed login.

use super::{Seen, no_id_token};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::suite::Check;
use crate::wire::seen::Outcome;

pub(super) const ALL: &[Check<Seen>] = &[
    Check::new("sl1.idp.response-type-code", the_code_flow_works),
    Check::new("sl1.idp.nonce-64", the_nonce_comes_back_unchanged),
    Check::new("sl1.idp.clickjacking-protection", pages_cannot_be_framed),
    Check::new("sl1.idp.iss-in-response", the_response_names_its_issuer),
    Check::new("sl1.idp.no-307", credentials_are_never_forwarded),
    Check::new("sl1.idp.redirect-303", redirects_after_credentials_are_303),
    Check::new("sl1.idp.token-response-no-store", token_responses_are_not_stored),
    Check::new("sl1.idp.access-token-identity-only", the_access_token_is_for_identity_only),
    Check::new("sl1.idp.userinfo-sub-equal", userinfo_speaks_of_the_same_subject),
    Check::new("sl1.idp.id-token-auth-time", auth_time_is_the_login),
    Check::new("sl1.idp.attribute-minimisation", no_attribute_is_released_unasked),
    Check::new("sl1.idp.mfa-reported", a_multi_factor_login_is_reported),
];

fn the_code_flow_works(seen: &Seen) -> Judgement {
    let authz = &seen.authz;
    if authz.outcome != Outcome::Code {
        return Judgement::broken(format!("the login was completed, and led to {}", authz.describe())).cite(&authz.cites);
    }
    let mut found = Findings::new();
    found.saw(&authz.cites);
    if authz.state_kept != Some(true) {
        found.broken("`state` did not come back unchanged", &authz.cites);
    }
    if authz.response_mode != "query" {
        found.broken(format!("the response came by {} instead of the query", authz.response_mode), &authz.cites);
    }
    match &seen.token {
        Some(token) if token.tokens.iter().any(|name| name == "id_token") => found.saw(&token.cites),
        Some(token) if token.fault.is_some() => {
            found.undecided(format!("the token request had {}", token.describe()), &token.cites);
        }
        Some(token) if token.client_refused() || token.status == 429 || token.status >= 500 => {
            found.undecided(
                format!("the code could not be redeemed ({}): check the client's key or secret", token.describe()),
                &token.cites,
            );
        }
        Some(token) => found.broken(format!("the code gave no ID token: {}", token.describe()), &token.cites),
        None => found.undecided("the code was not redeemed", &authz.cites),
    }
    found.conclude("code and state arrive in the query, and the exchange returns an ID token")
}

fn the_nonce_comes_back_unchanged(seen: &Seen) -> Judgement {
    let Some(token) = &seen.id_token else { return no_id_token(seen).unwrap_or_else(|| Judgement::undecided("")) };
    let sent = token.nonce.as_deref().unwrap_or_default();
    let got = token.claim("nonce");
    let judgement = if got.as_str() == Some(sent) {
        Judgement::pass("the 64-character nonce stands unchanged in the ID token")
    } else {
        Judgement::broken("the nonce claim is missing, cut or changed")
    };
    judgement.expected(sent, got.to_string()).cite([&token.exchange])
}

fn pages_cannot_be_framed(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let mut pages = 0;
    for hop in seen.hops.iter().filter(|hop| hop.page) {
        pages += 1;
        let cite = std::slice::from_ref(&hop.cite);
        let by_policy = hop
            .frame_ancestors
            .as_deref()
            .map(|sources| !sources.split_whitespace().any(|source| matches!(source, "*" | "https:" | "http:")));
        let by_option = hop
            .x_frame_options
            .as_deref()
            .is_some_and(|value| ["deny", "sameorigin"].contains(&value.trim().to_ascii_lowercase().as_str()));
        // frame-ancestors wins over X-Frame-Options when both are sent.
        if by_policy.unwrap_or(by_option) {
            found.saw(cite);
        } else {
            found.broken(format!("{} can be framed by any site", hop.at), cite);
        }
    }
    if pages == 0 {
        Judgement::undecided("no HTML page was seen")
    } else {
        found.conclude(format!("all {pages} pages limit who may frame them"))
    }
}

fn the_response_names_its_issuer(seen: &Seen) -> Judgement {
    let authz = &seen.authz;
    if authz.response_mode.is_empty() {
        return Judgement::undecided("no authorization response was seen").cite(&authz.cites);
    }
    let judgement = match &authz.iss[..] {
        [iss] if *iss == seen.issuer => Judgement::pass("iss is present once and identical"),
        [] => Judgement::broken("the response carries no iss"),
        [_] => Judgement::broken("iss is not the issuer"),
        _ => Judgement::broken("iss stands in the response more than once"),
    };
    judgement.expected(seen.issuer.clone(), authz.iss.join(", ")).cite(authz.cites.last())
}

fn credentials_are_never_forwarded(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let mut by_document = false;
    for hop in &seen.hops {
        let cite = std::slice::from_ref(&hop.cite);
        let forwards = matches!(hop.status, 307 | 308);
        if hop.method == "POST" && hop.credentials && !hop.script {
            by_document = true;
            found.saw(cite);
        }
        if forwards && hop.method == "POST" && (hop.credentials || hop.to_suite) {
            found.broken(format!("the POST to {} is redirected with {}: the browser repeats the body", hop.at, hop.status), cite);
        } else if forwards && hop.to_suite {
            found.broken(format!("the hop into the redirect URI uses {}", hop.status), cite);
        }
    }
    if seen.credentials_arrived {
        found.broken("the redirect URI received form fields of the login page", &seen.authz.cites);
    }
    if seen.hops.is_empty() {
        return Judgement::undecided("no request of the browser was seen");
    }
    found.conclude(if by_document {
        "no request that carried credentials is redirected with 307 or 308"
    } else {
        "the page sends credentials by script, so that no redirect of a credential request exists"
    })
}

fn redirects_after_credentials_are_303(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let mut redirects = 0;
    for hop in seen.hops.iter().filter(|hop| (300..400).contains(&hop.status) && !hop.at_suite && !hop.script) {
        let cite = std::slice::from_ref(&hop.cite);
        if hop.method != "POST" && !hop.to_suite {
            continue;
        }
        redirects += 1;
        match hop.status {
            303 => found.saw(cite),
            status => found.broken(format!("{} {} answers {status} instead of 303", hop.method, hop.at), cite),
        }
    }
    if redirects == 0 {
        Judgement::undecided("no redirect after credential input was observed")
    } else {
        found.conclude("every such redirect uses 303")
    }
}

fn token_responses_are_not_stored(seen: &Seen) -> Judgement {
    let Some(token) = seen.token.as_ref().filter(|token| token.status == 200) else {
        return Judgement::undecided("no token response").cite(seen.token.iter().flat_map(|token| &token.cites));
    };
    let mut found = Findings::new();
    found.saw(&token.cites);
    let cache = token.cache_control.clone().unwrap_or_default();
    if !cache.to_ascii_lowercase().split(',').any(|word| word.trim() == "no-store") {
        found.broken(format!("Cache-Control is `{cache}` and lacks no-store"), &token.cites);
    }
    if !token.json || !token.media_type.contains("json") {
        found.broken(format!("the body is not a JSON object of a JSON media type (`{}`)", token.media_type), &token.cites);
    }
    if token.token_type.is_none() {
        found.broken("token_type is missing", &token.cites);
    }
    found.conclude("no-store, JSON, and a token type").expected("Cache-Control: no-store", cache)
}

fn the_access_token_is_for_identity_only(seen: &Seen) -> Judgement {
    let Some(access) = &seen.access else { return Judgement::undecided("no access token was returned") };
    let op = crate::counterpart::authorize::host_of(&seen.issuer);
    let mut found = Findings::new();
    // Scopes of identity claims are the identity service's own; Keycloak's `account` is its own console.
    let harmless = |scope: &str| {
        ["profile", "email", "address", "phone", "offline_access", "roles", "web-origins", "acr", "basic"].contains(&scope)
    };
    for audience in &access.audiences {
        // Microsoft Graph is where that product serves UserInfo.
        if audience == "account" || audience == "00000003-0000-0000-c000-000000000000" {
            found.doubtful(
                format!("the access token names the audience `{audience}`, which no application asked for"),
                &access.cite,
            );
            continue;
        }
        let own = *audience == seen.issuer
            || seen.id_token.as_ref().is_some_and(|token| token.client_id == *audience)
            || crate::counterpart::authorize::host_of(audience)
                .is_some_and(|host| op.as_ref().is_some_and(|op| host == *op || host.ends_with(&format!(".{op}"))));
        if !own {
            found.broken(format!("the access token names the audience `{audience}`"), &access.cite);
        }
    }
    for scope in access.scopes.iter().filter(|scope| *scope != "openid") {
        if harmless(scope) {
            found.doubtful(
                format!("the access token carries the identity scope `{scope}`, which was not requested"),
                &access.cite,
            );
            continue;
        }
        found.broken(format!("the access token carries the scope `{scope}`, which was not requested"), &access.cite);
    }
    let shape = if access.jwt { "it is a JWT for the identity service only" } else { "it is opaque" };
    // What APIs accept it is not seen from outside: without the operator's statement the clause stays open.
    found.undecided(format!("{shape}; only the operator can state that no API takes it"), &access.cite);
    found.conclude("")
}

fn userinfo_speaks_of_the_same_subject(seen: &Seen) -> Judgement {
    if !seen.userinfo_advertised {
        return Judgement::not_applicable("no userinfo_endpoint is advertised");
    }
    let (Some(userinfo), Some(token)) = (&seen.userinfo, &seen.id_token) else {
        return Judgement::undecided("no UserInfo answer or no ID token");
    };
    let sub = token.claim("sub").as_str();
    let judgement = match (userinfo.status, &userinfo.sub) {
        (429 | 500.., _) => Judgement::undecided(format!("UserInfo answers {}", userinfo.status)),
        (0, _) => Judgement::undecided(format!("UserInfo did not answer: {}", userinfo.fault.as_deref().unwrap_or("unknown"))),
        (200, Some(got)) if Some(got.as_str()) == sub => Judgement::pass("UserInfo and ID token name the same sub"),
        (200, Some(_)) => Judgement::broken("UserInfo names another sub than the ID token"),
        (200, None) => Judgement::broken("UserInfo answers without a sub"),
        (status, _) => Judgement::broken(format!("UserInfo refuses the valid token with status {status}")),
    };
    judgement.expected(sub.unwrap_or("(no sub)"), userinfo.sub.clone().unwrap_or_default()).cite(&userinfo.cite)
}

fn auth_time_is_the_login(seen: &Seen) -> Judgement {
    let Some(token) = &seen.id_token else { return no_id_token(seen).unwrap_or_else(|| Judgement::undecided("")) };
    let value = token.claim("auth_time");
    let cite = [&token.exchange];
    let Some(auth_time) = value.as_number().and_then(serde_json::Number::as_f64) else {
        let why = if value.is_null() { "auth_time is missing" } else { "auth_time is not a JSON number" };
        return Judgement::broken(why).expected("seconds of the login", value.to_string()).cite(cite);
    };
    let offset = token.now() - token.received;
    #[allow(clippy::cast_precision_loss)]
    let (began, iat) = ((token.began + offset) as f64, token.seconds("iat").unwrap_or(token.now()) as f64);
    let judgement = if auth_time > 1e11 {
        Judgement::broken("auth_time is in milliseconds")
    } else if auth_time > iat + 5.0 {
        Judgement::broken("auth_time is later than iat")
    } else if auth_time < began - 60.0 {
        Judgement::doubtful(format!(
            "auth_time lies {:.0} s before the login began; a workstation sign-in may explain it",
            began - auth_time
        ))
    } else {
        Judgement::pass("auth_time is present and within the login")
    };
    judgement.expected(format!("{began:.0} to {iat:.0}"), value.to_string()).cite(cite)
}

/// Claims that are somebody's attributes beyond doubt (OpenID Connect Core 5.1 and what products add to it).
const PERSONAL: [&str; 30] = [
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "email",
    "email_verified",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "phone_number",
    "phone_number_verified",
    "address",
    "updated_at",
    "groups",
    "roles",
    "upn",
    "unique_name",
    "username",
    "login",
    "department",
    "title",
    "employee_number",
    "manager",
    "photo",
];

fn no_attribute_is_released_unasked(seen: &Seen) -> Judgement {
    let Some(token) = &seen.id_token else { return no_id_token(seen).unwrap_or_else(|| Judgement::undecided("")) };
    let mut found = Findings::new();
    found.saw(std::slice::from_ref(&token.exchange));
    let technical =
        ["idp", "azp", "ver", "tid", "oid", "scope", "client_id", "typ", "session_state", "rt_hash", "uti", "rh", "aio"];
    let userinfo = seen.userinfo.as_ref();
    let sources = [("ID token", &token.attributes, vec![token.exchange.clone()])];
    let more = userinfo.map(|info| ("UserInfo", &info.attributes, info.cite.clone()));
    for (place, names, cite) in sources.into_iter().chain(more) {
        let unasked: Vec<&str> = names.iter().map(String::as_str).filter(|name| !technical.contains(name)).collect();
        let (agreed, free): (Vec<&str>, Vec<&str>) =
            unasked.into_iter().partition(|name| seen.attribute_contract.iter().any(|known| known == name));
        let (personal, other): (Vec<&str>, Vec<&str>) = free.into_iter().partition(|name| PERSONAL.contains(name));
        if !other.is_empty() {
            found.doubtful(format!("the {place} carries {}, which may be somebody's attributes", other.join(", ")), &cite);
        }
        let free = personal;
        if !free.is_empty() {
            found.broken(format!("the {place} releases {} for scope openid", free.join(", ")), &cite);
        }
        if !agreed.is_empty() {
            found.undecided(format!("the {place} releases {}, as idp.attribute_contract declares", agreed.join(", ")), &cite);
        }
    }
    found.conclude("scope openid releases no profile attribute")
}

/// How an `amr` reads: surely multi-factor, surely one factor, or unclear.
fn amr_factors(amr: &[&str]) -> Option<bool> {
    const KNOWN: [&str; 3] = ["pwd", "pin", "kba"];
    const HELD: [&str; 7] = ["otp", "hwk", "swk", "sms", "tel", "sc", "pop"];
    const ARE: [&str; 5] = ["face", "fpt", "iris", "retina", "vbm"];
    let has = |kind: &[&str]| amr.iter().any(|method| kind.contains(method));
    let kinds = [has(&KNOWN), has(&HELD), has(&ARE)].into_iter().filter(|found| *found).count();
    let alone = amr.iter().any(|method| ["sc", "face", "fpt", "mfa"].contains(method));
    let verified = has(&["hwk", "swk"]) && has(&["user", "pin"]);
    if alone || verified || kinds >= 2 {
        Some(true)
    } else if has(&["hwk", "swk"]) || kinds == 0 {
        // hwk alone does not show user verification; unknown words show nothing.
        None
    } else {
        Some(false)
    }
}

fn a_multi_factor_login_is_reported(seen: &Seen) -> Judgement {
    let Some(token) = &seen.id_token else { return no_id_token(seen).unwrap_or_else(|| Judgement::undecided("")) };
    let factors = seen.typed.iter().filter(|typed| ["password", "one-time code"].contains(&typed.as_str())).count();
    let passkey = seen.typed.iter().any(|typed| typed == "passkey");
    let cite = [&token.exchange];
    let (acr, amr) = (token.claim("acr"), token.claim("amr"));
    let words: Vec<&str> = amr.as_array().into_iter().flatten().filter_map(|word| word.as_str()).collect();
    let observed = format!("acr {acr}, amr {amr}");
    let expected = format!("acr one of [{}], amr with two factors", seen.acr_mfa.join(", "));
    let acr_declared = acr.as_str().map(|acr| seen.acr_mfa.iter().any(|known| known == acr));
    let judgement = if acr.is_null() && amr.is_null() {
        Judgement::broken("the ID token says nothing of how the user authenticated: neither acr nor amr")
    } else if factors < 2 && !passkey {
        Judgement::undecided("the login asked for one factor only, so there was no multi-factor login to report")
    } else if !seen.acr_mfa.is_empty() && acr_declared != Some(true) {
        Judgement::broken("acr is none of the values declared multi-factor")
    } else {
        match amr_factors(&words) {
            Some(true) => Judgement::pass("acr and amr say that several factors were used"),
            Some(false) => Judgement::broken("amr shows one factor only"),
            None if seen.acr_mfa.is_empty() => Judgement::undecided("amr is ambiguous, and idp.acr_mfa declares no class"),
            None => Judgement::undecided("amr is ambiguous: it does not show two factors"),
        }
    };
    judgement.expected(expected, observed).cite(cite)
}

#[cfg(test)]
mod tests;
