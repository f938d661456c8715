//! `run`: the main job.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tokio::sync::watch;

use super::filter::known_patterns;
use super::shared::{catalogue, edition, stdout_style, style};
use crate::baseline::Baseline;
use crate::catalogue::Catalogue;
use crate::embed::{Materials, Peers, embed};
use crate::error::{Error, exit};
use crate::model::report::{ClauseRow, Report};
use crate::model::{FaultClass, Level, LevelVerdict, Role, Verdict};
use crate::plan::{Ask, Fate, Plan, Profile};
use crate::report::json::REPORT_FILE;
use crate::report::terminal::View;
use crate::report::{Format, live, terminal, write_run};
use crate::run::{Finished, run as play};
use crate::set_stage::{Browser, Setting};
use crate::stage::journal::Journal;
use crate::target_file;

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Level to test; includes the levels below it. Repeatable
    #[arg(long, value_name = "LEVEL")]
    pub level: Vec<Level>,
    /// Role the target plays: idp (Identity Service) or app (Application). Repeatable
    #[arg(long, value_name = "ROLE")]
    pub role: Vec<Role>,
    /// Target file; without it the embedded reference peers are the target
    #[arg(long, value_name = "FILE")]
    pub target: Option<PathBuf>,
    /// Edition of the levels to judge by
    #[arg(long, value_name = "EDITION")]
    pub edition: Option<String>,
    /// Judge by a draft's own view in place of the levels: al1-scim-draft takes every clause of the AL1 SCIM draft
    #[arg(long, value_name = "NAME", value_parser = ["al1-scim-draft"])]
    pub profile: Option<String>,
    /// Allow requests in large numbers, for the clauses about limits
    #[arg(long)]
    pub allow_load: bool,
    /// Remove first what an earlier run of this target left there when it was killed
    #[arg(long)]
    pub sweep: bool,
    /// Only this binding. Repeatable
    #[arg(long, value_name = "BINDING")]
    pub binding: Vec<String>,
    /// Only clauses whose id or slug matches (`*` stands for any text). Repeatable
    #[arg(long, value_name = "GLOB")]
    pub clause: Vec<String>,
    /// Only scenarios whose name matches. Repeatable
    #[arg(long, value_name = "GLOB")]
    pub scenario: Vec<String>,
    /// Leave out clauses that must wait for the clock
    #[arg(long)]
    pub fast: bool,
    /// Scenarios at a time
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Folder for the reports [default: reports/RUN-ID]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Further formats to write. Repeatable
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Vec<Format>,
    /// Known failures, with reasons and expiry dates
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Exit 0 when a level is incomplete and nothing failed
    #[arg(long)]
    pub allow_incomplete: bool,
    /// User agent that signs in
    #[arg(long, value_enum)]
    pub browser: Option<BrowserChoice>,
    /// DevTools address of a Chrome that is running already
    #[arg(long, value_name = "URL")]
    pub browser_url: Option<String>,
    /// Show the browser's window
    #[arg(long)]
    pub headed: bool,
    /// Never ask at the terminal; hooks that prompt end not-run
    #[arg(long)]
    pub non_interactive: bool,
    /// Show passing clauses one by one
    #[arg(long, short)]
    pub verbose: bool,
}

/// `--browser`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BrowserChoice {
    /// Chrome where it is installed, else the form agent
    Auto,
    /// Chrome, or no run
    Chrome,
    /// No scripts: server-rendered pages only
    Form,
}

/// Runs; the answer is the exit code.
///
/// # Errors
/// A wrong command line or target file, or a prerequisite that failed.
pub async fn run(args: RunArgs, profiles: Option<&Path>) -> Result<u8, Error> {
    let catalogue = catalogue(profiles)?;
    let baseline = args.baseline.as_deref().map(|path| Baseline::load(path, &catalogue)).transpose()?;
    let (setting, _peer) = setting(&args, &catalogue).await?;
    let plan = plan(&args, &catalogue, &setting)?;
    let out = OutDir::prepare(args.out.clone())?;
    let setting = with_journal(setting, &args, &out);
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        interrupted().await;
        let _ = stop.send(true);
        // A second one means: at once.
        interrupted().await;
        std::process::exit(exit::INTERRUPTED.into());
    });
    let on_terminal = std::io::stderr().is_terminal();
    let (sink, finish) = live::sink(style(on_terminal), on_terminal);
    let allow_incomplete = args.allow_incomplete || setting.target.run.allow_incomplete.unwrap_or(false);
    let played = play(&catalogue, &plan, setting, sink, stopped).await;
    finish.done();
    let mut finished = played?;
    let stale = baseline.map(|baseline| baseline.apply(&mut finished.report)).unwrap_or_default();
    conclude(&args, &finished, &out, &stale, allow_incomplete)
}

