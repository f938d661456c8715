//! app-dpop-nonce: the provider's endpoints demand nonces in DPoP proofs (RFC 9449 8, 9).

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::counterpart::provider::log::ProofSeen;
use crate::counterpart::provider::{Provider, Script, Twist};
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::blocks::NO_CONTROL;

/// Demands nonces.
pub struct Nonces;

/// What the application did about it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Logins without any demand, before and after, succeeded.
    pub held: bool,
    /// The login before, without any demand.
    pub plain: Login,
    /// The token endpoint demands a nonce, and gives another one with its success.
    pub first: Login,
    /// The next login at a token endpoint that demands a nonce.
    pub next: Login,
    /// UserInfo demands a nonce, and so does the token endpoint.
    pub resource: Login,
}

/// A login.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Login {
    /// What became of it.
    pub attempt: Attempt,
    /// The nonce that the token endpoint had given last when it began; empty for none.
    pub given: String,
    /// Token requests.
    pub token: Vec<Sent>,
    /// UserInfo requests.
    pub userinfo: Vec<Sent>,
}

/// A request with or without a proof. Nonces are told by where and when they were given: `token-1`, `userinfo-1`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sent {
    /// It has a proof.
    pub proof: bool,
    /// Nonce of its proof; `unknown` for one that was never given.
    pub nonce: Option<String>,
    /// The nonce that was demanded in answer to it.
    pub demanded: Option<String>,
    /// No proof before it had this `jti`.
    pub fresh: bool,
    /// It carries the code, or access token, of this login's first request.
    pub same: bool,
    /// Status of the answer.
    pub status: u16,
    /// The exchange.
    pub exchange: ExchangeId,
}

impl Scenario for Nonces {
    type Seen = Seen;
    const ID: &'static str = "app-dpop-nonce";
    const TITLE: &'static str = "demands DPoP nonces at the token endpoint and at UserInfo";
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.app.dpop-nonce-as", the_token_request_is_repeated),
        Check::new("sl1.app.dpop-nonce-rs", the_userinfo_request_is_repeated),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let plain = login(stage, &[], "control: nothing is demanded").await?;
        let before = stage.control(plain.attempt.signed_in());
        let seen = Seen { plain: plain.finish(stage)?, ..Seen::default() };
        if !seen.plain.token.iter().chain(&seen.plain.userinfo).any(|sent| sent.proof) {
            return Ok(seen);
        }
        // One after the other: each changes what the application has to send next.
        let first = login(stage, &[Twist::TokenNonce], "the token endpoint demands a nonce").await?;
        let next = login(stage, &[Twist::TokenNonce], "the token endpoint has given another nonce").await?;
        let both = [Twist::TokenNonce, Twist::UserInfoNonce];
        let resource = login(stage, &both, "UserInfo demands a nonce of its own").await?;
        let held = before & stage.login_control("control: nothing is demanded any more").await?.signed_in();
        // Read at the end: an application may ask UserInfo when the browser has gone on already.
        let (first, next, resource) = (first.finish(stage)?, next.finish(stage)?, resource.finish(stage)?);
        Ok(Seen { held, first, next, resource, ..seen })
    }
}

/// A login whose requests are yet to be read.
struct Played {
    visitor: Visitor,
    attempt: Attempt,
    given: String,
}

async fn login(stage: &Stage, twists: &[Twist], label: &str) -> Result<Played, Obstacle> {
    let app = stage.app()?;
    let given = match app.provider.nonces(false).len() {
        0 => String::new(),
        count => format!("token-{count}"),
    };
    let mut script = Script::of(&app.users[0]);
    script.twists.extend_from_slice(twists);
    let (visitor, attempt) = stage.attempt(script, label).await?;
    Ok(Played { visitor, attempt, given })
}

