//! Checks on what the browser was given: cookies, and nothing of the back channel.

use super::{FEW, Seen};
use crate::model::Judgement;
use crate::model::target::ClientAuth;
use crate::model::verdict::Findings;
use crate::stage::recorder::{Place, Sighting};
use crate::wire::entropy::Shape;

/// Random bits that the Common Requirements Profile 3.3 demands.
const BITS: f64 = 128.0;
/// What the recorder calls the tokens.
const ACCESS: &str = "an access token";
const ID_TOKEN: &str = "an ID token";

/// `id_token_hint` in a request to end the session is defined elsewhere.
fn logout_hint(sighting: &Sighting) -> bool {
    sighting.what == ID_TOKEN && sighting.target.ends_with("/sign-out")
}

fn told(found: &mut Findings, sighting: &Sighting) {
    let place = match sighting.place {
        Place::Url => "the URL of a request",
        Place::Referer => "a Referer header",
        Place::Header => "a request header",
        Place::Form => "a form",
        Place::Location => "a redirect",
        Place::Page => "a document",
    };
    let text = format!("{} stands in {place} ({})", sighting.what, sighting.target);
    found.broken(text, std::slice::from_ref(&sighting.exchange));
}

/// What was not searched may hold anything.
fn not_all_heard(seen: &Seen, found: &mut Findings) {
    if seen.overheard_cut {
        found.undecided("there was more browser traffic than could be searched", &[]);
    }
}

pub(super) fn no_secret_reaches_the_browser(seen: &Seen) -> Judgement {
    if !seen.tokens.iter().any(|token| token.status == 200) {
        return Judgement::undecided("no login got as far as the token endpoint: there were no secrets to look for");
    }
    let public = seen.registered_auth == ClientAuth::None;
    let mut found = Findings::new();
    for sighting in seen.leaks.iter().filter(|sighting| !logout_hint(sighting)) {
        match sighting.place {
            Place::Url | Place::Location | Place::Referer => told(&mut found, sighting),
            // A public browser client speaks to the back channel from the browser.
            Place::Form if !public => told(&mut found, sighting),
            Place::Page if sighting.what == "the client secret" => told(&mut found, sighting),
            _ => {}
        }
    }
    not_all_heard(seen, &mut found);
    found.conclude("no client secret, verifier or token stands in a URL, form or Referer of the browser")
}

pub(super) fn access_tokens_stay_at_userinfo(seen: &Seen) -> Judgement {
    if !seen.tokens.iter().any(|token| token.status == 200) {
        return Judgement::undecided("no access token was issued");
    }
    let mut found = Findings::new();
    for sighting in seen.leaks.iter().filter(|sighting| sighting.what == ACCESS) {
        told(&mut found, sighting);
    }
    not_all_heard(seen, &mut found);
    found
        .conclude("the access token was seen at UserInfo only, or nowhere; uses on back channels to third parties cannot be seen")
}

pub(super) fn session_cookies_are_random(seen: &Seen) -> Judgement {
    let cookies = &seen.cookies;
    let Some(name) = &cookies.session else { return unknown(seen) };
    let estimate = &cookies.values;
    let observed = format!(
        "`{name}`: {:.0} bits in {} varying characters of {} ({} samples)",
        estimate.bits, estimate.varying, estimate.alphabet, estimate.samples
    );
    let judgement = if estimate.repeats > 0 {
        Judgement::broken(format!("`{name}` had the same value in {} logins", estimate.repeats + 1))
    } else if estimate.sequential {
        Judgement::broken(format!("the values of `{name}` count up or down"))
    } else if estimate.samples < FEW {
        Judgement::undecided(format!("only {} values of `{name}` were seen; {FEW} are needed", estimate.samples))
    } else if matches!(estimate.shape, Shape::Jwt | Shape::Jwe) {
        Judgement::pass(format!("`{name}` is a signed or encrypted token"))
    } else if estimate.bits < BITS {
        Judgement::broken(format!("the values of `{name}` differ in at most {:.0} bits", estimate.bits))
    } else {
        Judgement::pass(format!("the values of `{name}` differ in up to {:.0} bits", estimate.bits))
    };
    judgement.expected("at least 128 bits, or an encrypted or signed cookie", observed)
}

pub(super) fn session_cookies_are_protected(seen: &Seen) -> Judgement {
    let cookies = &seen.cookies;
    let Some(name) = &cookies.session else { return unknown(seen) };
    if cookies.values.samples == 0 && cookies.fixed.is_empty() {
        return Judgement::undecided(format!("`{name}` was never set when a login ended"));
    }
    let mut found = Findings::new();
    if !cookies.insecure.is_empty() {
        found.broken(format!("`{name}` is set without Secure"), &cookies.insecure);
    }
    if !cookies.readable.is_empty() {
        found.broken(format!("`{name}` is set without HttpOnly"), &cookies.readable);
    }
    if !cookies.fixed.is_empty() {
        found.broken(format!("`{name}` keeps its value when the user signs in: session fixation"), &cookies.fixed);
    }
    found.conclude(format!("`{name}` is Secure, HttpOnly and new after each login"))
}

fn unknown(seen: &Seen) -> Judgement {
    match seen.cookies.candidates.as_slice() {
        [] => Judgement::undecided("no cookie was set when a login ended; name the session cookie in app.session_cookie"),
        several => Judgement::undecided(format!(
            "which cookie carries the session is unknown ({}); name it in app.session_cookie",
            several.join(", ")
        )),
    }
}
