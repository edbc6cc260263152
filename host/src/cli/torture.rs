//! `windlass torture`: kills a host at every point of a job's run, starts it again, and compares what
//! came of it with a run that nobody disturbed. All on the sandbox, in a folder of its own.

mod life;
mod plan;
mod report;
mod scenario;
mod trial;
mod verdict;
mod victim;

use std::path::{Path, PathBuf};

use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::cli::terminal::Terminal;
use crate::cli::torture::plan::Plan;
use crate::cli::torture::report::Report;
use crate::cli::torture::scenario::Scenario;
use crate::cli::torture::trial::{Baseline, Ran, Trial};
use crate::cli::{Exit, Refusal};

/// The longest list of points at which one run is killed.
pub(super) const MOST_DEATHS: usize = 3;

/// The help of the whole command.
pub(super) const HELP: &str = "Kill a host at every point of a job's run and compare what came of it.\n\n\
For each scenario the job is run undisturbed once, on the sandbox. Then, for each point between two \
things that a crash can come between (before and after each intent, after each effect was sent, after \
its outcome, before and after the job's end), a host is killed with SIGKILL there and started again. \
The job has to complete, and all that was done, is there and is on record must be what the \
undisturbed run did: no machine twice, no command twice, nothing left over, no job stuck. Then the job \
is cancelled at some of these points, and the host is killed at each point that comes after that: it \
has to end as cancelled, or completed where that came too late, with nothing done twice, nothing left \
that is not listed (of a creation nothing at all), and the same request once more must come out as if \
nothing had been. The same seed chooses the same points again.\n\nOn the sandbox there is no network and no \
daemon between the host and its servers. In the project's source, `cargo run -p tests --bin storm -- \
--runs 50 --seed 7` kills a host while its connections to fakes of clouds and to real sshds are cut in the \
middle of requests and answers and the sshds are restarted; restarts of dockerd are tried by its tests. \
With --json the report names the effect of each point.";

/// Examples, after the help.
pub(super) const EXAMPLES: &str = "Examples:\n  \
windlass torture create\n  \
windlass torture --kills 1000 --seed 7\n  \
windlass torture setup --seed 7 --keep ./failed   # the same run again, its homes kept";

/// Flags of `torture`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// What is tried, in the order of a server's life; everything if none is named
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,
    /// How many kills at least: after every point in turn, runs that are killed up to three times at
    /// points chosen by the seed
    #[arg(long, default_value_t = 0)]
    kills: usize,
    /// At how many points of each scenario its job is cancelled, the host killed at each point from
    /// there on
    #[arg(long, default_value_t = 3)]
    cancels: u64,
    /// What the chosen points follow from; told at the end, so that a run can be repeated
    #[arg(long)]
    seed: Option<u64>,
    /// How many hosts run at once
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    parallel: u8,
    /// Keep the homes of runs that went wrong in this folder
    #[arg(long, value_name = "DIRECTORY")]
    keep: Option<PathBuf>,
}

/// Does it. Fails when anything differs.
pub(super) async fn torture(arguments: Arguments, terminal: &Terminal) -> Result<(), Refusal> {
    let folder = tempfile::tempdir().map_err(|error| unusable(&error))?;
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let wanted = Scenario::chosen(&arguments.scenarios);
    let mut report = Report::new(seed);
    let mut plan = Plan::new(seed);
    for scenario in wanted.iter().copied() {
        let mut baseline = Baseline::of(scenario, folder.path()).await?;
        let (points, count) = (baseline.points, baseline.wanted.count());
        terminal.say(&format!("{scenario}: {points} points, {count} things done and there"));
        for moment in plan.moments(points, arguments.cancels) {
            let ran = baseline.cancel_at(moment).await?;
            note(&ran, arguments.keep.as_deref(), terminal)?;
            report.add(scenario, &ran);
        }
        let share = arguments.kills.div_ceil(wanted.len().max(1));
        let mut trials = plan.trials(&baseline);
        trials.extend(plan.cancelled(&baseline));
        while !trials.is_empty() {
            let mut running = stream::iter(trials.into_iter().map(|trial| trial.run(&baseline)))
                .buffer_unordered(usize::from(arguments.parallel));
            while let Some(ran) = running.next().await {
                let ran = ran?;
                note(&ran, arguments.keep.as_deref(), terminal)?;
                report.add(scenario, &ran);
            }
            // Not every planned kill comes to be: a run that goes on has fewer points.
            trials = plan.more(&baseline, share.saturating_sub(report.kills_of(scenario)));
        }
    }
    report.show(terminal);
    if report.is_clean() {
        return Ok(());
    }
    let message = format!("{} runs went wrong; the seed is {seed}.", report.wrong());
    let next = format!("windlass torture --seed {seed} --keep ./failed");
    Err(Refusal::new(Exit::JobFailed, message).with_next(next))
}

/// Says what went wrong, and keeps the home where that is wanted.
fn note(ran: &Ran, keep: Option<&Path>, terminal: &Terminal) -> Result<(), Refusal> {
    let Some(wrong) = &ran.wrong else { return Ok(()) };
    if let Some(keep) = keep {
        Trial::keep(&ran.home, keep).map_err(|error| unusable(&error))?;
    }
    terminal.say(&format!("  WRONG after {}: {wrong}", ran.killed_at()));
    Ok(())
}

fn unusable(error: &std::io::Error) -> Refusal {
    Refusal::new(Exit::Refused, format!("The folder for the hosts cannot be used: {error}."))
}

impl Report {
    fn show(&self, terminal: &Terminal) {
        if terminal.is_json() {
            terminal.json(&self.json());
            return;
        }
        let head = ["SCENARIO", "KILLED AT", "KILLS", "IN CANCEL", "RUNS RIGHT", "WRONG"];
        terminal.table(head, &self.summary());
        let (kills, runs, seed) = (self.kills(), self.runs(), self.seed());
        let (in_cancel, cancelled) = (self.kills_in_cancel(), self.cancelled());
        terminal.say(&format!(
            "{kills} kills in {runs} runs, {} wrong (seed {seed}); {in_cancel} of the kills while a \
             job was being cancelled, {cancelled} of the runs ended as cancelled",
            self.wrong()
        ));
    }

    fn json(&self) -> serde_json::Value {
        let rows: Vec<_> = self
            .rows()
            .into_iter()
            .map(|[scenario, point, kills, in_cancel, right, wrong]| {
                json!({ "scenario": scenario, "killed_at": point, "kills": kills,
                        "in_cancel": in_cancel, "right": right, "wrong": wrong })
            })
            .collect();
        json!({
            "seed": self.seed(),
            "kills": self.kills(),
            "runs": self.runs(),
            "wrong": self.wrong(),
            "cancelled": self.cancelled(),
            "in_cancel": self.kills_in_cancel(),
            "points": rows,
        })
    }
}
