//! Values typed as secret: how they are recognised in what was sent.

use std::sync::{Mutex, PoisonError};

/// Values typed as secret in a context.
#[derive(Default)]
pub(super) struct Secrets(Mutex<Vec<String>>);

impl Secrets {
    /// Remembers a value, also as forms and JSON write it.
    pub(super) fn add(&self, value: &str) {
        if value.is_empty() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for text in written(value) {
            if !all.contains(&text) {
                all.push(text);
            }
        }
    }

    /// Does a body carry one of them?
    pub(super) fn within(&self, body: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|secret| body.contains(secret.as_str()))
    }
}

/// A value as it is, and as forms, URLs, JSON and HTML write it.
pub(super) fn written(value: &str) -> Vec<String> {
    let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let percent = form.replace('+', "%20");
    let json = serde_json::to_string(value).unwrap_or_default();
    let json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default().to_owned();
    let html = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let attribute = html.replace('"', "&quot;");
    let mut all = vec![value.to_owned(), form, percent, json, html, attribute];
    all.retain(|text| !text.is_empty());
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_spelling() {
        let secrets = Secrets::default();
        assert!(!secrets.within("pw="));
        secrets.add("a b&\"c");
        for body in ["pw=a+b%26%22c", "pw=a%20b%26%22c", r#"{"pw":"a b&\"c"}"#, "a b&\"c", "value=\"a b&amp;&quot;c\""] {
            assert!(secrets.within(body), "{body}");
        }
        assert!(!secrets.within("pw=other"));
    }
}
