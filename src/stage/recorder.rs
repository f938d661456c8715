//! The recorder: every exchange of the run in both directions, redacted before it is kept.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use memchr::memmem::Finder;

use super::redact::Redactor;
use crate::model::report::Evidence;
use crate::model::{Exchange, ExchangeId, Party, Shot};

/// Exchanges kept at most; a hostile target must not fill the memory.
const KEEP: usize = 20_000;

/// Bytes of a body that are kept as evidence.
const BODY: usize = 64 * 1024;
/// Bytes of all bodies together, after which only the beginning of each is kept.
const BODIES: usize = 32 * 1024 * 1024;
/// That beginning.
const BEGINNING: usize = 1024;

/// Collects the evidence of one run.
#[derive(Debug, Default)]
pub struct Recorder {
    /// Knows what must not be kept.
    pub redactor: Redactor,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    next: u32,
    exchanges: Vec<Exchange>,
    shots: Vec<(Shot, Vec<u8>)>,
    /// Bytes of bodies that are kept.
    bodies: usize,
    requests: u64,
    logins: u64,
    /// Begin and end of every wait for the clock.
    waits: Vec<(Instant, Instant)>,
    /// What the browser sent and was sent, as it was: in memory, to look for what must not be there.
    overheard: Option<Vec<Overheard>>,
    overheard_bytes: usize,
    overheard_cut: bool,
}

/// Bytes of browser traffic kept in memory at most.
const OVERHEAR: usize = 64 * 1024 * 1024;

/// One exchange of the browser, as it was.
#[derive(Debug)]
struct Overheard {
    exchange: ExchangeId,
    own: bool,
    /// Where it stood, what it was sent to, and the text.
    parts: Vec<(Place, String, String)>,
}

/// Where something stood in the browser's traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The request's URL.
    Url,
    /// The request's Referer.
    Referer,
    /// Another header of the request.
    Header,
    /// The request's body.
    Form,
    /// The Location of a response.
    Location,
    /// The body of a response.
    Page,
}

/// Something that was found in the browser's traffic.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sighting {
    /// What was found, in words.
    pub what: String,
    /// Where it stood.
    pub place: Place,
    /// Host and path that the browser asked, or was sent to.
    pub target: String,
    /// The exchange was with the suite's own endpoints.
    pub own: bool,
    /// The exchange.
    pub exchange: ExchangeId,
}

/// A raw message on its way to the recorder.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    /// Header fields as seen.
    pub headers: Vec<(String, String)>,
    /// Body bytes as seen.
    pub body: Option<Vec<u8>>,
}

/// A raw exchange on its way to the recorder.
#[derive(Clone, Debug)]
pub struct RawExchange<'a> {
    /// The scenario that caused it.
    pub scenario: &'a str,
    /// What it wanted.
    pub step: &'a str,
    /// Who sent.
    pub from: Party,
    /// Who answered.
    pub to: Party,
    /// When it was sent.
    pub started_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Request method.
    pub method: &'a str,
    /// Full URL.
    pub url: &'a str,
    /// What was sent.
    pub request: Raw,
    /// Status, 0 for no response.
    pub status: u16,
    /// What came back.
    pub response: Raw,
    /// What went wrong.
    pub fault: Option<String>,
}

impl Recorder {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Redacts and keeps an exchange; returns its id for citing.
    pub fn record(&self, raw: RawExchange<'_>) -> ExchangeId {
        let mut request = self.redactor.message(&raw.request.headers, raw.request.body.as_deref());
        let mut response = self.redactor.message(&raw.response.headers, raw.response.body.as_deref());
        let url = self.redactor.url(raw.url);
        let mut kept = self.kept();
        kept.next += 1;
        kept.requests += 1;
        let id = format!("x{:04}", kept.next);
        if raw.from == Party::Browser && kept.overheard.is_some() {
            kept.overhear(&id, &raw);
        }
        if kept.exchanges.len() < KEEP {
            for body in [&mut request.body, &mut response.body].into_iter().flatten() {
                cut(body, if kept.bodies > BODIES { BEGINNING } else { BODY });
                kept.bodies += body.len();
            }
            kept.exchanges.push(Exchange {
                id: id.clone(),
                scenario: raw.scenario.to_owned(),
                step: raw.step.to_owned(),
                from: raw.from,
                to: raw.to,
                started_at: raw.started_at,
                duration_ms: u64::try_from(raw.took.as_millis()).unwrap_or(u64::MAX),
                method: raw.method.to_owned(),
                url,
                request,
                status: raw.status,
                response,
                fault: raw.fault.map(|fault| self.redactor.text(&fault)),
            });
        }
        id
    }

    /// Keeps the browser's traffic in memory from now on, so that it can be searched at the end.
    pub fn overhear(&self) {
        self.kept().overheard.get_or_insert_default();
    }

    /// Was some of the browser's traffic too much to be kept, so that a search does not prove that something was nowhere?
    pub fn overheard_cut(&self) -> bool {
        self.kept().overheard_cut
    }

