//! What clients see: start, memory, the answers to submissions, a plugin that is swapped.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use tests::echo::{KEPT, patched};

use crate::floors::Floors;
use crate::host::Host;
use crate::report::{at, at_most, line, ms, spread, times};

/// Requests of each series.
const REQUESTS: usize = 640;

pub(crate) async fn measure(program: &Path, floors: &Floors) -> Result<()> {
    let folder = tempfile::tempdir()?;
    #[expect(clippy::cast_precision_loss, reason = "a file's size in MB")]
    let size = std::fs::metadata(program)?.len() as f64 / 1e6;
    line("the program", &format!("{size:.1} MB"), "");
    let began = Instant::now();
    let cold = Host::start(program, folder.path()).await?;
    line("start, cold", &format!("{:.0} ms", ms(began.elapsed())), "");
    drop(cold);
    let began = Instant::now();
    let host = Host::start(program, folder.path()).await?;
    let began = ms(began.elapsed());
    line("start, warm", &format!("{began:.0} ms"), &at_most(began, 200.0, "ms"));
    let idle = host.memory_mb()?;
    line("memory, idle", &format!("{idle:.1} MB"), &at_most(idle, 60.0, "MB"));
    let took = host.series(REQUESTS, 1, async |host, _| health(host).await).await?;
    let beside = format!("{:.1} × loopback", times(at(&took, 50), floors.request()));
    line("GET /health, 1 client", &spread(&took), &beside);
    submissions(&host, floors).await?;
    let took = activations(&host).await?;
    line("a plugin's file renamed → active", &spread(&took), "");
    Ok(())
}

async fn submissions(host: &Arc<Host>, floors: &Floors) -> Result<()> {
    let mut took = Vec::new();
    for number in 0..REQUESTS {
        let began = Instant::now();
        let job = host.create(&format!("alone-{number}")).await?;
        took.push(began.elapsed());
        host.until_ended(&job).await?;
    }
    took.sort_unstable();
    line("POST /api/servers, nothing beside", &spread(&took), &beside(&took, floors));
    let slowest = ms(at(&took, 99));
    line("  its slowest hundredth", &format!("{slowest:.2} ms"), &at_most(slowest, 10.0, "ms"));
    let took = host
        .series(REQUESTS, 1, async |host, n| host.create(&format!("a-{n}")).await.map(drop))
        .await?;
    let ratio = format!("{:.2} × one commit", times(at(&took, 50), floors.commit()));
    line("POST /api/servers, 1 client, its jobs beside", &spread(&took), &ratio);
    host.until_running(0).await?;
    let took = host
        .series(REQUESTS, 32, async |host, n| host.create(&format!("b-{n}")).await.map(drop))
        .await?;
    line("POST /api/servers, 32 clients, jobs beside", &spread(&took), "");
    host.until_running(0).await
}

/// Sorted times of submissions beside what a commit takes.
fn beside(took: &[Duration], floors: &Floors) -> String {
    let half = at(took, 50);
    let ratio = at_most(times(half, floors.rested_commit()), 1.5, "× one commit");
    let both = times(half, floors.rested_request() + floors.rested_commit());
    format!("{ratio}; {both:.2} × a request and a commit, after the same rest")
}

async fn health(host: Arc<Host>) -> Result<()> {
    host.ask(Method::GET, "/health", None, 200).await.map(drop)
}

/// How long it takes from a rename into the watched directory until new jobs run the version.
async fn activations(host: &Arc<Host>) -> Result<Vec<Duration>> {
    host.add_plugin(KEPT.to_vec()).await?;
    let folder = host.home().join("plugins");
    let (part, whole) = (folder.join("part"), folder.join("echo.wasm"));
    let mut took = Vec::new();
    for number in 2..=9 {
        let version = format!("7.7.{number}");
        std::fs::write(&part, patched(KEPT, "7.7.1", &version))?;
        let began = Instant::now();
        std::fs::rename(&part, &whole)?;
        loop {
            let shown = host.ask(Method::GET, "/api/plugins/echo-versions", None, 200).await?;
            let active = shown["active"]["version"].as_str().context("no active version")?;
            if active == version {
                break;
            }
            ensure!(began.elapsed() < Duration::from_secs(60), "{version} is never active");
        }
        took.push(began.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}
