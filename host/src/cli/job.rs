//! `windlass job`: look at jobs, and stop them.

use serde_json::Value;

use crate::cli::connection::{Connection, Need};
use crate::cli::terminal::{Terminal, text};
use crate::cli::watch;
use crate::cli::{Exit, Refusal};
use crate::config::Flags;
use crate::model::names::{InvalidName, JobId};

/// What can be done with jobs.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List jobs, newest first
    List {
        /// Only these, separated by commas: queued, running, completed, failed, cancelled
        #[arg(long)]
        status: Option<String>,
    },
    /// Show a job
    Show {
        /// Its id
        id: String,
    },
    /// Watch a job to its end
    Watch {
        /// Its id
        id: String,
    },
    /// Show the last lines of a job's log
    Logs {
        /// Its id
        id: String,
        /// How many
        #[arg(long, default_value_t = 100)]
        #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000))]
        tail: u64,
    },
    /// Stop a job
    Cancel {
        /// Its id
        id: String,
    },
}

/// Does it.
pub(super) async fn run(
    command: Command,
    flags: Flags,
    terminal: &Terminal,
) -> Result<(), Refusal> {
    let need = match command {
        Command::Watch { .. } | Command::Cancel { .. } => Need::Working,
        Command::List { .. } | Command::Show { .. } | Command::Logs { .. } => Need::Looking,
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
        _ => "needs a person's word",
    };
    let message = format!("The job `{id}` {ended}: {}", crate::error::sentence(reason));
    Err(Refusal::new(Exit::JobFailed, message).with_next(format!("windlass job logs {id}")))
}

async fn list(host: &Connection, status: Option<&str>, terminal: &Terminal) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_lowercase() || c == ',';
    let status = status.map(|status| status.chars().filter(|&c| allowed(c)).collect::<String>());
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
    terminal.json(&host.get(&path_of(id)?).await?);
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

fn left(host: &Connection, id: &str) -> Refusal {
    let (message, next) = if host.is_embedded() {
        (format!("The job `{id}` is not done; it goes on with the next host."), "windlass serve")
    } else {
        (format!("The job `{id}` goes on without being watched."), "windlass job list")
    };
    Refusal::new(Exit::JobFailed, message).with_next(next)
}

/// An id goes into a path only if it is one.
fn path_of(id: &str) -> Result<String, Refusal> {
    let id: JobId =
        id.parse().map_err(|why: InvalidName| Refusal::new(Exit::Usage, why.to_string()))?;
    Ok(format!("/api/jobs/{id}"))
}
