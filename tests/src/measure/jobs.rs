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

use crate::floors::Floors;
use crate::host::commits;
use crate::report::{at, line, ms, spread, times};

/// Jobs one at a time.
const ALONE: u32 = 200;

/// Jobs of many clients.
const MANY: u32 = 5_000;

pub(crate) async fn measure(floors: &Floors) -> Result<()> {
    let mut workshop = Workshop::open().await;
    for server in 0..64 {
        let made = workshop.submit_on_sandbox("returns", &name(server)).await;
        result(&workshop.finished(&made).await);
    }
    result(&workshop.run_on(&name(0), "does-five-things").await);
    alone(&workshop, floors).await?;
    let workshop_shared = Arc::new(workshop);
    for clients in [32, 64] {
        crowd(&workshop_shared, clients).await?;
    }
    workshop = Arc::into_inner(workshop_shared).context("somebody still works")?;
    workshop.stop().await;
    bare(64).await
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
    let ratio = times(at(&took, 50), 6 * floors.commit());
    let beside = format!("{ratio:.2} × six commits; goal: 2.5");
    line("a job of 5 effects, submit → completed", &spread(&took), &beside);
    line("  durable commits of it", &format!("{commits:.2}"), "goal: 6.1");
    Ok(())
}

async fn crowd(workshop: &Arc<Workshop>, clients: u32) -> Result<()> {
    let (before, cpu, began) = (commits(&workshop.database())?, cpu()?, Instant::now());
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let workshop = Arc::clone(workshop);
        tasks.spawn(async move {
            for _ in 0..MANY / clients {
                result(&workshop.run_on(&name(client), "does-five-things").await);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    let jobs = f64::from(MANY / clients * clients);
    let (took, cpu) = (began.elapsed(), self::cpu()? - cpu);
    let rate = jobs / took.as_secs_f64();
    let commits = f64::from(commits(&workshop.database())? - before) / jobs;
    let beside = format!("{:.2} ms CPU a job, with its client; goal: 0.25", ms(cpu) / jobs);
    line(&format!("{MANY} such jobs, {clients} clients"), &format!("{rate:.0} jobs/s"), &beside);
    line("  durable commits of each", &format!("{commits:.2}"), "goal: 1.0 with 32");
    Ok(())
}

/// The same writes by the store alone.
async fn bare(clients: u32) -> Result<()> {
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
    let job = store.claim_next_job(&claim).await?.context("a job waits")?;
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
    let event = Event::Finished { status: job.record.status, failure: None };
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

/// The processor time of this process so far.
fn cpu() -> Result<Duration> {
    let stat = std::fs::read_to_string(Path::new("/proc/self/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("no fields")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(10 * ticks))
}
