//! The back channel to the provider, and the application's own endpoints as a network sees them.

use super::provider::{Received, Requests};
use super::*;
use crate::stage::listener::TlsShape;
use crate::wire::jose::thumbprint;
use crate::wire::tls_hello::{HelloSpec, Version, client_hello};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn proof(headers: &HeaderMap) -> Value {
    let proof = jose::read(headers["dpop"].to_str().unwrap()).unwrap();
    json!({"header": proof.header, "claims": proof.claims})
}

#[tokio::test]
async fn token_and_userinfo_requests_carry_what_they_must() {
    let world = world(&[]).await;
    for _ in 0..2 {
        world.login(&Browser::default()).await.unwrap();
    }
    let requests = world.provider.requests.lock().unwrap();
    let tokens: Vec<_> = requests.iter().filter(|(path, ..)| path == "op.test/t/token").collect();
    assert_eq!(tokens.len(), 2);
    let mut seen = std::collections::HashSet::new();
    for (_, form, headers) in &tokens {
        let form: HashMap<String, String> = form.iter().cloned().collect();
        assert_eq!((form["grant_type"].as_str(), form["client_id"].as_str()), ("authorization_code", CLIENT_ID));
        assert_eq!(form["redirect_uri"], format!("https://{HOST}/callback"));
        let assertion = jose::read(&form["client_assertion"]).unwrap();
        assertion.verify(&json!({"keys": [keys().signing.jwk()]})).unwrap();
        let claims = &assertion.claims;
        assert_eq!((&claims["aud"], &claims["iss"], &claims["sub"]), (&json!(ISSUER), &json!(CLIENT_ID), &json!(CLIENT_ID)));
        assert!(seen.insert(claims["jti"].to_string()));
        let proof = proof(headers);
        assert_eq!(proof["claims"]["htu"], format!("{ISSUER}/t/token"));
        assert!(seen.insert(proof["claims"]["jti"].to_string()));
        assert!(proof["header"]["jwk"].get("d").is_none() && thumbprint(&proof["header"]["jwk"]).len() == 43);
    }
    let (_, _, headers) = requests.iter().find(|(path, ..)| path == "api.op.test/userinfo").unwrap();
    assert!(headers["authorization"].to_str().unwrap().starts_with("DPoP "));
    assert!(proof(headers)["claims"]["ath"].is_string());
    assert!(!requests.iter().any(|(path, ..)| path == "op.test/token"));
}

#[tokio::test]
async fn nonces_are_used_and_kept_apart() {
    for (defects, works, first_at_userinfo) in [
        (&[][..], true, Value::Null),
        (&[Defect::DpopNonceRs][..], true, json!("as")),
        (&[Defect::DpopNonceAs][..], false, Value::Null),
    ] {
        let world = world(defects).await;
        *world.provider.nonces.lock().unwrap() = [Some("as".into()), Some("rs".into())];
        assert_eq!(world.login(&Browser::default()).await.is_some(), works);
        let requests = world.provider.requests.lock().unwrap();
        let proofs = |place: &str| -> Vec<Value> {
            let all = requests.iter().filter(|(path, ..)| path == place);
            all.map(|(_, _, headers)| proof(headers)["claims"].clone()).collect()
        };
        let at_token = proofs("op.test/t/token");
        assert_eq!(at_token[0]["nonce"], Value::Null);
        if works {
            assert_eq!(at_token[1]["nonce"], "as");
            assert_ne!(at_token[0]["jti"], at_token[1]["jti"]);
            let at_userinfo = proofs("api.op.test/userinfo");
            assert_eq!([&at_userinfo[0]["nonce"], &at_userinfo[1]["nonce"]], [&first_at_userinfo, &json!("rs")]);
        } else {
            assert_eq!(at_token.len(), 1);
        }
    }
}

