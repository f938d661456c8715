//! idp-commands: an administrator revokes a user's sessions, once per declared delivery binding; the suite plays the application that is
//! told so. Last, because it ends sessions.

mod checks;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::counterpart::token::TokenRequest;
use crate::model::clause::TESTED_DELIVERY;
use crate::model::target::RevocationAuth;
use crate::stage::Stage;
use crate::stage::browser::recipe::Until;
use crate::stage::browser::{Context, Visit};
use crate::stage::inbox::{Delivery, ENDPOINTS};
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::jose::{b64, read};
use crate::wire::seen::{AuthzSeen, Outcome, TokenSeen};

/// Seconds a message may take; also how long old sessions and tokens may go on to work.
const ARRIVAL_S: u64 = 60;
const REPLICATION_S: u64 = 30;

/// Commands of the identity service.
pub struct CommandsSent;

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// One per declared delivery binding.
    pub sent: Vec<Sent>,
    /// The user's own session and tokens at the identity service.
    pub session: Option<Session>,
}

/// What was sent by one binding.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sent {
    /// The delivery binding.
    pub binding: String,
    /// Why the login or the hook before it did not work.
    pub obstacle: Option<String>,
    /// What a right message says.
    pub expected: Expected,
    /// Messages within the deadline, oldest first.
    pub messages: Vec<Message>,
}

/// What a right message says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Expected {
    /// The issuer.
    pub issuer: String,
    /// `client_id` of the main client.
    pub client_id: String,
    /// `sub` of the ID token.
    pub sub: String,
    /// `sid` of the ID token.
    pub sid: Option<String>,
    /// `sid` of other ID tokens of the run: the same user has more sessions than this one.
    #[serde(default)]
    pub other_sids: Vec<String>,
    /// The suite's endpoint.
    pub endpoint: String,
    /// The metadata announces back-channel logout.
    pub announced: bool,
    /// Revocation requests carry a signed JWT.
    pub by_jwt: bool,
    /// A static revocation credential is declared.
    pub credential_declared: bool,
}

/// One message.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Message {
    /// Request method.
    pub method: String,
    /// Media type without parameters.
    pub media_type: String,
    /// Names of the form fields, or members of the JSON object.
    pub names: Vec<String>,
    /// The token in the body.
    pub token: Option<Jwt>,
    /// The JSON body of a revocation request.
    pub body: Value,
    /// How it is authenticated.
    pub credential: Option<Credential>,
    /// When it arrived, in Unix seconds.
    pub at: i64,
    /// The exchange.
    pub cite: String,
}

/// A token as received.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Jwt {
    /// Protected header.
    pub header: Value,
    /// Claims.
    pub claims: Map<String, Value>,
    /// Why its signature does not verify with the published keys.
    pub fault: Option<String>,
}

/// The `Authorization` of a request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Credential {
    /// The scheme.
    pub scheme: String,
    /// It is a JWT.
    pub jwt: Option<Jwt>,
    /// It is the declared static credential; `None` where none is declared.
    pub declared: Option<bool>,
}

/// The user's own session and tokens at the identity service, before and after.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Session {
    /// The hook did its work.
    pub done: bool,
    /// prompt=none before.
    pub quiet_before: bool,
    /// prompt=none afterwards, the last try.
    pub quiet: Option<AuthzSeen>,
    /// The refresh before; `None` where no refresh token was issued.
    pub refresh_before: Option<TokenSeen>,
    /// The refresh afterwards, the last try.
    pub refresh: Option<TokenSeen>,
}