/// With the list of what the run makes at the target, and with what an earlier run left there, where that is to be removed.
fn with_journal(mut setting: Setting, args: &RunArgs, out: &OutDir) -> Setting {
    if setting.embedded {
        return setting;
    }
    let path = Journal::path(out.base(), &setting.target);
    let left = Journal::left(&path);
    if !left.is_empty() {
        let what = format!("an earlier run of this target was killed and left {} things there", left.len());
        let remove = args.sweep || setting.interactive && confirmed(&format!("{what}. Remove them now? [Y/n] "));
        if remove {
            setting.sweep = left;
        } else {
            eprintln!("{what}; --sweep removes them ({})", path.display());
        }
    }
    setting.journal = Some(path);
    setting
}

/// The operator presses enter or says yes.
fn confirmed(question: &str) -> bool {
    eprint!("{question}");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) && !line.trim().to_ascii_lowercase().starts_with('n')
}

/// Until somebody presses Ctrl-C, or a pipeline that is cancelled ends the program: the reports are written, and no browser stays behind.
async fn interrupted() {
    let ctrl_c = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    if let Ok(mut ended) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            () = ctrl_c => {}
            _ = ended.recv() => {}
        }
        return;
    }
    ctrl_c.await;
}

/// What a run writes besides `report.json`, whatever is asked for.
const ALWAYS: [Format; 3] = [Format::Html, Format::Junit, Format::Markdown];

/// Writes and prints; the answer is the exit code.
fn conclude(args: &RunArgs, finished: &Finished, out: &OutDir, stale: &[String], allow_incomplete: bool) -> Result<u8, Error> {
    let report = &finished.report;
    let dir = out.path(&report.run.id);
    let observations =
        serde_json::to_value(&finished.observations).map_err(|error| Error::Suite { message: error.to_string() })?;
    let mut formats = ALWAYS.to_vec();
    formats.extend(args.format.iter().copied().filter(|format| !matches!(format, Format::Terminal)));
    formats.sort_unstable_by_key(|format| format.file_name());
    formats.dedup();
    let written = write_run(&dir, report, &finished.evidence, &finished.pngs, &observations, &formats);
    let view = View { style: stdout_style(), verbose: args.verbose, dir: Some(dir.display().to_string()) };
    // A closed pipe is not a reason to lose the exit code.
    let _ = std::io::stdout().write_all(terminal::render(report, &view).as_bytes());
    for clause in stale {
        eprintln!("baseline: {clause} no longer fails; remove its entry");
    }
    if let Err(fault) = written {
        return Err(Error::output(format!("the reports could not be written: {fault}"), fault.hint()));
    }
    eprintln!("reports: {}", dir.display());
    Ok(exit_code(report, stale, allow_incomplete))
}

/// The exit code that a report means.
pub(super) fn exit_code(report: &Report, stale: &[String], allow_incomplete: bool) -> u8 {
    let any = |verdict| report.levels.iter().any(|level| level.verdict == verdict);
    let failed = |of: &dyn Fn(&ClauseRow) -> bool| report.clauses.iter().any(|row| row.gates() && of(row));
    // A known failure hides nothing that is open beside it.
    let open = any(LevelVerdict::Incomplete)
        || (any(LevelVerdict::NonConformant)
            && failed(&|row| matches!(row.verdict, Verdict::Inconclusive | Verdict::NotRun | Verdict::Warning)));
    if report.run.interrupted {
        exit::INTERRUPTED
    } else if report.faults.iter().any(|fault| fault.class == FaultClass::Suite) {
        exit::SUITE
    } else if failed(&|row| row.verdict == Verdict::Fail && row.baseline.is_none()) || !stale.is_empty() {
        exit::NON_CONFORMANT
    } else if (open || report.levels.is_empty()) && !allow_incomplete {
        exit::INCOMPLETE
    } else {
        exit::CONFORMANT
    }
}

/// Where the reports go: asked for before anything is sent, so that a full disk or a wrong path is told early.
struct OutDir(Option<PathBuf>);

impl OutDir {
    fn prepare(asked: Option<PathBuf>) -> Result<Self, Error> {
        let base = asked.clone().unwrap_or_else(|| PathBuf::from("reports"));
        let probe = base.join(".ipsie-conform-probe");
        std::fs::create_dir_all(&base)
            .and_then(|()| std::fs::write(&probe, b"probe"))
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(|error| {
                Error::usage(
                    format!("nothing can be written to {}: {error}", base.display()),
                    "Give another folder with --out, or free some space.",
                )
            })?;
        // Of an earlier run in the same folder: what reads them after this one must not take them for its own.
        if asked.is_some() {
            for stale in ALWAYS.iter().map(|format| format.file_name()).chain([REPORT_FILE]) {
                let _ = std::fs::remove_file(base.join(stale));
            }
        }
        Ok(OutDir(asked))
    }

    /// The folder that the runs' own folders stand in.
    fn base(&self) -> &Path {
        self.0.as_deref().and_then(Path::parent).filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("reports"))
    }

    fn path(&self, run_id: &str) -> PathBuf {
        self.0.clone().unwrap_or_else(|| Path::new("reports").join(run_id))
    }
}

