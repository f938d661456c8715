//! Authorization requests: one set of rules for those that come through the browser and those that are pushed (RFC 9126).

use std::collections::HashSet;

use serde_json::json;

use super::classes::Asked;
use super::http::{In, Pairs, Reply, get, repeated};
use super::state::{AuthorizationRequest, PUSHED_LIFETIME_S, Pushed, State};
use super::{Op, RegisteredClient, client_auth};
use crate::counterpart::twist::Twist;
use crate::model::target::ClientAuth;
use crate::wire::jose::{self, random};

const HANDLE: &str = "urn:ietf:params:oauth:request_uri:";

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// Nobody can be told but the user: client or redirect URI are not known.
    Page(String),
    /// An error response to the client.
    Respond {
        /// Where to.
        redirect_uri: String,
        /// Its state.
        state: Option<String>,
        /// OAuth error code.
        error: &'static str,
        /// Description.
        text: String,
    },
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through the browser.
    Browser,
    /// By PAR.
    Pushed,
}

/// Checks a request that came through the browser; a `request_uri` is replaced by what was pushed.
pub fn from_browser(op: &Op, state: &mut State, query: &Pairs) -> Result<AuthorizationRequest, Refusal> {
    let Some(handle) = get(query, "request_uri") else {
        return check(op, state, query, Way::Browser);
    };
    let now = op.now();
    let pushed = state
        .pushed
        .get(handle)
        .filter(|pushed| pushed.expires >= now && get(query, "client_id") == Some(&pushed.client_id))
        .ok_or_else(|| Refusal::Page("The pushed request is not known, is over, or belongs to another client.".into()))?
        .clone();
    let mut parameters = pushed.parameters;
    if op.twist(Twist::RequestIntegrityPar)
        && let Some(value) = get(query, "acr_values")
    {
        parameters.retain(|(name, _)| name != "acr_values");
        parameters.push(("acr_values".into(), value.to_owned()));
    }
    let request = check(op, state, &parameters, Way::Pushed)?;
    Ok(AuthorizationRequest { pushed: Some(handle.to_owned()), ..request })
}

/// The PAR endpoint.
pub fn push(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    let invalid = |text: &str| Reply::oauth_error(400, "invalid_request", text);
    if let Some(name) = repeated(&request.form) {
        return invalid(&format!("{name} was sent twice"));
    }
    let client_id = match client_auth::authenticate(op, state, request) {
        Ok(client_id) => client_id,
        Err(refused) => return refused,
    };
    if get(&request.form, "request_uri").is_some() {
        return invalid("request_uri cannot be pushed");
    }
    let mut parameters = request.form.clone();
    parameters.retain(|(name, _)| {
        !matches!(name.as_str(), "client_assertion" | "client_assertion_type" | "client_secret" | "client_id")
    });
    parameters.push(("client_id".into(), client_id.clone()));
    match check(op, state, &parameters, Way::Pushed) {
        Err(Refusal::Page(text)) => invalid(&text),
        Err(Refusal::Respond { error, text, .. }) => Reply::oauth_error(400, error, &text),
        Ok(_) => {
            let handle = format!("{HANDLE}{}", random(32));
            let expires = op.now() + PUSHED_LIFETIME_S;
            state.pushed.insert(handle.clone(), Pushed { client_id, parameters, expires });
            Reply::json(201, &json!({"request_uri": handle, "expires_in": PUSHED_LIFETIME_S})).with("cache-control", "no-store")
        }
    }
}

