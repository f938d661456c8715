//! ID tokens, UserInfo and keys: what is refused, and by which defect it is accepted.

use super::provider::Change;
use super::*;
use crate::wire::jose::{b64, hmac_signed, unb64, unsigned};
use crate::wire::jwe;
use jsonwebtoken::Algorithm;

/// Is a login accepted with these defects, when the provider was prepared like this?
async fn accepted(defects: &[Defect], prepare: &dyn Fn(&Provider)) -> bool {
    let world = world(defects).await;
    prepare(&world.provider);
    world.login(&Browser::default()).await.is_some()
}

/// Refused by the conforming application, accepted under the defect, and a good login works under the defect.
async fn kills(defect: Defect, prepare: impl Fn(&Provider)) {
    assert!(!accepted(&[], &prepare).await, "{defect:?}: the conforming application accepts it");
    assert!(accepted(&[defect], &prepare).await, "{defect:?}: the defect does not show");
    assert!(accepted(&[defect], &|_| ()).await, "{defect:?}: a good login fails");
}

fn set(name: &'static str, value: Value) -> Change {
    Box::new(move |claims| claims[name] = value.clone())
}

fn without(name: &'static str) -> Change {
    Box::new(move |claims| drop(claims.as_object_mut().unwrap().remove(name)))
}

#[tokio::test]
async fn every_claim_is_checked() {
    let now = Timestamp::now().as_second();
    type Row = (Defect, fn(i64) -> Change);
    let table: Vec<Row> = vec![
        (Defect::IdTokenIssRefused, |_| set("iss", "https://other.test".into())),
        (Defect::IdTokenIssRefused, |_| set("iss", format!("{ISSUER}/").into())),
        (Defect::IdTokenIssRefused, |_| without("iss")),
        (Defect::IdTokenAudRefused, |_| set("aud", "other".into())),
        (Defect::IdTokenAudRefused, |_| set("aud", CLIENT_ID.to_uppercase().into())),
        (Defect::IdTokenAudRefused, |_| without("aud")),
        (Defect::IdTokenAudMultiRefused, |_| set("aud", json!([CLIENT_ID, "other"]))),
        (Defect::IdTokenAudArrayRefused, |_| set("aud", json!([CLIENT_ID]))),
        (Defect::IdTokenExpiredRefused, |now| set("exp", (now - 3600).into())),
        (Defect::IdTokenExpiredRefused, |_| without("exp")),
        (Defect::IdTokenFutureRefused, |now| set("nbf", (now + 86_400).into())),
        (Defect::IdTokenSubRequired, |_| set("sub", "".into())),
        (Defect::IdTokenSubRequired, |_| without("sub")),
        (Defect::IdTokenNonceRefused, |_| without("nonce")),
        (Defect::AuthTimeChecked, |_| without("auth_time")),
        (Defect::AuthTimeChecked, |now| set("auth_time", (now - 900 - 3600).into())),
        (Defect::ReturnedAuthTimeChecked, |now| set("auth_time", (now - 3600).into())),
        (Defect::TransactionTermsChecked, |_| set("acr", "urn:low".into())),
        (Defect::TransactionTermsChecked, |_| set("amr", json!(["pwd"]))),
        (Defect::ReturnedAcrChecked, |_| without("acr")),
        (Defect::SessionExpiryPastRefused, |now| set("session_expiry", (now - 3600).into())),
        (Defect::SessionExpiryMalformed, |now| set("session_expiry", (now + 30).to_string().into())),
        (Defect::SessionExpiryMalformed, |now| set("session_expiry", (now as f64 + 30.5).into())),
        (Defect::SessionExpiryMalformed, |now| set("session_expiry", ((now + 30) * 1000).into())),
    ];
    for (defect, change) in table {
        kills(defect, |provider| *provider.claims.lock().unwrap() = Some(change(now))).await;
    }
    let refused: Vec<Change> = vec![
        set("nonce", "other".into()),
        set("iat", (now + 86_400).into()),
        without("iat"),
        set("exp", "soon".into()),
        set("sub", 5.into()),
        set("session_expiry", (-5).into()),
    ];
    for change in refused {
        let world = world(&[]).await;
        *world.provider.claims.lock().unwrap() = Some(change);
        assert_eq!(world.login(&Browser::default()).await, None);
    }
}

