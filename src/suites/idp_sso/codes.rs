//! idp-sso/codes: what an authorization code is good for, and for whom.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::counterpart::relying_party::{AuthzRequest, Proof};
use crate::counterpart::token::TokenRequest;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::stage::browser::Context;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::blocks::tokens_refused;
use crate::wire::seen::{Outcome, TokenSeen};

/// Misuses codes.
pub struct Codes;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Controls before and after held.
    pub held: bool,
    /// Redemptions without and with forged client authentication.
    pub unauthenticated: Vec<TokenSeen>,
    /// First, second and third redemption of one code.
    pub uses: Vec<TokenSeen>,
    /// UserInfo answered the access token before the code was used again.
    pub alive: bool,
    /// What the tokens of the first redemption are worth after the second; `None` where there is nothing to ask.
    pub after_reuse: Option<AfterReuse>,
    /// Redeemed by client B.
    pub by_other: Option<TokenSeen>,
    /// Client B can redeem a code of its own.
    pub other_works: bool,
    /// Redeemed with another registered redirect URI.
    pub other_redirect: Option<TokenSeen>,
    /// Redeemed without redirect_uri.
    pub no_redirect: Option<TokenSeen>,
}

/// Tokens of a code that was presented again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AfterReuse {
    /// Status of UserInfo.
    pub userinfo: Option<u16>,
    /// The refresh.
    pub refresh: Option<TokenSeen>,
    /// Exchanges.
    pub cites: Vec<String>,
}

impl Scenario for Codes {
    type Seen = Seen;
    const ID: &'static str = "idp-sso/codes";
    const TITLE: &'static str = "redeems codes twice, unauthenticated, and for others";
    const AFTER: &'static [&'static str] = &["idp-login"];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.client-auth-required", clients_must_authenticate),
        Check::new("sl1.idp.code-single-use", a_code_works_once),
        Check::new("sl1.idp.code-reuse-revokes", reuse_revokes_the_tokens),
        Check::new("sl1.idp.code-bound-to-client", a_code_is_its_client_s),
        Check::new("sl1.idp.code-bound-to-redirect-uri", a_code_is_bound_to_its_redirect_uri),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let context = stage.world.signed_in()?.context.clone();
        let mut seen = Seen::default();
        let before = stage.silent_control(&context).await;
        if stage.wants("sl1.idp.client-auth-required") {
            for (what, proof) in
                [("client_id without authentication", Proof::Nothing), ("a forged assertion or secret", Proof::Forged)]
            {
                if let Some((request, code)) = fresh(stage, &context, what).await? {
                    seen.unauthenticated
                        .push(stage.token(&TokenRequest::code(&request, &code, what).proof(proof), None).await?.0);
                }
            }
        }
        if stage.wants("sl1.idp.code-single-use") || stage.wants("sl1.idp.code-reuse-revokes") {
            use_twice(stage, &context, &mut seen).await?;
        }
        if stage.wants("sl1.idp.code-bound-to-client")
            && let Some((request, code)) = fresh(stage, &context, "a code for another client").await?
        {
            let own = stage.silent(&context, &stage.request("second")?, "control: client B", None).await?;
            seen.other_works = stage.control(own.succeeded());
            let token = TokenRequest::code(&request, &code, "client B redeems a code of client A").by("second");
            seen.by_other = Some(stage.token(&token, None).await?.0);
        }
        if stage.wants("sl1.idp.code-bound-to-redirect-uri") {
            if let Some((request, code)) = fresh(stage, &context, "a code for another redirect URI").await? {
                let token = TokenRequest::code(&request, &code, "another registered redirect_uri")
                    .set("redirect_uri", &request.registered[1]);
                seen.other_redirect = Some(stage.token(&token, None).await?.0);
            }
            if let Some((request, code)) = fresh(stage, &context, "a code without redirect URI").await? {
                let token = TokenRequest::code(&request, &code, "no redirect_uri at the token endpoint").without("redirect_uri");
                seen.no_redirect = Some(stage.token(&token, None).await?.0);
            }
        }
        seen.held = before && stage.silent_control(&context).await;
        Ok(seen)
    }
}

/// A fresh code: one per attempt, because a failed attempt may burn it.
async fn fresh(stage: &Stage, context: &Arc<dyn Context>, what: &str) -> Result<Option<(AuthzRequest, String)>, Obstacle> {
    let request = stage.request("main")?;
    let authz = stage.authorize(context, &request, what).await?;
    Ok(authz.code.filter(|_| authz.seen.outcome == Outcome::Code).map(|code| (request, code)))
}

