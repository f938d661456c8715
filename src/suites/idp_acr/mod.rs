//! idp-acr: classes of authentication that an application asks for, in browsers of its own.
//!
//! ```text
//! L      login with the lowest class -> silent requests for more, aborted step-up, pushed request -> step-up
//! direct login with the highest class     order  login with "highest lowest"
//! again  login with "lowest highest"      -> step-up by an essential claim
//! lacks  login of the user without the factor -> request for the highest class
//! ```

mod checks;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::counterpart::relying_party::{AuthzRequest, Proof};
use crate::counterpart::token::TokenRequest;
use crate::model::Judgement;
use crate::model::target::{AcrClass, ClassesBy, User};
use crate::stage::Stage;
use crate::stage::browser::recipe::{Until, asks_for_credentials};
use crate::stage::browser::{Act, Context, Visit};
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::seen::{AuthzSeen, IdTokenSeen, OTHER_USER};

/// A class that nobody defined.
pub const INVENTED: &str = "urn:ipsie-conform:never-defined";

/// Requests for classes.
pub struct Acr;

/// A request for a class, and what came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Asked {
    /// A page came first that wanted something of the user.
    pub page: bool,
    /// Something stood in the way of giving it what it wanted.
    pub obstacle: Option<String>,
    /// Where it ended; `None` where an obstacle stood in the way.
    pub authz: Option<AuthzSeen>,
    /// The ID token of the code.
    pub id_token: Option<IdTokenSeen>,
}

impl Asked {
    /// `acr` of the ID token.
    pub fn acr(&self) -> Option<&str> {
        self.id_token.as_ref()?.claim("acr").as_str()
    }

    /// The exchanges it rests on, the deciding one last.
    pub fn cites(&self) -> Vec<String> {
        let authz = self.authz.iter().flat_map(|authz| authz.cites.iter());
        authz.chain(self.id_token.iter().map(|token| &token.exchange)).cloned().collect()
    }
}

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The declared classes, weakest first.
    pub classes: Vec<AcrClass>,
    /// How they are requested.
    pub by: ClassesBy,
    /// `claims_parameter_supported` is true, or the operator declares the parameter as the mechanism.
    pub claims: bool,
    /// A PAR endpoint is advertised.
    pub par: bool,
    /// A user without the highest factor is declared.
    pub lacking_declared: bool,
    /// L: the login with the lowest class.
    pub lower: Option<Asked>,
    /// L: prompt=none without a class, the control of the next two.
    pub quiet: Option<Asked>,
    /// L: prompt=none with the highest class, voluntary.
    pub quiet_higher: Option<Asked>,
    /// L: prompt=none with the highest class, essential.
    pub quiet_essential: Option<Asked>,
    /// L: `acr_values` with a class that nobody defined.
    pub invented: Option<Asked>,
    /// L: an essential claim with a class that nobody defined.
    pub invented_essential: Option<Asked>,
    /// L: the highest class pushed, the lowest in the browser's URL.
    pub pushed: Option<Asked>,
    /// L: the page for the missing factor was reached and left.
    pub left: bool,
    /// L: requests after that.
    pub after_abort: Vec<(String, Asked)>,
    /// L: the step-up.
    pub step_up: Option<Asked>,
    /// Fresh browser: the highest class at once.
    pub direct: Option<Asked>,
    /// Fresh browser: highest and lowest class, in this order.
    pub order: Option<Asked>,
    /// Fresh browser: lowest and highest class, in this order.
    pub reverse: Option<Asked>,
    /// In that session: an essential claim with the highest class.
    pub essential: Option<Asked>,
    /// The user without the factor: a login without a class, the control.
    pub lacking_login: Option<Asked>,
    /// The same user: the highest class.
    pub lacking: Option<Asked>,
}

impl Seen {
    /// The weakest and the strongest class, where they differ.
    pub fn pair(&self) -> Option<(&AcrClass, &AcrClass)> {
        let (low, high) = (self.classes.first()?, self.classes.last()?);
        (low.acr != high.acr).then_some((low, high))
    }
}