#[tokio::test]
async fn signatures_keys_and_kinds_are_checked() {
    fn token(change: impl Fn(String, &Value) -> String + Send + Sync + Clone + 'static) -> impl Fn(&Provider) {
        move |provider| *provider.token.lock().unwrap() = Some(Box::new(change.clone()))
    }
    kills(
        Defect::IdTokenSignatureRefused,
        token(|token, claims| {
            let parts: Vec<&str> = token.split('.').collect();
            let mut claims = claims.clone();
            claims["name"] = "Mallory".into();
            format!("{}.{}.{}", parts[0], b64(claims.to_string()), parts[2])
        }),
    )
    .await;
    kills(Defect::IdTokenNoneRefused, token(|_, claims| unsigned(claims))).await;
    kills(Defect::IdTokenUnlistedAlgRefused, |provider| {
        let rsa = SigningKey::generate("op-rsa", Algorithm::RS256).unwrap();
        provider.jwks.lock().unwrap()["keys"].as_array_mut().unwrap().push(rsa.jwk().clone());
        *provider.key.lock().unwrap() = rsa;
    })
    .await;
    kills(Defect::IdTokenHmacRefused, |provider| {
        let jwk = provider.key.lock().unwrap().jwk().clone();
        let pem = jose::to_pem("PUBLIC KEY", &crate::wire::spki::spki_der(&jwk));
        token(move |_, claims| hmac_signed(&json!({"alg": "HS256", "kid": "op-1"}), claims, pem.as_bytes()))(provider);
    })
    .await;
    kills(Defect::IdTokenForeignKeyRefused, |provider| {
        let foreign = SigningKey::generate("foreign", Algorithm::ES256).unwrap();
        *provider.header.lock().unwrap() = json!({"jwk": foreign.jwk(), "kid": "foreign"});
        *provider.key.lock().unwrap() = foreign;
    })
    .await;
    kills(Defect::IdTokenWeakKeyRefused, |provider| {
        let weak = json!({"kty": "RSA", "n": b64([0xc1; 128]), "e": "AQAB", "kid": "weak"});
        provider.jwks.lock().unwrap()["keys"].as_array_mut().unwrap().push(weak);
        token(|_, claims| format!("{}.{}.{}", b64(r#"{"alg":"PS256","kid":"weak"}"#), b64(claims.to_string()), b64([7; 128])))(
            provider,
        );
    })
    .await;
    kills(Defect::IdTokenCritRefused, |provider| {
        *provider.header.lock().unwrap() = json!({"crit": ["x-suite"], "x-suite": 1});
    })
    .await;
    for typ in ["logout+jwt", "command+jwt", "at+jwt"] {
        kills(Defect::IdTokenWrongTypeRefused, |provider| {
            *provider.header.lock().unwrap() = json!({"typ": typ});
            provider.say(&provider.claims, |claims| {
                for name in ["nonce", "acr", "auth_time", "session_expiry"] {
                    claims.as_object_mut().unwrap().remove(name);
                }
            });
        })
        .await;
    }
    let typed = |provider: &Provider| *provider.header.lock().unwrap() = json!({"typ": "jwt"});
    assert!(accepted(&[], &typed).await);
}

#[tokio::test]
async fn without_an_id_token_there_is_no_session() {
    kills(Defect::IdTokenMissingRefused, |provider| {
        provider.say(&provider.response, |body| {
            body.as_object_mut().unwrap().remove("id_token");
        });
    })
    .await;
    kills(Defect::IdTokenMissingRefused, |provider| {
        provider.say(&provider.response, |body| body["id_token"] = "not.a.jwt".into());
    })
    .await;
    kills(Defect::UserinfoSubChecked, |provider| provider.say(&provider.userinfo, |body| body["sub"] = "s2".into())).await;
    let nobody = |provider: &Provider| provider.say(&provider.userinfo, |body| drop(body.as_object_mut().unwrap().remove("sub")));
    assert!(!accepted(&[], &nobody).await);
}

#[tokio::test]
async fn a_new_key_is_picked_up_and_an_encrypted_id_token_read() {
    for (defects, works) in [(&[][..], true), (&[Defect::KeyRotation][..], false)] {
        let world = world(defects).await;
        assert!(world.login(&Browser::default()).await.is_some());
        let second = SigningKey::generate("op-2", Algorithm::ES256).unwrap();
        world.provider.jwks.lock().unwrap()["keys"].as_array_mut().unwrap().push(second.jwk().clone());
        *world.provider.key.lock().unwrap() = second;
        assert_eq!(world.login(&Browser::default()).await.is_some(), works);
    }
    for (defects, works) in [(&[][..], true), (&[Defect::EncryptedIdToken][..], false)] {
        let world = world(defects).await;
        let browser = Browser::default();
        let jwks = world.get(&browser, "/jwks.json").await.json();
        let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["use"] == "enc").unwrap().clone();
        *world.provider.token.lock().unwrap() = Some(Box::new(move |token, _| jwe::encrypt(&token, &key, "JWT").unwrap()));
        assert_eq!(world.login(&browser).await.is_some(), works);
    }
    assert!(unb64("").is_ok());
}

#[tokio::test]
async fn accounts_are_found_by_issuer_tenant_and_subject() {
    let say = |world: &World, sub: &'static str, tenant: &'static str, email: &'static str| {
        world.provider.say(&world.provider.claims, move |claims| {
            claims["sub"] = sub.into();
            claims["tenant"] = tenant.into();
            claims["email"] = email.into();
        });
    };
    for defect in [None, Some(Defect::SubjectTenantUnique), Some(Defect::SubjectIssuerUnique), Some(Defect::NoEmailMatching)] {
        let world = world(&defect.into_iter().collect::<Vec<_>>()).await;
        let mut seen = Vec::new();
        for (path, sub, tenant, email) in [
            ("/login", "a", "t1", "e1"),
            ("/login", "a", "t2", "e2"),
            ("/login?connection=second", "a", "t1", "e3"),
            ("/login", "b", "t1", "e1"),
            ("/login", "a", "t1", "e4"),
        ] {
            say(&world, sub, tenant, email);
            seen.push(world.login_from(&Browser::default(), path).await.unwrap());
        }
        let same = |a: usize, b: usize| seen[a] == seen[b];
        assert_eq!(same(0, 1), defect == Some(Defect::SubjectTenantUnique));
        assert_eq!(same(0, 2), defect == Some(Defect::SubjectIssuerUnique));
        assert_eq!(same(0, 3), defect == Some(Defect::NoEmailMatching));
        assert!(same(0, 4), "{defect:?}: a new address keeps the account");
    }
}
