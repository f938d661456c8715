//! A provider that says what the test wants: two issuers, one process.

use super::*;
use crate::stage::listener::{FirstBytes, TlsFront, TlsShape};
use jsonwebtoken::Algorithm;

/// Changes what is about to be said.
pub type Change = Box<dyn Fn(&mut Value) + Send + Sync>;

/// A request: host and path, form, headers.
pub type Received = (String, Vec<(String, String)>, HeaderMap);
/// All of them, in order.
pub type Requests = Vec<Received>;
/// Makes another text of a signed ID token; also gets its claims.
pub type Rewrite = Box<dyn Fn(String, &Value) -> String + Send + Sync>;

pub struct Inner {
    pub key: Mutex<SigningKey>,
    pub jwks: Mutex<Value>,
    pub codes: Mutex<HashMap<String, Value>>,
    pub requests: Mutex<Requests>,
    pub metadata: Mutex<Option<Change>>,
    pub claims: Mutex<Option<Change>>,
    pub header: Mutex<Value>,
    /// Makes something else of the signed ID token.
    pub token: Mutex<Option<Rewrite>>,
    pub response: Mutex<Option<Change>>,
    pub userinfo: Mutex<Option<Change>>,
    /// Nonces to demand at the token endpoint and at UserInfo.
    pub nonces: Mutex<[Option<String>; 2]>,
    pub refresh_status: Mutex<u16>,
    pub check_verifier: Mutex<bool>,
    pub skew: Mutex<i64>,
}

pub struct Provider {
    pub inner: Arc<Inner>,
    front: TlsFront,
    pub ca: Arc<TestCa>,
    upstream: AsyncServer,
}

impl std::ops::Deref for Provider {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl Provider {
    pub async fn start(ca: Arc<TestCa>) -> Provider {
        let key = SigningKey::generate("op-1", Algorithm::ES256).unwrap();
        let inner = Arc::new(Inner {
            jwks: Mutex::new(json!({"keys": [key.jwk()]})),
            key: Mutex::new(key),
            codes: Mutex::default(),
            requests: Mutex::default(),
            metadata: Mutex::default(),
            claims: Mutex::default(),
            header: Mutex::new(json!({})),
            token: Mutex::default(),
            response: Mutex::default(),
            userinfo: Mutex::default(),
            nonces: Mutex::default(),
            refresh_status: Mutex::new(200),
            check_verifier: Mutex::new(true),
            skew: Mutex::default(),
        });
        let shared = inner.clone();
        let upstream = AsyncServer::start("127.0.0.1:0", move |raw| {
            let reply = shared.answer(raw);
            Box::pin(async move { http::response(reply) })
        })
        .await
        .unwrap();
        let front = TlsFront::start(ca.clone(), "127.0.0.1:0", upstream.addr, TlsShape::default(), None).await.unwrap();
        Provider { inner, front, ca, upstream }
    }

    pub fn addr(&self) -> SocketAddr {
        self.front.addr
    }

    /// Another TLS endpoint in place of the first: other certificates, or a look at the first bytes. The address stays.
    pub async fn reshape(&mut self, ca: Arc<TestCa>, shape: TlsShape, first: Option<FirstBytes>) {
        let addr = self.front.addr;
        let spare = TlsFront::start(ca.clone(), "127.0.0.1:0", self.upstream.addr, TlsShape::default(), None).await.unwrap();
        drop(std::mem::replace(&mut self.front, spare));
        for _ in 0..200 {
            let shape = TlsShape { instead: shape.instead.clone(), suites: shape.suites.clone() };
            if let Ok(front) = TlsFront::start(ca.clone(), &addr.to_string(), self.upstream.addr, shape, first.clone()).await {
                self.front = front;
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the address is not free again");
    }
}

impl Inner {
    pub fn say(&self, place: &Mutex<Option<Change>>, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        *place.lock().unwrap() = Some(Box::new(change));
    }

    pub fn issue(&self, issuer: &str, asked: &HashMap<String, String>) -> String {
        let code = random(12);
        self.codes.lock().unwrap().insert(code.clone(), json!({"issuer": issuer, "asked": asked}));
        code
    }

    pub fn now(&self) -> i64 {
        Timestamp::now().as_second() + *self.skew.lock().unwrap()
    }

    pub fn paths(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().map(|(path, ..)| path.clone()).collect()
    }

    /// The forms sent to the token endpoint.
    pub fn forms(&self) -> Vec<HashMap<String, String>> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|(path, ..)| path.ends_with("/token")).map(|(_, form, _)| form.iter().cloned().collect()).collect()
    }

