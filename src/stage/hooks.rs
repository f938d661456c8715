//! Hooks: actions only the operator's side can do at the target.

use std::io::{BufRead, IsTerminal};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::process::Command;

use super::Stage;
use super::http::Ask;
use super::journal::Entry;
use super::recorder::{Raw, RawExchange};
use crate::event::Event;
use crate::model::target::{Hook, HookCall};
use crate::model::{ExchangeId, FaultClass, Party};
use crate::suite::Obstacle;

/// Times in a row that a hook may hang before it is left alone: one that always does must not cost every scenario its time.
const HANGS: u32 = 2;
/// Characters of what a hook said that go into a reason.
const SAID: usize = 300;
/// Changes that are undone at once at the end of a run.
const UNDONE_AT_ONCE: usize = 4;

/// What a hook answered.
#[derive(Clone, Debug)]
pub struct HookAnswer {
    /// Exit code 0, a 2xx status, or the operator's yes.
    pub done: bool,
    /// Standard output or response body; where a command failed without a word, its error output.
    pub text: String,
    /// The same without secrets.
    shown: String,
    /// The recorded call.
    pub exchange: ExchangeId,
}

impl HookAnswer {
    /// What it said without secrets, short and in one line, for a reason.
    pub fn said(&self) -> String {
        let line: String = self.shown.chars().map(|one| if one.is_control() { ' ' } else { one }).take(SAID).collect();
        match line.trim() {
            "" => "it said nothing".into(),
            said => said.to_owned(),
        }
    }
}

/// A change at the target that must be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    /// The hook that undoes it.
    pub hook: String,
    /// Its placeholder values.
    pub values: Vec<(String, String)>,
}

impl Undo {
    /// Does it call this hook about this user or group?
    pub fn of(&self, hook: &str, what: &str) -> bool {
        self.hook == hook && !what.is_empty() && self.values.iter().any(|(_, value)| value == what)
    }

    fn entry(&self) -> Entry {
        Entry::Hook { hook: self.hook.clone(), values: self.values.clone() }
    }
}

impl Stage {
    /// Removes what an earlier run left at the target.
    pub async fn sweep(&self, left: &[Entry]) {
        let mut stuck = Vec::new();
        for entry in left {
            match entry {
                Entry::Scim { .. } => self.scim_adopt(entry),
                Entry::Account { .. } => self.command_adopt(entry),
                Entry::Guest { sub, email } => drop(self.world.guests.add(sub, email)),
                Entry::Hook { hook, values } => {
                    if !self.undo_now(Undo { hook: hook.clone(), values: values.clone() }).await {
                        stuck.push(entry.clone());
                    }
                }
            }
        }
        stuck.extend(self.accounts_gone().await);
        // They stay on the list as what the earlier run left.
        self.world.stuck.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
        self.world.journal.swept(&stuck);
        self.note(format!(
            "{} of {} things that an earlier run left at the target were removed",
            left.len().saturating_sub(stuck.len()),
            left.len()
        ));
    }

    /// Remembers how to undo a change, so that it is undone even when the run ends early.
    pub fn undo_later(&self, hook: &str, values: &[(&str, &str)]) -> Undo {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let undo = Undo { hook: hook.to_owned(), values };
        self.world.journal.add(&undo.entry());
        self.world.undo.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(undo.clone());
        undo
    }

    /// Undoes a change. A target without the hook keeps what was made; the report says so. False where a later run may try again: it
    /// stays on the list.
    pub async fn undo_now(&self, undo: Undo) -> bool {
        let values: Vec<(&str, &str)> = undo.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut settled = true;
        let told = match self.hook(&undo.hook, &values).await {
            Ok(answer) if answer.done => None,
            Ok(answer) => {
                settled = false;
                Some(format!("hook {} did not succeed: {}", undo.hook, answer.said()))
            }
            Err(obstacle) => {
                settled = obstacle.class == FaultClass::Config;
                Some(obstacle.message)
            }
        };
        self.world.undo.lock().unwrap_or_else(std::sync::PoisonError::into_inner).retain(|known| *known != undo);
        if let Some(why) = told {
            let whom: Vec<&str> = values.iter().map(|(_, value)| *value).filter(|value| !value.is_empty()).collect();
            self.leave(format!("could not be undone at the target ({} {}): {why}", undo.hook, whom.join(" ")));
        }
        if settled {
            self.world.journal.gone(&undo.entry());
        } else {
            self.world.stuck.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(undo);
        }
        settled
    }

