//! command-accounts/forgery: forged commands about an account, between good ones; unknown providers and commands; the form of answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::{Announced, describe, lacking, state};
use crate::counterpart::command_issuer::{Account, Answer, Desk, Forgery, Sender, Subject};
use crate::counterpart::provider::Fetched;
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::stage::http::Ask;
use crate::suite::{Check, Obstacle, Scenario};

/// What is wrong with the forged commands, one thing each.
const FORGERIES: [Forgery; 10] = [
    Forgery::Expired,
    Forgery::TypJwt,
    Forgery::AudienceOther,
    Forgery::ClientIdOther,
    Forgery::Unsigned,
    Forgery::ForeignKey,
    Forgery::CorruptSignature,
    Forgery::NoncePresent,
    Forgery::SubjectMissing,
    Forgery::PlainIdToken,
];

/// Forged account commands.
pub struct ForgedAccountCommands;

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Commands that the application announces.
    pub announced: Announced,
    /// The answer to the metadata command.
    pub metadata: Answer,
    /// Issuer, tenant and endpoint that it was sent with.
    pub context: (String, String, String),
    /// The audit before the forged commands.
    pub before: Option<Answer>,
    /// That audit without the unknown parameter, where it was refused with it.
    pub bare: Option<Answer>,
    /// The command that was forged; empty where the application supports none that can be.
    pub command: String,
    /// What was wrong, and the answer.
    pub forged: Vec<(String, Answer)>,
    /// The audit after them.
    pub after: Option<Answer>,
    /// The same command, good.
    pub control: Option<Answer>,
    /// The answer to a command of a provider that is not configured.
    pub stranger: Option<Answer>,
    /// Requests for metadata or keys of that provider.
    pub fetched: Vec<ExchangeId>,
    /// The answer to a command that does not exist.
    pub unknown: Option<Answer>,
}

impl Scenario for ForgedAccountCommands {
    type Seen = Seen;
    const ID: &'static str = "command-accounts/forgery";
    const TITLE: &'static str = "sends forged commands about an account, and good ones before and after";
    const BROWSER: bool = false;
    const PROVIDER: bool = true;
    const CHECKS: &'static [Check<Seen>] = CHECKS;

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let desk = Desk::open(stage).await?;
        let context = (desk.sender.issuer.clone(), desk.sender.command_tenant().to_owned(), desk.to.to_owned());
        let metadata = desk.metadata.clone();
        let mut seen = Seen { announced: desk.commands.clone(), metadata, context, ..Seen::default() };
        let verb = ["suspend", "archive", "delete"].into_iter().find(|command| desk.supports(command));
        let wants = |slug: &str| stage.wants(&format!("al1.app.{slug}"));
        if verb.is_none() && !desk.supports("audit") {
            return Ok(seen);
        }
        let who = desk.account("cmd-forgery").await?;
        let none = Map::new();
        if desk.supports("audit") {
            seen.before = Some(desk.audit(&who).await);
            if seen.before.as_ref().is_some_and(Answer::refused) {
                let token = desk.draft("audit", &who, &none).token(&desk.sender);
                let ask = Ask::form(desk.to, &[("command_token".into(), token)]);
                seen.bare = Some(stage.command("audit command, without other parameters", ask).await);
            }
        }
        // A declared account is not archived or deleted for a test.
        let verb = verb.filter(|verb| who.made || *verb == "suspend");
        if wants("cmd-unrecognized-provider") {
            // The harmless one where there is one: whoever obeys strangers must not spoil what comes next.
            let verb = if desk.supports("audit") { "audit" } else { verb.unwrap_or("audit") };
            stranger(stage, &desk, &who, verb, &mut seen).await?;
        }
        if wants("cmd-unsupported") || wants("cmd-response-form") {
            seen.unknown = Some(desk.send("x_run", &who, &none).await);
        }
        if let Some(verb) = verb.filter(|_| wants("cmd-token-checks")) {
            seen.command = verb.to_owned();
            let subject = Subject { sub: who.sub.clone(), sid: None };
            for forgery in FORGERIES.iter().filter(|forgery| forgery.possible(&desk.sender)) {
                let draft = forgery.bend(desk.draft(verb, &who, &none), &desk.sender, &subject);
                let answer = desk.post(&format!("forged {verb}: {}", forgery.what()), "forged", &who, &draft).await;
                let executed = answer.accepted();
                seen.forged.push((forgery.what().to_owned(), answer));
                if executed {
                    // What comes next needs an active account again; a command that changed nothing is answered with a conflict.
                    desk.send("reactivate", &who, &none).await;
                }
            }
            if desk.supports("audit") {
                seen.after = Some(desk.audit(&who).await);
            }
            let control = desk.send(verb, &who, &none).await;
            stage.control(control.accepted());
            seen.control = Some(control);
        }
        desk.put_back(&who).await;
        Ok(seen)
    }
}

