//! The authorization endpoint: who is signed in, is that enough, and the response (RFC 6749 4.1, OIDC Core 3.1.2, RFC 9207).

use url::form_urlencoded;

use super::classes::{self, Met};
use super::http::{In, Reply, encode};
use super::request::{Refusal, from_browser};
use super::state::{Authentication, AuthorizationRequest, Code, Grant, Interaction, Session, State};
use super::{ACR, Op, TENANT, id_token, login, pages};
use crate::counterpart::twist::Twist;
use crate::wire::jose::{random, unb64};

/// A request by GET, or the return to one after the login.
pub fn get(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    if let Some(id) = get_interaction(request) {
        return resume(op, state, login::session(state, request).as_ref(), id);
    }
    let started_ms = op.clock.now_ms();
    match from_browser(op, state, &request.query) {
        Ok(asked) => decide(op, state, login::session(state, request).as_ref(), Interaction { request: asked, started_ms }, None),
        Err(refusal) => refuse(op, refusal),
    }
}

/// A request by POST. It goes on by GET, because a browser keeps a SameSite=Lax cookie back from a POST of another site.
pub fn post(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    match from_browser(op, state, &request.form) {
        Ok(asked) => {
            let id = keep(state, Interaction { request: asked, started_ms: op.clock.now_ms() });
            Reply::see_other(op.url(&format!("/authorize?interaction={id}")))
        }
        Err(refusal) => refuse(op, refusal),
    }
}

fn get_interaction<'a>(request: &'a In<'_>) -> Option<&'a str> {
    get_parameter(request, "interaction").filter(|_| get_parameter(request, "client_id").is_none())
}

fn get_parameter<'a>(request: &'a In<'_>, name: &str) -> Option<&'a str> {
    super::http::get(&request.query, name)
}

/// Goes on with a request that waited for a login.
pub fn resume(op: &Op, state: &mut State, session: Option<&Session>, id: &str) -> Reply {
    match state.interactions.get(id).cloned() {
        Some(interaction) => decide(op, state, session, interaction, Some(id)),
        None => Reply::page(400, pages::error("This login is over. Start again at the application.")),
    }
}

fn keep(state: &mut State, interaction: Interaction) -> String {
    let id = random(32);
    state.interactions.insert(id.clone(), interaction);
    id
}

/// A code, an error, or a login first.
fn decide(op: &Op, state: &mut State, session: Option<&Session>, interaction: Interaction, id: Option<&str>) -> Reply {
    let asked = &interaction.request;
    let half = session.and_then(|session| session.first_factor.as_ref());
    if op.twist(Twist::MfaEnforced)
        && asked.prompt_none
        && let Some(half) = half
    {
        let half = Authentication { user: half.user.clone(), at_ms: op.clock.now_ms(), strong: false };
        return grant_code(op, state, asked, &half, ACR.into(), id);
    }
    let nobody = session.is_none_or(|session| session.signed_in.is_none());
    let prompt_none = asked.prompt_none && !(nobody && op.twist(Twist::PromptNoneNoSession));
    let signed_in = session
        .and_then(|session| session.signed_in.as_ref())
        .filter(|authentication| state.accounts.get(&authentication.user).is_some_and(|account| !account.disabled))
        .filter(|authentication| is_enough(op, &interaction, authentication.at_ms));
    if let Some(authentication) = signed_in {
        if !in_tenant(op, asked) {
            return respond_error(op, asked, "access_denied", "the user does not belong to that tenant");
        }
        let before = authentication.at_ms < interaction.started_ms;
        if !fits_hint(op, state, asked, &authentication.user) {
            // Whoever just signed in is not the one who was asked for; a session of somebody else may be replaced.
            if before && !asked.prompt_none {
                return to_page(op, state, interaction, id, "/login");
            }
            return respond_error(op, asked, "login_required", "somebody else is signed in");
        }
        if asked.prompt_none && op.twist(Twist::PromptNoneSession) {
            return respond_error(op, asked, "login_required", "the user has to sign in");
        }
        return match classes::met(op, state, asked, authentication, before) {
            Met::Yes(acr) => grant_code(op, state, asked, authentication, acr, id),
            Met::Never => respond_error(op, asked, "unmet_authentication_requirements", "the user cannot reach that class"),
            Met::Factor if asked.prompt_none => {
                respond_error(op, asked, "interaction_required", "the user has to use the second authenticator")
            }
            Met::Factor => to_page(op, state, interaction, id, "/login/hardware"),
        };
    }
    if prompt_none {
        return respond_error(op, asked, "login_required", "the user has to sign in");
    }
    to_page(op, state, interaction, id, "/login")
}

/// Keeps the request and shows a page that leads back to it.
fn to_page(op: &Op, state: &mut State, interaction: Interaction, id: Option<&str>, page: &str) -> Reply {
    let id = match id {
        Some(id) => id.to_owned(),
        None => keep(state, interaction),
    };
    let back = format!("/authorize?interaction={id}");
    Reply::see_other(op.url(&format!("{page}?{}", encode([("return_to", back.as_str())]))))
}

/// The user did not want to go on with a request.
pub fn cancel(op: &Op, state: &mut State, id: &str) -> Reply {
    match state.interactions.remove(id) {
        Some(interaction) => respond_error(op, &interaction.request, "access_denied", "the user cancelled"),
        None => Reply::page(400, pages::error("This login is over. Start again at the application.")),
    }
}