impl Scenario for Acr {
    type Seen = Seen;
    const ID: &'static str = "idp-acr";
    const TITLE: &'static str = "asks for classes of authentication, and steps a session up";
    const AFTER: &'static [&'static str] = &["idp-login"];
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl2.idp.acr-values-honoured", checks::a_requested_class_is_met),
        Check::new("sl2.idp.acr-step-up", checks::a_lower_session_is_stepped_up),
        Check::new("sl2.idp.acr-never-overstated", checks::no_class_is_claimed_that_was_not_reached),
        Check::new("sl2.idp.acr-essential-claim", checks::an_essential_class_is_met_or_refused),
        Check::new("sl2.idp.acr-unsatisfiable", checks::an_unreachable_class_is_not_granted),
        Check::new("sl2.idp.acr-order", checks::the_first_class_comes_first),
        Check::new("sl2.idp.prompt-none-insufficient", checks::silence_grants_no_higher_class),
        Check::new("sl2.idp.amr-matches-request", checks::amr_shows_the_added_factor),
        Check::new("sl2.idp.request-integrity-par", checks::pushed_values_count),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let idp = &stage.world.idp;
        let mut seen = Seen {
            classes: idp.classes.clone(),
            by: idp.classes_by,
            claims: idp.classes_by == ClassesBy::Claims || stage.world.discovery.document["claims_parameter_supported"] == true,
            par: stage.world.discovery.get("pushed_authorization_request_endpoint").is_some(),
            lacking_declared: idp.users.iter().any(|user| user.lacks_highest),
            ..Seen::default()
        };
        let Some(high) = seen.classes.last().map(|class| class.acr.clone()) else { return Ok(seen) };
        let low = seen.classes.first().map(|class| class.acr.clone()).unwrap_or_default();
        let user = able_user(&idp.users)?.clone();
        let wants = |slugs: &[&str]| slugs.iter().any(|slug| stage.wants(&format!("sl2.idp.{slug}")));

        let lower = stage.world.agent.context("session of the lowest class").await?;
        seen.lower = Some(typed(stage, &lower, &user, wanting(stage, seen.by, &low)?, "login with the lowest class").await?);
        in_the_lower_session(stage, &lower, &mut seen, &low, &high).await?;
        if low != high && wants(&["acr-step-up", "amr-matches-request", "request-integrity-par"]) {
            seen.step_up = Some(typed(stage, &lower, &user, wanting(stage, seen.by, &high)?, "step-up").await?);
        }
        if seen.by == ClassesBy::AcrValues {
            if wants(&["acr-values-honoured"]) {
                let fresh = stage.world.agent.context("the highest class at once").await?;
                let request = by_values(stage, &high)?;
                seen.direct = Some(typed(stage, &fresh, &user, request, "login with the highest class").await?);
            }
            if low != high && wants(&["acr-order"]) {
                let fresh = stage.world.agent.context("two classes").await?;
                let request = by_values(stage, &format!("{high} {low}"))?;
                seen.order = Some(typed(stage, &fresh, &user, request, "login with highest and lowest class").await?);
            }
        }
        if seen.claims && wants(&["acr-essential-claim"]) {
            let fresh = stage.world.agent.context("an essential class").await?;
            let request = match seen.by {
                ClassesBy::AcrValues => by_values(stage, &format!("{low} {high}"))?,
                ClassesBy::Claims => by_claim(stage, &low)?,
            };
            seen.reverse = Some(typed(stage, &fresh, &user, request, "login with lowest and highest class").await?);
            seen.essential = Some(typed(stage, &fresh, &user, by_claim(stage, &high)?, "essential claim, highest class").await?);
        }
        if let Some(lacking) = idp.users.iter().find(|user| user.lacks_highest).filter(|_| wants(&["acr-unsatisfiable"])) {
            let fresh = stage.world.agent.context("a user without the factor").await?;
            let request = other(stage.request("main")?);
            seen.lacking_login = Some(typed(stage, &fresh, lacking, request, "login of the user without the factor").await?);
            let request = wanting(stage, seen.by, &high)?;
            seen.lacking = Some(untyped(stage, &fresh, request, "highest class for the user without the factor").await?);
        }
        Ok(seen)
    }
}

