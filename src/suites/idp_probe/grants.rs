//! idp-probe/grants: dynamic registration and the password grant.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::counterpart::relying_party::Proof;
use crate::counterpart::token::TokenRequest;
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::stage::http::Ask;
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::jose::random;
use crate::wire::seen::TokenSeen;

/// Tries what must be switched off.
pub struct Grants;

/// What was answered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Attempts to register a client.
    pub registrations: Vec<Registration>,
    /// `registration_endpoint` is advertised.
    pub advertised: bool,
    /// Discovery works, so that a block page for everything can be told from a refusal.
    pub discovery_works: bool,
    /// Why the password was not sent.
    pub obstacle: Option<String>,
    /// Pairs of password grant answers: right password, wrong password.
    pub password: Vec<(TokenSeen, TokenSeen)>,
}

/// One attempt to register.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Registration {
    /// URL.
    pub at: String,
    /// With a made-up bearer token.
    pub with_token: bool,
    /// Status; 0 for no answer.
    pub status: u16,
    /// `error` of the answer.
    pub error: Option<String>,
    /// A client came back.
    pub registered: bool,
    /// It was deleted again.
    pub removed: bool,
    /// Exchanges.
    pub cites: Vec<ExchangeId>,
}

impl Scenario for Grants {
    type Seen = Seen;
    const ID: &'static str = "idp-probe/grants";
    const TITLE: &'static str = "tries open registration and the password grant";
    // After the login: a password that was refused there is not sent again, because accounts get locked.
    const AFTER: &'static [&'static str] = &["idp-login"];
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.no-open-dcr", registration_is_not_open),
        Check::new("sl1.idp.no-password-grant", the_password_grant_is_refused),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let world = &stage.world;
        let mut seen = Seen {
            advertised: world.discovery.get("registration_endpoint").is_some(),
            discovery_works: world.discovery.document.is_object(),
            ..Seen::default()
        };
        if stage.wants("sl1.idp.no-open-dcr") {
            for at in registration_places(stage) {
                for with_token in [false, true] {
                    seen.registrations.push(register(stage, &at, with_token).await);
                }
            }
        }
        if let (true, Some(Err(obstacle))) = (stage.wants("sl1.idp.no-password-grant"), world.main.get()) {
            seen.obstacle =
                Some(format!("the password was not sent, because nobody could sign in with it: {}", obstacle.message));
        } else if stage.wants("sl1.idp.no-password-grant") {
            for client in ["main", "public"].into_iter().filter(|name| world.has_client(name)) {
                seen.password.push(password_grant(stage, client).await?);
                // Where the password was evaluated, one wrong attempt is enough: accounts get locked.
                if seen.password.iter().any(|(right, _)| !is_dead(right)) {
                    break;
                }
            }
        }
        Ok(seen)
    }
}

fn registration_places(stage: &Stage) -> Vec<String> {
    if let Some(endpoint) = stage.world.discovery.get("registration_endpoint") {
        return vec![endpoint.to_owned()];
    }
    let issuer = stage.world.idp.issuer.trim_end_matches('/');
    let declared = stage.world.idp.registration_paths.iter().map(String::as_str);
    ["/register", "/connect/register", "/oauth2/v1/clients", "/clients-registrations/openid-connect", "/reg"]
        .into_iter()
        .chain(declared)
        .map(|path| format!("{issuer}{path}"))
        .collect()
}

