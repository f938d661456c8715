//! idp-sso/refresh: re-validation of a session by refresh token, and refresh tokens in the wrong hands.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::counterpart::relying_party::AuthzRequest;
use crate::counterpart::token::TokenRequest;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::stage::browser::Context;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::blocks::tokens_refused;
use crate::wire::seen::{IdTokenSeen, TokenSeen};

/// Refreshes, rightly and wrongly.
pub struct Refresh;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The login that asked for offline access succeeded.
    pub login: Option<TokenSeen>,
    /// The first ID token.
    pub first: Option<IdTokenSeen>,
    /// The refresh.
    pub refreshed: Option<TokenSeen>,
    /// The ID token of the refresh.
    pub second: Option<IdTokenSeen>,
    /// Client B uses a refresh token of client A.
    pub by_other: Option<TokenSeen>,
    /// Client B can sign in and redeem a code of its own.
    pub other_works: bool,
    /// Refresh tokens are offered by the metadata, but the target file names no scope for them.
    pub scope_missing: bool,
    /// Client A's own use of the token before B tried, of a twin grant.
    pub control: bool,
}

impl Scenario for Refresh {
    type Seen = Seen;
    const ID: &'static str = "idp-sso/refresh";
    const TITLE: &'static str = "refreshes an ID token, and lets another client try";
    const AFTER: &'static [&'static str] = &["idp-login"];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.refresh-new-id-token", a_refresh_renews_the_id_token),
        Check::new("sl1.idp.refresh-bound-to-client", a_refresh_token_is_its_client_s),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let context = stage.world.signed_in()?.context.clone();
        let request = stage.offline(stage.request("main")?);
        let silent = stage.silent(&context, &request, "login with offline access", None).await?;
        let mut seen = Seen {
            login: silent.token,
            first: silent.tokens.id_token,
            scope_missing: stage.offline_scope_missing(),
            ..Seen::default()
        };
        let Some(refresh) = silent.tokens.refresh else { return Ok(seen) };
        if stage.wants("sl1.idp.refresh-bound-to-client") && stage.world.has_client("second") {
            // A grant of its own, because the attempt may revoke it.
            let twin =
                stage.silent(&context, &stage.offline(stage.request("main")?), "a grant for another client to try", None).await?;
            let (_, own) = stage.refresh_token(&context, "second", "control: client B", None).await?;
            if let Some(token) = own {
                let control = TokenRequest::refresh("second", &token, "control: client B uses a refresh token of its own");
                seen.other_works = stage.token(&control, None).await?.0.granted();
            }
            stage.control(seen.other_works);
            if let Some(token) = twin.tokens.refresh {
                let attempt = TokenRequest::refresh("main", &token, "client B uses a refresh token of client A").by("second");
                seen.by_other = Some(stage.token(&attempt, None).await?.0);
            }
        }
        stage.wait_until(Instant::now() + Duration::from_secs(2), "a refresh that is later than the login").await;
        let (refreshed, tokens) = stage.token(&TokenRequest::refresh("main", &refresh, "refresh"), None).await?;
        seen.control = stage.control(refreshed.granted());
        seen.refreshed = Some(refreshed);
        seen.second = tokens.id_token;
        Ok(seen)
    }
}

/// Said where the metadata offers refresh tokens and the target file does not ask for them.
pub const SCOPE_MISSING: &str = "the metadata offers refresh tokens, but none came: idp.offline_scope is not configured";

impl Stage {
    /// The metadata lists the scope for refresh tokens, but the target file does not ask for it.
    pub fn offline_scope_missing(&self) -> bool {
        self.world.idp.offline_scope.is_empty() && self.world.discovery.list("scopes_supported").contains(&"offline_access")
    }

    /// Asks for refresh tokens as the target file says.
    pub fn offline(&self, request: AuthzRequest) -> AuthzRequest {
        let idp = &self.world.idp;
        let request = match idp.offline_scope.as_str() {
            "" => request,
            scope => request.set("scope", &format!("openid {scope}")),
        };
        if idp.offline_consent { request.set("prompt", "consent") } else { request }
    }

    /// A silent login that brings a refresh token of a client, if the target gives one.
    pub async fn refresh_token(
        &self,
        context: &std::sync::Arc<dyn Context>,
        client: &str,
        what: &str,
        dpop: Option<&crate::counterpart::dpop::Dpop>,
    ) -> Result<(crate::counterpart::authorize::Silent, Option<String>), Obstacle> {
        let silent = self.silent(context, &self.offline(self.request(client)?), what, dpop).await?;
        let refresh = silent.tokens.refresh.clone();
        Ok((silent, refresh))
    }
}

fn none_issued(seen: &Seen) -> Option<Judgement> {
    let login = seen.login.as_ref();
    if seen.refreshed.is_some() {
        return None;
    }
    Some(match login {
        Some(token) if token.granted() && seen.scope_missing => Judgement::not_configured(SCOPE_MISSING).cite(&token.cites),
        Some(token) if token.granted() => Judgement::not_applicable("no refresh token is issued").cite(&token.cites),
        Some(token) => Judgement::undecided(format!("the login with offline access had {}", token.describe())).cite(&token.cites),
        None => Judgement::undecided("the login with offline access brought no code"),
    })
}