    /// Undoes whatever is still to be undone: the end of every run.
    pub async fn undo_all(&self) {
        let undone = self.world.undo.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        futures_util::stream::iter(undone)
            .for_each_concurrent(UNDONE_AT_ONCE, |undo| async {
                self.undo_now(undo).await;
            })
            .await;
        let mut left = self.accounts_gone().await;
        left.extend(self.world.stuck.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter().map(Undo::entry));
        self.world.journal.close(&left);
    }

    /// Removes all accounts and other resources of the run; answers what is left.
    async fn accounts_gone(&self) -> Vec<Entry> {
        let mut left = self.scim_sweep().await;
        left.extend(self.command_sweep().await);
        left.extend(self.guest_sweep().await);
        left
    }

    /// Calls the hook `name` with these placeholder values. A missing hook, or one that cannot be started, is an obstacle.
    pub async fn hook(&self, name: &str, values: &[(&str, &str)]) -> Result<HookAnswer, Obstacle> {
        let Some(hook) = self.world.target.hooks.get(name) else {
            return Err(Obstacle::config(
                format!("no hook `{name}` is configured"),
                format!("Add [hooks.{name}] to the target file."),
            ));
        };
        let limit = Duration::from_secs(hook.timeout_s.unwrap_or(30));
        if self
            .world
            .hung
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(name)
            .is_some_and(|times| *times >= HANGS)
        {
            return Err(Obstacle::config(
                format!(
                    "hook {name} did not end within {} s, {HANGS} times in a row: it is not called any more",
                    limit.as_secs()
                ),
                "Raise the hook's timeout_s, or mend the command.",
            ));
        }
        let run_id = self.world.run_id.clone();
        let fill = |text: &str| {
            values.iter().fold(text.replace("{run_id}", &run_id), |text, (key, value)| text.replace(&format!("{{{key}}}"), value))
        };
        let step = format!("hook {name}");
        match (hook, &hook.exec, &hook.http, &hook.prompt) {
            (_, Some(argv), _, _) => self.exec(&step, name, argv.iter().map(|part| fill(part)).collect(), limit).await,
            (_, _, Some(call), _) => self.call(&step, call, &fill).await,
            (_, _, _, Some(prompt)) => self.ask_operator(&step, fill(prompt), limit).await,
            _ => Err(Obstacle::config(
                format!("hook `{name}` says neither exec, http nor prompt"),
                format!("Give [hooks.{name}] exactly one of exec, http and prompt."),
            )),
        }
    }

    /// Counts how often in a row a hook did not end.
    fn hung(&self, name: &str, hangs: bool) {
        let mut hung = self.world.hung.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if hangs {
            *hung.entry(name.to_owned()).or_default() += 1;
        } else {
            hung.remove(name);
        }
    }

