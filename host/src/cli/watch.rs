//! Following a job to its end, by its stream of events.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;

use crate::cli::connection::Connection;
use crate::cli::progress::Progress;
use crate::cli::terminal::Terminal;
use crate::cli::{Exit, Refusal};

/// How often a stream that was cut is opened again without anything new in between: a host that is
/// started again, or replaced by a newer one, may take a minute.
const TRIES: u32 = 120;
/// The same for a host that never answered.
const FIRST_TRIES: u32 = 10;
/// After how many tries it is said that somebody waits.
const SILENT_TRIES: u32 = 4;
/// How long between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// One event of a stream.
#[derive(Debug, Default)]
pub(super) struct Event {
    /// Its number.
    pub(super) id: u64,
    /// Its name.
    pub(super) name: String,
    /// What it says.
    pub(super) content: Value,
}

/// Shows a job until it ended, and answers it.
pub(super) async fn follow(
    host: &Connection,
    job: &str,
    terminal: &Terminal,
) -> Result<Value, Refusal> {
    let path = format!("/api/jobs/{job}");
    let mut progress = Progress::new(terminal);
    let (mut last, mut tries, mut answered) = (0, 0, false);
    loop {
        let before = last;
        let seen = stream(host, &format!("{path}/events"), &mut last, &mut progress).await;
        let answer = host.get(&path).await;
        if let Ok(job) = &answer
            && is_finished(job)
        {
            progress.end();
            return answer;
        }
        if answer.as_ref().is_err_and(|refusal| refusal.exit == Exit::Refused) {
            progress.end();
            return answer;
        }
        answered |= answer.is_ok();
        tries = if last > before || answer.is_ok() { 0 } else { tries + 1 };
        if tries == SILENT_TRIES {
            progress.waits();
        }
        if tries > if answered { TRIES } else { FIRST_TRIES } {
            progress.end();
            return Err(seen.err().or(answer.err()).unwrap_or_else(cut_off));
        }
        tokio::time::sleep(PAUSE).await;
        host.find_again();
    }
}

/// Whether a job will change no more.
pub(super) fn is_finished(job: &Value) -> bool {
    let status = job.get("status").and_then(Value::as_str).unwrap_or_default();
    !matches!(status, "queued" | "running" | "")
}

async fn stream(
    host: &Connection,
    path: &str,
    last: &mut u64,
    progress: &mut Progress<'_>,
) -> Result<(), Refusal> {
    let response = host.events(path, *last).await?;
    let mut chunks = response.bytes_stream();
    let mut text = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_cut| cut_off())?;
        text.extend_from_slice(&chunk);
        while let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
            let message: Vec<u8> = text.drain(..end + 2).collect();
            if let Some(event) = parse(&String::from_utf8_lossy(&message)) {
                *last = event.id;
                progress.show(&event);
            }
        }
    }
    Ok(())
}

fn parse(message: &str) -> Option<Event> {
    let mut event = Event::default();
    for line in message.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => event.id = id.parse().ok()?,
            Some(("event", name)) => name.clone_into(&mut event.name),
            Some(("data", content)) => event.content = serde_json::from_str(content).ok()?,
            _ => {}
        }
    }
    (event.id > 0).then_some(event)
}

fn cut_off() -> Refusal {
    Refusal::new(Exit::Unreachable, "The connection to the host was cut off.")
        .with_next("windlass job list")
}
