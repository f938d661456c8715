//! The token endpoint: authorization codes and refresh tokens (RFC 6749 4.1.3 and 6, RFC 7636 4.6, RFC 9449 5).

use serde_json::json;

use super::dpop::{self, Proof};
use super::http::{In, Pairs, Reply, get, repeated};
use super::state::{
    ACCESS_TOKEN_LIFETIME_S, AccessToken, Authentication, AuthorizationRequest, CODE_LIFETIME_S, Code, RefreshToken, State,
};
use super::{ACR, Op, access, authorize, client_auth, id_token, login};
use crate::counterpart::twist::Twist;
use crate::model::target::ClientAuth;
use crate::wire::jose::{random, sha256_b64, unb64};

/// Seconds a used code goes on to work under a defect.
const LAZY_DELETION_S: i64 = 10;

/// `POST /token`.
pub fn token(op: &Op, state: &mut State, request: &In<'_>) -> Reply {
    let form = &request.form;
    if let Some(name) = repeated(form) {
        return Reply::oauth_error(400, "invalid_request", &format!("{name} was sent twice"));
    }
    let client_id = match client_auth::authenticate(op, state, request) {
        Ok(client_id) => client_id,
        Err(refused) => match client_by_verifier(op, state, form) {
            Some(client_id) => client_id,
            None => return refused,
        },
    };
    let grant_type = get(form, "grant_type").unwrap_or_default();
    let known = ["authorization_code", "refresh_token"].contains(&grant_type);
    let password = grant_type == "password" && op.twist(Twist::NoPasswordGrant) && !is_public(state, &client_id);
    if grant_type.is_empty() {
        return Reply::oauth_error(400, "invalid_request", "grant_type is missing");
    }
    if !known && !password {
        return Reply::oauth_error(400, "unsupported_grant_type", "authorization_code and refresh_token are supported");
    }
    let jkt = match dpop::proof(op, state, request, &op.url("/token"), None) {
        Proof::None => None,
        _ if op.twist(Twist::DpopOffered) => None,
        Proof::Key(jkt) => Some(jkt),
        Proof::Refused(error, text) => {
            return Reply::oauth_error(400, error, text).with("dpop-nonce", dpop::nonce(op, state));
        }
    };
    let reply = match grant_type {
        "authorization_code" => redeem(op, state, form, &client_id, jkt.as_deref()),
        "refresh_token" => refresh(op, state, form, &client_id, jkt.as_deref()),
        _ => password_grant(op, state, form, &client_id),
    };
    let reply = if jkt.is_some() { reply.with("dpop-nonce", dpop::nonce(op, state)) } else { reply };
    if op.twist(Twist::TokenResponseNoStore) { reply.without("cache-control") } else { reply }
}

fn invalid_grant(text: &str) -> Reply {
    Reply::oauth_error(400, "invalid_grant", text)
}

fn is_public(state: &State, client_id: &str) -> bool {
    state.clients.get(client_id).is_some_and(|client| client.auth == ClientAuth::None)
}

/// A defect: whoever knows the verifier is taken for the client.
fn client_by_verifier(op: &Op, state: &State, form: &Pairs) -> Option<String> {
    let code = state.codes.get(get(form, "code")?).filter(|_| op.twist(Twist::ClientAuthRequired))?;
    let right = code.request.challenge.as_deref() == Some(&sha256_b64(get(form, "code_verifier")?));
    right.then(|| code.request.client_id.clone())
}

fn redeem(op: &Op, state: &mut State, form: &Pairs, client_id: &str, jkt: Option<&str>) -> Reply {
    let now = op.now();
    let presented = get(form, "code").unwrap_or_default();
    let Some(code) = state.codes.get(presented).cloned() else { return invalid_grant("the code is not known") };
    let lazy = op.twist(Twist::CodeSingleUse) && code.used.is_some_and(|used| now - used < LAZY_DELETION_S);
    if code.used.is_some() && !lazy {
        // Two parties hold the code; whoever redeemed it first may be the wrong one (RFC 6749 4.1.2).
        if !op.twist(Twist::CodeReuseRevokes) {
            revoke(state, &code.grant);
        }
        return invalid_grant("the code was used before");
    }
    if let Err(text) = may_redeem(op, &code, form, client_id, jkt, now) {
        return invalid_grant(text);
    }
    let live = state.grants.get(&code.grant).is_some_and(|grant| !grant.revoked && state.live_account(grant).is_some());
    if !live {
        return invalid_grant("the grant has ended");
    }
    if let Some(code) = state.codes.get_mut(presented) {
        code.used.get_or_insert(now);
    }
    if let Some(grant) = state.grants.get_mut(&code.grant) {
        // Only differs from before under a defect: a code that another client may redeem.
        grant.client_id = client_id.to_owned();
    }
    let refresh =
        code.request.scope.split(' ').any(|scope| scope == "offline_access").then(|| new_refresh(op, state, &code.grant, jkt));
    answer(op, state, &code.grant, jkt, code.request.nonce.as_deref(), refresh, false)
}

fn may_redeem(op: &Op, code: &Code, form: &Pairs, client_id: &str, jkt: Option<&str>, now: i64) -> Result<(), &'static str> {
    let lifetime = if op.twist(Twist::CodeLifetime60) { 120 } else { CODE_LIFETIME_S };
    if now - code.issued > lifetime {
        return Err("the code is expired");
    }
    if code.request.client_id != client_id && !op.twist(Twist::CodeBoundToClient) {
        return Err("the code was issued to another client");
    }
    let sent = get(form, "redirect_uri");
    let same = sent == Some(&code.request.redirect_uri) || (sent.is_none() && !code.request.redirect_uri_sent);
    if !same && !op.twist(Twist::CodeBoundToRedirectUri) {
        return Err("redirect_uri is not that of the authorization request");
    }
    if code.request.dpop_jkt.is_some() && code.request.dpop_jkt.as_deref() != jkt {
        return Err("the code is bound to another DPoP key");
    }
    if verifier_fits(op, &code.request, get(form, "code_verifier")) { Ok(()) } else { Err("code_verifier is wrong or missing") }
}

