//! app-response: authorization responses that an application must not take, one login each, and responses in the wrong browser.

use serde::{Deserialize, Serialize};

use crate::counterpart::provider::{Script, Twist};
use crate::stage::Stage;
use crate::stage::fed::{Fed, Message};
use crate::stage::visitor::{Tried, Visitor};
use crate::suite::{Check, Obstacle, Scenario};

mod checks;

use checks::{
    a_missing_iss_is_refused, a_response_belongs_to_one_browser, a_token_from_the_browser_is_refused, a_used_response_is_refused,
    a_wrong_iss_is_refused, a_wrong_state_is_refused,
};

/// Odd authorization responses.
pub struct Response;

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The application sends `state`.
    pub sends_state: bool,
    /// `iss` of another issuer.
    pub other_iss: Vec<Tried>,
    /// `iss` with a slash at its end, and `iss` twice.
    pub odd_iss: Vec<Tried>,
    /// No `iss`.
    pub no_iss: Vec<Tried>,
    /// `state` altered, removed, empty.
    pub state: Vec<Tried>,
    /// ID tokens by way of the browser.
    pub front: Vec<Tried>,
    /// A response without fault, kept back and then given to the browser that had asked for it: the control of what follows.
    pub held: Option<Fed>,
    /// Browser 1's whole response in browser 2.
    pub login_csrf: Option<Fed>,
    /// Browser 1's code with browser 2's state in browser 2.
    pub injection: Option<Fed>,
    /// The control's response again.
    pub replay: Replay,
    /// A conforming login after all that succeeded.
    pub after: bool,
}

/// A used response, once more.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Replay {
    /// In a browser that has nothing.
    pub elsewhere: Option<Fed>,
    /// In the same browser after a local logout.
    pub signed_out: Option<Fed>,
    /// In a copy of the browser from before the response.
    pub copy: Option<Fed>,
}

/// A part of [`Seen`] that a login belongs to.
type Part = fn(&mut Seen) -> &mut Vec<Tried>;

impl Scenario for Response {
    type Seen = Seen;
    const ID: &'static str = "app-response";
    const TITLE: &'static str =
        "answers logins with a wrong iss or state, in the wrong browser, twice, or with an ID token in the front";
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.app.iss-param-wrong-refused", a_wrong_iss_is_refused),
        Check::new("sl1.app.iss-param-missing-refused", a_missing_iss_is_refused),
        Check::new("sl1.app.state-mismatch-refused", a_wrong_state_is_refused),
        Check::new("sl1.app.cross-browser-response-refused", a_response_belongs_to_one_browser),
        Check::new("sl1.app.response-replay-refused", a_used_response_is_refused),
        Check::new("sl1.app.front-channel-token-refused", a_token_from_the_browser_is_refused),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let app = stage.app()?;
        let conforming = Script::of(&app.users[0]);
        let all: [(&str, &str, Twist, Part); 11] = [
            ("iss-param-wrong-refused", "iss of another issuer", Twist::IssOther, |seen| &mut seen.other_iss),
            ("iss-param-wrong-refused", "iss with a slash at its end", Twist::IssSlash, |seen| &mut seen.odd_iss),
            ("iss-param-wrong-refused", "iss twice, right and wrong", Twist::IssRepeated, |seen| &mut seen.odd_iss),
            ("iss-param-missing-refused", "no iss", Twist::IssMissing, |seen| &mut seen.no_iss),
            ("state-mismatch-refused", "state altered by one character", Twist::StateAltered, |seen| &mut seen.state),
            ("state-mismatch-refused", "no state", Twist::StateMissing, |seen| &mut seen.state),
            ("state-mismatch-refused", "empty state", Twist::StateEmpty, |seen| &mut seen.state),
            ("front-channel-token-refused", "id_token in the query", Twist::IdTokenInQuery, |seen| &mut seen.front),
            ("front-channel-token-refused", "id_token in the fragment", Twist::IdTokenInFragment, |seen| &mut seen.front),
            ("front-channel-token-refused", "id_token by form post", Twist::IdTokenInForm, |seen| &mut seen.front),
            ("front-channel-token-refused", "id_token beside a worthless code", Twist::IdTokenBesideCode, |seen| &mut seen.front),
        ];
        let wants = |clause: &str| stage.wants(&format!("sl1.app.{clause}"));
        let wanted: Vec<_> = all.into_iter().filter(|(clause, ..)| wants(clause)).collect();
        let logins = wanted.iter().map(|(_, label, twist, _)| ((*label).to_owned(), conforming.clone().with(*twist))).collect();
        let mut seen = Seen::default();
        for (tried, (.., part)) in stage.series(logins).await?.into_iter().zip(&wanted) {
            part(&mut seen).push(tried);
        }
        let (crossing, replaying) = (wants("cross-browser-response-refused"), wants("response-replay-refused"));
        if crossing || replaying {
            let cross = async { if crossing { cross(stage).await } else { Ok((None, None)) } };
            let (crossed, replayed) = tokio::join!(cross, replay(stage, replaying));
            (seen.login_csrf, seen.injection) = crossed?;
            (seen.held, seen.replay) = replayed?;
            seen.after = stage.login_control("control: conforming login").await?.signed_in();
        }
        let log = app.provider.log();
        seen.sends_state = log.authorizations.iter().any(|request| request.get("state").is_some_and(|state| !state.is_empty()));
        Ok(seen)
    }
}

