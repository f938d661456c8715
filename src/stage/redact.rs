//! Redaction, at the moment evidence is recorded: no password, client secret, private key, cookie value or live token
//! ever reaches a file.

use std::sync::{LazyLock, RwLock};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memmem::Finder;
use regex::{Captures, Regex};
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
        named(&credentials(&parameters(&jwts(&private_keys(&out)))))
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
                    name if speaking(name) || name.ends_with("-auth") || name.contains("session") => mark(value),
                    _ => self.text(value),
                };
                (name, value)
            })
            .collect()
    }

    /// A body, by its media type; cut to 64 KiB.
    pub fn body(&self, media_type: &str, body: &str) -> String {
        let mut text = if media_type.contains("json") || body.trim_start().starts_with(['{', '[']) {
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
        let mut headers_shown = self.headers(headers);
        let mut body = body.filter(|body| !body.is_empty()).map(|body| self.body(media_type, &String::from_utf8_lossy(body)));
        // Some servers repeat a cookie's value in a header of their own, or in a script of the page.
        for value in headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).filter_map(cookie_value) {
            for shown in headers_shown.iter_mut().map(|(_, shown)| shown).chain(&mut body) {
                if shown.contains(value) {
                    *shown = shown.replace(value, &mark(value));
                }
            }
        }
        Message { headers: headers_shown, body }
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

/// The value of a `Set-Cookie` that is long enough to be a credential.
fn cookie_value((_, field): &(String, String)) -> Option<&str> {
    let (_, value) = field.split(';').next()?.split_once('=')?;
    Some(value.trim()).filter(|value| value.len() >= 12)
}

fn sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SENSITIVE.contains(&name.as_str()) || speaking(&name)
}

/// Names that say themselves that they hold a secret, in whatever spelling: `sessionToken`, `client-secret`, `pwd`. Metadata members
/// such as `token_endpoint` only speak of one.
pub(crate) fn speaking(name: &str) -> bool {
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
                        // The further primes of an RSA key (RFC 7518 6.3.2.7).
                        Value::Array(_) if name == "oth" => Value::String("[private key material]".into()),
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

/// `"name": "value"`, also in single quotes and escaped within a string.
static MEMBER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(\\?["'])([A-Za-z0-9_.-]+)(\\?["']\s*:\s*\\?["'])([^"'\\<\s\[][^"'\\<]*)"#).ok());

/// Replaces the values of sensitive members in text that is not JSON as a whole, such as a script in a page.
fn named(text: &str) -> String {
    let Some(member) = &*MEMBER else { return text.to_owned() };
    let shown = member.replace_all(text, |found: &Captures<'_>| {
        let value = if sensitive(&found[2]) { mark(&found[4]) } else { found[4].to_owned() };
        format!("{}{}{}{value}", &found[1], &found[2], &found[3])
    });
    shown.into_owned()
}

/// `Bearer` or `DPoP` and a credential (RFC 6750 2.1).
static CREDENTIAL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b((?i:bearer|dpop)\s+)([A-Za-z0-9._~+/-]{16,}=*)").ok());

fn credentials(text: &str) -> String {
    let Some(credential) = &*CREDENTIAL else { return text.to_owned() };
    credential.replace_all(text, |found: &Captures<'_>| format!("{}{}", &found[1], mark(&found[2]))).into_owned()
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
    // Names of elements and attributes have no case; the places are the same in both.
    let lower_html = html.to_ascii_lowercase();
    let mut from = 0;
    while let Some(start) = lower_html[from..].find("<input").map(|at| from + at) {
        let end = html[start..].find('>').map_or(html.len(), |end| start + end + 1);
        let (tag, lower) = (&html[start..end], &lower_html[start..end]);
        out.push_str(&html[from..start]);
        let hidden = lower.contains("hidden");
        let quoted = ['"', '\''].into_iter().find_map(|quote| {
            let at = lower.find(&format!("value={quote}"))?;
            Some(((&tag[..at], &tag[at + 7..]), quote))
        });
        match quoted.filter(|_| hidden) {
            Some(((before, after), quote)) => {
                let (value, after) = after.split_once(quote).unwrap_or((after, ""));
                let shown = if value.len() > 8 { mark(value) } else { value.to_owned() };
                out.push_str(&format!("{before}value={quote}{shown}{quote}{after}"));
            }
            None => out.push_str(tag),
        }
        from = end;
    }
    out.push_str(&html[from..]);
    out
}

#[cfg(test)]
mod tests;