/// A command of a provider that has metadata and keys, and that nobody configured.
async fn stranger(stage: &Stage, desk: &Desk<'_>, who: &Account, verb: &str, seen: &mut Seen) -> Result<(), Obstacle> {
    let provider = &stage.app()?.provider;
    let known = provider.log().fetches.len();
    let (issuer, key) = desk.sender.stranger.clone();
    let sender = Sender { issuer, key, ..desk.sender.clone() };
    let mut draft = desk.draft(verb, who, &Map::new());
    draft.claims["iss"] = sender.issuer.as_str().into();
    let ask = draft.command_request(&sender, desk.to);
    seen.stranger = Some(stage.command(&format!("{verb} command of a provider that is not configured"), ask).await);
    let log = provider.log();
    let fetches = log.fetches.iter().skip(known).filter(|fetch| fetch.what == Fetched::Stranger);
    seen.fetched = fetches.map(|fetch| fetch.exchange.clone()).collect();
    Ok(())
}

const CHECKS: &[Check<Seen>] = &[
    Check::new("al1.app.cmd-token-checks", forged_commands_are_refused),
    Check::new("al1.app.cmd-unrecognized-provider", strangers_are_refused),
    Check::new("al1.app.cmd-unsupported", an_unknown_command_is_told),
    Check::new("al1.app.cmd-metadata", the_metadata_are_complete),
    Check::new("al1.app.cmd-response-form", answers_have_their_form),
];

fn forged_commands_are_refused(seen: &Seen) -> Judgement {
    if seen.command.is_empty() {
        return Judgement::not_applicable("commands_supported lacks suspend, archive and delete: there is nothing to forge");
    }
    let mut found = Findings::new();
    let active = seen.bare.as_ref().or(seen.before.as_ref()).is_none_or(|before| state(before) == "active");
    let held = active && seen.control.as_ref().is_some_and(Answer::accepted);
    for (what, answer) in &seen.forged {
        let told = format!("{what}: {}", answer.describe());
        if answer.accepted() {
            found.broken(format!("{told}: the forged {} was taken", seen.command), &answer.cites);
        } else if !held || !answer.refused() {
            found.undecided(told, &answer.cites);
        } else if answer.status != 400 || answer.error.as_deref() != Some("invalid_request") {
            found.doubtful(format!("{told}; expected was 400 with error `invalid_request`"), &answer.cites);
        } else {
            found.saw(&answer.cites);
        }
    }
    if let Some(after) = seen.after.as_ref().filter(|after| active && after.accepted() && state(after) != "active") {
        found.broken(format!("the account is {} after forged commands only", state(after)), &after.cites);
    }
    if !held {
        let control = seen.control.as_ref().map(describe).unwrap_or_default();
        found.undecided(format!("the control (the good {} at the end) did not succeed: {control}", seen.command), &[]);
    }
    found.conclude(format!("every forged {} is refused, and the account stayed active until the good one", seen.command))
}