/// Two browsers start logins; browser 2 gets what belongs to browser 1.
async fn cross(stage: &Stage) -> Result<(Option<Fed>, Option<Fed>), Obstacle> {
    let (csrf, injection) = tokio::join!(crossed(stage, false), crossed(stage, true));
    Ok((csrf?, injection?))
}

async fn crossed(stage: &Stage, with_own_state: bool) -> Result<Option<Fed>, Obstacle> {
    let app = stage.app()?;
    let _undisturbed = stage.undisturbed().await?;
    let first = Visitor::new(stage, "browser 1 of an attacker").await?;
    let second = Visitor::new(stage, "browser 2 of a victim").await?;
    let own = first.hold(stage, "browser 1 starts a login").await?;
    let others = second.hold(stage, "browser 2 starts a login").await?;
    let (Some(own), Some(others)) = (own, others) else { return Ok(None) };
    let Some(url) = app.provider.response(&own, Script::of(&app.users[1])) else { return Ok(None) };
    let (url, label) = match (with_own_state, others.get("state")) {
        (false, _) => (url, "response of browser 1 given to browser 2"),
        (true, Some(state)) => (with_state(&url, state), "code of browser 1 with the state of browser 2"),
        (true, None) => return Ok(None),
    };
    Ok(Some(second.feed(stage, &Message::response(&own, &url), label).await?))
}

fn with_state(url: &str, state: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else { return url.to_owned() };
    let pairs: Vec<(String, String)> = parsed.query_pairs().into_owned().filter(|(name, _)| name != "state").collect();
    parsed.query_pairs_mut().clear().extend_pairs(pairs).append_pair("state", state);
    parsed.into()
}

/// A response that the token endpoint would honour any number of times: first where it belongs, then again elsewhere.
async fn replay(stage: &Stage, again: bool) -> Result<(Option<Fed>, Replay), Obstacle> {
    let app = stage.app()?;
    let _undisturbed = stage.undisturbed().await?;
    let visitor = Visitor::new(stage, "response given to its own browser").await?;
    let Some(request) = visitor.hold(stage, "a login whose response is kept back").await? else {
        return Ok((None, Replay::default()));
    };
    let before = visitor.context().cookies().await?;
    let script = Script::of(&app.users[0]).with(Twist::CodeReusable).with(Twist::AnyVerifier);
    let Some(url) = app.provider.response(&request, script) else { return Ok((None, Replay::default())) };
    let message = Message::response(&request, &url);
    let first = visitor.feed(stage, &message, "control: the response in its own browser").await?;
    stage.control(first.signed_in());
    let mut seen = Replay::default();
    if !again || !first.signed_in() {
        return Ok((Some(first), seen));
    }
    let stranger = Visitor::new(stage, "used response in a fresh browser").await?;
    seen.elsewhere = Some(stranger.feed(stage, &message, "used response in a fresh browser").await?);
    let copy = Visitor::new(stage, "used response in a copy of the browser").await?;
    copy.context().set_cookies(&before).await?;
    seen.copy = Some(copy.feed(stage, &message, "used response in a copy of the browser from before it").await?);
    if !app.app.logout_url.is_empty() {
        visitor.open(stage, &app.app.logout_url, "local logout").await?;
        let look = visitor.look(stage, "protected page after the logout").await?;
        if !look.signed_in && look.unreachable.is_none() {
            seen.signed_out = Some(visitor.feed(stage, &message, "used response after a local logout").await?);
        }
    }
    Ok((Some(first), seen))
}
