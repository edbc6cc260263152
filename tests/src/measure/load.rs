//! Ten thousand jobs at once, and ten thousand after one another: what they take, what they leave,
//! and whether others notice.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use reqwest::Method;

use crate::host::Host;
use crate::report::{at_most, line, spread};

/// How many jobs.
const JOBS: usize = 10_000;

/// Requests of each series.
const REQUESTS: usize = 1_000;

pub(crate) async fn measure(program: &Path) -> Result<()> {
    waiting(program).await?;
    finished(program).await
}

async fn waiting(program: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let host = Host::start(program, folder.path()).await?;
    host.add_plugin(tests::echo::version(1)).await?;
    host.create("first").await?;
    host.until_running(0).await?;
    let before = host.memory_mb()?;
    let took = host
        .series(JOBS, 50, async |host, n| host.create(&format!("waits-{n}")).await.map(drop))
        .await?;
    line("POST of 10 000 jobs that wait, 50 clients", &spread(&took), "");
    host.until_running(u64::try_from(JOBS)?).await?;
    let each = 1024.0 * (host.memory_mb()? - before) / 10_000.0;
    line("memory of a waiting job", &format!("{each:.0} KiB"), &at_most(each, 256.0, "KiB"));
    let health =
        async |host: Arc<Host>, _| host.ask(Method::GET, "/health", None, 200).await.map(drop);
    line("GET /health beside them", &spread(&host.series(REQUESTS, 4, health).await?), "");
    let jobs = host.ask(Method::GET, "/api/jobs?limit=1", None, 200).await?;
    let job = jobs["jobs"][0]["job_id"].as_str().context("no job")?.to_owned();
    let show = move |host: Arc<Host>, _| {
        let path = format!("/api/jobs/{job}");
        async move { host.ask(Method::GET, &path, None, 200).await.map(drop) }
    };
    line("GET a job beside them", &spread(&host.series(REQUESTS, 4, show).await?), "");
    Ok(())
}

async fn finished(program: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let host = Host::start(program, folder.path()).await?;
    let idle = host.memory_mb()?;
    host.add_plugin(tests::echo::version(1)).await?;
    let mut shown = vec![format!("{idle:.0} idle")];
    let mut last = idle;
    for turn in 0..10 {
        let create = move |host: Arc<Host>, n| async move {
            host.create(&format!("job-{turn}-{n}")).await.map(drop)
        };
        host.series(JOBS / 10, 20, create).await?;
        host.until_running(0).await?;
        last = host.memory_mb()?;
        shown.push(format!("{last:.0}"));
    }
    line("memory after each 1 000 of 10 000 jobs, MB", "", &shown.join(" · "));
    let grown = last - idle;
    let what = "  more than idle after 10 000 jobs";
    line(what, &format!("{grown:.1} MB"), &at_most(grown, 10.0, "MB"));
    Ok(())
}