fn check(op: &Op, state: &mut State, sent: &Pairs, way: Way) -> Result<AuthorizationRequest, Refusal> {
    let page = |text: &str| Refusal::Page(text.to_owned());
    if let Some(name) = repeated(sent) {
        return Err(Refusal::Page(format!("The parameter {name} was sent twice.")));
    }
    let unsigned = if op.twist(Twist::RequestObjectNoneRefused) { unsigned_object(sent) } else { None };
    let object_processed = unsigned.is_some();
    let parameters = &unsigned.unwrap_or_else(|| sent.clone());
    let value = |name: &str| get(parameters, name).filter(|value| !value.is_empty());

    let client_id = value("client_id").ok_or_else(|| page("The request names no client."))?;
    let client =
        known_client(op, state, client_id, value("redirect_uri")).ok_or_else(|| page("The client is not registered here."))?;
    let redirect_uri = match value("redirect_uri") {
        Some(uri) => uri.to_owned(),
        None if op.twist(Twist::RedirectUriMandatory) => client.redirect_uris.first().cloned().unwrap_or_default(),
        None => return Err(page("The request names no redirect URI.")),
    };
    let refuse = |error: &'static str, text: &str| Refusal::Respond {
        redirect_uri: redirect_uri.clone(),
        state: value("state").map(str::to_owned),
        error,
        text: text.to_owned(),
    };
    if !is_registered(op, &client, &redirect_uri) {
        if op.twist(Twist::RedirectUnregisteredRefused) {
            return Err(refuse("invalid_request", "the redirect URI is not registered"));
        }
        return Err(page("The redirect URI is not registered for this client."));
    }

    // From here on the client can be told.
    if value("request").is_some() && !object_processed {
        return Err(refuse("request_not_supported", "request objects are not supported"));
    }
    if value("registration").is_some() {
        return Err(refuse("registration_not_supported", "clients are registered in advance"));
    }
    match value("response_type") {
        Some("code") => {}
        Some("code id_token" | "id_token code") if op.twist(Twist::OtherResponseTypesRefused) => {}
        Some(_) => return Err(refuse("unsupported_response_type", "only the authorization code flow is supported")),
        None => return Err(refuse("invalid_request", "response_type is missing")),
    }
    if value("response_mode").is_some_and(|mode| mode != "query") {
        return Err(refuse("invalid_request", "only response_mode query is supported"));
    }
    let scope = value("scope").unwrap_or_default().to_owned();
    let scopes: HashSet<&str> = scope.split(' ').collect();
    if !scopes.contains("openid") {
        return Err(refuse("invalid_scope", "scope openid is required"));
    }
    let (challenge, challenge_plain) = pkce(op, &client, value("code_challenge"), value("code_challenge_method"), way)
        .map_err(|text| refuse("invalid_request", text))?;
    let prompts: HashSet<&str> = value("prompt").unwrap_or_default().split(' ').filter(|word| !word.is_empty()).collect();
    if prompts.contains("none") && prompts.len() > 1 {
        return Err(refuse("invalid_request", "prompt none stands alone"));
    }
    let mut max_age = match value("max_age").map(str::parse::<u32>) {
        None => None,
        Some(Ok(seconds)) => Some(i64::from(seconds)),
        Some(Err(_)) => return Err(refuse("invalid_request", "max_age is not a number of seconds")),
    };
    if op.twist(Twist::MaxAgeNotReached) && max_age.is_some_and(|seconds| seconds > 600) {
        return Err(refuse("invalid_request", "max_age is not supported"));
    }
    if op.twist(Twist::MaxAgeReauth) && !prompts.contains("none") {
        max_age = max_age.filter(|seconds| *seconds == 0);
    }
    if op.twist(Twist::MaxAgeZero) {
        max_age = max_age.filter(|seconds| *seconds != 0);
    }
    if op.twist(Twist::UnknownParametersIgnored)
        && let Some((name, _)) = parameters.iter().find(|(name, _)| !KNOWN.contains(&name.as_str()))
    {
        return Err(refuse("invalid_request", &format!("unknown parameter {name}")));
    }
    let classes = Asked::read(value("acr_values"), value("claims"))
        .map_err(|_| refuse("invalid_request", "the claims parameter is not JSON"))?;
    let hint = match value("id_token_hint").filter(|_| !op.twist(Twist::IdTokenHintOtherUser)) {
        None => None,
        Some(token) => {
            Some(hinted(op, token).ok_or_else(|| refuse("invalid_request", "id_token_hint is not an ID token of ours"))?)
        }
    };
    let mut nonce = value("nonce").map(str::to_owned);
    if op.twist(Twist::Nonce64) {
        nonce = nonce.map(|nonce| nonce.chars().take(32).collect());
    }
    Ok(AuthorizationRequest {
        client_id: client_id.to_owned(),
        redirect_uri_sent: value("redirect_uri").is_some(),
        state: get(parameters, "state").map(str::to_owned),
        nonce,
        challenge,
        challenge_plain,
        max_age,
        prompt_none: prompts.contains("none"),
        prompt_login: prompts.contains("login"),
        tenant: value("tenant").map(str::to_owned),
        acr_asked: !classes.values.is_empty() || classes.essential.is_some(),
        classes,
        hint,
        dpop_jkt: value("dpop_jkt").map(str::to_owned),
        pushed: None,
        scope: scope.clone(),
        redirect_uri: redirect_uri.clone(),
    })
}

