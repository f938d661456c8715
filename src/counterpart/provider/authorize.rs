//! The authorization endpoint: whose browser asks, and the answer its context was told to get.

use std::time::Instant;

use jiff::Timestamp;
use url::Url;
use wiremock::{Request, ResponseTemplate};

use super::handle::{self, Record, page};
use super::log::Authorization;
use super::script::{Answer, Script, Twist};
use super::state::Grant;
use super::{Shared, id_token};
use crate::counterpart::op::http::{In, Pairs, Reply, encode, escape, get};
use crate::wire::jose::{self, random};

/// Tells the browser contexts apart.
pub(super) const COOKIE: &str = "ipsie-context";

/// An authorization request.
pub(super) fn authorize(shared: &Shared, which: usize, request: &In<'_>, raw: &Request) -> ResponseTemplate {
    let sent = if request.method() == "POST" { &request.form } else { &request.query };
    let (params, pushed, object_alg) = effective(shared, sent);
    let context = request.cookie(COOKIE).map(str::to_owned);
    let answer = {
        let mut state = shared.state();
        let known = context.as_deref().and_then(|id| state.contexts.get_mut(id));
        known.and_then(|known| known.answers.pop_front()).unwrap_or(Answer::Hold)
    };
    let number = shared.state().log.authorizations.len();
    let mut seen = Authorization {
        number,
        context: context.clone(),
        issuer: which,
        at: Instant::now(),
        when: Timestamp::now(),
        method: request.method().into(),
        params,
        pretended: request.path == shared.pretended_path(which),
        pushed,
        object_alg,
        answered: "hold",
        exchange: String::new(),
    };
    // Its place is taken before it is answered: the code refers to it.
    shared.state().log_mut().authorizations.push(seen.clone());
    let reply = match answer {
        Answer::Hold => page(200, "Not answered", "The provider leaves this authorization request open."),
        Answer::Error(error) => {
            seen.answered = "error";
            let mut pairs = vec![("error".to_owned(), error.to_owned()), ("iss".to_owned(), shared.issuer(which))];
            pairs.extend(seen.get("state").map(|state| ("state".to_owned(), state.to_owned())));
            deliver(&seen, &pairs, None)
        }
        Answer::SignIn(_) if !seen.get("response_type").is_some_and(|kind| kind.split(' ').any(|part| part == "code")) => {
            seen.answered = "error";
            let pairs = [("error", "unsupported_response_type"), ("state", seen.get("state").unwrap_or_default())];
            deliver(&seen, &pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(), None)
        }
        Answer::SignIn(script) => {
            seen.answered = "code";
            let (pairs, mode) = granted(shared, &seen, *script, true);
            deliver(&seen, &pairs, mode)
        }
    };
    let exchange = handle::record(shared, &Record { context: context.as_deref(), step: "authorization request" }, raw, &reply);
    seen.exchange = exchange;
    shared.state().log_mut().authorizations[number] = seen;
    reply.template()
}

/// Pushed parameters and those of a request object count; what stands beside them in the URL does not.
fn effective(shared: &Shared, sent: &Pairs) -> (Pairs, bool, Option<String>) {
    if let Some(uri) = get(sent, "request_uri")
        && let Some(pushed) = shared.state().pushed.get(uri).cloned()
    {
        let (params, _, alg) = opened(&pushed);
        return (params, true, alg);
    }
    opened(sent)
}

fn opened(sent: &Pairs) -> (Pairs, bool, Option<String>) {
    let Some(object) = get(sent, "request").and_then(|text| jose::read(text).ok()) else { return (sent.clone(), false, None) };
    let plain = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let params = object.claims.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), plain(value))).collect();
    (params, false, Some(object.alg().to_owned()))
}

