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

/// Sorted times.
pub(crate) struct Floors {
    /// One small write and fdatasync.
    pub(crate) disk: Vec<Duration>,
    /// One row, committed by SQLite as the store has it commit.
    pub(crate) commit: Vec<Duration>,
    /// One request and its answer over loopback, with nothing behind it.
    pub(crate) loopback: Vec<Duration>,
    /// A new instance of a plugin in a store of its own.
    pub(crate) instance: Vec<Duration>,
}

impl Floors {
    pub(crate) async fn measure() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let disk = durable_writes(folder.path())?;
        let commit = commits(folder.path())?;
        let (loopback, instance) = (loopback().await?, instances(folder.path()).await?);
        Ok(Self { disk, commit, loopback, instance })
    }

    pub(crate) fn print(&self) {
        line("floor: one write + fdatasync", &spread(&self.disk), "");
        line("floor: one row committed by SQLite, synced", &spread(&self.commit), "");
        line("floor: one request over loopback", &spread(&self.loopback), "");
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

fn commits(folder: &Path) -> Result<Vec<Duration>> {
    let database = Connection::open(folder.join("floor.db"))?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE floor (number INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    )?;
    let mut took = Vec::new();
    for _ in 0..TURNS {
        let began = Instant::now();
        let mut insert = database.prepare_cached("INSERT INTO floor (text) VALUES (?1)")?;
        insert.execute(["7".repeat(400)])?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}

async fn loopback() -> Result<Vec<Duration>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let router = Router::new().route("/", get(async || "{}"));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let client = reqwest::Client::new();
    let mut took = Vec::new();
    for _ in 0..TURNS {
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
