//! `windlass job`: look at jobs, stop them, try them again, remove old ones.

pub(super) mod retry;

use serde_json::Value;

use crate::cli::connection::{Connection, Need};
use crate::cli::plan::Way;
use crate::cli::terminal::{Terminal, text};
use crate::cli::{Exit, Refusal};
use crate::cli::{sheet, watch};
use crate::config::Flags;
use crate::model::names::JobId;

/// Examples, after the help.
pub(super) const EXAMPLES: &str = "Examples:\n  \
windlass job list --status running,failed\n  \
windlass job watch job_20260110_150000_a1b2c3   # Ctrl-C ends the watching, not the job\n  \
windlass job logs job_20260110_150000_a1b2c3 --tail 500\n  \
windlass job retry job_20260110_150000_a1b2c3   # at the step that failed\n  \
windlass job delete --older-than 4w --status completed";

const WATCH_EXAMPLES: &str = "The exit code is 0 when the job completed, and 1 when it ended \
    otherwise. A host that is started again is found again.\n\n\
    Examples:\n  windlass job watch job_20260110_150000_a1b2c3   # Ctrl-C ends the watching, not the \
    job\n  windlass --json job watch job_20260110_150000_a1b2c3   # the job, once it ended";
const SHOW_EXAMPLES: &str = "Examples:\n  windlass job show job_20260110_150000_a1b2c3\n  windlass \
    --json job show job_20260110_150000_a1b2c3   # all of it";
const RETRY_EXAMPLES: &str = "Examples:\n  windlass job retry job_20260110_150000_a1b2c3\n  windlass \
    job retry job_20260110_150000_a1b2c3 --from start\n  windlass job retry \
    job_20260110_150000_a1b2c3 --resolve happened   # a person looked";

/// What can be done with jobs.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List jobs, newest first
    #[command(
        after_help = "Examples:\n  windlass job list\n  windlass job list --status running,failed"
    )]
    List {
        /// Only these, separated by commas: queued, running, completed, failed, cancelled, uncertain
        #[arg(long)]
        status: Option<String>,
    },
    /// Show a job: how it stands, why it failed, what it left, what to do
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// Its id
        id: String,
    },
    /// Watch a job to its end
    #[command(after_help = WATCH_EXAMPLES)]
    Watch {
        /// Its id
        id: String,
    },
    /// Show the last lines of a job's log
    #[command(after_help = "Examples:\n  windlass job logs job_20260110_150000_a1b2c3 --tail 500")]
    Logs {
        /// Its id
        id: String,
        /// How many
        #[arg(long, default_value_t = 100)]
        #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000))]
        tail: u64,
    },
    /// Stop a job
    #[command(after_help = "Examples:\n  windlass job cancel job_20260110_150000_a1b2c3")]
    Cancel {
        /// Its id
        id: String,
    },
    /// Try a job again that failed, was cancelled or needs a person's word, and watch it
    #[command(after_help = RETRY_EXAMPLES)]
    Retry(retry::Arguments),
    /// Remove jobs that ended long ago, with their logs
    #[command(
        after_help = "Examples:\n  windlass job delete --older-than 4w\n  windlass job delete --older-than 12h --status completed"
    )]
    Delete {
        /// How long ago: 30m, 12h, 7d, 4w
        #[arg(long, value_name = "AGE")]
        older_than: String,
        /// How they ended, separated by commas: completed, failed, cancelled, uncertain
        #[arg(long, default_value = "completed,failed,cancelled")]
        status: String,
    },
}

/// Does it.
pub(super) async fn run(
    command: Command,
    flags: Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let need = match command {
        Command::Watch { .. } | Command::Cancel { .. } | Command::Retry(_) => Need::Working,
        Command::List { .. }
        | Command::Show { .. }
        | Command::Logs { .. }
        | Command::Delete { .. } => Need::Looking,
    };
    let host = Connection::open(&flags, need).await?;
    let done = match command {
        Command::List { status } => list(&host, status.as_deref(), terminal).await,
        Command::Show { id } => show(&host, &id, terminal).await,
        Command::Watch { id } => match path_of(&id) {
            Ok(_) => finish(&host, &id, terminal).await,
            Err(refusal) => Err(refusal),
        },
        Command::Logs { id, tail } => logs(&host, &id, tail, terminal).await,
        Command::Cancel { id } => cancel(&host, &id, terminal).await,
        Command::Delete { older_than, status } => {
            delete(&host, &older_than, &status, terminal).await
        }
        Command::Retry(arguments) => retry::retry(&host, arguments, &Way::Do, terminal).await,
    };
    host.close().await;
    done
}

