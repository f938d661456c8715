//! app-command-forgery/op-commands: what the command endpoint must refuse (OpenID Provider Commands draft 02).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::witness::PROMPT;
use super::{Control, Effect, NO_CONTROL, Probe, Witness, other_than, refused};
use crate::counterpart::command_issuer::{Answer, COMMAND_CLAIMS, COMMAND_TYPES, Draft, Forgery, SIGNATURES, Subject};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::stage::http::Ask;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::app_command::delivery::{OpCommands, addressed, endpoint, second_sender, sender};
use crate::wire::jose::random;

/// Forged commands at work.
pub struct ForgedCommands;

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// `iss` of the metadata command.
    pub issuer: String,
    /// `tenant` of the metadata command.
    pub tenant: String,
    /// The answer to the metadata command.
    pub metadata: Option<Answer>,
    /// Bad signatures.
    pub signatures: Vec<Probe>,
    /// Wrong types.
    pub types: Vec<Probe>,
    /// Wrong claims.
    pub claims: Vec<Probe>,
    /// A command nobody knows, a request without token, a GET; in this order.
    pub unknown: Vec<Probe>,
    /// The `sub` of an account that does not exist.
    pub nobody: String,
    /// The answer to an invalidate of it.
    pub unknown_account: Option<Answer>,
    /// A command of the second issuer.
    pub foreign: Option<Foreign>,
    /// The good message at the end.
    pub control: Option<Control>,
}

/// A message of the second issuer about a user of the first one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Foreign {
    /// The witness is signed in by the first issuer.
    pub probe: Probe,
    /// The application listens to the second issuer: it did what that asked for its own user.
    pub heard: bool,
}

impl Scenario for ForgedCommands {
    type Seen = Seen;
    const ID: &'static str = "app-command-forgery/op-commands";
    const TITLE: &'static str = "sends forged commands while a user is signed in, and a good one at the end";
    const AFTER: &'static [&'static str] = crate::suites::app_command::AFTER_LOGINS;
    const BINDING: Option<&'static str> = Some("op-commands");
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl2.app.command-metadata", the_metadata_command_is_answered),
        Check::new("sl2.app.command-forged-refused", forged_commands_are_refused),
        Check::new("sl2.app.command-typ-required", only_command_tokens_are_taken),
        Check::new("sl2.app.command-claims-checked", wrong_claims_are_refused),
        Check::new("sl2.app.command-unknown-refused", unknown_commands_are_refused),
        Check::new("sl2.app.command-unknown-account", an_unknown_account_is_told),
        Check::new("sl2.app.command-tenant-bound", a_provider_commands_its_own_users_only),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let app = stage.app()?;
        let (sender, second) = (sender(app), second_sender(app));
        let to = endpoint::<OpCommands>(stage)?;
        let users = addressed(stage, "forged-op-commands").await?;
        let mut witness = Witness::new(stage, &users.main);
        let mut seen = Seen { issuer: sender.issuer.clone(), tenant: sender.command_tenant().to_owned(), ..Seen::default() };
        let invalidate = |sub: &str| Draft::account_command(&sender, to, "invalidate", sub);

        if stage.wants("sl2.app.command-metadata") {
            let ask = Draft::metadata(&sender, to, stage.world.op_metadata()?).command_request(&sender, to);
            seen.metadata = Some(stage.command("metadata command", ask).await);
        }
        for (clause, forgeries, probes) in [
            ("sl2.app.command-forged-refused", &SIGNATURES[..], &mut seen.signatures),
            ("sl2.app.command-typ-required", &COMMAND_TYPES[..], &mut seen.types),
            ("sl2.app.command-claims-checked", &COMMAND_CLAIMS[..], &mut seen.claims),
        ] {
            for forgery in forgeries.iter().filter(|forgery| stage.wants(clause) && forgery.possible(&sender)) {
                let make = |subject: &Subject| {
                    let draft: Draft = forgery.bend(invalidate(&subject.sub), &sender, subject);
                    draft.command_request(&sender, to)
                };
                probes.push(witness.probe(forgery.what(), make).await?);
            }
        }
        if stage.wants("sl2.app.command-unknown-refused") {
            let strange = |subject: &Subject| {
                Draft::account_command(&sender, to, "x-suite-unknown", &subject.sub).command_request(&sender, to)
            };
            seen.unknown.push(witness.probe("a command that nobody knows", strange).await?);
            let bare = |_: &Subject| Ask::form(to, &[("x_suite_unknown".into(), "ignore-me".into())]);
            seen.unknown.push(witness.probe("no command_token", bare).await?);
            seen.unknown.push(witness.probe("GET instead of POST", |_: &Subject| Ask::get(to)).await?);
        }
        if stage.wants("sl2.app.command-unknown-account") {
            seen.nobody = format!("nobody-{}", random(12));
            let ask = invalidate(&seen.nobody).command_request(&sender, to);
            seen.unknown_account = Some(stage.command("invalidate of an account that does not exist", ask).await);
        }
        if let Some(second) = second.filter(|_| stage.wants("sl2.app.command-tenant-bound")) {
            // Both issuers know a user with this `sub`; only that of the second one may be hit.
            let mut own = Witness::at_second_issuer(stage, &users.main);
            let lives = own.subject().await?.is_some();
            let make =
                |subject: &Subject| Draft::account_command(&second, to, "invalidate", &subject.sub).command_request(&second, to);
            let mut probe = witness.probe("invalidate by the second issuer", make).await?;
            let heard = lives && own.has_ended().await?;
            // Where the message takes its time with its own user, it may have taken it with the other one too.
            if probe.effect == Effect::None && witness.is_over().await? == Some(true) {
                witness.settle = PROMPT;
                probe = witness.probe("invalidate by the second issuer, watched for longer", make).await?;
            }
            seen.foreign = Some(Foreign { heard, probe });
        }
        let good = |subject: &Subject| invalidate(&subject.sub).command_request(&sender, to);
        seen.control = Some(witness.control("control: a good invalidate", PROMPT, good).await?);
        Ok(seen)
    }
}