async fn register(stage: &Stage, at: &str, with_token: bool) -> Registration {
    let world = &stage.world;
    // Algorithms from the metadata, so that an open endpoint has no reason to refuse them.
    let alg = world.discovery.list("id_token_signing_alg_values_supported").first().map_or("RS256", |alg| alg).to_owned();
    let body = json!({
        "client_name": format!("ipsie-conform {}", world.run_id),
        "redirect_uris": [format!("{}/cb/registered", world.target.counterpart.public_url)],
        "id_token_signed_response_alg": alg,
        "token_endpoint_auth_method": "none",
    });
    let mut ask = Ask::json(at, &body);
    if with_token {
        ask = ask.header("authorization", format!("Bearer {}", random(24)));
    }
    let what = if with_token { "registration with a made-up token" } else { "registration without authentication" };
    let mut seen = Registration { at: at.to_owned(), with_token, ..Registration::default() };
    let Ok(reply) = world.http.send(stage.scenario, what, ask).await else { return seen };
    let body = reply.json().unwrap_or_default();
    seen.status = reply.status;
    seen.error = body["error"].as_str().map(str::to_owned);
    seen.registered = body["client_id"].is_string();
    seen.cites.push(reply.exchange);
    if let (Some(uri), Some(token)) = (body["registration_client_uri"].as_str(), body["registration_access_token"].as_str()) {
        world.recorder.redactor.hide(token, "registration access token");
        let mut delete = Ask::get(uri).header("authorization", format!("Bearer {token}"));
        delete.method = reqwest::Method::DELETE;
        if let Ok(reply) = world.http.send(stage.scenario, "delete the registered client again", delete).await {
            seen.removed = (200..300).contains(&reply.status);
            seen.cites.push(reply.exchange);
        }
    }
    seen
}