impl Scenario for CommandsSent {
    type Seen = Seen;
    const ID: &'static str = "idp-commands";
    const TITLE: &'static str = "lets an administrator revoke sessions, and receives what applications are told";
    const AFTER: &'static [&'static str] = &[
        "idp-login",
        "idp-acr",
        "idp-admin",
        "idp-client-auth",
        "idp-expiry",
        "idp-max-age",
        "idp-mfa",
        "idp-probe/login-pages",
        "idp-public",
        "idp-reauth",
        "idp-second",
        "idp-sso/codes",
        "idp-sso/dpop",
        "idp-sso/par",
        "idp-sso/pkce",
        "idp-sso/redirects",
        "idp-sso/refresh",
        "idp-sso/requests",
        "idp-sso/session",
    ];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl2.idp.command-invalidate-wellformed", checks::an_invalidate_command_is_right),
        Check::new("sl2.idp.logout-token-wellformed", checks::a_logout_token_is_right),
        Check::new("sl2.idp.global-revocation-wellformed", checks::a_revocation_request_is_right),
        Check::new("sl2.idp.revoked-session-needs-login", checks::a_revoked_session_needs_a_login),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let mut seen = Seen::default();
        let declared = &stage.world.target.target.bindings;
        let mut bindings: Vec<&str> = TESTED_DELIVERY.into_iter().filter(|name| declared.iter().any(|one| one == name)).collect();
        if bindings.is_empty() {
            // The hook is there: what it does at the identity service itself can be seen all the same.
            bindings.push("");
        }
        for binding in bindings {
            let mut session =
                (seen.session.is_none() && stage.wants("sl2.idp.revoked-session-needs-login")).then(Session::default);
            let mut sent = Sent { binding: binding.to_owned(), ..Sent::default() };
            if let Err(obstacle) = revoke(stage, &mut sent, session.as_mut()).await {
                sent.obstacle = Some(obstacle.message);
            }
            seen.session = session.or(seen.session);
            seen.sent.push(sent);
        }
        Ok(seen)
    }
}

/// Signs in, calls the hook, and waits for the message.
async fn revoke(stage: &Stage, sent: &mut Sent, session: Option<&mut Session>) -> Result<(), Obstacle> {
    let world = &stage.world;
    let user = world.idp.users.first().ok_or_else(|| Obstacle::config("idp.users is not configured", "Add a test user."))?;
    let context = world.agent.context("a session to be revoked").await?;
    let request = stage.offline(stage.request("main")?);
    let url = request.url(world.endpoint("authorization_endpoint")?);
    let what = "login of a user whose sessions are revoked";
    let (authz, ..) = stage.sign_in(&context, &request, user, Visit::Get(url), Until::Arrival, what).await?;
    let code = authz
        .code
        .ok_or_else(|| Obstacle::target(format!("{what}: {}", authz.seen.describe()), "See sl1.idp.response-type-code."))?;
    let token = TokenRequest::code(&request, &code, &format!("token request: {what}")).login("re-authentication");
    let (answer, tokens) = stage.token(&token, None).await?;
    let id_token =
        tokens.id_token.ok_or_else(|| Obstacle::target(format!("{what}: {}", answer.describe()), "See sl1.idp.id-token-sub."))?;
    let text = |name: &str| id_token.claim(name).as_str().map(str::to_owned);
    let path = ENDPOINTS.iter().find(|(name, _)| *name == sent.binding).map_or("", |(_, path)| *path);
    sent.expected = Expected {
        issuer: world.issuer().to_owned(),
        client_id: world.client("main").map(|client| client.id.clone()).unwrap_or_default(),
        sub: text("sub").unwrap_or_default(),
        sid: text("sid"),
        other_sids: world.samples().id_tokens.iter().filter_map(|token| token.claim("sid").as_str().map(str::to_owned)).collect(),
        endpoint: format!("{}{path}", world.target.counterpart.public_url.trim_end_matches('/')),
        announced: world.discovery.document["backchannel_logout_supported"] == true,
        by_jwt: world.idp.revocation_auth == RevocationAuth::Jwt,
        credential_declared: world.idp.revocation_token.is_some(),
    };
    let mut refresh = tokens.refresh;
    let mut session = session;
    if let Some(session) = session.as_deref_mut() {
        let quiet =
            stage.authorize(&context, &stage.request("main")?.set("prompt", "none"), "prompt=none before the revocation").await?;
        session.quiet_before = stage.control(quiet.seen.outcome == Outcome::Code);
        if let Some(token) = &refresh {
            let (before, tokens) =
                stage.token(&TokenRequest::refresh("main", token, "refresh before the revocation"), None).await?;
            refresh = tokens.refresh.or(refresh);
            session.refresh_before = Some(before);
        }
    }
    let mark = world.inbox.mark();
    let receiver = world.inbox.addr.to_string();
    let authority = b64(&world.inbox.authority);
    let values = [
        ("user", user.name.as_str()),
        ("sub", &sent.expected.sub),
        ("client_id", &sent.expected.client_id),
        ("binding", &sent.binding),
        ("receiver", &receiver),
        ("receiver_ca", &authority),
    ];
    let answer = stage.hook("revoke-user-sessions", &values).await?;
    if !answer.done {
        return Err(Obstacle::config(format!("hook revoke-user-sessions did not succeed: {}", answer.said()), "Mend the hook."));
    }
    let revoked = Instant::now();
    if let Some(session) = session {
        session.done = true;
        ended(stage, &context, session, refresh, revoked).await?;
    }
    if !path.is_empty() {
        let arrived = world.inbox.wait(mark, &sent.binding, revoked + Duration::from_secs(ARRIVAL_S)).await;
        for delivery in &arrived {
            sent.messages.push(message(stage, delivery).await);
        }
    }
    Ok(())
}

