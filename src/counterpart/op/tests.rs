//! The service from the outside: a hand-driven browser and relying party.

use super::*;
use crate::counterpart::embedded::{Embedded, PublicKeys, embedded};
use crate::model::target::CounterpartAt;
use crate::wire::jose::{self, sha256_b64, thumbprint};
use reqwest::header::HeaderMap;
use serde_json::json;
use std::sync::OnceLock;

const VERIFIER: &str = "a-code-verifier-of-the-test-with-enough-characters-in-it";
const ISSUER: &str = "https://idp.ipsie-conform.test";
const CALLBACK: &str = "https://rp.ipsie-conform.test/cb/a";
const PUBLIC_CALLBACK: &str = "https://rp.ipsie-conform.test/cb/public";

/// RSA keys take long to make; all tests share them.
fn rsa_keys() -> &'static (SigningKey, crate::wire::jwe::DecryptionKey) {
    static KEYS: OnceLock<(SigningKey, crate::wire::jwe::DecryptionKey)> = OnceLock::new();
    KEYS.get_or_init(|| {
        let encryption = crate::wire::jwe::DecryptionKey::generate("enc").unwrap();
        (SigningKey::generate("rs256", Algorithm::RS256).unwrap(), encryption)
    })
}

struct World {
    embedded: Embedded,
    http: reqwest::Client,
    key: SigningKey,
    cookie: Mutex<String>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    fn error(&self) -> String {
        format!("{} {}", self.status, self.json()["error"].as_str().unwrap_or_default())
    }

    /// A parameter of the redirect.
    fn parameter(&self, name: &str) -> Option<String> {
        let url = Url::parse(self.header("location")).ok()?;
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    fn hidden(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\" value=\"");
        let rest = self.body.split_once(&mark).unwrap_or_else(|| panic!("no {name} in {}", self.body)).1;
        rest.split_once('"').unwrap().0.replace("&amp;", "&")
    }
}

