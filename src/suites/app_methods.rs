//! app-methods: the application asks for an authentication class or a fresh authentication, and gets less.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::counterpart::provider::{Authorization, Script};
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::stage::visitor::Tried;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::blocks::NO_CONTROL;

/// A class below every other one (OIDC Core 2, `acr`).
const LOWEST: &str = "0";
/// Seconds since a returned `auth_time`.
const STALE_S: i64 = 3600;
/// By how much an authentication must be older than `max_age` to be too old whatever the clocks say, in seconds.
const CLEARLY_S: i64 = 600;

/// Authentication methods.
pub struct Methods;

/// What was asked for, and what came of less.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// `app.required_acr`; empty where the operator configured none.
    pub configured: String,
    /// What the application's authorization request asks for; `None` where none arrived.
    pub asked: Option<Asked>,
    /// A lower class, and none.
    pub lower: Vec<Tried>,
    /// The right class with methods that cannot meet it.
    pub odd_amr: Vec<Tried>,
    /// An authentication that is too old.
    pub stale: Vec<Tried>,
}

/// What an authorization request asks for (OIDC Core 3.1.2.1, 5.5.1.1).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Classes of `acr_values` and of the `acr` claim request.
    pub classes: Vec<String>,
    /// `prompt`.
    pub prompt: Option<String>,
    /// `max_age`.
    pub max_age: Option<i64>,
    /// The request.
    pub exchange: ExchangeId,
}

impl Asked {
    fn of(request: &Authorization) -> Self {
        let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let mut classes = request.get("acr_values").map(words).unwrap_or_default();
        let claims: Value = request.get("claims").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let acr = &claims["id_token"]["acr"];
        classes.extend(acr["value"].as_str().map(str::to_owned));
        classes.extend(acr["values"].as_array().into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned)));
        Asked {
            classes,
            prompt: request.get("prompt").map(str::to_owned),
            max_age: request.get("max_age").and_then(|text| text.parse().ok()),
            exchange: request.exchange.clone(),
        }
    }

    fn fresh(&self) -> bool {
        self.max_age.is_some() || self.prompt.as_deref().is_some_and(|prompt| prompt.split(' ').any(|one| one == "login"))
    }

    fn describe(&self) -> String {
        let classes = if self.classes.is_empty() { "no class".to_owned() } else { self.classes.join(" ") };
        let prompt = self.prompt.as_ref().map(|prompt| format!(", prompt={prompt}")).unwrap_or_default();
        let max_age = self.max_age.map(|max_age| format!(", max_age={max_age}")).unwrap_or_default();
        format!("{classes}{prompt}{max_age}")
    }
}

impl Scenario for Methods {
    type Seen = Seen;
    const ID: &'static str = "app-methods";
    const TITLE: &'static str = "answers a request for an authentication class or a fresh authentication with less";
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl2.app.requests-methods", the_class_is_asked_for),
        Check::new("sl2.app.returned-acr-checked", a_lower_class_is_refused),
        Check::new("sl2.app.returned-auth-time-checked", an_old_authentication_is_refused),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let app = stage.app()?;
        let script = Script::of(&app.users[0]);
        let (visitor, control) = stage.attempt(script.clone(), "control: conforming login").await?;
        stage.control(control.signed_in());
        let asked = app.provider.log().authorizations_of(&visitor.id).first().map(|request| Asked::of(request));
        let mut seen = Seen { configured: app.app.required_acr.clone(), asked, ..Seen::default() };
        let Some(asked) = &seen.asked else { return Ok(seen) };

        type Part = fn(&mut Seen) -> &mut Vec<Tried>;
        let mut tries: Vec<(String, Script, Part)> = Vec::new();
        if stage.wants("sl2.app.returned-acr-checked") && !seen.configured.is_empty() && asked.classes.contains(&seen.configured)
        {
            let low = ["pwd"];
            tries.push(("a lower acr".into(), script.clone().claim("acr", LOWEST), |seen| &mut seen.lower));
            tries.push(("no acr".into(), script.clone().claim("acr", Value::Null), |seen| &mut seen.lower));
            tries
                .push(("the right acr with amr [pwd]".into(), script.clone().claim("amr", json!(low)), |seen| &mut seen.odd_amr));
        }
        if stage.wants("sl2.app.returned-auth-time-checked") && asked.fresh() {
            let max_age = asked.max_age.unwrap_or(0).max(0);
            let age = if max_age <= STALE_S - CLEARLY_S { STALE_S } else { max_age.saturating_add(STALE_S) };
            let auth_time = jiff::Timestamp::now().as_second().saturating_sub(age);
            tries.push((format!("auth_time {age} s ago"), script.claim("auth_time", auth_time), |seen| &mut seen.stale));
        }
        if !tries.is_empty() {
            let logins = tries.iter().map(|(label, script, _)| (label.clone(), script.clone())).collect();
            for (tried, (.., part)) in stage.series(logins).await?.into_iter().zip(&tries) {
                part(&mut seen).push(tried);
            }
        }
        Ok(seen)
    }
}

fn the_class_is_asked_for(seen: &Seen) -> Judgement {
    if seen.configured.is_empty() {
        return Judgement::not_applicable(
            "no class is configured at the application (app.required_acr): the demand is on the identity service",
        );
    }
    let Some(asked) = &seen.asked else { return Judgement::undecided("no authorization request arrived") };
    let judgement = if asked.classes.contains(&seen.configured) {
        Judgement::pass("the authorization request asks for the configured class")
    } else if asked.classes.is_empty() {
        Judgement::broken("the authorization request asks for no class, although one is configured")
    } else {
        Judgement::broken("the authorization request asks for another class than the configured one")
    };
    judgement.expected(seen.configured.clone(), asked.describe()).cite([&asked.exchange])
}