/// Whom an ID token of this service is about, however old it is (OIDC Core 3.1.2.1).
fn hinted(op: &Op, token: &str) -> Option<String> {
    let token = jose::read(token).ok()?;
    token.verify(&json!({"keys": [op.key.jwk()]})).ok()?;
    token.claims["sub"].as_str().map(str::to_owned)
}

/// What the service has heard of; everything else is ignored as well (OIDC Core 3.1.2.1).
const KNOWN: [&str; 22] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "acr_values",
    "login_hint",
    "domain_hint",
    "tenant",
    "ui_locales",
    "display",
    "id_token_hint",
    "claims",
    "claims_locales",
    "dpop_jkt",
    "request",
];

fn known_client(op: &Op, state: &mut State, id: &str, redirect_uri: Option<&str>) -> Option<RegisteredClient> {
    if op.twist(Twist::PreregistrationRequired) && !state.clients.contains_key(id) && id.starts_with("https://") {
        let redirect_uris = redirect_uri.map(str::to_owned).into_iter().collect();
        let client = RegisteredClient { id: id.to_owned(), redirect_uris, auth: ClientAuth::None, ..RegisteredClient::default() };
        state.clients.insert(id.to_owned(), client);
    }
    state.clients.get(id).cloned()
}

/// Simple string comparison (RFC 9700 2.1), apart from the defects.
fn is_registered(op: &Op, client: &RegisteredClient, sent: &str) -> bool {
    let tail = |uri: &str| uri.split_once("://").map(|(_, tail)| tail.to_owned());
    let same_without_scheme = |known: &str| tail(known).is_some() && tail(known) == tail(sent);
    client.redirect_uris.iter().any(|known| {
        known == sent
            || (op.twist(Twist::RedirectExactMatch) && sent.starts_with(known.as_str()))
            || (op.twist(Twist::RedirectHttpRefused) && same_without_scheme(known))
            || (op.twist(Twist::WildcardRegistrationRefused)
                && known.strip_suffix('*').is_some_and(|stem| sent.starts_with(stem)))
    })
}

/// The challenge, and whether it is a plain one.
fn pkce(
    op: &Op,
    client: &RegisteredClient,
    challenge: Option<&str>,
    method: Option<&str>,
    way: Way,
) -> Result<(Option<String>, bool), &'static str> {
    let optional = match way {
        Way::Browser => op.twist(Twist::PkceRequired) && client.auth != ClientAuth::None,
        Way::Pushed => op.twist(Twist::ParSameRules),
    };
    let Some(challenge) = challenge else {
        return if optional { Ok((None, false)) } else { Err("code_challenge is required") };
    };
    let plain = op.twist(Twist::PkcePlainRefused) && method.is_none();
    if method != Some("S256") && !plain {
        return Err("code_challenge_method must be S256");
    }
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    if !(43..=128).contains(&challenge.len()) || !challenge.chars().all(unreserved) {
        return Err("code_challenge is not base64url of a SHA-256 value");
    }
    Ok((Some(challenge.to_owned()), plain))
}

/// A defect: the parameters, with those of an unsigned request object in their place.
fn unsigned_object(sent: &Pairs) -> Option<Pairs> {
    let object = jose::read(get(sent, "request")?).ok().filter(|object| object.alg() == "none")?;
    let mut merged = sent.clone();
    for (name, value) in object.claims.as_object()? {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        merged.retain(|(key, _)| key != name);
        merged.push((name.clone(), text));
    }
    Some(merged)
}