fn the_metadata_command_is_answered(seen: &Seen) -> Judgement {
    let Some(answer) = &seen.metadata else { return Judgement::undecided("not tried") };
    if answer.silent() {
        return Judgement::undecided(answer.describe()).cite(&answer.cites);
    }
    if answer.status != 200 {
        return Judgement::broken(format!("the metadata command was answered with {}", answer.describe())).cite(&answer.cites);
    }
    let mut found = Findings::new();
    let member = |name: &str| answer.members.get(name).unwrap_or(&Value::Null);
    let mut demand = |holds: bool, why: &str| {
        if holds { found.saw(&answer.cites) } else { found.broken(why, &answer.cites) }
    };
    demand(answer.media_type == "application/json", "the answer is not application/json");
    demand(answer.no_store(), "Cache-Control lacks no-store");
    demand(member("context")["iss"] == *seen.issuer, "context.iss is not the issuer of the command");
    demand(member("context")["tenant"] == *seen.tenant, "context.tenant is not the tenant of the command");
    let commands: Vec<&str> = member("commands_supported").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    demand(commands.contains(&"metadata"), "commands_supported lacks metadata");
    let invalidates = commands.iter().any(|command| matches!(*command, "invalidate" | "invalidate_async"));
    demand(invalidates, "commands_supported lacks invalidate");
    demand(member("command_endpoint").is_string(), "command_endpoint is missing");
    demand(member("client_id").is_string(), "client_id is missing");
    found.conclude(format!("supported commands: {}", commands.join(", ")))
}

fn invalid_request(probe: &Probe) -> Option<String> {
    other_than(probe, 400, Some("invalid_request"))
}

fn forged_commands_are_refused(seen: &Seen) -> Judgement {
    refused(&seen.signatures, &seen.control, invalid_request, "every forged command is refused and has no effect")
}

