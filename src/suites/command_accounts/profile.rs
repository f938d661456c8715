//! command-accounts/profile: claims that come with activate and maintain, as an audit tells them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Announced, describe, lacking, stands, state, succeeds, text};
use crate::counterpart::command_issuer::{Answer, Desk};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// Claims that a maintain command changes.
const CHANGED: [(&str, &str); 2] = [("family_name", "Changed"), ("name", "Suite Changed")];

/// Claims by commands.
pub struct Profile;

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Commands that the application announces.
    pub announced: Announced,
    /// `sub` of the account.
    pub sub: String,
    /// The account before the commands.
    pub before: Option<Answer>,
    /// Another activate of it with another name, and the account after it.
    pub existing: Option<(Answer, Option<Answer>)>,
    /// The maintain command with new claims, and the account after it.
    pub maintain: Option<(Answer, Option<Answer>)>,
}

impl Scenario for Profile {
    type Seen = Seen;
    const ID: &'static str = "command-accounts/profile";
    const TITLE: &'static str = "changes the claims of an account by commands";
    const BROWSER: bool = false;
    const PROVIDER: bool = true;
    const CHECKS: &'static [Check<Seen>] = CHECKS;

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let desk = Desk::open(stage).await?;
        let mut seen = Seen { announced: desk.commands.clone(), ..Seen::default() };
        if !desk.supports("activate") && !desk.supports("maintain") {
            return Ok(seen);
        }
        let who = desk.account("cmd-profile").await?;
        seen.sub = who.sub.clone();
        let audits = desk.supports("audit");
        if audits {
            seen.before = Some(desk.audit(&who).await);
        }
        if desk.supports("activate") {
            let mut claims = desk.claims(&who);
            claims.insert("name".into(), "Suite Upserted".into());
            let answer = desk.send("activate", &who, &claims).await;
            seen.existing = Some((answer, if audits { Some(desk.audit(&who).await) } else { None }));
        }
        // A declared account keeps the name that its operator gave it.
        if desk.supports("maintain") && who.made {
            let mut claims = desk.claims(&who);
            claims.extend(CHANGED.map(|(name, value)| (name.to_owned(), Value::from(value))).into_iter().collect::<Map<_, _>>());
            let answer = desk.send("maintain", &who, &claims).await;
            seen.maintain = Some((answer, if audits { Some(desk.audit(&who).await) } else { None }));
        }
        Ok(seen)
    }
}

const CHECKS: &[Check<Seen>] = &[
    Check::new("al2.app.cmd-activate-existing", an_existing_account_is_not_activated),
    Check::new("al2.app.cmd-maintain", maintain_updates_the_claims),
];

fn an_existing_account_is_not_activated(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["activate"]) {
        return judgement;
    }
    let Some((answer, audit)) = &seen.existing else { return Judgement::undecided("not tried") };
    let mut found = Findings::new();
    if answer.silent() {
        found.undecided(answer.describe(), &answer.cites);
    } else if answer.status != 409 || answer.error.as_deref() != Some("incompatible_state") {
        found.broken(format!("activate of an existing account was answered with {}", describe(answer)), &answer.cites);
    } else if state(answer) != "active" {
        found.broken(format!("the answer tells account_state `{}`, not `active`", state(answer)), &answer.cites);
    } else {
        found.saw(&answer.cites);
    }
    if let (Some(before), Some(after)) = (&seen.before, audit)
        && before.accepted()
        && after.accepted()
        && text(before, "name") != text(after, "name")
    {
        found.broken("the second activate changed the name", &after.cites);
    }
    found.conclude("refused with incompatible_state, and the account is as it was")
}

fn maintain_updates_the_claims(seen: &Seen) -> Judgement {
    if let Some(judgement) = lacking(&seen.announced, &["maintain"]) {
        return judgement;
    }
    let Some((answer, audit)) = &seen.maintain else {
        return Judgement::undecided("the application has no activate command, and a declared account is not changed for a test");
    };
    let mut found = Findings::new();
    succeeds(&mut found, "maintain", answer, &seen.sub, "active");
    stands(&mut found, "after maintain", audit, "active");
    if let (Some(before), Some(after)) = (&seen.before, audit)
        && before.accepted()
        && after.accepted()
    {
        // Only what the application keeps can be seen changed.
        let kept = |name: &str| !text(before, name).is_empty() || !text(after, name).is_empty();
        let kept: Vec<(&str, &str)> = CHANGED.into_iter().filter(|(name, _)| kept(name)).collect();
        if kept.is_empty() {
            found.undecided(
                "the audit tells none of the claims that were changed, so that nothing can be seen of it",
                &after.cites,
            );
        }
        for (name, value) in kept.iter().filter(|(name, value)| text(after, name) != *value) {
            found.broken(format!("{name} is `{}` after maintain, not `{value}`", text(after, name)), &after.cites);
        }
    }
    found.conclude("the account has the new claims")
}

/// The same claim as an audit answers it, for tests.
#[cfg(test)]
fn with(mut answer: Answer, name: &str, value: &str) -> Answer {
    answer.members.insert(name.into(), value.into());
    answer
}

#[cfg(test)]
mod tests {
    use super::super::test_answers::*;
    use super::*;
    use crate::model::verdict::Call;

    fn good() -> Seen {
        Seen {
            announced: all(),
            sub: "s1".into(),
            before: Some(with(told(200, "active"), "name", "Old")),
            existing: Some((told(409, "active"), Some(with(told(200, "active"), "name", "Old")))),
            maintain: Some((told(200, "active"), Some(with(told(200, "active"), "name", "Suite Changed")))),
        }
    }

    fn calls(seen: &Seen) -> [Call; 2] {
        [an_existing_account_is_not_activated(seen).call, maintain_updates_the_claims(seen).call]
    }

    #[test]
    fn a_conforming_application_passes_and_departures_are_seen() {
        assert_eq!(calls(&good()), [Call::Pass; 2]);
        let upsert = Seen { existing: Some((told(200, "active"), None)), ..good() };
        assert_eq!(calls(&upsert), [Call::Broken, Call::Pass]);
        let changed = Seen { existing: Some((told(409, "active"), Some(with(told(200, "active"), "name", "New")))), ..good() };
        assert_eq!(calls(&changed), [Call::Broken, Call::Pass]);
        let ignored = Seen { maintain: Some((told(200, "active"), Some(with(told(200, "active"), "name", "Old")))), ..good() };
        assert_eq!(calls(&ignored), [Call::Pass, Call::Broken]);
    }

    #[test]
    fn what_cannot_be_seen_decides_nothing() {
        let bare =
            Seen { before: None, existing: Some((silence(), None)), maintain: Some((told(200, "active"), None)), ..good() };
        assert_eq!(calls(&bare), [Call::Undecided; 2]);
        let keeps_nothing = Seen {
            before: Some(told(200, "active")),
            maintain: Some((told(200, "active"), Some(told(200, "active")))),
            ..good()
        };
        assert_eq!(calls(&keeps_nothing)[1], Call::Undecided);
        assert_eq!(calls(&Seen { announced: Some(Vec::new()), ..good() }), [Call::NotApplicable; 2]);
    }
}