fn strangers_are_refused(seen: &Seen) -> Judgement {
    let Some(answer) = &seen.stranger else { return Judgement::undecided("no command could be sent") };
    let mut found = Findings::new();
    if answer.accepted() {
        found.broken(
            format!("a command of a provider that is not configured was answered with {}", describe(answer)),
            &answer.cites,
        );
    } else if answer.silent() {
        found.undecided(answer.describe(), &answer.cites);
    } else if answer.status != 401 || answer.error.as_deref() != Some("unrecognized_provider") {
        found.broken(format!("the answer is {}, not 401 with error `unrecognized_provider`", answer.describe()), &answer.cites);
    } else {
        found.saw(&answer.cites);
    }
    if !seen.fetched.is_empty() {
        found.broken("the application fetched metadata or keys of a provider that is not configured", &seen.fetched);
    }
    found.conclude("refused with unrecognized_provider, and nothing was fetched from that provider")
}

fn an_unknown_command_is_told(seen: &Seen) -> Judgement {
    let Some(answer) = &seen.unknown else { return Judgement::undecided("not tried") };
    let judgement = if answer.silent() {
        Judgement::undecided(answer.describe())
    } else if answer.status == 400 && answer.error.as_deref() == Some("unsupported_command") {
        Judgement::pass("refused with unsupported_command")
    } else if answer.refused() {
        Judgement::doubtful(format!("refused with {}", answer.describe()))
    } else {
        Judgement::broken(format!("an unknown command was answered with {}", answer.describe()))
    };
    judgement.expected("status 400, error `unsupported_command`", answer.describe()).cite(&answer.cites)
}

fn the_metadata_are_complete(seen: &Seen) -> Judgement {
    let answer = &seen.metadata;
    if answer.silent() {
        return Judgement::undecided(answer.describe()).cite(&answer.cites);
    }
    if answer.status != 200 {
        return Judgement::broken(format!("the metadata command was answered with {}", answer.describe())).cite(&answer.cites);
    }
    let member = |name: &str| answer.members.get(name).unwrap_or(&Value::Null);
    let (issuer, tenant, endpoint) = &seen.context;
    let mut found = Findings::new();
    let mut demand = |holds: bool, why: &str| {
        if holds { found.saw(&answer.cites) } else { found.broken(why, &answer.cites) }
    };
    demand(member("context").is_object(), "context is missing");
    if member("context").is_object() {
        demand(member("context")["iss"] == **issuer, "context.iss is not the issuer of the command");
        demand(member("context")["tenant"] == **tenant, "context.tenant is not the tenant of the command");
    }
    let names_itself = seen.announced.as_ref().is_some_and(|commands| commands.iter().any(|command| command == "metadata"));
    demand(seen.announced.is_some(), "commands_supported is missing or no array");
    demand(seen.announced.is_none() || names_itself, "commands_supported lacks metadata");
    let named = member("command_endpoint").as_str().and_then(|named| Url::parse(named).ok());
    demand(named.is_some() && named == Url::parse(endpoint).ok(), "command_endpoint is not the URL that the command was sent to");
    demand(member("client_id").as_str().is_some_and(|id| !id.is_empty()), "client_id is missing");
    found.conclude("context, commands_supported, command_endpoint and client_id are there and right")
}

