//! Redaction, at the moment evidence is recorded: no password, client secret, private key, cookie value or live token
//! ever reaches a file.

use std::sync::{LazyLock, RwLock};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memmem::Finder;
use serde_json::Value;

use crate::model::Message;
use crate::wire::jose::random;
use crate::wire::seen::PROTOCOL_CLAIMS;

/// Parameters and JSON members whose values are replaced by a digest wherever they stand.
const SENSITIVE: [&str; 18] = [
    "access_token",
    "refresh_token",
    "id_token",
    "id_token_hint",
    "code",
    "code_verifier",
    "client_secret",
    "client_assertion",
    "password",
    "token",
    "request",
    "logout_token",
    "registration_access_token",
    "device_code",
    "otp",
    "assertion",
    "subject_token",
    "passkey",
];

/// Claims of DPoP proofs and assertions whose values may be shown besides those of ID tokens; every other claim is somebody's attribute.
const PROOF_CLAIMS: [&str; 6] = ["htu", "htm", "ath", "cnf", "scope", "idp"];

/// Knows the secrets the user gave, and what a secret looks like.
#[derive(Debug, Default)]
pub struct Redactor {
    secrets: RwLock<Vec<Secret>>,
}

/// A value that must not reach a file. Every text is searched for every one of them, so what a search needs is made once.
#[derive(Debug)]
struct Secret {
    value: Finder<'static>,
    /// What it is.
    name: String,
}

impl Secret {
    fn new(value: &str, name: &str) -> Self {
        Secret { value: Finder::new(value.as_bytes()).into_owned(), name: name.to_owned() }
    }

    /// The text with the name in place of every occurrence; none where there is no occurrence.
    fn replaced(&self, text: &str) -> Option<String> {
        let first = self.value.find(text.as_bytes())?;
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut at = Some(first);
        while let Some(start) = at {
            out.push_str(&rest[..start]);
            out.push_str(&format!("[{}]", self.name));
            rest = &rest[start + self.value.needle().len()..];
            at = self.value.find(rest.as_bytes());
        }
        out.push_str(rest);
        Some(out)
    }
}

impl Redactor {
    /// Never let this value reach a file; `name` stands in its place. Values shorter than four characters are not
    /// searched for (they would hide half of every page); their fields are redacted by name.
    pub fn hide(&self, value: &str, name: &str) {
        if value.len() < 4 {
            return;
        }
        let mut secrets = self.secrets.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !secrets.iter().any(|known| known.value.needle() == value.as_bytes()) {
            let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            secrets.push(Secret::new(value, name));
            if encoded != value {
                secrets.push(Secret::new(&encoded, name));
            }
            // The longest first, so that a secret that contains another one is replaced whole.
            secrets.sort_by_key(|secret| std::cmp::Reverse(secret.value.needle().len()));
        }
    }

    /// Replaces the user's secrets in any text.
    pub fn text(&self, text: &str) -> String {
        let secrets = self.secrets.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut out = text.to_owned();
        for secret in secrets.iter() {
            if let Some(replaced) = secret.replaced(&out) {
                out = replaced;
            }
        }
        parameters(&jwts(&private_keys(&out)))
    }

    /// A URL with sensitive query and fragment parameters replaced.
    pub fn url(&self, url: &str) -> String {
        let (rest, fragment) = url.split_once('#').map_or((url, None), |(rest, fragment)| (rest, Some(fragment)));
        let (base, query) = rest.split_once('?').map_or((rest, None), |(base, query)| (base, Some(query)));
        let mut out = base.to_owned();
        if let Some(query) = query {
            out.push('?');
            out.push_str(&form(query));
        }
        if let Some(fragment) = fragment {
            out.push('#');
            out.push_str(&form(fragment));
        }
        self.text(&out)
    }