/// Grants a code to a request; the parameters of the response, and another way than the request's to deliver them.
fn granted(shared: &Shared, request: &Authorization, script: Script, delivered: bool) -> (Pairs, Option<&'static str>) {
    let context = request.context.clone().unwrap_or_default();
    let issuer = shared.issuer(request.issuer);
    let twisted = |twist| script.twisted(twist);
    let state = request.get("state").map(str::to_owned);
    let iss = if twisted(Twist::IssOther) {
        shared.wrong_issuer(request.issuer)
    } else if twisted(Twist::IssSlash) {
        format!("{issuer}/")
    } else {
        issuer
    };
    let state = match state {
        Some(_) if twisted(Twist::StateMissing) => None,
        Some(_) if twisted(Twist::StateEmpty) => Some(String::new()),
        Some(state) if twisted(Twist::StateAltered) => Some(altered(&state)),
        other => other,
    };
    let front = [Twist::IdTokenInQuery, Twist::IdTokenInFragment, Twist::IdTokenInForm].into_iter().find(|twist| twisted(*twist));
    let beside = twisted(Twist::IdTokenBesideCode);
    let iss_missing = twisted(Twist::IssMissing);
    let iss_repeated = twisted(Twist::IssRepeated);
    let mut pairs = Pairs::new();
    let id_token =
        (front.is_some() || beside).then(|| id_token::make(shared, request.issuer, &script, request.get("nonce"), None));
    if front.is_none() {
        pairs.push(("code".into(), grant(shared, Some(request.clone()), &context, request.issuer, script, delivered)));
    }
    pairs.extend(id_token.map(|token| ("id_token".to_owned(), token)));
    pairs.extend(state.map(|state| ("state".to_owned(), state)));
    if !iss_missing {
        pairs.push(("iss".into(), iss.clone()));
    }
    if iss_repeated {
        pairs.push(("iss".into(), "https://another-issuer.example".into()));
    }
    let mode = front.map(|twist| match twist {
        Twist::IdTokenInFragment => "fragment",
        Twist::IdTokenInForm => "form_post",
        _ => "query",
    });
    (pairs, mode)
}

/// Another value of the same length and alphabet.
fn altered(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    if let Some(middle) = chars.get_mut(text.chars().count() / 2) {
        *middle = if *middle == 'A' { 'B' } else { 'A' };
    }
    chars.into_iter().collect()
}

fn grant(
    shared: &Shared,
    request: Option<Authorization>,
    context: &str,
    issuer: usize,
    script: Script,
    delivered: bool,
) -> String {
    let (code, sid) = (random(24), random(12));
    let mut state = shared.state();
    if let Some(known) = state.contexts.get_mut(context) {
        known.sids.push(sid.clone());
    }
    state.grants.insert(code.clone(), Grant { request, context: context.to_owned(), issuer, script, sid, used: 0, delivered });
    code
}

/// See [`super::Provider::unsolicited_code`].
pub(super) fn unsolicited(shared: &Shared, context: &str, script: Script) -> String {
    grant(shared, None, context, 0, script, false)
}

/// See [`super::Provider::response`].
pub(super) fn response_url(shared: &Shared, request: &Authorization, script: Script) -> Option<String> {
    let (pairs, mode) = granted(shared, request, script, false);
    located(request.get("redirect_uri")?, &pairs, mode == Some("fragment"))
}

fn located(redirect_uri: &str, pairs: &Pairs, fragment: bool) -> Option<String> {
    let mut url = Url::parse(redirect_uri).ok()?;
    if fragment {
        url.set_fragment(Some(&encode(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))));
    } else {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Some(url.into())
}

/// The response as the request wants it delivered, or by another way.
fn deliver(request: &Authorization, pairs: &Pairs, mode: Option<&str>) -> Reply {
    let Some(redirect_uri) = request.get("redirect_uri").filter(|uri| Url::parse(uri).is_ok()) else {
        return page(400, "No redirect URI", "The authorization request names no usable redirect_uri.");
    };
    match mode.or(request.get("response_mode")) {
        Some("form_post") => {
            let fields: String = pairs
                .iter()
                .map(|(name, value)| format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value)))
                .collect();
            let action = escape(redirect_uri);
            let html = format!(
                "<!doctype html><title>Submit</title><body onload=\"document.forms[0].submit()\"><form method=\"post\" action=\"{action}\">{fields}</form>"
            );
            let mut reply = Reply::page(200, html);
            reply.headers.retain(|(name, _)| *name != "content-security-policy");
            reply
        }
        mode => match located(redirect_uri, pairs, mode == Some("fragment")) {
            Some(url) => Reply::see_other(url),
            None => page(400, "No redirect URI", "The authorization request names no usable redirect_uri."),
        },
    }
}