fn answers_have_their_form(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    if let (Some(before), Some(bare)) = (&seen.before, &seen.bare) {
        if bare.accepted() {
            found.broken("a command is refused because of a form parameter that is not known", &before.cites);
        } else {
            found.undecided(format!("audit: {}", bare.describe()), &bare.cites);
        }
    }
    let answers = [("audit", &seen.before), ("the good command", &seen.control), ("an error", &seen.unknown)];
    let metadata = Some(seen.metadata.clone());
    let mut looked = 0;
    for (what, answer) in answers.into_iter().chain([("metadata", &metadata)]) {
        let Some(answer) = answer.as_ref().filter(|answer| !answer.silent()) else { continue };
        looked += 1;
        if !answer.no_store() {
            found.broken(format!("{what}: Cache-Control lacks no-store"), &answer.cites);
        }
        if answer.media_type != "application/json" && answer.status != 204 {
            found.broken(format!("{what}: the media type is `{}`, not application/json", answer.media_type), &answer.cites);
        }
        found.saw(&answer.cites);
    }
    if looked == 0 {
        found.undecided("the application did not answer", &[]);
    } else if seen.before.is_none() && seen.control.is_none() && lacking(&seen.announced, &["audit"]).is_some() {
        found.doubtful("only the metadata command could be looked at", &[]);
    }
    found.conclude("answers are JSON and not stored, and an unknown parameter is ignored")
}

#[cfg(test)]
mod tests {
    use super::super::test_answers::*;
    use super::*;
    use crate::model::verdict::Call;
    use serde_json::json;

    fn good() -> Seen {
        let mut metadata = told(200, "");
        metadata.members = json!({
            "context": {"iss": "https://op", "tenant": "t"}, "command_endpoint": "https://app/commands", "client_id": "c",
            "commands_supported": all(),
        })
        .as_object()
        .cloned()
        .unwrap();
        Seen {
            announced: all(),
            metadata,
            context: ("https://op".into(), "t".into(), "https://app/commands".into()),
            before: Some(told(200, "active")),
            command: "suspend".into(),
            forged: vec![("typ JWT".into(), refused(400, "invalid_request"))],
            after: Some(told(200, "active")),
            control: Some(told(200, "suspended")),
            stranger: Some(refused(401, "unrecognized_provider")),
            unknown: Some(refused(400, "unsupported_command")),
            ..Seen::default()
        }
    }

    fn calls(seen: &Seen) -> Vec<Call> {
        CHECKS.iter().map(|check| (check.judge)(seen).call).collect()
    }

    #[test]
    fn a_conforming_application_passes_all() {
        assert_eq!(calls(&good()), vec![Call::Pass; 5]);
    }

    #[test]
    fn each_departure_is_seen_by_its_own_check() {
        let mut no_context = good();
        no_context.metadata.members.remove("context");
        let stored = Some(Answer { cache_control: None, ..told(200, "active") });
        let cases = [
            (0, Seen { forged: vec![("typ JWT".into(), told(200, "suspended"))], ..good() }),
            (0, Seen { after: Some(told(200, "suspended")), ..good() }),
            (1, Seen { stranger: Some(told(200, "active")), ..good() }),
            (1, Seen { fetched: vec!["x0002".into()], ..good() }),
            (2, Seen { unknown: Some(told(200, "")), ..good() }),
            (3, no_context),
            (4, Seen { before: stored, ..good() }),
            (4, Seen { before: Some(refused(400, "invalid_request")), bare: Some(told(200, "active")), ..good() }),
        ];
        for (place, seen) in cases {
            let calls = calls(&seen);
            assert_eq!(calls[place], Call::Broken, "{place}");
        }
    }

    #[test]
    fn without_control_or_answer_nothing_is_decided() {
        let seen = Seen { control: Some(refused(403, "access_denied")), ..good() };
        assert_eq!(calls(&seen)[0], Call::Undecided);
        let seen = Seen {
            stranger: Some(silence()),
            unknown: Some(silence()),
            metadata: silence(),
            before: Some(silence()),
            control: Some(silence()),
            ..good()
        };
        assert_eq!(calls(&seen), vec![Call::Undecided; 5]);
    }

    #[test]
    fn a_refusal_of_another_kind_is_doubtful() {
        let seen = Seen { forged: vec![("typ JWT".into(), refused(403, "access_denied"))], ..good() };
        assert_eq!(calls(&seen)[0], Call::Doubtful);
    }
}