    /// Header fields: cookies keep their names, credentials keep their scheme.
    pub fn headers(&self, headers: &[(String, String)]) -> Vec<(String, String)> {
        headers
            .iter()
            .map(|(name, value)| {
                let name = name.to_ascii_lowercase();
                let value = match name.as_str() {
                    "cookie" => value.split("; ").map(cookie).collect::<Vec<_>>().join("; "),
                    "set-cookie" => match value.split_once(';') {
                        Some((pair, attributes)) => format!("{};{attributes}", cookie(pair)),
                        None => cookie(value),
                    },
                    "authorization" | "proxy-authorization" => match value.split_once(' ') {
                        Some((scheme, credentials)) => format!("{scheme} {}", mark(credentials)),
                        None => mark(value),
                    },
                    "dpop" => describe_jwt(value).unwrap_or_else(|| mark(value)),
                    "location" | "referer" => self.url(value),
                    // Challenges name schemes and realms, not credentials.
                    "www-authenticate" => self.text(value),
                    name if speaking(name) => mark(value),
                    _ => self.text(value),
                };
                (name, value)
            })
            .collect()
    }

    /// A body, by its media type; cut to 64 KiB.
    pub fn body(&self, media_type: &str, body: &str) -> String {
        let mut text = if media_type.contains("json") || body.trim_start().starts_with('{') {
            match serde_json::from_str::<Value>(body) {
                Ok(value) => serde_json::to_string_pretty(&json(value)).unwrap_or_default(),
                Err(_) => body.to_owned(),
            }
        } else if media_type.contains("x-www-form-urlencoded") {
            form(body)
        } else if media_type.contains("html") {
            hidden_inputs(body)
        } else {
            body.to_owned()
        };
        text = self.text(&text);
        if text.len() > 65_536 {
            let mut end = 65_536;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text.push_str("\n[cut at 64 KiB]");
        }
        text
    }

    /// A whole message.
    pub fn message(&self, headers: &[(String, String)], body: Option<&[u8]>) -> Message {
        let media_type =
            headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map_or("", |(_, value)| value.as_str());
        Message {
            headers: self.headers(headers),
            body: body.filter(|body| !body.is_empty()).map(|body| self.body(media_type, &String::from_utf8_lossy(body))),
        }
    }
}

/// Keys the digests, so that a weak password cannot be guessed from its own.
static SALT: LazyLock<String> = LazyLock::new(|| random(32));

/// `[sha256:0123456789ab]`: tells two values of one run apart without showing either.
pub fn mark(value: &str) -> String {
    let hash = digest(&SHA256, format!("{}{value}", *SALT).as_bytes());
    let hex: String = hash.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("[sha256:{hex}]")
}

fn cookie(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, value)) => format!("{name}={}", mark(value)),
        None => mark(pair),
    }
}

fn sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SENSITIVE.contains(&name.as_str()) || speaking(&name)
}

/// Names that say themselves that they hold a secret, in whatever spelling: `sessionToken`, `client-secret`, `pwd`. Metadata members
/// such as `token_endpoint` only speak of one.
fn speaking(name: &str) -> bool {
    let bare: String = name.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    let about = ["supported", "endpoint", "type", "alg", "expiresin", "required"].iter().any(|end| bare.ends_with(end));
    let holds = ["password", "passwd", "passcode", "secret", "apikey"].iter().any(|word| bare.contains(word));
    (holds && !about) || bare.ends_with("token") || bare.ends_with("tokenhint") || matches!(bare.as_str(), "pwd" | "pin" | "totp")
}

fn form(text: &str) -> String {
    text.split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if sensitive(name) && !value.is_empty() => {
                format!("{name}={}", describe_jwt(value).unwrap_or_else(|| mark(value)))
            }
            _ => pair.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("&")
}

fn json(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let value = match value {
                        Value::String(text) if sensitive(&name) => {
                            Value::String(describe_jwt(&text).unwrap_or_else(|| mark(&text)))
                        }
                        Value::Array(items) if sensitive(&name) => Value::Array(
                            items
                                .into_iter()
                                .map(|item| match item {
                                    Value::String(text) => Value::String(mark(&text)),
                                    other => json(other),
                                })
                                .collect(),
                        ),
                        // Private members of a JWK: their presence is the finding, their value must not be kept.
                        Value::String(text)
                            if ["d", "p", "q", "dp", "dq", "qi", "k"].contains(&name.as_str()) && text.len() > 8 =>
                        {
                            Value::String("[private key material]".into())
                        }
                        other => json(other),
                    };
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(json).collect()),
        other => other,
    }
}

