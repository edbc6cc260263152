//! Measures what the README's table says: `cargo run --release -p tests --bin measure`. Figures of
//! one run can be compared with each other, and with nothing else: machines differ and are shared.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use async_trait::async_trait;
use bindings::{Clock, Guest};
use serde_json::{Value, json};
use tests::echo::{KEPT, patched};
use wasmtime::component::ResourceTable;
use wasmtime::{Store, StoreLimits};
use wasmtime_wasi::WasiCtx;
use windlass::plugins::engine::{Engine, Prepared};
use windlass::plugins::plugin::Plugin;

/// Requests of each series.
const REQUESTS: usize = 640;
/// Plugins from outside, on top of those that came with the program.
const PLUGINS: usize = 64;

#[tokio::main]
async fn main() -> Result<()> {
    let home = tempfile::tempdir()?;
    let exe = std::env::current_exe()?;
    let program = exe.with_file_name("windlass-under-test");
    println!("binary                          {:>9.1} MB", size(&program)? / 1e6);
    let floor = durable_writes(home.path())?;
    report("one write + fdatasync", &floor);

    let began = Instant::now();
    let cold = Host::start(&program, home.path()).await?;
    println!("start, cold                     {:>9.1} ms", ms(began.elapsed()));
    drop(cold);
    let began = Instant::now();
    let host = Arc::new(Host::start(&program, home.path()).await?);
    println!("start, warm                     {:>9.1} ms", ms(began.elapsed()));
    println!("idle memory (RSS)               {:>9.1} MB", host.memory_mb()?);

    let fresh = instantiations(&home.path().join("code")).await?;
    println!(
        "a fresh instance of a plugin    p50 {:>6.0} µs · p99 {:>6.0} µs",
        1000.0 * ms(at(&fresh, 50)),
        1000.0 * ms(at(&fresh, 99))
    );
    let active = host.activations(home.path()).await?;
    report("plugin's file renamed → active", &active);
    report("GET /health, 1 client", &host.series("h", 1, Kind::Health).await?);
    let alone = host.series("a", 1, Kind::Create).await?;
    report("POST /api/servers, 1 client", &alone);
    let crowd = host.series("b", 32, Kind::Create).await?;
    report("POST /api/servers, 32 clients", &crowd);
    println!("memory after {} jobs submitted {:>8.1} MB", 2 * REQUESTS, host.memory_mb()?);
    println!("POST alone / one durable write  {:>9.2}", ms(at(&alone, 50)) / ms(at(&floor, 50)));
    starts_with_plugins(&program, home.path(), host).await
}

