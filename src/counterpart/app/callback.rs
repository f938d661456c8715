//! The authorization response, and what makes a session of it.

use super::App;
use super::accounts::{Person, account_of};
use super::defect::Defect;
use super::http::{In, Reply, encode, get, repeated};
use super::id_token::Expected;
use super::provider::Provider;
use super::state::{Session, TRANSACTION_LIFETIME_S, Transaction};
use super::tokens::Tokens;
use super::{pages, people, roles, session};
use crate::wire::jose::{random, read};

/// `/callback`. Whatever is wrong ends in a page that says so; no login begins by itself.
pub async fn callback(app: &App, request: &In) -> Reply {
    let takes_posts = app.has(Defect::FrontChannelTokenRefused) || app.has(Defect::UnsolicitedIdTokenRefused);
    if request.method == "POST" && !takes_posts {
        return Reply::page(405, pages::error("The answer of the identity service has to come in the address."));
    }
    refusal(respond(app, request).await)
}

/// The defect of initiated-login-own-transaction: a code that nobody asked for.
pub async fn redeem_unasked(app: &App, request: &In, code: &str) -> Reply {
    let outcome = async {
        let transaction = unasked(app);
        let provider = app.provider(transaction.connection).await?;
        let tokens = app.redeem(&provider, transaction.connection, code, &transaction.verifier).await?;
        complete(app, request, &provider, &transaction, &tokens).await
    };
    refusal(outcome.await)
}

fn refusal(outcome: Result<Reply, String>) -> Reply {
    outcome.unwrap_or_else(|why| Reply::page(400, pages::refused(&why)))
}

/// A transaction that never was: what the defects with unsolicited responses go on with.
fn unasked(app: &App) -> Transaction {
    Transaction { verifier: random(32), return_to: app.url("/protected"), started: app.now(), ..Transaction::default() }
}

async fn respond(app: &App, request: &In) -> Result<Reply, String> {
    let parameters = request.parameters();
    if let Some(name) = repeated(parameters) {
        return Err(format!("the response repeats {name}"));
    }
    let code = get(parameters, "code");
    let id_token = get(parameters, "id_token");
    let transaction = match (take(app, request), id_token) {
        (Ok(transaction), _) => transaction,
        (Err(_), Some(id_token)) if app.has(Defect::UnsolicitedIdTokenRefused) => {
            return by_front_channel(app, request, &unasked(app), id_token).await;
        }
        (Err(_), _) if code.is_some() && app.has(Defect::UnsolicitedCodeRefused) && newcomer(app, request) => unasked(app),
        (Err(why), _) => return Err(why),
    };
    if let Some(id_token) = id_token.filter(|_| request.method == "POST" && app.has(Defect::FrontChannelTokenRefused)) {
        return by_front_channel(app, request, &transaction, id_token).await;
    }
    if request.method == "POST" {
        return Err("the response has to come in the address".into());
    }
    let provider = app.provider(transaction.connection).await?;
    right_issuer(app, &provider, transaction.connection, get(parameters, "iss"))?;
    if let Some(error) = get(parameters, "error") {
        return Err(format!("the identity service answered {error}"));
    }
    let code = code.filter(|code| !code.is_empty()).ok_or("the response has no code")?;
    let tokens = app.redeem(&provider, transaction.connection, code, &transaction.verifier).await?;
    let reply = complete(app, request, &provider, &transaction, &tokens).await?;
    if app.has(Defect::CodeUsedOnce) {
        let _ = app.redeem(&provider, transaction.connection, code, &transaction.verifier).await;
    }
    Ok(reply)
}

/// A browser that has not finished a login yet.
fn newcomer(app: &App, request: &In) -> bool {
    request.cookie(session::LOGIN_COOKIE).is_none_or(|id| app.lock().browsers.get(id) != Some(&true))
}

