//! A scenario's real exchanges as a sequence diagram: an SVG to stand inside the HTML report, whose style sheet colours it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use url::Url;

use super::view::{cut, one_line, span};
use crate::model::{Exchange, Party};

/// Exchanges drawn at most; more make no readable picture.
pub const DRAWN: usize = 60;

const WIDTH: usize = 960;
const LEFT: usize = 120;
const RIGHT: usize = 850;
/// Width of a character of the labels (11.5 px monospace), a little generous.
const CHAR: usize = 7;
/// A pause between two exchanges that is drawn as one, in milliseconds.
const PAUSE_MS: i64 = 5_000;

/// Which exchanges stand accused, and by which clauses.
pub type Marks<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Which of these exchanges are drawn: all, or the first ones and those around the marked ones.
pub fn pick(exchanges: &[&Exchange], marks: &Marks<'_>) -> Vec<bool> {
    let mut picked = vec![false; exchanges.len()];
    let mut left = DRAWN;
    let echo = echoes(exchanges, marks);
    let marked = |at: usize| exchanges.get(at).is_some_and(|exchange| marks.contains_key(&*exchange.id));
    let near = |at: usize| marked(at) || marked(at + 1) || (at > 0 && marked(at - 1));
    let wanted = [
        (0..exchanges.len()).filter(|at| marked(*at)).collect::<Vec<_>>(),
        (0..exchanges.len()).filter(|at| near(*at)).collect(),
        (0..exchanges.len()).collect(),
    ];
    for at in wanted.into_iter().flatten() {
        if left > 0 && !picked[at] && !echo[at] {
            picked[at] = true;
            left -= 1;
        }
    }
    picked
}

/// Which of these exchanges are another's echo: what the browser sends to the provider that the suite plays for an application is recorded at
/// both ends, and drawn once. An accused one is never the echo.
fn echoes(exchanges: &[&Exchange], marks: &Marks<'_>) -> Vec<bool> {
    let mut drawn: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut out = vec![false; exchanges.len()];
    for (at, exchange) in exchanges.iter().enumerate() {
        let both_ends = exchange.from == Party::Browser && exchange.to == Party::Suite;
        if !both_ends || !exchange.scenario.starts_with("app-") {
            continue;
        }
        match drawn.remove(&(&*exchange.method, &*exchange.url)) {
            Some(twin) if marks.contains_key(&*exchange.id) => out[twin] = true,
            Some(_) => out[at] = true,
            None => drop(drawn.insert((&*exchange.method, &*exchange.url), at)),
        }
    }
    out
}

