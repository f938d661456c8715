//! What token requests and tokens mean.

use super::Seen;
use crate::counterpart::scim_client::Answer;
use crate::counterpart::scim_client::token::TokenAnswer;
use crate::model::target::ScimAuth;
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::suite::Check;

pub const CHECKS: &[Check<Seen>] = &[
    Check::new("al1.app.expired-token", tokens_end),
    Check::new("al1.app.jwt-assertion-exchange", a_jwt_is_exchanged_for_a_token),
    Check::new("al1.app.jwt-assertion-checks", bad_assertions_are_refused),
    Check::new("al1.app.jwt-assertion-replay", an_assertion_works_once),
    Check::new("al1.app.token-accepted-from-idp", tokens_of_the_issuer_are_verified_by_its_keys),
    Check::new("al1.app.scope-scim-needed", only_the_scope_scim_opens_scim),
    Check::new("al1.app.scope-not-broader", the_scope_scim_opens_nothing_else),
    Check::new("al1.app.as-metadata", the_authorization_server_is_described),
    Check::new("al1.app.token-endpoint-claim", the_odd_claim_is_recorded),
];

/// A token should not live longer, in seconds.
const DAY_S: u64 = 24 * 3600;

fn at(answer: &Answer) -> [ExchangeId; 1] {
    [answer.cite.clone()]
}

fn told(answer: &TokenAnswer) -> [ExchangeId; 1] {
    [answer.cite.clone()]
}

fn own<'a>(seen: &'a Seen, what: &str) -> Option<&'a Answer> {
    seen.own.iter().find(|(known, _)| known == what).map(|(_, answer)| answer)
}

/// A good token request worked.
fn granted(seen: &Seen) -> bool {
    seen.forms.iter().any(|(_, answer)| answer.issued)
}

/// A good token request worked after all bad ones: the client was not shut out meanwhile.
fn still_granted(seen: &Seen) -> bool {
    seen.control.as_ref().is_some_and(|control| control.issued)
}

/// The request was understood, and no token issued (RFC 6749 5.2).
fn denied(answer: &TokenAnswer) -> bool {
    !answer.issued && matches!(answer.status, 400 | 401 | 403)
}

fn no_grant(seen: &Seen) -> Judgement {
    if seen.token_endpoint.is_empty() && seen.layout == ScimAuth::AppAs && seen.forms.is_empty() {
        return Judgement::undecided("no token endpoint of the application's authorization server is known");
    }
    let cites: Vec<ExchangeId> = seen.forms.iter().map(|(_, answer)| answer.cite.clone()).collect();
    Judgement::undecided("no good token request succeeded, so nothing can be said of others").cite(&cites)
}

/// The token of the suite's own authorization server is taken.
fn taken(seen: &Seen) -> bool {
    own(seen, "a token of the configured issuer").is_some_and(Answer::ok)
        && own(seen, "a token of the configured issuer, again").is_some_and(Answer::ok)
}

fn tokens_end(seen: &Seen) -> Judgement {
    match seen.layout {
        ScimAuth::Bearer => Judgement::broken(
            "the interface takes a static token that never ends (as nearly every product does; the draft wants tokens that expire)",
        ),
        ScimAuth::IdpAs => match own(seen, "a token that has ended") {
            _ if !taken(seen) => Judgement::undecided("a good token is not taken"),
            Some(answer) if answer.ok() => Judgement::broken("a token is taken five minutes after its exp").cite(&at(answer)),
            Some(answer) if answer.refused() => Judgement::pass("refused after its exp").cite(&at(answer)),
            answer => Judgement::undecided(answer.map(Answer::describe).unwrap_or_default()),
        },
        ScimAuth::AppAs => match &seen.expiry {
            None => no_grant(seen),
            Some(expiry) if !expiry.before.ok() => {
                Judgement::undecided(format!("a fresh token is not taken: {}", expiry.before.describe()))
                    .cite(&at(&expiry.before))
            }
            Some(expiry) => match (expiry.life_s, &expiry.after) {
                (None, _) => Judgement::broken("expires_in is absent: nobody knows whether the token ends"),
                (Some(life), None) if life > DAY_S => Judgement::broken(format!("a token lives {life} s, more than a day")),
                (Some(life), None) => {
                    Judgement::undecided(format!("tokens live {life} s: too long to wait and see whether they are refused then"))
                }
                (Some(life), Some(after)) if after.ok() => {
                    Judgement::broken(format!("a token is still taken after the {life} s of expires_in")).cite(&at(after))
                }
                (Some(_), Some(after)) if !matches!(after.status, 400 | 401 | 403) => {
                    Judgement::undecided(format!("after its end: {}", after.describe())).cite(&at(after))
                }
                (Some(life), Some(after)) => Judgement::pass(format!("refused after {life} s")).cite(&at(after)),
            },
        },
    }
}

