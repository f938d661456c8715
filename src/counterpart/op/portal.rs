//! The application portal, whose tiles start at the application (OIDC Core 4), and the end of a session (OIDC RP-Initiated Logout).

use super::http::{In, Pairs, Reply, encode, get};
use super::state::{Authentication, AuthorizationRequest, State};
use super::{ACR, Op, authorize, login, pages};
use crate::counterpart::twist::Twist;

/// `/portal`.
pub fn portal(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    let session = login::session(state, request);
    let Some(signed_in) = session.and_then(|session| session.signed_in) else {
        return Reply::see_other(op.url(&format!("/login?{}", encode([("return_to", "/portal")]))));
    };
    let mut ids: Vec<String> = state.clients.keys().cloned().collect();
    ids.sort();
    let tiles: Vec<(String, String)> =
        ids.into_iter().filter_map(|id| Some((id.clone(), launch_url(op, state, &id, &signed_in.user)?))).collect();
    Reply::page(200, pages::portal(&tiles))
}

/// Where the tile of a client leads; `None` for a client that cannot be started from here.
pub fn launch_url(op: &Op, state: &mut State, client_id: &str, user: &str) -> Option<String> {
    let client = state.clients.get(client_id)?;
    let initiate = client.initiate_login_uri.clone()?;
    if op.twist(Twist::PortalStartsAtRp) {
        let redirect_uri = client.redirect_uris.first()?.clone();
        let asked =
            AuthorizationRequest { redirect_uri: redirect_uri.clone(), ..AuthorizationRequest::bare(client_id, "openid") };
        let code = authorize::issue(
            op,
            state,
            asked,
            &Authentication { user: user.to_owned(), at_ms: op.clock.now_ms(), strong: false },
            ACR.into(),
        );
        return Some(format!("{redirect_uri}?{}", encode([("code", code.as_str()), ("iss", &op.issuer)])));
    }
    let separator = if initiate.contains('?') { '&' } else { '?' };
    Some(format!("{initiate}{separator}{}", encode([("iss", op.issuer.as_str())])))
}

/// Asks before the session ends. No post-logout redirect URI is registered, so the browser stays here.
pub fn logout_page(op: &Op, state: &mut State, request: &In<'_>, parameters: &Pairs) -> Reply {
    if op.twist(Twist::NoOpenRedirectorLogout)
        && let Some(target) = get(parameters, "post_logout_redirect_uri")
    {
        return login::end(state, request, Reply::see_other(target));
    }
    match login::session(state, request) {
        Some(session) => Reply::page(200, pages::confirm_logout(&session.csrf)),
        None => Reply::page(200, pages::signed_out()),
    }
}

/// `/logout/confirmed`.
pub fn logout(state: &mut State, request: &In<'_>) -> Reply {
    let confirmed = login::session(state, request).is_none_or(|session| get(&request.form, "csrf") == Some(&session.csrf));
    if !confirmed {
        return Reply::page(400, pages::error("This form is over."));
    }
    login::end(state, request, Reply::page(200, pages::signed_out()))
}
