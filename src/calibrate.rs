//! Before the first scenario at an application: can it be reached, does a login work, and how is a signed-in page told from a signed-out one?

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::counterpart::provider::{Script, Twist};
use crate::error::Error;
use crate::event::Event;
use crate::first_login::FirstLogin;
use crate::stage::app_world::AppWorld;
use crate::stage::browser::Landing;
use crate::stage::oracle::{Rule, loops};
use crate::stage::visitor::Visitor;
use crate::stage::{Stage, World};
use crate::suite::Obstacle;

/// Pause before a first login is tried again: an application that was just started may need it.
const AGAIN: Duration = Duration::from_secs(2);

/// Finds out how a signed-in page is told from a signed-out one, or tries what the operator declared: one visit of nobody, one of a
/// signed-in user, and where nothing was declared one of a user whose login must fail.
///
/// # Errors
/// The application cannot be reached, the first login does not work, or the two visits look alike.
pub async fn calibrate(world: &Arc<World>) -> Result<(), Error> {
    let stage = Stage::new(world.clone(), "app-login");
    let app = stage.app().map_err(prerequisite)?;
    let protected = app.app.protected_url.as_str();

    let nobody = Visitor::new(&stage, "nobody").await.map_err(prerequisite)?;
    let anonymous = nobody.open(&stage, protected, "protected page, nobody signed in").await.map_err(prerequisite)?;
    answered(protected, &anonymous)?;
    let declared = Rule::declared(&app.app.logged_in);
    if let Some(rule) = &declared
        && rule.holds(&anonymous)
    {
        return Err(Error::prerequisite(
            format!("app.logged_in does not tell who is signed in: {protected} shows {} to nobody as well", rule.describe()),
            "Declare a selector or text that only the page of a signed-in user has, and a page that asks for a login in app.protected_url.",
        ));
    }
    let signed_in = first_login(&stage, app, declared.as_ref()).await?;
    let rule = match declared {
        Some(rule) => rule,
        None => learn(&stage, app, &anonymous, &signed_in).await?,
    };
    (world.events)(Event::Note { text: format!("a signed-in page is told by: {}", rule.describe()) });
    app.settle(rule);
    Ok(())
}

fn prerequisite(obstacle: Obstacle) -> Error {
    Error::prerequisite(obstacle.message, obstacle.hint)
}

/// The application gave an answer to nobody.
fn answered(url: &str, landing: &Landing) -> Result<(), Error> {
    if let Some(error) = landing.error.as_ref().filter(|error| loops(error)) {
        let places = FirstLogin::places(landing);
        return Err(Error::prerequisite(
            format!("the application redirects in a loop when nobody signed in opens {url} ({error}): {places}"),
            "Open the page in a browser of your own; name a page in app.protected_url that works.",
        ));
    }
    match &landing.error {
        Some(error) => Err(Error::prerequisite(
            format!("the application could not be reached at {url}: {error}"),
            "Check app.protected_url, [network.resolve], network.ca_file and that the application is up; `ipsie-conform doctor` looks at each part.",
        )),
        None if landing.status == 429 => Err(Error::prerequisite(
            format!("the application limits the rate of requests: {url} answers with status 429"),
            "Wait until the limit is over, and set network.rate to the requests per second it takes.",
        )),
        None => Ok(()),
    }
}

/// The protected page after the first login that worked.
async fn first_login(stage: &Stage, app: &AppWorld, declared: Option<&Rule>) -> Result<Landing, Error> {
    let mut again = true;
    loop {
        let user = Visitor::new(stage, "calibration").await.map_err(prerequisite)?;
        let landing = user.start_first(stage, Script::of(&app.users[0]).answer(), "first login").await.map_err(prerequisite)?;
        let asked = app.provider.log().authorizations_of(&user.id).len();
        // What the protected page asks the provider for is no part of this login.
        app.provider.silence(&user.id);
        let mut shown = user.open(stage, &app.app.protected_url, "protected page, signed in").await.map_err(prerequisite)?;
        let holds = |shown: &Landing| declared.is_none_or(|rule| rule.holds(shown));
        if !holds(&shown) && stage.world.agent.scripts() && landing.html.contains("<script") {
            // Scripts may complete a login behind the agent's back.
            stage.wait_until(Instant::now() + AGAIN, "the scripts of the application").await;
            shown = user.open(stage, &app.app.protected_url, "protected page, looked at again").await.map_err(prerequisite)?;
        }
        let login = FirstLogin::seen(stage, app, &user, asked, landing, shown);
        if login.succeeded() && holds(&login.shown) {
            return Ok(login.shown);
        }
        if again && login.may_work_later() {
            again = false;
            stage.note(format!("the first login did not work ({}): it is tried once more", login.place()));
            stage.wait_until(Instant::now() + AGAIN, "the application").await;
            continue;
        }
        let (message, help) = login.diagnose(declared);
        if declared.is_some() && login.is_a_finding() {
            stage.note(format!("{message}: the run goes on for what can be decided without a login"));
            return Ok(login.shown);
        }
        return Err(Error::prerequisite(message, help));
    }
}

/// What a signed-in page has that is shown neither to nobody nor after a login that must fail.
async fn learn(stage: &Stage, app: &AppWorld, anonymous: &Landing, signed_in: &Landing) -> Result<Rule, Error> {
    let protected = app.app.protected_url.as_str();
    let unlike = |after: &str| {
        Error::prerequisite(
            format!("nothing tells a signed-in user's page from anybody's at {protected}{after}"),
            "Declare [app.logged_in] with a selector or text that only a signed-in user's page has, or name a page in app.protected_url that only signed-in users see.",
        )
    };
    let rule = Rule::calibrate(anonymous, signed_in).ok_or_else(|| unlike(""))?;
    let refused = Visitor::new(stage, "calibration, refused").await.map_err(prerequisite)?;
    let script = Script::of(&app.users[0]).with(Twist::GarbageIdToken);
    refused.start(stage, script.answer(), "login with a broken ID token").await.map_err(prerequisite)?;
    app.provider.silence(&refused.id);
    let shown = refused.open(stage, protected, "protected page after a broken login").await.map_err(prerequisite)?;
    if rule.holds(&shown) {
        return Err(unlike(&format!(" ({}): a login with an ID token that cannot be read leads there as well", rule.describe())));
    }
    Ok(rule)
}
