//! The live view of a run, on standard error: spinners and a bar on a terminal, plain lines elsewhere.
//!
//! Nothing is decided here; a run without a view is the same run.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::view::{Style, brief, counts, many, one_line, span};
use crate::event::{Event, Sink};
use crate::model::Verdict;

/// Ends the live view. The view also ends when this is dropped.
pub struct Finish(Option<Arc<Mutex<Bars>>>);

impl Finish {
    /// Clears the spinners, so that the report can be printed.
    pub fn done(self) {
        drop(self);
    }
}

impl Drop for Finish {
    fn drop(&mut self) {
        if let Some(bars) = &self.0 {
            let bars = lock(bars);
            bars.total.finish_and_clear();
            let _ = bars.multi.clear();
        }
    }
}

/// A live view on standard error. `bars`: standard error is a terminal that can redraw lines; else each event is a line of its own.
pub fn sink(style: Style, bars: bool) -> (Sink, Finish) {
    if bars {
        let view = Arc::new(Mutex::new(Bars::new(style)));
        let shared = Arc::clone(&view);
        return (Arc::new(move |event| lock(&shared).on(event)), Finish(Some(view)));
    }
    let lines = Mutex::new(Lines::new(std::io::stderr(), style));
    (Arc::new(move |event| lock(&lines).on(event)), Finish(None))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn paint(style: Style, verdict: Verdict, text: &str) -> String {
    let sgr = match verdict {
        Verdict::Fail => "1;31",
        Verdict::Warning => "33",
        Verdict::Pass => "32",
        _ => "35",
    };
    if style.color { format!("\u{1b}[{sgr}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// One line per scenario start, wait and end, and per clause that failed.
struct Lines<W> {
    out: W,
    style: Style,
    start: Instant,
    counts: BTreeMap<Verdict, usize>,
}

impl<W: Write> Lines<W> {
    fn new(out: W, style: Style) -> Self {
        Lines { out, style, start: Instant::now(), counts: BTreeMap::new() }
    }

    fn on(&mut self, event: Event) {
        let text = match event {
            Event::Planned { clauses, scenarios, browser } => {
                format!("{} in {}, browser {}", many(clauses, "clause"), many(scenarios, "scenario"), one_line(&browser))
            }
            Event::Started { scenario, title } => format!("start {scenario}: {}", one_line(&title)),
            Event::Waiting { scenario, what, seconds } => format!("wait  {scenario}: {seconds} s for {}", one_line(&what)),
            Event::Decided { clause, verdict, reason } => {
                *self.counts.entry(verdict).or_default() += 1;
                if verdict != Verdict::Fail {
                    return;
                }
                format!("{}  {clause}: {}", paint(self.style, verdict, "fail"), brief(&reason, 300))
            }
            Event::Ended { scenario, obstacle, duration_ms } => {
                let why = obstacle.map_or(String::new(), |why| format!(", not played to its end: {}", one_line(&why)));
                format!("end   {scenario}: {}{why} ({})", span(duration_ms), counts(&self.counts))
            }
            Event::Note { text } => format!("note  {}", one_line(&text)),
        };
        // A closed standard error must not end the run.
        let _ = writeln!(self.out, "[{:5.1}s] {text}", self.start.elapsed().as_secs_f64());
    }
}

/// A spinner per running scenario above one bar for the whole run.
struct Bars {
    multi: MultiProgress,
    total: ProgressBar,
    running: HashMap<String, ProgressBar>,
    counts: BTreeMap<Verdict, usize>,
    style: Style,
}

impl Bars {
    fn new(style: Style) -> Self {
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let total = multi.add(ProgressBar::new(0));
        let colour = if style.color { "{bar:24.green/dim}" } else { "{bar:24}" };
        total.set_style(template(&format!("[{{elapsed}}] {colour} {{pos}}/{{len}} scenarios  {{msg}}")).progress_chars("━╸─"));
        total.enable_steady_tick(Duration::from_millis(200));
        Bars { multi, total, running: HashMap::new(), counts: BTreeMap::new(), style }
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Planned { clauses, scenarios, browser } => {
                self.total.set_length(scenarios as u64);
                self.line(&format!(
                    "{} in {}, browser {}",
                    many(clauses, "clause"),
                    many(scenarios, "scenario"),
                    one_line(&browser)
                ));
            }
            Event::Started { scenario, title } => {
                let bar = self.multi.insert_before(&self.total, ProgressBar::new_spinner());
                bar.set_style(template("  {spinner} {prefix}  {wide_msg}"));
                bar.set_prefix(scenario.clone());
                bar.set_message(one_line(&title));
                bar.enable_steady_tick(Duration::from_millis(120));
                self.running.insert(scenario, bar);
            }
            Event::Waiting { scenario, what, seconds } => {
                if let Some(bar) = self.running.get(&scenario) {
                    let until = Instant::now() + Duration::from_secs(seconds);
                    let left = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
                        let left = until.saturating_duration_since(Instant::now()).as_secs();
                        // At zero the scenario goes on with its work; it says nothing of it.
                        let _ = if left > 0 { write!(out, "waits {left} s for") } else { write!(out, "waited for") };
                    };
                    bar.set_style(template("  {spinner} {prefix}  {left} {wide_msg}").with_key("left", left));
                    bar.set_message(one_line(&what));
                }
            }
            Event::Decided { clause, verdict, reason } => {
                *self.counts.entry(verdict).or_default() += 1;
                if verdict == Verdict::Fail {
                    self.line(&format!(
                        "{}  {clause}: {}",
                        paint(self.style, verdict, "fail"),
                        brief(&reason, self.style.columns())
                    ));
                }
                self.total.set_message(self.tally());
            }
            Event::Ended { scenario, obstacle, duration_ms } => {
                if let Some(bar) = self.running.remove(&scenario) {
                    bar.finish_and_clear();
                    self.multi.remove(&bar);
                }
                if let Some(why) = obstacle {
                    self.line(&format!("{scenario} was not played to its end ({}): {}", span(duration_ms), one_line(&why)));
                }
                self.total.inc(1);
            }
            Event::Note { text } => self.line(&one_line(&text)),
        }
    }

    /// A line that stays, above the spinners.
    fn line(&self, text: &str) {
        let _ = self.multi.println(text);
    }

    fn tally(&self) -> String {
        let words = self.counts.iter().rev().map(|(verdict, n)| paint(self.style, *verdict, &format!("{n} {verdict}")));
        words.collect::<Vec<_>>().join("  ")
    }
}

fn template(text: &str) -> ProgressStyle {
    // The templates are constants that the tests render; a plain spinner is better than none.
    ProgressStyle::with_template(text).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<Event> {
        let scenario = || "idp-expiry".to_owned();
        let decided = |verdict| Event::Decided { clause: "sl1.idp.a".into(), verdict, reason: "bad\u{1b}[2J".into() };
        vec![
            Event::Planned { clauses: 2, scenarios: 1, browser: "form".into() },
            Event::Started { scenario: scenario(), title: "waits".into() },
            Event::Waiting { scenario: scenario(), what: "the code to expire".into(), seconds: 61 },
            decided(Verdict::Pass),
            decided(Verdict::Fail),
            Event::Ended { scenario: scenario(), obstacle: Some("no answer".into()), duration_ms: 1500 },
            Event::Note { text: "done".into() },
        ]
    }

    #[test]
    fn plain_lines_tell_starts_waits_fails_and_ends() {
        let mut lines = Lines::new(Vec::new(), Style::default());
        events().into_iter().for_each(|event| lines.on(event));
        let text = String::from_utf8(lines.out).unwrap();
        let told: Vec<&str> = text.lines().map(|line| line.split_once("] ").unwrap().1).collect();
        assert_eq!(
            told,
            [
                "2 clauses in 1 scenario, browser form",
                "start idp-expiry: waits",
                "wait  idp-expiry: 61 s for the code to expire",
                "fail  sl1.idp.a: bad\\u{1b}[2J",
                "end   idp-expiry: 1.5 s, not played to its end: no answer (1 fail, 1 pass)",
                "note  done",
            ]
        );
        assert!(text.starts_with("[  0.0s] "), "{text}");
    }

    #[test]
    fn bars_follow_the_run() {
        let mut bars = Bars::new(Style::default());
        bars.multi.set_draw_target(ProgressDrawTarget::hidden());
        events().into_iter().for_each(|event| bars.on(event));
        assert!(bars.running.is_empty());
        assert_eq!((bars.total.position(), bars.total.length()), (1, Some(1)));
        assert_eq!(bars.tally(), "1 pass  1 fail");
    }

    #[test]
    fn templates_are_valid() {
        for text in ["[{elapsed}] {bar:24.green/dim} {pos}/{len} scenarios  {msg}", "  {spinner} {prefix}  {left} {wide_msg}"] {
            assert!(ProgressStyle::with_template(text).is_ok(), "{text}");
        }
    }
}