    async fn exec(&self, step: &str, name: &str, argv: Vec<String>, limit: Duration) -> Result<HookAnswer, Obstacle> {
        let Some((program, arguments)) = argv.split_first() else {
            return Err(Obstacle::config(format!("{step}: exec is empty"), "Write exec = [\"program\", \"argument\"]."));
        };
        let (started_at, clock) = (Timestamp::now(), Instant::now());
        // Killed when it is dropped, so that a run that ends early leaves no process behind.
        let run = Command::new(program).args(arguments).kill_on_drop(true).stdin(std::process::Stdio::null()).output();
        let output = match tokio::time::timeout(limit, run).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => {
                return Err(Obstacle::config(
                    format!("{step}: `{program}` cannot be started: {error}"),
                    "Check the hook's exec line.",
                ));
            }
            Err(_) => {
                self.hung(name, true);
                return Err(Obstacle::config(
                    format!("{step}: `{program}` did not end within {} s", limit.as_secs()),
                    "Raise the hook's timeout_s, or mend the command.",
                ));
            }
        };
        self.hung(name, false);
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        if text.trim().is_empty() && !output.status.success() {
            text = self.world.recorder.redactor.text(&String::from_utf8_lossy(&output.stderr));
        }
        let exchange = self.world.recorder.record(RawExchange {
            scenario: self.scenario,
            step,
            from: Party::Suite,
            to: Party::Hook,
            started_at,
            took: clock.elapsed(),
            method: "EXEC",
            url: program,
            request: Raw { headers: Vec::new(), body: Some(argv.join(" ").into_bytes()) },
            status: if output.status.success() { 200 } else { 500 },
            response: Raw { headers: Vec::new(), body: Some(output.stdout) },
            fault: None,
        });
        Ok(self.answered(output.status.success(), &text, exchange))
    }

    async fn call(&self, step: &str, call: &HookCall, fill: &(dyn Fn(&str) -> String + Sync)) -> Result<HookAnswer, Obstacle> {
        let method = call.method.as_deref().unwrap_or("POST");
        let mut ask = Ask::get(fill(&call.url));
        ask.method = method
            .parse()
            .map_err(|_| Obstacle::config(format!("{step}: `{method}` is not an HTTP method"), "Mend http.method."))?;
        if let Some(body) = &call.body {
            ask.body = Some(("application/json".into(), fill(body).into_bytes()));
        }
        if let Some(reference) = &call.bearer {
            let token = self
                .world
                .secrets
                .get(reference)
                .map_err(|fault| Obstacle::config(format!("{step}: {fault}"), "Mend http.bearer of the hook."))?;
            self.world.recorder.redactor.hide(&token, "hook token");
            ask = ask.header("authorization", format!("Bearer {token}"));
        }
        let reply = self.world.http.call_hook(self.scenario, step, &ask).await?;
        Ok(self.answered((200..300).contains(&reply.status), &String::from_utf8_lossy(&reply.body), reply.exchange))
    }

    fn answered(&self, done: bool, text: &str, exchange: ExchangeId) -> HookAnswer {
        let text = text.trim().to_owned();
        HookAnswer { done, shown: self.world.recorder.redactor.body("", &text), text, exchange }
    }

    async fn ask_operator(&self, step: &str, prompt: String, limit: Duration) -> Result<HookAnswer, Obstacle> {
        if !self.world.interactive || !std::io::stdin().is_terminal() {
            return Err(Obstacle::config(
                format!("{step} asks a person, and this run has no terminal"),
                "Run it in a terminal, or write the hook as exec or http.",
            ));
        }
        (self.world.events)(Event::Note { text: format!("{prompt}  (enter when done, `no` when refused)") });
        let started_at = Timestamp::now();
        let clock = Instant::now();
        let line =
            tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().next().and_then(Result::ok).unwrap_or_default());
        let answer = tokio::time::timeout(limit.max(Duration::from_secs(600)), line)
            .await
            .map_err(|_| Obstacle::config(format!("{step}: nobody answered"), "Answer the prompt, or leave the clause out."))?
            .map_err(|error| Obstacle::suite(error.to_string()))?;
        let done = !answer.trim().eq_ignore_ascii_case("no");
        let exchange = self.world.recorder.record(RawExchange {
            scenario: self.scenario,
            step,
            from: Party::Suite,
            to: Party::Hook,
            started_at,
            took: clock.elapsed(),
            method: "PROMPT",
            url: "operator",
            request: Raw { headers: Vec::new(), body: Some(prompt.into_bytes()) },
            status: if done { 200 } else { 500 },
            response: Raw { headers: Vec::new(), body: Some(answer.clone().into_bytes()) },
            fault: None,
        });
        Ok(self.answered(done, &answer, exchange))
    }
}

/// Exactly one way must be given.
pub fn ways(hook: &Hook) -> usize {
    usize::from(hook.exec.is_some()) + usize::from(hook.http.is_some()) + usize::from(hook.prompt.is_some())
}