    pub fn id_token(&self, issuer: &str, nonce: Option<&str>) -> String {
        let client = if issuer == ISSUER { CLIENT_ID } else { SECOND_CLIENT_ID };
        let now = self.now();
        let mut claims = json!({
            "iss": issuer, "sub": "s1", "aud": client, "iat": now, "exp": now + 300, "auth_time": now, "acr": ACR,
            "amr": ["pwd", "otp"], "session_expiry": now + 3600, "sid": "sid-1", "email": "u1@example.test", "name": "User One",
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        if let Some(change) = &*self.claims.lock().unwrap() {
            change(&mut claims);
        }
        let signed = self.key.lock().unwrap().sign(&self.header.lock().unwrap(), &claims);
        match &*self.token.lock().unwrap() {
            Some(change) => change(signed, &claims),
            None => signed,
        }
    }

    fn answer(&self, raw: Request<Bytes>) -> http::Reply {
        let headers = raw.headers().clone();
        let host = headers["host"].to_str().unwrap().to_owned();
        let request = http::In::read(raw);
        let issuer = format!("https://{}", host.trim_start_matches("api."));
        let place = format!("{host}{}{}", request.path, if request.query.is_empty() { "" } else { "?" });
        self.requests.lock().unwrap().push((place, request.form.clone(), headers));
        match request.path.as_str() {
            "/.well-known/openid-configuration" => {
                let mut document = json!({
                    "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"), "token_endpoint": format!("{issuer}/t/token"),
                    "jwks_uri": format!("{issuer}/jwks"), "userinfo_endpoint": "https://api.op.test/userinfo",
                });
                if let Some(change) = &*self.metadata.lock().unwrap() {
                    change(&mut document);
                }
                http::Reply::json(200, &document)
            }
            "/jwks" => http::Reply::json(200, &self.jwks.lock().unwrap()),
            "/t/token" => self.tokens(&issuer, &request),
            "/userinfo" => {
                if let Some(challenge) = self.challenge(1, &request) {
                    return challenge;
                }
                let mut body = json!({"sub": "s1", "name": "User One", "email": "u1@example.test"});
                if let Some(change) = &*self.claims.lock().unwrap() {
                    let mut claims = body.clone();
                    change(&mut claims);
                    body["sub"] = claims["sub"].clone();
                    body["email"] = claims["email"].clone();
                }
                if let Some(change) = &*self.userinfo.lock().unwrap() {
                    change(&mut body);
                }
                http::Reply::json(200, &body)
            }
            _ => http::Reply::status(410),
        }
    }

    fn challenge(&self, place: usize, request: &http::In) -> Option<http::Reply> {
        let nonce = self.nonces.lock().unwrap()[place].clone()?;
        let proof = jose::read(request.header("dpop")?).ok()?;
        if proof.claims["nonce"] == nonce.as_str() {
            return None;
        }
        let status = if place == 0 { 400 } else { 401 };
        let reply = http::Reply::oauth_error(status, "use_dpop_nonce", "once more").with("dpop-nonce", nonce);
        Some(reply.with("www-authenticate", "DPoP error=\"use_dpop_nonce\""))
    }

    fn tokens(&self, issuer: &str, request: &http::In) -> http::Reply {
        if let Some(challenge) = self.challenge(0, request) {
            return challenge;
        }
        let form = |name: &str| http::get(&request.form, name).unwrap_or_default().to_owned();
        let asked = if form("grant_type") == "refresh_token" {
            let status = *self.refresh_status.lock().unwrap();
            if status != 200 {
                return http::Reply::oauth_error(status, "invalid_grant", "no");
            }
            Value::Null
        } else {
            let codes = self.codes.lock().unwrap();
            let Some(entry) = codes.get(&form("code")) else { return http::Reply::oauth_error(400, "invalid_grant", "no") };
            let fits = entry["asked"]["code_challenge"] == sha256_b64(form("code_verifier"));
            if *self.check_verifier.lock().unwrap() && !fits {
                return http::Reply::oauth_error(400, "invalid_grant", "the verifier does not fit");
            }
            entry["asked"].clone()
        };
        let mut body = json!({
            "id_token": self.id_token(issuer, asked["nonce"].as_str()), "access_token": random(16), "refresh_token": random(16),
            "token_type": if request.header("dpop").is_some() { "DPoP" } else { "Bearer" }, "expires_in": 300,
        });
        if let Some(change) = &*self.response.lock().unwrap() {
            change(&mut body);
        }
        http::Reply::json(200, &body)
    }
}
