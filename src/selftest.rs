//! The kill matrix: every defect of the reference peer must be caught by its clause, and a conforming peer must pass everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join3;
use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::catalogue::Catalogue;
use crate::embed::{Flaw, Materials, embed};
use crate::error::Error;
use crate::model::{Clause, Level, Role, Verdict};
use crate::plan::{Ask, Plan};
use crate::run::run;
use crate::set_stage::Browser;
use crate::suites;

/// Peers at a time of defects that wait: for a clock, or for a session that the defect keeps alive. They work little.
const WAITING: Lane = Lane { most: 60, files: 56, eighths: 4 };
/// The same of defects that show at once: each works all the time.
const WORKING: Lane = Lane { most: 16, files: 56, eighths: 2 };
/// The same of identity services that provision: they work more than they wait, over up to 32 connections that have four ends each.
const PROVISIONING: Lane = Lane { most: 10, files: 176, eighths: 2 };
/// Seconds for which the effect of a command is waited for, about.
const POLLED_S: u64 = 60;

/// The defect that makes nearly every visit wait, and about how many seconds its run takes.
const SLOWEST: (&str, u64) = ("sl1.app.tls-certificate-valid", 220);

/// Which clauses may fail beside the one that a defect is for.
const ALLOWED: &str = include_str!("../fixtures/defects.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowedFile {
    defects: BTreeMap<String, Allowed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allowed {
    allow: Vec<String>,
    why: String,
}

/// One row of the matrix.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The clause whose defect the peer had; empty for the conforming peer.
    pub clause: String,
    /// The defect in words.
    pub defect: String,
    /// The clause's own verdict.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// The defect was caught by its clause (for the conforming peer: nothing fired).
    pub caught: bool,
    /// Other clauses that failed or warned.
    pub collateral: Vec<String>,
    /// Those of them that are not allowed to.
    pub unexpected: Vec<String>,
    /// Seconds from the start of the peer to the verdicts.
    pub took_s: f64,
}

impl Row {
    /// Caught, and without unexpected collateral.
    pub fn good(&self) -> bool {
        self.caught && self.unexpected.is_empty()
    }
}

/// The defects that the matrix plays: those of clauses that a scenario decides, but for clauses that only inform.
pub fn flaws(catalogue: &Catalogue) -> Vec<Flaw> {
    let decided: BTreeSet<String> =
        suites::all().iter().flat_map(|suite| suite.clauses()).map(|id| base(&id).to_owned()).collect();
    let informs = |id: &str| of_base(catalogue, id).is_some_and(|clause| clause.mutant.starts_with("(informational)"));
    Flaw::all().filter(|flaw| decided.contains(flaw.clause()) && !informs(flaw.clause())).collect()
}

/// Clauses that only requests in large numbers decide.
const LOADED: [&str; 3] = ["al1.app.rate-limit-429", "al2.idp.group-large", "al3.app.role-limit"];