fn only_command_tokens_are_taken(seen: &Seen) -> Judgement {
    // Media types have no case (RFC 7515 4.1.9), while the draft demands the exact value: both are right.
    let (upper, rest): (Vec<Probe>, Vec<Probe>) =
        seen.types.iter().cloned().partition(|probe| probe.what == Forgery::TypUpperCase.what());
    let taken = upper.iter().any(|probe| probe.answer.accepted());
    let note = if taken { "; COMMAND+JWT is taken too, which is harmless" } else { "" };
    refused(&rest, &seen.control, invalid_request, format!("every other type is refused and has no effect{note}"))
}

fn wrong_claims_are_refused(seen: &Seen) -> Judgement {
    let improper = |probe: &Probe| {
        if [Forgery::IssuerOther.what(), Forgery::IssuerUnknown.what()].contains(&probe.what.as_str()) {
            other_than(probe, 401, Some("unrecognized_provider"))
        } else if probe.what == Forgery::TenantOther.what() {
            // The draft names no error for it: any refusal will do.
            (!probe.answer.refused()).then(|| "expected was a refusal".into())
        } else {
            invalid_request(probe)
        }
    };
    refused(&seen.claims, &seen.control, improper, "every command with a wrong or missing claim is refused and has no effect")
}

fn unknown_commands_are_refused(seen: &Seen) -> Judgement {
    let improper = |probe: &Probe| match probe.what.as_str() {
        "no command_token" => invalid_request(probe),
        "GET instead of POST" => (!matches!(probe.answer.status, 400 | 405)).then(|| "expected was status 405 or 400".to_owned()),
        _ => other_than(probe, 400, Some("unsupported_command")),
    };
    refused(&seen.unknown, &seen.control, improper, "unknown commands and requests without a command are refused")
}

fn an_unknown_account_is_told(seen: &Seen) -> Judgement {
    let Some(answer) = &seen.unknown_account else { return Judgement::undecided("not tried") };
    if answer.silent() {
        return Judgement::undecided(answer.describe()).cite(&answer.cites);
    }
    if !Control::held(&seen.control) {
        return Judgement::undecided(NO_CONTROL).cite(&answer.cites);
    }
    let member = |name: &str| answer.members.get(name).and_then(Value::as_str).unwrap_or_default();
    let observed = format!(
        "status {}, error `{}`, account_state `{}`",
        answer.status,
        answer.error.as_deref().unwrap_or_default(),
        member("account_state")
    );
    let told = answer.status == 409
        && answer.error.as_deref() == Some("incompatible_state")
        && member("account_state") == "unknown"
        && member("sub") == seen.nobody;
    let judgement = if told {
        Judgement::pass("an invalidate of an unknown account is answered as an incompatible state")
    } else {
        Judgement::broken("an invalidate of an unknown account is not answered as an incompatible state, with sub as sent")
    };
    judgement
        .expected("status 409, error `incompatible_state`, account_state `unknown`, sub as sent", observed)
        .cite(&answer.cites)
}

fn a_provider_commands_its_own_users_only(seen: &Seen) -> Judgement {
    let Some(foreign) = &seen.foreign else { return Judgement::not_configured("app.second is not configured") };
    let probe = &foreign.probe;
    if probe.effect == Effect::Ended {
        let why = format!("{}: the session of the first issuer's user ended", probe.describe());
        return Judgement::broken(why).cite(&probe.cites());
    }
    if !foreign.heard {
        let why = "a user of the second issuer could not be signed in, or its command did not end that user's session: \
                   that it does not end others' proves nothing";
        return Judgement::undecided(why).cite(&probe.cites());
    }
    if probe.effect != Effect::None {
        return Judgement::undecided(format!("{}; {}", probe.describe(), probe.why)).cite(&probe.cites());
    }
    Judgement::pass("the second issuer ended its own user's session, and that of the first issuer's user with the same sub lives")
        .cite(&probe.cites())
}