async fn use_twice(stage: &Stage, context: &Arc<dyn Context>, seen: &mut Seen) -> Result<(), Obstacle> {
    // Products may revoke everything the client has in this session with a reused code: client B, where there is one, keeps
    // that apart from the codes of the other attempts.
    let client = if stage.world.has_client("second") { "second" } else { "main" };
    let Some((request, code)) = with_refresh_token(stage, context, client).await? else { return Ok(()) };
    let (first, tokens) = stage.token(&TokenRequest::code(&request, &code, "first use of the code"), None).await?;
    seen.uses.push(first);
    if let (Some(access), Some(_)) = (&tokens.access, stage.world.discovery.get("userinfo_endpoint")) {
        seen.alive = stage.userinfo("UserInfo before the code is used again", access, None).await?.status == 200;
    }
    let reused = Instant::now();
    seen.uses.push(stage.token(&TokenRequest::code(&request, &code, "second use of the code"), None).await?.0);
    if stage.wants("sl1.idp.code-reuse-revokes") && !seen.uses[1].granted() {
        let ask = || async {
            let mut after = AfterReuse::default();
            if let (Some(access), Some(_)) = (&tokens.access, stage.world.discovery.get("userinfo_endpoint")) {
                let reply = stage.userinfo("UserInfo with a token of the reused code", access, None).await?;
                after.userinfo = Some(reply.status);
                after.cites.push(reply.exchange);
            }
            if let Some(refresh) = &tokens.refresh {
                let (token, _) = stage
                    .token(&TokenRequest::refresh(&request.client, refresh, "refresh token of the reused code"), None)
                    .await?;
                after.cites.extend(token.cites.clone());
                after.refresh = Some(token);
            }
            Ok::<_, Obstacle>(after)
        };
        let mut after = ask().await?;
        if after.userinfo == Some(200) {
            stage.wait_until(reused + Duration::from_secs(5), "a revocation to take effect").await;
            after = ask().await?;
        }
        seen.after_reuse = Some(after);
    }
    if stage.wants("sl1.idp.code-single-use") && !seen.uses[1].granted() {
        stage.wait_until(reused + Duration::from_secs(2), "a code to be presented once more after 2 s").await;
        seen.uses.push(stage.token(&TokenRequest::code(&request, &code, "third use of the code, 2 s later"), None).await?.0);
    }
    Ok(())
}

async fn with_refresh_token(
    stage: &Stage,
    context: &Arc<dyn Context>,
    client: &str,
) -> Result<Option<(AuthzRequest, String)>, Obstacle> {
    let request = stage.offline(stage.request(client)?);
    let authz = stage.authorize(context, &request, "a code to be used twice").await?;
    match authz.code.filter(|_| authz.seen.outcome == Outcome::Code) {
        Some(code) => Ok(Some((request, code))),
        // The product may not give offline access silently; the plain request does as well.
        None => {
            let request = stage.request(client)?;
            let authz = stage.authorize(context, &request, "a code to be used twice").await?;
            Ok(authz.code.filter(|_| authz.seen.outcome == Outcome::Code).map(|code| (request, code)))
        }
    }
}

fn clients_must_authenticate(seen: &Seen) -> Judgement {
    if seen.unauthenticated.len() < 2 && !seen.unauthenticated.iter().any(TokenSeen::granted) {
        return Judgement::undecided("not every attempt got a code to redeem");
    }
    tokens_refused(&seen.unauthenticated.iter().collect::<Vec<_>>(), seen.held, "no tokens without valid client authentication")
}

fn a_code_works_once(seen: &Seen) -> Judgement {
    let Some(first) = seen.uses.first().filter(|first| first.granted()) else {
        return Judgement::undecided("the first redemption failed").cite(seen.uses.iter().flat_map(|token| &token.cites));
    };
    let mut found = Findings::new();
    found.saw(&first.cites);
    for again in &seen.uses[1..] {
        if again.granted() {
            found.broken(format!("{}: {}", again.what, again.describe()), &again.cites);
        } else if again.refused() {
            found.saw(&again.cites);
        } else {
            found.undecided(format!("{}: {}", again.what, again.describe()), &again.cites);
        }
    }
    if seen.uses.len() < 2 {
        found.undecided("the code was not presented again", &first.cites);
    }
    found.conclude("the first use gives tokens, every later one is refused")
}