/// Is this the user of the `id_token_hint`?
fn fits_hint(op: &Op, state: &State, asked: &AuthorizationRequest, user: &str) -> bool {
    let sub = || Some(id_token::subject(op, state.clients.get(&asked.client_id), state.accounts.get(user)?));
    asked.hint.is_none() || sub() == asked.hint
}

/// Does the authentication satisfy `prompt=login` and `max_age` (OIDC Core 3.1.2.1)? One made for this very request always does.
fn is_enough(op: &Op, interaction: &Interaction, authenticated_ms: i64) -> bool {
    let asked = &interaction.request;
    let age_ms = op.clock.now_ms() - authenticated_ms;
    // 0 means "now": equivalent to prompt=login even when no millisecond has passed.
    let forgotten = op.twist(Twist::AcrWithMaxAge) && !asked.classes.values.is_empty();
    let too_old = !forgotten && asked.max_age.is_some_and(|seconds| seconds == 0 || age_ms > seconds * 1000);
    let again = asked.prompt_login && !op.twist(Twist::PromptLogin);
    if op.twist(Twist::MaxAgePromptNone) && asked.prompt_none {
        return true;
    }
    authenticated_ms >= interaction.started_ms || !(again || too_old)
}

/// `organization` asks for any organisation's account; another value names one (Connect Enterprise Extensions).
fn in_tenant(op: &Op, asked: &AuthorizationRequest) -> bool {
    op.twist(Twist::EnterpriseHintsHonoured)
        || asked.tenant.as_deref().is_none_or(|tenant| tenant == TENANT || tenant == "organization")
}

fn grant_code(
    op: &Op,
    state: &mut State,
    asked: &AuthorizationRequest,
    login: &Authentication,
    acr: String,
    interaction: Option<&str>,
) -> Reply {
    if asked.pushed.as_ref().is_some_and(|handle| state.pushed.remove(handle).is_none()) {
        return Reply::page(400, pages::error("The pushed request was already used."));
    }
    if let Some(id) = interaction {
        state.interactions.remove(id);
    }
    let code = issue(op, state, asked.clone(), login, acr);
    let mut response = vec![("code", code.clone())];
    if let Some(sent) = &asked.state {
        response.push(("state", if op.twist(Twist::ResponseTypeCode) { decoded(sent) } else { sent.clone() }));
    }
    if !op.twist(Twist::IssInResponse) {
        response.push(("iss", op.issuer.clone()));
    }
    if op.twist(Twist::NoFrontChannelAssertion)
        && let Some(grant) = state.codes.get(&code).and_then(|code| state.grants.get(&code.grant))
    {
        response.push(("id_token", id_token::issue(op, state, grant, asked.nonce.as_deref(), false)));
    }
    respond(&asked.redirect_uri, &response)
}

/// Makes a grant and a code for it.
pub fn issue(op: &Op, state: &mut State, asked: AuthorizationRequest, login: &Authentication, acr: String) -> String {
    let now = op.now();
    let account = state.accounts.get(&login.user);
    let grant = Grant {
        client_id: asked.client_id.clone(),
        account: account.map(|account| account.id.clone()).unwrap_or_default(),
        user: login.user.clone(),
        sub: account.map(|account| id_token::subject(op, state.clients.get(&asked.client_id), account)).unwrap_or_default(),
        scope: asked.scope.clone(),
        auth_time: if op.twist(Twist::AuthTimeUnchangedOnSso) { now } else { login.at_ms / 1000 },
        // The generic value is answered by the absence of the claim, so that the claim has one value per user.
        tenant: asked.tenant.as_deref().filter(|tenant| *tenant != "organization").map(|_| TENANT.to_owned()),
        acr_asked: asked.acr_asked,
        acr,
        strong: login.strong,
        max_age_asked: asked.max_age.is_some(),
        revoked: false,
    };
    let grant_id = random(16);
    state.grants.insert(grant_id.clone(), grant);
    let code = if op.twist(Twist::CodeEntropy) {
        unb64(&random(8)).unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect()
    } else {
        random(32)
    };
    state.codes.insert(code.clone(), Code { request: asked, grant: grant_id, issued: now, used: None });
    code
}

fn refuse(op: &Op, refusal: Refusal) -> Reply {
    match refusal {
        Refusal::Page(text) => Reply::page(400, pages::error(&text)),
        Refusal::Respond { redirect_uri, state, error, text } => {
            respond(&redirect_uri, &error_response(op, state.as_deref(), error, &text))
        }
    }
}

fn respond_error(op: &Op, asked: &AuthorizationRequest, error: &str, text: &str) -> Reply {
    respond(&asked.redirect_uri, &error_response(op, asked.state.as_deref(), error, text))
}

fn error_response(op: &Op, state: Option<&str>, error: &str, text: &str) -> Vec<(&'static str, String)> {
    let mut response = vec![("error", error.to_owned()), ("error_description", text.to_owned())];
    response.extend(state.map(|state| ("state", state.to_owned())));
    if !op.twist(Twist::IssInErrorResponse) {
        response.push(("iss", op.issuer.clone()));
    }
    response
}

fn respond(redirect_uri: &str, parameters: &[(&'static str, String)]) -> Reply {
    let separator = if redirect_uri.contains('?') { '&' } else { '?' };
    let query = encode(parameters.iter().map(|(name, value)| (*name, value.as_str())));
    Reply::see_other(format!("{redirect_uri}{separator}{query}"))
}

/// A defect: one decoding too many.
fn decoded(state: &str) -> String {
    form_urlencoded::parse(format!("s={state}").as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