fn a_jwt_is_exchanged_for_a_token(seen: &Seen) -> Judgement {
    if seen.forms.is_empty() {
        return no_grant(seen);
    }
    let mut found = Findings::new();
    let Some((form, answer)) = seen.forms.iter().find(|(_, answer)| answer.issued) else {
        if let Some((_, silent)) = seen.forms.iter().find(|(_, answer)| answer.silent()) {
            return Judgement::undecided(silent.describe()).cite(&told(silent));
        }
        let all: Vec<String> =
            seen.forms.iter().map(|(form, answer)| format!("{}: {}", form.what(), answer.describe())).collect();
        let cites: Vec<ExchangeId> = seen.forms.iter().map(|(_, answer)| answer.cite.clone()).collect();
        if seen.forms.iter().any(|(_, answer)| is_about_the_client(&answer.error)) {
            let why = "the suite's client or its key may not be registered there (scim.client_id, counterpart.keys)";
            return Judgement::undecided(format!("the token endpoint refuses this client: {why} ({})", all.join("; ")))
                .cite(&cites);
        }
        return Judgement::broken(format!("neither form of RFC 7523 works ({})", all.join("; "))).cite(&cites);
    };
    if !answer.token_type.eq_ignore_ascii_case("bearer") {
        found.broken(format!("token_type is `{}`", answer.token_type), &told(answer));
    }
    if answer.expires_in.is_none() {
        found.broken("expires_in is absent", &told(answer));
    }
    found.saw(&told(answer));
    found.conclude(format!("{} gives a bearer token with expires_in", form.what()))
}

/// Does the error (RFC 6749 5.2) say that the form is known, and this client or its assertion is not? Without a client that works nobody can
/// tell a key that was not registered from a server that verifies wrongly.
fn is_about_the_client(error: &str) -> bool {
    matches!(error, "invalid_client" | "unauthorized_client" | "invalid_grant")
}

fn bad_assertions_are_refused(seen: &Seen) -> Judgement {
    if !granted(seen) {
        return no_grant(seen);
    }
    if !still_granted(seen) {
        return Judgement::undecided("a good token request after the bad ones did not succeed");
    }
    let mut found = Findings::new();
    for (what, answer) in &seen.forged {
        if answer.silent() {
            found.undecided(format!("{what}: {}", answer.describe()), &told(answer));
        } else if answer.issued {
            found.broken(format!("a token was issued although {what}"), &told(answer));
        } else if !matches!(
            (answer.status, answer.error.as_str()),
            (400, "invalid_grant" | "invalid_client") | (401, "invalid_client")
        ) {
            found.doubtful(format!("{what}: refused, but with {}", answer.describe()), &told(answer));
        } else {
            found.saw(&told(answer));
        }
    }
    let lenient = seen.for_endpoint.as_ref().is_some_and(|answer| answer.issued);
    let note = if lenient { " (the token endpoint as aud is taken as well, which SL1 would not allow)" } else { "" };
    found.conclude(format!("refused: wrong aud, ended, another sub or iss, unsigned, signed by a stranger{note}"))
}

fn an_assertion_works_once(seen: &Seen) -> Judgement {
    match &seen.replay[..] {
        [first, second] if first.issued => match second {
            second if second.issued => Judgement::broken("the same assertion gave a second token").cite(&told(second)),
            second if !denied(second) => Judgement::undecided(second.describe()).cite(&told(second)),
            second if !still_granted(seen) => {
                Judgement::undecided("a good token request afterwards did not succeed").cite(&told(second))
            }
            second => Judgement::pass(format!("the second use is refused: {}", second.describe())).cite(&told(second)),
        },
        _ => no_grant(seen),
    }
}

fn tokens_of_the_issuer_are_verified_by_its_keys(seen: &Seen) -> Judgement {
    let Some(good) = own(seen, "a token of the configured issuer") else { return Judgement::undecided("no token was tried") };
    let mut found = Findings::new();
    if good.silent() {
        return Judgement::undecided(good.describe()).cite(&at(good));
    }
    if !good.ok() {
        return Judgement::broken(format!("a token of the configured issuer is refused: {}", good.describe())).cite(&at(good));
    }
    for what in ["a token for another audience", "a token of another issuer"] {
        match own(seen, what) {
            Some(answer) if answer.ok() => found.broken(format!("{what} is taken"), &at(answer)),
            Some(answer) if answer.silent() => found.undecided(format!("{what}: {}", answer.describe()), &at(answer)),
            Some(answer) => found.saw(&at(answer)),
            None => found.undecided(format!("{what} was not tried"), &at(good)),
        }
    }
    match own(seen, "a token signed by a new key") {
        Some(answer) if answer.ok() => found.saw(&at(answer)),
        Some(answer) if answer.silent() => found.undecided(answer.describe(), &at(answer)),
        Some(answer) => {
            found.broken("a token signed by a key that the issuer published five minutes ago is refused", &at(answer));
        }
        None => found.undecided("a new key was not tried", &at(good)),
    }
    found.conclude("tokens of the issuer are taken, also those of a new key, and no others")
}