/// Runs the reference peers with every defect whose clause `wanted` likes, and the conforming one.
///
/// # Errors
/// A peer could not be started, or `fixtures/defects.toml` is wrong.
pub async fn matrix(
    catalogue: &Catalogue,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    told: &(dyn Fn(&Row) + Sync),
) -> Result<Vec<Row>, Error> {
    let suite = |message: String| Error::Suite { message };
    let allowed: AllowedFile = toml::from_str(ALLOWED).map_err(|error| suite(format!("fixtures/defects.toml: {error}")))?;
    for (clause, entry) in &allowed.defects {
        let names = entry.allow.iter().chain([clause]);
        let known = |id: &str| catalogue.clauses.iter().any(|clause| clause.id == id || base(&clause.id) == id);
        if let Some(unknown) = names.into_iter().find(|id| !known(id)) {
            return Err(suite(format!("fixtures/defects.toml: `{unknown}` is no clause")));
        }
        if entry.why.is_empty() {
            return Err(suite(format!("fixtures/defects.toml: `{clause}` says no why")));
        }
    }
    let materials = Materials::make()?;
    let defects: Vec<Flaw> = flaws(catalogue).into_iter().filter(|flaw| wanted(flaw.clause())).collect();
    // Those that wait longest start first, so that their waits overlap with everything else.
    let wait = |flaw: &Flaw| match of_base(catalogue, flaw.clause()) {
        Some(clause) if clause.id == SLOWEST.0 => SLOWEST.1,
        // A session that a command should have ended is looked at until the time for that is over.
        Some(clause) if clause.id.contains('@') => clause.wait_s.max(POLLED_S),
        clause => clause.map_or(0, |clause| clause.wait_s),
    };
    let (lapses, others): (Vec<Flaw>, Vec<Flaw>) = defects.into_iter().partition(|flaw| matches!(flaw, Flaw::Provision(_)));
    let (waiting, working): (Vec<Flaw>, Vec<Flaw>) = others.into_iter().partition(|flaw| wait(flaw) > 0);
    // A defect is looked for in its own track, and so is conformance.
    let level = |flaw: Flaw| if flaw.clause().starts_with("al") { Level::Al3 } else { Level::Sl2 };
    let lane = |mut flaws: Vec<Flaw>, conforming: Option<Level>, width: usize| {
        flaws.sort_by_key(|flaw| std::cmp::Reverse(wait(flaw)));
        let conforming = conforming.map(|level| (None, level));
        let peers = conforming.into_iter().chain(flaws.into_iter().map(move |flaw| (Some(flaw), level(flaw))));
        let (materials, allowed) = (&materials, &allowed);
        let rows = stream::iter(peers).map(move |(defect, level)| async move {
            let begin = Instant::now();
            let mut row = one(catalogue, defect, &[level], materials, allowed).await?;
            row.took_s = begin.elapsed().as_secs_f64();
            told(&row);
            Ok::<Row, Error>(row)
        });
        rows.buffer_unordered(width).collect::<Vec<_>>()
    };
    let (lapses, waiting, working) = join3(
        lane(lapses, Some(Level::Al3), PROVISIONING.width()),
        lane(waiting, Some(Level::Sl2), WAITING.width()),
        lane(working, None, WORKING.width()),
    )
    .await;
    let mut rows = lapses.into_iter().chain(waiting).chain(working).collect::<Result<Vec<Row>, Error>>()?;
    let place = |row: &Row| catalogue.clauses.iter().position(|clause| base(&clause.id) == row.clause);
    rows.sort_by_key(place);
    Ok(rows)
}

/// Peers that are played side by side.
struct Lane {
    /// At a time, at most.
    most: usize,
    /// Files that the peers of one defect and the suite's own endpoints keep open, at most.
    files: usize,
    /// Of the files that may be open this lane has so many eighths.
    eighths: usize,
}

impl Lane {
    /// As many as the limit of open files allows, where it can be read.
    fn width(&self) -> usize {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        let soft: Option<usize> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        soft.map_or(self.most, |files| (files / 8 * self.eighths / self.files).clamp(1, self.most))
    }
}