/// Silent requests in the session of the lowest class, and the step-up that is given up half-way.
async fn in_the_lower_session(
    stage: &Stage,
    context: &Arc<dyn Context>,
    seen: &mut Seen,
    low: &str,
    high: &str,
) -> Result<(), Obstacle> {
    let quiet = |request: AuthzRequest| request.set("prompt", "none");
    seen.quiet = Some(untyped(stage, context, quiet(other(stage.request("main")?)), "control: prompt=none").await?);
    seen.invented = Some(untyped(stage, context, by_values(stage, INVENTED)?, "a class that nobody defined").await?);
    if seen.claims {
        let request = by_claim(stage, INVENTED)?;
        seen.invented_essential = Some(untyped(stage, context, request, "essential claim, a class that nobody defined").await?);
    }
    if low == high {
        return Ok(());
    }
    if seen.by == ClassesBy::AcrValues {
        let request = quiet(by_values(stage, high)?);
        seen.quiet_higher = Some(untyped(stage, context, request, "prompt=none with the highest class").await?);
    }
    if seen.claims {
        let request = quiet(by_claim(stage, high)?);
        seen.quiet_essential = Some(untyped(stage, context, request, "prompt=none with the highest class, essential").await?);
    }
    if seen.par && seen.by == ClassesBy::AcrValues && stage.wants("sl2.idp.request-integrity-par") {
        seen.pushed = pushed(stage, context, high, low).await?;
    }
    if stage.wants("sl2.idp.acr-never-overstated") {
        seen.left = leave(stage, context, wanting(stage, seen.by, high)?).await?;
        for (what, request) in [
            ("no class", other(stage.request("main")?)),
            ("prompt=none", quiet(other(stage.request("main")?))),
            ("the lowest class", wanting(stage, seen.by, low)?),
        ] {
            let after = untyped(stage, context, request, &format!("after an aborted step-up: {what}")).await?;
            seen.after_abort.push((what.to_owned(), after));
        }
    }
    Ok(())
}

/// Goes to the page for the missing factor and away again, by its cancel button where there is one.
async fn leave(stage: &Stage, context: &Arc<dyn Context>, request: AuthzRequest) -> Result<bool, Obstacle> {
    let mut page = context.page(stage.scenario).await?;
    let what = "a step-up that is given up";
    let landing = page.go(Visit::Get(request.url(stage.world.endpoint("authorization_endpoint")?)), what).await?;
    let asked = landing.arrival.is_none() && asks_for_credentials(&landing);
    let cancel = landing.buttons.iter().find(|button| button.text.to_lowercase().contains("cancel"));
    if let Some(cancel) = cancel.filter(|_| asked) {
        // Whatever it leads to: the requests after it are what counts.
        let _ = page.act(&[Act::Click { at: cancel.at.clone() }], "a step-up that is given up: cancel").await;
    }
    Ok(asked)
}

/// Pushes the highest class and opens the request with the lowest one in the URL.
async fn pushed(stage: &Stage, context: &Arc<dyn Context>, high: &str, low: &str) -> Result<Option<Asked>, Obstacle> {
    let request = by_values(stage, high)?;
    let endpoint = stage.world.endpoint("pushed_authorization_request_endpoint")?.to_owned();
    let fields = request.params.iter().filter(|(name, _)| name != "client_id").cloned().collect();
    let ask = stage.authenticated_form(&endpoint, "main", fields, Proof::AsRegistered).await?;
    let reply = stage.world.http.send(stage.scenario, "push the highest class", ask).await?;
    let Some(uri) = reply.json().and_then(|body| body["request_uri"].as_str().map(str::to_owned)) else { return Ok(None) };
    let mut short = request;
    // redirect_uri stays in memory only to recognise the response.
    let redirect_uri = short.get("redirect_uri").to_owned();
    short.params.retain(|(name, _)| name == "client_id");
    let short = short.set("request_uri", &uri).set("acr_values", low);
    let mut page = context.page(stage.scenario).await?;
    let what = "pushed request with another class in the URL";
    let landing = page.go(Visit::Get(short.url(stage.world.endpoint("authorization_endpoint")?)), what).await?;
    let page = landing.arrival.is_none();
    let full = short.set("redirect_uri", &redirect_uri);
    let authz = stage.classify(&full, &landing, what);
    redeemed(stage, &full, authz, page, what).await.map(Some)
}

