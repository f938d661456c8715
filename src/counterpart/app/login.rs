//! The authorization request, however a login begins.

use url::Url;

use super::App;
use super::defect::Defect;
use super::http::{In, Reply, encode, get};
use super::state::Transaction;
use super::{callback, pages, session};
use crate::wire::jose::{random, sha256_b64};

/// Seconds since the user's last authentication at the provider that the application accepts.
pub const MAX_AGE_S: i64 = 900;

/// What a login begins with.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Which configured issuer, from 0.
    pub connection: usize,
    /// Where the browser goes afterwards: an absolute URL.
    pub return_to: String,
    /// Parameters to pass on.
    pub hints: Vec<(&'static str, String)>,
}

/// `/login`: with `connection=second` at the second issuer; `returnTo` names a page of the application.
pub async fn start(app: &App, request: &In) -> Reply {
    let connection = usize::from(get(&request.query, "connection") == Some("second") && app.connections() > 1);
    let return_to = get(&request.query, "returnTo");
    let return_to = app.return_to(return_to, app.has(Defect::NoOpenRedirector));
    begin(app, request, Start { connection, return_to, ..Start::default() }).await
}

/// `/initiate`: a third party wants the user to sign in (OIDC Core 4).
pub async fn initiate(app: &App, request: &In) -> Reply {
    let parameters = request.parameters();
    let known = ["iss", "login_hint", "target_link_uri", "domain_hint", "tenant"];
    if app.has(Defect::ThirdPartyExtraParams) && parameters.iter().any(|(name, _)| !known.contains(&name.as_str())) {
        return Reply::page(400, pages::error("The request has an unknown parameter."));
    }
    if app.has(Defect::InitiatedLoginOwnTransaction)
        && let Some(code) = get(parameters, "code")
    {
        return callback::redeem_unasked(app, request, code).await;
    }
    let iss = get(parameters, "iss").unwrap_or_default();
    let Some(connection) = app.connection(iss) else {
        if app.has(Defect::ThirdPartyUnknownIss) && iss.contains("://") {
            return ask_anybody(app, iss).await;
        }
        return Reply::page(400, pages::error("The application does not know that identity service."));
    };
    let target = get(parameters, "target_link_uri");
    let return_to = app.return_to(target, app.has(Defect::ThirdPartyTargetLink));
    let passed_on = ["login_hint", "domain_hint", "tenant"].into_iter();
    let passed_on = passed_on.filter(|name| *name != "login_hint" || !app.has(Defect::ThirdPartyLoginHint));
    let hints = passed_on.filter_map(|name| Some((name, get(parameters, name)?.to_owned()))).collect();
    begin(app, request, Start { connection, return_to, hints }).await
}

/// The defect of third-party-unknown-iss: discovery at whoever is named, and on to the place found or guessed.
async fn ask_anybody(app: &App, iss: &str) -> Reply {
    let answer = app.outgoing.get(&format!("{iss}/.well-known/openid-configuration"), &[]).await;
    let found = answer.ok().and_then(|answer| answer.json["authorization_endpoint"].as_str().map(str::to_owned));
    let query = encode([("client_id", app.client_id(0)), ("response_type", "code"), ("scope", "openid")]);
    Reply::see_other(format!("{}?{query}", found.unwrap_or_else(|| format!("{iss}/authorize"))))
}

/// Sends the browser to the provider.
pub async fn begin(app: &App, request: &In, start: Start) -> Reply {
    let provider = match app.provider(start.connection).await {
        Ok(provider) => provider,
        Err(why) => return Reply::page(502, pages::error(&format!("You cannot sign in now: {why}."))),
    };
    let Some(mut url) = provider.text("authorization_endpoint").and_then(|url| Url::parse(url).ok()) else {
        return Reply::page(502, pages::error("You cannot sign in now: the authorization endpoint is no URL."));
    };
    let now = app.now();
    let transaction_state = random(32);
    let mut cookies = Vec::new();
    let (transaction, scope) = {
        let mut state = app.lock();
        state.tidy(now);
        let known = request.cookie(session::LOGIN_COOKIE).filter(|id| state.browsers.contains_key(*id)).map(str::to_owned);
        let browser = known.unwrap_or_else(|| {
            let id = random(32);
            cookies.push(session::login_cookie(&id));
            state.browsers.insert(id.clone(), false);
            id
        });
        if request.cookie(session::SESSION_COOKIE).is_none() {
            // A session before the login: it knows nobody, and the login replaces it.
            let id = session::new_session_id(app, &mut state);
            cookies.push(session::session_cookie(&id));
        }
        let fresh = state.ask_again.contains(&browser);
        let transaction = transaction(app, start.connection, browser, start.return_to, fresh);
        state.transactions.insert(transaction_state.clone(), transaction.clone());
        let scope = if app.config.refresh { "openid profile email offline_access" } else { "openid profile email" };
        (transaction, scope.trim_start_matches(if app.has(Defect::AuthzRequestValid) { "openid " } else { "" }))
    };
    url.query_pairs_mut().extend_pairs(parameters(app, &transaction, &transaction_state, scope)).extend_pairs(&start.hints);
    cookies.into_iter().fold(Reply::see_other(url), |reply, cookie| reply.with("set-cookie", cookie))
}

fn transaction(app: &App, connection: usize, browser: String, return_to: String, fresh: bool) -> Transaction {
    let nonce = if app.has(Defect::NonceLength) { random(75) } else { random(32) };
    let verifier = if app.has(Defect::PkceUnique) {
        app.constant_verifier.clone()
    } else if app.has(Defect::PkceVerifierValid) {
        format!("{:043}", app.now())
    } else {
        random(32)
    };
    Transaction {
        connection,
        browser,
        nonce: (!app.has(Defect::NonceSent)).then_some(nonce),
        verifier,
        return_to,
        max_age: (!app.has(Defect::MaxAgeSent)).then_some(MAX_AGE_S),
        fresh: fresh && !app.has(Defect::ReauthAsksFresh),
        started: app.now(),
        used: None,
    }
}

fn parameters(app: &App, transaction: &Transaction, state: &str, scope: &str) -> Vec<(&'static str, String)> {
    let plain = app.has(Defect::PkceS256);
    let mut all = vec![
        ("response_type", if app.has(Defect::ResponseTypeCode) { "code id_token" } else { "code" }.to_owned()),
        ("client_id", app.client_id(transaction.connection).to_owned()),
        ("redirect_uri", app.redirect_uri()),
        ("scope", scope.to_owned()),
        ("state", state.to_owned()),
        ("code_challenge", if plain { transaction.verifier.clone() } else { sha256_b64(&transaction.verifier) }),
        ("code_challenge_method", if plain { "plain" } else { "S256" }.to_owned()),
    ];
    all.extend(transaction.nonce.iter().map(|nonce| ("nonce", nonce.clone())));
    all.extend(transaction.max_age.iter().map(|max_age| ("max_age", max_age.to_string())));
    if let Some(acr) = app.config.required_acr.as_ref().filter(|_| !app.has(Defect::RequestsMethods)) {
        all.push(("acr_values", acr.clone()));
    }
    if transaction.fresh {
        all.push(("prompt", "login".to_owned()));
    }
    all
}
