//! A recorded exchange as text for reading.

use super::text;
use crate::model::{Exchange, Message};
use crate::report::view::{Style, cut, one_line, span, visible};

/// Lines and characters of a body shown at most; `exchanges.har` has all of it.
const BODY_LINES: usize = 120;
const BODY_LINE: usize = 400;

/// Appends an exchange: request, then response.
pub fn exchange(out: &mut String, exchange: &Exchange, offending: bool, style: Style) {
    let mark = if offending { text::paint(style, "1;31", "  <- the verdict rests on this one") } else { String::new() };
    let title = format!("Exchange {}: {}", one_line(&exchange.id), one_line(&exchange.step));
    out.push_str(&format!("\n{}{mark}\n", text::bold(style, &title)));
    let parties =
        format!("{} to {}, {}, {}", exchange.from.title(), exchange.to.title(), exchange.started_at, span(exchange.duration_ms));
    text::paragraph(out, &parties, 2, style);
    out.push_str(&format!("  > {} {}\n", one_line(&exchange.method), one_line(&exchange.url)));
    parameters(out, &exchange.url);
    message(out, &exchange.request, '>');
    out.push('\n');
    match (exchange.status, &exchange.fault) {
        (0, fault) => out.push_str(&format!("  < no response: {}\n", one_line(fault.as_deref().unwrap_or("none was recorded")))),
        (status, Some(fault)) => out.push_str(&format!("  < {status}  ({})\n", one_line(fault))),
        (status, None) => out.push_str(&format!("  < {status}\n")),
    }
    message(out, &exchange.response, '<');
}

/// The query, one parameter a line: authorization requests are unreadable otherwise.
fn parameters(out: &mut String, url: &str) {
    let Ok(url) = url::Url::parse(url) else { return };
    let pairs: Vec<_> = url.query_pairs().collect();
    if pairs.len() > 1 {
        for (name, value) in pairs {
            out.push_str(&format!("  >     {} = {}\n", one_line(&name), one_line(&value)));
        }
    }
}

fn message(out: &mut String, message: &Message, sign: char) {
    for (name, value) in &message.headers {
        out.push_str(&format!("  {sign} {}: {}\n", one_line(name), cut(&one_line(value), BODY_LINE)));
    }
    let Some(body) = message.body.as_deref().filter(|body| !body.is_empty()) else { return };
    out.push_str(&format!("  {sign}\n"));
    let media = message.header("content-type").unwrap_or_default();
    let body = if media.starts_with("application/x-www-form-urlencoded") {
        let pairs = url::form_urlencoded::parse(body.as_bytes());
        pairs.map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join("\n")
    } else {
        match serde_json::from_str::<serde_json::Value>(body) {
            Ok(value) if value.is_object() || value.is_array() => serde_json::to_string_pretty(&value).unwrap_or_default(),
            _ => body.to_owned(),
        }
    };
    let body = visible(&body);
    let lines: Vec<&str> = body.lines().filter(|line| !line.trim().is_empty()).collect();
    for line in lines.iter().take(BODY_LINES) {
        out.push_str(&format!("  {sign} {}\n", cut(line, BODY_LINE)));
    }
    if lines.len() > BODY_LINES {
        out.push_str(&format!("  {sign} … {} more lines in exchanges.har\n", lines.len() - BODY_LINES));
    }
}
