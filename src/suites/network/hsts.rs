//! HTTP Strict Transport Security (RFC 6797): can a browser be led to clear text?

use crate::model::{ExchangeId, Judgement};
use crate::stage::http::Reply;

/// `Strict-Transport-Security` of an answer, and its exchange.
pub type Header = (Option<String>, ExchangeId);

/// Reads it off an answer.
pub fn header(reply: &Reply) -> Header {
    (reply.header("strict-transport-security").map(str::to_owned), reply.exchange.clone())
}

/// The same host, one redirect further.
pub fn same_host_redirect(from: &str, reply: &Reply) -> Option<String> {
    let from = url::Url::parse(from).ok()?;
    let next = from.join(reply.header("location")?).ok()?;
    (next.host_str() == from.host_str() && next.scheme() == "https").then(|| next.to_string())
}

fn max_age(header: &str) -> Option<u64> {
    header.split(';').find_map(|part| part.trim().to_ascii_lowercase().strip_prefix("max-age=")?.trim_matches('"').parse().ok())
}

/// Browsers remember the host, or know it beforehand. `what` answered, in words.
pub fn clear_text_cannot_be_forced(host: &str, seen: &[Header], preloaded: Option<&str>, what: &str) -> Judgement {
    if let Some(parent) = preloaded {
        return Judgement::pass(format!("`{parent}` is on the HSTS preload list with its subdomains"));
    }
    let best =
        seen.iter().filter_map(|(value, cite)| Some((max_age(value.as_deref()?)?, value, cite))).max_by_key(|(age, ..)| *age);
    let all: Vec<&ExchangeId> = seen.iter().map(|(_, cite)| cite).collect();
    match best {
        Some((age, Some(value), cite)) if age >= 1 => Judgement::pass(format!("HSTS with max-age={age}"))
            .expected("max-age of at least 1, 31536000 recommended", value.clone())
            .cite([cite]),
        Some((_, value, cite)) => Judgement::broken("max-age=0 switches HSTS off")
            .expected("max-age of at least 1", value.clone().unwrap_or_default())
            .cite([cite]),
        None if seen.is_empty() => Judgement::undecided(format!("{what} did not answer")),
        None => {
            Judgement::broken(format!("no answer of {host} carries Strict-Transport-Security, and the host is not preloaded"))
                .cite(all)
        }
    }
}