/// The lanes from left to right. Where an application is tested the suite is its provider, at the far end; else it is the relying party, at
/// the near one.
fn lanes(scenario: &str) -> [(Party, &'static str); 4] {
    let hook = (Party::Hook, Party::Hook.title());
    if scenario.starts_with("app-") {
        [(Party::Browser, "browser"), (Party::Target, "application"), (Party::Suite, "suite (OP)"), hook]
    } else {
        [(Party::Suite, "suite"), (Party::Browser, "browser"), (Party::Target, "target"), hook]
    }
}

/// Draws the exchanges of one scenario; empty where there are none. Links lead to `#x-ID`.
pub fn draw(scenario: &str, exchanges: &[&Exchange], marks: &Marks<'_>) -> String {
    let Some(first) = exchanges.first() else {
        return String::new();
    };
    let lanes: Vec<(Party, &'static str)> = lanes(scenario)
        .into_iter()
        .filter(|(lane, _)| exchanges.iter().any(|exchange| exchange.from == *lane || exchange.to == *lane))
        .collect();
    let echo = echoes(exchanges, marks);
    let mut canvas = Canvas { lanes, body: String::new(), y: 52 };
    let picked = pick(exchanges, marks);
    let mut step = "";
    let mut skipped = 0;
    let mut last_end = first.started_at;
    for ((exchange, picked), echo) in exchanges.iter().zip(picked).zip(echo) {
        if echo {
            continue;
        }
        if !picked {
            skipped += 1;
            continue;
        }
        if skipped > 0 {
            canvas.note(&format!("{skipped} more not drawn"));
            skipped = 0;
        }
        let pause = exchange.started_at.as_millisecond() - last_end.as_millisecond();
        if pause >= PAUSE_MS {
            canvas.note(&format!("{} later", span(pause.unsigned_abs())));
        }
        if exchange.step != step {
            canvas.step(&exchange.step);
            step = &exchange.step;
        }
        let offset = exchange.started_at.as_millisecond() - first.started_at.as_millisecond();
        canvas.exchange(exchange, offset.unsigned_abs(), marks.get(&*exchange.id).map_or(&[], Vec::as_slice));
        last_end = exchange.started_at;
    }
    if skipped > 0 {
        canvas.note(&format!("{skipped} more not drawn"));
    }
    canvas.finish(scenario)
}

struct Canvas {
    lanes: Vec<(Party, &'static str)>,
    body: String,
    y: usize,
}

impl Canvas {
    fn x(&self, party: Party) -> usize {
        let at = self.lanes.iter().position(|(lane, _)| *lane == party).unwrap_or(0);
        match self.lanes.len() {
            0 | 1 => (LEFT + RIGHT) / 2,
            n => LEFT + at * (RIGHT - LEFT) / (n - 1),
        }
    }

    fn note(&mut self, text: &str) {
        let middle = (LEFT + RIGHT) / 2;
        let _ = write!(self.body, r#"<text class="pause" x="{middle}" y="{}">⋮ {} ⋮</text>"#, self.y + 16, escape(text));
        self.y += 28;
    }

    fn step(&mut self, text: &str) {
        let text = cut(&one_line(text), 110);
        let _ = write!(self.body, r#"<text class="step" x="8" y="{}">{}</text>"#, self.y + 16, escape(&text));
        self.y += 24;
    }

    fn exchange(&mut self, exchange: &Exchange, offset_ms: u64, accused_by: &[&str]) {
        let (from, to) = (self.x(exchange.from), self.x(exchange.to));
        // An exchange with oneself is drawn as a short arrow to the right.
        let to = if from == to { (from + 180).min(WIDTH - 20) } else { to };
        let room = from.abs_diff(to) / CHAR;
        let top = self.y;
        let id = escape(&exchange.id);
        let class = match (accused_by.is_empty(), exchange.status) {
            (false, _) => "x accused",
            (true, 0) if exchange.fault.is_some() => "x broken",
            (true, _) => "x",
        };
        let mut drawn = String::new();
        let title = format!("{} {} {}", exchange.id, exchange.method, cut(&one_line(&exchange.url), 300));
        let _ = write!(drawn, "<title>{}</title>", escape(&title));
        let _ = write!(drawn, r#"<text class="id" x="8" y="{}">{id}</text>"#, top + 16);
        let _ = write!(drawn, r#"<text class="time" x="{}" y="{}">+{}</text>"#, WIDTH - 8, top + 16, span(offset_ms));
        arrow(&mut drawn, "request", (from, to, top + 22), &cut(&request_label(exchange), room));
        arrow(&mut drawn, "response", (to, from, top + 46), &cut(&response_label(exchange), room));
        self.y += 54;
        for clause in accused_by {
            let text = cut(&one_line(clause), 100);
            let _ =
                write!(drawn, r#"<text class="flag" x="{}" y="{}">✕ {}</text>"#, from.min(to) + 6, self.y + 12, escape(&text));
            self.y += 18;
        }
        self.y += 4;
        let height = self.y - top - 2;
        let _ = write!(
            self.body,
            r##"<a href="#x-{id}"><g class="{class}"><rect class="row" x="1" y="{}" width="{}" height="{height}" rx="4"/>{drawn}</g></a>"##,
            top,
            WIDTH - 2
        );
    }

    fn finish(self, scenario: &str) -> String {
        let height = self.y + 12;
        let mut svg = format!(
            r#"<svg class="sequence" role="img" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" aria-label="{}">"#,
            escape(&format!("Sequence diagram of {scenario}; the same exchanges are listed below"))
        );
        for (lane, title) in &self.lanes {
            let x = self.x(*lane);
            let _ = write!(
                svg,
                r#"<line class="lane" x1="{x}" y1="36" x2="{x}" y2="{}"/><rect class="head" x="{}" y="8" width="96" height="28" rx="6"/><text class="head" x="{x}" y="27">{}</text>"#,
                height - 6,
                x - 48,
                title
            );
        }
        svg + &self.body + "</svg>"
    }
}

fn arrow(out: &mut String, class: &str, (from, to, y): (usize, usize, usize), label: &str) {
    let (tip, back) = if to > from { (to - 1, to - 9) } else { (to + 1, to + 9) };
    let _ = write!(
        out,
        r#"<line class="{class}" x1="{from}" y1="{y}" x2="{tip}" y2="{y}"/><path class="tip" d="M{tip} {y}L{back} {} L{back} {}Z"/><text class="label {class}" x="{}" y="{}">{}</text>"#,
        y - 4,
        y + 4,
        (from + to) / 2,
        y - 5,
        escape(label)
    );
}

/// `POST /token?…`; the path as it was sent, since a parser would tidy away what a probe is about (`/../`).
fn request_label(exchange: &Exchange) -> String {
    let rest = exchange.url.split_once("://").map_or(&*exchange.url, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let path = match rest.split_once('?') {
        Some((path, _)) => format!("{path}?…"),
        None => rest.to_owned(),
    };
    one_line(&format!("{} {path}", exchange.method))
}

/// `302 → suite.example/cb/a?code&state`, `400 invalid_request`, `200`, or why nothing came.
fn response_label(exchange: &Exchange) -> String {
    if exchange.status == 0 {
        let raw = !exchange.url.starts_with("http");
        let nothing = if raw { "done" } else { "no response" };
        return exchange.fault.as_deref().map_or(nothing.into(), |fault| format!("✕ {}", one_line(fault)));
    }
    let location = exchange.response.header("location").map(|location| target_of(exchange, location));
    let error = error_code(exchange).map(|error| format!(" {error}"));
    let text = match location {
        Some(location) => format!("{} → {location}{}", exchange.status, error.unwrap_or_default()),
        None => format!("{}{}", exchange.status, error.unwrap_or_default()),
    };
    one_line(&text)
}

/// A `Location` as it was sent, without parameter values; the host only where it changes.
fn target_of(exchange: &Exchange, location: &str) -> String {
    let origin = Url::parse(&exchange.url).ok().map(|url| url.origin().ascii_serialization());
    let short = origin.and_then(|origin| location.strip_prefix(&origin).filter(|rest| rest.starts_with('/')).map(str::to_owned));
    let short = short.unwrap_or_else(|| location.strip_prefix("https://").unwrap_or(location).to_owned());
    let mut text = String::new();
    for part in short.split_inclusive(['?', '#', '&']) {
        let sign = part.chars().last().filter(|c| matches!(c, '?' | '#' | '&'));
        let name = part.trim_end_matches(['?', '#', '&']);
        text.push_str(if text.is_empty() { name } else { name.split('=').next().unwrap_or(name) });
        text.extend(sign);
    }
    text
}

/// The OAuth error code of a response: in its JSON body or in the redirect.
pub fn error_code(exchange: &Exchange) -> Option<String> {
    if let Some(location) = exchange.response.header("location") {
        let tail = location.split(['?', '#']).nth(1)?;
        let value = tail.split('&').find_map(|pair| pair.strip_prefix("error="))?;
        return Some(one_line(value));
    }
    let body: serde_json::Value = serde_json::from_str(exchange.response.body.as_deref()?).ok()?;
    body.get("error").and_then(|error| error.as_str()).map(one_line)
}

/// Text for XML content and attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in super::view::visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Message;

    fn exchange(n: usize) -> Exchange {
        Exchange {
            id: format!("x{n:04}"),
            scenario: "s".into(),
            step: "step".into(),
            from: Party::Browser,
            to: Party::Target,
            started_at: jiff::Timestamp::from_second(n as i64).unwrap(),
            duration_ms: 1,
            method: "GET".into(),
            url: "https://idp.example/authorize?x=1".into(),
            request: Message::default(),
            status: 302,
            response: Message {
                headers: vec![("location".into(), "https://suite.example/cb?error=access_denied&state=1".into())],
                body: None,
            },
            fault: None,
        }
    }

    #[test]
    fn what_was_recorded_at_both_ends_is_drawn_once() {
        let asked = |n: usize| Exchange { scenario: "app-login".into(), to: Party::Suite, ..exchange(n) };
        let all: Vec<Exchange> = (0..4).map(asked).collect();
        let all: Vec<&Exchange> = all.iter().collect();
        assert_eq!(echoes(&all, &Marks::new()), [false, true, false, true]);
        let accused = Marks::from([("x0001", vec!["sl1.app.a"])]);
        assert_eq!(echoes(&all, &accused), [true, false, false, true]);
        let svg = draw("app-login", &all, &accused);
        assert_eq!((svg.matches("#x-x0000").count(), svg.matches("#x-x0001").count()), (0, 1));
        assert!(svg.contains("suite (OP)"));
    }

    #[test]
    fn a_long_scenario_draws_the_offender() {
        let all: Vec<Exchange> = (0..300).map(exchange).collect();
        let all: Vec<&Exchange> = all.iter().collect();
        let marks = Marks::from([("x0250", vec!["sl1.idp.a"])]);
        let picked = pick(&all, &marks);
        assert_eq!(picked.iter().filter(|picked| **picked).count(), DRAWN);
        assert!(picked[249] && picked[250] && picked[251] && picked[0] && !picked[100]);
        let svg = draw("s", &all, &marks);
        assert!(svg.contains("✕ sl1.idp.a") && svg.contains("more not drawn"));
    }

    #[test]
    fn labels_tell_redirects_and_errors() {
        assert_eq!(request_label(&exchange(1)), "GET /authorize?…");
        assert_eq!(response_label(&exchange(1)), "302 → suite.example/cb?error&state access_denied");
        let mut exchange = exchange(1);
        exchange.response.headers[0].1 = "https://idp.example/a/../b#code=1".into();
        assert_eq!(response_label(&exchange), "302 → /a/../b#code");
    }
}
