//! A storm over a real host: `cargo run -p tests --bin storm -- --runs 50 --seed 7`. It buys two
//! servers at the fakes of two clouds, has commands run on them by real sshds, gives them names at the
//! fake of Cloudflare and deletes them, while it is killed at boundaries of its jobs and in the middle
//! of what it asks and is answered, its connections are cut at any byte, and the sshds are restarted.
//! Then what the fakes and the machines counted must be what an undisturbed run did.

mod machine;
mod outside;
mod plan;
mod report;
mod storm;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::{Result, ensure};
use clap::Parser;
use futures_util::{StreamExt, stream};
use tests::host_process::build_program;
use tests::sshd::Sshd;

use crate::plan::{Fate, Plan};
use crate::report::Report;
use crate::storm::{Carried, Ran, Storm};

/// A storm over a real host: kills, cut connections and restarts of sshd, all at once.
///
/// The same seed plans the same faults: at which share of what an undisturbed run does and carries
/// each of them comes. What the machine is at in that moment depends on its timing as well.
#[derive(Parser)]
struct Arguments {
    /// How many runs
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// What the faults follow from; told at the end, so that a storm can be repeated
    #[arg(long)]
    seed: Option<u64>,
    /// Only the run of this number of the seed's, counted from 1
    #[arg(long)]
    only: Option<usize>,
    /// How many hosts run at once
    #[arg(long, default_value_t = 2)]
    parallel: usize,
    /// Keep the homes and logs of runs that went wrong in this folder
    #[arg(long, value_name = "DIRECTORY")]
    keep: Option<PathBuf>,
    /// Say what is planned, and do nothing
    #[arg(long)]
    plan: bool,
    /// The report as JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let fates = Plan::new(seed).zip(1..).take(arguments.only.unwrap_or(arguments.runs));
    let fates = fates.filter(|(_, number)| arguments.only.is_none_or(|only| only == *number));
    if arguments.plan {
        fates.for_each(|(fate, number)| println!("run {number}: {fate}"));
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(Sshd::is_installed(), "there is no sshd on this machine");
    ensure!(rustix::process::geteuid().is_root(), "only root may listen at port 22");
    build_program()?;
    let carried = Arc::new(undisturbed().await?);
    if !arguments.json {
        println!("an undisturbed run: {carried}");
    }
    let mut report = Report::new(seed);
    let runs = fates.map(|(fate, number)| run(number, fate, Arc::clone(&carried)));
    let mut runs = stream::iter(runs).buffer_unordered(arguments.parallel.max(1));
    while let Some((number, ran)) = runs.next().await {
        if let Some(wrong) = &ran.wrong {
            eprintln!("run {number} is WRONG: {wrong}");
            keep(number, &ran, arguments.keep.as_deref())?;
        }
        report.add(&ran);
    }
    if arguments.json {
        println!("{:#}", report.json())
    } else {
        print!("{report}")
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a run does and carries that nobody disturbs. It has to be right, and to leave nothing at all.
async fn undisturbed() -> Result<Carried> {
    let mut storm = Storm::gather(&Fate::default(), &Carried::default()).await;
    let carried = storm.measure().await?;
    let ran = storm.end(Ok(()));
    ensure!(ran.receipts_left == 0, "{} receipts are left", ran.receipts_left);
    Ok(carried)
}

/// One run, in a task of its own so that it may break.
async fn run(number: usize, fate: Fate, carried: Arc<Carried>) -> (usize, Ran) {
    let ran = tokio::spawn(async move {
        let mut storm = Storm::gather(&fate, &carried).await;
        let came = storm.rage().await;
        storm.end(came)
    });
    let ran = ran.await.unwrap_or_else(|broken| Ran::broken(format!("it broke: {broken}")));
    (number, ran)
}

fn keep(number: usize, ran: &Ran, folder: Option<&Path>) -> Result<()> {
    let (Some(host), Some(folder)) = (&ran.host, folder) else { return Ok(()) };
    std::fs::create_dir_all(folder)?;
    let home = host.home();
    let from = home.parent().unwrap_or(&home);
    let to = folder.join(format!("run-{number}"));
    let copied = Command::new("cp").arg("-r").arg(from).arg(&to).status()?;
    ensure!(copied.success(), "{} cannot be written", to.display());
    Ok(())
}
