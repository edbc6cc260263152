//! Jobs of five effects that do nothing, through a real plugin, and the same writes without one.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::{Timestamp, ToSpan};
use serde_json::json;
use tests::workshop::{Workshop, result};
use tokio::task::JoinSet;
use windlass::model::job::Outcome;
use windlass::model::journal::{Class, Event, NewEntry};
use windlass::model::names::JobId;
use windlass::storage::sqlite::{Options, Sqlite};
use windlass::storage::{Claim, NewJob, ServerChange, Store};

use crate::bare;
use crate::ends::Ends;
use crate::floors::Floors;
use crate::host::commits;
use crate::report::{at, at_least, at_most, line, ms, spread, times};

/// Jobs one at a time.
const ALONE: u32 = 200;

/// Jobs of many clients.
const MANY: u32 = 5_000;

/// What the fastest of the others does, twice, and what a bare writer does on the same machine:
/// 2 × 2 400 and 14 000 jobs/s.
const OF_BARE: f64 = 0.34;

pub(crate) async fn measure(floors: &Floors) -> Result<()> {
    let workshop = Workshop::open().await;
    for server in 0..64 {
        let made = workshop.submit_on_sandbox("returns", &name(server)).await;
        result(&workshop.finished(&made).await);
    }
    result(&workshop.run_on(&name(0), "does-five-things").await);
    alone(&workshop, floors).await?;
    let workshop = Arc::new(workshop);
    for clients in [32, 64] {
        let bare = bare::rate(clients).await?;
        let what = format!("floor: a bare writer of 7 commits each, {clients} clients");
        line(&what, &format!("{bare:.0} jobs/s"), "");
        crowd(&workshop, clients, bare).await?;
    }
    Arc::into_inner(workshop).context("somebody still works")?.stop().await;
    store_alone(64).await
}

fn name(client: u32) -> String {
    format!("bench-{client}")
}

async fn alone(workshop: &Workshop, floors: &Floors) -> Result<()> {
    let before = commits(&workshop.database())?;
    let mut took = Vec::new();
    for _ in 0..ALONE {
        let began = Instant::now();
        result(&workshop.run_on(&name(0), "does-five-things").await);
        took.push(began.elapsed());
    }
    let commits = f64::from(commits(&workshop.database())? - before) / f64::from(ALONE);
    took.sort_unstable();
    let half = at(&took, 50);
    let ratio = times(half, floors.request() + 6 * floors.commit());
    let ratio = at_most(ratio, 2.5, "× a request and six commits");
    let writes = times(half, floors.request() + 6 * floors.write());
    let beside = format!("{ratio}; {writes:.2} × a request and six writes");
    line("a job of 5 effects, submit → completed", &spread(&took), &beside);
    line("  durable commits of it", &format!("{commits:.2}"), &at_most(commits, 6.1, "commits"));
    Ok(())
}

async fn crowd(workshop: &Arc<Workshop>, clients: u32, bare: f64) -> Result<()> {
    let ends = Arc::new(Ends::listen(&workshop.store, &workshop.database())?);
    let before = (commits(&workshop.database())?, cpu()?, switches()?);
    let (began, mut tasks) = (Instant::now(), JoinSet::new());
    for client in 0..clients {
        let (workshop, ends) = (Arc::clone(workshop), Arc::clone(&ends));
        tasks.spawn(async move {
            for _ in 0..MANY / clients {
                let job = workshop.submit_on(&name(client), "does-five-things").await;
                ends.of(job).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let jobs = f64::from(MANY / clients * clients);
    let rate = jobs / began.elapsed().as_secs_f64();
    let cpu = ms(self::cpu()? - before.1) / jobs;
    let commits = f64::from(commits(&workshop.database())? - before.0) / jobs;
    let figure = format!("{rate:.0} jobs/s");
    let beside = at_least(rate / bare, OF_BARE, "× the bare writer");
    line(&format!("{MANY} such jobs, {clients} clients"), &figure, &beside);
    let switches = (switches()? - before.2) / jobs;
    let beside = format!("{}; {switches:.0} switches of threads", at_most(cpu, 0.25, "ms"));
    line("  processor time of each, with its client", &format!("{cpu:.2} ms"), &beside);
    let beside = if clients == 32 { at_most(commits, 1.0, "commits") } else { String::new() };
    line("  durable commits of each", &format!("{commits:.2}"), &beside);
    Ok(())
}

/// The same writes by the store alone.
async fn store_alone(clients: u32) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bare.db");
    let store = Sqlite::open(&path, &Options::default())?;
    let (before, began, mut tasks) = (commits(&path)?, Instant::now(), JoinSet::new());
    for client in 0..clients {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for turn in 0..MANY / clients {
                writes(&store, client * (MANY / clients) + turn).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let jobs = f64::from(MANY / clients * clients);
    let rate = jobs / began.elapsed().as_secs_f64();
    let commits = f64::from(commits(&path)? - before) / jobs;
    let what = format!("the same writes by the store alone, {clients} clients");
    line(&what, &format!("{rate:.0} jobs/s"), &format!("{commits:.2} commits each"));
    store.close().await;
    Ok(())
}

async fn writes(store: &Sqlite, number: u32) -> Result<()> {
    let now = Timestamp::now();
    store.submit(new_job(number, now)).await?;
    let until = now.checked_add(1.hours())?;
    let claim = Claim { worker: "bench".parse()?, now, until };
    // Perhaps another client's: as many are claimed as are submitted.
    let job = store.claim_jobs(&claim, 1).await?.pop().context("a job waits")?;
    for ordinal in 0..4 {
        let event = Event::Intent {
            ordinal,
            function: "bench.nothing".to_owned(),
            class: Class::Put,
            digest: "0".repeat(64),
            request: json!({ "zone": "example.com", "name": "web-1.example.com" }),
        };
        store.append_durable(job.lease(), vec![NewEntry { at: now, event }]).await?;
    }
    let job = job.finish(Outcome::Completed(json!({})), now);
    let event = Event::end_of(&job.record);
    store.finish(job, vec![NewEntry { at: now, event }]).await?;
    Ok(())
}

fn new_job(number: u32, now: Timestamp) -> NewJob {
    NewJob {
        id: JobId::new(now, number),
        operation: "bench".parse().expect("a name"),
        params: json!({}),
        server: None,
        retry_of: None,
        depends_on: Vec::new(),
        by: "bench".to_owned(),
        now,
        server_change: ServerChange::None,
        idempotency: None,
    }
}

/// How often the threads of this process made room for others, so far.
fn switches() -> Result<f64> {
    let mut sum = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let Ok(status) = std::fs::read_to_string(thread?.path().join("status")) else { continue };
        let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
        let counts = lines.filter_map(|line| line.split_whitespace().nth(1));
        sum += counts.map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    }
    Ok(sum)
}

/// The processor time of this process so far.
fn cpu() -> Result<Duration> {
    let stat = std::fs::read_to_string(Path::new("/proc/self/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("no fields")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(10 * ticks))
}
