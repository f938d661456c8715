//! A small service with every kind of login page, for the tests of both agents.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, rustls};

use super::AgentConfig;

/// The service's origin.
pub(super) const IDP: &str = "http://idp.target.test";
/// The suite's origin.
pub(super) const SUITE: &str = "http://rp.suite.test";
pub(super) const NAME: &str = "alice@example.test";
pub(super) const PASSWORD: &str = "corr&ect \"horse\" 42";
/// Base32 of the one-time code's key.
pub(super) const TOTP: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// One received request.
#[derive(Clone, Debug, Default)]
pub(super) struct Got {
    pub method: String,
    /// `http://host/path?query`.
    pub url: String,
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Got {
    fn form(&self, name: &str) -> String {
        let mut fields = url::form_urlencoded::parse(self.body.as_bytes());
        fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }
}

/// The running service; it ends with the test's runtime.
pub(super) struct Fixture {
    pub address: SocketAddr,
    /// DER of the CA and of the leaf, for a service with TLS.
    pub certificates: Option<(Vec<u8>, Vec<u8>)>,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Fixture {
    pub(super) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// With TLS, and a CA of its own.
    pub(super) async fn start_tls() -> Self {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new([]).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let names = ["idp.target.test".to_owned(), "rp.suite.test".to_owned()];
        let leaf = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let private = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], private).unwrap();
        let mut fixture = Self::start_with(Some(TlsAcceptor::from(Arc::new(config)))).await;
        fixture.certificates = Some((ca_certificate.der().to_vec(), leaf.der().to_vec()));
        fixture
    }