fn a_lower_class_is_refused(seen: &Seen) -> Judgement {
    let asked = seen.asked.as_ref().is_some_and(|asked| asked.classes.contains(&seen.configured));
    match &seen.asked {
        None => return Judgement::undecided("no authorization request arrived"),
        Some(_) if !asked || seen.configured.is_empty() => {
            return Judgement::not_applicable("the application asks for no class; see sl2.app.requests-methods");
        }
        Some(_) => {}
    }
    let mut found = Findings::new();
    refused(&mut found, &seen.lower);
    for tried in seen.odd_amr.iter().filter(|tried| tried.attempt.signed_in()) {
        found.saw(&tried.attempt.cites);
    }
    let lax = seen.odd_amr.iter().any(|tried| tried.attempt.signed_in());
    let note = if lax { "; acr alone counts, amr [pwd] beside it is taken" } else { "" };
    conclude(found, seen.lower.is_empty(), &format!("neither a lower class nor none gives a session{note}"))
}

fn an_old_authentication_is_refused(seen: &Seen) -> Judgement {
    match &seen.asked {
        None => return Judgement::undecided("no authorization request arrived"),
        Some(asked) if !asked.fresh() => {
            return Judgement::not_applicable(
                "the application asks for no fresh authentication (neither prompt=login nor max_age)",
            );
        }
        Some(_) => {}
    }
    let mut found = Findings::new();
    refused(&mut found, &seen.stale);
    conclude(found, seen.stale.is_empty(), "an authentication that is too old gives no session")
}

fn refused(found: &mut Findings, tried: &[Tried]) {
    for Tried { attempt, controls } in tried {
        let told = format!("{}: {}", attempt.label, attempt.describe());
        if attempt.signed_in() {
            found.broken(told, &attempt.cites);
        } else if !controls {
            found.undecided(NO_CONTROL, &[]);
        } else if attempt.refused() {
            found.saw(&attempt.cites);
        } else {
            found.undecided(told, &attempt.cites);
        }
    }
}

fn conclude(found: Findings, nothing: bool, pass: &str) -> Judgement {
    if nothing { Judgement::undecided("nothing was tried") } else { found.conclude(pass) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::stage::oracle::Look;
    use crate::stage::visitor::Attempt;

    fn tried(signed_in: bool, controls: bool) -> Tried {
        let look = Look { signed_in, status: 200, ..Look::default() };
        Tried { attempt: Attempt { requests: 1, answered: true, look, ..Attempt::default() }, controls }
    }

    fn good() -> Seen {
        let asked = Asked { classes: vec!["mfa".into()], max_age: Some(60), ..Asked::default() };
        Seen {
            configured: "mfa".into(),
            asked: Some(asked),
            lower: vec![tried(false, true)],
            odd_amr: vec![tried(true, true)],
            stale: vec![tried(false, true)],
        }
    }

    #[test]
    fn a_class_is_asked_for_where_one_is_configured() {
        assert_eq!(the_class_is_asked_for(&good()).call, Call::Pass);
        assert_eq!(the_class_is_asked_for(&Seen { configured: String::new(), ..good() }).call, Call::NotApplicable);
        assert_eq!(the_class_is_asked_for(&Seen { configured: "other".into(), ..good() }).call, Call::Broken);
        assert_eq!(the_class_is_asked_for(&Seen { asked: Some(Asked::default()), ..good() }).call, Call::Broken);
        assert_eq!(the_class_is_asked_for(&Seen { asked: None, ..good() }).call, Call::Undecided);
    }

    #[test]
    fn less_than_what_was_asked_for_is_refused() {
        for check in [a_lower_class_is_refused, an_old_authentication_is_refused] {
            let with = |one: Tried| check(&Seen { lower: vec![one.clone()], stale: vec![one], ..good() }).call;
            assert_eq!(check(&good()).call, Call::Pass);
            assert_eq!(with(tried(true, false)), Call::Broken);
            assert_eq!(with(tried(false, false)), Call::Undecided);
            assert_eq!(check(&Seen { asked: Some(Asked::default()), ..good() }).call, Call::NotApplicable);
            assert_eq!(check(&Seen { lower: vec![], stale: vec![], ..good() }).call, Call::Undecided);
        }
    }

    #[test]
    fn classes_are_found_in_acr_values_and_in_the_claims_request() {
        let request = |name: &str, value: &str| Authorization {
            number: 0,
            context: None,
            issuer: 0,
            at: std::time::Instant::now(),
            when: jiff::Timestamp::now(),
            method: "GET".into(),
            params: vec![(name.into(), value.into())],
            pretended: false,
            pushed: false,
            object_alg: None,
            answered: "hold",
            exchange: String::new(),
        };
        assert_eq!(Asked::of(&request("acr_values", "a b")).classes, ["a", "b"]);
        let claims = r#"{"id_token":{"acr":{"essential":true,"values":["c"]}}}"#;
        assert_eq!(Asked::of(&request("claims", claims)).classes, ["c"]);
        assert!(Asked::of(&request("prompt", "consent login")).fresh());
        assert!(!Asked::of(&request("prompt", "consent")).fresh());
    }
}