/// Asks again every three seconds until the old session and token are refused, or replication has had its time.
async fn ended(
    stage: &Stage,
    context: &Arc<dyn Context>,
    session: &mut Session,
    refresh: Option<String>,
    revoked: Instant,
) -> Result<(), Obstacle> {
    let mut refresh = refresh;
    loop {
        let request = stage.request("main")?.set("prompt", "none");
        let quiet = stage.authorize(context, &request, "prompt=none after the revocation").await?.seen;
        let mut live = quiet.outcome == Outcome::Code;
        session.quiet = Some(quiet);
        if let Some(token) = &refresh {
            let (after, tokens) =
                stage.token(&TokenRequest::refresh("main", token, "refresh after the revocation"), None).await?;
            live |= after.granted();
            refresh = tokens.refresh.or(refresh);
            session.refresh = Some(after);
        }
        if !live || revoked.elapsed() >= Duration::from_secs(REPLICATION_S) {
            return Ok(());
        }
        stage.wait_until(Instant::now() + Duration::from_secs(3), "a revocation to be known everywhere").await;
    }
}

/// A delivery without the token itself.
async fn message(stage: &Stage, delivery: &Delivery) -> Message {
    let media_type = delivery.header("content-type").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mut message = Message {
        method: delivery.method.clone(),
        media_type,
        at: delivery.at.as_second(),
        cite: delivery.exchange.clone(),
        ..Message::default()
    };
    if delivery.binding == "token-revocation" {
        message.body = serde_json::from_str(&delivery.body).unwrap_or_default();
        message.names = message.body.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    } else {
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(delivery.body.as_bytes()).into_owned().collect();
        message.names = fields.iter().map(|(name, _)| name.clone()).collect();
        let wanted = if delivery.binding == "op-commands" { "command_token" } else { "logout_token" };
        if let Some((_, token)) = fields.iter().find(|(name, _)| name == wanted) {
            message.token = Some(jwt(stage, token).await);
        }
    }
    let header = delivery.header("authorization");
    if !header.is_empty() {
        let (scheme, value) = header.split_once(' ').unwrap_or(("", header));
        let known = stage.world.idp.revocation_token.as_ref();
        let declared = known.and_then(|reference| stage.world.secrets.get(reference).ok()).map(|secret| secret.trim() == value);
        let jwt = if value.split('.').count() == 3 { Some(jwt(stage, value).await) } else { None };
        message.credential = Some(Credential { scheme: scheme.to_owned(), jwt, declared });
    }
    message
}

async fn jwt(stage: &Stage, token: &str) -> Jwt {
    match read(token) {
        Ok(jws) => Jwt {
            fault: stage.verify_now(&jws).await.err(),
            claims: jws.claims.as_object().cloned().unwrap_or_default(),
            header: jws.header,
        },
        Err(fault) => Jwt { fault: Some(fault.to_string()), ..Jwt::default() },
    }
}
