//! How long an agent that waits for a job hears nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;
use tests::agent::{Agent, Stream, Wire};
use tests::echo;

use crate::floors::Floors;
use crate::host::Host;
use crate::report::{at, line, spread, times};

/// Waits of each series.
const WAITS: usize = 200;

pub(crate) async fn measure(program: &Path, floors: &Floors) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let host = Host::start(program, folder.path()).await?;
    host.add_plugin(echo::version(1)).await?;
    let job = host.create("waits").await?;
    until_running(&host, &job).await?;
    for wire in [Wire::Legacy, Wire::Modern] {
        let agent = host.agent().on(wire);
        let mut took = Vec::new();
        for _ in 0..WAITS {
            took.push(first_byte(&agent, &job).await?);
        }
        took.sort_unstable();
        let what = match wire {
            Wire::Legacy => "a wait's first byte, 2025-11-25",
            Wire::Modern => "a wait's first byte, 2026-07-28",
        };
        let beside = format!("{:.1} × loopback", times(at(&took, 50), floors.request()));
        line(what, &spread(&took), &beside);
    }
    Ok(())
}

async fn until_running(host: &Arc<Host>, job: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let shown = host.ask(Method::GET, &format!("/api/jobs/{job}"), None, 200).await?;
        if shown["status"] == "running" {
            return Ok(());
        }
        ensure!(began.elapsed() < Duration::from_secs(60), "the job never runs: {shown}");
    }
}

/// How long it takes until a wait that wants to be told of progress hears anything. Then the client
/// goes: the job goes on, and so does this.
async fn first_byte(agent: &Agent, job: &str) -> Result<Duration> {
    let params = json!({ "name": "aguardar-job-completo", "arguments": { "job_id": job },
        "_meta": { "progressToken": 1 } });
    let message = agent.message("tools/call", params);
    let began = Instant::now();
    let response = agent.send(&message).await;
    ensure!(response.status() == 200, "a wait is refused: {}", response.status());
    let mut stream = Stream::new(response, began);
    let told = stream.next().await;
    ensure!(
        told.is_some_and(|(_, message)| message["method"] == "notifications/progress"),
        "a wait tells no progress"
    );
    stream.first_byte().ok_or_else(|| anyhow::anyhow!("no byte came"))
}