fn verifier_fits(op: &Op, request: &AuthorizationRequest, verifier: Option<&str>) -> bool {
    match (request.challenge.as_deref(), verifier) {
        // Without a challenge a verifier must not come (RFC 9700 2.1.1, PKCE downgrade); a defect lets such requests in.
        (None, verifier) => verifier.is_none(),
        (Some(_), None) => op.twist(Twist::PkceVerifierChecked),
        (Some(challenge), Some(verifier)) if request.challenge_plain => challenge == verifier,
        (Some(challenge), Some(verifier)) => challenge == sha256_b64(verifier),
    }
}

fn refresh(op: &Op, state: &mut State, form: &Pairs, client_id: &str, jkt: Option<&str>) -> Reply {
    let presented = get(form, "refresh_token").unwrap_or_default();
    let Some(token) = state.refresh_tokens.get(presented).cloned() else {
        return invalid_grant("the refresh token is not known");
    };
    let Some(grant) = state.grants.get(&token.grant).cloned() else { return invalid_grant("the grant has ended") };
    if grant.client_id != client_id && !op.twist(Twist::RefreshBoundToClient) {
        return invalid_grant("the refresh token was issued to another client");
    }
    if token.rotated {
        // Somebody else holds the newer one (RFC 9700 4.14.2).
        revoke(state, &token.grant);
        return invalid_grant("the refresh token was replaced");
    }
    if token.jkt.is_some() && token.jkt.as_deref() != jkt {
        return invalid_grant("the refresh token is bound to another DPoP key");
    }
    if grant.revoked {
        return invalid_grant("the grant was revoked");
    }
    if state.live_account(&grant).is_none() && !op.twist(Twist::RefreshStopsForDisabledUser) {
        return invalid_grant("the account is not active");
    }
    if let Some(scope) = get(form, "scope")
        && !scope.split(' ').all(|one| grant.scope.split(' ').any(|granted| granted == one))
    {
        return Reply::oauth_error(400, "invalid_scope", "more than was granted");
    }
    let rotate = is_public(state, client_id) && !op.twist(Twist::PublicRefreshProtected);
    let next = rotate.then(|| {
        if let Some(token) = state.refresh_tokens.get_mut(presented) {
            token.rotated = true;
        }
        new_refresh(op, state, &token.grant, jkt)
    });
    answer(op, state, &token.grant, jkt, None, next, true)
}

fn revoke(state: &mut State, grant: &str) {
    if let Some(grant) = state.grants.get_mut(grant) {
        grant.revoked = true;
    }
}

/// Refresh tokens of public clients are bound to the DPoP key; those of confidential clients to their authentication (RFC 9449 5).
fn new_refresh(op: &Op, state: &mut State, grant: &str, jkt: Option<&str>) -> String {
    let public = state.grants.get(grant).is_some_and(|grant| is_public(state, &grant.client_id));
    let bound = public && !op.twist(Twist::PublicRefreshProtected);
    let token = opaque(op);
    let jkt = jkt.filter(|_| bound).map(str::to_owned);
    state.refresh_tokens.insert(token.clone(), RefreshToken { grant: grant.to_owned(), jkt, rotated: false });
    token
}

fn opaque(op: &Op) -> String {
    if op.twist(Twist::TokenEntropy) {
        let digits = unb64(&random(10)).unwrap_or_default();
        return digits.iter().map(|byte| char::from(b'0' + byte % 10)).collect();
    }
    random(32)
}

fn answer(
    op: &Op,
    state: &mut State,
    id: &str,
    jkt: Option<&str>,
    nonce: Option<&str>,
    refresh: Option<String>,
    again: bool,
) -> Reply {
    let Some(grant) = state.grants.get(id).cloned() else { return invalid_grant("the grant has ended") };
    let now = op.now();
    let token = if op.twist(Twist::AccessTokenIdentityOnly) { access::foreign_token(op, &grant, now) } else { opaque(op) };
    let expires = now + ACCESS_TOKEN_LIFETIME_S;
    state.access_tokens.insert(token.clone(), AccessToken { grant: id.to_owned(), expires, jkt: jkt.map(str::to_owned) });
    let mut body = json!({
        "access_token": token,
        "token_type": if jkt.is_some() { "DPoP" } else { "Bearer" },
        "expires_in": ACCESS_TOKEN_LIFETIME_S,
        "scope": grant.scope,
        "id_token": id_token::issue(op, state, &grant, nonce, again),
    });
    if let Some(refresh) = refresh {
        body["refresh_token"] = refresh.into();
    }
    Reply::json(200, &body).with("cache-control", "no-store")
}

/// A defect.
fn password_grant(op: &Op, state: &mut State, form: &Pairs, client_id: &str) -> Reply {
    let (name, typed) = (get(form, "username").unwrap_or_default(), get(form, "password").unwrap_or_default());
    if !login::password_is_right(state, name, typed) {
        return invalid_grant("the user name or the password is wrong");
    }
    let request = AuthorizationRequest::bare(client_id, get(form, "scope").unwrap_or("openid"));
    let code = authorize::issue(
        op,
        state,
        request,
        &Authentication { user: name.to_owned(), at_ms: op.clock.now_ms(), strong: false },
        ACR.into(),
    );
    let Some(code) = state.codes.remove(&code) else { return invalid_grant("the grant has ended") };
    answer(op, state, &code.grant, None, None, None, false)
}
