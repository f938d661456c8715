//! The recorder: every exchange of the run in both directions, redacted before it is kept.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::redact::Redactor;
use crate::model::report::Evidence;
use crate::model::{Exchange, ExchangeId, Party, Shot};

/// Exchanges kept at most; a hostile target must not fill the memory.
const KEEP: usize = 20_000;

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
    requests: u64,
    logins: u64,
    /// Begin and end of every wait for the clock.
    waits: Vec<(Instant, Instant)>,
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
        let request = self.redactor.message(&raw.request.headers, raw.request.body.as_deref());
        let response = self.redactor.message(&raw.response.headers, raw.response.body.as_deref());
        let url = self.redactor.url(raw.url);
        let mut kept = self.kept();
        kept.next += 1;
        kept.requests += 1;
        let id = format!("x{:04}", kept.next);
        if kept.exchanges.len() < KEEP {
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
    fn overlapping_waits_count_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(together(&[(at(5), at(8)), (at(0), at(10)), (at(20), at(21))]), Duration::from_secs(11));
        assert_eq!(together(&[]), Duration::ZERO);
    }
}
