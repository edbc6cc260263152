//! What `perf` sees of a host that takes submissions and runs them, for a flame graph.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;

use crate::host::Host;

/// Where the samples are left, in the working directory.
const SAMPLES: &str = "host.perf";

/// How long is recorded, in seconds.
const SECONDS: &str = "10";

/// Clients, and how long each waits between two submissions.
const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(40);

pub(crate) async fn record(program: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let host = Host::start(program, folder.path()).await?;
    // Compiles the plugin, which is not what is looked for.
    host.create("first").await?;
    host.until_running(0).await?;
    let (next, mut clients) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for _ in 0..CLIENTS {
        let (host, next) = (Arc::clone(&host), Arc::clone(&next));
        clients.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                host.create(&format!("web-{number}")).await.expect("it is taken");
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
    let mut perf = Command::new("perf");
    perf.args(["record", "-e", "cpu-clock", "-F", "499", "--call-graph", "dwarf,16384"]);
    perf.args(["-p", &host.process().to_string(), "-o", SAMPLES, "--", "sleep", SECONDS]);
    let recorded = tokio::task::spawn_blocking(move || perf.status()).await?;
    ensure!(recorded.context("perf is not installed")?.success(), "perf records nothing");
    println!("{} submissions", next.load(Ordering::Relaxed));
    Ok(())
}