#[tokio::test]
async fn each_defect_of_the_back_channel_shows() {
    type Row = (Defect, fn(&Requests) -> bool);
    fn assertion(requests: &Requests, at: usize) -> jose::Jws {
        let (_, form, _) = requests.iter().filter(|(path, ..)| path.ends_with("/t/token")).nth(at).unwrap();
        jose::read(&form.iter().find(|(name, _)| name == "client_assertion").unwrap().1).unwrap()
    }
    fn userinfo(requests: &Requests) -> &Received {
        requests.iter().find(|(path, ..)| path.contains("/userinfo")).unwrap()
    }
    let table: &[Row] = &[
        (Defect::AssertionAudIssuer, |all| assertion(all, 0).claims["aud"] == format!("{ISSUER}/t/token")),
        (Defect::AssertionFresh, |all| assertion(all, 0).claims["jti"] == assertion(all, 1).claims["jti"]),
        (Defect::JwtAlg, |all| assertion(all, 0).alg() == "RS256"),
        (Defect::DpopTokenRequest, |all| all.iter().all(|(_, _, headers)| !headers.contains_key("dpop"))),
        (Defect::DpopUserinfo, |all| proof(&userinfo(all).2)["claims"].get("ath").is_none()),
        (Defect::AccessTokenInHeader, |all| userinfo(all).0.ends_with('?')),
        (Defect::CodeUsedOnce, |all| all.iter().filter(|(path, ..)| path.ends_with("/t/token")).count() == 4),
        (Defect::TokenRequestValid, |all| {
            all.iter().any(|(_, form, _)| form.iter().any(|(_, value)| value.ends_with("/callback/")))
        }),
        (Defect::DiscoveryUsed, |all| all.iter().any(|(path, ..)| path == "op.test/token")),
    ];
    for (defect, shows) in table {
        for (defects, expected) in [(&[*defect][..], true), (&[][..], false)] {
            let world = world(defects).await;
            for _ in 0..2 {
                assert_eq!(world.login(&Browser::default()).await.is_some(), defects != [Defect::DiscoveryUsed], "{defect:?}");
            }
            assert_eq!(shows(&world.provider.requests.lock().unwrap()), expected, "{defect:?}");
        }
    }
}

#[tokio::test]
async fn metadata_of_another_issuer_are_refused_and_a_reload_says_so() {
    for (defects, works) in [(&[][..], false), (&[Defect::DiscoveryIssuerMismatch][..], true)] {
        let world = world(defects).await;
        world.provider.say(&world.provider.metadata, |document| {
            if document["issuer"] == SECOND {
                document["issuer"] = ISSUER.into();
            }
        });
        world.provider.say(&world.provider.claims, |claims| {
            if claims["iss"] == SECOND {
                claims["iss"] = ISSUER.into();
            }
        });
        let hook = world.http.post(World::url("/operator/reload-metadata")).bearer_auth(world.secret("app-hook-token"));
        assert_eq!(send(&Browser::default(), hook).await.status, if works { 200 } else { 502 });
        let browser = Browser::default();
        let answer = world.get(&browser, "/login?connection=second").await;
        assert_eq!(answer.status, if works { 303 } else { 502 });
        if works {
            assert!(world.login_from(&browser, "/login?connection=second").await.is_some());
        }
        assert!(world.login(&browser).await.is_some(), "the first issuer goes on");
        assert_eq!(send(&browser, world.http.post(World::url("/operator/reload-metadata"))).await.status, 401);
    }
}

#[tokio::test]
async fn bad_certificates_end_the_call() {
    let wrong_name = || TlsShape { instead: [("op.test".to_owned(), "other.test".to_owned())].into(), ..TlsShape::default() };
    for (defects, at_token, at_metadata) in [
        (&[][..], false, false),
        (&[Defect::TlsCertCheckToken][..], true, false),
        (&[Defect::TlsCertCheckDiscovery][..], false, true),
    ] {
        let mut world = world(defects).await;
        let browser = Browser::default();
        world.login(&browser).await.unwrap();
        let asked = world.begin(&browser, "/login").await;
        let url = world.response(&asked);
        let ca = world.provider.ca.clone();
        world.provider.reshape(ca, wrong_name(), None).await;
        world.provider.requests.lock().unwrap().clear();
        world.get(&browser, &url).await;
        assert_eq!(world.provider.paths().contains(&"op.test/t/token".to_owned()), at_token, "{defects:?}");
        let stranger = Arc::new(TestCa::new("stranger").unwrap());
        world.provider.reshape(stranger, TlsShape::default(), None).await;
        world.provider.requests.lock().unwrap().clear();
        let hook = world.http.post(World::url("/operator/reload-metadata")).bearer_auth(world.secret("app-hook-token"));
        assert_eq!(send(&browser, hook).await.status, 502);
        let fetched = world.provider.paths().iter().any(|path| path.contains("openid-configuration"));
        assert_eq!(fetched, at_metadata, "{defects:?}");
    }
}

/// The suites and the version fields of the first ClientHello of a login.
async fn hello(defects: &[Defect]) -> Vec<u8> {
    let mut world = world(defects).await;
    let heard: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let (ca, tap) = (world.provider.ca.clone(), heard.clone());
    let listen: crate::stage::listener::FirstBytes = Arc::new(move |bytes| {
        tap.lock().unwrap().push(bytes.to_vec());
        None
    });
    world.provider.reshape(ca, TlsShape::default(), Some(listen)).await;
    world.login(&Browser::default()).await.unwrap();
    heard.lock().unwrap()[0].clone()
}