/// The pending transaction that this response answers. It is spent by that, whatever comes of it.
fn take(app: &App, request: &In) -> Result<Transaction, String> {
    let parameters = request.parameters();
    let browser = request.cookie(session::LOGIN_COOKIE);
    let mut state = app.lock();
    let own = |transaction: &Transaction| browser == Some(transaction.browser.as_str());
    let key = match get(parameters, "state") {
        Some(key) => key.to_owned(),
        None if app.has(Defect::StateMismatchRefused) => {
            let mine = state.transactions.iter().filter(|(_, transaction)| own(transaction));
            mine.max_by_key(|(_, transaction)| transaction.started).map(|(key, _)| key.clone()).unwrap_or_default()
        }
        None => return Err("the response has no state".into()),
    };
    let now = app.now();
    let code = get(parameters, "code");
    let found = state.transactions.get_mut(&key).filter(|transaction| match &transaction.used {
        None => true,
        Some(used) if app.has(Defect::ResponseReplayRefused) => Some(used.as_str()) == code,
        Some(used) => app.has(Defect::TransactionSingleUse) && Some(used.as_str()) != code,
    });
    let transaction = found.ok_or("no login of this browser waits for that response")?;
    if !own(transaction) && !app.has(Defect::CrossBrowserResponseRefused) {
        return Err("no login of this browser waits for that response".into());
    }
    if transaction.started + TRANSACTION_LIFETIME_S <= now {
        return Err("the login took too long".into());
    }
    let taken = transaction.clone();
    if app.has(Defect::ResponseReplayRefused) || app.has(Defect::TransactionSingleUse) {
        transaction.used = Some(code.unwrap_or_default().to_owned());
    } else {
        state.transactions.remove(&key);
    }
    Ok(taken)
}

/// RFC 9207 2.4, before the code goes anywhere. IPSIE wants iss in every response, so that a missing one is refused too.
fn right_issuer(app: &App, provider: &Provider, connection: usize, iss: Option<&str>) -> Result<(), String> {
    let right = match iss {
        None => app.has(Defect::IssParamMissingRefused),
        Some(iss) => {
            iss == provider.issuer
                || app.has(Defect::IssParamWrongRefused)
                || (app.has(Defect::DiscoveryIssuerMismatch) && app.issuer(connection) == Some(iss))
        }
    };
    if right { Ok(()) } else { Err("the response is not from the identity service that was asked".into()) }
}

async fn by_front_channel(app: &App, request: &In, transaction: &Transaction, id_token: &str) -> Result<Reply, String> {
    let provider = app.provider(transaction.connection).await?;
    let tokens = Tokens { id_token: Some(id_token.to_owned()), ..Tokens::default() };
    complete(app, request, &provider, transaction, &tokens).await
}

/// Validates what the provider said about the user, and signs the browser in.
async fn complete(
    app: &App,
    request: &In,
    provider: &Provider,
    transaction: &Transaction,
    tokens: &Tokens,
) -> Result<Reply, String> {
    let connection = transaction.connection;
    let expected = Expected {
        nonce: transaction.nonce.clone(),
        max_age: transaction.max_age,
        fresh_since: transaction.fresh.then_some(transaction.started),
        // A browser that never asked is not held to what would have been asked.
        acr: app.config.required_acr.clone().filter(|_| !transaction.browser.is_empty()),
    };
    let readable = tokens.id_token.as_deref().filter(|token| read(token).is_ok() || token.split('.').count() == 5);
    let claims = match (tokens.id_token.as_deref(), readable) {
        (_, None) if app.has(Defect::IdTokenMissingRefused) => None,
        (Some(token), _) => {
            let claims = app.id_token(provider, connection, token, &expected).await;
            Some(claims.map_err(|why| format!("the ID token is refused: {why}"))?)
        }
        (None, _) => return Err("the identity service sent no ID token".into()),
    };
    let userinfo = if tokens.access_token.is_some() { app.userinfo(provider, tokens).await? } else { None };
    let null = serde_json::Value::Null;
    let (claims, info) = match (&claims, &userinfo) {
        (Some(claims), info) => (claims, info.as_ref().unwrap_or(&null)),
        (None, Some(info)) => (info, info),
        (None, None) => return Err("the identity service said nothing about the user".into()),
    };
    // Under the defect the groups of UserInfo are read whoever they belong to, and nothing else of it.
    let foreign = userinfo.is_some() && info["sub"] != claims["sub"] && app.has(Defect::GroupClaimSourceTrusted);
    let groups = roles::claimed(if claims.get("groups").is_some() && !foreign { claims } else { info });
    let info = if foreign { claims } else { info };
    let text = |name: &str| info[name].as_str().or_else(|| claims[name].as_str()).map(str::to_owned);
    let mut sub = app.subject(claims, text("email").as_deref()).map_err(|why| format!("the ID token is refused: {why}"))?;
    if userinfo.is_some() && info["sub"] != sub.as_str() {
        // OIDC Core 5.3.2.
        if app.has(Defect::UserinfoSubChecked) {
            sub = info["sub"].as_str().unwrap_or(&sub).to_owned();
        } else if !app.has(Defect::IdTokenSubRequired) {
            return Err("UserInfo speaks of another user than the ID token".into());
        }
    }
    let expires = app.end_of_session(claims).map_err(|why| format!("the ID token is refused: {why}"))?;
    let person = Person {
        issuer: provider.issuer.clone(),
        tenant: claims["tenant"].as_str().map(str::to_owned),
        sub,
        email: text("email"),
        name: text("name"),
    };
    let sid = claims["sid"].as_str().map(str::to_owned);
    sign_in(app, request, transaction, tokens, Who { person, groups, sid, expires })
}