fn reuse_revokes_the_tokens(seen: &Seen) -> Judgement {
    let Some(after) = &seen.after_reuse else {
        return Judgement::undecided("the code was not used, or the second use was not refused")
            .cite(seen.uses.iter().flat_map(|token| &token.cites));
    };
    let mut found = Findings::new();
    found.saw(&after.cites);
    match after.userinfo {
        Some(200) => found.broken("UserInfo still answers the access token of the reused code", &after.cites),
        Some(_) if !seen.alive => {
            found.undecided("UserInfo refused the access token before the code was used again", &after.cites);
        }
        Some(status) if status >= 500 || status == 429 => found.undecided(format!("UserInfo answers {status}"), &after.cites),
        _ => {}
    }
    if let Some(refresh) = &after.refresh {
        if refresh.granted() {
            found.broken("the refresh token of the reused code still works", &refresh.cites);
        } else if !refresh.refused() {
            found.undecided(format!("refresh: {}", refresh.describe()), &refresh.cites);
        }
    }
    if after.userinfo.is_none() && after.refresh.is_none() {
        return Judgement::undecided("there is no UserInfo endpoint and no refresh token to ask with");
    }
    found.conclude("the tokens of the reused code are revoked")
}

fn a_code_is_its_client_s(seen: &Seen) -> Judgement {
    match &seen.by_other {
        Some(other) if other.client_refused() && !seen.other_works => {
            Judgement::undecided(format!("client B itself was turned away ({}): check idp.clients.second", other.describe()))
                .cite(&other.cites)
        }
        other => tokens_refused(&other.iter().collect::<Vec<_>>(), seen.held, "client B cannot redeem a code of client A"),
    }
}

fn a_code_is_bound_to_its_redirect_uri(seen: &Seen) -> Judgement {
    let Some(other) = &seen.other_redirect else { return Judgement::undecided("no code came to be redeemed") };
    let judgement = tokens_refused(&[other], seen.held, "another redirect_uri is refused");
    match &seen.no_redirect {
        // OAuth 2.1 and RFC 9700 see PKCE as the replacement: omission is a note, a different value is a fail.
        Some(omitted) if omitted.granted() && judgement.call == crate::model::Call::Pass => {
            Judgement::doubtful("another redirect_uri is refused, but leaving it out is accepted").cite(&omitted.cites)
        }
        _ => judgement,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::token;

    fn good() -> Seen {
        let (granted, refused) = (token(200, &["access_token", "id_token"]), token(400, &[]));
        Seen {
            held: true,
            alive: true,
            unauthenticated: vec![refused.clone(), refused.clone()],
            uses: vec![granted, refused.clone(), refused.clone()],
            after_reuse: Some(AfterReuse { userinfo: Some(401), refresh: Some(refused.clone()), cites: Vec::new() }),
            by_other: Some(refused.clone()),
            other_works: true,
            other_redirect: Some(refused.clone()),
            no_redirect: Some(refused),
        }
    }

    #[test]
    fn misuse_that_is_refused_passes_and_nothing_tried_decides_nothing() {
        for check in Codes::CHECKS {
            assert_eq!((check.judge)(&good()).call, Call::Pass, "{}", check.clause);
            assert_eq!((check.judge)(&Seen::default()).call, Call::Undecided, "{}", check.clause);
        }
    }

    #[test]
    fn misuse_that_works_fails() {
        let granted = || token(200, &["id_token"]);
        let seen = Seen {
            unauthenticated: vec![granted(), token(401, &[])],
            uses: vec![granted(), token(400, &[]), granted()],
            after_reuse: Some(AfterReuse { userinfo: Some(200), ..AfterReuse::default() }),
            by_other: Some(granted()),
            other_redirect: Some(granted()),
            ..good()
        };
        for check in Codes::CHECKS {
            assert_eq!((check.judge)(&seen).call, Call::Broken, "{}", check.clause);
        }
        assert_eq!(a_code_is_bound_to_its_redirect_uri(&Seen { no_redirect: Some(granted()), ..good() }).call, Call::Doubtful);
        let silent = Seen { uses: vec![granted(), TokenSeen { fault: Some("reset".into()), ..TokenSeen::default() }], ..good() };
        assert_eq!(a_code_works_once(&silent).call, Call::Undecided);
    }
}