async fn world(twists: &[Twist]) -> World {
    let ca = Arc::new(TestCa::new("test ca").unwrap());
    let key = SigningKey::generate("es256", Algorithm::ES256).unwrap();
    let (rsa, encryption) = rsa_keys();
    let keys = PublicKeys { signing: key.jwk().clone(), rsa: rsa.jwk().clone(), encryption: encryption.jwk().clone() };
    let embedded = embedded(ca.clone(), &keys, CounterpartAt::default(), twists).await.unwrap();
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(ca.der().to_vec().into()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let tls = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let [host, api] = embedded.op.hosts();
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .resolve(&host, embedded.op.addr)
        .resolve(&api, embedded.op.addr)
        .build()
        .unwrap();
    World { embedded, http, key, cookie: Mutex::default() }
}

impl World {
    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let cookie = self.cookie.lock().unwrap().clone();
        let Ok(response) = request.header("cookie", cookie).send().await else {
            return Answer { status: 0, headers: HeaderMap::new(), body: "no TLS connection".into() };
        };
        if let Some(set) = response.headers().get("set-cookie") {
            *self.cookie.lock().unwrap() = set.to_str().unwrap().split(';').next().unwrap().to_owned();
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.text().await.unwrap() }
    }

    async fn get(&self, path: &str) -> Answer {
        let url = if path.starts_with("https:") { path.to_owned() } else { format!("{ISSUER}{path}") };
        self.send(self.http.get(url)).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.http.post(format!("{ISSUER}{path}")).form(form)).await
    }

    /// An authorization request with changes; an empty value leaves a parameter out.
    async fn authorize(&self, changes: &[(&str, &str)]) -> Answer {
        self.get(&format!("/authorize?{}", http::encode(parameters(changes).iter().map(|(a, b)| (a.as_str(), b.as_str()))))).await
    }

    /// Signs alice in from a redirect to the login page; answers the redirect that follows.
    async fn sign_in(&self, to_login: &Answer) -> Answer {
        let code_page = self.first_factor(to_login).await;
        let totp = totp::code(&self.embedded.secrets["embedded:alice-totp"], self.now() / totp::STEP_S).unwrap();
        let form = [("csrf", code_page.hidden("csrf")), ("return_to", code_page.hidden("return_to")), ("code", totp)];
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let done = self.post("/login/code", &form).await;
        if done.header("location").starts_with(ISSUER) {
            return self.get(done.header("location")).await;
        }
        done
    }

    async fn first_factor(&self, to_login: &Answer) -> Answer {
        assert!(to_login.header("location").contains("/login?"), "{} {}", to_login.status, to_login.body);
        let page = self.get(to_login.header("location")).await;
        let wrong = self.password(&page, "wrong").await;
        assert!(wrong.status == 200 && wrong.body.contains("password is wrong"));
        let next = self.password(&page, &self.embedded.secrets["embedded:alice-password"]).await;
        self.get(next.header("location")).await
    }

    async fn password(&self, page: &Answer, password: &str) -> Answer {
        let (csrf, return_to) = (page.hidden("csrf"), page.hidden("return_to"));
        self.post("/login", &[("csrf", &csrf), ("return_to", &return_to), ("username", "alice"), ("password", password)]).await
    }

    fn now(&self) -> i64 {
        self.embedded.op.op.now()
    }

    fn assertion(&self, client: &str) -> String {
        self.assertion_with(client, &json!({}))
    }

    fn assertion_with(&self, client: &str, changes: &Value) -> String {
        let mut claims =
            json!({"iss": client, "sub": client, "aud": ISSUER, "exp": self.now() + 60, "iat": self.now(), "jti": random(9)});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.key.sign(&json!({}), &claims)
    }

    async fn token_as(&self, client: &str, assertion: &str, dpop: Option<&str>, form: &[(&str, &str)]) -> Answer {
        let mut form = form.to_vec();
        if client == "suite-public" {
            form.push(("client_id", client));
        } else {
            form.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
            form.push(("client_assertion", assertion));
        }
        let request = self.http.post(format!("{ISSUER}/token")).form(&form);
        self.send(match dpop {
            Some(proof) => request.header("dpop", proof),
            None => request,
        })
        .await
    }

    async fn token(&self, client: &str, form: &[(&str, &str)]) -> Answer {
        self.token_as(client, &self.assertion(client), None, form).await
    }

    async fn redeem(&self, client: &str, redirect_uri: &str, code: &str) -> Answer {
        let form =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri), ("code_verifier", VERIFIER)];
        self.token(client, &form).await
    }

    /// A code for the main client; signs in where that is needed.
    async fn code(&self, changes: &[(&str, &str)]) -> String {
        let mut answer = self.authorize(changes).await;
        if answer.header("location").starts_with(&format!("{ISSUER}/login?")) {
            answer = self.sign_in(&answer).await;
        }
        answer.parameter("code").unwrap_or_else(|| panic!("no code: {} {}", answer.header("location"), answer.body))
    }

    async fn userinfo(&self, scheme: &str, token: &str, dpop: Option<&str>) -> Answer {
        let request =
            self.http.get("https://api.idp.ipsie-conform.test/userinfo").header("authorization", format!("{scheme} {token}"));
        self.send(match dpop {
            Some(proof) => request.header("dpop", proof),
            None => request,
        })
        .await
    }

    async fn hook(&self, name: &str, body: Value) -> Answer {
        let token = &self.embedded.secrets["embedded:hook-token"];
        self.send(self.http.post(format!("{ISSUER}/operator/{name}")).bearer_auth(token).json(&body)).await
    }

    async fn id_token(&self, answer: &Answer) -> Value {
        let jwks = self.get("/jwks").await.json();
        let token = jose::read(answer.json()["id_token"].as_str().unwrap_or_else(|| panic!("{}", answer.body))).unwrap();
        token.verify(&jwks).unwrap();
        token.claims
    }

    #[allow(clippy::needless_pass_by_value)] // Reads well with json!.
    fn proof(&self, key: &SigningKey, claims: Value) -> String {
        let mut full = json!({"htm": "POST", "htu": format!("{ISSUER}/token"), "iat": self.now(), "jti": random(9)});
        for (name, value) in claims.as_object().unwrap() {
            full[name] = value.clone();
        }
        let mut jwk = key.jwk().clone();
        for name in ["kid", "alg", "use"] {
            jwk.as_object_mut().unwrap().remove(name);
        }
        key.sign_bytes(&json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}), full.to_string().as_bytes())
    }
}

fn parameters(changes: &[(&str, &str)]) -> http::Pairs {
    let challenge = sha256_b64(VERIFIER);
    let base = [
        ("client_id", "suite-main"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid"),
        ("state", "s%2Bt"),
        ("nonce", "n-0123456789-0123456789-0123456789-0123456789-0123456789-0123456"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let changed = |name: &str| changes.iter().any(|(other, _)| *other == name);
    let kept = base.iter().filter(|(name, _)| !changed(name));
    kept.chain(changes).filter(|(_, value)| !value.is_empty()).map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

mod classes;
mod defects;
mod flow;
mod refusals;
