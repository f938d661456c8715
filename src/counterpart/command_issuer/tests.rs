use jsonwebtoken::Algorithm;

use super::*;
use crate::wire::jose::{Jws, read};

fn keys() -> (SigningKey, SigningKey) {
    (SigningKey::generate("main", Algorithm::ES256).unwrap(), SigningKey::generate("rsa", Algorithm::RS256).unwrap())
}

fn sender<'a>(key: &'a SigningKey, rsa: &'a SigningKey) -> Sender<'a> {
    Sender {
        issuer: "https://op".into(),
        client_id: "app",
        client_secret: Some("a secret of some length"),
        tenant: "acme",
        key,
        rsa: Some(rsa),
        stranger: ("https://op/unknown".into(), rsa),
    }
}

fn subject() -> Subject {
    Subject { sub: "u1".into(), sid: Some("s1".into()) }
}

fn published(sender: &Sender<'_>) -> Value {
    serde_json::json!({"keys": [sender.key.jwk(), sender.rsa.unwrap().jwk()]})
}

fn forged(forgery: Forgery, draft: Draft, sender: &Sender<'_>) -> Jws {
    read(&forgery.bend(draft, sender, &subject()).token(sender)).unwrap()
}

#[test]
fn conforming_tokens_hold_what_their_specifications_demand() {
    let (key, rsa) = keys();
    let sender = sender(&key, &rsa);
    let logout = read(&Draft::logout(&sender, &subject(), LogoutForm::Sub).token(&sender)).unwrap();
    assert_eq!(logout.header["typ"], "logout+jwt");
    assert!(logout.verify(&published(&sender)).is_ok());
    assert_eq!((logout.claims["sub"].as_str(), logout.claims.get("sid")), (Some("u1"), None));
    let one = read(&Draft::logout(&sender, &subject(), LogoutForm::Sid).token(&sender)).unwrap();
    assert_eq!((one.claims.get("sub"), one.claims["sid"].as_str()), (None, Some("s1")));
    let command = Draft::account_command(&sender, "https://app/commands", "invalidate", "u1");
    let command = read(&command.token(&sender)).unwrap();
    assert_eq!(command.header["typ"], "command+jwt");
    for name in ["iss", "aud", "client_id", "iat", "exp", "jti", "command", "tenant", "sub"] {
        assert!(command.claims.get(name).is_some(), "{name}");
    }
    let metadata =
        read(&Draft::metadata(&sender, "https://app/commands", (serde_json::json!({}), "t".into())).token(&sender)).unwrap();
    assert!(metadata.claims.get("sub").is_none() && metadata.claims["metadata"].is_object());
}

#[test]
fn no_forged_signature_verifies_but_that_of_the_unlisted_algorithm() {
    let (key, rsa) = keys();
    let sender = sender(&key, &rsa);
    for forgery in SIGNATURES {
        assert!(forgery.possible(&sender));
        let jws = forged(forgery, Draft::logout(&sender, &subject(), LogoutForm::Sub), &sender);
        let verified = jws.verify(&published(&sender)).is_ok();
        assert_eq!(verified, forgery == Forgery::UnlistedAlgorithm, "{forgery:?}");
    }
}

#[test]
fn every_other_forgery_differs_from_the_conforming_token_and_is_well_signed() {
    let (key, rsa) = keys();
    let sender = sender(&key, &rsa);
    let endpoint = "https://app/commands";
    let stable = |mut claims: Value| {
        for name in ["jti", "iat", "exp"] {
            if claims.get(name).is_some() {
                claims[name] = (claims[name].as_i64().unwrap_or_default() / 1000).into();
            }
        }
        claims
    };
    let logout = || Draft::logout(&sender, &subject(), LogoutForm::SubAndSid);
    let command = || Draft::account_command(&sender, endpoint, "invalidate", "u1");
    for (forgery, draft) in LOGOUT_CLAIMS
        .iter()
        .map(|forgery| (*forgery, logout()))
        .chain(COMMAND_CLAIMS.iter().chain(&COMMAND_TYPES).map(|forgery| (*forgery, command())))
    {
        let good = (draft.header.clone(), stable(draft.claims.clone()));
        let jws = forged(forgery, draft.clone(), &sender);
        assert!(jws.verify(&published(&sender)).is_ok(), "{forgery:?}");
        let bent = forgery.bend(draft, &sender, &subject());
        assert_ne!(good, (bent.header, stable(bent.claims)), "{forgery:?}");
    }
}

#[test]
fn a_forgery_that_needs_what_the_sender_lacks_is_left_out() {
    let (key, rsa) = keys();
    let poor = Sender { client_secret: None, tenant: "", rsa: None, ..sender(&key, &rsa) };
    for forgery in [Forgery::HmacClientSecret, Forgery::TenantOther, Forgery::UnlistedAlgorithm] {
        assert!(!forgery.possible(&poor), "{forgery:?}");
    }
    assert_eq!(poor.command_tenant(), "organization");
}

#[test]
fn a_refusal_is_told_from_a_rate_limit_and_from_silence() {
    let with = |status| Answer { status, ..Answer::default() };
    assert!(with(400).refused() && !with(429).refused() && !with(500).refused());
    assert!(with(0).silent() && with(503).silent() && !with(500).silent());
    let stored = Answer { cache_control: Some("No-Store, private".into()), ..with(200) };
    assert!(stored.no_store() && !with(200).no_store());
}
