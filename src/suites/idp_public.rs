//! idp-public: a public client completes the code flow, and its refresh tokens are protected.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::counterpart::dpop::Dpop;
use crate::counterpart::relying_party::missing_client;
use crate::counterpart::token::TokenRequest;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::idp_sso::refresh::SCOPE_MISSING;
use crate::wire::seen::{AuthzSeen, IdTokenSeen, Outcome, TokenSeen};

/// The public client.
pub struct PublicClient;

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The authorization response.
    pub authz: AuthzSeen,
    /// The redemption with client_id and code_verifier only.
    pub token: Option<TokenSeen>,
    /// Its ID token.
    pub id_token: Option<IdTokenSeen>,
    /// A login with offline access brought tokens; a refresh token may be among them.
    pub offline: Option<TokenSeen>,
    /// First use of its refresh token.
    pub refresh: Option<TokenSeen>,
    /// The first use brought another refresh token.
    pub rotated: bool,
    /// The used refresh token again.
    pub again: Option<TokenSeen>,
    /// A DPoP-bound refresh token with another key; `None` where tokens are not bound.
    pub foreign_key: Option<TokenSeen>,
    /// Refresh tokens are offered by the metadata, but the target file names no scope for them.
    pub scope_missing: bool,
    /// The configured leeway in seconds.
    pub leeway_s: u64,
}

impl Scenario for PublicClient {
    type Seen = Seen;
    const ID: &'static str = "idp-public";
    const TITLE: &'static str = "signs in with a public client and reuses its refresh token";
    const AFTER: &'static [&'static str] = &["idp-login"];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.public-client", a_public_client_completes_the_flow),
        Check::new("sl1.idp.public-refresh-protected", refresh_tokens_are_protected),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let world = &stage.world;
        if !world.has_client("public") {
            return Err(missing_client("public"));
        }
        let context = world.signed_in()?.context.clone();
        let silent = stage.silent(&context, &stage.request("public")?, "login with the public client", None).await?;
        let mut seen = Seen {
            authz: silent.authz.seen,
            token: silent.token,
            id_token: silent.tokens.id_token,
            offline: None,
            refresh: None,
            rotated: false,
            again: None,
            foreign_key: None,
            scope_missing: stage.offline_scope_missing(),
            leeway_s: world.idp.refresh_leeway_s,
        };
        if seen.token.as_ref().is_some_and(TokenSeen::refused) {
            // Browser-only registrations demand the Origin header of a script.
            let request = stage.request("public")?;
            let authz = stage.authorize(&context, &request, "public client, as a script in a browser").await?;
            if let Some(code) = &authz.code {
                let mut token = TokenRequest::code(&request, code, "token request with Origin");
                token.origin = Some(world.target.counterpart.public_url.trim_end_matches('/').to_owned());
                let (with_origin, tokens) = stage.token(&token, None).await?;
                if with_origin.granted() {
                    seen.token = Some(with_origin);
                    seen.id_token = tokens.id_token;
                }
            }
        }
        if !stage.wants("sl1.idp.public-refresh-protected") {
            return Ok(seen);
        }
        let (offline, refresh) = stage.refresh_token(&context, "public", "public client with offline access", None).await?;
        seen.offline = offline.token;
        let Some(refresh) = refresh else { return Ok(seen) };
        let (first, tokens) =
            stage.token(&TokenRequest::refresh("public", &refresh, "first use of a refresh token"), None).await?;
        let used = Instant::now();
        seen.rotated = tokens.refresh.is_some_and(|next| next != refresh);
        stage.control(first.granted());
        seen.refresh = Some(first);
        stage.wait_until(used + Duration::from_secs(seen.leeway_s), "the leeway for used refresh tokens").await;
        seen.again = Some(stage.token(&TokenRequest::refresh("public", &refresh, "the used refresh token again"), None).await?.0);
        if seen.again.as_ref().is_some_and(TokenSeen::granted) {
            let dpop = Dpop::new()?;
            let (bound, refresh) =
                stage.refresh_token(&context, "public", "public client with DPoP and offline access", Some(&dpop)).await?;
            if let Some(refresh) = refresh.filter(|_| bound.tokens.dpop) {
                let stranger = Dpop::new()?;
                seen.foreign_key = Some(
                    stage
                        .token(&TokenRequest::refresh("public", &refresh, "refresh with another DPoP key"), Some(&stranger))
                        .await?
                        .0,
                );
            }
        }
        Ok(seen)
    }
}

