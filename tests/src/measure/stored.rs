//! What a million stored jobs change.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Method;
use rusqlite::Connection;

use crate::host::Host;
use crate::report::{at, line, ms, times};

/// Requests of each series.
const REQUESTS: usize = 300;

/// What a host with few jobs has, and one with many.
const FEW: usize = 1_000;
const MANY: u32 = 1_000_000;

pub(crate) async fn measure(program: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let host = Host::start(program, folder.path()).await?;
    host.add_plugin(tests::echo::version(1)).await?;
    host.series(FEW, 8, async |host, n| host.create(&format!("few-{n}")).await.map(drop)).await?;
    host.until_running(0).await?;
    drop(host);
    let database = folder.path().join("home/windlass.db");
    // Pages are compared that are as full.
    Connection::open(&database)?.execute("UPDATE jobs SET server = 'web-7'", [])?;
    let host = Host::start(program, folder.path()).await?;
    let few = figures(&host, "f").await?;
    drop(host);
    multiply(&database)?;
    let began = Instant::now();
    let host = Host::start(program, folder.path()).await?;
    let started = began.elapsed();
    let many = figures(&host, "m").await?;
    for ((what, few), (_, many)) in few.into_iter().zip(many) {
        let figure = format!("{:.2} → {:.2} ms", ms(few), ms(many));
        line(what, &figure, &format!("{:.2} ×; goal: 1.3", times(many, few)));
    }
    line("start with 1 000 000 jobs", &format!("{:.0} ms", ms(started)), "goal: under 200");
    Ok(())
}

/// The medians with as many jobs as there are.
async fn figures(host: &Arc<Host>, prefix: &'static str) -> Result<Vec<(&'static str, Duration)>> {
    let job = host.create(&format!("{prefix}-known")).await?;
    host.until_running(0).await?;
    let mut found = Vec::new();
    for (what, path) in [
        ("GET a job, 1 000 → 1 000 000 jobs", format!("/api/jobs/{job}")),
        ("GET a page of jobs", "/api/jobs".to_owned()),
        ("GET a page of a server's jobs", "/api/jobs?server=web-7".to_owned()),
        ("GET a page of completed jobs", "/api/jobs?status=completed".to_owned()),
        ("GET a server's jobs of one kind", "/api/jobs?server=web-7&type=create_server".to_owned()),
    ] {
        let ask = move |host: Arc<Host>, _| {
            let path = path.clone();
            async move { host.ask(Method::GET, &path, None, 200).await.map(drop) }
        };
        let took = host.series(REQUESTS, 1, ask).await?;
        found.push((what, at(&took, 50)));
    }
    let submit = move |host: Arc<Host>, n| async move {
        host.create(&format!("{prefix}-{n}")).await.map(drop)
    };
    let took = host.series(REQUESTS, 1, submit).await?;
    found.push(("POST a job", at(&took, 50)));
    host.until_running(0).await?;
    Ok(found)
}

/// Copies the newest completed job of a host that does not run, until there are so many, with the
/// beginning of its journal.
fn multiply(database: &Path) -> Result<()> {
    let database = Connection::open(database)?;
    database.execute_batch("PRAGMA synchronous = OFF; BEGIN")?;
    let (one, last): (i64, i64) = database.query_row(
        "SELECT (SELECT max(number) FROM jobs WHERE status = 'completed'), max(number) FROM jobs",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    database.execute(
        "WITH RECURSIVE places (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM places WHERE i < ?2)
         INSERT INTO jobs (id, operation, params, server, root, depends_on, status, ready, attempt,
                           fence, plugin_name, plugin_version, plugin_digest, view, result,
                           created_at, started_at, completed_at)
         SELECT printf('job_20250110_150000_%06x', i), operation, params, 'web-' || (i % 100),
                printf('job_20250110_150000_%06x', i), depends_on, status, ready, attempt, fence,
                plugin_name, plugin_version, plugin_digest, view, result, created_at + i,
                started_at + i, completed_at + i
         FROM jobs CROSS JOIN places WHERE number = ?1",
        [one, i64::from(MANY)],
    )?;
    database.execute(
        "INSERT INTO journal (job, seq, at, kind, level, body)
         SELECT jobs.number, entry.seq, entry.at, entry.kind, entry.level, entry.body
         FROM jobs CROSS JOIN journal AS entry
         WHERE jobs.number > ?2 AND entry.job = ?1 AND entry.seq <= 3",
        [one, last],
    )?;
    database.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}