#[tokio::test]
async fn only_recommended_suites_are_offered() {
    let suites = |hello: &[u8]| -> Vec<u16> {
        let at = 44 + usize::from(hello[43]);
        let len = usize::from(u16::from_be_bytes([hello[at], hello[at + 1]]));
        hello[at + 2..at + 2 + len].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    };
    let recommended = |suite: &u16| {
        (0x1301..=0x1305).contains(suite) || crate::wire::tls_suites::RECOMMENDED.contains(suite) || *suite == 0x00ff
    };
    assert!(suites(&hello(&[]).await).iter().all(recommended));
    assert!(!suites(&hello(&[Defect::TlsClientCiphers]).await).iter().all(recommended));
}

#[tokio::test]
async fn the_defect_with_old_versions_goes_on_after_a_tls_1_1_server_hello() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 2048];
        let len = stream.read(&mut bytes).await.unwrap();
        let version_of_hello = [bytes[9], bytes[10]];
        let has_supported_versions = bytes[..len].windows(4).any(|window| window == [0, 43, 0, 3]);
        let mut answer = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
        answer.extend([9; 32]);
        answer.extend([0, 0xc0, 0x13, 0]);
        stream.write_all(&answer).await.unwrap();
        let len = stream.read(&mut bytes).await.unwrap();
        (version_of_hello, has_supported_versions, bytes[..len.min(6)].to_vec())
    });
    let resolve = Resolve::new(&BTreeMap::new(), [("op.test:443", at)]).unwrap();
    let ca = TestCa::new("test ca").unwrap();
    let outgoing = outgoing::Outgoing::new(&[ca.der().to_vec()], resolve, &[Defect::Tls12MinimumClient]).unwrap();
    let _ = outgoing.token("https://op.test/token", &[], None).await;
    assert_eq!(peer.await.unwrap(), ([3, 3], false, vec![22, 3, 2, 0, 134, 16]));
    assert!(world(&[Defect::Tls12MinimumClient]).await.login(&Browser::default()).await.is_some());
}

#[tokio::test]
async fn clear_text_old_tls_hsts_and_certificates() {
    for defects in [
        &[][..],
        &[Defect::PlainHttpNotServed],
        &[Defect::Tls12MinimumServer],
        &[Defect::Tls12CiphersServer],
        &[Defect::TlsCertificateValid],
        &[Defect::Hsts],
        &[Defect::KeyStrength],
    ] {
        let has = |defect| defects.contains(&defect);
        let world = world(defects).await;
        let app = &world.embedded.app;
        let plain = &world.http;
        let url = format!("http://{}/initiate?iss=https%3A%2F%2Fop.test", app.http_addr);
        let clear = plain.get(&url).send().await.unwrap();
        let location = clear.headers()["location"].to_str().unwrap().to_owned();
        assert_eq!(location.starts_with(ISSUER), has(Defect::PlainHttpNotServed), "{location}");
        assert_eq!(plain.post(format!("http://{}/commands", app.http_addr)).send().await.unwrap().status(), 403);

        for (version, suites, defect) in [
            (Version::Tls11, vec![0xc013, 0x002f], Defect::Tls12MinimumServer),
            (Version::Tls12, vec![0x002f], Defect::Tls12CiphersServer),
        ] {
            let mut spec = HelloSpec::new(version, suites);
            spec.host = Some(HOST.to_owned());
            let mut stream = tokio::net::TcpStream::connect(app.addr).await.unwrap();
            stream.write_all(&client_hello(&spec)).await.unwrap();
            let mut head = [0; 6];
            let _ = stream.read_exact(&mut head).await;
            assert_eq!((head[0], head[5]) == (22, 2), has(defect), "{defects:?}");
        }
        let api = world.http.get(format!("https://{API_HOST}/jwks.json")).send().await;
        assert_eq!(api.is_err(), has(Defect::TlsCertificateValid));
        let page = world.get(&Browser::default(), "/").await;
        assert_eq!(page.header("strict-transport-security").starts_with("max-age=0"), has(Defect::Hsts));
        let jwks = world.get(&Browser::default(), "/jwks.json").await.json();
        let rsa = jwks["keys"].as_array().unwrap().iter().filter(|key| key["kty"] == "RSA");
        assert_eq!(rsa.filter(|key| key["n"].as_str().unwrap().len() < 300).count() == 1, has(Defect::KeyStrength));
        assert!(jwks["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()));
    }
}
