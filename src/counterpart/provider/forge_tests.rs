use super::*;
use crate::counterpart::provider::{Provider, ProviderConfig, ProviderKeys, Script, Subject, Twist};
use crate::model::target::App;
use crate::stage::listener::TestCa;
use crate::stage::recorder::Recorder;
use crate::wire::jose::{self, Jws};
use crate::wire::jwe::DecryptionKey;
use std::sync::Arc;

struct Bench {
    provider: Provider,
    enc: DecryptionKey,
}

const NONCE: &str = "the-nonce";

async fn bench(alg: &str) -> Bench {
    let es256 = SigningKey::generate("es256", Algorithm::ES256).unwrap();
    let rsa = SigningKey::generate("rsa", Algorithm::RS256).unwrap();
    let enc = DecryptionKey::generate("enc").unwrap();
    let config = ProviderConfig {
        issuer: "https://op.ipsie-conform.test".into(),
        listen: "127.0.0.1:0".into(),
        ca: Arc::new(TestCa::new("test").unwrap()),
        keys: ProviderKeys::new(alg, &es256, &rsa).unwrap(),
        recorder: Arc::new(Recorder::default()),
        client_secret: Some("s3cret".into()),
        app: App { client_id: "Client-1".into(), protected_url: "https://app.test/protected".into(), ..App::default() },
        client_jwks: json!({"keys": [enc.jwk()]}),
    };
    Bench { provider: Provider::start(config).await.unwrap(), enc }
}

impl Bench {
    fn token(&self, forgery: Option<Forgery>) -> String {
        let subject = Subject { sub: "alice".into(), name: "Alice".into(), ..Subject::default() };
        let script = Script::of(&subject);
        let script = forgery.map_or(script.clone(), |forgery| script.with(Twist::Forged(forgery)));
        self.provider.unsolicited_id_token(&script, Some(NONCE))
    }

    fn read(&self, forgery: Forgery) -> Jws {
        jose::read(&self.token(Some(forgery))).unwrap_or_else(|error| panic!("{forgery:?}: {error}"))
    }

    fn published(&self) -> Value {
        json!({"keys": [self.provider.keys().main.jwk(), self.provider.keys().rs256.jwk()]})
    }
}

/// Names of claims that differ from a conforming token's, apart from those that differ in every token.
fn differing(a: &Value, b: &Value) -> Vec<String> {
    let (a, b) = (a.as_object().unwrap(), b.as_object().unwrap());
    let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
    names.sort();
    names.dedup();
    let close = |a: Option<&Value>, b: Option<&Value>| match (a.and_then(Value::as_i64), b.and_then(Value::as_i64)) {
        (Some(a), Some(b)) => (a - b).abs() < 5,
        _ => a == b,
    };
    names.into_iter().filter(|name| *name != "jti" && !close(a.get(*name), b.get(*name))).cloned().collect()
}

#[tokio::test]
async fn forged_claims_are_rightly_signed_and_differ_in_nothing_else() {
    let bench = bench("ES256").await;
    let conforming = jose::read(&bench.token(None)).unwrap();
    for (forgery, claims) in [
        (Forgery::IssOther, &["iss"][..]),
        (Forgery::IssSlash, &["iss"]),
        (Forgery::IssMissing, &["iss"]),
        (Forgery::AudOther, &["aud"]),
        (Forgery::AudMissing, &["aud"]),
        (Forgery::AudPrefix, &["aud"]),
        (Forgery::AudOtherCase, &["aud"]),
        (Forgery::AudTwo, &["aud"]),
        (Forgery::AudTwoAzp, &["aud", "azp"]),
        (Forgery::AudArray, &["aud"]),
        (Forgery::ExpPast, &["auth_time", "exp", "iat"]),
        (Forgery::ExpMissing, &["exp"]),
        (Forgery::ExpString, &["exp"]),
        (Forgery::IatFuture, &["exp", "iat", "session_expiry"]),
        (Forgery::NbfFuture, &["exp", "nbf", "session_expiry"]),
        (Forgery::IatMissing, &["iat"]),
        (Forgery::SubMissing, &["sub"]),
        (Forgery::SubEmpty, &["sub"]),
        (Forgery::SubNumber, &["sub"]),
        (Forgery::NonceAltered, &["nonce"]),
        (Forgery::NonceMissing, &["nonce"]),
        (Forgery::NonceEarlier, &["nonce"]),
        (Forgery::Crit, &[]),
        (Forgery::AuthTimeStale, &["auth_time"]),
        (Forgery::AuthTimeMissing, &["auth_time"]),
        (Forgery::SessionExpiryPast, &["session_expiry"]),
        (Forgery::SessionExpiryString, &["session_expiry"]),
        (Forgery::SessionExpiryPastString, &["session_expiry"]),
        (Forgery::SessionExpiryPastFloat, &["session_expiry"]),
        (Forgery::SessionExpiryNegative, &["session_expiry"]),
        (Forgery::SessionExpiryPastMilliseconds, &["session_expiry"]),
        (Forgery::AcrLower, &["acr", "amr"]),
    ] {
        let forged = bench.read(forgery);
        forged.verify(&bench.published()).unwrap();
        assert_eq!(differing(&conforming.claims, &forged.claims), claims, "{forgery:?}");
    }
    assert_eq!(bench.read(Forgery::AudOtherCase).claims["aud"], "cLIENT-1");
    assert_eq!(bench.read(Forgery::AudPrefix).claims["aud"], "Client-");
    assert_eq!(bench.read(Forgery::IssSlash).claims["iss"], "https://op.ipsie-conform.test/");
    assert_eq!(bench.read(Forgery::Crit).header["crit"], json!(["x-suite"]));
    let past = bench.read(Forgery::ExpPast).claims;
    assert!(past["iat"].as_i64() < past["exp"].as_i64());
    assert!(bench.read(Forgery::SessionExpiryPastFloat).claims["session_expiry"].is_f64());
}