impl Played {
    /// Reads from the provider's log what the application sent in this login.
    fn finish(self, stage: &Stage) -> Result<Login, Obstacle> {
        let provider = &stage.app()?.provider;
        let log = provider.log();
        let id = &self.visitor.id;
        let first = log.authorizations_of(id).first().map(|request| request.number);
        let mut jtis: Vec<String> = Vec::new();
        let mut sent = |proof: Option<&ProofSeen>, demanded: Option<&String>, same, status, exchange: &ExchangeId| Sent {
            proof: proof.is_some(),
            nonce: proof.and_then(|proof| proof.nonce.as_deref()).map(|nonce| known(provider, nonce)),
            demanded: demanded.map(|nonce| known(provider, nonce)),
            fresh: proof.is_none_or(|proof| {
                let again = jtis.contains(&proof.jti) || proof.problems.iter().any(|problem| problem.contains("sent before"));
                jtis.push(proof.jti.clone());
                !again
            }),
            same,
            status,
            exchange: exchange.clone(),
        };
        let by_code = log.tokens_of(id).into_iter().filter(|token| token.authorization == first);
        let by_code: Vec<_> = by_code.filter(|token| token.get("grant_type") == Some("authorization_code")).collect();
        let code = by_code.first().and_then(|token| token.get("code"));
        let mut token = Vec::new();
        for request in &by_code {
            let same = request.get("code") == code;
            token.push(sent(request.proof.as_ref(), request.nonce_demanded.as_ref(), same, request.status, &request.exchange));
        }
        let mut userinfo = Vec::new();
        for request in log.userinfo_of(id).into_iter().filter(|request| request.authorization == first) {
            userinfo.push(sent(request.proof.as_ref(), request.nonce_demanded.as_ref(), true, request.status, &request.exchange));
        }
        Ok(Login { attempt: self.attempt, given: self.given, token, userinfo })
    }
}

/// Where and when this nonce was given.
fn known(provider: &Provider, nonce: &str) -> String {
    let at = |resource| provider.nonces(resource).iter().position(|given| given == nonce).map(|place| place + 1);
    match (at(false), at(true)) {
        (Some(place), _) => format!("token-{place}"),
        (_, Some(place)) => format!("userinfo-{place}"),
        _ => "unknown".into(),
    }
}

/// Does the demand hold here? It is for applications that make resource requests (IPSIE SL1 3.2.2).
fn not_concerned(seen: &Seen) -> Option<Judgement> {
    let logins = [&seen.plain, &seen.first, &seen.next, &seen.resource];
    let asked = logins.iter().any(|login| !login.userinfo.is_empty());
    let plain = &seen.plain;
    let cites: Vec<ExchangeId> = plain.token.iter().chain(&plain.userinfo).map(|sent| sent.exchange.clone()).collect();
    if !plain.attempt.signed_in() {
        return Some(Judgement::undecided(NO_CONTROL).cite(&plain.attempt.cites));
    }
    match (asked, plain.token.iter().any(|sent| sent.proof)) {
        (false, false) => {
            Some(Judgement::not_applicable("the application neither calls UserInfo nor sends DPoP proofs").cite(&cites))
        }
        (true, false) => {
            Some(Judgement::undecided("the application sends no DPoP proofs: see sl1.app.dpop-token-request").cite(&cites))
        }
        _ => None,
    }
}

/// After each demand, a request must bring the nonce demanded, in a proof of its own.
fn answered(found: &mut Findings, what: &str, requests: &[Sent], held: bool) {
    for (place, sent) in requests.iter().enumerate() {
        let Some(demanded) = &sent.demanded else { continue };
        // Requests may overlap: any later one may be the answer.
        let later = &requests[place + 1..];
        let right = later.iter().find(|next| next.proof && next.nonce.as_ref() == Some(demanded));
        let cites = |other: &Sent| [sent.exchange.clone(), other.exchange.clone()];
        match (right, later.first()) {
            (None, None) if !held => {
                found.undecided(format!("{what} was not repeated; {NO_CONTROL}"), std::slice::from_ref(&sent.exchange));
            }
            (None, None) => {
                found.broken(format!("{what} was not repeated after use_dpop_nonce"), std::slice::from_ref(&sent.exchange));
            }
            (None, Some(next)) => {
                let with = match (next.proof, &next.nonce) {
                    (false, _) => "without a proof",
                    (true, None) => "without the nonce",
                    (true, Some(_)) => "with another nonce than the one demanded",
                };
                found.broken(format!("{what} was repeated {with}"), &cites(next));
            }
            (Some(next), _) if !next.fresh => {
                found.broken(format!("{what} was repeated with a jti that was used before"), &cites(next));
            }
            (Some(next), _) if !next.same => found.broken(format!("{what} was repeated with another code"), &cites(next)),
            (Some(next), _) => found.saw(&cites(next)),
        }
    }
}