/// Shows a job until it ended. Whoever is tired of watching may leave: the job goes on.
pub(super) async fn finish(
    host: &Connection,
    id: &str,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let job = tokio::select! {
        job = watch::follow(host, id, terminal) => job?,
        _ = tokio::signal::ctrl_c() => return Err(left(host, id)),
    };
    if terminal.is_json() {
        terminal.json(&job);
    }
    let status = text(&job, "/status");
    if status == "completed" {
        return Ok(());
    }
    let reason = job.get("error").and_then(Value::as_str).unwrap_or("no reason was given");
    let ended = match status.as_str() {
        "failed" => "failed",
        "cancelled" => "was cancelled",
        _ => return Err(asks(id, reason)),
    };
    let message = format!("The job `{id}` {ended}: {}", crate::error::sentence(reason));
    Err(Refusal::new(Exit::JobFailed, message).with_next(format!("windlass job logs {id}")))
}

/// Somebody has to look what happened.
fn asks(id: &str, reason: &str) -> Refusal {
    let message =
        format!("The job `{id}` needs a person's word: {}", crate::error::sentence(reason));
    Refusal::new(Exit::JobFailed, message)
        .with_next(format!("windlass job retry {id} --resolve happened"))
        .with_next(format!("windlass job retry {id} --resolve did_not_happen"))
}

async fn list(host: &Connection, status: Option<&str>, terminal: &Terminal) -> Result<(), Refusal> {
    let word = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == ',');
    if let Some(status) = status.filter(|status| !word(status)) {
        let status = status.escape_debug();
        let message = format!("`{status}` is no status: write words such as running,failed.");
        return Err(Refusal::new(Exit::Usage, message));
    }
    let query = status.map_or_else(String::new, |status| format!("?status={status}"));
    let answer = host.get(&format!("/api/jobs{query}")).await?;
    if terminal.is_json() {
        terminal.json(&answer);
        return Ok(());
    }
    let jobs = answer.get("jobs").and_then(Value::as_array).into_iter().flatten();
    let pointers = ["/job_id", "/type", "/server", "/status", "/progress", "/created_at"];
    let rows: Vec<[String; 6]> =
        jobs.map(|job| pointers.map(|pointer| text(job, pointer))).collect();
    if rows.is_empty() {
        terminal.say("There are no such jobs.");
    } else {
        terminal.table(["JOB", "TYPE", "SERVER", "STATUS", "%", "CREATED"], &rows);
    }
    Ok(())
}

async fn show(host: &Connection, id: &str, terminal: &Terminal) -> Result<(), Refusal> {
    let job = host.get(&path_of(id)?).await?;
    if terminal.is_json() {
        terminal.json(&job);
    } else {
        sheet::job(&job, terminal);
    }
    Ok(())
}

async fn logs(host: &Connection, id: &str, tail: u64, terminal: &Terminal) -> Result<(), Refusal> {
    let answer = host.get(&format!("{}/logs?tail={tail}&level=debug", path_of(id)?)).await?;
    if terminal.is_json() {
        terminal.json(&answer);
        return Ok(());
    }
    for line in answer.get("logs").and_then(Value::as_array).into_iter().flatten() {
        let [at, level, message] = ["/timestamp", "/level", "/message"].map(|it| text(line, it));
        terminal.say(&format!("{at}  {level:5}  {message}"));
    }
    Ok(())
}

async fn cancel(host: &Connection, id: &str, terminal: &Terminal) -> Result<(), Refusal> {
    let answer = host.delete(&path_of(id)?).await?;
    if terminal.is_json() {
        terminal.json(&answer);
    } else {
        terminal.say(&format!("{}.", text(&answer, "/message")));
    }
    Ok(())
}

async fn delete(
    host: &Connection,
    older_than: &str,
    status: &str,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == ',');
    if !word(older_than) || !word(status) {
        let message = "An age is a number and a unit, such as 7d; a status is a word.";
        return Err(Refusal::new(Exit::Usage, message));
    }
    let answer = host.delete(&format!("/api/jobs?older_than={older_than}&status={status}")).await?;
    if terminal.is_json() {
        terminal.json(&answer);
    } else {
        terminal.say(&format!("{} jobs are gone.", text(&answer, "/deleted")));
    }
    Ok(())
}

fn left(host: &Connection, id: &str) -> Refusal {
    let (message, next) = if host.is_embedded() {
        (format!("The job `{id}` is not done; it goes on with the next host."), "windlass serve")
    } else {
        (format!("The job `{id}` goes on without being watched."), "windlass job list")
    };
    Refusal::new(Exit::JobFailed, message).with_next(next)
}

/// An id goes into a path only if it is one.
pub(super) fn path_of(id: &str) -> Result<String, Refusal> {
    let id: JobId = id.parse()?;
    Ok(format!("/api/jobs/{id}"))
}
