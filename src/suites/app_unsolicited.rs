//! app-unsolicited: codes and ID tokens that no transaction of the application asked for.

mod checks;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use crate::counterpart::provider::{Authorization, Script, Twist};
use crate::stage::Stage;
use crate::stage::fed::{Fed, Message};
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::jose::random;
use checks::{
    a_finished_transaction_is_over, an_initiated_login_is_the_applications_own, an_unsolicited_code_is_refused,
    an_unsolicited_id_token_is_refused,
};

/// Unsolicited assertions.
pub struct Unsolicited;

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Conforming logins before and after succeeded.
    pub controls: bool,
    /// Codes without a transaction.
    pub codes: Vec<Fed>,
    /// ID tokens without a transaction.
    pub id_tokens: Vec<Fed>,
    /// The initiation endpoint; `None` where none is configured or nobody asked.
    pub initiated: Option<Initiated>,
    /// A finished transaction, completed again.
    pub second: Option<Second>,
}

/// The initiation endpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Initiated {
    /// With `iss` only, answered: the control.
    pub plain: Attempt,
    /// With `iss` and a code, a state and an ID token.
    pub loaded: Fed,
    /// The authorization request that came of it carries the state that was given from outside.
    pub state_taken: bool,
}

/// A finished transaction, completed again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Second {
    /// User 1 signs in with a response that was kept back.
    pub first: Fed,
    /// The same state with a code for user 2.
    pub again: Fed,
    /// The account that user 2 has, from a login of its own.
    pub other_account: Option<String>,
    /// The page shows user 2's `sub`, address or name after that; `None` where it shows neither user's.
    pub shows_other: Option<bool>,
}

impl Scenario for Unsolicited {
    type Seen = Seen;
    const ID: &'static str = "app-unsolicited";
    const TITLE: &'static str = "gives the application codes and ID tokens that it did not ask for";
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl2.app.unsolicited-code-refused", an_unsolicited_code_is_refused),
        Check::new("sl2.app.unsolicited-id-token-refused", an_unsolicited_id_token_is_refused),
        Check::new("sl2.app.initiated-login-own-transaction", an_initiated_login_is_the_applications_own),
        Check::new("sl2.app.transaction-single-use", a_finished_transaction_is_over),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let app = stage.app()?;
        let (finished, control) = stage.attempt(Script::of(&app.users[0]), "control: conforming login").await?;
        let mut seen = Seen { controls: stage.control(control.signed_in()), ..Seen::default() };
        // Whose redirect URI and response mode are the application's own.
        let log = app.provider.log();
        let Some(request) = log.authorizations_of(&finished.id).first().map(|request| (*request).clone()) else {
            return Ok(seen);
        };
        let Some(at) = request.get("redirect_uri").map(str::to_owned) else { return Ok(seen) };
        let wants = |clause: &str| stage.wants(&format!("sl2.app.{clause}"));
        if wants("unsolicited-code-refused") {
            seen.codes = codes(stage, &request, &at).await?;
        }
        if wants("unsolicited-id-token-refused") {
            seen.id_tokens = id_tokens(stage, &at).await?;
        }
        if wants("initiated-login-own-transaction") && !app.app.initiate_login_uri.is_empty() {
            seen.initiated = Some(initiated(stage).await?);
        }
        if wants("transaction-single-use") {
            seen.second = second(stage).await?;
        }
        seen.controls &= stage.login_control("control: conforming login").await?.signed_in();
        Ok(seen)
    }
}

/// A valid code without state, with a made-up one, and with that of a transaction which another browser finished.
async fn codes(stage: &Stage, finished: &Authorization, at: &str) -> Result<Vec<Fed>, Obstacle> {
    let app = stage.app()?;
    let _undisturbed = stage.undisturbed().await?;
    let issuer = app.provider.issuer();
    let script = Script::of(&app.users[0]);
    let bring = |pairs: &[(&str, &str)]| match finished.get("response_mode") {
        Some("form_post") => Message::form(at, pairs),
        _ => Message::query(at, pairs),
    };
    let tries = [("a code without state", None), ("a code with a made-up state", Some(random(24)))];
    let (script, bring) = (&script, &bring);
    let fresh = tries.into_iter().map(|(label, state)| async move {
        let visitor = Visitor::new(stage, label).await?;
        let code = app.provider.unsolicited_code(&visitor.id, script.clone());
        let mut pairs = vec![("code", code.as_str()), ("iss", issuer)];
        pairs.extend(state.as_deref().map(|state| ("state", state)));
        visitor.feed(stage, &bring(&pairs), label).await
    });
    let mut out: Vec<Fed> = try_join_all(fresh).await?;
    // Its nonce is that of the finished transaction too: the strongest form of this response.
    if let Some(url) = app.provider.response(finished, script.clone().with(Twist::AnyVerifier)) {
        let label = "a code with the state of a transaction that another browser finished";
        let visitor = Visitor::new(stage, label).await?;
        out.push(visitor.feed(stage, &Message::response(finished, &url), label).await?);
    }
    Ok(out)
}

