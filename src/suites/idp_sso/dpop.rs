//! idp-sso/dpop: sender-constrained access tokens (RFC 9449).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::counterpart::dpop::Dpop;
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::stage::http::Ask;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::blocks::NO_CONTROL;
use crate::wire::jose::{self, sha256_b64, thumbprint};
use crate::wire::seen::TokenSeen;

/// Asks for a bound token and misuses it.
pub struct SenderConstraint;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The token request with a proof.
    pub token: Option<TokenSeen>,
    /// `cnf.jkt` of the token fits the key; `None` where the token is opaque.
    pub thumbprint_fits: Option<bool>,
    /// A UserInfo endpoint is advertised.
    pub userinfo: bool,
    /// Correct proofs before and after succeeded.
    pub held: bool,
    /// Misuses at UserInfo.
    pub misuses: Vec<Misuse>,
}

/// One misuse of a bound token.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Misuse {
    /// What was wrong.
    pub what: String,
    /// Status; 0 for no answer.
    pub status: u16,
    /// Only SHOULD be prevented (the same proof twice).
    pub optional: bool,
    /// Exchange.
    pub cite: Vec<ExchangeId>,
}

impl Scenario for SenderConstraint {
    type Seen = Seen;
    const ID: &'static str = "idp-sso/dpop";
    const TITLE: &'static str = "asks for a DPoP-bound access token and misuses it at UserInfo";
    const AFTER: &'static [&'static str] = &["idp-login"];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.dpop-offered", bound_tokens_are_offered),
        Check::new("sl1.idp.dpop-binding-enforced", the_binding_is_enforced),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let context = stage.world.signed_in()?.context.clone();
        let dpop = Dpop::new()?;
        let silent = stage.silent(&context, &stage.request("main")?, "login with a DPoP proof", Some(&dpop)).await?;
        let mut seen =
            Seen { token: silent.token, userinfo: stage.world.discovery.get("userinfo_endpoint").is_some(), ..Seen::default() };
        let Some(access) = silent.tokens.access.filter(|_| silent.tokens.dpop) else { return Ok(seen) };
        // An opaque token, and a JWT without cnf, do not show what they are bound to.
        if let Some(jws) = jose::read(&access).ok().filter(|jws| jws.claims["cnf"]["jkt"].is_string()) {
            seen.thumbprint_fits = Some(jws.claims["cnf"]["jkt"] == thumbprint(dpop.key.jwk()));
        }
        if seen.userinfo && stage.wants("sl1.idp.dpop-binding-enforced") {
            let good = async |what: &str| Ok::<bool, Obstacle>(stage.userinfo(what, &access, Some(&dpop)).await?.status == 200);
            let before = good("control: a correct proof").await?;
            seen.misuses = misuse(stage, &dpop, &access).await?;
            seen.held = stage.control(before) & stage.control(good("control: a correct proof").await?);
        }
        Ok(seen)
    }
}

async fn misuse(stage: &Stage, dpop: &Dpop, access: &str) -> Result<Vec<Misuse>, Obstacle> {
    let endpoint = stage.world.endpoint("userinfo_endpoint")?.to_owned();
    let token_endpoint = stage.world.endpoint("token_endpoint")?.to_owned();
    let stranger = Dpop::new()?;
    let claims = || dpop.claims("GET", &endpoint, Some(access));
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        claims
    };
    let without = |mut claims: Value, name: &str| {
        claims.as_object_mut().map(|members| members.remove(name));
        claims
    };
    let hour_ago = jiff::Timestamp::now().as_second() - 3600;
    let ask = |scheme: &str| Ask::get(&endpoint).header("authorization", format!("{scheme} {access}"));
    let proved = |proof: String| ask("DPoP").header("dpop", proof);
    let mut out = Vec::new();
    for what in MISUSES {
        // A nonce challenge is no refusal: the misuse is tried again with the nonce. Only the old proof stays without one, because a
        // valid server nonce vouches for the freshness whatever iat says (RFC 9449 4.3 item 11).
        for attempt in 0..2 {
            let request = match what {
                "as a Bearer token" => ask("Bearer"),
                "proof by another key" => proved(stranger.proof(&claims())),
                "proof without ath" => proved(dpop.proof(&without(claims(), "ath"))),
                "ath of another token" => proved(dpop.proof(&with("ath", json!(sha256_b64("another"))))),
                "htu of the token endpoint" => proved(dpop.proof(&with("htu", json!(token_endpoint)))),
                "htm POST on a GET" => proved(dpop.proof(&with("htm", json!("POST")))),
                _ => proved(dpop.proof(&without(with("iat", json!(hour_ago)), "nonce"))),
            };
            let (seen, challenged) = send(stage, &endpoint, what, request, dpop).await?;
            if !challenged || attempt == 1 || what == OLD_PROOF {
                out.push(seen);
                break;
            }
        }
    }
    let proof = dpop.proof(&claims());
    send(stage, &endpoint, "a proof for the first time", proved(proof.clone()), dpop).await?;
    let (twice, _) = send(stage, &endpoint, "the same proof twice", proved(proof), dpop).await?;
    out.push(Misuse { optional: true, ..twice });
    Ok(out)
}