fn a_refresh_renews_the_id_token(seen: &Seen) -> Judgement {
    if let Some(judgement) = none_issued(seen) {
        return judgement;
    }
    let Some(refreshed) = &seen.refreshed else { return Judgement::undecided("no refresh was tried") };
    if !refreshed.granted() {
        return Judgement::undecided(format!("the refresh token just given does not work: {}", refreshed.describe()))
            .cite(&refreshed.cites);
    }
    let (Some(first), Some(second)) = (&seen.first, &seen.second) else {
        return Judgement::not_applicable(
            "a refresh brings no ID token (allowed by OpenID Connect Core 12.2): no re-validation by refresh",
        )
        .cite(&refreshed.cites);
    };
    let mut found = Findings::new();
    found.saw(&refreshed.cites);
    let cite = &refreshed.cites;
    if second.unverifiable() {
        found.undecided("there is no JWK Set to verify the new ID token with", cite);
    } else if let Err(why) = &second.signature {
        found.broken(format!("the new ID token does not verify: {why}"), cite);
    }
    for name in ["iss", "sub", "aud", "auth_time"] {
        if first.claim(name) != second.claim(name) {
            found.broken(format!("{name} changed from {} to {}", first.claim(name), second.claim(name)), cite);
        }
    }
    if second.seconds("iat") < first.seconds("iat") {
        found.broken("iat lies before that of the first ID token", cite);
    }
    match second.claim("session_expiry").as_i64() {
        None => found.broken("session_expiry is missing, or no integer", cite),
        Some(expiry) if expiry <= second.now() => found.broken(format!("session_expiry {expiry} has passed already"), cite),
        Some(_) => {}
    }
    // OpenID Connect Core 12.2: it should be absent, and must not be another one.
    if !second.claim("nonce").is_null() && second.claim("nonce") != first.claim("nonce") {
        found.broken("the new ID token carries another nonce than the first", cite);
    }
    found.conclude("the new ID token keeps iss, sub, aud and auth_time, and its session_expiry lies ahead")
}

fn a_refresh_token_is_its_client_s(seen: &Seen) -> Judgement {
    if let Some(judgement) = none_issued(seen) {
        return judgement;
    }
    match &seen.by_other {
        Some(other) if other.refused() && !seen.other_works => {
            let why = format!(
                "client B gets no further with a refresh token of its own, so that it is refused ({}) proves nothing: check idp.clients.second",
                other.describe()
            );
            Judgement::undecided(why).cite(&other.cites)
        }
        other => {
            tokens_refused(&other.iter().collect::<Vec<_>>(), seen.control, "client B cannot use a refresh token of client A")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::{id_token, token};
    use serde_json::json;

    fn good() -> Seen {
        let claims = json!({"iss": "https://op", "sub": "u", "aud": "c", "auth_time": 900, "iat": 1000, "session_expiry": 5000});
        let mut second = id_token(claims.clone());
        second.claims.insert("iat".into(), json!(1002));
        Seen {
            login: Some(token(200, &["id_token", "refresh_token"])),
            first: Some(id_token(claims)),
            refreshed: Some(token(200, &["id_token"])),
            second: Some(second),
            by_other: Some(token(400, &[])),
            other_works: true,
            scope_missing: false,
            control: true,
        }
    }

    #[test]
    fn a_refresh_keeps_who_and_when() {
        assert_eq!(a_refresh_renews_the_id_token(&good()).call, Call::Pass);
        for (name, value) in
            [("sub", json!("v")), ("auth_time", json!(1002)), ("session_expiry", json!(null)), ("session_expiry", json!(10))]
        {
            let mut seen = good();
            seen.second.as_mut().unwrap().claims.insert(name.into(), value);
            assert_eq!(a_refresh_renews_the_id_token(&seen).call, Call::Broken, "{name}");
        }
        assert_eq!(a_refresh_renews_the_id_token(&Seen { second: None, ..good() }).call, Call::NotApplicable);
        assert_eq!(a_refresh_renews_the_id_token(&Seen { refreshed: None, ..good() }).call, Call::NotApplicable);
        assert_eq!(a_refresh_renews_the_id_token(&Seen::default()).call, Call::Undecided);
    }

    #[test]
    fn another_client_is_refused() {
        assert_eq!(a_refresh_token_is_its_client_s(&good()).call, Call::Pass);
        assert_eq!(
            a_refresh_token_is_its_client_s(&Seen { by_other: Some(token(200, &["id_token"])), ..good() }).call,
            Call::Broken
        );
        assert_eq!(a_refresh_token_is_its_client_s(&Seen { control: false, ..good() }).call, Call::Undecided);
        // A client that may not refresh at all is refused for that.
        assert_eq!(a_refresh_token_is_its_client_s(&Seen { other_works: false, ..good() }).call, Call::Undecided);
        assert_eq!(a_refresh_token_is_its_client_s(&Seen { refreshed: None, ..good() }).call, Call::NotApplicable);
    }
}