#[tokio::test]
async fn what_is_wrongly_signed_has_the_right_claims_and_does_not_verify() {
    let bench = bench("ES256").await;
    let conforming = jose::read(&bench.token(None)).unwrap();
    conforming.verify(&bench.published()).unwrap();
    for forgery in [
        Forgery::SignatureChanged,
        Forgery::AlgNone,
        Forgery::AlgNoneCapital,
        Forgery::AlgNoneMixed,
        Forgery::AlgAbsent,
        Forgery::HmacSecret,
        Forgery::HmacPem,
        Forgery::HmacDer,
        Forgery::HmacJwk,
        Forgery::HmacEmpty,
        Forgery::StrongKey,
        Forgery::WeakKey,
        Forgery::ForeignKey,
        Forgery::ForeignKeyRealKid,
        Forgery::ForeignKeyJwk,
        Forgery::ForeignKeyJku,
        Forgery::ForeignKeyX5u,
        Forgery::ForeignKeyX5c,
        Forgery::RotatedKey,
    ] {
        let forged = bench.read(forgery);
        assert!(forged.verify(&bench.published()).is_err(), "{forgery:?}");
        assert!(differing(&conforming.claims, &forged.claims).is_empty(), "{forgery:?}");
    }
    let changed = bench.read(Forgery::PayloadChanged);
    assert!(changed.verify(&bench.published()).is_err());
    assert_eq!(differing(&conforming.claims, &changed.claims), ["name"]);
    assert_eq!(bench.read(Forgery::AlgNoneMixed).header["alg"], "nOnE");
    assert!(bench.read(Forgery::AlgAbsent).header.get("alg").is_none());
    let keys = bench.provider.keys();
    assert_eq!(bench.read(Forgery::ForeignKeyRealKid).header["kid"], keys.main.kid.as_str());
    let trusting = json!({"keys": [bench.read(Forgery::ForeignKeyJwk).header["jwk"]]});
    bench.read(Forgery::ForeignKeyJwk).verify(&trusting).unwrap();
    let x5c = bench.read(Forgery::ForeignKeyX5c).header["x5c"][0].as_str().unwrap().to_owned();
    let (_, cert) = x509_parser::parse_x509_certificate(&STANDARD.decode(x5c).unwrap())
        .map(|(rest, cert)| (rest.len(), cert.tbs_certificate.subject_pki.raw.to_vec()))
        .unwrap();
    assert_eq!(cert, spki_der(keys.foreign.jwk()));
}

#[tokio::test]
async fn published_keys_sign_rightly() {
    let bench = bench("ES256").await;
    for forgery in [Forgery::Rs256, Forgery::Rs512] {
        bench.read(forgery).verify(&bench.published()).unwrap();
    }
    bench.read(Forgery::StrongKey).verify(&json!({"keys": [bench.provider.strong_jwk().unwrap()]})).unwrap();
    bench.read(Forgery::RotatedKey).verify(&json!({"keys": [bench.provider.keys().rotated.jwk()]})).unwrap();
    assert_eq!(bench.read(Forgery::WeakKey).header["kid"], bench.provider.weak_jwk()["kid"]);
    let inner = bench.enc.decrypt(&bench.token(Some(Forgery::Encrypted))).unwrap();
    jose::read(&inner).unwrap().verify(&bench.published()).unwrap();
}

#[tokio::test]
async fn tokens_of_another_kind_carry_no_nonce_and_none_of_the_session() {
    let bench = bench("ES256").await;
    for (forgery, typ, member) in [
        (Forgery::LogoutToken, "logout+jwt", "events"),
        (Forgery::CommandToken, "command+jwt", "command"),
        (Forgery::CommandTokenForClient, "command+jwt", "command"),
        (Forgery::AccessToken, "at+jwt", "scope"),
    ] {
        let token = bench.read(forgery);
        token.verify(&bench.published()).unwrap();
        assert_eq!(token.header["typ"], typ);
        assert!(token.claims.get(member).is_some(), "{forgery:?}");
        for absent in ["nonce", "session_expiry", "email"] {
            assert!(token.claims.get(absent).is_none(), "{forgery:?} {absent}");
        }
        let for_client = token.claims["aud"] == "Client-1";
        assert_eq!(for_client, forgery != Forgery::CommandToken);
    }
}

#[tokio::test]
async fn an_application_that_takes_rs256_is_tried_with_rs256() {
    let bench = bench("RS256").await;
    assert!(!bench.provider.can(Forgery::Rs256) && !bench.provider.can(Forgery::StrongKey));
    assert_eq!(bench.read(Forgery::WeakKey).header["alg"], "RS256");
    assert_eq!(bench.read(Forgery::ForeignKey).header["alg"], "RS256");
    assert!(bench.provider.can(Forgery::HmacSecret) && bench.provider.can(Forgery::Encrypted));
}

#[test]
fn only_a_key_for_encryption_is_encrypted_for() {
    let jwks = |key: Value| json!({"keys": [{"kty": "EC", "use": "sig", "crv": "P-256"}, key]});
    let usable = |key: Value| encryption_key(&jwks(key)).is_some();
    assert!(usable(json!({"kty": "RSA", "use": "enc", "alg": "RSA-OAEP-256"})));
    assert!(usable(json!({"kty": "EC", "use": "enc", "crv": "P-256"})));
    assert!(!usable(json!({"kty": "RSA", "use": "enc", "alg": "RSA1_5"})));
    assert!(!usable(json!({"kty": "RSA", "use": "sig"})));
    assert!(encryption_key(&Value::Null).is_none());
}