fn a_public_client_completes_the_flow(seen: &Seen) -> Judgement {
    if seen.authz.outcome != Outcome::Code {
        let judgement = match seen.authz.outcome {
            Outcome::Error if seen.authz.error.as_deref() == Some("unauthorized_client") => {
                Judgement::broken(format!("the public client may not use the code flow: {}", seen.authz.describe()))
            }
            _ => Judgement::undecided(format!(
                "the public client's login led to {}: check idp.clients.public",
                seen.authz.describe()
            )),
        };
        return judgement.cite(seen.authz.cites.iter().rev());
    }
    let Some(token) = &seen.token else { return Judgement::undecided("the code was not redeemed").cite(&seen.authz.cites) };
    if token.refused() && token.client_refused() {
        return Judgement::broken(format!("the token endpoint demands authentication of a public client: {}", token.describe()))
            .cite(&token.cites);
    }
    match &seen.id_token {
        Some(id_token) if id_token.claim("aud") == id_token.client_id.as_str() => {
            Judgement::pass("tokens for client_id and code_verifier alone, aud is the public client").cite(&token.cites)
        }
        // Its form is judged by sl1.idp.id-token-aud-string; here it only has to name the client.
        Some(id_token)
            if id_token.claim("aud").as_array().is_some_and(|all| all.iter().any(|one| one == id_token.client_id.as_str())) =>
        {
            Judgement::pass("tokens for client_id and code_verifier alone, aud names the public client").cite(&token.cites)
        }
        Some(id_token) => Judgement::broken("aud of the ID token is not the public client")
            .expected(id_token.client_id.clone(), id_token.claim("aud").to_string())
            .cite(&token.cites),
        None => Judgement::undecided(token.describe()).cite(&token.cites),
    }
}

fn refresh_tokens_are_protected(seen: &Seen) -> Judgement {
    let Some(first) = &seen.refresh else {
        return match &seen.offline {
            Some(token) if token.granted() && seen.scope_missing => Judgement::not_configured(SCOPE_MISSING).cite(&token.cites),
            Some(token) if token.granted() => {
                Judgement::not_applicable("the public client gets no refresh token").cite(&token.cites)
            }
            _ => Judgement::undecided("the login with offline access did not succeed"),
        };
    };
    if !first.granted() {
        return Judgement::undecided(format!("the refresh token just given does not work: {}", first.describe()))
            .cite(&first.cites);
    }
    let mut found = Findings::new();
    found.saw(&first.cites);
    match (&seen.again, &seen.foreign_key) {
        (Some(again), _) if again.refused() => {
            let how = if seen.rotated { "rotated, and the used one is refused" } else { "good for one use" };
            return Judgement::pass(format!("refresh tokens are {how}")).cite(&again.cites);
        }
        (_, Some(foreign)) if foreign.refused() => {
            return Judgement::pass("refresh tokens are bound to the DPoP key").cite(&foreign.cites);
        }
        (Some(again), _) if again.granted() => {
            found.broken("the used refresh token still works, and none is bound to a key", &again.cites);
        }
        (Some(again), _) => found.undecided(again.describe(), &again.cites),
        (None, _) => found.undecided("the used refresh token was not tried", &[]),
    }
    found.conclude("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::{authz, id_token, token};
    use serde_json::json;

    fn good() -> Seen {
        Seen {
            authz: authz(Outcome::Code),
            token: Some(token(200, &["id_token"])),
            id_token: Some(id_token(json!({"aud": "client"}))),
            offline: Some(token(200, &["refresh_token"])),
            refresh: Some(token(200, &["refresh_token"])),
            rotated: true,
            again: Some(token(400, &[])),
            foreign_key: None,
            scope_missing: false,
            leeway_s: 0,
        }
    }

    #[test]
    fn a_public_client_works_without_a_secret() {
        assert_eq!(a_public_client_completes_the_flow(&good()).call, Call::Pass);
        assert_eq!(a_public_client_completes_the_flow(&Seen { token: Some(token(401, &[])), ..good() }).call, Call::Broken);
        assert_eq!(a_public_client_completes_the_flow(&Seen { authz: authz(Outcome::Fault), ..good() }).call, Call::Undecided);
    }

    #[test]
    fn used_refresh_tokens_are_refused_or_bound() {
        let reusable = Seen { again: Some(token(200, &["id_token"])), ..good() };
        assert_eq!(refresh_tokens_are_protected(&good()).call, Call::Pass);
        assert_eq!(refresh_tokens_are_protected(&reusable).call, Call::Broken);
        assert_eq!(refresh_tokens_are_protected(&Seen { foreign_key: Some(token(400, &[])), ..reusable }).call, Call::Pass);
        assert_eq!(refresh_tokens_are_protected(&Seen { refresh: None, ..good() }).call, Call::NotApplicable);
        assert_eq!(refresh_tokens_are_protected(&Seen { refresh: None, offline: None, ..good() }).call, Call::Undecided);
    }
}