/// A JWT as evidence: header, protocol claims, names of the rest, and a digest in place of the signature.
fn describe_jwt(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('.').collect();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.first()?).ok()?).ok()?;
    header.get("alg")?;
    match parts.len() {
        3 => {
            let claims = match serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(parts[1]).ok()?) {
                Ok(Value::Object(claims)) => Value::Object(
                    claims
                        .into_iter()
                        .map(|(name, value)| {
                            let open = PROTOCOL_CLAIMS.contains(&name.as_str()) || PROOF_CLAIMS.contains(&name.as_str());
                            (name, if open { value } else { Value::String("[attribute]".into()) })
                        })
                        .collect(),
                ),
                _ => Value::String("[not JSON]".into()),
            };
            Some(format!("[jwt {header} {claims} signature {}]", mark(parts[2])))
        }
        5 => Some(format!("[jwe {header} {}]", mark(text))),
        _ => None,
    }
}

/// Replaces JWTs that stand in running text.
fn jwts(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("eyJ") {
        let tail = &rest[start..];
        let end = tail.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))).unwrap_or(tail.len());
        out.push_str(&rest[..start]);
        match describe_jwt(&tail[..end]) {
            Some(described) => out.push_str(&described),
            None => out.push_str(&tail[..end]),
        }
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

/// Replaces sensitive parameters of URLs in running text: many servers repeat a redirect's target in its body.
fn parameters(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('=') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let name = &before[before.trim_end_matches(named).len()..];
        let start = before.len() - name.len();
        // An ampersand may be written `&amp;`, or as an escape of JSON.
        let name = name.rsplit("u0026").next().unwrap_or(name);
        let lead = &before[..start];
        let in_url = lead.ends_with(['?', '&', '#', ';', '\\'])
            || (speaking(name) && (lead.is_empty() || lead.ends_with([' ', '\n', '\t', ',', '"', '\''])));
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '&' | '#' | '"' | '\'' | '<' | '>' | '\\' | ';'))
            .unwrap_or(after.len());
        out.push_str(&rest[..=at]);
        let value = &after[..end];
        if in_url && sensitive(name) && !value.is_empty() && !value.starts_with('[') {
            out.push_str(&mark(value));
        } else {
            out.push_str(value);
        }
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