    /// Where these values stand in the browser's traffic: (value, what it is). Values shorter than eight characters are not looked for.
    pub fn find(&self, values: &[(String, String)]) -> Vec<Sighting> {
        // Prepared once: most of a search that begins anew for each text is its preparation.
        let long = values.iter().filter(|(value, _)| value.len() >= 8);
        let values: Vec<(Finder<'_>, &String)> = long.map(|(value, what)| (Finder::new(value), what)).collect();
        let kept = self.kept();
        let mut out: Vec<Sighting> = Vec::new();
        for overheard in kept.overheard.iter().flatten() {
            for (place, target, text) in &overheard.parts {
                for (_, what) in values.iter().filter(|(value, _)| value.find(text.as_bytes()).is_some()) {
                    let sighting = Sighting {
                        what: (*what).clone(),
                        place: *place,
                        target: target.clone(),
                        own: overheard.own,
                        exchange: overheard.exchange.clone(),
                    };
                    if !out.contains(&sighting) {
                        out.push(sighting);
                    }
                }
            }
        }
        out
    }

    /// Keeps a screenshot (PNG bytes).
    pub fn shot(&self, scenario: &str, caption: &str, png: Vec<u8>) {
        let mut kept = self.kept();
        let file = format!("{:02}-{scenario}.png", kept.shots.len() + 1);
        let shot = Shot { file, scenario: scenario.to_owned(), caption: self.redactor.text(caption), at: Timestamp::now() };
        kept.shots.push((shot, png));
    }

    /// Counts a typed login.
    pub fn login_typed(&self) {
        self.kept().logins += 1;
    }

    /// Counts time that was just spent waiting for the clock.
    pub fn waited(&self, time: Duration) {
        let now = Instant::now();
        self.kept().waits.push((now.checked_sub(time).unwrap_or(now), now));
    }

    /// Requests, typed logins, and time in which something waited for the clock; waits that overlap count once.
    pub fn counts(&self) -> (u64, u64, Duration) {
        let kept = self.kept();
        (kept.requests, kept.logins, together(&kept.waits))
    }

    /// The evidence so far, and the PNG bytes of its screenshots in the same order.
    pub fn evidence(&self) -> (Evidence, Vec<Vec<u8>>) {
        let kept = self.kept();
        let mut exchanges = kept.exchanges.clone();
        exchanges.sort_by_key(|exchange| exchange.started_at);
        let (shots, pngs) = kept.shots.iter().cloned().unzip();
        (Evidence { exchanges, shots }, pngs)
    }
}

impl Kept {
    fn overhear(&mut self, id: &str, raw: &RawExchange<'_>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let target = |url: &str| url.split(['?', '#']).next().unwrap_or_default().to_owned();
        let asked = target(raw.url);
        let mut parts = vec![(Place::Url, asked.clone(), decoded(raw.url))];
        for (name, value) in &raw.request.headers {
            match name.to_ascii_lowercase().as_str() {
                "referer" => parts.push((Place::Referer, asked.clone(), decoded(value))),
                "cookie" => {}
                _ => parts.push((Place::Header, asked.clone(), value.clone())),
            }
        }
        parts.extend(raw.request.body.as_deref().map(|body| (Place::Form, asked.clone(), decoded(&text(body)))));
        let location = raw.response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
        parts.extend(location.map(|(_, value)| (Place::Location, target(value), decoded(value))));
        parts.extend(raw.response.body.as_deref().map(|body| (Place::Page, asked.clone(), text(body))));
        let bytes: usize = parts.iter().map(|(_, _, text)| text.len()).sum();
        if self.overheard_bytes + bytes > OVERHEAR {
            self.overheard_cut = true;
            return;
        }
        self.overheard_bytes += bytes;
        let overheard = Overheard { exchange: id.to_owned(), own: raw.to == Party::Suite, parts };
        self.overheard.get_or_insert_default().push(overheard);
    }
}

/// As it is, and percent-decoded, so that a value is found in either form.
fn decoded(text: &str) -> String {
    let plain: String = url::form_urlencoded::parse(text.as_bytes()).map(|(name, value)| format!("{name}={value}&")).collect();
    format!("{text}\n{plain}")
}

/// Cuts a body that is longer, and says so.
fn cut(body: &mut String, most: usize) {
    if body.len() > most {
        let whole = body.len();
        body.truncate(body.floor_char_boundary(most));
        body.push_str(&format!("\n[cut: {whole} bytes in all]"));
        body.shrink_to_fit();
    }
}

/// How long at least one of these intervals lasted.
fn together(waits: &[(Instant, Instant)]) -> Duration {
    let mut waits = waits.to_vec();
    waits.sort();
    let mut total = Duration::ZERO;
    let mut until: Option<Instant> = None;
    for (begin, end) in waits {
        let begin = until.map_or(begin, |until| begin.max(until));
        if end > begin {
            total += end - begin;
            until = Some(end);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_body_is_cut_between_letters() {
        let mut body = "äöü".to_owned();
        cut(&mut body, 6);
        assert_eq!(body, "äöü");
        cut(&mut body, 3);
        assert_eq!(body, "ä\n[cut: 6 bytes in all]");
    }

    #[test]
    fn overlapping_waits_count_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(together(&[(at(5), at(8)), (at(0), at(10)), (at(20), at(21))]), Duration::from_secs(11));
        assert_eq!(together(&[]), Duration::ZERO);
    }
}
