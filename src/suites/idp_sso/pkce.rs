//! idp-sso/pkce: no challenge, the plain method, wrong verifiers.

use serde::{Deserialize, Serialize};

use crate::counterpart::token::TokenRequest;
use crate::model::Judgement;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::blocks::{self, Block, Deviation, refused_or_worthless, tokens_refused};
use crate::wire::jose::random;
use crate::wire::seen::{Outcome, TokenSeen};

/// Weakens PKCE.
pub struct Pkce;

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Without code_challenge, for every client.
    pub absent: Block,
    /// Plain, plain by default, method in lower case.
    pub plain: Block,
    /// Redemptions with a wrong verifier, none, and the challenge itself.
    pub verifiers: Vec<TokenSeen>,
    /// Controls around the redemptions held.
    pub held: bool,
}

impl Scenario for Pkce {
    type Seen = Seen;
    const ID: &'static str = "idp-sso/pkce";
    const TITLE: &'static str = "leaves PKCE out, weakens it, and redeems with wrong verifiers";
    const AFTER: &'static [&'static str] = &["idp-login"];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.pkce-required", a_challenge_is_required),
        Check::new("sl1.idp.pkce-plain-refused", plain_is_refused),
        Check::new("sl1.idp.pkce-verifier-checked", the_verifier_is_checked),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let context = stage.world.signed_in()?.context.clone();
        let mut absent = Vec::new();
        for client in ["main", "public"].into_iter().filter(|name| stage.world.has_client(name)) {
            let request = stage.request(client)?.without("code_challenge").without("code_challenge_method");
            absent.push(
                Deviation::new(format!("no code_challenge, client {client}"), request)
                    .redeemed(|token| token.without("code_verifier")),
            );
        }
        let mut plain = Vec::new();
        for (what, method) in
            [("method plain", Some("plain")), ("no method, which means plain", None), ("method s256 in lower case", Some("s256"))]
        {
            // The verifier is its own challenge: 43 characters, so that its length gives no reason to refuse.
            let verifier = random(32);
            let mut request = stage.request("main")?.set("code_challenge", &verifier);
            request = match method {
                Some(method) => request.set("code_challenge_method", method),
                None => request.without("code_challenge_method"),
            };
            request.verifier = verifier;
            plain.push(Deviation::new(what, request).redeemed(|token| token));
        }
        let mut played = blocks::play(stage, &context, vec![absent, plain]).await?.into_iter();
        let (mut absent, plain) = (played.next().unwrap_or_default(), played.next().unwrap_or_default());

        absent.held &= public_control(stage, &context).await;
        let mut verifiers = Vec::new();
        let before = stage.silent_control(&context).await;
        for what in ["another verifier", "no verifier", "the challenge as verifier"] {
            // A new code per attempt: a failed attempt may burn it.
            let request = stage.request("main")?;
            let authz = stage.authorize(&context, &request, &format!("code for: {what}")).await?;
            let Some(code) = authz.code.filter(|_| authz.seen.outcome == Outcome::Code) else { continue };
            let token = TokenRequest::code(&request, &code, what);
            let token = match what {
                "another verifier" => token.set("code_verifier", &random(32)),
                "no verifier" => token.without("code_verifier"),
                _ => token.set("code_verifier", request.get("code_challenge")),
            };
            verifiers.push(stage.token(&token, None).await?.0);
        }
        let held = before && stage.silent_control(&context).await;
        Ok(Seen { absent, plain, verifiers, held })
    }
}

/// The control of attempts with the public client: its conforming login.
pub async fn public_control(stage: &Stage, context: &std::sync::Arc<dyn crate::stage::browser::Context>) -> bool {
    if !stage.world.has_client("public") {
        return true;
    }
    let played = async { stage.silent(context, &stage.request("public")?, "control: public client", None).await };
    let held = matches!(played.await, Ok(silent) if silent.authz.seen.outcome == Outcome::Code);
    stage.control(held)
}

fn a_challenge_is_required(seen: &Seen) -> Judgement {
    refused_or_worthless(&seen.absent, true, "requests without code_challenge are refused")
}

fn plain_is_refused(seen: &Seen) -> Judgement {
    refused_or_worthless(&seen.plain, false, "the plain method is refused, named or by default, or its code is worth nothing")
}

fn the_verifier_is_checked(seen: &Seen) -> Judgement {
    if seen.verifiers.len() < 3 && !seen.verifiers.iter().any(TokenSeen::granted) {
        return Judgement::undecided("not every attempt got a code to redeem");
    }
    tokens_refused(&seen.verifiers.iter().collect::<Vec<_>>(), seen.held, "a wrong, a missing and a copied verifier are refused")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::{block, token};

    #[test]
    fn pkce_is_demanded_and_checked() {
        let seen = |outcome, status, tokens: &[&str], held| Seen {
            absent: block(held, outcome),
            plain: block(held, outcome),
            verifiers: vec![token(status, tokens), token(status, tokens), token(status, tokens)],
            held,
        };
        for (seen, call) in
            [(seen(Outcome::Error, 400, &[], true), Call::Pass), (seen(Outcome::Error, 400, &[], false), Call::Undecided)]
        {
            assert!(Pkce::CHECKS.iter().all(|check| (check.judge)(&seen).call == call), "{call:?}");
        }
        assert_eq!(the_verifier_is_checked(&seen(Outcome::Error, 200, &["id_token"], true)).call, Call::Broken);
        let mut issued = seen(Outcome::Code, 400, &[], true);
        issued.absent.tried[0].redeemed = Some(token(200, &["id_token"]));
        issued.plain = issued.absent.clone();
        assert_eq!(a_challenge_is_required(&issued).call, Call::Broken);
        assert_eq!(plain_is_refused(&issued).call, Call::Broken);
    }
}
