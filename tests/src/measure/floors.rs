//! What the machine itself needs: nothing can be faster.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use bindings::{Clock, Guest};
use rusqlite::Connection;
use tests::echo::KEPT;
use wasmtime::component::ResourceTable;
use wasmtime::{Store, StoreLimits};
use wasmtime_wasi::WasiCtx;
use windlass::model::limits::Limits;
use windlass::plugins::engine::{Engine, Prepared};
use windlass::plugins::plugin::Plugin;

use crate::report::{at, line, ms, spread};

/// How often each thing is done.
const TURNS: usize = 640;

/// How long who waits for the end of a job rests before he looks again, and a floor that is compared
/// with what he does then.
pub(crate) const REST: Duration = Duration::from_millis(5);

/// Sorted times.
pub(crate) struct Floors {
    /// One small write and fdatasync.
    pub(crate) disk: Vec<Duration>,
    /// One row, committed by SQLite as the store has it commit.
    pub(crate) commit: Vec<Duration>,
    /// The same after a rest: a processor and a disk that slept take longer.
    pub(crate) rested_commit: Vec<Duration>,
    /// One request and its answer over loopback, with nothing behind it.
    pub(crate) loopback: Vec<Duration>,
    /// The same after a rest.
    pub(crate) rested_loopback: Vec<Duration>,
    /// A new instance of a plugin in a store of its own.
    pub(crate) instance: Vec<Duration>,
}

impl Floors {
    pub(crate) async fn measure() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let disk = durable_writes(folder.path())?;
        let commit = commits(&folder.path().join("floor.db"), Duration::ZERO)?;
        let rested_commit = commits(&folder.path().join("rested.db"), REST)?;
        let (loopback, rested_loopback) = (loopback(Duration::ZERO).await?, loopback(REST).await?);
        let instance = instances(folder.path()).await?;
        Ok(Self { disk, commit, rested_commit, loopback, rested_loopback, instance })
    }

    pub(crate) fn print(&self) {
        line("floor: one write + fdatasync", &spread(&self.disk), "");
        line("floor: one row committed by SQLite, synced", &spread(&self.commit), "");
        line("floor: the same after a rest of 5 ms", &spread(&self.rested_commit), "");
        line("floor: one request over loopback", &spread(&self.loopback), "");
        line("floor: the same after a rest of 5 ms", &spread(&self.rested_loopback), "");
        let (p50, p99) = (at(&self.instance, 50), at(&self.instance, 99));
        let micros = format!("p50 {:.0} µs · p99 {:.0} µs", 1000.0 * ms(p50), 1000.0 * ms(p99));
        line("floor: a fresh instance of a plugin", &micros, "");
    }

    /// The median of a durable write.
    pub(crate) fn write(&self) -> Duration {
        at(&self.disk, 50)
    }

    /// The median of a commit.
    pub(crate) fn commit(&self) -> Duration {
        at(&self.commit, 50)
    }

    /// The median of a commit after a rest.
    pub(crate) fn rested_commit(&self) -> Duration {
        at(&self.rested_commit, 50)
    }

    /// The median of a request after a rest.
    pub(crate) fn rested_request(&self) -> Duration {
        at(&self.rested_loopback, 50)
    }

    /// The median of a request.
    pub(crate) fn request(&self) -> Duration {
        at(&self.loopback, 50)
    }
}

fn durable_writes(folder: &Path) -> Result<Vec<Duration>> {
    let mut file = File::create(folder.join("floor"))?;
    let mut took = Vec::new();
    for _ in 0..TURNS {
        let began = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}

fn commits(path: &Path, rest: Duration) -> Result<Vec<Duration>> {
    let database = Connection::open(path)?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE floor (number INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    )?;
    let mut took = Vec::new();
    for _ in 0..TURNS {
        std::thread::sleep(rest);
        let began = Instant::now();
        let mut insert = database.prepare_cached("INSERT INTO floor (text) VALUES (?1)")?;
        insert.execute(["7".repeat(400)])?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}

async fn loopback(rest: Duration) -> Result<Vec<Duration>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let router = Router::new().route("/", get(async || "{}"));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let client = reqwest::Client::new();
    let mut took = Vec::new();
    for _ in 0..TURNS {
        tokio::time::sleep(rest).await;
        let began = Instant::now();
        client.get(&url).send().await?.text().await?;
        took.push(began.elapsed());
    }
    serving.abort();
    took.sort_unstable();
    Ok(took)
}

async fn instances(folder: &Path) -> Result<Vec<Duration>> {
    let engine = Arc::new(Engine::new(&folder.join("code"), &Limits::default())?);
    let plugin = Arc::new(Plugin::read(KEPT)?);
    let Prepared::Operation(prepared) = plugin.prepared(&engine).await? else {
        bail!("it is no operation")
    };
    let mut took = Vec::new();
    for _ in 0..10 * TURNS {
        let guest = Guest {
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
            limits: Box::new(StoreLimits::default()),
            clock: Arc::new(Stopped),
            host: Box::new(()),
        };
        let began = Instant::now();
        let mut store = Store::new(engine.inner(), guest);
        store.set_epoch_deadline(1_000);
        let fresh = prepared.instantiate_async(&mut store).await;
        fresh.map_err(|error| anyhow!("{error:#}"))?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}

/// A clock that nobody asks.
struct Stopped;

#[async_trait]
impl Clock for Stopped {
    fn wall(&self) -> Duration {
        Duration::ZERO
    }

    fn monotonic(&self) -> u64 {
        0
    }

    async fn sleep_until(&self, _monotonic: u64) {}
}
