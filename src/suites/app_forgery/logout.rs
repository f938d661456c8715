//! app-command-forgery/backchannel-logout: what the logout endpoint must refuse (Back-Channel Logout 1.0, 2.6).

use serde::{Deserialize, Serialize};

use super::witness::PROMPT;
use super::{Control, Probe, Witness, other_than, refused};
use crate::counterpart::command_issuer::{Answer, Draft, LOGOUT_CLAIMS, LogoutForm, SIGNATURES, Subject};
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::app_command::delivery::{BackchannelLogout, addressed, endpoint, sender};

/// Forged logout tokens at work.
pub struct ForgedLogouts;

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Bad signatures.
    pub signatures: Vec<Probe>,
    /// Wrong claims.
    pub claims: Vec<Probe>,
    /// A logout token with the `sid` of one of two sessions.
    pub scope: Option<Scope>,
    /// The good message at the end.
    pub control: Option<Control>,
    /// The answer to the same message once more.
    pub replay: Option<Answer>,
}

/// What a logout token with `sid` only did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Scope {
    /// Two sessions of the user were alive, with a `sid` each.
    pub ready: bool,
    /// The answer.
    pub answer: Answer,
    /// The session with that `sid` ended.
    pub named_ended: bool,
    /// The other session ended; `None` where its page said nothing.
    pub other_ended: Option<bool>,
    /// The looks at both.
    pub looks: Vec<ExchangeId>,
}

impl Scenario for ForgedLogouts {
    type Seen = Seen;
    const ID: &'static str = "app-command-forgery/backchannel-logout";
    const TITLE: &'static str = "sends forged logout tokens while a user is signed in, and a good one at the end";
    const AFTER: &'static [&'static str] = crate::suites::app_command::AFTER_LOGINS;
    const BINDING: Option<&'static str> = Some("backchannel-logout");
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl2.app.bcl-sid-scope", a_sid_names_one_session),
        Check::new("sl2.app.bcl-forged-refused", forged_tokens_are_refused),
        Check::new("sl2.app.bcl-claims-checked", wrong_claims_are_refused),
        Check::new("sl2.app.bcl-replay", a_used_token_is_refused),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let sender = sender(stage.app()?);
        let to = endpoint::<BackchannelLogout>(stage)?;
        let users = addressed(stage, "forged-backchannel-logout").await?;
        let mut witness = Witness::new(stage, &users.main);
        let mut seen = Seen::default();
        // The form the application takes: where it insists on a sid, that of the witness.
        let form = if stage.world.target.commands.session_required { LogoutForm::SubAndSid } else { LogoutForm::Sub };
        for (clause, forgeries, probes) in [
            ("sl2.app.bcl-forged-refused", &SIGNATURES[..], &mut seen.signatures),
            ("sl2.app.bcl-claims-checked", &LOGOUT_CLAIMS[..], &mut seen.claims),
        ] {
            for forgery in forgeries.iter().filter(|forgery| stage.wants(clause) && forgery.possible(&sender)) {
                let make = |subject: &Subject| {
                    forgery.bend(Draft::logout(&sender, subject, form), &sender, subject).logout_request(&sender, to)
                };
                probes.push(witness.probe(forgery.what(), make).await?);
            }
        }
        if stage.wants("sl2.app.bcl-sid-scope") {
            let mut other = Witness::new(stage, &users.main);
            let (named, second) = (witness.subject().await?, other.subject().await?);
            let mut scope = Scope::default();
            let sids = named.as_ref().and_then(|named| Some((named.sid.clone()?, second?.sid?)));
            if let (Some(named), Some((one, two))) = (named, sids)
                && one != two
            {
                scope.ready = true;
                let ask = Draft::logout(&sender, &named, LogoutForm::Sid).logout_request(&sender, to);
                scope.answer = stage.command(LogoutForm::Sid.what(), ask).await;
                scope.named_ended = witness.has_ended().await?;
                scope.other_ended = other.is_over().await?;
                scope.looks = witness.last_look().into_iter().chain(other.last_look()).collect();
            }
            seen.scope = Some(scope);
        }
        if let Some(subject) = witness.subject().await? {
            let ask = Draft::logout(&sender, &subject, form).logout_request(&sender, to);
            let again = ask.clone();
            seen.control = Some(witness.control("control: a good logout token", PROMPT, move |_: &Subject| ask.clone()).await?);
            seen.replay = Some(stage.command("the same logout token again", again).await);
        }
        Ok(seen)
    }
}

fn bad_request(probe: &Probe) -> Option<String> {
    other_than(probe, 400, None)
}

fn forged_tokens_are_refused(seen: &Seen) -> Judgement {
    refused(&seen.signatures, &seen.control, bad_request, "every forged logout token is refused and has no effect")
}

fn wrong_claims_are_refused(seen: &Seen) -> Judgement {
    refused(
        &seen.claims,
        &seen.control,
        bad_request,
        "every logout token with a wrong or missing claim is refused and has no effect",
    )
}

fn a_sid_names_one_session(seen: &Seen) -> Judgement {
    let Some(scope) = &seen.scope else { return Judgement::undecided("not tried") };
    let cites: Vec<ExchangeId> = scope.answer.cites.iter().chain(&scope.looks).cloned().collect();
    if !scope.ready {
        return Judgement::undecided("the user could not be signed in in two browsers");
    }
    let judgement = match (scope.named_ended, scope.other_ended) {
        (true, Some(false)) => Judgement::pass("the session with that sid ended, and the other one lives"),
        (true, Some(true)) => {
            Judgement::broken("a logout token with sid ended the user's other session too (safe, but more than was asked)")
        }
        (true, None) => Judgement::undecided("the page of the other session could not be read"),
        (false, _) => Judgement::undecided(format!(
            "the session with that sid did not end ({}); see sl2.app.bcl-accepts",
            scope.answer.describe()
        )),
    };
    judgement.cite(&cites)
}

fn a_used_token_is_refused(seen: &Seen) -> Judgement {
    let Some(replay) = seen.replay.as_ref().filter(|_| Control::held(&seen.control)) else {
        return Judgement::undecided("the first use of the token did not end the session");
    };
    let judgement = if replay.accepted() {
        Judgement::broken("a logout token is taken a second time (the check of jti is optional)")
    } else if replay.refused() {
        Judgement::pass("a logout token is refused at its second use")
    } else {
        Judgement::undecided(replay.describe())
    };
    judgement.cite(&replay.cites)
}
