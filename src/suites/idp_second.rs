//! idp-second: encrypted ID tokens and pairwise subjects, with the clients registered for them.

use serde::{Deserialize, Serialize};

use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};
use crate::wire::jwe::UNSUPPORTED;
use crate::wire::seen::{IdTokenSeen, TokenSeen};

/// Clients with special registrations.
pub struct Second;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The metadata announces encryption of ID tokens (alg and enc values).
    pub encryption_announced: bool,
    /// RSA1_5 is among the announced algorithms.
    pub rsa1_5: bool,
    /// Client E is configured.
    pub encrypted_configured: bool,
    /// Login of client E.
    pub encrypted: Option<LoginSeen>,
    /// The metadata announces pairwise subjects.
    pub pairwise_announced: bool,
    /// The metadata announces public subjects.
    pub public_announced: bool,
    /// Both pairwise clients are configured.
    pub pairwise_configured: bool,
    /// Logins of the first sector's client, twice.
    pub first_sector: Vec<LoginSeen>,
    /// Login of the second sector's client.
    pub second_sector: Option<LoginSeen>,
    /// `sub` of the typed login (client A).
    pub public_sub: Option<String>,
    /// The user's login name.
    pub user: String,
}

/// One silent login.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LoginSeen {
    /// How it went, in a few words.
    pub went: String,
    /// The ID token.
    pub id_token: Option<IdTokenSeen>,
    /// Exchanges.
    pub cites: Vec<String>,
}

impl LoginSeen {
    fn sub(&self) -> Option<&str> {
        self.id_token.as_ref()?.claim("sub").as_str()
    }
}

impl Scenario for Second {
    type Seen = Seen;
    const ID: &'static str = "idp-second";
    const TITLE: &'static str = "signs in with pairwise and encrypting clients";
    const AFTER: &'static [&'static str] = &["idp-login"];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.id-token-encryption-offered", id_tokens_can_be_encrypted),
        Check::new("sl1.idp.pairwise-offered", subjects_can_be_pairwise),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let world = &stage.world;
        let algs = world.discovery.list("id_token_encryption_alg_values_supported");
        let mut seen = Seen {
            encryption_announced: !algs.is_empty()
                && !world.discovery.list("id_token_encryption_enc_values_supported").is_empty(),
            rsa1_5: algs.contains(&"RSA1_5"),
            encrypted_configured: world.has_client("encrypted"),
            pairwise_announced: world.discovery.list("subject_types_supported").contains(&"pairwise"),
            public_announced: world.discovery.list("subject_types_supported").contains(&"public"),
            pairwise_configured: world.has_client("pairwise") && world.has_client("pairwise_other"),
            user: world.idp.users.first().map(|user| user.name.clone()).unwrap_or_default(),
            ..Seen::default()
        };
        if seen.encrypted_configured && stage.wants("sl1.idp.id-token-encryption-offered") {
            seen.encrypted = Some(login(stage, "encrypted").await?);
        }
        if seen.pairwise_configured && stage.wants("sl1.idp.pairwise-offered") {
            seen.public_sub =
                world.signed_in()?.id_token.as_ref().and_then(|token| token.claim("sub").as_str()).map(str::to_owned);
            for _ in 0..2 {
                seen.first_sector.push(login(stage, "pairwise").await?);
            }
            seen.second_sector = Some(login(stage, "pairwise_other").await?);
        }
        Ok(seen)
    }
}

async fn login(stage: &Stage, client: &str) -> Result<LoginSeen, Obstacle> {
    let context = stage.world.signed_in()?.context.clone();
    let silent = stage.silent(&context, &stage.request(client)?, &format!("login with client {client}"), None).await?;
    let went = silent.token.as_ref().map_or_else(|| silent.authz.seen.describe(), TokenSeen::describe);
    let cites = silent.authz.seen.cites.iter().chain(silent.token.iter().flat_map(|token| &token.cites)).cloned().collect();
    Ok(LoginSeen { went, id_token: silent.tokens.id_token, cites })
}

fn id_tokens_can_be_encrypted(seen: &Seen) -> Judgement {
    if !seen.encrypted_configured {
        return Judgement::not_configured("idp.clients.encrypted is not configured; the metadata alone decides nothing");
    }
    let Some(login) = &seen.encrypted else { return Judgement::undecided("not tried") };
    let Some(token) = &login.id_token else {
        return Judgement::undecided(format!("client E got no ID token: {}", login.went)).cite(&login.cites);
    };
    let mut found = Findings::new();
    let cite = std::slice::from_ref(&token.exchange);
    found.saw(cite);
    match &token.encrypted {
        None => found.broken("client E gets a plain JWS although it registered an encryption key", cite),
        Some(Err(why)) if why.starts_with(UNSUPPORTED) => found.undecided(why.clone(), cite),
        Some(Err(why)) => found.broken(format!("the ID token does not decrypt with the suite's key: {why}"), cite),
        Some(Ok(())) if token.unverifiable() => {
            found.undecided("there is no JWK Set to verify the decrypted ID token with", cite);
        }
        Some(Ok(())) => {
            if let Err(why) = &token.signature {
                found.broken(format!("the decrypted ID token is no signed JWT of the issuer: {why}"), cite);
            }
        }
    }
    if !seen.encryption_announced {
        found.doubtful("the metadata does not announce the encryption", cite);
    }
    if seen.rsa1_5 {
        found.doubtful("the metadata offers RSA1_5", &[]);
    }
    found.conclude("the ID token is a JWE that decrypts to a signed JWT")
}