async fn password_grant(stage: &Stage, client: &str) -> Result<(TokenSeen, TokenSeen), Obstacle> {
    let world = &stage.world;
    let user = world.idp.users.first().ok_or_else(|| Obstacle::config("idp.users is not configured", "Add a test user."))?;
    let reference = user
        .password
        .as_deref()
        .ok_or_else(|| Obstacle::config("the test user has no password", "Add password = \"env:NAME\"."))?;
    let password =
        world.secrets.get(reference).map_err(|fault| Obstacle::config(fault.to_string(), "Mend the user's password."))?;
    world.recorder.redactor.hide(&password, &format!("password of {}", user.name));
    let ask = |password: &str, what: &str| TokenRequest {
        client: client.to_owned(),
        fields: [("grant_type", "password"), ("username", &user.name), ("password", password), ("scope", "openid")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        what: format!("password grant of client {client}, {what} password"),
        proof: Proof::AsRegistered,
        nonce: None,
        login: "password grant",
        began: 0,
        origin: None,
        sample: false,
    };
    // The right one first: where the grant is dead, the wrong one is never evaluated, and no account is locked.
    let (right, _) = stage.token(&ask(&password, "right"), None).await?;
    let (wrong, _) = stage.token(&ask(&format!("not-{}", random(9)), "wrong"), None).await?;
    Ok((right, wrong))
}

fn registration_is_not_open(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    for attempt in &seen.registrations {
        let how = if attempt.with_token { "with a made-up token" } else { "without authentication" };
        if attempt.registered {
            let gone = if attempt.removed { "; it was deleted again" } else { "; it could not be deleted, remove it by hand" };
            found.broken(format!("a client was registered {how} at {}{gone}", attempt.at), &attempt.cites);
            continue;
        }
        match attempt.status {
            401 | 403 | 404 | 405 => found.saw(&attempt.cites),
            400 if attempt.error.as_deref() == Some("access_denied") => found.saw(&attempt.cites),
            400 if seen.advertised => found.undecided(
                format!(
                    "{} evaluated the request {how} ({}): it may be open to other requests",
                    attempt.at,
                    attempt.error.as_deref().unwrap_or("400")
                ),
                &attempt.cites,
            ),
            0 => found.undecided(format!("{} did not answer", attempt.at), &attempt.cites),
            // A path that was only guessed and answers something else is no registration endpoint.
            _ if !seen.advertised && seen.discovery_works => found.saw(&attempt.cites),
            status => found.undecided(format!("{} answered {status} {how}", attempt.at), &attempt.cites),
        }
    }
    if seen.registrations.is_empty() {
        return Judgement::undecided("nothing was tried");
    }
    found.conclude(if seen.advertised {
        "the registration endpoint demands authentication"
    } else {
        "no registration endpoint answers"
    })
}

/// The grant type itself was refused.
fn is_dead(answer: &TokenSeen) -> bool {
    matches!(answer.error.as_deref(), Some("unsupported_grant_type" | "unauthorized_client" | "invalid_request"))
}

fn the_password_grant_is_refused(seen: &Seen) -> Judgement {
    let mut found = Findings::new();
    // A client whose authentication fails says nothing; where another client's answers decide, they do.
    let decided = seen.password.iter().any(|(right, wrong)| is_dead(right) && is_dead(wrong));
    for (right, wrong) in &seen.password {
        let cites: Vec<_> = right.cites.iter().chain(&wrong.cites).cloned().collect();
        let same = (right.status, &right.error, &right.told) == (wrong.status, &wrong.error, &wrong.told);
        let comparable = is_dead(right) || (right.refused() && wrong.refused());
        if right.granted() {
            found.broken(format!("{}: {}", right.what, right.describe()), &right.cites);
        } else if right.fault.is_some() || wrong.fault.is_some() {
            found.undecided(format!("{}: {}", right.what, right.describe()), &cites);
        } else if !comparable {
            found.undecided(format!("{}: {}, then {}", right.what, right.describe(), wrong.describe()), &cites);
        } else if !same && right.refused() && wrong.refused() && !(is_dead(right) && is_dead(wrong)) {
            found.broken(
                format!(
                    "the right and the wrong password are answered differently ({} against {}): the password was evaluated",
                    right.describe(),
                    wrong.describe()
                ),
                &cites,
            );
        } else if is_dead(right) || (decided && right.status == 401) {
            found.saw(&cites);
        } else {
            found.undecided(format!("{}: {}, for the right and the wrong password alike", right.what, right.describe()), &cites);
        }
    }
    if seen.password.is_empty() {
        return Judgement::undecided(seen.obstacle.as_deref().unwrap_or("nothing was tried"));
    }
    found.conclude("the grant is refused, whatever the password")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::token;

    #[test]
    fn registration_is_closed_open_or_unclear() {
        let seen = |status, registered, advertised| Seen {
            registrations: vec![Registration { at: "https://op/reg".into(), status, registered, ..Registration::default() }],
            advertised,
            discovery_works: true,
            ..Seen::default()
        };
        for (status, registered, advertised, call) in [
            (401, false, true, Call::Pass),
            (201, true, true, Call::Broken),
            (400, false, true, Call::Undecided),
            (500, false, true, Call::Undecided),
            (500, false, false, Call::Pass),
        ] {
            assert_eq!(registration_is_not_open(&seen(status, registered, advertised)).call, call, "{status} {advertised}");
        }
    }

    #[test]
    fn a_different_answer_for_the_right_password_is_an_oracle() {
        let with = |right: TokenSeen, wrong: TokenSeen| {
            the_password_grant_is_refused(&Seen { password: vec![(right, wrong)], ..Seen::default() }).call
        };
        let refused = |error: &str| TokenSeen { error: Some(error.into()), ..token(400, &[]) };
        assert_eq!(with(refused("unsupported_grant_type"), refused("unsupported_grant_type")), Call::Pass);
        assert_eq!(with(refused("mfa_required"), refused("invalid_grant")), Call::Broken);
        assert_eq!(with(token(200, &["access_token"]), refused("invalid_grant")), Call::Broken);
        // The grant may end after the password was looked at.
        assert_eq!(with(refused("unauthorized_client"), refused("invalid_grant")), Call::Broken);
        assert_eq!(with(refused("unsupported_grant_type"), token(429, &[])), Call::Pass);
        assert_eq!(with(refused("invalid_grant"), refused("invalid_grant")), Call::Undecided);
        assert_eq!(the_password_grant_is_refused(&Seen::default()).call, Call::Undecided);
    }
}