/// A start with many plugins, half of them from outside, with and without compiled code on the disk.
async fn starts_with_plugins(program: &Path, home: &Path, host: Arc<Host>) -> Result<()> {
    // What the series above left to do would be in the way.
    host.finished().await?;
    report("plugin added, from its bytes", &host.add_plugins(program, home).await?);
    drop(Arc::into_inner(host).context("somebody still asks the host")?);
    std::fs::remove_dir_all(home.join("home/cache"))?;
    for what in ["cold", "warm"] {
        let began = Instant::now();
        let host = Host::start(program, home).await?;
        let took = began.elapsed();
        let plugins = host.count_plugins().await?;
        println!("start, {what}, {plugins} plugins       {:>9.1} ms", ms(took));
        let began = Instant::now();
        host.ask(&format!("first-{what}"), Kind::Create).await?;
        host.finished().await?;
        println!("  and its first job ended after {:>9.1} ms", ms(began.elapsed()));
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    Health,
    Create,
}

struct Host {
    child: Child,
    url: String,
    token: String,
    client: reqwest::Client,
}

impl Host {
    async fn start(program: &Path, home: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--home"])
            .arg(home.join("home"))
            .env("WINDLASS_SANDBOX_PACE", "instant")
            .env("WINDLASS_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ").context(line.clone())?.to_owned();
        let token = std::fs::read_to_string(home.join("home/token"))?.trim().to_owned();
        Ok(Self { child, url, token, client: reqwest::Client::new() })
    }

    /// How long it takes from a rename into the watched directory until new jobs run the version.
    async fn activations(&self, home: &Path) -> Result<Vec<Duration>> {
        let path = format!("{}/api/plugins", self.url);
        let added = self.client.post(format!("{path}?accept_grants=true"));
        let added =
            added.header("Content-Type", "application/wasm").body(KEPT).bearer_auth(&self.token);
        ensure!(added.send().await?.status() == 201, "the first version is not taken");
        let (part, whole) = (home.join("home/plugins/part"), home.join("home/plugins/echo.wasm"));
        let mut took = Vec::new();
        for number in 2..=9 {
            let version = format!("7.7.{number}");
            std::fs::write(&part, patched(KEPT, "7.7.1", &version))?;
            let began = Instant::now();
            std::fs::rename(&part, &whole)?;
            loop {
                let shown = self.client.get(format!("{path}/echo-versions"));
                let shown = shown.bearer_auth(&self.token).send().await?.text().await?;
                let shown: Value = serde_json::from_str(&shown)?;
                if shown["active"]["version"] == version.as_str() {
                    break;
                }
                ensure!(began.elapsed() < Duration::from_secs(60), "{version} is never active");
            }
            took.push(began.elapsed());
        }
        took.sort_unstable();
        Ok(took)
    }

    /// Adds recipes that differ in their names, and tells how long each took.
    async fn add_plugins(&self, program: &Path, home: &Path) -> Result<Vec<Duration>> {
        let folder = home.join("shop");
        let mut new = Command::new(program);
        let made = new.current_dir(home).args(["plugin", "new", "shop"]).output()?;
        ensure!(made.status.success(), "no recipe was made");
        let recipe = folder.join(packing::RECIPE);
        let text = std::fs::read_to_string(&recipe)?;
        let mut took = Vec::new();
        for number in 0..PLUGINS {
            std::fs::write(&recipe, text.replace("shop", &format!("shop-{number}")))?;
            let component = packing::pack(windlass::plugins::recipe_component(), &folder)?;
            let began = Instant::now();
            let added = self.client.post(format!("{}/api/plugins?accept_grants=true", self.url));
            let added = added.header("Content-Type", "application/wasm").body(component);
            let added = added.bearer_auth(&self.token).send().await?;
            ensure!(added.status() == 201, "{}", added.text().await?);
            took.push(began.elapsed());
        }
        took.sort_unstable();
        Ok(took)
    }

    async fn count_plugins(&self) -> Result<usize> {
        let listed: Value = serde_json::from_str(&self.text("/api/plugins").await?)?;
        Ok(listed["plugins"].as_array().context("no plugins")?.len())
    }

    /// Waits until no job is unfinished.
    async fn finished(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let open = self.text("/api/jobs?status=queued,running&limit=1").await?;
            let open: Value = serde_json::from_str(&open)?;
            if open["jobs"].as_array().is_some_and(Vec::is_empty) {
                return Ok(());
            }
            ensure!(began.elapsed() < Duration::from_secs(600), "a job never ends: {open}");
        }
    }

    async fn text(&self, path: &str) -> Result<String> {
        let asked = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        Ok(asked.send().await?.text().await?)
    }

    fn memory_mb(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS")).context("no VmRSS")?;
        let kb: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
        Ok(kb / 1024.0)
    }

    async fn series(
        self: &Arc<Self>,
        prefix: &str,
        clients: usize,
        kind: Kind,
    ) -> Result<Vec<Duration>> {
        let mut tasks = tokio::task::JoinSet::new();
        for client in 0..clients {
            let (host, prefix) = (Arc::clone(self), prefix.to_owned());
            tasks.spawn(async move {
                let mut took = Vec::new();
                for n in 0..REQUESTS / clients {
                    let name = format!("{prefix}-{client}-{n}");
                    let began = Instant::now();
                    host.ask(&name, kind).await?;
                    took.push(began.elapsed());
                }
                anyhow::Ok(took)
            });
        }
        let mut all = Vec::new();
        while let Some(took) = tasks.join_next().await {
            all.extend(took??);
        }
        all.sort_unstable();
        Ok(all)
    }

    async fn ask(&self, name: &str, kind: Kind) -> Result<()> {
        let (request, expected) = match kind {
            Kind::Health => (self.client.get(format!("{}/health", self.url)), 200),
            Kind::Create => {
                let body = json!({ "name": name, "server_type": "cx23", "region": "nbg1" });
                (self.client.post(format!("{}/api/servers", self.url)).json(&body), 202)
            }
        };
        let answer = request.bearer_auth(&self.token).send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        ensure!(status == expected, "{status}: {body}");
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long it takes to have a new instance of a small plugin, in a store of its own.
async fn instantiations(cache: &Path) -> Result<Vec<Duration>> {
    let engine = Arc::new(Engine::new(cache)?);
    let plugin = Arc::new(Plugin::read(KEPT)?);
    let Prepared::Operation(prepared) = plugin.prepared(&engine).await? else {
        bail!("it is no operation")
    };
    let mut took = Vec::new();
    for _ in 0..10 * REQUESTS {
        let guest = Guest {
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
            limits: StoreLimits::default(),
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

/// What the disk needs for one small durable write, many times.
fn durable_writes(folder: &Path) -> Result<Vec<Duration>> {
    let mut file = File::create(folder.join("floor"))?;
    let mut took = Vec::new();
    for _ in 0..REQUESTS {
        let began = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}

fn report(what: &str, sorted: &[Duration]) {
    println!("{what:<31} p50 {:>6.2} ms · p99 {:>6.2} ms", ms(at(sorted, 50)), ms(at(sorted, 99)));
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn size(path: &Path) -> Result<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a file's size in MB")]
    Ok(std::fs::metadata(path)?.len() as f64)
}