fn only_the_scope_scim_opens_scim(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    let mut judged = false;
    let mut judge = |what: &str, answer: &Answer| {
        if answer.silent() {
            found.undecided(format!("{what}: {}", answer.describe()), &at(answer));
        } else if answer.ok() {
            found.broken(format!("{what} opens /Users"), &at(answer));
        } else if answer.status != 403 {
            found.doubtful(format!("{what} is refused with {} in place of 403", answer.status), &at(answer));
        } else {
            found.saw(&at(answer));
        }
    };
    if seen.layout == ScimAuth::IdpAs {
        if !taken(seen) {
            return Judgement::undecided("a good token is not taken");
        }
        for (what, answer) in seen.own.iter().filter(|(what, _)| what.contains("scope")) {
            judge(what, answer);
            judged = true;
        }
    } else {
        if !granted(seen) {
            return no_grant(seen);
        }
        for (asked, token, opened) in &seen.scopes {
            let has_scim = token.scope.as_deref().is_some_and(|scope| scope.split(' ').any(|one| one == "scim"));
            match opened {
                // The server may give a default (RFC 6749 3.3), and says so; where nothing was asked for and nothing is said, nobody knows.
                Some(_) if has_scim || (asked == "none" && token.scope.is_none()) => {}
                Some(answer) => {
                    judge(&format!("a token asked for with scope {asked}"), answer);
                    judged = true;
                }
                None => judged |= denied(token) && still_granted(seen),
            }
        }
    }
    if judged {
        found.conclude("a token without the scope scim opens nothing, or is not issued")
    } else {
        Judgement::undecided("no token without the scope scim was issued, and no request for one clearly refused")
    }
}

fn the_scope_scim_opens_nothing_else(seen: &Seen) -> Judgement {
    match &seen.other_api {
        None => Judgement::not_configured("accounts.other_api is not configured"),
        Some(answer) if answer.ok() => {
            Judgement::broken("a token for scope scim opens an API that is not SCIM").cite(&at(answer))
        }
        Some(answer) if matches!(answer.status, 401 | 403) => Judgement::pass(answer.describe()).cite(&at(answer)),
        Some(answer) => Judgement::undecided(answer.describe()).cite(&at(answer)),
    }
}

fn the_authorization_server_is_described(seen: &Seen) -> Judgement {
    if seen.issuer.is_empty() {
        return Judgement::not_configured("scim.issuer is not configured");
    }
    let cites: Vec<ExchangeId> = seen.metadata.iter().map(|answer| answer.cite.clone()).collect();
    let Some(document) = seen.metadata.iter().find(|answer| answer.ok() && answer.body.is_object()) else {
        return match seen.metadata.iter().find(|answer| answer.silent()) {
            Some(silent) => Judgement::undecided(silent.describe()).cite(&cites),
            None => Judgement::broken("no metadata stand at the issuer").cite(&cites),
        };
    };
    let mut found = Findings::new();
    let issuer = document.text_at("/issuer");
    if issuer != seen.issuer {
        found.broken(format!("issuer is `{issuer}`"), &at(document));
    }
    if !document.text_at("/token_endpoint").starts_with("https://") {
        found.broken("token_endpoint is no https URL", &at(document));
    }
    let lists = |name: &str, wanted: &str| {
        document.body[name].as_array().is_some_and(|all| all.iter().any(|value| value.as_str() == Some(wanted)))
    };
    let listed = lists("grant_types_supported", "urn:ietf:params:oauth:grant-type:jwt-bearer")
        || lists("token_endpoint_auth_methods_supported", "private_key_jwt");
    if !listed {
        found.broken("neither the jwt-bearer grant nor private_key_jwt is listed", &at(document));
    }
    found.saw(&at(document));
    found.conclude("issuer, token endpoint and the way of RFC 7523 are there")
}

fn the_odd_claim_is_recorded(seen: &Seen) -> Judgement {
    match seen.forms.iter().find_map(|(_, answer)| Some((answer.token_endpoint.as_ref()?, answer))) {
        Some((url, answer)) if url.is_empty() => {
            Judgement::pass("recorded: the access token has no claim token_endpoint").cite(&told(answer))
        }
        Some((url, answer)) if *url != seen.token_endpoint => {
            Judgement::broken(format!("the access token names another token endpoint, `{url}`")).cite(&told(answer))
        }
        Some((_, answer)) => Judgement::pass("recorded: the access token names its token endpoint").cite(&told(answer)),
        None => Judgement::undecided("the access token is opaque"),
    }
}
