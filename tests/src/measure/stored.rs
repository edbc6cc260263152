//! What a million stored jobs change.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Method;
use rusqlite::Connection;

use crate::host::Host;
use crate::report::{at, at_most, line, ms, times};

/// Requests of each series.
const REQUESTS: usize = 300;

/// What a host with few jobs has, and one with many.
const FEW: usize = 1_000;
const MANY: u32 = 1_000_000;

pub(crate) async fn measure(program: &Path) -> Result<()> {
    let (few, many) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let host = Host::start(program, few.path()).await?;
    host.add_plugin(tests::echo::version(1)).await?;
    host.series(FEW, 8, async |host, n| host.create(&format!("few-{n}")).await.map(drop)).await?;
    host.until_running(0).await?;
    drop(host);
    // Pages are compared that are as full.
    let database = few.path().join("home/windlass.db");
    Connection::open(&database)?.execute("UPDATE jobs SET server = 'web-7'", [])?;
    copy(&few.path().join("home"), &many.path().join("home"))?;
    multiply(&many.path().join("home/windlass.db"))?;
    let few = Host::start(program, few.path()).await?;
    let began = Instant::now();
    let many = Host::start(program, many.path()).await?;
    let started = began.elapsed();
    for (what, [few, many]) in figures([few, many]).await? {
        let figure = format!("{:.2} → {:.2} ms", ms(few), ms(many));
        line(what, &figure, &at_most(times(many, few), 1.3, "×"));
    }
    let started = ms(started);
    line("start with 1 000 000 jobs", &format!("{started:.0} ms"), &at_most(started, 200.0, "ms"));
    Ok(())
}

/// The medians of both hosts, which are asked in turn: whatever else the machine does slows both.
async fn figures(hosts: [Arc<Host>; 2]) -> Result<Vec<(&'static str, [Duration; 2])>> {
    let known = [hosts[0].create("known").await?, hosts[1].create("known").await?];
    let mut found = Vec::new();
    for (what, path) in [
        ("GET a job, 1 000 → 1 000 000 jobs", "/api/jobs/"),
        ("GET a page of jobs", "/api/jobs"),
        ("GET a page of a server's jobs", "/api/jobs?server=web-7"),
        ("GET a page of completed jobs", "/api/jobs?status=completed"),
        ("GET a server's jobs of one kind", "/api/jobs?server=web-7&type=create_server"),
    ] {
        let ask = async |which: usize, _| {
            let job = if path.ends_with('/') { known[which].as_str() } else { "" };
            hosts[which].ask(Method::GET, &format!("{path}{job}"), None, 200).await.map(drop)
        };
        found.push((what, in_turn(ask).await?));
    }
    let submit = async |which: usize, n| hosts[which].create(&format!("new-{n}")).await.map(drop);
    found.push(("POST a job", in_turn(submit).await?));
    Ok(found)
}

/// The medians of what is done with the one and with the other.
async fn in_turn(work: impl AsyncFn(usize, usize) -> Result<()>) -> Result<[Duration; 2]> {
    let mut took = [Vec::new(), Vec::new()];
    for turn in 0..REQUESTS {
        for (which, took) in took.iter_mut().enumerate() {
            let began = Instant::now();
            work(which, turn).await?;
            took.push(began.elapsed());
        }
    }
    Ok(took.map(|mut took| {
        took.sort_unstable();
        at(&took, 50)
    }))
}

/// Copies a home of which no host runs.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to)?;
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let there = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &there)?;
        } else if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), there)?;
        }
    }
    Ok(())
}

/// Copies the newest completed job of a host that does not run, until there are so many, with the
/// beginning of its journal.
fn multiply(path: &Path) -> Result<()> {
    let database = Connection::open(path)?;
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
    // What the system has not written yet would slow every commit that is measured.
    File::open(path)?.sync_all()?;
    Ok(())
}