/// Valid ID tokens at every place that might listen, by every way of a browser.
async fn id_tokens(stage: &Stage, redirect_uri: &str) -> Result<Vec<Fed>, Obstacle> {
    let app = stage.app()?;
    let _undisturbed = stage.undisturbed().await?;
    let places = [
        ("redirect URI", redirect_uri),
        ("login initiation endpoint", app.app.initiate_login_uri.as_str()),
        ("start page", app.app.start()),
    ];
    type Way = fn(&str, &[(&str, &str)]) -> Message;
    let ways: [(&str, Way); 3] = [("form post", Message::form), ("query", Message::query), ("fragment", Message::fragment)];
    let mut out = Vec::new();
    let known = |index: usize, at: &str| places[..index].iter().any(|(_, other)| *other == at);
    let distinct = places.into_iter().enumerate().filter(|(index, (_, at))| !at.is_empty() && !known(*index, at));
    for (_, (place, at)) in distinct {
        let tries = ways.into_iter().map(|(way, message)| async move {
            let visitor = Visitor::new(stage, "unsolicited ID token").await?;
            let mut fed = Vec::new();
            for (kind, nonce) in [("without nonce", None), ("with a made-up nonce", Some(random(24)))] {
                let token = app.provider.unsolicited_id_token(&Script::of(&app.users[0]), nonce.as_deref());
                let label = format!("ID token {kind} to the {place} by {way}");
                fed.push(visitor.feed(stage, &message(at, &[("id_token", &token)]), &label).await?);
            }
            Ok::<_, Obstacle>(fed)
        });
        out.extend(try_join_all(tries).await?.into_iter().flatten());
    }
    Ok(out)
}

/// The initiation endpoint with `iss` only, and with an assertion beside it.
async fn initiated(stage: &Stage) -> Result<Initiated, Obstacle> {
    let app = stage.app()?;
    let _undisturbed = stage.undisturbed().await?;
    let (at, issuer) = (app.app.initiate_login_uri.as_str(), app.provider.issuer());
    let script = Script::of(&app.users[0]);

    let visitor = Visitor::new(stage, "login initiated by the provider").await?;
    app.provider.tell(&visitor.id, script.clone().answer());
    let label = "control: login initiated by the provider";
    let landing = visitor.go(stage, Message::query(at, &[("iss", issuer)]).visit, label).await?;
    app.provider.silence(&visitor.id);
    let look = visitor.look_for_session(stage, &landing, label).await?;
    let plain = visitor.outcome(app, label, 0, look, &landing);
    stage.control(plain.signed_in());

    let visitor = Visitor::new(stage, "login initiated with an assertion").await?;
    let (state, id_token) = (random(24), app.provider.unsolicited_id_token(&script, None));
    let code = app.provider.unsolicited_code(&visitor.id, script);
    let pairs = [("iss", issuer), ("code", code.as_str()), ("state", state.as_str()), ("id_token", id_token.as_str())];
    let loaded = visitor.feed(stage, &Message::query(at, &pairs), "login initiated with code, state and id_token").await?;
    let log = app.provider.log();
    let state_taken = log.authorizations_of(&visitor.id).iter().any(|request| request.get("state") == Some(&state));
    Ok(Initiated { plain, loaded, state_taken })
}

/// A browser finishes a login as user 1 and receives the same state with a code for user 2.
async fn second(stage: &Stage) -> Result<Option<Second>, Obstacle> {
    let app = stage.app()?;
    let other = stage.attempt(Script::of(&app.users[1]), "login of user 2").await?.1;
    let _undisturbed = stage.undisturbed().await?;
    let visitor = Visitor::new(stage, "transaction completed twice").await?;
    let Some(request) = visitor.hold(stage, "a login whose response is kept back").await? else { return Ok(None) };
    let response = |user: usize| {
        let url = app.provider.response(&request, Script::of(&app.users[user]).with(Twist::AnyVerifier))?;
        Some(Message::response(&request, &url))
    };
    let (Some(own), Some(others)) = (response(0), response(1)) else { return Ok(None) };
    let first = visitor.feed(stage, &own, "user 1 finishes the login").await?;
    stage.control(first.signed_in());
    let again = visitor.feed(stage, &others, "the same state with a code for user 2").await?;
    let mut shows_other = None;
    if again.signed_in() {
        let page = visitor.open(stage, &app.app.protected_url, "whose page is it").await?;
        let shows = |user: usize| {
            let user = &app.users[user];
            [&user.sub, &user.email, &user.name].into_iter().any(|text| !text.is_empty() && page.html.contains(text.as_str()))
        };
        shows_other = match (shows(0), shows(1)) {
            (true, false) => Some(false),
            (false, true) => Some(true),
            _ => None,
        };
    }
    Ok(Some(Second { first, again, other_account: other.look.account, shows_other }))
}
