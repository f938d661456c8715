//! command-accounts/async: a command whose result comes later, to the callback endpoint.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::Announced;
use crate::counterpart::command_issuer::{Answer, Desk};
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// Seconds within which the result has to come.
const LIMIT_S: u64 = 300;
/// Asynchronous commands in the order in which they are preferred, with the state they end in.
const COMMANDS: [(&str, &str); 4] =
    [("suspend_async", "suspended"), ("maintain_async", "active"), ("archive_async", "archived"), ("audit_async", "active")];

/// A command that is answered later.
pub struct Later;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Commands that the application announces.
    pub announced: Announced,
    /// The command; empty where none is announced.
    pub command: String,
    /// The state it ends in.
    pub wanted: String,
    /// `sub` of the account.
    pub sub: String,
    /// The first answer.
    pub answer: Option<Answer>,
    /// What came to the callback endpoint.
    pub callback: Option<Result>,
    /// Callbacks about the account that came without this run's token.
    pub strange: Vec<ExchangeId>,
    /// Seconds it was waited for.
    pub waited_s: u64,
}

/// A result at the callback endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Result {
    /// `sub`.
    pub sub: String,
    /// `account_state`.
    pub state: String,
    /// Media type without parameters.
    pub media_type: String,
    /// The exchange.
    pub cite: ExchangeId,
}

impl Scenario for Later {
    type Seen = Seen;
    const ID: &'static str = "command-accounts/async";
    const TITLE: &'static str = "sends an asynchronous command and waits for its result";
    const BROWSER: bool = false;
    const PROVIDER: bool = true;
    const WAITS_S: u64 = LIMIT_S;
    const CHECKS: &'static [Check<Seen>] = CHECKS;

    async fn play(stage: &Stage) -> std::result::Result<Seen, Obstacle> {
        let mut desk = Desk::open(stage).await?;
        let mut seen = Seen { announced: desk.commands.clone(), ..Seen::default() };
        let announced = |name: &str| seen.announced.as_ref().is_some_and(|all| all.iter().any(|known| known == name));
        let Some((command, wanted)) = COMMANDS.into_iter().find(|(name, _)| announced(name)) else { return Ok(seen) };
        let who = desk.account("cmd-async").await?;
        if command == "archive_async" && !who.made {
            return Ok(seen);
        }
        (seen.command, seen.wanted, seen.sub) = (command.to_owned(), wanted.to_owned(), who.sub.clone());
        let provider = &stage.app()?.provider;
        let token = provider.callback_token(Self::ID);
        let claims = Map::from_iter([("callback_token".to_owned(), token.as_str().into())]);
        let since = Instant::now();
        let answer = desk.send(command, &who, &claims).await;
        if answer.status == 202 {
            desk.leave();
            let patience = stage.world.patience(LIMIT_S);
            seen.waited_s = patience.as_secs();
            let right = |callback: &crate::counterpart::provider::Callback| callback.token.as_ref() == Some(&token);
            seen.callback = provider.callback(since, since + patience, right).await.map(|callback| Result {
                sub: callback.body["sub"].as_str().unwrap_or_default().to_owned(),
                state: callback.body["account_state"].as_str().unwrap_or_default().to_owned(),
                media_type: callback.media_type,
                cite: callback.exchange,
            });
            let about = provider.callbacks().into_iter().filter(|callback| callback.body["sub"] == who.sub.as_str());
            seen.strange =
                about.filter(|callback| callback.token.as_ref() != Some(&token)).map(|callback| callback.exchange).collect();
        }
        seen.answer = Some(answer);
        desk.put_back(&who).await;
        Ok(seen)
    }
}

const CHECKS: &[Check<Seen>] = &[Check::new("al1.app.cmd-async-callback", the_result_comes_later)];

fn the_result_comes_later(seen: &Seen) -> Judgement {
    let Some(answer) = &seen.answer else {
        let names: Vec<&str> = COMMANDS.iter().map(|(name, _)| *name).collect();
        return Judgement::not_applicable(format!("commands_supported lacks {}", names.join(", ")));
    };
    let what = &seen.command;
    let judgement = if answer.silent() {
        Judgement::undecided(answer.describe())
    } else if answer.status != 202 {
        Judgement::broken(format!("{what} was answered with {}, not 202", answer.describe()))
    } else {
        match &seen.callback {
            None if !seen.strange.is_empty() => {
                Judgement::broken(format!("the result of {what} came without the callback token of the command"))
            }
            None => Judgement::broken(format!("{what} was answered with 202, and no result came within {} s", seen.waited_s)),
            Some(result) if result.sub != seen.sub || result.state != seen.wanted => {
                let observed = format!("sub `{}`, account_state `{}`", result.sub, result.state);
                Judgement::broken("the result is not that of the command")
                    .expected(format!("sub `{}`, account_state `{}`", seen.sub, seen.wanted), observed)
            }
            Some(result) if result.media_type != "application/json" => {
                Judgement::doubtful(format!("the result came as `{}`, not application/json", result.media_type))
            }
            Some(_) => Judgement::pass(format!("{what}: 202, and the result with the callback token")),
        }
    };
    judgement.cite(&answer.cites).cite(seen.callback.iter().map(|result| &result.cite)).cite(&seen.strange)
}

#[cfg(test)]
mod tests {
    use super::super::test_answers::*;
    use super::*;
    use crate::model::verdict::Call;

    fn good() -> Seen {
        Seen {
            announced: all(),
            command: "suspend_async".into(),
            wanted: "suspended".into(),
            sub: "s1".into(),
            answer: Some(told(202, "")),
            callback: Some(Result {
                sub: "s1".into(),
                state: "suspended".into(),
                media_type: "application/json".into(),
                cite: "x0002".into(),
            }),
            ..Seen::default()
        }
    }

    #[test]
    fn the_result_decides() {
        let call = |seen: &Seen| the_result_comes_later(seen).call;
        assert_eq!(call(&good()), Call::Pass);
        assert_eq!(call(&Seen { callback: None, ..good() }), Call::Broken);
        assert_eq!(call(&Seen { callback: None, strange: vec!["x0003".into()], ..good() }), Call::Broken);
        assert_eq!(call(&Seen { wanted: "active".into(), ..good() }), Call::Broken);
        assert_eq!(call(&Seen { answer: Some(told(200, "suspended")), ..good() }), Call::Broken);
        assert_eq!(call(&Seen { answer: Some(silence()), ..good() }), Call::Undecided);
        assert_eq!(call(&Seen { answer: None, ..good() }), Call::NotApplicable);
    }
}
