//! `windlass torture`: kills a host at every point of a job's run, starts it again, and compares what
//! came of it with a run that nobody disturbed. All on the sandbox, in a folder of its own.

mod plan;
mod report;
mod scenario;
mod trial;
mod victim;

use std::path::PathBuf;

use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::cli::terminal::Terminal;
use crate::cli::torture::plan::Plan;
use crate::cli::torture::report::Report;
use crate::cli::torture::scenario::Scenario;
use crate::cli::torture::trial::{Baseline, Trial};
use crate::cli::{Exit, Refusal};

/// The longest list of points at which one run is killed.
pub(super) const MOST_DEATHS: usize = 3;

/// The help of the whole command.
pub(super) const HELP: &str = "Kill a host at every point of a job's run and compare what came of it.\n\n\
For each scenario the job is run undisturbed once, on the sandbox. Then, for each point between two \
things that a crash can come between (before and after each intent, after each effect was sent, after \
its outcome, before and after the job's end), a host is killed with SIGKILL there and started again. \
The job has to complete, and all that was done, is there and is on record must be what the \
undisturbed run did: no machine twice, no command twice, nothing left over, no job stuck. With --json \
the report names the effect of each point.";

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
        let baseline = Baseline::of(scenario, folder.path()).await?;
        terminal.say(&format!(
            "{scenario}: {} points, {} things done and there",
            baseline.points,
            baseline.evidence.values().sum::<usize>()
        ));
        let share = arguments.kills.div_ceil(wanted.len().max(1));
        let mut trials = plan.trials(&baseline);
        while !trials.is_empty() {
            let mut running = stream::iter(trials.into_iter().map(|trial| trial.run(&baseline)))
                .buffer_unordered(usize::from(arguments.parallel));
            while let Some(ran) = running.next().await {
                let ran = ran?;
                if let (Some(_), Some(keep)) = (&ran.wrong, &arguments.keep) {
                    Trial::keep(&ran.home, keep).map_err(|error| unusable(&error))?;
                }
                if let Some(wrong) = &ran.wrong {
                    terminal.say(&format!("  WRONG after {}: {wrong}", ran.killed_at()));
                }
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

fn unusable(error: &std::io::Error) -> Refusal {
    Refusal::new(Exit::Refused, format!("The folder for the hosts cannot be used: {error}."))
}

impl Report {
    fn show(&self, terminal: &Terminal) {
        if terminal.is_json() {
            terminal.json(&self.json());
            return;
        }
        terminal.table(["SCENARIO", "KILLED AT", "KILLS", "RUNS RIGHT", "WRONG"], &self.summary());
        let (kills, runs, seed) = (self.kills(), self.runs(), self.seed());
        terminal
            .say(&format!("{kills} kills in {runs} runs, {} wrong (seed {seed})", self.wrong()));
    }

    fn json(&self) -> serde_json::Value {
        let rows: Vec<_> = self
            .rows()
            .into_iter()
            .map(|[scenario, point, kills, right, wrong]| {
                json!({ "scenario": scenario, "killed_at": point, "kills": kills, "right": right,
                        "wrong": wrong })
            })
            .collect();
        json!({
            "seed": self.seed(),
            "kills": self.kills(),
            "runs": self.runs(),
            "wrong": self.wrong(),
            "points": rows,
        })
    }
}