fn subjects_can_be_pairwise(seen: &Seen) -> Judgement {
    if !seen.pairwise_configured {
        return Judgement::not_configured(
            "idp.clients.pairwise and idp.clients.pairwise_other are not configured; the metadata alone decides nothing",
        );
    }
    let [first, again] = &seen.first_sector[..] else { return Judgement::undecided("not tried") };
    let other = seen.second_sector.as_ref();
    let cites: Vec<_> = [Some(first), Some(again), other].into_iter().flatten().flat_map(|login| login.cites.clone()).collect();
    let (Some(one), Some(same), Some(two)) = (first.sub(), again.sub(), other.and_then(LoginSeen::sub)) else {
        let went: Vec<&str> = [Some(first), Some(again), other].into_iter().flatten().map(|login| login.went.as_str()).collect();
        return Judgement::undecided(format!("not every pairwise client got a sub: {}", went.join("; "))).cite(&cites);
    };
    let last = other.and_then(|login| login.cites.last().cloned()).into_iter().collect::<Vec<_>>();
    let mut found = Findings::new();
    found.saw(&cites);
    if one == two {
        found.broken("both sectors see the same sub", &last);
    }
    if one != same {
        found.broken("the sub of one sector changes from login to login", &last);
    }
    for sub in [one, two] {
        // A service that gives pairwise subjects to everybody has no public one.
        if (Some(sub) == seen.public_sub.as_deref() && seen.public_announced) || sub == seen.user {
            found.broken("a pairwise sub is the public one, or the login name", &last);
        }
    }
    if !seen.pairwise_announced {
        found.doubtful("the metadata does not announce pairwise", &[]);
    }
    found.conclude("sub differs between sectors, is stable within one, and is neither public sub nor login name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::id_token;
    use serde_json::json;

    fn login(sub: &str, encrypted: Option<Result<(), String>>) -> LoginSeen {
        let token = IdTokenSeen { encrypted, ..id_token(json!({"sub": sub})) };
        LoginSeen { went: "ok".into(), id_token: Some(token), cites: vec!["x1".into()] }
    }

    fn good() -> Seen {
        Seen {
            encryption_announced: true,
            encrypted_configured: true,
            encrypted: Some(login("u", Some(Ok(())))),
            pairwise_announced: true,
            public_announced: true,
            pairwise_configured: true,
            first_sector: vec![login("p1", None), login("p1", None)],
            second_sector: Some(login("p2", None)),
            public_sub: Some("u".into()),
            user: "alice".into(),
            ..Seen::default()
        }
    }

    #[test]
    fn both_features_are_seen_at_work() {
        assert_eq!(id_tokens_can_be_encrypted(&good()).call, Call::Pass);
        assert_eq!(subjects_can_be_pairwise(&good()).call, Call::Pass);
        assert_eq!(id_tokens_can_be_encrypted(&Seen { encrypted: Some(login("u", None)), ..good() }).call, Call::Broken);
        assert_eq!(subjects_can_be_pairwise(&Seen { second_sector: Some(login("p1", None)), ..good() }).call, Call::Broken);
        assert_eq!(subjects_can_be_pairwise(&Seen { public_sub: Some("p1".into()), ..good() }).call, Call::Broken);
    }

    #[test]
    fn without_clients_nothing_is_run() {
        let bare = |announced| Seen { encryption_announced: announced, pairwise_announced: announced, ..Seen::default() };
        for check in Second::CHECKS {
            assert_eq!((check.judge)(&bare(true)).call, Call::NotConfigured);
            assert_eq!((check.judge)(&bare(false)).call, Call::NotConfigured);
        }
    }

    #[test]
    fn a_failed_login_decides_nothing() {
        let seen = Seen { encrypted: Some(LoginSeen::default()), second_sector: Some(LoginSeen::default()), ..good() };
        assert_eq!(id_tokens_can_be_encrypted(&seen).call, Call::Undecided);
        assert_eq!(subjects_can_be_pairwise(&seen).call, Call::Undecided);
    }
}