fn completed(found: &mut Findings, what: &str, login: &Login, held: bool) {
    if login.attempt.signed_in() {
        found.saw(&login.attempt.cites);
    } else if held && login.attempt.refused() {
        found.broken(format!("{what}, and the login failed: {}", login.attempt.describe()), &login.attempt.cites);
    } else {
        found.undecided(format!("{what}, and the login did not complete; {NO_CONTROL}"), &login.attempt.cites);
    }
}

fn the_token_request_is_repeated(seen: &Seen) -> Judgement {
    if let Some(judgement) = not_concerned(seen) {
        return judgement;
    }
    let mut found = Findings::new();
    let mut fetched_anew = false;
    for (what, login) in [("the token endpoint demanded a nonce", &seen.first), ("it had given another nonce", &seen.next)] {
        answered(&mut found, "the token request", &login.token, seen.held);
        completed(&mut found, what, login, seen.held);
    }
    if !seen.first.token.iter().any(|sent| sent.demanded.is_some()) {
        found.undecided("no token request with a proof came that a nonce could be demanded of", &seen.first.attempt.cites);
    }
    // RFC 9449 8.2: the new nonce counts for the next token request and all that follow.
    if let Some(sent) = seen.next.token.first().filter(|sent| sent.proof && !seen.next.given.is_empty()) {
        match &sent.nonce {
            None => fetched_anew = true,
            Some(nonce) if *nonce == seen.next.given => found.saw(std::slice::from_ref(&sent.exchange)),
            // A nonce of UserInfo is for sl1.app.dpop-nonce-rs.
            Some(nonce) if nonce.starts_with("token-") => found.broken(
                "the next login began with a nonce that the token endpoint had replaced in its last answer",
                std::slice::from_ref(&sent.exchange),
            ),
            Some(_) => {}
        }
    }
    found.conclude(if fetched_anew {
        "the token request is repeated with the nonce demanded; the next login begins without one and asks again"
    } else {
        "the token request is repeated with the nonce demanded, and the next login uses the nonce given last"
    })
}

fn the_userinfo_request_is_repeated(seen: &Seen) -> Judgement {
    if let Some(judgement) = not_concerned(seen) {
        return judgement;
    }
    let login = &seen.resource;
    let mut found = Findings::new();
    let proofs: Vec<Sent> = login.userinfo.iter().filter(|sent| sent.proof).cloned().collect();
    if login.userinfo.is_empty() {
        if seen.plain.userinfo.is_empty() && seen.first.userinfo.is_empty() {
            return Judgement::not_applicable("the application does not call UserInfo").cite(&seen.plain.attempt.cites);
        }
        return Judgement::undecided(format!("UserInfo was not called in this login: {}", login.attempt.describe()))
            .cite(&login.attempt.cites);
    }
    if proofs.is_empty() {
        return Judgement::undecided("UserInfo is called without DPoP proofs: see sl1.app.dpop-userinfo")
            .cite(&login.attempt.cites);
    }
    for (endpoint, foreign, requests) in
        [("UserInfo", "token-", &login.userinfo), ("the token endpoint", "userinfo-", &login.token)]
    {
        for sent in requests.iter().filter(|sent| sent.nonce.as_ref().is_some_and(|nonce| nonce.starts_with(foreign))) {
            found.broken(
                format!("{endpoint} was asked with a nonce of another server: nonces are kept per server"),
                std::slice::from_ref(&sent.exchange),
            );
        }
    }
    answered(&mut found, "the UserInfo request", &proofs, seen.held);
    completed(&mut found, "UserInfo demanded a nonce", login, seen.held);
    found.conclude("the UserInfo request is repeated with the nonce of UserInfo, and the login completes")
}
