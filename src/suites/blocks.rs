//! Negative probes between controls: the shared mechanics of "must be refused".

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::counterpart::relying_party::AuthzRequest;
use crate::counterpart::token::TokenRequest;
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::stage::browser::Context;
use crate::suite::Obstacle;
use crate::wire::seen::{AuthzSeen, Outcome, TokenSeen};

/// Said whenever a control failed.
pub const NO_CONTROL: &str =
    "the control (the same login without the deviation) did not succeed before and after, so a refusal proves nothing";

/// One authorization request that deviates.
pub struct Deviation {
    /// What is tried, in a few words.
    pub what: String,
    /// The request.
    pub request: AuthzRequest,
    /// When a code comes back, redeem it with these changes to see whether it is worth anything.
    pub redeem: Option<fn(TokenRequest) -> TokenRequest>,
}

impl Deviation {
    /// A deviation that must not lead to a code.
    pub fn new(what: impl Into<String>, request: AuthzRequest) -> Self {
        Deviation { what: what.into(), request, redeem: None }
    }

    /// A deviation whose code, if one comes, is redeemed.
    #[must_use]
    pub fn redeemed(mut self, change: fn(TokenRequest) -> TokenRequest) -> Self {
        self.redeem = Some(change);
        self
    }
}

/// What a deviating request led to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tried {
    /// The authorization response or page.
    pub authz: AuthzSeen,
    /// The redemption of its code.
    pub redeemed: Option<TokenSeen>,
}

/// Deviations with the controls around them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Block {
    /// The controls before and after both succeeded.
    pub held: bool,
    /// What each deviation led to.
    pub tried: Vec<Tried>,
}

/// Plays blocks of deviations in a signed-in context. The control after one block is the control before the next.
pub async fn play(stage: &Stage, context: &Arc<dyn Context>, blocks: Vec<Vec<Deviation>>) -> Result<Vec<Block>, Obstacle> {
    let mut out = Vec::new();
    let mut before = stage.silent_control(context).await;
    for block in blocks {
        let mut tried = Vec::new();
        for deviation in &block {
            tried.push(attempt(stage, context, deviation).await?);
        }
        let after = stage.silent_control(context).await;
        out.push(Block { held: before && after, tried });
        before = after;
    }
    Ok(out)
}

async fn attempt(stage: &Stage, context: &Arc<dyn Context>, deviation: &Deviation) -> Result<Tried, Obstacle> {
    let authz = stage.authorize(context, &deviation.request, &deviation.what).await?;
    let redeemed = match (&authz.code, deviation.redeem) {
        (Some(code), Some(change)) => {
            let request = change(TokenRequest::code(&deviation.request, code, &format!("redeem: {}", deviation.what)));
            Some(stage.token(&request, None).await?.0)
        }
        _ => None,
    };
    Ok(Tried { authz: authz.seen, redeemed })
}

/// The demand "AUTHZ-REFUSED for all", with `pass` as the reason when it holds.
pub fn all_refused(block: &Block, pass: &str) -> Judgement {
    let mut found = Findings::new();
    for Tried { authz, .. } in &block.tried {
        if authz.granted() || authz.outcome == Outcome::ErrorElsewhere {
            found.broken(format!("{}: {}", authz.what, authz.describe()), &authz.deciding());
        } else if !block.held {
            found.undecided(NO_CONTROL, &[]);
        } else if authz.refused() {
            found.saw(&authz.cites);
        } else if authz.outcome == Outcome::Empty {
            found.doubtful(format!("{}: answered as a success, with nothing in it", authz.what), &authz.cites);
        } else {
            found.undecided(format!("{}: {}", authz.what, authz.describe()), &authz.cites);
        }
    }
    conclude(found, block.tried.is_empty(), pass)
}

/// The demand "not sent there at all": as [`all_refused`], and an error redirect counts as broken too.
pub fn never_sent_there(block: &Block, pass: &str) -> Judgement {
    let mut found = Findings::new();
    for Tried { authz, .. } in &block.tried {
        if authz.granted() || matches!(authz.outcome, Outcome::Error | Outcome::Empty | Outcome::ErrorElsewhere) {
            found.broken(format!("{}: {}", authz.what, authz.describe()), &authz.deciding());
        } else if !block.held {
            found.undecided(NO_CONTROL, &[]);
        } else if authz.refused() {
            found.saw(&authz.cites);
            if authz.links_there {
                found.doubtful(format!("{}: the page links to the refused URI", authz.what), &authz.cites);
            }
        } else {
            found.undecided(format!("{}: {}", authz.what, authz.describe()), &authz.cites);
        }
    }
    conclude(found, block.tried.is_empty(), pass)
}

/// The demand "refused, or the code is worth nothing". `late` says what a worthless code means: doubtful, or a pass.
pub fn refused_or_worthless(block: &Block, late_is_doubtful: bool, pass: &str) -> Judgement {
    let mut found = Findings::new();
    for Tried { authz, redeemed } in &block.tried {
        let cites: Vec<_> = authz.cites.iter().chain(redeemed.iter().flat_map(|token| &token.cites)).cloned().collect();
        match redeemed {
            _ if !authz.front_channel.is_empty() => found.broken(format!("{}: {}", authz.what, authz.describe()), &cites),
            Some(token) if token.granted() => {
                let last: Vec<_> = cites.iter().rev().take(1).cloned().collect();
                found.broken(format!("{}: the code was issued and gave tokens ({})", authz.what, token.describe()), &last);
            }
            _ if !block.held => found.undecided(NO_CONTROL, &[]),
            Some(token) if token.refused() && late_is_doubtful => found.doubtful(
                format!("{}: enforced late: a code was issued, and refused only at the token endpoint", authz.what),
                &cites,
            ),
            Some(token) if token.refused() => found.saw(&cites),
            Some(token) => found.undecided(format!("{}: {}", authz.what, token.describe()), &cites),
            None if authz.refused() => found.saw(&cites),
            None => found.undecided(format!("{}: {}", authz.what, authz.describe()), &cites),
        }
    }
    conclude(found, block.tried.is_empty(), pass)
}