/// A request by which a class is asked for in the declared way. The ID tokens are not the main user's.
pub fn wanting(stage: &Stage, by: ClassesBy, acr: &str) -> Result<AuthzRequest, Obstacle> {
    match by {
        ClassesBy::AcrValues => by_values(stage, acr),
        ClassesBy::Claims => by_claim(stage, acr),
    }
}

fn by_values(stage: &Stage, values: &str) -> Result<AuthzRequest, Obstacle> {
    Ok(other(stage.request("main")?).set("acr_values", values))
}

fn by_claim(stage: &Stage, acr: &str) -> Result<AuthzRequest, Obstacle> {
    let claims = json!({"id_token": {"acr": {"essential": true, "values": [acr]}}});
    Ok(other(stage.request("main")?).set("claims", &claims.to_string()))
}

fn other(request: AuthzRequest) -> AuthzRequest {
    AuthzRequest { login: OTHER_USER, ..request }
}

/// Sends a request and types what is asked for.
async fn typed(
    stage: &Stage,
    context: &Arc<dyn Context>,
    user: &User,
    request: AuthzRequest,
    what: &str,
) -> Result<Asked, Obstacle> {
    let mut page = context.page(stage.scenario).await?;
    let landing = page.go(Visit::Get(request.url(stage.world.endpoint("authorization_endpoint")?)), what).await?;
    if landing.arrival.is_some() || landing.error.is_some() || !wants_something(&landing) {
        let shown = landing.arrival.is_none();
        let authz = stage.classify(&request, &landing, what);
        return redeemed(stage, &request, authz, shown, what).await;
    }
    match stage.finish_sign_in(page.as_mut(), landing, user, Until::Arrival).await {
        Ok(signed_in) => redeemed(stage, &request, stage.classify(&request, &signed_in.whole(), what), true, what).await,
        Err(obstacle) => Ok(Asked { page: true, obstacle: Some(obstacle.message), ..Asked::default() }),
    }
}

/// A page that can be answered: one with a field or a button, and no error page.
fn wants_something(landing: &crate::stage::browser::Landing) -> bool {
    landing.status < 400 && (asks_for_credentials(landing) || !landing.buttons.is_empty() || !landing.fields.is_empty())
}

/// Sends a request and types nothing.
async fn untyped(stage: &Stage, context: &Arc<dyn Context>, request: AuthzRequest, what: &str) -> Result<Asked, Obstacle> {
    let authz = stage.authorize(context, &request, what).await?;
    let page = authz.code.is_none() && authz.seen.error.is_none();
    redeemed(stage, &request, authz, page, what).await
}

async fn redeemed(
    stage: &Stage,
    request: &AuthzRequest,
    authz: crate::counterpart::authorize::Authz,
    page: bool,
    what: &str,
) -> Result<Asked, Obstacle> {
    let mut asked = Asked { page, ..Asked::default() };
    if let Some(code) = &authz.code {
        let token = TokenRequest::code(request, code, &format!("token request: {what}")).login(OTHER_USER);
        asked.id_token = stage.token(&token, None).await?.1.id_token;
    }
    asked.authz = Some(authz.seen);
    Ok(asked)
}

/// Who can reach every class: another user than the main one where there is one.
fn able_user(users: &[User]) -> Result<&User, Obstacle> {
    let able = |user: &&User| !user.lacks_highest && (user.password.is_some() || user.passkey.is_some());
    let first = || Obstacle::config("idp.users names nobody who reaches the highest class", "Add a test user with every factor.");
    users.iter().skip(1).find(able).or_else(|| users.first().filter(able)).ok_or_else(first)
}

/// What every check says of a request that was not made.
fn not_tried() -> Judgement {
    Judgement::undecided("not tried")
}