    async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (all, tls) = (Arc::clone(&all), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => serve(tls.accept(stream).await.ok()?, all).await,
                        None => serve(stream, all).await,
                    }
                });
            }
        });
        Fixture { address, certificates: None, got }
    }

    /// What arrived at a path so far.
    pub(super) fn got(&self, path: &str) -> Vec<Got> {
        self.got.lock().unwrap().iter().filter(|got| got.path == path).cloned().collect()
    }

    pub(super) fn config(&self) -> AgentConfig {
        let to = self.address.to_string();
        AgentConfig {
            own_origins: Vec::new(),
            suite_hosts: vec!["rp.suite.test".into()],
            resolve: ["*.target.test:80", "rp.suite.test:80", "*.target.test:443", "rp.suite.test:443"]
                .map(|from| (from.to_owned(), to.clone()))
                .to_vec(),
            roots: Vec::new(),
            leaves: Vec::new(),
            deadline: Duration::from_secs(10),
            headed: false,
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, all: Arc<Mutex<Vec<Got>>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let mut parts = line.split_whitespace().map(str::to_owned);
        let mut got = Got { method: parts.next()?, path: parts.next()?, ..Got::default() };
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            got.headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = got.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        got.body = String::from_utf8(body).ok()?;
        got.url = format!("http://{}{}", got.headers.get("host")?, got.path);
        got.path = got.path.split('?').next()?.to_owned();
        let answer = if got.headers["host"].starts_with("rp.suite") { suite(&got) } else { idp(&got) };
        if got.path.starts_with("/slow") {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        all.lock().unwrap().push(got);
        stream.get_mut().write_all(answer.as_bytes()).await.ok()?;
    }
}

fn answer(status: &str, headers: &[&str], body: &str) -> String {
    let mut text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text + "\r\n" + body
}

fn html(body: &str) -> String {
    let page = format!("<!doctype html><html><head><title>Fixture</title></head><body>{body}</body></html>");
    answer("200 OK", &["content-type: text/html; charset=utf-8"], &page)
}

fn to(location: &str) -> String {
    answer("302 Found", &[&format!("location: {location}"), "set-cookie: a=1; Path=/", "set-cookie: b=2; HttpOnly"], "")
}

fn suite(_got: &Got) -> String {
    html("back at the application")
}

const CALLBACK: &str = "http://rp.suite.test/cb?code=c0de&state=s";

const USER: &str = "<label for=u>E-mail address</label><input id=u name=login type=email autocomplete=username>";
const PASS: &str = "<label>Password <input name=pw type=password></label>";

fn idp(got: &Got) -> String {
    let right = got.form("pw") == PASSWORD;
    match (got.method.as_str(), got.path.as_str()) {
        (_, "/silent") => to(CALLBACK),
        (_, "/static") => html("<h1>Nothing to do</h1><a href=/silent>go on</a>"),
        (_, "/fragment") => to("http://rp.suite.test/cb#code=c0de&state=s"),
        (_, "/chain/0") => html("the end"),
        (_, "/chain/1") => to("/chain/0"),
        (_, "/chain/2") => to("/chain/1"),
        (_, "/chain/3") => to("/chain/2?x=1"),
        (_, "/loop") => to("/loop"),
        (_, "/204") => answer("204 No Content", &[], ""),
        (_, "/download") => answer("200 OK", &["content-type: application/zip", "content-disposition: attachment"], "PK"),
        (_, "/alert") => html("<script>alert('hello')</script>said hello"),
        (_, "/json") => answer("400 Bad Request", &["content-type: application/json"], r#"{"error":"invalid_request"}"#),
        (_, "/refresh") => html(&format!("<meta http-equiv=refresh content=\"0; url={CALLBACK}\">")),
        (_, "/passkey") => html(
            "<script>setTimeout(async () => {
               const publicKey = { challenge: new Uint8Array(16), userVerification: 'required' };
               const got = await navigator.credentials.get({ publicKey });
               document.body.insertAdjacentHTML('beforeend', `<p id=signed>${got.id}</p>`);
             })</script>",
        ),
        (_, "/custom") => to("com.example.app:/cb?code=c0de"),
        (_, "/basic") => answer("401 Unauthorized", &["www-authenticate: Basic realm=x"], "who are you?"),
        (_, "/busy") => html("<script>setTimeout(() => { for (;;) {} }, 0)</script>"),
        (_, "/hsts") => answer("200 OK", &["strict-transport-security: max-age=600", "content-type: text/html"], "secure"),
        (_, "/secure") => answer("302 Found", &["location: https://rp.suite.test/cb?code=c0de&state=s"], ""),
        (_, "/mixed") => answer("302 Found", &["location: http://idp.target.test/secure"], ""),
        (_, "/slow") => html("at last"),
        (_, "/formpost") => html(
            "<form id=f method=post action='http://rp.suite.test/cb'><input type=hidden name=code value='a&b=c'>\
             <input type=hidden name=state value=s><noscript><button>Go on</button></noscript></form>\
             <script>document.getElementById('f').submit()</script>",
        ),
        (_, "/cors") => answer(
            "200 OK",
            &["access-control-allow-origin: http://app.target.test", "access-control-allow-credentials: true"],
            "{}",
        ),
        (_, "/nocors") => answer("200 OK", &[], "{}"),
        ("GET", "/cookies") => {
            let set = ["lax", "none", "strict"].map(|kind| format!("set-cookie: {kind}=1; Path=/; SameSite={kind}"));
            answer("200 OK", &[&set[0], "set-cookie: old=1; Max-Age=0", &set[2], "set-cookie: deep=1; Path=/other"], "set")
        }
        ("POST" | "GET", "/shown") => html(&format!("<p id=cookies>{}</p>", got.headers.get("cookie").map_or("", |c| c))),
        // One step.
        ("GET", "/one") => html(&one("")),
        ("POST", "/one") if got.form("login") == NAME && right => to(CALLBACK),
        ("POST", "/one") => html(&one("Wrong password")),
        // Two steps, then a one-time code, a stay-signed-in prompt and a consent page.
        ("GET", "/two") => html(&format!(
            "<form method=post action=/two/name>{USER}<button type=button>Create an account</button><button>Next</button></form>"
        )),
        ("POST", "/two/name") => to("/two/password"),
        ("GET", "/two/password") => {
            html(&format!("<form method=post action=/two/password>{PASS}<button>Sign in</button></form>"))
        }
        ("POST", "/two/password") if right => to("/two/code"),
        ("GET", "/two/code") => html(
            "<form method=post action=/two/code><label for=c>Code from your app</label>\
             <input id=c name=otp inputmode=numeric maxlength=6><input type=submit value=Verify></form>",
        ),
        ("POST", "/two/code") if got.form("otp").len() == 6 => to("/two/stay"),
        ("GET", "/two/stay") => html(
            "<form method=post action=/two/stay>Stay signed in?<button name=stay value=no>No</button><button name=stay value=yes>Yes</button></form>",
        ),
        ("POST", "/two/stay") => to("/two/consent"),
        ("GET", "/two/consent") => html(
            "<form method=post action=/two/consent>App wants your profile<button name=do value=deny>Cancel</button>\
             <button name=do value=allow>Allow</button></form>",
        ),
        ("POST", "/two/consent") if got.form("do") == "allow" => to(CALLBACK),
        // An account chooser in front of a password.
        ("GET", "/choose") => html(&format!("<a href=/two/password>{NAME}</a> <a href=/two>Use another account</a>")),
        // Rendered and sent by scripts only, in the manner of a framework that owns the values.
        ("GET", "/js") => html(SINGLE_PAGE),
        ("POST", "/js/api") => {
            let body: serde_json::Value = serde_json::from_str(&got.body).unwrap_or_default();
            let right = body["user"] == NAME && body["pass"] == PASSWORD;
            let next = if right { CALLBACK } else { "" };
            answer("200 OK", &["content-type: application/json"], &format!(r#"{{"next":"{next}"}}"#))
        }
        // A login that only ever shows itself again.
        (_, "/stuck") => html("<form method=post action=/stuck><input name=nickname><button>Maybe</button></form>"),
        _ => answer("404 Not Found", &["content-type: text/html"], "no such page"),
    }
}

fn one(error: &str) -> String {
    format!(
        "<p>{error}</p><form action=/find><input name=q placeholder=Search></form>\
         <form method=post action=/one><input type=hidden name=csrf value=t0ken>{USER}{PASS}\
         <label><input type=checkbox name=remember value=1>Remember me</label>\
         <button type=button>Show password</button><button type=submit>Sign in</button></form><a href=/forgot>Forgot password?</a>"
    )
}

const SINGLE_PAGE: &str = "<div id=app></div><script>
setTimeout(() => {
  const state = {};
  const app = document.getElementById('app');
  app.innerHTML = '<input id=name placeholder=Username><button id=next>Next</button>';
  document.getElementById('name').addEventListener('input', e => { state.user = e.target.value; });
  document.getElementById('next').addEventListener('click', () => setTimeout(() => {
    app.innerHTML = '<form id=f><input type=password id=pass aria-label=Password><button>Log in</button></form>';
    document.getElementById('pass').addEventListener('input', e => { state.pass = e.target.value; });
    document.getElementById('f').addEventListener('submit', async e => {
      e.preventDefault();
      const answer = await (await fetch('/js/api', { method: 'POST', body: JSON.stringify(state) })).json();
      if (answer.next) location.href = answer.next; else app.append('Wrong password');
    });
  }, 50));
}, 50);
</script>";