/// Which user agent: the command line wins over the target file.
///
/// # Errors
/// The target file names none.
pub(super) fn browser(url: Option<&str>, flag: Option<BrowserChoice>, target: Option<&str>) -> Result<Browser, Error> {
    match (url, flag, target) {
        (Some(url), ..) => Ok(Browser::Connect(url.to_owned())),
        (_, Some(BrowserChoice::Chrome), _) | (_, None, Some("chrome")) => Ok(Browser::Chrome),
        (_, Some(BrowserChoice::Form), _) | (_, None, Some("form")) => Ok(Browser::Form),
        (_, Some(BrowserChoice::Auto), _) | (_, None, None | Some("auto")) => Ok(Browser::Auto),
        (_, None, Some(other)) => Err(Error::usage(
            format!("run.browser `{other}` in the target file is none of auto, chrome and form"),
            "Write one of them.",
        )),
    }
}

/// The target and how to reach it; for the embedded peer the peer itself, which lives as long as the second value.
async fn setting(args: &RunArgs, catalogue: &Catalogue) -> Result<(Setting, Option<Peers>), Error> {
    let choice = |target: Option<&str>| browser(args.browser_url.as_deref(), args.browser, target);
    let interactive = !args.non_interactive && std::io::stdin().is_terminal();
    if let Some(path) = &args.target {
        let loaded = target_file::load(path, catalogue)?;
        let flags = loaded.target.run.clone();
        let setting = Setting {
            browser: choice(flags.browser.as_deref())?,
            target: loaded.target,
            secrets: loaded.secrets,
            digest: loaded.digest,
            embedded: false,
            keys: None,
            roots: Vec::new(),
            headed: args.headed,
            jobs: args.jobs.or(flags.jobs).unwrap_or(JOBS),
            fast: args.fast || flags.fast.unwrap_or(false),
            interactive,
            allow_load: args.allow_load,
            journal: None,
            sweep: Vec::new(),
            provider: None,
        };
        return Ok((setting, None));
    }
    let roles = if args.role.is_empty() { vec![Role::Idp, Role::App] } else { args.role.clone() };
    let jobs = args.jobs.unwrap_or(JOBS);
    let (setting, peers) = embed(&Materials::make()?, &roles, &[], choice(None)?, args.fast, jobs).await?;
    Ok((Setting { headed: args.headed, ..setting }, Some(peers)))
}

/// Scenarios at a time unless told otherwise.
pub const JOBS: usize = 8;

fn plan(args: &RunArgs, catalogue: &Catalogue, setting: &Setting) -> Result<Plan, Error> {
    let about = &setting.target.target;
    let profile = args.profile.as_deref().and_then(Profile::named);
    let levels = match (profile, args.level.is_empty()) {
        (Some(Profile::Al1ScimDraft), _) => vec![Level::Al1],
        (None, true) => about.levels.clone(),
        (None, false) => args.level.clone(),
    };
    let mut roles: Vec<Role> = if args.role.is_empty() { about.roles.clone() } else { args.role.clone() };
    roles.sort_unstable();
    roles.dedup();
    for &role in &roles {
        if !about.roles.contains(&role) {
            return Err(Error::usage(
                format!("the target does not play the role `{role}`"),
                "Its roles stand in target.roles of the target file.",
            ));
        }
        let described = match role {
            Role::Idp => setting.target.idp.is_some(),
            Role::App => setting.target.app.is_some(),
        };
        if let Some(level) = levels.iter().find(|level| !level.is_account()).filter(|_| !described) {
            return Err(Error::usage(
                format!("{level} of the {} needs a table [{role}]", role.title()),
                format!("Add [{role}] to the target file, or test another level."),
            ));
        }
        for &level in &levels {
            let executed = catalogue.parts.iter().any(|part| part.role == role && part.level == level && part.executed);
            if !executed {
                let known: Vec<String> = catalogue
                    .parts
                    .iter()
                    .filter(|part| part.executed)
                    .map(|part| format!("{} {}", part.level, part.role))
                    .collect();
                return Err(Error::usage(
                    format!("{level} of the {} cannot be tested by this version", role.title()),
                    format!("It tests {}.", known.join(", ")),
                ));
            }
        }
    }
    known_patterns(catalogue, &args.clause, &args.scenario, &args.binding)?;
    let ask = Ask {
        levels,
        roles,
        edition: edition(catalogue, args.edition.clone().or_else(|| setting.target.run.edition.clone()))?,
        bindings: args.binding.clone(),
        clauses: args.clause.clone(),
        scenarios: args.scenario.clone(),
        fast: setting.fast,
        profile,
    };
    let plan = Plan::make(catalogue, &setting.target, &ask);
    if plan.clauses.iter().all(|planned| matches!(planned.fate, Fate::LeftOut(_))) {
        return Err(Error::usage(
            "nothing is left to test",
            "Loosen --role, --binding, --clause, --scenario or --fast, and see target.roles and target.levels of the target file.",
        ));
    }
    Ok(plan)
}