const OLD_PROOF: &str = "iat one hour ago";
const MISUSES: [&str; 7] = [
    "as a Bearer token",
    "proof by another key",
    "proof without ath",
    "ath of another token",
    "htu of the token endpoint",
    "htm POST on a GET",
    OLD_PROOF,
];

async fn send(stage: &Stage, endpoint: &str, what: &str, ask: Ask, dpop: &Dpop) -> Result<(Misuse, bool), Obstacle> {
    let reply = stage.world.http.send(stage.scenario, &format!("UserInfo: {what}"), ask).await?;
    let challenged = dpop.learn(endpoint, &reply);
    Ok((Misuse { what: what.to_owned(), status: reply.status, optional: false, cite: vec![reply.exchange] }, challenged))
}

fn bound_tokens_are_offered(seen: &Seen) -> Judgement {
    let Some(token) = &seen.token else { return Judgement::undecided("no code came to be redeemed with a proof") };
    let kind = token.token_type.clone().unwrap_or_default();
    let judgement = if !token.granted() {
        Judgement::undecided(format!("the token request with a proof had {}", token.describe()))
    } else if !kind.eq_ignore_ascii_case("dpop") {
        Judgement::broken(format!("the proof is ignored: token_type {kind}"))
    } else if seen.thumbprint_fits == Some(false) {
        Judgement::broken("token_type is DPoP, but cnf.jkt is not the thumbprint of the proof key")
    } else {
        Judgement::pass("the access token is bound to the proof key")
    };
    judgement.expected("token_type DPoP", kind).cite(token.cites.iter().rev())
}

fn the_binding_is_enforced(seen: &Seen) -> Judgement {
    let offered = seen
        .token
        .as_ref()
        .is_some_and(|token| token.token_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("dpop")));
    if !offered {
        return match &seen.token {
            Some(token) if token.granted() => Judgement::not_applicable("DPoP-bound tokens are not issued").cite(&token.cites),
            _ => Judgement::undecided("no token came for a request with a proof"),
        };
    }
    if !seen.userinfo {
        return Judgement::not_applicable("there is no UserInfo endpoint to use the token at");
    }
    let mut found = Findings::new();
    for misuse in &seen.misuses {
        match misuse.status {
            200 if misuse.optional => {
                found.doubtful(format!("{}: UserInfo answers 200 (only SHOULD be prevented)", misuse.what), &misuse.cite);
            }
            200 => found.broken(format!("{}: UserInfo answers 200", misuse.what), &misuse.cite),
            _ if !seen.held => found.undecided(NO_CONTROL, &[]),
            400 | 401 | 403 => found.saw(&misuse.cite),
            status => found.undecided(format!("{}: UserInfo answers {status}", misuse.what), &misuse.cite),
        }
    }
    if seen.misuses.is_empty() {
        Judgement::undecided("nothing was tried")
    } else {
        found.conclude("every misuse is refused, correct proofs are answered")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::token;

    fn seen(kind: &str, held: bool, status: u16, optional: bool) -> Seen {
        Seen {
            token: Some(TokenSeen { token_type: Some(kind.into()), ..token(200, &["access_token"]) }),
            thumbprint_fits: None,
            userinfo: true,
            held,
            misuses: vec![Misuse { what: "probe".into(), status, optional, cite: vec!["x1".into()] }],
        }
    }

    #[test]
    fn binding_is_offered_or_not() {
        assert_eq!(bound_tokens_are_offered(&seen("dpop", true, 401, false)).call, Call::Pass);
        assert_eq!(bound_tokens_are_offered(&seen("Bearer", true, 401, false)).call, Call::Broken);
        assert_eq!(
            bound_tokens_are_offered(&Seen { thumbprint_fits: Some(false), ..seen("DPoP", true, 401, false) }).call,
            Call::Broken
        );
        assert_eq!(bound_tokens_are_offered(&Seen::default()).call, Call::Undecided);
    }

    #[test]
    fn binding_is_enforced_or_not() {
        assert_eq!(the_binding_is_enforced(&seen("DPoP", true, 401, false)).call, Call::Pass);
        assert_eq!(the_binding_is_enforced(&seen("DPoP", false, 401, false)).call, Call::Undecided);
        assert_eq!(the_binding_is_enforced(&seen("DPoP", true, 200, false)).call, Call::Broken);
        assert_eq!(the_binding_is_enforced(&seen("DPoP", true, 200, true)).call, Call::Doubtful);
        assert_eq!(the_binding_is_enforced(&seen("DPoP", true, 500, false)).call, Call::Undecided);
        assert_eq!(the_binding_is_enforced(&seen("Bearer", true, 401, false)).call, Call::NotApplicable);
    }
}