/// PEM private keys.
fn private_keys(text: &str) -> String {
    const END: &str = "PRIVATE KEY-----";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(end) =
        rest.find(END).and_then(|begin| rest[begin + END.len()..].find(END).map(|more| begin + END.len() + more + END.len()))
    {
        let begin = rest.find("-----BEGIN").unwrap_or(0);
        out.push_str(&rest[..begin.min(end)]);
        out.push_str("[private key]");
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Values of hidden inputs (CSRF tokens, form_post codes) in a page.
fn hidden_inputs(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(start) = rest.find("<input") {
        let tail = &rest[start..];
        let end = tail.find('>').map_or(tail.len(), |end| end + 1);
        let tag = &tail[..end];
        out.push_str(&rest[..start]);
        let hidden = tag.contains("hidden");
        let quoted =
            ['"', '\''].into_iter().find_map(|quote| tag.split_once(&format!("value={quote}")).map(|parts| (parts, quote)));
        match quoted.filter(|_| hidden) {
            Some(((before, after), quote)) => {
                let (value, after) = after.split_once(quote).unwrap_or((after, ""));
                let shown = if value.len() > 8 { mark(value) } else { value.to_owned() };
                out.push_str(&format!("{before}value={quote}{shown}{quote}{after}"));
            }
            None => out.push_str(tag),
        }
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_wherever_it_stands() {
        let redactor = Redactor::default();
        redactor.hide("p@ss word", "password of alice");
        assert_eq!(redactor.text("x p@ss word y"), "x [password of alice] y");
        assert_eq!(redactor.url("https://a/?next=p%40ss+word"), "https://a/?next=[password of alice]");
    }

    #[test]
    fn tokens_codes_and_cookies_become_digests() {
        let redactor = Redactor::default();
        let url = redactor.url("https://rp/cb?code=abc&state=s&iss=https://op");
        assert!(url.contains("code=[sha256:") && url.contains("state=s") && url.contains("iss=https://op"), "{url}");
        let headers = redactor
            .headers(&[("Set-Cookie".into(), "sid=secret; HttpOnly".into()), ("Authorization".into(), "Bearer abcdef".into())]);
        assert!(headers[0].1.starts_with("sid=[sha256:") && headers[0].1.ends_with("; HttpOnly"));
        assert!(headers[1].1.starts_with("Bearer [sha256:"));
        let body = redactor.body("application/json", r#"{"access_token":"abc","token_type":"Bearer"}"#);
        assert!(!body.contains("abc") && body.contains("Bearer"));
    }

    #[test]
    fn codes_in_the_body_of_a_redirect_become_digests() {
        let redactor = Redactor::default();
        for body in [
            "Redirecting to <a href=\"https://rp/cb?state=s&amp;code=secret-1\">https://rp/cb?code=secret-1&state=s</a>.",
            r#"{"next":"https://rp/cb?state=s\u0026code=secret-1","code_challenge":"x"}"#,
            r#"<script>go("https:\/\/rp\/cb?state=s\u0026code=secret-1")</script>"#,
        ] {
            for media in ["text/html", "text/plain", "application/json"] {
                let shown = redactor.body(media, body);
                assert!(!shown.contains("secret-1") && shown.contains("state=s"), "{media}: {shown}");
            }
        }
        assert_eq!(redactor.text("a = b; code = c, discode=d"), "a = b; code = c, discode=d");
    }

    #[test]
    fn an_id_token_keeps_protocol_claims_and_loses_attributes_and_signature() {
        let enc = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = format!("{}.{}.c2ln", enc(r#"{"alg":"ES256"}"#), enc(r#"{"sub":"u1","email":"a@b.c"}"#));
        let shown = Redactor::default().text(&format!("token {token}!"));
        assert!(shown.contains("\"sub\":\"u1\"") && !shown.contains("a@b.c") && !shown.contains("c2ln"), "{shown}");
    }

    #[test]
    fn secrets_in_other_spellings_are_hidden() {
        let redactor = Redactor::default();
        for text in [
            "client_secret=abcdef0123",
            "{\"sessionToken\": \"abcdef0123\"}",
            "{\"refreshTokens\": 1, \"passcode\": [\"abcdef0123\"]}",
            "<input type='hidden' name='x' value='abcdef0123'>",
            "location.replace('https://rp/cb?code=abcdef0123')",
            "-----BEGIN PRIVATE KEY-----\nabcdef0123\n-----END PRIVATE KEY-----",
        ] {
            for media_type in ["application/json", "text/html", "text/plain"] {
                if media_type == "text/plain" && text.starts_with(['{', '<']) {
                    continue;
                }
                if media_type == "application/json" && text.starts_with('<') {
                    continue;
                }
                assert!(!redactor.body(media_type, text).contains("abcdef0123"), "{media_type}: {text}");
            }
        }
        assert!(!redactor.headers(&[("X-Api-Key".into(), "abcdef0123".into())])[0].1.contains("abcdef"));
        let metadata = r#"{"token_endpoint":"https://op/token","token_endpoint_auth_methods_supported":["private_key_jwt"]}"#;
        let shown = redactor.body("application/json", metadata);
        assert!(shown.contains("https://op/token") && shown.contains("private_key_jwt"), "{shown}");
    }

    #[test]
    fn private_jwk_members_are_not_kept() {
        let body = Redactor::default().body("application/json", r#"{"keys":[{"kty":"EC","d":"0123456789abcdef"}]}"#);
        assert!(!body.contains("0123456789abcdef") && body.contains("\"d\""));
    }
}