/// Who signs in, by the ID token and UserInfo.
struct Who {
    person: Person,
    /// Groups they claim.
    groups: Vec<String>,
    /// Session identifier of the provider.
    sid: Option<String>,
    /// End of the session, in seconds since 1970.
    expires: i64,
}

fn sign_in(app: &App, request: &In, transaction: &Transaction, tokens: &Tokens, who: Who) -> Result<Reply, String> {
    let Who { person, groups, sid, mut expires } = who;
    let now = app.now();
    let managed = people::join(app, &person)?;
    let mut state = app.lock();
    let (sub, tenant) = (person.sub.clone(), person.tenant.clone());
    let account = account_of(app, &mut state, person, managed);
    if !people::may_sign_in(app, &state, &account) {
        let managed = state.accounts.get(&account).is_some_and(|account| account.managed);
        if managed && app.scim.user(&account).is_none() {
            state.accounts.remove(&account);
        }
        return Err("the account is not active".into());
    }
    roles::take_groups(app, &mut state, &account, &groups);
    if state.accounts.get(&account).is_some_and(|account| account.suspended) {
        return Err("the account is suspended".into());
    }
    if app.has(Defect::SessionRenewedFromAssertion) {
        expires = *state.first_expiry.entry((transaction.browser.clone(), account.clone())).or_insert(expires);
    }
    let before = request.cookie(session::SESSION_COOKIE).map(str::to_owned);
    if let Some(before) = &before {
        state.sessions.remove(before);
    }
    let kept = before.filter(|_| app.has(Defect::SessionCookieFlags));
    let id = kept.unwrap_or_else(|| session::new_session_id(app, &mut state));
    state.logins += 1;
    let session = Session {
        account,
        connection: transaction.connection,
        sub,
        tenant,
        sid,
        browser: transaction.browser.clone(),
        csrf: random(24),
        started: now,
        order: state.logins,
        expires,
        lifetime: expires - now,
        refresh_token: tokens.refresh_token.clone().filter(|_| app.config.refresh),
        foreign_access_token: tokens.access_token.clone().filter(|_| app.has(Defect::AccessTokenIdentityOnly)),
        bypass: false,
        ended: false,
    };
    state.ask_again.remove(&transaction.browser);
    state.browsers.insert(transaction.browser.clone(), true);
    state.sessions.insert(id.clone(), session);
    let mut to = transaction.return_to.clone();
    let token = tokens.access_token.as_deref().unwrap_or_default();
    if app.has(Defect::NoSecretsInFrontChannel) {
        to = format!("{to}{}{}", if to.contains('?') { '&' } else { '?' }, encode([("access_token", token)]));
    }
    let reply = Reply::see_other(to).with("set-cookie", session::session_cookie(&id));
    if app.has(Defect::AccessTokenIdentityOnly) {
        return Ok(reply.with("set-cookie", format!("api_token={token}; Path=/; Secure; SameSite=Lax")));
    }
    Ok(reply)
}