async fn one(
    catalogue: &Catalogue,
    defect: Option<Flaw>,
    levels: &[Level],
    materials: &Materials,
    allowed: &AllowedFile,
) -> Result<Row, Error> {
    let flaws: Vec<Flaw> = defect.into_iter().collect();
    let roles = defect.map_or_else(|| vec![Role::Idp, Role::App], |flaw| vec![flaw.role()]);
    let (mut setting, _peers) = embed(materials, &roles, &flaws, Browser::Form, false, 8).await?;
    let own = defect.map(Flaw::clause);
    setting.allow_load = own.is_none_or(|own| LOADED.contains(&own));
    // Every clause that need not wait, and the one the defect is for; the conforming peer is asked everything.
    let clauses = match own {
        None => Vec::new(),
        Some(own) => catalogue
            .clauses
            .iter()
            .filter(|clause| clause.wait_s == 0 || base(&clause.id) == own)
            .map(|clause| clause.id.clone())
            .collect(),
    };
    let ask = Ask {
        levels: levels.to_vec(),
        roles,
        edition: catalogue.default_edition.clone(),
        bindings: Vec::new(),
        clauses,
        scenarios: defect.map(Flaw::scenarios).unwrap_or_default(),
        fast: false,
        profile: None,
    };
    let plan = Plan::make(catalogue, &setting.target, &ask);
    let (_stop, stopped) = watch::channel(false);
    let finished = run(catalogue, &plan, setting, Arc::new(|_| {}), stopped).await?;
    let fired = |verdict| matches!(verdict, Verdict::Fail | Verdict::Warning);
    let rows = &finished.report.clauses;
    let collateral: Vec<String> =
        rows.iter().filter(|row| fired(row.verdict) && Some(base(&row.id)) != own).map(|row| row.id.clone()).collect();
    let Some(own) = own else {
        let asked: BTreeSet<&str> = plan.tested().map(|clause| clause.id.as_str()).collect();
        let open: Vec<String> = rows
            .iter()
            .filter(|row| {
                asked.contains(row.id.as_str())
                    && !matches!(row.verdict, Verdict::Pass | Verdict::NotApplicable | Verdict::Attested)
            })
            .map(|row| format!("{} ({}: {})", row.id, row.verdict, row.reason))
            .collect();
        return Ok(Row {
            clause: String::new(),
            defect: "none: the conforming peer".into(),
            verdict: if open.is_empty() { Verdict::Pass } else { Verdict::Fail },
            reason: String::new(),
            caught: open.is_empty(),
            collateral: Vec::new(),
            unexpected: open,
            took_s: 0.0,
        });
    };
    // An effect of commands stands once per delivery binding; its defect must show in every one that applies.
    let instances: Vec<_> = rows.iter().filter(|row| base(&row.id) == own && row.verdict != Verdict::NotApplicable).collect();
    let row = instances.iter().find(|row| !fired(row.verdict)).or(instances.first());
    let allow = allowed.defects.get(own).map(|entry| entry.allow.clone()).unwrap_or_default();
    Ok(Row {
        clause: own.to_owned(),
        defect: of_base(catalogue, own).map(|clause| clause.mutant.clone()).unwrap_or_default(),
        verdict: row.map_or(Verdict::NotRun, |row| row.verdict),
        reason: row.map(|row| row.reason.clone()).unwrap_or_default(),
        caught: row.is_some_and(|row| fired(row.verdict)),
        unexpected: collateral
            .iter()
            .filter(|id| !allow.contains(id) && !allow.iter().any(|allowed| allowed == base(id)))
            .cloned()
            .collect(),
        collateral,
        took_s: 0.0,
    })
}

/// The clause of this id, or the first of its instances.
fn of_base<'a>(catalogue: &'a Catalogue, id: &str) -> Option<&'a Clause> {
    catalogue.clauses.iter().find(|clause| base(&clause.id) == id)
}

/// The id without `@binding`.
fn base(id: &str) -> &str {
    id.split('@').next().unwrap_or(id)
}

/// The matrix as a page.
pub fn markdown(rows: &[Row]) -> String {
    let defects = rows.iter().filter(|row| !row.clause.is_empty()).count();
    let caught = rows.iter().filter(|row| !row.clause.is_empty() && row.caught).count();
    let mut out = format!(
        "# Kill matrix\n\nThe reference peers are started with one defect at a time. {caught} of {defects} defects are caught by the clause they \
         are for; the conforming peers pass every clause. Made by `ipsie-conform selftest --format markdown`.\n\n\
         | clause | defect | verdict | also fired |\n|---|---|---|---|\n"
    );
    for row in rows.iter().filter(|row| !row.clause.is_empty()) {
        let also: Vec<&str> = row.collateral.iter().map(|id| id.splitn(3, '.').nth(2).unwrap_or(id)).collect();
        let verdict = if row.caught { row.verdict.word().to_owned() } else { format!("**survived** ({})", row.verdict.word()) };
        out.push_str(&format!("| {} | {} | {verdict} | {} |\n", row.clause, row.defect.replace('|', "\\|"), also.join(", ")));
    }
    out
}
