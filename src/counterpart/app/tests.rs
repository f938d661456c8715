//! The application from the outside: a provider whose every word the test chooses, and hand-driven browsers.

use super::*;
use crate::counterpart::embedded_app::{CLIENT_ID, EmbeddedApp, ProviderFor, SECOND_CLIENT_ID, embedded_app};
use crate::counterpart::op::ACR;
use crate::wire::jose::{self, sha256_b64};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::sync::OnceLock;

mod accounts;
mod commands;
mod id_tokens;
mod logins;
mod provider;
mod reference_op;
mod roles;
mod sessions;
mod surface;
mod transport;

use provider::Provider;

const ISSUER: &str = "https://op.test";
const SECOND: &str = "https://second.test";

/// RSA keys take long to make; all tests share them.
fn keys() -> &'static AppKeys {
    static KEYS: OnceLock<AppKeys> = OnceLock::new();
    KEYS.get_or_init(|| AppKeys::generate().unwrap())
}

struct World {
    embedded: EmbeddedApp,
    provider: Provider,
    http: reqwest::Client,
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

    fn parameters(&self) -> HashMap<String, String> {
        let url = Url::parse(self.header("location")).unwrap_or_else(|_| panic!("no redirect: {} {}", self.status, self.body));
        url.query_pairs().into_owned().collect()
    }

    fn text_of(&self, id: &str) -> Option<String> {
        let rest = self.body.split_once(&format!("id=\"{id}\">"))?.1;
        rest.split_once('<').map(|(text, _)| text.to_owned())
    }
}

/// A cookie jar for the application.
#[derive(Clone, Default)]
struct Browser(Arc<Mutex<BTreeMap<String, String>>>);

impl Browser {
    fn copy(&self) -> Browser {
        Browser(Arc::new(Mutex::new(self.0.lock().unwrap().clone())))
    }
}

async fn world(defects: &[Defect]) -> World {
    let ca = Arc::new(TestCa::new("test ca").unwrap());
    let provider = Provider::start(ca.clone()).await;
    let at = ["op.test", "second.test", "api.op.test"].map(|host| (format!("{host}:443"), provider.addr()));
    let whom = ProviderFor {
        roots: vec![ca.der().to_vec()],
        resolve: at.into(),
        tenant: String::new(),
        ..ProviderFor::new(ISSUER, Some(SECOND))
    };
    let embedded = embedded_app("127.0.0.1:0", ca.clone(), keys(), &whom, defects).await.unwrap();
    let http = client(&ca, &[(HOST, embedded.app.addr), (API_HOST, embedded.app.addr)]);
    World { embedded, provider, http }
}

fn client(ca: &TestCa, resolve: &[(&str, SocketAddr)]) -> reqwest::Client {
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(ca.der().to_vec().into()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let tls = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder =
        reqwest::Client::builder().tls_backend_preconfigured(tls).redirect(reqwest::redirect::Policy::none()).no_proxy();
    resolve.iter().fold(builder, |builder, (host, addr)| builder.resolve(host, *addr)).build().unwrap()
}

async fn send(browser: &Browser, request: reqwest::RequestBuilder) -> Answer {
    let cookies: Vec<String> = browser.0.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let response = request.header("cookie", cookies.join("; ")).send().await.unwrap();
    for set in response.headers().get_all("set-cookie") {
        let set = set.to_str().unwrap();
        let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
        if set.contains("Max-Age=0") {
            browser.0.lock().unwrap().remove(name);
        } else {
            browser.0.lock().unwrap().insert(name.to_owned(), value.to_owned());
        }
    }
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: response.text().await.unwrap() }
}

impl World {
    fn url(path: &str) -> String {
        if path.starts_with("https:") { path.to_owned() } else { format!("https://{HOST}{path}") }
    }

    async fn get(&self, browser: &Browser, path: &str) -> Answer {
        send(browser, self.http.get(World::url(path))).await
    }

    async fn post(&self, browser: &Browser, path: &str, form: &[(&str, &str)]) -> Answer {
        send(browser, self.http.post(World::url(path)).form(form)).await
    }

    /// POST to a back-channel endpoint.
    async fn back(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        send(&Browser::default(), self.http.post(format!("https://{API_HOST}{path}")).form(form)).await
    }

    /// Begins a login; the parameters of its authorization request, with the place it went to as `to`.
    async fn begin(&self, browser: &Browser, path: &str) -> HashMap<String, String> {
        let redirect = self.get(browser, path).await;
        let mut asked = redirect.parameters();
        asked.insert("to".into(), redirect.header("location").split('?').next().unwrap().to_owned());
        asked
    }

    /// The response URL to an authorization request: its code carries what the token endpoint will need.
    fn response(&self, asked: &HashMap<String, String>) -> String {
        let issuer = asked["to"].trim_end_matches("/authorize");
        let code = self.provider.issue(issuer, asked);
        format!("/callback?{}", http::encode([("code", code.as_str()), ("state", asked["state"].as_str()), ("iss", issuer)]))
    }

    /// A whole login from `/login`; the account shown afterwards.
    async fn login(&self, browser: &Browser) -> Option<String> {
        self.login_from(browser, "/login").await
    }

    async fn login_from(&self, browser: &Browser, path: &str) -> Option<String> {
        let asked = self.begin(browser, path).await;
        self.get(browser, &self.response(&asked)).await;
        self.account(browser).await
    }

    /// Who the browser is signed in as, by the page.
    async fn account(&self, browser: &Browser) -> Option<String> {
        let page = self.get(browser, "/protected").await;
        assert_eq!(page.text_of("signed-in").is_some(), page.status == 200);
        page.text_of("account")
    }

    fn secret(&self, name: &str) -> &str {
        &self.embedded.secrets[&format!("embedded:{name}")]
    }

    fn now(&self) -> i64 {
        self.embedded.app.app.now()
    }
}