fn conclude(found: Findings, nothing: bool, pass: &str) -> Judgement {
    if nothing { Judgement::undecided("nothing was tried") } else { found.conclude(pass) }
}

/// The demand "TOKEN-REFUSED for all" on token requests between controls.
pub fn tokens_refused(tries: &[&TokenSeen], held: bool, pass: &str) -> Judgement {
    let mut found = Findings::new();
    for token in tries {
        if token.granted() {
            found.broken(format!("{}: {}", token.what, token.describe()), &token.cites);
        } else if !held {
            found.undecided(NO_CONTROL, &[]);
        } else if token.refused() {
            found.saw(&token.cites);
        } else {
            found.undecided(format!("{}: {}", token.what, token.describe()), &token.cites);
        }
    }
    conclude(found, tries.is_empty(), pass)
}

#[cfg(test)]
pub mod examples {
    //! Small observations for the tests of checks.
    use super::*;

    pub fn authz(outcome: Outcome) -> AuthzSeen {
        AuthzSeen {
            what: "probe".into(),
            outcome,
            error: None,
            iss: vec!["https://op".into()],
            state_kept: Some(true),
            front_channel: Vec::new(),
            at: "https://op/page".into(),
            status: 200,
            response_mode: String::new(),
            links_there: false,
            cites: vec!["x0001".into()],
        }
    }

    pub fn token(status: u16, tokens: &[&str]) -> TokenSeen {
        TokenSeen {
            what: "probe".into(),
            status,
            error: (status >= 400).then(|| "invalid_grant".into()),
            tokens: tokens.iter().map(|name| (*name).to_owned()).collect(),
            token_type: Some("Bearer".into()),
            cache_control: Some("no-store".into()),
            media_type: "application/json".into(),
            json: true,
            cites: vec!["x0002".into()],
            ..TokenSeen::default()
        }
    }

    /// An ID token of the main client with these claims, received at 1000.
    #[allow(clippy::needless_pass_by_value)]
    pub fn id_token(claims: serde_json::Value) -> crate::wire::seen::IdTokenSeen {
        crate::wire::seen::IdTokenSeen {
            client: "main".into(),
            login: "silent".into(),
            header: serde_json::json!({"alg": "ES256"}),
            claims: claims.as_object().cloned().unwrap_or_default(),
            attributes: Vec::new(),
            sub_is_email: false,
            client_id: "client".into(),
            nonce: None,
            signature: Ok(serde_json::json!({"kty": "EC", "crv": "P-256"})),
            encrypted: None,
            at_hash_fits: None,
            date: Some(1000),
            received: 1000,
            began: 990,
            exchange: "x0003".into(),
        }
    }

    pub fn block(held: bool, outcome: Outcome) -> Block {
        Block { held, tried: vec![Tried { authz: authz(outcome), redeemed: None }] }
    }
}

#[cfg(test)]
mod tests {
    use super::examples::{authz, block, token};
    use super::*;
    use crate::model::Call;

    #[test]
    fn a_refusal_counts_only_between_controls() {
        assert_eq!(all_refused(&block(true, Outcome::Page), "").call, Call::Pass);
        assert_eq!(all_refused(&block(false, Outcome::Page), "").call, Call::Undecided);
        assert_eq!(all_refused(&block(true, Outcome::LoginPage), "").call, Call::Undecided);
        assert_eq!(all_refused(&block(true, Outcome::Fault), "").call, Call::Undecided);
        assert_eq!(all_refused(&Block { held: true, tried: Vec::new() }, "").call, Call::Undecided);
    }

    #[test]
    fn a_code_is_a_finding_even_without_controls() {
        assert_eq!(all_refused(&block(false, Outcome::Code), "").call, Call::Broken);
        assert_eq!(never_sent_there(&block(true, Outcome::Error), "").call, Call::Broken);
        assert_eq!(all_refused(&block(true, Outcome::Error), "").call, Call::Pass);
    }

    #[test]
    fn a_worthless_code_is_late_enforcement() {
        let tried = |status, tokens: &[&str]| Block {
            held: true,
            tried: vec![Tried { authz: authz(Outcome::Code), redeemed: Some(token(status, tokens)) }],
        };
        assert_eq!(refused_or_worthless(&tried(400, &[]), true, "").call, Call::Doubtful);
        assert_eq!(refused_or_worthless(&tried(400, &[]), false, "").call, Call::Pass);
        assert_eq!(refused_or_worthless(&tried(200, &["access_token"]), true, "").call, Call::Broken);
        assert_eq!(refused_or_worthless(&tried(500, &[]), true, "").call, Call::Undecided);
    }

    #[test]
    fn tokens_are_refused_by_4xx_without_tokens() {
        assert_eq!(tokens_refused(&[&token(400, &[])], true, "").call, Call::Pass);
        assert_eq!(tokens_refused(&[&token(200, &["id_token"])], true, "").call, Call::Broken);
        assert_eq!(tokens_refused(&[&token(503, &[])], true, "").call, Call::Undecided);
        assert_eq!(tokens_refused(&[&token(400, &[])], false, "").call, Call::Undecided);
    }
}
