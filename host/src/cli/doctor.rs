//! `windlass doctor`: looks at the home and says what to do. It needs no host, and no host may be
//! able to start.

use crate::app::doctor::{self, Check, Verdict, Wanted};
use crate::cli::connection::usage;
use crate::cli::terminal::Terminal;
use crate::cli::{Exit, Refusal};
use crate::config::{Config, Flags};

/// The help, in full.
pub(super) const HELP: &str = "Look at the home and say what is wrong and what to do.\n\n\
It looks at permissions, key and secrets, the database (structure, schema, commits that are \
missing), room on the disk, compiled and added plugins, providers' tokens, jobs that wait for \
somebody, the clock, and the host, if one runs. It changes nothing unless --fix or --rebuild is \
given, needs no host, and can be used while one runs. A job's journal is the truth, and its row a \
cache of it: --full says which rows differ, and --rebuild mends them, with no host running. SQLite keeps no checksums of pages: a changed byte inside a \
text is found only when the text makes no sense any more.";

/// What its exit code says.
pub(super) const EXAMPLES: &str = "Examples:\n  \
windlass doctor\n  \
windlass doctor --full --json\n  \
windlass doctor --rebuild\n\n\
Exit codes: 0 nothing is wrong, or only warnings; 2 usage; 4 there is a problem.";

/// Flags of `doctor`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Read every page of the database, and hold indexes against their tables and the rows of jobs
    /// against their journals
    #[arg(long)]
    full: bool,
    /// Take permissions from others on what is the owner's alone
    #[arg(long)]
    fix: bool,
    /// Make the row of each job what its journal tells; no host may run meanwhile
    #[arg(long)]
    rebuild: bool,
}

/// Looks.
pub(super) async fn run(
    arguments: Arguments,
    flags: Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let config = Config::read(&flags).map_err(|error| usage(&error))?;
    let Arguments { full, fix, rebuild } = arguments;
    let wanted = Wanted { full, fix, rebuild };
    let diagnosis = doctor::examine(&config, wanted).await;
    if terminal.is_json() {
        terminal.json(&serde_json::to_value(&diagnosis).unwrap_or_default());
    } else {
        diagnosis.checks.iter().for_each(|check| say(check, terminal));
    }
    let problems = diagnosis.checks.iter().filter(|check| check.verdict == Verdict::Problem);
    match problems.count() {
        0 => Ok(()),
        1 => Err(Refusal::new(Exit::Refused, "There is a problem with this home.")),
        many => Err(Refusal::new(Exit::Refused, format!("There are {many} problems."))),
    }
}

fn say(check: &Check, terminal: &Terminal) {
    let Check { name, verdict, found, advice } = check;
    terminal.say(&format!("{:<8} {name:<15} {found}", verdict.as_str()));
    if let Some(advice) = advice {
        terminal.say(&format!("{:<24} → {advice}", ""));
    }
}
